"""Locality and symmetry: claims at reduced size, planted faults, and a lattice that is compressed as a reader would."""

import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import locality_symmetry


@pytest.fixture(scope="module")
def data(results):
    return experiment("locality_symmetry", graphs=3, functions=20, long=256, samples=6, side=32, sweeps=15)


def verdicts(data):
    return [c.verdict for c in locality_symmetry.claims(data) if c.gated]


def test_gated_claims_hold_and_each_fault_is_noticed(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= len(seen) - 2
    shuffled = data.couplings.values[:, np.random.default_rng(0).permutation(17)]
    faults = {
        "divergence": data.divergence * 1.1,
        "maximum_entropy": data.maximum_entropy + 1e-8,
        "terms": data.terms + (np.arange(data.terms.size) == 2),
        "bound": data.bound // 4,
        "energy_error": data.energy_error * 2,
        "couplings": (data.couplings.dims, shuffled),
        "excess": data.excess + 1,
        "free": data.free + 1,
        "turned": data.turned[::-1],
        "shifted": data.shifted[:, ::-1],
        "error": data.error[..., ::-1],
        "fourier_error": data.fourier_error + 1e-10,
        "random_terms": data.random_terms * 1.2,
        "ising_terms": data.ising_terms * 1.1,
        "reachable": -data.reachable,
        "numbers": data.numbers * 1.1,
        "compressed": data.compressed[::-1],
        "entropy": data.entropy * 3,
    }
    for name, planted in faults.items():
        values = planted if isinstance(planted, tuple) else (planted.dims, planted.values)
        assert "fails" in verdicts(data.assign({name: values})), name


def test_the_picture_has_its_panels_and_noise_is_not_compressed(data):
    assert len(locality_symmetry.plot(data).axes) == 6
    compressed = data.compressed.mean("sample").values
    assert compressed[0] > 1 > compressed[-1] and np.all(np.diff(compressed[[0, 3, 4, 5]]) < 0)
    np.testing.assert_allclose(data.entropy.values[[0, -1]], [1, 0.0196], atol=2e-3)


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="samples=1: must be in"):
        experiment("locality_symmetry", samples=1)
