"""Of a stationary Gaussian field only the powers matter: n numbers distil into n/2 + 1 without loss, and into few bands at a price.

    y on a ring of n sites, ŷ_k = n^{-1/2} Σ_j y_j e^{-2πi jk/n},   E|ŷ_k|² = S(k)
    ln p(y|S) = -½ Σ_k ν_k [ln 2πS(k) + |ŷ_k|²/S(k)],   k = 0 … n/2,  ν_0 = ν_{n/2} = 1, others 2

so that the powers |ŷ_k|² are sufficient for any question about S, as for maps of the microwave background: Lin, Tegmark & Rolnick
(arXiv:1608.08225), section III A and figure 3.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Spectrum = Float[Array | np.ndarray, "half"]


def multiplicity(modes: int) -> np.ndarray:
    """ν_k of the n/2 + 1 = `modes` powers, n even: how many real numbers each is the square of."""
    return np.r_[1.0, np.full(modes - 2, 2.0), 1.0]


def covariance(spectrum: Spectrum) -> jax.Array:
    """⟨y_i y_j⟩ = C(i - j), the inverse transform of S: (n, n)."""
    row = jnp.fft.irfft(jnp.asarray(spectrum, float))
    sites = np.arange(len(row))
    return row[(sites[:, None] - sites) % len(row)]


def sample_field(key: Array, spectrum: Spectrum, count: int) -> Float[Array, "count sites"]:
    """Fields with spectrum S, (count, n): white noise filtered by √S."""
    sites = 2 * (len(spectrum) - 1)
    white = jax.random.normal(key, (count, sites), float)
    gain = jnp.sqrt(jnp.asarray(spectrum, float))[None].astype(complex)
    return jnp.fft.irfft(jnp.fft.rfft(white) * gain, sites)


def powers(field: Float[Array | np.ndarray, "*count sites"]) -> jax.Array:
    """|ŷ_k|², (…, n/2 + 1)."""
    return jnp.abs(jnp.fft.rfft(field, norm="ortho")) ** 2


def log_likelihood(power: Float[Array | np.ndarray, "*count half"], spectrum: Spectrum) -> jax.Array:
    """ln p(y|S) from the powers alone, (…,)."""
    S, nu = jnp.asarray(spectrum, float), jnp.asarray(multiplicity(len(spectrum)))
    power = jnp.asarray(power)
    shape = (1,) * (power.ndim - 1) + (-1,)
    return -0.5 * jnp.sum(nu.reshape(shape) * (jnp.log(2 * jnp.pi * S).reshape(shape) + power / S.reshape(shape)), -1)


def band_log_likelihood(
    power: Float[Array | np.ndarray, "count half"], spectrum: Spectrum, bands: int, points: int = 2**15
) -> Float[np.ndarray, "count"]:
    """ln p(summary|S) of the summary Σ_{k in band} ν_k |ŷ_k|² in each of `bands` consecutive bands of k, (count,), on the host.

    A band is a sum of S(k) χ²(ν_k): its characteristic function Π (1 - 2i t S(k))^{-ν_k/2} is inverted by FFT on `points` numbers.
    Bands are independent. `ValueError` if a band has fewer than 4 modes: the density is then not smooth enough.
    """
    power, S = np.asarray(power), np.asarray(spectrum)
    nu, total = multiplicity(len(S)), np.zeros(len(power))
    if not 1 <= bands <= len(S) // 4:
        raise ValueError(f"bands={bands}: must be in [1, {len(S) // 4}] for {len(S)} powers")
    for band in np.array_split(np.arange(len(S)), bands):
        seen, scale = power[:, band] @ nu[band], S[band]
        reach = max(nu[band] @ scale + 80 * scale.max(), 1.01 * seen.max())
        t = 2 * np.pi / reach * np.arange(points // 2 + 1)
        phi = np.prod((1 - 2j * np.outer(t, scale)) ** (-nu[band] / 2), axis=1)
        density = np.fft.irfft(phi.conj(), points) * points / reach
        log_density = np.log(np.maximum(density, 1e-300))
        total += np.interp(seen, np.arange(points) * reach / points, log_density)
    return total
