"""Cheap learning: what few neurons can do for the functions that physics and text are made of.

| symbol | name | meaning |
| --- | --- | --- |
| f = A_D φ(… φ(A_1 x)) | `Network` | weights set by hand, a member of the model zoo that counts its neurons and synapses |
| λ, u₀ | `scale`, `bias` | what multiplies the inputs of a gate, and the point where it stands |
| β | `beta` | gain of a product of bits |
| h_K, J_K | `walsh.moebius`, `walsh.walsh` | a function of bits as a sum of products of bits, of spins |
| H_c, μ_c | `bayes_posterior`, `softmax_network` | -ln p(y given c), -ln p(c) |
| M_i, T_i | `Hierarchy`, `distil` | kernels of a Markov hierarchy, its minimal sufficient statistics |
| N_n, N_s | `neurons`, `synapses` | size of a network |
| λ₂, k | `sequences`, `decay` | second eigenvalue of a chain; power with which a tree's mutual information falls |

Sources: Lin, Tegmark & Rolnick, "Why does deep and cheap learning work so well?" (arXiv:1608.08225); Rolnick & Tegmark, "The power
of deeper networks for expressing natural functions" (arXiv:1705.05502); Lin & Tegmark, "Critical behavior in physics and
probabilistic formal languages" (arXiv:1606.06737).
"""

from .bits import bit_product, hamiltonian_network
from .depth import best_split, depth_product
from .derivatives import derivatives
from .flat import flat_product, shallow_monomial
from .gates import best_scale, copy_gate, fourth_order_offsets, gate_series, product_gate, square_gate
from .hierarchy import Hierarchy, distil, minimal_sufficient_statistic
from .network import Network, affine, beside
from .posterior import bayes_posterior, gaussian_network, softmax_network
from .tree import polynomial, product_tree, quadratic_form

__all__ = [
    "Hierarchy",
    "Network",
    "affine",
    "bayes_posterior",
    "beside",
    "best_scale",
    "best_split",
    "bit_product",
    "copy_gate",
    "depth_product",
    "derivatives",
    "distil",
    "flat_product",
    "fourth_order_offsets",
    "gate_series",
    "gaussian_network",
    "hamiltonian_network",
    "minimal_sufficient_statistic",
    "polynomial",
    "product_gate",
    "product_tree",
    "quadratic_form",
    "shallow_monomial",
    "softmax_network",
    "square_gate",
]
