"""The tangent kernel and its differentials against dense derivatives, closed forms and steps of gradient descent."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dltheory.finite_width import ddntk, dntk, layer_rates, ntk
from dltheory.models import MLP, critical, functional
from dltheory.numerics import Estimate


def network(*sizes, phi="tanh", dtype=float, networks=(), **how):
    """Parameters, of variance 1/fan-in where that means something, and `apply`; drawn by NumPy: compiling a draw takes a second."""
    built = {}

    def build():
        params, built["apply"] = functional(MLP(sizes, phi, critical(), key=jax.random.key(0), dtype=dtype, **how))
        return params

    rng = np.random.default_rng(0)
    draw = lambda p: jnp.asarray(rng.normal(size=(*networks, *p.shape)) / p.shape[0] ** 0.5, dtype)
    return jax.tree.map(draw, jax.eval_shape(build)), built["apply"]


def random_rates(params):
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda p: jnp.asarray(rng.uniform(0.5, 2.0, p.shape)), params)


def points(number, inputs=2):
    return jnp.asarray(np.random.default_rng(2).normal(size=(number, inputs)))


def dense(apply, params, x, order):
    """Derivatives (points, outputs, θ, …) of the outputs by the flattened parameters, of orders 1 … `order`."""
    flat, unravel = ravel_pytree(params)
    derivatives = itertools.accumulate(range(order), lambda f, _: jax.jacfwd(f), initial=lambda p: apply(unravel(p), x).output)
    return [jax.jit(f)(flat) for f in list(derivatives)[1:]]


def scalar_ntk(apply, params, x, rates):
    return ntk(apply, params, x, rates=rates)[:, 0, :, 0]


@pytest.fixture(scope="module")
def case():
    """A network with one output, three points, and a rate for each parameter."""
    params, apply = network(2, 3, 3, 1)
    return apply, params, points(3), random_rates(params)


@pytest.fixture(scope="module")
def differentials(case):
    """dH, ddH^I and ddH^II by their definitions."""
    apply, params, x, rates = case
    j, h, t = (d[:, 0] for d in dense(apply, params, x, 3))
    lam = ravel_pytree(rates)[0]
    v = j * lam[None]
    return (
        jnp.einsum("amn,bm,cn->abc", h, v, v),
        jnp.einsum("amnr,bm,cn,dr->abcd", t, v, v, v, optimize=True),
        jnp.einsum("amn,n,brn,cm,dr->abcd", h, lam, h, v, v, optimize=True),
    )


@pytest.fixture(scope="module")
def found(case):
    """The same by `dntk` and `ddntk`, with 6 pairs, 10 triples and 9 ordered pairs in blocks of 4, and points two at a time."""
    apply, params, x, rates = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dltheory.finite_width.empirical.ROWS", 4)
        patch.setattr("dltheory.finite_width.empirical.POINTS", 2)
        return dntk(apply, params, x, rates=rates), *ddntk(apply, params, x, rates=rates)


@pytest.mark.parametrize("block", [None, 4])  # 21 rows in blocks of 4, 21 points in blocks of 16: the last are filled up
def test_ntk_is_the_product_of_jacobians(block):
    params, apply = network(2, 4, 3)
    x, rates = points(28), random_rates(params)
    (j,) = dense(apply, params, x, 1)
    exact = jnp.einsum("aim,bjm,m->aibj", j[:7], j[7:], ravel_pytree(rates)[0])
    np.testing.assert_allclose(ntk(apply, params, x[:7], x[7:], rates=rates, block=block), exact, rtol=1e-11, atol=1e-12)


def test_differentials_are_their_definitions(found, differentials):
    for tensor, exact in zip(found, differentials, strict=True):
        np.testing.assert_allclose(tensor, exact, rtol=1e-11, atol=1e-12)


def test_differentials_of_several_networks_at_once(case, differentials):
    apply, params, x, rates = case
    networks = jax.tree.map(lambda p: jnp.stack([-2 * p, p]), params)
    found = jax.vmap(lambda p: (dntk(apply, p, x[:1], rates=rates), *ddntk(apply, p, x[:1], rates=rates)))(networks)
    for tensor, exact in zip(found, differentials, strict=True):
        assert tensor.shape == (2,) + (1,) * exact.ndim
        np.testing.assert_allclose(tensor[1].ravel(), exact.ravel()[:1], rtol=1e-11)


def test_symmetries_of_the_differentials(found):
    dH, first, second = found
    same = lambda a, *order: np.allclose(a, a.transpose(order), rtol=1e-11, atol=0)
    assert same(dH, 0, 2, 1) and not same(dH, 1, 0, 2)
    assert same(first, 0, 2, 3, 1) and same(first, 0, 2, 1, 3) and not same(first, 1, 0, 2, 3)
    assert same(second, 1, 0, 3, 2) and not same(second, 0, 1, 3, 2)


def test_chain_of_linear_neurons_in_closed_form():
    """z = x ∏w: in units of the z's the differentials are s₁, s₁² - s₂, s₁³ - 3 s₁s₂ + 2 s₃, s₁³ - 2 s₁s₂ + s₃; s_k = Σ (λ/w²)^k."""
    w, lam, x = jnp.array([0.7, -1.2, 0.9, 1.4]), jnp.array([1.0, 0.5, 2.0, 0.3]), jnp.array([0.8, -0.6])
    chain = lambda params, x: jnp.prod(jnp.stack(params["w"])) * x[:, None]  # points that are numbers, outputs without `Activations`
    params, rates = {"w": list(w)}, {"w": list(lam)}
    a, z = lam / w**2, x * jnp.prod(w)
    s_1, s_2, s_3 = (jnp.sum(a**k) for k in (1, 2, 3))
    first, second = ddntk(chain, params, x, rates=rates)
    close = lambda found, exact: np.testing.assert_allclose(found, exact, rtol=1e-12)
    close(scalar_ntk(chain, params, x, rates), jnp.einsum("a,b->ab", z, z) * s_1)
    close(dntk(chain, params, x, rates=rates), jnp.einsum("a,b,c->abc", z, z, z) * (s_1**2 - s_2))
    zzzz = jnp.einsum("a,b,c,d->abcd", z, z, z, z)
    close(first, zzzz * (s_1**3 - 3 * s_1 * s_2 + 2 * s_3))
    close(second, zzzz * (s_1**3 - 2 * s_1 * s_2 + s_3))


def test_rates_are_ones_or_numbers_or_a_prefix():
    w, x = {"w": [jnp.array([0.7, -1.2]), jnp.array(0.4)]}, points(1)
    f = lambda params, x: jnp.tanh(x @ params["w"][0][:, None] + params["w"][1])
    H = ntk(f, w, x)
    for rates in 3, {"w": jnp.float32(3)}, {"w": [3.0, 3.0]}, {"w": [jnp.full(2, 3.0), jnp.array(3.0)]}:
        np.testing.assert_allclose(ntk(f, w, x, rates=rates), 3 * H, rtol=1e-13)


def test_a_function_that_closes_over_what_is_vmapped():
    params, x = jnp.array([0.7, -1.2]), points(1)
    found = jax.vmap(lambda c: dntk(lambda w, x: c * x @ jnp.sin(w)[:, None], params, x))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(found[1], 8 * found[0], rtol=1e-13)


def test_a_step_of_gradient_descent_is_followed_to_third_order(case, found):
    """Three points with different loss gradients ε: what is left of Δz falls as η⁴, of ΔH as η³."""
    apply, params, x, rates = case
    eps = jnp.array([0.8, -0.5, 0.3])
    once, twice, bent = (tensor @ eps for tensor in found)
    twice, bent = twice @ eps, bent @ eps

    @jax.jit
    def step(eta):
        slope = jax.grad(lambda p: jnp.dot(apply(p, x).output[:, 0], eps))(params)
        moved = jax.tree.map(lambda p, lam, v: p - eta * lam * v, params, rates, slope)
        return apply(moved, x).output[:, 0], scalar_ntk(apply, moved, x, rates)

    def remainders(eta):
        z_theory = z - eta * H @ eps + eta**2 / 2 * once @ eps - eta**3 / 6 * twice @ eps
        H_theory = H - eta * (once + once.T) + eta**2 / 2 * (twice + twice.T + 2 * bent)
        return [np.max(np.abs(found - theory)) for found, theory in zip(step(eta), (z_theory, H_theory), strict=True)]

    z, H = map(np.asarray, step(0.0))
    once, twice, bent, eps = map(np.asarray, (once, twice, bent, eps))
    etas = 2.0 ** -np.arange(8, 11)
    orders = [np.polyfit(np.log(etas), np.log(found), 1)[0] for found in zip(*map(remainders, etas), strict=True)]
    np.testing.assert_allclose(orders, [4, 3], atol=0.05)


def test_rates_of_the_theory_in_a_linear_network_of_two_layers():
    """z = w·h, h = W x, no biases, width n: H = λ₁K|w|² + λ₂|h|²/n, dH = 2 λ₁λ₂ K z/n, ddH^I = 0, ddH^II = λ₁λ₂ K H/n."""
    n, inputs, lam = 5, 3, (0.7, 1.9)
    params, apply = network(inputs, n, 1, phi="linear", bias=False)
    x = points(1, inputs)
    K, h, w = np.sum(x**2) / inputs, x @ params["weights"][0][...], params["weights"][1][...]
    rates = layer_rates(params, 0.0, np.array(lam))
    H, scale = lam[0] * K * jnp.sum(w**2) + lam[1] * jnp.sum(h**2) / n, lam[0] * lam[1] * K / n
    first, second = ddntk(apply, params, x, rates=rates)
    np.testing.assert_allclose(scalar_ntk(apply, params, x, rates)[0, 0], H, rtol=1e-13)
    np.testing.assert_allclose(dntk(apply, params, x, rates=rates)[0, 0, 0], 2 * scale * (h @ w)[0, 0], rtol=1e-12)
    np.testing.assert_allclose(first, 0, atol=1e-14)
    np.testing.assert_allclose(second[0, 0, 0, 0], scale * H, rtol=1e-12)


def test_rates_of_the_theory_layer_by_layer():
    for networks in (), (7,):  # one network, and a stack of them
        params, _ = network(3, 5, 1, networks=networks)
        rates = layer_rates(params, 0.5, np.array([3.0, 10.0]))
        assert jax.tree.structure(rates) == jax.tree.structure(params)
        np.testing.assert_array_equal([rates["weights"][l][...] for l in (0, 1)], [1, 2])
        np.testing.assert_array_equal([rates["biases"][l][...] for l in (0, 1)], [0.5, 0.5])


def test_many_networks_agree_with_the_theory_at_order_one_over_width():
    """tanh at layer 3, C_W = 1, λ_b = 1/l: ⟨H⟩ and n⟨dH z⟩ = P + 2Q of the recursion, n⟨ddH^I + 2 ddH^II⟩ as measured on the page."""
    n = 32
    params, apply = network(2, n, n, 1, networks=(4000,))
    params["biases"] = jax.tree.map(jnp.zeros_like, params["biases"])

    def measure(params):
        x, rates = jnp.ones((1, 2)), layer_rates(params, 1 / np.arange(1, 4), 1.0)
        dH, (first, second) = dntk(apply, params, x, rates=rates), ddntk(apply, params, x, rates=rates)
        z, H = apply(params, x).output, scalar_ntk(apply, params, x, rates)
        return jnp.stack([H[0, 0], n * dH[0, 0, 0] * z[0, 0], n * (first + 2 * second)[0, 0, 0, 0]])

    found = Estimate.of(jax.jit(jax.vmap(measure))(params))
    exact = np.array([1.730268324, -0.6904544 - 2 * 0.3128444, -10.52])
    assert (abs(found.z(exact)) < 5).all() and (found.standard_error < np.array([0.01, 0.06, 0.4])).all()


def test_memory_is_that_of_a_block_whatever_the_number_of_points():
    params, apply = network(20, 128, 128, 1)

    def temporary(number):
        compiled = jax.jit(lambda params, x: ntk(apply, params, x, block=8)).lower(params, points(number, 20)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    jacobian = 300 * 8 * sum(p.size for p in jax.tree.leaves(params))
    assert temporary(300) < jacobian / 10
    assert temporary(900) < temporary(300) + 2 * 8 * 900**2  # and H itself


def test_precision_is_that_of_the_parameters(case):
    apply, params, x, rates = case
    single = jax.tree.map(lambda p: p.astype(jnp.float32), params)
    assert dntk(apply, single, np.asarray(x), rates=rates).dtype == ntk(apply, single, x, x.astype(jnp.float32)).dtype == jnp.float32
    assert layer_rates(single, 0.5, 1.0)["weights"][0][...].dtype == jnp.float32


def test_errors_name_what_is_wrong(case):
    apply, params, x, _ = case
    several, wide = network(2, 3)
    with pytest.raises(ValueError, match="outputs=3: must be 1"):
        dntk(wide, several, x)
    with pytest.raises(ValueError, match="outputs=3: must be 1"):
        ddntk(wide, several, x)
    with pytest.raises(ValueError, match=r"outputs of shape \(1,\)"):
        ntk(lambda p, x: apply(p, x).output[:, 0], params, x)
    with pytest.raises(ValueError, match="block=0"):
        ntk(apply, params, x, block=0)
    with pytest.raises(ValueError, match=r"rates: one of shape \(2,\)"):
        ntk(apply, params, x, rates=jax.tree.map(lambda p: jnp.ones(2), params))
    with pytest.raises(ValueError, match="lambda_w of shape"):
        layer_rates(params, 1.0, np.ones(2))
    with pytest.raises(ValueError, match="weights and biases of an MLP"):
        layer_rates({"w": jnp.ones((2, 2))}, 1.0, 1.0)
