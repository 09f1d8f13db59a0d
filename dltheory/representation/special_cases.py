"""Starts for which system (1) has a familiar solution. `solve` is exact for all starts; these are its limits."""

import jax
import jax.numpy as jnp

from ..record import Number
from .two_point import Geometry, Rates, TwoPoint, plateau, retained_distance


def balanced(times: Number, h0: Number, rates: Rates, geometry: Geometry) -> jax.Array:
    """Balanced and aligned start (C = 0, dy along dy*): logistic h(t) = A_low / (1 + (A_low/h₀ - 1) e^{-rt}), r = s |dx| √(η_h η_y)."""
    low = plateau(rates, geometry)
    rate = jnp.sqrt(jnp.asarray(geometry.dy2 * geometry.dx2 * rates.hidden * rates.output, float))
    return low / (1 + (low / h0 - 1) * jnp.exp(-rate * jnp.asarray(times, float)))


def merging(times: Number, initial: TwoPoint, rates: Rates, geometry: Geometry) -> jax.Array:
    """Equal targets (S = 0): h(t) = A_high / (1 + (A_high/h₀ - 1) e^{-η_y A_high t}); with A_high < 0 the points merge."""
    high = retained_distance(initial, rates, geometry)
    return high / (1 + (high / initial.h - 1) * jnp.exp(-rates.output * high * jnp.asarray(times, float)))


def aligned(times: Number, initial: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    """dy along dy* with positive sign, any C: the Riccati solution for (A + B)², A = √(h/(η_h X)), B = p/√(η_y h)."""
    t, s = jnp.asarray(times, float), jnp.sqrt(jnp.asarray(geometry.dy2, float))
    kappa = jnp.sqrt(jnp.asarray(geometry.dx2 * rates.hidden * rates.output, float))
    scale = jnp.sqrt(jnp.asarray(rates.hidden * geometry.dx2, float))
    A0, B0 = jnp.sqrt(initial.h) / scale, (initial.y - initial.w) / s / jnp.sqrt(rates.output * initial.h)
    C, z0 = A0**2 - B0**2, (A0 + B0) ** 2
    q = jnp.sqrt(kappa**2 * s**2 + kappa**4 * C**2 / 4)
    high, low = 2 * (kappa * s + q) / kappa**2, 2 * (kappa * s - q) / kappa**2
    ratio = (z0 - high) / (z0 - low) * jnp.exp(-q * t)
    root = jnp.sqrt((high - ratio * low) / (1 - ratio))
    A, B = (root + C / root) / 2, (root - C / root) / 2
    h, p = (scale * A) ** 2, kappa * A * B
    return TwoPoint(h, p**2, p**2 - s * p)
