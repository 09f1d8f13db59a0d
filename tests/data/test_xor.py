"""Exclusive or: the truth table, and the geometry that makes it hard."""

import numpy as np

from dltheory.data import XOR


def test_truth_table():
    data = XOR().load()
    np.testing.assert_array_equal(data.train.x, [[0, 0], [0, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(data.train.y, [[0], [1], [1], [0]])
    np.testing.assert_array_equal(data.train.label, [0, 1, 1, 0])
    assert (data.test.x.shape, data.test.y.shape, data.test.label.shape) == ((0, 2), (0, 1), (0,))


def test_one_class_is_farther_apart_than_two():
    train = XOR().load().train
    squared = np.sum((train.x[:, None] - train.x) ** 2, axis=2)
    same = train.label[:, None] == train.label
    np.testing.assert_array_equal(squared[~same], 1)
    np.testing.assert_array_equal(squared[same & ~np.eye(4, dtype=bool)], 2)
