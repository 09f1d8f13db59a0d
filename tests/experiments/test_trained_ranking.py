"""The sweep's statistics on planted data, a small run, and the faults that its gated claims must find."""

import hashlib
import json

import jax
import numpy as np
import pytest

from dltheory.lab import experiment, sweep
from dltheory.models import MLPConfig
from experiments import _rivals, trained_ranking
from experiments.trained_ranking import NAMES, NULLS, PROXIES, REUSE, SCORES, TYING


@pytest.fixture(scope="module")
def one(results):
    """One run at size=tiny."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    try:
        return experiment("trained_ranking", size="tiny", architecture="tied_mlp_3", budget=1500)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def planted(one, monkeypatch):
    """A sweep of all architectures in which P_E orders accuracy, entropy orders it the other way and the seeds agree."""
    monkeypatch.setattr(trained_ranking, "RESAMPLES", 20)
    random, runs = np.random.default_rng(0), []
    for i, name in enumerate(NAMES):
        for budget in (1500, 4000):
            parameters = budget * random.uniform(0.98, 1.02)
            rank = i + random.uniform(0, 0.1)
            values = {score: random.normal() for score in (*NULLS, *REUSE)}
            values |= {"parameters": parameters, "depth": 2 + i % 5, "spread_score": rank, "entropy": 50 - rank, "spread": 5 + rank}
            values |= {"log_partition": values["entropy"] + values["spread"]}
            values |= {"weight_nodes": parameters * (2 if name.rpartition("_")[0] in TYING else 1)}
            accuracy = 0.5 + 0.01 * rank + (0.05 if budget == 4000 else 0) + 1e-4 * random.normal(size=one.sizes["network"])
            run = one.assign({key: ((), value) for key, value in values.items()})
            run = run.assign({key: ("network", random.normal(size=one.sizes["network"])) for key in PROXIES})
            run = run.assign(accuracy=("network", accuracy))
            runs.append(run.assign_coords(architecture=name, budget=budget))
    return sweep.combine(runs)


def judged(data):
    return {c.statement: c for c in trained_ranking.claims_sweep(data)}


def found(claims, start):
    (claim,) = (c for text, c in claims.items() if text.startswith(start))
    return claim


def test_a_planted_order_is_found(planted):
    claims = judged(planted)
    assert all(c.verdict == "holds" for c in claims.values() if c.gated) and sum(c.gated for c in claims.values()) == 5
    assert found(claims, "PRIMARY").value == pytest.approx(1)
    assert found(claims, "τ(entropy)").value == pytest.approx(-1)
    assert abs(found(claims, "τ(zen)").value) < 0.4
    assert found(claims, "τ of P_E less τ of flops").value == pytest.approx(1 - found(claims, "τ(flops)").value)
    assert found(claims, "ρ(spread_score) given depth").value > 0.95
    assert sum(text.startswith("τ(") and "among" not in text for text in claims) == len(SCORES)
    assert trained_ranking.HASH in next(iter(claims))


def test_shares_of_pairs_are_those_of_loops(planted):
    claims = judged(planted)
    runs = list(
        zip(planted.architecture.values, planted.budget.values, planted.parameters.values, planted.accuracy.values.mean(1), strict=True)
    )
    tied = lambda name: name.rpartition("_")[0] in TYING
    pairs = [(a, b) for a in runs for b in runs if tied(a[0]) and not tied(b[0])]
    equal = [a[3] > b[3] for a, b in pairs if a[1] == b[1]]
    larger = [a[3] > b[3] for a, b in pairs if b[2] >= 1.6 * a[2]]
    assert found(claims, "share of pairs in which a tied net beats an untied one of its budget").value == pytest.approx(np.mean(equal))
    assert found(claims, "share of pairs in which a tied net beats an untied one with ≥ 1.6").value == pytest.approx(np.mean(larger))


def shuffled(data):
    random = np.random.default_rng(1)
    return data.assign(accuracy=(data.accuracy.dims, random.permuted(data.accuracy.values, axis=0)))


FAULTS = {
    "a budget missed by a tenth": lambda d: d.assign(parameters=d.parameters * 1.1),
    "spread × 1.1": lambda d: d.assign(spread=d.spread * 1.1),
    "weight nodes counted after tying": lambda d: d.assign(weight_nodes=d.parameters),
    "accuracies shuffled between architectures, seed by seed": shuffled,
    "half of the architectures": lambda d: d.isel(run=slice(0, 40)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_makes_a_gated_claim_fail(planted, fault):
    claims = [c for c in judged(FAULTS[fault](planted)).values() if c.gated]
    assert any(c.verdict == "fails" for c in claims) or (fault.startswith("half") and len(claims) == 3)


def test_a_run_scores_and_trains_its_architecture(one):
    claims = trained_ranking.claims(one)
    assert [c.verdict for c in claims[:2]] == ["holds", "holds"] and int(one.weight_nodes) > int(one.parameters) == 1482
    np.testing.assert_allclose([one.spread, one.spread_score], [11.254, 9.313], atol=6e-4)  # page section 8, tied depth 3 width 16
    last = one.validation.values[:, :, -1].mean(axis=1)
    assert int(one.chosen) == np.argmax(last)
    np.testing.assert_array_equal(one.accuracy, one.test.values[int(one.chosen), :, -1])
    assert last.max() > one.validation.values[int(one.chosen), :, 0].mean() > 0 and str(one.plan.values) == trained_ranking.HASH
    for claim in trained_ranking.claims(one.assign(parameters=one.parameters * 1.1, spread=one.spread * 1.1))[:2]:
        assert claim.verdict == "fails"


@pytest.mark.parametrize("name", ["mlp_6", "tied_8", "dense_5", "separable_5", "squeeze_3", "rnn_4", "attention_8"])
def test_architectures_meet_a_budget(name):
    model, shapes, _ = _rivals.fitted(name, 64, 1500)
    size = sum(a.size for a in jax.tree.leaves(shapes))
    assert abs(size / 1500 - 1) <= trained_ranking.TOLERANCE and model.weight_layers >= 2


def test_weights_drawn_on_the_host_have_xaviers_variance():
    how = {"width": 50, "hidden_layers": 2, "activation": "relu"}
    shapes, _ = _rivals.shapes_of(MLPConfig(**how), 64)
    drawn = _rivals.draw(np.random.default_rng(0), shapes)
    for a, fans in zip(jax.tree.leaves(drawn)[3:], (64 + 50, 50 + 50, 50 + 10), strict=True):
        assert a.dtype == np.float32 and abs(np.mean(a**2) / (4 / fans) - 1) < 5 * (2 / a.size) ** 0.5
    assert not np.any(np.concatenate(jax.tree.leaves(drawn)[:3]))


def test_the_plan_is_what_its_hash_says():
    text = json.dumps(trained_ranking.PLAN, sort_keys=True).encode()
    assert hashlib.sha256(text).hexdigest().startswith(trained_ranking.HASH)
    assert trained_ranking.PLAN["primary"].startswith("Kendall") and len(NAMES) >= 24 and len(_rivals.FAMILIES) >= 6


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("architecture", "mlp_9", "architecture=mlp_9"),
        ("plan", "0", "plan=0: must be"),
        ("every", 7, "every=7: must divide steps=440"),
        ("data", "two_points", "data: must be digits or mnist"),
    ],
)
def test_wrong_settings(results, key, value, message):
    with pytest.raises(ValueError, match=message):
        experiment("trained_ranking", **{key: value})
