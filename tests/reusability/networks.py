"""A plan beside the traced model of the same layout, weight by weight."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dltheory.models import functional
from dltheory.reusability.plan import merged, weight_nodes
from dltheory.reusability.trace import trace

LAYOUTS = [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 20))]
"""Seeds of random layouts, half of them for a run with -m slow."""
LEAVES = {"norm": ("scale", "shift", "mean", "variance"), "bias": ("bias",), "weight": ("kernel",)}


def traced(build, side):
    """The trace of a model on images side × side, without drawing a weight."""
    params, apply = functional(nnx.eval_shape(build))
    return trace(apply, params, jax.ShapeDtypeStruct((1, 3 * side * side), jnp.float32))


def assert_same(plan, seen):
    """Every leaf of the traced model has the counts that the plan has for the layer of that name; the numbers of nodes agree."""
    uses = plan.uses()
    left = {".".join(map(str, path)): leaf.get_value() for path, leaf in nnx.to_flat_state(seen.counts("published", "exact"))}
    total = 0
    for use in uses:
        for leaf in LEAVES[use.place[0]]:
            counts = left[f"{use.layer}.{leaf}"]
            part = counts[use.place[1:]] if leaf == "kernel" else counts
            assert part.size * len(LEAVES[use.place[0]]) == use.multiplicity
            assert part.dtype == object and np.all(distinct(part) == use.count), (use.layer, leaf, use.place)
            total += part.size
    assert total == sum(math.prod(np.shape(c)) for c in left.values()) == sum(use.multiplicity for use in uses)
    assert {f"{use.layer}.{leaf}" for use in uses for leaf in LEAVES[use.place[0]]} == set(left)
    assert (seen.inputs, seen.outputs, seen.weight_nodes) == (plan.inputs, plan.outputs, weight_nodes(uses))
    assert sum(merged(uses).values()) == weight_nodes(uses)


def distinct(view):
    """A broadcast view without its repeats."""
    return view[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in view.strides)]
