"""SynFlow: how much of what flows through a network, all of it positive, flows through its weights.

    R = Σ outputs of the network with weights |w|, for an input of ones,   S_w = |w| ∂R/∂|w|,   score = log Σ S_w

R is the sum of Π|w| over all paths from inputs to outputs, S_w that over the paths through w. So at |w| = 1, without biases, S_w is the
through-count T_w of `count_contexts(kind="through")`, and ∂R/∂b that of a bias b = 0; the published count C_w is the same backward sweep
with every forward value 1. In a chain each layer's S_w add up to R. This holds where nothing but linear maps, sums, concatenations and
φ(z) = z for z ≥ 0 lie on the way; means, gates and other φ enter as they are.
Sources: Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow" (arXiv:2006.05467), eqs. 1
and 2, Theorem 1; as a proxy, log of the sum, arXiv:2101.08134.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ...models import Apply
from ..normalisers import plain_normalisers
from .network import output, total


def synflow_saliency(apply: Apply, params: Any, x: Any, y: Any = None) -> Any:
    """S_w of every parameter in float64, shaped like params; of x (n, …) only the shape of an example counts.

    Layers of flax and of the zoo that normalise by the data's statistics compute x·γ + β instead.
    """
    ones = jnp.ones((1, *jnp.shape(x)[1:]))
    sizes = jax.tree.map(lambda w: jnp.abs(w.astype(float)), params)
    with plain_normalisers():
        gradient = jax.grad(lambda p: jnp.sum(output(apply(p, ones))))(sizes)
    return jax.tree.map(jnp.multiply, sizes, gradient)


def synflow(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """log Σ_w S_w: -inf where nothing reaches the output, inf beyond what float64 holds, e^709.

    A softmax is not monotone, and loses its digits where attention's scores are large: deep attention without its normalisers may give nan.
    """
    return jnp.log(total(synflow_saliency(apply, params, x)))
