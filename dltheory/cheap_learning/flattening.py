"""What it costs to make a network shallow: neurons and synapses of constructions of a function with many layers and with few.

C_n = Σ hidden widths of the flat network / Σ hidden widths of the deep one, C_s the same of weights that are not zero; flattening is not
free where they exceed 1. The networks here are explicit, so a ratio bounds the least one from above unless a theorem bounds the flat
network from below. A linear network is a matrix written as a product, and flattening it multiplies it out:
- Fourier transform of n = 2^k numbers: stages of 2n complex weights against n², C_s = n/(2 log₂ n);
- rank k: B (n, k) times C (k, n), C_s = n/(2k), so that it pays up to k = n/2;
- two random 0/1 matrices of density p: C_s = [1 - (1-p²)^n]/(2p);
- multiplication of n × n matrices, n = 2^k, by a fixed one: Strassen's 7^k products, C_s = 8^k/(8(7^k - 4^k)) ~ n^{3 - log₂ 7}, above 1
  from k = 16 on.
Nonlinear families: the tent map composed L times has 2^L monotone pieces with 2L ReLUs, and one layer needs 2^L; sums of products of sums
of n = 4^i numbers are n - 1 units deep and 2^{√n - 1} monomials; curves through random tanh networks lengthen by √χ₁ a layer.

Sources: Lin, Tegmark & Rolnick, arXiv:1608.08225, section III F-H (the low-rank factors are printed there with their shapes exchanged);
Strassen, Numer. Math. 13 (1969); Telgarsky, arXiv:1509.08101; Delalleau & Bengio (2011); Poole et al., arXiv:1606.05340.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..models import MLP, critical
from ..models.activations import Activation
from ..models.base import Activations
from ..numerics import levenberg_marquardt
from .gates import product_gate
from .network import Network, affine, beside


class FlatteningCost(NamedTuple):
    """C_n and C_s: how many times the neurons and the synapses of the deep network the flat one has. C_n is 0 for a flat network without
    hidden layer."""

    neurons: float
    synapses: float


def flattening_cost(flat: Network, deep: Network) -> FlatteningCost:
    """Costs of `flat` in units of those of `deep`, two networks for one function."""
    return FlatteningCost(flat.neurons / deep.neurons, flat.synapses / deep.synapses)


def flatten(network: Network) -> Network:
    """A network of linear units multiplied out: the one affine map that it is. `ValueError` for other activations."""
    if network.activation != "linear":
        raise ValueError(f"activation={network.activation}: must be linear to be multiplied out")
    b = network.biases[0]
    for weights, biases in zip(network.weights[1:], network.biases[1:], strict=True):
        b = b @ weights + biases
    return affine(functools.reduce(jnp.matmul, network.weights), b)


def linear_network(*stages: Any) -> Network:
    """Linear units with these weights (n_in, n_out) between them, first first."""
    return Network.of([(w, 0.0) for w in stages], "linear")


def fourier_stages(n: int) -> list[np.ndarray]:
    """log₂ n complex matrices (n, n) with two entries a row whose product, first first, is the discrete Fourier transform x ↦ x F."""
    levels = n.bit_length() - 1
    if n != 2**levels or n < 2:
        raise ValueError(f"n={n}: must be a power of two ≥ 2")
    reverse = np.arange(n).reshape((2,) * levels).T.reshape(-1)
    stages = []
    for size in [2**level for level in range(1, levels + 1)]:
        one, twiddle = np.eye(size // 2), np.diag(np.exp(-2j * np.pi * np.arange(size // 2) / size))
        stages.append(np.kron(np.eye(n // size), np.block([[one, twiddle], [one, -twiddle]])).T)
    stages[0] = np.eye(n)[:, reverse] @ stages[0]
    return stages


def real_form(matrix: np.ndarray) -> np.ndarray:
    """The real (2n, 2m) matrix that does to (Re z, Im z) what z ↦ z `matrix`, complex (n, m), does to z."""
    return np.block([[np.real(matrix), np.imag(matrix)], [-np.imag(matrix), np.real(matrix)]])


def sparse_product_cost(n: Any, density: float) -> Any:
    """Expected C_s of two independent n × n matrices of 0 and 1: [1 - (1-p²)^n]/(2p), that `density` being p."""
    return (1 - (1 - density**2) ** n) / (2 * density)


STRASSEN = np.array([[1, 0, 0, 1], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0], [-1, 0, 1, 0], [0, 1, 0, -1]])
"""What the seven products take of the first factor, entries 11, 12, 21, 22."""
STRASSEN_SECOND = np.array([[1, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, -1], [-1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]])
STRASSEN_OUT = np.array([[1, 0, 0, 1, -1, 0, 1], [0, 0, 1, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0, 0], [1, -1, 1, 0, 0, 1, 0]])


def strassen_network(second: Float[np.ndarray, "n n"]) -> Network:
    """The entries of M, row by row, ↦ those of M N for a fixed `second` factor N, n = 2^k: linear units, 7^k of them in the middle.

    k stages take the combinations of M and k those of the products; the last of the former multiplies by the combinations of N.
    """
    n = len(second)
    levels = n.bit_length() - 1
    if n != 2**levels or n < 2:
        raise ValueError(f"n={n}: must be a power of two ≥ 2")
    blocks = np.arange(n * n).reshape((2,) * (2 * levels)).transpose(np.arange(2 * levels).reshape(2, levels).T.reshape(-1))
    order = blocks.reshape(-1)
    stage = lambda matrix, j: np.kron(np.kron(np.eye(7**j), matrix), np.eye(4 ** (levels - 1 - j)))
    into = [stage(STRASSEN, j).T for j in range(levels)]
    factor = np.asarray(second).reshape(-1)[order]
    for j in range(levels):
        factor = stage(STRASSEN_SECOND, j) @ factor
    out = [stage(STRASSEN_OUT, j).T for j in reversed(range(levels))]
    into[-1] = into[-1] * factor
    into[0], out[-1] = np.eye(n * n)[:, order] @ into[0], out[-1] @ np.eye(n * n)[order]
    return linear_network(*into, *out)


def strassen_synapses(levels: int) -> int:
    """Synapses of `strassen_network` for a second factor without zeros among its combinations: 8 (7^k - 4^k); flat ones are 8^k."""
    return 8 * (7**levels - 4**levels)


def tent(levels: int) -> Network:
    """x (…, 1) in [0, 1] ↦ the tent map min(2x, 2-2x) composed: 2 ReLUs in each of `levels` layers, 2^levels monotone pieces."""
    once = Network.of([(np.ones((1, 2)), [0.0, -0.5]), (np.array([[2.0], [-4.0]]), 0.0)], "relu")
    return functools.reduce(Network.then, [once] * levels)


def flat_tent(levels: int) -> Network:
    """The same function on [0, 1] by 2^levels ReLUs in one hidden layer.

    That is the least number: each of the 2^levels - 1 kinks takes a unit, and with these alone the outermost slopes are sums of kinks, even
    multiples of 2^levels.
    """
    pieces = 2**levels
    weights = np.r_[1.0, 2.0 * (-1.0) ** np.arange(1, pieces)] * pieces
    return Network.of([(np.ones((1, pieces)), -np.arange(pieces) / pieces), (weights[:, None], 0.0)], "relu")


def monotone_pieces(values: Float[Array | np.ndarray, "points"]) -> int:
    """Monotone pieces of a function from its values along a line, on a grid that has points in every piece."""
    rising = np.sign(np.diff(np.asarray(values)))
    return 1 + int(np.count_nonzero(np.diff(rising[rising != 0])))


def sum_product(levels: int, activation: str | Activation, scale: Any, bias: float = 0.0) -> Network:
    """x (…, n = 4^levels) ↦ products of neighbours, sums of neighbours, products of these …: 4 neurons for each product, 8(n-1)/3 in all,
    in `levels` hidden layers, and the sums are part of the weights."""
    gate, net = product_gate(activation, bias, scale), None
    for level in reversed(range(levels)):
        pairs = affine(np.kron(np.eye(4**level), np.ones((2, 1))))
        layer = beside(*[gate] * (2 * 4**level)).then(pairs)
        net = layer if net is None else net.then(layer)
    if net is None:
        raise ValueError(f"levels={levels}: must be ≥ 1")
    return net


def sum_product_monomials(levels: int) -> int:
    """Monomials of that polynomial of n = 4^levels numbers multiplied out: 2^(2^levels - 1) = 2^(√n - 1), of degree √n each."""
    return 2 ** (2**levels - 1)


def tangent_growth(
    key: Array, activation: str | Activation, sigma_w: float, sigma_b: float, width: int, layers: int, points: int = 32
) -> Float[Array, "steps"]:
    """Growth of the length of a curve from layer to layer of one random network with W ~ N(0, σ_w²/width), b ~ N(0, σ_b²), first layer
    first: Σ |dh_{l+1}| / Σ |dh_l| over tangent vectors dh at so many random points. Deep in the network it is √χ₁ at large width."""
    where, direction, weights = jax.random.split(key, 3)
    x, dx = (jax.random.normal(k, (points, width), jnp.float32) for k in (where, direction))
    net = MLP([width] * (layers + 1) + [1], activation, critical(sigma_b**2, sigma_w**2), key=weights)
    _, tangents = jax.jvp(lambda x: net(x).hidden, (x,), (dx,))
    length = jnp.stack([jnp.sum(jnp.linalg.norm(t, axis=-1)) for t in tangents])
    return length[1:] / length[:-1]


def compositional(x: Float[Array, "points inputs"], node: Callable[[Array, Array], Array]) -> Float[Array, "points"]:
    """A binary tree of `node`(u, v) over neighbours; inputs a power of two."""
    while x.shape[1] > 1:
        x = node(x[:, ::2], x[:, 1::2])
    return x[:, 0]


def tree_network(key: Array, inputs: int, fan: int, width: int) -> list[dict[str, Array]]:
    """Parameters of a tree whose nodes each see `fan` values through `width` tanh units of their own, Xavier weights; float64.

    fan = inputs is a network of one hidden layer. Σ nodes ((fan + 2) width + 1) parameters.
    """
    levels, nodes = [], inputs
    while nodes > 1:
        if nodes % fan:
            raise ValueError(f"fan={fan}: must divide the {nodes} values of a level, of {inputs} inputs")
        nodes //= fan
        first, second = jax.random.split(jax.random.fold_in(key, nodes))
        levels.append(
            {
                "in": jax.random.normal(first, (nodes, fan, width), float) / fan**0.5,
                "bias": jnp.zeros((nodes, width)),
                "out": jax.random.normal(second, (nodes, width), float) / width**0.5,
                "shift": jnp.zeros(nodes),
            }
        )
    return levels


def tree_output(params: list[dict[str, Array]], x: Float[Array, "points inputs"]) -> Activations:
    """What a `tree_network` computes; output (points, 1)."""
    hidden = []
    for level in params:
        groups = x.reshape(len(x), *level["in"].shape[:2])
        hidden.append(jnp.tanh(jnp.einsum("pgi,giw->pgw", groups, level["in"]) + level["bias"][None]))
        x = jnp.einsum("pgw,gw->pg", hidden[-1], level["out"]) + level["shift"][None]
    return Activations(tuple(hidden), x)


def fit_tree(
    key: Array,
    target: Callable[[Array], Array],
    inputs: int,
    fan: int,
    widths: Sequence[int],
    *,
    starts: int,
    steps: int,
    points: int = 300,
) -> Float[Array, "widths starts"]:
    """Root mean square error, in standard deviations of `target`, of tree networks of these widths fitted to it on `points` random points
    of [-1, 1]^inputs by `steps` of Levenberg and Marquardt, measured on as many others; for each random start.

    All widths are one program: units beyond a width are cut off, and have no gradient.
    """
    at, other = jax.random.uniform(jax.random.fold_in(key, 0), (2, points, inputs), float, -1, 1)
    flat = lambda k: jax.flatten_util.ravel_pytree(tree_network(k, inputs, fan, max(widths)))
    unravel = flat(key)[1]

    def residual(p, x, width):
        levels = [{**level, "out": jnp.where((jnp.arange(max(widths)) < width)[None], level["out"], 0)} for level in unravel(p)]
        y = target(x)
        return (tree_output(levels, x).output[:, 0] - y) / (jnp.std(y) * points**0.5)

    def fit(case):
        k, width = case
        p, _ = levenberg_marquardt(lambda p: residual(p, at, width), flat(k)[0], -jnp.inf, jnp.inf, steps)
        return jnp.linalg.norm(residual(p, other, width))

    keys = jax.random.split(jax.random.fold_in(key, 1), (len(widths), starts))
    each = jnp.broadcast_to(jnp.asarray(widths)[:, None], keys.shape)
    return jax.jit(lambda cases: jax.lax.map(lambda row: jax.lax.map(fit, row), cases))((keys, each))
