"""Data sets on the host: two points, exclusive or, digits, MNIST.

Each is a record of the configuration group "data" with `load() -> Dataset`; `load("digits", points=100)` finds one by name.
"""

from dltheory.data.digits import Digits
from dltheory.data.mnist import MNIST
from dltheory.data.points import Data, Dataset, Points, draw_pair, load
from dltheory.data.two_points import TwoPoints
from dltheory.data.xor import XOR

__all__ = ["MNIST", "XOR", "Data", "Dataset", "Digits", "Points", "TwoPoints", "draw_pair", "load"]
