r"""Shape of the channels where no survey is given, and a bed that falls towards the outlet.

Hydraulic geometry relates bankfull width and depth to bankfull discharge, $W = 7.2\,Q^{0.50}$ and
$D = 0.27\,Q^{0.30}$, and bankfull discharge is taken proportional to the area of the catchment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from chase_jax.domain.drainage import Drainage, tree_levels

WIDTH_FACTOR, WIDTH_EXPONENT = 7.2, 0.50  # m (m3 s-1)^-0.50 and 1, moody2002
DEPTH_FACTOR, DEPTH_EXPONENT = 0.27, 0.30  # m (m3 s-1)^-0.30 and 1, moody2002
BANKFULL_RUNOFF = 5e-8  # m s-1, four times a mean runoff of 400 mm a year; choice of this project
SMALLEST_WIDTH, SMALLEST_DEPTH = 5.0, 0.5  # m, headwaters of a 1-km cell; choice of this project
MINIMUM_SLOPE = 1e-5  # 1, of channel beds outside lakes
DEFAULT_OUTLET_SLOPE = 1e-3  # 1, of an outlet with no channel above it; choice of this project


class Shape(NamedTuple):
    """Length, bankfull width and bankfull depth of the channels (cell,), m."""

    length: np.ndarray
    width: np.ndarray
    depth: np.ndarray


def geometry(
    cell_area: np.ndarray,
    upstream_area: np.ndarray,
    distance: np.ndarray,
    standing: np.ndarray,
    given: Mapping[str, np.ndarray],
) -> Shape:
    """Channel length, width and depth, from hydraulic geometry where they are not given.

    Args:
        cell_area (cell,): Area, m2.
        upstream_area (cell,): Area of the catchment, m2.
        distance (cell,): Distance to the next cell, m.
        standing (cell,): Whether the cell is a lake or an inland sink; its water covers all of the cell.
        given: `channel_length`, `channel_width` and `channel_depth` (cell,), m, NaN where unknown.

    Returns:
        The shape.

    Source:
        moody2002, width and depth against discharge.
    """
    length = np.where(np.isnan(given["channel_length"]), distance, given["channel_length"])
    width = np.maximum(WIDTH_FACTOR * (BANKFULL_RUNOFF * upstream_area) ** WIDTH_EXPONENT, SMALLEST_WIDTH)
    depth = bankfull_depth(upstream_area)
    width = np.where(np.isnan(given["channel_width"]), width, given["channel_width"])
    depth = np.where(np.isnan(given["channel_depth"]), depth, given["channel_depth"])
    return Shape(length, np.where(standing, cell_area / length, width), depth)


def bankfull_depth(upstream_area: np.ndarray) -> np.ndarray:
    """Bankfull depth (cell,) where it is not given, m.

    Args:
        upstream_area (cell,): Area of the catchment, m2.

    Source:
        moody2002.
    """
    return np.maximum(DEPTH_FACTOR * (BANKFULL_RUNOFF * upstream_area) ** DEPTH_EXPONENT, SMALLEST_DEPTH)


def descending_bed(
    bed: np.ndarray, downstream: np.ndarray, length: np.ndarray, patch: np.ndarray, lake_index: np.ndarray
) -> np.ndarray:
    """Bed lowered where needed so that no channel rises towards the outlet.

    Patches keep their beds and separate the reaches above from those below. Within a lake on the tree the bed may be
    level; everywhere else it falls by at least `MINIMUM_SLOPE`.

    Args:
        bed (cell,): Altitude of the bed, m, cells in post-order.
        downstream (cell,): Next cell, -1 at roots.
        length (cell,): Length of the channel, m.
        patch (cell,): Whether the cell belongs to a 2-D patch.
        lake_index (cell,): Number of the lake, 1; 0 for none.

    Returns:
        Altitude (cell,), m, nowhere above `bed`.
    """
    bed = bed.copy()
    next_cell = np.maximum(downstream, 0)
    same_lake = (lake_index > 0) & (lake_index == lake_index[next_cell])
    drop = np.where(same_lake, 0.0, MINIMUM_SLOPE * length)
    joined = (downstream >= 0) & ~patch & ~patch[next_cell]
    for cells in tree_levels(downstream)[::-1]:
        cells = cells[joined[cells]]
        np.minimum.at(bed, downstream[cells], bed[cells] - drop[cells])
    return bed


def outlet_slope(bed: np.ndarray, tree: Drainage, length: np.ndarray) -> np.ndarray:
    """Slope of the bed at outlets, that of the largest channel that leads there, 1; zero elsewhere.

    Args:
        bed (cell,): Altitude of the bed, m.
        tree: The drainage tree.
        length (cell,): Length of the channel, m.

    Returns:
        Slope (cell,), 1, at least `MINIMUM_SLOPE` at outlets.
    """
    outlet = np.asarray(tree.outlet)
    # In post-order the largest branch comes last, right before the cell itself.
    main = np.arange(bed.size) - 1
    fed = outlet & (np.asarray(tree.first) <= main)
    slope = np.where(fed, (bed[main] - bed) / length[main], DEFAULT_OUTLET_SLOPE)
    return np.where(outlet, np.maximum(slope, MINIMUM_SLOPE), 0.0)
