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

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Data, Points, TwoPoints, draw_pair
from dltheory.lab import ONE_COLUMN, THEORY, Claim, at_least, at_most, main
from dltheory.models import HOMOGENEOUS, MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._pair import FLAGS, claims_pair, final, plot_pair
from experiments._settings import check_inputs, check_layer, check_records, followed

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
        check_records(self.steps, self.every)
        check_layer(self.layer, self.model)
        if isinstance(self.optimizer, training.GradientFlow) and self.data.batch:
            raise ValueError(f"data.batch={self.data.batch}: optimizer=gradient_flow takes all points at once, data.batch=0")
        if isinstance(self.optimizer, training.GradientFlow) and self.model.stochastic:
            raise ValueError("optimizer=gradient_flow: must be another for model=dropout, which draws noise at each step")
        if isinstance(self.optimizer, training.GradientFlow) and not self.model.smooth:
            raise ValueError(f"optimizer=gradient_flow: inaccurate at the kink of model.activation={self.model.activation}")


@record
class Result(theory.Followed):
    """What a run keeps: the followed networks, and what the references say of the crossover."""

    plateau: Float[Array, "reference"] = array("rich plateau A_low of networks at α = 0.1", "hidden²", source="formula (3)")
    initial: Float[Estimate, ""] = array("initial distance at α = 0.1 over untrained networks", "hidden²")
    crossover: Float[Estimate, ""] = array("scale α_c at which the initial distance equals A_low", source="h₀ = A_low")
    geometry: Float[theory.Geometry, ""] = array("data")
    target_variance: Float[Array, ""] = array("variance of the held-out targets", "output²")


def load(config: Config) -> tuple[Points, Points, np.ndarray]:
    """Training points, held-out points, indices of the followed pair."""
    data = config.data.load()
    check_inputs(config.model, data.train.x.shape[1])
    held = data.test if len(data.test.x) else data.train
    return data.train, held, draw_pair(data.train, config.seed, config.first, config.second)


def run(config: Config, data: tuple[Points, Points, np.ndarray]) -> Result:
    """Train networks at init_scale and references at α = 0.1, and fit the two-point theory to each."""
    train, held, pair = data
    model, total = config.model, config.networks + config.references
    layer = followed(config.layer, model)
    keys = lambda stream, count: jax.random.split(jax.random.fold_in(jax.random.key(config.seed), stream), count)
    scales = jnp.where(jnp.arange(total) < config.networks, jnp.asarray(config.init_scale), REFERENCE)
    sizes: dict[str, Any] = {"layer": layer, "steps": config.steps, "every": config.every, "batch": config.data.batch}
    everything = theory.follow(keys(0, total), scales, model, config.optimizer, train, held, pair, **sizes, precision=config.precision)
    geometry, per_network = theory.geometry_of(train, pair), {k: v for k, v in vars(everything).items() if k != "step"}
    networks, references = (
        jax.tree.map(lambda a, part=part: a[part], per_network) for part in (slice(config.networks), slice(config.networks, None))
    )
    initial = Estimate.of(theory.initial_distance(keys(1, UNTRAINED), model, train, pair, REFERENCE, layer))
    plateau = theory.plateau(references["fit"].rates, geometry)
    return Result(
        step=everything.step,
        **networks,
        plateau=plateau,
        initial=initial,
        crossover=Estimate.of(theory.critical_scale(REFERENCE, initial.mean, plateau, layer, model.weight_layers)),
        geometry=geometry,
        target_variance=jnp.sum(jnp.var(held.y, axis=0)),
    )


def claims(data) -> list[Claim]:
    """Fit, formula (3) and convergence: gated on two points, in the rich regime; beyond the crossover the theory claims nothing."""
    relative = float(data.init_scale / data.crossover)
    error = relative * float(data.crossover_standard_error / data.crossover)
    regime = "rich" if relative < RICH else "lazy" if relative > LAZY else "crossover"
    where = f"α_c = {float(data.crossover):.3g}: {regime}, {'inside' if regime == 'rich' else 'outside'} the domain of the theory"
    scale = Estimate(relative, error, int(data.crossover_count))
    gated = _in_scope(data)
    out = [
        Claim(f"init_scale over its crossover α/α_c ({where})", "crossover, h₀ = A_low", scale, at_most(RICH), gated=False),
        *claims_pair(data, gated, regime == "rich"),
    ]
    if str(data["data"].values) == "two_points":
        return out
    ratio = Estimate.of(data.held_out.values / (float(data.target_variance) / 2))
    return [*out, Claim("held-out loss over that of the mean target", "this run", ratio, at_most(0.5), gated=False)]


def _in_scope(data) -> bool:
    """Whether the scale of the function is exact and the theory's data are followed: then claims are gated."""
    bias = data["model.c_b"].values if "model.c_b" in data.coords else 0
    homogeneous = np.isin(data["model.activation"].values, list(HOMOGENEOUS)) & (bias == 0) & (data["model"].values == "mlp")
    return bool(np.all(homogeneous & (data["data"].values == "two_points") & (data["optimizer"].values != "adam")))


def claims_sweep(data) -> list[Claim]:
    """What is forgotten and what is kept, across scales (median over networks)."""
    scale, crossover = data.init_scale.values, data.crossover.values
    rich, lazy = (scale >= 0.03) & (scale <= 1), scale > 5 * crossover
    start, end = data.observed_h.isel(step=0).values, final(data)
    most_over_least = lambda h: float(np.ptp(np.log(np.nanmedian(h[rich], axis=1)))) if rich.any() else np.nan
    error = np.abs(end / data.formula.values - 1)[scale < RICH * crossover]
    flagged = np.any([data[f"fit_flags_{f}"].values for f in FLAGS], axis=0)[lazy]
    domain = bool(rich.any() and scale[rich].max() >= 30 * scale[rich].min())
    gated, rule = _in_scope(data), "formula (3), rich limit"
    spans = [np.exp(most_over_least(h)) for h in (start, end)]
    return [
        Claim("initial distance, most over least, α in [0.03, 1]", rule, spans[0], at_least(15), gated, domain),
        Claim("final distance, most over least, α in [0.03, 1]", rule, spans[1], at_most(1.3), gated, domain),
        Claim("|h/h_∞ - 1| below α_c/2, mean", "formula (3)", Estimate.of(error.ravel()), at_most(0.05), gated, error.size > 1),
        Claim("fits with a flag above 5 α_c, fraction", "figure 3", np.mean(flagged) if lazy.any() else np.nan, at_least(0.9), False),
    ]


def plot(data):
    """h, y, w and the pair's loss in time; the final distance; the misfits."""
    figure = plot_pair(data)
    model = f"{int(data['model.hidden_layers'])}×{int(data['model.width'])} {data['model.activation'].values}"
    scale, relative = float(data.init_scale), float(data.init_scale / data.crossover)
    figure.suptitle(rf"$\alpha={scale:.4g}$, $\alpha/\alpha_c={relative:.2g}$: {model}, {data['data'].values}", fontsize=8)
    return figure


def plot_sweep(data):
    """Final distance against init_scale: networks, rich plateau, lazy line and the predicted crossover."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(1.3 * ONE_COLUMN, 3.0))
    runs = data.sortby("init_scale")
    scale = runs.init_scale.values
    for color, face, marker, h, name in (
        ("C1", "none", "s", runs.observed_h.isel(step=0).values, "networks, initial $h$"),
        ("C0", "C0", "o", final(runs), "networks, final $h$"),
    ):
        spread = Estimate.of(h, axis=1)
        axis.errorbar(scale, spread.mean, spread.standard_error, fmt=marker, color=color, mfc=face, label=name)
    usable = runs.formula.where(~np.any([runs[f"fit_flags_{f}"] for f in FLAGS], axis=0)).mean("network")
    usable = usable.groupby("init_scale").mean()
    axis.plot(usable.init_scale, usable, **THEORY, label="formula (3), fits without a flag")
    plateau, crossover, initial = (float(runs[name].mean()) for name in ("plateau", "crossover", "initial"))
    axis.axhline(plateau, color="0.5", linestyle="--", linewidth=1, label="rich plateau $A_{low}$")
    shapes = set(zip(runs["model.hidden_layers"].values.tolist(), runs.layer.values.tolist(), strict=True))
    for hidden, layer in shapes if len(shapes) == 1 else ():
        slope = 2 * ((layer if layer >= 0 else hidden // 2) + 1) / (hidden + 1)
        line = initial * (scale / REFERENCE) ** slope
        axis.plot(scale, line, color="0.5", linestyle="-.", linewidth=1, label="lazy line, expected initial $h$")
    axis.axvline(crossover, color="C3", linestyle=":", label=rf"crossover $\alpha_c={crossover:.2g}$")
    axis.set(xscale="log", yscale="log", xlabel=r"init_scale $\alpha$ of the network function", ylabel=r"squared distance $h=|dh|^2$")
    axis.legend()
    return figure


if __name__ == "__main__":
    main(__spec__.name)
