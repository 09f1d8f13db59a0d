"""Bayes as a softmax against sums over all configurations and SciPy; what forgetting a constant costs; Gaussian classes."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from dltheory.cheap_learning import Network, posterior, walsh
from dltheory.numerics import Estimate

PRIORS = np.array([0.4, 0.3, 0.2, 0.1])


def problem(random, classes, n, degree):
    return np.where(walsh.orders(n)[:, None] <= degree, random.normal(scale=0.8, size=(2**n, classes)), 0.0)


def by_hand(h, priors):
    """p(y, c) from loops over configurations and products, in order of the table."""
    n = len(h).bit_length() - 1
    energy = []
    for y in walsh.configurations(n):
        K = itertools.product((0, 1), repeat=n)  # last bit fastest
        terms = {sum(k << i for i, k in enumerate(reversed(choice))): all(y[i] for i in range(n) if choice[n - 1 - i]) for choice in K}
        energy.append(sum(h[m] for m, on in terms.items() if on))
    weights = np.exp(-np.array(energy))
    return weights / weights.sum(0) * priors


@pytest.fixture(scope="module")
def page():
    """The page's problem: 8 bits, 4 classes, quadratic H of standard deviation .8; coefficients and p(y, c)."""
    h = problem(np.random.default_rng(7), 4, 8, 2)
    return h, by_hand(h, PRIORS)


@pytest.fixture(scope="module")
def costs(page):
    """KL of the constructed network and to leading order against the gain."""
    h, joint = page
    p, y = joint / joint.sum(1, keepdims=True), walsh.configurations(8)

    def at(beta):
        q = jax.nn.softmax(posterior.softmax_network(h, PRIORS, beta)(y))
        return jnp.sum(joint.sum(1) * posterior.kl_divergence(p, q)), posterior.leading_divergence(h, PRIORS, beta)

    gains = np.array([5.0, 8.0, 10.0, 14.0, 20.0, 40.0])
    return gains, *map(np.asarray, jax.jit(lambda g: jax.lax.map(at, g))(gains))


def test_bayes_is_a_softmax():
    random = np.random.default_rng(9)
    shape = int(random.integers(2, 7)), int(random.integers(4, 7)), int(random.integers(1, 4))
    h, priors = problem(random, *shape), random.dirichlet(np.ones(shape[0]))
    h[0] = random.normal(size=shape[0])
    joint = by_hand(h, priors)
    H, p = jax.jit(lambda h: (H := posterior.hamiltonians(posterior.normalised(h)), posterior.bayes_posterior(H, priors)))(h)
    np.testing.assert_allclose(np.exp(-np.asarray(H)) * priors, joint, rtol=1e-12)
    np.testing.assert_allclose(p, joint / joint.sum(1, keepdims=True), rtol=0, atol=1e-12)


def test_the_constructed_network_is_exponentially_close(page, costs):
    h, _ = page
    assert posterior.softmax_network(h, PRIORS, 10.0).sizes == (8, 36, 4)
    gains, cost, leading = costs
    slope = Estimate.of_slope(gains[1:5], np.log(cost[1:5]))
    assert abs(slope.mean + 1) < 0.1 and slope.standard_error < 0.01
    assert np.all(np.abs(cost / leading - 1)[:5] < 10 * np.exp(-gains[:5] / 2)) and abs(cost[-1]) < 1e-15
    assert 1e-3 < cost[0] < 1e-1 and 1e-5 < cost[2] < 1e-3 and 3e-10 < cost[4] < 3e-8  # page: 1.08e-2, 7.58e-5, 3.45e-9


def test_dropping_a_constant_is_the_classic_bug(page, costs):
    h, joint = page
    p = joint / joint.sum(1, keepdims=True)

    @jax.jit
    def measured(h):
        H = posterior.hamiltonians(posterior.normalised(h))
        formulas = (H, PRIORS), (posterior.hamiltonians(h), PRIORS), (H, np.ones(4))
        return [jnp.sum(joint.sum(1) * posterior.kl_divergence(p, posterior.bayes_posterior(*f))) for f in formulas]

    right, no_partition, no_prior = measured(h)
    assert abs(right) < 1e-12
    assert min(no_partition, no_prior) > 0.01 > costs[1][1]
    moved = h + np.eye(len(h))[:, :1] * np.arange(4.0)
    shifted = measured(moved)
    assert abs(shifted[0]) < 1e-12 and abs(shifted[1] - no_partition) > 0.01


def test_divergence_is_that_of_scipy():
    p, q = np.random.default_rng(1).dirichlet(np.ones(5), size=(2, 7))
    p[0] = [1, 0, 0, 0, 0]
    np.testing.assert_allclose(jax.jit(posterior.kl_divergence)(p, q), special.rel_entr(p, q).sum(-1), rtol=1e-12)


def test_the_law_of_the_input_is_simpler_than_the_law_of_the_class(page):
    _, joint = page
    spectra = jax.jit(jax.vmap(walsh.walsh))
    count = lambda p: (np.abs(spectra(-np.log(p.T))[:, 1:]) > 1e-9).sum(1)
    assert list(count(joint / joint.sum(0))) == [36] * 4
    assert np.all(count(joint / joint.sum(1, keepdims=True)) > 200)


@pytest.fixture(scope="module")
def gaussian():
    """Three classes in three dimensions, points with |y_i| ≤ 4, and p(c|y) by SciPy."""
    random = np.random.default_rng(5)
    A = random.normal(size=(3, 3, 3))
    m, S, priors = random.normal(size=(3, 3)), A @ A.swapaxes(1, 2) / 3 + 0.3 * np.eye(3), random.dirichlet(np.full(3, 5.0))
    y = random.uniform(-4, 4, size=(500, 3))
    log = np.stack([stats.multivariate_normal(m[c], S[c]).logpdf(y) for c in range(3)], 1)
    return m, S, priors, y, log, special.softmax(log + np.log(priors), 1)


def test_gaussian_classes_are_squares(gaussian):
    m, S, priors, y, log, p = gaussian
    np.testing.assert_allclose(posterior.gaussian_energies(y, m, S), -log, rtol=1e-10)
    assert jax.jit(lambda: posterior.gaussian_network(m, S, priors).sizes)() == (3, 2 * 3 * 3, 3)

    @jax.jit
    def error(bias, scale):
        seen = jax.nn.softmax(posterior.gaussian_network(m, S, priors, "softplus", bias, scale)(y)) - p
        return seen, posterior.leading_gaussian_error(y, m, S, priors, "softplus", bias, scale)

    largest = lambda *gate: np.abs(error(*gate)[0]).max()
    fine = largest(posterior.FOURTH_ORDER, 1e-3)
    assert fine < 1e-6 < largest(0.0, 1e-3)
    for bias, scale in ((0.0, 3e-3), (posterior.FOURTH_ORDER, 1e-2)):
        seen, leading = error(bias, scale)
        np.testing.assert_allclose(seen, leading, atol=0.01 * np.abs(leading).max())
    coarse = np.log([largest(b, s) for b in (0.0, posterior.FOURTH_ORDER) for s in (1e-2, 2e-2)]) / math.log(2)
    np.testing.assert_allclose(coarse[1::2] - coarse[::2], [2, 4], atol=0.05)


def test_equal_covariances_need_no_neuron(gaussian):
    m, S, priors, y, _, _ = gaussian
    log = np.stack([stats.multivariate_normal(c, S[0]).logpdf(y) for c in m], 1)
    net, p = jax.jit(lambda: (net := posterior.gaussian_network(m, S[0], priors), jax.nn.softmax(net(y))))()
    assert net.neurons == net.depth == 0
    np.testing.assert_allclose(p, special.softmax(log + np.log(priors), 1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(posterior.gaussian_energies(y, m, S[0]), -log, rtol=1e-10)


def test_gaussian_hamiltonians_have_so_many_monomials():
    random = np.random.default_rng(2)
    n = int(random.integers(2, 6))
    A = random.normal(size=(30, n, n))
    energies = posterior.gaussian_energies(random.normal(size=(100, n)), random.normal(size=(30, n)), A @ A.swapaxes(1, 2) + np.eye(n))
    assert np.linalg.matrix_rank(np.asarray(energies)) - 1 == n * (n + 3) / 2


def test_descent_finds_a_posterior():
    random = np.random.default_rng(6)
    h, y = problem(random, 2, 3, 2), walsh.configurations(3)
    joint = by_hand(h, PRIORS[:2] / 0.7)
    p = joint / joint.sum(1, keepdims=True)
    start = Network.of([(random.normal(size=(3, 6)), 0.0), (random.normal(size=(6, 2)), 0.0)], "sigmoid")
    cost = jax.jit(lambda net: jnp.sum(joint.sum(1) * posterior.kl_divergence(p, jax.nn.softmax(net(y)))))
    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes types
        fitted = jax.jit(lambda net: posterior.fit_posterior(net, y, joint, 2000))(start)
    assert fitted.sizes == start.sizes and cost(fitted) < 1e-4 < 0.01 < cost(start)


def test_nonsense_is_refused():
    for wrong, text in (
        (lambda: posterior.bayes_posterior(np.ones((4, 3)), np.ones(2)), "must be 3 positive numbers"),
        (lambda: posterior.softmax_network(np.ones((4, 2)), np.array([1.0, 0.0]), 1.0), "must be 2 positive numbers"),
        (lambda: posterior.gaussian_network(np.ones((2, 3)), np.eye(2), np.ones(2)), r"covariances: \(2, 2\); must be \(3, 3\)"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
