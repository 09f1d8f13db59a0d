"""What the theory leaves out, against networks whose second-order terms and derivatives are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory import models
from dltheory import representation as theory
from dltheory.models import Activations, unpatched

X = jnp.array([[0.4], [1.1]])


def network(steps, head):
    """A network whose hidden layers apply `steps` one after the other; its one parameter scales them all."""

    def apply(params, x, patch=unpatched):
        hidden = []
        for layer, step in enumerate(steps):
            x = patch(layer, step(params * x))
            hidden.append(x)
        return Activations(tuple(hidden), head(x))

    return apply


def ratio(f, ends):
    """|f(a) + f(b) - 2 f((a + b)/2)| / |f(b) - f(a)|, by hand."""
    a, b = (np.asarray(e) for e in ends)
    return np.linalg.norm(f(a) + f(b) - 2 * f((a + b) / 2)) / np.linalg.norm(f(b) - f(a))


@pytest.mark.parametrize("name", ["mlp", "skip", "conv1d", "feedback", "dropout"])
def test_linear_networks_leave_nothing_out_of_second_order(getkey, name):
    sizes = {"width": 12, "kernel": 3, "channels": 2} if name == "conv1d" else {"width": 5}
    model = models.Model.options[name](hidden_layers=3, activation="linear", **sizes).build(getkey(), 3, 2, dtype=jnp.float64)
    found = theory.validity(*models.functional(model)[::-1], jax.random.normal(getkey(), (2, 3)))
    assert found.encoder.shape == found.decoder.shape == found.across.shape == (3,)
    np.testing.assert_allclose(found.encoder, 0, atol=1e-13)
    np.testing.assert_allclose(found.decoder, 0, atol=1e-13)


def test_a_skip_past_a_layer_sees_the_mean_input(getkey):
    """h₀ = φ(x W₀), h₁ = φ(h₀ W₁), h₂ = φ(h₁ W₂) + h₀: from h₁ on, h₀ is that of x̄, by hand."""
    model = models.SkipConfig(width=5, hidden_layers=3, activation="tanh").build(getkey(), 3, 2, 2.0, jnp.float64)
    x = np.asarray(jax.random.normal(getkey(), (2, 3)))
    w = [np.asarray(a[...]) for a in model.mlp.weights]
    h0 = lambda x: np.tanh(x @ w[0])
    h1 = lambda x: np.tanh(h0(x) @ w[1])
    output = lambda h1, h0: (np.tanh(h1 @ w[2]) + h0) @ w[3]
    ends = [output(h1(a), h0(a)) for a in x]
    middle = output((h1(x[0]) + h1(x[1])) / 2, h0(x.mean(axis=0)))
    found = theory.validity(*models.functional(model)[::-1], x)
    exact = np.linalg.norm(ends[0] + ends[1] - 2 * middle) / np.linalg.norm(ends[1] - ends[0])
    np.testing.assert_allclose(found.decoder[1], exact, rtol=1e-11)


def test_across_of_a_linear_decoder_in_closed_form(getkey):
    """D_y is the product of the weights that follow: 1 - |D_y dh|² / (|D_y|² |dh|²)."""
    model = models.MLPConfig(width=5, hidden_layers=3, activation="linear").build(getkey(), 3, 2, dtype=jnp.float64)
    x = np.asarray(jax.random.normal(getkey(), (2, 3)))
    found = theory.validity(*models.functional(model)[::-1], x)
    weights = [np.asarray(w[...]) for w in model.weights]
    dh = x[1] - x[0]
    for layer in range(3):
        dh = dh @ weights[layer]
        D = np.linalg.multi_dot([*weights[layer + 1 :], np.eye(2)])
        np.testing.assert_allclose(found.across[layer], 1 - np.sum((dh @ D) ** 2) / (np.sum(D**2) * np.sum(dh**2)), rtol=1e-11)
    assert np.all((found.across > 0.01) & (found.across < 1))


@pytest.mark.parametrize(("units", "outputs"), [(1, 1), (1, 3), (6, 1), (6, 2)])
def test_across_between_none_and_all(getkey, units, outputs):
    """A decoder along dh leaves nothing across, an isotropic one all but 1/units of it, an orthogonal one all of it."""
    gap = np.asarray(jax.random.normal(getkey(), (units,)))
    step = lambda x: x * gap[None]
    across = lambda D: float(theory.validity(network([step], lambda h: h @ D), jnp.asarray(1.0), X).across[0])
    np.testing.assert_allclose(across(np.outer(gap, np.ones(outputs))), 0, atol=1e-12)
    np.testing.assert_allclose(across(np.eye(units)), 1 - 1 / units, atol=1e-12)
    if units > 1:
        other = np.asarray(jax.random.normal(getkey(), (units, outputs)))
        other = other - np.outer(gap, gap @ other) / (gap @ gap)
        np.testing.assert_allclose(across(other), 1, rtol=1e-12)


def test_quadratic_network_in_closed_form():
    """h = x², y = h³: |b - a|/2|b + a| for the encoder, and ¾ (a + b)(b - a)² / |b³ - a³| of a = h₁, b = h₂ for the decoder."""
    found = theory.validity(network([lambda x: x**2], lambda h: h**3), jnp.asarray(1.0), X)
    np.testing.assert_allclose(found.encoder, [(1.1 - 0.4) / (2 * (1.1 + 0.4))], rtol=1e-12)
    a, b = 0.4**2, 1.1**2
    np.testing.assert_allclose(found.decoder, [0.75 * (a + b) * (b - a) ** 2 / (b**3 - a**3)], rtol=1e-12)
    np.testing.assert_allclose(found.across, [0], atol=1e-14)


def test_each_layer_has_its_own_encoder_and_decoder():
    """Three layers, two units: encoders are the maps up to a layer, decoders the maps from it on, at the mean representation."""
    c, mix, out = 0.7, np.array([[1.0, -0.5], [0.3, 0.8]]), np.array([[1.0, 0.2], [-0.4, 0.6]])
    steps = [lambda x: jnp.concatenate([x**2, jnp.sin(x)], axis=1), lambda h: (h @ mix) ** 2, jnp.tanh]
    hands = [lambda x: np.stack([x[0] ** 2, np.sin(x[0])]), lambda h: (h @ mix) ** 2, np.tanh]
    found = theory.validity(network(steps, lambda h: jnp.exp(h @ out)), jnp.asarray(c), X)

    def along(start, first, last):
        for step in hands[first:last]:
            start = step(c * start)
        return np.exp(start @ out) if last > 3 else start

    for layer in range(3):
        ends = [along(np.asarray(x), 0, layer + 1) for x in X]
        np.testing.assert_allclose(found.encoder[layer], ratio(lambda x, n=layer: along(x, 0, n + 1), X), rtol=1e-11)
        decode = lambda h, n=layer: along(h, n + 1, 4)
        np.testing.assert_allclose(found.decoder[layer], ratio(decode, ends), rtol=1e-11)
        middle, dh, e = np.mean(ends, axis=0), ends[1] - ends[0], 1e-6
        D = np.stack([(decode(middle + e * u) - decode(middle - e * u)) / (2 * e) for u in np.eye(2)])
        exact = 1 - np.sum((dh @ D) ** 2) / (np.sum(D**2) * np.sum(dh**2))
        np.testing.assert_allclose(found.across[layer], exact, rtol=1e-6)
    assert np.all(np.asarray(found.encoder) > 0.01) and np.all(np.asarray(found.decoder) > 0.01)


def test_the_order_of_the_points_does_not_matter(getkey):
    params, apply = models.functional(models.MLPConfig(width=6, hidden_layers=3, activation="tanh").build(getkey(), 3, 2, 2.0, jnp.float64))
    x = jax.random.normal(getkey(), (2, 3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), *(theory.validity(apply, params, p) for p in (x, x[::-1])))


def test_second_order_terms_vanish_with_the_distance(getkey):
    """In a smooth network both ratios are of first order in the distance of the inputs."""
    params, apply = models.functional(models.MLPConfig(width=6, hidden_layers=2, activation="tanh").build(getkey(), 3, 2, 2.0, jnp.float64))
    middle, step = jax.random.normal(getkey(), (1, 3)), jax.random.normal(getkey(), (1, 3))
    near, nearer = (theory.validity(apply, params, middle + e * jnp.concatenate([-step, step])) for e in (2e-3, 1e-3))
    np.testing.assert_allclose(near.encoder / nearer.encoder, 2, rtol=1e-4)
    np.testing.assert_allclose(near.decoder[0] / nearer.decoder[0], 2, rtol=1e-4)
    np.testing.assert_allclose(nearer.decoder[1], 0, atol=1e-11, err_msg="the last decoder is linear")


def test_nothing_over_nothing_is_nothing():
    """Points that coincide, and a dead layer with a dead decoder."""
    same = theory.validity(network([lambda x: x**2], lambda h: h**3), jnp.asarray(1.0), jnp.ones((2, 1)))
    np.testing.assert_array_equal([same.encoder[0], same.decoder[0]], 0)
    dead = theory.validity(network([jnp.zeros_like], lambda h: h), jnp.asarray(1.0), X)
    np.testing.assert_array_equal([dead.encoder[0], dead.decoder[0]], 0)


def test_a_first_order_term_that_vanishes_alone_is_infinitely_wrong(getkey):
    """|x| at -1 and 1: the representations are equal, that of the middle is another."""
    params, apply = models.functional(models.MLPConfig(width=5, hidden_layers=1, activation="abs").build(getkey(), 1, 1, 1.0, jnp.float64))
    found = theory.validity(apply, params, jnp.array([[-1.0], [1.0]]))
    assert np.isposinf(found.encoder[0]) and float(found.decoder[0]) == 0 and float(found.across[0]) == 1
