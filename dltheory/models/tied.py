"""A multilayer perceptron whose hidden layers are one layer, used again and again: h_1 = φ(b_0 + x W_0), h_{n+1} = φ(b + h_n W).

Weight W and bias b are shared by all hidden layers but the first; the output is affine in the last, with weights of its own.
Source: Savarese and Maire, "Learning implicitly recurrent CNNs through parameter sharing" (arXiv:1902.09701).
"""

import jax
from flax import nnx

from .base import Activations, Patch, unpatched
from .mlp import MLP


class TiedMLP(nnx.Module):
    """`mlp` has two hidden layers of one width; its second is used until there are `hidden_layers`."""

    def __init__(self, mlp: MLP, hidden_layers: int) -> None:
        self.mlp = mlp
        self.hidden_layers = hidden_layers

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): (n, width) per layer."""
        hidden: list[jax.Array] = []
        for layer in range(self.hidden_layers):
            x = patch(layer, self.mlp.phi(self.mlp.affine(min(layer, 1), x)))
            hidden.append(x)
        return Activations(tuple(hidden), self.mlp.affine(2, x))
