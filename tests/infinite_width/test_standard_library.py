"""Kernels and predictions against neural-tangents, an implementation that shares nothing with ours.

It stops at JAX 0.5, so it lives in an environment of its own, made with Python 3.11 and

    pip install jax==0.5.3 jaxlib==0.5.3 frozendict
    pip install --no-deps neural-tangents==0.6.5

whose python the environment variable DLTHEORY_NEURAL_TANGENTS names. It takes a minute; without the variable it is skipped.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dltheory.infinite_width import predict, propagate

SCRIPT = Path(__file__).with_name("neural_tangents_kernels.py")
ACTIVATIONS = {
    "relu": "relu",
    "leaky_relu": "where(z > 0, z, 0.1*z)",
    "abs": "abs",
    "erf": "erf",
    "gelu": "gelu",
    "sin": "sin",
    "exp": "exp",
    "cos": "cos(z)",
    "gaussian": "exp(-z**2)",
    "gabor": "exp(-z**2)*sin(z)",
    "rbf": "sqrt(2)*sin(sqrt(2)*z + pi/4)",
}
"""Theirs by name in the script, ours."""
C_B, C_W, DEPTHS, TIME, TRAIN = 0.3, 1.7, (2, 5, 12), 3.0, 4


@pytest.fixture(scope="module")
def given():
    """Six inputs and two targets for the first four of them."""
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(6, 5)), "y": rng.normal(size=(TRAIN, 2))}


@pytest.fixture(scope="module")
def found(given, tmp_path_factory):
    """What the script found with them."""
    python = os.environ.get("DLTHEORY_NEURAL_TANGENTS")
    if not python:
        pytest.skip("DLTHEORY_NEURAL_TANGENTS, the python of an environment with neural-tangents, is not set")
    files = [tmp_path_factory.mktemp("standard_library") / name for name in ("given.npz", "found.npz")]
    np.savez(files[0], **given, c_b=C_B, c_w=C_W, depths=DEPTHS, time=TIME)
    done = subprocess.run([python, "-I", SCRIPT, *files], env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(files[1])


def ours(name, x):
    return propagate(ACTIVATIONS[name], C_B + C_W * x @ x.T / x.shape[1], DEPTHS[-1], C_B, C_W, C_B, C_W)


@pytest.mark.parametrize("inputs", [6, 4])  # by Mehler's series and by quadrature where there is no closed form
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kernels(name, inputs, given, found):
    seen = ours(name, given["x"][:inputs])
    for depth in DEPTHS[:1] if name == "exp" else DEPTHS:
        for what, kernel in (("nngp", seen.kernel), ("ntk", seen.ntk)):
            expected = found[f"{name} {depth} {what}"][:inputs, :inputs]
            np.testing.assert_allclose(kernel[depth - 1], expected, rtol=1e-10, err_msg=f"{what} at depth {depth}")


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "exp"])
def test_predictions(name, given, found):
    kernels = ours(name, given["x"])
    for when, time in (("time", TIME), ("end", np.inf)):
        learnt = predict(kernels.kernel[DEPTHS[1] - 1], kernels.ntk[DEPTHS[1] - 1], given["y"], time)
        for what in ("mean", "covariance"):
            expected, seen = found[f"{name} {when} {what}"], getattr(learnt, what)
            np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-10 * np.abs(expected).max(), err_msg=f"{what}, {when}")
