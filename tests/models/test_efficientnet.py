"""EfficientNetV2: the published blocks, and the forward pass of both kinds of block by loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from image_layers import assert_alone, assert_matches, assert_patched, convolve, normalised, shaken
from scipy.special import expit

from dltheory.models import functional
from dltheory.models.efficientnet import VARIANTS, EfficientNet, EfficientnetConfig, Stage, layout

SIDE, OUTPUTS = 11, 3
STAGES = (Stage(True, 1, 8, 8, 1, 1), Stage(True, 1, 8, 16, 2, 2), Stage(False, 2, 16, 16, 2, 2, 5))
swish = lambda z: z * expit(z)


@pytest.fixture(scope="module")
def network():
    blocks = layout(STAGES)._replace(top=16)
    return shaken(lambda: EfficientNet(blocks, OUTPUTS, "swish", 1.0, key=jax.random.key(0), dtype=jnp.float64))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(3, SIDE, SIDE, 3))


def separable(block, z, stride):
    z = swish(normalised(swish(normalised(z, block.expand)), block.depthwise, stride, depthwise=True))
    mean = z.mean((1, 2), keepdims=True)
    return normalised(z * expit(convolve(swish(convolve(mean, block.gate.squeeze)), block.gate.excite)), block.project)


def test_forward_pass_by_hand(network, images):
    model, params, apply = network
    first, second, third, fourth = model.blocks
    hidden = [swish(normalised(images, model.stem, 2))]
    hidden.append(hidden[-1] + swish(normalised(hidden[-1], first.project)))
    hidden.append(normalised(swish(normalised(hidden[-1], second.expand, 2)), second.project))
    hidden.append(separable(third, hidden[-1], 2))
    hidden.append(hidden[-1] + separable(fourth, hidden[-1], 1))
    hidden.append(swish(normalised(hidden[-1], model.top)))
    assert [h.shape[1:] for h in hidden] == [(6, 6, 8), (6, 6, 8), (3, 3, 16), (2, 2, 16), (2, 2, 16), (2, 2, 16)]
    output = hidden[-1].mean((1, 2)) @ np.asarray(model.head.kernel[...]) + np.asarray(model.head.bias[...])
    assert_matches(apply(params, jnp.asarray(images)), hidden, output)


def test_points_do_not_see_each_other(network, images):
    _, params, apply = network
    assert_alone(apply, params, jnp.asarray(images))


def test_patches(network, images):
    assert_patched(network[0], jnp.asarray(images[:2]))


SIZES = {
    "b0": (32, [16, 32, 48, 96, 112, 192], [1, 2, 2, 3, 5, 8], 1280),
    "b1": (32, [16, 32, 48, 96, 112, 192], [2, 3, 3, 4, 6, 9], 1280),
    "b2": (32, [16, 32, 56, 104, 120, 208], [2, 3, 3, 4, 6, 10], 1408),
    "b3": (40, [16, 40, 56, 112, 136, 232], [2, 3, 3, 5, 7, 12], 1536),
    "s": (24, [24, 48, 64, 128, 160, 256], [2, 4, 4, 6, 9, 15], 1280),
    "m": (24, [24, 48, 80, 160, 176, 304, 512], [3, 5, 5, 7, 14, 18, 5], 1280),
    "l": (32, [32, 64, 96, 192, 224, 384, 640], [4, 7, 7, 10, 19, 25, 7], 1280),
}
"""Channels of the stem, of the stages, blocks of the stages, channels of the last convolution."""


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_blocks(variant):
    config = EfficientnetConfig(variant=variant)
    stem, channels, repeats, top = SIZES[variant]
    blocks = config.layout.blocks
    assert blocks[0].inputs == stem and config.layout.top == top
    assert [b.outputs for b in blocks] == [c for c, n in zip(channels, repeats, strict=True) for _ in range(n)]
    assert [b.inputs for b in blocks[1:]] == [b.outputs for b in blocks[:-1]]
    assert sum(b.fused for b in blocks) == sum(repeats[:3]) and [b.stride for b in blocks].count(2) == 4
    assert config.hidden_layers == 2 + sum(repeats) and config.smooth


def test_weight_layers():
    assert [EfficientnetConfig(variant=v).weight_layers for v in VARIANTS] == [60, 74, 77, 89, 111, 158, 218]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_and_parameters(dtype):
    config, inputs = EfficientnetConfig(width=0.1, depth=0.1), 3 * 8 * 8

    def build(key, gain):
        params, apply = functional(config.build(key, inputs, OUTPUTS, gain, dtype))
        return params, apply(params, jnp.zeros((2, inputs), dtype))

    params, seen = jax.eval_shape(build, jax.random.key(0), 1.3)
    assert {a.dtype for a in jax.tree.leaves((params, seen))} == {jnp.dtype(dtype)}
    fused = lambda a, b, e: 9 * a * b + 4 * b if e == 1 else 9 * a * a * e + a * e * b + 4 * (a * e + b)
    gated = lambda a, b, e, s: a * a * e + 9 * a * e + a * e * b + 4 * (2 * a * e + b) + (2 * s + 1) * a * e + s
    blocks = [fused(8, 8, 1), fused(8, 8, 4), fused(8, 8, 4), gated(8, 8, 4, 2), gated(8, 8, 6, 2), gated(8, 16, 6, 2)]
    total = 27 * 8 + 4 * 8 + sum(blocks) + (16 + 4) * 128 + (128 + 1) * OUTPUTS
    assert sum(a.size for a in jax.tree.leaves(params)) == total


def test_channels_are_multiples_of_eight_half_up():
    """12 rounds to 16, 11.9 to 8, and nothing to less than 8."""
    outputs = lambda width, channels: layout([Stage(True, 1, 8, channels, 1, 1)], width).blocks[0].outputs
    assert [outputs(*case) for case in ((1.0, 12), (1.0, 11), (0.1, 8), (1.1, 48), (1.4, 112))] == [16, 8, 8, 56, 160]


def test_the_squeeze_is_a_quarter_of_the_blocks_input():
    blocks = layout([Stage(False, 2, 24, 40, 6, 1)]).blocks
    assert [(b.inner, b.squeezed, b.residual) for b in blocks] == [(144, 6, False), (240, 10, True)]


def test_inputs_must_be_square_images():
    with pytest.raises(ValueError, match=r"^inputs=49: must be 3 side², the numbers of a square image of 3 channels$"):
        EfficientnetConfig().build(jax.random.key(0), 49, 1)
