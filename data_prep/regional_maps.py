"""Maps of a region's domain from whatever sources there are: lakes, rivers, soils, plants, glaciers."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.signatures.attributes import climate_predictors
from data_prep import channels, gridded, hydrography, lakes, legends, rasters, reanalysis, relief, vectors, weather
from data_prep.finemaps import Region
from data_prep.landcover import LEAST_LEAF_AREA
from data_prep.place import Place, Wishes
from data_prep.squares import Grid

SNOW_OR_ICE = 24  # class of the legend of the model
FROM_BEYOND = 0.1  # 1, of a basin, from which it is told that it is cut
MEAN_RUNOFF = 300.0  # kg m-2 per year, for sizes of channels where the climate is not known; choice of this project
COVERED = 0.5  # 1, part of a cell from which it belongs to a lake
STRIP = 256  # rows of cells, for which land cover is held in memory
LEAST_COVERED = 0.2  # 1, of the cell that a lake covers most, from which that cell is a lake of one cell
SHALLOWEST = 1.0  # m, mean depth of a lake


def make_fields(
    place: Place,
    coarse: hydrography.Upscaled,
    held: dict[str, list[pathlib.Path]],
    climate: reanalysis.Climate | None,
    wishes: Wishes,
    corrections: hydrography.Corrections,
    told: lakes.Told,
) -> tuple[dict[str, np.ndarray], str]:
    """Maps of the domain and a report.

    Args:
        place: The grid.
        coarse: Its drainage.
        held: Files of every source.
        climate: Means of the weather; None without weather.
        wishes: What is asked for.
        corrections: Record that changes for lakes are added to.
        told: What a person says of single lakes.
    """
    grid, found = place.grid, place.land
    shape, size = grid.shape, grid.size
    active, altitude = coarse.active, found.altitude
    slope = np.where(active, np.nan_to_num(found.slope), np.nan)

    lake, whole, lines = np.zeros(shape, int), np.zeros(shape), []
    direction = coarse.direction
    flooded = np.zeros(shape, bool)
    if held["lakes"]:
        lake, whole, text = read_lakes(held["lakes"], grid, active, place.region)
        lines.append(text)
    if held["floodplains"]:
        shapes = [p for path in held["floodplains"] for p in vectors.read_polygons(path, grid.crs, place.region)[0]]
        flooded = (vectors.coverage(shapes, grid.x, grid.y) >= COVERED) & active & (lake == 0)
        lake = lakes.with_floodplains(lake, flooded)
        lines.append(f"floodplains: {int(flooded.sum())} cells")
    if lake.any():
        direction = lakes.shore(direction, lake)
        direction, exits = lakes.drain(direction, lake, corrections, size**2 / 1e6)
    length = np.where(direction == coarse.direction, coarse.length, np.nan)
    drained = dataclasses.replace(coarse, direction=direction, length=length)
    land = relief.of_cells(drained, found.exit_altitude, altitude, slope, length, size)
    level = np.full(shape, np.nan)
    if lake.any():
        at_outlet = np.full(int(lake.max()) + 1, np.nan)
        at_outlet[list(exits)] = [land.river[cell] for cell in exits.values()]
        level = at_outlet[lake]
    patch = lakes.patches(lake, np.full(shape, size**2), wishes.patch_area * 1e6, told.patch)
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
    if found.exit_width is not None:
        seen = np.where(active, found.exit_width, np.nan)
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
    if lake.any():
        shaped = lakes.bed(np.where(flooded, 0, lake), level, whole, size)
        offset = lakes.lowered(lake, np.fmin(altitude, level), told.offset)
        deep = np.where(flooded, altitude, np.where(np.isfinite(offset), offset, shaped))
        fields |= {"lake_index": lake, "lake_patch": patch, "lake_bed_altitude": np.where(patch, deep, np.nan)}
        fields["lake_sill_altitude"] = np.where(patch, level, np.nan)
    fields |= _soil_and_plants(place, held, wishes)
    if held["glaciers"]:
        outlines = [
            p for path in held["glaciers"] for p in vectors.read_glaciers(path, grid.crs, place.region).polygons
        ]
        fields["glacier_fraction"] = vectors.coverage(outlines, grid.x, grid.y)
    if "glacier_fraction" in fields:
        fields["glacier_fraction"] = np.where(lake > 0, 0.0, fields["glacier_fraction"])
    return fields, "\n".join([_areas(place, coarse), land.report, *lines])


def _areas(place: Place, coarse: hydrography.Upscaled) -> str:
    """Lines on areas: of the land, and of rivers that enter over the edge of the region."""
    found, size = place.land, place.grid.size
    text = (
        f"land {found.area.sum() / 1e6:.0f} km2 in {int(found.pixels.sum())} pixels; cells "
        f"{coarse.active.sum() * size**2 / 1e6:.0f} km2"
    )
    if found.exit_upstream is None:
        return text
    own, told = found.exit_area[coarse.active] / 1e6, found.exit_upstream[coarse.active]
    entering = own < (1.0 - FROM_BEYOND) * told - 3.0 * size**2 / 1e6  # squares at an edge are no river
    return (
        f"{text}\nrivers with more than a tenth of their basin beyond the region pass {int(entering.sum())} of "
        f"{int(coarse.active.sum())} cells, without the water from there"
    )


def _onto(values: xr.DataArray, place: Place) -> np.ndarray:
    """A map in degrees on the grid (row, column)."""
    return gridded.onto(values, place.grid.x, place.grid.y, place.grid.crs, place.grid.fine.source)


def _around(place: Place) -> Region:
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


def _soil_and_plants(place: Place, held: dict[str, list[pathlib.Path]], wishes: Wishes) -> dict[str, np.ndarray]:
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
        found["vegetation_class"], ice = _land_cover(held["land_cover"], place, wishes)
        if not held["glaciers"]:
            found["glacier_fraction"] = ice
    if held["leaf_area"]:
        _holder(held["leaf_area"], "leaf_area", "leaf_area_index")
        found["leaf_area_index"] = _leaf_area(held["leaf_area"], place)
        found["mean_leaf_area_index"] = found["leaf_area_index"].mean(axis=0)
    return found


def _leaf_area(files: list[pathlib.Path], place: Place) -> np.ndarray:
    """Leaf area (month, row, column) of files of several years or of tiles side by side, their mean where they meet."""
    grid = place.grid
    total, number = np.zeros((12, *grid.shape)), np.zeros(grid.shape, int)
    region = _around(place)
    for path in files:
        if not gridded.reaches("leaf_area", "leaf_area_index", path, region):
            continue
        array = gridded.read("leaf_area", "leaf_area_index", path, None, region)
        flat = array.isel(time=0, drop=True)
        months = [flat.copy(data=month) for month in gridded.calendar_months(array, path)]
        maps = np.stack([gridded.onto(month, grid.x, grid.y, grid.crs, path, partly=True) for month in months])
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


def _land_cover(files: list[pathlib.Path], place: Place, wishes: Wishes) -> tuple[np.ndarray, np.ndarray]:
    """Class (row, column) of the legend of the model, nearest, that of the nearest cell where it is missing.

    With it the part of the cells that is of snow and ice, 1.
    """
    grid = place.grid
    classes, ice = np.full(grid.shape, np.nan), np.zeros(grid.shape)
    for path in files:
        for strip in range(0, grid.y.size, STRIP):
            rows = slice(strip, strip + STRIP)
            raster = rasters.read_around(path, grid.x, grid.y[rows], grid.size, grid.crs)
            if raster is None:
                continue
            try:
                own = legends.to_usgs(raster.values, wishes.legend).astype(float)
            except InputError as error:
                raise InputError(f"{path}: {error} Set {wishes.recipe}.legend to the legend of the map.") from None
            own[own == 0] = np.nan
            here = [
                rasters.warp(values, raster, grid.x, grid.y[rows], grid.crs, method, grid.size)
                for values, method in (
                    (own, "nearest"),
                    (np.where(np.isfinite(own), own == SNOW_OR_ICE, np.nan), "average"),
                )
            ]
            ice[rows] = np.where(np.isfinite(classes[rows]), ice[rows], np.nan_to_num(here[1]))
            classes[rows] = np.where(np.isfinite(classes[rows]), classes[rows], here[0])
    require(bool(np.isfinite(classes).any()), f"{files[0].parent}: the land cover does not reach into the region.")
    return rasters.fill_nearest(classes).astype(int), ice


def read_lakes(
    files: list[pathlib.Path], grid: Grid, active: np.ndarray, region: Region
) -> tuple[np.ndarray, np.ndarray, str]:
    """Number of the lake and its mean depth, m (row, column), 0 for none, and a line of report.

    A lake takes the cells that it covers at least half of; one that covers none so takes the cell it covers most.

    Args:
        files: Polygons of HydroLAKES.
        grid: The grid.
        active (row, column): Cells of the domain.
        region: South, north, west and east edge, degree, beyond which polygons are not read.
    """
    import shapely

    number, depth, best = np.zeros(grid.shape, int), np.zeros(grid.shape), np.zeros(grid.shape)
    half = grid.size / 2
    frame = shapely.box(grid.x[0] - half, grid.y[-1] - half, grid.x[-1] + half, grid.y[0] + half)
    small = 0
    for path in files:
        found = vectors.read_lakes(path, grid.crs, region)
        for polygon, own, deep in zip(found.polygons, found.number, found.mean_depth, strict=True):
            if not polygon.intersects(frame):
                continue
            left, low, right, high = polygon.intersection(frame).bounds
            columns = slice(int(max((left - grid.x[0]) / grid.size, 0)), int((right - grid.x[0]) / grid.size + 2))
            rows = slice(int(max((grid.y[0] - high) / grid.size, 0)), int((grid.y[0] - low) / grid.size + 2))
            x, y = grid.x[columns], grid.y[rows]
            share = vectors.coverage_of_cells([polygon], x, y, grid.size) * active[rows, columns]
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
