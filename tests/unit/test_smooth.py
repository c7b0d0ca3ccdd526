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
