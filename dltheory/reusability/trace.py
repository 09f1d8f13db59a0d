"""Contexts of every parameter of any JAX function, by one sweep back over its program.

A context of a parameter is a path from a place where it is used to an output; their number C is the sum, over the uses, of the number
of paths B from there to the outputs (`kind="published"`). B follows backwards from the outputs, where it is 1, through the arcs of
every operation (`rules`). The through-count T = Σ_uses F(source) B(target) multiplies by the number F of paths from the inputs; it
equals the SynFlow saliency of a network whose weights are 1. An entrywise function is one node however it is written: operations on
single entries are wires, and where the operands of one are all functions of the same tensor, entry by entry (x·σ(x)), its result is a
wire from that tensor (root merging; x + x is one arc then, and without it two). Literals and constants have no paths, and a denominator
that depends on the data is a normaliser and has none either.

Source: Polat & Alpaslan, "The reusability prior: comparing deep learning models without training", Mach. Learn.: Sci. Technol. 4
(2023) 025011; the sweep over JAX programs and the rules for attention, softmax and normalisers are ours (page 3.2).
"""

import dataclasses
import functools
import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Activations
from .counts import EXACT, LOG, Counts, Numbers, primes, recombine, residues
from .normalisers import plain_normalisers
from .program import Builder, Equation, Known, Wire, is_of
from .rules import MEETINGS, Shape, pull, push

KINDS = ("published", "through")
ARITHMETICS = ("exact", "log", "residue")
CHOICES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where Python or a shape depends on the data."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """A program as arcs between tensors, numbered in order; `data` says which depend on the input.

    `leaves` are the parameters, `roots` the tensors where paths from the inputs begin, `ends` the outputs, `inputs` their number N_I.
    """

    equations: tuple[Equation, ...]
    shapes: tuple[Shape, ...]
    data: tuple[bool, ...]
    leaves: tuple[int | None, ...]
    leaf_shapes: tuple[Shape, ...]
    structure: Any
    roots: tuple[int, ...]
    ends: tuple[int, ...]
    inputs: int

    @property
    def outputs(self) -> int:
        """Output nodes N_O."""
        return sum(math.prod(self.shapes[i]) for i in self.ends)

    def counts(self, kind: str = "published", arithmetic: str = "exact") -> Any:
        """Counts of all parameters: see `count_contexts`."""
        for name, value, allowed in (("kind", kind, KINDS), ("arithmetic", arithmetic, ARITHMETICS)):
            if value not in allowed:
                raise ValueError(f"{name}={value}: must be one of {', '.join(allowed)}")
        if arithmetic != "residue":
            found = self._sweep(EXACT if arithmetic == "exact" else LOG, kind)
            return jax.tree.unflatten(self.structure, [c.view for c in found])
        moduli = primes(1 + math.ceil(max((c.values.max(initial=0.0) for c in self._sweep(LOG, kind)), default=0.0)))
        sweeps = [self._sweep(residues(p), kind) for p in moduli]
        merged = [np.broadcast_to(recombine([c.values for c in each], moduli), each[0].shape) for each in zip(*sweeps, strict=True)]
        return jax.tree.unflatten(self.structure, merged)

    @functools.cached_property
    def weight_nodes(self) -> int:
        """Weight nodes N_W before tying: entries of parameters with contexts, once for each operation on data that uses them."""
        paths, producers = self._backward(LOG), {e.result: e for e in self.equations}
        leaves = {i for i in self.leaves if i is not None}

        def reached(i: int, counts: Counts) -> int:
            pending, found = {i: counts}, 0
            while pending:
                counts = pending.pop(i := max(pending))
                if i in leaves:
                    found += int(np.count_nonzero(counts.values > -np.inf)) * math.prod(counts.shape) // max(counts.values.size, 1)
                elif i in producers:
                    for operand, chain in producers[i].arcs:
                        _add(pending, operand, pull(chain, counts))
            return found

        uses = [
            reached(operand, pull(chain, paths[e.result]))
            for e in self.equations
            if self.data[e.result] and e.result in paths
            for operand, chain in e.arcs
            if not self.data[operand]
        ]
        return sum(uses) + sum(reached(i, paths[i]) for i in self.ends if not self.data[i])

    def _backward(self, numbers: Numbers, forward: dict[int, Counts] | None = None) -> dict[int, Counts]:
        """B of every tensor that reaches an output; with `forward`, what parameters get is weighted by the paths F to their partners."""
        paths: dict[int, Counts] = {}
        for i in self.ends:
            _add(paths, i, Counts.full(numbers, numbers.one, self.shapes[i]))
        for e in reversed(self.equations):
            if e.result not in paths:
                continue
            for place, (operand, chain) in enumerate(zip(e.operands, e.chains, strict=True)):
                if operand is None or chain is None:
                    continue
                partner = e.operands[1 - place] if e.name in MEETINGS else None
                if forward is not None and not self.data[operand] and partner is not None and self.data[partner]:
                    chain = MEETINGS[e.name](e.operation).weighted(place, forward[partner])
                _add(paths, operand, pull(chain, paths[e.result]))
        return paths

    def _forward(self, numbers: Numbers) -> dict[int, Counts]:
        """F of every tensor that depends on the input."""
        paths = {i: Counts.full(numbers, numbers.one, self.shapes[i]) for i in self.roots}
        for e in self.equations:
            for operand, chain in e.arcs:
                if operand in paths:
                    _add(paths, e.result, push(chain, paths[operand]))
        return paths

    def _sweep(self, numbers: Numbers, kind: str) -> list[Counts]:
        """Counts of each leaf."""
        paths = self._backward(numbers, self._forward(numbers) if kind == "through" else None)
        none = lambda shape: Counts.full(numbers, numbers.zero, shape)
        return [none(shape) if i is None or i not in paths else paths[i] for i, shape in zip(self.leaves, self.leaf_shapes, strict=True)]


def count_contexts(
    fn: Callable[..., Any], params: Any, x: Any, kind: str = "published", arithmetic: str = "exact", merge_roots: bool = True
) -> Any:
    """The contexts of every parameter of `fn(params, x)`, shaped like `params`.

    `x` is one example with its batch axis; arrays may be given as shapes (`jax.ShapeDtypeStruct`) unless they index others. All
    floating arrays that `fn` returns are outputs; of `Activations`, the output alone. `kind`: "published" C, or "through" T.
    `arithmetic`: "exact" and "residue" give integers of Python in object arrays, "log" gives log₂ C (-∞ for 0). Equal counts are stored
    once: the arrays are read-only views. `merge_roots=False` counts an arc for every operand of x·σ(x).
    Raises `ValueError`, naming the operation and its line, where no rule applies: loops and branches that depend on data, sorting,
    linear solvers, normalisers computed from data.
    """
    return trace(fn, params, x, merge_roots).counts(kind, arithmetic)


def trace(fn: Callable[..., Any], params: Any, x: Any, merge_roots: bool = True) -> Trace:
    """The program of `fn(params, x)` as arcs, from which every kind of count follows; arguments as in `count_contexts`."""

    def outputs(params: Any, x: Any) -> list[Any]:
        out = fn(params, x)
        return jax.tree.leaves(out.output if isinstance(out, Activations) else out)

    try:
        with plain_normalisers():
            program = jax.make_jaxpr(outputs)(params, x)
    except CHOICES as error:
        raise ValueError(
            f"{type(error).__name__}{_place(error)}: a shape or a choice that depends on the data; give it fixed sizes"
        ) from error
    except Exception as error:
        if type(error).__name__ != "TraceContextError":
            raise
        raise ValueError(f"TraceContextError{_place(error)}: a module that draws or changes; count it in inference mode") from error
    builder = Builder(merge_roots)
    leaves, structure = jax.tree.flatten(params)
    values = jax.tree.leaves(x)
    given = [builder.leaf(leaf, False) for leaf in leaves] + [builder.leaf(value, True) for value in values]
    found = builder.run(program.jaxpr, [Known(lambda c=c: c) for c in program.consts], given)
    ends = [a.number for a, v in zip(found, program.out_avals, strict=True) if isinstance(a, Wire) and is_of(v, jnp.inexact)]
    if not ends:
        raise ValueError("fn: must return floating arrays that depend on params or x")
    return Trace(
        tuple(builder.equations),
        tuple(builder.shapes),
        tuple(builder.data),
        tuple(a.number if isinstance(a, Wire) else None for a in given[: len(leaves)]),
        tuple(np.shape(leaf) for leaf in leaves),
        structure,
        tuple(builder.roots),
        tuple(ends),
        sum(math.prod(np.shape(value)) for value in values if is_of(value, jnp.number)),
    )


def _place(error: Exception) -> str:
    """Where in the model an error of JAX was raised."""
    ours = [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and not {"jax", "flax"} & {*Path(f.filename).parts}
    ]
    return f" at {ours[-1].filename}:{ours[-1].lineno} ({ours[-1].name})" if ours else ""


def _add(paths: dict[int, Counts], i: int, counts: Counts) -> None:
    paths[i] = paths[i] + counts if i in paths else counts
