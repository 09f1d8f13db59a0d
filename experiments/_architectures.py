"""The networks of "When Representations Align", section 4 of its appendix, and the pairs of points that they are shown."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dltheory import representation as theory
from dltheory import training
from dltheory.models import (
    MLP,
    Apply,
    Conv1dConfig,
    DropoutConfig,
    FeedbackConfig,
    LayerNormConfig,
    MLPConfig,
    Model,
    Scales,
    SkipConfig,
    TransformerConfig,
    functional,
)

PLACES = 5
NARROW_LAYERS = 5
POSITIONS = 32


class Variant(NamedTuple):
    """An architecture, the gain of each of its weight layers, and its followed hidden layer."""

    model: Model
    gain: float
    layer: int

    @property
    def layers(self) -> tuple[int, ...]:
        """Hidden layers at five relative depths, and last the followed one."""
        return (*(round(p) for p in np.linspace(0, self.model.hidden_layers - 1, PLACES)), self.layer)


def variants(width: int, depth: int) -> dict[str, Variant]:
    """The authors' eleven at (500, 20); two that they did not try; and two gains at which their theory should fail.

    The authors' dropout modules count as layers, so that their layer 5 is the third linear one.
    """
    half = depth // 2
    mlp = lambda **fields: MLPConfig(**{"width": width, "hidden_layers": depth, **fields})
    kernel = min(11, 1 + (width - 1) // (half + 1))
    units = max(4, width // 12 * 2)
    return {
        "default": Variant(mlp(), 1.0, half),
        "shallow": Variant(mlp(hidden_layers=2), 0.35, 1),
        "narrow": Variant(mlp(width=max(width // 10, 2)), 1.05, half),
        "linear": Variant(mlp(activation="linear"), 0.85, half),
        "elu": Variant(mlp(activation="elu"), 0.95, half),
        "tanh": Variant(mlp(activation="tanh"), 0.85, half),
        "relu": Variant(mlp(activation="relu"), 1.0, half),
        "swish": Variant(mlp(activation="swish"), 1.7, half),
        "skip": Variant(SkipConfig(width=width, hidden_layers=depth), 0.1, half),
        "conv1d": Variant(Conv1dConfig(width=width, hidden_layers=half + 2, kernel=kernel), 0.95, half // 2),
        "dropout": Variant(DropoutConfig(width=width, hidden_layers=half), 1.0, max(half // 2 - 1, 0) // 2),
        "layer_norm": Variant(LayerNormConfig(width=width, hidden_layers=depth), 0.2, half),
        "transformer": Variant(TransformerConfig(width=units, hidden_layers=max(half - 1, 1)), 0.2, max(half - 1, 1) // 2),
        "gain_1.2": Variant(mlp(), 1.2, half),
        "gain_1.4": Variant(mlp(), 1.4, half),
    }


NAMES = tuple(variants(500, 20))
LEARNERS = ("conv1d", "mlp", "feedback")


def train_variants(keys: jax.Array, table: list[Variant], x: Any, y: Any, *, steps: int, every: int) -> tuple[Any, theory.Validity]:
    """For each variant, trajectories of networks that start from its row of `keys` (variant, network) and learn the points x (variant,
    network, 2, inputs), at its `layers`; and the validity there before training and after. Variants of one architecture are one program."""
    found: list[Any] = [None] * len(table)
    for model in dict.fromkeys(v.model for v in table):
        same = [i for i, v in enumerate(table) if v.model == model]
        count = keys.shape[1]
        gains = jnp.repeat(jnp.asarray([table[i].gain for i in same]), count)
        flat = lambda a, same=same, count=count: jnp.concatenate([a[i] for i in same]).reshape(len(same) * count, *a.shape[2:])
        seen = training.over_networks(_follow_variant(table[same[0]], y, steps, every), flat(keys), gains, flat(x))
        for place, i in enumerate(same):
            found[i] = jax.tree.map(lambda a, part=slice(place * count, (place + 1) * count): a[part], seen)
    return jax.tree.map(lambda *a: jnp.stack(a), *found)


def _follow_variant(variant: Variant, y: Any, steps: int, every: int) -> Any:
    model, layers = variant.model, variant.layers

    def network(key, gain, x):
        scale, sizes = gain**model.weight_layers, {"layers": layers, "steps": steps, "every": every}
        seen, apply = theory.train_and_follow(key, scale, model, training.GradientDescent(), x, y, jnp.arange(2), **sizes)
        ends = jax.tree.map(lambda *a: jnp.stack(a), seen.start, seen.end)
        checks = jax.vmap(lambda p: theory.validity(apply, p, x))(ends)
        return seen._replace(start=None, end=None), jax.tree.map(lambda a: a[:, np.array(layers)], checks)

    return network


def narrow_network(key: jax.Array, width: jax.Array, largest: int) -> tuple[Any, Apply]:
    """A network of five layers of `width` ≤ `largest` units and gain 4/√width, as a wider one whose other units are zero and stay so:
    their inputs and outputs have no weight, hence no gradient. All widths are one program."""
    fan = lambda n: jnp.where(n == largest, width, n).astype(float)
    xavier = lambda n, m: Scales(4 / jnp.sqrt(width.astype(float)) * jnp.sqrt(2 / (fan(n) + fan(m))), 0.0)
    sizes = (1, *[largest] * NARROW_LAYERS, 1)
    model = MLP(sizes, "leaky_relu", xavier, key=key)
    there = lambda n: jnp.arange(n) < (width if n == largest else n)
    for weight in model.weights:
        n, m = weight.shape
        weight[...] = jnp.where(there(n)[:, None] & there(m)[None], weight[...], 0)
    return functional(model)


def train_narrow(keys: jax.Array, widths: jax.Array, x: Any, y: Any, *, largest: int, steps: int, every: int) -> Any:
    """Trajectories of narrow networks at their middle layer, one for each key and width, vmapped: each is small."""
    model = MLPConfig(width=largest, hidden_layers=NARROW_LAYERS)

    def network(key, width):
        params, apply = narrow_network(jax.random.fold_in(key, 0), width, largest)
        sizes = {"layers": (NARROW_LAYERS // 2,), "steps": steps, "every": every}
        seen = theory.trajectory(key, params, apply, model, training.GradientDescent(), x, y, jnp.arange(2), **sizes)
        return seen._replace(start=None, end=None)

    return jax.vmap(network)(keys, widths)


def translates() -> np.ndarray:
    """Two pairs (pair, point, position): a bump and its translate; the same bump and a vector at the same distance and angle that is
    none. Whatever sees inner products alone, as a perceptron with isotropic weights does, cannot tell the pairs apart."""
    place = np.arange(POSITIONS)
    bump = lambda centre: np.exp(-((place - centre) ** 2) / 8)
    first, second = bump(9), bump(22)
    along = first * (first @ second) / (first @ first)
    other = np.random.default_rng(0).normal(size=POSITIONS)
    other -= first * (first @ other) / (first @ first)
    other *= np.linalg.norm(second - along) / np.linalg.norm(other)
    pairs = np.array([[first, second], [first, along + other]])
    return pairs / np.linalg.norm(second - first)


def learners(width: int) -> dict[str, Variant]:
    """Who is shown the pairs: an architecture with translation symmetry, one without, and one that gradient descent does not train."""
    return {
        "conv1d": Variant(Conv1dConfig(width=0, hidden_layers=3, kernel=7, activation="tanh"), 0.8, 1),
        "mlp": Variant(MLPConfig(width=width, hidden_layers=3, activation="tanh"), 0.8, 1),
        "feedback": Variant(FeedbackConfig(width=width, hidden_layers=3, activation="tanh"), 0.8, 1),
    }
