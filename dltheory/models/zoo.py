"""The model zoo as configuration: each record names an architecture's sizes and builds it."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ..record import Group, Number, record, static, traced
from .activations import ACTIVATIONS, KINKED
from .attention import Attention
from .cnn import BLOCKS, CNN
from .conv import Conv1d
from .dropout import DropoutMLP
from .feedback import FeedbackMLP
from .initialisation import Parametrisation, critical, ntk, xavier
from .layer_norm import LayerNormMLP
from .lenet import LeNet5
from .mlp import MLP
from .recurrent import RNN
from .skip import Skip
from .tied import TiedMLP
from .transformer import Transformer


@record
class Model(Group):
    """An architecture; its options are the models of the zoo."""

    hidden_layers = 0  # a field of every architecture
    activation = ""  # a field of every architecture: what its nonlinearity is called
    stochastic = False  # whether `apply` takes a key in training

    @property
    def smooth(self) -> bool:
        """Whether the nonlinearity has no kink."""
        return self.activation not in KINKED

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

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> MLP:
        """An `MLP` with random weights, scaled by `gain` in every layer."""
        scales: dict[str, Parametrisation] = {
            "xavier": xavier(gain),
            "critical": critical(self.c_b, self.c_w, gain),
            "ntk": ntk(self.c_b, self.c_w, gain),
        }
        sizes = (inputs, *[self.width] * self.hidden_layers, outputs)
        return MLP(sizes, self.activation, scales[self.parametrisation], key=key, bias=self.bias, dtype=dtype)


@record
class Dense:
    """What variants of the multilayer perceptron share: an MLP with Xavier weights and biases."""

    width: int = static(100, "neurons per hidden layer", low=1)
    hidden_layers: int = static(10, "hidden layers (weight layers D less one)", low=1)
    activation: str = static("leaky_relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def mlp(self, key: jax.Array, inputs: int, outputs: int, gain: Number, dtype: DTypeLike) -> MLP:
        """The MLP that the variant is made of."""
        return MLPConfig(width=self.width, hidden_layers=self.hidden_layers, activation=self.activation).build(
            key, inputs, outputs, gain, dtype
        )


@record
class SkipConfig(Dense, Model):
    """Perceptron in which every hidden layer is added to the next but one."""

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> Skip:
        """A `Skip` network with random weights, scaled by `gain` in every layer."""
        return Skip(self.mlp(key, inputs, outputs, gain, dtype))


@record
class DropoutConfig(Dense, Model):
    """Perceptron with dropout before every linear layer."""

    probability: float = static(0.1, "probability that a number is dropped", low=0, high=0.99)
    stochastic = True

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> DropoutMLP:
        """A `DropoutMLP` with random weights, scaled by `gain` in every layer."""
        return DropoutMLP(self.mlp(key, inputs, outputs, gain, dtype), self.probability)


@record
class LayerNormConfig(Dense, Model):
    """Perceptron with layer normalisation before every nonlinearity."""

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> LayerNormMLP:
        """A `LayerNormMLP`; `gain` is the initial scale of its normalised layers and of its readout."""
        sizes = (inputs, *[self.width] * self.hidden_layers, outputs)
        return LayerNormMLP(sizes, self.activation, gain, key=key, dtype=dtype)


@record
class FeedbackConfig(Dense, Model):
    """Perceptron trained by feedback alignment instead of gradient descent."""

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> FeedbackMLP:
        """A `FeedbackMLP`; forward and feedback weights are independent and scaled by `gain`."""
        forward, backward = (self.mlp(k, inputs, outputs, gain, dtype) for k in jax.random.split(key))
        return FeedbackMLP(forward, backward)


@record
class Conv1dConfig(Model):
    """Convolutions along a line that a linear layer makes of the input."""

    width: int = static(100, "positions that the first, linear layer makes; 0: the inputs are the positions", low=0)
    hidden_layers: int = static(6, "hidden layers: the linear one, if there is one, and the convolutions", low=2)
    channels: int = static(20, "channels of all convolutions but the last, which has one", low=1)
    kernel: int = static(11, "positions that a convolution sees", low=1)
    activation: str = static("leaky_relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def __post_init__(self) -> None:
        if self.width and self.width <= self.convolutions * (self.kernel - 1):
            needed = self.convolutions * (self.kernel - 1) + 1
            raise ValueError(f"model.width={self.width}: must be ≥ {needed} for {self.convolutions} convolutions of kernel={self.kernel}")

    @property
    def convolutions(self) -> int:
        """How many layers convolve."""
        return self.hidden_layers - (self.width > 0)

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> Conv1d:
        """A `Conv1d` with random weights, scaled by `gain` in every layer."""
        sizes = (inputs, outputs, self.width, self.channels, self.convolutions, self.kernel)
        return Conv1d(*sizes, self.activation, xavier(gain), key=key, dtype=dtype)


@record
class TransformerConfig(Model):
    """Stack of pre-norm transformer blocks."""

    width: int = static(16, "units per token, a multiple of heads", low=1)
    tokens: int = static(4, "tokens that a linear layer makes of the input", low=1)
    heads: int = static(2, "attention heads", low=1)
    hidden_layers: int = static(6, "blocks", low=1)
    activation: str = static("gelu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"model.heads={self.heads}: must divide model.width={self.width}")

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> Transformer:
        """A `Transformer` with random weights, scaled by `gain` in every linear map."""
        sizes = (inputs, outputs, self.width, self.tokens, self.heads, self.hidden_layers)
        return Transformer(*sizes, self.activation, gain, key=key, dtype=dtype)


@record
class TiedMLPConfig(Model):
    """Perceptron in which one hidden layer is used again and again."""

    width: int = static(100, "neurons per hidden layer", low=1)
    hidden_layers: int = static(10, "hidden layers, of which all but the first share their weights", low=2)
    activation: str = static("leaky_relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> TiedMLP:
        """A `TiedMLP` with random weights, scaled by `gain` in every layer."""
        sizes = (inputs, self.width, self.width, outputs)
        return TiedMLP(MLP(sizes, self.activation, xavier(gain), key=key, dtype=dtype), self.hidden_layers)


@record
class CNNConfig(Model):
    """Convolutional network for square images, with one kind of block."""

    block: str = static("plain", "what a block does", choices=BLOCKS)
    width: int = static(16, "channels; what a dense block adds", low=1)
    hidden_layers: int = static(4, "hidden layers: the stem, the blocks and a dense layer", low=2)
    kernel: int = static(3, "pixels across a kernel, odd", low=1)
    head: int = static(32, "units of the dense layer", low=1)
    activation: str = static("relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"model.kernel={self.kernel}: must be odd")

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> CNN:
        """A `CNN` with random weights, scaled by `gain` in every layer."""
        sizes = (inputs, outputs, self.block, self.width, self.hidden_layers - 2, self.kernel, self.head)
        return CNN(*sizes, self.activation, xavier(gain), key=key, dtype=dtype)


@record
class Lenet5Config(Model):
    """LeNet-5: two convolutions and two dense layers, for images of at most 32×32."""

    activation: str = static("tanh", "nonlinearity", choices=tuple(ACTIVATIONS))
    hidden_layers = 4

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> LeNet5:
        """A `LeNet5` with random weights, scaled by `gain` in every layer."""
        return LeNet5(inputs, outputs, self.activation, xavier(gain), key=key, dtype=dtype)


@record
class RNNConfig(Model):
    """Recurrent network that reads the input in equal parts."""

    width: int = static(32, "units", low=1)
    hidden_layers: int = static(8, "time steps, which divide the inputs", low=1)
    activation: str = static("tanh", "nonlinearity", choices=tuple(ACTIVATIONS))

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> RNN:
        """An `RNN` with random weights, scaled by `gain` in every layer."""
        return RNN(inputs, outputs, self.width, self.hidden_layers, self.activation, xavier(gain), key=key, dtype=dtype)


@record
class AttentionConfig(Model):
    """Single-head attention on equal parts of the input, without normalisation."""

    width: int = static(16, "units per token", low=1)
    tokens: int = static(8, "equal parts of the input", low=1)
    hidden_layers: int = static(2, "hidden layers: attention, and last a dense one", low=2)
    head: int = static(32, "units of the dense layer", low=1)
    activation: str = static("relu", "nonlinearity", choices=tuple(ACTIVATIONS))

    def build(self, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, dtype: DTypeLike = jnp.float32) -> Attention:
        """An `Attention` network with random weights, scaled by `gain` in every layer."""
        sizes = (inputs, outputs, self.width, self.tokens, self.hidden_layers - 1, self.head)
        return Attention(*sizes, self.activation, xavier(gain), key=key, dtype=dtype)


def build(name: str, key: jax.Array, inputs: int, outputs: int, gain: Number = 1.0, **fields: Any) -> nnx.Module:
    """The model of that name: `build("mlp", key, 1, 1, width=500, hidden_layers=20)`."""
    if name not in Model.options:
        raise ValueError(f"model={name}: must be one of {', '.join(Model.options)}")
    return Model.options[name](**fields).build(key, inputs, outputs, gain)
