"""Training real networks as one `lax.scan`, pure in (key, scales, rates), so that seeds and scales are vmapped.

The loss is L = ½ ⟨|f(x) - y*|²⟩ over the points; time is rate × step. Whatever is given is cast to the parameters' precision. An
observer says what to record: it is called with the parameters, and the activations and loss of the forward pass that the step makes
anyway, before the update.

Rate rule: rate = 0.3 / max(λ, D), λ the largest eigenvalue of the initial tangent kernel over the number of points, D the number of
weight layers. Above about 2/λ a network catapults to another end point.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .models.base import Activations, Apply
from .record import Group, Number, record, static, traced

Observer = Callable[[Any, Activations, jax.Array], Any]

progress: ContextVar[Callable[[int, int, float], None] | None] = ContextVar("progress", default=None)
"""Read while tracing: called some hundred times for each network with (steps since the last call, steps of all networks, loss). A
program with it is never cached on disk."""
networks: ContextVar[int] = ContextVar("networks", default=1)
TICKS = 100


@record
class Optimizer(Group):
    """How parameters move. `rate` = 0 asks for the rate rule."""

    rate: float = traced(0.0, "learning rate; 0: by the rate rule", "time/step", low=0)

    slowdown = 1.0  # what the rate rule is multiplied by

    def transform(self, rate: jax.Array) -> optax.GradientTransformation:
        """The optax transformation with learning rate `rate`."""
        return optax.sgd(rate)

    def choose_rate(self, eigenvalue: Number, weight_layers: int) -> jax.Array:
        """The given rate, or the rate rule's."""
        return jnp.where(self.rate > 0, self.rate, rate_rule(eigenvalue, weight_layers) * self.slowdown)

    def train(
        self,
        apply: Apply,
        params: Any,
        x: Float[Array | np.ndarray, "points inputs"],
        targets: Float[Array | np.ndarray, "points outputs"],
        rate: Number,
        steps: int,
        observe: Observer,
        *,
        every: int = 1,
        batch: int = 0,
        key: Array | None = None,
        noise: Array | None = None,
    ) -> tuple[Any, Any]:
        """`train` with this optimizer at `rate`."""
        transform = self.transform(jnp.asarray(rate, jax.tree.leaves(params)[0].dtype))
        return train(apply, params, x, targets, transform, steps, observe, every=every, batch=batch, key=key, noise=noise)


@record
class GradientDescent(Optimizer):
    """Plain gradient descent."""


@record
class Momentum(Optimizer):
    """Gradient descent with heavy-ball momentum; the rate rule is divided by the number of gradients that momentum adds up."""

    momentum: float = static(0.9, "momentum", low=0, high=0.999)

    @property
    def slowdown(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """1 - momentum."""
        return 1 - self.momentum

    def transform(self, rate: jax.Array) -> optax.GradientTransformation:
        """Heavy ball."""
        return optax.sgd(rate, self.momentum)


@record
class Adam(Optimizer):
    """Adam; its rate is not that of a flow, so the rate rule does not apply."""

    rate: float = traced(1e-3, "learning rate", "time/step", low=1e-12)

    def transform(self, rate: jax.Array) -> optax.GradientTransformation:
        """Adam with its usual moments."""
        return optax.adam(rate)


@record
class GradientFlow(Optimizer):
    """The limit of small rates, integrated adaptively for as long as gradient descent at `rate` would take.

    For smooth networks: at the kinks of ReLU-like ones adaptive steps gain nothing and are inaccurate.
    """

    tolerance: float = static(1e-6, "relative error of a step", low=1e-12, high=1e-2)

    def train(self, apply, params, x, targets, rate, steps, observe, *, every=1, batch=0, key=None, noise=None):
        """`gradient_flow` over the time of `steps` steps; all points at once, and no noise."""
        if batch:
            raise ValueError(f"batch={batch}: gradient flow takes all points at once (0)")
        if noise is not None:
            raise ValueError("gradient flow follows one function of the parameters: a model that draws noise in training has none")
        times = rate * jnp.arange(0, steps + every, every, dtype=float)
        params, seen = gradient_flow(apply, params, x, targets, times, observe, tolerance=self.tolerance)
        return params, jax.tree.map(lambda a: a[:-1], seen)


def mean_squared_error(output: jax.Array, targets: jax.Array) -> jax.Array:
    """½ ⟨|f - y*|²⟩, averaged over the points."""
    return jnp.mean(jnp.sum((output - targets) ** 2, axis=-1)) / 2


def train(
    apply: Apply,
    params: Any,
    x: Float[Array | np.ndarray, "points inputs"],
    targets: Float[Array | np.ndarray, "points outputs"],
    optimizer: optax.GradientTransformation,
    steps: int,
    observe: Observer,
    *,
    every: int = 1,
    batch: int = 0,
    key: Array | None = None,
    noise: Array | None = None,
) -> tuple[Any, Any]:
    """Parameters after `steps` steps, and what `observe` saw before steps 0, every, 2 every, … stacked along the first axis.

    `batch` > 0 takes that many points a step, in an order drawn from `key` and anew for each epoch; 0 takes all. With `noise`, a step
    is made by `apply(params, x, key=…)`, a new key drawn from it each time, and `observe` sees a forward pass without.
    """
    if steps % every:
        raise ValueError(f"every={every}: must divide steps={steps}")
    dtype = jax.tree.leaves(params)[0].dtype
    x, targets = jnp.asarray(x, dtype), jnp.asarray(targets, dtype)
    fold = lambda a: a.reshape(steps // every, every, *a.shape[1:])
    order = _order(key, len(x), batch, steps) if batch else None
    keys = None if noise is None else jax.random.split(noise, steps)

    def select(indices):
        return (x, targets) if indices is None else (x[indices], targets[indices])

    def loss(params, given):
        indices, key = given
        points, goals = select(indices)
        activations = apply(params, points) if key is None else apply(params, points, key=key)
        return mean_squared_error(activations.output, goals), activations

    def step(state, given):
        params, moments = state
        (value, activations), slope = jax.value_and_grad(loss, has_aux=True)(params, given)
        updates, moments = optimizer.update(slope, moments, params)
        return (optax.apply_updates(params, updates), moments), (value, activations)

    def record_then_step(state, given):
        first, rest = (jax.tree.map(lambda a, part=part: a[part], given) for part in (0, slice(1, None)))
        new, (value, activations) = step(state, first)
        quiet = activations if noise is None else apply(state[0], select(first[0])[0])
        seen = observe(state[0], quiet, value)
        # a step is unrolled twice: parameters alternate between two buffers instead of being copied
        new, _ = jax.lax.scan(lambda s, g: (step(s, g)[0], None), new, rest, length=every - 1, unroll=2)
        return new, (seen, value)

    state, given = (params, optimizer.init(params)), jax.tree.map(fold, (order, keys))
    (params, _), seen = _scan(record_then_step, state, given, steps // every, every, unroll=2 if every == 1 else 1)
    return params, seen


def _scan(body: Any, state: Any, inputs: Any, length: int, every: int, unroll: int) -> tuple[Any, Any]:
    """`lax.scan` of a body that returns (what is kept, loss), in blocks that report progress when somebody listens."""
    keep = lambda s, i: (lambda new, out: (new, out[0]))(*body(s, i))
    report = progress.get()
    if report is None:
        return jax.lax.scan(keep, state, inputs, length, unroll=unroll)
    blocks = min(TICKS, length)
    rest = length % blocks
    head, tail = (jax.tree.map(lambda a, part=part: a[part], inputs) for part in (slice(rest), slice(rest, None)))
    fold = lambda a: a.reshape(blocks, length // blocks, *a.shape[1:])
    total = (length - rest) * every * networks.get()

    def block(state, inputs):
        state, (seen, losses) = jax.lax.scan(body, state, inputs, length // blocks, unroll=unroll)
        jax.debug.callback(report, length // blocks * every, total, losses[-1])
        return state, seen

    state, first = jax.lax.scan(keep, state, head, rest)
    state, seen = jax.lax.scan(block, state, jax.tree.map(fold, tail), blocks)
    return state, jax.tree.map(lambda a, b: jnp.concatenate([a, b.reshape(length - rest, *b.shape[2:])]), first, seen)


def _order(key, points, batch, steps):
    """Indices (steps, batch): every epoch a new permutation of the points, batches cut from their concatenation."""
    epochs = -(-steps * batch // points)
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, points))(jax.random.split(key, epochs))
    return shuffled.ravel()[: steps * batch].reshape(steps, batch)


def gradient_flow(
    apply: Apply,
    params: Any,
    x: Float[Array | np.ndarray, "points inputs"],
    targets: Float[Array | np.ndarray, "points outputs"],
    times: Float[Array | np.ndarray, " n"],
    observe: Observer,
    *,
    tolerance: float = 1e-6,
) -> tuple[Any, Any]:
    """dθ/dt = -∇L by an adaptive explicit method (diffrax). What `observe` saw at `times` (n,), increasing from 0.

    For smooth networks, where it agrees with gradient descent at rate ≤ 0.01 to 2 %. With kinks the error control sees a
    discontinuous field: it gains nothing there and is inaccurate.
    """
    import diffrax

    dtype = jax.tree.leaves(params)[0].dtype
    x, targets, times = (jnp.asarray(a, dtype) for a in (x, targets, times))
    loss = lambda p: mean_squared_error(apply(p, x).output, targets)
    look = lambda p: (lambda a: observe(p, a, mean_squared_error(a.output, targets)))(apply(p, x))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, p, _: jax.tree.map(jnp.negative, jax.grad(loss)(p))),  # pyright: ignore[reportArgumentType]
        diffrax.Tsit5(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=params,
        saveat=diffrax.SaveAt(
            subs=[
                diffrax.SubSaveAt(ts=times, fn=lambda t, p, _: look(p)),
                diffrax.SubSaveAt(t1=True),
            ]
        ),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance * 1e-2),
        max_steps=None,
    )
    seen, last = solution.ys
    return jax.tree.map(lambda a: a[0], last), seen


def tangent_eigenvalue(
    key: Array, apply: Apply, params: Any, x: Float[Array | np.ndarray, "points inputs"], iterations: int = 20
) -> jax.Array:
    """λ: largest eigenvalue of the tangent kernel J Jᵀ on the points, over their number, by power iteration from below."""
    dtype = jax.tree.leaves(params)[0].dtype
    forward = lambda p: apply(p, jnp.asarray(x, dtype)).output
    output, pull = jax.vjp(forward, params)
    push = lambda direction: jax.jvp(forward, (params,), (direction,))[1]

    def iterate(v, _):
        kv = push(pull(v)[0])
        size = jnp.sqrt(jnp.sum(kv**2))
        return jnp.where(size > 0, kv / jnp.where(size > 0, size, 1), v), size

    start = jax.random.normal(key, output.shape, dtype)
    return jax.lax.scan(iterate, start / jnp.sqrt(jnp.sum(start**2)), length=iterations)[1][-1] / len(x)


def rate_rule(eigenvalue: Number, weight_layers: int) -> Number:
    """0.3 / max(λ, D)."""
    return 0.3 / jnp.maximum(eigenvalue, weight_layers)


def over_networks(f: Callable[..., Any], *inputs: Any) -> Any:
    """`f` for each network: vmapped on an accelerator, looped inside the program on a CPU, where that is twice as fast."""
    token = networks.set(len(jax.tree.leaves(inputs)[0]))
    try:
        return jax.lax.map(lambda i: f(*i), inputs) if jax.default_backend() == "cpu" else jax.vmap(f)(*inputs)
    finally:
        networks.reset(token)
