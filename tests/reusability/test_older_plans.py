"""VGG and MobileNet as plans: published sizes, layers and products, and the count of the first weights in closed form."""

import pytest

from dltheory.reusability import mobilenet, vgg
from dltheory.reusability.plan import merged, multiplications


@pytest.mark.parametrize(("layers", "parameters", "products"), [(16, 138_357_544, 15.47e9), (19, 143_667_240, 19.63e9)])
def test_vgg(layers, parameters, products):
    plan = vgg.plan(layers)
    uses = plan.uses()
    assert plan.depth == layers and sum(merged(uses).values()) == parameters
    assert abs(multiplications(uses) / products - 1) < 1e-3


def test_mobilenet():
    """Table 8: 569 million products, 4.2 million parameters; with all four vectors of batch norm 4 253 864, as Keras counts."""
    plan = mobilenet.plan()
    uses = plan.uses()
    assert plan.depth == 28 and sum(merged(uses).values()) == 4_253_864
    assert round(multiplications(uses) / 1e6) == 569


def test_without_borders_counts_are_products_of_fans():
    """On one cell only the middle tap of a padded kernel counts: contexts are products of the numbers of filters."""
    counts = [use.count for use in mobilenet.plan(1, 5).uses() if use.layer == "stem.conv" and use.count]
    expected = 5
    for filters, _ in mobilenet.PAIRS:
        expected *= filters
    assert counts == [expected]


def test_an_unknown_depth_says_so():
    with pytest.raises(ValueError, match=r"^layers=11: must be one of 16, 19$"):
        vgg.plan(11)
