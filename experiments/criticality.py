"""Where signals neither vanish nor explode: phase plane, universality class and critical point of an activation.

For every bias variance C_b and weight variance C_W: how the kernel K and the gradient |∂z_out/∂z^(l)|² flow through depth, by the
infinite-width theory and in random networks of finite width, sampled exactly and, at three points, differentiated as whole networks.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapters 2-5; Poole et al. (2016); Schoenholz et al.
(2017).

    python -m experiments.criticality
    python -m experiments.criticality activation=relu
    python -m experiments.criticality activation='"z*tanh(softplus(z))"'
    python -m experiments.criticality -m figure=true

The activation is a name, an expression in z or package.module:function. The sweep compares the classes of many.

Expect: tanh: C_b = 0, C_W = 1 alone has χ_∥ = χ_⊥ = 1; gradients grow as χ_⊥(K*) says; ReLU without biases: the typical log K falls short
of the mean's by 2.5/n a layer.
Time: tiny 15 s, default 45 s, paper 5 min; the sweep 5 min.
"""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dltheory import infinite_width as theory
from dltheory.finite_width import recursion, sample_kernels, sample_ntk
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, estimate, main
from dltheory.models import MLP
from dltheory.models.base import functional
from dltheory.models.initialisation import critical
from dltheory.numerics import Estimate
from dltheory.record import array, record, static, traced

NAMES = ("linear", "relu", "leaky_relu", "abs", "tanh", "sin", "erf", "gelu", "swish", "sigmoid", "softplus")
FACTORS = (0.8, 1.0, 1.25)
"""C_W over its critical value: vanishing, critical, exploding."""
BIAS = 0.05
CLOSE = 0.99
PAIR_FACTOR = 1.5
LIMIT = 30.0
"""Decades beyond which a kernel is drawn as this many."""


@record
class Config:
    """One activation, a plane of C_b and C_W, networks of one width and depth."""

    c_w_low: float = traced(0.5, "least weight variance × fan-in C_W of the plane", low=1e-3, high=1e3)
    c_w_high: float = traced(3.0, "largest C_W of the plane", low=1e-3, high=1e3)
    c_b_high: float = traced(0.6, "largest bias variance C_b of the plane", low=1e-3, high=1e3)
    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    activation: str = static("tanh", "a name, an expression in z, or package.module:function")
    depth: int = static(50, "layers", low=8, high=1000)
    width: int = static(300, "hidden width n", low=10, high=10_000)
    side: int = static(41, "points along each side of the plane", low=5, high=201)
    measured: int = static(
        21, "points along each side at which networks are sampled; side - 1 is a multiple of measured - 1", low=3, high=201
    )
    networks: int = static(20, "networks at each point of the plane", low=2, high=10_000)
    critical: int = static(2000, "networks at the critical point, and pairs off it", low=10, high=1_000_000)
    whole: int = static(5, "whole networks at each of three points", low=2, high=1000)

    sizes: ClassVar = {
        "tiny": {"depth": 10, "width": 50, "side": 5, "measured": 3, "critical": 100, "networks": 5, "whole": 2},
        "paper": {"measured": 41, "critical": 10_000, "whole": 20},
    }
    figure: ClassVar = {"activation": NAMES, "measured": (3,), "side": (21,)}

    def __post_init__(self) -> None:
        if self.c_w_low >= self.c_w_high:
            raise ValueError(f"c_w_high={self.c_w_high:g}: must be above c_w_low={self.c_w_low:g}")
        if (self.side - 1) % (self.measured - 1):
            raise ValueError(f"measured={self.measured}: measured - 1 must divide side - 1 = {self.side - 1}")
        phi = theory.function(self.activation)
        if theory.homogeneous_slopes(phi) is None:
            theory.require_smooth(phi, 1, "a universality class other than scale-invariant")


@record
class Result:
    """`bias` and `weight` run over the plane, `b` and `w` over the points where networks were sampled, `factor` over C_W/C_W*."""

    point: Float[theory.Criticality, ""] = array("critical point")
    universality_class: Int[Array, ""] = array("0 scale-invariant, 1 K*=0, 2 half-stable, 3 none")
    c_b: Float[Array, "bias"] = array("C_b of the plane")
    c_w: Float[Array, "weight"] = array("C_W of the plane")
    log_kernel: Float[Array, "bias weight"] = array("log10 K^(L), infinite width, cut at ±30")
    parallel: Float[Array, "bias weight"] = array("χ_∥ at K^(L)")
    perpendicular: Float[Array, "bias weight"] = array("χ_⊥ at K^(L)")
    settled: Float[Array, "bias weight"] = array("|K^(L+1)/K^(L) - 1|")
    kernel_slope: Float[Estimate, "b w"] = array("growth of log K a layer, all layers, mean over networks")
    gradient_slope: Float[Estimate, "b w"] = array("growth of log |∂z_out/∂z^(l)|² a layer towards the input, the last half of the layers")
    layer: Int[Array, "layer"] = array("layer")
    kernel: Float[Array, "factor layer"] = array("K^(l), infinite width", "preactivation²")
    corrected: Float[Array, "layer"] = array("K^(l) + G1/n at the critical point", "preactivation²")
    sampled: Float[Estimate, "factor layer"] = array("K^(l) of sampled networks", "preactivation²")
    gradient: Float[Estimate, "factor layer"] = array("log |∂z_out/∂z^(l)|² of sampled networks")
    whole_kernel: Float[Array, "factor network layer"] = array("log S of whole networks")
    whole_gradient: Float[Array, "factor network layer"] = array("log |∂z_out/∂z^(l)|² of whole networks by autodiff")
    correlation: Float[Array, "offset layer"] = array(
        "correlation of a pair, from 0.99, at 1.5 C_W* with C_b = 0 and 0.05 more than critical"
    )
    pair: Float[Estimate, "offset layer"] = array("the same in sampled networks")


def run(config: Config) -> Result:
    """Find the point; map the plane; sample networks."""
    key, name, depth = jax.random.key(config.seed), config.activation, config.depth
    point = theory.criticality(name)
    c_b, c_w, start = _working(point, name)
    biases = jnp.linspace(0, config.c_b_high, config.side)
    weights = jnp.linspace(config.c_w_low, config.c_w_high, config.side)
    plane = jax.vmap(jax.vmap(partial(_flow, name, start, depth), (None, 0)), (0, None))
    last, following, parallel, perpendicular = plane(biases, weights)
    some = slice(None, None, (config.side - 1) // (config.measured - 1))
    corners = jnp.stack([a.ravel() for a in jnp.meshgrid(biases[some], weights[some], indexing="ij")], axis=1)
    keys = jax.random.split(jax.random.fold_in(key, 0), len(corners))
    slopes = jax.lax.map(lambda given: _slopes(config, start, *given), (keys, corners[:, 0], corners[:, 1]))
    kernel_slope, gradient_slope = jax.tree.map(lambda a: a.reshape(config.measured, config.measured), slopes)

    three = jax.random.split(jax.random.fold_in(key, 1), len(FACTORS)), c_w * jnp.asarray(FACTORS)
    columns = jax.lax.map(lambda given: _column(config, start, c_b, *given), three)
    kernel, sampled, gradient, whole_kernel, whole_gradient = columns
    layers = recursion(name, start, depth, c_b, c_w)
    two = jax.random.split(jax.random.fold_in(key, 2)), c_b + jnp.asarray([0.0, BIAS])
    correlation, pair = jax.lax.map(lambda given: _pair(config, start, *given, PAIR_FACTOR * c_w), two)
    return Result(
        point=jax.tree.map(lambda a: jnp.nan_to_num(jnp.asarray(a, float)), point),
        universality_class=jnp.asarray(theory.CLASSES.index(point.universality_class)),
        c_b=biases,
        c_w=weights,
        log_kernel=_decades(last),
        parallel=jnp.nan_to_num(parallel),
        perpendicular=jnp.nan_to_num(perpendicular),
        settled=jnp.nan_to_num(jnp.abs(following / last - 1), nan=1.0, posinf=1.0),
        kernel_slope=kernel_slope,
        gradient_slope=gradient_slope,
        layer=jnp.arange(1, depth + 1),
        kernel=jnp.nan_to_num(kernel),
        corrected=jnp.nan_to_num(layers.K + layers.G1 / config.width),
        sampled=sampled,
        gradient=gradient,
        whole_kernel=whole_kernel,
        whole_gradient=whole_gradient,
        correlation=correlation,
        pair=pair,
    )


def _working(point, name):
    """C_b, C_W and K^(1) of the critical point; without one C_b = 0 and χ_⊥ = 1 at K = 1."""
    if point.universality_class == "none":
        with jax.ensure_compile_time_eval():
            return 0.0, 1 / float(theory.susceptibilities(name, 1.0, 0.0, 1.0)[1]), 1.0
    return float(point.c_b), float(point.c_w), float(point.kernel) or 1.0


def _decades(kernel):
    return jnp.clip(jnp.nan_to_num(jnp.log10(kernel), nan=LIMIT, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT)


def _flow(name, start, depth, c_b, c_w):
    """K in the last layer and the next, and both susceptibilities there."""
    K = theory.propagate(name, start, depth + 1, c_b, c_w).kernel
    return K[-2], K[-1], *theory.susceptibilities(name, K[-2], c_b, c_w)


def _logs(kernel, gradient):
    """Logarithms; what over- or underflows is cut at 10^±30."""
    cut = LIMIT * np.log(10)
    return tuple(jnp.clip(jnp.nan_to_num(jnp.log(a), nan=cut), -cut, cut) for a in (kernel, gradient))


def _slopes(config, start, key, c_b, c_w):
    """Growth of log K over all layers and of the log gradient over the last half, of sampled networks."""
    widths = [config.width] * (config.depth - 1)
    sample = sample_ntk(key, config.activation, widths, start, c_b, c_w, 0.0, 1.0, config.networks)
    kernel, gradient = _logs(sample.kernel, sample.gradient)
    half = config.depth // 2
    growth = (gradient[:, half] - gradient[:, -2]) / (config.depth - 2 - half)
    return Estimate.of((kernel[:, -1] - kernel[:, 0]) / (config.depth - 1)), Estimate.of(growth)


def _column(config, start, c_b, key, c_w):
    """One setting: theory, sampled networks, whole networks."""
    draw, whole = jax.random.split(key)
    widths = [config.width] * (config.depth - 1)
    sample = sample_ntk(draw, config.activation, widths, start, c_b, c_w, 0.0, 1.0, config.critical)
    kernel = theory.propagate(config.activation, start, config.depth, c_b, c_w).kernel
    gradient = _logs(sample.kernel, sample.gradient)[1]
    seen = Estimate.of(jnp.nan_to_num(sample.kernel, posinf=10**LIMIT))
    return kernel, seen, Estimate.of(gradient), *_whole(config, whole, start, c_b, c_w)


def _whole(config, key, start, c_b, c_w):
    """log S and log |∂z_out/∂z^(l)|² of networks with all their weights; the gradient with respect to biases is that to z."""
    x = jnp.sqrt(jnp.full((1, 1), (start - c_b) / c_w, jnp.float32))
    sizes = (1, *[config.width] * (config.depth - 1), 1)

    def network(key):
        params, apply = functional(MLP(sizes, theory.function(config.activation), critical(c_b, c_w), key=key))
        gradient = jax.grad(lambda p: apply(p, x).output[0, 0])(params)["biases"]
        squares = [jnp.sum(gradient[l][...].astype(float) ** 2) for l in range(config.depth)]
        hidden = [c_b + c_w * jnp.mean(h.astype(float) ** 2) for h in apply(params, x).hidden]
        return _logs(jnp.stack([jnp.asarray(start, float), *hidden]), jnp.stack(squares))

    return jax.lax.map(network, jax.random.split(key, config.whole))


def _pair(config, start, key, c_b, c_w):
    """Correlation of two inputs of equal norm through depth, theory and sampled networks."""
    close = start * jnp.array([[1, CLOSE], [CLOSE, 1]])
    ratio = lambda K: K[..., 0, 1] / jnp.sqrt(K[..., 0, 0] * K[..., 1, 1])
    seen = sample_kernels(key, config.activation, [config.width] * (config.depth - 1), close, c_b, c_w, max(config.critical // 4, 2))
    expected = theory.propagate(config.activation, close, config.depth, c_b, c_w).kernel
    return jnp.nan_to_num(ratio(expected)), Estimate.of(jnp.nan_to_num(ratio(seen)))


def _independent(name, kernel, c_b, c_w):
    """χ_∥, χ_⊥ and K'/K by Gauss-Legendre panels on both sides of zero and finite differences of s."""
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(40)
    edges = np.linspace(0, 12, 49)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half * (1 + nodes)).ravel()
    w = (half * weights).ravel() * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    x, w = np.concatenate([-x[::-1], x]), np.concatenate([w[::-1], w])
    s = lambda z: np.asarray(theory.function(name)(jnp.asarray(z)))
    z = np.sqrt(kernel) * x
    size = 1e-3 * np.minimum(np.abs(z), np.sqrt(kernel))
    slope = sum(c * (s(z + k * size) - s(z - k * size)) for k, c in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))) / size
    return c_w * w @ (z * s(z) * slope) / kernel, c_w * w @ slope**2, (c_b + c_w * w @ s(z) ** 2) / kernel


def claims(data) -> list[Claim]:
    """That the point is critical, by another quadrature; E4 and E10; sampled against whole networks."""
    name, n, depth = str(data.activation.values), int(data.width), data.sizes["layer"]
    kind = theory.CLASSES[int(data.universality_class)]
    out = []
    if kind != "none":
        kernel = float(data.point_kernel) or 1e-12
        worst = max(abs(float(v) - 1) for v in _independent(name, kernel, float(data.point_c_b), float(data.point_c_w)))
        where = f"C_b = {float(data.point_c_b):.8g}, C_W = {float(data.point_c_w):.8g}"
        text = f"{name}, {kind}: {where}: largest |χ_∥ - 1|, |χ_⊥ - 1|, |K'/K* - 1|, by another quadrature"
        out.append(Claim(text, "criticality, section 2", worst, at_most(1e-8)))
        seen = estimate(data, "sampled")[1, -1]
        text = f"K^({depth}) of sampled critical networks over K + G1/n"
        out.append(Claim(text, "G1 recursion", seen / float(data.corrected[-1]), about(1, 0.05), kind == "K*=0"))
    seen, whole = estimate(data, "gradient"), Estimate.of(data.whole_gradient.values.transpose(1, 0, 2))
    error = seen.standard_error * np.sqrt(seen.count / whole.count)
    z = ((whole.mean - seen.mean) / np.where(error > 0, error, 1))[:, :-1]
    text = f"log |∂z_out/∂z^(l)|² of whole networks against sampled ones at {len(FACTORS)} points, largest |z|"
    out.append(Claim(text, "exactness of the sampler", float(np.abs(z).max()), at_most(5)))
    return out + _claims_plane(data, kind, name, n) + (_claims_tanh(data) if name == "tanh" else [])


def _claims_plane(data, kind, name, n) -> list[Claim]:
    """E4: what the plane shows."""
    step = (data.sizes["bias"] - 1) // (data.sizes["b"] - 1)
    slope = estimate(data, "gradient_slope")
    out = []
    if kind == "scale-invariant":
        loss = float(data.point_nu) / 2 / n
        gap = estimate(data, "kernel_slope")[0] - (np.log(data.c_w.values[::step] / float(data.point_c_w)) - loss)
        worst = gap[np.argmax(np.abs(gap.mean))]
        text = f"C_b = 0: growth of log K a layer, largest distance from log(C_W/C_W*) - ν/2n; ν/2n = {loss:.3g}"
        out.append(Claim(text, "E4, Hanin & Nica", Estimate(abs(worst.mean), worst.standard_error, worst.count), at_most(0.012)))
    expected = np.log(np.maximum(data.perpendicular.values[::step, ::step], 1e-30))
    clear = (data.settled.values[::step, ::step] < 0.02) & (np.abs(np.abs(expected) - 0.05) > 0.015)
    if clear.any():
        agrees = ((np.abs(slope.mean) < 0.05) == (np.abs(expected) < 0.05))[clear]
        text = (
            f"gradients change by less than 5 % a layer exactly where |log χ_⊥(K*)| < 0.05, fraction of {clear.sum()} points off the edge"
        )
        out.append(Claim(text, "E4", float(agrees.mean()), at_least(0.99), name == "tanh"))
        gap = (slope.mean - expected)[clear]
        text = "growth of log gradients less log χ_⊥(K*) at these points, root mean square"
        out.append(Claim(text, "E4", float(np.sqrt(np.mean(gap**2))), at_most(0.03), name == "tanh"))
    if kind == "K*=0":
        distance = np.maximum(np.abs(data.parallel.values - 1), np.abs(data.perpendicular.values - 1))
        both = np.argwhere(distance < 2.5 / data.sizes["layer"])
        points = ", ".join(f"({data.c_b.values[i]:.3g}, {data.c_w.values[j]:.3g})" for i, j in both)
        text = f"points of the plane where χ_∥ and χ_⊥ are 1: {points}"
        on_grid = bool(np.isclose(data.c_w.values, float(data.point_c_w)).any())
        out.append(Claim(text, "E4: only the critical one", len(both), about(1), on_grid))
    return out


def _claims_tanh(data) -> list[Claim]:
    """E10, off the critical point; the published numbers are those of C_W = 0.8 and 1.5."""
    from scipy.optimize import brentq

    x = np.linspace(-12, 12, 4801)
    w = np.exp(-(x**2) / 2) * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    square = lambda K: w @ np.tanh(np.sqrt(K) * x) ** 2
    slope = lambda K: w @ (1 - np.tanh(np.sqrt(K) * x) ** 2) ** 2
    out = []
    sampled = estimate(data, "sampled")[0]
    late = data.layer.values[:-1] > 25
    if late.any():
        decay = sampled.mean[1:] / sampled.mean[:-1]
        worst = float(np.abs(decay[late] / FACTORS[0] - 1).max())
        out.append(Claim("C_W = 0.8, l > 25: largest deviation of K^(l+1)/K^(l) from 0.8", "E10", worst, at_most(0.02)))
    pair = estimate(data, "pair")
    for i, (c_b, published, chi, correlation) in enumerate(((0.0, 0.28689, 1.04057, None), (BIAS, 0.41804, 0.93864, (0.98995, 0.9989)))):
        K = float(brentq(lambda K, b=c_b: b + PAIR_FACTOR * square(K) - K, 0.05, 5))  # pyright: ignore[reportArgumentType]
        text = f"C_W = 1.5, C_b = {c_b:g}: K* = {K:.5f}, χ_⊥ = {PAIR_FACTOR * slope(K):.5f}: distance from {published}, {chi}"
        out.append(Claim(text, "E10", max(abs(K - published), abs(PAIR_FACTOR * slope(K) - chi)), at_most(1e-5)))
        if correlation and data.sizes["layer"] >= 40:
            for l, value in zip((5, 40), correlation, strict=True):
                seen = Estimate(float(data.correlation[i, l - 1]), 0.0, 1)
                out.append(
                    Claim(f"the same: correlation of a {CLOSE} pair at l = {l}, infinite width", "E10", seen, about(value, absolute=1e-5))
                )
                text = f"the same in sampled networks of width {int(data.width)}, less that"
                out.append(Claim(text, "E10", pair[i, l - 1] - float(data.correlation[i, l - 1]), about(0, absolute=2e-3)))
    return out


def plot(data):
    """The plane in theory and in sampled networks; kernels and gradients through depth; a pair's correlation."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.4))
    kind = theory.CLASSES[int(data.universality_class)]
    c_b, c_w = data.c_b.values, data.c_w.values
    step = (len(c_b) - 1) // (data.sizes["b"] - 1)
    limit = np.clip(np.quantile(np.abs(data.log_kernel.values), 0.97), 0.5, 8)
    planes = (
        (axes[0, 0], c_w, c_b, data.log_kernel.values, limit, r"$\log_{10}K^{(L)}$, theory"),
        (axes[0, 1], c_w[::step], c_b[::step], estimate(data, "gradient_slope").mean, 0.5, "growth of log gradient a layer"),
    )
    for axis, x, y, values, most, label in planes:
        image = axis.pcolormesh(x, y, values, cmap="RdBu_r", vmin=-most, vmax=most, rasterized=True)
        figure.colorbar(image, ax=axis, label=label)
        if kind != "none":
            axis.plot(
                float(data.point_c_w), float(data.point_c_b), "*", color="gold", markeredgecolor="black", ms=9, clip_on=False, zorder=5
            )
        axis.set(xlabel="$C_W$", ylabel="$C_b$", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    if np.ptp(data.perpendicular.values) > 0:
        axes[0, 1].contour(c_w, c_b, data.perpendicular.values, [1.0], linestyles="--", colors="black", linewidths=1)
    layer = data.layer.values
    for i, factor in enumerate(FACTORS):
        seen, log = estimate(data, "sampled")[i], estimate(data, "gradient")[i]
        label = f"{factor:g} $C_W^*$" if kind != "none" else f"{factor:g} $C_W$"
        axes[0, 2].errorbar(layer, seen.mean, seen.standard_error, color=f"C{i}", label=label)
        axes[0, 2].plot(layer, data.kernel.values[i], **THEORY)
        axes[1, 0].errorbar(layer, log.mean / np.log(10), log.standard_error / np.log(10), color=f"C{i}", label=label)
        whole = data.whole_gradient.values[i] / np.log(10)
        axes[1, 0].plot(layer[::5], whole.mean(axis=0)[::5], "o", color=f"C{i}", mfc="none", ms=3)
    axes[0, 2].set(xscale="log", yscale="log", xlabel="layer $l$", ylabel="$K^{(l)}$")
    axes[0, 2].legend(fontsize=6)
    axes[1, 0].plot([], [], "o", color="black", mfc="none", ms=3, label="autodiff")
    axes[1, 0].set(xlabel="layer $l$", ylabel=r"$\log_{10}|\partial z_{out}/\partial z^{(l)}|^2$")
    axes[1, 0].legend(fontsize=6)
    for i, label in enumerate(("$C_b^*$", f"$C_b^*+{BIAS}$")):
        seen = estimate(data, "pair")[i]
        axes[1, 1].errorbar(layer, seen.mean, seen.standard_error, color=f"C{i}", label=label)
        axes[1, 1].plot(layer, data.correlation.values[i], **THEORY)
    axes[1, 1].set(xlabel="layer $l$", ylabel=f"correlation of a pair, ${PAIR_FACTOR}\\,C_W^*$")
    axes[1, 1].legend(fontsize=6)
    expected = np.log(np.maximum(data.perpendicular.values[::step, ::step], 1e-30)).ravel()
    slope = estimate(data, "gradient_slope")
    axes[1, 2].errorbar(expected, slope.mean.ravel(), slope.standard_error.ravel(), fmt=".", ms=2, lw=0.5)
    ends = np.clip([expected.min(), expected.max()], -1.5, 1.5) + np.array([-0.1, 0.1])
    axes[1, 2].plot(ends, ends, **THEORY)
    axes[1, 2].set(xlabel=r"$\log\,\chi_\perp(K^{(L)})$", ylabel="growth of log gradient a layer", xlim=ends, ylim=ends)
    numbers = f"$C_b$ = {float(data.point_c_b):.4g}, $C_W$ = {float(data.point_c_w):.4g}" if kind != "none" else "no critical point"
    figure.suptitle(f"{data.activation.values!s}: {kind}, {numbers}", fontsize=8)
    return figure


def plot_sweep(data):
    """Kernels and gradients at the critical points of many activations, by class."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(TWO_COLUMNS, 3.2))
    styles = dict(zip(theory.CLASSES, ("-", "--", "-.", ":"), strict=True))
    runs = next(d for d in data.kernel.dims if d not in ("factor", "layer"))
    for i in range(data.sizes[runs]):
        one = data.isel({runs: i})
        kind = theory.CLASSES[int(one.universality_class)]
        seen, log = estimate(one, "sampled")[1], estimate(one, "gradient")[1]
        how = {"color": plt.get_cmap("tab20")(i), "linestyle": styles[kind], "errorevery": 7, "label": f"{one.activation.values!s}: {kind}"}
        axes[0].errorbar(one.layer.values, seen.mean / seen.mean[0], seen.standard_error / seen.mean[0], **how)
        axes[1].errorbar(one.layer.values, log.mean / np.log(10), log.standard_error / np.log(10), **how)
    axes[0].set(xscale="log", yscale="log", xlabel="layer $l$", ylabel="$K^{(l)}/K^{(1)}$, $C_W = C_W^*$", ylim=(5e-3, 1e3))
    axes[1].set(xlabel="layer $l$", ylabel=r"$\log_{10}|\partial z_{out}/\partial z^{(l)}|^2$", ylim=(-6, 6))
    axes[1].legend(fontsize=5.5, bbox_to_anchor=(1.02, 1), loc="upper left")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
