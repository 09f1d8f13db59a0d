"""The critical point is found: the page's table, random activations against closed forms, and reasons why there is none."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize

from dltheory.infinite_width import criticality, propagate, susceptibilities

TABLE = {
    "linear": ("scale-invariant", 0, 1, 1, 2),
    "relu": ("scale-invariant", 0, 2, 1, 5),
    "leaky_relu": ("scale-invariant", 0, 1.9998000200, 1, 4.9988002400),
    "abs": ("scale-invariant", 0, 1, 1, 2),
    "where(z > 0, z, 0.1*z)": ("scale-invariant", 0, 1.9801980198, 1, 4.8823644741),
    "where(z > 0, z, 0.2*z)": ("scale-invariant", 0, 1.9230769231, 1, 4.5562130178),
    "where(z > 0, z, 0.5*z)": ("scale-invariant", 0, 1.6, 1, 3.08),
    "tanh": ("K*=0", 0, 1, 0, 2 / 3),
    "sin": ("K*=0", 0, 1, 0, 2 / 3),
    "erf": ("K*=0", 0, 0.7853981634, 0, 2 / 3),
    "gelu": ("half-stable", 0.17292239, 1.98305826, (3 + 17**0.5) / 2, 4.9042262),
    "swish": ("half-stable", 0.55514317, 1.98800468, 14.32017362, 4.9231871),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name):
    kind, c_b, c_w, kernel, nu = TABLE[name]
    seen = criticality(name)
    assert (seen.universality_class, seen.reason) == (kind, "")
    np.testing.assert_allclose([seen.c_b, seen.c_w, seen.kernel], [c_b, c_w, kernel], atol=6e-9)
    np.testing.assert_allclose(seen.nu, nu, atol=6e-8)


@pytest.mark.parametrize("name", ["gelu", "swish", "z*tanh(softplus(z))"])
def test_a_half_stable_point_is_fixed_and_critical(name):
    point = criticality(name)
    np.testing.assert_allclose(propagate(name, point.kernel, 4, point.c_b, point.c_w).kernel, point.kernel, rtol=1e-12)
    np.testing.assert_allclose(susceptibilities(name, point.kernel, point.c_b, point.c_w), 1, rtol=1e-11)


def mean(f, variance):
    """E f(z) by SciPy's adaptive quadrature."""
    density = lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * f(np.sqrt(variance) * x)
    return sum(integrate.quad(density, *ends, epsabs=1e-13, epsrel=1e-13, limit=200)[0] for ends in ((-12, 0), (0, 12)))


def test_an_activation_typed_in_by_a_user():
    s = lambda z: z * np.tanh(np.logaddexp(z, 0))
    h = 1e-3
    fifth = lambda f: lambda z: sum(c * (f(z + k * h) - f(z - k * h)) for k, c in ((1, 0.75), (2, -0.15), (3, 1 / 60))) / h
    slope, bend = fifth(s), fifth(fifth(s))
    root = optimize.brentq(lambda K: mean(lambda z: s(z) * bend(z), K), 1, 3, xtol=1e-13)
    c_w = 1 / mean(lambda z: slope(z) ** 2, root)
    seen = criticality("z*tanh(softplus(z))")
    assert seen.universality_class == "half-stable"
    np.testing.assert_allclose([seen.c_w, seen.c_b], [c_w, root - c_w * mean(lambda z: s(z) ** 2, root)], atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_random_sines_against_closed_forms(seed):
    """⟨s²⟩ = a²(1-e^{-2b²K})/2 + 2abcK e^{-b²K/2} + c²K and its like for a sin(bz) + cz."""
    a, b, c = np.random.default_rng(seed).uniform([0.5, 0.3, -3], [2, 2, 3])
    seen = criticality(f"{a}*sin({b}*z) + {c}*z" if seed % 2 else lambda z: a * jnp.sin(b * z) + c * z)
    E = lambda K: np.exp(-b * b * K / 2)
    contrast = lambda K: -a * b * b * (a * (1 - E(K) ** 4) / 2 + b * c * K * E(K)) / K
    square = lambda K: a * a * (1 - E(K) ** 4) / 2 + 2 * a * b * c * K * E(K) + c * c * K
    slopes = lambda K: a * a * b * b * (1 + E(K) ** 4) / 2 + 2 * a * b * c * E(K) + c * c
    s1, s3 = a * b + c, -a * b**3
    if s3 / s1 < 0:
        assert seen.universality_class == "K*=0"
        np.testing.assert_allclose([seen.c_b, seen.c_w, seen.kernel], [0, 1 / s1**2, 0], rtol=1e-9)
        return
    grid = np.geomspace(1e-4, 1e3, 4000)
    signs = np.flatnonzero(np.diff(np.sign(contrast(grid))))
    roots = [optimize.brentq(contrast, grid[i], grid[i + 1], xtol=1e-14) for i in signs]
    good = [K for K in roots if K - square(K) / slopes(K) >= 0]
    if not good:
        assert seen.universality_class == "none" and seen.reason
        return
    expected = [good[0] - square(good[0]) / slopes(good[0]), 1 / slopes(good[0])]
    assert seen.universality_class == "half-stable"
    np.testing.assert_allclose([seen.c_b, seen.c_w], expected, atol=1e-8)


def test_the_point_scales_with_the_units_of_z():
    one, ten = criticality("gelu"), criticality("10*gelu(z/10)")
    np.testing.assert_allclose([ten.c_b, ten.kernel, ten.c_w, ten.nu], [100 * one.c_b, 100 * one.kernel, one.c_w, one.nu], rtol=1e-9)


@pytest.mark.parametrize(
    ("activation", "text"),
    [
        ("sigmoid", "K\\* = 0, where C_b = -4 would be negative"),
        ("softplus", "has no zero"),
        ("z**2", "χ_⊥/χ_∥ = 0.6667"),
        ("z**3", "χ_⊥/χ_∥ = 0.6 "),
        ("z**4", "χ_⊥/χ_∥ = 0.5714"),
        ("sinh(z)", "repelling"),
        ("elu", "no expansion in powers of K"),
        ("maximum(z, 0)**2", "has no zero"),
        ("maximum(z, 0) + z**2", "kinks"),
    ],
)
def test_none_says_why(activation, text):
    seen = criticality(activation)
    assert seen.universality_class == "none"
    np.testing.assert_equal(bool(__import__("re").search(text, seen.reason)), True, err_msg=seen.reason)
    if activation == "sigmoid":
        np.testing.assert_allclose([seen.c_b, seen.c_w, seen.kernel], [-4, 16, 0], atol=1e-8)


def test_the_copied_bias_of_swish_misses_its_fixed_point():
    """Trap: lists in circulation have C_b = 0.0555, a factor of ten off."""
    point = criticality("swish")
    off = propagate("swish", point.kernel, 2, point.c_b / 10, point.c_w).kernel
    np.testing.assert_allclose(off[0] - off[1], 0.4996, atol=1e-4)
    he = propagate("gelu", 1.0, 10, 0.0, 2.0).kernel
    np.testing.assert_allclose(he[-1], 0.0535, atol=1e-4)


def test_p_perp_is_the_power_of_distances():
    """Distances fall as l^-p: for tanh a pair at a fixed angle, read from the growth between layers 2000 and 4000."""
    point = criticality("tanh")
    chi = susceptibilities("tanh", propagate("tanh", 1.0, 4000, point.c_b, point.c_w).kernel, 0.0, point.c_w)[1]
    power = -jnp.sum(jnp.log(chi[1999:3999])) / jnp.log(2.0)
    np.testing.assert_allclose(power, point.p_perp, atol=0.01)
