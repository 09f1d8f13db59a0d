"""Every primitive that has a rule is hit, and every rule is two maps that are transposes of each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import NamedSharding, PartitionSpec

from dltheory.reusability.counts import EXACT, Counts
from dltheory.reusability.program import CALLS, LINEAR, MIXERS, MOVES, PASSED, REFUSED
from dltheory.reusability.rules import CUT, ELEMENTWISE, MEETINGS, RULES, pull, push
from dltheory.reusability.trace import trace

A, B = np.array([[0.2, 0.7, 0.4]]), np.array([[0.5, 0.1, 0.9]])
SHARDING = NamedSharding(jax.make_mesh((1,), ("a",)), PartitionSpec())


def entries(f):
    """A function of entries of h, or of h and k."""
    return lambda h, k: f(h)


def chosen(name):
    return lambda h: jnp.where(getattr(lax, name)(h, 0.3), h, 2 * h)


def over(module, name, **how):
    """That function along the entries of h."""
    return lambda h, k: getattr(module, name)(h, axis=1, **how)


def scattered(name):
    return lambda h, k: getattr(k.at[:, jnp.array([2, 2])], name)(h[:, :2])


def sought(name):
    return lambda h, k: (getattr(lax, name)(h, 1, int), h)[1]


@jax.custom_jvp
def custom_jvp(h):
    return jnp.tanh(h)


@jax.custom_vjp
def custom_vjp(h):
    return jnp.tanh(h)


custom_jvp.defjvp(lambda p, t: (custom_jvp(*p), t[0]))
custom_vjp.defvjp(lambda h: (custom_vjp(h), None), lambda _, c: (c,))

ONE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
"""Every entry of h reaches the same one of the result."""

UNARY = {
    name: getattr(lax, name)
    for name in "abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt ceil cos cosh digamma erf erf_inv erfc exp exp2 "
    "expm1 floor lgamma log log1p logistic neg round rsqrt sign sin sinh sqrt square tan tanh".split()
} | {
    "convert_element_type": lambda h: h.astype(jnp.float32),
    "copy": jnp.copy,
    "integer_pow": lambda h: lax.integer_pow(h, 3),
    "name": lambda h: checkpoint_name(h, "h"),
    "reduce_precision": lambda h: lax.reduce_precision(h, 5, 7),
    "sharding_constraint": lambda h: lax.with_sharding_constraint(h, SHARDING),
    "clamp": lambda h: lax.clamp(0.0, h, 1.0),
    "jit": jax.jit(jnp.sin),
    "remat2": jax.checkpoint(jnp.sin),
    "custom_jvp_call": custom_jvp,
    "custom_vjp_call": custom_vjp,
    "composite": lax.composite(lambda h: jnp.sin(h), "dltheory.sine"),
    "optimization_barrier": lax.optimization_barrier,
    "device_put": jax.device_put,
    "debug_print": lambda h: (jax.debug.print("{}", h), h)[1],
    "debug_callback": lambda h: (jax.debug.callback(lambda h: None, h), h)[1],
    "stop_gradient": lambda h: h + lax.stop_gradient(h),
    "cond": lambda h: lax.cond(jnp.array(1) > 0, jnp.sin, lambda h: h + h[:, ::-1], h),
    "scan": lambda h: lax.scan(lambda c, _: (jnp.sin(c), None), h, None, length=2)[0],
    "transpose": lambda h: h.T.reshape(1, 3),
    "real": lambda h: lax.real(lax.complex(h, jnp.zeros_like(h))),
    "imag": lambda h: lax.imag(lax.complex(h, jnp.zeros_like(h))),
    "conj": lambda h: lax.real(lax.conj(lax.complex(h, jnp.zeros_like(h)))),
    **{name: chosen(name) for name in "eq ne lt le gt ge".split()},
    "is_finite": lambda h: jnp.where(lax.is_finite(h), h, 2 * h),
    "select_n": lambda h: lax.select(h > 0, h, jnp.ones_like(h)),
}
BINARY = {
    name: getattr(lax, name) for name in "add atan2 complex igamma igammac max min mul nextafter polygamma pow rem sub zeta".split()
} | {
    "add_any": lambda h, k: jax.vjp(lambda z: (z * h, z * k), jnp.ones_like(h))[1]((jnp.ones_like(h), jnp.ones_like(h)))[0],
    "regularized_incomplete_beta": lambda h, k: lax.betainc(h, k, jnp.full_like(h, 0.5)),
}
BANDS = {1: np.triu(np.ones((3, 3), int)).tolist(), -1: np.tril(np.ones((3, 3), int)).tolist()}
OTHERS = {
    # name: (function of h and k, arcs from entries of h to entries of the result)
    "div": (lambda h, k: h / k, ONE),
    "dot_general": (lambda h, k: h @ jnp.ones((3, 2)), [[1, 1]] * 3),
    "conv_general_dilated": (
        entries(lambda h: lax.conv_general_dilated(h[None], jnp.ones((1, 1, 2)), (1,), "VALID")),
        [[1, 0], [1, 1], [0, 1]],
    ),
    "broadcast_in_dim": (entries(lambda h: jnp.broadcast_to(h, (2, 3))), [[1, 0, 0] * 2, [0, 1, 0] * 2, [0, 0, 1] * 2]),
    "squeeze": (entries(lambda h: lax.squeeze(h, (0,))), ONE),
    "reshape": (entries(lambda h: h.reshape(3)), ONE),
    "slice": (entries(lambda h: h[:, ::2]), [[1, 0], [0, 0], [0, 1]]),
    "rev": (entries(lambda h: h[:, ::-1]), [[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
    "pad": (entries(lambda h: lax.pad(h, 0.0, [(0, 0, 0), (1, -1, 1)])), [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5]),
    "concatenate": (lambda h, k: jnp.concatenate([k, h], axis=1), np.eye(3, 6, 3, int).tolist()),
    "stack": (lambda h, k: jnp.stack([k, h], axis=2), [[0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]),
    "unstack": (entries(lambda h: jnp.unstack(h, axis=1)[1]), [[0], [1], [0]]),
    "split": (entries(lambda h: jnp.split(h, [1], axis=1)[1]), [[0, 0], [1, 0], [0, 1]]),
    "tile": (entries(lambda h: jnp.tile(h, (1, 2))), np.tile(np.eye(3, dtype=int), 2).tolist()),
    "reduce_window_sum": (entries(lambda h: lax.reduce_window(h, 0.0, lax.add, (1, 2), (1, 1), "VALID")), [[1, 0], [1, 1], [0, 1]]),
    "reduce_window_max": (entries(lambda h: lax.reduce_window(h, -np.inf, lax.max, (1, 3), (1, 2), "SAME")), [[1, 0], [1, 1], [0, 1]]),
    "reduce_window_min": (
        entries(lambda h: lax.reduce_window(h, np.inf, lax.min, (1, 2), (1, 1), "VALID", window_dilation=(1, 2))),
        [[1], [0], [1]],
    ),
    "gather": (entries(lambda h: h[:, jnp.array([2, 2, 5])]), [[0, 0, 0], [0, 0, 0], [1, 1, 1]]),
    "gather out of bounds": (entries(lambda h: h.at[:, jnp.array([2, 5])].get(mode="fill", fill_value=0)), [[0, 0], [0, 0], [1, 0]]),
    "dynamic_slice": (entries(lambda h: lax.dynamic_slice(h, (0, 1), (1, 2))), [[0, 0], [1, 0], [0, 1]]),
    "dynamic_update_slice": (lambda h, k: lax.dynamic_update_slice(k, h[:, :1], (0, 1)), [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
    "scatter": (lambda h, k: k.at[:, jnp.array([2])].set(h[:, :1]), [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),
    "scatter below": (lambda h, k: h.at[:, jnp.array([2])].set(k[:, :1]), [[1, 0, 0], [0, 1, 0], [0, 0, 0]]),
    **{
        f"scatter-{short}": (scattered(name), [[0, 0, 1], [0, 0, 1], [0, 0, 0]])
        for short, name in {"add": "add", "sub": "subtract", "mul": "multiply", "min": "min", "max": "max"}.items()
    },
    "scatter-add below": (lambda h, k: h.at[:, jnp.array([2])].add(k[:, :1]), ONE),
    **{f"reduce_{name}": (over(jnp, name), [[1]] * 3) for name in ("sum", "max", "min", "prod")},
    **{name: (over(lax, name), BANDS[1]) for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")},
    **{f"{name} from the end": (over(lax, name, reverse=True), BANDS[-1]) for name in ("cumsum", "cumlogsumexp")},
    **{name: (sought(name), ONE) for name in ("argmax", "argmin")},
}
CASES = (
    {name: (entries(f), ONE) for name, f in UNARY.items()}
    | {name: (f, ONE) for name, f in BINARY.items()}
    | {f"{name} right": (lambda h, k, f=f: f(k, h), ONE) for name, f in BINARY.items()}
    | OTHERS
)


def primitives(program):
    """Names in a program and all programs within."""
    for equation in program.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from primitives(inner)


def test_every_primitive_with_a_rule_has_a_case():
    hit = {name for f, _ in CASES.values() for name in primitives(jax.make_jaxpr(f)(A, B).jaxpr)}
    known = {*RULES, *ELEMENTWISE, *CUT, *CALLS, *PASSED, "split", "unstack", "scan", "cond"}
    assert not known - hit
    assert {*MEETINGS, *MIXERS, *MOVES, *LINEAR} <= known and not {*REFUSED} & known - {"cond"}


@pytest.mark.parametrize("name", CASES)
def test_arcs(name):
    """Arcs from each entry of h to each of the result: contexts of a weight on one entry, of which output j is copied 7^j times."""
    f, arcs = CASES[name]
    size = jax.eval_shape(f, A, B).size
    copied = lambda w, x: [jnp.broadcast_to(h, (7**j,)) for j, h in enumerate(jnp.split(f(A * w, x).reshape(-1), size))]
    counts = trace(copied, jnp.ones((1, 3)), B).counts()
    assert [[c // 7**j % 7 for j in range(size)] for c in counts[0]] == arcs


def random(rng, shape):
    return Counts(EXACT, rng.integers(0, 10, shape).astype(object), shape)


def inner(a, b):
    return int(np.sum(a.view * b.view))


def test_pull_is_the_transpose_of_push():
    """⟨push a, b⟩ = ⟨a, pull b⟩ for the arcs of every operand of every case, and of more kinds of windows."""
    rng, seen = np.random.default_rng(0), set()
    window = functools.partial(lax.conv_general_dilated, padding=[(1, 2)], lhs_dilation=(2,), rhs_dilation=(2,), feature_group_count=1)
    more = [lambda h, k: window(h[None], k[None], (2,)), lambda h, k: jnp.einsum("ij,ik->kj", h, k)]
    for f in [f for f, _ in CASES.values()] + more:
        program = trace(lambda w, x, f=f: f(x * w, x[:, ::-1] * w[:, ::-1]), jnp.ones((1, 3)), A)
        for e in program.equations:
            for operand, chain in e.arcs:
                a, b = random(rng, program.shapes[operand]), random(rng, program.shapes[e.result])
                assert inner(push(chain, a), b) == inner(a, pull(chain, b)), e.name
                seen.add(e.name)
    assert seen >= {*RULES} - {"select_n"}


def test_all_results_of_split_and_unstack():
    for f in (lambda h: jnp.split(h, 3, axis=1), lambda h: jnp.unstack(h, axis=1)):
        counts = trace(lambda w, x, f=f: [part * n for n, part in enumerate(f(x * w), 1)], jnp.ones((1, 3)), A).counts()
        assert counts.tolist() == [[1, 1, 1]]


def test_axes_of_length_one_are_copied():
    """Operations of lax broadcast them."""
    counts = trace(lambda w, x: lax.mul(x, lax.slice(w, (0, 0), (1, 1))), jnp.ones((1, 3)), A).counts()
    assert counts.tolist() == [[3, 0, 0]]
    clamped = trace(lambda w, x: lax.clamp(w, x, jnp.full_like(x, 2.0)), jnp.ones(()), A).counts()
    assert clamped == 3


def test_reshape_in_another_order():
    square = np.arange(9.0).reshape(3, 3)
    counts = trace(lambda w, x: lax.reshape(x * w, (9,), dimensions=(1, 0))[1:2], jnp.ones((3, 3)), square).counts()
    assert counts.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
