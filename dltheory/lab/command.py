"""The command line of one experiment."""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import claim, cluster, grid, report, store, sweep, task
from .configuration import CONF, Configurator, UserError, describe, hydra_errors
from .launcher import chosen_launcher
from .machine import cores
from .progress import announce, expected_seconds
from .runner import chosen_size, compute_or_load
from .store import Damaged, StoreError

SWITCHES = {"-m", "--multirun"}
HELP = {"-h", "--help"}
HYDRA_FLAGS = {"-c", "--cfg", "-i", "--info", "--resolve", "--hydra-help", "--version"}
OWN = {"force": False, "strict": False, "figure": False, "runs_per_task": None}
"""The lab's own options, which are no part of a configuration, and what they are if not given."""


def main(name: str, arguments: list[str] | None = None) -> None:
    """Run experiment `name` ("experiments.rich_lazy", never "__main__") as the command line asks, then exit if anything is wrong.

    Exit codes: 0 done; 1 a job of a sweep failed, a run diverged, a result is damaged or cannot be stored, or with strict=true a
    gated claim fails; 2 the configuration is wrong (one line says how, nothing is written); 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = _main(name, arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except (StoreError, Damaged) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt as interrupt:
        print(f"interrupted: {str(interrupt) or 'finished runs are stored, the one in progress is not'}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)  # threads of a running program would crash an orderly exit
    if code:
        sys.exit(code)


def _main(name: str, arguments: list[str]) -> int:
    flags, overrides = sorted_out(arguments)
    configurator = Configurator(name)
    if HELP & set(flags):
        print(describe(configurator))
        return 0
    own, overrides = own_options(overrides)
    is_sweep = bool(SWITCHES & set(flags))
    for word in overrides:
        if "=" not in word and not word.startswith("~"):
            raise UserError(f"{word}: must be key=value (--help lists the keys)")
        if grid.is_grid(word) and not is_sweep:
            raise UserError(f"{word}: several values need -m")
    overrides = [grid.expand(word) for word in overrides]
    if own["figure"]:
        if not is_sweep:
            raise UserError("figure=true: the sweep of a published figure needs -m")
        overrides += map(grid.expand, configurator.figure(overrides))
    configurator.check(overrides, is_sweep)
    if set(flags) - SWITCHES:
        if is_sweep:
            raise UserError(f"{(set(flags) - SWITCHES).pop()}: looks at one configuration, leave out -m")
        configurator.read(overrides)
        with hydra_errors():
            hydra_main(configurator, flags + overrides)
        return 0
    if is_sweep:
        return sweep_jobs(configurator, overrides, own["force"], own["strict"], own["runs_per_task"])
    if own["runs_per_task"]:
        raise UserError(f"runs_per_task={own['runs_per_task']}: belongs to a sweep, add -m")
    return single(configurator, overrides, own["force"], own["strict"])


def sorted_out(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Flags (with their values) and overrides, which Hydra takes only in this order."""
    flags: list[str] = []
    overrides: list[str] = []
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            overrides.append(word)
        elif word.partition("=")[0] not in SWITCHES | HELP | HYDRA_FLAGS:
            raise UserError(f"{word}: no such flag; there are -h, -m, --cfg, --info, --hydra-help")
        else:
            flags.append(word)
            if word in {"-c", "--cfg"}:
                flags += [value] if (value := next(words, "")) else []
    if {"-c", "--cfg"} & set(flags) and not {"job", "hydra", "all"} & set(flags):
        raise UserError("--cfg: must be one of job, hydra, all")
    return flags, overrides


def own_options(overrides: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The lab's own options and the other overrides."""
    own: dict[str, Any] = dict(OWN)
    rest: list[str] = []
    for word in overrides:
        key, _, value = word.partition("=")
        if key not in OWN:
            rest.append(word)
        elif key == "runs_per_task":
            if not value.isdecimal() or int(value) < 1:
                raise UserError(f"{word}: must be a whole number ≥ 1")
            own[key] = int(value)
        elif value.lower() not in {"true", "false"}:
            raise UserError(f"{word}: must be true or false")
        else:
            own[key] = value.lower() == "true"
    return own, rest


def single(configurator: Configurator, overrides: list[str], force: bool, strict: bool) -> int:
    """One run: its claims and where its files are."""
    if any(o.startswith(("hydra.", "hydra/")) for o in overrides):
        raise UserError("hydra/launcher and hydra.* belong to a sweep: add -m")
    run = compute_or_load(
        configurator.name,
        configurator.read(overrides),
        size=chosen_size(overrides),
        overrides=overrides,
        force=force,
        show=True,
    )
    console = report.screen()
    for title, rows in run.tables.items():
        console.print(report.listed(title, rows))
    console.print(claim.table(run.claims))
    if run.diverged:
        console.print(f"[red]diverged[/]: {run.diverged}")
    if not run.computed:
        console.print("computed before: judged and drawn again (force=true computes again)")
    for file in ("figure.png", "figure.pdf", "result.nc"):
        if (run.path / file).exists():
            console.print(f"{run.path / file}", soft_wrap=True)
    if run.unwritten:
        print(f"error: {run.unwritten}", file=sys.stderr)
    return int(bool(run.diverged or run.unwritten) or (strict and failed(run.claims)))


def failed(claims: list[dict[str, Any]]) -> bool:
    """Whether a gated claim fails."""
    return any(c["gated"] and c["verdict"] == "fails" for c in claims)


def sweep_jobs(configurator: Configurator, overrides: list[str], force: bool, strict: bool, most: int | None) -> int:
    """All jobs of a sweep through one of Hydra's launchers, then their table, dataset, claims and figure.

    What has finished before is not launched again, nor what waits or runs on a cluster. With a launcher that does not wait, only
    the submission.
    """
    name, is_hydra = configurator.name, lambda o: o.startswith(("hydra.", "hydra/"))
    words, hydra_words = [o for o in overrides if not is_hydra(o)], [o for o in overrides if is_hydra(o)]
    launcher = chosen_launcher(configurator, hydra_words)
    jobs = configurator.jobs(words)
    configs = [configurator.read(job) for job in jobs]
    where = sweep.directory(name, words)
    options = [*hydra_words, *(["strict=true"] if strict else []), *([f"runs_per_task={most}"] if most else [])]
    sweep.start(where, name, words, options, jobs, [store.run_directory(name, c).absolute() for c in configs], force)
    with interruptible(where):
        standing, in_hand = sweep.statuses(where), cluster.in_hand(where)
        todo = {s.number: configs[s.number] for s in standing if s.status not in sweep.DONE and s.number not in in_hand}
        if todo:
            for number in todo:
                sweep.forget(where, number)
            workers = launcher.processes(len(todo))
            docstring = sys.modules[name].__doc__ or ""
            usual = lambda number: expected_seconds(docstring, chosen_size(jobs[number]))
            if launcher.waits:
                announce(sum(usual(n) or 0 for n in todo) / max(workers, cores() if launcher.name == "vmap" else 1), len(todo))
            parts = task.shares(todo, launcher.name, workers, usual, most)
            quoted = str(where).replace("\\", "\\\\").replace("'", "\\'")
            arguments = ["-m", *hydra_words, f"hydra.sweep.dir='{quoted}'", f"+share={','.join(parts)}"]
            try:
                with hydra_errors(), launcher.environment(workers):
                    hydra_main(configurator, arguments, task.Task(name, where))
            except (UserError, StoreError):
                raise
            except Exception as error:
                print(f"error: the launcher stopped, {type(error).__name__}: {store.one_line(error)}", file=sys.stderr)
        if not launcher.waits:
            if not todo:
                print(f"nothing to submit: {report.summary(cluster.statuses(where))}")
            return 0
        if cluster.in_hand(where):
            cluster.wait(where)
        bad, claims = report.collect(where, cluster.statuses(where))
        return int(bad > 0 or (strict and failed(claims)))


@contextlib.contextmanager
def interruptible(where: Path) -> Iterator[None]:
    """A sweep whose interrupt says so if a cluster goes on with it."""
    try:
        yield
    except KeyboardInterrupt:
        goes_on = f"its Slurm jobs go on; python -m experiments status {shlex.quote(str(where))}"
        raise KeyboardInterrupt(*[goes_on] if cluster.in_hand(where) else []) from None


def hydra_main(configurator: Configurator, arguments: list[str], task: Any = print) -> None:
    """Hydra's own entry point on `conf/`, its errors raised rather than printed."""
    import hydra

    configurator.register()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    before = sys.argv
    sys.argv = [str(Path(sys.argv[0]).name), *arguments]
    try:
        hydra.main(config_path=str(CONF), config_name=store.short(configurator.name), version_base="1.3")(task)()
    finally:
        sys.argv = before
