r"""Residual networks z' = b + W s(z) + γ z to first order in 1/width, one input.

A skip lets a neuron keep what it gave to the variance S of the others, so that two neurons of a layer are correlated beyond their common
S. With the orthonormal Hermite polynomials e_a of z/√K and u_a = ⟨s² e_a⟩, what they know of each other to first order is

    b_a = n E e_a(z_j) e₂(z_k),   m_a = n E e_a(z_j),   V = 2K² b₂,   G1 = √2 K m₂,   τ = n E z_j z_k² = √2 K^{3/2} b₁  (j ≠ k)

and, with K' = C_b + C_W ⟨s²⟩ + γ² K, ρ = γ√(K/K'), p = C_W/(√2 K'), f_a = u_a + b_a u₂ but f₂ = u₂ + Σ_a b_a u_a,

    b_a' = ρ^a (ρ² b_a + p f_a)  for a ≠ 2,     b₂' = ρ⁴ b₂ + 2p ρ² f₂ + p² v,     v = ⟨s⁴⟩ - ⟨s²⟩² + Σ_{a>0} u_a (f_a - u_a)
    m_a' = ρ^a m_a + p √(a(a-1)/2) ρ^{a-2} f_{a-2}  + [a = 2] p Σ_a u_a m_a + [a = 4] p² v √(3/2)

Modes a ≠ 2 with u_a ≠ 0 matter: none if s² is quadratic (linear, abs). Commonly remembered is a = 2 alone, and with the three-point
vertex a = 1:

    V' = C_W² (⟨s⁴⟩ - ⟨s²⟩²) + 2γ² C_W (⟨s² z²⟩ - K ⟨s²⟩) + c² V + 2 C_W ⟨(s²)'⟩ c τ,   τ' = γ c τ + γ C_W ⟨s² z⟩,   c = χ_∥ + γ²

without and with τ. The others are of the same order in 1/n and change V by 4 % for ReLU and 3 % for tanh at γ = 0.9.

Critical: C_b = 0 and (1 - γ²) times the plain C_W. Then V/(n K²) = ν(γ) l/n with ν = (1-γ²) ((1-γ²)(3A₄/A₂² - 1) + 4γ²) for
linear s and abs, near ν = (2/3)(1 - γ⁴) for K* = 0, and for ReLU

    ν = (1-γ²)(5-γ²) + 8 (1-γ²)² Σ_{odd a} u_a² γ^a/(1-γ^a)   at K = 1,   of which a = 1 is (1-γ²) (16/π) γ (1+γ),

which tends to (12 + 4 ln 2)(1-γ²) as γ → 1.

Source: derived by the law of total cumulance and confirmed by sampling; compare Roberts, Yaida & Hanin (2022), appendix B.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from ..models.activations import Activation
from ..numerics import gaussian_mean, hermite_coefficients
from ..record import array, record

MODES = 64
"""Largest a: what is left out is of the relative size MODES^{-5/2} for ReLU."""


@record
class Residual:
    """Layers 1 … depth, (depth,)."""

    K: Array = array("kernel", "preactivation²")
    G1: Array = array("correction of the kernel", "preactivation²")
    V: Array = array("four-point vertex", "preactivation⁴")
    tau: Array = array("three-point vertex", "preactivation³")


@partial(jax.jit, static_argnums=(0, 2, 6))
def residual(
    phi: Activation,
    kernel: Array,
    depth: int,
    c_b: ArrayLike,
    c_w: ArrayLike,
    skip: ArrayLike,
    modes: tuple[int, ...] = tuple(range(1, MODES + 1)),
) -> Residual:
    """K, G1, V and τ from `kernel` = K^(1) with γ = `skip`, all of which may be traced; only the b_a of `modes` are kept.

    `recursion(…, skip=γ)` checks what it is given. (2,) is the recursion without τ, (1, 2) that with τ alone; G1 takes all.
    """
    a = np.arange(MODES + 1)
    two, kept = a == 2, np.isin(a, modes)

    def layer(state, _):
        K, b, m = state
        u = hermite_coefficients(lambda z: phi(z) ** 2, K, MODES)
        new = c_b + c_w * u[0] + skip**2 * K
        variance = gaussian_mean(lambda z: phi(z) ** 4, K) - u[0] ** 2
        u = jnp.where(a == 0, 0.0, u)
        power, p = (skip * jnp.sqrt(K / new)) ** a.astype(float), c_w / (2**0.5 * new)
        f = u + jnp.where(two, jnp.sum(b * u), b * u[2])
        total = variance + jnp.sum(u * (f - u))
        b_new = jnp.where(two, power[4] * b[2] + 2 * p * power[2] * f[2] + p**2 * total, power * (power[2] * b + p * f))
        pushed = jnp.concatenate([jnp.zeros(2), (power * f)[:-2]]) * p * np.sqrt(a * (a - 1.0) / 2)
        m_new = power * m + pushed + jnp.where(two, p * jnp.sum(u * m), 0.0) + jnp.where(a == 4, p**2 * total * 1.5**0.5, 0.0)
        state = new, jnp.where(kept, b_new, 0.0), m_new
        return state, state

    first = kernel, jnp.zeros(len(a)), jnp.zeros(len(a))
    _, rest = jax.lax.scan(layer, first, length=depth - 1)
    K, b, m = jax.tree.map(lambda x, y: jnp.concatenate([x[None], y]), first, rest)
    return Residual(K, 2**0.5 * K * m[:, 2], 2 * K**2 * b[:, 2], 2**0.5 * K**1.5 * b[:, 1])
