"""Statistical mechanics of parameters: any energies E_i, any prior g_i, any temperature T, with k_B = 1.

    p_i = g_i e^{-βE_i} / Z,   Z = Σ g_i e^{-βE_i},   β = 1/T
    <E> = -∂ ln Z/∂β,   S = -Σ p_i ln(p_i/g_i) = β<E> + ln Z,   F = <E> - T S = -T ln Z,   C_v = ∂<E>/∂T = β² Var E

g_i is the number of parameters in a class of equal energy (then S is the entropy of single parameters), or their prior weight. The
counts of contexts are E = ln C at T = -1: p = C/Z, <E> is the expected spread, S = ln Z - <E> its entropy, and F = +ln Z. A
negative temperature is a population inversion: the highest level, the most reused and earliest parameters, is the most probable. It
is the same law as E = -ln C at T = +1. β = 0 is uniform, and all there is between and beyond is one line through T = ±∞.

Source: Polat, thesis, METU (2023); theory page 1.2 and 7.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..record import Number, array, record

Values = ArrayLike | Sequence[float]
"""One number or several."""


@record
class Macrostate:
    """Energies may have any unit, which T, <E> and F share; the rest is in nats."""

    log_partition: Number = array("ln Z", "nat")
    energy: Number = array("<E>")
    entropy: Number = array("S = -Σ p ln(p/g)", "nat")
    free_energy: Number = array("F = -T ln Z")
    heat_capacity: Number = array("C_v = Var E / T²", "nat")


@record
class Ensemble(Macrostate):
    """A Boltzmann distribution and its macrostate."""

    probabilities: Float[Array, "*batch state"] = array("p, of a class of g_i parameters all together")


def boltzmann(energies: Values, temperature: ArrayLike, prior: Values = 1.0) -> Ensemble:
    """The ensemble of `energies` (states,) with weights `prior` (states,), or one for all, at a `temperature`, which may be negative.

    At T = ±∞, p ∝ g and F = ∓∞. Exact to rounding for energies of any size. Traceable and differentiable in all three arguments.
    `ValueError` for energies that are not a finite vector, a prior that is negative, infinite or zero everywhere, and T = 0 or nan.
    """
    _check(energies, temperature, prior)
    return _boltzmann(*(jnp.asarray(x, float) for x in (energies, temperature, prior)))


def scan(energies: Values, inverse_temperatures: Values, prior: Values = 1.0) -> Macrostate:
    """The macrostates of the same ensemble at many β = 1/T (points,), in one program. F = ∓∞ at β = 0.

    `ValueError` as of `boltzmann`, and for β that are no vector or not finite.
    """
    _check(energies, 1.0, prior)
    if np.ndim(inverse_temperatures) != 1:
        raise ValueError(f"inverse_temperatures={np.shape(inverse_temperatures)}: must be a vector")
    _check_all("inverse_temperatures", inverse_temperatures, np.isfinite, "finite")
    return _scan(*(jnp.asarray(x, float) for x in (energies, inverse_temperatures, prior)))


def _canonical(E: Array, beta: Array, g: Array) -> Ensemble:
    """Energies are measured from the most probable level, so that no sum or difference is larger than its terms."""
    log_g = jnp.where(g > 0, jnp.log(jnp.where(g > 0, g, 1)), -jnp.inf)
    ground = E[jnp.argmax(log_g - beta * E)]
    gap = E - ground
    weight = log_g - beta * gap
    log_Z = jax.nn.logsumexp(weight)
    p = jnp.exp(weight - log_Z)
    mean = p @ gap
    log_partition = log_Z - beta * ground
    return Ensemble(
        probabilities=p,
        log_partition=log_partition,
        energy=ground + mean,
        entropy=log_Z + beta * mean,
        free_energy=-log_partition / beta,
        heat_capacity=p @ (beta * (gap - mean)) ** 2,
    )


_boltzmann = jax.jit(lambda E, T, g: _canonical(E, 1 / T, g))


@jax.jit
def _scan(E, betas, g):
    every = jax.vmap(_canonical, (None, 0, None))(E, betas, g)
    return Macrostate(*(getattr(every, f.name) for f in dataclasses.fields(Macrostate)))


def _check(energies: Values, temperature: ArrayLike, prior: Values) -> None:
    if np.ndim(energies) != 1 or not np.size(energies):
        raise ValueError(f"energies={np.shape(energies)}: must be a vector of at least one state")
    if np.shape(prior) not in ((), np.shape(energies)):
        raise ValueError(f"prior={np.shape(prior)}: must be a number or a vector like energies, {np.shape(energies)}")
    _check_all("energies", energies, np.isfinite, "finite")
    _check_all("prior", prior, lambda g: np.isfinite(g) & (g >= 0), "finite and ≥ 0")
    if not isinstance(prior, Tracer) and not np.any(prior):
        raise ValueError("prior=0: must not be 0 for every state")
    _check_all("temperature", temperature, lambda T: np.abs(T) > 0, "a number that is not 0, whose limits are those of small ±T")


def _check_all(name: str, values: Values, good: Callable[[np.ndarray], np.ndarray], what: str) -> None:
    if not isinstance(values, Tracer):
        x = np.ravel(values)
        if not np.all(good(x)):
            raise ValueError(f"{name}={x[~good(x)][0]}: must be {what}")
