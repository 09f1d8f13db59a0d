"""Residual image networks: the published sizes, the forward pass by loops in NumPy, and batch norm as inference sees it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from image_layers import assert_alone, assert_matches, assert_patched, largest, normalised, shaken

from dltheory.models import functional
from dltheory.models.convolution import BatchNorm, Statistic, convolution
from dltheory.models.convolution import images as images_of
from dltheory.models.resnet import ResNet, ResnetConfig, Stage, layout, stages
from dltheory.numerics import Estimate

SIDE, OUTPUTS = 17, 3
STAGES = (Stage(2, 2, 1), Stage(1, 3, 2))
relu = lambda z: np.maximum(z, 0)


@pytest.fixture(scope="module")
def network():
    build = lambda: ResNet(layout(STAGES, 1.0), OUTPUTS, "relu", 1.0, key=jax.random.key(0), dtype=jnp.float64)
    return shaken(build)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(3, SIDE, SIDE, 3))


def test_forward_pass_by_hand(network, images):
    model, params, apply = network
    z = largest(relu(normalised(images, model.stem, 2)), 3, 2)
    hidden = [z]
    for block, stride in zip(model.blocks, (1, 1, 2), strict=True):
        inside = relu(normalised(relu(normalised(z, block.reduce, stride)), block.middle))
        around = z if block.shortcut is None else normalised(z, block.shortcut, stride)
        z = relu(normalised(inside, block.expand) + around)
        hidden.append(z)
    assert [block.shortcut is None for block in model.blocks] == [False, True, False]
    assert [h.shape[1:] for h in hidden] == [(5, 5, 64), (5, 5, 8), (5, 5, 8), (3, 3, 12)]
    output = z.mean((1, 2)) @ np.asarray(model.head.kernel[...]) + np.asarray(model.head.bias[...])
    assert_matches(apply(params, jnp.asarray(images)), hidden, output)


def test_points_do_not_see_each_other(network, images):
    _, params, apply = network
    assert_alone(apply, params, jnp.asarray(images))


def test_patches(network, images):
    assert_patched(network[0], jnp.asarray(images[:2]))


def test_layers_of_resnet_50():
    """Table 1 of He et al.: 3, 4, 6 and 3 blocks; 50 layers with weights in sequence."""
    config = ResnetConfig()
    blocks = config.layout.blocks
    assert [(b.inputs, b.channels, b.outputs, b.stride) for b in blocks if b.projected] == [
        (64, 64, 256, 1),
        (256, 128, 512, 2),
        (512, 256, 1024, 2),
        (1024, 512, 2048, 2),
    ]
    assert [sum(b.channels == c for b in blocks) for c in (64, 128, 256, 512)] == [3, 4, 6, 3]
    assert config.weight_layers == 50 and config.hidden_layers == 17 and not config.smooth
    assert all(b.inputs == b.outputs and b.stride == 1 for b in blocks if not b.projected)


def test_sizes_are_scaled():
    small = layout(stages(50), 0.05, 0.4)
    assert small.stem == 3 and [b.channels for b in small.blocks] == [3] * 2 + [6] * 2 + [13] * 3 + [26] * 2
    assert layout(stages(50), 1e-3).blocks[0].channels == 1


def made(config, inputs, outputs=OUTPUTS, gain=1.0, dtype=jnp.float32):
    """Shapes of parameters, hidden layers and output, for two points."""

    def build(key):
        params, apply = functional(config.build(key, inputs, outputs, gain, dtype))
        return params, apply(params, jnp.zeros((2, inputs), dtype))

    return jax.eval_shape(build, jax.random.key(0))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_and_parameters(dtype):
    params, seen = made(ResnetConfig(width=0.05, depth=0.1), 3 * 8 * 8, dtype=dtype)
    assert {a.dtype for a in jax.tree.leaves((params, seen))} == {jnp.dtype(dtype)}
    inputs, total = 3, 7 * 7 * 3 * 3 + 4 * 3
    for c in (3, 6, 13, 26):
        total += inputs * c + 9 * c * c + 4 * c * c + 4 * inputs * c + 4 * (c + c + 4 * c + 4 * c)
        inputs = 4 * c
    assert sum(a.size for a in jax.tree.leaves(params)) == total + (inputs + 1) * OUTPUTS


@pytest.mark.parametrize("groups", [1, 60])
def test_weights_are_of_xaviers_size(groups):
    conv = convolution(60, 120, 3, 1, 1.7, nnx.Rngs(0), jnp.float32, groups=groups)
    w = np.asarray(conv.kernel[...], float)
    assert w.shape == (3, 3, 60 // groups, 120) and not np.any(conv.bias[...])
    exact = 2 * 1.7**2 / (9 * (60 // groups + 120))
    variance = Estimate.of(w.ravel() ** 2)
    assert abs(variance.z(exact)) < 5 and variance.standard_error < 0.05 * exact


def test_flat_images_are_images():
    x = jnp.arange(2 * 5 * 5 * 3).reshape(2, 5, 5, 3)
    np.testing.assert_array_equal(images_of(x.reshape(2, -1)), x)
    np.testing.assert_array_equal(images_of(x), x)


def test_all_four_vectors_of_a_batch_norm_are_parameters():
    norm = BatchNorm(3, jnp.float64)
    _, trained, statistics = nnx.split(norm, lambda _, v: not isinstance(v, Statistic), Statistic)
    assert len(jax.tree.leaves(nnx.state(norm, nnx.Param))) == 4
    assert set(trained) == {"scale", "shift"} and set(statistics) == {"mean", "variance"}
    x = np.random.default_rng(0).normal(2.0, 3.0, (1000, 2, 2, 3))
    norm.mean[...], norm.variance[...] = jnp.asarray(x.mean((0, 1, 2))), jnp.asarray(x.var((0, 1, 2)))
    z = np.asarray(norm(jnp.asarray(x)))
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(z.var((0, 1, 2)), 1, rtol=1e-3)


@pytest.mark.parametrize("inputs", [1, 10, 3 * 5, 4 * 4])
def test_inputs_must_be_square_images(inputs):
    with pytest.raises(ValueError, match=rf"^inputs={inputs}: must be 3 side², the numbers of a square image of 3 channels$"):
        ResnetConfig().build(jax.random.key(0), inputs, 1)
