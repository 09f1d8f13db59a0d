"""Locality: cliques by brute force, the Markov property itself, counts of terms, and what tracing spins out couples."""

import itertools

import numpy as np
import pytest

from dltheory.cheap_learning import bits, walsh
from dltheory.cheap_learning import markov_network as markov
from dltheory.statistical_physics import ising


@pytest.fixture
def random():
    return np.random.default_rng(0)


def cliques_by_force(graph):
    n = len(graph)
    inside = lambda m: [i for i in range(n) if m >> i & 1]
    found = [m for m in range(1, 2**n) if all(graph[i, j] for i, j in itertools.combinations(inside(m), 2))]
    return {m for m in found if not any(m & other == m and m != other for other in found)}


def test_maximal_cliques_are_those_of_brute_force(random):
    for n, p in ((1, 0.5), (6, 0.0), (6, 1.0), (9, 0.3), (9, 0.6)):
        graph = markov.random_graph(random, n, p)
        found = markov.maximal_cliques(graph)
        assert len(found) == len(set(found)) and set(found) == cliques_by_force(graph)
        assert markov.clique_bound(graph) == len(found) * 2 ** max(c.bit_count() for c in found)
    for wrong in (np.eye(3, dtype=bool), np.triu(np.ones((3, 3), bool), 1)):
        with pytest.raises(ValueError, match="graph: adjacency must be symmetric"):
            markov.maximal_cliques(wrong)
    with pytest.raises(ValueError, match="side=2: must be ≥ 3"):
        markov.torus(2)


def terms(log_weights):
    return int(np.count_nonzero(markov.without_rounding(walsh.moebius(log_weights))[1:]))


def test_terms_grow_linearly_and_stay_below_the_bound_of_the_cliques():
    chains = [markov.ising(markov.chain(n), 0.7, 0.3) for n in (4, 8, 12)]
    assert [terms(F) for F in chains] == [7, 15, 23]
    assert [markov.clique_bound(markov.chain(n)) for n in (4, 8, 12)] == [12, 28, 44]
    torus = markov.torus(4)
    assert torus.sum() // 2 == 32 and markov.clique_bound(torus) == 128
    assert terms(markov.ising(torus, 0.4, 0.1)) == 48
    for side in (4, 5, 7):
        assert markov.clique_bound(markov.torus(side)) == 8 * side**2
    assert markov.clique_bound(markov.torus(3)) == 6 * 2**3  # rows and columns of three are triangles


def test_the_four_torus_is_the_four_cube():
    distances = lambda graph: sorted(np.linalg.eigvalsh(graph.astype(float)).round(9))
    m = np.arange(16)
    cube = np.array([[(a ^ b).bit_count() == 1 for b in m.tolist()] for a in m.tolist()])
    assert distances(markov.torus(4)) == distances(cube)


def test_the_energy_network_errs_less_than_its_bound_and_is_as_large_as_the_terms():
    F = markov.ising(markov.chain(8), 0.7, 0.3)
    h = markov.without_rounding(walsh.moebius(F))
    for beta in (4.0, 20.0, 46.06):
        net = bits.hamiltonian_network(h, beta)
        error = np.abs(net(walsh.configurations(8).astype(float)) - F).max()
        assert net.neurons == 15 and error <= np.abs(h[1:]).sum() / (1 + np.exp(beta / 2)) + 1e-13


def test_energies_of_spins_are_those_of_the_definition(random):
    graph = markov.random_graph(random, 7, 0.5)
    K, h = random.normal(size=(7, 7)), random.normal(size=7)
    K += K.T
    energies = []
    for state in itertools.product((1, -1), repeat=7):
        s = state[::-1]
        pairs = sum(K[i, j] * s[i] * s[j] for i, j in itertools.combinations(range(7), 2) if graph[i, j])
        energies.append(pairs + sum(h[i] * s[i] for i in range(7)))
    np.testing.assert_allclose(markov.ising(graph, K, h), energies, atol=1e-12)
    J = np.asarray(walsh.walsh(markov.ising(graph, K, h)))
    np.testing.assert_allclose([J[1 << i | 1 << j] for i, j in np.argwhere(np.triu(graph))], K[np.triu(graph)], atol=1e-12)


def test_random_hamiltonians_are_markov_and_of_the_order_of_the_largest_clique(random):
    for p in (0.2, 0.5):
        graph = markov.random_graph(random, 8, p)
        F = markov.random_log_weights(random, graph)
        order = lambda values: np.flatnonzero(markov.count_by_order(walsh.walsh(values))).max()
        assert order(F) == max(c.bit_count() for c in cliques_by_force(graph))
        assert terms(F) <= markov.clique_bound(graph)
        for i in range(8):
            odds = markov.log_odds(F, i)
            assert order(odds) <= graph[i].sum()
            others = walsh.configurations(7)
            for j in np.flatnonzero(~graph[i]):
                if j != i:  # spins that are no neighbours do not matter
                    at = np.arange(128)[others[:, j - (j > i)] == 0]
                    np.testing.assert_allclose(odds[at], odds[at + 2 ** (j - (j > i))], atol=1e-12)
    state = np.array([1, 0, 1, 1, 0, 0, 1, 0])
    flipped = state ^ (np.arange(8) == 3)
    index = lambda y: int(y @ 2 ** np.arange(8))
    by_hand = F[index(flipped * (np.arange(8) != 3))] - F[index(flipped | (np.arange(8) == 3))]
    np.testing.assert_allclose(markov.log_odds(F, 3)[np.delete(state, 3) @ 2 ** np.arange(7)], by_hand)


def test_tracing_sums_over_the_other_spins_in_the_order_asked(random):
    F = random.normal(size=64)
    y = walsh.configurations(6)
    for keep in ([0, 2, 5], [4, 1]):
        code = y[:, keep] @ 2 ** np.arange(len(keep))
        exact = np.log(np.bincount(code, np.exp(F)))
        np.testing.assert_allclose(markov.trace_out(F, keep), exact, atol=1e-12)


def test_locality_survives_tracing_in_one_dimension_only(random):
    K = random.uniform(0.2, 1.2)
    traced = np.asarray(walsh.walsh(markov.trace_out(markov.ising(markov.ring(12), K), range(0, 12, 2))))
    assert markov.count_by_order(traced)[1:].tolist() == [0, 6, 0, 0, 0, 0]
    np.testing.assert_allclose(traced[0b11], ising.decimate(K)[0], rtol=1e-12)
    torus, even = markov.ising(markov.torus(4), 0.4), [s for s in range(16) if (s // 4 + s) % 2 == 0]
    traced = np.asarray(walsh.walsh(markov.trace_out(torus, even)))
    assert markov.count_by_order(traced)[1:].tolist() == [0, 24, 0, 8, 0, 0, 0, 0]
    neighbours = {sum(1 << i for i, s in enumerate(even) if markov.torus(4)[t, s]) for t in range(16) if t not in even}
    four = {int(m) for m in np.flatnonzero(np.abs(traced) > 1e-9) if int(m).bit_count() == 4}
    assert four == neighbours
