"""ResNet-50 as a plan: the row of the page's table, and the same integers as the traced flax model, on any layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import LAYOUTS, assert_same, traced

from dltheory.models.resnet import ResNet, ResnetConfig, Stage, layout, stages
from dltheory.reusability import resnet
from dltheory.reusability.plan import merged, multiplications, weight_nodes
from dltheory.reusability.sharing import published_key, tied, true_key
from dltheory.reusability.summary import summary


@pytest.fixture(scope="module")
def resnet_50():
    plan = resnet.plan()
    return plan, plan.uses()


def scores(plan, uses, counts):
    return summary(counts, plan.inputs, plan.outputs, weight_nodes(uses))


def test_row_of_the_table(resnet_50):
    seen = scores(*resnet_50, merged(resnet_50[1]))
    found = (seen.expected_spread, seen.entropy, seen.log_partition, seen.surprisal_score, seen.spread_score)
    np.testing.assert_allclose(found, (463.318734, 13.246957, 476.565691, 25.709593, 26.050133), atol=6e-7, rtol=0)
    assert seen.parameters == 25_610_152 and abs(seen.total_surprisal - 9391080352.3) < 0.06


@pytest.mark.parametrize("key", [published_key, true_key])
def test_shared_inside_stages(resnet_50, key):
    """It has no fused blocks: both keyings are one."""
    seen = scores(*resnet_50, tied(resnet_50[1], key))
    assert seen.parameters == 11_528_104 and seen.weight_nodes == 25_610_152
    np.testing.assert_allclose((seen.surprisal_score, seen.spread_score), (24.557219, 24.898573), atol=6e-7, rtol=0)


def test_size_in_closed_form(resnet_50):
    """Fifty layers in sequence; 3.86 billion products, published as such."""
    plan, uses = resnet_50
    convolutions = 7 * 7 * 3 * 64
    channels = 64
    for repeats, inside, _ in stages(50):
        for block in range(repeats):
            convolutions += channels * inside + 9 * inside**2 + 4 * inside**2 + (4 * channels * inside if block == 0 else 0)
            channels = 4 * inside
    norms = 4 * (64 + sum(r * 6 * c + 4 * c for r, c, _ in stages(50)))
    assert convolutions + norms + 2049 * 1000 == 25_610_152
    assert plan.depth == 50 and round(multiplications(uses) / 1e7) == 386


def random_layout(random):
    draw = lambda low, high: int(random.integers(low, high))
    stages = [Stage(draw(1, 3), draw(2, 9), draw(1, 4)) for _ in range(draw(1, 3))]
    return layout(stages, float(random.uniform(0.05, 0.3))), draw(4, 40), draw(1, 12)


@pytest.mark.parametrize("seed", LAYOUTS)
def test_the_traced_model_has_the_same_integers(seed):
    blocks, side, outputs = random_layout(np.random.default_rng(seed))
    seen = traced(lambda: ResNet(blocks, outputs, "relu", 1.0, key=jax.random.key(0), dtype=jnp.float32), side)
    assert_same(resnet.plan_of(blocks, side, outputs), seen)


def test_all_stages_traced_on_a_small_image():
    config = ResnetConfig(width=0.1, depth=0.3)
    assert_same(resnet.plan_of(config.layout, 33, 10), traced(lambda: config.build(jax.random.key(0), 3 * 33**2, 10), 33))


@pytest.mark.slow
def test_full_size_traced():
    assert_same(resnet.plan(), traced(lambda: ResnetConfig().build(jax.random.key(0), 3 * 224**2, 1000), 224))


@pytest.mark.parametrize(("layers", "trainable"), [(50, 25_557_032), (101, 44_549_160), (152, 60_192_808)])
def test_deeper_networks(layers, trainable):
    """Published sizes, without running means and variances: two of the four vectors of each batch norm."""
    plan = resnet.plan(layers, 32)
    assert plan.depth == layers
    assert sum(use.multiplicity // (1 + (use.kind == "batch_norm")) for use in plan.uses()) == trainable


def test_an_unknown_depth_says_so():
    with pytest.raises(ValueError, match=r"^layers=34: must be one of 50, 101, 152$"):
        resnet.plan(34)
