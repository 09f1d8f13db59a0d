"""Counts of contexts are a Boltzmann law at temperature -1: p = C/Z, expected spread is energy, and F = +ln Z.

The counts of networks, from graphs of eight weights to EfficientNetV2-L, are energies E = ln C whose ensemble is followed through all
temperatures. Beside it stands the thesis' family of priors, energies that grow linearly with depth, in closed form; a network of
constant width is one of them. What a closed system can and cannot forget is seen on random Markov chains.

Source: Polat, "The reusability prior in deep learning models", PhD thesis, METU (2023); Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4
(2023) 025011; the author's research page.

    python -m experiments.prior_thermodynamics
    python -m experiments.prior_thermodynamics layers=30 spacing=0.2

Expect: at T = -1 ln Z, energy and entropy are the log partition, expected spread and entropy of the exact counts to 1e-12; V2-B0's
spread is 98.6 % of ln Z; tying changes its entropy in the 12th digit; energy ranks eight networks as their accuracy does at T = -1 and
at every other negative temperature: nothing in the ranking singles out T = -1.
Time: tiny 6 s, default 15 s, paper 20 s.
"""

from collections import Counter
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import ranking
from dltheory.record import array, record, static
from dltheory.reusability import chains
from dltheory.reusability.ensemble import Macrostate, boltzmann, scan
from dltheory.reusability.histogram import Histogram
from dltheory.reusability.ladder import ladder
from dltheory.reusability.plan import Conv, Dense, Plan, Pool, Shape, merged
from dltheory.reusability.sharing import published_key, tied
from dltheory.reusability.summary import summary
from experiments._imagenet import ACCURACY, plan

FIGURES = {"figure 2b": {1: 6, 2: 2}, "figure 3a": {1: 4, 2: 4}}
"""{contexts: weights} of graphs on the research page."""
LENET = {
    **{"conv1": Conv(6, kernel=5, padding=0, bias=True), "pool1": Pool(kernel=2, stride=2, padding=0)},
    **{"conv2": Conv(16, kernel=5, padding=0, bias=True), "pool2": Pool(kernel=2, stride=2, padding=0)},
    **{"dense1": Dense(120), "dense2": Dense(84), "dense3": Dense(10)},
}
SYSTEMS = (*FIGURES, "MLP", "tied MLP", "LeNet-5", "tied ResNet-50", "tied V2-B0", *ACCURACY)
KINDS = ("dense", "conv", "depthwise", "gate", "batch_norm")
BINS, COLD = 40, 1e-9
TEMPERATURES = (0.5, 1.0, 2.0, 5.0, np.inf, -5.0, -2.0, -1.0)
WORKED = {1.0: (4.063800, 1.581523, 5.645323, 0.916133), 2.0: (5.031162, 2.473658, 6.267990, 0.808683)}
WORKED |= {-1.0: (15.063800, 9.418477, 5.645323, 0.916133), np.inf: (np.log(1000), 5.5, 6.907755, 0.0)}
"""ln Z, <E>, S, C_v of 10 layers of 100 parameters with spacing 1."""


@record
class Config:
    """All of it runs on the host, on exact counts."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    width: int = static(32, "width w of the MLP, its inputs and its outputs", low=2, high=100_000)
    depth: int = static(10, "weight layers d of the MLP", low=3, high=1000)
    layers: int = static(10, "layers L of the thesis' prior", low=2, high=1000)
    parameters: int = static(100, "parameters n of each of these layers", low=1)
    spacing: float = static(1.0, "energy ε between these layers", low=1e-3, high=1e3)
    networks: int = static(8, "ImageNet networks, the least accurate first", low=2, high=len(ACCURACY))
    points: int = static(10, "inverse temperatures per decade", low=2, high=1000)
    chains: int = static(1000, "random Markov chains of each kind", low=2, high=100_000)

    sizes: ClassVar = {"tiny": {"networks": 3, "points": 3, "chains": 50}, "paper": {"points": 50, "chains": 20_000}}


@record
class Result:
    """The order of systems and of kinds of layers is that of the constants above; two ways are sums and closed forms."""

    beta: Float[Array, "beta"] = array("inverse temperature β = 1/T", "1/nat")
    at: Float[Macrostate, "system beta"] = array("ensemble with E = ln C")
    slope: Float[Array, "system beta"] = array("-∂ ln Z/∂β by autodiff", "nat")
    curvature: Float[Array, "system beta"] = array("∂² ln Z/∂β² by autodiff", "nat²")
    counted: Float[Array, "system number"] = array("ln Z, E[ln C], H of the exact counts", "nat", "page 1.1")
    members: Int[Array, "system"] = array("N_G, parameters with a context")
    mean: Float[Array, "system"] = array("mean of ln C over parameters", "nat")
    hot: Float[Array, "system moment"] = array("<E> and S at T = ∞", "nat")
    cold: Float[Array, "system side"] = array("<E> at T → 0+ and T → 0-", "nat")
    ends: Float[Array, "system side"] = array("ln of the smallest and of the largest count", "nat")
    states: Float[Array, "system kind bin"] = array("parameters of each kind of layer in equal bins of ln C / ln max C")
    constant_width: Float[Array, "moment beta"] = array("<E> and S of the MLP as a member of the thesis' family", "nat")
    family: Float[Array, "way quantity temperature"] = array("thesis' prior: ln Z, <E>, S, C_v", "nat")
    share: Float[Array, "way temperature layer"] = array("thesis' prior: p of each layer")
    second_law: Float[chains.SecondLaw, "chain time"] = array("8 states")
    largest: Float[chains.LargestEntropy, "law"] = array("8 states")


def run(config: Config) -> Result:
    """Heat, cool and invert the ensembles; follow the chains."""
    found = _systems(config)
    systems = [found[name] for name in SYSTEMS if name in found]
    whole = [Histogram.of(sum(map(Counter, kinds.values()), Counter())) for kinds in systems]
    random = np.random.default_rng(config.seed)
    return Result(
        **_ensembles(whole, config.points),
        **_counts(systems, whole),
        **_family(config),
        second_law=chains.second_law(random, config.chains, states=8, steps=20),
        largest=chains.largest_entropy(random, config.chains, states=8),
    )


def _systems(config) -> dict[str, dict[str, dict[int, int]]]:
    """{count: parameters} of each kind of layer."""
    mlp = Plan(Shape(1, 1, config.width), {f"{i}": Dense(config.width, bias=False) for i in range(config.depth)})
    plans = {"MLP": mlp, "LeNet-5": Plan(Shape(32, 32, 1), LENET)}
    keys = {"MLP": lambda use: None if use.layer in ("0", f"{config.depth - 1}") else use.shape}
    keys |= {"ResNet-50": published_key, "V2-B0": published_key}
    for name in list(ACCURACY)[: config.networks]:
        plans[name] = plan(name)
    out = {name: {"dense": counts} for name, counts in FIGURES.items()}
    for name, layers in plans.items():
        uses = layers.uses()
        kinds = {kind: [u for u in uses if u.kind == kind] for kind in KINDS}
        out[name] = {kind: merged(of) for kind, of in kinds.items()}
        if name in keys:
            out[f"tied {name}"] = {kind: tied(of, keys[name]) for kind, of in kinds.items()}
    return out


def _ensembles(whole, points):
    size = max(h.log2.size for h in whole)
    E = np.array([np.pad(h.energies, (0, size - h.log2.size), "edge") for h in whole])
    g = np.array([np.pad(h.multiplicity, (0, size - h.log2.size)) for h in whole], float)
    at, slope, curvature, limits = _followed(E, g, _betas(points))
    hot = np.stack([limits.energy[:, 0], limits.entropy[:, 0]], axis=1)
    return {"beta": _betas(points), "at": at, "slope": slope, "curvature": curvature, "hot": hot, "cold": limits.energy[:, 1:]}


def _betas(points):
    """From -4 to 4, without 0."""
    sizes = 10 ** (np.arange(-3 * points, 0.6 * points) / points)
    return np.concatenate([-sizes[::-1], sizes])


@jax.jit
def _followed(E, g, beta):
    """The ensembles at all β; what autodiff makes of ln Z; the ensembles at T = ∞, 0+, 0-."""

    def one(E, g):
        log_Z = lambda b: boltzmann(E, 1 / b, g).log_partition
        derivatives = jax.vmap(lambda b: (-jax.grad(log_Z)(b), jax.grad(jax.grad(log_Z))(b)))(beta)
        return scan(E, beta, g), *derivatives, scan(E, np.array([0, 1 / COLD, -1 / COLD]), g)

    return jax.vmap(one)(E, g)


def _counts(systems, whole):
    reuse = [summary(h, 1, 1, unit="nats") for h in whole]
    return {
        "counted": np.array([[r.log_partition, r.expected_spread, r.entropy] for r in reuse]),
        "members": np.array([r.parameters for r in reuse]),
        "mean": np.array([r.total_bits / r.parameters for r in reuse]),
        "ends": np.array([h.energies[[0, -1]] for h in whole]),
        "states": np.array([[_binned(kinds.get(k), h.energies[-1]) for k in KINDS] for kinds, h in zip(systems, whole, strict=True)]),
    }


def _binned(counts, largest):
    if not counts:
        return np.zeros(BINS)
    h = Histogram.of(counts)
    return np.histogram(h.energies / largest, BINS, (0, 1 + 1e-9), weights=h.multiplicity)[0]


def _family(config):
    energies = config.spacing * np.arange(1, config.layers + 1)
    sums = [boltzmann(energies, T, float(config.parameters)) for T in TEMPERATURES]
    forms = [ladder(T, config.layers, config.parameters, config.spacing) for T in TEMPERATURES]
    numbers = lambda some: np.array([[e.log_partition, e.energy, e.entropy, e.heat_capacity] for e in some]).T
    step = np.log(config.width)
    like = jax.vmap(lambda beta: ladder(-1 / beta, config.depth, config.width**2, step))(_betas(config.points))
    return {
        "family": np.stack([numbers(sums), numbers(forms)]),
        "share": np.array([[e.probabilities for e in some] for some in (sums, forms)]),
        "constant_width": np.stack([config.depth * step - like.energy, like.entropy]),
    }


def claims(data) -> list[Claim]:
    """The dictionary of statistical mechanics, the family of priors, tying and ranking, and the second law."""
    rows = [*_dictionary_claims(data), *_family_claims(data), *_network_claims(data), *_second_law_claims(data)]
    return [Claim(*row) for row in rows]


def _off(measured, expected):
    """Largest difference, relative to the expected number where that is above 1."""
    return (abs(measured - expected) / np.maximum(1, abs(expected))).max()


def _dictionary_claims(data):
    beta, here = data.beta.values, int(np.argmin(abs(data.beta.values + 1)))
    fields = ("log_partition", "energy", "entropy", "free_energy", "heat_capacity")
    log_Z, E, S, F, C = (data[f"at_{name}"].values for name in fields)
    counted, hot = data.counted.values, data.hot.values
    text = f"T = -1, {len(E)} systems: largest error of"
    for i, (name, seen) in enumerate((("ln Z", log_Z), ("<E> as E[ln C]", E), ("S as H", S))):
        yield f"{text} {name} of the exact counts", "page 1.1, 1.2", _off(seen[:, here], counted[:, i]), at_most(1e-11)
    yield f"{text} F as ln Z = <E> + S", "page 1.2", _off(F[:, here], counted[:, 1:].sum(1)), at_most(1e-11)
    text = f"{len(beta)} temperatures of both signs: largest error of"
    yield f"{text} F as <E> - TS", "page 1.2", _off(F, E - S / beta), at_most(1e-11)
    yield f"{text} <E> as -∂ ln Z/∂β by autodiff", "page 1.2", _off(data.slope.values, E), at_most(1e-11)
    yield f"{text} C_v as β² ∂² ln Z/∂β² by autodiff", "page 1.2", _off(beta**2 * data.curvature.values, C), at_most(1e-9)
    yield "largest rise of <E> from one β to the next: T = -1 is beyond T = ∞", "page 1.2", np.diff(E, axis=1).max(), at_most(1e-11)
    yield "T = ∞: largest error of <E> as mean ln C", "page 1.2", _off(hot[:, 0], data["mean"].values), at_most(1e-11)
    yield "T = ∞: largest error of S as ln N_G", "page 1.2", _off(hot[:, 1], np.log(data.members.values)), at_most(1e-11)
    yield "T → 0+, 0-: largest error of <E> as ln min C, ln max C", "page 1.2", _off(data.cold.values, data.ends.values), at_most(1e-11)
    for i, (name, counts) in enumerate(FIGURES.items()):
        weight = counts[2] * 2.0**-beta
        Z, energy = counts[1] + weight, np.log(2) * weight / (counts[1] + weight)
        error = max(_off(E[i], energy), _off(log_Z[i], np.log(Z)), _off(S[i], np.log(Z) + beta * energy))
        yield f"{name}: largest error of ln Z, <E>, S from Z = {counts[1]} + {counts[2]} 2^-β", "page 7", error, at_most(1e-12)


def _family_claims(data):
    layers, n, spacing, width, depth = (float(data[k]) for k in ("layers", "parameters", "spacing", "width", "depth"))
    sums, forms = data.family.values
    error = max(abs(sums[:, TEMPERATURES.index(T)] - np.array(row)).max() for T, row in WORKED.items())
    page = (layers, n, spacing) == (10, 100, 1)
    yield "E linear in depth: largest error from the worked ln Z, <E>, S, C_v", "page 7; 6 decimals", error, at_most(1e-6), True, page
    error = max(_off(sums, forms), _off(*data.share.values))
    yield "E linear in depth: largest error of sums from closed forms", "page 7; thesis pp. 102-103", error, at_most(1e-11)
    minus, plus = (sums[:, [TEMPERATURES.index(sign * T) for T in (1, 2, 5)]] for sign in (-1, 1))
    error = max(_off(minus[2], plus[2]), _off(minus[1], spacing * (layers + 1) - plus[1]))
    yield "E linear in depth: largest error of S(-T) = S(T), <E>(-T) = ε(L+1) - <E>(T)", "page 7", error, at_most(1e-11)
    i, (energy, entropy) = SYSTEMS.index("MLP"), data.constant_width.values
    error = max(_off(data.at_energy.values[i], energy), _off(data.at_entropy.values[i], entropy))
    yield "MLP as a member of this family, all T: largest error of <E>, S", "page 7, link", error, at_most(1e-10)
    _, spread, entropy = data.counted.values[i]
    ratio, step = width / (width - 1), np.log(width)
    expected = step * (depth / (1 - width**-depth) - ratio)
    yield f"MLP, d = {depth:g}: E[ln C] less its closed form", "page 2", spread - expected, about(0, absolute=1e-11 * expected)
    expected = np.log(width**2 * ratio) + step / (width - 1)
    deep = depth * width**-depth < 1e-10
    yield "MLP: H less that of infinite depth", "page 2", entropy - expected, about(0, absolute=1e-8), True, deep


def _network_claims(data):
    """What ranks eight networks, seven of one family, ranks them by depth too: weak evidence, which T = -1 does not strengthen."""
    at = SYSTEMS.index
    log_Z, spread, entropy = data.counted.values.T / np.log(2)
    for name, value, expected, digits in (
        ("V2-B0: E[log2 C]", spread[at("V2-B0")], 746.608413463674, 1e-9),
        ("V2-B0: H in bits", entropy[at("V2-B0")], 10.230140154574, 1e-10),
        ("V2-B0: E[ln C] / ln Z", spread[at("V2-B0")] / log_Z[at("V2-B0")], 0.98648306, 5e-9),
        ("tied V2-B0: H in bits", entropy[at("tied V2-B0")], 10.230140154569, 1e-10),
    ):
        yield f"{name} less {expected}", "page 6.2, the author's", value - expected, about(0, absolute=digits)
    members, mean = data.members.values, data["mean"].values
    for name in ("MLP", "ResNet-50", "V2-B0"):
        one, other = at(name), at(f"tied {name}")
        text = f"{name} tied, {members[one] / members[other]:.2f} times fewer parameters: change of"
        yield (
            f"{text} S at T = -1, nats",
            "page 1.1, nearly unchanged",
            abs(entropy[other] - entropy[one]) * np.log(2),
            at_most(0.01),
            False,
        )
        yield f"{text} <E> at T = ∞, nats", "page 7, plot 6", mean[other] - mean[one], at_least(0), False
    taus, here = _taus(data), int(np.argmin(abs(data.beta.values + 1)))
    everyone = int(data.networks) == len(ACCURACY)
    for name, expected in (("energy", 1.0), ("log_partition", 1.0), ("entropy", -0.4286)):
        text = f"Kendall τ of {name.replace('_', ' ')} at T = -1 with accuracy, {int(data.networks)} networks"
        yield text, "page 6.3", taus[name][here], about(expected, absolute=1e-4), True, everyone
    inverted = taus["energy"][data.beta.values < 0]
    yield (
        "share of negative temperatures at which energy ranks no worse",
        "page 7, plot 4",
        np.mean(inverted >= taus["energy"][here]),
        at_least(0.5),
        False,
    )


def _taus(data):
    """Kendall's τ of macrostates with accuracy, at every β."""
    first = SYSTEMS.index("ResNet-50")
    accuracy = list(ACCURACY.values())[: int(data.networks)]
    scores = {name: data[f"at_{name}"].values[first:] for name in ("energy", "log_partition", "entropy")}
    return {name: np.array([ranking.kendall(column, accuracy) for column in score.T]) for name, score in scores.items()}


def _second_law_claims(data):
    law = {name: data[f"second_law_{name}"].values for name in ("closed", "rearranged", "unconstrained", "divergence")}
    text, source = f"{data.sizes['chain']} random chains:", "panel: the second law"
    yield f"{text} largest fall of S under doubly stochastic maps", source, -np.diff(law["closed"]).min(), at_most(1e-12)
    yield f"{text} largest rise of KL to the stationary law under any maps", source, np.diff(law["divergence"]).max(), at_most(1e-12)
    moved = abs(law["rearranged"] - law["rearranged"][:, :1]).max()
    yield f"{text} largest change of S under permutations", source, moved, at_most(1e-12)
    falls = np.mean(np.diff(law["unconstrained"]).min(1) < -1e-9)
    yield f"{text} share in which S falls under any maps", "control", falls, at_least(0.01)
    deficit, distance = data.largest_deficit.values, data.largest_distance.values
    text = f"{len(deficit)} random laws: S(Boltzmann) - S(p) at the same energy,"
    yield f"{text} smallest", "panel: largest entropy", deficit.min(), at_least(0)
    yield f"{text} largest error as KL(p, Boltzmann)", "panel: largest entropy", abs(deficit - distance).max(), at_most(1e-12)


def plot(data):
    """The family of priors; macrostates against temperature; states of one network, tied and not; what ranks; the second law."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(TWO_COLUMNS, 6.4))
    layer, order = 1 + np.arange(data.sizes["layer"]), np.argsort([1 / T for T in TEMPERATURES])
    for color, i in zip(plt.get_cmap("coolwarm_r")(np.linspace(0, 1, len(order))), order, strict=True):
        name = f"{TEMPERATURES[i]:g}".replace("inf", "±∞")
        axes[0, 0].plot(layer, data.share.values[0, i], ".-", color=color, label=name)
        axes[0, 0].plot(layer, data.share.values[1, i], **THEORY | {"linewidth": 0.6})
    axes[0, 0].set(xlabel="layer $l$", ylabel="probability of the layer", title=r"thesis' prior, $E=\varepsilon l$")
    axes[0, 0].legend(fontsize=6, ncols=2, loc="upper center", title="$T$", title_fontsize=6)
    beta = data.beta.values
    _macrostate_panels(axes.ravel()[1:6], data)
    _states_panel(axes[2, 0], data)
    for label, tau in zip((r"$\langle E\rangle$", r"$\ln Z$", "$S$"), _taus(data).values(), strict=True):
        axes[2, 1].plot(beta, tau, label=label)
    axes[2, 1].axhline(0, color="0.8", lw=0.6, zorder=0)
    axes[2, 1].set(title=f"ranking of {int(data.networks)} networks", ylabel="Kendall τ with accuracy", ylim=(-1.1, 1.1))
    for axis in (*axes.ravel()[1:5], axes[2, 1]):
        axis.set_xscale("symlog", linthresh=1e-2, linscale=0.5)
        axis.set(xlabel=r"$\beta=1/T$", xticks=(-1, -0.1, 0, 0.1, 1), xticklabels=("$-1$", "$-0.1$", "0", "0.1", "1"))
        axis.axvline(-1, color="0.8", lw=0.6, zorder=0)
    _second_law_panel(axes[2, 2], data)
    axes[2, 1].legend(fontsize=6)
    return figure


def _macrostate_panels(axes, data):
    here = int(np.argmin(abs(data.beta.values + 1)))
    for n, name in enumerate(("figure 3a", "MLP", "LeNet-5", "ResNet-50", "V2-B0", "tied V2-B0")):
        i, color = SYSTEMS.index(name), f"C{min(n, 4)}"
        top, most, beta = data.ends.values[i, 1], np.log(data.members.values[i]), data.beta.values
        log_Z, E, S, C = (data[f"at_{field}"].values[i] for field in ("log_partition", "energy", "entropy", "heat_capacity"))
        for axis, x, y in zip(axes, (beta, beta, beta, beta, E / top), (log_Z, E / top, S / most, C, S / most), strict=True):
            axis.plot(x, y, ":" if name.startswith("tied") else "-", color=color, label=name)
            axis.plot(x[here], y[here], "o", ms=3, color=color)
        if name == "MLP":
            energy, entropy = data.constant_width.values / np.array([[top], [most]])
            for axis, x, y in zip(axes[[1, 2, 4]], (beta, beta, energy), (energy, entropy, entropy), strict=True):
                axis.plot(x, y, **THEORY)
    axes[0].set(title="partition function, dot: $T=-1$", ylabel=r"$\ln Z=-\beta F$", yscale="log")
    axes[0].legend(fontsize=6)
    axes[1].set(title="energy", ylabel=r"$\langle E\rangle/\ln\max C$")
    axes[2].set(title="entropy", ylabel=r"$S/\ln N_G$", ylim=(0, 1.05))
    axes[3].set(title="heat capacity", ylabel="$C_v$")
    axes[4].set(title="entropy against energy", xlabel=r"$\langle E\rangle/\ln\max C$", ylabel=r"$S/\ln N_G$", ylim=(0, 1.05))


def _states_panel(axis, data):
    for sign, name in ((1, "V2-B0"), (-1, "tied V2-B0")):
        states = sign * data.states.values[SYSTEMS.index(name)] / 1e6
        for color, kind in enumerate(KINDS):
            label = kind.replace("_", " ") if sign > 0 else None
            axis.bar(np.arange(BINS) / BINS, states[color], 1 / BINS, states[:color].sum(0), align="edge", color=f"C{color}", label=label)
    axis.axhline(0, color="black", lw=0.6)
    axis.yaxis.set_major_formatter(lambda y, _: f"{abs(y):g}")
    axis.set(xlabel=r"$\ln C/\ln\max C$", ylabel="million parameters", title="states of V2-B0; below: tied")
    axis.legend(fontsize=6)


def _second_law_panel(axis, data):
    bins = np.linspace(-1, 1, 61)
    for color, (name, label) in enumerate((("closed", "$S$, closed"), ("unconstrained", "$S$, any map"), ("divergence", "KL, any map"))):
        change = np.diff(data[f"second_law_{name}"].values)
        change = change[abs(change) > 1e-9]
        axis.hist(change, bins, histtype="step", color=f"C{color}", label=label, weights=np.full(change.size, 1 / change.size))
    axis.axvline(0, label="$S$, permuted", **THEORY)
    axis.set(xlabel="change in one step (nat)", ylabel="share of steps", title="second law", yscale="log", ylim=(None, 50))
    axis.legend(fontsize=6, ncols=2, loc="upper center")


if __name__ == "__main__":
    main(__spec__.name)
