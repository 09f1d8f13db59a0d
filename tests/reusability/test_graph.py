"""Explicit graphs: the page's tables, three ways of counting, tracing as a fourth, closed forms, refusals."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltheory.reusability.graph import (
    COPY,
    Arc,
    Graph,
    dense_chain,
    figure_1a,
    figure_2a,
    figure_2b,
    figure_3a,
    mlp,
    parallel_chains,
    random_graph,
    residual_chain,
)
from dltheory.reusability.summary import summary
from dltheory.reusability.trace import count_contexts


def rnn(steps, hidden, inputs):
    """One output reads the last state; the first state has none before it."""
    arcs = []
    for t in range(1, steps + 1):
        for j in range(hidden):
            arcs += [Arc(f"i{t}_{k}", f"h{t}_{j}", f"x_{k}_{j}") for k in range(inputs)] + [Arc(f"b_{j}", f"h{t}_{j}")]
            arcs += [Arc(f"h{t - 1}_{k}", f"h{t}_{j}", f"h_{k}_{j}") for k in range(hidden) if t > 1]
    arcs += [Arc(f"h{steps}_{k}", "fo", f"o_{k}") for k in range(hidden)]
    weights = {a.weight for a in arcs if a.weight} | {f"b_{j}" for j in range(hidden)}
    return Graph(tuple(f"i{t}_{k}" for t in range(1, steps + 1) for k in range(inputs)), tuple(sorted(weights)), ("fo",), tuple(arcs))


PAGE_4 = {
    "fig2a": (figure_2a(), 8, 8, 17, 0.0, 3.0, 24.0, 2.1255, 0.5406, {1: 8}),
    "fig2b": (figure_2b(), 8, 10, 21, 0.4, 2.92193, 24.5754, 2.1597, 1.0260, {1: 6, 2: 2}),
    "fig3a": (figure_3a(), 8, 12, 27, 0.66667, 2.91830, 24.6797, 2.1658, 1.2775, {1: 4, 2: 4}),
    "mlp": (mlp((3, 4, 2, 2)), 32, 90, 160, 1.64444, 4.84741, 165.7393, 3.7483, 2.7785, {1: 6, 2: 10, 4: 16}),
    "rnn": (rnn(4, 2, 2), 12, 120, 211, 3.58522, 3.32167, 48.2119, 3.0367, 3.2274, {1: 2, 7: 4, 15: 6}),
    "shared_mlp": (
        mlp((2, 3, 3, 3, 3, 2), bias=False, names="abbbc"),
        *(21, 564, 1130, 5.25618, 3.88337, 115.0973, 2.4204, 2.6113, {1: 6, 26: 9, 54: 6}),
    ),
}


@pytest.mark.parametrize("name", PAGE_4)
def test_rows_of_the_verification_table(name):
    g, N_G, Z, unrolled, *numbers, histogram = PAGE_4[name]
    counts = Counter(g.counts().values())
    assert counts == histogram
    assert (counts.total(), sum(c * m for c, m in counts.items()), g.unrolled_nodes, g.unrolled().nodes) == (N_G, Z, unrolled, unrolled)
    seen = summary(counts, len(g.inputs), len(g.outputs), g.weight_nodes)
    values = [seen.expected_spread, seen.entropy, seen.total_surprisal, seen.surprisal_score, seen.spread_score]
    assert np.all(np.abs(np.subtract(values, numbers)) <= [6e-6, 6e-6, 6e-5, 6e-5, 6e-5])


def test_weight_nodes_before_tying():
    assert [PAGE_4[name][0].weight_nodes for name in ("rnn", "shared_mlp", "mlp")] == [38, 39, 32]


def test_page_5_to_all_printed_digits():
    expected = {
        "fig2a": (0, 3, 24, 2.1255308821, 0.5405683814, 0, 2.079442, 2.079442),
        "fig2b": (0.4, 2.9219280949, 24.5754247591, 2.1597128284, 1.0259952085, 0.277259, 2.025326, 2.302585),
        "fig3a": (0.666667, 2.9182958341, 24.6797000058, 2.1658213342, 1.2775339755, 0.462098, 2.022809, 2.484907),
    }
    for name, page in expected.items():
        counts = Counter(PAGE_4[name][0].counts().values())
        bits, nats = (summary(counts, 2, 1, unit=unit) for unit in ("bits", "nats"))
        seen = [getattr(bits, k) for k in ("expected_spread", "entropy", "total_surprisal", "surprisal_score", "spread_score")]
        seen += [nats.expected_spread, nats.entropy, nats.log_partition]
        assert np.all(np.abs(np.subtract(seen, page)) <= [6e-7, 6e-11, 6e-11, 6e-11, 6e-11, 6e-7, 6e-7, 6e-7])
    assert figure_2b().counts() == dict(zip([f"w{k}" for k in range(1, 9)], (2, 1, 1, 2, 1, 1, 1, 1), strict=True))
    assert figure_3a().counts() == dict(zip([f"w{k}" for k in range(1, 9)], (2, 2, 2, 2, 1, 1, 1, 1), strict=True))
    assert figure_1a().counts() == {"w1": 4}


def test_contexts_of_figure_2b_are_those_drawn():
    assert list(figure_2b().contexts("w1")) == [("w1", "f1", "f3", "fo"), ("w1", "f1", "f4", "fo")]


def test_a_context_starts_at_the_weight():
    """Two paths of inputs reach w5 of figure 3a, and it has one context; the through-count multiplies."""
    g = figure_3a()
    assert (g.counts()["w5"], g.counts("through")["w5"]) == (1, 2)


def whole_paths(g):
    """How often each weight lies on a path to an output that begins at an input, or at itself as a bias: by walking all of them."""
    on_paths = Counter(dict.fromkeys(g.weights, 0))

    def walk(node, used):
        if node in g.outputs:
            on_paths.update(used)
        for arc in g.arcs:
            if arc.source == node:
                walk(arc.target, used + [arc.weight] * bool(arc.weight))

    for name in g.inputs:
        walk(name, [])
    inner = Counter(on_paths)
    for arc in g.arcs:
        if arc.source in g.weights:
            on_paths.clear()
            walk(arc.target, ["begin"])
            inner[arc.source] += on_paths["begin"]
    return dict(inner)


drawn = given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6))


@settings(max_examples=120, deadline=None)
@drawn
def test_brute_unrolling_enumeration_and_recursion_agree(seed, functions, weights):
    g = random_graph(np.random.default_rng(seed), functions, weights)
    forest = g.unrolled()
    copies = Counter(name.partition(COPY)[0] for name in forest.weights)
    assert {w: copies[w] for w in g.weights} == g.counts() == {w: sum(1 for _ in g.contexts(w)) for w in g.weights}
    assert forest.nodes == g.unrolled_nodes == forest.unrolled_nodes
    assert set(forest.counts().values()) <= {1}
    sources = Counter(arc.source for arc in forest.arcs) + Counter(arc.weight for arc in forest.arcs if arc.weight)
    assert set(sources.values()) <= {1}, "a forest shares no node"
    assert g.counts("through") == whole_paths(g)


@settings(max_examples=25, deadline=None)
@drawn
def test_the_graph_as_a_jax_function_has_the_same_counts(seed, functions, weights):
    g = random_graph(np.random.default_rng(seed), functions, weights)

    def fn(params, x):
        value = dict(zip(g.inputs, x.T[:, :1], strict=True))
        for v in g.functions:
            terms = [value[a.source] * params[a.weight] if a.weight else params.get(a.source, value.get(a.source)) for a in g.arcs_into(v)]
            value[v] = sum(terms[1:], start=terms[0])
        return [value[v] for v in g.outputs]

    params, x = dict.fromkeys(g.weights, np.ones(1, np.float32)), np.ones((1, 2), np.float32)
    for kind in ("published", "through"):
        seen = count_contexts(fn, params, x, kind, merge_roots=False)
        assert {w: c.item() for w, c in seen.items()} == g.counts(kind)


def test_a_uniform_graph_is_its_own_unrolling():
    for g in (figure_2a(), parallel_chains(3, 4)):
        forest = g.unrolled()
        assert set(forest.arcs) == set(g.arcs) and (set(forest.inputs), set(forest.weights)) == (set(g.inputs), set(g.weights))
    assert figure_3a().unrolled().nodes > figure_3a().nodes
    assert sum(name.partition(COPY)[0] == "w1" for name in figure_3a().unrolled().weights) == 2


def test_closed_forms_of_chains():
    n = np.random.default_rng(0).integers(1, 6, size=6).tolist()
    counts = mlp(n).counts()
    for layer in range(1, 6):
        expected = math.prod(n[layer + 1 :])
        assert {c for w, c in counts.items() if w.startswith((f"w{layer}_", f"b{layer}_"))} == {expected}
    assert sum(counts.values()) == sum(n[k] * (n[k - 1] + 1) * math.prod(n[k + 1 :]) for k in range(1, 6))
    blocks, r = 7, 3
    assert set(residual_chain(blocks, r).paths_to_outputs[name] for name in ("i1", "i2", "i3")) == {(1 + r) ** blocks}
    growth, layers = 2, 6
    B = dense_chain(layers, growth).paths_to_outputs
    for j in range(1, layers):
        assert B[f"f{j}_1"] == growth * sum(B[f"f{later}_1"] for later in range(j + 1, layers + 1)), "DenseNet"
    assert set(parallel_chains(4, 9).counts().values()) == {1}


@pytest.mark.parametrize(
    ("build", "growth"),
    [
        (lambda d: mlp([3] * (d + 1), bias=False), math.log(3)),
        (lambda d: residual_chain(d, 2), math.log(3)),
        (lambda d: parallel_chains(3, d), 0.0),
    ],
)
def test_unrolled_size_grows_as_the_panel_says(build, growth):
    low, high = (math.log(build(d).unrolled_nodes) for d in (1000, 1020))
    assert abs((high - low) / 20 - growth) < 1e-3


def test_dead_ends_have_no_contexts():
    g = Graph(("i1",), ("w1", "w2"), ("f1",), (Arc("i1", "f1", "w1"), Arc("f1", "f2", "w2")))
    assert g.counts() == {"w1": 1, "w2": 0} and g.unrolled().weights == ("w1",)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arcs": (Arc("i1", "f1", "w1"), Arc("f1", "f2"), Arc("f2", "f1"))}, "must not form a cycle"),
        ({"arcs": (Arc("i1", "f1"), Arc("f1", "w1"))}, "arc f1→w1: must end at a function node; w1 is a weight"),
        ({"arcs": (Arc("i1", "f1"), Arc("f1", "i1"))}, "arc f1→i1: must end at a function node; i1 is an input"),
        ({"arcs": (Arc("i1", "f1", "w9"),)}, "arc i1→f1 weight=w9: must be a weight"),
        ({"arcs": (Arc("w1", "f1", "w1"),)}, "arc w1→f1 weight=w1: must be a weight"),
        ({"arcs": (Arc("f9", "f1", "w1"),)}, "arc f9→f1: must begin at an input, a weight or a function node"),
        ({"outputs": ("f7",)}, "outputs=f7: must be a function node"),
        ({"outputs": ("f1", "f1")}, "outputs=f1: must be listed once"),
        ({"inputs": ("i1", "w1")}, "inputs=w1: must be listed once"),
    ],
)
def test_what_is_no_graph_is_refused_in_one_line(change, line):
    parts = {"inputs": ("i1",), "weights": ("w1",), "outputs": ("f1",), "arcs": (Arc("i1", "f1", "w1"),)}
    with pytest.raises(ValueError, match=re.escape(line)) as error:
        Graph(**parts | change)
    assert "\n" not in str(error.value)


def test_other_refusals():
    with pytest.raises(ValueError, match=r"kind=both: must be published or through"):
        figure_2a().counts("both")
    with pytest.raises(ValueError, match=r"unrolled_nodes=\d+: must be ≤ 1000000 to be built"):
        mlp([10] * 12).unrolled()
    with pytest.raises(ValueError, match=r"widths=\(3,\): must be two or more numbers"):
        mlp((3,))
