"""One three-variable system with two fitted rates describes the representation dynamics of eleven architectures.

Each architecture learns two points; h, y and w at a hidden layer are shown beside the two-point effective theory, fitted at five
depths. Two architectures are added that the authors did not try, and two gains at which the theory should fail. Beside that: does
what the theory leaves out, read off the network alone, predict where it fails; do representations rotate; how wide must a network be;
and do rates tell the symmetry of an architecture from what gradient descent does?

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, the architecture, loss and width panels (F2, F2b, F11).

    python -m experiments.universality
    python -m experiments.universality architecture=tanh size=paper

Expect: default network within 10 % (h, y) and 22 % (w) of the maxima over the transition, 6 % and 15 % at paper size; w dips to -S/4;
all that fit worse ranked; misfit falls with width.
Time: tiny 40 s, default 4 min, paper 2 h.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dltheory import representation as theory
from dltheory.data import Points, TwoPoints
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._architectures import (
    LEARNERS,
    NAMES,
    PLACES,
    train_narrow,
    train_variants,
    translates,
    variants,
)
from experiments._architectures import learners as all_learners
from experiments._pair import association, relative_misfit
from experiments._settings import check_records

PAPER_LIMITS = theory.TwoPoint(0.06, 0.06, 0.15)
LEARNT = 1e-3


@record
class Config:
    """Sizes of the default architecture; the others are in proportion, as in the paper's table."""

    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    architecture: str = static("all", "which architectures are trained", choices=("all", *NAMES))
    width: int = static(100, "neurons per hidden layer", low=20)
    hidden_layers: int = static(10, "hidden layers", low=4)
    networks: int = static(5, "networks of each architecture", low=2, high=10_000)
    steps: int = static(4000, "training steps", low=10, high=10_000_000)
    every: int = static(4, "steps between records; divides steps", low=1)
    widest: int = static(29, "largest width of the narrow networks", low=3, high=100)
    samples: int = static(10, "narrow networks of each width", low=2, high=10_000)

    sizes: ClassVar = {
        "tiny": {"architecture": "default", "width": 20, "hidden_layers": 4, "networks": 2, "steps": 200, "widest": 5, "samples": 2},
        "paper": {"width": 500, "hidden_layers": 20, "networks": 3, "steps": 6000, "samples": 30},
    }

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)


@record
class Result:
    """Curves are those of the followed layer; `place` counts five relative depths and, last, the followed layer."""

    step: Int[Array, "step"] = array("training step", "step")
    rate: Float[Array, "variant network"] = array("learning rate: 0.3 / max(λ, D)", "time/step")
    observed: Float[theory.TwoPoint, "variant network step"] = array("network")
    predicted: Float[theory.TwoPoint, "variant network step"] = array("theory with fitted rates", source="equation (1)")
    midpoint: Float[Array, "variant network step"] = array("squared error of the mean prediction", "output²")
    midpoint_rate: Float[Array, "variant network"] = array("fitted decay rate of the mean prediction η_ȳ", "1/time")
    loss: Float[Array, "variant network step"] = array("training loss ½⟨|f - y*|²⟩", "output²")
    fit: Float[theory.RateFit, "variant network place"] = array("fit of the rates")
    before: Float[theory.Validity, "variant network place"] = array("untrained network")
    after: Float[theory.Validity, "variant network place"] = array("trained network")
    initial: Float[Array, "variant network place"] = array("initial distance h₀", "hidden²")
    cosine: Float[Array, "variant network"] = array("least cosine between dh and its initial direction")
    narrow: Int[Array, "narrow"] = array("width of the narrow networks of five layers", "neurons")
    narrow_misfit: Float[Array, "narrow sample"] = array("misfit of the narrow networks, root mean square over h, y and w")
    narrow_learnt: Bool[Array, "narrow sample"] = array("whether the loss fell below 1e-3")
    pair_rates: Float[theory.Rates, "learner pair sample"] = array("translate (0) or not (1)")
    pair_learnt: Bool[Array, "learner pair sample"] = array("whether the loss fell below 1e-3")


def load(config: Config) -> Points:
    """The two points."""
    return TwoPoints().load().train


def run(config: Config, train: Points) -> Result:
    """Train every architecture, the narrow networks and the learners of translates; all fits of a kind are one vmapped call."""
    x, y, geometry = train.x, train.y, theory.geometry_of(train, np.arange(2))
    root, sizes = jax.random.key(config.seed), {"steps": config.steps, "every": config.every}
    step = jnp.arange(0, config.steps, config.every)
    keys = lambda stream, *shape: jax.random.split(jax.random.fold_in(root, stream), shape)
    table = variants(config.width, config.hidden_layers)
    chosen = NAMES if config.architecture == "all" else (config.architecture,)

    rows = jnp.stack([keys(NAMES.index(n), config.networks) for n in chosen])
    points = jnp.broadcast_to(x, (*rows.shape, *x.shape))
    seen, checks = train_variants(rows, [table[n] for n in chosen], points, y, **sizes)
    widths = jnp.unique(jnp.round(jnp.geomspace(1, config.widest, 9)).astype(int), size=9, fill_value=config.widest)
    grid = jnp.repeat(widths, config.samples)
    small = train_narrow(keys(100, len(grid)), grid, x, y, largest=config.widest, **sizes)

    learners = all_learners(config.width)
    rows = jnp.stack([keys(200 + i, 2 * config.samples) for i in range(len(LEARNERS))])
    points = jnp.broadcast_to(jnp.repeat(translates(), config.samples, axis=0), (*rows.shape, *translates().shape[1:]))
    pairs = train_variants(rows, [learners[n] for n in LEARNERS], points, y, **sizes)[0]

    time = lambda rate: rate[..., None] * step.astype(float)[(None,) * rate.ndim]
    curves = [(time(t.rate), t.state) for t in (seen, small, pairs)]
    fit, small_fit, pairs_fit = theory.fit_together([(t[..., None, :], s) for t, s in curves], geometry)
    followed = lambda tree: jax.tree.map(lambda a: a[:, :, -1], tree)
    observed, rates = followed(seen.state), followed(fit.rates)
    each = jax.vmap(jax.vmap(lambda t, s, r: theory.solve(t, jax.tree.map(lambda c: c[0], s), r, geometry)))
    by_width = lambda a: a.reshape(len(widths), config.samples)
    by_pair = lambda a: a.reshape(len(LEARNERS), 2, config.samples)
    return Result(
        step=step,
        rate=seen.rate,
        observed=observed,
        predicted=each(time(seen.rate), observed, rates),
        midpoint=seen.midpoint,
        midpoint_rate=jax.vmap(jax.vmap(theory.fit_midpoint_rate))(time(seen.rate), seen.midpoint),
        loss=seen.loss,
        fit=fit,
        before=jax.tree.map(lambda a: a[:, :, 0], checks),
        after=jax.tree.map(lambda a: a[:, :, 1], checks),
        initial=seen.state.h[..., 0],
        cosine=jnp.min(seen.cosine[:, :, -1], axis=-1),
        narrow=widths,
        narrow_misfit=by_width(relative_misfit(small_fit.rms)),
        narrow_learnt=by_width(small.loss[:, -1] < LEARNT),
        pair_rates=jax.tree.map(by_pair, followed(pairs_fit.rates)),
        pair_learnt=by_pair(pairs.loss[..., -1] < LEARNT),
    )


def claims(data) -> list[Claim]:
    """The default network is gated; the others are ranked, and what might predict their misfit is reported."""
    names, S = _names(data), 0.5
    paper = int(data.width) >= 500 and int(data.hidden_layers) >= 20
    limits = PAPER_LIMITS if paper else theory.MISFIT_LIMITS
    rms = {c: data[f"fit_rms_{c}"].values[:, :, -1] for c in "hyw"}
    whole = np.sqrt(np.mean([(data[f"observed_{c}"] - data[f"predicted_{c}"]).values ** 2 for c in "hyw"], axis=(0, 3)))
    misfit = _misfit(data)[:, :, -1]
    rank = [n for _, n in sorted((np.median(misfit[i]), n) for i, n in enumerate(names))]
    out = []
    for i, name in enumerate(names):
        if name == "default":
            for c, limit in vars(limits).items():
                text = f"default: misfit of {c} over its maximum, over the transition, median"
                out.append(Claim(text, "F2, equation (1)", Estimate.of_median(rms[c][i]), at_most(limit)))
            dip = data.observed_w.values[i].min(axis=1) / (-S / 4)
            out.append(Claim("default: lowest w over -S/4, mean", "equation (1), half time", Estimate.of(dip), about(1, relative=0.05)))
            text = "default: rms misfit of h, y, w over all epochs, per sample, median"
            out.append(Claim(text, "F2", Estimate.of_median(whole[i]), at_most(0.015), paper))
            continue
        text = f"{name}: misfit over the maxima, median (rank {rank.index(name) + 1} of {len(names)}; per sample {np.median(whole[i]):.3f})"
        limit = float(relative_misfit(limits))
        out.append(Claim(text, "F2", Estimate.of_median(misfit[i]), at_most(limit), False, not name.startswith("gain")))
    if len(names) > 2:
        out += _predictors(data, names)
    widths, badness = np.repeat(data.narrow.values, data.sizes["sample"]), np.where(data.narrow_learnt, data.narrow_misfit, 1).ravel()
    slope = association(widths, badness)
    out.append(Claim("rank correlation of misfit and width, five layers", "F11", slope, at_most(-0.3), False))
    return [*out, *_translates(data)]


def _predictors(data, names) -> list[Claim]:
    """Rank correlations with the misfit over networks and places, resampled by architecture."""
    group = np.repeat(np.arange(len(names)), data.sizes["network"] * PLACES)
    misfit = _misfit(data)
    measures = {
        "second-order ratio of the untrained encoder": data.before_encoder,
        "second-order ratio of the untrained decoder": data.before_decoder,
        "second-order ratio of the trained encoder": data.after_encoder,
        "second-order ratio of the trained decoder": data.after_decoder,
        "part of the untrained D_y across dh": data.before_across,
        "part of the trained D_y across dh": data.after_across,
    }
    flat = lambda a: a[:, :, :PLACES].ravel()
    with_misfit = {name: association(flat(v.values), flat(misfit), group) for name, v in measures.items()}
    out = [Claim(f"rank correlation of misfit and {name}", "validity of (1)", r, at_least(0.5), False) for name, r in with_misfit.items()]
    turned = association(1 - data.cosine.values.ravel(), misfit[:, :, -1].ravel(), np.repeat(np.arange(len(names)), data.sizes["network"]))
    least = Estimate.of_median(data.cosine.values.ravel())
    return [
        *out,
        Claim("rank correlation of misfit and rotation 1 - cos", "points do not rotate", turned, at_least(0.5), False),
        Claim("least cosine of dh with its start, median over networks", "points do not rotate", least, at_least(0.9), False),
    ]


def _translates(data) -> list[Claim]:
    """Ratio of √(η_h η_y) for translates over that for other pairs."""
    speed = np.log(data.pair_rates_hidden.values * data.pair_rates_output.values) / 2
    out = []
    for i, name in enumerate(LEARNERS):
        a, b = (Estimate.of(speed[i, p][data.pair_learnt.values[i, p]]) for p in range(2))
        ratio = float(np.exp(a.mean - b.mean))
        error = ratio * float(np.hypot(a.standard_error, b.standard_error))
        text = f"{name}: rate √(η_h η_y) of translates over that of other pairs ({int(a.count)} and {int(b.count)} networks)"
        out.append(Claim(text, "what is due to the architecture", Estimate(ratio, error, int(a.count)), about(1, 0.25), False))
    return out


def _names(data) -> tuple[str, ...]:
    chosen = str(data.architecture.values)
    return NAMES if chosen == "all" else (chosen,)


def _misfit(data):
    """Root mean square of the misfits of h, y and w, (variant, network, place)."""
    return np.asarray(relative_misfit(theory.TwoPoint(*(data[f"fit_rms_{c}"].values for c in "hyw"))))


def plot(data):
    """A panel for each architecture, then what the misfit goes with."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    names = _names(data)
    columns = min(5, len(names))
    rows = -(-len(names) // columns)
    figure = plt.figure(figsize=(TWO_COLUMNS, 1.25 * rows + 4.0))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25 * rows, 4.0))
    axes = top.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for i, (axis, name) in enumerate(zip(axes.flat, names, strict=False)):
        _curves(axis, data.isel(variant=i, network=0), name)
    for axis in axes[:, 0]:
        axis.set_ylabel("distance²")
    for axis in axes[-1]:
        axis.set_xlabel("rate × step")
    colors = {"h": "C0", "y": "C1", "w": "C2", "loss": "0.6"}
    handles = [Line2D([], [], color=c) for c in colors.values()] + [Line2D([], [], **THEORY)]
    top.legend(handles, ["$h/h_{max}$ × ½", "$y$", "$w$", "loss", "theory"], loc="outside upper center", ncols=5)
    panels = bottom.subplots(2, 4)
    misfit = _misfit(data)
    order = np.argsort(np.median(misfit[:, :, -1], axis=1))
    _plot_rows(panels[0, 0], order, names, [("C0", "", np.log10(misfit[:, :, -1]))], r"$\log_{10}$ misfit / maximum")
    panels[0, 0].set_yticklabels([names[i] for i in order], fontsize=5.5)
    shades = [plt.get_cmap("viridis")(v) for v in np.linspace(0, 0.9, PLACES)]
    for axis, field, symbol in ((panels[0, 1], "hidden", r"$\eta_h$"), (panels[0, 2], "output", r"$\eta_y$")):
        log = np.log10(data[f"fit_rates_{field}"].values)
        rows = [(shades[p], f"{p / (PLACES - 1):g}", log[:, :, p]) for p in range(PLACES)]
        _plot_rows(axis, order, names, rows, rf"$\log_{{10}}$ {symbol}")
    panels[0, 1].legend(title="relative depth", title_fontsize=5.5, fontsize=5, loc="lower left", handlelength=0.5, labelspacing=0.1)
    _plot_widths(panels[0, 3], data)
    for axis, measure, label in (
        (panels[1, 0], data.after_decoder.values, "second-order ratio, decoder"),
        (panels[1, 1], data.after_across.values, "part of $D_y$ across $dh$"),
        (panels[1, 2], 1 - data.cosine.values[:, :, None], r"rotation $1-\cos$"),
    ):
        for i in range(len(names)):
            shown = misfit[i] if measure.shape == misfit.shape else misfit[i, :, -1:]
            axis.plot(np.maximum(measure[i], 1e-4).ravel(), shown.ravel(), "o^s"[i // 7], ms=2, color=f"C{i % 7}", alpha=0.7)
        axis.set(xscale="log", yscale="log", xlabel=label)
    panels[1, 0].set_ylabel("misfit / maximum")
    _plot_translates(panels[1, 3], data)
    return figure


def _curves(axis, run, name) -> None:
    """h (scaled to ½), y, w and loss of one network beside the theory."""
    time = float(run.rate) * run.step.values
    end = float(theory.transition_end(time, run.observed_w.values))
    shown = np.flatnonzero(time <= end)[:: max(1, int((time <= end).sum() // 300))]
    scale = {"h": 0.5 / max(float(run.observed_h.values[shown].max()), 1e-30), "y": 1.0, "w": 1.0}
    for color, (c, factor) in zip(("C0", "C1", "C2"), scale.items(), strict=True):
        axis.plot(time[shown], factor * run[f"observed_{c}"].values[shown], color=color, linewidth=1.2)
        axis.plot(time[shown], factor * run[f"predicted_{c}"].values[shown], **THEORY)
    decay = float(run.midpoint[0]) * np.exp(-2 * float(run.midpoint_rate) * time)
    state = theory.TwoPoint(*(run[f"predicted_{c}"].values for c in "hyw"))
    predicted = theory.pair_loss(state, decay, theory.Geometry(1.0, 0.5))
    axis.plot(time[shown], run.loss.values[shown], color="0.6", linewidth=1.0)
    axis.plot(time[shown], np.asarray(predicted)[shown], **THEORY | {"color": "0.6"})
    axis.set(ylim=(-0.18, 0.62))
    axis.set_title(f"{name} ($h_{{max}}$ = {0.5 / scale['h']:.2g})", fontsize=7, pad=2)


def _plot_rows(axis, order, names, rows, label) -> None:
    """A row for each architecture, mean and error over networks, of each of `rows` (colour, name, values (variant, network))."""
    for shift, (color, name, values) in zip(np.linspace(-0.2, 0.2, len(rows)) if len(rows) > 1 else [0], rows, strict=True):
        spread = Estimate.of(values[order], axis=1)
        places = np.arange(len(names)) + shift
        axis.errorbar(spread.mean, places, xerr=spread.standard_error, fmt="o", ms=2, color=color, elinewidth=0.6, label=name)
    axis.set(yticks=range(len(names)), yticklabels=[], xlabel=label, ylim=(-0.6, len(names) - 0.4))


def _plot_widths(axis, data) -> None:
    width = data.narrow.values
    for w, values, learnt in zip(width, data.narrow_misfit.values, data.narrow_learnt.values, strict=True):
        axis.plot(np.full(learnt.sum(), w), values[learnt], "o", ms=2.5, color="C0")
        axis.plot(np.full((~learnt).sum(), w), values[~learnt], "x", ms=3, color="0.6")
    axis.plot([], [], "o", ms=2.5, color="C0", label="learnt")
    axis.plot([], [], "x", ms=3, color="0.6", label="loss > 1e-3")
    medians = [Estimate.of_median(v) for v in data.narrow_misfit.values]
    axis.errorbar(width, [m.mean for m in medians], [m.standard_error for m in medians], color="black", linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="width, five layers", ylabel="misfit / maximum")
    axis.legend(fontsize=5.5)


def _plot_translates(axis, data) -> None:
    for i, name in enumerate(LEARNERS):
        for p, face in enumerate(("C0", "none")):
            kept = data.pair_learnt.values[i, p]
            rates = [np.log10(data[f"pair_rates_{field}"].values[i, p][kept]) for field in ("hidden", "output")]
            axis.plot(*rates, "os^"[i], ms=3, color=f"C{i}", mfc=face if face == "none" else f"C{i}")
        axis.plot([], [], "os^"[i], ms=3, color=f"C{i}", label=name)
    axis.plot([], [], "o", ms=3, color="black", label="translates")
    axis.plot([], [], "o", ms=3, color="black", mfc="none", label="not")
    axis.set(xlabel=r"$\log_{10}$ $\eta_h$", ylabel=r"$\log_{10}$ $\eta_y$")
    axis.legend(fontsize=4.5, loc="lower left", labelspacing=0.1, handlelength=0.8)


if __name__ == "__main__":
    main(__spec__.name)
