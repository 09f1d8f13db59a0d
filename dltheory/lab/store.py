"""Runs on disk: named by their content, appearing whole or not at all, read without executing anything."""

import ast
import dataclasses
import functools
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ..record import option_name

HOUSE = Path(__file__).parents[2]
PRESENTATION = ("plot", "claims")


def results() -> Path:
    """Where runs and sweeps go: `$DLTHEORY_RESULTS`, or `results` in the working directory."""
    return Path(os.environ.get("DLTHEORY_RESULTS") or "results")


def short(name: str) -> str:
    """ "rich_lazy" of "experiments.rich_lazy"."""
    return name.rpartition(".")[2]


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """The configuration as {dotted key: scalar}; a group's own key holds the option's name."""
    out: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value, key = getattr(config, f.name), prefix + f.name
        if dataclasses.is_dataclass(value):
            out |= {key: option_name(type(value)), **flat(value, f"{key}.")}
        else:
            out[key] = value
    return out


def fingerprint(path: Path) -> str:
    """Hash of a module's syntax tree without comments, docstrings, layout, and its functions `plot*` and `claims*`."""
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if not getattr(n, "name", "").lstrip("_").startswith(PRESENTATION)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            is_text = lambda n: isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) and isinstance(n.value.value, str)
            node.body = [n for n in body if not is_text(n)] or [ast.Pass()]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@functools.cache
def code(name: str) -> dict[str, str]:
    """Fingerprints of what produces the numbers: the module and, by its import statements, all of this project that it stands on
    except the lab."""
    found: dict[str, str] = {}
    todo = [name]
    while todo:
        module = todo.pop()
        base = HOUSE / module.replace(".", "/")
        path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if module in found or not path.exists() or module.startswith("dltheory.lab"):
            continue
        found[module] = fingerprint(path)
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                parents = package.split(".")[: 1 - node.level or None] if node.level else []
                origin = ".".join([*parents, *filter(None, [node.module])])
                todo += [origin, *(f"{origin}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                todo += [a.name for a in node.names]
    return dict(sorted(found.items()))


def run_directory(name: str, config: Any) -> Path:
    """Where the run of this configuration and this code is or will be."""
    key = json.dumps([flat(config), code(name)], sort_keys=True)
    return results() / "runs" / short(name) / hashlib.sha256(key.encode()).hexdigest()[:12]


def is_finished(path: Path) -> bool:
    """Whether `path` holds a finished run: a directory under its final name is complete."""
    return (path / "result.nc").exists() and (path / "metadata.json").exists()


def variables(result: Any, dims: tuple[str, ...] | None = None, prefix: str = "", about: str = "") -> dict[str, Any]:
    """The arrays of a result as xarray variables. Dimensions are those of the jaxtyping annotations; a nested record shares its
    owner's; an Estimate `x` becomes `x`, `x_standard_error` and `x_count`."""
    import numpy as np

    out: dict[str, Any] = {}
    for f in dataclasses.fields(result):
        value = getattr(result, f.name)
        d = dims if dims is not None else tuple(f.type.dim_str.split())  # type: ignore[union-attr]
        text = ": ".join(filter(None, [about, f.metadata.get("doc", "")]))
        if dataclasses.is_dataclass(value):
            inner = variables(value, d, f"{prefix}{f.name}_", text)
            out |= {k.removesuffix("_mean"): v for k, v in inner.items()}
        else:
            value = np.asarray(value)
            attrs = {"long_name": text, "units": f.metadata.get("unit"), "source": f.metadata.get("source")}
            out[prefix + f.name] = (d if value.ndim else (), value, {k: v for k, v in attrs.items() if v})
    return out


def dataset(result: Any, config: Any) -> Any:
    """A result as an xarray Dataset, with every scalar of the configuration as a scalar coordinate."""
    import xarray as xr

    data = xr.Dataset(variables(result))
    counted = {d: range(n) for d, n in data.sizes.items() if d not in data.coords}
    return data.assign_coords(counted | {k: v for k, v in flat(config).items() if v is not None})


def not_finite(data: Any) -> str:
    """Where a result is not finite, in words ("observed_h from step 120, rate 0.3"); empty if it is finite."""
    import numpy as np

    for name, variable in data.data_vars.items():
        if variable.dtype.kind != "f" or bool(np.isfinite(variable).all()):
            continue
        where = dict(zip(variable.dims, np.argwhere(~np.isfinite(variable.values)).T, strict=True))
        if "step" in where:
            first = int(where["step"].argmin())
            step = data.step.values[where["step"][first]] if "step" in data.coords else where["step"][first]
            others = {d: int(i[first]) for d, i in where.items() if d != "step"}
            rate = f", rate {float(data.rate.isel(others)):.3g}" if "rate" in data and set(data.rate.dims) == set(others) else ""
            return f"{name} is not finite from step {step}{rate}" + "".join(f", {d} {i}" for d, i in others.items())
        return f"{name} is not finite"
    return ""


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside `path` and rename it: readers see the old or the new one, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """`content` as JSON, appearing whole or not at all."""
    replace_file(path, lambda draft: draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n"))


class Draft:
    """A hidden directory that becomes `path` when the block ends well and vanishes otherwise. The first finished directory wins,
    unless `force`d."""

    def __init__(self, path: Path, force: bool = False) -> None:
        self.path, self.force = path, force
        self.draft = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")

    def __enter__(self) -> Path:
        self._sweep_up()
        self.draft.mkdir(parents=True)
        return self.draft

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            if self.force and self.path.exists():
                old = self.draft.with_name(self.draft.name + ".old")
                os.rename(self.path, old)
                os.rename(self.draft, self.path)
                shutil.rmtree(old)
                return
            try:
                os.rename(self.draft, self.path)
                return
            except OSError:
                if not is_finished(self.path):
                    raise
        shutil.rmtree(self.draft, ignore_errors=True)

    def _sweep_up(self) -> None:
        """Remove drafts of this run whose process on this machine is gone."""
        for left in self.path.parent.glob(f".{self.path.name}.{socket.gethostname()}.*"):
            pid = left.name.removesuffix(".old").rpartition(".")[2]
            if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
                shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def save(path: Path, data: Any, metadata: dict[str, Any], force: bool = False) -> None:
    """Store a finished result and its metadata under `path`."""
    with Draft(path, force) as draft:
        packed = {n: {"zlib": True, "complevel": 4} for n, v in data.data_vars.items() if v.ndim and v.dtype.kind in "fiub"}
        data.to_netcdf(draft / "result.nc", engine="h5netcdf", encoding=packed)
        (draft / "metadata.json").write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")


def load(path: str | Path) -> Any:
    """The xarray Dataset of a run directory; its metadata are attributes. Executes nothing of what it reads."""
    import xarray as xr

    path = Path(path)
    path = path.parent if path.name == "result.nc" else path
    if not is_finished(path):
        raise FileNotFoundError(f"{path}: no finished run there")
    with xr.open_dataset(path / "result.nc", engine="h5netcdf") as data:
        out = data.load()
    metadata = json.loads((path / "metadata.json").read_text())
    return out.assign_attrs({k: v if isinstance(v, str | int | float) else json.dumps(v) for k, v in metadata.items()})


def metadata(name: str, config: Any, overrides: list[str], status: str, seconds: dict[str, float]) -> dict[str, Any]:
    """What a run was made of and with."""
    import jax

    device = jax.devices()[0]
    return {
        "experiment": short(name),
        "status": status,
        "config": flat(config),
        "overrides": overrides,
        "seconds": {k: round(v, 3) for k, v in seconds.items()},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "host": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()},
        "versions": versions(),
        "git": git(),
        "code": code(name),
    }


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import version

    packages = ("dltheory", "jax", "jaxlib", "flax", "optax", "diffrax", "numpy", "scipy", "xarray")
    return {"python": ".".join(map(str, sys.version_info[:3])), **{p: version(p) for p in packages}}


@functools.cache
def git() -> dict[str, Any]:
    """Commit of this checkout and whether it has uncommitted changes; empty outside a checkout."""
    ask = lambda *words: subprocess.run(["git", "-C", str(HOUSE), *words], capture_output=True, text=True, timeout=20, check=True)
    try:
        if Path(ask("rev-parse", "--show-toplevel").stdout.strip()) != HOUSE:
            return {}
        return {"commit": ask("rev-parse", "HEAD").stdout.strip(), "dirty": bool(ask("status", "--porcelain").stdout.strip())}
    except (OSError, subprocess.SubprocessError):
        return {}
