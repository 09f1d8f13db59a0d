"""MNIST, 60,000 + 10,000 handwritten digits of 28 × 28 pixels, from its four IDX files, plain or gzipped.

The files are looked for in `$DLTHEORY_DATA/mnist/` if that folder exists, else in `$DLTHEORY_DATA/`; nothing is downloaded.
An IDX file is a magic number (0, 0, 8 for bytes, the number of dimensions), the sizes as big-endian 32-bit numbers, the bytes.
Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits" (1998).
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ..record import check, record, static
from .images import CLASSES, Images, split
from .points import Data, Dataset

VARIABLE = "DLTHEORY_DATA"


@record
class MNIST(Images, Data):
    """Handwritten digits of 784 pixels, in the published order or, of the t10k half alone, shuffled and split."""

    part: str = static(
        "train",
        "published half to train on: train is tested on all of t10k, t10k on its own fraction `test`",
        choices=("train", "t10k"),
    )

    def load(self) -> Dataset:
        """The images.

        In one line, `FileNotFoundError` if files are missing, `ValueError` if one is damaged or a field is outside its range.
        """
        check(self)
        if self.part == "train":
            files = find("train", "t10k")
            train, test = read(*files[:2]), read(*files[2:])
        else:
            pixels, label = read(*find("t10k"))
            train, test = ((pixels[part], label[part]) for part in split(len(label), self.test))
        return self.assemble(train, test, white=255)


def find(*halves: str) -> list[Path]:
    """The image and the label file of each half; `FileNotFoundError` in one line that says what is missing and where."""
    names = [f"{half}-{kind}-ubyte" for half in halves for kind in ("images-idx3", "labels-idx1")]
    root = os.environ.get(VARIABLE)
    if not root:
        raise FileNotFoundError(f"{', '.join(names)}: not searched, {VARIABLE} is not set to their folder or the one above mnist/")
    folder = Path(root) / "mnist" if (Path(root) / "mnist").is_dir() else Path(root)
    found = {name: [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()] for name in names}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        hint = "; data.part=t10k would work" if not any("t10k" in name for name in missing) else ""
        raise FileNotFoundError(f"{', '.join(missing)}: not in {folder}, with or without .gz ({VARIABLE}={root}){hint}")
    return [paths[0] for paths in found.values()]


def read(images: Path, labels: Path) -> tuple[UInt8[np.ndarray, "images pixels"], Int64[np.ndarray, "images"]]:
    """Pixels and classes of one half; `ValueError` names, in one line, a damaged file or one that does not match."""
    pixels, label = read_idx(images, 3), read_idx(labels, 1).astype(np.int64)
    if len(pixels) != len(label):
        raise ValueError(f"{labels}: {len(label)} labels for the {len(pixels)} images of {images.name}")
    if np.any(label >= CLASSES):
        raise ValueError(f"{labels}: label {label.max()}, must be in [0, {CLASSES - 1}]")
    return pixels.reshape(len(pixels), -1), label


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """The bytes of an IDX file, in its shape; `ValueError` in one line that names the file if it is damaged."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file: {error}") from error
    magic, start = bytes([0, 0, 8, dimensions]), 4 + 4 * dimensions
    if content[:4] != magic:
        raise ValueError(f"{path}: magic number 0x{content[:4].hex()}, must be 0x{magic.hex()}")
    if len(content) <= start:
        raise ValueError(f"{path}: {len(content)} bytes, no data after a header of {start}")
    sizes = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) != start + math.prod(sizes):
        raise ValueError(f"{path}: {len(content) - start} bytes of data, its header says {math.prod(sizes)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
