"""A stack of pre-norm transformer blocks on a line of tokens that a linear layer makes of the input.

    u = x + Attention(LN(x)),   h = u + W₂ φ(W₁ LN(u)),   output = linear(LN(h) of all tokens)

Every linear map is Xavier normal with the gain, and so are the biases of the first, which tell tokens apart even at x = 0, where LN
would be singular. The representation of a block is its residual stream h, flattened.
Source: Vaswani et al. (arXiv:1706.03762); pre-norm: Xiong et al. (arXiv:2002.04745).
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Number
from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .layer_norm import LayerNorm

EXPANSION = 4


class Block(nnx.Module):
    """Attention and a two-layer perceptron, each added to what it reads."""

    def __init__(self, width: int, heads: int, phi: Activation, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike) -> None:
        how = {"kernel_init": xavier_normal(gain), "param_dtype": dtype, "rngs": rngs}
        self.phi = phi
        self.norms = nnx.List([LayerNorm(width, 1.0, dtype) for _ in range(2)])
        self.heads = heads
        self.mix, self.join = nnx.Linear(width, 3 * width, **how), nnx.Linear(width, width, **how)
        self.grow, self.shrink = nnx.Linear(width, EXPANSION * width, **how), nnx.Linear(EXPANSION * width, width, **how)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, tokens, width) to the same."""
        x = x + self.join(self._attend(self.mix(self.norms[0](x))))
        return x + self.shrink(self.phi(self.grow(self.norms[1](x))))

    def _attend(self, mixed: jax.Array) -> jax.Array:
        """softmax(q kᵀ/√size) v in each head, of queries, keys and values (n, tokens, 3 × width)."""
        q, k, v = jnp.moveaxis(mixed.reshape(*mixed.shape[:2], 3, self.heads, -1), 2, 0)
        weights = jax.nn.softmax(jnp.einsum("nthd,nshd->nhts", q, k) / q.shape[-1] ** 0.5)
        return jnp.einsum("nhts,nshd->nthd", weights, v).reshape(*mixed.shape[:2], -1)


class Transformer(nnx.Module):
    """Any number of blocks; `width` units in each of `tokens` tokens."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        tokens: int,
        heads: int,
        blocks: int,
        phi: str | Activation,
        gain: Number,
        *,
        key: jax.Array,
        dtype: DTypeLike,
    ) -> None:
        rngs = nnx.Rngs(key)
        how = {"kernel_init": xavier_normal(gain), "param_dtype": dtype, "rngs": rngs}
        self.tokens = tokens
        position = nnx.initializers.normal((2 / (inputs + tokens * width)) ** 0.5 * gain)
        self.embed, self.head = nnx.Linear(inputs, tokens * width, bias_init=position, **how), nnx.Linear(tokens * width, outputs, **how)
        self.blocks = nnx.List([Block(width, heads, activation(phi), gain, rngs, dtype) for _ in range(blocks)])
        self.norm = LayerNorm(width, 1.0, dtype)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): each block's residual stream, (n, tokens × width)."""
        hidden: list[jax.Array] = []
        stream = self.embed(x).reshape(len(x), self.tokens, -1)
        for layer, block in enumerate(self.blocks):
            hidden.append(patch(layer, block(stream).reshape(len(x), -1)))
            stream = hidden[-1].reshape(stream.shape)
        return Activations(tuple(hidden), self.head(self.norm(stream).reshape(len(x), -1)))


def xavier_normal(gain: Number) -> nnx.Initializer:
    """Weights of standard deviation g √(2/(n_in + n_out)), from flax's normal distribution cut at two standard deviations."""
    unit = nnx.initializers.xavier_normal()
    return lambda key, shape, dtype: unit(key, shape, dtype) * jnp.asarray(gain, dtype)
