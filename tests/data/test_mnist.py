"""MNIST: small IDX files written here, damaged ones, missing ones; the real test images where $DLTHEORY_DATA has them."""

import gzip
import struct

import numpy as np
import pytest

from dltheory.data import MNIST
from dltheory.data.mnist import read_idx

HALVES = {"train": 30, "t10k": 20}
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(values):
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def half(name):
    """Pixels and labels of a published half, in miniature: 4 × 3 pixels."""
    random = np.random.default_rng(HALVES[name])
    return random.integers(0, 256, (HALVES[name], 4, 3)), random.integers(0, 10, HALVES[name])


def write(folder, *halves, suffix=""):
    folder.mkdir(exist_ok=True)
    for name in halves:
        for kind, values in zip(("images-idx3", "labels-idx1"), half(name), strict=True):
            content = idx(values)
            path = folder / f"{name}-{kind}-ubyte{suffix}"
            path.write_bytes(gzip.compress(content) if suffix else content)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DLTHEORY_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("layout", ["", "mnist"])
def test_official_split_in_the_published_order(root, layout, suffix):
    write(root / layout, "train", "t10k", suffix=suffix)
    data = MNIST(normalise="unit", targets="index").load()
    for part, name in ((data.train, "train"), (data.test, "t10k")):
        pixels, label = half(name)
        np.testing.assert_allclose(part.x, pixels.reshape(-1, 12) / 255, rtol=1e-15)
        np.testing.assert_array_equal(part.label, label)
        np.testing.assert_array_equal(part.y[:, 0], label)


def test_the_test_half_alone_is_split(root):
    write(root, "t10k")
    data = MNIST(part="t10k", normalise="unit", test=0.3).load()
    assert (data.train.x.shape, data.test.x.shape) == ((14, 12), (6, 12))
    pixels, label = half("t10k")
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_allclose(np.vstack([data.train.x, data.test.x]), pixels.reshape(-1, 12)[order] / 255, rtol=1e-15)
    np.testing.assert_array_equal(np.concatenate([data.train.label, data.test.label]), label[order])


def test_points_kept(root):
    write(root, "train", "t10k")
    data = MNIST(points=5).load()
    np.testing.assert_array_equal(data.train.label, half("train")[1][:5])
    assert len(data.test.label) == 20
    np.testing.assert_allclose([data.train.x.mean(), data.train.x.std()], [0, 1], rtol=0, atol=1e-14)


def missing(**options):
    with pytest.raises(FileNotFoundError) as error:
        MNIST(**options).load()
    message = str(error.value)
    assert "\n" not in message and "DLTHEORY_DATA" in message
    return message


@pytest.mark.parametrize("layout", ["", "mnist"])
def test_missing_training_images_point_to_the_test_half(root, layout):
    write(root / layout, "train", "t10k")
    (root / layout / "train-images-idx3-ubyte").unlink()
    message = missing()
    assert message.startswith("train-images-idx3-ubyte: not in ") and message.endswith("; data.part=t10k would work")
    assert f" {root / layout}, " in message
    MNIST(part="t10k").load()


def test_missing_test_half(root):
    write(root, "train", "t10k")
    (root / LABELS).unlink()
    for part in ("train", "t10k"):
        message = missing(part=part)
        assert message.startswith(f"{LABELS}: not in {root}, ") and "would work" not in message


def test_no_such_folder(root, monkeypatch):
    monkeypatch.setenv("DLTHEORY_DATA", str(root / "nowhere"))
    assert missing(part="t10k").startswith(f"{IMAGES}, {LABELS}: not in {root / 'nowhere'}, ")


@pytest.mark.parametrize("value", [None, ""])
def test_variable_not_set(monkeypatch, value):
    monkeypatch.delenv("DLTHEORY_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("DLTHEORY_DATA", value)
    assert "DLTHEORY_DATA is not set" in missing()


CONTENT = idx(half("t10k")[0])
DAMAGED = {
    "empty": b"",
    "not an IDX file": b"<!DOCTYPE html>" + CONTENT,
    "labels for images": idx(half("t10k")[1]),
    "other numbers than bytes": b"\0\0\x0d" + CONTENT[3:],
    "ends in its header": CONTENT[:11],
    "no images": idx(np.zeros((0, 4, 3))),
    "one byte short": CONTENT[:-1],
    "one byte long": CONTENT + b"\0",
    "gzip cut": gzip.compress(CONTENT)[:-30],
    "gzip cut in its header": gzip.compress(CONTENT)[:5],
    "gzip checksum": gzip.compress(CONTENT)[:-8] + bytes(4) + gzip.compress(CONTENT)[-4:],
    "gzip bits": gzip.compress(CONTENT)[:10] + bytes([255]) * 20 + gzip.compress(CONTENT)[30:],
    "gzip of a cut file": gzip.compress(CONTENT[:-5]),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_files_are_named(root, damage, suffix):
    write(root, "t10k")
    (root / IMAGES).unlink()
    (root / f"{IMAGES}{suffix}").write_bytes(DAMAGED[damage])
    with pytest.raises(ValueError) as error:
        MNIST(part="t10k").load()
    message = str(error.value)
    assert message.startswith(f"{root / IMAGES}{suffix}: ") and "\n" not in message


@pytest.mark.parametrize(
    ("labels", "message"), [(np.zeros(19), "19 labels for the 20 images of"), (np.full(20, 10), "label 10, must be in")]
)
def test_labels_that_do_not_match(root, labels, message):
    write(root, "t10k")
    (root / LABELS).write_bytes(idx(labels))
    with pytest.raises(ValueError, match=message) as error:
        MNIST(part="t10k").load()
    assert str(error.value).startswith(f"{root / LABELS}: ")


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)])
def test_parser(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape)
    (tmp_path / "file").write_bytes(idx(values))
    np.testing.assert_array_equal(read_idx(tmp_path / "file", len(shape)), values)


@pytest.fixture(scope="module")
def real():
    try:
        return MNIST(part="t10k", normalise="unit").load()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_real_test_images(real):
    assert (real.train.x.shape, real.test.x.shape, real.train.y.shape) == ((8000, 784), (2000, 784), (8000, 10))
    label = np.concatenate([real.train.label, real.test.label])
    np.testing.assert_array_equal(np.bincount(label), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])


def test_real_pixels(real):
    """Mean .1325 and standard deviation .3105, as published; digits are centred, so their corners are black."""
    pixels = np.vstack([real.train.x, real.test.x])
    np.testing.assert_allclose([pixels.mean(), pixels.std()], [0.1325, 0.3105], rtol=0, atol=5e-5)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert not pixels[:, [0, 27, 756, 783]].any()


def test_real_classes_are_where_their_means_are(real):
    """Nearest class mean is right for about 82 % of MNIST; shuffled labels would give 10 %."""
    means = np.stack([real.train.x[real.train.label == c].mean(axis=0) for c in range(10)])
    nearest = np.argmin(np.sum(means**2, axis=1) - 2 * real.test.x @ means.T, axis=1)
    assert 0.78 < np.mean(nearest == real.test.label) < 0.86
