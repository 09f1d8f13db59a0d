r"""What an infinitely wide network has learnt at time t of gradient flow, over the ensemble of initialisations.

With L = ½ ⟨(z - y)²⟩ over the N training inputs a, outputs follow dz/dt = -Θ_{·a} (z_a - y)/N with a fixed Θ, so that for inputs t

    mean = Φ y,   covariance = K_tt - Φ K_at - K_ta Φᵀ + Φ K_aa Φᵀ,   Φ = Θ_ta Θ_aa⁻¹ (1 - e^{-Θ_aa t/N})

and at convergence Φ = Θ_ta Θ_aa⁻¹. Modes of Θ_aa are followed one by one, (1 - e^{-λt/N})/λ, so an ill-conditioned Θ_aa does no
harm at finite time; at t = ∞ modes below rounding are left as they are.

Sources: Jacot, Gabriel & Hongler (2018); Lee et al. (2019), arXiv:1902.06720, equations 10-11.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ..record import array, record
from .kernels import check_kernel, is_concrete


@record
class Prediction:
    """Gaussian law of the outputs on the inputs that were not trained on; outputs of a network are independent of each other."""

    mean: Array = array("mean (inputs, outputs)")
    covariance: Array = array("covariance (inputs, inputs), the same for every output")


def predict(
    kernel: Float[ArrayLike, "m m"], ntk: Float[ArrayLike, "m m"], targets: Float[ArrayLike, "train outputs"], time: ArrayLike = np.inf
) -> Prediction:
    """Outputs at `time` (rate × step) on the last inputs of `kernel` = K and `ntk` = Θ, trained on `targets` of the first ones.

    To see the fit on training inputs, list them twice. `ValueError` for kernels that are not symmetric and positive semi-definite or
    do not match, more targets than inputs, a negative time.
    """
    check_kernel(kernel)
    check_kernel(ntk)
    K, H, y = (jnp.asarray(a, float) for a in (kernel, ntk, targets))
    if K.shape != H.shape or len(y) > len(K):
        raise ValueError(f"targets: {len(y)} for kernels of shapes {K.shape} and {H.shape}, which must be equal and not smaller")
    if is_concrete(time) and not np.all(np.asarray(time) >= 0):
        raise ValueError(f"time={time}: must be ≥ 0")
    return _predict(K, H, y, jnp.asarray(time, float))


@jax.jit
def _predict(K, H, y, time):
    a, t = slice(None, len(y)), slice(len(y), None)
    value, vector = jnp.linalg.eigh(H[a, a])
    kept = value > len(y) * jnp.finfo(value.dtype).eps * value[-1]
    safe = jnp.where(kept, value, 1.0)
    learnt = jnp.where(kept, -jnp.expm1(-safe * time / len(y)) / safe, jnp.where(jnp.isinf(time), 0.0, time / len(y)))
    response: Array = (H[t, a] @ vector * learnt[None]) @ vector.T
    cross = response @ K[a, t]
    return Prediction(response @ y, K[t, t] - cross - cross.T + response @ K[a, a] @ response.T)
