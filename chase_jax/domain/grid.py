"""The raster and the packed cell axis, and the way between them.

A field on the raster is `(y, x)`; inside the model it is `(cell,)`, one entry per active cell in the order of the
drainage tree. Packing and unpacking happen in NumPy, at the door.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from chase_jax.checks import InputError, require, require_shape

SPACING_TOLERANCE = 1e-3  # 1, relative deviation of one spacing from the mean that still counts as regular
STEPS_D8 = {1: (0, 1), 2: (-1, 1), 4: (-1, 0), 8: (-1, -1), 16: (0, -1), 32: (1, -1), 64: (1, 0), 128: (1, 1)}
"""Steps (north, east) of the ESRI flow direction codes, 1."""


class Grid:
    """A regular raster in map projection, and the raster position of every packed cell.

    A grid is a value: two grids compare equal if they have the same axes, the same projection and the same cells in
    the same order, so that a compiled model is reused when its domain is read again.

    Attributes:
        x (x,): Projection coordinate of the cell centers, m, strictly monotone and evenly spaced.
        y (y,): Projection coordinate of the cell centers, m, strictly monotone and evenly spaced.
        projection: CF grid mapping attributes; `crs_wkt` is used if there, empty if the projection is unknown.
        row (cell,): Index along y of every packed cell, 1.
        column (cell,): Index along x of every packed cell, 1.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        projection: Mapping[str, Any] | None = None,
        row: np.ndarray | None = None,
        column: np.ndarray | None = None,
    ):
        """Check the axes; without `row` and `column` every raster cell is packed, row by row."""
        self.x = np.asarray(x, dtype=np.float64)
        self.y = np.asarray(y, dtype=np.float64)
        self.projection = dict(projection or {})
        for name, axis in (("x", self.x), ("y", self.y)):
            _require_regular(name, axis)
        if row is None or column is None:
            row, column = (index.ravel() for index in np.indices(self.shape))
        self.row = np.asarray(row, dtype=np.int32)
        self.column = np.asarray(column, dtype=np.int32)
        content = hashlib.sha256(repr(sorted(self.projection.items(), key=str)).encode())
        for array in (self.x, self.y, self.row, self.column):
            content.update(np.ascontiguousarray(array))
        self._digest = content.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"Grid(shape={self.shape}, cells={self.cells})"

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the raster (y, x), 1."""
        return self.y.size, self.x.size

    @property
    def cells(self) -> int:
        """Number of packed cells, 1."""
        return self.row.size

    @property
    def spacing(self) -> tuple[float, float]:
        """Size of a raster cell (along x, along y), m, positive."""
        return abs(_step(self.x)), abs(_step(self.y))

    def pack(self, raster: np.ndarray) -> np.ndarray:
        """Values of the packed cells, `(..., cell)`, of a raster `(..., y, x)` of any unit."""
        raster = np.asarray(raster)
        require_shape(raster[(0,) * (raster.ndim - 2)], "raster", self.shape)
        return raster[..., self.row, self.column]

    def unpack(self, values: np.ndarray, fill: float = np.nan) -> np.ndarray:
        """Raster `(..., y, x)` of packed values `(..., cell)` of any unit, with `fill` where no cell is."""
        values = np.asarray(values)
        require_shape(values[(0,) * (values.ndim - 1)], "values", (self.cells,))
        raster = np.full((*values.shape[:-1], *self.shape), fill, dtype=np.result_type(values, type(fill)))
        raster[..., self.row, self.column] = values
        return raster

    def select(self, cells: np.ndarray | slice) -> Grid:
        """The same raster with the packed cells `cells` only, in that order."""
        return Grid(self.x, self.y, self.projection, self.row[cells], self.column[cells])

    def index_raster(self) -> np.ndarray:
        """Raster `(y, x)` of packed cell numbers, -1 where no cell is."""
        return self.unpack(np.arange(self.cells, dtype=np.int64), fill=-1)

    def cell_at(self, x: float, y: float) -> int:
        """Packed number of the cell whose square holds the point (x, y) in m of the projection; -1 if none does."""
        if not (np.isfinite(x) and np.isfinite(y)):  # a place that cannot be projected is infinite
            return -1
        column = int(np.floor((x - self.x[0]) / _step(self.x) + 0.5))
        row = int(np.floor((y - self.y[0]) / _step(self.y) + 0.5))
        found = np.flatnonzero((self.row == row) & (self.column == column))
        return int(found[0]) if found.size else -1

    def place(self, cell: int) -> str:
        """Where a packed cell is, for messages."""
        return self.raster_place(int(self.row[cell]), int(self.column[cell]))

    def raster_place(self, row: int, column: int) -> str:
        """Where a raster cell is, for messages."""
        return f"row {row}, column {column} (x {self.x[column]:.0f} m, y {self.y[row]:.0f} m)"

    def geographic(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of the packed cells, degrees north and east; the axes themselves without projection.

        Raises:
            InputError: The projection attributes are not understood, or the axes are not degrees without them.
        """
        x, y = self.x[self.column], self.y[self.row]
        if not self.projection:
            degrees = bool(np.all(np.abs(self.y) <= 90.0) and np.all(np.abs(self.x) <= 360.0))
            require(degrees, "The domain has no grid_mapping, but its x and y are not degrees; add the projection.")
            return y, x
        longitude, latitude = self.transformer(inverse=True).transform(x, y)
        return latitude, longitude

    def transformer(self, inverse: bool = False):
        """Transformer from degrees (longitude, latitude) to (x, y), or back if `inverse`."""
        import pyproj

        try:
            wkt = self.projection.get("crs_wkt")
            projected = pyproj.CRS.from_wkt(wkt) if wkt else pyproj.CRS.from_cf(self.projection)
        except pyproj.exceptions.CRSError as error:
            raise InputError(f"The grid_mapping of the domain must describe a projection, but {error}") from error
        degrees = pyproj.CRS.from_epsg(4326)
        source, target = (projected, degrees) if inverse else (degrees, projected)
        return pyproj.Transformer.from_crs(source, target, always_xy=True)

    def neighbors_d8(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raster position (row, column) of the cell that each packed cell's flow direction points to.

        Args:
            code (cell,): ESRI flow direction, 1; codes that are no direction point to the cell itself.

        Returns:
            Row and column (cell,), 1; they may lie outside the raster.
        """
        north, east = np.zeros((2, 256), dtype=np.int64)
        for value, (step_north, step_east) in STEPS_D8.items():
            north[value], east[value] = step_north, step_east
        up = 1 if _step(self.y) > 0 else -1
        right = 1 if _step(self.x) > 0 else -1
        return self.row + up * north[code], self.column + right * east[code]


def _step(axis: np.ndarray) -> float:
    """Mean signed spacing of an axis, m; 1 km for an axis of one point."""
    return float((axis[-1] - axis[0]) / (axis.size - 1)) if axis.size > 1 else 1000.0


def _require_regular(name: str, axis: np.ndarray) -> None:
    """Require an axis to be one-dimensional, finite, strictly monotone and evenly spaced."""
    require(axis.ndim == 1 and axis.size > 0, f"Argument `{name}` must be a one-dimensional axis of cell centers.")
    require(bool(np.all(np.isfinite(axis))), f"Argument `{name}` must be finite, but is not everywhere.")
    deviation = np.abs(np.diff(axis) - _step(axis))
    require(
        _step(axis) != 0.0 and bool(np.all(deviation <= SPACING_TOLERANCE * abs(_step(axis)))),
        f"Argument `{name}` must be evenly spaced, but its spacing is not constant.",
    )
