"""Contexts of a convolutional network from a list of its layers, exactly, in seconds: the count sweep with channel symmetry.

    B(v) = [v is an output] + Σ_{u consumes v} B(u),     C_w = Σ_{uses of w} B(target)

Where nothing tells the channels of a tensor apart, all of them have the same B, and one map (height, width) of Python integers
stands for the tensor. The sweep goes from the outputs backwards:

| layer | its parameters collect | its input receives |
| --- | --- | --- |
| convolution k×k | tap (a, b): Σ of B over the outputs it reaches; bias: Σ B | filters × Σ of B over the taps that reach a cell |
| depthwise convolution | the same | Σ of B over the taps that reach a cell |
| batch norm | scale, shift, running mean and variance: Σ B each | B |
| pooling, global pooling | – | every valid cell of a window: its B |
| gate x·g(x) | those of g, whose output has Σ B over what it is broadcast to | B, and what g passes on |
| residual | those of both branches | the sum of both |
| dense on all cells | weight and bias: B | units × B |

Activations, dropout and rescaling are wires. Cells of the padding are no nodes. Concatenation breaks the symmetry and has no plan.
Source: Polat and Alpaslan, "The reusability prior", Mach. Learn.: Sci. Technol. 4 (2023) 025011, and the authors' code (gozepolat/priors).
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Map = np.ndarray[Any, np.dtype[np.object_]]
"""B of one channel: Python integers (height, width)."""


class Shape(NamedTuple):
    """Cells of a tensor."""

    height: int
    width: int
    channels: int

    @property
    def cells(self) -> int:
        """height × width × channels."""
        return self.height * self.width * self.channels


class Use(NamedTuple):
    """`multiplicity` weight nodes of one layer that have `count` contexts each (0: they reach no valid cell).

    `place` is ("weight", a, b) for tap (a, b) of a kernel, ("weight",) of a dense layer, ("bias",), or ("norm",) for the four
    vectors of a batch norm together; `operation` is the layer, `shape` what it reads.
    """

    layer: str
    kind: str
    place: tuple[str | int, ...]
    count: int
    multiplicity: int
    operation: "Layer"
    shape: Shape


class LayerCounts(NamedTuple):
    """Of a layer, {contexts: number of parameters that have so many}, without zeros."""

    name: str
    kind: str
    counts: dict[int, int]


class Layer:
    """What a plan is made of."""

    kind = ""

    def output(self, shape: Shape) -> Shape:
        """The shape that this layer makes of one."""
        return shape

    def depth(self, shape: Shape) -> int:
        """Weight layers in sequence; a gate counts none."""
        return 0

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """From B of the output to B of the input, of this shape, and the counts of the weights."""
        raise NotImplementedError


Layers = Mapping[str, Layer]


@dataclass(frozen=True)
class Plan:
    """Layers by name, first layer first, on an input; 1×1×units is a vector."""

    shape: Shape
    layers: Layers

    @property
    def inputs(self) -> int:
        """N_I, cells of the input."""
        return self.shape.cells

    @property
    def outputs(self) -> int:
        """N_O, cells of the output."""
        return _output(self.layers, self.shape).cells

    @property
    def depth(self) -> int:
        """Weight layers in sequence, along the longer branch of a residual, gates aside."""
        return _depth(self.layers, self.shape)

    def uses(self) -> list[Use]:
        """The counts of all weight nodes, first layer first, before any tying."""
        last = _output(self.layers, self.shape)
        return _sweep(self.layers, "", self.shape, np.full(last[:2], 1, object))[1]

    def counts(self) -> list[LayerCounts]:
        """(name, kind, {count: multiplicity}) of every layer that has parameters, first layer first.

        Kinds are "conv", "depthwise", "gate" (convolutions inside one), "batch_norm" and "dense".
        """
        groups = itertools.groupby(self.uses(), key=lambda use: (use.layer, use.kind))
        return [LayerCounts(*which, merged(uses)) for which, uses in groups]


def normalised(name: str, convolution: Layer) -> dict[str, Layer]:
    """A convolution and its batch norm, as layers "name.conv" and "name.norm"."""
    return {f"{name}.conv": convolution, f"{name}.norm": BatchNorm()}


def merged(uses: Iterable[Use]) -> dict[int, int]:
    """{count: multiplicity} of weight nodes, every one a parameter of its own; zero counts are dropped, as N_G drops them."""
    total: Counter[int] = Counter()
    for use in uses:
        total[use.count] += use.multiplicity
    return {count: n for count, n in total.items() if count}


def weight_nodes(uses: Iterable[Use]) -> int:
    """N_W: weight nodes before tying, a kernel entry being one, those without contexts left out."""
    return sum(use.multiplicity for use in uses if use.count)


def multiplications(uses: Iterable[Use]) -> int:
    """Products of a weight with a number of its input (at padding too) in one forward pass, batch norm aside: FLOPs over two."""
    positions = lambda use: np.prod(use.operation.output(use.shape)[:2], dtype=int)
    return sum(use.multiplicity * int(positions(use)) for use in uses if use.place[0] == "weight")


def _shapes(layers: Layers, shape: Shape) -> list[Shape]:
    return list(itertools.accumulate(layers.values(), lambda s, layer: layer.output(s), initial=shape))


def _output(layers: Layers, shape: Shape) -> Shape:
    return _shapes(layers, shape)[-1]


def _depth(layers: Layers, shape: Shape) -> int:
    return sum(layer.depth(s) for layer, s in zip(layers.values(), _shapes(layers, shape), strict=False))


def _sweep(layers: Layers, prefix: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
    found: list[list[Use]] = []
    for (name, layer), s in reversed(list(zip(layers.items(), _shapes(layers, shape), strict=False))):
        b, uses = layer.sweep(prefix + name, s, b)
        found.append(uses)
    return b, [use for uses in reversed(found) for use in uses]


@dataclass(frozen=True)
class Windowed(Layer):
    """A square window that slides over the cells; `padding` on every side is kernel//2 unless given."""

    kernel: int = field(kw_only=True)
    stride: int = field(default=1, kw_only=True)
    padding: int | None = field(default=None, kw_only=True)
    dilation: int = field(default=1, kw_only=True)

    def output(self, shape: Shape) -> Shape:
        """⌊(size + 2 padding - dilation (kernel - 1) - 1)/stride⌋ + 1 along both sides. Raises `ValueError` if that is < 1."""
        return Shape(self._positions(shape.height), self._positions(shape.width), shape.channels)

    def _pad(self) -> int:
        return self.kernel // 2 if self.padding is None else self.padding

    def _positions(self, size: int) -> int:
        found = (size + 2 * self._pad() - self.dilation * (self.kernel - 1) - 1) // self.stride + 1
        if found < 1:
            raise ValueError(f"kernel={self.kernel}: must fit into {size} cells, padded by {self._pad()}, with dilation {self.dilation}")
        return found

    def _reach(self, size: int) -> list[tuple[slice, slice]]:
        """For each tap along one side, the output positions at which it sees a valid cell, and those cells."""
        found = []
        for tap in range(self.kernel):
            offset = tap * self.dilation - self._pad()
            first = max(0, -(offset // self.stride))
            end = max(first, min(self._positions(size), (size - 1 - offset) // self.stride + 1))
            start = first * self.stride + offset
            found.append((slice(first, end), slice(start, start + (end - first) * self.stride, self.stride)))
        return found

    def _collect(self, shape: Shape, b: Map) -> Map:
        """Σ of B over the outputs that a tap reaches: (kernel, kernel)."""
        rows = np.stack([b[outputs].sum(axis=0) for outputs, _ in self._reach(shape.height)])
        return np.stack([rows[:, outputs].sum(axis=1) for outputs, _ in self._reach(shape.width)], axis=1)

    def _spread(self, shape: Shape, b: Map) -> Map:
        """Σ of B over the taps that reach a cell: (height, width)."""
        rows = np.full((shape.height, b.shape[1]), 0, object)
        for outputs, cells in self._reach(shape.height):
            rows[cells] += b[outputs]
        out = np.full(shape[:2], 0, object)
        for outputs, cells in self._reach(shape.width):
            out[:, cells] += rows[:, outputs]
        return out

    def _taps(self, name: str, shape: Shape, b: Map, multiplicity: int) -> list[Use]:
        taps = self._collect(shape, b)
        use = lambda *tap: Use(name, self.kind, ("weight", *tap), taps.item(tap), multiplicity, self, shape)
        return [use(*tap) for tap in np.ndindex(taps.shape)]


@dataclass(frozen=True)
class Conv(Windowed):
    """Convolution of all channels with `filters` kernels."""

    filters: int
    bias: bool = False
    kind = "conv"

    def output(self, shape: Shape) -> Shape:
        """As the window's, with `filters` channels."""
        return super().output(shape)._replace(channels=self.filters)

    def depth(self, shape: Shape) -> int:
        """One."""
        return 1

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The convolution's row of the table above."""
        uses = self._taps(name, shape, b, shape.channels * self.filters)
        if self.bias:
            uses.append(Use(name, self.kind, ("bias",), b.sum(), self.filters, self, shape))
        return self.filters * self._spread(shape, b), uses


@dataclass(frozen=True)
class Depthwise(Windowed):
    """Convolution of each channel with a kernel of its own."""

    kind = "depthwise"

    def depth(self, shape: Shape) -> int:
        """One."""
        return 1

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The depthwise convolution's row of the table above."""
        return self._spread(shape, b), self._taps(name, shape, b, shape.channels)


@dataclass(frozen=True)
class Pool(Windowed):
    """Largest, mean or sum of each window: its valid cells all count."""

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The pooling's row of the table above."""
        return self._spread(shape, b), []


@dataclass(frozen=True)
class GlobalPool(Layer):
    """One number per channel."""

    def output(self, shape: Shape) -> Shape:
        """1×1."""
        return Shape(1, 1, shape.channels)

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The pooling's row of the table above."""
        return np.full(shape[:2], b[0, 0], object), []


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Scale, shift, running mean and running variance of every channel, all four counted."""

    kind = "batch_norm"

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The batch norm's row of the table above."""
        return b, [Use(name, self.kind, ("norm",), b.sum(), 4 * shape.channels, self, shape)]


@dataclass(frozen=True)
class Dense(Layer):
    """A matrix from all cells to `units`."""

    units: int
    bias: bool = True
    kind = "dense"

    def output(self, shape: Shape) -> Shape:
        """A vector."""
        return Shape(1, 1, self.units)

    def depth(self, shape: Shape) -> int:
        """One."""
        return 1

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The dense layer's row of the table above."""
        uses = [Use(name, self.kind, ("weight",), b[0, 0], shape.cells * self.units, self, shape)]
        if self.bias:
            uses.append(Use(name, self.kind, ("bias",), b[0, 0], self.units, self, shape))
        return np.full(shape[:2], self.units * b[0, 0], object), uses


@dataclass(frozen=True)
class Residual(Layer):
    """The sum of a branch and a shortcut, which is the identity if it has no layers."""

    branch: Layers
    shortcut: Layers = field(default_factory=dict)

    def output(self, shape: Shape) -> Shape:
        """That of the branch. Raises `ValueError` unless it is the shortcut's."""
        made, skipped = _output(self.branch, shape), _output(self.shortcut, shape)
        if made != skipped:
            raise ValueError(f"shortcut={tuple(skipped)}: must have the branch's shape {tuple(made)}")
        return made

    def depth(self, shape: Shape) -> int:
        """That of the deeper of the two."""
        return max(_depth(self.branch, shape), _depth(self.shortcut, shape))

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The residual's row of the table above."""
        (through, uses), (around, more) = (_sweep(layers, f"{name}.", shape, b) for layers in (self.branch, self.shortcut))
        return through + around, uses + more


@dataclass(frozen=True)
class Gate(Layer):
    """Squeeze and excite: x·g(x), g ending in one number per channel (broadcast over the cells) or per cell."""

    factor: Layers
    kind = "gate"

    def output(self, shape: Shape) -> Shape:
        """Unchanged. Raises `ValueError` unless the factor can multiply it."""
        made = _output(self.factor, shape)
        if made not in (shape, shape._replace(height=1, width=1)):
            raise ValueError(f"factor={tuple(made)}: must be one number per channel or per cell of {tuple(shape)}")
        return shape

    def sweep(self, name: str, shape: Shape, b: Map) -> tuple[Map, list[Use]]:
        """The gate's row of the table above."""
        whole = _output(self.factor, shape) == shape
        passed, uses = _sweep(self.factor, f"{name}.", shape, b if whole else np.full((1, 1), b.sum(), object))
        return b + passed, [use._replace(kind=self.kind) for use in uses]
