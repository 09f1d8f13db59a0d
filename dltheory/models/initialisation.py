"""How weights start: `W ~ N(0, weight²)`, `b ~ N(0, bias²)`, and factors that multiply them in the forward pass.

| name | weight | bias | weight_factor | bias_factor |
| --- | --- | --- | --- | --- |
| `xavier(g)` | g √(2/(n_in + n_out)) | 0 | 1 | 1 |
| `critical(C_b, C_W)` | √(C_W/n_in) | √C_b | 1 | 1 |
| `ntk(C_b, C_W)` | 1 | 1 | √(C_W/n_in) | √C_b |
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ..record import Number


class Scales(NamedTuple):
    """Standard deviations of a layer's weights and biases, and their factors in the forward pass."""

    weight: Number
    bias: Number
    weight_factor: Number = 1.0
    bias_factor: Number = 1.0


Parametrisation = Callable[[int, int], Scales]
"""From a layer's fan-in and fan-out to its scales."""


def xavier(gain: Number = 1.0) -> Parametrisation:
    """Xavier normal weights with a gain, zero biases."""
    return lambda fan_in, fan_out: Scales(gain * (2 / (fan_in + fan_out)) ** 0.5, 0.0)


def critical(c_b: Number = 0.0, c_w: Number = 1.0, gain: Number = 1.0) -> Parametrisation:
    """Weight variance C_W/n_in and bias variance C_b ("standard" parametrisation)."""
    return lambda fan_in, fan_out: Scales(gain * jnp.sqrt(jnp.asarray(c_w / fan_in, float)), jnp.sqrt(jnp.asarray(c_b, float)))


def ntk(c_b: Number = 0.0, c_w: Number = 1.0, gain: Number = 1.0) -> Parametrisation:
    """Unit-variance parameters, with the same scales as `critical` in the forward pass: gradients do not grow with width."""
    return lambda fan_in, fan_out: Scales(gain, 1.0, jnp.sqrt(jnp.asarray(c_w / fan_in, float)), jnp.sqrt(jnp.asarray(c_b, float)))


def initialise(
    key: jax.Array, sizes: Sequence[int], parametrisation: Parametrisation, dtype: DTypeLike
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Weights (n_in, n_out) and biases (n_out,) of the layers between `sizes`, drawn one key per layer."""
    weights, biases = [], []
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        scale = parametrisation(fan_in, fan_out)
        w, b = jax.random.split(jax.random.fold_in(key, layer))
        weights.append(jax.random.normal(w, (fan_in, fan_out), dtype) * jnp.asarray(scale.weight, dtype))
        biases.append(jax.random.normal(b, (fan_out,), dtype) * jnp.asarray(scale.bias, dtype))
    return weights, biases
