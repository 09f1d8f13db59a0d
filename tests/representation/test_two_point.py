"""System (1) and its exact solution, against SciPy's integrator, closed forms and a linear network with all its matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dltheory import representation as theory
from dltheory.representation import Geometry, Rates, TwoPoint

GEOMETRY, RATES = Geometry(1.3, 0.5), Rates(0.02, 0.3)
CASES = {
    "aligned": (TwoPoint(1e-3, 1e-4, 1e-4 - 0.01 * 0.5**0.5), GEOMETRY),
    "anti-aligned": (TwoPoint(0.04, 0.09, 0.09 + 0.3 * 0.5**0.5), GEOMETRY),
    "misaligned": (TwoPoint(0.2, 0.09, 0.09 - 0.1 * 0.5**0.5), GEOMETRY),
    "lazy": (TwoPoint(5.0, 40.0, 40.0 + 3.0 * 0.5**0.5), GEOMETRY),
    "merging": (TwoPoint(0.05, 0.4, 0.4), Geometry(1.3, 0.0)),
    "equal targets, lazy": (TwoPoint(2.0, 0.4, 0.4), Geometry(1.3, 0.0)),
}


def integrate(times, initial, rates, geometry):
    """(1) as printed, by an implicit method with tight tolerances."""
    field = lambda _, z: jax.tree.leaves(theory.vector_field(TwoPoint(*z), rates, geometry))
    start = [initial.h, initial.y, initial.w]
    solution = solve_ivp(field, (0, times[-1]), start, method="LSODA", t_eval=times, rtol=1e-12, atol=1e-14)
    return TwoPoint(*solution.y)


@pytest.mark.parametrize("case", CASES)
def test_exact_solution_is_the_integral_of_the_printed_system(case):
    initial, geometry = CASES[case]
    times = np.linspace(0, 60, 40)
    exact, numeric = theory.solve(times, initial, RATES, geometry), integrate(times, initial, RATES, geometry)
    for name in "hyw":
        np.testing.assert_allclose(getattr(exact, name), getattr(numeric, name), rtol=2e-8, atol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_solution_satisfies_the_printed_system(case):
    initial, geometry = CASES[case]
    times = jnp.linspace(0.01, 40, 17)
    state = theory.solve(times, initial, RATES, geometry)
    slope = jax.vmap(jax.jacfwd(lambda t: theory.solve(t[None], initial, RATES, geometry)))(times)
    field = theory.vector_field(state, RATES, geometry)
    for name in "hyw":
        np.testing.assert_allclose(getattr(slope, name)[:, 0], getattr(field, name), rtol=1e-9, atol=1e-11)


def test_regular_form_is_the_printed_system():
    initial, geometry = CASES["misaligned"]
    regular = theory.to_regular(initial, geometry)
    back = lambda r: theory.two_point.from_regular(theory.two_point.Regular(*r), geometry)
    _, slope = jax.jvp(back, (tuple(regular),), (tuple(theory.regular_field(regular, RATES, geometry)),))
    field = theory.vector_field(initial, RATES, geometry)
    for name in "hyw":
        np.testing.assert_allclose(getattr(slope, name), getattr(field, name), rtol=1e-12)


def test_half_normalisation_is_half_the_speed():
    initial, geometry = CASES["misaligned"]
    times = jnp.linspace(0, 30, 9)
    half = theory.solve(2 * times, initial, RATES, geometry, normalisation="half")
    np.testing.assert_allclose(half.h, theory.solve(times, initial, RATES, geometry).h, rtol=1e-12)
    full, halved = (theory.vector_field(initial, RATES, geometry, normalisation=n) for n in ("full", "half"))
    np.testing.assert_allclose(2 * halved.w, full.w, rtol=1e-15)


def test_familiar_starts():
    times, geometry = jnp.linspace(0, 80, 50), GEOMETRY
    ratio = RATES.hidden * geometry.dx2 / RATES.output
    h0 = 1e-3
    p0 = h0 / ratio**0.5
    start = TwoPoint(h0, p0**2, p0**2 - geometry.dy2**0.5 * p0)
    np.testing.assert_allclose(theory.invariant(start, RATES, geometry), 0, atol=1e-12)
    exact = theory.solve(times, start, RATES, geometry)
    np.testing.assert_allclose(exact.h, theory.balanced(times, h0, RATES, geometry), rtol=1e-11)
    initial, _ = CASES["aligned"]
    exact, known = theory.solve(times, initial, RATES, geometry), theory.aligned(times, initial, RATES, geometry)
    for name in "hyw":
        np.testing.assert_allclose(getattr(exact, name), getattr(known, name), rtol=1e-9, atol=1e-13)
    for case in ("merging", "equal targets, lazy"):
        initial, equal = CASES[case]
        exact = theory.solve(times, initial, RATES, equal)
        np.testing.assert_allclose(exact.h, theory.merging(times, initial, RATES, equal), rtol=1e-11, atol=1e-15)


def test_at_half_time_of_a_balanced_start_a_quarter_is_learnt():
    low, rate = theory.plateau(RATES, GEOMETRY), (GEOMETRY.dy2 * GEOMETRY.dx2 * RATES.hidden * RATES.output) ** 0.5
    h0 = 1e-4
    p0 = h0 / (RATES.hidden * GEOMETRY.dx2 / RATES.output) ** 0.5
    half_time = jnp.log(low / h0 - 1) / rate
    start = TwoPoint(h0, p0**2, p0**2 - GEOMETRY.dy2**0.5 * p0)
    state = theory.solve(half_time[None], start, RATES, GEOMETRY)
    np.testing.assert_allclose([state.h[0] / low, state.y[0] / GEOMETRY.dy2, state.w[0] / GEOMETRY.dy2], [0.5, 0.25, -0.25], rtol=1e-9)


positive = st.floats(-3, 3).map(lambda x: 10.0**x)


@settings(max_examples=200, deadline=None)
@given(h0=positive, gain=positive, angle=st.floats(-1, 1), s=st.floats(0.1, 3), x=st.floats(0.1, 3), eta_h=positive, eta_y=positive)
def test_any_start_ends_at_formula_3_and_keeps_the_invariant(h0, gain, angle, s, x, eta_h, eta_y):
    y0 = h0 * gain
    initial = TwoPoint(h0, y0, y0 - s * y0**0.5 * angle)
    rates, geometry = Rates(eta_h, eta_y), Geometry(x**2, s**2)
    end = theory.final_distance(initial, rates, geometry)
    _, *decays = theory.relaxation_rates(end, rates, geometry)
    slowest = min(x * s * (eta_h * eta_y) ** 0.5, *(-float(d) for d in decays))
    times = jnp.geomspace(1e-3, 1e3, 30) / slowest
    states = theory.solve(times, initial, rates, geometry)
    assert all(bool(jnp.all(jnp.isfinite(c))) for c in jax.tree.leaves(states))
    if angle > -0.999:
        np.testing.assert_allclose(states.h[-1], end, rtol=1e-8)
        np.testing.assert_allclose(states.y[-1], s**2, rtol=1e-8)
    C = theory.invariant(states, rates, geometry)
    size = states.h / (eta_h * x**2) + states.y / (eta_y * states.h)
    assert float(jnp.max(jnp.abs(C - theory.invariant(initial, rates, geometry)) / size)) < 1e-9


def test_extreme_rates_and_starts_near_the_saddle_stay_finite():
    for h0 in (0.0, 1e-300, 1e-30, 1e-8, 1e8):
        for eta in (1e-12, 1.0, 1e12):
            state = theory.solve(jnp.array([0.0, 1e-6, 1.0, 1e6]), TwoPoint(h0, 0.0, 0.0), Rates(eta, 1.0), GEOMETRY)
            assert all(bool(jnp.all(jnp.isfinite(c))) for c in jax.tree.leaves(state)), (h0, eta)
    np.testing.assert_array_equal(theory.solve(jnp.arange(3.0), TwoPoint(0.0, 0.0, 0.0), RATES, GEOMETRY).h, 0)


def test_solution_is_exact_where_eigenvalues_almost_meet():
    """a ≫ b, where f - a cancels: against the same formula in 50 digits."""
    from mpmath import cosh, exp, matrix, mp, mpf, quad, sinh, sqrt

    mp.dps = 50
    h0, y0, S, t = mpf("1e-8"), mpf("0.01"), mpf("0.5"), mpf("1e6")
    w0 = y0 - mpf("0.3") * sqrt(y0 * S)
    u = (y0 - w0) / sqrt(S) / sqrt(h0)
    v = sqrt((y0 - (y0 - w0) ** 2 / S) / h0)
    a, b = (u**2 + v**2 - h0) / 2, sqrt(S)
    f = sqrt(a**2 + b**2)

    def grown(tau):
        c, k = cosh(f * tau / 2), sinh(f * tau / 2) / f
        return matrix([c * sqrt(h0) + k * (-a * sqrt(h0) + b * u), c * u + k * (b * sqrt(h0) + a * u), exp(a * tau / 2) * v])

    square = lambda p: p[0] ** 2 + p[1] ** 2 + p[2] ** 2
    end = grown(t)
    scale = exp(-f * t)
    integral = quad(lambda x: square(grown(t - x)) * scale, [0, 1e-3, 1e-2, 0.1, 1, 10, 1e3, 1e5, t])
    norm = scale + integral / 2
    h, y = end[0] ** 2 * scale / norm, end[0] ** 2 * scale / norm * (end[1] ** 2 + end[2] ** 2) * scale / norm
    start = TwoPoint(float(h0), float(y0), float(w0))
    state = theory.solve(jnp.array([1e6]), start, Rates(1.0, 1.0), Geometry(1.0, 0.5))
    np.testing.assert_allclose([state.h[0], state.y[0]], [float(h), float(y)], rtol=1e-9)


def test_what_is_not_a_number_stays_so():
    nan = jnp.asarray(jnp.nan)
    assert jnp.isnan(theory.final_distance(TwoPoint(nan, 0.1, 0.1), RATES, GEOMETRY))
    assert jnp.isnan(theory.plateau(Rates(nan, 0.3), GEOMETRY))
    assert bool(jnp.all(jnp.isnan(theory.solve(jnp.arange(3.0), TwoPoint(nan, 0.1, 0.1), RATES, GEOMETRY).h)))


def test_derivatives_at_an_aligned_start_are_those_of_the_misaligned_neighbours():
    h = lambda y0: theory.solve(jnp.array([10.0]), TwoPoint(0.02, y0, 0.09 - 0.3 * 0.5**0.5), RATES, GEOMETRY).h[0]
    y0, step = 0.09 + 1e-9, 1e-6
    np.testing.assert_allclose(jax.grad(h)(y0), (h(y0 + step) - h(y0)) / step, rtol=1e-3)


def test_merging_points_never_come_apart():
    initial, geometry = CASES["merging"]
    assert theory.retained_distance(initial, RATES, geometry) < 0
    assert theory.final_distance(initial, RATES, geometry) == 0
    h = theory.solve(jnp.geomspace(1, 1e4, 50), initial, RATES, geometry).h
    assert bool(jnp.all(jnp.diff(h) <= 0)) and h[-1] < 1e-12


def test_eigenvalues_at_the_fixed_point():
    h = theory.final_distance(CASES["misaligned"][0], RATES, GEOMETRY)
    field = lambda z: jnp.stack(jax.tree.leaves(theory.vector_field(TwoPoint(*z), RATES, GEOMETRY)))
    fixed = jnp.array([h, GEOMETRY.dy2, 0.0])
    np.testing.assert_allclose(field(fixed), 0, atol=1e-16)
    found = np.sort(np.linalg.eigvals(jax.jacfwd(field)(fixed)).real)
    np.testing.assert_allclose(found, np.sort(theory.relaxation_rates(h, RATES, GEOMETRY)), rtol=1e-9, atol=1e-12)


def matrix_flow(key, times, rates, aligned_decoder):
    """Gradient flow of the linearised maps D_h, D_y (page §1.2) with all their entries, by SciPy."""
    nx, nh, ny = 7, 5, 3
    a, b, c, d = jax.random.split(key, 4)
    dx, target = jax.random.normal(a, (nx,)), jax.random.normal(b, (ny,))
    D_h = 0.05 * jax.random.normal(c, (nh, nx))
    D_y = 0.05 * jax.random.normal(d, (ny, nh))
    if aligned_decoder:
        dh = D_h @ dx
        D_y = jnp.outer(D_y @ dh, dh) / (dh @ dh)
    unpack = lambda z: (z[: nh * nx].reshape(nh, nx), z[nh * nx :].reshape(ny, nh))

    @jax.jit
    def field(z):
        D_h, D_y = unpack(z)
        dh = D_h @ dx
        error = D_y @ dh - target
        # the printed system carries no factor 1/2, so the loss is 2 × ⅛|dy - dy*|²
        slope_h, slope_y = -rates.hidden * jnp.outer(D_y.T @ error, dx) / 2, -rates.output * jnp.outer(error, dh) / 2
        return jnp.concatenate([2 * slope_h.ravel(), 2 * slope_y.ravel()]) / 2

    start = jnp.concatenate([D_h.ravel(), D_y.ravel()])
    flow = solve_ivp(lambda _, z: np.asarray(field(z)), (0, times[-1]), start, t_eval=times, method="LSODA", rtol=1e-11, atol=1e-13)
    maps = [unpack(z) for z in flow.y.T]
    states = [(D_h @ dx, D_y @ D_h @ dx) for D_h, D_y in maps]
    curves = TwoPoint(*np.array([(dh @ dh, dy @ dy, dy @ (dy - target)) for dh, dy in states]).T)
    moved = [np.outer(D_h @ dx, D_h @ dx) / (rates.hidden * dx @ dx) - D_y.T @ D_y / rates.output for D_h, D_y in maps]
    return curves, Geometry(dx @ dx, target @ target), np.array(moved)


def test_matrix_gradient_flow_reduces_to_three_scalars(getkey):
    times, rates = np.linspace(0, 12, 60), Rates(1 / 0.7, 1 / 1.9)
    observed, geometry, _ = matrix_flow(getkey(), times, rates, aligned_decoder=True)
    initial = jax.tree.map(lambda c: c[0], observed)
    predicted = theory.solve(times, initial, rates, geometry)
    for name in "hyw":
        np.testing.assert_allclose(getattr(predicted, name), getattr(observed, name), atol=2e-8)


def test_random_decoder_keeps_the_matrix_invariant_and_ends_near_formula_3(getkey):
    times, rates = np.linspace(0, 40, 80), Rates(1 / 0.7, 1 / 1.9)
    observed, geometry, moved = matrix_flow(getkey(), times, rates, aligned_decoder=False)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-8)
    initial = jax.tree.map(lambda c: c[0], observed)
    predicted = theory.solve(times, initial, rates, geometry)
    assert np.max(np.abs(predicted.h - observed.h)) > 0.05, "a random decoder is delayed: (1) is not exact there"
    np.testing.assert_allclose(observed.h[-1], theory.final_distance(initial, rates, geometry), rtol=2e-2)
