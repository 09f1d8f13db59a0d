"""Critical multilayer perceptrons whose depth is an argument of the program, trained until they fit.

z^(1) = b + x W, z^(l+1) = b + s(z^(l)) W. Weights of equal width are stacked up to the greatest depth, the first of them are used, and
the backward pass runs over the same ones in reverse: one program serves all depths of a width, and a shallow network costs little.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from dltheory.data import Points
from dltheory.training import mean_squared_error, progress

MOMENTUM = 0.9
"""Of the heavy ball, which makes training ten times faster."""
Functions = tuple[Callable[[jax.Array], jax.Array], ...]


class Network(NamedTuple):
    """What tells one network from another of its width. `c_w`, `rate_w` and `rate_b` are those of all layers, (deepest,)."""

    which: jax.Array  # index of the activation
    depth: jax.Array  # layers, the output's included
    gain: jax.Array  # factor of the output
    c_w: jax.Array  # weight variance × fan-in
    rate_b: jax.Array  # learning rates of biases
    rate_w: jax.Array  # learning rates of weights × fan-in


class Fitted(NamedTuple):
    """A network where its training loss fell below the threshold, interpolated between two looks, or where training ended.

    Those that did not reach the threshold took all steps.
    """

    loss: jax.Array
    held_out_loss: jax.Array
    error: jax.Array
    steps: jax.Array
    reached: jax.Array


def fit(
    key: jax.Array,
    functions: Functions,
    network: Network,
    width: int,
    deepest: int,
    data: tuple[Points, Points],
    threshold: jax.Array,
    *,
    steps: int,
    every: int,
    batch: int,
) -> Fitted:
    """Train one network on batches drawn at random until a look, every `every` steps, finds its loss below `threshold`.

    A network whose loss stops being finite stays where it was at the look before, and does not reach the threshold.
    """
    train, held = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32) if jnp.issubdtype(a.dtype, jnp.floating) else jnp.asarray(a), data)
    images, count = jnp.concatenate([train.x, held.x]), len(train.x)
    params = start(key, network, train.x.shape[1], width, deepest, train.y.shape[1])
    rates, apply, goal = rates_of(params, network), partial(output, functions, network), threshold.astype(jnp.float32)

    def step(i, state):
        params, velocity = state
        drawn = jax.random.randint(jax.random.fold_in(key, i + 1), (batch or count,), 0, count)
        x, y = (train.x[drawn], train.y[drawn]) if batch else (train.x, train.y)
        slope = jax.grad(lambda p: mean_squared_error(apply(p, x), y))(params)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, slope)
        return jax.tree.map(lambda p, r, v: p - r * v, params, rates, velocity), velocity

    def look(params):
        seen, new = jnp.split(apply(params, images), [count])
        wrong = jnp.mean(jnp.argmax(new, axis=1) != held.label, dtype=jnp.float32)
        return jnp.stack([mean_squared_error(seen, train.y), mean_squared_error(new, held.y), wrong])

    def more(state):
        done, _, _, now, finite = state
        return (done < steps) & (now[0] > goal) & finite

    def go_on(state):
        done, moving, before, now, _ = state
        moving = jax.lax.fori_loop(done, done + every, step, moving)
        new = look(moving[0])
        finite = jnp.all(jnp.isfinite(new))
        return done + every, moving, jnp.where(finite, now, before), jnp.where(finite, new, now), finite

    first, rest = look(params), jax.tree.map(jnp.zeros_like, params)
    done, _, before, now, finite = jax.lax.while_loop(more, go_on, (0, (params, rest), first, first, jnp.array(True)))
    reached = finite & (now[0] <= goal)
    part = jnp.where(reached & (before[0] > goal), (before[0] - goal) / (before[0] - now[0]), 1)
    loss, *others = (before + part * (now - before)).astype(float)
    return Fitted(jnp.where(reached, threshold, loss), *others, jnp.where(reached, done - (1 - part) * every, float(steps)), reached)


def report(total: int, steps: int, loss: jax.Array) -> None:
    """Tell whoever listens that one of `total` networks is done."""
    if (tell := progress.get()) is not None:
        jax.debug.callback(tell, steps, total * steps, loss)


def start(key: jax.Array, network: Network, inputs: int, width: int, deepest: int, outputs: int) -> Any:
    """W ~ N(0, C_W/n_in) and b = 0 of the first layer, the stacked ones, (deepest - 2, …), and the last; all in one draw."""
    zeros = partial(jnp.zeros, dtype=jnp.float32)
    first, last = (zeros((inputs, width)), zeros(width)), (zeros((width, outputs)), zeros(outputs))
    flat, build = ravel_pytree((first, (zeros((deepest - 2, width, width)), zeros((deepest - 2, width))), last))
    drawn = build(jax.random.normal(jax.random.fold_in(key, 0), flat.shape, flat.dtype))
    return tuple((w * jnp.sqrt(network.c_w / w.shape[-2]).astype(w.dtype), jnp.zeros_like(b)) for w, b in drawn)


def rates_of(params: Any, network: Network) -> Any:
    """λ_W/n_in and λ_b of each layer, shaped like its weights and biases."""
    layers = (0, slice(1, -1), network.depth - 1)
    wide = lambda rate, like: jnp.broadcast_to(rate.reshape(rate.shape + (1,) * (like.ndim - rate.ndim)), like.shape).astype(like.dtype)
    return tuple((wide(network.rate_w[l] / w.shape[-2], w), wide(network.rate_b[l], b)) for l, (w, b) in zip(layers, params, strict=True))


def output(functions: Functions, network: Network, params: Any, x: jax.Array) -> jax.Array:
    """gain × z^(L), (points, outputs)."""
    first, stack, last = params
    z = _hidden(functions, network.which, x @ first[0] + first[1][None], stack, network.depth - 2)
    return network.gain.astype(x.dtype) * _layer(functions, network.which, z, last)


def _layer(functions, which, z, layer):
    weights, biases = layer
    return jax.lax.switch(which, functions, z) @ weights + biases[None]


def _pick(stack, l):
    return jax.tree.map(lambda a: a[l], stack)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _hidden(functions: Functions, which: jax.Array, z: jax.Array, stack: Any, count: jax.Array) -> jax.Array:
    """z after the first `count` layers of the stack."""
    return jax.lax.fori_loop(0, count, lambda l, z: _layer(functions, which, z, _pick(stack, l)), z)


def _forward(functions, which, z, stack, count):
    def through(l, state):
        z, kept = state
        return _layer(functions, which, z, _pick(stack, l)), kept.at[l].set(z)

    z, kept = jax.lax.fori_loop(0, count, through, (z, jnp.zeros((len(stack[0]), *z.shape), z.dtype)))
    return z, (which, kept, stack, count)


def _backward(functions, saved, slope):
    which, kept, stack, count = saved

    def through(i, state):
        slope, slopes = state
        l = count - 1 - i
        _, pull = jax.vjp(partial(_layer, functions, which), kept[l], _pick(stack, l))
        slope, own = pull(slope)
        return slope, jax.tree.map(lambda all, one: all.at[l].set(one), slopes, own)

    slope, slopes = jax.lax.fori_loop(0, count, through, (slope, jax.tree.map(jnp.zeros_like, stack)))
    return None, slope, slopes, None


_hidden.defvjp(_forward, _backward)
