"""Gauged basins of one's own: a table of basins and a file of their records.

The table has a line per gauge: gauge_id, area_km2, the predictors in the units of the table of variables, and, if
known, latitude, longitude and downstream_id (the next gauge downstream). Any further column of numbers belongs to the
extended set. The records are an observations file: `discharge (gauge, time)` with `gauge_id`; `precipitation (gauge,
time)` of the basins may stand beside it, and is used to judge whether the gauged years are like the others.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pandas as pd

from chase_jax.checks import InputError, require
from chase_jax.constants import SECONDS_PER_DAY
from chase_jax.io import gauge_store, store, tables
from chase_jax.signatures.attributes import Basins
from chase_jax.variables import PREDICTORS

PLACES = ("gauge_id", "area_km2", "latitude", "longitude", "downstream_id", "name")


def read_basins(path: str | os.PathLike[str], records: str | os.PathLike[str] | None) -> Basins:
    """Read gauged basins.

    Args:
        path: The table.
        records: The observations file.

    Raises:
        InputError: Names file, line, column, value and what is allowed.
    """
    file = store.local_path(path, "basins.path")
    require(records is not None, "observations.path is empty; give the file of discharge at the gauges of basins.path.")
    table = _table(file)
    identifiers = list(table["gauge_id"])
    texts = ("gauge_id", "downstream_id", "name")
    numbers = {str(name): _numbers(table, str(name), file) for name in table.columns if name not in texts}
    nowhere = np.full(len(table), np.nan)
    area = numbers["area_km2"] * 1e6
    for i in np.flatnonzero(~(area > 0)):
        raise InputError(f"{file}: line {i + 2}: area_km2 is {numbers['area_km2'][i]:g}; it must be above 0.")
    flow, rain, time = _records(store.local_path(str(records), "observations.path"), identifiers)
    columns = {name: values for name, values in numbers.items() if name not in PLACES}
    return Basins(
        gauge_id=tuple(identifiers),
        area=area,
        latitude=numbers.get("latitude", nowhere),
        longitude=numbers.get("longitude", nowhere),
        time=time,
        flow=flow / area[:, None] * (SECONDS_PER_DAY * 1e3),
        precipitation=rain,
        predictors=pd.DataFrame(columns, index=identifiers),
        downstream=_downstream(table, file),
    )


def _table(file: pathlib.Path) -> pd.DataFrame:
    """The lines of the table as text."""
    table = tables.read(file, "write a text file with commas")
    absent = [name for name in ("gauge_id", "area_km2", *PREDICTORS) if name not in table]
    require(not absent, f"{file}: line 1: the columns {', '.join(absent)} are missing; add them.")
    table = table.apply(lambda column: column.str.strip())
    for i in np.flatnonzero(table["gauge_id"].duplicated() | (table["gauge_id"] == "")):
        raise InputError(
            f"{file}: line {i + 2}: gauge_id '{table['gauge_id'].iloc[i]}' is empty or used twice; give each its own."
        )
    return table


def _numbers(table: pd.DataFrame, name: str, file: pathlib.Path) -> np.ndarray:
    """A column as numbers, NaN where it is empty."""
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
    for i in np.flatnonzero(~np.isfinite(values)):
        text = table[name].iloc[i]
        require(
            text.lower() in ("", "nan"),
            f"{file}: line {i + 2}: {name} is '{text}'; it must be a number, or empty; correct it.",
        )
    return values


def _downstream(table: pd.DataFrame, file: pathlib.Path) -> np.ndarray:
    """Number (gauge,) of the next gauge downstream, -1 for none."""
    below = table["downstream_id"] if "downstream_id" in table else pd.Series([""] * len(table))
    number = {identifier: i for i, identifier in enumerate(table["gauge_id"])}
    for i, identifier in enumerate(below):
        require(
            identifier in number or identifier in ("", "-1"),
            f"{file}: line {i + 2}: downstream_id '{identifier}' is no gauge of the table; correct or empty it.",
        )
    return np.array([number.get(identifier, -1) for identifier in below], dtype=int)


def _records(file: pathlib.Path, identifiers: list[str]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Discharge (gauge, time), m3 s-1, precipitation (gauge, time), mm per day, if there, and the days."""
    with store.open_dataset(file) as dataset:
        array = store.require_variable(dataset, "discharge", file)
        require("gauge_id" in dataset.variables, f"{file}: variable gauge_id: is missing; add it on the axis gauge.")
        require(
            set(array.dims) == {"gauge", "time"} and dataset["time"].dtype.kind == "M",
            f"{file}: variable discharge: has the axes ({', '.join(map(str, array.dims))}); needed are (gauge, time).",
        )
        held = [i.decode() if isinstance(i, bytes) else str(i).strip() for i in dataset["gauge_id"].values]
        time = dataset["time"].values.astype("datetime64[D]")
        require(
            bool(np.all(np.diff(time) == np.timedelta64(1, "D"))),
            f"{file}: coordinate time: must hold every day once, in order, as daily means; write missing days as NaN.",
        )
        absent = [identifier for identifier in identifiers if identifier not in held]
        require(not absent, f"{file}: variable gauge_id: gauge {', '.join(absent[:5])} of the table is missing.")
        order = [held.index(identifier) for identifier in identifiers]
        array = array.transpose("gauge", "time")
        flow = store.canonical(array, "discharge", file)[order]
        stored = np.asarray(array.values, dtype=float)
        gauge_store.require_marked(stored, "discharge", file, lambda index: f"gauge {held[index[0]]}, {time[index[1]]}")
        found = store.find(dataset, "precipitation", file)
        rain = None
        if found is not None:
            rain = store.canonical(found.transpose("gauge", "time"), "precipitation", file)[order] * SECONDS_PER_DAY
    return flow, rain, time
