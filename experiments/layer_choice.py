"""The theory holds where encoder and decoder are both expressive: just behind the middle of the depth.

All hidden layers of the same networks are followed on two points, and each is fitted on its own.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, appendix, layer choice (F9).

    python -m experiments.layer_choice
    python -m experiments.layer_choice -m figure=true

Expect: the fit loss at layer 2 of 20 is 50 times that of the best layer, which lies behind the middle; η_h grows with depth, η_y has a
broad maximum. The sweep maps the rates over depth and layer.
Time: tiny 10 s, default 30 s, paper 2 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Points, TwoPoints
from dltheory.lab import TWO_COLUMNS, Claim, at_least, between, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._settings import check_inputs, check_records

EARLY = 2
PAPER_DEPTH = 20


@record
class Config:
    """One network setting, several seeds, every layer."""

    gain: float = traced(1.0, "gain per weight layer", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    model: Model = MLPConfig(hidden_layers=PAPER_DEPTH)
    networks: int = static(5, "networks", low=2, high=10_000)
    steps: int = static(4000, "training steps", low=10, high=10_000_000)
    every: int = static(4, "steps between records; divides steps", low=1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20, "hidden_layers": 5}, "networks": 2, "steps": 400},
        "paper": {"model": {"width": 500, "hidden_layers": 20}, "networks": 3, "steps": 3000, "every": 3},
    }
    figure: ClassVar = {"model.hidden_layers": (5, 10, 20, 30)}

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)


@record
class Result:
    """Layers count from 0."""

    layer: Int[Array, "layer"] = array("hidden layer")
    rate: Float[Array, "network"] = array("learning rate: 0.3 / max(λ, D)", "time/step")
    fit: Float[theory.RateFit, "network layer"] = array("fit of the rates")
    cost: Float[Array, "network layer"] = array("fit loss: squared error summed over h, y, w and 3000 evenly spaced records")
    initial: Float[Array, "network layer"] = array("initial distance h₀", "hidden²")
    final: Float[Array, "network layer"] = array("final distance", "hidden²")
    loss: Float[Array, "network"] = array("training loss at the end", "output²")
    before: Float[theory.Validity, "network layer"] = array("untrained network")
    after: Float[theory.Validity, "network layer"] = array("trained network")


def load(config: Config) -> Points:
    """The two points."""
    points = TwoPoints().load().train
    check_inputs(config.model, points.x.shape[1])
    return points


def run(config: Config, train: Points) -> Result:
    """Train the networks once; all layers of all networks are fitted in one call."""
    pair, layers = np.arange(2), tuple(range(config.model.hidden_layers))
    geometry = theory.geometry_of(train, pair)

    def network(key):
        scale = jnp.asarray(config.gain) ** config.model.weight_layers
        sizes = {"layers": layers, "steps": config.steps, "every": config.every}
        seen, apply = theory.train_and_follow(key, scale, config.model, training.GradientDescent(), train.x, train.y, pair, **sizes)
        checks = [theory.validity(apply, p, train.x) for p in (seen.start, seen.end)]
        return seen.rate, seen.state, seen.loss[-1], checks

    rate, state, loss, (before, after) = training.over_networks(network, jax.random.split(jax.random.key(config.seed), config.networks))
    step = jnp.arange(0, config.steps, config.every).astype(float)
    times = jnp.broadcast_to(rate[:, None, None] * step[None, None], state.h.shape)
    fit = theory.fit_each(times, state, geometry)
    solve = jax.vmap(jax.vmap(lambda t, s, r: theory.solve(t, jax.tree.map(lambda c: c[0], s), r, geometry)))
    squares = jax.tree.map(lambda p, o: jnp.mean((p - o) ** 2, axis=-1), solve(times, state, fit.rates), state)
    return Result(
        layer=jnp.arange(len(layers)),
        rate=rate,
        fit=fit,
        cost=3000 * (squares.h + squares.y + squares.w),
        initial=state.h[..., 0],
        final=state.h[..., -1],
        loss=loss,
        before=before,
        after=after,
    )


def claims(data) -> list[Claim]:
    """The paper's numbers belong to 20 layers; elsewhere its logic is gated: the first layers are worst and the best is not at an end."""
    cost, depth = data.cost.values, data.sizes["layer"]
    best, paper = np.argmin(cost, axis=1), depth == PAPER_DEPTH and int(data["model.width"]) >= 500
    gated = str(data["model"].values) == "mlp" and depth >= 10
    ratio = Estimate.of_median(np.log10(cost[:, min(EARLY, depth - 1)] / cost.min(axis=1)))
    eta = {f: np.log10(data[f"fit_rates_{f}"].values) for f in ("hidden", "output")}
    growth = Estimate.of_median(eta["hidden"][:, -1] - eta["hidden"][:, 0])
    place = Estimate.of_median(best / (depth - 1))
    text = f"log10 of fit loss at layer {EARLY} over that of the best layer, median"
    out = [
        Claim(f"{text} (F9: factor 50; here {10 ** float(ratio.mean):.3g})", "F9", ratio, at_least(np.log10(50)), paper),
        Claim(f"{text}: above 0", "F9", ratio, at_least(0), gated),
        Claim("relative depth of the best layer, median", "F9", place, between(0.4, 0.9), gated),
        Claim("decades by which η_h grows from the first to the last layer, median", "F9", growth, at_least(0), gated),
    ]
    if depth == PAPER_DEPTH:
        text = f"best layer, median ({', '.join(map(str, best))})"
        out.insert(1, Claim(text, "F9", Estimate.of_median(best.astype(float)), between(9, 16), paper))
    return out


def claims_sweep(data) -> list[Claim]:
    """Whether depth moves the best layer along."""
    best = [
        Estimate.of_median(np.nanargmin(c, axis=1) / (np.isfinite(c[0]).sum() - 1))
        for c in data.cost.transpose(..., "network", "layer").values
    ]
    depth = np.atleast_1d(data["model.hidden_layers"].values)
    return [
        Claim(f"relative depth of the best layer, median, {d} layers", "F9", b, between(0.4, 0.9), False)
        for d, b in zip(depth, best, strict=True)
    ]


def plot(data):
    """Fit loss, rates and validity against the layer."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(TWO_COLUMNS, 2.4))
    layer = data.layer.values
    axes[0].set(yscale="log", ylabel="fit loss (3000 records)")
    axes[1].set(yscale="log", ylabel="fitted rates")
    _band(axes[0], layer, data.cost.values, "C0", "")
    for field, color, label in (("hidden", "C0", r"$\eta_h$"), ("output", "C1", r"$\eta_y$")):
        _band(axes[1], layer, data[f"fit_rates_{field}"].values, color, label)
    axes[1].legend()
    for name, color, label in (
        ("after_encoder", "C0", "encoder"),
        ("after_decoder", "C1", "decoder"),
        ("after_across", "C2", "$D_y$ across $dh$"),
    ):
        _band(axes[2], layer, data[name].values, color, label)
    axes[2].set(ylabel="second-order ratio, part across", ylim=(0, 1.35))
    axes[2].legend(ncols=2, fontsize=6, loc="upper center")
    for axis in axes:
        axis.set_xlabel("hidden layer")
    figure.suptitle(f"{int(data.sizes['layer'])} hidden layers of {int(data['model.width'])}, gain {float(data.gain):g}", fontsize=8)
    return figure


def _band(axis, layer, values, color, label) -> None:
    """Networks thin, their median thick with its error; both of the logarithm where the axis is one."""
    log = axis.get_yscale() == "log"
    axis.plot(layer, values.T, color=color, linewidth=0.5, alpha=0.5)
    medians = [Estimate.of_median(np.log(v) if log else v) for v in values.T]
    mean, error = (np.array([getattr(m, k) for m in medians]) for k in ("mean", "standard_error"))
    bars = np.abs(np.exp(mean + np.array([[-1], [1]]) * error) - np.exp(mean)) if log else error
    axis.errorbar(layer, np.exp(mean) if log else mean, bars, color=color, label=label)


def plot_sweep(data):
    """The map of the rates over depth and relative layer, with errors over seeds."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(TWO_COLUMNS, 2.4))
    axis_of_depth = next(d for d in data.cost.dims if d not in ("network", "layer"))
    for i in range(data.sizes[axis_of_depth]):
        one = data.isel({axis_of_depth: i}).dropna("layer", how="all", subset=["cost"])
        place, depth = np.linspace(0, 1, one.sizes["layer"]), int(one["model.hidden_layers"])
        order = ("network", "layer")
        for axis, name in zip(axes, ("cost", "fit_rates_hidden", "fit_rates_output"), strict=True):
            spread = Estimate.of(np.log10(one[name].transpose(*order).values))
            axis.errorbar(place, spread.mean, spread.standard_error, color=f"C{i}", label=f"{depth} layers")
    for axis, label in zip(axes, ("fit loss", r"$\eta_h$", r"$\eta_y$"), strict=True):
        axis.set(xlabel="relative depth of the layer", ylabel=rf"$\log_{{10}}$ {label}")
    axes[0].legend(loc="lower left", fontsize=6)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
