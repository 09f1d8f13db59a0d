"""Symmetry: orbits are counted by Burnside's lemma, tied maps commute, circulant ones are learned from one example."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg

from dltheory.cheap_learning import low_order, symmetry, walsh


@pytest.fixture
def random():
    return np.random.default_rng(0)


def burnside(generators):
    """Orbits as the mean number of fixed entries over the whole group, which the generators are multiplied out to."""
    group = {tuple(range(generators.shape[1]))}
    while True:
        more = group | {tuple(np.array(a)[g]) for a in group for g in generators}
        if more == group:
            return np.mean([np.sum(np.array(g) == np.arange(len(g))) for g in group]), len(group)
        group = more


def test_free_numbers_are_the_orbits_of_the_group():
    cases = {
        "circulant": (symmetry.on_pairs(symmetry.translations(6)), 6, 6),
        "kernel of the square": (symmetry.square_symmetries(3), 3, 8),
        "even square": (symmetry.square_symmetries(4), 3, 8),
        "permutations of 4 bits": (symmetry.on_subsets(symmetry.swaps(4)), 5, 24),
        "map between permuted things": (symmetry.on_pairs(symmetry.swaps(4)), 2, 24),
        "torus": (symmetry.on_pairs(symmetry.translations(2, 3)), 6, 6),
    }
    for name, (generators, expected, size) in cases.items():
        assert symmetry.free_numbers(generators) == expected, name
        assert burnside(generators) == (expected, size), name


def test_quadratic_hamiltonians_lose_parameters_to_locality_and_symmetry():
    n = 9
    assert low_order.taylor_terms(n, 2) == (n + 1) * (n + 2) // 2
    orbit = symmetry.orbits(symmetry.on_subsets(symmetry.translations(n)))
    chain = [0, *(1 << i for i in range(n)), *(3 << i for i in range(n - 1))]
    ring = [*chain, 1 | 1 << n - 1]
    assert len(chain) == 2 * n and len(set(orbit[ring])) == 3


def test_kernels_with_the_symmetries_of_the_square_commute_with_them(random):
    kernel, image = random.normal(size=(3, 3)), random.normal(size=(7, 7))
    filtered = lambda k, x: sum(k[a, b] * np.roll(x, (a - 1, b - 1), (0, 1)) for a in range(3) for b in range(3))
    moves = [lambda x, t=t, m=m: np.rot90(x.T if m else x, t) for t in range(4) for m in (False, True)]
    gap = lambda k: max(np.abs(filtered(k, g(image)) - g(filtered(k, image))).max() for g in moves)
    tied = np.asarray(symmetry.tie(kernel, symmetry.square_symmetries(3)))
    assert gap(tied) < 1e-10 < gap(kernel)
    corners, edges = tied[::2, ::2], tied[[0, 1, 1, 2], [1, 0, 2, 1]]
    np.testing.assert_allclose([np.ptp(corners), np.ptp(edges), tied[1, 1] - kernel[1, 1]], 0, atol=1e-14)
    np.testing.assert_allclose([corners[0, 0], edges[0]], [kernel[::2, ::2].mean(), kernel[[0, 1, 1, 2], [1, 0, 2, 1]].mean()])
    around = np.roll(np.pad(kernel, (0, 4)), (-1, -1), (0, 1))
    np.testing.assert_allclose(symmetry.convolve(around, image), filtered(kernel, image), atol=1e-12)


def test_permutation_invariant_hamiltonians_depend_on_the_number_of_ones(random):
    n = 5
    F = np.asarray(symmetry.tie(random.normal(size=2**n), symmetry.on_subsets(symmetry.swaps(n))))
    for number in range(n + 1):
        assert np.ptp(F[walsh.orders(n) == number]) < 1e-14
        assert np.ptp(np.asarray(walsh.moebius(F))[walsh.orders(n) == number]) < 1e-12
    assert len(np.unique(F.round(9))) == n + 1
    one = random.permutation(n)
    moved = symmetry.on_subsets(one[None])[0]
    y = walsh.configurations(n)
    np.testing.assert_array_equal(y[moved][:, one], y)


def test_only_circulant_maps_commute_with_the_shift(random):
    n = 24
    k, x, shift = random.normal(size=n), random.normal(size=n), np.roll(np.eye(n), 1, 0)
    A = np.asarray(symmetry.circulant(k))
    np.testing.assert_array_equal(A, scipy.linalg.circulant(k))
    np.testing.assert_allclose(symmetry.convolve(k, x), A @ x, atol=3e-13)
    np.testing.assert_allclose(symmetry.tie(A, symmetry.on_pairs(symmetry.translations(n))), A, atol=1e-14)
    generic = random.normal(size=(n, n))
    gap = lambda m: np.linalg.norm(m @ shift - shift @ m)
    tied = symmetry.tie(generic, symmetry.on_pairs(symmetry.translations(n)))
    nearly = A.copy()
    nearly[3, 5] += 1e-6
    assert gap(A) < 1e-10 and gap(np.asarray(tied)) < 1e-10 < gap(nearly) < gap(generic)
    np.testing.assert_allclose(tied[:, 0], np.mean([np.roll(generic[:, j], -j) for j in range(n)], 0), atol=1e-12)


def test_fourier_agrees_with_the_dense_map_at_large_size(random):
    k, x = random.normal(size=(2, 1024))
    exact = scipy.linalg.circulant(k) @ x
    assert np.abs(np.asarray(symmetry.convolve(k, x)) - exact).max() <= 3e-13 * max(1, np.abs(exact).max())


def test_dense_maps_learn_in_proportion_and_circulant_ones_at_once(random):
    n, maps = 64, 10
    kernels, examples = random.normal(size=(maps, n)), random.normal(size=(maps, n, n))
    relative = lambda fit, exact: np.sum((np.asarray(fit) - exact) ** 2) / np.sum(exact**2)
    for m in (1, 16, 48, 64):
        dense = []
        for k, x in zip(kernels, examples[:, :m], strict=True):
            A = scipy.linalg.circulant(k)
            y = x @ A.T
            dense.append(relative(symmetry.fit_dense(x, y), A))
            assert relative(symmetry.fit_circulant(x, y), k) < 1e-20
        assert abs(np.mean(dense) - (1 - m / n)) < 0.03
        np.testing.assert_allclose(symmetry.fit_dense(x, y), (np.linalg.pinv(x) @ y).T, atol=1e-8)


def test_a_noisy_circulant_fit_is_the_least_squares_solution(random):
    n, m = 8, 3
    x, y = random.normal(size=(2, m, n))
    design = np.concatenate([scipy.linalg.circulant(row) for row in x])
    np.testing.assert_allclose(symmetry.fit_circulant(x, y), np.linalg.lstsq(design, y.reshape(-1), rcond=None)[0], atol=1e-12)


def test_counts_of_the_swindle():
    assert symmetry.log2_reachable(10**5, 32, 20) == 3_200_000 - 1_048_576 > 0
    assert symmetry.log2_reachable(10**5, 32, 30) < -1.07e9
    generic, separate = symmetry.log10_parameters(7, 5)
    assert math.isclose(10**generic, len(list(itertools.product(range(5), repeat=7)))) and math.isclose(10**separate, 35)
    assert math.floor(symmetry.log10_parameters(10**6, 256)[0]) == 2_408_239
