r"""Exact sampling of random networks at the price of their neurons: no weight matrix is ever drawn.

*Preactivations.* The rows of W are independent and each W is used once, so given layer l the neurons of layer l+1 are independent
N(0, S') with S' = C_b + (C_W/n) Σ_j s(z_j) s(z_j)ᵀ, and z = √S g with n fresh normals is exact. One input: O(n) a layer.

*Tangent kernel* of one output. Forward as above; backward with v^(l) = ∂z_out/∂z^(l). All that is known of W is W s = u := z' - b, so

    Wᵀ v = s (u·v)/|s|² + (1 - s sᵀ/|s|²) g |v| √(C_W/n),    u·v = (1-w) z'·v + √(C_b (1-w)) |v| ξ,    w = C_b / (C_b + C_W |s|²/n)

with fresh normals g and ξ: the bias given z' is N(w z', C_b (1-w)). Then v ← s'(z) Wᵀ v, and
H = Σ_l |v^(l)|² (λ_b^(l) + λ_W^(l) |s^(l-1)|²/n).

Normals are float32, moments float64: 1e-7 against sampling errors of 1e-3. Tests compare with whole networks by autodiff.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..infinite_width import check_kernel, check_setting, derivative, function
from ..models.activations import Activation
from ..record import array, record

BATCH = 500
"""Networks drawn at a time, at most: what they need stays in the cache."""


@record
class TangentSample:
    """Networks' output and tangent kernel at one input, (networks,), and |∂z_out/∂z^(l)|² of every layer, (networks, depth)."""

    output: Array = array("output z^(L)", "preactivation")
    ntk: Array = array("tangent kernel H", "preactivation²")
    gradient: Array = array("squared norm of the gradient with respect to preactivations")
    kernel: Array = array("variance S of a layer's preactivations", "preactivation²")


def sample_kernels(
    key: Array,
    activation: str | Activation,
    widths: Sequence[int],
    kernel: ArrayLike,
    c_b: ArrayLike,
    c_w: ArrayLike,
    networks: int,
) -> Array:
    """S of layers 1 … len(widths) + 1 of random networks, (networks, depth) or (networks, depth, m, m); the first is `kernel`.

    `widths` are those of the hidden layers. E S = K + G1/n, Var S = V/n, κ₃(S) = W6/n². `ValueError` as `propagate`.
    """
    check_setting(c_b=c_b, c_w=c_w)
    check_kernel(kernel)
    K, *numbers = (jnp.asarray(a, jnp.float32) for a in (kernel, c_b, c_w))
    draw = _scalar_layer if K.ndim == 0 else _matrix_layer
    return _sample_kernels(draw, function(activation), *_sizes(widths, networks), key, K, *numbers)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _sample_kernels(draw, phi, widest, networks, widths, key, kernel, c_b, c_w):
    def layer(S, given):
        n, key = given
        new = c_b + c_w * draw(phi, key, widest, n, S)
        return new, new

    def batch(key, rows):
        start = jnp.broadcast_to(kernel, (rows, *kernel.shape))
        _, rest = jax.lax.scan(layer, start, (widths, jax.random.split(key, len(widths))))
        return jnp.moveaxis(jnp.concatenate([start[None], rest]), 0, 1)

    return _in_batches(batch, key, networks).astype(float)


def _scalar_layer(phi, key, widest, n, S):
    z = jnp.sqrt(S)[:, None] * jax.random.normal(key, (len(S), widest), S.dtype)
    return jnp.sum(jnp.where(_present(widest, n), phi(z) ** 2, 0.0), axis=1) / n


def _matrix_layer(phi, key, widest, n, S):
    g = jax.random.normal(key, (len(S), widest, S.shape[-1]), S.dtype)
    s = jnp.where(_present(widest, n)[..., None], phi(jnp.einsum("bij,bnj->bni", root(S), g)), 0.0)
    return jnp.einsum("bni,bnj->bij", s, s) / n


def sample_residual(
    key: Array,
    activation: str | Activation,
    width: int,
    kernel: ArrayLike,
    depth: int,
    c_b: ArrayLike,
    c_w: ArrayLike,
    skip: ArrayLike,
    networks: int,
) -> Float[Array, "networks depth"]:
    """Mean over neurons of z² in layers 1 … depth of residual networks z' = b + W s(z) + γ z: n Var = 2K² + V (1 + 2/n)."""
    check_setting(c_b=c_b, c_w=c_w, depth=depth)
    numbers = (jnp.asarray(a, jnp.float32) for a in (kernel, c_b, c_w, skip))
    return _sample_residual(function(activation), int(width), int(depth), int(networks), key, *numbers)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _sample_residual(phi, width, depth, networks, key, kernel, c_b, c_w, skip):
    def layer(z, key):
        S = c_b + c_w * jnp.mean(phi(z) ** 2, axis=1)
        return skip * z + jnp.sqrt(S)[:, None] * jax.random.normal(key, z.shape, z.dtype), jnp.mean(z * z, axis=1)

    def batch(key, rows):
        first, rest = jax.random.split(key)
        start = jnp.sqrt(kernel) * jax.random.normal(first, (rows, width), jnp.float32)
        return jax.lax.scan(layer, start, jax.random.split(rest, depth))[1].T

    return _in_batches(batch, key, networks).astype(float)


def sample_ntk(
    key: Array,
    activation: str | Activation,
    widths: Sequence[int],
    kernel: ArrayLike,
    c_b: ArrayLike,
    c_w: ArrayLike,
    lambda_b: ArrayLike,
    lambda_w: ArrayLike,
    networks: int,
) -> TangentSample:
    """Output, tangent kernel and gradient norms of random networks with one input, of K^(1) = `kernel`, and one output.

    `widths` are those of the hidden layers, so the depth is len(widths) + 1; λ's are numbers or (depth,), layer 1 first, and
    weights of a layer learn at λ_W / fan-in. `ValueError` as `propagate`, and for a kernel of several inputs.
    """
    check_setting(c_b=c_b, c_w=c_w)
    check_kernel(kernel)
    if np.ndim(kernel):
        raise ValueError("kernel: tangent kernels are sampled at one input")
    depth = len(widths) + 1
    numbers = (jnp.asarray(a, jnp.float32) for a in (kernel, c_b, c_w))
    rates = (jnp.broadcast_to(jnp.asarray(a, jnp.float32), (depth,)) for a in (lambda_b, lambda_w))
    return _sample_ntk(function(activation), *_sizes(widths, networks), key, *numbers, *rates)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _sample_ntk(phi, widest, networks, widths, key, kernel, c_b, c_w, lambda_b, lambda_w):
    slope = jnp.vectorize(derivative(phi))
    total = lambda a: jnp.sum(a, axis=1)
    normal = lambda key, *shape: jax.random.normal(key, shape, jnp.float32)

    def up(S, given):
        n, key = given
        z = jnp.sqrt(S)[:, None] * normal(key, len(S), widest)
        return c_b + c_w * total(jnp.where(_present(widest, n), phi(z) ** 2, 0.0)) / n, (z, S)

    def down(above, given):
        z_above, v, S_above = above
        n, key, z, S = given
        g, xi = jax.random.split(key)
        here = _present(widest, n)
        s, norm, w = jnp.where(here, phi(z), 0.0), jnp.sqrt(total(v * v)), c_b / S_above
        uv = (1 - w) * total(z_above * v) + jnp.sqrt(c_b * (1 - w)) * norm * normal(xi, len(v))
        fresh = normal(g, *v.shape) * (norm * jnp.sqrt(c_w / n))[:, None]
        length = total(s * s)
        along = jnp.where(length > 0, uv - total(s * fresh), 0.0) / jnp.where(length > 0, length, 1.0)
        v = jnp.where(here, slope(z) * (fresh + s * along[:, None]), 0.0)
        return (z, v, S), total(v * v)

    def batch(key, rows):
        first, last, second = jax.random.split(key, 3)
        keys = lambda key: jax.random.split(key, len(widths))
        S, (z, variance) = jax.lax.scan(up, jnp.full(rows, kernel), (widths, keys(first)))
        one = (jnp.arange(widest) == 0).astype(jnp.float32)[None]
        output = jnp.sqrt(S) * normal(last, rows)
        start = output[:, None] * one, jnp.broadcast_to(one, (rows, widest)), S
        _, gradient = jax.lax.scan(down, start, (widths, keys(second), z, variance), reverse=True)
        gradient = jnp.concatenate([gradient, jnp.ones((1, rows), jnp.float32)]).T
        variance = jnp.concatenate([variance, S[None]]).T
        ntk = total(gradient * (lambda_b[None] + lambda_w[None] * (variance - c_b) / c_w))
        return TangentSample(output, ntk, gradient, variance)

    return jax.tree.map(lambda a: a.astype(float), _in_batches(batch, key, networks))


def root(S: Float[Array, "... m m"]) -> Float[Array, "... m m"]:
    """Lower triangular L with L Lᵀ = S for a positive semi-definite S: a pivot that vanishes to rounding leaves its column empty."""
    m = S.shape[-1]
    tiny = 4 * jnp.finfo(S.dtype).eps
    columns: list[Any] = []
    rest = S
    for k in range(m):
        pivot = rest[..., k, k]
        good = pivot > tiny * S[..., k, k]
        column = jnp.where(good[..., None], rest[..., :, k] / jnp.sqrt(jnp.where(good, pivot, 1.0))[..., None], 0.0)
        columns.append(column)
        rest = rest - column[..., :, None] * column[..., None, :]
    return jnp.stack(columns, -1)


def _sizes(widths: Sequence[int], networks: int) -> tuple[int, int, Array]:
    """The greatest width, the number of networks and all widths; `ValueError` for a width or number below 1."""
    if any(n < 1 for n in widths) or networks < 1:
        raise ValueError(f"widths={list(widths)}, networks={networks}: must be ≥ 1")
    return max(widths, default=1), int(networks), jnp.asarray(widths, jnp.float32)


def _present(widest, n):
    """Which of `widest` neurons a layer of n has, (1, widest)."""
    return jnp.arange(widest, dtype=jnp.float32)[None] < n


def _in_batches(batch, key, networks):
    """`batch(key, rows)` for as many keys as make `networks` rows, stacked."""
    rows = min(BATCH, networks)
    drawn = jax.lax.map(lambda key: batch(key, rows), jax.random.split(key, -(-networks // rows)))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:networks], drawn)
