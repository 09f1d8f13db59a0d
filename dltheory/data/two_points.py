"""Two points: the data of the effective theory of representation dynamics.

    x = (-1, -1 + |dx|) 1/√inputs,    y* = (.6, .6 + |dy*|) 1/√outputs,    1 = (1, ..., 1)

The theory knows the data by X = |dx|² and S = |dy*|² alone, whatever the numbers of inputs and outputs; here X = 1, S = 1/2.
Source: van Rossem and Saxe, "When Representations Align" (arXiv:2402.09142), settings of the authors' code.
"""

import numpy as np

from ..record import check, record, static, traced
from .points import Data, Dataset, Points, without_test


@record
class TwoPoints(Data):
    """Two points at chosen distances, classes 0 and 1."""

    dx: float = traced(1.0, "distance |dx| of the two inputs", low=1e-6)
    dy: float = traced(0.5**0.5, "distance |dy*| of the two targets", low=0.0)
    inputs: int = static(1, "input dimensions", low=1.0)
    outputs: int = static(1, "output dimensions", low=1.0)

    def load(self) -> Dataset:
        """The two points, no test set; `ValueError` if a field is outside its range."""
        check(self)
        x = np.array([[-1.0], [-1.0 + self.dx]]) * np.full(self.inputs, self.inputs**-0.5)
        y = np.array([[0.6], [0.6 + self.dy]]) * np.full(self.outputs, self.outputs**-0.5)
        return without_test(Points(x, y, np.arange(2, dtype=np.int64)))
