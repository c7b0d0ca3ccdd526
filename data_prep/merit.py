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
from data_prep import gridded, rasters
from data_prep.finemaps import PARTS, FineMaps, Region, moved

ALIGNED = 0.01  # pixels by which a tile may lie off the grid of the others
PROJECTION = "EPSG:4326"


def find(folder: pathlib.Path, part: str) -> list[pathlib.Path]:
    """Tiles of a part, such as "dir", in a folder and the folders within."""
    return sorted(folder.rglob(f"*_{part}.tif"))


@dataclass
class Mosaic(FineMaps):
    """Tiles on one grid.

    Attributes:
        tiles: By part ("dir", "elv", "upa", "wth"): files, and row and column of the mosaic that their own first row
            and column are, with their size.
    """

    tiles: dict[str, list[tuple[pathlib.Path, int, int, int, int]]]
    provider = "MERIT Hydro"

    @classmethod
    def of(cls, folder: pathlib.Path, region: Region | None = None) -> Mosaic:
        """Look at the tiles of a folder.

        Args:
            folder: Where the tiles are.
            region: South, north, west and east edge, degree; all tiles if None.

        Raises:
            InputError: If tiles of direction or elevation are missing, cannot be read, are not on one grid, or do not
                reach into the region.
        """
        found = {part: find(folder, part) for part in PARTS}
        require(bool(found["dir"]), f"{folder}: holds no tile of flow directions (such as n30e090_dir.tif).")
        beside = {path.name for path in found["elv"]}
        for tile in found["dir"]:
            other = tile.name.replace("_dir.tif", "_elv.tif")
            require(other in beside, f"{folder}: {other}: is missing; {tile.name} needs its elevations.")
        axes = {path: rasters.geotiff_axes(path) for paths in found.values() for path in paths}
        south, north, west, east = (-np.inf, np.inf, -np.inf, np.inf) if region is None else region
        inside = [
            (lat[(lat > south) & (lat < north)], lon[(lon > west) & (lon < east)])
            for lat, lon in (axes[path] for path in found["dir"])
        ]
        inside = [(lat, lon) for lat, lon in inside if lat.size and lon.size]
        where = "" if region is None else f" {region} (south, north, west, east)"
        require(bool(inside), f"{folder}: no tile of dir reaches into the region{where}.")
        first = axes[found["dir"][0]][0]
        size = float(first[0] - first[1])
        top, bottom = max(lat[0] for lat, _ in inside), min(lat[-1] for lat, _ in inside)
        left, right = min(lon[0] for _, lon in inside), max(lon[-1] for _, lon in inside)
        latitude = top - np.arange(round((top - bottom) / size) + 1) * size
        longitude = left + np.arange(round((right - left) / size) + 1) * size
        tiles: dict[str, list[tuple[pathlib.Path, int, int, int, int]]] = {}
        for part, paths in found.items():
            for path in paths:
                lat, lon = axes[path]
                start = (top - lat[0]) / size, (lon[0] - left) / size
                row, column = round(start[0]), round(start[1])
                off = max(abs(start[0] - row), abs(start[1] - column), abs(lat[0] - lat[1] - size) / size * lat.size)
                require(off <= ALIGNED, f"{path}: does not lie on the grid of the other tiles; take tiles of one kind.")
                tiles.setdefault(part, []).append((path, row, column, lat.size, lon.size))
        return cls(folder, latitude, longitude, PROJECTION, tiles)

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of which there are tiles."""
        return tuple(self.tiles)

    def values(self, part: str, rows: slice, columns: slice) -> np.ndarray:
        """Values (row, column) of a window, NaN between tiles. Arguments: part, such as "elv"; rows; columns."""
        whole = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan)
        for path, row, column, high, wide in self.tiles.get(part, []):
            down = slice(max(rows.start, row), min(rows.stop, row + high))
            right = slice(max(columns.start, column), min(columns.stop, column + wide))
            if down.start < down.stop and right.start < right.stop:
                own = slice(down.start - row, down.stop - row), slice(right.start - column, right.stop - column)
                whole[moved(down, rows), moved(right, columns)] = gridded.read_pixels(
                    "merit_hydro", PARTS[part], path, own
                ).values
        return whole

    def decoded(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D8 codes of this program and the pixels of land. Argument: codes (row, column) of MERIT Hydro."""
        return gridded.merit_directions(codes)
