"""MERIT Hydro: tiles of elevation, flow direction, upstream area and river width for a region.

A tile is named after its lower left corner and what it holds, `n30e090_dir.tif`; tiles of any size and resolution on
one grid are accepted. There are no tiles where all is sea.

Source:
    yamazaki2019.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np

from chase_jax.checks import require
from data_prep import gridded, hydrography

PARTS = {"dir": "flow_direction", "elv": "elevation", "upa": "upstream_area", "wth": "river_width"}
ALIGNED = 0.01  # pixels by which a tile may lie off the grid of the others
Region = tuple[float, float, float, float]


@dataclass
class Hydro:
    """The maps of a region.

    Attributes:
        direction (row, column): D8 codes of this program; outlets where water leaves land or region.
        land (row, column): True on land.
        elevation (row, column): m, NaN at sea.
        upstream_area (row, column): km2, NaN where unknown; None without such tiles.
        river_width (row, column): m, 0 or less where there is no channel; None without such tiles.
        latitude (row,): Of the centers, degree north, falling.
        longitude (column,): Of the centers, degree east.
    """

    direction: np.ndarray
    land: np.ndarray
    elevation: np.ndarray
    upstream_area: np.ndarray | None
    river_width: np.ndarray | None
    latitude: np.ndarray
    longitude: np.ndarray


def find(folder: pathlib.Path, part: str) -> list[pathlib.Path]:
    """Tiles of a part, such as "dir", in a folder and the folders within."""
    return sorted(folder.rglob(f"*_{part}.tif"))


def read(folder: pathlib.Path, region: Region | None = None) -> Hydro:
    """The maps of a region.

    Args:
        folder: Where the tiles are.
        region: South, north, west and east edge, degree; all tiles if None.

    Raises:
        InputError: If tiles of direction or elevation are missing, cannot be read, are not on one grid, or do not reach
            into the region.
    """
    tiles = find(folder, "dir")
    require(bool(tiles), f"{folder}: holds no tile of flow directions (such as n30e090_dir.tif).")
    heights = find(folder, "elv")
    beside = {path.name for path in heights}
    for tile in tiles:
        other = tile.name.replace("_dir.tif", "_elv.tif")
        require(other in beside, f"{folder}: {other}: is missing; {tile.name} needs its elevations.")
    codes, latitude, longitude = _mosaic(tiles, "dir", None, region)
    axes = latitude, longitude
    elevation = _mosaic(heights, "elv", axes, region)[0]
    extra = {
        part: _mosaic(found, part, axes, region)[0] if (found := find(folder, part)) else None
        for part in ("upa", "wth")
    }
    direction, land = gridded.merit_directions(codes)
    lacking = land & ~np.isfinite(elevation)
    require(not lacking.any(), f"{folder}: {int(lacking.sum())} pixels of land have no elevation.")
    direction = hydrography.open_ends(direction, land)
    return Hydro(direction, land, elevation, extra["upa"], extra["wth"], latitude, longitude)


def _mosaic(
    tiles: list[pathlib.Path], part: str, axes: tuple[np.ndarray, np.ndarray] | None, region: Region | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (row, column) of tiles on one grid, NaN between them, and its axes; those given or of all tiles."""
    parts = []
    for path in tiles:
        array = gridded.read("merit_hydro", PARTS[part], path)
        if region is not None:
            south, north, west, east = region
            rows = (array.lat.values > south) & (array.lat.values < north)
            columns = (array.lon.values > west) & (array.lon.values < east)
            array = array[rows, columns]
        if array.size:
            parts.append((path, array.values, array.lat.values, array.lon.values))
    where = "" if region is None else f" within {region}"
    require(bool(parts), f"{tiles[0].parent}: no tile of {part} reaches into the region{where}.")
    size = next(abs(float(np.diff(line[:2])[0])) for _, _, *lines in parts for line in lines if line.size > 1)
    if axes is None:
        top, bottom = max(p[2][0] for p in parts), min(p[2][-1] for p in parts)
        left, right = min(p[3][0] for p in parts), max(p[3][-1] for p in parts)
        axes = (
            top - np.arange(round((top - bottom) / size) + 1) * size,
            left + np.arange(round((right - left) / size) + 1) * size,
        )
    whole = np.full((axes[0].size, axes[1].size), np.nan)
    for path, values, lat, lon in parts:
        start = (axes[0][0] - lat[0]) / size, (lon[0] - axes[1][0]) / size
        row, column = round(start[0]), round(start[1])
        off = max(abs(start[0] - row), abs(start[1] - column))
        inside = row >= 0 and column >= 0 and row + lat.size <= axes[0].size and column + lon.size <= axes[1].size
        require(
            off <= ALIGNED and inside, f"{path}: does not lie on the grid of the other tiles; take tiles of one kind."
        )
        whole[row : row + lat.size, column : column + lon.size] = values
    return whole, *axes
