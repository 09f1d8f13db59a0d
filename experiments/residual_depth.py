"""Skip connections push the effective depth: fluctuations of z' = b + W s(z) + γ z grow by ν(γ)/n a layer, not by ν(0)/n.

Sampled exactly, n Var(mean z²) = 2 (E z²)² + V (1 + 2/n), V = n Cov(z_j², z_k²); 2V(2n) - V(n) is compared with recursions in 1/n.
A skip lets a neuron keep what it gave to the variance of the others. Three orders in the modes of that (`finite_width/residual.py`):
without the three-point vertex τ (the commonly remembered formula), with τ alone, and all. Per layer, for ReLU,

    ν = (1-γ²)(5-γ²) + 8 (1-γ²)² Σ_{k>0} R(γ^k),   R(ρ) = ((1+2ρ²) asin ρ + 3ρ √(1-ρ²))/2π,   → (12 + 4 ln 2)(1-γ²) for γ → 1,

R the odd part of ⟨relu(x)² relu(y)²⟩ at correlation ρ; with τ alone (1-γ²)(5-γ²+(16/π)γ(1+γ)) → (4+32/π)(1-γ²).

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), appendix B; Hayou & Yang (2023); E8.

    python -m experiments.residual_depth

Expect: ReLU at 10 layers, γ = .5, .7, .9: V/K² = 50, 38, 12.3, where the remembered formula has 32, 21, 7.2; weak skips are worse than
none. With 1 - γ² = 1/L fluctuations hardly change from 10 to 1000 layers, where those of a plain network grow 111-fold. With γ = .9
60 layers are worth 28 plain ones, not the 10 of the remembered formula, and train like them.
Time: tiny 20 s, default 100 s, paper 15 min.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from dltheory import finite_width, training
from dltheory.data import Data, Digits, Points
from dltheory.finite_width.residual import residual
from dltheory.infinite_width import function
from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, estimate, main
from dltheory.models.base import Activations
from dltheory.numerics import Estimate
from dltheory.record import array, record, stack, static, traced

CRITICAL = {"relu": 2.0, "linear": 1.0, "tanh": 1.0}
"""Plain critical C_W; with skips (1 - γ²) times that."""
SHARE = {"relu": 1.0, "linear": 0.1, "tanh": 0.3}
"""Part of the networks that an activation needs: the tails of ReLU are the heaviest."""
GAMMA = (0.0, 0.5, 0.7, 0.9)
REACH = (10, 30, 100, 300, 1000)
FINE = 0.03 * np.arange(34)
STEADY = 2000
"""Layers after which the slope of V of ReLU is steady to 1e-8 for all of FINE."""
ORDERS = {"without τ": (2,), "with τ alone": (1, 2)}
RATES = (0.025, 0.05, 0.1)
"""Learning rates of Adam times the number of layers."""
START = 1e12
"""K^(1) of very deep ReLU networks, which are scale-invariant and of which the typical one shrinks."""


@record
class Config:
    """Critical networks, C_b = 0: ensembles at n and 2n, very deep ones at n, trained ones on images."""

    seed: int = traced(0, "names every random stream", low=0, high=2**32 - 1)
    c: float = traced(1.0, "c of 1 - γ² = c/L in very deep networks", low=1e-3, high=9.9)
    depth: int = static(10, "layers", low=3, high=1000)
    width: int = static(64, "hidden width n", low=64, high=4096)
    networks: int = static(400_000, "ReLU networks of each γ and width", low=1000, high=100_000_000)
    longest: int = static(1000, "layers of the deepest networks", choices=REACH[1:])
    deep_networks: int = static(8000, "very deep networks of each depth", low=100, high=1_000_000)
    data: Data = Digits(normalise="sphere", targets="centred", test=0.3)
    skip: float = static(0.9, "γ of trained networks", low=0.1, high=0.99)
    shallow: int = static(10, "layers of the trained plain network", low=4, high=1000)
    deep: int = static(60, "layers of the trained network with skips", low=4, high=1000)
    trained_width: int = static(32, "width of trained networks", low=4, high=4096)
    trained: int = static(6, "trained networks of each architecture and rate", low=2, high=1000)
    steps: int = static(400, "training steps", low=10, high=1_000_000)

    sizes: ClassVar = {
        "tiny": {"depth": 4, "networks": 4000, "longest": 30, "deep_networks": 500, "shallow": 4, "deep": 8, "trained": 2, "steps": 20},
        "paper": {"networks": 2_000_000, "deep_networks": 40_000, "trained": 12, "steps": 1000, "trained_width": 64},
    }

    def __post_init__(self) -> None:
        if self.deep <= self.shallow:
            raise ValueError(f"deep={self.deep}: must be above shallow={self.shallow}")
        if getattr(self.data, "targets", "index") == "index":
            raise ValueError("data: must be images with data.targets=one_hot or centred, an output for each class")

    @property
    def reach(self) -> tuple[int, ...]:
        """10, 30, …, longest."""
        return tuple(L for L in REACH if L <= self.longest)


@record
class Result:
    """`activation` counts relu, linear, tanh; `order` without τ, with τ alone; `kind` plain and 1 - γ² = c/L."""

    layer: Int[Array, "layer"] = array("layer")
    gamma: Float[Array, "gamma"] = array("weight γ of the skip")
    size: Int[Array, "size"] = array("hidden width")
    vertex: Float[Estimate, "activation gamma size layer"] = array("V/K²")
    shift: Float[Estimate, "activation gamma size layer"] = array("n (E z²/K - 1)")
    recursion: Float[Array, "activation gamma layer"] = array("V/K², all orders", source="V recursion")
    truncated: Float[Array, "order gamma layer"] = array("V/K² of ReLU", source="§4")
    correction: Float[Array, "activation gamma layer"] = array("G1/K", source="G1 recursion")
    fine: Float[Array, "fine"] = array("weight γ of the skip")
    curve: Float[Array, "activation fine"] = array("V/K² of the last layer")
    remembered: Float[Array, "fine"] = array("V/K² of the last layer of ReLU, without τ")
    slope: Float[Array, "activation fine"] = array("growth of V/K² at layer 2000")
    slope_tau: Float[Array, "fine"] = array("the same for ReLU, with τ alone")
    reach: Int[Array, "reach"] = array("layers L")
    spread: Float[Estimate, "kind reach"] = array("n (Var ln mean z² - ψ₁(n/2)), V/K² up to higher orders in 1/n")
    growth: Float[Array, "kind reach"] = array("V/K², all orders")
    layers: Int[Array, "architecture"] = array("layers of trained networks")
    weight: Float[Array, "architecture"] = array("their γ")
    effective: Float[Array, "architecture"] = array("layers of the plain network of equal V/K²")
    train_loss: Float[Array, "architecture rate start"] = array("training loss at the end", "output²")
    accuracy: Float[Array, "architecture rate start"] = array("share of held-out images classified right")
    diverged: Bool[Array, "architecture rate start"] = array("whether numbers ceased to be finite: counts as an output of 0")


def load(config: Config) -> tuple[Points, Points]:
    """Training and held-out images."""
    data = config.data.load()
    return data.train, data.test if len(data.test.x) else data.train


def run(config: Config, data: tuple[Points, Points]) -> Result:
    """Recursions, ensembles without weight matrices, and trained networks with them."""
    key, few, depth = jax.random.key(config.seed), len(GAMMA), config.depth
    every = np.concatenate([GAMMA, FINE])
    theory = stack([_recursion(name, STEADY, every) for name in CRITICAL])
    ratio, kernel = theory.V / theory.K**2, theory.K[:, :few, :depth]
    short = jnp.stack([_recursion("relu", STEADY, every, modes).V for modes in ORDERS.values()])
    streams = [jax.random.fold_in(key, i) for i in range(len(CRITICAL))]
    vertex, shift = stack([_sampled(config, name, *given) for name, *given in zip(CRITICAL, streams, kernel, strict=True)])
    spread, growth = _very_deep(config, jax.random.fold_in(key, 10))
    layers, weight, effective, trained = _trained(config, jax.random.fold_in(key, 11), *data)
    return Result(
        layer=jnp.arange(1, config.depth + 1),
        gamma=jnp.asarray(GAMMA),
        size=jnp.asarray([config.width, 2 * config.width]),
        vertex=vertex,
        shift=shift,
        recursion=ratio[:, :few, :depth],
        truncated=short[:, :few, :depth],
        correction=theory.G1[:, :few, :depth] / kernel,
        fine=jnp.asarray(FINE),
        curve=ratio[:, few:, depth - 1],
        remembered=short[0, few:, depth - 1],
        slope=ratio[:, few:, -1] - ratio[:, few:, -2],
        slope_tau=short[1, few:, -1] - short[1, few:, -2],
        reach=jnp.asarray(config.reach),
        spread=spread,
        growth=growth,
        layers=jnp.asarray(layers),
        weight=jnp.asarray(weight),
        effective=jnp.asarray(effective),
        train_loss=trained[0],
        accuracy=trained[1],
        diverged=trained[2],
    )


def _recursion(name, depth, gamma, *modes):
    """K, G1, V, τ (gamma, depth) of the critical network from K^(1) = 1."""
    one = lambda g: residual(function(name), jnp.ones(()), depth, 0.0, CRITICAL[name] * (1 - g**2), g, *modes)
    return jax.vmap(one)(jnp.asarray(gamma, float))


def _sampled(config, name, key, kernel):
    """V/K² and n (E z²/K - 1) of one activation, (gamma, size, layer)."""
    draws, gamma = max(1000, int(config.networks * SHARE[name])), jnp.asarray(GAMMA)

    def ensemble(given, n):
        key, g, K = given
        z2 = finite_width.sample_residual(key, name, n, 1.0, config.depth, 0.0, CRITICAL[name] * (1 - g**2), g, draws)
        return _moments(z2 / K[None], n)

    one = lambda n: (jax.random.split(jax.random.fold_in(key, n), len(GAMMA)), gamma, kernel)
    cells = [jax.lax.map(lambda given, n=n: ensemble(given, n), one(n)) for n in (config.width, 2 * config.width)]
    return jax.tree.map(lambda *c: jnp.stack(c, axis=1), *cells)


def _moments(z2, n):
    """V and n (E - 1) of draws of the mean over n neurons of z², (networks, layer), in units of K; errors by the delta method."""
    mean, error = jnp.mean(z2, axis=0), Estimate.of(z2).standard_error
    d = z2 - mean[None]
    spread = Estimate.of(n * d**2 - 4 * mean[None] * d)
    count = jnp.full(mean.shape, len(z2))
    vertex = Estimate((jnp.asarray(spread.mean) - 2 * mean**2) / (1 + 2 / n), spread.standard_error / (1 + 2 / n), count)
    return vertex, Estimate(n * (mean - 1), n * error, count)


def _very_deep(config, key):
    """n (Var ln mean z² - ψ₁(n/2)) of ReLU networks, plain and with 1 - γ² = c/L, and V/K² by recursion, (kind, reach)."""
    n, reach = config.width, np.array(config.reach)
    sample = lambda i, L, g: finite_width.sample_residual(
        jax.random.fold_in(key, i), "relu", n, START, L, 0.0, 2 * (1 - g**2), g, config.deep_networks
    )
    noise = jax.scipy.special.polygamma(1, n / 2)
    plain = sample(0, config.longest, jnp.zeros(()))[:, reach - 1]
    gamma = jnp.sqrt(1 - config.c / reach.astype(float))
    with_skips = [sample(i, int(L), gamma[i - 1])[:, -1] for i, L in enumerate(reach, start=1)]
    log = jnp.log(jnp.stack([plain, jnp.stack(with_skips, axis=1)], axis=1))
    square = Estimate.of((log - jnp.mean(log, axis=0, keepdims=True)) ** 2)
    spread = Estimate(n * (jnp.asarray(square.mean) - noise), n * square.standard_error, jnp.full(log.shape[1:], len(log)))
    V = _recursion("relu", config.longest, gamma).V
    flat, skips = 5.0 * (reach - 1), V[np.arange(len(reach)), reach - 1]
    return spread, jnp.stack([jnp.asarray(flat), skips])


def _architectures(config):
    """(layers, γ) of trained networks and V/K²: plain and skip of equal V at both ends, and the plain network as deep as the skip."""
    with jax.ensure_compile_time_eval():
        skip = np.asarray(_recursion("relu", config.deep, np.array([config.skip])).V[0])
    nu = 5.0
    matched = max(3, 1 + int(np.argmin(np.abs(skip - nu * (config.shallow - 1)))))
    partner = max(3, round(1 + float(skip[-1]) / nu))
    layers = (config.shallow, partner, config.deep, matched, config.deep)
    gamma = (0.0, 0.0, 0.0, config.skip, config.skip)
    return layers, gamma, [float(L) if g == 0 else 1 + skip[L - 1] / nu for L, g in zip(layers, gamma, strict=True)]


def _trained(config, key, train, held):
    """Training loss, held-out accuracy and divergence (architecture, rate, start), by Adam on real networks; one program a depth."""
    layers, gamma, effective = _architectures(config)
    x, goal = train.x.astype(np.float32), train.y.astype(np.float32)
    idle = training.mean_squared_error(jnp.zeros(goal.shape), jnp.asarray(train.y))

    def network(depth, key, g, rate):
        weights, order = jax.random.split(key)
        apply, params = _residual(g), _weights(weights, x.shape[1], config.trained_width, goal.shape[1], depth, g)
        sizes = {"batch": config.data.batch, "key": order}
        params, _ = training.train(apply, params, x, goal, optax.adam(rate), config.steps, lambda p, a, loss: (), **sizes)
        loss = training.mean_squared_error(apply(params, jnp.asarray(x)).output, jnp.asarray(goal)).astype(float)
        right = jnp.argmax(apply(params, held.x.astype(np.float32)).output, axis=1) == held.label
        fine = jnp.isfinite(loss)
        return jnp.where(fine, loss, idle), jnp.where(fine, jnp.mean(right.astype(float)), 1 / goal.shape[1]), ~fine

    cells = {}
    for depth in set(layers):
        some = [i for i, L in enumerate(layers) if L == depth]
        shape = len(some), len(RATES), config.trained
        given = np.array([gamma[i] for i in some])[:, None, None], np.array(RATES)[:, None] / depth
        g, rate = (jnp.asarray(np.broadcast_to(a, shape).ravel(), jnp.float32) for a in given)
        keys = jax.random.split(jax.random.fold_in(key, depth), len(g))
        out = training.over_networks(lambda k, g, r, depth=depth: network(depth, k, g, r), keys, g, rate)
        out = jax.tree.map(lambda a, shape=shape: a.reshape(shape), out)
        cells |= {i: jax.tree.map(lambda a, j=j: a[j], out) for j, i in enumerate(some)}
    return layers, gamma, effective, stack([cells[i] for i in range(len(layers))])


def _weights(key, inputs, width, outputs, depth, gamma):
    """Critical ReLU weights, scaled so that inputs of mean square 1 have K^(1) = 1; the blocks are stacked."""
    normal = lambda i, *shape: jax.random.normal(jax.random.fold_in(key, i), shape, jnp.float32) * np.float32(shape[-2] ** -0.5)
    blocks = jnp.sqrt(2 * (1 - gamma**2)) * normal(1, depth - 2, width, width), jnp.zeros((depth - 2, width), jnp.float32)
    return {"first": normal(0, inputs, width), "blocks": blocks, "last": normal(2, width, outputs) * np.float32(2**0.5)}


def _residual(gamma):
    """Forward pass: z' = b + W relu(z) + γ z in all layers but the first and the last."""

    def apply(params, x):
        block = lambda z, wb: (gamma * z + jax.nn.relu(z) @ wb[0] + wb[1][None], None)
        z, _ = jax.lax.scan(block, x @ params["first"], params["blocks"])
        return Activations((), jax.nn.relu(z) @ params["last"])

    return apply


def _richardson(data, name, gamma, layer=-1):
    """2 V(2n) - V(n) over K²."""
    where = list(CRITICAL).index(name), GAMMA.index(gamma)
    narrow, wide = (estimate(data, "vertex")[*where, size, layer] for size in (0, 1))
    return wide * 2 - narrow


def _worst(estimates):
    """The largest deviation from 1, with its own error."""
    worst = max(estimates, key=lambda e: abs(float(e.mean) - 1))
    return Estimate(abs(worst.mean - 1), worst.standard_error, worst.count)


def _nu(gamma):
    """ν of critical ReLU networks."""
    rho = np.power.outer(np.asarray(gamma), np.arange(1, 5000))
    odd = ((1 + 2 * rho**2) * np.arcsin(rho) + 3 * rho * np.sqrt(1 - rho**2)) / (2 * np.pi)
    return (1 - gamma**2) * (5 - gamma**2) + 8 * (1 - gamma**2) ** 2 * odd.sum(axis=-1)


def claims(data) -> list[Claim]:
    """The page's inequalities E8; what all orders add to it; very deep networks; reported: what trained networks do."""
    relu, depth, n = 0, data.sizes["layer"], float(data.width)
    gated = 10 <= depth <= n / 6
    full = lambda name, gamma: data.recursion.values[list(CRITICAL).index(name), GAMMA.index(gamma), -1]
    short = lambda order, gamma: data.truncated.values[list(ORDERS).index(order), GAMMA.index(gamma), -1]
    over = lambda name, gamma, value: _richardson(data, name, gamma) / value
    where, text, source = f"V of layer {depth}", "over the recursion", "all orders"
    out = [Claim(f"ReLU, γ = {g:g}: {where} {text}", "E8", over("relu", g, full("relu", g)), about(1, 0.12), gated) for g in GAMMA]
    for name in ("linear", "tanh"):
        worst = _worst([over(name, g, full(name, g)) for g in GAMMA])
        out.append(Claim(f"{name}, all γ: {where} {text}, largest deviation from 1", "E8", worst, at_most(0.12), gated))
    for g in GAMMA[1:]:
        out.append(Claim(f"ReLU, γ = {g:g}: {where} {text} without τ", "E8", over("relu", g, short("without τ", g)), at_least(1.4), gated))
    weak = _richardson(data, "relu", 0.5) / _richardson(data, "relu", 0.0)
    exact = [
        (i, j, w * ((1 + 2 * (1 - g**4) / w) ** (depth - 1) - 1)) for i, g in enumerate(GAMMA) for j, w in enumerate(data["size"].values)
    ]
    far = max(abs(float(estimate(data, "vertex")[1, i, j, -1].z(value))) for i, j, value in exact)
    shift = estimate(data, "shift")[relu, 1, 1, -1] / data.correction.values[relu, 1, -1]
    tau = over("relu", 0.9, short("with τ alone", 0.9))
    grown = f"ReLU, γ = 0.5, n = {2 * n:.0f}: n (E z²/K - 1) over G1/K, the kernel grows"
    out += [
        Claim(f"ReLU, γ = 0.5: {where} over that of γ = 0, a weak skip is worse than none", "§4", weak, at_least(1), gated),
        Claim(f"ReLU, γ = 0.9: {where} {text} with τ alone, more takes part", source, tau, at_least(1), gated),
        Claim(f"ReLU, γ = 0.9: {where} {text} of all orders", source, over("relu", 0.9, full("relu", 0.9)), about(1, 0.04), gated),
        Claim("linear, all γ, both widths: largest |z| of V against its exact law", "any width", far, at_most(4)),
        Claim(grown, source, shift, about(1, 0.15), False),
    ]
    return out + _claims_slopes(data) + _claims_deep(data) + _claims_trained(data)


def _claims_slopes(data) -> list[Claim]:
    """ν(γ) against closed forms."""
    g, slope, tau = data.fine.values, data.slope.values, data.slope_tau.values
    worst = lambda seen, expected: float(np.abs(seen / expected - 1).max())
    page, limit = (1 - g**2) * (5 - g**2 + 16 / np.pi * g * (1 + g)), 12 + 4 * np.log(2)
    low, text = g < 0.91, "largest deviation from"
    tanh = worst(slope[2, low], 2 / 3 * (1 - g[low] ** 4))
    return [
        Claim(f"ν of ReLU with τ alone: {text} (1-γ²)(5-γ²+(16/π)γ(1+γ))", "§4", worst(tau, page), at_most(1e-6)),
        Claim(f"ν of ReLU: {text} its sum over R", "all orders", worst(slope[0], _nu(g)), at_most(1e-4)),
        Claim(f"ν of linear: {text} 2(1-γ⁴)", "§4", worst(slope[1], 2 * (1 - g**4)), at_most(1e-6)),
        Claim(f"ν of tanh, γ ≤ 0.9: {text} (2/3)(1-γ⁴)", "§4", tanh, at_most(0.01)),
        Claim("ν/(1-γ²) of ReLU at γ = 0.99 over 12 + 4 ln 2", "γ → 1", slope[0, -1] / (1 - g[-1] ** 2) / limit, about(1, 0.02)),
    ]


def _claims_deep(data) -> list[Claim]:
    """Whether V stays when the skips grow with the depth."""
    L, last = data.reach.values, data.sizes["reach"] - 1
    growth = lambda kind: estimate(data, "spread")[kind, last] / estimate(data, "spread")[kind, 0]
    expected = data.growth.values[:, last] / data.growth.values[:, 0]
    text = f"V at L = {L[last]} over V at L = {L[0]}"
    where, small = f"1 - γ² = {float(data.c):g}/L", bool(data.growth.values[1].max() < float(data.width) / 8)
    return [
        Claim(f"plain: {text}", "beyond, arbitrary depth", growth(0), about(expected[0], 0.1)),
        Claim(f"{where}: {text}, by recursion {expected[1]:.3g}", "beyond, arbitrary depth", growth(1), about(expected[1], 0.1), small),
        Claim(f"{where}: {text}, stays as it is", "beyond, expected there", growth(1), between(0.9, 1.1), False),
    ]


def _best(data):
    """Accuracy and logarithm of the training loss of each architecture, at the rate of the least training loss."""
    best = np.argmin(data.train_loss.values.mean(axis=2), axis=1)
    pick = lambda a: [Estimate.of(row[i]) for row, i in zip(a, best, strict=True)]
    return pick(data.accuracy.values), pick(np.log10(data.train_loss.values)), best


def _claims_trained(data) -> list[Claim]:
    """Equal ν L: pairs of trained networks."""
    accuracy, loss, _ = _best(data)
    name = [
        f"γ = {g:g}, L = {L} (worth {e:.3g} layers)"
        for g, L, e in zip(*(data[k].values for k in ("weight", "layers", "effective")), strict=True)
    ]
    pairs = (
        (4, 0, "E8, hypothesis, equal ν L without τ"),
        (3, 0, "E8, hypothesis, equal V"),
        (4, 1, "E8, hypothesis, equal V"),
        (4, 2, "equal L"),
    )
    out = [
        Claim(f"trained, accuracy: {name[i]} less {name[j]}", source, accuracy[i] - accuracy[j], at_least(0), False)
        for i, j, source in pairs
    ]
    more = loss[4] - loss[0]
    return [*out, Claim(f"trained, log10 of training loss: {name[4]} less {name[0]}", pairs[0][2], more, at_most(0), False)]


def plot(data):
    """V against the layer and against γ, growth with depth, and what trained networks achieve."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(TWO_COLUMNS, 5.0))
    layer, depth = data.layer.values, data.sizes["layer"]
    without, tau = {"linestyle": ":", "linewidth": 1.0}, {"linestyle": "-.", "linewidth": 0.7}
    for i, g in enumerate(GAMMA):
        points = [_richardson(data, "relu", g, l) for l in range(depth)]
        mean, error = (np.array([getattr(p, k) for p in points]) for k in ("mean", "standard_error"))
        axes[0, 0].errorbar(layer[1:], mean[1:], error[1:], color=f"C{i}", fmt="o", ms=3, label=rf"$\gamma={g:g}$")
        axes[0, 0].plot(layer, data.recursion.values[0, i], **THEORY | {"color": f"C{i}"})
        if g:
            axes[0, 0].plot(layer, data.truncated.values[0, i], color=f"C{i}", **without)
    axes[0, 0].plot([], [], label="all orders", **THEORY)
    axes[0, 0].plot([], [], color="black", label=r"without $\tau$", **without)
    axes[0, 0].set(xlabel="layer $l$", ylabel="$V/K^2$, ReLU, extrapolated in $1/n$")
    axes[0, 0].legend(fontsize=6.5)

    fine = data.fine.values
    for i, (name, label) in enumerate(zip(CRITICAL, ("ReLU", "linear", "tanh"), strict=True)):
        points = [_richardson(data, name, g) for g in GAMMA]
        mean, error = (np.array([getattr(p, k) for p in points]) for k in ("mean", "standard_error"))
        axes[0, 1].errorbar(GAMMA, mean / (depth - 1), error / (depth - 1), color=f"C{i}", fmt="o", ms=3, label=label)
        axes[0, 1].plot(fine, data.curve.values[i] / (depth - 1), **THEORY | {"color": f"C{i}"})
    axes[0, 1].plot(fine, data.remembered.values / (depth - 1), color="C0", **without)
    axes[0, 1].plot(fine, _nu(fine), color="0.5", label=r"$\nu(\gamma)$ of ReLU, $l\to\infty$", **tau)
    axes[0, 1].set(xlabel=r"weight of the skip $\gamma$", ylabel=rf"$V/K^2$ a layer, $l={depth}$", ylim=(0, None))
    axes[0, 1].legend(fontsize=6.5, loc=(0.03, 0.33))

    reach = data.reach.values
    names = ("plain", rf"$1-\gamma^2={float(data.c):g}/L$")
    for kind, name in enumerate(names):
        start = estimate(data, "spread")[kind, 0]
        ratios = [estimate(data, "spread")[kind, j] / start for j in range(1, len(reach))]
        mean, error = ([1.0, *(float(getattr(r, k)) for r in ratios)] for k in ("mean", "standard_error"))
        axes[1, 0].errorbar(reach, mean, [0.0, *error[1:]], color=f"C{kind}", fmt="o", ms=3, label=name)
        axes[1, 0].plot(reach, data.growth.values[kind] / data.growth.values[kind, 0], **THEORY | {"color": f"C{kind}"})
    axes[1, 0].set(xscale="log", yscale="log", xlabel="layers $L$", ylabel=rf"$V(L)/V({reach[0]})$, ReLU, $n={int(data.width)}$")
    axes[1, 0].legend(fontsize=6.5)

    accuracy, _, best = _best(data)
    for i, (L, g, worth) in enumerate(zip(data.layers.values, data.weight.values, data.effective.values, strict=True)):
        color, error = "C0" if g == 0 else "C1", 1 - float(accuracy[i].mean)
        axes[1, 1].errorbar(worth, error, accuracy[i].standard_error, color=color, fmt="o" if g == 0 else "s", ms=4)
        axes[1, 1].plot(np.full(data.sizes["start"], worth), 1 - data.accuracy.values[i, best[i]], "_", color=color, ms=4, alpha=0.5)
        axes[1, 1].annotate(f"$L={L}$", (worth, error), (6, 4 if g == 0 else -9), textcoords="offset points", fontsize=6.5, color=color)
    for color, marker, label in (("C0", "o", "plain"), ("C1", "s", rf"$\gamma={float(data.skip):g}$")):
        axes[1, 1].plot([], [], marker, color=color, label=label)
    axes[1, 1].set(
        xscale="log", yscale="log", xlabel="plain layers of equal $V/K^2$", ylabel=f"held-out error, trained, $n={int(data.trained_width)}$"
    )
    ticks = data.layers.values[data.weight.values == 0]
    axes[1, 1].set_xticks(ticks, labels=ticks)
    for line in (axes[1, 1].xaxis, axes[1, 1].yaxis):
        line.set_minor_formatter("")
    low, high = axes[1, 1].get_ylim()
    shown = [v for v in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if low <= v <= high]
    axes[1, 1].set_yticks(shown, labels=[f"{v:g}" for v in shown])
    axes[1, 1].legend(fontsize=6.5, loc="upper left")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
