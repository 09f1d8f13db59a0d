"""A number from sampling, with its error bar.

The mean of n independent draws x_i has the standard error √(Σ (x_i - x̄)² / (n-1) / n). That of the median is the standard
deviation of the medians of samples of n drawn from the x_i with replacement (bootstrap, Efron 1979).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..record import Number, array, record


@record
class Estimate:
    """A Monte Carlo number: mean ± standard error over count independent draws."""

    mean: Any = array("mean or median of the draws")
    standard_error: Any = array("standard error of that mean or median")
    count: Any = array("number of independent draws, for each number")

    @classmethod
    def of(cls, samples: Number, axis: int = 0) -> "Estimate":
        """Mean and standard error along `axis`, in float64: of NumPy draws on the host, of others traceable. One draw: error nan."""
        xp = np if isinstance(samples, np.ndarray) else jnp
        x = xp.asarray(samples, float)
        n = x.shape[axis]
        error = x.std(axis, ddof=1) / n**0.5 if n > 1 else xp.full_like(x.mean(axis), xp.nan)
        return cls(x.mean(axis), error, xp.full(error.shape, n))

    @classmethod
    def of_median(cls, samples: np.ndarray, resamples: int = 1000) -> "Estimate":
        """Median of draws (n,) and its bootstrap standard error, on the host; the resampling is the same at each call."""
        x = np.asarray(samples, float)
        drawn = np.random.default_rng(0).integers(len(x), size=(resamples, len(x)))
        return cls(np.median(x), np.median(x[drawn], axis=1).std(ddof=1), np.asarray(len(x)))

    def __sub__(self, other: Any) -> "Estimate":
        """Less an exact number, or an independent estimate."""
        if isinstance(other, Estimate):
            error = (self.standard_error**2 + other.standard_error**2) ** 0.5
            return Estimate(self.mean - other.mean, error, _fewer(self.count, other.count))
        return Estimate(self.mean - other, self.standard_error, self.count)

    def __mul__(self, exact: Any) -> "Estimate":
        """Times an exact number."""
        return Estimate(self.mean * exact, self.standard_error * abs(exact), self.count)

    def __truediv__(self, other: Any) -> "Estimate":
        """Over an exact number, or an independent estimate with a small relative error."""
        if isinstance(other, Estimate):
            ratio = self.mean / other.mean
            error = (self.standard_error**2 + (ratio * other.standard_error) ** 2) ** 0.5 / abs(other.mean)
            return Estimate(ratio, error, _fewer(self.count, other.count))
        return self * (1 / other)

    def __getitem__(self, index: Any) -> "Estimate":
        """Some of an array of estimates."""
        return Estimate(self.mean[index], self.standard_error[index], self.count[index])

    @classmethod
    def of_slope(cls, x: Any, y: Any) -> "Estimate":
        """Slope of the straight line through points (n ≥ 3,), on the host; its error is that of equal, independent scatter of y."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        d = x - x.mean()
        slope = d @ y / (d @ d)
        scatter = y - y.mean() - slope * d
        return cls(slope, np.sqrt(scatter @ scatter / (len(x) - 2) / (d @ d)), np.asarray(len(x)))

    def z(self, exact: Any) -> Any:
        """(mean - exact) / standard error: how many standard errors the mean lies above the exact value."""
        return (self.mean - exact) / self.standard_error


def _fewer(one: Any, other: Any) -> Any:
    """The smaller count, of arrays on the host or traced."""
    return (one + other - abs(one - other)) // 2
