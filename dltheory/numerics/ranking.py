"""Do two quantities order the same things alike, and how sure is that?

Kendall's τ-b and Spearman's ρ are one coefficient, Σ_ij a_ij b_ij / √(Σ a_ij² Σ b_ij²), of two scores of pairs (Daniels 1944):

    τ-b   a_ij = sign(x_i - x_j)                       ties count 0, above and below
    ρ     a_ij = r_i - r_j, r_i = Σ_j sign(x_i - x_j)/2 the average rank less its mean

so that 2000 resamples of some tens of things take 0.1 s. All is on the host, takes arrays (n,) whose first axis is the thing ranked
(an architecture), and is nan where an order is not defined: all values of one array equal, or fewer than two things.
Sources: Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945) 239; Daniels, "The relation between measures of
correlation in the universe of sample permutations", Biometrika 33 (1944) 129; Efron & Tibshirani, "An Introduction to the Bootstrap"
(1993), sections 6 and 13.3; Holm, Scandinavian Journal of Statistics 6 (1979) 65.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..record import array, record

Statistic = Callable[..., float]
"""A number of arrays that share their first axis; nan where it is not defined."""


@record
class RankCorrelation:
    """A statistic of things ranked, with its bootstrap interval."""

    value: Any = array("the statistic of all things")
    low: Any = array("2.5 % of the resamples lie below")
    high: Any = array("2.5 % of the resamples lie above")
    standard_error: Any = array("standard deviation of the resamples")
    degenerate: Any = array("share of the resamples left out because the statistic is not defined on them, all ranks being tied")


def kendall(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's τ-b of x (n,) and y (n,): concordant less discordant pairs, over √(pairs untied in x · pairs untied in y).

    Raises ValueError for arrays that are not finite or not of one length.
    """
    return _cosine(*(_signs(v) for v in _arrays(x, y)))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's ρ of x (n,) and y (n,): the correlation of average ranks. Raises as `kendall` does."""
    return _cosine(*(_centred_ranks(v) for v in _arrays(x, y)))


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> float:
    """Spearman's ρ of x and y, other variables `given` (n,) or (n, k) being held fixed.

    The ranks of x and y are regressed on the ranks of what is given and on a constant; the residuals are correlated. With one
    variable z this is (ρ_xy - ρ_xz ρ_yz) / √((1 - ρ_xz²)(1 - ρ_yz²)); with more, -P_xy/√(P_xx P_yy) of P, the inverse of all ranks'
    correlation matrix (Kim, "ppcor", Communications for Statistical Applications and Methods 22 (2015) 665, eqs. 2 and 3).
    It is nan where what is given fixes the order of x or of y. Raises as `kendall` does.
    """
    x, y, *others = _arrays(x, y, *np.atleast_2d(np.asarray(given, float).T))
    z = np.stack([_centred_ranks(v) for v in others], axis=1)
    ranks = np.stack([_centred_ranks(x), _centred_ranks(y)], axis=1)
    left = ranks - z @ np.linalg.lstsq(z, ranks)[0]
    left[:, np.sum(left**2, axis=0) <= 1e-20 * np.sum(ranks**2, axis=0)] = 0
    return _cosine(left[:, 0], left[:, 1])


def win_rate(a: ArrayLike, b: ArrayLike) -> float:
    """The share of all pairs in which one of a (n,) exceeds one of b (m,), ties counting half: Mann and Whitney's U/(n m)."""
    a, b = (np.asarray(v, float) for v in (a, b))
    return float(np.mean(np.sign(a[:, None] - b[None]) + 1) / 2) if a.size and b.size else math.nan


def bootstrap(
    statistic: Statistic, *arrays: ArrayLike, resamples: int = 2000, seed: int = 0, groups: ArrayLike | None = None
) -> RankCorrelation:
    """`statistic(*arrays)` and its 95 % percentile interval under resampling with replacement of what is ranked, the first axis.

    With labels `groups` (n,) each group is resampled within itself and keeps its size. Something drawn twice is tied with itself and
    so takes no part in τ-b. Resamples on which the statistic is nan are left out; their share is `degenerate`, and without two others
    the interval is nan.
    Raises ValueError for arrays that do not share their first axis.
    """
    data = [np.asarray(a) for a in arrays]
    n = len(data[0])
    labels = np.zeros(n) if groups is None else np.asarray(groups)
    if {len(a) for a in [*data, labels]} != {n}:
        raise ValueError(f"arrays={[len(a) for a in data]}, groups={len(labels)}: must be of one length")
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = np.concatenate([m[rng.integers(len(m), size=(resamples, len(m)))] for m in members], axis=1)
    made = np.array([statistic(*(a[one] for a in data)) for one in drawn])
    good = made[~np.isnan(made)]
    low, high, error = (*np.percentile(good, [2.5, 97.5]), np.std(good, ddof=1)) if len(good) > 1 else [math.nan] * 3
    return RankCorrelation(statistic(*data), float(low), float(high), float(error), 1 - len(good) / resamples)


def permutation_p(
    statistic: Statistic, x: ArrayLike, y: ArrayLike, permutations: int = 2000, seed: int = 0, groups: ArrayLike | None = None
) -> float:
    """Two-sided p-value of `statistic(x, y)` if x does not matter: (1 + permutations of x that do not lie nearer 0)/(1 + permutations).

    With labels `groups` (n,) only members of a group change places. Counting the data as one permutation keeps the test exact
    (Phipson & Smyth, arXiv:1603.05766). It is 1 where the statistic is nan.
    """
    x, y = np.asarray(x), np.asarray(y)
    labels = np.zeros(len(x)) if groups is None else np.asarray(groups)
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = abs(statistic(x, y))
    if math.isnan(found):
        return 1.0
    exceeds = 0
    for _ in range(permutations):
        moved = x.copy()
        for m in members:
            moved[m] = x[rng.permutation(m)]
        exceeds += abs(statistic(moved, y)) >= found * (1 - 1e-12)
    return (1 + exceeds) / (1 + permutations)


def holm(p_values: ArrayLike) -> np.ndarray:
    """p-values (m,) of m tests adjusted so that P(any true hypothesis has one below α) ≤ α, whatever their dependence.

    Sorted, the k-th becomes max_{j ≤ k} min(1, (m - j + 1) p_j). Raises ValueError for values outside [0, 1].
    """
    p = np.asarray(p_values, float)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"p_values={p.tolist()}: must be in [0, 1]")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    return adjusted


def split_half(measured: ArrayLike, statistic: Statistic = kendall, splits: int = 200, seed: int = 0) -> float:
    """How well measurements (n, seeds) rank like themselves: the statistic between the means of two halves of the seeds.

    It is averaged over all splits, or over that many random ones if there are more; of an odd number of seeds one half has one more.
    This is the noise ceiling for a score: half the seeds predict the other half no better. A perfect score can exceed it a little
    against the mean of all seeds, which is less noisy. Splits where the statistic is nan are left out.
    Raises ValueError for fewer than two seeds.
    """
    x = np.asarray(measured, float)
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(f"measured={x.shape}: must be (n, seeds) with 2 seeds or more")
    seeds, half = x.shape[1], x.shape[1] // 2
    rng = np.random.default_rng(seed)
    every: Sequence[Any] = list(itertools.combinations(range(seeds), half)) if math.comb(seeds, half) <= splits else []
    firsts = every or [rng.permutation(seeds)[:half] for _ in range(splits)]
    made = [statistic(x[:, f].mean(1), np.delete(x, f, 1).mean(1)) for f in map(list, firsts)]
    good = [m for m in made if not math.isnan(m)]
    return float(np.mean(good)) if good else math.nan


def _arrays(*values: ArrayLike) -> list[np.ndarray]:
    made = [np.asarray(v, float) for v in values]
    if {v.shape for v in made} != {(made[0].size,)}:
        raise ValueError(f"arrays={[v.shape for v in made]}: must be of one shape (n,)")
    if not all(np.isfinite(v).all() for v in made):
        raise ValueError("arrays=nan or inf: must be finite")
    return made


def _signs(x: np.ndarray) -> np.ndarray:
    return np.sign(x[:, None] - x[None])


def _centred_ranks(x: np.ndarray) -> np.ndarray:
    return _signs(x).sum(1) / 2


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = math.sqrt(np.sum(a * a) * np.sum(b * b))
    return float(np.sum(a * b)) / norm if norm else math.nan
