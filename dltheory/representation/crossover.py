"""Where rich turns into lazy: the initial distance h₀ reaches the plateau A_low.

A homogeneous network with zero biases, width P, gain g per layer (Xavier normal weights) and negative slope a, read after its
hidden layer k (counted from 0) on the inputs -|dx| and 0, starts at

    E h₀ = 2P/(P+1) (g² κ)^{k+1} X,    κ = (1 + a²)/2.
"""

import jax
import jax.numpy as jnp

from ..record import Number


def expected_initial_distance(gain: Number, width: int, layer: int, slope: float = 0.01, dx2: Number = 1.0) -> Number:
    """E h₀ for the inputs -|dx| and 0, in units of hidden²."""
    return 2 * width / (width + 1) * (gain**2 * (1 + slope**2) / 2) ** (layer + 1) * dx2


def critical_gain(plateau: Number, width: int, layer: int, slope: float = 0.01, dx2: Number = 1.0) -> jax.Array:
    """g_c, the gain at which E h₀ = A_low, for the inputs -|dx| and 0."""
    unit = expected_initial_distance(1.0, width, layer, slope, dx2)
    return jnp.asarray(plateau / unit, float) ** (1 / (2 * (layer + 1)))


def critical_scale(scale: Number, initial_distance: Number, plateau: Number, layer: int, depth: int) -> Number:
    """α_c, the scale of the network function at which h₀ = A_low, for any data, from h₀ measured at scale α.

    h₀ ∝ g^{2(k+1)} and α = g^D with D weight layers, so α_c = α (A_low/h₀)^{D/(2(k+1))}: exact for bias-free homogeneous networks.
    """
    return scale * jnp.asarray(plateau / initial_distance, float) ** (depth / (2 * (layer + 1)))
