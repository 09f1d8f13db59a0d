"""Mutual information against distance: counts, estimators and floors against other people's code."""

from collections import Counter

import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import chi2_contingency
from sklearn.metrics import mutual_info_score

from dltheory.cheap_learning import decay as module
from dltheory.cheap_learning.decay import bootstrap, decay, dependence, grassberger, imitate, independent_bias, pair_counts, plug_in
from dltheory.cheap_learning.sequences import bigram, critical_tree, markov, transition_matrix

DISTANCES = np.array([1, 2, 7, 30])


def counted(rows, d, K):
    pairs = Counter((int(a), int(b)) for row in rows for a, b in zip(row[:-d], row[d:], strict=True))
    return np.array([[pairs[a, b] for b in range(K)] for a in range(K)])


@pytest.mark.parametrize(("rows", "length", "groups"), [(1, 500, 1), (1, 500, 7), (6, 90, 4), (6, 90, 6), (3, 200, 50)])
@pytest.mark.parametrize("chunk", [64, 2**14])
def test_every_pair_is_counted_once(monkeypatch, rows, length, groups, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    x = np.random.default_rng(rows).integers(0, 200, size=(rows, length)).astype(np.uint8)
    counts = pair_counts(x, DISTANCES, 200, groups)
    assert counts.shape == (groups, 4, 200, 200)
    for j, d in enumerate(DISTANCES):
        np.testing.assert_array_equal(counts[:, j].sum(0), counted(x, d, 200))


def test_groups_are_sequences_or_blocks_of_one():
    x = np.random.default_rng(0).integers(0, 3, size=(4, 100))
    by_row = pair_counts(x, DISTANCES, 3, 4)
    for row in range(4):
        np.testing.assert_array_equal(by_row[row, 1], counted(x[row : row + 1], 2, 3))
    blocks = pair_counts(x[:1], DISTANCES, 3, 5)
    assert np.all(blocks[:3].sum((2, 3)) == 20) and np.array_equal(blocks[3:].sum((2, 3)), [[20, 20, 20, 10], [19, 18, 13, 0]])


@pytest.mark.parametrize(
    ("symbols", "distances", "groups", "message"),
    [
        ([[0, 3]], [1], 1, "symbols=0 … 3: must be in 0 … 2"),
        ([[-1, 2]], [1], 1, "symbols=-1 … 2: must be in 0 … 2"),
        ([[0, 1]], [1, 2], 1, "distances=1 … 2: must be in 1 … 1"),
        ([[0, 1]], [0], 1, "distances=0 … 0: must be in 1 … 1"),
        ([[0, 1]], [1], 3, "groups=3: must be in 1 … 2"),
    ],
)
def test_nonsense_is_one_line(symbols, distances, groups, message):
    with pytest.raises(ValueError) as error:
        pair_counts(np.array(symbols), np.array(distances), 3, groups)
    assert str(error.value) == message


def test_estimators_agree_with_other_code():
    random = np.random.default_rng(1)
    x = random.integers(0, 5, size=(1, 400))
    x[0, 1::2] = (x[0, ::2] + random.integers(0, 2, 200)) % 5
    counts = pair_counts(x, DISTANCES, 5)[0]
    seen = plug_in(counts)
    for j, d in enumerate(DISTANCES):
        a, b, N = x[0, :-d], x[0, d:], 400 - d
        assert float(seen.information[j]) == pytest.approx(mutual_info_score(a, b), abs=1e-14)
        assert float(seen.rational[j]) == pytest.approx(chi2_contingency(counts[j], correction=False)[0] / N, abs=1e-13)
        entropy = lambda n: np.log(n.sum()) - sum(m * digamma(m) for m in n.ravel() if m) / n.sum()
        expected = entropy(counts[j].sum(0)) + entropy(counts[j].sum(1)) - entropy(counts[j])
        assert float(grassberger(counts)[j]) == pytest.approx(expected, abs=1e-13)


def test_rational_information_bounds_the_other_and_is_twice_it_when_weak():
    """E12.2."""
    random = np.random.default_rng(2)
    tables = random.dirichlet(np.full(20, 0.3), size=2000).reshape(-1, 4, 5)
    seen = dependence(tables)
    assert np.all(seen.information <= seen.rational) and np.all(seen.information >= 0)
    p, q = random.dirichlet(np.full(4, 5.0)), random.dirichlet(np.full(5, 5.0))
    twist = random.normal(size=(4, 5))
    twist -= twist.mean(0) + twist.mean(1, keepdims=True) - twist.mean()
    weak = dependence(np.outer(p, q) + 1e-4 * twist)
    assert float(weak.information) < 1e-4 and float(weak.rational / weak.information) == pytest.approx(2, abs=0.02)


def test_bias_of_the_estimators_without_information():
    """K = 30, N = 20,000: plug-in .0303 bits too high, Grassberger's not."""
    assert independent_bias(30, 20_000) / np.log(2) == pytest.approx(0.0303, abs=5e-5)
    random = np.random.default_rng(3)
    tables = random.multinomial(20_000, np.full(900, 1 / 900), size=60).reshape(-1, 30, 30)
    high, corrected = np.asarray(plug_in(tables).information), np.asarray(grassberger(tables))
    assert high.mean() == pytest.approx(float(independent_bias(30, 20_000)), rel=0.03)
    error = corrected.std(ddof=1) / np.sqrt(60)
    assert error < 2e-4 and abs(corrected.mean()) < 5 * error


def test_bootstrap_errors_are_those_of_repetition():
    """Right where there is information, √3 too large where there is none."""
    random = np.random.default_rng(4)
    for law, ratio in ((markov(transition_matrix([0.8, 0.7])), 1.0), (markov(np.full((9, 9), 1 / 9)), 3**0.5)):
        K = len(law.transition)
        x = law.sample(random, 40 * 100, 100)
        seen = [bootstrap(pair_counts(part, np.array([3]), K, 100), grassberger, 100) for part in np.split(x, 40)]
        scatter = np.std([e.mean for e in seen], ddof=1)
        assert np.median([e.standard_error for e in seen]) / scatter == pytest.approx(ratio, rel=0.3)


def test_floors_of_a_hierarchy():
    """The chain of the same neighbours forgets at once, the symbols in random order know nothing."""
    tree, random, d = critical_tree(1.0), np.random.default_rng(5), np.array([1, 2, 5, 40])
    x = tree.sample(random, 60, 12)
    seen = decay(random, x, d, 2, groups=60, floors=3)
    exact = dependence(np.stack([bigram(x, 2).joint(int(s)) for s in d])).information
    assert np.all(seen.information.mean[2:] > 30 * np.abs(seen.shuffled.mean[2:]))
    np.testing.assert_allclose(seen.surrogate.mean, exact, rtol=0.15, atol=2e-5)
    np.testing.assert_allclose(seen.surrogate.mean[0], seen.information.mean[0], rtol=0.05)
    assert np.all(np.abs(seen.shuffled.mean) < 5e-5) and np.array_equal(seen.shuffled.count, np.full(4, 3))


def test_imitation_is_about_as_long():
    x = np.random.default_rng(6).integers(0, 3, size=(1, 30_000))
    y = imitate(np.random.default_rng(0), x, np.array([1, 50]), 3)
    assert y.shape == (30, 1000)
