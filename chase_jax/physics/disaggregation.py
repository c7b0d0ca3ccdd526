"""How the means of a day are spread over its intervals: shared formulas that keep each mean.

Intervals are equal parts of the day in local solar time, the first of which begins at midnight.

Source:
    foley1996 (the disaggregation of IBIS, here deterministic and exact in its daily means).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.numerics.smooth import safe_divide
from chase_jax.physics import thermodynamics as thermo
from chase_jax.typing import PerCell

HOURS_PER_DAY = 24.0  # h
STORM_KINDS = ("duration", "flat")
GOLDEN_SECTION = 0.6180339887498949  # 1
STORM_SHORTEST = 4.0  # h
STORM_LENGTHENING = 0.6  # h per kg m-2 of the day's precipitation
TRACE = 1.0  # kg m-2, of rain in a day, that keeps the air damp for half its time
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
    r"""Duration of the rain of a day, $D = \mathrm{clip}(4 + 0.6 P, 4, 24)$ with P in kg m-2 a day, h.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.

    Source:
        The range of 4 to 24 h is that of foley1996, who draws it at random; its growth with the amount is this
        project's.
    """
    amount = precipitation * const.SECONDS_PER_DAY
    return jnp.clip(STORM_SHORTEST + STORM_LENGTHENING * amount, STORM_SHORTEST, HOURS_PER_DAY)


def storm_shares(precipitation: PerCell, substeps: int, storm: str, day_of_year: PerCell) -> jax.Array:
    r"""Precipitation of each interval over the day's mean, (substep, cell), 1, with mean one.

    Of the kind "duration" it falls evenly over the D hours of :func:`storm_hours`, which begin at

    $$ t_0 = \mathrm{frac}(\varphi\,n)\,(24 - D), $$

    n the day of the year and $\varphi$ the golden section: at any hour alike over the days, as foley1996 draws it at
    random, but the same in every run. Of the kind "flat", it falls over all day.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        substeps: Number of intervals of the day, 1.
        storm: "duration" or "flat".
        day_of_year (): Day of the year n, 1.

    Source:
        foley1996; the sequence is this project's.
    """
    if storm == "flat":
        return jnp.ones((substeps, *precipitation.shape), precipitation.dtype)
    hours = storm_hours(precipitation)
    start = jnp.mod(GOLDEN_SECTION * day_of_year, 1.0).astype(hours.dtype) * (HOURS_PER_DAY - hours)
    time = jnp.linspace(0.0, HOURS_PER_DAY, substeps + 1, dtype=hours.dtype)[:, None]
    return substeps * jnp.diff(jnp.clip((time - start) / hours, 0.0, 1.0), axis=0)


def damp_shares(precipitation: PerCell, shares: jax.Array, storm: str) -> jax.Array:
    r"""Share of each interval in which rain keeps the air damp, $r_k = \frac{P}{P + 1}\,\frac{D}{24}\,s_k$, 1.

    The first factor, with P in kg m-2 a day, leaves a trace of rain without effect. Rain all day long says nothing
    about the air.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        shares (substep, cell): Result of :func:`storm_shares`, 1.
        storm: "duration" or "flat".

    Returns:
        (substep, cell): Share, 0 to 1.
    """
    if storm == "flat":
        return jnp.zeros_like(shares)
    amount = precipitation * const.SECONDS_PER_DAY
    raining = jnp.minimum(shares * storm_hours(precipitation) / HOURS_PER_DAY, 1.0)  # more is rounding
    return raining * amount / (amount + TRACE)


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
