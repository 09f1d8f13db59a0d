r"""Kernels of infinitely wide networks, layer by layer, for any activation and any number of inputs.

    z^(1) = b + W x,    z^(l+1) = b + W s(z^(l)) [+ γ z^(l)],    b ~ N(0, C_b),  W ~ N(0, C_W / fan-in)

    K_ab' = C_b + C_W ⟨s_a s_b⟩_K [+ γ² K_ab],                                     K^(1)_ab = C_b + C_W x_a·x_b / n_0
    Θ_ab' = λ_b' + λ_W' ⟨s_a s_b⟩_K + (C_W ⟨s'_a s'_b⟩_K [+ γ²]) Θ_ab,             Θ^(1)_ab = λ_b + λ_W x_a·x_b / n_0

    χ_∥ = dK'/dK = C_W ⟨z s s'⟩_K / K        difference of norms of two nearby inputs
    χ_⊥ = C_W ⟨s'²⟩_K                        square of their difference

Learning rates: λ_b for biases, λ_W / fan-in for weights, one number or one for each layer. Dropout with keep rate ρ draws a mask for
every input, so that the averages of the diagonal, and of it alone, are divided by ρ.

Sources: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022); Jacot, Gabriel & Hongler (2018) for Θ; Schoenholz
et al. (2017) for dropout.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array

from ..models.activations import Activation, activation
from ..numerics import gaussian_mean
from ..record import array, record
from .averages import derivative, pair_averages


@record
class Kernels:
    """Kernels of every layer, layer 1 first: (depth, m, m) for several inputs, (depth,) for one."""

    kernel: Array = array("K, covariance of preactivations", "preactivation²")
    ntk: Array = array("Θ, neural tangent kernel", "preactivation²")


def propagate(
    activation: str | Activation,
    kernel: ArrayLike,
    depth: int,
    c_b: ArrayLike,
    c_w: ArrayLike,
    lambda_b: ArrayLike = 0.0,
    lambda_w: ArrayLike = 0.0,
    *,
    skip: ArrayLike = 0.0,
    keep: ArrayLike = 1.0,
) -> Kernels:
    """K and Θ of `depth` layers from `kernel` = K^(1), a number for one input or an (m, m) matrix.

    λ's are numbers or (depth,). `skip` is γ, `keep` is ρ. Closed forms and errors of quadrature: `averages.py`. `ValueError` for
    C_W ≤ 0, C_b < 0, ρ outside (0, 1], depth < 1 and a kernel that is not symmetric and positive semi-definite.
    """
    check_setting(c_b=c_b, c_w=c_w, keep=keep, depth=depth)
    check_kernel(kernel)
    rates = [jnp.broadcast_to(jnp.asarray(a, float), (depth,)) for a in (lambda_b, lambda_w)]
    numbers = [jnp.asarray(a, float) for a in (c_b, c_w, skip, keep)]
    matrix = jnp.asarray(kernel, float)
    out = _propagate(function(activation), jnp.atleast_2d(matrix), *rates, *numbers)
    return out if matrix.ndim else jax.tree.map(lambda a: a[:, 0, 0], out)


@partial(jax.jit, static_argnums=0)
def _propagate(phi, kernel, lambda_b, lambda_w, c_b, c_w, skip, keep):
    dropped = jnp.where(np.eye(len(kernel), dtype=bool), 1 / keep, 1.0)

    def layer(state, rates):
        kernel, ntk = state
        mean = jax.tree.map(lambda a: dropped * a, pair_averages(phi, kernel))
        new = (
            c_b + c_w * mean.values + skip**2 * kernel,
            rates[0] + rates[1] * mean.values + (c_w * mean.slopes + skip**2) * ntk,
        )
        return new, new

    first = kernel, lambda_b[0] + lambda_w[0] * (kernel - c_b) / c_w
    _, rest = jax.lax.scan(layer, first, (lambda_b[1:], lambda_w[1:]))
    return Kernels(*jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest))


def susceptibilities(activation: str | Activation, kernel: ArrayLike, c_b: ArrayLike, c_w: ArrayLike) -> tuple[Array, Array]:
    """(χ_∥, χ_⊥) at kernels of any shape, one input each; C_b does not enter. At K = 0 their limits. `ValueError` for C_W ≤ 0, K < 0."""
    check_setting(c_b=c_b, c_w=c_w)
    if is_concrete(kernel) and np.any(np.asarray(kernel) < 0):
        raise ValueError(f"kernel={np.min(np.asarray(kernel)):g}: a variance must be ≥ 0")
    return _susceptibilities(function(activation), jnp.asarray(kernel, float), jnp.asarray(c_w, float))


@partial(jax.jit, static_argnums=0)
def _susceptibilities(phi, kernel, c_w):
    slope = derivative(phi)
    parallel = jnp.vectorize(jax.grad(lambda K: gaussian_mean(lambda z: phi(z) ** 2, K)))
    return c_w * parallel(kernel), c_w * gaussian_mean(lambda z: slope(z) ** 2, kernel)


def fixed_point(step: Callable[[Array], Array], start: ArrayLike, iterations: int = 100, newton: int = 25) -> Array:
    """K = step(K) ≥ 0: `iterations` of the map choose the stable point, Newton steps that stay in [0, 2K] sharpen it."""

    def refine(_, K):
        value, slope = jax.jvp(step, (K,), (jnp.ones_like(K),))
        guess = K + (value - K) / (1 - slope)
        return jnp.where(jnp.isfinite(guess) & (guess >= 0) & (guess <= 2 * K), guess, value)

    start = jnp.asarray(start, float)
    return jax.lax.fori_loop(0, newton, refine, jax.lax.fori_loop(0, iterations, lambda _, K: step(K), start))


def function(which: str | Activation) -> Activation:
    """The activation of that name (a parameter is called so)."""
    return activation(which)


def is_concrete(*values: ArrayLike) -> bool:
    """Whether these are numbers, not the tracers of a transformation."""
    return not any(isinstance(v, Tracer) for v in values)


def check_setting(*, c_b: ArrayLike = 0.0, c_w: ArrayLike = 1.0, keep: ArrayLike = 1.0, depth: int = 1) -> None:
    """`ValueError` in one line unless C_W > 0, C_b ≥ 0, 0 < ρ ≤ 1 and depth ≥ 1; traced values pass."""
    rules = {
        "c_w": (c_w, lambda v: v > 0, "> 0"),
        "c_b": (c_b, lambda v: v >= 0, "≥ 0"),
        "keep": (keep, lambda v: (v > 0) & (v <= 1), "in (0, 1]"),
        "depth": (depth, lambda v: v >= 1, "≥ 1"),
    }
    for name, (value, rule, text) in rules.items():
        if is_concrete(value) and not np.all(rule(np.asarray(value))):
            raise ValueError(f"{name}={value}: must be {text}")


def check_kernel(kernel: ArrayLike) -> None:
    """`ValueError` in one line unless `kernel` is a variance, or a symmetric positive semi-definite matrix, to rounding."""
    if not is_concrete(kernel):
        return
    K = np.asarray(kernel, float)
    if K.ndim not in (0, 2) or (K.ndim == 2 and K.shape[0] != K.shape[1]):
        raise ValueError(f"kernel: a number or an (m, m) matrix, not of shape {K.shape}")
    size = np.abs(K).max(initial=0.0)
    if not np.all(np.isfinite(K)) or not np.allclose(K, K.T, rtol=0, atol=1e-10 * size):
        raise ValueError("kernel: must be finite and symmetric")
    least = np.linalg.eigvalsh(np.atleast_2d(K))[0]
    if least < -1e-8 * size:
        raise ValueError(f"kernel: must be positive semi-definite, its least eigenvalue is {least:.3g}")
