r"""Residual networks z' = b + W s(z) + γ z to first order in 1/width, one input.

A skip keeps neurons apart from one another's variance, and a three-point vertex E z_j z_k² = τ/n (j ≠ k) appears unless s² is even:

    K' = C_b + C_W ⟨s²⟩ + γ² K,   c = χ_∥ + γ²
    τ' = γ c τ + γ C_W ⟨s² z⟩
    V' = C_W² (⟨s⁴⟩ - ⟨s²⟩²) + 2γ² C_W (⟨s² z²⟩ - K ⟨s²⟩) + c² V + 2 C_W ⟨(s²)'⟩ c τ

Critical: C_b = 0 and (1 - γ²) times the plain C_W. For scale-invariant s that is linear or even, V/(n K²) = ν(γ) l/n with

    ν = (1-γ²) ((1-γ²)(3A₄/A₂² - 1) + 4γ²),   for ReLU   ν = (1-γ²) (5 - γ² + (16/π) γ (1+γ)),

for K* = 0 ν = (2/3)(1 - γ⁴). Without τ the one of ReLU would be (1-γ²)(5-γ²): too small.

Source: derived by the law of total cumulance and confirmed by sampling; compare Roberts, Yaida & Hanin (2022), appendix B.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from ..infinite_width import derivative
from ..models.activations import Activation
from ..numerics import gaussian_mean
from ..record import Number, array, record


@record
class Residual:
    """Layers 1 … depth, (depth,)."""

    K: Number = array("kernel", "preactivation²")
    V: Number = array("four-point vertex", "preactivation⁴")
    tau: Number = array("three-point vertex", "preactivation³")


@partial(jax.jit, static_argnums=(0, 2))
def residual(phi: Activation, kernel: Array, depth: int, c_b: ArrayLike, c_w: ArrayLike, skip: ArrayLike) -> Residual:
    """K, V and τ from `kernel` = K^(1) with γ = `skip`, all of which may be traced. `recursion(…, skip=γ)` checks what it is given."""
    s, s1 = phi, derivative(phi)

    def layer(state, _):
        K, V, tau = state
        mean = lambda f: gaussian_mean(f, K)
        m2, m4 = mean(lambda z: s(z) ** 2), mean(lambda z: s(z) ** 4)
        growth = c_w * mean(lambda z: z * s(z) * s1(z)) / K + skip**2
        plain = c_w**2 * (m4 - m2**2) + 2 * skip**2 * c_w * (mean(lambda z: (z * s(z)) ** 2) - K * m2)
        new = (
            c_b + c_w * m2 + skip**2 * K,
            plain + growth**2 * V + 2 * c_w * mean(lambda z: 2 * s(z) * s1(z)) * growth * tau,
            skip * growth * tau + skip * c_w * mean(lambda z: s(z) ** 2 * z),
        )
        return new, new

    first = (kernel, jnp.zeros_like(kernel), jnp.zeros_like(kernel))
    _, rest = jax.lax.scan(layer, first, length=depth - 1)
    return Residual(*jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest))
