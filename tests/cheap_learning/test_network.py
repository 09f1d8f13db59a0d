"""Networks set by hand: members of the zoo that count themselves, and the bases of functions of bits."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning import Network, affine, beside, derivatives, walsh


@pytest.fixture
def random():
    return np.random.default_rng(0)


def network(random, sizes, phi="tanh"):
    return Network.of([(random.normal(size=s), random.normal(size=s[1])) for s in itertools.pairwise(sizes)], phi)


def by_hand(net, x):
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        x = (np.tanh(x) if layer else x) @ np.asarray(w) + np.asarray(b)
    return x


def test_it_computes_and_counts_as_a_member_of_the_zoo(random):
    net, x = network(random, [3, 5, 4, 2]), random.normal(size=(7, 2, 3))
    np.testing.assert_allclose(net(x), by_hand(net, x), rtol=1e-12)
    np.testing.assert_allclose(net(*np.moveaxis(x, -1, 0)), net(x))
    params, apply = net.functional
    np.testing.assert_allclose(apply(params, jnp.asarray(x[:, 0])).output, net(x[:, 0]))
    assert (net.neurons, net.depth, net.synapses, net.sizes) == (9, 2, 15 + 20 + 8, (3, 5, 4, 2))
    assert net.astype(jnp.float32)(x).dtype == jnp.float32
    sparse = Network.of([(np.eye(3), 1.0), (np.ones((3, 1)), 0.0)], "exp")
    assert sparse.synapses == 6 and sparse(x).shape == (7, 2)
    np.testing.assert_allclose(sparse(x), np.exp(x + 1).sum(-1))


def test_networks_follow_and_stand_beside_each_other(random):
    one, two, last = network(random, [3, 5, 2]), network(random, [1, 4, 2]), network(random, [4, 6, 1])
    x = random.normal(size=(7, 4))
    both = beside(one, two)
    np.testing.assert_allclose(both(x), np.concatenate([one(x[:, :3]), two(x[:, 3:])], -1), rtol=1e-12)
    net = both.then(last)
    np.testing.assert_allclose(net(x), last(both(x)), rtol=1e-12)
    assert (net.depth, net.neurons) == (2, 5 + 4 + 6)
    w = random.normal(size=(2, 3))
    np.testing.assert_allclose(affine(w, 0.5).then(one)(x[:, :2]), one(x[:, :2] @ w + 0.5), rtol=1e-12)


def test_nonsense_is_refused(random):
    one, two = network(random, [3, 5, 2]), network(random, [3, 5, 4, 2])
    for wrong, text in (
        (lambda: one.then(one), "2 outputs are followed by 3 inputs"),
        (lambda: beside(one, two), r"depth=\[1, 2\]: must be equal"),
        (lambda: beside(one, network(random, [1, 2, 1], "relu")), "activation="),
        (lambda: one(np.ones((4, 2))), "2 inputs given; must be 3"),
        (lambda: Network.of([(np.ones((2, 3)), 0.0), (np.ones((2, 1)), 0.0)], "tanh"), "must chain"),
        (lambda: walsh.walsh(np.ones(6)), "6 entries; must be a power of two"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()


FUNCTIONS = {
    "tanh": mpmath.tanh,
    "softplus": lambda u: mpmath.log(1 + mpmath.exp(u)),
    "gelu": lambda u: u * mpmath.ncdf(u),
    "exp": mpmath.exp,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_arbitrary_precision(random, name):
    at = random.uniform(-2, 2, size=3)
    with mpmath.workdps(40):
        exact = [[float(c * mpmath.factorial(k)) for k, c in enumerate(mpmath.taylor(FUNCTIONS[name], u, 6))] for u in at]
    np.testing.assert_allclose(derivatives(name, at, 6), np.transpose(exact), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda u: derivatives(name, u, 2)[2])(at[0]), exact[0][2], rtol=1e-12)


def test_both_bases_of_functions_of_bits(random):
    n = 5
    F, y = random.normal(size=2**n), walsh.configurations(n)
    subsets = [[i for i in range(n) if m >> i & 1] for m in range(2**n)]
    bits = np.array([[row[K].prod() for K in subsets] for row in y])
    spins = np.array([[(1 - 2 * row[K]).prod() for K in subsets] for row in y])
    np.testing.assert_allclose(walsh.moebius(F), np.linalg.solve(bits, F), atol=1e-12)
    np.testing.assert_allclose(walsh.walsh(F), np.linalg.solve(spins, F), atol=1e-12)
    np.testing.assert_allclose(walsh.from_moebius(walsh.moebius(F)), F, atol=1e-12)
    np.testing.assert_allclose(walsh.from_walsh(walsh.walsh(F)), F, atol=1e-12)
    np.testing.assert_array_equal(walsh.orders(n), [len(K) for K in subsets])
    assert walsh.participation_ratio(np.r_[9.0, np.ones(6), np.zeros(9)]) == 6
