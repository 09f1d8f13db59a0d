"""Wrong versions of (1): the integrator's order, the one term in which each differs, what it breaks, and fits of its own curves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import representation as theory
from dltheory.representation import ALTERED, Alteration, Geometry, Rates, TwoPoint

GEOMETRY, RATES = Geometry(1.3, 0.5), Rates(0.3, 1.2)
START = TwoPoint(0.2, 0.09, 0.09 - 0.1 * 0.5**0.5)
ALL = pytest.mark.parametrize("name", ALTERED)


def leaves(state):
    return np.stack([np.asarray(c) for c in (state.h, state.y, state.w)])


def states(key, n=50):
    """Random states, rates and geometries, each (n,)."""
    draw = lambda stream, low, high: jax.random.uniform(jax.random.fold_in(key, stream), (n,), minval=low, maxval=high)
    state = TwoPoint(draw(0, 0.1, 2.0), draw(1, 0.1, 2.0), draw(2, -1.0, 1.0))
    return state, Rates(draw(3, 0.1, 2.0), draw(4, 0.1, 2.0)), Geometry(draw(5, 0.1, 2.0), draw(6, 0.1, 2.0))


def terms(state, rates, geometry):
    """(1) as printed, term by term: the factor in which each altered system differs is a number in front of one of them."""
    h, y, w, X, S, eta_h, eta_y = (
        *(np.asarray(a) for a in (state.h, state.y, state.w, geometry.dx2, geometry.dy2)),
        *(np.asarray(a) for a in (rates.hidden, rates.output)),
    )
    return {
        "h": [-eta_h * X * w],
        "y": [-w * eta_y * h, -w * eta_h * X * y / h],
        "w": [-0.5 * eta_y * h * (3 * w - y + S), -0.5 * eta_h * X * (w / h) * (y + w)],
    }


FACTORS = {
    "y_doubled": {"y": (2, 2)},
    "h_doubled": {"h": (2,)},
    "w_sign": {"w": (1, -1)},
    "y_decoder_only": {"y": (1, 0)},
}


@ALL
def test_an_altered_field_differs_in_the_stated_term_only(getkey, name):
    here = states(getkey())
    found, printed = ALTERED[name](*here), terms(*here)
    for component, parts in printed.items():
        factors = FACTORS[name].get(component, (1,) * len(parts))
        exact = sum(f * part for f, part in zip(factors, parts, strict=True))
        np.testing.assert_allclose(getattr(found, component), exact, rtol=1e-12, atol=1e-14)
        unaltered = getattr(theory.vector_field(*here), component)
        assert np.allclose(getattr(found, component), unaltered, rtol=1e-9) == (component not in FACTORS[name])


def test_all_are_looked_at():
    assert set(FACTORS) == set(ALTERED)


def test_integration_is_of_fourth_order():
    starts = [START, TwoPoint(0.5, 0.4, 0.6), TwoPoint(2.0, 0.4, 0.1)]
    steps = np.array([8, 16, 32, 64])
    grids = jnp.asarray([np.minimum(4 * np.arange(65) / n, 4) for n in steps])  # steps of no length do nothing

    @jax.jit
    def error(initial):
        def gap(times):
            numeric = theory.integrate(theory.vector_field, times, initial, RATES, GEOMETRY)
            exact = theory.solve(times, initial, RATES, GEOMETRY)
            return jnp.max(jnp.stack([jnp.max(jnp.abs(a - b)) for a, b in zip(*map(jax.tree.leaves, (numeric, exact)), strict=True)]))

        return jax.vmap(gap)(grids)

    for start in starts:
        errors = np.asarray(error(jax.tree.map(jnp.asarray, start)))
        order = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
        assert abs(order - 4) < 0.2 and abs(np.log2(errors[-2] / errors[-1]) - 4) < 0.1
        assert errors[-1] < 1e-8


def test_integration_takes_any_grid_and_starts_at_its_first_time():
    times = np.array([0.0, 0.1, 0.1, 0.15, 0.7, 0.7, 1.0])
    numeric = theory.integrate(theory.vector_field, times, START, RATES, GEOMETRY)
    np.testing.assert_allclose(leaves(numeric), leaves(theory.solve(times, START, RATES, GEOMETRY)), rtol=1e-6)
    np.testing.assert_array_equal(leaves(numeric)[:, 0], leaves(START))
    np.testing.assert_array_equal(leaves(numeric)[:, 1], leaves(numeric)[:, 2])
    later = theory.integrate(theory.vector_field, times + 5, START, RATES, GEOMETRY)
    np.testing.assert_allclose(leaves(later), leaves(numeric), rtol=1e-12)


def drift(name, state, rates, geometry):
    """dC/dt along an altered system, in closed form: (1) gives 0, for C = h/(η_h X) - y/(η_y h)."""
    h, y, w, eta_h, eta_y, X = state.h, state.y, state.w, rates.hidden, rates.output, geometry.dx2
    return {
        "y_doubled": w * (1 + eta_h * X * y / (eta_y * h**2)),
        "h_doubled": -w * (1 + eta_h * X * y / (eta_y * h**2)),
        "w_sign": 0 * w,
        "y_decoder_only": -w * eta_h * X * y / (eta_y * h**2),
    }[name]


@ALL
def test_drift_of_the_invariant_in_closed_form(getkey, name):
    """C holds no w and h' and y' are both proportional to it, so that a wrong w' alone leaves C as it is."""
    here = state, rates, geometry = states(getkey())
    along = lambda field: jax.jvp(lambda s: theory.invariant(s, rates, geometry), (state,), (field(*here),))[1]
    np.testing.assert_allclose(along(ALTERED[name]), drift(name, *here), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(along(theory.vector_field), 0, atol=1e-12)


ALIGNED = TwoPoint(0.2, 0.09, 0.09 - 0.3 * 0.5**0.5)


@ALL
def test_an_altered_system_breaks_what_the_true_one_conserves(name):
    """(1) keeps C, and a dy along dy*, which is (y - w)² = S y, so that w moves as y does. Of the two, `w_sign` breaks the second."""
    times = np.linspace(0, 5, 400)
    integrate = jax.jit(lambda field: theory.integrate(field, times, ALIGNED, RATES, GEOMETRY))
    C = lambda s: np.asarray(theory.invariant(s, RATES, GEOMETRY))
    across = lambda s: np.asarray(s.y - (s.y - s.w) ** 2 / GEOMETRY.dy2)
    exact = integrate(Alteration(1.0, 1.0, 1.0, 1.0))
    np.testing.assert_allclose(C(exact), C(ALIGNED), rtol=0, atol=1e-8)
    np.testing.assert_allclose(across(exact), 0, atol=1e-8)
    wrong = integrate(ALTERED[name])
    if name == "w_sign":
        np.testing.assert_allclose(C(wrong), C(ALIGNED), rtol=0, atol=1e-8)
        assert np.max(np.abs(across(wrong))) > 0.01
    else:
        assert abs(C(wrong)[-1] - C(ALIGNED)) > 0.05


def test_curves_of_an_altered_system_give_its_rates_back():
    """All in one program: factors are numbers."""
    times = jnp.linspace(0.0, 12.0, 1500)

    @jax.jit
    @jax.vmap
    def recovered(alteration):
        solution = partial(theory.integrate, alteration)
        return theory.fit_rates(times, solution(times, START, RATES, GEOMETRY), GEOMETRY, solution)

    fits = recovered(jax.tree.map(lambda *factors: jnp.stack(factors), *ALTERED.values()))
    np.testing.assert_allclose(fits.rates.hidden, RATES.hidden, rtol=1e-5)
    np.testing.assert_allclose(fits.rates.output, RATES.output, rtol=1e-5)
    assert bool(jnp.all(fits.valid)) and max(float(jnp.max(r)) for r in jax.tree.leaves(fits.rms)) < 1e-6


def test_factors_of_one_are_the_true_system(getkey):
    here = states(getkey())
    found, exact = Alteration(1.0, 1.0, 1.0, 1.0)(*here), theory.vector_field(*here)
    np.testing.assert_allclose(leaves(found), leaves(exact), rtol=1e-13)
