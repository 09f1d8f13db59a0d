"""Training: the same steps as plain NumPy and optax loops, the flow as their limit, the rate rule on real networks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dltheory import models, training
from dltheory.data import TwoPoints
from dltheory.models import Activations

POINTS = TwoPoints().load().train


def network(key, dtype=jnp.float64, gain=1.0, **fields):
    fields = {"width": 8, "hidden_layers": 2, "activation": "tanh"} | fields
    return models.functional(models.MLPConfig(**fields).build(key, 1, 1, gain, dtype))


def watch_loss(params, activations, loss):
    return loss


def test_gradient_descent_is_the_loop_of_a_textbook(getkey):
    x, y = (np.asarray(jax.random.normal(getkey(), s)) for s in ((6, 3), (6, 2)))
    w, b = np.zeros((3, 2)), np.zeros(2)
    losses, rate = [], 0.1
    for _ in range(7):
        error = x @ w + b - y
        losses.append(0.5 * np.mean(np.sum(error**2, 1)))
        w, b = w - rate * x.T @ error / 6, b - rate * error.mean(0)
    start = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    apply = lambda p, x: Activations((), x @ p["w"] + p["b"][None])
    params, seen = training.train(apply, start, x, y, optax.sgd(rate), 7, watch_loss)
    np.testing.assert_allclose(seen, losses, rtol=1e-12)
    np.testing.assert_allclose(params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(params["b"], b, rtol=1e-12)


@pytest.mark.parametrize("optimizer", [training.GradientDescent(), training.Momentum(momentum=0.8), training.Adam()])
def test_optimizers_are_optax_loops(getkey, optimizer):
    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes types
        check_against_a_loop(getkey, optimizer)


def check_against_a_loop(getkey, optimizer):
    params, apply = network(getkey())
    reference = {"GradientDescent": optax.sgd(0.05), "Momentum": optax.sgd(0.05, 0.8), "Adam": optax.adam(0.05)}[type(optimizer).__name__]
    loss = lambda p: training.mean_squared_error(apply(p, jnp.asarray(POINTS.x)).output, jnp.asarray(POINTS.y))
    p, moments, losses = params, reference.init(params), []
    for _ in range(12):
        value, slope = jax.value_and_grad(loss)(p)
        losses.append(value)
        updates, moments = reference.update(slope, moments, p)
        p = optax.apply_updates(p, updates)
    end, seen = optimizer.train(apply, params, POINTS.x, POINTS.y, 0.05, 12, watch_loss)
    np.testing.assert_allclose(seen, losses, rtol=1e-11)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), end, p)


def test_records_every_k_steps_are_the_same_records(getkey):
    params, apply = network(getkey())
    run = lambda every: training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, 0.1, 24, watch_loss, every=every)
    (end, all_of_them), (same_end, some) = run(1), run(4)
    np.testing.assert_allclose(some, all_of_them[::4], rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), end, same_end)
    with pytest.raises(ValueError, match="every=5: must divide steps=24"):
        run(5)


def test_mini_batches_visit_every_point_once_an_epoch():
    order = training._order(jax.random.key(0), 10, 4, 25)
    assert order.shape == (25, 4)
    epochs = np.asarray(order).reshape(10, 10)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(10), (10, 1)))
    assert len({tuple(e) for e in epochs}) == 10
    x, y = np.arange(10.0)[:, None], np.zeros((10, 1))
    apply = lambda p, x: Activations((x,), x * p)
    observe = lambda p, a, loss: a.hidden[0][:, 0]
    _, seen = training.train(apply, jnp.asarray(0.0), x, y, optax.sgd(0.0), 25, observe, batch=4, key=jax.random.key(0), every=5)
    np.testing.assert_array_equal(seen, np.asarray(order, float)[::5])
    again = training._order(jax.random.key(0), 10, 4, 25)
    np.testing.assert_array_equal(order, again)


@pytest.mark.parametrize("activation", ["linear", "tanh", "swish"])
def test_gradient_flow_is_gradient_descent_at_small_rates(getkey, activation):
    params, apply = network(getkey(), width=20, hidden_layers=3, activation=activation)
    observe = lambda p, a, loss: a.hidden[1][1] - a.hidden[1][0]
    gaps = []
    for rate in (0.01, 0.005):
        steps = int(40 / rate)
        _, descent = training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, rate, steps, observe, every=steps // 50)
        _, flow = training.GradientFlow(tolerance=1e-8).train(apply, params, POINTS.x, POINTS.y, rate, steps, observe, every=steps // 50)
        h_descent, h_flow = (jnp.sum(a**2, axis=1) for a in (descent, flow))
        gaps.append(float(jnp.max(jnp.abs(h_descent - h_flow)) / jnp.max(h_flow)))
    assert gaps[0] < 0.02
    assert 1.7 < gaps[0] / gaps[1] < 2.3, "the gap is of first order in the rate"


def test_gradient_flow_ends_where_the_steps_end(getkey):
    params, apply = network(getkey())
    output = lambda p, a, loss: a.output[:, 0]
    flow = training.GradientFlow(tolerance=1e-9)
    run = lambda steps, every: flow.train(apply, params, POINTS.x, POINTS.y, 0.05, steps, output, every=every)
    (end, some), (_, longer) = run(40, 20), run(60, 1)
    np.testing.assert_allclose(some, longer[:40:20], rtol=1e-6)
    np.testing.assert_allclose(apply(end, jnp.asarray(POINTS.x)).output[:, 0], longer[40], rtol=1e-6)
    with pytest.raises(ValueError, match="batch=2: gradient flow takes all points"):
        training.GradientFlow().train(apply, params, POINTS.x, POINTS.y, 0.05, 40, watch_loss, batch=2)


@pytest.mark.parametrize("activation", ["tanh", "leaky_relu"])
def test_tangent_eigenvalue_is_that_of_the_explicit_jacobian(getkey, activation):
    params, apply = network(getkey(), activation=activation)
    x = jax.random.normal(getkey(), (6, 1))
    jacobian = jax.jacrev(lambda p: apply(p, x).output.ravel())(params)
    J = np.concatenate([np.asarray(a).reshape(6, -1) for a in jax.tree.leaves(jacobian)], axis=1)
    found = training.tangent_eigenvalue(getkey(), apply, params, x, iterations=200)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(J @ J.T)[-1] / 6, rtol=1e-9)
    quick = training.tangent_eigenvalue(getkey(), apply, params, x)
    assert 0.9 * found < quick < found * (1 + 1e-12)


def test_rate_rule_and_its_exceptions():
    np.testing.assert_allclose(training.rate_rule(jnp.array([0.1, 50.0]), 11), [0.3 / 11, 0.3 / 50])
    np.testing.assert_allclose(training.GradientDescent().choose_rate(50.0, 11), 0.3 / 50)
    np.testing.assert_allclose(training.Momentum(momentum=0.9).choose_rate(50.0, 11), 0.03 / 50)
    np.testing.assert_allclose(training.Momentum(rate=0.2).choose_rate(50.0, 11), 0.2)
    np.testing.assert_allclose(training.Adam().choose_rate(50.0, 11), 1e-3)


def final_losses(activation, scales, seeds, hidden_layers, width, steps):
    config = models.MLPConfig(activation=activation, hidden_layers=hidden_layers, width=width)

    def one(key, scale):
        params, apply = models.functional(config.build(key, 1, 1, scale ** (1 / config.weight_layers)))
        rate = training.rate_rule(training.tangent_eigenvalue(key, apply, params, POINTS.x), config.weight_layers)
        return training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, rate, steps, watch_loss, every=10)[1]

    keys = jnp.tile(jax.random.split(jax.random.key(0), seeds), len(scales))
    losses = jax.jit(lambda k, s: training.over_networks(one, k, s))(keys, jnp.repeat(jnp.asarray(scales), seeds))
    return np.asarray(losses).reshape(len(scales), seeds, -1)


def test_rate_rule_converges_from_rich_to_lazy():
    losses = final_losses("leaky_relu", (0.05, 1.0, 10.0, 100.0, 1000.0, 2e4), 5, 10, 100, 8000)
    assert np.all(losses[:-1, :, -1] <= 1e-6)
    lazy = losses[-1]
    assert np.sum(lazy[:, -1] <= 1e-6) >= 4
    assert np.all(lazy[:, -1] <= np.maximum(0.5 * lazy[:, 400], 1e-6)), "the one that is slower still goes down"


@pytest.mark.parametrize("activation", ["linear", "relu", "abs", "tanh", "sin", "erf"])
def test_rate_rule_over_activations(activation):
    losses = final_losses(activation, (0.05, 1.0, 10.0), 2, 5, 50, 6000)
    assert np.all(losses[..., -1] <= 1e-6)


def test_seeds_in_one_program_are_the_seeds_alone(getkey):
    def one(key):
        params, apply = network(key)
        return training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, 0.05, 20, watch_loss)[1]

    keys = jax.random.split(getkey(), 3)
    together = training.over_networks(one, keys)
    np.testing.assert_allclose(together[1], one(keys[1]), rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(one)(keys), together, rtol=1e-12)


def test_somebody_may_listen_without_changing_anything(getkey):
    params, apply = network(getkey())
    run = lambda: training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, 0.05, 309, watch_loss, every=3)
    _, silent = run()
    heard = []
    token = training.progress.set(lambda steps, total, loss: heard.append((int(steps), int(total), float(loss))))
    try:
        _, seen = run()
        jax.effects_barrier()
    finally:
        training.progress.reset(token)
    np.testing.assert_allclose(seen, silent, rtol=1e-12)
    assert len(heard) == training.TICKS and sum(steps for steps, _, _ in heard) == 300 and {total for _, total, _ in heard} == {300}
    assert min(loss for *_, loss in heard) == pytest.approx(float(silent[-1]))


def test_single_precision_is_kept(getkey):
    params, apply = network(getkey(), dtype=jnp.float32)
    end, seen = training.GradientDescent().train(apply, params, POINTS.x, POINTS.y, 0.05, 5, watch_loss)
    assert {a.dtype for a in jax.tree.leaves(end)} == {jnp.dtype("float32")} and seen.dtype == jnp.float32
