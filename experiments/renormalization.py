"""Coarse graining is supervised: it keeps what the question needs, lets irrelevant couplings flow away and forgets single spins.

The Ising chain is decimated exactly and its flow followed to the end; 2 × 2 majorities of the square lattice are mapped to an effective
coupling; a Gaussian field is averaged over blocks; the same configurations are asked two questions, before and after.

Source: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?", arXiv:1608.08225, section III G and eq. 24.

    python -m experiments.renormalization
    python -m experiments.renormalization size=paper

Expect: decimation exact to 1e-10, the free energy summed along the flow is ln 2cosh K; K* = .4318 with slope 1.89 (exact .4407 and 2);
y_i' = b^(2-2i) y_i plus what the block's window adds; majorities keep 99 % of the information on the phase, and of a spin under .5 bit.
Time: tiny 15 s, default 35 s, paper 15 min.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from dltheory.lab import THEORY, TWO_COLUMNS, Claim, about, at_least, at_most, between, estimate, main
from dltheory.numerics import Estimate, mutual_information
from dltheory.record import array, record, stack, static
from dltheory.statistical_physics import CRITICAL_COUPLING, block_spin, gaussian_field, ising, swendsen_wang

RINGS = ((8, 2), (9, 3), (10, 2), (12, 2), (12, 3), (12, 4), (14, 2))
"""Spins n and block b of the rings summed by brute force."""
STARTS = tuple((K, h) for K in (0.5, 1.0, 1.5) for h in (0.0, 0.02, 0.05, 0.1))
STEPS, FOLLOWED = 55, 6
"""Decimations in the sum of the free energy; those whose correlation length is followed."""
TABLE = {0.2: 0.1007, 0.3: 0.2107, 0.44: 0.4474, 0.5: 0.5637, 0.6: 0.7572}
"""K_eff(K) of the 4 × 4 torus, to four digits."""
FIELDS = ((1e-3, 1.0, 0.0), (1e-3, 1.0, 2.0))
FIELD_SIDE, FIT_BELOW = 512, 0.35
COUPLINGS = (0.0, 0.1, 0.2, 0.35, 0.42, 0.46, 0.55)
PHASES = ((0.35, 0.55), (0.42, 0.46))
SIDE, LEVELS = 16, 3
"""Of the lattice asked two questions, and how often it is coarse grained."""


@record
class Config:
    """Exact sums, and clusters flipped on small tori."""

    seed: int = static(0, "names every random stream", low=0, high=2**32 - 1)
    draws: int = static(40, "random rings summed by brute force", low=1, high=10_000)
    samples: int = static(1000, "configurations of each coupling; four times as many of the small tori", low=50, high=1_000_000)
    sweeps: int = static(30, "cluster sweeps from random spins to a configuration", low=5, high=10_000)

    sizes: ClassVar = {"tiny": {"draws": 8, "samples": 100, "sweeps": 15}, "paper": {"draws": 500, "samples": 20_000, "sweeps": 50}}


@record
class Result:
    """`parameter` counts K, h; `level` and `coarse` how often 2 × 2 blocks were formed, from 0 and 1; `order` the i of y_i."""

    traced: Float[np.ndarray, "draw parameter"] = array("K', h' of a ring's marginal by brute force", "temperature")
    decimated: Float[np.ndarray, "draw parameter"] = array("K', h' by the formula", "temperature", "E6.1")
    beyond: Float[np.ndarray, "draw"] = array("largest other term of that marginal's H", "temperature")
    twice: Float[np.ndarray, "draw parameter"] = array("K', h' for block b₁, then b₂", "temperature")
    once: Float[np.ndarray, "draw parameter"] = array("K', h' for block b₁ b₂", "temperature")
    flow: Float[np.ndarray, "start step parameter"] = array("K, h along the flow of b = 2", "temperature")
    length: Float[np.ndarray, "start followed"] = array("correlation length along the flow, times 2^step", "initial spacing")
    free_energy: Float[np.ndarray, "start step"] = array("Σ c / 2^(step + 1) up to this step", "temperature/spin")
    transfer: Float[np.ndarray, "start"] = array("ln of the largest eigenvalue of T at the start", "temperature/spin")
    coupling: Float[np.ndarray, "coupling"] = array("K", "temperature")
    effective: Float[np.ndarray, "coupling"] = array("K_eff, 4 × 4 to 2 × 2 torus", "temperature", "E6.2")
    kept: Float[np.ndarray, "coupling"] = array("I(spin; blocks), 4 × 4 torus", "bit")
    crossing: Float[np.ndarray, ""] = array("K* = K_eff(K*)", "temperature")
    slope: Float[np.ndarray, ""] = array("dK_eff/dK at K*")
    near: Float[np.ndarray, "near"] = array("K of the sampled tori", "temperature")
    sampled: Float[Estimate, "near"] = array("K_eff, 8 × 8 to 4 × 4 torus", "temperature")
    block: Int[np.ndarray, "block"] = array("side b of the block", "spacing")
    bare: Float[np.ndarray, "field order"] = array("y_i")
    fitted: Float[np.ndarray, "field block order"] = array("y_i' fitted to the block averages' spectrum", "", "E6.3")
    window: Float[np.ndarray, "field block order"] = array("y_i' in theory", "", "eq. 24 and the window of the block")
    score: Float[np.ndarray, "pair configuration level"] = array("log-likelihood of the phase, less that of a guess", "bit")
    agreement: Float[Estimate, "task coarse"] = array("<s s'> of a spin and its block")
    bound: Float[Estimate, "task"] = array("I(spin; its block and the spins around it) ≥ I(spin; all blocks)", "bit")
    partition: Float[np.ndarray, ""] = array("ln of Z of the two lattices over Z of one")
    divergence: Float[np.ndarray, ""] = array("KL of the spins' marginal from their Gibbs law", "bit")


def run(config: Config) -> Result:
    """All on the host, from jitted pieces."""
    key = jax.random.key(config.seed)
    rng = np.random.default_rng(config.seed)
    grid = np.arange(10, 81) / 100
    crossing, slope = block_spin.fixed_point()
    near = np.array([0.38, 0.41, 0.44, 0.47, 0.50])
    block = np.array([2, 4, 8])
    bare = np.array(FIELDS)
    fits = [[gaussian_field.fit_couplings(gaussian_field.block_energy(y, FIELD_SIDE, int(b)), FIT_BELOW) for b in block] for y in bare]
    partition, divergence = _two_lattices(rng)
    return Result(
        **_rings(rng, config.draws),
        **_flow(),
        coupling=grid,
        effective=np.asarray(jax.vmap(block_spin.effective_coupling)(grid)),
        kept=np.asarray(jax.vmap(lambda K: mutual_information(block_spin.spin_and_blocks(K)))(grid)) / np.log(2),
        crossing=np.asarray(crossing),
        slope=np.asarray(slope),
        near=near,
        sampled=_sampled(jax.random.fold_in(key, 2), near, config),
        block=block,
        bare=bare,
        fitted=np.array(fits),
        window=np.array([[gaussian_field.with_window(y, b) for b in block] for y in bare]),
        **_two_questions(jax.random.fold_in(key, 3), config),
        partition=partition,
        divergence=divergence,
    )


def _rings(rng, draws) -> dict[str, Any]:
    """Marginals of random rings against the formula; two decimations against one."""
    rows = []
    for _ in range(draws):
        n, b = RINGS[rng.integers(len(RINGS))]
        K, h, (first, second) = rng.uniform(0.1, 1.5), rng.uniform(0, 1), rng.integers(2, 6, 2).tolist()
        energy = -np.log(ising.enumerate_states(ising.ring(n), K, h).marginal(range(0, n, b)))
        s = ising.states(n // b).astype(float)
        fields, bonds = s.sum(1), (s * np.roll(s, 1, 1)).sum(1)
        traced = [-(energy @ x) / (x @ x) for x in (bonds, fields)]
        rest = energy - energy.mean() + traced[0] * bonds + traced[1] * fields
        twice = ising.decimate(*ising.decimate(K, h, first), second)
        rows.append((traced, ising.decimate(K, h, b), np.abs(rest).max(), twice, ising.decimate(K, h, first * second)))
    names = ("traced", "decimated", "beyond", "twice", "once")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _flow() -> dict[str, Any]:
    """b = 2 from every start to the end."""
    K, h = np.array(STARTS).T

    def step(state, k):
        seen = jnp.stack(state, -1), ising.chain(*state).correlation_length * 2.0**k, ising.traced_free_energy(*state) / 2.0 ** (k + 1)
        return ising.decimate(*state), seen

    _, (flow, length, terms) = jax.lax.scan(step, (jnp.asarray(K), jnp.asarray(h)), jnp.arange(STEPS, dtype=float))
    transfer = np.linalg.eigvalsh(np.exp([[K + h, -K], [-K, K - h]]).T)[:, -1]
    free_energy = jnp.cumsum(terms, 0).T
    return {"flow": flow.swapaxes(0, 1), "length": length[:FOLLOWED].T, "free_energy": free_energy, "transfer": np.log(transfer)}


def _sampled(key, couplings, config) -> Estimate:
    """K_eff of 8 × 8 tori: their blocks' correlation matched to that of the 4 × 4 torus."""
    out = []
    for i, K in enumerate(couplings):
        spins, coin = jax.random.split(jax.random.fold_in(key, i))
        s = np.asarray(block_spin.majority(coin, swendsen_wang(spins, 8, K, config.sweeps, 4 * config.samples)))
        g = Estimate.of((s * (np.roll(s, 1, 1) + np.roll(s, 1, 2))).mean((1, 2)) / 2)
        matched, spread = jax.value_and_grad(block_spin.matched_coupling)(g.mean, 4)
        out.append(Estimate(matched, g.standard_error * spread, g.count))
    return stack(out)


def _two_questions(key, config) -> dict[str, Any]:
    """Which phase, and which spin? The same configurations answer both."""
    magnetisations, agreement, bound = {}, [], []
    for i, K in enumerate(COUPLINGS):
        start, *coins = jax.random.split(jax.random.fold_in(key, i), LEVELS + 1)
        states = [swendsen_wang(start, SIDE, K, config.sweeps, config.samples)]
        for coin in coins:
            states.append(block_spin.majority(coin, states[-1]))
        bound.append(Estimate.of(block_spin.spin_information_bound(states[0], K) / np.log(2)))
        spins, *coarse = map(np.asarray, states)
        kept = [spins[:, :: 2**level, :: 2**level] * s for level, s in enumerate(coarse, 1)]
        agreement.append(stack([Estimate.of(k.mean((1, 2))) for k in kept]))
        magnetisations[K] = np.stack([np.abs(s.mean((1, 2))) for s in (spins, *coarse)])
    score = np.stack([_phase(np.stack([magnetisations[K] for K in pair], 1)) for pair in PHASES])
    return {"score": score, "agreement": stack(agreement), "bound": stack(bound)}


def _phase(magnetisation) -> np.ndarray:
    """Held-out log-likelihood of the phase, beyond ln 2, by logistic regression on |m| (level, phase, sample): (configuration, level)."""
    from sklearn.linear_model import LogisticRegression

    score = []
    for x in magnetisation / magnetisation.std((1, 2), keepdims=True):
        phase = np.broadcast_to([[0], [1]], x.shape)
        seen, held = ((x[:, i::2].reshape(-1, 1), phase[:, i::2].ravel()) for i in (0, 1))
        log_p = LogisticRegression(C=100).fit(*seen).predict_log_proba(held[0])
        score.append(1 + log_p[np.arange(len(log_p)), held[1]] / np.log(2))
    return np.stack(score, 1)


def _two_lattices(rng) -> tuple[np.ndarray, np.ndarray]:
    """H(y, y') = H(y) + H(y') + K(y) + ln Z̃, Z̃ = Σ e^{-H-K}: the free energy of H alone, but another marginal of y."""
    H = np.asarray(ising.enumerate_states(ising.ring(8), 0.5, 0.1).energy)
    K = rng.normal(size=H.shape)
    tilted = np.log(np.exp(-H - K).sum())
    joint = np.exp(-(H[:, None] + H + K[:, None] + tilted))
    Z = np.exp(-H).sum()
    marginal, gibbs = joint.sum(1) / joint.sum(), np.exp(-H) / Z
    return np.log(joint.sum() / Z), marginal @ np.log2(marginal / gibbs)


def claims(data) -> list[Claim]:
    """Exact laws to rounding, E6.1 to E6.3 of the theory page, and the two questions."""
    worst = lambda x: float(np.abs(np.asarray(x)).max())
    K, h = np.array(STARTS).T
    free = data.free_energy.values[:, -1]
    summed, length = free - np.log(2 * np.cosh(K)), data.length.values
    out = [
        Claim("decimation of rings, largest error of K' and h'", "E6.1", worst(data.traced - data.decimated), at_most(1e-10)),
        Claim("largest term of the marginal's H beyond nearest neighbours", "E6.1", worst(data.beyond), at_most(1e-10)),
        Claim("decimation by b₁ then b₂ less that by b₁ b₂, largest", "semigroup", worst(data.twice - data.once), at_most(1e-12)),
        Claim("correlation length, relative drift of b^k ξ_k", "ξ' = ξ/b", worst(length / length[:, :1] - 1), at_most(1e-10)),
        Claim("free energy summed along the flow less ln 2cosh K, h = 0", "iterated", worst(summed[h == 0]), at_most(1e-12)),
        Claim("the same less the log of T's eigenvalue, all h", "iterated", worst(free - data.transfer.values), at_most(1e-12)),
    ]
    table = worst(data.effective.sel(coupling=list(TABLE), method="nearest").values - list(TABLE.values()))
    slope = float(data.slope)
    fixed, steep = _sampled_crossing(data.near.values, estimate(data, "sampled"))
    out += [
        Claim("4² to 2²: largest distance of K_eff from its table", "E6.2", table, at_most(6e-5)),
        Claim("4² to 2²: K where K_eff = K (exact K_c = .4407)", "E6.2", float(data.crossing), between(0.40, 0.48)),
        Claim("4² to 2²: slope there (exact 2)", "E6.2", slope, between(1.8, 2.1)),
        Claim("4² to 2²: y_t = log2 of the slope (exact 1)", "E6.2", np.log2(slope), about(1, 0.1), False),
        Claim("8² to 4², sampled: K where K_eff = K", "larger tori", fixed, about(CRITICAL_COUPLING, 0.02), False),
        Claim("8² to 4², sampled: slope there", "larger tori", steep, between(1.8, 2.1), False),
    ]
    b, y, seen = data.block.values[None, :], data.bare.values[:, None], data.fitted.values
    y1 = y[..., 1] + y[..., 0] * (b**2 - 1) / 12
    y2 = y[..., 2] / b**2 + y[..., 1] * (1 - 1 / b**2) / 12
    ratio = data.score.mean("configuration").values
    out += [
        Claim("Gaussian field: largest |y₀'/(b² y₀) - 1|", "E6.3", worst(seen[..., 0] / (b**2 * y[..., 0]) - 1), at_most(1e-3)),
        Claim("Gaussian field: largest |y₁'/(y₁ + y₀ (b²-1)/12) - 1|", "E6.3", worst(seen[..., 1] / y1 - 1), at_most(1e-2)),
        Claim("Gaussian field: largest |y₂'/(y₂/b² + y₁ (1-1/b²)/12) - 1|", "E6.3", worst(seen[..., 2] / y2 - 1), at_most(5e-2)),
        Claim("Gaussian field: y₂'/y₁ at b = 8 from y₂ = 0, not 0", "erratum 7", seen[0, -1, 2] / y[0, 0, 1], about(1 / 12, 0.05)),
    ]
    for i, (low, high) in enumerate(PHASES):
        text = f"phase, K = {low} or {high}: information kept by 2 × 2 majorities, of {ratio[i, 0]:.3f} bit"
        out.append(Claim(text, "supervised (a)", _kept(data.score.values[i, :, 1], data.score.values[i, :, 0]), at_least(0.95), i == 0))
    bound = estimate(data, "bound")
    for i, K in enumerate(COUPLINGS[:4]):
        text = f"one spin, K = {K}: at most this much of its bit is left in all majorities"
        out.append(Claim(text, "supervised (b)", bound[i], at_most(0.5), K <= 0.2))
    left, exact = _bits(estimate(data, "agreement")[0, 0]), 1 + (11 * np.log2(11 / 16) + 5 * np.log2(5 / 16)) / 16
    return [
        *out,
        Claim("one spin, K = 0: bits left in its block, sampled", "1 - h2(11/16)", left, about(exact, 0.05)),
        Claim("one spin, K = 0: upper bound less 1 - h2(11/16)", "exact", worst(bound[0].mean - exact), at_most(1e-12)),
        Claim("two lattices: ln of their Z over that of one", "against free-energy matching", worst(data.partition), at_most(1e-12)),
        Claim("two lattices: KL of the marginal from e^-H/Z, bits", "against free-energy matching", float(data.divergence), at_least(0.01)),
    ]


def _sampled_crossing(K, effective) -> tuple[Estimate, Estimate]:
    """Where K_eff crosses K and its slope there, by a parabola through sampled points; errors from redrawn points."""
    drawn = effective.mean + effective.standard_error * np.random.default_rng(0).normal(size=(400, len(K)))
    pairs = []
    for points in (effective.mean, *drawn):
        curve = np.polynomial.Polynomial.fit(K, points - K, 2)
        root = min((r.real for r in curve.roots()), key=lambda r: abs(r - K.mean()))
        pairs.append((root, 1 + curve.deriv()(root)))
    (mean, error), count = (np.array(pairs)[0], np.array(pairs)[1:].std(0, ddof=1)), int(effective.count.min())
    return Estimate(mean[0], error[0], count), Estimate(mean[1], error[1], count)


def _kept(coarse, fine) -> Estimate:
    """Ratio of mean scores, with its paired bootstrap error."""
    drawn = np.random.default_rng(0).integers(len(fine), size=(1000, len(fine)))
    return Estimate(coarse.mean() / fine.mean(), (coarse[drawn].mean(1) / fine[drawn].mean(1)).std(ddof=1), len(fine))


def _bits(agreement) -> Estimate:
    """1 - h2((1 + <s s'>)/2), what one sign tells about another."""
    c = agreement.mean
    p = np.stack([(1 + c) / 2, (1 - c) / 2])
    return Estimate(1 + (p * np.log2(p)).sum(0), np.abs(np.arctanh(c)) / np.log(2) * agreement.standard_error, agreement.count)


def plot(data):
    """The chain's flow and free energy; K_eff; the field's couplings; what is kept for which question."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(TWO_COLUMNS, 4.6))
    _plot_chain(*axes[0, :2], data)
    _plot_majority(axes[0, 2], data)
    _plot_field(axes[1, 0], data)
    _plot_kept(*axes[1, 1:], data)
    for axis in axes.flat:
        axis.legend(fontsize=6)
    return figure


def _plot_chain(flow, free, data) -> None:
    K, grey = np.linspace(0, 1.6, 200), THEORY | {"linewidth": 0.6, "color": "0.5"}
    for path in data.flow.values[:, :5]:
        flow.plot(K, np.arcsinh(np.exp(2 * (path[0, 0] - K)) * np.sinh(path[0, 1])), **grey)
        flow.quiver(*path[:-1].T, *np.diff(path, axis=0).T, angles="xy", scale_units="xy", scale=1, width=0.008, color="C0", zorder=3)
    flow.plot([], [], label=r"constant $\langle s\rangle$", **grey)
    flow.set(xlabel="coupling $K$", ylabel="field $h$", title="chain, decimation $b=2$", xlim=(-0.03, 1.6), ylim=(-0.05, 1.6))
    step = np.arange(1, data.sizes["step"] + 1)
    for (K0, h0), sums in zip(STARTS, data.free_energy.values, strict=True):
        if h0 == 0:
            free.plot(step, np.abs(np.log(2 * np.cosh(K0)) - sums) + 1e-17, ".-", ms=3, label=f"$K={K0}$")
    free.plot(step, np.log(2) * 2.0**-step, label=r"$2^{-k}\ln 2$", **THEORY)
    free.set(yscale="log", xlabel="decimations $k$", ylabel=r"$\ln 2\cosh K-\sum_j c_j/2^{j+1}$", title="free energy of the flow")


def _plot_majority(axis, data) -> None:
    K, near, seen = data.coupling.values, data.near.values, estimate(data, "sampled")
    axis.plot(K, data.effective.values - K, label=r"$4^2\to2^2$, summed")
    axis.errorbar(near, seen.mean - near, seen.standard_error, marker=".", label=r"$8^2\to4^2$, sampled")
    axis.plot(K, K - CRITICAL_COUPLING, label="exact $K_c$ and $y_t=1$", **THEORY)
    axis.axhline(0, color="0.6", lw=0.8)
    axis.set(xlabel="$K$", ylabel=r"$K_{\mathrm{eff}}-K$", title=r"majority of $2\times2$", xlim=(0.3, 0.6), ylim=(-0.14, 0.2))


def _plot_field(axis, data) -> None:
    b, bare = data.block.values, data.bare.values[1]
    for i in range(3):
        axis.plot(b, data.fitted.values[1, :, i] / bare[i], f"C{i}o-", ms=4, label=f"$y_{i}'/y_{i}$")
        axis.plot(b, data.window.values[1, :, i] / bare[i], label="with the window" if i == 2 else None, **THEORY)
        axis.plot(b, b ** (2.0 - 2 * i), color=f"C{i}", ls=":", lw=1, label="$b^{2-2i}$" if i == 2 else None)
    axis.set(xscale="log", yscale="log", xlabel="block $b$", ylabel="ratio", title="Gaussian field", ylim=(0.01, 3e4))
    axis.set_xticks(b, b)
    axis.minorticks_off()


def _plot_kept(kept, spin, data) -> None:
    side, agreement = 2 ** np.arange(LEVELS + 1), estimate(data, "agreement")
    for (low, high), score in zip(PHASES, data.score.values, strict=True):
        seen = stack([_kept(s, score[:, 0]) for s in score.T])
        kept.errorbar(side, seen.mean, seen.standard_error, marker="o", ms=3, label=f"phase, ${low}$ or ${high}$")
    for i in (3, 0):
        seen = _bits(agreement[i])
        kept.errorbar(side, [1, *seen.mean], [0, *seen.standard_error], marker="s", ms=3, label=f"one spin, $K={COUPLINGS[i]:g}$")
    c = (3 / 8) ** np.arange(1, LEVELS + 1)
    kept.plot(side, [1, *_bits(Estimate(c, 0 * c, 0)).mean], label="exact, $K=0$", **THEORY)
    kept.set(xscale="log", yscale="log", xlabel="side of the block", ylabel="information kept", title="two questions", ylim=(3e-4, 2))
    kept.set_xticks(side, side)
    kept.minorticks_off()
    for seen, label in ((estimate(data, "bound"), f"upper bound, ${SIDE}^2$"), (_bits(agreement[:, 0]), f"own block, ${SIDE}^2$")):
        spin.errorbar(COUPLINGS, seen.mean, seen.standard_error, marker=".", label=label)
    spin.plot(data.coupling.values, data.kept.values, label="all blocks, exact, $4^2$", **THEORY)
    spin.axhline(0.5, color="0.6", lw=0.8)
    spin.set(xlabel="$K$", ylabel="bit of one spin kept", title="majorities forget spins", xlim=(-0.02, 0.6), ylim=(0, 1))


if __name__ == "__main__":
    main(__spec__.name)
