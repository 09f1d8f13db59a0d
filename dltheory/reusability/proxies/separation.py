"""Scores of how differently an untrained network treats different inputs.

    jacob-cov  J_n = ∂ Σ outputs/∂x_n,  σ = eigenvalues of the correlation matrix of the J_n,  -Σ_n [log(σ_n + k) + 1/(σ_n + k)]
    NASWOT     c_n = which units are active for x_n,  K_nm = units on which c_n and c_m agree,  log det(K + ridge)

Each eigenvalue σ = 0 adds -1/k = -10⁵ to jacob-cov: it then counts directions that are missing, as in a linear network, where all J_n
are one, or for more examples than inputs. K = (N + s sᵀ)/2, s = ±1, has at most units + 1 nonzero eigenvalues, and equal rows for equal
codes: without a ridge NASWOT is -∞ for more examples than that. K being whole numbers, log det K ≥ 0 if it is not singular, so that
what lies clearly below 0 says so; each missing direction adds log ridge = -13.8.
Sources: Mellor et al., "Neural architecture search without training" (arXiv:2006.04647): jacob-cov in version 1, with k = 10⁻⁵, NASWOT
in version 3, which has no ridge.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ...models import Apply
from .network import batch, hidden, output


def jacob_cov(apply: Apply, params: Any, x: Any, y: Any = None, k: float = 1e-5) -> jax.Array:
    """The score of a batch x (n, …): 0 > score, highest -n when no two Jacobians correlate. A constant Jacobian correlates with none,
    nor with itself: its σ is 0.
    """
    jacobians = jax.grad(lambda x: jnp.sum(output(apply(params, x))))(batch(params, x))
    j = jacobians.reshape(len(jacobians), -1).astype(float)
    j = j - jnp.mean(j, axis=1, keepdims=True)
    size = jnp.sqrt(jnp.sum(j**2, axis=1, keepdims=True))
    j = j / jnp.where(size > 0, size, 1)
    sigma = jnp.maximum(jnp.linalg.eigvalsh(j @ j.T), 0)
    return -jnp.sum(jnp.log(sigma + k) + 1 / (sigma + k))


def naswot(apply: Apply, params: Any, x: Any, y: Any = None, ridge: float = 1e-6) -> jax.Array:
    """log det of the kernel of a batch x (n, …), n ≤ units if it is to tell networks apart (16, say).

    A unit is active where its hidden representation is positive: the pattern of ReLUs, and of tanh; sums that skip connections make are
    taken as they are, and units that are always positive (sigmoid) tell nothing.
    """
    units = [h.reshape(len(h), -1) > 0 for h in hidden(apply(params, batch(params, x)), "naswot")]
    signs = 2 * jnp.concatenate(units, axis=1).astype(float) - 1
    kernel = (signs.shape[1] + signs @ signs.T) / 2
    return jnp.linalg.slogdet(kernel + ridge * jnp.eye(len(kernel)))[1]
