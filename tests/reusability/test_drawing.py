"""Drawings of graphs: what is drawn is the graph, its counts are readable, its contexts are where they belong."""

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pytest

from dltheory.reusability import drawing
from dltheory.reusability.graph import dense_chain, figure_1a, figure_2a, figure_2b, figure_3a, mlp, random_graph, residual_chain


@pytest.fixture
def axes():
    figure, axes = plt.subplots(figsize=(3.0, 2.0))
    yield axes
    plt.close(figure)


def texts(axes):
    return Counter(t.get_text() for t in axes.texts if t.get_text())


@pytest.mark.parametrize("build", [figure_1a, figure_2a, figure_2b, figure_3a, lambda: mlp((2, 2, 1))])
def test_every_node_is_labelled_and_every_use_of_a_weight_has_its_count(axes, build):
    g = build()
    drawing.draw(axes, g)
    seen, counts = texts(axes), g.counts()
    for name in (*g.inputs, *g.functions, *g.weights):
        assert seen[drawing.label(name)] == 1
    assert Counter({k: n for k, n in seen.items() if k.isdigit()}) == Counter(str(c) for c in counts.values())
    assert sum(n for k, n in seen.items() if k.startswith("$O_")) == len(g.outputs)


def test_the_unrolled_graph_draws_a_weight_as_often_as_it_has_contexts(axes):
    g = figure_3a()
    drawing.draw(axes, g.unrolled(), {})
    seen = texts(axes)
    assert {w: seen[drawing.label(w)] for w in g.weights} == g.counts()
    assert not any(k.isdigit() for k in seen), "an empty mapping leaves the numbers out"


def test_counts_of_another_kind_can_be_drawn(axes):
    g = figure_3a()
    drawing.draw(axes, g, g.counts("through"))
    assert texts(axes)["2"] == 8


def test_no_two_nodes_share_a_place_and_arcs_lead_to_the_right():
    graphs = [figure_1a(), figure_2a(), figure_2b(), figure_3a().unrolled(), dense_chain(4, 2), residual_chain(3, 2)]
    graphs += [random_graph(np.random.default_rng(seed), 7, 4) for seed in range(20)]
    for g in graphs:
        places = drawing.layout(g)
        assert set(places) == {*g.inputs, *g.functions} and len(set(places.values())) == len(places)
        assert all(places[a.source][0] < places[a.target][0] for a in g.arcs if a.source not in g.weights)


def test_trees_have_their_leaves_in_order_and_parents_in_the_middle():
    g = figure_3a().unrolled()
    places = drawing.layout(g)
    rows = sorted(places[name][1] for name in g.inputs)
    assert np.all(np.diff(rows) == 1) and len(rows) == 8
    assert places["fo"][1] == np.mean(rows)


def test_each_context_has_a_colour_of_its_own_and_begins_at_its_weight(axes):
    g = figure_2b()
    drawing.draw(axes, g, contexts=list(g.contexts("w1")))
    thick = [line for line in axes.lines if line.get_linewidth() > 3]
    assert len({line.get_color() for line in thick}) == 2 and len(thick) == 6
    places = drawing.layout(g)
    assert places["i1"][0] < thick[0].get_xdata()[0] < places["f1"][0]
    assert (thick[-1].get_xdata()[-1], thick[-1].get_ydata()[-1]) == places["fo"]


def test_arcs_side_by_side_or_over_a_column_do_not_hide_each_other(axes):
    drawing.draw(axes, residual_chain(1, 1))
    straight, bent = (line.get_ydata() for line in axes.lines)
    assert np.ptp(straight) == 0 and np.ptp(bent) > 0
    axes.clear()
    drawing.draw(axes, dense_chain(2, 1))
    assert sorted(bool(np.ptp(line.get_ydata())) for line in axes.lines) == [False, False, True]


def test_reused_weights_stand_out(axes):
    drawing.draw(axes, figure_2b())
    colours = Counter(tuple(c.get_facecolor()[0]) for c in axes.collections if len(c.get_facecolor()))
    assert sorted(colours.values()) == [2, 2, 5, 6], "two inputs, two weights with two contexts, five functions, six weights with one"


@pytest.mark.parametrize(("name", "shown"), [("f1", "$f_{1}$"), ("fo", "$f_{o}$"), ("w2_1_3", "$w_{213}$"), ("f1~2", "$f_{1}$")])
def test_labels(name, shown):
    assert drawing.label(name) == shown
