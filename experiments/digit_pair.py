"""Two images followed through training on real digits: the right shape, though the theory knows nothing of the other images.

A network learns all digits; the distances h of the representations and y of the predictions of one 0 and one 1, and their alignment w,
are shown beside the two-point theory.

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, MNIST trajectory (F4).

    python -m experiments.digit_pair
    python -m experiments.digit_pair data=mnist_t10k

Expect: h grows, y approaches S = 2, w dips and returns, each by the shape of the theory; the dip of the fitted theory lies beside that
of the network by the reported delay.
Time: tiny 10 s, default 30 s, paper 20 min.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Data, Digits, Points, draw_pair
from dltheory.lab import TWO_COLUMNS, Claim, about, at_least, at_most, compare, compare_legend, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._pair import final
from experiments._settings import check_inputs, check_layer, check_records, followed

FIRST, SECOND = 0, 1


@record
class Config:
    """The followed pair is a 0 and a 1 drawn by the seed unless given."""

    gain: float = traced(0.5, "gain per weight layer", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    first: int = traced(-1, "index of the first followed image; -1: a 0 drawn by the seed", low=-1)
    second: int = traced(-1, "index of the second followed image; -1: a 1 drawn by the seed", low=-1)
    data: Data = Digits()
    model: Model = MLPConfig(width=200, hidden_layers=4)
    optimizer: training.Optimizer = training.GradientDescent()
    networks: int = static(5, "networks", low=2, high=10_000)
    steps: int = static(4400, "training steps (200 epochs of digits are 4,490)", low=10, high=10_000_000)
    every: int = static(4, "steps between records; divides steps", low=1)
    layer: int = static(-1, "followed hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20}, "networks": 2, "steps": 200},
        "paper": {"networks": 10, "steps": 25000, "every": 25},
    }

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)
        check_layer(self.layer, self.model)
        if isinstance(self.optimizer, training.GradientFlow):
            raise ValueError("optimizer=gradient_flow: must be gradient_descent, momentum or adam, which take batches")


@record
class Result(theory.Followed):
    """What a run keeps."""

    geometry: Float[theory.Geometry, ""] = array("data")
    points: Float[Array, ""] = array("training images")
    target_variance: Float[Array, ""] = array("variance of the held-out targets", "output²")


def load(config: Config) -> tuple[Points, Points, np.ndarray]:
    """Training images, held-out images, indices of the followed pair."""
    data = config.data.load()
    check_inputs(config.model, data.train.x.shape[1])
    random, chosen = np.random.default_rng(config.seed), [int(config.first), int(config.second)]
    for i, digit in enumerate((FIRST, SECOND)):
        if chosen[i] < 0:
            there = np.flatnonzero(data.train.label == digit)
            if not len(there):
                raise ValueError(f"{('first', 'second')[i]}=-1: no image of a {digit} among the {len(data.train.label)} training images")
            chosen[i] = int(random.choice(there))
    return data.train, data.test if len(data.test.x) else data.train, draw_pair(data.train, config.seed, *chosen)


def run(config: Config, data: tuple[Points, Points, np.ndarray]) -> Result:
    """Train on all images, following the pair."""
    train, held, pair = data
    layer = followed(config.layer, config.model)
    keys = jax.random.split(jax.random.key(config.seed), config.networks)
    scales = jnp.full(config.networks, jnp.asarray(config.gain) ** config.model.weight_layers)
    sizes: dict[str, Any] = {"layer": layer, "steps": config.steps, "every": config.every, "batch": config.data.batch}
    seen = theory.follow(keys, scales, config.model, config.optimizer, train, held, pair, **sizes)
    variance = jnp.sum(jnp.var(jnp.asarray(held.y), axis=0))
    return Result(**vars(seen), geometry=theory.geometry_of(train, pair), points=jnp.asarray(float(len(train.x))), target_variance=variance)


def _dips(data):
    """Times at which w of each network and of its theory is least."""
    time = data.rate.values[:, None] * data.step.values
    return [np.take_along_axis(time, data[f"{k}_w"].values.argmin(axis=1)[:, None], 1)[:, 0] for k in ("observed", "predicted")]


def claims(data) -> list[Claim]:
    """Nothing is gated but that the networks learn: how well the pair follows the theory is what is to be found out."""
    S, (seen, theirs) = float(data.geometry_dy2), _dips(data)
    learnt = final(data, "observed_y") / S
    misfit = {c: Estimate.of_median(data[f"fit_rms_{c}"].values) for c in "hyw"}
    limit = vars(theory.MISFIT_LIMITS)
    ratio = Estimate.of(data.held_out.values / (float(data.target_variance) / 2))
    dip = Estimate.of(data.observed_w.values.min(axis=1) / (-S / 4))
    delay = Estimate.of(theirs / seen - 1)
    growth = Estimate.of_median(np.log10(final(data) / data.observed_h.values[:, 0]))
    return [
        Claim("held-out loss over that of the mean target, mean", "this run", ratio, at_most(0.5)),
        Claim("decades by which h grows, median", "F4", growth, at_least(0), False),
        Claim("final y over S, mean (F4: 0.98)", "F4, fixed point", Estimate.of(learnt), about(1, 0.1), False),
        Claim("lowest w over -S/4, mean (F4: 0.84)", "F4, half time", dip, about(1, 0.2), False),
        Claim(
            "dip of w: time by the theory over the network's, less 1, mean (F4: 33/24 - 1 = 0.38)",
            "F4",
            delay,
            about(0, absolute=0.5),
            False,
        ),
        *(Claim(f"misfit of {c} over its maximum, median", "F4", m, at_most(limit[c]), False) for c, m in misfit.items()),
    ]


def plot(data):
    """h, y, w of the pair in epochs, and the loss."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(TWO_COLUMNS, 2.2))
    batch = float(data["data.batch"]) or float(data.points)
    epoch = np.broadcast_to(data.step.values * batch / float(data.points), data.loss.shape)
    w = data.observed_w.values
    end = min(max(float(theory.transition_end(t, v)) for t, v in zip(epoch, w, strict=True)), float(epoch[0, -1]))
    for axis, c, label in zip(axes, "hyw", ("$h=|dh|^2$", "$y=|dy|^2$", r"$w=dy\cdot(dy-dy^*)$"), strict=False):
        compare(axis, epoch, data[f"observed_{c}"].values, data[f"predicted_{c}"].values, end)
        axis.set(xlabel="epoch", ylabel=label)
    compare_legend(axes[0])
    for i, loss in enumerate(data.loss.values):
        axes[3].plot(epoch[i], loss, color=f"C{i % 7}", linewidth=0.6)
    axes[3].set(xlabel="epoch", ylabel="training loss of the batch", yscale="log")
    name = str(data["data"].values)
    figure.suptitle(f"{name}, {int(data.points):,} training images, X = {float(data.geometry_dx2):.0f}, S = 2", fontsize=8)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
