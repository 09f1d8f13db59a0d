"""Effective rates of a real network: least squares between its curves h, y, w and system (1), started at the measured values.

Fitted are log η_h and log η_y, by Levenberg–Marquardt from starts on and off the ray that formula (3) gives in the rich limit, with
exact gradients through the exact solution, over the transition only: the flat tail would flatter every misfit.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..numerics import levenberg_marquardt
from ..record import Number, array, record
from .two_point import Geometry, Rates, TwoPoint, solve

MISFIT_LIMITS = TwoPoint(0.10, 0.10, 0.22)
"""A fit is poor beyond these misfits (rms over maximum), which ten-layer networks of width 100 keep in the rich regime."""
Solution = Callable[[Any, TwoPoint, Rates, Geometry], TwoPoint]
"""From times, the initial state, rates and geometry to the state at these times."""
SAMPLES = 1000
THIN = 8  # the starts see every eighth sample, the best of them all
BOX = math.log(1e4)
SCALES, RATIOS = np.linspace(-0.5, 2.5, 8), np.linspace(-3, 3, 7)


@record
class FitFlags:
    """What makes a fit unusable; they see residuals and bounds only."""

    hidden_at_bound: Number = array("η_h sits at the edge of its range: the curves do not determine it")
    output_at_bound: Number = array("η_y sits at the edge of its range: the curves do not determine it")
    poor: Number = array("a misfit is above its limit, or not finite")


@record
class RateFit:
    """Fitted rates, the misfit of each curve relative to its maximum over the transition, and what is wrong with the fit."""

    rates: Rates = array("effective rates")
    rms: TwoPoint = array("root mean square misfit over the curve's maximum, over the transition")
    flags: FitFlags = array("what makes the fit unusable")

    @property
    def valid(self) -> jax.Array:
        """Whether no flag is raised."""
        f = self.flags
        return ~(jnp.asarray(f.hidden_at_bound) | f.output_at_bound | f.poor)


def transition_end(times: Float[Array | np.ndarray, " n"], w: Float[Array | np.ndarray, " n"]) -> jax.Array:
    """1.5 × the time at which |w| has fallen to 1 % of its peak, at most the last time."""
    size = jnp.abs(w)
    fallen = (size <= 0.01 * jnp.max(size)) & (jnp.arange(size.size) > jnp.argmax(size))
    end = times[0] + 1.5 * (times[jnp.argmax(fallen)] - times[0])
    return jnp.where(jnp.any(fallen), jnp.minimum(end, times[-1]), times[-1])


@partial(jax.jit, static_argnames="solution")
def fit_rates(times: Float[Array | np.ndarray, " n"], observed: TwoPoint, geometry: Geometry, solution: Solution = solve) -> RateFit:
    """Rates that bring (1), started at `observed` at the first time, closest to the curves `observed` (n,) at `times` (n,).

    Minimised is the sum over the three curves of the squared misfit relative to the curve's maximum, on 1000 samples spread evenly
    over those of the transition. Each rate ranges over 10⁻⁴ … 10⁴ times the rate that would change its curve once over the transition.
    `solution` may be that of another system than (1).
    """
    times = jnp.asarray(times)
    last = jnp.sum(times <= transition_end(times, jnp.asarray(observed.w))) - 1
    chosen = jnp.round(jnp.linspace(0.0, 1.0, SAMPLES) * last.astype(float)).astype(int)
    elapsed, curves = (times - times[0])[chosen], jax.tree.map(lambda c: jnp.asarray(c)[chosen], observed)
    initial = jax.tree.map(lambda c: c[0], observed)
    peak = jax.tree.map(lambda c: _positive(jnp.max(jnp.abs(c))), curves)

    duration = _positive(elapsed[-1])
    unit = jnp.log(jnp.stack([peak.h / (_positive(geometry.dx2) * peak.w * duration), peak.y / (peak.w * peak.h * duration)]))
    rates = lambda p: Rates(jnp.exp(p[0]), jnp.exp(p[1]))

    def misfit(p, thin=1):
        theory = solution(elapsed[::thin], initial, rates(p), geometry)
        return jax.tree.map(lambda t, c, m: (t - c[::thin]) / m, theory, curves, peak)

    residual = lambda p, thin=1: jnp.concatenate(jax.tree.leaves(misfit(p, thin)))

    scale, ratio = (jnp.asarray(g.ravel()) * math.log(10) for g in np.meshgrid(SCALES, RATIOS))
    starts = unit[None] + jnp.stack([scale + ratio / 2, scale - ratio / 2], axis=1)
    search = lambda start, thin: levenberg_marquardt(lambda p: residual(p, thin), start, unit - BOX, unit + BOX)
    found, cost = jax.vmap(lambda start: search(start, THIN))(starts)
    best, _ = search(found[jnp.argmin(cost)], 1)

    rms = jax.tree.map(lambda r: jnp.sqrt(jnp.mean(r**2)), misfit(best))
    moves = jnp.max(jnp.abs(curves.w)) * jnp.max(jnp.abs(curves.h)) > 0
    at_bound = (jnp.abs(best - unit) > BOX - 1e-3) | ~moves
    within = jax.tree.map(lambda r, limit: r <= limit, rms, MISFIT_LIMITS)
    return RateFit(rates(best), rms, FitFlags(at_bound[0], at_bound[1], ~(within.h & within.y & within.w)))


@jax.jit
def fit_midpoint_rate(times: Float[Array | np.ndarray, " n"], midpoint: Float[Array | np.ndarray, " n"]) -> jax.Array:
    """η_ȳ of |ȳ - ȳ*|² = |ȳ₀ - ȳ*|² e^{-2 η_ȳ t}, least squares over all times; the third constant of the loss curve."""
    t, curve = times - times[0], midpoint / _positive(midpoint[0])
    residual = lambda p: jnp.exp(-2 * jnp.exp(p[0]) * t) - curve
    starts = jnp.linspace(-2.0, 10.0, 13)[:, None] - jnp.log(_positive(t[-1]))
    low, high = starts[0] - 3, starts[-1] + 3
    found, cost = jax.vmap(lambda start: levenberg_marquardt(residual, start, low, high))(starts)
    return jnp.exp(found[jnp.argmin(cost), 0])


def _positive(x: Number) -> jax.Array:
    x = jnp.asarray(x, float)
    return jnp.where(x > 0, x, 1.0)
