"""The digits that scikit-learn carries."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from dltheory.data import Digits


def test_all_images_are_there_once():
    raw = load_digits()
    data = Digits(normalise="unit", targets="index").load()
    assert (data.train.x.shape, data.test.x.shape) == ((1438, 64), (359, 64))
    found = np.vstack([np.hstack([part.x * 16, part.label[:, None]]) for part in (data.train, data.test)])
    expected = np.hstack([raw.data, raw.target[:, None]])
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9])
def test_fraction_held_out(fraction):
    data = Digits(test=fraction).load()
    assert len(data.test.label) == round(fraction * 1797)
    assert len(data.train.label) + len(data.test.label) == 1797
    assert data.test.x.shape[1:] == (64,) and data.test.y.shape[1:] == (10,)


def test_loading_repeats_and_only_the_fields_matter():
    assert jax.tree.all(jax.tree.map(np.array_equal, Digits().load(), Digits(batch=0).load()))


@pytest.mark.parametrize("points", [0, 100])
def test_normalisations(points):
    standard, unit, sphere = (Digits(normalise=how, points=points).load() for how in ("standard", "unit", "sphere"))
    np.testing.assert_allclose([standard.train.x.mean(), standard.train.x.std()], [0, 1], rtol=0, atol=1e-13)
    mean, deviation = unit.train.x.mean(), unit.train.x.std()
    np.testing.assert_allclose(standard.test.x, (unit.test.x - mean) / deviation, rtol=0, atol=1e-13)
    for part in (unit.train, unit.test):
        assert (part.x.min(), part.x.max()) == (0, 1)
    for part in (sphere.train, sphere.test):
        np.testing.assert_allclose(np.sum(part.x**2, axis=1), 64, rtol=1e-13)
        np.testing.assert_allclose(part.x.mean(axis=1), 0, rtol=0, atol=1e-14)


def test_fewer_points_are_the_first_and_the_test_set_stays():
    few, all_of_them = Digits(normalise="unit", points=100).load(), Digits(normalise="unit").load()
    assert jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b[:100]), few.train, all_of_them.train))
    assert jax.tree.all(jax.tree.map(np.array_equal, few.test, all_of_them.test))


def test_targets_say_the_class():
    one_hot, centred, index = (Digits(targets=how).load() for how in ("one_hot", "centred", "index"))
    for part in ("train", "test"):
        a, b, c = (getattr(data, part) for data in (one_hot, centred, index))
        np.testing.assert_array_equal(a.y.argmax(axis=1), a.label)
        np.testing.assert_allclose(a.y - b.y, 0.1, rtol=0, atol=1e-16)
        np.testing.assert_array_equal(c.y[:, 0], a.label)
