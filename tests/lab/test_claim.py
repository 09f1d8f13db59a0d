"""Verdicts: holds, fails, open."""

import math

import numpy as np
import pytest

from dltheory.lab import Claim, about, at_least, at_most, between
from dltheory.lab.claim import table
from dltheory.lab.runner import judged
from dltheory.numerics import Estimate

draws = lambda mean, error: Estimate(np.array(mean), np.array(error), np.array(5))


@pytest.mark.parametrize(
    ("measured", "expected", "verdict"),
    [
        (1.0, about(1.0, relative=0.05), "holds"),
        (1.06, about(1.0, relative=0.05), "fails"),
        (draws(1.0, 0.01), about(1.0, relative=0.05), "holds"),
        (draws(1.04, 0.01), about(1.0, relative=0.05), "open"),
        (draws(1.1, 0.01), about(1.0, relative=0.05), "fails"),
        (draws(0.9, 0.04), at_most(1.0), "holds"),
        (draws(0.9, 0.06), at_most(1.0), "open"),
        (draws(1.2, 0.06), at_most(1.0), "fails"),
        (draws(3.0, 0.1), at_least(1.0), "holds"),
        (2.0, between(1, 3), "holds"),
        (math.nan, at_least(1.0), "open"),
        (math.inf, at_least(1.0), "open"),
        (draws(2.0, math.nan), at_least(1.0), "open"),
    ],
)
def test_verdict(measured, expected, verdict):
    assert Claim("a", "b", measured, expected).verdict == verdict
    assert Claim("a", "b", measured, expected, domain=False).verdict == "open"


def test_what_is_kept_is_plain_and_tiny_gates_nothing():
    (kept,) = judged([Claim("h [squared]", "figure 3", draws(1.0, 0.01), at_most(2.0))], "default")
    assert kept["gated"] and kept["count"] == 5 and kept["low"] is None and kept["high"] == 2.0
    (kept,) = judged([Claim("h [squared]", "figure 3", draws(1.0, 0.01), at_most(2.0))], "tiny")
    assert not kept["gated"]
    assert table([kept]).row_count == 1
