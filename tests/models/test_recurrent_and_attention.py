"""Models that use weights again in time, depth or between tokens: tied perceptron, recurrent network, single-head attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dltheory import models
from dltheory.models.zoo import Model
from dltheory.reusability.trace import count_contexts, trace

OUTPUTS = 3


def shaken(config, inputs, outputs=OUTPUTS, seed=0):
    """A network with every number drawn anew on the host, biases too."""
    model = nnx.eval_shape(lambda: config.build(jax.random.key(0), inputs, outputs, dtype=jnp.float64))
    random = np.random.default_rng(seed)
    nnx.update(model, jax.tree.map(lambda a: jnp.asarray(0.1 + 0.4 * random.normal(size=a.shape)), nnx.state(model)))
    return model


def host(part):
    return [np.asarray(a[...]) for a in part]


def size(model):
    return sum(a.size for a in jax.tree.leaves(models.functional(model)[0]))


def counted(model, inputs):
    params, apply = models.functional(model)
    return nnx.to_pure_dict(count_contexts(apply, params, jnp.zeros((1, inputs))))


def every(counts):
    values = {int(c) for c in np.asarray(counts).ravel()}
    assert len(values) == 1
    return values.pop()


def inputs_of(units, points=4):
    return np.random.default_rng(1).normal(size=(points, units))


# ------------------------------------------------------------------------------------------------------------- tied perceptron


@pytest.mark.parametrize("layers", [2, 5])
def test_a_tied_perceptron_is_one_with_equal_layers(layers):
    how = {"width": 6, "hidden_layers": layers, "activation": "tanh"}
    tied, plain = shaken(Model.options["tied_mlp"](**how), 3), shaken(models.MLPConfig(**how), 3, seed=4)
    for part in ("weights", "biases"):
        first, again, last = host(getattr(tied.mlp, part))
        for own, value in zip(getattr(plain, part), [first, *[again] * (layers - 1), last], strict=True):
            own[...] = jnp.asarray(value)
    x = jnp.asarray(inputs_of(3))
    jax.tree.map(np.testing.assert_array_equal, tied(x), plain(x))
    assert size(tied) == (3 + 1) * 6 + (6 + 1) * 6 + (6 + 1) * OUTPUTS


def test_a_tied_layer_counts_the_sum_of_its_uses():
    layers, w = 4, 6
    model = shaken(Model.options["tied_mlp"](width=w, hidden_layers=layers, activation="tanh"), 5)
    counts = counted(model, 5)["mlp"]["weights"]
    assert [every(counts[i]) for i in range(3)] == [OUTPUTS * w ** (layers - 1), OUTPUTS * sum(w**k for k in range(layers - 1)), 1]
    params, apply = models.functional(model)
    assert trace(apply, params, jnp.zeros((1, 5))).weight_nodes == 6 * w + (layers - 1) * (w + 1) * w + (w + 1) * OUTPUTS


# ---------------------------------------------------------------------------------------------------------------------- recurrent


def test_a_recurrent_network_by_hand():
    steps, width, units = 5, 4, 15
    config = Model.options["rnn"](width=width, hidden_layers=steps)
    model, x = shaken(config, units), inputs_of(units)
    (w,), (b,) = host(model.read.weights), host(model.read.biases)
    (recur,), (v,), (c,) = host(model.recur.weights), host(model.answer.weights), host(model.answer.biases)
    h, seen = np.zeros((4, width)), model(jnp.asarray(x))
    for t in range(steps):
        h = np.tanh(x[:, 3 * t : 3 * t + 3] @ w + b + h @ recur)
        np.testing.assert_allclose(seen.hidden[t], h, rtol=1e-12)
    np.testing.assert_allclose(seen.output, h @ v + c, rtol=1e-12)
    assert size(model) == 3 * width + width + width**2 + (width + 1) * OUTPUTS and len(seen.hidden) == steps


@pytest.mark.parametrize(("h", "steps"), [(2, 4), (3, 5)])
def test_contexts_of_a_recurrent_network(h, steps):
    model = shaken(Model.options["rnn"](width=h, hidden_layers=steps), 2 * steps)
    counts, b = counted(model, 2 * steps), OUTPUTS
    assert every(counts["read"]["weights"][0]) == every(counts["read"]["biases"][0]) == b * (h**steps - 1) // (h - 1)
    assert every(counts["recur"]["weights"][0]) == b * (h ** (steps - 1) - 1) // (h - 1)
    assert every(counts["answer"]["weights"][0]) == 1
    params, apply = models.functional(model)
    uses = steps * (2 * h + h) + (steps - 1) * h * h + (h + 1) * OUTPUTS
    assert trace(apply, params, jnp.zeros((1, 2 * steps))).weight_nodes == uses


# ---------------------------------------------------------------------------------------------------------------------- attention


def test_attention_by_hand():
    tokens, d, units, head = 3, 4, 6, 5
    config = Model.options["attention"](width=d, tokens=tokens, hidden_layers=3, head=head, activation="tanh")
    model, x = shaken(config, units), inputs_of(units)
    (embed,), position = host(model.embed.weights), np.asarray(model.position[...])
    seen = model(jnp.asarray(x))
    for point, row in enumerate(x):
        u = row.reshape(tokens, -1) @ embed + position
        for k, layer in enumerate(model.layers):
            q, key, v, o = host([layer.query, layer.key, layer.value, layer.out])
            mixed = np.zeros_like(u)
            for t in range(tokens):
                weight = np.exp([(u[t] @ q) @ (u[s] @ key) / d**0.5 for s in range(tokens)])
                mixed[t] = sum(a * (u[s] @ v) for s, a in enumerate(weight / weight.sum())) @ o
            u = np.tanh(u + mixed)
            np.testing.assert_allclose(seen.hidden[k][point], u.ravel(), rtol=1e-10)
        (w, a), (b, c) = host(model.head.weights), host(model.head.biases)
        np.testing.assert_allclose(seen.output[point], np.tanh(u.mean(axis=0) @ w + b) @ a + c, rtol=1e-10)
    assert size(model) == 2 * d + tokens * d + 2 * 4 * d * d + (d + 1) * head + (head + 1) * OUTPUTS
    assert len(seen.hidden) == 3 == config.weight_layers - 1


@pytest.mark.parametrize(("n", "d"), [(3, 2), (5, 4)])
def test_contexts_of_attention(n, d):
    """With map b on its output W_o has n b contexts, W_v n² d b, W_q and W_k n² d² b: 3, 18, 36 for n = 3, d = 2, b = 1."""
    head = 7
    config = Model.options["attention"](width=d, tokens=n, hidden_layers=2, head=head)
    counts, b = counted(shaken(config, 2 * n), 2 * n), head * OUTPUTS
    layer = counts["layers"][0]
    assert every(layer["out"]) == n * b
    assert every(layer["query"]) == every(layer["key"]) == n * n * d * d * b
    assert every(layer["value"]) == n * n * d * b


@pytest.mark.parametrize(("name", "units"), [("rnn", 15), ("attention", 21)])
def test_parts_must_be_equal(name, units):
    with pytest.raises(ValueError, match=f"^inputs={units}: must be a multiple of 8, the parts that the model reads$"):
        Model.options[name]().build(jax.random.key(0), units, 10)


@pytest.mark.parametrize("name", ["tied_mlp", "rnn", "attention"])
def test_patches_put_another_points_representation(name):
    model, x = shaken(Model.options[name](activation="tanh"), 16), jnp.asarray(inputs_of(16))
    other = jnp.asarray(np.random.default_rng(8).normal(size=x.shape))
    theirs = model(other)
    last = len(theirs.hidden) - 1
    np.testing.assert_allclose(model(x, patch=lambda k, h: theirs.hidden[k] if k == last else h).output, theirs.output, rtol=1e-12)
    jax.tree.map(np.testing.assert_array_equal, model(x, patch=lambda k, h: h), model(x))
