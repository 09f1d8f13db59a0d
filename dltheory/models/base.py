"""What every model offers: its activations, and a functional form for training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

Apply = Callable[[Any, jax.Array], "Activations"]


class Activations(NamedTuple):
    """What a network computes: its hidden representations after the nonlinearity, first layer first, and its output."""

    hidden: tuple[jax.Array, ...]
    output: jax.Array


def functional(model: nnx.Module) -> tuple[Any, Apply]:
    """The trainable parameters of a model, and its forward pass `apply(params, x)` as a pure function of them."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    return params, lambda params, x: nnx.merge(graph, params, rest)(x)
