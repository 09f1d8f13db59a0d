"""Counts of contexts as a histogram: how many parameters have each count, at any size.

A large network has millions of parameters and a few hundred different counts C, of thousands of bits. All that is said of them is
a sum over classes (C_i, m_i) of equal parameters: N_G = Σ m_i, Z = Σ m_i C_i, p_i = m_i C_i / Z. In the words of statistical
mechanics m_i is the degeneracy of the level E_i = ln C_i, and the histogram is the density of states.

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011; theory page 1.1, 1.2 and 2.1.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

ROUNDING = 1e-9
"""Logarithms of counts this close to 0 are those of one context."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Classes of parameters with equal counts, from the smallest count to the largest; parameters without a context are not in it.

    `counts` are the exact C_i where they are known, `log2` their logarithms: those of integers of any size are exact to rounding.
    """

    log2: Float[np.ndarray, "classes"]
    multiplicity: Int[np.ndarray, "classes"]
    counts: tuple[int, ...] | None = None

    @classmethod
    def of(cls, counts: Any) -> "Histogram":
        """Classes of a pytree of counts, of a mapping {count: number of parameters}, or of a histogram, which stays as it is.

        Arrays of integers, NumPy's or Python's, are counts C; arrays of floats are log2 C, with -inf for none, and make all counts
        logarithms. Axes along which a view repeats itself (stride 0) are multiplied and never walked along.
        `ValueError` for counts that are negative or no numbers, and where no parameter has a context.
        """
        if isinstance(counts, Histogram):
            return counts
        if isinstance(counts, Mapping) and counts and all(isinstance(x, Integral) for pair in counts.items() for x in pair):
            return _exact(counts.items())
        leaves = [_distinct(np.asarray(leaf)) for leaf in jax.tree.leaves(counts)]
        if all(values.dtype.kind in "iuO" for values, _ in leaves):
            return _exact(pair for values, repeats in leaves for pair in _integers(values, repeats))
        return _logarithms(leaves)

    @property
    def parameters(self) -> int:
        """N_G, the number of distinct parameters with a context."""
        return int(self.multiplicity.sum())

    @property
    def energies(self) -> Float[np.ndarray, "classes"]:
        """E_i = ln C_i in nats."""
        return self.log2 * math.log(2)

    @property
    def partition(self) -> int | None:
        """Z = Σ m_i C_i, where counts are exact."""
        return None if self.counts is None else sum(m * c for m, c in zip(self.multiplicity.tolist(), self.counts, strict=True))

    @property
    def log_partition(self) -> float:
        """log2 Z."""
        if self.partition is not None:
            return math.log2(self.partition)
        largest = self.log2[-1]
        return float(largest + np.log2(np.sum(self.multiplicity * np.exp2(self.log2 - largest))))

    @property
    def probabilities(self) -> Float[np.ndarray, "classes"]:
        """p_i = m_i C_i / Z of each class; 0 where it is below the smallest float."""
        Z = self.partition
        if Z is None or self.counts is None:
            return self.multiplicity * np.exp2(self.log2 - self.log_partition)
        return np.array([m * c / Z for m, c in zip(self.multiplicity.tolist(), self.counts, strict=True)])


def _distinct(leaf: np.ndarray) -> tuple[np.ndarray, int]:
    """The part of an array that does not repeat itself, and how often it does."""
    repeated = [size > 1 and stride == 0 for size, stride in zip(leaf.shape, leaf.strides, strict=True)]
    part = leaf[tuple(0 if r else slice(None) for r in repeated)]
    return np.asarray(part, leaf.dtype), math.prod(size for size, r in zip(leaf.shape, repeated, strict=True) if r)


def _integers(values: np.ndarray, repeats: int) -> Iterable[tuple[int, int]]:
    if values.dtype == object:
        return ((c, repeats * m) for c, m in Counter(values.ravel().tolist()).items())
    different, times = np.unique(values, return_counts=True)
    return zip(different.tolist(), (repeats * times).tolist(), strict=True)


def _pooled(pairs: Iterable[tuple[Any, Any]]) -> dict[int, int]:
    """{count: multiplicity}, smallest count first, without parameters that have no context."""
    total: Counter[int] = Counter()
    for count, multiplicity in pairs:
        if not isinstance(count, Integral) or count < 0 or multiplicity < 0:
            raise ValueError(f"counts={count}: must be an integer ≥ 0, of a number of parameters ≥ 0, here {multiplicity}")
        total[int(count)] += int(multiplicity)
    return {c: total[c] for c in sorted(total) if c and total[c]}


def _exact(pairs: Iterable[tuple[Any, Any]]) -> Histogram:
    pooled = _pooled(pairs)
    _check_some(pooled)
    return Histogram(np.array([math.log2(c) for c in pooled]), np.array(list(pooled.values())), tuple(pooled))


def _logarithms(leaves: list[tuple[np.ndarray, int]]) -> Histogram:
    """Of leaves some or all of which are log2 C."""
    values, multiplicity = (np.concatenate(parts) for parts in zip(*map(_as_logarithms, leaves), strict=True))
    some = values > -np.inf
    kept, which = np.unique(values[some], return_inverse=True)
    _check_some(kept)
    total = np.zeros(kept.size, int)
    np.add.at(total, which, multiplicity[some])
    return Histogram(kept, total)


def _as_logarithms(leaf: tuple[np.ndarray, int]) -> tuple[np.ndarray, np.ndarray]:
    values, repeats = leaf
    if values.dtype.kind in "iuO":
        pooled = _pooled(_integers(values, repeats))
        return np.array([math.log2(c) for c in pooled]), np.array(list(pooled.values()), int)
    different, times = np.unique(_checked(values), return_counts=True)
    return different, repeats * times


def _checked(log2: np.ndarray) -> np.ndarray:
    """log2 C as a flat array of float64; what rounding takes from log2 1 is put back."""
    if log2.dtype.kind != "f":
        raise ValueError(f"counts={log2.dtype}: must be arrays of integers, or of floats that are log2 of counts")
    flat = log2.astype(float).ravel()
    bad = flat[~((flat > -ROUNDING) | (flat == -np.inf)) | (flat == np.inf)]
    if bad.size:
        raise ValueError(f"counts={bad[0]:g}: log2 of a count must be finite and ≥ 0, or -inf for no context")
    return np.where(np.abs(flat) < ROUNDING, 0.0, flat)


def _check_some(kept: Any) -> None:
    if not len(kept):
        raise ValueError("counts={}: must have at least one parameter with a context")
