"""The benchmark's command line, and that both of its loops train the same network."""

import importlib.util

import pytest

from scripts import benchmark


@pytest.mark.parametrize("word", ["ony=fit", "only=fitt", "rounds=0", "rounds=x", "out="])
def test_a_mistake_is_one_line_and_exit_2(word, capsys):
    assert benchmark.main([word]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and word.partition("=")[0] in err


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is missing: pip install 'dltheory[bench]'")
def test_the_loops_record_the_same_training():
    ours = benchmark.our_loops(16, 4, 2, "float64")["training"](20)
    theirs = benchmark.torch_loops(*benchmark.initial(16, 4, "float64")[2:], 2, [1])
    for name, loop in theirs.items():
        assert benchmark.disagreement(ours, loop(20)) < 1e-9, name
