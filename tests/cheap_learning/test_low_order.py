"""Low order: sums of draws against integration in arbitrary precision, maximum entropy against its dual problem, linear maps as layers."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize

from dltheory.cheap_learning import low_order, walsh
from dltheory.numerics import entropy


@pytest.fixture
def random():
    return np.random.default_rng(0)


def by_quadrature(k):
    """KL of the standardised Gamma(k), integrated."""
    with mpmath.workdps(30):
        gaussian = lambda x: -((x - k) ** 2) / (2 * k) - mpmath.log(2 * mpmath.pi * k) / 2
        log_p = lambda x: (k - 1) * mpmath.log(x) - x - mpmath.loggamma(k)
        ends = [mpmath.mpf(k) + s * mpmath.sqrt(k) for s in (-6, -3, 0, 3, 6, 12, 24, 48)]
        integrand = lambda x: mpmath.exp(log_p(x)) * (log_p(x) - gaussian(x))
        return float(mpmath.mpf(mpmath.quad(integrand, [0, *(e for e in ends if e > 0)])))


def test_sums_become_gaussian_as_their_skewness_squared(random):
    k = np.array([5, 20, 80])
    np.testing.assert_allclose(low_order.gamma_divergence(k), [0.07007, 0.016876, 0.0041797], rtol=1e-4)
    np.testing.assert_allclose(80 * low_order.gamma_divergence(80), 1 / 3, rtol=0.02)
    drawn = random.uniform(1, 60, size=3)
    np.testing.assert_allclose(low_order.gamma_divergence(drawn), [by_quadrature(x) for x in drawn], rtol=1e-10)
    np.testing.assert_allclose(jax.grad(low_order.gamma_divergence)(1000.0), -1 / 3e6, rtol=1e-3)


def test_a_sum_is_the_convolution_power_of_its_parts(random):
    shape = random.uniform(9, 11)
    x = np.arange(0, 80, 0.05)
    density = np.r_[0.0, np.exp((shape - 1) * np.log(x[1:]) - x[1:])]
    found = [low_order.gaussian_divergence(density, 0.05, k) for k in (1, 7)]
    np.testing.assert_allclose(found, low_order.gamma_divergence(shape * np.array([1, 7])), rtol=1e-8)
    centred = np.arange(-12, 12, 0.05)
    assert abs(low_order.gaussian_divergence(np.exp(-((centred - 1) ** 2) / 2), 0.05, 7)) < 1e-12


@pytest.fixture(scope="module")
def entropies():
    """Random p of 5 bits with the q of degrees 2 and 3."""
    p = np.random.default_rng(1).dirichlet(np.ones(32))
    return p, {d: np.asarray(low_order.maximum_entropy(p, d)) for d in (2, 3)}


def test_maximum_entropy_is_the_exponential_of_a_low_polynomial(entropies):
    p, found = entropies
    order = walsh.orders(5)
    products = np.array([(1 - 2 * walsh.configurations(5))[:, np.array(K, int)].prod(1) for K in subsets(5)])
    for d, q in found.items():
        assert q.min() > 0 and abs(q.sum() - 1) < 1e-12
        assert np.abs(products @ (q - p))[order <= d].max() < 1e-10
        J = products @ np.log(q) / 32
        assert np.abs(J[order > d]).max() < 1e-9 and np.abs(J[(order <= d)]).min() > 1e-4
        assert abs(entropy(q) - entropy(p) - p @ np.log(p / q)) < 1e-9
    assert entropy(p) < entropy(found[3]) < entropy(found[2])


def test_maximum_entropy_is_the_end_of_the_dual_problem(entropies):
    p, found = entropies
    low = np.array([(1 - 2 * walsh.configurations(5))[:, np.array(K, int)].prod(1) for K in subsets(5) if 0 < len(K) <= 2])
    free_energy = lambda J: np.log(np.exp(J @ low).sum()) - J @ (low @ p)
    slope = lambda J: low @ (np.exp(J @ low) / np.exp(J @ low).sum() - p)
    J = minimize(free_energy, np.zeros(len(low)), jac=slope, method="BFGS", options={"gtol": 1e-10}).x
    np.testing.assert_allclose(found[2], np.exp(J @ low) / np.exp(J @ low).sum(), atol=1e-8)
    np.testing.assert_allclose(found[2], low_order.maximum_entropy(found[2], 2), atol=1e-14)


def test_maximum_entropy_of_degree_one_is_independence_even_where_a_full_step_would_leave_the_simplex(random):
    for p in random.dirichlet(np.full(8, 0.1), size=6) + 1e-7:
        p = p / p.sum()
        ones = p @ walsh.configurations(3)
        independent = np.where(walsh.configurations(3), ones, 1 - ones).prod(1)
        np.testing.assert_allclose(low_order.maximum_entropy(p, 1), independent, atol=1e-12)
    np.testing.assert_array_equal(low_order.maximum_entropy(p, 3), p)


def subsets(n):
    return [[i for i in range(n) if m >> i & 1] for m in range(2**n)]


def test_a_polynomial_has_as_many_coefficients_as_monomials():
    for n, d in ((3, 4), (5, 2), (2, 6)):
        assert low_order.taylor_terms(n, d) == sum(1 for powers in itertools.product(range(d + 1), repeat=n) if sum(powers) <= d)
    assert low_order.taylor_terms(20, 4) == 10626 and low_order.taylor_terms(9, 2) == 10 * 11 // 2


def test_linear_operations_are_one_layer_without_neurons(random):
    fourier = lambda x: jnp.concatenate([jnp.real(jnp.fft.fft(x)), jnp.imag(jnp.fft.fft(x))])
    turn = lambda x: jnp.rot90(x.reshape(4, 4)).reshape(-1)
    double = lambda x: jnp.kron(x.reshape(4, 4), jnp.ones((2, 2))).reshape(-1)
    x = random.normal(size=16)
    for function in (fourier, turn, double, lambda x: jnp.roll(x, 3)):
        layer = low_order.linear_layer(function, 16)
        assert (layer.neurons, layer.depth) == (0, 0)
        np.testing.assert_allclose(x @ layer.weights[0] + layer.biases[0], function(jnp.asarray(x)), atol=1e-12)
    i = np.arange(16)
    angle = 2 * np.pi * np.outer(i, i) / 16
    layer = low_order.linear_layer(fourier, 16)
    assert layer.sizes == (16, 32)
    np.testing.assert_allclose(layer.weights[0].T, np.concatenate([np.cos(angle), -np.sin(angle)]), atol=1e-12)
    for wrong in (jnp.abs, lambda x: x + 1):
        with pytest.raises(ValueError, match="must be linear"):
            low_order.linear_layer(wrong, 3)
