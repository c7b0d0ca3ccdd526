"""Build the input files of the model from arrays: domain, forcing, parameters, gauges, observations.

The readers of this package accept what these functions write; the generated demo and the data recipes share them.
"""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyproj
import xarray as xr

from chase_jax.io import output, store
from chase_jax.io.calendar import DAY
from chase_jax.variables import VARIABLES


def raster(fields: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray, crs: str) -> xr.Dataset:
    """Fields on a projected grid with a CF grid mapping.

    Args:
        fields: Arrays (y, x), or (month, y, x), in the units of the table of variables.
        x (x,): Easting of the cell centers, m.
        y (y,): Northing of the cell centers, m.
        crs: The projection in any form that PROJ reads, for example "EPSG:3035".
    """
    data: dict[str, xr.DataArray] = {}
    for name, values in fields.items():
        dims = ("month", "y", "x") if np.ndim(values) == 3 else ("y", "x")
        kind = (VARIABLES[name].integers if name in VARIABLES else "") or "f8"
        data[name] = xr.DataArray(np.asarray(values, kind), dims=dims)
    dataset = _placed(xr.Dataset(data), x, y, crs)
    if any(array.ndim == 3 for array in data.values()):
        month = ("month", np.arange(1, 13), {"long_name": "calendar month", "units": "1"})
        dataset = dataset.assign_coords(month=month)
    return dataset


def forcing(
    fields: Mapping[str, np.ndarray], time: pd.DatetimeIndex, x: np.ndarray, y: np.ndarray, crs: str
) -> xr.Dataset:
    """Daily weather on a projected grid, each day stamped at its start.

    Args:
        fields: Arrays (time, y, x) in the units of the table of variables; `surface_altitude` is (y, x).
        time (time,): Start of every day.
        x (x,): Easting of the grid points, m.
        y (y,): Northing of the grid points, m.
        crs: The projection in any form that PROJ reads.
    """
    axes = ("time", "y", "x")
    data = {name: (axes[3 - np.ndim(values) :], np.asarray(values, "f4")) for name, values in fields.items()}
    return _by_day(_placed(xr.Dataset(data), x, y, crs), time)


def write_gauges(path: pathlib.Path, gauges: Sequence[Mapping[str, object]]) -> None:
    """Write gauges.csv; every gauge has gauge_id, x (m), y (m), area_km2 and name."""
    table = pd.DataFrame(list(gauges), columns=["gauge_id", "x", "y", "area_km2", "name"])
    store.write_text(table.to_csv(index=False), path)


def observations(
    gauge_id: Sequence[str], time: pd.DatetimeIndex, discharge: np.ndarray, lake_level: np.ndarray | None = None
) -> xr.Dataset:
    """Observed series of gauges.

    Args:
        gauge_id (gauge,): Identifiers as in gauges.csv.
        time (time,): Start of every day.
        discharge (gauge, time): Daily mean discharge, m3 s-1, NaN where missing.
        lake_level (gauge, time): Level of the lake that a gauge stands in, m, NaN elsewhere and where missing.
    """
    data = {"discharge": (("gauge", "time"), np.asarray(discharge, "f8"))}
    if lake_level is not None:
        data["lake_level"] = (("gauge", "time"), np.asarray(lake_level, "f8"))
    dataset = xr.Dataset(data).assign_coords(
        gauge_id=("gauge", np.asarray(gauge_id, dtype=object), {"cf_role": "timeseries_id", "long_name": "gauge"}),
    )
    for name in data:
        dataset[name].attrs["cell_methods"] = "time: mean"
    dataset = _by_day(dataset, time)
    dataset.attrs["featureType"] = "timeSeries"
    return dataset


def _by_day(dataset: xr.Dataset, time: pd.DatetimeIndex) -> xr.Dataset:
    """The dataset with a time axis of days."""
    return output.with_time(dataset, time.to_numpy(), time.to_numpy() + DAY)


def _placed(dataset: xr.Dataset, x: np.ndarray, y: np.ndarray, crs: str) -> xr.Dataset:
    """The dataset with coordinates and grid mapping."""
    for name in dataset.data_vars:
        dataset[name].attrs["grid_mapping"] = "crs"
    axis = {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"}
    other = {"units": "m", "standard_name": "projection_y_coordinate", "axis": "Y"}
    dataset = dataset.assign_coords(x=("x", np.asarray(x, float), axis), y=("y", np.asarray(y, float), other))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "angle from rectified")  # CF cannot tell it; the WKT that goes with it does
        dataset["crs"] = ((), np.int32(0), pyproj.CRS.from_user_input(crs).to_cf())
    return dataset
