"""The O(n) samplers against whole networks, exact laws and the theory page's Monte Carlo table, biases included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dltheory.finite_width import (
    kernel_and_vertex,
    layer_rates,
    linear_moment,
    ntk,
    recursion,
    relu_log,
    relu_moment,
    sample_kernels,
    sample_ntk,
    sample_residual,
)
from dltheory.infinite_width import criticality
from dltheory.models import MLP
from dltheory.models.base import functional
from dltheory.models.initialisation import critical
from dltheory.numerics import Estimate


def cumulants(draws, n):
    """n (mean - 1), n Var, n² κ₃ with their errors."""
    mean = Estimate.of(draws)
    d = draws - mean.mean[None]
    variance = (d**2).mean(axis=0)
    return (mean - 1) * n, Estimate.of(d**2) * n, Estimate.of(d**3 - 3 * variance[None] * d) * n**2


@pytest.mark.parametrize(
    ("name", "bounds"), [("relu", (0.03, 1.0)), ("tanh", (0.012, 0.05)), ("linear", (0.06, 1.0)), ("abs", (0.06, 1.0))]
)
def test_moments_have_the_page_s_numbers(name, bounds):
    """100,000 networks with errors below the table's; ReLU and linear against their exact laws."""
    n, depth, c_w = 32, 5, criticality(name).c_w
    layers = recursion(name, 1.0, depth, 0.0, c_w)
    draws = sample_kernels(jax.random.key(1), name, [n] * (depth - 1), 1.0, 0.0, c_w, 100_000)
    shift, variance, third = cumulants(draws / layers.K[None], n)
    if name in ("relu", "linear"):
        moment = {"relu": relu_moment, "linear": linear_moment}[name]
        second, cube = (moment(k, [n] * (depth - 1)) for k in (4, 6))
        expected = 0.0, n * (second - 1), n**2 * (cube - 3 * second + 2)
    elif name == "abs":
        second = (1 + 2 / n) ** (depth - 1)
        expected = 0.0, n * (second - 1), float(third.mean[-1])
    else:
        expected = -0.0735 / float(layers.K[-1]), 2.3679, 9.59
    table = 0.0035 / float(layers.K[-1]), 0.0112, 0.3
    for seen, value, error in zip((shift, variance, third), expected, table, strict=True):
        slack = 5 * error if name == "tanh" else 0.0
        assert abs(float(seen.mean[-1]) - value) < 5 * float(seen.standard_error[-1]) + slack
    assert float(variance.standard_error[-1]) < bounds[0] * float(variance.mean[-1])
    assert float(shift.standard_error[-1]) < bounds[1] * 3


def test_the_first_layer_of_fluctuations_is_exact_with_biases_and_unequal_widths():
    widths, c_b, c_w = [40, 20], 0.3, 1.2
    two = recursion("gelu", 0.8, 2, c_b, c_w)
    draws = sample_kernels(jax.random.key(2), "gelu", widths, 0.8, c_b, c_w, 100_000)
    assert draws.shape == (100_000, 3)
    seen = Estimate.of((draws[:, 1] - two.K[1]) ** 2)
    assert seen.standard_error < 0.01 * seen.mean
    assert abs(seen.z(two.V[1] / 40)) < 5
    assert abs(Estimate.of(draws[:, 1]).z(two.K[1])) < 5
    linear = sample_kernels(jax.random.key(3), "linear", [7, 13], 1.0, 0.0, 1.0, 100_000)[:, -1]
    assert abs(Estimate.of(linear**2).z(linear_moment(4, [7, 13]))) < 5


def test_logarithms_of_deep_relu_networks():
    draws = sample_kernels(jax.random.key(4), "relu", [64] * 60, 1.0, 0.0, 2.0, 5000)[:, -1]
    mean, variance = (60 * m for m in relu_log(64))
    log = jnp.log(draws)
    assert abs(Estimate.of(log).z(mean)) < 5
    np.testing.assert_allclose(log.var(), variance, rtol=5 * (2 / 5000) ** 0.5)
    assert float(jnp.median(draws)) < 0.15


def test_several_inputs_have_the_page_s_covariances():
    _, V = kernel_and_vertex("tanh", np.array([[1, 0.5], [0.5, 1]]), 5, 0.0, 1.0)
    draws = sample_kernels(jax.random.key(5), "tanh", [96] * 4, np.array([[1, 0.5], [0.5, 1]]), 0.0, 1.0, 60_000)[:, -1]
    d = draws - draws.mean(axis=0, keepdims=True)
    table = {
        (0, 0, 0, 0): (0.03967, 0.00023),
        (0, 0, 0, 1): (0.02163, 0.00022),
        (0, 0, 1, 1): (0.00834, 0.00017),
        (0, 1, 0, 1): (0.0548, 0.00032),
    }
    for (a, b, c, e), (value, error) in table.items():
        seen = Estimate.of(96 * d[:, a, b] * d[:, c, e])
        assert seen.standard_error < 1.1 * error
        assert abs(seen.mean - value) < 5 * np.hypot(seen.standard_error, error)
        np.testing.assert_allclose(seen.mean, V[-1, a, b, c, e], rtol=0.1)
    copies = sample_kernels(jax.random.key(5), "tanh", [96] * 4, np.ones((2, 2)), 0.0, 1.0, 1000)[:, -1]
    np.testing.assert_allclose(copies[:, 0, 1], copies[:, 0, 0], rtol=1e-5)


def whole(key, name, widths, c_b, c_w, bias, weight, kernel, networks):
    """Output and tangent kernel of networks with all their weights, by autodiff."""
    x = jnp.sqrt(jnp.full((1, 1), (kernel - c_b) / c_w, jnp.float32))

    def network(key):
        params, apply = functional(MLP((1, *widths, 1), name, critical(c_b, c_w), key=key))
        return apply(params, x).output[0, 0], ntk(apply, params, x, rates=layer_rates(params, bias, weight))[0, 0, 0, 0]

    return jax.lax.map(network, jax.random.split(key, networks), batch_size=100)


@pytest.mark.parametrize(("name", "widths", "c_b", "c_w"), [("tanh", (32, 32), 0.0, 1.0), ("gelu", (24, 40, 16), 0.3, 1.5)])
def test_the_ntk_sampler_is_full_autodiff_in_distribution(name, widths, c_b, c_w):
    depth, kernel = len(widths) + 1, 1.0
    bias, weight = 1 / np.arange(1, depth + 1), np.linspace(1, 0.5, depth)
    sample = sample_ntk(jax.random.key(6), name, widths, kernel, c_b, c_w, bias, weight, 8000)
    output, kernels = whole(jax.random.key(7), name, widths, c_b, c_w, bias, weight, kernel, 8000)
    for mine, theirs in ((sample.ntk, kernels), (sample.output, output), (sample.output**2 * sample.ntk, output**2 * kernels)):
        assert stats.ks_2samp(np.asarray(mine), np.asarray(theirs)).pvalue > 1e-4
    a, b = Estimate.of(sample.ntk), Estimate.of(jnp.asarray(kernels, float))
    assert abs(a.mean - b.mean) < 5 * jnp.hypot(a.standard_error, b.standard_error)
    assert a.standard_error < 0.01 * a.mean


@pytest.mark.parametrize(
    ("name", "depth", "variance", "covariance"),
    [("relu", 3, (71.14, 0.57), (31.2, 0.9)), ("tanh", 3, (4.759, 0.038), (0.248, 0.037)), ("linear", 3, (20.19, 0.15), (11.98, 0.38))],
)
def test_fluctuations_of_the_tangent_kernel_have_the_page_s_numbers(name, depth, variance, covariance):
    n, bias = 96, {"relu": 1.0, "tanh": 1 / np.arange(1, depth + 1), "linear": 0.0}[name]
    c_w = criticality(name).c_w
    sample = sample_ntk(jax.random.key(8), name, [n] * (depth - 1), 1.0, 0.0, c_w, bias, 1.0, 40_000)
    layers = recursion(name, 1.0, depth, 0.0, c_w, bias, 1.0)
    d, square = sample.ntk - sample.ntk.mean(), sample.output**2 - (sample.output**2).mean()
    for seen, (value, error), lead in (
        (Estimate.of(n * d**2), variance, layers.A + 2 * layers.B),
        (Estimate.of(n * d * square), covariance, layers.D + 2 * layers.F),
    ):
        assert seen.standard_error < 1.2 * error
        assert abs(seen.mean - value) < 5 * np.hypot(seen.standard_error, error)
        assert abs(seen.mean - lead[-1]) < 0.1 * lead[-1] + 5 * seen.standard_error


def test_one_layer_has_a_fixed_tangent_kernel():
    sample = sample_ntk(jax.random.key(9), "tanh", [], 1.1, 0.1, 2.0, 0.3, 0.7, 200)
    np.testing.assert_allclose(sample.ntk, 0.3 + 0.7 * 0.5, rtol=1e-6)
    assert sample.gradient.shape == (200, 1)


def test_residual_networks_have_the_recursion_s_vertex():
    """n Var(mean z²) = 2K² + V (1 + 2/n) at two widths, extrapolated; K at one width."""
    g, seen = 0.9, {}
    layers = recursion("relu", 1.0, 10, 0.0, 2 * (1 - g * g), skip=g)
    for n in (64, 128):
        q = sample_residual(jax.random.key(n), "relu", n, 1.0, 10, 0.0, 2 * (1 - g * g), g, 60_000)[:, -1] / layers.K[-1]
        mean = Estimate.of(q)
        assert abs(mean.mean - 1) < 2 / n + 5 * mean.standard_error
        seen[n] = (Estimate.of((q - q.mean()) ** 2) * n - 2) / (1 + 2 / n)
    rich = seen[128].mean * 2 - seen[64].mean
    error = jnp.hypot(2 * seen[128].standard_error, seen[64].standard_error)
    assert error < 0.4
    assert abs(rich - layers.V[-1] / layers.K[-1] ** 2) < 5 * error
    assert rich > 1.4 * 7.17 - 5 * error


def test_streams_are_named_and_sizes_checked():
    draw = lambda networks: sample_kernels(jax.random.key(0), "tanh", [8, 8], 1.0, 0.0, 1.0, networks)
    np.testing.assert_array_equal(draw(1300), draw(1300))
    assert len(np.unique(np.asarray(draw(1300))[:, 1])) == 1300
    with pytest.raises(ValueError, match=r"widths=\[0\], networks=5: must be ≥ 1"):
        sample_kernels(jax.random.key(0), "tanh", [0], 1.0, 0.0, 1.0, 5)
    with pytest.raises(ValueError, match="at one input"):
        sample_ntk(jax.random.key(0), "tanh", [4], np.eye(2), 0.0, 1.0, 0.0, 1.0, 5)
