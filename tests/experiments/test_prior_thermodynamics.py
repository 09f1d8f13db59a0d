"""Thermodynamics of the prior: claims at reduced size, planted faults, and an oracle for what is stored."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import prior_thermodynamics as module

SIZES = {"networks": 2, "points": 4, "chains": 200}


@pytest.fixture(scope="module")
def data(results):
    return experiment("prior_thermodynamics", **SIZES)


def verdicts(data):
    return [c.verdict for c in module.claims(data) if c.gated]


def test_gated_claims_hold(data):
    seen = module.claims(data)
    assert not [c.statement for c in seen if c.gated and c.domain and c.verdict != "holds"]
    assert [c.statement for c in seen if c.verdict == "open"] and all("2 networks" in c.statement for c in seen if c.verdict == "open")
    assert len(module.plot(data).axes) == 9


FAULTS = {
    "at_log_partition": 1.1,
    "at_energy": 1.1,
    "at_entropy": 1.1,
    "at_free_energy": -1,
    "at_heat_capacity": 1.1,
    "slope": 1.1,
    "curvature": 1.1,
    "counted": 1 + 1e-9,
    "members": 2,
    "mean": 1.01,
    "hot": 1.01,
    "cold": 1.01,
    "constant_width": 1.01,
    "family": 1.001,
    "second_law_closed": -1,
    "second_law_divergence": -1,
    "largest_deficit": 1.001,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_noticed(data, name):
    assert "fails" in verdicts(data.assign({name: data[name] * FAULTS[name]}))


def test_things_out_of_place_are_noticed(data):
    planted = {
        "at_energy": data.at_energy.roll(beta=1),
        "at_entropy": data.at_entropy.roll(system=1),
        "share": data.share.where(data.way == 1, data.share.roll(layer=1)),
        "second_law_closed": data.second_law_unconstrained,
        "second_law_rearranged": data.second_law_closed,
    }
    for name, values in planted.items():
        assert "fails" in verdicts(data.assign({name: values})), name


def test_states_of_a_network_are_its_parameters(data):
    at = module.SYSTEMS.index
    np.testing.assert_array_equal(data.states.sum(("kind", "bin")), data.members)
    page = {"ResNet-50": 25_610_152, "V2-B0": 7_200_312, "tied V2-B0": 2_972_720, "tied ResNet-50": 11_528_104, "LeNet-5": 61_706}
    for name, members in page.items():
        assert int(data.members[at(name)]) == members, name
    assert data.ends.values[at("LeNet-5"), 1] == pytest.approx(np.log(16_128_000_000), rel=1e-14)
    bits = {"ResNet-50": (476.565691, 463.318734, 13.246957), "V2-B0": (756.838554, 746.608413, 10.230140)}
    for name, row in bits.items():
        assert data.counted.values[at(name)] / np.log(2) == pytest.approx(row, abs=6e-7)


def test_the_tied_mlp_pools_its_middle_layers(data):
    w, d = int(data.width), int(data.depth)
    counts = [w ** (d - 1), sum(w ** (d - l) for l in range(2, d)), 1]
    p = np.array([c / sum(counts) for c in counts])
    spread = p @ np.log(np.array(counts, float))
    assert data.counted.values[module.SYSTEMS.index("tied MLP"), 1] == pytest.approx(spread, rel=1e-13)


def test_other_settings_stay_true(results):
    data = experiment("prior_thermodynamics", **SIZES, width=2, depth=40, layers=3, parameters=7, spacing=50.0, seed=5)
    assert not [c.statement for c in module.claims(data) if c.gated and c.verdict == "fails"]


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match=r"networks=9: must be in \[2, 8\]"):
        experiment("prior_thermodynamics", networks=9)
