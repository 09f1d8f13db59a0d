"""Which ratio of depth to width trains best, and where the expansion in it stops being quantitative.

The mutual information of neurons, truncated at third order in depth/width, has a maximum at r* = 4/((20 + 3 n_L) ν). The information
itself has none: it grows with depth, and r* marks where perturbation theory stops being quantitative. What depth is best is therefore
measured: critical ReLU and tanh networks of several widths and depths are trained to equal loss, at rates per layer, tuned per depth,
and their best depth is put beside r*. Beyond r = 1 the first orders of the expansion say nothing, and the typical network is not the mean.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter 5 and appendix A; Hanin & Nica (E7, E11).

    python -m experiments.aspect_ratio
    python -m experiments.aspect_ratio data=mnist data.points=5000 data.normalise=sphere narrowest=32 deepest=64 networks=10 steps=3000

Expect: exact information grows with depth where the cubic one turns over; at 5 L/n ≤ 1 the variance of ReLU kernels within 5 % of
(1+5/n)^(L-1) - 1, at L/n = 1 three orders are a quarter of it. The best depth is 2 to 8 layers at each width, for ReLU far above r*
and for tanh near it, but not at one L/n; by accuracy the least depth is often as good: no optimum inside. At L/n ≥ 1 few train.
Time: tiny 25 s, default 2.5 min, paper 2 h.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from dltheory import finite_width, training
from dltheory.data import MNIST, Data, Digits, Points
from dltheory.infinite_width import criticality, propagate
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, estimate, main
from dltheory.models import ACTIVATIONS
from dltheory.numerics import Estimate
from dltheory.record import array, option_name, record, stack, static, traced
from experiments._depths import Network, fit, report

NAMES = ("relu", "tanh")
FUNCTIONS = tuple(ACTIVATIONS[name] for name in NAMES)
LABELS = {"relu": "ReLU", "tanh": "tanh"}
LINEAR, NEURONS = 64, (1, 2)
"""Width of the deep linear networks, and m_1 = m_2, of the information."""
HIDDEN = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
NU = 5
"""ReLU's ν, as in section 3 of the theory."""


@record
class Config:
    """Widths are `narrowest`, twice and four times it; depths, the output's layer included, 2, 4, 8, … up to `deepest`."""

    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    threshold: float = traced(0.05, "training loss ½⟨|f - y*|²⟩ at which networks are compared", "output²", low=1e-6, high=0.4)
    fastest: float = traced(4.0, "greatest of the rates tried, in units of 1/Θ at the output", low=1e-3, high=100)
    data: Data = Digits(points=500, test=0.5, normalise="sphere")
    narrowest: int = static(16, "least width", low=4, high=4096)
    deepest: int = static(32, "greatest depth", low=16, high=4096)
    networks: int = static(5, "networks of each width, depth and activation", low=2, high=1000)
    rates: int = static(5, "rates tried at each depth, each half of the last", low=1, high=20)
    steps: int = static(600, "training steps, at most", low=1, high=10_000_000)
    every: int = static(20, "steps between looks at the loss; divides steps", low=1)
    samples: int = static(20_000, "networks sampled at initialisation", low=100, high=10_000_000)

    sizes: ClassVar = {
        "tiny": {"narrowest": 8, "deepest": 16, "networks": 2, "rates": 2, "steps": 60, "samples": 1000},
        "paper": {"narrowest": 32, "deepest": 64, "networks": 10, "rates": 5, "steps": 3000, "samples": 100_000},
    }

    def __post_init__(self) -> None:
        if self.steps % self.every:
            raise ValueError(f"every={self.every}: must divide steps={self.steps}")
        if not isinstance(self.data, Digits | MNIST):
            raise ValueError(f"data={option_name(type(self.data))}: must be digits or mnist, whose held-out images are classified")
        if self.data.targets == "index":
            raise ValueError("data.targets=index: must be one_hot or centred, one output for each class")

    @property
    def widths(self) -> tuple[int, ...]:
        """Three widths."""
        return tuple(self.narrowest * 2**i for i in range(3))

    @property
    def depths(self) -> tuple[int, ...]:
        """At least four depths."""
        return tuple(2**i for i in range(1, self.deepest.bit_length()))

    @property
    def sampled(self) -> int:
        """Width of the sampled networks: the middle one, wide enough that none is dead."""
        return max(32, self.widths[1])


@record
class Result:
    """Trained networks at equal loss; `neurons` counts m_1 = m_2 = 1 and 2; sampled ReLU networks after some hidden layers."""

    width: Int[Array, "width"] = array("hidden width n")
    depth: Int[Array, "depth"] = array("depth L, the output's layer included")
    factor: Float[Array, "trial"] = array("rates tried, in units of 1/Θ at the output")
    outputs: Int[Array, ""] = array("outputs n_L")
    reached: Bool[Array, "activation width depth trial network"] = array("whether the training loss fell below the threshold")
    took: Float[Array, "activation width depth trial network"] = array("steps until then; all steps for those that did not reach it")
    loss: Float[Array, "activation width depth trial network"] = array("training loss then, or at the end", "output²")
    held_out: Float[Array, "activation width depth trial network"] = array("held-out loss then, or at the end", "output²")
    error: Float[Array, "activation width depth trial network"] = array("share of held-out images classified wrong then, or at the end")
    hidden: Int[Array, "hidden"] = array("hidden layers of the deep linear networks")
    strength: Float[Array, "hidden"] = array("v = Var S / K² of theirs", source="§3")
    information: Float[Array, "neurons hidden"] = array("mutual information, exact", "nats", source="§5")
    coupling: Float[Array, "coupling"] = array("v")
    cubic: Float[Array, "neurons coupling"] = array("mutual information to third order in v", "nats", source="§5")
    neurons_sampled: Int[Array, ""] = array("width of the sampled ReLU networks")
    few: Int[Array, "few"] = array("hidden layers k, 5k/n ≤ 2")
    variance: Float[Estimate, "few"] = array("Var S / K² of ReLU networks")
    layers: Int[Array, "layers"] = array("hidden layers k, k/n ≤ 4")
    logarithm: Float[Estimate, "layers"] = array("log S/K")
    spread: Float[Estimate, "layers"] = array("variance of log S/K")
    gradient: Float[Estimate, "layers"] = array("|∂z_out/∂z|², k layers before the output")
    typical: Float[Estimate, "layers"] = array("log |∂z_out/∂z|²")


def load(config: Config) -> tuple[Points, Points, np.ndarray]:
    """Training and held-out images, and the exact information of deep linear networks, (neurons, hidden)."""
    data = config.data.load()
    if not len(data.test.x):
        raise ValueError("data.test=0: must be above 0, accuracy is that on held-out images")
    exact = lambda m: [finite_width.layer_information_exact((LINEAR,) * k, m, m) for k in HIDDEN]
    return data.train, data.test, np.array([exact(m) for m in NEURONS])


def run(config: Config, data: tuple[Points, Points, np.ndarray]) -> Result:
    """Train all networks, a program for each width; sample ReLU networks at initialisation."""
    train, held, information = data
    coupling = jnp.linspace(0, 0.5, 2001)
    key, factor = jax.random.key(config.seed), jnp.asarray(config.fastest, float) / 2.0 ** jnp.arange(float(config.rates))
    theory = _theory(config, train.x)
    fitted = [_train(config, jax.random.fold_in(key, width), width, factor, (train, held), theory) for width in config.widths]
    reached, took, loss, held_out, error = jax.tree.map(lambda *a: jnp.stack(a, 1), *fitted)
    return Result(
        width=jnp.asarray(config.widths),
        depth=jnp.asarray(config.depths),
        factor=factor,
        outputs=jnp.asarray(train.y.shape[1]),
        reached=reached,
        took=took,
        loss=loss,
        held_out=held_out,
        error=error,
        hidden=jnp.asarray(HIDDEN),
        strength=(1 + 2 / LINEAR) ** jnp.asarray(HIDDEN, float) - 1,
        information=jnp.asarray(information),
        coupling=coupling,
        cubic=jnp.stack([finite_width.layer_information(coupling, m, m) for m in NEURONS]),
        **_sample(config, jax.random.fold_in(key, 0)),
    )


def _theory(config, x):
    """For each activation: C_W, and λ_b, λ_W, K and Θ of the layers. λ's are those of section 1.6 but for a factor common to all."""
    l, found = jnp.arange(1.0, config.deepest + 1), []
    for name in NAMES:
        point = criticality(name)
        c_b, c_w, p = (float(number) for number in (point.c_b, point.c_w, point.p_perp))
        bias, weight = (l**-p, l ** (1 - p)) if point.universality_class == "K*=0" else (jnp.ones_like(l), jnp.ones_like(l))
        kernels = propagate(name, c_w * jnp.mean(jnp.asarray(x, float) ** 2), config.deepest, c_b, c_w, bias, weight)
        found.append((jnp.asarray(c_w), bias, weight, kernels.kernel, kernels.ntk))
    return stack(found)


def _network(theory, a, depth, variance, factor):
    """Activation `a` at a depth. Its output's variance at initialisation is `variance`, its tangent kernel at its rates is `factor`."""
    c_w, bias, weight, K, theta = (t[a] for t in theory)
    gain = jnp.sqrt(variance / K[depth - 1])
    rate = factor / (theta[depth - 1] * gain**2)
    return Network(a, depth, gain, c_w, rate * bias, rate * weight)


def _train(config, key, width, factor, data, theory):
    """(activation, depth, trial, network) arrays: reached, took, loss, held-out loss, error."""
    depths, variance = jnp.asarray(config.depths), jnp.var(data[0].y)
    shape = (len(NAMES), len(config.depths), config.rates, config.networks)
    total = len(config.widths) * np.prod(shape)
    sizes = {"steps": config.steps, "every": config.every, "batch": config.data.batch}

    def network(a, d, trial, i):
        own = jax.random.fold_in(key, (a * len(config.depths) + d) * config.networks + i)
        one = _network(theory, a, depths[d], variance, factor[trial])
        out = fit(own, FUNCTIONS, one, width, config.deepest, data, jnp.asarray(config.threshold), **sizes)
        report(int(total), config.steps, out.loss)
        return out.reached, out.steps, out.loss, out.held_out_loss, out.error

    found = training.over_networks(network, *map(jnp.asarray, np.indices(shape).reshape(4, -1)))
    return jax.tree.map(lambda f: f.reshape(shape), found)


def _sample(config, key):
    """Kernels and gradients of ReLU networks at K = 1 over (networks, layer)."""
    n, normal = config.sampled, (1.0, 0.0, 2.0)
    layers = np.unique(np.ceil(n * 2.0 ** np.arange(-5, 3)).astype(int))
    few = np.array([k for k in layers if NU * k <= 2 * n])
    S = finite_width.sample_kernels(jax.random.fold_in(key, 0), "relu", (n,) * few[-1], *normal, 10 * config.samples)[:, few]
    deep = finite_width.sample_ntk(jax.random.fold_in(key, 1), "relu", (n,) * layers[-1], *normal, 0.0, 1.0, config.samples)
    logarithm, gradient = jnp.log(jnp.asarray(deep.kernel)[:, layers]), jnp.asarray(deep.gradient)[:, ::-1][:, layers]
    return {
        "neurons_sampled": jnp.asarray(n),
        "few": jnp.asarray(few),
        "variance": Estimate.of((S - 1) ** 2),
        "layers": jnp.asarray(layers),
        "logarithm": Estimate.of(logarithm),
        "spread": Estimate.of((logarithm - jnp.mean(logarithm, axis=0)[None]) ** 2),
        "gradient": Estimate.of(gradient),
        "typical": Estimate.of(jnp.log(gradient)),
    }


def _tuned(data):
    """A function from a field's name to its values (activation, width, depth, network) at the tuned rate, and the index of that rate:
    where most networks reach the threshold, then where the training loss is least, then where it took the fewest steps."""
    count, took, loss = (data[name].values for name in ("reached", "took", "loss"))
    best = np.lexsort((took.mean(-1), np.log(loss).mean(-1), -count.sum(-1)), axis=-1)[..., 0]
    return lambda name: np.take_along_axis(data[name].values, best[..., None, None], axis=3)[..., 0, :], best


def _best(scores):
    """Index of the depth with the least mean of `scores` (width, depth, network), and of that of 2000 samples of as many networks
    drawn from each depth with replacement: (1 + 2000, width). And the ends, (width,), of what holds 95 % of the samples."""
    drawn = np.random.default_rng(0).integers(scores.shape[-1], size=(2000, *scores.shape))
    best = np.concatenate([scores[None], np.take_along_axis(scores[None], drawn, axis=3)]).mean(-1).argmin(-1)
    return best, *np.quantile(best[1:], (0.025, 0.975), axis=0, method="nearest").astype(int)


def claims(data) -> list[Claim]:
    """Gated: what theory knows, and that shallow wide networks train. Best depths and their collapse are reported."""
    return [*_claims_trained(data), *_claims_information(data), *_claims_strong(data)]


def _claims_trained(data) -> list[Claim]:
    """A best depth is known where nearly all resamples have it inside the range, and most networks of that depth train."""
    tuned, rate = _tuned(data)
    reached, width, depth = tuned("reached"), data.width.values, data.depth.values
    ratio, out = depth[None] / width[:, None], []
    for a, name in enumerate(NAMES):
        text = f"{LABELS[name]}, n = {width[-1]}, L = {depth[0]}: share of networks that reach training loss {float(data.threshold):g}"
        out.append(Claim(text, "E7", _share(reached[a, -1, 0]), at_least(0.8)))
    for measure, word in (("error", "accuracy"), ("held_out", "loss")):
        centres, known = [], []
        for a, name in enumerate(NAMES):
            (best, low, high), of = _best(tuned(measure)[a]), f"{LABELS[name]}, held-out {word}"
            inside = ((best[1:] > 0) & (best[1:] < len(depth) - 1)).mean(0).min()
            trains = reached[a, np.arange(len(width)), best[0]].mean(-1).min() >= 0.8
            span = ", ".join(f"{depth[b]} ({depth[l]}-{depth[h]})" for b, l, h in zip(best[0], low, high, strict=True))
            chosen = np.take_along_axis(ratio[None], best[..., None], axis=2)[..., 0]
            centres.append(np.exp(np.log(chosen).mean(1)))
            known.append(bool(inside >= 0.95 and trains))
            star = float(finite_width.optimal_aspect_ratio(criticality(name).nu, int(data.outputs)))
            text = f"{of}: best L/n (n = {', '.join(map(str, width))}: L = {span}), beside r* = {star:.2g}, where the expansion ends"
            out.append(Claim(text, "E7, §5", _resampled(centres[a]), between(star / 2, 2 * star), False, known[a]))
            text = f"{of}: share of resamples with the best depth inside the range, least over widths"
            out.append(Claim(text, "E7", inside, at_least(0.95), False))
            spread = _resampled(chosen.max(1) / chosen.min(1))
            overlap = (depth[low] / width).max() <= (depth[high] / width).min()
            text = f"{of}: greatest over least of the best L/n (collapse; the intervals {'' if overlap else 'do not '}overlap)"
            out.append(Claim(text, "E7", spread, at_most(2), False, known[a]))
        text = f"held-out {word}: best L/n of ReLU over that of tanh"
        out.append(Claim(text, "E7", _resampled(centres[0] / centres[1]), at_most(1), False, all(known)))
    high, low = min(1, ratio.max()), max(0.25, ratio.min())
    deep, shallow = reached[:, ratio >= high], reached[:, ratio <= low]
    error = np.hypot(_share(deep).standard_error, _share(shallow).standard_error)
    fall = Estimate(deep.mean() - shallow.mean(), error, np.asarray(deep.size))
    inner = (rate > 0) & (rate < data.sizes["trial"] - 1)
    return [
        *out,
        Claim(f"share of networks that train at L/n ≥ {high:g} less that at L/n ≤ {low:g}", "beyond S2", fall, at_most(0), False),
        Claim("share of tuned rates that are not the first or last of those tried", "this run", inner.mean(), at_least(0.5), False),
    ]


def _share(reached) -> Estimate:
    share = reached.mean()
    return Estimate(share, np.sqrt(share * (1 - share) / reached.size), np.asarray(reached.size))


def _resampled(values) -> Estimate:
    """A number that comes first, with the spread of its resamples."""
    return Estimate(values[0], values[1:].std(ddof=1), np.asarray(len(values) - 1))


def _claims_information(data) -> list[Claim]:
    """Exact information against its cubic, whose maximum is at v* = 4/(20 + 3 n_L), n_L = m_1 + m_2."""
    out, v, grid = [], data.strength.values, data.coupling.values
    for i, m in enumerate(NEURONS):
        exact, cubic, star = data.information.values[i], data.cubic.values[i], 4 / (20 + 6 * m)
        text, of = f"m = {m}: exact information of deep linear networks", f"up to {HIDDEN[-1]} layers of {LINEAR}"
        out.append(Claim(f"{text}, {of}: least ratio to the depth before", "E11", (exact[1:] / exact[:-1]).min(), at_least(1)))
        out.append(Claim(f"m = {m}: v at which the cubic formula turns over", "E11", grid[cubic.argmax()], about(star, 0.01)))
        there = np.interp(star, grid, cubic) / np.exp(np.interp(np.log(star), np.log(v), np.log(exact)))
        out.append(Claim(f"m = {m}: cubic over exact information there: no longer quantitative", "§5", there, at_most(0.8)))
        near = np.interp(v[0], grid, cubic) / exact[0]
        out.append(Claim(f"m = {m}: the same at one layer, v = {v[0]:.3g}", "§5", near, about(1, 0.1)))
    return out


def _claims_strong(data) -> list[Claim]:
    """Sampled ReLU networks beside the exact laws of one layer, to the power of the layers."""
    n, few, layers = int(data.neurons_sampled), data.few.values, data.layers.values
    k, one = few[few * NU <= n][-1], int(np.flatnonzero(layers == n)[0])
    mean, variance = finite_width.relu_log(n)
    exact = finite_width.relu_moment(4, (1024,) * 1024) - 1
    pick = lambda name, i: estimate(data, name)[i]
    early = np.flatnonzero(NU * layers <= n)[-1]
    text = f"ReLU, n = {n}, k = {k} layers: Var S/K² over (1+5/n)^k - 1"
    return [
        Claim(text, "§3, E1", pick("variance", np.flatnonzero(few == k)[0]) / ((1 + NU / n) ** k - 1), about(1, 0.05)),
        Claim(f"k = n = {n}: variance of log S over that of {n} exact layers", "§3", pick("spread", one) / (n * variance), about(1, 0.05)),
        Claim(f"k = n = {n}: mean log S over that of {n} exact layers", "§3", pick("logarithm", one) / (n * mean), about(1, 0.05)),
        Claim(f"k = n = {n}: mean log |∂z|² over the same: typical", "§3", pick("typical", one) / (n * mean), about(1, 0.05)),
        Claim(
            f"k = {layers[early]}: mean |∂z|², k layers before the output, over that of infinite width",
            "§3",
            pick("gradient", early),
            about(1, 0.05),
        ),
        Claim("r = 1, n = 1024: exact Var S/K² over e^5 - 1", "beyond S2", exact / np.expm1(NU), about(1, 0.02)),
        Claim("r = 1: first three orders of the expansion over the exact", "beyond S2", _orders(1.0)[2] / exact, at_most(0.3)),
    ]


def _orders(r):
    """Expansion of e^{5r} - 1 to order 1, 2 and 3."""
    return np.cumsum([(NU * r) ** j / f for j, f in ((1, 1), (2, 2), (3, 6))], axis=0)


def plot(data):
    """Held-out error and loss against L/n, who trains, information, and the expansion beside what it expands."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.8))
    tuned, _ = _tuned(data)
    for a, axis in enumerate(axes[0, :2]):
        _plot_trained(axis, data, a, tuned)
    _plot_share(axes[0, 2], data, tuned("reached"))
    _plot_information(axes[1, 0], data)
    _plot_orders(axes[1, 1], data)
    _plot_typical(axes[1, 2], data)
    return figure


def _plot_trained(axis, data, a, tuned) -> None:
    """Means over all networks, a cross where fewer than 80 % of them reached the threshold; below, best depths with their intervals."""
    star = float(finite_width.optimal_aspect_ratio(criticality(NAMES[a]).nu, int(data.outputs)))
    styles = {"error": {"marker": "o", "linestyle": "-"}, "held_out": {"marker": "s", "linestyle": ":", "mfc": "white"}}
    reached, depth = tuned("reached")[a].mean(-1), data.depth.values
    for i, (measure, look) in enumerate(styles.items()):
        values, y = tuned(measure)[a], 0.024 * 0.8 ** (3 * i)
        (best, *_), low, high = _best(values)
        for w, n in enumerate(data.width.values):
            mean, error, bad = values[w].mean(-1), values[w].std(-1, ddof=1) / values.shape[-1] ** 0.5, reached[w] < 0.8
            axis.errorbar(depth / n, mean, np.minimum(error, 0.9 * mean), color=f"C{w}", ms=3, **look)
            axis.plot(depth[bad] / n, mean[bad], "x", color="black", ms=4, zorder=4)
            at, span = depth[best[w]] / n, depth[[[low[w]], [high[w]]]] / n
            axis.errorbar(at, y * 0.8**w, xerr=np.abs(span - at), color=f"C{w}", ms=3, **look)
        axis.plot([], [], color="0.4", ms=3, label=("error", "loss")[i], **look)
    axis.plot([], [], "x", color="black", ms=4, label="< 80 % reach it")
    axis.axvline(star, **THEORY)
    text = {"transform": axis.get_xaxis_transform(), "fontsize": 5.5}
    axis.text(star * 1.12, 0.97, f"$r^*$ = {star:.2g}: the\nexpansion ends", va="top", **text)
    axis.text(0.98, 0.02, "best depth, 95 %", ha="right", **text | {"transform": axis.transAxes})
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 1]
    axis.set(xscale="log", yscale="log", xlabel="depth / width $L/n$", ylim=(0.006, 3), title=f"{LABELS[NAMES[a]]}, at equal training loss")
    axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    if a == 0:
        axis.set_ylabel("held-out error, loss")
        axis.legend(fontsize=5.5, loc="upper right")


def _plot_share(axis, data, reached) -> None:
    for w, n in enumerate(data.width.values):
        axis.plot([], [], color=f"C{w}", label=f"$n$ = {n}")
    for a, name in enumerate(NAMES):
        for w, n in enumerate(data.width.values):
            share = reached[a, w].mean(-1)
            error = np.sqrt(share * (1 - share) / reached.shape[-1])
            look = {"marker": "os"[a], "linestyle": "-:"[a], "mfc": (f"C{w}", "white")[a]}
            axis.errorbar(data.depth.values / n, share, error, color=f"C{w}", ms=3, **look)
        axis.plot([], [], color="0.4", marker="os"[a], linestyle="-:"[a], mfc=("0.4", "white")[a], ms=3, label=LABELS[name])
    axis.set(xscale="log", xlabel="depth / width $L/n$", ylabel="share of networks", title="Networks that reach that loss")
    axis.legend(fontsize=6, loc="center left")


def _plot_information(axis, data) -> None:
    grid, v = data.coupling.values, data.strength.values
    for i, m in enumerate(NEURONS):
        exact, cubic, star = data.information.values[i], data.cubic.values[i], 4 / (20 + 6 * m)
        shown = v < 0.45
        axis.plot(v[shown], 1e3 * exact[shown] / m**2, "o-", color=f"C{i}", ms=3, label=f"exact, $m$ = {m}")
        axis.plot(grid, 1e3 * cubic / m**2, **THEORY | {"color": f"C{i}"}, label=f"third order, $m$ = {m}")
        axis.plot([star, star], [-2.6, 1e3 * cubic.max() / m**2], color=f"C{i}", linestyle=":", linewidth=0.8)
        axis.text(star, -2.9, "$v^*$", color=f"C{i}", fontsize=6, ha="center")
    axis.set(ylim=(-3, 11), xlim=(0, 0.4), xlabel=r"$v$ = Var $S/K^2$", ylabel="information / $m^2$ ($10^{-3}$ nats)")
    axis.set_title("Linear networks: information")
    axis.legend(fontsize=6, loc="upper left")


def _plot_orders(axis, data) -> None:
    n, r = int(data.neurons_sampled), np.geomspace(0.03, 4, 200)
    for order, curve in enumerate(_orders(r), 1):
        axis.plot(r, curve, color=f"C{order}", label=f"order {order}")
    axis.plot(r, np.expm1(n * r * np.log1p(NU / n)), **THEORY, label="exact")
    seen = estimate(data, "variance")
    axis.errorbar(data.few.values / n, seen.mean, seen.standard_error, zorder=3, fmt="o", color="C0", ms=3, label=f"sampled, n = {n}")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="$r = k/n$, $k$ hidden layers",
        ylabel="Var $S/K^2$",
        title="ReLU: the expansion",
        ylim=(0.1, 1e6),
    )
    axis.legend(fontsize=6, loc="upper left")


def _plot_typical(axis, data) -> None:
    n, layers = int(data.neurons_sampled), data.layers.values
    r, weak = layers / n, NU * layers <= 2 * n
    seen, mean = estimate(data, "gradient")[weak], finite_width.relu_log(n)[0]
    axis.errorbar(r[weak], seen.mean, seen.standard_error, fmt="o", color="C0", ms=3, label=r"mean $|\partial z|^2$")
    for name, color, marker, label in (("typical", "C1", "s", r"typical $|\partial z|^2$"), ("logarithm", "C2", "+", "typical $S/K$")):
        one = estimate(data, name)
        mid, bars = np.exp(one.mean), np.exp(one.mean) * np.expm1(one.standard_error)
        axis.errorbar(r, mid, bars, fmt=marker, color=color, ms=4, mfc="white", label=label)
    axis.plot(r, np.ones(len(r)), **THEORY)
    axis.plot(r, np.exp(layers * mean), **THEORY, label="theory")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="$r = k/n$, $k$ hidden layers",
        ylabel="relative to infinite width",
        title="ReLU: typical and mean",
    )
    axis.legend(fontsize=6, loc="lower left")


if __name__ == "__main__":
    main(__spec__.name)
