"""Locality: on a Markov network the Hamiltonian is a sum over cliques, so its terms grow linearly with the number of variables.

-ln p(y) = H(y) + const = Σ_c H_c(y_c) over the maximal cliques c of the graph (Hammersley & Clifford): with N_c cliques of at most S_c
vertices at most N_c 2^{S_c} products of bits occur, each one hidden unit (Lin, Tegmark & Rolnick, arXiv:1608.08225, section II D 2). What
a spin feels, its log-odds given the others, has at most the degree of the number of its neighbours. Marginalisation destroys locality:

    -H'(s') = ln Σ_{traced s} e^{-H(s', s)}   couples all neighbours of a traced spin.

A graph is its adjacency matrix (n, n) of booleans. Energies are in units of kT, -H is called the log-weights, and tables are those of
`walsh`: 2^n entries, a subset of vertices is the integer with these bits set.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .walsh import configurations, orders

Graph = Bool[np.ndarray, "n n"]
Table = Array | np.ndarray


def chain(n: int) -> Graph:
    """n vertices in an open row."""
    return np.eye(n, k=1, dtype=bool) | np.eye(n, k=-1, dtype=bool)


def ring(n: int) -> Graph:
    """n ≥ 3 vertices in a closed row."""
    return _lattice((n,))


def torus(side: int) -> Graph:
    """side × side vertices, side ≥ 3, each with four neighbours; vertex side·i + j is at (i, j)."""
    return _lattice((side, side))


def random_graph(random: np.random.Generator, n: int, probability: float) -> Graph:
    """n vertices, each two of them neighbours with this probability (Erdős & Rényi)."""
    upper = np.triu(random.random((n, n)) < probability, 1)
    return upper | upper.T


def _lattice(sides: tuple[int, ...]) -> Graph:
    if min(sides) < 3:
        raise ValueError(f"side={min(sides)}: must be ≥ 3 with periodic boundaries")
    here = np.arange(np.prod(sides)).reshape(sides)
    out = np.zeros((here.size, here.size), bool)
    for axis in range(here.ndim):
        out[here.ravel(), np.roll(here, 1, axis).ravel()] = True
    return out | out.T


def maximal_cliques(graph: Graph) -> list[int]:
    """All sets of mutual neighbours that no further vertex extends, by Bron & Kerbosch (1973) with a pivot; `ValueError` if the matrix
    is not symmetric without loops."""
    graph = np.asarray(graph)
    if (graph != graph.T).any() or graph.diagonal().any():
        raise ValueError("graph: adjacency must be symmetric, without loops")
    near = [sum(1 << int(j) for j in np.flatnonzero(row)) for row in graph]
    found = []

    def grow(clique, candidates, seen):
        if not candidates | seen:
            found.append(clique)
            return
        pivot = max(_elements(candidates | seen), key=lambda v: (candidates & near[v]).bit_count())
        for v in _elements(candidates & ~near[pivot]):
            grow(clique | 1 << v, candidates & near[v], seen & near[v])
            candidates, seen = candidates & ~(1 << v), seen | 1 << v

    grow(0, (1 << len(graph)) - 1, 0)
    return found


def _elements(subset: int) -> list[int]:
    return [i for i in range(subset.bit_length()) if subset >> i & 1]


def clique_bound(graph: Graph) -> int:
    """N_c 2^{S_c}: number of maximal cliques times 2 to the size of the largest."""
    cliques = maximal_cliques(graph)
    return len(cliques) * 2 ** max(c.bit_count() for c in cliques)


def ising(graph: Graph, coupling: Any, field: Any = 0.0) -> Float[Array, "table"]:
    """Log-weights (2^n,) Σ_edges K_ij s_i s_j + Σ_i h_i s_i; `coupling` and `field` are numbers, or a symmetric (n, n) and an (n,)."""
    return _ising(1.0 - 2.0 * configurations(len(graph)), graph, coupling, field)


@jax.jit
def _ising(s, graph, coupling, field):
    return 0.5 * jnp.sum((s @ jnp.where(graph, coupling, 0.0)) * s, 1) + jnp.sum(s * jnp.broadcast_to(field, s.shape), 1)


def random_log_weights(random: np.random.Generator, graph: Graph) -> Float[np.ndarray, "table"]:
    """Log-weights (2^n,), on the host: the sum over the maximal cliques of a function of each with standard normal values."""
    bits = configurations(len(graph))
    members = [_elements(clique) for clique in maximal_cliques(graph)]
    return sum((random.normal(size=2 ** len(c))[bits[:, c] @ 2 ** np.arange(len(c))] for c in members), np.zeros(len(bits)))


def trace_out(log_weights: Float[Table, "table"], keep: Sequence[int]) -> jax.Array:
    """-H' of the spins `keep` (2^len(keep),), all others summed over; spin keep[j] becomes spin j."""
    n = len(log_weights).bit_length() - 1
    axes = [n - 1 - i for i in reversed(keep)]
    by_spin = jnp.asarray(log_weights).reshape((2,) * n)
    traced = [a for a in range(n) if a not in axes]
    return jax.nn.logsumexp(jnp.transpose(by_spin, axes + traced).reshape(2 ** len(keep), -1), axis=1)


def log_odds(log_weights: Float[Table, "table"], spin: int) -> Float[Table, "others"]:
    """ln p(s = +1 given the others) / p(s = -1 given the others) as a function of the others (2^(n-1),), in their order."""
    pairs = log_weights.reshape(-1, 2, 2**spin)
    return (pairs[:, 0] - pairs[:, 1]).reshape(-1)


def without_rounding(coefficients: Float[Table, "table"], tolerance: float = 1e-9) -> Float[np.ndarray, "table"]:
    """Coefficients on the host, those within the tolerance set to 0: what costs a hidden unit."""
    coefficients = np.asarray(coefficients)
    return np.where(np.abs(coefficients) > tolerance, coefficients, 0.0)


def count_by_order(coefficients: Float[Table, "table"], tolerance: float = 1e-9) -> Int[np.ndarray, "orders"]:
    """How many coefficients exceed the tolerance, for each number of factors 0, …, n."""
    n = len(coefficients).bit_length() - 1
    return np.bincount(orders(n)[without_rounding(coefficients, tolerance) != 0], minlength=n + 1)
