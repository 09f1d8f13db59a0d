"""Many runs: one status file per job, and the runs together as one dataset, table, claims and figure."""

import csv
import dataclasses
import hashlib
import importlib
import json
import math
import os
import traceback
from pathlib import Path
from typing import Any

from . import claim, figures, store
from .configuration import Configurator, one_line
from .runner import check_writable, chosen_size, compute_or_load, judged


def directory(name: str, overrides: list[str]) -> Path:
    """Where the sweep of these overrides is, so that a resubmission finds it."""
    key = hashlib.sha256(" ".join(sorted(overrides)).encode()).hexdigest()[:12]
    return (store.results() / "sweeps" / store.short(name) / key).absolute()


def start(where: Path, name: str, jobs: list[list[str]]) -> None:
    """Write what the sweep consists of."""
    check_writable(where)
    where.mkdir(parents=True, exist_ok=True)
    for old in where.glob("job-*.json"):
        old.unlink()
    store.write_json(where / "sweep.json", {"experiment": name, "jobs": jobs})


@dataclasses.dataclass(frozen=True)
class Job:
    """One job of a sweep, as Hydra's launchers call it; pickled by the experiment's name. It never raises."""

    name: str
    force: bool = False

    def __call__(self, cfg: Any) -> None:
        """Run the job that Hydra composed and leave its status file."""
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        overrides = [o for o in hydra.overrides.task if not o.startswith("hydra")]
        status: dict[str, Any] = {"status": "failed", "overrides": overrides}
        try:
            config = Configurator(self.name).build(cfg)
            run = compute_or_load(self.name, config, size=chosen_size(overrides), overrides=overrides, force=self.force, draw=False)
            status |= {"status": "diverged" if run.diverged else "finished", "run": os.path.relpath(run.path, hydra.sweep.dir)}
            status |= {"reason": run.diverged} if run.diverged else {}
        except Exception as error:
            status |= {"reason": f"{type(error).__name__}: {one_line(error)}", "traceback": traceback.format_exc()}
        store.write_json(Path(hydra.sweep.dir) / f"job-{hydra.job.num}.json", status)
        print(f"job {hydra.job.num}: {status['status']}  {' '.join(overrides)}  {status.get('reason', '')}".rstrip(), flush=True)


def statuses(where: Path) -> list[dict[str, Any]]:
    """The status of each job of a sweep, in order; "missing" where there is none yet."""
    out: list[dict[str, Any]] = []
    for number, overrides in enumerate(json.loads((where / "sweep.json").read_text())["jobs"]):
        file = where / f"job-{number}.json"
        missing = {"status": "missing", "overrides": overrides, "reason": "the job left no status"}
        out.append(json.loads(file.read_text()) if file.exists() else missing)
    return out


def load_sweep(path: str | Path, unfold: bool = True) -> Any:
    """The runs of a sweep directory as one xarray Dataset. A full grid unfolds into the swept fields; otherwise, and without `unfold`,
    runs lie along `run`, with every scalar of the configuration as a coordinate."""
    import xarray as xr

    jobs = [j for j in statuses(Path(path)) if j["status"] in {"finished", "diverged"}]
    if not jobs:
        raise FileNotFoundError(f"{path}: no finished run in this sweep")
    runs = [store.load(Path(path) / j["run"]) for j in jobs]
    scalars = {n: c for r in runs for n, c in r.coords.items() if not c.ndim}
    fill = lambda c: "" if c.dtype.kind in "UO" else math.nan
    runs = [r.assign_coords({n: fill(c) for n, c in scalars.items() if n not in r.coords}) for r in runs]
    join: dict[str, Any] = {"data_vars": "all", "compat": "equals", "join": "outer", "combine_attrs": "drop_conflicts"}
    data = xr.concat(runs, "run", coords=list(scalars), **join)
    swept = [k for k in swept_keys(jobs) if k in scalars]
    grid = math.prod(len(set(data[k].values.tolist())) for k in swept) == data.sizes["run"]
    if not (unfold and swept and grid):
        return data
    data = xr.concat(runs, "run", coords="different", **join)
    return data.swap_dims(run=swept[0]) if len(swept) == 1 else data.set_index(run=swept).unstack("run")


def swept_keys(jobs: list[dict[str, Any]]) -> list[str]:
    """Keys whose values differ between jobs."""
    values = [dict(o.split("=", 1) for o in j["overrides"]) for j in jobs]
    return [k for k in values[0] if len({v.get(k) for v in values}) > 1]


def collect(where: Path, name: str) -> tuple[int, list[dict[str, Any]]]:
    """After the jobs: table, dataset, claims and figure of the sweep. The number of jobs without a result, and the claims."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    (where / "multirun.yaml").unlink(missing_ok=True)
    module = importlib.import_module(name)
    jobs = statuses(where)
    rows = [
        {
            "status": j["status"],
            "overrides": " ".join(j["overrides"]),
            "claims": _held(where, j),
            "reason": j.get("reason", ""),
            "run": j.get("run", ""),
        }
        for j in jobs
    ]
    with (where / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("status", "overrides", "claims", "reason"):
        shown.add_column(column, overflow="fold")
    for r in rows:
        shown.add_row(r["status"], r["overrides"], r["claims"], r["reason"])
    console = Console(highlight=False)
    console.print(shown)

    claims: list[dict[str, Any]] = []
    if any(j["status"] in {"finished", "diverged"} for j in jobs):
        data = load_sweep(where)
        store.replace_file(where / "sweep.nc", lambda draft: data.reset_coords(drop=False).to_netcdf(draft, engine="h5netcdf"))
        flat_data = load_sweep(where, unfold=False)
        if hasattr(module, "claims_sweep"):
            tiny = any(chosen_size(j["overrides"]) == "tiny" for j in jobs)
            with np.errstate(all="ignore"):
                claims = judged(module.claims_sweep(flat_data), "tiny" if tiny else "default")
            store.write_json(where / "claims.json", claims)
            console.print(claim.table(claims, "claims across runs"))
        if hasattr(module, "plot_sweep"):
            with figures.style():
                for path in figures.save(module.plot_sweep(flat_data), where):
                    console.print(str(path), soft_wrap=True)
        console.print(str(where / "sweep.nc"), soft_wrap=True)
    return sum(j["status"] != "finished" for j in jobs), claims


def _held(where: Path, job: dict[str, Any]) -> str:
    """ "5 of 6 hold" for a job with a run."""
    if "run" not in job:
        return ""
    claims = [c for c in json.loads((where / job["run"] / "claims.json").read_text()) if c["gated"]]
    return f"{sum(c['verdict'] == 'holds' for c in claims)} of {len(claims)} hold" if claims else ""
