r"""Averaging a Gaussian field over blocks: which couplings grow, which stay, and which only seem to vanish.

H = ∫ y_0 φ² + y_1 (∇φ)² + y_2 (∇²φ)² + …, so modes of a side × side lattice are independent with <|φ_q|²> = 1 / 2E(q),
E = Σ_i y_i |q|^{2i}, q in the Brillouin zone. The mean over b × b sites, b times as far apart, is again Gaussian:

    1/E'(Q) = b^{-2} Σ_k |W(q_k)|² / E(q_k),   q_k = (Q + 2πk)/b,   W = Π_x sin(b q_x/2) / (b sin(q_x/2)),

k over the b² aliases. The term k = 0 alone gives E' = b² E(Q/b) / |W|², and with 1/|W|² = 1 + (b²-1)|q|²/12 + …

    y_0' = b² y_0,    y_1' = y_1 + y_0 (b²-1)/12,    y_2' = b^{-2} y_2 + y_1 (1 - b^{-2})/12 + y_0 [5(b²-1)² + ¾(b⁴-1)]/(1440 b²)

(∇⁴ averaged over directions). The first terms, y_i' = b^{2-2i} y_i, are the law of the source; the others come from the window, so the
irrelevant y_2 goes to the fixed value y_1/12 (1 - b^{-2}), not to 0. Aliases are of second order in y_0, and of order Q⁶ at y_0 = 0.

Source: Lin, Tegmark & Rolnick, arXiv:1608.08225, eq. 24, for the average without a further division by b².
"""

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def energy(couplings: Float[Array | np.ndarray, "order"], squared: ArrayLike) -> Array:
    """E = Σ_i y_i |q|^{2i} at |q|²."""
    return jnp.polyval(jnp.asarray(couplings, float)[::-1], jnp.asarray(squared, float))


def momenta(side: int) -> Float[np.ndarray, "2 side side"]:
    """q of the modes of a lattice of spacing 1, in the order of the discrete Fourier transform."""
    q = 2 * np.pi * np.fft.fftfreq(side)
    return np.stack(np.meshgrid(q, q, indexing="ij"))


def block_energy(couplings: Float[Array | np.ndarray, "order"], side: int, block: int) -> Float[Array, "coarse coarse"]:
    """E'(Q) of the block averages at `momenta(side // block)`, all aliases summed. `ValueError` if the block does not divide the side."""
    if block < 1 or side % block:
        raise ValueError(f"block={block}: must divide side={side}")
    q = momenta(side)
    with np.errstate(invalid="ignore"):
        window = np.where(q == 0, 1, np.sin(block * q / 2) / (block * np.sin(q / 2)))
    modes = jnp.asarray(window.prod(0) ** 2) / energy(couplings, (q**2).sum(0))
    coarse = side // block
    return block**2 / jnp.sum(modes.reshape(block, coarse, block, coarse), (0, 2))


def fit_couplings(energies: Float[Array | np.ndarray, "side side"], below: float, order: int = 3) -> Float[Array, "order"]:
    """y_i of least squared relative error of E(q) over the modes with |q| < `below`. `ValueError` if these are too few to tell."""
    squared = (momenta(len(energies)) ** 2).sum(0)
    near = squared < below**2
    if len(np.unique(np.round(squared[near], 12))) < order:
        raise ValueError(f"below={below}: must leave at least {order} distinct |q| of side {len(energies)}")
    scale = below ** (2 * np.arange(order))
    relative = squared[near][:, None] ** np.arange(order) / scale / jnp.asarray(energies)[near][:, None]
    return jnp.linalg.lstsq(relative, jnp.ones(len(relative)))[0] / scale


def tree_level(couplings: Float[Array | np.ndarray, "order"], block: ArrayLike) -> Float[Array, "order"]:
    """b^{2-2i} y_i (eq. 24)."""
    y = jnp.asarray(couplings, float)
    return jnp.asarray(block, float) ** (2.0 - 2 * np.arange(len(y))) * y


def with_window(couplings: Float[Array | np.ndarray, "3"], block: ArrayLike) -> Float[Array, "3"]:
    """(y_0', y_1', y_2') with what the shape of the block adds; exact up to the aliases."""
    y0, y1, _ = jnp.asarray(couplings, float)
    b2 = jnp.asarray(block, float) ** 2
    mixing = y0 * (b2 - 1) / 12, y1 * (1 - 1 / b2) / 12 + y0 * (5 * (b2 - 1) ** 2 + 0.75 * (b2**2 - 1)) / (1440 * b2)
    return tree_level(couplings, block) + jnp.stack([jnp.zeros_like(y0), *mixing])
