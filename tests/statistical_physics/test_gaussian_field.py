"""Block averages of a Gaussian field: alias sum against covariance matrices, couplings against Taylor coefficients and the page."""

import numpy as np
import pytest

from dltheory.statistical_physics import gaussian_field as field

MEASURED = {2: 0.567, 4: 0.205, 8: 0.114}
FROM_ZERO = {2: 0.0626, 4: 0.0784, 8: 0.0824}


@pytest.mark.parametrize("block", [2, 3])
def test_alias_sum_is_the_covariance_of_averages(block):
    y, side = np.random.default_rng(block).uniform(0.1, 2, 3), 12
    power = 1 / (2 * field.energy(y, (field.momenta(side) ** 2).sum(0)))
    modes = np.fft.ifft2(np.eye(side**2).reshape(-1, side, side), norm="ortho").reshape(side**2, -1)
    covariance = (modes.conj().T * np.ravel(power)) @ modes
    coarse = side // block
    average = np.zeros((coarse, coarse, side, side))
    for i, j in np.ndindex(coarse, coarse):
        average[i, j, block * i : block * (i + 1), block * j : block * (j + 1)] = 1 / block**2
    average = average.reshape(coarse**2, -1)
    blocks = (average @ covariance @ average.T).reshape(coarse, coarse, -1)[:, :, 0].real
    np.testing.assert_allclose(field.block_energy(y, side, block), 1 / (2 * np.fft.fft2(blocks).real), rtol=1e-10)


@pytest.mark.parametrize("block", [2, 4, 8])
def test_couplings_of_averages_are_the_measured_ones(block):
    """Erratum 7: b^{2-2i} y_i is tree level; the window adds to y1' and y2', and y2' does not go to 0."""
    for y2, expected in ((0.0, FROM_ZERO[block]), (2.0, MEASURED[block])):
        y = np.array([1e-3, 1.0, y2])
        y0, y1, got = field.fit_couplings(field.block_energy(y, 512, block), 0.35)
        np.testing.assert_allclose(y0 / y[0], block**2, atol=5e-4)
        np.testing.assert_allclose(y1, 1 + 1e-3 * (block**2 - 1) / 12, rtol=2e-4)
        np.testing.assert_allclose(got, expected, atol=6e-4)
        two_terms = y2 / block**2 + (1 - 1 / block**2) / 12
        np.testing.assert_allclose(got, two_terms, rtol=0.05)
        assert abs(got - field.tree_level(y, block)[2]) > 0.05


def test_theory_is_the_expansion_at_small_momentum():
    """Taylor coefficients of b² E(Q/b)/|W|², averaged over directions; aliases are of second order in y0."""
    b, y, angles = 3, np.array([0.3, 1.1, 0.7]), 2 * np.pi * np.arange(16) / 16
    squared = 0.1 * (1 - np.cos(np.pi * (np.arange(8) + 0.5) / 8))
    q = np.sqrt(squared)[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1) / b
    window = np.prod(np.sinc(b * q / (2 * np.pi)) / np.sinc(q / (2 * np.pi)), -1)
    branch = np.mean(b**2 * np.polyval(y[::-1], (q**2).sum(-1)) / window**2, 1)
    taylor = np.polynomial.Polynomial.fit(squared, branch, 7).convert().coef
    np.testing.assert_allclose(taylor[:3], field.with_window(y, b), rtol=1e-7)
    gaps = [field.fit_couplings(field.block_energy(np.array([e, 1.0, 0.0]), 384, 2), 0.1)[1] - 1 - e / 4 for e in (0.02, 0.04)]
    assert 3 < gaps[1] / gaps[0] < 5


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="block=5: must divide side=12"):
        field.block_energy(np.ones(3), 12, 5)
    with pytest.raises(ValueError, match=r"below=0\.1: must leave at least 3 distinct"):
        field.fit_couplings(np.ones((8, 8)), 0.1)
