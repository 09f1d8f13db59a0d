"""Criticality: claims hold, faults are noticed, activations may be typed in, nonsense is one line."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import criticality

SMALL = {"width": 200, "side": 11, "measured": 6, "networks": 30, "critical": 1000, "whole": 3}


def verdicts(data):
    return {c.statement: c.verdict for c in criticality.claims(data) if c.gated}


@pytest.fixture(scope="module")
def data(results):
    return experiment("criticality", **SMALL)


def test_tanh_holds_and_each_fault_is_noticed(data):
    seen = verdicts(data)
    assert "fails" not in seen.values() and list(seen.values()).count("holds") >= 8
    for name, factor in (("point_c_w", 1.1), ("corrected", 1.1), ("gradient_slope", -1.0), ("correlation", 1.1), ("whole_gradient", 1.5)):
        assert "fails" in verdicts(data.assign({name: data[name] * factor})).values(), name
    assert len(criticality.plot(data).axes) == 8


def test_gradients_follow_the_susceptibility_over_the_plane(data):
    step = (data.sizes["bias"] - 1) // (data.sizes["b"] - 1)
    settled = data.settled.values[::step, ::step] < 1e-6
    gap = (data.gradient_slope.values - np.log(data.perpendicular.values[::step, ::step]))[settled]
    assert settled.sum() > 10
    assert np.abs(gap.mean()) < 0.02 and np.abs(gap).max() < 0.1


def test_a_relu_typed_in_loses_what_is_typical(results):
    sizes = SMALL | {"depth": 20, "side": 5, "measured": 3}
    relu = experiment("criticality", activation="where(z > 0, z, 0)", **sizes)
    assert "fails" not in verdicts(relu).values()
    planted = relu.assign(kernel_slope=relu.kernel_slope + 0.03)
    assert "fails" in verdicts(planted).values()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"activation": "z*tahn(z)"}, "tanh"),
        ({"activation": "maximum(z-1, 0)"}, "needs 1 continuous derivatives"),
        ({"measured": 4}, "measured=4: measured - 1 must divide side - 1 = 40"),
        ({"c_w_low": 5.0}, "c_w_high=3: must be above c_w_low=5"),
    ],
)
def test_nonsense_is_one_line(change, text):
    with pytest.raises(ValueError, match=text) as error:
        experiment("criticality", **change)
    assert "\n" not in str(error.value)
