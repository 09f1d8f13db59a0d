"""Random small networks, each drawn twice: as a JAX function and as an explicit graph of scalars.

Tensors are (1, H, W, C) in JAX and (H, W, C) in the graph. A drawing is a list of layers; `LAYERS` names all kinds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from hypothesis import strategies as st
from jax import lax
from scalars import EMPTY, Scalars

from dltheory.models import functional

ACTIVATIONS = (
    jnp.tanh,
    jax.nn.relu,
    jax.nn.gelu,
    jax.nn.silu,
    jax.nn.softmax,
    lambda h: h * jax.nn.sigmoid(2 * h),
    lambda h: jnp.where(h > 0, h, h**3),
)
LAYOUTS = (("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("NHWC", "OHWI", "NCHW"))
MOST = 48
"""Entries of a tensor between layers."""


class Network:
    """What has been drawn: `nodes` is the present tensor, `apply` the function up to it."""

    def __init__(self, draw):
        self.draw, self.graph, self.layers, self.kernels = draw, Scalars(), [], {}
        shape = self.number(1, 4), self.number(1, 4), self.number(1, 3)
        self.nodes = self.graph.input(*shape)
        self.x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def choice(self, *options):
        return self.draw(st.sampled_from(options))

    def weight(self, *shape, order=None):
        """A parameter; `order` permutes the axes of the array that the function sees."""
        name = f"w{len(self.kernels)}"
        order = range(len(shape)) if order is None else order
        self.kernels[name] = name, tuple(order)
        return name, self.graph.weight(name, *shape)

    def another(self, name):
        """A parameter with the contexts of that one."""
        new = f"w{len(self.kernels)}"
        self.kernels[new] = self.kernels[name]
        return new

    @property
    def params(self):
        shapes = {name: tuple(self.graph.shapes[of][a] for a in order) for name, (of, order) in self.kernels.items()}
        return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}

    def then(self, nodes, layer):
        self.nodes = nodes
        self.layers.append(layer)

    def __call__(self, params, x):
        return functools.reduce(lambda h, layer: layer(params, h), self.layers, x)

    def __repr__(self):
        return str(jax.make_jaxpr(self)(self.params, self.x))

    def expected(self, kind="published"):
        counts = self.graph.counts(list(self.nodes.flat), kind)
        return {name: counts[of].transpose(order) for name, (of, order) in self.kernels.items()}


def dense(net):
    h, g = net.nodes, net.graph
    m = net.number(1, 3)
    (w, W), (b, B) = net.weight(h.shape[-1], m), net.weight(m)
    act = net.choice(*ACTIVATIONS)
    net.then(g.dense(h, W, B), lambda p, h: act(h @ p[w] + p[b][None, None, None]))


def masked(net):
    h, g = net.nodes, net.graph
    m = net.number(1, 3)
    there = np.array([[net.number(0, 1) for _ in range(m)] for _ in range(h.shape[-1])])
    there[0] = 1
    w, W = net.weight(h.shape[-1], m)
    how = net.choice(
        lambda p, h: h @ (p[w] * there.astype(np.float32)), lambda p, h: jnp.einsum("nhwi,ij,ij->nhwj", h, p[w], there.astype(np.float32))
    )
    net.then(g.dense(h, W, mask=there), how)


def shared(net):
    h, g = net.nodes, net.graph
    n = h.shape[-1]
    w, W = net.weight(n, n)
    times = net.number(2, 3)
    unit = net.choice(*[wrap(lambda W, h: jnp.tanh(h @ W)) for wrap in (jax.jit, jax.checkpoint, custom_jvp, custom_vjp)])
    for _ in range(times):
        h = g.filled(g.dense(h, W))
    net.then(h, lambda p, h: functools.reduce(lambda h, _: unit(p[w], h), range(times), h))


def custom_jvp(f):
    f = jax.custom_jvp(f)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[1]))
    return f


def custom_vjp(f):
    f = jax.custom_vjp(f)
    f.defvjp(lambda W, h: (f(W, h), None), lambda _, c: (None, c))
    return f


def convolution(net):
    h, g = net.nodes, net.graph
    c = h.shape[-1]
    groups = net.choice(*[n for n in range(1, c + 1) if c % n == 0])
    filters = groups * net.number(1, 2)
    spacings = net.number(1, 2), net.number(1, 2)
    pads = [(net.number(0, 2), net.number(0, 2)) for _ in range(2)]
    dilations, strides = (net.number(1, 2), net.number(1, 2)), (net.number(1, 2), net.number(1, 2))
    reach = [(n - 1) * s + 1 + sum(pad) for n, s, pad in zip(h.shape[:2], spacings, pads, strict=True)]
    window = [net.number(1, min(3, (r - 1) // d + 1)) for r, d in zip(reach, dilations, strict=True)]
    layout = net.choice(*LAYOUTS)
    w, W = net.weight(*window, c // groups, filters, order=["HWIO".index(a) for a in layout[1]])
    give, take = ("NHWC".index(a) for a in layout[0]), [layout[2].index(a) for a in "NHWC"]
    give = list(give)

    def layer(p, h):
        h = lax.conv_general_dilated(h.transpose(give), p[w], strides, pads, spacings, dilations, layout, feature_group_count=groups)
        return jax.nn.relu(h.transpose(take))

    net.then(g.convolution(h, W, strides, pads, dilations, spacings, groups), layer)


def pooling(net):
    h, g = net.nodes, net.graph
    pads = [(net.number(0, 1), net.number(0, 1)) for _ in range(2)]
    dilations, strides = (net.number(1, 2), net.number(1, 2)), (net.number(1, 2), net.number(1, 2))
    window = [net.number(1, min(3, (n + sum(pad) - 1) // d + 1)) for n, pad, d in zip(h.shape[:2], pads, dilations, strict=True)]
    start, add, last = net.choice((0.0, lax.add, 1.0), (0.0, lax.add, 0.25), (-np.inf, lax.max, 1.0), (np.inf, lax.min, 1.0))
    each = lambda t, end: (end, *t, end)

    def layer(p, h):
        sizes = each(window, 1), each(strides, 1), each(pads, (0, 0))
        return last * lax.reduce_window(h, start, add, *sizes, window_dilation=each(dilations, 1))

    net.then(g.pool(h, window, strides, pads, dilations), layer)


def residual(net):
    h, g = net.nodes, net.graph
    w, W = net.weight(h.shape[-1], h.shape[-1])
    join = net.choice(jnp.add, jnp.maximum, jnp.subtract)
    net.then(g.add(h, g.dense(h, W)), lambda p, h: join(h, jnp.tanh(h @ p[w])))


def concatenation(net):
    h, g = net.nodes, net.graph
    w, W = net.weight(h.shape[-1], 1)
    net.then(np.concatenate([h, g.filled(g.dense(h, W))], 2), lambda p, h: jnp.concatenate([h, jnp.tanh(h @ p[w])], axis=3))


def attention(net):
    h, g = net.nodes, net.graph
    n = h.shape[-1]
    (q, Q), (k, K), (v, V) = (net.weight(n, n) for _ in range(3))
    rows, columns, _ = h.shape
    softmax = net.choice(jax.nn.softmax, by_hand, by_hand_shifted)

    def layer(p, h):
        t = h.reshape(1, rows * columns, n)
        a = softmax(jnp.einsum("nti,nsi->nts", t @ p[q], t @ p[k]) / n**0.5)
        return jnp.einsum("nts,nsi->nti", a, t @ p[v]).reshape(h.shape)

    net.then(g.attention(h.reshape(-1, n), Q, K, V).reshape(h.shape), layer)


def by_hand(z):
    e = jnp.exp(z - lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True)))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def by_hand_shifted(z):
    e = jnp.exp(z - jnp.max(z, axis=-1, keepdims=True))
    return e / jnp.sum(e, axis=-1, keepdims=True)


def gate(net):
    """Products of data: with a tensor of its own (GLU), or with one number a channel (squeeze and excite)."""
    h, g = net.nodes, net.graph
    w, W = net.weight(h.shape[-1], h.shape[-1])
    if net.choice(True, False):
        return net.then(g.product(h, g.filled(g.dense(h, W))), lambda p, h: h * jax.nn.sigmoid(h @ p[w]))
    squeezed = g.dense(g.total(h, (0, 1)), W)
    net.then(g.product(h, np.broadcast_to(squeezed, h.shape)), lambda p, h: h * jax.nn.sigmoid(jnp.mean(h, (1, 2), keepdims=True) @ p[w]))


def scale(net):
    h, g = net.nodes, net.graph
    shape = tuple(net.choice(1, n) for n in h.shape)
    (w, W), (b, B) = net.weight(*shape), net.weight(h.shape[-1])
    net.then(g.bias(g.parameter(h, W), B), lambda p, h: h * p[w][None] + p[b][None, None, None])


def recurrence(net):
    """Along the rows, every column a series; weights the same in every step, or each step its own."""
    h, g = net.nodes, net.graph
    steps, columns, n = h.shape
    m, reverse, own = net.number(1, 2), net.choice(True, False), net.choice(True, False)
    lead = (steps,) if own else ()
    (u, U), (v, V), (b, B) = net.weight(*lead, n, m), net.weight(*lead, m, m), net.weight(*lead, m)
    order = range(steps)[::-1] if reverse else range(steps)
    state, out = None, {}
    for t in order:
        mine = [w[t] if own else w for w in (U, V, B)]
        new = g.dense(h[t], mine[0], mine[2])
        state = new if state is None else g.add(new, g.dense(state, mine[1]))
        out[t] = state

    def layer(p, h):
        def step(s, each):
            x, mine = each if own else (each, {k: p[k] for k in (u, v, b)})
            s = jnp.tanh(x @ mine[u] + s @ mine[v] + mine[b][None])
            return s, s

        series = (h[0], {k: p[k] for k in (u, v, b)}) if own else h[0]
        return lax.scan(step, jnp.zeros((columns, m), h.dtype), series, reverse=reverse)[1][None]

    net.then(np.stack([out[t] for t in range(steps)]), layer)


def loop(net):
    """A loop of fixed length around parameters that it picks one after the other."""
    h, g = net.nodes, net.graph
    n, steps = h.shape[-1], net.number(1, 3)
    w, W = net.weight(steps, n, n)
    for t in range(steps):
        h = g.filled(g.dense(h, W[t]))
    net.then(h, lambda p, h: lax.fori_loop(0, steps, lambda t, h: jnp.tanh(h @ p[w][t]), h))


def window_of(net):
    """Slices with steps, forwards or backwards."""
    h = net.nodes
    spans = []
    for n in h.shape:
        start = net.number(0, n - 1)
        spans.append(slice(start, net.number(start + 1, n), net.number(1, 2)))
    spans = tuple(spans)
    if net.choice(True, False):
        return net.then(h[::-1][spans], lambda p, h: h[:, ::-1][(slice(None), *spans)])
    net.then(h[spans], lambda p, h: h[(slice(None), *spans)])


def dynamic(net):
    h = net.nodes
    start = [net.number(-1, n) for n in h.shape]
    size = [net.number(1, n) for n in h.shape]
    at = [min(max(s + n * (s < 0), 0), n - m) for s, n, m in zip(start, h.shape, size, strict=True)]
    span = tuple(slice(a, a + m) for a, m in zip(at, size, strict=True))
    if net.choice(True, False):
        return net.then(h[span], lambda p, h: lax.dynamic_slice(h, [0, *start], [1, *size]))
    w, W = net.weight(h.shape[-1], h.shape[-1])
    out = h.copy()
    out[span] = net.graph.dense(h, W)[tuple(slice(0, m) for m in size)]
    cut = (slice(None), *[slice(0, m) for m in size])
    net.then(out, lambda p, h: lax.dynamic_update_slice(h, (h @ p[w])[cut], [0, *start]))


def padded(net):
    h, g = net.nodes, net.graph
    low, high, gap = net.number(-1, 1), net.number(0, 2), net.number(0, 1)
    rows, columns, n = h.shape
    long = (rows - 1) * (gap + 1) + 1
    wide = np.concatenate([h[i // (gap + 1)][None] if i % (gap + 1) == 0 else g.zeros(1, columns, n) for i in range(long)])
    wide = np.concatenate([wide, g.zeros(high, columns, n)])
    wide = wide[1:] if low < 0 else np.concatenate([g.zeros(low, columns, n), wide])
    if wide.size:
        config = [(0, 0, 0), (low, high, gap), (0, 0, 0), (0, 0, 0)]
        net.then(wide, lambda p, h: lax.pad(h, jnp.zeros((), h.dtype), config))


def cumulative(net):
    h, g = net.nodes, net.graph
    axis, reverse = net.number(0, 2), net.choice(True, False)
    how = net.choice(lax.cumsum, lax.cummax, lax.cumlogsumexp)
    net.then(g.cumulative(h, axis, reverse), lambda p, h: how(h, axis=axis + 1, reverse=reverse))


def gathered(net):
    h = net.nodes
    at = np.array([net.number(0, h.shape[1] - 1) for _ in range(net.number(1, 3))])
    net.then(h[:, at], lambda p, h: h[:, :, at])


def scattered(net):
    h, g = net.nodes, net.graph
    w, W = net.weight(h.shape[-1], h.shape[-1])
    columns = h.shape[1]
    at = [net.number(0, columns - 1) for _ in range(net.number(1, 3))]
    from_ = [net.number(0, columns - 1) for _ in at]
    new, out = g.dense(h, W), h.copy()
    if net.choice(True, False):
        out[:, at[0]] = new[:, from_[0]]
        return net.then(out, lambda p, h: h.at[:, :, at[0]].set((h @ p[w])[:, :, from_[0]]))
    for a, f in zip(at, from_, strict=True):
        both = np.stack([out[:, a], new[:, f]])
        out[:, a] = np.where((both == EMPTY).all(0), EMPTY, g.add(*both))
    add = net.choice("add", "max", "min", "multiply")
    out = g.filled(out) if add == "multiply" else out
    places, sources = np.array(at), np.array(from_)
    net.then(out, lambda p, h: getattr(h.at[:, :, places], add)((h @ p[w])[:, :, sources]))


def arranged(net):
    """Shapes, order, copies and parts."""
    h = net.nodes
    rows, columns, n = h.shape
    ways = {
        "transposed": (lambda h: h.transpose(1, 0, 2), lambda h: h.transpose(0, 2, 1, 3)),
        "flattened": (lambda h: h.reshape(1, rows * columns, n), lambda h: h.reshape(1, 1, rows * columns, n)),
        "mixed": (lambda h: h.reshape(n, rows, columns), lambda h: h.reshape(1, n, rows, columns)),
        "tiled": (lambda h: np.tile(h, (1, 2, 1)), lambda h: jnp.tile(h, (1, 1, 2, 1))),
        "stacked": (
            lambda h: np.stack([h, h[::-1]], 3).reshape(rows, columns, 2 * n),
            lambda h: jnp.stack([h, h[:, ::-1]], axis=4).reshape(1, rows, columns, 2 * n),
        ),
        "unstacked": (lambda h: h[:, -1:], lambda h: jnp.unstack(h, axis=2)[-1][:, :, None]),
        "swapped": (
            lambda h: np.concatenate([h[:, 1:], h[:, :1]], 1),
            lambda h: jnp.concatenate([*jnp.split(h, [1], axis=2)[::-1]], axis=2),
        ),
        "repeated": (lambda h: np.repeat(h, 2, 0), lambda h: jnp.repeat(h, 2, axis=1)),
    }
    scalar, tensor = ways[net.choice(*ways)]
    net.then(scalar(h), lambda p, h: tensor(h))


def reduced(net):
    h, g = net.nodes, net.graph
    axes = tuple(a for a in range(3) if net.choice(True, False))
    how = net.choice(jnp.sum, jnp.max, jnp.min, jnp.prod, jnp.mean)
    net.then(g.total(h, axes) if axes else h, lambda p, h: how(h, axis=tuple(a + 1 for a in axes), keepdims=True) if axes else h)


def mapped(net):
    """A kernel for each row, by vmap."""
    h, g = net.nodes, net.graph
    rows, _, n = h.shape
    w, W = net.weight(rows, n, 2)
    parts = [g.filled(g.dense(h[i], W[i])) for i in range(rows)]
    net.then(np.stack(parts), lambda p, h: jax.vmap(lambda h, w: jnp.tanh(h @ w))(h[0], p[w])[None])


def mapped_convolution(net):
    """A convolution of every row with its own kernel, by vmap, which makes groups of it."""
    h, g = net.nodes, net.graph
    rows, _, n = h.shape
    w, W = net.weight(rows, 2, n, 2)
    each = lambda h, w: lax.conv_general_dilated(h[None], w, (1,), [(1, 0)], dimension_numbers=("NHC", "HIO", "NHC"))[0]
    parts = [g.convolution(h[i], W[i], (1,), [(1, 0)], (1,), (1,), 1) for i in range(rows)]
    net.then(np.stack(parts), lambda p, h: jax.vmap(each)(h[0], p[w])[None])


def computed_kernel(net):
    """A kernel made of parameters: a sum of two."""
    h, g = net.nodes, net.graph
    u, U = net.weight(1, 2, h.shape[-1], 2)
    v, pads = net.another(u), [(0, 0), (1, 0)]
    nodes = g.convolution(h, U, (1, 1), pads, (1, 1), (1, 1), 1)
    net.then(nodes, lambda p, h: lax.conv_general_dilated(h, p[u] + p[v], (1, 1), pads, dimension_numbers=LAYOUTS[0]))


LAYERS = (
    dense, masked, shared, convolution, pooling, residual, concatenation, attention, gate, scale, recurrence, loop, window_of, dynamic,
    padded, cumulative, gathered, scattered, arranged, reduced, mapped, mapped_convolution, computed_kernel,
)  # fmt: skip


@st.composite
def networks(draw, first=None, most=4):
    """A network that begins and ends with parameters."""
    net = Network(draw)
    dense(net)
    if first:
        first(net)
    for layer in draw(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=most)):
        if net.nodes.size <= MOST:
            layer(net)
    dense(net)
    return net


class Flax(Network):
    """The same, as a flax model."""

    def __init__(self, draw):
        super().__init__(draw)
        self.modules, self.rngs = [], nnx.Rngs(0)

    def module(self, kind, *sizes, **how):
        self.modules.append(kind(*sizes, **how, rngs=self.rngs))
        return len(self.modules) - 1

    def parameter(self, module, name):
        """A parameter of a module as a weight of the graph."""
        key = module, name
        self.kernels[key] = key, tuple(range(np.ndim(getattr(self.modules[module], name)[...])))
        return self.graph.weight(key, *getattr(self.modules[module], name).shape)

    def __repr__(self):
        return f"{self.modules} {self.x}"

    def model(self):
        return functional(Drawn(self.modules, self.layers))


class Drawn(nnx.Module):
    def __init__(self, modules, layers):
        self.modules, self.layers = nnx.List(modules), tuple(layers)

    def __call__(self, x):
        modules = list(self.modules)
        return functools.reduce(lambda h, layer: layer(modules, h), self.layers, x)


def linear(net):
    k = net.module(nnx.Linear, net.nodes.shape[-1], net.number(1, 3), kernel_init=nnx.initializers.zeros)
    net.then(net.graph.dense(net.nodes, net.parameter(k, "kernel"), net.parameter(k, "bias")), lambda m, h: nnx.gelu(m[k](h)))


def conv(net):
    h, g = net.nodes, net.graph
    c = h.shape[-1]
    groups = net.choice(*[n for n in range(1, c + 1) if c % n == 0])
    dilation, stride, pad = net.number(1, 2), net.number(1, 2), net.number(0, 2)
    window = [net.number(1, min(3, (n + 2 * pad - 1) // dilation + 1)) for n in h.shape[:2]]
    how = {
        "strides": stride,
        "kernel_init": nnx.initializers.zeros,
        "padding": [(pad, pad)] * 2,
        "kernel_dilation": dilation,
        "feature_group_count": groups,
    }
    k = net.module(nnx.Conv, c, groups * net.number(1, 2), window, **how)
    space = (stride,) * 2, [(pad, pad)] * 2, (dilation,) * 2, (1, 1), groups
    nodes = g.joined(g.convolution(h, net.parameter(k, "kernel"), *space), net.parameter(k, "bias"))
    net.then(nodes, lambda m, h: nnx.relu(m[k](h)))


def normalised(net):
    h = net.nodes
    kind = net.choice(nnx.BatchNorm, nnx.LayerNorm, nnx.GroupNorm, nnx.InstanceNorm)
    how = {nnx.BatchNorm: {"use_running_average": net.choice(True, False)}, nnx.GroupNorm: {"num_groups": 1}}
    k = net.module(kind, h.shape[-1], **how.get(kind, {}))
    scaled = net.graph.parameter(h, net.parameter(k, "scale"))
    net.then(net.graph.bias(scaled, net.parameter(k, "bias")), lambda m, h: nnx.leaky_relu(m[k](h)))


def pooled(net):
    window = tuple(net.number(1, min(2, n)) for n in net.nodes.shape[:2])
    pool = net.choice(nnx.max_pool, nnx.avg_pool)
    net.then(net.graph.pool(net.nodes, window, (1, 1), [(0, 0)] * 2, (1, 1)), lambda m, h: pool(h, window, (1, 1)))


def skipped(net):
    """Added, or concatenated, to what a module used twice makes of it."""
    h, g = net.nodes, net.graph
    k = net.module(nnx.Linear, h.shape[-1], h.shape[-1], kernel_init=nnx.initializers.zeros)
    W, b = net.parameter(k, "kernel"), net.parameter(k, "bias")
    branch = g.dense(g.dense(h, W, b), W, b)
    if net.choice(True, False):
        net.then(g.add(h, branch), lambda m, h: h + nnx.silu(m[k](nnx.tanh(m[k](h)))))
    else:
        net.then(np.concatenate([h, branch], 2), lambda m, h: jnp.concatenate([h, nnx.silu(m[k](nnx.tanh(m[k](h))))], axis=3))


@st.composite
def flax_networks(draw):
    net = Flax(draw)
    linear(net)
    for layer in draw(st.lists(st.sampled_from((conv, conv, normalised, pooled, skipped)), min_size=1, max_size=5)):
        layer(net)
    linear(net)
    return net
