"""What a person sees while an experiment runs: a bar where it takes long, a clock otherwise, nothing when not on a terminal."""

import contextlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

LONG = 60.0
"""Seconds from which a bar is worth a program that the compilation cache cannot keep."""
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def expected_seconds(docstring: str, size: str) -> float | None:
    """What the docstring's line "Time: tiny 5 s, default 1 min, paper 2 h" says of a size."""
    found = re.search(rf"^Time:.*?\b{size} (?:about )?([\d.]+) (s|min|h)\b", docstring, re.MULTILINE)
    return float(found[1]) * UNITS[found[2]] if found else None


def announce(seconds: float, runs: int) -> None:
    """Say how long a sweep should take, where that is long."""
    if seconds >= LONG:
        print(f"expected time: about {seconds / 60:.0f} min for {runs} runs", file=sys.stderr, flush=True)


@contextlib.contextmanager
def counted(total: int, here: bool = True) -> Iterator[Callable[[str], None]]:
    """A function to call with a line for each of `total` things done: a bar on a terminal if this process is the one `here`, where
    only what is not plainly finished is said; else the lines."""
    if not (here and sys.stderr.isatty()):
        yield lambda line: print(line, flush=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as shown:
        task = shown.add_task("runs", total=total)

        def tick(line: str) -> None:
            shown.update(task, advance=1)
            if ": finished" not in line:
                shown.console.print(line, markup=False, soft_wrap=True)

        yield tick


@contextlib.contextmanager
def watch(name: str, size: str, config: Any) -> Iterator[None]:
    """Show progress of a single run on a terminal."""
    seconds = expected_seconds(importlib.import_module(name).__doc__ or "", size)
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if seconds is None or seconds < LONG:
        usual = f" (usually {seconds:.0f} s)" if seconds else ""
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as shown:
            shown.add_task(f"computing{usual}", total=None)
            yield
        return

    from ..training import progress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeRemainingColumn(),
    )
    console.print(f"expected time: about {seconds / 60:.0f} min")
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("compiling", total=None)

        def tick(steps: int, total: int, loss: float) -> None:
            done = shown.tasks[0].completed + int(steps)
            done = done if done <= int(total) else int(steps)  # the next of several programs begins
            shown.update(task, completed=done, total=int(total), description=f"loss {float(loss):.2e}")

        token = progress.set(tick)
        try:
            yield
        finally:
            progress.reset(token)
