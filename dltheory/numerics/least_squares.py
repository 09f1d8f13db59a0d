"""Least squares with few parameters in a box, small enough to be vmapped over hundreds of starts.

Levenberg-Marquardt: the step δ solves (JᵀJ + λ diag JᵀJ) δ = -Jᵀr over the free parameters, those that the gradient Jᵀr does
not hold at a bound, and is clipped to the box. If it lowers the cost |r|²/2 it is taken and λ falls to λ/4, otherwise λ rises
to 4λ (Levenberg 1944, Marquardt 1963).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def levenberg_marquardt(
    residual: Callable[[Array], Array],
    start: Float[Array, " k"],
    low: Float[ArrayLike, "..."],
    high: Float[ArrayLike, "..."],
    steps: int = 15,
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """Parameters (k,) in [low, high] and their cost |residual|²/2, after `steps` trial steps from `start`.

    `residual` maps (k,) to (n,). Where it or its Jacobian is not finite, the cost is infinite: such a step is not taken, and
    such a start is returned, clipped to the box, with infinite cost. A start of nan counts as zero.
    """

    def residual_twice(p):
        r = residual(p)
        return r, r

    def step(_, state):
        best, damping, trial = state
        J, r = jax.jacfwd(residual_twice, has_aux=True)(trial)
        finite = jnp.isfinite(r).all() & jnp.isfinite(J).all()
        cost = jnp.where(finite, r @ r / 2, jnp.inf)
        better = cost < best[1]
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), (trial, cost, J.T @ r, J.T @ J), best)
        damping = jnp.where(better, damping / 4, damping * 4)
        return best, damping, propose(best, damping)

    def propose(best, damping):
        p, _, gradient, hessian = best
        scale = jnp.diag(hessian)
        held = ((p <= low) & (gradient > 0)) | ((p >= high) & (gradient < 0)) | (scale == 0)
        free = jnp.where(held, 0.0, 1.0)
        matrix = hessian * jnp.outer(free, free) + jnp.diag(jnp.where(held, 1.0, damping * scale))
        return jnp.clip(p - jnp.linalg.solve(matrix, free * gradient), low, high)

    p = jnp.clip(jnp.nan_to_num(start), low, high)
    k = p.shape[0]
    best = (p, jnp.asarray(jnp.inf, p.dtype), jnp.zeros(k, p.dtype), jnp.zeros((k, k), p.dtype))
    (p, cost, _, _), _, _ = jax.lax.fori_loop(0, steps + 1, step, (best, jnp.asarray(0.01, p.dtype), p))
    return p, cost
