"""How figures look: one style sheet, two widths, theory dashed and measurement solid."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ONE_COLUMN = 3.4
TWO_COLUMNS = 7.0
"""Widths in inches of a figure in one and in two columns of a page."""
THEORY = {"linestyle": "--", "color": "black", "linewidth": 1.0}
MEASURED = {"linestyle": "-", "linewidth": 1.2}


@contextmanager
def style() -> Iterator[Any]:
    """`matplotlib.pyplot` with the house style and no window."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        yield plt


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
