"""From a configuration to a run directory: load or compute, store, judge, draw."""

import collections
import contextlib
import dataclasses
import functools
import importlib
import json
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import figures, store
from .configuration import Configurator, UserError
from .lock import Locks, lock_of, owner
from .machine import cores
from .progress import watch
from .store import StoreError, one_line

POLL = 0.5
"""Seconds between looks at runs that others are computing."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run."""

    path: Path
    data: Any
    claims: list[dict[str, Any]]
    computed: bool
    unwritten: str = ""
    """Why claims and figure could not be written, in one line."""

    @property
    def diverged(self) -> str:
        """Where the result is not finite; empty if it is finite."""
        status = str(self.data.attrs["status"])
        return status.removeprefix("diverged: ") if status.startswith("diverged") else ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one configuration: a result on the host, or an error; and the seconds it took."""

    result: Any = None
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    error: Exception | None = None


class Program:
    """An experiment's `run`, compiled once for each structure of configuration and shape of data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = importlib.import_module(name)
        self._compiled: dict[Any, Any] = {}
        self._compiling = threading.Lock()
        self._shared: dict[Any, Any] = {}

    def __call__(self, config: Any) -> Outcome:
        """One run."""
        import jax
        import numpy as np

        clock = Clock()
        try:
            arguments = jax.tree.map(np.asarray, (config, *self._load(config)))
            clock.lap("load")
            if not jax.tree.leaves(config):
                result = self.module.run(config, *arguments[1:])
            else:
                compiled = self._compile((), arguments, lambda: jax.jit(self.module.run))
                clock.lap("compile")
                result = jax.device_get(compiled(*arguments))
            clock.lap("run")
        except Exception as error:
            return Outcome(seconds=clock.seconds, error=error)
        return Outcome(result, clock.seconds)

    def many(self, configs: list[Any], lanes: int) -> list[Outcome]:
        """Runs of configurations of equal structure: in one call, `lanes` vmapped on each local device; with one lane on one device
        as many calls, in threads. A batch that fails is halved, so that only those fail that would alone."""
        if len(configs) <= 1:
            return [self(c) for c in configs]
        if lanes * device_count() == 1:
            threads = ThreadPoolExecutor(len(configs))
            try:
                return list(threads.map(self, configs))
            finally:
                threads.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for them
        loaded: list[Any] = [self._loaded(c) for c in configs]
        good = [(c, data) for c, data in zip(configs, loaded, strict=True) if not isinstance(data, Exception)]
        try:
            done = iter(self._batch(*map(list, zip(*good, strict=True)), lanes) if len(good) > 1 else [self(c) for c, _ in good])
        except Exception:
            half = len(good) // 2
            part = lambda some: self.many([c for c, _ in some], -(-len(some) // device_count()))
            done = iter([*part(good[:half]), *part(good[half:])])
        return [Outcome(error=data) if isinstance(data, Exception) else next(done) for data in loaded]

    def fitting(self, configs: list[Any], lanes: int) -> int:
        """`lanes`, halved until a batch of these configurations fits in the memory of each device."""
        import jax

        room = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", math.inf)
        while lanes > 1:
            first = configs[: lanes * device_count()]
            try:
                need = self._prepared(first, [self._load(c) for c in first], lanes)[0].memory_analysis()
                if need.temp_size_in_bytes + need.argument_size_in_bytes + need.output_size_in_bytes <= 0.8 * room:
                    break
            except jax.errors.JaxRuntimeError:
                pass
            lanes //= 2
        return lanes

    def _batch(self, configs: list[Any], data: list[Any], lanes: int) -> list[Outcome]:
        import jax

        clock = Clock()
        compiled, arguments = self._prepared(configs, data, lanes)
        clock.lap("compile")
        results = jax.device_get(compiled(*arguments))
        clock.lap("run")
        each = {stage: seconds / len(configs) for stage, seconds in clock.seconds.items()}
        return [Outcome(jax.tree.map(lambda a, i=i: a[i], results), each) for i in range(len(configs))]

    def _prepared(self, configs: list[Any], data: list[Any], lanes: int) -> tuple[Any, Any]:
        """The compiled program of a batch, and its arguments; the last run fills empty places."""
        import jax
        import numpy as np

        empty = lanes * device_count() - len(configs)
        stack = lambda *leaves: np.stack([*leaves, *[leaves[-1]] * empty])
        shared = self._shared_leaves(configs[0], data)
        rest = jax.tree.map(lambda same, *leaves: np.asarray(leaves[0]) if same else stack(*leaves), shared, *data)
        arguments = (jax.tree.map(stack, *configs), *rest)
        kind = lanes, *jax.tree.leaves(shared)
        return self._compile(kind, arguments, lambda: parallel(self.module.run, (False, *shared), lanes)), arguments

    def _compile(self, kind: Any, arguments: Any, make: Callable[[], Any]) -> Any:
        import jax

        use_compilation_cache()
        key = kind, jax.tree.structure(arguments), tuple((a.shape, a.dtype) for a in jax.tree.leaves(arguments))
        with self._compiling:
            if key not in self._compiled:
                self._compiled[key] = make().lower(*arguments).compile()
        return self._compiled[key]

    def _shared_leaves(self, config: Any, data: list[Any]) -> Any:
        """Which arrays of the data are the same for all runs, so far as has been seen."""
        import jax
        import numpy as np

        key = jax.tree.structure((config, data[0]))
        first, known = self._shared.get(key, (data[0], jax.tree.map(lambda _: True, data[0])))
        equal = lambda was, a, *others: was and all(a is o or np.array_equal(a, o) for o in others)
        shared = jax.tree.map(equal, known, first, *data)
        self._shared[key] = first, shared
        return shared

    def _load(self, config: Any) -> tuple[Any, ...]:
        """What the experiment reads before it runs: a missing or wrong file is the user's to mend."""
        if not hasattr(self.module, "load"):
            return ()
        try:
            return (self.module.load(config),)
        except (ValueError, OSError) as error:
            raise UserError(one_line(error)) from None

    def _loaded(self, config: Any) -> Any:
        try:
            return self._load(config)
        except Exception as error:
            return error


def parallel(run: Callable[..., Any], shared: Any, lanes: int) -> Any:
    """`run` on arguments with a leading axis, except where `shared`: spread over the local devices, `lanes` vmapped on each."""
    import jax
    from jax.sharding import Mesh, PartitionSpec

    mesh = Mesh(jax.local_devices(), "run")
    axes = jax.tree.map(lambda same: None if same else 0, shared)
    specs = jax.tree.map(lambda same: PartitionSpec() if same else PartitionSpec("run"), shared)

    def on_one_device(*arguments):
        if lanes > 1:
            return jax.vmap(run, in_axes=axes)(*arguments)
        alone = [
            jax.tree.map(lambda same, a: a if same else jax.tree.map(lambda x: x[0], a), *pair)
            for pair in zip(shared, arguments, strict=True)
        ]
        return jax.tree.map(lambda a: a[None], run(*alone))

    return jax.jit(jax.shard_map(on_one_device, mesh=mesh, in_specs=specs, out_specs=PartitionSpec("run"), check_vma=False))


class Clock:
    """Seconds of consecutive stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End the current stage."""
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


@functools.cache
def program(name: str) -> Program:
    """The one program of an experiment in this process."""
    return Program(name)


@functools.cache
def use_compilation_cache() -> None:
    """Keep every compiled program on disk, in a directory of this user alone (what is in it is executed)."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        directory = base / "dltheory" / "programs"
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def device_count() -> int:
    """Devices of this process."""
    import jax

    return jax.local_device_count()


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
    waited for."""
    import jax

    by_structure: dict[Any, list[Point]] = {}
    for point in points:
        by_structure.setdefault(jax.tree.structure(point.config), []).append(point)
    with Locks() as locks:
        for group in by_structure.values():
            yield from _compute_group(name, group, lanes, locks, say)


def _compute_group(name: str, group: list[Point], lanes: int | None, locks: Locks, say: Callable[[str], None] | None) -> Iterator[Arrival]:
    waiting, said = collections.deque(group), ""
    plan = functools.cache(lambda: at_once(name, group, lanes))
    while waiting:
        ours: list[Point] = []
        for _ in range(len(waiting)):
            point = waiting.popleft()
            if point.is_finished:
                yield Arrival(point)
            elif locks.take(lock_of(point.path)):
                ours.append(point)
                if len(ours) == plan()[0]:
                    break
            else:
                waiting.append(point)
        if ours:
            try:
                yield from _compute_ours(name, ours, plan()[1])
            finally:
                for point in ours:
                    locks.release(lock_of(point.path))
        elif waiting:
            if say and (holder := owner(lock_of(waiting[0].path)) or said) != said:
                say(f"waiting: {holder} computes this run")
                said = holder
            time.sleep(POLL)


def _compute_ours(name: str, points: list[Point], lanes: int) -> Iterator[Arrival]:
    yield from (Arrival(p) for p in points if p.is_finished)
    points = [p for p in points if not p.is_finished]
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


def at_once(name: str, group: list[Point], lanes: int | None) -> tuple[int, int]:
    """How many points of a group are computed together, and how many of them are vmapped on each device."""
    import jax

    devices = device_count()
    if len(group) == 1 or not jax.tree.leaves(group[0].config):
        return 1, 1
    if lanes is None and jax.default_backend() == "cpu":
        return (cores() if devices == 1 else devices), 1
    if lanes is None:
        lanes = program(name).fitting([p.config for p in group], -(-len(group) // devices))
    return lanes * devices, lanes


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
    return Run(path, data, claims, arrival.data is not None, unwritten)


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
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
