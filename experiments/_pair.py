"""What experiments share that follow a pair of points: claims on fit and formula (3), and the figure."""

import numpy as np

from dltheory import representation as theory
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, compare, compare_legend
from dltheory.numerics import Estimate

FLAGS = ("poor", "hidden_at_bound", "output_at_bound")


def final(data, name="observed_h"):
    """The last recorded value of a curve; runs of a sweep may differ in length."""
    values = data[name].transpose(..., "step").values
    last = np.where(np.isfinite(values), np.arange(values.shape[-1]), 0).max(axis=-1)
    return np.take_along_axis(values, last[..., None], axis=-1)[..., 0]


def relative_misfit(rms):
    """Root mean square over the three curves of their misfits relative to their maxima."""
    return ((rms.h**2 + rms.y**2 + rms.w**2) / 3) ** 0.5


def association(x, y, group=None, resamples=200) -> Estimate:
    """Spearman's rank correlation of x and y (n,) and its bootstrap standard error; draws of one `group` (n,) are drawn together."""
    from scipy.stats import spearmanr

    group = np.arange(len(x)) if group is None else group
    random, members = np.random.default_rng(0), [np.flatnonzero(group == g) for g in np.unique(group)]
    draws = (np.concatenate([members[k] for k in random.integers(len(members), size=len(members))]) for _ in range(resamples))
    varies = lambda d: np.ptp(x[d]) > 0 and np.ptp(y[d]) > 0
    correlation = lambda d: float(spearmanr(x[d], y[d])[0]) if varies(d) else np.nan  # pyright: ignore[reportArgumentType]
    error = np.nanstd(np.array([correlation(d) for d in draws]), ddof=1)
    return Estimate(correlation(slice(None)), float(error), len(members))


def claims_pair(data, gated, domain) -> list[Claim]:
    """Misfits over the transition, flags, formula (3) and convergence, over the networks of a run."""
    misfit = {c: data[f"fit_rms_{c}"].values for c in "hyw"}
    flagged = np.any([data[f"fit_flags_{f}"].values for f in FLAGS], axis=0)
    error = np.abs(final(data) / data.formula.values - 1)
    loss, S = final(data, "loss"), float(data.geometry_dy2)
    dip, learnt = data.observed_w.values.min(axis=1) / (-S / 4), final(data, "observed_y") / S
    share = lambda passed: f"{int(np.sum(passed))} of {np.size(passed)} networks"
    end = f"final distance against formula (3), |h/h_∞ - 1|, mean ({share(error <= 0.05)} within 0.05)"
    return [
        *(
            Claim(
                f"misfit of {c} over its maximum, over the transition, median ({share(misfit[c] <= limit)})",
                "figure 3, equation (1)",
                Estimate.of_median(misfit[c]),
                at_most(limit),
                gated,
                domain,
            )
            for c, limit in vars(theory.MISFIT_LIMITS).items()
        ),
        Claim("lowest w over -S/4, mean", "equation (1), half time", Estimate.of(dip), about(1, relative=0.05), gated, domain),
        Claim("final y over S, mean", "fixed point", Estimate.of(learnt), about(1, relative=1e-3), gated, domain),
        Claim("fits without a flag, fraction of networks", "equation (1)", np.mean(~flagged), at_least(0.8), False, domain),
        Claim(end, "formula (3)", Estimate.of(error), at_most(0.05), gated, domain),
        Claim(f"loss at the end, largest ({share(loss <= 1e-6)} ≤ 1e-6)", "rate rule", loss.max(), at_most(1e-6), gated),
    ]


def plot_pair(data):
    """h, y, w and the pair's loss in time; the final distance; the misfits."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.2))
    time = data.rate.values[:, None] * data.step.values
    end = max(float(theory.transition_end(t, w)) for t, w in zip(time, data.observed_w.values, strict=True))
    labels = {"h": r"representations $h=|dh|^2$", "y": r"predictions $y=|dy|^2$", "w": r"$w=dy\cdot(dy-dy^*)$"}
    for axis, (name, label) in zip(axes.flat, labels.items(), strict=False):
        compare(axis, time, data[f"observed_{name}"].values, data[f"predicted_{name}"].values, end)
        axis.set(xlabel="time (rate × step)", ylabel=label)
    compare_legend(axes[0, 0])

    geometry = theory.Geometry(float(data.geometry_dx2), float(data.geometry_dy2))
    state = lambda kind: theory.TwoPoint(*(data[f"{kind}_{c}"].values for c in "hyw"))
    decay = data.midpoint.values[:, :1] * np.exp(-2 * data.midpoint_rate.values[:, None] * time)
    observed, predicted = (
        theory.pair_loss(state(kind), midpoint, geometry) for kind, midpoint in (("observed", data.midpoint.values), ("predicted", decay))
    )
    compare(axes[1, 0], time, np.maximum(observed, 1e-12), np.maximum(predicted, 1e-12), end)
    axes[1, 0].set(xlabel="time (rate × step)", ylabel="loss of the pair", yscale="log")
    axes[1, 0].set_ylim(max(1e-6, float(np.min(observed)) / 3), 3 * float(np.max(observed)))

    axis, ends, formula, plateau = axes[1, 1], final(data), data.formula.values, float(data.plateau.mean())
    top = 1.25 * max(ends.max(), formula.max(), plateau)
    bottom = 0.0
    if formula.max() > 5 * ends.max():
        bottom = 0.5 * min(ends.min(), formula.min())
        axis.set(xscale="log", yscale="log")
    axis.scatter(formula, ends, s=16, c=[f"C{i % 7}" for i in range(len(ends))])
    axis.plot([bottom, top], [bottom, top], **THEORY)
    axis.axhline(plateau, color="0.5", linestyle=":")
    axis.annotate("$A_{low}$", (top, plateau), ha="right", va="bottom", color="0.4", fontsize=7)
    axis.set(xlabel=r"$h_\infty$ by formula (3)", ylabel="final $h$ of the network", xlim=(bottom, top), ylim=(bottom, top))

    axis, limits = axes[1, 2], vars(theory.MISFIT_LIMITS)
    for place, (name, limit) in enumerate(limits.items()):
        values = data[f"fit_rms_{name}"].values
        spread = np.linspace(-0.2, 0.2, len(values))
        axis.plot(place + spread, values, "o", color="C0", label="" if place else "networks")
        axis.hlines(limit, place - 0.35, place + 0.35, color="black", linestyle="--", label="" if place else "limit")
    axis.set(xticks=range(3), xticklabels=[f"${c}$" for c in limits], ylabel="misfit / maximum", ylim=(0, 1.1 * axis.get_ylim()[1]))
    axis.legend(loc="upper left")
    return figure
