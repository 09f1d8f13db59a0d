"""Mutual information against distance: claims at reduced size, planted faults, a user's own file."""

import numpy as np
import pytest

from dltheory.lab import experiment, main
from dltheory.lab.configuration import Configurator
from dltheory.lab.store import run_directory
from experiments import mutual_information_decay

SMALL = {"symbols": 150_000, "trees": 60, "draws": 20}


@pytest.fixture(scope="module")
def data(results):
    return experiment("mutual_information_decay", **SMALL)


def verdicts(data):
    return [c.verdict for c in mutual_information_decay.claims(data) if c.gated]


def test_claims_hold(data):
    seen = verdicts(data)
    assert "fails" not in seen and seen.count("holds") >= 24
    assert len(mutual_information_decay.plot(data).axes) == 6


FAULTS = {
    "the rate is ln 1/λ2, not twice that": {"chain_law_information": lambda x: x**0.5},
    "a wrong sample of chains": {"chain_information": lambda x: 1.2 * x},
    "chains as a power law": {"chain_law_information": lambda x: 0 * x + (x.step + 1.0) ** -2},
    "a cycle that forgets": {"chain_law_information": lambda x: x.where(x.chain < 2, x * 0.99**x.step)},
    "a wrong exponent": {"grid_law_information": lambda x: x**1.1},
    "trees that forget exponentially": {"grid_law_information": lambda x: 0 * x + np.exp(-0.01 * x.distance)},
    "a wrong constant": {"grid_law_information": lambda x: 1.001 * x},
    "a wrong slope": {"slope": lambda x: 1.4 * x},
    "a wrong sample of trees": {"tree_information": lambda x: 2 * x},
    "I above I_R": {"text_plug_in_rational": lambda x: 0.3 * x},
    "I_R not twice I": {"chain_law_rational": lambda x: 1.1 * x},
    "a floor as high as the text": {"text_shuffled": lambda x: x + 5e-4},
    "a wrong text": {"text_information": lambda x: 1.1 * x},
    "a chain as good as the text": {"text_bigram_information": lambda x: 0 * x + 0.01},
    "a biased estimator": {"grassberger_bias": lambda x: x + 0.02},
    "a wrong bias": {"plug_in_bias": lambda x: 1.1 * x},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_noticed(data, fault):
    planted = data.assign({name: change(data[name]) for name, change in FAULTS[fault].items()})
    if fault in ("a wrong text", "a floor as high as the text", "a chain as good as the text") and not int(data.is_page_text):
        pytest.skip("the text of another Python")
    assert "fails" in verdicts(planted)


def test_a_text_without_order_gates_nothing(results, tmp_path):
    path = tmp_path / "mein_text.txt"
    path.write_text("".join(np.random.default_rng(0).choice(list("äöü ß"), size=3000)))
    seen = experiment("mutual_information_decay", size="tiny", data="file", **{"data.path": str(path)})
    assert int(seen.is_page_text) == 0 and seen.separation.values[-1] <= 150
    text = [c for c in mutual_information_decay.claims(seen) if c.statement.startswith("text")]
    assert text and not any(c.gated for c in text)
    (far,) = (c for c in text if "resampled" in c.statement)
    assert abs(far.value) < 5 * far.error


def test_a_changed_file_is_another_run(tmp_path):
    path = tmp_path / "my.txt"
    found = set()
    for text in ("to be or not to be " * 100, "to be and not to be " * 100):
        path.write_text(text)
        config = Configurator("experiments.mutual_information_decay").read([f"data.path={path}"])
        found.add(run_directory("experiments.mutual_information_decay", config))
    assert len(found) == 2


def test_a_wrong_file_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLTHEORY_RESULTS", str(tmp_path / "results"))
    with pytest.raises(SystemExit) as stop:
        main("experiments.mutual_information_decay", ["data=file", f"data.path={tmp_path / 'none.txt'}"])
    assert stop.value.code == 2 and not (tmp_path / "results").exists()
    assert capsys.readouterr().err == f"error: path={tmp_path / 'none.txt'}: cannot be read, no such file or directory\n"
