"""How an experiment is run: `main` is its command line, `experiment` the same from Python; `load` and `load_sweep` read what they
left behind. A `Claim` puts a measured number beside the interval a paper expects."""

from .claim import Claim, Interval, about, at_least, at_most, between
from .command import main
from .figures import ONE_COLUMN, THEORY, TWO_COLUMNS, compare, compare_legend
from .runner import experiment
from .store import estimate, load
from .sweep import load_sweep

__all__ = [
    "ONE_COLUMN",
    "THEORY",
    "TWO_COLUMNS",
    "Claim",
    "Interval",
    "about",
    "at_least",
    "at_most",
    "between",
    "compare",
    "compare_legend",
    "estimate",
    "experiment",
    "load",
    "load_sweep",
    "main",
]
