"""Counts layer by layer: for every array of parameters its smallest and largest number of contexts and its share of p = C/Z.

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011; theory page 1.1.
"""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from ..record import array, record
from .histogram import Histogram
from .trace import Trace


@record
class Layers:
    """Arrays of parameters in the order of their first use. An array without a context has `used` 0 and logarithms 0."""

    parameters: Int[np.ndarray, "layer"] = array("entries")
    used: Int[np.ndarray, "layer"] = array("those with a context")
    smallest: Float[np.ndarray, "layer"] = array("log2 of the smallest C of those", "bit")
    largest: Float[np.ndarray, "layer"] = array("log2 of the largest C", "bit")
    share: Float[np.ndarray, "layer"] = array("Σ C / Z")
    name: Shaped[np.ndarray, "layer"] = array("where it is in the parameters")
    dimensions: Shaped[np.ndarray, "layer"] = array("its shape, as 3×3×16×32")


def layers(trace: Trace, counts: Any) -> Layers:
    """Of the counts of a traced model, exact ones or their logarithms; `ValueError` if no parameter has a context."""
    whole = Histogram.of(counts)
    indices = jax.tree.unflatten(trace.structure, range(len(trace.leaves)))
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value") for path, _ in jax.tree.leaves_with_path(indices)
    ]
    uses: dict[int | None, int] = {}
    for place, equation in enumerate(trace.equations):
        for operand in equation.operands:
            uses.setdefault(operand, place)
    order = sorted(range(len(names)), key=lambda i: uses.get(trace.leaves[i], len(trace.equations)))
    rows = [_row(jax.tree.leaves(counts)[i], whole) for i in order]
    used, smallest, largest, share = (np.array(column) for column in zip(*rows, strict=True))
    shapes = [trace.leaf_shapes[i] for i in order]
    return Layers(
        name=np.array([names[i] for i in order]),
        dimensions=np.array(["×".join(map(str, shape)) or "1" for shape in shapes]),
        parameters=np.array([math.prod(shape) for shape in shapes]),
        used=used,
        smallest=smallest,
        largest=largest,
        share=share,
    )


def _row(leaf: np.ndarray, whole: Histogram) -> tuple[int, float, float, float]:
    try:
        own = Histogram.of(leaf)
    except ValueError:
        return 0, 0.0, 0.0, 0.0
    return own.parameters, float(own.log2[0]), float(own.log2[-1]), 2 ** (own.log_partition - whole.log_partition)
