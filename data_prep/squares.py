"""The coarse grid about fine pixels, and the pixels in squares with a rim around them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyproj

from data_prep import hydrography
from data_prep.finemaps import FineMaps

SIDE = 2048  # pixels
REACH = 3.5  # cells, from the exit of a cell to beyond its neighbours, whatever the angle between both grids
ROUNDED = 1e-6  # cells, of the size of a region, that are rounding
Window = tuple[slice, slice]


@dataclass
class Square:
    """Pixels of a square and of a rim around it, all in the order of rows (pixel,).

    Attributes:
        window: Rows and columns of the region, with the rim.
        core: Rows and columns of the square within the window.
        block: Flat index of the coarse cell.
        northing, easting: Place, m.
        land: Pixels of the domain.
        direction: D8 codes; outlets where water leaves the land.
    """

    window: Window
    core: Window
    block: np.ndarray
    northing: np.ndarray
    easting: np.ndarray
    land: np.ndarray
    direction: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.window[0].stop - self.window[0].start, self.window[1].stop - self.window[1].start

    def of_core(self, values: np.ndarray) -> np.ndarray:
        """Values (pixel,) of the square alone. Argument: values (pixel,) of the window."""
        return values.reshape(self.shape)[self.core].ravel()


@dataclass
class Grid:
    """A region of pixels and the coarse grid about it.

    Attributes:
        fine: The maps of the region.
        x (column,), y (row,): Centers of the coarse cells, m.
        crs: The projection.
        size: Width of a cell, m.
        side: Pixels along a side of a square.
        held (cell,): Cells that the region holds at least half of; all before that is known.
        mended: Number in the region and code of pixels whose direction was repaired.
    """

    fine: FineMaps
    x: np.ndarray
    y: np.ndarray
    crs: str
    size: float
    side: int
    held: np.ndarray
    mended: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, fine: FineMaps, resolution: float, side: int = SIDE) -> Grid:
        """The grid of a region: equal-area about its middle if its maps are in degrees, else in their projection.

        In a projection the edges of cells are those of the maps, so that cells as wide as pixels are the pixels.

        Args:
            fine: The maps of the region.
            resolution: Width of a cell, m.
            side: Pixels along a side of a square.
        """
        x, y, crs = _equal_area(fine, resolution) if fine.in_degrees else _own_lines(fine, resolution)
        return cls(fine, x, y, crs, resolution, side, np.ones(x.size * y.size, bool))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the coarse grid."""
        return self.y.size, self.x.size

    @property
    def cells(self) -> int:
        """Number of coarse cells."""
        return self.x.size * self.y.size

    @property
    def rim(self) -> int:
        """Pixels around a square within which all ways from its exits to beyond the neighbours of their cells lie."""
        return int(np.ceil(REACH * self.size / self.fine.narrowest)) + 2

    def squares(self) -> list[Window]:
        """Rows and columns of all squares of the region."""
        rows, columns = self.fine.shape
        return [
            (slice(top, min(top + self.side, rows)), slice(left, min(left + self.side, columns)))
            for top in range(0, rows, self.side)
            for left in range(0, columns, self.side)
        ]

    def load(self, core: Window, rim: int) -> Square:
        """The pixels of a square. Arguments: core, its rows and columns; rim, pixels around it."""
        wide = [
            slice(max(part.start - rim, 0), min(part.stop + rim, size))
            for part, size in zip(core, self.fine.shape, strict=True)
        ]
        window = wide[0], wide[1]
        codes, land = self.fine.directions(*window)
        east, north = (axis.ravel() for axis in np.meshgrid(self.fine.x[window[1]], self.fine.y[window[0]]))
        if self.crs != self.fine.crs:
            east, north = pyproj.Transformer.from_crs(self.fine.crs, self.crs, always_xy=True).transform(east, north)
        column = ((east - (self.x[0] - self.size / 2)) // self.size).astype(int).clip(0, self.x.size - 1)
        row = ((self.y[0] + self.size / 2 - north) // self.size).astype(int).clip(0, self.y.size - 1)
        block = row * self.x.size + column
        land &= self.held[block].reshape(land.shape)
        own = tuple(slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, window, strict=True))
        direction = self._opened(codes, land, window)
        return Square(window, (own[0], own[1]), block, north, east, land.ravel(), direction.ravel())

    def _opened(self, codes: np.ndarray, land: np.ndarray, window: Window) -> np.ndarray:
        """Directions (row, column) that end where they leave the land, but not where they leave the window alone."""
        direction = hydrography.open_ends(codes, land)
        for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            # water that leaves the window flows on; what the rim makes of itself does not matter
            direction[edge] = np.where(land[edge], codes[edge], hydrography.OUTLET)
        for number, code in self.mended:
            place = np.subtract(divmod(number, self.fine.shape[1]), (window[0].start, window[1].start))
            if (place >= 0).all() and (place < land.shape).all():
                direction[tuple(place)] = code
        return direction

    def numbers(self, window: Window) -> np.ndarray:
        """Numbers (pixel,) in the region of the pixels of a window."""
        rows, columns = (np.arange(part.start, part.stop) for part in window)
        return (rows[:, None] * self.fine.shape[1] + columns).ravel()


def _equal_area(fine: FineMaps, resolution: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Axes x and y, m, and projection of an equal-area grid about the middle of maps in degrees."""
    lat, lon = fine.y, fine.x
    middle = round(float(lat.mean()), 2), round(float(lon.mean()), 2)
    crs = f"+proj=laea +lat_0={middle[0]} +lon_0={middle[1]} +datum=WGS84 +units=m"
    # the farthest places of a region lie on its edge
    around = [(lat[:1], lon), (lat[-1:], lon), (lat, lon[:1]), (lat, lon[-1:])]
    change = pyproj.Transformer.from_crs(fine.crs, crs, always_xy=True)
    east, north = (
        np.concatenate(parts)
        for parts in zip(*(change.transform(*(k.ravel() for k in np.meshgrid(b, a))) for a, b in around), strict=True)
    )
    west, right = (np.floor(k / resolution) * resolution for k in (east.min(), east.max()))
    bottom, top = (np.floor(k / resolution) * resolution for k in (north.min(), north.max()))
    x = np.arange(west, right + resolution, resolution) + resolution / 2
    y = np.arange(top, bottom - resolution, -resolution) + resolution / 2
    return x, y, crs


def _own_lines(fine: FineMaps, resolution: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Axes x and y, m, of cells from the upper left corner of projected maps on, and the projection of the maps."""
    high, wide = fine.y[0] - fine.y[1], fine.x[1] - fine.x[0]
    rows, columns = (
        int(np.ceil(number * step / resolution - ROUNDED))
        for number, step in zip(fine.shape, (high, wide), strict=True)
    )
    x = fine.x[0] - wide / 2 + (np.arange(columns) + 0.5) * resolution
    y = fine.y[0] + high / 2 - (np.arange(rows) + 0.5) * resolution
    return x, y, fine.crs
