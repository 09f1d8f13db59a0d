"""The command line: every mistake is one line on stderr and exit code 2, and nothing is written."""

import os
import subprocess
import sys

import pytest
import shell

from dltheory.lab import main, progress

MALFORMED = [
    "init_scal=0.1",
    "initscale=0.1",
    "init_scale=abc",
    "init_scale=true",
    "init_scale=[1,2]",
    "init_scale={a:1}",
    "init_scale=-1",
    "init_scale=0",
    "init_scale=1e9",
    "init_scale=nan",
    "init_scale=inf",
    "init_scale=",
    "init_scale",
    "0.1",
    "init_scale=0.1,1",
    "init_scale=range(1,3)",
    "init_scale=[",
    "init_scale=0.1 gain=1.5",
    "gain=0",
    "seed=1.5",
    "seed=-1",
    "seed=null",
    "steps=abc",
    "steps=0",
    "every=3",
    "every=8000",
    "networks=1",
    "layer=10",
    "layer=2 model.hidden_layers=2",
    "precision=half",
    "model=alexnet",
    "model=resnet",
    "model=cnn",
    "model=[mlp]",
    "model.width=0",
    "model.width=1e3",
    "model.activation=reluu",
    "model.activation=7",
    "model.bias=maybe",
    "model.dept=3",
    "model.width=4 model=null",
    "data=mnisst",
    "data.dx=-1",
    "data.batch=3",
    "data=digits data.normalise=no",
    "data=digits data.test=1",
    "data=digits data.dx=2",
    "data=digits first=5000",
    "data=digits first=3 second=3",
    "optimizer=sgd",
    "optimizer=adam optimizer.rate=0",
    "optimizer=gradient_flow",
    "optimizer=gradient_flow model.activation=tanh data=digits",
    "size=huge",
    "size=tiny,paper",
    "force=maybe",
    "figure=true",
    "figure=maybe -m",
    "runs_per_task=2",
    "runs_per_task=0 -m",
    "runs_per_task=1.5 -m",
    "init_scale=geomspace(1,2,3)",
    "init_scale=geomspace(0,2,3) -m",
    "init_scale=linspace(1,2) -m",
    "init_scale=logspace(1,2,3) -m",
    "seed=linspace(0,1,3) -m",
    "hydra/launcher=vmap hydra.launcher.batch=0 -m",
    "hydra/launcher=vmap hydra.launcher.batch=all -m",
    "hydra/launcher=vmap hydra.launcher.batc=2 -m",
    "hydra/launcher=joblib hydra.launcher.n_jobs=0 -m",
    "hydra/launcher=null -m",
    "hydra/launcher=[ -m",
    "hydra/launcher= -m",
    "hydra.sweep.dri=x -m",
    "hydra.sweep.dir=x -m",
    "hydra.mode=RUN -m",
    "hydra/launcher=vmap hydra.launcher._target_=foo.Bar -m",
    "hydra/sweeper=basic -m",
    "strict=1",
    "+foo=2",
    "~seed",
    "hydra/launcher=basic",
    "hydra/launcher=nowhere -m",
    "--size=tiny",
    "-q",
    "--cfg nothing",
    "-m init_scale=0.1,abc",
    "-m every=1,3",
    "-m model=mlp,alexnet",
    "init_scale=${nowhere}",
    "size=paper model=shallow",
    "size=tiny,paper model=shallow -m",
    "init_scale=interval(0.1,1) -m",
    "seed=glob(*) -m",
    "seed=1,2 -m --cfg job",
    "every=3 --cfg job",
    "--shell-completion",
    "data.dx=0",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_a_mistake_is_one_line_and_exit_2_and_nothing_is_written(line, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main("experiments.rich_lazy", line.split())
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err, err
    assert any(w.partition("=")[0].strip("+~").split(".")[0] in err for w in line.split() if w != "-m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("init_scal=0.1", "init_scale"),
        ("model.dept=3", "model."),
        ("init_scale=abc", "a number"),
        ("seed=1.5", "a whole number"),
        ("model=alexnet", "one of mlp"),
        ("model=resnet", "inputs=1"),
        ("model=resnet model.width=0", "[0.001, 100]"),
        ("model=conv1d model.width=0", "positions"),
        ("model.width=0", "≥ 1"),
        ("init_scale=0.1,1", "-m"),
        ("data=digits data.dx=2", "no such field"),
    ],
)
def test_the_line_says_what_is_allowed(line, hint, capsys):
    with pytest.raises(SystemExit):
        main("experiments.rich_lazy", line.split())
    assert hint in capsys.readouterr().err


def command(*words, cwd, module="experiments.rich_lazy", **environment):
    return shell.command(module, *words, cwd=cwd, **environment)


def test_help_names_every_field_and_listing_every_experiment(tmp_path):
    shown = command("--help", cwd=tmp_path)
    assert shown.returncode == 0 and shown.stderr == ""
    for key in ("init_scale", "data.dx", "model.width", "optimizer.rate", "size= default | tiny | paper", "force=true"):
        assert key in shown.stdout
    listed = command(cwd=tmp_path, module="experiments")
    assert listed.returncode == 0 and "rich_lazy: The scale of the initial weights" in listed.stdout
    assert list(tmp_path.iterdir()) == []


def test_listing_imports_nothing_heavy(tmp_path):
    code = "import sys, runpy; runpy.run_module('experiments', run_name='__main__'); print(sorted(sys.modules))"
    house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    out = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": house}, capture_output=True, text=True)
    modules = out.stdout.splitlines()[-1]
    assert "'experiments'" in modules and "jax" not in modules and "dltheory" not in modules


def test_flags_may_stand_anywhere_and_hydra_shows_the_configuration(tmp_path):
    shown = command("seed=3", "--cfg", "job", "model.width=7", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "seed: 3" in shown.stdout and "width: 7" in shown.stdout and "tpu" not in shown.stderr.lower()
    assert list(tmp_path.iterdir()) == []


def test_hydra_knows_the_experiment_by_its_name(tmp_path):
    shown = command("--cfg", "hydra", cwd=tmp_path)
    assert shown.returncode == 0 and "name: rich_lazy" in shown.stdout and "output_subdir: null" in shown.stdout


def test_programs_are_kept_on_disk_for_this_user_alone(tmp_path):
    words = ("size=tiny", "steps=20", "model.width=3")
    out = command(*words, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert out.returncode == 0, out.stderr
    programs = tmp_path / "cache" / "dltheory" / "programs"
    assert any(programs.iterdir()) and programs.stat().st_mode & 0o077 == 0


def test_a_long_sweep_says_how_long_it_takes(capsys):
    progress.announce(59, 3)
    assert capsys.readouterr().err == ""
    progress.announce(580, 58)
    assert capsys.readouterr() == ("", "expected time: about 10 min for 58 runs\n")
