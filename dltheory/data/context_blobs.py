"""A blob seen in one of two contexts: its place across counts in one, its place up in the other.

A blob centred at c is the image e^{-r²/2}, r the distance from c, on a square grid of pixels in [-1, 1]², normalised to sum 1. Its
centres are a square grid in [-1, 1]² as well. Inputs are the pixels and the context, one-hot; the one target is c₁ in context 0
and c₂ in context 1; the class is the context.
Source: after Flesch et al., "Orthogonal representations for robust context-dependent task performance in brains and neural networks"
(2022), as in the code of van Rossem and Saxe (arXiv:2402.09142): 5 × 5 pixels, 30 × 30 centres, 1,800 examples.
"""

import numpy as np
from jaxtyping import Float64

from ..record import check, record, static
from .points import Data, Dataset, Points, without_test


@record
class ContextBlobs(Data):
    """Gaussian blobs in two contexts, all centres of context 0 first."""

    side: int = static(30, "centres along each side of the square", low=2)
    pixels: int = static(5, "pixels along each side of the image", low=2)
    batch: int = static(64, "examples per training step, 0: all", low=0)

    def load(self) -> Dataset:
        """All examples, no test set; `ValueError` if a field is outside its range."""
        check(self)
        centres, grid = square(self.side), square(self.pixels)
        blobs = np.exp(-np.sum((centres[:, None] - grid[None]) ** 2, axis=-1) / 2)
        blobs /= blobs.sum(axis=1, keepdims=True)
        context = np.repeat(np.arange(2, dtype=np.int64), len(blobs))
        x = np.concatenate([np.tile(blobs, (2, 1)), np.eye(2)[context]], axis=1)
        return without_test(Points(x, centres.T.reshape(-1, 1), context))


def square(side: int) -> Float64[np.ndarray, "points 2"]:
    """A square grid of `side`² points in [-1, 1]², the second coordinate running fastest."""
    line = np.linspace(-1, 1, side)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
