"""Entropy and mutual information against SciPy and scikit-learn's counts."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

from dltheory.numerics import Estimate, entropy, mutual_information, rational_mutual_information


@pytest.fixture
def counts():
    return np.random.default_rng(0).integers(0, 20, size=(4, 6))


def test_against_other_implementations(counts):
    joint = counts / counts.sum()
    assert entropy(joint) == pytest.approx(stats.entropy(joint.ravel()), rel=1e-12)
    assert mutual_information(joint) == pytest.approx(mutual_info_score(None, None, contingency=counts), rel=1e-10)
    chi2 = stats.chi2_contingency(counts, correction=False).statistic
    assert rational_mutual_information(joint) == pytest.approx(chi2 / counts.sum(), rel=1e-10)


def test_limits(counts):
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.8])
    assert abs(mutual_information(np.outer(p, q))) < 1e-15 and abs(rational_mutual_information(np.outer(p, q))) < 1e-15
    assert mutual_information(np.diag(p)) == pytest.approx(np.log(2)) and rational_mutual_information(np.diag(p)) == pytest.approx(1)
    u, v = np.array([1.0, -1, 0]), np.array([1.0, -1])
    weak = np.outer([0.3, 0.3, 0.4], [0.5, 0.5]) + 1e-4 * np.outer(u, v)
    assert rational_mutual_information(weak) / mutual_information(weak) == pytest.approx(2, rel=1e-3)


def test_estimates_of_ratios_differences_and_slopes():
    random = np.random.default_rng(1)
    x = np.arange(12.0)
    noisy = 3 * x + random.normal(size=(4000, 12)) * 0.5
    slopes = [Estimate.of_slope(x, y) for y in noisy]
    spread = np.std([s.mean for s in slopes])
    assert spread == pytest.approx(0.5 / np.sqrt(((x - x.mean()) ** 2).sum()), rel=0.06)
    assert np.mean([s.standard_error**2 for s in slopes]) == pytest.approx(spread**2, rel=0.08)
    a, b = (Estimate(np.array(m), np.array(e), np.array(n)) for m, e, n in ((3.0, 0.03, 10), (-2.0, 0.04, 20)))
    draws = random.normal([3, -2], [0.03, 0.04], size=(400_000, 2))
    for found, sample in ((a - b, draws[:, 0] - draws[:, 1]), (a / b, draws[:, 0] / draws[:, 1])):
        assert found.mean == pytest.approx(sample.mean(), rel=1e-3)
        assert found.standard_error == pytest.approx(sample.std(), rel=0.02) and found.count == 10
