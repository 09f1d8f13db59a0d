"""Counts array by array: closed forms of LeNet-5 and a perceptron, order of use, shares, arrays without a context."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.reusability.layers import layers
from dltheory.reusability.trace import trace

X = jax.ShapeDtypeStruct((1, 5), jnp.float32)


def shapes(**sizes):
    return {name: jax.ShapeDtypeStruct(size, jnp.float32) for name, size in sizes.items()}


def perceptron(params, x):
    """Used in another order than that of the names."""
    h = jnp.tanh(x @ params["z"] + params["y"])
    return jnp.tanh(h @ params["a"]) @ params["m"]


@pytest.mark.parametrize("arithmetic", ["exact", "log"])
def test_a_perceptron_in_the_order_of_use(arithmetic):
    n = np.random.default_rng(0).integers(2, 9, size=3).tolist()
    program = trace(perceptron, shapes(z=(5, n[0]), y=(1, n[0]), a=(n[0], n[1]), m=(n[1], n[2])), X)
    seen = layers(program, program.counts(arithmetic=arithmetic))
    assert seen.name.tolist() == ["z", "y", "a", "m"]
    assert seen.dimensions.tolist() == [f"5×{n[0]}", f"1×{n[0]}", f"{n[0]}×{n[1]}", f"{n[1]}×{n[2]}"]
    C = np.array([n[1] * n[2], n[1] * n[2], n[2], 1])
    size = np.array([5 * n[0], n[0], n[0] * n[1], n[1] * n[2]])
    np.testing.assert_array_equal(seen.parameters, size)
    np.testing.assert_array_equal(seen.used, size)
    np.testing.assert_allclose(seen.smallest, np.log2(C), atol=1e-12)
    np.testing.assert_allclose(seen.largest, np.log2(C), atol=1e-12)
    np.testing.assert_allclose(seen.share, C * size / (C @ size), rtol=1e-12)


def test_what_no_output_needs_has_no_context():
    program = trace(lambda p, x: (x @ p["a"])[:, :2], shapes(a=(5, 3), b=(4,)), X)
    seen = layers(program, program.counts())
    rows = dict(zip(seen.name.tolist(), zip(seen.parameters, seen.used, seen.share, strict=True), strict=True))
    assert rows == {"a": (15, 10, 1.0), "b": (4, 0, 0.0)}
    assert np.all(np.isfinite(seen.smallest)) and seen.largest.tolist() == [0.0, 0.0]


def test_the_taps_of_a_kernel_have_a_range():
    """The page's example: 3×3, 5×5 input, stride 2, pad 1: taps 4, 6, 4; 6, 9, 6; 4, 6, 4."""
    fn = lambda p, x: jax.lax.conv_general_dilated(x, p["k"], (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"))
    program = trace(fn, shapes(k=(3, 3, 1, 2)), jax.ShapeDtypeStruct((1, 5, 5, 1), jnp.float32))
    seen = layers(program, program.counts())
    assert (seen.smallest.item(), seen.largest.item()) == (2.0, math.log2(9))


def test_names_of_flax_modules_have_no_ends_of_their_own():
    from dltheory.reusability.countable import Countable

    program = trace(*Countable.options["lenet5"]().example(1024, 10))
    seen = layers(program, program.counts())
    kernels = {n: round(2**c) for n, c in zip(seen.name.tolist(), seen.largest, strict=True) if "kernel" in n or "weight" in n}
    assert list(kernels.values()) == [16_128_000_000, 10_080_000, 840, 10, 1], "page 2, LeNet-5"
    assert all(name[-1].isdigit() for name in kernels)
