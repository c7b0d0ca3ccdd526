"""The sun's course, and what the sky sends down: shared formulas of daylight, diffuse light and longwave radiation.

Neglected: the equation of time, refraction, shading by terrain.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics.smooth import safe_divide
from chase_jax.typing import PerCell, Scalar

CLEARNESS_PRIOR = 0.45  # 1, assumed where there is no sun to tell
CLEARNESS_WEIGHT = 1.0  # W m-2, of that assumption against the sunlight at the top of the air
CLEARNESS_RANGE = (0.05, 0.75)  # 1, range of the diffuse fraction's polynomial
CLEAR_SKY_TRANSMISSION = 0.75  # 1, of sunlight through a clear sky near sea level, allen1998, eq. 37


class Sunlight(eqx.Module):
    """The sun's course over a day.

    Attributes:
        insolation (substep, cell): Mean of max(cosine of the zenith angle, 0) over each interval, 1.
        cosine_zenith (substep, cell): Mean of the cosine over that part of the interval in which the sun is up, 1.
    """

    insolation: jax.Array
    cosine_zenith: jax.Array


def declination(day_of_year: Scalar) -> Scalar:
    """Declination of the sun, a Fourier series of the orbital angle, rad.

    Args:
        day_of_year (): Day of the year, 1.

    Source:
        spencer1971.
    """
    g = 2.0 * jnp.pi * day_of_year / 365.2425
    first = 0.006918 - 0.399912 * jnp.cos(g) + 0.070257 * jnp.sin(g)
    second = -0.006758 * jnp.cos(2.0 * g) + 0.000907 * jnp.sin(2.0 * g)
    return first + second - 0.002697 * jnp.cos(3.0 * g) + 0.001480 * jnp.sin(3.0 * g)


def eccentricity_factor(day_of_year: Scalar) -> Scalar:
    """Square of the mean over the actual distance of the sun, 1.

    Args:
        day_of_year (): Day of the year, 1.

    Source:
        spencer1971.
    """
    g = 2.0 * jnp.pi * day_of_year / 365.2425
    first = 1.000110 + 0.034221 * jnp.cos(g) + 0.001280 * jnp.sin(g)
    return first + 0.000719 * jnp.cos(2.0 * g) + 0.000077 * jnp.sin(2.0 * g)


def sunlight(latitude: PerCell, day_of_year: Scalar, substeps: int, ahead: PerCell | float = 0.0) -> Sunlight:
    r"""Cosine of the zenith angle $\mu = A + B\cos\omega$, averaged exactly over each interval.

    $$ A = \sin\phi\sin\delta, \quad B = \cos\phi\cos\delta, \quad
       \int \max(\mu, 0)\,d\omega = \big[A\,\omega' + B\sin\omega'\big], $$

    where $\omega' = \mathrm{clip}(\omega, -H, H)$ and H = arccos(-A/B) is the hour angle of sunset, repeated every day.
    No parameter enters, so no derivative is taken.

    Args:
        latitude (cell,): Latitude, degree north.
        day_of_year (): Day of the year, 1.
        substeps: Number of intervals of the day, 1.
        ahead (cell,): By how much local solar time is ahead of the clock by which the day begins, h.

    Returns:
        The :class:`Sunlight` of the day.

    Source:
        iqbal1983, ch. 4, integrated over the part of each interval in which the sun is up.
    """
    phi, delta = jax.lax.stop_gradient((jnp.deg2rad(latitude), declination(day_of_year)))
    a, b = jnp.sin(phi) * jnp.sin(delta), jnp.maximum(jnp.cos(phi) * jnp.cos(delta), 1e-12)
    cosine_sunset = jnp.clip(-a / b, -1.0, 1.0)
    sunset, sine_sunset = jnp.arccos(cosine_sunset), jnp.sqrt(1.0 - cosine_sunset * cosine_sunset)
    clock = jnp.linspace(-jnp.pi, jnp.pi, substeps + 1, dtype=latitude.dtype)[:, None]
    shifted = clock + jnp.asarray(ahead, latitude.dtype) * (jnp.pi / 12.0)
    days = jnp.round(shifted / (2.0 * jnp.pi))
    hour_angle = shifted - 2.0 * jnp.pi * days
    sine = jnp.where(jnp.abs(hour_angle) < sunset, jnp.sin(hour_angle), jnp.sign(hour_angle) * sine_sunset)
    lit = jnp.diff(jnp.clip(hour_angle, -sunset, sunset) + 2.0 * days * sunset, axis=0)
    integral = jnp.maximum(a * lit + b * jnp.diff(sine + 2.0 * days * sine_sunset, axis=0), 0.0)
    return Sunlight(
        insolation=integral * (substeps / (2.0 * jnp.pi)),
        cosine_zenith=jnp.minimum(safe_divide(integral, lit), 1.0),
    )


def clearness(shortwave_down: PerCell, mean_insolation: PerCell, day_of_year: Scalar) -> PerCell:
    """Share of the sunlight at the top of the air that reaches the ground, 1; 0.45 where there is no sun to tell.

    Args:
        shortwave_down (cell,): Daily mean shortwave radiation, W m-2.
        mean_insolation (cell,): Daily mean of max(cosine of the zenith angle, 0), 1.
        day_of_year (): Day of the year, 1.

    Source:
        iqbal1983, ch. 3; the smooth approach to the polar night is this project's.
    """
    top = const.SOLAR_CONSTANT * eccentricity_factor(day_of_year) * mean_insolation
    return (shortwave_down + CLEARNESS_PRIOR * CLEARNESS_WEIGHT) / (top + CLEARNESS_WEIGHT)


def diffuse_fraction(clearness: PerCell) -> PerCell:
    r"""Share of diffuse light, $1.0045 + 0.0435 k - 3.5227 k^2 + 2.6313 k^3$, 1.

    Args:
        clearness (cell,): Share of the sunlight that reaches the ground k, 1; counted as within 0.05 and 0.75.

    Source:
        foley1996.
    """
    k = jnp.clip(clearness, *CLEARNESS_RANGE)
    return 1.0045 + k * (0.0435 + k * (-3.5227 + k * 2.6313))


def sky_longwave(temperature: jax.Array, humidity: jax.Array, pressure: PerCell, clearness: PerCell) -> jax.Array:
    r"""Longwave radiation from a partly cloudy sky, W m-2.

    $$ L = \big[(1 - n)\,\epsilon_c + n\big]\,\sigma T^4, \qquad
       n = \mathrm{clip}\Big(1 - \frac{k}{0.75}, 0, 1\Big) $$

    with the emissivity of a clear sky (:func:`clear_sky_emissivity`); n is the cloud that takes away what is missing of
    the sunlight of a clear sky.

    Args:
        temperature (substep, cell): Air temperature T, K.
        humidity (substep, cell): Specific humidity, 1.
        pressure (cell,): Air pressure, Pa.
        clearness (cell,): Share of the sunlight that reaches the ground k, 1.

    Source:
        prata1996 (clear sky), crawford1999 (cloud), both among the best of flerchinger2009. Against a winter of
        measurements at 1325 m in the Alps the daily means are within 1 W m-2, with a root mean square error of
        14 W m-2.
    """
    clear = clear_sky_emissivity(temperature, humidity, pressure)
    cloud = jnp.clip(1.0 - clearness / CLEAR_SKY_TRANSMISSION, 0.0, 1.0)
    emissivity = clear + cloud * (1.0 - clear)
    return emissivity * const.STEFAN_BOLTZMANN * fourth_power(temperature)


def clear_sky_emissivity(temperature: jax.Array, humidity: jax.Array, pressure: PerCell) -> jax.Array:
    r"""Emissivity of a clear sky, $1 - (1 + w)\,e^{-\sqrt{1.2 + 3 w}}$ with $w = 46.5\,e/T$, vapor above in g cm-2; 1.

    Args:
        temperature (..., cell): Air temperature T, K.
        humidity (..., cell): Specific humidity, 1, from which the vapor pressure e in hPa follows.
        pressure (..., cell): Air pressure, Pa.

    Source:
        prata1996.
    """
    ratio = const.MOLECULAR_WEIGHT_RATIO
    vapor_pressure = 0.01 * pressure * humidity / (ratio + (1.0 - ratio) * humidity)
    path = 46.5 * jnp.maximum(vapor_pressure, 1e-2) / temperature
    return 1.0 - (1.0 + path) * jnp.exp(-jnp.sqrt(1.2 + 3.0 * path))


def fourth_power(temperature: jax.Array) -> jax.Array:
    """Fourth power of a temperature, K4. Argument: temperature (...), K."""
    square = temperature * temperature
    return square * square
