"""Ising: enumeration, the chain and its decimation, samplers and majorities against independent sums and closed forms."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.special import ellipk

from dltheory.numerics import Estimate, mutual_information
from dltheory.statistical_physics import CRITICAL_COUPLING, block_spin, ising, metropolis, swendsen_wang
from dltheory.statistical_physics.sampling import clusters

H2 = lambda p: -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_enumeration_is_the_sum_over_all_states(rng):
    edges, K, h = np.array([[0, 1], [1, 2], [0, 2], [2, 3]]), rng.normal(size=4), rng.normal(size=4)
    weights = {}
    for s in itertools.product((1, -1), repeat=4):
        weights[s] = np.exp(sum(k * s[i] * s[j] for k, (i, j) in zip(K, edges, strict=True)) + np.dot(h, s))
    Z = sum(weights.values())
    law = ising.enumerate_states(edges, K, h)
    np.testing.assert_allclose(law.log_partition, np.log(Z), rtol=1e-13)
    p = np.array([weights[tuple(map(int, s))] / Z for s in ising.states(4)])
    np.testing.assert_allclose(law.probability, p, rtol=1e-12)
    np.testing.assert_allclose(law.correlation()[0, 3], sum(w * s[0] * s[3] for s, w in weights.items()) / Z, rtol=1e-12)
    joint = {b: sum(w for s, w in weights.items() if (s[3], s[1]) == tuple(b)) / Z for b in map(tuple, ising.states(2).tolist())}
    np.testing.assert_allclose(law.marginal([3, 1]), [joint[tuple(b)] for b in ising.states(2).tolist()], rtol=1e-12)
    assert len(ising.torus(4)) == 32 and len(ising.torus(2)) == 8
    with pytest.raises(ValueError, match=r"spins=30: must be in \[1, 22\]"):
        ising.states(30)


def test_chain_is_its_transfer_matrix(rng):
    for K, h in zip(rng.uniform(-1, 1.5, 2), rng.uniform(-1, 1, 2), strict=True):
        chain, law = ising.chain(K, h), ising.enumerate_states(ising.ring(9), K, h)
        small, large = np.linalg.eigvalsh(np.exp([[K + h, -K], [-K, K - h]]))
        np.testing.assert_allclose([chain.log_partition, chain.decay], [np.log(large), small / large], rtol=1e-11)
        np.testing.assert_allclose(chain.log_partition_ring(9), law.log_partition, rtol=1e-12)
        free = jax.grad(lambda h, K=K: ising.chain(K, h).log_partition)(h)
        np.testing.assert_allclose(chain.magnetisation, free, rtol=1e-10)
    law, r = ising.enumerate_states(ising.ring(12), 0.4), np.tanh(0.4)
    np.testing.assert_allclose(law.correlation()[0, :6], (r ** np.arange(6) + r ** (12 - np.arange(6))) / (1 + r**12), rtol=1e-12)
    np.testing.assert_allclose(ising.chain(0.4).correlation_length, -1 / np.log(r), rtol=1e-12)
    np.testing.assert_allclose(ising.chain(0.4).correlation(3), r**3, rtol=1e-12)


def test_decimation_is_the_published_formula_and_brute_force(rng):
    np.testing.assert_allclose(ising.decimate(0.7)[0], 0.38294282286, atol=1e-11)
    np.testing.assert_allclose(ising.decimate(0.6, 0.3), (0.28164726527, 0.54780487052), atol=1e-11)
    for n, b in ((8, 2), (9, 3), (12, 4)):
        K, h = rng.uniform(0.1, 1.5), rng.uniform(0, 1)
        np.testing.assert_allclose(jnp.tanh(ising.decimate(K, 0.0, b)[0]), np.tanh(K) ** b, rtol=1e-12)
        law = ising.enumerate_states(ising.ring(n), K, h)
        coarse = ising.enumerate_states(ising.ring(n // b), *ising.decimate(K, h, b))
        np.testing.assert_allclose(jnp.log(law.marginal(range(0, n, b)) / coarse.probability), 0, atol=1e-12)
        constant = ising.traced_free_energy(K, h, b) * (n // b)
        np.testing.assert_allclose(law.log_partition, coarse.log_partition + constant, rtol=1e-13)
    K, h = rng.uniform(-1, 1.5), rng.uniform(-1, 1)
    plus, minus, zero = np.cosh(2 * K + h), np.cosh(2 * K - h), np.cosh(h)
    pair = np.log(plus * minus / zero**2) / 4, h + np.log(plus / minus) / 2
    np.testing.assert_allclose(ising.decimate(K, h), pair, atol=1e-13)
    with pytest.raises(ValueError, match="block=0: must be ≥ 1"):
        ising.decimate(0.3, 0.1, 0)


def test_decimation_keeps_its_digits_where_naive_formulas_lose_them(rng):
    """mpmath with 60 digits: tiny couplings, strong fields, long blocks, antiferromagnets; and it is differentiable at h = 0."""
    mpmath.mp.dps = 60
    for K, h, b in ((1e-6, 0.2, 2), (0.5, 15.0, 3), (0.3, 1e-9, 40), (-0.7, 0.4, 3), (rng.uniform(0, 2), rng.uniform(0, 2), 7)):
        k, f = mpmath.mpf(K), mpmath.mpf(h)
        T = mpmath.matrix([[mpmath.exp(k + f), mpmath.exp(-k)], [mpmath.exp(-k), mpmath.exp(k - f)]]) ** b
        exact = mpmath.log(T[0, 0] * T[1, 1] / T[0, 1] ** 2) / 4, mpmath.log(T[0, 0] / T[1, 1]) / 2
        np.testing.assert_allclose(ising.decimate(K, h, b), [float(e) for e in exact], rtol=1e-9)
    slope = jax.grad(lambda h: ising.decimate(0.5, h)[1])(0.0)
    np.testing.assert_allclose(slope, 1 + np.tanh(1.0), rtol=1e-12)


@partial(jax.jit, static_argnames="side")
def _torus_log_partition(K, side):
    """Kaufman's finite torus, Phys. Rev. 76, 1232 (1949): half the sum of four products over momenta."""
    c = jnp.cosh(2 * K) ** 2 / jnp.sinh(2 * K)
    gamma = jnp.arccosh(c - jnp.cos(jnp.pi * np.arange(1.0, 2 * side) / side))
    zero = 2 * K + jnp.log(jnp.tanh(K))
    even, odd = jnp.concatenate([zero[None], gamma[1::2]]) * side / 2, gamma[::2] * side / 2
    logs = [jnp.sum(jnp.log(2 * jnp.cosh(odd))), jnp.sum(jnp.log(jnp.abs(2 * jnp.sinh(odd))))]
    logs += [jnp.sum(jnp.log(2 * jnp.cosh(even))), jnp.sum(jnp.log(jnp.abs(2 * jnp.sinh(even))))]
    signs = jnp.stack([jnp.ones(()), jnp.ones(()), jnp.ones(()), jnp.sign(zero)])
    return side**2 / 2 * jnp.log(2 * jnp.sinh(2 * K)) - jnp.log(2.0) + jax.nn.logsumexp(jnp.stack(logs), b=signs)


def _onsager(K):
    """<s s'> of the infinite lattice, Phys. Rev. 65, 117 (1944)."""
    kappa = 2 * np.sinh(2 * K) / np.cosh(2 * K) ** 2
    return (1 + 2 / np.pi * (2 * np.tanh(2 * K) ** 2 - 1) * ellipk(kappa**2)) / np.tanh(2 * K) / 2


def test_the_infinite_lattice_is_onsagers(rng):
    """d ln z/dK is twice the correlation of neighbours; no coupling is ln 2, and a strong one freezes."""
    for K in rng.uniform(0.1, 0.4, 3):
        np.testing.assert_allclose(jax.grad(ising.square_lattice)(K), 2 * _onsager(K), rtol=1e-9)
    np.testing.assert_allclose(ising.square_lattice_entropy(1e-6), np.log(2), rtol=1e-9)
    assert 0 < ising.square_lattice_entropy(2.0) < 1e-5


def test_neighbour_correlation_is_kaufmans(rng):
    for K in rng.uniform(0.1, 0.8, 2):
        exact = jax.grad(_torus_log_partition)(K, 4) / 32
        np.testing.assert_allclose(block_spin.neighbour_correlation(K, 4), exact, rtol=1e-9)
        np.testing.assert_allclose(ising.enumerate_states(ising.torus(4), K).log_partition, _torus_log_partition(K, 4), rtol=1e-11)


def test_samplers_draw_from_the_gibbs_law(rng):
    """Energy and magnetisation within five standard errors: with a field on 4 × 4, Kaufman at K_c, Onsager away from it."""
    pairs = lambda s: np.mean(s * np.roll(s, 1, 1) + s * np.roll(s, 1, 2), (1, 2)) / 2

    def agree(samples, exact, error):
        e = Estimate.of(np.asarray(samples, float))
        assert abs(e.z(exact)) < 5 and e.standard_error < error, (e, exact)

    key, K, h = jax.random.key(int(rng.integers(1000))), 0.3, 0.15
    law = ising.enumerate_states(ising.torus(4), K, h)
    s = np.asarray(metropolis(key, 4, K, 40, 6000, h), float)
    agree(s.mean((1, 2)), ising.states(16).astype(float).mean(1) @ np.asarray(law.probability), 0.01)
    agree(pairs(s), law.correlation()[0, 1], 0.01)
    for K in (CRITICAL_COUPLING, -0.3, 0.3):
        s = np.asarray(swendsen_wang(key, 16, K, 40, 300), float)
        exact = np.sign(K) * jax.grad(_torus_log_partition)(abs(K), 16) / 512
        agree(pairs(s), exact, 0.006)
    np.testing.assert_allclose(exact, _onsager(0.3), atol=1e-4)
    s = swendsen_wang(key, 16, 0.0, 40, 300)
    assert s.dtype == jnp.int8 and set(np.unique(s)) == {-1, 1}
    agree(pairs(np.asarray(s, float)), 0, 0.006)
    with pytest.raises(ValueError, match="side=5: must be even"):
        metropolis(key, 5, 0.3, 1, 1)


def test_clusters_are_connected_components(rng):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    side, chains = 9, 6
    opened = rng.random((2, chains, side, side)) < np.linspace(0.2, 0.7, chains)[:, None, None]
    labels = np.asarray(clusters(jnp.asarray(opened)))
    edges = ising.torus(side)
    for c in range(chains):
        i, j = edges[np.concatenate([opened[0, c].ravel(), opened[1, c].ravel()])].T
        _, expected = connected_components(coo_array((np.ones(len(i)), (i, j)), (side**2, side**2)), directed=False)
        both = set(zip(labels[c].ravel().tolist(), expected.tolist(), strict=True))
        assert len(both) == len(set(expected.tolist())) == len(np.unique(labels[c]))


def test_effective_coupling_is_the_published_table():
    for K, expected in {0.2: 0.1007, 0.3: 0.2107, 0.42: 0.4097, 0.43: 0.4284, 0.44: 0.4474, 0.5: 0.5637, 0.6: 0.7572}.items():
        np.testing.assert_allclose(block_spin.effective_coupling(K), expected, atol=6e-5)
    K, slope = block_spin.fixed_point()
    np.testing.assert_allclose(K, 0.4317, atol=1e-4)
    np.testing.assert_allclose((block_spin.effective_coupling(K + 1e-5) - block_spin.effective_coupling(K - 1e-5)) / 2e-5, slope, rtol=1e-6)
    t = np.tanh(2 * K)
    np.testing.assert_allclose(block_spin.neighbour_correlation(K, 2), (t + t**3) / (1 + t**4), rtol=1e-12)
    np.testing.assert_allclose(block_spin.matched_coupling(block_spin.neighbour_correlation(-K, 4), 4), -K, rtol=1e-10)
    with pytest.raises(ValueError, match="side=5: must be 2, 3 or 4"):
        block_spin.neighbour_correlation(K, 5)


def test_majorities_and_what_they_keep_of_a_spin(rng):
    """Exact law of spin and blocks against sampled coins; both bounds against enumeration."""
    spins = np.array([[1, 1, 1, -1], [1, -1, -1, 1], [-1, -1, -1, -1], [-1, 1, 1, 1]], np.int8)
    coins = np.asarray(block_spin.majority(jax.random.key(0), np.broadcast_to(spins, (4000, 4, 4))), float)
    np.testing.assert_allclose(coins[:, :, 0].mean(0), [1, -1], atol=0)
    assert np.all(np.abs(coins[:, :, 1].mean(0)) < 5 / 4000**0.5)
    with pytest.raises(ValueError, match="block=3: must divide the sides 4, 4"):
        block_spin.majority(jax.random.key(0), spins, 3)
    free = block_spin.spin_and_blocks(0.0)
    np.testing.assert_allclose(mutual_information(free) / np.log(2), 1 - H2(11 / 16), rtol=1e-12)
    np.testing.assert_allclose(1 - H2(11 / 16), 0.10396, atol=5e-6)
    K = rng.uniform(0.1, 0.5)
    law = ising.enumerate_states(ising.torus(4), K)
    s, p = ising.states(16).astype(int), np.asarray(law.probability)
    sign = np.sign(s[:, [0, 1, 4, 5]].sum(1))
    beyond = [i for i in range(16) if i not in (0, 1, 4, 5, 10, 11, 14, 15)]
    inside = (s[:, beyond] > 0) @ 2 ** np.arange(8)
    joint = np.zeros((2, 2, 256))
    for up in (1, -1):
        np.add.at(joint, ((1 - s[:, 0]) // 2, (1 - up) // 2, inside), p * (1 + up * sign) / 2)
    exact = mutual_information(joint.reshape(2, -1))
    bound = p @ np.asarray(block_spin.spin_information_bound(s.reshape(-1, 4, 4), K))
    np.testing.assert_allclose(bound, exact, rtol=1e-9)
    own = mutual_information(joint.sum(2))
    assert own < mutual_information(block_spin.spin_and_blocks(K))
