"""The tangent kernel of a finite network fluctuates from network to network: Var H / (E H)² grows as depth/width.

H of one input is sampled exactly in O(width) a layer, without weight matrices, beside the recursions of A, B, D and F; one ensemble
is drawn a second time as whole networks and differentiated, to see that the sampler draws from the same law.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter 8; Hanin & Nica, arXiv:1909.05989.

    python -m experiments.ntk_fluctuations
    python -m experiments.ntk_fluctuations size=paper

Expect: n Var H within 10 % of A + 2B for n ≥ 96 and L ≤ 6, Cov(z², H) beside D + 2F; ReLU without biases: slope 11/3 of L/n; the mean
stays at Θ for ReLU.
Time: tiny 15 s, default 45 s, paper 15 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import finite_width
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, estimate, main
from dltheory.models import MLPConfig
from dltheory.models.base import functional
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static, traced

NAMES = ("relu", "linear", "tanh")
LABELS = {"relu": "ReLU"}
SETTINGS = {
    "relu": (1.0, 0.0, 2.0, 0.0),
    "linear": (1.0, 0.0, 1.0, 0.0),
    "tanh": (1.0, 0.0, 1.0, 1.0),
}
"""K^(1), C_b, C_W at criticality; λ_b is the last number over the layer, λ_W is 1."""
CELLS = {
    "least": ((32, 96), (3,)),
    "few": ((32, 96, 256), (3, 6, 12)),
    "all": ((32, 64, 96, 128, 256), (2, 3, 4, 6, 12, 20)),
}
"""Widths and depths."""
WHOLE_WIDTH, WHOLE_DEPTH = 32, 3


@record
class Config:
    """Ensembles of critical networks with one input and one output."""

    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    cells: str = static("few", "widths and depths: 2 and 1, 3 and 3, or all of the page", choices=tuple(CELLS))
    networks: int = static(40_000, "networks of each width, depth and activation", low=100, high=10_000_000)
    whole: int = static(8000, "whole tanh networks of width 32 and three layers, differentiated", low=100, high=1_000_000)

    sizes: ClassVar = {
        "tiny": {"cells": "least", "networks": 1000, "whole": 200},
        "paper": {"cells": "all", "networks": 400_000, "whole": 100_000},
    }


@record
class Result:
    """`activation` counts relu, linear, tanh; `size` the widths n, `stack` the depths L."""

    width: Int[Array, "size"] = array("hidden width n")
    depth: Int[Array, "stack"] = array("layers L")
    mean: Float[Estimate, "activation size stack"] = array("E H / Θ")
    variance: Float[Estimate, "activation size stack"] = array("n Var H / Θ²")
    covariance: Float[Estimate, "activation size stack"] = array("n Cov(z², H) / (K Θ)")
    theory_variance: Float[Array, "activation stack"] = array("(A + 2B)/Θ²", source="A, B recursions")
    theory_covariance: Float[Array, "activation stack"] = array("(D + 2F)/(K Θ)", source="D, F recursions")
    theory_mean: Float[Array, "activation stack"] = array("H1/Θ", source="H1 recursion")
    autodiff: Float[Array, "network"] = array("H of whole networks by autodiff, tanh, n = 32, L = 3", "preactivation²")
    sampler: Float[Array, "network"] = array("H of as many networks by the sampler", "preactivation²")


def run(config: Config) -> Result:
    """Sample all ensembles, and differentiate one."""
    key = jax.random.key(config.seed)
    widths, depths = CELLS[config.cells]
    seen, theory = [], []
    for i, name in enumerate(NAMES):
        kernel, c_b, c_w, bias_rate = SETTINGS[name]
        rates = lambda L, b=bias_rate: (b / np.arange(1, L + 1), 1.0)
        layers = finite_width.recursion(name, kernel, depths[-1], c_b, c_w, *rates(depths[-1]))
        at = np.array(depths) - 1
        part = lambda field, layers=layers, at=at: getattr(layers, field)[at]
        K, Theta = part("K"), part("Theta")
        theory.append(((part("A") + 2 * part("B")) / Theta**2, (part("D") + 2 * part("F")) / (K * Theta), part("H1") / Theta))
        rows = []
        for width in widths:
            cells = []
            for j, L in enumerate(depths):
                where = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, i), width), L)
                sample = finite_width.sample_ntk(where, name, [width] * (L - 1), kernel, c_b, c_w, *rates(L), config.networks)
                cells.append(_moments(sample.output**2 / K[j], sample.ntk / Theta[j], width))
            rows.append(stack(cells))
        seen.append(stack(rows))
    mean, variance, covariance = stack(seen)
    theory_variance, theory_covariance, theory_mean = stack(theory)
    whole, again = jax.random.split(jax.random.fold_in(key, 99))
    rates = 1 / np.arange(1, WHOLE_DEPTH + 1), 1.0
    sample = finite_width.sample_ntk(again, "tanh", [WHOLE_WIDTH] * (WHOLE_DEPTH - 1), 1.0, 0.0, 1.0, *rates, config.whole)
    return Result(
        width=jnp.asarray(widths),
        depth=jnp.asarray(depths),
        mean=mean,
        variance=variance,
        covariance=covariance,
        theory_variance=theory_variance,
        theory_covariance=theory_covariance,
        theory_mean=theory_mean,
        autodiff=_whole(whole, config.whole, *rates),
        sampler=sample.ntk,
    )


def _moments(square, ntk, n):
    """Mean of H, n times its variance and n times its covariance with z², each with its error."""
    mean = Estimate.of(ntk)
    d = ntk - mean.mean
    return mean, Estimate.of(d**2) * n, Estimate.of((square - jnp.mean(square)) * d) * n


def _whole(key, networks, lambda_b, lambda_w):
    """H of networks with all their weights, by autodiff."""
    model = MLPConfig(width=WHOLE_WIDTH, hidden_layers=WHOLE_DEPTH - 1, activation="tanh", parametrisation="critical")
    x = jnp.ones((1, 1), jnp.float32)

    def network(key):
        params, apply = functional(model.build(key, 1, 1))
        rates = finite_width.layer_rates(params, lambda_b, lambda_w)
        return finite_width.ntk(apply, params, x, rates=rates)[0, 0, 0, 0].astype(float)

    return jax.lax.map(network, jax.random.split(key, networks), batch_size=min(100, networks))


def _at(data, field, name):
    """Estimates (size, stack) of an activation."""
    return estimate(data, field)[NAMES.index(name)]


def claims(data) -> list[Claim]:
    """The page's inequality E5, its slope and mean, and the sampler against whole networks."""
    from scipy.stats import ks_2samp

    n, L = data.width.values, data.depth.values
    inside = (n[:, None] >= 96) & (L[None] <= 6)
    out = []
    for field, label, letters, gated in (("variance", "Var H", "A + 2B", True), ("covariance", "Cov(z², H)", "D + 2F", False)):
        for i, name in enumerate(NAMES):
            gap = _at(data, field, name) / data[f"theory_{field}"].values[i][None] - 1
            worst = gap[np.unravel_index(np.argmax(np.abs(gap.mean) * inside), inside.shape)]
            text = f"{LABELS.get(name, name)}, n ≥ 96, L ≤ 6: largest deviation of n {label} from {letters}"
            out.append(Claim(text, "E5", Estimate(abs(worst.mean), worst.standard_error, worst.count), at_most(0.1), gated))
    relu = _at(data, "variance", "relu")
    if L[-1] > 6:
        rich = [(relu[-1, j] * 2 - relu[-2, j].mean, relu[-2, j].standard_error) for j in (-2, -1)]
        slope = float(rich[1][0].mean - rich[0][0].mean) / (L[-1] - L[-2])
        error = np.sqrt(sum(e.standard_error**2 + more**2 for e, more in rich)) / (L[-1] - L[-2])
        text = f"ReLU, λ_b = 0: slope of n Var H/Θ² from L = {L[-2]} to {L[-1]}, extrapolated from n = {n[-2]}, {n[-1]}"
        out.append(Claim(text, "E5, 11/3", Estimate(slope, error, int(relu.count.min())), about(11 / 3, 0.15), False))
    drift = np.abs(_at(data, "mean", "relu").z(1.0))[n >= 96].max()
    out.append(Claim("ReLU, n ≥ 96: largest |z| of E H against Θ", "no correction H1 for scale-invariant s", drift, at_most(5)))
    p = float(ks_2samp(data.autodiff.values, data.sampler.values)[1])  # pyright: ignore[reportArgumentType]
    text = f"tanh, n = {WHOLE_WIDTH}, L = {WHOLE_DEPTH}: sampler against {len(data.autodiff)} whole networks, Kolmogorov-Smirnov p"
    return [*out, Claim(text, "exactness of the sampler", p, at_least(1e-3))]


def plot(data):
    """Variance of H against L/n; what is left of the leading order; one law from two samplers."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(TWO_COLUMNS, 2.2))
    n, L = data.width.values, data.depth.values
    for axis, name in zip(axes, ("relu", "tanh"), strict=False):
        cells, theory = _at(data, "variance", name), data.theory_variance.values[NAMES.index(name)]
        for i, w in enumerate(n):
            cell = cells[i] / w
            axis.errorbar(L / w, cell.mean, cell.standard_error, color=f"C{i}", marker=".", ms=4, lw=0.8, label=f"n = {w}")
            axis.plot(L / w, theory / w, **THEORY)
        axis.set(xscale="log", yscale="log", xlabel="$L/n$", title=LABELS.get(name, name))
    axes[0].set_ylabel(r"$\mathrm{Var}\,H/\Theta^2$")
    axes[0].legend(fontsize=6)
    axes[1].plot([], [], label="$(A+2B)/n$", **THEORY)
    axes[1].legend(fontsize=6, loc="upper left")
    j = int(np.flatnonzero(L <= 6)[-1])
    for i, name in enumerate(NAMES):
        gap = _at(data, "variance", name)[:, j] / data.theory_variance.values[i, j] - 1
        axes[2].errorbar(1 / n, gap.mean, gap.standard_error, color=f"C{i}", marker=".", label=LABELS.get(name, name))
    axes[2].set(xlabel="$1/n$", ylabel=r"$n\,\mathrm{Var}\,H/(A+2B)-1$", title=f"$L={L[j]}$", xlim=(0, None))
    axes[2].legend(fontsize=6)
    bins = np.linspace(0, np.quantile(data.autodiff.values, 0.995), 40)
    for field, kind in (("autodiff", "stepfilled"), ("sampler", "step")):
        color = {"stepfilled": "0.8", "step": "black"}[kind]
        axes[3].hist(data[field].values, bins, density=True, histtype=kind, color=color, label=field)
    axes[3].set(xlabel="$H$, tanh", ylabel="density", title=f"$n={WHOLE_WIDTH}$, $L={WHOLE_DEPTH}$")
    axes[3].legend(fontsize=6, loc="upper right")
    axes[3].margins(y=0.4)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
