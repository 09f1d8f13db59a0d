r"""The tangent kernel moves by 1/width in training, from lazy to rich as the target grows, whatever the algorithm.

Real networks with one input learn one target y. With E H = Θ, the change under gradient flow is, to first order in 1/n,

    E[H_∞ - H_0]/Θ = (1/n) { -2(P+2Q)/Θ² + (3R + 2(S+T+U)) (K + y²)/Θ³ };

gradient descent at ηH = ρ has 2 - ρ/(2-ρ) in place of that last 2, and Newton's method is ρ = 1. Beside it stands the model of
second order that each network has with its own ddH frozen (`dltheory.finite_width.one_point`).

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter ∞; Dyer & Gur-Ari (2020) (E9).

    python -m experiments.kernel_learning
    python -m experiments.kernel_learning activation=sin

Expect: n ΔH/Θ tends to -1.48 (y = 1) and -7.20 (y = 2), 9 % and 13 % short at n = 128. All widths follow one curve in y/√(nK): it
grows as y², lags behind first order from a change of 0.1 on, and never exceeds 0.36, so tanh does not get rich. Measured over first
order tends to 1 for every algorithm, like n^-0.7 up to n = 512.
Time: tiny 20 s, default 90 s, paper 40 min.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import finite_width, models
from dltheory.finite_width.one_point import OnePoint, runge_kutta, second_order_change, steps_in_turn, train_on_one_point
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced

RATES = (0.5, 1.0, 1.5)
ALGORITHMS = ("flow", *(f"descent, ηH = {r:g}" for r in RATES), "Newton")
PERTURBATIVE, SMALL, WIDE = 0.3, 0.1, 128
"""Changes ΔH/Θ up to which the theory page calls first order perturbative, and up to which it is gated and the power of y fitted;
width from which E9 asks for 15 %."""
DIAL = (0.03, 4.0)
"""Smallest and largest target in units of √(nK)."""


@record
class Config:
    """Networks of widths `narrowest` × 1, 2, 4 …; every body of hidden layers has several readouts, and each is a network."""

    target: float = traced(1.0, "target y, also that of the comparison of algorithms", "output", low=1e-3, high=1e3)
    larger: float = traced(2.0, "second target y", "output", low=1e-3, high=1e3)
    kernel: float = traced(1.0, "kernel K of layer 1", "preactivation²", low=1e-3, high=1e3)
    c_b: float = traced(0.0, "variance C_b of biases", low=0, high=1e3)
    c_w: float = traced(1.0, "variance C_W of weights, times fan-in", low=1e-3, high=1e3)
    lambda_b: float = traced(1.0, "rate of biases: λ_b / l in layer l", low=0, high=1e3)
    lambda_w: float = traced(1.0, "rate λ_W of weights, times fan-in", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    activation: str = static("tanh", "smooth nonlinearity", choices=("tanh", "sin", "erf", "gelu", "swish"))
    depth: int = static(3, "layers of weights", low=2, high=100)
    narrowest: int = static(32, "smallest hidden width", low=2, high=10_000)
    doublings: int = static(4, "how often the width is doubled", low=1, high=8)
    bodies: int = static(200, "bodies of the largest width; of smaller ones two and then four times as many", low=4, high=10**6)
    readouts: int = static(12, "networks that share a body", low=1, high=1000)
    points: int = static(12, "targets y from 0.03 to 4 times √(nK)", low=4, high=100)
    evaluations: int = static(
        16, "gradients along each training, a multiple of 4; more where trainings miss their target", low=12, high=1000
    )
    precision: str = static("single", "floating point of the networks", choices=("single", "double"))

    sizes: ClassVar = {
        "tiny": {"narrowest": 16, "doublings": 1, "bodies": 20, "readouts": 4, "points": 5},
        "paper": {"doublings": 5, "bodies": 2000, "readouts": 16, "points": 17, "evaluations": 32},
    }

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths, smallest first."""
        return tuple(self.narrowest * 2**k for k in range(self.doublings + 1))

    def __post_init__(self) -> None:
        if self.kernel <= self.c_b:
            raise ValueError(f"kernel={self.kernel:g}: must be above c_b={self.c_b:g}, or the input vanishes")
        if self.evaluations % 4:
            raise ValueError(f"evaluations={self.evaluations}: must be a multiple of 4, the gradients of a Runge-Kutta step")


@record
class Result:
    """Changes are means over both signs of the target. Draws are bodies: networks that share one are averaged first."""

    width: Int[Array, "size"] = array("hidden width n")
    goal: Float[Array, "goal"] = array("target y", "output")
    output_kernel: Float[Array, ""] = array("kernel K of the output at infinite width", "preactivation²")
    change: Float[Estimate, "size goal"] = array("n (H_∞ - H_0)/Θ under gradient flow")
    predicted: Float[Array, "goal"] = array("the same to first order in 1/n", source="finite width §6")
    reach: Float[Array, "size point"] = array("target y/√K")
    dial: Float[Estimate, "size point"] = array("(H_∞ - H_0)/Θ under gradient flow")
    growth: Float[Estimate, "size point"] = array("the same less that at the smallest target")
    dial_predicted: Float[Array, "size point"] = array("change to first order in 1/n", source="finite width §6")
    extra: Float[Estimate, "size other"] = array("n (H_∞ - H_0)/Θ by the algorithms beside flow, less that by flow, at the first target")
    extra_predicted: Float[Array, "other"] = array("the same to first order in 1/n", source="finite width §6, summed over steps")
    moved: Float[Array, "size body algorithm"] = array("n (H_∞ - H_0)/Θ of one network of some bodies at the first target")
    model: Float[Array, "size body algorithm"] = array("that of its second-order model, between -n and n")
    variance: Float[Estimate, "size"] = array("n Var H_0 / (A+2B)")
    first: Float[Estimate, "size"] = array("(n dH)²", "preactivation⁶")
    second: Float[Estimate, "size"] = array("n (ddH_I + 2 ddH_II) / (3R + 2(S+T+U))")
    missed: Float[Array, "size"] = array("largest |z - y|/y where a training to the two targets ends")


def run(config: Config) -> Result:
    """Train all networks of all widths; Θ, K and the vertices come from the recursion."""
    level = jnp.arange(1.0, config.depth + 1)
    rates = config.lambda_b / level, jnp.full(config.depth, config.lambda_w)
    layers = finite_width.recursion(config.activation, config.kernel, config.depth, config.c_b, config.c_w, *rates)
    last = jax.tree.map(lambda a: a[-1], layers)
    goals = jnp.stack([jnp.asarray(config.target, float), jnp.asarray(config.larger, float)])
    width = np.array(config.widths)
    reach = jnp.sqrt(width[:, None]) * jnp.geomspace(*DIAL, config.points)[None]
    seen = [_ensemble(config, rates, last, goals, r * jnp.sqrt(last.K), int(n)) for n, r in zip(width, reach, strict=True)]
    first_order = lambda y, n: finite_width.trained_kernel_change(layers, y, n)[-1]
    return Result(
        width=jnp.asarray(width),
        goal=goals,
        output_kernel=last.K,
        predicted=jnp.stack([first_order(y, 1.0) for y in goals]),
        reach=reach,
        dial_predicted=jnp.stack([jnp.stack([first_order(u * jnp.sqrt(last.K), n) for u in r]) for n, r in zip(width, reach, strict=True)]),
        extra_predicted=-_finite_steps() * (last.S + last.T + last.U) * (last.K + goals[0] ** 2) / last.Theta**3,
        **jax.tree.map(lambda *a: jnp.stack(a), *seen),
    )


def _finite_steps() -> Array:
    """ρ/(2-ρ) of the algorithms beside flow, ηH = ρ: Σ (ηε)² over (Σ ηε)²."""
    rho = jnp.array([*RATES, 1.0])
    return rho / (2 - rho)


def _ensemble(config, rates, last, goals, dial, n) -> dict[str, Any]:
    """What all networks of width n say, as fields of the result."""
    dtype = jnp.float64 if config.precision == "double" else jnp.float32
    trainings = _trainings(config, goals, dial)
    x = jnp.sqrt((jnp.asarray(config.kernel, float) - config.c_b) / config.c_w)[None].astype(dtype)
    start, phi = models.critical(config.c_b, config.c_w), models.activation(config.activation)

    def body(key):
        net = models.MLP((1, *[n] * (config.depth - 1), config.readouts), config.activation, start, key=key, dtype=dtype)
        params, apply = models.functional(net)
        alone, speed = (lambda params, x: apply(params, x).output[:, :1]), {"rates": finite_width.layer_rates(params, *rates)}
        tensors = finite_width.dntk(alone, params, x[None], **speed), *finite_width.ddntk(alone, params, x[None], **speed)
        followed = jax.vmap(lambda training: train_on_one_point(phi, params, x, rates, training))(trainings)
        return jax.tree.map(lambda a: a.astype(float), (followed, [a.ravel()[0] for a in tensors]))

    bodies = config.bodies * min(4, config.widths[-1] // n)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), n), bodies)
    (z_0, H_0, z, H), tensors = jax.lax.map(body, keys, batch_size=None if jax.default_backend() == "cpu" else 64)
    pairs = jnp.mean((H - H_0).reshape(bodies, -1, 2), axis=-1) / last.Theta
    main, dial_change, others = jnp.split(pairs, np.cumsum([2 * config.readouts, config.points]), axis=1)
    moved = n * jnp.concatenate([main[:, :1], others], axis=1)
    model = [second_order_change(z_0[:, 0], H_0[:, 0], *tensors, sign * goals[0], RATES, config.evaluations) for sign in (1, -1)]
    miss = jnp.abs(z - trainings.goal[None]) / jnp.abs(trainings.goal[None])
    H_0, (dH, first, second) = H_0[:, : 4 * config.readouts : 4], tensors
    return {
        "change": Estimate.of(n * jnp.mean(main.reshape(bodies, config.readouts, 2), axis=1)),
        "dial": Estimate.of(dial_change),
        "growth": Estimate.of(dial_change - dial_change[:, :1]),
        "extra": Estimate.of(moved[:, 1:] - moved[:, :1]),
        "moved": moved[: config.bodies],
        "model": n * jnp.mean(jnp.stack(model), axis=0)[: config.bodies] / last.Theta,
        "variance": Estimate.of(n * jnp.mean((H_0 - jnp.mean(H_0)) ** 2, axis=1) / (last.A + 2 * last.B)),
        "first": Estimate.of((n * dH) ** 2),
        "second": Estimate.of(n * (first + 2 * second) / (3 * last.R + 2 * (last.S + last.T + last.U))),
        "missed": jnp.max(miss[:, : 4 * config.readouts]),
    }


def _trainings(config, goals, dial) -> OnePoint:
    """All trainings of a body, each target with both signs: two goals at every readout, the dial, the other algorithms at one goal."""
    T, others = config.evaluations, len(ALGORITHMS) - 1
    counts = 4 * config.readouts, 2 * config.points, 2 * others
    kind = np.repeat(np.arange(len(ALGORITHMS)), [counts[0] + counts[1], *[2] * others])
    y = jnp.concatenate([jnp.tile(goals, config.readouts), dial, jnp.tile(goals[:1], others)])
    return OnePoint(
        readout=jnp.asarray(np.r_[np.repeat(np.arange(config.readouts), 4), np.zeros(counts[1] + counts[2], int)]),
        goal=(y[:, None] * jnp.array([1.0, -1.0])[None]).ravel(),
        flow=jnp.asarray(np.where(kind == 0, 4 / T, 0.0)),
        rate=jnp.asarray(np.array([0.0, *RATES, 0.0])[kind]),
        newton=jnp.asarray(np.where(kind == others, 1.0, 0.0)),
        tableau=jnp.asarray(np.stack([runge_kutta(T // 4), steps_in_turn(T)])[np.minimum(kind, 1)]),
    )


def claims(data) -> list[Claim]:
    """E9 is gated where first order is small, and so is the power of Var H; the rest the theory page expects or only names."""
    n, page = data.width.values, str(data.activation.values) == "tanh" and int(data.depth) == 3
    out = [Claim("largest |z - y|/y at the end of a training", "this run", float(data.missed.max()), at_most(1e-3), page)]
    for i, y in enumerate(data.goal.values):
        predicted, change = float(data.predicted[i]), _estimate(data, "change", goal=i)
        first_order = np.abs(predicted) / n
        gated, inside = page & (first_order < SMALL), first_order < PERTURBATIVE
        text = f"y = {y:g}: ΔH/Θ, power of n (first order is {predicted / n[0]:.2g} at n = {n[0]})"
        out.append(Claim(text, "E9", _power(n, change, -1), between(-1.15, -0.85), bool(gated.all()), bool(inside.all())))
        for k in np.flatnonzero(n >= WIDE):
            ratio = Estimate(change.mean[k] / predicted, change.standard_error[k] / abs(predicted), change.count)
            out.append(Claim(f"y = {y:g}: ΔH/Θ over first order, n = {n[k]}", "E9", ratio, about(1, 0.15), bool(gated[k]), bool(inside[k])))
    variance, powers = _estimate(data, "variance"), "Dyer & Gur-Ari"
    second = _estimate(data, "second", size=-1)
    return [
        *out,
        Claim("Var H, power of n", f"{powers}; E5", _power(n, variance, -1), between(-1.15, -0.85), page),
        Claim("E[dH²], power of n", powers, _power(n, _estimate(data, "first"), -2), about(-2, absolute=0.15), False),
        Claim(f"n E[ddH_I + 2 ddH_II] / (3R + 2(S+T+U)), n = {n[-1]}", "finite width §1.5", second, about(1, 0.15), False),
        *_claims_dial(data),
        *_claims_algorithms(data),
    ]


def _claims_dial(data) -> list[Claim]:
    """How the kernel's change grows with y/√K at the largest width."""
    widest, source = data.isel(size=-1), "finite width §6"
    n, square = int(widest.width), widest.reach.values**2
    dial, theory = _estimate(widest, "dial"), np.abs(widest.dial_predicted.values)
    fitted = np.flatnonzero(theory < SMALL)[1:]
    growth = _estimate(widest, "growth", point=fitted)
    exponent = _power(np.sqrt(square[fitted] - square[0]), growth) if len(fitted) > 1 else np.nan
    cross = _crossing(square**0.5, Estimate(np.abs(dial.mean), dial.standard_error, dial.count))
    expected = float(_crossing(square**0.5, Estimate(theory, 0 * theory, dial.count)).mean)
    text = f"y/√K where |ΔH|/Θ = {PERTURBATIVE:g}, n = {n} (first order: {expected:.3g})"
    top = np.abs(dial.mean).argmax()
    largest = Estimate(np.abs(dial.mean[top]), dial.standard_error[top], dial.count)
    return [
        Claim(f"growth of |ΔH| below {SMALL:g} Θ, power of y, n = {n}", source, exponent, about(2, absolute=0.15), False),
        Claim(text, source, cross, about(expected, 0.15), False),
        Claim(f"largest |ΔH|/Θ up to y/√K = {square[-1] ** 0.5:.3g}, n = {n} (rich: ≥ 1)", source, largest, at_least(1), False),
    ]


def _crossing(x, change) -> Estimate:
    """x at which `change` first exceeds PERTURBATIVE, by a straight line through the logarithms of two points; nan if there are none."""
    above = np.flatnonzero(change.mean > PERTURBATIVE)
    if not len(above) or above[0] == 0:
        return Estimate(np.nan, np.nan, change.count)
    pair = slice(above[0] - 1, above[0] + 1)
    (x_0, x_1), (y_0, y_1) = np.log(x[pair]), np.log(change.mean[pair])
    inverse = (x_1 - x_0) / (y_1 - y_0)
    where = np.exp(x_0 + (np.log(PERTURBATIVE) - y_0) * inverse)
    return Estimate(where, where * inverse * change.standard_error[above[0]] / PERTURBATIVE, change.count)


def _claims_algorithms(data) -> list[Claim]:
    """How fast what is not predicted falls: in the means, by first order; in each network, by its second-order model."""
    n, out, source = data.width.values, [], "finite width §6 [E]"
    for i, name in enumerate(ALGORITHMS[1:]):
        off = _surplus(data, i)
        text = f"{name} less flow: misfit of first order, power of n ({off.mean[-1]:.2g} ± {off.standard_error[-1]:.1g} at n = {n[-1]})"
        out.append(Claim(text, source, _power(n, off), at_most(-0.5), False))
    for i, name in enumerate(ALGORITHMS):
        off = _misfit(data, i)
        text = f"{name}: misfit of second-order models, power of n ({off.mean[-1]:.2g} at n = {n[-1]})"
        out.append(Claim(text, source, _power(n, off), at_most(-0.5), False))
    return out


def _surplus(data, other) -> Any:
    """By how much the difference between an algorithm and flow exceeds first order, relatively."""
    unit, extra = float(data.extra_predicted[other]), _estimate(data, "extra", other=other)
    return Estimate(extra.mean / unit - 1, np.abs(extra.standard_error / unit), extra.count)


def _misfit(data, algorithm) -> Any:
    """Median over networks of |ΔH - model|, over the mean change, for each width."""
    some = data.isel(algorithm=algorithm)
    medians = [Estimate.of_median(a) for a in np.abs(some.moved - some.model).values]
    mean, error = (np.array([getattr(m, name) for m in medians]) for name in ("mean", "standard_error"))
    unit = np.abs(some.moved.values.mean(axis=1))
    return Estimate(mean / unit, error / unit, medians[0].count)


def _estimate(data, name, **where) -> Any:
    """A stored Estimate, or a part of it."""
    part = data.isel(where)
    return Estimate(part[name].values, part[f"{name}_standard_error"].values, part[f"{name}_count"].values.min())


def _power(x, estimate, shift=0) -> Estimate:
    """Exponent of |mean| x^shift: a straight line through the logarithms, weighted by the errors."""
    x, y, w = np.log(x), np.log(np.abs(estimate.mean)), (estimate.mean / estimate.standard_error) ** 2
    x = x - np.average(x, weights=w)
    return Estimate(np.sum(w * x * y) / np.sum(w * x**2) + shift, np.sum(w * x**2) ** -0.5, estimate.count)


def plot(data):
    """The change against width, against the target and by algorithm; and what theory misses of it."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(TWO_COLUMNS, 5))
    _plot_widths(axes[0, 0], data)
    for color, k in enumerate(sorted({0, data.sizes["size"] // 2, data.sizes["size"] - 1})):
        _plot_dial(axes[0, 1], data.isel(size=k), f"C{color}")
        _plot_extra(axes[1, 0], data.isel(size=k), f"C{color}")
    for level, text in ((PERTURBATIVE, "perturbative below"), (1.0, "rich above")):
        axes[0, 1].axhline(level, color="0.6", linewidth=0.6, zorder=0)
        axes[0, 1].text(DIAL[0], level * 1.1, text, fontsize=6, color="0.4")
    rho, unit = np.linspace(0.4, 1.6, 100), abs(float(data.extra_predicted[RATES.index(1.0)]))
    axes[1, 0].plot(rho, unit * rho / (2 - rho), **THEORY, label=r"first order, $\propto\rho/(2-\rho)$")
    _plot_misfits(axes[1, 1], data)
    for axis in axes.flat:
        axis.legend(fontsize=6)
    return figure


def _plot_widths(axis, data) -> None:
    n = data.width.values
    for i, y in enumerate(data.goal.values):
        change = _estimate(data, "change", goal=i)
        axis.errorbar(n, np.abs(change.mean) / n, change.standard_error / n, fmt="o-", label=f"networks, $y={y:g}$")
        axis.plot(n, abs(float(data.predicted[i])) / n, **THEORY, label=None if i else "first order")
    _against_width(axis, n, r"$|\Delta H|/\Theta$")


def _plot_dial(axis, data, color) -> None:
    n, dial = int(data.width), _estimate(data, "dial")
    x, change = data.reach.values / np.sqrt(n), np.abs(dial.mean)
    shown = change > 2 * dial.standard_error
    axis.errorbar(x[shown], change[shown], dial.standard_error[shown], fmt="o-", color=color, label=f"$n={n}$")
    fine = np.geomspace(x[0], x[-1], 1000)
    theory = np.abs(np.interp(fine**2, x**2, data.dial_predicted.values))
    axis.plot(fine, theory, **THEORY | {"color": color})
    axis.set(xscale="log", yscale="log", ylim=(1e-3, 3), xlabel=r"target $y/\sqrt{nK}$", ylabel=r"$|\Delta H|/\Theta$")


def _plot_extra(axis, data, color) -> None:
    extra, steps = _estimate(data, "extra"), slice(len(RATES))
    axis.errorbar(
        RATES, np.abs(extra.mean[steps]), extra.standard_error[steps], fmt="o-", color=color, label=f"descent, $n={int(data.width)}$"
    )
    axis.plot(1.0, abs(extra.mean[-1]), "kx", ms=6, zorder=4, label="Newton" if color == "C0" else None)
    ticks = {"yticks": (0.5, 1, 2, 5), "yticklabels": ("0.5", "1", "2", "5")}
    axis.set(yscale="log", xlabel=r"step $\rho=\eta H$", ylabel=r"$n\,|\Delta H-\Delta H_{\mathrm{flow}}|/\Theta$", **ticks)
    axis.minorticks_off()


def _plot_misfits(axis, data) -> None:
    n, step, square = data.width.values, RATES.index(1.0), {"fmt": "s", "mfc": "none"}
    for i, y in enumerate(data.goal.values):
        unit, change = float(data.predicted[i]), _estimate(data, "change", goal=i)
        off, error = np.abs(change.mean / unit - 1), change.standard_error / abs(unit)
        axis.errorbar(n * 0.94, off, error, **square, color=f"C{i}", label=f"first order, flow, $y={y:g}$")
    off = _surplus(data, step)
    axis.errorbar(n * 0.97, np.abs(off.mean), off.standard_error, **square, color="C2", label="first order, descent less flow")
    for i, color, name in ((0, "C0", "flow"), (1 + step, "C2", r"descent, $\rho=1$")):
        off = _misfit(data, i)
        axis.errorbar(n * 1.03, off.mean, off.standard_error, fmt="o", color=color, label=f"second-order model, {name}")
    axis.plot(n, 10 / n, **THEORY, label=r"$\propto 1/n$")
    axis.set_ylim(1e-3, 1)
    _against_width(axis, n, "missed part of the change")


def _against_width(axis, n, label) -> None:
    axis.set(xscale="log", yscale="log", xlabel="width $n$", ylabel=label, xticks=n, xticklabels=n)
    axis.minorticks_off()


if __name__ == "__main__":
    main(__spec__.name)
