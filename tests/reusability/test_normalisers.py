"""Normalisation layers counted as x·γ + β, in flax nnx, flax linen and the model zoo."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from flax.linen import normalization as linen_layers
from flax.nnx.nn import normalization as nnx_layers

from dltheory.models import functional
from dltheory.models.layer_norm import LayerNorm
from dltheory.reusability.normalisers import plain_normalisers
from dltheory.reusability.trace import count_contexts

X = jax.ShapeDtypeStruct((1, 2, 3, 4), jnp.float32)
READOUT = 5
KINDS = {
    "LayerNorm": {},
    "RMSNorm": {},
    "GroupNorm": {"num_groups": 2},
    "InstanceNorm": {},
    "BatchNorm": {"use_running_average": False},
}


@pytest.fixture(autouse=True)
def promotion():
    """Flax layers do not run under strict promotion."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def assert_counts(counts, value):
    for leaf in jax.tree.leaves(counts, is_leaf=lambda a: isinstance(a, np.ndarray)):
        assert set(np.ravel(leaf)) == {value}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [{}, {"use_bias": False}, {"use_scale": False, "use_bias": False}])
def test_nnx_layers(kind, how):
    how = {k: v for k, v in how.items() if (kind, k) != ("RMSNorm", "use_bias")}
    layer = getattr(nnx, kind)(4, **KINDS[kind], **how, rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    counts = count_contexts(lambda p, x: apply(p["norm"], x) @ p["readout"], {"norm": params, "readout": jnp.ones((4, READOUT))}, X)
    assert_counts(counts["norm"], 2 * 3 * READOUT)
    assert_counts(counts["readout"], 2 * 3)
    assert len(jax.tree.leaves(params)) == how.get("use_bias", kind != "RMSNorm") + how.get("use_scale", True)


class Model(linen.Module):
    kind: str
    train: bool

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(4)(x)
        how = {"use_running_average": not self.train} if self.kind == "BatchNorm" else KINDS[self.kind]
        return linen.Dense(READOUT)(nnx.gelu(getattr(linen, self.kind)(**how, name="norm")(x)))


@pytest.mark.parametrize("kind", KINDS)
def test_linen_layers(kind):
    model = Model(kind, train=True)
    variables = jax.eval_shape(model.init, jax.random.key(0), X)
    apply = lambda v, x: model.apply(v, x, mutable=["batch_stats"])[0]
    counts = count_contexts(apply, variables, X)
    assert_counts(counts["params"]["norm"], 6 * READOUT)
    assert_counts(counts["params"]["Dense_0"], 6 * READOUT)
    assert_counts(counts["params"]["Dense_1"], 6)
    assert_counts(counts.get("batch_stats", ()), 0)  # what is only updated has no context


def test_running_averages_are_parameters_like_the_others():
    model = Model("BatchNorm", train=False)
    variables = jax.eval_shape(model.init, jax.random.key(0), X)
    counts = count_contexts(model.apply, variables, X)
    assert_counts([counts["params"]["norm"], counts["batch_stats"]], 6 * READOUT)
    assert len(jax.tree.leaves(counts["batch_stats"])) == 2
    layer = nnx.BatchNorm(4, use_running_average=True, rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)
    counts = count_contexts(lambda s, x: nnx.merge(graph, s)(x), state, X)
    assert_counts(counts, 6)
    assert len(jax.tree.leaves(counts, is_leaf=lambda a: isinstance(a, np.ndarray))) == 4


def test_features_on_other_axes():
    layer = nnx.BatchNorm(2, axis=1, use_running_average=False, rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    assert_counts(count_contexts(apply, params, X), 3 * 4)
    both = linen.LayerNorm(reduction_axes=(1, 2, 3), feature_axes=(2, 3))
    variables = jax.eval_shape(both.init, jax.random.key(0), X)
    counts = count_contexts(both.apply, variables, X)["params"]
    assert counts["scale"].shape == (3, 4)
    assert_counts(counts, 2)


def test_weight_normalisation_of_flax_is_counted():
    """It normalises parameters alone: every entry reaches the others of its column as well as the output."""
    layer = nnx.WeightNorm(nnx.Linear(4, READOUT, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    params, apply = functional(layer)
    counts = count_contexts(apply, params, jax.ShapeDtypeStruct((1, 4), jnp.float32))
    found = {str(path): set(np.ravel(c)) for path, c in jax.tree.leaves_with_path(counts, is_leaf=lambda a: isinstance(a, np.ndarray))}
    assert sorted(map(sorted, found.values())) == [[1], [1 + 4]]  # bias, kernel


def test_the_layer_of_the_zoo():
    params, apply = functional(LayerNorm(4, 1.0, jnp.float32))
    assert_counts(count_contexts(apply, params, X), 6)


def test_layers_are_restored():
    before = LayerNorm.__call__, nnx_layers._compute_stats, linen_layers._compute_stats
    with pytest.raises(ZeroDivisionError), plain_normalisers():
        assert all(
            a is not b for a, b in zip(before, (LayerNorm.__call__, nnx_layers._compute_stats, linen_layers._compute_stats), strict=True)
        )
        1 / 0  # noqa: B018
    with pytest.raises(ValueError, match="sort at"):
        count_contexts(lambda w, x: jnp.sort(x), jnp.ones(1), X)
    with pytest.raises(ZeroDivisionError):
        count_contexts(lambda w, x: 1 / 0, jnp.ones(1), X)
    assert before == (LayerNorm.__call__, nnx_layers._compute_stats, linen_layers._compute_stats)
    x = jax.random.normal(jax.random.key(0), (2, 4))
    np.testing.assert_allclose(np.var(nnx.LayerNorm(4, rngs=nnx.Rngs(0))(x), axis=1), 1, rtol=1e-4)


@pytest.mark.parametrize("layers", [nnx_layers, linen_layers])
def test_stand_in_for_flax_statistics(layers):
    """Flax's own function, which is private, is called as it is written now, and its results have the shapes of ours."""
    assert list(inspect.signature(layers._compute_stats).parameters)[:2] == ["x", "axes"]
    x = jnp.ones(X.shape, jnp.bfloat16)
    for axes in (-1, (0, 2), [1, -1]):
        real = jax.eval_shape(lambda x, axes=axes: layers._compute_stats(x, axes, None), x)
        with plain_normalisers():
            stand_in = layers._compute_stats(x, axes, None)
        assert [(s.shape, s.dtype) for s in stand_in] == [(s.shape, s.dtype) for s in real]
        assert not stand_in[0].any() and (stand_in[1] == 1).all()
