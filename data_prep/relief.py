"""Altitudes of land and river on the grid from a finer terrain, and drainage of a terrain that has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from chase_jax.checks import require, require_shape
from data_prep import hydrography, rasters

NOTHING = -9999.0  # outside the domain, for the filling of depressions
NO_DIRECTION = 247  # code of such cells there
# m, width of cells whose hillsides a terrain may not show; a hill of wider ones is in their mean altitude
HILLSIDE_WIDTH = 1000.0


@dataclass
class Relief:
    """Land and rivers of the coarse cells.

    Attributes:
        length (row, column): Length of the channel, m.
        upstream_area (row, column): Area that drains through a cell, m2.
        river (row, column): Altitude of the river, falling downstream, m; NaN outside the domain.
        surface (row, column): Altitude of the land, m; NaN outside the domain.
        report: How far altitudes of rivers and land were changed.
    """

    length: np.ndarray
    upstream_area: np.ndarray
    river: np.ndarray
    surface: np.ndarray
    report: str


def from_fine(
    coarse: hydrography.Upscaled,
    inside: np.ndarray,
    altitude: np.ndarray,
    slope: np.ndarray,
    factor: int,
    fine_size: float,
) -> Relief:
    """Land and rivers from the terrain that the drainage was upscaled from.

    The river lies at the fine cell of largest accumulation, the land at the mean of its cell, but above the river at
    least by the mean height of hillsides: local slope times mean distance to the channel. That is area / (4 length),
    but no more than a quarter of the width of the cell, because a short channel only touches a cell that others drain,
    nor of `HILLSIDE_WIDTH`, because slopes do not go on over wider cells.

    Args:
        coarse: The coarse drainage.
        inside (fine row, fine column): True for fine cells of the domain.
        altitude (fine row, fine column): Altitude, m.
        slope (row, column): Mean slope of the terrain, 1.
        factor: Fine cells per coarse cell in each direction.
        fine_size: Width of a fine cell, m.
    """
    size, active = fine_size * factor, coarse.active
    at_exit = np.where(active, altitude.ravel()[coarse.exit], np.nan)
    mean = rasters.block_mean(np.where(inside, altitude, np.nan), factor)
    return of_cells(coarse, at_exit, mean, slope, coarse.length * fine_size, size)


def of_cells(
    coarse: hydrography.Upscaled,
    at_exit: np.ndarray,
    mean: np.ndarray,
    slope: np.ndarray,
    length: np.ndarray,
    size: float,
) -> Relief:
    """As :func:`from_fine`, from what is known of the cells of a network on any grid.

    Args:
        coarse: The coarse drainage.
        at_exit (row, column): Altitude of the exits, m.
        mean (row, column): Mean altitude of the cells, m.
        slope (row, column): Mean slope of the terrain, 1.
        length (row, column): Length of the channels, m; the straight way to the next cell where it is NaN.
        size: Width of a cell, m.
    """
    active = coarse.active
    receiver = hydrography.receivers(coarse.direction)
    straight = hydrography.straight_length(coarse.direction, size)
    length = np.where(np.isfinite(length), length, straight)
    area = hydrography.accumulate(receiver, active.ravel() * size * size)
    river = hydrography.river_profile(receiver, at_exit.ravel(), area / 1e6, length.ravel())
    changed = np.abs(river - at_exit.ravel())[active.ravel()]
    river = river.reshape(active.shape)
    hillside = slope * np.minimum(size * size / length, min(size, HILLSIDE_WIDTH)) / 4.0
    surface = np.fmax(mean, river + hillside)
    raised = np.nan_to_num(surface - mean)[active]
    report = (
        f"river altitude changed by more than 10 m in {(changed > 10).mean():.1%} of the cells, median "
        f"{np.median(changed):.1f} m, largest {changed.max():.0f} m\n"
        f"land higher than the mean of the terrain, for its hillsides, in {(raised > 0).mean():.1%} of the cells, by "
        f"{raised.mean():.1f} m in the mean, {raised.max():.0f} m at most"
    )
    return Relief(length, area.reshape(active.shape), river, np.where(active, surface, np.nan), report)


def drainage(altitude: np.ndarray, active: np.ndarray, ends: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Flow directions of a terrain by filling its depressions from the outlets inward (priority flood).

    Args:
        altitude (row, column): Altitude, m.
        active (row, column): True inside the domain.
        ends (row, column): True where water may end: at inland sinks, and at the edge of the domain, which then is
            closed elsewhere; all of the edge and nothing inland if None.

    Returns:
        Directions (row, column), D8 codes: ends at the edge of the domain are outlets, others inland sinks; and the
        filled altitude (row, column), m, that of the terrain outside the domain.

    Source:
        wang2006, as pyflwdir has it.
    """
    from pyflwdir import dem

    require_shape(active, "active", altitude.shape)
    require(bool(active.any()), "Argument `active` must mark a cell, but marks none.")
    finite = bool(np.isfinite(altitude[active]).all())
    require(finite, "Argument `altitude` must be known in all active cells, but is NaN in some.")
    given = np.where(active, altitude, NOTHING).astype(np.float64)
    pits = None if ends is None else np.flatnonzero(ends & active).astype(np.intp)
    require(pits is None or pits.size > 0, "Argument `ends` must mark an active cell, but marks none.")
    filled, code = dem.fill_depressions(given, nodata=NOTHING, idxs_pit=pits)
    around = np.pad(active, 1)
    inland = np.ones(active.shape, bool)
    for down, right in hydrography.STEPS.values():
        inland &= around[1 + down : around.shape[0] - 1 + down, 1 + right : around.shape[1] - 1 + right]
    direction = np.where(active & (code != NO_DIRECTION), code, hydrography.OUTLET).astype(int)
    direction[active & (direction == hydrography.OUTLET) & inland] = hydrography.SINK
    return direction, np.where(active, filled, altitude)


def ramps(altitude: np.ndarray, filled: np.ndarray, active: np.ndarray, resistance: np.ndarray) -> np.ndarray:
    """Rise (row, column) over the way out of filled depressions, 0 elsewhere, whose steepest descent are rivers.

    It is the smallest sum of resistances from a cell to the sill of its depression, so that ways join where that is
    small. A level fill drains in the order of the rows instead, in straight lines.

    Args:
        altitude (row, column): Altitude, m.
        filled (row, column): Altitude with depressions filled, m.
        active (row, column): True inside the domain.
        resistance (row, column): > 0, 1.
    """
    level = active & (filled > altitude)
    rise = np.zeros(altitude.shape)
    number = np.full(level.size, -1)
    cells = np.flatnonzero(level)
    if cells.size == 0:
        return rise
    number[cells] = np.arange(cells.size)
    columns, height = altitude.shape[1], filled.ravel()
    row, column = np.divmod(cells, columns)
    own = resistance.ravel()[cells]
    begin, start, end, cost = np.full(cells.size, np.inf), [], [], []
    for down, right in hydrography.STEPS.values():
        there = (
            (row + down >= 0) & (row + down < altitude.shape[0]) & (column + right >= 0) & (column + right < columns)
        )
        near = np.where(there, cells + down * columns + right, 0)
        length = float(np.hypot(down, right))
        inside = there & (number[near] >= 0)
        inside &= height[near] == height[cells]
        start.append(np.flatnonzero(inside))
        end.append(number[near[inside]])
        cost.append(length * 0.5 * (own[inside] + own[end[-1]]))
        sill = there & active.ravel()[near] & (height[near] <= height[cells]) & ~inside
        begin[sill] = np.minimum(begin[sill], length * own[sill])
    source = np.flatnonzero(np.isfinite(begin))
    ends = np.concatenate([*end, source])
    starts = np.concatenate([*start, np.full(source.size, cells.size)])
    costs = np.concatenate([*cost, begin[source]])
    graph = scipy.sparse.csr_matrix((costs, (starts, ends)), shape=(cells.size + 1, cells.size + 1))
    found = scipy.sparse.csgraph.dijkstra(graph, indices=cells.size)[:-1]
    rise.ravel()[cells] = np.where(np.isfinite(found), found, 0.0)
    return rise


def slope(altitude: np.ndarray, cell_size: float) -> np.ndarray:
    """Slope (row, column) by central differences, 1. Arguments: altitude (row, column) and cell_size, m."""
    return np.hypot(*np.gradient(altitude, cell_size))
