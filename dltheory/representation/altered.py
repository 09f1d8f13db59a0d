"""Wrong versions of system (1), to see whether the data can tell.

With factors that are 1 in system (1),

    dh/dt = - [h] η_h X w
    dy/dt = - [y] w (η_y h + [y_encoder] η_h X y / h)
    dw/dt = - ½ η_y h (3w - y + S) - ½ [w_encoder] η_h X (w/h)(y + w)

None of the four altered systems is a rescaling of the rates. Three break the invariant (2); `w_sign` keeps it, whose h and y still move
by w alone, but breaks the alignment (y - w)² = S y that (1) keeps.
Source: van Rossem & Saxe 2024, appendix (F10).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..record import Number, array, record
from .two_point import Geometry, Rates, TwoPoint

Field = Callable[[TwoPoint, Rates, Geometry], TwoPoint]
SUBSTEPS = 4


@record
class Alteration:
    """Factors of the altered system; calling it gives the right side."""

    h: Number = array("factor of dh/dt")
    y: Number = array("factor of dy/dt")
    y_encoder: Number = array("factor of the η_h term of dy/dt")
    w_encoder: Number = array("factor of the η_h term of dw/dt")

    def __call__(self, state: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
        """Right side at a state."""
        h, y, w, X, S = state.h, state.y, state.w, geometry.dx2, geometry.dy2
        encoder, decoder = rates.hidden * X, rates.output * h
        return TwoPoint(
            -self.h * encoder * w,
            -self.y * w * (decoder + self.y_encoder * encoder * y / h),
            -decoder * (3 * w - y + S) / 2 - self.w_encoder * encoder * (w / h) * (y + w) / 2,
        )


ALTERED = {
    "y_doubled": Alteration(1.0, 2.0, 1.0, 1.0),
    "h_doubled": Alteration(2.0, 1.0, 1.0, 1.0),
    "w_sign": Alteration(1.0, 1.0, 1.0, -1.0),
    "y_decoder_only": Alteration(1.0, 1.0, 0.0, 1.0),
}
"""dy/dt doubled, dh/dt doubled, the sign of the η_h term of dw/dt flipped, the η_h term of dy/dt dropped."""


def integrate(field: Field, times: Number, initial: TwoPoint, rates: Rates, geometry: Geometry) -> TwoPoint:
    """State at `times` (n,), increasing and counted from the first, by four Runge–Kutta steps between each two; not finite where these
    are too large."""
    add = lambda a, b, c: jax.tree.map(lambda p, q: p + c * q, a, b)

    def step(state, dt):
        k1 = field(state, rates, geometry)
        k2 = field(add(state, k1, dt / 2), rates, geometry)
        k3 = field(add(state, k2, dt / 2), rates, geometry)
        k4 = field(add(state, k3, dt), rates, geometry)
        return jax.tree.map(lambda s, a, b, c, d: s + dt / 6 * (a + 2 * b + 2 * c + d), state, k1, k2, k3, k4)

    def interval(state, dt):
        state = jax.lax.fori_loop(0, SUBSTEPS, lambda _, s: step(s, dt / SUBSTEPS), state)
        return state, state

    t = jnp.asarray(times, float)
    start = jax.tree.map(lambda a: jnp.asarray(a, float), initial)
    return jax.lax.scan(interval, start, jnp.diff(t, prepend=t[:1]))[1]
