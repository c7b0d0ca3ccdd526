"""Nam Co in Tibet, 94 x 110 km at 1 km: a closed lake as a 2-D patch, from a terrain tile in degrees, without weather.

Raw data: a tile of SRTM (3 seconds of arc, 30 to 31 N, 90 to 91 E) and the outline of one glacier. What is done:

* **The grid** is an equal-area projection about the middle of the tile, terrain on 100 m, bilinear.
* **The lake** is the largest level surface of the tile. It has no way out: all its cells drain to one inland sink.
  Where the tile ends, it ends; about a twentieth of Nam Co lies beyond.
* **Its bed** is not known. It deepens evenly from the shore to a mean depth of 41.8 m, that of all lakes of the Earth
  (cael2017).
* **Drainage** fills the depressions of the terrain towards the lake and the edges of the tile; what reaches an edge
  leaves. Rivers that enter over the edge lack the part of their catchment beyond.
* Of the many glaciers of the Nyainqentanglha only Zhadang is among the data. Soils and vegetation are not.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import scipy.ndimage
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain import channels
from data_prep import by_hand, hydrography, lakes, outputs, rasters, relief, vectors

CRS = "+proj=laea +lat_0=30.5 +lon_0=90.5 +datum=WGS84 +units=m"
SIZE, FACTOR = 1000.0, 10  # m, and fine cells per cell in each direction
COLUMNS, ROWS = 94, 110
MEAN_DEPTH = 41.8  # m, cael2017
SMALLEST_LEVEL = 20_000  # pixels of the tile that a level surface must have to be a lake


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    method: str = "largest",
) -> dict[str, pathlib.Path]:
    """Write domain.nc, corrections.csv, preparation.txt and domain.png.

    See :class:`data_prep.outputs.Recipe`.
    """
    source = outputs.raw_folder(data_root, "nam_co_terrain")
    progress("domain: terrain, drainage, lake")
    domain, corrections, report = build_domain(source, mended, method)
    title = "Nam Co, Tibet, 1 km"
    return outputs.write_domain(
        domain, outputs.Account(pathlib.Path(output_directory), title, corrections, report, progress)
    )


def level_surface(altitude: np.ndarray) -> np.ndarray:
    """The largest connected surface of one altitude, the lake. Argument: altitude (row, column), whole meters.

    Raises:
        InputError: If there is none of a lake's size.
    """
    heights, count = np.unique(altitude[np.isfinite(altitude)], return_counts=True)
    part, _ = scipy.ndimage.label(altitude == heights[np.argmax(count)])
    size = np.bincount(part.ravel())[1:]
    require(size.max(initial=0) >= SMALLEST_LEVEL, "Argument `altitude` must hold a level surface, but holds none.")
    return part == 1 + int(np.argmax(size))


def build_domain(
    source: pathlib.Path, mended: pathlib.Path | None = None, method: str = "largest"
) -> tuple[xr.Dataset, hydrography.Corrections, str]:
    """The domain, the corrections to its drainage, and a report.

    Args:
        source: The folder `nam_co_terrain`.
        mended: Table of directions mended by hand.
        method: How the drainage is upscaled, see :func:`data_prep.hydrography.upscale`.
    """
    tile = rasters.read_geotiff(source / "DEM" / "n30_e090_3arc_v2.tif")
    water = level_surface(tile.values)
    level = float(tile.values[water][0])
    x = (np.arange(COLUMNS) - COLUMNS / 2 + 0.5) * SIZE
    y = (ROWS / 2 - np.arange(ROWS) - 0.5) * SIZE
    fine_size = SIZE / FACTOR
    fine_x = x[0] - SIZE / 2 + (np.arange(COLUMNS * FACTOR) + 0.5) * fine_size
    fine_y = y[0] + SIZE / 2 - (np.arange(ROWS * FACTOR) + 0.5) * fine_size
    altitude = rasters.warp(tile.values, tile, fine_x, fine_y, CRS, "bilinear")
    under = rasters.warp(water.astype(float), tile, fine_x, fine_y, CRS, "nearest") > 0.5
    everywhere = np.ones(altitude.shape, bool)
    require(bool(np.isfinite(altitude).all()), f"{source}: the tile does not cover the grid.")

    ends = under.copy()
    ends[[0, -1]] = ends[:, [0, -1]] = True
    direction, _ = relief.drainage(altitude, everywhere, ends)
    direction[under] = hydrography.SINK
    corrections = hydrography.Corrections()
    area = (fine_size / 1e3) ** 2
    coarse = hydrography.upscale(direction, everywhere, FACTOR, corrections, area, method)
    coarse = hydrography.reconnect(coarse, hydrography.receivers(direction), corrections, area)
    share = rasters.block_mean(under.astype(float), FACTOR)
    lake, _ = lakes.connected((share > 0.5).astype(int), coarse.active)
    # every cell of the lake ends a river, and one of them all
    coarse.direction[lake > 0] = hydrography.SINK
    coarse.direction = lakes.shore(coarse.direction, lake)
    coarse = by_hand.apply_to(mended, coarse, x, y, CRS, corrections, SIZE**2 / 1e6)
    coarse.direction, _ = lakes.drain(coarse.direction, lake, hydrography.Corrections(), SIZE**2 / 1e6)

    slope = rasters.block_mean(relief.slope(altitude, fine_size), FACTOR)
    land = relief.from_fine(coarse, everywhere, altitude, slope, FACTOR, fine_size)
    water_level = np.where(lake > 0, level, np.nan)
    outline, _ = vectors.read_polygons(source / "Shapefiles" / "Zhadang_RGI6.shp", CRS)
    bed = lakes.bed(lake, water_level, np.full(lake.shape, MEAN_DEPTH), SIZE)
    fields = {
        "active": coarse.active,
        "flow_direction": coarse.direction,
        "surface_altitude": np.where(lake > 0, level, land.surface),
        "cell_area": np.full(lake.shape, SIZE**2),
        "lake_index": lake,
        "lake_patch": lake > 0,
        "lake_bed_altitude": bed,
        "lake_sill_altitude": water_level,
        "glacier_fraction": np.where(lake > 0, 0.0, vectors.coverage(outline, x, y)),
        "channel_length": land.length,
        "channel_bed_altitude": np.where(lake > 0, bed, land.river - channels.SMALLEST_DEPTH),
        "mean_altitude": rasters.block_mean(altitude, FACTOR),
        "mean_slope": slope,
    }
    report = (
        f"lake: level {level:g} m, {under.sum() * area:.0f} km2 on 100 m, {int((lake > 0).sum())} cells, "
        f"volume {float(np.nansum(water_level - bed)) * SIZE**2 / 1e9:.1f} km3, "
        f"deepest {float(np.nanmax(water_level - bed)):.0f} m\n{land.report}\nsoil and vegetation: the model's defaults"
    )
    return outputs.domain_dataset(fields, x, y, CRS), corrections, report
