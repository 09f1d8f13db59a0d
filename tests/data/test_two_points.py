"""Two points at the distances that the theory of representation dynamics is told."""

import jax
import numpy as np
import pytest

from dltheory.data import TwoPoints


def test_published_setting():
    data = TwoPoints().load()
    np.testing.assert_array_equal(data.train.x, [[-1], [0]])
    np.testing.assert_allclose(data.train.y, [[0.6], [1.3071067811865476]], rtol=1e-15)
    np.testing.assert_array_equal(data.train.label, [0, 1])
    assert (data.test.x.shape, data.test.y.shape, data.test.label.shape) == ((0, 1), (0, 1), (0,))


@pytest.mark.parametrize("dx", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("dy", [0.0, 1.0])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (4, 1), (7, 3)])
def test_distances_and_norms_do_not_depend_on_dimensions(dx, dy, inputs, outputs):
    train = TwoPoints(dx, dy, inputs, outputs).load().train
    assert (train.x.shape, train.y.shape) == ((2, inputs), (2, outputs))
    np.testing.assert_allclose(np.sum((train.x[1] - train.x[0]) ** 2), dx**2, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.sum((train.y[1] - train.y[0]) ** 2), dy**2, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(train.x, axis=1), [1, abs(dx - 1)], rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(train.y, axis=1), [0.6, 0.6 + dy], rtol=0, atol=1e-14)
    np.testing.assert_allclose(train.x, train.x[:, :1] * np.ones(inputs), rtol=0)
    assert np.all(train.x[0] < 0) and np.all(train.y > 0)


def test_distances_are_traced_and_dimensions_are_not():
    assert jax.tree.leaves(TwoPoints(2.0, 3.0)) == [2.0, 3.0]
    assert jax.tree.structure(TwoPoints(2.0)) == jax.tree.structure(TwoPoints(1.0)) != jax.tree.structure(TwoPoints(inputs=2))


@pytest.mark.parametrize("options", [{"dx": -0.1}, {"dy": float("nan")}, {"inputs": 0}, {"outputs": -1}])
def test_ranges(options):
    (key,) = options
    with pytest.raises(ValueError, match=f"^{key}="):
        TwoPoints(**options).load()
