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
STORM_CENTRE = 16.0  # h of local solar time, when convective rain peaks
STORM_SHORTEST = 4.0  # h
STORM_LENGTHENING = 0.6  # h per kg m-2 of the day's precipitation
RELATIVE_HUMIDITY_LIMIT = 0.99  # 1, foley1996: the air never quite saturates
HUMIDITY_ITERATIONS = 4  # ends exactly, after three for the wave of temperature below
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


def storm_shares(precipitation: PerCell, substeps: int, storm: str) -> jax.Array:
    r"""Precipitation of each interval over the day's mean, (substep, cell), 1, with mean one.

    Of the kind "duration" it falls evenly over $D = \mathrm{clip}(4 + 0.6 P, 4, 24)$ hours about 16 h local solar
    time, moved forward where the event would run past midnight (P in kg m-2 a day); of the kind "flat", over all day.

    Args:
        precipitation (cell,): Mean precipitation of the day, kg m-2 s-1.
        substeps: Number of intervals of the day, 1.
        storm: "duration" or "flat".

    Source:
        The range of 4 to 24 h is that of foley1996, who draws it at random; its growth with the amount is this
        project's.
    """
    if storm == "flat":
        return jnp.ones((substeps, *precipitation.shape), precipitation.dtype)
    amount = precipitation * const.SECONDS_PER_DAY
    hours = jnp.clip(STORM_SHORTEST + STORM_LENGTHENING * amount, STORM_SHORTEST, HOURS_PER_DAY)
    start = jnp.minimum(STORM_CENTRE - 0.5 * hours, HOURS_PER_DAY - hours)
    time = jnp.linspace(0.0, HOURS_PER_DAY, substeps + 1, dtype=hours.dtype)[:, None]
    return substeps * jnp.diff(jnp.clip((time - start) / hours, 0.0, 1.0), axis=0)


def level_humidity(daily_mean: PerCell, capacity: jax.Array) -> jax.Array:
    """Humidity of each interval: one level for the whole day, cut off where the air would saturate.

    The level is raised until the daily mean is kept. Where the air cannot hold it, every interval is at its capacity
    and the mean falls short. Newton's method on a piecewise linear, concave function ends after finitely many steps.

    Args:
        daily_mean (cell,): Specific humidity of the day, 1.
        capacity (substep, cell): The most each interval can hold, 1.

    Returns:
        (substep, cell): Specific humidity, 1.

    Source:
        This project's.
    """
    intervals = [capacity[k] for k in range(capacity.shape[0])]  # sums over a list fuse, a reduction does not
    level = daily_mean
    for _ in range(HUMIDITY_ITERATIONS):
        held = sum(jnp.minimum(level, most) for most in intervals)
        rising = sum(((most > level).astype(level.dtype) for most in intervals), jnp.zeros_like(level))
        level = level + safe_divide(len(intervals) * daily_mean - held, rising)
    return jnp.minimum(level, capacity)


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
