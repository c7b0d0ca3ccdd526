"""Files of raw data that recipes read whole; what is missing, cut off or of another unit is told in one line."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.io import store, units

ADVICE = "get the file again"


def require_file(path: pathlib.Path) -> None:
    """Require a file to be there. Argument: path."""
    require(path.is_file(), f"{path}: is missing; check `data.root`.")


def read_variables(path: pathlib.Path, wanted: Mapping[str, str]) -> xr.Dataset:
    """Variables of a netCDF file, in memory.

    Args:
        path: The file.
        wanted: Unit of every variable that is needed; empty where the file tells none.

    Raises:
        InputError: If the file or a variable is missing, cannot be read or is in another unit.
    """
    require_file(path)
    with store.open_dataset(path) as dataset:
        held = ", ".join(map(str, dataset.data_vars)) or "nothing"
        for name, unit in wanted.items():
            require(name in dataset.variables, f"{path}: variable {name}: is missing; the file holds {held}.")
            if unit:
                _require_unit(path, name, str(dataset[name].attrs.get("units", "")).strip(), unit)
        try:
            return dataset[list(wanted)].load()
        except (OSError, RuntimeError, IndexError) as error:
            raise InputError(f"{path}: cannot be read ({_reason(error)}); {ADVICE}.") from None


def read_table(path: pathlib.Path, **how: Any) -> pd.DataFrame:
    """A table of text.

    Args:
        path: The file.
        how: Arguments of `pandas.read_csv`.

    Raises:
        InputError: If the file is missing or is no such table.
    """
    require_file(path)
    try:
        return pd.read_csv(path, **how)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({_reason(error)}); {ADVICE}.") from None


def read_numbers(path: pathlib.Path, skip: int) -> np.ndarray:
    """Numbers (line, column) with blanks between them.

    Args:
        path: The file.
        skip: Lines before the first of them.

    Raises:
        InputError: If the file is missing or holds anything else, or lines of different lengths.
    """
    require_file(path)
    try:
        lines = path.read_text(encoding="ascii").splitlines()[skip:]
        values = np.loadtxt(lines, ndmin=2) if lines else np.empty((0, 0))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as numbers ({_reason(error)}); {ADVICE}.") from None
    require(values.size > 0, f"{path}: holds no numbers; {ADVICE}.")
    return values


def column(path: pathlib.Path, table: pd.DataFrame, name: str, gaps: bool = False) -> np.ndarray:
    """Numbers (line,) of a column.

    Args:
        path: The file, for messages.
        table: Its content.
        name: Name of the column.
        gaps: Whether values may be missing.

    Raises:
        InputError: If the column is missing or holds something else.
    """
    columns = ", ".join(map(str, table.columns))
    require(name in table, f"{path}: line 1: the columns are {columns}; needed is {name}.")
    numbers = pd.to_numeric(table[name], errors="coerce")
    wrong = table.index[numbers.isna() & (table[name].notna() | (not gaps))]
    line = int(wrong[0]) + 2 if len(wrong) else 0
    told = table[name][wrong[0]] if len(wrong) else ""
    require(wrong.empty, f"{path}: line {line}: {name} is '{told}'; it must be a number.")
    return numbers.to_numpy(float)


def days(path: pathlib.Path, told: Iterable[str], form: str, period: tuple[str, str]) -> pd.DatetimeIndex:
    """The days of a record, each there once.

    Args:
        path: The file, for messages.
        told: Dates as text.
        form: Their form as of `strptime`.
        period: First and last day that the record has when whole, ISO.

    Raises:
        InputError: If a date is none, a day is missing or doubled, or the record begins or ends elsewhere.
    """
    try:
        time = pd.DatetimeIndex(pd.to_datetime(list(told), format=form))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: holds a date that is none ({_reason(error)}); {ADVICE}.") from None
    whole = time.equals(pd.date_range(*period))
    ends = f"{time[0]:%Y-%m-%d} to {time[-1]:%Y-%m-%d}" if time.size else "none"
    require(whole, f"{path}: must hold every day from {period[0]} to {period[1]} once, but holds {ends}; {ADVICE}.")
    return time


def _require_unit(path: pathlib.Path, name: str, told: str, unit: str) -> None:
    """Require a unit to be another spelling of the known one."""
    require(bool(told), f"{path}: variable {name}: has no `units` attribute; it must be {unit}.")
    try:
        same = told == unit or units.conversion(told, unit) == (1.0, 0.0)
    except InputError:
        same = False
    require(same, f"{path}: variable {name}: must be in {unit}, but is in {told}.")


def _reason(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
