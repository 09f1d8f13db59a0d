"""Architectures of the zoo: their sizes in closed form, their forward passes by loops in NumPy, and what is peculiar to each."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import special

from dltheory import models
from dltheory.models.dropout import DropoutMLP
from dltheory.models.feedback import FeedbackMLP
from dltheory.models.skip import Skip
from dltheory.numerics import Estimate

INPUTS, OUTPUTS, WIDTH, LAYERS = 3, 2, 6, 4
DENSE = {"width": WIDTH, "hidden_layers": LAYERS, "activation": "tanh"}
SIZES = {
    **{name: DENSE for name in ("mlp", "skip", "dropout", "layer_norm", "feedback", "tied_mlp")},
    "conv1d": {"width": 20, "hidden_layers": 4, "channels": 3, "kernel": 4, "activation": "tanh"},
    "transformer": {"width": 4, "tokens": 3, "heads": 2, "hidden_layers": 3, "activation": "gelu"},
}
IMAGES = {"cnn", "lenet5", "rnn", "attention", "resnet", "efficientnet"}
"""Those that read squares or equal parts are looked at in test_cnn.py and test_recurrent_and_attention.py."""
ALL = pytest.mark.parametrize("name", SIZES)


def config(name, **fields):
    return models.Model.options[name](**SIZES[name] | fields)


def network(name, key, **fields):
    return config(name, **fields).build(key, INPUTS, OUTPUTS, 1.3, jnp.float64)


LARGE = {"conv1d": {"width": 60, "channels": 20}, "transformer": {"width": 40, "tokens": 5}}


def large(name, key):
    """A network in single precision with weights enough for statistics."""
    return config(name, **LARGE.get(name, {"width": 100})).build(key, 40, 50, 1.7)


def shaken(key, which, inputs=INPUTS, outputs=OUTPUTS):
    """A network with every number drawn anew on the host, biases, gains and feedback weights too."""
    which = config(which) if isinstance(which, str) else which
    model = nnx.eval_shape(lambda: which.build(jax.random.key(0), inputs, outputs, dtype=jnp.float64))
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    nnx.update(model, jax.tree.map(lambda a: jnp.asarray(0.2 + 0.6 * random.normal(size=a.shape)), nnx.state(model)))
    return model


def inputs(key, points=5, units=INPUTS):
    return jax.random.normal(key, (points, units))


def affine(mlp, layer, x):
    return x @ np.asarray(mlp.weights[layer][...]) + np.asarray(mlp.biases[layer][...])


def through(linear, x):
    return x @ np.asarray(linear.kernel[...]) + np.asarray(linear.bias[...])


def normalised(norm, z):
    out = np.zeros_like(z)
    for place in np.ndindex(z.shape[:-1]):
        deviation = (z[place] - z[place].mean()) / np.sqrt(z[place].var() + 1e-6)
        out[place] = np.asarray(norm.scale[...]) * deviation + np.asarray(norm.shift[...])
    return out


def assert_matches(seen, hidden, output):
    for layer, (found, expected) in enumerate(zip(seen.hidden, hidden, strict=True)):
        np.testing.assert_allclose(found, expected.reshape(len(found), -1), rtol=1e-11, atol=1e-13, err_msg=f"hidden {layer}")
    np.testing.assert_allclose(seen.output, output, rtol=1e-11, atol=1e-13)


def test_every_option_is_looked_at():
    assert set(SIZES) | IMAGES == set(models.Model.options)


# ---------------------------------------------------------------------------------------------------------------- all architectures


def dense(width, layers, inputs, outputs):
    return (inputs + 1) * width + (layers - 1) * (width + 1) * width + (width + 1) * outputs


def convolutional(width, convolutions, c, k, inputs, outputs):
    last = width - convolutions * (k - 1)
    return (inputs + 1) * width + (k + 1) * c + (convolutions - 2) * (k * c + 1) * c + (k * c + 1) + (last + 1) * outputs


def transforming(w, tokens, blocks, inputs, outputs):
    block = 2 * 2 * w + (w + 1) * 3 * w + (w + 1) * w + (w + 1) * 4 * w + (4 * w + 1) * w
    return (inputs + 1) * tokens * w + blocks * block + 2 * w + (tokens * w + 1) * outputs


COUNTS = {
    **{name: dense(WIDTH, LAYERS, INPUTS, OUTPUTS) for name in ("mlp", "skip", "dropout", "feedback")},
    "layer_norm": dense(WIDTH, LAYERS, INPUTS, OUTPUTS) + 2 * WIDTH * LAYERS,
    "tied_mlp": dense(WIDTH, 2, INPUTS, OUTPUTS),
    "conv1d": convolutional(20, 3, 3, 4, INPUTS, OUTPUTS),
    "transformer": transforming(4, 3, 3, INPUTS, OUTPUTS),
}


def shapes(config, inputs, outputs, points=2):
    """Shapes of the parameters, of the hidden layers and of the output, without computing anything."""

    def sizes(key):
        params, apply = models.functional(config.build(key, inputs, outputs))
        return params, apply(params, jnp.zeros((points, inputs), jnp.float32))

    params, seen = jax.eval_shape(sizes, jax.random.key(0))
    return [a.shape for a in jax.tree.leaves(params)], [h.shape for h in seen.hidden], seen.output.shape


@ALL
def test_parameter_counts(name):
    params, hidden, output = shapes(config(name), INPUTS, OUTPUTS)
    assert sum(np.prod(s, dtype=int) for s in params) == COUNTS[name]
    assert len(hidden) == SIZES[name]["hidden_layers"] and {n for n, _ in hidden} == {2} and output == (2, OUTPUTS)


@pytest.mark.parametrize("name", ["mlp", "skip", "dropout", "layer_norm", "feedback"])
def test_dense_networks_at_the_size_of_the_paper(name):
    params, hidden, output = shapes(models.Model.options[name](width=500, hidden_layers=20), 1, 1)
    weights = [s for s in params if len(s) == 2]
    assert sorted(weights) == sorted([(1, 500), *[(500, 500)] * 19, (500, 1)])
    norms = 2 * 500 * 20 if name == "layer_norm" else 0
    assert sum(np.prod(s, dtype=int) for s in params) == 4_761_001 + norms
    assert hidden == [(2, 500)] * 20 and output == (2, 1)


def test_convolutional_network_of_the_paper():
    params, hidden, output = shapes(models.Conv1dConfig(width=500, hidden_layers=12, channels=20, kernel=11), 1, 1)
    assert sorted(s for s in params if len(s) == 3) == sorted([(11, 1, 20), *[(11, 20, 20)] * 9, (11, 20, 1)])
    assert sorted(s for s in params if len(s) == 2) == [(1, 500), (390, 1)]
    assert sum(np.prod(s, dtype=int) for s in params) == 2 * 500 + 12 * 20 + 9 * (11 * 20 + 1) * 20 + (11 * 20 + 1) + 391
    assert hidden == [(2, 500), *[(2, 20 * positions) for positions in range(490, 399, -10)], (2, 390)] and output == (2, 1)


@ALL
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_is_that_asked_for(name, dtype):
    def network(key):
        params, apply = models.functional(config(name).build(key, INPUTS, OUTPUTS, 1.3, dtype))
        return params, apply(params, jnp.zeros((2, INPUTS), dtype))

    assert {a.dtype for a in jax.tree.leaves(jax.eval_shape(network, jax.random.key(0)))} == {jnp.dtype(dtype)}


@ALL
def test_seeds_and_gains_may_be_traced(name):
    def output(key, gain):
        params, apply = models.functional(config(name).build(key, INPUTS, OUTPUTS, gain, jnp.float64))
        return params, apply(params, jnp.zeros((5, INPUTS)))

    params, seen = jax.eval_shape(jax.vmap(output), jax.random.split(jax.random.key(0), 3), jnp.ones(3))
    assert sum(a.size for a in jax.tree.leaves(params)) == 3 * COUNTS[name]
    assert {h.shape[:2] for h in seen.hidden} == {(3, 5)} and seen.output.shape == (3, 5, OUTPUTS)


@ALL
def test_points_do_not_see_each_other(getkey, name):
    model, x = shaken(getkey(), name), inputs(getkey())
    together, apart = model(x), model(inputs(getkey()).at[3].set(x[3]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[3], b[3], rtol=1e-10, atol=1e-12), together, apart)
    assert np.ptp(together.output, axis=0).min() > 1e-3, "they differ"


@ALL
def test_every_parameter_is_used(getkey, name):
    params, apply = models.functional(shaken(getkey(), name))
    slope = jax.jit(jax.grad(lambda p, x: jnp.sum(jnp.sin(apply(p, x).output))))(params, inputs(getkey()))
    assert min(float(np.max(np.abs(g))) for g in jax.tree.leaves(slope)) > 1e-8


def fans(shape):
    return np.prod(shape[:-1]), shape[-1] * np.prod(shape[:-2], dtype=int)


@ALL
def test_weights_are_of_xaviers_size(getkey, name):
    """Variance 2g²/(n_in + n_out) of every matrix and kernel; a layer-normalised network has its gain in the norms and the readout."""
    model = large(name, getkey())
    leaves = [a for a in jax.tree.leaves(nnx.state(model, nnx.Param)) if a.ndim > 1]
    assert len(leaves) == {"transformer": 4 * 3 + 2, "tied_mlp": 3}.get(name, config(name).weight_layers)
    for w in leaves:
        gain = 1.7 if name != "layer_norm" or w.shape[-1] == 50 else 1.0
        exact = 2 * gain**2 / sum(fans(w.shape))
        variance = Estimate.of(np.asarray(w, float).ravel() ** 2)
        assert abs(variance.z(exact)) < 5 and variance.standard_error < 0.15 * exact
    if name == "layer_norm":
        for norm in model.norms:
            np.testing.assert_array_equal(norm.scale[...], np.float32(1.7))
            np.testing.assert_array_equal(norm.shift[...], 0)


@ALL
def test_the_same_key_makes_the_same_network_and_layers_differ(getkey, name):
    key = getkey()
    first, again, other = (jax.tree.leaves(nnx.state(large(name, k), nnx.Param)) for k in (key, key, getkey()))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.array_equal(a, c)
    drawn = [np.asarray(a).ravel() for a in first if a.ndim > 1]
    for a, b in itertools.combinations(drawn, 2):
        n = min(len(a), len(b), 6)
        assert not np.allclose(a[:n] / np.linalg.norm(a[:n]), b[:n] / np.linalg.norm(b[:n]), rtol=1e-3)


# -------------------------------------------------------------------------------------------------------------------- patches


def other_point(model, x, layers):
    """The patch that puts the representations of x in place of those of `layers`."""
    theirs = model(x).hidden
    return lambda k, h: theirs[k] if k in layers else h


@ALL
def test_a_layer_replaced_by_itself_changes_nothing(getkey, name):
    model, x = shaken(getkey(), name), inputs(getkey())
    plain = model(x)
    for k in range(SIZES[name]["hidden_layers"]):
        jax.tree.map(np.testing.assert_array_equal, model(x, patch=other_point(model, x, {k})), plain)


@pytest.mark.parametrize("name", sorted(set(SIZES) - {"skip"}))
def test_another_points_representation_gives_its_output(getkey, name):
    model, x, other = shaken(getkey(), name), inputs(getkey()), inputs(getkey())
    plain, theirs, layers = model(x), model(other), SIZES[name]["hidden_layers"]
    for k in range(layers):
        seen = model(x, patch=other_point(model, other, {k}))
        np.testing.assert_allclose(seen.output, theirs.output, rtol=1e-12)
        for layer in range(layers):
            np.testing.assert_allclose(seen.hidden[layer], (plain if layer < k else theirs).hidden[layer], rtol=1e-10, atol=1e-13)
    assert float(np.max(np.abs(plain.output - theirs.output))) > 1e-2


def test_two_layers_of_a_skipping_network_are_its_state(getkey):
    model, x, other = shaken(getkey(), "skip"), inputs(getkey()), inputs(getkey())
    theirs = model(other).output
    for k in range(LAYERS - 1):
        np.testing.assert_allclose(model(x, patch=other_point(model, other, {k, k + 1})).output, theirs, rtol=1e-12)
    np.testing.assert_allclose(model(x, patch=other_point(model, other, {LAYERS - 1})).output, theirs, rtol=1e-12)
    for k in range(1, LAYERS - 1):
        assert not np.allclose(model(x, patch=other_point(model, other, {k})).output, theirs, rtol=1e-6), "one alone is not"


# ----------------------------------------------------------------------------------------------------------------------- skip


def test_skipping_network_by_hand(getkey):
    model, x = shaken(getkey(), config("skip", hidden_layers=6)), inputs(getkey())
    h = [np.tanh(affine(model.mlp, 0, np.asarray(x)))]
    h.append(np.tanh(affine(model.mlp, 1, h[0])))
    for n in range(2, 6):
        h.append(np.tanh(affine(model.mlp, n, h[n - 1])) + h[n - 2])
    assert_matches(model(x), h, affine(model.mlp, 6, h[-1]))


def test_skips_carry_the_first_two_layers_on_when_all_later_weights_vanish(getkey):
    mlp = network("mlp", getkey(), hidden_layers=5)
    for w in mlp.weights[2:5]:
        w[...] = jnp.zeros_like(w[...])
    hidden = Skip(mlp)(inputs(getkey())).hidden
    for n in range(5):
        np.testing.assert_array_equal(hidden[n], hidden[n % 2])
    assert not np.allclose(hidden[0], hidden[1])


def test_two_hidden_layers_have_nothing_to_skip(getkey):
    mlp, x = network("mlp", getkey(), hidden_layers=2), inputs(getkey())
    jax.tree.map(np.testing.assert_array_equal, Skip(mlp)(x), mlp(x))


# ---------------------------------------------------------------------------------------------------------------- convolutions


def convolved(line, w, b):
    """By explicit loops: z[n, p, c] = b[c] + Σ_{i,a} w[i, a, c] line[n, p + i, a]."""
    n, positions, _ = line.shape
    k, channels, out = w.shape
    z = np.zeros((n, positions - k + 1, out))
    for point, p, c in np.ndindex(z.shape):
        z[point, p, c] = b[c] + sum(w[i, a, c] * line[point, p + i, a] for i in range(k) for a in range(channels))
    return z


@pytest.mark.parametrize(("width", "units"), [(20, INPUTS), (0, 14)])
def test_convolutional_network_by_hand(getkey, width, units):
    fields = {"width": width, "hidden_layers": 3 + (width > 0), "channels": 3, "kernel": 4, "activation": "tanh"}
    model, x = shaken(getkey(), models.Conv1dConfig(**fields), units), inputs(getkey(), 3, units)
    line, hidden = np.asarray(x), []
    if width:
        line = np.tanh(affine(model.lift, 0, line))
        hidden.append(line)
    line = line[:, :, None]
    for w, b in zip(model.kernels, model.biases, strict=True):
        line = np.tanh(convolved(line, np.asarray(w[...]), np.asarray(b[...])))
        hidden.append(line)
    assert [h.shape[1:] for h in hidden[-3:]] == [((width or units) - 3, 3), ((width or units) - 6, 3), ((width or units) - 9, 1)]
    assert_matches(model(x), hidden, affine(model.head, 0, line[:, :, 0]))


def on_a_line(getkey, k, convolutions, positions):
    fields = {"width": 0, "hidden_layers": convolutions, "channels": 3, "kernel": k, "activation": "tanh"}
    return shaken(getkey(), models.Conv1dConfig(**fields), positions)


def by_position(seen, positions, k):
    lines = [h.reshape(len(h), positions - (layer + 1) * (k - 1), -1) for layer, h in enumerate(seen.hidden)]
    assert [line.shape[2] for line in lines] == [*[3] * (len(lines) - 1), 1]
    return [np.asarray(line) for line in lines]


@pytest.mark.parametrize(("k", "convolutions", "positions"), [(3, 4, 15), (4, 3, 12), (1, 2, 5)])
def test_receptive_field(getkey, k, convolutions, positions):
    model = on_a_line(getkey, k, convolutions, positions)
    x = 0.3 * jax.random.normal(getkey(), (positions,))
    seen = jax.jit(model)(x[None] + 0.1 * np.eye(positions + 1, positions, -1))
    lines = by_position(seen, positions, k)
    for layer, line in enumerate(lines):
        moved = np.max(np.abs(line[1:] - line[0]), axis=2) > 1e-12
        sees = (layer + 1) * (k - 1) + 1
        expected = [[q <= j < q + sees for q in range(line.shape[1])] for j in range(positions)]
        np.testing.assert_array_equal(moved, expected)
        np.testing.assert_array_equal(moved.sum(axis=0), sees)
    assert sees == convolutions * (k - 1) + 1


@pytest.mark.parametrize("shift", [1, 3])
def test_convolutions_commute_with_translations(getkey, shift):
    model, x = on_a_line(getkey, 3, 4, 16), inputs(getkey(), 2, 16)
    here, there = (by_position(jax.jit(model)(a), 16, 3) for a in (x, jnp.roll(x, shift, axis=1)))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b[:, shift:], a[:, :-shift], rtol=1e-11, atol=1e-13)
        assert not np.allclose(b[:, shift:], a[:, shift:])


def test_a_line_too_short_says_so(getkey):
    with pytest.raises(ValueError, match=r"^model.width=20: must be ≥ 51 for 5 convolutions of kernel=11$"):
        models.Conv1dConfig(width=20, hidden_layers=6, kernel=11)
    with pytest.raises(ValueError, match=r"^model.width=50: must be ≥ 51"):
        models.Conv1dConfig(width=50, hidden_layers=6, kernel=11)
    assert shapes(models.Conv1dConfig(width=51, hidden_layers=6, kernel=11), 1, 1)[1][-1] == (2, 1)
    alone = models.Conv1dConfig(width=0, hidden_layers=5, channels=2, kernel=11)
    with pytest.raises(ValueError, match=r"^kernel=11: 5 convolutions leave none of 50 positions"):
        alone.build(getkey(), 50, 1)
    assert shapes(alone, 51, 1)[1][-1] == (2, 1)


# --------------------------------------------------------------------------------------------------------------------- dropout


def test_without_a_key_dropout_is_the_perceptron(getkey):
    key, x = getkey(), inputs(getkey())
    model = network("dropout", key, probability=0.4)
    for plain in (model.mlp, network("mlp", key)):
        jax.tree.map(np.testing.assert_array_equal, model(x), plain(x))
    noisy = model(x, key=getkey())
    assert all(not np.allclose(a, b) for a, b in zip(jax.tree.leaves(noisy), jax.tree.leaves(model(x)), strict=True))
    nothing = DropoutMLP(model.mlp, 0.0)(x, key=getkey())
    jax.tree.map(np.testing.assert_array_equal, nothing, model(x))


def test_dropout_leaves_the_mean_of_a_linear_network_alone(getkey):
    model, x = shaken(getkey(), config("dropout", activation="linear", hidden_layers=2, probability=0.2)), inputs(getkey(), 2)
    draws = jax.jit(jax.vmap(lambda key: model(x, key=key)))(jax.random.split(getkey(), 40_000))
    for noisy, exact in zip(jax.tree.leaves(draws), jax.tree.leaves(model(x)), strict=True):
        mean = Estimate.of(noisy)
        assert np.max(np.abs(mean.z(exact))) < 5
        assert np.max(mean.standard_error) < 0.02 * np.max(np.abs(exact))


def test_dropout_comes_before_every_linear_layer_and_after_what_is_recorded(getkey):
    """Identity weights, biases of one: hidden_l - 1 is what is left of hidden_{l-1}, zeros and the rest over 1 - p."""
    p, n, width = 0.3, 200, 50
    mlp = models.MLPConfig(width=width, hidden_layers=3, activation="linear").build(getkey(), width, width, dtype=jnp.float64)
    for w, b in zip(mlp.weights, mlp.biases, strict=True):
        w[...], b[...] = jnp.eye(width), jnp.ones(width)
    x = jax.random.uniform(getkey(), (n, width), minval=1.0, maxval=2.0)
    seen = DropoutMLP(mlp, p)(x, key=getkey())
    before, after = [x, *seen.hidden], [*seen.hidden, seen.output]
    kept = [(np.asarray(b) - 1) / np.asarray(a) for a, b in zip(before, after, strict=True)]
    masks = []
    for ratio in kept:
        masks.append(ratio < 0.5)
        np.testing.assert_allclose(ratio, np.where(masks[-1], 0, 1 / (1 - p)), rtol=1e-12, atol=1e-12)
        zeroed = Estimate.of(masks[-1].ravel())
        assert abs(zeroed.z(p)) < 5 and zeroed.standard_error < 0.005
        assert len(np.unique(masks[-1], axis=0)) == n, "each point has its own"
    for a, b in itertools.combinations(masks, 2):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / (n * width) ** 0.5, "each layer has its own"


def test_index_five_of_the_authors_is_hidden_layer_two(getkey):
    """Their network is the list dropout, layer, dropout, layer, …, and they record the output of each entry."""
    model, x = shaken(getkey(), "dropout"), inputs(getkey())
    z, recorded = np.asarray(x), []
    for layer in range(LAYERS):
        recorded.append(z)  # dropout, which does nothing when the network is looked at
        z = np.tanh(affine(model.mlp, layer, z))
        recorded.append(z)
    seen = model(x)
    np.testing.assert_allclose(seen.hidden[2], recorded[5], rtol=1e-12)
    for k in range(LAYERS):
        np.testing.assert_allclose(seen.hidden[k], recorded[2 * k + 1], rtol=1e-12)


def test_patches_of_a_noisy_network_come_before_its_noise(getkey):
    model, x, key = network("dropout", getkey(), activation="linear", probability=0.4), inputs(getkey()), getkey()
    plain, patched = model(x, key=key), model(x, key=key, patch=lambda k, h: 3 * h if k == 1 else h)
    for k, factor in enumerate((1, 3, 3, 3)):
        np.testing.assert_allclose(patched.hidden[k], factor * plain.hidden[k], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(patched.output, 3 * plain.output, rtol=1e-12, atol=1e-13)


def test_only_dropout_is_stochastic():
    assert [name for name, kind in models.Model.options.items() if kind().stochastic] == ["dropout"]


# ------------------------------------------------------------------------------------------------------------------ layer norm


def test_layer_normalised_network_by_hand(getkey):
    model, x = shaken(getkey(), "layer_norm"), inputs(getkey())
    z, hidden = np.asarray(x), []
    for layer, norm in enumerate(model.norms):
        z = np.tanh(normalised(norm, affine(model.mlp, layer, z)))
        hidden.append(z)
    assert_matches(model(x), hidden, affine(model.readout, 0, z))


def test_size_of_normalised_weights_drops_out(getkey):
    model, x = network("layer_norm", getkey()), inputs(getkey())
    plain = model(x)
    for w, b in zip(model.mlp.weights, model.mlp.biases, strict=True):
        w[...], b[...] = 7.0 * w[...], 7.0 * b[...]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), model(x), plain)


def test_gain_of_a_normalised_network_is_that_of_its_units(getkey):
    """Mean square of g LN(z) is g² for every point, and the readout has the gain too."""
    key, x = getkey(), inputs(getkey())
    unit, scaled = (config("layer_norm", activation="linear").build(key, INPUTS, OUTPUTS, g, jnp.float64)(x) for g in (1.0, 1.7))
    for h in scaled.hidden:
        np.testing.assert_allclose(np.mean(np.asarray(h) ** 2, axis=1), 1.7**2, rtol=1e-4)
        np.testing.assert_allclose(np.mean(h, axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(scaled.hidden[0], 1.7 * unit.hidden[0], rtol=1e-12)


def test_normalised_networks_and_transformers_are_smooth_at_zero(getkey):
    """Their biases keep the input 0 away from where LN is singular; those of a transformer tell its tokens apart."""
    for name in ("layer_norm", "transformer"):
        model, x = large(name, getkey()), jnp.zeros((1, 40), jnp.float32)
        seen, slope = jax.jit(lambda x, model=model: jax.jvp(model, (x,), (jnp.ones_like(x),)))(x)
        assert all(bool(jnp.all(jnp.isfinite(a))) for a in jax.tree.leaves((seen, slope)))
        assert float(jnp.max(jnp.abs(slope.hidden[0]))) < 100 and float(jnp.max(jnp.abs(seen.hidden[0]))) > 0.1
    tokens = np.asarray(seen.hidden[0]).reshape(5, 40)
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(tokens, 2)) > 0.1


# ----------------------------------------------------------------------------------------------------------------- transformer


def attended(block, x, heads):
    """Attention of one point (tokens, width), head by head and token by token."""
    tokens, width = x.shape
    size = width // heads
    q, k, v = np.split(through(block.mix, x), 3, axis=1)
    out = np.zeros((tokens, width))
    for head, t in itertools.product(range(heads), range(tokens)):
        own = slice(head * size, (head + 1) * size)
        scores = np.exp([q[t, own] @ k[s, own] / np.sqrt(size) for s in range(tokens)])
        weights = scores / scores.sum()
        assert abs(weights.sum() - 1) < 1e-14
        out[t, own] = sum(weights[s] * v[s, own] for s in range(tokens))
    return out


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_transformer_by_hand(getkey, heads):
    model, x = shaken(getkey(), config("transformer", heads=heads)), inputs(getkey())
    gelu = lambda z: z * special.ndtr(z)
    stream, hidden = through(model.embed, np.asarray(x)).reshape(5, 3, 4), []
    for block in model.blocks:
        mixed = np.stack([attended(block, point, heads) for point in normalised(block.norms[0], stream)])
        stream = stream + through(block.join, mixed)
        stream = stream + through(block.shrink, gelu(through(block.grow, normalised(block.norms[1], stream))))
        hidden.append(stream)
    assert_matches(model(x), hidden, through(model.head, normalised(model.norm, stream).reshape(5, 12)))


def test_attention_weights_sum_to_one(getkey):
    """With values that do not depend on the token, attention returns them whatever the queries and keys."""
    block = network("transformer", getkey()).blocks[0]
    mixed = 3 * jax.random.normal(getkey(), (5, 3, 12))
    value = jax.random.normal(getkey(), (5, 1, 4))
    mixed = mixed.at[:, :, 8:].set(jnp.broadcast_to(value, (5, 3, 4)))
    np.testing.assert_allclose(block._attend(mixed), np.broadcast_to(value, (5, 3, 4)), rtol=1e-13)


def test_a_block_commutes_with_permutations_of_its_tokens(getkey):
    block, x, order = shaken(getkey(), "transformer").blocks[0], jax.random.normal(getkey(), (5, 3, 4)), [2, 0, 1]
    np.testing.assert_allclose(block(x[:, order]), block(x)[:, order], rtol=1e-11)


def test_layer_norm_takes_each_token_alone(getkey):
    """Without attention tokens do not mix: moving one moves that one only."""
    block, x = shaken(getkey(), "transformer").blocks[0], jax.random.normal(getkey(), (5, 3, 4))
    block.join.kernel[...] = jnp.zeros((4, 4))
    moved = block(x.at[:, 1, 2].add(1.0)) - block(x)
    np.testing.assert_allclose(moved[:, [0, 2]], 0, atol=1e-13)
    assert float(jnp.min(jnp.abs(moved[:, 1]))) > 1e-6


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match=r"^model.heads=2: must divide model.width=5$"):
        models.TransformerConfig(width=5, heads=2)


# -------------------------------------------------------------------------------------------------------------------- feedback


def backward(weights, biases, feedback, x, weigh):
    """Feedback alignment of Σ weigh · output in a tanh network: values, and what takes the place of its gradients."""
    h = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h.append(np.tanh(b + h[-1] @ w))
    delta, slopes = weigh, []
    for layer in reversed(range(len(weights))):
        slopes.append((h[layer].T @ delta, delta.sum(0)))
        delta = delta @ feedback[layer].T
        delta = delta * (1 - h[layer] ** 2) if layer else delta
    return h[1:], biases[-1] + h[-1] @ weights[-1], slopes[::-1], delta


@pytest.mark.parametrize("points", [2, 5])
def test_feedback_alignment_by_hand(getkey, points):
    model, x, weigh = shaken(getkey(), "feedback"), inputs(getkey(), points), jax.random.normal(getkey(), (points, OUTPUTS))
    weights, biases, feedback = ([np.asarray(a[...]) for a in group] for group in (model.mlp.weights, model.mlp.biases, model.feedback))
    hidden, output, slopes, delta = backward(weights, biases, feedback, np.asarray(x), np.asarray(weigh))
    for forward in (model, model.mlp):
        assert_matches(jax.jit(forward)(x), hidden, output)
    params, apply = models.functional(model)
    found, along = jax.jit(jax.grad(lambda p, x: jnp.sum(weigh * apply(p, x).output), argnums=(0, 1)))(params, x)
    for layer, (w, b) in enumerate(slopes):
        np.testing.assert_allclose(found["mlp"]["weights"][layer][...], w, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found["mlp"]["biases"][layer][...], b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(along, delta, rtol=1e-10, atol=1e-12)
    assert set(found) == {"mlp"}, "feedback weights are not trained"


def test_feedback_through_the_forward_weights_is_gradient_descent(getkey):
    mlp, x = shaken(getkey(), "mlp"), inputs(getkey())

    def slope(model):
        params, apply = models.functional(model)
        return jax.tree.leaves(jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(apply(p, x).output))))(params))

    for a, b in zip(slope(FeedbackMLP(mlp, mlp)), slope(mlp), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_feedback_weights_are_others_of_the_same_size(getkey):
    model = large("feedback", getkey())
    for w, b in zip(model.mlp.weights, model.feedback, strict=True):
        w, b = np.asarray(w[...], float), np.asarray(b[...], float)
        assert w.shape == b.shape and abs(np.corrcoef(w.ravel(), b.ravel())[0, 1]) < 5 / w.size**0.5
        variance = Estimate.of(b.ravel() ** 2)
        assert abs(variance.z(2 * 1.7**2 / sum(b.shape))) < 5 and variance.standard_error < 0.05 * float(variance.mean)


# ---------------------------------------------------------------------------------------------------------------------- names


def test_models_are_built_by_name(getkey):
    def program(build):
        return str(jax.make_jaxpr(lambda key: models.functional(build(key, INPUTS, OUTPUTS, 1.3))[0])(getkey()))

    for name in SIZES:
        by_name = program(lambda *sizes, n=name: models.build(n, *sizes, **SIZES[n]))
        assert by_name == program(config(name).build) != program(config(name, width=12).build)
    with pytest.raises(ValueError, match=f"^model=conv2d: must be one of {', '.join(models.Model.options)}$"):
        models.build("conv2d", getkey(), 1, 1)


@ALL
def test_weight_layers_and_smoothness(name):
    assert config(name).weight_layers == SIZES[name]["hidden_layers"] + 1
    assert config(name).smooth and not config(name, activation="leaky_relu").smooth
