"""Sweeps: the same results through every launcher, one program where one will do, and all of it found again."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np
import pytest
import xarray as xr
from shell import command

from dltheory.lab import load, load_sweep, main, store, sweep, task
from dltheory.lab.configuration import Configurator, UserError
from dltheory.lab.launcher import Launcher
from dltheory.lab.machine import cores
from dltheory.lab.program import program

GRID = ["size=tiny", "rate=0.1,0.2,0.4", "seed=range(3)"]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def only(results):
    """The one sweep directory."""
    (where,) = results.glob("sweeps/*/*")
    return where


def metadata(results):
    return [json.loads(f.read_text()) for f in sorted(results.glob("runs/*/*/metadata.json"))]


def test_64_points_are_64_runs_one_compilation_and_the_arrays_of_the_basic_launcher(results, monkeypatch, capsys):
    """The sweep of the README, with smaller networks."""
    words = ["-m", "size=tiny", "steps=60", "model.width=4", "init_scale=0.1,1,10,100", "seed=range(16)"]
    program.cache_clear()
    main("experiments.rich_lazy", [*words, "hydra/launcher=vmap"])
    assert len(program("experiments.rich_lazy")._compiled) == 1
    assert "64 finished of 64 jobs" in capsys.readouterr().out
    ours = load_sweep(only(results))
    assert dict(ours.sizes) | {"init_scale": 4, "seed": 16} == dict(ours.sizes)
    assert sum(m["seconds"]["compile"] > 0.5 for m in metadata(results)) <= cores()

    monkeypatch.setenv("DLTHEORY_RESULTS", str(results / "basic"))
    main("experiments.rich_lazy", [*words[:-1], "seed=3,11"])
    assert "8 finished of 8 jobs" in capsys.readouterr().out
    theirs = load_sweep(only(results / "basic"))
    for name in theirs.data_vars:
        np.testing.assert_array_equal(ours[name].sel(seed=[3, 11]), theirs[name])


@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=vmap"],
        ["hydra/launcher=vmap", "hydra.launcher.batch=4"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["hydra/launcher=joblib", "runs_per_task=1"],
    ],
    ids=" ".join,
)
def test_every_launcher_gives_the_same_runs(tmp_path, launcher):
    if "joblib" in launcher[0]:
        pytest.importorskip("joblib")
    (tmp_path / "a b,c=d'e").mkdir()  # what users call their folders
    out = command("lab.decay", "-m", *GRID, *launcher, cwd=tmp_path / "a b,c=d'e")
    assert out.returncode == 0 and "9 finished of 9 jobs" in out.stdout, out.stdout + out.stderr
    assert "Warning" not in out.stderr
    found = load_sweep(only(tmp_path / "a b,c=d'e" / "results"))
    assert dict(found.sizes) == {"rate": 3, "seed": 3, "step": 10, "number": 1}
    for rate in (0.1, 0.2, 0.4):
        for seed in range(3):
            start = np.random.default_rng(seed).normal(1, 0.1, 1)
            x = found.x.sel(rate=rate, seed=seed).transpose("step", "number")
            np.testing.assert_allclose(x, np.outer((1 - rate) ** np.arange(10), start), rtol=1e-10)


def test_processes_of_one_machine_share_its_cores_and_device_memory(tmp_path, monkeypatch):
    pytest.importorskip("joblib")
    for key in ("NPROC", "OMP_NUM_THREADS", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        monkeypatch.delenv(key, raising=False)
    with Launcher("joblib", {"n_jobs": 3}).environment(3):
        assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.300" and int(os.environ["NPROC"]) == max(1, cores() // 3)
    assert "NPROC" not in os.environ
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.1")
    with Launcher("joblib", {"n_jobs": 3}).environment(3):
        assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.1", "what the user has set stays"
    many = os.cpu_count()
    out = command("lab.decay", "-m", "seed=range(4)", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={many}", cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert {m["host"]["cores"] for m in metadata(tmp_path / "results")} == {1}


def test_the_parent_of_worker_processes_never_touches_the_device(tmp_path):
    """A parent that initialised a GPU would hold three quarters of its memory."""
    code = """
import sys
from jax._src import xla_bridge
from dltheory.lab import command, report
report.collect = lambda where, jobs: (int(xla_bridge.backends_are_initialized()), [])
command.main("lab.decay", ["-m", "seed=range(2)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])
"""
    pytest.importorskip("joblib")
    (tmp_path / "parent.py").write_text(code)
    out = command("parent", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}:{Path(__file__).parents[1]}")
    assert out.returncode == 0, out.stdout + out.stderr
    assert len(metadata(tmp_path / "results")) == 2


def test_experiments_without_traced_fields_run_one_after_another(results, capsys, monkeypatch):
    """On the host, in this process."""
    import importlib

    from dltheory.record import record, static

    module = importlib.import_module("lab.decay")

    @record
    class Config:
        """No traced field."""

        rate: float = static(0.1, "learning rate")
        seed: int = static(0, "names the random start")
        steps: int = static(50, "steps", low=1)
        count: int = static(1, "numbers that decay")
        pause = 0.0
        broken = -1
        sizes: ClassVar = {"tiny": {"steps": 10}}

    monkeypatch.setattr(module, "Config", Config)
    main("lab.decay", ["-m", "seed=range(3)", "steps=5,6", "hydra/launcher=vmap"])
    assert "6 finished of 6 jobs" in capsys.readouterr().out


def test_figure_true_is_the_published_sweep_and_what_is_given_wins(results, capsys):
    main("lab.decay", ["-m", "size=tiny", "figure=true"])
    assert "8 finished of 8 jobs" in capsys.readouterr().out
    np.testing.assert_array_equal(load_sweep(only(results)).rate, np.geomspace(0.01, 0.5, 4))
    assert Configurator("lab.decay").figure(["seed=3"]) == ["rate=geomspace(0.01,0.5,4)"]
    assert Configurator("experiments.rich_lazy").figure([]) == ["init_scale=0.03,0.1,0.3,1,3,10,30,100,1000,10000"]
    with pytest.raises(UserError, match="no figure made of runs"):
        configurator = Configurator("lab.decay")
        configurator.cls = type("Config", (), {})
        configurator.figure([])


def test_table_dataset_and_status_say_the_same_and_are_made_again_without_computing(tmp_path):
    first = command("lab.decay", "-m", *GRID, cwd=tmp_path)
    where = only(tmp_path / "results")
    with (where / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["status"] for row in table] == ["finished"] * 9
    assert [(float(row["rate"]), int(row["seed"])) for row in table] == [(r, s) for r in (0.1, 0.2, 0.4) for s in range(3)]
    assert all(float(row["seconds"]) >= 0 and len(row["run"]) == 12 for row in table)
    with xr.open_dataset(where / "sweep.nc", engine="h5netcdf") as data:
        assert set(data.coords) >= {"rate", "seed", "step"} and data.x.sizes["rate"] == 3
        xr.testing.assert_equal(data.x.load(), load_sweep(where).x)
    stamps = {f: f.stat().st_mtime_ns for f in (tmp_path / "results" / "runs").rglob("result.nc")}
    for name in ("table.csv", "sweep.nc"):
        (where / name).unlink()
    again = command("experiments", "collect", where.name, cwd=tmp_path)
    assert again.returncode == 0 and "9 finished of 9 jobs" in again.stdout, again.stderr
    assert (where / "sweep.nc").exists() and stamps == {f: f.stat().st_mtime_ns for f in stamps}
    assert {p.name for p in where.iterdir()} == {"jobs", "sweep.json", "sweep.nc", "table.csv"}
    shown = command("experiments", "status", where, cwd=tmp_path)
    assert shown.returncode == 0 and "9 finished of 9 jobs" in shown.stdout and "collect" in shown.stdout
    assert "9 finished of 9 jobs" in command("experiments", "status", cwd=tmp_path).stdout
    second = command("lab.decay", "-m", *GRID, cwd=tmp_path)
    assert second.returncode == 0 and "job 0" not in second.stdout, "nothing is launched for what has finished"
    assert first.stdout.splitlines()[-5:] == second.stdout.splitlines()[-5:]


def test_a_sweep_that_is_no_grid_lies_along_run(results, capsys):
    main("lab.decay", ["-m", "size=tiny", "seed=0,1", "rate=0.1,0.2"])
    where = only(results)
    (where / json.loads((where / "sweep.json").read_text())["jobs"][3]["run"]).rename(results / "away")
    data = load_sweep(where)
    assert data.x.sizes["run"] == 3 and data.rate.values.tolist() == [0.1, 0.2, 0.1]
    with pytest.raises(FileNotFoundError, match="no sweep there"):
        load_sweep(results)


def test_resume_does_only_what_is_missing(tmp_path):
    assert command("lab.decay", "-m", *GRID, cwd=tmp_path).returncode == 0
    where = only(tmp_path / "results")
    gone = where / json.loads((where / "sweep.json").read_text())["jobs"][4]["run"]
    gone.rename(tmp_path / "away")
    shown = command("experiments", "status", where, cwd=tmp_path)
    assert shown.returncode == 0 and "8 finished, 1 missing of 9 jobs" in shown.stdout and "resume" in shown.stdout
    resumed = command("experiments", "resume", where, cwd="/")
    assert resumed.returncode == 0 and "9 finished of 9 jobs" in resumed.stdout, resumed.stderr
    assert [line for line in resumed.stdout.splitlines() if line.startswith("job ") and ":" in line] == [
        "job 4: finished  size=tiny rate=0.2 seed=1"
    ]
    old, new = load(tmp_path / "away"), load(gone)
    xr.testing.assert_equal(old, new)
    assert command("experiments", "resume", "nowhere", cwd=tmp_path).returncode == 2


def test_resume_keeps_what_the_sweep_was_asked_for(results, capsys):
    main("lab.decay", ["-m", "size=tiny", "seed=range(3)", "runs_per_task=2", "strict=true", "hydra/launcher=vmap"])
    assert sweep.manifest(only(results))["options"] == ["hydra/launcher=vmap", "strict=true", "runs_per_task=2"]


def test_strict_fails_a_sweep_for_a_gated_claim_of_one_of_its_runs(results, capsys, monkeypatch):
    import importlib

    module = importlib.import_module("lab.decay")
    honest = module.claims
    wrong = lambda data: honest(data.assign(x=data.x * (1 + 0.1 * (data.step > 0)))) if int(data.seed) == 1 else honest(data)
    monkeypatch.setattr(module, "claims", wrong)
    main("lab.decay", ["-m", "seed=0,2", "strict=true"])
    main("lab.decay", ["-m", "seed=0,1,2"])
    with pytest.raises(SystemExit) as stop:
        main("lab.decay", ["-m", "seed=0,1,2", "strict=true"])
    assert stop.value.code == 1 and "0 of 1 hold" in capsys.readouterr().out


def test_one_unreadable_point_fails_alone_also_where_lanes_are_fitted_to_an_accelerator(results, capsys, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(SystemExit) as stop:
        main("lab.decay", ["-m", "seed=range(6)", "broken=2", "hydra/launcher=vmap"])
    assert stop.value.code == 1 and "5 finished, 1 failed of 6 jobs" in capsys.readouterr().out
    assert [key[0][0] for key in program("lab.decay")._compiled if key[0]][-1] == 6, "as many lanes as points"


@pytest.mark.parametrize("words", [["status", "a", "b"], ["resume"], ["collect"], ["statsu"], ["status", "0123456789ab"]])
def test_a_wrong_word_about_sweeps_is_one_line_and_exit_2(tmp_path, words):
    out = command("experiments", *words, cwd=tmp_path)
    assert out.returncode == 2 and out.stderr.startswith("error: ") and out.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_an_unknown_experiment_is_one_line_and_exit_2(tmp_path):
    out = command("scripts.submit", "nosuch", "seed=1", cwd=tmp_path)
    assert out.returncode == 2 and out.stderr == "error: experiments.nosuch: no such experiment; python -m experiments lists them\n"


def test_force_computes_all_again_once_also_when_resumed(results, capsys):
    main("lab.decay", ["-m", "size=tiny", "seed=range(3)"])
    stamps = {f: f.read_text() for f in results.rglob("metadata.json")}
    where = only(results)
    name, words, jobs = "lab.decay", ["size=tiny", "seed=range(3)"], [["size=tiny", f"seed={k}"] for k in range(3)]
    paths = [where / j["run"] for j in json.loads((where / "sweep.json").read_text())["jobs"]]
    sweep.start(where, name, words, [], jobs, [p.resolve() for p in paths], force=True)
    assert {s.status for s in sweep.statuses(where)} == {"missing"}, "what is there was to be computed again, and has not been"
    main("lab.decay", ["-m", *words])
    assert all(f.read_text() != text for f, text in stamps.items())
    stamps = {f: f.read_text() for f in stamps}
    main("lab.decay", ["-m", *words])
    assert all(f.read_text() == text for f, text in stamps.items())
    main("lab.decay", ["-m", *words, "force=true"])
    assert all(f.read_text() != text for f, text in stamps.items())


def test_code_that_changed_since_the_sweep_was_started_is_not_run_under_its_id(results, monkeypatch):
    main("lab.decay", ["-m", "size=tiny", "seed=0,1"])
    where = only(results)
    about = json.loads((where / "sweep.json").read_text())
    about["jobs"][1]["run"] = about["jobs"][1]["run"][:-12] + "0123456789ab"
    store.write_json(where / "sweep.json", about)
    task.Task("lab.decay", where).work("j0-1")
    found = sweep.statuses(where)
    assert [s.status for s in found] == ["finished", "failed"] and "the code has changed" in found[1].reason
    assert not (results / "runs" / "decay" / "0123456789ab").exists()


@pytest.mark.parametrize("share", [[0], [0, 1, 2], [0, 2, 4, 5, 6, 9], [7], list(range(1000)), [3, 4, 1, 2, 10]])
def test_shares_are_spelt_in_short_and_read_back(share):
    text = task.spell(share)
    assert task.numbers(text) == share and len(text) < 20
    assert Configurator("lab.decay").jobs([f"+share={text},{text}"]) == [[f"+share={text}"]] * 2


def test_shares_are_whole_disjoint_and_of_one_structure():
    from lab.decay import Config

    todo = {k: Config(seed=k, steps=10 + k % 2) for k in range(3, 40)}
    for launcher, workers, most, expected in (
        ("basic", 1, None, 1),
        ("vmap", 1, None, 1),
        ("joblib", 4, None, 8),
        ("submitit_slurm", 1, None, 2),
        ("submitit_slurm", 1, 5, 8),
        ("submitit_slurm", 1, 1, 37),
    ):
        parts = [task.numbers(s) for s in task.shares(todo, launcher, workers, lambda n: 6.0, most)]
        assert len(parts) == expected and sorted(n for part in parts for n in part) == list(todo)
        assert most is None or max(map(len, parts)) <= most
        if launcher not in {"basic", "vmap"}:
            assert all(len({jax.tree.structure(todo[k]) for k in part}) == 1 for part in parts)
    mixed = task.shares(todo, "submitit_slurm", 1, lambda n: 7200.0 if n % 2 else 6.0)
    assert len(mixed) == 19 + 1, "a run of hours is a task of its own, those of seconds are together"
    assert len(task.shares(todo, "submitit_slurm", 1, lambda n: None)) == 2 * 2, "ten minutes of runs of a minute"


def test_processes_of_one_slurm_task_begin_at_different_runs(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    begin = []
    for rank in range(4):
        monkeypatch.setenv("SLURM_PROCID", str(rank))
        turn = task.in_turn(list(range(10)))
        assert sorted(turn) == list(range(10))
        begin.append(turn[0])
    assert begin == [0, 2, 5, 7]


def test_a_long_sweep_shows_a_bar_on_a_terminal(tmp_path):
    """Through a pseudo-terminal: the bar is there and finished jobs are not listed."""
    terminal, end = os.openpty()
    house = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": f"{house}:{house / 'tests'}", "DLTHEORY_RESULTS": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}
    words = [sys.executable, "-m", "lab.decay", "-m", "seed=0,1,2,3", "pause=0.3", "broken=2"]
    running = subprocess.Popen(words, env=env, stdin=end, stdout=end, stderr=end)
    os.close(end)
    seen = b""
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            break
    text = seen.decode(errors="replace")
    assert running.wait(60) == 1 and "runs" in text and "/4" in text and "its data are broken" in text, text
    assert "job 0: finished" not in text
