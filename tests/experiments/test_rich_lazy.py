"""The rich–lazy experiment: its numbers, its planted faults, its figures, its sweep, its command line."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from dltheory import representation as theory
from dltheory.data import Digits
from dltheory.lab import experiment, load, load_sweep, main, store
from dltheory.lab.program import Program
from dltheory.models import MLPConfig
from experiments import rich_lazy
from experiments.rich_lazy import Config


@pytest.fixture(scope="module")
def rich(results):
    """The default run of the README."""
    return experiment("rich_lazy", init_scale=0.1)


def gated(data):
    return {c.statement.split(",")[0]: c.verdict for c in rich_lazy.claims(data) if c.gated}


def test_all_gated_claims_hold_at_default_size(rich):
    assert rich.sizes["network"] >= 5
    verdicts = gated(rich)
    assert len(verdicts) == 7 and set(verdicts.values()) == {"holds"}
    assert 5 < float(rich.crossover) < 12


def test_claims_fail_under_planted_faults(rich):
    """Doubled rates, a plateau off by the square root, and targets told wrong: the numbers must notice."""
    geometry = theory.Geometry(1.0, 0.5)
    time = rich.rate.values[:, None] * rich.step.values

    def with_rates(factor):
        rms = {c: [] for c in "hyw"}
        for n in range(rich.sizes["network"]):
            start = theory.TwoPoint(*(float(rich[f"observed_{c}"][n, 0]) for c in "hyw"))
            rates = theory.Rates(factor * float(rich.fit_rates_hidden[n]), float(rich.fit_rates_output[n]))
            end = float(theory.transition_end(time[n], rich.observed_w.values[n]))
            shown = time[n] <= end
            curves = theory.solve(time[n][shown], start, rates, geometry)
            for c in "hyw":
                seen = rich[f"observed_{c}"].values[n][shown]
                rms[c].append(np.sqrt(np.mean((np.asarray(getattr(curves, c)) - seen) ** 2)) / np.abs(seen).max())
        return rich.assign({f"fit_rms_{c}": ("network", np.array(rms[c])) for c in "hyw"})

    assert set(gated(with_rates(1.0)).values()) == {"holds"}
    assert "fails" in gated(with_rates(2.0)).values()
    assert "fails" in gated(rich.assign(formula=1.1 * rich.formula)).values()
    assert "fails" in gated(rich.assign(loss=rich.loss + 1e-4)).values()
    for S in (0.45, 0.55):
        assert "fails" in gated(rich.assign(geometry_dy2=S)).values(), "targets told wrong by ten per cent"
    shuffled = rich.assign(observed_h=rich.observed_h.roll(network=1, roll_coords=False))
    assert {"fails", "open"} & set(gated(shuffled).values()), "distances of other networks"
    squared = theory.final_distance(theory.TwoPoint(1e-3, 1e-6, 0.0), theory.Rates(0.2, 1.2), geometry)
    assert not np.isclose(float(squared), float(squared) ** 0.5), "formula (3) is for the squared distance"


def test_far_above_the_crossover_the_run_is_reported_as_outside(results):
    data = experiment("rich_lazy", init_scale=40)
    assert float(data.init_scale / data.crossover) > rich_lazy.LAZY
    claims = rich_lazy.claims(data)
    assert "lazy, outside the domain" in claims[0].statement and claims[0].verdict == "fails" and not claims[0].gated
    assert all(c.verdict == "open" for c in claims if c.gated and "loss" not in c.statement)
    assert np.all(data.fit_flags_poor.values | data.fit_flags_hidden_at_bound.values), "from gain 1.4 the fit is flagged"
    h = data.observed_h.values
    assert np.mean(h[:, -1] < h[:, 0]) > 0.5, "h falls although w < 0, which (1) forbids"


def test_initial_distance_is_forgotten_below_the_crossover_and_kept_above(results):
    ends = {scale: experiment("rich_lazy", init_scale=scale).observed_h.values[:, [0, -1]] for scale in (0.03, 0.1, 1.0)}
    first, last = np.array([np.median(e, axis=0) for e in ends.values()]).T
    assert first.max() / first.min() >= 15 and last.max() / last.min() <= 1.3


def test_formula_3_with_own_rates_up_to_gain_1_1(results):
    data = experiment("rich_lazy", gain=1.1)
    assert np.median(np.abs(data.observed_h.values[:, -1] / data.formula.values - 1)) < 0.05


def test_gain_and_init_scale_are_two_names_of_one_thing():
    assert Config(gain=1.1).init_scale == pytest.approx(1.1**11)
    assert Config(init_scale=8.0).gain == pytest.approx(8 ** (1 / 11))
    assert Config(gain=1.1, init_scale=1.1**11) == Config(gain=1.1)
    assert dataclasses.replace(Config(gain=1.1), seed=3).gain == 1.1
    with pytest.raises(ValueError, match="not both"):
        Config(gain=1.1, init_scale=3.0)


def test_seeds_and_scales_are_one_program(results):
    program = Program("experiments.rich_lazy")
    small = {"networks": 2, "steps": 20, "model": MLPConfig(width=4, hidden_layers=2)}
    for fields in ({"seed": 0}, {"seed": 5}, {"init_scale": 3.0}, {"gain": 1.2}):
        program(Config(**small, **fields))
    assert len(program._compiled) == 1
    assert jax.tree.structure(Config(**small)) != jax.tree.structure(Config(**small | {"steps": 40}))


def test_same_configuration_same_bits(results):
    small = {"size": "tiny", "steps": 200, "init_scale": 0.7}
    first = experiment("rich_lazy", **small)
    again = experiment("rich_lazy", **small, force=True)
    np.testing.assert_array_equal(first.observed_h.values, again.observed_h.values)
    other = experiment("rich_lazy", **small, seed=1)
    assert not np.array_equal(first.observed_h.values, other.observed_h.values)


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "digits", "data.points": 200, "steps": 60},
        {"data": "digits", "data.batch": 0, "data.points": 50, "steps": 20, "first": 3, "second": 0},
        {"data": "xor"},
        {"optimizer": "momentum"},
        {"optimizer": "gradient_flow", "model.activation": "tanh", "steps": 50},
        {"model.parametrisation": "ntk", "model.activation": "erf"},
        {"model.bias": False, "precision": "double", "layer": 0},
    ],
)
def test_groups_run_end_to_end(results, fields):
    fields = {"size": "tiny", "steps": 100, "model.width": 8} | fields
    data = experiment("rich_lazy", **fields)
    assert data.attrs["status"] == "finished"
    assert np.all(np.isfinite(data.loss)) and data.loss.values[:, -1].mean() <= data.loss.values[:, 0].mean()
    for picture in (rich_lazy.plot(data),):
        assert all(axis.get_xlabel() or axis.get_xticklabels() for axis in picture.axes) and all(axis.get_ylabel() for axis in picture.axes)


def test_adam_runs(results):
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    try:
        data = experiment("rich_lazy", size="tiny", steps=100, optimizer="adam")
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")
    assert float(data["optimizer.rate"]) == 1e-3 and np.allclose(data.rate, 1e-3)


def test_digits_follow_a_pair_of_two_classes():
    config = Config(data=Digits(), seed=3)
    train, held, (i, j) = rich_lazy.load(config)
    assert train.label[i] != train.label[j] and len(train.x) + len(held.x) == 1797
    again = rich_lazy.load(dataclasses.replace(config, gain=None))[2]
    np.testing.assert_array_equal(again, [i, j])


def test_missing_mnist_is_one_line_and_exit_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_DATA", str(tmp_path))
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    with pytest.raises(SystemExit) as stop:
        main("experiments.rich_lazy", ["data=mnist"])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1 and "train-images-idx3-ubyte" in err and "DLTHEORY_DATA" in err
    assert list(tmp_path.iterdir()) == []


def test_sweep_ends_in_one_figure_one_table_and_one_dataset(results, capsys):
    words = ["-m", "size=tiny", "steps=200", "init_scale=0.1,10,1000"]
    main("experiments.rich_lazy", words)
    (where,) = (results / "sweeps" / "rich_lazy").iterdir()
    assert {p.name for p in where.iterdir()} == {
        "jobs", "sweep.json", "sweep.nc", "table.csv", "claims.json", "figure.png", "figure.pdf",
    }  # fmt: skip
    data = load_sweep(where)
    assert data.sizes["init_scale"] == 3 and list(data.init_scale.values) == [0.1, 10, 1000]
    jobs = [json.loads((where / "jobs" / f"{k}.json").read_text()) for k in range(3)]
    assert {j["status"] for j in jobs} == {"finished"}
    np.testing.assert_array_equal(load(where / jobs[1]["run"]).observed_h, data.observed_h.sel(init_scale=10))
    stamp = lambda: [(where / j["run"] / "result.nc").stat().st_mtime_ns for j in jobs]
    stamps = stamp()
    assert not (where / jobs[0]["run"] / "figure.png").exists()
    main("experiments.rich_lazy", words)
    assert stamp() == stamps
    assert "sweep.nc" in capsys.readouterr().out


def test_a_sweep_may_mix_lengths_and_numbers_of_networks(results, capsys):
    main("experiments.rich_lazy", ["-m", "size=tiny", "model.width=4", "networks=2,3", "steps=50,100"])
    out = capsys.readouterr().out
    assert out.count("finished") >= 8 and "figure.png" in out


def test_a_failing_job_does_not_take_the_others_with_it(results, capsys, monkeypatch):
    honest = store.dataset

    def faulty(result, config):
        if config.seed == 2:
            raise RuntimeError("planted\nfault")
        return honest(result, config)

    monkeypatch.setattr(store, "dataset", faulty)
    with pytest.raises(SystemExit) as stop:
        main("experiments.rich_lazy", ["-m", "size=tiny", "steps=100", "seed=1,2,3"])
    assert stop.value.code == 1
    out = capsys.readouterr().out
    assert "RuntimeError: planted fault" in out and out.count("finished") >= 2


def test_strict_exits_1_when_a_gated_claim_fails(results, monkeypatch, capsys):
    words = ["steps=40", "model.width=10", "model.hidden_layers=3", "init_scale=0.5", "networks=2"]
    main("experiments.rich_lazy", words)
    with pytest.raises(SystemExit) as stop:
        main("experiments.rich_lazy", [*words, "strict=true"])
    assert stop.value.code == 1
    assert "✗" in capsys.readouterr().out
