"""No flattening: claims at reduced size, the page's least errors, planted faults."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import no_flattening

PAGE_LEAST = {
    "single": (1.3e-4, 8.2e-4, 2.5e-3, 5.9e-3, 1.5e-2, 1.6e-2, 5.2e-2),
    "double": (4.4e-9, 2.0e-7, 2.8e-6, 1.8e-5, 7.1e-5, 2.4e-4, 5.9e-4),
}
PAGE_ERROR = 0.00776, 0.01162, 0.01608, 0.01940, 0.02386, 0.02751, 0.03121


@pytest.fixture(scope="module")
def data(results):
    return experiment("no_flattening", points=200, scales=41, networks=2, starts=0)


def verdicts(data):
    return [c.verdict for c in no_flattening.claims(data) if c.gated]


def test_gated_claims_hold_and_the_figure_is_drawn(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= len(seen) - 2
    assert len(no_flattening.plot(data).axes) == 6


def test_least_errors_and_errors_are_those_of_the_page(data):
    for p, least in enumerate(PAGE_LEAST.values()):
        ratio = data.flat_error.values[:7, p].min(-1) / least
        assert np.all((ratio > 0.5) & (ratio < 2))
    np.testing.assert_allclose(data.relative.values[:7, 1], PAGE_ERROR, rtol=0.05)


FAULTS = {
    "relative": 1.1,
    "flat_neurons": 2,
    "tree_error": 100,
    "tree_neurons": 2,
    "deep_neurons": 2,
    "split_neurons": 2,
    "split_error": 10,
    "cheaper_neurons": 2,
    "fourier_cost": 1.1,
    "rank_cost": 1.1,
    "sparse_cost": 1.1,
    "strassen_products": 2,
    "tent_pieces": 2,
    "tent_neurons": 0.5,
    "monomials": 2,
    "sums_neurons": 2,
    "growth": 1.05,
}


def test_each_fault_is_noticed(data):
    assert "fails" not in verdicts(data)
    for name, factor in FAULTS.items():
        assert "fails" in verdicts(data.assign({name: data[name] * factor})), name
    shifted = {"rank": -1, "residual": 0.01, "vandermonde": 1e-6, "fourier_error": 1e-6, "strassen_error": 1, "sums_error": 0.1}
    shifted |= {"reach_error": 0.01, "tent_error": 0.1}
    for name, shift in shifted.items():
        assert "fails" in verdicts(data.assign({name: data[name] + shift})), name
    assert "fails" in verdicts(data.assign(flat_error=data.flat_error**0.5)), "wrong power of the precision"
    planted = data.assign(cheaper_error=data.cheaper_error * np.arange(1, data.sizes["halving"] + 1))
    assert "fails" in verdicts(planted), "wrong order in the scale"


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match=r"scales=3: must be in \[11, 10001\]"):
        experiment("no_flattening", scales=3)
