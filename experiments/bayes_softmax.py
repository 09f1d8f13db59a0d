"""A network with a softmax is the exact Bayes posterior where -ln p(y|c) is a polynomial of low degree, with one neuron a term.

Classes of bits with random Hamiltonians become networks set by hand, which are compared with Bayes' rule, with the same formula less
ln Z_c or μ_c, and with networks of the same size that Adam trains on N samples. All 2^n inputs are enumerated, and a full-batch loss
depends on the samples only through their counts, so that N costs nothing. Gaussian classes become networks of square gates.

Source: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?", arXiv:1608.08225, section II.

    python -m experiments.bayes_softmax
    python -m experiments.bayes_softmax size=paper

Expect: identity to 1e-15; KL of the constructed network falls as e^{-β}, to 2e-9 at β = 20; trained networks follow P/2N from N = 1e5
and stop at 7e-5 for the population; -ln p(y|c) has 36 Walsh terms, -ln p(c|y) all 255. Squares of softplus at u₀ = 0, λ = 1e-3 miss an
error of 1e-6 (they err by λ²), those at ln(2 + √3) meet it.
Time: tiny 20 s, default 60 s, paper 10 min.
"""

import itertools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dltheory.cheap_learning import Network, posterior, walsh
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static

PRIORS = (0.4, 0.3, 0.2, 0.1)
PROBLEM = len(PRIORS), 8, 2
"""The problem of the page: classes, bits and degree; it is case 0."""
CASES = {"few": ((2, 6, 1), (2, 6, 2)), "all": tuple(itertools.product((2, 4, 8), (6, 8, 10), (1, 2, 3)))}
"""Classes, bits and degree of the other cases."""
SPREAD = 0.8
"""Standard deviation of a coefficient."""
GAINS = np.array([5.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0])
SAMPLES = np.array([10**3, 10**4, 10**5, 10**6])
RATE = 0.02
SCALES = np.geomspace(1e-4, 1e-1, 13)
OFFSETS = (0.0, posterior.FOURTH_ORDER)
GAUSSIAN = 4, 3
"""Dimension and number of Gaussian classes."""


@record
class Config:
    """Random problems; what is sampled are data sets and initial weights."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    cases: str = static("all", "problems beside that of the page", choices=tuple(CASES))
    networks: int = static(4, "trained networks for each number of samples", low=2, high=1000)
    steps: int = static(8000, "training steps", low=10, high=1_000_000)
    points: int = static(4000, "points at which Gaussian classes are compared", low=10, high=1_000_000)

    sizes: ClassVar = {
        "tiny": {"cases": "few", "networks": 2, "steps": 100, "points": 400},
        "paper": {"networks": 16, "steps": 30_000, "points": 100_000},
    }


@record
class Result:
    """KL = ⟨Σ_c p ln(p/q)⟩_y from Bayes p to a network q, in nats."""

    classes: Int[np.ndarray, "case"] = array("classes C")
    bits: Int[np.ndarray, "case"] = array("bits n")
    degree: Int[np.ndarray, "case"] = array("degree of the Hamiltonians")
    neurons: Int[np.ndarray, "case"] = array("neurons of the constructed network")
    identity: Float[np.ndarray, "case"] = array("largest |softmax(-H - μ) - Bayes' rule|")
    gain: Float[np.ndarray, "gain"] = array("gain β")
    constructed: Float[np.ndarray, "case gain"] = array("KL of the constructed network", "nats")
    leading: Float[np.ndarray, "case gain"] = array("that KL to leading order", "nats")
    no_partition: Float[np.ndarray, "case"] = array("KL of the formula without ln Z_c", "nats")
    no_prior: Float[np.ndarray, "case"] = array("KL of the formula without μ_c", "nats")
    entropy: Float[np.ndarray, ""] = array("cross-entropy of Bayes in case 0", "nats")
    risk: Float[np.ndarray, ""] = array("error rate of Bayes in case 0")
    sample: Int[np.ndarray, "sample"] = array("samples N")
    trained: Float[np.ndarray, "network sample"] = array("KL of a trained network", "nats")
    population: Float[np.ndarray, "network"] = array("KL of a network trained on the population", "nats")
    parameters: Int[np.ndarray, ""] = array("weights and biases of a trained network")
    exact: Float[np.ndarray, "input label"] = array("p(c|y) by Bayes' rule in case 0")
    predicted: Float[np.ndarray, "source input label"] = array("p(c|y) of networks: β = 5; trained on 1e3, 1e5")
    order: Int[np.ndarray, "input"] = array("spins of a product")
    given_class: Float[np.ndarray, "input label"] = array("Walsh coefficients of -ln p(y|c) in case 0", "nats")
    given_input: Float[np.ndarray, "input label"] = array("Walsh coefficients of -ln p(c|y) in case 0", "nats")
    scale: Float[np.ndarray, "scale"] = array("scale λ of a square")
    gaussian: Float[np.ndarray, "offset scale"] = array("Gaussian classes: largest error of p(c|y), |y_i| ≤ 4")
    gaussian_leading: Float[np.ndarray, "offset scale"] = array("that error to first order in the error of the squares")
    gaussian_neurons: Int[np.ndarray, ""] = array("neurons of the network of square gates")
    common: Float[np.ndarray, ""] = array("that error for equal covariances, no neuron")
    dimension: Int[np.ndarray, "dimension"] = array("dimension n of Gaussian classes")
    monomials: Int[np.ndarray, "dimension"] = array("dimension of the space of their Hamiltonians, less the constant")


def run(config: Config) -> Result:
    """Enumerate all inputs of the bits; train; compare Gaussian classes at random points."""
    random = np.random.default_rng(config.seed)
    shapes = (PROBLEM, *CASES[config.cases])
    problems = []
    for i, (classes, n, degree) in enumerate(shapes):
        h = np.where(walsh.orders(n)[:, None] <= degree, random.normal(scale=SPREAD, size=(2**n, classes)), 0.0)
        problems.append((h, random.dirichlet(np.full(classes, 5.0)) if i else np.array(PRIORS)))
    neurons, identity, constructed, leading, no_partition, no_prior = stack([_case(*problem) for problem in problems])
    likelihood, joint, exact = _bayes(*problems[0])
    inputs = joint.sum(1, keepdims=True)
    parameters, trained = _train(config, random, joint, int(neurons[0]))
    costs = np.asarray(posterior.kl_divergence(exact[None, None], trained)) @ inputs[:, 0]
    y = walsh.configurations(PROBLEM[1])
    weak = jax.jit(lambda beta: jax.nn.softmax(posterior.softmax_network(*problems[0], beta)(y)))(GAINS[0])
    spectrum = lambda p: np.asarray(jax.jit(jax.vmap(walsh.walsh, 1, 1))(-np.log(p)))
    gaussian, gaussian_leading, gaussian_neurons, common = _gaussian(random, config.points)
    dimension = np.arange(2, 5)
    return Result(
        classes=np.array([c for c, _, _ in shapes]),
        bits=np.array([n for _, n, _ in shapes]),
        degree=np.array([d for _, _, d in shapes]),
        neurons=np.asarray(neurons),
        identity=identity,
        gain=GAINS,
        constructed=constructed,
        leading=leading,
        no_partition=no_partition,
        no_prior=no_prior,
        entropy=-np.sum(joint * np.log(exact)),
        risk=1 - np.sum(inputs[:, 0] * exact.max(1)),
        sample=SAMPLES,
        trained=costs[:, :-1],
        population=costs[:, -1],
        parameters=parameters,
        exact=exact,
        predicted=np.stack([np.asarray(p) for p in (weak, trained[0, 0], trained[0, 2])]),
        order=walsh.orders(PROBLEM[1]),
        given_class=spectrum(likelihood),
        given_input=spectrum(exact),
        scale=SCALES,
        gaussian=gaussian,
        gaussian_leading=gaussian_leading,
        gaussian_neurons=gaussian_neurons,
        common=common,
        dimension=dimension,
        monomials=np.array([_monomials(random, int(n)) for n in dimension]),
    )


def _bayes(h, priors):
    """p(y|c), p(y, c) and p(c|y) by Bayes' rule, from sums over all products of bits."""
    subset = np.arange(len(h))
    weights = np.exp(-((subset[:, None] & subset == subset) @ h))
    likelihood = weights / weights.sum(0)
    joint = likelihood * priors
    return likelihood, joint, joint / joint.sum(1, keepdims=True)


def _case(h, priors):
    """A problem: neurons, identity, KL of the network at all gains and to leading order, KL without ln Z_c and without μ_c."""
    _, joint, exact = _bayes(h, priors)
    y = walsh.configurations(len(h).bit_length() - 1)

    @jax.jit
    def measured(gains):
        H = posterior.hamiltonians(posterior.normalised(h))
        cost = lambda q: jnp.sum(joint.sum(1) * posterior.kl_divergence(exact, q))
        at = lambda b: (cost(jax.nn.softmax(posterior.softmax_network(h, priors, b)(y))), posterior.leading_divergence(h, priors, b))
        wrong = posterior.bayes_posterior(posterior.hamiltonians(h), priors), posterior.bayes_posterior(H, np.ones_like(priors))
        identity = jnp.max(jnp.abs(posterior.bayes_posterior(H, priors) - exact))
        neurons = posterior.softmax_network(h, priors, 1.0).neurons
        return neurons, identity, *jax.lax.map(at, gains), *map(cost, wrong)

    return jax.device_get(measured(GAINS))


def _train(config, random, joint, width):
    """Numbers of a network, and p(c|y) of networks (network, samples or population, input, label) trained by Adam."""
    classes, n, _ = PROBLEM
    y = walsh.configurations(n)
    draw = lambda N: random.multinomial(N, joint.ravel()).reshape(joint.shape) / N
    weights = np.array([[*map(draw, SAMPLES), joint] for _ in range(config.networks)])
    layer = lambda m, n: (random.normal(scale=(2 / (m + n)) ** 0.5, size=(*weights.shape[:2], m, n)), np.zeros((*weights.shape[:2], n)))
    maps = [layer(n, width), layer(width, classes)]

    def network(maps, weights):
        net = posterior.fit_posterior(Network.of(maps, "sigmoid", jnp.float32), y, weights, config.steps, RATE)
        return jax.nn.softmax(net.astype(float)(y))

    numbers = sum(a[0, 0].size for a in jax.tree.leaves(maps))
    return np.asarray(numbers), jax.device_get(jax.jit(jax.vmap(jax.vmap(network)))(maps, weights))


def _classes(random, n, classes):
    """Means and covariances of Gaussian classes."""
    A = random.normal(size=(classes, n, n))
    return random.normal(scale=1.5, size=(classes, n)), A @ A.swapaxes(1, 2) / n + 0.3 * np.eye(n)


def _gaussian(random, points):
    """Largest error of p(c|y) at the two offsets and all scales, and to first order; neurons; error for equal covariances."""
    from scipy.special import softmax
    from scipy.stats import multivariate_normal

    n, classes = GAUSSIAN
    priors, (m, S), y = random.dirichlet(np.full(classes, 5.0)), _classes(random, n, classes), random.uniform(-4, 4, size=(points, n))
    bayes = lambda S: softmax(np.stack([multivariate_normal.logpdf(y, a, s) for a, s in zip(m, S, strict=True)], 1) + np.log(priors), 1)
    exact, equal = bayes(S), bayes(np.repeat(S[:1], classes, 0))
    worst = lambda error: jnp.max(jnp.abs(error))
    network = lambda S, *gate: posterior.gaussian_network(m, S, priors, "softplus", *gate)

    @jax.jit
    def errors(offsets, scales):
        measured = lambda u, s: worst(jax.nn.softmax(network(S, u, s)(y)) - exact)
        first = lambda u, s: worst(posterior.leading_gaussian_error(y, m, S, priors, "softplus", u, s))
        table = lambda f: jax.lax.map(lambda u: jax.lax.map(lambda s: f(u, s), scales), offsets)
        return table(measured), table(first), network(S).neurons, worst(jax.nn.softmax(network(S[0])(y)) - equal)

    return jax.device_get(errors(np.array(OFFSETS), SCALES))


def _monomials(random, n):
    """Dimension of the space that the Hamiltonians of 60 random Gaussian classes span, less 1 for the constant."""
    energies = posterior.gaussian_energies(random.uniform(-2, 2, size=(200, n)), *_classes(random, n, 60))
    return np.linalg.matrix_rank(np.asarray(energies)) - 1


def claims(data) -> list[Claim]:
    """E3.1 to E3.3, the two classic bugs, and the spectra of the two conditional probabilities."""
    from scipy.special import comb

    gain, constructed, N = data.gain.values, data.constructed.values, data["sample"].values
    slope = max((Estimate.of_slope(gain[1:], np.log(k[1:])) for k in constructed), key=lambda s: abs(s.mean + 1))
    expected = [np.sum(comb(n, np.arange(1, d + 1))) for n, d in zip(data.bits.values, data.degree.values, strict=True)]
    trained, population = data.trained.values, data.population.values
    at = lambda samples: trained[:, np.flatnonzero(N == samples)[0]]
    fall = Estimate.of(at(10**4)) / Estimate.of(at(10**5))
    terms = {name: (np.abs(data[name].values[1:]) > 1e-9).sum(0) for name in ("given_class", "given_input")}
    gaussian, first = data.gaussian.values, data.gaussian_leading.values
    page, coarse = np.argmin(np.abs(data.scale.values - 1e-3)), np.argmin(np.abs(data.scale.values - 1e-2))
    n = data.dimension.values
    problems, eq = f"{len(expected)} problems", "Lin et al., section II"
    u0 = [f"Gaussian classes, softplus at u₀ = {o:.3g}, λ = 1e-3: largest error of p(c|y)" for o in OFFSETS]
    return [
        Claim(f"{problems}: largest |softmax(-H - μ) - Bayes|", f"E3.1; {eq}", data.identity.values.max(), at_most(1e-12)),
        Claim(f"{problems}: slope of ln KL in β from 8 to 20, furthest from -1", "E3.1", slope, about(-1, absolute=0.1)),
        Claim(f"{problems}: largest |neurons - Σ C(n, j)|", "section 2", np.abs(data.neurons.values - expected).max(), at_most(0)),
        Claim(
            "β = 20: largest |KL/leading order - 1|",
            "derived here",
            np.abs(constructed / data.leading.values - 1)[:, -1].max(),
            at_most(0.01),
        ),
        Claim(
            "least KL without ln Z_c over that of the network, β = 20",
            "section 3",
            (data.no_partition.values / constructed[:, -1]).min(),
            at_least(1),
        ),
        Claim(
            "least KL without μ_c over that of the network, β = 20",
            "section 3",
            (data.no_prior.values / constructed[:, -1]).min(),
            at_least(1),
        ),
        Claim("weights and biases of a trained network", "E3.2", int(data.parameters), about(472)),
        Claim(
            "trained: least fall of the mean KL from one N to the next",
            "E3.2",
            (trained[:, :-1].mean(0) / trained[:, 1:].mean(0)).min(),
            at_least(1),
        ),
        Claim("trained: KL at N = 1e4 over KL at 1e5", "E3.2", fall, at_least(5)),
        Claim("constructed, β = 20, over least KL trained on the population", "E3.2", constructed[0, -1] / population.min(), at_most(1)),
        Claim(
            "trained: slope of ln KL in ln N from 1e5 to 1e6",
            "E3.2",
            Estimate.of(np.log10(at(10**6) / at(10**5))),
            about(-1, absolute=0.15),
            gated=False,
        ),
        Claim(
            f"trained: 2N KL at N = 1e5, for {_free(data)} free numbers",
            "E3.2; maximum likelihood",
            Estimate.of(2e5 * at(10**5)),
            about(_free(data), 0.2),
            gated=False,
        ),
        Claim(u0[1], "E3.3", gaussian[1, page], at_most(1e-6)),
        Claim(u0[0], "E3.3", gaussian[0, page], at_most(1e-6), gated=False),
        Claim("u₀ = 0, λ = 1e-2: error over first order", "derived here", gaussian[0, coarse] / first[0, coarse], about(1, 0.05)),
        Claim(
            "neurons of 3 Gaussian classes in 4 dimensions less 2nC", "E3.3", int(data.gaussian_neurons) - 2 * np.prod(GAUSSIAN), about(0)
        ),
        Claim("equal covariances, no neuron: largest error of p(c|y)", "E3.3", float(data.common), at_most(1e-12)),
        Claim(
            f"largest |monomials - n(n + 3)/2|, n = {n[0]}…{n[-1]}",
            "E3.3",
            np.abs(data.monomials.values - n * (n + 3) / 2).max(),
            at_most(0),
        ),
        Claim("Walsh terms of -ln p(y|c), most of the classes", "beyond S1", terms["given_class"].max(), about(36), gated=False),
        Claim("Walsh terms of -ln p(c|y), least of the classes", "beyond S1", terms["given_input"].min(), at_least(200), gated=False),
    ]


def _free(data):
    """Numbers of a trained network that its posterior depends on: the softmax takes out what is common to all classes."""
    return int(data.parameters) - int(data.neurons[0]) - 1


def plot(data):
    """KL of constructed and trained networks; calibration; all problems together; spectra; Gaussian classes."""
    import matplotlib.pyplot as plt

    figure, ((gains, samples, calibration), (together, spectra, squares)) = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.6))
    gain, constructed, leading, N = (data[name].values for name in ("gain", "constructed", "leading", "sample"))
    population, trained = Estimate.of(data.population.values), Estimate.of(data.trained.values)
    gains.plot(gain, constructed[0], "o", label="constructed")
    gains.plot(gain, leading[0], label="leading order", **THEORY)
    levels = ((float(data.no_partition[0]), r"without $\ln Z_c$", "C3"), (float(data.no_prior[0]), r"without $\mu_c$", "C4"))
    for level, label, color in (*levels, (float(population.mean), r"trained, $N=\infty$", "C1")):
        gains.axhline(level, color=color, lw=0.8, label=label)
    gains.set(yscale="log", xlabel=r"gain $\beta$", ylabel="KL from Bayes [nats]", title="8 bits, 4 classes, 36 neurons", ylim=(None, 300))
    gains.legend(fontsize=5.5, ncols=2, loc="upper center", columnspacing=0.8)
    samples.errorbar(N, trained.mean, trained.standard_error, fmt="o", color="C1", label="trained, 36 neurons")
    samples.plot(N, _free(data) / (2 * N), label=f"${_free(data)}/2N$", **THEORY)
    samples.axhline(population.mean, color="C1", lw=0.8, label=r"trained, $N=\infty$")
    samples.axhline(constructed[0, -1], color="C0", lw=0.8, label=rf"constructed, $\beta={gain[-1]:g}$")
    samples.set(xscale="log", yscale="log", xlabel="samples $N$", ylabel="KL from Bayes [nats]", title="what descent finds")
    samples.legend(fontsize=5.5, loc=(0.02, 0.12))
    for i, label in ((1, "trained, $N=10^3$"), (2, "trained, $N=10^5$"), (0, rf"constructed, $\beta={gain[0]:g}$")):
        calibration.plot(data.exact.values.ravel(), data.predicted.values[i].ravel(), ".", ms=2, color=f"C{(1, 2, 0)[i - 1]}", label=label)
    calibration.plot([0, 1], [0, 1], **THEORY)
    calibration.set(xlabel="Bayes $p(c|y)$", ylabel="network $p(c|y)$", title="calibration", ylim=(-0.03, 1.45))
    calibration.legend(fontsize=5.5, loc="upper left", markerscale=3)
    for case, ratio in enumerate(constructed / leading - 1):
        together.plot(gain, np.abs(ratio), color=f"C{int(data.degree[case]) - 1}", lw=0.7)
    for degree in np.unique(data.degree.values):
        together.plot([], [], color=f"C{degree - 1}", label=f"degree {degree}")
    together.plot(gain, np.exp(-gain / 2), label=r"$e^{-\beta/2}$", **THEORY)
    together.set(yscale="log", xlabel=r"gain $\beta$", ylabel="|KL / leading order - 1|", title=f"all {len(constructed)} problems")
    together.legend(fontsize=5.5)
    for name, label, shift in (("given_class", r"$-\ln p(y|c)$", -0.15), ("given_input", r"$-\ln p(c|y)$", 0.15)):
        size = np.abs(data[name].values)
        shown = (size > 1e-9) & (data.order.values > 0)[:, None]
        order = np.broadcast_to(data.order.values[:, None] + shift, size.shape)
        count = f"{shown.sum(0).max()} terms"
        spectra.plot(order[shown], size[shown], ".", ms=2, color="C0" if shift < 0 else "C1", label=f"{label}: {count}")
    spectra.set(
        yscale="log", xlabel="spins in the product", ylabel="|Walsh coefficient| [nats]", title="two conditional laws", ylim=(None, 50)
    )
    spectra.legend(fontsize=5.5, loc="upper right", markerscale=3)
    for i, label in enumerate(("$u_0=0$", r"$u_0=\ln(2+\sqrt{3})$")):
        squares.plot(data.scale, data.gaussian[i], "o", ms=3, color=f"C{i}", label=label)
        squares.plot(data.scale, data.gaussian_leading[i], **THEORY | {"color": f"C{i}"})
    squares.axhline(1e-6, color="0.6", lw=0.8)
    squares.set(
        xscale="log", yscale="log", xlabel=r"scale $\lambda$", ylabel="largest error of $p(c|y)$", title="Gaussian classes", ylim=(1e-11, 1)
    )
    squares.legend(fontsize=5.5)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
