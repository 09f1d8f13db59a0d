"""Mutual information of neurons: expansion, exact law, and where the one leaves the other."""

import warnings

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, kve

from dltheory.finite_width import layer_information, layer_information_exact, optimal_aspect_ratio


def variance_ratio(widths):
    """v = Var(S)/⟨S⟩² of a deep linear network."""
    return np.prod(1 + 2 / np.array(widths)) - 1


def truncated(widths, m_1, m_2):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(layer_information(variance_ratio(widths), m_1, m_2))


def by_convolution(widths, m_1, m_2, step=0.01):
    """The density of log|z|² as the convolution of those of the logarithms of χ²'s."""

    def logarithm_of_chi2(k, scale):
        u = np.arange(-80 / k - 8, 9, step)
        return u[0], np.exp(k / 2 * (u + np.log(scale)) - scale * np.exp(u) / 2 - k / 2 * np.log(2) - gammaln(k / 2))

    def entropy(m):
        start, p = logarithm_of_chi2(m, 1)
        for n in widths:
            low, factor = logarithm_of_chi2(n, n)
            start, p = start + low, np.convolve(p, factor) * step
        u, p = (start + step * np.arange(len(p)))[p > 0], p[p > 0]
        return step * np.sum(p * (m / 2 * u - np.log(p))) + m / 2 * np.log(np.pi) - gammaln(m / 2)

    return entropy(m_1) + entropy(m_2) - entropy(m_1 + m_2)


def by_quadrature(n, m_1, m_2):
    """One hidden layer: the density of z in R^m is ∝ r^{(n-m)/2} K_{(n-m)/2}(√n r), integrated over the radius."""

    def entropy(m):
        order = (n - m) / 2
        constant = np.log(2) * (1 - (n + m) / 2) - gammaln(n / 2) - m / 2 * np.log(np.pi) + m / 2 * np.log(n)
        log_p = lambda y: constant + order * np.log(y) + np.log(kve(order, y)) - y  # at r = y/√n
        area = np.log(2) + m / 2 * np.log(np.pi) - gammaln(m / 2) - m / 2 * np.log(n)
        integrand = lambda t: -np.exp(log_p(np.exp(t)) + area + m * t) * log_p(np.exp(t))
        return sum(quad(integrand, *ends, epsabs=1e-13, epsrel=1e-13)[0] for ends in ((-60 / min(n, m), -2), (-2, 2), (2, 6)))

    return entropy(m_1) + entropy(m_2) - entropy(m_1 + m_2)


@pytest.mark.parametrize("n, m_1, m_2", [(1, 1, 1), (1, 2, 3), (4, 1, 2), (20, 5, 5)])
def test_one_hidden_layer_by_quadrature(n, m_1, m_2):
    np.testing.assert_allclose(layer_information_exact([n], m_1, m_2), by_quadrature(n, m_1, m_2), rtol=0, atol=1e-10)


@pytest.mark.parametrize("widths, m_1, m_2", [([64] * 4, 1, 1), ([64] * 16, 2, 2), ([10, 3, 200], 1, 2), ([500, 300], 20, 10)])
def test_deep_linear_networks_by_convolution(widths, m_1, m_2):
    exact = by_convolution(widths, m_1, m_2)
    np.testing.assert_allclose(layer_information_exact(widths, m_1, m_2), exact, rtol=0, atol=1e-10)
    np.testing.assert_allclose(layer_information_exact(widths[::-1], m_2, m_1), exact, rtol=0, atol=1e-10)


def test_a_single_random_scale_seen_by_two_neurons():
    """One hidden neuron: |z| of two neurons is exponentially distributed, h(z_1, z_2) = 1 + log 2π - γ."""
    one = -2 * quad(lambda t: (p := kve(0, np.exp(t)) * np.exp(-np.exp(t)) / np.pi) * np.log(p) * np.exp(t), -50, 5, epsabs=1e-13)[0]
    np.testing.assert_allclose(layer_information_exact([1], 1, 1), 2 * one - 1 - np.log(2 * np.pi) + np.euler_gamma, atol=1e-10)


def test_numbers_of_the_page():
    """Deep linear, n = 64, depths 3, 5, 9, 17 for single neurons and 9 … 257 for pairs."""
    single = [layer_information_exact([64] * k, 1, 1) for k in (2, 4, 8, 16)]
    np.testing.assert_allclose(single, [0.000402, 0.001404, 0.004523, 0.01316], rtol=2e-3)
    pairs = [layer_information_exact([64] * k, 2, 2) for k in (8, 16, 32, 64, 128, 256)]
    np.testing.assert_allclose(pairs, [0.0158, 0.0430, 0.102, 0.210, 0.381, 0.611], rtol=4e-3)
    cubic = [truncated([64] * k, 1, 1) for k in (2, 4, 8, 16)]
    np.testing.assert_allclose(cubic, [0.000365, 0.000927, -0.0020, -0.0889], rtol=0.025)


@pytest.mark.parametrize("m_1, m_2", [(1, 1), (1, 3), (10, 5)])
def test_expansion_is_exact_to_third_order(m_1, m_2):
    layers = np.array([[100], [200], [400]]) * (m_1 + m_2)
    remainder = [layer_information_exact(widths, m_1, m_2) - truncated(widths, m_1, m_2) for widths in layers]
    order = np.polyfit(np.log([variance_ratio(w) for w in layers]), np.log(np.abs(remainder)), 1)[0]
    assert abs(order - 4) < 0.1


@pytest.mark.parametrize("n", [3, 64, 300])
def test_information_increases_with_depth_and_with_neurons(n):
    depths = [layer_information_exact([n] * k, 2, 2) for k in (0, 1, 2, 5, 20, 100, 500)]
    assert abs(depths[0]) < 1e-12 and (np.diff(depths) > 1e-6).all()
    neurons = [layer_information_exact([n] * 4, m, m) for m in (1, 2, 8, 64)]
    assert (np.diff(neurons) > 1e-6).all()


def test_very_wide_layers_do_not_cancel():
    exact = layer_information_exact([10**6] * 3, 40, 60)
    np.testing.assert_allclose(exact, 40 * 60 * 6e-6**2 / 8, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "nu, outputs, ratio", [(2, 2, 0.0769), (5, 2, 0.0308), (2 / 3, 2, 0.2308), (5, 10, 0.0160), (2 / 3, 1000, 1.99e-3)]
)
def test_optimal_aspect_ratio_is_the_maximum_of_the_truncation(nu, outputs, ratio):
    best = optimal_aspect_ratio(nu, outputs)
    np.testing.assert_allclose(best, ratio, rtol=6e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        slope = jax.grad(lambda r: layer_information(nu * r, outputs // 2, outputs // 2))(best)
        below, above = (layer_information(np.asarray(nu * best * c), outputs // 2, outputs // 2) for c in (0.99, 1.01))
    top = layer_information(nu * float(best) * (1 - 1e-12), outputs // 2, outputs // 2)
    assert abs(slope * best / top) < 1e-12 and below < top and above < top


def test_warns_beyond_perturbation_theory_and_only_there():
    limit = float(optimal_aspect_ratio(1, 2))
    with pytest.warns(RuntimeWarning, match=r"^v = 0\.16: .* v\* = 0\.154$"):
        assert layer_information(np.array([0.1, 0.16]), 1, 1).shape == (2,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer_information(0.99 * limit, 1, 1)
        jax.jit(layer_information, static_argnums=(1, 2))(10.0, 1, 1)


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="m_2=0"):
        layer_information(0.1, 1, 0)
    with pytest.raises(ValueError, match=r"widths\[1\]=0"):
        layer_information_exact([3, 0], 1, 1)
