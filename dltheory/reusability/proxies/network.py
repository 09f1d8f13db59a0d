"""What proxies ask of a network: its input, logits, hidden representations, labels."""

from typing import Any

import jax
import jax.numpy as jnp

from ...models import Activations


def batch(params: Any, x: Any) -> jax.Array:
    """x in the precision of the parameters; integers, such as tokens, stay what they are."""
    x = jnp.asarray(x)
    return x.astype(jnp.result_type(*jax.tree.leaves(params))) if jnp.issubdtype(x.dtype, jnp.floating) else x


def output(made: Any) -> jax.Array:
    """The logits of what a network returns."""
    return made.output if isinstance(made, Activations) else made


def hidden(made: Any, proxy: str) -> tuple[Any, ...]:
    """Its hidden representations. Raises ValueError if it returns none."""
    if not isinstance(made, Activations) or not made.hidden:
        raise ValueError(f"apply={type(made).__name__}: must return Activations with hidden representations for {proxy}")
    return made.hidden


def labels(y: Any, n: int) -> jax.Array:
    """The classes of n examples. Raises ValueError unless y (n,) are integers."""
    if y is None or not jnp.issubdtype(jnp.asarray(y).dtype, jnp.integer) or jnp.shape(y) != (n,):
        given = None if y is None else f"{jnp.asarray(y).dtype}{list(jnp.shape(y))}"
        raise ValueError(f"y={given}: must be integer labels of shape [{n}]")
    return jnp.asarray(y)


def total(tree: Any) -> jax.Array:
    """Sum of all numbers, in float64."""
    return sum((jnp.sum(leaf, dtype=float) for leaf in jax.tree.leaves(tree)), jnp.zeros(()))
