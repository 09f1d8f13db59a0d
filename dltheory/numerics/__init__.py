"""The ground under the theory areas.

- `Estimate`: a Monte Carlo number with its standard error;
- `gaussian_mean`, `gaussian_mean_pair`: averages over one and two Gaussian variables;
- `hermite_coefficients`: those of a function under a Gaussian;
- `entropy`, `mutual_information`, `rational_mutual_information` of tables of probabilities;
- `product_means`: products of a function for all pairs of many Gaussian variables;
- `levenberg_marquardt`: least squares with few parameters in a box;
- `ranking`: rank correlations, partial ones, resampled, corrected for many, and against the noise of the seeds.
"""

from .estimate import Estimate
from .gaussian import gaussian_mean, gaussian_mean_pair
from .hermite import hermite_coefficients, product_means
from .information import entropy, mutual_information, rational_mutual_information
from .least_squares import levenberg_marquardt

__all__ = [
    "Estimate",
    "entropy",
    "gaussian_mean",
    "gaussian_mean_pair",
    "hermite_coefficients",
    "levenberg_marquardt",
    "mutual_information",
    "product_means",
    "rational_mutual_information",
]
