"""The model zoo as configuration: each record names an architecture's sizes and builds it."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Group, Number, record, static, traced
from .activations import ACTIVATIONS, KINKED
from .initialisation import Parametrisation, critical, ntk, xavier
from .mlp import MLP


@record
class Model(Group):
    """An architecture; its options are the models of the zoo."""

    hidden_layers = 0  # a field of every architecture
    smooth = True  # whether no nonlinearity has a kink
    activation = ""  # what its nonlinearity is called

    @property
    def weight_layers(self) -> int:
        """D, one more than the hidden layers."""
        return self.hidden_layers + 1

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> nnx.Module:
        """A network with random weights, scaled by `gain` in every layer."""
        raise NotImplementedError


@record
class MLPConfig(Model):
    """Multilayer perceptron."""

    width: int = static(100, "neurons per hidden layer", low=1)
    hidden_layers: int = static(10, "hidden layers (weight layers D less one)", low=1)
    activation: str = static("leaky_relu", "nonlinearity", choices=tuple(ACTIVATIONS))
    bias: bool = static(True, "whether layers have biases")
    parametrisation: str = static("xavier", "how weights start and scale", choices=("xavier", "critical", "ntk"))
    c_w: float = traced(1.0, "weight variance × fan-in C_W (critical and ntk)", low=0)
    c_b: float = traced(0.0, "bias variance C_b (critical and ntk)", low=0)

    @property
    def smooth(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the nonlinearity has no kink."""
        return self.activation not in KINKED

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> MLP:
        """An `MLP` with random weights, scaled by `gain` in every layer."""
        scales: dict[str, Parametrisation] = {
            "xavier": xavier(gain),
            "critical": critical(self.c_b, self.c_w, gain),
            "ntk": ntk(self.c_b, self.c_w, gain),
        }
        sizes = (inputs, *[self.width] * self.hidden_layers, outputs)
        return MLP(sizes, self.activation, scales[self.parametrisation], key=key, bias=self.bias, dtype=dtype)


def build(name: str, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, **fields: Any) -> nnx.Module:
    """The model of that name: `build("mlp", key, 1, 1, width=500, hidden_layers=20)`."""
    if name not in Model.options:
        raise ValueError(f"model={name}: must be one of {', '.join(Model.options)}")
    return Model.options[name](**fields).build(key, inputs, outputs, gain)
