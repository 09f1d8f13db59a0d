"""Products in one hidden layer: exact forms, orders of the error, counts, and the precision they ask for."""

import itertools
import math

import jax
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning import Network, flat

SILU_MINIMUM = -1.2784645427610738


@pytest.fixture
def random():
    return np.random.default_rng(0)


call = jax.jit(lambda network, x: network(x))


def relative(network, x, powers=1):
    return np.asarray(call(network, x)) / (x**powers).prod(-1) - 1


def test_with_exp_it_is_a_product_of_hyperbolic_sines(random):
    for powers in ((1, 1, 1, 1), (2, 3), (1, 4, 2)):
        scale, x = random.uniform(0.1, 1), random.uniform(-2, 2, (20, len(powers)))
        net = flat.shallow_monomial(powers, "exp", scale)
        np.testing.assert_allclose(call(net, x), ((np.sinh(scale * x) / scale) ** powers).prod(1), rtol=1e-6)
        assert (net.neurons, net.depth) == (flat.shallow_neurons(powers), 1) == (math.prod(r + 1 for r in powers), 1)
    assert flat.flat_product(5, "exp", 0.1).neurons == 32


@pytest.mark.parametrize(("name", "bias", "powers"), [("sigmoid", 0.7, (1, 1)), ("tanh", 0.4, (1, 1, 1)), ("softplus", 0.3, (2, 1))])
def test_the_relative_error_is_of_second_order_with_the_stated_factor(random, name, bias, powers):
    x = random.uniform(0.5, 1, (10, len(powers)))
    error = lambda scale: relative(flat.shallow_monomial(powers, name, scale, bias), x, powers)
    np.testing.assert_allclose(error(0.02), flat.monomial_error(powers, name, x, 0.02, bias), rtol=0.02)
    np.testing.assert_allclose(error(0.04) / error(0.02), 4, rtol=0.05)


def test_the_construction_matches_with_a_hadamard_matrix_and_fewer_neurons_cannot(random):
    matrix = jax.jit(flat.matching_matrix)
    for n in range(2, 9):
        A = np.asarray(matrix(flat.flat_product(n, "exp", 1.0).weights[0]))
        np.testing.assert_array_equal(A @ A.T, 2**n * np.eye(2**n))
    a = random.normal(size=(3, 8))
    A, subsets = flat.matching_matrix(a), [[h for h in range(3) if m >> h & 1] for m in range(8)]
    np.testing.assert_allclose(A, [a[S].prod(0) for S in subsets])
    assert np.linalg.matrix_rank(A) == 8 and np.linalg.matrix_rank(A[:, :7]) == 7


def test_equation_28_lacks_the_derivative_and_the_scale(random):
    x, scale = random.uniform(0.5, 1, 3), 0.01
    printed = sum(math.prod(s) * np.tanh(scale * np.dot(s, x)) for s in itertools.product((1, -1), repeat=3)) / 2**3
    np.testing.assert_allclose(printed / x.prod(), -2 * scale**3, rtol=1e-3)
    np.testing.assert_allclose(call(flat.flat_product(3, "tanh", scale), x), x.prod(), rtol=1e-3)


def test_cheaper_networks_outside_the_hypotheses_err_as_derived(random):
    x = random.uniform(0.5, 1, 3)
    cases = (
        (lambda s: flat.biased_product(3, "exp", s), lambda s: flat.biased_product_error("exp", x, s), x, 7),
        (lambda s: flat.half_product(3, "tanh", s), lambda s: flat.half_product_error("tanh", x, s), x, 4),
        (lambda s: flat.bypassed_product("gelu", s), lambda s: flat.half_product_error("gelu", x[:2], s), x[:2], 2),
        (lambda s: flat.bypassed_product("exp", s), lambda s: flat.half_product_error("exp", x[:2], s), x[:2], 2),
        (
            lambda s: flat.half_product(2, "swish", s, SILU_MINIMUM),
            lambda s: flat.half_product_error("swish", x[:2], s, SILU_MINIMUM),
            x[:2],
            2,
        ),
    )
    for build, predicted, at, neurons in cases:
        assert build(0.1).neurons == neurons < 2 ** len(at)
        np.testing.assert_allclose(relative(build(0.02), at), predicted(0.02), rtol=0.03)
    half = flat.half_product(4, "softplus", 0.1)  # no parity is needed: σ''' = 0 is enough
    assert half.neurons == 8 and abs(relative(half, np.full(4, 0.5))) < 0.01


def test_two_to_the_n_is_least_for_matching_without_output_bias_only():
    residual = {m: flat.matching_residual(m) for m in (3, 4)}
    np.testing.assert_allclose(residual[3], 0.3472, rtol=0.01)
    assert residual[4] < 1e-10 and flat.matching_residual(3, output_bias=True) < 1e-10


def test_closeness_says_nothing_about_taylor_coefficients():
    wave = Network.of([(np.full((1, 1), 1e3), 0.0), (np.full((1, 1), 1e-3), 0.0)], "sin")
    assert np.abs(call(wave, np.linspace(-1, 1, 999)[:, None])).max() <= 1e-3
    np.testing.assert_allclose(flat.taylor_coefficients(wave, 1), [0, 1])


def test_polynomials_of_one_number_solve_a_vandermonde_system(random):
    made = lambda d, m: flat.univariate_polynomial(np.eye(d + 1)[d], "exp", 1.0, neurons=m)
    solve = lambda d, m: flat.taylor_coefficients(made(d, m), d) - np.eye(d + 1)[d]
    errors = jax.jit(lambda: [[solve(d, m) for m in (d, d + 1)] for d in range(1, 7)])()
    for fewer, exact in errors:
        assert np.abs(exact).max() < 1e-8 < 0.1 < np.abs(fewer).max()
    c, x = random.normal(size=4), random.uniform(-1, 1, (9, 1))
    net = flat.univariate_polynomial(c, "exp", 0.01)
    assert net.neurons == 4
    np.testing.assert_allclose(call(net, x), np.polyval(c[::-1], x[:, 0]), atol=0.02)


def test_counts_of_monomials_and_waring_ranks(random):
    assert (flat.shallow_neurons((3, 1, 2)), flat.deep_neurons((3, 1, 2)), flat.waring_rank((1,) * 5)) == (24, 18 + 4 + 11, 16)
    n, x = 5, random.integers(-9, 9, 5)
    powers = [math.prod(s) * np.dot((1, *s), x) ** n for s in itertools.product((1, -1), repeat=n - 1)]
    assert len(powers) == flat.waring_rank((1,) * n) and sum(powers) == 2 ** (n - 1) * math.factorial(n) * x.prod()


def test_a_millionth_at_eight_numbers_takes_thirty_digits(random):
    x = random.uniform(0.5, 1, 8)

    def error(digits, scale):
        with mpmath.workdps(digits):
            lam, total = mpmath.mpf(scale), mpmath.mpf(0)
            for s in itertools.product((1, -1), repeat=8):
                total += math.prod(s) * mpmath.exp(lam * mpmath.fsum(a * mpmath.mpf(b) for a, b in zip(s, x, strict=True)))
            return abs(float(total / (2 * lam) ** 8 / mpmath.mpf(float(x.prod())) - 1))

    assert flat.digits_needed(8, 1e-6) == pytest.approx(30)
    assert min(error(30, lam) for lam in (5e-4, 1e-3)) < 2e-6 and min(error(20, lam) for lam in (1e-3, 3e-3, 1e-2, 3e-2)) > 1e-5
    np.testing.assert_allclose(flat.rounding_law(8, 1e-30), (1e-3, 1e-6))


def test_a_scale_may_be_traced(random):
    x = random.uniform(0.5, 1, 3)
    value = jax.jit(lambda scale: flat.flat_product(3, "exp", scale)(x))
    slope = (value(0.301) - value(0.299)) / 0.002
    np.testing.assert_allclose(jax.grad(value)(0.3), slope, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: flat.flat_product(2, "tanh", 0.1), r"bias=0: σ\^\(2\) of tanh is 0 there"),
        (lambda: flat.flat_product(2, "relu", 0.1, 0.5), r"σ\^\(2\) of relu is 0"),
        (lambda: flat.half_product(2, "softplus", 0.1), r"σ\^\(1\) of softplus is 0.5 there; must be 0"),
        (lambda: flat.univariate_polynomial([0, 0, 1], "tanh", 0.1), "of tanh there are .*; must not be 0"),
    ],
)
def test_nonsense_is_refused(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
