"""Gauges and what was observed at them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.domain.grid import Grid
from chase_jax.io import store, tables

COLUMNS = "gauge_id,x,y,area_km2,name"
DISCHARGE, LEVEL = "discharge", "lake_level"
LEAST_RECORD = 30  # days with an observation that each part of a record must have
CODES_OF_MISSING = (-999, -999.9, -999.99, -9999, -9999.9, -9999.99, -99999, -999999, -32767, -32768)
SMALL_CODES_OF_MISSING = (-99, -99.9, -99.99)  # may be flows where others are negative as well, as under a tide


@dataclasses.dataclass(frozen=True)
class Gauges:
    """Gauges and the cells they stand in.

    Attributes:
        gauge_id: (gauge,) identifiers.
        name: (gauge,) names, empty where unknown.
        x: (gauge,) eastings, m.
        y: (gauge,) northings, m.
        area: (gauge,) published drainage areas, m2, NaN where unknown.
        cell: (gauge,) packed cells of the domain.
        weight: (gauge,) weights among the gauges that are fitted together, 1.
    """

    gauge_id: tuple[str, ...]
    name: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    area: np.ndarray
    cell: np.ndarray
    weight: np.ndarray


def no_gauges() -> Gauges:
    """A table without a gauge."""
    return Gauges((), (), np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int32), np.zeros(0))


def read_gauges(path: str | os.PathLike[str], grid: Grid) -> Gauges:
    """Read gauges.csv and find the cell of every gauge.

    Args:
        path: A text file with the columns gauge_id, x, y, area_km2, name, and weight if gauges that are fitted together
            do not count alike; lon, lat may stand for x, y.
        grid: The grid of the domain.

    Raises:
        InputError: Names file, line, column, value and what is allowed.
    """
    file = store.local_path(path, "gauges.path")
    table = _table(file)
    line = {i: f"{file}: line {i + 2}" for i in table.index}
    identifiers = table["gauge_id"].str.strip()
    for i in table.index[identifiers.duplicated() | (identifiers == "")]:
        raise InputError(f"{line[i]}: gauge_id '{identifiers[i]}' is empty or used twice; give each gauge its own.")
    projected = {"x", "y"} <= set(table.columns)
    first, second = (_numbers(table, column, line) for column in (("x", "y") if projected else ("lon", "lat")))
    x, y = (first, second) if projected else grid.transformer().transform(first, second)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    area = _numbers(table, "area_km2", line, optional=True) * 1e6
    for i in np.flatnonzero(area <= 0.0):
        raise InputError(
            f"{line[i]}: area_km2 is {area[i] / 1e6:g}; it must be above 0; correct it or leave it empty if unknown."
        )
    cell = np.array([grid.cell_at(*point) for point in zip(x, y, strict=True)], dtype=np.int32)
    for i in np.flatnonzero(cell < 0):
        raise InputError(
            f"{line[i]}: gauge {identifiers[i]} at x {x[i]:.0f} m, y {y[i]:.0f} m lies outside the active cells of the "
            f"domain (x {grid.x.min():.0f} to {grid.x.max():.0f} m, y {grid.y.min():.0f} to {grid.y.max():.0f} m); "
            "move it onto an active cell or remove the line."
        )
    names = tuple(table["name"].str.strip()) if "name" in table else ("",) * len(table)
    weight = _numbers(table, "weight", line, optional=True)
    for i in np.flatnonzero(weight < 0.0):
        raise InputError(f"{line[i]}: weight is {weight[i]:g}; it must be at least 0; correct it or leave it empty.")
    return Gauges(tuple(identifiers), names, x, y, area, cell, np.where(np.isfinite(weight), weight, 1.0))


def _table(file: pathlib.Path) -> pd.DataFrame:
    """The lines of gauges.csv as text."""
    table = tables.read(file, f"write a text file with {COLUMNS}")
    has = set(table.columns)
    require(
        "gauge_id" in has and ({"x", "y"} <= has or {"lon", "lat"} <= has),
        f"{file}: line 1: the columns are {', '.join(table.columns)}; needed are {COLUMNS} (or lon,lat for x,y).",
    )
    require(len(table) > 0, f"{file}: holds no gauge; add one line per gauge or leave `gauges.path` empty.")
    return table


def _numbers(table: pd.DataFrame, column: str, line: dict[int, str], optional: bool = False) -> np.ndarray:
    """A column as numbers; NaN where an optional one is empty."""
    if optional and column not in table:
        return np.full(len(table), np.nan)
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    for i in np.flatnonzero(~np.isfinite(values)):
        text = table[column].iloc[i].strip()
        if not (optional and text == ""):
            raise InputError(f"{line[int(i)]}: {column} is '{text}'; it must be a number; correct it.")
    return values


def has_levels_alone(path: str | os.PathLike[str]) -> bool:
    """Whether a file of observations holds levels of lakes and no discharge. Argument: the file."""
    with store.open_dataset(store.local_path(path, "observations.path")) as dataset:
        return LEVEL in dataset and DISCHARGE not in dataset


def telling(series: np.ndarray) -> np.ndarray:
    """Whether a record is long enough, and not always the same, so that a search may learn from it (gauge,).

    Args:
        series (day, gauge): What was observed, NaN where missing.
    """
    there = np.isfinite(series)
    highest, lowest = series.max(0, initial=-np.inf, where=there), series.min(0, initial=np.inf, where=there)
    return (highest > lowest) & (there.sum(axis=0) >= LEAST_RECORD)


def read_observations(
    path: str | os.PathLike[str], gauges: Gauges, start: str, end: str, name: str = DISCHARGE
) -> xr.DataArray:
    """Read observed series at the gauges of a table.

    Args:
        path: A file with the variable on (gauge, time) and `gauge_id`.
        gauges: The gauges wanted, in the order wanted.
        start: First day, ISO.
        end: Last day, ISO.
        name: "discharge" or "lake_level".

    Returns:
        (gauge, time) daily values in the unit of the table, NaN where nothing was observed.

    Raises:
        InputError: Names file, variable, place, value and what is allowed.
    """
    file = store.local_path(path, "observations.path")
    with store.open_dataset(file) as dataset:
        array = store.require_variable(dataset, name, file)
        require("gauge_id" in dataset.variables, f"{file}: variable gauge_id: is missing; add it on the axis gauge.")
        require(
            set(array.dims) == {"gauge", "time"} and dataset["time"].dtype.kind == "M",
            f"{file}: variable {name}: has the axes ({', '.join(map(str, array.dims))}); "
            "needed are (gauge, time) with a CF time in the standard calendar.",
        )
        identifiers = [i.decode() if isinstance(i, bytes) else str(i).strip() for i in dataset["gauge_id"].values]
        array = array.transpose("gauge", "time")
        values = store.canonical(array, name, file)
        stored = np.asarray(array.values, dtype=float)
        stamps = dataset["time"].values
        time = stamps.astype("datetime64[D]")
    require(
        np.unique(time).size == time.size or np.unique(stamps).size < stamps.size,
        f"{file}: coordinate time: holds {stamps.size} values in {np.unique(time).size} days; needed are daily means; "
        "average them over each day.",
    )
    for label, axis in (("gauge_id", identifiers), ("time", list(time))):
        twice = next((a for a in axis if axis.count(a) > 1), None) if len(set(axis)) < len(axis) else None
        require(twice is None, f"{file}: coordinate {label}: {twice} is there twice; remove the duplicate.")
    known = [i for i, identifier in enumerate(identifiers) if identifier in gauges.gauge_id]
    require(
        bool(known),
        f"{file}: variable gauge_id: none of {', '.join(identifiers[:5])} is a gauge of the table "
        f"({', '.join(gauges.gauge_id[:5])}); use the same identifiers.",
    )

    def place(index: tuple[int, ...]) -> str:
        return f"gauge {identifiers[index[0]]}, {time[index[1]]}"

    require_marked(stored, name, file, place)
    store.check_values(np.nan_to_num(values, nan=0.0), name, file, place)
    found = xr.DataArray(values, dims=("gauge", "time"), coords={"gauge": identifiers, "time": time.astype("M8[ns]")})
    days = pd.date_range(start, end, freq="D")
    result = found.reindex(gauge=list(gauges.gauge_id), time=days)
    return result.assign_attrs(store.attributes(name))


def require_marked(values: np.ndarray, name: str, path: pathlib.Path, place: Callable[[tuple[int, ...]], str]) -> None:
    """Require missing values to be marked as such, not by a number that only stands for them.

    Args:
        values: (gauge, time) values as they stand in the file, NaN where missing.
        name: The variable.
        path: The file, for the message.
        place: Turns the index of an element into words.

    Raises:
        InputError: Names file, variable, gauge, day and value.
    """
    coded = _is_one_of(values, CODES_OF_MISSING)
    small = _is_one_of(values, SMALL_CODES_OF_MISSING)
    flows_back = ((values < 0.0) & ~coded & ~small).any(axis=1, keepdims=True)
    coded |= small & ~flows_back
    if coded.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(coded)), coded.shape))
        more = int(coded.sum()) - 1
        also = f" (and at {more} more)" if more else ""
        raise InputError(
            f"{path}: variable {name}: is {values[index]:g} at {place(index)}{also}, which looks like a code of "
            "missing values; mark missing values as NaN or by _FillValue."
        )


def _is_one_of(values: np.ndarray, codes: tuple[float, ...]) -> np.ndarray:
    """Where values of any unit are one of some codes, to single precision."""
    return np.any([np.isclose(values, code, rtol=1e-6, atol=0.0) for code in codes], axis=0)
