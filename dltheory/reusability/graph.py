"""Explicit computational graphs: contexts counted, listed and unrolled.

A context of a weight w is a directed path that begins at w, enters a function node that uses w and ends at an output. Horizontal
unrolling gives every consumer its own copy of each of its sources, recursively: a forest with one in-tree for each output, in which a
node v appears B(v) times and a weight C_w times.

    B(v) = [v is an output] + Σ_{arcs v→u} B(u)              paths from v to the outputs
    F(v) = [v is an input] + Σ_{arcs u→v} F(u)               paths from the inputs to v
    C_w = Σ_{uses of w} B(target)                            published count
    T_w = Σ_{uses of w} F(source) B(target)                  through-count; a bias has F = 1
    nodes of the unrolled graph = Σ_v B(v) + Σ_w C_w

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011, section 1 and figures 1 to 3.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

MOST_NODES = 1_000_000
"""Of a graph that is unrolled explicitly."""
COPY = "~"
"""Stands between the name of a node and the number of its copy."""


class Arc(NamedTuple):
    """From an input or a function node to a function node, multiplied by `weight` if one is named; from a weight: a bias."""

    source: str
    target: str
    weight: str = ""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A directed acyclic graph of scalars. What is neither an input nor a weight is a function node; outputs are function nodes.

    A weight that several arcs name is shared. Raises `ValueError` in one line for a cycle, an arc into an input or a weight, and
    names that do not fit together.
    """

    inputs: tuple[str, ...]
    weights: tuple[str, ...]
    outputs: tuple[str, ...]
    arcs: tuple[Arc, ...]

    def __post_init__(self) -> None:
        for kind, names in (("inputs", self.inputs + self.weights), ("outputs", self.outputs)):
            if len(set(names)) < len(names):
                raise ValueError(f"{kind}={next(n for n in names if names.count(n) > 1)}: must be listed once")
        weights, leaves = set(self.weights), {*self.inputs, *self.weights}
        fed = {arc.target for arc in self.arcs}
        for source, target, weight in self.arcs:
            arc = f"arc {source}→{target}"
            if target in leaves:
                raise ValueError(f"{arc}: must end at a function node; {target} is {'a weight' if target in weights else 'an input'}")
            if weight and (weight not in weights or source in weights):
                raise ValueError(f"{arc} weight={weight}: must be a weight that multiplies an input or a function node")
            if source not in leaves and source not in fed:
                raise ValueError(f"{arc}: must begin at an input, a weight or a function node that has sources of its own")
        if unfed := [name for name in self.outputs if name not in fed]:
            raise ValueError(f"outputs={unfed[0]}: must be a function node")
        try:
            _ = self.order
        except CycleError as error:
            raise ValueError(f"arcs={'→'.join(error.args[1])}: must not form a cycle") from None

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """Function nodes in the order in which arcs name them as targets."""
        return tuple(dict.fromkeys(arc.target for arc in self.arcs))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Inputs and function nodes, sources first."""
        sources = {v: [arc.source for arc in self.arcs_into(v) if arc.source not in self._weights] for v in self.functions}
        return tuple(TopologicalSorter(dict.fromkeys(self.inputs, ()) | sources).static_order())

    def arcs_into(self, node: str) -> Sequence[Arc]:
        """Arcs that end at an input (none) or a function node."""
        return self._into.get(node, ())

    @cached_property
    def paths_to_outputs(self) -> dict[str, int]:
        """B(v) of inputs and function nodes."""
        B = dict.fromkeys(self.order, 0) | dict.fromkeys(self.outputs, 1)
        for v in reversed(self.order):
            for arc in self.arcs_into(v):
                if arc.source in B:
                    B[arc.source] += B[v]
        return B

    @cached_property
    def paths_from_inputs(self) -> dict[str, int]:
        """F(v) of inputs and function nodes."""
        F = dict.fromkeys(self.order, 0) | dict.fromkeys(self.inputs, 1)
        for v in self.order:
            F[v] += sum(F.get(arc.source, 0) for arc in self.arcs_into(v))
        return F

    def counts(self, kind: str = "published") -> dict[str, int]:
        """C_w ("published") or T_w ("through") of every weight; 0 if no path leads from it to an output."""
        if kind not in ("published", "through"):
            raise ValueError(f"kind={kind}: must be published or through")
        count = dict.fromkeys(self.weights, 0)
        for source, target, weight in self.arcs:
            if name := weight or (source if source in count else ""):
                through = self.paths_from_inputs[source] if kind == "through" and weight else 1
                count[name] += through * self.paths_to_outputs[target]
        return count

    @property
    def weight_nodes(self) -> int:
        """N_W, every weight once for each of its uses: their number before sharing."""
        return sum(bool(arc.weight) or arc.source in self._weights for arc in self.arcs)

    @property
    def nodes(self) -> int:
        """Inputs, weights and function nodes."""
        return len(self.inputs) + len(self.weights) + len(self.functions)

    @property
    def unrolled_nodes(self) -> int:
        """Nodes of the unrolled graph, without building it."""
        return sum(self.paths_to_outputs.values()) + sum(self.counts().values())

    def unrolled(self) -> "Graph":
        """The forest in which no node is shared; the k-th copy of `f1` is `f1~k`, the first keeps the name.

        Raises `ValueError` if it would have more than a million nodes.
        """
        if self.unrolled_nodes > MOST_NODES:
            raise ValueError(f"unrolled_nodes={self.unrolled_nodes}: must be ≤ {MOST_NODES} to be built; `unrolled_nodes` counts them")
        made: dict[str, list[str]] = {}

        def copy(name: str) -> str:
            numbers = made.setdefault(name, [])
            numbers.append(f"{name}{COPY}{len(numbers) + 1}" if numbers else name)
            return numbers[-1]

        todo = [(name, copy(name)) for name in self.outputs]
        arcs: list[Arc] = []
        for name, target in todo:
            for source, _, weight in self.arcs_into(name):
                arcs.append(Arc(copy(source), target, weight and copy(weight)))
                todo.append((source, arcs[-1].source))
        copies = lambda names: tuple(new for name in names for new in made.get(name, ()))
        return Graph(copies(self.inputs), copies(self.weights), self.outputs, tuple(arcs))

    def contexts(self, weight: str) -> Iterator[tuple[str, ...]]:
        """Every context of a weight as the nodes on its path, the weight first; they are `counts()[weight]` many."""
        todo: list[tuple[str, ...]] = [(weight, arc.target) for arc in self.arcs if weight in (arc.weight, arc.source)]
        while todo:
            path = todo.pop(0)
            if path[-1] in self.outputs:
                yield path
            todo[:0] = [(*path, arc.target) for arc in self.arcs if arc.source == path[-1]]

    @cached_property
    def _weights(self) -> frozenset[str]:
        return frozenset(self.weights)

    @cached_property
    def _into(self) -> dict[str, list[Arc]]:
        """Arcs by their target."""
        into: dict[str, list[Arc]] = {name: [] for name in self.functions}
        for arc in self.arcs:
            into[arc.target].append(arc)
        return into


def _read(arcs: str, outputs: str = "fo") -> Graph:
    """A graph from arcs "source>target" or "source>target*weight" with spaces between; names that begin with i are inputs."""
    read = [Arc(*arc.replace("*", ">").split(">")) for arc in arcs.split()]
    leaves = dict.fromkeys(arc.source for arc in read if arc.source.startswith("i"))
    weights = sorted({arc.weight for arc in read if arc.weight})
    return Graph(tuple(leaves), tuple(weights), tuple(outputs.split()), tuple(read))


def figure_1a() -> Graph:
    """Figure 1a, a schematic, with as few nodes as it can have: w1 has the contexts C_1 … C_4, two to each output."""
    return _read("i1>f1*w1 f1>f2 f1>f3 f1>f4 f2>f5 f3>f5 f3>f6 f4>f6", "f5 f6")


def figure_2a() -> Graph:
    """Figure 2a, uniform: two parallel chains of four weights each."""
    return _read("i1>f1*w1 f1>f3*w3 f3>f5*w5 f5>fo*w7 i2>f2*w2 f2>f4*w4 f4>f6*w6 f6>fo*w8")


def figure_2b() -> Graph:
    """Figure 2b: as many weights as figure 2a, two of them with two contexts."""
    return _read("i1>f1*w1 i2>f2*w4 f1>f3*w3 f2>f3*w5 f1>f4*w2 f2>f4*w6 f3>fo*w7 f4>fo*w8")


def figure_3a() -> Graph:
    """Figure 3a, whose unrolling is figure 3b: four weights with two contexts, four with one."""
    return _read("i1>f1*w1 i2>f1*w2 i1>f2*w3 i2>f2*w4 f1>f3*w5 f2>f3*w6 f1>f4*w7 f2>f4*w8 f3>fo f4>fo")


def mlp(widths: Sequence[int], bias: bool = True, names: Sequence[str] | None = None) -> Graph:
    """A multilayer perceptron n_0-…-n_L; layers of one name share their weights. C = Π_{k>l} n_k in layer l, summed over its uses."""
    names = [str(layer) for layer in range(1, len(widths))] if names is None else names
    if len(widths) < 2 or min(widths) < 1 or len(names) != len(widths) - 1:
        raise ValueError(f"widths={tuple(widths)}: must be two or more numbers ≥ 1, with a name for each layer")
    units = [_units("i" if layer == 0 else f"f{layer}_", n) for layer, n in enumerate(widths)]
    arcs: list[Arc] = []
    for name, sources, targets in zip(names, units, units[1:], strict=False):
        arcs += _dense(name, sources, targets)
        if bias:
            arcs += [Arc(f"b{name}_{j}", target) for j, target in enumerate(targets, 1)]
    return _of(arcs, units[0], units[-1])


def residual_chain(blocks: int, width: int) -> Graph:
    """x + W x over and over: every block multiplies the paths by 1 + r with r = width."""
    units = [_units("i" if block == 0 else f"f{block}_", width) for block in range(blocks + 1)]
    arcs: list[Arc] = []
    for block, (sources, targets) in enumerate(pairwise(units), 1):
        arcs += _dense(str(block), sources, targets)
        arcs += [Arc(*pair) for pair in zip(sources, targets, strict=True)]
    return _of(arcs, units[0], units[-1])


def parallel_chains(chains: int, length: int) -> Graph:
    """Chains of `length` weights that meet in one output: figure 2a at any size, uniform."""
    arcs: list[Arc] = []
    for c in range(1, chains + 1):
        nodes = [f"i{c}", *(f"f{c}_{k}" for k in range(1, length)), "fo"]
        arcs += [Arc(*pair, f"w{c}_{k}") for k, pair in enumerate(pairwise(nodes), 1)]
    return _of(arcs, [f"i{c}" for c in range(1, chains + 1)], ["fo"])


def dense_chain(layers: int, growth: int) -> Graph:
    """Every layer of `growth` units is fed by the inputs, as many, and all layers before it: B grows by 1 + growth a layer."""
    units = [_units("i", growth)]
    arcs: list[Arc] = []
    for layer in range(1, layers + 1):
        units.append(_units(f"f{layer}_", growth))
        arcs += _dense(str(layer), [name for earlier in units[:-1] for name in earlier], units[-1])
    return _of(arcs, units[0], units[-1])


def _units(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{k}" for k in range(1, count + 1)]


def _dense(name: str, sources: Sequence[str], targets: Sequence[str]) -> list[Arc]:
    """Every source to every target, each arc with a weight of its own."""
    return [Arc(s, t, f"w{name}_{i}_{j}") for j, t in enumerate(targets, 1) for i, s in enumerate(sources, 1)]


def _of(arcs: Sequence[Arc], inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
    """The graph of these arcs; a source that nothing feeds is a bias if it is no input."""
    leaves = {*inputs, *(arc.target for arc in arcs)}
    weights = dict.fromkeys(name for arc in arcs if (name := arc.weight or (arc.source if arc.source not in leaves else "")))
    return Graph(tuple(inputs), tuple(weights), tuple(outputs), tuple(arcs))


def random_graph(random: np.random.Generator, functions: int, weights: int) -> Graph:
    """Function nodes in a row, each fed by some of those before it or by two inputs, with as many weights at random on the arcs, shared
    or not, and as biases; the last node and some others are outputs."""
    nodes = ["i1", "i2", *(f"f{k}" for k in range(1, functions + 1))]
    names = [f"w{k}" for k in range(1, weights + 1)]
    arcs: list[Arc] = []
    for k, target in enumerate(nodes[2:], 2):
        for source in random.choice(k, size=random.integers(1, 4)):
            arcs.append(Arc(nodes[source], target, random.choice([*names, ""])))
        if random.random() < 0.3:
            arcs.append(Arc(random.choice(names), target))
    outputs = {nodes[-1], *random.choice(nodes[2:], size=2)}
    return Graph(("i1", "i2"), tuple(names), tuple(sorted(outputs)), tuple(arcs))
