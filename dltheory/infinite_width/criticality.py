r"""Where signals neither vanish nor explode: the critical initialisation of an activation, found and not looked up.

Critical is a fixed point K* = C_b + C_W ⟨s²⟩_{K*} with χ_∥ = χ_⊥ = 1, and χ_∥ - χ_⊥ = C_W ⟨s s''⟩_K. So ⟨s s''⟩_{K*} = 0,
C_W = 1/⟨s'²⟩_{K*} and C_b = K* - C_W ⟨s²⟩_{K*}, which must not be negative. With K' = K + a₁ (K-K*)² + …, χ_⊥ = 1 + b₁ (K-K*) + …:

    scale-invariant   s(cz) = c s(z) for c > 0: every K* is fixed, C_b = 0
    K*=0              s(0) = 0 and a₁ = s₃/s₁ + ¾ (s₂/s₁)² < 0, b₁ = s₃/s₁ + (s₂/s₁)², s_k = s^(k)(0): K^(l) → 1/(-a₁ l)
    half-stable       a zero K* > 0 of ⟨s s''⟩, approached from one side only, a₁ = K''/2
    none

p_⊥ = b₁/a₁ is the power by which distances fall, ν the slope of V/(n K²) = ν l/n (`dltheory.finite_width`).

Sources: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapters 2-5; Banta, Cai, Craig & Zhang (2023).
"""

from dataclasses import MISSING
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from ..models.activations import Activation
from ..numerics import gaussian_mean
from ..record import Number, array, record, static
from .averages import derivative, homogeneous_slopes
from .kernels import function
from .smoothness import continuous_derivatives

CLASSES = ("scale-invariant", "K*=0", "half-stable", "none")
SCAN = np.geomspace(1e-6, 1e6, 301)
TRUSTED = 1e-9
"""Two quadratures of ⟨s s''⟩ must agree to this part of ⟨s'²⟩ for a zero to count."""


@record
class Criticality:
    """The critical point of an activation, or the formal one and the reason why there is none."""

    universality_class: str = static(MISSING, "universality class", choices=CLASSES)
    c_b: Number = array("C_b, bias variance")
    c_w: Number = array("C_W, weight variance × fan-in")
    kernel: Number = array("K*, the fixed point; 1 where any is", "preactivation²")
    p_perp: Number = array("p_⊥: distances fall as depth^-p_⊥ towards the fixed point")
    nu: Number = array("ν: V/(n K²) grows by ν/n a layer")
    reason: str = static("", "why there is none")


def criticality(activation: str | Activation) -> Criticality:
    """The class and critical point of any activation: for a K* > 0, C_b and C_W to 1e-10; its search covers 1e-6 ≤ K* ≤ 1e6.

    Where there is none, `reason` says why, and numbers are those of a formal point with C_b < 0, if there is one, or nan.
    """
    with jax.ensure_compile_time_eval():
        return _criticality(function(activation))


@cache
def _criticality(phi: Activation) -> Criticality:
    slopes = homogeneous_slopes(phi)
    if slopes is not None:
        return _scale_invariant(*slopes)
    if continuous_derivatives(phi) < 1:
        return _none("it has kinks and is not scale-invariant")
    smooth = continuous_derivatives(phi) >= 3
    s0, s1, s2, s3 = (float(derivative(phi, k)(jnp.zeros(()))) for k in range(4))
    origin = abs(s1) > TRUSTED
    a1, b1 = (s3 / s1 + c * (s2 / s1) ** 2 for c in (0.75, 1.0)) if origin else (np.nan, np.nan)
    if origin and abs(s0) < TRUSTED and smooth and a1 < -TRUSTED:
        return Criticality("K*=0", 0.0, 1 / s1**2, 0.0, b1 / a1, 2 / 3)
    points = [_half_stable(phi, low, high) for low, high in _sign_changes(phi)]
    found = next((p for p in points if p.c_b >= 0), None)
    if found is not None:
        return found
    if points:
        return _formal(points[0])
    if origin and abs(s0) >= TRUSTED and abs(s0 * s2) < TRUSTED:
        return _formal(Criticality("none", -((s0 / s1) ** 2), 1 / s1**2, 0.0, np.nan, np.nan))
    if origin and abs(s0) < TRUSTED:
        how = f"is {'repelling' if a1 > 0 else 'marginal'} (a₁ = {a1:.3g})" if smooth else "has no expansion in powers of K"
        return _none(f"K*=0 {how}, and ⟨s s''⟩ has no zero at a K > 0")
    _, ratio = _contrast(phi, 1.0)
    return _none(f"⟨s s''⟩ has no zero: χ_∥ and χ_⊥ differ at every kernel (χ_⊥/χ_∥ = {1 / (1 + float(ratio)):.4g} at K = 1)")


def _scale_invariant(plus: float, minus: float) -> Criticality:
    a2, a4 = (plus**2 + minus**2) / 2, (plus**4 + minus**4) / 2
    if a2 == 0:
        return _none("it is zero")
    return Criticality("scale-invariant", 0.0, 1 / a2, 1.0, 0.0, 3 * a4 / a2**2 - 1)


def _none(reason: str) -> Criticality:
    return Criticality("none", np.nan, np.nan, np.nan, np.nan, np.nan, reason)


def _formal(point: Criticality) -> Criticality:
    reason = f"⟨s s''⟩ = 0 only at K* = {point.kernel:.6g}, where C_b = {point.c_b:.6g} would be negative"
    return Criticality("none", point.c_b, point.c_w, point.kernel, point.p_perp, point.nu, reason)


@partial(jax.jit, static_argnums=0)
def _contrast(phi, kernel):
    """⟨s s''⟩/⟨s'²⟩ by its definition and as ⟨z s s'⟩/(K ⟨s'²⟩) - 1."""
    kernel = jnp.asarray(kernel, float)
    s1, s2 = derivative(phi), derivative(phi, 2)
    slope = gaussian_mean(lambda z: s1(z) ** 2, kernel)
    other = gaussian_mean(lambda z: z * phi(z) * s1(z), kernel) / kernel
    return gaussian_mean(lambda z: phi(z) * s2(z), kernel) / slope, other / slope - 1


def _sign_changes(phi: Activation) -> list[tuple[float, float]]:
    """Neighbours of the scan between which ⟨s s''⟩ changes sign, where both its quadratures agree."""
    value, other = (np.asarray(v) for v in _contrast(phi, SCAN))
    trusted = np.isfinite(value) & np.isfinite(other) & (np.abs(value - other) < TRUSTED * np.maximum(1, np.abs(value)))
    trusted &= np.abs(value) > TRUSTED
    change = trusted[1:] & trusted[:-1] & (np.sign(value[1:]) != np.sign(value[:-1]))
    return [(float(SCAN[i]), float(SCAN[i + 1])) for i in np.flatnonzero(change)]


def _half_stable(phi: Activation, low: float, high: float) -> Criticality:
    """The point at the zero of ⟨s s''⟩ between `low` and `high`."""
    from scipy.optimize import brentq

    root = brentq(lambda K: float(_contrast(phi, K)[0]), low, high, xtol=1e-15 * high, rtol=np.float64(1e-15))
    c_b, c_w, a1, b1, nu = (float(v) for v in _expansion(phi, float(root)))  # pyright: ignore[reportArgumentType]
    return Criticality("half-stable", c_b, c_w, float(root), b1 / a1, nu)  # pyright: ignore[reportArgumentType]


@partial(jax.jit, static_argnums=0)
def _expansion(phi, kernel):
    """C_b, C_W, a₁, b₁ and ν at a fixed point K* > 0."""
    K = jnp.asarray(kernel, float)
    s1, s2 = derivative(phi), derivative(phi, 2)
    mean = lambda f: gaussian_mean(f, K)
    square = mean(lambda z: phi(z) ** 2)
    c_w = 1 / mean(lambda z: s1(z) ** 2)
    a1 = c_w * mean(lambda z: z * phi(z) * s1(z) * (z * z - 3 * K)) / (4 * K**3)
    b1 = c_w * mean(lambda z: z * s1(z) * s2(z)) / K
    nu = c_w**2 * (mean(lambda z: phi(z) ** 4) - square**2) / K**2
    return K - c_w * square, c_w, a1, b1, nu
