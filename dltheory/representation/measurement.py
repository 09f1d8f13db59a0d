"""h, y and w of a real network at one hidden layer, and the loss of the followed pair."""

import jax
import jax.numpy as jnp

from ..record import Number
from .two_point import Geometry, TwoPoint


def measure(hidden: jax.Array, output: jax.Array, targets: jax.Array) -> TwoPoint:
    """State of a pair: `hidden` (2, neurons) after the nonlinearity, `output` and `targets` (2, outputs).

    The order of the two points drops out. Differences are taken in the network's precision, the rest in float64.
    """
    dh, dy, target = (jnp.asarray(a[1] - a[0], float) for a in (hidden, output, targets))
    return TwoPoint(dh @ dh, dy @ dy, dy @ (dy - target))


def midpoint_error(output: jax.Array, targets: jax.Array) -> jax.Array:
    """|ȳ - ȳ*|² of the pair; it decays on its own, as e^{-2 η_ȳ t}."""
    error = jnp.mean(jnp.asarray(output, float) - jnp.asarray(targets, float), axis=0)
    return error @ error


def pair_loss(state: TwoPoint, midpoint: Number, geometry: Geometry) -> Number:
    """½⟨|f - y*|²⟩ over the two points = ¼ (2 |ȳ - ȳ*|² + w + ½ (S - y)), an identity."""
    return (2 * midpoint + state.w + (geometry.dy2 - state.y) / 2) / 4
