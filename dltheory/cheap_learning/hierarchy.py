"""A Markov hierarchy x_0 → x_1 → … → x_n is undone one step at a time, by minimal sufficient statistics that are functions of each other.

    p(x_{i+1}) = p(x_i) M_{i+1},   p(x_i | x_{i+1}, x_{i+k}) = p(x_i | x_{i+1})                    (Markov, forwards and backwards)
    T_i(x_n) = class of the outcomes x_n with equal p(x_i | x_n),   I(x_i; T_i) = I(x_i; x_n)      (sufficient, and the coarsest such map)
    T_{i-1} = f_i(T_i),   p(x_0 | x_n) = f_0(f_1(… f_{n-1}(T_{n-1}(x_n)))),   f_0(T_0) = p(x_0 | T_0)

Kernels are row-stochastic, M[a, b] = p(b | a), the transpose of the paper's matrices that act from the left. The paper prints f_0 as a
joint probability; it is the conditional one. Lin, Tegmark & Rolnick (arXiv:1608.08225), section III A-C, theorem 2 and its corollary.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..record import array, record

Joint = Float[Array | np.ndarray, "source outcome"]
Labels = Int[Array | np.ndarray, "outcome"]


@record
class Hierarchy:
    """A Markov chain whose levels have alphabets of any sizes |X_0|, …, |X_n|; host or traced arrays."""

    prior: Any = array("p(x_0), (|X_0|,)")
    kernels: tuple[Any, ...] = array("M_1, …, M_n with M_{i+1} (|X_i|, |X_{i+1}|), rows sum to 1")

    @classmethod
    def of(cls, prior: Any, kernels: Sequence[Any]) -> "Hierarchy":
        """From concrete arrays; `ValueError` unless their shapes chain and they are distributions."""
        prior, kernels = np.asarray(prior, float), tuple(np.asarray(M, float) for M in kernels)
        sizes = [len(prior), *(M.shape[1] for M in kernels)]
        for i, (M, size) in enumerate(zip(kernels, sizes, strict=False), 1):
            if M.shape[0] != size:
                raise ValueError(f"kernels: M_{i} has shape {M.shape}; must have {size} rows")
        for name, p in (("prior", prior), *((f"M_{i}", M) for i, M in enumerate(kernels, 1))):
            if (p < 0).any() or not np.allclose(p.sum(-1), 1, rtol=0, atol=1e-9):
                raise ValueError(f"{name}: must be non-negative and each row sum to 1")
        return cls(prior, kernels)

    @property
    def sizes(self) -> tuple[int, ...]:
        """|X_0|, …, |X_n|."""
        return (len(self.prior), *(M.shape[1] for M in self.kernels))

    def marginal(self, level: int) -> Any:
        """p(x_level) = p_0 M_1 … M_level, (|X_level|,)."""
        p = self.prior
        for M in self.kernels[:level]:
            p = p @ M
        return p

    def joint(self, level: int, later: int | None = None) -> Any:
        """p(x_level, x_later), (|X_level|, |X_later|); `later` is the last level unless given, and comes after `level`."""
        later = len(self.kernels) if later is None else later
        if not 0 <= level < later <= len(self.kernels):
            raise ValueError(f"level={level}, later={later}: must be increasing and in [0, {len(self.kernels)}]")
        transition = self.kernels[level]
        for M in self.kernels[level + 1 : later]:
            transition = transition @ M
        return self.marginal(level)[:, None] * transition

    def paths(self) -> Any:
        """p(x_0, x_1, …, x_n), (|X_0|, …, |X_n|): for small hierarchies."""
        p = self.prior
        for M in self.kernels:
            p = p[..., None] * M.reshape((1,) * (p.ndim - 1) + M.shape)
        return p

    def markov_gap(self) -> float:
        """Largest |p(x_i | x_{i+1}, x_j) - p(x_i | x_{i+1})| over i and j > i + 1, from `paths`: 0 but for rounding."""
        paths, gaps = np.asarray(self.paths()), []
        for i, j in itertools.combinations(range(paths.ndim), 2):
            if j > i + 1:
                three = paths.sum(tuple(k for k in range(paths.ndim) if k not in (i, i + 1, j)))
                two = posterior(three.sum(2))
                occurs = three.sum(0) > 0
                gaps.append(np.abs((posterior(three) - two[..., None])[:, occurs]).max())
        return max(gaps)

    def sample(self, key: Array, count: int) -> jax.Array:
        """`count` independent paths x_0 … x_n, (count, n + 1)."""
        first, *rest = jax.random.split(key, len(self.sizes))
        path = [jax.random.categorical(first, jnp.log(jnp.asarray(self.prior)), shape=(count,))]
        for k, M in zip(rest, self.kernels, strict=True):
            path.append(jax.random.categorical(k, jnp.log(jnp.asarray(M))[path[-1]]))
        return jnp.stack(path, 1)

    def relabelled(self, names: Sequence[np.ndarray]) -> "Hierarchy":
        """The same hierarchy with outcome a of level i called names[i][a], a permutation for each level."""
        old = [np.argsort(name) for name in names]
        kernels = tuple(M[a][:, b] for M, a, b in zip(self.kernels, old[:-1], old[1:], strict=True))
        return Hierarchy(self.prior[old[0]], kernels)


def posterior(joint: Float[Array | np.ndarray, "source *outcome"]) -> Any:
    """p(source | outcome), columns sum to 1; 0 for an outcome that never occurs."""
    xp = np if isinstance(joint, np.ndarray) else jnp
    p = joint.sum(0, keepdims=True)
    return joint / xp.where(p > 0, p, 1)


def merge(joint: Joint, labels: Labels) -> np.ndarray:
    """p(source, label) (sources, largest label + 1): the columns of each label added up, on the host."""
    from scipy.sparse import csr_array

    members = csr_array((np.ones(len(labels)), (np.asarray(labels), np.arange(len(labels)))))
    return (members @ np.asarray(joint).T).T


@record
class Statistic:
    """A function of the outcomes that keeps all they say about the source, and nothing else."""

    labels: Any = array("T of each outcome, (outcomes,), classes numbered in the order of their first outcome")
    joint: Any = array("p(source, T), (sources, classes)")

    @property
    def classes(self) -> int:
        """|T|."""
        return self.joint.shape[1]

    @property
    def posterior(self) -> np.ndarray:
        """p(source | T), (sources, classes): the function f_0 of the paper's corollary."""
        return posterior(self.joint)


def minimal_sufficient_statistic(joint: Joint, tolerance: float = 1e-10) -> Statistic:
    """T: outcomes are in one class if a chain of outcomes links them, each at most `tolerance` from the next.

    The distance of two outcomes is Σ_x |p(x|y) - p(x|y')|, so no edge of a grid splits a class, whatever the rounding. Exact, on the
    host: posteriors are sorted along a few directions r with |r_x| ≤ 1, where no gap can be wider than the distance; what these
    leave together is checked, and linked pair by pair where it is not all within `tolerance` of one outcome.
    Outcomes that never occur have no posterior and join class 0. O(|X||Y| + |Y| ln |Y|). Theorem 2 of the paper needs no more.
    """
    joint = np.asarray(joint, float)
    if joint.ndim != 2 or not tolerance > 0:
        raise ValueError(f"joint: {joint.ndim} dimensions, tolerance={tolerance}: must be 2 and positive")
    occurs = np.flatnonzero(joint.sum(0) > 0)
    q = posterior(joint if len(occurs) == joint.shape[1] else joint[:, occurs])
    found = np.zeros(len(occurs), int)
    for r in np.random.default_rng(0).uniform(-1, 1, size=(3, len(q))):
        place = r @ q
        order = np.lexsort((place, found))
        new = (np.diff(found[order]) > 0) | (np.diff(place[order]) > tolerance)
        found[order] = np.cumsum(np.r_[0, new])
    first = np.unique(found, return_index=True)[1]
    strays = np.abs(q - q[:, first[found]]).sum(0) > tolerance
    for each in np.unique(found[strays]):
        members = np.flatnonzero(found == each)
        found[members] = found.max() + 1 + _linked(q[:, members], tolerance)
    labels = np.zeros(joint.shape[1], int)
    labels[occurs] = _by_first(found)
    return Statistic(labels, merge(joint, labels))


def _linked(points, tolerance):
    """Connected components of the columns that are within `tolerance`, pair by pair."""
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial.distance import cdist

    return connected_components(cdist(points.T, points.T, "cityblock") <= tolerance)[1]


def _by_first(labels):
    """The same classes, numbered in the order of their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


@record
class Distillation:
    """T_0, …, T_{n-1} of the last level, and the maps between them."""

    statistics: tuple[Statistic, ...] = array("T_i of x_n, T_0 first")
    maps: tuple[Any, ...] = array("f_1, …, f_{n-1}: f_i (|T_i|,) is the T_{i-1} of each class of T_i")

    def compose(self, outcomes: Any) -> np.ndarray:
        """f_0(f_1(… f_{n-1}(T_{n-1}(x_n)))) = p(x_0 | x_n) of outcomes x_n, (sources, *outcomes)."""
        state = self.statistics[-1].labels[outcomes]
        for f in reversed(self.maps):
            state = f[state]
        return self.statistics[0].posterior[:, state]


def distil(hierarchy: Hierarchy, tolerance: float = 1e-10) -> Distillation:
    """All T_i, backwards: T_{n-1} from p(x_{n-1}, x_n), then f_i as the minimal sufficient statistic, for x_{i-1}, of the classes of T_i.

    p(x_{i-1}, T_i) = Σ p(x_{i-1} | x_i) p(x_i, T_i) needs one column for each class, not for each outcome: what is forgotten on the way
    is not computed with. Errors do not grow, since averages of posteriors contract distances.
    """
    top = len(hierarchy.kernels) - 1
    statistics = [minimal_sufficient_statistic(hierarchy.joint(top), tolerance)]
    maps = []
    for level in reversed(range(top)):
        backwards = posterior(np.asarray(hierarchy.joint(level, level + 1)))
        step = minimal_sufficient_statistic(backwards @ statistics[-1].joint, tolerance)
        maps.append(step.labels)
        statistics.append(Statistic(step.labels[statistics[-1].labels], step.joint))
    return Distillation(tuple(reversed(statistics)), tuple(reversed(maps)))


def refines(fine: Labels, coarse: Labels) -> bool:
    """Whether `coarse` is a function of `fine`: no class of `fine` meets two of `coarse`."""
    return len(np.unique(np.stack([fine, coarse]), axis=1).T) == len(np.unique(fine))


def invariance(labels: Labels, moves: Int[Array | np.ndarray, "move outcome"], p: Float[Array | np.ndarray, "outcome"]) -> float:
    """Probability that a move, drawn evenly, of an outcome drawn from p leaves its label: moves[m] (outcomes,) is where m takes each."""
    labels = np.asarray(labels)
    return float(((labels[moves] == labels[None]) @ np.asarray(p)).mean())


def nuisance_hierarchy(flips: Any) -> Hierarchy:
    """Level k is k + 1 bits, (x >> i) & 1: each old bit is flipped with probability flips[k], and one fair bit comes on top.

    Sizes 2, 4, 8, …, 2^{n+1} for n = len(flips). T_i are the first i + 1 bits, all that came later is nuisance.
    """
    kernels = []
    for k, eps in enumerate(flips, 1):
        outcomes = np.arange(2**k)
        changed = np.bitwise_count(outcomes[:, None] ^ outcomes).astype(float)
        flipped = eps**changed * (1 - eps) ** (k - changed)
        kernels.append((flipped[:, None] * np.full((1, 2, 1), 0.5)).reshape(2**k, 2 ** (k + 1)))
    return Hierarchy(np.full(2, 0.5), tuple(kernels))


def nuisance_information(flips: Any, level: int) -> float:
    """I(x_level; x_n) of `nuisance_hierarchy` in nats: (level + 1)(ln 2 - h((1 - θ)/2)), θ = Π (1 - 2 flips[k]) over k ≥ level."""
    return (level + 1) * bit_information(float(np.prod(1 - 2 * np.asarray(flips[level:]))))


def bit_information(theta: float) -> float:
    """ln 2 - h((1 - θ)/2): what a fair bit says about another that equals it with probability (1 + θ)/2, in nats."""
    return float((1 + theta) * np.log1p(theta) + ((1 - theta) * np.log1p(-theta) if theta < 1 else 0)) / 2


def random_hierarchy(key: Array, sizes: Sequence[int]) -> Hierarchy:
    """Prior and rows of the kernels drawn evenly from the simplex: nothing is forgotten, |T_i| = |X_n|."""
    shapes = [(sizes[0],), *itertools.pairwise(sizes)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    drawn = np.split(np.asarray(jax.random.exponential(key, (int(ends[-1]),))), ends[:-1])
    tables = [flat.reshape(shape) for flat, shape in zip(drawn, shapes, strict=True)]
    prior, *kernels = (t / t.sum(-1, keepdims=True) for t in tables)
    return Hierarchy(prior, tuple(kernels))
