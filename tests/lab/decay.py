"""Gradient descent on x²/2 from noisy starts decays as (1 - rate)^step.

An experiment small enough to be run hundreds of times: tests of sweeps use it where a network would only cost time.

Source: tests of dltheory.

    python -m decay

Expect: the closed form to rounding.
Time: tiny 1 s, default 1 s.
"""

import time
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dltheory.lab import Claim, about, main
from dltheory.record import array, record, static, traced


@record
class Config:
    """`broken` is a seed whose data cannot be read, `pause` how long reading takes."""

    rate: float = traced(0.1, "learning rate", low=0, high=1e6)
    seed: int = traced(0, "names the random start", low=0)
    broken: int = traced(-1, "seed whose data cannot be read")
    pause: float = traced(0.0, "time to read the data", "s", low=0)
    steps: int = static(50, "steps", low=1)
    count: int = static(1, "numbers that decay", low=1)

    sizes: ClassVar = {"tiny": {"steps": 10}}
    figure: ClassVar = {"rate": "geomspace(0.01,0.5,4)", "seed": (0, 1)}


@record
class Result:
    """The decaying numbers."""

    step: Float[Array, "step"] = array("step")
    x: Float[Array, "step number"] = array("value", "x")


def load(config):
    """Start: the same noise for every seed, and the seed's own."""
    time.sleep(config.pause)
    if config.seed == config.broken:
        raise OSError(f"seed={config.seed}: its data are broken")
    return np.ones(1000), np.random.default_rng(config.seed).normal(1, 0.1, config.count)


def run(config, data):
    """x ← x - rate x."""
    common, x = data
    step = lambda x, _: (x - config.rate * x, x)
    return Result(jnp.arange(config.steps), jax.lax.scan(step, x * jnp.mean(common), length=config.steps)[1])


def claims(data):
    """The last value over the first."""
    expected = float((1 - data.rate) ** (int(data.steps) - 1))
    measured = float(data.x[-1, 0] / data.x[0, 0])
    return [Claim("last over first", "closed form", measured, about(expected, relative=1e-9), gated=expected > 1e-200)]


def plot(data):
    """Values in time."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots()
    axis.plot(data.step, data.x)
    axis.set(xlabel="step", ylabel="x")
    return figure


if __name__ == "__main__":
    main(__spec__.name)
