r"""Daily shortwave radiation at the ground where nobody measured it.

All arrays have `time` as their first axis; latitude and altitude lack it. The sunlit part of the day is cut into
intervals of equal length, whose middles stand for them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_prep import weather

DRY_TRANSMITTANCE = 0.870  # 1, of a dry clean atmosphere at sea level towards the zenith; thornton1999, as the next six
VAPOR_EFFECT = -6.1e-5  # Pa-1, of vapor on the transmittance of the day
CLOUD_LEAST, CLOUD_SPAN, CLOUD_DECAY = 0.031, 0.201, 0.185  # K-3/2, K-3/2, K-1
CLOUD_EXPONENT = 1.5  # 1, of the day's range of temperature
CLOUD_LARGEST = 0.9  # 1, share that the thickest cloud takes away
WET_DAY_FACTOR = 0.75  # 1, on the transmittance of a wet day
RANGE_WINDOW = 31  # days, about the day itself, over which the range of temperature is averaged
WET_DAY = 0.0  # kg m-2, precipitation beyond which a day counts as wet; thornton1999
# Share of clear-sky light on dry days between dry days, and what clouds take where it rains, where it rains much, and
# where it rains the day before or after; fitted to three stations that measured light and one that measured sunshine,
# by `experiments/completed_weather.py`.
RAIN_CLEAR, RAIN_CLOUD, RAIN_THICKNESS, RAIN_BESIDE = 0.946, 0.294, 0.113, 0.194  # 1
DIFFUSE_SLOPE = 1.25  # 1, share of diffuse light is 1.25 (1 - transmittance); thornton2000
SEA_LEVEL_PRESSURE = 101300.0  # Pa
INTERVALS = 48  # of the sunlit part of the day


def sun_positions(latitude: np.ndarray, day_of_year: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cosine of the zenith angle, 1, and azimuth of the sun, degree from north over east, at equal steps of daylight.

    Args:
        latitude (...): Latitude, degree.
        day_of_year (time, ...): Day of the year, 1 to 366; broadcasts against `latitude`.

    Yields:
        Cosine and azimuth, each (time, ...), of the middle of each interval from sunrise to sunset.

    Source:
        allen1998, eqs. 24 and 25, as in :func:`data_prep.weather.extraterrestrial_radiation`.
    """
    phi = np.deg2rad(latitude)
    declination = 0.409 * np.sin(2.0 * np.pi * day_of_year / 365.0 - 1.39)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1.0, 1.0))
    for number in range(INTERVALS):
        angle = sunset * (2.0 * (number + 0.5) / INTERVALS - 1.0)
        cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
        east = -np.cos(declination) * np.sin(angle)
        north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(angle)
        yield np.maximum(cosine, 1e-9), np.rad2deg(np.arctan2(east, north)) % 360.0


def air_mass(cosine_zenith: np.ndarray) -> np.ndarray:
    r"""Length of the beam's way through the air over that towards the zenith, 1.

    $$ m = 1/[\cos\theta + 0.50572\,(96.07995° - \theta)^{-1.6364}] $$

    Args:
        cosine_zenith (...): Cosine of the zenith angle, above zero, 1.

    Source:
        kasten1989.
    """
    zenith = np.rad2deg(np.arccos(np.clip(cosine_zenith, 0.0, 1.0)))
    return 1.0 / (cosine_zenith + 0.50572 * (96.07995 - zenith) ** -1.6364)


def clear_sky_transmittance(
    latitude: np.ndarray, day_of_year: np.ndarray, altitude: np.ndarray, vapor_pressure: np.ndarray
) -> np.ndarray:
    r"""Share of the day's light above the air that a clear sky lets through.

    $$ T_c = \frac{\sum \mu\, 0.870^{m\,p/p_0}}{\sum \mu} - 6.1\times10^{-5}\,e , $$

    with the cosine of the zenith angle $\mu$ and the air mass m; not below zero, as low sun in damp air would be.

    Args:
        latitude (...): Latitude, degree.
        day_of_year (time, ...): Day of the year, 1 to 366.
        altitude (...): Altitude, m, from which the pressure p follows.
        vapor_pressure (time, ...): Vapor pressure e, Pa.

    Source:
        thornton1999, eq. 4 and table 1.
    """
    thickness = weather.standard_pressure(altitude) / SEA_LEVEL_PRESSURE
    passed = total = np.zeros(())
    for cosine, _ in sun_positions(latitude, day_of_year):
        passed = passed + cosine * DRY_TRANSMITTANCE ** (thickness * air_mass(cosine))
        total = total + cosine
    return np.maximum(passed / total + VAPOR_EFFECT * vapor_pressure, 0.0)


def cloud_transmittance(diurnal_range: np.ndarray, wet: np.ndarray) -> np.ndarray:
    r"""Share of clear-sky light that clouds let through, told from the day's range of temperature.

    $$ T_f = 1 - 0.9\,e^{-B\,\Delta T^{1.5}}, \qquad B = 0.031 + 0.201\,e^{-0.185\,\overline{\Delta T}} , $$

    on wet days three quarters of that.

    Args:
        diurnal_range (time, ...): Highest less lowest temperature of the day, K; its mean is that of 31 days.
        wet (time, ...): Whether the day had precipitation.

    Source:
        thornton1999, eqs. 8, 11 and table 1.
    """
    usual = running_mean(diurnal_range, RANGE_WINDOW)
    rate = CLOUD_LEAST + CLOUD_SPAN * np.exp(-CLOUD_DECAY * usual)
    clouds = CLOUD_LARGEST * np.exp(-rate * np.maximum(diurnal_range, 0.0) ** CLOUD_EXPONENT)
    return (1.0 - clouds) * np.where(wet, WET_DAY_FACTOR, 1.0)


def cloud_transmittance_of_rain(precipitation: np.ndarray) -> np.ndarray:
    r"""Share of clear-sky light that clouds let through, told from rain alone, where no range of temperature is known.

    $$ T_f = 0.946\,e^{-0.294\,w - 0.113\ln(1 + P) - 0.194\,\overline{w}}, $$

    with P the precipitation of the day in mm, w = 1 on wet days and 0 on dry ones, and $\overline{w}$ its mean of the
    day before and the day after: a dry day between wet ones has clouds, and much rain comes from thick ones.

    Args:
        precipitation (time, ...): Precipitation, kg m-2 s-1.

    Source:
        mccaskill1990 (rain of the day and of its neighbors); the amount and the values are this project's.
    """
    wet, thickness, beside = signs_of_cloud(precipitation)
    return RAIN_CLEAR * np.exp(-RAIN_CLOUD * wet - RAIN_THICKNESS * thickness - RAIN_BESIDE * beside)


def signs_of_cloud(precipitation: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What rain tells of clouds (time, ...), 1: wet days, the logarithm of one and the amount in mm, wet days beside.

    Args:
        precipitation (time, ...): Precipitation, kg m-2 s-1.
    """
    amount = precipitation * weather.SECONDS_PER_DAY
    wet = np.where(amount > WET_DAY, 1.0, 0.0)
    before, after = np.concatenate([wet[:1], wet[:-1]]), np.concatenate([wet[1:], wet[-1:]])
    return wet, np.log1p(amount), 0.5 * (before + after)


def shortwave(
    cloud_transmittance: np.ndarray,
    vapor_pressure: np.ndarray,
    latitude: np.ndarray,
    altitude: np.ndarray,
    day_of_year: np.ndarray,
    horizon: np.ndarray | None = None,
) -> np.ndarray:
    r"""Daily mean shortwave radiation under clouds, $R_a T_c T_f$, W m-2.

    Args:
        cloud_transmittance (time, ...): Share of clear-sky light that clouds let through T_f, 1, from
            :func:`cloud_transmittance` or :func:`cloud_transmittance_of_rain`.
        vapor_pressure (time, ...): Vapor pressure, Pa.
        latitude (...): Latitude, degree.
        altitude (...): Altitude, m.
        day_of_year (time, ...): Day of the year, 1 to 366.
        horizon (azimuth,): Height of the skyline at equal steps of azimuth from north over east, degree; flat if None.

    Returns:
        (time, ...): Shortwave radiation on the horizontal, W m-2.

    Source:
        thornton1999; thornton2000 for the horizon.
    """
    transmittance = clear_sky_transmittance(latitude, day_of_year, altitude, vapor_pressure) * cloud_transmittance
    if horizon is not None:
        transmittance = transmittance * unshaded_share(transmittance, latitude, altitude, day_of_year, horizon)
    return weather.extraterrestrial_radiation(latitude, day_of_year) * transmittance


def unshaded_share(
    transmittance: np.ndarray,
    latitude: np.ndarray,
    altitude: np.ndarray,
    day_of_year: np.ndarray,
    horizon: np.ndarray,
) -> np.ndarray:
    """Share of the day's light that a skyline leaves: the beam while the sun stands above it, and the sky's part.

    Args:
        transmittance (time, ...): Share of the light above the air that an open place would get, 1.
        latitude (...): Latitude, degree.
        altitude (...): Altitude, m.
        day_of_year (time, ...): Day of the year, 1 to 366.
        horizon (azimuth,): Height of the skyline at equal steps of azimuth from north over east, degree.

    Source:
        thornton2000 for the share of diffuse light; an evenly bright sky, of which the mean of cos2 of the skyline is
        seen. Light that the slopes reflect is neglected.
    """
    steps = np.arange(horizon.size + 1) * (360.0 / horizon.size)
    closed = np.append(horizon, horizon[0])
    thickness = weather.standard_pressure(altitude) / SEA_LEVEL_PRESSURE
    seen = total = np.zeros(())
    for cosine, azimuth in sun_positions(latitude, day_of_year):
        beam = cosine * DRY_TRANSMITTANCE ** (thickness * air_mass(cosine))
        above = 90.0 - np.rad2deg(np.arccos(cosine)) > np.interp(azimuth, steps, closed)
        seen, total = seen + beam * above, total + beam
    diffuse = np.clip(DIFFUSE_SLOPE * (1.0 - transmittance), 0.0, 1.0)
    return (1.0 - diffuse) * seen / total + diffuse * np.mean(np.cos(np.deg2rad(horizon)) ** 2)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over `window` days about each day, over fewer at both ends.

    Args:
        values (time, ...): A daily series of any unit.
        window: Number of days, odd.
    """
    half, count = window // 2, len(values)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    low, high = np.maximum(np.arange(count) - half, 0), np.minimum(np.arange(count) + half + 1, count)
    return (sums[high] - sums[low]) / (high - low).reshape(-1, *[1] * (values.ndim - 1))
