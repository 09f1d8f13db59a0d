"""A sweep on disk: what it consists of, how each of its jobs stands, and its runs together as one dataset."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from . import store
from .lock import lock_of, owner
from .runner import check_writable

DONE = ("finished", "diverged")


@dataclasses.dataclass(frozen=True)
class Status:
    """How a job stands: finished, diverged, failed, running, pending or missing; why; the seconds it took, the Slurm task at it."""

    number: int
    status: str
    overrides: list[str]
    run: Path
    reason: str = ""
    seconds: float = math.nan
    task: str = ""


def directory(name: str, overrides: list[str]) -> Path:
    """Where the sweep of these overrides is, so that a resubmission finds it."""
    key = hashlib.sha256(" ".join(sorted(overrides)).encode()).hexdigest()[:12]
    return (store.results() / "sweeps" / store.short(name) / key).absolute()


def find(text: str) -> Path:
    """The sweep directory that a path or its last name means; `FileNotFoundError` if there is none."""
    known = sorted((store.results() / "sweeps").glob(f"*/{text}")) if re.fullmatch(r"[0-9a-f]+", text) else []
    for path in (Path(text), *known):
        if (path / "sweep.json").exists():
            return path.absolute()
    raise FileNotFoundError(f"{text}: no sweep there; sweeps are under {store.results() / 'sweeps'}")


def start(
    where: Path, name: str, overrides: list[str], options: list[str], jobs: list[list[str]], paths: list[Path], force: bool = False
) -> None:
    """Write what the sweep consists of, and by which `options` it was asked for. With `force`, what is there now must be computed
    again, also by whoever resumes the sweep."""
    check_writable(where)
    before: dict[str, str] = {}
    with contextlib.suppress(OSError, store.Damaged):
        before = {job["run"]: job["replaces"] for job in manifest(where)["jobs"]}
    with store.storing(where):
        where.mkdir(parents=True, exist_ok=True)
    runs = [os.path.relpath(path, where) for path in paths]
    replaces = [store.stamp(where / run) if force else before.get(run, "") for run in runs]
    listed = [{"overrides": o, "run": r, "replaces": s} for o, r, s in zip(jobs, runs, replaces, strict=True)]
    store.write_json(where / "sweep.json", {"experiment": name, "overrides": overrides, "options": options, "jobs": listed})


def manifest(where: Path) -> dict[str, Any]:
    """What `start` wrote; `Damaged` if it is not that any more."""
    with contextlib.suppress(ValueError):
        about = json.loads((where / "sweep.json").read_text())
        if isinstance(about, dict) and {"experiment", "overrides", "options", "jobs"} <= set(about):
            return about
    raise store.Damaged(f"{where / 'sweep.json'}: is not what was written (the sweep's command writes it again)")


def job_file(where: Path, number: int) -> Path:
    """Where a job's last attempt is noted."""
    return where / "jobs" / f"{number}.json"


def forget(where: Path, number: int) -> None:
    """Remove the note of a job's last attempt, since there will be another."""
    job_file(where, number).unlink(missing_ok=True)


def statuses(where: Path, verify: bool = True) -> list[Status]:
    """How each job stands, by what is on disk: a finished run, else a lock, else the note of its last attempt. `verify` reads
    results and finds damaged ones."""
    return [_status(where, number, job, verify) for number, job in enumerate(manifest(where)["jobs"])]


def _status(where: Path, number: int, job: dict[str, Any], verify: bool) -> Status:
    path = where / job["run"]
    known = {"number": number, "overrides": job["overrides"], "run": path}
    note: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        note = json.loads(job_file(where, number).read_text())
    there = store.stamp(path)
    if there and there != job["replaces"]:
        try:
            about = store.verified(path)[0] if verify else store.described_by(path)
        except store.Damaged as error:
            return Status(**known, status="failed", reason=store.one_line(error))
        status, _, reason = about["status"].partition(": ")
        return Status(**known, status=status, reason=reason, seconds=sum(about["seconds"].values()))
    if holder := owner(lock_of(path)):
        return Status(**known, status="running", reason=holder[0], task=holder[1])
    if note.get("run") == job["run"] and note.get("status") == "failed":
        return Status(**known, status="failed", reason=note.get("reason", ""))
    return Status(**known, status="missing", reason="not computed yet")


def is_over(where: Path) -> bool:
    """Whether each job has a run or a note of its failure; looks at names only."""
    return all((where / job["run"]).exists() or job_file(where, k).exists() for k, job in enumerate(manifest(where)["jobs"]))


def load_sweep(path: str | Path, unfold: bool = True) -> Any:
    """The runs of a sweep directory as one xarray Dataset. A full grid unfolds into the swept fields; otherwise, and without `unfold`,
    runs lie along `run`, with every scalar of the configuration as a coordinate.

    Raises `FileNotFoundError` where no run has finished, and `Damaged` (a `ValueError`) where a run is not what was written.
    """
    where = find(str(path))
    done = [s for s in statuses(where, verify=False) if s.status in DONE]
    if not done:
        raise FileNotFoundError(f"{path}: no finished run in this sweep")
    flat = combine([store.load(s.run) for s in done])
    return unfolded(flat, swept_keys(done)) if unfold else flat


def combine(runs: list[Any]) -> Any:
    """Runs along `run`, with every scalar of the configuration as a coordinate."""
    import xarray as xr

    scalars = {n: c for r in runs for n, c in r.coords.items() if not c.ndim}
    fill = lambda c: "" if c.dtype.kind in "UO" else math.nan
    runs = [r.assign_coords({n: fill(c) for n, c in scalars.items() if n not in r.coords}) for r in runs]
    return xr.concat(runs, "run", coords=list(scalars), data_vars="all", compat="equals", join="outer", combine_attrs="drop_conflicts")


def unfolded(flat: Any, keys: list[str]) -> Any:
    """A full grid in the swept `keys`, what all runs share as scalars; the runs as they are if they are no full grid."""
    swept = [k for k in keys if k in flat.coords]
    values = [flat[k].values.tolist() for k in swept]
    points = set(zip(*values, strict=True))
    if not swept or not len(points) == math.prod(len(set(v)) for v in values) == flat.sizes["run"]:
        return flat
    alike = lambda c: c.dims == ("run",) and len(set(c.values.tolist())) == 1
    shared = {n: c.values[0] for n, c in flat.coords.items() if n not in swept and alike(c)}
    data = flat.drop_vars(list(shared)).assign_coords(shared)
    return data.swap_dims(run=swept[0]) if len(swept) == 1 else data.set_index(run=swept).unstack("run")


def swept_keys(jobs: list[Status]) -> list[str]:
    """Keys whose values differ between jobs."""
    values = [dict(o.split("=", 1) for o in j.overrides) for j in jobs]
    return [k for k in values[0] if len({v.get(k) for v in values}) > 1]
