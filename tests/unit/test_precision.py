"""Stores in double precision under steps in single precision."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from chase_jax.numerics import precision


def test_small_changes_are_not_lost():
    """A store of 500 mm gains and loses what one rounding of it would swallow or double."""
    exact = jnp.array([500.00001])
    rounded = precision.single(exact)
    assert float(rounded[0]) == 500.0
    for _ in range(1000):
        rounded = precision.single(exact)
        exact = precision.changed(exact, rounded, jnp.nextafter(rounded, jnp.float32(1e9)))
    digit = float(jnp.nextafter(jnp.float32(500.0), jnp.float32(1e9))) - 500.0
    np.testing.assert_allclose(exact, 500.00001 + 1000 * digit, rtol=1e-15)


def test_a_store_that_empties_is_empty_and_none_is_negative():
    exact = jnp.asarray(np.random.default_rng(3).exponential(1.0, 1000) * 10.0 ** np.arange(-20, 5).repeat(40))
    rounded = precision.single(exact)
    assert np.all(np.asarray(precision.changed(exact, rounded, jnp.zeros_like(rounded))) == 0.0)
    for share in (1e-7, 0.3, 0.5, 0.999999):
        left = precision.changed(exact, rounded, rounded * jnp.float32(1.0 - share))
        assert np.all(np.asarray(left) >= 0.0)
        np.testing.assert_allclose(left, exact * (1.0 - share), rtol=2e-7 / (1.0 - share))


def test_integers_stay_and_kinds_change():
    tree = {"index": jnp.arange(3), "value": jnp.ones(3)}
    low = precision.single(tree)
    assert low["value"].dtype == jnp.float32
    assert low["index"].dtype == tree["index"].dtype
    assert precision.double(low)["value"].dtype == jnp.float64
