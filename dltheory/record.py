"""Frozen dataclasses that JAX, OmegaConf and xarray all understand.

What a reader must know about a field (meaning, unit, range) is said once, where it is declared: help, checks, pytrees and netCDF
attributes all read that declaration. A field is `traced` (an input of the compiled program: seeds, scales, rates), `static` (a
part of it: sizes, names, step counts) or an `array` of a result.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")
Number = jax.Array | np.ndarray | float | int | bool
"""What a record's array field may hold: traced, on the host, or a plain number."""


def _field(default: Any, **about: Any) -> Any:
    return dataclasses.field(default=default, metadata=about)


def traced(default: Any, doc: str, unit: str = "", *, low: float | int | None = None, high: float | int | None = None) -> Any:
    """An input of the compiled program: a new value compiles nothing."""
    return _field(default, doc=doc, unit=unit, low=low, high=high, traced=True)


def static(
    default: Any,
    doc: str,
    unit: str = "",
    *,
    low: float | int | None = None,
    high: float | int | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """A part of the compiled program: each value is another program."""
    return _field(default, doc=doc, unit=unit, low=low, high=high, choices=choices, traced=False)


def array(doc: str, unit: str = "", source: str = "") -> Any:
    """An array of a result; its dimensions are those of its jaxtyping annotation."""
    return _field(dataclasses.MISSING, doc=doc, unit=unit, source=source, traced=True)


@dataclass_transform(frozen_default=True, field_specifiers=(traced, static, array))
def record(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass and a pytree whose leaves are its traced fields, its arrays and its records.

    Unflattening does not call the constructor, so `__post_init__` sees what a user built and never tracers or batches. The shape
    and dtype of a record are those of its first leaf, so that `Float[TwoPoint, "network step"]` is checked as an array is.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    is_leaf = lambda f: f.metadata.get("traced", True) or dataclasses.is_dataclass(f.type)
    leaves = [f.name for f in fields if is_leaf(f)]
    rest = [f.name for f in fields if not is_leaf(f)]

    def flatten_with_keys(self):
        return [(jax.tree_util.GetAttrKey(n), getattr(self, n)) for n in leaves], tuple(getattr(self, n) for n in rest)

    def flatten(self):
        return [getattr(self, n) for n in leaves], tuple(getattr(self, n) for n in rest)

    def unflatten(aux, children):
        self = object.__new__(cls)
        for name, value in [*zip(leaves, children, strict=True), *zip(rest, aux, strict=True)]:
            object.__setattr__(self, name, value)
        return self

    cls.shape = property(lambda self: np.shape(jax.tree.leaves(self)[0]))  # pyright: ignore
    cls.dtype = property(lambda self: jax.dtypes.result_type(jax.tree.leaves(self)[0]))  # pyright: ignore

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def stack(parts: Sequence[T]) -> T:
    """Arrays, or records of one structure, stacked along a new first axis; on the host where all of them are."""
    on_host = lambda arrays: not any(isinstance(a, jax.Array) for a in arrays)
    return jax.tree.map(lambda *arrays: (np if on_host(arrays) else jnp).stack(arrays), *parts)


class Group:
    """Base of records that are the options of one configuration group; an option's name is its class name in snake case."""

    options: dict[str, type]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Group in cls.__bases__:
            cls.options = {}
        else:
            cls.options[option_name(cls)] = cls


def option_name(cls: type) -> str:
    """`TwoPoints` is "two_points", `XOR` is "xor", `MLPConfig` is "mlp"."""
    name = cls.__name__.removesuffix("Config")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def is_group(kind: Any) -> bool:
    """Whether a field of this type is a configuration group."""
    return isinstance(kind, type) and Group in kind.__bases__


def check(config: Any, prefix: str = "") -> None:
    """Raise `ValueError("key=value: must be …")` for the first field outside its declared range."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            check(value, f"{prefix}{f.name}.")
        else:
            check_value(prefix + f.name, value, f.metadata)


def check_value(key: str, value: Any, about: Mapping[str, Any]) -> None:
    """Raise `ValueError` if `value` is outside the range that `about`, a field's metadata, declares."""
    low, high, choices = about.get("low"), about.get("high"), about.get("choices")
    if choices:
        bad = value not in choices
    elif isinstance(value, int | float) and not isinstance(value, bool):
        bad = not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high)
    else:
        bad = False
    if bad:
        raise ValueError(f"{key}={value}: must be {allowed(about) or 'finite'}")


def allowed(about: Mapping[str, Any]) -> str:
    """The declared range in words: "one of a, b", "≥ 0", "in [0, 1]"; empty if there is none."""
    low, high = about.get("low"), about.get("high")
    if about.get("choices"):
        return "one of " + ", ".join(map(str, about["choices"]))
    if low is None and high is None:
        return ""
    spell = lambda x: f"{x:g}" if isinstance(x, float) else str(x)
    return f"≥ {spell(low)}" if high is None else f"≤ {spell(high)}" if low is None else f"in [{spell(low)}, {spell(high)}]"
