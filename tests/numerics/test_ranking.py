"""Rank correlations against SciPy, enumeration and closed forms; resampling against the exact distribution."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from dltheory.numerics import ranking

rng = np.random.default_rng(0)
ORDERED = np.arange(12.0)


@pytest.fixture(autouse=True)
def same_draws_in_any_order():
    rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


def drawn(ties):
    x, y = rng.normal(size=(2, 25)) + rng.normal(size=25)
    return (np.round(x), np.round(y)) if ties else (x, y)


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_match_scipy(ties):
    for _ in range(20):
        x, y = drawn(ties)
        assert ranking.kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-14)
        assert ranking.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-14)


def test_only_order_matters():
    x, y = drawn(ties=True)
    for f in (ranking.kendall, ranking.spearman, lambda x, y: ranking.partial(x, y, ORDERED.repeat(3)[:25])):
        assert f(np.exp(x), y**3) == pytest.approx(f(x, y), abs=1e-14)
        assert f(-x, y) == pytest.approx(-f(x, y), abs=1e-14)
        assert f(y, x) == pytest.approx(f(x, y), abs=1e-14)
    assert ranking.kendall(x, x) == ranking.spearman(x, x) == 1


def test_tau_by_counting_pairs():
    x, y = [1, 1, 2, 3, 3], [2, 1, 1, 4, 3]
    # concordant (0,3) (0,4) (1,3) (1,4) (2,3) (2,4), discordant (0,2); untied in x 8 of 10 pairs, in y 9
    assert ranking.kendall(x, y) == pytest.approx((6 - 1) / math.sqrt(8 * 9))


def test_no_order_is_nan():
    for f in (ranking.kendall, ranking.spearman, lambda x, y: ranking.partial(x, y, [1.0, 2.0, 4.0])):
        assert math.isnan(f([1, 1, 1], [1, 2, 3])) and math.isnan(f([1, 2, 3], [1, 1, 1]))
    assert math.isnan(ranking.kendall([1], [2])) and math.isnan(ranking.win_rate([], [1]))


@pytest.mark.parametrize("x, y", [([1, 2], [1, 2, 3]), ([1, math.nan], [1, 2]), ([1, 2], [math.inf, 2]), ([[1, 2]], [[1, 2]])])
def test_bad_arrays_are_refused_in_one_line(x, y):
    for f in (ranking.kendall, ranking.spearman):
        with pytest.raises(ValueError, match=r"^arrays=[^\n]*must be[^\n]*$"):
            f(x, y)


def test_partial_correlation_matches_recursion_and_inverse():
    x, y = drawn(ties=True)
    z = rng.normal(size=(25, 2)) + x[:, None]
    xy, xz, yz = (stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z[:, 0]), (y, z[:, 0])))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert ranking.partial(x, y, z[:, 0]) == pytest.approx(expected, abs=1e-13)
    assert ranking.partial(x, y, z[:, :1]) == pytest.approx(expected, abs=1e-13)
    precision = np.linalg.inv(np.asarray(stats.spearmanr(np.column_stack([x, y, z])).statistic))
    assert ranking.partial(x, y, z) == pytest.approx(-precision[0, 1] / math.sqrt(precision[0, 0] * precision[1, 1]), abs=1e-12)


def test_nothing_is_left_once_the_cause_is_given():
    depth = rng.normal(size=400)
    x, y = depth + 0.3 * rng.normal(size=(2, 400))
    assert ranking.spearman(x, y) > 0.85
    assert abs(ranking.partial(x, y, depth)) < 5 / math.sqrt(400)
    assert math.isnan(ranking.partial(np.exp(depth), y, depth))
    assert math.isnan(ranking.partial(x, y, np.column_stack([depth, x**3])))
    assert ranking.partial(x, y, np.ones(400)) == pytest.approx(ranking.spearman(x, y), abs=1e-13)


def test_win_rate_is_mann_and_whitney():
    a, b = np.round(rng.normal(size=17)), np.round(rng.normal(size=9) + 0.5)
    assert ranking.win_rate(a, b) == pytest.approx(stats.mannwhitneyu(a, b).statistic / (17 * 9))
    assert ranking.win_rate(a, b) + ranking.win_rate(b, a) == pytest.approx(1)
    assert ranking.win_rate([2, 3], [1, 3]) == (1 + 0 + 1 + 0.5) / 4


def test_bootstrap_matches_all_resamples():
    x, y = [0, 1, 2, 3, 4], [1, 0, 3, 2, 4]
    every = [ranking.kendall(*np.array([x, y])[:, list(c)]) for c in itertools.product(range(5), repeat=5)]
    exact = np.array(every)
    share, exact = np.mean(np.isnan(exact)), exact[~np.isnan(exact)]
    assert share == 5 / 5**5  # one thing five times: no order
    n = 5000
    found = ranking.bootstrap(ranking.kendall, x, y, resamples=n)
    assert found.value == ranking.kendall(x, y)
    assert found.standard_error == pytest.approx(exact.std(), rel=5 / math.sqrt(n) * 1.5)
    assert found.degenerate == pytest.approx(share, abs=5 * math.sqrt(share / n))
    for edge, level in ((found.low, 0.025), (found.high, 0.975)):
        slack = 5 * math.sqrt(level * (1 - level) / n)
        assert np.mean(exact < edge - 1e-9) <= level + slack and np.mean(exact <= edge + 1e-9) >= level - slack


def test_bootstrap_of_a_mean_is_gaussian():
    x = rng.normal(size=60)
    found = ranking.bootstrap(np.mean, x)
    error = x.std() / math.sqrt(60)
    assert found.standard_error == pytest.approx(error, rel=5 / math.sqrt(2 * 2000))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert (found.high + found.low) / 2 == pytest.approx(x.mean(), abs=0.2 * error)


def test_bootstrap_repeats_and_covers():
    assert ranking.bootstrap(ranking.kendall, ORDERED, ORDERED**2).low == 1
    x, y = drawn(ties=False)
    one, again, other = (ranking.bootstrap(ranking.spearman, x, y, resamples=200, seed=s) for s in (1, 1, 2))
    assert one == again and one.low != other.low
    inside = 0
    for _ in range(60):  # true correlation 0
        found = ranking.bootstrap(ranking.kendall, rng.normal(size=30), rng.normal(size=30), resamples=60)
        inside += found.low <= 0 <= found.high
    assert inside >= 60 * 0.93 - 5 * math.sqrt(60 * 0.07 * 0.93)


def test_groups_keep_their_sizes():
    groups = np.array(["small"] * 3 + ["large"] * 9)
    seen = []
    ranking.bootstrap(lambda x, g: seen.append((sorted(g), x)) or 0.0, ORDERED, groups, groups=groups, resamples=20)
    assert all(labels == sorted(groups) for labels, _ in seen)
    assert all(set(x[:9]) <= set(ORDERED[3:]) and set(x[9:]) <= set(ORDERED[:3]) for _, x in seen[:-1])
    # rates within two groups, each all ties between groups: a resample of everything would leave one group empty now and then
    found = ranking.bootstrap(lambda x, g: ranking.win_rate(x[g == "large"], x[g == "small"]), ORDERED, groups, groups=groups)
    assert (found.value, found.low, found.high, found.degenerate) == (1, 1, 1, 0)


def test_all_ties_are_said():
    found = ranking.bootstrap(ranking.kendall, np.ones(4), ORDERED[:4], resamples=50)
    assert found.degenerate == 1 and all(map(math.isnan, (found.value, found.low, found.high, found.standard_error)))
    few = ranking.bootstrap(ranking.kendall, [0, 1], [0, 1], resamples=2000)
    assert few.value == few.low == few.high == 1 and few.degenerate == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(2000))
    with pytest.raises(ValueError, match=r"^arrays=\[2, 3\], groups=2: must be of one length$"):
        ranking.bootstrap(ranking.kendall, [1, 2], [1, 2, 3])


def test_permutation_p_matches_the_exact_one():
    x, y = drawn(ties=False)
    for k in (6, 7):
        exact = stats.kendalltau(x[:k], y[:k], method="exact").pvalue
        found = ranking.permutation_p(ranking.kendall, x[:k], y[:k], permutations=2000)
        assert found == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 2000) + 1e-3)
    assert ranking.permutation_p(ranking.kendall, np.ones(5), ORDERED[:5]) == 1
    assert ranking.permutation_p(ranking.kendall, ORDERED, ORDERED, permutations=99) == 0.01


def test_permutations_within_groups_leave_the_groups_order():
    budget = ORDERED // 4
    noise = np.array([1, 2, 0, 3, 3, 0, 2, 1, 2, 1, 3, 0]) / 10
    assert ranking.permutation_p(ranking.kendall, budget + noise, budget + noise[::-1], permutations=200) < 0.01
    assert ranking.permutation_p(ranking.kendall, budget + noise, budget + noise[::-1], permutations=200, groups=budget) > 0.05


def test_holm_is_the_closed_test_of_bonferroni():
    for _ in range(20):
        p = rng.uniform(size=5) ** 3
        sets = [s for k in range(1, 6) for s in itertools.combinations(range(5), k)]
        expected = [max(min(1, len(s) * p[list(s)].min()) for s in sets if i in s) for i in range(5)]
        np.testing.assert_allclose(ranking.holm(p), expected, rtol=1e-14)
    np.testing.assert_allclose(ranking.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    with pytest.raises(ValueError, match=r"^p_values=.*must be in \[0, 1\]$"):
        ranking.holm([0.1, 1.2])


def test_seed_noise_ceiling():
    truth = rng.normal(size=40)
    noise = rng.normal(size=(40, 4))
    assert ranking.split_half(truth[:, None] + 0 * noise) == pytest.approx(1)
    every = [ranking.kendall(noise[:, [a, b]].sum(1), np.delete(noise, [a, b], 1).sum(1)) for a, b in itertools.combinations(range(4), 2)]
    assert ranking.split_half(noise) == pytest.approx(np.mean(every))
    # Gaussian: τ = (2/π) arcsin r, with r = 1/(1 + σ²/(seeds/2)) between the means of the halves
    big = rng.normal(size=(600, 1)) + rng.normal(size=(600, 10))
    expected = 2 / math.pi * math.asin(1 / (1 + 1 / 5))
    assert ranking.split_half(big, splits=20) == pytest.approx(expected, abs=5 * 0.018)
    assert ranking.split_half(big, splits=20) == ranking.split_half(big, splits=20)
    assert math.isnan(ranking.split_half(np.ones((5, 4))))
    with pytest.raises(ValueError, match=r"^measured=\(40,\): must be \(n, seeds\) with 2 seeds or more$"):
        ranking.split_half(truth)
