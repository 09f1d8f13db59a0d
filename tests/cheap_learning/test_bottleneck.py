"""Lossy summaries: partitions against all partitions, the bottleneck against a closed form and its own derivative."""

import itertools

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import entropy

from dltheory.cheap_learning import bottleneck, hierarchy, tree_broadcast

BIT = np.log(2)
BETAS = np.geomspace(60, 1.3, 16)


def bits(joint):
    """Mutual information, on the host."""
    joint = joint[:, joint.sum(0) > 0]
    return xlogy(joint, joint / np.outer(joint.sum(1), joint.sum(0))).sum() / BIT


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def tree():
    """p(root, T_0) for D = 4, ε = .1."""
    return tree_broadcast.root_posteriors(0.1, 4)[-1].joint


def test_the_page_s_classes(tree):
    best = {b: bits(hierarchy.merge(tree, bottleneck.best_partition(tree, b))) for b in (1, 2, 3, 4, 85)}
    np.testing.assert_allclose([best[2], best[3], best[4]], [0.403796, 0.486177, 0.500059], atol=6e-7)
    assert abs(best[1]) < 1e-12 and best[85] == pytest.approx(bits(tree), abs=1e-12) and best[4] > 0.95 * bits(tree)


def test_the_best_partition_beats_every_other_and_its_classes_are_intervals(random):
    for _ in range(2):
        joint = random.dirichlet(np.ones(12)).reshape(2, 6)
        joint[:, 3] = 2 * joint[:, 5]
        joint /= joint.sum()
        place = joint[0] / joint.sum(0)
        for classes in (2, 3, 4):
            found = bottleneck.best_partition(joint, classes)
            kept = bits(hierarchy.merge(joint, found))
            assert kept == pytest.approx(bottleneck.kept_information(joint, found) / BIT, abs=1e-12)
            every = max(bits(hierarchy.merge(joint, np.array(g))) for g in itertools.product(range(classes), repeat=6))
            assert kept == pytest.approx(every, abs=1e-12)
            assert np.all(np.diff(found[np.argsort(place)]) >= 0) and set(found) == set(range(classes))


def test_greedy_mergers_are_those_of_brute_force_and_never_beat_the_optimum(random, tree):
    for _ in range(5):
        joint = random.dirichlet(np.ones(24)).reshape(3, 8)
        path = bottleneck.agglomerate(joint)
        assert [len(np.unique(labels)) for labels in path] == [8, 7, 6, 5, 4, 3, 2, 1]
        for one, two in itertools.pairwise(path):
            options = [np.where(one == b, a, one) for a, b in itertools.combinations(np.unique(one), 2)]
            best = max(bits(hierarchy.merge(joint, g)) for g in options)
            assert bits(hierarchy.merge(joint, two)) == pytest.approx(best, abs=1e-12) and hierarchy.refines(one, two)
    mergers = bottleneck.agglomerate(tree, 2)
    for b in (2, 3, 4, 8):
        best = bits(hierarchy.merge(tree, bottleneck.best_partition(tree, b)))
        assert 0.95 * best < bits(hierarchy.merge(tree, mergers[-b + 1])) <= best + 1e-12


@pytest.fixture(scope="module")
def curve(tree):
    return bottleneck.information_bottleneck(tree, BETAS, 500)


def test_the_curve_falls_with_beta_below_the_information_and_has_slope_one_over_beta(tree, curve):
    rate, kept = np.asarray(curve.rate) / BIT, np.asarray(curve.relevance) / BIT
    assert np.all(np.diff(kept) < 1e-9) and np.all(np.diff(rate) < 1e-9) and kept[0] < bits(tree)
    assert np.all(kept <= rate + 1e-12) and kept[0] > 0.98 * bits(tree)
    np.testing.assert_allclose(np.asarray(curve.encoder).sum(1), 1, rtol=1e-12)
    slope, beta = np.diff(kept) / np.diff(rate), np.sqrt(BETAS[1:] * BETAS[:-1])
    inside = beta > 2.5
    np.testing.assert_allclose((slope * beta)[inside], 1, atol=0.1)
    rho = float(bottleneck.maximal_correlation(tree))
    assert np.all(kept[BETAS < 0.85 / rho**2] < 1e-9) and (0.85 / rho**2 > BETAS).any()
    for b in (2, 3, 4):
        merged = hierarchy.merge(tree, bottleneck.best_partition(tree, b))
        assert bits(merged) < np.interp(entropy(merged.sum(0), base=2), rate[::-1], kept[::-1])


def test_two_binary_variables_have_the_curve_of_mrs_gerber():
    """q(t|y) is a binary channel of noise a: rate 1 - h(a), relevance 1 - h(a∗ε); Wyner & Ziv 1973."""
    eps = 0.1
    joint = np.array([[1 - eps, eps], [eps, 1 - eps]]) / 2
    found = bottleneck.information_bottleneck(joint, np.geomspace(20, 1.8, 8), 3000)
    h = lambda p: entropy([p, 1 - p], base=2)
    for rate, kept, encoder in zip(np.asarray(found.rate) / BIT, np.asarray(found.relevance) / BIT, found.encoder, strict=True):
        a = float(encoder[0, 1])
        assert rate == pytest.approx(1 - h(a), abs=1e-9) and kept == pytest.approx(1 - h(a * (1 - eps) + (1 - a) * eps), abs=1e-9)
    assert float(bottleneck.maximal_correlation(joint)) == pytest.approx(1 - 2 * eps)


def test_the_curve_of_the_leaves_is_that_of_their_statistic():
    leaves, statistic = tree_broadcast.leaf_joint(0.1, 2), tree_broadcast.root_posteriors(0.1, 2)[-1].joint
    one, two = (bottleneck.information_bottleneck(j, np.array([8.0, 3.0]), 2000).relevance for j in (leaves, statistic))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_nonsense_is_refused(tree):
    for wrong, text in (
        (lambda: bottleneck.best_partition(np.ones((3, 4)) / 12, 2), "must have two rows"),
        (lambda: bottleneck.best_partition(tree, 86), r"classes=86: must have two rows, and classes must be in \[1, 85\]"),
        (lambda: bottleneck.agglomerate(tree, 0), r"classes=0: must be in \[1, 85\]"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
