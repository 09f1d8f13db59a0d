"""Universality: the paper's table, narrow networks inside wide ones, pairs that a perceptron cannot tell apart, planted faults."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import training
from dltheory.data import TwoPoints
from dltheory.lab import experiment
from dltheory.models import Conv1dConfig, DropoutConfig, MLPConfig, SkipConfig, functional
from experiments import _architectures as architectures
from experiments import universality


def test_the_table_is_the_papers_at_its_size():
    table = architectures.variants(500, 20)
    gains = {"default": 1, "shallow": 0.35, "narrow": 1.05, "linear": 0.85, "elu": 0.95, "tanh": 0.85, "relu": 1, "swish": 1.7, "skip": 0.1}
    gains |= {"conv1d": 0.95, "dropout": 1}
    assert {n: table[n].gain for n in gains} == gains and set(table) - set(gains) == {"layer_norm", "transformer", "gain_1.2", "gain_1.4"}
    assert table["default"] == (MLPConfig(width=500, hidden_layers=20), 1.0, 10)
    assert table["shallow"] == (MLPConfig(width=500, hidden_layers=2), 0.35, 1)
    assert table["narrow"].model == MLPConfig(width=50, hidden_layers=20)
    assert table["skip"] == (SkipConfig(width=500, hidden_layers=20), 0.1, 10)
    assert table["conv1d"] == (Conv1dConfig(width=500, hidden_layers=12, channels=20, kernel=11), 0.95, 5)
    assert table["dropout"] == (DropoutConfig(width=500, hidden_layers=10), 1.0, 2), "their index 5 is the third linear layer"
    assert all(
        max(v.layers) < v.model.hidden_layers for size in ((500, 20), (100, 10), (20, 4)) for v in architectures.variants(*size).values()
    )


def test_a_narrow_network_inside_a_wide_one_trains_as_if_alone():
    params, apply = architectures.narrow_network(jax.random.key(3), jnp.asarray(4), 7)
    small, alone = functional(MLPConfig(width=4, hidden_layers=5).build(jax.random.key(0), 1, 1))
    cut = lambda big, little: big[tuple(slice(n) for n in little.shape)]
    small = jax.tree.map(cut, params, small)
    points = TwoPoints().load().train
    follow = lambda apply, p: training.GradientDescent().train(apply, p, points.x, points.y, 0.02, 300, lambda p, a, loss: loss)
    (wide, losses), (narrow, expected) = follow(apply, params), follow(alone, small)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert float(losses[-1]) < 0.9 * float(losses[0])
    jax.tree.map(lambda big, little: np.testing.assert_allclose(cut(big, little), little, rtol=1e-3, atol=1e-5), wide, narrow)
    outside = jax.tree.map(lambda big, little: np.abs(np.asarray(big)).sum() - np.abs(np.asarray(cut(big, little))).sum(), wide, narrow)
    assert max(map(abs, jax.tree.leaves(outside))) < 1e-4, "units beyond the width stay zero"


def test_pairs_are_a_translate_and_none_with_the_same_inner_products():
    (bump, moved), (same, other) = architectures.translates()
    np.testing.assert_array_equal(bump, same)
    np.testing.assert_allclose(np.roll(bump, 13)[13:], moved[13:], atol=1e-9)
    gram = lambda a, b: [a @ a, b @ b, a @ b]
    np.testing.assert_allclose(gram(bump, moved), gram(same, other), rtol=1e-5)
    assert np.sum((bump - moved) ** 2) == pytest.approx(1) and max(np.correlate(bump, other, "full")) < 0.5 * bump @ bump


@pytest.fixture(scope="module")
def data(results):
    fields = {"architecture": "default", "width": 60, "hidden_layers": 6, "networks": 3, "steps": 2000, "widest": 3, "samples": 2}
    return experiment("universality", **fields)


def verdicts(data):
    return [c.verdict for c in universality.claims(data) if c.gated]


def test_the_default_network_is_gated_and_faults_are_noticed(data):
    assert set(verdicts(data)) == {"holds"} and len(verdicts(data)) == 4
    assert "fails" in verdicts(data.assign(observed_w=1.1 * data.observed_w))
    for c in "hyw":
        assert "fails" in verdicts(data.assign({f"fit_rms_{c}": data[f"fit_rms_{c}"] + 0.25}))
    assert data.observed_h.sizes["variant"] == 1 and len(universality.plot(data).axes) > 8


def test_the_middle_layer_of_a_linear_segment_has_no_second_order_before_training(data):
    """Leaky ReLU without biases is linear on the ray from 0 on which the two inputs lie."""
    assert np.all(data.before_encoder < 1e-5) and np.all(data.before_decoder < 1e-3)
    assert np.all((data.after_across >= 0) & (data.after_across <= 1)) and np.all(np.abs(data.cosine) <= 1)
