"""Does the theory apply? Read off a network alone, at two points, without training it or fitting anything.

The theory keeps the linear terms of encoder and decoder about the midpoints x̄ of the inputs and h̄ of the representations. The
second-order term beside the linear one is, in finite differences (second derivatives of ReLU networks vanish almost everywhere),

    encoder   |h(x₁) + h(x₂) - 2 h(x̄)| / |h(x₂) - h(x₁)|
    decoder   |y(h₁) + y(h₂) - 2 y(h̄)| / |y(h₂) - y(h₁)|

both zero for linear maps. It also assumes that the decoder reads along dh only; the part of its derivative D_y = ∂y/∂h(h̄) across dh is

    across    1 - |D_y dh|² / (|D_y|² |dh|²).

A skip past the layer is not a part of the decoder: there the rest of the network sees x̄.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..models import Apply
from ..record import Number, array, record


@record
class Validity:
    """What is left out at a hidden layer, as a fraction of what is kept."""

    encoder: Number = array("second-order over first-order term of the encoder")
    decoder: Number = array("second-order over first-order term of the decoder")
    across: Number = array("part of the decoder's derivative across dh")


def validity(apply: Apply, params: Any, x: Float[Array | np.ndarray, "2 inputs"]) -> Validity:
    """The second-order ratios and the part across dh of a network, (layer,) for each hidden layer. A ratio of 0/0 is 0, any
    other over 0 infinite; `across` is 1 where dh or D_y vanishes."""
    x = jnp.asarray(x, jax.tree.leaves(params)[0].dtype)
    seen, middle = apply(params, x), jnp.mean(x, axis=0, keepdims=True)
    between = apply(params, middle).hidden
    means = [jnp.mean(h, axis=0, keepdims=True) for h in seen.hidden]

    def decode(means, layer):
        y = apply(params, middle, patch=lambda k, z: jnp.where(layer == k, means[k], z)).output[0]
        return y, y

    layers = jnp.arange(len(means))
    slopes, decoded = jax.vmap(jax.jacrev(decode, has_aux=True), (None, 0))(means, layers)

    def across(slope, h):
        slope, dh = slope.astype(float), (h[1] - h[0]).astype(float)
        return 1 - _over(jnp.sum((slope @ dh) ** 2), jnp.sum(slope**2) * jnp.sum(dh**2))

    return Validity(
        jnp.stack([_second_over_first(h, m[0]) for h, m in zip(seen.hidden, between, strict=True)]),
        jax.vmap(lambda y: _second_over_first(seen.output, y))(decoded),
        jnp.stack([across(slopes[k][k, :, 0], h) for k, h in enumerate(seen.hidden)]),
    )


def _second_over_first(ends: jax.Array, middle: jax.Array) -> jax.Array:
    size = lambda v: jnp.sqrt(jnp.sum(v.astype(float) ** 2))
    return _over(size(ends[0] + ends[1] - 2 * middle), size(ends[1] - ends[0]))


def _over(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), jnp.where(a > 0, jnp.inf, 0.0))
