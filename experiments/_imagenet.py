"""The networks of the reusability prior's table, with their published top-1 accuracies on ImageNet (keras.io/api/applications)."""

from dltheory.reusability import efficientnet, resnet
from dltheory.reusability.plan import Plan

ACCURACY = {"ResNet-50": 74.9, "V2-B0": 78.7, "V2-B1": 79.8, "V2-B2": 80.5, "V2-B3": 82.0, "V2-S": 83.9, "V2-M": 85.3, "V2-L": 85.7}
"""In percent, the least first."""


def plan(name: str, side: int | None = None) -> Plan:
    """Of one of these at its published input, or on side × side pixels."""
    if name.startswith("V2-"):
        return efficientnet.plan(name.removeprefix("V2-").lower(), side)
    return resnet.plan(side=side or 224)
