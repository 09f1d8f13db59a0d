"""Zen-score: how far an untrained network's features move when its input does.

    log ⟨|h(x) - h(x + α ε)|⟩ + ½ Σ_k log ⟨σ²_kc⟩_c,   x, ε ~ N(0, 1)

h is what enters the readout, σ²_kc the variance by which batch normalisation k divides channel c: the second term puts back the scale
that it takes out, so that the score is that of the same network without it. All weights of a bias-free ReLU network of D layers times c:
D log c more.
Source: Lin et al., "Zen-NAS" (arXiv:2102.01063), Algorithm 1; they leave out residual connections and the last pooling, and take α = 0.01.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ...models import Apply
from .network import batch, hidden


def zen(
    apply: Apply,
    params: Any,
    x: Any,
    y: Any = None,
    alpha: float = 0.01,
    layer: int = -1,
    variances: Sequence[jax.Array] = (),
    seed: int = 0,
) -> jax.Array:
    """The score of hidden representation `layer`, with as many Gaussian inputs as x (n, …) has examples; only its shape counts.

    `variances` (channels,) are those of each batch normalisation that uses the batch's own statistics; with running averages, which
    start at 0 and 1, there is nothing to put back. -inf where features do not move.
    """
    x = batch(params, x)
    at, step = (jax.random.normal(key, x.shape, x.dtype) for key in jax.random.split(jax.random.key(seed)))
    here, there = (hidden(apply(params, z), "zen")[layer].astype(float).reshape(len(x), -1) for z in (at, at + alpha * step))
    moved = jnp.mean(jnp.sqrt(jnp.sum((there - here) ** 2, axis=1)))
    return jnp.log(moved) + sum((jnp.log(jnp.mean(v, dtype=float)) / 2 for v in variances), jnp.zeros(()))
