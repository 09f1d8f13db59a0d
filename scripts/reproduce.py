"""Run every experiment and its published figure, fill the gallery, and say which claims hold and what it cost.

    python -m scripts.reproduce [size=default] [only=name,name] [skip=name,name] [launcher=vmap]

size: tiny, default or paper. launcher: any of Hydra's, for the sweeps (vmap, basic, joblib, submitit_slurm …); a cluster's also does
the single runs. The same command again goes on where an earlier one ended, however it ended: finished runs are found by their id.

Under the results directory ($DLTHEORY_RESULTS moves it): `gallery/<experiment>/`, the index `README.md`, and all that was printed, in
`reproduce/<experiment>.log`.

Exit codes: 0 done; 1 a gated claim fails or an experiment failed; 2 an option is wrong; 130 interrupted.
"""

import ast
import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dltheory.lab import grid, report, store, sweep
from dltheory.lab.claim import MARKS, number
from dltheory.lab.command import failed
from dltheory.lab.configuration import Configurator, UserError
from dltheory.lab.launcher import chosen_launcher
from dltheory.lab.progress import expected_seconds
from dltheory.lab.runner import check_writable
from scripts import gallery

SIZES = ("tiny", "default", "paper")
START, UNKNOWN = 5.0, 60.0
"""Seconds of the shortest command, which finds all its runs done, and of a run whose docstring does not say."""
WRONG = re.compile(r"^(error|diverged): |^[\w.]*(Error|Exception)\b|\d+ (diverged|failed|missing).* of \d+ jobs$")
"""Lines of a log that say what went wrong."""
LOOK, PATIENCE = 0.5, 2.0
"""Seconds between looks at a command, and those it is given to end after an interrupt."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is asked for."""

    names: tuple[str, ...]
    size: str
    launcher: str


@dataclasses.dataclass(frozen=True)
class Step:
    """The run or the sweep of an experiment: the words of its command, the runs it ends in, where it draws, the seconds it may take.

    `remote` are words that have a cluster do the runs first, so that the command finds them.
    """

    experiment: str
    kind: str
    words: tuple[str, ...]
    remote: tuple[str, ...]
    runs: tuple[Path, ...]
    drawn: Path
    expected: float

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words of each command, in order."""
        return tuple(words for words in (self.remote, self.words) if words)

    @property
    def products(self) -> dict[str, Path]:
        """What it leaves, by the names in the gallery."""
        claims, picture = gallery.CLAIMS[self.kind], {"run": "figure", "sweep": "sweep"}[self.kind]
        return {claims: self.drawn / "claims.json", **{f"{picture}.{end}": self.drawn / f"figure.{end}" for end in ("png", "pdf")}}


@dataclasses.dataclass(frozen=True)
class Plan:
    """An experiment by its name and docstring: its steps, or the traceback of what is wrong with it."""

    name: str
    docstring: str
    steps: tuple[Step, ...]
    trouble: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a step went: its seconds, what is wrong, which of its products it wrote, and the claims among them."""

    step: Step
    seconds: float
    error: str
    files: dict[str, Path]
    claims: list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of an experiment: its claims, its runs and the seconds they took to compute, the seconds now, what is wrong."""

    name: str
    claims: list[dict[str, Any]]
    runs: int
    computed: float
    seconds: float
    error: str

    @property
    def failure(self) -> str:
        """What is wrong, in a line with the log that says more."""
        return f"{self.name} failed: {self.error} ({log_of(self.name)})"


def experiments() -> dict[str, str]:
    """Name and docstring of every experiment, none of them imported."""
    return {path.stem: _docstring(path) for path in sorted((store.HOUSE / "experiments").glob("[!_]*.py"))}


def _docstring(path: Path) -> str:
    with contextlib.suppress(SyntaxError, ValueError):
        return ast.get_docstring(ast.parse(path.read_text())) or ""
    return ""


def options(arguments: Sequence[str], known: Sequence[str]) -> Options:
    """What these words ask for; `UserError` says what is wrong."""
    given = {"size": "default", "only": ",".join(known), "skip": "", "launcher": "vmap"}
    for word in arguments:
        key, _, value = word.partition("=")
        if key not in given or not value:
            raise UserError(f"{word}: must be one of size=default, only=name,name, skip=name,name, launcher=vmap")
        given[key] = value
    if given["size"] not in SIZES:
        raise UserError(f"size={given['size']}: must be one of {', '.join(SIZES)}")
    only, skip = ([name for name in given[key].split(",") if given[key]] for key in ("only", "skip"))
    for key, names in (("only", only), ("skip", skip)):
        if set(names) - set(known):
            raise UserError(f"{key}={given[key]}: must be some of {','.join(known)}")
    names = tuple(name for name in known if name in only and name not in skip)
    if not names:
        raise UserError(f"skip={given['skip']}: must leave some of {','.join(only)}")
    return Options(names, given["size"], given["launcher"])


def plans(asked: Options, docstrings: dict[str, str]) -> list[Plan]:
    """What is to be done, for each experiment that is asked for; `UserError` if the launcher is wrong."""
    out: list[Plan] = []
    for name in asked.names:
        try:
            out.append(Plan(name, docstrings[name], steps(name, docstrings[name], asked)))
        except Exception:
            out.append(Plan(name, docstrings[name], (), traceback.format_exc()))
        else:
            check_launcher(name, asked.launcher)
    return out


def steps(name: str, docstring: str, asked: Options) -> tuple[Step, ...]:
    """The run of an experiment and, where it has one, the sweep of its figure; raises whatever is wrong with it."""
    full, words, through = f"experiments.{name}", (f"size={asked.size}",), f"hydra/launcher={asked.launcher}"
    configurator = Configurator(full)
    configurator.check(words, sweep=False)
    each = expected_seconds(docstring, asked.size) or UNKNOWN
    seconds = lambda runs: max(START, each * sum(not store.is_finished(run) for run in runs))
    where = lambda overrides: store.run_directory(full, configurator.read(overrides))
    run = where(words)
    remote = ("-m", *words, through) if asked.launcher.startswith("submitit_") else ()
    single = Step(name, "run", words, remote, (run,), run, seconds([run]))
    if not getattr(configurator.cls, "figure", {}):
        return (single,)
    swept = [*words, *map(grid.expand, configurator.figure(words))]
    runs = tuple(map(where, configurator.jobs(swept)))
    command = ("-m", *words, "figure=true", through)
    return single, Step(name, "sweep", command, (), runs, sweep.directory(full, swept), seconds(runs))


def check_launcher(name: str, launcher: str) -> None:
    """Raise `UserError` if Hydra has no such launcher or it cannot be used here."""
    try:
        chosen_launcher(Configurator(f"experiments.{name}"), [f"hydra/launcher={launcher}"])
    except (UserError, ValueError) as error:
        text = str(error).removeprefix("hydra/")
        known = text.startswith(f"launcher={launcher}:")
        raise UserError(text if known else f"launcher={launcher}: must be the name of one of Hydra's launchers") from None


class Course:
    """How a reproduction comes along, shown on stderr: a bar on a terminal, else a line for each step that ended."""

    def __init__(self, planned: Sequence[Plan], bar: Any = None) -> None:
        self.todo = [step for plan in planned for step in plan.steps]
        self.done, self.total, self.bar = 0, len(planned), bar
        self.outcomes: list[Outcome] = []
        self.task = bar.add_task("", total=len(planned), claims="", left="") if bar else None

    def show(self, step: Step, elapsed: float) -> None:
        """That this step has been running for so many seconds."""
        if self.bar:
            left = f"{gallery.duration(seconds_left(self.outcomes, self.todo, elapsed))} left"
            claims = gallery.counts([c for o in self.outcomes for c in o.claims])
            name = f"{step.experiment}, {step.kind}"
            self.bar.update(self.task, completed=self.done, description=name, claims=claims, left=left)

    def step_ended(self, outcome: Outcome) -> None:
        """That a step ended."""
        self.outcomes.append(outcome)
        self.todo.remove(outcome.step)
        if not outcome.error:
            counted, took = gallery.counts(outcome.claims), gallery.duration(outcome.seconds)
            self.say(f"{outcome.step.experiment}, {outcome.step.kind}: {counted}, {took}", plain=True)

    def experiment_ended(self, result: Result) -> None:
        """That an experiment ended: what is left of its steps is not done."""
        self.todo = [step for step in self.todo if step.experiment != result.name]
        self.done += 1
        if result.error:
            self.say(result.failure)

    def say(self, line: str, plain: bool = False) -> None:
        """A line; on a terminal only if it is not `plain` good news."""
        if not self.bar:
            print(f"[{self.done}/{self.total}] {line}", file=sys.stderr, flush=True)
        elif not plain:
            self.bar.console.print(line, style="red", markup=False, soft_wrap=True)


@contextlib.contextmanager
def shown(planned: Sequence[Plan]) -> Iterator[Course]:
    """The course of a reproduction, with a bar if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Course(planned)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        "experiments",
        *map(TextColumn, ("{task.fields[claims]}", "{task.fields[left]}")),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield Course(planned, bar)


def seconds_left(done: Sequence[Outcome], todo: Sequence[Step], elapsed: float) -> float:
    """What the steps to do may still take, the first of which has run for `elapsed`: what is expected of each, times what those of
    its kind took so far of theirs."""
    first, *rest = [pace(done, step.kind) * step.expected for step in todo]
    return max(0.0, first - elapsed) + sum(rest)


def pace(done: Sequence[Outcome], kind: str) -> float:
    """Seconds that steps of a kind took over those expected of them; 1 as long as none is done."""
    good = [o for o in done if o.step.kind == kind and not o.error]
    return sum(o.seconds for o in good) / sum(o.step.expected for o in good) if good else 1.0


def reproduce(planned: Sequence[Plan], size: str, course: Course) -> Iterator[Result]:
    """What comes of each experiment, as soon as it is in the gallery."""
    for plan in planned:
        outcomes: list[Outcome] = []
        error = ""
        try:
            begin_log(plan)
            error = told(plan.name) if plan.trouble else ""
            for step in plan.steps:
                outcomes.append(perform(step, lambda elapsed, step=step: course.show(step, elapsed)))
                course.step_ended(outcomes[-1])
                if error := outcomes[-1].error:
                    break
            publish(plan, outcomes, size)
        except (OSError, ValueError) as trouble:
            error = error or store.one_line(trouble)
        result = summed_up(plan.name, outcomes, error)
        course.experiment_ended(result)
        yield result


def perform(step: Step, tick: Callable[[float], None]) -> Outcome:
    """Do a step, its output in the experiment's log; `tick` is called with the seconds so far."""
    start, before, error = time.monotonic(), stamps(step.products), ""
    for words in step.commands:
        code = call(step.experiment, words, lambda: tick(time.monotonic() - start))
        there = words == step.remote and all(map(store.is_finished, step.runs))
        if code and not there:
            error = told(step.experiment) if code > 0 else f"ended by signal {-code}"
            break
    after = stamps(step.products)
    files = {name: path for name, path in step.products.items() if after[name] != before[name]}
    judged = files.get(gallery.CLAIMS[step.kind])
    return Outcome(step, time.monotonic() - start, error, files, json.loads(judged.read_text()) if judged else [])


def stamps(files: dict[str, Path]) -> dict[str, int]:
    """When each file was written; 0 for one that is not there."""
    return {name: path.stat().st_mtime_ns if path.exists() else 0 for name, path in files.items()}


def call(name: str, words: Sequence[str], tick: Callable[[], None]) -> int:
    """Run the command of an experiment to its end and return its exit code. After an interrupt it has a moment to end by itself."""
    with log_of(name).open("a") as file:
        print(f"$ {typed(name, words)}", file=file, flush=True)
        command = [sys.executable, "-m", f"experiments.{name}", *words]
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=env)
        try:
            while True:
                tick()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(LOOK)
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE)
            child.terminate()
            child.wait()


def typed(name: str, words: Sequence[str]) -> str:
    """The command of an experiment as a person types it."""
    return " ".join(["python", "-m", f"experiments.{name}", *words])


def log_of(name: str) -> Path:
    """Where the output of an experiment's commands goes."""
    return store.results() / "reproduce" / f"{name}.log"


def begin_log(plan: Plan) -> None:
    """A new log, which holds what is wrong with the plan; raises `StoreError`."""
    log = log_of(plan.name)
    with store.storing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(plan.trouble)


def told(name: str) -> str:
    """The last line of an experiment's log that says what went wrong; the last line if none does."""
    lines = [line.strip() for line in log_of(name).read_text(errors="replace").splitlines() if line.strip()]
    return [*lines[-1:], *filter(WRONG.search, lines)][-1]


def summed_up(name: str, outcomes: Sequence[Outcome], error: str) -> Result:
    """What the steps of an experiment came to."""
    seconds, claims = computed_seconds(outcomes), [claim for o in outcomes for claim in o.claims]
    return Result(name, claims, len(seconds), sum(seconds.values()), sum(o.seconds for o in outcomes), error)


def computed_seconds(outcomes: Sequence[Outcome]) -> dict[Path, float]:
    """How long each stored run of these steps took to compute."""
    out: dict[Path, float] = {}
    for run in (run for o in outcomes for run in o.step.runs):
        with contextlib.suppress(OSError, ValueError):
            out[run] = sum(json.loads((run / "metadata.json").read_text())["seconds"].values())
    return out


def publish(plan: Plan, outcomes: Sequence[Outcome], size: str) -> None:
    """Put an experiment into the gallery if its run was drawn. What an earlier time left there of a sweep that failed now is removed."""
    files = {file: path for o in outcomes for file, path in o.files.items()}
    if "figure.png" not in files:
        return
    metadata = json.loads((outcomes[0].step.drawn / "metadata.json").read_text())
    seconds = computed_seconds(outcomes)
    about = {
        "claim": plan.docstring.partition("\n")[0],
        "source": source(plan.docstring),
        "size": size,
        "commands": [typed(plan.name, words) for o in outcomes for words in o.step.commands],
        "failed": [o.step.kind for o in outcomes if o.error],
        **{key: metadata[key] for key in ("config", "versions", "device", "git")},
        "cost": {"runs": len(seconds), "computed_seconds": round(sum(seconds.values()), 3)},
    }
    gallery.publish(gallery.directory() / plan.name, files, about)


def source(docstring: str) -> str:
    """What a docstring's paragraph "Source: …" says."""
    found = re.search(r"^Source:(.*?)(\n\s*\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def claim_table(results: Sequence[Result]) -> Any:
    """A rich table of all claims."""
    from rich.markup import escape

    out = _table("claims", ("experiment", "", "claim", "measured", "expected", ""), "measured")
    for result in results:
        for c in result.claims:
            mark, colour = MARKS[c["verdict"]]
            kind = "gated" if c["gated"] else "reported"
            out.add_row(result.name, f"[{colour}]{mark}[/]", escape(c["statement"]), number(c), c["expected"], kind)
    return out


def cost_table(results: Sequence[Result]) -> Any:
    """A rich table of what each experiment cost, and all of them together."""
    out = _table("cost", ("experiment", "claims", "runs", "computed s", "now s"), "runs", "computed s", "now s")
    for r in results:
        out.add_row(r.name, gallery.counts(r.claims), str(r.runs), f"{r.computed:.1f}", f"{r.seconds:.1f}")
    claims = gallery.counts([c for r in results for c in r.claims])
    runs, computed, seconds = (sum(getattr(r, name) for r in results) for name in ("runs", "computed", "seconds"))
    out.add_row("all", claims, str(runs), f"{computed:.1f}", f"{seconds:.1f}", style="bold")
    return out


def _table(title: str, columns: Sequence[str], *numbers: str) -> Any:
    from rich.table import Table

    out = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        out.add_column(name, overflow="fold", justify="right" if name in numbers else "left", no_wrap=name in {"experiment", "expected"})
    return out


def exit_code(results: Sequence[Result]) -> int:
    """1 if an experiment failed or a gated claim fails, else 0."""
    return int(any(r.error or failed(r.claims) for r in results))


def main(arguments: Sequence[str]) -> int:
    """Reproduce what is asked for, then the tables and the index; the exit code."""
    docstrings = experiments()
    if {"-h", "--help"} & set(arguments):
        print(__doc__, "experiments:", *(f"    {name}" for name in docstrings), sep="\n")
        return 0
    try:
        asked = options(arguments, list(docstrings))
        planned = plans(asked, docstrings)
        check_writable(store.results())
        with shown(planned) as course:
            results = list(reproduce(planned, asked.size, course))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: finished runs are stored, the same command goes on from there", file=sys.stderr)
        return 130
    console = report.screen()
    console.print(claim_table(results), cost_table(results), sep="\n\n")
    for result in results:
        if result.error:
            console.print(result.failure, style="red", markup=False, soft_wrap=True)
    return max(exit_code(results), gallery.main([]))


if __name__ == "__main__":
    import jax

    jax.config.update("jax_platforms", "cpu")  # this process only reads configurations: the accelerator is for the experiments
    sys.exit(main(sys.argv[1:]))
