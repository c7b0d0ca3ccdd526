"""Directions of flow that a person mends after the automatic repair: a table of cells, codes and reasons."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import pyproj

from chase_jax.checks import InputError, require
from chase_jax.domain.grid import Grid
from chase_jax.io import store, tables
from data_prep import hydrography

KEY = "corrections.path"
COLUMNS = "x,y,direction,reason"
PLACES = (("row", "column"), ("x", "y"), ("lon", "lat"))
CODES = (*hydrography.STEPS, hydrography.OUTLET, hydrography.SINK)


def read(path: pathlib.Path | str) -> pd.DataFrame:
    """The table of corrections, checked as far as it can be without a grid.

    Args:
        path: A text file with the columns direction and reason, and x and y (m, in the projection of the domain), lon
            and lat (degree), or row and column (from 0, southward and eastward).

    Returns:
        A row per correction: the two columns of its place, direction (ESRI D8 code) and reason.

    Raises:
        InputError: Names file, line, column, value and what is allowed.
    """
    file = store.local_path(path, KEY)
    table = tables.read(file, f"write a text file with {COLUMNS}")
    place = next((names for names in PLACES if set(names) <= set(table.columns)), None)
    require(
        place is not None and {"direction", "reason"} <= set(table.columns),
        f"{file}: line 1: the columns are {', '.join(table.columns)}; needed are {COLUMNS} (or lon,lat or row,column "
        "for x,y).",
    )
    require(len(table) > 0, f"{file}: holds no correction; add one line per cell or leave `{KEY}` empty.")
    found = table[["reason"]].apply(lambda column: column.str.strip())
    for name in (*(place or ()), "direction"):
        whole = name in ("row", "column", "direction")
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = ~np.isfinite(numbers) | (whole & (numbers % 1 != 0))
        for line in table.index[wrong]:
            kind = "a whole number" if whole else "a number"
            raise InputError(f"{file}: line {line + 2}: {name} is '{table[name][line]}'; write {kind}.")
        found[name] = numbers.astype(int) if whole else numbers
    for line in found.index[~found.direction.isin(CODES)]:
        raise InputError(
            f"{file}: line {line + 2}: direction is {found.direction[line]}; allowed are "
            f"{', '.join(map(str, sorted(CODES)))} (ESRI D8; 0 outlet, 255 inland sink)."
        )
    for line in found.index[found.reason == ""]:
        raise InputError(f"{file}: line {line + 2}: reason is empty; say why the cell is mended.")
    return found


def apply(
    path: pathlib.Path | str | None,
    direction: np.ndarray,
    active: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    crs: str,
    corrections: hydrography.Corrections,
    cell_area: float,
) -> np.ndarray:
    """Directions (row, column) with the cells of a table mended, each noted as `by hand` with its reason.

    Args:
        path: The table, see :func:`read`; None leaves all as it is.
        direction (row, column): D8 codes without loops, 1.
        active (row, column): True inside the domain.
        x (column,): Easting of the cell centers, m, rising.
        y (row,): Northing of the cell centers, m, falling.
        crs: The projection in any form that PROJ reads.
        corrections: Record that changes are added to.
        cell_area: Area of a cell, km2; the mean if they differ.

    Raises:
        InputError: A cell is none of the domain or stands twice, or the changes make a loop or lead out of the domain.
    """
    if path is None:
        return direction
    table = read(path)
    cells = _cells(path, table, x, y, crs)
    fixed = direction.copy()
    for line, cell in zip(table.index, cells, strict=True):
        row, column = divmod(cell, len(x))
        place = f"{path}: line {line + 2}: the cell in row {row}, column {column}"
        require(bool(active[row, column]), f"{place} is no cell of the domain; correct the place or remove the line.")
        require(cells.count(cell) == 1, f"{place} stands twice; give each cell one line.")
        code = int(table.direction[line])
        if code in hydrography.STEPS:
            down, right = hydrography.STEPS[code]
            to = row + down, column + right
            inside = 0 <= to[0] < len(y) and 0 <= to[1] < len(x) and active[to]
            require(inside, f"{place} cannot have direction {code}, which leaves the domain; use 0 for an outlet.")
        fixed[row, column] = code
    target = hydrography.receivers(fixed)
    target[~active.ravel()] = -1
    for line, cell in zip(table.index, cells, strict=True):
        # the chosen cell is on a loop if its own water comes back to it
        here, passed = int(target[cell]), 0
        while here not in (-1, cell) and passed <= target.size:
            here, passed = int(target[here]), passed + 1
        if here == cell:
            row, column = divmod(cell, len(x))
            raise InputError(
                f"{path}: line {line + 2}: direction {int(table.direction[line])} of the cell in row {row}, column "
                f"{column} makes a loop; its water comes back to it."
            )
    upstream = hydrography.accumulate(target, np.where(active, cell_area, 0.0).ravel())
    for line, cell in zip(table.index, cells, strict=True):
        row, column = divmod(cell, len(x))
        before, after, why = direction[row, column], fixed[row, column], str(table.reason[line])
        corrections.add("by hand", (row, column), before, after, upstream[cell], why)
    return fixed


def apply_to(
    path: pathlib.Path | str | None,
    coarse: hydrography.Upscaled,
    x: np.ndarray,
    y: np.ndarray,
    crs: str,
    corrections: hydrography.Corrections,
    cell_area: float,
) -> hydrography.Upscaled:
    """As :func:`apply` on an upscaled network; a mended link is as long as the straight way to the next cell.

    Args:
        path: The table; None leaves all as it is.
        coarse: The upscaled network.
        x (column,): Easting of its cell centers, m, rising.
        y (row,): Northing of its cell centers, m, falling.
        crs: The projection in any form that PROJ reads.
        corrections: Record that changes are added to.
        cell_area: Area of a coarse cell, km2.
    """
    direction = apply(path, coarse.direction, coarse.active, x, y, crs, corrections, cell_area)
    length = np.where(direction == coarse.direction, coarse.length, np.nan)
    return dataclasses.replace(coarse, direction=direction, length=length)


def _cells(path: pathlib.Path | str, table: pd.DataFrame, x: np.ndarray, y: np.ndarray, crs: str) -> list[int]:
    """Flat index of the cell of every line; the place must lie on the grid."""
    grid = Grid(x, y, pyproj.CRS.from_user_input(crs).to_cf())
    if "row" in table:
        row, column = table.row.to_numpy(), table.column.to_numpy()
        inside = (row >= 0) & (row < len(y)) & (column >= 0) & (column < len(x))
        cells = np.where(inside, row * len(x) + column, -1)
    else:
        first, second = ("lon", "lat") if "lon" in table else ("x", "y")
        east, north = table[first].to_numpy(float), table[second].to_numpy(float)
        if "lon" in table:
            east, north = grid.transformer().transform(east, north)
        cells = np.array([grid.cell_at(*point) for point in zip(east, north, strict=True)])
    for line, cell in zip(table.index, cells, strict=True):
        require(
            cell >= 0,
            f"{path}: line {line + 2}: lies outside the grid of {len(y)} rows and {len(x)} columns "
            f"(x {min(x):.0f} to {max(x):.0f} m, y {min(y):.0f} to {max(y):.0f} m); correct the place.",
        )
    return cells.tolist()
