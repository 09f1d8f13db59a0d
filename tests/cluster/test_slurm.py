"""Sweeps on a real Slurm: `bash scripts/slurm_single_node.sh install`, `start`, and `eval "$(… env)"` bring one up."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from shell import command, wait_for

from dltheory.lab import cluster, load_sweep, sweep
from dltheory.lab.lock import lock_of

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(600)]


def slurm(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


@pytest.fixture(autouse=True)
def _running(tmp_path):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'dltheory[cluster]'")
    if not shutil.which("sinfo") or slurm("sinfo").returncode:
        pytest.skip("needs a running Slurm: bash scripts/slurm_single_node.sh start; eval its env")
    yield
    for where in (tmp_path / "results").glob("sweeps/*/*"):
        for job, _ in cluster.submissions(where):
            slurm("scancel", job)


def only(folder):
    (where,) = (folder / "results").glob("sweeps/*/*")
    return where


def metadata(folder):
    return {f.parent.name: json.loads(f.read_text()) for f in (folder / "results" / "runs").glob("*/[!.]*/metadata.json")}


def computed(where, share):
    """Which jobs of a share have a result."""
    return [s.number for s in sweep.statuses(where, verify=False) if s.number in share and s.status == "finished"]


def test_64_runs_one_task_cancelled_one_requeued_and_resume_does_only_the_rest(tmp_path):
    """The sweep of the README. Of eight tasks one is cancelled and one requeued."""
    words = ["-m", "size=tiny", "init_scale=0.1,1,10,100", "seed=range(16)", "runs_per_task=8"]
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=10"]
    driver = command("experiments.rich_lazy", *words, *launcher, cwd=tmp_path, background=True)
    where = wait_for(lambda: next((tmp_path / "results").glob("sweeps/*/*/slurm/*.json"), None)).parents[1]
    ((job, shares),) = cluster.submissions(where)
    assert len(shares) == 8 and shares[0] == "j0-7"
    assert slurm("scancel", f"{job}_7").returncode == 0
    wait_for(lambda: computed(where, range(8, 16)))
    first = {n: metadata(tmp_path)[sweep.statuses(where, False)[n].run.name] for n in computed(where, range(8, 16))}
    assert slurm("scontrol", "requeue", f"{job}_1").returncode == 0
    shown = command("experiments", "status", where, cwd=tmp_path)
    assert re.search(r"\d+ pending", shown.stdout) and f"Slurm {job}_6 is PENDING" in shown.stdout, shown.stdout

    out, err = driver.communicate(timeout=400)
    done = metadata(tmp_path)
    assert driver.returncode == 1 and "56 finished, 8 missing of 64 jobs" in out and len(done) == 56, out + err
    assert "Restarts=1" in slurm("scontrol", "show", "job", f"{job}_1").stdout
    assert {m["slurm"]["array_job_id"] for m in done.values()} == {job}
    assert sorted(m["slurm"]["array_task_id"] for m in done.values()) == [str(k) for k in range(7) for _ in range(8)]
    for n, before in first.items():
        assert done[sweep.statuses(where, False)[n].run.name] == before, "what had finished before the requeue is not done again"
    assert f"Slurm {job}_7 has ended" in command("experiments", "status", where, cwd=tmp_path).stdout

    resumed = command("experiments", "resume", where, cwd=tmp_path)
    assert resumed.returncode == 0 and "64 finished of 64 jobs" in resumed.stdout, resumed.stdout + resumed.stderr
    assert done.items() <= metadata(tmp_path).items() and len(metadata(tmp_path)) == 64
    new = [m for run, m in metadata(tmp_path).items() if run not in done]
    assert {m["slurm"]["job_id"] for m in new} == {cluster.submissions(where)[1][0]}
    assert not list((tmp_path / "results" / "runs").rglob(".*")), "no lock or draft is left"

    local = command("experiments.rich_lazy", "-m", "size=tiny", "init_scale=0.1,10", "seed=2,15", cwd=tmp_path / "results")
    assert local.returncode == 0
    ours, theirs = load_sweep(where), load_sweep(only(tmp_path / "results"))
    for name in ("observed_h", "loss", "plateau"):
        np.testing.assert_allclose(ours[name].sel(init_scale=[0.1, 10], seed=[2, 15]), theirs[name], rtol=1e-4, atol=1e-7)


def test_submit_returns_at_once_and_the_last_task_puts_the_sweep_together(tmp_path):
    begun = time.monotonic()
    words = ["lab.decay", "seed=range(6)", "pause=1", "runs_per_task=2", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"]
    out = command("scripts.submit", *words, cwd=tmp_path)
    assert out.returncode == 0 and "3 tasks" in out.stdout and "experiments status" in out.stdout, out.stdout + out.stderr
    where = only(tmp_path)
    assert len(metadata(tmp_path)) < 6 and time.monotonic() - begun < 30
    assert len(cluster.in_hand(where)) >= 5
    assert re.search(r"(pending|running)", command("experiments", "status", where.name, cwd=tmp_path).stdout)
    again = command("scripts.submit", *words, cwd=tmp_path)
    assert again.returncode == 0 and "nothing" in again.stdout and len(cluster.submissions(where)) == 1
    wait_for(lambda: not cluster.in_hand(where))
    assert (where / "sweep.nc").exists() and load_sweep(where).sizes["seed"] == 6
    assert "6 finished of 6 jobs" in command("experiments", "status", where.name, cwd=tmp_path).stdout


def test_a_single_task_is_known_too(tmp_path):
    """submitit makes no array of one."""
    words = ["lab.decay", "seed=range(4)", "pause=2"]
    assert command("scripts.submit", *words, cwd=tmp_path).returncode == 0
    where = only(tmp_path)
    assert cluster.in_hand(where) == {0, 1, 2, 3}
    assert "nothing to submit" in command("scripts.submit", *words, cwd=tmp_path).stdout
    wait_for(lambda: not cluster.in_hand(where))
    assert load_sweep(where).sizes["seed"] == 4


def test_two_processes_of_one_task_share_its_runs(tmp_path):
    """As on several nodes: `nodes` or `tasks_per_node` above one."""
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.tasks_per_node=2", "hydra.launcher.cpus_per_task=1"]
    out = command("lab.decay", "-m", "seed=range(16)", "pause=0.5", *launcher, cwd=tmp_path)
    assert out.returncode == 0 and "16 finished of 16 jobs" in out.stdout, out.stdout + out.stderr
    ranks = [m["slurm"]["procid"] for m in metadata(tmp_path).values()]
    assert len(ranks) == 16 and {ranks.count("0"), ranks.count("1")} != {0, 16}
    logs = "".join(f.read_text() for f in (only(tmp_path) / "slurm").rglob("*.out"))
    assert len(re.findall(r"job \d+: finished  ", logs)) == 16, "each was computed once"


def test_the_signal_before_a_time_limit_requeues_and_nothing_is_done_again(tmp_path):
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1"]
    driver = command("lab.decay", "-m", "seed=range(10)", "pause=1", *launcher, cwd=tmp_path, background=True)
    where = wait_for(lambda: next((tmp_path / "results").glob("sweeps/*/*/slurm/*.json"), None)).parents[1]
    ((job, _),) = cluster.submissions(where)
    wait_for(lambda: len(metadata(tmp_path)) >= 3)
    before = metadata(tmp_path)
    assert slurm("scancel", "--signal=USR2", job).returncode == 0
    out, err = driver.communicate(timeout=240)
    assert driver.returncode == 0 and "10 finished of 10 jobs" in out, out + err
    after = metadata(tmp_path)
    assert before.items() <= after.items()
    assert {m["slurm"].get("restart_count", "0") for m in after.values()} == {"0", "1"}


def test_the_signal_reaches_a_task_in_the_middle_of_one_long_run(tmp_path):
    """While a compiled program runs, the thread that answers signals is free."""
    words = ["size=tiny", "steps=1000000", "every=1000", "init_scale=0.5"]
    assert command("scripts.submit", "rich_lazy", *words, "hydra.launcher.cpus_per_task=1", cwd=tmp_path).returncode == 0
    where = only(tmp_path)
    ((job, _),) = cluster.submissions(where)
    running = lambda: [s for s in sweep.statuses(where, False) if s.status == "running"]
    (found,) = wait_for(running)
    assert found.task == job
    time.sleep(12)
    assert running(), "the program is not long enough"
    assert slurm("scancel", "--signal=USR2", job).returncode == 0
    wait_for(lambda: "Restarts=1" in slurm("scontrol", "show", "job", job).stdout, 20)
    assert metadata(tmp_path) == {}
    slurm("scancel", job)
    wait_for(lambda: not cluster.in_hand(where))
    (left,) = cluster.statuses(where)
    assert left.status == "missing" and f"Slurm {job} has ended" in left.reason


def test_an_interrupt_waits_until_a_submission_is_noted():
    done = []
    with pytest.raises(KeyboardInterrupt), cluster.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("noted")
    assert done == ["noted"]


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.4])
def test_the_command_again_waits_for_what_is_in_hand(tmp_path, moment):
    words = ["-m", "seed=range(4)", "pause=3", "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1"]
    first = command("lab.decay", *words, cwd=tmp_path, background=True)
    where = wait_for(lambda: next((tmp_path / "results").glob("sweeps/*/*/slurm/*.json"), None)).parents[1]
    time.sleep(moment)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=30)
    assert first.returncode == 130 and err.startswith("interrupted: its Slurm jobs go on") and err.count("\n") == 1
    again = command("lab.decay", *words, cwd=tmp_path)
    assert again.returncode == 0 and "4 finished of 4 jobs" in again.stdout, again.stdout + again.stderr
    assert len(cluster.submissions(where)) == 1


def test_a_lock_left_by_a_task_that_is_gone_is_not_called_running(tmp_path):
    assert command("lab.decay", "-m", "seed=0,1", cwd=tmp_path).returncode == 0
    where = only(tmp_path)
    run = sweep.statuses(where)[1].run
    run.rename(tmp_path / "away")
    lock_of(run).write_text(json.dumps({"machine": "node7", "pid": 1, "started": "", "slurm": "999999_1", "token": ""}))
    (where / "slurm").mkdir()
    (where / "slurm" / "999999.json").write_text(json.dumps({"job": "999999", "shares": ["j0", "j1"]}))
    shown = command("experiments", "status", where, cwd=tmp_path)
    assert "Slurm 999999_1 has ended" in shown.stdout and "1 missing" in shown.stdout and "resume" in shown.stdout
    assert "1 missing" in command("experiments", "status", cwd=tmp_path).stdout


def test_a_job_that_fails_is_reported_and_only_it_is_tried_again(tmp_path):
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1"]
    words = ["-m", "seed=range(4)", "broken=2", *launcher]
    for _ in range(2):
        out = command("lab.decay", *words, cwd=tmp_path)
        assert out.returncode == 1 and "3 finished, 1 failed of 4 jobs" in out.stdout and "its data are broken" in out.stdout
    assert [shares for _, shares in cluster.submissions(only(tmp_path))] == [["j0-3"], ["j2"]]
    shown = command("experiments", "status", only(tmp_path), cwd=tmp_path)
    assert shown.returncode == 1 and "seed=2: its data are broken" in shown.stdout


def test_a_wrong_setting_is_one_line_and_submits_nothing(tmp_path):
    for word in ("hydra.launcher.partitio=debug", "hydra.launcher.wait=maybe"):
        out = command("lab.decay", "-m", "seed=1,2", "hydra/launcher=submitit_slurm", word, cwd=tmp_path)
        assert out.returncode == 2 and out.stderr.count("\n") == 1 and word.split("=")[0].split(".")[-1] in out.stderr, out.stderr
    assert list(tmp_path.iterdir()) == []
    out = command("lab.decay", "-m", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=nowhere", cwd=tmp_path)
    assert out.returncode == 1 and "Traceback" not in out.stderr and "invalid partition" in out.stderr.lower(), out.stderr
