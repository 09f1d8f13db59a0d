"""Nearly Gaussian networks and fluctuating tangent kernels: claims at reduced size, planted faults, an independent measurement."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import nearly_gaussian, ntk_fluctuations


def verdicts(module, data):
    return [c.verdict for c in module.claims(data) if c.gated]


def test_cumulants_hold_and_each_fault_is_noticed(results):
    data = experiment("nearly_gaussian", networks=40_000, fine=60_000, trained=300, steps=60)
    seen = verdicts(nearly_gaussian, data)
    assert "fails" not in seen and seen.count("holds") >= 7
    faults = {
        "vertex": data.vertex * 1.1,
        "sixth": data.sixth * 1.2,
        "correction": -data.correction,
        "logarithm": data.logarithm * 1.1,
        "recursion_V": data.recursion_V * 1.1,
    }
    for name, planted in faults.items():
        assert "fails" in verdicts(nearly_gaussian, data.assign({name: planted})), name
    assert len(nearly_gaussian.plot(data).axes) == 6
    assert np.all(np.abs(data.trained_variance.values[1:]) < np.abs(data.trained_variance.values[0]))
    assert np.all(np.abs(data.trained_mean.values) < 0.06)


def test_tangent_kernels_hold_and_each_fault_is_noticed(results):
    data = experiment("ntk_fluctuations", cells="least", networks=40_000, whole=3000)
    seen = verdicts(ntk_fluctuations, data)
    assert "fails" not in seen and seen.count("holds") >= 4
    for name, factor in (("variance", 1.15), ("mean", 1.01), ("sampler", 1.1)):
        assert "fails" in verdicts(ntk_fluctuations, data.assign({name: data[name] * factor})), name
    assert len(ntk_fluctuations.plot(data).axes) == 4


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="cells=some: must be one of least, few, all"):
        experiment("ntk_fluctuations", cells="some")
