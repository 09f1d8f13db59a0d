"""Context task: main effects in closed form, planted faults."""

import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import context_task


def test_variances_are_the_main_effects():
    side = 5
    line = np.linspace(-1, 1, side)
    across, up = np.meshgrid(line, line, indexing="ij")
    hidden = np.stack([np.stack([3 * across, 0.5 * up, 0 * up], -1), np.stack([0.5 * across, 2 * up, 7 + 0 * up], -1)])
    relevant, irrelevant, contexts = context_task._variances(jnp.asarray(hidden))
    assert float(relevant) == pytest.approx((9 + 4) * line.var() / 2)
    assert float(irrelevant) == pytest.approx((0.25 + 0.25) * line.var() / 2)
    assert float(contexts) == pytest.approx(49)


def test_claims_hold_and_fail_when_the_contexts_are_swapped(results):
    fields = {"model.width": 30, "networks": 3, "side": 6, "steps": 6000, "small": 0.5, "intermediate": 0.8}
    data = experiment("context_task", **fields)
    verdicts = lambda d: [c.verdict for c in context_task.claims(d) if c.gated]
    assert set(verdicts(data)) == {"holds"} and len(verdicts(data)) == 4
    swapped = data.assign(relevant=data.irrelevant, irrelevant=data.relevant)
    assert verdicts(swapped).count("fails") >= 2
    assert len(context_task.plot(data).axes) == 12


def test_more_in_a_batch_than_there_are_examples_is_refused():
    with pytest.raises(ValueError, match="batch=16: must be ≤ 8"):
        context_task.Config(side=2, batch=16)
