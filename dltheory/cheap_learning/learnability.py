"""What descent finds of what exists: the least size that learns a function, and how long that takes.

Constructions bound the neurons with which n numbers can be multiplied; Rolnick & Tegmark ask how many descent needs. Networks of sizes
N_1 < N_2 < … are trained several times each, and

    N* = the least N_i whose median error is at most a threshold,

so the size at which the median crosses lies in (N_{i-1}, N_i]. It is censored where N_1 is enough (N* ≤ N_1) and where no size is
(N* > the largest). Likewise the time to learn of one network is that of the first record with an error at most the threshold, and
censored where there is none.

Networks of many widths are one program: of a wide network all but the first `width` units of a hidden layer are held at zero, which is
exactly the narrow network, in value and in gradient, whatever the activation.
Source of the question: Rolnick & Tegmark, arXiv:1705.05502, figure 2; Lin, Tegmark & Rolnick, arXiv:1608.08225, set it aside.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..models import MLP, functional
from ..models.activations import Activation
from ..models.base import Apply


class Least(NamedTuple):
    """N*, and the interval (`low`, `high`] that holds it with probability .68 over draws of the networks that were trained."""

    size: float
    """Where censored, the smallest or the largest size tried."""
    low: float
    """0 if the smallest size may be enough."""
    high: float
    """Infinite if no size may be."""
    censored: int
    """-1: N* is at most the smallest size; 1: above the largest; 0: between."""


def least_size(sizes: Sequence[Any] | np.ndarray, errors: np.ndarray, threshold: float, resamples: int = 1000) -> Least:
    """N* of `sizes` (size,), increasing, with errors (size, network) at the end of training; `ValueError` if the shapes differ.

    The interval is that of N* when the networks of each size are drawn again with replacement; the drawing is the same at each call.
    """
    sizes, errors = np.asarray(sizes, float), np.asarray(errors, float)
    if sizes.shape != errors.shape[:1] or np.any(np.diff(sizes) <= 0):
        raise ValueError(f"sizes={sizes.tolist()}: must increase, one for each of {len(errors)} rows of errors")
    count = len(sizes)
    drawn = np.random.default_rng(0).integers(errors.shape[1], size=(resamples, *errors.shape))
    medians = np.median(np.take_along_axis(errors[None], drawn, 2), 2)
    place, places = _first(np.median(errors, 1) <= threshold), _first(medians <= threshold)
    below, above = np.append(0.0, sizes), np.append(sizes, np.inf)
    first, last = np.quantile(places, [0.16, 0.84], method="nearest").astype(int)
    first, last = min(first, int(place)), max(last, int(place))
    return Least(float(sizes[min(place, count - 1)]), float(below[first]), float(above[last]), int(place == count) - int(place == 0))


def learning_time(steps: np.ndarray, errors: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """First of `steps` (record,) at which the errors (…, record) are at most the threshold, and whether any are: (…), (…).

    The time of a run that does not learn is the last step, at which it is censored. The median of several such times is the median of
    the times to learn as long as the runs in the middle did learn.
    """
    place = _first(np.asarray(errors) <= threshold)
    return np.asarray(steps)[np.minimum(place, len(steps) - 1)], place < len(steps)


def narrow(key: jax.Array, sizes: Sequence[int], inputs: Any, width: Any, activation: str | Activation) -> tuple[Any, Apply]:
    """Parameters (float32) and pure function of a network of which only `inputs` inputs and `width` units a layer are in use.

    `sizes` = (inputs, hidden widths …, outputs) of the arrays; `inputs` and `width` may be traced. Weights start as N(0, 1/fan-in) of
    the units in use, biases as 0; inputs that are not in use must be 0.
    """
    draw = lambda layer, shape: jax.random.normal(jax.random.fold_in(key, layer), shape, jnp.float32)
    fans = [inputs, *[width] * (len(sizes) - 2)]
    scales = [jax.lax.rsqrt(jnp.asarray(fan, jnp.float32)) for fan in fans]
    weights = [draw(layer, shape) * scale for layer, (shape, scale) in enumerate(zip(itertools.pairwise(sizes), scales, strict=True))]
    biases = [jnp.zeros(w.shape[1:], jnp.float32) for w in weights]
    params, apply = functional(MLP.of(weights, biases, activation))

    def masked(_, hidden):
        return jnp.where(jnp.arange(hidden.shape[1])[None] < width, hidden, jnp.zeros_like(hidden))

    return params, lambda params, x: apply(params, x, patch=masked)


def _first(reached: np.ndarray) -> np.ndarray:
    """Index of the first true along the last axis; its length if there is none."""
    return np.where(reached.any(-1), reached.argmax(-1), reached.shape[-1])
