"""How counts pass through each operation of a JAX program: the counting rules of the reusability prior.

Every operation is a set of arcs from entries of its operands to entries of its result. A rule writes the arcs of one operand as a
chain of steps, each a map of counts and its transpose: `push` leads from the operand to the result (paths from the inputs, F), `pull`
back (paths to the outputs, B). The numbers that a matrix or a kernel holds do not matter, only which entries meet; where a factor is
0 by construction (a fixed mask, padding) there is no arc. Pooling links every valid cell of its window; a padded cell is not a node;
both factors of a product have arcs.

Source: Polat & Alpaslan, "The reusability prior" (2023), and the author's `priors` 1.0.0 for layers; the table of primitives is ours.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .counts import SUPPORT, Counts, Pairs

Shape = tuple[int, ...]


class Step(NamedTuple):
    """A map of counts and its transpose."""

    push: Callable[[Counts], Counts]
    pull: Callable[[Counts], Counts]


Chain = tuple[Step, ...]
"""Steps from an operand to the result, first first; the empty chain links equal entries."""


class Operation(NamedTuple):
    """What a rule may look at: shapes of operands and result, the primitive's parameters, and values of operands that are known."""

    shapes: tuple[Shape, ...]
    result: Shape
    params: Mapping[str, Any]
    value: Callable[[int], Any]
    """`value(i)` is what operand i holds; raises `ValueError` if it depends on parameters or data."""
    support: Callable[[int], Counts | None]
    """`support(i)` says where operand i is not 0 for all parameters and data; `None`: everywhere."""


Rule = Callable[[Operation], tuple[Chain | None, ...]]
"""The chain of each operand; `None` where there are no arcs."""


def push(chain: Chain, counts: Counts) -> Counts:
    """From an operand to the result."""
    for step in chain:
        counts = step.push(counts)
    return counts


def pull(chain: Chain, counts: Counts) -> Counts:
    """From the result to an operand."""
    for step in reversed(chain):
        counts = step.pull(counts)
    return counts


def total(axes: Sequence[int], shape: Shape) -> Step:
    """Sums over axes of a tensor of that shape."""
    lengths = [shape[a] for a in axes]
    return Step(lambda c: c.total(axes), lambda c: c.spread(axes, lengths))


def spread(axes: Sequence[int], shape: Shape) -> Step:
    """Copies along axes of the new shape."""
    return Step(*reversed(total(axes, shape)))


def permuted(order: Sequence[int]) -> Step:
    """Axes in another order."""
    back = np.argsort(order).tolist()
    return Step(lambda c: c.permuted(order), lambda c: c.permuted(back))


def reshaped(before: Shape, after: Shape) -> Step:
    """Another shape of as many entries."""
    return Step(lambda c: c.reshaped(after), lambda c: c.reshaped(before))


def mapped(axis: int, before: int, after: int, pairs: Pairs) -> Step:
    """Positions along an axis."""
    back = [(b, a) for a, b in pairs]
    return Step(lambda c: c.mapped(axis, after, pairs), lambda c: c.mapped(axis, before, back))


def moved(before: Shape, after: Shape, origin: np.ndarray) -> Step:
    """`origin` holds, for each entry of the result, one more than the flat entry it comes from, or 0."""
    flat = np.asarray(origin).reshape(-1)
    to = np.flatnonzero(flat > 0)
    of = flat[to] - 1
    return Step(lambda c: c.moved(of, to, after), lambda c: c.moved(to, of, before))


def picked(axis: int, before: int, positions: np.ndarray) -> Step:
    """The entries at these positions of an axis, none twice."""
    return mapped(axis, before, len(positions), [(positions, np.arange(len(positions)))])


def placed(axis: int, after: int, positions: np.ndarray) -> Step:
    """An axis written to these positions of a longer one; positions beyond it are dropped."""
    inside = np.flatnonzero((positions >= 0) & (positions < after))
    return mapped(axis, len(positions), after, [(inside, positions[inside])])


def transposed(chain: Chain) -> Chain:
    """The chain that leads back."""
    return tuple(Step(step.pull, step.push) for step in reversed(chain))


class Window(NamedTuple):
    """A window that slides along an axis: y = h·stride + a·dilation - padding, counted on the input dilated by `spacing`."""

    inputs: int
    outputs: int
    size: int
    stride: int
    padding: int
    spacing: int
    dilation: int

    @property
    def cells(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each place a in the window: positions y of the input and h of the output that it links."""
        h, links = np.arange(self.outputs), []
        for a in range(self.size):
            y, rest = np.divmod(h * self.stride + a * self.dilation - self.padding, self.spacing)
            valid = (y >= 0) & (y < self.inputs) & (rest == 0)
            links.append((y[valid], h[valid]))
        return links

    def over_input(self, axis: int) -> Chain:
        """From the input to the output."""
        trivial = self.size == 1 and self.inputs == self.outputs == len(self.cells[0][0])
        return () if trivial else (mapped(axis, self.inputs, self.outputs, self.cells),)

    def over_places(self, axis: int) -> Chain:
        """From the input to axes (place in the window, output)."""
        after = lambda shape: (*shape[:axis], self.size, self.outputs, *shape[axis + 1 :])
        join = lambda shape: (*shape[:axis], self.size * self.outputs, *shape[axis + 2 :])
        links = [(y, a * self.outputs + h) for a, (y, h) in enumerate(self.cells)]
        divide = Step(lambda c: c.reshaped(after(c.shape)), lambda c: c.reshaped(join(c.shape)))
        return (mapped(axis, self.inputs, self.size * self.outputs, links), divide)

    def over_kernel(self, axis: int) -> Chain:
        """From the kernel's entries to the output."""

        def forward(c: Counts) -> Counts:
            return c.mapped(axis, self.outputs, [(np.full(len(h), a), h) for a, (_, h) in enumerate(self.cells)])

        def back(c: Counts) -> Counts:
            values = np.moveaxis(c.along(axis), axis, 0)
            each = [c.numbers.total(values[h], (0,)) for _, h in self.cells]
            out = np.moveaxis(np.stack([np.asarray(v, c.numbers.dtype) for v in each]), 0, axis)
            return Counts(c.numbers, out, tuple(self.size if a == axis else n for a, n in enumerate(c.shape)))

        return (Step(forward, back),)


def elementwise(op: Operation) -> tuple[Chain, ...]:
    """Each entry to the same one; axes of length 1 are copied to the result's length."""

    def chain(shape: Shape) -> Chain:
        if len(shape) != len(op.result):
            return (spread(range(len(op.result)), op.result),)
        grown = [a for a, (n, m) in enumerate(zip(shape, op.result, strict=True)) if n != m]
        return (total(grown, shape), spread(grown, op.result)) if grown else ()

    return tuple(chain(shape) for shape in op.shapes)


def _summed(op: Operation) -> tuple[Chain, ...]:
    return ((total(op.params["axes"], op.shapes[0]),),)


def _cumulative(op: Operation) -> tuple[Chain, ...]:
    n, axis = op.shapes[0][op.params["axis"]], op.params["axis"]
    links = [(np.arange(n - s), np.arange(s, n)) for s in range(n)]
    return ((mapped(axis, n, n, [(b, a) for a, b in links] if op.params["reverse"] else links),),)


def _broadcast(op: Operation) -> tuple[Chain | None, ...]:
    kept = op.params["broadcast_dimensions"]
    grown = [i for i, axis in enumerate(kept) if op.shapes[0][i] != op.result[axis]]
    here = [axis for i, axis in enumerate(kept) if i not in grown]
    new = [axis for axis in range(len(op.result)) if axis not in here]
    return ((total(grown, op.shapes[0]), spread(new, op.result)), *[None] * (len(op.shapes) - 1))


def _squeezed(op: Operation) -> tuple[Chain, ...]:
    return ((total(op.params["dimensions"], op.shapes[0]),),)


def _transposed(op: Operation) -> tuple[Chain, ...]:
    return ((permuted(op.params["permutation"]),),)


def _reshaped(op: Operation) -> tuple[Chain, ...]:
    order = op.params.get("dimensions") or range(len(op.shapes[0]))
    return ((permuted(order), reshaped(tuple(op.shapes[0][a] for a in order), op.result)),)


def _tiled(op: Operation) -> tuple[Chain, ...]:
    copies = lambda n, m: [(np.arange(n), start + np.arange(n)) for start in range(0, m, n)]
    sizes = enumerate(zip(op.shapes[0], op.result, strict=True))
    return (tuple(mapped(a, n, m, copies(n, m)) for a, (n, m) in sizes if n != m),)


def _stacked(op: Operation) -> tuple[Chain, ...]:
    axis = op.params["axis"]
    one = (*op.result[:axis], 1, *op.result[axis + 1 :])
    return tuple((spread([axis], one), placed(axis, op.result[axis], np.array([i]))) for i in range(len(op.shapes)))


def _sliced(op: Operation) -> tuple[Chain, ...]:
    strides = op.params["strides"] or (1,) * len(op.result)
    spans = zip(op.params["start_indices"], op.params["limit_indices"], strides, strict=True)
    places = [np.arange(*span) for span in spans]
    return (tuple(picked(axis, n, p) for axis, (n, p) in enumerate(zip(op.shapes[0], places, strict=True)) if len(p) != n),)


def _concatenated(op: Operation) -> tuple[Chain, ...]:
    axis, start, chains = op.params["dimension"], 0, []
    for shape in op.shapes:
        chains.append((placed(axis, op.result[axis], start + np.arange(shape[axis])),))
        start += shape[axis]
    return tuple(chains)


def _padded(op: Operation) -> tuple[Chain | None, ...]:
    widths = enumerate(zip(op.shapes[0], op.params["padding_config"], strict=True))
    steps = [
        placed(axis, op.result[axis], low + np.arange(n) * (gap + 1))
        for axis, (n, (low, high, gap)) in widths
        if (low, high, gap) != (0, 0, 0)
    ]
    return (tuple(steps), None)


def _reversed(op: Operation) -> tuple[Chain, ...]:
    return (tuple(picked(axis, op.shapes[0][axis], np.arange(op.shapes[0][axis])[::-1]) for axis in op.params["dimensions"]),)


def chosen(op: Operation, which: np.ndarray | None = None) -> tuple[Chain | None, ...]:
    """All cases; if it is known which entry is taken of which case, these entries alone."""
    cases = elementwise(op)[1:]
    if which is None:
        return (None, *cases)
    where = np.broadcast_to(which.astype(int), op.result)
    kept = [Counts(SUPPORT, np.asarray(where == i), op.result) for i in range(len(cases))]
    keep = [Step(times, times) for times in (lambda c, k=k: c.where(k) for k in kept)]
    return (None, *((*chain, step) for chain, step in zip(cases, keep, strict=True)))


class Meeting(NamedTuple):
    """A product written as factors and result on a space of their own, in which every point is one arc of each factor."""

    factors: tuple[Chain, Chain]
    result: Chain

    def through(self, place: int) -> Chain:
        """From a factor to the result, all partners alike."""
        return (*self.factors[place], *transposed(self.result))

    def weighted(self, place: int, partner: Counts) -> Chain:
        """From a factor to the result, every arc counted as often as the partner that it meets says."""
        met = push(self.factors[1 - place], partner)
        times = (lambda c: c.where(met)) if partner.numbers is SUPPORT else (lambda c: c * met)
        return (*self.factors[place], Step(times, times), *transposed(self.result))


def _entries(op: Operation) -> Meeting:
    left, right = elementwise(op)
    return Meeting((left, right), ())


def _contraction(op: Operation) -> Meeting:
    """Axes (batch, rows, contracted, columns)."""
    summed, batch = op.params["dimension_numbers"]
    free = [[a for a in range(len(op.shapes[i])) if a not in {*summed[i], *batch[i]}] for i in (0, 1)]
    n, rows, inner = len(batch[0]), len(free[0]), len(summed[0])
    whole = (*op.result[: n + rows], *[op.shapes[0][a] for a in summed[0]], *op.result[n + rows :])
    left = permuted([*batch[0], *free[0], *summed[0]]), spread(range(n + rows + inner, len(whole)), whole)
    right = permuted([*batch[1], *summed[1], *free[1]]), spread(range(n, n + rows), whole)
    return Meeting((left, right), (spread(range(n + rows, n + rows + inner), whole),))


class Convolution(NamedTuple):
    """A convolution with its axes named: input (images, groups, channels of one, …), kernel (groups, filters of one, channels, …)."""

    op: Operation

    @property
    def windows(self) -> list[Window]:
        """One for each axis of space."""
        p, numbers = self.op.params, self.op.params["dimension_numbers"]
        sizes = [[shape[a] for a in spec[2:]] for shape, spec in zip((*self.op.shapes, self.op.result), numbers, strict=True)]
        how = [p["window_strides"], [low for low, _ in p["padding"]], p["lhs_dilation"], p["rhs_dilation"]]
        return [Window(y, h, k, *rest) for y, k, h, *rest in zip(*sizes, *how, strict=True)]

    def _grouped(self, shape: Shape, spec: Sequence[int], axis: int) -> tuple[Chain, Shape]:
        """Axes in order, and the given one divided into groups and members."""
        ordered, groups = tuple(shape[a] for a in spec), self.op.params["feature_group_count"]
        parts = (*ordered[:axis], groups, ordered[axis] // groups, *ordered[axis + 1 :])
        return (permuted(spec), reshaped(ordered, parts)), parts

    @property
    def input(self) -> tuple[Chain, Shape]:
        """(images, groups, channels, …)."""
        return self._grouped(self.op.shapes[0], self.op.params["dimension_numbers"][0], 1)

    @property
    def kernel(self) -> tuple[Chain, Shape]:
        """(groups, filters, channels, …)."""
        return self._grouped(self.op.shapes[1], self.op.params["dimension_numbers"][1], 0)

    @property
    def output(self) -> tuple[Chain, Shape]:
        """(images, groups, filters, …)."""
        return self._grouped(self.op.result, self.op.params["dimension_numbers"][2], 1)

    @property
    def chains(self) -> tuple[Chain, Chain]:
        """Those of input and kernel."""
        (order, grouped), (kernel_order, parts), (out_order, out_parts) = self.input, self.kernel, self.output
        back = transposed(out_order)
        slide = [step for i, w in enumerate(self.windows) for step in w.over_input(2 + i)]
        kernel_slide = [step for i, w in enumerate(self.windows) for step in w.over_kernel(2 + i)]
        from_input = (*order, total([2], grouped), *slide, spread([2], out_parts), *back)
        return from_input, (*kernel_order, total([2], parts), *kernel_slide, spread([0], out_parts), *back)

    @property
    def meeting(self) -> Meeting:
        """Axes (images, groups, filters, channels, place in the window and position in the output along every axis of space)."""
        (order, grouped), (kernel_order, parts), (out_order, _) = self.input, self.kernel, self.output
        slide = [step for i, w in enumerate(self.windows) for step in w.over_places(4 + 2 * i)]
        sides = [n for w in self.windows for n in (w.size, w.outputs)]
        whole = (grouped[0], *parts[:3], *sides)
        places, positions = range(4, len(whole), 2), range(5, len(whole), 2)
        left = (*order, spread([2], (*grouped[:2], parts[1], *grouped[2:])), *slide)
        right = (*kernel_order, spread([0, *positions], whole))
        return Meeting((left, right), (*out_order, spread([3, *places], whole)))


def _convolution(op: Operation) -> Meeting:
    return Convolution(op).meeting


def _multiplied(op: Operation) -> tuple[Chain, ...]:
    """Both factors, without the arcs where the other is 0."""
    return _factors(_entries(op), op, elementwise(op))


def _contracted(op: Operation) -> tuple[Chain, ...]:
    meeting = _contraction(op)
    return _factors(meeting, op, (meeting.through(0), meeting.through(1)))


def _convolved(op: Operation) -> tuple[Chain, ...]:
    convolution = Convolution(op)
    return _factors(convolution.meeting, op, convolution.chains)


def _factors(meeting: Meeting, op: Operation, chains: tuple[Chain, ...]) -> tuple[Chain, ...]:
    def chain(place: int) -> Chain:
        support = op.support(1 - place)
        return chains[place] if support is None else meeting.weighted(place, support)

    return chain(0), chain(1)


def _pooled(op: Operation) -> tuple[Chain, ...]:
    p = op.params
    how = [p["window_strides"], [low for low, _ in p["padding"]], p["base_dilation"], p["window_dilation"]]
    windows = [Window(*each) for each in zip(op.shapes[0], op.result, p["window_dimensions"], *how, strict=True)]
    return (tuple(step for axis, w in enumerate(windows) for step in w.over_input(axis)),)


def _indexed(primitive: Any) -> Rule:
    """Operations that copy entries to places given by known indices: run on the numbers of the entries."""

    def rule(op: Operation) -> tuple[Chain | None, ...]:
        numbered = 1 + np.arange(math.prod(op.shapes[0])).reshape(op.shapes[0])
        params = dict(op.params) | ({"fill_value": 0} if "fill_value" in op.params else {})
        origin = primitive.bind(jax.numpy.asarray(numbered), *[op.value(i) for i in range(1, len(op.shapes))], **params)
        return ((moved(op.shapes[0], op.result, np.asarray(origin)),), *[None] * (len(op.shapes) - 1))

    return rule


def _updated(primitive: Any, place: int) -> Rule:
    """Operations that write operand `place` over entries of operand 0, at known indices."""

    def rule(op: Operation) -> tuple[Chain | None, ...]:
        shape, size = op.shapes[place], math.prod(op.shapes[0])
        numbered = [1 + np.arange(size).reshape(op.shapes[0]), 1 + size + np.arange(math.prod(shape)).reshape(shape)]
        operands = [jax.numpy.asarray(numbered[(0, place).index(i)]) if i in (0, place) else op.value(i) for i in range(len(op.shapes))]
        origin = np.asarray(primitive.bind(*operands, **op.params))
        chains: list[Chain | None] = [None] * len(op.shapes)
        chains[0] = (moved(op.shapes[0], op.result, np.where(origin <= size, origin, 0)),)
        chains[place] = (moved(shape, op.result, np.maximum(origin - size, 0)),)
        return tuple(chains)

    return rule


def _accumulated(op: Operation) -> tuple[Chain | None, ...]:
    """Updates added to entries of operand 0 at known indices: the transpose of the gather that reads these entries."""
    add = lambda updates: jax.lax.scatter_add_p.bind(jax.numpy.zeros(op.shapes[0]), op.value(1), updates, **op.params)
    read = jax.linear_transpose(add, jax.ShapeDtypeStruct(op.shapes[2], float))
    numbered = 1.0 + np.arange(math.prod(op.shapes[0])).reshape(op.shapes[0])
    to = np.asarray(read(jax.numpy.asarray(numbered))[0]).astype(int)
    step = moved(op.result, op.shapes[2], to)
    return ((), None, (Step(step.pull, step.push),))


REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod")
POOLS = ("reduce_window_sum", "reduce_window_max", "reduce_window_min")
CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
RULES: dict[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _summed),
    **dict.fromkeys(POOLS, _pooled),
    **dict.fromkeys(CUMULATIVE, _cumulative),
    "broadcast_in_dim": _broadcast,
    "squeeze": _squeezed,
    "transpose": _transposed,
    "reshape": _reshaped,
    "slice": _sliced,
    "concatenate": _concatenated,
    "stack": _stacked,
    "tile": _tiled,
    "pad": _padded,
    "rev": _reversed,
    "select_n": chosen,
    "mul": _multiplied,
    "dot_general": _contracted,
    "conv_general_dilated": _convolved,
    "gather": _indexed(jax.lax.gather_p),
    "dynamic_slice": _indexed(jax.lax.dynamic_slice_p),
    "dynamic_update_slice": _updated(jax.lax.dynamic_update_slice_p, 1),
    "scatter": _updated(jax.lax.scatter_p, 2),
    **dict.fromkeys(("scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max"), _accumulated),
}
"""Primitives with rules of their own."""

MEETINGS: dict[str, Callable[[Operation], Meeting]] = {
    "mul": _entries,
    "div": _entries,
    "dot_general": _contraction,
    "conv_general_dilated": _convolution,
}
"""Products, in which a through-count meets the paths of its partner."""

ELEMENTWISE = frozenset(
    "abs acos acosh add add_any asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp complex conj convert_element_type copy "
    "cos cosh digamma div erf erf_inv erfc exp exp2 expm1 floor igamma igammac imag integer_pow lgamma log log1p logistic max min mul "
    "name neg nextafter polygamma pow real reduce_precision regularized_incomplete_beta rem round rsqrt sharding_constraint sign sin sinh "
    "sqrt square sub tan tanh zeta".split()
)
"""Primitives whose result has an arc from the same entry of each operand."""

CUT = frozenset("stop_gradient eq ne lt le gt ge is_finite argmax argmin debug_callback debug_print".split())
"""Primitives that counts do not pass: comparisons and choices."""
