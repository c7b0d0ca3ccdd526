"""Small sites with hourly weather, shared by the tests of the site mode."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from chase_jax.model import site
from chase_jax.physics import thermodynamics as thermo
from chase_jax.physics.atmosphere import Measured

HOURS = 24
CLASSES = np.array([7, 9, 11, 14])  # grass, shrub and grass, deciduous and evergreen forest


def columns(**keywords):
    """Four columns of different plants, soils and latitudes; the last two over a shallow water table."""
    given = {
        "latitude": np.array([47.0, 35.0, 45.0, 62.0]),
        "longitude": np.array([6.0, -119.0, 10.0, 25.0]),
        "clock": 1.0,
        "vegetation_class": CLASSES,
        "sand": np.array([0.4, 0.7, 0.3, 0.6]),
        "clay": np.array([0.2, 0.1, 0.35, 0.1]),
        "water_table_depth": np.array([20.0, 10.0, 2.5, 3.0]),
        "drainage_time": 7200.0,
    }
    return site.Site.default(**(given | keywords))


def weather(days, seed=0, longwave=True, phases=True, mean=(283.0, 300.0, 275.0, 266.0)):
    """Random hourly weather from summer heat to frost and snowfall, with a leaf area of every day."""
    draw, cells = np.random.default_rng(seed), len(mean)
    shape = (days * HOURS, cells)
    hour = np.tile(np.arange(HOURS) + 0.5, days)[:, None]
    sun = np.maximum(np.sin((hour - 6.0) * np.pi / 12.0), 0.0)
    temperature = np.array(mean) + 5.0 * np.sin((hour - 9.0) * np.pi / 12.0) + draw.normal(0.0, 1.0, shape)
    pressure = draw.uniform(8e4, 1e5, shape)
    saturated = np.asarray(thermo.saturation_humidity(jnp.asarray(temperature), jnp.asarray(pressure)).humidity)
    fall = draw.exponential(1e-3, shape) * (draw.random(shape) < 0.3)
    frozen = np.clip((274.0 - temperature) / 2.0, 0.0, 1.0)
    measured = Measured(
        temperature=temperature,
        specific_humidity=saturated * draw.uniform(0.2, 0.98, shape),
        pressure=pressure,
        wind_speed=draw.uniform(0.0, 8.0, shape),
        shortwave_down=sun * draw.uniform(50.0, 900.0, shape),
        rain=fall * (1.0 - frozen) if phases else fall,
        snowfall=fall * frozen if phases else None,
        longwave_down=draw.uniform(0.7, 1.0, shape) * 5.67e-8 * temperature**4 if longwave else None,
    )
    leaf_area = draw.uniform(0.5, 4.0, (days, cells))
    return site.Weather.from_series(measured, HOURS, 100.0 + np.arange(days), leaf_area)
