"""Texts and pixels as sequences: the shipped text, files of any kind, and what is wrong with a file said in one line."""

import codecs
import hashlib
import os
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dltheory.data import File, Pixels, Sequences
from dltheory.data.text import LEAST, shipped

GERMAN = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n" * 20


def write(folder, content, name="text.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def message(path, **options):
    with pytest.raises(ValueError) as error:
        File(path=path, **options)
    assert "\n" not in str(error.value)
    return str(error.value).replace(path, "FILE")


def test_options():
    assert set(Sequences.options) == {"file", "pixels"}


def test_the_shipped_text():
    text, symbols = shipped(), File().load()
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz ") and "  " not in text
    assert symbols.index.shape == (1, len(text)) and symbols.alphabet == 27
    assert len(text) > 300_000
    if sys.version_info[:2] == (3, 11):
        assert len(text) == 375_757


@pytest.mark.parametrize("text", [GERMAN, "日本語のテキスト。" * 200, "".join(map(chr, range(40, 90))) * 30])
def test_symbols_are_the_characters_by_frequency(tmp_path, text):
    seen = File(path=write(tmp_path, text)).load()
    frequent = sorted(set(text), key=lambda c: (-text.count(c), c))
    assert seen.alphabet == len(frequent)
    assert "".join(frequent[i] for i in seen.index[0]) == text


def test_rare_characters_become_one_symbol(tmp_path):
    path = write(tmp_path, GERMAN)
    every, some = File(path=path).load().index, File(path=path, characters=5).load()
    assert some.alphabet == 6
    np.testing.assert_array_equal(some.index, np.minimum(every, 5))


def test_byte_order_mark_and_line_ends_do_not_count(tmp_path):
    plain = File(path=write(tmp_path, GERMAN)).load().index
    marked = File(path=write(tmp_path, codecs.BOM_UTF8 + GERMAN.replace("\n", "\r\n").encode())).load().index
    np.testing.assert_array_equal(plain, marked)


def test_the_digest_is_that_of_the_content(tmp_path):
    path = write(tmp_path, GERMAN)
    digest = hashlib.sha256(GERMAN.encode()).hexdigest()[:12]
    assert File(path=path).digest == digest == File(path=path, digest=digest).digest
    assert File(path=write(tmp_path, GERMAN + "!")).digest != digest and File().digest == ""
    assert message(path, digest=digest) == f"digest={digest}: must be that of FILE, {File(path=path).digest}, or empty"


def test_the_home_directory_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, GERMAN, "mine.txt")
    assert File(path="~/mine.txt").load().index.size == len(GERMAN)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", f"path=FILE: must have at least {LEAST} characters; it has 0"),
        ("zu kurz, ö", f"path=FILE: must have at least {LEAST} characters; it has 10"),
        ("a" * LEAST, "path=FILE: must have two different characters; it has only 'a'"),
        (b"a" * 50 + b"\xff" + b"b" * 2000, "path=FILE: must be text in UTF-8; byte 50 is 0xff"),
        (GERMAN.encode("latin-1"), "path=FILE: must be text in UTF-8; byte 2 is 0xf6"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, content, expected):
    assert message(write(tmp_path, content)) == expected


def test_no_file(tmp_path):
    assert message(str(tmp_path / "none.txt")) == "path=FILE: cannot be read, no such file or directory"
    assert message(str(tmp_path)) == "path=FILE: must be a file"
    os.mkfifo(tmp_path / "pipe")
    assert message(str(tmp_path / "pipe")) == "path=FILE: must be a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_forbidden_file(tmp_path):
    path = write(tmp_path, GERMAN)
    os.chmod(path, 0)
    assert message(path) == "path=FILE: cannot be read, permission denied"


@pytest.mark.parametrize("levels", [2, 4, 17])
def test_pixels(levels):
    grey, seen = load_digits().data, Pixels(levels=levels).load()
    assert seen.alphabet == levels and set(np.unique(seen.index)) == set(range(levels))
    np.testing.assert_array_equal(seen.index, np.floor(grey * levels / 17))


def test_ranges():
    with pytest.raises(ValueError, match=r"levels=18: must be in \[2, 17\]"):
        Pixels(levels=18).load()
    with pytest.raises(ValueError, match=r"characters=1: must be in \[2, 256\]"):
        File(characters=1).load()
