"""Daily weather of stations that measured all of it: two flux towers and a snow site, against which it is derived.

What is odd in these data, and what is done about it:

* Times of the flux towers stand at the end of each half hour in local standard time; the first of a day belongs to the
  day before. Those of Col de Porte are hours in UTC, which is the local day to within half an hour.
* Precipitation of the towers stands in the file of fluxes. US-Hn1 has it until June 2017 only, so that the days end
  there. Shortwave radiation there is a few W m-2 below zero at night and is counted as zero.
* US-Bi1 is irrigated: its air is moister than rain and temperature tell.
* The radiometer of Col de Porte stands in a clearing: until the middle of May the morning sun reaches it later than the
  terrain of :data:`SKYLINE` would have it, which lacks the trees; in June it does not.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import store
from data_prep import weather

# Latitude (degree north) and altitude (m).
PLACES = {"US-Bi1": (38.0992, -2.7), "US-Hn1": (46.4089, 117.0), "Col de Porte": (45.295, 1325.0)}
# Height of the terrain around Col de Porte every 10 degrees from north over east, degree: IGN terrain model, in the
# site table of snowtools (Meteo-France, Centre d'Etudes de la Neige), rounded.
SKYLINE = (7, 4, 4, 0, 2, 3, 4, 5, 7, 10, 17, 21, 19, 16, 15, 9, 3, 2, 2, 5, 5, 5, 5, 7, 10, 11, 10, 11, 10, 10, 10,
           11, 10, 9, 8, 8)  # fmt: skip


def read(root: pathlib.Path, place: str) -> xr.Dataset:
    """Daily weather (time,) of a station with the names and units of the table of variables.

    Args:
        root: Folder that holds `flux_towers` and `snow_col_de_porte`.
        place: A key of `PLACES`.

    Raises:
        InputError: If a file is missing.
    """
    steps = _col_de_porte(root) if place == "Col de Porte" else _tower(root, place)
    groups = steps.groupby(pd.DatetimeIndex(steps.index).floor("D"))
    complete = groups.size() == groups.size().max()
    daily = groups.mean()
    daily["air_temperature_min"] = groups["air_temperature"].min()
    daily["air_temperature_max"] = groups["air_temperature"].max()
    daily = daily[complete].rename_axis("time")
    return xr.Dataset({name: ("time", daily[name].to_numpy(), store.attributes(name)) for name in daily.columns},
                      coords={"time": daily.index.to_numpy()})  # fmt: skip


def _tower(root: pathlib.Path, place: str) -> pd.DataFrame:
    folder = root / "flux_towers" / place
    parts = [
        (folder / f"{place}-forcings{part}.csv.gz", folder / f"{place}-fluxes{part}.csv.gz") for part in ("", "-test")
    ]
    pairs = [pair for pair in parts if all(path.is_file() for path in pair)]
    require(bool(pairs), f"{folder}: holds no forcings and fluxes; check `data.root`.")
    air, rain = (pd.concat([pd.read_csv(pair[k], index_col=0, parse_dates=True) for pair in pairs]) for k in (0, 1))
    require(air.index.equals(rain.index), f"{folder}: forcings and fluxes do not belong to the same times.")
    aliases = {"TA_F": "T", "SW_IN_F": "R", "WS_F": "U", "PA_F": "p", "Tair": "T", "Rg": "R", "WS_x": "U", "PA": "p"}
    air = air.rename(columns=aliases)
    pressure = 1e3 * air["p"].to_numpy()
    return pd.DataFrame(
        {
            "precipitation": rain.iloc[:, 0] / 1800.0,
            "air_temperature": air["T"] + 273.15,
            "shortwave_down": air["R"].clip(lower=0.0),
            "specific_humidity": weather.specific_humidity(1e3 * air["eair"].to_numpy(), pressure),
            "air_pressure": pressure,
            "wind_speed": air["U"],
        }
    ).set_axis(pd.DatetimeIndex(air.index) - pd.Timedelta(minutes=30))


def _col_de_porte(root: pathlib.Path) -> pd.DataFrame:
    path = root / "snow_col_de_porte" / "met_CdP_0506.txt"
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    clock = ["year", "month", "day", "hour"]
    names = [*clock, "light", "longwave", "snow", "rain", "warmth", "humidity", "wind", "pressure"]
    table = pd.read_csv(path, sep=r"\s+", names=names)
    vapor = np.minimum(table.humidity.to_numpy() / 100.0, 1.0) * weather.vapor_pressure(table.warmth.to_numpy())
    return pd.DataFrame(
        {
            "precipitation": table.snow + table.rain,
            "air_temperature": table.warmth,
            "shortwave_down": table.light,
            "longwave_down": table.longwave,
            "specific_humidity": weather.specific_humidity(vapor, table.pressure.to_numpy()),
            "air_pressure": table.pressure,
            "wind_speed": table.wind,
        }
    ).set_axis(pd.DatetimeIndex(pd.to_datetime(table[clock])))
