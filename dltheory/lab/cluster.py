"""Sweeps on Slurm: submitting tasks as one job array through submitit, and asking the scheduler how they stand."""

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import report, store, sweep
from .machine import cores
from .progress import counted
from .task import Task, numbers

PLAIN = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout")
"""Parameters that submitit calls the same for every scheduler; those of Slurm alone are `slurm_…`."""


@dataclasses.dataclass(frozen=True)
class Remote:
    """What submitit pickles and a cluster's node calls. When the time limit comes or the job is preempted, it is requeued as it is:
    what has finished is found on disk."""

    task: Task

    def __call__(self, share: str) -> None:
        """Do the share, with as many threads as the task has cores."""
        os.environ["NPROC"] = str(cores())
        self.task.work(share)
        if sweep.is_over(self.task.where):
            report.collect(self.task.where, sweep.statuses(self.task.where))

    def checkpoint(self, share: str) -> Any:
        """What to do after a requeue: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, share)


def submit(task: Task, shares: list[str], parameters: dict[str, Any]) -> str:
    """Submit one array with a task for each share; the array's job id."""
    import submitit

    logs = task.where / "slurm"
    retries = parameters.pop("max_num_timeout", 3)
    executor = submitit.AutoExecutor(folder=logs / "%j", cluster="slurm", slurm_max_num_timeout=retries)
    given = {k: v for k, v in parameters.items() if v is not None}
    executor.update_parameters(**{k if k in PLAIN else f"slurm_{k}": v for k, v in given.items()})
    with uninterrupted():
        job = executor.map_array(Remote(task), shares)[0].job_id.partition("_")[0]
        store.write_json(logs / f"{job}.json", {"job": job, "shares": shares})
    return job


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets an interrupt wait for the end of the block: a job that the scheduler has must not go unnoted."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt


def queued() -> dict[str, str] | None:
    """State of each array task of this user that is waiting or running, {"12_3": "PENDING"}; None if the scheduler does not answer."""
    words = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    try:
        lines = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split() for line in lines if line.strip())


def ended(job: str) -> dict[str, str]:
    """How the array tasks of a job ended, as far as the scheduler remembers."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", job]
        lines = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
        return {i: state for i, state, *_ in (line.split("|") for line in lines[1:])}
    return {}


def submissions(where: Path) -> list[tuple[str, list[str]]]:
    """Job id and shares of each submission of a sweep, in order; a damaged note of one is left out."""
    found: list[tuple[str, list[str]]] = []
    for file in (where / "slurm").glob("*.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            about = json.loads(file.read_text())
            found.append((about["job"], about["shares"]))
    return sorted(found, key=lambda s: int(s[0]))


def tasks(where: Path, active: dict[str, str] | None) -> Iterator[tuple[str, str, set[int]]]:
    """Array task, state ("" once it has left the queue, "?" if the scheduler does not answer) and jobs, of each that was submitted."""
    for job, shares in submissions(where):
        for k, share in enumerate(shares):
            name = f"{job}_{k}" if len(shares) > 1 else job  # submitit makes no array of one
            yield name, "?" if active is None else active.get(name, ""), set(numbers(share))


def in_hand(where: Path) -> set[int]:
    """Jobs whose task is waiting or running."""
    active = queued() if submissions(where) else {}
    return {n for _, state, own in tasks(where, active) if state not in {"", "?"} for n in own}


def statuses(where: Path, verify: bool = True) -> list[sweep.Status]:
    """`sweep.statuses` with what the scheduler knows of the jobs that are not done."""
    out = sweep.statuses(where, verify)
    return _with_tasks(where, out, queued()) if submissions(where) else out


def _with_tasks(where: Path, out: list[sweep.Status], active: dict[str, str] | None) -> list[sweep.Status]:
    past = functools.cache(ended)
    for s in out:
        if s.status == "running" and s.task and active is not None and s.task not in active:
            out[s.number] = dataclasses.replace(s, status="missing", reason=f"Slurm {s.task} has ended and left its lock")
    for task, state, own in tasks(where, active):
        for n in own & {s.number for s in out if s.status in {"missing", "pending"}}:
            if state == "":
                how = past(task.partition("_")[0]).get(task, "")
                out[n] = dataclasses.replace(out[n], status="missing", reason=f"Slurm {task} has ended" + (how and f" as {how}"))
            elif state == "?":
                out[n] = dataclasses.replace(out[n], status="missing", reason=f"Slurm {task}: the scheduler does not answer")
            else:
                out[n] = dataclasses.replace(out[n], status="pending", reason=f"Slurm {task} is {state}")
    return out


def wait(where: Path) -> None:
    """Until no task of the sweep is waiting or running; shows how the sweep comes along."""
    seen: set[int] = set()
    pause = 1.0
    with counted(len(sweep.manifest(where)["jobs"])) as tick:
        while True:
            active = queued()
            for s in sweep.statuses(where, verify=False):
                if s.number not in seen and s.status in (*sweep.DONE, "failed"):
                    seen.add(s.number)
                    tick(f"job {s.number}: {s.status}  {' '.join(s.overrides)}  {s.reason}".rstrip())
            if active is not None and not any(state for _, state, _ in tasks(where, active)):
                return
            time.sleep(pause)
            pause = min(1.2 * pause, 20.0)
