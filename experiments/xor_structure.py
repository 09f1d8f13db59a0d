"""Small initial weights make the structure of exclusive or appear; large ones keep the initial one; one hidden layer is not enough.

ReLU networks learn the four points. The distances between their representations are compared with formula (3), pair by pair, from the
initial distances and the rates of other networks that learn two points. A scan over gains shows where the structure sets in.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, exclusive-or distances (F6).

    python -m experiments.xor_structure

Expect: rich: every distance between classes above every one within, correlation with the initial matrix < 0.5; lazy: ≥ 0.9; one hidden
layer: the theory is visibly wrong.
Time: tiny 15 s, default 90 s, paper 40 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import XOR, Points, TwoPoints
from dltheory.lab import TWO_COLUMNS, Claim, at_least, at_most, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._settings import check_inputs, check_layer, followed, some_records

CASES = ("rich", "intermediate", "lazy", "shallow")
POINTS = ("00", "01", "10", "11")
WITHIN = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]], bool)
BETWEEN = ~WITHIN & ~np.eye(4, dtype=bool)
LEARNT = 1e-2


@record
class Config:
    """Gains per weight layer; the shallow network has one hidden layer."""

    rich: float = traced(0.8, "gain, small initial weights", low=1e-3, high=1e3)
    intermediate: float = traced(1.25, "gain near the crossover", low=1e-3, high=1e3)
    lazy: float = traced(2.0, "gain, large initial weights", low=1e-3, high=1e3)
    shallow: float = traced(0.005, "gain of the network with one hidden layer", low=1e-4, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    model: Model = MLPConfig(activation="relu")
    networks: int = static(7, "networks of each gain", low=2, high=10_000)
    scan: int = static(6, "gains from rich to lazy in the scan", low=2, high=100)
    steps: int = static(6000, "training steps", low=10, high=10_000_000)
    layer: int = static(-1, "followed hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20, "hidden_layers": 4}, "networks": 2, "scan": 2, "steps": 300},
        "paper": {"rich": 0.85, "model": {"width": 500, "hidden_layers": 20}, "shallow": 0.0015, "networks": 5},
    }

    def __post_init__(self) -> None:
        check_layer(self.layer, self.model)
        if not self.rich < self.lazy:
            raise ValueError(f"rich={self.rich:g}: must be below lazy={self.lazy:g}")


@record
class Result:
    """`case` counts rich, intermediate, lazy, shallow; `scanned` the gains of the scan. Distances are squared."""

    before: Float[Array, "case network point other"] = array("distances, untrained", "hidden²")
    after: Float[Array, "case network point other"] = array("distances, trained", "hidden²")
    formula: Float[Array, "case network point other"] = array("distances by theory", "hidden²", source="formula (3)")
    loss: Float[Array, "case network"] = array("training loss at the end", "output²")
    rates: Float[theory.Rates, "case network"] = array("networks that learn two points")
    gain: Float[Array, "scanned"] = array("gain per weight layer")
    scan_before: Float[Array, "scanned network point other"] = array("distances, untrained", "hidden²")
    scan_after: Float[Array, "scanned network point other"] = array("distances, trained", "hidden²")
    scan_loss: Float[Array, "scanned network"] = array("training loss at the end", "output²")


def load(config: Config) -> tuple[Points, Points]:
    """The four points, and the two that measure rates."""
    four, two = XOR().load().train, TwoPoints(inputs=2).load().train
    check_inputs(config.model, four.x.shape[1])
    return four, two


def run(config: Config, data: tuple[Points, Points]) -> Result:
    """Train deep networks at all gains as one program and shallow ones as another; predict from the mean rates of each case."""
    xor, two = data
    deep, n = config.model, config.networks
    layer = followed(config.layer, deep)
    flat = MLPConfig(width=deep.width, hidden_layers=1, activation=deep.activation)  # pyright: ignore[reportAttributeAccessIssue]
    gains = jnp.stack([jnp.asarray(getattr(config, c), float) for c in CASES[:3]])
    scanned = jnp.geomspace(gains[0], gains[2], config.scan)
    keys = lambda stream, count: jax.random.split(jax.random.fold_in(jax.random.key(config.seed), stream), count)

    after = [
        _train(keys(i, n * len(g)), jnp.repeat(g, n), m, k, xor, config.steps)
        for i, (m, k, g) in enumerate(_plan(config, flat, layer, gains, scanned))
    ]
    rates = [
        _rates(keys(2 + i, n * len(g)), jnp.repeat(g, n), m, k, two, config.steps)
        for i, (m, k, g) in enumerate([(deep, layer, gains), (flat, 0, jnp.asarray([config.shallow]))])
    ]
    cases, scan = (jax.tree.map(lambda a, part=part: a[part], after[0]) for part in (slice(3 * n), slice(3 * n, None)))
    join = lambda *a: jnp.concatenate(a).reshape(4, n, *a[0].shape[1:])
    before, end, output, loss = jax.tree.map(join, cases, after[1])
    found = jax.tree.map(join, *rates)
    mean = jax.tree.map(lambda r: jnp.mean(r, axis=1)[:, None, None, None], found)
    geometry = theory.Geometry(theory.squared_distances(xor.x)[None, None], theory.squared_distances(xor.y)[None, None])
    start = theory.TwoPoint(before, output, output)
    formula = jnp.where(before > 0, theory.final_distance(start, mean, geometry), 0.0)
    by_gain = lambda a: a.reshape(config.scan, n, *a.shape[1:])
    return Result(before, end, formula, loss, found, scanned, by_gain(scan[0]), by_gain(scan[1]), by_gain(scan[3]))


def _plan(config, flat, layer, gains, scanned):
    """(model, layer, gains) of the two programs that learn exclusive or."""
    return (config.model, layer, jnp.concatenate([gains, scanned])), (flat, 0, jnp.asarray(config.shallow)[None])


def _train(keys, gains, model, layer, points, steps):
    """Squared distances of representations before and after training, of outputs before, and the last loss."""

    def network(key, gain):
        scale = gain.astype(float) ** model.weight_layers
        sizes = {"layers": (layer,), **some_records(steps)}
        seen, apply = theory.train_and_follow(key, scale, model, training.GradientDescent(), points.x, points.y, jnp.arange(2), **sizes)
        first, last = (apply(p, points.x.astype(jnp.float32)) for p in (seen.start, seen.end))
        loss = training.mean_squared_error(last.output.astype(float), jnp.asarray(points.y))
        distances = (theory.squared_distances(a) for a in (first.hidden[layer], last.hidden[layer], first.output))
        return *distances, loss

    return training.over_networks(network, keys, gains)


def _rates(keys, gains, model, layer, points, steps):
    """Fitted rates of networks that learn two points."""
    every = max(1, steps // 1000)

    def network(key, gain):
        scale = gain.astype(float) ** model.weight_layers
        sizes = {"layers": (layer,), "steps": steps // every * every, "every": every}
        seen, _ = theory.train_and_follow(key, scale, model, training.GradientDescent(), points.x, points.y, jnp.arange(2), **sizes)
        return seen.rate, jax.tree.map(lambda a: a[0], seen.state)

    rate, state = training.over_networks(network, keys, gains)
    times = rate[:, None] * (every * jnp.arange(state.h.shape[1]))[None].astype(float)
    return theory.fit_each(times, state, theory.geometry_of(points, np.arange(2))).rates


def _within_over_between(distances):
    """Mean distance within classes over that between, of squared distances (..., 4, 4)."""
    d = np.sqrt(distances)
    return d[..., WITHIN].mean(axis=-1) / d[..., BETWEEN].mean(axis=-1)


def _correlation(a, b) -> float:
    upper = np.triu_indices(4, 1)
    return float(np.corrcoef(np.sqrt(a)[upper], np.sqrt(b)[upper])[0, 1])


def claims(data) -> list[Claim]:
    """Networks that learnt the task; the three deep cases are gated, the shallow one says that the theory fails."""
    out, gated = [], str(data["model"].values) == "mlp"
    for i, case in enumerate(CASES):
        kept = data.loss.values[i] < LEARNT
        before, after, formula = (data[name].values[i][kept] for name in ("before", "after", "formula"))
        if not len(after):
            out.append(Claim(f"{case}: networks that learnt exclusive or, fraction", "F6", 0.0, at_least(0.5), False))
            continue
        start = Estimate.of_median(np.array([_correlation(a, b) for a, b in zip(after, before, strict=True)]))
        ratio = Estimate.of_median(_within_over_between(after))
        error = np.abs(np.sqrt(after) - np.sqrt(formula))[:, ~np.eye(4, dtype=bool)].mean(axis=1)
        error = Estimate.of_median(error / np.sqrt(after)[:, BETWEEN].mean(axis=1))
        count = f"{kept.sum()} of {kept.size} networks learnt"
        miss = f"{case}: error of formula (3) over the distance between classes, median"
        if case == "rich":
            least = after[:, BETWEEN].min(axis=1) / after[:, WITHIN].max(axis=1)
            share = np.mean(least > 1)
            text = f"rich: networks whose every distance between classes is above every one within ({count})"
            out.append(Claim(text, "F6", Estimate(share, np.sqrt(share * (1 - share) / len(least)), len(least)), at_least(0.5), gated))
            out.append(Claim("rich: correlation with the initial matrix, median", "F6", start, at_most(0.5), gated))
            out.append(Claim("rich: distance within over between classes, median", "F6", ratio, at_most(0.5), False))
            out.append(Claim(miss, "F6, formula (3)", error, at_most(0.3), False))
        elif case == "lazy":
            out.append(Claim(f"lazy: correlation with the initial matrix, median ({count})", "F6", start, at_least(0.9), gated))
        elif case == "shallow":
            text = f"shallow: distance within over between classes, median ({count})"
            out.append(Claim(text, "F6", ratio, at_least(0.3), False))
            theirs = Estimate.of_median(_within_over_between(formula))
            out.append(Claim("shallow: the same by formula (3), median", "F6, formula (3)", theirs, at_most(0.1), False))
            out.append(Claim(f"{miss}: visibly wrong", "F6, formula (3)", error, at_least(0.2), gated))
        else:
            out.append(Claim(f"intermediate: correlation with the initial matrix, median ({count})", "F6", start, at_most(0.9), False))
    return [*out, *_claims_scan(data, gated)]


def _claims_scan(data, gated) -> list[Claim]:
    gain, medians = data.gain.values, []
    for after, loss in zip(data.scan_after.values, data.scan_loss.values, strict=True):
        kept = loss < LEARNT
        medians.append(Estimate.of_median(_within_over_between(after[kept])) if kept.sum() > 1 else Estimate(np.nan, np.nan, kept.sum()))
    means = np.array([float(m.mean) for m in medians])
    found = np.flatnonzero(np.isfinite(means))
    if len(found) < 2:
        return []
    low, high = medians[found[0]], medians[found[-1]]
    fall = Estimate(float(high.mean - low.mean), float(np.hypot(high.standard_error, low.standard_error)), low.count)
    reached = np.flatnonzero(means <= 0.3)
    where = f"reaches 0.3 at gain {gain[reached[-1]]:.3g}" if len(reached) else f"does not reach 0.3, least {np.nanmin(means):.2g}"
    text = f"within over between classes, gain {gain[found[-1]]:.3g} less gain {gain[found[0]]:.3g} ({where})"
    return [Claim(text, "F6", fall, at_least(0), gated)]


def plot(data):
    """Median distance matrices before, by theory and after training, and the ratio within/between over gains."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(TWO_COLUMNS, 3.9))
    left, right = figure.subfigures(1, 2, width_ratios=(2.2, 1))
    axes = left.subplots(3, 4)
    for i, case in enumerate(CASES):
        shown = {name: np.median(np.sqrt(data[name].values[i]), axis=0) for name in ("before", "formula", "after")}
        for axis, (name, matrix) in zip(axes[:, i], shown.items(), strict=True):
            top = max(shown["after"].max(), 1e-12) if name != "before" else max(matrix.max(), 1e-12)
            axis.imshow(matrix, vmin=0, vmax=top, cmap="viridis")
            for (r, c), value in np.ndenumerate(matrix):
                axis.text(c, r, f"{value:.2g}", ha="center", va="center", fontsize=4.5, color="white" if value < 0.6 * top else "black")
            axis.set(xticks=range(4), yticks=range(4))
            axis.set_xticklabels(POINTS if name == "after" else [], fontsize=5.5)
            axis.set_yticklabels(POINTS if i == 0 else [], fontsize=5.5)
            axis.tick_params(length=0)
        axes[0, i].set_title(f"{case}\ngain {float(data[case]):g}", fontsize=7)
    for axis, label in zip(axes[:, 0], ("untrained", "formula (3)", "trained"), strict=True):
        axis.set_ylabel(label)
    axis = right.subplots()
    for g, after, loss in zip(data.gain.values, data.scan_after.values, data.scan_loss.values, strict=True):
        kept = loss < LEARNT
        values = _within_over_between(after)
        axis.plot(np.full(kept.sum(), g), values[kept], "o", color="C0", ms=3)
        axis.plot(np.full((~kept).sum(), g), values[~kept], "x", color="0.6", ms=3)
    before = [np.median(_within_over_between(b)) for b in data.scan_before.values]
    axis.plot(data.gain, before, color="C1", label="untrained, median")
    axis.plot([], [], "o", color="C0", ms=3, label="trained networks")
    axis.plot([], [], "x", color="0.6", ms=3, label="not learnt")
    axis.axhline(0.3, color="0.5", linestyle=":")
    axis.set(xlabel="gain per weight layer", ylabel="distance within / between classes", ylim=(0, None))
    axis.legend(fontsize=6)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
