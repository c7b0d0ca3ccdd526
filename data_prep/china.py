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
| | how single lakes are treated | `lakes.csv`, see :func:`data_prep.lakes.read_told` | by their area |
| floodplains | cells added to patches | `floodplains/*.shp` or `.gpkg` | lakes alone |
| Randolph inventory | glaciers | `rgi/*.shp` or `.gpkg` | snow and ice of the land cover |
| 1-km leaf area | leaf area | `lai/*.nc*` | the model's default |
| CHM_PRE V2 | precipitation | `chm_pre/*.nc*` | that of ERA5-Land |
| ERA5-Land | all other weather | `era5_land/*.nc*` | no weather |
| GLEAM | potential evapotranspiration | `gleam/Ep_*.nc*` | that of wet ground under the weather |
| gauges | places of gauges | `gauges.csv` | no gauges |
| | their records, by which some are dropped | `observations.nc`, see :mod:`data_prep.screening` | all are kept |
| reservoirs | the degree of regulation | `reservoirs.csv` beside them | none |
| withdrawals | the part of the flow | `withdrawals.csv` beside them | none |

Folders are those within `china.folder`, or `china` in `data.root`. What is missing is told, one line each, with where
to get it. What is done with them, as in the paper: an equal-area grid about the middle of the region; drainage and
altitude of rivers by the place of largest accumulation; climate, soil and aquifer bilinear, with the nearest valid
value where there is none; land cover nearest. The land is the mean of a cell, above its river
(:mod:`data_prep.relief`).

Pixels of MERIT Hydro are read in squares (:mod:`data_prep.pixels`), so that memory grows with the cells and not with
the pixels. The region is set by `china.south` and so on. Rivers that enter over the edge lack what is beyond.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyproj
import xarray as xr

from chase_jax.checks import InputError, require, require_choice
from chase_jax.domain.grid import Grid
from chase_jax.io import gauge_store, inputs, store
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
    pixels,
    rasters,
    reanalysis,
    relief,
    screening,
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
    "floodplains": ("floodplains", "floodplains", "*.shp *.gpkg", "lakes alone"),
    "glaciers": ("rgi", "rgi", "*.shp *.gpkg", "snow and ice of the land cover, if there is any"),
    "leaf_area": ("leaf_area", "lai", "*.nc*", "the model's default leaf area"),
    "rain": ("chm_pre", "chm_pre", "*.nc*", "precipitation of ERA5-Land"),
    "air": ("era5_land", "era5_land", "*.nc*", "no weather is written"),
    "demand": ("gleam", "gleam", "*.nc*", "potential evapotranspiration of wet ground under the weather"),
}
GAUGES = "gauges.csv"
TOLD = "lakes.csv"
SNOW_OR_ICE = 24  # class of the legend of the model
FROM_BEYOND = 0.1  # 1, of a basin, from which it is told that it is cut
FARTHEST_SNAP = 2  # cells, that a gauge is moved at most
MEAN_RUNOFF = 300.0  # kg m-2 per year, for sizes of channels where the climate is not known; choice of this project
COVERED = 0.5  # 1, part of a cell from which it belongs to a lake
STRIP = 256  # rows of cells, for which land cover is held in memory
LEAST_COVERED = 0.2  # 1, of the cell that a lake covers most, from which that cell is a lake of one cell
SHALLOWEST = 1.0  # m, mean depth of a lake


@dataclass
class Place:
    """The grid, and what the pixels of MERIT Hydro tell of its cells.

    Attributes:
        grid: The region and its grid.
        land: Drainage and terrain of the cells.
        terrain: Altitudes asked for so far, by the points.
    """

    grid: pixels.Grid
    land: pixels.Land
    terrain: dict[bytes, np.ndarray] = field(default_factory=dict)

    @property
    def region(self) -> merit.Region:
        """South, north, west and east edge of the maps, degree."""
        lat, lon = self.grid.mosaic.latitude, self.grid.mosaic.longitude
        return float(lat[-1]), float(lat[0]), float(lon[0]), float(lon[-1])

    def altitude_at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Mean altitude (lat, lon) of the land around points, m. Arguments: latitude, falling; longitude, degree."""
        key = latitude.tobytes() + longitude.tobytes()
        if key not in self.terrain:
            self.terrain[key] = pixels.mean_altitude(self.grid, latitude, longitude)
        return self.terrain[key]


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
    patch_area: float = lakes.SMALLEST_PATCH / 1e6,
    record_start: str | None = None,
    record_end: str | None = None,
    least_years: int = 5,
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
        patch_area: Area from which lakes are solved in two dimensions, km2.
        record_start: First day of the records by which gauges are screened, ISO; that of the file if None.
        record_end: Last day, ISO.
        least_years: Complete years that a gauge needs.

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
    corrections = hydrography.Corrections()
    place = locate(source / "merit_hydro", region, resolution, corrections)
    grid = place.grid
    coarse = by_hand.apply_to(mended, place.land.drainage, grid.x, grid.y, grid.crs, corrections, grid.size**2 / 1e6)
    paths, climate, told = {}, None, []
    if held["air"]:
        target.mkdir(parents=True, exist_ok=True)
        climate, text = reanalysis.write(held["rain"], held["air"], place.region, target, place.altitude_at, progress)
        paths["forcing"] = target / "forcing_*.nc"
        told.append(text)
    progress("domain: lakes, glaciers, soils, land cover")
    table = source / TOLD
    told_of_lakes = lakes.read_told(table) if table.is_file() else lakes.Told()
    fields, report = make_fields(place, coarse, held, climate, legend, corrections, told_of_lakes, patch_area * 1e6)
    if (source / GAUGES).is_file():
        upstream = hydrography.accumulate(
            hydrography.receivers(fields["flow_direction"]), np.where(fields["active"], grid.size**2, 0.0).ravel()
        ).reshape(grid.shape)
        rows, lines = snap_gauges(source / GAUGES, place, coarse, upstream)
        told += lines
        target.mkdir(parents=True, exist_ok=True)
        if (source / screening.OBSERVED).is_file():
            whole = Grid(grid.x, grid.y, pyproj.CRS.from_user_input(grid.crs).to_cf())
            network = screening.Network(
                whole, fields["active"], hydrography.receivers(fields["flow_direction"]), upstream * fields["active"]
            )
            found = screening.of_folder(source, rows, network, (record_start, record_end), least_years)
            told += found.told
            store.write_text(found.table.to_csv(index=False, float_format="%.6g"), target / screening.TABLE)
            rows = [row for row, kept in zip(rows, found.table.kept, strict=True) if kept]
            if found.observed is not None:
                paths["observations"] = target / screening.OBSERVED
                store.write_dataset(found.observed, paths["observations"], "Gauges of natural flow")
        if rows:
            paths["gauges"] = target / GAUGES
            inputs.write_gauges(paths["gauges"], rows)
        else:
            (target / GAUGES).unlink(missing_ok=True)  # of an earlier time
    domain = outputs.domain_dataset(fields, grid.x, grid.y, grid.crs)
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


def locate(
    folder: pathlib.Path, region: merit.Region | None, resolution: float, corrections: hydrography.Corrections
) -> Place:
    """The grid about the middle of a region and what the pixels of MERIT Hydro tell of its cells.

    Args:
        folder: Where the tiles are.
        region: South, north, west and east edge, degree; all tiles if None.
        resolution: Width of a cell, m.
        corrections: Record that every change of the drainage is added to.
    """
    mosaic = merit.Mosaic.of(folder, region)
    finest = float(np.sqrt(rasters.pixel_area(mosaic.latitude, mosaic.longitude[:2]).max()))
    require(finest <= resolution, f"china.resolution is {resolution:g} m; pixels of {finest:.0f} m need at least that.")
    grid = pixels.Grid.of(mosaic, resolution)
    return Place(grid, pixels.survey(grid, corrections))


def make_fields(
    place: Place,
    coarse: hydrography.Upscaled,
    held: dict[str, list[pathlib.Path]],
    climate: reanalysis.Climate | None,
    legend: str,
    corrections: hydrography.Corrections,
    told: lakes.Told,
    smallest: float,
) -> tuple[dict[str, np.ndarray], str]:
    """Maps of the domain and a report.

    Args:
        place: The grid.
        coarse: Its drainage.
        held: Files of every source.
        climate: Means of the weather; None without weather.
        legend: Legend of the land cover.
        corrections: Record that changes for lakes are added to.
        told: What a person says of single lakes.
        smallest: Least area of a lake that is solved in two dimensions, m2.
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
    patch = lakes.patches(lake, np.full(shape, size**2), smallest, told.patch)
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
    fields |= _soil_and_plants(place, held, legend)
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
    return gridded.onto(values, place.grid.x, place.grid.y, place.grid.crs, place.grid.mosaic.folder)


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
        found["vegetation_class"], ice = _land_cover(held["land_cover"], place, legend)
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


def _land_cover(files: list[pathlib.Path], place: Place, legend: str) -> tuple[np.ndarray, np.ndarray]:
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
                own = legends.to_usgs(raster.values, legend).astype(float)
            except InputError as error:
                raise InputError(f"{path}: {error} Set china.legend to the legend of the map.") from None
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
    files: list[pathlib.Path], grid: pixels.Grid, active: np.ndarray, region: merit.Region
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
    x, y = place.grid.x, place.grid.y
    packed = Grid(x, y, pyproj.CRS.from_user_input(place.grid.crs).to_cf(), rows, columns)
    gauges = gauge_store.read_gauges(path, packed)
    found, lines = [], []
    for own, name, cell, area in zip(gauges.gauge_id, gauges.name, gauges.cell, gauges.area, strict=True):
        row, column = int(rows[cell]), int(columns[cell])
        if np.isfinite(area):
            try:
                row, column = hydrography.snap(upstream * coarse.active, row, column, float(area), FARTHEST_SNAP)
            except InputError as error:
                raise InputError(f"{path}: gauge {own}: {error}") from None
        told = upstream[row, column] / 1e6
        against = f", stated {area / 1e6:.0f} km2 ({told * 1e6 / area - 1.0:+.1%})" if np.isfinite(area) else ""
        fine = place.land.exit_upstream
        pixel = f", MERIT Hydro {fine[row, column]:.0f} km2" if fine is not None else ""
        lines.append(f"gauge {own}: {told:.0f} km2{against}{pixel}")
        stated = area / 1e6 if np.isfinite(area) else told
        found.append({"gauge_id": own, "x": x[column], "y": y[row], "area_km2": stated, "name": name})
    return found, lines
