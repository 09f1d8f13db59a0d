"""Summaries: the printed and the worked numbers of the theory page, mpmath at 3229 bits, and what the scores charge for."""

import math

import jax
import mpmath
import numpy as np
import pytest

from dltheory.record import stack
from dltheory.reusability.histogram import Histogram
from dltheory.reusability.summary import Reuse, summary

FIGURES = {  # counts: E[log2 C], H, S_G, P_S, P_E; section 5
    "2a": ({1: 8}, 0, 3, 24, 2.1255308821, 0.5405683814),
    "2b": ({1: 6, 2: 2}, 0.4, 2.9219280949, 24.5754247591, 2.1597128284, 1.0259952085),
    "3a": ({1: 4, 2: 4, 0: 4}, 0.666667, 2.9182958341, 24.6797000058, 2.1658213342, 1.2775339755),
}
TABLE = {  # counts: N_I, N_O, N_W or None, N_G, Z, E[log2 C], H, S_G, P_S, P_E; section 4
    "mlp": ({1: 6, 2: 10, 4: 16}, 3, 2, None, 32, 90, 1.64444, 4.84741, 165.7393, 3.7483, 2.7785),
    "conv_s2": ({1: 57, 12: 8, 18: 8, 27: 4}, 25, 3, None, 77, 405, 3.60038, 5.06140, 585.8983, 7.1241, 6.3981),
    "conv_pool": ({1: 4, 2: 16, 64: 20}, 36, 2, None, 40, 1316, 5.86018, 4.50176, 278.4778, 7.0059, 6.9847),
    "resblock": (
        {1: 6, 18: 16, 24: 16, 32: 12, 256: 16, 320: 16, 400: 12},
        *(32, 2, None, 94, 15078, 8.07457, 5.80559, 739.7795, 7.5310, 7.7364),
    ),
    "denseblock": (
        {1: 14, 8: 40, 12: 40, 18: 10, 108: 24, 152: 24, 214: 6, 1360: 8, 1924: 8, 2722: 2},
        *(9, 2, None, 176, 40234, 9.95721, 5.33892, 1811.1292, 6.4457, 6.5363),
    ),
    "depthwise": ({1: 24, 6: 8, 8: 9, 12: 8, 24: 2}, 50, 2, None, 51, 288, 3.13998, 5.02995, 331.1369, 7.3286, 6.6794),
    "rnn": ({1: 2, 7: 4, 15: 6}, 8, 1, 38, 12, 120, 3.58522, 3.32167, 48.2119, 3.0367, 3.2274),
    "shared_mlp": ({1: 6, 26: 9, 54: 6}, 2, 2, 39, 21, 564, 5.25618, 3.88337, 115.0973, 2.4204, 2.6113),
    "attention": ({3: 4, 18: 4, 36: 8}, 6, 6, None, 16, 372, 4.86073, 3.67843, 72.2476, 3.9525, 4.3287),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_the_research_page(name):
    counts, spread, entropy, surprisal, P_S, P_E = FIGURES[name]
    seen = summary(counts, inputs=2, outputs=1)
    assert seen.expected_spread == pytest.approx(spread, abs=5e-7)
    fields = (seen.entropy, seen.total_surprisal, seen.surprisal_score, seen.spread_score)
    assert fields == pytest.approx((entropy, surprisal, P_S, P_E), abs=6e-11)
    nats = summary(counts, 2, 1, unit="nats")
    table = {"2a": (0, 2.079442, 2.079442), "2b": (0.277259, 2.025326, 2.302585), "3a": (0.462098, 2.022809, 2.484907)}
    assert (nats.expected_spread, nats.entropy, nats.log_partition) == pytest.approx(table[name], abs=5e-7)


@pytest.mark.parametrize("name", TABLE)
def test_verification_table(name):
    counts, inputs, outputs, before, N_G, Z, spread, entropy, surprisal, P_S, P_E = TABLE[name]
    seen = summary(counts, inputs, outputs, before)
    assert (seen.parameters, Histogram.of(counts).partition) == (N_G, Z)
    assert (seen.expected_spread, seen.entropy) == pytest.approx((spread, entropy), abs=6e-6)
    assert (seen.total_surprisal, seen.surprisal_score, seen.spread_score) == pytest.approx((surprisal, P_S, P_E), abs=6e-5)
    assert seen.weight_nodes == (before or N_G)


def oracle(counts, inputs, outputs, before):
    """Section 1.1 in sixty digits."""
    with mpmath.workdps(60):
        log2 = lambda x: mpmath.log(x) / mpmath.log(2)
        N = sum(counts.values())
        Z = sum(c * m for c, m in counts.items())
        total = sum(m * log2(c) for c, m in counts.items())
        spread = sum(mpmath.mpf(m * c) / Z * log2(c) for c, m in counts.items())
        H = -sum(mpmath.mpf(m * c) / Z * log2(mpmath.mpf(c) / Z) for c, m in counts.items())
        S = -sum(m * log2(mpmath.mpf(c) / Z) for c, m in counts.items())
        G = mpmath.mpf(inputs) / (inputs + outputs + before)
        scores = log2(S * G), log2(N * (spread + 1) * G)
        out = (log2(Z), spread, H, S, total, spread / N, spread / log2(Z), log2(before) - H, log2(before) - log2(N), log2(max(counts)))
        return [float(x) for x in (*out, *scores)]


@pytest.mark.parametrize("seed", range(3))
def test_any_size_is_exact_to_rounding(seed):
    random = np.random.default_rng(seed)
    counts = {1: 1_281_000} | {
        int(random.integers(1, 2**60)) << int(random.integers(0, 3169)): int(random.integers(1, 500_000)) for _ in range(500)
    }
    N = sum(counts.values())
    assert N > 5e7 and max(counts).bit_length() > 3000
    sizes = (3 * 480**2, 1000, 2 * N)
    seen = jax.tree.leaves(summary(counts, *sizes))[4:]
    np.testing.assert_allclose(seen, oracle(counts, *sizes), rtol=1e-12)
    logs = Histogram(Histogram.of(counts).log2, Histogram.of(counts).multiplicity)
    np.testing.assert_allclose(jax.tree.leaves(summary(logs, *sizes))[4:], seen, rtol=1e-12)


def test_surprisal_of_probabilities_below_the_smallest_float_is_not_clipped():
    counts = {1: 100, 2**2000: 1}
    h = Histogram.of(counts)
    clipped = -h.multiplicity @ np.log2(np.maximum(h.probabilities / h.multiplicity, 1e-323))
    seen = summary(counts, 1, 1).total_surprisal
    assert seen == pytest.approx(200_000) and clipped < 110_000


@pytest.mark.parametrize("seed", range(5))
def test_identity_units_and_bounds(seed):
    random = np.random.default_rng(seed)
    counts = {int(c): int(m) for c, m in random.integers(1, 1000, size=(20, 2))}
    bits, nats = (summary(counts, 7, 3, 10**6, unit) for unit in ("bits", "nats"))
    assert bits.entropy + bits.expected_spread == pytest.approx(bits.log_partition, rel=1e-14)
    same = ("parameters", "weight_nodes", "inputs", "outputs", "spread_ratio", "surprisal_score", "spread_score")
    for name in Reuse.__dataclass_fields__:
        factor = 1 if name in same else math.log(2)
        assert getattr(nats, name) == pytest.approx(factor * getattr(bits, name), rel=1e-14), name
    assert 0 <= bits.entropy <= math.log2(bits.parameters)
    divergence = bits.entropy_deficit - bits.sharing_deficit
    p, m = Histogram.of(counts).probabilities, Histogram.of(counts).multiplicity
    assert divergence == pytest.approx(np.sum(p * np.log2(p / m * bits.parameters)), abs=1e-12) and divergence >= 0


def test_a_uniform_graph_has_no_spread_and_one_parameter_no_surprise():
    uniform = summary({1: 64}, 1, 1)
    assert (uniform.entropy, uniform.expected_spread, uniform.entropy_deficit, uniform.spread_ratio) == (6, 0, 0, 0)
    one = summary({5: 1}, 1, 1)
    assert (one.entropy, one.total_surprisal, one.surprisal_score) == (0, 0, -math.inf)


def test_tying_is_charged_by_the_compression_ratio():
    free, tied = summary({4: 30, 9: 30}, 5, 5), summary({8: 15, 18: 15}, 5, 5, weight_nodes=60)
    assert tied.spread_score - free.spread_score == pytest.approx(math.log2(0.5 * (tied.expected_spread + 1) / (free.expected_spread + 1)))
    assert tied.sharing_deficit == 1 and free.sharing_deficit == 0


def test_summaries_stack_as_records():
    both = stack([summary({1: 2, 3: 4}, 1, 1), summary({1: 2}, 1, 1)])
    assert both.parameters.tolist() == [6, 2]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"inputs": 0, "outputs": 1}, "inputs=0: must be ≥ 1"),
        ({"inputs": 1, "outputs": 0}, "outputs=0: must be ≥ 1"),
        ({"inputs": 1, "outputs": 1, "weight_nodes": 2}, "weight_nodes=2: must be ≥ 3"),
        ({"inputs": 1, "outputs": 1, "unit": "hartley"}, "unit=hartley: must be one of bits, nats"),
    ],
)
def test_nonsense_is_one_line(settings, text):
    with pytest.raises(ValueError, match=text):
        summary({2: 3}, **settings)
