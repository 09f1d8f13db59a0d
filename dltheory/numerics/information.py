"""Entropy and mutual information of discrete distributions, in nats.

S = -Σ p ln p,  I = Σ p(a,b) ln [p(a,b) / p(a)p(b)],  I_R = Σ p(a,b)² / p(a)p(b) - 1 ≥ I (Lin & Tegmark, arXiv:1606.06737, eq. 2).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


@jax.jit
def entropy(p: Float[Array | np.ndarray, "*shape"]) -> jax.Array:
    """S of a table of probabilities of any shape."""
    return -jnp.sum(jax.scipy.special.xlogy(p, p))


@jax.jit
def mutual_information(joint: Float[Array | np.ndarray, "first second"]) -> jax.Array:
    """I of the two variables of a joint distribution that sums to 1."""
    joint, independent = _both(joint)
    return jnp.sum(jax.scipy.special.xlogy(joint, joint / jnp.where(independent > 0, independent, 1)))


@jax.jit
def rational_mutual_information(joint: Float[Array | np.ndarray, "first second"]) -> jax.Array:
    """I_R, the χ² of the joint distribution against the product of its marginals; 2 I when the dependence is weak."""
    joint, independent = _both(joint)
    return jnp.sum((joint - independent) ** 2 / jnp.where(independent > 0, independent, 1))


def _both(joint):
    joint = jnp.asarray(joint)
    return joint, jnp.sum(joint, 1, keepdims=True) * jnp.sum(joint, 0, keepdims=True)
