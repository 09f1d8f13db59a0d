"""What experiments on representations ask of their settings."""

import math

import jax
import jax.numpy as jnp

from dltheory.models import Model
from dltheory.record import option_name


def check_records(steps: int, every: int) -> None:
    """Raise `ValueError` unless a record every `every` steps fits the run."""
    if steps % every or steps // every < 10:
        raise ValueError(f"every={every}: must divide steps={steps} and leave 10 records")


def check_layer(layer: int, model: Model) -> None:
    """Raise `ValueError` if there is no such hidden layer."""
    if layer >= model.hidden_layers:
        raise ValueError(f"layer={layer}: must be below model.hidden_layers={model.hidden_layers}")


def check_inputs(model: Model, inputs: int) -> None:
    """Raise `ValueError` if the model cannot read so many numbers: those for images need a square of them, say."""
    network = lambda: model.build(jax.random.key(0), inputs, 1)(jnp.zeros((1, inputs), jnp.float32)).output  # pyright: ignore
    try:
        jax.eval_shape(network)
    except ValueError as error:
        raise ValueError(f"model={option_name(type(model))}: {error}") from None


def followed(layer: int, model: Model) -> int:
    """The hidden layer that `layer` names, -1 being the middle one."""
    return model.hidden_layers // 2 if layer < 0 else layer


def some_records(steps: int) -> dict[str, int]:
    """Steps, and so many between records that there are at most a hundred: for runs of which only the end counts."""
    return {"steps": steps, "every": steps // math.gcd(steps, 100)}
