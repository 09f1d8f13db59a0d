"""Energies linear in depth: worked numbers, the page's geometric sums, mirror symmetry, and networks of constant width."""

import jax
import mpmath
import numpy as np
import pytest

from dltheory.reusability.ensemble import boltzmann
from dltheory.reusability.ladder import ladder
from dltheory.reusability.summary import summary

MACRO = ("log_partition", "energy", "entropy", "free_energy", "heat_capacity")


def numbers(e):
    return [float(getattr(e, name)) for name in MACRO]


def test_worked_numbers():
    worked = {
        1.0: (4.063800, 1.581523, 5.645323, -4.063800, 0.916133),
        2.0: (5.031162, 2.473658, 6.267990, -10.062323, 0.808683),
        -1.0: (15.063800, 9.418477, 5.645323, 15.063800, 0.916133),
    }
    for T, row in worked.items():
        assert numbers(ladder(T, 10, 100.0)) == pytest.approx(row, abs=6e-7)
    for T in (np.inf, -np.inf):
        assert numbers(ladder(T, 10, 100.0)) == pytest.approx((np.log(1000), 5.5, 6.907755, -T, 0), abs=6e-7)
    cold = ladder(0.01, 10, 100.0)
    assert (float(cold.energy), float(cold.entropy)) == pytest.approx((1, np.log(100)), abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_geometric_sums_of_the_page(seed):
    random = np.random.default_rng(seed)
    L = int(random.integers(2, 60))
    for decade in (-6, -3, -2, -1, 0, 1):
        n, eps = float(random.integers(1, 1000)), random.uniform(0.1, 3)
        a = random.choice([-1, 1]) * random.uniform(1, 10) * 10.0**decade
        with mpmath.workdps(60):
            q, T = mpmath.exp(-mpmath.mpf(a)), mpmath.mpf(eps) / mpmath.mpf(a)
            Z = n * q * (1 - q**L) / (1 - q)
            E = eps * (1 / (1 - q) - L * q**L / (1 - q**L))
            C = mpmath.mpf(a) ** 2 * (q / (1 - q) ** 2 - L**2 * q**L / (1 - q**L) ** 2)
            expected = [float(x) for x in (mpmath.log(Z), E, mpmath.log(Z) + E / T, -T * mpmath.log(Z), C)]
            p = [float(n * q**l / Z) for l in range(1, L + 1)]
        seen = ladder(eps / a, L, n, eps)
        np.testing.assert_allclose(numbers(seen), expected, rtol=1e-10, atol=5e-15)
        np.testing.assert_allclose(seen.probabilities, p, rtol=1e-11, atol=1e-300)
        sums = boltzmann(eps * np.arange(1, L + 1), eps / a, n)
        np.testing.assert_allclose(numbers(seen), numbers(sums), rtol=1e-9, atol=5e-15)


def test_mirror_symmetry():
    for T in (0.3, 1.0, 7.0):
        one, other = ladder(T, 13, 5.0, 0.7), ladder(-T, 13, 5.0, 0.7)
        assert float(other.entropy) == pytest.approx(float(one.entropy), rel=1e-14)
        assert float(other.energy) == pytest.approx(0.7 * 14 - float(one.energy), rel=1e-14)
        np.testing.assert_allclose(other.probabilities, one.probabilities[::-1], rtol=1e-12)


def test_energy_is_the_slope_where_the_series_takes_over():
    a = np.array([0.00995, 0.01005, 0.0995, 0.1005, 3.0])  # it does at a = 0.1, and at aL = 0.1
    log_Z = jax.jit(jax.vmap(jax.value_and_grad(lambda a: ladder(1 / a, 10).log_partition)))
    e = jax.vmap(lambda a: ladder(1 / a, 10))(a)
    np.testing.assert_allclose(-log_Z(a)[1], e.energy, rtol=1e-12)
    middle = jax.vmap(lambda a: ladder(1 / a, 10))(np.array([0.01, 0.1]))
    slope = (e.energy[1:4:2] - e.energy[0:4:2]) / (a[1:4:2] - a[0:4:2])
    np.testing.assert_allclose(-slope, middle.heat_capacity / np.array([0.01, 0.1]) ** 2, rtol=1e-5)


@pytest.mark.parametrize(("w", "d"), [(2, 3), (3, 40)])
def test_a_network_of_constant_width_is_a_member(w, d):
    counts = {w ** (d - l): w * w for l in range(1, d + 1)}
    reuse = summary(counts, w, w, unit="nats")
    like = ladder(1.0, d, w**2, np.log(w))
    assert reuse.expected_spread == pytest.approx(d * np.log(w) - float(like.energy), rel=1e-13)
    assert reuse.entropy == pytest.approx(float(like.entropy), rel=1e-12)
    assert reuse.log_partition == pytest.approx(d * np.log(w) + float(like.log_partition), rel=1e-13)
    closed = np.log(w) * (d * w**d / (w**d - 1) - w / (w - 1))
    assert reuse.expected_spread == pytest.approx(closed, rel=1e-13)
    p = [w**2 * w ** (d - l) / sum(c * m for c, m in counts.items()) for l in range(1, d + 1)]
    np.testing.assert_allclose(like.probabilities, p, rtol=1e-12)


def test_entropy_of_infinite_depth_keeps_its_last_term():
    w, k = 7, 49
    limit = np.log(k) + np.log(w / (w - 1)) + np.log(w) / (w - 1)
    assert float(ladder(1.0, 200, k, np.log(w)).entropy) == pytest.approx(limit, rel=1e-14)


def test_the_authors_diagnostic_has_one_layer_less():
    spread = lambda layers: summary({792**j: 792**2 for j in range(layers)}, 792, 792).expected_spread
    assert (spread(113), spread(114)) == pytest.approx((1078.4758, 1088.1051), abs=5e-5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ladder(1.0, 0), "layers=0: must be ≥ 1"),
        (lambda: ladder(0.0, 3), "temperature=0.0: must not be 0"),
        (lambda: ladder(1.0, 3, 1.0, 0.0), "spacing=0.0: must not be 0"),
    ],
)
def test_nonsense_is_one_line(call, text):
    with pytest.raises(ValueError, match=text):
        call()
