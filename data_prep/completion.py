r"""Completion of daily weather: what the model needs and stations do not give, derived from what they do give.

| variable | from | how |
|---|---|---|
| `air_temperature` | its extremes | their middle |
| its extremes | precipitation | a usual daily range, smaller on wet days (dai1999) |
| `air_pressure` | altitude | standard atmosphere (allen1998) |
| `specific_humidity` | dew point | vapor pressure over water (bolton1980) |
| | extremes of temperature, precipitation | lowest temperature, corrected for aridity (kimball1997) and for rain |
| `shortwave_down` | extremes of temperature, precipitation | range of temperature (thornton1999) |
| | precipitation | clouds of wet days and their neighbors (mccaskill1990) |
| `wind_speed` | a climatology | a constant or twelve monthly values |

Longwave radiation is left to the model, which derives it from temperature, humidity and light. Where humidity is
missing, humidity and light need one another and are found together by iteration (thornton2000).
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require, require_between
from chase_jax.io import inputs, store
from chase_jax.io.forcing_store import DEFAULT_DIURNAL_RANGE
from chase_jax.physics.atmosphere import Forcing
from chase_jax.variables import FORCING_REQUIRED
from data_prep import sunlight, weather

WET_DAY = 1.0  # kg m-2, of precipitation from which clouds count
WET_RANGE = 0.65  # 1, daily range of temperature on wet days over that on dry ones; clouds take 25 to 50 %, dai1999
# Share of what is missing to saturation that rain makes up for. Without it the relative humidity of wet days was 0.72
# instead of 0.80, 0.65 instead of 0.76 and 0.81 instead of 0.85 at US-Bi1, US-Hn1 and Col de Porte.
RAIN_MOISTENS = 0.3  # 1
USUAL_WIND_SPEED = 2.0  # m s-1 at 2 m, the mean of more than 2000 stations, allen1998
ITERATIONS = 20  # at most; four are enough for vapor pressures to settle within 0.1 Pa
SETTLED = 0.01  # Pa, change of the vapor pressure at which the iteration ends
DEW_POINT = "dew_point_temperature"  # K, an optional variable of the dataset
OPTIONAL = ("longwave_down", "air_temperature_min", "air_temperature_max")
FLAG = "derivation"  # the attribute that tells a derived variable from an observed one


def complete(
    dataset: xr.Dataset,
    altitude: xr.DataArray | float,
    latitude: xr.DataArray | float,
    wind_speed: float | Sequence[float] | None = None,
    horizon: Sequence[float] | None = None,
) -> tuple[xr.Dataset, dict[str, str]]:
    """Add the variables that a forcing dataset lacks; what it holds is kept as it is.

    Args:
        dataset: Daily weather with the names and units of the table of variables, any axes besides `time`. It must
            hold `precipitation`, and `air_temperature` or both of `air_temperature_min` and `air_temperature_max`; it
            may hold `dew_point_temperature` in K.
        altitude: Altitude of its points, m: a number, or an array on axes of the dataset.
        latitude: Latitude of its points, degree north, likewise.
        wind_speed: Climatology of the wind at 10 m, m s-1: a constant or twelve monthly values. Without one 2 m s-1 at
            2 m are taken.
        horizon (azimuth,): Height of the skyline at equal steps of azimuth from north over east, degree; flat if None.

    Returns:
        The dataset with all that the model requires, each added variable with the attributes `derivation` (how),
        `derived_from` and `references`; and these derivations by variable.

    Raises:
        InputError: Temperature or precipitation is missing or has gaps, the step is not a day, or an argument is wrong.

    Source:
        thornton1999, thornton2000, mccaskill1990, kimball1997, dai1999, allen1998; see the table of this module.
    """
    held = {name: _read(dataset, name) for name in (*FORCING_REQUIRED, "air_temperature_min", "air_temperature_max")}
    known = {name: array for name, array in held.items() if array is not None}
    extremes = "air_temperature_min" in known and "air_temperature_max" in known
    require(
        "precipitation" in known and (extremes or "air_temperature" in known),
        "Argument `dataset` must hold precipitation, and air_temperature or both its extremes, but holds "
        f"{', '.join(map(str, dataset.data_vars)) or 'nothing'}.",
    )
    template = known["precipitation"]
    days = _days(template)
    values = {name: array.broadcast_like(template).transpose(*template.dims).values for name, array in known.items()}
    height, place = _at_points(altitude, template), _at_points(latitude, template)
    require_between(height, "altitude", -500.0, 9000.0, "m")
    require_between(place, "latitude", -90.0, 90.0, "degrees")
    day = days.day_of_year.to_numpy().reshape(-1, *[1] * place.ndim)
    skyline = None if horizon is None else np.asarray(horizon, float)
    given: dict[str, tuple[str, str, str]] = {}

    def add(name: str, array: np.ndarray, how: str, derived_from: str, references: str) -> None:
        values[name] = np.array(np.broadcast_to(array, template.shape))
        given[name] = (how, derived_from, references)

    if "air_temperature" not in values:
        middle = 0.5 * (values["air_temperature_min"] + values["air_temperature_max"])
        add("air_temperature", middle, "middle of the extremes", "air_temperature_min air_temperature_max", "allen1998")
    if "air_pressure" not in values:
        add("air_pressure", weather.standard_pressure(height), "standard atmosphere", "altitude", "allen1998")
    temperature, rain, pressure = (values[name] for name in ("air_temperature", "precipitation", "air_pressure"))
    wet = rain * weather.SECONDS_PER_DAY >= WET_DAY
    if extremes:
        lowest, spread = values["air_temperature_min"], values["air_temperature_max"] - values["air_temperature_min"]
        told = "air_temperature_min air_temperature_max precipitation"
        assumed = ""
        require(bool((spread >= 0.0).all()), "Argument `dataset` must have minima below maxima, but has not.")
    else:
        relative = np.where(wet, WET_RANGE, 1.0)
        spread = DEFAULT_DIURNAL_RANGE * relative / relative.mean(axis=0)
        lowest = temperature - 0.5 * spread
        told = "air_temperature precipitation"
        assumed = f", with a daily range of {DEFAULT_DIURNAL_RANGE:g} K in the mean"
        how = f"mean {{sign}} half a range of {DEFAULT_DIURNAL_RANGE:g} K in the mean, less on wet days"
        add("air_temperature_min", lowest, how.format(sign="less"), told, "dai1999")
        add("air_temperature_max", temperature + 0.5 * spread, how.format(sign="and"), told, "dai1999")
    shade = "" if skyline is None else ", under the given skyline"

    if extremes:
        clouds = sunlight.cloud_transmittance(spread, rain * weather.SECONDS_PER_DAY > sunlight.WET_DAY)
    else:
        clouds = sunlight.cloud_transmittance_of_rain(rain)

    def shine(vapor: np.ndarray) -> np.ndarray:
        return sunlight.shortwave(clouds, vapor, place, height, day, skyline)

    if "specific_humidity" not in values and DEW_POINT in dataset:
        array = dataset[DEW_POINT]
        found = array.attrs.get("units")
        require(found == "K", f"Argument `dataset` must have {DEW_POINT} in K, but its unit is '{found}'.")
        point = np.minimum(array.broadcast_like(template).transpose(*template.dims).values, temperature)
        humid = weather.specific_humidity(weather.vapor_pressure(point), pressure)
        add("specific_humidity", humid, "dew point", f"{DEW_POINT} air_pressure", "bolton1980")
    if "specific_humidity" not in values:
        annual = rain.mean(axis=0) * weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR
        vapor, most = weather.vapor_pressure(lowest), weather.vapor_pressure(temperature)
        for _ in range(ITERATIONS):
            here = values["shortwave_down"] if "shortwave_down" in values else shine(vapor)
            demand = weather.equilibrium_evaporation(here, temperature, pressure)
            point = np.minimum(weather.dew_point_from_minimum(lowest, spread, demand, annual), temperature)
            dry = weather.vapor_pressure(point)
            last, vapor = vapor, np.where(wet, dry + RAIN_MOISTENS * (most - dry), dry)
            if np.abs(vapor - last).max() < SETTLED:
                break
        how = f"lowest temperature corrected for aridity and rain{assumed}"
        add("specific_humidity", weather.specific_humidity(vapor, pressure), how, told, "kimball1997 thornton2000")
    if "shortwave_down" not in values:
        vapor = weather.vapor_pressure_of_humidity(values["specific_humidity"], pressure)
        how, source = ("range of temperature", "") if extremes else ("wet and dry days", " mccaskill1990")
        add("shortwave_down", shine(vapor), f"{how}{shade}", f"{told} specific_humidity", f"thornton1999{source}")
    if "wind_speed" not in values:
        monthly, how = _climatology(wind_speed)
        wind = monthly[days.month.to_numpy() - 1].reshape(-1, *[1] * place.ndim)
        add("wind_speed", wind, how, "", "allen1998" if wind_speed is None else "")

    result = dataset.copy()
    for name, (how, derived_from, references) in given.items():
        result[name] = (template.dims, values[name], flags(name, how, derived_from, references))
    return result, {name: how for name, (how, _, _) in given.items()}


def daily(series: Mapping[str, np.ndarray], time: pd.DatetimeIndex, *points: str) -> xr.Dataset:
    """Observed series as :func:`complete` takes them.

    Args:
        series: Arrays (time, ...) in the units of the table of variables.
        time (time,): Days.
        points: Names of the axes besides `time`.
    """
    data = {name: (("time", *points), values, store.attributes(name)) for name, values in series.items()}
    return xr.Dataset(data, coords={"time": time.to_numpy()})


def on_grid(
    dataset: xr.Dataset, x: np.ndarray, y: np.ndarray, crs: str, altitude: np.ndarray | float | None = None
) -> xr.Dataset:
    """Completed weather as a forcing file holds it, with what tells how it was derived.

    Args:
        dataset: Result of :func:`complete` with the axes time, y and x; one point on an axis stands for all.
        x (x,): Easting of the grid points, m.
        y (y,): Northing of the grid points, m.
        crs: The projection in any form that PROJ reads.
        altitude (y, x): Altitude that the weather belongs to, m; None leaves it to the model.
    """
    shape = y.size, x.size
    fields = {str(name): np.broadcast_to(array.values, (array.shape[0], *shape)) for name, array in dataset.items()}
    if altitude is not None:
        fields["surface_altitude"] = np.broadcast_to(altitude, shape)
    forcing = inputs.forcing(fields, pd.DatetimeIndex(dataset["time"].values), x, y, crs)
    for name, array in dataset.items():
        forcing[name].attrs |= array.attrs
    return forcing


def to_forcing(dataset: xr.Dataset) -> Forcing:
    """Completed weather of points as the model reads it, with leaves (time, cell).

    Args:
        dataset: Result of :func:`complete` with one axis besides `time`; with extremes of temperature, or without, when
            the daily range is taken as 10 K.
    """
    held = {name: _read(dataset, name) for name in (*FORCING_REQUIRED, *OPTIONAL)}
    missing = [name for name in FORCING_REQUIRED if held[name] is None]
    require(not missing, f"Argument `dataset` must be complete, but lacks {', '.join(missing)}.")
    fields = {name: jnp.asarray(array.values) for name, array in held.items() if array is not None}
    lowest, highest = fields.pop("air_temperature_min", None), fields.pop("air_temperature_max", None)
    shape = fields["precipitation"].shape
    spread = jnp.full(shape, DEFAULT_DIURNAL_RANGE) if lowest is None or highest is None else highest - lowest
    day = jnp.asarray(pd.DatetimeIndex(dataset["time"].values).day_of_year.to_numpy(), dtype=float)
    given = "longwave_down" in fields
    fields.setdefault("longwave_down", jnp.zeros(shape))
    return Forcing(**fields, diurnal_range=spread, day_of_year=day, longwave_given=given)


def flags(name: str, how: str, derived_from: str, references: str) -> dict[str, str]:
    """CF attributes of a derived variable, which tell how it came about.

    Args:
        name: The variable.
        how: The method, in a few words.
        derived_from: Names of what it was derived from, with blanks between them.
        references: Keys of the bibliography, with blanks between them.
    """
    found = store.attributes(name) | {FLAG: f"not observed: {how}"}
    extra = {"derived_from": derived_from, "references": references}
    return found | {key: text for key, text in extra.items() if text}


def _read(dataset: xr.Dataset, name: str) -> xr.DataArray | None:
    """A variable in the unit of the table with `time` first, or None; it must have no gap."""
    path = pathlib.Path("Argument `dataset`")
    found = store.find(dataset, name, path)
    if found is None:
        return None
    require("time" in found.dims, f"Argument `dataset` must have {name} over time, but its axes are {found.dims}.")
    found = found.copy(data=store.canonical(found, name, path)).transpose("time", ...)
    missing = int(np.isnan(found.values).sum())
    require(missing == 0, f"Argument `dataset` must have {name} without gaps, but {missing} values are missing.")
    return found


def _at_points(value: xr.DataArray | float, template: xr.DataArray) -> np.ndarray:
    """A number or an array on the axes of the points but time."""
    points = template.isel(time=0, drop=True)
    return np.asarray(xr.DataArray(value).broadcast_like(points).transpose(*points.dims).values, float)


def _days(array: xr.DataArray) -> pd.DatetimeIndex:
    """The days of a series, each there once."""
    days = pd.DatetimeIndex(array["time"].values)
    step = np.diff(days.to_numpy()).astype("timedelta64[s]").astype(int)
    require(bool((step == 86400).all()), "Argument `dataset` must have a step of one day, but has another.")
    return days


def _climatology(wind_speed: float | Sequence[float] | None) -> tuple[np.ndarray, str]:
    """Twelve monthly wind speeds at 10 m, m s-1, and what they are."""
    if wind_speed is None:
        speed = float(weather.wind_at_ten_meters(np.array(USUAL_WIND_SPEED)))
        return np.full(12, speed), f"constant of {speed:.2f} m s-1, the usual 2 m s-1 at 2 m"
    monthly = np.atleast_1d(np.asarray(wind_speed, float))
    if monthly.size not in (1, 12) or not (np.isfinite(monthly) & (monthly >= 0.0)).all():
        raise InputError(f"Argument `wind_speed` must be one or twelve values of at least 0, but is {wind_speed}.")
    kind = f"constant of {monthly[0]:g} m s-1" if monthly.size == 1 else "monthly climatology"
    return np.broadcast_to(monthly, 12), kind
