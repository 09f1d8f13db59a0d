"""Scores from the gradient of the loss at the start: which weights and units would be missed.

    grad-norm  Σ_arrays |g|,  g = ∂L/∂w
    SNIP       Σ |w g|                    change of L when w is removed, to first order, of either sign
    GraSP      -Σ w (H g)                 change of |g|²/2, the speed of training, when w is removed
    Fisher     Σ_k ⟨(Σ_s h_ks ∂L_n/∂h_ks)²⟩_n / 2    change of the loss when a channel k, at positions s, is removed, to second order

All are sums over what could be pruned. Under W_1 → cW_1, W_2 → W_2/c around a ReLU without biases, which changes no output, g_1 → g_1/c
and g_2 → c g_2: SNIP and Fisher stay, grad-norm does not, and in GraSP = -Σ_lm w_l H_lm g_m the terms with m = 1 fall by c², those
with m = 2 grow by it.
Sources: Lee et al. (arXiv:1810.02340), section 4, before it is divided by its sum; Wang et al. (arXiv:2002.07376), section 4, their logits
undivided; Theis et al. (arXiv:1801.05787), section 2.2, and Turner et al., BlockSwap (arXiv:1906.04113), who sum over channels; as proxies
arXiv:2101.08134, section 3.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

from ...models import Apply
from .network import batch, hidden, labels, output, total


def grad_norm(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """Sum over the arrays of params of the Euclidean norms of their gradients."""
    return total(jax.tree.map(lambda g: jnp.sqrt(jnp.sum(g**2, dtype=float)), _gradient(apply, params, x, y)(params)))


def snip(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """Σ |w ∂L/∂w|."""
    return total(jax.tree.map(lambda w, g: jnp.abs(w * g), params, _gradient(apply, params, x, y)(params)))


def grasp(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """-Σ w (H ∂L/∂w) with the Hessian H of L, applied by one forward derivative of the gradient; a kink of φ has no curvature."""
    gradient = _gradient(apply, params, x, y)
    curved = jax.jvp(gradient, (params,), (gradient(params),))[1]
    return -total(jax.tree.map(jnp.multiply, params, curved))


def fisher(apply: Apply, params: Any, x: Any, y: Any = None) -> jax.Array:
    """Fisher information of channels: hidden representations (n, positions …, channels), or (n, units) with a channel for each unit.

    `apply(params, x, patch=…)` must go on with what patch returns. After a ReLU, h ∂L/∂h is what it is before. A model that flattens
    positions and channels, as those of the zoo do, has units for channels.
    """
    x = batch(params, x)
    y = labels(y, len(x))
    shapes = [jax.ShapeDtypeStruct(h.shape, h.dtype) for h in hidden(jax.eval_shape(apply, params, x), "fisher")]

    def losses(added):
        made = apply(params, x, patch=lambda layer, h: h + added[layer])
        return jnp.sum(cross_entropy(made.output, y)), made.hidden

    gradients, at = jax.grad(losses, has_aux=True)([jnp.zeros(s.shape, s.dtype) for s in shapes])
    over_positions = lambda g, h: jnp.sum(g * h, axis=tuple(range(1, h.ndim - 1)))
    return total([over_positions(g, h) ** 2 for g, h in zip(gradients, at, strict=True)]) / (2 * len(x))


def _gradient(apply: Apply, params: Any, x: Any, y: Any) -> Callable[[Any], Any]:
    """∂L/∂w as a function of w."""
    x = batch(params, x)
    y = labels(y, len(x))
    return jax.grad(lambda p: jnp.mean(cross_entropy(output(apply(p, x)), y)))
