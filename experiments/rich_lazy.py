"""The scale of the initial weights decides between a structured and a random representation.

Two points are followed through the training of real networks: the squared distances h of their representations and y of their
predictions, and the alignment w, beside the two-point effective theory with two fitted rates. At small init_scale the initial
distance is forgotten (rich: h ends at A_low, set by the data), at large it stays (lazy); formula (3) gives the end in between.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, figure 3 (F3; F4 with data=digits).

    python -m experiments.rich_lazy init_scale=0.1
    python -m experiments.rich_lazy -m init_scale=0.1,1,10,100,1000

Expect: in the rich regime h and y within 10 % and w within 22 % of their maxima over the transition, the final distance within 5 %
of formula (3); above the crossover α_c (about 8 for 10×100, 80 for 20×500) the fit is flagged and the run reported as outside.
Time: tiny 5 s, default 15 s, paper 3 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Data, Points, TwoPoints, draw_pair
from dltheory.lab import MEASURED, THEORY, TWO_COLUMNS, Claim, at_least, at_most, main
from dltheory.models import MLPConfig, Model, functional
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced

REFERENCE = 0.1
UNTRAINED = 64
RICH, LAZY = 0.5, 2.0


@record
class Config:
    """`gain` is per weight layer, init_scale = gain^D for D weight layers; either may be given."""

    init_scale: float | None = traced(None, "scale α of the initial function (0.1 unless gain is given)", low=1e-3, high=1e6)
    gain: float | None = traced(None, "gain per weight layer, α^(1/D)", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    first: int = traced(-1, "index of the first followed image; -1: drawn by the seed", low=-1)
    second: int = traced(-1, "index of the second followed image; -1: drawn by the seed", low=-1)
    data: Data = TwoPoints()
    model: Model = MLPConfig()
    optimizer: training.Optimizer = training.GradientDescent()
    networks: int = static(5, "networks trained at init_scale", low=2, high=10_000)
    references: int = static(2, "networks trained at α = 0.1, which measure the rich plateau", low=2, high=100)
    steps: int = static(8000, "training steps", low=10, high=10_000_000)
    every: int = static(1, "steps between records; divides steps", low=1)
    layer: int = static(-1, "followed hidden layer, from 0; -1: the middle one", low=-1)
    precision: str = static("single", "floating point of the networks", choices=("single", "double"))

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20, "hidden_layers": 4}, "networks": 2, "steps": 1000},
        "paper": {"model": {"width": 500, "hidden_layers": 20}, "steps": 6000},
    }
    figure: ClassVar = {"init_scale": (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1000, 10000)}

    def __post_init__(self) -> None:
        depth = self.model.weight_layers
        if self.gain is None:
            scale = 0.1 if self.init_scale is None else self.init_scale
            object.__setattr__(self, "init_scale", scale)
            object.__setattr__(self, "gain", scale ** (1 / depth))
        elif self.init_scale is None:
            object.__setattr__(self, "init_scale", self.gain**depth)
        elif not np.isclose(self.init_scale, self.gain**depth, rtol=1e-9):
            raise ValueError(f"gain={self.gain}: give init_scale or gain, not both")
        if self.steps % self.every or self.steps // self.every < 10:
            raise ValueError(f"every={self.every}: must divide steps={self.steps} and leave 10 records")
        if self.layer >= self.model.hidden_layers:
            raise ValueError(f"layer={self.layer}: must be below model.hidden_layers={self.model.hidden_layers}")
        if isinstance(self.optimizer, training.GradientFlow) and self.data.batch:
            raise ValueError(f"data.batch={self.data.batch}: optimizer=gradient_flow takes all points at once, data.batch=0")
        if isinstance(self.optimizer, training.GradientFlow) and not self.model.smooth:
            raise ValueError(f"optimizer=gradient_flow: inaccurate at the kink of model.activation={self.model.activation}")


@record
class Result:
    """What a run keeps; `network` counts seeds."""

    step: Float[Array, "step"] = array("training step", "step")
    rate: Float[Array, "network"] = array("learning rate: 0.3 / max(λ, D) unless given", "time/step")
    eigenvalue: Float[Array, "network"] = array("largest eigenvalue λ of the initial tangent kernel over the number of points")
    observed: Float[theory.TwoPoint, "network step"] = array("network")
    predicted: Float[theory.TwoPoint, "network step"] = array("theory with fitted rates", source="equation (1)")
    midpoint: Float[Array, "network step"] = array("squared error of the mean prediction of the pair", "output²")
    midpoint_rate: Float[Array, "network"] = array("fitted decay rate of the mean prediction η_ȳ", "1/time")
    loss: Float[Array, "network step"] = array("training loss ½⟨|f - y*|²⟩ of the step", "output²")
    held_out: Float[Array, "network"] = array("loss on held-out points (training points if none are held out)", "output²")
    target_variance: Float[Array, ""] = array("variance of the held-out targets", "output²")
    fit: Float[theory.RateFit, "network"] = array("fit of the rates")
    formula: Float[Array, "network"] = array("final distance h_∞ by theory", "hidden²", source="formula (3)")
    plateau: Float[Array, "reference"] = array("rich plateau A_low of networks at α = 0.1", "hidden²", source="formula (3)")
    initial: Float[Estimate, ""] = array("initial distance at α = 0.1 over untrained networks", "hidden²")
    crossover: Float[Estimate, ""] = array("scale α_c at which the initial distance equals A_low", source="page §2.3")
    geometry: Float[theory.Geometry, ""] = array("data")


def load(config: Config) -> tuple[Points, Points, np.ndarray]:
    """Training points, held-out points, indices of the followed pair."""
    data = config.data.load()
    return data.train, data.test if len(data.test.x) else data.train, draw_pair(data.train, config.seed, config.first, config.second)


def run(config: Config, data: tuple[Points, Points, np.ndarray]) -> Result:
    """Train networks at init_scale and references at α = 0.1, and fit the two-point theory to each."""
    train, held, pair = data
    depth, batch, optimizer = config.model.weight_layers, config.data.batch, config.optimizer
    layer = config.model.hidden_layers // 2 if config.layer < 0 else config.layer
    dtype = jnp.float64 if config.precision == "double" else jnp.float32
    goals, two, seeds = train.y[pair], train.x[pair].astype(dtype), jax.random.key(config.seed)
    geometry = theory.Geometry(jnp.sum((train.x[pair[1]] - train.x[pair[0]]) ** 2), jnp.sum((goals[1] - goals[0]) ** 2))
    step = jnp.arange(0, config.steps, config.every)

    def build(key, scale):
        inputs, outputs = train.x.shape[1], train.y.shape[1]
        return functional(config.model.build(key, inputs, outputs, scale ** (1 / depth), dtype))

    def initial_distance(key):
        params, apply = build(key, REFERENCE)
        return theory.measure(apply(params, two).hidden[layer], goals, goals).h

    def network(key, scale):
        weights, order, probe = (jax.random.fold_in(key, stream) for stream in range(3))
        params, apply = build(weights, scale)

        def observe(params, activations, loss):
            hidden, output = (activations.hidden[layer][pair], activations.output[pair]) if not batch else followed(params)
            return theory.measure(hidden, output, goals), theory.midpoint_error(output, goals), loss.astype(float)

        def followed(params):
            activations = apply(params, two)
            return activations.hidden[layer], activations.output

        eigenvalue = training.tangent_eigenvalue(probe, apply, params, train.x).astype(float)
        rate = optimizer.choose_rate(eigenvalue, depth)
        params, (seen, midpoint, loss) = optimizer.train(
            apply, params, train.x, train.y, rate, config.steps, observe, every=config.every, batch=batch, key=order
        )
        time = rate * step.astype(float)
        fit, start = theory.fit_rates(time, seen, geometry), jax.tree.map(lambda c: c[0], seen)
        return {
            "rate": rate,
            "eigenvalue": eigenvalue,
            "observed": seen,
            "predicted": theory.solve(time, start, fit.rates, geometry),
            "midpoint": midpoint,
            "midpoint_rate": theory.fit_midpoint_rate(time, midpoint),
            "loss": loss,
            "held_out": training.mean_squared_error(apply(params, held.x.astype(dtype)).output.astype(float), held.y),
            "fit": fit,
            "formula": theory.final_distance(start, fit.rates, geometry),
        }

    total = config.networks + config.references
    scales = jnp.where(jnp.arange(total) < config.networks, config.init_scale, REFERENCE)
    all_networks = training.over_networks(network, jax.random.split(jax.random.fold_in(seeds, 0), total), scales)
    networks, references = (jax.tree.map(lambda a: a[part], all_networks) for part in (slice(config.networks), slice(config.networks, None)))
    initial = Estimate.of(training.over_networks(initial_distance, jax.random.split(jax.random.fold_in(seeds, 1), UNTRAINED)))
    plateau = theory.plateau(references["fit"].rates, geometry)
    crossover = Estimate.of(theory.critical_scale(REFERENCE, initial.mean, plateau, layer, depth))
    variance = jnp.sum(jnp.var(held.y, axis=0))
    return Result(step=step, target_variance=variance, plateau=plateau, initial=initial, crossover=crossover, geometry=geometry, **networks)


def claims(data) -> list[Claim]:
    """Fit, formula (3) and convergence: gated on two points in the rich regime; beyond the crossover the theory claims nothing."""
    relative = float(data.init_scale / data.crossover)
    regime = "rich" if relative < RICH else "lazy" if relative > LAZY else "crossover"
    shared = {"gated": str(data["data"].values) == "two_points", "domain": regime == "rich"}
    scale = Estimate(relative, relative * float(data.crossover_standard_error / data.crossover), int(data.crossover_count))
    misfit = {c: data[f"fit_rms_{c}"].values for c in "hyw"}
    flagged = np.any([data[f"fit_flags_{f}"].values for f in ("poor", "hidden_at_bound", "output_at_bound")], axis=0)
    error = np.abs(data.observed_h.values[:, -1] / data.formula.values - 1)
    loss = data.loss.values[:, -1]
    share = lambda passed: f"{int(np.sum(passed))} of {np.size(passed)} networks"
    where = f"α_c = {float(data.crossover):.3g}: {regime}, {'inside' if regime == 'rich' else 'outside'} the domain of the theory"
    out = [
        Claim(f"init_scale over its crossover α/α_c ({where})", "section 2.3", scale, at_most(RICH), gated=False),
        *(
            Claim(
                f"misfit of {c} over its maximum, over the transition, median ({share(misfit[c] <= limit)})",
                "figure 3, equation (1)",
                Estimate.of_median(misfit[c]),
                at_most(limit),
                **shared,
            )
            for c, limit in vars(theory.MISFIT_LIMITS).items()
        ),
        Claim("fits without a flag, fraction of networks", "equation (1)", np.mean(~flagged), at_least(0.8), gated=False),
        Claim(
            f"final distance against formula (3), |h/h_∞ - 1|, mean ({share(error <= 0.05)} within 0.05)",
            "formula (3)",
            Estimate.of(error),
            at_most(0.05),
            **shared,
        ),
        Claim(
            f"loss at the end, largest ({share(loss <= 1e-6)} ≤ 1e-6)", "rate rule", loss.max(), at_most(1e-6), gated=shared["gated"]
        ),
    ]
    if shared["gated"]:
        return out
    spread = float(data.target_variance) / 2
    return [*out, Claim("held-out loss over that of the mean target", "this run", Estimate.of(data.held_out.values / spread), at_most(0.5), gated=False)]


def claims_sweep(data) -> list[Claim]:
    """What is forgotten and what is kept, across scales (median over networks)."""
    scale = data.init_scale.values
    rich, lazy = (scale >= 0.03) & (scale <= 1), scale > 5 * data.crossover.values
    spread = lambda curve: float(np.divide(*np.quantile(np.median(curve.values[rich], axis=1), [1, 0]))) if rich.any() else np.nan
    error = np.abs(data.observed_h.isel(step=-1) / data.formula - 1).values[scale < RICH * data.crossover.values]
    flags = [data[f"fit_flags_{f}"].values for f in ("poor", "hidden_at_bound", "output_at_bound")]
    poor = np.any(flags, axis=0)[lazy]
    wide = {"domain": bool(rich.any() and scale[rich].max() >= 30 * scale[rich].min())}
    return [
        Claim("initial distance, most over least, α in [0.03, 1]", "section 8", spread(data.observed_h.isel(step=0)), at_least(15), **wide),
        Claim("final distance, most over least, α in [0.03, 1]", "section 8", spread(data.observed_h.isel(step=-1)), at_most(1.3), **wide),
        Claim("|h/h_∞ - 1| below α_c/2, mean", "formula (3)", Estimate.of(error.ravel()), at_most(0.05), domain=error.size > 1),
        Claim("fits with a flag above 5 α_c, fraction", "figure 3", poor.mean() if poor.size else np.nan, at_least(0.9), gated=False),
    ]


def plot(data):
    """h, y, w and the pair's loss in time; the final distance; the misfits."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.2))
    time = data.rate.values[:, None] * data.step.values
    ends = [float(theory.transition_end(t, w)) for t, w in zip(time, data.observed_w.values, strict=True)]
    labels = {"h": r"representations $h=|dh|^2$", "y": r"predictions $y=|dy|^2$", "w": r"$w=dy\cdot(dy-dy^*)$"}
    for axis, (name, label) in zip(axes.flat, labels.items(), strict=False):
        _plot_curves(axis, time, data[f"observed_{name}"].values, data[f"predicted_{name}"].values, max(ends))
        axis.set(xlabel="time (rate × step)", ylabel=label)
    axes[0, 0].legend(*_plot_legend(), loc="best")

    geometry = theory.Geometry(float(data.geometry_dx2), float(data.geometry_dy2))
    pair = lambda kind, midpoint: theory.pair_loss(theory.TwoPoint(*(data[f"{kind}_{c}"].values for c in "hyw")), midpoint, geometry)
    decay = data.midpoint.values[:, :1] * np.exp(-2 * data.midpoint_rate.values[:, None] * time)
    floor = 1e-8
    _plot_curves(axes[1, 0], time, *(np.maximum(pair(*which), floor) for which in (("observed", data.midpoint.values), ("predicted", decay))), max(ends))
    axes[1, 0].set(xlabel="time (rate × step)", ylabel="loss of the pair", yscale="log", ylim=(1e-6, None))

    axis, final = axes[1, 1], data.observed_h.values[:, -1]
    for i, (x, y) in enumerate(zip(data.formula.values, final, strict=True)):
        axis.plot(x, y, "o", color=f"C{i % 7}")
    ends = np.array([0, 1.25 * max(final.max(), data.formula.values.max(), float(data.plateau.max()))])
    if data.formula.values.max() > 5 * final.max():
        ends[0] = 0.5 * min(final.min(), data.formula.values.min())
        axis.set(xscale="log", yscale="log")
    axis.plot(ends, ends, **THEORY)
    axis.axhline(float(data.plateau.mean()), color="0.5", linestyle=":")
    axis.annotate("$A_{low}$", (ends[1], float(data.plateau.mean())), ha="right", va="bottom", color="0.4", fontsize=7)
    axis.set(xlabel=r"$h_\infty$ by formula (3)", ylabel="final $h$ of the network", xlim=ends, ylim=ends)

    axis, limits = axes[1, 2], vars(theory.MISFIT_LIMITS)
    for place, (name, limit) in enumerate(limits.items()):
        values = data[f"fit_rms_{name}"].values
        axis.plot(place + np.linspace(-0.2, 0.2, len(values)), values, "o", label="networks" if not place else None, color="C0")
        axis.hlines(limit, place - 0.35, place + 0.35, color="black", linestyle="--", linewidth=1, label="limit" if not place else None)
    axis.set(xticks=range(3), xticklabels=[f"${c}$" for c in limits], ylabel="misfit / maximum", ylim=(0, None))
    axis.legend(loc="best")
    sizes = f"{int(data['model.hidden_layers'])}×{int(data['model.width'])} {data['model.activation'].values}, {data['data'].values}"
    figure.suptitle(
        rf"$\alpha={float(data.init_scale):.4g}$, $\alpha/\alpha_c={float(data.init_scale / data.crossover):.2g}$: {sizes}", fontsize=8
    )
    return figure


def _plot_curves(axis, time, observed, predicted, end):
    """One solid line for each network and its theory dashed, up to time `end`."""
    for i, (t, seen, theirs) in enumerate(zip(time, observed, predicted, strict=True)):
        shown = slice(0, np.searchsorted(t, end) + 1)
        thin = slice(None, None, max(1, len(t[shown]) // 400))
        axis.plot(t[shown][thin], seen[shown][thin], color=f"C{i % 7}", **MEASURED)
        axis.plot(t[shown][thin], theirs[shown][thin], **THEORY | {"color": f"C{i % 7}"}, scaley=False)


def _plot_legend():
    """Handles and names of the two kinds of line."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], color="black", **MEASURED), Line2D([], [], **THEORY)], ["networks", "theory"]


def plot_sweep(data):
    """Final distance against init_scale: networks, rich plateau, lazy line and the predicted crossover."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(TWO_COLUMNS / 1.6, 3.0))
    runs = data.sortby("init_scale")
    scale = runs.init_scale.values
    for color, face, marker, step, name in (
        ("C1", "none", "s", 0, "networks, initial $h$"),
        ("C0", "C0", "o", -1, "networks, final $h$"),
    ):
        spread = Estimate.of(runs.observed_h.isel(step=step).values, axis=1)
        axis.errorbar(scale, spread.mean, spread.standard_error, fmt=marker, color=color, mfc=face, label=name)
    final = runs.formula.mean("network").values
    axis.plot(scale, final, **THEORY, label=r"formula (3), fitted rates")
    plateau, crossover, initial = (float(runs[name].mean()) for name in ("plateau", "crossover", "initial"))
    hidden, layer = (int(runs[key][0]) for key in ("model.hidden_layers", "layer"))
    slope = 2 * ((layer if layer >= 0 else hidden // 2) + 1) / (hidden + 1)
    grid = np.geomspace(scale.min(), scale.max(), 100)
    axis.axhline(plateau, color="0.5", linestyle="--", linewidth=1, label="rich plateau $A_{low}$")
    axis.plot(grid, initial * (grid / REFERENCE) ** slope, color="0.5", linestyle="-.", linewidth=1, label=r"lazy line, expected initial $h$")
    axis.axvline(crossover, color="C3", linestyle=":", label=rf"crossover $\alpha_c={crossover:.2g}$")
    axis.set(xscale="log", yscale="log", xlabel=r"init_scale $\alpha$ of the network function", ylabel=r"squared distance $h=|dh|^2$")
    axis.legend()
    return figure


if __name__ == "__main__":
    main(__spec__.name)
