"""Exclusive or: formula (3) for each pair by hand, the structure of the matrices, planted faults."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import xor_structure


@pytest.fixture(scope="module")
def data(results):
    fields = {"model.width": 50, "model.hidden_layers": 6, "networks": 5, "scan": 2, "steps": 2500}
    return experiment("xor_structure", rich=0.7, lazy=2.5, **fields)


def verdicts(data):
    return [c.verdict for c in xor_structure.claims(data) if c.gated]


def test_masks_are_the_two_classes():
    label = np.array([0, 1, 1, 0])
    same = label[:, None] == label
    np.testing.assert_array_equal(xor_structure.WITHIN, same & ~np.eye(4, dtype=bool))
    np.testing.assert_array_equal(xor_structure.BETWEEN, ~same)


def test_matrices_are_symmetric_and_follow_formula_3(data):
    for name in ("before", "after", "formula"):
        matrix = data[name].values
        np.testing.assert_allclose(matrix, np.swapaxes(matrix, -1, -2), rtol=1e-6, atol=1e-12)
        assert np.all(np.diagonal(matrix, axis1=-2, axis2=-1) == 0)
    ratio = data.rates_hidden.values.mean(axis=1) / data.rates_output.values.mean(axis=1)
    plateau = np.sqrt(ratio * 1.0 * 1.0)  # neighbours of different class: |dx|² = |dy*|² = 1
    formula, before = data.formula.values[0][:, 0, 1], data.before.values[0][:, 0, 1]
    np.testing.assert_allclose(formula, plateau[0], atol=3 * before.max())


def test_claims_hold_and_fail_under_planted_faults(data):
    assert "fails" not in verdicts(data) and verdicts(data).count("holds") >= 2
    order = [0, 2, 3, 1]  # labels told wrong
    wrong = data.after.values[..., order, :][..., order]
    assert "fails" in verdicts(data.assign(after=(data.after.dims, wrong)))
    assert "fails" in verdicts(data.assign(after=(data.after.dims, data.before.values))), "nothing learnt: the initial matrix"
    reversed_scan = data.scan_after.values[::-1]
    assert "fails" in verdicts(data.assign(scan_after=(data.scan_after.dims, reversed_scan)))
    assert len(xor_structure.plot(data).axes) == 13
