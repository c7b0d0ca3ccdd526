r"""The air above a cell: daily weather, split over the sub-steps of the day.

A day of forcing is a set of daily means. The land surface answers to the course of the day, so :func:`prepare_day`
spreads each mean over equal intervals of *local solar time*, the first of which begins at midnight, and keeps it:

- shortwave follows the sun's elevation, integrated exactly over each interval, and is dimmed while it rains;
- temperature follows a fixed wave of the given diurnal range, humidity stays level unless the air would saturate;
- precipitation falls in one event per day, the longer the more of it there is; its phase is that of the daily mean
  wet bulb, because days with precipitation are cloudy and have less of a diurnal wave than their forcing may say;
- longwave, where it is not given, is that of the moist air and of the cloud which the sunshine implies;
- pressure and wind speed stay constant.

:func:`prepare_measured` does the same for weather that was measured through the day, which needs no spreading.

:func:`air` then turns one interval into what the processes read: direct and diffuse light of two bands, rain and
snowfall. Neglected: the equation of time, shading by terrain, the change of cloud within the day.

Source:
    foley1996 (the disaggregation of IBIS, made deterministic here and exact in its daily means).
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.checks import require, require_choice
from chase_jax.numerics.smooth import safe_divide
from chase_jax.physics import disaggregation, sky
from chase_jax.physics import thermodynamics as thermo
from chase_jax.typing import PerCell, Scalar

RAIN_SNOW_WIDTH = 0.6  # K, wet-bulb width over which rain turns into snow
WIND_FLOOR = 0.5  # m s-1, still air is never quite still over a square kilometre

VISIBLE_SHARE = 0.46  # 1, of the shortwave radiation, below 0.7 micrometres (foley1996)


class Forcing(eqx.Module):
    """Mean weather of one day; with a leading `time` axis on every leaf, of a chunk of days.

    Attributes:
        precipitation (cell,): Precipitation, kg m-2 s-1, >= 0.
        air_temperature (cell,): Air temperature, K.
        shortwave_down (cell,): Shortwave radiation on the horizontal, W m-2, >= 0.
        specific_humidity (cell,): Specific humidity, 1.
        air_pressure (cell,): Air pressure at the surface, Pa.
        wind_speed (cell,): Wind speed at 10 m, m s-1.
        longwave_down (cell,): Longwave radiation from the sky, W m-2; not read unless `longwave_given`.
        diurnal_range (cell,): Daily maximum minus daily minimum of air temperature, K, >= 0.
        day_of_year (): Day of the year, 1 on 1 January.
        longwave_given: Whether `longwave_down` holds data (static).
    """

    precipitation: PerCell
    air_temperature: PerCell
    shortwave_down: PerCell
    specific_humidity: PerCell
    air_pressure: PerCell
    wind_speed: PerCell
    longwave_down: PerCell
    diurnal_range: PerCell
    day_of_year: Scalar
    longwave_given: bool = eqx.field(static=True, default=False)


class Parameters(eqx.Module):
    """What may be adjusted about the air.

    Attributes:
        rain_snow_threshold (cell,): Wet-bulb temperature at which half of the precipitation is snow, K.
        longwave_factor (cell,): Factor on longwave radiation where it is computed, 1.
    """

    rain_snow_threshold: PerCell
    longwave_factor: PerCell

    @classmethod
    def default(cls, n_cells: int) -> Parameters:
        """Default values for `n_cells` cells: a threshold of 1 C, no correction of longwave radiation."""
        return cls(rain_snow_threshold=jnp.full(n_cells, 274.15), longwave_factor=jnp.ones(n_cells))


class Interval(eqx.Module):
    """Weather of one sub-step; in a :class:`Day`, of all of them along a leading `substep` axis.

    Attributes:
        temperature (cell,): Air temperature, K.
        specific_humidity (cell,): Specific humidity, 1.
        precipitation (cell,): Precipitation, kg m-2 s-1.
        shortwave_down (cell,): Shortwave radiation on the horizontal, W m-2.
        longwave_down (cell,): Longwave radiation from the sky, W m-2.
        cosine_zenith (cell,): Mean cosine of the solar zenith angle while the sun is up, 1; 0 at night.
        storm: When it rains in the sub-step; None for all the time.
    """

    temperature: jax.Array
    specific_humidity: jax.Array
    precipitation: jax.Array
    shortwave_down: jax.Array
    longwave_down: jax.Array
    cosine_zenith: jax.Array
    storm: disaggregation.Storm | None = None


class Shared(eqx.Module):
    """What all sub-steps of a day have in common.

    Attributes:
        pressure (cell,): Air pressure, Pa.
        wind_speed (cell,): Wind speed at 10 m, m s-1.
        diffuse_fraction (cell,): Share of diffuse light in the shortwave radiation, 1.
        snow_share (cell,): Share of snow in the precipitation, 1.
        rain_enthalpy (cell,): Specific enthalpy of the rain, J kg-1.
        snow_enthalpy (cell,): Specific enthalpy of the snowfall, J kg-1.
    """

    pressure: PerCell
    wind_speed: PerCell
    diffuse_fraction: PerCell
    snow_share: PerCell
    rain_enthalpy: PerCell
    snow_enthalpy: PerCell


class Day(eqx.Module):
    """A day of weather, ready to be scanned over `intervals`.

    Attributes:
        intervals: :class:`Interval` whose leaves have shape (substep, cell).
        shared: What the sub-steps have in common.
    """

    intervals: Interval
    shared: Shared

    def mean(self) -> Interval:
        """The day as one interval; the zenith angle is that of the mean ray."""
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), self.intervals)
        weighted = jnp.mean(self.intervals.cosine_zenith * self.intervals.shortwave_down, axis=0)
        return eqx.tree_at(lambda i: i.cosine_zenith, mean, safe_divide(weighted, mean.shortwave_down))


class Air(eqx.Module):
    """Air of one sub-step as the processes see it; every leaf is (cell,), so that cells can be gathered by `tree.map`.

    Attributes:
        temperature (cell,): Air temperature, K.
        specific_humidity (cell,): Specific humidity, 1.
        pressure (cell,): Air pressure, Pa.
        density (cell,): Density of the moist air, kg m-3.
        wind_speed (cell,): Wind speed at 10 m, m s-1.
        longwave_down (cell,): Longwave radiation from the sky, W m-2.
        direct_visible (cell,): Direct light below 0.7 micrometres on the horizontal, W m-2.
        diffuse_visible (cell,): Diffuse light below 0.7 micrometres, W m-2.
        direct_infrared (cell,): Direct light above 0.7 micrometres on the horizontal, W m-2.
        diffuse_infrared (cell,): Diffuse light above 0.7 micrometres, W m-2.
        cosine_zenith (cell,): Mean cosine of the solar zenith angle while the sun is up, 1; 0 at night.
        rain (cell,): Rainfall, kg m-2 s-1.
        snowfall (cell,): Snowfall, kg m-2 s-1.
        rain_enthalpy (cell,): Specific enthalpy of the rain, J kg-1.
        snow_enthalpy (cell,): Specific enthalpy of the snowfall, J kg-1.
        vapor_enthalpy (cell,): Specific enthalpy of vapor at air temperature, J kg-1.
        storm: When it rains in the sub-step; None for all the time.
    """

    temperature: PerCell
    specific_humidity: PerCell
    pressure: PerCell
    density: PerCell
    wind_speed: PerCell
    longwave_down: PerCell
    direct_visible: PerCell
    diffuse_visible: PerCell
    direct_infrared: PerCell
    diffuse_infrared: PerCell
    cosine_zenith: PerCell
    rain: PerCell
    snowfall: PerCell
    rain_enthalpy: PerCell
    snow_enthalpy: PerCell
    vapor_enthalpy: PerCell
    storm: disaggregation.Storm | None = None


def prepare_day(
    parameters: Parameters, forcing: Forcing, latitude: PerCell, substeps: int, storm: str = "duration"
) -> Day:
    r"""Spread one day of forcing over its sub-steps, keeping every daily mean.

    The share of snow falls with the daily mean wet-bulb temperature,

    $$ f_{snow} = \Big[1 + \exp\frac{T_w - T_{thr}}{0.6\ \mathrm{K}}\Big]^{-1}, $$

    at which rain and snow arrive, rain not below and snow not above melting.

    Args:
        parameters: Parameters of the air, (cell,) leaves.
        forcing: Mean weather of one day, (cell,) leaves.
        latitude (cell,): Latitude, degree north.
        substeps: Number of intervals of the day, 1, >= 1.
        storm: How precipitation falls, "duration" or "flat".

    Returns:
        The :class:`Day`; scan over `day.intervals`.

    Source:
        foley1996, with the changes named at each part; ding2014 (wet bulb as the measure of phase).

    Raises:
        InputError: `substeps` is below one or `storm` is unknown.
    """
    require(substeps >= 1, f"Argument `substeps` must be at least 1, but is {substeps}.")
    require_choice(storm, "storm", disaggregation.STORM_KINDS)
    sun = sky.sunlight(latitude, forcing.day_of_year, substeps)
    mean_insolation = jnp.mean(sun.insolation, axis=0)
    placed = None
    if storm != "flat":
        placed = disaggregation.place_storm(forcing.precipitation, substeps, forcing.day_of_year)
    shares = disaggregation.storm_shares(forcing.precipitation, placed, substeps)
    damp = disaggregation.damp_shares(forcing.precipitation, placed, substeps)
    sunny = mean_insolation > 1e-4  # light reported in the polar night is spread evenly
    light = jnp.where(sunny, sun.insolation / jnp.where(sunny, mean_insolation, 1.0), 1.0)
    clear = sky.clearness(forcing.shortwave_down, mean_insolation, forcing.day_of_year)
    light = jnp.where(sunny, disaggregation.dim_light(light, damp, clear), 1.0)
    pressure = forcing.air_pressure
    wave = jnp.asarray(disaggregation.temperature_wave(substeps), forcing.air_temperature.dtype)
    temperature = forcing.air_temperature + wave[:, None] * forcing.diurnal_range
    capacity = disaggregation.RELATIVE_HUMIDITY_LIMIT * thermo.saturation_humidity(temperature, pressure).humidity
    humidity = disaggregation.level_humidity(forcing.specific_humidity, capacity, damp)
    wet_bulb = disaggregation.wet_bulb_temperature(forcing.air_temperature, forcing.specific_humidity, pressure)
    if forcing.longwave_given:
        emission = sky.fourth_power(temperature)
        longwave = forcing.longwave_down * emission / jnp.mean(emission, axis=0)
    else:
        longwave = parameters.longwave_factor * sky.sky_longwave(temperature, humidity, pressure, clear)
    intervals = Interval(
        temperature=temperature,
        specific_humidity=humidity,
        precipitation=forcing.precipitation * shares,
        shortwave_down=forcing.shortwave_down * light,
        longwave_down=longwave,
        cosine_zenith=jnp.where(sunny, sun.cosine_zenith, 0.0),
        storm=placed,
    )
    shared = _shared(pressure, forcing.wind_speed, clear, _snow_share(parameters, wet_bulb), wet_bulb)
    return Day(intervals=intervals, shared=shared)


class Measured(eqx.Module):
    """Weather measured through one day; with leading axes on every leaf, of many.

    Intervals are equal parts of the day of the station's clock, the first of which begins at midnight.

    Attributes:
        temperature (substep, cell): Air temperature, K.
        specific_humidity (substep, cell): Specific humidity, 1.
        pressure (substep, cell): Air pressure, Pa.
        wind_speed (substep, cell): Wind speed, m s-1.
        shortwave_down (substep, cell): Shortwave radiation on the horizontal, W m-2, >= 0.
        rain (substep, cell): Rainfall, or all precipitation if snowfall was not told apart, kg m-2 s-1, >= 0.
        snowfall (substep, cell): Snowfall, kg m-2 s-1, >= 0; None if not told apart from rain.
        longwave_down (substep, cell): Longwave radiation from the sky, W m-2; None if not measured.
    """

    temperature: jax.Array
    specific_humidity: jax.Array
    pressure: jax.Array
    wind_speed: jax.Array
    shortwave_down: jax.Array
    rain: jax.Array
    snowfall: jax.Array | None = None
    longwave_down: jax.Array | None = None


def prepare_measured(
    parameters: Parameters, measured: Measured, latitude: PerCell, day_of_year: Scalar, ahead: PerCell
) -> tuple[Shared, Interval]:
    """Add to measured weather what :func:`air` needs of each interval: sun, diffuse share, phase, longwave.

    The formulas are those of :func:`prepare_day`, with the clearness of the interval for the diffuse share and the wet
    bulb of the interval for the phase. Cloud, which is not known at night, is that of the day's mean clearness.

    Args:
        parameters: Parameters of the air, (cell,) leaves.
        measured: Weather of one day.
        latitude (cell,): Latitude, degree north.
        day_of_year (): Day of the year, 1 on 1 January.
        ahead (cell,): By how much local solar time is ahead of the station's clock, h.

    Returns:
        Both arguments of :func:`air`, with (substep, cell) leaves.

    Source:
        That of :func:`prepare_day`.
    """
    m = measured
    sun = sky.sunlight(latitude, day_of_year, m.temperature.shape[0], ahead)
    clear = sky.clearness(m.shortwave_down, sun.insolation, day_of_year)
    if m.longwave_down is None:
        daily = sky.clearness(jnp.mean(m.shortwave_down, axis=0), jnp.mean(sun.insolation, axis=0), day_of_year)
        emitted = sky.sky_longwave(m.temperature, m.specific_humidity, m.pressure, daily)
        longwave = parameters.longwave_factor * emitted
    else:
        longwave = m.longwave_down
    wet_bulb = disaggregation.wet_bulb_temperature(m.temperature, m.specific_humidity, m.pressure)
    if m.snowfall is None:
        precipitation, snow_share = m.rain, _snow_share(parameters, wet_bulb)
    else:
        precipitation = m.rain + m.snowfall
        snow_share = safe_divide(m.snowfall, precipitation)
    interval = Interval(
        temperature=m.temperature,
        specific_humidity=m.specific_humidity,
        precipitation=precipitation,
        shortwave_down=m.shortwave_down,
        longwave_down=longwave,
        cosine_zenith=sun.cosine_zenith,
    )
    return _shared(m.pressure, m.wind_speed, clear, snow_share, wet_bulb), interval


def _snow_share(parameters: Parameters, wet_bulb: jax.Array) -> jax.Array:
    """Share of snow in the precipitation, 1, see :func:`prepare_day`."""
    return jax.nn.sigmoid((parameters.rain_snow_threshold - wet_bulb) / RAIN_SNOW_WIDTH)


def _shared(
    pressure: jax.Array, wind_speed: jax.Array, clear: jax.Array, snow_share: jax.Array, wet_bulb: jax.Array
) -> Shared:
    """What follows from pressure, Pa, wind, m s-1, clearness, 1, share of snow, 1, and wet bulb, K."""
    return Shared(
        pressure=pressure,
        wind_speed=jnp.maximum(wind_speed, WIND_FLOOR),
        diffuse_fraction=sky.diffuse_fraction(clear),
        snow_share=snow_share,
        rain_enthalpy=thermo.liquid_enthalpy(jnp.maximum(wet_bulb, const.MELTING_TEMPERATURE)),
        snow_enthalpy=thermo.ice_enthalpy(jnp.minimum(wet_bulb, const.MELTING_TEMPERATURE)),
    )


def air(shared: Shared, interval: Interval) -> Air:
    """Air of one sub-step: light by band and direction, precipitation by phase.

    Args:
        shared: What the sub-steps of the day have in common, (cell,) leaves.
        interval: Weather of the sub-step, (cell,) leaves.

    Returns:
        The :class:`Air`; the four kinds of light and the two of precipitation add up to those of the interval.

    Source:
        foley1996 (shares of the two bands).
    """
    sun_is_up = interval.cosine_zenith > 0.0
    diffuse = interval.shortwave_down * jnp.where(sun_is_up, shared.diffuse_fraction, 1.0)
    direct = interval.shortwave_down - diffuse
    snowfall = interval.precipitation * shared.snow_share
    return Air(
        temperature=interval.temperature,
        specific_humidity=interval.specific_humidity,
        pressure=shared.pressure,
        density=thermo.air_density(interval.temperature, shared.pressure, interval.specific_humidity),
        wind_speed=shared.wind_speed,
        longwave_down=interval.longwave_down,
        direct_visible=VISIBLE_SHARE * direct,
        diffuse_visible=VISIBLE_SHARE * diffuse,
        direct_infrared=(1.0 - VISIBLE_SHARE) * direct,
        diffuse_infrared=(1.0 - VISIBLE_SHARE) * diffuse,
        cosine_zenith=interval.cosine_zenith,
        rain=interval.precipitation - snowfall,
        snowfall=snowfall,
        rain_enthalpy=shared.rain_enthalpy,
        snow_enthalpy=shared.snow_enthalpy,
        vapor_enthalpy=thermo.vapor_enthalpy(interval.temperature),
        storm=interval.storm,
    )
