"""The two-point system (1), its invariant, its fixed point (3), and its exact solution.

In the coordinates α = √h and (u, v) = dy/√h, along and across dy*, system (1) is regular,

    α' = -½ η_h X (α (u² + v²) - s u)      u' = -½ η_y α (α u - s)      v' = -½ η_y α² v,      s = |dy*|,

the gradient flow of a two-layer linear network with one hidden neuron. With q = (√η_y α, √(η_h X) u, √(η_h X) v) it reads

    q' = ½ (F - ½ |q|²) q,    F = [[-a, b, 0], [b, a, 0], [0, 0, a]],    b = s √(η_h X η_y),    a = ½ (q₂² + q₃² - q₁²) = const,

an Oja flow, whose solution for every start is q(t) = e^{Ft/2} q₀ / √N(t), N = 1 + ½ ∫₀ᵗ |e^{Fτ/2} q₀|² dτ.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ..record import Number, array, record

Normalisation = Literal["full", "half"]
FACTOR = {"full": 1.0, "half": 0.5}


@record
class TwoPoint:
    """State of two followed points."""

    h: Number = array("squared distance of the representations |dh|²", "hidden²")
    y: Number = array("squared distance of the predictions |dy|²", "output²")
    w: Number = array("alignment dy·(dy - dy*)", "output²")


@record
class Rates:
    """Effective learning rates, per unit of time."""

    hidden: Number = array("effective rate of the encoder η_h", "hidden²/(input² output² time)")
    output: Number = array("effective rate of the decoder η_y", "1/(hidden² time)")


@record
class Geometry:
    """Distances in the data."""

    dx2: Number = array("squared distance of the inputs X = |dx|²", "input²")
    dy2: Number = array("squared distance of the targets S = |dy*|²", "output²")


class Regular(NamedTuple):
    """Regular coordinates: α = √h and the decoder's gain dy/√h, along (u) and, squared, across (v²) the target gap."""

    alpha: Number
    u: Number
    v_squared: Number


def vector_field(state: TwoPoint, rates: Rates, geometry: Geometry, normalisation: Normalisation = "full") -> TwoPoint:
    """Right side of (1). `normalisation="half"` is the flow of L = ½⟨|f - y*|²⟩, as printed in the 2025 follow-up."""
    h, y, w, X, S = state.h, state.y, state.w, geometry.dx2, geometry.dy2
    eta_h, eta_y = FACTOR[normalisation] * rates.hidden, FACTOR[normalisation] * rates.output
    return TwoPoint(
        -eta_h * X * w,
        -w * (eta_y * h + eta_h * X * y / h),
        -eta_y * h * (3 * w - y + S) / 2 - eta_h * X * (w / h) * (y + w) / 2,
    )


def to_regular(state: TwoPoint, geometry: Geometry) -> Regular:
    """Regular coordinates of a state. With p = (y - w)/s the part of dy along dy*; at h = 0 the gain is taken as zero.

    The state is possible only if |y - w| ≤ s √y; what rounding leaves beyond that is clipped.
    """
    h, y, w, s = (jnp.asarray(a, float) for a in (state.h, state.y, state.w, _root(geometry.dy2)))
    along = jnp.where(s > 0, (y - w) / jnp.where(s > 0, s, 1.0), 0.0)
    alpha, across_squared = _root(h), jnp.maximum(y - along**2, 0.0)
    inverse = jnp.where(alpha > 0, 1 / jnp.where(alpha > 0, alpha, 1.0), 0.0)
    return Regular(alpha, along * inverse, across_squared * inverse**2)


def from_regular(state: Regular, geometry: Geometry) -> TwoPoint:
    """h = α², y = α² (u² + v²), w = y - s α u."""
    alpha, u, v_squared = state
    y = alpha**2 * (u**2 + v_squared)
    return TwoPoint(alpha**2, y, y - _root(geometry.dy2) * alpha * u)


def regular_field(state: Regular, rates: Rates, geometry: Geometry) -> Regular:
    """Right side of the regular form, polynomial and without 1/h."""
    alpha, u, v_squared = state
    s = _root(geometry.dy2)
    return Regular(
        -rates.hidden * geometry.dx2 * (alpha * (u**2 + v_squared) - s * u) / 2,
        -rates.output * alpha * (alpha * u - s) / 2,
        -rates.output * alpha**2 * v_squared,
    )


@jax.jit(static_argnames="normalisation")
def solve(times: Number, initial: TwoPoint, rates: Rates, geometry: Geometry, normalisation: Normalisation = "full") -> TwoPoint:
    """State at `times` (n,), counted from `initial`, for positive rates: exact at any rate, distance and start.

    The solution in the module's docstring, on the eigenvectors of F (eigenvalues ±f, f² = a² + b², and a) with e^{ft/2} taken out,
    so that nothing overflows. Derivatives with respect to S at S = 0 come out as zero.
    """
    t = jnp.asarray(times, float)
    start = to_regular(initial, geometry)
    scale_h = _root(FACTOR[normalisation] * rates.hidden * geometry.dx2)
    scale_y = _root(FACTOR[normalisation] * rates.output)
    q1, q2, q3_squared = scale_y * start.alpha, scale_h * start.u, scale_h**2 * start.v_squared
    a, b = (q2**2 + q3_squared - q1**2) / 2, _root(geometry.dy2) * scale_h * scale_y
    f = _root(a**2 + b**2)
    gap = jnp.where(a > 0, b**2 / jnp.where(a > 0, f + a, 1.0), f)  # f - max(a, 0) without cancellation

    large = _root((1 + jnp.abs(a) / jnp.where(f > 0, f, 1.0)) / 2)
    small = b / jnp.where(f > 0, 2 * f * large, 1.0)
    cos, sin = jnp.where(a > 0, small, large), jnp.where(a > 0, large, small)
    plus, minus = cos * q1 + sin * q2, sin * q1 - cos * q2

    decay = jnp.exp(-f * t)
    grow = t * _exprel(-f * t)  # (1 - e^{-ft})/f
    across = jnp.exp(-gap * t) * t * _exprel(-jnp.abs(a) * t)  # e^{-ft} (e^{at} - 1)/a
    norm = jnp.sqrt(decay + (plus**2 * grow + minus**2 * decay * grow + q3_squared * across) / 2)
    safe = jnp.where(norm == 0, 1.0, norm)
    alpha = (cos * plus + sin * minus * decay) / (safe * scale_y)
    u = (sin * plus - cos * minus * decay) / (safe * scale_h)
    v_squared = q3_squared * jnp.exp((jnp.minimum(a, 0.0) - gap) * t) / (safe * scale_h) ** 2
    return from_regular(Regular(alpha, u, v_squared), geometry)


def invariant(state: TwoPoint, rates: Rates, geometry: Geometry) -> jax.Array:
    """C = h/(η_h X) - y/(η_y h), conserved by (1): equation (2)."""
    return jnp.asarray(state.h / (rates.hidden * geometry.dx2) - state.y / (rates.output * state.h))


def plateau(rates: Rates, geometry: Geometry) -> jax.Array:
    """A_low = √(η_h/η_y) |dx||dy*|: the final distance when the initial one is forgotten (rich)."""
    return _root(rates.hidden / rates.output * geometry.dx2 * geometry.dy2)


def retained_distance(initial: TwoPoint, rates: Rates, geometry: Geometry) -> jax.Array:
    """A_high = h₀ - (η_h/η_y) X y₀/h₀: the final distance when the target is forgotten (lazy); negative if the points can merge."""
    return jnp.asarray(initial.h - rates.hidden / rates.output * geometry.dx2 * initial.y / initial.h)


def final_distance(initial: TwoPoint, rates: Rates, geometry: Geometry) -> jax.Array:
    """h_∞ = A_high/2 + √(A_high²/4 + A_low²): formula (3), a squared distance."""
    half, low = retained_distance(initial, rates, geometry) / 2, plateau(rates, geometry)
    root = jnp.hypot(half, low)
    return jnp.where(half > 0, half + root, low**2 / jnp.where(root == half, 1.0, root - half))


def relaxation_rates(distance: Number, rates: Rates, geometry: Geometry) -> tuple[Number, Number, Number]:
    """Eigenvalues of (1) at the fixed point h = `distance`: 0 (along C), -η_y h, -½ (η_y h + η_h X S/h)."""
    decoder = rates.output * jnp.asarray(distance, float)
    encoder = rates.hidden * geometry.dx2 * geometry.dy2 / distance
    return jnp.zeros_like(decoder), -decoder, -(decoder + encoder) / 2


def _root(x: Number) -> jax.Array:
    """√max(x, 0), with derivative zero at 0."""
    x = jnp.asarray(x, float)
    return jnp.where(x <= 0, 0.0, jnp.sqrt(jnp.where(x <= 0, 1.0, x)))


def _exprel(x: jax.Array) -> jax.Array:
    """(eˣ - 1)/x."""
    return jnp.where(x == 0, 1.0, jnp.expm1(x) / jnp.where(x == 0, 1.0, x))
