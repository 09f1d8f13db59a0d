"""How fast it is, against the bars of the design: every row measured beside its baseline in one process tree.

    python -m scripts.benchmark [only=training,fit] [rounds=3] [out=results/benchmark.json]

The machine may be shared, so what is compared alternates and the least time of each counts. Baselines are tuned, start from the same
weights and record the same quantities. A bar that is not met is reported and is no error.
"""

import dataclasses
import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dltheory.lab.claim import Interval, at_least, at_most

RATE, LAYER = 0.005, 10  # the paper's learning rate and followed hidden layer, from 0
BURST, BURSTS = 100, 8  # steps at a time; times in a round
FEW = "few"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. The bar judges `ratio`, or `ours` where nothing is compared; a skipped row has none of them."""

    what: str
    ours: float | None = None
    baseline: float | None = None
    unit: str = "s"
    ratio: float | None = None
    bar: Interval | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar or a measurement."""
        value = self.ours if self.ratio is None else self.ratio
        return None if self.bar is None or value is None else self.bar.low <= value <= self.bar.high


def alternate(tasks: dict[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """Least seconds of each task, all of them in turn."""
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(times):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def network(width: int = 500, hidden_layers: int = 20) -> tuple[Any, Any, list[np.ndarray], list[np.ndarray]]:
    """The paper's network at gain 1: parameters, forward pass, and on the host its weights (n_in, n_out) and biases."""
    import jax

    from dltheory.models import MLPConfig, functional

    params, apply = functional(MLPConfig(width=width, hidden_layers=hidden_layers).build(jax.random.key(0), 1, 1))
    layers = range(hidden_layers + 1)
    return params, apply, *([np.array(params[kind][i][...]) for i in layers] for kind in ("weights", "biases"))
