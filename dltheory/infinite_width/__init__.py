"""Networks of infinite width: Gaussian preactivations, a fixed tangent kernel, and where both survive depth.

| symbol | name | meaning |
| --- | --- | --- |
| s | `activation` | nonlinearity: a name, an expression in z, `module:function`, or a JAX function |
| K, Θ | `propagate` → `Kernels` | covariance of preactivations, neural tangent kernel |
| C_b, C_W | `c_b`, `c_w` | variance of biases, variance of weights × fan-in |
| λ_b, λ_W | `lambda_b`, `lambda_w` | learning rates of biases, of weights × fan-in |
| χ_∥, χ_⊥ | `susceptibilities` | growth of norms and of distances from layer to layer |
| K*, p_⊥, ν | `criticality` | where both are 1; how distances fall there; growth of fluctuations |
| σ_w, σ_b, q*, χ₁, χ₂, c*, ξ | `order_chaos` | the same in the notation of mean-field theory |
| ρ, γ | `keep`, `skip` | keep rate of dropout, weight of the residual branch |
"""

from .averages import PairAverages, derivative, homogeneous_slopes, pair_averages
from .criticality import CLASSES, Criticality, criticality
from .kernels import Kernels, check_kernel, check_setting, fixed_point, function, is_concrete, propagate, susceptibilities
from .order_chaos import OrderChaos, order_chaos
from .prediction import Prediction, predict
from .smoothness import continuous_derivatives, kinks_elsewhere, require_smooth

__all__ = [
    "CLASSES",
    "Criticality",
    "Kernels",
    "OrderChaos",
    "PairAverages",
    "Prediction",
    "check_kernel",
    "check_setting",
    "continuous_derivatives",
    "criticality",
    "derivative",
    "fixed_point",
    "function",
    "homogeneous_slopes",
    "is_concrete",
    "kinks_elsewhere",
    "order_chaos",
    "pair_averages",
    "predict",
    "propagate",
    "require_smooth",
    "susceptibilities",
]
