"""Products in k layers: the table of the fewest neurons, the real optimum, and the networks themselves."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from dltheory.cheap_learning import depth, flat

TABLE = {20: (1048576, 112, 92), 32: (2**32, 384, 144, 128, 124), 16: (65536, 80, 64, 60), 64: (2**64, 2304, 336, 272, 256, 252)}


def test_the_table_of_the_fewest_neurons():
    for n, row in TABLE.items():
        assert tuple(depth.depth_neurons(depth.best_split(n, k)) for k in range(1, len(row) + 1)) == row
    assert depth.best_split(20, 3) == (2, 2, 5)
    assert sorted(depth.splits(16, 2)) == [(2, 8), (4, 4), (8, 2)]
    np.testing.assert_allclose([depth.depth_curve(20, k) for k in (1, 2, 3)], [1048576, 99.3, 48.4], rtol=1e-3)


def test_networks_have_the_counted_neurons_and_multiply():
    x = np.random.default_rng(0).uniform(0.5, 1, (50, 12))
    for split in ((3, 4), (2, 3, 2)):
        build = lambda scale, split=split: depth.depth_product(split, "exp", scale)
        net = jax.jit(build)(0.05)
        assert (net.neurons, net.depth) == (depth.depth_neurons(split), len(split))
        np.testing.assert_allclose(jax.jit(lambda net: net(x))(net), x.prod(1), rtol=0.05)
    one, flattened = depth.depth_product((3,), "exp", 0.1), flat.flat_product(3, "exp", 0.1)
    np.testing.assert_array_equal(one.weights[0], flattened.weights[0])


def test_real_widths_are_those_of_a_numerical_optimum():
    n, k = np.random.default_rng(1).uniform(50, 500), 3
    sums = {"type": "eq", "fun": lambda y: y.sum() - np.log(n)}
    start = np.full(k, np.log(n) / k)
    found = minimize(lambda y: np.log(depth.depth_neurons(np.exp(y))), start, constraints=sums, method="SLSQP", options={"ftol": 1e-15})
    b = depth.optimal_widths(n, k)
    np.testing.assert_allclose(b, np.exp(found.x), rtol=1e-5)
    assert np.all(np.diff(b) > 0)
    np.testing.assert_allclose(b.prod(), n)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="layers=3: must be at most the number of prime factors of n=15"):
        depth.best_split(15, 3)
    with pytest.raises(ValueError, match="n=2: must be larger for layers=3"):
        depth.optimal_widths(2, 3)
