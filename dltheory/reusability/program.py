"""A program of JAX as arcs between tensors: calls inlined, loops unrolled, functions of single entries turned into wires.

What depends on neither parameters nor data is known, or can be computed when an index asks for it; where it is 0 by construction, there
are no arcs. A function of the entries of one tensor is that tensor. What cannot be written as arcs is refused, in one line that names
the operation, where it stands, and what to do. The rules are those of `rules`; page 3.2.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core, source_info_util

from .counts import SUPPORT, Counts
from .rules import (
    CUT,
    ELEMENTWISE,
    MEETINGS,
    REDUCTIONS,
    RULES,
    Chain,
    Operation,
    Shape,
    chosen,
    elementwise,
    picked,
    placed,
    push,
    spread,
    total,
)

CALLS = ("jit", "remat2", "custom_jvp_call", "custom_vjp_call", "composite")
PASSED = ("optimization_barrier", "device_put")
WIRES = frozenset(
    "relu relu6 gelu silu swish elu selu celu softplus leaky_relu softmax log_softmax sigmoid log_sigmoid hard_tanh mish".split()
)
"""Names of compiled functions that act on each entry, or normalise."""
MIXERS = ("dot_general", "conv_general_dilated")
MOVES = frozenset(
    "mul select_n dot_general broadcast_in_dim squeeze transpose reshape slice concatenate stack tile pad rev split gather dynamic_slice "
    "dynamic_update_slice scatter scatter-add scatter-sub scatter-max scatter-min".split()
)
"""Operations that leave zeros zeros, somewhere else."""
RANDOM = ("random_bits", "threefry2x32", "rng_bit_generator", "rng_uniform")
LINEAR = frozenset("mul neg convert_element_type copy name".split())
"""Functions of an entry that are 0 at 0 and seen between a mask or padding and the product that it is for."""
REFUSED = {
    "while": ("a loop whose length depends on the data", "use jax.lax.scan or fori_loop with a fixed number of steps"),
    "cond": ("a branch that depends on the data", "count each branch as a model of its own"),
    **dict.fromkeys(("sort", "top_k", "approx_top_k"), ("places that depend on the data", "count a model without it")),
    "normaliser": ("a normaliser computed from the data", "use flax's normalisation layers, which count as x·γ + β"),
}
"""Why some operations have no rule, and what to do."""


class Wire(NamedTuple):
    """A tensor that depends on parameters or data."""

    number: int


class Known:
    """A value that depends on neither, computed when it is asked for; `data`: made of integers of the input; `drawn`: at random."""

    def __init__(self, compute: Callable[[], Any], data: bool = False, drawn: bool = False) -> None:
        self.compute, self.data, self.drawn = functools.cache(compute), data, drawn

    @functools.cached_property
    def support(self) -> Counts | None:
        """Where it is not 0, or may not be with another input; `None`: everywhere."""
        there = np.ones((), bool) if self.data else np.asarray(np.asarray(self.compute()) != 0)
        return None if np.all(there) else Counts(SUPPORT, there, there.shape)

    @property
    def vanishes(self) -> bool:
        """Whether it is 0."""
        return self.support is not None and not np.any(self.support.values)


Atom = Wire | Known | None
"""What a variable stands for; `None`: cut off from parameters and data, its value unknown."""


@dataclasses.dataclass(frozen=True)
class Equation:
    """Arcs from operands (tensors, or `None`) to a result."""

    name: str
    operands: tuple[int | None, ...]
    result: int
    chains: tuple[Chain | None, ...]
    operation: Operation

    @property
    def arcs(self) -> list[tuple[int, Chain]]:
        """Tensors and their chains to the result."""
        return [(i, chain) for i, chain in zip(self.operands, self.chains, strict=True) if i is not None and chain is not None]


def is_of(value: Any, kind: Any) -> bool:
    """Whether an array, or the shape of one, has a dtype of this kind."""
    return jnp.issubdtype(jnp.result_type(value), kind)


class Builder:
    """Flattens a program into equations between numbered tensors."""

    def __init__(self, merge_roots: bool) -> None:
        self.merge_roots = merge_roots
        self.equations: list[Equation] = []
        self.shapes: list[Shape] = []
        self.data: list[bool] = []
        self.moment: list[bool] = []
        self.roots: list[int] = []
        self.callers: list[Any] = []
        self.unshaped: dict[int, Wire] = {}
        self.peaks: dict[int, Wire] = {}
        self.supports: dict[int, Counts] = {}

    def new(self, shape: Sequence[Any], data: bool, moment: bool = False) -> Wire:
        """A tensor."""
        self.shapes.append(tuple(shape))
        self.data.append(data)
        self.moment.append(moment)
        return Wire(len(self.shapes) - 1)

    def leaf(self, value: Any, data: bool) -> Atom:
        """A parameter, or a part of the input: floating arrays have paths, integers of the input are known."""
        if is_of(value, jnp.inexact):
            return self.root(np.shape(value)) if data else self.new(np.shape(value), False)
        return Known(lambda: value, True) if data and not isinstance(value, jax.ShapeDtypeStruct) else None

    def root(self, shape: Sequence[Any]) -> Wire:
        """Input nodes."""
        wire = self.new(shape, True)
        self.roots.append(wire.number)
        return wire

    def shape(self, equation: Any, variable: Any) -> Shape:
        """That of a variable of an equation."""
        shape = getattr(variable.aval, "shape", ())
        if not all(isinstance(n, int) for n in shape):
            raise ValueError(self.refusal(equation, "a shape that is not known before the program runs", "give it fixed sizes"))
        return tuple(shape)

    def refusal(self, equation: Any, why: str = "no counting rule", what: str = "count a model without it") -> str:
        """One line that names the operation, where it stands, and what to do."""
        places = (source_info_util.summarize(e.source_info) for e in (equation, *reversed(self.callers)))
        return f"{equation.primitive.name}{next((f' at {place}' for place in places if place), '')}: {why}; {what}"

    def run(self, program: Any, constants: Sequence[Atom], arguments: Sequence[Atom]) -> list[Atom]:
        """The outputs of a program."""
        known: dict[Any, Atom] = dict(zip((*program.constvars, *program.invars), (*constants, *arguments), strict=True))
        read = lambda v: Known(lambda: v.val) if isinstance(v, core.Literal) else known[v]
        for equation in program.eqns:
            known.update(zip(equation.outvars, self.result(equation, [read(v) for v in equation.invars]), strict=True))
        return [read(v) for v in program.outvars]

    def result(self, equation: Any, operands: list[Atom]) -> list[Atom]:
        """What an equation's outputs stand for."""
        name, wires = equation.primitive.name, [a for a in operands if isinstance(a, Wire)]
        shapes = [self.shape(equation, v) for v in equation.outvars]
        if not wires:
            return _constant(equation, operands)
        if name in CALLS:
            return self.call(equation, operands, wires, shapes)
        if name == "scan":
            return self.scan(equation, operands)
        if name == "cond" and isinstance(operands[0], Known):
            branches = equation.params["branches"]
            branch = branches[int(np.clip(operands[0].compute(), 0, len(branches) - 1))]
            return self.run(branch.jaxpr, [Known(lambda c=c: c) for c in branch.consts], operands[1:])
        if name in CUT or equation.params.get("new_dtype") == np.dtype(bool):
            return [None] * len(shapes)
        if name in ("split", "unstack"):
            return self.split(equation, operands, shapes)
        if name in PASSED:
            return operands
        if name not in RULES and name not in ELEMENTWISE:
            raise ValueError(self.refusal(equation, *REFUSED.get(name, ())))
        if equation.params.get("batch_group_count", 1) != 1:
            raise ValueError(self.refusal(equation, "no counting rule for batch_group_count"))
        if self.normalises(equation, operands, wires):
            raise ValueError(self.refusal(equation, *REFUSED["normaliser"]))
        if (name == "mul" or name in MIXERS) and any(isinstance(a, Known) and a.vanishes for a in operands):
            return [Known(lambda: jnp.zeros(shapes[0], equation.outvars[0].aval.dtype))]
        if name == "reshape" and not equation.params.get("dimensions"):
            return [self.reshape(equation, wires[0], shapes[0])]
        return [self.entry(equation, operands, wires, shapes[0])]

    def normalises(self, equation: Any, operands: list[Atom], wires: list[Wire]) -> bool:
        """Whether it is a root or a reciprocal of a sum over data."""
        name = equation.primitive.name
        root = name in ("sqrt", "rsqrt", "cbrt", "pow") or (name == "integer_pow" and equation.params["y"] < 0)
        reciprocal = name == "div" and not isinstance(operands[0], Wire)
        return (root or reciprocal) and any(self.moment[w.number] for w in wires)

    def entry(self, equation: Any, operands: list[Atom], wires: list[Wire], shape: Shape) -> Wire:
        """The result of one operation; a wire where it acts on the entries of one tensor."""
        name = equation.primitive.name
        if name == "div" and len(wires) == 2 and all(self.data[w.number] for w in wires):
            operands = [operands[0], None]
            wires = wires[:1]
        if name == "sub" and len(wires) == 2 and self.peaks.get(wires[1].number) == wires[0]:
            return wires[0]
        alike = self.shapes[wires[0].number] == shape and (len(wires) == 1 or (self.merge_roots and len(set(wires)) == 1))
        known = [a for a in operands if isinstance(a, Known)]
        begins = any(a.data for a in known) and not self.data[wires[0].number]
        thins = name == "mul" and any(a.support for a in known)
        fills = wires[0].number in self.supports and name not in LINEAR
        first = operands[0]
        which = first if name == "select_n" and isinstance(first, Known) and not (first.data or first.drawn) else None
        if (name in ELEMENTWISE or name == "select_n") and alike and not begins and not thins and not fills and not which:
            return wires[0]
        rule = RULES.get(name, elementwise)
        if which:
            rule = functools.partial(chosen, which=np.asarray(which.compute()))
        out = self.append(name, operands, shape, rule, dict(equation.params), equation, [self.shape(equation, v) for v in equation.invars])
        if name == "reduce_max":
            self.peaks[out.number] = wires[0]
        elif name == "broadcast_in_dim" and (peak := self.peaks.get(wires[0].number)):
            self.peaks[out.number] = peak
        return out

    def reshape(self, equation: Any, wire: Wire, shape: Shape) -> Wire:
        """Another shape; what is flattened and restored is the tensor itself."""
        origin = self.unshaped.get(wire.number, wire)
        before = self.shapes[origin.number]
        if before == shape:
            return origin
        out = self.append("reshape", [origin], shape, RULES["reshape"], {}, equation, [before])
        self.unshaped[out.number] = origin
        if peak := self.peaks.get(origin.number):
            self.peaks[out.number] = peak
        return out

    def append(
        self, name: str, operands: Sequence[Atom], shape: Shape, rule: Any, params: dict[str, Any], equation: Any, shapes: Sequence[Shape]
    ) -> Wire:
        """One equation more."""

        def value(i: int) -> Any:
            if not isinstance(atom := operands[i], Known):
                raise ValueError(
                    self.refusal(equation, "indices that depend on the data", "give integers of the input as numbers, not as shapes")
                )
            return atom.compute()

        def support(i: int) -> Counts | None:
            atom = operands[i]
            return self.supports.get(atom.number) if isinstance(atom, Wire) else atom.support if isinstance(atom, Known) else None

        def number(atom: Atom, chain: Chain | None, shape: Shape) -> int | None:
            if chain is None or atom is None:
                return None
            if isinstance(atom, Known):
                return self.root(shape).number if atom.data else None
            return atom.number

        operation = Operation(tuple(shapes), tuple(shape), params, value, support)
        chains = rule(operation)
        used = [number(*each) for each in zip(operands, chains, shapes, strict=True)]
        sources = [i for i in used if i is not None]
        data = [i for i in sources if self.data[i]]
        looked_up = not data and any(isinstance(a, Known) and a.data for a in operands)
        gathers = bool(data) and (name in REDUCTIONS or name in ("reduce_window_sum", "cumsum"))
        meets = name == "dot_general" and len(data) == 2
        moment = gathers or meets or (name not in MIXERS and any(self.moment[i] for i in sources))
        out = self.new(shape, bool(data) or looked_up, moment)
        if looked_up:
            self.roots.append(out.number)
        if name in MOVES and any(map(support, range(len(operands)))) and not (name == "pad" and support(1) is None):
            there = [support(i) or Counts.full(SUPPORT, True, s) for i, s in enumerate(shapes)]
            ways = [(chain, c) for chain, c in zip(chains, there, strict=True) if chain is not None][: 1 if name in MEETINGS else None]
            whole = functools.reduce(Counts.__add__, [push(chain, c) for chain, c in ways])
            if not np.all(whole.values):
                self.supports[out.number] = whole
        self.equations.append(Equation(name, tuple(used), out.number, tuple(chains), operation))
        return out

    def call(self, equation: Any, operands: list[Atom], wires: list[Wire], shapes: list[Shape]) -> list[Atom]:
        """A function within the program: a wire if its name says so, else its body."""
        if str(equation.params.get("name")) in WIRES and len(wires) == 1 and shapes == [self.shapes[wires[0].number]]:
            return [
                self.append("activation", wires, shapes[0], elementwise, {}, equation, shapes)
                if wires[0].number in self.supports
                else wires[0]
            ]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        program, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "jaxpr") else (inner, ())
        self.callers.append(equation)
        out = self.run(program, [Known(lambda c=c: c) for c in constants], operands)
        self.callers.pop()
        return out

    def split(self, equation: Any, operands: list[Atom], shapes: list[Shape]) -> list[Atom]:
        """Parts along an axis, which is dropped if the parts are entries."""
        axis, before = equation.params["axis"], self.shape(equation, equation.invars[0])
        sizes = equation.params.get("sizes", (1,) * before[axis])
        ends = np.cumsum(sizes)
        drop = lambda shape: () if len(shape) == len(before) else (total([axis], (*before[:axis], 1, *before[axis + 1 :])),)
        part = lambda end, n, shape: lambda _: ((picked(axis, before[axis], np.arange(end - n, end)), *drop(shape)),)
        parts = zip(ends, sizes, shapes, strict=True)
        return [self.append("split", operands, shape, part(end, n, shape), {}, equation, [before]) for end, n, shape in parts]

    def scan(self, equation: Any, operands: list[Atom]) -> list[Atom]:
        """The body as often as the loop is long."""
        p = equation.params
        length, fixed, carried = p["length"], p["num_consts"], p["num_carry"]
        constants, carry, series = operands[:fixed], operands[fixed : fixed + carried], operands[fixed + carried :]
        results: list[list[Atom]] = []
        body = [Known(lambda c=c: c) for c in p["jaxpr"].consts]
        steps = range(length)[::-1] if p["reverse"] else range(length)
        shapes = [self.shape(equation, v) for v in equation.invars[fixed + carried :]]
        for i in steps:
            each = [self.at(equation, a, shape, i) for a, shape in zip(series, shapes, strict=True)]
            out = self.run(p["jaxpr"].jaxpr, body, [*constants, *carry, *each])
            carry = out[:carried]
            for known in carry:
                if isinstance(known, Known):
                    known.compute()
            results.append(out[carried:])
        ordered = results[::-1] if p["reverse"] else results
        stacked = [
            self.stack(equation, [step[j] for step in ordered], self.shape(equation, v)) for j, v in enumerate(equation.outvars[carried:])
        ]
        return [*carry, *stacked]

    def at(self, equation: Any, atom: Atom, shape: Shape, i: int) -> Atom:
        """Entry i of a series."""
        if isinstance(atom, Known):
            return Known(lambda: atom.compute()[i], atom.data)
        if atom is None:
            return None
        chain = (picked(0, shape[0], np.array([i])), total([0], (1, *shape[1:])))
        return self.append("slice", [atom], shape[1:], lambda _: (chain,), {}, equation, [shape])

    def stack(self, equation: Any, atoms: list[Atom], shape: Shape) -> Atom:
        """A series of results."""
        known = [a for a in atoms if isinstance(a, Known)]
        if atoms and len(known) == len(atoms):
            return Known(lambda: jnp.stack([a.compute() for a in known]), any(a.data for a in known))
        if not any(isinstance(a, Wire) for a in atoms):
            return None
        chains = tuple((spread([0], (1, *shape[1:])), placed(0, shape[0], np.array([i]))) for i in range(len(atoms)))
        return self.append("concatenate", atoms, shape, lambda _: chains, {}, equation, [shape[1:]] * len(atoms))


def _constant(equation: Any, operands: list[Atom]) -> list[Atom]:
    """Outputs of an equation that sees neither parameters nor data, evaluated when an index asks for them."""
    if any(a is None for a in operands):
        return [None] * len(equation.outvars)

    @functools.cache
    def values() -> list[Any]:
        primitive = equation.primitive
        given = [jnp.asarray(a.compute()) for a in operands if isinstance(a, Known)]
        out = primitive.bind(*given, **primitive.get_bind_params(equation.params))
        return list(out) if primitive.multiple_results else [out]

    known = [a for a in operands if isinstance(a, Known)]
    data, drawn = any(a.data for a in known), any(a.drawn for a in known) or _draws(equation)
    return [Known(lambda i=i: values()[i], data, drawn) for i in range(len(equation.outvars))]


def _draws(equation: Any) -> bool:
    """Whether random numbers are drawn in it."""
    inner = core.jaxprs_in_params(equation.params)
    return equation.primitive.name in RANDOM or any(_draws(e) for program in inner for e in program.eqns)
