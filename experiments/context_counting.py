"""Parameters are reused: the contexts of every weight are counted, in the figures of the research page, in any model, in yours.

Small graphs are drawn with their counts and unrolled; unrolled size is followed with depth; one convolutional network is changed one
design choice at a time, its parameters kept; or the counts of a given model are listed layer by layer.

Source: Polat & Alpaslan, "The reusability prior: comparing deep learning models without training", Mach. Learn.: Sci. Technol. 4
(2023) 025011, figures 1 to 3.

    python -m experiments.context_counting
    python -m experiments.context_counting model=transformer model.width=32
    python -m experiments.context_counting model.path=package.module:function

The function takes no arguments and returns (fn, params, x): fn(params, x) of flax or plain JAX, x one example with its batch axis.

Expect: figures 2a, 2b, 3a: E[log2 C] = 0, 0.4, 0.667, unrolled to 17, 21, 27 nodes; ln of the unrolled size grows by ln w a layer of a
perceptron, ln(1 + r) a residual block, not at all in parallel chains; every model of the zoo reuses its parameters.
Time: tiny 7 s, default 10 s, paper 30 s.
"""

import dataclasses
import math
from collections import Counter
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int, Shaped

from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static
from dltheory.reusability import drawing, graph
from dltheory.reusability.countable import Countable, Own
from dltheory.reusability.design import Design
from dltheory.reusability.layers import Layers, layers
from dltheory.reusability.summary import Reuse, summary
from dltheory.reusability.trace import trace
from experiments import _model

FIGURES = {"2a": graph.figure_2a(), "2b": graph.figure_2b(), "3a": graph.figure_3a()}
BITS = ("log_partition", "expected_spread", "entropy", "total_surprisal", "surprisal_score", "spread_score")
SYMBOLS = ("log2 Z", "E[log2 C]", "H in bits", "S_G in bits", "P_S", "P_E")
PAGE = {
    "2a": (3.0, 0.0, 3.0, 24.0, 2.1255308821, 0.5405683814),
    "2b": (math.log2(10), 0.4, 2.9219280949, 24.5754247591, 2.1597128284, 1.0259952085),
    "3a": (math.log2(12), 2 / 3, 2.9182958341, 24.6797000058, 2.1658213342, 1.2775339755),
}
README = ((24.00, 3, 0, 2.13, 0.54), (24.58, 2.92, 0.4, 2.16, 1.03), (24.68, 2.92, 0.67, 2.17, 1.28))
"""S_G, H, E, P_S, P_E as the author's software prints them."""
NATS = ((0.0, 2.079442, 2.079442), (0.277259, 2.025326, 2.302585), (0.462098, 2.022809, 2.484907))
"""E[ln C], S, ln Z."""
DRAWN = ((1,) * 8, (2, 1, 1, 2, 1, 1, 1, 1), (2, 2, 2, 2, 1, 1, 1, 1))
UNROLLED = (17, 21, 27)
"""Contexts of w1 … w8, and nodes of the unrolled graph."""
WIDTH, BRANCH, GROWTH, CHAINS = 3, 3, 1, 3
CONCATENATING = f"concatenating, $g={GROWTH}$"
FAMILIES = {
    f"MLP, $w={WIDTH}$": (lambda d: graph.mlp([WIDTH] * (d + 1), bias=False), math.log(WIDTH)),
    f"residual, $r={BRANCH}$": (lambda d: graph.residual_chain(d, BRANCH), math.log(1 + BRANCH)),
    CONCATENATING: (lambda d: graph.dense_chain(d, GROWTH), math.log(1 + GROWTH)),
    "parallel chains": (lambda d: graph.parallel_chains(CHAINS, d), 0.0),
}
SHALLOW = 6
BASELINE = 64
DESIGNS = {
    "baseline": Design(),
    "2 blocks, wider": Design(blocks=2),
    "8 blocks, narrower": Design(blocks=8),
    "skips": Design(wiring="skip"),
    "concatenation": Design(wiring="concat"),
    "tied blocks": Design(tied=True),
    "kernels 1×1": Design(kernel=1),
    "kernels 5×5": Design(kernel=5),
    "stride 2": Design(stride=2),
    "pooling 2×2": Design(pool=2),
}
SOURCES = ("8 blocks, narrower", "skips", "concatenation", "tied blocks")
"""Changes that section 1 calls sources of reuse."""

RECORDS = ("designs", "layers", "whole")
"""Fields of the result that are records."""


@record
class Config:
    """Nothing is random but some graphs; `model` is counted instead of all else."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    model: Countable = Own()
    inputs: int = static(0, "inputs of a model of the zoo; 0: 8×8, or 3×32×32 where it reads coloured images", low=0, high=10**7)
    outputs: int = static(10, "outputs of a model of the zoo", low=1, high=10**6)
    arithmetic: str = static("exact", "integers of any size, or logarithms, for very large models", choices=("exact", "log"))
    depth: int = static(2400, "layers of the deepest graphs, which are counted, not built", low=16, high=100_000)
    graphs: int = static(100, "random graphs that are counted, listed and built unrolled", low=1, high=100_000)

    sizes: ClassVar = {"tiny": {"depth": 64, "graphs": 5}, "paper": {"depth": 6400, "graphs": 2000}}

    def __post_init__(self) -> None:
        if not isinstance(self.model, Own):
            _example(self.model, self.inputs, self.outputs)


@record
class Result:
    """The order is that of the constants above, and of the zoo. Of a given model there are `layers` and `whole`, and nothing else."""

    table: Float[np.ndarray, "picture quantity"] = array("log2 Z, E, H, S_G in bits, P_S, P_E", source="page 5")
    natural: Float[np.ndarray, "picture third"] = array("E[ln C], S, ln Z", "nat", source="page 5")
    drawn: Int[np.ndarray, "picture weight"] = array("contexts of w1 … w8")
    nodes: Int[np.ndarray, "picture way"] = array("nodes of the graph, of its unrolling as counted, as built")
    wrong: Int[np.ndarray, "graph"] = array(
        "weights of random graphs whose contexts counted, listed and drawn unrolled are not equally many"
    )
    layer_count: Int[np.ndarray, "layer_count"] = array("layers of shallow graphs")
    built: Float[np.ndarray, "family layer_count"] = array("ln of the nodes of the unrolled graph, built")
    shallow: Float[np.ndarray, "family layer_count"] = array("the same, counted")
    deep: Int[np.ndarray, "family point"] = array("layers of deep graphs")
    counted: Float[np.ndarray, "family point"] = array("ln of the nodes of the unrolled graph, counted")
    channels: Int[np.ndarray, "design"] = array("channels that keep the number of parameters")
    designs: Shaped[Reuse, "design"] = array("the network after each change")
    zoo: Float[np.ndarray, "member"] = array("E[log2 C] of every model of the zoo at its default size", "bit")
    layers: Shaped[Layers, "layer"] = array("the model, array by array")
    whole: Shaped[Reuse, "whole"] = array("the model")


def run(config: Config) -> Result:
    """Count one model, or all that the figures show."""
    if isinstance(config.model, Own) and not config.model.path:
        return Result(**_pictures(), **_random(config), **_growth(config), **_designs(), layers=_none(Layers), whole=_none(Reuse))
    program = trace(*_example(config.model, config.inputs, config.outputs))
    counts = program.counts(arithmetic=config.arithmetic)
    whole = summary(counts, program.inputs, program.outputs, program.weight_nodes)
    empty = {f.name: _nothing(f) for f in dataclasses.fields(Result) if f.name not in RECORDS}  # pyright: ignore
    return Result(**empty, designs=_none(Reuse), layers=layers(program, counts), whole=stack([whole]))


def _none(kind):
    """A record without entries."""
    return kind(**{f.name: _nothing(f) if hasattr(f.type, "dim_str") else np.zeros(0) for f in dataclasses.fields(kind)})


def _nothing(field):
    """An array of the declared kind and number of dimensions, without entries."""
    return np.zeros((0,) * len(field.type.dim_str.split()), int if field.type.__name__.startswith("Int") else float)


def _pictures():
    reuse = [[summary(Counter(g.counts().values()), 2, 1, unit=unit) for unit in ("bits", "nats")] for g in FIGURES.values()]
    return {
        "table": np.array([[getattr(bits, name) for name in BITS] for bits, _ in reuse]),
        "natural": np.array([[nats.expected_spread, nats.entropy, nats.log_partition] for _, nats in reuse]),
        "drawn": np.array([list(g.counts().values()) for g in FIGURES.values()]),
        "nodes": np.array([[g.nodes, g.unrolled_nodes, g.unrolled().nodes] for g in FIGURES.values()]),
    }


def _random(config):
    random = np.random.default_rng(config.seed)

    def wrong(g):
        copies = Counter(name.partition(graph.COPY)[0] for name in g.unrolled().weights)
        return sum(not count == copies[w] == len(list(g.contexts(w))) for w, count in g.counts().items())

    return {"wrong": np.array([wrong(graph.random_graph(random, 8, 5)) for _ in range(config.graphs)])}


def _growth(config):
    fractions, shallow = np.linspace(0.5, 1, 3), np.arange(1, SHALLOW + 1)
    log_nodes = lambda build, depths: [math.log(build(int(d)).unrolled_nodes) for d in depths]
    deep = np.array([config.depth * fractions / (1 if name != CONCATENATING else 16) for name in FAMILIES]).round().astype(int)
    builds = [build for build, _ in FAMILIES.values()]
    return {
        "layer_count": shallow,
        "built": np.array([[math.log(build(int(d)).unrolled().nodes) for d in shallow] for build in builds]),
        "shallow": np.array([log_nodes(build, shallow) for build in builds]),
        "deep": deep,
        "counted": np.array(list(map(log_nodes, builds, deep))),
    }


def _designs():
    budget = Design().parameters(BASELINE)
    widths = [design.width(budget) for design in DESIGNS.values()]
    zoo = [_example(option()) for name, option in Countable.options.items() if name != "own"]
    return {
        "channels": np.array(widths),
        "designs": stack([design.reuse(width) for design, width in zip(DESIGNS.values(), widths, strict=True)]),
        "zoo": np.array([summary(trace(*one).counts(), 1, 1).expected_spread for one in zoo]),
    }


def _example(model, inputs=0, outputs=10):
    """A model and an input of so many numbers; of 0, a grey image of 8×8, or a coloured one of 32×32 where it takes no other."""
    if inputs:
        return model.example(inputs, outputs)
    try:
        return model.example(8**2, outputs)
    except ValueError:
        return model.example(3 * 32**2, outputs)


def claims(data) -> list[Claim]:
    """The page's numbers, growth, designs; or of a model, what holds for any."""
    return _model.claims(data) if data.sizes["whole"] else [*_of_pictures(data), *_of_growth(data), *_of_designs(data)]


def _of_pictures(data):
    for i, name in enumerate(FIGURES):
        for value, symbol, page in zip(data.table.values[i], SYMBOLS, PAGE[name], strict=True):
            yield Claim(f"figure {name}: {symbol}", f"page 5; fig. {name}", value, about(page, absolute=5e-11))
        _, counted, built = data.nodes.values[i]
        yield Claim(f"figure {name}: nodes of the unrolled graph", f"page 5; fig. {name}", built, about(UNROLLED[i]))
        yield Claim(f"figure {name}: the same, counted without unrolling", "page 1", counted, about(UNROLLED[i]))
    gap = lambda seen, page: float(np.abs(seen - np.array(page)).max())
    printed = data.table.values[:, [3, 2, 1, 4, 5]]
    yield Claim("figures 2a, 2b, 3a: weights with another count than drawn", "page 5", np.sum(data.drawn.values != DRAWN), about(0))
    yield Claim("the same: largest deviation of E[ln C], S, ln Z in nats", "page 5", gap(data.natural.values, NATS), at_most(5e-7))
    yield Claim("the same: largest deviation from two printed decimals", "README of priors", gap(printed, README), at_most(0.005))
    text = f"{data.sizes['graph']} random graphs: weights whose contexts counted, listed and drawn unrolled differ in number"
    yield Claim(text, "page 1", data.wrong.values.sum(), about(0))


def _of_growth(data):
    text = f"graphs of up to {SHALLOW} layers: largest difference of ln nodes, unrolled and counted"
    yield Claim(text, "page 1", np.abs(data.built - data.shallow).values.max(), at_most(1e-12))
    for (name, (_, expected)), depth, size in zip(FAMILIES.items(), data.deep.values, data.counted.values, strict=True):
        text = f"{name}: growth of ln unrolled nodes a layer, {depth[0]} … {depth[-1]} layers"
        source = "page 2; beyond.md" if name != CONCATENATING else "page 2, DenseNet"
        yield Claim(text.replace("$", ""), source, Estimate.of_slope(depth, size), about(expected, absolute=1e-3), int(data.depth) >= 2000)


def _of_designs(data):
    yield Claim("least E[log2 C] of the models of the zoo", "S0: all mainstream models reuse", data.zoo.values.min(), at_least(1e-9))
    N, spread, score = (data[f"designs_{name}"].values for name in ("parameters", "expected_spread", "spread_score"))
    yield Claim("designs: largest |N_G / N_G of the baseline - 1|", "equal parameters", np.abs(N / N[0] - 1).max(), at_most(0.03))
    for name in SOURCES:
        more = (spread - spread[0])[list(DESIGNS).index(name)]
        yield Claim(f"{name} for a baseline of equal parameters: gain of E[log2 C]", "page 1, sources of reuse", more, at_least(0), False)
    more = (score - score[0])[list(DESIGNS).index("tied blocks")]
    yield Claim("tied blocks: gain of P_E, which counts them before tying", "page 1.1", more, at_most(0), False)


def tables(data) -> dict[str, list[dict[str, str]]]:
    """What is printed beside claims: the designs; or a model array by array."""
    if data.sizes["whole"]:
        return _model.tables(data)
    get = lambda k, name: float(data[f"designs_{name}"][k])
    bits = {"E[log2 C]": "expected_spread", "H": "entropy", "P_S": "surprisal_score", "P_E": "spread_score"}
    rows = [
        {"design": design, "channels": str(int(data.channels[k])), "parameters": f"{get(k, 'parameters'):,.0f}"}
        | {symbol: f"{get(k, name):.3f}" for symbol, name in bits.items()}
        for k, design in enumerate(DESIGNS)
    ]
    return {"one design choice changed, parameters kept": rows}


def plot(data):
    """Graphs with their counts, growth, designs; or a model's layers."""
    return _model.plot(data) if data.sizes["whole"] else _plot_figures(data)


def _plot_figures(data):
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(TWO_COLUMNS, 8.8))
    rows = figure.add_gridspec(4, 1, height_ratios=[1.5, 2.1, 2.0, 1.6])
    columns = ([1, 1, 1.1], [1, 1.4], [1, 1], [1, 1])
    cells = [cell for i, ratios in enumerate(columns) for cell in rows[i].subgridspec(1, len(ratios), width_ratios=ratios)]
    axes = [figure.add_subplot(cell) for cell in cells]
    graphs = {"1a": graph.figure_1a(), **FIGURES}
    for axis, (name, g), spread in zip(axes, graphs.items(), (None, *data.table.values[:, 1]), strict=False):
        drawing.draw(axis, g, contexts=[] if name == "2a" else list(g.contexts("w1")))
        axis.set_title(f"figure {name}, " + ("four contexts of $w_1$" if spread is None else f"$E[\\log_2 C]={spread:.3g}$"))
    tree = FIGURES["3a"].unrolled()
    drawing.draw(axes[4], tree, {}, [context for w in ("w1", f"w1{graph.COPY}2") for context in tree.contexts(w)])
    axes[4].set_title(f"figure 3b: 3a unrolled, {tree.nodes} nodes from {FIGURES['3a'].nodes}; $w_1$ is drawn twice")
    _plot_growth(axes[5], data)
    members = [name for name in Countable.options if name != "own"]
    _bars(axes[6], members, data.zoo.values, "$E[\\log_2 C]$ (bit)", "models of the zoo, default sizes")
    for axis, field, symbol in ((axes[7], "expected_spread", "$E[\\log_2 C]$"), (axes[8], "spread_score", "$P_E$")):
        base, *values = data[f"designs_{field}"].values
        text = f"{symbol} less {base:.2f}, that of the baseline (bit)"
        _bars(axis, list(DESIGNS)[1:], np.array(values) - base, text, "one choice changed, parameters kept", "+.2f")
        axis.axvline(0, color="black", linewidth=0.6)
    return figure


def _plot_growth(axis, data) -> None:
    """Nodes of unrolled graphs, and lines of the expected growth through the last."""
    depth = data.layer_count.values
    for i, ((name, (_, growth)), built) in enumerate(zip(FAMILIES.items(), data.built.values, strict=True)):
        axis.plot(depth, np.exp(built), "o", color=f"C{i}", label=name)
        if growth:
            axis.plot(depth, np.exp(built[-1] + growth * (depth - depth[-1])), **THEORY | {"color": f"C{i}"})
    axis.set(yscale="log", xlabel="layers or blocks $d$", ylabel="nodes", title="nodes of unrolled graphs", xticks=depth)
    axis.plot([], [], label="$w^d$, $(1+r)^d$, $(1+g)^d$", **THEORY)
    axis.set_ylim(top=1e7)
    axis.legend(fontsize=6)


def _bars(axis, names, values, text, title, form=".1f") -> None:
    axis.barh(range(len(names)), values, color=np.where(values < 0, "C1", "C0"), height=0.7)
    axis.set(xlabel=text, title=title)
    axis.set_yticks(range(len(names)), names, fontsize=6)
    axis.invert_yaxis()
    for k, value in enumerate(values):
        axis.text(max(value, 0), k, f" {value:{form}}", va="center", fontsize=6)
    axis.margins(x=0.18)


if __name__ == "__main__":
    main(__spec__.name)
