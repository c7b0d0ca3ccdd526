"""A made-up land in the formats of the providers that the recipe `china` reads."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

from chase_jax import cli
from data_prep import hydrography, rasters, relief

rasterio = pytest.importorskip("rasterio")
pyogrio = pytest.importorskip("pyogrio")
shapely = pytest.importorskip("shapely")
pytest.importorskip("pyflwdir")

STEP, SIDE = 0.005, 60  # degree, and pixels a side of both tiles together
NORTH, WEST = 30.6, 100.2
LAT, LON = NORTH - STEP * (np.arange(SIDE) + 0.5), WEST + STEP * (np.arange(SIDE) + 0.5)
COARSE_LAT, COARSE_LON = 31.05 - 0.1 * np.arange(12), 99.75 + 0.1 * np.arange(14)
DAYS = pd.date_range("2004-02-27", periods=5)  # over a leap day
POLYGON = shapely.box(100.3, 30.42, 100.38, 30.5)  # a lake
POND = shapely.box(100.25, 30.35, 100.265, 30.365)  # of about half a cell
ICE = shapely.box(100.2, 30.55, 100.26, 30.6)
# How files are written: moved eastward by degrees, longitudes from 0, the south first, packed, the netCDF format.
FORM = {"east": 0.0, "from_zero": False, "south_first": False, "packed": False, "format": "NETCDF4"}


def terrain():
    """Altitude of a land that falls to a sea in the east, with a level lake."""
    row, column = np.indices((SIDE, SIDE))
    noise = np.random.default_rng(3).random((SIDE, SIDE))
    height = 3000.0 - 40.0 * column + 15.0 * np.abs(row - SIDE / 2) + 25.0 * noise
    height[16:36, 20:36] = height[16:36, 20:36].min()
    land = column < SIDE - 3
    return height, land


def write_tiles(folder):
    """Two tiles side by side."""
    folder.mkdir(parents=True)
    height, land = terrain()
    direction, filled = relief.drainage(height, land)
    receiver = hydrography.receivers(direction)
    area = rasters.pixel_area(LAT, LON) / 1e6
    upstream = hydrography.accumulate(receiver, np.where(land, area, 0.0).ravel()).reshape(land.shape)
    codes = np.where(land, np.where(direction == hydrography.SINK, -1, direction), -9)
    maps = {
        "dir": (codes, "int16", -9),
        "elv": (np.where(land, filled, -9999.0), "float32", -9999),
        "upa": (np.where(land, upstream, -9999.0), "float32", -9999),
        "wth": (np.where(land, np.where(upstream > 60, 33.0, 0.0), -9999.0), "float32", -9999),
    }
    for part, (values, kind, missing) in maps.items():
        for number, name in enumerate(("n30e100", "n30e101")):
            half = values[:, 30 * number : 30 * number + 30].astype(kind)
            place = rasterio.Affine(STEP, 0, WEST + FORM["east"] + 30 * STEP * number, 0, -STEP, NORTH)
            layout = {"driver": "GTiff", "width": 30, "height": SIDE, "count": 1, "dtype": kind, "nodata": missing}
            with rasterio.open(folder / f"{name}_{part}.tif", "w", crs="EPSG:4326", transform=place, **layout) as file:
                file.write(half, 1)
    return upstream


def write_map(path, name, units, values, days=None, hourly=False):
    """A coarse map or series in degrees."""
    path.parent.mkdir(parents=True, exist_ok=True)
    field = np.broadcast_to(values, (len(days), 12, 14)) if days is not None else np.broadcast_to(values, (12, 14))
    dims = ("time", "lat", "lon") if days is not None else ("lat", "lon")
    axes = {"lat": COARSE_LAT, "lon": COARSE_LON + FORM["east"]} | ({"time": days} if days is not None else {})
    data = xr.Dataset({name: (dims, np.array(field, float), {"units": units})}, axes)
    if hourly and FORM["packed"]:  # as the present store of the provider has it
        data = data.assign_coords(number=0, expver=("time", ["0001"] * len(days)))
    if hourly:
        data = data.rename(lat="latitude", lon="longitude", time="valid_time")
    save(data, name, path)


def save(data, name, path):
    """Write a file in the form asked for."""
    lat, lon = ("latitude", "longitude") if "latitude" in data else ("lat", "lon")
    if FORM["from_zero"]:
        data = data.assign_coords({lon: data[lon] % 360.0})
    if FORM["south_first"]:
        data = data.sortby(lat)
    low, high = float(data[name].min()), float(data[name].max())
    step = max((high - low) / 60_000, 1e-6 * max(abs(high), 1e-12))
    packing = {"dtype": "i2", "scale_factor": step, "add_offset": (low + high) / 2, "_FillValue": -32768}
    data.to_netcdf(path, format=FORM["format"], encoding={name: packing} if FORM["packed"] else {})


def write_leaves(folder):
    """Two tiles of calendar months side by side, as the 15-second product has them."""
    for name, part in (("RG_35_95_30_100.MOD2005.nc", slice(0, 6)), ("RG_35_100_30_105.MOD2005.nc", slice(6, 14))):
        field = (1.0 + np.arange(12) / 11)[:, None, None] * np.ones((1, 12, COARSE_LON[part].size))
        axes = {"mon": np.arange(1, 13), "lat": COARSE_LAT, "lon": COARSE_LON[part] + FORM["east"]}
        tile = xr.Dataset({"MONTHLY_LC_LAI": (("mon", "lat", "lon"), field, {"units": "m^2/m^2"})}, axes)
        (folder / "lai").mkdir(exist_ok=True)
        save(tile, "MONTHLY_LC_LAI", folder / "lai" / name)


def write_weather(folder):
    """Daily rain; hourly air of every quantity, fluxes accumulated from midnight."""
    rain = 5.0 + np.arange(5)[:, None, None] + 0.0 * COARSE_LAT[:, None]
    write_map(folder / "chm_pre" / "CHM_PRE_V2_daily_2004.nc", "prec", "mm/day", rain, DAYS)
    hours = pd.date_range("2004-02-27", "2004-03-03", freq="h")
    hour = hours.hour.to_numpy()
    column = (len(hours), 1, 1)
    since = np.where(hour == 0, 24, hour).reshape(column)
    warmth = 283.0 + 4.0 * np.cos(2 * np.pi * (hour - 15) / 24)
    series = {
        "t2m": ("K", warmth.reshape(column)), "d2m": ("K", np.full(column, 276.0)), "sp": ("Pa", np.full(column, 8e4)),
        "u10": ("m s**-1", 3.0 * np.where(hour % 2, 1, -1).reshape(column)), "v10": ("m s**-1", np.full(column, 4.0)),
        "ssrd": ("J m**-2", since * 200.0 * 3600.0), "strd": ("J m**-2", since * 300.0 * 3600.0),
        "tp": ("m", since * 1e-4),
    }  # fmt: skip
    for name, (units, values) in series.items():
        write_map(folder / "era5_land" / f"{name}.nc", name, units, values, hours, hourly=True)


def write_rest(folder):
    """Everything else, but floodplains and lakes treated by hand."""
    write_map(folder / "hwsd" / "T_CLAY.nc4", "T_CLAY", "%wt", np.full((12, 14), 31.0))
    sand = np.where(COARSE_LON > 100.45, np.nan, 44.0) * np.ones((12, 1))
    write_map(folder / "hwsd" / "T_SAND.nc4", "T_SAND", "%wt", sand)
    write_leaves(folder)
    write_map(folder / "gleam" / "Ep_2004_GLEAM_v4.1a.nc", "Ep", "mm/day", np.full((1, 1, 1), 3.0), DAYS)
    for name, value, unit in (("thickness", 40.0, "m"), ("specific_yield", 0.11, "1")):
        (folder / "aquifer").mkdir(exist_ok=True)
        place = rasterio.Affine(0.1, 0, 99.7 + FORM["east"], 0, -0.1, 31.1)
        layout = {"driver": "GTiff", "width": 14, "height": 12, "count": 1, "dtype": "float32", "nodata": -9999}
        with rasterio.open(folder / "aquifer" / f"{name}.tif", "w", crs="EPSG:4326", transform=place, **layout) as file:
            file.write(np.full((12, 14), value, "float32"), 1)
            file.set_band_unit(1, unit)
    (folder / "land_cover").mkdir()
    layout = {"driver": "GTiff", "width": 200, "height": 200, "count": 1, "dtype": "uint8", "nodata": 100}
    with rasterio.open(
        folder / "land_cover" / "glcc.tif", "w", crs="EPSG:4326", **layout,
        transform=rasterio.Affine(0.005, 0, 99.9 + FORM["east"], 0, -0.005, 31.0),
    ) as file:  # fmt: skip
        file.write(np.where(np.arange(200) < 90, 7, 2)[None, :] * np.ones((200, 1), "uint8"), 1)
    crs = "+proj=laea +lat_0=30.45 +lon_0=100.35 +datum=WGS84 +units=m"
    change = pyproj.Transformer.from_crs(4326, crs, always_xy=True)

    def area(shape):
        return shapely.transform(shape, lambda p: np.stack(change.transform(*p.T), axis=1)).area / 1e6

    tables = {
        "hydrolakes": ([POLYGON, POND], {
            "Hylak_id": [7, 9], "Lake_area": [area(POLYGON), area(POND)], "Depth_avg": [12.0, 2.0],
            "Vol_total": [12.0 * area(POLYGON), 2.0 * area(POND)], "Elevation": [2500, 2900],
            "Pour_long": [100.38, 100.265], "Pour_lat": [30.45, 30.35]}),
        "rgi": ([ICE], {"rgi_id": ["RGI2000-v7.0-G-13-00001"], "area_km2": [area(ICE)], "zmin_m": [2900.0],
                        "zmed_m": [3000.0], "zmax_m": [3400.0]}),
    }  # fmt: skip
    for name, (shapes, fields) in tables.items():
        (folder / name).mkdir()
        columns = [np.array(v) for v in fields.values()]
        told = {"geometry_type": "Polygon", "fields": list(fields), "crs": "EPSG:4326"}
        moved = [shapely.transform(shape, lambda points: points + np.array([FORM["east"], 0.0])) for shape in shapes]
        pyogrio.raw.write(folder / name / "polygons.shp", shapely.to_wkb(moved), columns, **told)


def prepare(folder, target, *words):
    return cli.main(["prepare", "recipe=china", f"china.folder={folder}", f"output.directory={target}",
                     "china.resolution=2000", "output.overwrite=true", *words])  # fmt: skip
