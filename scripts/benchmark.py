"""How fast it is: what is measured beside its baseline, in one process tree.

    python -m scripts.benchmark [only=training,fit] [rounds=3] [out=results/benchmark.json]

Other programs may share the machine, so what is compared alternates, and the least time of each counts. Baselines are tuned, start
from the same weights and record the same quantities. A bar that is not met is reported; it is no error.

`training`, `bandwidth` and `to_convergence` train the network of van Rossem & Saxe (ICML 2024): 20 hidden layers of 500 leaky ReLUs,
Xavier gain 1, two points, all at once, single precision, h, y and w of hidden layer 10 recorded at every step.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import itertools
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dltheory.lab import machine, store
from dltheory.lab.claim import Interval, at_least, at_most, between

HOUSE = Path(__file__).parents[1]
CORES = os.cpu_count() or 1
WIDTH, HIDDEN_LAYERS, LAYER, RATE, PAPER_STEPS = 500, 20, 10, 0.005, 6000
BURST, BURSTS, CHECKED = 20, 20, 100  # steps at a stretch, stretches in a round, steps compared in double precision
LARGE, CACHED = 400, 20  # MB copied

Loop = Callable[[int], np.ndarray]
"""Trains for so many steps and returns what it recorded, one row for each step."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. The bar judges the ratio, or `ours` where there is none; a skipped row has a note only."""

    what: str
    ours: float = math.nan
    baseline: float = math.nan
    ratio: float = math.nan
    bar: Interval | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None if there is no bar or nothing was measured."""
        value = self.ours if math.isnan(self.ratio) else self.ratio
        return None if self.bar is None or math.isnan(value) else bool(self.bar.low <= value <= self.bar.high)


_loops: dict[str, Loop] = {}


def child(make: Callable[..., dict[str, Loop]], *arguments: Any) -> ProcessPoolExecutor:
    """A process that makes its loops once and keeps them; `names` and `run` are for it."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (make, *arguments))


def _begin(make: Callable[..., dict[str, Loop]], *arguments: Any) -> None:
    _loops.update(make(*arguments))


def names() -> list[str]:
    """The loops of this process."""
    return list(_loops)


def run(name: str, steps: int) -> tuple[float, np.ndarray]:
    """Seconds that a loop took for so many steps, and what it recorded."""
    start = time.perf_counter()
    recorded = _loops[name](steps)
    return time.perf_counter() - start, recorded


def initial(width: int, hidden_layers: int, precision: str) -> tuple[Any, Any, list[np.ndarray], list[np.ndarray]]:
    """Parameters and forward pass of a network at gain 1; on the host, its weights (n_in, n_out) and biases (n_out,)."""
    import jax

    from dltheory.models import MLPConfig, functional

    model = MLPConfig(width=width, hidden_layers=hidden_layers).build(jax.random.key(0), 1, 1, dtype=precision)
    params, apply = functional(model)
    weights, biases = ([np.array(params[kind][i][...]) for i in range(hidden_layers + 1)] for kind in ("weights", "biases"))
    return params, apply, weights, biases


def our_loops(width: int, hidden_layers: int, layer: int, precision: str) -> dict[str, Loop]:
    """`training` goes on where it stopped; the others begin anew, and the loss is their fourth column."""
    import jax
    import jax.numpy as jnp

    from dltheory.data import TwoPoints
    from dltheory.representation import measure
    from dltheory.training import GradientDescent, tangent_eigenvalue

    start, apply, _, _ = initial(width, hidden_layers, precision)
    state, data = jax.tree.map(jnp.copy, start), TwoPoints().load().train
    goals = jnp.asarray(data.y)

    def train(params, rate, steps, columns):
        observe = lambda _, seen, loss: columns(measure(seen.hidden[layer], seen.output, goals), loss.astype(float))
        return GradientDescent().train(apply, params, data.x, data.y, rate, steps, observe)

    def from_start(params, optimizer, steps):
        eigenvalue = tangent_eigenvalue(jax.random.key(1), apply, params, data.x).astype(float)
        rate = optimizer.choose_rate(eigenvalue, hidden_layers + 1)
        return train(params, rate, steps, lambda s, loss: jnp.stack([s.h, s.y, s.w, loss]))[1]

    def go_on(params, steps):
        return train(params, RATE, steps, lambda s, _: jnp.stack([s.h, s.y, s.w]))

    go_on, from_start = jax.jit(go_on, static_argnums=1, donate_argnums=0), jax.jit(from_start, static_argnums=2)

    def training(steps):
        nonlocal state
        state, recorded = go_on(state, steps)
        return np.asarray(recorded)

    return {
        "training": training,
        "rate rule": lambda steps: np.asarray(from_start(start, GradientDescent(), steps)),
        "paper's rate": lambda steps: np.asarray(from_start(start, GradientDescent(RATE), steps)),
    }


def torch_loops(weights: list[np.ndarray], biases: list[np.ndarray], layer: int, threads: list[int]) -> dict[str, Loop]:
    """`training` in PyTorch, in three ways and on these numbers of threads, each bound to its core: two on one core stall."""
    os.environ["OMP_PROC_BIND"] = "true"
    import torch  # pyright: ignore[reportMissingImports]
    from torch.nn.functional import leaky_relu, linear  # pyright: ignore[reportMissingImports]

    from dltheory.data import TwoPoints

    data, dtype = TwoPoints().load().train, torch.tensor(weights[0]).dtype
    x, targets = torch.tensor(data.x, dtype=dtype), torch.tensor(data.y, dtype=dtype)

    def forward(w, b):
        hidden = [x]
        for matrix, bias in zip(w[:-1], b[:-1], strict=True):
            hidden.append(leaky_relu(linear(hidden[-1], matrix, bias)))
        output = linear(hidden[-1], w[-1], b[-1])
        with torch.no_grad():
            dh, dy, gap = (a[1] - a[0] for a in (hidden[layer + 1], output, targets))
            seen = torch.stack([dh @ dh, dy @ dy, dy @ (dy - gap)])
        return hidden, output, seen

    def fused(w, b):
        optimizer = torch.optim.SGD([p.requires_grad_() for p in (*w, *b)], RATE, fused=True)

        def step():
            _, output, seen = forward(w, b)
            optimizer.zero_grad()
            (((output - targets) ** 2).sum(1).mean() / 2).backward()
            optimizer.step()
            return seen

        return step

    def compiled(w, b):
        def loss(w, b):
            _, output, seen = forward(w, b)
            return ((output - targets) ** 2).sum(1).mean() / 2, seen

        @torch.compile(dynamic=False, options={"cpp_wrapper": True})
        def step(w, b):
            slopes, seen = torch.func.grad(loss, argnums=(0, 1), has_aux=True)(w, b)
            for parameter, slope in zip((*w, *b), (*slopes[0], *slopes[1]), strict=True):
                parameter.sub_(slope, alpha=RATE)
            return seen

        return torch.no_grad()(lambda: step(w, b))

    def by_hand(w, b):
        @torch.no_grad()
        def step():
            hidden, output, seen = forward(w, b)
            delta = (output - targets) / len(x)
            for k in reversed(range(len(w))):
                below = delta @ w[k]
                w[k].addmm_(delta.T, hidden[k], alpha=-RATE)
                b[k].sub_(delta.sum(0), alpha=RATE)
                delta = torch.where(hidden[k] > 0, below, 0.01 * below)
            return seen

        return step

    def loop(make, count):
        step = make([torch.tensor(w.T.copy()) for w in weights], [torch.tensor(b) for b in biases])

        def run(steps):
            torch.set_num_threads(count)
            recorded = torch.empty(steps, 3, dtype=dtype)
            for k in range(steps):
                recorded[k] = step()
            return recorded.numpy()

        return run

    ways = {"autograd, fused SGD": fused, "torch.compile": compiled, "derivatives by hand": by_hand}
    return {f"{name}, {n} threads": loop(make, n) for name, make in ways.items() for n in threads}


def disagreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference of what two loops recorded, relative to the largest value of the column."""
    return float(np.max(np.abs(ours - theirs) / np.abs(ours).max(0)))


def alternate(tasks: dict[str, Callable[[], float]], times: int) -> dict[str, float]:
    """Least seconds that each task returned, the tasks taking turns."""
    turns = [{name: task() for name, task in tasks.items()} for _ in range(times)]
    return {name: min(turn[name] for turn in turns) for name in tasks}


def seconds(task: Callable[[], Any]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def command(*words: str, **environment: str) -> float:
    """Seconds of `python -m words`, which must succeed."""
    kept = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    run = lambda: subprocess.run([sys.executable, "-m", *words], cwd=HOUSE, env=kept | environment, check=True, capture_output=True)
    return seconds(run)


def copy(megabytes: int) -> Callable[[], float]:
    """A task: seconds per byte, read or written, of two threads that copy an array."""
    source = np.ones((2, megabytes * 10**6 // 8), np.float32)
    target, times = np.zeros_like(source), max(1, 200 // megabytes)
    threads = ThreadPoolExecutor(2)

    def half(k):
        for _ in range(times):
            np.copyto(target[k], source[k])

    return lambda: seconds(lambda: list(threads.map(half, range(2)))) / (2 * source.nbytes * times)


@functools.cache
def race(rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Least seconds of a step, ours ("ours") and PyTorch's, and of a byte copied; how far PyTorch is from us in double precision."""
    size = WIDTH, HIDDEN_LAYERS
    with contextlib.ExitStack() as stack:
        enter = lambda *arguments: stack.enter_context(child(*arguments))
        loops, apart = {"ours": (enter(our_loops, *size, LAYER, "float32"), "training")}, {}
        if importlib.util.find_spec("torch"):
            threads = sorted({1, CORES})
            theirs = enter(torch_loops, *initial(*size, "float32")[2:], LAYER, threads)
            exact = enter(torch_loops, *initial(*size, "float64")[2:], LAYER, threads)
            expected = enter(our_loops, *size, LAYER, "float64").submit(run, "training", CHECKED).result()[1]
            for name in exact.submit(names).result():
                try:
                    apart[name] = disagreement(expected, exact.submit(run, name, CHECKED).result()[1])
                    loops[name] = theirs, name
                except RuntimeError as error:
                    print(f"{name} does not work here: {type(error).__name__}", file=sys.stderr)
            assert max(apart.values()) < 1e-3, f"not the same training in double precision: {apart}"
        tasks = {name: lambda loop=loop: loop[0].submit(run, loop[1], BURST).result()[0] / BURST for name, loop in loops.items()}
        alternate(tasks, 1)
        return alternate(tasks | {str(size): copy(size) for size in (LARGE, CACHED)}, BURSTS * rounds), apart


def training(rounds: int) -> Iterator[Row]:
    """A step, ours and PyTorch's: the bar is for the fastest of its ways."""
    best, apart = race(rounds)
    ways = sorted((best[name], name) for name in best if "threads" in name)
    if not ways:
        yield Row("training step", note="skipped: PyTorch is missing (pip install 'dltheory[bench]')")
    for place, (theirs, name) in enumerate(ways):
        note = "" if place else f"largest difference of h, y, w in double precision, over their maxima: {max(apart.values()):.1g}"
        bar = None if place else at_least(2.5)
        yield Row(f"training step, ms; PyTorch: {name}", 1e3 * best["ours"], 1e3 * theirs, theirs / best["ours"], bar, note)


def bandwidth(rounds: int) -> Iterator[Row]:
    """Three passes over the weights in the time of a step (forward, backward, update), against a copy by two threads."""
    best, _ = race(rounds)
    sizes = (1, *[WIDTH] * HIDDEN_LAYERS, 1)
    ours = 3 * 4 * sum(n * m for n, m in itertools.pairwise(sizes)) / best["ours"]
    for size, bar in ((LARGE, at_least(0.33)), (CACHED, None)):
        copied = 1 / best[str(size)]
        yield Row(f"weights moved, GB/s; copy of {size} MB", ours / 1e9, copied / 1e9, ours / copied, bar)


def to_convergence(rounds: int) -> Iterator[Row]:
    """To loss 1e-6 by the rate rule, its eigenvalue included; PyTorch's seconds are those of a step, times the steps."""
    best, _ = race(rounds)
    with child(our_loops, WIDTH, HIDDEN_LAYERS, LAYER, "float32") as ours:
        go = lambda name, steps: ours.submit(run, name, steps).result()
        curve, paper = go("rate rule", 2000)[1], go("paper's rate", PAPER_STEPS)[1]
        steps, theirs = (int(np.argmax(c[:, 3] <= 1e-6)) for c in (curve, paper))
        go("rate rule", steps)
        took = min(go("rate rule", steps)[0] for _ in range(rounds))
    step = min((s for name, s in best.items() if "threads" in name), default=math.nan)
    for n, bar in ((PAPER_STEPS, at_least(8)), (theirs, None)):
        what = f"to loss 1e-6, s; {steps} steps by the rate rule, {n} of PyTorch at rate {RATE}"
        yield Row(what, took, n * step, n * step / took, bar, "" if step == step else "no ratio: PyTorch is missing")
    h, end = curve[steps, 0], paper[-1, 0]
    yield Row("end point h; ours at loss 1e-6 by the rate rule, ours at the end of the paper's steps", h, end, h / end, between(0.95, 1.05))


def fit(rounds: int) -> Iterator[Row]:
    """Two rates fitted to three curves of 1000 samples with 1 % noise, alone and in a batch of 25."""
    import jax
    import jax.numpy as jnp

    from dltheory.representation import Geometry, Rates, TwoPoint, fit_rates, solve

    rates, geometry, times = Rates(0.3, 1.2), Geometry(1.0, 0.5), jnp.linspace(0.0, 100.0, 1000)
    clean = solve(times, TwoPoint(2e-3, 1e-6, 2e-4), rates, geometry)
    noise = jax.random.normal(jax.random.key(0), (25, 3, len(times))).at[:, :, 0].set(0.0) / 100
    batch = TwoPoint(*(c + jnp.max(jnp.abs(c)) * noise[:, k] for k, c in enumerate((clean.h, clean.y, clean.w))))
    first = jax.tree.map(lambda c: c[0], batch)
    single = jax.jit(lambda seen: fit_rates(times, seen, geometry))
    many = jax.jit(jax.vmap(single))
    compilation = seconds(lambda: single.lower(first).compile())
    found = many(batch).rates
    tasks = {"single": lambda: jax.block_until_ready(single(first)), "batch": lambda: jax.block_until_ready(many(batch))}
    alternate(timed := {name: lambda task=task: seconds(task) for name, task in tasks.items()}, 1)
    best = alternate(timed, 3 * rounds)
    error = max(float(jnp.median(jnp.abs(f / t - 1))) for f, t in ((found.hidden, rates.hidden), (found.output, rates.output)))
    yield Row("fit of two rates, s", best["single"], bar=at_most(0.2))
    yield Row("fit of two rates in a batch of 25, s each", best["batch"] / 25, bar=at_most(0.05))
    yield Row("fit of two rates, compilation, s", compilation, bar=at_most(10))
    yield Row("fitted rates at 1 % noise, median error, worse of the two", error, bar=at_most(0.005))


def ensembles(rounds: int) -> Iterator[Row]:
    """10⁵ random networks and the moments of their layers, no weight matrix drawn; then one of them beside one drawn by its weight
    matrices, after a check that both have the same law. A NumPy loop over matrices takes half as long again."""
    for name, c_w in {"relu": 2.0, "tanh": 1.0}.items():
        yield from ensemble(name, c_w, rounds)


def ensemble(name: str, c_w: float, rounds: int, width: int = 128, depth: int = 20, networks: int = 10**5) -> Iterator[Row]:
    """Rows of `ensembles` for one activation."""
    import jax

    from dltheory.finite_width import sample_kernels

    key = jax.random.key(0)
    sample = jax.jit(lambda key: moments(sample_kernels(key, name, [width] * (depth - 1), 1.0, 0.0, c_w, networks)))
    draw = {batch: weight_matrices(name, width, depth, c_w, batch) for batch in (1, 5, 25)}
    compilation = seconds(lambda: sample.lower(key).compile())
    z = standard_errors(sample(key), moments(draw[5](jax.random.key(1), 3000)))
    assert z < 5, f"not the same law: {z:.1f} standard errors apart"
    tasks = {"ours": lambda: seconds(lambda: jax.block_until_ready(sample(key))) / networks}
    for batch, f in draw.items():
        tasks[f"batches of {batch}"] = lambda f=f: seconds(lambda: f(key, 300).block_until_ready()) / 300
    alternate(tasks, 1)
    best = alternate(tasks, 2 * rounds)
    ours, theirs = best.pop("ours"), min(best.values())
    what = f"{networks} {name} networks, n = {width}, L = {depth}, moments and errors, s"
    yield Row(what, ours * networks, bar=at_most(10), note=f"compilation {compilation:.2g} s")
    note = f"{min(best, key=lambda b: best[b])}; means and variances of layers at most {z:.1f} standard errors apart"
    yield Row(f"one of these {name} networks, µs; by weight matrices", 1e6 * ours, 1e6 * theirs, theirs / ours, at_least(50), note)


def weight_matrices(name: str, width: int, depth: int, c_w: float, batch: int) -> Callable[[Any, int], Any]:
    """What `sample_kernels` draws from S = 1 without biases, (networks, depth), with every weight matrix, `batch` networks at a time."""
    import jax
    import jax.numpy as jnp

    from dltheory.models import activation

    phi, single = activation(name), jnp.float32
    variance = lambda z: c_w * jnp.mean(phi(z) ** 2, axis=1)

    def layer(z, key):
        weights = jax.random.normal(key, (batch, width, width), single)
        return (c_w / width) ** 0.5 * jnp.einsum("bij,bj->bi", weights, phi(z)), variance(z)

    def some(key):
        first, rest = jax.random.split(key)
        z = jax.random.normal(first, (batch, width), single)
        z, seen = jax.lax.scan(layer, z, jax.random.split(rest, depth - 2))
        return jnp.concatenate([jnp.ones((1, batch), single), seen, variance(z)[None]]).T

    draw = lambda key, networks: jax.lax.map(some, jax.random.split(key, networks // batch)).reshape(-1, depth).astype(float)
    return jax.jit(draw, static_argnums=1)


def moments(sample: Any) -> tuple[Any, ...]:
    """Mean, variance and third cumulant of every column as an `Estimate`."""
    from dltheory.numerics import Estimate

    mean: Any = Estimate.of(sample)
    away = sample - mean.mean[None]
    return mean, Estimate.of(away**2), Estimate.of(away**3)


def standard_errors(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> float:
    """Largest difference of mean or variance in units of its standard error; column 0 is given and does not vary."""
    pairs = list(zip(ours, theirs, strict=True))[:2]
    apart = [abs(a.mean - b.mean) / np.hypot(a.standard_error, b.standard_error) for a, b in pairs]
    return float(np.max(np.stack(apart)[:, 1:]))


def maps(rounds: int) -> Iterator[Row]:
    """K, χ_∥ and χ_⊥ of tanh in every layer on a grid of (C_b, C_W), a row of it at a time."""
    import jax
    import jax.numpy as jnp

    from dltheory.infinite_width import propagate, susceptibilities

    side, depth = 41, 200
    grid = [a.ravel() for a in jnp.meshgrid(jnp.linspace(0.0, 0.5, side), jnp.linspace(0.5, 4.0, side), indexing="ij")]

    def point(setting):
        kernel: Any = propagate("tanh", 1.0, depth, *setting).kernel
        return kernel, *susceptibilities("tanh", kernel, *setting)

    run = jax.jit(lambda grid: jax.lax.map(point, grid, batch_size=side))
    compilation = seconds(lambda: run.lower(grid).compile())
    task = {"maps": lambda: seconds(lambda: jax.block_until_ready(run(grid)))}
    alternate(task, 1)
    best = alternate(task, 3 * rounds)["maps"]
    yield Row(f"K, χ_∥, χ_⊥ to depth {depth} on {side} × {side}, s", best, bar=at_most(6), note=f"compilation {compilation:.2g} s")


def kernels(rounds: int) -> Iterator[Row]:
    """K and Θ of 1000 digits in 20 layers, checks of the input included; tanh by Mehler's series."""
    import jax

    from dltheory.data import Digits
    from dltheory.infinite_width import propagate

    x = Digits(points=1000).load().train.x
    settings = {"relu": (0.0, 2.0, at_most(3)), "erf": (0.1, 1.5, at_most(3)), "tanh": (0.1, 1.5, None)}

    def task(name, c_b, c_w):
        first = c_b + c_w * x @ x.T / x.shape[1]
        return lambda: seconds(lambda: jax.block_until_ready(propagate(name, first, 20, c_b, c_w, 1.0, 1.0)))

    tasks = {name: task(name, c_b, c_w) for name, (c_b, c_w, _) in settings.items()}
    cold = alternate(tasks, 1)
    best = alternate(tasks, rounds)
    for name, (_, _, bar) in settings.items():
        yield Row(f"K and Θ of 1000² pairs of digits, 20 layers, {name}, s", best[name], bar=bar, note=f"first call {cold[name]:.2g} s")


def tangent(rounds: int) -> Iterator[Row]:
    """The tangent kernel of a given network, 64-128-128-10, between 300 digits, beside the product of its dense Jacobians."""
    import jax
    import jax.numpy as jnp

    from dltheory.data import Digits
    from dltheory.finite_width import ntk
    from dltheory.models import MLP, critical, functional

    x = jnp.asarray(Digits(points=300).load().train.x, jnp.float32)
    params, apply = functional(MLP((x.shape[1], 128, 128, 10), "tanh", critical(), key=jax.random.key(0)))
    ways = {"ours": lambda params, x: ntk(apply, params, x), "dense": lambda params, x: dense_ntk(apply, params, x)}
    made = {name: jax.jit(way).lower(params, x).compile() for name, way in ways.items()}
    tasks = {name: lambda f=f: seconds(lambda: jax.block_until_ready(f(params, x))) for name, f in made.items()}
    alternate(tasks, 1)
    best = alternate(tasks, 2 * rounds)
    ours, dense = (np.asarray(f(params, x)) for f in made.values())
    apart = np.max(np.abs(ours - dense)) / np.max(np.abs(ours))
    assert apart < 1e-5, f"not the same kernel: {apart:.1g}"
    yield Row("tangent kernel of a network at 300 digits, s; dense Jacobians", best["ours"], best["dense"], best["dense"] / best["ours"])
    ours, dense = (getattr(f.memory_analysis(), "temp_size_in_bytes", math.nan) / 1e6 for f in made.values())
    yield Row("temporary memory of these, MB", ours, dense, dense / ours)


def dense_ntk(apply: Callable[..., Any], params: Any, x: Any) -> Any:
    """Tangent kernel (points, outputs, points, outputs) from the Jacobian of every point, one product a parameter array."""
    import jax
    import jax.numpy as jnp

    jacobian = jax.vmap(jax.jacrev(lambda params, point: apply(params, point[None]).output[0]), (None, 0))(params, x)
    leaves = jax.tree.leaves(jacobian)
    points, outputs = leaves[0].shape[:2]
    rows = [j.reshape(points * outputs, -1) for j in leaves]
    return jnp.reshape(sum(j @ j.T for j in rows), (points, outputs, points, outputs))


def circulant(rounds: int) -> Iterator[Row]:
    """A translation-invariant linear map of n variables, by Fourier transform and as a dense matrix."""
    import jax
    import jax.numpy as jnp

    from dltheory.cheap_learning import symmetry

    product, fourier = jax.jit(lambda A, x: A @ x), jax.jit(symmetry.convolve)
    for n, bar in ((256, None), (1024, None), (4096, at_least(10))):
        k, x = jnp.asarray(np.random.default_rng(0).normal(size=(2, n)))
        ways = {"ours": functools.partial(fourier, k, x), "dense": functools.partial(product, symmetry.circulant(k), x)}
        tasks = {name: lambda f=f: seconds(lambda: f().block_until_ready()) for name, f in ways.items()}
        best = alternate(tasks, 20 * rounds)
        yield Row(f"circulant map of {n}, s; dense", best["ours"], best["dense"], best["dense"] / best["ours"], bar)


def statistics(rounds: int) -> Iterator[Row]:
    """All minimal sufficient statistics of a Markov hierarchy that ends in 4096 outcomes, and of one in which nothing is forgotten."""
    import jax

    from dltheory.cheap_learning import hierarchy

    bits = hierarchy.nuisance_hierarchy(np.linspace(0.05, 0.2, 11))
    generic = hierarchy.random_hierarchy(jax.random.key(0), (2, 4, 16, 64, 4096))
    tasks = {name: lambda h=h: seconds(lambda: hierarchy.distil(h)) for name, h in (("bits", bits), ("generic", generic))}
    for name, best in alternate(tasks, rounds).items():
        yield Row(f"sufficient statistics of 4096 outcomes, {name}, s", best, bar=at_most(3))


def information(rounds: int) -> Iterator[Row]:
    """Mutual information of a text of 10 MB at 30 distances, K = 27, counted and estimated."""
    from dltheory.cheap_learning.decay import grassberger, pair_counts

    text = np.random.default_rng(0).choice(27, size=(1, 10**7), p=np.random.default_rng(1).dirichlet(np.ones(27))).astype(np.uint8)
    distances = np.unique(np.geomspace(1, 10_000, 33).astype(int))[:30]
    task = {"text": lambda: seconds(lambda: np.asarray(grassberger(pair_counts(text, distances, 27))))}
    yield Row(f"mutual information of 10 MB at {len(distances)} distances, s", alternate(task, rounds)["text"], bar=at_most(5))


def contexts(rounds: int) -> Iterator[Row]:
    """Contexts of all parameters, from the plans of two networks and of ResNet-50 as a flax model, traced from shapes in new processes."""
    from dltheory.reusability import efficientnet, resnet

    plans = {"ResNet-50": resnet.plan(), "EfficientNetV2-L": efficientnet.plan("l")}
    best = alternate({name: lambda plan=plan: seconds(plan.uses) for name, plan in plans.items()}, rounds)
    yield from (Row(f"contexts of {name} from its plan, exact, s", best[name], bar=at_most(10)) for name in plans)
    for arithmetic in ("log", "exact"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
            took, memory = (min(column) for column in zip(*pool.map(_count_resnet, [arithmetic] * rounds), strict=True))
        yield Row(f"contexts of ResNet-50, traced, {arithmetic}, s", took, bar=at_most(60))
        yield Row(f"peak memory of that, {arithmetic}, GB", memory, bar=at_most(6))


def _count_resnet(arithmetic: str) -> tuple[float, float]:
    """Seconds from a configuration to the counts of 25.6 million parameters, with everything that is imported and compiled; GB."""
    import resource

    def count() -> None:
        import jax

        from dltheory.models import ResnetConfig, functional
        from dltheory.reusability import Histogram, count_contexts

        build = lambda: functional(ResnetConfig().build(jax.random.key(0), 3 * 224**2, 1000))
        params, x = jax.eval_shape(lambda: build()[0]), jax.ShapeDtypeStruct((1, 3 * 224**2), "float32")
        Histogram.of(count_contexts(lambda params, x: build()[1](params, x), params, x, arithmetic=arithmetic))

    return seconds(count), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def default_run(rounds: int) -> Iterator[Row]:
    """`rich_lazy init_scale=0.1` on a machine that has compiled nothing, on one that has, and once more to redraw."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, results in (("cold", "first"), ("warm", "second"), ("redrawn", "second")):
                places = {"XDG_CACHE_HOME": folder, "DLTHEORY_RESULTS": f"{folder}/{results}"}
                found.setdefault(name, []).append(command("experiments.rich_lazy", "init_scale=0.1", **places))
                (about,) = Path(folder, results).glob("runs/*/*/metadata.json")
                found.setdefault(f"{name} compilation", []).append(json.loads(about.read_text())["seconds"]["compile"])
    best = {name: min(times) for name, times in found.items()}
    yield Row("default run, nothing compiled before, s", best["cold"], bar=at_most(30))
    for name in ("", " compilation"):
        cold, warm = best[f"cold{name}"], best[f"warm{name}"]
        yield Row(f"default run{name}, programs cached, s; nothing cached", warm, cold, cold / warm)
    yield Row("default run again, redrawn, s", best["redrawn"], bar=at_most(6))


def start(rounds: int) -> Iterator[Row]:
    """Until help and the list of experiments are there."""
    words = {"experiments.rich_lazy --help": 4, "experiments": 1}
    best = alternate({name: lambda name=name: command(*name.split()) for name in words}, rounds)
    yield from (Row(f"python -m {name}, s", best[name], bar=at_most(limit)) for name, limit in words.items())


def sweep(rounds: int) -> Iterator[Row]:
    """64 runs at size=tiny as one program, beside 64 processes, as many at a time as there are cores, and beside the basic launcher;
    each with nothing compiled before. Four runs a core at default size beside processes of joblib."""
    grid = [f"init_scale={scale}" for scale in ("0.1", "1", "10", "100")]
    launched = lambda words, name: lambda: clean("experiments.rich_lazy", "-m", *words, f"hydra/launcher={name}")
    tiny, default = ["size=tiny", "init_scale=0.1,1,10,100", "seed=range(16)"], [f"seed=range({4 * CORES})"]
    best = alternate({name: launched(tiny, name) for name in ("vmap", "basic")}, rounds)
    alone = [["experiments.rich_lazy", "size=tiny", scale, f"seed={seed}"] for scale in grid for seed in range(16)]
    with ThreadPoolExecutor(CORES) as processes:
        separate = seconds(lambda: list(processes.map(lambda line: clean(*line), alone)))
    yield Row("sweep of 64 tiny runs, vmap, s; 64 processes", best["vmap"], separate, separate / best["vmap"], at_least(10))
    note = "on a GPU the bar is 10" if not accelerated() else ""
    bar = at_least(10 if accelerated() else 0.95)
    yield Row("sweep of 64 tiny runs, vmap, s; basic launcher", best["vmap"], best["basic"], best["basic"] / best["vmap"], bar, note)
    best = alternate({name: launched(default, name) for name in ("vmap", "joblib")}, rounds)
    what = f"sweep of {4 * CORES} default runs, vmap, s; joblib"
    yield Row(what, best["vmap"], best["joblib"], best["joblib"] / best["vmap"], at_least(0.95))


def clean(*words: str) -> float:
    """Seconds of a command that finds neither results nor compiled programs."""
    with tempfile.TemporaryDirectory() as folder:
        return command(*words, XDG_CACHE_HOME=folder, DLTHEORY_RESULTS=f"{folder}/results")


def accelerated() -> bool:
    """Whether JAX finds an accelerator."""
    import jax

    return jax.default_backend() != "cpu"


MEASURED = training, bandwidth, to_convergence, fit, ensembles, maps, kernels, tangent, circulant, statistics, information, contexts
ROWS = {f.__name__: f for f in (*MEASURED, default_run, sweep, start)}


def options(arguments: list[str]) -> tuple[list[str], int, Path]:
    """What to measure, rounds, file. `ValueError` says what is wrong."""
    given = {"only": ",".join(ROWS), "rounds": "3", "out": "results/benchmark.json"}
    for word in arguments:
        key, _, value = word.partition("=")
        if key not in given or not value:
            raise ValueError(f"{word}: must be one of only=name,name, rounds=3, out=path")
        given[key] = value
    if unknown := set(given["only"].split(",")) - set(ROWS):
        raise ValueError(f"only={given['only']}: {min(unknown)!r} must be one of {', '.join(ROWS)}")
    if not given["rounds"].isdecimal() or int(given["rounds"]) < 1:
        raise ValueError(f"rounds={given['rounds']}: must be a whole number ≥ 1")
    return given["only"].split(","), int(given["rounds"]), Path(given["out"])


def show(rows: list[Row]) -> None:
    """The table, and its notes below."""
    from rich.console import Console
    from rich.table import Table

    table, number = Table(), lambda value: "" if math.isnan(value) else f"{value:.3g}"
    for column in ("what", "ours", "baseline", "ratio", "bar", "met?"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in rows:
        met = {True: "yes", False: "no", None: ""}[row.met]
        table.add_row(row.what, number(row.ours), number(row.baseline), number(row.ratio), str(row.bar or ""), met)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.what}: {row.note}", soft_wrap=True)


def main(arguments: list[str]) -> int:
    """Measure, show, and write JSON; 2 if an argument is wrong."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__, *(f"{name}: {f.__doc__}" for name, f in ROWS.items()), sep="\n")
        return 0
    try:
        chosen, rounds, out = options(arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [row for name in chosen for row in ROWS[name](rounds)]
    show(rows)
    plain = lambda row: {k: None if v != v else v for k, v in vars(row).items()} | {"bar": str(row.bar or ""), "met": row.met}
    about = {"rounds": rounds, "cores": CORES, "load": os.getloadavg(), "versions": machine.versions(), "git": machine.git(HOUSE)}
    out.parent.mkdir(parents=True, exist_ok=True)
    store.write_json(out, about | {"rows": [plain(row) for row in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
