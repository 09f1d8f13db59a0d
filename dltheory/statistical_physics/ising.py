"""The Ising model, exactly: small graphs by enumeration, the chain by its transfer matrix, and the chain's decimation.

p(s) = e^{-H(s)} / Z,  H = -K Σ_<ij> s_i s_j - h Σ_i s_i,  s_i = ±1; K and h are in units of temperature.

*Chain.* T = [[e^{K+h}, e^{-K}], [e^{-K}, e^{K-h}]] has the eigenvalues λ± = e^K cosh h ± e^{-K} q, q = √(1 + I²), I = e^{2K} sinh h. So

    ln Z / n = ln λ+,    <s> = I/q,    <s_0 s_d> - <s>² = r^d / q²,    r = λ-/λ+ = e^{-1/ξ}  (h = 0: tanh K).

*Decimation.* Summing over all but every b-th spin leaves a chain with T' ∝ T^b: the marginal keeps <s>, hence I, and r' = r^b. Hence

    K' = ¼ ln [1 + 4 q² r^b / (1 - r^b)²],    sinh h' = I e^{-2K'}

for every b at once. At h = 0 it is tanh K' = tanh^b K; at b = 2, K' = ¼ ln [cosh(2K+h) cosh(2K-h) / cosh² h] and
h' = h + ½ ln [cosh(2K+h) / cosh(2K-h)]. The correlation length shrinks by b, and couplings run along lines of constant <s>.

Source: Kramers & Wannier, Phys. Rev. 60, 252 (1941); Nelson & Fisher, Ann. Phys. 91, 226 (1975); Lin, Tegmark & Rolnick,
arXiv:1608.08225, section III G. The closed form for all b with a field is derived here.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Int8

from ..record import array, record

MAX_SPINS = 22
"""Enumeration holds 2^n states of n spins in memory."""


@record
class Gibbs:
    """Law of n spins, state by state; bit i of a state's number is 1 where s_i = -1."""

    energy: Array = array("H of every state, (2^n,)", "temperature")
    probability: Array = array("p of every state, (2^n,)")
    log_partition: Array = array("ln Z")

    def marginal(self, kept: Sequence[int]) -> Float[Array, "marginal"]:
        """Probabilities (2^k,) of the states of the k `kept` spins, the first of them being bit 0."""
        n = int(self.probability.size).bit_length() - 1
        table = self.probability.reshape((2,) * n)
        axes = [n - 1 - i for i in kept]
        traced = tuple(a for a in range(n) if a not in axes)
        left = sorted(axes)
        return jnp.sum(table, traced).transpose([left.index(a) for a in reversed(axes)]).reshape(-1)

    def correlation(self) -> Float[Array, "n n"]:
        """<s_i s_j>, (n, n)."""
        s = jnp.asarray(states(int(self.probability.size).bit_length() - 1), self.probability.dtype)
        return (s * self.probability[:, None]).T @ s


def states(spins: int) -> Int8[np.ndarray, "state spins"]:
    """All states ±1 of some spins, (2^n, n). `ValueError` above 22 spins."""
    if not 1 <= spins <= MAX_SPINS:
        raise ValueError(f"spins={spins}: must be in [1, {MAX_SPINS}] to be enumerated")
    return (1 - 2 * ((np.arange(2**spins)[:, None] >> np.arange(spins)) & 1)).astype(np.int8)


def ring(spins: int) -> Int[np.ndarray, "edge 2"]:
    """Bonds of a periodic chain; two spins share two bonds, one is bound to itself."""
    i = np.arange(spins)
    return np.stack([i, (i + 1) % spins], 1)


def torus(side: int) -> Int[np.ndarray, "edge 2"]:
    """The 2 side² bonds of the periodic square lattice, site number side × row + column; side 2 has each bond twice."""
    site = np.arange(side * side).reshape(side, side)
    return np.concatenate([np.stack([site, np.roll(site, -1, axis)], -1).reshape(-1, 2) for axis in (1, 0)])


def enumerate_states(edges: Int[np.ndarray, "edge 2"], coupling: ArrayLike, field: ArrayLike = 0.0) -> Gibbs:
    """Every state of a graph. `coupling` K is a number or one for each edge, `field` h a number or one for each spin."""
    s = states(int(np.max(edges)) + 1)
    K, h = jnp.asarray(coupling, float), jnp.asarray(field, float)
    over = lambda values, weight: (
        jnp.sum(jnp.asarray(values, float), 1) * weight if weight.ndim == 0 else jnp.asarray(values, float) @ weight
    )
    energy = -over(s[:, edges[:, 0]] * s[:, edges[:, 1]], K) - over(s, h)
    log_partition = jax.nn.logsumexp(-energy)
    return Gibbs(energy, jnp.exp(-energy - log_partition), log_partition)


@record
class Chain:
    """The infinite chain."""

    log_partition: Array = array("ln Z per spin: ln λ+")
    magnetisation: Array = array("<s>")
    decay: Array = array("r = λ-/λ+: connected correlations fall by it per step")

    @property
    def correlation_length(self) -> Array:
        """ξ = -1 / ln r, in lattice spacings, for K > 0."""
        return -1 / jnp.log(self.decay)

    def correlation(self, distance: ArrayLike) -> Array:
        """<s_0 s_d> - <s>²."""
        return (1 - self.magnetisation**2) * self.decay**distance

    def log_partition_ring(self, spins: int) -> Array:
        """ln Z of a ring of n spins: n ln λ+ + ln(1 + r^n)."""
        return spins * self.log_partition + jnp.log1p(self.decay**spins)


def chain(coupling: ArrayLike, field: ArrayLike = 0.0) -> Chain:
    """Transfer matrix of the chain with K and h, of any shapes that broadcast."""
    K, invariant, q, slope, r = _coordinates(coupling, field)
    return Chain(jnp.log(slope + q) - K, invariant / q, r)


def square_lattice(coupling: ArrayLike) -> Array:
    """ln Z per site of the infinite square lattice without field, (1/2π)∫da ½ ln[2 (A + √(A² - sinh² 2K))] with
    A = cosh² 2K - sinh 2K cos a, by 4096 points; Onsager, Phys. Rev. 65, 117 (1944)."""
    K = jnp.asarray(coupling, float)[..., None]
    cosine = np.cos(np.pi * (np.arange(4096) + 0.5) / 4096).reshape((1,) * (K.ndim - 1) + (-1,))
    B = jnp.sinh(2 * K)
    A = jnp.cosh(2 * K) ** 2 - B * cosine
    return jnp.mean(jnp.log(2 * (A + jnp.sqrt(A**2 - B**2))), -1) / 2


def square_lattice_entropy(coupling: ArrayLike) -> Array:
    """S = ln z - K d ln z/dK per site, in nats, of one coupling."""
    value, slope = jax.value_and_grad(square_lattice)(jnp.asarray(coupling, float))
    return value - coupling * slope


def decimate(coupling: ArrayLike, field: ArrayLike = 0.0, block: int = 2) -> tuple[Array, Array]:
    """(K', h') of the chain of every `block`-th spin, all others summed over; exact, arrays allowed. `ValueError` if block < 1."""
    _check_block(block)
    _, invariant, q, _, r = _coordinates(coupling, field)
    x = r**block
    K = jnp.log1p(4 * q**2 * x / (1 - x) ** 2) / 4
    return K, jnp.arcsinh(invariant * jnp.exp(-2 * K))


def traced_free_energy(coupling: ArrayLike, field: ArrayLike = 0.0, block: int = 2) -> Array:
    """c = ln(T^b / T'), what the summed spins add to ln Z for each spin kept: ln Z_n(K, h) = ln Z_{n/b}(K', h') + (n/b) c.

    Along the flow Σ_k c_k / b^{k+1} = ln λ+, the whole free energy per spin. `ValueError` if block < 1.
    """
    renormalised, _ = decimate(coupling, field, block)
    K, _, q, slope, r = _coordinates(coupling, field)
    powers = jnp.log1p(-(r**block)) - jnp.log1p(-r)
    return renormalised - K + (block - 1) * (jnp.log(slope + q) - K) + powers


def _coordinates(coupling, field):
    """K, I, q, e^{2K} cosh h and r."""
    K, h = jnp.asarray(coupling, float), jnp.asarray(field, float)
    invariant = jnp.exp(2 * K) * jnp.sinh(h)
    q = jnp.sqrt(1 + invariant**2)
    slope = jnp.exp(2 * K) * jnp.cosh(h)
    return K, invariant, q, slope, jnp.expm1(4 * K) / (slope + q) ** 2


def _check_block(block):
    if block < 1:
        raise ValueError(f"block={block}: must be ≥ 1")
