"""Multiplying n numbers takes 2^n neurons in one hidden layer and 4(n-1) in log₂ n layers, and the flat network needs n/2 times the digits.

The constructions of both papers are built and counted, and run in two precisions; so are the other families that flattening makes dear:
Fourier, sparse, low-rank and Strassen's products, tent maps, sums of products, curves through random networks. What flattening to an error
ε costs is asked twice: of the constructions, and of networks of one hidden layer fitted by descent (empirical).

Source: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?", arXiv:1608.08225, section III; Rolnick & Tegmark, "The
power of deeper networks for expressing natural functions", arXiv:1705.05502.

    python -m experiments.no_flattening

Expect: error slope 2 in the scale; rank 2^n up to n = 10; least error ε^(2/(n+2)), 6e-4 for eight numbers in double precision where the
tree has 3e-8; 3 neurons do n = 2 with an output bias.
Time: tiny 30 s, default 45 s, paper 20 min.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dltheory.cheap_learning import depth, flat, flattening, tree
from dltheory.infinite_width import order_chaos
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, static

PRECISIONS = jnp.float32, jnp.float64
EPSILON = np.array([np.finfo(d).eps for d in PRECISIONS])
MOST, PAGE_MOST = 10, 8
"""Numbers multiplied in one layer at most, and of these on the page."""
TREES = 2, 4, 8, 16, 32, 64
PAGE = {20: (112, 92), 32: (384, 144, 128, 124), 16: (80, 64, 60), 64: (2304, 336, 272, 256, 252)}
"""Fewest neurons of a product of n numbers in 2, 3, … hidden layers."""
PROBES = np.array([0.4, 0.2])
CHEAPER = {
    "output bias, exp": (lambda s: flat.biased_product(3, "exp", s), 3, 7, 1),
    "parity, tanh": (lambda s: flat.half_product(3, "tanh", s), 3, 4, 2),
    "linear map beside, softplus": (lambda s: flat.bypassed_product("softplus", s), 2, 2, 2),
    "minimum of SiLU": (lambda s: flat.half_product(2, "swish", s, -1.2784645427610738), 2, 2, 1),
}
"""Networks outside the hypotheses, numbers they multiply, neurons and order of the error on the page."""
POINT, CHEAPER_SCALES = np.array([0.7, 0.4, 0.9]), 0.04 / 2 ** np.arange(4)
MATCHED = (2, False), (3, False), (4, False), (2, True), (3, True)
"""Neurons, output bias of the matching equations for n = 2."""
REACHED, FAMILIES = (4, 6), ("1 layer", "2 layers", "tree")
TARGETS = np.array([0.3, 0.1, 0.03, 0.01])
FITTED = 4, 8, 12, 16
FOURIER, TENTS, SUMS = (8, 64, 256), (2, 4, 6, 8), (1, 2, 3)
RANKED, RANKS = 64, (8, 16, 32, 48)
SPARSE = (200, 0.02), (400, 0.05), (400, 0.2)
SIGMA_W, SIGMA_B, WIDTH, LAYERS, SETTLED = 2.5, 0.3, 1500, 8, 3
COMPOSED = {4: ((2, (2, 4, 8)), (4, (5, 8, 16))), 8: ((2, (1, 2, 4)), (8, (3, 6, 12)))}
"""Inputs: fan and widths of trees and of one hidden layer with about as many parameters."""


@record
class Config:
    """How finely to look; no field is traced, so the experiment runs on the host."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    points: int = static(500, "inputs over which relative errors are averaged", low=10, high=1_000_000)
    scales: int = static(61, "scales λ between 1e-5 and 1, equally spaced in the logarithm", low=11, high=10_001)
    draws: int = static(20, "draws of each pair of sparse matrices", low=2, high=10_000)
    networks: int = static(6, "random tanh networks of width 1500", low=1, high=1000)
    starts: int = static(3, "random starts of each fit; 0: no fits", low=0, high=1000)
    steps: int = static(30, "steps of each fit", low=1, high=100_000)

    sizes: ClassVar = {
        "tiny": {"points": 100, "scales": 21, "draws": 2, "networks": 1, "starts": 0},
        "paper": {"points": 2000, "scales": 241, "draws": 200, "networks": 50, "starts": 32, "steps": 400},
    }


@record
class Result:
    """Dimensions: `precision` single, double; `count` n = 2 …; `family` one layer, two, tree; `arrangement` tree, one layer."""

    scale: Float[np.ndarray, "scale"] = array("scale λ of the inputs")
    count: Int[np.ndarray, "count"] = array("numbers n multiplied in one layer")
    rank: Int[np.ndarray, "count"] = array("rank of A_{S,j}", source="Rolnick & Tegmark, theorem 4.1")
    flat_neurons: Int[np.ndarray, "count"] = array("neurons of one layer")
    relative: Float[np.ndarray, "count probe"] = array("rms relative error at λ = .4, .2, in double")
    predicted: Float[np.ndarray, "count"] = array("rms of λ² Σ x²/6 at λ = .2")
    flat_error: Float[np.ndarray, "count precision scale"] = array("rms relative error of one layer, at most 1")
    tree_inputs: Int[np.ndarray, "trees"] = array("numbers n multiplied by trees")
    tree_error: Float[np.ndarray, "trees precision scale"] = array("rms relative error of trees, at most 1")
    tree_neurons: Int[np.ndarray, "trees"] = array("neurons of trees")
    deep_neurons: Int[np.ndarray, "deep"] = array("neurons of the best splits of n = 20, 32, 16, 64 into two layers or more")
    split_neurons: Int[np.ndarray, "split"] = array("neurons of all splits of n = 16 into two layers or more")
    split_error: Float[np.ndarray, "split"] = array("largest relative error of these at λ = .05")
    residual: Float[np.ndarray, "matched"] = array("least residual of the matching equations, n = 2")
    vandermonde: Float[np.ndarray, "degree neurons"] = array("largest error of the coefficients of x^d, d neurons and d + 1")
    cheaper_neurons: Int[np.ndarray, "cheaper"] = array("neurons of networks outside the theorem's hypotheses")
    cheaper_error: Float[np.ndarray, "cheaper halving"] = array("their relative error at λ = .04, .02 …")
    reach_neurons: Int[np.ndarray, "reached family"] = array("neurons of constructions for n = 4, 6")
    reach_error: Float[np.ndarray, "reached family precision scale"] = array("their rms error on [-1, 1]^n", "rms of the product")
    fit_error: Float[np.ndarray, "fitted start"] = array("rms error of one tanh layer fitted to n = 4", "rms of the product")
    fourier_cost: Float[np.ndarray, "fourier"] = array("C_s of the Fourier transform")
    fourier_error: Float[np.ndarray, "fourier"] = array("largest error of the stages against NumPy's transform of unit vectors")
    rank_cost: Float[np.ndarray, "ranks"] = array("C_s of rank k, n = 64")
    sparse_cost: Float[np.ndarray, "sparse draw"] = array("C_s of products of sparse matrices")
    strassen_cost: Float[np.ndarray, "strassen"] = array("C_s of Strassen's stages, n = 2, 4, 8")
    strassen_products: Int[np.ndarray, "strassen"] = array("units in the middle")
    strassen_error: Float[np.ndarray, "strassen"] = array("largest error of a product of integer matrices")
    tent_neurons: Int[np.ndarray, "tent layers"] = array("ReLUs, one layer and deep")
    tent_pieces: Int[np.ndarray, "tent"] = array("monotone pieces counted")
    tent_error: Float[np.ndarray, "tent"] = array("largest difference of both")
    monomials: Int[np.ndarray, "sums"] = array("monomials of sums of products, multiplied out")
    sums_neurons: Int[np.ndarray, "sums"] = array("neurons of its deep network")
    sums_error: Float[np.ndarray, "sums"] = array("largest relative error of it")
    growth: Float[np.ndarray, "network layer"] = array("growth of a tangent vector a layer")
    chi: Float[np.ndarray, ""] = array("χ₁ of the infinite network")
    composed_parameters: Int[np.ndarray, "inputs arrangement budget"] = array("parameters")
    composed_error: Float[np.ndarray, "inputs arrangement budget start"] = array(
        "rms error of fits to trees of tanh(u+v+uv/2)", "std of it"
    )


def run(config: Config) -> Result:
    """Build and measure everything, on the host."""
    random, key = np.random.default_rng(config.seed), jax.random.key(config.seed)
    x, cube = random.uniform(0.5, 1, (config.points, TREES[-1])), random.uniform(-1, 1, (config.points, REACHED[-1]))
    scales = np.logspace(-5, 0, config.scales)
    return Result(
        scale=scales,
        **_one_layer(x, scales),
        **_many_layers(x, scales),
        **_outside(),
        **_reached(cube, scales),
        **_linear(random, config.draws),
        **_folded(x),
        **_fits(key, config.starts, config.steps),
        growth=np.asarray(_grow(jax.random.split(key, config.networks))),
        chi=np.asarray(order_chaos("tanh", SIGMA_W, SIGMA_B).chi_1),
    )


def _one_layer(x, scales):
    """Flat products of n numbers: counts, ranks, errors."""
    counts = range(2, MOST + 1)
    errors = np.stack([_errors(_flat(n), x[:, :n], np.r_[PROBES, scales]) for n in counts])
    ranks = [np.linalg.matrix_rank(jax.jit(flat.matching_matrix)(jax.jit(_flat(n))(1.0).weights[0])) for n in counts]
    return {
        "count": np.array(counts),
        "flat_neurons": np.array([_count(_flat(n)) for n in counts]),
        "rank": np.array(ranks),
        "relative": errors[:, 1, : len(PROBES)],
        "predicted": np.array([_rms(PROBES[-1] ** 2 / 6 * (x[:, :n] ** 2).sum(1)) for n in counts]),
        "flat_error": errors[:, :, len(PROBES) :],
    }


def _many_layers(x, scales):
    """Trees, and products in k layers."""
    split = lambda s: lambda scale: depth.depth_product(s, "exp", scale)
    fewest = [split(depth.best_split(n, k)) for n, row in PAGE.items() for k in range(2, len(row) + 2)]
    splits = [split(s) for k in range(2, 5) for s in depth.splits(16, k)]
    return {
        "tree_inputs": np.array(TREES),
        "tree_error": np.stack([_errors(_tree(n), x[:, :n], scales) for n in TREES]),
        "tree_neurons": np.array([_count(_tree(n)) for n in TREES]),
        "deep_neurons": np.array([_count(net) for net in fewest]),
        "split_neurons": np.array([_count(net) for net in splits]),
        "split_error": np.array([np.abs(_call(jax.jit(net)(0.05), x[:, :16]) / x[:, :16].prod(1) - 1).max() for net in splits]),
    }


def _outside():
    """Networks outside the hypotheses of the theorem, and its equations for small networks."""
    unit = np.eye(7)
    solve = lambda d, m: flat.taylor_coefficients(flat.univariate_polynomial(unit[d, : d + 1], "exp", 1.0, neurons=m), d)
    solved = jax.jit(lambda: [[solve(d, m) for m in (d, d + 1)] for d in range(1, 7)])()
    error = lambda net, n: jax.jit(jax.vmap(lambda s: net(s)(POINT[:n]) / POINT[:n].prod() - 1))(CHEAPER_SCALES)
    return {
        "residual": np.array([flat.matching_residual(*case) for case in MATCHED]),
        "vandermonde": np.array([[np.abs(c - unit[d, : d + 1]).max() for c in row] for d, row in enumerate(solved, 1)]),
        "cheaper_neurons": np.array([_count(net) for net, *_ in CHEAPER.values()]),
        "cheaper_error": np.array([error(net, n) for net, n, *_ in CHEAPER.values()]),
    }


def _reached(cube, scales):
    """One layer, two and the tree on [-1, 1]^n."""
    nets = [(_flat(n), lambda s, n=n: depth.depth_product(depth.best_split(n, 2), "exp", s), _tree(n)) for n in REACHED]
    errors = [[_errors(net, cube[:, :n], scales, relative=False) for net in row] for n, row in zip(REACHED, nets, strict=True)]
    return {"reach_neurons": np.array([[_count(net) for net in row] for row in nets]), "reach_error": np.array(errors)}


def _linear(random, draws):
    """Products of matrices, and what is left when they are multiplied out."""
    cost = lambda *stages: _synapses(flattening.linear_network(*stages))
    stages = [flattening.fourier_stages(n) for n in FOURIER]
    transforms = [np.linalg.multi_dot(s) for s in stages]
    squares = [random.integers(1, 9, size=(2, 2**k, 2**k)).astype(float) for k in (1, 2, 3)]
    strassen = [flattening.strassen_network(second) for _, second in squares]
    products = [_call(net, first.reshape(-1)).reshape(first.shape) for net, (first, _) in zip(strassen, squares, strict=True)]
    return {
        "fourier_cost": np.array([n**2 / sum(np.count_nonzero(m) for m in s) for n, s in zip(FOURIER, stages, strict=True)]),
        "fourier_error": np.array([np.abs(f - np.fft.fft(np.eye(len(f)))).max() for f in transforms]),
        "rank_cost": np.array([cost(random.normal(size=(RANKED, k)), random.normal(size=(k, RANKED))) for k in RANKS]),
        "sparse_cost": np.array([[cost(*(random.uniform(size=(2, n, n)) < p).astype(float)) for _ in range(draws)] for n, p in SPARSE]),
        "strassen_cost": np.array([_synapses(net) for net in strassen]),
        "strassen_products": np.array([max(net.sizes) for net in strassen]),
        "strassen_error": np.array([np.abs(p - a @ b).max() for p, (a, b) in zip(products, squares, strict=True)]),
    }


def _folded(x):
    """Tent maps, and sums of products of sums."""
    line = np.linspace(0, 1, 2**12 + 1)[:, None]
    tents = [[_call(build(k), line) for build in (flattening.flat_tent, flattening.tent)] for k in TENTS]
    sums = [lambda s, k=k: flattening.sum_product(k, "exp", s) for k in SUMS]
    values = [_call(jax.jit(net)(1e-3), x[:, : 4**k]) / _sums(x[:, : 4**k]) for k, net in zip(SUMS, sums, strict=True)]
    return {
        "tent_neurons": np.array([[flattening.flat_tent(k).neurons, flattening.tent(k).neurons] for k in TENTS]),
        "tent_pieces": np.array([flattening.monotone_pieces(deep) for _, deep in tents]),
        "tent_error": np.array([np.abs(flat - deep).max() for flat, deep in tents]),
        "monomials": np.array([len(_expand(k, 0)) for k in SUMS]),
        "sums_neurons": np.array([_count(net) for net in sums]),
        "sums_error": np.array([np.abs(v - 1).max() for v in values]),
    }


def _fits(key, starts, steps):
    """Networks fitted to a product, and to a tree of smooth functions of two numbers."""
    node = lambda u, v: jnp.tanh(u + v + u * v / 2)

    def fit(target, inputs, fan, widths):
        if not starts:
            return np.zeros((len(widths), 0))
        return np.asarray(flattening.fit_tree(key, target, inputs, fan, widths, starts=starts, steps=steps))

    composed = lambda z: flattening.compositional(z, node)
    parameters = lambda n, fan, width: (n - 1) // (fan - 1) * ((fan + 2) * width + 1)
    return {
        "fit_error": fit(lambda z: jnp.prod(z, 1), REACHED[0], REACHED[0], FITTED),
        "composed_parameters": np.array([[[parameters(n, fan, w) for w in ws] for fan, ws in rows] for n, rows in COMPOSED.items()]),
        "composed_error": np.array([[fit(composed, n, *row) for row in rows] for n, rows in COMPOSED.items()]),
    }


def _flat(n):
    return lambda scale: flat.flat_product(n, "exp", scale)


def _tree(n):
    return lambda scale: tree.product_tree(n, "exp", scale)


def _count(network):
    """Neurons of `network`(scale), whose numbers are not computed."""
    found = []
    jax.eval_shape(lambda scale: found.append(network(scale).neurons), 0.1)
    return found[0]


_call = jax.jit(lambda network, x: network(x))


def _synapses(network):
    return flattening.flattening_cost(flattening.flatten(network), network).synapses


def _rms(values):
    return np.sqrt(np.mean(np.square(values)))


def _errors(network, x, scales, relative=True):
    """Rms error of `network`(scale) as a product of x (precision, scale), relative or over the rms product; at most 1."""
    exact = x.prod(1)
    weight = 1 / exact if relative else np.full(len(x), 1 / _rms(exact))

    def one(scale):
        net = network(scale)
        return jnp.stack([jnp.sqrt(jnp.mean(((net.astype(d)(x).astype(float) - exact) * weight) ** 2)) for d in PRECISIONS])

    return np.fmin(jax.jit(lambda s: jax.lax.map(one, s))(scales), 1).T


def _expand(level, first):
    """Monomials of sums of products of 4^level numbers, counted from `first`: a set of sets."""
    if level == 0:
        return {frozenset([first])}
    size = 4 ** (level - 1)
    a, b, c, d = (_expand(level - 1, first + i * size) for i in range(4))
    return {u | v for u in a for v in b} | {u | v for u in c for v in d}


def _sums(x):
    while x.shape[1] > 1:
        x = x[:, ::2] * x[:, 1::2]
        x = x[:, ::2] + x[:, 1::2]
    return x[:, 0]


@jax.jit
def _grow(keys):
    return jax.lax.map(lambda k: flattening.tangent_growth(k, "tanh", SIGMA_W, SIGMA_B, WIDTH, LAYERS), keys)


def claims(data) -> list[Claim]:
    """Every number of the theory that the constructions must give."""
    parts = _about_one_layer, _about_outside, _about_depth, _about_reach, _about_linear, _about_families
    return [Claim(*row) for part in parts for row in part(data)]


def _farthest(values, centre=1.0):
    """The value that deviates most."""
    values = np.ravel(values)
    return values[np.abs(values - centre).argmax()]


def _about_one_layer(data):
    n, relative, error = data["count"].values, data.relative.values, data.flat_error.values
    page, ratio = n <= PAGE_MOST, relative[:, 1] / data.predicted.values
    slope, least, law = np.log2(relative[:, 0] / relative[:, 1]), error.min(-1), EPSILON ** (2 / (n[:, None] + 2))
    off = np.exp(np.abs(np.log(least / law)))
    power = np.log(least[:, 0] / least[:, 1]) / np.log(EPSILON[0] / EPSILON[1]) * (n + 2) / 2
    gap = least[n == PAGE_MOST][0, 1] / data.tree_error.values[TREES.index(PAGE_MOST), 1].min()
    source = "cheap_learning 7, rounding"
    return [
        ("slope of the error from λ = .2 to .4, n = 2 … 8: farthest from 2", "E7.1", _farthest(slope[page], 2), about(2, absolute=0.1)),
        ("rms error over λ² Σ x²/6 at λ = .2, n = 2 … 10: largest", "E7.1", ratio.max(), between(0.98, 1.03)),
        ("the same: smallest", "E7.1", ratio.min(), between(0.98, 1.03)),
        ("rank of A_{S,j} over 2^n, n = 2 … 10: smallest", "E7.1; RT theorem 4.1", (data["rank"] / 2**n).min(), about(1)),
        ("neurons of one layer over 2^n: largest", "RT theorem 4.1", (data.flat_neurons / 2**n).max(), about(1)),
        ("least error, n = 2 … 8, both precisions: largest factor off ε^(2/(n+2))", "E7.1", off[page].max(), at_most(5)),
        ("the same, n = 9, 10", "E7.1, further", off[~page].max(), at_most(5), False),
        ("least error at n + 1 over that at n, up to 8: smallest", "E7.1", (least[1:] / least[:-1])[page[1:]].min(), at_least(1)),
        ("power of ε in the least error over 2/(n+2), n ≤ 8: farthest from 1", source, _farthest(power[page]), about(1, 0.1), False),
        ("n = 8, double: least error of one layer over that of the tree", source, gap, at_least(1000)),
    ]


def _about_outside(data):
    residual = dict(zip(MATCHED, data.residual.values, strict=True))
    out = [
        ("least residual of the matching equations of x₁x₂: 4 neurons", "E7.2", residual[4, False], at_most(1e-10)),
        ("3 neurons", "E7.2", residual[3, False], at_least(0.1)),
        ("3 neurons", "E7.2, the page's number", residual[3, False], about(0.3472, 0.01), False),
        ("2 neurons", "E7.2", residual[2, False], about(0.5**0.5, 1e-3)),
        ("3 neurons and an output bias: 2^n is not the least", "E7.2; erratum 10", residual[3, True], at_most(1e-10)),
        ("2 neurons and an output bias", "E7.2", residual[2, True], about(0.5**0.5, 1e-3)),
        ("x^d, d = 1 … 6, d + 1 neurons: largest error of a coefficient", "E7.3", data.vandermonde[:, 1].max(), at_most(1e-8)),
        ("x^d, d neurons: smallest such error", "E7.3", data.vandermonde[:, 0].min(), at_least(0.1)),
    ]
    for i, (name, (_, n, neurons, order)) in enumerate(CHEAPER.items()):
        slope = Estimate.of_slope(np.log(CHEAPER_SCALES), np.log(np.abs(data.cheaper_error.values[i])))
        out += [
            (f"{name}, n = {n}: neurons", "cheap_learning 7a-d; erratum 10", data.cheaper_neurons.values[i], about(neurons)),
            (f"{name}, n = {n}: order of the error in λ", "cheap_learning 7a-d", slope, about(order, 0.02)),
        ]
    return out


def _about_depth(data):
    page = np.concatenate([*PAGE.values()])
    count = [sum(2**b * math.prod(s[i + 1 :]) for i, b in enumerate(s)) for k in range(2, 5) for s in depth.splits(16, k)]
    curve = np.array([depth.depth_curve(20, k) for k in (1, 2, 3)]) / (2**20, 99.3, 48.4)
    trees = data.tree_neurons.values / (4 * (data.tree_inputs.values - 1))
    error = data.tree_error.values[:, 1].min(-1)
    C_n = 2.0**32 / data.tree_neurons.values[TREES.index(32)]
    return [
        (f"best splits built: counts unlike the {len(page)} of the table", "E8.1", (data.deep_neurons != page).sum(), about(0)),
        ("all splits of n = 16 built: neurons over Σ 2^b_i Π b_j", "E8.1; RT theorem 5.1", _farthest(data.split_neurons / count), about(1)),
        ("the same at λ = .05: largest relative error", "E8.1", data.split_error.max(), at_most(0.05)),
        ("n^((k-1)/k) 2^(n^(1/k)), n = 20, k = 1, 2, 3, over the page", "cheap_learning 8", _farthest(curve), about(1, 1e-3)),
        ("trees of n = 2 … 64: neurons over 4(n-1)", "LTR section III H", _farthest(trees), about(1)),
        ("the same, n = 2 … 64, double: largest of their least errors", "as E8.1", error.max(), at_most(0.05)),
        ("C_n of n = 32: 2^32 over the neurons of the tree", "cheap_learning 8", C_n, about(3.46e7, 0.002)),
    ]


def _about_reach(data):
    least, neurons, source = data.reach_error.min("scale").values, data.reach_neurons.values, "beyond, flattening to an error ε"
    out = []
    for i, n in enumerate(REACHED):
        for j, family in enumerate(FAMILIES):
            text = f"{family}, n = {n}, {neurons[i, j]} neurons: least error on [-1, 1]^n"
            out.append((f"{text}, double", source, least[i, j, 1], at_most(TARGETS[-1])))
            out.append((f"{text}, single", source, least[i, j, 0], at_most(TARGETS[-1]), False))
    if data.sizes["start"]:
        text = f"{FITTED[-1]} tanh units fitted to n = 4, best of {data.sizes['start']} starts: error"
        out.append((text, "beyond; errata 11, 12: empirical", data.fit_error.values[-1].min(), at_most(TARGETS[0]), False))
    return out


def _about_linear(data):
    sparse = data.sparse_cost.values / np.array([flattening.sparse_product_cost(n, p) for n, p in SPARSE])[:, None]
    near = (np.abs(sparse[0] - 1) < 0.06).astype(float)
    mean, rank = Estimate.of(sparse, 1), data.rank_cost.values * 2 * np.array(RANKS) / RANKED
    fourier = data.fourier_cost.values / (np.array(FOURIER) / (2 * np.log2(FOURIER)))
    half = data.rank_cost.values[RANKS.index(RANKED // 2)]
    middle = data.strassen_products.values / 7 ** np.arange(1, 4)
    return [
        ("Fourier, n = 8, 64, 256: C_s over n/(2 log₂ n)", "E8.2", _farthest(fourier), about(1)),
        ("Fourier: largest error of the product of stages", "E8.2", data.fourier_error.max(), at_most(1e-14)),
        (f"sparse 0/1: share of single draws within 6 %, {SPARSE[0]}", "E8.2: each", Estimate.of(near), at_least(0.95), False),
        (
            f"sparse 0/1: C_s over [1-(1-p²)^n]/2p, mean of {sparse.shape[1]} draws",
            "E8.2",
            mean[np.abs(mean.mean - 1).argmax()],
            about(1, 0.02),
        ),
        ("rank k = 8 … 48, n = 64: C_s over n/2k", "E8.2; erratum 6", _farthest(rank), about(1)),
        ("rank k = n/2: C_s", "E8.2, break-even", half, about(1)),
        ("Strassen, n = 2, 4, 8: products over 7^k", "E8.2", _farthest(middle), about(1)),
        ("Strassen: largest error of products of whole numbers", "E8.2", data.strassen_error.max(), about(0)),
        ("Strassen, n = 8: C_s built (above 1 from n = 2^16 on)", "E8.2, further", data.strassen_cost.values[-1], at_least(1), False),
    ]


def _about_families(data):
    L, i, units, source = np.array(TENTS), np.array(SUMS), data.tent_neurons.values, "Delalleau & Bengio; cheap_learning 8"
    growth, wanted = data.growth.values[:, SETTLED:].mean(1), float(data.chi) ** 0.5
    growth = Estimate.of(growth) if len(growth) > 1 else growth[0]
    out = [
        (
            "tent map composed L = 2, 4, 6, 8 times: monotone pieces over 2^L",
            "cheap_learning 8",
            _farthest(data.tent_pieces / 2**L),
            about(1),
        ),
        ("tent: ReLUs over 2L", "cheap_learning 8", _farthest(units[:, 1] / (2 * L)), about(1)),
        ("tent: ReLUs of one layer less its 2^L - 1 kinks: smallest", "cheap_learning 8", (units[:, 0] - 2**L + 1).min(), at_least(0)),
        ("tent: largest difference of one layer and many", "cheap_learning 8", data.tent_error.max(), at_most(1e-12)),
        ("sums of products, n = 4, 16, 64: monomials over 2^(√n-1)", source, _farthest(data.monomials / 2 ** (2**i - 1)), about(1)),
        ("the same: neurons over 8(n-1)/3", source, _farthest(data.sums_neurons / (8 * (4**i - 1) // 3)), about(1)),
        ("the same, λ = .001: largest relative error", source, data.sums_error.max(), at_most(1e-4)),
        (f"tangent growth a layer over √χ₁ = {wanted:.4f}, tanh, σ_w = 2.5, σ_b = .3", "Poole et al.", growth / wanted, about(1, 0.01)),
    ]
    for a, n in enumerate(COMPOSED if data.sizes["start"] else ()):
        for b, name in enumerate(("trees", "one layer")):
            best = np.log(data.composed_error.values[a, b].min(-1))
            slope = Estimate.of_slope(np.log(data.composed_parameters.values[a, b]), best)
            text = f"{name} fitted to a tree of functions, n = {n}: power of parameters in the error"
            out.append((text, "E8.3, exploratory", slope, at_most(0), False))
    return out


def plot(data):
    """Neurons, errors, least errors; flattening to an error; linear and nonlinear families."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.6))
    for draw, axis in zip((_neurons, _truncation, _precision, _reach, _costs, _families), axes.flat, strict=True):
        draw(axis, data)
    return figure


def _powers_of_two(axis):
    axis.minorticks_off()
    axis.set_xticks(TREES, map(str, TREES))


def _neurons(axis, data):
    grid = np.geomspace(2, 64, 100)
    axis.plot(grid, 2**grid, **THEORY | {"color": "C0"})
    axis.plot(data["count"], data.flat_neurons, "o", color="C0", label="1 layer: $2^n$")
    for k, color in ((2, "C1"), (3, "C2")):
        some, built = grid[grid >= 2**k], [n for n in (4, 8, 16, 20, 32, 64) if n >= 2**k]
        axis.plot(some, [depth.depth_neurons(depth.optimal_widths(n, k)) for n in some], **THEORY | {"color": color})
        axis.plot(built, [depth.depth_neurons(depth.best_split(n, k)) for n in built], "o", color=color, label=f"{k} layers")
    axis.plot(grid, 4 * (grid - 1), **THEORY | {"color": "C3"})
    axis.plot(TREES, data.tree_neurons, "s", color="C3", label="tree: $4(n-1)$")
    axis.set(xscale="log", yscale="log", ylim=(2, 2e5), xlabel="numbers multiplied $n$", ylabel="neurons", title="Cost in neurons")
    _powers_of_two(axis)
    axis.legend(fontsize=6, loc="upper left")


def _truncation(axis, data):
    scale, below_one = data.scale.values, lambda e: np.where(e < 1, e, np.nan)
    for color, n in (("C0", 2), ("C1", 4), ("C2", 8)):
        axis.plot(scale, below_one(data.flat_error.values[n - 2, 1]), color=color, label=f"1 layer, $n={n}$")
        axis.plot(scale, scale**2 * data.predicted.values[n - 2] / PROBES[-1] ** 2, **THEORY | {"color": color})
    axis.plot(scale, below_one(data.tree_error.values[TREES.index(8), 1]), color="C3", label="tree, $n=8$")
    axis.set(xscale="log", yscale="log", ylim=(1e-10, 2), xlabel=r"scale $\lambda$", ylabel="relative error", title="Truncation, rounding")
    axis.legend(fontsize=6, loc="lower right", bbox_to_anchor=(1.05, 0))


def _precision(axis, data):
    n = data["count"].values
    for p, (name, color) in enumerate((("single", "C4"), ("double", "C0"))):
        axis.plot(n, data.flat_error.values[:, p].min(-1), "o-", color=color, label=f"1 layer, {name}")
        axis.plot(TREES, data.tree_error.values[:, p].min(-1), "s-", color=color, mfc="white", label=f"tree, {name}")
        axis.plot(n, EPSILON[p] ** (2 / (n + 2)), **THEORY)
    axis.plot([], [], label=r"$\epsilon^{2/(n+2)}$", **THEORY)
    digits = [flat.digits_needed(m, 1e-6) for m in (PAGE_MOST, 2)]
    text = f"digits for $10^{{-6}}$,\n$n={PAGE_MOST}$: {digits[0]:.0f}, tree: {digits[1]:.0f}"
    axis.text(0.03, 0.03, text, transform=axis.transAxes, fontsize=6)
    axis.set(xscale="log", yscale="log", xlabel="numbers multiplied $n$", ylabel="least relative error", title="Cost in precision")
    axis.set_ylim(1e-17, 5)
    _powers_of_two(axis)
    axis.legend(fontsize=5.5, loc="lower right")


def _reach(axis, data):
    least, neurons = data.reach_error.min("scale").values, data.reach_neurons.values
    for i, line in enumerate((":", "-")):
        for j, family in enumerate(FAMILIES):
            height = np.full(len(TARGETS), neurons[i, j] * (1 + 0.04 * (j - 1)))
            axis.plot(TARGETS, height, line, color=f"C{j}", lw=0.8, label=family if i else None)
            for p, fill in enumerate(("white", f"C{j}")):
                reached = least[i, j, p] <= TARGETS
                axis.plot(TARGETS[reached], height[reached], "so"[i], ms=6 - 3 * p, mfc=fill, mec=f"C{j}")
    if data.sizes["start"]:
        axis.plot(data.fit_error.min("start"), FITTED, "*", color="black", ms=6, label="tanh fitted, $n=4$")
    axis.plot([], [], "o", ms=6, mfc="white", mec="black", label="single precision")
    axis.plot([], [], "o", ms=3, color="black", label="double")
    axis.set(xscale="log", yscale="log", ylim=(1.2, 130), xlabel=r"error $\epsilon$", ylabel="neurons")
    axis.set_title(r"Flattening to $\epsilon$, $n=4$ (···), 6 (—)")
    axis.invert_xaxis()
    axis.legend(fontsize=6, loc="lower right", ncols=2, columnspacing=0.8)


def _costs(axis, data):
    k = np.arange(1, 21)
    n = 2.0**k
    axis.plot(n, n / (2 * k), **THEORY | {"color": "C0"})
    axis.plot(FOURIER, data.fourier_cost, "o", color="C0", label="Fourier transform")
    axis.plot(n, 8.0**k / [flattening.strassen_synapses(int(j)) for j in k], **THEORY | {"color": "C1"})
    axis.plot(n[:3], data.strassen_cost, "s", color="C1", label="Strassen")
    for i, (size, p) in enumerate(SPARSE):
        axis.plot(n, flattening.sparse_product_cost(n, p), **THEORY | {"color": f"C{i + 2}", "linewidth": 0.6})
        axis.plot(size, data.sparse_cost.values[i].mean(), "^", color=f"C{i + 2}", label=f"sparse, $p={p:g}$")
    axis.axhline(1, color="0.6", lw=0.6)
    axis.set(xscale="log", yscale="log", ylim=(0.05, 1e5), xlabel="matrix size $n$", title="Linear networks")
    axis.set_ylabel("synapses flat/deep $C_s$")
    axis.legend(fontsize=6, loc="upper left")


def _families(axis, data):
    L, i, n = np.array(TENTS), np.array(SUMS), data["count"].values
    for deep, flattened, theory, mark, color, name in (
        (2 * L, data.tent_neurons.values[:, 0], 2.0**L, "o", "C0", "tent map"),
        (4**i - 1, data.monomials, 2.0 ** (2.0**i - 1), "^", "C2", "sums of products"),
        (4 * (n - 1), data.flat_neurons, 2.0**n, "s", "C3", "product"),
    ):
        axis.plot(deep, theory, **THEORY | {"color": color})
        axis.plot(deep, flattened, mark, color=color, label=name)
    axis.set(xscale="log", yscale="log", xlabel="units of the deep network", ylabel="units of one layer", title="Nonlinear families")
    _powers_of_two(axis)
    axis.legend(fontsize=6)


if __name__ == "__main__":
    main(__spec__.name)
