"""Information distillation: claims at reduced size, and faults planted in what was stored."""

import jax
import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import information_distillation

SMALL = {"maps": 100, "samples": 20_000, "distilled": 3, "cells": 201, "betas": 12, "networks": 2, "deepest": 2, "steps": 2500}


@pytest.fixture(scope="module")
def data(results):
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    try:
        return experiment("information_distillation", **SMALL)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")


def judged(data):
    return {c.statement: c.verdict for c in information_distillation.claims(data) if c.gated}


def test_gated_claims_hold(data):
    verdicts = judged(data)
    assert set(verdicts.values()) == {"holds"} and len(verdicts) >= 40
    assert len(information_distillation.plot(data).axes) == 6


def test_each_planted_fault_is_noticed(data):
    """A constant × 1.1, a shuffle or a wrong exponent in each family of numbers fails a claim of that family."""
    reverse = lambda name: data[name].isel({data[name].dims[-1]: slice(None, None, -1)}).values
    outlier = np.r_[5.0, data.histogram.values[1:]]
    wrong_slope = data.above * 0 + data.below.values[:, :1] * 0.8**data.deep.values
    faults = {
        "markov": (data.markov + 1e-6, "p(x_i|x_i+1, x_j)"),
        "stochastic": (data.stochastic + 0.1, "row sum"),
        "histogram": (("outcome", outlier), "sampled histogram"),
        "classes": (data.classes + 1, "|T_0|"),
        "ordered": (data.ordered * 0, "T_i = f_{i+1}(T_{i+1})"),
        "composed": (data.composed + 0.1, "f_0 f_1"),
        "after": (data.after * 1.1, "I(x_i; T_i)"),
        "before": (data.before * 1.1, "closed form"),
        "generic": (data.generic - 32, "nothing is merged"),
        "processed": (("later", reverse("processed")), "I(x_0; x_k)"),
        "excess": (data.excess + 1.0, "random maps"),
        "merger": (data.merger * 0, "merging two classes"),
        "kept": (("level", reverse("kept")), "flips that leave T_0"),
        "distinct": (data.distinct * 2, "general algorithm"),
        "leaves": (data.leaves * 1.1, "all 65536"),
        "root": (data.root * 1.1, "ε = .1, .2"),
        "majority": (data.majority * 1.1, "I(root; majority)"),
        "single": (data.single * 1.1, "I(root; one leaf)"),
        "below": (data.below * 1.1, "inside its bounds"),
        "above": (wrong_slope, "d ln I/dD"),
        "network": (data.network + 1e-6, "14 neurons"),
        "best": (data.best * 0.99, "best 2, 3, 4 classes"),
        "greedy": (data.greedy * 1.1, "greedy"),
        "relevance": (("beta", reverse("relevance")), "β falls"),
        "rate": (data.rate * 1.1, "dI(t; root)"),
        "couplings": (("summary", reverse("couplings")), "couplings of H"),
        "lost": (data.lost + 0.1, "messages lose"),
        "divergence": (data.divergence * 100, "tree network"),
        "ratio": (data.ratio + 1e-6, "17 powers"),
        "band_loss": (-data.band_loss, "2 bands"),
    }
    for name, (planted, family) in faults.items():
        failed = [s for s, verdict in judged(data.assign({name: planted})).items() if verdict == "fails"]
        assert any(family in s for s in failed), (name, failed)


def test_bands_and_architectures_are_ordered_as_reported(data):
    assert np.all(np.diff(data.band_loss.values) < 0)
    assert np.all(data.divergence.values[:, -1] < data.divergence.values[:, :-1].max(1))
    assert np.ptp(data.parameters.values) < 25


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="cells=400: must be odd"):
        experiment("information_distillation", cells=400)
    with pytest.raises(ValueError, match=r"distilled=9: must be in \[2, 4\]"):
        experiment("information_distillation", distilled=9)
