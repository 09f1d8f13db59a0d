"""Products in one hidden layer: 2^n neurons for n numbers, and half of the digits for each factor more.

With all biases at u₀ and central differences of step 2λx_i, a monomial of degree R = Σ r_i is
    Σ_k Π_i (-1)^k_i C(r_i, k_i) σ(u₀ + λ Σ_i (r_i - 2k_i) x_i) / (σ^(R)(u₀) (2λ)^R)
        = Π x_i^r_i [1 + λ² σ^(R+2)/(6 σ^(R)) Σ r_i x_i² + O(λ⁴)],   k_i = 0 … r_i:   Π (r_i + 1) neurons.
All r_i = 1 is the product of n numbers: the 2^n sign patterns s with weights Π s_i. No fewer do where no derivative up to σ^(n) is zero,
without output bias, and if the Taylor coefficients are matched: A_{S,j} = Π_{h∈S} a_hj over all 2^n subsets S of the inputs must then have
rank 2^n. It is not a bound on uniform approximation. Outside these hypotheses fewer do, at a larger error:
- with an output bias, 2^n - 1: Σ_{S≠∅} (-1)^(n-|S|) σ(u₀ + λ Σ_S x), relative error λ σ^(n+1)/(2 σ^(n)) Σ x_i;
- where σ^(n-1)(u₀) = 0, 2^(n-1): the patterns with s_1 = 1, relative error λ σ^(n+1)/σ^(n) (x_1/2 + Σ_{i>1} x_i²/(6 x_1)), or that of
  all patterns if σ has the parity of n, as tanh has for three numbers. For two numbers a linear map beside the neurons replaces σ' = 0.
With any biases the part of degree n alone needs the Waring rank of x_1 ⋯ x_n, 2^(n-1).

Rounding: 2^n terms of size σ cancel down to (2λ)^n σ^(n) Π x_i, so the error A λ² + B ε/λ^n is least at λ* ~ ε^(1/(n+2)), where it is
~ ε^(2/(n+2)).

Sources: Rolnick & Tegmark, arXiv:1705.05502, theorems 4.1-4.3; Lin, Tegmark & Rolnick, arXiv:1608.08225, equation A4 (equation 28 there
lacks σ^(n) λ^n); Carlini, Catalisano & Geramita, J. Algebra 370 (2012) for the Waring rank. Errors, rounding and the cheaper networks
are derived here.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..models.activations import Activation, spelling
from .derivatives import derivatives
from .network import Network
from .walsh import configurations


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bypassed:
    """A network with one output and a linear map x ↦ v·x beside it, from the inputs to the output: `linear` v (inputs,)."""

    network: Network
    linear: jax.Array

    def __call__(self, x: Any) -> jax.Array:
        """The sum of both, of x (…, inputs)."""
        return self.network(x) + jnp.asarray(x, self.linear.dtype) @ self.linear

    @property
    def neurons(self) -> int:
        """Hidden units."""
        return self.network.neurons


def shallow_monomial(powers: Sequence[int], activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n) ↦ Π x_i^powers_i with Π (powers_i + 1) neurons in one hidden layer; `scale` λ multiplies the inputs.

    `ValueError` where σ^(degree)(bias) = 0. The function is `Π sinh(λ x_i)/λ` for exp at bias 0 and powers 1.
    """
    degree = sum(powers)
    nodes = np.stack(np.meshgrid(*(r - 2 * np.arange(r + 1) for r in powers), indexing="ij"), -1).reshape(-1, len(powers))
    signs = [[(-1) ** k * math.comb(r, k) for k in range(r + 1)] for r in powers]
    weights = np.prod(np.stack(np.meshgrid(*signs, indexing="ij"), -1).reshape(-1, len(powers)).astype(float), 1)
    out = weights[:, None] / (_slope(activation, degree, bias) * (2 * scale) ** degree)
    return Network.of([(scale * jnp.asarray(nodes.T, float), bias), (out, 0.0)], activation)


def flat_product(n: int, activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n) ↦ x_1 ⋯ x_n with 2^n neurons in one hidden layer; as `shallow_monomial`."""
    return shallow_monomial((1,) * n, activation, scale, bias)


def monomial_error(powers: Sequence[int], activation: str | Activation, x: Any, scale: Any, bias: float = 0.0) -> jax.Array:
    """Relative error of `shallow_monomial` at x (…, n) to second order: λ² σ^(R+2)/(6 σ^(R)) Σ r_i x_i²."""
    degree = sum(powers)
    s = derivatives(activation, bias, degree + 2)
    return scale**2 * s[degree + 2] / (6 * s[degree]) * (jnp.asarray(x, float) ** 2 @ jnp.asarray(powers, float))


def biased_product(n: int, activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n) ↦ x_1 ⋯ x_n with 2^n - 1 neurons and an output bias, by inclusion and exclusion; the error is of order λ."""
    subsets = configurations(n)
    weights = (-1.0) ** (n - subsets.sum(1)) / (_slope(activation, n, bias) * scale**n)
    constant = weights[0] * derivatives(activation, bias, 0)[0]
    return Network.of([(scale * jnp.asarray(subsets[1:].T, float), bias), (weights[1:, None], constant)], activation)


def biased_product_error(activation: str | Activation, x: Any, scale: Any, bias: float = 0.0) -> jax.Array:
    """Relative error of `biased_product` at x (…, n) to first order: λ σ^(n+1)/(2 σ^(n)) Σ x_i."""
    n = np.shape(x)[-1]
    s = derivatives(activation, bias, n + 1)
    return scale * s[n + 1] / (2 * s[n]) * jnp.sum(jnp.asarray(x, float), -1)


def half_product(n: int, activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n) ↦ x_1 ⋯ x_n with the 2^(n-1) neurons whose first sign is +. `ValueError` unless σ^(n-1) = 0 and σ^(n) ≠ 0 at `bias`."""
    s = derivatives(activation, bias, n)
    if not isinstance(s, Tracer) and abs(s[n - 1]) > _tiny(s):
        raise ValueError(f"bias={bias:g}: σ^({n - 1}) of {spelling(activation)} is {float(s[n - 1]):.3g} there; must be 0")
    return _half(n, activation, scale, bias)


def bypassed_product(activation: str | Activation, scale: Any, bias: float = 0.0) -> Bypassed:
    """x (…, 2) ↦ x_1 x_2 with 2 neurons and the linear map that takes away σ'; `ValueError` where σ''(bias) = 0."""
    s = derivatives(activation, bias, 2)
    half = _half(2, activation, scale, bias)
    return Bypassed(half, -s[1] / (s[2] * scale) * jnp.asarray([0.0, 1.0]))


def half_product_error(activation: str | Activation, x: Any, scale: Any, bias: float = 0.0) -> jax.Array:
    """Relative error of `half_product` and `bypassed_product` at x (…, n) through second order in λ, if σ^(n+1) = 0 or λ is small."""
    x = jnp.asarray(x, float)
    n = x.shape[-1]
    s = derivatives(activation, bias, n + 2)
    square = jnp.sum(x**2, -1)
    return (
        scale * s[n + 1] / s[n] * (3 * x[..., 0] ** 2 + square - x[..., 0] ** 2) / (6 * x[..., 0])
        + scale**2 * s[n + 2] / (6 * s[n]) * square
    )


def univariate_polynomial(coefficients: Any, activation: str | Activation, scale: Any, bias: float = 0.0, neurons: int = 0) -> Network:
    """x (…, 1) ↦ Σ_k coefficients_k x^k with degree + 1 neurons, whatever the coefficients: the input weights are λ times points t_j in
    [-1, 1], and the output weights w solve Σ_j w_j t_j^k = k! coefficients_k/(σ^(k) λ^k), a Vandermonde system, by least squares.

    Fewer `neurons` leave a residual. `ValueError` where a derivative up to σ^(degree) is zero.
    """
    degree = len(coefficients) - 1
    neurons = neurons or degree + 1
    s = derivatives(activation, bias, degree)
    if not isinstance(s, Tracer) and jnp.any(abs(s) <= _tiny(s)):
        raise ValueError(f"bias={bias:g}: σ^(0) … σ^({degree}) of {spelling(activation)} there are {np.round(s, 3)}; must not be 0")
    k = jnp.arange(degree + 1.0)
    t = np.linspace(-1, 1, neurons) if neurons > 1 else np.ones(1)
    target = jnp.asarray(coefficients, float) * jax.scipy.special.factorial(k) / (s * scale**k)
    out = np.linalg.pinv(np.vander(t, degree + 1, increasing=True).T) @ target
    return Network.of([(scale * t[None], bias), (out[:, None], 0.0)], activation)


def taylor_coefficients(network: Network, order: int) -> jax.Array:
    """Those of one input x, from x^0 to x^order, of a network of one hidden layer whose biases are all equal: (order + 1,)."""
    (a, w), u0 = network.weights, network.biases[0][0]
    k = jnp.arange(order + 1.0)
    sums = jnp.vander(a[0], order + 1, increasing=True).T @ w[:, 0]
    return (derivatives(network.activation, u0, order) * sums / jax.scipy.special.factorial(k)).at[0].add(network.biases[1][0])


def matching_matrix(weights: Float[Array | np.ndarray, "inputs neurons"]) -> Float[Array, "subsets neurons"]:
    """A_{S,j} = Π_{h∈S} a_hj over the 2^n subsets S of the inputs, in the order of `configurations`, of input weights a.

    Of the construction with λ = 1 it is a Hadamard matrix, A Aᵀ = 2^n.
    """
    weights = jnp.asarray(weights)
    rows = jnp.ones((1, weights.shape[1]), weights.dtype)
    for a in weights:
        rows = jnp.concatenate([rows, rows * a[None]])
    return rows


def matching_residual(neurons: int, output_bias: bool = False, starts: int = 12, seed: int = 0) -> float:
    """Least norm of the equations that match the Taylor polynomial of x_1 x_2 up to second degree, over input weights |a| ≤ 1 and output
    weights |w| ≤ 10: Σ w = 0 (unless there is an output bias), Σ w a_h = 0, Σ w a_h² = 0, Σ w a_1 a_2 = 1; best of many starts.

    The bound on a fixes the scale: without it the equations are solved in the limit a → ∞, w a_1 a_2 fixed, by fewer neurons.
    """
    from scipy.optimize import least_squares

    def residual(p):
        w, a, b = p.reshape(3, neurons)
        return np.array([0.0 if output_bias else w.sum(), a @ w, b @ w, a**2 @ w, b**2 @ w, a * b @ w - 1])

    bound = np.repeat([10.0, 1.0, 1.0], neurons)
    drawn = np.random.default_rng(seed).uniform(-1, 1, (starts, 3 * neurons))
    fit = lambda p: least_squares(residual, p, bounds=(-bound, bound), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return min(math.sqrt(2 * fit(p).cost) for p in drawn)


def shallow_neurons(powers: Sequence[int]) -> int:
    """Neurons of one hidden layer for a monomial, Π (r_i + 1): enough, and least under the hypotheses above (theorem 4.3)."""
    return math.prod(r + 1 for r in powers)


def deep_neurons(powers: Sequence[int]) -> int:
    """Bound on the neurons of a deep network for a monomial, Σ (7 ⌈log₂ r_i⌉ + 4) (theorem 4.3)."""
    return sum(7 * math.ceil(math.log2(r)) + 4 for r in powers)


def waring_rank(powers: Sequence[int]) -> int:
    """Least number of powers of linear forms that add up to a monomial, Π (r_i + 1) over all but the smallest r_i ≥ 1."""
    return math.prod(r + 1 for r in sorted(powers)[1:])


def rounding_law(n: int, epsilon: float) -> tuple[float, float]:
    """Powers of the precision ε that λ* and the least error follow: ε^(1/(n+2)), ε^(2/(n+2)). Factors of order one are left out."""
    return epsilon ** (1 / (n + 2)), epsilon ** (2 / (n + 2))


def digits_needed(n: int, error: float) -> float:
    """Decimal digits of arithmetic in which one layer multiplies n numbers to a relative error: (n+2)/2 log₁₀(1/error)."""
    return (n + 2) / 2 * math.log10(1 / error)


def _half(n, activation, scale, bias) -> Network:
    signs = 1.0 - 2 * configurations(n)[::2]
    out = np.prod(signs, 1)[:, None] / (_slope(activation, n, bias) * 2 ** (n - 1) * scale**n)
    return Network.of([(scale * jnp.asarray(signs.T), bias), (out, 0.0)], activation)


def _slope(activation, order, bias) -> jax.Array:
    s = derivatives(activation, bias, order)
    if not isinstance(s, Tracer) and abs(s[order]) <= _tiny(s):
        raise ValueError(f"bias={bias:g}: σ^({order}) of {spelling(activation)} is 0 there; must not be")
    return s[order]


def _tiny(s) -> jax.Array:
    """What counts as zero among derivatives."""
    return 1e-12 * jnp.maximum(1, jnp.max(abs(s)))
