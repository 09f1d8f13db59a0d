"""What a sweep leaves for people: its table, one dataset, claims across runs and a figure. Computes nothing, so it may be repeated."""

import contextlib
import csv
import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

from . import claim, figures, store, sweep
from .runner import chosen_size, judge, judged, present

SHOWN = 40
"""Jobs of a table on the screen; of a longer sweep it shows those that are not finished."""


def collect(where: Path, jobs: list[sweep.Status]) -> tuple[int, list[dict[str, Any]]]:
    """Table, dataset, claims and figure of a sweep whose jobs stand so, printed and beside it. The number of jobs that have not
    finished, and all claims, of each run and across runs."""
    name = sweep.manifest(where)["experiment"]
    module = importlib.import_module(name)
    for job in (j for j in jobs if j.status in sweep.DONE and not claims_of(j)):
        data = store.load(job.run)
        present(name, job.run, data, judge(name, data, chosen_size(job.overrides)), draw=False)
    (where / "multirun.yaml").unlink(missing_ok=True)
    console = screen()
    console.print(table(jobs))
    console.print(summary(jobs), soft_wrap=True)
    write_table(where, jobs)
    claims: list[dict[str, Any]] = []
    if done := [j for j in jobs if j.status in sweep.DONE]:
        claims = _together(where, module, done, console)
    return sum(j.status != "finished" for j in jobs), [*claims, *(c for j in jobs for c in claims_of(j))]


def _together(where: Path, module: Any, done: list[sweep.Status], console: Any) -> list[dict[str, Any]]:
    import numpy as np

    claims: list[dict[str, Any]] = []
    runs = sweep.combine([store.load(j.run) for j in done])
    data = sweep.unfolded(runs, sweep.swept_keys(done))
    store.replace_file(where / "sweep.nc", lambda draft: draft.write_bytes(store.netcdf(data)))
    if hasattr(module, "claims_sweep"):
        tiny = any(chosen_size(j.overrides) == "tiny" for j in done)
        with np.errstate(all="ignore"):
            claims = judged(module.claims_sweep(runs), "tiny" if tiny else "default")
        store.write_json(where / "claims.json", claims)
        console.print(claim.table(claims, "claims across runs"))
    if hasattr(module, "plot_sweep"):
        with figures.style(), np.errstate(all="ignore"):
            for path in figures.save(module.plot_sweep(runs), where):
                console.print(str(path), soft_wrap=True)
    for name in ("sweep.nc", "table.csv"):
        console.print(str(where / name), soft_wrap=True)
    return claims


def table(jobs: list[sweep.Status]) -> Any:
    """A rich table of the jobs, or of a long sweep's unfinished ones."""
    from rich.markup import escape
    from rich.table import Table

    out = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "status", "overrides", "claims", "reason"):
        out.add_column(column, overflow="fold")
    for j in jobs if len(jobs) <= SHOWN else [j for j in jobs if j.status != "finished"]:
        colour = {"finished": "green", "failed": "red", "diverged": "red", "running": "cyan"}.get(j.status, "yellow")
        words = (escape(text) for text in (" ".join(map(_shorter, j.overrides)), held(j), j.reason))
        out.add_row(str(j.number), f"[{colour}]{j.status}[/]", *words)
    return out


def listed(title: str, rows: list[dict[str, str]]) -> Any:
    """A rich table of an experiment's `tables`: one row each, columns by the keys of the first; numbers are flush right."""
    from rich.markup import escape
    from rich.table import Table

    out = Table(title=escape(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for key in rows[0]:
        is_number = all(row[key][:1] in "-+.0123456789" for row in rows)
        out.add_column(escape(key), overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        out.add_row(*map(escape, row.values()))
    return out


def summary(jobs: list[sweep.Status]) -> str:
    """How many jobs stand how: "190 finished, 10 failed of 200 jobs"."""
    counts = {s: sum(j.status == s for j in jobs) for s in (*sweep.DONE, "failed", "running", "pending", "missing")}
    return ", ".join(f"{n} {s}" for s, n in counts.items() if n) + f" of {len(jobs)} jobs"


def write_table(where: Path, jobs: list[sweep.Status]) -> None:
    """`table.csv`: a line for each job, a column for each swept field."""
    swept = sweep.swept_keys(jobs)

    def write(draft: Path) -> None:
        with draft.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["job", "status", *swept, "claims", "seconds", "reason", "run"])
            for j in jobs:
                values = dict(o.split("=", 1) for o in j.overrides)
                seconds = "" if math.isnan(j.seconds) else f"{j.seconds:.3f}"
                writer.writerow([j.number, j.status, *(values.get(k, "") for k in swept), held(j), seconds, j.reason, j.run.name])

    store.replace_file(where / "table.csv", write)


def held(job: sweep.Status) -> str:
    """ "5 of 6 hold" for a job with a run whose claims are gated."""
    claims = [c for c in claims_of(job) if c["gated"]]
    return f"{sum(c['verdict'] == 'holds' for c in claims)} of {len(claims)} hold" if claims else ""


def claims_of(job: sweep.Status) -> list[dict[str, Any]]:
    """The claims of a job's run as they are on disk; none if it has no run or they cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((job.run / "claims.json").read_text())
        return found if isinstance(found, list) and job.status in sweep.DONE else []
    return []


def _shorter(override: str) -> str:
    key, _, value = override.partition("=")
    try:
        return f"{key}={float(value):.6g}" if "." in value else override
    except ValueError:
        return override


def screen() -> Any:
    """The console: as wide as the terminal, or wide enough for a file."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)
