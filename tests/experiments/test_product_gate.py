"""Product gates: the laws hold at reduced size, and each fault is noticed."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import product_gate


@pytest.fixture(scope="module")
def data(results):
    return experiment("product_gate", points=1000, layers=2)


def verdicts(data):
    return [c.verdict for c in product_gate.claims(data) if c.gated]


def test_gated_claims_hold(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= len(seen) - 3
    assert len(product_gate.plot(data).axes) == 4


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("error", lambda e: e * np.array(product_gate.SCALES) ** 0.5),
        ("point", lambda e: e / np.array(product_gate.SCALES)),
        ("off", lambda e: e + 0.1),
        ("c4", lambda c: c * 1.1),
        ("kind_series", lambda e: e * 1.1),
        ("square", lambda e: e[..., ::-1]),
        ("best_error", lambda e: e * 4),
        ("best_scale", lambda e: e / 4),
        ("tree_error", lambda e: e * 1.1),
        ("tree_ratio", lambda e: e * 1.1),
        ("neurons", lambda n: n + 4),
        ("depth", lambda n: n + 1),
        ("refused", lambda n: n - 1),
    ],
)
def test_each_fault_is_noticed(data, name, fault):
    planted = data.assign({name: (data[name].dims, fault(data[name].values))})
    assert verdicts(planted).count("fails") > 0


def test_offsets_mistaken_for_other_biases_are_noticed(data):
    order = np.arange(len(product_gate.NAMES))
    order[[0, 2]] = order[[2, 0]]
    assert "fails" in verdicts(data.isel(case=order))


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="layers=9: must be in \\[1, 8\\]"):
        experiment("product_gate", layers=9)
