"""A multilayer perceptron whose layers skip: h_n = φ(b + h_{n-1} W_n) + h_{n-2} for n ≥ 2, layers counted from 0.

Even layers so carry h_0 on, odd ones h_1. The output is affine in the last hidden layer.
Source: van Rossem and Saxe, "When Representations Align" (arXiv:2402.09142), the authors' code.
"""

import jax
from flax import nnx

from .base import Activations, Patch, unpatched
from .mlp import MLP


class Skip(nnx.Module):
    """The skipping network of an MLP's weights, which it takes over."""

    def __init__(self, mlp: MLP) -> None:
        self.mlp = mlp

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs); `hidden` holds what is added to, (n, width) per layer."""
        hidden: list[jax.Array] = []
        layers = len(self.mlp.weights) - 1
        for layer in range(layers):
            x = self.mlp.phi(self.mlp.affine(layer, x))
            x = patch(layer, x + hidden[layer - 2] if layer >= 2 else x)
            hidden.append(x)
        return Activations(tuple(hidden), self.mlp.affine(layers, x))
