"""Context counting: claims at reduced size, planted faults, and the command for a user's own model."""

import importlib
import sys

import numpy as np
import pytest

from dltheory.lab import experiment, main
from dltheory.lab.configuration import Configurator
from dltheory.lab.store import dataset, run_directory
from experiments import context_counting

MODULE = """
import jax
import jax.numpy as jnp

def mine():
    params = {"first": jnp.ones((4, 8)), "bias": jnp.ones((1, 8)), "last": jnp.ones((8, 3))}
    return lambda p, x: jnp.tanh(x @ p["first"] + p["bias"]) @ p["last"], params, jnp.ones((1, 4))

def tokens():
    return lambda p, x: p["table"][x].sum(1) @ p["out"], {"table": jnp.ones((9, 4)), "out": jnp.ones((4, 3))}, jnp.array([[1, 1, 2]])

def loop():
    return lambda p, x: jax.lax.while_loop(lambda c: jnp.sum(c) < 9, lambda c: c @ p, x), jnp.ones((3, 3)), jnp.ones((1, 3))
"""


@pytest.fixture(scope="module")
def data(results):
    return experiment("context_counting", depth=2000, graphs=10)


@pytest.fixture
def user(tmp_path, monkeypatch):
    (tmp_path / "counted_by_a_user.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "counted_by_a_user"


def counted(*words):
    """A run that is neither stored nor drawn."""
    config = Configurator("experiments.context_counting").read(words)
    return dataset(context_counting.run(config), config)


def verdicts(data):
    return [c.verdict for c in context_counting.claims(data) if c.gated]


def test_claims_hold_and_the_figure_is_drawn(data):
    assert set(verdicts(data)) == {"holds"} and len(verdicts(data)) >= 35
    assert len(context_counting.plot(data).axes) == 9


def test_the_whole_zoo_is_counted(data):
    assert data.sizes["member"] == len(context_counting.Countable.options) - 1 and data.zoo.min() > 1


FAULTS = {
    "table": lambda x: 1.1 * x,
    "natural": lambda x: x / np.log(2),
    "drawn": lambda x: x[:, ::-1].values,
    "nodes": lambda x: x + 1,
    "wrong": lambda x: x + (x.graph == 3),
    "built": lambda x: x + 1e-3,
    "counted": lambda x: 1.002 * x,
    "zoo": lambda x: x * (x.member != 5),
    "designs_parameters": lambda x: x * (1 + 0.05 * (x.design == 2)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_noticed(data, name):
    assert "fails" in verdicts(data.assign({name: (data[name].dims, np.asarray(FAULTS[name](data[name])))}))


def test_every_number_of_the_page_has_a_claim_of_its_own(data):
    for i in range(data.table.size):
        planted = data.table.values.copy()
        planted.ravel()[i] += 1e-9
        assert verdicts(data.assign(table=(data.table.dims, planted))).count("fails") == 1


def test_parallel_chains_do_not_grow_exponentially(data):
    planted = data.counted.values.copy()
    planted[3] += 0.01 * data.deep.values[3]
    assert verdicts(data.assign(counted=(data.counted.dims, planted))).count("fails") == 1


def test_a_shallow_run_gates_no_growth(data):
    assert len(verdicts(data)) - len(verdicts(data.assign_coords(depth=64))) == 4


def test_a_model_of_the_zoo_layer_by_layer():
    seen = counted("model=mlp", "inputs=5", "outputs=3", "model.width=7", "model.hidden_layers=2")
    assert seen.layers_name.values.tolist() == ["weights.0", "biases.0", "weights.1", "biases.1", "weights.2", "biases.2"]
    C, size = np.array([21, 21, 3, 3, 1, 1]), np.array([35, 7, 49, 7, 21, 3])
    np.testing.assert_allclose(2**seen.layers_largest, C)
    np.testing.assert_allclose(seen.layers_share, C * size / (C @ size))
    assert [seen[f"whole_{name}"].item() for name in ("inputs", "outputs", "parameters")] == [5, 3, 122]
    assert set(verdicts(seen)) == {"holds"} and len(context_counting.plot(seen).axes) == 2
    wrong = seen.assign(whole_entropy=1.1 * seen.whole_entropy)
    assert "fails" in verdicts(wrong)


def test_logarithms_give_the_same():
    one, other = (counted("model=tied_mlp", f"arithmetic={a}") for a in ("exact", "log"))
    for name in ("layers_smallest", "layers_share", "whole_entropy", "whole_spread_score"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-9)


def test_a_users_model_is_printed_and_drawn(results, user):
    seen = experiment("context_counting", **{"model.path": f"{user}:mine"})
    rows, (whole,) = context_counting.tables(seen).values()
    table = [[row[k] for k in ("parameters", "shape", "number", "largest C")] for row in rows]
    assert table == [["first", "4×8", "32", "3"], ["bias", "1×8", "8", "3"], ["last", "8×3", "24", "1"]]
    assert (whole["N_G"], whole["N_I"], whole["N_O"]) == ("64", "4", "3")
    assert "first" in [t.get_text() for t in context_counting.plot(seen).axes[0].get_yticklabels()]


def test_tokens_are_input_nodes_and_a_token_that_occurs_twice_is_a_use_more(user):
    seen = counted(f"model.path={user}:tokens")
    (row, _), (whole,) = context_counting.tables(seen).values()
    assert (row["with a context"], row["smallest C"], row["largest C"], whole["N_I"]) == ("8", "3", "6", "3")


@pytest.mark.parametrize(("name", "inputs"), [("efficientnet", 3072), ("mlp", 64)])
def test_a_model_of_the_zoo_needs_no_sizes(name, inputs):
    _, (whole,) = context_counting.tables(counted(f"model={name}")).values()
    assert whole["N_I"] == f"{inputs:,}"


def test_counts_of_more_than_nine_digits_are_powers():
    seen = counted("model=lenet5", "inputs=1024")
    rows, _ = context_counting.tables(seen).values()
    assert [row["largest C"] for row in rows[:3]] == ["2^33.909", "2^33.909", "10,080,000"]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("model.path=counted_by_a_user:loop", "while at "),
        ("model.path=counted_by_a_user:yours", "counted_by_a_user has no function yours"),
        ("model.path=nowhere_at_all:f", "nowhere_at_all cannot be imported"),
        ("model.width=3", "nearest is"),
        ("model=resnetty", "must be one of own, mlp"),
        ("inputs=50 model=cnn", "inputs=50: must be a square"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, monkeypatch, capsys, user, word, line):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "none"))
    with pytest.raises(SystemExit) as stop:
        main("experiments.context_counting", word.split())
    error = capsys.readouterr().err
    assert stop.value.code == 2 and line in error and error.count("\n") == 1 and "Traceback" not in error
    assert not (tmp_path / "none").exists()


def test_a_model_that_changed_in_another_module_is_another_run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    where = []
    for width in (3, 4):
        (tmp_path / f"net_{width}.py").write_text(f"import jax.numpy as jnp\n\nWEIGHTS = jnp.ones((3, {width}))\n")
        user = "import jax.numpy as jnp\nfrom net import WEIGHTS\n\ndef f():\n    return lambda p, x: x @ p, WEIGHTS, jnp.ones((1, 3))\n"
        (tmp_path / "user_of_net.py").write_text(user)
        monkeypatch.setitem(sys.modules, "net", importlib.import_module(f"net_{width}"))
        monkeypatch.delitem(sys.modules, "user_of_net", raising=False)
        where.append(
            run_directory("experiments.context_counting", Configurator("experiments.context_counting").read(["model.path=user_of_net:f"]))
        )
    assert where[0] != where[1]
