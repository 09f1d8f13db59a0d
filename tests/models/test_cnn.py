"""Convolutional networks of six blocks and LeNet-5: parameters in closed form, forward passes by SciPy, ties, contexts in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.signal import correlate2d

from dltheory import models
from dltheory.models import cnn
from dltheory.models.zoo import Model
from dltheory.reusability.trace import count_contexts, trace

SIDE, OUTPUTS, WIDTH, HEAD = 8, 3, 4, 5
BLOCKS = pytest.mark.parametrize("block", cnn.BLOCKS)


def shaken(config, inputs=SIDE**2, outputs=OUTPUTS, seed=0):
    """A network with every number drawn anew on the host, biases too."""
    model = nnx.eval_shape(lambda: config.build(jax.random.key(0), inputs, outputs, dtype=jnp.float64))
    random = np.random.default_rng(seed)
    draw = lambda shape: random.normal(size=shape) * (1.5 / np.prod(shape[:-1]) ** 0.5 if len(shape) > 1 else 0.3)
    nnx.update(model, jax.tree.map(lambda a: jnp.asarray(draw(a.shape)), nnx.state(model)))
    return model


def image_model(block, **fields):
    return Model.options["cnn"](**{"block": block, "width": WIDTH, "hidden_layers": 5, "head": HEAD, "activation": "tanh"} | fields)


def images(side=SIDE, points=2, seed=1):
    return np.random.default_rng(seed).normal(size=(points, side * side))


def convolved(image, w, mode="same"):
    """(side, side, a) with (k, k, a, b), by SciPy."""
    maps = [sum(correlate2d(image[..., i], w[..., i, o], mode) for i in range(w.shape[2])) for o in range(w.shape[3])]
    return np.stack(maps, axis=-1)


def pooled(image, n):
    rows, columns, c = image.shape
    out = np.zeros((rows // n, columns // n, c))
    for r, v in np.ndindex(out.shape[:2]):
        out[r, v] = image[r * n : (r + 1) * n, v * n : (v + 1) * n].mean(axis=(0, 1))
    return out


def dense(mlp, h):
    """Hidden layer and output of the two-layer perceptron at the end."""
    weights, biases = ([np.asarray(a[...]) for a in part] for part in (mlp.weights, mlp.biases))
    hidden = [h]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        hidden.append(np.tanh(hidden[-1] @ w + b))
    return hidden[1:], hidden[-1] @ weights[-1] + biases[-1]


def branch(block, layer, h):
    if block == "separable":
        filters = np.asarray(layer.filters[...])[:, :, 0]
        kernels = [filters[:, :, c] for c in range(filters.shape[2])]
        h = np.stack([correlate2d(h[..., c], kernel, "same") for c, kernel in enumerate(kernels)], axis=-1)
        layer = layer.mix
    z = np.tanh(convolved(h, np.asarray(layer.kernel[...])) + np.asarray(layer.bias[...]))
    if block == "residual":
        return h + z
    if block == "dense":
        return np.concatenate([h, z], axis=-1)
    if block == "squeeze":
        (w, v), (b, c) = ([np.asarray(a[...]) for a in part] for part in (layer.gate.weights, layer.gate.biases))
        return z * 2 / (1 + np.exp(-(np.tanh(z.mean(axis=(0, 1)) @ w + b) @ v + c)))
    return z


@BLOCKS
def test_image_model_by_hand(block):
    model, x = shaken(image_model(block)), images()
    seen = model(jnp.asarray(x))
    layers = [*model.blocks] * (3 if block == "tied" else 1)
    assert len(layers) == 3
    for point, pixels in enumerate(x):
        h = np.tanh(convolved(pixels.reshape(SIDE, SIDE, 1), np.asarray(model.stem.kernel[...])) + np.asarray(model.stem.bias[...]))
        hidden = [h]
        h = pooled(h, 2)
        for layer in layers:
            h = branch(block, layer, h)
            hidden.append(h)
        last, output = dense(model.head, pooled(h, len(h) // 2).ravel())
        for k, expected in enumerate([*hidden, *last]):
            np.testing.assert_allclose(seen.hidden[k][point], expected.ravel(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(seen.output[point], output, rtol=1e-10)


def body(block, c, k, blocks):
    conv = k * k * c * c + c
    squeezed = max(1, c // 4)
    return {
        "plain": blocks * conv,
        "tied": conv,
        "residual": blocks * conv,
        "dense": sum(k * k * i * c * c + c for i in range(1, blocks + 1)),
        "separable": blocks * (k * k * c + c * c + c),
        "squeeze": blocks * (conv + 2 * c * squeezed + squeezed + c),
    }[block]


@BLOCKS
@pytest.mark.parametrize(("c", "k", "blocks", "head"), [(4, 3, 3, 5), (9, 5, 1, 2), (3, 1, 0, 7)])
def test_parameters_of_image_models(block, c, k, blocks, head):
    config = image_model(block, width=c, kernel=k, hidden_layers=blocks + 2, head=head)
    params, apply = models.functional(shaken(config))
    features = 4 * c * (blocks + 1 if block == "dense" else 1)
    tied = body(block, c, k, blocks) if blocks else 0
    assert sum(a.size for a in jax.tree.leaves(params)) == (k * k + 1) * c + tied + (features + 1) * head + (head + 1) * OUTPUTS
    assert len(jax.eval_shape(apply, params, jnp.zeros((2, SIDE**2))).hidden) == blocks + 2 == config.weight_layers - 1


def test_a_tied_model_is_a_plain_one_with_equal_blocks():
    tied, plain, x = shaken(image_model("tied")), shaken(image_model("plain"), seed=5), jnp.asarray(images())
    nnx.update((plain.stem, plain.head), nnx.state((tied.stem, tied.head)))
    for layer in plain.blocks:
        nnx.update(layer, nnx.state(tied.blocks[0]))
    jax.tree.map(np.testing.assert_array_equal, plain(x), tied(x))


@pytest.mark.parametrize("block", ["separable", "squeeze"])
def test_weights_start_with_xaviers_variance(block):
    model = image_model(block, width=40, hidden_layers=3).build(jax.random.key(0, impl="rbg"), SIDE**2, 10, 1.7)
    for w in (a for a in jax.tree.leaves(nnx.state(model, nnx.Param)) if a.size > 300):
        expected = 2 * 1.7**2 / (np.prod(w.shape[:-1]) + w.shape[-1] * np.prod(w.shape[:-2]))
        assert abs(float(jnp.mean(w**2)) / expected - 1) < 5 * (2 / w.size) ** 0.5


@pytest.mark.parametrize("config", [image_model("squeeze", hidden_layers=3), Model.options["lenet5"]()])
def test_a_layer_replaced_by_another_images_gives_its_output(config):
    model, x, other = shaken(config), jnp.asarray(images()), jnp.asarray(images(seed=2))
    plain, theirs = model(x), model(other)
    for k, theirs_at_k in enumerate(theirs.hidden):
        seen = model(x, patch=lambda layer, h, k=k, new=theirs_at_k: new if layer == k else h)
        np.testing.assert_allclose(seen.output, theirs.output, rtol=1e-12)
    assert float(jnp.max(jnp.abs(plain.output - theirs.output))) > 1e-2


@pytest.mark.parametrize("side", [32, 28])
def test_lenet_by_hand(side):
    model, x = shaken(Model.options["lenet5"](), side**2, 10), images(side, 1)
    frame = (32 - side) // 2
    h = np.pad(x.reshape(side, side, 1), ((frame, frame), (frame, frame), (0, 0)))
    hidden = []
    for w, b in zip(model.kernels, model.biases, strict=True):
        hidden.append(np.tanh(convolved(h, np.asarray(w[...]), "valid") + np.asarray(b[...])))
        h = pooled(hidden[-1], 2)
    last, output = dense(model.dense, h.ravel())
    seen = model(jnp.asarray(x))
    assert [h.size for h in seen.hidden] == [6 * 28**2, 16 * 100, 120, 84]
    for found, expected in zip(seen.hidden, [*hidden, *last], strict=True):
        np.testing.assert_allclose(found[0], expected.ravel(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(seen.output[0], output, rtol=1e-9)
    assert sum(a.size for a in jax.tree.leaves(models.functional(model)[0])) == 156 + 2416 + 48120 + 10164 + 850


@pytest.mark.parametrize("pixels", [63, 36, 10**2])
def test_images_of_a_wrong_side_are_refused(pixels):
    with pytest.raises(ValueError, match=f"^inputs={pixels}: must be "):
        image_model("plain").build(jax.random.key(0), pixels, 10)


def test_an_even_kernel_and_too_large_an_image_are_refused():
    with pytest.raises(ValueError, match=r"^model.kernel=4: must be odd$"):
        image_model("plain", kernel=4)
    with pytest.raises(ValueError, match=r"^inputs=1089: must be ≤ 1024"):
        Model.options["lenet5"]().build(jax.random.key(0), 33**2, 10)


# -------------------------------------------------------------------------------------------------------------------- contexts


def counted(model, inputs, kind="published"):
    """The model, with the counts of contexts in the places of its parameters."""
    params, apply = models.functional(model)
    counts = count_contexts(apply, params, jnp.zeros((1, inputs)), kind)
    return jax.tree.map(lambda a: a, nnx.to_pure_dict(counts))


def every(counts):
    """The one count that all entries share."""
    values = {int(c) for c in np.asarray(counts).ravel()}
    assert len(values) == 1
    return values.pop()


def test_contexts_of_lenet():
    counts = counted(shaken(Model.options["lenet5"](), 32**2, 10), 32**2)
    kernels, dense_weights = counts["kernels"], counts["dense"]["weights"]
    assert [every(kernels[i]) for i in range(2)] == [16_128_000_000, 10_080_000]
    assert [every(dense_weights[i]) for i in range(3)] == [840, 10, 1]


@pytest.mark.parametrize("blocks", [1, 4])
def test_contexts_of_a_residual_chain_grow_as_one_and_the_branch_to_the_power_of_its_length(blocks):
    """1×1 kernels: each branch multiplies paths by its channels, so that the stem, which 64 cells feed, has 64 (1 + r)^m each of B."""
    r = 3
    model = shaken(image_model("residual", width=r, kernel=1, hidden_layers=blocks + 2))
    counts = counted(model, SIDE**2)
    after = HEAD * OUTPUTS
    assert every(counts["stem"]["kernel"]) == SIDE**2 * (1 + r) ** blocks * after
    for i in range(blocks):
        assert every(counts["blocks"][i]["kernel"]) == (SIDE // 2) ** 2 * (1 + r) ** (blocks - 1 - i) * after


def test_contexts_of_a_chain_of_concatenations():
    """1×1 kernels: what block i adds is read by every later block and by the end, B_i = B_end (1 + g)^(m - i)."""
    g, m = 3, 4
    counts = counted(shaken(image_model("dense", width=g, kernel=1, hidden_layers=m + 2)), SIDE**2)
    after = HEAD * OUTPUTS
    for i in range(m):
        assert every(counts["blocks"][i]["kernel"]) == (SIDE // 2) ** 2 * after * (1 + g) ** (m - 1 - i)
    assert every(counts["stem"]["kernel"]) == SIDE**2 * after * (1 + g) ** m


def test_contexts_of_a_depthwise_tap_are_the_positions_where_it_meets_the_image():
    """One block on a 4×4 grid: rows (and columns) on which a tap is not in the padding are 3, 4, 3; then channels mix."""
    counts = counted(shaken(image_model("separable", hidden_layers=3)), SIDE**2)
    after, reach = HEAD * OUTPUTS, np.array([3, 4, 3])
    filters = np.asarray(counts["blocks"][0]["filters"])
    for c in range(WIDTH):
        np.testing.assert_array_equal(filters[:, :, 0, c], np.outer(reach, reach) * WIDTH * after)
    assert every(counts["blocks"][0]["mix"]["kernel"]) == 16 * after


def test_a_tied_model_counts_each_use():
    config = image_model("tied", kernel=1)
    model = shaken(config)
    params, apply = models.functional(model)
    found = trace(apply, params, jnp.zeros((1, SIDE**2)))
    counts, c, uses = nnx.to_pure_dict(found.counts()), WIDTH, config.hidden_layers - 2
    assert every(counts["blocks"][0]["kernel"]) == 16 * HEAD * OUTPUTS * (c**uses - 1) // (c - 1)
    distinct = sum(a.size for a in jax.tree.leaves(params))
    assert found.weight_nodes == distinct + (uses - 1) * (c * c + c) and found.outputs == OUTPUTS
    plain = models.functional(shaken(image_model("plain", kernel=1)))
    assert found.weight_nodes == trace(plain[1], plain[0], jnp.zeros((1, SIDE**2))).weight_nodes
