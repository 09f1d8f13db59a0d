"""Products of bits and functions of bits against brute enumeration and arbitrary precision; the erratum; spins are no bits."""

import itertools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from dltheory.cheap_learning import bits, walsh


@pytest.fixture
def random():
    return np.random.default_rng(3)


moebius = jax.jit(walsh.moebius)


@pytest.fixture(scope="module")
def function():
    """Two random functions of 4 bits, their coefficients, and their network as a function of the gain."""
    F = np.random.default_rng(4).normal(size=(16, 2))
    h = np.stack([moebius(f) for f in F.T], 1)
    return F, h, jax.jit(lambda beta: bits.hamiltonian_network(h, beta)(walsh.configurations(4)))


def brute(h, n, beta):
    """The network by loops over inputs and subsets."""
    members = [[i for i in range(n) if m >> i & 1] for m in range(2**n)]
    neuron = lambda y, K: 1 / (1 + math.exp(beta * (len(K) - 0.5 - sum(y[K])))) if K else 1.0
    return np.array([sum(c * neuron(y, K) for c, K in zip(h, members, strict=True)) for y in walsh.configurations(n)])


def test_the_worst_error_of_a_product_is_that_of_the_page_whatever_k():
    gains, page = np.array([4, 10, 23.03, 46.06]), [0.1192029, 6.692851e-3, 9.979e-6, 9.959e-11]
    for k in (2, 3, 6):
        y = walsh.configurations(k)
        outputs = jax.jit(jax.vmap(lambda beta, k=k, y=y: bits.bit_product(k, beta)(y)))(gains)
        errors = np.abs(np.asarray(outputs) - y.prod(1))
        np.testing.assert_allclose(errors.max(1), page, rtol=1e-4)
        np.testing.assert_allclose(errors.max(1), bits.product_error(gains), rtol=0, atol=1e-12)
        for error in errors:
            assert set(np.flatnonzero(error > 0.999 * error.max())) == set(np.flatnonzero(y.sum(1) >= k - 1))
        net = bits.bit_product(k, 1.0)
        assert net.neurons == 1 and net.sizes == (k, 1, 1)


def test_a_product_is_that_of_arbitrary_precision(random):
    k, beta = int(random.integers(2, 8)), random.uniform(0.5, 9)
    y = walsh.configurations(k)
    exact = [float(1 / (1 + mpmath.exp(beta * (k - mpmath.mpf(1) / 2 - int(s))))) for s in y.sum(1)]
    np.testing.assert_allclose(bits.bit_product(k, beta)(y), exact, rtol=1e-12)


def test_erratum_twice_the_printed_gain_is_needed(random):
    for decimals in random.uniform(3, 14, size=4):
        printed = float(bits.product_error(decimals * math.log(10)))
        assert abs(-math.log10(printed) - decimals / 2) < 0.02
        with mpmath.workdps(30):
            at = lambda gain: 1 / (1 + mpmath.exp(gain / 2))
            gain = bits.gain_for(decimals)
            assert at(gain) < mpmath.mpf(10) ** -decimals * (1 + mpmath.mpf(10) ** -12) and at(0.99 * gain) > mpmath.mpf(10) ** -decimals
    assert abs(bits.gain_for(10) - 46.05) < 0.01


def test_a_function_of_bits_is_its_network(function):
    F, h, outputs = function
    np.testing.assert_allclose(outputs(80.0), F, atol=1e-12)
    for c in range(2):
        np.testing.assert_allclose(outputs(3.0)[:, c], brute(h[:, c], 4, 3.0), rtol=1e-12)
    np.testing.assert_allclose(bits.hamiltonian_network(h[:, 0], 3.0)(walsh.configurations(4)), outputs(3.0)[:, 0], rtol=1e-12)
    for beta in (2.0, 10.0, 30.0):
        bound = np.abs(h[1:]).sum(0) / (1 + math.exp(beta / 2))
        np.testing.assert_allclose(bits.error_bound(h, beta), bound, rtol=1e-12)
        assert np.all(np.abs(outputs(beta) - F).max(0) <= bound)


def test_the_error_is_made_of_differences_between_neighbours(function):
    F, _, outputs = function
    for beta in (12.0, 24.0):
        measured, leading = outputs(beta) - F, np.asarray(bits.leading_error(F, beta))
        np.testing.assert_allclose(measured, leading, atol=3 * math.exp(-beta) * np.abs(leading).max() + 1e-15)
        assert np.all(np.abs(leading).max(0) <= 4 * np.ptp(F, axis=0) * float(bits.product_error(beta)))
    by_hand = F[0] - F[5] + (F[7] - F[5]) + (F[13] - F[5])
    np.testing.assert_allclose(bits.leading_error(F, 5.0)[5], by_hand * float(bits.product_error(5.0)), rtol=1e-12)


def test_the_mean_weight_of_random_functions(random):
    n = 5
    h = np.stack([moebius(f) for f in random.normal(size=(400, 2**n))])
    weight = np.abs(h[:, 1:]).sum(1)
    expected = math.sqrt(2 / math.pi) * ((1 + math.sqrt(2)) ** n - 1)
    error = weight.std(ddof=1) / 20
    assert abs(weight.mean() - expected) < 5 * error < 0.1 * expected


def test_one_neuron_for_each_term(random):
    for n, degree in ((8, 2), (7, 4), (3, 5)):
        h = np.where(walsh.orders(n) <= degree, 1.0, 0.0)
        subsets = sum(1 for j in range(1, degree + 1) for _ in itertools.combinations(range(n), j))
        assert jax.jit(lambda h=h: bits.hamiltonian_network(h, 1.0).neurons)() == subsets == bits.count_terms(n, degree)
    assert bits.count_terms(8, 2) == 36
    assert [bits.count_terms(n, n) for n in (4, 9)] == [15, 511] and [bits.count_terms(n, n, 2) for n in (4, 9)] == [11, 502]
    assert all(bits.count_terms(n, 4) <= n**4 for n in range(1, 200))
    h = np.zeros(64)
    h[[0, 3, 17, 40]] = random.normal(size=4)
    net, y = bits.hamiltonian_network(h, 70.0), walsh.configurations(6)
    assert net.neurons == 3 and net.synapses == 2 + 2 + 2 + 3
    np.testing.assert_allclose(net(y), h[0] + h[3] * y[:, 0] * y[:, 1] + h[17] * y[:, 0] * y[:, 4] + h[40] * y[:, 3] * y[:, 5], atol=1e-12)


def test_spins_are_no_bits():
    y = walsh.configurations(3)
    s = 1 - 2 * y
    product, fed = s.prod(1).astype(float), np.asarray(bits.bit_product(3, 30.0)(s))
    assert np.abs(fed - product).max() > 0.99
    np.testing.assert_allclose(fed, ((1 + s) / 2).prod(1), atol=1.001 * float(bits.product_error(30.0)))
    net = bits.hamiltonian_network(np.asarray(moebius(product)), 80.0)
    assert net.neurons == 2**3 - 1
    np.testing.assert_allclose(net((1 - s) / 2), product, atol=1e-12)
    assert np.abs(np.asarray(net(s)) - product).max() > 0.99


def test_single_precision_saturates():
    output = jax.jit(jax.vmap(lambda half: bits.bit_product(3, 2 * half).astype(jnp.float32)(np.ones((1, 3)))[0]))
    below, above = output(np.array([16.5, 17.4]))
    assert below < 1 == above


def test_it_is_differentiable_in_the_gain(random):
    gain = random.uniform(1, 9)
    slope = jax.jit(jax.grad(lambda b: bits.bit_product(3, b)(np.ones((1, 3)))[0]))(gain)
    np.testing.assert_allclose(slope, 0.25 / (1 + math.cosh(gain / 2)), rtol=1e-10)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="k=0: must be ≥ 1"):
        bits.bit_product(0, 1.0)
    with pytest.raises(ValueError, match="6 entries; must be a power of two"):
        bits.hamiltonian_network(np.ones(6), 1.0)
