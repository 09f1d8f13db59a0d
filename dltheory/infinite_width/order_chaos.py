r"""Order and chaos: how the norm of one input and the angle between two flow through a wide random network.

    q' = V(q) = σ_w² ⟨s²⟩_q / ρ + σ_b²,           c' = (σ_w² ⟨s(u₁) s(u₂)⟩ + σ_b²) / q*,   u ~ N(0, q* [[1, c], [c, 1]])
    χ₁ = σ_w² ⟨s'²⟩_{q*},   χ₂ = σ_w² ⟨s''²⟩_{q*},   χ_c = dc'/dc = σ_w² ⟨s'(u₁) s'(u₂)⟩ at c*
    ξ_q = -1/ln V'(q*),   ξ_c = -1/ln χ_c

χ₁ < 1: order, c* = 1, gradients vanish. χ₁ > 1: chaos, c* < 1, they explode. In c the map is a power series with coefficients ≥ 0,
increasing and convex, so Newton's steps from c = 0 rise to the smallest fixed point, which is the stable one. Dropout with keep rate
ρ < 1 lifts the diagonal alone: c = 1 is no longer fixed and there is no transition.

Sources: Poole et al. (2016), arXiv:1606.05340; Schoenholz et al. (2017), arXiv:1611.01232.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ..models.activations import Activation
from ..numerics import gaussian_mean, gaussian_mean_pair
from ..record import Number, array, record
from .averages import derivative
from .kernels import check_setting, fixed_point, function

NEWTON = 30


@record
class OrderChaos:
    """Fixed points and depth scales of a random network."""

    q: Number = array("q*, fixed point of the variance", "preactivation²")
    chi_1: Number = array("χ₁, growth of squared distances and gradients a layer")
    chi_2: Number = array("χ₂, growth of curvature", "1/preactivation²")
    c: Number = array("c*, stable correlation of two inputs")
    xi_q: Number = array("ξ_q, depth over which the variance settles", "layers")
    xi_c: Number = array("ξ_c, depth over which the correlation settles", "layers")


def order_chaos(activation: str | Activation, sigma_w: ArrayLike, sigma_b: ArrayLike, *, keep: ArrayLike = 1.0) -> OrderChaos:
    """Fixed points for W ~ N(0, σ_w²/fan-in), b ~ N(0, σ_b²) and dropout with keep rate ρ = `keep`, numbers or arrays of one shape.

    Where q* = 0 there are no angles: c* is given as 1. Where q grows without bound everything is nan or inf. `ValueError` for σ_w = 0
    or a keep rate outside (0, 1].
    """
    numbers = [jnp.asarray(a, float) for a in (sigma_w, sigma_b, keep)]
    check_setting(c_w=numbers[0] ** 2, keep=numbers[2])
    return _order_chaos(function(activation), *jnp.broadcast_arrays(*numbers))


@partial(jax.jit, static_argnums=0)
def _order_chaos(phi, sigma_w, sigma_b, keep):
    shape = sigma_w.shape
    flat = [a.ravel() for a in (sigma_w**2, sigma_b**2, keep)]
    return jax.tree.map(lambda a: a.reshape(shape), jax.lax.map(lambda a: _one(phi, *a), tuple(flat)))


def _one(phi, weight, bias, keep):
    s1, s2 = derivative(phi), derivative(phi, 2)
    variance = lambda q: bias + weight / keep * gaussian_mean(lambda z: phi(z) ** 2, q)
    found = fixed_point(variance, 1.0)
    vanishes = found < 1e-12
    q = jnp.where(vanishes, 1.0, found)
    pair = lambda f, c: gaussian_mean_pair(lambda x, y: f(x) * f(y), q * (c + (1 - c) * jnp.eye(2)))
    chi = lambda c: weight * pair(s1, c)

    def newton(_, c):
        value, slope = (weight * pair(phi, c) + bias) / q, chi(c)
        return jnp.where(slope < 1, jnp.clip(c + (value - c) / (1 - slope), 0.0, 1.0), jnp.minimum(value, 1.0))

    c = jnp.where(vanishes, 1.0, jax.lax.fori_loop(0, NEWTON, newton, jnp.zeros_like(q)))
    square = lambda f: weight * gaussian_mean(lambda z: f(z) ** 2, found)
    chi_1 = square(s1)
    chi_c = jnp.where(c > 1 - 1e-9, chi_1, chi(c))
    return OrderChaos(found, chi_1, square(s2), c, -1 / jnp.log(jax.grad(variance)(found)), -1 / jnp.log(chi_c))
