r"""The Rhine above Lobith in 1990: network of 3.7 km upscaled to 8 km, daily weather, fourteen gauges without records.

Raw data: example of the wflow model, a grid of 0.0367 degrees (2.7 by 4.1 km). What is done with them:

* **The network** is brought to 8-km cells of an equal-area projection, six source cells each, by the cell of largest
  accumulation (:func:`data_prep.hydrography.upscale_to`). The area of a cell is that of the source cells that drain to
  its stretch of river and not to the next one above, its *unit catchment*, not that of the square: so areas upstream
  are those of the source.
* **Dates** are not in the files; step n is 1989-12-30 + n, and step 0 is empty. One year and a day remain.
* **Weather** of a cell is the mean of its source cells. Only precipitation, temperature and potential
  evapotranspiration are given; light, humidity, pressure and wind are derived (:mod:`data_prep.completion`).
* **Land use** has six classes whose names are lost: the legend beside the file has seventeen, and by it the basin
  would have no field. It is not read, nor is the soil, which is one class; the model's defaults stand.
* **Leaf area** lacks December, which is taken as the mean of November and January.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyproj
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain import channels
from chase_jax.io import inputs, store
from chase_jax.signatures.attributes import climate_predictors
from data_prep import by_hand, completion, hydrography, outputs, rasters, rawfiles, weather
from data_prep.landcover import LEAST_LEAF_AREA

CRS = "EPSG:3035"
SIZE = 8000.0  # m
FIRST_DAY = "1989-12-30"  # of step 0
STEPS = 367
WANTED = (
    "wflow_ldd", "wflow_dem", "wflow_demmin", "wflow_outlet", "wflow_gauges", "RiverWidth", "GlacierFrac", "LAI",
    "prcp", "temp", "pet", "lat", "lon",
)  # fmt: skip
GAUGES = {6: "Rhine at Lobith"}  # the number of the outlet; the source names no others


@dataclass
class Source:
    """The network of the source.

    Attributes:
        direction (row, column): D8 codes.
        active (row, column): True inside the basin.
        area (row, column): Area of the cells, m2.
        northing, easting (cell,): Place of the cells in the projection of the domain, m.
    """

    direction: np.ndarray
    active: np.ndarray
    area: np.ndarray
    northing: np.ndarray
    easting: np.ndarray


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, forcing.nc, gauges.csv, reports and a figure.

    See :class:`data_prep.outputs.Recipe`.
    """
    path, target = pathlib.Path(data_root) / "rhine_1990" / "wflow_rhine_sbm.nc", pathlib.Path(output_directory)
    paths = {"forcing": target / "forcing.nc", "gauges": target / "gauges.csv"}
    raw = rawfiles.read_variables(path, dict.fromkeys(WANTED, ""))
    days = raw.sizes["step"]
    require(days == STEPS, f"{path}: must have {STEPS} steps, but has {days}; {rawfiles.ADVICE}.")
    progress("domain: network to 8 km")
    source, corrections = read_network(raw)
    block, x, y = blocks_of(source)
    coarse, unit = upscale(source, block, (y.size, x.size), corrections)
    coarse = by_hand.apply_to(mended, coarse, x, y, CRS, corrections, SIZE**2 / 1e6)
    progress("weather: reading and completing")
    forcing, means = read_weather(raw, block, x, y)
    store.write_dataset(forcing, paths["forcing"], "Rhine above Lobith: weather of 1990")
    areas = areas_of(source, coarse, unit)
    fields, report = build_fields(raw, source, coarse, areas, block)
    gauges = find_gauges(raw, source, areas, block, x, y)
    inputs.write_gauges(paths["gauges"], gauges)
    domain = outputs.domain_dataset(fields | means, x, y, CRS)
    domain["cell_area"].attrs["comment"] = "Area of the source cells that drain to the river within the cell"
    title = "Rhine above Lobith, 8 km"
    return paths | outputs.write_domain(domain, outputs.Account(target, title, corrections, report, progress))


def read_network(raw: xr.Dataset) -> tuple[Source, hydrography.Corrections]:
    """The network of the source, repaired, and what was corrected. Argument: raw, the open file."""
    ldd, altitude = raw["wflow_ldd"].values, raw["wflow_dem"].values.astype(float)
    active = np.isfinite(ldd)
    lat, lon = raw["lat"].values, raw["lon"].values
    require(bool(lat[0] > lat[-1]), "Argument `raw` must run from north to south, but does not.")
    area = rasters.pixel_area(lat, lon)
    corrections = hydrography.Corrections(grid=hydrography.SOURCE)
    codes = hydrography.from_pcraster(np.nan_to_num(ldd), active)
    row, column = (int(k) for k in np.argwhere(raw["wflow_outlet"].values == 1)[0])
    ends = np.flatnonzero(np.isin(codes, [hydrography.SINK, hydrography.OUTLET]) & active)
    codes.flat[ends] = hydrography.OUTLET  # the one pit is the way out at Lobith
    direction = hydrography.repair(codes, active, altitude, corrections, float(area.mean()) / 1e6)
    require(active[row, column] or ends.size > 0, "Argument `raw` must have an outlet, but has none.")
    east, north = pyproj.Transformer.from_crs(4326, CRS, always_xy=True).transform(*np.meshgrid(lon, lat))
    return Source(direction, active, area, north.ravel(), east.ravel()), hydrography.Corrections(corrections.rows)


def blocks_of(source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat index of the 8-km cell of every source cell, and the axes x and y of those cells, m."""
    west, east = (np.floor(k / SIZE) * SIZE for k in (source.easting.min(), source.easting.max()))
    south, north = (np.floor(k / SIZE) * SIZE for k in (source.northing.min(), source.northing.max()))
    x = np.arange(west, east + SIZE, SIZE) + SIZE / 2
    y = np.arange(north, south - SIZE, -SIZE) + SIZE / 2
    column = ((source.easting - west) // SIZE).astype(int)
    row = ((north + SIZE - source.northing) // SIZE).astype(int)
    return np.clip(row, 0, y.size - 1) * x.size + np.clip(column, 0, x.size - 1), x, y


def upscale(
    source: Source, block: np.ndarray, shape: tuple[int, int], corrections: hydrography.Corrections
) -> tuple[hydrography.Upscaled, np.ndarray]:
    """The network of the 8-km cells, and the unit catchment (their number, -1 none) of every source cell.

    Args:
        source: The network of the source.
        block (source cell,): Flat index of the 8-km cell.
        shape: Rows and columns of the 8-km cells.
        corrections: Record that changes are added to.
    """
    mean_area = float(source.area[source.active].mean()) / 1e6
    place = source.northing, source.easting
    coarse = hydrography.upscale_to(source.direction, source.active, block, shape, corrections, mean_area, place)
    receiver = np.where(source.active.ravel(), hydrography.receivers(source.direction), -1)
    coarse = hydrography.reconnect(coarse, receiver, corrections, mean_area)
    unit = hydrography.unit_catchments(receiver, coarse.exit.ravel())
    return coarse, np.where(source.active.ravel(), unit, -1)


@dataclass
class Areas:
    """Areas of the network of the source and of the 8-km cells, m2.

    Attributes:
        unit (row, column): Of the unit catchments.
        upstream (row, column): Draining through an 8-km cell.
        source_upstream (source cell,): Draining through a source cell.
        lost: Of the source cells that drain to no 8-km cell.
    """

    unit: np.ndarray
    upstream: np.ndarray
    source_upstream: np.ndarray
    lost: float


def areas_of(source: Source, coarse: hydrography.Upscaled, unit: np.ndarray) -> Areas:
    """Areas, accumulated down both networks.

    Args:
        source: The network of the source.
        coarse: The network of the 8-km cells.
        unit (source cell,): Unit catchment.
    """
    held, shape = unit >= 0, coarse.active.shape
    area = np.bincount(unit[held], source.area.ravel()[held], coarse.active.size)
    receiver = hydrography.receivers(coarse.direction)
    upstream = hydrography.accumulate(receiver, np.where(coarse.active.ravel(), area, 0.0)).reshape(shape)
    fine = np.where(source.active.ravel(), hydrography.receivers(source.direction), -1)
    source_upstream = hydrography.accumulate(fine, np.where(source.active, source.area, 0.0).ravel())
    lost = float(source.area.ravel()[source.active.ravel() & ~held].sum())
    return Areas(area.reshape(shape), upstream, source_upstream, lost)


def build_fields(
    raw: xr.Dataset, source: Source, coarse: hydrography.Upscaled, areas: Areas, block: np.ndarray
) -> tuple[dict[str, np.ndarray], str]:
    """Maps of the domain and a report.

    Args:
        raw: The open file.
        source: The network of the source.
        coarse: The network of the 8-km cells.
        areas: Areas of both networks.
        block (source cell,): Flat index of the 8-km cell.
    """
    shape, cells = coarse.active.shape, coarse.active.size

    def mean(name: str) -> np.ndarray:
        return rasters.means_of(raw[name].values, block, cells).reshape(*raw[name].shape[:-2], *shape)

    receiver, upstream = hydrography.receivers(coarse.direction), areas.upstream
    straight = hydrography.straight_length(coarse.direction, SIZE)
    length = np.where(np.isfinite(coarse.length), coarse.length, straight)
    at_exit = np.where(coarse.active, raw["wflow_demmin"].values.ravel()[coarse.exit], np.nan)
    river = hydrography.river_profile(receiver, at_exit.ravel(), upstream.ravel() / 1e6, length.ravel()).reshape(shape)
    altitude = mean("wflow_dem")
    width = np.where(coarse.active, raw["RiverWidth"].values.ravel()[coarse.exit], np.nan)
    leaves = mean("LAI")
    leaves = np.concatenate([leaves, 0.5 * (leaves[:1] + leaves[-1:])])
    fields = {
        "active": coarse.active,
        "flow_direction": coarse.direction,
        "surface_altitude": np.fmax(altitude, river),
        "cell_area": areas.unit,
        "leaf_area_index": np.maximum(rasters.fill_nearest(leaves), LEAST_LEAF_AREA),
        "glacier_fraction": np.clip(np.nan_to_num(mean("GlacierFrac")), 0.0, 1.0),
        "channel_width": width,
        "channel_length": length,
        "channel_bed_altitude": river - channels.bankfull_depth(upstream),
        "mean_altitude": altitude,
        "mean_leaf_area_index": np.maximum(rasters.fill_nearest(leaves), LEAST_LEAF_AREA).mean(0),
    }
    large = coarse.upstream > 100
    misfit = np.abs(upstream[large] / areas.source_upstream[coarse.exit[large]] - 1.0)
    report = (
        f"basin {source.area[source.active].sum() / 1e6:.0f} km2 in {source.active.sum()} source cells, "
        f"{areas.lost / 1e6:.0f} km2 of it drain to no cell\n"
        f"upstream areas within 3 % of the source in {(misfit <= 0.03).mean():.1%} of {misfit.size} cells with more "
        f"than 100 source cells; largest deviation {misfit.max():.1%}\n"
        "soil and vegetation: the model's defaults"
    )
    return fields, report


def read_weather(
    raw: xr.Dataset, block: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Daily weather on the 8-km cells, complete, and the predictors of its climate.

    Args:
        raw: The open file.
        block (source cell,): Flat index of the 8-km cell.
        x (column,): Easting of the cells, m.
        y (row,): Northing of the cells, m.
    """
    shape = y.size, x.size
    time = pd.date_range(FIRST_DAY, periods=raw.sizes["step"])[1:]

    def mean(name: str) -> np.ndarray:
        found = rasters.means_of(raw[name].values[1:], block, x.size * y.size).reshape(-1, *shape)
        return rasters.fill_nearest(found)

    altitude = rasters.fill_nearest(rasters.means_of(raw["wflow_dem"].values, block, x.size * y.size).reshape(shape))
    latitude = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True).transform(*np.meshgrid(x, y))[1]
    series = {"precipitation": mean("prcp") / weather.SECONDS_PER_DAY, "air_temperature": mean("temp") + 273.15}
    height, north = (xr.DataArray(values, dims=("y", "x")) for values in (altitude, latitude))
    full, _ = completion.complete(completion.daily(series, time, "y", "x"), height, north)
    rain = series["precipitation"].mean(0) * weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR
    demand = mean("pet").mean(0) * weather.DAYS_PER_YEAR
    warmth, humidity = series["air_temperature"].mean(0), full.specific_humidity.values.mean(0)
    return completion.on_grid(full, x, y, CRS), climate_predictors(rain, warmth, humidity, demand)


def find_gauges(
    raw: xr.Dataset, source: Source, areas: Areas, block: np.ndarray, x: np.ndarray, y: np.ndarray
) -> list[dict[str, object]]:
    """The gauges of the source in the cells whose upstream areas are nearest to theirs.

    Args:
        raw: The open file.
        source: The network of the source.
        areas: Areas of both networks.
        block (source cell,): Flat index of the 8-km cell.
        x (column,): Easting of the cells, m.
        y (row,): Northing of the cells, m.
    """
    fine = areas.source_upstream
    number = raw["wflow_gauges"].values
    gauges = []
    for place in np.flatnonzero(np.isfinite(number) & source.active):
        own = int(number.flat[place])
        here = divmod(int(block[place]), x.size)
        row, column = hydrography.snap(areas.upstream, *here, float(fine[place]))
        name = GAUGES.get(own, f"Gauge {own}")
        found = {"gauge_id": f"{own:02d}", "x": x[column], "y": y[row], "area_km2": fine[place] / 1e6, "name": name}
        gauges.append(found)
    return gauges
