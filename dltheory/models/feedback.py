"""Feedback alignment: an MLP whose errors travel back through fixed random weights B instead of the transposed forward weights.

    forward z = b + h W,   backward δ_h = δ_z Bᵀ,   ∂L/∂W = hᵀ δ_z

The same functions as an MLP, learnt by another rule: a control that tells what gradient descent does from what the architecture does.
Source: Lillicrap et al., "Random synaptic feedback weights support error backpropagation" (2016).
"""

import jax
from flax import nnx

from .base import Activations, Patch, unpatched
from .mlp import MLP, Factor


class FeedbackMLP(nnx.Module):
    """An MLP with the feedback weights of another of the same shape."""

    def __init__(self, mlp: MLP, feedback: MLP) -> None:
        self.mlp = mlp
        self.feedback = nnx.List([Factor(w[...]) for w in feedback.weights])

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """The activations of the MLP; only derivatives differ."""
        hidden: list[jax.Array] = []
        layers = len(self.mlp.weights) - 1
        for layer in range(layers + 1):
            through = x @ self.feedback[layer][...]
            x = self.mlp.affine(layer, jax.lax.stop_gradient(x)) + through - jax.lax.stop_gradient(through)
            if layer < layers:
                x = patch(layer, self.mlp.phi(x))
                hidden.append(x)
        return Activations(tuple(hidden), x)
