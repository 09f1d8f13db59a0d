"""Residual network of bottleneck blocks for images: h' = φ(shortcut(h) + f(h)), f = 1×1, 3×3 and 1×1 convolutions with batch norm.

    stem: 7×7, stride 2 → φ → 3×3 max pooling, stride 2 → stages of blocks → mean over positions → linear

The first block of a stage changes the number of channels and has a 1×1 convolution with batch norm as its shortcut; it and the
block's first 1×1 have the stage's stride. The four stages have 64, 128, 256 and 512 channels inside and four times as many outside;
3, 4, 6 and 3 blocks make ResNet-50. The representation of a block is its output, flattened.
Source: He, Zhang, Ren and Sun, "Deep Residual Learning" (arXiv:1512.03385); layout as in Keras, without biases before batch norm.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Number, record, static
from .activations import ACTIVATIONS, Activation, activation
from .base import Activations, Patch, unpatched
from .convolution import CHANNELS, Normalised, images, side
from .transformer import xavier_normal
from .zoo import Model

EXPANSION = 4
STEM = 64
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Repeats of the four stages, by the number of layers."""


class Stage(NamedTuple):
    """Blocks with `channels` channels inside; the first has the stride."""

    repeats: int
    channels: int
    stride: int


def stages(layers: int) -> tuple[Stage, ...]:
    """The published network with that many layers: 50, 101 or 152."""
    return tuple(Stage(repeats, STEM << n, 1 + (n > 0)) for n, repeats in enumerate(BLOCKS[layers]))


class Block(NamedTuple):
    """One residual block; `projected` says whether its shortcut is a convolution."""

    inputs: int
    channels: int
    stride: int
    projected: bool

    @property
    def outputs(self) -> int:
        """Four times as many channels as inside."""
        return EXPANSION * self.channels


class Layout(NamedTuple):
    """Channels of the stem, and the blocks."""

    stem: int
    blocks: tuple[Block, ...]


def layout(stages: Iterable[Stage], width: float = 1.0, depth: float = 1.0) -> Layout:
    """All blocks of these stages, channels scaled by `width` (rounded, ≥ 1) and repeats by `depth` (rounded up)."""
    scaled = lambda channels: max(1, round(width * channels))
    stem = inputs = scaled(STEM)
    blocks = []
    for stage in stages:
        for n in range(math.ceil(depth * stage.repeats)):
            blocks.append(Block(inputs, scaled(stage.channels), stage.stride if n == 0 else 1, n == 0))
            inputs = blocks[-1].outputs
    return Layout(stem, tuple(blocks))


class Bottleneck(nnx.Module):
    """φ(shortcut(x) + f(x))."""

    def __init__(self, block: Block, phi: Activation, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike) -> None:
        inputs, channels, stride, projected = block
        self.phi = phi
        self.reduce = Normalised(inputs, channels, 1, stride, gain, rngs, dtype)
        self.middle = Normalised(channels, channels, 3, 1, gain, rngs, dtype)
        self.expand = Normalised(channels, block.outputs, 1, 1, gain, rngs, dtype)
        self.shortcut = Normalised(inputs, block.outputs, 1, stride, gain, rngs, dtype) if projected else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (n, height, width, inputs) to (n, positions, positions, outputs)."""
        z = self.expand(self.phi(self.middle(self.phi(self.reduce(x)))))
        return self.phi(z + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nnx.Module):
    """Stem, blocks and readout of a layout."""

    def __init__(self, layout: Layout, outputs: int, phi: str | Activation, gain: Number, *, key: jax.Array, dtype: DTypeLike) -> None:
        rngs = nnx.Rngs(key)
        self.phi = activation(phi)
        self.stem = Normalised(CHANNELS, layout.stem, 7, 2, gain, rngs, dtype)
        self.blocks = nnx.List([Bottleneck(block, self.phi, gain, rngs, dtype) for block in layout.blocks])
        self.head = nnx.Linear(layout.blocks[-1].outputs, outputs, kernel_init=xavier_normal(gain), param_dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for images x (n, side, side, 3), or flat (n, 3 side²): of stem and blocks, (n, positions² × channels)."""
        hidden: list[jax.Array] = []

        def represent(z):
            hidden.append(patch(len(hidden), z.reshape(len(z), -1)))
            return hidden[-1].reshape(z.shape)

        z = self.phi(self.stem(images(x)))
        pad = ((1, 1), (1, 1))
        z = represent(nnx.max_pool(z, (3, 3), strides=(2, 2), padding=pad))  # pyright: ignore[reportArgumentType]
        for block in self.blocks:
            z = represent(block(z))
        return Activations(tuple(hidden), self.head(jnp.mean(z, axis=(1, 2))))


@record
class ResnetConfig(Model):
    """Residual network of bottleneck blocks on images."""

    layers: int = static(50, "which of the published networks", choices=tuple(BLOCKS))
    width: float = static(1.0, "factor on the channels of every layer (rounded)", low=1e-3, high=100)
    depth: float = static(1.0, "factor on the blocks of every stage (rounded up)", low=1e-3, high=100)
    activation: str = static("relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    @property
    def layout(self) -> Layout:
        """Its blocks."""
        return layout(stages(self.layers), self.width, self.depth)

    @property
    def hidden_layers(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The stem and the blocks."""
        return 1 + len(self.layout.blocks)

    @property
    def weight_layers(self) -> int:
        """Weight layers in sequence: 50 in ResNet-50."""
        return 2 + 3 * len(self.layout.blocks)

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> ResNet:
        """A `ResNet` for images of `inputs` = 3 side² numbers, with random weights, scaled by `gain` in every layer."""
        side(inputs)
        return ResNet(self.layout, outputs, self.activation, gain, key=key, dtype=dtype)
