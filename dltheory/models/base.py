"""What every model offers: its activations, and a functional form for training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

Apply = Callable[..., "Activations"]
"""`apply(params, x)`; `patch=` replaces representations on the way, `key=` makes a stochastic model draw its noise."""
Patch = Callable[[int, jax.Array], jax.Array]
"""From a hidden layer, counted from 0, and its representation (n, units) to the one that the rest of the network sees."""


def unpatched(layer: int, hidden: jax.Array) -> jax.Array:
    """Representations as they are."""
    return hidden


class Activations(NamedTuple):
    """What a network computes: its hidden representations after the nonlinearity, first layer first, and its output."""

    hidden: tuple[jax.Array, ...]
    output: jax.Array


def functional(model: nnx.Module) -> tuple[Any, Apply]:
    """The trainable parameters of a model, and its forward pass `apply(params, x)` as a pure function of them."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    return params, lambda params, x, **how: nnx.merge(graph, params, rest)(x, **how)
