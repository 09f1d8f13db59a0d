"""Exclusive or, x₁ ⊕ x₂: the smallest task whose classes are not those of the input distances.

The inputs 00, 11 (target 0) and 01, 10 (target 1) are the corners of a square: points of one class are √2 apart, points of two
classes 1, so structure in a representation comes from the targets alone.
"""

import numpy as np

from ..record import record
from .points import Data, Dataset, Points, without_test


@record
class XOR(Data):
    """The four points 00, 01, 10, 11, one output; the target is the class."""

    def load(self) -> Dataset:
        """The four points, no test set."""
        bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        label = (bits[:, 0] ^ bits[:, 1]).astype(np.int64)
        return without_test(Points(bits.astype(float), label[:, None].astype(float), label))
