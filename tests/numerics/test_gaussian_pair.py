"""Averages over two Gaussian variables against closed forms and independent quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.scipy.special import erf

from dltheory.numerics import gaussian_mean, gaussian_mean_pair
from dltheory.numerics.gaussian import tanh_sinh

VARIANCES = jnp.array([1e-6, 1e-5, 1e-4, 1e-2, 0.3, 1.0, 7.0, 1e2, 1e3, 1e4, 1e6])
CORRELATIONS = np.array([-1, -1 + 1e-9, -0.999, -0.5, 0, 0.3, 0.9, 0.999, 1 - 1e-6, 1 - 1e-12, 1])
gelu = lambda z: jax.nn.gelu(z, approximate=False)
leaky_relu = lambda z: jnp.where(z > 0, z, 0.1 * z)
step = lambda z: jnp.where(z > 0, 1.0, 0.0)


def covariances(variance_1, variance_2, correlation=CORRELATIONS):
    off_diagonal = np.sqrt(variance_1 * variance_2) * correlation
    one = np.ones_like(off_diagonal)
    return jnp.array([[variance_1 * one, off_diagonal], [off_diagonal, variance_2 * one]]).transpose(2, 0, 1)


def erf_pair(K):
    return 2 / jnp.pi * jnp.arcsin((K[..., 0, 1] + K[..., 1, 0]) / jnp.sqrt((1 + 2 * K[..., 0, 0]) * (1 + 2 * K[..., 1, 1])))


def cos_pair(K):
    return jnp.exp(-(K[..., 0, 0] + K[..., 1, 1]) / 2) * jnp.cosh((K[..., 0, 1] + K[..., 1, 0]) / 2)


def sin_pair(K):
    return jnp.exp(-(K[..., 0, 0] + K[..., 1, 1]) / 2) * jnp.sinh((K[..., 0, 1] + K[..., 1, 0]) / 2)


def product(f, g=None):
    return lambda z_1, z_2: f(z_1) * (g or f)(z_2)


PAIRS = [(1.0, 1.0), (1e-6, 1e-6), (0.3, 4.0), (1e-4, 1e4), (1e2, 1e2), (1e4, 1e4), (1e6, 1e6)]
ANGLES = 2 * np.arctan2(np.sqrt(1 - CORRELATIONS), np.sqrt(1 + CORRELATIONS))
RELU_PAIR = (np.sin(ANGLES) + (np.pi - ANGLES) * np.cos(ANGLES)) / (2 * np.pi)
FLAT = np.zeros((11, 2, 2))
FLAT[:5, 0, 0] = FLAT[5:10, 1, 1] = np.arange(1, 6)
KINKED_PAIRS = {
    "relu": (jax.nn.relu, RELU_PAIR, 1),
    "relu²": (
        lambda z: jax.nn.relu(z) ** 2,
        (3 * np.sin(ANGLES) * np.cos(ANGLES) + (np.pi - ANGLES) * (1 + 2 * np.cos(ANGLES) ** 2)) / (2 * np.pi),
        2,
    ),
    "leaky relu": (leaky_relu, (0.01 + 0.09) * CORRELATIONS + 0.81 * RELU_PAIR, 1),
    "abs": (jnp.abs, 4 * RELU_PAIR - CORRELATIONS, 1),
    "linear": (lambda z: z, CORRELATIONS, 1),
    "step": (step, (np.pi - ANGLES) / (2 * np.pi), 0),
}


def test_tanh_sinh_rule_is_exact_for_roots_and_logarithms():
    u, complement, weights = tanh_sinh(1 / 20)
    np.testing.assert_allclose(u + complement, 1, rtol=4e-16)
    exact = {lambda u: 1.0 + 0 * u: 1, np.sqrt: 2 / 3, lambda u: -np.log(u): 1, lambda u: u**8: 1 / 9, np.cos: np.sin(1)}
    for f, value in exact.items():
        np.testing.assert_allclose(weights @ f(u), value, rtol=1e-14)


@pytest.fixture(scope="module")
def kinked_averages():
    K = jnp.concatenate([covariances(*variances) for variances in PAIRS])
    average = lambda K: {name: gaussian_mean_pair(product(f), K) for name, (f, _, _) in KINKED_PAIRS.items()}
    return jax.tree.map(lambda values: np.reshape(values, (len(PAIRS), -1)), jax.jit(average)(K))


@pytest.mark.parametrize("name", KINKED_PAIRS)
def test_kinked_activations_at_all_variances_and_correlations(name, kinked_averages):
    """ReLU and its square have the arc-cosine kernels of degree 1 and 2 (Cho and Saul 2009)."""
    _, exact, degree = KINKED_PAIRS[name]
    for variances, values in zip(PAIRS, kinked_averages[name], strict=True):
        scale = np.sqrt(variances[0] * variances[1]) ** degree
        # one ε in the correlation 1 - 1e-12 is 1e-10 in the angle, to which steps are sensitive
        np.testing.assert_allclose(values / scale, exact, rtol=1e-13, atol=1e-9 if name == "step" else 2e-15)


def test_steps_have_the_arc_cosine_kernel_of_degree_zero(kinked_averages):
    values = kinked_averages["step"]
    np.testing.assert_allclose(values[0], (np.pi - ANGLES) / (2 * np.pi), rtol=1e-13)
    np.testing.assert_allclose(values[:, [0, 4, -1]], np.broadcast_to([0, 0.25, 0.5], (len(PAIRS), 3)), rtol=1e-14)


@pytest.mark.parametrize("variances", PAIRS)
def test_sharp_activations_at_all_variances_and_correlations(variances):
    K = covariances(*variances)
    scale = np.sqrt(erf_pair(jnp.full((2, 2), variances[0])) * erf_pair(jnp.full((2, 2), variances[1])))
    np.testing.assert_allclose(gaussian_mean_pair(product(erf), K) / scale, erf_pair(K) / scale, rtol=1e-12, atol=3e-13)
    bumps = gaussian_mean_pair(lambda z_1, z_2: jnp.exp(-(z_1**2) - z_2**2), K)
    determinant = (1 + 2 * K[:, 0, 0]) * (1 + 2 * K[:, 1, 1]) - 4 * K[:, 0, 1] ** 2
    np.testing.assert_allclose(bumps, 1 / np.sqrt(determinant), rtol=2e-9 if variances[0] == 1e6 else 2e-12)


@pytest.mark.parametrize("variances", [(1e-4, 1e-4), (1.0, 1.0), (0.2, 6.0), (5.0, 3.0)])
def test_exponentials_and_oscillations_of_pairs(variances):
    K = covariances(*variances)
    np.testing.assert_allclose(gaussian_mean_pair(product(jnp.cos), K), cos_pair(K), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gaussian_mean_pair(product(jnp.sin), K), sin_pair(K), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gaussian_mean_pair(jnp.subtract, K), 0, atol=1e-15)
    spread = K[:, 0, 0] + K[:, 1, 1] - 2 * K[:, 0, 1]
    np.testing.assert_allclose(gaussian_mean_pair(lambda z_1, z_2: jnp.cos(z_1 - z_2), K), jnp.exp(-spread / 2), rtol=1e-12)
    np.testing.assert_allclose(gaussian_mean_pair(lambda z_1, z_2: jnp.exp(z_1 - z_2), K), jnp.exp(spread / 2), rtol=1e-9)


@pytest.mark.parametrize("orders", [(1, 1), (2, 2), (1, 3), (2, 4), (3, 5), (4, 4), (2, 6), (0, 8)])
def test_moments_up_to_order_eight(orders):
    K = covariances(0.7, 2.5)
    x, weights = scipy.special.roots_hermitenorm(8)
    weights = weights / weights.sum()
    z_1 = np.sqrt(0.7) * x[:, None]
    z_2 = np.sqrt(2.5) * (CORRELATIONS[:, None, None] * x[:, None] + np.sqrt(1 - CORRELATIONS[:, None, None] ** 2) * x)
    exact = np.einsum("cij,i,j->c", z_1 ** orders[0] * z_2 ** orders[1], weights, weights)
    values = gaussian_mean_pair(lambda z_1, z_2: z_1 ** orders[0] * z_2 ** orders[1], K)
    np.testing.assert_allclose(values, exact, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("variances", [(0.01, 0.01), (1.0, 1.0), (9.0, 0.5), (4.0, 9.0)])
def test_tanh_against_the_plain_trapezoid_rule(variances):
    x = np.arange(-220, 221) * 0.045
    weights = np.exp(-x * x / 2) * 0.045 / np.sqrt(2 * np.pi)
    for f, g in ((np.tanh, np.tanh), (np.tanh, lambda z: 1 - np.tanh(z) ** 2 + z)):
        z_2 = np.sqrt(variances[1]) * (CORRELATIONS[:, None, None] * x[:, None] + np.sqrt(1 - CORRELATIONS[:, None, None] ** 2) * x)
        exact = np.einsum("i,cij,j->c", weights * f(np.sqrt(variances[0]) * x), g(z_2), weights)
        jax_g = jnp.tanh if g is np.tanh else lambda z: 1 - jnp.tanh(z) ** 2 + z
        values = gaussian_mean_pair(product(jnp.tanh, jax_g), covariances(*variances))
        np.testing.assert_allclose(values, exact, rtol=1e-12, atol=1e-15)


def test_the_two_variables_keep_their_order():
    """E max(z₁, 0) z₂² = K₂₂ (1 - ρ²) E max(z₁, 0) + ρ² K₂₂/K₁₁ E max(z₁, 0)³ = K₂₂ √(K₁₁/2π) (1 + ρ²)."""
    values = gaussian_mean_pair(lambda z_1, z_2: jax.nn.relu(z_1) * z_2**2, covariances(0.3, 4.0))
    np.testing.assert_allclose(values, 4 * np.sqrt(0.3 / (2 * np.pi)) * (1 + CORRELATIONS**2), rtol=1e-14)


@pytest.mark.parametrize("f", [jnp.tanh, gelu, erf])
def test_equal_variables_are_one_variable(f):
    K = jnp.broadcast_to(VARIANCES[:, None, None], (11, 2, 2))
    np.testing.assert_allclose(gaussian_mean_pair(product(f), K), gaussian_mean(lambda z: f(z) ** 2, VARIANCES), rtol=1e-14)


def test_opposite_variables_are_one_variable():
    K = VARIANCES[:, None, None] * jnp.array([[[1.0, -1.0], [-1.0, 1.0]]])
    values = gaussian_mean_pair(product(gelu), K)
    np.testing.assert_allclose(values, gaussian_mean(lambda z: gelu(z) * gelu(-z), VARIANCES), rtol=1e-14)


@pytest.mark.parametrize("f", [jnp.cos, jnp.exp, jax.nn.softplus, step])
def test_a_variable_without_variance_is_constant(f):
    at_zero = f(jnp.array(0.0))
    one = gaussian_mean(f, jnp.arange(1.0, 12.0))[:5]
    exact = at_zero * jnp.concatenate([one, one, at_zero[None]])
    np.testing.assert_allclose(gaussian_mean_pair(product(f), FLAT), exact, rtol=2e-15)


def test_correlations_are_clipped():
    K = covariances(1.0, 1.0, 1 + np.geomspace(1e-16, 1e-3, 11))
    exact = gaussian_mean(lambda z: jnp.tanh(z) ** 2, jnp.ones(11))[0]
    np.testing.assert_allclose(gaussian_mean_pair(product(jnp.tanh), K), exact, rtol=1e-14)
    assert jnp.isfinite(gradient(jnp.tanh, K)).all()


def test_compiled_and_batched_averages_are_the_same():
    average = lambda K: gaussian_mean_pair(product(jnp.tanh), K)
    K = covariances(1.0, 3.0)
    for transformed in (jax.jit(average), jax.vmap(average)):
        np.testing.assert_allclose(transformed(K), average(K), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shape", [(), (2, 3), (0,)])
def test_shapes(shape):
    values = jax.eval_shape(lambda K: gaussian_mean_pair(product(jnp.tanh), K), jnp.ones((*shape, 2, 2)))
    assert values.shape == shape and values.dtype == jnp.float64


def test_negative_variance_is_not_a_number():
    assert jnp.isnan(gaussian_mean_pair(product(jnp.cos), -covariances(1.0, 3.0))).all()


def gradient(f, K):
    return jax.vmap(jax.grad(lambda K: gaussian_mean_pair(product(f), K)))(K)


@pytest.mark.parametrize("variances", [(1.0, 1.0), (0.3, 4.0)])
@pytest.mark.parametrize(("f", "closed_form"), [(erf, erf_pair), (jnp.cos, cos_pair)])
def test_gradient_has_its_closed_form(f, closed_form, variances):
    K = covariances(*variances)
    values, exact = gradient(f, K), jax.vmap(jax.grad(closed_form))(K)
    np.testing.assert_allclose(values[2:-2], exact[2:-2], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(values, exact, rtol=2e-8, atol=2e-8)


@pytest.mark.parametrize("f", [jax.nn.relu, jnp.tanh])
def test_gradient_is_half_the_mean_hessian(f):
    """Price (1958): ∂E f/∂K_ij = E ∂_i ∂_j f / 2."""
    K = covariances(0.3, 4.0)
    values, exact = gradient(f, K), gaussian_mean_pair(product(jax.grad(f)), K) / 2
    np.testing.assert_array_equal(values[:, 0, 1], values[:, 1, 0])
    np.testing.assert_allclose(values[2:-2, 0, 1], exact[2:-2], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(values[:, 0, 1], exact, rtol=2e-8, atol=2e-8)


@pytest.mark.parametrize(("f", "closed_form"), [(erf, erf_pair), (jnp.cos, cos_pair)])
def test_gradient_at_variance_zero(f, closed_form):
    K = jnp.asarray(FLAT)
    np.testing.assert_allclose(gradient(f, K), jax.vmap(jax.grad(closed_form))(K), atol=1e-9)
