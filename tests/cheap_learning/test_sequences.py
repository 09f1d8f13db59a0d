"""Chains, hidden chains and trees: their exact laws against enumeration and many digits, their samples against their laws."""

import itertools

import jax
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning.decay import bootstrap, dependence, grassberger, pair_counts, plug_in, straightness
from dltheory.cheap_learning.sequences import HiddenMarkov, Tree, bigram, critical_tree, markov, second_eigenvalue, transition_matrix
from dltheory.numerics import Estimate, mutual_information

FAR = np.unique(np.round(np.geomspace(6, 1000, 25)).astype(int))
EMISSION = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])


def stochastic(random, rows, columns):
    return random.dirichlet(np.ones(columns), size=rows)


def informations(law, distances, *more):
    return jax.device_get(dependence(jax.vmap(lambda d: law.joint(d, *more))(np.asarray(distances))))


def slope(distances, information):
    return float(Estimate.of_slope(np.log(distances), np.log(information)).mean)


def test_transition_matrices_have_their_eigenvalues_and_no_negative_entry():
    T = transition_matrix([0.75, 0.65])
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(T).real), [0.65, 0.75, 1], atol=1e-14)
    np.testing.assert_allclose([T.sum(0), T.sum(1)], np.ones((2, 3)))
    np.testing.assert_allclose(transition_matrix([0.3] * 4), 0.3 * np.eye(5) + 0.7 / 5, atol=1e-15)
    assert second_eigenvalue(T) == pytest.approx(0.75) and second_eigenvalue(transition_matrix([-0.9])) == pytest.approx(0.9)
    with pytest.raises(ValueError, match=r"eigenvalues=\(1\.0, -1\.0\): must leave all entries ≥ 0, the least is -0\.333"):
        transition_matrix([1.0, -1.0])


def test_the_law_of_a_hidden_chain_is_that_of_all_its_paths():
    random = np.random.default_rng(1)
    law = HiddenMarkov(stochastic(random, 3, 3), stochastic(random, 3, 4))
    values, vectors = np.linalg.eig(law.transition.T)
    pi = vectors[:, np.argmax(values.real)].real
    pi /= pi.sum()
    np.testing.assert_allclose(law.stationary, pi, atol=1e-14)
    for steps in (0, 1, 4):
        expected = np.zeros((4, 4))
        for path in itertools.product(range(3), repeat=steps + 1):
            weight = pi[path[0]] * np.prod([law.transition[a, b] for a, b in itertools.pairwise(path)])
            expected += weight * np.outer(law.emission[path[0]], law.emission[path[-1]])
        np.testing.assert_allclose(law.joint(steps), expected, atol=1e-15)


@pytest.mark.parametrize("hidden", [False, True])
def test_chains_forget_with_the_square_of_the_eigenvalue(hidden):
    """E12.1, erratum 13: 2 ln λ2 = -.575364, seen late; early fits see λ3."""
    T = transition_matrix([0.75, 0.65])
    law = HiddenMarkov(T, EMISSION) if hidden else markov(T)
    step = np.arange(1, 41)
    seen = informations(law, step)
    assert law.rate == pytest.approx(-0.575364, abs=5e-7)
    fit = lambda low, high: float(Estimate.of_slope(step[low - 1 : high], np.log(seen.information[low - 1 : high])).mean)
    assert fit(26, 40) == pytest.approx(law.rate, rel=1e-2)
    assert fit(26, 40) == pytest.approx(-0.575400, abs=5e-7 if not hidden else 1e-3)
    assert fit(6, 15) == pytest.approx(-0.588, abs=1.1e-3 if not hidden else 7e-3)
    assert abs(fit(26, 40) / np.log(0.75)) == pytest.approx(2, rel=1e-3)
    weak = seen.information < 1e-4
    assert np.all(seen.information <= seen.rational)
    np.testing.assert_allclose((seen.rational / seen.information)[weak], 2, atol=0.02)
    power, exponential = straightness(step, seen.information)
    assert power > 3 * exponential


def test_information_of_a_random_chain_to_many_digits():
    random = np.random.default_rng(2)
    law, steps = HiddenMarkov(stochastic(random, 3, 3), stochastic(random, 3, 3)), int(random.integers(3, 7))
    with mpmath.workdps(40):
        T, E = mpmath.matrix(law.transition.tolist()), mpmath.matrix(law.emission.tolist())
        long = T**4000
        P = E.T * mpmath.diag([long[0, i] for i in range(3)]) * T**steps * E
        P /= mpmath.fsum(P)
        rows, columns = ([mpmath.fsum(line) for line in matrix.tolist()] for matrix in (P, P.T))
        exact = mpmath.fsum(P[i, j] * mpmath.log(P[i, j] / rows[i] / columns[j]) for i in range(3) for j in range(3))
    assert float(mutual_information(law.joint(steps))) == pytest.approx(float(exact), rel=1e-9, abs=1e-15)


def test_a_cycle_never_forgets():
    law = markov(transition_matrix([-1.0]))
    np.testing.assert_allclose(informations(law, [1, 2, 999, 1000, 10**5]).information, np.log(2), rtol=1e-8)
    assert law.rate == pytest.approx(0, abs=1e-12)
    x = law.sample(np.random.default_rng(0), 50, 100)
    assert np.all(x[:, 1:] != x[:, :-1]) and 10 < x[:, 0].sum() < 40


def test_the_law_of_a_tree_is_that_of_all_its_configurations():
    random = np.random.default_rng(3)
    T = stochastic(random, 2, 2)
    pi = np.array([T[1, 0], T[0, 1]]) / (T[1, 0] + T[0, 1])
    tree, expected = Tree(T, 2), {d: np.zeros((2, 2)) for d in (1, 2, 3)}
    for s in itertools.product(range(2), repeat=7):
        weight = pi[s[0]] * np.prod([T[s[(i - 1) // 2], s[i]] for i in range(1, 7)])
        leaves = s[3:]
        for d in expected:
            for i in range(4 - d):
                expected[d][leaves[i], leaves[i + d]] += weight / (4 - d)
    for d, joint in expected.items():
        np.testing.assert_allclose(tree.joint(d, 2), joint, atol=1e-15)


@pytest.mark.parametrize(("q", "depth"), [(2, 6), (3, 4), (4, 3)])
def test_pairs_of_leaves_are_counted_by_their_last_common_ancestor(q, depth):
    random = np.random.default_rng(q)
    T = stochastic(random, 3, 3)
    tree, leaf = Tree(T, q), np.arange(q**depth)
    pi = np.asarray(markov(T).stationary)
    for d in random.integers(1, q**depth, size=4):
        first, second, joint = leaf[:-d].copy(), leaf[d:].copy(), np.zeros((3, 3))
        for h in range(1, depth + 1):
            apart = first != second
            first, second = first // q, second // q
            power = np.linalg.matrix_power(T, h)
            joint += np.mean(apart & (first == second)) * power.T @ np.diag(pi) @ power
        np.testing.assert_allclose(tree.joint(int(d), depth), joint, atol=1e-14)
    np.testing.assert_allclose(tree.joint(7), tree.joint(7, 25), atol=1e-6)


@pytest.mark.parametrize("q", [2, 3, 4])
def test_trees_forget_as_a_power_law(q):
    """E12.3: exact slopes within 4 % of -k; E12.5: a power law fits three times better."""
    for k in (0.5, 1.0, 1.5):
        tree = critical_tree(k, q)
        assert tree.exponent == pytest.approx(k)
        seen = informations(tree, FAR)
        assert slope(FAR, seen.information) == pytest.approx(-k, rel=0.04)
        power, exponential = straightness(FAR, seen.information)
        assert exponential > 3 * power
        assert np.all(seen.information <= seen.rational)


def test_the_numbers_of_the_page():
    assert float(mutual_information(critical_tree(0.5).joint(1, 14))) / np.log(2) == pytest.approx(0.42302, abs=6e-6)
    for q, k, depth, expected in ((2, 0.5, 14, -0.494), (2, 1.0, 14, -0.986), (3, 1.0, 9, -0.975)):
        assert slope(FAR, informations(critical_tree(k, q), FAR, depth).information) == pytest.approx(expected, abs=0.02)


def test_trees_pooled_follow_the_law_and_alone_do_not():
    """E12.3 and the trap: at k = 1/2 the mean of what each tree gives falls with -.79 rather than -.5."""
    tree, random = critical_tree(0.5), np.random.default_rng(4)
    counts = pair_counts(tree.sample(random, 200, 13), FAR, 2, 200)
    pooled = bootstrap(counts, lambda n: slope(FAR, grassberger(n)))
    alone = bootstrap(plug_in(counts).information, lambda i: slope(FAR, i))
    assert float(pooled.standard_error) < 0.03
    exact = informations(tree, FAR, 13).information
    assert abs(pooled.mean + 0.5) < 0.05 and abs(pooled.z(slope(FAR, exact))) < 5
    assert alone.mean == pytest.approx(-0.75, abs=0.08) and float(alone.standard_error) < 0.04
    seen = bootstrap(counts, grassberger)
    assert np.all(np.abs(seen.z(exact)) < 5) and np.all(seen.standard_error < 0.2 * exact)


def test_samples_of_chains_follow_the_law():
    random = np.random.default_rng(5)
    law = HiddenMarkov(stochastic(random, 4, 4), stochastic(random, 4, 3))
    x = law.sample(random, 300, 400)
    assert x.shape == (300, 400)
    steps = np.array([1, 2, 5])
    frequency = bootstrap(pair_counts(x, steps, 3, 300), lambda n: n / n.sum((1, 2), keepdims=True))
    expected = np.stack([law.joint(int(s)) for s in steps])
    assert np.all(np.abs(frequency.z(expected)) < 5) and np.all(frequency.standard_error < 0.003)
    first = np.bincount(x[:, 0], minlength=3) / 300
    np.testing.assert_allclose(first, np.asarray(law.stationary) @ law.emission, atol=5 * 0.5 / np.sqrt(300))


def test_a_symbol_without_probability_is_never_drawn():
    T = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    x = markov(T).sample(np.random.default_rng(6), 40, 200)
    assert np.all(T[x[:, :-1], x[:, 1:]] > 0)


def test_the_chain_of_neighbouring_pairs():
    drift = np.random.default_rng(7).choice(3, size=(2, 200), p=[0.2, 0.7, 0.1])
    x = (np.cumsum(drift, axis=1) % 3).astype(np.uint8)
    ring = x.ravel().tolist()
    law, expected = bigram(x, 3), np.zeros((3, 3))
    for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
        expected[a, b] += 1
    np.testing.assert_allclose(law.transition, expected / expected.sum(1, keepdims=True))
    np.testing.assert_allclose(law.stationary, np.bincount(ring) / len(ring), atol=1e-12)
    with pytest.raises(ValueError, match="alphabet=5: must be the symbols that occur, 3"):
        bigram(x, 5)


def test_laws_are_differentiable():
    information = jax.jit(lambda T: mutual_information(Tree(T, 3).joint(5)))
    T, change, step = transition_matrix([0.6]), np.array([[1.0, -1.0], [-1.0, 1.0]]), 1e-5
    numerical = (information(T + step * change) - information(T - step * change)) / (2 * step)
    assert float(np.vdot(jax.jit(jax.grad(information))(T), change)) == pytest.approx(float(numerical), rel=1e-6)
