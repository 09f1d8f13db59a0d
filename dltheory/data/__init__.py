"""Data sets on the host: two points, exclusive or, blobs in two contexts, digits, MNIST; and sequences of symbols.

Each set of points is a record of the configuration group "data" with `load() -> Dataset`; `load("digits", points=100)` finds one by
name. Experiments on sequences have a group "data" of their own: a text file, the pixels of digits, with `load() -> Symbols`.
"""

from .context_blobs import ContextBlobs, square
from .digits import Digits
from .mnist import MNIST
from .points import Data, Dataset, Points, draw_pair, load
from .products import Products
from .text import File, Pixels, Sequences, Symbols
from .two_points import TwoPoints
from .xor import XOR

__all__ = [
    "MNIST",
    "XOR",
    "ContextBlobs",
    "Data",
    "Dataset",
    "Digits",
    "File",
    "Pixels",
    "Points",
    "Products",
    "Sequences",
    "Symbols",
    "TwoPoints",
    "draw_pair",
    "load",
    "square",
]
