"""Grids as people write them: `init_scale='geomspace(0.05,2e4,200)'` and `linspace(0,1,11)`, read and never evaluated."""

import re

import numpy as np

from .configuration import UserError

MOST = 100_000
GRID = re.compile(r"\b(geomspace|linspace)\(([^()]*)\)")


def expand(word: str) -> str:
    """An override with its grids written out as a list of values; raises `UserError`."""
    key, _, value = word.partition("=")

    def listed(found: re.Match[str]) -> str:
        name, inside = found.groups()
        try:
            start, stop, count = (kind(part) for kind, part in zip((float, float, int), inside.split(","), strict=True))
        except ValueError:
            raise UserError(f"{key}={found[0]}: must be {name}(start,stop,count), two numbers and a whole number") from None
        if not 2 <= count <= MOST:
            raise UserError(f"{key}={found[0]}: count must be in [2, {MOST}]")
        if not np.isfinite([start, stop]).all() or (name == "geomspace" and min(start, stop) <= 0):
            raise UserError(f"{key}={found[0]}: start and stop must be finite" + (" and positive" if name == "geomspace" else ""))
        return ",".join(spell(x) for x in getattr(np, name)(start, stop, count))

    return f"{key}={GRID.sub(listed, value)}" if value else word


def spell(x: float) -> str:
    """A number as the shortest text that reads back as the same; a whole one without a point, so that it also fits a whole field."""
    return str(int(x)) if float(x).is_integer() and abs(x) < 1e15 else repr(float(x))


def is_grid(word: str) -> bool:
    """Whether an override names a grid."""
    return bool(GRID.search(word))
