"""Faults of machines and people: nothing that was computed is lost, half-written, trusted when damaged, or computed twice."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from shell import command, wait_for

from dltheory.lab import load, load_sweep, main, overview, sweep
from dltheory.lab.lock import lock_of
from dltheory.lab.store import Damaged

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def only(folder):
    (where,) = (folder / "results").glob("sweeps/*/*")
    return where


def finished(folder):
    """Bytes of the metadata of each run, which tell a run from one computed again."""
    return {f.parent: f.read_bytes() for f in (folder / "results" / "runs").glob("*/[!.]*/metadata.json")}


def hidden(folder):
    """Drafts and locks that were left."""
    return [p.name for p in (folder / "results" / "runs").rglob(".*")]


def test_driver_killed_in_the_middle_of_a_sweep(tmp_path):
    words = ["-m", "seed=range(12)", "pause=0.4"]
    victim = command("lab.decay", *words, cwd=tmp_path, background=True)
    wait_for(lambda: len(finished(tmp_path)) >= 3)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    before = finished(tmp_path)
    assert 3 <= len(before) < 12
    shown = command("experiments", "status", only(tmp_path), cwd=tmp_path)
    assert f"{len(before)} finished, {12 - len(before)} missing of 12 jobs" in shown.stdout
    again = command("lab.decay", *words, cwd=tmp_path)
    assert again.returncode == 0 and "12 finished of 12 jobs" in again.stdout, again.stdout + again.stderr
    assert before.items() <= finished(tmp_path).items() and hidden(tmp_path) == []


def test_worker_killed_in_the_middle_of_a_sweep(tmp_path):
    """joblib's worker: its driver says so, lists what is missing, and a resume completes."""
    pytest.importorskip("joblib")
    words = ["-m", "seed=range(12)", "pause=0.5", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runs_per_task=1"]
    driver = command("lab.decay", *words, cwd=tmp_path, background=True)
    wait_for(lambda: len(finished(tmp_path)) >= 2)
    children = subprocess.run(["pgrep", "-P", str(driver.pid), "-f", "loky"], capture_output=True, text=True).stdout.split()
    workers = [int(c) for c in children if "LokyProcess" in Path(f"/proc/{c}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    out, err = driver.communicate(timeout=120)
    before = finished(tmp_path)
    assert driver.returncode == 1 and "Traceback" not in err, err
    assert "error: the launcher stopped, TerminatedWorkerError" in err and f"missing of {12} jobs" in out
    again = command("experiments", "resume", only(tmp_path), cwd=tmp_path)
    assert again.returncode == 0 and "12 finished of 12 jobs" in again.stdout
    assert before.items() <= finished(tmp_path).items() and hidden(tmp_path) == []


def test_interrupted_sweep_ends_at_once_with_one_line_and_is_resumed(tmp_path):
    words = ["-m", "seed=range(40)", "pause=0.4", "hydra/launcher=vmap"]
    victim = command("lab.decay", *words, cwd=tmp_path, background=True)
    wait_for(lambda: len(finished(tmp_path)) >= 2)
    victim.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, err = victim.communicate(timeout=30)
    assert victim.returncode == 130 and err == "interrupted: finished runs are stored, the one in progress is not\n"
    assert time.monotonic() - begun < 5 and hidden(tmp_path) == []
    before = finished(tmp_path)
    again = command("experiments", "resume", only(tmp_path), cwd=tmp_path)
    assert again.returncode == 0 and before.items() <= finished(tmp_path).items() and len(finished(tmp_path)) == 40


def test_two_drivers_on_one_sweep_share_the_work_and_compute_no_run_twice(tmp_path):
    words = ["-m", "seed=range(16)", "pause=0.3"]
    drivers = [command("lab.decay", *words, cwd=tmp_path, background=True) for _ in range(2)]
    outs = [d.communicate(timeout=120) for d in drivers]
    assert [d.returncode for d in drivers] == [0, 0], outs
    computed = [{line.split()[1] for line in out.splitlines() if ": finished  " in line} for out, _ in outs]
    assert len(computed[0] | computed[1]) == 16 and not computed[0] & computed[1]
    assert all("16 finished of 16 jobs" in out for out, _ in outs) and hidden(tmp_path) == []
    assert min(map(len, computed)) >= 3, "both had a share"


def test_the_same_single_run_twice_at_once_is_computed_once(tmp_path):
    both = [command("lab.decay", "pause=2", cwd=tmp_path, background=True) for _ in range(2)]
    outs = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both] == [0, 0], outs
    assert sum("computed before" in out for out, _ in outs) == 1
    assert sum(err.startswith("waiting: process ") for _, err in outs) == 1


def test_200_points_with_10_failures_are_190_results_and_10_reasons(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    grid, launcher = ["rate=linspace(0.05,0.5,10)", "seed=range(20)"], ["hydra/launcher=vmap", "hydra.launcher.batch=20"]
    words = ["-m", "size=tiny", *grid, "broken=7", *launcher]
    with pytest.raises(SystemExit) as stop:
        main("lab.decay", words)
    out = capsys.readouterr().out
    assert stop.value.code == 1 and "190 finished, 10 failed of 200 jobs" in out
    where = only(tmp_path)
    jobs = sweep.statuses(where)
    failed = [j for j in jobs if j.status == "failed"]
    assert [j.reason for j in failed] == ["seed=7: its data are broken"] * 10
    assert out.count("seed=7: its data are broken") == 20, "once when it happens, once in the table"
    data = load_sweep(where)
    assert data.sizes["rate"] * data.sizes["seed"] == 190 == len(finished(tmp_path))
    np.testing.assert_allclose(data.x.isel(step=9), data.x.isel(step=0) * (1 - data.rate) ** 9, rtol=1e-10)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte, and a file that fills it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not ROOT or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, leave):
    """Fill a file system but for some bytes."""
    free = shutil.disk_usage(folder).free
    (folder / "filler").write_bytes(b"x" * max(0, free - leave))


def test_a_full_disk_is_one_line_and_a_rerun_completes(small_disk):
    (small_disk / "results").mkdir()
    fill(small_disk, 40_000)
    single = command("lab.decay", "count=3000", "steps=400", cwd=small_disk)
    assert single.returncode == 1 and single.stderr.count("\n") == 1 and "No space left on device" in single.stderr, single.stderr
    assert "free the disk or set DLTHEORY_RESULTS" in single.stderr and finished(small_disk) == {} and hidden(small_disk) == []

    words = ["-m", "seed=range(20)", "steps=100"]
    full = command("lab.decay", *words, cwd=small_disk)
    assert full.returncode == 1 and "No space left on device" in full.stderr and "Traceback" not in full.stderr, full.stderr
    before = finished(small_disk)
    for run in before:
        assert np.isfinite(load(run).x).all()
    (small_disk / "filler").unlink()
    again = command("lab.decay", *words, cwd=small_disk)
    assert again.returncode == 0 and "20 finished of 20 jobs" in again.stdout, again.stdout + again.stderr
    assert before.items() <= finished(small_disk).items() and hidden(small_disk) == []
    assert len(load_sweep(only(small_disk)).seed) == 20


@pytest.fixture
def read_only(tmp_path):
    """A folder with a finished run and a finished sweep that then cannot be written."""
    folder = tmp_path / "shared"
    folder.mkdir()
    command("lab.decay", cwd=folder)
    command("lab.decay", "-m", "seed=1,2", cwd=folder)
    words = ["mount", "--bind", str(folder), str(folder)]
    if not ROOT or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a read-only mount needs root")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_directory_is_said_before_computing_and_can_be_read(read_only):
    for words in (["seed=5"], ["-m", "seed=5,6"]):
        out = command("lab.decay", *words, cwd=read_only)
        assert out.returncode == 2 and out.stderr.count("\n") == 1 and "Read-only file system" in out.stderr, out.stderr
    again = command("lab.decay", cwd=read_only)
    assert again.returncode == 1 and "closed form" in again.stdout and "Read-only file system" in again.stderr
    assert again.stderr.count("\n") == 1 and "Traceback" not in again.stderr
    where = only(read_only)
    assert "2 finished of 2 jobs" in command("experiments", "status", where, cwd=read_only).stdout
    assert load_sweep(where).sizes["seed"] == 2


def damage_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Bomb:
    """A pickle that would leave a trace if anything loaded it."""

    def __reduce__(self):
        return os.system, ("touch /tmp/dltheory-was-executed",)


DAMAGES = {
    "truncated result": ("result.nc", lambda f: f.write_bytes(f.read_bytes()[:-100])),
    "empty result": ("result.nc", lambda f: f.write_bytes(b"")),
    "one bit of the result": ("result.nc", damage_bit),
    "missing result": ("result.nc", lambda f: f.unlink()),
    "another run's result": ("result.nc", lambda f: f.write_bytes((f.parents[1] / "other.nc").read_bytes())),
    "a pickle for a result": ("result.nc", lambda f: f.write_bytes(pickle.dumps(Bomb()))),
    "truncated metadata": ("metadata.json", lambda f: f.write_text(f.read_text()[:-100])),
    "empty metadata": ("metadata.json", lambda f: f.write_text("")),
    "missing metadata": ("metadata.json", lambda f: f.unlink()),
    "a list for metadata": ("metadata.json", lambda f: f.write_text("[1]")),
    "a status of its own": ("metadata.json", lambda f: f.write_text(f.read_text().replace('"finished",', '"diverged",', 1))),
    "another configuration": ("metadata.json", lambda f: f.write_text(f.read_text().replace('"rate": 0.1', '"rate": 0.2', 1))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_and_computed_again_only_when_forced(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    name, spoil = DAMAGES[damage]
    main("lab.decay", ["-m", "seed=0,1"])
    where = only(tmp_path)
    run = sweep.statuses(where)[1].run
    (run.parent / "other.nc").write_bytes((sweep.statuses(where)[0].run / "result.nc").read_bytes())
    good, x = (run / "result.nc").read_bytes(), load(run).x
    spoil(run / name)
    spoilt = {f.name: f.read_bytes() for f in run.iterdir()}
    capsys.readouterr()

    with pytest.raises(Damaged, match=name):
        load(run)
    with pytest.raises(SystemExit) as stop:
        main("lab.decay", ["seed=1"])
    err = capsys.readouterr().err
    assert stop.value.code == 1 and err.count("\n") == 1 and str(run.name) in err and name in err and "force=true" in err
    with pytest.raises(SystemExit) as stop:
        main("lab.decay", ["-m", "seed=0,1"])
    out = capsys.readouterr().out
    assert stop.value.code == 1 and "1 finished, 1 failed of 2 jobs" in out and name in out
    assert spoilt == {f.name: f.read_bytes() for f in run.iterdir()}, "left as it is, for whoever wants to know"
    assert not Path("/tmp/dltheory-was-executed").exists()

    main("lab.decay", ["seed=1", "force=true"])
    assert not (load(run).x != x).any()
    spoil(run / name)
    run.rename(tmp_path / "aside")
    main("lab.decay", ["-m", "seed=0,1"])
    assert (run / "result.nc").read_bytes() == good and hidden(tmp_path) == []


@pytest.mark.parametrize("text", ['{"experi', "{}", "[]", ""])
@pytest.mark.parametrize("file", ["sweep.json", "jobs/1.json", "slurm/7.json", "claims.json of a run"])
def test_damaged_notes_of_a_sweep_are_written_again(tmp_path, monkeypatch, capsys, file, text):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    main("lab.decay", ["-m", "seed=0,1"])
    where = only(tmp_path)
    path = where / file if "run" not in file else sweep.statuses(where)[0].run / "claims.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    overview.everything()
    assert only(tmp_path).name in capsys.readouterr().out
    if file == "sweep.json":
        with pytest.raises(Damaged, match=r"sweep\.json"):
            load_sweep(where)
    main("lab.decay", ["-m", "seed=0,1"])
    assert "2 finished of 2 jobs" in capsys.readouterr().out
    assert load_sweep(where).sizes["seed"] == 2
    if file not in {"jobs/1.json", "slurm/7.json"}:
        assert json.loads(path.read_text())


@pytest.mark.parametrize("skew", [-400 * 86400, 400 * 86400])
def test_clocks_that_disagree_lose_and_repeat_nothing(tmp_path, skew):
    """Everything on disk seems to come from another year, as from a file server with a wrong clock."""
    words = ["-m", "seed=range(6)"]
    command("lab.decay", "-m", "seed=range(3)", cwd=tmp_path)
    before = finished(tmp_path)
    for path in (tmp_path / "results").rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (time.time() + skew,) * 2)
    jobs = [json.loads(f.read_text())["run"] for f in sorted((only(tmp_path) / "jobs").glob("*.json"))]
    (only(tmp_path) / jobs[0]).resolve()
    out = command("lab.decay", *words, cwd=tmp_path)
    assert out.returncode == 0 and "6 finished of 6 jobs" in out.stdout and out.stdout.count("(computed before)") == 0
    assert before.items() <= finished(tmp_path).items() and hidden(tmp_path) == []


def test_a_lock_of_a_living_process_elsewhere_is_respected_and_its_run_found(tmp_path):
    """Another node computes one run of the sweep: this one does the rest and waits for it."""
    command("lab.decay", "-m", "seed=0,1,2", cwd=tmp_path)
    done = sweep.statuses(only(tmp_path))[1].run
    done.rename(tmp_path / "done")
    lock = lock_of(done)
    lock.write_text(json.dumps({"machine": "another", "pid": 1, "started": "", "token": ""}))
    driver = command("lab.decay", "-m", "seed=0,1,2", cwd=tmp_path, background=True)
    for beat in range(16):
        time.sleep(0.5)
        os.utime(lock, (beat, beat))
        assert driver.poll() is None and not done.exists()
    assert "running" in command("experiments", "status", only(tmp_path), cwd=tmp_path).stdout
    (tmp_path / "done").rename(done)
    lock.unlink()
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 0 and "job 1: finished (computed before)" in out, out + err
