"""Grids on the command line."""

import numpy as np
import pytest

from dltheory.lab.configuration import Configurator, UserError
from dltheory.lab.grid import expand


def values(word):
    return [float(v) for v in expand(word).partition("=")[2].split(",")]


def test_grids_are_numpys_to_the_last_bit():
    np.testing.assert_array_equal(values("init_scale=geomspace(0.05,2e4,200)"), np.geomspace(0.05, 2e4, 200))
    np.testing.assert_array_equal(values("init_scale=linspace( 0.1 , 1e-3, 7 )"), np.linspace(0.1, 1e-3, 7))
    np.testing.assert_array_equal(values("x=0.5,linspace(1,2,3),7"), [0.5, 1, 1.5, 2, 7])


def test_whole_values_fit_whole_fields_and_other_words_stay():
    assert expand("seed=linspace(0,8,5)") == "seed=0,2,4,6,8"
    for word in ("seed=range(0,4)", "init_scale=0.1,1", "model=mlp", "~seed", "hydra.launcher.batch=3"):
        assert expand(word) == word


def test_a_grid_reaches_the_configuration_unchanged():
    configurator = Configurator("experiments.rich_lazy")
    jobs = configurator.jobs([expand("init_scale=geomspace(0.05,2e4,9)")])
    assert [configurator.read(job).init_scale for job in jobs] == np.geomspace(0.05, 2e4, 9).tolist()


@pytest.mark.parametrize(
    ("inside", "hint"),
    [
        ("geomspace(1,2)", "two numbers and a whole number"),
        ("geomspace(1,2,3,4)", "two numbers"),
        ("linspace(a,2,3)", "two numbers"),
        ("linspace(1,2,3.5)", "whole number"),
        ("linspace(1,2,1)", "count must be in"),
        ("linspace(1,2,10000000)", "count must be in"),
        ("geomspace(0,2,3)", "positive"),
        ("geomspace(-1,2,3)", "positive"),
        ("linspace(nan,2,3)", "finite"),
        ("linspace(1,os.getpid,3)", "two numbers"),
    ],
)
def test_a_malformed_grid_is_said_and_never_evaluated(inside, hint):
    with pytest.raises(UserError, match=hint) as error:
        expand(f"init_scale={inside}")
    assert "init_scale=" in str(error.value) and "\n" not in str(error.value)
