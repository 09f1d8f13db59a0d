"""EfficientNetV2: image networks of fused and of depthwise separable bottleneck blocks, B0 to B3, S, M and L.

    stem: 3×3, stride 2 → φ → stages of blocks → 1×1 to 1280 → φ → mean over positions → linear
    fused block:      φ(k×k, ×e, stride) → 1×1;   with e = 1 a single φ(k×k, stride)
    separable block:  φ(1×1, ×e) → φ(depthwise k×k, stride) → gate → 1×1
    gate:             z·σ(w₂ φ(w₁ ⟨z⟩ + b₁) + b₂), ⟨z⟩ the mean over positions, squeezed to a quarter of the block's input channels

Every other convolution has batch norm instead of a bias. A block of stride 1 that keeps its channels adds its input. B1 to B3 scale
the channels of B0 (to multiples of 8, half up) and the blocks of its stages (rounded up). The representation of a block is its
output, flattened.
Source: Tan and Le, "EfficientNetV2" (arXiv:2104.00298); layout as in Keras, but with padding k//2.
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
from .convolution import CHANNELS, Normalised, convolution, images, side
from .transformer import xavier_normal
from .zoo import Model

DIVISOR = 8
SQUEEZE = 0.25
TOP = 1280


class Stage(NamedTuple):
    """Blocks of one kind; the first changes the channels and has the stride."""

    fused: bool
    repeats: int
    inputs: int
    outputs: int
    expand: int
    stride: int
    kernel: int = 3


class Variant(NamedTuple):
    """Stages, factors on their channels and repeats, and the pixels along the input that the variant was made for."""

    stages: tuple[Stage, ...]
    side: int
    width: float = 1.0
    depth: float = 1.0


_BASE = (
    Stage(True, 1, 32, 16, 1, 1),
    Stage(True, 2, 16, 32, 4, 2),
    Stage(True, 2, 32, 48, 4, 2),
    Stage(False, 3, 48, 96, 4, 2),
    Stage(False, 5, 96, 112, 6, 1),
    Stage(False, 8, 112, 192, 6, 2),
)
_SMALL = (
    Stage(True, 2, 24, 24, 1, 1),
    Stage(True, 4, 24, 48, 4, 2),
    Stage(True, 4, 48, 64, 4, 2),
    Stage(False, 6, 64, 128, 4, 2),
    Stage(False, 9, 128, 160, 6, 1),
    Stage(False, 15, 160, 256, 6, 2),
)
_MEDIUM = (
    Stage(True, 3, 24, 24, 1, 1),
    Stage(True, 5, 24, 48, 4, 2),
    Stage(True, 5, 48, 80, 4, 2),
    Stage(False, 7, 80, 160, 4, 2),
    Stage(False, 14, 160, 176, 6, 1),
    Stage(False, 18, 176, 304, 6, 2),
    Stage(False, 5, 304, 512, 6, 1),
)
_LARGE = (
    Stage(True, 4, 32, 32, 1, 1),
    Stage(True, 7, 32, 64, 4, 2),
    Stage(True, 7, 64, 96, 4, 2),
    Stage(False, 10, 96, 192, 4, 2),
    Stage(False, 19, 192, 224, 6, 1),
    Stage(False, 25, 224, 384, 6, 2),
    Stage(False, 7, 384, 640, 6, 1),
)
VARIANTS = {
    "b0": Variant(_BASE, 224),
    "b1": Variant(_BASE, 240, 1.0, 1.1),
    "b2": Variant(_BASE, 260, 1.1, 1.2),
    "b3": Variant(_BASE, 300, 1.2, 1.4),
    "s": Variant(_SMALL, 384),
    "m": Variant(_MEDIUM, 480),
    "l": Variant(_LARGE, 480),
}


class Block(NamedTuple):
    """One block: its kind and its sizes."""

    fused: bool
    inputs: int
    outputs: int
    expand: int
    stride: int
    kernel: int

    @property
    def inner(self) -> int:
        """Channels between its first and its last convolution."""
        return self.expand * self.inputs

    @property
    def squeezed(self) -> int:
        """Channels inside the gate of a separable block."""
        return max(1, int(SQUEEZE * self.inputs))

    @property
    def residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.inputs == self.outputs


class Layout(NamedTuple):
    """The blocks, of which the first reads the stem, and the channels of the last convolution."""

    blocks: tuple[Block, ...]
    top: int


def layout(stages: Iterable[Stage], width: float = 1.0, depth: float = 1.0) -> Layout:
    """All blocks of these stages, channels scaled by `width` (to multiples of 8, ≥ 8) and repeats by `depth` (rounded up)."""
    scaled = lambda channels: max(DIVISOR, int(width * channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    blocks = []
    for fused, repeats, inputs, outputs, expand, stride, kernel in stages:
        for n in range(math.ceil(depth * repeats)):
            read = scaled(outputs if n else inputs)
            blocks.append(Block(fused, read, scaled(outputs), expand, 1 if n else stride, kernel))
    return Layout(tuple(blocks), scaled(TOP))


class Gate(nnx.Module):
    """Squeeze and excite: each channel times a number between 0 and 1 made of all channels' means."""

    def __init__(self, block: Block, phi: Activation, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike) -> None:
        self.phi = phi
        self.squeeze = convolution(block.inner, block.squeezed, 1, 1, gain, rngs, dtype)
        self.excite = convolution(block.squeezed, block.inner, 1, 1, gain, rngs, dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, height, width, channels) to the same."""
        mean = jnp.mean(x, axis=(1, 2), keepdims=True)
        return x * jax.nn.sigmoid(self.excite(self.phi(self.squeeze(mean))))


class Fused(nnx.Module):
    """φ(k×k) → 1×1, or φ(k×k) alone if nothing is expanded."""

    def __init__(self, block: Block, phi: Activation, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike) -> None:
        self.phi, self.residual = phi, block.residual
        if block.expand == 1:
            self.expand = None
            self.project = Normalised(block.inputs, block.outputs, block.kernel, block.stride, gain, rngs, dtype)
        else:
            self.expand = Normalised(block.inputs, block.inner, block.kernel, block.stride, gain, rngs, dtype)
            self.project = Normalised(block.inner, block.outputs, 1, 1, gain, rngs, dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (n, height, width, inputs) to (n, positions, positions, outputs)."""
        z = self.phi(self.project(x)) if self.expand is None else self.project(self.phi(self.expand(x)))
        return x + z if self.residual else z


class Separable(nnx.Module):
    """φ(1×1) → φ(depthwise k×k) → gate → 1×1."""

    def __init__(self, block: Block, phi: Activation, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike) -> None:
        self.phi, self.residual = phi, block.residual
        self.expand = Normalised(block.inputs, block.inner, 1, 1, gain, rngs, dtype)
        self.depthwise = Normalised(block.inner, block.inner, block.kernel, block.stride, gain, rngs, dtype, groups=block.inner)
        self.gate = Gate(block, phi, gain, rngs, dtype)
        self.project = Normalised(block.inner, block.outputs, 1, 1, gain, rngs, dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (n, height, width, inputs) to (n, positions, positions, outputs)."""
        z = self.project(self.gate(self.phi(self.depthwise(self.phi(self.expand(x))))))
        return x + z if self.residual else z


class EfficientNet(nnx.Module):
    """Stem, blocks, last convolution and readout of a layout."""

    def __init__(self, layout: Layout, outputs: int, phi: str | Activation, gain: Number, *, key: jax.Array, dtype: DTypeLike) -> None:
        rngs = nnx.Rngs(key)
        blocks, top = layout
        self.phi = activation(phi)
        self.stem = Normalised(CHANNELS, blocks[0].inputs, 3, 2, gain, rngs, dtype)
        self.blocks = nnx.List([(Fused if block.fused else Separable)(block, self.phi, gain, rngs, dtype) for block in blocks])
        self.top = Normalised(blocks[-1].outputs, top, 1, 1, gain, rngs, dtype)
        self.head = nnx.Linear(top, outputs, kernel_init=xavier_normal(gain), param_dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for images x (n, side, side, 3), or flat (n, 3 side²): of stem, blocks and top, (n, positions² × channels)."""
        hidden: list[jax.Array] = []

        def represent(z):
            hidden.append(patch(len(hidden), z.reshape(len(z), -1)))
            return hidden[-1].reshape(z.shape)

        z = represent(self.phi(self.stem(images(x))))
        for block in self.blocks:
            z = represent(block(z))
        z = represent(self.phi(self.top(z)))
        return Activations(tuple(hidden), self.head(jnp.mean(z, axis=(1, 2))))


@record
class EfficientnetConfig(Model):
    """EfficientNetV2 on images."""

    variant: str = static("b0", "which of the published networks", choices=tuple(VARIANTS))
    width: float = static(1.0, "further factor on the channels of every layer (to multiples of 8)", low=1e-3, high=100)
    depth: float = static(1.0, "further factor on the blocks of every stage (rounded up)", low=1e-3, high=100)
    activation: str = static("swish", "nonlinearity, the gates' sigmoid aside", choices=tuple(ACTIVATIONS))

    @property
    def layout(self) -> Layout:
        """Its blocks and the channels of its last convolution."""
        published = VARIANTS[self.variant]
        return layout(published.stages, self.width * published.width, self.depth * published.depth)

    @property
    def hidden_layers(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The stem, the blocks and the last convolution."""
        return 2 + len(self.layout.blocks)

    @property
    def weight_layers(self) -> int:
        """Weight layers in sequence, gates aside."""
        return 3 + sum((1 if b.expand == 1 else 2) if b.fused else 3 for b in self.layout.blocks)

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> EfficientNet:
        """An `EfficientNet` for images of `inputs` = 3 side² numbers, with random weights, scaled by `gain` in every layer."""
        side(inputs)
        return EfficientNet(self.layout, outputs, self.activation, gain, key=key, dtype=dtype)
