"""What a closed system can forget: the entropy of a law that a Markov chain moves.

A chain p'_b = Σ_a p_a P_ab with Σ_b P_ab = 1 and the stationary law π = πP never increases KL(p, π) = Σ p ln(p/π). If the columns of P
sum to 1 as well, the system is closed: π is uniform, and S = ln n - KL never falls. If P is a permutation S is conserved: what is only
rearranged is not forgotten. Under any other chain S can fall. Against the Boltzmann law π of energies E at temperature T,

    KL(p, π) = (F[p] - F[π]) / T,    F[p] = <E>_p - T S(p),

so that S(π) - S(p) = KL(p, π) ≥ 0 where p has the energy of π: Boltzmann's is the largest entropy, at negative T too.

Source: Polat, research page on the reusability prior, "entropy never decreases in a closed system"; Cover & Thomas, "Elements of
Information Theory" (2006), section 4.4; Birkhoff (1946).
"""

import jax
import numpy as np
from jaxtyping import Float

from ..record import Number, array, record
from .ensemble import boltzmann

SPARSE = 0.3
"""Concentration of the Dirichlet laws that maps are drawn from; below 1 they are far from uniform."""


@record
class SecondLaw:
    """Random chains of three kinds from the same random laws, (chain, time) each."""

    closed: Number = array("entropy under doubly stochastic maps", "nat")
    rearranged: Number = array("entropy under permutations", "nat")
    unconstrained: Number = array("entropy under any maps", "nat")
    divergence: Number = array("KL to the stationary law under these", "nat")


def second_law(random: np.random.Generator, chains: int, states: int, steps: int) -> SecondLaw:
    """Follow `chains` random laws of some `states` for 0..`steps` steps."""
    from scipy.special import entr, rel_entr

    start, maps = random.dirichlet(np.ones(states), chains), any_maps(random, chains, states)
    laws = follow(start, maps, steps)
    return SecondLaw(
        closed=entr(follow(start, closed_maps(random, chains, states), steps)).sum(-1),
        rearranged=entr(follow(start, permutations(random, chains, states), steps)).sum(-1),
        unconstrained=entr(laws).sum(-1),
        divergence=rel_entr(laws, stationary(maps)[:, None]).sum(-1),
    )


@record
class LargestEntropy:
    """Random laws beside the Boltzmann law of the same energy, (law,) each."""

    deficit: Number = array("S(Boltzmann) - S(p)", "nat")
    distance: Number = array("KL(p, Boltzmann)", "nat")


def largest_entropy(random: np.random.Generator, laws: int, states: int) -> LargestEntropy:
    """Compare at normal energies and at temperatures of both signs, 0.3 ≤ |T| ≤ 3."""
    from scipy.special import entr, rel_entr

    energies = random.normal(size=(laws, states))
    temperatures = random.uniform(0.3, 3, laws) * random.choice([-1, 1], laws)
    best = jax.vmap(boltzmann)(energies, temperatures)
    p = with_energy(random, energies, np.asarray(best.energy))
    deficit = np.asarray(best.entropy) - entr(p).sum(-1)
    return LargestEntropy(deficit=deficit, distance=rel_entr(p, np.asarray(best.probabilities)).sum(-1))


def any_maps(random: np.random.Generator, chains: int, states: int) -> Float[np.ndarray, "chain state state"]:
    """Each row has a few likely successors."""
    return random.dirichlet(np.full(states, SPARSE), (chains, states))


def permutations(random: np.random.Generator, chains: int, states: int) -> Float[np.ndarray, "chain state state"]:
    """One permutation each."""
    return np.eye(states)[random.permuted(np.tile(np.arange(states), (chains, 1)), axis=1)]


def closed_maps(random: np.random.Generator, chains: int, states: int) -> Float[np.ndarray, "chain state state"]:
    """Doubly stochastic: mixtures of as many permutations as there are states, a few of them likely."""
    shares = random.dirichlet(np.full(states, SPARSE), chains)
    return np.sum([s[:, None, None] * permutations(random, chains, states) for s in shares.T], axis=0)


def stationary(maps: Float[np.ndarray, "chain state state"]) -> Float[np.ndarray, "chain state"]:
    """π = πP of chains that have only one such law."""
    n = maps.shape[-1]
    balance = np.swapaxes(maps, 1, 2) - np.eye(n)
    balance[:, -1] = 1  # the last balance follows from the others; Σ π = 1 takes its place
    return np.linalg.solve(balance, np.broadcast_to(np.eye(n)[:, -1:], (len(maps), n, 1)))[..., 0]


def follow(
    p: Float[np.ndarray, "chain state"], maps: Float[np.ndarray, "chain state state"], steps: int
) -> Float[np.ndarray, "chain time state"]:
    """The law of each chain after 0..steps steps."""
    laws = [p]
    for _ in range(steps):
        laws.append(np.einsum("ca,cab->cb", laws[-1], maps))
    return np.stack(laws, axis=1)


def with_energy(
    random: np.random.Generator, energies: Float[np.ndarray, "law state"], mean: Float[np.ndarray, "law"]
) -> Float[np.ndarray, "law state"]:
    """Random laws with Σ p E = `mean`: mixtures of a law drawn uniformly with the lowest or the highest state.

    `ValueError` for a mean that is not between these two.
    """
    if np.any((mean <= energies.min(1)) | (mean >= energies.max(1))):
        raise ValueError("mean: must be between the smallest and the largest energy")
    p = random.dirichlet(np.ones(energies.shape[1]), len(energies))
    now = np.sum(p * energies, axis=1)
    extreme = np.where(now < mean, energies.argmax(1), energies.argmin(1))
    there = np.take_along_axis(energies, extreme[:, None], 1)[:, 0]
    share = ((mean - now) / (there - now))[:, None]
    return (1 - share) * p + share * np.eye(energies.shape[1])[extreme]
