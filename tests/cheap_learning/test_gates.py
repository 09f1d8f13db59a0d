"""Gates of a few neurons: their series against arbitrary precision, where they do not exist, and what rounding leaves of them."""

import warnings

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning import Network, gates
from dltheory.numerics import Estimate

FUNCTIONS = {
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
    "exp": mpmath.exp,
    "gelu": lambda z: z * mpmath.ncdf(z),
    "swish": lambda z: z / (1 + mpmath.exp(-z)),
    "exp(-z**2/2)": lambda z: mpmath.exp(-(z**2) / 2),
    "cos(z)": mpmath.cos,
}
CLOSED = {
    ("sigmoid", 1.0): (-0.226557, 0.008665),
    ("sigmoid", float(np.log(2 + np.sqrt(3)))): (-1 / 6, 1 / 360),
    ("sigmoid", 2.2924316695611777): (0, -1 / 240),
    ("tanh", 1.1462158347805888): (0, -1 / 15),
    ("softplus", 0.0): (-1 / 12, 1 / 360),
    ("exp", 0.7): (1 / 6, 1 / 360),
    ("gelu", 0.0): (-1 / 3, 1 / 40),
    ("swish", 0.0): (-1 / 6, 1 / 120),
    ("exp(-z**2/2)", 0.0): (-1 / 2, 1 / 24),
    ("cos(z)", 0.0): (-1 / 6, 1 / 360),
}


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize("at", CLOSED, ids=str)
def test_the_series_is_that_of_the_gate_in_arbitrary_precision(at, random):
    series = gates.gate_series(*at)
    np.testing.assert_allclose(series, CLOSED[at], atol=6e-7)
    (u, v), scale = random.uniform(0.3, 1, 2), 0.03
    with mpmath.workdps(50):
        f, (name, bias) = FUNCTIONS[at[0]], at
        s2 = mpmath.taylor(f, bias, 2)[2] * 2
        a, b = (mpmath.mpf(scale) * (u + sign * mpmath.mpf(v)) for sign in (1, -1))
        m = sum(sign * f(bias + c) for c, sign in ((a, 1), (-a, 1), (b, -1), (-b, -1))) / (4 * s2 * mpmath.mpf(scale) ** 2)
        error = float(m / (mpmath.mpf(u) * v) - 1)
    np.testing.assert_allclose(series.error(u, v, scale), error, rtol=1e-3)
    np.testing.assert_allclose(gates.product_gate(name, bias, scale)(u, v) / (u * v) - 1, error, rtol=1e-3, atol=1e-11)


def test_closed_forms_at_any_bias(random):
    u0 = random.uniform(0.2, 2)
    s, t = 1 / (1 + np.exp(-u0)), np.tanh(u0)
    np.testing.assert_allclose(gates.gate_series("sigmoid", u0).c4, (1 - 12 * s * (1 - s)) / 6, rtol=1e-9)
    np.testing.assert_allclose(gates.gate_series("tanh", u0).c4, 2 * t**2 - 4 / 3, rtol=1e-9)
    u, v, scale = *random.normal(size=2), 0.2
    np.testing.assert_allclose(gates.product_gate("exp", 0.0, scale)(u, v), np.sinh(scale * u) * np.sinh(scale * v) / scale**2, rtol=1e-11)


def test_numbers_of_the_page_at_one_point():
    error = lambda scale, at=("sigmoid", 1.0): float(gates.product_gate(*at, scale)(0.7, -0.4)) / -0.28 - 1
    assert error(0.1) == pytest.approx(-1.4712524e-3, rel=1e-7)
    assert gates.gate_series("sigmoid", 1.0).error(0.7, -0.4, 0.1) == pytest.approx(-1.4712517e-3, rel=1e-7)
    for at, slope in ((("sigmoid", 1.0), 2), (("sigmoid", 2.2924316695611777), 4), (("tanh", 1.1462158347805888), 4)):
        errors = [abs(error(s, at)) for s in (0.4, 0.2, 0.1, 0.05)]
        assert errors == sorted(errors)[::-1], "the error vanishes as the scale goes to 0, not to infinity"
        assert abs(Estimate.of_slope(np.log([0.4, 0.2, 0.1, 0.05]), np.log(errors)).mean - slope) < 0.02 * slope


def test_offsets_are_found():
    np.testing.assert_allclose(
        gates.fourth_order_offsets("sigmoid", 0.0), [np.log((1 + np.sqrt(2 / 3)) / (1 - np.sqrt(2 / 3)))], atol=1e-12
    )
    np.testing.assert_allclose(gates.fourth_order_offsets("tanh"), np.array([-1, 1]) * np.arctanh(np.sqrt(2 / 3)), atol=1e-12)
    np.testing.assert_allclose(gates.fourth_order_offsets("softplus", 0.0), [np.log(2 + np.sqrt(3))], atol=1e-12)
    hermite = np.sqrt([3 - np.sqrt(6), 3 + np.sqrt(6)])
    np.testing.assert_allclose(gates.fourth_order_offsets("exp(-z**2/2)", 0.0), hermite, atol=1e-12)
    np.testing.assert_allclose(gates.strongest_offsets("sigmoid", 2, 0.0), [np.log(2 + np.sqrt(3))], atol=1e-12)
    for name in ("exp", "cos(z)", "relu", "linear"):
        assert not len(gates.fourth_order_offsets(name))


@pytest.mark.parametrize(
    ("gate", "name", "bias", "text"),
    [
        (gates.product_gate, "sigmoid", 0.0, "bias=0: sigmoid has σ''=0 there; must have .*, nearest usable is 1.316958"),
        (gates.product_gate, "tanh", 0, "bias=0: tanh .* nearest usable is 0.6584789"),
        (gates.square_gate, "cos(z)", np.pi / 2, r"bias=1.5708: cos\(z\) .* nearest usable is "),
        (gates.best_scale, "relu", 0.3, "bias=0.3: relu .* which it has nowhere in"),
        (gates.copy_gate, "cos(z)", 0.0, r"bias=0: cos\(z\) has σ'=0 there; .* 1.570796"),
        (gates.even_product_gate, "softplus", 0.0, "bias=0.0: softplus must be even about it"),
    ],
)
def test_no_gate_without_its_derivative(gate, name, bias, text):
    with pytest.raises(ValueError, match=text) as refused:
        gate(name, bias, 0.1)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="bias="):
        jax.jit(lambda scale: gate(name, bias, scale))(0.1)


def test_relu_squared_is_exact_at_any_scale(random):
    u, v = random.normal(size=(2, 20))
    signs = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    net = Network.of([(signs, 0.0), (np.array([[1.0], [1.0], [-1.0], [-1.0]]) / 4, 0.0)], "relu(z)**2")
    np.testing.assert_allclose(net(u, v), u * v, atol=1e-14)


def test_two_neurons_suffice_where_the_activation_is_even(random):
    u, v = random.uniform(0.2, 1, size=(2, 20))
    for name in ("cos(z)", "exp(-z**2/2)"):
        two, four = gates.even_product_gate(name, 0.0, 0.05), gates.product_gate(name, 0.0, 0.05)
        np.testing.assert_allclose(two(u, v), four(u, v), rtol=1e-11)
        assert (two.neurons, four.neurons, four.depth, four.synapses) == (2, 4, 1, 12)


def test_squares_copies_and_extrapolation(random):
    x, scale, at = random.uniform(0.2, 1, size=20), 0.02, ("sigmoid", 0.6)
    series, square, copy = gates.gate_series(*at), gates.square_gate(*at, scale), gates.copy_gate(*at, scale)
    assert (square.neurons, copy.neurons) == (2, 2)
    np.testing.assert_allclose(square(x[:, None]) / x**2 - 1, scale**2 * series.c4 * x**2 / 2, rtol=2e-3)
    np.testing.assert_allclose(copy(x[:, None]) / x - 1, scale**2 * gates.copy_error(*at) * x**2, rtol=2e-3)
    linear_plus_even = gates.copy_gate("gelu", 0.0, 3.0)
    np.testing.assert_allclose(linear_plus_even(x[:, None]), x, rtol=1e-12)
    both = gates.extrapolated_gate(*at, 0.2)
    expected = -(gates.GateSeries(0.0, series.c6).error(x, -x, 0.2)) / 4
    np.testing.assert_allclose(both(x, -x) / -(x**2) - 1, expected, rtol=0.05)
    assert (both.neurons, both.depth) == (8, 1)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(
    ("at", "power"), [(("sigmoid", 1.0), -2), (("sigmoid", 2.2924316695611777), -2), (("softplus", 0.0), -2), (("gelu", 0.0), -1)], ids=str
)
def test_the_best_scale_and_both_branches_of_the_error(at, power, dtype, random):
    x = jnp.asarray(random.uniform(0.5, 1, (500, 2)) * random.choice([-1, 1], (500, 2)), dtype)
    exact = np.asarray(x, float).prod(1)
    best = gates.best_scale(*at, 0.75, dtype)
    seen = jax.jit(jax.vmap(lambda s: gates.product_gate(*at, s, dtype)(x)))
    error = lambda scales: np.sqrt(np.mean((np.asarray(seen(scales), float) / exact - 1) ** 2, 1))
    around = best.scale * np.logspace(-1, 0.7, 35)
    least = error(around)
    assert 0.5 < least.min() / best.error < 2
    assert 0.4 < around[least.argmin()] / best.scale < 2.5
    left = best.scale * np.logspace(-1.2, -0.5, 35)
    slope = Estimate.of_slope(np.log(left), np.log(error(left)))
    assert slope.standard_error < 0.08 and abs(slope.z(power)) < 5
    predicted = gates.predicted_error(*at, left, 0.75, dtype)
    assert np.all(np.abs(np.log(error(left) / predicted)) < np.log(3))


def test_laws_of_the_best_scale():
    eps = np.array([np.finfo(t).eps for t in (np.float32, np.float64)])
    for at, error, scale in ((("exp", 0.0), 1 / 2, 1 / 4), (("tanh", 1.1462158347805888), 2 / 3, 1 / 6), (("swish", 0.0), 2 / 3, 1 / 3)):
        one, two = (gates.best_scale(*at, 1.0, t) for t in (jnp.float32, jnp.float64))
        np.testing.assert_allclose(np.log(two.error / one.error) / np.log(eps[1] / eps[0]), error, atol=0.01)
        np.testing.assert_allclose(np.log(two.scale / one.scale) / np.log(eps[1] / eps[0]), scale, atol=0.01)
    half = gates.best_scale("exp", 0.0, 0.5)
    np.testing.assert_allclose(half, [2 * gates.best_scale("exp", 0.0).scale, gates.best_scale("exp", 0.0).error], rtol=1e-6)
    A, B = 2 * gates.gate_series("exp", 0.0).c4, 1 / 4
    np.testing.assert_allclose(gates.best_scale("exp", 0.0), [(B * eps[1] / A) ** 0.25, 2 * np.sqrt(A * B * eps[1])], rtol=1e-3)


def test_scales_below_the_rounding_floor_warn_with_the_best_one():
    for scale, dtype, name in ((1e-6, float, "float64"), (5e-3, jnp.float32, "float32")):
        with pytest.warns(UserWarning, match=rf"scale={scale:g}: rounds to .* in {name} for inputs of size 1; best is .*, with error"):
            gates.product_gate("softplus", 0.0, scale, dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="scale=")
        gates.product_gate("softplus", 0.0, 1e-3)
        gates.product_gate("gelu", 0.0, 5e-3, jnp.float32)
        jax.jit(lambda s: gates.product_gate("softplus", 0.0, s)(0.5, 0.5))(1e-7)


def test_gates_are_traceable_and_differentiable(random):
    u, v, scale, bias = random.uniform(0.5, 1, 4)
    m = jax.jit(lambda at: gates.product_gate("tanh", at[0], 0.2 * at[1])(at[2], at[3]))
    at = jnp.array([bias, scale, u, v])
    np.testing.assert_allclose(m(at), gates.product_gate("tanh", bias, 0.2 * scale)(u, v), rtol=1e-10)
    step = 1e-5 * np.eye(4)
    differences = [(m(at + d) - m(at - d)) / 2e-5 for d in step]
    np.testing.assert_allclose(jax.jit(jax.grad(m))(at), differences, rtol=1e-5, atol=1e-8)
    best = jax.vmap(lambda b: gates.best_scale("tanh", b).error)(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(best, [gates.best_scale("tanh", b).error for b in (0.5, 1.0)], rtol=1e-6)
