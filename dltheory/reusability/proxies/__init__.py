"""Zero-cost proxies: scores of an untrained network, peers of the reusability prior.

Each is `proxy(apply, params, x, y=None) -> scalar` in float64, a pure function that may be jitted, and vmapped over params: `apply(params,
x)` returns `Activations`, or logits where a proxy needs no more; x (n, …) is a batch, y (n,) its integer labels, where there is a loss.

| proxy | what it is | needs | a trap |
| --- | --- | --- | --- |
| `synflow` | log Σ \\|w\\| ∂R/∂\\|w\\|, R = Σ outputs of \\|w\\| on ones | x's shape | overflows in float32; normalisers off |
| `snip` | Σ \\|w ∂L/∂w\\| | y | |
| `grasp` | -Σ w (H ∂L/∂w) | y | either sign; kinks hide curvature |
| `grad_norm` | Σ over arrays \\|∂L/∂w\\| | y | not invariant under rescaling of layers |
| `fisher` | Σ (h ∂L/∂h)²/2, means over the batch | y, hidden, patch | |
| `jacob_cov` | -Σ log(σ + k) + 1/(σ + k), σ of input Jacobians' correlations | x | -1/k for each σ = 0 |
| `naswot` | log det of agreements of activation patterns | hidden | singular for few units |
| `zen` | log ⟨\\|h(x) - h(x + αε)\\|⟩, x and ε Gaussian | x's shape, hidden | |
| `parameters`, `flops` | sizes of the model | x's shape | |

A network is in inference mode: no dropout, and examples do not see each other. L is the mean cross-entropy. Sums run over all arrays
of params, biases included. Abdelfattah et al., "Zero-cost proxies for lightweight NAS" (arXiv:2101.08134), section 3, made networks'
scores of pruning's; they sum over the weights of convolutions and linear layers only.
"""

from .flow import synflow, synflow_saliency
from .gradients import fisher, grad_norm, grasp, snip
from .separation import jacob_cov, naswot
from .size import flops, parameters
from .zen import zen

__all__ = [
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "jacob_cov",
    "naswot",
    "parameters",
    "snip",
    "synflow",
    "synflow_saliency",
    "zen",
]
