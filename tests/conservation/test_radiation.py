"""Every watt that comes from the sky is absorbed somewhere or goes back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skies import airs_of, prepare_day, random_cover, random_forcing, random_latitude

from chase_jax.physics import atmosphere, radiation

N = 1000


@pytest.mark.parametrize("seed", range(8))
def test_absorbed_and_reflected_add_up(seed):
    forcing, latitude = random_forcing(seed, N), random_latitude(seed, N)
    day = prepare_day(atmosphere.Parameters.default(N), forcing, latitude, 8)
    canopy, rest = random_cover(seed, N)
    optics = radiation.canopy_optics(*canopy)
    absorb = jax.jit(radiation.absorb)
    for step in range(8):
        air = jax.tree.map(lambda leaf, k=step: leaf[k], airs_of(day))
        light = air.direct_visible + air.diffuse_visible + air.direct_infrared + air.diffuse_infrared
        found = absorb(optics, air, *rest)
        parts = [found.upper_leaf, found.upper_stem, found.lower, found.soil, found.snow, found.reflected]
        scale = np.maximum(np.asarray(light), 1e-300)
        assert np.max(np.abs(np.asarray(sum(parts) - light)) / scale) < 1e-12
        assert all(np.all(np.asarray(part) >= -1e-13 * scale) for part in parts)
        assert np.all(np.asarray(found.upper_leaf_visible) <= np.asarray(found.upper_leaf) + 1e-13 * scale)
        assert np.all(np.asarray(found.lower_leaf_visible) <= np.asarray(found.lower) + 1e-13 * scale)


def test_what_is_not_there_absorbs_nothing():
    forcing = random_forcing(1, N)
    day = prepare_day(atmosphere.Parameters.default(N), forcing, jnp.full(N, 30.0), 4)
    air = jax.tree.map(lambda leaf: leaf[2], airs_of(day))
    canopy, (*_, soil, snow) = random_cover(1, N)
    zero, one = jnp.zeros(N), jnp.ones(N)
    optics = radiation.canopy_optics(*canopy)
    bare = radiation.absorb(optics, air, zero, zero, zero, soil, snow)
    for name in ("upper_leaf", "upper_stem", "lower", "snow"):
        np.testing.assert_array_equal(getattr(bare, name), 0.0)
    visible, infrared = air.direct_visible + air.diffuse_visible, air.direct_infrared + air.diffuse_infrared
    expected = soil.visible * visible + soil.infrared * infrared
    np.testing.assert_allclose(bare.reflected, expected, rtol=1e-12)
    buried = radiation.absorb(optics, air, zero, zero, one, soil, snow)
    for name in ("upper_leaf", "lower", "soil"):
        np.testing.assert_array_equal(getattr(buried, name), 0.0)
