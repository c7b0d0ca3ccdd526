"""Maps and series in the formats of their providers, made alike: north up, longitudes from -180, known units, days.

What a source calls its variables and how it measures them stands in `catalog.yaml`; packed values (`scale_factor`,
`add_offset`) and declared missing values are decoded on reading.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from chase_jax.checks import InputError, require
from chase_jax.io import units
from data_prep import hydrography, rasters

AXES = {"lat": ("lat", "latitude", "y"), "lon": ("lon", "longitude", "x"), "time": ("time", "valid_time")}
EVEN = 1e-3  # spacings, by which a point of an axis may lie off
HOURS = 24
OCEAN, INLAND = (247, -9), (255, -1)  # codes of MERIT Hydro, by the type of its files


@functools.cache
def catalog() -> dict[str, Any]:
    """The sources by name: title, reference, licence, where, quantities."""
    return yaml.safe_load((pathlib.Path(__file__).parent / "catalog.yaml").read_text(encoding="utf-8"))


def read(source: str, quantity: str, path: pathlib.Path) -> xr.DataArray:
    """A quantity of a source as (time, lat, lon) or (lat, lon), lat falling, lon rising from -180, NaN where missing.

    Args:
        source: A name of the catalog.
        quantity: A quantity of that source.
        path: A netCDF file, or a GeoTIFF where the catalog names no variables.

    Returns:
        Values in the unit of the catalog, which stands in the attribute `units`.

    Raises:
        InputError: If the file is missing, cannot be read, lacks variable, axis or unit, or has another unit.
    """
    require(source in catalog(), f"Argument `source` must be one of {', '.join(catalog())}, but is {source}.")
    known = catalog()[source]["quantities"]
    require(quantity in known, f"Argument `quantity` must be one of {', '.join(known)}, but is {quantity}.")
    entry = known[quantity]
    if "variables" in entry:
        array = _from_netcdf(path, entry)
    else:
        raster = rasters.read_geotiff(path)
        values = raster.values
        if "missing" in entry:
            values = np.where(np.isclose(values, entry["missing"]), np.nan, values)
        array = xr.DataArray(values, {"lat": raster.y, "lon": raster.x}, ("lat", "lon"))
    array = oriented(array, path)
    array.attrs = {"units": entry["units"]}
    return array.rename(quantity)


def _from_netcdf(path: pathlib.Path, entry: dict[str, Any]) -> xr.DataArray:
    """The variable of an entry of the catalog, in its unit, with axes named time, lat and lon."""
    with rasters.open_netcdf(path) as dataset:
        names = [name for name in entry["variables"] if name in dataset]
        held = ", ".join(map(str, dataset.data_vars)) or "nothing"
        require(bool(names), f"{path}: variable {entry['variables'][0]}: is missing; the file holds {held}.")
        array = dataset[names[0]]
        told = str(array.attrs.get("units", "")).strip()
        require(bool(told), f"{path}: variable {names[0]}: has no `units` attribute; add one such as {entry['units']}.")
        try:
            factor, offset = units.conversion(entry.get("spellings", {}).get(told, told), entry["units"])
        except InputError as error:
            raise InputError(f"{path}: variable {names[0]}: {error}") from None
        found = {name: axis for axis, known in AXES.items() for name in known if name in array.dims}
        wanted = {"lat", "lon"} if entry["kind"] == "static" else {"time", "lat", "lon"}
        array = array.squeeze([d for d in array.dims if d not in found and array.sizes[d] == 1], drop=True)
        require(
            set(found.values()) == wanted and set(array.dims) == set(found),
            f"{path}: variable {names[0]}: must have the axes {', '.join(sorted(wanted))}, but has {array.dims}.",
        )
        try:
            values = array.values.astype(float)
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: variable {names[0]}: cannot be read ({error}); get the file again.") from None
        coordinates = {axis: dataset[name].values for name, axis in found.items()}
    if "missing" in entry:
        values = np.where(np.isclose(values, entry["missing"]), np.nan, values)
    result = xr.DataArray(values * factor + offset, coordinates, [found[str(d)] for d in array.dims])
    return result.transpose(*[axis for axis in ("time", "lat", "lon") if axis in wanted])


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

    Accumulated values count from 00 UTC and are stamped at their end, so that the stamp of the next midnight holds the
    sum of the day. Days without all their stamps are left out.

    Args:
        array (time, ...): Hourly values, `accumulated` ones in a unit of an amount.
        kind: "instant" or "accumulated".

    Raises:
        InputError: If the stamps are not hourly.
    """
    require(kind in ("instant", "accumulated"), f"Argument `kind` must be instant or accumulated, but is {kind}.")
    time = pd.DatetimeIndex(array.time.values)
    step = np.diff(time.to_numpy()) / np.timedelta64(1, "h")
    require(bool((step == 1).all()), "Argument `array` must have a value every hour, but has not.")
    if kind == "instant":
        day = time.normalize()
        full = [d for d, number in day.value_counts().sort_index().items() if number == HOURS]
        parts = [array.values[day == d].mean(axis=0) for d in full]
    else:
        ends = np.flatnonzero((time.hour == 0) & (np.arange(time.size) >= HOURS - 1))  # 01 to 24 h came before
        full = [time[int(end)] - pd.Timedelta(days=1) for end in ends]
        parts = [array.values[end] / (HOURS * 3600.0) for end in ends]
    require(bool(parts), "Argument `array` must hold a whole day, but holds none.")
    coordinates = {name: axis for name, axis in array.coords.items() if name != "time"} | {"time": full}
    result = xr.DataArray(np.stack(parts), coordinates, array.dims, array.name)
    unit = array.attrs.get("units", "")
    result.attrs["units"] = unit if kind == "instant" else {"J m-2": "W m-2"}.get(unit, f"{unit} s-1")
    return result


def merit_directions(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (row, column) in this program's codes and the cells of land from codes of MERIT Hydro.

    Args:
        codes (row, column): 1 to 128 as ESRI has them, 0 river mouth, 255 or -1 inland depression, 247 or -9 ocean,
            NaN missing.

    Raises:
        InputError: If a code is none of these.
    """
    land = np.isfinite(codes) & ~np.isin(codes, OCEAN)
    whole = np.where(land, codes, hydrography.OUTLET).astype(int)
    whole[np.isin(whole, INLAND)] = hydrography.SINK
    wrong = ~np.isin(whole, [hydrography.OUTLET, hydrography.SINK, *hydrography.STEPS])
    require(not wrong.any(), f"Argument `codes` must hold D8 codes, but holds {np.unique(whole[wrong])[:5].tolist()}.")
    return whole, land
