"""Networks of finite width: what depth/width adds to `dltheory.infinite_width`, to first order and, where solvable, to all.

| symbol | name | meaning |
| --- | --- | --- |
| n, L | `width`, `depth` | hidden width; layers, output included |
| K, G1, V, W6 | `recursion` → `FiniteWidth` | kernel, its correction, four- and six-point vertex |
| Θ, H1, A, B, D, F | the same | tangent kernel, its correction, its variance and covariance with z² |
| P, Q, R, S, T, U | the same | its first and second change under training |
| V_(ab)(cd), G1_ab | `kernel_and_vertex`, `kernel_correction` | the same for several inputs |
| τ, γ | `recursion(…, skip=γ)` | three-point vertex of residual networks |
| H, dH, ddH | `ntk`, `dntk`, `ddntk` | the tensors of a given network |
"""

from .empirical import ddntk, dntk, layer_rates, ntk
from .exact import linear_moment, relu_log, relu_moment
from .information import layer_information, layer_information_exact, optimal_aspect_ratio
from .kernel_change import trained_kernel_change
from .recursion import FiniteWidth, recursion
from .sampling import TangentSample, sample_kernels, sample_ntk, sample_residual
from .vertex import kernel_and_vertex, kernel_correction

__all__ = [
    "FiniteWidth",
    "TangentSample",
    "ddntk",
    "dntk",
    "kernel_and_vertex",
    "kernel_correction",
    "layer_information",
    "layer_information_exact",
    "layer_rates",
    "linear_moment",
    "ntk",
    "optimal_aspect_ratio",
    "recursion",
    "relu_log",
    "relu_moment",
    "sample_kernels",
    "sample_ntk",
    "sample_residual",
    "trained_kernel_change",
]
