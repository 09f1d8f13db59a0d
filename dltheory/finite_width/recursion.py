r"""The first corrections in 1/width to a network's statistics, one input, layer by layer.

Given layer l, preactivations of layer l+1 are Gaussian with the fluctuating variance S = C_b + (C_W/n) Σ_j s(z_j)², so that

    E S = K + G1/n,   Var S = V/n,   κ₃(S) = W6/n²,   hence κ₄(z) = 3V/n and κ₆(z) = 15 W6/n².

The tangent kernel H, its first and second change dH, ddH_I, ddH_II (`empirical.py`) have, with Wick pairs of neurons (one output each
for Var H = (A+2B)/n, Cov(z², H) = (D+2F)/n, E dH z = (P+2Q)/n, E ddH_I = 3R/n, E ddH_II = (S+T+U)/n):

    E H = Θ + H1/n,   A, B: variance of H,   D, F: covariance of H with z²,   P, Q: dH with z,   R: ddH_I,   S, T, U: ddH_II.

With ⟨·⟩ over N(0, K), ω = λ_W s² + C_W Θ s'², ' on the left for the next layer, h = ½ dχ_⊥/dK, K'' = d²K'/dK², r = n_l/n_{l-1}:

    V' = σ(K) + r χ_∥² V,   σ = C_W² (⟨s⁴⟩ - ⟨s²⟩²)                          G1' = r (χ_∥ G1 + ½ K'' V)
    W6' = C_W³ (⟨s⁶⟩ - 3⟨s⁴⟩⟨s²⟩ + 2⟨s²⟩³) + 3r χ_∥ (dσ/dK) V + r² (χ_∥³ W6 + 3 χ_∥² K'' V²)

and for the others the lines of `_tangent_layer`. All vanish in layer 1.

Sources: Yaida (2020), arXiv:1910.00019; Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapters 4, 8, 11,
∞; W6, and all of it anew, by the law of total cumulance.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from ..infinite_width import check_kernel, check_setting, continuous_derivatives, derivative, function, is_concrete
from ..models.activations import Activation
from ..numerics import gaussian_mean
from ..record import array, record, static
from .residual import residual

TANGENT = ("A", "B", "D", "F", "P", "Q", "R", "S", "T", "U")


@record
class FiniteWidth:
    """Layers 1 … depth of each quantity, (depth,). With a skip connection only K, G1, V and tau are known, the rest is None."""

    K: Array = array("kernel", "preactivation²")
    G1: Any = array("correction of the kernel", "preactivation²/width⁻¹")
    V: Array = array("four-point vertex n Var S", "preactivation⁴")
    W6: Any = array("six-point vertex n² κ₃(S)", "preactivation⁶")
    Theta: Any = array("neural tangent kernel", "preactivation²")
    H1: Any = array("correction of the tangent kernel", "preactivation²")
    A: Any = array("variance of the tangent kernel, sample by sample", "preactivation⁴")
    B: Any = array("variance of the tangent kernel, across", "preactivation⁴")
    D: Any = array("covariance of z² with the tangent kernel, sample by sample", "preactivation⁴")
    F: Any = array("covariance of z² with the tangent kernel, across", "preactivation⁴")
    P: Any = array("first change of the tangent kernel", "preactivation⁴")
    Q: Any = array("first change of the tangent kernel", "preactivation⁴")
    R: Any = array("second change I", "preactivation⁴")
    S: Any = array("second change II", "preactivation⁴")
    T: Any = array("second change II", "preactivation⁴")
    U: Any = array("second change II", "preactivation⁴")
    tau: Any = array("three-point vertex E z_j z_k² = tau/n of a residual network, else zero", "preactivation³")
    smooth: bool = static(True, "whether s has the three derivatives that P … U need")


def recursion(
    activation: str | Activation,
    kernel: ArrayLike,
    depth: int,
    c_b: ArrayLike,
    c_w: ArrayLike,
    lambda_b: ArrayLike = 0.0,
    lambda_w: ArrayLike = 0.0,
    skip: ArrayLike = 0.0,
    *,
    widths: Sequence[int] | None = None,
) -> FiniteWidth:
    """All first corrections of `depth` layers, layer 1 first, from `kernel` = K^(1) of one input; λ's are numbers or (depth,).

    Exact in K and Θ to 1e-13. In layer l everything is per 1/n_{l-1}; `widths` (depth - 1,) are those of the hidden layers if they
    differ (only ratios enter). For a kinked activation s'' and s''' are those of autodiff, zero: right for what P … U multiply in a
    gradient step, and `trained_kernel_change` refuses them. `ValueError` as `propagate`, and for a kernel of several inputs
    (`kernel_and_vertex`) or K^(1) = 0.
    """
    check_setting(c_b=c_b, c_w=c_w, depth=depth)
    check_kernel(kernel)
    if np.ndim(kernel):
        raise ValueError("kernel: the recursion is that of one input; kernel_and_vertex takes several")
    if is_concrete(kernel) and not float(np.asarray(kernel)) > 0:
        raise ValueError(f"kernel={kernel}: must be > 0")
    phi = function(activation)
    K, c_b, c_w, gamma = (jnp.asarray(a, float) for a in (kernel, c_b, c_w, skip))
    if not is_concrete(skip) or skip != 0:
        layers = residual(phi, K, depth, c_b, c_w, gamma)
        return FiniteWidth(layers.K, layers.G1, layers.V, None, None, None, *[None] * len(TANGENT), tau=layers.tau)
    rates = (jnp.broadcast_to(jnp.asarray(a, float), (depth,)) for a in (lambda_b, lambda_w))
    ratio = _ratios(widths, depth)
    values = _recursion(phi, K, c_b, c_w, *rates, ratio)
    return FiniteWidth(**values, tau=jnp.zeros(depth), smooth=continuous_derivatives(phi) >= 3)


def _ratios(widths: Sequence[int] | None, depth: int) -> jax.Array:
    """r = n_l/n_{l-1} on the way from layer l to l+1; the corrections of layer 1 vanish, so its ratio does not matter."""
    if widths is None:
        return jnp.ones(depth - 1)
    n = np.asarray(widths, float)
    if n.shape != (depth - 1,) or np.any(n <= 0):
        raise ValueError(f"widths={widths}: must be the {depth - 1} positive widths of the hidden layers")
    return jnp.asarray(np.concatenate([[1.0], n[1:] / n[:-1]])[: depth - 1])


@partial(jax.jit, static_argnums=0)
def _recursion(phi, K, c_b, c_w, lambda_b, lambda_w, ratio):
    def layer(state, inputs):
        rates, r = inputs
        new = _layer(phi, state, c_b, c_w, *rates, r)
        return new, new

    zero = {name: jnp.zeros(()) for name in ("G1", "V", "W6", "H1", *TANGENT)}
    first = {"K": K, "Theta": lambda_b[0] + lambda_w[0] * (K - c_b) / c_w, **zero}
    _, rest = jax.lax.scan(layer, first, ((lambda_b[1:], lambda_w[1:]), ratio))
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)


def _layer(phi, state, c_b, c_w, lambda_b, lambda_w, r):
    """The next layer of all quantities."""
    K, V, G1, W6, Theta = (state[name] for name in ("K", "V", "G1", "W6", "Theta"))
    mean = lambda f: gaussian_mean(f, K)
    s, s1, s2 = (derivative(phi, k) for k in range(3))
    second = lambda f, slope: mean(lambda z: z * f(z) * slope(z) * (z * z - 3 * K)) / (2 * K**3)  # ½ d²⟨f²⟩/dK², f' = slope, times 2

    m2, m4, m6 = (mean(lambda z, k=k: s(z) ** k) for k in (2, 4, 6))
    zss = mean(lambda z: z * s(z) * s1(z)) / K
    parallel, perpendicular = c_w * zss, c_w * mean(lambda z: s1(z) ** 2)
    h = c_w * mean(lambda z: z * s1(z) * s2(z)) / (2 * K)
    K2, perpendicular2 = c_w * second(s, s1), c_w * second(s1, s2)
    sigma = c_w**2 * (m4 - m2**2)
    dsigma = c_w**2 * (2 * mean(lambda z: z * s(z) ** 3 * s1(z)) / K - 2 * m2 * zss)

    out = {
        "K": c_b + c_w * m2,
        "Theta": lambda_b + lambda_w * m2 + perpendicular * Theta,
        "V": sigma + r * parallel**2 * V,
        "G1": r * (parallel * G1 + K2 * V / 2),
        "W6": c_w**3 * (m6 - 3 * m4 * m2 + 2 * m2**3)
        + 3 * r * parallel * dsigma * V
        + r**2 * (parallel**3 * W6 + 3 * parallel**2 * K2 * V**2),
    }
    share = lambda_w / c_w
    omega_K = share * parallel + 2 * h * Theta
    metric = share * (parallel * G1 + K2 * V / 2) + Theta * (2 * h * G1 + perpendicular2 * V / 2)
    out["H1"] = r * (perpendicular * state["H1"] + metric + 2 * h * (state["D"] + 2 * state["F"]))
    return out | _tangent_layer(phi, state, c_w, lambda_w, r, parallel, perpendicular, h, omega_K)


def _tangent_layer(phi, state, c_w, lambda_w, r, parallel, perpendicular, h, omega_K):
    """The next layer of A … U; F, B, P and Q enter R … T with their new values."""
    K, V, Theta = (state[name] for name in ("K", "V", "Theta"))
    A, B, D, F, P, Q, R, S, T, U = (state[name] for name in TANGENT)
    mean = lambda f: gaussian_mean(f, K)
    s, s1, s2, s3 = (derivative(phi, k) for k in range(4))
    omega = lambda z: lambda_w * s(z) ** 2 + c_w * Theta * s1(z) ** 2
    m2, m_omega, share = mean(lambda z: s(z) ** 2), mean(omega), lambda_w / c_w
    curved = c_w**2 * mean(lambda z: s(z) * s2(z) * s1(z) ** 2) * Theta**2
    double = c_w**2 * mean(lambda z: (s1(z) * s2(z)) ** 2) * Theta**3
    ss2, s1s3, s2s2 = (c_w * mean(lambda z, f=f: f(z)) for f in (lambda z: s(z) * s2(z), lambda z: s1(z) * s3(z), lambda z: s2(z) ** 2))

    A_new = mean(lambda z: omega(z) ** 2) - m_omega**2
    A_new += r * (omega_K**2 * V + 2 * omega_K * perpendicular * D + perpendicular**2 * A)
    B_new = c_w**2 * mean(lambda z: s1(z) ** 4) * Theta**2 + r * perpendicular**2 * B
    D_new = c_w * (mean(lambda z: s(z) ** 2 * omega(z)) - m2 * m_omega)
    D_new += r * (parallel * omega_K * V + parallel * perpendicular * D)
    F_new = c_w**2 * mean(lambda z: (s(z) * s1(z)) ** 2) * Theta + r * parallel**2 * F
    P_new = curved + r * (ss2 * perpendicular * B + parallel * perpendicular * P)
    Q_new = curved + share * F_new + r * (2 * h * parallel * Theta * F + parallel * perpendicular * Q)
    R_new = c_w**2 * mean(lambda z: s3(z) * s1(z) ** 3) * Theta**3 + share * P_new
    R_new += r * (s1s3 * perpendicular * Theta * B + 2 * h * perpendicular * Theta * P + perpendicular**2 * R)
    S_new = double + share * B_new + r * (s2s2 * perpendicular * Theta * B + perpendicular**2 * S)
    T_new = double + 2 * share * Q_new - share**2 * F_new
    T_new += r * ((2 * h * Theta) ** 2 * F + 4 * h * Theta * perpendicular * Q + perpendicular**2 * T)
    U_new = double + r * perpendicular**2 * U
    return dict(zip(TANGENT, (A_new, B_new, D_new, F_new, P_new, Q_new, R_new, S_new, T_new, U_new), strict=True))
