"""Majority of blocks of Ising spins: the coupling it flows to, and what it still tells about a spin.

A block of b × b spins becomes the sign of its sum, a coin deciding ties. On the 4 × 4 torus this is summed exactly, over all 2^16
states and all coins. The coupling K_eff of the 2 × 2 torus with the same nearest-neighbour correlation as the blocks is a finite-size map
K → K_eff, whose fixed point estimates K_c and whose slope there, b^{y_t}, the thermal exponent y_t (exactly 1). The 2 × 2 torus has each
bond twice: <s s'> = (t + t³) / (1 + t⁴), t = tanh 2K.

*One spin.* At K = 0 it agrees with the majority of its 2 × 2 block with probability 11/16 and keeps 1 - h2(11/16) = .1038 bit there. On a
large torus a spin depends on the rest of the lattice only through its block and the spins around it, so that
I(spin; its block) ≤ I(spin; all blocks) ≤ I(spin; its block and the true spins around it): two bounds that are easy to sample.

Source: Lin, Tegmark & Rolnick, arXiv:1608.08225, section III G; Kadanoff, Physics 2, 263 (1966); Niemeijer & van Leeuwen (1974).
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int8

from .ising import ring, states, torus

SIDE = 4
"""Of the torus that is summed exactly; its blocks form a ring of four."""


def block_sums(spins: Array | np.ndarray, block: int) -> Array:
    """Sums over block × block spins, (…, side/block, side/block). `ValueError` if the block does not divide the sides."""
    *batch, rows, columns = spins.shape
    if block < 1 or rows % block or columns % block:
        raise ValueError(f"block={block}: must divide the sides {rows}, {columns}")
    return jnp.sum(jnp.asarray(spins).reshape(*batch, rows // block, block, columns // block, block), (-3, -1))


@partial(jax.jit, static_argnames="block")
def majority(key: Array, spins: Array | np.ndarray, block: int = 2) -> Int8[Array, "..."]:
    """Signs of the blocks' sums, ties by a coin: (…, side, side) of ±1 to (…, side/block, side/block) of ±1."""
    signs = jnp.sign(block_sums(spins, block)).astype(jnp.int8)
    return jnp.where(signs == 0, jax.random.rademacher(key, signs.shape, jnp.int8), signs)


@cache
def _density(side):
    """Values of Σ s s' over the bonds of the torus, and how many states have each."""
    if side not in (2, 3, 4):
        raise ValueError(f"side={side}: must be 2, 3 or 4 to be enumerated")
    edges = torus(side)
    return np.unique(_bond_sums(states(side**2), edges), return_counts=True)


def _bond_sums(spins, edges):
    return (spins[:, edges[:, 0]] * spins[:, edges[:, 1]]).sum(1, dtype=float)


@cache
def _counts():
    """Number of states of the 4 × 4 torus by Σ s s' over its bonds, first spin and blocks, (bonds, 2, 16); coins shared out evenly."""
    s = states(SIDE**2)
    signs = np.sign(s.reshape(-1, 2, 2, 2, 2).sum((2, 4))).reshape(-1, 4)
    law = ((1 + signs[:, None] * states(4)) / 2).prod(-1)
    values, which = np.unique(_bond_sums(s, torus(SIDE)), return_inverse=True)
    table = np.zeros((len(values), 2, 16))
    np.add.at(table, (which, (1 - s[:, 0]) // 2), law)
    return values, table


def spin_and_blocks(coupling: ArrayLike) -> Float[Array, "2 16"]:
    """Joint law of one spin of the 4 × 4 torus and its four blocks, in the order of `ising.states`; exact."""
    bonds, table = _counts()
    exponent = jnp.asarray(coupling, float) * bonds
    weights = jnp.exp(exponent - jnp.max(exponent))[:, None, None] * table
    return jnp.sum(weights, 0) / jnp.sum(weights)


def neighbour_correlation(coupling: ArrayLike, side: int) -> Array:
    """<s s'> of nearest neighbours on the torus, exact. `ValueError` unless side is 2, 3 or 4."""
    bonds, number = _density(side)
    return jax.nn.softmax(jnp.asarray(coupling, float) * bonds + np.log(number)) @ bonds / bonds[-1]


@partial(jax.jit, static_argnames="side")
def matched_coupling(correlation: ArrayLike, side: int) -> Array:
    """K of the torus with this nearest-neighbour correlation, for |K| < 4; a number, differentiable. `ValueError` as above."""
    g = jnp.asarray(correlation, float)
    above = lambda K: neighbour_correlation(K, side) > g

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        return jnp.where(above(middle), low, middle), jnp.where(above(middle), middle, high)

    start = jnp.full_like(g, -4), jnp.full_like(g, 4)
    K = jax.lax.stop_gradient(jax.lax.fori_loop(0, 60, halve, start)[0])
    value, slope = jax.value_and_grad(neighbour_correlation)(K, side)
    return K + (g - value) / slope


def effective_coupling(coupling: ArrayLike) -> Array:
    """K_eff(K) from the 4 × 4 to the 2 × 2 torus; a number, differentiable."""
    s = states(4).astype(float)
    neighbours = s[:, torus(2)].prod(-1).mean(-1)
    return matched_coupling(jnp.sum(spin_and_blocks(coupling), 0) @ neighbours, 2)


def fixed_point(low: float = 0.3, high: float = 0.6) -> tuple[float, float]:
    """K* = K_eff(K*) and the slope dK_eff/dK there, on the host. `ValueError` if K_eff - K has one sign at both ends."""
    from scipy.optimize import brentq

    flow = jax.jit(jax.value_and_grad(effective_coupling))
    K = float(brentq(lambda K: float(flow(K)[0]) - K, low, high, xtol=1e-14))  # pyright: ignore
    return K, float(flow(K)[1])


@jax.jit
def spin_information_bound(spins: Array | np.ndarray, coupling: ArrayLike) -> Float[Array, "*batch"]:
    """Upper bound of I(spin; all 2 × 2 majorities), in nats, of one of the four spins of a block: one number for each state.

    Of states (…, side, side) at equilibrium the mean is I(spin; its block and the spins around it), each block being summed exactly
    at the spins around it.
    """
    *batch, rows, columns = spins.shape
    s = jnp.asarray(spins, float)
    site = s.reshape(*batch, rows // 2, 2, columns // 2, 2)
    outside = []
    for i, j in ((0, 0), (0, 1), (1, 1), (1, 0)):
        row, column = (jnp.roll(s, 1 - 2 * side, axis) for side, axis in ((i, -2), (j, -1)))
        outside.append((row + column).reshape(site.shape)[..., i, :, j])
    inside = states(4).astype(float)
    bonds = inside[:, ring(4)].prod(-1).sum(-1)
    field = jnp.stack([*outside, jnp.ones_like(outside[0])], -1)
    p = jax.nn.softmax(jnp.asarray(coupling, float) * (field @ np.vstack([inside.T, bonds])))
    agree = (1 + np.sign(inside.sum(1)) * np.array([[1.0], [-1.0]])) / 2
    up = (inside[:, 0] > 0).astype(float)
    joint = jnp.stack([p @ (agree * of).T for of in (up, 1 - up)], -1)
    conditional = jnp.sum(_surprise(joint), (-1, -2)) - jnp.sum(_surprise(joint.sum(-1)), -1)
    return np.log(2) - jnp.mean(conditional, (-1, -2))


def _surprise(p):
    """-p ln p of every entry."""
    return -jax.scipy.special.xlogy(p, p)
