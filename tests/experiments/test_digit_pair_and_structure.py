"""Digits: the followed pair, the heuristic by hand, planted faults, and inputs that make no sense."""

import numpy as np
import pytest

from dltheory.data import Points, draw_pair
from dltheory.lab import experiment
from experiments import digit_pair, digit_structure


@pytest.fixture(scope="module")
def pair(results):
    return experiment("digit_pair", **{"model.width": 30, "networks": 2, "steps": 1200, "every": 6, "data.points": 400})


@pytest.fixture(scope="module")
def structure(results):
    fields = {
        "optimizer": "gradient_descent",
        "model.width": 30,
        "networks": 3,
        "steps": 1500,
        "reference_steps": 300,
        "images": 30,
        "pool": 60,
    }
    return experiment("digit_structure", **fields)


def test_the_pair_is_a_0_and_a_1_and_learns(pair):
    train, _, (first, second) = digit_pair.load(digit_pair.Config(seed=4))
    assert (train.label[first], train.label[second]) == (0, 1)
    assert float(pair.geometry_dy2) == pytest.approx(2) and pair.observed_y.values[:, -1] == pytest.approx(2, rel=0.5)
    gated = lambda data: [c.verdict for c in digit_pair.claims(data) if c.gated]
    assert gated(pair) == ["holds"] and gated(pair.assign(held_out=20 * pair.held_out)) == ["fails"]
    assert len(digit_pair.plot(pair).axes) == 4


def test_one_image_twice_or_an_image_out_of_range_is_refused():
    with pytest.raises(ValueError, match="first=7, second=7: must differ in class"):
        digit_pair.load(digit_pair.Config(first=7, second=7))
    with pytest.raises(ValueError, match="second=99999: must be a point"):
        digit_pair.load(digit_pair.Config(second=99999))
    twins = Points(np.zeros((2, 3)), np.eye(2), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"both are the same input \(\|dx\| = 0\)"):
        draw_pair(twins, 0, 0, 1)


def test_the_heuristic_by_hand(structure):
    train, _, shown, heuristic = digit_structure.load(digit_structure.Config(images=30, pool=60))
    x, y = train.x[:60], train.y[:60]
    A = np.array([[np.linalg.norm(a - b) * np.linalg.norm(c - d) for b, d in zip(x, y, strict=True)] for a, c in zip(x, y, strict=True)])
    E = np.exp(-A)
    np.testing.assert_allclose(heuristic, ((E @ A @ E) ** 2)[np.ix_(shown, shown)], rtol=1e-9)
    assert np.all(np.diff(structure.label) >= 0)
    np.testing.assert_allclose(structure.heuristic, heuristic)


def test_trained_networks_have_blocks_and_shuffled_ones_have_not(structure):
    value = lambda data, text: next(c.value for c in digit_structure.claims(data) if text in c.statement)
    assert value(structure, "within over between") < 0.5
    order = np.random.default_rng(0).permutation(30)
    shuffled = structure.assign(after=(structure.after.dims, structure.after.values[:, order][:, :, order]))
    assert value(shuffled, "within over between") > 0.7
    for text in ("equal: RSA", "heuristic e^{-A} A e^{-A}: RSA with"):
        assert value(structure, text) > 0.4 > 0.3 > value(shuffled, text)
    gated = lambda data: [c.verdict for c in digit_structure.claims(data) if c.gated]
    assert gated(structure) == ["holds"] and gated(structure.assign(accuracy=structure.accuracy / 3)) == ["fails"]
    assert len(digit_structure.plot(structure).axes) == 6
