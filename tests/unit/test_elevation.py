"""Weather moved to another altitude."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from chase_jax.physics import elevation, sky
from chase_jax.physics.thermodynamics import saturation_humidity

HERE = elevation.Weather(jnp.full(3, 285.0), jnp.full(3, 7e-3), jnp.full(3, 9e4))
THERE = elevation.Weather(jnp.full(3, 278.0), jnp.full(3, 4e-3), jnp.full(3, 8e4))


def relative(weather):
    return weather.humidity / saturation_humidity(weather.temperature, weather.pressure).humidity


def test_pressure_is_that_of_the_standard_atmosphere_and_the_relative_humidity_stays():
    below = elevation.Weather(jnp.full(3, 288.15), jnp.full(3, 6e-3), jnp.full(3, 101325.0))
    rise = jnp.array([-300.0, 0.0, 2000.0])
    above = elevation.moved(below, rise)
    np.testing.assert_allclose(above.temperature, [290.1, 288.15, 275.15])
    np.testing.assert_allclose(above.pressure, [104981.0, 101325.0, 79495.0], rtol=3e-4)  # iso2533, from -300 to 2000 m
    np.testing.assert_allclose(relative(above), relative(below), rtol=1e-12)
    assert above.longwave is None


def test_what_went_up_and_comes_down_again_is_what_it_was():
    cloudy = sky.sky_longwave(*HERE[:3], jnp.array([0.75, 0.4, 0.0]))
    weather = HERE._replace(longwave=cloudy)
    rise = jnp.array([800.0, -400.0, 2500.0])
    back = elevation.moved(elevation.moved(weather, rise), -rise)
    for one, other in zip(weather, back, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_longwave_at_another_altitude_is_that_of_the_same_sky():
    clearness = jnp.array([0.75, 0.4, 0.0])  # clear, cloudy, overcast
    found = elevation.longwave(sky.sky_longwave(*HERE[:3], clearness), HERE, THERE)
    np.testing.assert_allclose(found, sky.sky_longwave(*THERE[:3], clearness), rtol=1e-12)
    # a sky darker than a clear one is scaled, and so never below zero
    darker = elevation.longwave(jnp.full(3, 200.0), HERE, THERE)
    share = sky.clear_sky_emissivity(*THERE[:3]) / sky.clear_sky_emissivity(*HERE[:3])
    np.testing.assert_allclose(darker, 200.0 * share * (278.0 / 285.0) ** 4, rtol=1e-12)
    brighter = jnp.full(3, 1.02 * 5.67e-8 * 285.0**4)  # a sky warmer than the air keeps being so
    assert np.all(np.asarray(elevation.longwave(brighter, HERE, THERE)) > 5.67e-8 * 278.0**4)
