"""Averages over one Gaussian variable against closed forms and independent quadrature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.scipy.special import erf
from scipy.integrate import quad

from dltheory.numerics import gaussian_mean
from dltheory.numerics.gaussian import half_line

VARIANCES = jnp.array([1e-6, 1e-5, 1e-4, 1e-2, 0.3, 1.0, 7.0, 1e2, 1e3, 1e4, 1e6])
gelu = lambda z: jax.nn.gelu(z, approximate=False)
leaky_relu = lambda z: jnp.where(z > 0, z, 0.1 * z)
step = lambda z: jnp.where(z > 0, 1.0, 0.0)
sign = lambda z: jnp.where(z > 0, 1.0, -1.0)


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


@pytest.mark.parametrize("f", [jnp.tanh, jnp.sin, erf, lambda z: z, lambda z: z**7, sign], ids=["tanh", "sin", "erf", "z", "z^7", "sign"])
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


@pytest.mark.parametrize("shape", [(), (2, 3), (0,)])
def test_shapes(shape):
    values = jax.eval_shape(lambda K: gaussian_mean(jnp.tanh, K), jnp.ones(shape))
    assert values.shape == shape and values.dtype == jnp.float64


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
