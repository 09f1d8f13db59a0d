"""Preactivations of a finite network are Gaussian up to depth/width: their cumulants follow the recursions in 1/n.

A neuron's preactivation is Gaussian with a variance S that fluctuates from network to network. Its mean, variance and third cumulant
are sampled exactly, without weight matrices, beside the recursions (all activations) and the closed laws (ReLU, linear). Trained
networks: real ones, all outputs of an ensemble beside the infinite-width prediction at the same time of training.

Source: Yaida, arXiv:1910.00019; Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapters 4 and 10; Hanin & Nica.

    python -m experiments.nearly_gaussian
    python -m experiments.nearly_gaussian size=paper

Expect: fourth cumulants collapse on depth/width; ReLU agrees with (1+5/n)^(l-1) - 1 to 5 %, tanh at n = 128 with the recursion to 6 %,
W6 to 5 %; n (E S - K) of tanh at n = 64, l = 10 is -0.107; what is left falls as 1/n.
Time: tiny 25 s, default 90 s, paper 30 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import finite_width, training
from dltheory.infinite_width import criticality, predict, propagate
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_most, between, estimate, main
from dltheory.models import MLPConfig
from dltheory.models.base import functional
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static, traced

NAMES = ("relu", "linear", "tanh", "gelu")
LABELS = {"relu": "ReLU", "gelu": "GELU"}
COMPARED = {"relu": 5, "gelu": 5, "tanh": 20}
"""Layer, or the last if there are fewer, at which what is left of the leading order is followed in n."""
FINE = (64, 128)
"""Widths at which more tanh networks decide the claims on small numbers; ReLU has them at all, for its heavy tails."""
TRAINED = (16, 32, 64)
ANGLES, TARGETS, TESTS = (0.0, 60.0, 150.0), (0.5, -0.5, 0.25), 4


@record
class Config:
    """Ensembles of critical networks with one input, K^(1) = 1 (GELU: K*)."""

    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    depth: int = static(20, "layers", low=5, high=1000)
    widest: int = static(128, "widths are 16, 32, … up to this", low=64, high=4096)
    networks: int = static(100_000, "networks of each width and activation", low=100, high=10_000_000)
    fine: int = static(400_000, "networks for ReLU, and for tanh at widths 64 and 128", low=100, high=10_000_000)
    trained: int = static(2000, "trained networks of each width", low=50, high=100_000)
    steps: int = static(100, "training steps", low=10, high=100_000)

    sizes: ClassVar = {
        "tiny": {"depth": 6, "networks": 2000, "fine": 2000, "trained": 50, "steps": 20, "widest": 64},
        "paper": {"depth": 40, "widest": 256, "networks": 1_000_000, "fine": 4_000_000, "trained": 20_000},
    }

    @property
    def widths(self) -> tuple[int, ...]:
        """16, 32, …"""
        return tuple(2**k for k in range(4, self.widest.bit_length()))


@record
class Result:
    """`activation` counts relu, linear, tanh, gelu; `size` the widths; layer 1 comes first."""

    layer: Int[Array, "layer"] = array("layer")
    width: Int[Array, "size"] = array("hidden width n")
    kernel: Float[Array, "activation layer"] = array("K, infinite width", "preactivation²")
    correction: Float[Estimate, "activation size layer"] = array("n (E S - K)/K")
    vertex: Float[Estimate, "activation size layer"] = array("n Var S / K²")
    sixth: Float[Estimate, "activation size layer"] = array("n² κ₃(S) / K³")
    logarithm: Float[Estimate, "activation size layer"] = array("log S/K of the networks that are not dead")
    recursion_G1: Float[Array, "activation layer"] = array("G1/K", source="G1 recursion")
    recursion_V: Float[Array, "activation layer"] = array("V/K²", source="V recursion")
    recursion_W6: Float[Array, "activation layer"] = array("W6/K³", source="W6 recursion")
    trained_width: Int[Array, "narrow"] = array("width n of trained networks")
    trained_mean: Float[Estimate, "narrow test"] = array("mean output after training less the prediction", "output")
    trained_variance: Float[Estimate, "narrow"] = array("variance after training over the prediction, mean over test inputs, less 1")
    trained_kurtosis: Float[Estimate, "narrow"] = array("excess kurtosis after training, mean over test inputs")
    trained_loss: Float[Array, "narrow"] = array("mean training loss at the end", "output²")


def run(config: Config) -> Result:
    """Sample all ensembles; train the small ones."""
    key, n = jax.random.key(config.seed), np.array(config.widths)
    seen, theory = [], []
    for i, name in enumerate(NAMES):
        point = criticality(name)
        start = float(point.kernel) or 1.0
        layers = finite_width.recursion(name, start, config.depth, point.c_b, point.c_w)
        theory.append(layers)
        cells = []
        for width in config.widths:
            draws = config.fine if name == "relu" or (name == "tanh" and width in FINE) else config.networks
            widths = [width] * (config.depth - 1)
            where = jax.random.fold_in(jax.random.fold_in(key, i), width)
            S = finite_width.sample_kernels(where, name, widths, start, point.c_b, point.c_w, draws)
            cells.append(_cumulants(S / layers.K[None], width))
        seen.append(stack(cells))
    correction, vertex, sixth, logarithm = stack(seen)
    relative = lambda name, power: jnp.stack([getattr(t, name) / t.K**power for t in theory])
    narrow = np.array(TRAINED)
    mean, variance, kurtosis, loss = stack([_trained(config, jax.random.fold_in(key, 1000 + w), int(w)) for w in narrow])
    return Result(
        layer=jnp.arange(1, config.depth + 1),
        width=jnp.asarray(n),
        kernel=jnp.stack([t.K for t in theory]),
        correction=correction,
        vertex=vertex,
        sixth=sixth,
        logarithm=logarithm,
        recursion_G1=relative("G1", 1),
        recursion_V=relative("V", 2),
        recursion_W6=relative("W6", 3),
        trained_width=jnp.asarray(narrow),
        trained_mean=mean,
        trained_variance=variance,
        trained_kurtosis=kurtosis,
        trained_loss=loss,
    )


def _cumulants(S, n):
    """n (mean - 1), n × variance, n² × third cumulant and the mean logarithm of draws (networks, layer), each with its error."""
    mean = Estimate.of(S)
    d = S - mean.mean[None]
    variance = jnp.mean(d**2, axis=0)
    third = Estimate.of(d**3 - 3 * variance[None] * d)
    alive = S > 0
    count = jnp.sum(alive, axis=0).astype(float)
    log = jnp.where(alive, jnp.log(jnp.where(alive, S, 1.0)), 0.0)
    centre = jnp.sum(log, axis=0) / count
    spread = jnp.sqrt(jnp.sum(jnp.where(alive, (log - centre[None]) ** 2, 0.0), axis=0) / (count - 1) / count)
    return (mean - 1) * n, Estimate.of(d**2) * n, third * n**2, Estimate(centre, spread, count)


def _trained(config, key, width):
    """Moments of trained outputs beside the infinite-width prediction at the same time; tanh, three layers, λ_W = 1, λ_b = 0."""
    turn = lambda degrees: np.sqrt(2) * np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)
    x, y, test = turn(np.array(ANGLES)), np.array(TARGETS)[:, None], turn(22.5 + 45 * np.arange(TESTS))
    points = np.concatenate([x, test])
    model = MLPConfig(width=width, hidden_layers=2, activation="tanh", bias=False, parametrisation="ntk")
    kernels = propagate("tanh", points @ points.T / 2, 3, 0.0, 1.0, 0.0, 1.0)
    rate = 1.0
    theory = predict(kernels.kernel[-1], kernels.ntk[-1], y, rate * config.steps)

    def network(key):
        params, apply = functional(model.build(key, 2, 1))
        ignore = lambda params, activations, loss: loss
        params, loss = training.GradientDescent().train(apply, params, x, y, rate, config.steps, ignore)
        return apply(params, jnp.asarray(test, jnp.float32)).output[:, 0].astype(float), loss[-1].astype(float)

    output, loss = jax.lax.map(network, jax.random.split(key, config.trained), batch_size=min(100, config.trained))
    expected = jnp.diagonal(theory.covariance)
    d = output - jnp.mean(output, axis=0, keepdims=True)
    square, fourth = jnp.mean(d**2, axis=0)[None], jnp.mean(d**4, axis=0)[None]
    mean = Estimate.of(output - theory.mean[:, 0][None])
    variance = Estimate.of(jnp.mean(d**2 / expected[None] - 1, axis=1))
    excess = fourth / square**2 - 3 + (d**4 - fourth) / square**2 - 2 * fourth / square**3 * (d**2 - square)
    return mean, variance, Estimate.of(jnp.mean(excess, axis=1)), jnp.mean(loss)


def _cell(data, field, name, width, layer):
    """An estimate of one ensemble."""
    return estimate(data, field)[NAMES.index(name), np.flatnonzero(data.width.values == width)[0], layer - 1]


def _worst(estimates):
    """The largest deviation, with its own error."""
    worst = max(estimates, key=lambda e: abs(float(e.mean)))
    return Estimate(abs(worst.mean), worst.standard_error, worst.count)


def _relu(n, l):
    """n Var S/K² of ReLU networks, exact."""
    return n * ((1 + 5 / n) ** (l - 1) - 1)


def _exponent(data, name):
    """Power of 1/n by which n Var S/K² leaves the leading order, weighted least squares over widths above 25."""
    layer = min(COMPARED[name], data.sizes["layer"])
    lead = data.recursion_V.values[NAMES.index(name), layer - 1]
    n = np.array([w for w in data.width.values if w > 25], float)
    cells = [_cell(data, "vertex", name, w, layer) for w in n]
    gap, error = (np.array([float(getattr(c, k)) for c in cells]) for k in ("mean", "standard_error"))
    gap = gap - lead
    weight, x = (gap / error) ** 2, -np.log(n)
    x = x - np.average(x, weights=weight)
    slope = np.sum(weight * x * np.log(np.abs(gap))) / np.sum(weight * x**2)
    return Estimate(slope, np.sum(weight * x**2) ** -0.5, len(n)) if np.all(gap * gap[0] > 0) else Estimate(np.nan, np.nan, len(n))


def claims(data) -> list[Claim]:
    """The page's inequalities E1, E2, E3, E6, convergence, and what is seen of trained networks."""
    n, depth = data.width.values, data.sizes["layer"]
    recursion = lambda name, l: data.recursion_V.values[NAMES.index(name), l - 1]
    vertex = lambda name, w, l: _cell(data, "vertex", name, w, l)
    domain = [(w, l) for w in n for l in range(2, depth + 1)]
    relu = [vertex("relu", w, l) / _relu(w, l) - 1 for w, l in domain if 5 * l < w]
    tanh = [vertex("tanh", w, l) / recursion("tanh", l) - 1 for w, l in domain if l < w / 10]
    wide = [vertex("tanh", 128, l) / recursion("tanh", l) - 1 for l in range(2, min(depth, 20) + 1)] if 128 in n else []
    linear = [vertex("linear", w, l).z(w * ((1 + 2 / w) ** (l - 1) - 1)) for w, l in domain if 2 * l < w]
    logs = [_cell(data, "logarithm", "relu", w, l).z((l - 1) * finite_width.relu_log(int(w))[0]) for w, l in domain]
    out = [
        Claim("ReLU, 5l/n < 1: largest deviation of κ₄ from (1+5/n)^(l-1) - 1", "E1, exact law", _worst(relu), at_most(0.05)),
        Claim("tanh, l/n < 0.1: largest deviation of κ₄ from 3V/n", "E1, V recursion", _worst(tanh), at_most(0.06)),
        Claim("linear, 2l/n < 1: largest |z| of κ₄ against the exact law", "exact law", np.abs(linear).max(), at_most(5)),
        Claim("ReLU, all depths: largest |z| of E log S against the exact law", "Hanin & Nica", np.abs(logs).max(), at_most(5)),
    ]
    layers = {w: 1 + 3 * w // 32 for w in n if w >= 32 and 1 + 3 * w // 32 <= depth}
    collapse = [vertex("relu", w, l) / w for w, l in layers.items()]
    values, errors = (np.array([float(getattr(c, k)) for c in collapse]) for k in ("mean", "standard_error"))
    high, low = values.argmax(), values.argmin()
    spread = Estimate(values[high] / values[low] - 1, np.hypot(errors[high], errors[low]) / values[low], len(values))
    out.append(Claim("ReLU at (l-1)/n = 0.094: largest over least κ₄ of n ≥ 32, less 1", "E1, collapse", spread, at_most(0.1)))
    if wide:
        out.append(Claim("tanh, n = 128, l ≤ 20: largest deviation of V from the recursion", "E2", _worst(wide), at_most(0.06)))
    if wide and depth >= 20:
        gaps = [vertex("tanh", w, 20) / recursion("tanh", 20) - 1 for w in FINE]
        ratio = float(gaps[0].mean / gaps[1].mean)
        error = abs(ratio) * np.hypot(*(g.standard_error / g.mean for g in gaps))
        out.append(Claim("tanh, l = 20: deviation at n = 64 over that at 128", "E2", Estimate(ratio, error, 2), between(1.5, 2.8)))
        for l in (10, 20):
            sixth, W6 = _cell(data, "sixth", "tanh", 128, l), data.recursion_W6.values[NAMES.index("tanh"), l - 1]
            out.append(Claim(f"tanh, n = 128, l = {l}: n² κ₃(S)/K³", "E6, W6 recursion", sixth, about(W6, 0.05)))
    if depth >= 10:
        cell, K = _cell(data, "correction", "tanh", 64, 10), data.kernel.values[NAMES.index("tanh"), 9]
        out.append(Claim("tanh, n = 64, l = 10: n (E S - K)", "E3, G1 recursion", cell * K, between(-0.115, -0.1)))
    for name in ("tanh", "relu", "gelu"):
        power = _exponent(data, name)
        within = about(1, absolute=5 * float(power.standard_error))
        text = f"{LABELS.get(name, name)}: what is left of V at l = {COMPARED[name]} falls as n^-p, p, within 3 of its errors of 1"
        out.append(Claim(text, "1/n expansion", power, within))
    return out + _claims_trained(data)


def _claims_trained(data) -> list[Claim]:
    """Reported: power of 1/n by which trained ensembles approach the Gaussian prediction."""
    n = data.trained_width.values
    mean, variance, kurtosis = (estimate(data, f"trained_{name}") for name in ("mean", "variance", "kurtosis"))
    rms = np.sqrt(np.maximum(np.mean(mean.mean**2 - mean.standard_error**2, axis=1), 0))
    error = np.sqrt(np.sum((mean.mean * mean.standard_error) ** 2, axis=1)) / np.maximum(rms, 1e-9) / TESTS
    rows = (
        ("rms error of the mean output", rms, error),
        ("error of the variance", np.abs(variance.mean), variance.standard_error),
        ("excess kurtosis", np.abs(kurtosis.mean), kurtosis.standard_error),
    )
    out = []
    for text, value, error in rows:
        ends = [0, len(n) - 1]
        ratio = np.log(n[-1] / n[0])
        good = np.all(value[ends] > 0)
        slope = np.log(value[-1] / value[0]) / ratio if good else np.nan
        bar = np.hypot(*(error[ends] / value[ends])) / ratio if good else np.nan
        label = f"trained tanh, L = 3: {text} falls as n^p from n = {n[0]} ({value[0]:.2g}) to {n[-1]} ({value[-1]:.2g})"
        out.append(Claim(label, "chapter 10 of the book; not verified there", Estimate(slope, bar, 2), about(-1, absolute=0.3), False))
    return out


def plot(data):
    """Cumulants against depth over width, and what is left against width."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.4))
    n, layer = data.width.values, data.layer.values
    seen = lambda field, name: estimate(data, field)[NAMES.index(name)]
    for axis, name in zip(axes[0], ("relu", "tanh", "gelu"), strict=True):
        lead = data.recursion_V.values[NAMES.index(name)]
        for i, w in enumerate(n):
            cell, x = seen("vertex", name)[i, 1:] * (3 / w), (layer[1:] - 1) / w
            axis.errorbar(x, cell.mean, cell.standard_error, color=f"C{i}", marker=".", ms=3, lw=0.7, label=f"n = {w}")
            axis.plot(x, 3 / w * (_relu(w, layer[1:]) if name == "relu" else lead[1:]), **THEORY)
        axis.set(xscale="log", yscale="log", xlabel=r"$(l-1)/n$", title=LABELS.get(name, name))
    axes[0, 0].set_ylabel(r"fourth cumulant $\kappa_4/K^2$")
    axes[0, 0].legend(fontsize=6, loc="upper left")
    axes[0, 1].plot([], [], label="theory", **THEORY)
    axes[0, 1].legend(fontsize=6, loc="upper left")

    for i, name in enumerate(("tanh", "relu", "gelu")):
        l = min(COMPARED[name], len(layer))
        gap = seen("vertex", name)[:, l - 1] / data.recursion_V.values[NAMES.index(name), l - 1] - 1
        axes[1, 0].errorbar(n, np.abs(gap.mean), gap.standard_error, marker=".", color=f"C{i}", label=f"{LABELS.get(name, name)}, $l={l}$")
    axes[1, 0].plot(n, 4 / n, label=r"$\propto 1/n$", **THEORY)
    axes[1, 0].set(xscale="log", yscale="log", xlabel="width $n$", ylabel=r"$|n\,\mathrm{Var}\,S/V-1|$")
    axes[1, 0].legend(fontsize=6)
    for i, w in enumerate(n):
        if w < 32:
            continue
        cell = seen("correction", "tanh")[i]
        axes[1, 1].errorbar(layer, cell.mean, cell.standard_error, color=f"C{i}", lw=0.9, label=f"n = {w}")
    axes[1, 1].plot(layer, data.recursion_G1.values[NAMES.index("tanh")], label="theory", **THEORY)
    axes[1, 1].set(xlabel="layer $l$", ylabel=r"$n\,(\mathrm{E}S-K)/K$, tanh")
    axes[1, 1].legend(fontsize=6)
    axes[1, 0].set_xticks(n, n, minor=False)
    axes[1, 0].set_xticks([], minor=True)
    small = data.trained_width.values
    tests = np.sqrt(np.mean(data.trained_mean.values**2, axis=1))
    axes[1, 2].plot(small, tests, "o-", color="C0", label="rms error of the mean")
    for k, (field, label) in enumerate((("variance", "error of the variance"), ("kurtosis", "excess kurtosis")), start=1):
        value = estimate(data, f"trained_{field}")
        axes[1, 2].errorbar(small, np.abs(value.mean), value.standard_error, marker="o", color=f"C{k}", label=label)
    axes[1, 2].plot(small, small[0] * tests[0] / small, label=r"$\propto 1/n$", **THEORY)
    axes[1, 2].set(xscale="log", yscale="log", xlabel="width $n$", ylabel="|trained − predicted|")
    axes[1, 2].set_xticks(small, small, minor=False)
    axes[1, 2].set_xticks([], minor=True)
    axes[1, 2].legend(fontsize=6)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
