"""What the counts of contexts say about a model as a whole: partition function, spread, entropy, surprisal, and two scores.

Over the N_G distinct parameters i with C_i ≥ 1 contexts,

    Z = Σ C_i,   p_i = C_i / Z,   H = -Σ p_i log p_i,   E[log C] = Σ p_i log C_i,   H + E[log C] = log Z,
    S_G = -Σ log p_i = N_G log Z - Σ log C_i

and with |G| = N_I + N_O + N_W nodes, all logarithms to base 2, the estimates of performance are

    P_S = log2( S_G N_I / |G| ),    P_E = log2( N_G (E[log2 C] + 1) N_I / |G| ).

N_W counts weight nodes before layers are tied, N_G distinct parameters after, so that both scores charge tying with the ratio of
the two. Sums run over classes of equal counts, so that any size is exact to rounding.

Source: Polat & Alpaslan, Mach. Learn.: Sci. Technol. 4 (2023) 025011, and the software gozepolat/priors; theory page 1.1 and 2.1.
"""

import math
from typing import Any

import numpy as np

from ..record import array, record
from .histogram import Histogram


@record
class Reuse:
    """Logarithms are in the unit that was asked for; the two scores are from bits always."""

    parameters: Any = array("N_G: distinct parameters with a context")
    weight_nodes: Any = array("N_W: weight nodes before tying")
    inputs: Any = array("N_I: input nodes")
    outputs: Any = array("N_O: output nodes")
    log_partition: Any = array("log Z")
    expected_spread: Any = array("E[log C]")
    entropy: Any = array("H")
    total_surprisal: Any = array("S_G = N_G log Z - Σ log C")
    total_bits: Any = array("Σ log C")
    spread_per_parameter: Any = array("E[log C] / N_G")
    spread_ratio: Any = array("E[log C] / log Z; 0 for a single parameter with one context")
    entropy_deficit: Any = array("log N_W - H")
    sharing_deficit: Any = array("log N_W - log N_G")
    largest: Any = array("log of the largest C")
    surprisal_score: Any = array("P_S; -inf for a single parameter", "bit")
    spread_score: Any = array("P_E", "bit")


def summary(counts: Any, inputs: int, outputs: int, weight_nodes: int | None = None, unit: str = "bits") -> Reuse:
    """Summarise counts: anything of which `Histogram.of` makes a histogram.

    `inputs` and `outputs` are the numbers N_I and N_O of input and output nodes, `weight_nodes` is N_W and without tying equals N_G;
    `unit` is bits or nats.
    `ValueError` for sizes below 1, N_W below N_G, an unknown unit, and counts that are none.
    """
    histogram = Histogram.of(counts)
    N_G, m, log_C = histogram.parameters, histogram.multiplicity, histogram.log2
    N_W = N_G if weight_nodes is None else weight_nodes
    for name, value, least in (("inputs", inputs, 1), ("outputs", outputs, 1), ("weight_nodes", N_W, N_G)):
        if value < least:
            raise ValueError(f"{name}={value}: must be ≥ {least}")
    if unit not in ("bits", "nats"):
        raise ValueError(f"unit={unit}: must be one of bits, nats")
    log_Z, p = histogram.log_partition, histogram.probabilities
    spread, total = float(p @ log_C), float(m @ log_C)
    surprisal = N_G * log_Z - total
    share = inputs / (inputs + outputs + N_W)
    entropy = float(p @ (log_Z - log_C))
    scale = 1.0 if unit == "bits" else math.log(2)
    return Reuse(
        parameters=N_G,
        weight_nodes=N_W,
        inputs=inputs,
        outputs=outputs,
        log_partition=scale * log_Z,
        expected_spread=scale * spread,
        entropy=scale * entropy,
        total_surprisal=scale * surprisal,
        total_bits=scale * total,
        spread_per_parameter=scale * spread / N_G,
        spread_ratio=spread / log_Z if log_Z else 0.0,
        entropy_deficit=scale * (math.log2(N_W) - entropy),
        sharing_deficit=scale * (math.log2(N_W) - math.log2(N_G)),
        largest=scale * float(np.max(log_C)),
        surprisal_score=math.log2(surprisal * share) if surprisal > 0 else -math.inf,
        spread_score=math.log2(N_G * (spread + 1) * share),
    )
