"""The registry, `load` by name, and tracked pairs."""

import jax
import numpy as np
import pytest

from dltheory.data import Data, Digits, Points, TwoPoints, draw_pair, load

LABELS = (0, 0, 1, 2, 2, 2)


def labelled(*labels):
    label = np.array(labels, np.int64)
    return Points(np.arange(3.0 * len(label)).reshape(-1, 3), np.zeros((len(label), 1)), label)


def test_names():
    assert set(Data.options) == {"two_points", "xor", "context_blobs", "digits", "mnist", "products"}
    batches = {"two_points": 0, "xor": 0, "context_blobs": 64, "digits": 64, "mnist": 64, "products": 256}
    assert {name: kind().batch for name, kind in Data.options.items()} == batches


def test_load_is_the_record_of_that_name():
    by_name, built = load("two_points", dx=2.0, outputs=3), TwoPoints(dx=2.0, outputs=3).load()
    assert jax.tree.all(jax.tree.map(np.array_equal, by_name, built))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("moons", {}, "data=moons: must be one of context_blobs, digits, mnist, products, two_points, xor"),
        ("two_points", {"dz": 1}, "dz: no option of data=two_points, whose options are dx, dy, inputs, outputs"),
        ("xor", {"dx": 1}, "dx: no option of data=xor, whose options are none"),
        ("two_points", {"dx": -1.0}, "dx=-1.0: must be ≥ 1e-06"),
        ("digits", {"normalise": "zca"}, "normalise=zca: must be one of standard, unit, sphere"),
        ("digits", {"test": 0.95}, "test=0.95: must be in [0, 0.9]"),
        ("digits", {"points": 1439}, "points=1439: must be ≤ 1438, the training images there are, or 0 for all"),
        ("mnist", {"part": "t11k"}, "part=t11k: must be one of train, t10k"),
    ],
)
def test_what_is_not_allowed_is_named(name, options, message):
    with pytest.raises(ValueError) as error:
        load(name, **options)
    assert str(error.value) == message


def test_pairs_differ_in_class_and_repeat_with_the_seed():
    points = labelled(*LABELS)
    pairs = [tuple(draw_pair(points, seed)) for seed in range(200)]
    assert all(LABELS[first] != LABELS[second] for first, second in pairs)
    assert pairs == [tuple(draw_pair(points, seed)) for seed in range(200)]
    assert set(pairs) == {(i, j) for i in range(6) for j in range(6) if LABELS[i] != LABELS[j]}


def test_given_indices_are_kept():
    points = labelled(*LABELS)
    np.testing.assert_array_equal(draw_pair(points, 0, 5, 0), [5, 0])
    assert {tuple(draw_pair(points, seed, first=2)) for seed in range(100)} == {(2, j) for j in (0, 1, 3, 4, 5)}
    assert {tuple(draw_pair(points, seed, second=4)) for seed in range(100)} == {(i, 4) for i in (0, 1, 2)}


@pytest.mark.parametrize(
    ("labels", "first", "second", "message"),
    [
        (LABELS, 6, -1, "first=6: must be a point, 0 to 5, or -1 to draw one"),
        (LABELS, 0, -2, "second=-2: must be a point, 0 to 5, or -1 to draw one"),
        (LABELS, 3, 5, "first=3, second=5: must differ in class, both are of class 2"),
        (LABELS, 1, 1, "first=1, second=1: must differ in class, both are of class 0"),
        ((4, 4), -1, -1, "a pair needs points of two classes: all points given share one"),
    ],
)
def test_impossible_pairs(labels, first, second, message):
    with pytest.raises(ValueError) as error:
        draw_pair(labelled(*labels), 0, first, second)
    assert str(error.value) == message


def test_pairs_of_digits_have_targets_at_squared_distance_2():
    points = Digits().load().train
    first, second = np.array([draw_pair(points, seed) for seed in range(50)]).T
    np.testing.assert_allclose(np.sum((points.y[first] - points.y[second]) ** 2, axis=1), 2, rtol=1e-15)
