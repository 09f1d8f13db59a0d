"""Gaussian averages against closed forms and independent quadrature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.scipy.special import erf
from scipy.integrate import quad

from dltheory.numerics import gaussian_mean, gaussian_mean_pair
from dltheory.numerics.gaussian import half_line, tanh_sinh

VARIANCES = jnp.array([1e-6, 1e-5, 1e-4, 1e-2, 0.3, 1.0, 7.0, 1e2, 1e3, 1e4, 1e6])
CORRELATIONS = np.array([-1, -1 + 1e-9, -0.999, -0.5, 0, 0.3, 0.9, 0.999, 1 - 1e-6, 1 - 1e-12, 1])
gelu = lambda z: jax.nn.gelu(z, approximate=False)
leaky_relu = lambda z: jnp.where(z > 0, z, 0.1 * z)
step = lambda z: jnp.where(z > 0, 1.0, 0.0)
sign = lambda z: jnp.where(z > 0, 1.0, -1.0)


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


CLOSED_FORMS = {
    "relu": (jax.nn.relu, lambda K: np.sqrt(K / (2 * np.pi))),
    "relu²": (lambda z: jax.nn.relu(z) ** 2, lambda K: K / 2),
    "relu³": (lambda z: jax.nn.relu(z) ** 3, lambda K: np.sqrt(2 / np.pi) * K**1.5),
    "relu⁴": (lambda z: jax.nn.relu(z) ** 4, lambda K: 3 * K**2 / 2),
    "relu'": (jax.grad(jax.nn.relu), lambda K: 0.5),
    "leaky relu": (leaky_relu, lambda K: 0.9 * np.sqrt(K / (2 * np.pi))),
    "leaky relu²": (lambda z: leaky_relu(z) ** 2, lambda K: 1.01 * K / 2),
    "abs": (jnp.abs, lambda K: np.sqrt(2 * K / np.pi)),
    "abs³": (lambda z: jnp.abs(z) ** 3, lambda K: np.sqrt(8 / np.pi) * K**1.5),
    "square root of abs": (lambda z: jnp.sqrt(jnp.abs(z)), lambda K: (2 * K) ** 0.25 * 1.2254167024651776 / np.sqrt(np.pi)),
    "step": (step, lambda K: 0.5),
    "gelu": (gelu, lambda K: K / np.sqrt(2 * np.pi * (1 + K))),
    "erf²": (lambda z: erf(z) ** 2, lambda K: 2 / np.pi * np.arctan(2 * K / np.sqrt(1 + 4 * K))),
    "erf'": (lambda z: 2 / np.sqrt(np.pi) * jnp.exp(-(z**2)), lambda K: 2 / np.sqrt(np.pi * (1 + 2 * K))),
    "erf'²": (lambda z: 4 / np.pi * jnp.exp(-2 * z**2), lambda K: 4 / np.pi / np.sqrt(1 + 4 * K)),
    "sigmoid": (jax.nn.sigmoid, lambda K: 0.5),
    **{f"z^{n}": (lambda z, n=n: z**n, lambda K, n=n: K ** (n / 2) * scipy.special.factorial2(n - 1)) for n in (2, 4, 6, 8)},
}


@pytest.fixture(scope="module")
def averages():
    return jax.jit(lambda K: {name: gaussian_mean(f, K) for name, (f, _) in CLOSED_FORMS.items()})(VARIANCES)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_at_all_variances(name, averages):
    exact = np.broadcast_to(CLOSED_FORMS[name][1](np.asarray(VARIANCES)), VARIANCES.shape)
    np.testing.assert_allclose(averages[name], exact, rtol=5e-13 if name.startswith("erf'") else 4e-15)


@pytest.mark.parametrize("f", [jnp.tanh, jnp.sin, erf, lambda z: z, lambda z: z**7, sign], ids=str)
def test_odd_functions_average_to_zero_exactly(f):
    assert (gaussian_mean(f, VARIANCES) == 0).all()


def test_exponentials_and_oscillations():
    K = np.geomspace(1e-6, 20, 11)
    np.testing.assert_allclose(gaussian_mean(jnp.exp, K), np.exp(K / 2), rtol=1e-13)
    np.testing.assert_allclose(gaussian_mean(jnp.cos, K), np.exp(-K / 2), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gaussian_mean(lambda z: jnp.sin(z) ** 2, K), -np.expm1(-2 * K) / 2, rtol=1e-13)
    np.testing.assert_allclose(gaussian_mean(jnp.cos, np.linspace(8, 25, 11) ** 2), 0, atol=1e-13)


@pytest.mark.parametrize(
    "f",
    [
        lambda z, m: m.tanh(z) ** 2,
        lambda z, m: 16 * m.exp(-4 * m.logaddexp(z, -z)),
        lambda z, m: m.tanh(z) ** 4,
        lambda z, m: z * m.tanh(z),
        lambda z, m: (z * (1 + m.tanh(z / 2)) / 2) ** 2,
        lambda z, m: m.logaddexp(z, 0.0),
        lambda z, m: (1 + m.tanh(z / 2)) ** 2 / 4,
    ],
    ids=["tanh²", "tanh'²", "tanh⁴", "z tanh", "swish²", "softplus", "sigmoid²"],
)
def test_saturating_activations_against_adaptive_quadrature(f):
    def adaptive(K):
        s = np.sqrt(K)
        integrand = lambda x: (f(s * x, np) + f(-s * x, np)) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        points = sorted({0.0, *(c / s for c in (1.0, 4.0, 16.0) if c / s < 4), 4.0, 14.0})
        return sum(quad(integrand, a, b, epsabs=0, epsrel=1e-13, limit=200)[0] for a, b in itertools.pairwise(points))

    exact = [adaptive(K) for K in np.asarray(VARIANCES)]
    np.testing.assert_allclose(gaussian_mean(lambda z: f(z, jnp), VARIANCES), exact, rtol=1e-12)


@pytest.mark.parametrize(("f", "wedge", "finest"), [(np.tanh, np.pi / 2, 3), (scipy.special.erf, np.pi / 4, 5)])
@pytest.mark.parametrize("variance", [1e4, 1e6])
def test_error_falls_with_the_step_as_the_wedge_of_analyticity_says(f, wedge, finest, variance):
    def average(step):
        x, weights = half_line(step, power=0, low=-30)
        return weights @ (1 - f(np.sqrt(variance) * x) ** 2)

    errors = [abs(average(1 / n) / average(1 / 12) - 1) for n in (1, finest)]
    np.testing.assert_allclose(np.log(errors[0] / errors[1]) / (finest - 1), 2 * np.pi * wedge, rtol=0.15)


def test_half_line_rule_is_exact_for_moments():
    for power in (0, 1):
        x, weights = half_line(1 / 6, power, low=-20)
        moments = [weights @ x**n for n in range(9)]
        exact = [2 ** ((n + power - 1) / 2) * scipy.special.gamma((n + power + 1) / 2) for n in range(9)]
        np.testing.assert_allclose(moments, exact, rtol=4e-15)


def test_tanh_sinh_rule_is_exact_for_roots_and_logarithms():
    u, complement, weights = tanh_sinh(1 / 20)
    np.testing.assert_allclose(u + complement, 1, rtol=4e-16)
    exact = {lambda u: 1.0 + 0 * u: 1, np.sqrt: 2 / 3, lambda u: -np.log(u): 1, lambda u: u**8: 1 / 9, np.cos: np.sin(1)}
    for f, value in exact.items():
        np.testing.assert_allclose(weights @ f(u), value, rtol=1e-14)


def test_cost_of_kinks_and_jumps_away_from_zero():
    K = np.linspace(0.5, 2, 11)
    density, tail = np.exp(-1 / (2 * K)) / np.sqrt(2 * np.pi), scipy.special.ndtr(-1 / np.sqrt(K))
    np.testing.assert_allclose(gaussian_mean(lambda z: jax.nn.relu(z - 1), K), np.sqrt(K) * density - tail, atol=2e-4)
    np.testing.assert_allclose(gaussian_mean(lambda z: step(z - 1), K), tail, atol=2e-2)


@pytest.mark.parametrize("f", [jnp.cos, jax.nn.relu, jax.nn.sigmoid, step, sign, jnp.exp, lambda z: z**2 + 3])
def test_variance_zero_gives_the_value_at_zero(f):
    assert (gaussian_mean(f, jnp.zeros(11)) == f(jnp.array(0.0))).all()


def test_negative_variance_is_not_a_number():
    assert jnp.isnan(gaussian_mean(jnp.cos, -VARIANCES)).all()
    assert jnp.isnan(gaussian_mean_pair(product(jnp.cos), -covariances(1.0, 3.0))).all()


@pytest.mark.parametrize("shape", [(), (2, 3), (0,)])
def test_shapes(shape):
    values = jax.eval_shape(lambda K: gaussian_mean(jnp.tanh, K), jnp.ones(shape))
    pairs = jax.eval_shape(lambda K: gaussian_mean_pair(product(jnp.tanh), K), jnp.ones((*shape, 2, 2)))
    assert values.shape == pairs.shape == shape and values.dtype == pairs.dtype == jnp.float64


def test_numbers_of_any_kind_are_variances():
    for K in (2, 2.0, np.float32(2), jnp.float32(2), np.array(2)):
        value = gaussian_mean(lambda z: z**4, K)
        assert value.dtype == jnp.float64
        np.testing.assert_allclose(value, 12, rtol=1e-14)


def test_compiled_and_batched_averages_are_the_same():
    average = lambda K: gaussian_mean(lambda z: jnp.tanh(z) ** 2, K)
    direct = average(VARIANCES.reshape(1, 11)).reshape(11)
    for transformed in (jax.jit(average), jax.vmap(average)):
        np.testing.assert_allclose(transformed(VARIANCES), direct, rtol=1e-14)
    average = lambda K: gaussian_mean_pair(product(jnp.tanh), K)
    K = covariances(1.0, 3.0)
    for transformed in (jax.jit(average), jax.vmap(average)):
        np.testing.assert_allclose(transformed(K), average(K), rtol=1e-13, atol=1e-15)


def test_parameters_of_the_function_are_differentiable():
    slope = jax.grad(lambda a: gaussian_mean(lambda z: jnp.cos(a * z), VARIANCES).sum())(0.01)
    np.testing.assert_allclose(slope, -np.sum(0.01 * VARIANCES * np.exp(-0.0001 * VARIANCES / 2)), rtol=1e-12)


# derivatives with respect to the variance: d/dK E f = E f''/2


def derivative(f, K):
    return jax.vmap(jax.grad(lambda K: gaussian_mean(f, K)))(K)


def test_derivative_has_its_closed_form():
    K = jnp.geomspace(1e-6, 10, 11)
    np.testing.assert_allclose(derivative(lambda z: jnp.sin(z) ** 2, K), np.exp(-2 * K), rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(derivative(lambda z: z**6, K), 45 * K**2, rtol=1e-12)
    np.testing.assert_allclose(derivative(jnp.exp, K), np.exp(K / 2) / 2, rtol=1e-11)
    np.testing.assert_allclose(derivative(jax.nn.relu, K), 1 / np.sqrt(8 * np.pi * K), rtol=1e-13)


def test_derivative_of_tanh_squared_is_half_the_mean_second_derivative():
    square = lambda z: jnp.tanh(z) ** 2
    exact = gaussian_mean(jax.grad(jax.grad(square)), VARIANCES) / 2
    np.testing.assert_allclose(derivative(square, VARIANCES), exact, rtol=1e-12, atol=1e-15)


def test_second_derivative():
    curvature = jax.vmap(jax.grad(jax.grad(lambda K: gaussian_mean(jnp.cos, K))))(VARIANCES)
    np.testing.assert_allclose(curvature[3:7], np.exp(-VARIANCES[3:7] / 2) / 4, rtol=1e-11)


@pytest.mark.parametrize(
    ("f", "slope"),
    [(jnp.cos, -0.5), (jnp.exp, 0.5), (gelu, 1 / np.sqrt(2 * np.pi)), (lambda z: jax.nn.relu(z) ** 2, 0.5), (jnp.tanh, 0)],
)
def test_derivative_at_variance_zero_is_half_the_second_derivative(f, slope):
    np.testing.assert_allclose(derivative(f, jnp.zeros(11)), slope, rtol=1e-9)


# two variables

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
        z_2 = np.sqrt(variances[1]) * (
            CORRELATIONS[:, None, None] * x[:, None] + np.sqrt(1 - CORRELATIONS[:, None, None] ** 2) * x
        )
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
