"""Nonlinearities by name; anywhere a name is taken, a JAX function may be given instead."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

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


def activation(which: str | Activation) -> Activation:
    """The function of that name, or `which` itself if it is a function."""
    if callable(which):
        return which
    if which not in ACTIVATIONS:
        raise ValueError(f"activation={which}: must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[which]
