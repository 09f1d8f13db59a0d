"""LeNet-5 with full connections: two 5×5 convolutions without padding, each followed by a mean over 2×2, and two dense layers.

    32×32 → 6 × 28×28 → 14×14 → 16 × 10×10 → 5×5 → 120 → 84 → outputs

Smaller images are first framed with zeros to 32×32, as the digits of MNIST were.
Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998), figure 2; there some maps of
the second convolution see only some of the first's, and pooling has weights.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .cnn import convolve, pool, side
from .initialisation import Parametrisation
from .mlp import MLP

SIDE, KERNEL, CHANNELS, UNITS = 32, 5, (1, 6, 16), (400, 120, 84)


class LeNet5(nnx.Module):
    """Inputs are pixels of a square image, at most 32×32."""

    def __init__(
        self, inputs: int, outputs: int, phi: str | Activation, parametrisation: Parametrisation, *, key: jax.Array, dtype: DTypeLike
    ) -> None:
        if side(inputs) > SIDE:
            raise ValueError(f"inputs={inputs}: must be ≤ {SIDE**2}, the pixels of LeNet-5's image")
        self.phi = activation(phi)
        self.kernels, self.biases = nnx.List(), nnx.List()
        for n, (a, b) in enumerate(itertools.pairwise(CHANNELS)):
            scale = jnp.asarray(parametrisation(KERNEL**2 * a, KERNEL**2 * b).weight, dtype)
            self.kernels.append(nnx.Param(jax.random.normal(jax.random.fold_in(key, 1 + n), (KERNEL, KERNEL, a, b), dtype) * scale))
            self.biases.append(nnx.Param(jnp.zeros(b, dtype)))
        self.dense = MLP((*UNITS, outputs), phi, parametrisation, key=jax.random.fold_in(key, 0), dtype=dtype)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, side²): both convolutions before they are pooled, flattened, and both dense layers."""
        hidden: list[jax.Array] = []
        n, s = len(x), side(x.shape[1])
        before, after = (SIDE - s) // 2, (SIDE - s + 1) // 2
        image = jnp.pad(x.reshape(n, s, s, 1), ((0, 0), (before, after), (before, after), (0, 0)))
        for w, b in zip(self.kernels, self.biases, strict=True):
            z = self.phi(convolve(image, w[...]) + b[...][None, None, None])
            hidden.append(patch(len(hidden), z.reshape(n, -1)))
            image = pool(hidden[-1].reshape(z.shape), 2)
        last = self.dense(image.reshape(n, -1), lambda layer, h: patch(2 + layer, h))
        return Activations((*hidden, *last.hidden), last.output)
