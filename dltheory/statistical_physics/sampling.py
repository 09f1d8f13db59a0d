"""Markov chains for the Ising model on the torus: single spins, and whole clusters.

p(s) ∝ e^{-H(s)},  H = -K Σ_<ij> s_i s_j - h Σ_i s_i  on side × side sites, each with a bond to the right and one downwards, periodic.

*Metropolis*: a spin flips with probability min(1, e^{-ΔH}), ΔH = 2 s (K Σ_neighbours s' + h). The sites of one colour of the
checkerboard do not see each other, so half of the lattice moves at once (hence the side must be even).

*Swendsen–Wang* (h = 0): a bond opens with probability 1 - e^{-2 K s s'}, never when that is negative, and every cluster of open bonds
gets a fresh sign. One sweep turns clusters of all sizes, so nothing slows down at K_c = ln(1 + √2)/2 and no domain wall gets stuck.
Clusters are found in parallel: each site points to one of its cluster with a smaller number; in turn, the root of each site looks at
the pointers of the site's neighbours, and pointers jump to the pointer they point to.

Source: Swendsen & Wang, Phys. Rev. Lett. 58, 86 (1987); hooking and jumping: Shiloach & Vishkin, J. Algorithms 3, 57 (1982).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int8, Int32

CRITICAL_COUPLING = float(np.log1p(np.sqrt(2.0)) / 2)
"""K_c of the square lattice (Kramers & Wannier 1941)."""


@partial(jax.jit, static_argnames=("side", "sweeps", "chains"))
def swendsen_wang(key: Array, side: int, coupling: ArrayLike, sweeps: int, chains: int) -> Int8[Array, "chains side side"]:
    """Last states, ±1, of independent chains of `sweeps` cluster sweeps from random spins; `coupling` K of either sign.

    A sweep at K = 0 makes the random start. The chains' ends are independent draws of p once `sweeps` is a few relaxation times (at K_c
    about 5 sweeps for side 16).
    """

    def sweep(spins, now):
        key, K = now
        *bonds, coin = jax.random.uniform(key, (3, *spins.shape), jnp.float32)
        aligned = jnp.stack([spins * jnp.roll(spins, -1, axis) for axis in (-1, -2)])
        opened = jnp.stack(bonds) < -jnp.expm1(-2 * K * aligned.astype(jnp.float32))
        sign = jnp.where(coin < 0.5, 1, -1).astype(jnp.int8).reshape(-1)
        return spins * sign[clusters(opened)], None

    K = jnp.asarray(coupling, jnp.float32) * (jnp.arange(sweeps + 1) > 0).astype(jnp.float32)
    start = jnp.ones((chains, side, side), jnp.int8)
    return jax.lax.scan(sweep, start, (jax.random.split(key, sweeps + 1), K))[0]


def clusters(opened: Bool[Array, "2 chains side side"]) -> Int32[Array, "chains side side"]:
    """A number for every site, the same for the sites of one cluster and no others; open bonds to the right, and downwards."""
    right, down = opened
    bonds = ((right, -1, -1), (jnp.roll(right, 1, -1), 1, -1), (down, -1, -2), (jnp.roll(down, 1, -2), 1, -2))

    def step(state):
        label, _ = state
        least = grid = label.reshape(right.shape)
        for bond, shift, axis in bonds:
            least = jnp.where(bond, jnp.minimum(least, jnp.roll(grid, shift, axis)), least)
        hooked = label.at[label].min(least.reshape(-1), mode="promise_in_bounds")
        shorter = jnp.minimum(hooked, least.reshape(-1))
        new = shorter.at[shorter].get(mode="promise_in_bounds")
        return new, jnp.any(new != label)

    start = jnp.arange(right.size, dtype=jnp.int32), jnp.asarray(True)
    return jax.lax.while_loop(lambda state: state[1], step, start)[0].reshape(right.shape)


@partial(jax.jit, static_argnames=("side", "sweeps", "chains"))
def metropolis(
    key: Array, side: int, coupling: ArrayLike, sweeps: int, chains: int, field: ArrayLike = 0.0
) -> Int8[Array, "chains side side"]:
    """Last states, ±1, of independent chains of `sweeps` checkerboard sweeps from random spins. `ValueError` if `side` is odd."""
    if side % 2:
        raise ValueError(f"side={side}: must be even, or the checkerboard does not close")
    K, h = jnp.asarray(coupling, jnp.float32), jnp.asarray(field, jnp.float32)
    black = (np.indices((1, side, side)).sum(0) % 2).astype(bool)

    def sweep(spins, key):
        uniform = jax.random.uniform(key, spins.shape, jnp.float32)

        def move(spins, sites):
            around = sum((jnp.roll(spins, shift, axis) for shift in (1, -1) for axis in (-1, -2)), jnp.zeros_like(spins))
            change = 2 * spins.astype(jnp.float32) * (K * around.astype(jnp.float32) + h)
            return jnp.where((uniform < jnp.exp(-change)) & sites, -spins, spins), None

        return jax.lax.scan(move, spins, jnp.stack([black, ~black]))[0], None

    start, key = jax.random.split(key)
    return jax.lax.scan(sweep, jax.random.rademacher(start, (chains, side, side), jnp.int8), jax.random.split(key, sweeps))[0]
