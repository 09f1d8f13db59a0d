"""Training with noise: the steps of a plain loop with one key each, seen through the network without noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dltheory import models, training

STEPS, RATE = 12, 0.05


def network(getkey, **fields):
    fields = {"width": 8, "hidden_layers": 2, "activation": "tanh", "probability": 0.3} | fields
    params, apply = models.functional(models.DropoutConfig(**fields).build(getkey(), 3, 2, 1.0, jnp.float64))
    return params, apply, *(np.asarray(jax.random.normal(getkey(), (6, n))) for n in (3, 2))


def observe(params, activations, loss):
    return params, activations, loss


def plain_loop(apply, params, x, y, noise, rows=None):
    """End, and what there is to see before each step: parameters, the forward pass without noise, the loss with it."""
    sgd, seen, moments = optax.sgd(RATE), [], optax.sgd(RATE).init(params)

    @jax.jit
    @jax.value_and_grad
    def loss(params, points, goals, key):
        return 0.5 * jnp.mean(jnp.sum((apply(params, points, key=key).output - goals) ** 2, axis=1))

    for step, key in enumerate(jax.random.split(noise, STEPS)):
        points, goals = (jnp.asarray(a if rows is None else a[rows[step]]) for a in (x, y))
        value, slope = loss(params, points, goals, key)
        seen.append((params, apply(params, points), value))
        updates, moments = sgd.update(slope, moments, params)
        params = optax.apply_updates(params, updates)
    return params, seen


def assert_agree(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), found, expected)


@pytest.mark.parametrize("every", [1, 3])
def test_noise_is_one_key_a_step_and_is_not_observed(getkey, every):
    params, apply, x, y = network(getkey)
    noise = getkey()
    end, expected = plain_loop(apply, params, x, y, noise)
    found, seen = training.train(apply, params, x, y, optax.sgd(RATE), STEPS, observe, every=every, noise=noise)
    assert_agree(found, end)
    assert_agree(seen, jax.tree.map(lambda *a: jnp.stack(a), *expected[::every]))
    noisy = apply(params, jnp.asarray(x), key=jax.random.split(noise, STEPS)[0])
    assert not np.allclose(seen[1].output[0], noisy.output) and not np.allclose(seen[1].hidden[0][0], noisy.hidden[0])


@pytest.mark.parametrize("every", [1, 3])
def test_noise_in_mini_batches(getkey, every):
    params, apply, x, y = network(getkey)
    noise, order = getkey(), getkey()
    rows = np.asarray(training._order(order, len(x), 4, STEPS))
    end, expected = plain_loop(apply, params, x, y, noise, rows)
    found, seen = training.GradientDescent().train(apply, params, x, y, RATE, STEPS, observe, every=every, batch=4, key=order, noise=noise)
    assert_agree(found, end)
    assert_agree(seen, jax.tree.map(lambda *a: jnp.stack(a), *expected[::every]))


def test_noise_matters_and_its_key_decides(getkey):
    params, apply, x, y = network(getkey)
    run = lambda noise: training.GradientDescent().train(apply, params, x, y, RATE, STEPS, lambda p, a, loss: loss, noise=noise)[1]
    key = getkey()
    quiet, first, again, other = run(None), run(key), run(key), run(getkey())
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, quiet, rtol=1e-3) and not np.allclose(first, other, rtol=1e-3)


def test_dropout_of_nothing_is_training_without_noise(getkey):
    params, apply, x, y = network(getkey, probability=0.0)
    run = lambda noise: training.train(apply, params, x, y, optax.sgd(RATE), STEPS, observe, every=3, noise=noise)
    assert_agree(run(getkey()), run(None))


def test_gradient_flow_has_no_noise(getkey):
    params, apply, x, y = network(getkey)
    with pytest.raises(ValueError, match="gradient flow follows one function of the parameters"):
        training.GradientFlow().train(apply, params, x, y, RATE, STEPS, observe, noise=getkey())
