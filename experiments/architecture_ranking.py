"""EfficientNetV2 and ResNet-50 are ranked by accuracy without training; so they are by their depth alone.

Eight published image networks are counted exactly from their plans, at the input that each was made for and at 224 pixels, as they are and
with layers shared by key. Every score is correlated with the published accuracy, beside null models that know nothing of contexts (depth,
input size, parameters, multiplications), and then on five more networks of the same public table, which the authors did not count.

Source: Polat & Alpaslan, "The reusability prior: comparing deep learning models without training", Mach. Learn.: Sci. Technol. 4 (2023)
025011, and the authors' code gozepolat/priors. Accuracies: keras.io/api/applications, top-1 on ImageNet.

    python -m experiments.architecture_ranking

Expect: P_S, P_E, E[log2 C] and log2 Z order all eight (τ = 1), and so does depth; parameters 0.64, entropy -0.43. Weak evidence: seven
are one designed family, which every size orders; the one thing left to get right is the place of ResNet-50. On 13 networks P_E has τ 0.89
(ResNet-101 and 152 stand too high), the input size 0.85, depth 0.71, parameters 0.06; but the five are older and were trained by older
recipes. At τ = 1 the bootstrap's interval has no width: it does not know how few networks there are.
Time: tiny 5 s, default 20 s, paper 1 min.
"""

from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import Estimate
from dltheory.numerics.ranking import RankCorrelation, bootstrap, kendall, spearman
from dltheory.record import array, record, stack, static
from dltheory.reusability import mobilenet, resnet, vgg
from dltheory.reusability.plan import Plan, multiplications, weight_nodes
from dltheory.reusability.sharing import published_key, tied, true_key
from dltheory.reusability.summary import summary
from experiments._imagenet import ACCURACY, plan


class _Row(NamedTuple):
    """From page 6.3, P_S and P_E as they are, at 224 pixels, and shared, with N_G when shared."""

    alone: tuple[float, float]
    at_224: tuple[float, float]
    shared: tuple[float, float]
    parameters: int


TABLE = {
    "ResNet-50": _Row((25.709593, 26.050133), (25.709593, 26.050133), (24.557219, 24.898573), 11_528_104),
    "V2-B0": _Row((26.276938, 26.715765), (26.276938, 26.715765), (24.998934, 25.439490), 2_972_720),
    "V2-B1": _Row((26.751983, 27.205247), (26.548675, 27.000299), (25.323040, 25.750506), 2_995_952),
    "V2-B2": _Row((27.057663, 27.530346), (26.616076, 27.086322), (25.496687, 25.958033), 3_422_668),
    "V2-B3": _Row((27.708469, 28.205924), (26.848471, 27.343101), (25.854777, 26.354529), 4_009_330),
    "V2-S": _Row((28.721066, 29.282620), (27.138869, 27.696991), (26.326648, 26.970836), 4_352_968),
    "V2-M": _Row((30.042976, 30.523844), (27.793175, 28.270966), (27.756816, 28.185219), 10_761_004),
    "V2-L": _Row((30.556384, 31.043288), (28.300822, 28.784920), (27.680934, 28.147931), 15_997_752),
}
OTHERS = {
    "ResNet-101": (76.4, lambda: resnet.plan(101)),
    "ResNet-152": (76.6, lambda: resnet.plan(152)),
    "VGG-16": (71.3, lambda: vgg.plan(16)),
    "VGG-19": (71.3, lambda: vgg.plan(19)),
    "MobileNet": (70.4, mobilenet.plan),
}
"""Five more of the Keras table, which the authors did not count: accuracy and plan."""
PRINTED = np.array([[26.276938215749876, 26.715765392404396], [24.998934154465193, 25.439489552858795]])
"""P_S and P_E of V2-B0 in the authors' notebook, alone and shared."""
SCORES = ("N_G", "H", "E", "log Z", "S_G", "P_S", "P_E")
FIELDS = ("parameters", "entropy", "expected_spread", "log_partition", "total_surprisal", "surprisal_score", "spread_score")
CANDIDATES = (*SCORES, "depth", "multiplications", "input size")
"""Scores, then null models that know nothing of contexts (N_G is one too)."""
LABELS = ("parameters", "entropy $H$", r"$E[\log_2 C]$", r"$\log_2 Z$", "$S_G$", "$P_S$", "$P_E$", *CANDIDATES[-3:])
KEYS = (lambda use: None, published_key, true_key)
"""Sharing: none, by the authors' keys, by true keys."""
COMMON = 224
MORE = 1.6


@record
class Config:
    """Everything is exact but the intervals."""

    networks: int = static(8, "networks of the table, from its top", low=3, high=8)
    resamples: int = static(2000, "bootstrap samples of the networks", low=100, high=1_000_000)
    seed: int = static(0, "of the bootstrap", low=0, high=2**32 - 1)

    sizes: ClassVar = {"tiny": {"networks": 5, "resamples": 200}, "paper": {"resamples": 10_000}}


@record
class Result:
    """size: native, 224 pixels; sharing: none, published keys, true keys; score and candidate: as in SCORES and CANDIDATES."""

    network: Int[np.ndarray, "network"] = array("row of the table")
    accuracy: Float[np.ndarray, "network"] = array("top-1 accuracy", "%")
    score: Float[np.ndarray, "size sharing network score"] = array("N_G; H, E[log2 C], log2 Z, S_G; P_S, P_E", "bit")
    tau: Float[RankCorrelation, "size sharing score"] = array("Kendall's τ-b with accuracy")
    candidate: Float[np.ndarray, "every candidate"] = array("scores and null models of the table's and five more networks, native, alone")
    every_accuracy: Float[np.ndarray, "every"] = array("their top-1 accuracy", "%")
    table_tau: Float[RankCorrelation, "candidate"] = array("Kendall's τ-b on the table")
    table_rho: Float[RankCorrelation, "candidate"] = array("Spearman's ρ on the table")
    table_gain: Float[RankCorrelation, "candidate"] = array("τ of P_E less that of each candidate, on the table")
    every_tau: Float[RankCorrelation, "candidate"] = array("Kendall's τ-b on all")
    every_gain: Float[RankCorrelation, "candidate"] = array("τ of P_E less that of each candidate, on all")


def run(config: Config) -> Result:
    """Count every network, shared and not; correlate."""
    names = list(TABLE)[: config.networks]
    native, common = ([_entry(plan(name, side)) for name in names] for side in (None, COMMON))
    accuracy = np.array([ACCURACY[name] for name in names])
    every = np.concatenate([accuracy, [accuracy for accuracy, _ in OTHERS.values()]])
    score = np.stack([np.stack([scores for scores, _ in entries], axis=1) for entries in (native, common)])
    candidate = np.array([[*scores[0], *nulls] for scores, nulls in [*native, *(_entry(made()) for _, made in OTHERS.values())]])

    def each(statistic, columns, *fixed):
        return stack([bootstrap(statistic, c, *fixed, resamples=config.resamples, seed=config.seed) for c in columns.T])

    gain = lambda x, best, y: kendall(best, y) - kendall(x, y)
    table, best = candidate[: len(names)], candidate[:, SCORES.index("P_E")]
    return Result(
        network=np.arange(len(names)),
        accuracy=accuracy,
        score=score,
        tau=stack([stack([each(kendall, s, accuracy) for s in half]) for half in score]),
        candidate=candidate,
        every_accuracy=every,
        table_tau=each(kendall, table, accuracy),
        table_rho=each(spearman, table, accuracy),
        table_gain=each(gain, table, best[: len(names)], accuracy),
        every_tau=each(kendall, candidate, every),
        every_gain=each(gain, candidate, best, every),
    )


def _entry(layers: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Scores (sharing, score) of a plan, and its null models."""
    uses = layers.uses()
    made = [summary(tied(uses, key), layers.inputs, layers.outputs, weight_nodes(uses)) for key in KEYS]
    scores = [[float(getattr(reuse, field)) for field in FIELDS] for reuse in made]
    return np.array(scores), np.array([layers.depth, multiplications(uses), layers.shape.height], float)


def claims(data) -> list[Claim]:
    """Tables 6.2 and 6.3 to their digits; what orders the eight networks, and what does as well; sharing; five networks more."""
    names = list(TABLE)[: data.sizes["network"]]
    score, candidate, accuracy, tau = (data[name].values for name in ("score", "candidate", "accuracy", "table_tau_value"))
    number = {name: i for i, name in enumerate(CANDIDATES)}
    both, N, n, every = score[..., -2:], score[..., 0], len(names), data.sizes["every"]
    seen = np.stack([both[0, 0], both[1, 0], both[0, 1]], axis=1) - [[TABLE[x].alone, TABLE[x].at_224, TABLE[x].shared] for x in names]
    penalty = both[0, 1:, :, 1] - both[0, 0, :, 1] - np.log2(N[0, 1:] / N[0, 0])
    good = [number[name] for name in ("E", "log Z", "P_S", "P_E")]
    family = sum(kendall(c[1:n], accuracy[1:]) == 1 for c in candidate.T)
    best = max(("depth", "input size", "N_G", "multiplications"), key=lambda name: tau[number[name]])
    page, notebook, here = "page 6.3; Polat & Alpaslan 2023", "page 6.2; the authors' notebook", "derived here"
    out = [
        (
            "V2-B0, alone and shared: P_S, P_E over the printed, largest |ratio - 1|",
            notebook,
            np.abs(both[0, :2, 1] / PRINTED - 1).max(),
            at_most(1e-12),
        ),
        ("V2-B0: E[log2 C]/log2 Z", notebook, score[0, 0, 1, 2] / score[0, 0, 1, 3], about(0.98648306, absolute=1e-8)),
        ("V2-B0 shared by true keys: N_G less 3 018 800", "page 6.2", N[0, 2, 1] - 3_018_800, about(0)),
        ("P_S, P_E native, at 224 pixels, shared: largest deviation from the table", page, np.abs(seen).max(), at_most(1e-6)),
        ("N_G when shared: largest deviation from the table", page, np.abs(N[0, 1] - [TABLE[x].parameters for x in names]).max(), about(0)),
        ("entropy of V2: the smallest", "page 2", score[0, 0, 1:, 1].min(), at_least(9.8)),
        ("entropy of V2: the largest", "page 2", score[0, 0, 1:, 1].max(), at_most(10.6)),
        ("native: least τ of E, log Z, P_S and P_E", page, data.tau_value.values[0, 0, good].min(), about(1)),
        ("all at 224 pixels: least τ of E, log Z, P_S and P_E", page, data.tau_value.values[1, 0, good].min(), about(1)),
        (f"null model: τ of {best} is as high", page, tau[number[best]], about(1)),
        ("sharing moves P_E by log2 of the ratio of N_G; largest rest", "page 1.1", np.abs(penalty).max(), at_most(1e-4)),
    ]
    whole = [
        ("τ of parameters", page, tau[number["N_G"]], about(0.643, absolute=5e-4)),
        ("τ of entropy", page, tau[number["H"]], about(-0.429, absolute=5e-4)),
        ("τ of the input size", page, tau[number["input size"]], about(0.964, absolute=5e-4)),
        ("weak evidence: candidates, of 10, that order the V2 family", here, family, about(8)),
        ("weak evidence: candidates, of 10, that also put ResNet-50 last", here, np.sum(tau == 1), about(5)),
    ]
    estimate = lambda kind, name: Estimate(*(data[f"{kind}_{f}"].values[number[name]] for f in ("value", "standard_error")), np.array(n))
    gains = [
        (f"{every} networks: τ of P_E less τ of {name}", here, estimate("every_gain", name)) for name in ("depth", "input size", "N_G")
    ]
    kept = [
        (f"shared, {size}: τ of P_E, if sharing kept the order of accuracies", data.tau_value.values[i, 1, -1])
        for i, size in enumerate(("native", "all at 224 pixels"))
    ]
    return [
        *(Claim(*claim) for claim in out),
        *(Claim(*claim, domain=n == len(TABLE)) for claim in whole),
        Claim(f"{n} networks: τ of P_E less τ of N_G", page, estimate("table_gain", "N_G"), at_least(0), gated=False),
        Claim(f"{every} networks: τ of P_E, all in order", here, data.every_tau_value.values[number["P_E"]], about(1), gated=False),
        *(Claim(*claim, at_least(0), gated=False) for claim in gains),
        *(Claim(text, here, value, about(1), gated=False) for text, value in kept),
        *(_sharing(score, names) if "V2-S" in names else []),
    ]


def _sharing(score, names) -> list[Claim]:
    """Sharing models beat baselines with at least 60 % more parameters: which beat which is not published, nor their accuracies."""
    shared, baseline, source = names.index("V2-S"), names.index("V2-B0"), "page 6.1 [I]; abstract"
    N, P = score[0, ..., 0], score[0, ..., -2:]
    larger = N[0, None] >= MORE * N[1, :, None]
    preferred = (P[1, :, None, 1] > P[0, None, :, 1]) & larger
    out = [
        ("60 % sentence, a candidate: N_G of V2-B0 over V2-S shared, published keys", N[0, baseline] / N[1, shared], at_least(MORE)),
        ("60 % sentence, a candidate: N_G of V2-B0 over V2-S shared, true keys", N[0, baseline] / N[2, shared], at_least(MORE)),
        ("60 % sentence: P_S of V2-S shared less that of V2-B0, bits", P[1, shared, 0] - P[0, baseline, 0], at_least(0)),
        ("60 % sentence: P_E of V2-S shared less that of V2-B0, bits", P[1, shared, 1] - P[0, baseline, 1], at_least(0)),
        (f"60 % sentence: pairs, of {larger.sum()} with so large a baseline, that P_E ranks so", preferred.sum(), at_least(1)),
    ]
    return [Claim(text, source, measured, expected, gated=False) for text, measured, expected in out]


def tables(data) -> dict[str, list[dict[str, str]]]:
    """Every score and null model with its bootstrap intervals."""
    few, many = data.sizes["network"], data.sizes["every"]
    said = lambda kind, i: "{:.3f} ({:.2f} … {:.2f})".format(*(data[f"{kind}_{f}"].values[i] for f in ("value", "low", "high")))
    columns = {f"τ, {few} networks": "table_tau", f"ρ, {few} networks": "table_rho", f"τ, {many} networks": "every_tau"}
    rows = [{"score": name} | {title: said(kind, i) for title, kind in columns.items()} for i, name in enumerate(CANDIDATES)]
    return {"rank correlation with accuracy (95 %); the last three and N_G know nothing of contexts": rows}


def plot(data):
    """Accuracy against P_E; rank correlations of all candidates; what sharing does to P_E and to the parameters."""
    import matplotlib.pyplot as plt

    n, every, score = data.sizes["network"], data.every_accuracy.values, data.score.values
    names = [name.removeprefix("V2-") for name in [*list(TABLE)[:n], *OTHERS]]
    figure, axes = plt.subplots(1, 3, figsize=(TWO_COLUMNS, 2.9), width_ratios=(1.2, 0.9, 1))
    P = data.candidate.values[:, SCORES.index("P_E")]
    axes[0].plot(P[:n], every[:n], "o-", color="C0", label="native input")
    axes[0].plot(score[1, 0, :, -1], every[:n], "s--", color="C1", mfc="none", ms=4, lw=0.8, label="all at 224 pixels")
    axes[0].plot(P[n:], every[n:], "x", color="C3", label="not in the paper")
    for i, name in enumerate(names):
        x, y, side = {"VGG-16": (-3, 5, "left"), "ResNet-152": (5, 0, "left"), "ResNet-101": (5, -8, "left")}.get(name, (5, -6, "left"))
        axes[0].annotate(name, (P[i], every[i]), (x, y), textcoords="offset points", fontsize=5.5, ha=side)
    axes[0].set(xlabel="$P_E$ (bits)", ylabel="ImageNet top-1 (%)", title="accuracy", ylim=(68, None), xlim=(23.8, 32))
    axes[0].legend(fontsize=5.5, loc="lower right")
    place = np.arange(len(CANDIDATES))[::-1]
    for kind, shift, color, face, label in (
        ("table", 0.14, "C0", "C0", f"{n} networks"),
        ("every", -0.14, "C3", "w", f"{len(every)} networks"),
    ):
        value, low, high = (data[f"{kind}_tau_{f}"].values for f in ("value", "low", "high"))
        bars = np.maximum([value - low, high - value], 0)
        axes[1].errorbar(value, place + shift, xerr=bars, fmt="o", ms=3, lw=0.9, capsize=1.5, color=color, mfc=face, label=label)
    for low, high in ((-0.5, 2.5), (8.5, 9.5)):
        axes[1].axhspan(low, high, color="0.92", lw=0)
    axes[1].axvline(0, color="0.6", lw=0.6)
    axes[1].set(xlabel=r"Kendall's $\tau$", title="null models grey", xlim=(-1.05, 1.1), ylim=(-0.5, 9.5), yticks=place)
    axes[1].set_yticklabels(LABELS, fontsize=6)
    axes[1].legend(fontsize=5.5, loc="center left", bbox_to_anchor=(0, 0.42))
    N, E = score[0, :2, :, 0], score[0, :2, :, -1]
    expected = np.stack([E[0], E[0] + np.log2(N[1] / N[0])])
    lines = axes[2].plot(N, expected, **THEORY | {"linewidth": 0.7})
    lines[0].set_label(r"$\Delta P_E=\Delta\log_2 N_G$")
    axes[2].plot(N[0], E[0], "o", color="C0", label="as they are")
    axes[2].plot(N[1], E[1], "v", color="C2", label="layers shared")
    for which, x, side in ((0, 4, "left"), (1, -5, "right")):
        for i, name in enumerate(names[:n]):
            shift, y, at = (4, -8, "left") if which and name == "L" else (x, -2, side)
            axes[2].annotate(name, (N[which, i], E[which, i]), (shift, y), textcoords="offset points", fontsize=5.5, ha=at)
    axes[2].set(xscale="log", xlabel="parameters $N_G$", ylabel="$P_E$ (bits)", title="sharing", xlim=(1.5e6, 4e8))
    axes[2].legend(fontsize=5.5, loc="upper left")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
