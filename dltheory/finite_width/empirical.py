"""The tangent kernel of a given network and how it moves in training, without its Jacobian.

A step dθ_μ = -η λ_μ ∂L/∂θ_μ moves the outputs z by the neural tangent kernel H, and H itself by its differentials,

    H_{01}              Σ λ_μ ∂_μz_0 ∂_μz_1
    dH_{0;12}           Σ λ_μ λ_ν ∂_μ∂_νz_0 ∂_μz_1 ∂_νz_2
    ddH^I_{0;123}       Σ λ_μ λ_ν λ_ρ ∂_μ∂_ν∂_ρz_0 ∂_μz_1 ∂_νz_2 ∂_ρz_3
    ddH^II_{12;34}      Σ λ_μ λ_ν λ_ρ ∂_μ∂_νz_1 ∂_ρ∂_νz_2 ∂_μz_3 ∂_ρz_4 .

For one input with a scalar output and the loss gradient ε = dL/dz that is, exactly up to the next power of η,

    Δz = -η H ε + η²/2 dH ε² - η³/6 ddH^I ε³,    ΔH = -2η dH ε + η² (ddH^I + ddH^II) ε².

With the directions v_a = λ ∂z_a all but the last are directional derivatives of outputs, D z_0[v_1], D²z_0[v_1, v_2] and
D³z_0[v_1, v_2, v_3]: a gradient of one point is pulled back, then pushed forward to all points by as many nested jvp.

Jacot, Gabriel, Hongler, arXiv:1806.07572; Roberts, Yaida, Hanin, The Principles of Deep Learning Theory, arXiv:2106.10165,
chapters 8 and 11.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..models.base import Activations
from ..record import Number

Forward = Callable[..., Activations | jax.Array]
"""`apply(params, x)`, to outputs (points, outputs) or the activations of a model; no point may influence the output of another.
A program is compiled for each such function: pass the same one again."""
ROWS, NUMBERS, POINTS = 16, 2**21, 16  # gradients, and numbers in them, that are held at once; points they are pushed to at once


@functools.partial(jax.jit, static_argnames=("apply", "block"))
def ntk(
    apply: Forward,
    params: Any,
    x: Float[Array | np.ndarray, "points *shape"],
    x_2: Float[Array | np.ndarray, "points_2 *shape"] | None = None,
    *,
    rates: Any = None,
    block: int | None = None,
) -> Float[Array, "points outputs points_2 outputs"]:
    """H = Σ_μ λ_μ ∂z/∂θ_μ ∂z'/∂θ_μ between the outputs at the points `x` and at `x_2` (without: at `x`), in the parameters' dtype.

    `rates` are the λ_μ: None (all 1), a number, or a pytree like the parameters or a prefix of it, of numbers or arrays shaped
    like the parameters. `layer_rates` makes those of the theory.

    Memory beside H does not depend on the number of points: some copies of `block` gradients, of which there is one for each
    point and output, plus the activations of 16 × `block` points. By default `block` is 2²¹ / (number of parameters), between
    1 and 16: 16 MB per copy in float64 unless a single gradient takes more.

    Raises ValueError for outputs that are not (points, outputs), rates that do not fit the parameters, and block < 1.
    Source: arXiv:1806.07572; with rates, arXiv:2106.10165, chapter 8.
    """
    net = _Network(apply, params, x, rates, block)
    rows = net.push(np.arange(len(x) * net.outputs)[:, None], net.x if x_2 is None else net.cast(x_2))
    return rows.reshape(len(x), net.outputs, -1, net.outputs)


@functools.partial(jax.jit, static_argnames=("apply",))
def dntk(
    apply: Forward, params: Any, x: Float[Array | np.ndarray, "points *shape"], *, rates: Any = None
) -> Float[Array, "points points points"]:
    """dH_{0;12} = Σ_μν λ_μ λ_ν ∂_μ∂_νz_0 ∂_μz_1 ∂_νz_2 of a scalar output, indices in this order; symmetric in the last two.

    `rates`, memory and errors as in `ntk`; ValueError also for more than one output.
    Source: arXiv:2106.10165, chapter 11.
    """
    return _Network(apply, params, x, rates, scalar=True).differential(2)


@functools.partial(jax.jit, static_argnames=("apply",))
def ddntk(
    apply: Forward, params: Any, x: Float[Array | np.ndarray, "points *shape"], *, rates: Any = None
) -> tuple[Float[Array, "points points points points"], Float[Array, "points points points points"]]:
    """The two second differentials of the NTK of a scalar output,

    first (0, 1, 2, 3):    ddH^I_{0;123} = Σ λ_μ λ_ν λ_ρ ∂_μ∂_ν∂_ρz_0 ∂_μz_1 ∂_νz_2 ∂_ρz_3, symmetric in the last three indices;
    second (1, 2, 3, 4):   ddH^II_{12;34} = Σ λ_μ λ_ν λ_ρ ∂_μ∂_νz_1 ∂_ρ∂_νz_2 ∂_μz_3 ∂_ρz_4: 3 goes with 1 and 4 with 2.

    `rates`, memory and errors as in `ntk`; ValueError also for more than one output. At kinks derivatives of order two and more
    lack their delta functions.
    Source: arXiv:2106.10165, chapter 11.
    """
    net = _Network(apply, params, x, rates, scalar=True)
    m, pairs = len(x), np.array(list(np.ndindex(len(x), len(x))))

    def row(pair):
        u = jax.tree.leaves(net.scale(net.bend(pair)))
        dot = lambda other: sum(map(jnp.vdot, u, jax.tree.leaves(net.bend(other))))
        return _loop(jax.vmap(dot), pairs, net.block)

    second = _loop(jax.vmap(row), pairs, net.block).reshape(m, m, m, m)  # (1, 3, 2, 4)
    return net.differential(3), second.transpose(0, 2, 1, 3)


def layer_rates(params: Any, lambda_b: Number, lambda_w: Number) -> Any:
    """λ_b^(l) for the biases and λ_W^(l)/n_{l-1} for the weights of an `MLP`, as scalars in a pytree like its parameters.

    `lambda_b` and `lambda_w` are numbers or one per layer, layer 1 first; n_{l-1} is the fan-in. With the parametrisation
    `critical(C_b, C_W)` the NTK then has the mean Θ of the theory at infinite width.

    Raises ValueError for parameters other than an MLP's and for a wrong number of λ's.
    Source: arXiv:2106.10165, chapter 8.
    """
    depth = 1 + max(_place(path)[1] for path, _ in jax.tree_util.tree_leaves_with_path(params))
    for name, given in ("lambda_b", lambda_b), ("lambda_w", lambda_w):
        if np.shape(given) not in ((), (depth,)):
            raise ValueError(f"{name} of shape {np.shape(given)}: must be a number or one for each of {depth} layers")

    def rate(path, leaf):
        kind, layer = _place(path)
        given, fan_in = (lambda_w, leaf.shape[-2]) if kind == "weights" else (lambda_b, 1)
        return jnp.broadcast_to(jnp.asarray(given, leaf.dtype), (depth,))[layer] / fan_in

    return jax.tree_util.tree_map_with_path(rate, params)


def _place(path):
    """What a leaf of the parameters of an MLP is, and its layer from 0."""
    match [getattr(key, "key", None) for key in path[:2]]:
        case ["weights" | "biases" as kind, int(layer)]:
            return kind, layer
    raise ValueError(f"parameter {jax.tree_util.keystr(path)}: layer_rates is for the weights and biases of an MLP")


class _Network:
    """Derivatives of the outputs z along the directions v = λ ∂z; outputs are numbered through points and units."""

    def __init__(self, apply, params, x, rates, block=None, scalar=False):
        self.apply, self.params = apply, params
        leaves = jax.tree.leaves(params)
        self.cast = lambda points: jnp.asarray(points, leaves[0].dtype)
        self.x = self.cast(x)
        self.rates = None if rates is None else jax.tree.map(_rate, jax.tree.broadcast(rates, params), params)
        self.block = min(max(NUMBERS // sum(leaf.size for leaf in leaves), 1), ROWS) if block is None else block
        if self.block < 1:
            raise ValueError(f"block={block}: must be at least 1")
        shape = jax.eval_shape(self.forward, params, self.x[:1]).shape
        if len(shape) != 2:
            raise ValueError(f"outputs of shape {shape} for one point: must be (points, outputs)")
        self.outputs = shape[1]
        if scalar and self.outputs != 1:
            raise ValueError(f"outputs={self.outputs}: must be 1 for the differentials of the NTK")

    def forward(self, params, x):
        found = self.apply(params, x)
        return found.output if isinstance(found, Activations) else found

    def output(self, index):
        """z_a as a function of the parameters."""
        point = self.x[index // self.outputs][None]
        return lambda params: self.forward(params, point)[0, index % self.outputs]

    def scale(self, gradient):
        return gradient if self.rates is None else jax.tree.map(jnp.multiply, self.rates, gradient)

    def direction(self, index):
        """v_a = λ ∂z_a."""
        return self.scale(jax.grad(self.output(index))(self.params))

    def bend(self, pair):
        """∂∂z_a v_c of a pair (a, c)."""
        v = self.direction(pair[1])
        return jax.grad(lambda params: _along(self.output(pair[0]), params, v))(self.params)

    def push(self, sets, x):
        """D^k z[v_1, …, v_k] (sets, points, outputs) at the points x for each row (1, …, k) of `sets`."""

        def row(indices):
            v = [self.direction(index) for index in indices]
            return _loop(lambda points: _along(lambda params: self.forward(params, points), self.params, *v), x, POINTS)

        return _loop(jax.vmap(row), sets, self.block)

    def differential(self, order):
        """D^k z_0[v_1, …, v_k] (0, 1, …, k) of scalar outputs; every set {1, …, k} is computed once."""
        m = len(self.x)
        sets = list(itertools.combinations_with_replacement(range(m), order))
        position = {indices: i for i, indices in enumerate(sets)}
        table = np.array([position[tuple(sorted(indices))] for indices in np.ndindex(*(m,) * order)])
        return self.push(np.array(sets), self.x)[..., 0].T[:, table].reshape((m,) * (order + 1))


def _rate(rate, parameter):
    if np.shape(rate) not in ((), parameter.shape):
        raise ValueError(f"rates: one of shape {np.shape(rate)} must be a number or shaped like its parameter, {parameter.shape}")
    return jnp.broadcast_to(jnp.asarray(rate, parameter.dtype), parameter.shape)


def _along(f, params, *directions):
    """D^k f[v_1, …, v_k] at the parameters, the v's held constant."""
    for v in directions:
        f = functools.partial(lambda g, v, params: jax.jvp(g, (params,), (v,))[1], f, v)
    return f(params)


def _loop(f, a, size):
    """f(a), computed in chunks of equal length, `size` at most, along the first axis; the last is filled up by repetition."""
    chunks = -(-len(a) // size)
    if chunks == 1:
        return f(jnp.asarray(a))
    indices = np.resize(np.arange(len(a)), (chunks, -(-len(a) // chunks)))
    found = jax.lax.map(lambda chunk: f(jnp.asarray(a)[chunk]), indices)
    return found.reshape(-1, *found.shape[2:])[: len(a)]
