"""Functions of n bits in two bases: products of bits and products of spins.

All tables have 2^n entries. Entry m is at the configuration, or the subset K, whose bit i is (m >> i) & 1.
Bits y ∈ {0, 1}: F(y) = Σ_K h_K Π_{i∈K} y_i, with h_K = Σ_{L⊆K} (-1)^{|K|-|L|} F(L) (Möbius).
Spins s = 1 - 2y: F = Σ_K J_K Π_{i∈K} s_i, with J_K = 2^-n Σ_s F(s) Π_{i∈K} s_i (Walsh); -1 is the bit 1.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def configurations(n: int) -> np.ndarray:
    """All settings of n bits, (2^n, n) of 0 and 1, in the order of the tables."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1


def orders(n: int) -> np.ndarray:
    """Number of elements of each of the 2^n subsets."""
    return configurations(n).sum(1)


def moebius(values: Float[Array | np.ndarray, "table"]) -> jax.Array:
    """Coefficients h_K of products of bits from the values F."""
    return _butterfly(values, _difference)


def from_moebius(coefficients: Float[Array | np.ndarray, "table"]) -> jax.Array:
    """Values F from the coefficients h_K."""
    return _butterfly(coefficients, _sum)


def walsh(values: Float[Array | np.ndarray, "table"]) -> jax.Array:
    """Coefficients J_K of products of spins from the values F."""
    return from_walsh(values) / len(values)


def from_walsh(coefficients: Float[Array | np.ndarray, "table"]) -> jax.Array:
    """Values F from the coefficients J_K."""
    return _butterfly(coefficients, _sum_difference)


def participation_ratio(coefficients: Float[Array | np.ndarray, "table"]) -> jax.Array:
    """(Σ J²)² / Σ J⁴ without the constant: how many products take part."""
    J = jnp.asarray(coefficients)[1:] ** 2
    return jnp.sum(J) ** 2 / jnp.sum(J**2)


def _difference(low, high):
    return low, high - low


def _sum(low, high):
    return low, low + high


def _sum_difference(low, high):
    return low + high, low - high


@functools.partial(jax.jit, static_argnames="step")
def _butterfly(values, step):
    """Apply `step` to the entries without and with each element in turn, O(n 2^n); each turn moves its element to the last place."""
    values = jnp.asarray(values)
    n = len(values).bit_length() - 1
    if len(values) != 2**n:
        raise ValueError(f"values: {len(values)} entries; must be a power of two")
    turn = lambda _, v: jnp.stack(step(*v.reshape(2, -1)), 1).reshape(-1)
    return jax.lax.fori_loop(0, n, turn, values)
