"""Residual depth: what is measured against whole networks and known laws; planted faults are noticed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.finite_width import sample_residual
from dltheory.lab import experiment
from dltheory.numerics import gaussian_mean_pair
from experiments import residual_depth

SMALL = {"longest": 30, "skip": 0.5, "shallow": 4, "deep": 5, "trained": 2, "steps": 20}


@pytest.fixture(scope="module")
def data(results):
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    try:
        return experiment("residual_depth", networks=40_000, **SMALL)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")


def verdicts(data, text=""):
    return [c.verdict for c in residual_depth.claims(data) if c.gated and text in c.statement]


def test_gated_claims_hold_and_planted_faults_are_noticed(data):
    assert "fails" not in verdicts(data) and verdicts(data).count("holds") >= 10
    planted = data.copy(deep=True)
    planted.recursion[0] = data.truncated[0].values
    assert verdicts(planted, "ReLU, γ = 0.7: V of layer 10 over the recursion")[0] == "fails"
    assert "fails" in verdicts(data.assign(slope=data.slope * 1.1), "ν of ReLU")
    assert verdicts(data.assign(growth=data.growth**2), "plain") == ["fails"]
    assert "fails" in verdicts(data.assign(vertex=data.vertex * 1.3), "over the recursion")
    assert len(residual_depth.plot(data).axes) == 4


def test_pairs_of_trained_networks_are_of_equal_vertex():
    layers, gamma, worth = residual_depth._architectures(residual_depth.Config())
    assert layers == (10, 28, 60, 25, 60) and gamma == (0, 0, 0, 0.9, 0.9)
    np.testing.assert_allclose([worth[3] / worth[0], worth[4] / worth[1]], 1, rtol=0.03)


def test_nu_sums_the_odd_part_of_the_correlation_of_relu_squared():
    """⟨x|x| y|y|⟩/4 at correlation γ^k by quadrature; and the limit of γ → 1."""
    g = 0.5
    odd = lambda rho: gaussian_mean_pair(lambda x, y: x * jnp.abs(x) * y * jnp.abs(y) / 4, jnp.array([[1.0, rho], [rho, 1.0]]))
    total = float(jnp.sum(jax.vmap(odd)(g ** jnp.arange(1.0, 40.0))))
    np.testing.assert_allclose(residual_depth._nu(g), (1 - g**2) * (5 - g**2) + 8 * (1 - g**2) ** 2 * total, rtol=1e-9)
    np.testing.assert_allclose(residual_depth._nu(0.995) / (1 - 0.995**2), 12 + 4 * np.log(2), rtol=0.01)


def test_moments_recover_a_known_mixture():
    """z = √S g with S = 1 ± 0.4: V = n Var S, and the error is that of repetitions."""
    n, sign = 20, lambda key: jnp.where(jax.random.bernoulli(key, shape=(1000, 1)), 0.4, -0.4)

    def one(key):
        a, b = jax.random.split(key)
        z = jnp.sqrt(1 + sign(a)) * jax.random.normal(b, (1000, n))
        return residual_depth._moments(jnp.mean(z**2, axis=1, keepdims=True), n)

    vertex, shift = jax.vmap(one)(jax.random.split(jax.random.key(0), 100))
    for estimate, exact in ((vertex, n * 0.16), (shift, 0.0)):
        scatter = float(estimate.mean.std())
        assert abs(float(estimate.mean.mean()) - exact) < 5 * scatter / 10 + 0.01
        np.testing.assert_allclose(float(estimate.standard_error.mean()), scatter, rtol=0.3)


def test_moments_of_the_sampler_are_correlations_of_neurons_of_whole_networks():
    n, depth, g, count = 12, 4, 0.7, 40_000
    random, c_w = np.random.default_rng(0), 2 * (1 - 0.7**2)
    z = random.standard_normal((count, n, 1))
    for _ in range(depth - 1):
        z = g * z + (c_w / n) ** 0.5 * random.standard_normal((count, n, n), np.float32) @ np.maximum(z, 0)
    z2 = z[..., 0] ** 2
    pair = (np.sum(z2, axis=1) ** 2 - np.sum(z2**2, axis=1)) / (n * (n - 1))
    mean = z2.mean()
    V = n * (pair.mean() - mean**2)
    error = n * np.std(pair - 2 * mean * z2.mean(axis=1)) / count**0.5
    sampled = sample_residual(jax.random.key(2), "relu", n, 1.0, depth, 0.0, c_w, g, count)
    estimate, shift = residual_depth._moments(sampled, n)
    assert error < 0.05 * V
    assert abs(float(estimate.mean[-1] - V)) < 5 * np.hypot(error, float(estimate.standard_error[-1]))
    assert abs(float(shift.mean[-1]) - n * (mean - 1)) < 5 * 1.5 * float(shift.standard_error[-1])
