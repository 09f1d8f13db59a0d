"""Derivatives σ^(k)(u₀) of an activation, which decide what a few neurons can do near u₀."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ..models.activations import Activation, activation


def derivatives(which: str | Activation, at: Any, order: int) -> jax.Array:
    """σ, σ', …, σ^(order) at the points `at` (…): (order + 1, …), float64, by nested automatic differentiation.

    At a kink they are those of autodiff. Compiling takes seconds from order 8 on (tanh, order 10: 12 s).
    """
    at = jnp.asarray(at, float)
    return _derivatives(activation(which), order)(at.reshape(-1)).reshape(order + 1, *at.shape)


@functools.cache
def _derivatives(function: Activation, order: int):
    functions = [function]
    for _ in range(order):
        functions.append(functools.partial(_slope, functions[-1]))
    return jax.jit(lambda points: jax.vmap(lambda u: jnp.stack([f(u) for f in functions]), out_axes=1)(points))


def _slope(function, u):
    return jax.jvp(function, (u,), (jnp.ones_like(u),))[1]
