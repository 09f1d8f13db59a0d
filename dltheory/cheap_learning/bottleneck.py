"""Losing a little information on purpose: the best summary of y in few symbols t, for a source x.

    I(x; t(y)) ≤ I(x; y), with equality where t refines the minimal sufficient statistic
    binary x: the best partition into B classes has intervals of p(x|y) for classes                     (Burshtein et al. 1992)
    information bottleneck: min I(t;y) - β I(t;x),   q(t|y) ∝ q(t) exp(-β KL(p(x|y) ‖ q(x|t)))         (Tishby, Pereira & Bialek 1999)
    along its optima dI(t;x)/dI(t;y) = 1/β, and I(t;x) = 0 where β ρ² < 1 is the only one, ρ the maximal correlation

Joint distributions are (sources, outcomes); informations in nats. Lin, Tegmark & Rolnick (arXiv:1608.08225), section III A ("lossy
distillation"); Slonim & Tishby, "Agglomerative information bottleneck" (1999).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..numerics import mutual_information
from ..record import array, record
from .hierarchy import Joint, merge, posterior


def best_partition(joint: Joint, classes: int) -> Int[np.ndarray, "outcome"]:
    """Labels 0 … classes - 1, in the order of p(x=0|y), that keep most of I(x;y): exact for a binary source.

    Dynamic programme over the cuts of the sorted outcomes: best(b, j) = max_i best(b - 1, i) + Σ_x p(x, i…j) ln p(x | i…j).
    O(classes |Y|²). `ValueError` unless there are two sources and at least as many outcomes as classes.
    """
    joint = np.asarray(joint, float)
    size = joint.shape[1]
    if len(joint) != 2 or not 1 <= classes <= size:
        raise ValueError(f"joint: {joint.shape}, classes={classes}: must have two rows, and classes must be in [1, {size}]")
    order = np.argsort(posterior(joint)[0], kind="stable")
    total = np.cumsum(np.pad(joint[:, order], ((0, 0), (1, 0))), axis=1)
    block = total[:, None, :] - total[:, :, None]  # outcomes i … j - 1, (2, size + 1, size + 1)
    gain = _xlogy(block, block).sum(0) - _xlogy(block.sum(0), block.sum(0))
    gain[np.tril_indices(size + 1)] = -np.inf
    best, cuts = gain[0], []
    for _ in range(classes - 1):
        choice = best[:, None] + gain
        cuts.append(choice.argmax(0))
        best = choice.max(0)
    edges = [size]
    for cut in reversed(cuts):
        edges.append(int(cut[edges[-1]]))
    labels = np.empty(size, int)
    labels[order] = np.searchsorted(np.sort(edges), np.arange(size), side="right")
    return labels


def agglomerate(joint: Joint, classes: int = 1) -> list[Int[np.ndarray, "outcome"]]:
    """Labels after each merger of the two classes that costs least, down to `classes`: any source, greedy, first without mergers.

    A merger costs Σ_x [p(x,t) ln p(x|t) + p(x,t') ln p(x|t') - p(x,t∪t') ln p(x|t∪t')], t∪t' the new class.
    """
    joint = np.asarray(joint, float)
    part, labels = joint.copy(), np.arange(joint.shape[1])
    if not 1 <= classes <= len(labels):
        raise ValueError(f"classes={classes}: must be in [1, {len(labels)}]")
    kept = lambda p: _xlogy(p, p).sum(0) - _xlogy(p.sum(0), p.sum(0))
    price = lambda one, other: kept(one) + kept(other) - kept(one + other)
    cost = np.array(price(part[:, :, None], part[:, None, :]))
    cost[np.tril_indices(len(labels))] = np.inf
    out = [labels]
    for _ in range(len(labels) - classes):
        a, b = np.unravel_index(cost.argmin(), cost.shape)
        part[:, a] += part[:, b]
        cost[b], cost[:, b] = np.inf, np.inf
        cost[:a, a] = np.where(np.isinf(cost[:a, a]), np.inf, price(part[:, :a], part[:, a, None]))
        cost[a, a + 1 :] = np.where(np.isinf(cost[a, a + 1 :]), np.inf, price(part[:, a + 1 :], part[:, a, None]))
        labels = np.where(labels == b, a, labels)
        out.append(np.unique(labels, return_inverse=True)[1])
    return out


def _xlogy(x, y):
    """x ln y, and 0 where x is 0; rounding may have made x slightly negative."""
    return x * np.log(np.where(x > 0, y, 1))


@record
class Bottleneck:
    """Optima of the information bottleneck, one for each β."""

    encoder: Any = array("q(t|y), (β, symbols, outcomes)")
    rate: Any = array("I(t;y)", "nat")
    relevance: Any = array("I(t;x)", "nat")


@functools.partial(jax.jit, static_argnames=("iterations",))
def information_bottleneck(joint: Joint, betas: Float[Array | np.ndarray, "beta"], iterations: int = 1000) -> Bottleneck:
    """The curve at decreasing `betas`: deterministic annealing backwards, from a symbol for each outcome, each β starts from the last.

    Starting there needs no noise to break symmetries: symbols that no longer pay fall together. All outcomes must occur.
    """
    joint = jnp.asarray(joint, float)
    p = joint.sum(0)
    log_x = jnp.log(jnp.maximum(joint, 1e-300)) - jnp.log(p)[None]
    at_y = joint / p[None]
    negative_entropy = jnp.sum(at_y * log_x, 0)

    def step(beta, encoder):
        q = jnp.maximum(encoder @ p, 1e-300)
        x_of_t = (encoder @ joint.T) / q[:, None]
        divergence = negative_entropy[None] - jnp.log(jnp.maximum(x_of_t, 1e-300)) @ at_y
        return jax.nn.softmax(jnp.log(q)[:, None] - beta * divergence, axis=0)

    def anneal(encoder, beta):
        encoder = jax.lax.fori_loop(0, iterations, lambda _, e: step(beta, e), encoder)
        return encoder, (encoder, mutual_information(encoder * p[None]), mutual_information(encoder @ joint.T))

    return Bottleneck(*jax.lax.scan(anneal, jnp.eye(joint.shape[1]), jnp.asarray(betas, float))[1])


def maximal_correlation(joint: Joint) -> jax.Array:
    """ρ, the second singular value of p(x,y)/√(p(x)p(y)): the bottleneck opens at β = 1/ρ² or before. All x and y must occur."""
    joint = jnp.asarray(joint)
    scaled = joint / jnp.sqrt(joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True))
    return jnp.linalg.svd(scaled, compute_uv=False)[1]


def kept_information(joint: Joint, labels: Int[Any, "outcome"]) -> float:
    """I(x; t) in nats of a partition t of the outcomes."""
    return float(mutual_information(merge(joint, labels)))
