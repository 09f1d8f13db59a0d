"""Markov text forgets exponentially, hierarchical text as a power law: mutual information against distance.

Chains, hidden chains and random trees with exact laws are sampled and measured; the same measurement is made of a text and of the
pixels of handwritten digits, always beside the same symbols in random order and a Markov chain with the same pairs of neighbours.

Source: Lin & Tegmark, "Critical behavior in physics and probabilistic formal languages" (arXiv:1606.06737).

    python -m experiments.mutual_information_decay
    python -m experiments.mutual_information_decay data=file data.path=my.txt

Expect: ln I falls by 2 ln(1/|λ2|) a step for chains; I ∝ d^-k within 4 % (exact) and 10 % (256 trees) for trees; the text that ships
with Python keeps 6e-4 bits at distance 100, several times both floors.
Time: tiny 15 s, default 30 s, paper 3 min.
"""

import hashlib
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Float, Int

from dltheory.cheap_learning import decay as measure
from dltheory.cheap_learning import sequences
from dltheory.data import File, Pixels, Sequences, Symbols
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, estimate, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static

BIT = np.log(2)
MEASURED = {"linestyle": "-", "linewidth": 1.0}
SURROGATE, SHUFFLED = ({"linestyle": "", "marker": marker, "markersize": 1.8} for marker in ("s", "x"))
EIGENVALUES = (0.75, 0.65)
EMISSION = ((0.8, 0.1, 0.1), (0.2, 0.7, 0.1), (0.1, 0.3, 0.6))
CHAINS = ("Markov", "hidden Markov", "2-cycle")
BRANCHINGS, EXPONENTS = (2, 3, 4), (0.5, 1.0, 1.5)
SAMPLED = ((2, 0.5), (2, 1.0), (3, 1.0), (2, 1.5))
"""q and k of the trees that are sampled; the last is not on the page."""
CHAIN_LENGTH, ALPHABET, PAIRS = 5000, 30, 20_000
PAGE = {1: 0.77586, 2: 0.31304, 3: 0.15734, 5: 0.04724, 10: 0.00666, 20: 0.00157, 50: 0.00097, 100: 0.00064}
PAGE |= {200: 0.00079, 500: 0.00039, 1000: 0.00037}
"""I(d) in bits of the text that ships with Python 3.11, of 375,757 characters; `PAGE_TEXT` tells it from others."""
PAGE_TEXT = "659fa17cbde8573c"
EARLY, LATE, FAR, APART = (6, 15), (26, 40), 6, 50
"""Steps of two fits to chains; distances from which trees are fitted, and from which the floors of a text are averaged."""


@record
class Config:
    """How much is sampled."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    data: Sequences = File()
    symbols: int = static(500_000, "symbols of each chain", low=10_000, high=10**8)
    trees: int = static(256, "trees pooled; one alone does not average itself", low=50, high=100_000)
    doublings: int = static(14, "log2 of the leaves of a tree, to the next whole depth", low=11, high=20)
    floors: int = static(2, "times that the symbols are shuffled and imitated", low=2, high=1000)
    draws: int = static(40, "independent samples that test the estimators", low=2, high=10_000)

    sizes: ClassVar = {
        "tiny": {"symbols": 20_000, "trees": 50, "doublings": 11, "draws": 5},
        "paper": {"symbols": 5_000_000, "trees": 400, "doublings": 15, "floors": 4, "draws": 1000},
    }


@record
class Result:
    """`chain` counts a Markov chain, a hidden one and the 2-cycle; `tree` the sampled (q, k)."""

    step: Int[np.ndarray, "step"] = array("steps τ of a chain", "symbol")
    distance: Int[np.ndarray, "distance"] = array("distance d of two leaves", "symbol")
    separation: Int[np.ndarray, "separation"] = array("distance d in the text", "symbol")
    shift: Int[np.ndarray, "shift"] = array("distance d of two pixels, row by row", "pixel")
    branching: Int[np.ndarray, "branching"] = array("children q")
    exponent: Float[np.ndarray, "exponent"] = array("exponent k = 4 ln(1/λ2) / ln q")
    chain_law: Float[measure.Dependence, "chain step"] = array("exact", source="Lin & Tegmark, theorem 1")
    chain: Float[measure.Decay, "chain step"] = array("sampled")
    grid_law: Float[measure.Dependence, "branching exponent distance"] = array("exact", source="sum over positions")
    tree_law: Float[measure.Dependence, "tree distance"] = array("exact", source="sum over positions")
    tree: Float[measure.Decay, "tree distance"] = array("pooled over trees")
    slope: Float[Estimate, "tree"] = array("slope of ln I against ln d, d ≥ 6, pooled; error: bootstrap over trees")
    lonely_slope: Float[Estimate, "tree"] = array("the same of the mean of what each tree alone gives")
    text: Float[measure.Decay, "separation"] = array("text")
    text_plug_in: Float[measure.Dependence, "separation"] = array("frequencies in the text")
    text_bigram: Float[measure.Dependence, "separation"] = array("exact, of the chain with the text's pairs of neighbours")
    is_page_text: Int[np.ndarray, ""] = array("1 if the text is the one that ships with Python 3.11")
    text_eigenvalue: Float[np.ndarray, ""] = array("|λ2| of that chain")
    pixels: Float[measure.Decay, "shift"] = array("handwritten digits")
    pixels_bigram: Float[measure.Dependence, "shift"] = array("exact, of the chain with the pixels' pairs of neighbours")
    plug_in_bias: Float[np.ndarray, "draw"] = array("plug-in I of independent symbols, K = 30, N = 20,000", "nat")
    grassberger_bias: Float[np.ndarray, "draw"] = array("Grassberger's I of the same", "nat")


def load(config: Config) -> tuple[Symbols, Symbols]:
    """The text and the pixels."""
    return config.data.load(), Pixels().load()


def run(config: Config, data: tuple[Symbols, Symbols]) -> Result:
    """Exact laws, samples, real sequences, each with its floors."""
    streams = iter(np.random.default_rng(config.seed).spawn(100))
    step, distance = np.arange(1, LATE[1] + 1), _spaced(1000, 22)
    exact = lambda law, d, *more: jax.device_get(measure.dependence(jax.vmap(lambda x: law.joint(x, *more))(d)))
    taken = lambda x, d, K, groups=32: measure.decay(next(streams), x, d, K, groups, config.floors)

    T = sequences.transition_matrix(EIGENVALUES)
    chains = [sequences.markov(T), sequences.HiddenMarkov(T, np.array(EMISSION)), sequences.markov(sequences.transition_matrix((-1.0,)))]
    walks = [c.sample(next(streams), max(2, config.symbols // CHAIN_LENGTH), CHAIN_LENGTH) for c in chains]

    depth = {q: round(config.doublings / np.log2(q)) for q in BRANCHINGS}
    grid = [[exact(sequences.critical_tree(k, q), distance, depth[q]) for k in EXPONENTS] for q in BRANCHINGS]
    forests = [sequences.critical_tree(k, q).sample(next(streams), config.trees, depth[q]) for q, k in SAMPLED]
    counts = [measure.pair_counts(x, distance, 2, config.trees) for x in forests]

    text, pixels = data
    separation = np.union1d(list(PAGE), _spaced(1000, 28))
    separation, shift = separation[separation <= min(text.index.shape[1] - 1, text.index.size // 20)], np.arange(1, 33)
    bigrams = [sequences.bigram(s.index, s.alphabet) for s in (text, pixels)]

    pairs = next(streams).integers(ALPHABET**2, size=(config.draws, PAIRS))
    tables = np.stack([np.bincount(p, minlength=ALPHABET**2) for p in pairs]).reshape(-1, ALPHABET, ALPHABET)
    return Result(
        step=step,
        distance=distance,
        separation=separation,
        shift=shift,
        branching=np.array(BRANCHINGS),
        exponent=np.array(EXPONENTS),
        chain_law=stack([exact(c, step) for c in chains]),
        chain=stack([taken(x, step, c.emission.shape[1]) for x, c in zip(walks, chains, strict=True)]),
        grid_law=stack([stack(row) for row in grid]),
        tree_law=stack([grid[BRANCHINGS.index(q)][EXPONENTS.index(k)] for q, k in SAMPLED]),
        tree=stack([taken(x, distance, 2, config.trees) for x in forests]),
        slope=stack([measure.bootstrap(n, lambda c: _slope(distance, measure.grassberger(c))) for n in counts]),
        lonely_slope=stack([measure.bootstrap(measure.plug_in(n).information, lambda i: _slope(distance, i)) for n in counts]),
        text=taken(text.index, separation, text.alphabet),
        text_plug_in=measure.plug_in(measure.pair_counts(text.index, separation, text.alphabet)[0]),
        text_bigram=exact(bigrams[0], separation),
        is_page_text=np.array(int(hashlib.sha256(text.index.astype("<u2").tobytes()).hexdigest().startswith(PAGE_TEXT))),
        text_eigenvalue=np.array(sequences.second_eigenvalue(bigrams[0].transition)),
        pixels=taken(pixels.index, shift, pixels.alphabet),
        pixels_bigram=exact(bigrams[1], shift),
        plug_in_bias=np.asarray(measure.plug_in(tables).information),
        grassberger_bias=np.asarray(measure.grassberger(tables)),
    )


def _spaced(last, count):
    """About `count` distances 1 … last, evenly in their logarithm."""
    return np.unique(np.round(np.geomspace(1, last, count)).astype(int))


def _slope(distance, information, first=FAR):
    """Of ln I against ln d from `first` on."""
    return float(Estimate.of_slope(*_logarithms(distance, information, first)).mean)


def _bend(distance, information, first=FAR):
    """How much less straight ln I is in d than in ln d from `first` on; below 1 an exponential fits better."""
    power, exponential = measure.straightness(*np.exp(_logarithms(distance, information, first)))
    return exponential / power


def _logarithms(distance, information, first):
    """ln d and ln I from `first` on; a measured I ≤ 0 counts as 1e-12."""
    return np.log(distance[distance >= first]), np.log(np.maximum(np.asarray(information)[distance >= first], 1e-12))


def claims(data) -> list[Claim]:
    """Chains, trees, the two informations, the text, the estimators."""
    return [*_of_chains(data), *_of_trees(data), *_of_ratios(data), *_of_text(data), *_of_estimators(data)]


def _of_chains(data):
    step, fall = data.step.values, -np.log(max(EIGENVALUES))
    law, seen = data.chain_law_information.values, estimate(data, "chain_information")
    fitted = lambda i, window: Estimate.of_slope(step[window[0] - 1 : window[1]], np.log(law[i, window[0] - 1 : window[1]])) / -fall
    text = "fall of ln I a step over ln(1/λ2), τ ="
    for i, name in enumerate(CHAINS[:2]):
        z = np.abs(seen[i].z(law[i]))[: EARLY[1]].max()
        sure = slice(1, 10)
        bends = [1 / _bend(step[1:], law[i, 1:], 2), 1 / _bend(step[sure], seen.mean[i, sure], 2)]
        late, early = (f"{name}: {text} {low} … {high}" for low, high in (LATE, EARLY))
        yield Claim(f"{late}: twice", "E12.1; erratum 13", fitted(i, LATE), about(2, 0.01))
        yield Claim(f"{early}, too early: λ3 counts", "§12: -.588 for -.575", fitted(i, EARLY), at_least(2.02), False)
        yield Claim(f"{name}: largest |z| of the sample, τ ≤ {EARLY[1]}", "Lin & Tegmark, theorem 1", z, at_most(5))
        yield Claim(f"{name}, exact: an exponential fits better, ratio of residuals", "E12.5", bends[0], at_least(3))
        yield Claim(f"{name}, sample, τ = 2 … 10: the same", "E12.5", bends[1], at_least(3))
    for name, information in (("exact", law[2]), ("sample", seen.mean[2])):
        text = f"2-cycle, {name}: largest deviation of I from 1 bit, τ ≤ {step[-1]}"
        yield Claim(text, "§12: 1 bit forever", np.abs(information / BIT - 1).max(), at_most(1e-4))


def _of_trees(data):
    d, k, law = data.distance.values, data.exponent.values, data.grid_law_information.values
    deviation = np.abs(-np.apply_along_axis(lambda i: _slope(d, i), -1, law) / k - 1).max()
    bend = np.apply_along_axis(lambda i: _bend(d, i), -1, law).min()
    whole = int(data.doublings) == 14
    yield Claim(f"exact trees, q = 2, 3, 4: largest |slope/k + 1|, d = {FAR} … {d[-1]}", "E12.3", deviation, at_most(0.04))
    yield Claim("exact trees: a power law fits better, least ratio of residuals", "E12.5", bend, at_least(3))
    yield Claim("exact tree, q = 2, k = 0.5: I(1) in bits", "§12: .42302", law[0, 0, 0] / BIT, about(0.42302, 0, 6e-6), whole, whole)
    seen, slope, exact = estimate(data, "tree_information"), estimate(data, "slope"), data.tree_law_information.values
    for i, (q, k) in enumerate(SAMPLED):
        name, on_page = f"{int(data.trees)} trees, q = {q}, k = {k:g}", i < 3
        yield Claim(f"{name}: -slope/k", "E12.3", slope[i] / -k, about(1, 0.1), on_page)
        yield Claim(f"{name}: a power law fits better, ratio of residuals", "E12.5", _bend(d, seen.mean[i]), at_least(3), on_page)
        yield Claim(f"{name}: largest |z| of the sample", "§12, sum over positions", np.abs(seen[i].z(exact[i])).max(), at_most(5))
    text = "trees one by one, q = 2, k = 0.5: slope; they do not average themselves"
    yield Claim(text, "§12, trap: -.79 for -.5", estimate(data, "lonely_slope")[0], at_most(-0.6), False)


def _of_ratios(data):
    pair = lambda name: np.stack([data[f"{name}_{kind}"].values.ravel() for kind in ("information", "rational")])
    exact = np.concatenate([pair("chain_law"), pair("grid_law")], 1)
    weak = exact[:, exact[0] < 1e-4]
    worst = max(np.max(I / I_R) for I, I_R in (exact, pair("text_plug_in")))
    yield Claim("chains, trees, text: largest I/I_R", "E12.2", worst, at_most(1))
    yield Claim("chains, trees: largest |I_R/I - 2| where I < 1e-4", "E12.2", np.abs(weak[1] / weak[0] - 2).max(), at_most(0.02))


def _of_text(data):
    d, seen, ours = data.separation.values, estimate(data, "text_information"), bool(data.is_page_text)
    floors = [estimate(data, f"text_{kind}")[d >= APART] for kind in ("shuffled", "surrogate")]
    count = int(floors[0].count.sum())
    floor = max(np.sqrt(np.mean(f.mean**2 + f.standard_error**2 * (f.count - 1))) for f in floors)
    bits = {int(x): seen[i] / BIT for i, x in enumerate(d)}
    if 100 in bits:
        ratio = bits[100].mean * BIT / floor
        text = f"text: I(100) over the larger floor, shuffled or Markov, root mean square at d ≥ {APART}"
        yield Claim(text, "E12.4", Estimate(ratio, ratio / np.sqrt(2 * count), count), at_least(3), ours)
        yield Claim("text: I(100) in bits, error from resampled blocks", "E12.4", bits[100], at_least(0), False)
    chain = data.text_bigram_information.values[d == 10]
    yield Claim("text: I(10) of its Markov chain over its own", "§12", float(chain[0] / seen.mean[d == 10][0]), at_most(0.01), ours)
    yield Claim("text, d ≥ 10: a power law fits better, ratio of residuals", "E12.5", _bend(d, seen.mean, 10), at_least(1), False)
    shared = np.array([x for x in PAGE if x in bits])
    gap = max(abs(bits[x].mean - PAGE[x]) for x in shared)
    eigenvalue = float(data.text_eigenvalue)
    yield Claim("text: largest deviation from the page's table, bits", "§12, table", gap, at_most(6e-6), ours, ours)
    yield Claim("text: |λ2| of its Markov chain", "§12: .312", eigenvalue, about(0.312, 0, 6e-4), ours, ours)
    text = "text: slope of ln I against ln d, d ≥ 10; no universal exponent"
    yield Claim(text, "§12: -.54", _slope(shared, [bits[x].mean for x in shared], 10), about(-0.54, 0, 0.005), False, ours)
    pixel, chain = (data[name].values[7] for name in ("pixels_information", "pixels_bigram_information"))
    yield Claim(
        "digits: I of a pixel and the one below it, in bits", "two dimensions read as one", pixel / BIT, at_least(chain / BIT), False
    )


def _of_estimators(data):
    bias = [Estimate.of(data[name].values) / BIT for name in ("plug_in_bias", "grassberger_bias")]
    formula = measure.independent_bias(ALPHABET, PAIRS) / BIT
    text = f"plug-in I of {PAIRS:,} independent pairs of {ALPHABET} symbols over (K-1)²/2N"
    yield Claim(text, "§12: .0303 bits", bias[0] / formula, about(1, 0.05))
    yield Claim("the same, Grassberger's estimator, in bits", "§12: .0007, -.0016", bias[1], about(0, 0, 0.002))


def plot(data):
    """All sources above their floors; trees; chains; the text and the pixels; the two informations."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.8))
    every, trees, chains, text, pixels, ratio = axes.ravel()
    for i, name in enumerate(CHAINS[:2]):
        _curve(every, data, "chain", "step", i, f"C{i}", name, data.chain_law_information[i])
    for i, (_, k) in enumerate(SAMPLED[:2]):
        _curve(every, data, "tree", "distance", i, f"C{i + 2}", f"tree, $k={k:g}$", data.tree_law_information[i])
    _curve(every, data, "text", "separation", ..., "C4", "text")
    _curve(every, data, "pixels", "shift", ..., "C5", "digits")
    for i, (q, k) in enumerate(SAMPLED):
        _curve(trees, data, "tree", "distance", i, f"C{i}", f"$q={q}$, $k={k:g}$", data.tree_law_information[i])
    for i, name in enumerate(CHAINS):
        _curve(chains, data, "chain", "step", i, f"C{i}", name, data.chain_law_information[i])
    _curve(text, data, "text", "separation", ..., "C4", "text", data.text_bigram_information)
    _curve(pixels, data, "pixels", "shift", ..., "C5", "digits", data.pixels_bigram_information)
    for name, label, color in (("text_plug_in", "text", "C4"), ("grid_law", "trees", "C2"), ("chain_law", "chains", "C0")):
        shannon, rational = (data[f"{name}_{kind}"].values.ravel() for kind in ("information", "rational"))
        ratio.plot(shannon / BIT, rational / shannon, ".", ms=3, color=color, label=label)
    ratio.axhline(2, **THEORY)
    ratio.axhline(1, color="0.5", linewidth=0.8)
    ratio.set(xscale="log", xlabel="$I$ (bit)", ylabel="$I_R/I$", title="rational information", ylim=(0.8, 3))
    for axis, title in ((every, "all sources"), (trees, "trees"), (text, "text"), (pixels, "digits, row by row"), (chains, "chains")):
        axis.set(yscale="log", xscale="linear" if axis in (chains, pixels) else "log", xlabel="distance $d$", title=title, ylim=(1e-6, 2))
    every.set_ylabel("$I(d)$ (bit)")
    text.set_ylabel("$I(d)$ (bit)")
    chains.set_xlabel(r"steps $\tau$")
    pixels.set_xticks(range(0, 33, 8))
    dots = lambda **look: Line2D([], [], **look)
    kinds = [dots(color="0.3", **MEASURED), dots(**THEORY), dots(color="0.3", **SURROGATE), dots(color="0.3", **SHUFFLED)]
    text.legend(kinds, ["measured", "chain, exact", "chain, drawn", "shuffled"], fontsize=6, loc="upper right")
    for axis, low in ((every, 1e-6), (trees, 1e-7)):
        axis.set_ylim(low, 300)
        axis.legend(fontsize=6, ncols=2, loc="upper right", columnspacing=0.8, handlelength=1.2)
    chains.legend(fontsize=6, loc="center right")
    ratio.legend(fontsize=6, loc="upper left")
    return figure


def _curve(axis, data, name, along, which, color, label, law=None) -> None:
    """A measurement with its error up to the first that is below half its error, both floors, and an exact law dashed."""
    d, seen = data[along].values, estimate(data, f"{name}_information")[which] / BIT
    shown = np.logical_and.accumulate(seen.mean > seen.standard_error / 2)
    axis.errorbar(d[shown], seen.mean[shown], seen.standard_error[shown], color=color, label=label, elinewidth=0.6, capsize=0, **MEASURED)
    for kind, look in (("surrogate", SURROGATE), ("shuffled", SHUFFLED)):
        axis.plot(d, np.abs(data[f"{name}_{kind}"].values[which]) / BIT, color=color, alpha=0.6, **look)
    if law is not None:
        axis.plot(d, law / BIT, zorder=3, **THEORY)


if __name__ == "__main__":
    main(__spec__.name)
