"""Means, medians and their error bars."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.numerics import Estimate

x = np.random.default_rng(0).normal(size=(7, 3, 5))


def resampled_median_error(draws):
    """By listing all n^n samples with replacement."""
    return np.std([np.median(s) for s in itertools.product(draws, repeat=len(draws))])


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("as_array", [np.asarray, jnp.asarray])
def test_mean_and_its_error_match_numpy(axis, as_array):
    estimate = Estimate.of(as_array(x), axis)
    np.testing.assert_allclose(estimate.mean, x.mean(axis), rtol=1e-13)
    np.testing.assert_allclose(estimate.standard_error, x.std(axis, ddof=1) / np.sqrt(x.shape[axis]), rtol=1e-13)
    assert np.all(estimate.count == x.shape[axis]) and estimate.count.shape == estimate.mean.shape
    assert isinstance(estimate.mean, type(as_array(0.0)))


def test_mean_of_one_dimension_is_a_scalar():
    estimate = Estimate.of(x[:, 0, 0])
    assert estimate.mean.shape == estimate.standard_error.shape == ()


def test_error_of_a_single_draw_is_unknown():
    estimate = Estimate.of(x[:1])
    assert (estimate.mean == x[0]).all() and jnp.isnan(estimate.standard_error).all()


def test_draws_of_low_precision_are_averaged_in_double():
    draws = np.full(100_000, 0.1, np.float32)
    assert abs(Estimate.of(draws).mean - np.float64(np.float32(0.1))) < 1e-15


def test_a_fraction_is_the_mean_of_truths():
    estimate = Estimate.of(jnp.arange(10) < 3)
    np.testing.assert_allclose([estimate.mean, estimate.standard_error], [0.3, np.sqrt(0.3 * 0.7 / 9)], rtol=1e-14)


def test_z_counts_standard_errors_above_the_exact_value():
    estimate = Estimate(jnp.array([1.0, 2.0]), jnp.array([0.5, 0.1]), jnp.asarray(9))
    np.testing.assert_allclose(estimate.z(1.5), [-1, 5], rtol=1e-14)
    np.testing.assert_allclose(estimate.z(jnp.array([1.0, 3.0])), [0, -10], rtol=1e-14)


def test_arithmetic_with_exact_numbers_is_that_of_the_draws():
    shifted, alone = Estimate.of((x - 2) * -3 / 4), (Estimate.of(x) - 2) * -3 / 4
    np.testing.assert_allclose(alone.mean, shifted.mean, rtol=1e-12)
    np.testing.assert_allclose(alone.standard_error, shifted.standard_error, rtol=1e-12)
    one = alone[1, 2]
    assert (one.mean, one.standard_error, one.count) == (alone.mean[1, 2], alone.standard_error[1, 2], 7)


def test_z_follows_the_student_distribution(getkey):
    n, repetitions = 12, 4000
    draws = 3 + 2 * jax.random.normal(getkey(), (repetitions, n))
    squares = Estimate.of(jax.vmap(Estimate.of)(draws).z(3.0) ** 2)
    assert abs(squares.z((n - 1) / (n - 3))) < 5 and squares.standard_error < 0.05


def test_compiles_batches_and_is_a_tree():
    alone = Estimate.of(x[:, 1])
    for estimate in (
        jax.jit(Estimate.of)(x[:, 1]),
        jax.tree.map(lambda leaf: leaf[1], jax.vmap(Estimate.of, 1)(jnp.asarray(x))),
    ):
        np.testing.assert_allclose(estimate.mean, alone.mean, rtol=1e-14)
        np.testing.assert_allclose(estimate.standard_error, alone.standard_error, rtol=1e-12)
        assert np.all(estimate.count == 7) and np.all(alone.count == 7)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_error_of_the_median_is_that_of_all_samples_with_replacement(n):
    draws = np.random.default_rng(n).exponential(size=n)
    estimate = Estimate.of_median(draws, resamples=200_000)
    assert estimate.mean == np.median(draws)
    np.testing.assert_allclose(estimate.standard_error, resampled_median_error(draws), rtol=0.01)


def test_error_of_the_median_of_many_normal_draws():
    n = 2001
    estimates = [Estimate.of_median(draws) for draws in np.random.default_rng(1).normal(size=(16, n))]
    np.testing.assert_allclose(np.mean([e.standard_error for e in estimates]), np.sqrt(np.pi / 2 / n), rtol=0.15)
    assert max(abs(e.z(0.0)) for e in estimates) < 5 and all(e.count == n for e in estimates)


def test_error_of_the_median_is_the_same_at_each_call():
    assert Estimate.of_median(x[:, 0, 0]).standard_error == Estimate.of_median(x[:, 0, 0]).standard_error
