"""How mutual information decays with distance in a sequence: counted pairs, three estimators, two floors.

n_ab(d) counts how often b follows a at distance d, over all positions of all sequences; K symbols, N pairs, p = n/N. In nats,

    plug-in       I = Σ p_ab ln [p_ab / p_a p_b],        biased by +(K-1)² / 2N where the two are independent
    Grassberger   I = S_a + S_b - S_ab,                  S = ln N - (1/N) Σ n ψ(n)
    rational      I_R = Σ p_ab² / p_a p_b - 1 ≥ I,       I_R → 2I when the dependence is weak

ψ is the digamma function; it corrects for independent pairs only, so that where symbols stay alike for long a bias remains. The
floor of an estimate is what it gives where there is nothing to find: for the same symbols in random order, and for a Markov chain
with the same pairs of neighbours. A tree with q λ2² > 1 (k < 2) does not average itself: the frequencies within one tree are random
however large it is, so that counts must be pooled over many trees.
Source: Lin & Tegmark (arXiv:1606.06737), section II and appendix; Grassberger, "Entropy estimates from insufficient samplings"
(physics/0307138); bias: Miller (1955).
"""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64, Integer

from ..numerics import Estimate, mutual_information, rational_mutual_information
from ..record import Number, array, record
from .sequences import bigram

CHUNK = 2**14
"""Positions counted at a time: what they need stays in the cache."""


@record
class Dependence:
    """Information in two measures; I ≤ I_R."""

    information: Number = array("I", "nat")
    rational: Number = array("I_R", "nat")


@record
class Decay:
    """Mutual information at some distances, and its two floors."""

    information: Estimate = array("I(d), Grassberger; error: bootstrap over sequences, or blocks of one", "nat")
    shuffled: Estimate = array("the same of the symbols in random order", "nat")
    surrogate: Estimate = array("the same of Markov chains with the same pairs of neighbours", "nat")


def decay(
    random: np.random.Generator,
    symbols: Integer[np.ndarray, "sequences length"],
    distances: Integer[np.ndarray, "distance"],
    alphabet: int,
    groups: int = 32,
    floors: int = 4,
) -> Decay:
    """Measure sequences of `alphabet` symbols, with the error from resampling `groups` parts, and each floor `floors` times."""
    measure = lambda x: np.asarray(grassberger(pair_counts(x, distances, alphabet)[0]))
    shuffled = [measure(random.permutation(np.ravel(symbols)).reshape(np.shape(symbols))) for _ in range(floors)]
    surrogate = [measure(imitate(random, symbols, distances, alphabet)) for _ in range(floors)]
    information = bootstrap(pair_counts(symbols, distances, alphabet, groups), grassberger)
    return Decay(information, Estimate.of(np.stack(shuffled)), Estimate.of(np.stack(surrogate)))


def imitate(
    random: np.random.Generator, symbols: Integer[np.ndarray, "sequences length"], distances: Integer[np.ndarray, "distance"], alphabet: int
) -> Integer[np.ndarray, "parts part"]:
    """About as many symbols of the chain `sequences.bigram`, in up to 256 parts at least 20 times as long as the largest distance."""
    rows, length = np.shape(symbols)
    parts = max(1, min(256, length // (20 * int(np.max(distances)))))
    return bigram(symbols, alphabet).sample(random, rows * parts, length // parts)


def pair_counts(
    symbols: Integer[np.ndarray, "sequences length"], distances: Integer[np.ndarray, "distance"], alphabet: int, groups: int = 1
) -> Int64[np.ndarray, "groups distance alphabet alphabet"]:
    """n_ab(d) of each of `groups` parts that add up to the whole: of the sequences, or, if these are fewer, of the positions of a.

    O(symbols · distances) time and O(groups · distances · alphabet²) memory. `ValueError` if a symbol is not in 0 … alphabet - 1, a
    distance not in 1 … length - 1, or there are more groups than positions.
    """
    x, d = np.asarray(symbols), np.asarray(distances)
    rows, length = x.shape
    if np.min(x) < 0 or np.max(x) >= alphabet:
        raise ValueError(f"symbols={np.min(x)} … {np.max(x)}: must be in 0 … {alphabet - 1}")
    if np.min(d) < 1 or np.max(d) >= length:
        raise ValueError(f"distances={np.min(d)} … {np.max(d)}: must be in 1 … {length - 1}")
    if not 1 <= groups <= max(rows, length):
        raise ValueError(f"groups={groups}: must be in 1 … {max(rows, length)}")
    counts = np.zeros((groups, len(d), alphabet**2), np.int64)
    for group, some, start, stop in _chunks(rows, length, groups):
        first = x[some, start:stop].astype(np.intp) * alphabet
        window = x[some, start : stop + np.max(d)].astype(np.intp)
        for j, distance in enumerate(d):
            pairs = max(0, min(stop, length - distance) - start)
            both = first[:, :pairs] + window[:, distance : distance + pairs]
            counts[group, j] += np.bincount(both.ravel(), minlength=alphabet**2)
    return counts.reshape(groups, len(d), alphabet, alphabet)


def _chunks(rows: int, length: int, groups: int) -> Iterator[tuple[int, slice, int, int]]:
    """Group, rows, first and last position of pieces of at most `CHUNK` symbols."""
    by_rows = groups <= rows
    edges = np.linspace(0, rows if by_rows else length, groups + 1).astype(int)
    for group in range(groups):
        low, high = edges[group : group + 2]
        top, bottom, left, right = (low, high, 0, length) if by_rows else (0, rows, low, high)
        height = max(1, CHUNK // (right - left))
        for row in range(top, bottom, height):
            for start in range(left, right, CHUNK):
                yield group, slice(row, min(row + height, bottom)), start, min(start + CHUNK, right)


@jax.jit
def dependence(joint: Float[Array | np.ndarray, "*distance first second"]) -> Dependence:
    """I and I_R of joint distributions."""
    each = lambda measure: jnp.vectorize(measure, signature="(a,b)->()")(jnp.asarray(joint))
    return Dependence(each(mutual_information), each(rational_mutual_information))


def plug_in(counts: Integer[Array | np.ndarray, "*distance alphabet alphabet"]) -> Dependence:
    """I and I_R of the frequencies."""
    n = jnp.asarray(counts, float)
    return dependence(n / n.sum((-2, -1), keepdims=True))


@jax.jit
def grassberger(counts: Integer[Array | np.ndarray, "*distance alphabet alphabet"]) -> Float[Array, "*distance"]:
    """I with the entropies corrected for finite counts, in nats; it may fall below 0."""
    n = jnp.asarray(counts, float)
    return _entropy(n.sum(-1), (-1,)) + _entropy(n.sum(-2), (-1,)) - _entropy(n, (-2, -1))


def independent_bias(alphabet: int, pairs: Number) -> Number:
    """(K-1)² / 2N in nats: what the plug-in estimate is above 0 where there is no information."""
    return (alphabet - 1) ** 2 / (2 * pairs)


def bootstrap(counts: Number, statistic: Callable[..., Number], resamples: int = 200) -> Estimate:
    """`statistic` of the sum of counts (groups, …), and its standard deviation over groups drawn with replacement (Efron 1979).

    The draw is the same at each call. Where there is no information the error of I comes out √3 times too large.
    """
    parts = np.asarray(counts)
    groups, flat = len(parts), parts.reshape(len(parts), -1)
    weights = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    drawn = [np.asarray(statistic((w @ flat).reshape(parts.shape[1:]))) for w in weights]
    mean = np.asarray(statistic(parts.sum(0)))
    return Estimate(mean, np.std(drawn, axis=0, ddof=1), np.full(mean.shape, groups))


def straightness(distance: Number, information: Number) -> tuple[float, float]:
    """Root mean square deviation of ln I from a straight line in ln d (a power law) and in d (an exponential), on the host."""
    d, y = np.asarray(distance, float), np.log(np.asarray(information))
    miss = lambda x: float(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))
    return miss(np.log(d)), miss(d)


def _entropy(n, axes):
    total = n.sum(axes)
    return jnp.log(total) - jnp.sum(jnp.where(n > 0, n * jax.scipy.special.digamma(jnp.maximum(n, 1.0)), 0.0), axes) / total
