"""Blobs in two contexts: sizes, targets, the images' closed form and their symmetries."""

import jax
import numpy as np
import pytest

from dltheory.data import ContextBlobs, square


def images(side, pixels):
    """Images of context 0 by centre: (side, side, pixels, pixels)."""
    x = ContextBlobs(side=side, pixels=pixels).load().train.x
    return x[: side**2, : pixels**2].reshape(side, side, pixels, pixels)


def test_published_setting():
    data = ContextBlobs().load()
    assert (data.train.x.shape, data.train.y.shape, data.train.label.shape) == ((1800, 27), (1800, 1), (1800,))
    assert (data.test.x.shape, data.test.y.shape, data.test.label.shape) == ((0, 27), (0, 1), (0,))
    assert ContextBlobs().batch == 64
    np.testing.assert_array_equal(data.train.label, [0] * 900 + [1] * 900)
    np.testing.assert_array_equal(data.train.x[:, 25], [1] * 900 + [0] * 900)
    np.testing.assert_array_equal(data.train.x[:, 26], [0] * 900 + [1] * 900)
    np.testing.assert_array_equal(data.train.x[:900, :25], data.train.x[900:, :25])


@pytest.mark.parametrize(("side", "pixels"), [(30, 5), (4, 3), (3, 6)])
def test_every_image_and_target_by_loops(side, pixels):
    """(x, y*) of each context and centre; the image is a product over the two coordinates."""
    train = ContextBlobs(side=side, pixels=pixels).load().train
    place, pixel = [np.array([-1 + 2 * i / (n - 1) for i in range(n)]) for n in (side, pixels)]
    profile = lambda c: np.exp(-((c - pixel) ** 2) / 2) / np.exp(-((c - pixel) ** 2) / 2).sum()
    row = 0
    for context in (0, 1):
        for across in place:
            for up in place:
                image = train.x[row, : pixels**2].reshape(pixels, pixels)
                np.testing.assert_allclose(image, profile(across)[:, None] * profile(up)[None], rtol=1e-13)
                np.testing.assert_allclose(train.y[row], [(across, up)[context]], rtol=0, atol=1e-15)
                row += 1
    assert row == len(train.x)


def test_one_pixel_in_closed_form():
    """Four pixels at the corners, the centre on one of them: squared distances 0, 4, 4, 8."""
    e = np.exp(-2)
    np.testing.assert_allclose(images(2, 2)[0, 0].ravel(), np.array([1, e, e, e**2]) / (1 + e) ** 2, rtol=1e-15)
    np.testing.assert_allclose(images(3, 2)[1, 1], 0.25, rtol=1e-15)
    five = images(30, 5)[0, 0, 0, 0] ** -0.5
    np.testing.assert_allclose(five, 1 + np.exp(-1 / 8) + np.exp(-1 / 2) + np.exp(-9 / 8) + np.exp(-2), rtol=1e-14)


@pytest.mark.parametrize(("side", "pixels"), [(30, 5), (4, 3), (3, 6)])
def test_each_blob_sums_to_one_and_moves_with_its_centre(side, pixels):
    blobs = images(side, pixels)
    np.testing.assert_allclose(blobs.sum(axis=(2, 3)), 1, rtol=1e-14)
    for axis in (0, 1):
        np.testing.assert_allclose(np.flip(blobs, axis), np.flip(blobs, 2 + axis), rtol=1e-13)
    np.testing.assert_allclose(blobs.transpose(1, 0, 3, 2), blobs, rtol=1e-13)
    mean = np.einsum("ijab,a->ij", blobs, np.linspace(-1, 1, pixels))
    np.testing.assert_allclose(mean, np.broadcast_to(mean[:, :1], mean.shape), rtol=0, atol=1e-14)
    assert np.all(np.diff(mean[:, 0]) > 0) and np.all(blobs > 0)


def test_square_runs_fastest_along_its_second_coordinate():
    np.testing.assert_array_equal(square(2), [[-1, -1], [-1, 1], [1, -1], [1, 1]])
    np.testing.assert_allclose(square(5)[7], [-0.5, 0], atol=1e-15)


def test_sizes_are_part_of_the_program():
    assert jax.tree.leaves(ContextBlobs()) == []
    assert jax.tree.structure(ContextBlobs(side=4)) != jax.tree.structure(ContextBlobs(side=5))


@pytest.mark.parametrize("options", [{"side": 1}, {"pixels": 1}, {"batch": -1}])
def test_ranges(options):
    ((key, value),) = options.items()
    with pytest.raises(ValueError, match=f"^{key}={value}: must be ≥"):
        ContextBlobs(**options).load()
