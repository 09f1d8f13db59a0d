"""Ensembles: worked numbers, sixty digits, derivatives of ln Z, limits of temperature, largest entropy."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize

from dltheory.reusability.ensemble import boltzmann, scan
from dltheory.reusability.summary import summary

LINEAR = np.arange(1.0, 11.0)
WORKED = {  # T: ln Z, <E>, S, F, C_v; 10 layers of 100, spacing 1
    1.0: (4.063800, 1.581523, 5.645323, -4.063800, 0.916133),
    2.0: (5.031162, 2.473658, 6.267990, -10.062323, 0.808683),
    -1.0: (15.063800, 9.418477, 5.645323, 15.063800, 0.916133),
}
FIGURES = {  # counts: β: Z, <E>, S
    "3a": ((4, 4), {-2: (20, 0.554518, 1.886697), -1: (12, 0.462098, 2.022809), 0: (8, 0.346574, 2.079442), 1: (6, 0.231049, 2.022809)}),
    "2b": ((6, 2), {-2: (14, 0.396084, 1.846889), -1: (10, 0.277259, 2.025326), 0: (8, 0.173287, 2.079442), 1: (7, 0.099021, 2.044931)}),
}
MACRO = ("log_partition", "energy", "entropy", "free_energy", "heat_capacity")


def numbers(e):
    return [float(getattr(e, name)) for name in MACRO]


@pytest.mark.parametrize("T", WORKED)
def test_worked_numbers(T):
    assert numbers(boltzmann(LINEAR, T, 100.0)) == pytest.approx(WORKED[T], abs=6e-7)
    assert float(jnp.exp(boltzmann(LINEAR, 1.0, 100.0).log_partition)) == pytest.approx(58.195029, abs=6e-7)


@pytest.mark.parametrize("T", [np.inf, -np.inf])
def test_infinite_temperature_is_uniform(T):
    hot = boltzmann(LINEAR, T, 100.0)
    assert (float(hot.energy), float(hot.entropy)) == pytest.approx((5.5, 6.907755), abs=6e-7)
    np.testing.assert_allclose(hot.probabilities, 0.1, rtol=1e-15)
    assert hot.heat_capacity == 0 and hot.free_energy == -T
    near = boltzmann(LINEAR, 1e9 * np.sign(T), 100.0)
    np.testing.assert_allclose(near.probabilities, hot.probabilities, rtol=1e-8)


@pytest.mark.parametrize("name", FIGURES)
def test_temperature_scans_of_the_figures(name):
    weights, table = FIGURES[name]
    seen = scan([0, np.log(2)], np.array(list(table), float), weights)
    for i, (Z, energy, entropy) in enumerate(table.values()):
        assert float(jnp.exp(seen.log_partition[i])) == pytest.approx(Z, rel=1e-14)
        assert (float(seen.energy[i]), float(seen.entropy[i])) == pytest.approx((energy, entropy), abs=6e-7)


@pytest.mark.parametrize("seed", range(4))
def test_sixty_digits_at_thousands_of_nats(seed):
    random = np.random.default_rng(seed)
    E, g = random.uniform(-3000, 3000, 30), random.integers(1, 10**8, 30)
    E[random.integers(30)] = E[0]
    for T in (*random.choice([-1, 1], 3) * 10 ** random.uniform(-2, 4, 3), -1.0):
        with mpmath.workdps(60):
            w = [int(n) * mpmath.exp(-mpmath.mpf(e) / T) for e, n in zip(E, g, strict=True)]
            Z = sum(w)
            p = [x / Z for x in w]
            mean = sum(x * e for x, e in zip(p, E, strict=True))
            S = -sum(x * mpmath.log(x / int(n)) for x, n in zip(p, g, strict=True))
            C = sum(x * (e - mean) ** 2 for x, e in zip(p, E, strict=True)) / mpmath.mpf(T) ** 2
            expected = [float(x) for x in (mpmath.log(Z), mean, S, -T * mpmath.log(Z), C)]
            p = [float(x) for x in p]
        seen = boltzmann(E, T, g)
        np.testing.assert_allclose(numbers(seen), expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(seen.probabilities, p, rtol=1e-8, atol=1e-300)


def test_derivatives_of_the_partition_function():
    random = np.random.default_rng(7)
    E, g, step = random.normal(size=6) * 3, random.uniform(0.5, 4, 6), 1e-4

    @jax.jit
    @jax.vmap
    def derivatives(T):
        log_Z = lambda beta: boltzmann(E, 1 / beta, g).log_partition
        return {
            "ensemble": boltzmann(E, T, g),
            "mean": -jax.grad(log_Z)(1 / T),
            "variance": jax.grad(jax.grad(log_Z))(1 / T),
            "warming": jax.grad(lambda t: boltzmann(E, t, g).energy)(T),
            "entropy": -jax.grad(lambda t: boltzmann(E, t, g).free_energy)(T),
            "occupation": jax.grad(lambda x: boltzmann(x, T, g).free_energy)(E),
            "share": jax.grad(lambda x: boltzmann(E, T, x).log_partition)(g),
            "slope": -(log_Z(1 / T + step) - log_Z(1 / T - step)) / (2 * step),
        }

    T = np.array([0.7, -1.0, 40.0])
    seen = derivatives(T)
    e = seen["ensemble"]
    np.testing.assert_allclose(seen["mean"], e.energy, rtol=1e-12)
    np.testing.assert_allclose(seen["variance"], e.heat_capacity * T**2, rtol=1e-12)
    np.testing.assert_allclose(seen["warming"], e.heat_capacity, rtol=1e-11)
    np.testing.assert_allclose(seen["entropy"], e.entropy, rtol=1e-11)
    np.testing.assert_allclose(seen["occupation"], e.probabilities, rtol=1e-11)
    np.testing.assert_allclose(seen["share"], np.asarray(e.probabilities) / g, rtol=1e-12)
    np.testing.assert_allclose(e.free_energy, e.energy - T * e.entropy, rtol=1e-13)
    np.testing.assert_allclose(seen["slope"], e.energy, rtol=1e-6)


def test_states_of_no_weight_do_not_exist_and_leave_gradients_finite():
    g = np.array([3.0, 0.0, 5.0])
    seen, less = boltzmann(LINEAR[:3], -2.0, g), boltzmann(LINEAR[:3:2], -2.0, g[::2])
    assert seen.probabilities[1] == 0
    np.testing.assert_allclose(numbers(seen), numbers(less), rtol=1e-14)
    assert np.isfinite(jax.grad(lambda x: boltzmann(LINEAR[:3], -2.0, x).entropy)(g)).all()


def test_a_class_of_g_parameters_is_g_parameters():
    E, g = np.array([0.0, 1.5, 4.0]), np.array([3, 1, 2])
    np.testing.assert_allclose(numbers(boltzmann(E, -0.8, g)), numbers(boltzmann(np.repeat(E, g), -0.8)), rtol=1e-13)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_ensemble_at_minus_one(seed):
    random = np.random.default_rng(seed)
    C, m = random.choice(10**6, 12, replace=False) + 1, random.integers(1, 50, 12)
    reuse = summary(dict(zip(C.tolist(), m.tolist(), strict=True)), 1, 1, unit="nats")
    for e in (boltzmann(np.log(C), -1.0, m), boltzmann(-np.log(C), 1.0, m)):
        np.testing.assert_allclose(e.probabilities, m * C / (m @ C), rtol=1e-13)
        assert (float(e.log_partition), float(e.entropy)) == pytest.approx((reuse.log_partition, reuse.entropy), rel=1e-13)
        assert abs(float(e.energy)) == pytest.approx(reuse.expected_spread, rel=1e-13)
    assert float(boltzmann(np.log(C), -1.0, m).free_energy) == pytest.approx(reuse.expected_spread + reuse.entropy, rel=1e-13)
    bits = boltzmann(np.log2(C), -1 / np.log(2), m)  # weights 2^E
    np.testing.assert_allclose(bits.probabilities, m * C / (m @ C), rtol=1e-13)


def test_cold_from_both_sides():
    C, m = np.array([3, 10, 500]), np.array([7, 2, 4])
    low, high = (boltzmann(np.log(C), T, m) for T in (1e-7, -1e-7))
    assert (float(low.energy), float(high.energy)) == pytest.approx((np.log(3), np.log(500)), rel=1e-14)
    assert (float(low.entropy), float(high.entropy)) == pytest.approx((np.log(7), np.log(4)), rel=1e-12)


@pytest.mark.parametrize("T", [1.3, -0.9])
def test_no_law_of_the_same_energy_has_more_entropy(T):
    E = np.random.default_rng(3).normal(size=6)
    best = boltzmann(E, T)
    minus_entropy = lambda p: p @ np.log(np.maximum(p, 1e-12))
    constraints = [{"type": "eq", "fun": lambda p: p.sum() - 1}, {"type": "eq", "fun": lambda p: p @ E - float(best.energy)}]
    found = minimize(minus_entropy, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, constraints=constraints, options={"ftol": 1e-14})
    np.testing.assert_allclose(found.x, best.probabilities, atol=2e-6)
    assert -found.fun == pytest.approx(float(best.entropy), abs=1e-10)


def test_a_scan_is_a_loop_and_vectorises():
    betas = np.array([-2.0, -1.0, 0.3, 4.0])
    seen = scan(LINEAR, betas, 100.0)
    batch = jax.vmap(lambda T, g: boltzmann(LINEAR, T, g))(1 / betas, np.full((4, 10), 100.0))
    for i, beta in enumerate(betas):
        one = numbers(boltzmann(LINEAR, 1 / beta, 100.0))
        assert [float(getattr(seen, name)[i]) for name in MACRO] == pytest.approx(one, rel=1e-14)
        assert [float(getattr(batch, name)[i]) for name in MACRO] == pytest.approx(one, rel=1e-14)
    zero = scan(LINEAR, [0.0], 100.0)
    assert zero.entropy[0] == pytest.approx(np.log(1000), rel=1e-15) and np.isinf(zero.free_energy[0])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: boltzmann(np.ones((1, 1)), 1.0), r"energies=\(1, 1\): must be a vector"),
        (lambda: boltzmann([], 1.0), r"energies=\(0,\): must be a vector of at least one"),
        (lambda: boltzmann(np.r_[np.ones(999), np.inf], 1.0), "energies=inf: must be finite"),
        (lambda: boltzmann([1.0, 2.0], 0.0), "temperature=0.0: must be a number that is not 0"),
        (lambda: boltzmann([1.0, 2.0], np.nan), "temperature=nan: must be a number"),
        (lambda: boltzmann([1.0, 2.0], 1.0, [1.0]), r"prior=\(1,\): must be a number or"),
        (lambda: boltzmann([1.0, 2.0], 1.0, [1.0, -1.0]), "prior=-1.0: must be finite and ≥ 0"),
        (lambda: boltzmann([1.0, 2.0], 1.0, 0.0), "prior=0: must not be 0 for every state"),
        (lambda: scan([1.0, 2.0], [1.0, np.inf]), "inverse_temperatures=inf: must be finite"),
        (lambda: scan([1.0, 2.0], 1.0), r"inverse_temperatures=\(\): must be a vector"),
    ],
)
def test_nonsense_is_one_line(call, text):
    with pytest.raises(ValueError, match=text) as error:
        call()
    assert "\n" not in str(error.value)
