"""Counts of paths on tensors, in three arithmetics, stored once where they are equal.

Every operation of a network acts on counts as a map with entries 0 and 1: sums over axes, copies, shifted windows. Counts of channels
or units that nothing tells apart stay one number, so that whole convolutional networks need one spatial map per tensor. Counts exceed
floating point (2^3229 for EfficientNetV2-L): integers of Python are exact; log₂ C in float64 has a relative error of about 1e-16 per
sum; residues modulo primes below 2³¹ are exact and fast on large arrays, and the Chinese remainder theorem recombines them.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
"""Positions along an axis before and after a map, in groups within which no position occurs twice."""


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A semiring: how counts add, multiply, add up along axes and are counted n times."""

    dtype: Any
    zero: Any
    one: Any
    add: Callable[[Any, Any], Any]
    product: Callable[[Any, Any], Any]
    total: Callable[[np.ndarray, tuple[int, ...]], Any]
    times: Callable[[np.ndarray, int], np.ndarray]
    gather: Callable[[np.ndarray, np.ndarray, np.ndarray], None]
    """`gather(out, places, values)` adds values to out[places], places repeated or not."""


def _log_total(values: np.ndarray, axes: tuple[int, ...]) -> Any:
    largest = np.max(values, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.log2(np.sum(np.exp2(values - shift), axis=axes)) + np.squeeze(shift, axes)


EXACT = Numbers(object, 0, 1, np.add, np.multiply, lambda v, axes: np.sum(v, axis=axes), np.multiply, np.add.at)
"""Integers of Python."""
LOG = Numbers(float, -np.inf, 0.0, np.logaddexp2, np.add, _log_total, lambda v, n: v + (math.log2(n) if n else -np.inf), np.logaddexp2.at)
"""log₂ of the counts; 0 is -∞."""


SUPPORT = Numbers(
    bool, False, True, np.logical_or, np.logical_and, lambda v, axes: np.any(v, axis=axes), lambda v, n: v & bool(n), np.logical_or.at
)
"""Whether there is any."""


def residues(p: int) -> Numbers:
    """Counts modulo a prime p < 2³¹."""

    def gather(out: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
        np.add.at(out, places, values)
        out %= p

    return Numbers(
        np.int64,
        0,
        1,
        lambda a, b: (a + b) % p,
        lambda a, b: a * b % p,
        lambda v, axes: np.sum(v, axis=axes) % p,
        lambda v, n: v * (n % p) % p,
        gather,
    )


@functools.cache
def primes(bits: int) -> tuple[int, ...]:
    """The largest primes below 2³¹, as many as a product above 2^bits needs."""
    small = np.arange(3, 46341, 2)
    out, product, candidate = [], 1, 2**31 - 1
    while product.bit_length() <= bits:
        if np.all(candidate % small):
            out.append(candidate)
            product *= candidate
        candidate -= 2
    return tuple(out)


def recombine(values: Sequence[np.ndarray], moduli: Sequence[int]) -> np.ndarray:
    """The integers with these residues: x = Σ r_i M_i (M_i⁻¹ mod p_i) mod M, M_i = M/p_i."""
    modulus = math.prod(moduli)
    others = [modulus // p for p in moduli]
    parts = [r.astype(object) * (m * pow(m, -1, p)) for r, p, m in zip(values, moduli, others, strict=True)]
    return np.asarray(functools.reduce(np.add, parts) % modulus, object)


@dataclasses.dataclass(frozen=True)
class Counts:
    """One count for each entry of a tensor of this shape; `values` has length 1 along axes where all counts are equal."""

    numbers: Numbers
    values: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def full(cls, numbers: Numbers, value: Any, shape: Sequence[int]) -> "Counts":
        """The same count everywhere."""
        return cls(numbers, np.full((1,) * len(shape), value, numbers.dtype), tuple(shape))

    def __add__(self, other: "Counts") -> "Counts":
        return self._with(self.numbers.add(self.values, other.values), self.shape)

    def __mul__(self, other: "Counts") -> "Counts":
        """Products of counts, shapes broadcast as arrays do."""
        return self._with(self.numbers.product(self.values, other.values), np.broadcast_shapes(self.shape, other.shape))

    def _with(self, values: Any, shape: Sequence[int]) -> "Counts":
        return Counts(self.numbers, np.asarray(values, self.numbers.dtype), tuple(shape))

    def along(self, *axes: int) -> np.ndarray:
        """`values` with these axes at full length."""
        return np.broadcast_to(
            self.values, [n if a in axes else m for a, (n, m) in enumerate(zip(self.shape, self.values.shape, strict=True))]
        )

    def where(self, support: "Counts") -> "Counts":
        """The same where `support` is true, elsewhere 0; shapes broadcast."""
        n = self.numbers
        return self * Counts(n, np.where(support.values, n.one, n.zero).astype(n.dtype), support.shape)

    @property
    def view(self) -> np.ndarray:
        """An array of the tensor's shape, read-only, equal counts stored once."""
        return np.broadcast_to(self.values, self.shape)

    def total(self, axes: Iterable[int]) -> "Counts":
        """Sums over axes."""
        axes = tuple(axes)
        if not axes:
            return self
        constant = math.prod(self.shape[a] for a in axes if self.values.shape[a] == 1)
        values = np.asarray(self.numbers.total(self.values, axes), self.numbers.dtype)
        values = values if constant == 1 else self.numbers.times(values, constant)
        return self._with(values, [n for a, n in enumerate(self.shape) if a not in axes])

    def spread(self, axes: Iterable[int], lengths: Iterable[int]) -> "Counts":
        """Copies along new axes, at these places of the new shape: the transpose of `total`."""
        shape, axes = list(self.shape), tuple(axes)
        for axis, length in sorted(zip(axes, lengths, strict=True)):
            shape.insert(axis, length)
        return self._with(np.expand_dims(self.values, axes), shape)

    def permuted(self, order: Sequence[int]) -> "Counts":
        """Axes in another order."""
        return self._with(self.values.transpose(order), [self.shape[a] for a in order])

    def reshaped(self, shape: Sequence[int]) -> "Counts":
        """Another shape of as many entries; axes along which counts are equal stay so where the two shapes can be matched."""
        shape = tuple(shape)
        partial, new = [], []
        for old_axes, new_axes in _matched(self.shape, shape):
            constant = all(self.values.shape[a] == 1 for a in old_axes)
            partial += [1 if constant else self.shape[a] for a in old_axes]
            new += [1 if constant else shape[a] for a in new_axes]
        return self._with(np.broadcast_to(self.values, partial).reshape(new), shape)

    def mapped(self, axis: int, length: int, pairs: Pairs) -> "Counts":
        """Counts at positions `before` of an axis added to positions `after` of one of another length."""
        values = np.moveaxis(self.along(axis), axis, 0)
        out = np.full((length, *values.shape[1:]), self.numbers.zero, self.numbers.dtype)
        for before, after in pairs:
            out[after] = self.numbers.add(out[after], values[before])
        return self._with(np.moveaxis(out, 0, axis), [length if a == axis else n for a, n in enumerate(self.shape)])

    def moved(self, before: np.ndarray, after: np.ndarray, shape: Sequence[int]) -> "Counts":
        """Entries `before` (flat) added to entries `after` (flat) of a tensor of that shape."""
        out = np.full(math.prod(shape), self.numbers.zero, self.numbers.dtype)
        self.numbers.gather(out, after, self.view.reshape(-1)[before])
        return self._with(out.reshape(shape), shape)


def _matched(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Shortest groups of neighbouring axes of the two shapes that hold as many entries."""
    if 0 in old:
        return [([*range(len(old))], [*range(len(new))])]
    groups, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        a, b, before, after = [], [], 1, 1
        while not (a or b) or before != after:
            if j >= len(new) or (i < len(old) and before <= after):
                a.append(i)
                before *= old[i]
                i += 1
            else:
                b.append(j)
                after *= new[j]
                j += 1
        groups.append((a, b))
    return groups
