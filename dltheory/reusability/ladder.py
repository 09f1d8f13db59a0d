"""Energies that grow linearly with depth: the thesis' family of priors, of which the counts of constant-width networks are one.

Layers l = 1..L of n parameters each have the energies E_l = ε l. With a = ε/T, geometric sums give

    ln Z = ln n - a(L+1)/2 + ln [sinh(aL/2) / sinh(a/2)]
    <E>  = ε [(L+1)/2 + ½ coth(a/2) - (L/2) coth(aL/2)]
    C_v  = ¼ [(a / sinh(a/2))² - (aL / sinh(aL/2))²],    S = <E>/T + ln Z.

These are the levels of a spin (L-1)/2 in a field: <E> is a Brillouin function, and T < 0 its population
inversion. Written like this the mirror symmetry S(-T) = S(T), <E>(-T) = ε(L+1) - <E>(T) is seen. T → ±∞: <E> = ε(L+1)/2, S = ln nL;
T → 0+: <E> = ε, S = ln n.

*Constant width.* A linear chain of d weight layers of width w without biases has ln C_l = (d-l) ln w. At T = -1 its probabilities are
those of the ladder with ε = ln w, L = d at T = +1: they fall with depth. So

    E[ln C] = ln w [d w^d/(w^d-1) - w/(w-1)],    H → ln k + ln [w/(w-1)] + ln w/(w-1)   as d → ∞,    k = w² parameters a layer.

Source: Polat, thesis, METU (2023), pp. 102-103; theory page 2 and 7, where the sums are derived.
"""

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from .ensemble import Ensemble

SERIES = 0.05
"""Where the series of ln(sinh x / x) takes over from its cancelling terms."""


def ladder(temperature: ArrayLike, layers: int, parameters: ArrayLike = 1.0, spacing: ArrayLike = 1.0) -> Ensemble:
    """Closed forms for L `layers` of n `parameters` with energies ε l, ε the `spacing`; probabilities (layers,) are those of layers.

    Traceable and differentiable in all but `layers`; T may be negative or ±∞ (then F = ∓∞). `ValueError` for L < 1, ε = 0 or T = 0.
    """
    if layers < 1:
        raise ValueError(f"layers={layers}: must be ≥ 1")
    for name, value in (("temperature", temperature), ("spacing", spacing)):
        if not isinstance(value, Tracer) and not abs(value) > 0:  # pyright: ignore
            raise ValueError(f"{name}={value}: must not be 0")
    return _ladder(*(jnp.asarray(x, float) for x in (temperature, layers, parameters, spacing)), layers)


@jax.jit(static_argnums=4)
def _ladder(T, L, n, eps, layers):
    a = eps / T
    middle = (L + 1) / 2
    log_Z = lambda a: jnp.log(n * L) + _log_sinhc(a * L / 2) - _log_sinhc(a / 2)  # measured from the middle
    below = -jax.grad(log_Z)(a)
    log_partition = log_Z(a) - a * middle
    return Ensemble(
        probabilities=jnp.exp(jnp.log(n) - a * (jnp.arange(1.0, layers + 1) - middle) - log_Z(a)),
        log_partition=log_partition,
        energy=eps * (middle + below),
        entropy=log_Z(a) + a * below,
        free_energy=-T * log_partition,
        heat_capacity=a**2 * jax.grad(jax.grad(log_Z))(a),
    )


def _log_sinhc(x):
    """ln(sinh x / x), whose derivatives are coth x - 1/x and 1/x² - 1/sinh² x."""
    small = jnp.abs(x) < SERIES
    near = jnp.where(small, x, 0.0) ** 2
    far = jnp.abs(jnp.where(small, 1.0, x))
    series = near * (1 / 6 - near * (1 / 180 - near * (1 / 2835 - near / 37800)))
    return jnp.where(small, series, far - jnp.log(2 * far) + jnp.log1p(-jnp.exp(-2 * far)))
