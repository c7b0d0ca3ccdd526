r"""Measurements of sites: what eddy-covariance towers and snow stations publish, as the site mode reads it.

Half-hourly tables of towers (two CSV files, forcings and fluxes) and the text files of Col de Porte. Series are cut to
whole days of the station's clock; observations keep the same rows, NaN where missing.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from chase_jax.checks import InputError, require
from chase_jax.model.site import Weather
from chase_jax.physics.atmosphere import Measured
from data_prep.weather import specific_humidity

ZERO_CELSIUS = 273.15  # K
MISSING = -99.0  # what the text files write where nothing was measured

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
    forcing, path = _read_table(pathlib.Path(folder), "forcings")
    fluxes, other = _read_table(pathlib.Path(folder), "fluxes")
    require(
        forcing.index.equals(fluxes.index), f"Argument `folder` must hold both tables at one time, but {other} differs."
    )
    step = pd.Timedelta(minutes=30)
    table = pd.concat([_columns(forcing, TOWER_FORCING, path), _columns(fluxes, TOWER_FLUXES, other)], axis=1)
    table = _whole_days(table.set_index(pd.DatetimeIndex(table.index) - step), step, path)
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
    table = _read_text(pathlib.Path(weather_file), STATION_COLUMNS)
    step = pd.Timedelta(hours=1)
    time = pd.to_datetime(table[["year", "month", "day"]].astype(int)) + pd.to_timedelta(table["hour"], unit="h")
    table = _whole_days(table.set_index(pd.DatetimeIndex(time) - step), step, pathlib.Path(weather_file))
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
