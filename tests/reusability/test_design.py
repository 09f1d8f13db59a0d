"""One network, one choice changed: closed forms where kernels see one pixel, and what each choice does to the counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.reusability.design import CLASSES, SIDE, Design
from dltheory.reusability.histogram import Histogram

CELLS = SIDE**2
W = 3


def distinct(leaf):
    return sorted(set(np.ravel(leaf).tolist()))


@pytest.mark.parametrize(
    ("design", "stem", "blocks"),
    [
        (Design(kernel=1), W**4, [CELLS * W**k for k in (3, 2, 1, 0)]),
        (Design(kernel=1, stride=2), W**4, [CELLS / 4 * W**k for k in (3, 2, 1, 0)]),
        (Design(kernel=1, blocks=1, tied=True), W, [CELLS]),
        (Design(kernel=1, tied=True), W**4, [CELLS * (1 + W + W**2 + W**3)]),
        (Design(kernel=1, wiring="skip"), (1 + W) ** 4, [CELLS * (1 + W) ** k for k in (3, 2, 1, 0)]),
        (Design(kernel=1, pool=2), W**4, [CELLS / 4 * W**k for k in (3, 2, 1, 0)]),
        (Design(kernel=1, wiring="concat"), (1 + W) ** 4, [CELLS * (1 + W) ** k for k in (3, 2, 1, 0)]),
    ],
)
def test_closed_forms_where_blocks_see_one_pixel(design, stem, blocks):
    seen = design.trace(W).counts()
    assert max(distinct(seen["stem"])) == stem * CLASSES * CELLS / design.stride**2, "the tap in the middle"
    assert list(map(distinct, seen["blocks"])) == [[CLASSES * b] for b in blocks]
    assert distinct(seen["readout"]) == [1]


def test_the_function_that_is_counted_is_the_network():
    design = Design(wiring="concat", pool=2, stride=2)
    params = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), design.shapes(W))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == design.parameters(W) == Histogram.of(design.trace(W).counts()).parameters
    assert design.apply(params, jnp.ones((2, SIDE, SIDE, 3), jnp.float32)).shape == (2, CLASSES)


@pytest.mark.parametrize("design", [Design(), Design(blocks=8), Design(tied=True), Design(wiring="concat"), Design(kernel=5)])
def test_the_width_keeps_the_number_of_parameters(design):
    target = Design().parameters(64)
    w = design.width(target)
    assert abs(design.parameters(w) / target - 1) < 0.03
    assert abs(design.parameters(w) - target) <= min(abs(design.parameters(v) - target) for v in (w - 1, w + 1))


def test_tying_keeps_what_the_scores_charge():
    plain, tied = Design().reuse(8), Design(tied=True).reuse(8)
    assert tied.weight_nodes == plain.weight_nodes == plain.parameters > tied.parameters
    blocks = Design(tied=True).trace(8).counts()["blocks"]
    assert len(blocks) == 1 and min(distinct(blocks[0])) > max(distinct(Design().trace(8).counts()["blocks"][1])), "pooled over four uses"
