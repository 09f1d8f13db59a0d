"""Plans of VGG-16 and VGG-19: 3×3 convolutions with bias, halved by max pooling five times, then three dense layers.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (arXiv:1409.1556), configurations D and E.
"""

from .plan import Conv, Dense, Layer, Plan, Pool, Shape

FILTERS = (64, 128, 256, 512, 512)
REPEATS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
DENSE = 4096


def plan(layers: int = 16, side: int = 224, outputs: int = 1000) -> Plan:
    """The published network with 16 or 19 weight layers on side × side pixels. Raises `ValueError` for another number of layers."""
    if layers not in REPEATS:
        raise ValueError(f"layers={layers}: must be one of {', '.join(map(str, REPEATS))}")
    made: dict[str, Layer] = {}
    for stage, (filters, repeats) in enumerate(zip(FILTERS, REPEATS[layers], strict=True)):
        made |= {f"stages.{stage}.{n}": Conv(filters, kernel=3, bias=True) for n in range(repeats)}
        made[f"stages.{stage}.pool"] = Pool(kernel=2, stride=2, padding=0)
    return Plan(Shape(side, side, 3), made | {f"dense.{n}": Dense(units) for n, units in enumerate((DENSE, DENSE, outputs))})
