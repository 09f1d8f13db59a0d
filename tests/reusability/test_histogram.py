"""Histograms of counts: the classes are those of brute counting, exact at any size, and repeated views are never walked along."""

from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from dltheory.reusability.histogram import Histogram


def as_mapping(h):
    return dict(zip(h.counts, h.multiplicity.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_classes_of_views_are_those_of_every_entry(seed):
    random = np.random.default_rng(seed)
    leaves = []
    for n in range(4):
        small = random.integers(0, 4, size=(random.integers(1, 4), 1, random.integers(1, 4), 1))
        shape = (small.shape[0], 3, small.shape[2], int(random.integers(1, 6)))
        big = small.astype(object) * 7**500 if n % 2 else small
        leaves.append(np.broadcast_to(big, shape).transpose(random.permutation(4))[:, ::-1])
    seen = Counter(c for leaf in leaves for c in leaf.ravel().tolist() if c)
    assert as_mapping(Histogram.of({"a": leaves[:2], "b": {"c": leaves[2], "d": leaves[3]}})) == seen
    assert as_mapping(Histogram.of(dict(seen))) == seen


def test_a_repeated_view_of_a_trillion_parameters_is_one_class():
    one = np.broadcast_to(np.array(3**2000, object), (10**6, 10**6))
    h = Histogram.of([one, np.broadcast_to(np.array([[0.0], [1.0]]), (2, 10**9))])
    np.testing.assert_array_equal(h.log2, [0, 1, 2000 * np.log2(3)])
    assert h.multiplicity.tolist() == [10**9, 10**9, 10**12] and h.counts is None
    assert Histogram.of(one).parameters == 10**12


def test_counts_of_thousands_of_bits_are_exact():
    random = np.random.default_rng(1)
    counts = {int(random.integers(1, 10**9)) << int(random.integers(0, 3200)): int(random.integers(1, 10**6)) for _ in range(300)}
    h = Histogram.of(counts)
    assert h.partition == sum(c * m for c, m in counts.items()) and h.parameters == sum(counts.values())
    assert list(h.counts) == sorted(counts)
    with mpmath.workdps(40):
        np.testing.assert_allclose(h.log2, [float(mpmath.log(c, 2)) for c in h.counts], rtol=2e-16)
        assert h.log_partition == pytest.approx(float(mpmath.log(h.partition, 2)), rel=2e-16)
    expected = [float(Fraction(m * c, h.partition)) for c, m in as_mapping(h).items()]
    np.testing.assert_array_equal(h.probabilities, expected)
    np.testing.assert_allclose(h.energies, h.log2 * np.log(2))
    logs = Histogram.of([np.repeat(h.log2, 2), np.array([-np.inf])])
    assert logs.counts is None and logs.partition is None
    np.testing.assert_array_equal(logs.multiplicity, 2)
    exact = Histogram.of(dict.fromkeys(h.counts, 2))
    assert logs.log_partition == pytest.approx(exact.log_partition, rel=1e-15)
    np.testing.assert_allclose(logs.probabilities, exact.probabilities, rtol=1e-11, atol=1e-300)


def test_parameters_without_contexts_and_rounded_ones():
    assert as_mapping(Histogram.of({0: 4, 2: 4, 1: 4, 5: 0})) == {1: 4, 2: 4}
    h = Histogram.of(np.array([-2e-16, 0.0, 1.0, -np.inf], np.float64))
    np.testing.assert_array_equal(h.log2, [0, 1])
    assert h.multiplicity.tolist() == [2, 1]
    assert Histogram.of(h) is h
    mixed = Histogram.of({"dead": np.zeros(3, int), "exact": np.array([4, 0]), "log": np.array([2.0, -np.inf])})
    assert mixed.log2.tolist() == [2] and mixed.multiplicity.tolist() == [2]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({1: 2, -3: 1}, "counts=-3: must be an integer ≥ 0"),
        ({1: -2}, "number of parameters ≥ 0, here -2"),
        (np.array([1, -1]), "counts=-1: must be"),
        (np.array([1, 0.5], object), "counts=0.5: must be"),
        (np.array([-1.0]), "counts=-1: log2 of a count must be finite and ≥ 0"),
        (np.array([np.nan]), "counts=nan: log2"),
        (np.array([np.inf]), "counts=inf: log2"),
        (np.array([True]), "counts=bool: must be arrays"),
        ({}, "must have at least one parameter"),
        ([np.zeros(3, int), np.zeros((0, 2), int)], "must have at least one parameter"),
        (np.full(3, -np.inf), "must have at least one parameter"),
    ],
)
def test_nonsense_is_one_line(counts, text):
    with pytest.raises(ValueError, match=text) as error:
        Histogram.of(counts)
    assert "\n" not in str(error.value)
