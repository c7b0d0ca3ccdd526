"""Maps of drainage and terrain on fine pixels, read by windows: the grid they lie on, in degrees or in metres.

Pixels in degrees are measured on the sphere of the Earth's area. Those of a projection are taken as large as the
projection says, so that only projections that keep areas to :data:`DISTORTED` are accepted.
"""

from __future__ import annotations

import abc
import functools
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyproj

from chase_jax.checks import InputError, require
from data_prep import hydrography, rasters

DISTORTED = 0.01  # 1, of an area; a zone of UTM stays below, choice of this project
DENSE = 101  # places along an edge that is brought to another projection
Region = tuple[float, float, float, float]
PARTS = {"dir": "flow_direction", "elv": "elevation", "upa": "upstream_area", "wth": "river_width"}


@dataclass
class FineMaps(abc.ABC):
    """Drainage and terrain of pixels on one grid, of which parts are read when they are wanted.

    Attributes:
        provider: Who tells areas upstream, for reports.
        source: Folder or file that faults of the drainage are told of.
        y (row,): Northing or latitude of the centers of the pixels, m or degree, falling.
        x (column,): Easting or longitude, m or degree, rising.
        crs: The projection in any form that PROJ reads; of degrees or metres.
    """

    provider: ClassVar[str]
    source: pathlib.Path
    y: np.ndarray
    x: np.ndarray
    crs: str

    @property
    @abc.abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Those of "dir", "elv", "upa" and "wth" that there are."""

    @abc.abstractmethod
    def values(self, part: str, rows: slice, columns: slice) -> np.ndarray:
        """Values (row, column) of a window, NaN where missing. Arguments: part, such as "elv"; rows; columns."""

    @abc.abstractmethod
    def decoded(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """D8 codes of this program and the pixels of land. Argument: codes (row, column) as the source has them."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.size, self.x.size

    @functools.cached_property
    def in_degrees(self) -> bool:
        """Whether the pixels are even in degrees."""
        return bool(pyproj.CRS.from_user_input(self.crs).is_geographic)

    @property
    def pixel_area(self) -> np.ndarray:
        """Area (row, 1) of the pixels, m2."""
        if self.in_degrees:
            return rasters.pixel_area(self.y, self.x[:2])[:, :1]
        return np.full((self.y.size, 1), (self.y[0] - self.y[1]) * (self.x[1] - self.x[0]))

    @property
    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Distance of neighbouring pixels northward (1, 1) and eastward (row, 1), m."""
        down, right = np.array([[self.y[0] - self.y[1]]]), self.x[1] - self.x[0]
        if not self.in_degrees:
            return down, np.full((self.y.size, 1), right)
        eastward = np.deg2rad(right) * rasters.EARTH_RADIUS * np.cos(np.deg2rad(self.y))[:, None]
        return np.deg2rad(down) * rasters.EARTH_RADIUS, eastward

    @property
    def narrowest(self) -> float:
        """Least width or height of a pixel, m."""
        return float(min(step.min() for step in self.steps))

    @property
    def region(self) -> Region:
        """South, north, west and east edge, degree."""
        edges = float(self.x[0]), float(self.y[-1]), float(self.x[-1]), float(self.y[0])
        west, south, east, north = edges if self.in_degrees else self._to_degrees().transform_bounds(*edges, DENSE)
        return south, north, west, east

    def place(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude, degree, of pixels (..., row, column) that rows and columns span.

        Args:
            rows (row,): Rows.
            columns (column,): Columns.

        Returns:
            Arrays that spread to (row, column).
        """
        north, east = self.y[rows][:, None], self.x[columns][None, :]
        if self.in_degrees:
            return north, east
        east, north = np.broadcast_arrays(east, north)
        lon, lat = self._to_degrees().transform(east, north)
        return lat, lon

    def _to_degrees(self) -> pyproj.Transformer:
        """Brings x and y to longitude and latitude."""
        return pyproj.Transformer.from_crs(self.crs, 4326, always_xy=True)

    def directions(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """D8 codes of this program and the pixels of land (row, column) of a window.

        Water that leaves the land or the maps ends there; water that leaves the window does not.

        Args:
            rows: Rows of the maps.
            columns: Columns of the maps.

        Raises:
            InputError: If a code is none.
        """
        around = [
            slice(max(part.start - 1, 0), min(part.stop + 1, size))
            for part, size in zip((rows, columns), self.shape, strict=True)
        ]
        try:
            direction, land = self.decoded(self.values("dir", around[0], around[1]))
        except InputError as error:
            raise InputError(f"{self.source}: directions: {error}") from None
        own = moved(rows, around[0]), moved(columns, around[1])
        return hydrography.open_ends(direction, land)[own], land[own]

    def elevation(self, rows: slice, columns: slice, land: np.ndarray) -> np.ndarray:
        """Altitudes (row, column) of a window, m.

        Args:
            rows: Rows of the maps.
            columns: Columns of the maps.
            land (row, column): Pixels of land.

        Raises:
            InputError: If land has none.
        """
        values = self.values("elv", rows, columns)
        lacking = land & ~np.isfinite(values)
        require(not lacking.any(), f"{self.source}: {int(lacking.sum())} pixels of land have no elevation.")
        return values


def moved(part: slice, around: slice) -> slice:
    """A slice counted from the start of another one. Arguments: part; around, which begins no later."""
    return slice(part.start - around.start, part.stop - around.start)
