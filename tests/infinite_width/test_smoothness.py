"""How many derivatives are continuous, against functions of which it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dltheory.infinite_width.smoothness import continuous_derivatives, kinks_elsewhere, require_smooth
from dltheory.models import ACTIVATIONS, KINKED, activation
from dltheory.numerics import gaussian_mean

KNOWN = {  # continuous derivatives of at most three, and whether function or slope jumps away from zero
    **{name: (0 if name in KINKED else 1 if name == "elu" else 3, False) for name in ACTIVATIONS},
    "where(z > 0, 1, 0)": (-1, False),
    "z + 1e-4*sign(z - 2)": (-1, True),
    "minimum(maximum(z, -1), 1)": (0, True),  # an even slope, whose jumps cancel in Stein's identity
    "minimum(maximum(1000*z, -1), 1)": (0, True),  # two kinks in one cell
    "minimum(relu(z), 6)": (0, True),
    "abs(sin(z))": (0, True),
    "z*minimum(relu(z + 3), 6)/6": (0, True),
    "where(abs(z) < 1, z**2/2, abs(z) - 0.5)": (1, False),
    "z*abs(z)": (1, False),
    "z/(1 + abs(z))": (1, False),
    "abs(z)**3": (2, False),
    "abs(z)**1.5": (1, False),  # second derivative infinite at zero
    "abs(z)**3.5": (3, False),
    "z*tanh(softplus(z))": (3, False),
    "z*(1 + erf(z/sqrt(2)))/2": (3, False),
    "tanh(1000*z)": (3, False),
    "sin(100*z)": (3, False),
    "sqrt(z**2 + 1e-6)": (3, False),
    "exp(z**2)": (3, False),
    "exp(exp(z))": (3, False),
}


@pytest.mark.parametrize("text", KNOWN)
def test_continuous_derivatives(text):
    assert (continuous_derivatives(text), kinks_elsewhere(text)) == KNOWN[text]


@pytest.mark.parametrize("power", range(6))
@pytest.mark.parametrize("edge", [0.0, -0.7, 7.3])
def test_a_truncated_power_has_one_derivative_less_than_its_power(power, edge):
    f = lambda z: 100 * z + jnp.where(z > edge, (z - edge) ** power, 0 * z)
    assert continuous_derivatives(f) == min(power - 1, 3)
    assert continuous_derivatives(f, most=1) == min(power - 1, 1)
    assert kinks_elsewhere(f) == (power < 2 and edge != 0)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_scale_of_an_activation_does_not_matter(scale):
    assert [continuous_derivatives(lambda z, f=f: scale * activation(f)(z)) for f in ("abs", "elu", "gelu")] == [0, 1, 3]


def test_known_also_while_something_else_is_traced():
    counted = jax.jit(lambda z: z + continuous_derivatives(lambda y: jnp.maximum(y, -0.25) ** 3))
    assert counted(0.0) == 0


@pytest.mark.parametrize("text", ["relu", "elu", "gelu", "z*abs(z)", "where(z > 0, z, sin(z)/3)", "relu(z - 1)", "abs(sin(z))"])
def test_gaussian_averages_obey_steins_identity_unless_kinks_are_elsewhere(text):
    """E z s'(z) = K E s''(z) + K D φ_K(0), where D is the jump of the slope s' at zero."""
    K = np.array([0.3, 1.7])
    slope = jax.grad(activation(text))
    kink = float(slope(1e-9) - slope(-1e-9))
    right = K * gaussian_mean(jax.grad(slope), K) + K * kink * stats.norm.pdf(0, scale=K**0.5)
    np.testing.assert_array_equal(abs(gaussian_mean(lambda z: z * slope(z), K) - right) > 1e-8, kinks_elsewhere(text))


def test_what_needs_derivatives_says_so_in_one_line():
    require_smooth("relu", 0, "the kernel")
    require_smooth("elu", 1, "the kernel")
    require_smooth(jnp.tanh, 4, "the kernel")
    for which, needed, line in [
        ("relu", 1, "activation=relu: the 1/n correction needs 1 continuous derivatives, it has 0"),
        ("elu", 2, "activation=elu: the 1/n correction needs 2 continuous derivatives, it has 1"),
        ("sign(z) + z", 1, "activation=sign(z) + z: the 1/n correction needs 1 continuous derivatives, it jumps"),
        (jax.nn.hard_tanh, 3, "activation=hard_tanh: the 1/n correction needs 3 continuous derivatives, it has 0"),
    ]:
        with pytest.raises(ValueError) as refusal:
            require_smooth(which, needed, "the 1/n correction")
        assert str(refusal.value) == line
