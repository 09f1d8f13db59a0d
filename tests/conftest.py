"""Strict numerics for the whole suite: 64 bit, no silent rank or dtype promotion, no window for figures."""

import itertools
from pathlib import Path

import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_enable_compilation_cache", False)  # no test runs what another session compiled


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Each compiled program maps memory; XLA crashes at the 65,530 maps that Linux allows a process, which this suite reaches."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


@pytest.fixture
def getkey():
    """A function that returns a fresh random key at each call."""
    numbers = itertools.count()
    return lambda: jax.random.key(next(numbers))
