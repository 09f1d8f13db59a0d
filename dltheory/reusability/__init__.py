"""The reusability prior: contexts of parameters, counted in any JAX program, and what they say about a model before it is trained.

| symbol | name | meaning |
| --- | --- | --- |
| C_w | `count_contexts`, `Trace.counts` | contexts of a parameter: paths from its uses to the outputs |
| T_w | the same, `kind="through"` | paths from the inputs through it to the outputs |
| B(v), F(v) | `Graph.paths_to_outputs`, `Graph.paths_from_inputs` | paths from a node to the outputs, and from the inputs to it |
| N_I, N_O, N_W | `Trace.inputs`, `Trace.outputs`, `Trace.weight_nodes` | input, output and weight nodes, the last before tying |
| N_G, Z, p, H, E[log C], S_G, P_S, P_E | `summary` | parameters, partition function, its entropy, spread, surprisal and the two scores |
| m_i, C_i | `Histogram` | how many parameters have each count |
| E_i, g_i, T | `boltzmann` | energies ln C, or any others, prior weights and temperature |

`plan` counts large networks by their layers, `sharing` ties them, `efficientnet` and `resnet` hold the published ones; `graph` and
`drawing` draw small ones; `proxies` are what others compare untrained networks by.

Source: Polat & Alpaslan, "The reusability prior: comparing deep learning models without training", Mach. Learn.: Sci. Technol. 4
(2023) 025011; Polat, PhD thesis, METU (2023); the software gozepolat/priors 1.0.0.
"""

from .ensemble import Ensemble, boltzmann
from .graph import Arc, Graph
from .histogram import Histogram
from .summary import Reuse, summary
from .trace import Trace, count_contexts, trace

__all__ = ["Arc", "Ensemble", "Graph", "Histogram", "Reuse", "Trace", "boltzmann", "count_contexts", "summary", "trace"]
