r"""Gauged basins of the United States (addor2017): 391 records of daily discharge with attributes of their basins.

Raw data: `attributes.csv` (the tables of CAMELS joined) and `daily.nc` (precipitation and mean temperature of a
reanalysis, observed discharge as a depth, 1981 to 2014).

What is odd in these data, and what is done about it:

* **Flow signatures stand among the attributes** (`q_mean`, `baseflow_index` and others). Only the columns named here
  are read; the baseflow index there is that of a recursive filter over 1989 to 2009, while this package uses the
  sliding interval over the whole record.
* **Two products of precipitation** disagree (correlation 0.95 between basins): that of the attributes is interpolated
  from stations, that of the daily file is of a reanalysis. Mean precipitation is the mean of both, since their errors
  have little in common; the aridity index is potential evapotranspiration over this mean.
* **Mean temperature** is that of the daily file; **potential evapotranspiration** that of the attributes.
* **Specific humidity is not there.** It is estimated from the mean temperature of each day at 70 % of saturation and
  from the pressure of the standard atmosphere at the mean altitude, and flagged; it holds nothing that temperature and
  altitude do not. `predictors=without_humidity` leaves it out.
* **Leaf area** is given as the largest month and the range; the mean is taken as the middle of largest and smallest.
* **Slope** is in m per km, soil texture in percent.
* **Rivers that join gauges are not known**, so that each gauge counts as a catchment of its own.

The extended set adds what the attributes hold on snow, rain, soil, plants and rocks; classes of rock and land cover
become columns of 0 and 1. Gaps (depth of roots, porosity of rocks) stay gaps.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from chase_jax.checks import require
from chase_jax.signatures.attributes import Basins, climate_predictors
from data_prep import rawfiles, weather

DAILY = {"gauge_id": "", "time": "", "prcp": "mm d-1", "tmean": "degree_Celsius", "qobs": "mm d-1"}
YEAR = 365.25  # days
RELATIVE_HUMIDITY = 0.7  # 1, mean over land; choice of this project
EXTENDED = {
    "snow_fraction": "frac_snow", "soil_depth_to_bedrock": "soil_depth_pelletier", "soil_depth": "soil_depth_statsgo",
    "soil_porosity": "soil_porosity", "soil_conductivity": "soil_conductivity", "soil_water_capacity":
    "max_water_content", "sand_percent": "sand_frac", "silt_percent": "silt_frac", "open_water_percent": "water_frac",
    "organic_percent": "organic_frac", "other_soil_percent": "other_frac", "forest_fraction": "frac_forest",
    "largest_leaf_area_index": "lai_max", "range_of_leaf_area_index": "lai_diff", "largest_green_fraction": "gvf_max",
    "range_of_green_fraction": "gvf_diff", "share_of_land_cover": "dom_land_cover_frac", "root_depth_median":
    "root_depth_50", "root_depth": "root_depth_99", "share_of_rock": "glim_1st_class_frac", "carbonate_fraction":
    "carbonate_rocks_frac", "rock_porosity": "geol_porostiy", "rock_permeability": "geol_permeability",
}  # fmt: skip
CLASSES = {"rock": "geol_1st_class", "land_cover": "dom_land_cover"}
LEAST_MEMBERS = 5  # basins a class must have to get a column
NEEDED = (
    "gauge_id", "gauge_lat", "gauge_lon", "area_gages2", "elev_mean", "slope_mean", "p_mean", "pet_mean", "clay_frac",
    "lai_max", "lai_diff",
)  # fmt: skip


def basins(data_root: pathlib.Path, progress: Callable[[str], None] = lambda message: None) -> Basins:
    """Read the gauged basins.

    Args:
        data_root: Folder that holds the folder `camels_us` of raw data.
        progress: Called with a line of text at every stage.

    Raises:
        InputError: If raw data are missing or are not what this recipe knows.
    """
    source = pathlib.Path(data_root) / "camels_us"
    require(source.is_dir(), f"{source}: is missing; set `data.root` to the folder that holds `camels_us`.")
    progress("basins: reading attributes and daily records")
    attributes = read_attributes(source / "attributes.csv")
    daily = rawfiles.read_variables(source / "daily.nc", DAILY)
    identifiers = [str(i) for i in daily["gauge_id"].values if str(i) in attributes.index]
    daily = daily.sel(gauge_id=identifiers)
    time = daily["time"].values.astype("datetime64[D]")
    rain, temperature, flow = (daily[n].values.astype(float) for n in ("prcp", "tmean", "qobs"))
    table = attributes.loc[identifiers]
    return Basins(
        gauge_id=tuple(identifiers),
        area=table["area_gages2"].to_numpy() * 1e6,
        latitude=table["gauge_lat"].to_numpy(),
        longitude=table["gauge_lon"].to_numpy(),
        time=time,
        flow=flow,
        precipitation=rain,
        predictors=predictors(table, rain, temperature + 273.15),
        downstream=np.full(len(identifiers), -1),
        notes={
            "mean_specific_humidity": "is estimated from temperature and altitude at 70 % of saturation",
            "mean_precipitation": "is the mean of two products",
            "mean_leaf_area_index": "is the middle of the largest and the smallest month",
        },
    )


def read_attributes(path: pathlib.Path, more: Sequence[str] = ()) -> pd.DataFrame:
    """The attributes indexed by gauge_id; numbers as numbers, identifiers and classes as text.

    Args:
        path: The table.
        more: Further columns of numbers that are needed.

    Raises:
        InputError: If a column is missing, an identifier is there twice, or text stands where a number must.
    """
    table = rawfiles.read_table(path, dtype=str)
    absent = [name for name in (*NEEDED, *EXTENDED.values(), *CLASSES.values(), *more) if name not in table]
    require(not absent, f"{path}: line 1: the columns {', '.join(absent[:5])} are missing.")
    twice = table["gauge_id"][table["gauge_id"].duplicated()]
    require(twice.empty, f"{path}: gauge_id {twice.iloc[0] if len(twice) else ''} is there twice; remove one line.")
    table = table.set_index("gauge_id")
    for name in dict.fromkeys((*NEEDED[1:], *EXTENDED.values(), *more)):
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = table.index[numbers.isna() & table[name].notna()]
        require(
            wrong.empty,
            f"{path}: gauge {wrong[0] if len(wrong) else ''}: {name} is "
            f"'{table.loc[wrong[0], name] if len(wrong) else ''}'; it must be a number.",
        )
        table[name] = numbers
    return table


def predictors(table: pd.DataFrame, rain: np.ndarray, temperature: np.ndarray) -> pd.DataFrame:
    """The nine predictors, then those of the extended set. Discharge is no argument.

    Args:
        table: Attributes of the basins.
        rain (gauge, time): Precipitation, mm per day.
        temperature (gauge, time): Mean air temperature, K.
    """
    altitude = table["elev_mean"].to_numpy()
    pressure = weather.standard_pressure(altitude)[:, None]
    vapor = RELATIVE_HUMIDITY * weather.vapor_pressure(temperature)
    humidity = weather.specific_humidity(vapor, pressure).mean(1)
    precipitation = 0.5 * (table["p_mean"].to_numpy() + np.nanmean(rain, axis=1)) * YEAR
    fields = climate_predictors(
        precipitation, temperature.mean(1), humidity, table["pet_mean"].to_numpy() * YEAR
    ) | {
        "mean_altitude": altitude,
        "mean_slope": table["slope_mean"].to_numpy() / 1e3,
        "mean_clay_fraction": table["clay_frac"].to_numpy() / 100.0,
        "mean_leaf_area_index": (table["lai_max"] - 0.5 * table["lai_diff"]).to_numpy(),
    }  # fmt: skip
    fields |= {name: table[column].to_numpy() for name, column in EXTENDED.items()}
    for kind, column in CLASSES.items():
        members = table[column].value_counts()
        for label in sorted(members.index[members >= LEAST_MEMBERS]):
            words = "".join(letter if letter.isalnum() else "_" for letter in str(label).strip().lower())
            fields[f"{kind}_{words}"] = (table[column] == label).to_numpy(dtype=float)
    return pd.DataFrame(fields, index=table.index)
