"""Convolutional networks for square images, of one plan and six kinds of block, so that families are compared block by block.

    stem: φ(convolution k×k), mean over 2×2 → blocks, all on one grid → mean over each quarter of the image → dense φ → outputs

| block | next representation h' of h, channels c | weights |
| --- | --- | --- |
| plain | φ(conv h) | k²c² + c |
| tied | φ(conv h), one convolution in all blocks | k²c² + c, once |
| residual | h + φ(conv h) | k²c² + c |
| dense | (h, φ(conv h)) side by side; block i reads i·c channels | k²ic² + c |
| separable | φ(mix of channels of (each channel's own k×k filter)) | k²c + c² + c |
| squeeze | y = φ(conv h), each channel times 2σ(A φ(B ⟨y⟩)), B to max(1, c/4) units | k²c² + c + 2cs + s + c |

Convolutions have stride 1, odd k and k//2 zeros on every side. No normalisation. The representation of a layer is its channels at all
positions, flattened. Sources: identity skips, He et al. (arXiv:1603.05027); concatenation, Huang et al. (arXiv:1608.06993); separable,
Chollet (arXiv:1610.02357); squeeze and excitation, Hu et al. (arXiv:1709.01507), its gate doubled so that it starts at one, Brock et al.
(arXiv:2102.06171).
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from .activations import Activation, activation
from .base import Activations, Patch, unpatched
from .initialisation import Parametrisation
from .mlp import MLP

BLOCKS = ("plain", "tied", "residual", "dense", "separable", "squeeze")
POOL, QUARTERS = 2, 2


class CNN(nnx.Module):
    """Stem, `blocks` blocks and a dense layer of `head` units; Xavier's fans are those of what a kernel connects."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        block: str,
        channels: int,
        blocks: int,
        kernel: int,
        head: int,
        phi: str | Activation,
        parametrisation: Parametrisation,
        *,
        key: jax.Array,
        dtype: DTypeLike,
    ) -> None:
        grid = side(inputs) // POOL
        if side(inputs) % POOL or grid % QUARTERS:
            raise ValueError(f"inputs={inputs}: must be images of a side that is a multiple of {POOL * QUARTERS}")
        self.block, self.phi = block, activation(phi)
        self.stem = Convolution(kernel, 1, channels, parametrisation, key=jax.random.fold_in(key, 0), dtype=dtype)
        reads = lambda i: channels * (i + 1 if block == "dense" else 1)
        self.blocks = nnx.List()
        for i in range(min(blocks, 1) if block == "tied" else blocks):
            kind = Separable if block == "separable" else Squeeze if block == "squeeze" else Convolution
            self.blocks.append(kind(kernel, reads(i), channels, parametrisation, key=jax.random.fold_in(key, 2 + i), dtype=dtype))
        self.repeats = blocks if block == "tied" else 1
        features = reads(blocks) * QUARTERS**2
        self.head = MLP((features, head, outputs), phi, parametrisation, key=jax.random.fold_in(key, 1), dtype=dtype)

    def __call__(self, x: jax.Array, patch: Patch = unpatched) -> Activations:
        """Activations for x (n, side²): the stem's (n, side² c), pooled after it is recorded, each block's, and the dense layer's."""
        hidden: list[jax.Array] = []

        def represent(z):
            hidden.append(patch(len(hidden), z.reshape(len(x), -1)))
            return hidden[-1].reshape(z.shape)

        image = x.reshape(len(x), side(x.shape[1]), side(x.shape[1]), 1)
        image = pool(represent(self.phi(self.stem(image))), POOL)
        for layer in [*self.blocks] * self.repeats:
            branch = self.phi(layer(image))
            if self.block == "residual":
                branch = image + branch
            elif self.block == "dense":
                branch = jnp.concatenate([image, branch], axis=3)
            elif self.block == "squeeze":
                branch = layer.excite(branch, self.phi)
            image = represent(branch)
        features = pool(image, image.shape[1] // QUARTERS).reshape(len(x), -1)
        last = self.head(features, lambda _, h: patch(len(hidden), h))
        return Activations((*hidden, *last.hidden), last.output)


class Convolution(nnx.Module):
    """k×k, a → b channels, with bias."""

    def __init__(self, k: int, a: int, b: int, parametrisation: Parametrisation, *, key: jax.Array, dtype: DTypeLike) -> None:
        scale = parametrisation(k * k * a, k * k * b).weight
        self.kernel = nnx.Param(jax.random.normal(key, (k, k, a, b), dtype) * jnp.asarray(scale, dtype))
        self.bias = nnx.Param(jnp.zeros(b, dtype))

    def __call__(self, image: jax.Array) -> jax.Array:
        """Images (n, side, side, a) to (n, side, side, b)."""
        kernel = self.kernel[...]
        return convolve(image, kernel, len(kernel) // 2) + self.bias[...][None, None, None]


class Separable(nnx.Module):
    """Each channel filtered by its own k×k, then channels mixed, with bias."""

    def __init__(self, k: int, a: int, b: int, parametrisation: Parametrisation, *, key: jax.Array, dtype: DTypeLike) -> None:
        scale = parametrisation(k * k, k * k * a).weight
        self.filters = nnx.Param(jax.random.normal(jax.random.fold_in(key, 0), (k, k, 1, a), dtype) * jnp.asarray(scale, dtype))
        self.mix = Convolution(1, a, b, parametrisation, key=jax.random.fold_in(key, 1), dtype=dtype)

    def __call__(self, image: jax.Array) -> jax.Array:
        """Images (n, side, side, a) to (n, side, side, b)."""
        k, _, _, a = self.filters.shape
        windows = jnp.concatenate(shifted(image, k, k // 2), axis=3).reshape(*image.shape[:3], k * k, a)
        return self.mix(jnp.sum(windows * self.filters[...].reshape(1, 1, 1, k * k, a), axis=3))


class Squeeze(Convolution):
    """A convolution whose channels are gated by what the whole image holds."""

    def __init__(self, k: int, a: int, b: int, parametrisation: Parametrisation, *, key: jax.Array, dtype: DTypeLike) -> None:
        super().__init__(k, a, b, parametrisation, key=jax.random.fold_in(key, 0), dtype=dtype)
        self.gate = MLP((b, max(1, b // 4), b), "linear", parametrisation, key=jax.random.fold_in(key, 1), dtype=dtype)

    def excite(self, image: jax.Array, phi: Activation) -> jax.Array:
        """Each channel of (n, side, side, b) times its gate."""
        squeezed = phi(self.gate.affine(0, jnp.mean(image, axis=(1, 2))))
        return image * (2 * jax.nn.sigmoid(self.gate.affine(1, squeezed)))[:, None, None]


def side(pixels: int) -> int:
    """Of a square image of so many pixels; `ValueError` if there is none."""
    if math.isqrt(pixels) ** 2 != pixels:
        raise ValueError(f"inputs={pixels}: must be a square, the pixels of an image")
    return math.isqrt(pixels)


def shifted(image: jax.Array, k: int, padding: int) -> list[jax.Array]:
    """For each tap of a k×k kernel, row by row, the image (n, side, side, c) as that tap sees it, with zeros around."""
    padded = jnp.pad(image, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    last = padded.shape[1] - k + 1
    return [padded[:, i : i + last, j : j + last] for i in range(k) for j in range(k)]


def convolve(image: jax.Array, w: jax.Array, padding: int = 0) -> jax.Array:
    """Images (n, side, side, a) with w (k, k, a, b), stride 1: one matrix product, which stays fast on a CPU when weights are vmapped."""
    return jnp.concatenate(shifted(image, len(w), padding), axis=3) @ w.reshape(-1, w.shape[-1])


def pool(image: jax.Array, window: int) -> jax.Array:
    """Means of (n, side, side, c) over windows that do not overlap."""
    n, rows, columns, c = image.shape
    return jnp.mean(image.reshape(n, rows // window, window, columns // window, window, c), axis=(2, 4))
