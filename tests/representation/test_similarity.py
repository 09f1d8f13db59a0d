"""Similarity of representations against SciPy, the definition with its centring matrix, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group, pearsonr

from dltheory.representation import cka, rsa, squared_distances

POINTS, UNITS = 9, 4


def draw(key, units=UNITS, points=POINTS):
    return np.asarray(jax.random.normal(key, (points, units)))


def moved(z, seed=0):
    """Rotated, scaled and shifted."""
    return 0.3 * z @ ortho_group.rvs(z.shape[1], random_state=seed) + np.arange(z.shape[1])


def orthonormal(key, columns):
    """Centred orthonormal columns (POINTS, columns)."""
    z = draw(key, columns)
    return np.linalg.qr(z - z.mean(axis=0))[0]


@pytest.mark.parametrize("points", [1, 2, POINTS])
def test_squared_distances_are_those_of_scipy(getkey, points):
    z = draw(getkey(), points=points)
    found = squared_distances(z)
    np.testing.assert_allclose(found, cdist(z, z, "sqeuclidean"), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(np.diag(found), 0)
    assert found.shape == (points, points) and found.dtype == jnp.float64


def test_squared_distances_far_from_the_origin_and_between_copies(getkey):
    z = draw(getkey())
    np.testing.assert_allclose(squared_distances(z + 1e6), cdist(z, z, "sqeuclidean"), rtol=1e-8)
    single = z.astype(np.float32)
    np.testing.assert_allclose(squared_distances(jnp.asarray(single)), cdist(single, single, "sqeuclidean"), rtol=1e-12, atol=1e-13)
    twice = squared_distances(np.concatenate([z, z]))
    np.testing.assert_array_equal(np.diag(twice, POINTS), 0)


def test_squared_distances_of_a_rotated_and_scaled_copy(getkey):
    z = draw(getkey())
    np.testing.assert_allclose(squared_distances(moved(z)), 0.09 * squared_distances(z), rtol=1e-11, atol=1e-13)


def test_rsa_is_the_correlation_of_the_upper_triangles(getkey):
    first, second = squared_distances(draw(getkey())), squared_distances(draw(getkey(), 7))
    upper = np.triu_indices(POINTS, 1)
    np.testing.assert_allclose(rsa(first, second), pearsonr(np.asarray(first)[upper], np.asarray(second)[upper]).statistic, rtol=1e-12)


def test_rsa_of_chosen_pairs(getkey):
    first, second = (np.asarray(squared_distances(draw(getkey()))) for _ in range(2))
    label = np.arange(POINTS) % 3
    keep = label[:, None] != label
    pairs = [(i, j) for i in range(POINTS) for j in range(i + 1, POINTS) if label[i] != label[j]]
    exact = pearsonr([first[p] for p in pairs], [second[p] for p in pairs]).statistic
    np.testing.assert_allclose(rsa(first, second, keep), exact, rtol=1e-12)
    assert abs(exact - float(rsa(first, second))) > 1e-3
    np.testing.assert_allclose(rsa(first, second, np.ones_like(keep)), rsa(first, second), rtol=1e-14)


def test_rsa_invariances(getkey):
    z, other = draw(getkey()), draw(getkey())
    d, e = squared_distances(z), squared_distances(other)
    np.testing.assert_allclose(rsa(d, squared_distances(moved(z))), 1, rtol=1e-12)
    np.testing.assert_allclose(rsa(d, 2 - 3 * d), -1, rtol=1e-12)
    np.testing.assert_allclose([rsa(e, d), rsa(0.2 * d + 5, e)], float(rsa(d, e)), rtol=1e-11)
    order = np.array([4, 0, 8, 2, 1, 7, 3, 6, 5])
    np.testing.assert_allclose(rsa(d[order][:, order], e[order][:, order]), rsa(d, e), rtol=1e-11)
    assert abs(float(rsa(d[order][:, order], e)) - float(rsa(d, e))) > 1e-3
    np.testing.assert_allclose(rsa(d + 7 * np.eye(POINTS), e), rsa(d, e), rtol=1e-14)


def test_cka_is_its_definition_with_the_centring_matrix(getkey):
    x, y = draw(getkey()) + 3, draw(getkey(), 7) - 1
    J = np.eye(POINTS) - 1 / POINTS
    K, L = J @ x @ x.T @ J, J @ y @ y.T @ J
    exact = np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))
    found = cka(squared_distances(x), squared_distances(y))
    np.testing.assert_allclose(found, exact, rtol=1e-12)
    centred = [a - a.mean(axis=0) for a in (x, y)]
    features = lambda a, b: np.linalg.norm(a.T @ b) ** 2
    ratio = features(*centred) / np.sqrt(features(centred[0], centred[0]) * features(centred[1], centred[1]))
    np.testing.assert_allclose(found, ratio, rtol=1e-12)


def test_cka_of_a_copy_is_one_and_of_uncorrelated_representations_zero(getkey):
    x = draw(getkey())
    np.testing.assert_allclose(cka(squared_distances(x), squared_distances(moved(x))), 1, rtol=1e-12)
    columns = orthonormal(getkey(), 6)
    a, b = columns[:, :2] * [1, 3] + 5, columns[:, 2:] * [1, 2, 3, 4] - 2
    np.testing.assert_allclose(cka(squared_distances(a), squared_distances(b)), 0, atol=1e-14)


def test_cka_of_stretched_columns_in_closed_form(getkey):
    """X with orthogonal centred columns of squared lengths l and Y = X diag(s): Σ s²l² / √(Σ l² Σ s⁴l²), for K has eigenvalues l."""
    l, s = np.array([4.0, 1.0, 0.3, 2.0]), np.array([0.5, 3.0, 1.0, 0.0])
    x = orthonormal(getkey(), 4) * np.sqrt(l)
    exact = np.sum(s**2 * l**2) / np.sqrt(np.sum(l**2) * np.sum(s**4 * l**2))
    d, e = squared_distances(x), squared_distances(x * s)
    np.testing.assert_allclose([cka(d, e), cka(e, d), cka(d, 9 * e)], exact, rtol=1e-12)
    assert 0.3 < exact < 0.9
    order = np.array([4, 0, 8, 2, 1, 7, 3, 6, 5])
    np.testing.assert_allclose(cka(d[order][:, order], e[order][:, order]), exact, rtol=1e-12)
