"""Aspect ratio: networks of traced depth are ordinary ones, trained at the rates of the theory; faults in what is stored are noticed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import training
from dltheory.data import Digits
from dltheory.lab import experiment
from dltheory.models import ACTIVATIONS
from experiments import _depths, aspect_ratio

FIELDS = {"narrowest": 8, "deepest": 16, "networks": 2, "rates": 2, "steps": 100, "threshold": 0.25, "samples": 12_000}
PHI = tuple(ACTIVATIONS[name] for name in aspect_ratio.NAMES)


@pytest.fixture(scope="module")
def data(results):
    return experiment("aspect_ratio", **FIELDS)


def verdicts(data):
    return {c.statement: c.verdict for c in aspect_ratio.claims(data) if c.gated}


def test_gated_claims_hold(data):
    assert "fails" not in verdicts(data).values() and list(verdicts(data).values()).count("holds") >= 14
    assert len(aspect_ratio.plot(data).axes) == 6


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("reached", lambda a: np.zeros_like(a)),
        ("information", lambda a: a[:, ::-1]),
        ("information", lambda a: 1.2 * a),
        ("cubic", lambda a: a[:, ::-1]),
        ("variance", lambda a: 1.15 * a),
        ("spread", lambda a: 1.1 * a),
        ("logarithm", lambda a: 1.1 * a),
        ("typical", lambda a: 1.1 * a),
        ("gradient", lambda a: 1.1 * a),
    ],
)
def test_a_planted_fault_fails(data, name, fault):
    planted = data.assign({name: (data[name].dims, np.ascontiguousarray(fault(data[name].values)))})
    assert "fails" in verdicts(planted).values()


def test_networks_stop_at_equal_loss_or_take_all_steps(data):
    reached = data.reached.values
    assert reached.any() and not reached.all()
    assert np.all(data.loss.values[reached] == FIELDS["threshold"]) and np.all(data.loss.values[~reached] > FIELDS["threshold"])
    assert np.all(data.took.values[~reached] == FIELDS["steps"]) and np.all(data.took.values[reached] < FIELDS["steps"])


def test_side_by_side_as_on_an_accelerator_networks_end_where_they_do_one_by_one(data, monkeypatch):
    config = aspect_ratio.Config(**FIELDS)
    images = config.data.load()
    points = (images.train, images.test)
    monkeypatch.setattr(training, "over_networks", lambda f, *a: jax.vmap(f)(*a))
    key, factor = jax.random.fold_in(jax.random.key(0), 8), jnp.asarray(data.factor.values)
    run = jax.jit(lambda p: aspect_ratio._train(config, key, 8, factor, p, aspect_ratio._theory(config, p[0].x)))
    reached, took, _, held_out, _ = run(jax.tree.map(np.asarray, points))
    same = reached == data.reached.values[:, 0]
    assert same.mean() > 0.9
    close = np.isclose(took, data.took.values[:, 0], atol=2) & np.isclose(held_out, data.held_out.values[:, 0], rtol=0.02)
    assert close.mean() > 0.8


@pytest.mark.parametrize("which", [0, 1])
def test_traced_depth_is_an_ordinary_network_and_its_gradient(which):
    one = _depths.Network(jnp.asarray(which), jnp.asarray(5), jnp.asarray(0.3), jnp.asarray(2.0), jnp.ones(8), jnp.ones(8))
    params = _depths.start(jax.random.key(1), one, 3, 6, 8, 2)
    x = jax.random.normal(jax.random.key(2), (4, 3), jnp.float32)

    def plain(params, x):
        (w, b), (stack, biases), (v, c) = params
        z = x @ w + b[None]
        for l in range(3):
            z = PHI[which](z) @ stack[l] + biases[l][None]
        return 0.3 * (PHI[which](z) @ v + c[None])

    loss = lambda f: lambda p, x: jnp.sum(jnp.sin(f(p, x)))
    traced = partial(_depths.output, PHI, one)
    np.testing.assert_allclose(traced(params, x), plain(params, x), rtol=1e-5)
    for mine, theirs in zip(*(jax.tree.leaves(jax.grad(loss(f), (0, 1))(params, x)) for f in (traced, plain)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_at_initialisation_every_depth_has_the_targets_variance_and_the_tangent_kernel_that_its_rate_says():
    x = np.random.default_rng(0).normal(size=(1, 10))
    x *= np.sqrt(10 / np.sum(x**2))
    theory = aspect_ratio._theory(aspect_ratio.Config(deepest=16), x)

    def network(key, which, depth):
        one = aspect_ratio._network(theory, which, depth, 0.09, 0.7)
        params = _depths.start(key, one, 10, 64, 16, 1)
        value, slope = jax.value_and_grad(lambda p: _depths.output(PHI, one, p, jnp.asarray(x, jnp.float32))[0, 0])(params)
        return value**2 / 0.09, sum(jax.tree.leaves(jax.tree.map(lambda r, g: jnp.sum(r * g**2), _depths.rates_of(params, one), slope)))

    many = jax.jit(lambda *a: jax.lax.map(lambda key: network(key, *a), jax.random.split(jax.random.key(3), 250)))
    for which in (0, 1):
        for depth in (2, 6):
            square, kernel = map(np.asarray, many(jnp.asarray(which), jnp.asarray(depth)))
            assert abs(kernel.mean() / 0.7 - 1) < 5 * kernel.std() / 0.7 / 250**0.5 + 0.03 < 0.2
            assert abs(square.mean() - 1) < 5 * square.std() / 250**0.5 < 0.8


def test_the_best_depth_and_the_tuned_rate_by_hand(data):
    scores = np.array([[[0.3, 0.3], [0.1, 0.2], [0.4, 0.5]], [[0.1, 0.9], [0.2, 0.3], [0.9, 0.9]]])
    best, low, high = aspect_ratio._best(scores)
    assert list(best[0]) == [1, 1] and list(low) == [1, 0] and list(high) == [1, 1]
    assert np.mean(best[1:, 1] == 0) == pytest.approx(0.25, abs=0.05)
    tuned, rate = aspect_ratio._tuned(data)
    count = data.reached.values.sum(-1)
    assert np.all(np.take_along_axis(count, rate[..., None], 3)[..., 0] == count.max(3))
    assert tuned("error").shape == (2, 3, 4, 2)
    swapped = data.isel(trial=slice(None, None, -1))
    np.testing.assert_array_equal(aspect_ratio._tuned(swapped)[0]("took"), tuned("took"))


def test_wrong_settings_are_refused_in_one_line():
    with pytest.raises(ValueError, match="every=30: must divide steps=100"):
        experiment("aspect_ratio", steps=100, every=30)
    with pytest.raises(ValueError, match=r"data=two_points: must be digits or mnist"):
        experiment("aspect_ratio", data="two_points")
    with pytest.raises(ValueError, match="targets=index: must be one_hot or centred"):
        aspect_ratio.Config(data=Digits(targets="index"))
    with pytest.raises(ValueError, match=r"data\.test=0: must be above 0"):
        aspect_ratio.load(aspect_ratio.Config(data=Digits(test=0.0)))
