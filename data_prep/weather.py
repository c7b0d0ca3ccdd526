r"""Daily weather that stations do not give: radiation, humidity and pressure from what they do give."""

from __future__ import annotations

import numpy as np

SOLAR_CONSTANT = 1367.0  # W m-2, allen1998
LATENT_HEAT = 2.45e6  # J kg-1, allen1998
HARGREAVES_FACTOR = 0.0023  # K-1/2 K-1, hargreaves1985
HARGREAVES_OFFSET = 17.8  # K
SECONDS_PER_DAY = 86400.0  # s
DAYS_PER_YEAR = 365.25
PRIESTLEY_TAYLOR = 1.26  # 1, priestley1972
NET_SHARE = 0.85 * 0.9  # 1, of shortwave: what is absorbed (albedo 0.15), less a tenth into the ground; kimball1997
LEAST_ANNUAL_PRECIPITATION = 80.0  # kg m-2 year-1, below which no aridity is told apart


def extraterrestrial_radiation(latitude: np.ndarray, day_of_year: np.ndarray) -> np.ndarray:
    r"""Daily mean of the radiation on a horizontal plane above the air, W m-2.

    $$ R_a = \frac{S_0}{\pi} d_r (\omega_s \sin\varphi \sin\delta + \cos\varphi \cos\delta \sin\omega_s) $$

    Args:
        latitude (...): Latitude, degree.
        day_of_year (time, ...): Day of the year, 1 to 366; broadcasts against `latitude`.

    Source:
        allen1998, eqs. 21 to 25.
    """
    phi, angle = np.deg2rad(latitude), 2.0 * np.pi * day_of_year / 365.0
    distance, declination = 1.0 + 0.033 * np.cos(angle), 0.409 * np.sin(angle - 1.39)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1.0, 1.0))
    return (SOLAR_CONSTANT / np.pi * distance) * (
        sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    )


def diurnal_range_from_evapotranspiration(
    potential_evapotranspiration: np.ndarray, air_temperature: np.ndarray, radiation: np.ndarray
) -> np.ndarray:
    r"""Diurnal temperature range that a potential evapotranspiration after Hargreaves and Samani was computed with.

    $$ \Delta T = \Big(\frac{\lambda E_p}{0.0023\,R_a\,(T + 17.8)}\Big)^2 $$

    Args:
        potential_evapotranspiration (...): E_p, kg m-2 s-1.
        air_temperature (...): Daily mean T, K.
        radiation (...): Extraterrestrial radiation R_a, W m-2, > 0.

    Returns:
        (...): Range, K, at least 0.5 and at most 30; the neutral 8 where it is colder than -17 degrees Celsius.

    Source:
        hargreaves1985, inverted.
    """
    warmth = air_temperature - 273.15 + HARGREAVES_OFFSET
    safe = np.maximum(HARGREAVES_FACTOR * radiation * warmth, 1e-6)
    spread = (LATENT_HEAT * potential_evapotranspiration / safe) ** 2
    return np.where(warmth > 0.8, np.clip(spread, 0.5, 30.0), 8.0)


def shortwave_from_diurnal_range(diurnal_range: np.ndarray, radiation: np.ndarray, factor: float) -> np.ndarray:
    r"""Daily mean shortwave radiation at the surface, $k \sqrt{\Delta T}\, R_a$, at most three quarters of R_a.

    Args:
        diurnal_range (...): Range of the air temperature over the day, K.
        radiation (...): Extraterrestrial radiation R_a, W m-2.
        factor: k, K-1/2; 0.16 is usual inland.

    Source:
        hargreaves1985; allen1998, eq. 50.
    """
    return np.minimum(factor * np.sqrt(diurnal_range), 0.75) * radiation


def shortwave_from_sunshine(share: np.ndarray, radiation: np.ndarray) -> np.ndarray:
    r"""Daily mean shortwave radiation at the surface, $(0.25 + 0.50\,n/N) R_a$, W m-2.

    Args:
        share (...): Hours of sunshine over the possible ones n/N, 1.
        radiation (...): Extraterrestrial radiation R_a, W m-2.

    Source:
        allen1998, eq. 35.
    """
    return (0.25 + 0.50 * share) * radiation


def vapor_pressure(dew_point: np.ndarray) -> np.ndarray:
    """Vapor pressure over water, Pa. Argument: dew_point (...), K. Source: bolton1980, eq. 10."""
    celsius = dew_point - 273.15
    return 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))


def dew_point(pressure_of_vapor: np.ndarray) -> np.ndarray:
    """Dew point, K, the inverse of :func:`vapor_pressure`. Argument: pressure_of_vapor (...), Pa."""
    logarithm = np.log(pressure_of_vapor / 611.2)
    return 273.15 + 243.5 * logarithm / (17.67 - logarithm)


def vapor_pressure_of_humidity(humidity: np.ndarray, air_pressure: np.ndarray) -> np.ndarray:
    """Vapor pressure, Pa, the inverse of :func:`specific_humidity`. Arguments: humidity (...), 1; air_pressure, Pa."""
    return humidity * air_pressure / (0.622 + 0.378 * humidity)


def equilibrium_evaporation(
    shortwave_down: np.ndarray, air_temperature: np.ndarray, air_pressure: np.ndarray
) -> np.ndarray:
    r"""Evaporation of a wet surface, $1.26\,\frac{\Delta}{\Delta + \gamma}\,\frac{0.765\,R}{\lambda}$, kg m-2 per day.

    Args:
        shortwave_down (...): Daily mean shortwave radiation R, W m-2.
        air_temperature (...): Daily mean temperature, K.
        air_pressure (...): Air pressure, Pa.

    Source:
        priestley1972; kimball1997 for the energy; allen1998, eqs. 8 and 13, for gamma and Delta.
    """
    slope = 17.67 * 243.5 * vapor_pressure(air_temperature) / (air_temperature - 273.15 + 243.5) ** 2
    share = slope / (slope + 0.665e-3 * air_pressure)
    return PRIESTLEY_TAYLOR * share * NET_SHARE * shortwave_down * SECONDS_PER_DAY / LATENT_HEAT


def dew_point_from_minimum(
    lowest: np.ndarray, diurnal_range: np.ndarray, evaporation: np.ndarray, annual_precipitation: np.ndarray
) -> np.ndarray:
    r"""Dew point from the lowest temperature, which it equals in humid and undercuts in arid climates.

    $$ T_d = T_n [-0.127 + 1.121 (1.003 - 1.444 F + 12.312 F^2 - 32.766 F^3) + 0.0006 \Delta T], \quad F = E_p / P . $$

    Args:
        lowest (...): Lowest temperature of the day, K.
        diurnal_range (...): Highest less lowest temperature of the day, K.
        evaporation (...): Evaporation of a wet surface on the day E_p, kg m-2 per day.
        annual_precipitation (...): Precipitation of a year P, kg m-2 per year; counted as at least 80.

    Returns:
        (...): Dew point, K.

    Source:
        kimball1997, eq. 4.
    """
    ratio = evaporation / np.maximum(annual_precipitation, LEAST_ANNUAL_PRECIPITATION)
    arid = 1.003 + ratio * (-1.444 + ratio * (12.312 - 32.766 * ratio))
    return lowest * (-0.127 + 1.121 * arid + 0.0006 * diurnal_range)


def wind_at_ten_meters(wind_speed: np.ndarray) -> np.ndarray:
    """Wind speed at 10 m from that at 2 m over short grass, m s-1. Source: allen1998, eq. 47."""
    return wind_speed * np.log(67.8 * 10.0 - 5.42) / 4.87


def specific_humidity(pressure_of_vapor: np.ndarray, air_pressure: np.ndarray) -> np.ndarray:
    """Specific humidity, 1. Arguments: pressure_of_vapor and air_pressure (...), Pa."""
    return 0.622 * pressure_of_vapor / (air_pressure - 0.378 * pressure_of_vapor)


def standard_pressure(altitude: np.ndarray) -> np.ndarray:
    """Air pressure of the standard atmosphere, Pa. Argument: altitude (...), m. Source: allen1998, eq. 7."""
    return 101300.0 * ((293.0 - 0.0065 * altitude) / 293.0) ** 5.26
