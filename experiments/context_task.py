"""Rich networks compress the feature that does not matter; lazy ones keep it.

A blob's place across counts in one context, its place up in the other. In a hidden layer, the variance over the feature that does not
count in its context is compared with that over the one that does, before training and after, at three initial scales.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, context task (F8), after Flesch et al. (2022).

    python -m experiments.context_task

Expect: at small gain the irrelevant feature's variance over the relevant one's falls far below that of the untrained network; at large
gain it stays near it.
Time: tiny 10 s, default 60 s, paper 10 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import ContextBlobs, Points, square
from dltheory.lab import TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._settings import check_inputs, check_layer, followed, some_records

REGIMES = ("large", "intermediate", "small")
SHOWN = 3  # principal components of the representation that are drawn


@record
class Config:
    """Gains per weight layer."""

    large: float = traced(2.0, "gain, large initial weights", low=1e-3, high=1e3)
    intermediate: float = traced(0.5, "gain between", low=1e-3, high=1e3)
    small: float = traced(0.35, "gain, small initial weights (the paper's is 0.275)", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    model: Model = MLPConfig(hidden_layers=4)
    networks: int = static(5, "networks of each gain", low=2, high=10_000)
    side: int = static(30, "blob centres along each side", low=3, high=200)
    batch: int = static(16, "examples per training step, 0: all", low=0)
    steps: int = static(40000, "training steps", low=10, high=10_000_000)
    layer: int = static(-1, "hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20}, "networks": 2, "side": 6, "steps": 200},
        "paper": {"small": 0.275, "networks": 10, "batch": 64, "steps": 56000},
    }

    def __post_init__(self) -> None:
        check_layer(self.layer, self.model)
        if self.batch > 2 * self.side**2:
            raise ValueError(f"batch={self.batch}: must be ≤ {2 * self.side**2}, the examples there are")


@record
class Result:
    """`regime` counts large, intermediate, small gain."""

    relevant: Float[Array, "regime network when"] = array("variance over the feature that counts, untrained (0) and trained (1)", "hidden²")
    irrelevant: Float[Array, "regime network when"] = array("variance over the feature that does not count", "hidden²")
    contexts: Float[Array, "regime network when"] = array("squared distance of the mean representations of the contexts", "hidden²")
    loss: Float[Array, "regime network"] = array("loss of all examples at the end", "output²")
    shown: Float[Array, "regime example component"] = array("principal components of the first network's representation", "hidden")


def load(config: Config) -> Points:
    """All blobs in both contexts."""
    points = ContextBlobs(side=config.side).load().train
    check_inputs(config.model, points.x.shape[1])
    return points


def run(config: Config, train: Points) -> Result:
    """Train all networks as one program."""
    model, side = config.model, config.side
    layer = followed(config.layer, model)
    gains = jnp.repeat(jnp.stack([jnp.asarray(getattr(config, r), float) for r in REGIMES]), config.networks)

    def network(key, gain):
        scale, descent = gain**model.weight_layers, training.GradientDescent()
        sizes = {"layers": (layer,), **some_records(config.steps), "batch": config.batch}
        seen, apply = theory.train_and_follow(key, scale, model, descent, train.x, train.y, jnp.arange(2), **sizes)
        ends = [apply(p, train.x.astype(jnp.float32)) for p in (seen.start, seen.end)]
        hidden = [a.hidden[layer].astype(float).reshape(2, side, side, -1) for a in ends]
        loss = training.mean_squared_error(ends[1].output.astype(float), jnp.asarray(train.y))
        spread = [_variances(h) for h in hidden]
        return *(jnp.stack(s) for s in zip(*spread, strict=True)), loss, _components(hidden[1].reshape(len(train.x), -1))

    found = training.over_networks(network, jax.random.split(jax.random.key(config.seed), len(gains)), gains)
    relevant, irrelevant, contexts, loss, shown = jax.tree.map(lambda a: a.reshape(len(REGIMES), -1, *a.shape[1:]), found)
    return Result(relevant, irrelevant, contexts, loss, shown[:, 0])


def _variances(hidden):
    """Main effects of the features on hidden (context, across, up, unit): variance over the values of the one that counts, averaged over
    the other's values first, and over those of the one that does not; and the squared distance of the contexts."""
    effect = lambda h, other: jnp.sum(jnp.var(jnp.mean(h, axis=other), axis=0))
    counts = effect(hidden[0], 1) + effect(hidden[1], 0)
    does_not = effect(hidden[0], 0) + effect(hidden[1], 1)
    return counts / 2, does_not / 2, jnp.sum(jnp.diff(jnp.mean(hidden, axis=(1, 2)), axis=0) ** 2)


def _components(hidden):
    """The first principal components of hidden (examples, units)."""
    u, s, _ = jnp.linalg.svd(hidden - jnp.mean(hidden, axis=0, keepdims=True), full_matrices=False)
    return u[:, :SHOWN] * s[None, :SHOWN]


def claims(data) -> list[Claim]:
    """Ratio of the irrelevant feature's variance to the relevant one's; small gain is gated against large."""
    ratio = data.irrelevant.values / data.relevant.values
    gated, out = str(data["model"].values) == "mlp", []
    for i, regime in enumerate(REGIMES):
        share = Estimate.of_median(ratio[i, :, 1])
        kept = Estimate.of_median(ratio[i, :, 1] / ratio[i, :, 0])
        text = f"{regime} gain {float(data[regime]):g}: irrelevant over relevant variance"
        if regime == "small":
            out.append(Claim(f"{text}, median", "F8", share, at_most(0.5), gated))
            out.append(Claim(f"{text}, trained over untrained, median", "F8", kept, at_most(0.5), gated))
        else:
            out.append(Claim(f"{text}, median", "F8", share, about(1, 0.5) if regime == "large" else at_most(1), False))
            out.append(
                Claim(f"{text}, trained over untrained, median", "F8", kept, about(1, 0.5) if regime == "large" else at_most(1), False)
            )
    small, large = (np.log10(ratio[i, :, 1]) for i in (2, 0))
    fall = Estimate.of(large - small)
    out.append(Claim("decades by which small gain compresses more than large, mean", "F8", fall, at_least(0.5), gated))
    separation = (data.contexts / data.relevant).values[:, :, 1]
    apart = Estimate.of_median(np.log10(separation[2] / separation[0]))
    text = "log10 of the distance of contexts over relevant variance, small over large gain, median"
    out.append(Claim(text, "F8", apart, at_least(0), False))
    loss = Estimate.of_median(data.loss.values[2] / (np.var(square(int(data.side))[:, 0]) / 2))
    out.append(Claim("small gain: loss over that of the mean target, median", "this run", loss, at_most(0.1), gated))
    return out


def plot(data):
    """The representation in its principal plane, coloured by context and by each feature; the variances."""
    import matplotlib.pyplot as plt

    side = int(data.side)
    centres, context = np.tile(square(side), (2, 1)), np.repeat([0, 1], side**2)
    figure, axes = plt.subplots(3, 4, figsize=(TWO_COLUMNS, 5.4))
    colours = {"context": context, "place across": centres[:, 0], "place up": centres[:, 1]}
    for i, regime in enumerate(REGIMES):
        points = data.shown.values[i]
        for axis, (name, values) in zip(axes[i], colours.items(), strict=False):
            axis.scatter(points[:, 0], points[:, 1], c=values, cmap="coolwarm" if name == "context" else "viridis", s=1.2)
            axis.set(xticks=[], yticks=[])
            if i == 0:
                axis.set_title(name, fontsize=8)
        axes[i, 0].set_ylabel(f"{regime}, gain {float(data[regime]):g}\nsecond component")
        axis = axes[i, 3]
        ratio = data.irrelevant.values[i] / data.relevant.values[i]
        axis.plot([0, 1], ratio.T, "o-", color="C0", ms=3, linewidth=0.8)
        axis.set(yscale="log", xticks=[0, 1], xlim=(-0.4, 1.4), ylim=(0.5 * np.min(data.irrelevant / data.relevant), 4))
        axis.set_xticklabels(["untrained", "trained"])
        axis.axhline(1, color="0.7", linewidth=0.8, linestyle=":")
        if i == 0:
            axis.set_title("irrelevant / relevant var.", fontsize=7.5)
    for axis in axes[2, :3]:
        axis.set_xlabel("first component")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
