"""Random but possible air for tests of open surfaces."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.physics.atmosphere import Air
from chase_jax.physics.thermodynamics import (
    air_density,
    ice_enthalpy,
    liquid_enthalpy,
    saturation_humidity,
    vapor_enthalpy,
)


def air_of(
    temperature,
    relative_humidity=0.7,
    wind_speed=3.0,
    longwave_down=None,
    shortwave=0.0,
    cosine_zenith=0.5,
    rain=0.0,
    snowfall=0.0,
    pressure=9.0e4,
):
    """Air of given temperature (cell,), K; sunlight is half direct, 46 % visible; clear-sky longwave by default."""
    temperature = jnp.asarray(temperature, dtype=float)
    full = lambda value: jnp.broadcast_to(jnp.asarray(value, dtype=float), temperature.shape)  # noqa: E731
    humidity = relative_humidity * saturation_humidity(temperature, pressure).humidity
    if longwave_down is None:
        longwave_down = 0.8 * const.STEFAN_BOLTZMANN * temperature**4
    return Air(
        temperature=temperature,
        specific_humidity=humidity,
        pressure=full(pressure),
        density=air_density(temperature, pressure, humidity),
        wind_speed=full(wind_speed),
        longwave_down=full(longwave_down),
        direct_visible=0.23 * full(shortwave),
        diffuse_visible=0.23 * full(shortwave),
        direct_infrared=0.27 * full(shortwave),
        diffuse_infrared=0.27 * full(shortwave),
        cosine_zenith=full(cosine_zenith),
        rain=full(rain),
        snowfall=full(snowfall),
        rain_enthalpy=liquid_enthalpy(jnp.maximum(temperature, const.MELTING_TEMPERATURE)),
        snow_enthalpy=ice_enthalpy(jnp.minimum(temperature, const.MELTING_TEMPERATURE)),
        vapor_enthalpy=vapor_enthalpy(temperature),
    )


def random_air(seed, n):
    """Weather from polar night to tropical noon, with heavy rain and snowfall here and there."""
    draw = np.random.default_rng(seed)
    temperature = draw.uniform(235.0, 308.0, n)
    precipitation = 3e-3 * draw.random(n) ** 4 * (draw.random(n) < 0.5)
    frozen = np.clip(0.5 + (273.7 - temperature) / 3.0, 0.0, 1.0)
    night = draw.random(n) < 0.4
    return air_of(
        temperature,
        relative_humidity=draw.uniform(0.05, 1.0, n),
        wind_speed=draw.uniform(0.5, 25.0, n),
        longwave_down=draw.uniform(0.6, 1.0, n) * const.STEFAN_BOLTZMANN * temperature**4,
        shortwave=np.where(night, 0.0, draw.uniform(0.0, 1100.0, n)),
        cosine_zenith=np.where(night, 0.0, draw.random(n)),
        rain=(1.0 - frozen) * precipitation,
        snowfall=frozen * precipitation,
    )
