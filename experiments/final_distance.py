"""The final distance between two representations follows from the distances of inputs and targets, if weights start small.

Networks learn pairs of points on a grid of input and target distances, at a small, an intermediate and a large initial scale. Their
final distances are compared with formula (3), whose two rates are the mean over other networks that learn one fixed pair.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, theory against experiment (F5).

    python -m experiments.final_distance

Expect: rich r ≥ 0.9 and slope in [0.7, 1.2], better than the initial distance; lazy: the initial distance survives (r ≥ 0.95) and the
data do not matter (r with A_low ≤ 0.6).
Time: tiny 10 s, default 75 s, paper 1 h.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import TwoPoints
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, at_least, at_most, between, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._settings import check_inputs, check_layer, check_records, followed

REGIMES = ("rich", "intermediate", "lazy")
STOP, DROP, REFERENCE_DROP = 1e-4, 1e-3, 1e-2


@record
class Config:
    """Three gains and one grid of distances; every network has its own seed."""

    rich: float = traced(0.9, "gain per weight layer, small initial weights", low=1e-3, high=1e3)
    intermediate: float = traced(1.2, "gain per weight layer, near the crossover", low=1e-3, high=1e3)
    lazy: float = traced(1.8, "gain per weight layer, large initial weights", low=1e-3, high=1e3)
    dx_low: float = traced(0.5, "least distance |dx| of the inputs", low=1e-3, high=1e3)
    dx_high: float = traced(1.5, "largest distance |dx| of the inputs", low=1e-3, high=1e3)
    dy_low: float = traced(0.0, "least distance |dy*| of the targets", low=0, high=1e3)
    dy_high: float = traced(1.0, "largest distance |dy*| of the targets", low=0, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    model: Model = MLPConfig()
    side: int = static(5, "distances along each side of the grid", low=2, high=100)
    replicas: int = static(5, "networks at each point of the grid, for each gain", low=2, high=1000)
    references: int = static(10, "networks at |dx| = 1, |dy*|² = 1/2 that measure the rates, for each gain", low=2, high=1000)
    steps: int = static(3000, "training steps", low=10, high=10_000_000)
    every: int = static(3, "steps between records; divides steps", low=1)
    layer: int = static(-1, "followed hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20, "hidden_layers": 4}, "side": 3, "replicas": 2, "references": 2, "steps": 300},
        "paper": {"model": {"width": 500, "hidden_layers": 20}, "intermediate": 1.25, "rich": 1.0, "lazy": 1.4, "steps": 6000},
    }

    def __post_init__(self) -> None:
        for axis in ("dx", "dy"):
            low, high = getattr(self, f"{axis}_low"), getattr(self, f"{axis}_high")
            if low >= high:
                raise ValueError(f"{axis}_high={high:g}: must be above {axis}_low={low:g}, or all distances of the grid are equal")
        check_records(self.steps, self.every)
        check_layer(self.layer, self.model)


@record
class Result:
    """`regime` counts rich, intermediate, lazy; `point` the grid, target distances running fastest."""

    geometry: Float[theory.Geometry, "point"] = array("grid")
    rates: Float[theory.Rates, "regime reference"] = array("networks at |dx| = 1, |dy*|² = 1/2")
    reference_loss: Float[Array, "regime reference"] = array("training loss at the end", "output²")
    initial: Float[theory.TwoPoint, "regime replica point"] = array("untrained network")
    final: Float[Array, "regime replica point"] = array("distance when the loss fell below 1e-4, or at the end", "hidden²")
    loss: Float[Array, "regime replica point"] = array("training loss at the end", "output²")
    learnt: Bool[Array, "regime replica point"] = array("whether the loss at the end is below 1e-3")
    formula: Float[Array, "regime replica point"] = array("final distance by theory with the mean rates", "hidden²", source="formula (3)")
    plateau: Float[Array, "regime replica point"] = array("A_low with the mean rates", "hidden²", source="formula (3)")


def load(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets (pair, 2, 1) of the references and then of the grid."""
    axes = np.linspace(config.dx_low, config.dx_high, config.side), np.linspace(config.dy_low, config.dy_high, config.side)
    grid = [(1.0, 0.5**0.5)] * config.references + [(float(dx), float(dy)) for dx in axes[0] for dy in axes[1]]
    pairs = [TwoPoints(dx=dx, dy=dy).load().train for dx, dy in grid]
    check_inputs(config.model, pairs[0].x.shape[1])
    return np.stack([p.x for p in pairs]), np.stack([p.y for p in pairs])


def run(config: Config, data: tuple[np.ndarray, np.ndarray]) -> Result:
    """Train all networks of all regimes as one program; fit the references in one call."""
    model, split, replicas = config.model, config.references, config.replicas
    x, y = (jnp.concatenate([a[:split], jnp.tile(a[split:], (replicas, 1, 1))]) for a in data)
    count = len(x)
    layer = followed(config.layer, model)
    gains = jnp.repeat(jnp.stack([jnp.asarray(getattr(config, r), float) for r in REGIMES]), count)

    def network(key, gain, x, y):
        scale, sizes = gain**model.weight_layers, {"layers": (layer,), "steps": config.steps, "every": config.every}
        seen, _ = theory.train_and_follow(key, scale, model, training.GradientDescent(), x, y, jnp.arange(2), **sizes)
        return seen.rate, jax.tree.map(lambda a: a[0], seen.state), seen.loss

    keys = jax.random.split(jax.random.key(config.seed), len(gains))
    tile = lambda a: jnp.tile(a, (len(REGIMES), 1, 1))
    seen = training.over_networks(network, keys, gains, tile(x), tile(y))
    rate, state, loss = jax.tree.map(lambda a: a.reshape(len(REGIMES), count, *a.shape[1:]), seen)
    references = jax.tree.map(lambda a: a[:, :split], (rate, state, loss))
    state, loss = jax.tree.map(lambda a: a[:, split:].reshape(len(REGIMES), replicas, -1, a.shape[-1]), (state, loss))

    step = jnp.arange(0, config.steps, config.every).astype(float)
    geometry = theory.geometry_of_points(*data)
    fixed, geometry = (jax.tree.map(lambda a, part=part: a[part], geometry) for part in (0, slice(split, None)))
    rates = theory.fit_each(references[0][..., None] * step[None, None], references[1], fixed).rates
    kept = (references[2][..., -1] < REFERENCE_DROP).astype(float)
    share = kept / jnp.maximum(jnp.sum(kept, axis=1, keepdims=True), 1.0)
    mean = jax.tree.map(lambda r: jnp.sum(r * share, axis=1)[:, None, None], rates)
    wide = jax.tree.map(lambda a: a[None, None], geometry)
    initial, ended = jax.tree.map(lambda c: c[..., 0], state), loss < STOP
    last = jnp.where(jnp.any(ended, axis=-1), jnp.argmax(ended, axis=-1), len(step) - 1)
    return Result(
        geometry=geometry,
        rates=rates,
        reference_loss=references[2][..., -1],
        initial=initial,
        final=jnp.take_along_axis(state.h, last[..., None], axis=-1)[..., 0],
        loss=loss[..., -1],
        learnt=loss[..., -1] < DROP,
        formula=theory.final_distance(initial, mean, wide),
        plateau=jnp.broadcast_to(theory.plateau(mean, wide), loss.shape[:-1]),
    )


def claims(data) -> list[Claim]:
    """Medians over grids of networks of their own seeds, each of those whose loss fell below 1e-3; rich and lazy are gated."""
    gated, out = str(data["model"].values) == "mlp", []
    for i, regime in enumerate(REGIMES):
        kept = data.learnt.values[i]
        grids = [{name: data[name].values[i, j][k] for name in ("final", "formula", "initial_h", "plateau")} for j, k in enumerate(kept)]
        r = {name: np.array([_pearson(g[name], g["final"]) for g in grids]) for name in ("formula", "initial_h", "plateau")}
        slope = np.array([np.sum(g["formula"] * g["final"]) / np.sum(g["formula"] ** 2) for g in grids])
        text, median = f"{regime}: correlation of final distance with", Estimate.of_median
        share = f"({kept.sum()} of {kept.size} networks)"
        formula = (f"{text} formula (3), median {share}", "F5", median(r["formula"]))
        start, plateau = ((f"{text} {name}, median", "F5", median(r[k])) for name, k in (("h₀", "initial_h"), ("A_low", "plateau")))
        if regime == "rich":
            better = median(r["formula"] - r["initial_h"])
            out += [
                Claim(*formula, at_least(0.9), gated),
                Claim("rich: slope through 0, median", "F5", median(slope), between(0.7, 1.2), gated),
                Claim("rich: correlation with formula (3) less that with h₀, median", "F5", better, at_least(0), gated),
            ]
        elif regime == "lazy":
            out += [Claim(*start, at_least(0.95), gated), Claim(*plateau, at_most(0.6), gated), Claim(*formula, at_least(0.9), False)]
        else:
            out += [Claim(*c, at_least(0.5), False) for c in (formula, start, plateau)]
    return out


def _pearson(x, y) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def plot(data):
    """Measured against predicted distance, a panel for each regime; colour is the target distance."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(TWO_COLUMNS, 2.5))
    dy = np.broadcast_to(np.sqrt(data.geometry_dy2.values), data.final.shape[1:])
    for i, (axis, regime) in enumerate(zip(axes, REGIMES, strict=True)):
        kept = data.learnt.values[i]
        formula, h, start = (data[name].values[i] for name in ("formula", "final", "initial_h"))
        axis.plot(formula[kept], start[kept], "_", color="0.7", ms=4, label="initial $h$")
        points = axis.scatter(formula[kept], h[kept], s=7, c=dy[kept], cmap="viridis", zorder=3, label="final $h$")
        if not kept.all():
            axis.plot(formula[~kept], h[~kept], "x", color="C3", ms=4, label="not learnt")
        shown = np.concatenate([formula[kept], h[kept], start[kept]])
        top, bottom = 1.3 * shown.max(), 0.0
        if shown.max() > 100 * np.median(shown):
            bottom = 0.7 * shown[shown > 0].min()
            axis.set(xscale="log", yscale="log")
        axis.plot([bottom, top], [bottom, top], **THEORY)
        r = Estimate.of_median(np.array([_pearson(f[k], g[k]) for f, g, k in zip(formula, h, kept, strict=True)]))
        axis.set(xlim=(bottom, top), ylim=(bottom, top), xlabel=r"$h_\infty$ by formula (3)")
        axis.set_title(f"{regime}, gain {float(data[regime]):g}: r = {float(r.mean):.2f}", fontsize=7)
        axis.legend(fontsize=6, loc="upper left")
    axes[0].set_ylabel("final $h$ of the network")
    figure.colorbar(points, ax=axes, label=r"target distance $|dy^*|$", pad=0.01)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
