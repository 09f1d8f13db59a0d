"""Four neurons multiply: gates that are exact in the limit of small weights, their errors, and the best weights in finite precision.

With a = λ(u+v), b = λ(u-v) and every bias at u₀, odd orders cancel in
    m(u, v) = [σ(u₀+a) + σ(u₀-a) - σ(u₀+b) - σ(u₀-b)] / (4 σ'' λ²)
            = u v [1 + λ² c₄ (u²+v²) + λ⁴ c₆ (3u⁴ + 10u²v² + 3v⁴) + O(λ⁶)],   c₄ = σ''''/(6 σ''),  c₆ = σ⁽⁶⁾/(360 σ'').
Where σ'''' = 0 and σ'' ≠ 0 the error is of fourth order. In precision ε a sum of numbers of size σ errs by ε σ, so that the relative
error A λ^p + B ε/λ², p = 2 or 4, is least at λ* = (2 B ε/(p A))^(1/(p+2)).
The same way two neurons square or copy a number.
Sources: Lin, Tegmark & Rolnick, arXiv:1608.08225, section II D and figure 2, where "λ → ∞" must read λ → 0 and the sigmoid needs a bias;
Rolnick & Tegmark, arXiv:1705.05502, section 4 (squares). The series, the offsets and the rounding law are derived here.
"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..models.activations import Activation, spelling
from ..models.activations import activation as function_of
from .derivatives import derivatives
from .network import Network, beside

LEAST_DERIVATIVE = 1e-12
"""A derivative below this is zero."""


class GateSeries(NamedTuple):
    """Relative error of a product gate, λ² c₄ (u²+v²) + λ⁴ c₆ (3u⁴+10u²v²+3v⁴) + O(λ⁶)."""

    c4: Any
    c6: Any

    def error(self, u: Any, v: Any, scale: Any) -> Any:
        """m/(uv) - 1 to fourth order in the scale λ; shapes broadcast."""
        return scale**2 * self.c4 * (u**2 + v**2) + scale**4 * self.c6 * (3 * u**4 + 10 * u**2 * v**2 + 3 * v**4)


class BestScale(NamedTuple):
    """The scale λ* at which truncation and rounding err least together, and that relative error."""

    scale: jax.Array
    error: jax.Array


def product_gate(activation: str | Activation, bias: Any, scale: Any, dtype: Any = float) -> Network:
    """(u, v) ↦ u v with 4 neurons at `bias` u₀ and input weights ± `scale` λ (a traced scale is not checked against rounding).

    `ValueError` where |σ''(u₀)| < 1e-12. Warns if for inputs of size 1 rounding in `dtype` errs three times as much as the best scale does.
    """
    s2 = _derivative(activation, 2, bias)
    _warn_of_rounding(activation, bias, scale, dtype)
    signs = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    out = np.array([[1.0], [1.0], [-1.0], [-1.0]]) / (4 * s2 * scale**2)
    return Network.of([(scale * signs, bias), (out, 0.0)], activation, dtype)


def even_product_gate(activation: str | Activation, bias: Any, scale: Any, dtype: Any = float) -> Network:
    """(u, v) ↦ u v with 2 neurons where σ is even about u₀, as cos and exp(-z²/2) are about 0: [σ(u₀+a) - σ(u₀+b)] / (2 σ'' λ²).

    `ValueError` where an odd derivative up to the fifth is not zero, and as for `product_gate`.
    """
    s2, odd = _derivative(activation, 2, bias), _taylor(activation, bias)[1::2]
    if not _traced(odd) and np.abs(odd).max() > LEAST_DERIVATIVE:
        raise ValueError(f"bias={bias}: {spelling(activation)} must be even about it")
    _warn_of_rounding(activation, bias, scale, dtype)
    signs = np.array([[1.0, 1.0], [1.0, -1.0]])
    return Network.of([(scale * signs, bias), (np.array([[1.0], [-1.0]]) / (2 * s2 * scale**2), 0.0)], activation, dtype)


def extrapolated_gate(activation: str | Activation, bias: Any, scale: Any, dtype: Any = float) -> Network:
    """(u, v) ↦ u v with 8 neurons, (4 m_{λ/2} - m_λ)/3: the error of second order cancels at any bias (Richardson)."""
    both = beside(*(product_gate(activation, bias, s, dtype) for s in (scale / 2, scale)))
    twice, combine = np.tile(np.eye(2), 2), np.array([[4 / 3], [-1 / 3]])
    return Network.of([(twice, 0.0)], activation, dtype).then(both).then(Network.of([(combine, 0.0)], activation, dtype))


def square_gate(activation: str | Activation, bias: Any, scale: Any, dtype: Any = float) -> Network:
    """x ↦ x² with 2 neurons and an output bias, [σ(u₀+λx) + σ(u₀-λx) - 2σ(u₀)] / (σ'' λ²) = x² [1 + λ² c₄ x²/2 + …].

    Rolnick & Tegmark count a third, constant neuron for the bias. `ValueError` where |σ''(u₀)| < 1e-12.
    """
    s2 = _derivative(activation, 2, bias)
    _warn_of_rounding(activation, bias, scale, dtype)
    out = np.ones((2, 1)) / (s2 * scale**2)
    return Network.of([(scale * np.array([[1.0, -1.0]]), bias), (out, -2 * _value(activation, bias, dtype) * out[0])], activation, dtype)


def copy_gate(activation: str | Activation, bias: Any, scale: Any, dtype: Any = float) -> Network:
    """x ↦ x with 2 neurons, [σ(u₀+λx) - σ(u₀-λx)] / (2 σ' λ) = x [1 + λ² σ'''/(6 σ') x² + …].

    `ValueError` where |σ'(u₀)| < 1e-12.
    """
    s1 = _derivative(activation, 1, bias)
    out = np.array([[1.0], [-1.0]]) / (2 * s1 * scale)
    return Network.of([(scale * np.array([[1.0, -1.0]]), bias), (out, 0.0)], activation, dtype)


def gate_series(activation: str | Activation, bias: Any) -> GateSeries:
    """c₄ and c₆ at `bias`; `ValueError` where |σ''| < 1e-12."""
    _derivative(activation, 2, bias)
    return _series(_taylor(activation, bias))


def copy_error(activation: str | Activation, bias: Any) -> Any:
    """c₃ = σ'''/(6 σ') at `bias`: a copied number x has the relative error λ² c₃ x²; 0 where σ is linear + even, as softplus is at 0."""
    s = _taylor(activation, bias)
    return s[3] / (6 * s[1])


def copy_bias(activation: str | Activation, bias: Any) -> Any:
    """Where copies stand beside gates at `bias`: there, or if σ' = 0 there, at the nearest where |σ'| is largest."""
    s1 = _taylor(activation, bias)[1]
    near = None if _traced(s1) or abs(s1) >= LEAST_DERIVATIVE else nearest_offset(activation, 1, bias)
    return bias if near is None else near


def fourth_order_offsets(activation: str | Activation, low: float = -5.0, high: float = 5.0) -> np.ndarray:
    """Biases in [low, high] where σ'''' changes sign and σ'' ≠ 0, so that the product gate errs by λ⁴ only: (offsets,), to 1e-12."""
    return _zeros(activation, 4, low, high, 2)[0]


def strongest_offsets(activation: str | Activation, order: int, low: float = -5.0, high: float = 5.0) -> np.ndarray:
    """Biases in [low, high] where |σ^(order)| is largest nearby, which amplify rounding least, for order ≤ 4: (offsets,), to 1e-12."""
    zeros, s = _zeros(activation, order + 1, low, high, order)
    return zeros[s[order + 2] * s[order] < 0]


def nearest_offset(activation: str | Activation, order: int, bias: float) -> float | None:
    """The one of the `strongest_offsets` in [-5, 5] that is nearest to `bias`, the upper of two; None if there is none."""
    return min(strongest_offsets(activation, order).tolist(), key=lambda at: (round(abs(at - bias), 9), -at), default=None)


def predicted_error(activation: str | Activation, bias: Any, scale: Any, size: Any = 1.0, dtype: Any = float) -> Any:
    """Relative error of a product gate for inputs |u| = |v| = `size` in `dtype`: the |c₄| and |c₆| terms of its series, and rounding.

    The sum 4 σ'' λ² u v of four values errs by about ε times their size, which is σ and, where σ = 0, √2 σ' λ `size`; their arguments
    err by ε u₀. That scatter is good to a factor 2. `ValueError` where |σ''| < 1e-12.
    """
    _derivative(activation, 2, bias)
    s, x = _taylor(activation, bias), scale * size
    return _truncation(s, x) + _rounding(s, bias, x, _eps(dtype))


def best_scale(activation: str | Activation, bias: Any, size: Any = 1.0, dtype: Any = float) -> BestScale:
    """Where `predicted_error`, truncation A λ^p and rounding B ε/λ^q, is least: λ* = (q B ε/(p A))^(1/(p+q)).

    p = 2 and A = 2|c₄| size², or p = 4 and A = 16|c₆| size⁴ where c₄ = 0; q = 2, or q = 1 where σ = 0 and u₀ = 0. So the least error is
    of order ε^(1/2) in general, ε^(2/3) at an offset of fourth order, and ε^(2/3) for GELU and SiLU at 0.
    """
    _derivative(activation, 2, bias)
    x, error = _evaluate(_best, _taylor(activation, bias), bias, _eps(dtype))
    return BestScale(x / size, error)


def _series(s) -> GateSeries:
    return GateSeries(s[4] / (6 * s[2]), s[6] / (360 * s[2]))


def _truncation(s, x):
    c4, c6 = _series(s)
    return GateSeries(abs(c4), abs(c6)).error(x, x, 1.0)


def _rounding(s, bias, x, eps):
    return eps * jnp.sqrt(s[0] ** 2 + (bias * s[1]) ** 2 + 2 * (x * s[1]) ** 2) / (4 * abs(s[2]) * x**2)


@jax.jit
def _best(s, bias, eps):
    """λ times the size, by bisection between 1e-12 and 1e4, for the errors are convex in ln λ; and the least error."""
    error = lambda t: _truncation(s, jnp.exp(t)) + _rounding(s, bias, jnp.exp(t), eps)

    def halve(_, ends):
        middle = sum(ends) / 2
        rises = jax.grad(error)(middle) > 0
        return jnp.where(rises, ends[0], middle), jnp.where(rises, middle, ends[1])

    t = jax.lax.fori_loop(0, 60, halve, (jnp.log(1e-12), jnp.log(1e4)))[0]
    return jnp.exp(t), error(t)


def _evaluate(function, *numbers) -> Any:
    """function(*numbers): on the host unless one of them is traced, also while something else is."""
    if _traced(*numbers):
        return function(*numbers)
    with jax.ensure_compile_time_eval():
        return jax.tree.map(np.asarray, function(*numbers))


def _taylor(activation, bias) -> Any:
    """σ … σ⁽⁶⁾ at the bias."""
    return _evaluate(lambda u: derivatives(activation, u, 6), bias)


def _eps(dtype) -> float:
    return float(jnp.finfo(dtype).eps)


def _derivative(activation, order, bias) -> Any:
    """σ^(order)(u₀), refused where it is zero."""
    s = _taylor(activation, bias)[order]
    if not _traced(s) and abs(s) < LEAST_DERIVATIVE:
        near, primes = nearest_offset(activation, order, bias), "'" * order
        what = f"bias={float(bias):g}: {spelling(activation)} has σ{primes}=0 there; must have |σ{primes}| ≥ {LEAST_DERIVATIVE:g}"
        raise ValueError(f"{what}, {'which it has nowhere in [-5, 5]' if near is None else f'nearest usable is {near:.7g}'}")
    return s


def _warn_of_rounding(activation, bias, scale, dtype) -> None:
    if _traced(bias, scale):
        return
    s, eps = _taylor(activation, bias), _eps(dtype)
    best, error = map(float, _evaluate(_best, s, bias, eps))
    noise = float(_evaluate(_rounding, s, bias, scale, eps))
    if scale < best and noise > 3 * error:
        text = f"scale={scale:g}: rounds to {noise:.1g} in {jnp.dtype(dtype).name} for inputs of size 1"
        warnings.warn(f"{text}; best is {best:.2g}, with error {error:.1g}", stacklevel=3)


def _zeros(activation, order, low, high, other) -> tuple[np.ndarray, np.ndarray]:
    """Where σ^(order) changes sign continuously in [low, high] and σ^(other) ≠ 0 (zeros,), and σ … σ⁽⁶⁾ there (7, zeros)."""
    found = [(np.empty(0), np.empty((7, 0)))]
    for left, right in _changes(activation, order, low, high):
        for _ in range(4):
            ((left, right),) = _changes(activation, order, left, right)[:1]
        at = np.array([right])
        s = _taylor(activation, at)
        if abs(s[other]) > LEAST_DERIVATIVE and abs(s[order]) < 1e-9 * abs(s[other]):
            found.append((at, s))
    return np.concatenate([at for at, _ in found]), np.concatenate([s for _, s in found], 1)


def _changes(activation, order, low, high) -> list[tuple[float, float]]:
    """Neighbours among a thousand points in [low, high] between which σ^(order) changes sign."""
    grid = np.linspace(low, high, 1001)
    negative = _taylor(activation, grid)[order] < 0
    return [(grid[i], grid[i + 1]) for i in np.flatnonzero(negative[1:] != negative[:-1])]


def _value(activation, bias, dtype) -> jax.Array:
    return function_of(activation)(jnp.asarray(bias, dtype)).astype(float)


def _traced(*values) -> bool:
    return any(isinstance(v, Tracer) for v in values)
