"""Bits: one sigmoid neuron multiplies any number of them, and three layers are any function of them.

Π_{i∈K} y_i = lim_{β→∞} σ(-β(|K| - 1/2 - Σ_{i∈K} y_i)) for y_i ∈ {0, 1} (Lin, Tegmark & Rolnick, arXiv:1608.08225, eq. 13). The error
is exactly σ(-β(j - 1/2)) where j of the k = |K| bits are 0 (with a minus sign σ(-β/2) where none is), so at most σ(-β/2) whatever k:
D decimals need β > 2 D ln 10, and not D ln 10 as printed there. F(y) = Σ_K h_K Π_{i∈K} y_i takes one neuron for each h_K that is not
zero, the constant excepted, and its error is at most σ(-β/2) Σ_{K≠∅} |h_K|.

Grouped by j, the errors of all neurons are differences of F again (Σ_{L⊆Y} h_{L∪i} = F(Y∪i) - F(Y)), so that at the set Y of ones

    error(Y) = σ(-β/2) [F(∅) - F(Y) + Σ_{i∉Y} (F(Y∪i) - F(Y))] + O(e^{-3β/2}):

at most n (max F - min F) σ(-β/2) at leading order, while Σ |h_K| may grow as (1 + √2)^n.

Tables are in the order of `walsh`: entry m belongs to the subset, or the configuration, whose bit i is (m >> i) & 1. Spins s = ±1 are
no bits: y = (1 ± s)/2 comes first.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..record import Number
from .network import Network
from .walsh import configurations, orders


def bit_product(k: int, beta: Number) -> Network:
    """The product of k bits by one neuron of gain β (eq. 13); `ValueError` unless k ≥ 1."""
    if k < 1:
        raise ValueError(f"k={k}: must be ≥ 1")
    gain = jnp.asarray(beta, float)
    return Network.of([(gain * jnp.ones((k, 1)), -gain * (k - 0.5)), (jnp.ones((1, 1)), 0.0)], "sigmoid")


def hamiltonian_network(coefficients: Float[np.ndarray, "table *outputs"], beta: Number) -> Network:
    """Functions of n bits from their tables h_K (2^n,) or (2^n, outputs), not traced: a neuron of gain β for each subset K ≠ ∅ with
    an h_K ≠ 0, shared by all outputs; h_∅ is the bias. `ValueError` unless the table has a power of two of entries."""
    h = np.asarray(coefficients, float)
    n = len(h).bit_length() - 1
    if len(h) != 2**n:
        raise ValueError(f"coefficients: {len(h)} entries; must be a power of two")
    h = h.reshape(2**n, -1)
    used = np.flatnonzero(np.any(h != 0, axis=1) & (orders(n) > 0))
    members = jnp.asarray(configurations(n)[used].T, float)
    gain = jnp.asarray(beta, float)
    return Network.of([(gain * members, -gain * (orders(n)[used] - 0.5)), (h[used], h[0])], "sigmoid")


def product_error(beta: Number) -> jax.Array:
    """σ(-β/2) = 1/(1 + e^{β/2}), the largest error of a product of bits."""
    return jax.nn.sigmoid(-jnp.asarray(beta, float) / 2)


def error_bound(coefficients: Float[Array | np.ndarray, "table *outputs"], beta: Number) -> jax.Array:
    """σ(-β/2) Σ_{K≠∅} |h_K|, which no error of a network of gain β exceeds; one for each output."""
    return product_error(beta) * jnp.sum(jnp.abs(jnp.asarray(coefficients)[1:]), axis=0)


def leading_error(values: Float[Array | np.ndarray, "table *outputs"], beta: Number) -> jax.Array:
    """Error of the network at all configurations, shaped like the values F, to leading order in e^{-β/2}."""
    F = jnp.asarray(values)
    subsets, n = np.arange(len(F)), len(F).bit_length() - 1
    steps = F[subsets[:, None] | 1 << np.arange(n)] - F[:, None]  # 0 for i ∈ Y
    return product_error(beta) * (F[:1] - F + jnp.sum(steps, axis=1))


def gain_for(decimals: Number) -> Any:
    """β = 2 D ln 10, from which a product of bits is right to D decimals."""
    return 2 * math.log(10) * decimals


def count_terms(n: int, degree: int, least: int = 1) -> int:
    """Products of `least` ≤ j ≤ `degree` of n bits: Σ_j C(n, j); 2^n - 1 of all, 2^n - n - 1 where the bits themselves skip the
    hidden layer (`least` = 2)."""
    return sum(math.comb(n, j) for j in range(least, degree + 1))
