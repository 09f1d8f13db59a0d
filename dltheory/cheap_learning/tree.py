"""Polynomials as networks of gates: n numbers are multiplied by a binary tree of n-1 gates, 4(n-1) neurons in ⌈log₂ n⌉ layers.

A monomial of degree k is the product of one of degree p = 2^⌈log₂ k⌉/2 and one of degree k - p, which the layers before hold; what a
later layer needs is carried by copies. All monomials up to degree d in n variables take C(n+d, d) - n - 1 gates in ⌈log₂ d⌉ layers.
To first order the relative errors of a product add up: Σ over its gates of λ² c₄ (u²+v²), and λ² c₃ x² for each copy on the way.
Sources: Lin, Tegmark & Rolnick, arXiv:1608.08225, sections II D and III H (4(n-1) neurons; the "4n = 160" for 32 numbers must read
124); Rolnick & Tegmark, arXiv:1705.05502, section 4. The schedule, the errors and the quadratic forms are derived here.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..models.activations import Activation
from .gates import copy_bias, copy_error, copy_gate, gate_series, product_gate, square_gate
from .network import Network, beside


class Layer(NamedTuple):
    """What a layer of gates does with the values of the layer before, by their places there."""

    width: int
    """How many there are."""
    pairs: tuple[tuple[int, int], ...]
    """Multiplied."""
    kept: tuple[int, ...]
    """Copied; they come after the products."""


def product_tree(n: int, activation: str | Activation, scale: Any, bias: Any = 0.0, dtype: Any = float) -> Network:
    """x (…, n) ↦ x_1 ⋯ x_n by a binary tree: 4(n-1) neurons in ⌈log₂ n⌉ hidden layers, and 2 each time an odd value is carried on.

    `scale` λ multiplies the inputs of every gate. `ValueError` where |σ''(bias)| < 1e-12.
    """
    return polynomial(_all_of(n), [1.0], activation, scale, bias, dtype)


def product_tree_error(n: int, activation: str | Activation, scale: Any, bias: Any = 0.0) -> Callable[[Any], jax.Array]:
    """The relative error of `product_tree` to first order in λ², a function of x (…, n)."""
    error = polynomial_error(_all_of(n), [1.0], activation, scale, bias)
    return lambda x: error(x) / jnp.prod(jnp.asarray(x, float), -1)


def polynomial(
    exponents: Sequence[Sequence[int]],
    coefficients: Any,
    activation: str | Activation,
    scale: Any,
    bias: Any = 0.0,
    dtype: Any = float,
) -> Network:
    """x (…, n) ↦ Σ_j coefficients_j Π_i x_i^exponents_ji, for exponents (monomials, n): ⌈log₂ degree⌉ hidden layers.

    A product that several monomials need is made once, by 4 neurons; copies take 2 each, at the bias itself or, where σ' = 0, at the
    nearest where σ' is largest. `ValueError` where |σ''(bias)| < 1e-12.
    """
    layers, held = _schedule(exponents)
    gate = product_gate(activation, bias, scale, dtype)
    copies = any(layer.kept for layer in layers)
    copy = copy_gate(activation, copy_bias(activation, bias), scale, dtype) if copies else gate
    return _assemble(layers, gate, copy, *_readout(exponents, coefficients, held))


@functools.partial(jax.jit, static_argnums=0)
def _assemble(layers: tuple[Layer, ...], gate: Network, copy: Network, readout: jax.Array, constant: jax.Array) -> Network:
    """The layers of gates and copies, one after the other, and the sum of what the last one holds."""
    dtype = gate.weights[0].dtype
    line = lambda w, b: Network.of([(w, b)], gate.activation, dtype)
    width = layers[0].width if layers else len(readout)
    net = line(np.eye(width), 0.0)
    for layer in layers:
        chosen = np.eye(layer.width)[:, [i for pair in layer.pairs for i in pair] + list(layer.kept)]
        parts = [_copies(one, len(places)) for one, places in ((gate, layer.pairs), (copy, layer.kept)) if places]
        net = net.then(line(chosen, 0.0)).then(beside(*parts))
    return net.then(line(readout[:, None], constant))


def polynomial_error(
    exponents: Sequence[Sequence[int]], coefficients: Any, activation: str | Activation, scale: Any, bias: Any = 0.0
) -> Callable[[Any], jax.Array]:
    """The error of `polynomial` to first order in λ², a function of x (…, n)."""
    layers, held = _schedule(exponents)
    readout, _ = _readout(exponents, coefficients, held)
    c4 = gate_series(activation, bias).c4
    c3 = copy_error(activation, copy_bias(activation, bias)) if any(layer.kept for layer in layers) else 0.0

    def error(x):
        value = jnp.asarray(x, float)
        relative = jnp.zeros_like(value)
        for _, pairs, kept in layers:
            i, j, k = *np.array(pairs, int).T, np.array(kept, int)
            u, v, x = value[..., i], value[..., j], value[..., k]
            products = relative[..., i] + relative[..., j] + scale**2 * c4 * (u**2 + v**2)
            relative = jnp.concatenate([products, relative[..., k] + scale**2 * c3 * x**2], -1)
            value = jnp.concatenate([u * v, x], -1)
        return (value * relative) @ readout

    return error


def quadratic_form(matrix: Any, activation: str | Activation, scale: Any, bias: Any = 0.0, dtype: Any = float) -> Network:
    """x (…, n) ↦ xᵀ matrix x by one square along each eigenvector of the symmetric part: 2 neurons for each eigenvalue that is not 0.

    One gate for each of the n(n+1)/2 products would take 2n(n+1) neurons.
    """
    symmetric = (np.asarray(matrix, float) + np.asarray(matrix, float).T) / 2
    values, vectors = np.linalg.eigh(symmetric)
    some = np.abs(values) > len(values) * np.finfo(float).eps * np.abs(values).max()
    squares = _copies(square_gate(activation, bias, scale, dtype), int(some.sum()))
    rotate, weigh = (Network.of([(w, 0.0)], activation, dtype) for w in (vectors[:, some], values[some, None]))
    return rotate.then(squares).then(weigh)


def polynomial_gates(variables: int, degree: int) -> int:
    """Product gates for all monomials up to a degree: C(n+d, d) - n - 1, of C(n+d, d) monomials."""
    return math.comb(variables + degree, degree) - variables - 1


def _all_of(n: int) -> list[list[int]]:
    if n < 1:
        raise ValueError(f"n={n}: must be ≥ 1")
    return [[1] * n]


def _monomials(exponents) -> list[tuple[int, ...]]:
    """The variables of each monomial in order, each as often as its exponent says."""
    return [tuple(np.repeat(np.arange(len(row)), row).tolist()) for row in exponents]


def _schedule(exponents) -> tuple[tuple[Layer, ...], list[tuple[int, ...]]]:
    """The layers of gates, first first, and the monomials that the last one holds."""
    wanted = [m for m in dict.fromkeys(_monomials(exponents)) if m]
    steps = []
    for level in reversed(range(math.ceil(math.log2(max(map(len, wanted), default=1))))):
        cut = 2**level
        made, kept = [m for m in wanted if len(m) > cut], [m for m in wanted if len(m) <= cut]
        steps.append((cut, made, kept))
        wanted = list(dict.fromkeys([part for m in made for part in (m[:cut], m[cut:])] + kept))
    held = [(i,) for i in range(len(exponents[0]))]
    layers = []
    for cut, made, kept in reversed(steps):
        place = {m: i for i, m in enumerate(held)}
        pairs = tuple((place[m[:cut]], place[m[cut:]]) for m in made)
        layers.append(Layer(len(held), pairs, tuple(place[m] for m in kept)))
        held = made + kept
    return tuple(layers), held


def _readout(exponents, coefficients, held) -> tuple[jax.Array, jax.Array]:
    """Weights of what is held, and the constant term."""
    coefficients = jnp.asarray(coefficients, float)
    rows = np.array([[float(m == h) for h in [*held, ()]] for m in _monomials(exponents)])
    weights = coefficients @ rows
    return weights[:-1], weights[-1]


def _copies(gate: Network, count: int) -> Network:
    """`count` of one gate side by side."""
    weights = tuple(jnp.kron(jnp.eye(count, dtype=w.dtype), w) for w in gate.weights)
    return Network(weights, tuple(jnp.tile(b, count) for b in gate.biases), gate.activation)
