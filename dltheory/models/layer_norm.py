"""A multilayer perceptron with layer normalisation: h = φ(g LN(b + h W) + β), LN(z) = (z - ⟨z⟩)/√(⟨(z - ⟨z⟩)²⟩ + ε).

The averages are over the units of a layer, for each input alone, so that two points do not see each other as they would through
a batch's. The scale of the weights drops out: the gain is the initial g, and that of the readout. Biases start as weights do, for
without them the input 0 sits where LN is singular.
Source: Ba, Kiros and Hinton, "Layer Normalization" (arXiv:1607.06450).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Number
from .activations import Activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation, Scales, xavier
from .mlp import MLP

EPSILON = 1e-6


class LayerNorm(nnx.Module):
    """g LN(z) + β over the last axis."""

    def __init__(self, units: int, gain: Number, dtype: DTypeLike) -> None:
        self.scale = nnx.Param(jnp.full(units, gain, dtype))
        self.shift = nnx.Param(jnp.zeros(units, dtype))

    def __call__(self, z: jax.Array) -> jax.Array:
        """z (..., units) to the same."""
        z = z - jnp.mean(z, axis=-1, keepdims=True)
        normal = z * jax.lax.rsqrt(jnp.mean(z**2, axis=-1, keepdims=True) + EPSILON)
        each = (None,) * (z.ndim - 1)
        return self.scale[...][each] * normal + self.shift[...][each]


class LayerNormMLP(nnx.Module):
    """Any width, depth and nonlinearity; `sizes` as in `MLP`."""

    def __init__(self, sizes: Sequence[int], phi: str | Activation, gain: Number, *, key: jax.Array, dtype: DTypeLike) -> None:
        inner, readout = jax.random.split(key)
        self.mlp = MLP(sizes[:-1], phi, with_biases(xavier()), key=inner, dtype=dtype)
        self.readout = MLP(sizes[-2:], phi, xavier(gain), key=readout, dtype=dtype)
        self.norms = nnx.List([LayerNorm(units, gain, dtype) for units in sizes[1:-1]])

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): `hidden` after the nonlinearity, (n, width) per layer."""
        hidden: list[jax.Array] = []
        for layer, norm in enumerate(self.norms):
            x = patch(layer, self.mlp.phi(norm(self.mlp.affine(layer, x))))
            hidden.append(x)
        return Activations(tuple(hidden), self.readout(x).output)


def with_biases(parametrisation: Parametrisation) -> Parametrisation:
    """Biases that start as the weights of their layer do."""
    return lambda fan_in, fan_out: Scales(*[parametrisation(fan_in, fan_out).weight] * 2)
