"""From a configuration to a run directory: load or compute, store, judge, draw."""

import contextlib
import dataclasses
import functools
import importlib
import json
import os
import time
from pathlib import Path
from typing import Any

from . import figures, store
from .configuration import Configurator, UserError, one_line
from .progress import watch


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run."""

    path: Path
    data: Any
    claims: list[dict[str, Any]]
    computed: bool

    @property
    def diverged(self) -> str:
        """Where the result is not finite; empty if it is finite."""
        status = str(self.data.attrs["status"])
        return status.removeprefix("diverged: ") if status.startswith("diverged") else ""


class Program:
    """An experiment's `run`, compiled once for each structure of configuration and shape of data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = importlib.import_module(name)
        self._compiled: dict[Any, Any] = {}

    def __call__(self, config: Any) -> tuple[Any, dict[str, float]]:
        """The result on the host, and the seconds that loading, compiling and running took."""
        import jax
        import numpy as np

        clock = Clock()
        arguments = jax.tree.map(np.asarray, (config, *self._load(config)))
        clock.lap("load")
        if not jax.tree.leaves(config):
            result = self.module.run(config, *arguments[1:])
            clock.lap("run")
            return result, clock.seconds
        use_compilation_cache()
        key = jax.tree.structure(arguments), tuple((a.shape, a.dtype) for a in jax.tree.leaves(arguments))
        if key not in self._compiled:
            self._compiled[key] = jax.jit(self.module.run).lower(*arguments).compile()
            clock.lap("compile")
        result = jax.device_get(self._compiled[key](*arguments))
        clock.lap("run")
        return result, clock.seconds

    def _load(self, config: Any) -> tuple[Any, ...]:
        """What the experiment reads before it runs: a missing or wrong file is the user's to mend."""
        if not hasattr(self.module, "load"):
            return ()
        try:
            return (self.module.load(config),)
        except (ValueError, OSError) as error:
            raise UserError(one_line(error)) from None


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


def compute_or_load(
    name: str, config: Any, *, size: str, overrides: list[str], force: bool = False, draw: bool = True, show: bool = False
) -> Run:
    """The run of this configuration: from disk if it has finished before, else computed and stored; judged and drawn anew."""
    path = store.run_directory(name, config)
    computed = force or not store.is_finished(path)
    if computed:
        check_writable(path.parent)
        with watch(name, size, config) if show else contextlib.nullcontext():
            result, seconds = program(name)(config)
        data = store.dataset(result, config)
        trouble = store.not_finite(data)
        status = f"diverged: {trouble}" if trouble else "finished"
        store.save(path, data, store.metadata(name, config, overrides, status, seconds), force)
    data = store.load(path)
    return Run(path, data, present(name, path, data, size, draw and data.attrs["status"] == "finished"), computed)


def check_writable(directory: Path) -> None:
    """Raise `UserError` before hours of computing if their result could not be stored."""
    existing = next(p for p in (directory.absolute(), *directory.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"DLTHEORY_RESULTS={store.results()}: results cannot be stored there, {existing.name} is not a writable directory")


def present(name: str, path: Path, data: Any, size: str, draw: bool = True) -> list[dict[str, Any]]:
    """Judge and draw a stored run, beside its data. At size=tiny nothing is gated."""
    import numpy as np

    module = importlib.import_module(name)
    with np.errstate(all="ignore"):
        claims = judged(module.claims(data), size)
    store.write_json(path / "claims.json", claims)
    if draw:
        with figures.style(), np.errstate(all="ignore"):
            figures.save(module.plot(data), path)
    return claims


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
