"""Runs on disk: names by content, whole or not at all, through kills and races."""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import shell

from dltheory.lab import load, store
from experiments import criticality, rich_lazy

HOUSE = Path(__file__).parents[2]
TINY = ["size=tiny", "steps=100", "model.width=5"]


command = functools.partial(shell.command, "experiments.rich_lazy")


def runs(where):
    return sorted((where / "results" / "runs" / "rich_lazy").glob("[!.]*"))


def test_a_run_leaves_everything_and_the_second_one_computes_nothing(tmp_path):
    first = command(*TINY, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (run,) = runs(tmp_path)
    assert {p.name for p in run.iterdir()} == {"result.nc", "claims.json", "figure.png", "figure.pdf", "metadata.json"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results"] and os.listdir(tmp_path / "results") == ["runs"]
    stamp, kept = (run / "result.nc").stat(), (run / "metadata.json").read_text()
    second = command(*TINY, cwd=tmp_path)
    assert second.returncode == 0 and "computed before" in second.stdout
    assert (run / "result.nc").stat() == stamp and (run / "metadata.json").read_text() == kept
    (run / "claims.json").write_text("[]")
    forced = command(*TINY, "force=true", cwd=tmp_path)
    assert "computed before" not in forced.stdout and (run / "result.nc").stat().st_mtime_ns > stamp.st_mtime_ns
    assert len(json.loads((run / "claims.json").read_text())) > 3 and len(list(run.parent.iterdir())) == 1

    data, metadata = load(run), json.loads((run / "metadata.json").read_text())
    assert data.attrs["status"] == metadata["status"] == "finished"
    assert metadata["config"]["model.width"] == 5 == int(data["model.width"]) and str(data["data"].values) == "two_points"
    assert metadata["versions"]["jax"] and metadata["device"]["platform"] == "cpu" and "experiments.rich_lazy" in metadata["code"]
    assert data.observed_h.dims == ("network", "step") and data.observed_h.attrs["units"] == "hidden²"
    assert "step" in data.indexes and data.formula.attrs["source"] == "formula (3)"
    claims = json.loads((run / "claims.json").read_text())
    assert all(c["verdict"] in {"holds", "fails", "open"} and not c["gated"] for c in claims)


def test_kill_in_the_middle_leaves_nothing_readable_and_the_rerun_succeeds(tmp_path):
    words = ["size=tiny", "steps=2000000", "every=1000"]
    victim = command(*words, cwd=tmp_path, background=True)
    time.sleep(12)
    assert victim.poll() is None, victim.communicate()
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert runs(tmp_path) == []
    again = command("size=tiny", "steps=2000", "every=1", cwd=tmp_path)
    assert again.returncode == 0 and len(runs(tmp_path)) == 1


def test_kill_while_writing_leaves_a_draft_that_the_rerun_sweeps_up(tmp_path):
    """A process that dies inside the block, after writing half."""
    code = f"""
        import os, signal
        from pathlib import Path
        from dltheory.lab import store
        with store.Draft(Path({str(tmp_path)!r}) / "run") as draft:
            (draft / "result.nc").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=os.environ | {"PYTHONPATH": str(HOUSE)})
    left = [p.name for p in tmp_path.iterdir()]
    assert len(left) == 1 and left[0].startswith(".run.")
    assert not store.is_finished(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="no finished run"):
        load(tmp_path / "run")
    with store.Draft(tmp_path / "run") as draft:
        (draft / "result.nc").write_bytes(b"whole")
        (draft / "metadata.json").write_text("{}")
    assert [p.name for p in tmp_path.iterdir()] == ["run"] and store.is_finished(tmp_path / "run")


def finished(path, text, force=False):
    with store.Draft(path, force) as draft:
        (draft / "result.nc").write_text(text)
        (draft / "metadata.json").write_text("{}")


def test_the_first_finished_directory_wins_unless_forced(tmp_path):
    path = tmp_path / "run"
    finished(path, "first")
    finished(path, "second")
    assert (path / "result.nc").read_text() == "first"
    finished(path, "third", force=True)
    assert (path / "result.nc").read_text() == "third"
    with pytest.raises(RuntimeError), store.Draft(tmp_path / "other") as draft:
        (draft / "result.nc").write_text("half")
        raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_a_new_line_width_keeps_the_id_and_a_changed_equation_does_not(tmp_path):
    source = (HOUSE / "experiments" / "rich_lazy.py").read_text()
    base = tmp_path / "base.py"
    base.write_text(source)
    kept = [
        source.replace("figsize=(1.3 * ONE_COLUMN, 3.0)", "figsize=(TWO_COLUMNS, 5)"),
        "# a comment\n" + source,
        source.replace("Source:", "From:"),
    ]
    kept += [source.replace("at_most(1.3)", "at_most(1.4)"), source.replace('"""h, y, w and', '"""')]
    changed = [
        source.replace("REFERENCE = 0.1", "REFERENCE = 0.2"),
        source.replace("< config.networks, jnp", "<= config.networks, jnp"),
    ]
    other = tmp_path / "other.py"
    for text in (*kept, *changed):
        assert text != source
        other.write_text(text)
        assert (store.fingerprint(other) == store.fingerprint(base)) == (text in kept)


def test_code_reached_by_imports_and_not_the_lab():
    found = store.code("experiments.rich_lazy")
    assert {
        "experiments.rich_lazy",
        "dltheory.representation.fit",
        "dltheory.training",
        "dltheory.record",
        "dltheory.numerics.estimate",
        "dltheory.data.two_points",
    } <= set(found)
    assert not [m for m in found if m.startswith("dltheory.lab")]


def test_id_is_of_the_configuration():
    where = lambda **fields: store.run_directory("experiments.rich_lazy", rich_lazy.Config(**fields))
    assert where() == where(init_scale=0.1)
    assert len({where(), where(seed=1), where(precision="double"), where(steps=4000), where(init_scale=0.2)}) == 5


def test_id_is_of_the_function_that_a_user_names(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "of_a_user.py"
    where = lambda: store.run_directory("experiments.criticality", criticality.Config(activation="of_a_user:wave"))
    file.write_text("import jax.numpy as jnp\n\ndef wave(z):\n    return jnp.sin(z)\n")
    first = where()
    file.write_text("import jax.numpy as jnp\n\ndef wave(z):\n    return jnp.sin(z)  # one wave\n")
    assert where() == first
    file.write_text("import jax.numpy as jnp\n\ndef wave(z):\n    return jnp.sin(2 * z)\n")
    assert where() != first


def test_not_finite_results_are_named_with_step_and_rate():
    import xarray as xr

    h = np.ones((2, 5))
    h[1, 3:] = np.nan
    data = xr.Dataset({"h": (("network", "step"), h), "rate": ("network", [0.1, 0.25])}, {"step": [0, 10, 20, 30, 40]})
    assert store.not_finite(data) == "h is not finite from step 30, rate 0.25, network 1"
    assert store.not_finite(data.isel(network=[0])) == ""


def test_results_that_cannot_be_stored_are_said_before_computing(tmp_path):
    (tmp_path / "file").write_text("")
    env = os.environ | {"PYTHONPATH": str(HOUSE), "DLTHEORY_RESULTS": str(tmp_path / "file")}
    for words in (TINY, ["-m", *TINY, "seed=1,2"]):
        out = subprocess.run([sys.executable, "-m", "experiments.rich_lazy", *words], env=env, capture_output=True, text=True)
        assert out.returncode == 2 and out.stderr.count("\n") == 1 and "DLTHEORY_RESULTS" in out.stderr


def test_an_interrupt_ends_with_one_line_and_130(tmp_path):
    victim = command("size=tiny", "steps=2000000", "every=1000", cwd=tmp_path, background=True)
    time.sleep(12)
    victim.send_signal(signal.SIGINT)
    err = victim.communicate(timeout=60)[1]
    assert victim.returncode == 130 and err.startswith("interrupted") and err.count("\n") == 1
    assert runs(tmp_path) == []


def test_a_diverging_run_says_at_which_step_and_rate_and_is_kept(tmp_path):
    out = command(*TINY, "optimizer.rate=50", "init_scale=100", cwd=tmp_path)
    assert out.returncode == 1 and "Traceback" not in out.stderr
    (run,) = runs(tmp_path)
    status = json.loads((run / "metadata.json").read_text())["status"]
    assert status.startswith("diverged: ") and "from step" in status and "rate 50" in status
    assert "diverged" in out.stdout and "from step" in out.stdout
