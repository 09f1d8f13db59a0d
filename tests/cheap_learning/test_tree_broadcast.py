"""Broadcasting on a tree: belief propagation against enumeration, bounds that hold, and networks that are it or learn it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import xlogy

from dltheory.cheap_learning import hierarchy, tree_broadcast, walsh

BIT = np.log(2)


def bits(joint):
    """Mutual information, on the host."""
    joint = joint[:, joint.sum(0) > 0]
    return xlogy(joint, joint / np.outer(joint.sum(1), joint.sum(0))).sum() / BIT


def enumerated(flip, depth):
    """p(root, leaves) by a sum over every spin of the tree, one at a time."""
    nodes = 2 ** (depth + 1) - 1
    spins = walsh.configurations(nodes)
    p = np.full(len(spins), 0.5)
    for node in range(1, nodes):
        p *= np.where(spins[:, node] == spins[:, (node - 1) // 2], 1 - flip, flip)
    leaves = spins[:, -(2**depth) :] @ 2 ** np.arange(2**depth)
    joint = np.zeros((2, 2 ** (2**depth)))
    np.add.at(joint, (spins[:, 0], leaves), p)
    return joint


@pytest.fixture(scope="module")
def drawn():
    return np.random.default_rng(0).uniform(0.05, 0.4, size=2)


def test_all_ways_to_the_leaves_agree_with_enumeration(drawn):
    for flip, depth in itertools.product(drawn, (1, 2, 3)):
        exact = enumerated(flip, depth)
        np.testing.assert_allclose(tree_broadcast.leaf_joint(flip, depth), exact, atol=1e-15)
        np.testing.assert_allclose(tree_broadcast.tree_hierarchy(flip, depth).joint(0), exact, atol=1e-15)
        minus = walsh.configurations(2**depth).sum(1)
        votes = np.stack([exact[:, minus == k].sum(1) for k in range(2**depth + 1)], 1)
        np.testing.assert_allclose(tree_broadcast.vote_joint(flip, depth), votes, atol=1e-15)
        sign = np.sign(minus - 2**depth // 2)
        majority = np.stack([exact[:, sign == s].sum(1) for s in (-1, 0, 1)], 1)
        np.testing.assert_allclose(tree_broadcast.majority_joint(flip, depth), majority, atol=1e-15)
        one = np.stack([exact[:, walsh.configurations(2**depth)[:, 0] == s].sum(1) for s in (0, 1)], 1)
        assert tree_broadcast.single_leaf_information(flip, depth) / BIT == pytest.approx(bits(one), abs=1e-12)
        law = tree_broadcast.root_posteriors(flip, depth)[-1]
        assert bits(law.joint) == pytest.approx(bits(exact), abs=1e-12)
        assert law.classes == hierarchy.minimal_sufficient_statistic(exact).classes


@pytest.mark.parametrize(
    ("flip", "leaves"), [(0.1, (0.742086, 0.628146, 0.565343, 0.525993)), (0.2, (0.460525, 0.262951, 0.164517, 0.108027))]
)
def test_the_page_s_informations(flip, leaves):
    found = tree_broadcast.root_posteriors(flip, 5)
    assert [s.classes for s in found] == [3, 5, 13, 85, 3613]
    np.testing.assert_allclose([bits(s.joint) for s in found[:4]], leaves, atol=6e-7)
    assert bits(tree_broadcast.leaf_joint(flip, 4)) == pytest.approx(bits(found[3].joint), abs=1e-10)
    majority = [bits(tree_broadcast.majority_joint(flip, depth)) for depth in range(1, 5)]
    single = [tree_broadcast.single_leaf_information(flip, depth) / BIT for depth in range(1, 5)]
    assert all(a < b for a, b in zip(majority[1:], leaves[1:], strict=True))
    if flip == 0.1:
        np.testing.assert_allclose(majority, (0.742086, 0.602311, 0.498747, 0.432989), atol=6e-7)
        np.testing.assert_allclose(single, (0.531004, 0.319923, 0.198371, 0.124656), atol=6e-7)


def test_distinct_vectors_of_each_level():
    """3^8, 5^4, 13^2, 85 out of 65536 for four levels, from messages alone; and the general algorithm on three levels."""
    found = tree_broadcast.root_posteriors(0.1, 4)
    bits_of_leaves = walsh.configurations(16)
    labels = bits_of_leaves
    for s, expected in zip(found, (6561, 625, 169, 85), strict=True):
        size = int(np.sqrt(len(s.labels)))
        labels = s.labels[labels[:, ::2] + size * labels[:, 1::2]]
        code = labels @ s.classes ** np.arange(labels.shape[1])
        assert len(np.unique(code)) == expected
    general = hierarchy.distil(tree_broadcast.tree_hierarchy(0.1, 3)).statistics
    assert [s.classes for s in general] == [13, 25, 81]


def test_bounds_hold_tighten_and_show_the_threshold():
    flips = jnp.array([0.1, 0.2])
    run = jax.jit(lambda flips: jax.lax.map(lambda flip: tree_broadcast.information_bounds(flip, 16, 201), flips))
    below, above = (np.asarray(a) / BIT for a in run(flips))
    exact = np.array([[bits(s.joint) for s in tree_broadcast.root_posteriors(flip, 5)] for flip in (0.1, 0.2)])
    assert np.all(below[:, :5] <= exact + 1e-12) and np.all(exact <= above[:, :5] + 1e-12)
    coarse = [np.asarray(a) / BIT for a in tree_broadcast.information_bounds(0.1, 16, 51)]
    assert np.all((above - below)[0] < (coarse[1] - coarse[0]) / 4)
    assert pytest.approx((1 - 1 / np.sqrt(2)) / 2) == tree_broadcast.KESTEN_STIGUM
    assert below[0, -1] > 0.4 and below[0, -1] / below[0, -2] > 0.99
    assert np.log(below[1, 13] / below[1, 9]) / 4 == pytest.approx(np.log(2 * 0.6**2), rel=0.03)


def test_belief_propagation_is_a_network_of_fourteen_neurons(drawn):
    for flip, depth in ((0.1, 4), (drawn[0], 3)):
        net = tree_broadcast.belief_propagation_network(flip, depth)
        p = tree_broadcast.leaf_joint(flip, depth)
        l = jax.jit(lambda x, net=net: net(x))(1 - 2 * walsh.configurations(2**depth))
        np.testing.assert_allclose(l, np.log(p[0] / p[1]), atol=1e-12)
        assert (net.neurons, net.depth, net.synapses) == (2**depth - 2, depth - 1, 2 ** (depth + 1) - 2)


def test_a_network_that_knows_the_tree_learns_the_posterior():
    joint = tree_broadcast.leaf_joint(0.1, 2)
    x, target, p = 1 - 2 * walsh.configurations(4), hierarchy.posterior(joint)[0], joint.sum(0)
    params, apply = tree_broadcast.shared_tree(jax.random.key(0), 2, 4)
    x, p32 = jnp.asarray(x, jnp.float32), jnp.asarray(target, jnp.float32)
    drawn = jax.random.choice(jax.random.key(1), 16, (1500, 64), p=p)
    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes types
        trained = jax.jit(lambda params: tree_broadcast.train_on_law(apply, params, x, p32, drawn))(params)
    assert [h.shape for h in apply(params, x).hidden] == [(16, 8), (16, 4)] and len(jax.tree.leaves(params)) == 6

    def divergence(params):
        q = 1 / (1 + np.exp(-np.asarray(apply(params, x).output[:, 0], float)))
        return p @ (target * np.log(target / q) + (1 - target) * np.log((1 - target) / (1 - q)))

    assert divergence(trained) < 1e-4 < divergence(params)
    swapped = np.asarray(x)[:, [1, 0, 2, 3]]
    mean = np.abs(apply(trained, jnp.asarray(swapped)).output - apply(trained, x).output).mean()
    assert mean < 0.1


def test_messages_gathered_from_merged_nodes_lose_what_the_merger_loses():
    node = tree_broadcast.root_posteriors(0.1, 2)[-1]
    whole = tree_broadcast.gathered(node.joint, 0.1, 1)
    assert bits(whole) == pytest.approx(bits(tree_broadcast.leaf_joint(0.1, 3)), abs=1e-12)
    blind = tree_broadcast.gathered(np.full((2, 3), 1 / 6), 0.1, 2)
    assert blind.shape == (2, 81) and abs(bits(blind)) < 1e-12


def test_nonsense_is_refused():
    for wrong, text in (
        (lambda: tree_broadcast.root_posteriors(0.1, 6), r"depth=6: must be in \[1, 5\]"),
        (lambda: tree_broadcast.leaf_joint(0.7, 2), r"flip=0.7: must be in \[0, 0.5\]"),
        (lambda: tree_broadcast.information_bounds(0.1, 3, 10), "cells=10: must be odd"),
        (lambda: tree_broadcast.belief_propagation_network(0.0, 2), "flip=0.0: must be positive"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
