r"""Gaussian averages of products for all pairs of many variables at once, by Mehler's formula (Mehler 1866).

With the orthonormal Hermite polynomials h_k and a_k(K) = E f(√K x) h_k(x), x ~ N(0, 1),

    E f(z_a) f(z_b) = Σ_k c_abᵏ a_k(K_aa) a_k(K_bb),    c_ab = K_ab/√(K_aa K_bb).

Cut after k = ORDER it errs by at most |c|^{ORDER+1} √(r_a r_b), r = E f² - Σ_{k ≤ ORDER} a_k². A pair costs ORDER multiplications.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .gaussian import X_WEIGHTS, X, gaussian_mean

ORDER = 256


def _polynomials() -> np.ndarray:
    """h_k(x) times weight at the nodes x ≥ 0, (ORDER + 1, nodes); weights enter at the start to keep all numbers in range."""
    rows = [X_WEIGHTS / np.sqrt(2 * np.pi), X * X_WEIGHTS / np.sqrt(2 * np.pi)]
    for k in range(1, ORDER):
        rows.append((X * rows[k] - np.sqrt(k) * rows[k - 1]) / np.sqrt(k + 1))
    return np.stack(rows)


POLYNOMIALS = _polynomials()


def hermite_coefficients(f: Callable[[Array], Array], variance: Float[Array, ""], order: int = ORDER) -> Float[Array, " k"]:
    """a_k(K) = E f(√K x) h_k(x) for k = 0 … order ≤ ORDER and a function f of a number."""
    half = lambda sign: jax.vmap(f)(sign * jnp.sqrt(variance) * X)
    up, down = half(1.0), half(-1.0)
    kept = POLYNOMIALS[: order + 1]
    return jnp.where(np.arange(order + 1) % 2 == 0, kept @ (up + down), kept @ (up - down))


def product_means(f: Callable[[Array], Array], covariance: Float[Array, "m m"]) -> Float[Array, "m m"]:
    """E f(z_a) f(z_b) for z ~ N(0, covariance) and a function f of a number. The diagonal is exact to 1e-13.

    Off it the error relative to √(E f(z_a)² E f(z_b)²), measured for correlations up to ±(1 - 1e-9), is below 1e-13 for the smooth
    activations of the zoo at variances up to 2; at 5 it is 2e-9 for tanh and 2e-12 for the others, at 25 it is 5e-5 for tanh and
    erf and 1e-7 for the others. With a kink it falls like ORDER^{-3/2} only: take `gaussian_mean_pair`.
    """
    variance = jnp.diagonal(covariance)
    scale = jnp.sqrt(variance)
    safe = jnp.where(scale > 0, scale, 1.0)
    c = jnp.clip(covariance / (safe[:, None] * safe[None]), -1.0, 1.0)
    a = jax.vmap(lambda K: hermite_coefficients(f, K), out_axes=1)(variance)

    def horner(total, a_k):
        return total * c + a_k[:, None] * a_k[None], None

    total = jax.lax.scan(horner, jnp.zeros_like(c), a[::-1])[0]
    diagonal = gaussian_mean(lambda z: f(z) ** 2, variance)
    return jnp.where(np.eye(len(scale), dtype=bool), diagonal[:, None], total)
