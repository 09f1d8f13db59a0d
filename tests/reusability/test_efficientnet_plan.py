"""EfficientNetV2 as plans: the page's whole table, and the same integers as the traced flax model, on any layout."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import LAYOUTS, assert_same, traced

from dltheory.models.efficientnet import VARIANTS, EfficientNet, EfficientnetConfig, Stage, layout
from dltheory.reusability import efficientnet
from dltheory.reusability.plan import merged, weight_nodes
from dltheory.reusability.sharing import published_key, tied
from dltheory.reusability.summary import summary

NATIVE = {
    "b0": (224, 7_200_312, 746.608413, 10.230140, 756.838554, 3971232852.5, 26.276938, 26.715765),
    "b1": (240, 8_212_124, 913.423026, 10.229739, 923.652765, 5484745926.8, 26.751983, 27.205247),
    "b2": (260, 10_178_374, 973.994141, 10.229712, 984.223853, 7151358958.4, 27.057663, 27.530346),
    "b3": (300, 14_467_622, 1167.221293, 10.550525, 1177.771817, 11972183259.8, 27.708469, 28.205924),
    "s": (384, 21_612_360, 1505.546458, 9.834007, 1515.380465, 22061758740.5, 28.721066, 29.282620),
    "m": (480, 54_431_388, 2260.918426, 9.833954, 2270.752380, 88220708520.1, 30.042976, 30.523844),
    "l": (480, 119_027_848, 3219.145860, 10.260523, 3229.406383, 273496244449.9, 30.556384, 31.043288),
}
"""Page 6.3: input, parameters, E[log2 C], H, log2 Z, S_G, P_S, P_E."""
SHARED = {
    "b0": (2_972_720, 24.998934, 25.439490),
    "b1": (2_995_952, 25.323040, 25.750506),
    "b2": (3_422_668, 25.496687, 25.958033),
    "b3": (4_009_330, 25.854777, 26.354529),
    "s": (4_352_968, 26.326648, 26.970836),
    "m": (10_761_004, 27.756816, 28.185219),
    "l": (15_997_752, 27.680934, 28.147931),
}
SMALL_INPUT = {
    "b0": (26.276938, 26.715765),
    "b1": (26.548675, 27.000299),
    "b2": (26.616076, 27.086322),
    "b3": (26.848471, 27.343101),
    "s": (27.138869, 27.696991),
    "m": (27.793175, 28.270966),
    "l": (28.300822, 28.784920),
}
PRINTED = {"atol": 6e-7, "rtol": 0}


@functools.cache
def counted(variant, side):
    plan = efficientnet.plan(variant, side)
    return plan, plan.uses()


def scores(variant, side, counts=merged):
    plan, uses = counted(variant, side)
    return summary(counts(uses), plan.inputs, plan.outputs, weight_nodes(uses))


@pytest.mark.parametrize("variant", VARIANTS)
def test_table(variant):
    side, parameters, spread, entropy, partition, surprisal, *both = NATIVE[variant]
    assert VARIANTS[variant].side == side
    seen = scores(variant, side)
    assert seen.parameters == seen.weight_nodes == parameters and abs(seen.total_surprisal - surprisal) < 0.06
    np.testing.assert_allclose((seen.expected_spread, seen.entropy, seen.log_partition), (spread, entropy, partition), **PRINTED)
    np.testing.assert_allclose((seen.surprisal_score, seen.spread_score), both, **PRINTED)


@pytest.mark.parametrize("variant", VARIANTS)
def test_shared_variants(variant):
    seen = scores(variant, NATIVE[variant][0], lambda uses: tied(uses, published_key))
    assert seen.weight_nodes == NATIVE[variant][1]
    np.testing.assert_allclose((seen.parameters, seen.surprisal_score, seen.spread_score), SHARED[variant], **PRINTED)


@pytest.mark.parametrize("variant", VARIANTS)
def test_at_one_input_size(variant):
    seen = scores(variant, 224)
    np.testing.assert_allclose((seen.surprisal_score, seen.spread_score), SMALL_INPUT[variant], **PRINTED)


def random_layout(random):
    draw = lambda low, high: int(random.integers(low, high))
    channels = [draw(4, 20) for _ in range(3)]
    stages = [
        Stage(bool(draw(0, 2)), draw(1, 3), a, b, draw(1, 4), draw(1, 4), 1 + 2 * draw(0, 3)) for a, b in itertools.pairwise(channels)
    ]
    return layout(stages[: draw(1, 3)], float(random.uniform(0.2, 1.2)), float(random.uniform(0.5, 1.1))), draw(4, 40), draw(1, 12)


@pytest.mark.parametrize("seed", LAYOUTS)
def test_the_traced_model_has_the_same_integers(seed):
    blocks, side, outputs = random_layout(np.random.default_rng(seed))
    seen = traced(lambda: EfficientNet(blocks, outputs, "swish", 1.0, key=jax.random.key(0), dtype=jnp.float32), side)
    assert_same(efficientnet.plan_of(blocks, side, outputs), seen)


def test_all_stages_traced_on_a_small_image():
    config = EfficientnetConfig(width=0.25, depth=0.2)
    model = traced(lambda: config.build(jax.random.key(0), 3 * 35**2, 10), 35)
    assert_same(efficientnet.plan_of(config.layout, 35, 10), model)


@pytest.mark.slow
def test_full_size_traced():
    assert_same(efficientnet.plan(), traced(lambda: EfficientnetConfig().build(jax.random.key(0), 3 * 224**2, 1000), 224))


def test_an_unknown_variant_says_so():
    with pytest.raises(ValueError, match=r"^variant=b7: must be one of b0, b1, b2, b3, s, m, l$"):
        efficientnet.plan("b7")
