"""The twelve graphs of the page's verification table (section 4), each as a JAX function and as an explicit graph of scalars."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scalars import Scalars

SPACE = ("NHWC", "HWIO", "NHWC")


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def conv(x, w, stride=1, pad=0, groups=1, dilation=1):
    how = {"rhs_dilation": (dilation, dilation), "dimension_numbers": SPACE, "feature_group_count": groups}
    return lax.conv_general_dilated(x, w, (stride, stride), ((pad, pad), (pad, pad)), **how)


def scalar_conv(g, x, w, stride=1, pad=0, groups=1, dilation=1):
    return g.convolution(x, w, (stride,) * 2, [(pad, pad)] * 2, (dilation,) * 2, (1, 1), groups)


def channels(b):
    return b[None, None, None]


def weights(g, **sizes):
    return {name: g.weight(name, *size) for name, size in sizes.items()}, {name: shape(*size) for name, size in sizes.items()}


def chains(links, ends):
    """Scalars f_target += w f_source; `links` is (source, target, weight), nodes 0 and 1 are the inputs."""

    def fn(w, x):
        units = {0: x[0, 0], 1: x[0, 1]}
        for source, target, weight in links:
            term = units[source] * (w["w"][weight] if weight is not None else 1.0)
            units[target] = units[target] + term if target in units else term
        return units[ends]

    g = Scalars()
    sizes, x = weights(g, w=(8,))[1], g.input(2)
    units = {0: x[0], 1: x[1]}
    for target in dict.fromkeys(target for _, target, _ in links):
        arcs = [(units[s], None if weight is None else ("w", (weight,))) for s, t, weight in links if t == target]
        units[target] = g.node(*arcs)
    return fn, sizes, shape(1, 2), g, [units[ends]]


def fig2a():
    return chains([(0, 2, 0), (2, 3, 2), (3, 4, 4), (1, 5, 1), (5, 6, 3), (6, 7, 5), (4, 8, 6), (7, 8, 7)], 8)


def fig2b():
    return chains([(0, 2, 0), (1, 3, 3), (2, 4, 2), (3, 4, 4), (2, 5, 1), (3, 5, 5), (4, 6, 6), (5, 6, 7)], 6)


def fig3a():
    links = [(0, 2, 0), (1, 2, 1), (0, 3, 2), (1, 3, 3), (2, 4, 4), (3, 4, 5), (2, 5, 6), (3, 5, 7), (4, 6, None), (5, 6, None)]
    return chains(links, 6)


def mlp():
    g, sizes = Scalars(), (3, 4, 2, 2)
    layers = range(1, len(sizes))
    W, p = weights(g, **{f"w{k}": sizes[k - 1 : k + 1] for k in layers}, **{f"b{k}": sizes[k : k + 1] for k in layers})
    h = g.input(3)
    for k in layers:
        h = g.dense(h, W[f"w{k}"], W[f"b{k}"])

    def fn(p, x):
        for k in layers:
            x = jnp.tanh(x @ p[f"w{k}"] + p[f"b{k}"][None])
        return x

    return fn, p, shape(1, 3), g, h


def conv_s2():
    g = Scalars()
    W, p = weights(g, w=(3, 3, 1, 2), b=(2,), d=(18, 3), c=(3,))
    h = g.input(5, 5, 1)
    h = g.joined(scalar_conv(g, h, W["w"], 2, 1), W["b"])
    out = g.dense(h.reshape(18), W["d"], W["c"])

    def fn(p, x):
        h = jax.nn.relu(conv(x, p["w"], 2, 1) + channels(p["b"]))
        return h.reshape(1, 18) @ p["d"] + p["c"][None]

    return fn, p, shape(1, 5, 5, 1), g, out


def conv_pool():
    g = Scalars()
    W, p = weights(g, w=(3, 3, 1, 2), b=(2,), v=(2, 2, 2, 2), d=(2, 2))
    h = g.joined(scalar_conv(g, g.input(6, 6, 1), W["w"]), W["b"])
    h = scalar_conv(g, g.pool(h, (2, 2), (2, 2), [(0, 0)] * 2, (1, 1)), W["v"])
    out = g.dense(h.reshape(2), W["d"])

    def fn(p, x):
        h = jax.nn.relu(conv(x, p["w"]) + channels(p["b"]))
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return jnp.tanh(conv(h, p["v"])).reshape(1, 2) @ p["d"]

    return fn, p, shape(1, 6, 6, 1), g, out


def resblock():
    g = Scalars()
    norms = {f"{name}{k}": (2,) for k in (1, 2) for name in ("scale", "shift", "mean", "variance")}
    W, p = weights(g, w1=(3, 3, 2, 2), w2=(3, 3, 2, 2), d=(2, 2), c=(2,), **norms)
    x = g.input(4, 4, 2)
    h = x
    for k in (1, 2):
        h = g.joined(scalar_conv(g, h, W[f"w{k}"], 1, 1), *[W[f"{name}{k}"] for name in ("scale", "shift", "mean", "variance")])
    pooled = g.total(g.add(x, h), (0, 1)).reshape(2)
    out = g.dense(pooled, W["d"], W["c"])

    def fn(p, x):
        h = x
        for k in (1, 2):
            z = conv(h, p[f"w{k}"], 1, 1) - channels(p[f"mean{k}"])
            z = z * channels(lax.rsqrt(p[f"variance{k}"] + 1e-3) * p[f"scale{k}"]) + channels(p[f"shift{k}"])
            h = jax.nn.relu(z)
        return jnp.mean(x + h, axis=(1, 2)) @ p["d"] + p["c"][None]

    return fn, p, shape(1, 4, 4, 2), g, out


def denseblock():
    g = Scalars()
    W, p = weights(g, w1=(3, 3, 1, 2), w2=(3, 3, 3, 2), w3=(3, 3, 5, 2), d=(7, 2))
    h = g.input(3, 3, 1)
    for k in (1, 2, 3):
        new = scalar_conv(g, h, W[f"w{k}"], 1, 1)
        h = np.concatenate([h, new], 2)
    out = g.dense(g.total(h, (0, 1)).reshape(7), W["d"])

    def fn(p, x):
        for k in (1, 2, 3):
            x = jnp.concatenate([x, jax.nn.relu(conv(x, p[f"w{k}"], 1, 1))], axis=3)
        return jnp.mean(x, axis=(1, 2)) @ p["d"]

    return fn, p, shape(1, 3, 3, 1), g, out


def depthwise():
    g = Scalars()
    W, p = weights(g, w=(3, 3, 1, 2), v=(1, 1, 2, 3), b=(3,), u=(2, 2, 3, 2))
    h = scalar_conv(g, g.input(5, 5, 2), W["w"], 2, 1, groups=2)
    h = g.joined(scalar_conv(g, h, W["v"]), W["b"])
    out = g.total(scalar_conv(g, h, W["u"], dilation=2), (0, 1)).reshape(2)

    def fn(p, x):
        h = jax.nn.relu(conv(x, p["w"], 2, 1, groups=2))
        h = jnp.tanh(conv(h, p["v"]) + channels(p["b"]))
        return jnp.mean(conv(h, p["u"], dilation=2), axis=(1, 2))

    return fn, p, shape(1, 5, 5, 2), g, out


def rnn():
    g = Scalars()
    W, p = weights(g, x=(2, 2), h=(2, 2), b=(2,), o=(2, 1))
    x, h = g.input(4, 2), None
    for t in range(4):
        arcs = lambda j, t=t, h=h: (
            [(x[t, i], W["x"][i, j]) for i in range(2)] + ([] if h is None else [(h[i], W["h"][i, j]) for i in range(2)])
        )
        h = g.make((2,), lambda j, arcs=arcs: g.node(*arcs(j), (None, W["b"][j])))
    out = g.dense(h, W["o"])

    def fn(p, x):
        step = lambda h, x: (jnp.tanh(x @ p["x"] + h @ p["h"] + p["b"]), None)
        return lax.scan(step, jnp.zeros(2, x.dtype), x)[0] @ p["o"]

    return fn, p, shape(4, 2), g, out


def shared_mlp():
    g = Scalars()
    W, p = weights(g, w=(2, 3), u=(3, 3), d=(3, 2))
    h = g.dense(g.input(2), W["w"])
    for _ in range(3):
        h = g.dense(h, W["u"])

    def fn(p, x):
        h = jnp.tanh(x @ p["w"])
        for _ in range(3):
            h = jnp.tanh(h @ p["u"])
        return h @ p["d"]

    return fn, p, shape(1, 2), g, g.dense(h, W["d"])


def attention():
    g = Scalars()
    W, p = weights(g, q=(2, 2), k=(2, 2), v=(2, 2), o=(2, 2))
    x = g.input(3, 2)
    q, k, v = (g.dense(x, W[name]) for name in "qkv")
    weights_of = g.matmul(q, k.T)
    for _ in range(3):  # scaled, exponentiated, normalised: nodes of their own in the page's graph
        weights_of = g.add(weights_of)
    out = g.dense(g.matmul(weights_of, v), W["o"])

    def fn(p, x):
        weights = jax.nn.softmax((x @ p["q"]) @ (x @ p["k"]).T / 2**0.5)
        return weights @ (x @ p["v"]) @ p["o"]

    return fn, p, shape(3, 2), g, out


TABLE = {
    fig2a: (8, 8, 17, 0.00000, 3.00000, 24.0000, 2.1255, 0.5406, {1: 8}),
    fig2b: (8, 10, 21, 0.40000, 2.92193, 24.5754, 2.1597, 1.0260, {1: 6, 2: 2}),
    fig3a: (8, 12, 27, 0.66667, 2.91830, 24.6797, 2.1658, 1.2775, {1: 4, 2: 4}),
    mlp: (32, 90, 160, 1.64444, 4.84741, 165.7393, 3.7483, 2.7785, {1: 6, 2: 10, 4: 16}),
    conv_s2: (77, 405, 756, 3.60038, 5.06140, 585.8983, 7.1241, 6.3981, {1: 57, 12: 8, 18: 8, 27: 4}),
    conv_pool: (40, 1316, 2634, 5.86018, 4.50176, 278.4778, 7.0059, 6.9847, {1: 4, 2: 16, 64: 20}),
    resblock: (94, 15078, 26892, 8.07457, 5.80559, 739.7795, 7.5310, 7.7364, {1: 6, 18: 16, 24: 16, 32: 12, 256: 16, 320: 16, 400: 12}),
    denseblock: (
        176, 40234, 80596, 9.95721, 5.33892, 1811.1292, 6.4457, 6.5363,
        {1: 14, 8: 40, 12: 40, 18: 10, 108: 24, 152: 24, 214: 6, 1360: 8, 1924: 8, 2722: 2},
    ),
    depthwise: (51, 288, 556, 3.13998, 5.02995, 331.1369, 7.3286, 6.6794, {1: 24, 6: 8, 8: 9, 12: 8, 24: 2}),
    rnn: (12, 120, 211, 3.58522, 3.32167, 48.2119, 3.0367, 3.2274, {1: 2, 7: 4, 15: 6}),
    shared_mlp: (21, 564, 1130, 5.25618, 3.88337, 115.0973, 2.4204, 2.6113, {1: 6, 26: 9, 54: 6}),
    attention: (16, 372, 1074, 4.86073, 3.67843, 72.2476, 3.9525, 4.3287, {3: 4, 18: 4, 36: 8}),
}  # fmt: skip
"""N_G, Z, unrolled nodes, E[log2 C], H, S_G (bits), P_S, P_E, {count: parameters}."""
TIED = {rnn: 38, shared_mlp: 39}
"""N_W, where it is not N_G."""
