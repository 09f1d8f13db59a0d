"""Sharing by key: pooled contexts against a traced function that uses one kernel twice, and both keyings of the authors' network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.reusability import efficientnet
from dltheory.reusability.histogram import Histogram
from dltheory.reusability.plan import BatchNorm, Conv, Dense, Depthwise, GlobalPool, Plan, Shape, merged, normalised, weight_nodes
from dltheory.reusability.sharing import published_key, tied, true_key
from dltheory.reusability.summary import summary
from dltheory.reusability.trace import trace

PRINTED_LARGEST = int(
    "662873920091813084999145469405763955355934750981916994040871641574642445586757924121166848486773020222308634775231097"
    "702556928196046610270478351140479137167799348108755813763592524669932506480112764232391918150189527859200000"
)
"""Page 6.2: 225 digits."""
PRINTED = {
    "alone": {
        "parameters": 7_200_312,
        "entropy": 10.230140154574,
        "expected_spread": 746.608413463674,
        "total_bits": 1478240867.2467568,
        "total_surprisal": 3971232852.4333916,
        "surprisal_score": 26.276938215749876,
        "spread_score": 26.715765392404396,
        "spread_ratio": 0.98648306,
    },
    "shared": {
        "parameters": 2_972_720,
        "entropy": 10.230140154569,
        "expected_spread": 746.608413463679,
        "total_bits": 612269233.7014167,
        "total_surprisal": 1637599871.4106357,
        "surprisal_score": 24.998934154465193,
        "spread_score": 25.439489552858795,
        "spread_ratio": 0.98648306,
    },
}
DIGITS = {"total_bits": 2e-11, "total_surprisal": 1e-11, "surprisal_score": 1e-11, "spread_ratio": 1e-8}
"""Relative accuracy of what the author prints: his sums are of 7.2 million floats."""


@pytest.fixture(scope="module")
def b0():
    plan = efficientnet.plan("b0")
    return plan, plan.uses()


@pytest.mark.parametrize("name", PRINTED)
def test_numbers_printed_by_the_author(b0, name):
    plan, uses = b0
    counts = merged(uses) if name == "alone" else tied(uses, published_key)
    assert max(counts) == PRINTED_LARGEST and len(str(PRINTED_LARGEST)) == 225
    seen = summary(counts, plan.inputs, plan.outputs, weight_nodes(uses))
    assert seen.weight_nodes == 7_200_312 and plan.inputs == 3 * 224**2 and plan.outputs == 1000
    for field, value in PRINTED[name].items():
        np.testing.assert_allclose(getattr(seen, field), value, rtol=DIGITS.get(field, 1e-12), err_msg=field)
    np.testing.assert_allclose(seen.log_partition, 756.8385536182527, rtol=1e-14)


def test_the_true_keys_tie_less(b0):
    """Page 6.2: 3 018 800 parameters. Contexts are pooled, never lost: Z does not change."""
    _, uses = b0
    alone, true, published = merged(uses), tied(uses, true_key), tied(uses, published_key)
    assert sum(true.values()) == 3_018_800 and sum(published.values()) == 2_972_720
    assert len({sum(c * n for c, n in counts.items()) for counts in (alone, true, published)}) == 1
    different = [published_key(use) for use in uses if published_key(use) != true_key(use)]
    assert {use.layer.split(".", 2)[2] for use in uses if published_key(use) != true_key(use)} == {"expand.conv"} and len(different) == 36


def test_the_quirk_of_the_published_keys():
    """3×3 expansions of stride 1 and 2 are one layer, and their tap (0, 0) is a 1×1 convolution of as many channels."""
    layers = {
        "a.expand.conv": Conv(3, kernel=3),
        "b.expand.conv": Conv(3, kernel=3, stride=2),
        "c.project.conv": Conv(3, kernel=1),
        "d.project.conv": Conv(3, kernel=3),
        "e.project.conv": Conv(3, kernel=1, bias=True),
    }
    uses = Plan(Shape(6, 6, 3), layers).uses()
    at = {(use.layer[0], *use.place): use.count for use in uses}
    expected = {at["a", "weight", 0, 0] + at["b", "weight", 0, 0] + at["c", "weight", 0, 0]: 9}
    for a, b in np.ndindex(3, 3):
        pooled = [at["a", "weight", a, b] + at["b", "weight", a, b]] if (a, b) != (0, 0) else []
        for count in [*pooled, at["d", "weight", a, b]]:
            expected[count] = expected.get(count, 0) + 9
    for count, n in ((at["e", "weight", 0, 0], 9), (at["e", "bias"], 3)):
        expected[count] = expected.get(count, 0) + n
    assert tied(uses, published_key) == expected
    true = merged([use for use in uses if use.layer[0] in "bce"])
    for a, b in np.ndindex(3, 3):
        count = at["a", "weight", a, b] + at["d", "weight", a, b]
        true[count] = true.get(count, 0) + 9
    assert tied(uses, true_key) == true, "of true keys only the two 3×3 of stride 1 are one"


def test_shared_layers_are_a_kernel_that_a_function_uses_twice():
    def convolve(x, w, groups=1):
        how = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}
        return jax.lax.conv_general_dilated(x, w, (1, 1), ((1, 1), (1, 1)), **how)

    def network(p, x):
        for scale in p["scales"]:
            x = jnp.tanh(convolve(x, p["mix"]) * scale[None, None, None])
            x = convolve(x, p["each"], groups=3)
        return jnp.mean(x, axis=(1, 2)) @ p["head"]

    array = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float64)
    params = {"mix": array(3, 3, 3, 3), "each": array(3, 3, 1, 3), "scales": [array(3)] * 3, "head": array(3, 2)}
    traced = trace(network, params, array(1, 5, 4, 3))
    blocks = {f"{n}.mix": Conv(3, kernel=3) for n in range(3)}
    layers = {}
    for n, (name, layer) in enumerate(blocks.items()):
        layers |= {name: layer, f"{n}.norm": BatchNorm(), f"{n}.each": Depthwise(kernel=3)}
    uses = Plan(Shape(5, 4, 3), layers | {"pool": GlobalPool(), "head": Dense(2, bias=False)}).uses()
    scales = [use._replace(multiplicity=3) if use.kind == "batch_norm" else use for use in uses]
    seen = Histogram.of(traced.counts("published", "exact"))
    expected = Histogram.of(tied(scales, true_key))
    assert seen.counts == expected.counts and seen.multiplicity.tolist() == expected.multiplicity.tolist()
    assert traced.weight_nodes == weight_nodes(scales) == 3 * (81 + 27 + 3) + 6


def test_what_is_never_shared():
    layers = normalised("a", Conv(3, kernel=1)) | normalised("b", Conv(3, kernel=1)) | {"c": Dense(3), "d": Dense(3)}
    uses = Plan(Shape(1, 1, 3), layers).uses()
    assert sum(merged(uses).values()) == 2 * (9 + 12 + 12) and sum(tied(uses, true_key).values()) == 9 + 2 * (12 + 12)
