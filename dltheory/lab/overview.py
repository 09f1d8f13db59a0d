"""What can be done with sweeps that were started before: see how they stand, go on with them, put them together again."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from . import cluster, command, report, store, sweep


def main(arguments: list[str]) -> None:
    """`status`, `resume` or `collect` of `python -m experiments`; exits 0, 1 if a job failed, 2 if it cannot be understood."""
    verb, *rest = arguments
    if verb not in VERBS or len(rest) > 1 or (not rest and verb != "status"):
        print(f"error: {' '.join(arguments)}: must be status [sweep], resume <sweep> or collect <sweep>", file=sys.stderr)
        sys.exit(2)
    try:
        code = VERBS[verb](sweep.find(rest[0])) if rest else everything()
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except (store.StoreError, store.Damaged) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def everything() -> int:
    """One line for each sweep."""
    found = sorted((store.results() / "sweeps").glob("*/*/sweep.json"))
    for file in found:
        try:
            about = sweep.manifest(file.parent)
            print(f"{file.parent.name}  {store.short(about['experiment'])} {' '.join(about['overrides'])}")
            print(f"    {report.summary(cluster.statuses(file.parent, verify=False))}")
        except store.Damaged as error:
            print(f"{file.parent.name}  {error}")
    if not found:
        print(f"no sweeps under {store.results() / 'sweeps'}")
    return 0


def status(where: Path) -> int:
    """The table of a sweep's jobs; 1 if some failed."""
    jobs = cluster.statuses(where)
    report.screen().print(report.table(jobs))
    print(report.summary(jobs))
    verb = "collect" if all(j.status in sweep.DONE for j in jobs) else "resume"
    print(f"python -m experiments {verb} {shlex.quote(str(where))}")
    return int(any(j.status in {"failed", "diverged"} for j in jobs))


def collect(where: Path) -> int:
    """Table, dataset, claims and figure once more; 1 unless all jobs have finished."""
    bad, _ = report.collect(where, cluster.statuses(where))
    return int(bad > 0)


def resume(where: Path) -> int:
    """The sweep's own command again, which does only what is missing or failed."""
    about = sweep.manifest(where)
    os.environ["DLTHEORY_RESULTS"] = str(where.parents[2])
    command.main(about["experiment"], ["-m", *about["overrides"], *about["options"]])
    return 0


VERBS: dict[str, Callable[[Path], int]] = {"status": status, "resume": resume, "collect": collect}
