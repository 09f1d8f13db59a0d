"""Statistical physics of networks and of the data they see: spins, their samplers, and coarse graining."""

from . import block_spin, gaussian_field, ising
from .sampling import CRITICAL_COUPLING, metropolis, swendsen_wang

__all__ = ["CRITICAL_COUPLING", "block_spin", "gaussian_field", "ising", "metropolis", "swendsen_wang"]
