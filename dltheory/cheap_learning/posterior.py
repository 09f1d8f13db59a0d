"""Bayes' rule is a softmax: p(c|y) = softmax_c(-H_c(y) - μ_c), with H_c = -ln p(y|c) and μ_c = -ln p(c).

So a network that computes polynomial Hamiltonians H_c, followed by a softmax, is the exact posterior (Lin, Tegmark & Rolnick,
arXiv:1608.08225, section II). H_c is normalised, its constant contains ln Z_c = ln Σ_y e^{-Σ_K h_K Π y}: dropping ln Z_c or μ_c is the
classic bug.

Bits: one `bits` network for all classes. A small error δ_c(y) of the H_c costs

    KL = ½ ⟨Var_{c|y} δ_c(y)⟩_y + O(δ³),

so that a network of gain β is e^{-β} away from Bayes. Gaussian classes p(y|c) = N(m_c, S_c): H_c is quadratic, with n(n+3)/2
monomials, and diagonal in n squares of (y - m_c) along the axes of S_c, so 2n neurons a class; where S_c is the same for all classes
the squares cancel in the softmax and no neuron is left.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, Float, Num

from ..models.activations import Activation
from ..record import Number
from .bits import hamiltonian_network, leading_error
from .gates import gate_series, square_gate
from .network import Network, affine, beside
from .walsh import from_moebius

_values = jax.jit(jax.vmap(from_moebius, 1, 1))
FOURTH_ORDER = math.log(2 + 3**0.5)
"""Where the fourth derivative of softplus is 0, so that its squares err by λ⁴."""


def bayes_posterior(energies: Float[Array | np.ndarray, "*points classes"], priors: Float[Array | np.ndarray, " priors"]) -> jax.Array:
    """p(c|y) from H_c(y) = -ln p(y|c) and p(c), in logarithms; `ValueError` if the numbers of classes differ."""
    H, mu = jnp.asarray(energies), _mu(priors, np.shape(energies)[-1])
    return jax.nn.softmax(-H - mu.reshape((1,) * (H.ndim - 1) + mu.shape), axis=-1)


def kl_divergence(p: Float[Array | np.ndarray, "*shape classes"], q: Float[Array | np.ndarray, "*points classes"]) -> jax.Array:
    """Σ_c p ln(p/q) at each point, in nats; shapes broadcast."""
    return jnp.sum(jax.scipy.special.rel_entr(jnp.asarray(p), jnp.asarray(q)), axis=-1)


def normalised(coefficients: Float[Array | np.ndarray, "table classes"]) -> jax.Array:
    """Coefficients h_K of H_c = -ln p(y|c): those given, with ln Z_c added to the constant."""
    h = jnp.asarray(coefficients)
    return h.at[0].add(jax.nn.logsumexp(-hamiltonians(h), axis=0))


def hamiltonians(coefficients: Float[Array | np.ndarray, "table classes"]) -> jax.Array:
    """H_c at all configurations (2^n, classes) from the coefficients h_K."""
    return _values(jnp.asarray(coefficients))


def softmax_network(
    coefficients: Float[np.ndarray, "table classes"], priors: Float[Array | np.ndarray, " priors"], beta: Number
) -> Network:
    """Network of n bits whose outputs are -H_c - μ_c, so that their softmax is p(c|y) for β → ∞; h_K not traced, of any constant."""
    with jax.ensure_compile_time_eval():
        h = np.array(normalised(coefficients))
        h[0] += _mu(priors, h.shape[1])
    return hamiltonian_network(-h, beta)


def leading_divergence(
    coefficients: Float[Array | np.ndarray, "table classes"], priors: Float[Array | np.ndarray, " priors"], beta: Number
) -> jax.Array:
    """⟨KL⟩_y from Bayes to the network of gain β, in nats, to leading order in e^{-β/2}."""
    H = hamiltonians(normalised(coefficients))
    joint = jnp.exp(-H - _mu(priors, H.shape[1])[None])
    delta, p = leading_error(H, beta), bayes_posterior(H, priors)
    mean = jnp.sum(p * delta, axis=1, keepdims=True)
    return jnp.sum(joint * (delta - mean) ** 2) / 2


def fit_posterior(
    network: Network,
    y: Num[Array | np.ndarray, "points inputs"],
    weights: Float[Array | np.ndarray, "points classes"],
    steps: int,
    rate: float = 0.02,
) -> Network:
    """The network after `steps` of Adam, rate falling as a cosine, on the cross-entropy -Σ w(y, c) ln softmax_c at all points.

    `weights` are p(y, c), or the shares of a sample that lies on the points: the loss over N samples depends on them alone.
    """
    y, w = (jnp.asarray(a, network.weights[0].dtype) for a in (y, weights))
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))
    loss = lambda net: -jnp.sum(w * jax.nn.log_softmax(net(y)))

    def step(state, _):
        net, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(net), moments)
        return (jax.tree.map(jnp.add, net, updates), moments), None

    start: Any = network
    return jax.lax.scan(step, (start, optimizer.init(start)), length=steps)[0][0]


@jax.jit
def gaussian_energies(
    y: Float[Array | np.ndarray, "points n"], means: Float[Array | np.ndarray, "classes n"], covariances: Float[Array | np.ndarray, "..."]
) -> jax.Array:
    """H_c = -ln N(y; m_c, S_c), (points, classes), for covariances (classes, n, n), or (n, n) common to all classes."""
    m, S = _classes(means, covariances)
    log_density = jax.vmap(jax.scipy.stats.multivariate_normal.logpdf, (0, None, None))
    return jnp.negative(jax.vmap(log_density, (None, 0, 0), out_axes=1)(jnp.asarray(y), m, S))


def gaussian_network(
    means: Float[Array | np.ndarray, "classes n"],
    covariances: Float[Array | np.ndarray, "..."],
    priors: Float[Array | np.ndarray, " priors"],
    activation: str | Activation = "softplus",
    bias: Number = FOURTH_ORDER,
    scale: Number = 3e-3,
) -> Network:
    """Network whose outputs are -H_c - μ_c up to a common function of y: 2n neurons a class for covariances (classes, n, n), none for
    one (n, n). `ValueError` if the shapes do not fit or the activation has no curvature at `bias`."""
    m, S = _classes(means, covariances)
    mu, (classes, n) = _mu(priors, len(m)), m.shape
    precision, axes = _axes(S)
    constant = jnp.sum(jnp.log(precision), axis=1) / 2 - mu
    if np.ndim(covariances) == 2:
        slopes = jnp.linalg.solve(S[0], m.T)
        return affine(slopes, constant - jnp.sum(m * slopes.T, axis=1) / 2)
    along = affine(axes.transpose(1, 0, 2).reshape(n, -1), -jnp.einsum("cj,cji->ci", m, axes).reshape(-1))
    squares = beside(*[square_gate(activation, bias, scale)] * (classes * n))
    return along.then(squares).then(affine(jax.scipy.linalg.block_diag(*-precision[..., None] / 2), constant))


def leading_gaussian_error(
    y: Float[Array | np.ndarray, "points n"],
    means: Float[Array | np.ndarray, "classes n"],
    covariances: Float[Array | np.ndarray, "classes n n"],
    priors: Float[Array | np.ndarray, " priors"],
    activation: str | Activation = "softplus",
    bias: Number = FOURTH_ORDER,
    scale: Number = 3e-3,
) -> jax.Array:
    """Error of p(c|y) of that network, (points, classes), to first order in the errors z²(λ² c₄ z²/2 + λ⁴ c₆ z⁴) of its squares."""
    m, S = _classes(means, covariances)
    precision, axes = _axes(S)
    z = jnp.einsum("pcj,cji->pci", jnp.asarray(y)[:, None] - m[None], axes)
    delta = -jnp.sum(precision[None] * z**2 * gate_series(activation, bias).error(z / 2, z / 2, scale), axis=-1) / 2
    p = bayes_posterior(gaussian_energies(y, means, covariances), priors)
    return p * (delta - jnp.sum(p * delta, axis=-1, keepdims=True))


def _axes(S: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Inverse variances (classes, n) and the axes they belong to, as columns (classes, n, n)."""
    return jnp.linalg.eigh(jnp.linalg.inv(S))


def _classes(means: Any, covariances: Any) -> tuple[jax.Array, jax.Array]:
    """Means (classes, n) and covariances (classes, n, n)."""
    m, S = jnp.asarray(means, float), jnp.asarray(covariances, float)
    classes, n = m.shape
    if S.shape not in ((n, n), (classes, n, n)):
        raise ValueError(f"covariances: {S.shape}; must be {(n, n)} or {(classes, n, n)}")
    return m, jnp.broadcast_to(S, (classes, n, n))


def _mu(priors: Any, classes: int) -> jax.Array:
    """-ln p(c)."""
    p = jnp.asarray(priors, float)
    if p.shape != (classes,) or (not isinstance(p, Tracer) and not np.all(p > 0)):
        raise ValueError(f"priors={priors}: must be {classes} positive numbers")
    return -jnp.log(p)
