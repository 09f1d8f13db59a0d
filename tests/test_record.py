"""Records: one declaration serves pytrees, checks and configuration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dltheory.record import Group, allowed, check, option_name, record, static, traced


@record
class Inner:
    rate: float = traced(0.5, "rate", low=0, high=1)
    name: str = static("a", "name", choices=("a", "b"))


@record
class Outer:
    inner: Inner = Inner()
    seed: int = traced(0, "seed", low=0)
    width: int = static(3, "width", low=1)

    def __post_init__(self):
        if self.width == 13:
            raise ValueError("width=13: unlucky")


def test_equal_structure_is_equal_program():
    base = jax.tree.structure(Outer())
    assert jax.tree.structure(Outer(seed=7, inner=Inner(rate=0.1))) == base
    assert jax.tree.structure(Outer(width=4)) != base
    assert jax.tree.structure(Outer(inner=Inner(name="b"))) != base
    assert len(jax.tree.leaves(Outer())) == 2


def test_unflattening_never_calls_the_constructor():
    with pytest.raises(ValueError, match="unlucky"):
        Outer(width=13)
    assert jax.tree.map(lambda _: None, Outer()).seed is None
    batch = jax.vmap(lambda s: Outer(seed=s, inner=Inner(rate=2.0 * s)))(jnp.arange(4.0))
    np.testing.assert_array_equal(batch.inner.rate, [0, 2, 4, 6])
    leaves, tree = jax.tree.flatten(Outer(seed=5))
    assert jax.tree.unflatten(tree, leaves) == Outer(seed=5)
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(Outer())]
    assert paths == [".inner.rate", ".seed"]


def test_jit_compiles_once_for_traced_values():
    traces = []

    @jax.jit
    def f(config):
        traces.append(config.width)
        return config.inner.rate * config.width

    for config in (Outer(), Outer(seed=3), Outer(inner=Inner(rate=0.25)), Outer(width=4)):
        f(jax.tree.map(np.asarray, config))
    assert traces == [3, 4]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (Outer(inner=Inner(rate=2.0)), r"inner.rate=2.0: must be in \[0, 1\]"),
        (Outer(inner=Inner(rate=float("nan"))), "inner.rate=nan: must be in"),
        (Outer(inner=Inner(name="c")), "inner.name=c: must be one of a, b"),
        (Outer(seed=-1), "seed=-1: must be ≥ 0"),
        (Outer(width=0), "width=0: must be ≥ 1"),
    ],
)
def test_check_names_key_value_and_range(config, line):
    with pytest.raises(ValueError, match=line):
        check(config)
    check(Outer())


def test_groups_know_their_options():
    class Shape(Group):
        pass

    class TwoPoints(Shape):
        pass

    class MLPConfig(Shape):
        pass

    assert Shape.options == {"two_points": TwoPoints, "mlp": MLPConfig}
    assert option_name(type("XOR", (), {})) == "xor"
    assert allowed({"low": 0, "high": None}) == "≥ 0" and allowed({}) == ""
