"""How the jobs of a sweep are done: shared out into tasks, which Hydra's launchers carry to a process each.

A task goes through its share of the jobs. What has finished before is found by its id and what another process computes is locked,
so that a task may be repeated, requeued or run twice at once and no run is computed twice.
"""

import dataclasses
import itertools
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import store, sweep
from .configuration import Configurator, UserError
from .progress import counted
from .runner import Arrival, Point, chosen_size, compute, judge, present

TASK_SECONDS = 600.0
"""A task of a cluster holds runs of about so many seconds, by the time that the experiment's docstring gives."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a launcher calls with each of its jobs; pickled by names alone. It never raises for what goes wrong in a run."""

    name: str
    where: Path
    driver: int = dataclasses.field(default_factory=os.getpid)

    def __call__(self, cfg: Any) -> None:
        """Do the share that Hydra's override `+share` names."""
        from hydra.core.hydra_config import HydraConfig

        launcher = HydraConfig.get().launcher
        one_at_a_time = launcher["_target_"].endswith(".BasicLauncher")
        self.work(str(cfg.share), 1 if one_at_a_time else launcher.get("batch"))

    def work(self, share: str, lanes: int | None = None) -> None:
        """Do the jobs that `share` names, `lanes` at a time on each device, and note how each ended."""
        points = dict(self._points(in_turn(numbers(share))))
        by_point = {id(point): number for number, point in points.items()}
        with counted(len(points), os.getpid() == self.driver) as tick:
            try:
                for arrival in compute(self.name, list(points.values()), lanes):
                    number = by_point[id(arrival.point)]
                    tick(self._note(number, arrival))
            except store.StoreError as error:
                print(f"error: {error}", file=sys.stderr)

    def _points(self, share: list[int]) -> Iterator[tuple[int, Point]]:
        """The jobs that can be run; of others it is noted why not."""
        configurator = Configurator(self.name)
        jobs = sweep.manifest(self.where)["jobs"]
        for number in share:
            overrides, path = jobs[number]["overrides"], self.where / jobs[number]["run"]
            try:
                config = configurator.read(overrides)
                if store.run_directory(self.name, config).name != path.name:
                    raise UserError("the code has changed since this sweep was started: start it again")
            except UserError as error:
                self._note(number, Arrival(Point(None, path, overrides), error=error))
            else:
                yield number, Point(config, path, overrides, jobs[number]["replaces"])

    def _note(self, number: int, arrival: Arrival) -> str:
        """Judge a run that is there, write the job's file, and say how it ended in one line."""
        point, error = arrival.point, arrival.error
        status, reason = "failed", ""
        if not error:
            try:
                data = store.load(point.path) if arrival.data is None else arrival.data
                present(self.name, point.path, data, judge(self.name, data, chosen_size(point.overrides)), draw=False)
                status, _, reason = str(data.attrs["status"]).partition(": ")
            except store.StoreError:
                raise
            except Exception as trouble:
                error = trouble
        if error:
            kind = "" if isinstance(error, UserError | store.Damaged) else f"{type(error).__name__}: "
            reason = kind + store.one_line(error)
        note = {"status": status, "overrides": point.overrides, "run": os.path.relpath(point.path, self.where), "reason": reason}
        if error:
            note["traceback"] = "".join(traceback.format_exception(error))
        file = sweep.job_file(self.where, number)
        with store.storing(file):
            file.parent.mkdir(exist_ok=True)
        store.write_json(file, note)
        known = "" if arrival.data is not None or error else " (computed before)"
        return f"job {number}: {status}{known}  {' '.join(point.overrides)}  {reason}".rstrip()


def shares(
    todo: dict[int, Any], launcher: str, workers: int, expected: Callable[[int], float | None], most: int | None = None
) -> list[str]:
    """The jobs of `todo` ({number: configuration}) in tasks, each of one structure where tasks are processes of their own: one task
    for a launcher within this process, as many as workers for local processes; on a cluster runs of `TASK_SECONDS`, by the seconds
    `expected` of a job (a minute where it does not say). Never more than `most` jobs in one."""
    import jax

    if launcher in {"basic", "vmap"}:
        return [spell(part) for part in split(list(todo), math.ceil(len(todo) / (most or len(todo))))]
    groups: dict[Any, list[int]] = {}
    for number, config in todo.items():
        groups.setdefault(jax.tree.structure(config), []).append(number)
    out: list[str] = []
    for group in groups.values():
        limit = most or (max(1, int(TASK_SECONDS / (expected(group[0]) or 60.0))) if launcher == "submitit_slurm" else None)
        out += map(spell, split(group, math.ceil(len(group) / limit) if limit else min(workers, len(group))))
    return out


def split(group: list[int], parts: int) -> list[list[int]]:
    """`group` in consecutive parts of nearly equal length."""
    edges = [len(group) * k // parts for k in range(parts + 1)]
    return [group[a:b] for a, b in itertools.pairwise(edges)]


def spell(share: list[int]) -> str:
    """Job numbers as text, which Hydra takes for no number: [0, 1, 2, 5] is "j0-2.5"."""
    ranges: list[list[int]] = []
    for n in share:
        if ranges and n == ranges[-1][-1] + 1:
            ranges[-1][1:] = [n]
        else:
            ranges.append([n])
    return "j" + ".".join("-".join(map(str, r)) for r in ranges)


def numbers(share: str) -> list[int]:
    """The job numbers of a text that `spell` made."""
    ends = [part.partition("-")[::2] for part in share.removeprefix("j").split(".")]
    return [n for first, last in ends for n in range(int(first), int(last or first) + 1)]


def in_turn(share: list[int]) -> list[int]:
    """The share, begun elsewhere by each of several processes that Slurm starts for one task."""
    rank, size = int(os.environ.get("SLURM_PROCID", 0)), int(os.environ.get("SLURM_NTASKS", 1))
    first = len(share) * (rank % size) // size
    return share[first:] + share[:first]
