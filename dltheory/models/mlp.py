"""Multilayer perceptron: z^(1) = b + x W, z^(l+1) = b + φ(z^(l)) W, output z^(D)."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation, initialise, xavier
from .linear import product


class Factor(nnx.Variable[jax.Array]):
    """A number of the forward pass that is not trained."""


class MLP(nnx.Module):
    """Any width, depth and nonlinearity. `sizes` = (inputs, hidden widths …, outputs); without `bias` there are no biases."""

    def __init__(
        self,
        sizes: Sequence[int],
        phi: str | Activation = "tanh",
        parametrisation: Parametrisation | None = None,
        *,
        key: jax.Array,
        bias: bool = True,
        dtype: DTypeLike = jnp.float32,
    ) -> None:
        parametrisation = parametrisation or xavier()
        self.phi = activation(phi)
        scales = [parametrisation(n, m) for n, m in itertools.pairwise(sizes)]
        weights, biases = initialise(key, sizes, parametrisation, dtype)
        self.weights = nnx.List([nnx.Param(w) for w in weights])
        self.biases = nnx.List([nnx.Param(b) for b in biases]) if bias else None
        rescaled = any(not isinstance(s.weight_factor, float) for s in scales)
        self.factors = (
            nnx.List([Factor(jnp.stack([jnp.asarray(f, dtype) for f in (s.weight_factor, s.bias_factor)])) for s in scales])
            if rescaled
            else None
        )

    @classmethod
    def of(cls, weights: Sequence[jax.Array], biases: Sequence[jax.Array], phi: str | Activation) -> "MLP":
        """The network with these weights (n_in, n_out) and biases (n_out,), first layer first."""
        sizes = [len(weights[0]), *(len(b) for b in biases)]
        model = nnx.eval_shape(lambda: cls(sizes, phi, key=jax.random.key(0)))  # draws nothing
        model.weights = nnx.List([nnx.Param(w) for w in weights])
        model.biases = nnx.List([nnx.Param(b) for b in biases])
        return model

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, inputs): `hidden` after the nonlinearity, one (n, width) array per layer, `output` (n, outputs)."""
        hidden: list[jax.Array] = []
        for layer in range(len(self.weights)):
            if layer:
                x = patch(layer - 1, self.phi(x))
                hidden.append(x)
            x = self.affine(layer, x)
        return Activations(tuple(hidden), x)

    def affine(self, layer: int, x: jax.Array) -> jax.Array:
        """b + x W of a layer, counted from 0."""
        factors = self.factors[layer][...] if self.factors is not None else None
        z = product(x, self.weights[layer][...])
        z = z if factors is None else factors[0] * z
        if self.biases is None:
            return z
        bias = self.biases[layer][...]
        return z + (bias if factors is None else factors[1] * bias)[None]
