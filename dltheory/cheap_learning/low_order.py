"""Low order: why the Hamiltonians of nature are polynomials of low degree, and what degree one costs.

A polynomial of degree d in n variables has (n + d)! / (n! d!) coefficients. Two routes lead to degree 2 (Lin, Tegmark & Rolnick,
arXiv:1608.08225, section II D 1). Central limit theorem: the standardised sum of k independent draws has

    KL(sum of k || Gaussian) = γ²/(12 k) + O(1/k²),   γ the skewness; κ²/(48 k²) if γ = 0, κ the excess kurtosis.

Maximum entropy: of all distributions with given moments of degree ≤ d the one of largest entropy, q, is the exponential of a polynomial
of degree d, and S(q) - S(p) = KL(p || q) for every p with these moments. Entropies in nats.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln, xlogy
from jaxtyping import Array, Float

from ..record import Number
from .network import Network, affine
from .walsh import from_walsh, orders


def taylor_terms(variables: int, degree: int) -> int:
    """(n + d)! / (n! d!): coefficients of a polynomial of degree d in n variables, the constant among them."""
    return math.comb(variables + degree, degree)


def linear_layer(function: Callable[[jax.Array], jax.Array], inputs: int) -> Network:
    """The network without hidden units that is the linear `function` (inputs,) -> (outputs,): a translation, rotation, scaling, Fourier
    transform. `ValueError` if the function is not linear."""
    x = jnp.sin(jnp.arange(1.0, inputs + 1))
    images = jax.vmap(function)(jnp.concatenate([jnp.eye(inputs), x[None], -x[None]]))
    weights, up, down = images[:-2], images[-2], images[-1]
    if not np.allclose(jnp.stack([up, -down]), x @ weights, rtol=1e-9, atol=1e-9 * float(jnp.max(jnp.abs(weights)))):
        raise ValueError(f"function={getattr(function, '__name__', function)}: must be linear")
    return affine(weights)


def gamma_divergence(k: Any) -> jax.Array:
    """KL(standardised Gamma(k) || Gaussian) = ½ ln(2πe k) - k - ln Γ(k) - (1 - k) ψ(k) -> 1/(3k), in nats, of shapes k (…).

    Gamma(k) is the sum of k unit exponentials, γ² = 4/k. The terms are of order k ln k and cancel: absolute error 1e-16 k ln k.
    """
    k = jnp.asarray(k, float)
    return 0.5 * jnp.log(2 * jnp.pi * jnp.e * k) - k - gammaln(k) - (1 - k) * digamma(k)


@functools.partial(jax.jit, static_argnames="copies")
def gaussian_divergence(density: Float[Array | np.ndarray, "point"], spacing: Number, copies: int = 1) -> jax.Array:
    """KL(sum of `copies` independent draws || Gaussian of its mean and variance), in nats.

    `density` is on an even grid that holds its tails; no need for it to be normalised or centred. The density of the sum is the
    convolution power of the given one; for a smooth density the error falls faster than any power of `spacing`.
    """
    p = jnp.asarray(density, float)
    p = p / jnp.sum(p)
    x = spacing * jnp.arange(len(p), dtype=float)
    variance = jnp.sum(p * (x - jnp.sum(p * x)) ** 2)
    size = copies * (len(p) - 1) + 1
    total = jnp.maximum(jnp.fft.irfft(jnp.fft.rfft(p, size) ** copies, size), 0.0)
    return 0.5 * jnp.log(2 * jnp.pi * jnp.e * copies * variance) + jnp.sum(xlogy(total, total)) - jnp.log(spacing)


@functools.partial(jax.jit, static_argnames="degree")
def maximum_entropy(p: Float[Array | np.ndarray, "table"], degree: int) -> jax.Array:
    """The distribution q (2^n,) of n bits of largest entropy with the moments of degree ≤ `degree` of p (2^n,), p > 0.

    q = p + Σ_{|K|>d} a_K Π_{i∈K} s_i keeps the moments whatever a is, and a is found by Newton steps t δ with t = (1 - e^-r)/r and
    r = max |δq/q|: q stays positive and the entropy rises at each. That ln q has degree d is then a result, not an ansatz.
    """
    n = len(p).bit_length() - 1
    high = np.flatnonzero(orders(n) > degree)
    directions = jax.vmap(from_walsh)(jnp.eye(2**n)[high]).T

    def step(state):
        q, _, count = state
        hessian = directions.T @ (directions / q[:, None])
        change = directions @ jnp.linalg.solve(hessian, directions.T @ -jnp.log(q))
        r = jnp.max(jnp.abs(change / q))
        return q + change * jnp.where(r > 0, -jnp.expm1(-r) / jnp.where(r > 0, r, 1.0), 1.0), r, count + 1

    start = jnp.asarray(p, float), jnp.inf, 0
    return jax.lax.while_loop(lambda state: (state[1] > 1e-9) & (state[2] < 200), step, start)[0] if len(high) else start[0]
