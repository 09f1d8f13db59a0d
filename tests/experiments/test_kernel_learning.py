"""Kernel learning: trainings against descent with whole matrices, models against their order; faults are noticed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import models
from dltheory.finite_width import ddntk, dntk, layer_rates, ntk, one_point
from dltheory.lab import experiment
from experiments import kernel_learning as module

DEPTH, WIDTH, X, GOAL = 4, 6, jnp.array([0.9]), 0.8
SPEED = 1 / jnp.arange(1.0, DEPTH + 1), jnp.array([0.7, 1.0, 1.3, 0.8])
FLOW, STEPS, NEWTON = (np.array(a) for a in ([1.0, 0, 0, 0, 0], [0.0, *module.RATES, 0.0], [0.0, 0, 0, 0, 1]))


@pytest.fixture(scope="module")
def data(results):
    return experiment("kernel_learning", narrowest=128, doublings=1, bodies=150, points=5)


@pytest.fixture(scope="module")
def network():
    """A body with two readouts, and the second of them alone."""
    sizes, start = (1, *[WIDTH] * (DEPTH - 1), 2), models.critical(0.3, 1.4)
    params, apply = models.functional(models.MLP(sizes, "tanh", start, key=jax.random.key(3), dtype=float))
    return params, lambda params, x: apply(params, x).output[:, 1:]


@pytest.fixture(scope="module")
def trained(network):
    """Small steps δ away from z_0 and, last, a target; z_0, H_0, z and H (algorithm, goal) of trainings by all algorithms."""
    delta, tableau = np.array([1, 0.5, 0.25, 0.125]) / 100, [one_point.runge_kutta(8)] + 4 * [one_point.steps_in_turn(32)]
    z_0 = network[1](network[0], X[None])[0, 0]
    goals = jnp.concatenate([z_0 + delta, jnp.array([GOAL])])
    how = [jnp.asarray(a) for a in (FLOW / 8, STEPS, NEWTON, np.stack(tableau))]
    follow = lambda goal, *how: one_point.train_on_one_point(jnp.tanh, network[0], X, SPEED, one_point.OnePoint(jnp.asarray(1), goal, *how))
    found = jax.jit(jax.vmap(lambda *how: jax.vmap(lambda goal: follow(goal, *how))(goals)))(*how)
    return goals, delta, *map(np.asarray, found)


def descended(network, goal, rate, steps):
    """z and H after steps of gradient descent at ηH_0 = `rate`, made by whole matrices."""
    params, alone = network
    speed = layer_rates(params, *SPEED)
    kernel = lambda params: ntk(alone, params, X[None], rates=speed).ravel()[0]
    eta = rate / kernel(params)
    slope = jax.grad(lambda params: jnp.sum((alone(params, X[None]) - goal) ** 2) / 2)
    step = lambda _, params: jax.tree.map(lambda p, r, g: p - eta * r * g, params, speed, slope(params))
    end = jax.jit(lambda params: jax.lax.fori_loop(0, steps, step, params))(params)
    return alone(end, X[None])[0, 0], kernel(end)


def verdicts(data):
    return [c.verdict for c in module.claims(data) if c.gated]


@pytest.mark.parametrize("fault", ["exponent", "constant", "variance"])
def test_gated_claims_hold_and_fail_for_a_fault(data, fault):
    assert "fails" not in verdicts(data) and verdicts(data).count("holds") >= 4
    root = np.sqrt(data.width)
    planted = {
        "exponent": {"change": data.change * root, "change_standard_error": data.change_standard_error * root},
        "constant": {"predicted": data.predicted * 1.1},
        "variance": {"variance": data.variance * root},
    }[fault]
    assert "fails" in verdicts(data.assign(planted))
    assert len(module.plot(data).axes) == 4


def test_outer_products_do_what_matrices_do(network, trained):
    """Descent to the last digits; flow as the limit of small steps."""
    _, _, z_0, H_0, z, H = (np.asarray(a)[..., -1] for a in trained)
    np.testing.assert_allclose(z_0, network[1](network[0], X[None])[0, 0], rtol=1e-12)
    np.testing.assert_allclose((z[1], H[1]), descended(network, GOAL, module.RATES[0], 32), rtol=1e-11)
    coarse, fine = (descended(network, GOAL, rate, int(20 / rate))[1] for rate in (0.02, 0.01))
    np.testing.assert_allclose((z[0], H[0]), (GOAL, 2 * fine - coarse), rtol=1e-5)
    assert abs(coarse / H[0] - 1) > 1e-4 and np.all(np.abs(H / H_0 - 1) > 0.01)


def test_second_order_models_miss_the_third_order(network, trained):
    """With targets z_0 + δ every displacement is of order δ, and ΔH is right up to δ³."""
    params, alone = network
    speed = {"rates": layer_rates(params, *SPEED)}
    tensors = [a.ravel() for a in (dntk(alone, params, X[None], **speed), *ddntk(alone, params, X[None], **speed))]
    goals, delta, z_0, H_0, _, H = trained
    model = jax.vmap(lambda y: one_point.second_order_change(z_0[:1, 0], H_0[:1, 0], *tensors, y, module.RATES, 32)[0], out_axes=1)
    missed = np.abs(H - H_0 - jax.jit(model)(goals))[:, :-1]
    np.testing.assert_allclose(np.polyfit(np.log(delta), np.log(missed).T, 1)[0], 3, atol=0.1)


def test_the_part_of_each_algorithm_is_what_second_order_models_tend_to():
    """dH, ddH → 0: ΔH = -2 dH p + (ddH_I + (2 - ρ/(2-ρ)) ddH_II) p², p = ε_0/H."""
    z, H, y, tiny = 0.2, 1.7, 1.1, 1e-6
    dH, first, second = 0.3, -0.8, 0.5
    found = (
        one_point.second_order_change(*(jnp.array([a]) for a in (z, H, tiny * dH, tiny * first, tiny * second)), y, module.RATES, 60)[0]
        / tiny
    )
    p, part = (z - y) / H, np.r_[0.0, module._finite_steps()]
    np.testing.assert_allclose(found, -2 * dH * p + (first + (2 - part) * second) * p**2, rtol=1e-4)


def test_extra_change_of_the_algorithms_is_what_first_order_says(data):
    ratio = data.extra.values / data.extra_predicted.values[None]
    assert np.all(np.abs(ratio[1] - 1) < 0.15) and np.all(np.abs(ratio[1] - 1) < np.abs(ratio[0] - 1))
    np.testing.assert_allclose(data.extra_predicted[3], data.extra_predicted[1])
    assert data.extra_standard_error.max() < 0.2


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="kernel=1: must be above c_b=2"):
        module.Config(c_b=2.0)
    with pytest.raises(ValueError, match="evaluations=18: must be a multiple of 4"):
        module.Config(evaluations=18)
