"""Bounded Levenberg-Marquardt against scipy's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from dltheory.numerics import levenberg_marquardt

TIMES = jnp.linspace(0, 4, 50)
NOISE = 0.01 * np.random.default_rng(0).normal(size=50)
DATA = 2.5 * jnp.exp(-1.3 * TIMES) + 0.5 + jnp.asarray(NOISE)


def rosenbrock(p):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def exponential(p):
    return p[0] * jnp.exp(-p[1] * TIMES) + p[2] - DATA


long_fit = jax.jit(functools.partial(levenberg_marquardt, steps=60), static_argnums=0)
values, jacobian = (jax.jit(f, static_argnums=0) for f in (lambda r, p: r(p), lambda r, p: jax.jacfwd(r)(p)))


def scipy_fit(residual, start, low=-np.inf, high=np.inf):
    inside = np.clip(start, np.asarray(low) + 1e-3, np.asarray(high) - 1e-3)
    bind = lambda f: lambda p: f(residual, p)
    fit = least_squares(bind(values), inside, bind(jacobian), (low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=1000)
    return fit.x, fit.cost


def test_exponential_in_the_default_number_of_steps():
    start = jnp.array([1.0, 1.0, 0.0])
    p, cost = levenberg_marquardt(exponential, start, -jnp.inf, jnp.inf)
    exact, exact_cost = scipy_fit(exponential, start)
    np.testing.assert_allclose(p, exact, rtol=1e-8)
    np.testing.assert_allclose(cost, exact_cost, rtol=1e-12)
    np.testing.assert_allclose(cost, jnp.sum(exponential(p) ** 2) / 2, rtol=1e-13)


@pytest.mark.parametrize("start", [(-1.2, 1.0), (3.0, -4.0), (0.0, 0.0)])
def test_rosenbrock_valley(start):
    p, cost = long_fit(rosenbrock, jnp.array(start), -jnp.inf, jnp.inf)
    np.testing.assert_allclose(p, [1, 1], rtol=1e-10)
    assert cost < 1e-20


@pytest.mark.parametrize(
    ("residual", "start", "low", "high", "active"),
    [
        (rosenbrock, (-1.2, 1.0), (-2, -2), (0.5, 2), 1),
        (rosenbrock, (2.0, 2.0), (1.5, -9), (9, 9), 1),
        (exponential, (1, 1, 0.1), (0, 0, 0), (2.4, 9, 9), 1),
        (exponential, (1, 1, 0.1), (0, 0, 0.6), (9, 9, 9), 1),
        (exponential, (1, 1, 0.1), (0, 1.5, -1), (9, 9, 1), 1),
        (exponential, (1, 1, 0.1), (0, 0, 0), (2, 1, 1), 2),
        (exponential, (1, 1, 0.1), (0, 0, 0), (9, 9, 9), 0),
    ],
)
def test_bounds_that_hold_give_the_bounded_optimum(residual, start, low, high, active):
    low, high = (jnp.array(bound, float) for bound in (low, high))
    p, cost = long_fit(residual, jnp.array(start, float), low, high)
    exact, exact_cost = scipy_fit(residual, start, low, high)
    np.testing.assert_allclose(p, exact, rtol=1e-8)
    np.testing.assert_allclose(cost, exact_cost, rtol=1e-10)
    assert ((p >= low) & (p <= high)).all() and ((p == low) | (p == high)).sum() == active


def test_a_start_on_the_wrong_bound_comes_off_it():
    p, _ = long_fit(rosenbrock, jnp.array([-3.0, 9.0]), jnp.array([-2.0, -2.0]), jnp.array([2.0, 2.0]))
    np.testing.assert_allclose(p, [1, 1], rtol=1e-8)


def test_scales_of_the_parameters_do_not_matter():
    scale = jnp.array([1e6, 1e-5, 1e3])
    start = jnp.array([1.0, 1.0, 0.0])
    p, cost = levenberg_marquardt(exponential, start, -jnp.inf, jnp.inf, steps=6)
    q, scaled_cost = levenberg_marquardt(lambda q: exponential(q * scale), start / scale, -jnp.inf, jnp.inf, steps=6)
    np.testing.assert_allclose(q * scale, p, rtol=1e-9)
    np.testing.assert_allclose(scaled_cost, cost, rtol=1e-9)


def test_a_parameter_without_effect_stays():
    p, cost = levenberg_marquardt(lambda p: p[:1] ** 2 - 2, jnp.array([1.0, 7.0]), -jnp.inf, jnp.inf)
    np.testing.assert_allclose(p, [np.sqrt(2), 7], rtol=1e-12)
    assert cost < 1e-20


def log_residual(p):
    return jnp.log(p[:1] * jnp.arange(1.0, 4.0)) - jnp.log(2 * jnp.arange(1.0, 4.0)) + jnp.sqrt(p[1]) - 1


@pytest.mark.parametrize("start", [(-1.0, 1.0), (1.0, 0.0), (np.nan, 1.0), (np.inf, np.nan), (-np.inf, 1.0)])
def test_a_start_that_is_not_finite_is_given_back_with_infinite_cost(start):
    p, cost = levenberg_marquardt(log_residual, jnp.array(start), -5.0, 5.0)
    np.testing.assert_array_equal(p, np.clip(np.nan_to_num(start), -5, 5))
    assert cost == jnp.inf


def test_steps_out_of_the_domain_are_not_taken():
    p, cost = levenberg_marquardt(lambda p: jnp.log(p) - jnp.log(1e-3), jnp.array([1.0]), -jnp.inf, jnp.inf, steps=40)
    np.testing.assert_allclose(p, 1e-3, rtol=1e-10)
    assert cost < 1e-20


def test_batched_starts_do_not_touch_each_other():
    starts = jnp.array([[1.0, 1.0], [-1.0, 1.0], [jnp.nan, 0.5], [3.0, 0.2], [0.1, 4.0]])
    fit = jax.jit(lambda start: levenberg_marquardt(log_residual, start, 0.0, 5.0))
    p, cost = jax.vmap(fit)(starts)
    assert jnp.isfinite(p).all() and not jnp.isnan(cost).any()
    for i, start in enumerate(starts):
        alone, cost_alone = fit(start)
        np.testing.assert_allclose(p[i], alone, rtol=1e-10)
        np.testing.assert_allclose(cost[i], cost_alone, rtol=1e-10, atol=1e-20)
    np.testing.assert_array_equal(jnp.isfinite(cost), [True, False, False, True, True])


def test_no_steps_give_the_cost_of_the_start():
    start = jnp.array([-1.2, 1.0])
    p, cost = levenberg_marquardt(rosenbrock, start, -jnp.inf, jnp.inf, steps=0)
    assert (p == start).all()
    np.testing.assert_allclose(cost, jnp.sum(rosenbrock(start) ** 2) / 2, rtol=1e-14)


def test_cost_falls_with_the_steps():
    costs = [levenberg_marquardt(rosenbrock, jnp.array([-1.2, 1.0]), -jnp.inf, jnp.inf, n)[1] for n in (0, 5, 15)]
    assert (np.diff(costs) < 0).all()


def test_the_residual_is_traced_once_and_evaluated_once_per_step():
    traced, evaluated = [], []

    def counted(p):
        traced.append(1)
        jax.debug.callback(lambda: evaluated.append(1))
        return rosenbrock(p)

    jax.block_until_ready(jax.jit(lambda p: levenberg_marquardt(counted, p, -9.0, 9.0, steps=10))(jnp.array([-1.2, 1.0])))
    jax.effects_barrier()
    assert len(traced) == 1 and len(evaluated) == 11


def test_single_precision_stays_single():
    p, cost = levenberg_marquardt(rosenbrock, jnp.array([0.5, 0.5], jnp.float32), -9.0, 9.0)
    assert p.dtype == cost.dtype == jnp.float32
    np.testing.assert_allclose(p, [1, 1], rtol=1e-4)
