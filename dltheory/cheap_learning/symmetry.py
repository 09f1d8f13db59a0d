"""Symmetry: an invariant function has one free number for each orbit of the group, whatever its number of entries.

A group acts on the entries of a table by permutations and is given by generators (g, m): entry a goes to π(a). A table is invariant
if it is constant on the orbits (Lin, Tegmark & Rolnick, arXiv:1608.08225, section II D 3). Translations of the n² entries of a linear
map leave n numbers, the circulant C_ij = k_{i-j}: y = k * x costs O(n log n) by Fourier transform and is learned from one example,
where the least-norm dense map fitted to m examples of n has the squared error 1 - m/n. The eight symmetries of the square leave 3 of
the 9 taps of a kernel, permutations of n bits n + 1 of 2^n energies.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .walsh import configurations

Table = Array | np.ndarray
Generators = Int[np.ndarray, "generator _"]


def translations(*sides: int) -> Generators:
    """One step along each axis of a periodic lattice."""
    sites = np.arange(np.prod(sides)).reshape(sides)
    return np.stack([np.roll(sites, -1, axis).ravel() for axis in range(len(sides))])


def square_symmetries(side: int) -> Generators:
    """All eight rotations and reflections of side × side sites."""
    sites = np.arange(side**2).reshape(side, side)
    return np.stack([np.rot90(s, turns).ravel() for s in (sites, sites.T) for turns in range(4)])


def swaps(n: int) -> Generators:
    """The n - 1 exchanges of neighbours, which generate all permutations of n things."""
    out = np.tile(np.arange(n), (n - 1, 1))
    first = np.arange(n - 1)
    out[first, first], out[first, first + 1] = first + 1, first
    return out


def on_pairs(generators: Generators) -> Generators:
    """The same group on the n² entries (i, j), at n i + j, of a linear map between its things: equivariant maps are invariant here."""
    return (generators.shape[1] * generators[:, :, None] + generators[:, None, :]).reshape(len(generators), -1)


def on_subsets(generators: Generators) -> Generators:
    """The same group on the 2^n subsets, or configurations of bits, of its things, in the order of the tables of `walsh`."""
    return 2**generators @ configurations(generators.shape[1]).T


def orbits(generators: Generators) -> Int[np.ndarray, "entry"]:
    """Number of the orbit of each entry, counted from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m = generators.shape[1]
    edges = np.tile(np.arange(m), len(generators)), generators.ravel()
    return connected_components(coo_array((np.ones(generators.size), edges), shape=(m, m)), directed=False)[1]


def free_numbers(generators: Generators) -> int:
    """Entries of an invariant table that can be chosen freely: the number of orbits."""
    return int(orbits(generators).max()) + 1


def tie(values: Float[Table, "*shape"], generators: Generators) -> jax.Array:
    """The nearest invariant table: each entry becomes the mean over its orbit."""
    values, orbit = jnp.asarray(values), orbits(generators)
    sums = jax.ops.segment_sum(values.reshape(-1), orbit, num_segments=int(orbit.max()) + 1)
    return (sums / jnp.asarray(np.bincount(orbit), values.dtype))[orbit].reshape(values.shape)


def circulant(kernel: Float[Table, "n"]) -> Float[Array, "n n"]:
    """The matrix C_ij = k_{i-j mod n} of the translation-invariant linear map with kernel k."""
    i = np.arange(len(kernel))
    return jnp.asarray(kernel)[i[:, None] - i]


def convolve(kernel: Float[Table, "*sides"], x: Float[Table, "*sides"]) -> Float[Array, "*sides"]:
    """(k * x)_i = Σ_j k_{i-j} x_j on a periodic lattice, by Fourier transform."""
    return jnp.fft.irfftn(jnp.fft.rfftn(kernel) * jnp.fft.rfftn(x), s=np.shape(x))


def fit_dense(x: Float[Table, "m n"], y: Float[Table, "m n"]) -> Float[Array, "n n"]:
    """The matrix A of least Frobenius norm among the least-squares solutions of y = x Aᵀ."""
    return jnp.linalg.lstsq(x, y)[0].T


def fit_circulant(x: Float[Table, "m n"], y: Float[Table, "m n"]) -> Float[Array, "n"]:
    """The kernel k of least squared error in y = k * x: frequency by frequency Σ conj(x̂) ŷ / Σ |x̂|²."""
    a, b = jnp.fft.rfft(x), jnp.fft.rfft(y)
    return jnp.fft.irfft(jnp.sum(a.conj() * b, 0) / jnp.sum(a.conj() * a, 0), x.shape[1])


def log2_reachable(parameters: int, bits: int, variables: int) -> Any:
    """log₂ of the largest fraction of the 2^(2^n) Boolean functions of n variables that a network of P parameters of b bits can be:
    P b - 2^n, exact; the bound says nothing from 0 on."""
    return parameters * bits - 2**variables


def log10_parameters(variables: int, values: int) -> tuple[float, float]:
    """log₁₀ of the v^n numbers of a generic function of n variables of v values each, and of the v n of a sum of functions of one."""
    return variables * float(np.log10(values)), float(np.log10(values * variables))
