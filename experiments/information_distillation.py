"""What deep layers are for: a Markov hierarchy is undone one sufficient statistic at a time, and nothing is lost on the way.

Hierarchies with known kernels are distilled exactly: a chain of bits that gather nuisance, and a spin broadcast down a tree. Then
information is lost on purpose (bottleneck, coarse messages, bands of a power spectrum), and networks are trained to undo the tree.

Source: Lin, Tegmark & Rolnick, arXiv:1608.08225, section III A-C; Tishby, Pereira & Bialek, physics/0004057 (bottleneck); Evans,
Kenyon, Peres & Schulman, Ann. Appl. Probab. 10 (2000) 410 (broadcasting).

    python -m experiments.information_distillation
    python -m experiments.information_distillation steps=16000 networks=8

Expect: 2, 4 and 8 of 16 outcomes are left, with .083043, .262558, .834216 bit before and after; 65536 leaves distil into 6561, 625, 169, 85
classes; four classes keep 95 % of .526 bit, and messages of two bits turn 510 couplings of H into 30 for half a percent of it. Among
trained networks of 125 parameters the one that knows the tree is best, and depth alone hurts: narrow MLPs of 3 or 4 layers get stuck.
Time: tiny 15 s, default 50 s, paper 5 min.
"""

import functools
import itertools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory.cheap_learning import bottleneck, hierarchy, power_spectrum, tree_broadcast, walsh
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, estimate, main
from dltheory.models import MLPConfig
from dltheory.models.base import functional
from dltheory.numerics import Estimate, entropy, mutual_information
from dltheory.record import array, record, static

FLIPS = (0.1, 0.15, 0.2)
"""Of old bits, at each level of the nuisance hierarchy."""
TREES = (0.1, 0.2)
"""ε of the trees: below and above the Kesten-Stigum threshold .1464."""
SPECTRA = (4.0, 6.0)
"""Two cosmologies: S(k) = 1/(1 + (k/k_c)²) + .05, 17 powers of 32 sites."""
BANDS = (1, 2, 3, 4)
CLASSES = (2, 3, 4, 6, 8, 12)
CHANNELS, BATCH = 4, 256
BIT = np.log(2)
_mutual_information = jax.jit(mutual_information)


@record
class Config:
    """Sizes of the random controls, the samples and the trained networks."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    maps: int = static(1000, "random maps of the outcomes to 2 … 8 symbols", low=10, high=100_000)
    samples: int = static(100_000, "sampled paths, and sampled fields", low=1000, high=10_000_000)
    distilled: int = static(4, "depth of the tree that is distilled by the general algorithm", low=2, high=4)
    cells: int = static(401, "numbers that carry the law of a posterior in deep trees, odd", low=3, high=20_001)
    betas: int = static(24, "points of the bottleneck curve", low=4, high=1000)
    networks: int = static(8, "networks of each architecture", low=2, high=1000)
    deepest: int = static(4, "hidden layers of the deepest MLP", low=2, high=8)
    steps: int = static(4000, "training steps, 256 configurations each", low=10, high=1_000_000)

    sizes: ClassVar = {
        "tiny": {"maps": 50, "samples": 2000, "distilled": 3, "cells": 101, "betas": 6, "networks": 2, "deepest": 2, "steps": 50},
        "paper": {"maps": 10_000, "samples": 1_000_000, "cells": 2001, "betas": 60, "networks": 16, "steps": 16_000},
    }

    def __post_init__(self) -> None:
        if self.cells % 2 == 0:
            raise ValueError(f"cells={self.cells}: must be odd")


@record
class Result:
    """Informations in bits; `architecture` counts the MLPs by hidden layers, the tree last; `summary` leaves, then heights 2, 3, 4."""

    markov: Float[Array, ""] = array("largest |p(x_i|x_{i+1},x_j) - p(x_i|x_{i+1})| of random chains", source="E5.1")
    stochastic: Float[Array, ""] = array("largest |row sum - 1| of a product of kernels")
    histogram: Float[Array, "outcome"] = array("sampled histogram of x_n less p_0 M_1 … M_n, in standard errors")
    level: Int[Array, "level"] = array("level i of the nuisance hierarchy")
    classes: Int[Array, "level"] = array("|T_i|")
    ordered: Int[Array, "level"] = array("1 if T_i, from p(x_i, x_n), is a function of the level above and equal to f_{i+1}(T_{i+1})")
    composed: Float[Array, ""] = array("largest |f_0 f_1 …(x_n) - p(x_0|x_n)|")
    before: Float[Array, "level"] = array("I(x_i; x_n)", "bit")
    after: Float[Array, "level"] = array("I(x_i; T_i)", "bit")
    closed: Float[Array, "level"] = array("closed form of I(x_i; x_n)", "bit")
    processed: Float[Array, "later"] = array("I(x_0; x_k), k = 1 … n", "bit")
    kept: Float[Array, "level"] = array("fraction of flips of bits other than the first that leave T_i")
    generic: Int[Array, "generic"] = array("|T_i| of a random hierarchy 2, 4, 16, 64")
    excess: Float[Array, "map level"] = array("I(x_i; g(x_n)) - I(x_i; x_n) of random maps g", "bit")
    merger: Float[Array, "pair"] = array("information lost by merging two classes of a T_i", "bit")
    distinct: Int[Array, "height"] = array("classes of the leaves of a tree, at heights 1, 2, …")
    flip: Float[Array, "flip"] = array("ε of the trees")
    root: Float[Array, "flip shallow"] = array("I(root; T_0) at depths 1 … 5", "bit")
    leaves: Float[Array, ""] = array("I(root; all 65536 leaf configurations), ε = .1", "bit")
    majority: Float[Array, "flip shallow"] = array("I(root; majority of the leaves)", "bit")
    single: Float[Array, "flip shallow"] = array("I(root; one leaf)", "bit")
    deep: Int[Array, "deep"] = array("depth of a tree")
    below: Float[Array, "flip deep"] = array("lower bound of I(root; leaves)", "bit")
    above: Float[Array, "flip deep"] = array("upper bound", "bit")
    network: Float[Array, ""] = array("largest |l - exact| of the network of 14 neurons on all configurations")
    symbols: Int[Array, "symbols"] = array("classes of a partition")
    best: Float[Array, "symbols"] = array("I(root; best partition), D = 4, ε = .1", "bit")
    best_entropy: Float[Array, "symbols"] = array("its entropy", "bit")
    greedy: Float[Array, "symbols"] = array("I(root; greedy partition)", "bit")
    beta: Float[Array, "beta"] = array("β of the bottleneck")
    rate: Float[Array, "beta"] = array("I(t; y)", "bit")
    relevance: Float[Array, "beta"] = array("I(t; root)", "bit")
    opening: Float[Array, ""] = array("1/ρ²")
    lost: Float[Array, "summary"] = array("fraction of I(root; leaves) lost by messages of two bits")
    couplings: Int[Array, "summary"] = array("non-zero Walsh couplings of H = -ln p(summary|root)")
    parameters: Int[Array, "architecture"] = array("parameters")
    divergence: Float[Array, "trial architecture"] = array("KL of the exact posterior from the trained network's", "nat")
    ratio: Float[Array, ""] = array("largest |difference| of log-likelihood ratios from the field and from its powers", "nat")
    field: Float[Estimate, ""] = array("I(class; field)", "bit")
    band: Int[Array, "band"] = array("bands of the spectrum")
    band_loss: Float[Estimate, "band"] = array("I(class; field) - I(class; bands), paired bootstrap", "bit")


def run(config: Config) -> Result:
    """Distil, lose, train."""
    key = jax.random.key(config.seed)
    parts = _chains(jax.random.fold_in(key, 0), config), _tree(config), _train(jax.random.fold_in(key, 1), config)
    return Result(**functools.reduce(dict.__or__, [*parts, _field(jax.random.fold_in(key, 2), config)]))


def _bits(joint):
    padded = np.zeros((8, 4 ** max(2, int(np.ceil(np.log(joint.shape[1]) / np.log(4))))))
    padded[: joint.shape[0], : joint.shape[1]] = joint
    return float(_mutual_information(padded)) / BIT


def _chains(key, config):
    """Sections E5.1-E5.3 and the invariance: the nuisance hierarchy with its outcomes renamed at random, and generic ones."""
    random = np.random.default_rng(config.seed)
    generic = hierarchy.random_hierarchy(key, (2, 4, 8, 16))
    p, path = generic.marginal(3), generic.sample(jax.random.fold_in(key, 1), config.samples)
    seen = np.bincount(np.asarray(path[:, -1]), minlength=16) / config.samples
    plain = hierarchy.nuisance_hierarchy(FLIPS)
    names = [random.permutation(size) for size in plain.sizes]
    chain = plain.relabelled(names)
    top, outcomes = len(FLIPS), np.arange(chain.sizes[-1])
    joints = [chain.joint(i) for i in range(top)]
    direct = [hierarchy.minimal_sufficient_statistic(joint) for joint in joints]
    distilled = hierarchy.distil(chain)
    finer = [*(s.labels for s in direct[1:]), outcomes]
    equal = [np.array_equal(s.labels, t.labels) for s, t in zip(direct, distilled.statistics, strict=True)]
    control = hierarchy.distil(hierarchy.random_hierarchy(jax.random.fold_in(key, 3), (2, 4, 16, 64)))
    before = [_bits(joint) for joint in joints]
    flips = np.stack([names[-1][np.argsort(names[-1]) ^ mask] for mask in range(2, len(outcomes), 2)])
    symbols = random.integers(random.integers(2, 9, size=(config.maps, 1)), size=(config.maps, len(outcomes)))
    one_hot = (symbols[..., None] == np.arange(8)).astype(float)
    of_maps = jax.jit(jax.vmap(mutual_information))
    pairs = [(i, a, b) for i, s in enumerate(direct) for a, b in itertools.combinations(range(s.classes), 2)]
    merged = lambda i, a, b: hierarchy.merge(joints[i], np.where(direct[i].labels == b, a, direct[i].labels))
    return {
        "markov": max(hierarchy.random_hierarchy(k, (3, 4, 5, 4)).markov_gap() for k in jax.random.split(jax.random.fold_in(key, 2), 10)),
        "stochastic": np.abs(functools.reduce(np.matmul, generic.kernels).sum(1) - 1).max(),
        "histogram": (seen - p) / np.sqrt(p * (1 - p) / config.samples),
        "level": np.arange(top),
        "classes": np.array([s.classes for s in direct]),
        "ordered": np.array([hierarchy.refines(fine, s.labels) and same for fine, s, same in zip(finer, direct, equal, strict=True)], int),
        "composed": np.abs(distilled.compose(outcomes) - hierarchy.posterior(joints[0])).max(),
        "before": np.array(before),
        "after": np.array([_bits(s.joint) for s in direct]),
        "closed": np.array([hierarchy.nuisance_information(FLIPS, i) / BIT for i in range(top)]),
        "processed": np.array([_bits(chain.joint(0, k + 1)) for k in range(top)]),
        "kept": np.array([hierarchy.invariance(s.labels, flips, chain.marginal(top)) for s in direct]),
        "generic": np.array([s.classes for s in control.statistics]),
        "excess": np.stack([np.asarray(of_maps(j @ one_hot)) / BIT - b for j, b in zip(joints, before, strict=True)], 1),
        "merger": np.array([before[i] - _bits(merged(i, a, b)) for i, a, b in pairs]),
    }


def _tree(config):
    """E5.4 and the couplings: broadcasting on trees, and what is left of it in few symbols."""
    laws = [tree_broadcast.root_posteriors(flip, 5) for flip in TREES]
    found = hierarchy.distil(tree_broadcast.tree_hierarchy(TREES[0], config.distilled)).statistics
    joint, leaves = laws[0][3].joint, tree_broadcast.leaf_joint(TREES[0], 4)
    best = [hierarchy.merge(joint, bottleneck.best_partition(joint, b)) for b in CLASSES]
    mergers = bottleneck.agglomerate(joint)
    betas = np.geomspace(100, 1.2, config.betas)
    curve = bottleneck.information_bottleneck(joint, betas)
    messages = [hierarchy.merge(law.joint, bottleneck.best_partition(law.joint, 4)) for law in laws[0][1:4]]
    summaries = [leaves, *(tree_broadcast.gathered(m, TREES[0], d) for m, d in zip(messages, (2, 1, 0), strict=True))]
    network = tree_broadcast.belief_propagation_network(TREES[0], 4)
    bounds = jax.lax.map(lambda flip: tree_broadcast.information_bounds(flip, 20, config.cells), jnp.array(TREES))
    shallow = lambda f: np.array([[f(flip, depth) for depth in range(1, 6)] for flip in TREES])
    couplings = [np.asarray(jax.jit(walsh.walsh)(-np.log(s[0] / s[0].sum())))[1:] for s in summaries]
    return {
        "distinct": np.array([s.classes for s in reversed(found)]),
        "flip": np.array(TREES),
        "root": np.array([[_bits(s.joint) for s in law] for law in laws]),
        "leaves": _bits(leaves),
        "majority": shallow(lambda flip, depth: _bits(tree_broadcast.majority_joint(flip, depth))),
        "single": shallow(lambda flip, depth: tree_broadcast.single_leaf_information(flip, depth) / BIT),
        "deep": np.arange(1, 21),
        "below": np.asarray(bounds[0]) / BIT,
        "above": np.asarray(bounds[1]) / BIT,
        "network": np.abs(jax.jit(lambda x: network(x))(1 - 2 * walsh.configurations(16)) - np.log(leaves[0] / leaves[1])).max(),
        "symbols": np.array(CLASSES),
        "best": np.array([_bits(b) for b in best]),
        "best_entropy": np.array([float(entropy(b.sum(0))) / BIT for b in best]),
        "greedy": np.array([_bits(hierarchy.merge(joint, mergers[-b])) for b in CLASSES]),
        "beta": betas,
        "rate": np.asarray(curve.rate) / BIT,
        "relevance": np.asarray(curve.relevance) / BIT,
        "opening": 1 / bottleneck.maximal_correlation(joint) ** 2,
        "lost": np.array([1 - _bits(s) / _bits(leaves) for s in summaries]),
        "couplings": np.array([(np.abs(J) > 1e-9).sum() for J in couplings]),
    }


def _train(key, config):
    """E5.5: networks of equal parameters learn p(root | 16 leaves), D = 4, ε = .1, from configurations drawn from their law."""
    joint = tree_broadcast.leaf_joint(TREES[0], 4)
    data = 1 - 2 * walsh.configurations(16).astype(np.float32), joint.sum(0), hierarchy.posterior(joint)[0]
    count = lambda make: sum(a.size for a in jax.tree.leaves(jax.eval_shape(lambda k: make(k)[0], key)))
    tree = lambda k: tree_broadcast.shared_tree(k, 4, CHANNELS)
    makers = [*(_perceptron(depth, count(tree)) for depth in range(1, config.deepest + 1)), tree]
    keys = jax.random.split(key, config.networks)
    draw = lambda k, p: jax.random.choice(k, len(p), (config.steps, BATCH), p=p).astype(jnp.int32)
    drawn = jax.jit(lambda keys, p: jax.lax.map(lambda k: draw(k, p), keys))(keys, data[1])
    found = [_divergence(make, keys, drawn, *data) for make in makers]
    return {"parameters": np.array([count(make) for make in makers]), "divergence": np.stack(found, 1)}


def _perceptron(depth, parameters):
    """The tanh perceptron whose number of parameters is nearest."""
    size = lambda w: 17 * w + (depth - 1) * (w + 1) * w + w + 1
    width = min(range(1, parameters), key=lambda w: abs(size(w) - parameters))
    model = MLPConfig(width=width, hidden_layers=depth, activation="tanh")
    return lambda key: functional(model.build(key, 16, 1))


@functools.partial(jax.jit, static_argnums=0)
def _divergence(make, keys, drawn, x, p, target):
    """KL from the exact posterior `target` (configurations,), averaged over p, of trained networks."""

    def one(given):
        params, apply = make(given[0])
        params = tree_broadcast.train_on_law(apply, params, x, target.astype(jnp.float32), given[1])
        found, exact = apply(params, x).output[:, 0].astype(float), jnp.log(target) - jnp.log1p(-target)
        return p @ (tree_broadcast.posterior_cross_entropy(found, target) - tree_broadcast.posterior_cross_entropy(exact, target))

    return jax.lax.map(one, (keys, drawn))


def _field(key, config):
    """E5.6: two spectra told apart by the field, by its powers, and by bands of them."""
    k, random = np.arange(17), np.random.default_rng(config.seed)
    spectra = [1 / (1 + (k / cut) ** 2) + 0.05 for cut in SPECTRA]
    fields = [power_spectrum.sample_field(jax.random.fold_in(key, i), S, config.samples // 2) for i, S in enumerate(spectra)]
    power = np.concatenate([power_spectrum.powers(y) for y in fields])
    full = [_gaussian(np.concatenate(fields), np.asarray(power_spectrum.covariance(S))) for S in spectra]
    own = np.repeat([1.0, -1.0], config.samples // 2)
    information = lambda one, two: (BIT - np.logaddexp(0, own * (two - one))) / BIT
    whole = [np.asarray(power_spectrum.log_likelihood(power, S)) for S in spectra]
    bands = [information(*(power_spectrum.band_log_likelihood(power, S, b) for S in spectra)) for b in BANDS]
    losses = information(*whole) - np.stack(bands)
    draws = random.integers(losses.shape[1], size=(100, losses.shape[1]))
    again = np.stack([losses[:, draw].mean(1) for draw in draws])
    return {
        "ratio": np.abs((full[0] - full[1]) - (whole[0] - whole[1])).max(),
        "field": Estimate.of(information(*whole)),
        "band": np.array(BANDS),
        "band_loss": Estimate(losses.mean(1), again.std(0, ddof=1), np.full(len(BANDS), losses.shape[1])),
    }


def _gaussian(y, covariance):
    """ln of the normal density with this covariance at rows of y."""
    from scipy.stats import multivariate_normal

    return multivariate_normal(cov=covariance).logpdf(y)


PAGE = {
    "before": (0.083043, 0.262558, 0.834216),
    "root": ((0.742086, 0.628146, 0.565343, 0.525993), (0.460525, 0.262951, 0.164517, 0.108027)),
    "majority": (0.742086, 0.602311, 0.498747, 0.432989),
    "single": (0.531004, 0.319923, 0.198371, 0.124656),
    "best": (0.403796, 0.486177, 0.500059),
    "distinct": {2: (9, 5), 3: (81, 25, 13), 4: (6561, 625, 169, 85)},
}
"""Numbers in bits, and of classes, that the claims expect."""


def claims(data) -> list[Claim]:
    """E5.1 to E5.6, the Kesten-Stigum rate, the bottleneck's slope, and the price of simplicity."""
    v = {name: data[name].values for name in [*data.data_vars, *data.coords]}
    worst = lambda a: float(np.abs(a).max())
    least = lambda a: float(np.diff(a).min())
    page = lambda name: worst(v[name].ravel()[: len(PAGE[name])] - PAGE[name])
    whole, best, depth = v["root"][0, 3], dict(zip(v["symbols"], v["best"], strict=True)), len(v["distinct"])
    slope = np.diff(v["relevance"]) / np.diff(v["rate"]) * np.sqrt(v["beta"][1:] * v["beta"][:-1])
    slope, shut = slope[v["beta"][1:] > 1.5 * v["opening"]], np.r_[0.0, v["relevance"][v["beta"] < 0.9 * v["opening"]]]
    rates = [np.log(v[a][1, 15] / v[b][1, 11]) / 4 for a, b in (("below", "above"), ("above", "below"))]
    low, high = (v[name][:, : v["root"].shape[1]] for name in ("below", "above"))
    KL, loss, couplings = np.log(v["divergence"]), estimate(data, "band_loss"), v["couplings"]
    theorem, optima, threshold = "E5.2; Lin et al., theorem 2", "E5.4; optimality", "Kesten & Stigum"
    rows = [
        ("random chains: largest |p(x_i|x_i+1, x_j) - p(x_i|x_i+1)|", "E5.1", v["markov"], at_most(1e-12)),
        ("product of stochastic kernels: largest |row sum - 1|", "section 10", v["stochastic"], at_most(1e-12)),
        ("p_0 M_1 … M_n against a sampled histogram: largest |z|", "section 10", worst(v["histogram"]), at_most(4)),
        *((f"nuisance hierarchy: |T_{i}| of 16 outcomes", theorem, v["classes"][i], about(2 ** (i + 1))) for i in range(3)),
        ("levels at which T_i = f_{i+1}(T_{i+1})", theorem, v["ordered"].sum(), about(3)),
        ("largest |f_0 f_1 … f_{n-1}(T_{n-1}(x_n)) - p(x_0|x_n)|", "Lin et al., corollary", v["composed"], at_most(1e-12)),
        ("largest |I(x_i; x_n) - I(x_i; T_i)|, bit", theorem, worst(v["before"] - v["after"]), at_most(1e-10)),
        ("the same from its closed form, bit", "E5.2", worst(v["before"] - v["closed"]), at_most(1e-10)),
        ("the same from .083043, .262558, .834216 bit", "E5.2", page("before"), at_most(6e-7)),
        ("random hierarchy 2, 4, 16, 64: least |T_i|: nothing is merged", "E5.2, control", v["generic"].min(), about(64)),
        ("least I(x_0; x_k) - I(x_0; x_k+1), bit", "data processing", least(-v["processed"]), at_least(0)),
        (f"{len(v['excess'])} random maps g: largest I(x; g) - I(x; x_n), bit", "E5.3", v["excess"].max(), at_most(1e-12)),
        (f"least loss by merging two classes of T, {len(v['merger'])} pairs, bit", "E5.3", v["merger"].min(), at_least(1e-6)),
        ("fraction of nuisance flips that leave T_0", "invariance", v["kept"][0], about(1, absolute=1e-12)),
        ("its least growth from T_i to T_i-1", "invariance", least(-v["kept"]), at_least(0)),
        *(
            (f"tree, D = {depth}: classes at height {h}, by the general algorithm", "section 5, tree", found, about(n))
            for h, found, n in zip(itertools.count(1), v["distinct"], PAGE["distinct"][depth], strict=False)
        ),
        ("|I(root; T_0) - I(root; all 65536 configurations)|, bit", "E5.4", abs(whole - v["leaves"]), at_most(1e-10)),
        ("I(root; leaves), ε = .1, .2, D = 1 … 4: from the page, bit", "E5.4", worst(v["root"][:, :4] - PAGE["root"]), at_most(6e-7)),
        ("I(root; majority), ε = .1: from the page, bit", "E5.4", page("majority"), at_most(6e-7)),
        ("I(root; one leaf), ε = .1: from the page, bit", "E5.4", page("single"), at_most(6e-7)),
        ("D ≥ 2: least I(root; leaves) - I(root; majority), bit", "E5.4", (v["root"] - v["majority"])[:, 1:].min(), at_least(1e-6)),
        ("D ≤ 5: how far I is inside its bounds, bit", "Blackwell", np.minimum(v["root"] - low, high - v["root"]).min(), at_least(-1e-12)),
        ("ε = .1 < .1464: lower bound of I at D = 20, bit", threshold, v["below"][0, -1], at_least(0.4)),
        *(
            (f"ε = .2: {n} bound of d ln I/dD, D = 12 … 16", threshold, r, about(np.log(0.72), 0.05))
            for n, r in zip(("lower", "upper"), rates, strict=True)
        ),
        ("14 neurons, 3 hidden layers: largest |l - exact|", "belief propagation", v["network"], at_most(1e-12)),
        ("best 2, 3, 4 classes: from .403796, .486177, .500059 bit", "E5.4", page("best"), at_most(6e-7)),
        ("4 classes keep of I(root; leaves)", "E5.4", best[4] / whole, at_least(0.95)),
        ("least growth of I with the number of classes, bit", "E5.4", least(v["best"]), at_least(0)),
        ("greedy mergers: largest gain over the best partition, bit", optima, (v["greedy"] - v["best"]).max(), at_most(1e-12)),
        ("bottleneck: largest growth of I(t; root) as β falls, bit", "IB curve", np.diff(v["relevance"]).max(), at_most(1e-9)),
        ("bottleneck: I - I(t; root) at the largest β, bit", "IB curve", whole - v["relevance"].max(), at_least(0)),
        ("best partitions above the curve, bit", "IB curve", _above(v), at_most(1e-3)),
        ("β dI(t; root)/dI(t; leaves), median", "Tishby et al.", np.median(slope), about(1, 0.05)),
        ("largest I(t; root) at β < .9/ρ², bit", "maximal correlation", shut.max(), at_most(1e-6)),
        (f"{couplings[0]} couplings of H over those of 2-bit messages", "distillation", couplings[0] / couplings[1], at_least(10)),
        ("information that these messages lose", "distillation", v["lost"][1], between(0, 0.01)),
        ("tree network: largest KL from the exact posterior, nat", "E5.5", v["divergence"][:, -1].max(), at_most(1e-4)),
        ("largest |log-likelihood ratio of a field - of its 17 powers|", "E5.6", v["ratio"], at_most(1e-9)),
        (f"2 bands of the spectrum lose of {float(data.field):.3f} bit", "E5.6", loss[BANDS.index(2)], at_least(0)),
    ]
    names = [f"MLP, {d} hidden, {n} parameters: ln KL - ln KL(tree)" for d, n in enumerate(v["parameters"][:-1], 1)]
    compared = [*((name, k, KL[:, -1]) for name, k in zip(names, KL.T[:-1], strict=True))]
    compared.append((f"MLP, 1 hidden against {len(names)}: ln KL - ln KL, depth helps?", KL[:, 0], KL[:, -2]))
    open_questions = [Claim(name, "E5.5", Estimate.of(a) - Estimate.of(b), at_least(0), False) for name, a, b in compared]
    return [*(Claim(*row) for row in rows), *open_questions]


def _above(v):
    """How far the best partitions (entropy, I) lie above the bottleneck curve, at most."""
    order = np.argsort(v["rate"])
    inside = v["best_entropy"] <= v["rate"].max()
    return (v["best"] - np.interp(v["best_entropy"], np.r_[0, v["rate"][order]], np.r_[0, v["relevance"][order]]))[inside].max()


def plot(data):
    """A hierarchy undone; trees against depth; the bottleneck; simplicity against loss; trained networks; bands of a spectrum."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.2))
    axes = axes.ravel()
    v = {name: data[name].values for name in [*data.data_vars, *data.coords]}
    level = v["level"]
    axes[0].plot(level, v["closed"], label="$I$, closed form", **THEORY)
    axes[0].plot(level, v["before"], "C0o", label="$I(x_i;x_3)$")
    axes[0].plot(level, v["after"], "C1x", ms=6, label="$I(x_i;T_i)$")
    axes[0].plot(level, v["kept"], "C2s-", lw=0.8, label="flips that leave $T_i$")
    axes[0].set(xlabel="level $i$", ylabel="information (bit), fraction", ylim=(0, 1.6), title="a hierarchy undone")
    axes[0].set_xticks(level, [f"{i}\n$|T|={n}$" for i, n in zip(level, v["classes"], strict=True)])
    axes[0].legend(fontsize=6, loc="upper right")

    depth, theta = np.arange(1, v["root"].shape[1] + 1), 1 - 2 * v["flip"][1]
    for i, flip in enumerate(v["flip"]):
        axes[1].plot(v["deep"], (v["below"][i] + v["above"][i]) / 2, f"C{i}-", lw=0.8, label=rf"$\epsilon={flip:g}$")
        for name, mark in (("root", "o"), ("majority", "^"), ("single", "+")):
            axes[1].plot(depth, v[name][i], f"C{i}{mark}", mfc="none")
    for name, mark in (("all leaves", "o"), ("majority", "^"), ("one leaf", "+")):
        axes[1].plot([], [], f"k{mark}", mfc="none", label=name)
    axes[1].plot(v["deep"], v["below"][1, 9] * (2 * theta**2) ** (v["deep"] - 10.0), label=r"$\propto(2\theta^2)^D$", **THEORY)
    axes[1].set(yscale="log", ylim=(1e-5, 2), xlabel="depth $D$", ylabel=r"$I(\mathrm{root};\cdot)$ (bit)", title="broadcast on a tree")
    axes[1].legend(fontsize=5.5, loc="lower left", ncols=2, columnspacing=0.8)

    axes[2].plot(v["rate"], v["relevance"], "C0-", label="information bottleneck")
    axes[2].plot(v["best_entropy"], v["best"], "C1o", label="best $B$ classes")
    for b, x, y in zip(v["symbols"], v["best_entropy"], v["best"], strict=True):
        axes[2].annotate(f"{b}", (x, y), xytext=(3, -8), textcoords="offset points", fontsize=6)
    axes[2].axhline(v["root"][0, 3], label="$I(\\mathrm{root};\\mathrm{leaves})$", **THEORY)
    axes[2].set(
        xlabel="$I(t;\\mathrm{leaves})$ (bit)",
        ylabel="$I(t;\\mathrm{root})$ (bit)",
        ylim=(0, 0.6),
        xlim=(-0.1, 3.9),
        title="lossy, $D=4$, $\\epsilon=.1$",
    )
    axes[2].legend(fontsize=6, loc="lower right")

    axes[3].plot(100 * v["lost"], v["couplings"], "C3o-", lw=0.8)
    for name, x, y in zip(("16 leaves", "4 messages\nof 2 bits", "2 messages", "1 message"), 100 * v["lost"], v["couplings"], strict=True):
        axes[3].annotate(name, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=6)
    axes[3].set(yscale="log", ylim=(1, 2000), xlim=(-0.3, 7), xlabel="information lost (%)", ylabel="couplings of $H$")
    axes[3].set_title("little lost, much simplified")

    place = np.arange(v["divergence"].shape[1])
    axes[4].plot(place, v["divergence"].T, "C0.", alpha=0.6)
    mean = Estimate.of(np.log(v["divergence"]))
    bars = np.abs(np.exp(mean.mean + np.array([[-1], [1]]) * mean.standard_error) - np.exp(mean.mean))
    axes[4].errorbar(place, np.exp(mean.mean), bars, color="C0", marker="_", ms=9, ls="none")
    axes[4].axhline(1e-4, label="bound for the tree", **THEORY)
    axes[4].legend(fontsize=6, loc="upper right")
    axes[4].set_xticks(place, [*map(str, place[1:]), "tree"])
    axes[4].set(yscale="log", ylim=(None, 1e-2), xlabel="hidden layers of the MLP", ylabel="KL to exact posterior (nat)")
    axes[4].set_title(f"trained, {v['parameters'].min()}–{v['parameters'].max()} parameters")

    left = estimate(data, "band_loss")
    full = float(data.field)
    axes[5].errorbar(
        v["band"], 1 - left.mean / full, left.standard_error / full, color="C4", marker="o", lw=0.8, label="bands of the spectrum"
    )
    axes[5].axhline(1, label="17 powers: all of 32 numbers", **THEORY)
    axes[5].set(xlabel="bands", ylabel="fraction of $I$ kept", ylim=(0, 1.15), title=f"Gaussian field, $I={full:.3f}$ bit")
    axes[5].set_xticks(v["band"])
    axes[5].legend(fontsize=6, loc="lower right")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
