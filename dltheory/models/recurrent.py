"""A recurrent network that reads the input in parts, one a time step, and answers after the last.

    h_1 = φ(x_1 W_x + b),   h_t = φ(x_t W_x + h_{t-1} W_h + b),   output = affine in h_T

An image whose side is the number of steps is read row by row. Source: Elman, "Finding structure in time" (1990).
"""

import jax
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation
from .mlp import MLP


class RNN(nnx.Module):
    """`steps` time steps of `width` units."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        steps: int,
        phi: str | Activation,
        parametrisation: Parametrisation,
        *,
        key: jax.Array,
        dtype: DTypeLike,
    ) -> None:
        self.steps, self.phi = steps, activation(phi)
        layer = lambda n, m, stream, bias=True: MLP(
            (n, m), "linear", parametrisation, key=jax.random.fold_in(key, stream), bias=bias, dtype=dtype
        )
        self.read = layer(parts(inputs, steps), width, 0)
        self.recur, self.answer = layer(width, width, 1, bias=False), layer(width, outputs, 2)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): the state (n, width) after each step."""
        hidden: list[jax.Array] = []
        for step, part in enumerate(x.reshape(len(x), self.steps, -1).swapaxes(0, 1)):
            z = self.read.affine(0, part)
            z = z + self.recur.affine(0, hidden[-1]) if hidden else z
            hidden.append(patch(step, self.phi(z)))
        return Activations(tuple(hidden), self.answer.affine(0, hidden[-1]))


def parts(inputs: int, count: int) -> int:
    """Inputs in each of `count` equal parts; `ValueError` if that is no whole number."""
    if inputs % count:
        raise ValueError(f"inputs={inputs}: must be a multiple of {count}, the parts that the model reads")
    return inputs // count
