"""The reproduction: everything is run, nothing twice, what fails is named, and the gallery is what the files say."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shell import HOUSE, command

from scripts import gallery, reproduce
from scripts.reproduce import Course, Outcome, Plan, Result, Step, exit_code, main, options, seconds_left

FILES = {"figure.png", "figure.pdf", "sweep.png", "sweep.pdf", "claims.json", "sweep_claims.json", "configuration.json"}


def started(*words, cwd):
    """A reproduction in a process group of its own, in the folder `cwd`."""
    env = {k: v for k, v in os.environ.items() if k != "DLTHEORY_RESULTS"} | {"PYTHONPATH": str(HOUSE), "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, "-m", "scripts.reproduce", *words]
    return subprocess.Popen(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(folder):
    """Bytes of the metadata of each run, which tell a run from one computed again."""
    return {f.parent.name: f.read_bytes() for f in (folder / "results" / "runs").glob("*/[!.]*/metadata.json")}


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def claim(verdict="holds", gated=True, statement="a claim"):
    numbers = {"measured": 1.0, "standard_error": 0.1, "expected": "≤ 2", "source": "theory"}
    return {"statement": statement, "gated": gated, "verdict": verdict, **numbers}


def step(name="one", expected=10.0, kind="run"):
    return Step(name, kind, ("size=tiny",), (), (), Path("nowhere"), expected)


def test_killed_in_its_sweep_and_started_again_it_recomputes_nothing_and_completes(tmp_path):
    words, results = ("size=tiny", "only=rich_lazy"), tmp_path / "results"
    victim = started(*words, cwd=tmp_path)
    wait_for(lambda: len(finished(tmp_path)) >= 3)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.communicate()
    before = finished(tmp_path)
    assert 3 <= len(before) < 10 and not (results / "gallery").exists()

    again = command("scripts.reproduce", *words, cwd=tmp_path)
    after = finished(tmp_path)
    assert again.returncode == 0 and before.items() <= after.items() and len(after) == 10, again.stdout + again.stderr
    assert [line.partition(":")[0] for line in again.stderr.splitlines()] == ["[0/1] rich_lazy, run", "[0/1] rich_lazy, sweep"]
    assert {p.name for p in results.iterdir()} == {"runs", "sweeps", "gallery", "reproduce", "README.md"}
    (entry,) = (results / "gallery").iterdir()
    assert {p.name for p in entry.iterdir()} == FILES
    assert all(p.stat().st_size < 300_000 for p in entry.glob("*.png"))

    read = lambda name: json.loads((entry / name).read_text())
    claims, about, metadata = (
        [*read("claims.json"), *read("sweep_claims.json")],
        read("configuration.json"),
        list(map(json.loads, after.values())),
    )
    run = next(m for m in metadata if m["config"]["init_scale"] == 0.1)
    kept = next(f for f in results.glob("runs/*/*/claims.json") if json.loads((f.parent / "metadata.json").read_text()) == run)
    assert read("claims.json") == json.loads(kept.read_text())
    assert about["commands"] == [
        "python -m experiments.rich_lazy size=tiny",
        "python -m experiments.rich_lazy -m size=tiny figure=true hydra/launcher=vmap",
    ]
    assert about["size"] == "tiny" and about["failed"] == [] and str(tmp_path) not in json.dumps(about)
    assert all(about[key] == run[key] for key in ("config", "versions", "device", "git"))
    seconds = sum(sum(m["seconds"].values()) for m in metadata)
    assert about["cost"] == {"runs": 10, "computed_seconds": pytest.approx(seconds, abs=1e-3)}
    index = (results / "README.md").read_text()
    assert gallery.counts(claims) in index and str(tmp_path) not in index and "van Rossem & Saxe" in index
    for text in (c["expected"] for c in claims if c["verdict"] == "fails"):
        assert text in index
    assert '<a href="gallery/rich_lazy/sweep.pdf"><img src="gallery/rich_lazy/sweep.png" width="400"' in index
    assert "reported" in again.stdout and "gated" not in again.stdout and gallery.counts(claims) in again.stdout
    log = (results / "reproduce" / "rich_lazy.log").read_text()
    assert "computed before" in log and log.count("$ python -m experiments.rich_lazy") == 2


@pytest.fixture
def other_house(tmp_path):
    """A checkout with three experiments: one that cannot be imported, one that is fine, and one whose gated claim fails."""
    house = tmp_path / "house"
    for name in ("dltheory", "scripts", "conf", "hydra_plugins"):
        shutil.copytree(HOUSE / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    experiments, decay = house / "experiments", (HOUSE / "tests" / "lab" / "decay.py").read_text()
    experiments.mkdir()
    (experiments / "__init__.py").touch()
    (experiments / "broken.py").write_text('"""Never."""\nraise RuntimeError("planted")\n')
    (experiments / "decay.py").write_text(decay)
    (experiments / "wrong.py").write_text(
        decay.replace("about(expected,", "about(2 * expected,").replace("figure: ClassVar", "other: ClassVar")
    )
    return house


def test_an_experiment_that_fails_and_a_gated_claim_that_fails_are_named_and_the_others_go_on(other_house):
    gallery_of = other_house / "results" / "gallery"
    stale = gallery_of / "wrong" / "sweep.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    here = {"cwd": other_house, "PYTHONPATH": str(other_house)}

    out = command("scripts.reproduce", **here)
    assert out.returncode == 1
    log = Path("results") / "reproduce" / "broken.log"
    assert f"broken failed: RuntimeError: planted ({log})" in out.stderr and f"broken failed: RuntimeError: planted ({log})" in out.stdout
    assert "Traceback" in (other_house / log).read_text()
    assert {p.name for p in gallery_of.iterdir()} == {"decay", "wrong"}
    assert {p.name for p in (gallery_of / "wrong").iterdir()} == {"figure.png", "figure.pdf", "claims.json", "configuration.json"}
    (row,) = (line.split() for line in out.stdout.splitlines() if line.startswith("wrong") and "✗ " in line and "last over first" in line)
    assert row[-1] == "gated"
    assert len(finished(other_house)) == 2 + 8  # one run each, and the sweep of decay
    assert "✗ last over first" in (other_house / "results" / "README.md").read_text()

    runs, experiment = other_house / "results" / "runs" / "decay", other_house / "experiments" / "decay.py"
    published, sound = files_of(gallery_of / "decay"), experiment.read_text()
    experiment.write_text(sound.replace("    axis.plot(", '    raise ZeroDivisionError("no plot")\n    axis.plot('))
    undrawn = command("scripts.reproduce", "only=decay", **here)
    assert undrawn.returncode == 1 and "decay failed: ZeroDivisionError: no plot" in undrawn.stderr
    experiment.write_text(sound)
    runs.rename(other_house / "gone")
    runs.touch()  # a file where a directory must be
    unwritable = command("scripts.reproduce", "skip=broken,wrong", **here)
    assert unwritable.returncode == 1 and "decay failed: error: " in unwritable.stderr
    assert files_of(gallery_of / "decay") == published
    runs.unlink()
    fine = command("scripts.reproduce", "only=decay", **here)
    assert fine.returncode == 0 and "failed" not in fine.stdout + fine.stderr
    assert "## wrong" in (other_house / "results" / "README.md").read_text()


def test_an_interrupt_ends_with_one_line_and_130_and_leaves_no_process(tmp_path):
    victim = started("size=paper", "only=rich_lazy", cwd=tmp_path)
    children = Path(f"/proc/{victim.pid}/task/{victim.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc to see the processes of a process")
    wait_for(lambda: (tmp_path / "results" / "reproduce" / "rich_lazy.log").exists() and children.read_text().split())
    (child,) = children.read_text().split()
    time.sleep(1)
    victim.send_signal(signal.SIGINT)
    out, err = victim.communicate(timeout=60)
    assert victim.returncode == 130 and out == "" and err.startswith("interrupted") and err.count("\n") == 1
    assert not Path(f"/proc/{child}").exists() and finished(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("size=huge", "tiny, default, paper"),
        ("size=", "size=default"),
        ("siz=tiny", "size=default"),
        ("rich_lazy", "only=name"),
        ("-m", "only=name"),
        ("only=nothing", "rich_lazy"),
        ("only=rich_lazy,", "rich_lazy"),
        ("skip=nothing", "rich_lazy"),
        ("only=rich_lazy skip=rich_lazy", "must leave some of rich_lazy"),
        ("only=rich_lazy launcher=nowhere", "submitit_slurm, vmap"),
        ("only=rich_lazy launcher=[", "Hydra's launchers"),
        ("only=rich_lazy launcher=null", "Hydra's launchers"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2_and_nothing_is_written(line, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and hint in err and line.split()[-1] in err
    assert list(tmp_path.iterdir()) == []


def test_results_that_cannot_be_written_are_one_line_and_exit_2(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "file"))
    assert main(["size=tiny", "only=rich_lazy"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "DLTHEORY_RESULTS" in err


def test_help_lists_the_experiments_which_are_found_without_importing(capsys):
    known = sorted(path.stem for path in (HOUSE / "experiments").glob("[!_]*.py"))
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.partition("experiments:\n")[2].split() == known
    code = "import sys; from scripts.reproduce import experiments; print(*experiments()); print('experiments' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True).stdout
    assert out.split() == [*known, "False"]


def test_options_choose_experiments():
    known = ["a", "b", "c"]
    assert options([], known) == reproduce.Options(("a", "b", "c"), "default", "vmap")
    assert options(["only=c,a", "skip=a", "size=paper", "launcher=basic"], known) == reproduce.Options(("c",), "paper", "basic")


def test_a_cluster_does_the_single_run_too(tmp_path, monkeypatch):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path))
    run, sweep = reproduce.steps("rich_lazy", "Time: tiny 5 s", reproduce.Options(("rich_lazy",), "tiny", "submitit_slurm"))
    assert run.commands == (("-m", "size=tiny", "hydra/launcher=submitit_slurm"), ("size=tiny",))
    assert sweep.commands == (("-m", "size=tiny", "figure=true", "hydra/launcher=submitit_slurm"),)
    assert run.expected == 5 and sweep.expected == 10 * 5 and run.runs[0] in sweep.runs


def test_only_a_gated_claim_that_fails_or_an_experiment_that_failed_makes_exit_1():
    result = lambda *claims, error="": Result("one", list(claims), 1, 1.0, 1.0, error)
    assert exit_code([result(claim(), claim("fails", gated=False), claim("open"))]) == 0
    assert exit_code([result(claim()), result(claim("fails"))]) == 1
    assert exit_code([result(claim(), error="it stopped"), result()]) == 1


def test_time_left_is_what_is_expected_scaled_by_what_its_kind_took_so_far():
    done = lambda seconds, kind, error="": Outcome(step(expected=10, kind=kind), seconds, error, {}, [])
    todo = [step(expected=10), step(expected=30, kind="sweep")]
    assert seconds_left([], todo, 4) == 36
    assert seconds_left([], todo, 400) == 30
    before = [done(20, "run"), done(40, "run"), done(1, "run", "broken"), done(5, "sweep")]
    assert seconds_left(before[:3], todo, 4) == 3 * 10 - 4 + 30
    assert seconds_left(before, todo, 4) == 3 * 10 - 4 + 0.5 * 30


def test_a_terminal_sees_one_line_with_experiments_done_claims_and_time_left():
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    plans = [Plan("one", "", (step("one"), step("one", kind="sweep"))), Plan("two", "", (step("two", 500.0),))]
    columns = "{task.description}", MofNCompleteColumn(), "{task.fields[claims]}", "{task.fields[left]}"
    with Progress(*columns, console=screen, auto_refresh=False) as bar:
        course = Course(plans, bar)
        course.step_ended(Outcome(step("one"), 10.0, "", {}, [claim(), claim("fails"), claim("open"), claim()]))
        course.experiment_ended(Result("one", [], 1, 1.0, 1.0, "it stopped"))
        course.show(step("two"), 20.0)
        bar.refresh()
    shown = screen.file.getvalue()
    assert all(text in shown for text in ("two, run", "1/2", "2 ✓ 1 ✗ 1 ·", "8 min left", "one failed: it stopped"))


def test_a_log_tells_its_last_line_about_what_went_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path))
    for text, line in (
        ("$ python\nTraceback\n  x\njax.errors.SomeError: why\n", "jax.errors.SomeError: why"),
        ("error: seed=x: must be y\n$ python\n", "error: seed=x: must be y"),
        ("9 finished, 1 failed of 10 jobs\n✓  error of the mean ≤ 1\nresults/table.csv\n", "9 finished, 1 failed of 10 jobs"),
        ("diverged: h is not finite\nresults/result.nc\n", "diverged: h is not finite"),
        ("something else\nthe end\n", "the end"),
    ):
        reproduce.begin_log(Plan("one", "", (), text))
        assert reproduce.told("one") == line


def test_a_heavy_picture_becomes_light_and_keeps_its_size_and_looks():
    from PIL import Image

    y, x = np.mgrid[0:500, 0:600]
    noise = np.random.default_rng(0).integers(0, 12, (500, 600, 3))
    pixels = np.stack([x // 3, y * 2 // 5, (x + y) * 2 // 11], -1) + noise
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).convert("RGBA").save(buffer, "PNG")
    heavy = buffer.getvalue()
    assert len(heavy) > 400_000
    light = gallery.light(heavy)
    assert len(light) < 300_000
    shown = Image.open(io.BytesIO(light))
    assert shown.size == (600, 500) and np.abs(np.asarray(shown.convert("RGB")) - pixels).mean() < 25
    assert gallery.light(light) is light
    with pytest.raises(ValueError, match="16 colours"):
        gallery.light(heavy, 1000)


def test_the_index_is_made_of_the_files_of_the_gallery_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path))
    source = tmp_path / "source"
    source.write_bytes(b"picture")
    failing = [claim(), claim("fails", gated=False, statement="|h/h_∞ - 1| of <h>")]
    source_claims = tmp_path / "claims"
    source_claims.write_text(json.dumps(failing))
    about = {
        "claim": "The scale decides.",
        "source": "someone, figure 3",
        "size": "default",
        "commands": ["python -m experiments.b size=default"],
        "failed": [],
        "config": {},
        "versions": {"jax": "1.2"},
        "device": {"platform": "gpu", "kind": "H100", "count": 2},
        "git": {"commit": 40 * "a", "dirty": False},
        "cost": {"runs": 3, "computed_seconds": 400.0},
    }
    pictures = {f"{name}.{end}": source for name in ("figure", "sweep") for end in ("png", "pdf")}
    gallery.publish(tmp_path / "gallery" / "b", {**pictures, "claims.json": source_claims}, about)
    gallery.publish(tmp_path / "gallery" / "b", {"figure.png": source, "figure.pdf": source, "claims.json": source_claims}, about)
    gallery.publish(tmp_path / "gallery" / "a", pictures, {**about, "failed": ["sweep"]})
    assert {p.name for p in (tmp_path / "gallery" / "b").iterdir()} == {"figure.png", "figure.pdf", "claims.json", "configuration.json"}

    assert gallery.main([]) == 0
    written = (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").unlink()
    assert gallery.main([]) == 0 and (tmp_path / "README.md").read_text() == written
    a, b = written.partition("\n## b\n")[::2]
    assert "- ✗ the sweep failed" in a and "gallery/a/sweep.png" in a and "failed" not in b and "sweep.png" not in b
    assert "| [b](#b) | 1 ✓ 1 ✗ 0 · | default | 3 | 7 min |" in a
    for text in (
        '<a href="gallery/b/figure.pdf"><img src="gallery/b/figure.png" width="400" alt="b, run"></a>',
        "The scale decides.\n\nSource: someone, figure 3\n\n    python -m experiments.b size=default\n",
        "- ✗ \\|h/h\\_∞ - 1\\| of \\<h\\>: 1 ± 0.1, expected ≤ 2 (reported)\n",
        "- 3 runs, computed in 7 min at size=default (2 × H100, jax 1.2, commit aaaaaaaaaaaa)\n",
    ):
        assert text in b
    capsys.readouterr()
    (tmp_path / "gallery" / "a" / "configuration.json").write_text("{")
    assert gallery.main([]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "configuration.json" in err and "only=a" in err
    assert (tmp_path / "README.md").read_text() == written
    assert gallery.main(["out=x"]) == 2


@pytest.mark.cluster
@pytest.mark.xdist_group("slurm")
def test_through_slurm(tmp_path):
    try:
        subprocess.run(["sinfo", "--noheader"], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        pytest.skip('sinfo does not answer: bash scripts/slurm_single_node.sh start; eval "$(bash scripts/slurm_single_node.sh env)"')
    out = command("scripts.reproduce", "size=tiny", "only=rich_lazy", "launcher=submitit_slurm", cwd=tmp_path)
    assert out.returncode == 0, out.stdout + out.stderr
    runs = [json.loads(text) for text in finished(tmp_path).values()]
    assert len(runs) == 10 and all(run["slurm"]["job_id"] for run in runs)
    (entry,) = (tmp_path / "results" / "gallery").iterdir()
    assert {p.name for p in entry.iterdir()} == FILES
    assert json.loads((entry / "configuration.json").read_text())["commands"][1] == "python -m experiments.rich_lazy size=tiny"
