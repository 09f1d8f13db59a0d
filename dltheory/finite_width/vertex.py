r"""The four-point vertex and the correction of the kernel for several inputs.

S_ab, the covariance of a neuron's preactivations given the layer below, fluctuates: Cov(S_ab, S_cd) = V_(ab)(cd)/n and
E S_ab = K_ab + G1_ab/n. With p, q unordered pairs of inputs and J, H the first two derivatives of the map K ↦ K' with respect to them,

    V'_(ab)(cd) = C_W² (⟨s_a s_b s_c s_d⟩ - ⟨s_a s_b⟩⟨s_c s_d⟩) + Σ_pq J_(ab)p V_pq J_(cd)q
    G1'_ab = Σ_p J_(ab)p G1_p + ½ Σ_pq H_(ab)pq V_pq

in terms of derivatives, so that no kernel is inverted and it may be singular.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter 4.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..infinite_width import check_kernel, check_setting, continuous_derivatives, function, pair_averages
from ..models.activations import Activation
from ..numerics import gaussian_mean, gaussian_mean_pair
from .sampling import root

STEP = 0.4
GRID = np.arange(-20, 21) * STEP
WEIGHTS = STEP * np.exp(-(GRID**2) / 2) / np.sqrt(2 * np.pi)


def kernel_and_vertex(
    activation: str | Activation, kernel: ArrayLike, depth: int, c_b: ArrayLike, c_w: ArrayLike
) -> tuple[Float[Array, "depth m m"], Float[Array, "depth m m m m"]]:
    """K (depth, m, m) and V (depth, m, m, m, m), V[l, a, b, c, d] = V_(ab)(cd), from K^(1) = `kernel` (m, m); layer 1 first.

    One or two inputs: errors of `gaussian_mean_pair`. More: averages of three and four different inputs by the trapezoid rule with
    step 0.4, for tanh 1e-8 at K = 1 and 1e-5 at K = 4; kinked activations are refused there. `ValueError` as `propagate`.
    """
    K, V, _ = _corrections(activation, kernel, depth, c_b, c_w)
    return K, V


def kernel_correction(
    activation: str | Activation, kernel: ArrayLike, depth: int, c_b: ArrayLike, c_w: ArrayLike
) -> Float[Array, "depth m m"]:
    """G1 (depth, m, m) of the same networks."""
    return _corrections(activation, kernel, depth, c_b, c_w)[2]


def _corrections(activation, kernel, depth, c_b, c_w):
    check_setting(c_b=c_b, c_w=c_w, depth=depth)
    check_kernel(kernel)
    phi, K = function(activation), jnp.asarray(kernel, float)
    if K.ndim != 2:
        raise ValueError("kernel: must be an (m, m) matrix; recursion takes one input")
    if len(K) > 2 and continuous_derivatives(phi) < 3:
        raise ValueError(f"kernel: {len(K)} inputs need a smooth activation, a kinked one takes at most two")
    return _layers(phi, depth, K, jnp.asarray(c_b, float), jnp.asarray(c_w, float))


@partial(jax.jit, static_argnums=(0, 1))
def _layers(phi, depth, kernel, c_b, c_w):
    m = len(kernel)
    a, b = np.triu_indices(m)
    place = np.zeros((m, m), int)
    place[a, b] = place[b, a] = np.arange(len(a))
    step = lambda pairs: c_b + c_w * pair_averages(phi, pairs[place]).values[a, b]

    def layer(state, _):
        K, V, G1 = state
        new, J, H = step(K), jax.jacfwd(step)(K), jax.jacfwd(jax.jacfwd(step))(K)
        square = (new - c_b) / c_w
        fresh = c_w**2 * (_fours(phi, K[place], a, b) - square[:, None] * square[None])
        state = new, fresh + J @ V @ J.T, J @ G1 + jnp.einsum("apq,pq->a", H, V) / 2
        return state, state

    first = kernel[a, b], jnp.zeros((len(a), len(a))), jnp.zeros(len(a))
    _, rest = jax.lax.scan(layer, first, length=depth - 1)
    K, V, G1 = jax.tree.map(lambda x, y: jnp.concatenate([x[None], y]), first, rest)
    wide = np.ix_(np.arange(depth), place.ravel(), place.ravel())
    return K[:, place], V[wide].reshape(depth, m, m, m, m), G1[:, place]


def _fours(phi, K, a, b):
    """⟨s_a s_b s_c s_d⟩ for all pairs of pairs: each set of four inputs once, by how many of them differ."""
    sets = sorted(itertools.combinations_with_replacement(range(len(K)), 4), key=lambda four: len(set(four)))
    values = []
    for count, some in itertools.groupby(sets, key=lambda four: len(set(four))):
        inputs, powers = zip(*((sorted(set(four)), [four.count(i) for i in sorted(set(four))]) for four in some), strict=True)
        mean = {1: _one, 2: _two}.get(count, _grid)
        given = jnp.asarray(inputs), jnp.asarray(powers)
        values.append(jax.lax.map(lambda g, mean=mean: mean(lambda z, p: _power(phi(z), p), K[g[0]][:, g[0]], g[1]), given))
    number = {four: i for i, four in enumerate(sets)}
    place = [[number[tuple(sorted((*p, *q)))] for q in zip(a, b, strict=True)] for p in zip(a, b, strict=True)]
    return jnp.concatenate(values)[np.array(place)]


def _power(s, p):
    """s^p, p = 1 … 4."""
    return s * jnp.where(p > 1, s, 1.0) * jnp.where(p > 2, s, 1.0) * jnp.where(p > 3, s, 1.0)


def _one(f, K, p):
    return gaussian_mean(lambda z: f(z, p[0]), K[0, 0])


def _two(f, K, p):
    return gaussian_mean_pair(lambda x, y: f(x, p[0]) * f(y, p[1]), K)


def _grid(f, K, p):
    """Three or four different inputs: z = L x with the trapezoid rule in every x."""
    L, x, n = root(K), jnp.asarray(GRID), len(GRID)
    along = lambda j, k: x.reshape(n, *[1] * (k - j))
    terms = []
    for k in range(len(K)):
        z = sum(jnp.broadcast_to(L[k, j] * along(j, k), (n,) * (k + 1)) for j in range(k + 1))
        terms.append(f(z, p[k]) * jnp.asarray(WEIGHTS).reshape(*[1] * k, n))
    axes = "ijkl"[: len(K)]
    return jnp.einsum(",".join(axes[: k + 1] for k in range(len(K))) + "->", *terms)
