"""Plans of ResNet-50, 101 and 152, from the stages of the model of that name. ResNet-50 has 25 610 152 parameters, all four vectors of a
batch norm counted.

Layers are named as the model's parameters are: "blocks.3.middle.conv" is the module `model.blocks[3].middle.conv`.
Source: Polat and Alpaslan, "The reusability prior", Mach. Learn.: Sci. Technol. 4 (2023) 025011.
"""

from ..models.resnet import BLOCKS, Layout, layout, stages
from .plan import Conv, Dense, GlobalPool, Layer, Plan, Pool, Residual, Shape, normalised


def plan(layers: int = 50, side: int = 224, outputs: int = 1000) -> Plan:
    """The published network with 50, 101 or 152 layers on side × side pixels. Raises `ValueError` for another number of layers."""
    if layers not in BLOCKS:
        raise ValueError(f"layers={layers}: must be one of {', '.join(map(str, BLOCKS))}")
    return plan_of(layout(stages(layers)), side, outputs)


def plan_of(layout: Layout, side: int, outputs: int) -> Plan:
    """The network of any layout on side × side pixels of three channels."""
    layers: dict[str, Layer] = normalised("stem", Conv(layout.stem, kernel=7, stride=2)) | {"pool": Pool(kernel=3, stride=2)}
    for n, block in enumerate(layout.blocks):
        branch = {
            **normalised("reduce", Conv(block.channels, kernel=1, stride=block.stride)),
            **normalised("middle", Conv(block.channels, kernel=3)),
            **normalised("expand", Conv(block.outputs, kernel=1)),
        }
        shortcut = normalised("shortcut", Conv(block.outputs, kernel=1, stride=block.stride)) if block.projected else {}
        layers[f"blocks.{n}"] = Residual(branch, shortcut)
    return Plan(Shape(side, side, 3), layers | {"mean": GlobalPool(), "head": Dense(outputs)})
