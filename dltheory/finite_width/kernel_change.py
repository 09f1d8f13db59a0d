r"""How far the tangent kernel moves in training, to first order in 1/width: one input, one output, target y.

Under gradient flow, ε = z - y,  dz/dt = -H ε,  dH/dt = -2 dH ε,  d(dH)/dt = -(ddH_I + 2 ddH_II) ε  with ddH frozen. At the end

    E[Θ_∞ - Θ_0]/Θ = (1/n) { -2(P+2Q)/Θ² + (3R + 2(S+T+U)) (K + y²)/Θ³ }.

Its size tells lazy (≪ 1, below 0.3 the expansion is quantitative) from rich (≥ 1) training; the dial is y/√K.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter ∞; Dyer & Gur-Ari (2020) for the power 1/n.
"""

import warnings

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..infinite_width import is_concrete
from .recursion import FiniteWidth

PERTURBATIVE = 0.3
"""Relative change, and V/(n K²), above which the first order is not quantitative."""


def trained_kernel_change(layers: FiniteWidth, target: ArrayLike, width: ArrayLike) -> Float[Array, " depth"]:
    """E[Θ_∞ - Θ_0]/Θ when each layer is the output of a network of this depth, (depth,).

    Warns where fluctuations V/(n K²) → νL/n exceed `PERTURBATIVE`. `ValueError` for a kinked activation, whose second derivatives
    are deltas that autodiff and these formulas drop, and for a residual network.
    """
    if layers.P is None:
        raise ValueError("skip: the change of a residual network's tangent kernel is not derived")
    if not layers.smooth:
        raise ValueError("activation: a kink has no second derivative, the change of the tangent kernel needs a smooth activation")
    warn_beyond(layers, width)
    y, n, K, Theta = jnp.asarray(target, float), jnp.asarray(width, float), layers.K, layers.Theta
    first = -2 * (layers.P + 2 * layers.Q) / Theta**2
    second = (3 * layers.R + 2 * (layers.S + layers.T + layers.U)) * (K + y**2) / Theta**3
    return (first + second) / n


def warn_beyond(layers: FiniteWidth, width: ArrayLike) -> None:
    """Warn, in one line with its value, if νL/n = V/(n K²) of the last layer is beyond `PERTURBATIVE`."""
    if is_concrete(layers.V, layers.K, width):
        ratio = float(np.max(np.asarray(layers.V)[-1] / np.asarray(layers.K)[-1] ** 2 / np.asarray(width)))
        if ratio > PERTURBATIVE:
            text = f"νL/n = {ratio:.2g} > {PERTURBATIVE}: the first order in 1/width is not quantitative at this depth and width"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
