r"""A region of China from the sources of Dong et al. (2026), whatever of them is there.

| source | gives | where | without it |
|---|---|---|---|
| MERIT Hydro | drainage, terrain | `merit_hydro/*_dir.tif`, `*_elv.tif` | nothing is made |
| | river widths | `merit_hydro/*_wth.tif` | from mean flow |
| | areas to compare | `merit_hydro/*_upa.tif` | not compared |
| HWSD (regridded) | sand, clay | `hwsd/*.nc*` with T_SAND, T_CLAY | loam |
| aquifer maps | thickness | `aquifer/thickness.tif` | the model's default |
| | specific yield | `aquifer/specific_yield.tif` | the model's default |
| GLCC | land cover | `land_cover/*.tif`, legend in `china.legend` | the model's default |
| HydroLAKES | lakes | `hydrolakes/*.shp` or `.gpkg` | no lakes |
| Randolph inventory | glaciers | `rgi/*.shp` or `.gpkg` | no glaciers |
| 1-km leaf area | leaf area | `lai/*.nc*` | the model's default |
| CHM_PRE V2 | precipitation | `chm_pre/*.nc*` | that of ERA5-Land |
| ERA5-Land | all other weather | `era5_land/*.nc*` | no weather |
| GLEAM | potential evapotranspiration | `gleam/Ep_*.nc*` | that of wet ground under the weather |
| gauges | places of gauges | `gauges.csv` | no gauges |

Folders are those within `china.folder`, or `china` in `data.root`. What is missing is told, one line each, with where
to get it. What is done with them, as in the paper: an equal-area grid about the middle of the region; drainage and
altitude of rivers by the place of largest accumulation; climate, soil and aquifer bilinear, with the nearest valid
value where there is none; land cover nearest. The land is the mean of a cell, above its river
(:mod:`data_prep.relief`).

Pixels of MERIT Hydro are held in memory, some 200 bytes each: a tile of 5 degrees takes about 7 GB. For less, set the
region by `china.south` and so on, or give tiles of a coarser drainage. Rivers that enter over the edge lack what is
beyond.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyproj
import xarray as xr

from chase_jax.checks import InputError, require, require_choice
from chase_jax.domain.grid import Grid
from chase_jax.io import gauge_store, inputs
from chase_jax.signatures.attributes import climate_predictors
from data_prep import (
    by_hand,
    channels,
    gridded,
    hydrography,
    lakes,
    legends,
    merit,
    outputs,
    rasters,
    reanalysis,
    relief,
    vectors,
    weather,
)
from data_prep.landcover import LEAST_LEAF_AREA

NEEDS_DATA = False  # china.folder may stand for data.root
# What is looked for: source in the catalog, folder, names of files, and what is taken without it.
SOURCES = {
    "drainage": ("merit_hydro", "merit_hydro", "*_dir.tif", ""),
    "river_width": ("merit_hydro", "merit_hydro", "*_wth.tif", "river widths from mean flow"),
    "upstream_area": ("merit_hydro", "merit_hydro", "*_upa.tif", "areas are not compared"),
    "soil": ("hwsd", "hwsd", "*.nc*", "the model's default loam"),
    "thickness": ("aquifer", "aquifer", "thickness.tif", "the model's default aquifer thickness"),
    "specific_yield": ("aquifer", "aquifer", "specific_yield.tif", "the model's default specific yield"),
    "land_cover": ("glcc", "land_cover", "*.tif", "the model's default vegetation"),
    "lakes": ("hydrolakes", "hydrolakes", "*.shp *.gpkg", "no lakes"),
    "glaciers": ("rgi", "rgi", "*.shp *.gpkg", "no glaciers"),
    "leaf_area": ("leaf_area", "lai", "*.nc*", "the model's default leaf area"),
    "rain": ("chm_pre", "chm_pre", "*.nc*", "precipitation of ERA5-Land"),
    "air": ("era5_land", "era5_land", "*.nc*", "no weather is written"),
    "demand": ("gleam", "gleam", "*.nc*", "potential evapotranspiration of wet ground under the weather"),
}
GAUGES = "gauges.csv"
FROM_BEYOND = 0.1  # 1, of a basin, from which it is told that it is cut
FARTHEST_SNAP = 2  # cells, that a gauge is moved at most
MEAN_RUNOFF = 300.0  # kg m-2 per year, for sizes of channels where the climate is not known; choice of this project
COVERED = 0.5  # 1, part of a cell from which it belongs to a lake
LEAST_COVERED = 0.2  # 1, of the cell that a lake covers most, from which that cell is a lake of one cell
SHALLOWEST = 1.0  # m, mean depth of a lake


@dataclass
class Place:
    """The grid, and the pixels of MERIT Hydro on it.

    Attributes:
        x (column,), y (row,): Centers of the cells, m.
        crs: The projection.
        size: Width of a cell, m.
        block (pixel,): Flat index of the cell of every pixel.
        northing, easting (pixel,): Place of the pixels, m.
        land (pixel row, pixel column): Pixels of land in cells that the region holds at least half of.
        hydro: The maps.
        folder: Where they are from.
    """

    x: np.ndarray
    y: np.ndarray
    crs: str
    size: float
    block: np.ndarray
    northing: np.ndarray
    easting: np.ndarray
    land: np.ndarray
    hydro: merit.Hydro
    folder: pathlib.Path

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.y.size, self.x.size

    @property
    def region(self) -> merit.Region:
        """South, north, west and east edge of the maps, degree."""
        lat, lon = self.hydro.latitude, self.hydro.longitude
        return float(lat[-1]), float(lat[0]), float(lon[0]), float(lon[-1])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean (row, column) of the pixels of land in every cell. Argument: values (pixel row, pixel column)."""
        cells = self.x.size * self.y.size
        return rasters.means_of(np.where(self.land, values, np.nan), self.block, cells).reshape(self.shape)


def prepare(
    data_root: pathlib.Path | None,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    folder: str | None = None,
    south: float | None = None,
    north: float | None = None,
    west: float | None = None,
    east: float | None = None,
    resolution: float = 1000.0,
    legend: str = "usgs",
) -> dict[str, pathlib.Path]:
    """Write domain.nc, and forcing_YEAR.nc and gauges.csv where there are data for them, reports and a figure.

    Args:
        data_root: Folder that holds the folder `china`; None with `folder`.
        output_directory: Folder to write to; it is made if need be.
        progress: Called with a line of text at every stage.
        mended: Table of directions mended by hand, see :func:`data_prep.by_hand.read`.
        folder: Folder of the sources instead.
        south: Southern edge of the region, degree; the edges are those of the tiles of MERIT Hydro if None.
        north: Northern edge, degree.
        west: Western edge, degree.
        east: Eastern edge, degree.
        resolution: Width of a cell, m.
        legend: Legend of the land cover, see :mod:`data_prep.legends`.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If MERIT Hydro is missing, or a file cannot be read or is not what the catalog tells.
    """
    require(bool(folder or data_root), "china.folder: is empty, and so is data.root; give the folder of the sources.")
    source = pathlib.Path(folder).expanduser() if folder else pathlib.Path(str(data_root)) / "china"
    require(source.is_dir(), f"china.folder: {source}: no such folder; it holds the sources, such as merit_hydro.")
    require_choice(legend, "china.legend", tuple(legends.TABLES))
    target = pathlib.Path(output_directory)
    held, lacking = survey(source)
    for line in lacking:
        progress(line)
    edges = [south, north, west, east]
    given = [edge for edge in edges if edge is not None]
    require(len(given) in (0, 4), "china.south, china.north, china.west and china.east: give all four or none.")
    region = (given[0], given[1], given[2], given[3]) if given else None
    require(region is None or (region[0] < region[1] and region[2] < region[3]), "china.south and china.west must lie "
            "below china.north and china.east, but do not.")  # fmt: skip
    progress("domain: drainage and terrain")
    place = locate(source / "merit_hydro", region, resolution)
    corrections = hydrography.Corrections()
    coarse = network(place, mended, corrections)
    paths, climate, told = {}, None, []
    if held["air"]:
        target.mkdir(parents=True, exist_ok=True)
        climate, text = reanalysis.write(
            held["rain"], held["air"], place.region, target, lambda a, b: terrain_at(place, a, b), progress
        )
        paths["forcing"] = target / "forcing_*.nc"
        told.append(text)
    progress("domain: lakes, glaciers, soils, land cover")
    fields, report = make_fields(place, coarse, held, climate, legend, corrections)
    if (source / GAUGES).is_file():
        upstream = hydrography.accumulate(
            hydrography.receivers(fields["flow_direction"]), np.where(fields["active"], place.size**2, 0.0).ravel()
        ).reshape(place.shape)
        rows, lines = snap_gauges(source / GAUGES, place, coarse, upstream)
        paths["gauges"] = target / "gauges.csv"
        target.mkdir(parents=True, exist_ok=True)
        inputs.write_gauges(paths["gauges"], rows)
        told += lines
    domain = outputs.domain_dataset(fields, place.x, place.y, place.crs)
    text = "\n".join([report, *told, *lacking])
    title = f"Region of China, {resolution / 1e3:g} km"
    return paths | outputs.write_domain(domain, outputs.Account(target, title, corrections, text, progress))


def survey(source: pathlib.Path) -> tuple[dict[str, list[pathlib.Path]], list[str]]:
    """Files of every source, and a line for every source without any: what is taken instead, and where it is from.

    Args:
        source: The folder of the sources.

    Raises:
        InputError: If MERIT Hydro is missing.
    """
    held, lacking = {}, []
    for name, (own, folder, endings, instead) in SOURCES.items():
        held[name] = sorted(path for ending in endings.split() for path in (source / folder).rglob(ending))
        if not held[name]:
            entry = gridded.catalog()[own]
            line = f"{entry['title']}: no {endings.split()[0]} in {source / folder}; get it from {entry['where']}"
            require(bool(instead), f"{line}; it cannot be replaced.")
            lacking.append(f"missing: {line}; taken instead: {instead}")
    if not (source / GAUGES).is_file():
        lacking.append(f"missing: table of gauges {source / GAUGES}; taken instead: no gauges")
    return held, lacking


def locate(folder: pathlib.Path, region: merit.Region | None, resolution: float) -> Place:
    """The grid about the middle of a region and the pixels of MERIT Hydro on it.

    Args:
        folder: Where the tiles are.
        region: South, north, west and east edge, degree; all tiles if None.
        resolution: Width of a cell, m.
    """
    hydro = merit.read(folder, region)
    lat, lon = hydro.latitude, hydro.longitude
    require(bool(hydro.land.any()), f"{folder}: holds no land within the region.")
    middle = round(float(lat.mean()), 2), round(float(lon.mean()), 2)
    crs = f"+proj=laea +lat_0={middle[0]} +lon_0={middle[1]} +datum=WGS84 +units=m"
    change = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    east, north = change.transform(*np.meshgrid(lon, lat))
    west, right = (np.floor(k / resolution) * resolution for k in (east.min(), east.max()))
    bottom, top = (np.floor(k / resolution) * resolution for k in (north.min(), north.max()))
    x = np.arange(west, right + resolution, resolution) + resolution / 2
    y = np.arange(top, bottom - resolution, -resolution) + resolution / 2
    column, row = ((east - west) // resolution).astype(int), ((top + resolution - north) // resolution).astype(int)
    block = (np.clip(row, 0, y.size - 1) * x.size + np.clip(column, 0, x.size - 1)).ravel()
    area = rasters.pixel_area(lat, lon)
    finest = float(np.sqrt(area.max()))
    require(finest <= resolution, f"china.resolution is {resolution:g} m; pixels of {finest:.0f} m need at least that.")
    held = np.bincount(block, area.ravel(), x.size * y.size) >= 0.5 * resolution**2
    land = hydro.land & held[block].reshape(hydro.land.shape)
    require(bool(land.any()), f"{folder}: the region holds no cell of {resolution:g} m of land.")
    hydro.direction = hydrography.open_ends(hydro.direction, land)
    return Place(x, y, crs, resolution, block, north.ravel(), east.ravel(), land, hydro, folder)


def network(place: Place, mended: pathlib.Path | None, corrections: hydrography.Corrections) -> hydrography.Upscaled:
    """The drainage of the cells, lengths in m.

    Args:
        place: The grid.
        mended: Table of directions mended by hand.
        corrections: Record that every change is added to.
    """
    hydro, land = place.hydro, place.land
    area = float(rasters.pixel_area(hydro.latitude, hydro.longitude)[land].mean()) / 1e6
    direction = hydrography.repair(hydro.direction, land, hydro.elevation, corrections, area)
    position = place.northing, place.easting
    coarse = hydrography.upscale_to(direction, land, place.block, place.shape, corrections, area, position)
    receiver = np.where(land.ravel(), hydrography.receivers(direction), -1)
    coarse = hydrography.reconnect(coarse, receiver, corrections, area)
    return by_hand.apply_to(mended, coarse, place.x, place.y, place.crs, corrections, place.size**2 / 1e6)


def terrain_at(place: Place, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Mean altitude (lat, lon) of the land around points, m, that of the nearest land where there is none.

    Args:
        place: The grid.
        latitude (lat,): Of the points, degree north, falling.
        longitude (lon,): Of the points, degree east, rising.
    """
    rows = np.abs(place.hydro.latitude[:, None] - latitude).argmin(axis=1)
    columns = np.abs(place.hydro.longitude[:, None] - longitude).argmin(axis=1)
    block = (rows[:, None] * longitude.size + columns).ravel()
    values = np.where(place.hydro.land, place.hydro.elevation, np.nan)
    found = rasters.means_of(values, block, latitude.size * longitude.size)
    return rasters.fill_nearest(found.reshape(latitude.size, longitude.size))


def make_fields(
    place: Place,
    coarse: hydrography.Upscaled,
    held: dict[str, list[pathlib.Path]],
    climate: reanalysis.Climate | None,
    legend: str,
    corrections: hydrography.Corrections,
) -> tuple[dict[str, np.ndarray], str]:
    """Maps of the domain and a report.

    Args:
        place: The grid.
        coarse: Its drainage.
        held: Files of every source.
        climate: Means of the weather; None without weather.
        legend: Legend of the land cover.
        corrections: Record that changes for lakes are added to.
    """
    hydro, shape, size = place.hydro, place.shape, place.size
    active = coarse.active
    lat, lon = hydro.latitude, hydro.longitude
    filled = rasters.fill_nearest(hydro.elevation)
    step = np.sqrt(rasters.pixel_area(lat, lon)[:, :1] * np.cos(np.deg2rad(lat))[:, None])  # m, eastward
    northward = abs(lat[0] - lat[1]) * np.deg2rad(1.0) * rasters.EARTH_RADIUS
    slope = place.mean(np.hypot(np.gradient(filled, axis=0) / northward, np.gradient(filled, axis=1) / step))
    slope = np.where(active, np.nan_to_num(slope), np.nan)
    altitude = place.mean(hydro.elevation)
    at_exit = np.where(active, hydro.elevation.ravel()[coarse.exit], np.nan)

    lake, whole, lines = np.zeros(shape, int), np.zeros(shape), []
    direction = coarse.direction
    if held["lakes"]:
        lake, whole, text = read_lakes(held["lakes"], place, active)
        lines.append(text)
        direction = lakes.shore(direction, lake)
        direction, exits = lakes.drain(direction, lake, corrections, size**2 / 1e6)
    length = np.where(direction == coarse.direction, coarse.length, np.nan)
    drained = dataclasses.replace(coarse, direction=direction, length=length)
    land = relief.of_cells(drained, at_exit, altitude, slope, length, size)
    level = np.full(shape, np.nan)
    if held["lakes"]:
        for number, cell in exits.items():
            level[lake == number] = land.river[cell]
    patch = lakes.patches(lake, np.full(shape, size**2)) & (lake > 0)
    runoff: np.ndarray | float = MEAN_RUNOFF
    fields: dict[str, np.ndarray] = {}
    if climate is not None:
        maps = {name: _onto(getattr(climate, name), place) for name in ("precipitation", "temperature", "humidity")}
        demand, rain = _demand(held["demand"], climate, place), maps["precipitation"]
        runoff = rain - channels.pike_evaporation(rain, demand)
        fields |= climate_predictors(rain, maps["temperature"], maps["humidity"], demand)
    per_cell = np.where(active, runoff, 0.0).ravel() / 1e3 * size * size
    flow = hydrography.accumulate(hydrography.receivers(direction), per_cell).reshape(shape)
    width, depth = channels.width_and_depth(flow / weather.SECONDS_PER_DAY / weather.DAYS_PER_YEAR)
    if hydro.river_width is not None:
        seen = np.where(active, hydro.river_width.ravel()[coarse.exit], np.nan)
        lines.append(f"river width measured in {int((seen > 0)[active].sum())} of {int(active.sum())} cells")
        width = np.where(seen > 0, seen, width)
    width = np.minimum(width, 0.9 * size)
    fields |= {
        "active": active,
        "flow_direction": direction,
        "surface_altitude": np.where(patch, level, land.surface),
        "cell_area": np.full(shape, size**2),
        "channel_width": width,
        "channel_depth": depth,
        "channel_length": land.length,
        "channel_bed_altitude": land.river - depth,
        "mean_altitude": altitude,
        "mean_slope": slope,
    }
    if held["lakes"]:
        deep = np.where(patch, lakes.bed(lake, level, whole, size), np.nan)
        fields |= {"lake_index": lake, "lake_patch": patch, "lake_bed_altitude": deep}
        fields["lake_sill_altitude"] = np.where(patch, level, np.nan)
    fields |= _soil_and_plants(place, held, legend)
    if held["glaciers"]:
        outlines = [p for path in held["glaciers"] for p in vectors.read_glaciers(path, place.crs).polygons]
        ice = vectors.coverage(outlines, place.x, place.y) if outlines else np.zeros(shape)
        fields["glacier_fraction"] = np.where(lake > 0, 0.0, ice)
    return fields, "\n".join([_areas(place, coarse), land.report, *lines])


def _areas(place: Place, coarse: hydrography.Upscaled) -> str:
    """Lines on areas: of the land, and of rivers that enter over the edge of the region."""
    area = rasters.pixel_area(place.hydro.latitude, place.hydro.longitude)
    text = (
        f"land {area[place.land].sum() / 1e6:.0f} km2 in {int(place.land.sum())} pixels; cells "
        f"{coarse.active.sum() * place.size**2 / 1e6:.0f} km2"
    )
    if place.hydro.upstream_area is None:
        return text
    direction = place.hydro.direction
    receiver = np.where(place.land.ravel(), hydrography.receivers(direction), -1)
    own = hydrography.accumulate(receiver, np.where(place.land, area, 0.0).ravel())[coarse.exit[coarse.active]] / 1e6
    told = place.hydro.upstream_area.ravel()[coarse.exit[coarse.active]]
    entering = own < (1.0 - FROM_BEYOND) * told - 3.0 * place.size**2 / 1e6  # squares at an edge are no river
    return (
        f"{text}\nrivers with more than a tenth of their basin beyond the region pass {int(entering.sum())} of "
        f"{int(coarse.active.sum())} cells, without the water from there"
    )


def _onto(values: xr.DataArray, place: Place) -> np.ndarray:
    """A map in degrees on the grid (row, column)."""
    return gridded.onto(values, place.x, place.y, place.crs, place.folder)


def _around(place: Place) -> merit.Region:
    """The region with what bilinear interpolation needs around it, degree."""
    south, north, west, east = place.region
    reach = reanalysis.REACH
    return south - reach, north + reach, west - reach, east + reach


def _demand(files: list[pathlib.Path], climate: reanalysis.Climate, place: Place) -> np.ndarray:
    """Mean potential evapotranspiration (row, column) of all days of GLEAM, else of the weather, kg m-2 per year."""
    if not files:
        return _onto(climate.demand, place)
    total: np.ndarray | float = 0.0
    known: np.ndarray | float = 0
    for path in files:
        array = gridded.read("gleam", "potential_evaporation", path, None, _around(place))
        total = total + np.nansum(array.values, axis=0)
        known = known + np.isfinite(array.values).sum(axis=0)
    per_year = weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR
    mean = np.where(np.asarray(known) > 0, total / np.maximum(known, 1), np.nan) * per_year
    return _onto(array.isel(time=0, drop=True).copy(data=mean), place)


def _soil_and_plants(place: Place, held: dict[str, list[pathlib.Path]], legend: str) -> dict[str, np.ndarray]:
    """Maps of soil, aquifer, land cover and leaf area, of what there is."""
    found: dict[str, np.ndarray] = {}
    for quantity in ("sand_fraction", "clay_fraction"):
        path = _holder(held["soil"], "hwsd", quantity)
        if path is not None:
            found[quantity] = _onto(gridded.read("hwsd", quantity, path, None, _around(place)), place)
    if "clay_fraction" in found:
        found["mean_clay_fraction"] = found["clay_fraction"]
    for quantity, name in (("thickness", "aquifer_thickness"), ("specific_yield", "specific_yield")):
        for path in held[quantity][:1]:
            found[name] = _onto(gridded.read("aquifer", quantity, path, None, _around(place)), place)
    if held["land_cover"]:
        found["vegetation_class"] = _land_cover(held["land_cover"], place, legend)
    if held["leaf_area"]:
        _holder(held["leaf_area"], "leaf_area", "leaf_area_index")
        found["leaf_area_index"] = _leaf_area(held["leaf_area"], place)
        found["mean_leaf_area_index"] = found["leaf_area_index"].mean(axis=0)
    return found


def _leaf_area(files: list[pathlib.Path], place: Place) -> np.ndarray:
    """Leaf area (month, row, column) of files of several years or of tiles side by side, their mean where they meet."""
    total, number = np.zeros((12, *place.shape)), np.zeros(place.shape, int)
    region = _around(place)
    for path in files:
        if not gridded.reaches("leaf_area", "leaf_area_index", path, region):
            continue
        array = gridded.read("leaf_area", "leaf_area_index", path, None, region)
        flat = array.isel(time=0, drop=True)
        months = [flat.copy(data=month) for month in gridded.calendar_months(array, path)]
        maps = np.stack([gridded.onto(month, place.x, place.y, place.crs, path, partly=True) for month in months])
        known = np.isfinite(maps).all(axis=0)
        total[:, known] += maps[:, known]
        number += known
    require(bool(number.any()), f"{files[0].parent}: the leaf area does not reach into the region.")
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return np.maximum(rasters.fill_nearest(mean), LEAST_LEAF_AREA)


def _holder(files: list[pathlib.Path], source: str, quantity: str) -> pathlib.Path | None:
    """The first file that holds a quantity; with a single one that file, so that what it lacks is told."""
    names = gridded.catalog()[source]["quantities"][quantity]["variables"]
    for path in files:
        with rasters.open_netcdf(path) as dataset:
            if any(name in dataset for name in names):
                return path
    require(not files, f"{files[0].parent if files else ''}: no file holds {' or '.join(names)}.")
    return None


def _land_cover(files: list[pathlib.Path], place: Place, legend: str) -> np.ndarray:
    """Class (row, column) of the legend of the model, nearest; where it is missing that of the nearest cell."""
    classes = np.full(place.shape, np.nan)
    for path in files:
        raster = rasters.read_geotiff(path)
        require(bool(raster.crs), f"{path}: does not tell its projection; warp or label it first.")
        try:
            own = legends.to_usgs(raster.values, legend).astype(float)
        except InputError as error:
            raise InputError(f"{path}: {error} Set china.legend to the legend of the map.") from None
        own[own == 0] = np.nan
        here = rasters.warp(own, raster, place.x, place.y, place.crs, "nearest")
        classes = np.where(np.isfinite(classes), classes, here)
    require(bool(np.isfinite(classes).any()), f"{files[0].parent}: the land cover does not reach into the region.")
    return rasters.fill_nearest(classes).astype(int)


def read_lakes(files: list[pathlib.Path], place: Place, active: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Number of the lake and its mean depth, m (row, column), 0 for none, and a line of report.

    A lake takes the cells that it covers at least half of; one that covers none so takes the cell it covers most.

    Args:
        files: Polygons of HydroLAKES.
        place: The grid.
        active (row, column): Cells of the domain.
    """
    import shapely

    number, depth, best = np.zeros(place.shape, int), np.zeros(place.shape), np.zeros(place.shape)
    half = place.size / 2
    frame = shapely.box(place.x[0] - half, place.y[-1] - half, place.x[-1] + half, place.y[0] + half)
    small = 0
    for path in files:
        found = vectors.read_lakes(path, place.crs)
        for polygon, own, deep in zip(found.polygons, found.number, found.mean_depth, strict=True):
            if not polygon.intersects(frame):
                continue
            left, low, right, high = polygon.intersection(frame).bounds
            columns = slice(int(max((left - place.x[0]) / place.size, 0)), int((right - place.x[0]) / place.size + 2))
            rows = slice(int(max((place.y[0] - high) / place.size, 0)), int((place.y[0] - low) / place.size + 2))
            x, y = place.x[columns], place.y[rows]
            share = vectors.coverage_of_cells([polygon], x, y, place.size) * active[rows, columns]
            taken = share >= COVERED
            if not taken.any() and share.max(initial=0.0) >= LEAST_COVERED:
                taken, small = share == share.max(), small + 1
            taken &= share > best[rows, columns]
            number[rows, columns][taken], depth[rows, columns][taken] = own, max(deep, SHALLOWEST)
            best[rows, columns][taken] = share[taken]
    number, dropped = lakes.connected(number, active)
    kept = np.unique(number[number > 0]).size
    text = (
        f"lakes of HydroLAKES: {kept} on the grid, {small} of them of less than half a cell; {dropped} cells left out"
    )
    return number, np.where(number > 0, depth, 0.0), text


def snap_gauges(
    path: pathlib.Path, place: Place, coarse: hydrography.Upscaled, upstream: np.ndarray
) -> tuple[list[dict[str, object]], list[str]]:
    """Gauges moved to the cell near them whose area is nearest to theirs, and a line on each.

    Args:
        path: A table gauge_id, x, y (or lon, lat), area_km2, name.
        place: The grid.
        coarse: The drainage.
        upstream (row, column): Area that drains through a cell, m2.
    """
    rows, columns = np.nonzero(coarse.active)
    grid = Grid(place.x, place.y, pyproj.CRS.from_user_input(place.crs).to_cf(), rows, columns)
    gauges = gauge_store.read_gauges(path, grid)
    found, lines = [], []
    for own, name, cell, area in zip(gauges.gauge_id, gauges.name, gauges.cell, gauges.area, strict=True):
        row, column = int(rows[cell]), int(columns[cell])
        if np.isfinite(area):
            row, column = hydrography.snap(upstream * coarse.active, row, column, float(area), FARTHEST_SNAP)
        told = upstream[row, column] / 1e6
        against = f", stated {area / 1e6:.0f} km2 ({told * 1e6 / area - 1.0:+.1%})" if np.isfinite(area) else ""
        fine = place.hydro.upstream_area
        pixel = f", MERIT Hydro {fine.ravel()[coarse.exit[row, column]]:.0f} km2" if fine is not None else ""
        lines.append(f"gauge {own}: {told:.0f} km2{against}{pixel}")
        stated = area / 1e6 if np.isfinite(area) else told
        found.append({"gauge_id": own, "x": place.x[column], "y": place.y[row], "area_km2": stated, "name": name})
    return found, lines
