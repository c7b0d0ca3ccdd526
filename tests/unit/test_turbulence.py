"""Stability factors, bulk exchange, the wind inside vegetation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.physics import turbulence
from chase_jax.physics import vegetation as plants

FACTOR = turbulence.louis_factor(jnp.log(10.0 / 0.01))


def test_neutral_air_has_factor_one_and_the_same_slope_from_both_sides():
    np.testing.assert_allclose(turbulence.stability(jnp.array(0.0), FACTOR), (1.0, 1.0))
    for index, slope in ((0, -10.0), (1, -15.0)):
        gradient = jax.grad(lambda r, i=index: turbulence.stability(r, FACTOR)[i])
        np.testing.assert_allclose(gradient(jnp.array(0.0)), slope, rtol=1e-3)
        np.testing.assert_allclose(gradient(jnp.array(-1e-8)), slope, rtol=0.02)


def test_stability_damps_and_instability_enhances():
    richardson = jnp.linspace(-3.0, 2.0, 101)
    for factor in turbulence.stability(richardson, FACTOR):
        assert np.all(np.diff(factor) <= 0.0)
        assert np.all(np.asarray(factor) > 0.0)
        assert factor[0] == turbulence.stability(jnp.array(-2.0), FACTOR)[0] or factor[0] > 1.0
    assert turbulence.stability(jnp.array(1.0), FACTOR)[1] == turbulence.stability(jnp.array(5.0), FACTOR)[1]


def test_louis_numbers_by_hand():
    momentum, heat = turbulence.stability(jnp.array(0.2), FACTOR)
    np.testing.assert_allclose(momentum, 1.0 / (1.0 + 2.0 / np.sqrt(2.0)), rtol=1e-12)
    np.testing.assert_allclose(heat, 1.0 / (1.0 + 3.0 * np.sqrt(2.0)), rtol=1e-12)
    x = np.log(1000.0)
    y = (0.4 / x) ** 2 * np.exp(0.5 * x) * np.sqrt(0.5)
    momentum, heat = turbulence.stability(jnp.array(-0.5), FACTOR)
    np.testing.assert_allclose(momentum, 1.0 + 5.0 / (1.0 + 75.0 * y), rtol=1e-9)
    np.testing.assert_allclose(heat, 1.0 + 7.5 / (1.0 + 75.0 * y), rtol=1e-9)


def test_bulk_conductance_is_the_log_law_in_neutral_air_and_rises_with_surface_temperature():
    neutral = turbulence.bulk_conductance(jnp.array(4.0), 280.0, 280.0, 10.0, 1e-2, 1e-3)
    np.testing.assert_allclose(neutral, 0.16 * 4.0 / (np.log(1e3) * np.log(1e4)), rtol=1e-12)
    surface = jnp.linspace(250.0, 310.0, 61)
    conductance = turbulence.bulk_conductance(jnp.array(4.0), 280.0, surface, 10.0, 1e-2, 1e-3)
    assert np.all(np.diff(conductance) >= 0.0)
    calm = turbulence.bulk_conductance(jnp.array([0.0, 0.5]), 280.0, 280.0, 10.0, 1e-2, 1e-3)
    assert calm[0] == calm[1] > 0.0


def geometry_of(kind, leaf_area, snow=0.0):
    vegetation = plants.from_class(np.atleast_1d(kind))
    n = np.size(kind)
    cover = plants.canopy(vegetation, jnp.full(n, leaf_area))
    if leaf_area == 0.0:
        cover = jax.tree.map(jnp.zeros_like, cover)
    return turbulence.geometry(vegetation, cover, jnp.full(n, snow))


def test_without_leaves_the_profile_is_that_of_bare_ground():
    geometry = geometry_of(7, 0.0)
    # levels stand a centimetre apart just above the roughness length, so the whole path is one log law
    height = turbulence.SOIL_ROUGHNESS + 0.02 + turbulence.SCREEN_HEIGHT
    log_profile = np.log(height / turbulence.SOIL_ROUGHNESS)
    to_ground = geometry.log_above + geometry.diffusion_above + geometry.log_between + geometry.diffusion_between
    top = turbulence.SOIL_ROUGHNESS + 0.01
    expected = log_profile * np.log(height / top) / 0.16
    np.testing.assert_allclose(to_ground, expected, rtol=0.02)
    wind = np.log(top / turbulence.SOIL_ROUGHNESS) / log_profile
    np.testing.assert_allclose(geometry.wind_ground, wind, rtol=0.02)


def test_wind_and_exchange_fade_under_denser_forest():
    thin, dense = geometry_of(15, 0.5), geometry_of(15, 6.0)
    assert dense.wind_between < thin.wind_between
    assert dense.wind_ground < thin.wind_ground
    assert dense.log_between + dense.diffusion_between > thin.log_between + thin.diffusion_between


def test_every_class_is_regular_in_every_season():
    kinds = np.arange(1, 25)
    for leaf_area in (0.0, 1e-6, 0.1, 3.0, 8.0):
        for snow in (0.0, 0.5, 1.0):
            for leaf in jax.tree.leaves(geometry_of(kinds, leaf_area, snow)):
                assert np.all(np.isfinite(leaf))
                assert np.all(np.asarray(leaf) >= 0.0)


def test_forest_exchanges_more_than_grass_and_snow_less():
    wind, one = jnp.full(1, 4.0), jnp.ones(1)

    def above(geometry):
        neutral = (one, one)
        return turbulence.exchange(geometry, turbulence.reference_wind(geometry, wind), 1.2 * one, neutral, one).above

    assert above(geometry_of(15, 4.0)) > above(geometry_of(7, 2.0)) > above(geometry_of(7, 2.0, snow=1.0))
