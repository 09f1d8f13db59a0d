"""Products of bits and Bayes as a softmax: claims at reduced size, planted faults, wrong settings."""

import jax
import numpy as np
import pytest

from dltheory.lab import experiment
from experiments import bayes_softmax, bit_product


@pytest.fixture(scope="module")
def bits(results):
    return experiment("bit_product", bits=6, draws=100)


@pytest.fixture(scope="module")
def bayes(results):
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # optax's own Adam mixes types
    try:
        return experiment("bayes_softmax", cases="few", networks=3, steps=4000, points=200)
    finally:
        jax.config.update("jax_numpy_dtype_promotion", "strict")


def failing(module, data, planted=None):
    """Statements of the gated claims that fail, some numbers of the data replaced."""
    data = data.assign({name: (data[name].dims, np.asarray(values)) for name, values in (planted or {}).items()})
    return [c.statement for c in module.claims(data) if c.gated and c.verdict == "fails"]


def test_products_of_bits_hold(bits):
    assert not failing(bit_product, bits)
    assert [c.verdict for c in bit_product.claims(bits) if c.gated].count("holds") >= 16
    assert len(bit_product.plot(bits).axes) == 4


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("product", lambda a: a * 1.1),
        ("steps", lambda a: a + 1e-9),
        ("error", lambda a: a**1.1),
        ("error", lambda a: a * 10),
        ("leading", lambda a: a * 1.1),
        ("weight", lambda a: a * 2),
        ("hidden", lambda a: a + 1),
        ("sparse", lambda a: a + 1),
        ("neurons", lambda a: a - 1),
        ("parity", lambda a: a * 0.5),
        ("parity_neurons", lambda a: a // 2),
        ("conjunction", lambda a: a * 1.1),
        ("saturation", lambda a: a * 1.1),
    ],
)
def test_a_fault_in_products_of_bits_is_noticed(bits, name, fault):
    assert failing(bit_product, bits, {name: fault(bits[name].values)})


def test_bayes_holds(bayes):
    assert not failing(bayes_softmax, bayes)
    assert [c.verdict for c in bayes_softmax.claims(bayes) if c.gated].count("holds") >= 14
    assert len(bayes_softmax.plot(bayes).axes) == 6
    assert 0.3 < float(bayes.entropy) < 0.9 and 0.1 < float(bayes.risk) < 0.4
    np.testing.assert_allclose(bayes.exact.sum("label"), 1)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("identity", lambda a: a + 1e-10),
        ("constructed", lambda a: a**1.2),
        ("constructed", lambda a: a * 1.1),
        ("neurons", lambda a: a + 1),
        ("no_partition", lambda a: 0 * a),
        ("no_prior", lambda a: 0 * a),
        ("parameters", lambda a: a * 1.1),
        ("trained", lambda a: a[:, ::-1]),
        ("trained", lambda a: a**0.3),
        ("population", lambda a: a * 1e-9),
        ("gaussian", lambda a: a[::-1]),
        ("gaussian_leading", lambda a: a * 1.1),
        ("gaussian_neurons", lambda a: a + 1),
        ("common", lambda a: a + 1e-9),
        ("monomials", lambda a: a + 1),
    ],
)
def test_a_fault_in_bayes_is_noticed(bayes, name, fault):
    assert failing(bayes_softmax, bayes, {name: fault(bayes[name].values)})


def test_nonsense_is_one_line():
    with pytest.raises(ValueError, match="cases=some: must be one of few, all"):
        experiment("bayes_softmax", cases="some")
    with pytest.raises(ValueError, match=r"bits=5: must be in \[6, 12\]"):
        experiment("bit_product", bits=5)
