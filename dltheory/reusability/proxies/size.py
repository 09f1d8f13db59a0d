"""How large a model is: parameters, and floating-point operations for one example.

A product of matrices, or a convolution, costs 2 operations for each pair of numbers that meet: a multiplication and an addition. Zeros
that a convolution pads with, and those between dilated inputs, are not numbers that meet. Every other arithmetic costs 1 for each number
it makes, or takes in if it sums; moving and comparing numbers is free. Loops of fixed length count as often as they run, which the
compiler's own cost analysis does not do; elsewhere the two agree on matrices and convolutions.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...models import Apply
from .network import batch, output

ELEMENTWISE = frozenset(
    "abs acos acosh add add_any asin asinh atan atan2 atanh cbrt ceil cos cosh digamma div erf erf_inv erfc exp exp2 expm1 floor "
    "integer_pow lgamma log log1p logistic max min mul neg pow rem round rsqrt sign sin sinh sqrt square sub tan tanh".split()
)
SUMMING = ("reduce_", "cum", "argm")


def parameters(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """Numbers in params."""
    return jnp.asarray(float(sum(np.size(w) for w in jax.tree.leaves(params))))


def flops(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """Operations that the output of one example x (1, …) takes. Raises ValueError for a loop whose length depends on the data."""
    program = jax.make_jaxpr(lambda p: output(apply(p, batch(p, jnp.asarray(x)[:1]))))(jax.tree.map(_shape, params))
    return jnp.asarray(float(_operations(program.jaxpr)))


def _shape(a: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(jnp.shape(a), jnp.result_type(a))


def _operations(program: Any) -> int:
    return sum(_cost(equation) for equation in program.eqns)


def _cost(equation: Any) -> int:
    name, how = equation.primitive.name, equation.params
    taken, made = (math.prod(v[0].aval.shape) if v else 0 for v in (equation.invars, equation.outvars))
    if name == "while":
        raise ValueError("while: must be a loop of fixed length, a scan")
    if name == "scan":
        return how["length"] * _operations(how["jaxpr"].jaxpr)
    if name == "cond":
        return max(_operations(branch.jaxpr) for branch in how["branches"])
    if name == "dot_general":
        (summed, _), _ = how["dimension_numbers"]
        return 2 * made * math.prod(equation.invars[0].aval.shape[axis] for axis in summed)
    if name == "conv_general_dilated":
        return 2 * _met(equation)
    if name.startswith("reduce_window"):
        return made * math.prod(how["window_dimensions"])
    if inner := list(_programs(how)):
        return sum(map(_operations, inner))
    if not jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating):
        return 0
    return made if name in ELEMENTWISE else taken if name.startswith(SUMMING) else 0


def _met(equation: Any) -> int:
    """Pairs of an input and a kernel entry that a convolution multiplies."""
    (image, kernel), how = (v.aval.shape for v in equation.invars), equation.params
    lhs, rhs, out = how["dimension_numbers"]
    made = equation.outvars[0].aval.shape
    pairs = made[out[0]] * made[out[1]] * kernel[rhs[1]]
    axes = zip(lhs[2:], rhs[2:], out[2:], how["window_strides"], how["padding"], how["lhs_dilation"], how["rhs_dilation"], strict=True)
    for i, k, o, stride, (low, _), between, apart in axes:
        at = np.arange(made[o])[:, None] * stride + np.arange(kernel[k]) * apart - low
        pairs *= int(np.sum((at >= 0) & (at <= (image[i] - 1) * between) & (at % between == 0)))
    return pairs


def _programs(how: Any) -> Iterator[Any]:
    """Programs that an equation, such as a call of a jitted function, runs once."""
    for value in how.values():
        if hasattr(value, "jaxpr"):
            yield value.jaxpr
        elif hasattr(value, "eqns"):
            yield value
