"""A number from sampling, with its error bar.

The mean of n independent draws x_i has the standard error √(Σ (x_i - x̄)² / (n-1) / n). That of the median is the standard
deviation of the medians of samples of n drawn from the x_i with replacement (Efron 1979). Such samples need not be drawn: they
are the entries ⌊n U_i⌋ of the sorted x for n uniform numbers U_i, the k-th smallest of which is distributed as Beta(k, n-k+1)
and, given that, splits off a fraction Beta(1, n-k) of the rest up to the next.
"""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from dltheory.record import array, record


@record
class Estimate:
    """A Monte Carlo number: mean ± standard error over count independent draws."""

    mean: Float[Array | np.ndarray, "..."] = array("mean or median of the draws")
    standard_error: Float[Array | np.ndarray, "..."] = array("standard deviation of that mean or median")
    count: Int[Array | np.ndarray, "..."] = array("number of independent draws")

    @classmethod
    def of(cls, samples: ArrayLike, axis: int = 0) -> "Estimate":
        """Mean and standard error along `axis`, in float64; the error of a single draw is nan."""
        x = jnp.asarray(samples, float)
        n = x.shape[axis]
        return cls(x.mean(axis), x.std(axis, ddof=1) / n**0.5, jnp.asarray(n))

    @classmethod
    def of_median(cls, samples: ArrayLike, axis: int = 0, resamples: int = 1000) -> "Estimate":
        """Median and its bootstrap standard error along `axis`, in float64; the resampling is the same at each call."""
        x = jnp.sort(jnp.moveaxis(jnp.asarray(samples, float), axis, 0), axis=0)
        n = x.shape[0]
        k = (n + 1) // 2
        generator = np.random.default_rng(0)
        lower = generator.beta(k, n - k + 1, resamples)
        gap = 0.0 if n % 2 else generator.beta(1, n - k, resamples)
        middle = np.stack([lower, lower + (1 - lower) * gap])
        medians = x[np.minimum(n * middle, n - 1).astype(int)].mean(0)
        return cls(jnp.median(x, axis=0), medians.std(0, ddof=1), jnp.asarray(n))

    def z(self, exact: ArrayLike) -> Array:
        """(mean - exact) / standard error: how many standard errors the mean lies above the exact value."""
        return jnp.divide(self.mean - jnp.asarray(exact, float), self.standard_error)
