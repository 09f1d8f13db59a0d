"""Products of n numbers in k hidden layers: between 2^n neurons and 4(n-1).

Layer i multiplies groups of b_i values, each by a flat product of 2^{b_i} neurons, so that n = b_1 ⋯ b_k and
    m = Σ_i 2^{b_i} Π_{j>i} b_j.
Over real b_i it is least where b_i = b_{i-1} + log₂(b_{i-1} - 1/ln 2), and equal groups give O(n^{(k-1)/k} 2^{n^{1/k}}). That m_k grows
like 2^{Θ(n^{1/k})} for every network is a conjecture; then layers of at most about 1000 neurons need k ≥ log₁₀ n.

Source: Rolnick & Tegmark, arXiv:1705.05502, theorem 5.1 and section 5.2 (the conjecture is 5.2 there).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..models.activations import Activation
from .flat import flat_product
from .network import Network, beside


def depth_product(split: Sequence[int], activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n) ↦ x_1 ⋯ x_n in len(split) hidden layers, layer i multiplying groups of split_i neighbours; n = Π split_i.

    Every group is a `flat_product` with input weights ± `scale`, and raises as that does.
    """
    groups, layers = math.prod(split), []
    for b in split:
        groups //= b
        layers.append(beside(*[flat_product(b, activation, scale, bias)] * groups))
    net = layers[0]
    for layer in layers[1:]:
        net = net.then(layer)
    return net


def depth_neurons(split: Sequence[float] | np.ndarray) -> float:
    """m = Σ_i 2^{b_i} Π_{j>i} b_j; exact for integers, however large."""
    return sum(2**b * math.prod(split[i + 1 :]) for i, b in enumerate(split))


def splits(n: int, layers: int) -> Iterator[tuple[int, ...]]:
    """All ways to write n as an ordered product of so many whole numbers ≥ 2."""
    if layers == 1:
        yield from [(n,)] * (n > 1)
        return
    for b in range(2, n // 2 + 1):
        if n % b == 0:
            yield from ((b, *rest) for rest in splits(n // b, layers - 1))


def best_split(n: int, layers: int) -> tuple[int, ...]:
    """The cheapest of the `splits`; `ValueError` if n has fewer factors than there are layers."""
    found = min(splits(n, layers), key=depth_neurons, default=None)
    if found is None:
        raise ValueError(f"layers={layers}: must be at most the number of prime factors of n={n}")
    return found


def optimal_widths(n: float, layers: int) -> np.ndarray:
    """The real b_1 … b_k with product n at which m is stationary, (layers,): b_1 is found by bisection, the others follow from it.

    They increase where b_1 > 1 + 1/ln 2 = 2.44. `ValueError` where n is so small that there is no such point with b_1 ≤ n.
    """
    from scipy.optimize import bisect

    def chain(first):
        b = [first]
        while len(b) < layers and b[-1] > 1 / math.log(2):
            b.append(b[-1] + math.log2(b[-1] - 1 / math.log(2)))
        return np.array(b)

    def excess(first):
        b = chain(first)
        return math.log(b.prod() / n) if len(b) == layers and b[-1] > 0 else -1.0

    if excess(n) < 0:
        raise ValueError(f"n={n}: must be larger for layers={layers}")
    return chain(bisect(excess, 1, n, xtol=1e-15))


def depth_curve(n: float, layers: int) -> float:
    """n^{(k-1)/k} 2^{n^{1/k}}: the first layer of equal groups, which dominates."""
    return n ** ((layers - 1) / layers) * 2**n ** (1 / layers)
