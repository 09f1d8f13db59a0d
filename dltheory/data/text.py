"""Real sequences of symbols: a text, and the pixels of handwritten digits one after the other.

The text that ships with Python is `pydoc_data.topics`, its language reference: in small letters, each run of other characters
than a-z becoming one space. That of Python 3.11 has 375,757 characters; other versions have other texts.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from ..record import Group, array, check, record, static

LEAST = 1000
"""Characters of the shortest text that is worth counting."""
WHITE = 16


@record
class Symbols:
    """Sequences of symbols counted from 0, all of which occur."""

    index: Integer[np.ndarray, "sequences length"] = array("symbols")
    alphabet: int = static(0, "number of different symbols")


@record
class Sequences(Group):
    """Where sequences come from: the options of the configuration group "data" of experiments on sequences."""

    def load(self) -> Symbols:
        """The sequences; `ValueError` in one line if they cannot be had."""
        raise NotImplementedError


@record
class File(Sequences):
    """A text in UTF-8; without a path the one that ships with Python. The file's own characters are its alphabet."""

    path: str = static("", "text file in UTF-8; empty: the text that ships with Python")
    characters: int = static(
        64, "different characters kept, the most frequent; the others become one more symbol. Counts take its square", low=2, high=256
    )
    digest: str = static("", "first 12 digits of the file's SHA-256: filled in, so that a changed file is another run; if given, asserted")

    def __post_init__(self) -> None:
        if self.path:
            content = read(self.path)
            decode(self.path, content)
            digest = hashlib.sha256(content).hexdigest()[:12]
            if self.digest not in ("", digest):
                raise ValueError(f"digest={self.digest}: must be that of {self.path}, {digest}, or empty")
            object.__setattr__(self, "digest", digest)

    def load(self) -> Symbols:
        """The text as one sequence, frequent characters first."""
        check(self)
        text = np.frombuffer((decode(self.path, read(self.path)) if self.path else shipped()).encode("utf-32-le"), "<u4")
        count = np.bincount(text)
        present = np.flatnonzero(count)
        frequent = present[np.argsort(-count[present], kind="stable")]
        number = np.zeros(len(count), np.uint16)
        number[frequent] = np.minimum(np.arange(len(frequent)), self.characters)
        return Symbols(number[text][None], min(len(frequent), self.characters + 1))


@record
class Pixels(Sequences):
    """The 1,797 digits of scikit-learn, 8 × 8 pixels row by row: 1,797 sequences of 64 grey levels."""

    levels: int = static(4, "grey levels, of 17", low=2, high=WHITE + 1)

    def load(self) -> Symbols:
        """The images, darkness in equal steps."""
        from sklearn.datasets import load_digits

        check(self)
        pixels = np.asarray(load_digits(return_X_y=True)[0]).astype(int)
        return Symbols((pixels * self.levels // (WHITE + 1)).astype(np.uint8), self.levels)


def shipped() -> str:
    """The text that ships with this Python, of a-z and single spaces."""
    from pydoc_data.topics import topics

    return re.sub("[^a-z]+", " ", "\n".join(topics.values()).lower())


def read(path: str) -> bytes:
    """The bytes of a file; `ValueError` says in one line why not."""
    file = Path(path).expanduser()
    try:
        if file.exists() and not file.is_file():
            raise ValueError(f"path={path}: must be a file")
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"path={path}: cannot be read, {(error.strerror or str(error)).lower()}") from None


def decode(path: str, content: bytes) -> str:
    """The text of a file with this content, its lines ending in one character; `ValueError` says in one line what is wrong with it."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"path={path}: must be text in UTF-8; byte {error.start} is 0x{error.object[error.start]:02x}") from None
    if len(text) < LEAST:
        raise ValueError(f"path={path}: must have at least {LEAST} characters; it has {len(text)}")
    if text.count(text[0]) == len(text):
        raise ValueError(f"path={path}: must have two different characters; it has only {text[0]!r}")
    return text
