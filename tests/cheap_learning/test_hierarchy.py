"""Markov hierarchies: sufficient statistics are exact, minimal, functions of each other, and robust against rounding."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import xlogy

from dltheory.cheap_learning import hierarchy
from dltheory.numerics import mutual_information

FLIPS = (0.1, 0.15, 0.2)
BIT = np.log(2)


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def nuisance(random):
    """The page's chain with renamed outcomes, and the names."""
    plain = hierarchy.nuisance_hierarchy(FLIPS)
    names = [random.permutation(size) for size in plain.sizes]
    return plain.relabelled(names), names


def bits(joint):
    """Mutual information, on the host."""
    joint = joint[:, joint.sum(0) > 0]
    return xlogy(joint, joint / np.outer(joint.sum(1), joint.sum(0))).sum() / BIT


def by_pairs(joint, tolerance=1e-10):
    """Classes by comparing every pair of outcomes: the definition, word for word."""
    q = joint / joint.sum(0)
    labels = list(range(q.shape[1]))
    for a, b in itertools.combinations(range(q.shape[1]), 2):
        if np.abs(q[:, a] - q[:, b]).sum() <= tolerance and labels[a] != labels[b]:
            labels = [labels[a] if label == labels[b] else label for label in labels]
    order = list(dict.fromkeys(labels))
    return np.array([order.index(label) for label in labels])


def test_levels_are_those_of_brute_force_over_all_paths(random):
    chain = hierarchy.random_hierarchy(jax.random.key(1), (3, 4, 2, 5))
    p = np.zeros(chain.sizes)
    for path in itertools.product(*map(range, chain.sizes)):
        p[path] = chain.prior[path[0]] * np.prod([M[a, b] for M, a, b in zip(chain.kernels, path, path[1:], strict=False)])
    np.testing.assert_allclose(chain.paths(), p, rtol=1e-12)
    for i, j in itertools.combinations(range(4), 2):
        np.testing.assert_allclose(chain.joint(i, j), p.sum(tuple(k for k in range(4) if k not in (i, j))), rtol=1e-12)
    np.testing.assert_allclose(chain.marginal(3), p.sum((0, 1, 2)), rtol=1e-12)
    assert chain.markov_gap() < 1e-12
    three = p.sum(3)
    forged = hierarchy.Hierarchy(chain.prior, chain.kernels)
    object.__setattr__(forged, "paths", lambda: three[..., None] * (1 + 0.5 * random.uniform(size=(3, 1, 1, 5))) / 5)
    assert forged.markov_gap() > 1e-3


def test_products_of_stochastic_kernels_are_stochastic_and_are_what_is_sampled():
    chain = hierarchy.random_hierarchy(jax.random.key(2), (2, 4, 8, 16))
    np.testing.assert_allclose(np.linalg.multi_dot(chain.kernels).sum(1), 1, rtol=1e-14)
    seen, p = np.asarray(chain.sample(jax.random.key(3), 40_000)), chain.marginal(3)
    last = np.bincount(seen[:, 3], minlength=16) / 40_000
    assert np.abs((last - p) / np.sqrt(p * (1 - p) / 40_000)).max() < 4
    for i, j in ((0, 3), (1, 2)):
        counts = np.zeros((chain.sizes[i], chain.sizes[j]))
        np.add.at(counts, (seen[:, i], seen[:, j]), 1)
        p = chain.joint(i, j)
        assert np.abs((counts / 40_000 - p) / np.sqrt(p * (1 - p) / 40_000)).max() < 5


def test_the_page_s_chain(nuisance):
    chain, names = nuisance
    joints = [chain.joint(i) for i in range(3)]
    found = [hierarchy.minimal_sufficient_statistic(joint) for joint in joints]
    assert [s.classes for s in found] == [2, 4, 8]
    for i, (joint, s, page) in enumerate(zip(joints, found, (0.083043, 0.262558, 0.834216), strict=True)):
        assert bits(joint) == pytest.approx(page, abs=6e-7)
        assert bits(s.joint) == pytest.approx(bits(joint), abs=1e-10)
        assert hierarchy.nuisance_information(FLIPS, i) / BIT == pytest.approx(bits(joint), abs=1e-12)
        assert np.array_equal(s.labels, by_pairs(joint))
        first_bits = np.argsort(names[3]) % 2 ** (i + 1)
        assert hierarchy.refines(s.labels, first_bits) and hierarchy.refines(first_bits, s.labels)
    assert np.prod(1 - 2 * np.array(FLIPS)) == pytest.approx(0.336)
    distilled = hierarchy.distil(chain)
    assert all(np.array_equal(s.labels, t.labels) for s, t in zip(found, distilled.statistics, strict=True))
    np.testing.assert_allclose(distilled.compose(np.arange(16)), hierarchy.posterior(joints[0]), atol=1e-14)


def test_the_last_map_is_a_conditional_probability_not_a_joint_one(nuisance):
    """Erratum 8: f_0(T_0) = p(x_0 | T_0), so columns sum to 1."""
    distilled = hierarchy.distil(nuisance[0])
    np.testing.assert_allclose(distilled.statistics[0].posterior.sum(0), 1, rtol=1e-14)
    assert np.all(distilled.statistics[0].joint.sum(0) < 0.9)
    assert [len(f) for f in distilled.maps] == [4, 8] and max(distilled.maps[0]) == 1


def test_maps_compose_where_kernels_are_drawn_with_structure(random):
    """Each level repeats outcomes of the one before in groups of random sizes, some of probability 0."""
    kernels, size = [], 3
    for _ in range(3):
        group = np.sort(np.r_[np.arange(size), random.integers(size, size=size + 1)])
        noise = random.dirichlet(np.ones(size), size=size)
        within = random.uniform(0.1, 1, size=len(group)) * (group[None] == np.arange(size)[:, None])
        kernels.append(noise @ (within / within.sum(1, keepdims=True)))
        size = len(group)
    kernels[-1] = np.c_[kernels[-1][:, :5], np.zeros(size := len(kernels[-1])), kernels[-1][:, 5:]]
    chain = hierarchy.Hierarchy.of(random.dirichlet(np.ones(3)), kernels)
    distilled = hierarchy.distil(chain)
    for i, s in enumerate(distilled.statistics):
        direct = hierarchy.minimal_sufficient_statistic(chain.joint(i))
        assert np.array_equal(s.labels, direct.labels) and s.classes < chain.sizes[-1] - 1
        assert bits(direct.joint) == pytest.approx(bits(chain.joint(i)), abs=1e-12)
    occurs = chain.marginal(3) > 0
    assert occurs.sum() == chain.sizes[3] - 1
    gap = distilled.compose(np.arange(chain.sizes[3])) - hierarchy.posterior(chain.joint(0))
    assert np.abs(gap[:, occurs]).max() < 1e-12


def test_a_generic_chain_is_not_compressed():
    chain = hierarchy.random_hierarchy(jax.random.key(0), (2, 4, 16, 64))
    assert [s.classes for s in hierarchy.distil(chain).statistics] == [64, 64, 64]


def test_rounding_never_splits_a_class(random):
    """Posteriors at edges of every decimal grid, moved by the last bits; and a chain of near outcomes."""
    edges = np.array([0.5e-10, 0.25, 0.3000000001, 0.30000000005, 1 / 3, 0.7])
    q = np.repeat(edges, 50) + random.choice([-1, 0, 1], size=300) * 1e-16
    joint = np.stack([q, 1 - q]) * random.uniform(0.5, 1, size=300) / 300
    order = random.permutation(300)
    found = hierarchy.minimal_sufficient_statistic(joint[:, order], 1e-11)
    assert found.classes == 6 and hierarchy.refines(found.labels, np.repeat(np.arange(6), 50)[order])
    chain = 0.2 + 1e-10 * np.r_[0, 0.4, 0.8, 1.2, 1.6, 3.0]
    labels = hierarchy.minimal_sufficient_statistic(np.stack([chain, 1 - chain]), 1e-10).labels
    assert np.array_equal(labels, [0, 0, 0, 0, 0, 1])


def test_classes_that_look_alike_along_the_sorting_directions_are_told_apart(random):
    """Differences orthogonal to all three directions of the sort are seen by the check."""
    directions = np.random.default_rng(0).uniform(-1, 1, size=(3, 6))
    hidden = np.linalg.svd(np.r_[directions, np.ones((1, 6))])[2][-1]
    base = np.full(6, 1 / 6)
    q = np.stack([base, base + 0.1 * hidden, base, base - 0.1 * hidden, base + 0.1 * hidden], 1)
    assert np.abs(directions @ (q - q[:, :1])).max() < 1e-15
    labels = hierarchy.minimal_sufficient_statistic(q).labels
    assert np.array_equal(labels, [0, 1, 0, 2, 1]) and np.array_equal(labels, by_pairs(q))


def test_against_the_definition_on_random_tables_with_repeats(random):
    for _ in range(20):
        sources, kinds, outcomes = random.integers(2, 6), random.integers(1, 8), random.integers(8, 30)
        kind = random.integers(kinds, size=outcomes)
        joint = random.dirichlet(np.ones(sources), size=kinds).T[:, kind] * random.uniform(0.1, 1, size=outcomes)
        found = hierarchy.minimal_sufficient_statistic(joint)
        assert np.array_equal(found.labels, by_pairs(joint))
        np.testing.assert_allclose(found.joint, [[row[found.labels == c].sum() for c in range(found.classes)] for row in joint])


def test_processing_loses_information_unless_it_refines(nuisance, random):
    chain, _ = nuisance
    later = [bits(chain.joint(0, k)) for k in (1, 2, 3)]
    assert later[0] >= later[1] >= later[2]
    for level in range(3):
        joint = chain.joint(level)
        s, whole = hierarchy.minimal_sufficient_statistic(joint), bits(joint)
        for _ in range(20):
            g = random.integers(random.integers(2, 9), size=16)
            kept = bits(hierarchy.merge(joint, g))
            assert kept <= whole + 1e-12
            finer = s.labels + s.classes * random.integers(2, size=16)
            assert bits(hierarchy.merge(joint, finer)) == pytest.approx(whole, abs=1e-12) and hierarchy.refines(finer, s.labels)
        for a, b in itertools.combinations(range(s.classes), 2):
            assert whole - bits(hierarchy.merge(joint, np.where(s.labels == b, a, s.labels))) > 1e-6


def test_invariance_grows_towards_the_root(nuisance):
    chain, names = nuisance
    flips = np.stack([names[3][np.argsort(names[3]) ^ mask] for mask in range(2, 16, 2)])
    found = [hierarchy.invariance(s.labels, flips, chain.marginal(3)) for s in hierarchy.distil(chain).statistics]
    np.testing.assert_allclose(found, [(2 ** (3 - i) - 1) / 7 for i in range(3)], rtol=1e-12)
    root = names[3][np.argsort(names[3]) ^ 1][None]
    assert hierarchy.invariance(hierarchy.distil(chain).statistics[0].labels, root, chain.marginal(3)) == 0


def test_a_long_chain_is_distilled_class_by_class():
    chain = hierarchy.nuisance_hierarchy(np.linspace(0.05, 0.2, 9))
    found = hierarchy.distil(chain)
    assert chain.sizes[-1] == 1024 and [s.classes for s in found.statistics] == [2 ** (i + 1) for i in range(9)]
    assert np.array_equal(found.statistics[8].labels, np.arange(1024) % 512)


def test_information_is_differentiable_in_the_flips():
    information = lambda eps: mutual_information(hierarchy.nuisance_hierarchy([eps, 0.15]).joint(0))
    slope, step = jax.jit(jax.grad(information))(0.1), 1e-6
    closed = [hierarchy.nuisance_information([0.1 + s, 0.15], 0) for s in (-step, step)]
    assert slope == pytest.approx((closed[1] - closed[0]) / (2 * step), rel=1e-6)
    assert hierarchy.bit_information(1.0) == pytest.approx(BIT) and hierarchy.bit_information(0.0) == 0


def test_nonsense_is_refused():
    fair = np.full(2, 0.5)
    for wrong, text in (
        (lambda: hierarchy.Hierarchy.of(fair, [np.eye(3)]), r"M_1 has shape \(3, 3\); must have 2 rows"),
        (lambda: hierarchy.Hierarchy.of(fair, [np.eye(2) * 0.9]), "M_1: must be non-negative and each row sum to 1"),
        (lambda: hierarchy.Hierarchy.of(fair, [np.eye(2)]).joint(1), "level=1, later=1: must be increasing"),
        (lambda: hierarchy.minimal_sufficient_statistic(np.eye(2), 0.0), "tolerance=0.0: must be 2 and positive"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()


def test_host_and_traced_arrays_agree():
    chain = hierarchy.random_hierarchy(jax.random.key(5), (2, 3, 4))
    traced = jax.tree.map(jnp.asarray, chain)
    np.testing.assert_allclose(jax.jit(lambda c: c.joint(0))(traced), chain.joint(0), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda c: hierarchy.posterior(c.joint(0)))(traced), hierarchy.posterior(chain.joint(0)), rtol=1e-12)
