"""A network trained on one point, whose gradients are outer products; and the model of second order that it follows.

θ_k = θ_0 + Σ_{j<k} tableau_kj g_j λ ∂z(θ_j). A gradient moves weights by an outer product λ_W/n v sᵀ of a layer's inputs s and of
v = ∂z_out/∂z, so that all trainings of a network read the same initial weights and add what few vectors say. Gradient flow of one
point, dθ/dz = λ ∂z/H, ends at z = y after a finite path: g = (y - z_0)/(H · steps); descent has g = (y - z) ρ/H_0, ρ = ηH_0, and
Newton's method g = (y - z)/H.

With ε = z - y and its own ddH frozen, a network has the second-order model  Δz = -ηHε + η²/2 dH ε² - η³/6 ddH_I ε³,
ΔH = -2η dH ε + η² (ddH_I + ddH_II) ε²,  ΔdH = -η (ddH_I + 2 ddH_II) ε,  which misses the next power of 1/n.

Source: Roberts, Yaida & Hanin, "The Principles of Deep Learning Theory" (2022), chapter ∞.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class OnePoint(NamedTuple):
    """Which readout learns which target; `flow`, `rate` = ρ and `newton` are the weights of the three g, `tableau` (T + 1, T)."""

    readout: Any
    goal: Any
    flow: Any
    rate: Any
    newton: Any
    tableau: Any


def runge_kutta(steps) -> np.ndarray:
    """Row k: which of the gradients before it, at equal steps, make up the parameters of gradient k; the last row makes up the end."""
    weights = np.array([1, 2, 2, 1]) / 6
    stages = np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 1, 0]])
    full = np.kron(np.tril(np.ones((steps, steps)), -1), np.tile(weights, (4, 1))) + np.kron(np.eye(steps), stages)
    return np.vstack([full, np.tile(weights, steps)])


def steps_in_turn(steps) -> np.ndarray:
    """The tableau of steps that each add one gradient."""
    return np.tril(np.ones((steps + 1, steps)), -1)


def train_on_one_point(phi, params, x, rates, training: OnePoint):
    """z and H before and after training, of one readout of a multilayer perceptron of several: four numbers.

    `params` are those of `models.MLP`, x (inputs,), `rates` = λ_b and λ_W, one number per layer each. Everything in the dtype of x.
    """
    dtype, depth, T = x.dtype, len(rates[0]), training.tableau.shape[1]
    training = jax.tree.map(lambda a: a if a.dtype == int else a.astype(dtype), training)
    W, b = ([params[name][l][...] for l in range(depth)] for name in ("weights", "biases"))
    W[-1], b[-1] = W[-1][:, training.readout][:, None], b[-1][training.readout][None]
    lambda_b, lambda_w = ([a.astype(dtype) for a in jnp.asarray(r, float)] for r in rates)
    lambda_w = [a / len(w) for a, w in zip(lambda_w, W, strict=True)]

    def gradient(scale, past):
        def forward(shift):
            s, inputs = x, []
            for l in range(depth):
                S, V = past[l]
                inputs.append(s)
                z = s @ W[l] + b[l] + shift[l] + (scale * (lambda_b[l] + lambda_w[l] * (S @ s))) @ V
                s = phi(z)
            return z[0], inputs

        (z, inputs), v = jax.value_and_grad(forward, has_aux=True)([jnp.zeros_like(a) for a in b])
        H = sum(jnp.vdot(v[l], v[l]) * (lambda_b[l] + lambda_w[l] * jnp.vdot(s, s)) for l, s in enumerate(inputs))
        return z, H, list(zip(inputs, v, strict=True))

    past, g = [(jnp.zeros((T, w.shape[0]), dtype), jnp.zeros((T, w.shape[1]), dtype)) for w in W], jnp.zeros(T, dtype)
    z_0, H_0, _ = gradient(g, past)

    def move(state, k):
        past, g = state
        z, H, new = gradient(training.tableau[k] * g, past)
        past = jax.tree.map(lambda a, row: a.at[k].set(row), past, new)
        to_go = (training.rate / H_0 + training.newton / H) * (training.goal - z)
        return (past, g.at[k].set(training.flow * (training.goal - z_0) / H + to_go)), None

    (past, g), _ = jax.lax.scan(move, (past, g), jnp.arange(T))
    z, H, _ = gradient(training.tableau[T] * g, past)
    return z_0, H_0, z, H


def second_order_change(z, H, dH, first, second, y, rates, steps):
    """H_∞ - H_0 of the second-order model, between -H_0 and H_0, for networks (n,): (n, algorithm).

    Algorithms are gradient flow, `steps` of descent at each ηH_0 of `rates`, and as many of Newton's. z, H, dH, ddH_I = `first` and
    ddH_II = `second` are those at the start. Under flow H = H_0 - 2 dH p + (ddH_I + 2 ddH_II) p² with p = ∫ε dt, so that p solves a
    cubic equation.
    """
    G = first + 2 * second
    p = (z - y) / H
    for _ in range(8):
        p += (z - y - H * p + dH * p**2 - G * p**3 / 3) / (H - 2 * dH * p + G * p**2)

    def descend(rate, newton):
        def step(_, state):
            z, h, d = state
            eps, eta = z - y, rate / H + newton / h
            a = eta * eps
            return z - a * h + a**2 / 2 * d - a**3 / 6 * first, h - 2 * a * d + a**2 * (first + second), d - a * G

        return jax.lax.fori_loop(0, steps, step, (z, H, dH))[1] - H

    change = jnp.stack([G * p**2 - 2 * dH * p, *(descend(r, 0.0) for r in rates), descend(0.0, 1.0)], axis=1)
    return jnp.clip(jnp.nan_to_num(change, nan=jnp.inf), -H[:, None], H[:, None])
