"""One convolutional network, whose design is changed one choice at a time while the number of its parameters is kept.

    3×3 convolution to w channels, stride s → max over p×p → blocks of one k×k convolution each → global sum → readout

on images of 16 × 16 × 3, without biases. Sources of reuse, in the words of the reusability prior, are units with several consumers,
positions of a convolution, skips, concatenation and tied layers; w is what pays for them.

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011, section 1.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from .summary import Reuse, summary
from .trace import Trace, trace

SIDE, COLOURS, CLASSES, WIDEST = 16, 3, 10, 1000
Shapes = dict[str, Any]


class Design(NamedTuple):
    """A choice of everything but the width."""

    blocks: int = 4
    kernel: int = 3
    stride: int = 1
    pool: int = 1
    wiring: Literal["plain", "skip", "concat"] = "plain"
    tied: bool = False

    def shapes(self, width: int) -> Shapes:
        """Of the parameters."""
        reads = [width * (1 + i * (self.wiring == "concat")) for i in range(self.blocks + 1)]
        kernels = [jax.ShapeDtypeStruct((self.kernel, self.kernel, n, width), jnp.float32) for n in reads[:-1]]
        stem = jax.ShapeDtypeStruct((3, 3, COLOURS, width), jnp.float32)
        return {
            "stem": stem,
            "blocks": kernels[:1] if self.tied else kernels,
            "readout": jax.ShapeDtypeStruct((reads[-1], CLASSES), jnp.float32),
        }

    def parameters(self, width: int) -> int:
        """Their number."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.shapes(width)))

    def width(self, parameters: int) -> int:
        """The width whose number of parameters is nearest."""
        return min(range(1, WIDEST), key=lambda w: abs(self.parameters(w) - parameters))

    def apply(self, params: Any, x: jax.Array) -> jax.Array:
        """Logits (n, 10) of images (n, 16, 16, 3)."""
        h = _convolution(x, params["stem"], self.stride)
        if self.pool > 1:
            window = (1, self.pool, self.pool, 1)
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, window, window, "VALID")
        for i in range(self.blocks):
            branch = _convolution(h, params["blocks"][0 if self.tied else i])
            merged = {"plain": lambda h, b: b, "skip": jnp.add, "concat": lambda h, b: jnp.concatenate([h, b], axis=3)}
            h = merged[self.wiring](h, branch)
        return jnp.sum(h, axis=(1, 2)) @ params["readout"]

    def trace(self, width: int) -> Trace:
        """Ready to be counted."""
        return trace(self.apply, self.shapes(width), jax.ShapeDtypeStruct((1, SIDE, SIDE, COLOURS), jnp.float32))

    def reuse(self, width: int) -> Reuse:
        """Summary of its counts, in bits."""
        program = self.trace(width)
        return summary(program.counts(), program.inputs, program.outputs, program.weight_nodes)


def _convolution(x: jax.Array, w: jax.Array, stride: int = 1) -> jax.Array:
    pad = len(w) // 2
    z = jax.lax.conv_general_dilated(x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jax.nn.relu(z)
