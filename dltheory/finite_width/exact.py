r"""Networks that are solved at any width: moments to all orders in 1/n.

*Deep linear*, C_b = 0: |z^(l+1)|² = C_W |z^(l)|² χ²_{n_{l+1}}/n_l, so moments of order 2k, in units of K^k and without their Wick
factor (2k-1)!!, are E S^k / K^k = Π_l Π_{j<k} (1 + 2j/n_l) over the hidden layers.

*ReLU*, C_b = 0, one input: S' = S X, X = (2/n) χ²_{Bin(n, ½)}, independent of S, so E S^k / K^k = Π_l E X_l^k: for k = 2 a factor
1 + 5/n, for k = 3 1 + 15/n + 44/n². Its logarithm is a sum of independent terms, normal in a deep network with mean -β/2 and
variance β = 5 Σ 1/n_l: the typical network is e^{-β/2} of the mean one.

Sources: Hanin & Nica (2020), "Products of many large random matrices and gradients in deep neural networks"; Hanin (2024).
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb, prod


def linear_moment(order: int, widths: Sequence[int]) -> float:
    """Moment of a deep linear network with these hidden widths; odd orders vanish. `ValueError` for a negative order or width < 1."""
    return float(prod((_product(Fraction(n), order // 2) / n ** (order // 2) for n in _checked(order, widths)), start=_even(order)))


def relu_moment(order: int, widths: Sequence[int]) -> float:
    """The same of a ReLU network, at one input. With B ~ Bin(n, ½), E f(B) = Σ_i Δⁱf(0) C(n, i)/2ⁱ for a polynomial f."""
    return float(prod((_relu_factor(order // 2, n) for n in _checked(order, widths)), start=_even(order)))


def relu_log(width: int) -> tuple[float, float]:
    """Mean and variance of log X for one ReLU layer that is not dead (some neuron is active; P(dead) = 2^-n)."""
    import numpy as np
    from scipy.special import digamma, polygamma
    from scipy.stats import binom

    b = np.arange(1, width + 1)
    p = binom.pmf(b, width, 0.5)
    p /= p.sum()
    logs = digamma(b / 2) + np.log(4 / width)
    mean = float(p @ logs)
    return mean, float(p @ (polygamma(1, b / 2) + (logs - mean) ** 2))


def _checked(order: int, widths: Sequence[int]) -> Sequence[int]:
    if order < 0:
        raise ValueError(f"order={order}: must be ≥ 0")
    if any(n < 1 for n in widths):
        raise ValueError(f"widths={list(widths)}: must be ≥ 1")
    return widths


def _even(order: int) -> Fraction:
    return Fraction(1 - order % 2)


def _product(b: Fraction, k: int) -> Fraction:
    """E (χ²_b)^k = Π_{j<k} (b + 2j)."""
    return prod((b + 2 * j for j in range(k)), start=Fraction(1))


def _relu_factor(k: int, n: int) -> Fraction:
    values = [_product(Fraction(b), k) for b in range(k + 1)]
    total = Fraction(0)
    for i in range(k + 1):
        total += values[0] * comb(n, i) / 2**i
        values = [b - a for a, b in pairwise(values)]
    return total * Fraction(2, n) ** k
