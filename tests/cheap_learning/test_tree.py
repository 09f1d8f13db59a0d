"""Trees and polynomials of gates: counts, first-order errors, an independent evaluation in arbitrary precision."""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning import gates, tree


@pytest.fixture
def random():
    return np.random.default_rng(0)


evaluate = jax.jit(lambda net, x: net(x))


def test_numbers_of_the_page():
    seen = {2: -1.6666e-5, 4: -4.9997e-5, 8: -1.16655e-4, 16: -2.49955e-4, 32: -5.16497e-4}
    for n, error in seen.items():
        net = tree.product_tree(n, "softplus", 1e-2)
        assert (net.neurons, net.depth) == (4 * (n - 1), math.log2(n))
        assert float(evaluate(net, np.ones(n))) - 1 == pytest.approx(error, rel=1e-4)
        assert float(tree.product_tree_error(n, "softplus", 1e-2)(np.ones(n))) == pytest.approx(-(n - 1) / 6 * 1e-4)
    assert net.neurons == 124 and net.depth == 5, "neither 160 = 5n nor 128 = 4n"


@pytest.mark.parametrize(("n", "name", "bias"), [(5, "sigmoid", 1.0), (6, "exp", 0.0), (7, "cos(z)", 0.0)], ids=str)
def test_odd_numbers_are_carried(n, name, bias, random):
    net, x, scale = tree.product_tree(n, name, 3e-3, bias), random.uniform(0.5, 1.5, (50, n)), 3e-3
    carried, width = 0, n
    while width > 1:
        carried, width = carried + width % 2, (width + 1) // 2
    assert (net.neurons, net.depth) == (4 * (n - 1) + 2 * carried, math.ceil(math.log2(n)))
    predicted = tree.product_tree_error(n, name, scale, bias)(x)
    np.testing.assert_allclose(evaluate(net, x) / x.prod(1) - 1, predicted, rtol=0.02, atol=2e-9)


def test_a_tree_is_that_of_arbitrary_precision(random):
    x, scale, n = random.uniform(0.5, 1.5, 8), 1e-3, 8
    with mpmath.workdps(40):
        values = [mpmath.mpf(v) for v in x]
        sigma = lambda z: mpmath.log(1 + mpmath.exp(z))
        even = lambda z: sigma(z) + sigma(-z)
        lam = mpmath.mpf(scale)
        while len(values) > 1:
            values = [(even(lam * (u + v)) - even(lam * (u - v))) / lam**2 for u, v in zip(values[::2], values[1::2], strict=True)]
        exact = values[0] / mpmath.fprod(map(mpmath.mpf, x)) - 1
    assert float(exact) / float(tree.product_tree_error(n, "softplus", scale)(x)) == pytest.approx(1, abs=1e-4)
    assert float(evaluate(tree.product_tree(n, "softplus", scale), x)) / x.prod() - 1 == pytest.approx(float(exact), abs=3e-8)


def test_polynomials_share_gates_and_count_as_the_page(random):
    assert (math.comb(24, 4), tree.polynomial_gates(20, 4)) == (10626, 10605)
    n, d, scale = 3, 4, 1e-3
    exponents = [e for e in itertools.product(range(d + 1), repeat=n) if sum(e) <= d]
    c, x = random.normal(size=len(exponents)), random.uniform(-1, 1, (50, n))
    net = tree.polynomial(exponents, c, "softplus", scale)
    made, kept = tree.polynomial_gates(n, d), n + math.comb(n + 1, 2)
    assert (net.neurons, net.depth) == (4 * made + 2 * (n + kept), 2), "layer 1 copies the variables, layer 2 also the squares"
    exact = (x[:, None] ** np.array(exponents)).prod(-1) @ c
    error = np.asarray(evaluate(net, x)) - exact
    np.testing.assert_allclose(error, tree.polynomial_error(exponents, c, "softplus", scale)(x), rtol=0.01, atol=2e-8)


@pytest.mark.parametrize("power", [1, 2, 7, 15])
def test_powers_take_logarithmically_many_neurons(power, random):
    net, x = tree.polynomial([[power]], [2.0], "exp", 1e-3), random.uniform(0.5, 1, (20, 1))
    assert net.depth == math.ceil(math.log2(power)) and net.neurons <= 7 * math.ceil(math.log2(power)) + 4
    np.testing.assert_allclose(evaluate(net, x), 2 * x[:, 0] ** power, rtol=1e-4)


def test_quadratic_forms_take_two_neurons_per_eigenvalue(random):
    matrix, x = random.normal(size=(6, 6)), random.normal(size=(30, 6))
    net = tree.quadratic_form(matrix, "gelu", 1e-4)
    assert (net.neurons, net.depth) == (12, 1)
    np.testing.assert_allclose(evaluate(net, x), np.einsum("bi,ij,bj->b", x, matrix, x), atol=3e-6)
    low = random.normal(size=(6, 2))
    assert tree.quadratic_form(low @ low.T, "softplus", 1e-2).neurons == 4


def test_a_tree_is_a_network_of_its_scale_and_precision(random):
    x = random.uniform(0.5, 1, (10, 3))
    both = jax.jit(lambda scale: jax.jvp(lambda s: tree.product_tree(3, "sigmoid", s, 1.0)(x), (scale,), (1.0,)))
    value, derivative = both(0.1)
    np.testing.assert_allclose(value, evaluate(tree.product_tree(3, "sigmoid", 0.1, 1.0), x), rtol=1e-9)
    np.testing.assert_allclose(derivative, (both(0.1 + 1e-5)[0] - both(0.1 - 1e-5)[0]) / 2e-5, rtol=1e-5)
    single = tree.product_tree(3, "softplus", 0.05, dtype=jnp.float32)
    assert evaluate(single, x).dtype == jnp.float32
    np.testing.assert_allclose(evaluate(single, x), x.prod(1), rtol=0.02)
    np.testing.assert_allclose(tree.product_tree(1, "tanh", 0.1, 0.5)(x[:, :1]), x[:, 0])


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="n=0: must be ≥ 1"):
        tree.product_tree(0, "softplus", 0.1)
    with pytest.raises(ValueError, match=r"bias=0: tanh .* nearest usable is 0.658"):
        tree.product_tree(4, "tanh", 0.1)
    assert gates.copy_bias("cos(z)", 0.0) == pytest.approx(np.pi / 2) and gates.copy_bias("softplus", 0.0) == 0.0
