"""How figures look: one style sheet, two widths, theory dashed and measurement solid."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ONE_COLUMN = 3.4
TWO_COLUMNS = 7.0
"""Widths in inches of a figure in one and in two columns of a page."""
THEORY: dict[str, Any] = {"linestyle": "--", "color": "black", "linewidth": 1.0}
MEASURED: dict[str, Any] = {"linestyle": "-", "linewidth": 1.2}


@contextmanager
def style() -> Iterator[Any]:
    """`matplotlib.pyplot` with the house style and no window."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        yield plt


def compare(axis: Any, x: Any, measured: Any, theory: Any, end: float) -> None:
    """Rows of `measured` solid and of `theory` dashed in the same colours, over rows of `x` up to `end`. The axis fits what was
    measured, and of a theory that runs away only a third more."""
    low, high, reach = measured.min(), measured.max(), (measured.max() - measured.min()) / 3
    low, high = max(min(low, theory.min()), low - reach), min(max(high, theory.max()), high + reach)
    for i, (t, seen, expected) in enumerate(zip(x, measured, theory, strict=True)):
        shown = max(2, int((t <= end).sum()))
        thin = slice(0, shown, max(1, shown // 400))
        axis.plot(t[thin], seen[thin], color=f"C{i % 7}", **MEASURED)
        axis.plot(t[thin], expected[thin], **THEORY | {"color": f"C{i % 7}"})
    axis.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def compare_legend(axis: Any, measured: str = "networks", theory: str = "theory") -> None:
    """Legend of the two kinds of line that `compare` draws."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color="black", **MEASURED), Line2D([], [], **THEORY)]
    axis.legend(lines, [measured, theory])


def save(figure: Any, directory: Path, name: str = "figure") -> list[Path]:
    """`name`.png and `name`.pdf in `directory`, each appearing whole or not at all; closes the figure."""
    import matplotlib.pyplot as plt

    from .store import replace_file

    paths = [directory / f"{name}.{kind}" for kind in ("png", "pdf")]
    for path in paths:
        plain = {"CreationDate": None} if path.suffix == ".pdf" else None
        replace_file(path, lambda draft, p=path, m=plain: figure.savefig(draft, format=p.suffix[1:], metadata=m))
    plt.close(figure)
    return paths
