"""Contexts of traced functions against explicit graphs of scalars, automatic differentiation, closed forms and the page's table."""

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from jax import lax
from random_networks import LAYERS, flax_networks, networks
from verification import TABLE, TIED, conv, resblock, shape

from dltheory.models import Model, build, functional
from dltheory.reusability.histogram import Histogram
from dltheory.reusability.summary import summary
from dltheory.reusability.trace import count_contexts, trace


def drawn(examples):
    """So many examples, the same in every run."""
    phases = [Phase.generate, Phase.shrink]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )


X = jnp.ones((1, 3))
W = jnp.ones((3, 2))


def assert_equal(found, expected):
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=str(name))


def flat(counts):
    return [c for leaf in jax.tree.leaves(counts) for c in np.ravel(leaf).tolist()]


# graphs of scalars


@pytest.mark.parametrize("layer", LAYERS, ids=lambda f: f.__name__)
def test_random_networks(layer):
    """Networks in which each kind of layer is one of many, 115 in all."""

    @drawn(5)
    @given(networks(first=layer))
    def count(net):
        program = trace(net, net.params, net.x)
        assert_equal(program.counts(), net.expected())
        assert program.inputs == net.x.size and program.outputs == net.nodes.size

    count()


@drawn(10)
@given(networks())
def test_random_networks_in_every_arithmetic(net):
    program = trace(net, net.params, net.x)
    for kind in ("published", "through"):
        expected = net.expected(kind)
        assert_equal(program.counts(kind), expected)
        assert_equal(program.counts(kind, "residue"), expected)
        logs = program.counts(kind, "log")
        for name, counts in expected.items():
            log2 = np.array([math.log2(c) if c else -np.inf for c in counts.flat]).reshape(counts.shape)
            np.testing.assert_allclose(logs[name], log2, rtol=1e-12, atol=1e-13)


@drawn(12)
@given(flax_networks())
def test_random_flax_models(net):
    params, apply = net.model()
    with jax.numpy_dtype_promotion("standard"):  # flax asks for it
        counts = count_contexts(apply, params, net.x)
    found = dict(jax.tree.leaves_with_path(counts, is_leaf=lambda a: isinstance(a, np.ndarray)))
    found = {tuple(getattr(k, "key", getattr(k, "name", None)) for k in path)[1:3]: counts for path, counts in found.items()}
    assert_equal(found, net.expected())
    assert len(found) == len(net.kernels)


@drawn(10)
@given(networks(most=2))
def test_the_oracle_by_walking_every_path(net):
    outputs = list(net.nodes.flat)
    assume(net.graph.unrolled(outputs) < 20_000)
    assert_equal(net.graph.enumerated(outputs), net.graph.counts(outputs))


@pytest.mark.parametrize("graph", TABLE, ids=lambda f: f.__name__)
def test_verification_table(graph):
    fn, params, x, scalars, outputs = graph()
    nodes = list(np.ravel(outputs))
    program = trace(fn, params, x)
    counts = program.counts()
    assert_equal(counts, scalars.counts(nodes))
    assert_equal(counts, scalars.enumerated(nodes))
    if graph is not resblock:  # there four vectors are written as biases
        assert_equal(program.counts("through"), scalars.counts(nodes, "through"))
    assert_equal(program.counts(arithmetic="residue"), counts)
    seen, histogram = summary(counts, program.inputs, program.outputs, program.weight_nodes), Histogram.of(counts)
    N_G, Z, unrolled, spread, entropy, surprisal, P_S, P_E, classes = TABLE[graph]
    assert (seen.parameters, histogram.partition, scalars.unrolled(nodes)) == (N_G, Z, unrolled)
    assert seen.weight_nodes == TIED.get(graph, N_G)
    assert (seen.expected_spread, seen.entropy) == pytest.approx((spread, entropy), abs=6e-6)
    assert (seen.total_surprisal, seen.surprisal_score, seen.spread_score) == pytest.approx((surprisal, P_S, P_E), abs=6e-5)
    assert dict(zip(histogram.counts, histogram.multiplicity.tolist(), strict=True)) == classes
    assert flat(program.counts(arithmetic="log")) == pytest.approx([math.log2(c) for c in flat(counts)], abs=1e-12)


# automatic differentiation


@jax.custom_vjp
def reset(z):
    """1 forwards, the cotangent as it is backwards."""
    return jnp.ones_like(z)


reset.defvjp(lambda z: (reset(z), None), lambda _, c: (c,))


def plain_net(p, x, enter, phi, highest):
    h = phi(enter(x) @ p["a"] + p["b"][None])
    h = h + phi(enter(h) @ p["c"])
    h = jnp.concatenate([h, phi(enter(h) @ p["c"])], axis=1)
    return enter(h) @ p["d"]


def conv_net(p, x, enter, phi, highest):
    h = phi(conv(enter(x), p["a"], 2, 1) + p["b"][None, None, None])
    h = lax.reduce_window(h, -np.inf if highest is lax.max else 0.0, highest, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")
    h = h + phi(conv(enter(h), p["c"], 1, 1, dilation=2))
    return enter(h).reshape(1, -1) @ p["d"]


def loop_net(p, x, enter, phi, highest):
    step = lambda h, x: (phi(enter(x) @ p["a"] + enter(h) @ p["c"] + p["b"]), None)
    first = phi(enter(x[0]) @ p["a"] + p["b"])
    return enter(lax.scan(step, first, x[1:])[0]) @ p["d"]


def attention_net(p, x, enter, phi, highest):
    q, k, v = (enter(x) @ p[name] for name in "qkv")
    softmax = jax.nn.softmax if phi is jnp.tanh else lambda z: z
    return enter(enter(softmax(enter(q) @ enter(k).T)) @ enter(v)) @ p["o"]


AUTODIFF = {
    plain_net: ({"a": (3, 2), "b": (2,), "c": (2, 2), "d": (4, 2)}, (1, 3)),
    conv_net: ({"a": (3, 3, 2, 3), "b": (3,), "c": (2, 2, 3, 3), "d": (27, 2)}, (1, 5, 5, 2)),
    loop_net: ({"a": (2, 3), "b": (3,), "c": (3, 3), "d": (3, 2)}, (4, 2)),
    attention_net: ({"q": (2, 3), "k": (2, 3), "v": (2, 2), "o": (2, 1)}, (3, 2)),
}


@pytest.mark.parametrize("net", AUTODIFF, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["published", "through"])
def test_automatic_differentiation(net, kind):
    """∂ Σ outputs / ∂ w at w = 1, biases 0, of the linear network: with the values of every factor reset to 1 it is C, without T."""
    sizes, x = AUTODIFF[net]
    if net is attention_net and kind == "through":
        pytest.skip("products of data: gradients multiply paths, T adds them")
    params = {name: jnp.full(size, float(name != "b")) for name, size in sizes.items()}
    enter = reset if kind == "published" else lambda z: z
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(net(p, jnp.ones(x), enter, lambda z: z, lax.add))))(params)
    real = lambda p, x: net(p, x, lambda z: z, jnp.tanh, lax.max)
    assert_equal(count_contexts(real, params, jnp.ones(x), kind), jax.tree.map(lambda g: np.asarray(g).astype(int), gradient))


# closed forms


def zoo(name, inputs, outputs, **fields):
    """A model of the zoo by the shapes of its parameters."""
    parts = lambda: functional(build(name, jax.random.key(0), inputs, outputs, **fields))
    return lambda p, x: parts()[1](p, x), jax.eval_shape(lambda: parts()[0]), shape(1, inputs)


def stack(sizes, phi=jnp.tanh, bias=True):
    """A perceptron of these widths and the shapes of its parameters, lists of weights and biases."""

    def fn(p, x):
        for k, (w, b) in enumerate(p):
            x = x @ w + b[None] if bias else x @ w
            x = phi(x) if k < len(p) - 1 else x
        return x

    return fn, [(shape(n, m), shape(m)) for n, m in itertools.pairwise(sizes)], shape(1, sizes[0])


def test_perceptron_of_any_widths():
    for sizes in np.random.default_rng(0).integers(1, 6, size=(5, 6)).tolist():
        depth = range(1, len(sizes))
        counts, through = (count_contexts(*stack(sizes), kind) for kind in ("published", "through"))
        for (w, b), (t, _), l in zip(counts, through, depth, strict=True):
            after = math.prod(sizes[l + 1 :])
            assert {*flat(w), *flat(b)} == {after}
            assert set(flat(t)) == {math.prod(sizes[: l - 1]) * after}
        P = math.prod(sizes)
        assert [sum(flat(t)) for t, _ in through] == [P] * (len(sizes) - 1)  # T is flat over layers


def test_deep_networks_in_logarithms_and_residues():
    deep = count_contexts(*stack([16] * 301, bias=False), arithmetic="log")
    first = deep[0][0]
    assert set(np.ravel(first)) == {1196.0} and first.strides == (0, 0)
    for k, (w, _) in enumerate(deep):
        assert set(np.ravel(w)) == {4.0 * (299 - k)}
    residue = count_contexts(*stack([16] * 41, bias=False), arithmetic="residue")
    assert set(flat(residue[0][0])) == {16**39} and residue[0][0].dtype == object


def test_residual_chain_multiplies_by_one_plus_r():
    m, r = 7, 3

    def fn(p, x):
        for w in p[:-1]:
            x = x + jnp.tanh(x @ w)
        return x @ p[-1]

    counts = count_contexts(fn, [shape(r, r)] * m + [shape(r, 1)], shape(1, r))
    assert [set(flat(c)) for c in counts] == [{(1 + r) ** (m - 1 - k)} for k in range(m)] + [{1}]


def test_recurrent_closed_forms():
    T, h = 6, 3
    fn = lambda p, x: lax.scan(lambda s, x: (jnp.tanh(x @ p["x"] + s @ p["h"] + p["b"]), None), jnp.zeros(h, x.dtype), x)[0] @ p["o"]
    counts = count_contexts(fn, {"x": shape(2, h), "h": shape(h, h), "b": shape(h), "o": shape(h, 1)}, shape(T, 2))
    geometric = lambda n: (h**n - 1) // (h - 1)
    assert set(flat([counts["x"], counts["b"]])) == {geometric(T)} and set(flat(counts["h"])) == {geometric(T - 1)}


def test_lenet():
    found = set(flat(count_contexts(*zoo("lenet5", 1024, 10), arithmetic="residue")))
    assert found == {1, 10, 840, 10_080_000, 16_128_000_000}


def test_convolution_taps_factorise():
    n, k, s, p, d = 7, 3, 2, 1, 2
    out = (n + 2 * p - d * (k - 1) - 1) // s + 1
    rows = [sum(0 <= h * s + a * d - p < n for h in range(out)) for a in range(k)]
    counts = count_contexts(lambda w, x: conv(x, w, s, p, dilation=d), shape(k, k, 1, 1), shape(1, n, n, 1))
    np.testing.assert_array_equal(counts[..., 0, 0], np.outer(rows, rows))


# root merging

FUNCTIONS = (
    "relu relu6 gelu silu swish elu selu celu softplus leaky_relu softmax log_softmax sigmoid log_sigmoid hard_tanh hard_swish "
    "hard_sigmoid mish squareplus soft_sign sparse_plus tanh identity"
).split()


@pytest.mark.parametrize("merge", [True, False])
def test_functions_of_an_entry_are_one_arc(merge):
    for name in FUNCTIONS:
        f = getattr(jax.nn, name)
        if merge or name not in ("gelu", "hard_swish", "squareplus", "soft_sign", "sparse_plus"):
            assert set(flat(count_contexts(lambda w, x, f=f: f(x @ w), W, X, merge_roots=merge))) == {1}, name
    exact = lambda w, x: jax.nn.gelu(x @ w, approximate=False)
    assert set(flat(count_contexts(exact, W, X))) == {1}
    assert set(flat(count_contexts(lambda w, x: jax.nn.gelu(x @ w), W, X, merge_roots=False))) == {3}


def test_what_merging_does_to_skips():
    """Its side effect: x + x and x + φ(x) are one arc with it and two without."""
    for f in (
        lambda h: h + h,
        lambda h: h + jnp.tanh(h),
        lambda h: jnp.where(h > 0, h, jnp.exp(h)),
        lambda h: h.reshape(-1).reshape(1, 2) + h,
    ):
        assert [set(flat(count_contexts(lambda w, x, f=f: f(x @ w), W, X, merge_roots=m))) for m in (True, False)] == [{1}, {2}]
    assert set(flat(count_contexts(lambda w, x: (h := x @ w) + h[:, ::-1], W, X))) == {2}


def test_softmax_by_hand_is_one_arc():
    def softmax(z, shift):
        e = jnp.exp(z - shift(jnp.max(z, axis=1, keepdims=True)))
        return e / jnp.sum(e, axis=1, keepdims=True)

    for shift in (lax.stop_gradient, lambda m: m):
        assert set(flat(count_contexts(lambda w, x, s=shift: softmax(x @ w, s), W, X))) == {1}
    assert set(flat(count_contexts(lambda w, x: x @ w - jnp.mean(x @ w), W, X))) == {3}  # centring links all entries


# parameters of every kind


def test_parameters_that_do_little():
    fn = lambda p, x: (x @ p["w"], p["out"], (x @ p["w"]) * p["scalar"])
    params = {
        "w": W,
        "out": jnp.ones(2),
        "scalar": 1.0,
        "unused": jnp.ones((2, 2)),
        "integers": jnp.ones(3, int),
        "none": None,
        "empty": jnp.ones((0, 2)),
    }
    counts = count_contexts(fn, params, X)
    assert set(flat(counts["w"])) == {2} and counts["out"].tolist() == [1, 1] and counts["scalar"] == 2
    assert set(flat(counts["unused"])) == {0} and set(flat(counts["integers"])) == {0}
    assert counts["none"] is None and counts["empty"].shape == (0, 2)
    assert trace(fn, params, X).outputs == 6 and trace(fn, params, X).weight_nodes == 2 * 6 + 2 + 1


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float64, jnp.complex64])
def test_types_of_numbers(dtype):
    fn = lambda w, x: jnp.abs(x @ w).at[:, jnp.array([0, 0])].add(1)[:, 1:]
    assert count_contexts(fn, W.astype(dtype), X.astype(dtype)).tolist() == [[0, 1]] * 3


def test_empty_arrays():
    assert flat(count_contexts(lambda w, x: (x[:0] @ w).sum(), W, X)) == [0] * 6
    assert count_contexts(lambda w, x: jnp.concatenate([x @ w, x], axis=1), jnp.ones((3, 0)), X).shape == (3, 0)
    assert count_contexts(lambda w, x: (x @ w[0]).reshape(0, 5), jnp.ones((2, 3, 0)), X).shape == (2, 3, 0)
    for arithmetic in ("log", "residue"):
        assert np.all(np.asarray(count_contexts(lambda w, x: (x[:0] @ w).sum(), W, X, arithmetic=arithmetic), float) <= 0)


def test_outputs_on_the_way_add_their_own():
    fn = lambda w, x: [h := jnp.tanh(x @ w), h @ jnp.ones((2, 5)), x]
    assert set(flat(count_contexts(fn, W, X))) == {6} and trace(fn, W, X).outputs == 2 + 5 + 3
    integer = lambda w, x: (x @ w, jnp.argmax(x @ w), (x @ w).astype(int))
    assert trace(integer, W, X).outputs == 2 and set(flat(count_contexts(integer, W, X))) == {1}


def test_choices_have_no_paths():
    chosen = lambda w, x: x @ w + jnp.where((x @ w).astype(bool), 1.0, 0.0) + (x @ w > 0).astype(float) + lax.stop_gradient(x @ w)
    assert set(flat(count_contexts(chosen, W, X))) == {1}


def test_constants():
    """What is multiplied by 0 has no path: initial states, masks, matrices that are sparse by construction, padding."""
    lower = np.tril(np.ones((3, 3)))
    square = jnp.ones((3, 3))
    assert count_contexts(lambda w, x: x @ (w * lower), square, X).tolist() == lower.tolist()
    assert count_contexts(lambda w, x: x @ jnp.transpose(w * lower), square, X).tolist() == lower.tolist()
    two = lambda w, x: jnp.tanh(x @ (w[0] * lower)) @ (w[1] * lower)
    assert count_contexts(two, jnp.ones((2, 3, 3)), X)[0].tolist() == (lower * [1, 2, 3]).tolist()
    assert flat(count_contexts(lambda w, x: (x, (x * 0.0) @ w), square, X)) == [0] * 9
    assert (
        flat(count_contexts(lambda w, x: jnp.zeros((1, 3)) @ w[0] @ w[1] @ w[2] + x @ w[3], jnp.ones((4, 3, 3)), X)) == [0] * 27 + [1] * 9
    )
    wide = count_contexts(lambda w, x: jax.image.resize(x @ w, (1, 6), "bilinear"), square, X)
    assert wide.tolist() == [[3, 4, 3]] * 3
    patches = lambda w, x: lax.conv_general_dilated_patches((x @ w)[:, None], (2,), (1,), "VALID")
    assert count_contexts(patches, square, X).tolist() == [[1, 2, 1]] * 3
    kernel = lambda pad: count_contexts(lambda w, x: pad(x, w), shape(3, 3, 1, 1), shape(1, 4, 4, 1)).tolist()
    inside = lambda x, w: conv(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), w)
    assert kernel(inside) == kernel(lambda x, w: conv(x, w, 1, 1))
    filled = lambda x, w: conv(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), w)
    assert set(flat(np.array(kernel(filled), object))) == {16}
    framed = lambda x, w: conv(
        jnp.pad(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0), w
    )
    assert set(flat(np.array(kernel(framed), object))) == {36}
    assert count_contexts(lambda w, x: x @ (w * lower + 1.0), square, X).tolist() == lower.tolist()


def test_choices_that_are_known():
    """Only the chosen case has arcs; where data or chance choose, both have."""
    lower, square = np.tril(np.ones((3, 3))), jnp.ones((3, 3))
    for masked in (jnp.tril, lambda w: jnp.where(lower > 0, w, 0.0), lambda w: jnp.where(lower == 0, 0.0, w)):
        for arithmetic in ("exact", "residue"):
            assert count_contexts(lambda w, x, f=masked: x @ f(w), square, X, arithmetic=arithmetic).tolist() == lower.tolist()
        assert count_contexts(lambda w, x, f=masked: x @ f(w), square, X, kind="through").tolist() == lower.tolist()
    assert count_contexts(lambda w, x: x * jnp.einsum("ii->i", w)[None], square, X).tolist() == np.eye(3).tolist()
    two = count_contexts(lambda w, x: x @ jnp.where(lower > 0, w[0], w[1]), jnp.ones((2, 3, 3)), X)
    assert two.tolist() == [lower.tolist(), (1 - lower).tolist()]
    kept = lambda x: jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
    assert flat(count_contexts(lambda w, x: jnp.where(kept(x), x @ w, 0.0), square, X)) == [1] * 9
    assert flat(count_contexts(lambda w, x: jnp.where(x > 0, x @ w, 0.0), square, X)) == [1] * 9
    dense = lambda w, x: jnp.tanh(x @ w[0]) @ (w[1] * lower + 1.0)
    assert set(flat(count_contexts(dense, jnp.ones((2, 3, 3)), X)[0])) == {3}  # 1 is added: no zeros are left


def test_weights_that_are_normalised_or_computed():
    """Operations on parameters alone are arcs like all others, but N_W counts a parameter once for a use."""
    unit = lambda w, x: x @ (w / jnp.sqrt(jnp.sum(w**2, axis=0, keepdims=True)))
    program = trace(unit, W, X)
    assert set(flat(program.counts())) == {4} and program.weight_nodes == 6
    standard = lambda w, x: x @ ((w - w.mean(0, keepdims=True)) / w.std(0, keepdims=True))
    assert trace(standard, W, X).weight_nodes == 6
    low_rank = trace(lambda p, x: x @ (p["u"] @ p["v"]), {"u": jnp.ones((3, 2)), "v": jnp.ones((2, 5))}, X)
    assert low_rank.counts()["u"].tolist() == [[5, 5]] * 3 and low_rank.counts()["v"].tolist() == [[3] * 5] * 2
    through = low_rank.counts("through")
    assert through["u"].tolist() == [[5, 5]] * 3 and through["v"].tolist() == [[3] * 5] * 2 and low_rank.weight_nodes == 16


def test_embedding_that_is_also_the_readout():
    params, tokens = {"table": jnp.ones((5, 2)), "w": jnp.ones((2, 2))}, jnp.array([[1, 1, 3]])
    fn = lambda p, i: jnp.tanh(p["table"][i] @ p["w"]) @ p["table"].T
    program = trace(fn, params, tokens)
    looked_up = np.array([0, 2, 0, 1, 0])[:, None] * 5 * 2
    np.testing.assert_array_equal(program.counts()["table"], looked_up + 3 + np.zeros((5, 2), int))
    np.testing.assert_array_equal(program.counts("through")["table"], looked_up + 3 * 2 + np.zeros((5, 2), int))
    assert (program.inputs, program.outputs, program.weight_nodes) == (3, 15, 2 * 2 + 4 + 10)
    masked = lambda p, i: fn(p, i) * (i != 0)[..., None].astype(float)
    assert_equal(count_contexts(masked, params, jnp.zeros((1, 3), int)), count_contexts(fn, params, jnp.zeros((1, 3), int)))
    assert set(flat(count_contexts(lambda w, i: i.astype(float) @ w, W, jnp.zeros((1, 3), int), "through"))) == {1}


def test_gates_and_scales():
    p = {"w": jnp.ones((3, 3)), "v": jnp.ones((3, 3)), "g": jnp.ones(3), "b": jnp.ones(())}
    count = lambda fn: {k: set(flat(c)) for k, c in count_contexts(fn, p, X).items()}
    glu = count(lambda p, x: (x @ p["w"]) * jax.nn.sigmoid(x @ p["v"]))
    assert glu["w"] == glu["v"] == {1}
    swish = count(lambda p, x: (h := x @ p["w"]) * jax.nn.sigmoid(p["b"] * h))
    assert swish["w"] == {2} and swish["b"] == {3}
    layer_scale = count(lambda p, x: x + p["g"][None] * jnp.tanh(x @ p["w"]))
    assert layer_scale["w"] == layer_scale["g"] == {1}
    temperature = count(lambda p, x: jax.nn.softmax(x @ p["w"] / p["b"]))
    assert temperature["b"] == {3} and temperature["w"] == {1}


def test_programs_within_programs():
    """Compiled, rematerialised and custom functions, the same one several times, in nested loops."""
    layer = jax.jit(jax.checkpoint(lambda w, x: jnp.tanh(x @ w)))
    square = jnp.ones((2, 2))
    twice = lambda w, x: layer(w, layer(w, x))
    assert set(flat(count_contexts(twice, square, jnp.ones((1, 2))))) == {1 + 2}
    inner = lambda w, h: lax.fori_loop(0, 3, lambda _, h: layer(w, h), h)
    nested = lambda w, x: lax.scan(lambda h, _: (inner(w, h), None), x, None, length=2)[0]
    assert set(flat(count_contexts(nested, square, jnp.ones((1, 2))))) == {2**6 - 1}
    assert trace(nested, square, jnp.ones((1, 2))).weight_nodes == 4 * 6
    counted = lambda w, x: lax.fori_loop(0, 500, lambda i, c: (c[0] + 1, c[1]), (jnp.zeros(()), layer(w, x)))
    product = lambda w, x: (lambda c: c[0] * c[1])(counted(w, x))
    assert set(flat(count_contexts(product, square, jnp.ones((1, 2))))) == {1}
    noisy = lambda w, x: lax.scan(
        lambda h, k: (layer(w, h * jax.random.normal(k, (1, 2))), None), x, jax.random.split(jax.random.key(0), 3)
    )[0]
    assert set(flat(count_contexts(noisy, square, jnp.ones((1, 2))))) == {1 + 2 + 4}
    energy = lambda w, x: jax.grad(lambda x: jnp.sum(jnp.tanh(x @ w) @ w))(x)
    assert flat(count_contexts(energy, square, jnp.ones((1, 2))))  # gradients inside a model are traced like all else


def test_shapes_do_for_arrays_and_views_are_small():
    params = [(shape(3000, 3000), shape(3000))] * 2
    counts = count_contexts(stack([1])[0], params, shape(1, 3000))
    assert counts[0][0].strides == (0, 0) and counts[0][0][0, 0] == 3000 and not counts[0][0].flags.writeable


@pytest.mark.parametrize("name", list(Model.options))
def test_every_model_of_the_zoo(name):
    images = {"lenet5": 32**2, "resnet": 3 * 16**2, "efficientnet": 3 * 16**2}
    small = {"width": 0.1, "depth": 0.1} if name in ("resnet", "efficientnet") else {}
    fn, params, x = zoo(name, inputs := images.get(name, 64), 3, **small)
    program = trace(fn, params, x)
    counts = program.counts(arithmetic="log")
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    used = Histogram.of(counts).parameters
    assert program.inputs == inputs and program.outputs == 3
    assert used == parameters or (name in ("resnet", "efficientnet") and 0.5 * parameters < used < parameters)  # taps on 1 × 1 maps
    tied = name in ("tied_mlp", "rnn")
    assert (program.weight_nodes > used) if tied else (program.weight_nodes == used)


# refusals


def hand_layer_norm(h):
    return (h - jnp.mean(h)) / jnp.sqrt(jnp.var(h) + 1e-6)


NORMALISERS = {
    "layer norm": hand_layer_norm,
    "standard deviation": lambda h: (h - jnp.mean(h)) / jnp.std(h),
    "rms norm": lambda h: h * lax.rsqrt(jnp.mean(h**2, keepdims=True) + 1e-6),
    "power": lambda h: h * jnp.mean(h**2) ** -0.5,
    "l2": lambda h: h / jnp.linalg.norm(h),
    "einsum": lambda h: h / jnp.sqrt(jnp.einsum("bi,bi->b", h, h))[:, None],
    "after a reshape": lambda h: h / jnp.broadcast_to(jnp.sqrt(jnp.sum(jnp.square(h)).reshape(1, 1)), h.shape),
    "reciprocal": lambda h: h * (1 / jnp.sum(h)),
    "square of a reciprocal": lambda h: h * jnp.sum(h) ** -2,
    "response": lambda h: h / lax.reduce_window(h**2, 0.0, lax.add, (1, 2), (1, 1), "SAME") ** 0.75,
    "running": lambda h: h * lax.rsqrt(lax.cumsum(h**2, axis=1)),
}


@pytest.mark.parametrize("name", NORMALISERS)
@pytest.mark.parametrize("of", ["data", "tokens"])
def test_normalisers_by_hand_are_refused(name, of):
    first = (lambda w, x: x @ w) if of == "data" else (lambda w, x: w[x].reshape(1, -1))
    x = X if of == "data" else jnp.array([0, 2])
    with pytest.raises(ValueError, match=r"^[a-z_]+ at .*test_trace.py:\d+\S* .*: a normaliser computed from the data; use flax's"):
        count_contexts(lambda w, x: NORMALISERS[name](first(w, x)), W, x)


def test_what_only_looks_like_a_normaliser_is_counted():
    pooled = lambda w, x: jnp.sqrt(jax.nn.relu(jnp.mean(x, keepdims=True) @ w[:1]))  # a root of what a layer makes of an average
    assert count_contexts(pooled, W, X).tolist() == [[1, 1], [0, 0], [0, 0]]
    assert set(flat(count_contexts(lambda w, x: jnp.sqrt(x @ w) ** 3 / (1 + jnp.abs(x @ w)), W, X))) == {1}


def test_weights_times_tokens_are_data():
    with pytest.raises(ValueError, match="a normaliser computed from the data"):
        count_contexts(lambda w, i: (h := w * i.astype(float)) / jnp.sqrt(jnp.sum(h**2)), jnp.ones(3), jnp.arange(3))


REFUSALS = {
    "sort": lambda h: jnp.sort(h),
    "sort ": lambda h: jnp.median(h),
    "top_k": lambda h: lax.top_k(h, 1)[0],
    "while": lambda h: lax.while_loop(lambda h: jnp.sum(h) < 3, lambda h: 2 * h, h),
    "cond": lambda h: lax.cond(jnp.sum(h) > 0, jnp.tanh, jnp.sin, h),
    "cond ": lambda h: lax.switch(jnp.argmax(h), [jnp.tanh, jnp.sin], h),
    "gather": lambda h: h[:, jnp.argmax(h, axis=1)],
    "dynamic_slice": lambda h: lax.dynamic_slice(h, (0, jnp.argmin(h)), (1, 1)),
    "fft": lambda h: jnp.fft.rfft(h).real,
    "cholesky": lambda h: jnp.linalg.cholesky(h.T @ h),
    "eigh": lambda h: jnp.linalg.eigvalsh(h.T @ h),
    "pure_callback": lambda h: jax.pure_callback(lambda h: h, jax.ShapeDtypeStruct(h.shape, h.dtype), h),
    "reduce": lambda h: lax.reduce(h, jnp.zeros((), h.dtype), lambda a, b: a + 2 * b, (0,)),
    "custom_linear_solve": lambda h: jnp.linalg.solve(h.T @ h, h[0]),
    "conv_general_dilated": lambda h: lax.conv_general_dilated(jnp.stack([h, h]), jnp.stack([h, h]), (1,), "SAME", batch_group_count=2),
    "TracerBoolConversionError": lambda h: h if h[0, 0] > 0 else -h,
    "NonConcreteBooleanIndexError": lambda h: h[h > 0],
    "ConcretizationTypeError": lambda h: jnp.nonzero(h)[0] + h[0],
    "TracerArrayConversionError": lambda h: np.asarray(h),
    "TracerIntegerConversionError": lambda h: [h][jnp.argmax(h)],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_one_line_that_says_what_to_do(name):
    with pytest.raises(ValueError) as error:
        count_contexts(lambda w, x: REFUSALS[name](x @ w), W, X)
    assert re.fullmatch(rf"{name.strip()} at .*test_trace.py:\d+.*: [^\n]+; (use|count|give) [^\n]+", str(error.value))


def test_a_refusal_inside_a_compiled_function_names_a_line():
    inner = jax.jit(lambda h: jax.jit(jnp.sort)(h))
    with pytest.raises(ValueError, match=r"^sort at .*test_trace.py:\d+"):
        count_contexts(lambda w, x: inner(x @ w), W, X)


def test_an_unknown_primitive_and_unknown_shapes():
    unknown = jax.extend.core.Primitive("riddle")
    unknown.def_abstract_eval(lambda x: x)
    with pytest.raises(ValueError, match=r"^riddle at .*test_trace.py:\d+.*: no counting rule; count a model without it$"):
        count_contexts(lambda w, x: unknown.bind(x @ w), W, X)
    (n,) = jax.export.symbolic_shape("n")
    with pytest.raises(ValueError, match=r"^\w+ at .*: a shape that is not known before the program runs; give it fixed sizes$"):
        count_contexts(lambda w, x: x @ w, shape(3, 2), jax.ShapeDtypeStruct((n, 3), jnp.float32))


def test_what_is_wrong_with_arguments():
    with pytest.raises(ValueError, match=r"^kind=both: must be one of published, through$"):
        count_contexts(lambda w, x: x @ w, W, X, kind="both")
    with pytest.raises(ValueError, match=r"^arithmetic=float: must be one of exact, log, residue$"):
        count_contexts(lambda w, x: x @ w, W, X, arithmetic="float")
    for fn in (lambda w, x: jnp.argmax(x @ w), lambda w, x: None, lambda w, x: jnp.ones(3)):
        with pytest.raises(ValueError, match=r"^fn: must return floating arrays that depend on params or x$"):
            count_contexts(fn, W, X)
    with pytest.raises(ValueError, match=r"^gather at .*: indices that depend on the data"):
        count_contexts(lambda w, i: w[i], W, jax.ShapeDtypeStruct((2,), jnp.int32))
