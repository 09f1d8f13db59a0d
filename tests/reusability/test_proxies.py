"""Zero-cost proxies against closed forms, and against finite differences and loops over examples in NumPy."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from dltheory.models import Activations, build, functional, unpatched
from dltheory.reusability import proxies
from dltheory.reusability.trace import count_contexts

rng = np.random.default_rng(0)
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # in half the time
SCORES = {name: getattr(proxies, name) for name in proxies.__all__ if name != "synflow_saliency"}
NEEDS_LABELS = ["fisher", "grad_norm", "grasp", "snip"]
STEP = 1e-5
RESCALED = np.array([1.7, 1 / 1.7, 1])
PHI = {"relu": (jax.nn.relu, lambda z: np.maximum(z, 0)), "tanh": (jnp.tanh, np.tanh)}


def skipping(phi):
    """A convolutional network with a skip connection: feature maps, feature maps, units, three logits."""
    conv = lambda h, w: jax.lax.conv_general_dilated(h, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def apply(p, x, patch=unpatched):
        h = patch(0, phi(conv(x, p["w0"]) + p["b0"][None, None, None]))
        maps = patch(1, h + phi(conv(h, p["w1"]) + p["b1"][None, None, None]))
        units = patch(2, phi(maps.reshape(len(x), -1) @ p["w2"] + p["b2"][None]))
        return Activations((h, maps, units), units @ p["w3"] + p["b3"][None])

    return apply


def by_hand(p, x, phi, added=(0, 0, 0)):
    """The same in NumPy: hidden representations, each with `added` to it, and logits."""

    def conv(h, w):
        padded = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return sum(padded[:, a : a + h.shape[1], b : b + h.shape[2]] @ w[a, b] for a in range(3) for b in range(3))

    h = phi(conv(x, p["w0"]) + p["b0"]) + added[0]
    maps = h + phi(conv(h, p["w1"]) + p["b1"]) + added[1]
    units = phi(maps.reshape(len(x), -1) @ p["w2"] + p["b2"]) + added[2]
    return [h, maps, units], units @ p["w3"] + p["b3"]


SHAPES = {"w0": (3, 3, 1, 2), "b0": (2,), "w1": (3, 3, 2, 2), "b1": (2,), "w2": (32, 3), "b2": (3,), "w3": (3, 3), "b3": (3,)}
PARAMS = {name: 0.5 * rng.normal(size=shape) for name, shape in SHAPES.items()}
X, Y = rng.normal(size=(4, 4, 4, 1)), rng.integers(0, 3, 4)


def losses(logits, y=Y):
    return special.logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]


def slopes(f, tree):
    """∂f of every number of a dictionary of arrays, by central differences."""
    found = {}
    for name, value in tree.items():
        found[name] = np.empty(value.shape)
        for i in np.ndindex(value.shape):
            moved = []
            for sign in (1, -1):
                other = value.copy()
                other[i] += sign * STEP
                moved.append(f({**tree, name: other}))
            found[name][i] = (moved[0] - moved[1]) / (2 * STEP)
    return found


def every(tree):
    return np.concatenate([tree[name].ravel() for name in SHAPES])


@pytest.fixture(scope="module")
def gradients():
    """∂L/∂w of the network with a skip, by finite differences."""
    return {phi: slopes(lambda p, f=f: losses(by_hand(p, X, f)[1]).mean(), PARAMS) for phi, (_, f) in PHI.items()}


def linear(*weights):
    """The deep linear network of these weights, as (apply, params)."""

    def apply(p, x, patch=unpatched):
        hidden = []
        for layer, w in enumerate(p[:-1]):
            x = patch(layer, x @ w)
            hidden.append(x)
        return Activations(tuple(hidden), x @ p[-1])

    return apply, [jnp.asarray(w) for w in weights]


def perceptron(*sizes):
    """A ReLU network without biases."""
    weights = [rng.normal(size=s) / math.sqrt(s[0]) for s in itertools.pairwise(sizes)]
    apply, params = linear(*weights)
    return lambda p, x, patch=unpatched: apply(p, x, lambda layer, h: patch(layer, jax.nn.relu(h))), params


def score(f, apply, params, *data, **how):
    return float(compiled(functools.partial(f, apply, **how))(params, *data))


def saliency_of(apply, params, x):
    return compiled(functools.partial(proxies.synflow_saliency, apply))(params, x)


@pytest.fixture(scope="module")
def scores():
    """Scores of the network with a skip, in one program for each φ."""
    names = {phi: ["snip", "grad_norm", "grasp", "fisher", "naswot", more] for phi, more in (("relu", "synflow"), ("tanh", "jacob_cov"))}
    run = lambda phi: compiled(lambda p: {name: SCORES[name](skipping(PHI[phi][0]), p, X, Y) for name in names[phi]})(PARAMS)
    return {phi: jax.tree.map(float, run(phi)) for phi in PHI}


def softmax_minus_one_hot(logits, y):
    return special.softmax(logits, axis=1) - np.eye(logits.shape[1])[y]


@pytest.fixture(autouse=True)
def same_draws_in_any_order():
    rng.bit_generator.state = np.random.default_rng(1).bit_generator.state


# ------------------------------------------------------------------------------------------------ all of them


@pytest.fixture(scope="module")
def three():
    """Three ReLU networks without biases, in one program: W, the same rescaled by 1.7 and 1/1.7, and others."""
    rng.bit_generator.state = np.random.default_rng(2).bit_generator.state
    apply, first = perceptron(5, 6, 6, 3)
    other = perceptron(5, 6, 6, 3)[1]
    weights = [jnp.stack([w, f * w, v]) for w, f, v in zip(first, RESCALED, other, strict=True)]
    x, y = rng.normal(size=(7, 5)), rng.integers(0, 3, 7)
    program = compiled(jax.vmap(lambda p: {name: f(apply, p, x, y) for name, f in SCORES.items()}))
    return apply, weights, x, y, lambda weights: jax.tree.map(np.asarray, program(weights))


def test_a_pure_function_of_the_parameters(three):
    apply, weights, x, y, scores = three
    together, other_way = scores(weights), scores([w[::-1] for w in weights])
    for name in SCORES:
        assert together[name].dtype == float and together[name].shape == (3,)
        np.testing.assert_allclose(together[name], other_way[name][::-1], rtol=1e-12)
        assert name in ("flops", "parameters") or together[name][0] != together[name][2]
    for name in ("snip", "naswot"):
        assert together[name][2] == pytest.approx(score(SCORES[name], apply, [w[2] for w in weights], x, y), rel=1e-12)


def test_networks_in_single_precision_are_scored_in_double(three):
    _, weights, _, _, scores = three
    double, single = scores(weights), scores([w.astype("float32") for w in weights])
    for name in SCORES:
        assert single[name].dtype == float
        if name != "zen":  # other random inputs
            np.testing.assert_allclose(single[name], double[name], rtol=1e-4)


@pytest.mark.parametrize("name", NEEDS_LABELS)
@pytest.mark.parametrize("y", [None, Y.astype(float), Y[:2], np.eye(3, dtype=int)[Y]])
def test_labels_are_whole_numbers_one_each(name, y):
    with pytest.raises(ValueError, match=r"^y=.*: must be integer labels of shape \[4\]$"):
        SCORES[name](skipping(jnp.tanh), PARAMS, X, y)


@pytest.mark.parametrize("name", ["fisher", "naswot", "zen"])
def test_hidden_representations_are_asked_for(name):
    with pytest.raises(ValueError, match=rf"^apply=\w+: must return Activations with hidden representations for {name}$"):
        SCORES[name](lambda p, x: x @ p, jnp.ones((3, 2)), np.ones((4, 3)), Y)


# --------------------------------------------------------------------------------------------------- SynFlow


def test_synflow_of_a_chain_is_a_product_of_matrices():
    apply, weights = perceptron(5, 4, 6, 3)
    flow = np.ones(5) @ np.abs(weights[0]) @ np.abs(weights[1]) @ np.abs(weights[2]) @ np.ones(3)
    saliency = saliency_of(apply, weights, np.zeros((2, 5)))
    for s in saliency:  # conserved from layer to layer
        assert s.sum() == pytest.approx(flow, rel=1e-13)
    assert score(proxies.synflow, apply, weights, np.zeros((2, 5))) == pytest.approx(math.log(3 * flow), abs=1e-13)
    # unit by unit, what flows in flows out
    np.testing.assert_allclose(saliency[0].sum(0), saliency[1].sum(1), rtol=1e-13)


def test_synflow_of_the_network_with_a_skip_by_finite_differences(scores):
    sizes = {name: np.abs(w) for name, w in PARAMS.items()}
    flow = slopes(lambda p: by_hand(p, np.ones((1, 4, 4, 1)), PHI["relu"][1])[1].sum(), sizes)
    saliency = saliency_of(skipping(jax.nn.relu), PARAMS, X)
    for name in SHAPES:
        np.testing.assert_allclose(saliency[name], sizes[name] * flow[name], rtol=1e-6)
    assert scores["relu"]["synflow"] == pytest.approx(math.log(every(sizes) @ every(flow)), rel=1e-8)


def test_synflow_at_unit_weights_is_the_through_count():
    signs = {name: np.where(name[0] == "w", rng.choice([-1.0, 1.0], shape), 0.0) for name, shape in SHAPES.items()}
    apply = skipping(jax.nn.relu)
    counts = count_contexts(apply, signs, X[:1], kind="through")
    saliency = saliency_of(apply, signs, X)
    published = count_contexts(apply, signs, X[:1])
    for name in SHAPES:
        if name[0] == "w":
            np.testing.assert_array_equal(saliency[name], counts[name].astype(float))
            assert name == "w0" or not np.array_equal(saliency[name], published[name].astype(float))
    slope = jax.grad(lambda p: apply(p, np.ones((1, 4, 4, 1))).output.sum())(jax.tree.map(np.abs, signs))
    for name in ("b0", "b1", "b2", "b3"):
        np.testing.assert_array_equal(slope[name], counts[name].astype(float))


def test_synflow_needs_double_precision():
    width, depth, size = 30, 12, 1e3
    shapes = itertools.pairwise([7, *[width] * (depth - 1), 2])
    apply, weights = linear(*(np.full(shape, -size, np.float32) for shape in shapes))
    expected = math.log(depth) + math.log(7 * 2) + (depth - 1) * math.log(width) + depth * math.log(np.float32(size))
    assert expected > math.log(np.finfo(np.float32).max)
    assert not np.isfinite(apply([-w for w in weights], jnp.ones((1, 7), jnp.float32)).output).any()
    assert score(proxies.synflow, apply, weights, np.zeros((1, 7))) == pytest.approx(expected, abs=1e-10)


def test_synflow_turns_normalisers_off():
    params, apply = functional(build("layer_norm", jax.random.key(0), 4, 2, width=5, hidden_layers=2, activation="relu"))
    mlp, readout = params["mlp"], params["readout"]
    size = lambda v: np.abs(np.asarray(v[...], float))
    layers = [(size(w), size(b)) for part in (mlp, readout) for w, b in zip(part["weights"].values(), part["biases"].values(), strict=True)]

    def flow(scale):
        z = np.ones(4)
        for w, b in layers:
            z = scale * (z @ w + b) * (scale if len(b) == 5 else 1)  # γ = 1, β = 0
        return z.sum()

    expected = (flow(1 + STEP) - flow(1 - STEP)) / (2 * STEP)  # Σ w ∂R/∂w
    assert score(proxies.synflow, apply, params, np.zeros((3, 4))) == pytest.approx(math.log(expected), abs=1e-8)


PILOT = [(20, 1, False, 6.86), (16, 2, False, 8.71), (13, 4, False, 11.64), (16, 3, True, 10.60), (16, 5, True, 14.15)]


@pytest.mark.parametrize("width, hidden, tied, printed", PILOT)
def test_synflow_of_the_pilot(width, hidden, tied, printed):
    """Page 8: single networks of 64 pixels and 10 digits, of variance 2/fan-in; biases 0 carry nothing."""

    def apply(p, x):
        for layer in range(hidden):
            x = jax.nn.relu(x @ p[min(layer, 1) if tied else layer])
        return x @ p[-1]

    shapes = [*itertools.pairwise((64, *[width] * (2 if tied else hidden), 10))]
    weights = [rng.normal(size=(60, *shape)) * math.sqrt(2 / shape[0]) for shape in shapes]
    drawn = np.asarray(compiled(jax.vmap(lambda p: proxies.synflow(apply, p, np.zeros((1, 64)))))(weights))
    assert np.std(drawn) < 0.25
    assert printed == pytest.approx(np.mean(drawn), abs=3 * np.std(drawn))


def test_synflow_of_a_cut_network_is_minus_infinity():
    apply, weights = linear(np.ones((3, 2)), np.zeros((2, 2)))
    assert score(proxies.synflow, apply, weights, np.ones((1, 3))) == -math.inf


# ----------------------------------------------------------------------------------- gradients of the loss


@pytest.mark.parametrize("phi", PHI)
def test_snip_and_grad_norm_by_finite_differences(phi, gradients, scores):
    g = gradients[phi]
    assert scores[phi]["snip"] == pytest.approx(np.abs(every(PARAMS) * every(g)).sum(), rel=1e-6)
    assert scores[phi]["grad_norm"] == pytest.approx(sum(np.linalg.norm(v) for v in g.values()), rel=1e-6)


@pytest.mark.parametrize("phi", PHI)
def test_grasp_by_finite_differences(phi, gradients, scores):
    g = gradients[phi]
    step = 1e-4 / np.linalg.norm(every(g))
    slope = lambda t: every(slopes(lambda p: losses(by_hand(p, X, PHI[phi][1])[1]).mean(), {n: PARAMS[n] + t * g[n] for n in SHAPES}))
    expected = -every(PARAMS) @ (slope(step) - slope(-step)) / (2 * step)
    assert scores[phi]["grasp"] == pytest.approx(expected, rel=1e-4)


def test_one_linear_layer_in_closed_form():
    x, w, y = rng.normal(size=(6, 5)), rng.normal(size=(5, 3)), rng.integers(0, 3, 6)
    apply, params = linear(w)
    p = special.softmax(x @ w, axis=1)
    g = x.T @ (p - np.eye(3)[y]) / 6
    assert score(proxies.grad_norm, apply, params, x, y) == pytest.approx(np.linalg.norm(g), rel=1e-12)
    assert score(proxies.snip, apply, params, x, y) == pytest.approx(np.abs(w * g).sum(), rel=1e-12)
    curved = sum(np.outer(x[n], (np.diag(p[n]) - np.outer(p[n], p[n])) @ (x[n] @ g)) for n in range(6)) / 6
    assert score(proxies.grasp, apply, params, x, y) == pytest.approx(-(w * curved).sum(), rel=1e-12)


def test_deep_linear_network_in_closed_form():
    x, y = rng.normal(size=(6, 5)), rng.integers(0, 3, 6)
    a, b, c = (rng.normal(size=s) for s in ((5, 4), (4, 4), (4, 3)))
    apply, params = linear(a, b, c)
    error = softmax_minus_one_hot(x @ a @ b @ c, y)
    g = [x.T @ error @ (b @ c).T / 6, (x @ a).T @ error @ c.T / 6, (x @ a @ b).T @ error / 6]
    assert score(proxies.grad_norm, apply, params, x, y) == pytest.approx(sum(map(np.linalg.norm, g)), rel=1e-12)
    assert score(proxies.snip, apply, params, x, y) == pytest.approx(
        sum(np.abs(u * v).sum() for u, v in zip((a, b, c), g, strict=True)), rel=1e-12
    )
    mattering = [(x @ a) * (error @ (b @ c).T), (x @ a @ b) * (error @ c.T)]
    assert score(proxies.fisher, apply, params, x, y) == pytest.approx(sum((m**2).sum() for m in mattering) / 12, rel=1e-12)


@pytest.mark.parametrize("phi", PHI)
def test_fisher_example_by_example(phi, scores):
    expected = 0.0
    for n in range(4):
        x, y, f = X[n : n + 1], Y[n : n + 1], PHI[phi][1]
        hidden = dict(enumerate(by_hand(PARAMS, x, f)[0]))
        zeros = {k: np.zeros(h.shape) for k, h in hidden.items()}
        slope = slopes(lambda added, x=x, y=y, f=f: losses(by_hand(PARAMS, x, f, added)[1], y)[0], zeros)
        for k, h in hidden.items():
            for channel in range(h.shape[-1]):
                expected += np.sum(h[..., channel] * slope[k][..., channel]) ** 2 / 8
    assert scores[phi]["fisher"] == pytest.approx(expected, rel=1e-6)


def test_rescaling_of_consecutive_layers(three):
    apply, weights, x, y, scores = three
    scores = scores(weights)
    for invariant in ("snip", "fisher", "synflow", "naswot", "jacob_cov", "zen"):
        assert scores[invariant][1] == pytest.approx(scores[invariant][0], rel=1e-9)

    def pieces(weights):
        """|g_m|, and -Σ_l w_l H_lm g_m."""
        gradient = jax.grad(lambda p: -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(apply(p, x).output), y[:, None], 1)))
        g = gradient(weights)
        norms, terms = [], []
        for m in range(3):
            along = [v if layer == m else jnp.zeros_like(v) for layer, v in enumerate(g)]
            curved = jax.jvp(gradient, (weights,), (along,))[1]
            norms.append(jnp.sqrt(jnp.sum(g[m] ** 2)))
            terms.append(-sum(jnp.sum(w * h) for w, h in zip(weights, curved, strict=True)))
        return jnp.stack(norms), jnp.stack(terms)

    norms, terms = map(np.asarray, compiled(pieces)([w[0] for w in weights]))
    np.testing.assert_allclose(scores["grad_norm"][:2], [norms.sum(), (norms / RESCALED).sum()], rtol=1e-10)
    np.testing.assert_allclose(scores["grasp"][:2], [terms.sum(), (terms / RESCALED**2).sum()], rtol=1e-9)


# ----------------------------------------------------------------------------------- separation of inputs


def score_of_eigenvalues(sigma, k=1e-5):
    return -np.sum(np.log(sigma + k) + 1 / (sigma + k))


def test_jacob_cov_example_by_example(scores):
    f, jacobians = PHI["tanh"][1], []
    for n in range(4):
        jacobians.append(slopes(lambda d: by_hand(PARAMS, d["x"], f)[1].sum(), {"x": X[n : n + 1]})["x"].ravel())
    expected = score_of_eigenvalues(np.linalg.eigvals(np.corrcoef(jacobians)).real)
    assert scores["tanh"]["jacob_cov"] == pytest.approx(expected, rel=1e-5)


def test_jacob_cov_of_known_jacobians():
    square = lambda p, x: p * x**2 / 2  # J_n = p x_n
    hadamard = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], float)
    assert score(proxies.jacob_cov, square, jnp.asarray(3.0), hadamard) == pytest.approx(score_of_eigenvalues(np.ones(3)), rel=1e-12)
    assert score(proxies.jacob_cov, square, jnp.asarray(3.0), hadamard) < -3 + 1e-4
    x = rng.normal(size=(5, 20))
    expected = score_of_eigenvalues(np.linalg.eigvalsh(np.corrcoef(x)))
    for scale in (3.0, -0.1):
        assert score(proxies.jacob_cov, square, jnp.asarray(scale), x) == pytest.approx(expected, rel=1e-10)


def test_jacob_cov_explodes_where_jacobians_are_dependent():
    x = rng.normal(size=(5, 20))
    apply, params = linear(rng.normal(size=(20, 3)))  # one Jacobian for all inputs
    expected = score_of_eigenvalues(np.array([5.0, 0, 0, 0, 0]))
    assert expected == pytest.approx(-4e5, rel=1e-3)
    assert score(proxies.jacob_cov, apply, params, x) == pytest.approx(expected, rel=1e-6)
    square = lambda p, x: p * x**2 / 2
    many = rng.normal(size=(9, 4))  # 4 inputs less the mean: rank 3 of 9
    assert score(proxies.jacob_cov, square, jnp.asarray(1.0), many) == pytest.approx(-6e5, rel=1e-3)
    dead = np.concatenate([np.zeros((1, 20)), x])
    expected = score_of_eigenvalues(np.append(np.linalg.eigvalsh(np.corrcoef(x)), 0))
    assert score(proxies.jacob_cov, square, jnp.asarray(1.0), dead) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("phi", PHI)
def test_naswot_pair_by_pair(phi, scores):
    codes = [np.concatenate([h.ravel() > 0 for h in by_hand(PARAMS, X[n : n + 1], PHI[phi][1])[0]]) for n in range(4)]
    kernel = np.array([[np.sum(a == b) for b in codes] for a in codes], float)
    assert np.linalg.matrix_rank(kernel) == 4
    expected = math.log(np.linalg.det(kernel))
    assert expected > 0
    assert scores[phi]["naswot"] == pytest.approx(expected, rel=1e-6)


def test_naswot_of_known_codes():
    apply, params = linear(np.eye(3), np.eye(3))
    x = np.array([[1, 1, 1], [-1, 1, 1], [-1, -1, 1]]) * rng.uniform(0.1, 2, (3, 3))
    assert np.linalg.det([[3, 2, 1], [2, 3, 2], [1, 2, 3]]) == pytest.approx(8)
    assert score(proxies.naswot, apply, params, x, ridge=0) == pytest.approx(math.log(8), abs=1e-12)


def test_naswot_is_singular_for_few_units():
    apply, params = perceptron(8, 4, 2)  # 4 units: rank 5 at most
    x = rng.normal(size=(12, 8))
    signs = 2.0 * (x @ np.asarray(params[0]) > 0) - 1
    sigma = np.linalg.eigvalsh((4 + signs @ signs.T) / 2)
    missing = int(np.sum(sigma < 1e-9))
    assert missing >= 12 - 5
    for ridge in (1e-6, 1e-4):
        expected = missing * math.log(ridge) + np.log(sigma[sigma > 1e-9] + ridge).sum()
        assert score(proxies.naswot, apply, params, x, ridge=ridge) == pytest.approx(expected, rel=1e-6)
    assert score(proxies.naswot, apply, params, x) < 0 < score(proxies.naswot, *perceptron(8, 400, 2), x)


# -------------------------------------------------------------------------------------------------- Zen-score


def test_zen_of_a_linear_network_is_a_mean_of_chi():
    n, d, scales = 20_000, 12, (0.5, 3.0)
    apply, params = linear(*(s * np.eye(d) for s in scales), np.eye(d))
    chi = math.sqrt(2) * math.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))
    slack = 5 * math.sqrt((d / chi**2 - 1) / n)
    expected = math.log(0.1 * math.prod(scales) * chi)
    assert score(proxies.zen, apply, params, np.zeros((n, d)), alpha=0.1) == pytest.approx(expected, abs=slack)
    assert score(proxies.zen, apply, params, np.zeros((n, d)), layer=0) == pytest.approx(math.log(0.01 * scales[0] * chi), abs=slack)


def test_zen_of_the_network_with_a_skip_example_by_example():
    n, shape = 4000, (4, 4, 1)
    f = PHI["relu"][1]
    here, step = rng.normal(size=(2, n, *shape))
    moved = by_hand(PARAMS, here + 0.01 * step, f)[0][1] - by_hand(PARAMS, here, f)[0][1]
    each = np.array([np.linalg.norm(m) for m in moved])
    slack = 5 * math.sqrt(2) * each.std() / each.mean() / math.sqrt(n)
    assert slack < 0.05
    assert score(proxies.zen, skipping(jax.nn.relu), PARAMS, np.zeros((n, *shape)), layer=1) == pytest.approx(
        math.log(each.mean()), abs=slack
    )


def test_zen_grows_by_depth_times_log_of_the_scale_and_normalisation_is_undone():
    apply, weights = perceptron(5, 6, 6, 3)
    x = np.zeros((8, 5))
    variances = [jnp.full(6, 4.0), jnp.asarray([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])]  # as if each layer were divided by √⟨σ²⟩
    divided = [weights[0] / 2, weights[1] / math.sqrt(0.2), weights[2]]
    zen = functools.partial(proxies.zen, apply)

    @compiled
    def scores():
        return zen(weights, x), zen([2.5 * w for w in weights], x), zen(divided, x, variances=variances), zen(weights, x, seed=1)

    plain, scaled, normalised, other = map(float, scores())
    assert scaled == pytest.approx(plain + 2 * math.log(2.5), abs=1e-9)
    assert normalised == pytest.approx(plain, abs=1e-9)
    assert other != plain


# ------------------------------------------------------------------------------------------------------ sizes


def test_sizes_of_the_network_with_a_skip_by_hand():
    taps = (3 * 4 - 2) ** 2  # rows that a 3-tap kernel meets in 4 with padding: 3, 4, 3 of 4
    multiplications = taps * 1 * 2 + taps * 2 * 2 + 32 * 3 + 3 * 3
    biases, kinks, skip = 32 + 32 + 3 + 3, 32 + 32 + 3, 32
    apply = skipping(jax.nn.relu)
    assert proxies.flops(apply, PARAMS, X) == 2 * multiplications + biases + kinks + skip
    assert proxies.parameters(apply, PARAMS, X) == sum(w.size for w in PARAMS.values()) == 18 + 2 + 36 + 2 + 96 + 3 + 9 + 3


def test_convolutions_cost_what_the_compiler_says():
    for _ in range(12):
        groups, a, b = rng.integers(1, 4, 3)
        x, w = np.zeros((1, 7, 6, a * groups)), np.zeros((*rng.integers(1, 4, 2), a, b * groups))
        how = {
            "window_strides": rng.integers(1, 4, 2).tolist(),
            "padding": rng.integers(0, 3, (2, 2)).tolist(),
            "lhs_dilation": rng.integers(1, 3, 2).tolist(),
            "rhs_dilation": rng.integers(1, 3, 2).tolist(),
            "feature_group_count": int(groups),
        }
        conv = lambda w, x, how=how: jax.lax.conv_general_dilated(x, w, dimension_numbers=("NHWC", "HWIO", "NHWC"), **how)
        assert proxies.flops(conv, w, x) == jax.jit(conv).lower(w, x).cost_analysis().get("flops", 0), how


def test_products_cost_two_and_loops_what_they_repeat():
    w, x = np.zeros((4, 4)), np.zeros((9, 4))
    loop = lambda w, x: jax.lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=7)[0]
    assert proxies.flops(loop, w, x) == 7 * (2 * 16 + 4)
    assert proxies.flops(lambda w, x: jax.jit(lambda z: z @ w)(x) @ w, w, x) == 2 * 2 * 16
    assert proxies.flops(lambda w, x: jnp.einsum("ni,ij->nj", x, w).sum(1, keepdims=True), w, x) == 2 * 16 + 4
    assert proxies.flops(lambda w, x: jnp.concatenate([x, x[:, ::-1]], 1).reshape(8, 1).T, w, x) == 0
    pooled = lambda w, x: jax.lax.reduce_window(x.reshape(1, 2, 2), -jnp.inf, jax.lax.max, (1, 2, 2), (1, 2, 2), "VALID")
    assert proxies.flops(pooled, w, x) == 4
    with pytest.raises(ValueError, match=r"^while: must be a loop of fixed length, a scan$"):
        proxies.flops(lambda w, x: jax.lax.while_loop(lambda h: jnp.sum(h) < 3, lambda h: h @ w, x), w, x)
