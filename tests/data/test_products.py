"""Numbers and their product: the law of both, and that nothing is shared between training and test."""

import numpy as np
import pytest

from dltheory.data import Products, load


def test_inputs_and_targets_by_loops():
    data = load("products", factors=5, points=40, test=30, seed=3)
    assert (data.train.x.shape, data.train.y.shape, data.test.x.shape) == ((40, 5), (40, 1), (30, 5))
    for part in (data.train, data.test):
        for x, y, label in zip(part.x, part.y, part.label, strict=True):
            product = 1.0
            for number in x:
                product *= number
            np.testing.assert_allclose(y, [product], rtol=1e-14)
            assert label == (product >= 1) and np.all((x >= 0) & (x < 2))
    assert not set(data.train.x[:, 0]) & set(data.test.x[:, 0])
    assert not np.array_equal(data.train.x, load("products", factors=5, points=40, test=30, seed=4).train.x)


def test_law_of_twenty_numbers():
    """Median and share below .01 as on the theory page, geometric mean and mean by closed forms, to 5 standard errors."""
    n, points = 20, 200_000
    y = Products(factors=n, points=points, test=0).load().train.y[:, 0]
    error = np.log(y).std() / points**0.5
    np.testing.assert_allclose(np.log(y).mean(), n * (np.log(2) - 1), atol=5 * error)
    assert error < 0.02
    np.testing.assert_allclose(np.exp(n * (np.log(2) - 1)), 0.00216, rtol=5e-3)
    np.testing.assert_allclose((4 / 3) ** n, 315.3, rtol=5e-4)
    np.testing.assert_allclose(np.median(y), 0.0030, rtol=0.05)
    np.testing.assert_allclose((y < 0.01).mean(), 0.61, atol=0.01)


def test_second_moment():
    y = Products(factors=4, points=200_000, test=0).load().train.y[:, 0]
    for power, moment in ((1, 1.0), (2, (4 / 3) ** 4)):
        np.testing.assert_allclose((y**power).mean(), moment, atol=5 * (y**power).std() / len(y) ** 0.5)


def test_the_product_of_signs_is_their_parity():
    data = Products(factors=7, numbers="signs", points=500, test=10).load().train
    assert set(data.x.ravel()) == {-1.0, 1.0}
    np.testing.assert_array_equal(data.y[:, 0], 1 - 2 * ((data.x < 0).sum(1) % 2))
    np.testing.assert_array_equal(data.label, data.y[:, 0] > 0)


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match=r"^factors=0: must be in \[1, 1000\]$"):
        Products(factors=0).load()
    with pytest.raises(ValueError, match=r"^numbers=bits: must be one of uniform, signs$"):
        load("products", numbers="bits")
