"""Maps and series in the formats of their providers, made alike: north up, longitudes from -180, known units, days.

What a source calls its variables and how it measures them stands in `catalog.yaml`; packed values (`scale_factor`,
`add_offset`) and declared missing values are decoded on reading.
"""

from __future__ import annotations

import functools
import pathlib
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyproj
import xarray as xr
import yaml

from chase_jax.checks import InputError, require
from chase_jax.domain.grid import Grid
from chase_jax.io import regrid, units
from data_prep import hydrography, rasters

AXES = {
    "lat": ("lat", "latitude", "y"), "lon": ("lon", "longitude", "x"), "time": ("time", "valid_time", "month", "mon"),
}  # fmt: skip
EVEN = 1e-3  # spacings, by which a point of an axis may lie off
HOURS = 24
OCEAN, INLAND = (247, -9), (255, -1)  # codes of MERIT Hydro, by the type of its files
UNDEFINED = 1e19  # from here on values are those that netCDF writes where nothing was written
PACKED = 1e-4  # 1, of a largest value, that packing may add to it
FALL = 0.01  # 1, of the largest value, that packing may let a sum since midnight fall
NEAR = 1e-3  # from the number that stands for missing, which single precision may have rounded
MOST_MONTHS, MOST_DAYS = 12, 366  # numbers of calendar months and of days of the year


@functools.cache
def catalog() -> dict[str, Any]:
    """The sources by name: title, reference, licence, where, quantities."""
    return yaml.safe_load((pathlib.Path(__file__).parent / "catalog.yaml").read_text(encoding="utf-8"))


def read(
    source: str,
    quantity: str,
    path: pathlib.Path,
    times: tuple[str, str] | None = None,
    region: tuple[float, float, float, float] | None = None,
) -> xr.DataArray:
    """A quantity of a source as (time, lat, lon) or (lat, lon), lat falling, lon rising from -180, NaN where missing.

    Args:
        source: A name of the catalog.
        quantity: A quantity of that source.
        path: A netCDF file, or a GeoTIFF where the catalog names no variables.
        times: First and last stamp wanted of a netCDF file, ISO; all if None.
        region: South, north, west and east edge of what is wanted, degree; all if None. Nothing else is read.

    Returns:
        Values in the unit of the catalog, which stands in the attribute `units`.

    Raises:
        InputError: If the file is missing, cannot be read, lacks variable, axis or unit, or has another unit.
    """
    require(source in catalog(), f"Argument `source` must be one of {', '.join(catalog())}, but is {source}.")
    known = catalog()[source]["quantities"]
    require(quantity in known, f"Argument `quantity` must be one of {', '.join(known)}, but is {quantity}.")
    entry = known[quantity]
    array = _from_netcdf(path, entry, times, region) if "variables" in entry else read_pixels(source, quantity, path)
    array = oriented(array, path)
    if region is not None:
        array = array[..., _within(array.lat.values, region[:2]), _within(array.lon.values, region[2:])]
        require(bool(array.size), f"{path}: does not reach into {region} (south, north, west, east).")
    array.attrs = {"units": entry["units"]}
    return array.rename(quantity)


def read_pixels(
    source: str, quantity: str, path: pathlib.Path, part: tuple[slice, slice] | None = None
) -> xr.DataArray:
    """Pixels (lat, lon) of a GeoTIFF as they lie in it, in the unit of the catalog, NaN where missing.

    Args:
        source: A name of the catalog.
        quantity: A quantity of that source.
        path: The file.
        part: Rows and columns that are read; all if None.

    Raises:
        InputError: If the file is missing, cannot be read or has another unit.
    """
    entry = catalog()[source]["quantities"][quantity]
    raster = rasters.read_geotiff(path, part=part)
    factor, offset = _conversion(path, "band 1", raster.units, entry) if raster.units else (1.0, 0.0)
    values = raster.values * factor + offset
    if "missing" in entry:
        values[np.abs(values - entry["missing"]) < NEAR] = np.nan
    _require_most(path, "band 1", values, entry)
    return xr.DataArray(values, {"lat": raster.y, "lon": raster.x}, ("lat", "lon"))


def reaches(source: str, quantity: str, path: pathlib.Path, region: tuple[float, float, float, float]) -> bool:
    """Whether a netCDF file holds a quantity of a source within a region (south, north, west, east edge, degree)."""
    with rasters.open_netcdf(path) as dataset:
        if not any(name in dataset for name in catalog()[source]["quantities"][quantity]["variables"]):
            return False
        axes = [next((dataset[name].values for name in AXES[axis] if name in dataset), None) for axis in ("lat", "lon")]
    if any(axis is None for axis in axes):
        return True  # for the reader to tell what is wrong
    places = axes[0], (np.asarray(axes[1], float) + 180.0) % 360.0 - 180.0
    return all(_within(np.asarray(p), e).size for p, e in zip(places, (region[:2], region[2:]), strict=True))


def _within(axis: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Points of an axis between two edges, one more on each side if there is one."""
    inside = (axis >= edges[0]) & (axis <= edges[1])
    around = np.pad(inside, 1)
    return np.flatnonzero(around[:-2] | inside | around[2:])


def _conversion(path: pathlib.Path, name: str, told: str, entry: dict[str, Any]) -> tuple[float, float]:
    """Factor and offset from the unit of a file to that of the catalog."""
    try:
        return units.conversion(entry.get("spellings", {}).get(told, told), entry["units"])
    except InputError as error:
        raise InputError(f"{path}: variable {name}: {error}") from None


def _from_netcdf(
    path: pathlib.Path,
    entry: dict[str, Any],
    times: tuple[str, str] | None,
    region: tuple[float, float, float, float] | None,
) -> xr.DataArray:
    """The variable of an entry of the catalog, in its unit, with axes named time, lat and lon."""
    with rasters.open_netcdf(path) as dataset:
        names = [name for name in entry["variables"] if name in dataset]
        held = ", ".join(map(str, dataset.data_vars)) or "nothing"
        require(bool(names), f"{path}: variable {entry['variables'][0]}: is missing; the file holds {held}.")
        array = dataset[names[0]]
        told = str(array.attrs.get("units", "")).strip()
        require(bool(told), f"{path}: variable {names[0]}: has no `units` attribute; add one such as {entry['units']}.")
        factor, offset = _conversion(path, names[0], told, entry)
        found = {name: axis for axis, known in AXES.items() for name in known if name in array.dims}
        wanted = {"lat", "lon"} if entry["kind"] == "static" else {"time", "lat", "lon"}
        if entry["kind"] == "static":  # of one time, such as the geopotential
            found = {name: axis for name, axis in found.items() if axis != "time"}
        array = array.squeeze([d for d in array.dims if d not in found and array.sizes[d] == 1], drop=True)
        require(
            set(found.values()) == wanted and set(array.dims) == set(found),
            f"{path}: variable {names[0]}: must have the axes {', '.join(sorted(wanted))}, but has {array.dims}.",
        )
        label = {axis: name for name, axis in found.items()}
        if times is not None and "time" in label:
            stamps = dataset[label["time"]].values
            chosen = (stamps >= np.datetime64(times[0])) & (stamps <= np.datetime64(times[1]))
            array = array.isel({label["time"]: np.flatnonzero(chosen)})
        if region is not None:
            lon = (dataset[label["lon"]].values.astype(float) + 180.0) % 360.0 - 180.0
            place = {"lat": (dataset[label["lat"]].values, region[:2]), "lon": (lon, region[2:])}
            array = array.isel({label[axis]: _within(*line) for axis, line in place.items()})
            require(bool(array.size), f"{path}: does not reach into {region} (south, north, west, east).")
        try:
            values = array.values.astype(float)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: variable {names[0]}: cannot be read ({error}); get the file again.") from None
        coordinates = {axis: array[name].values for name, axis in found.items()}
    if "missing" in entry:
        values[np.abs(values - entry["missing"]) < NEAR] = np.nan
    values = np.where(np.abs(values) < UNDEFINED, values * factor + offset, np.nan)
    _require_most(path, names[0], values, entry)
    result = xr.DataArray(values, coordinates, [found[str(d)] for d in array.dims])
    return result.transpose(*[axis for axis in ("time", "lat", "lon") if axis in wanted])


def _require_most(path: pathlib.Path, name: str, values: np.ndarray, entry: dict[str, Any]) -> None:
    """Require values to be no larger than such values can be."""
    largest, most = float(np.nanmax(values, initial=-np.inf)), entry.get("most", np.inf)
    require(
        largest <= most * (1.0 + PACKED),
        f"{path}: variable {name}: must be at most {most} ({entry['units']}), but reaches {largest:g}; state its "
        "unit and its scale_factor in the file.",
    )


def oriented(array: xr.DataArray, path: pathlib.Path) -> xr.DataArray:
    """The map with latitude falling and longitude rising from -180, on even axes.

    Args:
        array (..., lat, lon): Values, any unit.
        path: The file, for messages.

    Raises:
        InputError: If an axis is not even or a longitude stands twice.
    """
    turned = array.assign_coords(lon=(array.lon + 180.0) % 360.0 - 180.0).sortby("lon").sortby("lat", ascending=False)
    for name in ("lat", "lon"):
        step = np.diff(turned[name].values.astype(float))
        low, high = (step.min(), step.max()) if step.size else (1.0, 1.0)
        even = low * high > 0 and high - low <= EVEN * abs(low)
        require(even, f"{path}: axis {name}: must be even, but its steps are {low:g} to {high:g} degrees.")
    return turned


def daily(array: xr.DataArray, kind: str) -> xr.DataArray:
    """Days of hourly values: means of `instant` ones, mean fluxes per second of `accumulated` ones.

    Accumulated values count from 00 UTC and are stamped at their end, so that the stamp of the next midnight
    alone holds the sum of the day. Days without all their stamps are left out of means. Files of one value a day are
    accepted: instant ones as they are, accumulated ones stamped at the midnight that ends the day.

    Args:
        array (time, ...): Hourly or daily values, `accumulated` ones in a unit of an amount.
        kind: "instant" or "accumulated".

    Raises:
        InputError: If the stamps are neither hourly nor daily, or hourly accumulations fall within a day, as sums of
            single hours do.
    """
    require(kind in ("instant", "accumulated"), f"Argument `kind` must be instant or accumulated, but is {kind}.")
    time = pd.DatetimeIndex(array.time.values)
    step = np.diff(time.to_numpy()) / np.timedelta64(1, "h")
    whole = bool((step == HOURS).all()) and time.size > 1
    message = "Argument `array` must have a value every hour or every day, but has not."
    require(whole or bool((step == 1).all()), message)
    full: list[Any]
    if kind == "instant" and whole:
        full, parts = [pd.Timestamp(day).normalize() for day in time.to_numpy()], list(array.values)
    elif kind == "instant":
        day = time.normalize()
        full = [d for d, number in day.value_counts().sort_index().items() if number == HOURS]
        parts = [array.values[day == d].mean(axis=0) for d in full]
    else:
        drop = np.diff(array.values, axis=0)[time.hour[1:] != 1] if not whole else np.zeros(0)
        fall, largest = float(np.nanmin(drop, initial=0.0)), float(np.nanmax(array.values, initial=0.0))
        message = f"Argument `array` {array.name}: must be summed from 00 UTC, but falls within a day."
        require(fall >= -FALL * largest, message)
        ends = np.flatnonzero(time.hour == 0)
        full = [time[int(end)] - pd.Timedelta(days=1) for end in ends]
        parts = [array.values[end] / (HOURS * 3600.0) for end in ends]
    require(bool(parts), "Argument `array` must hold a whole day, but holds none.")
    coordinates = {name: axis for name, axis in array.coords.items() if name != "time"} | {"time": full}
    result = xr.DataArray(np.stack(parts), coordinates, array.dims, array.name)
    unit = array.attrs.get("units", "")
    result.attrs["units"] = unit if kind == "instant" else {"J m-2": "W m-2"}.get(unit, f"{unit} s-1")
    return result


def calendar_months(array: xr.DataArray, path: pathlib.Path) -> np.ndarray:
    """Means of the calendar months (month, lat, lon) over all years of monthly or denser values.

    Args:
        array (time, lat, lon): Values; times are dates, or the numbers of the months or of the days of the year.
        path: The file, for messages.

    Raises:
        InputError: If a month is missing.
    """
    stamps = array.time.values
    dates = np.issubdtype(stamps.dtype, np.datetime64)
    if not dates and MOST_MONTHS < stamps.max() <= MOST_DAYS:
        stamps, dates = np.datetime64("2001-01-01") + (stamps.astype(int) - 1).astype("m8[D]"), True
    month = pd.DatetimeIndex(stamps).month.to_numpy() if dates else stamps.astype(int)
    lacking = sorted(set(range(1, 13)) - set(month.tolist()))
    require(not lacking, f"{path}: axis time: must hold all calendar months, but lacks {lacking}.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.stack([np.nanmean(array.values[month == number], axis=0) for number in range(1, 13)])


def onto(
    array: xr.DataArray, x: np.ndarray, y: np.ndarray, crs: str, path: pathlib.Path, partly: bool = False
) -> np.ndarray:
    """A map brought to a projected grid (row, column): bilinear, with the nearest valid value where there is none.

    Args:
        array (lat, lon): Values, NaN where missing.
        x (column,): Easting of the cell centers, m.
        y (row,): Northing of the cell centers, m.
        crs: The projection in any form that PROJ reads.
        path: The file, for messages.
        partly: Whether the map may cover a part of the grid, as a tile does; the rest is NaN.

    Raises:
        InputError: If the map does not cover the grid, or holds no value there.
    """
    known = bool(np.isfinite(array.values).any())
    require(known or partly, f"{path}: holds no value where the grid is.")
    projection, inside = pyproj.CRS.from_user_input(crs).to_cf(), np.ones((len(y), len(x)), bool)
    if partly:
        lon, lat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(*np.meshgrid(x, y))
        for axis, place in (("lat", lat), ("lon", lon)):
            tick = np.sort(array[axis].values)
            half = 0.5 * (tick[-1] - tick[0]) / max(tick.size - 1, 1)
            inside &= (place >= tick[0] - half) & (place <= tick[-1] + half)
        if not (known and inside.any()):
            return np.full(inside.shape, np.nan)
    grid = Grid(x, y, projection, *np.nonzero(inside))
    filled = array.copy(data=rasters.fill_nearest(array.values))
    filled["lat"].attrs["units"], filled["lon"].attrs["units"] = "degrees_north", "degrees_east"
    every = np.ones(filled.shape, bool)
    rows, columns, points, weights = regrid.bilinear(filled.to_dataset(name="map"), ("lat", "lon"), every, grid, path)
    return grid.unpack(weights @ filled.values[rows, columns].ravel()[points])


def merit_directions(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (row, column) in this program's codes and the cells of land from codes of MERIT Hydro.

    Args:
        codes (row, column): 1 to 128 as ESRI has them, 0 river mouth, 255 or -1 inland depression, 247 or -9 ocean,
            NaN missing.

    Raises:
        InputError: If a code is none of these.
    """
    land = np.isfinite(codes) & ~np.isin(codes, OCEAN)
    whole = np.where(land, codes, hydrography.OUTLET).astype(np.int16)
    whole[np.isin(whole, INLAND)] = hydrography.SINK
    wrong = ~np.isin(whole, [hydrography.OUTLET, hydrography.SINK, *hydrography.STEPS])
    require(not wrong.any(), f"Argument `codes` must hold D8 codes, but holds {np.unique(whole[wrong])[:5].tolist()}.")
    return whole, land
