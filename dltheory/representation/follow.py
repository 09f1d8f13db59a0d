"""Networks trained while a pair of points is followed, beside the theory fitted to each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import training
from ..data import Points
from ..models import Model, functional
from ..record import Number, array, record
from .fit import RateFit, fit_midpoint_rate, fit_rates
from .measurement import measure, midpoint_error
from .two_point import Geometry, TwoPoint, final_distance, solve


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
    gap = lambda a: jnp.sum((a[pair[1]] - a[pair[0]]) ** 2)
    return Geometry(gap(train.x), gap(train.y))


def build_scaled(key: Array, model: Model, train: Points, scale: Number, dtype: Any) -> tuple[Any, Any]:
    """Parameters and `apply` of a network whose D weight layers carry the gain α^(1/D) each."""
    gain = scale ** (1 / model.weight_layers)
    return functional(model.build(key, train.x.shape[1], train.y.shape[1], gain, dtype))


def initial_distance(keys: Array, model: Model, train: Points, pair: Array | np.ndarray, scale: Number, layer: int) -> Array:
    """h₀ of untrained networks at scale α, one for each key."""

    def distance(key):
        params, apply = build_scaled(key, model, train, scale, jnp.float32)
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
    two, goals, geometry = train.x[pair].astype(dtype), train.y[pair], geometry_of(train, pair)
    step = jnp.arange(0, steps, every)

    def network(key, scale):
        weights, order, probe = (jax.random.fold_in(key, stream) for stream in range(3))
        params, apply = build_scaled(weights, model, train, scale, dtype)

        def observe(params, activations, loss):
            rows = jnp.arange(2) if batch else pair
            seen = apply(params, two) if batch else activations
            hidden, output = seen.hidden[layer][rows], seen.output[rows]
            return measure(hidden, output, goals), midpoint_error(output, goals), loss.astype(float)

        eigenvalue = training.tangent_eigenvalue(probe, apply, params, train.x).astype(float)
        rate = optimizer.choose_rate(eigenvalue, model.weight_layers)
        params, (seen, midpoint, loss) = optimizer.train(
            apply, params, train.x, train.y, rate, steps, observe, every=every, batch=batch, key=order
        )
        time, start = rate * step.astype(float), jax.tree.map(lambda c: c[0], seen)
        fit = fit_rates(time, seen, geometry)
        return {
            "rate": rate,
            "eigenvalue": eigenvalue,
            "observed": seen,
            "predicted": solve(time, start, fit.rates, geometry),
            "midpoint": midpoint,
            "midpoint_rate": fit_midpoint_rate(time, midpoint),
            "loss": loss,
            "held_out": training.mean_squared_error(apply(params, held.x.astype(dtype)).output.astype(float), jnp.asarray(held.y)),
            "fit": fit,
            "formula": final_distance(start, fit.rates, geometry),
        }

    return Followed(step=step, **training.over_networks(network, keys, scales))
