"""Nonlinearities by name, as an expression of z, as "package.module:function", or as a JAX function."""

import difflib
import functools
import importlib
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .expression import CONSTANTS, FUNCTIONS, parse

Activation = Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda z: z,
    "relu": jax.nn.relu,
    "leaky_relu": lambda z: jnp.where(z > 0, z, 0.01 * z),
    "abs": jnp.abs,
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "erf": jax.lax.erf,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "swish": jax.nn.swish,
    "elu": jax.nn.elu,
    "exp": jnp.exp,
}
KINKED = frozenset({"relu", "leaky_relu", "abs"})
"""Not differentiable at zero."""
HOMOGENEOUS = KINKED | {"linear"}
"""φ(cz) = cφ(z) for c > 0: scaling every weight scales the function exactly."""


GRID = np.arange(-300, 301) / 100
"""Where an activation that is not ours must be finite."""


def activation(which: str | Activation) -> Activation:
    """The function that `which` says; the same function for the same text, so that it may be a static argument of a jit.

    `which` is a function itself, a name in ACTIVATIONS, an expression such as "z*tanh(softplus(z))" (its language is in
    `expression.py`), or "package.module:function", which is imported.
    Raises `ValueError("activation=<text>: <what is wrong>; <what is allowed>")`, always one line.
    """
    if callable(which):
        return which
    return ACTIVATIONS[which] if which in ACTIVATIONS else _made(which)


def spelling(which: str | Activation) -> str:
    """What messages call an activation: its text, its name in ACTIVATIONS, or its `__name__`."""
    if isinstance(which, str):
        return which
    names = (name for name, function in ACTIVATIONS.items() if function is which)
    return next(names, getattr(which, "__name__", type(which).__name__))


@functools.cache
def _made(text: str) -> Activation:
    try:
        function = _imported(text) if re.fullmatch(r"\w+(\.\w+)*:\w+", text) else _expressed(text)
        _check(function)
    except ValueError as error:
        shown = text if text.isprintable() else repr(text)
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        raise ValueError(f"activation={shown}: {' '.join(str(error).split())}") from None
    return function


def _expressed(text: str) -> Activation:
    if text.isidentifier() and text not in {"z", "where", *CONSTANTS, *FUNCTIONS}:
        near = difflib.get_close_matches(text, ACTIVATIONS, 1, 0)
        rest = "an expression in z or package.module:function"
        raise ValueError(f"must be one of {', '.join(ACTIVATIONS)}, {rest}; nearest is {' '.join(near)}")
    return parse(text.strip(), ACTIVATIONS)


def _imported(text: str) -> Activation:
    module, _, name = text.partition(":")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise ValueError(f"{module} does not import ({_say(error)}); must be package.module:function") from None
    if not hasattr(found, name):
        near = difflib.get_close_matches(name, [n for n, f in vars(found).items() if callable(f)], 1, 0)
        raise ValueError(f"{module} has no {name}; nearest is {' '.join(near) or 'nothing'}")
    if not callable(getattr(found, name)):
        raise ValueError(f"is of type {type(getattr(found, name)).__name__}; must be a function of an array")
    return getattr(found, name)


def _check(function: Activation) -> None:
    """Raise `ValueError` unless the function is elementwise, keeps the dtype, varies, and is finite with its derivative on GRID."""
    try:
        with jax.ensure_compile_time_eval():
            arrays = [jax.ShapeDtypeStruct((2, 3), dtype) for dtype in ("float32", "float64")]
            made = [jax.eval_shape(lambda z: function(z), array) for array in arrays]
            together = jax.jit(lambda z: function(z))(GRID)
            value, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda z: function(z))))(GRID)
    except Exception as error:
        raise ValueError(f"fails ({_say(error)}); must be a JAX function of an array, each number by itself") from None
    if made != arrays or not np.allclose(together, value, equal_nan=True):
        raise ValueError("makes other numbers of an array than of each by itself, or of another shape or dtype; must be elementwise")
    for what, numbers in (("it", value), ("its derivative", slope)):
        for z in GRID[~np.isfinite(numbers)][:1]:
            raise ValueError(f"{what} is {numbers[GRID == z][0]} at z={z:g}; must be finite for -3 ≤ z ≤ 3")
    if np.ptp(value) == 0:
        raise ValueError("is constant for -3 ≤ z ≤ 3; must depend on z")


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
