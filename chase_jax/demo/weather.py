"""Generated daily weather of a temperate monsoon climate over the demo valley, on a 5-km grid.

Rain comes by a latent Gaussian field that persists from day to day and varies in space; it is frequent and heavy in
summer, rare in winter, more on high ground and less in the dry southwest. Temperature follows the season, wanders from
day to day and falls with altitude; cloud links rain to radiation, humidity and the daily range. Two long dry spells and
one flood storm are laid in, so that recession, drought and flood can be seen in two years.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
import pandas as pd

from chase_jax.constants import SOLAR_CONSTANT
from chase_jax.demo import terrain
from chase_jax.physics import sky
from chase_jax.physics.elevation import LAPSE_RATE

SEED = 1979
PERIOD = ("2000-01-01", "2001-12-31")
COORDINATE = np.arange(-32500.0, 32501.0, 5000.0)  # m, both axes
LATITUDE = 36.0  # degrees north
DRY_SPELLS = (("2000-10-05", "2000-11-06"), ("2001-04-24", "2001-05-27"))
FLOOD = ("2001-07-17", "2001-07-20")
WET_WINTER, WET_SUMMER = 0.20, 0.58  # 1, share of days with rain
AMOUNT_WINTER, AMOUNT_SUMMER = 3.2, 9.5  # mm, of a day with rain
YEAR_MEAN, YEAR_SWING = 283.4, 14.0  # K, mean and half range of the year's course at 700 m
REFERENCE_ALTITUDE = 700.0  # m


def generate(valley: terrain.Valley) -> tuple[dict[str, np.ndarray], pd.DatetimeIndex]:
    """Weather (time, y, x) in the units of the table of variables, with its `surface_altitude` (y, x), and the days.

    Args:
        valley: Result of :func:`chase_jax.demo.terrain.build`.
    """
    time = pd.date_range(*PERIOD)
    day = time.day_of_year.to_numpy()
    summer = 0.5 - 0.5 * np.cos(2 * np.pi * (day - 20) / 365.25)  # 0 in late January, 1 in late July
    altitude, shadow = _ground(valley)
    draw = np.random.default_rng(SEED)
    rain, cloud = _rain(time, summer, altitude, shadow, draw)

    wander = _persistent(draw.standard_normal(time.size), 0.78) * (2.0 + 1.6 * (1 - summer))
    course = YEAR_MEAN - YEAR_SWING * np.cos(2 * np.pi * (day - 23) / 365.25) + wander
    falling = LAPSE_RATE * (altitude - REFERENCE_ALTITUDE)
    temperature = course[:, None, None] - falling - 2.2 * (cloud - 0.4) * (summer[:, None, None] - 0.3)
    spread = 13.5 - 7.5 * cloud + 0.8 * _persistent(draw.standard_normal(time.size), 0.3)[:, None, None]
    spread = np.maximum(spread, 2.5)

    number = jnp.asarray(day, dtype=float)
    light = sky.sunlight(jnp.full(day.size, LATITUDE), number, 1).insolation[0]
    top = SOLAR_CONSTANT * np.asarray(light * sky.eccentricity_factor(number))
    thin_air = np.minimum(1.0 + 4e-5 * (altitude - REFERENCE_ALTITUDE), 1.12)
    shortwave = top[:, None, None] * (0.70 - 0.42 * cloud) * thin_air

    pressure = 101325.0 * (1 - 2.25577e-5 * altitude) ** 5.2559 * (1 - 0.006 * (summer[:, None, None] - 0.5))
    dew_point = temperature - 0.5 * spread - 3.5 * (1 - cloud) * (1.2 - summer[:, None, None])
    celsius = dew_point - 273.15
    vapor = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    gust = np.exp(0.35 * _persistent(draw.standard_normal(time.size), 0.5) - 0.06)
    height = 1 + 0.25 * (altitude - REFERENCE_ALTITUDE) / 1000
    wind = (2.7 - 0.7 * summer)[:, None, None] * gust[:, None, None] * height
    return {
        "precipitation": rain / 86400.0,
        "air_temperature": temperature,
        "air_temperature_min": temperature - 0.5 * spread,
        "air_temperature_max": temperature + 0.5 * spread,
        "shortwave_down": shortwave,
        "specific_humidity": 0.622 * vapor / (pressure - 0.378 * vapor),
        "air_pressure": pressure,
        "wind_speed": np.clip(wind, 0.5, 15.0),
        "surface_altitude": altitude,
    }, time


def _ground(valley: terrain.Valley) -> tuple[np.ndarray, np.ndarray]:
    """Mean altitude around every grid point, m, and how dry its place is, 0 to 1."""
    east, north = np.meshgrid(terrain.COORDINATE, terrain.COORDINATE[::-1])
    here, altitude = valley.fields["active"], valley.fields["surface_altitude"]
    points = np.stack(np.meshgrid(COORDINATE, COORDINATE[::-1]), -1)
    far = np.hypot(points[..., :1] - east[here], points[..., 1:] - north[here])
    weight = np.exp(-((far / 3500.0) ** 2)) + 1e-12 * np.exp(-far / 20000.0)  # beyond the rim: the nearest ground
    salt = (np.array(terrain.SALT_CENTER) - 30.0) * 1000.0
    dry = 1 / (1 + np.exp((np.hypot(points[..., 0] - salt[0], points[..., 1] - salt[1]) - 14000.0) / 2500.0))
    return (weight * altitude[here]).sum(-1) / weight.sum(-1), dry


def _rain(time, summer, altitude, shadow, draw) -> tuple[np.ndarray, np.ndarray]:
    """Precipitation, mm per day, and cloudiness, 0 to 1, both (time, y, x)."""
    regional = _persistent(draw.standard_normal(time.size), 0.55)
    for begin, end in DRY_SPELLS:
        regional[(time >= begin) & (time <= end)] = -3.5
    storm = np.asarray((time >= FLOOD[0]) & (time <= FLOOD[1]))
    regional[storm] = 2.6
    angle, phase, length = (draw.random((time.size, 8)) for _ in range(3))
    wave = np.stack([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)]) / (15000.0 + 30000.0 * length)
    east, north = np.meshgrid(COORDINATE, COORDINATE[::-1])
    turns = wave[0][..., None, None] * east + wave[1][..., None, None] * north + phase[..., None, None]
    local = np.cos(2 * np.pi * turns).sum(1) / 2.0
    latent = math.sqrt(0.75) * regional[:, None, None] + math.sqrt(0.25) * local
    uniform = 0.5 * (1 + np.vectorize(math.erf)(latent / math.sqrt(2)))

    monsoon = summer**2.2
    chance = (WET_WINTER + (WET_SUMMER - WET_WINTER) * monsoon)[:, None, None] * (1 - 0.35 * shadow)
    mean = (AMOUNT_WINTER + (AMOUNT_SUMMER - AMOUNT_WINTER) * monsoon)[:, None, None]
    rank = np.clip((uniform - 1 + chance) / chance, 0, 1 - 1e-4)  # 0 at the edge of rain, 1 in the heaviest
    lift = np.clip(0.85 + 0.28 * (altitude - REFERENCE_ALTITUDE) / 1000, 0.7, 1.7) * (1 - 0.5 * shadow)
    rain = mean * lift * (-np.log1p(-rank)) ** 1.35 / math.gamma(2.35)
    cloud = 1 / (1 + np.exp(-(latent + 0.25 + 1.2 * (chance - 0.4)) / 0.55))
    return np.where(rain < 0.1, 0.0, rain), cloud


def _persistent(noise: np.ndarray, memory: float) -> np.ndarray:
    """First-order autoregressive series (time,) of variance 1 from white noise."""
    series = noise.copy()
    for step in range(1, noise.size):
        series[step] = memory * series[step - 1] + math.sqrt(1 - memory**2) * noise[step]
    return series
