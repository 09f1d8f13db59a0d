"""Four neurons multiply two numbers as exactly as the precision of their arithmetic allows, and a tree of them multiplies many.

With input weights ± λ and any bias where σ'' ≠ 0, the relative error is λ² c₄ (u²+v²) + λ⁴ c₆ (3u⁴+10u²v²+3v⁴): it vanishes as λ → 0
(the paper prints λ → ∞), as λ⁴ at biases where σ'''' = 0. Rounding adds B ε/λ², so that each precision has its best λ. The relative
errors of the n-1 gates of a tree add up.

Source: Lin, Tegmark & Rolnick, arXiv:1608.08225, figure 2, sections II D and III H; Rolnick & Tegmark, arXiv:1705.05502, section 4.

    python -m experiments.product_gate
    python -m experiments.product_gate size=paper

Expect: slope 2 in λ, and 4 at the offsets 2.2924 (logistic) and 1.1462 (tanh); least errors near 2e-4 in float32 and 1e-8 in float64 at
λ* ~ ε^(1/4), 3e-5 and 5e-11 at the offsets; 32 numbers: 124 neurons, 5 layers. Not in the paper: GELU and SiLU at 0, where σ = 0, round
by ε/λ only and reach 2e-11 at slope 2. At λ = 0.001 trees round more than the sum over gates says, where products on the way are small.
Time: tiny 20 s, default 20 s, paper 1 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory.cheap_learning import gates, tree
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, estimate, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static, traced

OFFSET = "offset"
CASES = {
    "logistic, 1": ("sigmoid", 1.0),
    "logistic, ln(2+√3)": ("sigmoid", float(np.log(2 + np.sqrt(3)))),
    "logistic, offset": ("sigmoid", OFFSET),
    "tanh, 0.5": ("tanh", 0.5),
    "tanh, 1": ("tanh", 1.0),
    "tanh, offset": ("tanh", OFFSET),
    "softplus, 0": ("softplus", 0.0),
    "exp, 0": ("exp", 0.0),
    "GELU, 0": ("gelu", 0.0),
    "SiLU, 0": ("swish", 0.0),
    "Gaussian, 0": ("exp(-z**2/2)", 0.0),
    "cos, 0": ("cos(z)", 0.0),
}
"""Activation and bias; `OFFSET` is the least positive zero of σ'''' where σ'' ≠ 0."""
NAMES = list(CASES)
FOURTH = np.array([bias == OFFSET for _, bias in CASES.values()])
SILENT = np.array([a in ("gelu", "swish") for a, _ in CASES.values()])
"""σ = 0 at the bias."""
PLAIN = ~FOURTH & ~SILENT
LISTED = ~FOURTH & (np.array(NAMES) != "tanh, 1")
"""Where the first term rules: 1 is near the offset of tanh."""
SERIES = {
    "logistic, 1": (-0.226557, 0.008665),
    "logistic, ln(2+√3)": (-1 / 6, 1 / 360),
    "logistic, offset": (0, -1 / 240),
    "tanh, offset": (0, -1 / 15),
    "softplus, 0": (-1 / 12, 1 / 360),
    "exp, 0": (1 / 6, 1 / 360),
    "GELU, 0": (-1 / 3, 1 / 40),
    "SiLU, 0": (-1 / 6, 1 / 120),
    "Gaussian, 0": (-1 / 2, 1 / 24),
    "cos, 0": (-1 / 6, 1 / 360),
}
"""c₄ and c₆."""
SEEN_BEFORE = {
    "logistic, 1": ((3.5e-2, 4.2e-4), (2.2e-4, 2.0e-8)),
    "logistic, offset": ((1.6e-1, 2.9e-5), (5.6e-3, 4.4e-11)),
    "softplus, 0": ((3.5e-2, 1.7e-4), (2.2e-4, 7.4e-9)),
    "tanh, 0.5": ((1.3e-2, 2.3e-4), (7.9e-5, 1.0e-8)),
    "exp, 0": ((2.2e-2, 1.6e-4), (1.4e-4, 6.1e-9)),
}
"""λ* and least error in float32 and float64 of an independent program in NumPy."""
PRECISIONS = (jnp.float32, jnp.float64)
EPS = np.array([np.finfo(np.float32).eps, np.finfo(np.float64).eps])
SCALES = np.array([0.4, 0.2, 0.1, 0.05])
TREE_SCALES = np.array([1e-2, 1e-3])
SHOWN = ("logistic, 1", "softplus, 0", "Gaussian, 0", "logistic, offset", "tanh, offset")
FLAT = (("sigmoid", 0.0), ("tanh", 0.0), ("cos(z)", float(np.pi / 2)))
SAMPLE = CASES["logistic, 1"]
SIZE = 0.75
"""Of the inputs whose rounding is measured, |u| and |v| in [.5, 1]."""


@record
class Config:
    """Gates of twelve kinds in two precisions, trees of softplus gates at bias 0."""

    seed: int = traced(0, "draws the points", low=0, high=2**32 - 1)
    points: int = static(4000, "inputs of each gate whose rounding is measured, and of each tree", low=10, high=1_000_000)
    per_decade: int = static(20, "scales λ per decade between 1e-7 and 1", low=4, high=100)
    layers: int = static(5, "layers of the largest tree, which multiplies 2^layers numbers", low=1, high=8)

    sizes: ClassVar = {"tiny": {"points": 300, "per_decade": 5, "layers": 3}, "paper": {"points": 40_000, "per_decade": 40, "layers": 6}}


@record
class Result:
    """`case` counts CASES, `precision` float32 and float64, `kind` the extrapolated product, the square and the copy."""

    scale: Float[Array, "scale"] = array("λ of the series")
    bias: Float[Array, "case"] = array("u₀")
    c4: Float[Array, "case"] = array("c₄", source="σ''''/(6 σ'')")
    c6: Float[Array, "case"] = array("c₆", source="σ⁽⁶⁾/(360 σ'')")
    error: Float[Array, "case scale"] = array("rms relative error on a grid in [-1, 1]², float64")
    series: Float[Array, "case scale"] = array("the same of the series to fourth order")
    point: Float[Array, "case scale"] = array("relative error at u = 0.7, v = -0.4")
    off: Float[Array, "case scale"] = array("largest |relative error / series - 1| on the grid")
    square: Float[Estimate, "case precision sweep"] = array("mean square relative error")
    model: Float[Array, "case precision sweep"] = array("relative error, truncation + rounding, predicted")
    best_scale: Float[Array, "case precision"] = array("λ*, predicted")
    best_error: Float[Array, "case precision"] = array("least relative error, predicted")
    kind_error: Float[Array, "kind scale"] = array("rms relative error, logistic gates at 1")
    kind_series: Float[Array, "kind scale"] = array("its first term, or for the extrapolated product its second")
    sweep: Float[Array, "sweep"] = array("λ of the rounding")
    number: Int[Array, "number"] = array("numbers multiplied")
    tree_scale: Float[Array, "tree_scale"] = array("λ of the trees")
    neurons: Int[Array, "number"] = array("of the tree")
    depth: Int[Array, "number"] = array("its hidden layers")
    tree_error: Float[Array, "number tree_scale"] = array("its relative error where all inputs are 1")
    tree_ratio: Float[Array, "number tree_scale"] = array("largest of |error / sum over gates|, inputs uniform in [.5, 1.5]")
    refused: Int[Array, ""] = array("gates refused of logistic and tanh at 0 and cos at π/2")


def run(config: Config) -> Result:
    """All gates, then the trees."""
    key = jax.random.key(config.seed)
    u, v = (jnp.asarray(a) for a in np.meshgrid(*2 * [np.linspace(-1, 1, 8)]))
    sweep = jnp.logspace(-7, 0, 7 * config.per_decade + 1)
    sizes = jax.random.uniform(jax.random.fold_in(key, 1), (config.points, 2), minval=0.5)
    pairs = jax.random.rademacher(key, (config.points, 2), float) * sizes
    cases, kinds, trees = [], [], []
    for activation, bias in CASES.values():
        at = activation, float(gates.fourth_order_offsets(activation, 0.0)[0]) if bias == OFFSET else bias
        series = gates.gate_series(*at)
        error = jax.vmap(lambda s, at=at: gates.product_gate(*at, s)(u, v) / (u * v) - 1)(SCALES)
        point = jax.vmap(lambda s, at=at: gates.product_gate(*at, s)(0.7, -0.4) / -0.28 - 1)(SCALES)
        expected = jax.vmap(lambda s, series=series: series.error(u, v, s))(SCALES)
        rounded = stack([_rounded(at, pairs.astype(t), sweep, t) for t in PRECISIONS])
        model = stack([gates.predicted_error(*at, sweep, SIZE, t) for t in PRECISIONS])
        best = stack([gates.best_scale(*at, SIZE, t) for t in PRECISIONS])
        off = jnp.max(jnp.abs(error / expected - 1), (1, 2))
        cases.append((jnp.asarray(at[1]), *series, _rms(error), _rms(expected), point, off, rounded, model, *best))
    c4, c6 = gates.gate_series(*SAMPLE)
    c3 = gates.copy_error(*SAMPLE)
    for build, x, exact, term in (
        (gates.extrapolated_gate, (u, v), u * v, lambda s: -gates.GateSeries(0 * c4, c6).error(u, v, s) / 4),
        (gates.square_gate, (u[..., None],), u**2, lambda s: s**2 * c4 * u**2 / 2),
        (gates.copy_gate, (u[..., None],), u, lambda s: s**2 * c3 * u**2),
    ):
        error = jax.vmap(lambda s, build=build, x=x, exact=exact: build(*SAMPLE, s)(*x) / exact - 1)(SCALES)
        kinds.append((_rms(error), _rms(jax.vmap(term)(SCALES))))
    number = 2 ** np.arange(1, config.layers + 1)
    for n in number.tolist():
        x = jax.random.uniform(jax.random.fold_in(key, n), (config.points, n), minval=0.5, maxval=1.5)
        net = tree.product_tree(n, "softplus", 0.01)
        errors = [stack(column) for column in zip(*[_tree(n, x, s) for s in TREE_SCALES.tolist()], strict=True)]
        trees.append((np.array(net.neurons), np.array(net.depth), *errors))
    columns = lambda rows: [stack(column) for column in zip(*rows, strict=True)]
    refused = np.array(sum(map(_is_refused, FLAT)))
    of_trees = [jnp.asarray(number), jnp.asarray(TREE_SCALES), *map(jnp.asarray, columns(trees))]
    of_gates = [jnp.asarray(SCALES), *columns(cases), *columns(kinds), sweep]
    return Result(*of_gates, *of_trees, jnp.asarray(refused))


def _rms(error: jax.Array) -> jax.Array:
    """Over the grid."""
    return jnp.sqrt(jnp.mean(error**2, (-2, -1)))


def _rounded(at, x, scales, dtype) -> Estimate:
    """Mean square relative error of a gate in a precision at each scale; exact is the product of the rounded inputs."""
    exact = jnp.prod(x.astype(float), -1)
    return jax.lax.map(lambda s: Estimate.of((gates.product_gate(*at, s, dtype)(x).astype(float) / exact - 1) ** 2), scales)


def _tree(n, x, scale):
    """Relative error of a tree where all inputs are 1, and the largest elsewhere over the sum over its gates."""
    net, predicted = tree.product_tree(n, "softplus", scale), tree.product_tree_error(n, "softplus", scale)(x)
    return net(jnp.ones(n)) - 1, jnp.max(jnp.abs((net(x) / jnp.prod(x, -1) - 1) / predicted))


def _is_refused(at) -> bool:
    try:
        gates.product_gate(*at, 0.1)
    except ValueError:
        return True
    return False


def claims(data) -> list[Claim]:
    """What the papers say, and what is derived in `gates.py`; exponents of ε are those between the two precisions."""
    fit = lambda errors: [Estimate.of_slope(np.log(SCALES), np.log(np.abs(e))) for e in errors.values]
    point, grid, doubled = fit(data.point), fit(data.error), fit(data.kind_error)[0]
    place, error, slopes = _valleys(data)
    kinds, least = data.kind_error.values[:, 2] / data.kind_series.values[:, 2], error.mean
    series = np.stack([data.c4.values, data.c6.values], 1)
    table = max(np.abs(series[NAMES.index(n)] - exact).max() for n, exact in SERIES.items())
    before = np.array([np.stack([place, least], -1)[NAMES.index(n)] / pair for n, pair in SEEN_BEFORE.items()])
    gain = np.min([least[NAMES.index(f"{a}, 1")] / least[NAMES.index(f"{a}, offset")] for a in ("logistic", "tanh")], 0)
    exponent = lambda values: np.log(values[:, 0] / values[:, 1]) / np.log(EPS[0] / EPS[1])
    n, numbers, bound = data.number.values, int(data.number[-1]), data.tree_ratio.values.max(0)
    of_formula = data.tree_error.values / ((n[:, None] - 1) * 2 * (-1 / 12) * TREE_SCALES**2)
    E11, E12, E13, own = "E1.1; Lin et al., fig. 2", "E1.2; derived", "E1.3; Lin et al., III H", "section 1; derived"
    out = [
        Claim("slope in λ at (0.7, -0.4), farthest from 2", E11, _farthest(_of(point, LISTED), 2), between(1.95, 2.05)),
        Claim("slope in λ, rms over the grid, farthest from 2", E11, _farthest(_of(grid, LISTED), 2), between(1.95, 2.05)),
        Claim("slope at the offsets, σ⁗ = 0, at (0.7, -0.4), farthest from 4", E11, _farthest(_of(point, FOURTH), 4), between(3.9, 4.1)),
        Claim("slope at the offsets, rms over the grid, farthest from 4", E11, _farthest(_of(grid, FOURTH), 4), between(3.9, 4.1)),
        Claim("slope of 8 neurons, extrapolated", own, doubled, between(3.9, 4.1)),
        Claim("|error / series - 1| at λ = 0.1, largest anywhere", E11, data.off.values[:, 2].max(), at_most(0.02)),
        Claim("c₄ and c₆ less their closed forms, largest", own, table, at_most(1e-6)),
        Claim("gates refused: logistic and tanh at 0, cos at π/2", "E1.1; erratum 2", int(data.refused), about(len(FLAT))),
        Claim("error / first term at λ = 0.1: 8 neurons", own, kinds[0], about(1, 0.02)),
        Claim("error / first term at λ = 0.1: square", "Rolnick & Tegmark, section 4", kinds[1], about(1, 0.02)),
        Claim("error / first term at λ = 0.1: copy", own, kinds[2], about(1, 0.02)),
        Claim("slope where rounding rules, farthest from -2", E12, _farthest(_of(slopes, ~SILENT), -2), between(-2.2, -1.8)),
        Claim("the same where σ = 0, farthest from -1", own, _farthest(_of(slopes, SILENT), -1), between(-1.1, -0.9)),
        Claim("λ*(float32) / λ*(float64) / 152, farthest from 1", E12, _off(place[PLAIN, 0] / place[PLAIN, 1] / 152), between(1 / 3, 3)),
        Claim("gain of the offset over bias 1, float32, smaller one", E12, gain[0], at_least(5)),
        Claim("gain of the offset over bias 1, float64, smaller one", E12, gain[1], at_least(100)),
        Claim("least error / predicted, farthest from 1", own, _off(least / data.best_error.values), between(0.5, 2)),
        Claim("λ* / predicted, farthest from 1", own, _off(place / data.best_scale.values), between(0.5, 2)),
        Claim("least error / that of another program, farthest from 1", E12, _off(before[..., 1]), between(0.5, 2), False),
        Claim("λ* / that of another program, farthest from 1", E12, _off(before[..., 0]), between(0.5, 2), False),
        Claim("error of a tree / (n-1) 2 c₄ λ², farthest from 1", E13, _off(of_formula), about(1, 0.02)),
        Claim("error / sum over gates, x in [.5, 1.5], λ = 0.01, greatest", E13, bound[0], at_most(1.05)),
        Claim("the same at λ = 0.001, where rounding adds to it", E13, bound[1], at_most(1.05), False),
        Claim("neurons less 4(n-1), largest", E13, np.abs(data.neurons.values - 4 * (n - 1)).max(), about(0)),
        Claim("hidden layers less log₂ n, largest", E13, np.abs(data.depth.values - np.log2(n)).max(), about(0)),
        Claim(
            f"neurons for {numbers} numbers (for 32 the paper's 160 is 5n)", "erratum 5", data.neurons.values[-1], about(4 * numbers - 4)
        ),
    ]
    for i, (name, low, high) in enumerate((("float32", 3e-5, 2e-3), ("float64", 1e-9, 1e-7))):
        for what, pick in (("smallest", np.argmin), ("greatest", np.argmax)):
            worst = error[PLAIN, i][pick(least[PLAIN, i])]
            out.append(Claim(f"{what} least error, {name}, σ⁗ ≠ 0 and σ ≠ 0", E12, worst, between(low, high)))
    for which, mask, *powers in (("in general", PLAIN, 1 / 2, 1 / 4), ("offsets", FOURTH, 2 / 3, 1 / 6), ("σ = 0", SILENT, 2 / 3, 1 / 3)):
        for what, values, power in zip(("the least error", "λ*"), (least, place), powers, strict=True):
            worst = _farthest(exponent(values)[mask], power)
            out.append(Claim(f"exponent of ε in {what}, {which}", own, worst, about(power, absolute=0.05)))
    return out


def _valleys(data):
    """λ* and the least error (case, precision), and the slopes left of λ*/3 while a digit is left, an array of estimates."""
    sweep, square = data.sweep.values, estimate(data, "square")
    error = Estimate(np.sqrt(square.mean), square.standard_error / (2 * np.sqrt(square.mean)), square.count)
    at = error.mean.argmin(-1)
    place = sweep[at]
    slopes = np.empty(at.shape, object)
    for i in np.ndindex(at.shape):
        rounding = (sweep < place[i] / 3) & (error.mean[i] < 0.1)
        slopes[i] = Estimate.of_slope(np.log(sweep[rounding]), np.log(error.mean[i][rounding]))
    return place, error[(*np.indices(at.shape), at)], slopes


def _of(values, mask) -> np.ndarray:
    """Those of the cases that the mask chooses, in one row."""
    return np.array(values, object)[mask].ravel()


def _farthest(values, target):
    """The number, or the estimate, that is farthest from the target."""
    return max(values, key=lambda x: abs((x.mean if isinstance(x, Estimate) else x) - target))


def _off(ratios) -> float:
    """The ratio whose logarithm is largest."""
    return float(max(np.ravel(ratios), key=lambda r: abs(np.log(r))))


def plot(data):
    """The series, the valleys between truncation and rounding, the least errors, and the tree."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(TWO_COLUMNS, 5.2))
    series, valley, least, trees = axes.flat
    shown = [(n, data.error.values[NAMES.index(n)], data.series.values[NAMES.index(n)]) for n in SHOWN]
    shown.append(("logistic, 1, 8 neurons", data.kind_error.values[0], data.kind_series.values[0]))
    for i, (name, error, predicted) in enumerate(shown):
        series.plot(SCALES, error, "o", color=f"C{i}", label=name)
        series.plot(SCALES, predicted, **THEORY | {"color": f"C{i}"})
    series.plot([], [], label="series", **THEORY)
    series.set(ylim=(3e-8, 50), title="float64, inputs in [-1, 1]", xlabel=r"scale $\lambda$", ylabel="relative error, rms")
    series.set_xscale("log")
    series.set_xticks(SCALES, [f"{s:g}" for s in SCALES])
    series.minorticks_off()
    _, error, _ = _valleys(data)
    for i, name in enumerate(("logistic, 1", "logistic, offset", "GELU, 0")):
        for j in range(2):
            case, color = NAMES.index(name), f"C{i}"
            rms = np.sqrt(data.square.values[case, j])
            valley.plot(data.sweep[::4], rms[::4], "o", ms=(3, 1.5)[j], color=color, label=None if j else name)
            valley.plot(data.sweep, data.model.values[case, j], **THEORY | {"color": color, "linewidth": 0.6})
    valley.set(
        title="rounding, |u| and |v| in [.5, 1]", xlabel=r"scale $\lambda$", ylabel="relative error, rms", xscale="log", ylim=(1e-16, 1e2)
    )
    for size, label in ((3, "float32"), (1.5, "float64")):
        valley.plot([], [], "o", ms=size, color="black", label=label)
    valley.plot([], [], label="predicted", **THEORY)
    rows = np.arange(len(NAMES))
    for j, (name, marker) in enumerate((("float32", "o"), ("float64", "s"))):
        least.errorbar(error.mean[:, j], rows, xerr=error.standard_error[:, j], fmt=marker, color=f"C{j}", label=name)
        least.plot(data.best_error.values[:, j], rows, "|", color="black", ms=9, label="predicted" if j else None)
    least.set(
        title=r"error at the best scale $\lambda^*$", xlabel="least relative error, rms", xscale="log", yticks=rows, yticklabels=NAMES
    )
    least.invert_yaxis()
    for i, scale in enumerate(TREE_SCALES):
        trees.plot(data.number, np.abs(data.tree_error.values[:, i]), "o", color=f"C{i}", label=rf"$\lambda$ = {scale:g}")
        trees.plot(data.number, (data.number - 1) / 6 * scale**2, **THEORY | {"color": f"C{i}"})
    trees.plot([], [], label=r"$(n-1)\,2c_4\lambda^2$", **THEORY)
    trees.set(title="tree of softplus gates, all inputs 1", xlabel="numbers multiplied $n$", ylabel="|relative error|", xscale="log")
    trees.set_xticks(data.number.values, [f"{n}\n{k}" for n, k in zip(data.number.values, data.neurons.values, strict=True)])
    trees.minorticks_off()
    trees.set_xlabel("numbers multiplied $n$, and neurons")
    for axis in (series, valley, trees):
        axis.set_yscale("log")
    for axis, place, columns in zip(axes.flat, ("upper left", "lower center", (0.5, 0.4), "upper left"), (2, 2, 1, 1), strict=True):
        axis.legend(fontsize=6, loc=place, ncols=columns)
    return figure


if __name__ == "__main__":
    main(__spec__.name)
