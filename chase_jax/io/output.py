"""What a run writes: series at gauges and lakes, maps, the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from chase_jax.domain.grid import Grid
from chase_jax.io import store
from chase_jax.io.calendar import DAY
from chase_jax.io.domain_store import GRID_MAPPING, frame, map_of
from chase_jax.io.gauge_store import Gauges

EPOCH = "days since 1900-01-01"


def with_time(dataset: xr.Dataset, starts: np.ndarray, ends: np.ndarray) -> xr.Dataset:
    """The dataset with a CF time axis of intervals [start, end), stamped at their starts.

    Args:
        dataset: Arrays that may have the axis `time`.
        starts: (time,) first instant of every interval.
        ends: (time,) last instant of every interval.
    """
    bounds = np.stack([starts, ends], axis=1).astype("datetime64[ns]")
    time = xr.DataArray(bounds[:, 0], dims="time", attrs={"standard_name": "time", "axis": "T", "bounds": "time_bnds"})
    result = dataset.assign_coords(time=time)
    result["time_bnds"] = (("time", "bounds"), bounds)
    for name in ("time", "time_bnds"):
        result[name].encoding = {"units": EPOCH, "calendar": "standard", "dtype": "float64"}
    return result


def gauge_series(gauges: Gauges, upstream_area: np.ndarray, grid: Grid, dates: np.ndarray, discharge: np.ndarray):
    """Discharge at gauges as a CF collection of time series.

    Args:
        gauges: The gauges.
        upstream_area: (cell,) area that drains through every cell, m2.
        grid: The grid of the domain.
        dates: (time,) days.
        discharge: (time, gauge) daily means, m3 s-1.
    """
    dataset = xr.Dataset({"discharge": (("gauge", "time"), np.asarray(discharge, dtype=float).T)})
    dataset["discharge"].attrs = {"cell_methods": "time: mean", "grid_mapping": GRID_MAPPING}
    dataset[GRID_MAPPING] = xr.DataArray(np.int32(0), attrs=grid.projection)
    longitude, latitude = grid.transformer(inverse=True).transform(gauges.x, gauges.y)
    metres = {"units": "m"}
    return with_time(dataset, dates, dates + DAY).assign_coords(
        gauge_id=("gauge", np.array(gauges.gauge_id, dtype=object), {"cf_role": "timeseries_id", "long_name": "gauge"}),
        gauge_name=("gauge", np.array(gauges.name, dtype=object), {"long_name": "name of the gauge"}),
        x=("gauge", gauges.x, {"standard_name": "projection_x_coordinate", **metres}),
        y=("gauge", gauges.y, {"standard_name": "projection_y_coordinate", **metres}),
        lon=("gauge", np.asarray(longitude), {"standard_name": "longitude", "units": "degrees_east"}),
        lat=("gauge", np.asarray(latitude), {"standard_name": "latitude", "units": "degrees_north"}),
        gauge_area=("gauge", gauges.area),
        upstream_area=("gauge", np.asarray(upstream_area, dtype=float)[gauges.cell]),
    ).assign_attrs(featureType="timeSeries")  # fmt: skip


def lake_series(lakes: Sequence[int], dates: np.ndarray, series: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Level, area, inflow and outflow of lakes.

    Args:
        lakes: (lake,) numbers of the lakes, as in `lake_index`.
        dates: (time,) days.
        series: (time, lake) daily values by name: lake_level, lake_area, lake_inflow, lake_outflow.
    """
    dataset = xr.Dataset({name: (("lake", "time"), np.asarray(v, dtype=float).T) for name, v in series.items()})
    for name in series:
        dataset[name].attrs["cell_methods"] = "time: mean"
    number = np.asarray(lakes, dtype=np.int32)
    attrs = {"long_name": "number of the lake", "cf_role": "timeseries_id"}
    return with_time(dataset, dates, dates + DAY).assign_coords(lake=("lake", number, attrs)).assign_attrs(
        featureType="timeSeries"
    )  # fmt: skip


def maps(
    grid: Grid, values: Mapping[str, np.ndarray], starts: np.ndarray, ends: np.ndarray, thickness: Sequence[float] = ()
) -> xr.Dataset:
    """Means over intervals of time as maps.

    Args:
        grid: The grid of the domain.
        values: (time, cell) or (time, layer, cell) means by name, in the units of the table.
        starts: (time,) first instant of every interval.
        ends: (time,) last instant of every interval.
        thickness: (layer,) thickness of the soil layers, m.
    """
    dataset = frame(grid)
    for name, value in values.items():
        dataset[name] = xr.concat([map_of(grid, v) for v in value], dim="time")
        dataset[name] = dataset[name].astype(np.float32)
        dataset[name].attrs = {"cell_methods": "time: mean", "grid_mapping": GRID_MAPPING}
    if "layer" in dataset.dims:
        bottom = np.cumsum(thickness)
        attrs = {"standard_name": "depth", "units": "m", "positive": "down", "axis": "Z"}
        dataset = dataset.assign_coords(layer=("layer", bottom - 0.5 * np.asarray(thickness), attrs))
    return with_time(dataset, starts, ends)


def join(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Pieces of a series, one after the other in time."""
    pieces = [piece.load() for piece in datasets]
    timed = xr.concat(pieces, dim="time", data_vars="minimal", coords="minimal", compat="override", join="override")
    timed.attrs.pop("title", None)  # that of a piece
    for name in ("time", "time_bnds"):
        timed[name].encoding = {"units": EPOCH, "calendar": "standard", "dtype": "float64"}
    return timed


def read_piece(path) -> xr.Dataset:
    """A piece of a series, wholly in memory."""
    with store.open_dataset(path) as dataset:
        return dataset.load()
