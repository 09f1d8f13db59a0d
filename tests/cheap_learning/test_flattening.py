"""Costs of flattening: the factorisations multiply out to what they must, and have the counted synapses and units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from dltheory.cheap_learning import Network, flat, flattening, tree

call = jax.jit(lambda network, x: network(x))


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_neurons_are_summed_over_layers_and_compared(random):
    cost = flattening.flattening_cost(flat.flat_product(8, "exp", 0.1), tree.product_tree(8, "exp", 0.1))
    assert cost.neurons == 256 / (16 + 8 + 4)
    net = Network.of([(random.normal(size=(3, 4)), 0.5), (random.normal(size=(4, 2)), -0.5)], "linear")
    x = random.normal(size=(5, 3))
    np.testing.assert_allclose(call(flattening.flatten(net), x), call(net, x), rtol=1e-12)
    assert flattening.flattening_cost(flattening.flatten(net), net) == (0, 6 / 20)


def test_stages_make_the_fourier_transform(random):
    for n in (8, 64):
        stages = flattening.fourier_stages(n)
        z = random.normal(size=n) + 1j * random.normal(size=n)
        net = flattening.linear_network(*map(flattening.real_form, stages))
        out = np.asarray(call(net, np.r_[z.real, z.imag]))
        np.testing.assert_allclose(out[:n] + 1j * out[n:], np.fft.fft(z), atol=1e-12)
        assert sum(np.count_nonzero(s) for s in stages) == 2 * n * np.log2(n)


def test_low_rank_and_sparse_products(random):
    B, C = random.normal(size=(64, 8)), random.normal(size=(8, 64))  # B is n × k and C is k × n
    net = flattening.linear_network(B, C)
    assert flattening.flattening_cost(flattening.flatten(net), net).synapses == 64 / (2 * 8)
    assert flattening.flatten(flattening.linear_network(B.T, C.T)).sizes == (8, 8)  # as printed: not n × n
    for (n, p), measured in (((200, 0.02), 1.9225), ((400, 0.05), 6.326), ((400, 0.2), 2.5)):
        np.testing.assert_allclose(flattening.sparse_product_cost(n, p), measured, rtol=1e-3)


def test_strassen_multiplies_with_seven_products_and_pays_late(random):
    U, V, W = flattening.STRASSEN, flattening.STRASSEN_SECOND, flattening.STRASSEN_OUT
    identity = np.einsum("oa,am,an->omn", W, U, V).reshape((2,) * 6)
    np.testing.assert_array_equal(identity, _product_tensor())
    for k in (1, 2, 3):
        n = 2**k
        M, N = random.normal(size=(2, n, n))
        net = flattening.strassen_network(N)
        np.testing.assert_allclose(call(net, M.reshape(-1)).reshape(n, n), M @ N, atol=1e-12)
        assert max(net.sizes) == 7**k and net.synapses == flattening.strassen_synapses(k)
    assert next(k for k in range(1, 99) if 8**k > flattening.strassen_synapses(k)) == 16


def _product_tensor():
    """T[i, l, a, b, c, d] of (M N)_il = Σ T M_ab N_cd."""
    T = np.zeros((2,) * 6)
    for i, j, m in np.ndindex(2, 2, 2):
        T[i, m, i, j, j, m] = 1
    return T


def test_tent_maps_fold_the_line():
    x = np.linspace(0, 1, 2**10 + 1)
    y = x
    for levels in range(1, 9):
        y = np.minimum(2 * y, 2 - 2 * y)
        if levels not in (1, 3, 8):
            continue
        deep, shallow = flattening.tent(levels), flattening.flat_tent(levels)
        np.testing.assert_array_equal(call(deep, x[:, None]), y)
        np.testing.assert_array_equal(call(shallow, x[:, None]), y)
        kinks = np.count_nonzero(np.diff(y, 2))
        assert (deep.neurons, shallow.neurons, kinks + 1, flattening.monotone_pieces(y)) == (2 * levels, *[2**levels] * 3)


def monomials(n, first=0):
    """Those of (a b + c d) with a, b, c, d the same of n/4 numbers each."""
    if n == 1:
        return {(first,)}
    a, b, c, d = (monomials(n // 4, first + i * n // 4) for i in range(4))
    return {u + v for u in a for v in b} | {u + v for u in c for v in d}


def test_sums_of_products_multiplied_out(random):
    for levels, count in ((1, 2), (2, 8), (3, 128)):
        n = 4**levels
        found = monomials(n)
        x = random.uniform(0.5, 1, (5, n))
        assert len(found) == flattening.sum_product_monomials(levels) == count
        net = flattening.sum_product(levels, "exp", 1e-3)
        np.testing.assert_allclose(call(net, x), sum(x[:, list(m)].prod(1) for m in found), rtol=1e-4)
        assert (net.neurons, net.depth) == (8 * (n - 1) // 3, levels)


def test_tangents_grow_as_chi_1_says(getkey):
    mean = lambda f, q: quad(lambda z: np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * f(np.sqrt(q) * z), -12, 12)[0]
    q = brentq(lambda q: 6.25 * mean(lambda u: np.tanh(u) ** 2, q) + 0.09 - q, 0.5, 10)
    root = np.sqrt(6.25 * mean(lambda u: np.cosh(u) ** -4, q))
    np.testing.assert_allclose(root, 1.2591, rtol=1e-4)  # the page has 1.2557
    keys = jax.random.split(getkey(), 6)
    growth = jax.jit(lambda ks: jax.lax.map(lambda k: flattening.tangent_growth(k, "tanh", 2.5, 0.3, 400, 8), ks))(keys)
    assert growth.shape == (6, 7)
    np.testing.assert_allclose(growth[:, 3:].mean(), root, rtol=0.02)


def test_trees_are_fitted_and_count_their_parameters(getkey):
    params = flattening.tree_network(getkey(), 8, 2, 3)
    assert sum(a.size for a in jax.tree.leaves(params)) == 7 * (4 * 3 + 1)
    one = flattening.tree_network(getkey(), 4, 4, 5)
    assert sum(a.size for a in jax.tree.leaves(one)) == 6 * 5 + 1
    x = jax.random.normal(getkey(), (3, 4))
    by_hand = jnp.tanh(x @ one[0]["in"][0] + one[0]["bias"]) @ one[0]["out"][0][:, None] + one[0]["shift"][None]
    np.testing.assert_allclose(flattening.tree_output(one, x).output, by_hand, rtol=1e-12)
    node = lambda u, v: jnp.tanh(u + v + u * v / 2)
    np.testing.assert_allclose(flattening.compositional(x, node), node(node(x[:, 0], x[:, 1]), node(x[:, 2], x[:, 3])))
    error = flattening.fit_tree(getkey(), lambda z: flattening.compositional(z, node), 2, 2, (1, 3), starts=3, steps=25, points=50)
    assert error.shape == (2, 3) and error[1].min() < error[0].min() / 2 < 0.1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: flattening.fourier_stages(6), "n=6: must be a power of two"),
        (lambda: flattening.strassen_network(np.eye(3)), "n=3: must be a power of two"),
        (lambda: flattening.flatten(flattening.tent(2)), "activation=relu: must be linear"),
        (lambda: flattening.sum_product(0, "exp", 0.1), "levels=0: must be ≥ 1"),
        (lambda: flattening.tree_network(jax.random.key(0), 6, 4, 1), "fan=4: must divide the 6 values"),
    ],
)
def test_nonsense_is_refused(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
