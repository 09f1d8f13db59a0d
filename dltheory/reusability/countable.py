"""What can be counted: a model of the zoo, or any model of yours by the name of a function that makes it.

A model is a triple (fn, params, x): a function `fn(params, x)` of flax or plain JAX, its parameters, and one example with its batch
axis. Counts do not depend on the numbers in them, so that shapes (`jax.eval_shape`) will do for the parameters.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Model, functional
from ..record import Group, record, static
from .normalisers import plain_normalisers
from .trace import Trace, trace


class Example(NamedTuple):
    """A model as a function of its parameters and one example."""

    fn: Callable[..., Any]
    params: Any
    x: Any


@record
class Countable(Group):
    """Options of the configuration group "model" of experiments that count: yours, and those of the zoo with all fields static."""

    def example(self, inputs: int, outputs: int) -> Example:
        """The model, of so many inputs and outputs where these are free; `ValueError` in one line if it cannot be had."""
        raise NotImplementedError


@record
class Own(Countable):
    """A model of yours: model.path=package.module:function, a function without arguments that returns (fn, params, x)."""

    path: str = static("", "package.module:function without arguments that returns (fn, params, x), x one example with its batch axis")
    digest: str = static(
        "", "first 12 digits of the SHA-256 of its program: filled in, so that a changed model is another run; if given, asserted"
    )

    def __post_init__(self) -> None:
        if self.path:
            example = imported(self.path)
            try:
                _check_reached(trace(*example))
                with plain_normalisers():
                    program = jax.make_jaxpr(example.fn)(example.params, example.x)
            except Exception as error:
                raise ValueError(f"model.path={self.path}: cannot be counted, {_reason(error)}") from None
            digest = _digest(program)
            if self.digest not in ("", digest):
                raise ValueError(f"model.digest={self.digest}: must be that of {self.path}, {digest}, or empty")
            object.__setattr__(self, "digest", digest)

    def example(self, inputs: int, outputs: int) -> Example:
        """What the function returns."""
        return imported(self.path)


def imported(path: str) -> Example:
    """The triple that the function at `package.module:function` returns; `ValueError` says in one line what is wrong with it."""
    wrong = lambda what: ValueError(f"model.path={path}: {what}")
    name, _, attribute = path.partition(":")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", path):
        raise wrong("must be package.module:function")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise wrong(f"{name} cannot be imported from here, {_reason(error)}") from None
    make = getattr(module, attribute, None)
    if not callable(make):
        raise wrong(f"{name} has no function {attribute}")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = make()
    except Exception as error:
        raise wrong(f"{attribute}() raises {_reason(error)}") from None
    if not isinstance(made, tuple) or len(made) != 3 or not callable(made[0]):
        raise wrong(f"{attribute}() must return (fn, params, x) with a function fn(params, x); it returns {_kind(made)}")
    return Example(*made)


def _kind(made: Any) -> str:
    return f"({', '.join(type(part).__name__ for part in made)})" if isinstance(made, tuple) else type(made).__name__


def _reason(error: Exception) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if not isinstance(error, ValueError) or not lines[0] else " ".join(lines[0].split())


def _check_reached(program: Trace) -> None:
    """Raise `ValueError` if no path leads from a parameter to an output."""
    reached = set(program.ends)
    for e in reversed(program.equations):
        if e.result in reached:
            reached |= {operand for operand, chain in zip(e.operands, e.chains, strict=True) if chain is not None}
    if not reached & {leaf for leaf in program.leaves if leaf is not None}:
        raise ValueError("no path leads from a parameter to an output of fn(params, x)")


def _digest(program: Any) -> str:
    """Of the text of a program without addresses, and of its constants."""
    text = re.sub(r"0x[0-9a-f]+", "", str(program)).encode()
    return hashlib.sha256(b"".join([text, *(np.asarray(c).tobytes() for c in program.consts)])).hexdigest()[:12]


def _countable(option: type[Any]) -> type:
    """An option of the zoo whose fields are static, so that a program that counts it knows it."""
    fields = dataclasses.fields(option)
    about = lambda f: {k: v for k, v in f.metadata.items() if k != "traced"}
    body = {f.name: static(f.default, **about(f)) for f in fields}
    body |= {"__annotations__": {f.name: f.type for f in fields}, "__doc__": option.__doc__, "__module__": __name__, "example": _example}
    return record(type(option.__name__, (Countable, option), body))


def _example(self: Any, inputs: int, outputs: int) -> Example:
    """The model; its parameters, which do not matter, are only shapes."""
    parts = lambda: functional(self.build(jax.random.key(0), inputs, outputs))
    shapes = jax.eval_shape(lambda: parts()[0])
    return Example(lambda params, x: parts()[1](params, x), shapes, jax.ShapeDtypeStruct((1, inputs), jnp.float32))


for _option in tuple(Model.options.values()):
    _countable(_option)
