"""Runs on disk: named by their content, appearing whole or not at all, read without executing anything."""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from ..numerics import Estimate
from ..record import option_name
from .machine import cores, git, is_alive, machine, slurm, versions

HOUSE = Path(__file__).parents[2]
PRESENTATION = ("plot", "claims", "tables")
FORMAT = 2
"""How runs are stored; a part of their ids, so that runs of another format are not taken for damaged ones."""


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
    """Hash of a module's syntax tree without comments, docstrings, layout, and its functions `plot*`, `claims*` and `tables*`."""
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


def given_code(config: Any) -> dict[str, str]:
    """Fingerprints of the user's modules that a configuration names, "package.module:function"."""
    words = [v for v in flat(config).values() if isinstance(v, str) and re.fullmatch(r"\w+(\.\w+)*:\w+", v)]
    found = [(word.partition(":")[0], importlib.util.find_spec(word.partition(":")[0])) for word in sorted(words)]
    return {module: fingerprint(Path(spec.origin)) for module, spec in found if spec and spec.origin and spec.origin.endswith(".py")}


def run_directory(name: str, config: Any) -> Path:
    """Where the run of this configuration and this code is or will be."""
    key = json.dumps([FORMAT, flat(config), code(name) | given_code(config)], sort_keys=True)
    return results() / "runs" / short(name) / hashlib.sha256(key.encode()).hexdigest()[:12]


def is_finished(path: Path) -> bool:
    """Whether `path` holds a finished run: a directory under its final name is complete."""
    return (path / "result.nc").exists() and (path / "metadata.json").exists()


class StoreError(OSError):
    """The disk is full, read-only or gone. One line: the file and the reason."""


class Damaged(ValueError):
    """A stored run is not what was written. One line: the file and what is wrong with it."""


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def signed(metadata: dict[str, Any], result: bytes) -> bytes:
    """`metadata` as JSON that holds the checksums of the result and of itself."""
    body = {k: v for k, v in metadata.items() if k != "sha256"}
    sums = {"result.nc": digest(result), "metadata": digest(json.dumps(body, sort_keys=True).encode())}
    return (json.dumps(body | {"sha256": sums}, indent=1, ensure_ascii=False) + "\n").encode()


REMEDY = "(force=true computes it again, or move it away)"


def described_by(path: Path) -> dict[str, Any]:
    """Metadata of a finished run, whose checksums are not compared; raises `Damaged`."""
    file = path / "metadata.json"
    try:
        about = json.loads(file.read_text())
    except FileNotFoundError:
        raise Damaged(f"{file}: is missing {REMEDY}") from None
    except ValueError:
        raise Damaged(f"{file}: is truncated or not JSON {REMEDY}") from None
    if not isinstance(about, dict) or not {"status", "seconds", "sha256"} <= set(about):
        raise Damaged(f"{file}: is not what was written {REMEDY}")
    return about


def verified(path: Path) -> tuple[dict[str, Any], bytes]:
    """Metadata and the bytes of the result of a finished run, whose checksums agree; raises `Damaged`."""
    about = described_by(path)
    try:
        result = (path / "result.nc").read_bytes()
    except FileNotFoundError:
        raise Damaged(f"{path / 'result.nc'}: is missing {REMEDY}") from None
    expected = json.loads(signed(about, result))["sha256"]
    for name, file in (("metadata", "metadata.json"), ("result.nc", "result.nc")):
        if about["sha256"].get(name) != expected[name]:
            raise Damaged(f"{path / file}: does not match its checksum {REMEDY}")
    return about, result


def stamp(path: Path) -> str:
    """What tells this run directory from a later one of the same id; empty if there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return digest((path / "metadata.json").read_bytes())
    return "damaged" if path.exists() else ""


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
    return data.assign_coords(counted | scalars(flat(config)))


def estimate(data: Any, name: str) -> Estimate:
    """The `Estimate` of that name in a stored dataset, as arrays of its dimensions."""
    import numpy as np

    return Estimate(*np.broadcast_arrays(*(data[name + part].values for part in ("", "_standard_error", "_count"))))


def scalars(configuration: dict[str, Any]) -> dict[str, Any]:
    """What of a flat configuration becomes scalar coordinates. In a file it is one attribute, which is read twice as fast as the
    rest together."""
    return {k: v for k, v in configuration.items() if v is not None}


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


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Complaints of the operating system in this block become a `StoreError` about `path`."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or one_line(error)}; free the disk or set DLTHEORY_RESULTS, then repeat") from None


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file beside `path` and rename it: readers see the old or the new one, never half. Raises `StoreError`."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with storing(path):
        try:
            write(draft)
            os.replace(draft, path)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def one_line(error: BaseException) -> str:
    """An exception's text in one line."""
    return " ".join(str(error).split())


def write_json(path: Path, content: Any) -> None:
    """`content` as JSON, appearing whole or not at all."""
    replace_file(path, lambda draft: draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n"))


class Draft:
    """A hidden directory that becomes `path` when the block ends well and vanishes otherwise. The first finished directory wins,
    unless `force`d. Raises `StoreError`."""

    def __init__(self, path: Path, force: bool = False) -> None:
        self.path, self.force = path, force
        self.draft = path.with_name(f".{path.name}.{machine()}.{os.getpid()}")

    def __enter__(self) -> Path:
        with storing(self.path):
            self._sweep_up()
            self.draft.mkdir(parents=True)
        return self.draft

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                with storing(self.path):
                    self._publish()
        finally:
            shutil.rmtree(self.draft, ignore_errors=True)

    def _publish(self) -> None:
        if self.force and self.path.exists():
            old = self.draft.with_name(self.draft.name + ".old")
            os.rename(self.path, old)
            os.rename(self.draft, self.path)
            shutil.rmtree(old)
            return
        try:
            os.rename(self.draft, self.path)
        except OSError:
            if not is_finished(self.path):
                raise

    def _sweep_up(self) -> None:
        """Remove drafts of this run whose process on this machine is gone; what it was about to replace comes back."""
        for left in self.path.parent.glob(f".{self.path.name}.{machine()}.*"):
            pid = left.name.removesuffix(".old").rpartition(".")[2]
            if not pid.isdigit() or (int(pid) != os.getpid() and is_alive(int(pid))):
                continue
            if left.name.endswith(".old") and not self.path.exists():
                os.rename(left, self.path)
            else:
                shutil.rmtree(left, ignore_errors=True)


def save(path: Path, data: Any, metadata: dict[str, Any], force: bool = False) -> None:
    """Store a finished result and its metadata under `path`; raises `StoreError`."""
    configuration = json.dumps(metadata["config"], ensure_ascii=False)
    arrays = data.drop_vars([k for k in metadata["config"] if k in data.coords]).assign_attrs(configuration=configuration)
    result = netcdf(arrays)
    with Draft(path, force) as draft, storing(path):
        write_through(draft / "result.nc", result)
        write_through(draft / "metadata.json", signed(metadata, result))


def netcdf(data: Any) -> bytes:
    """A Dataset as a netCDF4 file, its arrays compressed; in memory, so that a full disk is met only in plain writing."""
    packed = {n: {"zlib": True, "complevel": 4} for n, v in data.data_vars.items() if v.ndim and v.dtype.kind in "fiub"}
    return bytes(data.to_netcdf(engine="h5netcdf", encoding=packed))


def write_through(path: Path, content: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def load(path: str | Path) -> Any:
    """The xarray Dataset of a run directory; its metadata are attributes. Executes nothing of what it reads.

    Raises `FileNotFoundError` where there is no run and `Damaged` (a `ValueError`) where it is not what was written.
    """
    import xarray as xr

    path = Path(path)
    path = path.parent if path.name == "result.nc" else path
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no finished run there")
    metadata, result = verified(path)
    with xr.open_dataset(io.BytesIO(result), engine="h5netcdf") as data:
        out = data.load()
    out = out.assign_coords(scalars(json.loads(out.attrs.pop("configuration"))))
    return described(out, metadata)


def described(data: Any, metadata: dict[str, Any]) -> Any:
    """The Dataset with its metadata as attributes."""
    return data.assign_attrs({k: v if isinstance(v, str | int | float) else json.dumps(v) for k, v in metadata.items()})


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
        "token": uuid.uuid4().hex,  # no two runs are alike, however fast: `stamp` tells them apart
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "host": {"system": platform.system(), "machine": platform.machine(), "cores": cores()},
        **slurm(),
        "versions": versions(),
        "git": git(HOUSE),
        "code": code(name) | given_code(config),
    }
