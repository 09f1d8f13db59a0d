"""Data sets on the host: two points, exclusive or, blobs in two contexts, digits, MNIST.

Each is a record of the configuration group "data" with `load() -> Dataset`; `load("digits", points=100)` finds one by name.
"""

from .context_blobs import ContextBlobs, square
from .digits import Digits
from .mnist import MNIST
from .points import Data, Dataset, Points, draw_pair, load
from .two_points import TwoPoints
from .xor import XOR

__all__ = ["MNIST", "XOR", "ContextBlobs", "Data", "Dataset", "Digits", "Points", "TwoPoints", "draw_pair", "load", "square"]
