"""Stationary Gaussian fields: the powers say all that the field says, bands of them less."""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats

from dltheory.cheap_learning import power_spectrum

MODES = np.arange(17)


@pytest.fixture(scope="module")
def spectra():
    random = np.random.default_rng(0)
    return [1 / (1 + (MODES / cut) ** 2) + 0.05 for cut in random.uniform(2, 8, size=2)]


@pytest.fixture(scope="module")
def field(spectra):
    return np.asarray(power_spectrum.sample_field(jax.random.key(0), spectra[0], 4000))


def test_the_powers_give_the_likelihood_of_the_field(spectra, field):
    power = power_spectrum.powers(field)
    assert power.shape == (4000, 17) and power_spectrum.multiplicity(17).sum() == 32
    for S in spectra:
        exact = stats.multivariate_normal(cov=np.asarray(power_spectrum.covariance(S))).logpdf(field)
        np.testing.assert_allclose(power_spectrum.log_likelihood(power, S), exact, atol=1e-9)
    z = (np.mean(np.asarray(power), 0) / spectra[0] - 1) / np.sqrt(2 / power_spectrum.multiplicity(17) / 4000)
    assert np.abs(z).max() < 5


def test_band_densities_are_chi_squares_where_the_spectrum_is_flat(field):
    power, nu = np.asarray(power_spectrum.powers(field / field.std())), power_spectrum.multiplicity(17)
    flat = np.full(17, 0.7)
    for bands, tolerance in ((1, 1e-6), (2, 1e-5), (4, 1e-3)):
        parts = np.array_split(MODES, bands)
        exact = sum(stats.chi2(nu[part].sum(), scale=0.7).logpdf(power[:, part] @ nu[part]) for part in parts)
        ours = power_spectrum.band_log_likelihood(power, flat, bands)
        usual = exact > np.quantile(exact, 0.02)
        np.testing.assert_allclose(ours[usual], exact[usual], atol=tolerance)


def test_fewer_bands_say_less(spectra, field):
    """Means of exact log-likelihood ratios are divergences: each coarser summary has a smaller one."""
    power = np.asarray(power_spectrum.powers(field))
    ratios = [np.asarray(power_spectrum.log_likelihood(power, spectra[0]) - power_spectrum.log_likelihood(power, spectra[1]))]
    for bands in (4, 2, 1):
        ratios.append(np.subtract(*(power_spectrum.band_log_likelihood(power, S, bands) for S in spectra)))
    lost = [a - b for a, b in itertools.pairwise(ratios)]
    assert all(d.mean() > 5 * d.std() / len(d) ** 0.5 for d in lost)
    nu, S = power_spectrum.multiplicity(17), spectra
    exact = (nu @ (S[0] / S[1] - 1 - np.log(S[0] / S[1]))) / 2
    assert abs(ratios[0].mean() - exact) < 5 * ratios[0].std() / len(field) ** 0.5


def test_nonsense_is_refused(spectra, field):
    with pytest.raises(ValueError, match=r"bands=5: must be in \[1, 4\] for 17 powers"):
        power_spectrum.band_log_likelihood(power_spectrum.powers(field), spectra[0], 5)
