"""The distances between the representations of many digits: theory beside network.

The squared distances between the representations of a hundred digits, averaged over trained networks, beside the authors' heuristic
and beside formula (3) applied pair by pair; compared by the correlation of their entries (RSA) and by kernel alignment (CKA).

Source: van Rossem & Saxe, "When Representations Align", ICML 2024, MNIST structure (F7); many points go beyond the paper.

    python -m experiments.digit_structure
    python -m experiments.digit_structure data=mnist_t10k

Expect: ten dark blocks; the heuristic correlates with the networks chiefly because it knows the classes; formula (3) does a little better.
Time: tiny 10 s, default 40 s, paper 30 min.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import representation as theory
from dltheory import training
from dltheory.data import Data, Digits, Points, TwoPoints
from dltheory.lab import TWO_COLUMNS, Claim, at_least, at_most, main
from dltheory.models import MLPConfig, Model
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced
from experiments._settings import check_inputs, check_layer, followed, some_records

PREDICTIONS = {
    "heuristic": "heuristic e^{-A} A e^{-A}",
    "formula": "formula (3), pair by pair",
    "same_class": "only whether the classes are equal",
    "inputs": "distances of the inputs",
    "before": "distances in the untrained network",
}


@record
class Config:
    """Images are the first of the training set, sorted by class."""

    gain: float = traced(0.5, "gain per weight layer", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    data: Data = Digits()
    model: Model = MLPConfig(width=200, hidden_layers=4)
    optimizer: training.Optimizer = training.Adam(rate=0.001)
    networks: int = static(5, "networks", low=2, high=10_000)
    steps: int = static(2200, "training steps (100 epochs of digits are 2,245)", low=10, high=10_000_000)
    reference_steps: int = static(
        2000, "training steps of the networks that learn two points and measure the rates", low=20, high=10_000_000
    )
    images: int = static(100, "images compared", low=10, high=1000)
    pool: int = static(2000, "training images that the heuristic averages over, at most", low=10, high=10_000)
    layer: int = static(-1, "compared hidden layer, from 0; -1: the middle one", low=-1)

    sizes: ClassVar = {
        "tiny": {"model": {"width": 20}, "networks": 2, "steps": 100, "reference_steps": 200, "images": 30, "pool": 200},
        "paper": {"networks": 10, "steps": 25000, "pool": 8000},
    }

    def __post_init__(self) -> None:
        check_layer(self.layer, self.model)
        if isinstance(self.optimizer, training.GradientFlow):
            raise ValueError("optimizer=gradient_flow: must be gradient_descent, momentum or adam, which take batches")


@record
class Result:
    """Matrices of squared distances between the images, sorted by class."""

    label: Int[Array, "image"] = array("class")
    points: Float[Array, ""] = array("training images")
    after: Float[Array, "network image other"] = array("trained networks", "hidden²")
    before: Float[Array, "network image other"] = array("untrained networks", "hidden²")
    formula: Float[Array, "network image other"] = array("formula (3), pair by pair", "hidden²", source="formula (3)")
    heuristic: Float[Array, "image other"] = array("squares of e^{-A} A e^{-A}, A = D_x D_y")
    inputs: Float[Array, "image other"] = array("inputs", "input²")
    same_class: Float[Array, "image other"] = array("0 within classes, 1 between")
    rates: Float[theory.Rates, "network"] = array("networks that learn two points")
    accuracy: Float[Array, "network"] = array("share of held-out images whose largest output is their class's")


def load(config: Config) -> tuple[Points, Points, np.ndarray, np.ndarray]:
    """Training and held-out images, the compared ones by index, and the heuristic's matrix."""
    from scipy.spatial.distance import cdist

    data = config.data.load()
    check_inputs(config.model, data.train.x.shape[1])
    if config.images > len(data.train.x):
        raise ValueError(f"images={config.images}: must be ≤ {len(data.train.x)}, the training images there are")
    shown = np.argsort(data.train.label[: config.images], kind="stable")
    x, y = (a[: max(config.pool, config.images)] for a in (data.train.x, data.train.y))
    A = cdist(x, x) * cdist(y, y)
    rest = np.exp(-A)
    heuristic = (rest[shown] @ A @ rest[:, shown]) ** 2
    return data.train, data.test if len(data.test.x) else data.train, shown, heuristic


def run(config: Config, data) -> Result:
    """Train networks on all images; predict with the rates of networks that learn two points at the images' mean distance."""
    train, held, shown, heuristic = data
    model = config.model
    layer = followed(config.layer, model)
    keys = jax.random.split(jax.random.key(config.seed), config.networks)
    x, scale = train.x[shown], jnp.asarray(config.gain) ** model.weight_layers
    geometry = theory.Geometry(theory.squared_distances(x), theory.squared_distances(train.y[shown]))

    def network(key):
        sizes = {"layers": (layer,), **some_records(config.steps), "batch": config.data.batch}
        seen, apply = theory.train_and_follow(key, scale, model, config.optimizer, train.x, train.y, shown[:2], **sizes)
        first, last = (apply(p, x.astype(jnp.float32)) for p in (seen.start, seen.end))
        right = jnp.argmax(apply(seen.end, held.x.astype(jnp.float32)).output, axis=1) == held.label
        distances = (theory.squared_distances(a) for a in (last.hidden[layer], first.hidden[layer], first.output))
        return *distances, jnp.mean(right.astype(float))

    after, before, output, accuracy = training.over_networks(network, keys)
    rates = _reference_rates(config, keys, scale, layer, train.x.shape[1], train.y.shape[1])
    wide = lambda tree: jax.tree.map(lambda r: r[:, None, None], tree)
    each = jax.tree.map(lambda a: a[None], geometry)
    formula = theory.final_distance(theory.TwoPoint(before, output, output), wide(rates), each)
    return Result(
        label=jnp.asarray(train.label)[shown],
        points=jnp.asarray(float(len(train.x))),
        after=after,
        before=before,
        formula=jnp.where(before > 0, formula, 0.0),
        heuristic=jnp.asarray(heuristic),
        inputs=jnp.asarray(geometry.dx2),
        same_class=jnp.where(jnp.asarray(geometry.dy2) > 0, 1.0, 0.0),
        rates=rates,
        accuracy=accuracy,
    )


def _reference_rates(config, keys, scale, layer, inputs, outputs):
    """Rates of networks of the same shape that learn two points at |dx|² = inputs, |dy*|² = 2, by gradient descent."""
    every = max(1, config.reference_steps // 500)
    steps = config.reference_steps // every * every
    two = TwoPoints(dx=float(inputs) ** 0.5, dy=2**0.5, inputs=inputs, outputs=outputs).load().train
    sizes: dict[str, Any] = {"layer": layer, "steps": steps, "every": every}
    flow = training.GradientDescent()
    return theory.follow(keys, jnp.full(len(keys), scale), config.model, flow, two, two, np.arange(2), **sizes).fit.rates


def claims(data) -> list[Claim]:
    """Reported: what each prediction achieves, over all pairs and over pairs of different classes."""
    after, across = data.after.values, data.same_class.values > 0
    mean = after.mean(axis=0)
    out = [Claim("share of held-out images classified right, mean", "this run", Estimate.of(data.accuracy.values), at_least(0.8))]
    for name, text in PREDICTIONS.items():
        guesses = np.broadcast_to(data[name].values, after.shape)
        r = Estimate.of(np.array([float(theory.rsa(g, a)) for g, a in zip(guesses, after, strict=True)]))
        alignment = Estimate.of(np.array([float(theory.cka(g, a)) for g, a in zip(guesses, after, strict=True)]))
        out.append(Claim(f"{text}: RSA with the networks, mean", "F7", r, at_least(0.5), False))
        out.append(Claim(f"{text}: CKA with the networks, mean", "beyond F7", alignment, at_least(0.5), False))
        if name != "same_class":
            far = Estimate.of(np.array([float(theory.rsa(g, a, across)) for g, a in zip(guesses, after, strict=True)]))
            out.append(Claim(f"{text}: RSA, pairs of different classes, mean", "F7", far, at_least(0.3), False))
    within, between = (mean[m & ~np.eye(len(mean), dtype=bool)].mean() for m in (~across, across))
    return [*out, Claim("mean squared distance within over between classes", "F7, dark blocks", within / between, at_most(0.7), False)]


def plot(data):
    """Distance matrices sorted by class, and how well each prediction does."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.5))
    label = data.label.values
    borders = np.flatnonzero(np.diff(label)) + 0.5
    middles = [np.flatnonzero(label == c).mean() for c in np.unique(label)]
    matrices = {
        "after": "networks, mean",
        "heuristic": "heuristic",
        "formula": "formula (3), mean",
        "inputs": "inputs",
        "before": "untrained, mean",
    }
    for axis, (name, title) in zip(axes.flat, matrices.items(), strict=False):
        values = data[name].values
        values = values.mean(axis=0) if values.ndim == 3 else values
        axis.imshow(values / np.quantile(values, 0.98), vmin=0, vmax=1, cmap="viridis")
        axis.set_title(title, fontsize=8)
        axis.set_xticks(middles, np.unique(label), fontsize=6)
        axis.set_yticks(middles, np.unique(label), fontsize=6)
        axis.tick_params(length=0)
        axis.hlines(borders, -0.5, len(label) - 0.5, color="white", linewidth=0.3)
        axis.vlines(borders, -0.5, len(label) - 0.5, color="white", linewidth=0.3)
    axis, after, across = axes[1, 2], data.after.values, data.same_class.values > 0
    for place, name in enumerate(PREDICTIONS):
        guesses = np.broadcast_to(data[name].values, after.shape)
        rows = [[float(f(g, a)) for g, a in zip(guesses, after, strict=True)] for f in (theory.rsa, theory.cka)]
        far = [float(theory.rsa(g, a, across)) for g, a in zip(guesses, after, strict=True)]
        for values, color, shift in zip([*rows, far], ("C0", "C1", "C2"), (-0.2, 0, 0.2), strict=True):
            if np.isfinite(values).all():
                spread = Estimate.of(np.array(values))
                axis.errorbar(spread.mean, place + shift, xerr=spread.standard_error, fmt="o", ms=3, color=color)
    for color, text in (("C0", "RSA"), ("C1", "CKA"), ("C2", "RSA, different classes")):
        axis.plot([], [], "o", ms=3, color=color, label=text)
    for place, text in enumerate(["heuristic", "formula (3)", "same class", "inputs", "untrained"]):
        axis.text(-0.88, place, text, fontsize=6.5, va="center")
    axis.set(yticks=[], xticks=[0, 0.5, 1], xlabel="agreement with trained networks", xlim=(-0.9, 1.05))
    axis.axvline(0, color="0.8", linewidth=0.8)
    axis.invert_yaxis()
    axis.legend(fontsize=5.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=0.8, handletextpad=0.2)
    figure.suptitle(
        f"{data['data'].values}, {int(data.points):,} training images; squared distances, colours to the 98 % quantile", fontsize=8
    )
    return figure


if __name__ == "__main__":
    main(__spec__.name)
