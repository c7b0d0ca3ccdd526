"""Maps of signatures on the grid of the domain, which calibration is to meet."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from chase_jax.checks import require
from chase_jax.domain.grid import Grid
from chase_jax.io import store
from chase_jax.io.domain_store import cells_of, require_same_grid

INTERVAL = "interval_days"


def read_maps(
    path: str | os.PathLike[str], grid: Grid, names: tuple[str, ...], key: str = "maps.path"
) -> tuple[dict[str, np.ndarray], int | None]:
    """Read maps at the cells of the domain.

    Args:
        path: A file on the grid of the domain.
        grid: The grid of the domain.
        names: The variables that must be there.
        key: The configuration key the path was given by, for messages.

    Returns:
        (cell,) values by name, NaN where the map has a hole, and the attribute `interval_days` of baseflow_index.

    Raises:
        InputError: Names file, variable, cell, value and what is allowed.
    """
    file = store.local_path(path, key)
    with store.open_dataset(file) as dataset:
        require_same_grid(dataset, grid, file, "maps")
        found, interval = {}, None
        for name in names:
            array = store.require_variable(dataset, name, file)
            values = cells_of(array, name, grid, file)
            require(
                not np.isnan(values).all(),
                f"{file}: variable {name}: has no value in any cell of the domain; give another map.",
            )
            held = np.where(np.isnan(values), 0.0, values)  # a hole is no wrong value
            store.check_values(held, name, file, lambda index: grid.place(int(index[-1])), low=0.0)
            found[name] = values
            if name == "baseflow_index" and INTERVAL in array.attrs:
                interval = _whole(array.attrs[INTERVAL], file)
    return found, interval


def _whole(given: object, file: pathlib.Path) -> int:
    """The attribute `interval_days` of baseflow_index as a number, days."""
    try:
        number = float(str(given))
    except ValueError:
        number = np.nan
    require(
        bool(np.isfinite(number)) and number == np.round(number) and number > 0,
        f"{file}: variable baseflow_index: the attribute {INTERVAL} is '{given}'; it must be a whole number of days, "
        "odd, 3 to 11; correct it.",
    )
    return int(number)


def read_quantiles(
    path: str | os.PathLike[str], grid: Grid, names: tuple[str, ...]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What maps tell of their uncertainty: the quantiles of 10 and 90 % (cell,), by name, of those that tell it.

    Args:
        path: A file on the grid of the domain, as :func:`read_maps` has read it.
        grid: The grid of the domain.
        names: The variables.
    """
    file, found = store.local_path(path, "maps.path"), {}
    with store.open_dataset(file) as dataset:
        for name in names:
            pair = [f"{name}_{part}" for part in ("low", "high")]
            if all(part in dataset for part in pair):
                low, high = (cells_of(dataset[part], part, grid, file, name) for part in pair)
                found[name] = low, high
    return found
