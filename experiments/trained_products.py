"""What descent finds of the cheap products: the least neurons that it needs at each depth to multiply n numbers, and how long it takes.

Networks with biases learn the product of n numbers uniform on [0, 2] from 8192 points by Adam (rate .01, cosine to 0, batches of 256,
½ mean squared error; inputs less 1; weights N(0, 1/fan-in)). Errors are mean absolute errors on held-out points over that of the best
constant, the median of the targets there. Network i of every size has points and first weights of its own: error bars are over both.
The same networks learn log(1 + product) of 20 numbers, and the parity of signs. Beside them one hidden layer learns u v on a grid of
17 × 17 points in [-1, 1]² (all points a step, rate .02).

Source: Rolnick & Tegmark, arXiv:1705.05502, figure 2 (there AdaDelta and the mean absolute error; most settings are unpublished);
Lin, Tegmark & Rolnick, arXiv:1608.08225, section II D. Page: cheap_learning, sections 1 (E1.4) and 9.

    python -m experiments.trained_products
    python -m experiments.trained_products networks=8 steps=5000

Expect: tanh needs 2, 16 and more than 96 neurons with one layer for n = 2, 4, 6, but 48 with two layers and 36 with three for n = 6,
about twice a tree's 20. With 64 neurons one layer errs twice as much as two. Gates of four neurons end at an rms error of 2e-3 to
1e-2, the construction at 4e-6. Against the page, the parity of 12 signs is learned, that of 16 by some and of 20 by none.
Time: tiny 30 s, default 2.5 min, paper 6 h.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from dltheory import training
from dltheory.cheap_learning import depth as constructions
from dltheory.cheap_learning import gates, learnability
from dltheory.data import Products
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, at_least, at_most, between, main
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static, traced
from experiments._settings import check_records

ACTIVATIONS, LABELS = {"both": ("tanh", "relu"), "tanh": ("tanh",)}, {"relu": "ReLU", "gelu": "GELU"}
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
PRODUCT, LOGARITHM, PARITY = range(3)
LONG, SIGNS = 20, (4, 8, 12, 16, 20)
"""Numbers of the logarithm, and of the parities."""
UNLEARNED = 12
"""Signs from which the page expects their parity not to be learned."""
RATE, GATE_RATE, BATCH, TEST = 0.01, 0.02, 256, 4096
GATE_ACTIVATIONS, GATE_WIDTHS, GATE_GRID = ("tanh", "softplus", "gelu"), (1, 2, 3, 4, 8), 17
PAGE_HITS = (8, 3, 2)
"""Gates of four neurons, of 8 each, that the page counts as learned."""
SCALES = (1.0, 0.1, 0.01)
THRESHOLD, HIT = 0.1, 1e-2
"""Errors at which a product, relative to the best constant, and a gate, rms, count as learned."""
ENOUGH = 0.6
"""Fraction of the cells (n, depth) that must be uncensored."""


@record
class Config:
    """A grid over n, depth, width, activation and networks."""

    seed: int = traced(0, "names every random stream, that of the points too", low=0, high=2**32 - 1)
    activations: str = static("both", "both: tanh and ReLU", choices=tuple(ACTIVATIONS))
    largest: int = static(6, "largest n of n = 2, 4, 6, …", low=2, high=LONG)
    depths: int = static(3, "most hidden layers", low=2, high=6)
    neurons: int = static(96, "most hidden units; for small n 4 × 2^n, or half of this", low=24, high=512)
    networks: int = static(4, "networks of each size", low=2, high=1000)
    steps: int = static(2500, "training steps", low=10, high=10_000_000)
    every: int = static(50, "steps between records; divides steps", low=1)
    trials: int = static(8, "gates of each width", low=2, high=1000)
    gate_steps: int = static(8000, "training steps of a gate", low=10, high=10_000_000)

    sizes: ClassVar = {
        "tiny": {"largest": 4, "depths": 2, "neurons": 24, "networks": 2, "steps": 100, "every": 10, "trials": 2, "gate_steps": 100},
        "paper": {"largest": 20, "depths": 4, "neurons": 256, "networks": 5, "steps": 5000},
    }

    def __post_init__(self) -> None:
        check_records(self.steps, self.every)


@record
class Result:
    """`cell` counts tasks, depths and widths; task 0 is the product, 1 log(1 + product) of 20 numbers, 2 the parity of signs."""

    task: Int[Array, "cell"] = array("task: 0, 1, 2")
    factors: Int[Array, "cell"] = array("numbers n")
    depth: Int[Array, "cell"] = array("hidden layers k")
    width: Int[Array, "cell"] = array("units w of each hidden layer")
    baseline: Float[Array, "cell network"] = array("mean absolute error of the best constant on the points held out")
    middle_baseline: Float[Array, "cell network"] = array("median absolute error of that constant")
    step: Int[Array, "step"] = array("training step of a record")
    error: Float[Array, "activation cell network step"] = array("mean absolute error over that of the best constant")
    middle: Float[Array, "activation cell network"] = array("median absolute error at the end")
    gate_width: Int[Array, "gate_width"] = array("hidden units of a gate")
    gate: Float[Array, "gate_activation gate_width trial"] = array("rms error of u v over the square, trained")
    scale: Float[Array, "scale"] = array("scale λ of a constructed gate")
    constructed: Float[Array, "scale"] = array("rms error of the constructed softplus gate of four neurons")


def _tasks(config) -> list[tuple[int, int]]:
    """Pairs (task, n)."""
    return [*((PRODUCT, n) for n in range(2, config.largest + 1, 2)), (LOGARITHM, LONG), *((PARITY, n) for n in SIGNS)]


def _cells(config) -> np.ndarray:
    """Rows (place of the task in `_tasks`, n, depth, width), by depth."""
    out = []
    for depth in range(1, config.depths + 1):
        for place, (task, n) in enumerate(_tasks(config)):
            most, same = min(config.neurons, 4 * 2**n) // depth, config.neurons // 2 // depth
            grid = sorted({same, *(w for w in WIDTHS if n // 2 <= w <= most)})
            alone = [config.neurons // depth]
            shown = {LOGARITHM: (1, min(3, config.depths)), PARITY: (2,)}
            out += [(place, n, depth, w) for w in (grid if task == PRODUCT else alone * (depth in shown[task]))]
    return np.array(out)


def load(config: Config) -> tuple[np.ndarray, ...]:
    """Points to train on and held out: x (task, network, points, 20), y (task, network, points, 1), twice. Unused inputs are 0."""
    seeds = [(int(config.seed) * config.networks + i) % 2**32 for i in range(config.networks)]
    return stack([stack([_points(task, n, seed) for seed in seeds]) for task, n in _tasks(config)])


def _points(task, n, seed) -> tuple[np.ndarray, ...]:
    """Inputs and targets of the points to train on, and of those held out."""
    drawn = Products(factors=n, numbers="signs" if task == PARITY else "uniform", test=TEST, seed=seed).load()
    inputs = lambda x: np.pad(x - (task != PARITY), ((0, 0), (0, LONG - n))).astype(np.float32)
    targets = lambda y: (np.log1p(y) if task == LOGARITHM else y).astype(np.float32)
    return inputs(drawn.train.x), targets(drawn.train.y), inputs(drawn.test.x), targets(drawn.test.y)


def run(config: Config, data: tuple[np.ndarray, ...]) -> Result:
    """One program trains all networks of one activation and depth."""
    key, cells = jax.random.key(config.seed), _cells(config)
    seen = []
    for a, name in enumerate(ACTIVATIONS[config.activations]):
        parts = [cells[cells[:, 2] == k] for k in range(1, config.depths + 1)]
        each = [_train(config, data, jax.random.fold_in(key, 10 * k + a), name, part) for k, part in enumerate(parts)]
        seen.append(jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *each))
    errors, middle = stack(seen)
    goals = jnp.asarray(data[3])[..., 0].astype(float)
    away = jnp.abs(goals - jnp.median(goals, axis=2, keepdims=True))
    baseline, middle_baseline = (f(away, axis=2)[cells[:, 0]] for f in (jnp.mean, jnp.median))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, GATE_GRID)] * 2), -1).reshape(-1, 2)
    with jax.ensure_compile_time_eval():
        gap = lambda s: gates.product_gate("softplus", 0.0, s)(grid) - grid.prod(1)
        constructed = [jnp.sqrt(jnp.mean(gap(s) ** 2)) for s in SCALES]
    return Result(
        task=jnp.asarray(np.array(_tasks(config))[cells[:, 0], 0]),
        **{name: jnp.asarray(cells[:, i]) for i, name in enumerate(("factors", "depth", "width"), 1)},
        baseline=baseline,
        middle_baseline=middle_baseline,
        step=jnp.arange(0, config.steps + 1, config.every),
        error=errors / baseline[None, :, :, None],
        middle=middle,
        gate_width=jnp.asarray(GATE_WIDTHS),
        gate=jnp.stack([_gates(config, jax.random.fold_in(key, 1000 + a), name, grid) for a, name in enumerate(GATE_ACTIVATIONS)]),
        scale=jnp.asarray(SCALES),
        constructed=jnp.stack(constructed),
    )


def _train(config, data, key, activation, cells) -> tuple[Array, Array]:
    """Mean absolute errors (cell, network, step) of networks of one depth, and the median ones at the end."""
    x, y, x_test, y_test = map(jnp.asarray, data)
    start, order = jax.random.split(key)
    transform = optax.adam(optax.cosine_decay_schedule(RATE, config.steps))
    sizes = (LONG, *[int(cells[:, 3].max())] * int(cells[0, 2]), 1)

    def network(key, task, i, inputs, width):
        params, apply = learnability.narrow(key, sizes, inputs, width, activation)
        away = lambda p: jnp.abs(apply(p, x_test[task, i]).output - y_test[task, i])
        look = lambda p, *_: jnp.mean(away(p)).astype(float)
        how = {"every": config.every, "batch": BATCH, "key": order}
        params, seen = training.train(apply, params, x[task, i], y[task, i], transform, config.steps, look, **how)
        return jnp.append(seen, look(params)), jnp.median(away(params)).astype(float)

    shape = (len(cells), config.networks)
    task, inputs, _, width = jnp.repeat(jnp.asarray(cells.T), config.networks, axis=1)
    which = jnp.tile(jnp.arange(config.networks), len(cells))
    seen = training.over_networks(network, jax.random.split(start, len(which)), task, which, inputs, width)
    return jax.tree.map(lambda a: a.reshape(*shape, *a.shape[1:]), seen)


def _gates(config, key, activation, grid) -> Array:
    """Rms errors (width, trial) of trained gates."""
    transform = optax.adam(optax.cosine_decay_schedule(GATE_RATE, config.gate_steps))
    goals = grid.prod(1, keepdims=True)

    def network(key, width):
        params, apply = learnability.narrow(key, (2, max(GATE_WIDTHS), 1), 2, width, activation)
        params, _ = training.train(apply, params, grid, goals, transform, config.gate_steps, lambda *_: (), every=config.gate_steps)
        return jnp.sqrt(jnp.mean((apply(params, jnp.asarray(grid, jnp.float32)).output.astype(float) - goals) ** 2))

    width = jnp.repeat(jnp.asarray(GATE_WIDTHS), config.trials)
    return training.over_networks(network, jax.random.split(key, len(width)), width).reshape(len(GATE_WIDTHS), config.trials)


def _names(data) -> tuple[str, ...]:
    return ACTIVATIONS[str(data.activations.values)]


def _errors(data, activation, task, n, depth) -> tuple[np.ndarray, np.ndarray]:
    """Widths, and the errors (width, network, step) there."""
    here = (data.task.values == task) & (data.factors.values == n) & (data.depth.values == depth)
    return data.width.values[here], data.error.values[_names(data).index(activation), here]


def _grid(data) -> tuple[list[int], list[int]]:
    """Numbers n and depths of the products."""
    here = data.task.values == PRODUCT
    return np.unique(data.factors.values[here]).tolist(), np.unique(data.depth.values[here]).tolist()


def _final(data, n, depth) -> dict[int, np.ndarray]:
    """Errors (network,) of tanh networks at the end, for each width."""
    widths, errors = _errors(data, "tanh", PRODUCT, n, depth)
    return dict(zip(widths.tolist(), errors[..., -1], strict=True))


def _least(data, activation, n, depth) -> learnability.Least:
    """The least width."""
    widths, errors = _errors(data, activation, PRODUCT, n, depth)
    return learnability.least_size(widths, errors[..., -1], THRESHOLD)


def _uncensored(data, activation) -> float:
    """Fraction of the cells (n, depth) whose least width lies inside the widths tried."""
    numbers, depths = _grid(data)
    return float(np.mean([_least(data, activation, n, k).censored == 0 for n in numbers for k in depths]))


def _time(data, n, depth) -> tuple[np.ndarray, np.ndarray]:
    """Steps to learn of the tanh networks with half of the most neurons, and which did."""
    widths, errors = _errors(data, "tanh", PRODUCT, n, depth)
    return learnability.learning_time(data.step.values, errors[widths == int(data.neurons) // 2 // depth][0], THRESHOLD)


def _said(least, depth) -> str:
    """A least width in words."""
    if least.censored:
        return f"w* {'>' if least.censored > 0 else '≤'} {least.size:.0f}"
    return f"w* = {least.size:.0f}, {least.size * depth:.0f} neurons, in ({least.low * depth:.0f}, {least.high * depth:.0f}]"


def _layers(k) -> str:
    return f"{k} layer" + "s" * (k > 1)


def claims(data) -> list[Claim]:
    """What is learned at which size; the page's orderings at n = 6; the gate of four neurons."""
    out = []
    for name in _names(data):
        text = f"{LABELS.get(name, name)}: fraction of the cells (n, depth) with an uncensored least width"
        out.append(Claim(text, "RT figure 2; E9.1", _uncensored(data, name), at_least(ENOUGH)))
    return [*out, *_claims_orderings(data), *_claims_times(data), *_claims_controls(data), *_claims_gate(data)]


def _claims_orderings(data) -> list[Claim]:
    """E9.1 at n = 6, or the largest n below."""
    numbers, depths = _grid(data)
    n, out = max(m for m in numbers if m <= 6), []
    final = {k: _final(data, n, k) for k in depths}
    for k, cells in final.items():
        best = np.log([e.min() for e in cells.values()])
        text = f"n = {n}, {_layers(k)}: slope of ln error of the best network against ln width"
        out.append(Claim(text, "E9.1: decreasing in width", Estimate.of_slope(np.log(list(cells)), best), at_most(0)))
    worst = max((cells[2 * w].min() / cells[w].min() for cells in final.values() for w in cells if 2 * w in cells), default=0.0)
    text = f"n = {n}: largest factor of the error of the best network where a width doubles"
    out.append(Claim(text, "E9.1: decreasing in width", worst, at_most(1), False))
    if 64 in final[1] and 32 in final[2]:
        text = f"n = {n}, 64 neurons: error with one layer over that with two, same points (page: 1.68)"
        out.append(Claim(text, "E9.1", Estimate.of(final[1][64] / final[2][32]), at_least(1.3)))
        for k, expected in ((2, at_most(THRESHOLD)), (1, at_least(THRESHOLD))):
            text = f"n = {n}, {_layers(k)} of 32: median error; {_said(_least(data, 'tanh', n, k), k)}"
            out.append(Claim(text, "E9.1: w*(2) ≤ 32 < w*(1)", Estimate.of_median(final[k][32]), expected))
    for k in depths[1:]:
        least = _least(data, "tanh", n, k)
        text = f"n = {n}, {_layers(k)}: least neurons over the {4 * (n - 1)} of a tree; {_said(least, k)}"
        out.append(Claim(text, "RT figure 2", least.size * k / (4 * (n - 1)), at_least(1), False, domain=least.censored == 0))
    return out


def _claims_times(data) -> list[Claim]:
    """Learnability as the time to learn."""
    numbers, depths = _grid(data)
    few, many = numbers[0], max(m for m in numbers if m <= 6)
    out = []
    for k in depths:
        (short, _), (long, learned) = (_time(data, n, k) for n in (few, many))
        text = f"{int(data.neurons) // 2} neurons, {_layers(k)}: median steps to learn n = {many} less those for {few}"
        slower = Estimate.of_median(long) - Estimate.of_median(short)
        most = bool(learned.mean() > 0.5)
        text += f"; {learned.sum()} of {learned.size} learn" + ("" if most else ", so a lower bound")
        out.append(Claim(text, "learnability = time to learn", slower, at_least(0), False, domain=most))
    return out


def _claims_controls(data) -> list[Claim]:
    """E9.2 and E9.3, which the page has not run."""
    task, depth = data.task.values, data.depth.values
    deep, out = int(depth[task == LOGARITHM].max()), []
    for a, name in enumerate(_names(data)):
        label = LABELS.get(name, name)
        flat, tall = (data.middle.values[a, (task == LOGARITHM) & (depth == k)][0] for k in (1, deep))
        base = data.middle_baseline.values[task == LOGARITHM].mean()
        text = f"{label}, n = {LONG}: median error of log(1 + y), one layer less {deep} at equal neurons (best constant: {base:.1g})"
        out.append(Claim(text, "E9.2", Estimate.of(flat - tall), at_least(0), False))
        flat, tall = (_errors(data, name, LOGARITHM, LONG, k)[1][0, :, -1] for k in (1, deep))
        text = f"{label}, n = {LONG}: mean error of log(1 + y) over the best constant's, one layer less {deep}"
        out.append(Claim(text, "E9.2", Estimate.of(flat - tall), at_least(0), False))
        for n in (n for n in SIGNS if n >= UNLEARNED):
            seen = 1 - (1 - 0.5**n) ** Products.points
            text = f"{label}, parity of {n} ({seen:.0%} of the inputs seen): error over the best constant's, expected not to be learned"
            out.append(Claim(text, "E9.3", Estimate.of(_errors(data, name, PARITY, n, 2)[1][0, :, -1]), at_least(0.9), False))
    return out


def _claims_gate(data) -> list[Claim]:
    """E1.4."""
    from scipy.stats import binomtest

    rms, width, out = data.gate.values, data.gate_width.values.tolist(), []
    built = float(data.constructed.values[-1])
    for i, name in enumerate(GATE_ACTIVATIONS):
        one, four = (rms[i, width.index(w)] for w in (1, 4))
        label = LABELS.get(name, name)
        out.append(Claim(f"gate, {label}: best rms with 1 neuron over that with 4", "E1.4", one.min() / four.min(), at_least(10)))
        text = f"gate, {label}, 4 neurons: log10 of best rms over the construction's at λ = {SCALES[-1]:g} ({built:.2g})"
        out.append(Claim(text, "E1.4", np.log10(four.min() / built), at_least(0)))
        page = binomtest(PAGE_HITS[i], 8).proportion_ci()
        text = f"gate, {label}, 4 neurons: share with rms < {HIT:g} (page: {PAGE_HITS[i]} of 8)"
        out.append(Claim(text, "E1.4", Estimate.of((four < HIT).astype(float)), between(page.low, page.high), False))
    return out


def plot(data):
    """Least neurons against n, error against neurons, time to learn; the parity control; the trained gate."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.8))
    names, (numbers, depths) = _names(data), _grid(data)
    for axis, name in zip(axes[0], names, strict=False):
        _plot_least(axis, data, name)
    axes[0, 1].set_visible(len(names) > 1)
    n, (errors, times, parity, gate) = max(m for m in numbers if m <= 6), (axes[0, 2], *axes[1])
    for k in depths:
        final = _final(data, n, k)
        neurons, bars = k * np.array(list(final)), [Estimate.of_median(e) for e in final.values()]
        errors.plot(neurons, list(final.values()), ".", color=f"C{k - 1}", ms=2, alpha=0.4)
        errors.errorbar(neurons, [b.mean for b in bars], [b.standard_error for b in bars], color=f"C{k - 1}", label=_layers(k))
        _plot_times(times, data, numbers, k)
    errors.axhline(THRESHOLD, **THEORY)
    errors.set(xscale="log", yscale="log", xlabel="hidden neurons", ylabel="error / best constant", title=f"product of {n}, tanh")
    errors.set_yticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
    errors.minorticks_off()
    errors.legend()
    times.set(yscale="log", xlabel="$n$", ylabel="steps to error 0.1", xticks=numbers)
    times.set(title=f"time to learn, tanh, {int(data.neurons) // 2} neurons")
    for i, name in enumerate(names):
        seen = np.array([_errors(data, name, PARITY, m, 2)[1][0, :, -1] for m in SIGNS])
        place = np.array(SIGNS) + 0.5 * (i - 0.5)
        parity.plot(place, seen, ".", color=f"C{i}", ms=3)
        parity.plot(place, np.median(seen, 1), "o-", color=f"C{i}", mfc="none", label=LABELS.get(name, name))
    parity.axhline(1, **THEORY)
    parity.set(xlabel="signs $n$", ylabel="error / best constant", xticks=SIGNS, title="parity, 2 layers: median and each")
    parity.legend()
    for i, name in enumerate(GATE_ACTIVATIONS):
        rms, place = data.gate.values[i], data.gate_width.values * 1.04 ** (i - 1)
        middle = np.median(rms, 1)
        reach = np.abs([rms.min(1) - middle, rms.max(1) - middle])
        gate.errorbar(place, middle, reach, color=f"C{i}", marker="o", ms=3, label=LABELS.get(name, name))
    for scale, value in zip(data.scale.values, data.constructed.values, strict=True):
        gate.axhline(value, **THEORY)
        gate.text(8.6, value, rf"built, $\lambda={scale:g}$", fontsize=6, ha="right", va="bottom")
    gate.set(
        xscale="log", yscale="log", xlabel="hidden neurons", ylabel="rms error of $uv$", title="gate: best, median, worst", ylim=(2e-6, 1)
    )
    gate.set_xticks(data.gate_width.values, data.gate_width.values)
    gate.minorticks_off()
    gate.legend(fontsize=6, loc="lower left", bbox_to_anchor=(0, 0.1))
    return figure


def _plot_least(axis, data, activation) -> None:
    """Least neurons for each depth, arrows where censored, beside what can be built."""
    numbers, depths = _grid(data)
    fine = np.linspace(numbers[0], numbers[-1], 50)
    for k in depths:
        color, shift = f"C{k - 1}", 0.12 * (k - np.mean(depths))
        axis.plot(fine, [constructions.depth_curve(n, k) for n in fine], **THEORY | {"color": color})
        built = [(n, constructions.depth_neurons(constructions.best_split(n, k))) for n in numbers if any(constructions.splits(n, k))]
        if built:
            axis.plot(*np.array(built, float).T, "x", color=color, ms=5)
        for n in numbers:
            least = _least(data, activation, n, k)
            y, low, high = (k * v for v in (least.size, least.low, least.high))
            up, down = not np.isfinite(high), least.low == 0
            reach = [[0 if up else y * 0.4 if down else y - low], [y * 0.8 if up else 0 if down else high - y]]
            mark = {"color": color, "marker": "o", "mfc": "white" if least.censored else color}
            axis.errorbar([n + shift], [y], reach, lolims=up, uplims=down and not up, **mark)
    axis.plot(fine, 4 * (fine - 1), ":", color="black", lw=0.8)
    if _uncensored(data, activation) < ENOUGH:
        axis.text(0.5, 0.5, "no result", transform=axis.transAxes, ha="center", fontsize=14, color="red")
    pad = 0.1 * (numbers[-1] - numbers[0]) + 0.2
    axis.set(yscale="log", xlabel="$n$", xticks=numbers, xlim=(numbers[0] - pad, numbers[-1] + pad), ylabel="least hidden neurons")
    axis.set_title(f"to error {THRESHOLD:g}, {LABELS.get(activation, activation)}")
    if activation == "tanh":
        handles = [axis.plot([], [], color=f"C{k - 1}", marker="o", label=f"{_layers(k)}, trained")[0] for k in depths]
        handles += [axis.plot([], [], "x", color="black", label="built, same depth")[0]]
        handles += [axis.plot([], [], label=r"$n^{(k-1)/k}\,2^{n^{1/k}}$", **THEORY)[0], axis.plot([], [], ":k", label="tree, $4(n-1)$")[0]]
        axis.legend(handles=handles, fontsize=5.5, loc="upper left")


def _plot_times(axis, data, numbers, k) -> None:
    """Times to learn and their median; an arrow and a hollow mark where half of the runs do not."""
    for n in numbers:
        time, learned = _time(data, n, k)
        median, censored = Estimate.of_median(time), learned.mean() <= 0.5
        place, color = n + 0.15 * (k - 2), f"C{k - 1}"
        axis.plot(np.full(len(time), place), time, ".", color=color, ms=2)
        bar = {"yerr": median.mean * 0.3, "lolims": True} if censored else {"yerr": median.standard_error}
        axis.errorbar([place], [median.mean], color=color, marker="o", mfc="white" if censored else color, **bar)


if __name__ == "__main__":
    main(__spec__.name)
