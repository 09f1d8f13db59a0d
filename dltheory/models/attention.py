"""Single-head attention on the parts of an input, without normalisation: as much of a transformer as theory needs.

    u_t = x_t E + p_t,   h = φ(u + softmax(u W_q (u W_k)ᵀ/√d) u W_v W_o),   output = affine(φ(affine(mean of h over tokens)))

Further layers read h. The representation of a layer is h, flattened. Source: Vaswani et al. (arXiv:1706.03762).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation
from .mlp import MLP
from .recurrent import parts


class Head(nnx.Module):
    """W_q, W_k, W_v, W_o, each d × d."""

    def __init__(self, width: int, parametrisation: Parametrisation, *, key: jax.Array, dtype: DTypeLike) -> None:
        scale = jnp.asarray(parametrisation(width, width).weight, dtype)
        draw = lambda stream: nnx.Param(jax.random.normal(jax.random.fold_in(key, stream), (width, width), dtype) * scale)
        self.query, self.key, self.value, self.out = map(draw, range(4))

    def __call__(self, u: jax.Array) -> jax.Array:
        """(n, tokens, d) to the same."""
        q, k, v = (u @ w[...] for w in (self.query, self.key, self.value))
        weights = jax.nn.softmax(jnp.einsum("ntd,nsd->nts", q, k) / u.shape[2] ** 0.5)
        return jnp.einsum("nts,nsd->ntd", weights, v) @ self.out[...]


class Attention(nnx.Module):
    """`layers` heads on `tokens` parts of the input, and a dense layer of `head` units."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        tokens: int,
        layers: int,
        head: int,
        phi: str | Activation,
        parametrisation: Parametrisation,
        *,
        key: jax.Array,
        dtype: DTypeLike,
    ) -> None:
        draw = lambda stream: jax.random.fold_in(key, stream)
        self.phi, self.tokens = activation(phi), tokens
        self.embed = MLP((parts(inputs, tokens), width), "linear", parametrisation, key=draw(0), bias=False, dtype=dtype)
        scale = jnp.asarray(parametrisation(width, width).weight, dtype)
        self.position = nnx.Param(jax.random.normal(draw(2), (tokens, width), dtype) * scale)
        self.layers = nnx.List([Head(width, parametrisation, key=draw(3 + i), dtype=dtype) for i in range(layers)])
        self.head = MLP((width, head, outputs), phi, parametrisation, key=draw(1), dtype=dtype)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): each layer's (n, tokens × d), and the dense layer's."""
        hidden: list[jax.Array] = []
        u = self.embed.affine(0, x.reshape(len(x) * self.tokens, -1)).reshape(len(x), self.tokens, -1) + self.position[...][None]
        for layer in self.layers:
            hidden.append(patch(len(hidden), self.phi(u + layer(u)).reshape(len(x), -1)))
            u = hidden[-1].reshape(u.shape)
        last = self.head(jnp.mean(u, axis=1), lambda _, h: patch(len(hidden), h))
        return Activations((*hidden, *last.hidden), last.output)
