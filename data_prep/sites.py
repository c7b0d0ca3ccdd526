r"""Measurements of sites: what eddy-covariance towers and snow stations publish, by the step and by the day.

Half-hourly tables of towers (two CSV files, forcings and fluxes) and the text files of Col de Porte. Series are cut to
whole days of the station's clock; observations keep the same rows, NaN where missing. What is odd in these data:

* Times of the towers stand at the end of each half hour in local standard time. Those of Col de Porte are hours in UTC,
  which is the local day to within half an hour.
* US-Hn1 has precipitation until June 2017 only, so that its days end there. Shortwave radiation there is a few W m-2
  below zero at night and is counted as zero. US-Bi1 is irrigated: its air is moister than rain and temperature tell.
* The radiometer of Col de Porte stands in a clearing: until the middle of May the morning sun reaches it later than the
  terrain of :data:`SKYLINE` would have it, which lacks the trees; in June it does not.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.io import store
from chase_jax.model.site import Weather
from chase_jax.physics.atmosphere import Measured
from data_prep.weather import specific_humidity

ZERO_CELSIUS = 273.15  # K
MISSING = -99.0  # what the text files write where nothing was measured
LEAST_HEIGHT, NEUTRAL_WIND = 0.02, 3.0  # m, m s-1
STUBBLE, FULL_ALFALFA = 0.08, 0.8  # m
HALF_HOUR = pd.Timedelta(minutes=30)
# Sites with daily weather: latitude (degree north) and altitude (m).
PLACES = {"US-Bi1": (38.0992, -2.7), "US-Hn1": (46.4089, 117.0), "Col de Porte": (45.295, 1325.0)}
# Height of the terrain around Col de Porte every 10 degrees from north over east, degree: IGN terrain model, in the
# site table of snowtools (Meteo-France, Centre d'Etudes de la Neige), rounded.
SKYLINE = (7, 4, 4, 0, 2, 3, 4, 5, 7, 10, 17, 21, 19, 16, 15, 9, 3, 2, 2, 5, 5, 5, 5, 7, 10, 11, 10, 11, 10, 10, 10,
           11, 10, 9, 8, 8)  # fmt: skip

# Names under which networks publish one quantity; the first that a table has is read.
TOWER_FORCING = {
    "temperature": ("TA_F", "Tair"),  # degree Celsius
    "shortwave": ("SW_IN_F", "Rg"),  # W m-2
    "vapor_pressure": ("eair",),  # kPa
    "wind": ("WS_F", "WS_x"),  # m s-1
    "pressure": ("PA_F", "PA"),  # kPa
    "leaf_area": ("LAI",),  # 1
    "soil_moisture": ("SWC_F_MDS_1", "SWC_15cm"),  # 1
    "soil_temperature": ("TS_F_MDS_4", "TS_15cm"),  # degree Celsius
    "friction_velocity": ("USTAR", "Ustar"),  # m s-1
}
TOWER_FLUXES = {
    "precipitation": ("P_F", "P_mm"),  # kg m-2 in the interval
    "latent_heat": ("LE_F_MDS", "LE"),  # W m-2
    "sensible_heat": ("H_F_MDS", "H"),  # W m-2
    "net_radiation": ("NETRAD",),  # W m-2
    "ground_heat": ("G_F_MDS", "G_5cm"),  # W m-2
}
STATION_COLUMNS = (
    *("year", "month", "day", "hour", "shortwave", "longwave", "snowfall", "rain", "temperature"),
    *("relative_humidity", "wind", "pressure"),
)
AIR = ("temperature", "shortwave", "vapor_pressure", "wind", "pressure")  # what the weather of a day needs of a tower
STATION_OBSERVATIONS = ("albedo", "outflow", "snow_thickness", "snow_amount", "surface_temperature", "soil_temperature")


class Measurements(NamedTuple):
    """A site's weather and what was observed there.

    Attributes:
        weather: Weather of whole days, one cell.
        time: Beginning of every interval of the weather.
        observed: Observations, in the units the reader names.
    """

    weather: Weather
    time: pd.DatetimeIndex
    observed: pd.DataFrame


def _columns(table: pd.DataFrame, names: Mapping[str, tuple[str, ...]], path: pathlib.Path) -> pd.DataFrame:
    """The named columns of a table under this module's names."""
    found = {}
    for name, candidates in names.items():
        present = [candidate for candidate in candidates if candidate in table]
        require(bool(present), f"Argument `folder` must hold {name} as {' or '.join(candidates)}, but {path} has none.")
        found[name] = table[present[0]]
    return pd.DataFrame(found)


def _read_table(folder: pathlib.Path, kind: str) -> tuple[pd.DataFrame, pathlib.Path]:
    """One of the two tables of a tower."""
    paths = sorted(path for path in folder.glob(f"*-{kind}.csv*"))
    require(len(paths) == 1, f"Argument `folder` must hold one *-{kind}.csv, but {folder} has {len(paths)}.")
    table = pd.read_csv(paths[0])
    require("TIMESTAMP_END" in table, f"Argument `folder` must hold times as TIMESTAMP_END, but {paths[0]} has none.")
    time = pd.to_datetime(table["TIMESTAMP_END"], errors="coerce")
    require(not time.isna().any(), f"Argument `folder` must hold dates only in TIMESTAMP_END, but {paths[0]} does not.")
    table.index = pd.DatetimeIndex(time)
    return table, paths[0]


def _tower_table(
    folder: pathlib.Path,
    forcing: Mapping[str, tuple[str, ...]],
    fluxes: Mapping[str, tuple[str, ...]],
    part: str = "",
) -> tuple[pd.DataFrame, pathlib.Path]:
    """The named columns of both tables of a tower by the beginnings of intervals, and the path of the first."""
    air, path = _read_table(folder, f"forcings{part}")
    other, beside = _read_table(folder, f"fluxes{part}")
    require(
        air.index.equals(other.index), f"Argument `folder` must hold both tables at one time, but {beside} differs."
    )
    table = pd.concat([_columns(air, forcing, path), _columns(other, fluxes, beside)], axis=1)
    return table.set_index(pd.DatetimeIndex(table.index) - HALF_HOUR), path


def _whole_days(table: pd.DataFrame, step: pd.Timedelta, path: pathlib.Path) -> pd.DataFrame:
    """Rows of whole days; the index is the beginning of each interval, without gaps."""
    steps = table.index[1:] - table.index[:-1]
    bad = np.flatnonzero(steps != step)
    if bad.size:
        place = table.index[bad[0]]
        raise InputError(f"Argument `folder` must hold one row every {step}, but {path} does not after {place}.")
    first, last = table.index[0].ceil("D"), (table.index[-1] + step).floor("D")
    return table.loc[(table.index >= first) & (table.index < last)]


def _filled(values: pd.Series, path: pathlib.Path) -> np.ndarray:
    """Values of weather (time, 1), which may not be missing."""
    missing = values.index[values.isna()]
    if len(missing):
        raise InputError(
            f"Argument `folder` must hold {values.name} at every time, but {path} lacks {len(missing)} values, "
            f"the first at {missing[0]}."
        )
    return values.to_numpy(dtype=float)[:, None]


def _measured(**columns: np.ndarray) -> Measured:
    """The weather of these columns, (time, 1)."""
    leaves: dict[str, Any] = {name: jnp.asarray(column) for name, column in columns.items()}
    return Measured(**leaves)


def read_tower(folder: pathlib.Path, leaf_area_unit: float = 1.0) -> Measurements:
    """Half-hourly weather and fluxes of an eddy-covariance tower.

    Times in the tables are the *ends* of intervals by local standard time. Radiation below zero, the offset of the
    instrument at night, counts as none.

    Args:
        folder: Holds one *-forcings.csv and one *-fluxes.csv, or the same with .gz.
        leaf_area_unit: Unit of the column of leaf area, 1; 0.1 where a satellite's integers were not rescaled.

    Returns:
        Weather, and observed soil_moisture (1), soil_temperature (K), friction_velocity (m s-1), precipitation
        (kg m-2 s-1), latent_heat, sensible_heat, net_radiation and ground_heat (W m-2, heat positive to the air).

    Raises:
        InputError: If a file or a column is missing, times are not regular or weather has gaps.
    """
    step = HALF_HOUR
    table, path = _tower_table(pathlib.Path(folder), TOWER_FORCING, TOWER_FLUXES)
    table = _whole_days(table, step, path)
    pressure = 1e3 * _filled(table["pressure"], path)
    vapor = 1e3 * _filled(table["vapor_pressure"], path)
    measured = _measured(
        temperature=_filled(table["temperature"], path) + ZERO_CELSIUS,
        specific_humidity=specific_humidity(vapor, pressure),
        pressure=pressure,
        wind_speed=_filled(table["wind"], path),
        shortwave_down=np.maximum(_filled(table["shortwave"], path), 0.0),
        rain=_filled(table["precipitation"], path) / step.total_seconds(),
    )
    leaf_area = leaf_area_unit * table["leaf_area"].resample("D").mean()
    days = pd.DatetimeIndex(leaf_area.index)
    weather = Weather.from_series(measured, 48, days.day_of_year.to_numpy(), leaf_area.to_numpy()[:, None])
    kept = ["soil_moisture", "friction_velocity", *TOWER_FLUXES]
    observed = table[kept].assign(
        soil_temperature=table["soil_temperature"] + ZERO_CELSIUS,
        precipitation=table["precipitation"] / step.total_seconds(),
    )
    return Measurements(weather, pd.DatetimeIndex(table.index), observed)


def canopy_height(measurements: Measurements, sensor_height: float) -> pd.Series:
    r"""Height of the vegetation about a tower on every day, m, from wind and friction velocity alone.

    In neutral air $u/u_* = \frac1k \ln\frac{z - d}{z_0}$ with $d = 0.66\,h$ and $z_0 = 0.1\,h$. Half hours with more
    than 3 m s-1 count as neutral; the median of a day, then that of five days.

    Args:
        measurements: Result of :func:`read_tower`.
        sensor_height: Height z of the anemometer, m.

    Source:
        pennypacker2016, who found the cuts of alfalfa at this place in it.
    """
    wind = np.asarray(measurements.weather.measured.wind_speed)[..., 0].ravel()
    ratio = wind / measurements.observed["friction_velocity"].where(measurements.observed["friction_velocity"] > 0.0)
    height = np.linspace(LEAST_HEIGHT, 0.8 * sensor_height, 1000)
    rough = np.log((sensor_height - 0.66 * height) / (0.1 * height)) / 0.4  # falls with height
    found = pd.Series(np.interp(-ratio, -rough, height), ratio.index).where((wind > NEUTRAL_WIND) & ratio.notna())
    daily = found.resample("D").median().rolling(5, min_periods=1, center=True).median()
    return daily.interpolate(limit_direction="both")


def alfalfa_leaf_area(height: pd.Series) -> pd.Series:
    r"""Leaf area index of alfalfa from its height: none of stubble, then a straight line to the full crop, 1.

    A full crop of 0.8 m and more has $5.5 + 1.5 \ln h$, and a straight line explains 81 % of what was measured in the
    course of growth. The logarithm holds for a closed crop; it would give stubble of 0.2 m an area of 3. What a mower
    leaves, three inches, are stems.

    Args:
        height: Height h, m.

    Source:
        allen1989 for the full crop; cholula2024 for the line; sheaffer1988 for the height of cuts.
    """
    full = 5.5 + 1.5 * np.log(np.maximum(height, FULL_ALFALFA))
    return full * ((height - STUBBLE) / (FULL_ALFALFA - STUBBLE)).clip(0.0, 1.0)


def relative_to_specific_humidity(
    relative_humidity: np.ndarray, temperature: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Specific humidity, 1, from relative humidity over water at every temperature, as hygrometers report it.

    Args:
        relative_humidity (...): 1.
        temperature (...): K.
        pressure (...): Pa.

    Source:
        bolton1980, eq. 10.
    """
    celsius = temperature - ZERO_CELSIUS
    saturated = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    return specific_humidity(relative_humidity * saturated, pressure)


def read_snow_station(weather_file: pathlib.Path, observation_file: pathlib.Path) -> Measurements:
    """Hourly weather and daily snow of a station, in the text files of Col de Porte.

    Columns of the weather: year, month, day, hour (UTC) at which the interval ends, shortwave and longwave (W m-2),
    snowfall and rain (kg m-2 s-1), temperature (K), relative humidity over water (%), wind (m s-1), pressure (Pa).

    Args:
        weather_file: The weather.
        observation_file: The observations, see :func:`read_daily_snow`.

    Returns:
        Weather and observations.

    Raises:
        InputError: If a file is missing or malformed, times are not regular or weather has gaps.
    """
    step = pd.Timedelta(hours=1)
    table = _station_table(pathlib.Path(weather_file))
    table = _whole_days(table.set_index(pd.DatetimeIndex(table.index) - step), step, pathlib.Path(weather_file))
    column = {name: _filled(table[name], pathlib.Path(weather_file)) for name in STATION_COLUMNS[4:]}
    measured = _measured(
        temperature=column["temperature"],
        specific_humidity=relative_to_specific_humidity(
            0.01 * column["relative_humidity"], column["temperature"], column["pressure"]
        ),
        pressure=column["pressure"],
        wind_speed=column["wind"],
        shortwave_down=column["shortwave"],
        rain=column["rain"],
        snowfall=column["snowfall"],
        longwave_down=column["longwave"],
    )
    days = pd.DatetimeIndex(table.index[::24])
    weather = Weather.from_series(measured, 24, days.day_of_year.to_numpy())
    observed = read_daily_snow(observation_file).reindex(days)
    return Measurements(weather, pd.DatetimeIndex(table.index), observed)


def _station_table(path: pathlib.Path) -> pd.DataFrame:
    """The columns of the weather of a snow station by their hours in UTC."""
    table = _read_text(path, STATION_COLUMNS)
    time = pd.to_datetime(table[["year", "month", "day"]].astype(int)) + pd.to_timedelta(table["hour"], unit="h")
    return table.set_index(pd.DatetimeIndex(time))


def daily_weather(root: pathlib.Path, place: str) -> xr.Dataset:
    """Measured weather (time,) of the whole days of a site, with the names and units of the table of variables.

    Args:
        root: Folder that holds `flux_towers` and `snow_col_de_porte`.
        place: A key of `PLACES`.

    Raises:
        InputError: If a file or a column is missing.
    """
    require(place in PLACES, f"Argument `place` must be one of {', '.join(PLACES)}, but is {place}.")
    if place == "Col de Porte":
        table = _station_table(root / "snow_col_de_porte" / "met_CdP_0506.txt")
        pressure, light = table["pressure"].to_numpy(), table["shortwave"]
        temperature, rain = table["temperature"], table["snowfall"] + table["rain"]
        relative = np.minimum(table["relative_humidity"].to_numpy() / 100.0, 1.0)
        humidity = relative_to_specific_humidity(relative, temperature.to_numpy(), pressure)
    else:
        folder = root / "flux_towers" / place
        wanted = {name: TOWER_FORCING[name] for name in AIR}
        fallen = {"precipitation": TOWER_FLUXES["precipitation"]}
        parts = [""] + ["-test"] * any(folder.glob("*-fluxes-test.csv*"))
        table = pd.concat([_tower_table(folder, wanted, fallen, part)[0] for part in parts])
        pressure, light = 1e3 * table["pressure"].to_numpy(), table["shortwave"].clip(lower=0.0)
        temperature, rain = table["temperature"] + ZERO_CELSIUS, table["precipitation"] / HALF_HOUR.total_seconds()
        humidity = specific_humidity(1e3 * table["vapor_pressure"].to_numpy(), pressure)
    columns = {
        "precipitation": rain, "air_temperature": temperature, "shortwave_down": light, "wind_speed": table["wind"],
    }  # fmt: skip
    steps = pd.DataFrame(columns).assign(specific_humidity=humidity, air_pressure=pressure)
    if "longwave" in table:
        steps["longwave_down"] = table["longwave"]
    groups = steps.groupby(pd.DatetimeIndex(steps.index).floor("D"))
    daily = groups.mean()
    daily["air_temperature_min"] = groups["air_temperature"].min()
    daily["air_temperature_max"] = groups["air_temperature"].max()
    daily = daily[groups.size() == groups.size().max()].rename_axis("time")
    fields = {name: ("time", daily[name].to_numpy(), store.attributes(name)) for name in daily.columns}
    return xr.Dataset(fields, coords={"time": daily.index.to_numpy()})


def read_daily_snow(path: pathlib.Path) -> pd.DataFrame:
    """Daily snow of a station, or of a model that writes the same columns.

    Columns: year, month, day, albedo (1), outflow (kg m-2), thickness (m) and water of the snow (kg m-2), temperatures
    of the surface and of the soil (degree Celsius), -99 where missing.

    Args:
        path: The file.

    Returns:
        One row a day in these units, with temperatures in K and NaN where missing.

    Raises:
        InputError: If the file is missing or malformed.
    """
    table = _read_text(pathlib.Path(path), ("year", "month", "day", *STATION_OBSERVATIONS))
    table = table.set_index(pd.DatetimeIndex(pd.to_datetime(table[["year", "month", "day"]].astype(int))))
    table = table[list(STATION_OBSERVATIONS)].mask(lambda values: values <= MISSING)
    table[["surface_temperature", "soil_temperature"]] += ZERO_CELSIUS
    return table


def _read_text(path: pathlib.Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of numbers without a header."""
    require(path.is_file(), f"Argument `path` must name a file, but {path} does not exist.")
    table = pd.read_csv(path, sep=r"\s+", header=None)
    require(
        table.shape[1] == len(columns),
        f"Argument `path` must have the {len(columns)} columns {', '.join(columns)}, but {path} has {table.shape[1]}.",
    )
    table.columns = list(columns)
    return table.astype(float)
