"""Four wrong equations do not fit: the shape of system (1) is in the data.

The default network is followed on two points, and its curves are fitted by system (1) and by four altered systems, each with its own
two rates: twice the y-equation, twice the h-equation, the encoder's term of the w-equation with the other sign, the encoder's term of
the y-equation dropped. None is a rescaling of the rates.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, appendix, altered dynamics (F10).

    python -m experiments.altered_dynamics

Expect: at gain 1, the paper's, every altered system fits worse than (1), but not all by the factor 3 that the figure suggests. Deep in the
rich regime (init_scale=0.1) the system with the other sign fits most networks better than (1).
Time: tiny 15 s, default 40 s, paper 5 min.
"""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Points, TwoPoints
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, at_least, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._pair import relative_misfit
from experiments._settings import check_inputs, check_layer, check_records, followed

SYSTEMS = ("equation_1", *theory.ALTERED)


@record
class Config:
    """One network setting, several seeds."""

    init_scale: float = traced(1.0, "scale α of the initial function, gain^D", low=1e-3, high=1e6)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    model: Model = MLPConfig()
    networks: int = static(9, "networks", low=2, high=10_000)
    steps: int = static(4000, "training steps", low=10, high=10_000_000)
    every: int = static(2, "steps between records; divides steps", low=1)
    layer: int = static(-1, "followed hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20, "hidden_layers": 4}, "networks": 2, "steps": 1000},
        "paper": {"model": {"width": 500, "hidden_layers": 20}, "steps": 6000},
    }

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)
        check_layer(self.layer, self.model)


@record
class Result:
    """`system` counts (1) and then the altered systems in the order of `ALTERED`."""

    step: Int[Array, "step"] = array("training step", "step")
    rate: Float[Array, "network"] = array("learning rate: 0.3 / max(λ, D)", "time/step")
    observed: Float[theory.TwoPoint, "network step"] = array("network")
    predicted: Float[theory.TwoPoint, "system network step"] = array("system with fitted rates")
    fit: Float[theory.RateFit, "system network"] = array("fit of the rates")


def load(config: Config) -> Points:
    """The two points."""
    points = TwoPoints().load().train
    check_inputs(config.model, points.x.shape[1])
    return points


def run(config: Config, train: Points) -> Result:
    """Train, then fit each system to the same curves."""
    pair = np.arange(2)
    geometry = theory.geometry_of(train, pair)
    layer = followed(config.layer, config.model)
    keys, scales = jax.random.split(jax.random.key(config.seed), config.networks), jnp.full(config.networks, config.init_scale)
    sizes: dict[str, Any] = {"layer": layer, "steps": config.steps, "every": config.every}
    seen = theory.follow(keys, scales, config.model, training.GradientDescent(), train, train, pair, **sizes)
    times = seen.rate[:, None] * seen.step[None].astype(float)

    @jax.vmap
    def fitted(alteration):
        solution = partial(theory.integrate, alteration)
        fit = jax.vmap(lambda t, s: theory.fit_rates(t, s, geometry, solution))(times, seen.observed)
        start = jax.tree.map(lambda c: c[:, 0], seen.observed)
        return jax.vmap(solution, (0, 0, 0, None))(times, start, fit.rates, geometry), fit

    altered = fitted(jax.tree.map(lambda *factors: jnp.stack(factors), *theory.ALTERED.values()))
    join = lambda one, others: jnp.concatenate([one[None], others])
    predicted, fit = jax.tree.map(join, (seen.predicted, seen.fit), altered)
    return Result(seen.step, seen.rate, seen.observed, predicted, fit)


def _cost(data):
    """Squared misfit, summed over the curves relative to their maxima, (system, network)."""
    return np.asarray(relative_misfit(theory.TwoPoint(*(data[f"fit_rms_{c}"].values for c in "hyw")))) ** 2


def claims(data) -> list[Claim]:
    """The ordering is gated where the theory holds; the factor is reported."""
    cost = np.log10(_cost(data))
    gated = str(data["model"].values) == "mlp" and float(data.init_scale) == 1
    out = []
    for system, name in enumerate(SYSTEMS[1:], start=1):
        ratio = cost[system] - cost[0]
        log = Estimate.of(ratio)
        text = f"{name}: log10 of squared misfit over that of (1), mean ({np.sum(ratio > 0)} of {len(ratio)} networks above 0)"
        out.append(Claim(text, "F10", log, at_least(0), gated))
        factor = f"{name}: the same, factor {10 ** float(log.mean):.2g} against 3"
        out.append(Claim(factor, "F10", log, at_least(np.log10(3)), False))
    return out


def plot(data):
    """h, y and w of the first network beside every system, and the misfits."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(SYSTEMS) + 1, figsize=(TWO_COLUMNS, 3.9), sharex=False)
    time = float(data.rate[0]) * data.step.values
    end = float(theory.transition_end(time, data.observed_w.values[0]))
    shown = np.flatnonzero(time <= end)[:: max(1, int((time <= end).sum() // 300))]
    for row, (c, color) in enumerate(zip("hyw", ("C0", "C1", "C2"), strict=True)):
        seen = data[f"observed_{c}"].values[0][shown]
        for column, name in enumerate(SYSTEMS):
            axis = axes[row, column]
            axis.plot(time[shown], seen, color=color)
            axis.plot(time[shown], data[f"predicted_{c}"].values[column, 0][shown], **THEORY)
            reach = 0.25 * np.ptp(seen)
            axis.set_ylim(seen.min() - reach, seen.max() + reach)
            axis.set_title("" if row else name.replace("equation_1", "(1)"), fontsize=7)
            if column:
                axis.set_yticklabels([])
            if row < 2:
                axis.set_xticklabels([])
        axes[row, 0].set_ylabel(f"${c}$")
        axis, values = axes[row, -1], data[f"fit_rms_{c}"].values
        for place in range(len(SYSTEMS)):
            axis.plot(np.full(values.shape[1], place), values[place], "o", ms=2.5, color=color)
        axis.set(yscale="log", xticks=range(len(SYSTEMS)), xlim=(-0.5, len(SYSTEMS) - 0.5))
        axis.set_xticklabels(["(1)", *"abcd"] if row == 2 else [])
        axis.yaxis.tick_right()
        axis.yaxis.set_label_position("right")
        axis.set_ylabel("misfit / max", fontsize=7)
    for axis, letter in zip(axes[2, 1:-1], "abcd", strict=True):
        axis.text(0.93, 0.08, letter, transform=axis.transAxes, ha="right", fontsize=8)
    figure.supxlabel("time (rate × step)", fontsize=8)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
