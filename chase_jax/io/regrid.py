"""Interpolation from any regular grid to the cells of a domain."""

from __future__ import annotations

import pathlib

import numpy as np
import pyproj
import scipy.sparse
import scipy.spatial
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain.grid import Grid
from chase_jax.io.domain_store import read_projection

FURTHEST_FILL = 3.0  # spacings of the grid over which a missing value is replaced by its nearest neighbour
ALIGNED = 1e-6  # spacings of the grid within which a cell counts as lying on a grid point


def bilinear(
    dataset: xr.Dataset, axes: tuple[str, str], valid: np.ndarray, grid: Grid, path: pathlib.Path
) -> tuple[slice, slice, np.ndarray, scipy.sparse.csr_matrix]:
    """Bilinear weights that bring a regular grid to the cells, with the nearest valid value where there is none.

    Args:
        dataset: A file with the axes.
        axes: Names of the vertical and the horizontal axis.
        valid: (vertical, horizontal) points that hold a value.
        grid: The grid of the domain.
        path: The file, for messages.

    Returns:
        The window of rows, the window of columns, the (point,) positions used in the flattened window, and the sparse
        weights (cell, point), whose rows sum to 1.

    Raises:
        InputError: If the grid is uneven, does not cover the domain, or holds no value near a cell.
    """
    ticks = [dataset[axis].values.astype(float) for axis in axes]
    position = _positions(dataset, axes, grid, path)
    low = [np.minimum(np.floor(p).astype(int), max(t.size - 2, 0)) for p, t in zip(position, ticks, strict=True)]
    share = [p - i for p, i in zip(position, low, strict=True)]
    same = all(float(np.abs(s - np.round(s)).max()) == 0.0 for s in share) and ticks[0].size * ticks[1].size > 1
    corner_row, corner_column, weight = [], [], []
    for up in (0, 1):
        for right in (0, 1):
            corner_row.append(np.minimum(low[0] + up, ticks[0].size - 1))
            corner_column.append(np.minimum(low[1] + right, ticks[1].size - 1))
            weight.append((share[0] if up else 1.0 - share[0]) * (share[1] if right else 1.0 - share[1]))
    row, column, weights = np.array(corner_row), np.array(corner_column), np.array(weight)
    if not same:
        weights = weights * valid[row, column]
    lost = np.flatnonzero(weights.sum(axis=0) < 1e-9)
    if lost.size:
        require(bool(valid.any()), f"{path}: all variables: hold no value on the first day of the period; fill them.")
        points = np.argwhere(valid)
        distance, nearest = scipy.spatial.cKDTree(points).query(np.stack(position, axis=1)[lost])
        far = int(np.argmax(distance))
        require(
            bool(distance.max() <= FURTHEST_FILL),
            f"{path}: all variables: are missing (NaN) around the cell at {grid.place(int(lost[far]))}; the nearest "
            f"value is {distance.max():.1f} grid spacings away, allowed are {FURTHEST_FILL:g}; fill the weather there.",
        )
        row[0, lost], column[0, lost], weights[0, lost] = points[nearest, 0], points[nearest, 1], 1.0
    weights = weights / weights.sum(axis=0)
    used = weights > 0.0
    rows = slice(int(row[used].min()), int(row[used].max()) + 1)
    columns = slice(int(column[used].min()), int(column[used].max()) + 1)
    flat = (row - rows.start) * (columns.stop - columns.start) + column - columns.start
    points, inverse = np.unique(flat[used], return_inverse=True)
    cell = np.broadcast_to(np.arange(grid.cells), used.shape)[used]
    matrix = scipy.sparse.csr_matrix((weights[used], (cell, inverse)), shape=(grid.cells, points.size))
    return rows, columns, points, matrix


def _positions(dataset: xr.Dataset, axes: tuple[str, str], grid: Grid, path: pathlib.Path) -> list[np.ndarray]:
    """Where every cell lies on the vertical and the horizontal axis, in numbers of grid points from the first."""
    target = _targets(dataset, axes, grid, path)
    position = []
    for axis, place in zip(axes, target, strict=True):
        tick = dataset[axis].values.astype(float)
        step = (tick[-1] - tick[0]) / (tick.size - 1) if tick.size > 1 else np.inf
        require(
            tick.size == 1 or np.abs(np.diff(tick) - step).max() < 0.01 * abs(step),
            f"{path}: coordinate {axis}: is not evenly spaced; allowed are regular grids; regrid the file.",
        )
        where = (place - tick[0]) / step
        outside = (where < -1.0) | (where > tick.size)
        require(
            not outside.any(),
            f"{path}: coordinate {axis}: covers {tick.min():g} to {tick.max():g}, but the domain reaches from "
            f"{place.min():g} to {place.max():g} ({int(outside.sum())} of {outside.size} cells lie outside); "
            "give weather that covers the domain.",
        )
        position.append(np.clip(where, 0.0, tick.size - 1.0))
    return [np.where(np.abs(p - np.round(p)) < ALIGNED, np.round(p), p) for p in position]


def _targets(
    dataset: xr.Dataset, axes: tuple[str, str], grid: Grid, path: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (vertical, horizontal) of the cells in the system of the weather grid."""
    x, y = grid.x[grid.column], grid.y[grid.row]
    ours = pyproj.CRS.from_cf(grid.projection)
    degrees = axes != ("y", "x")
    theirs = pyproj.CRS.from_epsg(4326) if degrees else pyproj.CRS.from_cf(read_projection(dataset, path))
    if not theirs.equals(ours, ignore_axis_order=True):
        x, y = pyproj.Transformer.from_crs(ours, theirs, always_xy=True).transform(x, y)
    if degrees and float(dataset[axes[1]].max()) > 180.0:
        x = np.mod(x, 360.0)
    return y, x
