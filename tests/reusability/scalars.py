"""The oracle of the tracer: explicit graphs of scalars, built one node at a time in plain loops.

A tensor is an array of nodes; a node knows the arcs that lead into it, each a pair (source, weight) in which either may be missing.
Nodes are numbered in the order in which they are made, so that sources come before targets. A padded cell is no node but `EMPTY`, and
what multiplies it has no arc.
"""

import itertools

import numpy as np

EMPTY = -1


class Scalars:
    def __init__(self):
        self.into, self.inputs, self.shapes = [], set(), {}

    def node(self, *arcs):
        pairs = [arc if isinstance(arc, tuple) else (arc, None) for arc in arcs]
        self.into.append([pair for pair in pairs if pair[0] != EMPTY])
        return len(self.into) - 1

    def make(self, shape, cell):
        out = np.empty(shape, object)
        for index in itertools.product(*map(range, shape)):
            out[index] = cell(*index)
        return out

    def input(self, *shape):
        nodes = self.make(shape, lambda *_: self.node())
        self.inputs |= set(nodes.flat)
        return nodes

    def weight(self, name, *shape):
        self.shapes[name] = shape
        return self.make(shape, lambda *index: (name, index))

    def zeros(self, *shape):
        return np.full(shape, EMPTY, object)

    # operations: tensors have their channels last

    def add(self, *tensors):
        return self.make(tensors[0].shape, lambda *i: self.node(*[t[i] for t in tensors]))

    def parameter(self, x, w):
        """Each entry meets one weight; axes of w that are 1 are copied."""
        return self.make(x.shape, lambda *i: EMPTY if x[i] == EMPTY else self.node((x[i], np.broadcast_to(w, x.shape)[i])))

    def product(self, a, b):
        return self.make(a.shape, lambda *i: EMPTY if EMPTY in (a[i], b[i]) else self.node(a[i], b[i]))

    def bias(self, x, b):
        return self.make(x.shape, lambda *i: self.node(x[i], (None, b[i[-1]])))

    def joined(self, x, *vectors):
        """Biases, and what else a node has of its own, as arcs of the nodes that are there."""
        for index in itertools.product(*map(range, x.shape)):
            self.into[x[index]] += [(None, b[index[-1]]) for b in vectors]
        return x

    def dense(self, x, w, b=None, mask=None):
        def unit(*index):
            *where, j = index
            arcs = [(x[(*where, i)], w[i, j]) for i in range(x.shape[-1]) if mask is None or mask[i, j]]
            met = any(source != EMPTY for source, _ in arcs)
            return self.node(*arcs, *([] if b is None else [(None, b[j])])) if met or b is not None else EMPTY

        return self.make((*x.shape[:-1], w.shape[1]), unit)

    def matmul(self, a, b):
        """Sums of products of two tensors of data."""

        def cell(i, j):
            met = [k for k in range(a.shape[1]) if EMPTY not in (a[i, k], b[k, j])]
            return self.node(*[a[i, k] for k in met], *[b[k, j] for k in met]) if met else EMPTY

        return self.make((a.shape[0], b.shape[1]), cell)

    def attention(self, x, q, k, v):
        q, k, v = (self.dense(x, w) for w in (q, k, v))
        return self.matmul(self.filled(self.matmul(q, k.T)), v)

    def filled(self, x):
        """After a function that is not 0 at 0, or is not known to be, every cell is a node."""
        return self.make(x.shape, lambda *i: self.node() if x[i] == EMPTY else x[i])

    def windows(self, sizes, window, strides, pads, dilations, spacings):
        """Shape of the output, and for each of its positions the pairs (place in the window, position in the input)."""
        reach = [(n - 1) * s + 1 + lo + hi for n, s, (lo, hi) in zip(sizes, spacings, pads, strict=True)]
        shape = [(r - (k - 1) * d - 1) // s + 1 for r, k, d, s in zip(reach, window, dilations, strides, strict=True)]

        def places(position):
            for place in itertools.product(*map(range, window)):
                at = [h * s + a * d - lo for h, a, s, d, (lo, _) in zip(position, place, strides, dilations, pads, strict=True)]
                if all(y >= 0 and y % g == 0 and y // g < n for y, g, n in zip(at, spacings, sizes, strict=True)):
                    yield place, tuple(y // g for y, g in zip(at, spacings, strict=True))

        return tuple(shape), places

    def convolution(self, x, w, strides, pads, dilations, spacings, groups):
        """x (*space, channels), w (*window, channels of a group, filters)."""
        *window, channels, filters = w.shape
        shape, places = self.windows(x.shape[:-1], window, strides, pads, dilations, spacings)

        def cell(*index):
            *position, o = index
            first = o // (filters // groups) * channels
            return self.node(*[(x[(*at, first + c)], w[(*place, c, o)]) for place, at in places(position) for c in range(channels)])

        return self.make((*shape, filters), cell)

    def pool(self, x, window, strides, pads, dilations):
        shape, places = self.windows(x.shape[:-1], window, strides, pads, dilations, (1,) * len(window))
        return self.make((*shape, x.shape[-1]), lambda *i: self.node(*[x[(*at, i[-1])] for _, at in places(i[:-1])]))

    def total(self, x, axes):
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        whole = lambda i: itertools.product(*[range(n) if a in axes else [i[a]] for a, n in enumerate(x.shape)])
        return self.make(shape, lambda *i: self.node(*[x[j] for j in whole(i)]))

    def cumulative(self, x, axis, reverse):
        def cell(*i):
            earlier = range(i[axis], x.shape[axis]) if reverse else range(i[axis] + 1)
            return self.node(*[x[(*i[:axis], j, *i[axis + 1 :])] for j in earlier])

        return self.make(x.shape, cell)

    # what is counted

    def paths_to(self, outputs):
        """B by dynamic programming."""
        B = [0] * len(self.into)
        for v in outputs:
            B[v] += 1
        for v in reversed(range(len(B))):
            for source, _ in self.into[v]:
                if source is not None:
                    B[source] += B[v]
        return B

    def paths_from_inputs(self):
        """F."""
        F = [int(v in self.inputs) for v in range(len(self.into))]
        for v, arcs in enumerate(self.into):
            F[v] += sum(F[source] for source, _ in arcs if source is not None)
        return F

    def counts(self, outputs, kind="published"):
        """Of every weight, in arrays of Python integers."""
        B, F = self.paths_to(outputs), self.paths_from_inputs()
        out = {name: np.full(shape, 0, object) for name, shape in self.shapes.items()}
        for v, arcs in enumerate(self.into):
            for source, weight in arcs:
                if weight is not None:
                    through = 1 if source is None or kind == "published" else F[source]
                    out[weight[0]][weight[1]] += through * B[v]
        return out

    def unrolled(self, outputs):
        """Nodes of the unrolled graph."""
        return sum(self.paths_to(outputs)) + sum(int(c.sum()) for c in self.counts(outputs).values())

    def enumerated(self, outputs):
        """Counts by walking along every path, one by one."""
        out = {name: np.full(shape, 0, object) for name, shape in self.shapes.items()}
        after = {}
        for v, arcs in enumerate(self.into):
            for source, _ in arcs:
                after.setdefault(source, []).append(v)
        ends = list(outputs)
        for v, arcs in enumerate(self.into):
            for _, weight in arcs:
                todo = [v] if weight is not None else []
                while todo:
                    u = todo.pop()
                    out[weight[0]][weight[1]] += ends.count(u)
                    todo += after.get(u, [])
        return out
