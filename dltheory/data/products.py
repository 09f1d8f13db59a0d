"""n numbers and their product, the function that is cheap in depth and dear in width.

Numbers uniform on [0, 2] have a product of mean 1 and second moment (4/3)^n; its logarithm has mean n (ln 2 - 1), so that most
products of many numbers are tiny and their mean is that of a few large ones: at n = 20 the median is .003 and 61 % lie below .01. The
product of n signs is their parity, which two layers represent and descent learns only where it sees a good part of all inputs.
Source: Rolnick & Tegmark, "The power of deeper networks for expressing natural functions" (arXiv:1705.05502), figure 2.
"""

import numpy as np

from ..record import check, record, static
from .points import Data, Dataset, Points


@record
class Products(Data):
    """Independent numbers and their product; the class is whether the product reaches 1."""

    factors: int = static(6, "numbers n", low=1, high=1000)
    numbers: str = static("uniform", "uniform on [0, 2], or signs ±1", choices=("uniform", "signs"))
    points: int = static(8192, "training points", low=1)
    test: int = static(8192, "points held out", low=0)
    batch: int = static(256, "points per training step, 0: all", low=0)
    seed: int = static(0, "names the draw", low=0, high=2**32 - 1)

    def load(self) -> Dataset:
        """The points, drawn from `seed`; `ValueError` if a field is outside its range."""
        check(self)
        random = np.random.default_rng(self.seed)
        shape = (self.points + self.test, self.factors)
        x = random.uniform(0, 2, shape) if self.numbers == "uniform" else random.choice([-1.0, 1.0], shape)
        y = x.prod(1, keepdims=True)
        parts = (Points(x[rows], y[rows], (y[rows, 0] >= 1).astype(np.int64)) for rows in np.split(np.arange(len(x)), [self.points]))
        return Dataset(*parts)
