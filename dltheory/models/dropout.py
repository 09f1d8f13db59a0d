"""Dropout: each number that enters a linear layer is zeroed with probability p and otherwise divided by 1 - p, in training.

Source: Srivastava et al., "Dropout" (2014); before every linear layer, the input included, as in the code of van Rossem and Saxe
(arXiv:2402.09142). There, dropout modules count as layers: their index 2k + 1 is hidden layer k here, so index 5 is layer 2.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from .base import Activations, Patch, unpatched
from .mlp import MLP


class DropoutMLP(nnx.Module):
    """An MLP with dropout. Without a `key` it is that MLP itself."""

    def __init__(self, mlp: MLP, probability: float) -> None:
        self.mlp = mlp
        self.probability = probability

    def __call__(self, x: jax.Array, patch: Patch = unpatched, key: jax.Array | None = None) -> Activations:
        """Activations for x (n, inputs), with noise drawn from `key`; `hidden` are the layers before their dropout."""
        hidden: list[jax.Array] = []
        layers = len(self.mlp.weights) - 1
        for layer in range(layers):
            x = patch(layer, self.mlp.phi(self.mlp.affine(layer, self._drop(x, layer, key))))
            hidden.append(x)
        return Activations(tuple(hidden), self.mlp.affine(layers, self._drop(x, layers, key)))

    def _drop(self, x: jax.Array, layer: int, key: jax.Array | None) -> jax.Array:
        if key is None:
            return x
        kept = jax.random.bernoulli(jax.random.fold_in(key, layer), 1 - self.probability, x.shape)
        return jnp.where(kept, x / (1 - self.probability), 0)
