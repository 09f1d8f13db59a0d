"""Splits, normalisations and targets, on images made here."""

import numpy as np
import pytest

from dltheory.data.images import NORMALISATIONS, TARGETS, encode, normalise, split

LABELS = np.array([3, 0, 9, 3], np.int64)


def pixels(rows):
    return np.random.default_rng(1).random((rows, 12))


@pytest.mark.parametrize(("count", "fraction", "held_out"), [(10, 0.3, 3), (100, 0.29, 29), (7, 0.0, 0), (50, 0.9, 45)])
def test_split_is_disjoint_complete_and_fixed(count, fraction, held_out):
    train, test = split(count, fraction)
    assert len(test) == held_out
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(count))
    np.testing.assert_array_equal(np.concatenate([train, test]), np.random.default_rng(0).permutation(count))


def test_standard_uses_the_training_images_alone():
    training, images = pixels(20), 3 * pixels(5) + 1
    x = normalise("standard", training, training)
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], rtol=0, atol=1e-14)
    np.testing.assert_allclose(normalise("standard", images, training) * training.std() + training.mean(), images, rtol=1e-14)


def test_sphere_is_centred_of_norm_inputs_and_blind_to_brightness_and_contrast():
    images = pixels(5)
    x = normalise("sphere", images, pixels(20))
    np.testing.assert_allclose(np.sum(x**2, axis=1), 12, rtol=1e-14)
    np.testing.assert_allclose(x.sum(axis=1), 0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(normalise("sphere", 0.3 * images + 0.2, pixels(20)), x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.corrcoef(x[0], images[0])[0, 1], 1, rtol=1e-14)


def test_unit_changes_nothing():
    np.testing.assert_array_equal(normalise("unit", pixels(5), pixels(20)), pixels(5))


@pytest.mark.parametrize("how", NORMALISATIONS)
def test_no_images_stay_none(how):
    assert normalise(how, pixels(0), pixels(20)).shape == (0, 12)


def test_equal_pixels_are_refused_where_they_would_divide_by_zero():
    blank = np.full((1, 12), 0.5)
    for how, images, training in [("standard", pixels(2), blank), ("sphere", np.vstack([pixels(2), blank]), pixels(2))]:
        with pytest.raises(ValueError, match=f"^normalise={how}: .*equal pixels"):
            normalise(how, images, training)


def test_targets():
    one_hot, centred, index = (encode(how, LABELS) for how in TARGETS)
    np.testing.assert_array_equal(one_hot, [[float(c == label) for c in range(10)] for label in LABELS])
    np.testing.assert_allclose(centred, one_hot - 0.1, rtol=0, atol=1e-16)
    np.testing.assert_allclose(centred.sum(axis=1), 0, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(index, [[3.0], [0.0], [9.0], [3.0]])
