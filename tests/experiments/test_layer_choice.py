"""Layer choice: each layer is fitted on its own; a reversed depth is noticed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import representation as theory
from dltheory import training
from dltheory.data import TwoPoints
from dltheory.lab import experiment
from dltheory.models import MLPConfig
from experiments import layer_choice


@pytest.fixture(scope="module")
def data(results):
    return experiment("layer_choice", **{"model.width": 50, "model.hidden_layers": 10, "networks": 3, "steps": 2000})


def verdicts(data):
    return [c.verdict for c in layer_choice.claims(data) if c.gated]


def test_gated_claims_hold_and_fail_for_a_reversed_network(data):
    assert "fails" not in verdicts(data) and verdicts(data).count("holds") >= 2
    reverse = {n: data[n].isel(layer=slice(None, None, -1)).values for n in ("cost", "fit_rates_hidden")}
    planted = data.assign({n: (data[n].dims, v) for n, v in reverse.items()})
    assert "fails" in verdicts(planted)
    assert len(layer_choice.plot(data).axes) == 3


def test_a_layer_of_the_whole_is_that_layer_followed_alone(data):
    keys, points = jax.random.split(jax.random.key(0), 3), TwoPoints().load().train
    model = MLPConfig(width=50, hidden_layers=10)
    sizes = {"layer": 7, "steps": 2000, "every": 4}
    alone = theory.follow(keys, jnp.ones(3), model, training.GradientDescent(), points, points, np.arange(2), **sizes)
    np.testing.assert_allclose(alone.rate, data.rate)
    np.testing.assert_allclose(alone.observed.h[:, -1], data.final[:, 7], rtol=1e-3)
    np.testing.assert_allclose(alone.fit.rates.hidden, data.fit_rates_hidden[:, 7], rtol=0.02)
    squares = sum(np.mean((getattr(alone.predicted, c) - getattr(alone.observed, c)) ** 2, axis=1) for c in "hyw")
    np.testing.assert_allclose(3000 * squares, data.cost[:, 7], rtol=0.05)
