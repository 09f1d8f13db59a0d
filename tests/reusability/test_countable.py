"""What can be counted: models of the zoo as they are built, functions by name, and one line for what cannot."""

import textwrap

import jax
import numpy as np
import pytest

from dltheory.models import Model, functional
from dltheory.reusability.countable import Countable, Own, imported
from dltheory.reusability.trace import count_contexts

MODULE = """
    import jax
    import jax.numpy as jnp

    SEVEN = 7

    def perceptron():
        params = {"a": jnp.ones((4, 8)), "b": jnp.ones((8, 3))}
        return lambda p, x: jax.nn.gelu(x @ p["a"]) @ p["b"], params, jnp.ones((1, 4))

    def shapes():
        fn, params, x = perceptron()
        return fn, jax.eval_shape(lambda: params), x

    def number():
        return 7

    def triple():
        return 1, 2, 3

    def raises():
        raise RuntimeError("no weights here\\nand a second line")

    def loop():
        fn = lambda p, x: jax.lax.while_loop(lambda c: jnp.sum(c) < 10, lambda c: c @ p, x)
        return fn, jnp.ones((3, 3)), jnp.ones((1, 3))

    def normalised():
        fn = lambda p, x: (x @ p) / jnp.sqrt(jnp.mean((x @ p) ** 2))
        return fn, jnp.ones((3, 3)), jnp.ones((1, 3))

    def inverse():
        return lambda p, x: jnp.linalg.inv(p) @ x.T, jnp.ones((3, 3)), jnp.ones((1, 3))

    def mismatch():
        return lambda p, x: x @ p, jnp.ones((3, 3)), jnp.ones((1, 4))

    def constant():
        return lambda p, x: x, jnp.ones(3), jnp.ones((1, 4))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_a_counting_user.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "broken_of_a_user.py").write_text("1 +")
    return "of_a_counting_user"


def test_the_zoo_is_offered_whole_with_its_fields():
    assert set(Countable.options) == {"own", *Model.options}
    assert "own" not in Model.options
    for name, option in Model.options.items():
        mine = Countable.options[name]()
        assert not jax.tree.leaves(mine), "nothing of it is traced"
        assert vars(mine) == vars(option()) and isinstance(mine, option)


@pytest.mark.parametrize("name", ["mlp", "tied_mlp", "feedback", "rnn"])
def test_a_model_of_shapes_has_the_counts_of_the_model_built(name):
    fields = {"hidden_layers": 4, "width": 6}
    params, apply = functional(Model.options[name](**fields).build(jax.random.key(1), 8, 3))
    built = count_contexts(apply, params, np.ones((1, 8), np.float32))
    of_shapes = count_contexts(*Countable.options[name](**fields).example(8, 3))
    jax.tree.map(np.testing.assert_array_equal, built, of_shapes)


def test_a_function_by_its_name(module):
    fn, params, x = imported(f"{module}:perceptron")
    counts = count_contexts(fn, params, x)
    assert (np.unique(counts["a"]).tolist(), np.unique(counts["b"]).tolist()) == ([3], [1])
    assert Own(path=f"{module}:shapes").digest == Own(path=f"{module}:perceptron").digest != ""


def test_the_digest_is_of_the_program(module, tmp_path):
    digests = set()
    for number, (body, remark) in enumerate((("x @ p", ""), ("x @ p", "  # a remark"), ("jnp.tanh(x @ p)", ""))):
        name = f"version_{number}_of_a_user"
        text = f"import jax.numpy as jnp\ndef f():\n    return lambda p, x: {body}, jnp.ones((3, 3)), jnp.ones((1, 3)){remark}\n"
        (tmp_path / f"{name}.py").write_text(text)
        digests.add(Own(path=f"{name}:f").digest)
    assert len(digests) == 2
    with pytest.raises(ValueError, match=r"model\.digest=0123: must be that of"):
        Own(path=f"{module}:perceptron", digest="0123")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("of_a_counting_user", "must be package.module:function"),
        ("of_a_counting_user:a.b", "must be package.module:function"),
        ("no_such_module_of_a_user:f", "no_such_module_of_a_user cannot be imported from here"),
        ("broken_of_a_user:f", "broken_of_a_user cannot be imported from here, SyntaxError"),
        ("of_a_counting_user:nothing", "of_a_counting_user has no function nothing"),
        ("of_a_counting_user:SEVEN", "of_a_counting_user has no function SEVEN"),
        ("of_a_counting_user:number", r"number\(\) must return \(fn, params, x\) with a function fn\(params, x\); it returns int"),
        ("of_a_counting_user:triple", r"it returns \(int, int, int\)"),
        ("of_a_counting_user:raises", r"raises\(\) raises RuntimeError: no weights here$"),
        ("of_a_counting_user:loop", "cannot be counted, while at .*of_a_counting_user.py:.* use jax.lax.scan"),
        ("of_a_counting_user:normalised", "cannot be counted, .*sqrt at .*of_a_counting_user.py.*normaliser"),
        ("of_a_counting_user:inverse", "cannot be counted, .* at .*of_a_counting_user.py.* no counting rule"),
        ("of_a_counting_user:mismatch", "cannot be counted, TypeError: dot_general requires"),
        ("of_a_counting_user:constant", "cannot be counted, no path leads from a parameter to an output"),
    ],
)
def test_what_cannot_be_counted_is_said_in_one_line(module, path, line):
    with pytest.raises(ValueError, match=line) as error:
        Own(path=path)
    assert str(error.value).startswith(f"model.path={path}: ") and "\n" not in str(error.value)
