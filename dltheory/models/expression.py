"""A function of z from its text, as "z*tanh(softplus(z))" or "where(z > 0, z, z/5)", of which nothing is executed.

The syntax tree is walked, and only what is listed here has a meaning: z, numbers, pi, e, + - * / **, named functions, and
comparisons as the first argument of `where`. Numbers take the precision of z, and z**n with a whole n is a product, so that all
derivatives are right at zero.
"""

import ast
import difflib
import functools
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Function = Callable[..., Any]
Term = float | Function

CONSTANTS = {"pi": math.pi, "e": math.e}
OPERATORS: dict[type, Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: jnp.power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
COMPARISONS: dict[type, Function] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
FUNCTIONS: dict[str, Function] = {
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "sqrt": jnp.sqrt,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "tanh": jnp.tanh,
    "arctan": jnp.arctan,
    "arcsinh": jnp.arcsinh,
    "erf": jax.lax.erf,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
}
ARGUMENTS = {"maximum": 2, "minimum": 2, "where": 3}
LONGEST, DEEPEST, HIGHEST_PRODUCT = 300, 60, 100


def parse(text: str, functions: Mapping[str, Function]) -> Function:
    """The elementwise function that `text` spells with FUNCTIONS and `functions` of one argument.

    It takes an array of any shape and floating dtype, or a number, and keeps both.
    Raises `ValueError` with what is wrong and what is allowed.
    """
    names = {**FUNCTIONS, **functions}
    with jax.ensure_compile_time_eval():
        term = _read(_tree(text), names, 0)
    if isinstance(term, float):
        raise ValueError("has no z; must be a function of z")

    def function(z):
        z = jnp.asarray(z)
        return term(z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype(float))

    function.__name__ = function.__qualname__ = text
    return function


def _tree(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ValueError(f"has {len(text)} characters; at most {LONGEST} are allowed")
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        where = f"at character {error.offset}" if error.offset else "at the end"
        raise ValueError(f"{error.msg} {where}; must be an expression in z") from None
    except (ValueError, MemoryError, RecursionError):
        raise ValueError("cannot be read; must be an expression in z") from None


def _read(node: ast.AST, names: Mapping[str, Function], depth: int) -> Term:
    """The number or the function of z that a node of the syntax tree stands for."""
    if depth > DEEPEST:
        raise ValueError(f"is nested too deeply; at most {DEEPEST} levels are allowed")
    read = lambda inner: _read(inner, names, depth + 1)
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _finite(node, float(number))
        case ast.Name("z"):
            return lambda z: z
        case ast.Name(name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.Name(name) if name in names or name == "where":
            raise ValueError(f"{name} is a function; must be called, {name}(…)")
        case ast.Name(name):
            raise ValueError(f"no variable is called {name}; must be z, pi or e")
        case ast.UnaryOp(op, inner) if type(op) in OPERATORS:
            return _apply(node, OPERATORS[type(op)], read(inner))
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            base, other = read(left), read(right)
            if isinstance(op, ast.Pow) and isinstance(other, float) and other.is_integer() and abs(other) <= HIGHEST_PRODUCT:
                return _apply(node, functools.partial(jax.lax.integer_pow, y=int(other)), base)
            return _apply(node, OPERATORS[type(op)], base, other)
        case ast.Call(ast.Name(name), arguments, []):
            if name not in names and name != "where":
                near = difflib.get_close_matches(name, [*names, "where"], 1, 0)
                raise ValueError(f"no function is called {name}; nearest is {near[0]}; {_allowed(names)}")
            if len(arguments) != ARGUMENTS.get(name, 1):
                raise ValueError(f"{_spell(node)} has {len(arguments)} argument(s); must have {ARGUMENTS.get(name, 1)}")
            if name != "where":
                return _apply(node, names[name], *map(read, arguments))
            match arguments[0]:
                case ast.Compare(first, operators, others) if all(type(o) in COMPARISONS for o in operators):
                    holds = [COMPARISONS[type(o)] for o in operators]
                    return _apply(node, functools.partial(_where, holds), *map(read, [first, *others, *arguments[1:]]))
            raise ValueError(f"where has the condition {_spell(arguments[0])}; must compare by < <= > >= == !=")
    raise ValueError(f"{_spell(node)} is not allowed; {_allowed(names)}")


def _apply(node: ast.AST, function: Function, *terms: Term) -> Term:
    """The function of the terms, numbers being as precise as z; a number if all terms are."""

    def value(z):
        return function(*(jnp.asarray(term, z.dtype) if isinstance(term, float) else term(z) for term in terms))

    return _finite(node, float(value(np.zeros(())))) if all(isinstance(term, float) for term in terms) else value


def _where(holds, *values):
    """`where` of a chain of comparisons, what they compare, and the two branches."""
    *compared, yes, no = values
    return jnp.where(functools.reduce(operator.and_, map(lambda h, a, b: h(a, b), holds, compared, compared[1:])), yes, no)


def _finite(node: ast.AST, number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(f"{_spell(node)} is {number}; numbers must be finite")
    return number


def _spell(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:39] + "…"


def _allowed(names: Mapping[str, Function]) -> str:
    return f"allowed are z, numbers, pi, e, + - * / **, where(a < b, c, d) and {', '.join(names)}"
