"""Lakes on the grid: one connected body each, one way out, a level, a bed, and which of them are 2-D patches.

A person may say of single lakes whether they are patches and how far their beds lie below the terrain; floodplains and
wetlands may be added to the patches.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.ndimage

from chase_jax.checks import require, require_shape
from chase_jax.io import tables
from data_prep import hydrography

EIGHT = np.ones((3, 3))  # neighbours of a cell, corners included
SMALLEST_PATCH = 5e6  # m2, lakes from this size on are solved in two dimensions; choice of this project


@dataclass(frozen=True)
class Told:
    """What a person says of single lakes.

    Attributes:
        patch: By number of the lake whether it is solved in two dimensions.
        offset: By number of the lake how far its bed lies below the terrain, m.
    """

    patch: dict[int, bool] = field(default_factory=dict)
    offset: dict[int, float] = field(default_factory=dict)


def read_told(path: pathlib.Path) -> Told:
    """The table lake,patch,offset: number, 1 or 0, and m; either of the last two may be empty or left out.

    Args:
        path: A text file.

    Raises:
        InputError: Names file, line, column, value and what is allowed.
    """
    table = tables.read(path, "write a text file with lake,patch,offset")
    require("lake" in table, f"{path}: line 1: the columns are {', '.join(table.columns)}; needed is lake.")
    allowed = {
        "lake": ("write the number of a lake", lambda v: v > 0 and v % 1 == 0),
        "patch": ("write 1, 0 or nothing", lambda v: v in (0, 1)),
        "offset": ("write m below the terrain, at least 0, or nothing", lambda v: v >= 0),
    }
    told: dict[str, dict[int, float]] = {name: {} for name in allowed}
    for line, row in zip(table.index, table.to_dict("records"), strict=True):
        number = 0
        for name, (advice, holds) in allowed.items():
            text = str(row.get(name, "")).strip()
            if text or name == "lake":
                value = float(pd.to_numeric(pd.Series([text]), errors="coerce").iloc[0])
                require(holds(value), f"{path}: line {line + 2}: {name} is '{text}'; {advice}.")
                number = int(value) if name == "lake" else number
                told[name][number] = value
    return Told({number: bool(value) for number, value in told["patch"].items()}, told["offset"])


def with_floodplains(lake_index: np.ndarray, flooded: np.ndarray) -> np.ndarray:
    """Number of the lake (row, column), where floodplains have that of the lake they touch most, or one of their own.

    Args:
        lake_index (row, column): Number of the lake, 0 for none.
        flooded (row, column): Cells of the domain in floodplains or wetlands.
    """
    require_shape(flooded, "flooded", lake_index.shape)
    part, _ = scipy.ndimage.label(flooded & (lake_index == 0), EIGHT)
    result, following = lake_index.copy(), int(lake_index.max(initial=0)) + 1
    for number, box in enumerate(scipy.ndimage.find_objects(part), 1):
        wide = tuple(slice(max(axis.start - 1, 0), axis.stop + 1) for axis in box)
        own = part[wide] == number
        beside = lake_index[wide][scipy.ndimage.binary_dilation(own, EIGHT) & (lake_index[wide] > 0)]
        if beside.size:
            result[wide][own] = np.bincount(beside).argmax()
        else:
            result[wide][own], following = following, following + 1
    return result


def connected(lake_index: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, int]:
    """Lakes of one body of water each: of every lake the largest connected part within the domain.

    Args:
        lake_index (row, column): Number of the lake, 0 for none.
        active (row, column): True inside the domain.

    Returns:
        (row, column): Number of the lake, 0 for none; and how many cells were left out.
    """
    require_shape(active, "active", lake_index.shape)
    given = np.where(active, lake_index, 0).astype(int)
    kept = np.zeros_like(given)
    for number, place in _slices(given):
        part, count = scipy.ndimage.label(given[place] == number, EIGHT)
        largest = 1 + int(np.argmax(np.bincount(part.ravel())[1:])) if count > 1 else 1
        kept[place][part == largest] = number
    return kept, int((given > 0).sum() - (kept > 0).sum())


def drain(
    direction: np.ndarray, lake_index: np.ndarray, corrections: hydrography.Corrections, cell_area: float
) -> tuple[np.ndarray, dict[int, tuple[int, int]]]:
    """Directions that lead all cells of a lake to its one way out, the cell with the largest catchment.

    No water that has left by that cell comes back, because what lies below it has a larger catchment; so no loop
    arises. Cells of a lake that had another way out are noted as `second way out of a lake`.

    Args:
        direction (row, column): D8 codes without loops, 1.
        lake_index (row, column): Number of the lake, 0 for none; every lake is connected.
        corrections: Record that changes are added to.
        cell_area: Area of a cell, km2.

    Returns:
        (row, column): Codes; and the cell (row, column) of the way out by lake.
    """
    receiver = hydrography.receivers(direction)
    upstream = hydrography.accumulate(receiver, np.ones(direction.size)).reshape(direction.shape)
    fixed, exits = direction.copy(), {}
    flat_lake = lake_index.ravel()
    for number, place in _slices(lake_index):
        inside = lake_index[place] == number
        top, left = place[0].start, place[1].start
        row, column = np.unravel_index(np.argmax(np.where(inside, upstream[place], -1.0)), inside.shape)
        exits[number] = (int(row) + top, int(column) + left)
        reached = np.zeros(inside.shape, bool)
        reached[row, column] = True
        while not (reached[inside]).all():
            before = reached.copy()
            for code, (down, right) in hydrography.STEPS.items():
                # a cell that sees a reached neighbour in this direction goes there
                seen = _shifted(before, down, right) & inside & ~reached
                if not seen.any():
                    continue
                reached |= seen
                for r, c in np.argwhere(seen):
                    cell = (int(r) + top, int(c) + left)
                    target = receiver[cell[0] * direction.shape[1] + cell[1]]
                    if target < 0 or flat_lake[target] != number:
                        corrections.add(
                            "second way out of a lake", cell, direction[cell], code, upstream[cell] * cell_area
                        )
                    fixed[cell] = code
            require(
                bool((reached != before).any()), f"Argument `lake_index` must be connected, but lake {number} is not."
            )
    return fixed, exits


def shore(direction: np.ndarray, lake_index: np.ndarray) -> np.ndarray:
    """Directions (row, column) where inland sinks outside lakes drain into a lake beside them.

    Args:
        direction (row, column): D8 codes, 1.
        lake_index (row, column): Number of the lake, 0 for none.
    """
    fixed, stranded = direction.copy(), (direction == hydrography.SINK) & (lake_index == 0)
    for code, (down, right) in hydrography.STEPS.items():
        found = stranded & _shifted(lake_index > 0, down, right)
        fixed[found] = code
        stranded &= ~found
    return fixed


def bed(lake_index: np.ndarray, level: np.ndarray, mean_depth: np.ndarray, cell_size: float) -> np.ndarray:
    """Bed that deepens evenly from the shore to the middle of every lake, m, NaN outside lakes.

    Args:
        lake_index (row, column): Number of the lake, 0 for none.
        level (row, column): Altitude of the water in lakes, m.
        mean_depth (row, column): Mean depth of the lake a cell belongs to, m.
        cell_size: Width of a cell, m.
    """
    result = np.full(lake_index.shape, np.nan)
    for number, place in _slices(lake_index):
        inside = lake_index[place] == number
        away = scipy.ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] * cell_size
        shape = away / away[inside].mean()
        result[place][inside] = (level[place] - mean_depth[place] * shape)[inside]
    return result


def lowered(lake_index: np.ndarray, terrain: np.ndarray, offset: dict[int, float]) -> np.ndarray:
    """Bed that lies below the terrain by an offset for each lake, m, NaN for lakes without one and outside lakes.

    Args:
        lake_index (row, column): Number of the lake, 0 for none.
        terrain (row, column): Altitude of the terrain, m.
        offset: By number of the lake, m.
    """
    number, inverse = np.unique(lake_index, return_inverse=True)
    depth = np.array([offset.get(int(n), np.nan) if n > 0 else np.nan for n in number])
    return terrain - depth[inverse.ravel()].reshape(lake_index.shape)


def patches(
    lake_index: np.ndarray,
    cell_area: np.ndarray,
    smallest: float = SMALLEST_PATCH,
    listed: dict[int, bool] | None = None,
) -> np.ndarray:
    """Cells (row, column) of lakes that are solved in two dimensions: those of several cells and a large area.

    Args:
        lake_index (row, column): Number of the lake, 0 for none.
        cell_area (row, column): Area of a cell, m2.
        smallest: Least area of such a lake, m2.
        listed: By number of the lake whether it is one, whatever its area; one of a single cell never is.
    """
    require(smallest >= 0.0, f"Argument `smallest` must be at least 0 m2, but is {smallest:g}.")
    number, inverse = np.unique(lake_index, return_inverse=True)
    inverse = inverse.ravel()
    area = np.bincount(inverse, np.broadcast_to(cell_area, lake_index.shape).ravel())
    wanted = area >= smallest
    for own, chosen in (listed or {}).items():
        wanted[number == own] = chosen
    large = wanted & (np.bincount(inverse) > 1) & (number > 0)
    return large[inverse].reshape(lake_index.shape)


def _slices(lake_index: np.ndarray):
    """Number and bounding box of every lake."""
    number, inverse = np.unique(lake_index, return_inverse=True)
    boxes = scipy.ndimage.find_objects(inverse.reshape(lake_index.shape) + 1)
    return [(int(n), box) for n, box in zip(number, boxes, strict=True) if n > 0]


def _shifted(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    """For every cell whether the neighbour `down` and `right` of it is in the mask."""
    padded = np.pad(mask, 1)
    return padded[1 + down : padded.shape[0] - 1 + down, 1 + right : padded.shape[1] - 1 + right]
