"""Networks with their weights set by hand: every construction of this area is one, and each is an MLP of the model zoo.

N = Σ widths of the hidden layers counts neurons, and synapses are the weights that are not zero (biases are not counted), as in
Lin, Tegmark & Rolnick (arXiv:1608.08225), section III. Between two networks that follow each other the last affine map of the first
and the first of the second are one.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import MLP, functional
from ..models.activations import Activation
from ..models.base import Apply


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Network:
    """f(x) = A_D φ(… φ(A_1 x)): `weights` (n_in, n_out) and `biases` (n_out,) of the affine maps A, first first; φ between them."""

    weights: tuple[jax.Array, ...]
    biases: tuple[jax.Array, ...]
    activation: str | Activation = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, maps: Sequence[tuple[Any, Any]], activation: str | Activation, dtype: Any = float) -> "Network":
        """From pairs (weights (n_in, n_out), biases (n_out,) or a number), host or traced arrays; `ValueError` if shapes do not fit."""
        weights = tuple(jnp.asarray(w, dtype) for w, _ in maps)
        biases = tuple(jnp.broadcast_to(jnp.asarray(b, dtype), w.shape[1:]) for (_, b), w in zip(maps, weights, strict=True))
        for one, two in itertools.pairwise(weights):
            if one.shape[1] != two.shape[0]:
                raise ValueError(f"weights: {one.shape} is followed by {two.shape}; must chain")
        return cls(weights, biases, activation)

    def __call__(self, *x: Any) -> jax.Array:
        """The output: of one array (…, inputs), or of as many arrays (…) as there are inputs; (…) if there is one output, else
        (…, outputs). Computed in the dtype of the weights."""
        dtype, inputs = self.weights[0].dtype, self.weights[0].shape[0]
        arrays = [jnp.asarray(a, dtype) for a in x]
        points = arrays[0] if len(arrays) == 1 else jnp.stack(jnp.broadcast_arrays(*arrays), -1)
        if points.shape[-1:] != (inputs,):
            raise ValueError(f"x: {points.shape[-1] if points.ndim else 1} inputs given; must be {inputs}")
        out = self.model(points.reshape(-1, inputs)).output.reshape(*points.shape[:-1], -1)
        return out[..., 0] if out.shape[-1] == 1 else out

    @property
    def model(self) -> MLP:
        """The network as a member of the zoo."""
        return MLP.of(self.weights, self.biases, self.activation)

    @property
    def functional(self) -> tuple[Any, Apply]:
        """Parameters and pure function, to be trained from here on."""
        return functional(self.model)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs."""
        return (self.weights[0].shape[0], *(w.shape[1] for w in self.weights))

    @property
    def neurons(self) -> int:
        """Hidden units."""
        return sum(self.sizes[1:-1])

    @property
    def synapses(self) -> int:
        """Weights that are not zero."""
        return sum(int(np.count_nonzero(w)) for w in self.weights)

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.weights) - 1

    def astype(self, dtype: Any) -> "Network":
        """The same network in another precision."""
        return jax.tree.map(lambda a: a.astype(dtype), self)

    def then(self, other: "Network") -> "Network":
        """`other` after this one: other(self(x)). `ValueError` if sizes or activations differ."""
        if other.sizes[0] != self.sizes[-1]:
            raise ValueError(f"{self.sizes[-1]} outputs are followed by {other.sizes[0]} inputs; must be equal")
        phi = _common(self, other)
        joint = self.weights[-1] @ other.weights[0], self.biases[-1] @ other.weights[0] + other.biases[0]
        weights = (*self.weights[:-1], joint[0], *other.weights[1:])
        return Network(weights, (*self.biases[:-1], joint[1], *other.biases[1:]), phi)


def beside(*networks: Network) -> Network:
    """Networks of one depth side by side: inputs, hidden units and outputs are those of all, in order."""
    if len({n.depth for n in networks}) > 1:
        raise ValueError(f"depth={[n.depth for n in networks]}: must be equal side by side")
    weights = tuple(jax.scipy.linalg.block_diag(*ws) for ws in zip(*(n.weights for n in networks), strict=True))
    biases = tuple(jnp.concatenate(bs) for bs in zip(*(n.biases for n in networks), strict=True))
    return Network(weights, biases, _common(*networks))


def affine(weights: Any, biases: Any = 0.0, activation: str | Activation = "linear") -> Network:
    """A network without hidden layer: x W + b."""
    return Network.of([(weights, biases)], activation)


def _common(*networks: Network) -> str | Activation:
    """The activation of those networks that have hidden units."""
    used = [n.activation for n in networks if n.depth] or [networks[0].activation]
    if any(phi != used[0] for phi in used):
        raise ValueError(f"activation={used}: must be the same in all parts of a network")
    return used[0]
