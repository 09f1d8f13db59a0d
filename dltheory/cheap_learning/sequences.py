"""Sequences whose mutual information is known exactly: hidden Markov chains forget exponentially, trees as a power law.

With a row-stochastic transition matrix T of stationary law π and emissions E, two symbols τ steps apart have the joint law

    P_τ = Eᵀ diag(π) T^τ E,      I(τ) ∝ |λ2|^(2τ):  ln I falls by 2 ln(1/|λ2|) a step (the square: not by ln(1/|λ2|)),

λ2 the eigenvalue of second largest modulus; where it has modulus 1 (a cycle, say) I tends to a constant. No finite chain, hidden or
not, gives a power law. In a tree every symbol emits q children through the kernel T, and the leaves are read from left to right.
Two leaves whose last common ancestor is h levels above them have the law P_h = (T^h)ᵀ diag(π) T^h, and all pairs of leaves at
distance d together

    P_d = Σ_h w_h P_h,      w_1 + … + w_h = max(0, 1 - d/q^h) / (1 - d/q^D),

D being the depth. The path between them is about 2 log_q d steps long, so I ∝ |λ2|^(4 log_q d) = d^-k, k = 4 ln(1/|λ2|) / ln q.
Source: Lin & Tegmark, "Critical behavior in physics and probabilistic formal languages" (arXiv:1606.06737), theorems 1, 2 and
appendices; the sum over positions is ours.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer

from ..record import array, record, static

LEVELS = 50
"""Levels of a tree that stands for an infinite one."""


@record
class HiddenMarkov:
    """A stationary Markov chain of hidden states, each of which emits one symbol."""

    transition: Float[Array | np.ndarray, "state state"] = array("T, rows sum to 1, irreducible")
    emission: Float[Array | np.ndarray, "state symbol"] = array("E, rows sum to 1")

    @property
    def stationary(self) -> Float[Array, "state"]:
        """π = πT."""
        return _stationary(jnp.asarray(self.transition))

    @property
    def rate(self) -> float:
        """2 ln|λ2|, the slope of ln I against τ that the theorem predicts; on the host."""
        return 2 * math.log(second_eigenvalue(self.transition))

    @jax.jit
    def joint(self, steps: Int[Array, ""] | int) -> Float[Array, "symbol symbol"]:
        """P_τ of two symbols τ ≥ 0 steps apart."""
        E, T = jnp.asarray(self.emission), jnp.asarray(self.transition)
        return E.T @ (self.stationary[:, None] * _power(T, jnp.asarray(steps))) @ E

    def sample(self, random: np.random.Generator, sequences: int, length: int) -> Int[np.ndarray, "sequences length"]:
        """Symbols of independent stationary sequences, on the host."""
        states, moves = np.empty((length, sequences), np.int32), _edges(self.transition)
        state = _draw(random, _edges(self.stationary[None]), np.zeros(sequences, int))
        for step in range(length):
            states[step] = state
            state = _draw(random, moves, state)
        return _draw(random, _edges(self.emission), states.T)


@record
class Tree:
    """A grammar that rewrites each symbol as `branching` symbols, each drawn from the row of its parent; the root is drawn from π."""

    kernel: Float[Array | np.ndarray, "symbol symbol"] = array("T, rows sum to 1, irreducible")
    branching: int = static(2, "children q of each symbol", low=2)

    @property
    def exponent(self) -> float:
        """k = 4 ln(1/|λ2|) / ln q of I ∝ d^-k; on the host."""
        return 4 * math.log(1 / second_eigenvalue(self.kernel)) / math.log(self.branching)

    @jax.jit
    def joint(self, distance: Int[Array, ""] | int, depth: Int[Array, ""] | int | None = None) -> Float[Array, "symbol symbol"]:
        """P_d of all pairs of leaves `distance` ≥ 1 apart, of one tree of `depth` levels or of an infinite one."""
        T, q = jnp.asarray(self.kernel), float(self.branching)
        d, leaves = jnp.asarray(distance, float), math.inf if depth is None else q ** jnp.asarray(depth, float)
        within = jnp.clip((1 - d / q ** jnp.arange(LEVELS + 1.0)) / (1 - d / leaves), 0, 1)
        pi = _stationary(T)

        def level(power, weight):
            power = power @ T
            return power, weight * (power.T @ (pi[:, None] * power))

        return jnp.sum(jax.lax.scan(level, jnp.eye(len(T)), jnp.diff(within))[1], axis=0)

    def sample(self, random: np.random.Generator, trees: int, depth: int) -> Int[np.ndarray, "trees leaves"]:
        """The q^depth leaves of independent trees, on the host."""
        kernel = _edges(self.kernel)
        symbols = _draw(random, _edges(_stationary(jnp.asarray(self.kernel))[None]), np.zeros((trees, 1), int))
        for _ in range(depth):
            symbols = _draw(random, kernel, np.repeat(symbols, self.branching, axis=1))
        return symbols


def transition_matrix(eigenvalues: Sequence[float]) -> np.ndarray:
    """A symmetric transition matrix (K, K) with eigenvalues 1 and these K - 1, and π = 1/K.

    T = 1/K + Σ_i λ_i v_i v_iᵀ with v_i ∝ (1, …, 1, -i, 0, …, 0), i ones (Helmert's basis). `ValueError` if an entry is negative.
    """
    K = len(eigenvalues) + 1
    T = np.full((K, K), 1 / K)
    for i, value in enumerate(eigenvalues, 1):
        v = np.concatenate([np.ones(i), [-i], np.zeros(K - 1 - i)]) / math.sqrt(i * (i + 1))
        T += value * np.outer(v, v)
    if np.min(T) < -1e-12:
        raise ValueError(f"eigenvalues={tuple(eigenvalues)}: must leave all entries ≥ 0, the least is {np.min(T):.3g}")
    return np.maximum(T, 0)


def markov(transition: Float[Array | np.ndarray, "state state"]) -> HiddenMarkov:
    """The chain that shows its states."""
    return HiddenMarkov(transition, np.eye(len(transition)))


def critical_tree(exponent: float, branching: int = 2) -> Tree:
    """The tree of two symbols with I ∝ d^-k: λ2 = q^(-k/4)."""
    return Tree(transition_matrix([branching ** (-exponent / 4)]), branching)


def bigram(symbols: Integer[np.ndarray, "*shape"], alphabet: int) -> HiddenMarkov:
    """The chain with the frequencies of neighbouring symbols, all sequences joined to a ring: π are the frequencies of the symbols.

    `ValueError` if one of the `alphabet` symbols does not occur.
    """
    flat = np.ravel(symbols).astype(np.intp)
    counts = np.bincount(flat * alphabet + np.roll(flat, -1), minlength=alphabet**2).reshape(alphabet, alphabet)
    total = counts.sum(1, keepdims=True)
    if not np.all(total):
        raise ValueError(f"alphabet={alphabet}: must be the symbols that occur, {np.count_nonzero(total)}")
    return markov(counts / total)


def second_eigenvalue(transition: Float[Array | np.ndarray, "state state"]) -> float:
    """|λ2|, on the host."""
    return float(np.sort(np.abs(np.linalg.eigvals(np.asarray(transition))))[-2])


@jax.jit
def _stationary(T):
    """π from (1 - Tᵀ + 1 1ᵀ) π = 1, regular where the eigenvalue 1 is simple."""
    return jnp.linalg.solve(jnp.eye(len(T)) - T.T + 1, jnp.ones(len(T)))


def _power(T, n):
    """T^n for traced n < 2^31, by repeated squaring."""

    def step(carry, bit):
        square, product = carry
        return (square @ square, jnp.where(bit == 1, product @ square, product)), None

    return jax.lax.scan(step, (T, jnp.eye(len(T))), (n >> jnp.arange(31)) & 1)[0][1]


def _edges(rows):
    """Cumulative probabilities of row i plus i, all in one ascending array; and the length of a row."""
    rows = np.asarray(rows, float)
    edges = np.cumsum(rows, axis=1)
    edges[:, -1] = 1
    return (edges + np.arange(len(rows))[:, None]).ravel(), rows.shape[1]


def _draw(random, edges, given):
    """One symbol for each of `given`, from its row of probabilities."""
    cumulative, columns = edges
    place = np.searchsorted(cumulative, given + random.random(given.shape), side="right")
    return np.minimum(place - columns * given, columns - 1)
