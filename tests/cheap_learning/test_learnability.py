"""Least sizes with censoring, times to learn, and narrow networks inside wide ones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dltheory.cheap_learning.learnability import learning_time, least_size, narrow
from dltheory.models import MLP, functional
from dltheory.training import train

SIZES = [2, 4, 8, 16, 32]


def test_least_size_without_scatter():
    """Errors 1/N: the first size at most 1/threshold, and the interval to the size before."""
    errors = np.repeat(1 / np.array(SIZES, float)[:, None], 4, axis=1)
    assert least_size(SIZES, errors, 1 / 7) == (8, 4, 8, 0)
    assert least_size(SIZES, errors, 1 / 8) == (8, 4, 8, 0)
    assert least_size(SIZES, errors, 0.9) == (2, 0, 2, -1)
    assert least_size(SIZES, errors, 0.01) == (32, 32, np.inf, 1)


def test_interval_of_the_least_size_against_a_known_law():
    """Networks whose ln error is normal around -ln N: the interval holds the least size of the true medians in 68 % of draws or more."""
    random = np.random.default_rng(1)
    held, width = [], []
    for _ in range(200):
        truth = random.uniform(5, 25)
        errors = np.exp(random.normal(np.log(truth) - np.log(SIZES)[:, None], 0.3, (5, 6)))
        least = least_size(SIZES, errors, 1.0, resamples=200)
        assert least.low < least.size <= least.high
        held.append(least.low < truth <= least.high)
        width.append(least.high / least.low)
    assert np.mean(held) > 0.68 - 5 * (0.68 * 0.32 / 200) ** 0.5
    assert np.mean(np.array(width) <= 4) > 0.8


def test_scatter_widens_the_interval_and_reaches_the_ends():
    errors = np.array([[0.5, 0.5, 1.5, 1.5, 1.5], [0.5, 0.5, 0.5, 1.5, 1.5], [0.5, 0.5, 0.5, 0.5, 1.5]])
    least = least_size([1, 2, 4], errors, 1.0)
    assert (least.size, least.censored) == (2, 0)
    assert least.low == 0 and least.high == 4
    assert least_size([1, 2, 4], errors[::-1], 1.0).censored == -1
    assert least_size([1, 2], errors[[0, 0]] + 0.6, 1.0) == (2, 2, np.inf, 1)


@pytest.mark.parametrize("sizes", [[2, 4], [4, 2, 8], [2, 2, 4]])
def test_sizes_must_increase_and_fit(sizes):
    with pytest.raises(ValueError, match="must increase, one for each of 3 rows"):
        least_size(sizes, np.ones((3, 2)), 0.5)


def test_time_to_learn_and_censored_runs():
    steps = np.array([0, 10, 20, 30])
    errors = np.array([[1, 0.5, 0.1, 0.2], [1, 0.9, 0.8, 0.7], [0.05, 0.5, 0.5, 0.5], [1, 1, 1, 0.1]])
    time, learned = learning_time(steps, errors, 0.1)
    np.testing.assert_array_equal(time, [20, 30, 0, 30])
    np.testing.assert_array_equal(learned, [True, False, True, True])
    nested = learning_time(steps, errors.reshape(2, 2, 4), 0.1)
    np.testing.assert_array_equal(nested[0].ravel(), time)


def test_a_narrow_network_in_a_wide_one_is_trained_as_if_alone():
    """Same first weights, cut out of the wide arrays: the same function after training, for a traced width. Softplus is not 0 at 0."""
    random = np.random.default_rng(0)
    x, y = (jnp.asarray(random.uniform(-1, 1, shape), jnp.float32) for shape in ((64, 3), (64, 1)))
    padded, width = jnp.pad(x, ((0, 0), (0, 2))), 5

    def trained(params, apply, points):
        after, _ = train(apply, params, points, y, optax.adam(0.01), 60, lambda *_: (), every=60)
        return apply(params, points).output, apply(after, points).output

    @jax.jit
    def both(width_in_use):
        params, apply = narrow(jax.random.key(1), (5, 8, 8, 1), 3, width_in_use, "softplus")
        biases, weights = jax.tree.leaves(params)[:3], jax.tree.leaves(params)[3:]
        cut = [weights[0][:3, :width], weights[1][:width, :width], weights[2][:width]]
        alone = functional(MLP.of(cut, [*(b[:width] for b in biases[:2]), biases[2]], "softplus"))
        return trained(params, apply, padded), trained(*alone, x)

    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes types
        (before, after), (before_alone, after_alone) = both(width)
    np.testing.assert_allclose(before, before_alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after, after_alone, rtol=1e-3, atol=1e-4)
    assert np.abs(np.asarray(after - before)).max() > 0.1


def test_first_weights_have_the_fan_in_of_the_units_in_use():
    draw = lambda key: jax.tree.leaves(narrow(key, (20, 30, 30, 1), 4, 9, "tanh")[0])
    leaves = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 300))
    biases, weights = leaves[:3], leaves[3:]
    assert all(np.all(np.asarray(b) == 0) for b in biases)
    for w, fan in zip(map(np.asarray, weights), (4, 9, 9), strict=True):
        np.testing.assert_allclose(np.var(w) * fan, 1, atol=5 * (2 / w.size) ** 0.5)
