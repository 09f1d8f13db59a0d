r"""How many derivatives of an activation are continuous, found numerically.

A function s is absolutely continuous if and only if s(b) - s(a) = ∫ₐᵇ dz s'(z) for all a < b, where s' is what automatic
differentiation gives: it drops delta functions. So the line is cut into cells, and the cells that violate this most are cut again,
seven times, down to widths h < 10⁻¹². There a jump of s still violates it by its size, a jump of s' by no more than h.

One identity for the whole line, Stein's E z s(z) = K E s'(z) with z ~ N(0, K), would not do: the jumps of an even s cancel in
it, as those of the slope of min(max(z, -1), 1) do, and a kink away from zero looks like a jump, by the error of the quadrature.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..models.activations import Activation, activation, spelling

CELLS = np.linspace(-10, 10 + np.pi / 1000, 1025)  # no edge is a round number, where kinks are
PARTS, KEPT, CUTS = 32, 32, 7
NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
RESOLVED = 1e-6
AT_ZERO = 1e-9


def continuous_derivatives(which: str | Activation, most: int = 3) -> int:
    """How many derivatives are continuous: -1 if the function jumps, 0 for a kink (ReLU), 1 for elu, …, at most `most`.

    Seen are jumps at |z| < 10 above 10⁻⁶ of the derivative's own size; an infinite derivative counts as a jump.
    """
    return next((order - 1 for order, jumps in enumerate(_jumps(activation(which), most)) if jumps.size), most)


def kinks_elsewhere(which: str | Activation) -> bool:
    """Whether the function or its slope jumps away from z = 0, where `gaussian_mean` is good to 2e-4 only (2e-2 at a jump)."""
    return any(np.any(abs(jumps) > AT_ZERO) for jumps in _jumps(activation(which), 1))


def require_smooth(which: str | Activation, derivatives: int, what: str) -> None:
    """Raise `ValueError`, in one line, unless so many derivatives are continuous; `what` is what needs them."""
    has = continuous_derivatives(which, derivatives)
    if has < derivatives:
        found = "it jumps" if has < 0 else f"it has {has}"
        raise ValueError(f"activation={spelling(which)}: {what} needs {derivatives} continuous derivatives, {found}")


@functools.cache
@np.errstate(all="ignore")
def _jumps(function: Activation, most: int) -> list[np.ndarray]:
    """Where the function and each of its derivatives up to `most` jump."""
    derivatives = lambda z: (function(z),)
    for _ in range(most + 1):
        derivatives = functools.partial(_and_next, derivatives)
    compiled = jax.jit(derivatives)

    def look(low, high):
        """By how much each derivative (row) violates s(b) - s(a) = ∫ s' in each cell (column), and its size there."""
        with jax.ensure_compile_time_eval():
            z = (low + high) / 2 + np.multiply.outer([-1, *NODES, 1], (high - low) / 2)
            s = np.stack(compiled(z))
            integral = (high - low) / 2 * np.einsum("n,knc->kc", WEIGHTS, s[1:, 1:-1])
            return abs(s[:-1, -1] - s[:-1, 0] - integral), abs(s[:-1]).max(1)

    def ratio(error, size):
        return np.nan_to_num(error / size, nan=0.0, posinf=0.0)

    low, high = CELLS[:-1], CELLS[1:]
    error, size = look(low, high)
    typical = np.where(np.isfinite(size) & (abs(low) < 1), size, 0.0).max(1, keepdims=True)
    around = size + typical  # what rounding errors are relative to
    for _ in range(CUTS):
        worst = np.argsort(-ratio(error, size + around).max(0))[:KEPT]
        edges = np.linspace(low[worst], high[worst], PARTS + 1)
        low, high, around = edges[:-1].ravel(), edges[1:].ravel(), np.tile(around[:, worst], PARTS)
        error, size = look(low, high)
    return [((low + high) / 2)[row > RESOLVED] for row in ratio(error, size + around)]


def _and_next(derivatives, z):
    values, slopes = jax.jvp(derivatives, (z,), (jnp.ones_like(z),))
    return *values, slopes[-1]
