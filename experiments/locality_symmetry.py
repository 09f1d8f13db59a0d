"""Physics makes learning cheap: low order, locality and symmetry take a Hamiltonian from 2^n numbers to n² to n to a handful.

Low order: sums become Gaussian and maximum entropy gives polynomials. Locality: the terms of a Hamiltonian on a graph are counted against
the bound of its cliques, and spins are traced out to see locality go. Symmetry: orbits are counted, translation-invariant maps are
learned from one example. Typicality: samples of the Ising model are compressed.

Source: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?", arXiv:1608.08225, sections I and II D.

    python -m experiments.locality_symmetry
    python -m experiments.locality_symmetry size=paper

Expect: k KL = 0.3344 at k = 80 for 1/3; a chain of n spins has 2n - 1 terms; the traced ring keeps 6 pairs, the traced 4 × 4 torus gets 24
pairs and 8 four-body terms; dense maps learn as 1 - m/n, circulant ones from one example.
Time: tiny 15 s, default 40 s, paper 10 min.
"""

import zlib
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory.cheap_learning import bits, low_order, symmetry, walsh
from dltheory.cheap_learning import markov_network as markov
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, estimate, main
from dltheory.numerics import Estimate, entropy
from dltheory.record import array, record, stack, static
from dltheory.statistical_physics import ising, sampling

COPIES = (1, 5, 20, 80)
FAMILIES = {"exponential": (1, 1 / 3), "Gumbel": (1, 1.1395470994046486**2 / 12), "logistic": (2, 1.2**2 / 48)}
"""Power of 1/k and its coefficient: γ²/12 of a skewed distribution, κ²/48 of a symmetric one."""
DEGREES, MAXENT_BITS = (2, 3), 5
COUPLING, FIELD = 0.4, 0.15
GAINS = (10.0, 20.0, 40.0)
LINEAR, EXAMPLES = 64, (1, 8, 16, 24, 32, 40, 48, 56, 64)
SYMMETRIES = (
    ("3 × 3 kernel with the symmetries of the square", "panel", 3),
    ("open chain of 8 bits, nearest neighbours", "II D 3, 2n", 16),
    ("ring of 8 bits, nearest neighbours, up to translation", "II D 3, 3", 3),
    ("H of 8 bits up to permutation", "panel, n + 1", 9),
)
SPINS = (4, 6, 8, 10, 12)
COUPLINGS = (0.0, 0.2, 0.3, 0.44, 0.6, 0.8)
SWINDLE = (20, 30)
PIXELS, GREYS = 10**6, 256


@record
class Config:
    """All of it runs on the host; every size is that of a sample."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    graphs: int = static(20, "random graphs of 10 spins", low=2, high=1000)
    maps: int = static(10, "random linear maps of 64 variables", low=2, high=1000)
    functions: int = static(100, "random functions of bits", low=2, high=10_000)
    long: int = static(4096, "variables of the linear map that is applied by Fourier transform", low=16, high=16_384)
    samples: int = static(16, "independent Ising lattices for each coupling", low=2, high=10_000)
    side: int = static(64, "sites along a side of these", low=4, high=1024)
    sweeps: int = static(40, "cluster sweeps from random spins to each", low=1, high=10_000)

    sizes: ClassVar = {
        "tiny": {"graphs": 3, "maps": 3, "functions": 5, "long": 256, "samples": 4, "side": 16, "sweeps": 10},
        "paper": {"graphs": 200, "maps": 100, "functions": 1000, "samples": 200, "sweeps": 80},
    }


@record
class Result:
    """The order of families, degrees, systems, lattices and symmetries is that of the constants above."""

    copies: Int[Array, "copies"] = array("draws k in a sum")
    divergence: Float[Array, "family copies"] = array("KL of the sum against a Gaussian", "nat")
    maximum_entropy: Float[Array, "degree check"] = array(
        "largest difference of a kept moment, largest |J_K| of ln q above the degree, S(q) - S(p) - KL(p || q), S(q) - S(p)"
    )
    terms: Int[Array, "system"] = array("products of bits in the Hamiltonian of chains, of the 4 × 4 torus, of random graphs")
    bound: Int[Array, "system"] = array("N_c 2^S_c")
    gain: Float[Array, "gain"] = array("gain β of the bit products")
    energy_error: Float[Array, "gain"] = array("largest error of the network's energy, 4 × 4 torus", "kT")
    energy_bound: Float[Array, "gain"] = array("σ(-β/2) Σ |h_K|", "kT")
    couplings: Int[Array, "lattice order"] = array("number of |J_K| > 1e-9 for each order |K|")
    excess: Int[Array, "rule graph"] = array("order of ln p less the largest clique; of a spin's log-odds less its number of neighbours")
    free: Int[Array, "symmetry"] = array("numbers that an invariant function can choose")
    turned: Float[Array, "kernel element"] = array("largest |k * gx - g (k * x)| for a tied and a free kernel, g one of 8")
    shifted: Float[Array, "map structure"] = array("norm of A P - P A, P the shift, circulant and generic A")
    examples: Int[Array, "examples"] = array("noiseless examples m")
    error: Float[Array, "map examples fit"] = array("squared relative error of the least-norm dense and of the circulant map")
    fourier_error: Float[Array, ""] = array("largest |Fourier - dense| over the largest output")
    bits: Int[Array, "bits"] = array("bits n of a random function, spins of a chain and a ring")
    random_terms: Float[Estimate, "bits"] = array("participation ratio of the Walsh coefficients of random ln p")
    ising_terms: Float[Array, "ising"] = array("participation ratio of rings of as many spins and of the 4 × 4 torus")
    reachable: Float[Array, "variables"] = array("log₂ of the share of functions of 20 and 30 bits that 1e5 32-bit numbers can be")
    numbers: Float[Array, "way"] = array("log₁₀ of v^n and v n for 1e6 pixels of 256 values")
    coupling: Float[Array, "coupling"] = array("K = J/kT of the Ising lattices")
    compressed: Float[Array, "coupling sample"] = array("zlib, one byte for a spin", "bit/site")
    fine: Float[Array, "fine"] = array("more K, among them those")
    entropy: Float[Array, "fine"] = array("entropy of the Ising model", "bit/site", source="Onsager (1944)")


def run(config: Config) -> Result:
    """Count, fit, sample."""
    draws = [np.random.default_rng([config.seed, part]) for part in range(4)]
    return Result(
        **_low_order(draws[0]),
        **_locality(draws[1], config.graphs),
        **_symmetry(draws[2], config.maps, config.long),
        **_generic(draws[3], config.functions),
        **_typical(jax.random.key(config.seed), config),
    )


def _low_order(random):
    x = jnp.arange(-20, 60, 0.05)
    densities = jnp.exp(-x - jnp.exp(-x)), jnp.exp(-2 * jnp.logaddexp(x / 2, -x / 2))
    sums = [[low_order.gaussian_divergence(d, 0.05, k) for k in COPIES] for d in densities]
    p = random.dirichlet(np.ones(2**MAXENT_BITS))
    order, checks = walsh.orders(MAXENT_BITS), []
    for d in DEGREES:
        q = np.asarray(low_order.maximum_entropy(p, d))
        gained = float(entropy(q) - entropy(p))
        moments = np.abs(walsh.from_walsh(q) - walsh.from_walsh(p))[order <= d]
        J = np.abs(walsh.walsh(np.log(q)))[order > d]
        checks.append([moments.max(), J.max(), gained - p @ np.log(p / q), gained])
    return {
        "copies": np.array(COPIES),
        "divergence": np.array([low_order.gamma_divergence(np.array(COPIES)), *sums]),
        "maximum_entropy": np.array(checks),
    }


def _locality(random, graphs):
    drawn = [markov.random_graph(random, 10, 0.4) for _ in range(graphs)]
    systems = [*map(markov.chain, SPINS), markov.torus(4), *drawn]
    regular = [markov.ising(graph, COUPLING, FIELD) for graph in systems[:-graphs]]
    energies = [*regular, *(markov.random_log_weights(random, graph) for graph in drawn)]
    terms = [markov.without_rounding(walsh.moebius(F)) for F in energies]
    networks = [bits.hamiltonian_network(terms[len(SPINS)], g) for g in GAINS]
    states = walsh.configurations(16).astype(float)
    ring, torus = markov.ising(markov.ring(12), COUPLING), markov.ising(markov.torus(4), COUPLING)
    even = [s for s in range(16) if (s // 4 + s) % 2 == 0]
    lattices = ring, markov.trace_out(ring, range(0, 12, 2)), torus, markov.trace_out(torus, even)
    order = lambda F: np.flatnonzero(markov.count_by_order(walsh.walsh(F))).max()
    excess = [
        [
            order(F) - max(c.bit_count() for c in markov.maximal_cliques(graph)),
            max(order(markov.log_odds(F, s)) - graph[s].sum() for s in range(10)),
        ]
        for graph, F in zip(drawn, energies[-graphs:], strict=True)
    ]
    return {
        "terms": np.array([np.count_nonzero(h[1:]) for h in terms]),
        "bound": np.array([markov.clique_bound(graph) for graph in systems]),
        "gain": np.array(GAINS),
        "energy_error": np.array([np.abs(net(states) - regular[-1]).max() for net in networks]),
        "energy_bound": np.array([bits.error_bound(terms[len(SPINS)], g) for g in GAINS]),
        "couplings": np.stack([np.resize(np.r_[markov.count_by_order(walsh.walsh(F)), np.zeros(16, int)], 17) for F in lattices]),
        "excess": np.array(excess).T,
    }


@jax.jit
def _fits(k, examples, given):
    """Squared relative errors of the dense and the circulant fit to the first `given` examples of the circulant map k."""
    A = symmetry.circulant(k)
    x = jnp.where((jnp.arange(LINEAR) < given)[:, None], examples, 0.0)  # examples of zeros say nothing
    error = lambda fit, exact: jnp.sum((fit - exact) ** 2) / jnp.sum(exact**2)
    return jnp.stack([error(symmetry.fit_dense(x, x @ A.T), A), error(symmetry.fit_circulant(x, x @ A.T), k)])


def _symmetry(random, maps, long):
    kernels, generic, examples = (random.normal(size=(maps, *s)) for s in ((LINEAR,), (LINEAR,) * 2, (LINEAR,) * 2))
    commutator = lambda A: np.linalg.norm(np.roll(A, -1, 1) - np.roll(A, 1, 0))
    square, board = symmetry.square_symmetries(3), symmetry.square_symmetries(8)
    kernel, image = random.normal(size=(3, 3)), random.normal(size=(8, 8))
    around = lambda k: np.roll(np.pad(k, (0, 5)), (-1, -1), (0, 1))
    filtered = lambda k, x: np.asarray(symmetry.convolve(around(k), x))
    gaps = lambda k: [
        np.abs(filtered(k, image.ravel()[g].reshape(8, 8)) - filtered(k, image).ravel()[g].reshape(8, 8)).max() for g in board
    ]
    present = lambda graph: np.abs(walsh.walsh(1 + markov.ising(graph, COUPLING, FIELD))) > 1e-9
    orbit = symmetry.orbits(symmetry.on_subsets(symmetry.translations(8)))
    free = symmetry.free_numbers(square), present(markov.chain(8)).sum(), len(set(orbit[present(markov.ring(8))]))
    k, x = jnp.asarray(random.normal(size=(2, long)))
    exact, fast = np.asarray(symmetry.circulant(k) @ x), np.asarray(symmetry.convolve(k, x))
    return {
        "free": np.array([*free, symmetry.free_numbers(symmetry.on_subsets(symmetry.swaps(8)))]),
        "turned": np.array([gaps(np.asarray(symmetry.tie(kernel, square))), gaps(kernel)]),
        "shifted": np.array([[commutator(symmetry.circulant(c)), commutator(g)] for c, g in zip(kernels, generic, strict=True)]),
        "examples": np.array(EXAMPLES),
        "error": np.array([[_fits(c, e, m) for m in EXAMPLES] for c, e in zip(kernels, examples, strict=True)]),
        "fourier_error": np.abs(fast - exact).max() / np.abs(exact).max(),
    }


def _generic(random, functions):
    spread = jax.jit(lambda F: walsh.participation_ratio(walsh.walsh(F)))
    drawn = [np.log(random.exponential(size=(functions, 2**n))) for n in SPINS]
    return {
        "bits": np.array(SPINS),
        "random_terms": stack([Estimate.of(np.array([spread(F) for F in one])) for one in drawn]),
        "ising_terms": np.array([spread(markov.ising(graph, COUPLING)) for graph in (*map(markov.ring, SPINS), markov.torus(4))]),
        "reachable": np.array([symmetry.log2_reachable(10**5, 32, n) for n in SWINDLE], float),
        "numbers": np.array(symmetry.log10_parameters(PIXELS, GREYS)),
    }


def _typical(key, config):
    draw = lambda K: sampling.swendsen_wang(jax.random.fold_in(key, round(100 * K)), config.side, K, config.sweeps, config.samples)
    fine = np.arange(0, 0.81, 0.02)
    bytes_of = lambda lattice: zlib.compress((lattice > 0).astype(np.uint8).tobytes(), 9)
    return {
        "coupling": np.array(COUPLINGS),
        "compressed": np.array([[8 * len(bytes_of(lattice)) / lattice.size for lattice in np.asarray(draw(K))] for K in COUPLINGS]),
        "fine": fine,
        "entropy": jax.jit(jax.vmap(ising.square_lattice_entropy))(fine) / np.log(2),
    }


def claims(data) -> list[Claim]:
    """Section 4 of the theory in its order: low order, locality, symmetry, what is generic, what is typical."""
    rows = [*_low_order_claims(data), *_locality_claims(data), *_symmetry_claims(data), *_typicality_claims(data)]
    return [Claim(*row) for row in rows]


def _low_order_claims(data):
    k, kl = data.copies.values[-1], data.divergence.values[:, -1]
    for (name, (power, limit)), value in zip(FAMILIES.items(), kl, strict=True):
        yield f"{name}: k^{power} KL of the sum of k = {k}", "E4.1; central limit", value * float(k) ** power, about(limit, 0.02)
    for d, (moment, high, pythagoras, lost) in zip(DEGREES, data.maximum_entropy.values, strict=True):
        text = f"maximum entropy, {MAXENT_BITS} bits, d = {d}:"
        yield f"{text} largest error of a moment", "E4.2", moment, at_most(1e-10)
        yield f"{text} largest Walsh coupling above order d", "E4.2", high, at_most(1e-9)
        yield f"{text} S(q) - S(p) - KL(p, q), of {lost:.3g}", "E4.2; Pythagoras", pythagoras, about(0, absolute=1e-9)


def _locality_claims(data):
    terms, n = data.terms.values, SPINS[-1]
    chains = terms[: len(SPINS)]
    yield "open chain with fields: second difference of its terms in n", "E4.3", np.abs(np.diff(chains, 2)).max(), about(0)
    yield f"open chain with fields: terms for n = {n}", "E4.3, 2n - 1", chains[-1], about(2 * n - 1)
    yield "4 × 4 torus with fields: hidden units", "E4.3, 3L²", terms[len(SPINS)], about(3 * 4**2)
    yield "chains, torus, random graphs: largest ratio of terms to N_c 2^S_c", "E4.3", (terms / data.bound.values).max(), at_most(1)
    text = "4 × 4 torus: largest energy error of the network over σ(-β/2) Σ|h|"
    yield text, "E4.3", (data.energy_error / data.energy_bound).values.max(), at_most(1)
    texts = "Walsh order of ln p less the largest clique", "order of a spin's log-odds less its number of neighbours"
    for text, excess in zip(texts, data.excess.values, strict=True):
        yield f"random graphs: {text}", "II D 2; panel", excess.max(), at_most(0)
    ring, torus = data.couplings.values[[1, 3], 1:]
    yield "ring of 12 spins, every other traced: pairs", "E4.4", ring[1], about(6)
    yield "ring of 12 spins, every other traced: all other couplings", "E4.4", ring.sum() - ring[1], about(0)
    yield "4 × 4 torus, a sublattice traced: pairs", "E4.4", torus[1], about(24)
    yield "4 × 4 torus, a sublattice traced: four-body couplings", "E4.4", torus[3], about(8)
    yield "4 × 4 torus, a sublattice traced: couplings, of 127 even ones", "E4.4", torus.sum(), about(32)


def _symmetry_claims(data):
    for (text, source, expected), free in zip(SYMMETRIES, data.free.values, strict=True):
        yield f"{text}: free numbers", source, free, about(expected)
    yield "circulant A: largest norm of AP - PA", "E4.5", data.shifted.values[:, 0].max(), at_most(1e-10)
    yield "generic A: smallest norm of AP - PA", "E4.5, control", data.shifted.values[:, 1].min(), at_least(1e-10)
    dense, circulant = data.error.values[..., 0], data.error.values[..., 1]
    gap = Estimate.of(dense - (1 - data.examples.values / LINEAR))
    worst = gap[np.argmax(np.abs(gap.mean))]
    text = "least-norm dense fit: largest |squared error - (1 - m/n)|, mean over maps"
    yield text, "E4.5", Estimate(abs(worst.mean), worst.standard_error, worst.count), at_most(0.03)
    yield "circulant fit to one example: largest squared error", "E4.5", circulant[:, 0].max(), at_most(1e-20)
    yield f"Fourier against dense product, n = {int(data.long)}: relative error", "E4.5", data.fourier_error.values, at_most(3e-13)
    tied, free = data.turned.values.max(1)
    yield "tied 3 × 3 kernel: largest commutator with 8 rotations and reflections", "panel", tied, at_most(1e-10)
    yield "free 3 × 3 kernel: largest commutator", "panel, control", free, at_least(1e-10)


def _typicality_claims(data):
    n, (small, large) = data.bits.values, data.reachable.values
    share = estimate(data, "random_terms")[-1] * (3 / 2.0 ** n[-1])
    yield f"participation ratio of random ln p over 2^n/3, n = {n[-1]}", "E4.6", share, about(1, 0.05)
    off = np.abs(data.ising_terms.values - [*n, 32]).max()
    yield "Ising rings and 4 × 4 torus: participation ratio less number of couplings", "E4.6", off, at_most(1e-9)
    generic, sum_of_ones = data.numbers.values
    text = f"log₁₀ of the numbers of a generic function of 10⁶ pixels of {GREYS} values, {sum_of_ones:.2f} of a sum of functions of one"
    yield text, "E4.6, swindle", generic, about(8e6 * np.log10(2), 1e-9)
    yield "1e5 numbers of 32 bits: log₂ of the share of functions of 30 bits", "E4.6, swindle", large, at_most(-1.07e9)
    yield "the same for 20 bits: no restriction", "E4.6, swindle", small, at_least(0)
    sizes = Estimate.of(data.compressed.values, axis=1)
    for low, high in ((0.0, 0.2), (0.2, 0.44), (0.44, 0.8)):
        one, other = (sizes[COUPLINGS.index(K)] for K in (low, high))
        yield f"zlib bits per site at K = {low:g} less those at K = {high:g}", "E4.7", one - other, at_least(0)
    over = sizes - data.entropy.sel(fine=list(COUPLINGS), method="nearest").values
    yield "zlib bits per site less Onsager's entropy, least of all K", "Shannon's bound", over[np.argmin(over.mean)], at_least(0)


def plot(data):
    """Two panels for each of low order, locality and symmetry with what is generic and typical."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.4))
    k = data.copies.values
    for i, (name, (power, limit)) in enumerate(FAMILIES.items()):
        axes[0, 0].plot(k, data.divergence.values[i], f"C{i}o-", ms=3, label=name)
        axes[0, 0].plot(k, limit / k.astype(float) ** power, **THEORY)
    axes[0, 0].set(xscale="log", yscale="log", xlabel="draws $k$ in the sum", ylabel="KL to a Gaussian (nat)", title="low order: sums")
    _terms_panel(axes[0, 1], data)
    order, couplings = np.arange(1, 7), data.couplings.values[:, 1:7]
    for i, label in enumerate(("ring of 12 spins", "4 × 4 torus")):
        at = order + 0.4 * i - 0.2
        axes[0, 2].bar(at, couplings[2 * i], 0.36, fill=False, edgecolor=f"C{i}", lw=0.8, label=None if i else "before tracing")
        axes[0, 2].bar(at, couplings[2 * i + 1], 0.36, color=f"C{i}", label=label)
    axes[0, 2].set(xlabel="spins in a coupling", ylabel="couplings", title="tracing out half the spins", xticks=order, ylim=(0, 44))
    m = data.examples.values
    dense, circulant = Estimate.of(data.error.values[..., 0]), data.error.values[..., 1].mean(0)
    axes[1, 0].errorbar(m, dense.mean, dense.standard_error, color="C0", fmt="o", ms=3, label="any linear map")
    axes[1, 0].plot(m, circulant, "C1o", ms=3, label="circulant")
    axes[1, 0].plot(m, 1 - m / LINEAR, label="$1-m/n$", **THEORY)
    axes[1, 0].set(xlabel="noiseless examples $m$", ylabel="squared relative error", title=f"symmetry, $n={LINEAR}$")
    n, random = data.bits.values, estimate(data, "random_terms")
    axes[1, 1].errorbar(n, random.mean, random.standard_error, color="C0", fmt="o", ms=3, label="random $\\ln p$")
    axes[1, 1].plot(n, data.ising_terms.values[: len(n)], "C1o", ms=3, label="Ising ring")
    axes[1, 1].plot(n, 2.0**n / 3, label="$2^n/3$, $n$", **THEORY)
    axes[1, 1].plot(n, n, **THEORY)
    axes[1, 1].set(yscale="log", xlabel="bits $n$", ylabel="terms taking part", title="generic and physical")
    K, sizes = data.coupling.values, Estimate.of(data.compressed.values, axis=1)
    axes[1, 2].errorbar(K, sizes.mean, sizes.standard_error, color="C0", marker="o", ms=3, label="zlib")
    axes[1, 2].plot(data.fine.values, data.entropy.values, label="entropy", **THEORY)
    axes[1, 2].set(xlabel="Ising coupling $K=J/kT$", ylabel="bit/site", title="typical states", ylim=(0, None))
    for axis in axes.flat:
        axis.legend(fontsize=6)
    return figure


def _terms_panel(axis, data):
    n = np.array(SPINS)
    terms, bound = (data[name].values[: len(n)] for name in ("terms", "bound"))
    axis.plot(n, 2.0**n - 1, color="0.6", label="all products")
    axis.plot(n, n * (n + 1) / 2, color="0.6", ls="-.", label="order ≤ 2")
    axis.plot(n, bound, label="$N_c 2^{S_c}$", **THEORY)
    axis.plot(n, terms, "C0o-", ms=3, label="neighbours in a chain")
    axis.plot(n, np.full(len(n), int(data.free[2])), color="C2", label="up to translation")
    axis.set(yscale="log", xlabel="spins $n$", ylabel="terms of $H$", title="locality", ylim=(2, 1e6))


if __name__ == "__main__":
    main(__spec__.name)
