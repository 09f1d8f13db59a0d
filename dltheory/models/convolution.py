"""A convolution with batch normalisation as inference sees it, of which residual and efficient image networks are made.

    z = γ (w * x - μ)/√(σ² + ε) + β

The running mean μ and variance σ² are numbers, not averages over the batch, and parameters as γ and β are: `functional` returns all
four, as the published counts take them. Padding is kernel//2 on every side, not "SAME", which is one-sided for stride 2.
Source: Ioffe and Szegedy, "Batch Normalization" (arXiv:1502.03167).
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Number
from .transformer import xavier_normal

CHANNELS = 3
"""Of an input image."""
EPSILON = 1e-3


class Statistic(nnx.Param[jax.Array]):
    """A running mean or variance: a parameter by itself, so that who trains a network can leave it alone."""


class BatchNorm(nnx.Module):
    """γ (x - μ)/√(σ² + ε) + β per channel, from γ = σ² = 1 and β = μ = 0."""

    def __init__(self, channels: int, dtype: DTypeLike) -> None:
        self.scale, self.shift = nnx.Param(jnp.ones(channels, dtype)), nnx.Param(jnp.zeros(channels, dtype))
        self.mean, self.variance = Statistic(jnp.zeros(channels, dtype)), Statistic(jnp.ones(channels, dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """x (..., channels) to the same."""
        each = (None,) * (x.ndim - 1)
        factor = self.scale[...] * jax.lax.rsqrt(self.variance[...] + EPSILON)
        return (x - self.mean[...][each]) * factor[each] + self.shift[...][each]


class Normalised(nnx.Module):
    """A convolution without bias, then batch norm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, gain: Number, rngs: nnx.Rngs, dtype: DTypeLike, groups: int = 1
    ):
        self.conv = convolution(inputs, outputs, kernel, stride, gain, rngs, dtype, groups=groups, bias=False)
        self.norm = BatchNorm(outputs, dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (n, height, width, inputs) to (n, positions, positions, outputs)."""
        return self.norm(self.conv(x))


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    gain: Number,
    rngs: nnx.Rngs,
    dtype: DTypeLike,
    *,
    groups: int = 1,
    bias: bool = True,
) -> nnx.Conv:
    """A convolution of square windows, padded by kernel//2 on every side, with Xavier normal weights times `gain` and zero biases."""
    pad = (kernel // 2, kernel // 2)
    how = {"kernel_init": xavier_normal(gain), "param_dtype": dtype, "rngs": rngs}
    return nnx.Conv(inputs, outputs, (kernel,) * 2, stride, padding=(pad, pad), feature_group_count=groups, use_bias=bias, **how)


def images(x: jax.Array) -> jax.Array:
    """(n, side, side, 3) as it is, or from (n, 3 side²), channels last."""
    return x if x.ndim == 4 else x.reshape(len(x), side(x.shape[1]), -1, CHANNELS)


def side(inputs: int) -> int:
    """Pixels along a square image with `inputs` numbers. Raises `ValueError` if there is none."""
    pixels = math.isqrt(inputs // CHANNELS)
    if pixels < 1 or CHANNELS * pixels**2 != inputs:
        raise ValueError(f"inputs={inputs}: must be 3 side², the numbers of a square image of {CHANNELS} channels")
    return pixels
