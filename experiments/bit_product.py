"""One neuron multiplies any number of bits; any function of n bits needs one neuron for each product in it.

The neuron σ(-β(k - 1/2 - Σ y)) is run on all inputs, k = 1…10; random functions of n bits, values N(0, 1), become networks through their
Möbius table; polynomials of low degree and sparse ones are counted. Spins are fed to the neuron as a control. The bound of the paper,
σ(-β/2) Σ|h_K|, grows as (1 + √2)^n here, yet the error does not: to leading order it is made of differences of F between neighbours.

Source: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?", arXiv:1608.08225, eq. 13.

    python -m experiments.bit_product
    python -m experiments.bit_product size=paper

Expect: the worst error is σ(-β/2) for each k, so D decimals need β > 2 D ln 10, twice what is printed; error of random functions
falls with slope -1/2 in β and stays below the bound, 45 times for 8 bits and 200 times for 10; 36 neurons for 8 bits and degree 2.
Time: tiny 10 s, default 15 s, paper 2 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dltheory.cheap_learning import bits, walsh
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static

MOST_FACTORS = 10
CORRECT = np.ceil(100 * bits.gain_for(10)) / 100
PRINTED = CORRECT / 2
"""Gains for ten decimals, 46.06 and 23.03."""
GAINS = np.array([2.0, 4.0, 10.0, 20.0, PRINTED, 40.0, CORRECT])
RISING = np.arange(10.0, 41.0, 5.0)
DEGREES = (1, 2, 3, 4)
SPARSE = (0.01, 0.1, 0.3, 0.9)
"""Fractions of the coefficients of a sparse polynomial that are not zero."""
STAIRS, FEWEST = 6, 4
PAGE_ERROR, PAGE_BOUND = 0.1356, 1.32
"""Of one draw with n = 6, β = 10."""


@record
class Config:
    """Exact enumeration of bits; what is random are the functions of them."""

    seed: int = static(0, "names the random functions", low=0, high=2**32 - 1)
    draws: int = static(200, "random functions of each number of bits", low=3, high=5000)
    bits: int = static(10, "largest number n of bits of a random function", low=6, high=12)

    sizes: ClassVar = {"tiny": {"draws": 5, "bits": 6}, "paper": {"draws": 1000, "bits": 12}}


@record
class Result:
    """Errors are the largest over all inputs. `gain` counts the gains of products, `rise` those of random functions."""

    k: Int[np.ndarray, "k"] = array("factors of a product")
    gain: Float[np.ndarray, "gain"] = array("gain β of a product")
    product: Float[np.ndarray, "k gain"] = array("error of a product of bits")
    steps: Float[np.ndarray, "k gain"] = array("deviation of its outputs from σ(-β(j - 1/2)), j bits being 0")
    stairs: Float[np.ndarray, "gain ones"] = array("output for 6 bits against their sum")
    parity: Float[np.ndarray, "k gain"] = array("error of the neuron fed spins s against Π s")
    conjunction: Float[np.ndarray, "k gain"] = array("error of the neuron fed spins s against Π (1 + s)/2")
    parity_neurons: Int[np.ndarray, "k"] = array("neurons of the network of bits that computes Π s")
    saturation: Float[np.ndarray, "k"] = array("least β/2 at which the float32 product of ones is exactly 1")
    n: Int[np.ndarray, "n"] = array("bits of a random function")
    rise: Float[np.ndarray, "rise"] = array("gain β of a random function")
    error: Float[np.ndarray, "n draw rise"] = array("error of its network")
    leading: Float[np.ndarray, "n draw rise"] = array("that error to leading order in e^{-β/2}")
    weight: Float[np.ndarray, "n draw"] = array("Σ |h_K|, K ≠ ∅")
    spread: Float[np.ndarray, "n draw"] = array("max F - min F")
    neurons: Int[np.ndarray, "n"] = array("its neurons")
    size: Int[np.ndarray, "size"] = array("bits of a polynomial")
    degree: Int[np.ndarray, "degree"] = array("its degree")
    hidden: Int[np.ndarray, "size degree"] = array("neurons of a polynomial with all its terms")
    terms: Int[np.ndarray, "polynomial"] = array("terms of a sparse polynomial without the constant")
    sparse: Int[np.ndarray, "polynomial"] = array("its neurons")


def run(config: Config) -> Result:
    """Enumerate all inputs of all networks."""
    random = np.random.default_rng(config.seed)
    k, n, size = (np.arange(*ends) for ends in ((1, MOST_FACTORS + 1), (FEWEST, config.bits + 1), (2, config.bits + 1)))
    product, steps, parity, conjunction, parity_neurons, saturation = stack([_products(int(i)) for i in k])
    error, leading, weight, spread, neurons = stack([_functions(random.normal(size=(2**i, config.draws))) for i in n])
    sparse = [np.where(random.random(2**config.bits) < p, random.normal(size=2**config.bits), 0.0) for p in SPARSE]
    stairs = np.tri(STAIRS + 1, STAIRS, -1)
    return Result(
        k=k,
        gain=GAINS,
        product=product,
        steps=steps,
        stairs=_over(GAINS, lambda b: bits.bit_product(STAIRS, b)(stairs)),
        parity=parity,
        conjunction=conjunction,
        parity_neurons=parity_neurons,
        saturation=saturation,
        n=n,
        rise=RISING,
        error=error,
        leading=leading,
        weight=weight,
        spread=spread,
        neurons=neurons,
        size=size,
        degree=np.array(DEGREES),
        hidden=np.array([[_neurons(np.where(walsh.orders(int(i)) <= d, 1.0, 0.0)) for d in DEGREES] for i in size]),
        terms=np.array([np.count_nonzero(h[1:]) for h in sparse]),
        sparse=np.array([_neurons(h) for h in sparse]),
    )


def _over(gains, f):
    """What f returns for each gain, compiled once."""
    return jax.device_get(jax.jit(lambda g: jax.lax.map(f, g))(gains))


def _moebius(F):
    """Coefficients of all columns of F (2^n, functions), compiled once."""
    return jax.device_get(jax.jit(jax.vmap(walsh.moebius, 1, 1))(F))


def _neurons(h):
    """Neurons of the network with coefficients h; its weights are not computed."""
    return int(jax.jit(lambda: bits.hamiltonian_network(h, 1.0).neurons)())


def _products(k):
    """The neuron of k factors at all gains: fed bits, fed spins, in float32; and what the product of k spins costs in bits."""
    y = walsh.configurations(k)
    s = 2 * y - 1
    halves = np.arange(1500, 1900) / 100

    @jax.jit
    def outputs(gains, halves):
        single = lambda half: bits.bit_product(k, 2 * half).astype(jnp.float32)(np.ones((1, k)))
        return jax.lax.map(lambda b: bits.bit_product(k, b)(np.concatenate([y, s])), gains), jax.lax.map(single, halves)

    seen, low = jax.device_get(outputs(GAINS, halves))
    seen, spins = np.split(seen, 2, axis=1)
    worst = lambda outputs, exact: np.abs(outputs - exact).max(1)
    law = 1 / (1 + np.exp(GAINS[:, None] * (k - y.sum(1) - 0.5)))
    parity = _neurons(_moebius(s.prod(1, keepdims=True).astype(float)))
    against = worst(seen, y.prod(1)), worst(seen, law), worst(spins, s.prod(1)), worst(spins, y.prod(1))
    return *against, np.asarray(parity), halves[np.argmax(low[:, 0] == 1)]


def _functions(F):
    """Networks of the functions F (2^n, draws), which share their neurons, at all gains."""
    y = walsh.configurations(len(F).bit_length() - 1)
    h = _moebius(F)
    worst = lambda e: jnp.max(jnp.abs(e), 0)
    error, leading = _over(RISING, lambda b: (worst(bits.hamiltonian_network(h, b)(y) - F), worst(bits.leading_error(F, b))))
    return error.T, leading.T, np.abs(h[1:]).sum(0), np.ptp(F, axis=0), np.asarray(_neurons(h))


def claims(data) -> list[Claim]:
    """E2.1 to E2.3, erratum 4, and what decides the error of a function."""
    from scipy.special import comb, expit

    gain, k, n, rise, size = (data[name].values for name in ("gain", "k", "n", "rise", "size"))
    product, error, leading, weight, hidden = (data[name].values for name in ("product", "error", "leading", "weight", "hidden"))
    decimals = {beta: -np.log10(product[:, np.argmin(np.abs(gain - beta))]) for beta in (PRINTED, CORRECT)}
    bound, crude = (expit(-rise / 2) * size[..., None] for size in (weight, n[:, None] * data.spread.values))
    slope = max((Estimate.of_slope(rise, np.log(e)) for e in error.reshape(-1, len(rise))), key=lambda s: abs(s.mean + 0.5))
    grown = Estimate.of((weight / _mean_weight(n)[:, None]).T)
    expected = np.cumsum(comb(size[:, None], np.arange(1, hidden.shape[1] + 1)), axis=1)
    six = list(n).index(6)
    eq = "Lin et al., eq. 13"
    out = [
        (f"product of 1…{k[-1]} bits: largest error less σ(-β/2)", f"E2.1; {eq}", np.abs(product - expit(-gain / 2)).max(), at_most(1e-12)),
        ("all inputs: output less σ(-β(j - 1/2)), j bits being 0", "section 2", data["steps"].values.max(), at_most(1e-12)),
        (f"decimals at β = {PRINTED:.2f} = D ln 10, printed as enough for D = 10", "erratum 4", decimals[PRINTED].max(), about(5, 1e-3)),
        (f"decimals at β = {CORRECT:.2f} = 2 D ln 10", "erratum 4", decimals[CORRECT].min(), at_least(10)),
        ("float32: β/2 from which a product of ones is exactly 1", "section 2", data.saturation.values.mean(), between(16.6, 17.4)),
        ("random functions: largest error over σ(-β/2) Σ|h_K|", "E2.2", (error / bound).max(), at_most(1)),
        ("slope of ln error in β, furthest from -1/2", "E2.2", slope, about(-0.5, absolute=0.02)),
        ("largest deviation of error from leading order", "derived here", np.abs(error / leading - 1).max(), at_most(1e-3)),
        ("largest error over n (max F - min F) σ(-β/2)", "derived here", (error / crude).max(), at_most(1 + 1e-3)),
        ("largest |z| of the mean of Σ|h_K| against √(2/π)((1+√2)ⁿ - 1)", "derived here", np.abs(grown.z(1.0)).max(), at_most(5)),
        ("largest |neurons/terms - 1| of polynomials of degree 1…4", "E2.3", np.abs(hidden / expected - 1).max(), at_most(0)),
        ("largest neurons/n⁴ of them", "E2.3; lecture notes", (hidden / size[:, None] ** 4.0).max(), at_most(1)),
        ("sparse polynomials: largest |neurons - terms|", "E2.3", np.abs(data.terms - data.sparse).values.max(), at_most(0)),
        ("random functions: largest |neurons - (2ⁿ - 1)|", "E2.3", np.abs(data.neurons - 2**n + 1).values.max(), at_most(0)),
        ("fed spins s = ±1: least error against Π s", "section 2, negative control", data.parity.values.min(), at_least(0.99)),
        ("Π s as a function of bits: least neurons/(2ᵏ - 1)", "derived here", (data.parity_neurons / (2.0**k - 1)).values.min(), about(1)),
    ]
    spins = np.abs(data.conjunction.values - expit(-gain / 2)).max()
    page = ((PAGE_ERROR, error[six, :, 0], "error"), (PAGE_BOUND, bound[six, :, 0], "bound"))
    share = [
        (f"n = 6, β = 10: share of draws below the page's {x} {text}", "E2.2", Estimate.of((seen < x).astype(float)))
        for x, seen, text in page
    ]
    return [
        *[Claim(*claim) for claim in out],
        Claim("fed spins: largest error against Π (1+s)/2 less σ(-β/2): it does not fail there", "section 2", spins, at_most(1e-12)),
        *[Claim(*claim, between(0.005, 0.995), gated=False) for claim in share],
        Claim(f"n = {n[-1]}: bound over error, mean", "E2.2", Estimate.of((bound / error)[-1, :, 0]), at_least(10), gated=False),
    ]


def _mean_weight(n):
    """E Σ|h_K| for values N(0, 1): h_K is a sum of 2^|K| of them."""
    return np.sqrt(2 / np.pi) * ((1 + np.sqrt(2)) ** n - 1)


def plot(data):
    """Error against gain; the neuron as a staircase; error of functions against its bounds; neurons against n."""
    import matplotlib.pyplot as plt
    from scipy.special import expit

    figure, axes = plt.subplots(1, 4, figsize=(TWO_COLUMNS, 2.6))
    gain, n, rise, size = (data[name].values for name in ("gain", "n", "rise", "size"))
    for i, factors in ((0, 1), (3, 4), (-1, int(data.k[-1]))):
        axes[0].plot(gain, data["product"].values[i], ".", ms=9 - 2.5 * (i % 10) ** 0.5, label=f"product, $k={factors}$")
    for i, color in ((0, "C3"), (-1, "C4")):
        measured = Estimate.of(np.log(data.error.values[i]))
        axes[0].errorbar(
            rise, np.exp(measured.mean), np.exp(measured.mean) * measured.standard_error, color=color, label=f"$F$ of {n[i]} bits"
        )
    axes[0].plot(gain, expit(-gain / 2), label=r"$\sigma(-\beta/2)$", **THEORY)
    axes[0].set(yscale="log", xlabel=r"gain $\beta$", ylabel="largest error", title="products and functions", ylim=(1e-17, 2))
    axes[0].legend(fontsize=5.5, loc="lower left")
    ones = np.arange(STAIRS + 1)
    fine = np.linspace(0, STAIRS, 300)
    for i in (0, 1, 2):
        axes[1].plot(ones, data.stairs.values[i], "o", ms=4, color=f"C{i}", label=rf"$\beta={gain[i]:g}$")
        axes[1].plot(fine, expit(gain[i] * (fine - STAIRS + 0.5)), **THEORY | {"color": f"C{i}"})
    axes[1].set(xlabel="number of bits that are 1", ylabel="output", title=f"one neuron, $k={STAIRS}$")
    axes[1].legend(fontsize=6, loc="upper left")
    unit = expit(-rise[0] / 2)
    for name, label, color in (("error", "measured", "C0"), ("weight", r"bound $\sum|h_K|$", "C1")):
        values = data[name].values[..., 0] / unit if name == "error" else data[name].values
        mean = Estimate.of(values.T)
        axes[2].errorbar(n, mean.mean, values.std(1), fmt="o", ms=3, color=color, label=label)
    axes[2].plot(n, data.leading.values[..., 0].mean(1) / unit, label="leading order", **THEORY)
    axes[2].plot(n, _mean_weight(n), label=r"$\sqrt{2/\pi}\,[(1+\sqrt{2})^n-1]$", **THEORY | {"color": "C1", "linestyle": ":"})
    axes[2].set(yscale="log", xlabel="bits $n$", ylabel=r"largest error$\,/\,\sigma(-\beta/2)$", title="random functions", ylim=(None, 1e6))
    axes[2].legend(fontsize=5.5, loc="upper left")
    for j, degree in enumerate(data.degree.values):
        axes[3].plot(size, data.hidden.values[:, j], "o", ms=3, color=f"C{j}", label=f"degree {degree}")
        axes[3].plot(size, [bits.count_terms(int(i), int(degree)) for i in size], **THEORY | {"color": f"C{j}"})
    axes[3].plot(size, 2.0**size - 1, color="0.6", label=r"all, $2^n-1$")
    axes[3].plot(size, size**4.0, color="0.6", ls=":", label="$n^4$")
    axes[3].set(yscale="log", xlabel="bits $n$", ylabel="neurons", title="one neuron a term", ylim=(None, 3e6), xticks=size[::2])
    axes[3].legend(fontsize=5.5, ncols=2, loc="upper left", columnspacing=0.8)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
