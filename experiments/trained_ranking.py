"""Does the reusability prior rank trained networks? Against parameters, depth, operations and eight zero-cost proxies.

Architectures of ten families, as wide as a budget of parameters allows (within 3 %), are scored untrained and then trained alike: Adam,
three learning rates, the best on a validation third. A run is one architecture at one budget; the figure is a sweep over both. What
is to be tested was fixed before training: PLAN, whose hash each run keeps. Primary: Kendall's τ-b of P_E with the mean held-out
accuracy within a budget, mean over budgets, resampled by architecture.

Source: Polat & Alpaslan, "The reusability prior", Mach. Learn.: Sci. Technol. 4 (2023) 025011; the experiment is ours (page
reusability_prior, section 8). Peers: Abdelfattah et al., "Zero-cost proxies for lightweight NAS", arXiv:2101.08134.

    python -m experiments.trained_ranking architecture=tied_5 budget=4000
    python -m experiments.trained_ranking -m figure=true hydra/launcher=joblib
    python -m experiments.trained_ranking -m figure=true size=paper data=mnist budget=1500,4000,16000,100000,500000,2000000

Expect: spread and both estimates correlate with accuracy, if at all, with the wrong sign. On digits, within 1500 and 4000 parameters,
τ(P_E) = -0.19 (95 %: -0.38 … 0.00), -0.8 among perceptrons, -0.4 among convolutional networks; depth -0.29, operations +0.19, halves of
the seeds 0.63. Given depth, the intervals contain 0. Tied nets win 57 % (34 … 77 %) of the pairs at equal budget, 24 % (8 … 43 %)
against 1.6 times their parameters. No score, the proxies' included, is significant after Holm's correction.
Time: tiny 10 s, default 20 s, paper 30 min; the sweep 10 min with joblib on two cores.
"""

import hashlib
import json
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, Int

from dltheory.data import Data, Dataset, Digits
from dltheory.data.images import Images
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import Estimate, ranking
from dltheory.record import array, record, static
from dltheory.reusability import proxies
from dltheory.reusability.summary import summary
from dltheory.reusability.trace import trace
from experiments._rivals import FAMILIES, NAMES, PROXIES, RATES, draw, fitted, score, train
from experiments._settings import check_records

TYING = ("tied_mlp", "tied", "rnn")
NULLS = ("parameters", "depth", "flops")
REUSE = ("spread", "entropy", "log_partition", "surprisal_score", "spread_score", "through_spread")
SCORES = (*NULLS, *REUSE, *PROXIES)
TOLERANCE, IMAGES, LARGER = 0.03, 16, 1.6
RESAMPLES = 2000
PLAN = {
    "primary": "Kendall tau-b of spread_score (P_E) with mean held-out accuracy within budget, mean over budgets",
    "resampling": f"architectures, {RESAMPLES} times, 95 % percentile interval; permutation p-values, Holm over scores",
    "secondary": "Spearman rho; pooled tau; partial rho given log parameters (pooled) and given depth (within budget)",
    "null models": NULLS,
    "scores": SCORES,
    "ceiling": "tau-b between halves of the seeds",
    "tying": f"win rate of {', '.join(TYING)} over the rest: equal budget, and with untied nets of {LARGER} times the parameters",
    "architectures": FAMILIES,
    "training": f"Adam, rates {RATES}, best mean accuracy on a validation third; Xavier weights, gain sqrt 2, ReLU, cross-entropy",
}
HASH = hashlib.sha256(json.dumps(PLAN, sort_keys=True).encode()).hexdigest()[:16]
LABELS = {
    "spread": "$E[\\log_2 C]$",
    "entropy": "$H$",
    "log_partition": "$\\log_2 Z$",
    "surprisal_score": "$P_S$",
    "spread_score": "$P_E$",
    "through_spread": "$E_T[\\log_2 T]$",
}


@record
class Config:
    """One architecture at one budget."""

    architecture: str = static("mlp_2", "family and its depth, steps or tokens", choices=NAMES)
    budget: int = static(1500, "parameters", low=300, high=100_000_000)
    data: Data = Digits(test=0.4)
    seed: int = static(0, "names every random stream", low=0, high=2**31 - 1)
    networks: int = static(5, "networks at each learning rate", low=2, high=1000)
    steps: int = static(440, "training steps", low=10, high=10_000_000)
    every: int = static(40, "steps between records; divides steps", low=1)
    plan: str = static(HASH, "hash of what was planned before training", choices=(HASH,))

    sizes: ClassVar = {
        "tiny": {"networks": 2, "steps": 40, "every": 4},
        "paper": {"networks": 10, "steps": 4000, "every": 200},
    }
    figure: ClassVar = {"architecture": NAMES, "budget": (1500, 4000)}

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)
        if not isinstance(self.data, Images) or self.data.targets != "one_hot":
            raise ValueError("data: must be digits or mnist with data.targets=one_hot")


@record
class Result:
    """Scores of reuse are in bits; those of networks are of untrained ones."""

    parameters: Int[np.ndarray, ""] = array("parameters N_G")
    weight_nodes: Int[np.ndarray, ""] = array("weight nodes N_W, before tying")
    depth: Int[np.ndarray, ""] = array("layers: nonlinear ones on the longest path, and the readout")
    flops: Float[np.ndarray, ""] = array("operations for one image")
    spread: Float[np.ndarray, ""] = array("expected spread E[log₂ C]", "bit")
    entropy: Float[np.ndarray, ""] = array("entropy H", "bit")
    log_partition: Float[np.ndarray, ""] = array("log₂ Z", "bit")
    surprisal_score: Float[np.ndarray, ""] = array("P_S", "bit")
    spread_score: Float[np.ndarray, ""] = array("P_E", "bit")
    through_spread: Float[np.ndarray, ""] = array("expected spread of through-counts E_T[log₂ T]", "bit")
    synflow: Float[np.ndarray, "network"] = array("SynFlow, log")
    grad_norm: Float[np.ndarray, "network"] = array("gradient norms, summed over arrays")
    snip: Float[np.ndarray, "network"] = array("SNIP")
    grasp: Float[np.ndarray, "network"] = array("GraSP")
    fisher: Float[np.ndarray, "network"] = array("Fisher")
    naswot: Float[np.ndarray, "network"] = array("NASWOT, 16 images, ridge 1e-6")
    jacob_cov: Float[np.ndarray, "network"] = array("jacob-cov, 16 images")
    zen: Float[np.ndarray, "network"] = array("Zen-score")
    rate: Float[np.ndarray, "rate"] = array("learning rate of Adam")
    step: Int[np.ndarray, "step"] = array("training step")
    validation: Float[np.ndarray, "rate network step"] = array("accuracy on the validation third")
    test: Float[np.ndarray, "rate network step"] = array("accuracy on images held out")
    chosen: Int[np.ndarray, ""] = array("place of the rate with the best mean validation accuracy at the end")
    accuracy: Float[np.ndarray, "network"] = array("held-out accuracy at that rate")


def load(config: Config) -> Dataset:
    """The images."""
    return config.data.load()


def run(config: Config, data: Dataset) -> Result:
    """Train all networks at all rates in one program; meanwhile count contexts and score the untrained ones."""
    inputs, first = data.train.x.shape[1], slice(IMAGES)
    model, shapes, apply = fitted(config.architecture, inputs, config.budget)
    start = [draw(np.random.default_rng([config.seed, i]), shapes) for i in range(config.networks)]
    together = jax.tree.map(lambda *a: np.stack(a), *start)
    sizes = {"batch": config.data.batch, "steps": config.steps, "every": config.every}
    seen = train(apply, together, data, seed=config.seed, **sizes)
    one = start[0], np.zeros((1, inputs), np.float32)
    traced = trace(apply, *one)
    nodes = (traced.inputs, traced.outputs, traced.weight_nodes)
    reuse, through = (summary(traced.counts(kind), *nodes) for kind in ("published", "through"))
    scored = score(apply, jax.tree.map(np.float64, together), data.train.x[first], data.train.label[first])
    validation, test = (np.asarray(a, float).reshape(len(RATES), config.networks, -1) for a in seen)
    chosen = int(np.argmax(validation[:, :, -1].mean(axis=1)))
    return Result(
        parameters=np.asarray(reuse.parameters),
        weight_nodes=np.asarray(reuse.weight_nodes),
        depth=np.asarray(model.weight_layers),
        flops=np.asarray(proxies.flops(apply, *one)),
        spread=np.asarray(reuse.expected_spread),
        entropy=np.asarray(reuse.entropy),
        log_partition=np.asarray(reuse.log_partition),
        surprisal_score=np.asarray(reuse.surprisal_score),
        spread_score=np.asarray(reuse.spread_score),
        through_spread=np.asarray(through.expected_spread),
        **dict(zip(PROXIES, np.asarray(scored).T, strict=True)),
        rate=np.asarray(RATES),
        step=np.arange(config.every, config.steps + 1, config.every),
        validation=validation,
        test=test,
        chosen=np.asarray(chosen),
        accuracy=test[chosen, :, -1],
    )


def claims(data) -> list[Claim]:
    """What is exact of one run, and how well its networks learned."""
    close = abs(float(data.parameters) / float(data.budget) - 1)
    gap = abs(float(data.entropy + data.spread - data.log_partition)) / float(data.log_partition)
    learned = Estimate.of(data.accuracy.values)
    rate = float(data.rate[int(data.chosen)])
    return [
        Claim("|parameters / budget - 1|", "page 8: equal budgets", close, at_most(TOLERANCE)),
        Claim("|H + E[ln C] - ln Z| / ln Z", "page 1.1", gap, at_most(1e-12)),
        Claim(f"held-out accuracy at rate {rate:g}, by validation", "page 8", learned, at_least(0.8), gated=False),
    ]


def claims_sweep(data) -> list[Claim]:
    """The plan: what is exact is gated, and that seeds agree; correlations are reported as they come."""
    table, source = _table(data), "page 8"
    accuracy, tied = table["accuracy"], table["tied"]
    within, pooled = _within(ranking.kendall), lambda x, y: ranking.kendall(x.ravel(), y.ravel())
    gap = np.abs(table["entropy"] + table["spread"] - table["log_partition"]) / table["log_partition"]
    shared = (table["weight_nodes"] > table["parameters"]).all(axis=1)
    families = len({n.rpartition("_")[0] for n in table["name"]})
    halves = lambda networks: float(np.mean([ranking.split_half(column) for column in networks.swapaxes(0, 1)]))
    ceiling = ranking.bootstrap(halves, table["networks"], resamples=RESAMPLES // 10)
    ceiling = Estimate(ceiling.value, ceiling.standard_error, len(tied))
    whole = bool(len(tied) >= 24 and families >= 6 and accuracy.shape[1] >= 2)
    out = [
        Claim(
            f"plan {HASH}: {len(tied)} architectures of {families} families at {accuracy.shape[1]} budgets",
            source,
            len(tied),
            at_least(24),
            whole,
        ),
        Claim("largest |parameters / budget - 1|", "page 8: equal budgets", float(table["off"].max()), at_most(TOLERANCE)),
        Claim("largest |H + E[ln C] - ln Z| / ln Z", "page 1.1", float(gap.max()), at_most(1e-12)),
        Claim("nets with N_W > N_G that are not tied, and the reverse", "page 1.1", int(np.sum(shared != tied)), about(0)),
        Claim("τ between halves of the seeds, within budget: the ceiling of any score", source, ceiling, at_least(0.5), whole),
    ]
    reported = lambda text, found, where=source: out.append(_reported(text, found, len(tied), where))
    primary = ranking.bootstrap(within, table["spread_score"], accuracy, resamples=RESAMPLES)
    reported("PRIMARY: τ(P_E, accuracy) within budget", primary, "page 8; Polat & Alpaslan 2023")
    for null in NULLS:
        ahead = lambda score, other, y: within(score, y) - within(other, y)
        found = ranking.bootstrap(ahead, table["spread_score"], table[null], accuracy, resamples=RESAMPLES)
        reported(f"τ of P_E less τ of {null}, within budget", found)
    p = ranking.holm([ranking.permutation_p(within, table[name], accuracy, permutations=RESAMPLES) for name in SCORES])
    others = {"pooled τ": pooled, "ρ": _within(ranking.spearman)}
    for name, adjusted in zip(SCORES, p, strict=True):
        found, *rest = (ranking.bootstrap(f, table[name], accuracy, resamples=RESAMPLES) for f in (within, *others.values()))
        beside = ", ".join(f"{text} {r.value:.2f} ({r.low:.2f} … {r.high:.2f})" for text, r in zip(others, rest, strict=True))
        reported(f"τ({name}) within budget, Holm p = {adjusted:.2g}; {beside}; τ", found)
    flat = lambda x, y, z: ranking.partial(x.ravel(), y.ravel(), z.ravel())
    for name in REUSE:
        triple = table[name], accuracy
        fixed = ranking.bootstrap(flat, *triple, table["parameters"], resamples=RESAMPLES // 4)
        beside = f"given parameters, pooled, {fixed.value:.2f} ({fixed.low:.2f} … {fixed.high:.2f})"
        found = ranking.bootstrap(_within(ranking.partial), *triple, table["depth"], resamples=RESAMPLES // 4)
        reported(f"ρ({name}) given depth, within budget; {beside}; given depth", found)
    return [*out, *_tying(table), *_families(table, within)]


def _tying(table) -> list[Claim]:
    """How often tied nets are better than untied ones of as many parameters, and of 1.6 times as many."""
    accuracy, tied, size = table["accuracy"], table["tied"], table["parameters"]

    def equal(accuracy, tied, size):
        return float(np.mean([ranking.win_rate(y[tied], y[~tied]) for y in accuracy.T]))

    def larger(accuracy, tied, size):
        gain = np.sign(accuracy[tied].ravel()[:, None] - accuracy[~tied].ravel()[None])
        fewer = size[~tied].ravel()[None] >= LARGER * size[tied].ravel()[:, None]
        return float(np.mean(gain[fewer] + 1) / 2) if fewer.any() else np.nan

    out = []
    for text, statistic in (
        ("share of pairs in which a tied net beats an untied one of its budget", equal),
        (f"share of pairs in which a tied net beats an untied one with ≥ {LARGER} times its parameters", larger),
    ):
        found = ranking.bootstrap(statistic, accuracy, tied, size, resamples=RESAMPLES, groups=tied)
        out.append(_reported(text, found, len(tied), "beyond, S0: fewer parameters", 0.5))
    return out


def _families(table, within) -> list[Claim]:
    """τ of P_E among perceptrons alone and among convolutional networks alone."""
    family = np.array([n.rpartition("_")[0] for n in table["name"]])
    out = []
    for text, chosen in (
        ("perceptrons", np.isin(family, ["mlp", "tied_mlp"])),
        ("untied perceptrons", family == "mlp"),
        ("convolutional networks", ~np.isin(family, ["mlp", "tied_mlp", "rnn", "attention"])),
    ):
        if chosen.sum() > 2:
            found = ranking.bootstrap(within, table["spread_score"][chosen], table["accuracy"][chosen], resamples=RESAMPLES)
            out.append(_reported(f"τ(P_E) among {chosen.sum()} {text}", found, int(chosen.sum())))
    return out


def _reported(text: str, found: ranking.RankCorrelation, count: int, source: str = "page 8", least: float = 0.0) -> Claim:
    """A statistic of so many architectures, with its interval, as the prior would have it: at least so much."""
    text = f"{text} (95 %: {found.low:.2f} … {found.high:.2f})"
    return Claim(text, source, Estimate(found.value, found.standard_error, count), at_least(least), False)


def _within(statistic: Any) -> Any:
    """The mean over budgets of a statistic of columns (architecture, budget)."""
    return lambda *arrays: float(np.mean([statistic(*(a[:, b] for a in arrays)) for b in range(arrays[0].shape[1])]))


def _table(data) -> dict[str, Any]:
    """Each score (architecture, budget), mean over networks, of the architectures that have a run at every budget."""
    place = {(str(n), int(b)): i for i, (n, b) in enumerate(zip(data.architecture.values, data.budget.values, strict=True))}
    budgets = sorted({b for _, b in place})
    names = [n for n in NAMES if all((n, b) in place for b in budgets)]
    rows = np.array([[place[n, b] for b in budgets] for n in names])
    mean = lambda name: data[name].mean("network").values if "network" in data[name].dims else data[name].values
    return {
        **{name: mean(name)[rows] for name in (*SCORES, "weight_nodes", "accuracy")},
        "networks": data.accuracy.values[rows],
        "off": np.abs(data.parameters.values / data.budget.values - 1)[rows],
        "tied": np.array([n.rpartition("_")[0] in TYING for n in names]),
        "name": names,
        "budget": budgets,
    }


def plot(data):
    """Accuracy in training at each rate, and what reuse says of the untrained network."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(TWO_COLUMNS, 2.6))
    step = data.step.values
    for i, rate in enumerate(data.rate.values):
        seen = Estimate.of(data.validation.values[i])
        left.errorbar(step, seen.mean, seen.standard_error, color=f"C{i}", label=f"rate {rate:g}, validation")
    held = Estimate.of(data.test.values[int(data.chosen)])
    left.errorbar(step, held.mean, held.standard_error, color="black", fmt="o", ms=3, mfc="none", label="best rate, held out")
    left.set(xlabel="training step", ylabel="accuracy", ylim=(None, 1))
    left.legend()
    right.barh([LABELS[n] for n in REUSE], [float(data[n]) for n in REUSE], color=["C1" if n == "spread_score" else "C0" for n in REUSE])
    for place, name in enumerate(REUSE):
        right.text(float(data[name]), place, f" {float(data[name]):.3g}", va="center", fontsize=7)
    right.margins(x=0.15)
    right.invert_yaxis()
    right.set(xlabel="bits")
    figure.suptitle(f"{data.architecture.values!s}, {int(data.parameters)} parameters, {data['data'].values!s}", fontsize=8)
    return figure


def plot_sweep(data):
    """Accuracy against P_E, against depth, and against parameters, tied or not; τ of every score beside the seeds' ceiling."""
    import matplotlib.pyplot as plt

    table, within = _table(data), _within(ranking.kendall)
    figure, axes = plt.subplots(2, 2, figsize=(TWO_COLUMNS, 5.4), width_ratios=(1.1, 1))
    family = [n.rpartition("_")[0] for n in table["name"]]
    seeds = Estimate.of(table["networks"], axis=2)
    last = len(table["budget"]) - 1
    for axis, ranked_by, label in (
        (axes[0, 0], "spread_score", LABELS["spread_score"] + " (bit)"),
        (axes[1, 0], "depth", "depth (layers)"),
    ):
        for i in range(len(family)):
            color = plt.get_cmap("tab10")(list(FAMILIES).index(family[i]))
            for b in range(last + 1):
                how = {
                    "color": color,
                    "marker": "s" if table["tied"][i] else "o",
                    "mfc": color if b == last else "none",
                    "ms": 4,
                    "lw": 0.8,
                }
                first = b == last and family.index(family[i]) == i
                error = seeds.standard_error[i, b]
                axis.errorbar(table[ranked_by][i, b], seeds.mean[i, b], error, **how, label=family[i] if first else None)
        found = ranking.bootstrap(within, table[ranked_by], table["accuracy"], resamples=RESAMPLES)
        axis.set(xlabel=label, ylabel="held-out accuracy")
        axis.set_title(f"within budget $\\tau$ = {found.value:.2f} ({found.low:.2f} … {found.high:.2f})", fontsize=7)
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low - 0.4 * (high - low), high)
    axes[0, 0].legend(
        fontsize=5, ncols=2, loc="lower left", title=f"filled: {table['budget'][-1]} parameters; squares: tied", title_fontsize=5
    )
    colors = {**dict.fromkeys(NULLS, "0.4"), **dict.fromkeys(REUSE, "C0"), **dict.fromkeys(PROXIES, "C2")}
    ranked = sorted(SCORES, key=lambda name: within(table[name], table["accuracy"]))
    for place, name in enumerate(ranked):
        found = ranking.bootstrap(within, table[name], table["accuracy"], resamples=RESAMPLES)
        axes[0, 1].plot([found.low, found.high], [place, place], color=colors[name])
        axes[0, 1].plot(found.value, place, "D" if name == "spread_score" else "o", color=colors[name], ms=4)
    axes[0, 1].set_yticks(range(len(ranked)), [LABELS.get(n, n.replace("_", "-")) for n in ranked], fontsize=6)
    ceiling = np.mean([ranking.split_half(column) for column in table["networks"].swapaxes(0, 1)])
    axes[0, 1].axvline(ceiling, **THEORY)
    axes[0, 1].axvline(0, color="0.8", lw=0.8, zorder=0)
    axes[0, 1].set(xlabel=r"Kendall $\tau$ with accuracy, within budget", xlim=(-1, 1))
    axes[0, 1].set_title("grey sizes, blue reuse, green proxies; dashed: seeds", fontsize=6.5)
    for tied, color, label in ((False, "C0", "untied"), (True, "C1", "tied")):
        rows = table["tied"] == tied
        spread = 1.06 if tied else 0.94
        axes[1, 1].plot(spread * table["parameters"][rows], table["accuracy"][rows], "s" if tied else "o", color=color, mfc="none", ms=4)
        middle = np.median(table["accuracy"][rows], axis=0)
        axes[1, 1].plot(spread * np.array(table["budget"]), middle, "-", color=color, label=f"{label}, median")
    axes[1, 1].set(xlabel="parameters", ylabel="held-out accuracy", xscale="log")
    axes[1, 1].set_xticks(table["budget"], [f"{b:g}" for b in table["budget"]])
    axes[1, 1].minorticks_off()
    axes[1, 1].legend()
    return figure


if __name__ == "__main__":
    main(__spec__.name)
