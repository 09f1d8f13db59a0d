"""One spin is broadcast down a binary tree; what do its 2^D noisy leaves still say about it?

    s_child = ± s_parent, wrong with probability ε;  θ = 1 - 2ε
    l_node = F(l_left) + F(l_right),  F(l) = 2 artanh(θ tanh(l/2))           (belief propagation: l = ln p(leaves|+)/p(leaves|-))
    I(root; leaves) → 0 with depth where 2θ² ≤ 1, and stays positive where 2θ² > 1                           (Kesten & Stigum)

l_root is the minimal sufficient statistic T_0 and F of a pair is the map f_i. It takes few values (3, 5, 13, 85 at height 1 … 4), because
siblings can be exchanged; and it is a deep network of 2^D - 2 neurons with weights ±1 but for the first layer.
Joint distributions are (2, values) with the root + in row 0; leaves are bits in the order of `walsh`, where the bit 1 is the spin -1.
Informations are in nats. Lin, Tegmark & Rolnick (arXiv:1608.08225), section III; Evans, Kenyon, Peres & Schulman, Ann. Appl. Probab.
10 (2000) 410.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ..models.base import Activations, Apply
from ..numerics import mutual_information
from .hierarchy import Hierarchy, Statistic, bit_information, minimal_sufficient_statistic
from .network import Network

KESTEN_STIGUM = (1 - 0.5**0.5) / 2
"""ε at which 2θ² = 1."""
DEEPEST = 5
"""Depth to which the values of the posterior are enumerated: 3, 5, 13, 85, 3613, then millions."""


def root_posteriors(flip: float, depth: int, tolerance: float = 1e-10) -> list[Statistic]:
    """T of the leaves below a node at heights 1 … depth: p(node, T) for each distinct posterior, by belief propagation.

    p(s, t t') = 2 p(s, t) p(s, t') of two children, seen through the flips, with equal posteriors merged; labels are those of the pairs.
    """
    _check(flip, depth, DEEPEST)
    joint, found = np.eye(2) / 2, []
    for _ in range(depth):
        found.append(minimal_sufficient_statistic(_siblings(joint, flip), tolerance))
        joint = found[-1].joint
    return found


def leaf_joint(flip: Any, depth: int) -> Any:
    """p(root, leaves), (2, 2^(2^depth)): all configurations; depth ≤ 4."""
    _check(flip, depth, 4)
    return gathered(np.eye(2) / 2, flip, depth)


def gathered(joint: Any, flip: Any, depth: int) -> Any:
    """p(root, y_1 … y_k) of k = 2^depth nodes, each seen through the same p(node, y) (2, values): (2, values^k), y_1 the low part."""
    for _ in range(depth):
        joint = _siblings(joint, flip)
    return joint


def _siblings(joint, flip):
    """p(s, y y') of two copies of p(child, y) whose parent s is fair; the second is the high part of the index."""
    child = (1 - flip) * joint + flip * joint[::-1]
    return 2 * (child[:, None, :] * child[:, :, None]).reshape(2, -1)


def tree_hierarchy(flip: float, depth: int) -> Hierarchy:
    """The tree as a hierarchy: level k is its 2^k spins, 2^(2^k) outcomes; depth ≤ 4."""
    _check(flip, depth, 4)
    pair = np.outer([1 - flip, flip], [1 - flip, flip]).ravel()
    kernels = [np.stack([pair, pair[::-1]])]
    for _ in range(depth - 1):
        kernels.append(np.kron(kernels[-1], kernels[-1]))
    return Hierarchy(np.full(2, 0.5), tuple(kernels))


def vote_joint(flip: float, depth: int) -> np.ndarray:
    """p(root, number of leaves that are -), (2, 2^depth + 1)."""
    _check(flip, depth, 12)
    count = np.eye(2)
    for _ in range(depth):
        child = (1 - flip) * count + flip * count[::-1]
        count = np.stack([np.convolve(c, c) for c in child])
    return count / 2


def majority_joint(flip: float, depth: int) -> np.ndarray:
    """p(root, majority of the leaves: +, tie, -), (2, 3)."""
    vote, half = vote_joint(flip, depth), 2**depth // 2
    return np.stack([vote[:, :half].sum(1), vote[:, half], vote[:, half + 1 :].sum(1)], 1)


def single_leaf_information(flip: float, depth: int) -> float:
    """I(root; one leaf) = ln 2 - h((1 - θ^depth)/2)."""
    return bit_information((1 - 2 * flip) ** depth)


@functools.partial(jax.jit, static_argnames=("depth", "cells"))
def information_bounds(flip: Any, depth: int, cells: int = 401) -> tuple[Float[Array, "depth"], Float[Array, "depth"]]:
    """Bounds below and above I(root; leaves) at depths 1 … depth, however deep.

    The law of m = tanh(l/2) is kept on `cells` (odd) numbers: pooling what falls into a cell is a garbling of the leaves, splitting it
    between two neighbours, mean kept, is the reverse; belief propagation respects both orders (Blackwell).
    """
    if cells < 3 or cells % 2 == 0:
        raise ValueError(f"cells={cells}: must be odd and at least 3")
    flip, grid = jnp.asarray(flip, float), jnp.linspace(-1.0, 1.0, cells)
    half = (cells - 1) / 2

    def parent(m, p):
        a = (1 - 2 * flip) * m
        joined = 1 + a[:, None] * a[None]
        return jnp.ravel((a[:, None] + a[None]) / joined), jnp.ravel(p[:, None] * p[None] * joined)

    def pooled(law, _):
        m, p = parent(*law)
        cell = jnp.round((m + 1) * half).astype(int)
        mass, moment = (jnp.zeros(cells).at[cell].add(w) for w in (p, p * m))
        mean = jnp.where(mass > 0, moment / jnp.where(mass > 0, mass, 1), grid)
        return (mean, mass), information(mean, mass)

    def split(p, _):
        m, p = parent(grid, p)
        below = jnp.clip(jnp.floor((m + 1) * half), 0, cells - 2)
        low, share = below.astype(int), (m + 1) * half - below
        p = jnp.zeros(cells).at[low].add(p * (1 - share)).at[low + 1].add(p * share)
        return p, information(grid, p)

    def information(m, p):
        return mutual_information(jnp.stack([(1 + m) * p, (1 - m) * p]) / 2)

    start = jnp.zeros(cells).at[jnp.array([0, cells - 1])].set(0.5)
    below = jax.lax.scan(pooled, (grid, start), length=depth)[1]
    return below, jax.lax.scan(split, start, length=depth)[1]


def belief_propagation_network(flip: float, depth: int) -> Network:
    """l_root of 2^depth spins ±1 (…, 2^depth), exactly: hidden widths 2^(depth-1), …, 2, with F between the layers."""
    _check(flip, depth, 12)
    if not flip > 0:
        raise ValueError(f"flip={flip}: must be positive, or a leaf says everything")
    pairs = [np.kron(np.eye(2**k), np.ones((2, 1))) for k in reversed(range(depth))]
    pairs[0] = pairs[0] * np.log((1 - flip) / flip)
    theta = 1 - 2 * flip
    return Network.of([(w, 0.0) for w in pairs], f"log1p({theta}*tanh(z/2))-log1p(-{theta}*tanh(z/2))")


def shared_tree(key: Array, depth: int, channels: int) -> tuple[Any, Apply]:
    """A network to be trained that knows the tree: tanh nodes of `channels` units, one (2 channels, channels) map for each height.

    Parameters in single precision, and `apply(params, x)` of spins (n, 2^depth) with outputs (n, 1).
    """
    fans = [(2, channels), *[(2 * channels, channels)] * (depth - 1), (channels, 1)]
    keys = jax.random.split(key, len(fans))
    draw = lambda k, fan: jax.random.normal(k, fan, jnp.float32) / fan[0] ** 0.5
    params = [(draw(k, fan), jnp.zeros(fan[1], jnp.float32)) for k, fan in zip(keys, fans, strict=True)]

    def apply(params, x):
        state, hidden = x, []
        for w, b in params[:-1]:
            state = jnp.tanh(state.reshape(-1, len(w)) @ w + b[None])
            hidden.append(state.reshape(len(x), -1))
        w, b = params[-1]
        return Activations(tuple(hidden), state @ w + b[None])

    return params, apply


def train_on_law(apply: Apply, params: Any, x: Any, target: Any, drawn: Any, rate: float = 0.02) -> Any:
    """Parameters after a step of Adam, rate falling as a cosine, on each row of `drawn` (steps, batch), indices of configurations.

    The loss is the cross-entropy of p(root = + | x) = 1/(1 + e^{-f(x)}) against the exact posterior `target`, (configurations,).
    """
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, len(drawn)))

    def loss(params, some):
        return posterior_cross_entropy(apply(params, x[some]).output[:, 0], target[some]).mean()

    def step(state, some):
        updates, moments = optimizer.update(jax.grad(loss)(state[0], some), state[1])
        return (optax.apply_updates(state[0], updates), moments), None

    return jax.lax.scan(step, (params, optimizer.init(params)), drawn)[0][0]


def posterior_cross_entropy(l: Any, target: Any) -> jax.Array:
    """-p ln q - (1 - p) ln(1 - q), q = 1/(1 + e^{-l}), for p = `target`, elementwise, in nats."""
    return target * jax.nn.softplus(-l) + (1 - target) * jax.nn.softplus(l)


def _check(flip, depth, most):
    if not 1 <= depth <= most:
        raise ValueError(f"depth={depth}: must be in [1, {most}]")
    if isinstance(flip, float | int) and not 0 <= flip <= 0.5:
        raise ValueError(f"flip={flip}: must be in [0, 0.5]")
