"""Layers of image networks by loops over taps in NumPy, on shapes (n, height, width, channels), and networks with all numbers drawn."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dltheory.models import functional


def shaken(build, seed=0):
    """A network without computing its initial weights, every number drawn on the host, variances positive, and its jitted forward pass."""
    model, random = nnx.eval_shape(build), np.random.default_rng(seed)
    values = jax.tree.map(lambda a: jnp.asarray(0.3 + 0.7 * random.random(a.shape) * random.choice([-0.6, 1], a.shape)), nnx.state(model))
    nnx.update(model, values)
    for path, leaf in nnx.to_flat_state(nnx.state(model)):
        if path[-1] == "variance":
            leaf[...] = jnp.abs(leaf[...])
    params, apply = functional(model)
    return model, params, jax.jit(apply, static_argnames="patch")


def convolve(x, conv, stride=1, depthwise=False):
    w, (n, height, width, channels) = np.asarray(conv.kernel[...]), x.shape
    k = len(w)
    p = k // 2
    padded = np.zeros((n, height + 2 * p, width + 2 * p, channels))
    padded[:, p : p + height, p : p + width] = x
    rows, columns = ((size + 2 * p - k) // stride + 1 for size in (height, width))
    z = np.zeros((n, rows, columns, w.shape[-1]))
    for a, b in np.ndindex(k, k):
        seen = padded[:, a : a + stride * rows : stride, b : b + stride * columns : stride][:, :rows, :columns]
        z += seen * w[a, b, 0] if depthwise else seen @ w[a, b]
    return z + (0 if conv.bias is None else np.asarray(conv.bias[...]))


def normalised(x, layer, stride=1, depthwise=False):
    """A convolution, then batch norm with its running statistics."""
    z, norm = convolve(x, layer.conv, stride, depthwise), layer.norm
    scale, shift, mean, variance = (np.asarray(v[...]) for v in (norm.scale, norm.shift, norm.mean, norm.variance))
    return scale * (z - mean) / np.sqrt(variance + 1e-3) + shift


def largest(x, k, stride):
    """Max pooling with k//2 cells of padding that never win."""
    p = k // 2
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=-np.inf)
    positions = [(size + 2 * p - k) // stride + 1 for size in x.shape[1:3]]
    z = np.empty((len(x), *positions, x.shape[-1]))
    for h, v in np.ndindex(*positions):
        z[:, h, v] = padded[:, h * stride : h * stride + k, v * stride : v * stride + k].max(axis=(1, 2))
    return z


def assert_matches(seen, hidden, output):
    assert len(seen.hidden) == len(hidden)
    for layer, (found, expected) in enumerate(zip(seen.hidden, hidden, strict=True)):
        np.testing.assert_allclose(found, expected.reshape(len(found), -1), rtol=1e-9, atol=1e-11, err_msg=f"hidden {layer}")
    np.testing.assert_allclose(seen.output, output, rtol=1e-9, atol=1e-11)
    assert np.ptp(seen.output, axis=0).min() > 1e-6, "points differ"


def assert_patched(model, x):
    """Layers replaced by themselves change nothing; another point's representation gives that point's output."""
    params, apply = functional(model)

    @jax.jit
    def patched(params, x, hidden, which):
        return apply(params, x, patch=lambda k, h: jnp.where(which == k, hidden[k], h))

    nothing = tuple(jnp.zeros_like(h) for h in jax.eval_shape(apply, params, x).hidden)
    plain = patched(params, x, nothing, -1)
    for layer, h in enumerate(plain.hidden):
        put = lambda h, layer=layer: tuple(h if k == layer else z for k, z in enumerate(nothing))
        np.testing.assert_allclose(patched(params, x, put(h), layer).output, plain.output, rtol=1e-9)
        np.testing.assert_allclose(patched(params, x, put(h[::-1]), layer).output, plain.output[::-1], rtol=1e-9)
    assert_matches(plain, plain.hidden, plain.output)


def assert_alone(apply, params, x):
    """Points do not see each other."""
    seen, moved = apply(params, x), apply(params, x.at[1:].set(0))
    np.testing.assert_allclose(moved.output[0], seen.output[0], rtol=1e-10)
    assert not np.allclose(moved.output[1], seen.output[1])
