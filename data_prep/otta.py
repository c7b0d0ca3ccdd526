"""Otta and its neighbours in Norway: 200 x 200 km at 1 km with fjords, lakes and glaciers, without weather.

Raw data: input maps of the CWatM model (ETRS89 / UTM 33N). What is odd in them, and what is done about it:

* **Flow directions** are those of PCRaster. Cells of the sea (altitude 0 or below, area 0) are no part of the domain,
  and what drains into them leaves by an outlet, as does what drains out of the square.
* **Lake volumes** are declared in km3, but are millions of m3: 8462 over 139 km2 is a mean depth of 61 m. A lake's area
  is that of all of it, also where the map shows a part only.
* **Soils** are hydraulic parameters after other formulas than this model's (and porosities down to 0.04), not textures;
  they are not read, and the model's loam stands everywhere. Specific yield is read.
* **River altitudes** come from the lowest point of a cell and are made to fall
  (:func:`data_prep.hydrography.river_profile`). Channel width, depth and length are those of the source, from its mean
  discharge.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import xarray as xr

from chase_jax.checks import require
from data_prep import by_hand, hydrography, lakes, outputs, rasters, rawfiles

CRS = "EPSG:25833"
SIZE = 1000.0  # m
GLACIER_YEAR = 2000  # of the annual maps
SHALLOWEST = 2.0  # m, mean depth of a lake whose volume is unknown or impossible; choice of this project
DEEPEST = 300.0  # m, the deepest mean depth that is believed
LEAST_YIELD = 0.01  # 1, where the source has none


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, corrections.csv, preparation.txt and domain.png.

    See :class:`data_prep.outputs.Recipe`.
    """
    source = outputs.raw_folder(data_root, "otta_1km")
    progress("domain: drainage, lakes, glaciers, channels")
    domain, corrections, report = build_domain(source, mended)
    title = "Otta and neighbours, Norway, 1 km"
    return outputs.write_domain(
        domain, outputs.Account(pathlib.Path(output_directory), title, corrections, report, progress)
    )


def build_domain(
    source: pathlib.Path, mended: pathlib.Path | None = None
) -> tuple[xr.Dataset, hydrography.Corrections, str]:
    """The domain, the corrections to its drainage, and a report.

    Args:
        source: The folder `otta_1km`.
        mended: Table of directions mended by hand.
    """
    terrain = rasters.read_geotiff(source / "topo" / "dem_mean.tif")
    shape = terrain.values.shape

    def grid(name: str) -> np.ndarray:
        found = rasters.read_geotiff(source / name)
        require(found.values.shape == shape, f"{source / name}: must have {shape} cells, but has {found.values.shape}.")
        return found.values

    def layer(name: str, variable: str, unit: str = "") -> np.ndarray:
        return rasters.read_netcdf(source / name, variable, shape, unit)

    area = layer("topo/cellarea.nc", "cellarea")
    active = (terrain.values > 0.0) & (area > 0.0)
    corrections = hydrography.Corrections()
    codes = hydrography.open_ends(hydrography.from_pcraster(grid("routing/ldd_add.map"), active), active)
    direction = hydrography.repair(codes, active, terrain.values, corrections)
    direction = by_hand.apply(mended, direction, active, terrain.x, terrain.y, CRS, corrections, SIZE**2 / 1e6)

    folder = "routing/lakereservoirs"
    number = np.nan_to_num(layer(f"{folder}/lakeresID.nc", "lakeresID")).astype(int)
    lake, dropped = lakes.connected(number, active)
    direction, exits = lakes.drain(direction, lake, corrections, 1.0)
    whole = layer(f"{folder}/lakeresArea.nc", "lakeresArea", "km2")
    volume = layer(f"{folder}/lakeresVolRes.nc", "lakeresVolRes")  # 1e6 m3, whatever is declared
    depth = np.where((lake > 0) & (whole > 0), volume / np.maximum(whole, 1e-6), 0.0)
    believed = (depth > 0.0) & (depth <= DEEPEST)
    depth = np.where(believed, np.maximum(depth, SHALLOWEST), SHALLOWEST)

    receiver = hydrography.receivers(direction)
    upstream = hydrography.accumulate(receiver, np.where(active, SIZE**2, 0.0).ravel()).reshape(shape)
    length = np.maximum(layer("routing/kinematic/chanleng.nc", "chanleng", "m"), 0.5 * SIZE)
    channel_depth = layer("routing/kinematic/chanbnkf2.nc", "chanbnkf", "m")
    lowest = np.where(active, np.minimum(grid("topo/demmin.tif"), terrain.values), np.nan)
    profile = hydrography.river_profile(receiver, lowest.ravel(), upstream.ravel() / 1e6, length.ravel())
    profile = profile.reshape(shape)
    level = np.full(shape, np.nan)
    for index, exit_cell in exits.items():
        level[lake == index] = profile[exit_cell]
    patch = lakes.patches(lake, np.full(shape, SIZE**2))
    ice = layer_at(source / "glaciers" / "otta_senorge_area_pf15_1km.nc", "on_area", GLACIER_YEAR, shape)
    fields = {
        "active": active,
        "flow_direction": direction,
        "surface_altitude": np.where(patch, level, np.fmax(terrain.values, profile)),
        "cell_area": np.full(shape, SIZE**2),
        "lake_index": lake,
        "lake_patch": patch,
        "lake_bed_altitude": np.where(patch, lakes.bed(lake, level, depth, SIZE), np.nan),
        "lake_sill_altitude": np.where(patch, level, np.nan),
        "glacier_fraction": np.where(lake > 0, 0.0, np.clip(np.nan_to_num(ice), 0.0, 1.0)),
        "specific_yield": np.maximum(np.nan_to_num(grid("groundwater/specif_yield.tif")), LEAST_YIELD),
        "channel_width": layer("routing/kinematic/chanbw2.nc", "chanbw", "m"),
        "channel_depth": channel_depth,
        "channel_length": length,
        "channel_bed_altitude": profile - channel_depth,
        "mean_altitude": terrain.values,
        "mean_slope": np.nan_to_num(grid("topo/tanslope.tif")),
    }
    sizes = np.unique(lake[lake > 0], return_counts=True)[1]
    report = (
        f"lakes: {sizes.size}, {int((sizes == 1).sum())} of one cell; {np.unique(lake[patch]).size} of at least "
        f"{lakes.SMALLEST_PATCH / 1e6:g} km2 are patches; {dropped} cells apart from the body of their lake left out\n"
        f"mean depth taken as {SHALLOWEST:g} m in {int(((lake > 0) & ~believed).sum())} cells of unknown volume\n"
        "soil texture and vegetation: the model's defaults"
    )
    return outputs.domain_dataset(fields, terrain.x, terrain.y, CRS), corrections, report


def layer_at(path: pathlib.Path, variable: str, year: int, shape: tuple[int, int]) -> np.ndarray:
    """The map (row, column) of a year from a file of annual maps.

    Args:
        path: The file, with an axis `time`.
        variable: Name of the variable.
        year: The year.
        shape: Rows and columns it must have.

    Raises:
        InputError: If the file, the variable or the year is missing.
    """
    dataset = rawfiles.read_variables(path, {variable: "", "time": ""})
    years = dataset.time.dt.year.values
    require(year in years, f"{path}: holds {years.min()} to {years.max()}, but not {year}.")
    values = dataset[variable].values[int(np.flatnonzero(years == year)[0])].astype(float)
    require(values.shape == shape, f"{path}: must have {shape} cells, but has {values.shape}.")
    return values
