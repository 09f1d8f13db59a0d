"""Final distance: formula (3) by hand at every point of the grid, planted faults, and grids that make no sense."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import final_distance


@pytest.fixture(scope="module")
def data(results):
    fields = {"model.width": 40, "model.hidden_layers": 5, "replicas": 3, "references": 3, "side": 4, "steps": 2000, "every": 4}
    return experiment("final_distance", rich=0.8, lazy=2.2, **fields)


def verdicts(data):
    return {c.statement.split(":")[0] + c.statement[-20:]: c.verdict for c in final_distance.claims(data) if c.gated}


def test_formula_3_by_hand(data):
    rates = [np.where(data.reference_loss < 1e-2, data[f"rates_{k}"], np.nan) for k in ("hidden", "output")]
    ratio = (np.nanmean(rates[0], axis=1) / np.nanmean(rates[1], axis=1))[:, None, None]
    X, S = data.geometry_dx2.values, data.geometry_dy2.values
    np.testing.assert_allclose(X.reshape(4, 4)[:, 0], np.linspace(0.5, 1.5, 4) ** 2)
    np.testing.assert_allclose(S.reshape(4, 4)[0], np.linspace(0, 1, 4) ** 2, atol=1e-12)
    high = data.initial_h.values - ratio * X * data.initial_y.values / data.initial_h.values
    expected = high / 2 + np.sqrt(high**2 / 4 + ratio * X * S)
    np.testing.assert_allclose(data.formula, expected, rtol=1e-6)
    np.testing.assert_allclose(data.plateau, np.broadcast_to(np.sqrt(ratio * X * S), expected.shape), rtol=1e-9)


def test_claims_hold_and_fail_under_planted_faults(data):
    honest = verdicts(data)
    assert len(honest) == 5 and "fails" not in honest.values() and list(honest.values()).count("holds") >= 3
    shuffled = np.random.default_rng(0).permutation(data.sizes["point"])
    assert "fails" in verdicts(data.assign(final=(data.final.dims, data.final.values[..., shuffled]))).values()
    assert "fails" in verdicts(data.assign(formula=2 * data.formula)).values(), "a rate ratio four times too large"
    assert "fails" in verdicts(data.assign(initial_h=(data.final.dims, data.initial_h.values[::-1]))).values()
    assert len(final_distance.plot(data).axes) == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dy_high": 0.0}, "dy_high=0: must be above dy_low=0"),
        ({"dx_low": 2.0}, "dx_high=1.5: must be above dx_low=2"),
        ({"layer": 10}, "layer=10"),
    ],
)
def test_grids_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        final_distance.Config(**fields)
