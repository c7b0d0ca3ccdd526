"""Guards of singular arguments hold where stores have decayed to almost nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics import smooth


@pytest.mark.parametrize("left", [0.0, 1e-306, 1e-191, 1e-31, 1e-29, 1.0])
def test_a_share_of_almost_nothing_has_a_finite_derivative(left):
    def share(part, rest):
        return smooth.safe_divide(part, part + rest)

    for value in (share(left, left), *jax.grad(share, argnums=(0, 1))(left, left)):
        assert np.isfinite(value)
    assert smooth.safe_divide(jnp.asarray(left), jnp.asarray(2.0)) == left / 2.0


@pytest.mark.parametrize("left", [0.0, 1e-30, 1e-23, 1e-19, 1e-17, 1.0])
def test_in_single_precision_too(left):
    """There the square of 1e-20 is zero, by which the derivative of a quotient divides."""
    part = jnp.asarray(left, jnp.float32)
    for pair in ((part, 2 * part), (2 * part, part), (part, part), (jnp.float32(0.0), part)):
        for function in (smooth.scaled_minimum, smooth.safe_divide):
            for value in (function(*pair), *jax.grad(function, argnums=(0, 1))(*pair)):
                assert np.isfinite(value)
    for value in (smooth.power(part, 0.7), jax.grad(smooth.power)(part, -1.0)):
        assert np.isfinite(value)
    assert smooth.tiny(part) ** -2 < np.finfo(np.float32).max


def test_a_quotient_of_nothing_is_what_it_is_told():
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(0.0), 7.0) == 7.0
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(-1e-40), 7.0) == 7.0
    assert smooth.safe_divide(jnp.asarray(3.0), jnp.asarray(-1.5)) == -2.0


def test_the_unit_clip_stays_between_zero_and_one_and_follows_its_argument_inside():
    x = jnp.linspace(-3.0, 4.0, 701)
    found = smooth.unit_clip(x, 0.02)
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    np.testing.assert_allclose(found, jnp.clip(x, 0.0, 1.0), atol=0.011)
    inside = (x > 0.2) & (x < 0.8)
    np.testing.assert_allclose(found[inside], x[inside], atol=6e-4)
    slope = jax.vmap(jax.grad(lambda v: smooth.unit_clip(v, 0.02)))(x)
    assert float(slope.min()) >= 0.0


def test_the_step_rises_without_a_kink():
    x = jnp.linspace(-1.0, 2.0, 301)
    found = smooth.step(x)
    assert (float(found[0]), float(found[150]), float(found[-1])) == pytest.approx((0.0, 0.5, 1.0))
    slope = jax.vmap(jax.grad(smooth.step))(x)
    assert float(jnp.abs(jnp.diff(slope)).max()) < 0.07
    assert float(slope.min()) >= 0.0


@pytest.mark.parametrize("span", [0.0, 1e-9, 9e-3, 1.1e-2, 1.0, 40.0, 300.0])
def test_the_mean_of_a_sigmoid_is_that_of_quadrature_and_has_its_slopes(span):
    upper = jnp.asarray([-700.0, -30.0, -1.0, 0.0, 0.5, 3.0, span, 50.0, 800.0])
    nodes, weights = np.polynomial.legendre.leggauss(400)

    def quadrature(upper, span):
        points = upper[:, None] + 0.5 * span * (nodes - 1.0)
        return jnp.sum(0.5 * weights * jax.nn.sigmoid(points), axis=1)

    mean, high, low = smooth.mean_sigmoid(upper, jnp.full_like(upper, span))
    np.testing.assert_allclose(mean, quadrature(upper, span), atol=1e-11)
    np.testing.assert_allclose(high, jax.nn.sigmoid(upper), rtol=1e-14)
    np.testing.assert_allclose(low, jax.nn.sigmoid(upper - span), rtol=1e-13)
    assert float(mean.min()) >= 0.0
    assert float(mean.max()) <= 1.0
    for along in ((1.0, 0.0), (0.0, 1.0)):
        tangents = tuple(jnp.full_like(upper, value) for value in along)
        slope = jax.jvp(lambda a, x: smooth.mean_sigmoid(a, x)[0], (upper, jnp.full_like(upper, span)), tangents)[1]
        expected = jax.jvp(quadrature, (upper, jnp.full((1,), span)), (tangents[0], jnp.full((1,), along[1])))[1]
        np.testing.assert_allclose(slope, expected, atol=1e-9)


def test_a_demand_on_an_empty_store_has_no_slope():
    assert jax.grad(smooth.scaled_minimum, argnums=(0, 1))(0.0, 0.0) == (0.0, 1.0)
    for a, b in ((2.0, 1.0), (1.0, 1.0), (1.0, 3.0), (1e-20, 2e-20)):
        slopes = jax.grad(smooth.scaled_minimum, argnums=(0, 1))(a, b)
        other = jax.grad(smooth.scaled_minimum, argnums=(0, 1))(b, a)
        np.testing.assert_allclose(slopes, other[::-1], rtol=1e-12)
        np.testing.assert_allclose(slopes[0] * a + slopes[1] * b, smooth.scaled_minimum(a, b), rtol=1e-12)
