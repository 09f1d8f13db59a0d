"""Architectures of equal budgets, trained alike and scored untrained."""

import bisect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from dltheory import training
from dltheory.data import Dataset
from dltheory.data.images import CLASSES
from dltheory.models import Model, functional
from dltheory.models.cnn import BLOCKS
from dltheory.reusability import proxies

FAMILIES: dict[str, tuple[int, ...]] = {
    "mlp": (1, 2, 3, 4, 6),
    "tied_mlp": (3, 5, 8),
    "plain": (2, 3, 5, 8),
    "tied": (3, 5, 8),
    "residual": (3, 5, 8),
    "dense": (3, 5),
    "separable": (3, 5, 8),
    "squeeze": (3, 5),
    "rnn": (4, 8),
    "attention": (4, 8),
}
"""Hidden layers of perceptrons, convolutions of image models, steps of recurrence, tokens of attention."""
NAMES = tuple(f"{family}_{depth}" for family, depths in FAMILIES.items() for depth in depths)
PROXIES = ("synflow", "grad_norm", "snip", "grasp", "fisher", "naswot", "jacob_cov", "zen")
RATES = (2e-3, 6e-3, 2e-2)
BODY = 2 / 3
"""Of a budget, where the rest goes to a dense layer."""


def fitted(architecture: str, inputs: int, budget: int) -> tuple[Model, Any, Any]:
    """The model whose parameters are nearest to the budget, their shapes and its forward pass. Of one that ends in a dense layer the rest
    is as wide as two thirds of the budget allow, and that layer takes what is left."""
    family, _, number = architecture.rpartition("_")
    kind = "cnn" if family in BLOCKS else family
    given = {
        "cnn": {"block": family, "hidden_layers": int(number) + 1},
        "attention": {"tokens": int(number)},
    }.get(kind, {"hidden_layers": int(number)})
    make = lambda **sizes: Model.options[kind](activation="relu", **given, **sizes)
    size = lambda **sizes: sum(a.size for a in jax.tree.leaves(shapes_of(make(**sizes), inputs)[0]))
    most = lambda limit, size: max(1, bisect.bisect_right(range(1, budget // 10), limit, key=size))
    found: dict[str, int] = {}
    free = "width"
    if kind in ("cnn", "attention"):
        found, free = {"width": most(BODY * budget, lambda n: size(width=n, head=1))}, "head"
    least = most(budget, lambda n: size(**found, **{free: n}))
    found[free] = min((least, least + 1), key=lambda n: abs(size(**found, **{free: n}) - budget))
    model = make(**found)
    return model, *shapes_of(model, inputs)


def shapes_of(model: Model, inputs: int) -> tuple[Any, Any]:
    """Shapes of the parameters, and the forward pass; draws nothing."""
    kept: dict[str, Any] = {}

    def params(key):
        made, kept["apply"] = functional(model.build(key, inputs, CLASSES))
        return made

    return jax.eval_shape(params, jax.random.key(0)), kept["apply"]


def draw(random: np.random.Generator, shapes: Any) -> Any:
    """Xavier weights of gain √2, whose fans are those of their shapes, and no biases, drawn on the host: that compiles nothing."""
    fans = lambda shape: np.prod(shape[:-1]) + shape[-1] * np.prod(shape[:-2])
    weight = lambda shape: random.normal(size=shape) * 2 / np.sqrt(fans(shape)) if len(shape) > 1 else np.zeros(shape)
    return jax.tree.map(lambda a: weight(a.shape).astype(np.float32), shapes)


def train(apply: Any, start: Any, data: Dataset, *, batch: int, steps: int, every: int, seed: int) -> Array:
    """Accuracies on the validation third and on images held out, (rate × network, record), of networks that start from `start`."""
    images, networks = len(data.train.x), len(jax.tree.leaves(start)[0])
    kept, batch = images - images // 3, batch or images
    cast = lambda points, part: (np.float32(points.x[part]), points.label[part])
    sets = cast(data.train, slice(kept)), cast(data.train, slice(kept, None)), cast(data.test, slice(None))
    random = np.random.default_rng([seed, networks])
    order = np.stack([random.permuted(np.arange(steps * batch) % kept) for _ in range(networks)])

    @jax.jit
    def everything(start, order, sets):
        fit, *others = sets
        look = lambda p: jnp.stack([jnp.mean(jnp.argmax(apply(p, x).output, axis=1) == label, dtype=float) for x, label in others])
        loss = lambda p, i: jnp.mean(optax.softmax_cross_entropy_with_integer_labels(apply(p, fit[0][i]).output, fit[1][i]))

        def one(params, rate, order):
            adam = optax.adam(rate)

            def step(state, images):
                updates, moments = adam.update(jax.grad(loss)(state[0], images), state[1])
                return (optax.apply_updates(state[0], updates), moments), None

            def record(state, images):
                state, _ = jax.lax.scan(step, state, images)
                return state, look(state[0])

            _, curve = jax.lax.scan(record, (params, adam.init(params)), order.reshape(-1, every, batch))
            return curve.T

        repeated = lambda a: jnp.tile(a, (len(RATES), *[1] * (a.ndim - 1)))
        rates = jnp.repeat(jnp.asarray(RATES, jnp.float32), networks)
        return training.over_networks(one, jax.tree.map(repeated, start), rates, repeated(order)).swapaxes(0, 1)

    return everything(start, order, sets)


def score(apply: Any, params: Any, x: np.ndarray, y: np.ndarray) -> Array:
    """PROXIES (network, score) of untrained networks in double precision; compiled in half the time by doing without optimisation."""
    score = lambda p, x, y: jnp.stack([getattr(proxies, name)(apply, p, x, y) for name in PROXIES])
    each = lambda params, x, y: training.over_networks(lambda p: score(p, x, y), params)
    return jax.jit(each, compiler_options={"xla_backend_optimization_level": 0})(params, x, y)
