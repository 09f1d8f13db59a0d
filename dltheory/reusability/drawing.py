"""Drawings of computational graphs with their counts, as in figures 1 to 3 of the research page on the reusability prior.

Data flow from left to right: squares are inputs, circles are function nodes, dots on the arcs are weights with their number of contexts.
A graph without shared nodes is drawn as trees, any other in columns by the longest path from an input.

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011, figures 1 to 3.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .graph import COPY, Arc, Graph

Place = tuple[float, float]
"""(x, y) in units of one column and one row."""
FLAT, SLOPED = 0.44, 0.35
"""Where along its arc a weight is drawn; short of the middle, where sloped arcs cross."""
BEND = 0.3
"""Rows by which an arc swerves for each column that it passes over, and for each arc before it between the same two nodes."""
ONCE, OFTEN = "0.8", "C1"
"""Colours of weights with one context and with more."""
HIGHLIGHTS = ("C0", "C2", "C4", "C5")


def layout(graph: Graph) -> dict[str, Place]:
    """Where inputs and function nodes are drawn; the first of a column is on top."""
    arcs_from = [arc.source for arc in graph.arcs if arc.source not in graph.weights]
    is_forest = len(set(arcs_from)) == len(arcs_from)
    column = dict.fromkeys(graph.inputs, 0)
    for v in graph.order:
        column[v] = max([column[arc.source] + 1 for arc in graph.arcs_into(v) if arc.source in column], default=0)
    return _trees(graph, column) if is_forest else _columns(graph, column)


def draw(
    axes: Any, graph: Graph, counts: Mapping[str, int] | None = None, contexts: Sequence[Sequence[str]] = (), size: float = 1.0
) -> None:
    """Draw `graph` into matplotlib `axes`, which lose their frame.

    `counts` are the numbers on the weights, by default the published ones; an empty mapping leaves them out. `contexts` are paths
    that begin at a weight, as `Graph.contexts` lists them, each drawn in a colour of its own. `size` scales nodes and text.
    """
    counts = graph.counts() if counts is None else counts
    places = layout(graph)
    for path, colour in zip(contexts, HIGHLIGHTS * len(contexts), strict=False):
        for x, y in _along(graph, places, path):
            axes.plot(x, y, color=colour, linewidth=4 * size, alpha=0.45, solid_capstyle="round", zorder=1)
    middle = float(np.mean([y for _, y in places.values()]))
    drawn: Counter[tuple[str, str]] = Counter()
    for arc in graph.arcs:
        x, y = _curve(places, arc, drawn[arc[:2]])
        drawn[arc[:2]] += 1
        axes.plot(x, y, color="0.35", linewidth=0.7 * size, zorder=2)
        _arrow(axes, (x[-8], y[-8]), (x[-1], y[-1]), size, 6.5)
        name = arc.weight or (arc.source if arc.source in graph.weights else "")
        if name:
            at = _on(y) if arc.weight else 0
            _weight(axes, (x[at], y[at]), name, counts.get(name), size, below=bool(y[-1] > y[0] or y[-1] == y[0] < middle))
    for name, (x, y) in places.items():
        marker, colour = ("s", "0.9") if name in graph.inputs else ("o", "white")
        axes.scatter(x, y, s=150 * size**2, marker=marker, facecolor=colour, edgecolor="black", linewidth=0.7, zorder=4)
        axes.text(x, y, label(name), ha="center", va="center_baseline", fontsize=6.5 * size, zorder=5)
    for number, name in enumerate(graph.outputs, 1):
        x, y = places[name]
        _arrow(axes, (x, y), (x + 0.6, y), size, 0)
        axes.text(x + 0.62, y, f"$O_{number}$", ha="left", va="center_baseline", fontsize=6.5 * size)
    xs, ys = np.array(list(places.values())).T
    axes.set(xlim=(xs.min() - 0.3, xs.max() + 1.0), ylim=(ys.min() - 0.6, ys.max() + 0.6))
    axes.set_axis_off()


def label(name: str) -> str:
    """A name with its number as an index: f1 is f₁, w2_1 is w₂₁, and so is every copy of it."""
    letters, index = re.fullmatch(r"([A-Za-z]+?)_?([^A-Za-z]*|o)", name.partition(COPY)[0]).groups()  # pyright: ignore
    return rf"${letters}_{{{index.replace('_', '')}}}$"


def _columns(graph: Graph, column: Mapping[str, int]) -> dict[str, Place]:
    """Nodes of a column one below the other, in the order of the graph, around the middle."""
    rows: dict[int, list[str]] = {}
    for name in (*graph.inputs, *graph.functions):
        rows.setdefault(column[name], []).append(name)
    return {name: (x, (len(names) - 1) / 2 - k) for x, names in rows.items() for k, name in enumerate(names)}


def _trees(graph: Graph, column: Mapping[str, int]) -> dict[str, Place]:
    """Leaves one below the other, every other node beside the middle of its sources."""
    sources = {v: [arc.source for arc in graph.arcs_into(v) if arc.source in column] for v in column}
    row: dict[str, float] = {}
    todo = list(reversed(graph.outputs))
    leaves: list[str] = []
    while todo:
        v = todo.pop()
        todo += reversed(sources[v])
        if not sources[v]:
            leaves.append(v)
    row |= {v: -float(k) for k, v in enumerate(leaves)}
    for v in graph.order:
        if sources[v]:
            row[v] = sum(row[s] for s in sources[v]) / len(sources[v])
    return {v: (float(column[v]), row[v]) for v in column if v in row}


def _curve(places: Mapping[str, Place], arc: Arc, before: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of an arc: straight to the next column, swerving past what is between; a bias comes from below."""
    x1, y1 = places[arc.target]
    x0, y0 = places.get(arc.source, (x1 - 0.3, y1 - 0.45))
    t = np.linspace(0, 1, 31)
    bend = BEND * (max(0.0, x1 - x0 - 1) + before)
    return x0 + t * (x1 - x0), y0 + t * (y1 - y0) + 4 * bend * t * (1 - t)


def _on(y: np.ndarray) -> int:
    """Which point of an arc its weight is drawn on."""
    return round((FLAT if y[0] == y[-1] else SLOPED) * (len(y) - 1))


def _along(graph: Graph, places: Mapping[str, Place], path: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The curves of a context: from its weight on the arc, then along whole arcs."""
    weight, *nodes = path
    first = next(arc for arc in graph.arcs if arc.target == nodes[0] and weight in (arc.weight, arc.source))
    x, y = _curve(places, first)
    start = _on(y) if first.weight else 0
    return [(x[start:], y[start:]), *(_curve(places, Arc(*pair)) for pair in pairwise(nodes))]


def _arrow(axes: Any, tail: Place, head: Place, size: float, shrink: float) -> None:
    look = {"arrowstyle": "-|>,head_width=0.15,head_length=0.3", "color": "0.35", "linewidth": 0.7 * size, "shrinkA": 0}
    axes.annotate("", head, tail, arrowprops=look | {"shrinkB": shrink * size}, zorder=2)


def _weight(axes: Any, place: Place, name: str, count: int | None, size: float, below: bool) -> None:
    """A dot with its count inside and its name above, or below where arcs that cross or lie below each other would hide it."""
    colour = ONCE if count is None or count <= 1 else OFTEN
    axes.scatter(*place, s=(30 if count is None else 75) * size**2, color=colour, linewidth=0, zorder=3)
    if count is not None:
        text = {"ha": "center", "va": "center_baseline", "fontsize": 6 * size, "zorder": 5, "fontweight": "bold"}
        axes.text(*place, str(count), color="white" if count > 1 else "black", **text)
    offset = (3.0 if count is None else 4.6) * size * (-1 if below else 1)
    look = {"ha": "center", "va": "top" if below else "bottom", "fontsize": 6.5 * size, "color": "0.2", "zorder": 5}
    axes.annotate(label(name), place, xytext=(0, offset), textcoords="offset points", **look)
