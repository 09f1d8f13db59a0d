"""An experiment's `run` as a compiled program: for one configuration, or for many of equal structure at once."""

import contextlib
import dataclasses
import functools
import importlib
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .configuration import UserError
from .machine import cores
from .store import one_line

MOST_LANES = 256
"""Runs vmapped on a device unless more are asked for: enough to fill it, and its results arrive before all is done."""


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
        """Runs of configurations of equal structure in one call, `lanes` vmapped on each local device. A batch that fails is halved,
        so that only those fail that would alone."""
        if len(configs) <= 1 or lanes * device_count() == 1:
            return [self(c) for c in configs]
        loaded, good = self._good(configs)
        try:
            done = iter(self._batch(*map(list, zip(*good, strict=True)), lanes) if len(good) > 1 else [self(c) for c, _ in good])
        except Exception:
            half = len(good) // 2
            part = lambda some: self.many([c for c, _ in some], -(-len(some) // device_count()))
            done = iter([*part(good[:half]), *part(good[half:])])
        return [Outcome(error=data) if isinstance(data, Exception) else next(done) for data in loaded]

    def plan(self, configs: list[Any], lanes: int | None) -> tuple[int, int, int]:
        """How many calls to make at a time, of how many of these configurations, and how many of them vmapped on each device. Where
        `lanes` is None: a call for each core of a CPU, one call of as many as fit on an accelerator."""
        import jax

        devices = device_count()
        if len(configs) == 1 or not jax.tree.leaves(configs[0]):
            return 1, 1, 1
        if lanes is None and jax.default_backend() == "cpu":
            return (cores(), 1, 1) if devices == 1 else (1, devices, 1)
        lanes = lanes or self.fitting(configs, -(-len(configs) // devices))
        return 1, lanes * devices, lanes

    def fitting(self, configs: list[Any], lanes: int) -> int:
        """`lanes`, or `MOST_LANES`, halved until a batch of these configurations fits in the memory of each device. What goes wrong
        otherwise is left for `many` to find."""
        import jax

        room = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", math.inf)
        lanes = min(lanes, MOST_LANES)
        while lanes > 1:
            good = self._good(configs[: lanes * device_count()])[1]
            try:
                need = self._prepared(*map(list, zip(*good, strict=True)), lanes)[0].memory_analysis()
                if need.temp_size_in_bytes + need.argument_size_in_bytes + need.output_size_in_bytes <= 0.8 * room:
                    break
            except jax.errors.JaxRuntimeError:
                pass
            except Exception:
                break
            lanes //= 2
        return lanes

    def _good(self, configs: list[Any]) -> tuple[list[Any], list[tuple[Any, Any]]]:
        """The data of each configuration or the error of reading it; and those configurations that have data, with it."""
        loaded: list[Any] = []
        for config in configs:
            try:
                loaded.append(self._load(config))
            except Exception as error:
                loaded.append(error)
        return loaded, [(c, data) for c, data in zip(configs, loaded, strict=True) if not isinstance(data, Exception)]

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
