"""The benchmark compares like with like, and says in one line what it does not understand."""

import json
import math

import jax
import numpy as np
import pytest

from dltheory.finite_width import ntk, sample_kernels
from dltheory.lab import at_least
from dltheory.models import MLP, critical, functional
from scripts import benchmark
from scripts.benchmark import Row, dense_ntk, disagreement, main, moments, our_loops, standard_errors, torch_loops, weight_matrices


def test_pytorch_and_we_record_the_same_training():
    pytest.importorskip("torch", reason="PyTorch is missing: pip install 'dltheory[bench]'")
    width, hidden_layers, layer, steps = 30, 4, 2, 60
    _, _, weights, biases = benchmark.initial(width, hidden_layers, "float64")
    ours = our_loops(width, hidden_layers, layer, "float64")["training"]
    expected = np.concatenate([ours(steps), ours(steps)])
    theirs = torch_loops(weights, biases, layer, [1])
    assert len(theirs) == 3
    for name in [name for name in theirs if "compile" not in name]:
        recorded = np.concatenate([theirs[name](steps), theirs[name](steps)])
        np.testing.assert_allclose(recorded, expected, rtol=1e-10, atol=1e-14, err_msg=name)
        assert disagreement(expected, recorded) < 1e-11


def test_disagreement_is_the_largest_difference_over_the_largest_value():
    ours = np.array([[1.0, -4.0], [2.0, 1.0]])
    assert disagreement(ours, ours + np.array([[0.2, 0.0], [0.0, 0.4]])) == pytest.approx(0.1)


def test_a_loop_from_the_start_is_the_training_and_its_loss_falls():
    loops = our_loops(20, 3, 1, "float64")
    recorded = loops["paper's rate"](50)
    np.testing.assert_allclose(recorded[:, :3], loops["training"](50), rtol=1e-10, atol=1e-15)
    np.testing.assert_array_equal(recorded, loops["paper's rate"](50))
    assert recorded[-1, 3] < recorded[0, 3]


def test_weight_matrices_have_the_law_of_sampled_kernels():
    key, other = jax.random.split(jax.random.key(0))
    ours = moments(sample_kernels(key, "tanh", [8] * 3, 1.0, 0.0, 1.5, 20_000))
    theirs, wrong = (moments(weight_matrices("tanh", 8, 4, c_w, 500)(other, 20_000)) for c_w in (1.5, 1.6))
    assert standard_errors(ours, theirs) < 5 < standard_errors(ours, wrong)
    assert all(a.mean.shape == (4,) and np.all(a.standard_error < 0.01) for a in (*ours, *theirs))


def test_dense_jacobians_make_the_same_tangent_kernel():
    params, apply = functional(MLP((3, 5, 2), "tanh", critical(), key=jax.random.key(0), dtype=float))
    x = jax.random.normal(jax.random.key(1), (4, 3))
    np.testing.assert_allclose(dense_ntk(apply, params, x), ntk(apply, params, x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("word", ["speed=1", "training", "only=", "only=trainin", "only=fit,", "rounds=0", "rounds=two", "out=", "-v"])
def test_an_argument_that_is_not_understood_is_one_line_and_exit_2(word, capsys):
    assert main([word]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and err.count("\n") == 1 and word.split("=")[0] in err


def test_help_names_every_row(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name}: " in out for name in benchmark.ROWS)


def test_rows_are_judged_and_written(tmp_path, monkeypatch, capsys):
    rows = [
        Row("a ratio", 2.0, 4.0, 2.0, at_least(1.5)),
        Row("no ratio", np.float64(1.0), bar=at_least(1.5)),
        Row("no bar", 1.0),
        Row("skipped", bar=at_least(1), note="something is missing"),
    ]
    monkeypatch.setattr(benchmark, "ROWS", {"start": lambda rounds: iter(rows * rounds)})
    assert main(["rounds=1", f"out={tmp_path}/new/a.json"]) == 0
    assert "skipped: something is missing" in capsys.readouterr().out
    written = json.loads((tmp_path / "new" / "a.json").read_text())["rows"]
    assert [row["met"] for row in written] == [True, False, None, None]
    assert [row["ratio"] for row in written] == [2.0, None, None, None] and math.isclose(written[1]["ours"], 1)
