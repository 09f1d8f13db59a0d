"""What experiments on representations ask of their settings."""

import math

from dltheory.models import Model


def check_records(steps: int, every: int) -> None:
    """Raise `ValueError` unless a record every `every` steps fits the run."""
    if steps % every or steps // every < 10:
        raise ValueError(f"every={every}: must divide steps={steps} and leave 10 records")


def check_layer(layer: int, model: Model) -> None:
    """Raise `ValueError` if there is no such hidden layer."""
    if layer >= model.hidden_layers:
        raise ValueError(f"layer={layer}: must be below model.hidden_layers={model.hidden_layers}")


def followed(layer: int, model: Model) -> int:
    """The hidden layer that `layer` names, -1 being the middle one."""
    return model.hidden_layers // 2 if layer < 0 else layer


def some_records(steps: int) -> dict[str, int]:
    """Steps, and so many between records that there are at most a hundred: for runs of which only the end counts."""
    return {"steps": steps, "every": steps // math.gcd(steps, 100)}
