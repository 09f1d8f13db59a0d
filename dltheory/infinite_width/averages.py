r"""Averages over Gaussian preactivations: ⟨s_a s_b⟩ and ⟨s'_a s'_b⟩ for all pairs of inputs.

Closed forms, with c = K_ab/√(K_aa K_bb):

    s(z) = αz + β|z|     ⟨s_a s_b⟩ = α² K_ab + β² (2/π) √(K_aa K_bb) (√(1-c²) + c asin c),   ⟨s'_a s'_b⟩ = α² + β² (2/π) asin c
    erf                  (2/π) asin(2K_ab / √((1+2K_aa)(1+2K_bb))),   (4/π) / √((1+2K_aa)(1+2K_bb) - 4K_ab²)
    sin                  e^{-(K_aa+K_bb)/2} sinh K_ab,   … cosh K_ab
    exp                  e^{(K_aa+K_bb)/2 + K_ab}, twice

The first is the ReLU family (Cho & Saul, "Kernel Methods for Deep Learning", 2009), the second is Williams' (1997). Any other
activation takes `gaussian_mean` on the diagonal and, off it, `gaussian_mean_pair` for up to `FEW` inputs or a kinked activation,
Mehler's series for more; their docstrings state the errors.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..models.activations import ACTIVATIONS, Activation
from ..numerics import gaussian_mean, gaussian_mean_pair, product_means
from .smoothness import continuous_derivatives

FEW = 4
BATCH = 64
"""Pairs whose quadrature is done at a time: 25 MB."""


class PairAverages(NamedTuple):
    """⟨s_a s_b⟩ and ⟨s'_a s'_b⟩ (m, m)."""

    values: Array
    slopes: Array


def pair_averages(phi: Activation, kernel: Float[Array, "m m"]) -> PairAverages:
    """Averages over z ~ N(0, kernel) for every pair of inputs."""
    variance = jnp.diagonal(kernel)
    slopes = homogeneous_slopes(phi)
    if slopes is not None:
        return _homogeneous(*slopes, kernel, variance)
    if phi is ACTIVATIONS["erf"]:
        outer = (1 + 2 * variance)[:, None] * (1 + 2 * variance)[None]
        return PairAverages(2 / np.pi * jnp.arcsin(2 * kernel / jnp.sqrt(outer)), 4 / np.pi / jnp.sqrt(outer - 4 * kernel**2))
    mean = (variance[:, None] + variance[None]) / 2
    if phi is ACTIVATIONS["sin"]:
        plus, minus = jnp.exp(kernel - mean) / 2, jnp.exp(-kernel - mean) / 2
        return PairAverages(plus - minus, plus + minus)
    if phi is ACTIVATIONS["exp"]:
        both = jnp.exp(mean + kernel)
        return PairAverages(both, both)
    slope = derivative(phi)
    many = len(variance) > FEW and continuous_derivatives(phi) >= 2
    average = product_means if many else _by_quadrature
    return PairAverages(average(phi, kernel), average(slope, kernel))


def derivative(phi: Activation, order: int = 1) -> Activation:
    """The derivative of that order of a function of a number; jumps of lower derivatives are dropped."""
    return functools.reduce(lambda f, _: jax.grad(f), range(order), phi)


@functools.cache
def homogeneous_slopes(phi: Activation) -> tuple[float, float] | None:
    """Slopes (a₊, a₋) of s(z) = a₊ z for z > 0, a₋ z for z < 0, or None if s is not of this form."""
    with jax.ensure_compile_time_eval():
        z = np.geomspace(1e-3, 1e3, 25)
        up, down = (np.asarray(phi(jnp.asarray(sign * z))) / (sign * z) for sign in (1, -1))
    same = all(np.all(np.isfinite(a)) and np.allclose(a, a[0], rtol=1e-12, atol=0) for a in (up, down))
    return (float(up[0]), float(down[0])) if same else None


def _homogeneous(plus: float, minus: float, kernel: Array, variance: Array) -> PairAverages:
    alpha, beta = (plus + minus) / 2, (plus - minus) / 2
    scale = jnp.sqrt(variance[:, None] * variance[None])
    off = ~np.eye(len(variance), dtype=bool)
    c = jnp.where(off & (scale > 0), jnp.clip(kernel / jnp.where(scale > 0, scale, 1.0), -1.0, 1.0), 1.0)
    arc = jnp.where(off, scale * _arc(jnp.where(off, c, 0.0)), variance[:, None] * np.pi / 2)
    angle = jnp.where(off, jnp.arcsin(c), np.pi / 2)
    return PairAverages(alpha**2 * kernel + beta**2 * 2 / np.pi * arc, alpha**2 + beta**2 * 2 / np.pi * angle)


@jax.custom_jvp
def _arc(c: Array) -> Array:
    """√(1-c²) + c asin c, whose slope asin c is finite at c = ±1."""
    return jnp.sqrt(1 - c * c) + c * jnp.arcsin(c)


@_arc.defjvp
def _arc_jvp(primals, tangents):
    return _arc(primals[0]), jnp.arcsin(primals[0]) * tangents[0]


def _by_quadrature(f: Activation, kernel: Array) -> Array:
    """⟨f_a f_b⟩, each pair once, in batches."""
    m = len(kernel)
    diagonal = gaussian_mean(lambda z: f(z) ** 2, jnp.diagonal(kernel))
    if m == 1:
        return diagonal[:, None]
    a, b = np.triu_indices(m, 1)
    pairs = jnp.stack([jnp.stack([kernel[a, a], kernel[a, b]], -1), jnp.stack([kernel[b, a], kernel[b, b]], -1)], -2)
    off = jax.lax.map(lambda K: gaussian_mean_pair(lambda x, y: f(x) * f(y), K), pairs, batch_size=min(BATCH, len(a)))
    return jnp.diag(diagonal).at[a, b].set(off).at[b, a].set(off)
