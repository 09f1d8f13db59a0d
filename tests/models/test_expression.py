"""Activations as expressions of z and as importable names: what they compute, that they stay the same, and every refusal."""

import math
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltheory.models import ACTIVATIONS, activation
from dltheory.models.activations import spelling
from dltheory.models.expression import FUNCTIONS, LONGEST, parse

Z = np.linspace(-2.9, 2.9, 30)
BY_HAND = {
    "z*tanh(softplus(z))": jax.nn.mish,
    "0.3*sin(2*z)+z": lambda z: 0.3 * jnp.sin(2 * z) + z,
    "where(z>0, z, 0.2*z)": lambda z: jnp.where(z > 0, z, 0.2 * z),
    "where(-1 < z <= 1, z**3, sign(z))": lambda z: jnp.where(jnp.abs(z) < 1, z**3, jnp.sign(z)),
    "maximum(z,0)**2": lambda z: jax.nn.relu(z) ** 2,
    "0.5*z*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3)))": lambda z: jax.nn.gelu(z, approximate=True),
    "z*(1+erf(z/2**0.5))/2": lambda z: jax.nn.gelu(z, approximate=False),
    "e**(-z**2/2)": lambda z: jnp.exp(-z * z / 2),
    "2**z - 2**-3**2": lambda z: jnp.exp(np.log(2.0) * z) - 2.0**-9,
    "1/(1+z**2)": lambda z: 1 / (1 + z * z),
    " log(1+z**2) ": lambda z: jnp.log1p(z * z),
    "abs(z)**3.5": lambda z: jnp.exp(3.5 * jnp.log(jnp.abs(z))),
    "-minimum(4/7, z)": lambda z: -jnp.where(z < 4 / 7, z, 4 / 7),
    "where(1 > 2, z, 3*z)": lambda z: 3 * z,
    "z": lambda z: z,
}


@pytest.mark.parametrize("text", BY_HAND)
def test_an_expression_is_its_function_with_three_derivatives(text):
    ours, by_hand = activation(text), BY_HAND[text]
    for _ in range(4):
        np.testing.assert_allclose(jax.jit(jax.vmap(ours))(Z), jax.vmap(by_hand)(jnp.asarray(Z)), rtol=1e-10, atol=1e-12)
        ours, by_hand = jax.grad(ours), jax.grad(by_hand)


UNARY = [f for f in FUNCTIONS | ACTIVATIONS if f not in ("maximum", "minimum")]


@pytest.mark.parametrize("text", ["where(z>0,1,0)", "maximum(z,0)**2", "2**z - abs(z)**3.5 + pi", *(f"z + {f}(z/4+1)" for f in UNARY)])
def test_shape_and_precision_are_kept(text):
    f = activation(text)
    third = jax.grad(jax.grad(jax.grad(f)))
    for dtype in (jnp.float32, jnp.float64):
        for shape in [(), (3,), (2, 0), (2, 3, 4)]:
            made = jax.eval_shape(f, jax.ShapeDtypeStruct(shape, dtype))
            assert (made.shape, made.dtype) == (shape, dtype)
        assert jax.eval_shape(third, jax.ShapeDtypeStruct((), dtype)).dtype == dtype
        numbers = f(jnp.full((2, 3), 0.3, dtype))
        assert numbers.dtype == dtype
        np.testing.assert_allclose(numbers, np.full((2, 3), f(0.3)), rtol=1e-6)


@pytest.mark.parametrize("power", range(5))
def test_derivatives_of_whole_powers_are_right_at_zero(power):
    f = activation(f"z + z**{power}")
    for _ in range(power):
        f = jax.grad(f)
    assert float(f(0.0)) == math.factorial(power) + (power == 1)


def test_a_whole_number_for_z_is_not_rounded():
    assert activation("0.3*z + 1/2")(2) == pytest.approx(1.1)


def test_equal_texts_are_one_function_so_a_jit_compiles_once():
    traced = []

    @jax.jit
    def inside(z):
        return activation("z*sin(z/3**0.5)")(z)  # parsed while something else is traced

    def mean(z, phi):
        traced.append(phi)
        return jnp.mean(phi(z))

    compiled = jax.jit(mean, static_argnums=1)
    values = [compiled(jnp.asarray(Z), activation("".join(["z*sin", "(z/2**0.5)"]))) for _ in range(3)]
    assert len(traced) == 1 and activation("z+z**3") is activation("z+z**3") is not activation("z+z**2")
    np.testing.assert_allclose(values, np.mean(Z * np.sin(Z / 2**0.5)), rtol=1e-12)
    np.testing.assert_allclose(inside(1.0), np.sin(3**-0.5), rtol=1e-15)


@pytest.fixture
def library(monkeypatch):
    module = types.ModuleType("users_library")
    module.bump = lambda z: jnp.exp(-z * z)
    module.number, module.row = 3, lambda z: jnp.exp(z).sum()
    module.host, module.centred = lambda z: np.tanh(np.asarray(z)), lambda z: z - z.mean()
    module.wide, module.flat = lambda z: jnp.sin(z).astype(float), lambda z: 0 * z
    monkeypatch.setitem(sys.modules, "users_library", module)
    return module


def test_an_importable_name_is_its_function(library):
    assert activation("users_library:bump") is library.bump
    assert activation("jax.nn:mish") is jax.nn.mish


def test_what_messages_call_an_activation():
    seen = [spelling(a) for a in ("z + 1", activation("z + 1"), activation("gelu"), jax.nn.mish, np.tanh)]
    assert seen == ["z + 1", "z + 1", "gelu", "mish", "tanh"]


ONE_OF = f"must be one of {', '.join(ACTIVATIONS)}, an expression in z or package.module:function; nearest is "
ALLOWED = f"allowed are z, numbers, pi, e, + - * / **, where(a < b, c, d) and {', '.join(FUNCTIONS | ACTIVATIONS)}"
FINITE = "must be finite for -3 ≤ z ≤ 3"
REFUSED = {
    "reluu": ONE_OF + "relu",
    "x": ONE_OF + "exp",
    "cos": "cos is a function; must be called, cos(…)",
    "x*tanh(z)": "no variable is called x; must be z, pi or e",
    "tanh(softplus)": "softplus is a function; must be called, softplus(…)",
    "z*tahn(z)": "no function is called tahn; nearest is tan; " + ALLOWED,
    "maximum(z)": "maximum(z) has 1 argument(s); must have 2",
    "where(z > 0, z)": "where(z > 0, z) has 2 argument(s); must have 3",
    "where(z, 1, 2)": "where has the condition z; must compare by < <= > >= == !=",
    "where(z is z, 1, 2)": "where has the condition z is z; must compare by < <= > >= == !=",
    "z*tanh(": "'(' was never closed at character 7; must be an expression in z",
    "z z": "invalid syntax at character 3; must be an expression in z",
    "": "invalid syntax at the end; must be an expression in z",
    "3 + exp(pi)": "has no z; must be a function of z",
    "where(1 > 2, 3, 4)": "has no z; must be a function of z",
    "z - z": "is constant for -3 ≤ z ≤ 3; must depend on z",
    "log(z)": "it is nan at z=-3; " + FINITE,
    "sqrt(z)": "it is nan at z=-3; " + FINITE,
    "z**z": "it is nan at z=-2.99; " + FINITE,
    "1/z": "it is inf at z=0; " + FINITE,
    "1/(z-0.3)": "it is inf at z=0.3; " + FINITE,
    "sqrt(abs(z))": "its derivative is inf at z=0; " + FINITE,
    "where(z > 0, z**1.5, 0)": "its derivative is nan at z=-3; " + FINITE,
    "9**9**9**9*z": "9 ** 9 ** 9 is inf; numbers must be finite",
    "z + 1/0": "1 / 0 is inf; numbers must be finite",
    "(-8)**(1/3)*z": "(-8) ** (1 / 3) is nan; numbers must be finite",
    "z**" * 30 + "z": "it is nan at z=-3; " + FINITE,
    "z+" * 99 + "z": "is nested too deeply; at most 60 levels are allowed",
    "-" * 290 + "z": "is nested too deeply; at most 60 levels are allowed",
    "(" * 290: "too many nested parentheses at character 201; must be an expression in z",
    "z" * (LONGEST + 1) + "+1": f"has {LONGEST + 3} characters; at most {LONGEST} are allowed",
    "users_lib:bump": "users_lib does not import (ModuleNotFoundError: No module named 'users_lib'); must be package.module:function",
    "users_library:bumb": "users_library has no bumb; nearest is bump",
    "users_library:number": "is of type int; must be a function of an array",
    "users_library:row": "makes other numbers of an array than of each by itself, or of another shape or dtype; must be elementwise",
    "users_library:centred": "makes other numbers of an array than of each by itself, or of another shape or dtype; must be elementwise",
    "users_library:wide": "makes other numbers of an array than of each by itself, or of another shape or dtype; must be elementwise",
    "users_library:flat": "is constant for -3 ≤ z ≤ 3; must depend on z",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_is_one_line_that_says_what_is_allowed(text, library):
    with pytest.raises(ValueError) as refusal:
        activation(text)
    shown = text if len(text) <= 80 else text[:79] + "…"
    assert str(refusal.value) == f"activation={shown}: {REFUSED[text]}"


def test_a_function_that_only_numpy_knows_is_refused_in_one_line(library):
    with pytest.raises(
        ValueError, match=r"^activation=users_library:host: fails \(TracerArrayConversionError: .*\); must be a JAX function"
    ):
        activation("users_library:host")


HOSTILE = """z.__class__; (lambda: 0)(); (lambda: z)(); [z]; [z for _ in z]; f'{z}'; z if z else 0; (y := z); {z}; {z: z}; (z, z); z[0]
z and 1; not z; ~z; z > 0; z ^ 2; z % 2; z // 2; z @ z; z | z; z << 2; True*z; 1j*z; 'z'; b'z'; ...; None*z; tanh(*z); tanh(**z)
tanh(z, axis=0); jnp.tanh(z); tanh.__globals__; (yield); (await z); tanh(z)(z); 'a'.join('b'); exp(z).__class__.__mro__"""


@pytest.mark.parametrize("text", HOSTILE.replace("\n", "; ").split("; "))
def test_nothing_but_arithmetic_has_a_meaning(text):
    with pytest.raises(ValueError, match=r"^activation=.* is not allowed; allowed are z, numbers.*$") as refusal:
        activation(text)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["__import__('os')", "eval('z')", "getattr(z, 'T')", "open('/etc/passwd')", "print(z)", "__builtins__", "np*z"]
)
def test_no_name_reaches_python(name, capsys):
    with pytest.raises(ValueError, match=r"^activation=.*(no function is called|no variable is called|must be one of)") as refusal:
        activation(name)
    assert "\n" not in str(refusal.value) and not capsys.readouterr().out


@settings(max_examples=300, deadline=None)
@given(st.text("z0123456789.+-*/() ,<>=e_:'\"\\\n\0[]{}λ²", max_size=30) | st.text(max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        parse(text, {})
    except ValueError as error:
        assert str(error)


LEAVES = st.sampled_from(["z", "pi", "e"]) | st.floats(0.1, 4).map(lambda x: f"{x:.3g}") | st.integers(1, 4).map(str)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map("({0[0]}{0[1]}{0[2]})".format)
        | st.tuples(st.sampled_from(["sin", "tanh", "arctan", "-", "cos"]), inner).map("{0[0]}({0[1]})".format)
        | st.tuples(inner, inner, inner).map("where({0[0]}<{0[1]},{0[1]},{0[2]}**2)".format)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(TREES.filter(lambda text: "z" in text))
def test_random_expressions_are_what_python_makes_of_them(text):
    scope = {name: getattr(np, name) for name in ("sin", "tanh", "arctan", "cos", "where", "pi", "e")}
    by_python = eval(text, scope, {"z": Z})
    np.testing.assert_allclose(parse(text, {})(jnp.asarray(Z)), by_python, rtol=1e-7, atol=1e-9 * (1 + np.max(np.abs(by_python))))
