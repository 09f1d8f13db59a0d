"""Networks: their scale, their invariances, and what the functional form computes, against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from dltheory import models
from dltheory.models.linear import product
from dltheory.numerics import Estimate

BY_HAND = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, 0.01 * z),
    "abs": np.abs,
    "tanh": np.tanh,
    "sin": np.sin,
    "erf": special.erf,
    "sigmoid": special.expit,
    "softplus": lambda z: np.logaddexp(z, 0),
    "gelu": lambda z: z * special.ndtr(z),
    "swish": lambda z: z * special.expit(z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "exp": np.exp,
}


@pytest.mark.parametrize("name", models.ACTIVATIONS)
def test_activations_by_name(name):
    z = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(models.activation(name)(jnp.asarray(z)), BY_HAND[name](z), rtol=1e-12, atol=1e-15)
    scaled, grown = models.activation(name)(jnp.asarray(3 * z)), 3 * BY_HAND[name](z)
    assert (name in models.HOMOGENEOUS) == bool(np.allclose(scaled, grown))
    left, right = (jax.grad(models.activation(name))(jnp.asarray(e)) for e in (-1e-12, 1e-12))
    assert (name in models.KINKED) == bool(abs(left - right) > 0.1)


def test_a_function_may_stand_for_a_name_and_a_wrong_name_says_so():
    assert models.activation(jnp.cos) is jnp.cos
    with pytest.raises(ValueError, match="activation=reluu: must be one of linear, relu"):
        models.activation("reluu")


@pytest.mark.parametrize("parametrisation", ["xavier", "critical", "ntk"])
@pytest.mark.parametrize("bias", [True, False])
def test_forward_pass_by_hand(getkey, parametrisation, bias):
    config = models.MLPConfig(width=7, hidden_layers=3, activation="tanh", bias=bias, parametrisation=parametrisation, c_w=1.7, c_b=0.3)
    model = config.build(getkey(), 4, 2, gain=1.3, dtype=jnp.float64)
    x = np.asarray(jax.random.normal(getkey(), (9, 4)))
    seen = model(jnp.asarray(x))
    z = x
    for layer, w in enumerate(model.weights):
        z = np.tanh(z) if layer else z
        if layer:
            np.testing.assert_allclose(seen.hidden[layer - 1], z, rtol=1e-12)
        w, b = np.asarray(w[...]), np.asarray(model.biases[layer][...]) if bias else 0
        factor = ((1.7 / w.shape[0]) ** 0.5, 0.3**0.5) if parametrisation == "ntk" else (1, 1)
        z = factor[0] * z @ w + factor[1] * b
    np.testing.assert_allclose(seen.output, z, rtol=1e-12)
    assert len(seen.hidden) == 3 and config.weight_layers == 4


@pytest.mark.parametrize(
    ("scales", "weight", "bias"),
    [
        (models.xavier(1.5), 1.5 * (2 / (300 + 200)) ** 0.5, 0.0),
        (models.critical(0.4, 1.9), (1.9 / 300) ** 0.5, 0.4**0.5),
        (models.ntk(0.4, 1.9), 1.0, 1.0),
    ],
)
def test_initial_scales(getkey, scales, weight, bias):
    weights, biases = models.initialise(getkey(), (300, 200), scales, jnp.float32)
    variance = Estimate.of(np.asarray(weights[0], float).ravel() ** 2)
    assert abs(variance.z(weight**2)) < 5 and variance.standard_error < 0.01 * weight**2
    variance = Estimate.of(np.asarray(biases[0], float) ** 2)
    assert abs(float(variance.mean) - bias**2) <= 5 * float(variance.standard_error)


@pytest.mark.parametrize("activation", sorted(models.HOMOGENEOUS))
def test_gain_scales_a_homogeneous_function_exactly(getkey, activation):
    config, key, x = models.MLPConfig(width=30, hidden_layers=5, activation=activation), getkey(), jnp.array([[-1.0], [0.5]])
    unit, scaled = (config.build(key, 1, 1, gain, jnp.float64)(x) for gain in (1.0, 1.7))
    np.testing.assert_allclose(scaled.output, 1.7**6 * unit.output, rtol=1e-12)
    np.testing.assert_allclose(scaled.hidden[2], 1.7**3 * unit.hidden[2], rtol=1e-12)


def test_units_of_a_hidden_layer_are_exchangeable(getkey):
    model = models.build("mlp", getkey(), 3, 2, width=6, hidden_layers=2, activation="erf")
    params, apply = models.functional(model)
    x, order = jax.random.normal(getkey(), (5, 3), jnp.float32), jnp.array([3, 1, 5, 0, 4, 2])
    before = apply(params, x)
    w0, w1, b0 = (a[...] for a in (model.weights[0], model.weights[1], model.biases[0]))
    model.weights[0][...], model.weights[1][...], model.biases[0][...] = w0[:, order], w1[order], b0[order]
    after = models.functional(model)[1](models.functional(model)[0], x)
    np.testing.assert_allclose(after.output, before.output, rtol=1e-5)
    np.testing.assert_allclose(after.hidden[0], before.hidden[0][:, order], rtol=1e-6)


def test_seeds_and_scales_are_vmapped(getkey):
    make = lambda key, gain: models.functional(models.build("mlp", key, 1, 1, gain, width=5, hidden_layers=2))
    x = jnp.ones((2, 1), jnp.float32)
    output = lambda key, gain: (lambda params, apply: apply(params, x).output)(*make(key, gain))
    keys, gains = jax.random.split(getkey(), 4), jnp.linspace(0.5, 2, 4)
    together = jax.vmap(output)(keys, gains)
    np.testing.assert_allclose(together[2], output(keys[2], gains[2]), rtol=1e-5)


@pytest.mark.parametrize("points", [1, 2, 4, 9])
def test_product_of_few_inputs_has_the_derivatives_of_a_product(getkey, points):
    x, w, dx, dw = (jax.random.normal(getkey(), s) for s in ((points, 5), (5, 3), (points, 5), (5, 3)))
    value, slope = jax.jvp(product, (x, w), (dx, dw))
    np.testing.assert_allclose(value, x @ w, rtol=1e-14)
    np.testing.assert_allclose(slope, dx @ w + x @ dw, rtol=1e-13)
    g = jax.random.normal(getkey(), (points, 3))
    back = jax.vjp(product, x, w)[1](g)
    np.testing.assert_allclose(back[0], g @ w.T, rtol=1e-13)
    np.testing.assert_allclose(back[1], x.T @ g, rtol=1e-13)


def test_a_wrong_model_says_so(getkey):
    with pytest.raises(ValueError, match="model=alexnet: must be one of mlp"):
        models.build("alexnet", getkey(), 1, 1)
