"""Recursions in 1/width: the theory page's tables and identities, exact laws, several inputs, residual networks, bad input."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.finite_width import (
    kernel_and_vertex,
    kernel_correction,
    linear_moment,
    recursion,
    relu_log,
    relu_moment,
    sample_kernels,
    trained_kernel_change,
)
from dltheory.finite_width.residual import residual
from dltheory.infinite_width import criticality, propagate
from dltheory.models import activation

SIXTY = np.array([[1, 0.5], [0.5, 1]])


def test_deep_linear_networks_have_the_page_s_integers():
    seen = recursion("linear", 1.0, 10, 0.0, 1.0, 0.0, 1.0)
    for layer, expected in ((5, (5, 8, 60, 30, 20, 10, 20, 50, 50)), (10, (10, 18, 570, 285, 90, 45, 165, 825, 825))):
        values = [getattr(seen, name)[layer - 1] for name in ("Theta", "V", "A", "B", "D", "F", "Q", "S", "T")]
        np.testing.assert_allclose(values, expected, rtol=1e-12)
    for name in ("G1", "H1", "P", "R", "U"):
        np.testing.assert_allclose(getattr(seen, name), 0, atol=1e-11)


def test_gelu_at_its_critical_point():
    point = criticality("gelu")
    seen = recursion("gelu", point.kernel, 5, point.c_b, point.c_w, 1.0, 1.0)
    values = [float(getattr(seen, name)[4]) for name in ("V", "A", "B", "Theta")]
    np.testing.assert_allclose(values, [248.8337373, 1041.162, 453.3421, 13.54395076], rtol=1e-7)
    np.testing.assert_allclose(seen.V[1] / point.kernel**2, point.nu, rtol=1e-10)


def test_tanh_has_the_page_s_table():
    seen = recursion("tanh", 1.0, 20, 0.0, 1.0)
    at = np.array([2, 5, 10, 20]) - 1
    np.testing.assert_allclose(seen.V[at] / seen.K[at] ** 2, [0.6273, 2.4083, 5.5235, 11.9649], atol=5e-5)
    np.testing.assert_allclose(seen.G1[at], [0, -0.0682, -0.1071, -0.1327], atol=5e-5)
    np.testing.assert_allclose(seen.W6[at] / seen.K[at] ** 3, [0.16, 9.74, 62.12, 317.35], atol=0.005)
    rated = recursion("tanh", 1.0, 4, 0.0, 1.0, 1 / np.arange(1, 5), 1.0)
    np.testing.assert_allclose((rated.P + 2 * rated.Q)[2:], [-1.316, -1.705], atol=5e-4)
    np.testing.assert_allclose((3 * rated.R + 2 * (rated.S + rated.T + rated.U))[2:], [-9.877, -16.23], atol=5e-3)
    np.testing.assert_allclose(trained_kernel_change(rated, 1.0, 64)[2] * 64, -1.478, atol=5e-4)
    sine = recursion("sin", 1.0, 5, 0.0, 1.0, 0.0, 1.0)
    np.testing.assert_allclose(sine.H1[-1], -0.403, atol=5e-4)


DEEP = {"tanh": (1.0, 0.500488, 0.665940, -0.332580, 1.063943), "sin": (1.0, 0.999295, 0.666749, -0.333015, 1.066440)}


@pytest.mark.parametrize("name", DEEP)
def test_deep_networks_approach_the_rational_coefficients(name):
    c_w, *published = DEEP[name]
    depth = 4001
    seen = recursion(name, 1.0, depth, 0.0, c_w, 1 / np.arange(1, depth + 1), 1.0)
    last = {field: float(getattr(seen, field)[-1]) for field in ("K", "G1", "V", "W6", "Theta", *"ABDFPQRSTU")}
    K, T, l = last["K"], last["Theta"], depth
    values = [l * K, last["V"] / K**2 / l, last["G1"] / K / l, last["W6"] / K**3 / l**2]
    np.testing.assert_allclose(values, published, atol=6e-7)
    b = 1 / T
    rational = {"A": 4 / 27 * b**2, "B": 1 / 3, "P": -1 / 12, "Q": -b / 16, "D": -2 / 9 * b, "F": 1 / 4}
    rational |= {"R": -((1 - b) / 12 + b / 16), "S": (1 - b) / 12, "T": b**2 / 32, "U": 0.0}
    scale = {**dict.fromkeys("ABPQ", T**2), **dict.fromkeys("DF", K * T), **dict.fromkeys("RSTU", T**3 / K)}
    for field, value in rational.items():
        np.testing.assert_allclose(last[field] / scale[field] / l, value, atol=1e-3, err_msg=field)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "linear"])
def test_scale_invariant_coefficients(name):
    point, depth = criticality(name), 800
    bias, K = 0.7, 1.7
    seen = recursion(name, K, depth, 0.0, point.c_w, bias, 1.0)
    rho, nu = (point.nu + 1) / 3, point.nu
    theta = bias + K / point.c_w
    omega, T = K / point.c_w / theta, theta * depth
    expected = {"A": ((1 + omega) * (rho - 1) + omega**2 * nu) / 3, "B": rho / 3, "Q": omega * rho / 6, "P": 0, "V": nu}
    expected |= {"D": ((rho - 1) + omega * nu) / 2, "F": rho / 2, "S": omega * rho / 12, "T": omega**2 * rho / 12, "R": 0, "U": 0}
    scale = {**dict.fromkeys("ABPQ", T**2), **dict.fromkeys("DF", K * T), **dict.fromkeys("RSTU", T**3 / K), "V": K**2}
    for field, value in expected.items():
        np.testing.assert_allclose(getattr(seen, field)[-1] / scale[field] / depth, value, atol=5e-3 * (1 + abs(value)), err_msg=field)
    np.testing.assert_allclose(seen.W6[-1] / K**3 / depth**2, 3 * nu**2, rtol=0.02)
    np.testing.assert_allclose(seen.V / K**2, nu * np.arange(depth), rtol=1e-10)


def test_sine_without_biases_conserves_its_tangent_kernel():
    """ω = sin² + cos² = 1: Θ = 1, A = D = Q = T = 0, R = -S in every layer."""
    K = 0.7
    seen = recursion("sin", K, 8, 0.0, 1.0, 0.0, np.array([1 / K, *[1.0] * 7]))
    np.testing.assert_allclose(seen.Theta, 1, rtol=1e-13)
    for field in "ADQT":
        np.testing.assert_allclose(getattr(seen, field), 0, atol=1e-14)
    np.testing.assert_allclose(seen.R, -seen.S, atol=1e-13)


def test_exact_laws_start_with_the_recursions():
    """E q² and E q³ of linear and ReLU networks: what is left of the first order falls as 1/n."""
    depth = 6
    for name, moment in (("linear", linear_moment), ("relu", relu_moment)):
        c_w = criticality(name).c_w
        layers = recursion(name, 1.0, depth, 0.0, c_w)
        gaps = []
        for n in (1000, 2000):
            widths = [n] * (depth - 1)
            second, third = moment(4, widths), moment(6, widths)
            exact = np.array([n * (second - 1), n**2 * (third - 3 * second + 2)])
            gaps.append(exact - [layers.V[-1], layers.W6[-1]])
        np.testing.assert_allclose(gaps[0] / gaps[1], 2, rtol=0.02)
    unequal = recursion("linear", 1.0, 4, 0.0, 1.0, widths=[3000, 1000, 2000])
    np.testing.assert_allclose(unequal.V[-1] / 2000, linear_moment(4, [3000, 1000, 2000]) - 1, rtol=0.004)
    np.testing.assert_allclose(
        unequal.W6[-1] / 2000**2, 3 * (2 / 2000 + 2 / 1000 + 2 / 3000) ** 2 - sum(4 / n**2 for n in (3000, 1000, 2000)), rtol=1e-10
    )


def test_moments_of_relu_and_the_law_of_its_logarithm():
    n = 64
    np.testing.assert_allclose([relu_moment(4, [n]), relu_moment(6, [n])], [1 + 5 / n, 1 + 15 / n + 44 / n**2], rtol=1e-14)
    assert [relu_moment(0, [n]), relu_moment(2, [n]), relu_moment(3, [n]), linear_moment(1, [n])] == [1, 1, 0, 0]
    np.testing.assert_allclose(linear_moment(6, [8, 4]), (1 + 2 / 8) * (1 + 4 / 8) * (1 + 2 / 4) * (1 + 4 / 4))
    for n, variance, mean in ((64, 5.31183, -2.56695), (128, 5.14995, -2.53266), (256, 5.07359, -2.51614)):
        np.testing.assert_allclose(np.array(relu_log(n)) * n, [mean, variance], atol=6e-6)


def test_a_layer_of_curvatures_is_that_of_finite_differences():
    """K'' and χ_∥ of the second layer, which enter G1 and V of the third, by moving its kernel."""
    K, step, c_b, c_w = 0.9, 1e-3, 0.1, 1.3
    seen = recursion("softplus", K, 3, c_b, c_w, 0.0, 1.0)
    second = recursion("softplus", float(seen.K[1]), 2, c_b, c_w)
    kernel = [float(propagate("softplus", float(seen.K[1]) + k * step, 2, c_b, c_w).kernel[1]) for k in (-1, 0, 1)]
    curvature = (kernel[0] - 2 * kernel[1] + kernel[2]) / step**2
    np.testing.assert_allclose(seen.G1[2], curvature * seen.V[1] / 2, rtol=1e-5)
    growth = (kernel[2] - kernel[0]) / (2 * step)
    np.testing.assert_allclose(seen.V[2], second.V[1] + growth**2 * seen.V[1], rtol=1e-6)


def test_two_inputs_have_the_page_s_vertex():
    K, V = kernel_and_vertex("tanh", SIXTY, 5, 0.0, 1.0)
    last = V[-1]
    seen = [last[0, 0, 0, 0], last[0, 0, 0, 1], last[0, 0, 1, 1], last[0, 1, 0, 1]]
    np.testing.assert_allclose(seen, [0.039398443, 0.021774546, 0.007805472, 0.055678466], atol=1e-9)
    np.testing.assert_allclose(K, propagate("tanh", SIXTY, 5, 0.0, 1.0).kernel, rtol=1e-12)
    one = recursion("tanh", 1.0, 5, 0.0, 1.0)
    np.testing.assert_allclose(V[:, 0, 0, 0, 0], one.V, rtol=1e-10)
    np.testing.assert_allclose(kernel_correction("tanh", SIXTY, 5, 0.0, 1.0)[:, 0, 0], one.G1, atol=1e-10)
    for axes in ((0, 2, 1, 3, 4), (0, 1, 2, 4, 3), (0, 3, 4, 1, 2)):
        np.testing.assert_allclose(V, V.transpose(axes), atol=1e-14)


def test_three_inputs_contain_two_and_kinks_are_exact_for_two():
    three = np.array([[1, 0.5, 0.2], [0.5, 1, 0.3], [0.2, 0.3, 1]])
    all_, some = (kernel_and_vertex("tanh", K, 3, 0.1, 1.2)[1] for K in (three, three[:2, :2]))
    np.testing.assert_allclose(all_[:, :2, :2, :2, :2], some, atol=1e-12)
    sampled = sample_kernels(jax.random.key(0), "tanh", [32], three, 0.1, 1.2, 200_000)[:, 1]
    products = (sampled[:, 0, 1] - sampled[:, 0, 1].mean()) * (sampled[:, 0, 2] - sampled[:, 0, 2].mean()) * 32
    error = float(products.std()) / 200_000**0.5
    assert error < 0.01 * float(all_[1, 0, 1, 0, 2])
    assert abs(float(products.mean() - all_[1, 0, 1, 0, 2])) < 5 * error
    relu = kernel_and_vertex("relu", SIXTY, 4, 0.0, 2.0)[1]
    np.testing.assert_allclose(relu[:, 0, 0, 0, 0], 5 * np.arange(4), rtol=1e-10)
    same = kernel_and_vertex("relu", np.ones((2, 2)), 4, 0.0, 2.0)[1]
    np.testing.assert_allclose(same[:, 0, 1, 0, 1], 5 * np.arange(4), rtol=1e-6)
    with pytest.raises(ValueError, match="3 inputs need a smooth activation"):
        kernel_and_vertex("relu", np.eye(3), 2, 0.0, 2.0)


@pytest.mark.parametrize(
    ("g", "nu", "naive", "tenth"), [(0.5, 6.42729, 3.5625, 52.13), (0.7, 5.39102, 2.3001, 38.63), (0.9, 2.45080, 0.7961, 11.92)]
)
def test_residual_relu_is_worse_than_remembered(g, nu, naive, tenth):
    """Trap: without the three-point vertex the slope is (1-γ²)(5-γ²); and with it alone other modes of the same order are missed."""

    def ratio(modes):
        layers = residual(activation("relu"), jnp.ones(()), 400, 0.0, 2 * (1 - g * g), g, modes)
        return layers.V / layers.K**2

    alone, remembered = ratio((1, 2)), ratio((2,))
    np.testing.assert_allclose([alone[-1] - alone[-2], alone[9]], [nu, tenth], atol=6e-3)
    np.testing.assert_allclose(nu, (1 - g * g) * (5 - g * g + 16 / np.pi * g * (1 + g)), atol=6e-6)
    np.testing.assert_allclose([remembered[-1] - remembered[-2], (1 - g * g) * (5 - g * g)], naive, atol=6e-5)
    seen = recursion("relu", 1.0, 400, 0.0, 2 * (1 - g * g), skip=g)
    a = np.arange(1, 64, 2)
    x, w = np.polynomial.hermite_e.hermegauss(180)
    u = [w @ (np.maximum(x, 0) ** 2 * np.polynomial.hermite_e.HermiteE.basis(k)(x)) / np.sqrt(2 * np.pi * math.factorial(k)) for k in a]
    series = (1 - g * g) * (5 - g * g) + 8 * (1 - g * g) ** 2 * np.sum(np.square(u) * g**a / (1 - g**a))
    np.testing.assert_allclose(np.diff(seen.V / seen.K**2)[-1], series, rtol=2e-3)
    assert series > nu > 1.4 * naive and seen.P is None


def test_a_residual_network_without_its_skip_is_plain():
    for name in ("gelu", "softplus"):
        plain, bare = (recursion(name, 0.8, 6, 0.1, 1.2, skip=g) for g in (0.0, jnp.zeros(())))
        for field in ("K", "G1", "V"):
            np.testing.assert_allclose(getattr(bare, field), getattr(plain, field), rtol=1e-12, atol=1e-15)


def test_residual_odd_networks_have_no_three_point_vertex():
    for name, slope in (("linear", lambda g: 2 * (1 - g**4)), ("tanh", lambda g: 2 / 3 * (1 - g**4))):
        for g in (0.5, 0.9):
            seen = recursion(name, 1.0, 3000, 0.0, 1 - g * g, skip=jnp.asarray(g))
            np.testing.assert_allclose(seen.tau, 0, atol=1e-12)
            ratio = seen.V / seen.K**2
            np.testing.assert_allclose(ratio[-1] - ratio[-2], slope(g), rtol=0.01)
    near = recursion("relu", 1.0, 20_000, 0.0, 2 * (1 - 0.998**2), skip=0.998)
    ratio = near.V / near.K**2
    np.testing.assert_allclose((ratio[-1] - ratio[-2]) / (1 - 0.998**2), 12 + 4 * np.log(2), rtol=0.01)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"c_w": -1.0}, "c_w=-1.0: must be > 0"),
        ({"kernel": SIXTY}, "kernel_and_vertex takes several"),
        ({"kernel": 0.0}, "kernel=0.0: must be > 0"),
        ({"widths": [3, 4]}, r"widths=\[3, 4\]: must be the 3 positive widths"),
    ],
)
def test_bad_input_is_one_line(change, text):
    with pytest.raises(ValueError, match=text):
        recursion(**({"activation": "tanh", "kernel": 1.0, "depth": 4, "c_b": 0.0, "c_w": 1.0} | change))


def test_the_change_of_the_kernel_knows_its_range():
    kinked = recursion("relu", 1.0, 3, 0.0, 2.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="a kink has no second derivative"):
        trained_kernel_change(kinked, 1.0, 64)
    with pytest.raises(ValueError, match="skip"):
        trained_kernel_change(recursion("tanh", 1.0, 3, 0.0, 1.0, skip=0.5), 1.0, 64)
    deep = recursion("tanh", 1.0, 20, 0.0, 1.0, 0.0, 1.0)
    with pytest.warns(RuntimeWarning, match="νL/n = 0.75 > 0.3"):
        trained_kernel_change(deep, 1.0, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained_kernel_change(deep, 1.0, 64)
