"""Altered dynamics: on curves of system (1) itself every altered system is far off, and swapped systems are noticed."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import representation as theory
from dltheory.lab import experiment
from experiments import altered_dynamics


@pytest.fixture(scope="module")
def data(results):
    return experiment("altered_dynamics", **{"model.width": 50, "model.hidden_layers": 6, "networks": 3, "steps": 2000})


def verdicts(data):
    return [c.verdict for c in altered_dynamics.claims(data) if c.gated]


def test_swapping_the_true_system_with_an_altered_one_fails(data):
    names = [f"fit_rms_{c}" for c in "hyw"]
    ideal = data.assign({n: data[n] * np.array([0.1, 1, 1, 1, 1])[:, None] for n in names})
    assert set(verdicts(ideal)) == {"holds"}
    assert "fails" in verdicts(ideal.assign({n: (data[n].dims, ideal[n].values[::-1]) for n in names}))
    assert len(altered_dynamics.plot(data).axes) == 18


def test_exact_curves_of_the_theory_reject_every_altered_system():
    geometry, times = theory.Geometry(1.0, 0.5), jnp.linspace(0.0, 60.0, 400)
    curves = theory.solve(times, theory.TwoPoint(0.02, 1e-4, -5e-3), theory.Rates(0.3, 1.5), geometry)
    misfit = lambda fit: float(sum(r**2 for r in jax.tree.leaves(fit.rms)))
    true = misfit(theory.fit_rates(times, curves, geometry))
    assert true < 1e-12
    fit = jax.vmap(lambda alteration: theory.fit_rates(times, curves, geometry, partial(theory.integrate, alteration)))
    altered = fit(jax.tree.map(lambda *factors: jnp.stack(factors), *theory.ALTERED.values()))
    assert np.all(altered.rms.h**2 + altered.rms.y**2 + altered.rms.w**2 > 1e-4)
