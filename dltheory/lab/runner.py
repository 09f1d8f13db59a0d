"""From a configuration to a run directory: load or compute, store, judge, draw."""

import collections
import contextlib
import contextvars
import dataclasses
import functools
import importlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from . import figures, store
from .configuration import Configurator, UserError
from .lock import Locks, lock_of, owner
from .machine import cores
from .program import program
from .progress import watch
from .store import StoreError

POLL = 0.5
"""Seconds between looks at runs that others are computing."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run."""

    path: Path
    data: Any
    claims: list[dict[str, Any]]
    computed: bool
    tables: dict[str, list[dict[str, str]]]
    """What the experiment lists beside its claims, {title: rows}; rows have equal keys."""
    unwritten: str = ""
    """Why claims and figure could not be written, in one line."""

    @property
    def diverged(self) -> str:
        """Where the result is not finite; empty if it is finite."""
        status = str(self.data.attrs["status"])
        return status.removeprefix("diverged: ") if status.startswith("diverged") else ""


@dataclasses.dataclass(frozen=True)
class Point:
    """A run to be had. `replaces` is the `store.stamp` of a finished run that must be computed again."""

    config: Any
    path: Path
    overrides: list[str]
    replaces: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether it need not be computed; what is there may be damaged."""
        there = store.stamp(self.path)
        return bool(there) and there != self.replaces


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A point that is on disk now, with its data if this process computed it; or the error that it failed with."""

    point: Point
    data: Any = None
    error: Exception | None = None


def compute(name: str, points: list[Point], lanes: int | None = 1, say: Callable[[str], None] | None = None) -> Iterator[Arrival]:
    """Each point as soon as it is on disk; raises `StoreError`. Points of equal structure are one program, `lanes` at a time on each
    device; None is a loop on each core of a CPU, and as many as fit on an accelerator. What others are computing is left to them and
    waited for. The computing is done in threads, so that this one can answer signals."""
    import jax

    by_structure: dict[Any, list[Point]] = {}
    for point in points:
        by_structure.setdefault(jax.tree.structure(point.config), []).append(point)
    with Locks() as locks:
        for group in by_structure.values():
            yield from _compute_group(name, group, lanes, locks, say)


def _compute_group(name: str, group: list[Point], lanes: int | None, locks: Locks, say: Callable[[str], None] | None) -> Iterator[Arrival]:
    waiting, running, said = collections.deque(group), set[Future[list[Arrival]]](), ""
    plan = functools.cache(lambda: program(name).plan([p.config for p in group], lanes))
    pool = ThreadPoolExecutor(cores())
    try:
        while waiting or running:
            ours: list[Point] = []
            for _ in range(len(waiting)):
                point = waiting.popleft()
                if point.is_finished:
                    locks.clear(lock_of(point.path))
                    yield Arrival(point)
                elif locks.take(lock_of(point.path)):
                    ours.append(point)
                    if len(ours) == plan()[1]:
                        break
                else:
                    waiting.append(point)
            if ours:
                work = functools.partial(_compute_ours, name, ours, plan()[2], locks)
                running.add(pool.submit(contextvars.copy_context().run, work))
            if running and (not ours or len(running) == plan()[0]):
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (arrival for future in done for arrival in future.result())
            elif waiting and not ours:
                holder = owner(lock_of(waiting[0].path))
                if say and holder and holder[0] != said:
                    said = holder[0]
                    say(f"waiting: {said} computes this run")
                time.sleep(POLL)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for what is running


def _compute_ours(name: str, points: list[Point], lanes: int, locks: Locks) -> list[Arrival]:
    """Compute and store what is not there yet, and release its locks."""
    try:
        found = [Arrival(p) for p in points if p.is_finished]
        return [*found, *_compute_and_store(name, [p for p in points if not p.is_finished], lanes)]
    finally:
        for point in points:
            locks.release(lock_of(point.path))


def _compute_and_store(name: str, points: list[Point], lanes: int) -> Iterator[Arrival]:
    outcomes = program(name).many([p.config for p in points], lanes)
    for point, outcome in zip(points, outcomes, strict=True):
        try:
            if outcome.error:
                raise outcome.error
            data = store.dataset(outcome.result, point.config)
            trouble = store.not_finite(data)
            status = f"diverged: {trouble}" if trouble else "finished"
            about = store.metadata(name, point.config, point.overrides, status, outcome.seconds)
            store.save(point.path, data, about, force=bool(point.replaces))
        except StoreError:
            raise
        except Exception as error:
            yield Arrival(point, error=error)
        else:
            yield Arrival(point, store.described(data, about))


def compute_or_load(
    name: str, config: Any, *, size: str, overrides: list[str], force: bool = False, draw: bool = True, show: bool = False
) -> Run:
    """The run of this configuration: from disk if it has finished before, else computed and stored; judged and drawn anew."""
    path = store.run_directory(name, config)
    point = Point(config, path, overrides, store.stamp(path) if force else "")
    say = (lambda text: print(text, file=sys.stderr)) if show else None
    if not point.is_finished:
        check_writable(path.parent)
    with watch(name, size, config) if show and not point.is_finished else contextlib.nullcontext():
        (arrival,) = compute(name, [point], say=say)
    if arrival.error:
        raise arrival.error
    data = store.load(path)
    claims, unwritten = judge(name, data, size), ""
    try:
        present(name, path, data, claims, draw and data.attrs["status"] == "finished")
    except StoreError as error:
        unwritten = str(error)
    tables = getattr(importlib.import_module(name), "tables", lambda data: {})(data) if show else {}
    return Run(path, data, claims, arrival.data is not None, tables, unwritten)


def check_writable(directory: Path) -> None:
    """Raise `UserError` before hours of computing if their result could not be stored."""
    existing = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = f"{existing.name} is not a writable directory ({error.strerror})"
        raise UserError(f"DLTHEORY_RESULTS={store.results()}: results cannot be stored there, {reason}") from None


def judge(name: str, data: Any, size: str) -> list[dict[str, Any]]:
    """The claims of a stored run."""
    import numpy as np

    with np.errstate(all="ignore"):
        return judged(importlib.import_module(name).claims(data), size)


def present(name: str, path: Path, data: Any, claims: list[dict[str, Any]], draw: bool = True) -> None:
    """Write a stored run's claims and figure beside its data; raises `StoreError`."""
    import numpy as np

    store.write_json(path / "claims.json", claims)
    if draw:
        with figures.style(), np.errstate(all="ignore"):
            figures.save(importlib.import_module(name).plot(data), path)


def judged(claims: list[Any], size: str) -> list[dict[str, Any]]:
    """Claims as they are kept; at size=tiny none is gated."""
    return [(dataclasses.replace(c, gated=False) if size == "tiny" else c).as_dict() for c in claims]


def chosen_size(overrides: list[str]) -> str:
    """The size that these overrides choose."""
    return next((o.partition("=")[2] for o in reversed(overrides) if o.startswith("size=")), "default")


def experiment(name: str, *, size: str = "default", force: bool = False, **overrides: Any) -> Any:
    """Run an experiment from Python, or load it if it has run before: the xarray Dataset of the run.

    `experiment("rich_lazy", init_scale=0.1, model="mlp", **{"model.width": 50})`; raises `ValueError` as the command line would.
    """
    full = name if "." in name else f"experiments.{name}"
    words = [f"size={size}", *(f"{k}={_spell(v)}" for k, v in overrides.items())]
    try:
        configurator = Configurator(full)
        configurator.check(words, sweep=False)
        config = configurator.read(words)
        return compute_or_load(full, config, size=size, overrides=words, force=force).data
    except UserError as error:
        raise ValueError(str(error)) from None


def _spell(value: Any) -> str:
    """A Python value as an override's text."""
    plain = not isinstance(value, bool | None) and re.fullmatch(r"[\w.+/-]*", str(value))
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
