"""The plan of MobileNet: a convolution, then thirteen pairs of a depthwise 3×3 and a 1×1 convolution, all with batch norm.

Source: Howard et al., "MobileNets" (arXiv:1704.04861), table 1; padding kernel//2 where Keras pads one side.
"""

from .plan import Conv, Dense, Depthwise, GlobalPool, Layer, Plan, Shape, normalised

STEM = 32
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Filters of the 1×1 convolution and stride of the depthwise one."""


def plan(side: int = 224, outputs: int = 1000) -> Plan:
    """The published network of full width on side × side pixels."""
    layers: dict[str, Layer] = normalised("stem", Conv(STEM, kernel=3, stride=2))
    for n, (filters, stride) in enumerate(PAIRS):
        layers |= normalised(f"pairs.{n}.depthwise", Depthwise(kernel=3, stride=stride))
        layers |= normalised(f"pairs.{n}.mix", Conv(filters, kernel=1))
    return Plan(Shape(side, side, 3), layers | {"pool": GlobalPool(), "head": Dense(outputs)})
