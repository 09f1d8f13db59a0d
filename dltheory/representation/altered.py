"""Four wrong versions of system (1), to see whether the data can tell.

| name | what is wrong |
| --- | --- |
| `y_doubled` | dy/dt doubled |
| `h_doubled` | dh/dt doubled |
| `w_sign` | sign of the η_h term of dw/dt flipped |
| `y_decoder_only` | η_h term of dy/dt dropped |

None is a rescaling of the rates: each breaks the invariant (2). Source: van Rossem & Saxe 2024, appendix (F10).
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..record import Number
from .fit import Solution
from .two_point import Geometry, Rates, TwoPoint, vector_field

Field = Callable[[TwoPoint, Rates, Geometry], TwoPoint]
SUBSTEPS = 4


def _y_doubled(state: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    d = vector_field(state, rates, geometry)
    return TwoPoint(d.h, 2 * d.y, d.w)


def _h_doubled(state: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    d = vector_field(state, rates, geometry)
    return TwoPoint(2 * d.h, d.y, d.w)


def _w_sign(state: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    d, term = vector_field(state, rates, geometry), rates.hidden * geometry.dx2 * (state.w / state.h) * (state.y + state.w)
    return TwoPoint(d.h, d.y, d.w + term)


def _y_decoder_only(state: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    d = vector_field(state, rates, geometry)
    return TwoPoint(d.h, -state.w * rates.output * state.h, d.w)


ALTERED: dict[str, Field] = {"y_doubled": _y_doubled, "h_doubled": _h_doubled, "w_sign": _w_sign, "y_decoder_only": _y_decoder_only}


def integrate(field: Field, times: Number, initial: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    """State at `times` (n,), increasing, by four Runge–Kutta steps between each two; not finite where they are too large."""
    add = lambda a, b, c: jax.tree.map(lambda p, q: p + c * q, a, b)

    def step(state, dt):
        k1 = field(state, rates, geometry)
        k2 = field(add(state, k1, dt / 2), rates, geometry)
        k3 = field(add(state, k2, dt / 2), rates, geometry)
        k4 = field(add(state, k3, dt), rates, geometry)
        return jax.tree.map(lambda s, a, b, c, d: s + dt / 6 * (a + 2 * b + 2 * c + d), state, k1, k2, k3, k4)

    def interval(state, dt):
        for _ in range(SUBSTEPS):
            state = step(state, dt / SUBSTEPS)
        return state, state

    t = jnp.asarray(times, float)
    start = jax.tree.map(lambda a: jnp.asarray(a, float), initial)
    return jax.lax.scan(interval, start, jnp.diff(t, prepend=t[:1]))[1]


_solvers: dict[str, Solution] = {name: functools.partial(integrate, field) for name, field in ALTERED.items()}


def solver(name: str) -> Solution:
    """The `solve` of an altered system, by name; the same function at each call, so that fits by it are compiled once."""
    return _solvers[name]
