"""Strict numerics for the whole suite: 64 bit, no silent rank or dtype promotion, no window for figures."""

import itertools

import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_enable_compilation_cache", False)  # a crash in its reader would take the other tests along


@pytest.fixture
def getkey():
    """A function that returns a fresh random key at each call."""
    numbers = itertools.count()
    return lambda: jax.random.key(next(numbers))
