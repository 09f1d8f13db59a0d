"""Normalisation layers without their statistics: while a model is traced for counting, they become x·γ + β.

Means and variances of the data link every unit of a layer with every other and are not part of the reusability prior's graph, which
has one arc from a unit to its normalised value (page 3.2, rule 6). All layers of flax, nnx and linen, take their statistics from one
function, which is replaced by mean 0 and variance 1; the model zoo has a layer of its own. Running averages are numbers like γ and β
and need nothing; the batch normalisation of nnx uses them in training too, for it may not renew them inside a trace. Other normalisers
are refused by the tracer.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from ..models.layer_norm import LayerNorm

FLAX = ("flax.nnx.nn.normalization", "flax.linen.normalization")


def _no_statistics(x: Any, axes: Any, *_: Any, **__: Any) -> tuple[jax.Array, jax.Array]:
    """Mean 0 and variance 1 in the shape of averages over these axes."""
    shape = tuple(np.delete(x.shape, axes).tolist())
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.zeros(shape, dtype), jnp.ones(shape, dtype)


def _affine(self: LayerNorm, z: jax.Array) -> jax.Array:
    each = (None,) * (z.ndim - 1)
    return self.scale[...][each] * z + self.shift[...][each]


def _running(call: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lambda self, x, *_, **__: call(self, x, use_running_average=True)


@contextlib.contextmanager
def plain_normalisers() -> Iterator[None]:
    """Inside, normalisation layers compute x·γ + β."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(LayerNorm, "__call__", _affine))
        batch = sys.modules[FLAX[0]].BatchNorm
        stack.enter_context(mock.patch.object(batch, "__call__", _running(batch.__call__)))
        for module in filter(None, map(sys.modules.get, FLAX)):
            stack.enter_context(mock.patch.object(module, "_compute_stats", _no_statistics))
        yield
