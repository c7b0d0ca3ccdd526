"""How the means of a day are spread over its intervals: shared formulas that keep each mean.

Intervals are equal parts of the day in local solar time, the first of which begins at midnight.

Source:
    foley1996 (the disaggregation of IBIS, here deterministic and exact in its daily means).
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.numerics.smooth import safe_divide
from chase_jax.physics import thermodynamics as thermo
from chase_jax.typing import PerCell

HOURS_PER_DAY = 24.0  # h
STORM_KINDS = ("duration", "flat")
GOLDEN_SECTION = 0.6180339887498949  # 1
STORM_SHORTEST = 1.0  # h
STORM_HOURS, STORM_EXPONENT = 2.3, 0.35  # h and 1, see storm_hours
TRACE = 1.0  # kg m-2, of rain in a day, that keeps the air damp for half its time
RAIN_DIMMING = 0.75  # 1, share of the light that is missing in rain: 0.16 of clear sky passes its clouds, kasten1980
CLEAR_SKY = 0.75  # 1, of sunlight through a clear sky, allen1998, eq. 37
DRIEST_REST = 0.8  # 1, of the day's mean humidity, that is left at least outside rain; choice of this project
RELATIVE_HUMIDITY_LIMIT = 0.99  # 1, foley1996: the air never quite saturates
HUMIDITY_ITERATIONS = 6  # ends exactly for the wave of temperature below, with and without rain
WET_BULB_ITERATIONS = 2  # Halley steps; 0.02 K at worst between -30 and 40 C


def temperature_wave(substeps: int) -> np.ndarray:
    r"""Deviation of each interval's temperature from the daily mean, in units of the diurnal range, (substep,), 1.

    $$ \gamma(t) = 0.44 - 0.46\sin(\pi t/12 + 0.9) + 0.11\sin(\pi t/6 + 0.9), \quad t\ \text{in hours}, $$

    averaged exactly over each interval; the mean of gamma, 0.44, is left out.

    Args:
        substeps: Number of intervals of the day, 1.

    Source:
        foley1996.
    """
    time = np.linspace(0.0, HOURS_PER_DAY, substeps + 1)
    slow, fast = np.pi / 12.0, np.pi / 6.0
    integral = 0.46 / slow * np.cos(slow * time + 0.9) - 0.11 / fast * np.cos(fast * time + 0.9)
    return np.diff(integral) * (substeps / HOURS_PER_DAY)


def storm_hours(precipitation: PerCell) -> PerCell:
    r"""Duration of the rain of a day, $D = \mathrm{clip}(2.3\,P^{0.35}, 1, 24)$ with P in kg m-2 a day, h.

    A storm of this length has the mean square intensity, $P^2 / D$, of the hourly precipitation measured on 344 days
    at US-Bi1, US-Hn1 and Col de Porte, to which coefficient and exponent were fitted; 2680 days at 1-km pixels of the
    Cance have 2.5 and 0.31. It rains longer, but little of the water falls in the remaining hours.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.

    Source:
        This project's, from measurements.
    """
    amount = precipitation * const.SECONDS_PER_DAY
    return jnp.clip(STORM_HOURS * smooth.power(amount, STORM_EXPONENT), STORM_SHORTEST, HOURS_PER_DAY)


class Storm(eqx.Module):
    """When it rains in an interval.

    Attributes:
        before (..., cell): Share of the interval before the rain, 1.
        during (..., cell): Share of the interval in which it rains, 1.
        demand (..., cell): Evaporative demand of the air in rain over that outside, 1, > 0.
    """

    before: jax.Array
    during: jax.Array
    demand: jax.Array


def place_storm(precipitation: PerCell, substeps: int, day_of_year: PerCell) -> Storm:
    r"""The rain of a day in its intervals, leaves (substep, cell).

    It falls evenly over the D hours of :func:`storm_hours`, which begin with the interval of the hour

    $$ t_0 = 24\,\mathrm{frac}(\varphi\,n), $$

    n the day of the year and $\varphi$ the golden section: at any hour alike over the days, as foley1996 draws it at
    random, but the same in every run. Rain that does not end before midnight falls in the morning of the same day. The
    demand in rain is that which :data:`RAIN_DIMMING` and the damp air leave.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        substeps: Number of intervals of the day, 1.
        day_of_year (): Day of the year n, 1.

    Source:
        foley1996; the sequence is this project's.
    """
    hours = storm_hours(precipitation)
    length = HOURS_PER_DAY / substeps
    turn = jnp.mod(GOLDEN_SECTION * day_of_year, 1.0).astype(hours.dtype)
    start = length * jnp.floor(turn * substeps)
    edge = jnp.arange(substeps, dtype=hours.dtype)[:, None] * length
    before = jnp.clip((start - edge) / length, 0.0, 1.0)
    evening = jnp.clip((start + hours - edge) / length, 0.0, 1.0) - before
    morning = jnp.clip((start + hours - HOURS_PER_DAY - edge) / length, 0.0, 1.0)
    before = jnp.where(morning > 0.0, 0.0, before)
    demand = 1.0 - RAIN_DIMMING * _damping(precipitation)
    return Storm(before, morning + evening, jnp.broadcast_to(demand, before.shape))


def storm_shares(precipitation: PerCell, storm: Storm | None, substeps: int) -> jax.Array:
    """Precipitation of each interval over the day's mean, (substep, cell), 1, with mean one.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        storm: Result of :func:`place_storm`; None for rain all day long.
        substeps: Number of intervals of the day, 1.
    """
    if storm is None:
        return jnp.ones((substeps, *precipitation.shape), precipitation.dtype)
    return storm.during * (HOURS_PER_DAY / storm_hours(precipitation))


def _damping(precipitation: PerCell) -> PerCell:
    """How much rain acts on the air, P / (P + 1) with P in kg m-2 a day: a trace has no effect, 1."""
    amount = precipitation * const.SECONDS_PER_DAY
    return amount / (amount + TRACE)


def damp_shares(precipitation: PerCell, storm: Storm | None, substeps: int) -> jax.Array:
    r"""Share of each interval in which rain keeps the air damp and dark, $r_k = \frac{P}{P + 1}\,d_k$, 1.

    The first factor, with P in kg m-2 a day, leaves a trace of rain without effect, d is the share of the interval in
    which it rains. Rain all day long says nothing about the air.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        storm: Result of :func:`place_storm`; None for rain all day long.
        substeps: Number of intervals of the day, 1.

    Returns:
        (substep, cell): Share, 0 to 1.
    """
    if storm is None:
        return jnp.zeros((substeps, *precipitation.shape), precipitation.dtype)
    return storm.during * _damping(precipitation)


def dim_light(light: jax.Array, damp: jax.Array, clearness: PerCell) -> jax.Array:
    r"""Light of each interval over the day's mean, less while it rains, with the same mean, (substep, cell), 1.

    $$ l_k \frac{1 - D\,r_k}{1 - D\,\bar r}, \qquad D = \min\Big(0.75, \frac{(1 - K/0.75)_+}{\bar r}\Big) , $$

    with the mean $\bar r$ of r weighted with the light, so that the rest of the day is no brighter than a clear sky.

    Args:
        light (substep, cell): Light under an even sky over the day's mean l, 1.
        damp (substep, cell): Result of :func:`damp_shares` r, 1.
        clearness (cell,): Share of the light above the air that reaches the ground that day K, 1.

    Source:
        kasten1980 (light under clouds that rain); the bound is this project's.
    """
    mean = jnp.mean(light * damp, axis=0)
    room = jnp.maximum(1.0 - clearness / CLEAR_SKY, 0.0)
    lost = jnp.minimum(RAIN_DIMMING * mean, room)
    share = safe_divide(lost, mean)
    return light * (1.0 - share * damp) / (1.0 - lost)


def level_humidity(daily_mean: PerCell, capacity: jax.Array, damp: jax.Array) -> jax.Array:
    r"""Humidity of each interval: near saturation in rain, else one level for the whole day, where the air can hold it.

    $$ q_k = (1 - r_k)\min(q_0, c_k) + r_k c_k $$

    with the level $q_0$ that keeps the daily mean. During rain the air is close to saturation, which is why wet leaves
    dry slowly before it ends (stewart1977). Where rain is so long that the rest of the day
    would have to hold less than four fifths of the mean, all $r_k$ are scaled down. Where the air cannot hold the mean,
    every interval is at its capacity and the mean falls short. Newton's method on a piecewise linear, concave function
    ends after finitely many steps.

    Args:
        daily_mean (cell,): Specific humidity of the day, 1.
        capacity (substep, cell): The most each interval can hold c_k, 1.
        damp (substep, cell): Share of each interval with damp air r_k, 0 to 1.

    Returns:
        (substep, cell): Specific humidity, 1.

    Source:
        stewart1977 for the air in rain; the rest is this project's.
    """
    number = capacity.shape[0]
    intervals = [capacity[k] for k in range(number)]  # sums over a list fuse, a reduction does not
    least = DRIEST_REST * daily_mean
    wanted = sum(damp[k] * jnp.maximum(most - least, 0.0) for k, most in enumerate(intervals))
    room = number * (daily_mean - least)
    scale = jnp.where(wanted > room, room / jnp.where(wanted > room, wanted, 1.0), 1.0)
    shares = [scale * damp[k] for k in range(number)]
    pairs = list(zip(shares, intervals, strict=True))
    level = daily_mean
    for _ in range(HUMIDITY_ITERATIONS):
        held = sum((1.0 - share) * jnp.minimum(level, most) + share * most for share, most in pairs)
        rising = sum(
            ((1.0 - share) * (most > level).astype(level.dtype) for share, most in pairs), jnp.zeros_like(level)
        )
        level = level + safe_divide(number * daily_mean - held, rising)
    return jnp.stack([(1.0 - share) * jnp.minimum(level, most) + share * most for share, most in pairs])


def wet_bulb_temperature(temperature: PerCell, humidity: PerCell, pressure: PerCell) -> PerCell:
    r"""Wet-bulb temperature $T_w$ of $c_p (T - T_w) = L_v (q_s(T_w) - q)$, by Halley's method, K.

    The curvature of q_s is taken from its exponential form, $q_s'' = q_s'^2 / q_s$. Supersaturated air has $T_w = T$.

    Args:
        temperature (cell,): Air temperature T, K.
        humidity (cell,): Specific humidity q, 1.
        pressure (cell,): Air pressure, Pa.

    Source:
        wmo2008 (psychrometer equation).
    """
    cp, lv = const.SPECIFIC_HEAT_AIR, const.LATENT_HEAT_VAPORIZATION
    wet = temperature
    for _ in range(WET_BULB_ITERATIONS):
        saturation = thermo.saturation_humidity(wet, pressure)
        excess = cp * (wet - temperature) + lv * (saturation.humidity - humidity)
        slope = cp + lv * saturation.slope
        curvature = lv * saturation.slope * saturation.slope / saturation.humidity
        wet = wet - 2.0 * excess * slope / (2.0 * slope * slope - excess * curvature)
    return jnp.minimum(wet, temperature)
