"""Cross-layer sharing: layers whose keys are equal are one layer, and their parameters pool the contexts of all uses.

    C_w = Σ_{layers that share w} C_w(layer),    N_W: weight nodes before tying,    N_G ≤ N_W: distinct parameters after

A key is made of the number of channels that a convolution reads and of its arguments; batch norm and dense layers are never shared.
Two keyings are on offer:

- `true_key`: kind, input channels, filters, kernel, stride, padding, dilation and bias. EfficientNetV2-B0 has N_G = 3 018 800.
- `published_key`, that of the authors' code, by which their numbers are reproduced: the expanding convolution of a fused block has
  the key of a 1×1 convolution of stride 1, whatever its kernel and stride. So 3×3 kernels of stride 1 and 2 are tied, and tap (0, 0)
  of them is tied with a real 1×1 convolution of equal channels. N_G = 2 972 720.

Source: Polat and Alpaslan, "The reusability prior", Mach. Learn.: Sci. Technol. 4 (2023) 025011, and the authors' code (gozepolat/priors).
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Iterable

from .plan import Conv, Depthwise, Use

Key = Callable[[Use], Hashable]
"""The key of the layer that a use belongs to; None if it is not shared."""


def true_key(use: Use) -> Hashable:
    """Channels read, and everything that the layer was made with."""
    shared = isinstance(use.operation, Conv | Depthwise)
    return (use.operation, use.shape.channels) if shared else None


def published_key(use: Use) -> Hashable:
    """The true key, except that expanding convolutions of fused blocks pass for 1×1 convolutions of stride 1."""
    if isinstance(use.operation, Conv) and use.layer.endswith(".expand.conv"):
        use = use._replace(operation=dataclasses.replace(use.operation, kernel=1, stride=1))
    return true_key(use)


def tied(uses: Iterable[Use], key: Key) -> dict[int, int]:
    """{count: multiplicity} of the distinct parameters when layers of equal keys are one; zero counts are dropped."""
    contexts: Counter[Hashable] = Counter()
    multiplicity: dict[Hashable, int] = {}
    for n, use in enumerate(uses):
        which = key(use)
        parameter = (n, None) if which is None else (which, use.place)
        contexts[parameter] += use.count
        multiplicity[parameter] = use.multiplicity
    total: Counter[int] = Counter()
    for parameter, count in contexts.items():
        total[count] += multiplicity[parameter]
    return {count: n for count, n in total.items() if count}
