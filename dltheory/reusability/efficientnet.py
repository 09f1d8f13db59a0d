"""Plans of EfficientNetV2-B0 to B3, S, M and L, from the stages of the model of that name. At its published input B0 has 7 200 312
parameters, all four vectors of a batch norm counted, and a largest count of 225 digits; L is exact in seconds.

Layers are named as the model's parameters are: "blocks.3.expand.conv" is the module `model.blocks[3].expand.conv`.
Source: Polat and Alpaslan, "The reusability prior", Mach. Learn.: Sci. Technol. 4 (2023) 025011.
"""

from ..models.efficientnet import VARIANTS, Block, Layout, layout
from .plan import Conv, Dense, Depthwise, Gate, GlobalPool, Layer, Plan, Residual, Shape, normalised


def plan(variant: str = "b0", side: int | None = None, outputs: int = 1000) -> Plan:
    """A published network on its published input, or on side × side pixels. Raises `ValueError` for another variant."""
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant}: must be one of {', '.join(VARIANTS)}")
    published = VARIANTS[variant]
    return plan_of(layout(published.stages, published.width, published.depth), side or published.side, outputs)


def plan_of(layout: Layout, side: int, outputs: int) -> Plan:
    """The network of any layout on side × side pixels of three channels."""
    layers: dict[str, Layer] = normalised("stem", Conv(layout.blocks[0].inputs, kernel=3, stride=2))
    for n, block in enumerate(layout.blocks):
        inside = _fused(block) if block.fused else _separable(block)
        if block.residual:
            layers[f"blocks.{n}"] = Residual(inside)
        else:
            layers |= {f"blocks.{n}.{name}": layer for name, layer in inside.items()}
    layers |= normalised("top", Conv(layout.top, kernel=1))
    return Plan(Shape(side, side, 3), layers | {"pool": GlobalPool(), "head": Dense(outputs)})


def _fused(block: Block) -> dict[str, Layer]:
    if block.expand == 1:
        return normalised("project", Conv(block.outputs, kernel=block.kernel, stride=block.stride))
    first = normalised("expand", Conv(block.inner, kernel=block.kernel, stride=block.stride))
    return first | normalised("project", Conv(block.outputs, kernel=1))


def _separable(block: Block) -> dict[str, Layer]:
    squeeze, excite = (Conv(filters, kernel=1, bias=True) for filters in (block.squeezed, block.inner))
    return {
        **normalised("expand", Conv(block.inner, kernel=1)),
        **normalised("depthwise", Depthwise(kernel=block.kernel, stride=block.stride)),
        "gate": Gate({"pool": GlobalPool(), "squeeze": squeeze, "excite": excite}),
        **normalised("project", Conv(block.outputs, kernel=1)),
    }
