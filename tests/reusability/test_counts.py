"""Maps of counts in each arithmetic against dense arrays of Python integers."""

import itertools
import math

import numpy as np
import pytest

from dltheory.reusability.counts import EXACT, LOG, SUPPORT, Counts, primes, recombine, residues

P = 2**31 - 1
ARITHMETICS = {"exact": EXACT, "log": LOG, "residue": residues(P), "support": SUPPORT}


def draw(rng, name, shape, constant):
    """Counts with these axes constant, and the dense integers they stand for; some are 0, some beyond floating point."""
    kept = [1 if a in constant else n for a, n in enumerate(shape)]
    integers = np.array([int(c) * 3 ** int(e) for c, e in rng.integers(0, 700, (math.prod(kept), 2))] + [0], object)[:-1].reshape(kept)
    integers = integers * rng.integers(0, 3, kept).astype(object)
    values = {
        "exact": integers,
        "log": np.vectorize(lambda c: math.log2(c) if c else -np.inf, otypes=[float])(integers),
        "residue": (integers % P).astype(np.int64),
        "support": (integers > 0).astype(bool),
    }[name]
    return Counts(ARITHMETICS[name], values, tuple(shape)), np.broadcast_to(integers, shape)


def assert_agree(name, counts, dense):
    assert counts.view.shape == dense.shape and counts.values.dtype == ARITHMETICS[name].dtype
    for found, expected in zip(counts.view.flat, dense.flat, strict=True):
        if name == "log":
            assert found == pytest.approx(math.log2(expected), rel=1e-14, abs=1e-14) if expected else found == -np.inf
        else:
            assert found == {"exact": expected, "residue": expected % P, "support": expected > 0}[name]


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("constant", [(), (0,), (1,), (0, 2), (0, 1, 2)])
def test_maps(name, constant):
    rng = np.random.default_rng(len(constant))
    shape = (2, 3, 4)
    a, A = draw(rng, name, shape, constant)
    b, B = draw(rng, name, shape, (1,))
    assert_agree(name, a, A)
    assert_agree(name, a + b, A + B)
    assert_agree(name, a * b, A * B)
    for axes in [(), (0,), (1, 2), (0, 1, 2), (2, 0)]:
        assert_agree(name, a.total(axes), A.sum(tuple(axes)) if len(axes) < 3 else np.array(A.sum(), object))
    assert_agree(name, a.spread((0, 2), (5, 2)), np.broadcast_to(A[None, :, None], (5, 2, 2, 3, 4)))
    assert_agree(name, a.permuted((2, 0, 1)), A.transpose(2, 0, 1))
    for new in [(6, 4), (2, 12), (24,), (4, 6), (3, 2, 4), (2, 3, 2, 2), (1, 2, 3, 4, 1), (8, 3)]:
        assert_agree(name, a.reshaped(new), A.reshape(new))
    pairs = [(np.array([0, 2]), np.array([4, 1])), (np.array([2]), np.array([4]))]
    moved = np.zeros((2, 6, 4), object)
    for before, after in pairs:
        moved[:, after] += A[:, before]
    assert_agree(name, a.mapped(1, 6, pairs), moved)
    before, after = rng.integers(0, 24, 30), rng.integers(0, 10, 30)
    gathered = np.zeros(10, object)
    for i, j in zip(before, after, strict=True):
        gathered[j] += A.reshape(-1)[i]
    assert_agree(name, a.moved(before, after, (2, 5)), gathered.reshape(2, 5))
    there, THERE = draw(rng, "support", shape, (0,))
    assert_agree(name, a.where(there), np.where(THERE > 0, A, 0))


def test_constant_axes_stay_single():
    counts = Counts.full(EXACT, 7, (2, 3, 4))
    assert counts.values.shape == (1, 1, 1)
    assert counts.total((1,)).values.shape == (1, 1) and counts.total((1,)).values[0, 0] == 21
    assert counts.reshaped((6, 2, 2)).values.size == 1 and counts.spread((0,), (1000,)).values.size == 1
    mixed = Counts(EXACT, np.arange(3).astype(object).reshape(1, 3, 1), (2, 3, 4))
    assert mixed.reshaped((2, 3, 2, 2)).values.shape == (1, 3, 1, 1)
    assert mixed.reshaped((6, 4)).values.shape == (6, 1)
    assert counts.view.strides == (0, 0, 0) and not counts.view.flags.writeable


def test_empty_tensors():
    for name, numbers in ARITHMETICS.items():
        empty = Counts.full(numbers, numbers.one, (2, 0, 3))
        assert_agree(name, empty.total((1,)), np.zeros((2, 3), object))
        assert_agree(name, empty.reshaped((0,)), np.zeros(0, object))
        assert_agree(name, Counts(numbers, np.zeros((2, 0, 3), numbers.dtype), (2, 0, 3)).total((0, 1)), np.zeros(3, object))
        for old, new in itertools.product([(0,), (2, 0), (0, 1), (0, 2, 3)], repeat=2):
            assert Counts.full(numbers, numbers.one, old).reshaped(new).view.shape == new


def test_counts_that_are_many_overflow_nowhere():
    for name, numbers in ARITHMETICS.items():
        many = Counts.full(numbers, numbers.one, (2**20, 2**20, 2**20)).total((0, 1))
        assert_agree(name, Counts(numbers, many.values, (1,)), np.array([2**40], object))
    largest = Counts(residues(P), np.full((1000,), P - 1), (1000,))
    assert largest.total((0,)).values == 1000 * (P - 1) % P and (largest * largest).values[0] == 1
    assert largest.moved(np.arange(1000), np.zeros(1000, int), (1,)).values[0] == 1000 * (P - 1) % P


def test_primes_and_chinese_remainders():
    found = primes(400)
    assert math.prod(found) > 2**400 >= math.prod(found[:-1]) / 2 and len(set(found)) == len(found) == 13
    assert found[0] == 2**31 - 1 and found[1] == 2147483629  # the two largest primes below 2³¹
    for p in found:
        assert pow(3, p - 1, p) == pow(7, p - 1, p) == 1  # Fermat
    numbers = [0, 1, 2**400, 3**250, math.prod(found) - 1]
    rest = [np.array([n % p for n in numbers], np.int64) for p in found]
    assert recombine(rest, found).tolist() == numbers
