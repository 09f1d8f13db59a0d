"""The second law: each kind of map is what it says, stationary laws are left eigenvectors, and a fault in either is seen."""

import numpy as np
import pytest
from scipy.stats import entropy

from dltheory.reusability import chains


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_maps_are_what_they_say(random):
    for make in (chains.any_maps, chains.closed_maps, chains.permutations):
        maps = make(random, 50, 6)
        assert maps.shape == (50, 6, 6) and maps.min() >= 0
        np.testing.assert_allclose(maps.sum(2), 1, rtol=1e-13)
        columns = np.abs(maps.sum(1) - 1).max()
        assert columns < 1e-13 if make is not chains.any_maps else columns > 0.5
    assert set(np.unique(maps)) == {0, 1} and len({m.tobytes() for m in maps}) > 40


def test_stationary_laws_are_left_eigenvectors(random):
    maps = chains.any_maps(random, 20, 5)
    for P, law in zip(maps, chains.stationary(maps), strict=True):
        values, vectors = np.linalg.eig(P.T)
        vector = np.real(vectors[:, np.argmax(np.real(values))])
        np.testing.assert_allclose(law, vector / vector.sum(), atol=1e-12)


def test_second_law_and_its_identities(random):
    law = chains.second_law(random, 300, 5, 12)
    assert law.closed.shape == (300, 13)
    assert np.diff(law.closed).min() > -1e-13 and np.diff(law.divergence).max() < 1e-13
    assert np.ptp(law.rearranged, axis=1).max() < 1e-13
    assert np.diff(law.unconstrained).min() < -0.1
    np.testing.assert_array_equal(law.closed[:, 0], law.unconstrained[:, 0])


def test_followed_laws_are_matrix_powers(random):
    P, p = chains.any_maps(random, 3, 4), random.dirichlet(np.ones(4), 3)
    laws = chains.follow(p, P, 7)
    for i in range(3):
        np.testing.assert_allclose(laws[i, 7], p[i] @ np.linalg.matrix_power(P[i], 7), rtol=1e-12)


def test_a_wrong_stationary_law_is_noticed(random):
    P, p = chains.any_maps(random, 200, 5), random.dirichlet(np.ones(5), 200)
    laws = chains.follow(p, P, 12)
    wrong = np.roll(chains.stationary(P), 1, axis=1)
    assert np.diff(entropy(laws, wrong[:, None], axis=-1)).max() > 0.1


def test_boltzmann_has_the_largest_entropy(random):
    seen = chains.largest_entropy(random, 400, 6)
    assert np.min(seen.deficit) > 0
    np.testing.assert_allclose(seen.deficit, seen.distance, atol=1e-13)


def test_laws_with_an_energy(random):
    energies = random.normal(size=(200, 6))
    mean = random.uniform(energies.min(1), energies.max(1))
    p = chains.with_energy(random, energies, mean)
    np.testing.assert_allclose(np.sum(p * energies, 1), mean, atol=1e-13)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-13)
    assert p.min() >= 0
    with pytest.raises(ValueError, match="mean: must be between"):
        chains.with_energy(random, energies, energies.max(1) + 1)
