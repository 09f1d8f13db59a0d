"""One-dimensional convolutional network: a linear layer makes a line of positions, convolutions without padding shorten it.

    linear inputs → width, convolution 1 → channels, (K-2) convolutions channels → channels, convolution channels → 1, linear → outputs

With K convolutions of kernel size k the last line has width - K(k-1) positions, each of which sees K(k-1) + 1 of the first line's.
Without the linear layer (width = 0) the inputs are the line. The representation of a layer is its channels, flattened.
Source: van Rossem and Saxe, "When Representations Align" (arXiv:2402.09142), the authors' code: k = 11, 20 channels, width 500.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation
from .mlp import MLP


class Conv1d(nnx.Module):
    """Convolutions along one dimension, with Xavier's fans: kernel × channels in, kernel × channels out."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        channels: int,
        convolutions: int,
        kernel: int,
        phi: str | Activation,
        parametrisation: Parametrisation,
        *,
        key: jax.Array,
        dtype: DTypeLike,
    ) -> None:
        draw = lambda stream: jax.random.fold_in(key, stream)
        linear = lambda n, m, stream: MLP((n, m), "linear", parametrisation, key=draw(stream), dtype=dtype)
        last = (width or inputs) - convolutions * (kernel - 1)
        if last < 1:
            raise ValueError(f"kernel={kernel}: {convolutions} convolutions leave none of {width or inputs} positions")
        sizes = [1, *[channels] * (convolutions - 1), 1]
        self.phi = activation(phi)
        self.lift = linear(inputs, width, 0) if width else None
        self.kernels = nnx.List()
        for n, (a, b) in enumerate(itertools.pairwise(sizes)):
            scale = parametrisation(kernel * a, kernel * b).weight
            self.kernels.append(nnx.Param(jax.random.normal(draw(2 + n), (kernel, a, b), dtype) * jnp.asarray(scale, dtype)))
        self.biases = nnx.List([nnx.Param(jnp.zeros(b, dtype)) for b in sizes[1:]])
        self.head = linear(last, outputs, 1)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): the linear layer's (n, width), if there is one, then (n, positions × channels) of convolutions."""
        hidden: list[jax.Array] = []

        def represent(z):
            hidden.append(patch(len(hidden), self.phi(z).reshape(len(x), -1)))
            return hidden[-1].reshape(z.shape)

        line = x if self.lift is None else represent(self.lift(x).output)
        line = line[:, :, None]
        for w, b in zip(self.kernels, self.biases, strict=True):
            line = represent(convolve(line, w[...]) + b[...][None, None])
        return Activations(tuple(hidden), self.head(line[:, :, 0]).output)


def convolve(line: jax.Array, w: jax.Array) -> jax.Array:
    """Lines (n, positions, a) with w (k, a, b), without padding: (n, positions - k + 1, b). One matrix product, ten times as fast on a
    CPU as XLA's convolution of a few short lines."""
    k, _, b = w.shape
    shorter = line.shape[1] - k + 1
    windows = jnp.concatenate([line[:, i : i + shorter] for i in range(k)], axis=2)
    return windows @ w.reshape(-1, b)
