"""Renormalisation: the claims at reduced size, and a fault planted under each of them."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import renormalization


@pytest.fixture(scope="module")
def data(results):
    return experiment("renormalization", samples=300, sweeps=15, draws=8)


def verdicts(data):
    return [c.verdict for c in renormalization.claims(data) if c.gated]


def test_gated_claims_hold(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= len(seen) - 2
    assert len(renormalization.plot(data).axes) == 6


def scaled(factor, **where):
    def plant(x):
        out = x.copy(deep=True)
        out[where] = out[where] * factor
        return out

    return plant


FAULTS = {
    "decimated": scaled(1 + 1e-9),
    "beyond": lambda x: x + 1e-9,
    "twice": scaled(1 + 1e-11),
    "length": scaled(1.1, followed=2),
    "free_energy": lambda x: x.copy(data=np.cumsum(np.diff(x, axis=1, prepend=0) * 1.1, axis=1)),
    "effective": scaled(1.1),
    "crossing": scaled(1.2),
    "slope": scaled(0.9),
    "score": scaled(0.9, level=1),
    "bound": scaled(3.0),
    "agreement": scaled(1.1),
    "partition": lambda x: x + 0.1,
    "divergence": lambda x: 0 * x,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_noticed(data, name):
    assert "fails" in verdicts(data.assign({name: FAULTS[name](data[name])}))


@pytest.mark.parametrize("order", range(3))
def test_a_wrong_power_of_the_block_is_noticed(data, order):
    wrong = data.fitted.copy(deep=True)
    wrong[{"order": order}] = wrong[{"order": order}] * data.block / 2
    assert "fails" in verdicts(data.assign(fitted=wrong))


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match=r"samples=3: must be in \[50, 1000000\]"):
        experiment("renormalization", samples=3)
