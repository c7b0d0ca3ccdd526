"""Albedos and absorption: limits and directions."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from weather import air_of

from chase_jax.physics import radiation

N = 6
ZERO, ONE = jnp.zeros(N), jnp.ones(N)
NOON = air_of(jnp.full(N, 285.0), shortwave=600.0, cosine_zenith=0.7)
LOAM, SNOW = radiation.Albedo(0.09 * ONE, 0.18 * ONE), radiation.Albedo(0.9 * ONE, 0.6 * ONE)


def absorbed(upper_leaf=3.0, lower_leaf=2.0, upper_cover=0.8, lower_cover=0.5, snow_fraction=0.0, air=NOON, snow=0.0):
    cold = 260.0 * ONE
    areas = (upper_leaf * ONE, 0.5 * ONE, lower_leaf * ONE, 0.1 * ONE)
    optics = radiation.canopy_optics(*areas, snow * ONE, snow * ONE, cold, cold)
    return radiation.absorb(optics, air, upper_cover * ONE, lower_cover * ONE, snow_fraction * ONE, LOAM, SNOW)


def test_soil_darkens_with_clay_and_with_water():
    sand = radiation.soil_albedo(ONE, ZERO, ONE)
    clay = radiation.soil_albedo(ZERO, ONE, ONE)
    np.testing.assert_allclose(sand.visible, 0.12)
    np.testing.assert_allclose(clay.infrared, 0.10)
    drying = radiation.soil_albedo(ONE, ZERO, jnp.linspace(0.0, 1.0, N))
    np.testing.assert_allclose((drying.visible[0], drying.infrared[0]), (0.23, 0.35))
    assert np.all(np.diff(drying.visible) <= 0.0)
    dark = radiation.soil_albedo(ZERO, ONE, ZERO)  # no soil more than doubles its albedo
    np.testing.assert_allclose((dark.visible, dark.infrared), (0.10 * ONE, 0.20 * ONE))


def test_snow_shines_when_the_sun_is_low():
    mu = jnp.linspace(0.0, 1.0, N)
    direct = np.asarray(radiation.snow_direct_albedo(0.7 * ONE, mu))
    assert np.all(np.diff(direct) <= 0.0)
    assert np.all((direct >= 0.7) & (direct <= 0.99))
    np.testing.assert_allclose(direct[-1], 0.7)


def test_more_leaves_take_more_and_leave_less():
    leaf_area = jnp.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
    found = absorbed(upper_leaf=leaf_area)
    assert np.all(np.diff(found.upper_leaf) > 0.0)
    assert np.all(np.diff(found.soil) < 0.0)
    assert np.all(np.diff(found.lower) < 0.0)
    np.testing.assert_array_equal(found.upper_leaf[0], 0.0)
    assert float(found.upper_stem[0]) > 0.0


def test_an_average_forest_and_meadow_have_the_albedo_they_have():
    forest = absorbed(upper_leaf=5.0, upper_cover=0.9)
    meadow = absorbed(upper_cover=0.0, lower_leaf=3.0, lower_cover=0.9)
    assert 0.08 < float(forest.reflected[0]) / 600.0 < 0.20
    assert 0.15 < float(meadow.reflected[0]) / 600.0 < 0.28


def test_snow_on_ground_and_leaves_brightens():
    bare = float(absorbed().reflected[0])
    on_leaves = float(absorbed(snow=0.8).reflected[0])
    on_ground = float(absorbed(snow_fraction=1.0, lower_cover=0.0).reflected[0])
    assert bare < on_leaves
    assert bare < on_ground
    open_snow = absorbed(snow_fraction=1.0, lower_cover=0.0, upper_cover=0.0)
    np.testing.assert_allclose(open_snow.reflected, 0.46 * 600 * 0.9 + 0.54 * 600 * 0.6, rtol=1e-12)


def test_leaves_see_visible_light_mostly():
    found = absorbed(upper_leaf=5.0, upper_cover=1.0)
    share = float(found.upper_leaf_visible[0] / found.upper_leaf[0])
    assert 0.5 < share < 0.75


def test_a_dark_moment_costs_nothing_and_gives_nothing():
    night = dataclasses.replace(
        NOON, direct_visible=ZERO, diffuse_visible=ZERO, direct_infrared=ZERO, diffuse_infrared=ZERO
    )
    found = absorbed(air=night)
    assert all(np.all(np.asarray(leaf) == 0.0) for leaf in (found.upper_leaf, found.soil, found.snow, found.reflected))
