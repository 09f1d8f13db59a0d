"""Kernel and NTK recursions: closed forms, the theory page's numbers, sampled networks, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from dltheory import finite_width
from dltheory.infinite_width import order_chaos, pair_averages, predict, propagate, susceptibilities
from dltheory.models import MLP, activation
from dltheory.models.base import functional
from dltheory.models.initialisation import critical
from dltheory.numerics import gaussian_mean_pair, product_means

SIXTY = np.array([[1, 0.5], [0.5, 1]])


@pytest.mark.parametrize(
    ("name", "c_w", "layer", "kernel", "ntk"),
    [
        ("relu", 2.0, 3, 0.6839056509, 0.6757397806),
        ("relu", 2.0, 10, 0.8860334783, 1.8963471781),
        ("erf", np.pi / 4, 3, 0.0988774318, 0.3861670241),
        ("tanh", 1.0, 3, 0.1092720809, 0.3340314769),
    ],
)
def test_two_inputs_at_sixty_degrees_have_the_page_s_numbers(name, c_w, layer, kernel, ntk):
    seen = propagate(name, SIXTY, layer, 0.0, c_w, 0.0, 1.0)
    np.testing.assert_allclose([seen.kernel[-1, 0, 1], seen.ntk[-1, 0, 1]], [kernel, ntk], atol=1e-10)


def test_numbers_of_the_standard_library():
    three = propagate("relu", 2.0, 3, 0.0, 2.0, 0.0, 2.0)
    np.testing.assert_allclose([three.kernel[-1], three.ntk[-1]], [2, 6], rtol=1e-14)
    np.testing.assert_allclose(propagate("gelu", 1.0, 2, 0.0, 1.0, 0.0, 1.0).ntk[-1], 0.88107235, atol=1e-8)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu", "abs", "erf", "sin", "exp"])
def test_closed_forms_agree_with_quadrature(name):
    phi, slope = activation(name), jax.grad(activation(name))
    for variances in ((0.7, 1.9), (0.05, 0.02)):
        for c in (-1.0, -0.9, 0.0, 0.3, 0.999, 1.0):
            K = jnp.array([[1.0, c], [c, 1.0]]) * jnp.sqrt(jnp.outer(jnp.array(variances), jnp.array(variances)))
            closed = pair_averages(phi, K)
            for seen, f in ((closed.values, phi), (closed.slopes, slope)):
                expected = gaussian_mean_pair(lambda x, y, f=f: f(x) * f(y), K)
                scale = jnp.sqrt(seen[0, 0] * seen[1, 1])
                np.testing.assert_allclose(seen[0, 1] / scale, expected / scale, atol=2e-7 if abs(c) == 1 else 1e-12)


def test_a_function_of_the_relu_family_is_known_by_its_shape():
    mine = lambda z: jnp.where(z > 0, 1.3 * z, 0.2 * z)
    a, b = (1.3 + 0.2) / 2, (1.3 - 0.2) / 2
    angle = np.pi / 3
    expected = a**2 * 0.5 + b**2 * 2 / np.pi * (np.sin(angle) + np.cos(angle) * (np.pi / 2 - angle))
    np.testing.assert_allclose(propagate(mine, SIXTY, 2, 0.1, 0.9).kernel[-1, 0, 1], 0.1 + 0.9 * expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus"])
def test_many_inputs_by_mehler_agree_with_few_by_quadrature(name):
    x = np.random.default_rng(0).normal(size=(7, 3))
    x[1] = x[0] * (1 + 1e-12)
    K = x @ x.T / 3
    many = propagate(name, K, 3, 0.1, 1.3, 0.2, 1.0)
    for pair in ([0, 1], [2, 5], [3, 6]):
        few = propagate(name, K[np.ix_(pair, pair)], 3, 0.1, 1.3, 0.2, 1.0)
        np.testing.assert_allclose(many.kernel[:, *np.ix_(pair, pair)], few.kernel, rtol=1e-9)
        np.testing.assert_allclose(many.ntk[:, *np.ix_(pair, pair)], few.ntk, rtol=1e-6)  # slopes at c = 1 - 1e-12


def test_products_of_all_pairs_have_the_mean_of_a_polynomial():
    K = jnp.array([[2.0, 0.4], [0.4, 0.0]]).at[1, 1].set(0.5)
    cube = product_means(lambda z: z**3, K)
    np.testing.assert_allclose(cube[0, 1], 9 * 0.4 * 2.0 * 0.5 + 6 * 0.4**3, rtol=1e-12)
    np.testing.assert_allclose(jnp.diagonal(cube), 15 * jnp.array([8.0, 0.125]), rtol=1e-12)
    still = product_means(jnp.cos, jnp.zeros((2, 2)))
    np.testing.assert_allclose(still, np.ones((2, 2)))


def test_susceptibilities_are_the_growth_of_norms_and_distances():
    K, c_b, c_w, step = 0.8, 0.2, 1.4, 1e-4
    parallel, perpendicular = susceptibilities("gelu", K, c_b, c_w)
    ends = [propagate("gelu", k, 2, c_b, c_w).kernel[-1] for k in (K - step, K + step)]
    np.testing.assert_allclose(parallel, (ends[1] - ends[0]) / (2 * step), rtol=1e-7)
    close = propagate("gelu", K * np.array([[1, 1 - step], [1 - step, 1]]), 2, c_b, c_w).kernel
    distance = close[:, 0, 0] + close[:, 1, 1] - 2 * close[:, 0, 1]
    np.testing.assert_allclose(perpendicular, distance[1] / distance[0], rtol=1e-3)
    np.testing.assert_allclose(susceptibilities("tanh", 0.0, 0.0, 1.3), 1.3, rtol=1e-8)


def test_dropout_lifts_the_diagonal_and_a_skip_adds_itself():
    plain, dropped, skipped = (propagate("tanh", SIXTY, 2, 0.1, 1.2, 0.3, 0.7, **how) for how in ({}, {"keep": 0.8}, {"skip": 0.6}))
    np.testing.assert_allclose(dropped.kernel[1, 0, 0] - 0.1, (plain.kernel[1, 0, 0] - 0.1) / 0.8)
    np.testing.assert_allclose(dropped.kernel[1, 0, 1], plain.kernel[1, 0, 1])
    np.testing.assert_allclose(skipped.kernel[1], plain.kernel[1] + 0.36 * SIXTY)
    np.testing.assert_allclose(skipped.ntk[1], plain.ntk[1] + 0.36 * plain.ntk[0])


def test_wide_networks_have_these_kernels_on_average():
    c_b, c_w, bias, weight, width = 0.2, 1.5, np.array([0.5, 0.3, 0.2]), 0.8, 400
    x = np.array([[1.0, 0.5, -0.2], [0.3, -1.0, 0.8]])
    theory = propagate("gelu", c_b + c_w * x @ x.T / 3, 3, c_b, c_w, bias, weight)

    def network(key):
        params, apply = functional(MLP((3, width, width, 1), "gelu", critical(c_b, c_w), key=key))
        rates = finite_width.layer_rates(params, bias, weight)
        out = apply(params, jnp.asarray(x, jnp.float32)).output[:, 0]
        return out[:, None] * out[None], finite_width.ntk(apply, params, jnp.asarray(x, jnp.float32), rates=rates)[:, 0, :, 0]

    products, kernels = jax.lax.map(network, jax.random.split(jax.random.key(0), 600), batch_size=20)
    for seen, expected, bound in ((products, theory.kernel[-1], 0.08), (kernels, theory.ntk[-1], 0.01)):
        seen = np.asarray(seen, float)
        error = seen.std(axis=0) / len(seen) ** 0.5
        assert np.all(error < bound * expected[0, 0])
        np.testing.assert_array_less(np.abs(seen.mean(axis=0) - expected), 5 * error + 3 / width * expected[0, 0])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"c_w": 0.0}, "c_w=0.0: must be > 0"),
        ({"c_b": -0.1}, "c_b=-0.1: must be ≥ 0"),
        ({"depth": 0}, "depth=0: must be ≥ 1"),
        ({"keep": 1.2}, r"keep=1.2: must be in \(0, 1\]"),
        ({"kernel": -1.0}, "positive semi-definite, its least eigenvalue is -1"),
        ({"kernel": np.array([[1, 2], [2, 1.0]])}, "positive semi-definite"),
        ({"kernel": np.array([[1, 2], [0, 1.0]])}, "symmetric"),
        ({"kernel": np.ones(3)}, r"\(m, m\) matrix"),
        ({"activation": "tahn"}, "activation=tahn"),
    ],
)
def test_bad_input_is_one_line(change, text):
    good = {"activation": "tanh", "kernel": 1.0, "depth": 3, "c_b": 0.0, "c_w": 1.0}
    with pytest.raises(ValueError, match=text) as error:
        propagate(**(good | change))
    assert "\n" not in str(error.value)


def test_prediction_solves_the_linear_dynamics_at_every_time():
    x = np.random.default_rng(1).normal(size=(5, 2))
    K, H = (a[-1] for a in (lambda k: (k.kernel, k.ntk))(propagate("erf", x @ x.T / 2, 3, 0.1, 1.2, 0.5, 1.0)))
    y, at = np.array([[1.0], [-0.5], [0.3]]), 4.0
    field = np.zeros((6, 6))  # d(z, 1)/dt = field (z, 1)
    field[:5, :3], field[:5, 5] = -H[:, :3] / 3, (H[:, :3] @ y / 3)[:, 0]
    flow = linalg.expm(at * field)
    seen = predict(K, H, y, at)
    np.testing.assert_allclose(seen.mean, flow[3:5, 5:], atol=1e-12)
    np.testing.assert_allclose(seen.covariance, (flow[:5, :5] @ K @ flow[:5, :5].T)[3:, 3:], atol=1e-12)
    np.testing.assert_allclose(predict(K, H, y, 0.0).covariance, K[3:, 3:])
    twice = np.r_[0:3, 0:3]
    fit = predict(K[np.ix_(twice, twice)], H[np.ix_(twice, twice)], y)
    np.testing.assert_allclose(fit.mean, y, atol=1e-9)
    np.testing.assert_allclose(fit.covariance, 0, atol=1e-9)


def test_prediction_with_an_input_given_twice_is_finite():
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    kernels = propagate("relu", x @ x.T / 2, 2, 0.0, 2.0, 0.0, 1.0)
    seen = predict(kernels.kernel[-1], kernels.ntk[-1], np.array([[1.0], [3.0]]))
    assert np.isfinite(seen.mean).all() and np.isfinite(seen.covariance).all()
    again = predict(kernels.kernel[-1][1:, 1:], kernels.ntk[-1][1:, 1:], np.array([[2.0]]))
    np.testing.assert_allclose(seen.mean, again.mean, rtol=1e-10)
    with pytest.raises(ValueError, match="targets: 4"):
        predict(kernels.kernel[-1], kernels.ntk[-1], np.ones((4, 1)))


TABLE = """1.3 .3 0.6070467919 0.9398074287 0.5434720186 1 16.10817274 1.33766764
2.5 .3 4.0791238753 1.5852247650 1.1960412914 0.1221037473 5.10891899 0.68834146
4.0 .3 12.6041494978 2.3672610355 1.8571760414 0.0296959216 3.63935102 0.49029475
0.9 .3 0.2165246343 0.6003712547 0.2375863537 1 1.95998857 1.19855910
1.5 .3 0.9608442797 1.0609812641 0.6807265874 0.7667532973 19.91629723 1.16749933
2.5 0 3.9609612327 1.6069749700 1.2104281628 0 5.67158647 0.70655294"""


def test_order_and_chaos_of_tanh():
    rows = np.array([[float(v) for v in line.split()] for line in TABLE.splitlines()])
    seen = order_chaos("tanh", rows[:, 0], rows[:, 1])
    for k, field in enumerate(("q", "chi_1", "chi_2", "c", "xi_c", "xi_q"), start=2):
        np.testing.assert_allclose(getattr(seen, field), rows[:, k], atol=2e-8 * max(1, rows[:, k].max()))
    low, high = (order_chaos("tanh", np.sqrt(1.3270096607**2 + d), 0.05**0.5) for d in (-0.02, 0.02))
    np.testing.assert_allclose([low.xi_c * (1 - low.chi_1), high.xi_c * (high.chi_1 - 1)], [0.997853, 1.017674], atol=1e-6)


def test_dropout_ends_the_transition_and_erf_is_closed():
    seen = order_chaos("tanh", np.full(4, 1.3270096607), np.full(4, 0.05**0.5), keep=np.array([0.99, 0.95, 0.9, 0.8]))
    np.testing.assert_allclose(seen.c, [0.76578289, 0.50940307, 0.35641378, 0.20063228], atol=1e-8)
    np.testing.assert_allclose(seen.xi_c, [14.479629, 6.775167, 4.666900, 2.943752], atol=1e-6)
    erf = order_chaos("erf", np.sqrt([1.5, 2, 6.25]), np.sqrt([0.05, 0.09, 0.09]))
    np.testing.assert_allclose(erf.q, [0.6017531671, 1.0305175959, 4.5554616873], atol=1e-10)
    np.testing.assert_allclose(erf.chi_1, np.array([1.5, 2, 6.25]) * 4 / np.pi / np.sqrt(1 + 4 * np.asarray(erf.q)), rtol=1e-12)
    vanishing = order_chaos("tanh", 0.9, 0.0)
    np.testing.assert_allclose([vanishing.q, vanishing.chi_1, vanishing.c], [0, 0.81, 1], atol=1e-4)
