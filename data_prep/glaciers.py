"""Glaciers: elevation bands of an outline on a terrain model, monthly climate, measured mass balance."""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import store
from chase_jax.physics.elevation import LAPSE_RATE
from data_prep import generator, vectors

EARTH_RADIUS = 6.371e6  # m


def elevation_bands(
    altitude: np.ndarray, area: np.ndarray, inside: np.ndarray, width: float = 100.0
) -> tuple[np.ndarray, np.ndarray]:
    """Split a region into bands of altitude.

    Args:
        altitude (...): Altitude of the pixels, m.
        area (...): Their area, m2; broadcasts against `altitude`.
        inside (...): Which belong to the region.
        width: Width of a band, m; bands begin at multiples of it.

    Returns:
        Mean altitude (band,), m, and area (band,), m2, of the bands that hold a pixel, from low to high.
    """
    require(width > 0.0, f"Argument `width` must be above 0 m, but is {width:g}.")
    require(bool(np.any(inside)), "Argument `inside` must hold a pixel, but holds none.")
    height, weight = altitude[inside].astype(float), np.broadcast_to(area, altitude.shape)[inside]
    _, band = np.unique(np.floor(height / width), return_inverse=True)
    total = np.bincount(band, weight)
    return np.bincount(band, weight * height) / total, total


def bands_of_outline(
    terrain: pathlib.Path, outline: pathlib.Path, width: float = 100.0
) -> tuple[np.ndarray, np.ndarray, float]:
    """Elevation bands of a glacier from a terrain model in degrees and a shapefile, both in WGS 84.

    Args:
        terrain: A raster that rasterio reads, altitude in m.
        outline: A shapefile or GeoPackage with the polygons of the glacier.
        width: Width of a band, m.

    Returns:
        As :func:`elevation_bands`, and the latitude of the glacier, degree north.
    """
    import rasterio
    import rasterio.features

    for path in (terrain, outline):
        require(path.is_file(), f"{path}: is missing; check `data.root`.")
    with rasterio.open(terrain) as dataset:
        altitude, transform = dataset.read(1), dataset.transform
    polygons, _ = vectors.read_polygons(outline)
    inside = rasterio.features.geometry_mask(polygons, altitude.shape, transform, invert=True)
    latitude = transform.f + (np.arange(len(altitude)) + 0.5) * transform.e
    side = np.deg2rad(np.array([transform.a, -transform.e])) * EARTH_RADIUS
    area = (side[0] * side[1] * np.cos(np.deg2rad(latitude)))[:, None]
    middle = float(np.average(np.broadcast_to(latitude[:, None], altitude.shape)[inside]))
    return *elevation_bands(altitude, area, inside, width), middle


def daily_climate(
    path: pathlib.Path,
    latitude: float,
    longitude: float,
    altitude: np.ndarray,
    start: str,
    end: str,
    seed: int,
) -> xr.Dataset:
    """Daily precipitation and temperature of elevation bands from the nearest point of a monthly climate.

    Temperature falls by 6.5 K per kilometer from the altitude of that point; precipitation is the same for all bands.

    Args:
        path: File with `prcp` (kg m-2 a month), `temp` (degrees Celsius) and the altitude `hgt`, by time, lat, lon.
        latitude: Of the region, degree north.
        longitude: Of the region, degree east.
        altitude (band,): Mean altitude of the bands, m.
        start: First month, such as "1952-10".
        end: Last month.
        seed: Seed of the daily weather.

    Returns:
        Dataset (time, band) with the names and units of the table of variables.
    """
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    with xr.open_dataset(path) as climate:
        point = climate.sel(lat=latitude, lon=longitude, method="nearest").sel(time=slice(start, end)).load()
    warmth = point.temp.values.astype(float) + 273.15
    time, rain, temperature = generator.daily_from_monthly(point.prcp.values.astype(float), warmth, start, seed)
    cooling = LAPSE_RATE * (np.asarray(altitude) - float(point.hgt))
    fields = {
        "precipitation": np.broadcast_to(rain[:, None], (time.size, cooling.size)),
        "air_temperature": temperature[:, None] - cooling,
    }
    data = {name: (("time", "band"), values, store.attributes(name)) for name, values in fields.items()}
    return xr.Dataset(data, coords={"time": time.to_numpy()})


def read_mass_balance(path: pathlib.Path) -> pd.Series:
    """Annual mass balance by hydrological year, kg m-2, of a table of the World Glacier Monitoring Service.

    Args:
        path: Table with YEAR and ANNUAL_BALANCE (mm w.e.).
    """
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    return pd.read_csv(path, index_col="YEAR").ANNUAL_BALANCE.dropna()


def read_profile(path: pathlib.Path, years: np.ndarray, altitude: np.ndarray) -> np.ndarray:
    """Mean measured balance at given altitudes (band,), kg m-2 a year, NaN beyond the measured ones.

    Args:
        path: Table with a row a year and a column per altitude, mm w.e.
        years (year,): Years to average over, those of the table among them.
        altitude (band,): Where the balance is wanted, m.
    """
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    table = pd.read_csv(path, index_col=0)
    mean = table.loc[table.index.isin(years)].dropna(axis=1, thresh=len(years) // 2).mean()
    height = mean.index.astype(float).to_numpy()
    order = np.argsort(height)
    return np.interp(altitude, height[order], mean.to_numpy()[order], left=np.nan, right=np.nan)
