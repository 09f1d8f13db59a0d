"""Layer plans: every row of the rules against paths counted cell by cell, the page's worked graphs, and closed forms."""

import collections
import itertools
import math

import numpy as np
import pytest

from dltheory.reusability.plan import (
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Gate,
    GlobalPool,
    Plan,
    Pool,
    Residual,
    Shape,
    merged,
    multiplications,
    normalised,
    weight_nodes,
)
from dltheory.reusability.summary import summary

# ------------------------------------------------------------------------------------------------------------ the page's graphs

HEAD = {"pool": GlobalPool(), "head": Dense(2)}
GRAPHS = {
    "mlp": (Shape(1, 1, 3), {"a": Dense(4), "b": Dense(2), "c": Dense(2)}, {1: 6, 2: 10, 4: 16}),
    "conv_s2": (Shape(5, 5, 1), {"conv": Conv(2, kernel=3, stride=2, bias=True), "dense": Dense(3)}, {1: 57, 12: 8, 18: 8, 27: 4}),
    "conv_pool": (
        Shape(6, 6, 1),
        {
            "first": Conv(2, kernel=3, padding=0, bias=True),
            "pool": Pool(kernel=2, stride=2, padding=0),
            "second": Conv(2, kernel=2, padding=0),
            "dense": Dense(2, bias=False),
        },
        {1: 4, 2: 16, 64: 20},
    ),
    "resblock": (
        Shape(4, 4, 2),
        {"block": Residual(normalised("a", Conv(2, kernel=3)) | normalised("b", Conv(2, kernel=3)))} | HEAD,
        {1: 6, 18: 16, 24: 16, 32: 12, 256: 16, 320: 16, 400: 12},
    ),
    "depthwise": (
        Shape(5, 5, 2),
        {
            "depthwise": Depthwise(kernel=3, stride=2),
            "mix": Conv(3, kernel=1, bias=True),
            "dilated": Conv(2, kernel=2, padding=0, dilation=2),
            "pool": GlobalPool(),
        },
        {1: 24, 6: 8, 8: 9, 12: 8, 24: 2},
    ),
}
TABLE = {
    "mlp": (32, 90, 1.64444, 4.84741, 165.7393, 3.7483, 2.7785),
    "conv_s2": (77, 405, 3.60038, 5.06140, 585.8983, 7.1241, 6.3981),
    "conv_pool": (40, 1316, 5.86018, 4.50176, 278.4778, 7.0059, 6.9847),
    "resblock": (94, 15078, 8.07457, 5.80559, 739.7795, 7.5310, 7.7364),
    "depthwise": (51, 288, 3.13998, 5.02995, 331.1369, 7.3286, 6.6794),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_table_of_section_4(name):
    shape, layers, histogram = GRAPHS[name]
    plan = Plan(shape, layers)
    assert merged(plan.uses()) == histogram
    seen = summary(histogram, plan.inputs, plan.outputs)
    found = (
        seen.parameters,
        2**seen.log_partition,
        seen.expected_spread,
        seen.entropy,
        seen.total_surprisal,
        seen.surprisal_score,
        seen.spread_score,
    )
    np.testing.assert_allclose(found, TABLE[name], rtol=3e-5)


# --------------------------------------------------------------------------------------------------- paths counted cell by cell


class Cells:
    """A network drawn cell by cell: every cell knows what it is computed from, every weight the cells it enters."""

    def __init__(self):
        self.sources, self.uses = [], collections.defaultdict(list)

    def cell(self, sources):
        self.sources.append(list(sources))
        return len(self.sources) - 1

    def counts(self, outputs):
        paths = [0] * len(self.sources)
        for o in outputs:
            paths[o] += 1
        for v in reversed(range(len(self.sources))):
            for u in self.sources[v]:
                paths[u] += paths[v]
        return {w: sum(paths[v] for v in targets) for w, targets in self.uses.items()}


def draw(cells, name, layer, x):
    """The cells that a layer makes of cells x (height, width, channels), by loops over indices."""
    height, width, channels = x.shape
    if isinstance(layer, Residual):
        branch, around = draw_all(cells, f"{name}.", layer.branch, x), draw_all(cells, f"{name}.", layer.shortcut, x)
        return each(branch.shape, lambda *i: cells.cell([branch[i], around[i]]))
    if isinstance(layer, Gate):
        g = draw_all(cells, f"{name}.", layer.factor, x)
        g = np.broadcast_to(g, x.shape)
        return each(x.shape, lambda *i: cells.cell([x[i], g[i]]))
    if isinstance(layer, BatchNorm):

        def normalise(y, z, c):
            v = cells.cell([x[y, z, c]])
            for vector in range(4):
                cells.uses[name, "norm", vector, c].append(v)
            return v

        return each(x.shape, normalise)
    if isinstance(layer, GlobalPool):
        return each((1, 1, channels), lambda _, __, c: cells.cell(x[:, :, c].ravel()))
    if isinstance(layer, Dense):

        def unit(_, __, j):
            v = cells.cell(x.ravel())
            for i in range(x.size):
                cells.uses[name, "weight", i, j].append(v)
            if layer.bias:
                cells.uses[name, "bias", j].append(v)
            return v

        return each((1, 1, layer.units), unit)
    k, s, d = layer.kernel, layer.stride, layer.dilation
    p = k // 2 if layer.padding is None else layer.padding
    rows, columns = ([i for i in range(-p, size + p - d * (k - 1), s)] for size in (height, width))

    def window(h, v, o):
        reads = range(channels) if isinstance(layer, Conv) else [o]
        taps = [
            (a, b, c)
            for a, b, c in itertools.product(range(k), range(k), reads)
            if 0 <= rows[h] + a * d < height and 0 <= columns[v] + b * d < width
        ]
        new = cells.cell(x[rows[h] + a * d, columns[v] + b * d, c] for a, b, c in taps)
        if not isinstance(layer, Pool):
            for tap in taps:
                cells.uses[name, "weight", *tap, o].append(new)
            if isinstance(layer, Conv) and layer.bias:
                cells.uses[name, "bias", o].append(new)
        return new

    return each((len(rows), len(columns), layer.filters if isinstance(layer, Conv) else channels), window)


def each(shape, make):
    out = np.empty(shape, int)
    for index in np.ndindex(*shape):
        out[index] = make(*index)
    return out


def draw_all(cells, prefix, layers, x):
    for name, layer in layers.items():
        x = draw(cells, prefix + name, layer, x)
    return x


def random_layers(random, channels):
    """Layers of every kind, on at least 5×5 cells."""
    pick = lambda *of: int(random.choice(of))
    window = lambda: {"kernel": pick(1, 2, 3), "padding": pick(0, 1), "dilation": pick(1, 2)}
    inside = pick(1, 3)
    gate = Gate({"mean": GlobalPool(), "squeeze": Conv(inside, kernel=1, bias=True), "excite": Conv(channels, kernel=1, bias=True)})
    same = {"conv": Conv(inside, kernel=3), "norm": BatchNorm(), "depthwise": Depthwise(kernel=3), "back": Conv(channels, kernel=1)}
    down = {"down": Conv(2, kernel=3, stride=2), "map": Gate({"conv": Conv(2, kernel=1)})}
    menu = [
        {"identity": Residual(same)},
        {"projected": Residual(down, {"shortcut": Conv(2, kernel=1, stride=2)})},
        {"gate": gate},
        {"window": Conv(channels, stride=pick(1, 2), bias=bool(pick(0, 1)), **window())},
        {"depthwise": Depthwise(stride=pick(1, 2), **window()), "norm": BatchNorm()},
        {"pool": Pool(kernel=3, stride=pick(1, 2)), "mix": Conv(channels, kernel=1)},
    ]
    order = [int(i) for i in random.permutation(len(menu))[:3]]
    parts = [{f"{position}.{name}": layer for name, layer in menu[i].items()} for position, i in enumerate(order)]
    end = {"mean": GlobalPool(), "head": Dense(2)} if pick(0, 1) else {"head": Dense(3, bias=False)}
    return {name: layer for part in [*parts, end] for name, layer in part.items()}


@pytest.mark.parametrize("seed", range(40))
def test_plans_are_paths_counted_cell_by_cell(seed):
    random = np.random.default_rng(seed)
    plan = Plan(Shape(*(int(n) for n in random.integers(5, 9, 2)), 2), random_layers(random, 2))
    try:
        uses = plan.uses()
    except ValueError as error:
        assert "must fit" in str(error)
        return
    cells = Cells()
    outputs = draw_all(cells, "", plan.layers, each(plan.shape, lambda *_: cells.cell([])))
    expected = collections.Counter(
        (w[0], w[1], *(w[2:4] if w[1] == "weight" and len(w) == 6 else ()), c) for w, c in cells.counts(outputs.ravel()).items()
    )
    found = collections.Counter()
    for use in uses:
        place = () if use.place[0] == "norm" else use.place[1:]
        if use.count:
            found[use.layer, use.place[0], *place, use.count] += use.multiplicity
    assert found == expected
    assert all(isinstance(use.count, int) for use in uses)
    assert plan.outputs == outputs.size and weight_nodes(uses) == len(cells.uses)


# ----------------------------------------------------------------------------------------------------------------- closed forms


def test_taps_of_a_padded_convolution_of_stride_two():
    """Page 2: 3×3 on 5×5, stride 2, padding 1: (2, 3, 2) ⊗ (2, 3, 2)."""
    uses = Plan(Shape(5, 5, 4), {"conv": Conv(6, kernel=3, stride=2)}).uses()
    assert [u.count for u in uses] == [4, 6, 4, 6, 9, 6, 4, 6, 4] and {u.multiplicity for u in uses} == {24}


def test_taps_of_a_convolution_without_padding_are_equal():
    random = np.random.default_rng(0)
    for k, size, units in random.integers((1, 6, 1), (5, 12, 9), (20, 3)).tolist():
        uses = Plan(Shape(size, size + 1, 3), {"conv": Conv(5, kernel=k, padding=0), "head": Dense(units)}).uses()
        assert {u.count for u in uses if u.layer == "conv"} == {units * (size - k + 1) * (size - k + 2)}


def test_lenet():
    layers = {
        "conv1": Conv(6, kernel=5, padding=0, bias=True),
        "pool1": Pool(kernel=2, stride=2, padding=0),
        "conv2": Conv(16, kernel=5, padding=0, bias=True),
        "pool2": Pool(kernel=2, stride=2, padding=0),
        **{f"dense{n}": Dense(n) for n in (120, 84, 10)},
    }
    plan = Plan(Shape(32, 32, 1), layers)
    found = {layer.name: layer.counts for layer in plan.counts()}
    sizes = {"conv1": 156, "conv2": 2416, "dense120": 48120, "dense84": 10164, "dense10": 850}
    contexts = {"conv1": 16_128_000_000, "conv2": 10_080_000, "dense120": 840, "dense84": 10, "dense10": 1}
    assert found == {name: {contexts[name]: sizes[name]} for name in sizes}
    assert [layer.kind for layer in plan.counts()] == ["conv", "conv", "dense", "dense", "dense"]
    assert plan.depth == 5 and multiplications(plan.uses()) == 28**2 * 150 + 10**2 * 2400 + 48000 + 10080 + 840


@pytest.mark.parametrize("blocks", [1, 5, 40])
def test_a_chain_of_residual_blocks_multiplies_paths(blocks):
    """Page 2: (1 + r)^m, here r = 3·2 paths through 1×1 convolutions to 3 channels and back to 2."""
    chain = {f"{n}": Residual({"up": Conv(3, kernel=1), "down": Conv(2, kernel=1)}) for n in range(blocks)}
    first = Plan(Shape(1, 1, 2), {"first": Conv(2, kernel=1), **chain}).uses()[0]
    assert first.count == 7**blocks


def test_zero_counts_are_nobodys_parameters():
    """Outer taps of a 3×3 kernel on one cell."""
    uses = Plan(Shape(1, 1, 2), {"conv": Conv(5, kernel=3)}).uses()
    assert merged(uses) == {1: 10} and weight_nodes(uses) == 10 and sum(u.multiplicity for u in uses) == 90


def test_counts_beyond_floating_point_are_exact():
    width, depth = 7, 500
    uses = Plan(Shape(1, 1, 1), {f"{n}": Dense(width, bias=False) for n in range(depth)}).uses()
    assert uses[0].count == width ** (depth - 1) and math.log2(uses[0].count) > 1024


def test_gates_have_a_kind_of_their_own_and_no_depth():
    gate = Gate({"mean": GlobalPool(), "squeeze": Conv(1, kernel=1), "excite": Conv(4, kernel=1)})
    plan = Plan(Shape(3, 3, 2), {"conv": Conv(4, kernel=1), "gate": gate, "norm": BatchNorm(), "depthwise": Depthwise(kernel=3)})
    assert [(name, kind) for name, kind, _ in plan.counts()] == [
        ("conv", "conv"),
        ("gate.squeeze", "gate"),
        ("gate.excite", "gate"),
        ("norm", "batch_norm"),
        ("depthwise", "depthwise"),
    ]
    assert plan.depth == 2 and plan.inputs == 18 and plan.outputs == 36


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Conv(1, kernel=5, padding=0), r"^kernel=5: must fit into 3 cells, padded by 0, with dilation 1$"),
        (Residual({"conv": Conv(4, kernel=3)}), r"^shortcut=\(3, 3, 2\): must have the branch's shape \(3, 3, 4\)$"),
        (Gate({"conv": Conv(4, kernel=3)}), r"^factor=\(3, 3, 4\): must be one number per channel or per cell of \(3, 3, 2\)$"),
    ],
)
def test_layers_that_do_not_fit_say_so(layer, message):
    with pytest.raises(ValueError, match=message):
        Plan(Shape(3, 3, 2), {"layer": layer}).uses()
