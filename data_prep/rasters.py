"""Rasters: ESRI ASCII grids, aggregation to coarser cells, gaps filled from the nearest valid value."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import numpy as np

from chase_jax.checks import InputError, require


@dataclass(frozen=True)
class AsciiGrid:
    """One raster of an ESRI ASCII file.

    Attributes:
        values (row, column): Values, NaN where missing; the first row is the northernmost.
        x (column,): Easting of the cell centers, m.
        y (row,): Northing of the cell centers, m, falling.
        cell_size: Width of a cell, m.
    """

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray
    cell_size: float


def read_ascii_grid(path: pathlib.Path) -> AsciiGrid:
    """Read an ESRI ASCII grid given by its lower-left corner.

    Raises:
        InputError: If the file is missing or its header is not complete.
    """
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    with path.open(encoding="ascii") as stream:
        lines = [stream.readline().split() for _ in range(6)]
    header = {line[0].lower(): float(line[1]) for line in lines if len(line) == 2}
    try:
        rows, columns, size = int(header["nrows"]), int(header["ncols"]), header["cellsize"]
        west, south, missing = header["xllcorner"], header["yllcorner"], header["nodata_value"]
    except KeyError as error:
        raise InputError(f"{path}: the header lacks {error}; an ESRI ASCII grid has six header lines.") from None
    values = np.loadtxt(path, skiprows=6)
    require(
        values.shape == (rows, columns), f"{path}: holds {values.shape} values, but its header says {rows, columns}."
    )
    x = west + (np.arange(columns) + 0.5) * size
    y = south + (rows - np.arange(rows) - 0.5) * size
    return AsciiGrid(np.where(values == missing, np.nan, values), x, y, size)


def blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """The fine cells of every coarse cell, (row, column, fine cell). Argument: values (fine row, fine column)."""
    rows, columns = values.shape[0] // factor, values.shape[1] // factor
    parts = values[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return parts.transpose(0, 2, 1, 3).reshape(rows, columns, factor * factor)


def block_mean(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean of the valid fine cells of every coarse cell, NaN where there is none.

    Args:
        values (fine row, fine column): Values, NaN where missing.
        factor: Fine cells per coarse cell in each direction.
    """
    parts = blocks(values, factor)
    valid = np.isfinite(parts)
    number = valid.sum(-1)
    total = np.where(valid, parts, 0.0).sum(-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def block_majority(classes: np.ndarray, factor: int, seed: int = 0) -> np.ndarray:
    """Most frequent class among the valid fine cells; ties are drawn, so that no class is favoured. 0 where none.

    Args:
        classes (fine row, fine column): Class numbers > 0; 0 or less where missing.
        factor: Fine cells per coarse cell in each direction.
        seed: Seed of the draw.
    """
    parts = blocks(classes, factor)
    draw = np.random.default_rng(seed)
    best, winner = np.zeros(parts.shape[:2]), np.zeros(parts.shape[:2], int)
    for kind in np.unique(classes[classes > 0]):
        votes = (parts == kind).sum(-1)
        votes = votes + np.where(votes > 0, 0.5 * draw.random(votes.shape), 0.0)
        winner = np.where(votes > best, int(kind), winner)
        best = np.maximum(votes, best)
    return winner


def fill_nearest(values: np.ndarray) -> np.ndarray:
    """Missing values of the last two axes taken from the nearest cell that is valid at all times.

    Args:
        values (..., row, column): Values; a cell counts as missing if it is NaN at any time.

    Raises:
        InputError: If no cell is valid.
    """
    valid = np.isfinite(values).all(axis=tuple(range(values.ndim - 2)))
    require(bool(valid.any()), "Argument `values` must have a valid cell, but all are NaN.")
    row, column = np.nonzero(valid)
    everywhere = np.indices(valid.shape)
    distance = (everywhere[0][..., None] - row) ** 2 + (everywhere[1][..., None] - column) ** 2
    nearest = np.argmin(distance, axis=-1)
    return values[..., row[nearest], column[nearest]]
