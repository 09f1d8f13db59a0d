"""Networks trained while a pair of points is followed, beside the theory fitted to each."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import training
from ..data import Points
from ..models import Apply, Model, functional
from ..record import Number, array, record
from .fit import RateFit, fit_midpoint_rate, fit_rates
from .measurement import measure, midpoint_error
from .two_point import Geometry, TwoPoint, final_distance, solve


class Trajectory(NamedTuple):
    """One network's training: the state of a pair at some of its layers, and how its representations turn."""

    rate: jax.Array  # learning rate
    eigenvalue: jax.Array  # largest eigenvalue λ of the initial tangent kernel over the number of points
    state: TwoPoint  # (layer, step); y and w are the same at each layer
    cosine: jax.Array  # (layer, step), between dh and its initial value
    midpoint: jax.Array  # (step,), |ȳ - ȳ*|²
    loss: jax.Array  # (step,), of all points
    start: Any  # parameters before the first step
    end: Any  # parameters after the last step


def trajectory(
    key: Array,
    params: Any,
    apply: Apply,
    model: Model,
    optimizer: training.Optimizer,
    x: Float[Array | np.ndarray, "points inputs"],
    y: Float[Array | np.ndarray, "points outputs"],
    pair: Int[Array | np.ndarray, "2"],
    *,
    layers: Sequence[int],
    steps: int,
    every: int = 1,
    batch: int = 0,
) -> Trajectory:
    """Train one network on points (x, y*), recording `pair`, indices of two of them, at hidden `layers` before every `every`-th step."""
    order, probe, noise = (jax.random.fold_in(key, stream) for stream in (1, 2, 3))
    dtype = jax.tree.leaves(params)[0].dtype
    two, goals = jnp.asarray(x)[pair].astype(dtype), jnp.asarray(y)[pair]
    first = apply(params, two).hidden

    def observe(params, activations, loss):
        rows = jnp.arange(2) if batch else pair
        seen = apply(params, two) if batch else activations
        hidden, output = [seen.hidden[layer][rows] for layer in layers], seen.output[rows]
        states = jax.tree.map(lambda *s: jnp.stack(s), *[measure(h, output, goals) for h in hidden])
        cosine = jnp.stack([_cosine(h[1] - h[0], first[layer][1] - first[layer][0]) for h, layer in zip(hidden, layers, strict=True)])
        return states, cosine, midpoint_error(output, goals), loss.astype(float)

    eigenvalue = training.tangent_eigenvalue(probe, apply, params, x).astype(float)
    rate = optimizer.choose_rate(eigenvalue, model.weight_layers)
    streams = {"key": order, "noise": noise if model.stochastic else None}
    end, (state, cosine, midpoint, loss) = optimizer.train(apply, params, x, y, rate, steps, observe, every=every, batch=batch, **streams)
    by_layer = lambda a: jnp.swapaxes(a, 0, 1)
    return Trajectory(rate, eigenvalue, jax.tree.map(by_layer, state), by_layer(cosine), midpoint, loss, params, end)


def _cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    a, b = a.astype(float), b.astype(float)
    size = jnp.sqrt(jnp.sum(a**2) * jnp.sum(b**2))
    return jnp.sum(a * b) / jnp.where(size > 0, size, 1.0)


@record
class Followed:
    """What following a pair leaves behind; `network` counts networks."""

    step: Int[Array, "step"] = array("training step", "step")
    rate: Float[Array, "network"] = array("learning rate: 0.3 / max(λ, D) unless given", "time/step")
    eigenvalue: Float[Array, "network"] = array("largest eigenvalue λ of the initial tangent kernel over the number of points")
    observed: Float[TwoPoint, "network step"] = array("network")
    predicted: Float[TwoPoint, "network step"] = array("theory with fitted rates", source="equation (1)")
    midpoint: Float[Array, "network step"] = array("squared error of the mean prediction of the pair", "output²")
    midpoint_rate: Float[Array, "network"] = array("fitted decay rate of the mean prediction η_ȳ", "1/time")
    loss: Float[Array, "network step"] = array("training loss ½⟨|f - y*|²⟩ of the step", "output²")
    held_out: Float[Array, "network"] = array("loss on held-out points (training points if none are held out)", "output²")
    fit: Float[RateFit, "network"] = array("fit of the rates")
    formula: Float[Array, "network"] = array("final distance h_∞ by theory", "hidden²", source="formula (3)")


def geometry_of(train: Points, pair: Array | np.ndarray) -> Geometry:
    """X and S of two training points."""
    return geometry_of_points(train.x[pair], train.y[pair])


def geometry_of_points(x: Float[Array | np.ndarray, "*pairs 2 inputs"], y: Float[Array | np.ndarray, "*pairs 2 outputs"]) -> Geometry:
    """X and S (*pairs,) of pairs of inputs and targets."""
    gap = lambda a: jnp.sum((jnp.asarray(a)[..., 1, :] - jnp.asarray(a)[..., 0, :]) ** 2, axis=-1)
    return Geometry(gap(x), gap(y))


def build_scaled(key: Array, model: Model, x: Array | np.ndarray, y: Array | np.ndarray, scale: Number, dtype: Any) -> tuple[Any, Apply]:
    """Parameters and `apply` of a network whose D weight layers carry the gain α^(1/D) each."""
    gain = scale ** (1 / model.weight_layers)
    return functional(model.build(key, x.shape[1], y.shape[1], gain, dtype))


def train_and_follow(
    key: Array,
    scale: Number,
    model: Model,
    optimizer: training.Optimizer,
    x: Float[Array | np.ndarray, "points inputs"],
    y: Float[Array | np.ndarray, "points outputs"],
    pair: Int[Array | np.ndarray, "2"],
    *,
    dtype: Any = jnp.float32,
    **sizes: Any,
) -> tuple[Trajectory, Apply]:
    """`trajectory` of a new network of scale α, with its `apply`; `sizes` are those of `trajectory`."""
    params, apply = build_scaled(jax.random.fold_in(key, 0), model, x, y, scale, dtype)
    return trajectory(key, params, apply, model, optimizer, x, y, pair, **sizes), apply


def initial_distance(keys: Array, model: Model, train: Points, pair: Array | np.ndarray, scale: Number, layer: int) -> Array:
    """h₀ of untrained networks at scale α, one for each key."""

    def distance(key):
        params, apply = build_scaled(key, model, train.x, train.y, scale, jnp.float32)
        hidden = apply(params, jnp.asarray(train.x[pair], jnp.float32)).hidden[layer]
        return measure(hidden, train.y[pair], train.y[pair]).h

    return training.over_networks(distance, keys)


def follow(
    keys: Array,
    scales: Float[Array, "network"],
    model: Model,
    optimizer: training.Optimizer,
    train: Points,
    held: Points,
    pair: Array | np.ndarray,
    *,
    layer: int,
    steps: int,
    every: int = 1,
    batch: int = 0,
    precision: str = "single",
) -> Followed:
    """Train a network for each key and scale α, recording `pair` (2,), two indices of `train`, at hidden layer `layer`."""
    dtype = jnp.float64 if precision == "double" else jnp.float32
    geometry, step = geometry_of(train, pair), jnp.arange(0, steps, every)

    def network(key, scale):
        sizes = {"layers": (layer,), "steps": steps, "every": every, "batch": batch, "dtype": dtype}
        seen, apply = train_and_follow(key, scale, model, optimizer, train.x, train.y, pair, **sizes)
        held_out = training.mean_squared_error(apply(seen.end, jnp.asarray(held.x, dtype)).output.astype(float), jnp.asarray(held.y))
        return seen.rate, seen.eigenvalue, jax.tree.map(lambda a: a[0], seen.state), seen.midpoint, seen.loss, held_out

    rate, eigenvalue, observed, midpoint, loss, held_out = training.over_networks(network, keys, scales)
    time = rate[:, None] * step[None].astype(float)
    fit = fit_each(time, observed, geometry)
    start = jax.tree.map(lambda c: c[:, 0], observed)
    return Followed(
        step=step,
        rate=rate,
        eigenvalue=eigenvalue,
        observed=observed,
        predicted=jax.vmap(solve, (0, 0, 0, None))(time, start, fit.rates, geometry),
        midpoint=midpoint,
        midpoint_rate=jax.vmap(fit_midpoint_rate)(time, midpoint),
        loss=loss,
        held_out=held_out,
        fit=fit,
        formula=final_distance(start, fit.rates, geometry),
    )


def fit_each(times: Float[Array, "*curves step"], observed: TwoPoint, geometry: Geometry) -> RateFit:
    """`fit_rates` of many curves (*curves, step) of one geometry, in one vmapped call."""
    flat = lambda a: a.reshape(-1, a.shape[-1])
    fits = jax.vmap(fit_rates, (0, 0, None))(flat(times), jax.tree.map(flat, observed), geometry)
    return jax.tree.map(lambda a: a.reshape(times.shape[:-1]), fits)


def fit_together(curves: Sequence[tuple[Array, TwoPoint]], geometry: Geometry) -> list[RateFit]:
    """`fit_each` of several sets of curves, (times, observed) with as many records each, in one vmapped call; times are broadcast."""
    shapes = [np.shape(observed.h) for _, observed in curves]
    flat = lambda a, shape: jnp.broadcast_to(a, shape).reshape(-1, shape[-1])
    join = lambda arrays: jnp.concatenate([flat(a, shape) for a, shape in zip(arrays, shapes, strict=True)])
    times, observed = join([t for t, _ in curves]), jax.tree.map(lambda *a: join(a), *[state for _, state in curves])
    ends = np.cumsum([math.prod(shape[:-1]) for shape in shapes])[:-1].tolist()
    parts = jax.tree.map(lambda a: jnp.split(a, ends), fit_each(times, observed, geometry))
    pick = lambda k: jax.tree.map(lambda a: a[k].reshape(shapes[k][:-1]), parts, is_leaf=lambda a: isinstance(a, list))
    return [pick(k) for k in range(len(shapes))]
