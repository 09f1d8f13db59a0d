"""The model zoo, in flax.nnx used functionally: a model is built from sizes and a key and returns its `Activations`;
`functional` turns it into parameters and a pure function. Width is a shape: vmap over seeds and scales, loop over widths and depths.
"""

from .activations import ACTIVATIONS, HOMOGENEOUS, KINKED, activation
from .base import Activations, Apply, Patch, functional, unpatched
from .efficientnet import EfficientnetConfig
from .initialisation import Parametrisation, Scales, critical, initialise, ntk, xavier
from .mlp import MLP
from .resnet import ResnetConfig
from .zoo import (
    AttentionConfig,
    CNNConfig,
    Conv1dConfig,
    DropoutConfig,
    FeedbackConfig,
    LayerNormConfig,
    Lenet5Config,
    MLPConfig,
    Model,
    RNNConfig,
    SkipConfig,
    TiedMLPConfig,
    TransformerConfig,
    build,
)

__all__ = [
    "ACTIVATIONS",
    "HOMOGENEOUS",
    "KINKED",
    "MLP",
    "Activations",
    "Apply",
    "AttentionConfig",
    "CNNConfig",
    "Conv1dConfig",
    "DropoutConfig",
    "EfficientnetConfig",
    "FeedbackConfig",
    "LayerNormConfig",
    "Lenet5Config",
    "MLPConfig",
    "Model",
    "Parametrisation",
    "Patch",
    "RNNConfig",
    "ResnetConfig",
    "Scales",
    "SkipConfig",
    "TiedMLPConfig",
    "TransformerConfig",
    "activation",
    "build",
    "critical",
    "functional",
    "initialise",
    "ntk",
    "unpatched",
    "xavier",
]
