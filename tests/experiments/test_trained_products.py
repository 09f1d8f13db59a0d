"""Trained products: claims at reduced size, planted faults, the law of the points."""

import jax
import numpy as np
import pytest

from dltheory.data import Products
from dltheory.lab import experiment
from experiments import trained_products


@pytest.fixture(scope="module")
def data(results):
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    few = {"activations": "tanh", "depths": 2, "neurons": 64, "networks": 2, "steps": 2000, "trials": 2, "gate_steps": 1500}
    try:
        return experiment("trained_products", **few)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")


def verdicts(data):
    return [c.verdict for c in trained_products.claims(data) if c.gated]


def exchanged(data, one, other):
    """The errors with those of some cells put at others."""
    order = np.arange(data.sizes["cell"])
    order[one], order[other] = other, one
    return data.error.copy(data=data.error.values[:, order])


def test_gated_claims_hold_and_each_fault_is_noticed(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= 9
    of_six = (data.task.values == 0) & (data.factors.values == 6)
    shallow, deep = (np.flatnonzero(of_six & (data.depth.values == k)) for k in (1, 2))
    faults = {
        "all errors larger": {"error": data.error * 4},
        "depths exchanged": {"error": exchanged(data, shallow[-1:], deep[-1:])},
        "widths reversed": {"error": exchanged(data, deep, deep[::-1])},
        "gates reversed": {"gate": data.gate.copy(data=data.gate.values[:, ::-1])},
        "a gate built badly": {"constructed": data.constructed * 1e4},
    }
    for name, planted in faults.items():
        assert "fails" in verdicts(data.assign(planted)), name


def test_the_figure_says_no_result_where_most_cells_are_censored(data):
    texts = lambda d: [t.get_text() for t in trained_products.plot(d).axes[0].texts]
    assert "no result" not in texts(data)
    assert "no result" in texts(data.assign(error=data.error * 4))


def test_baselines_and_constructed_gates(data):
    """The best constant by loops over the points of each network; the page's rms errors of the constructed softplus gate."""
    cell = int(np.flatnonzero((data.task.values == 0) & (data.factors.values == 6))[0])
    for i in range(2):
        y = Products(factors=6, test=4096, seed=i).load().test.y[:, 0]
        constants = np.linspace(0, 1, 2001)
        best = min(np.mean(np.abs(y - c)) for c in constants)
        np.testing.assert_allclose(data.baseline.values[cell, i], best, rtol=1e-5)
    np.testing.assert_allclose(data.constructed.values, [3.7e-2, 4.4e-4, 4.4e-6], rtol=0.02)
    parity = data.task.values == 2
    np.testing.assert_allclose(data.baseline.values[parity], 1, atol=0.05)


def test_networks_start_near_the_best_constant_and_learn(data):
    start, end = data.error.values[..., 0], data.error.values[..., -1]
    assert np.median(end / start) < 0.2 and np.all(end < 1.1)
    assert data.step.values[-1] == 2000 and len(data.step) == 41


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"every": 7}, "every=7: must divide steps=2500"), ({"activations": "relu"}, "activations=relu: must be one of both, tanh")],
)
def test_nonsense_is_one_line(wrong, message):
    with pytest.raises(ValueError, match=message):
        experiment("trained_products", **wrong)
