"""Many points: representations compared by the matrices of their squared distances.

RSA   Pearson correlation of the entries of two distance matrices, each pair once (Kriegeskorte et al. 2008)
CKA   ⟨K, L⟩ / (|K| |L|) of the centred Gram matrices K = -½ J D J, J = 1 - 11ᵀ/n (Kornblith et al., arXiv:1905.00414)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Matrix = Float[Array | np.ndarray, "points points"]


def squared_distances(z: Float[Array | np.ndarray, "points units"]) -> Float[Array, "points points"]:
    """|z_i - z_j|² in float64, from differences: equal points are at distance 0 exactly."""
    z = jnp.asarray(z, float)
    return jax.lax.map(lambda point: jnp.sum((z - point[None]) ** 2, axis=1), z)


def rsa(first: Matrix, second: Matrix, keep: np.ndarray | None = None) -> Array:
    """Correlation of the off-diagonal entries of two symmetric matrices, or of those pairs that `keep` (points, points) marks."""
    upper = np.triu(np.ones(first.shape, bool) if keep is None else keep, 1)
    a, b = (jnp.asarray(m, float)[upper] for m in (first, second))
    a, b = a - jnp.mean(a), b - jnp.mean(b)
    return jnp.sum(a * b) / jnp.sqrt(jnp.sum(a**2) * jnp.sum(b**2))


def cka(first: Matrix, second: Matrix) -> Array:
    """Linear centred kernel alignment of two representations, given their squared distances."""
    k, m = (_gram(d) for d in (first, second))
    return jnp.sum(k * m) / jnp.sqrt(jnp.sum(k**2) * jnp.sum(m**2))


def _gram(distances: Matrix) -> Array:
    d = jnp.asarray(distances, float)
    d = d - jnp.mean(d, axis=0, keepdims=True)
    return -(d - jnp.mean(d, axis=1, keepdims=True)) / 2
