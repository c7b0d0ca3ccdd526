"""The calibrated parameters: maps on the grid of the domain."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

import numpy as np

from chase_jax.checks import require
from chase_jax.domain.grid import Grid
from chase_jax.io import store
from chase_jax.io.domain_store import cells_of, frame, map_of, require_same_grid
from chase_jax.physics import runoff
from chase_jax.variables import CALIBRATED, VARIABLES


def read_parameters(path: str | os.PathLike[str], grid: Grid, dcor_form: str) -> dict[str, np.ndarray]:
    """Read the maps of a parameter file at the cells of the domain.

    Args:
        path: A file on the grid of the domain with any of the parameters in the table of variables.
        grid: The grid of the domain.
        dcor_form: The configured definition of `dcor`, D1 to D5, which the file must agree with.

    Returns:
        (cell,) values by name, of those the file holds.

    Raises:
        InputError: Names file, variable, cell, value and what is allowed.
    """
    file = store.local_path(path, "parameters.path")
    with store.open_dataset(file) as dataset:
        require_same_grid(dataset, grid, file, "parameters")
        found = {}
        for name in CALIBRATED:
            array = store.find(dataset, name, file)
            if array is None:
                continue
            values = cells_of(array, name, grid, file)
            if name == "dcor":
                form = str(array.attrs.get("dcor_form", "missing"))
                require(
                    form == dcor_form,
                    f"{file}: variable dcor: the attribute dcor_form is {form}, but the configuration says "
                    f"{dcor_form}; set `physics.dcor_form` to that of the file, or calibrate again.",
                )
            store.check_values(values, name, file, lambda index: grid.place(index[-1]), *_range(name, dcor_form))
            found[name] = values
        require(
            bool(found), f"{file}: holds none of {', '.join(CALIBRATED)}; add one or leave `parameters.path` empty."
        )
    return found


def within_range(values: Mapping[str, np.ndarray], dcor_form: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Values that :func:`read_parameters` accepts: a factor found on top of one given may lead beyond them.

    Args:
        values: (cell,) values by name, in the units of the table.
        dcor_form: The definition of `dcor` the values hold for.

    Returns:
        The values, the nearest ones where they were beyond, and a line for each parameter of which some were.
    """
    kept, told = {}, []
    for name, value in values.items():
        low, high = _range(name, dcor_form)
        kept[name] = np.clip(value, low, high)
        moved = int((kept[name] != value).sum())
        if moved:
            told.append(f"{name}: beyond {low:g} to {high:g} in {moved} cells, where the nearest value is written")
    return kept, told


def _range(name: str, dcor_form: str) -> tuple[float, float]:
    """The smallest and the largest value that a file may hold, in the unit of the table."""
    return runoff.RANGE[dcor_form] if name == "dcor" else (VARIABLES[name].valid_min, VARIABLES[name].valid_max)


def write_parameters(
    path: str | os.PathLike[str], values: Mapping[str, np.ndarray], grid: Grid, dcor_form: str,
    title: str = "Parameters of chase_jax",
) -> None:  # fmt: skip
    """Write a parameter file.

    Args:
        path: A name that ends in .nc or .zarr.
        values: (cell,) values by name, in the units of the table.
        grid: The grid of the domain.
        dcor_form: The definition of `dcor` the values hold for.
        title: The title of the file.
    """
    dataset = frame(grid)
    for name, value in values.items():
        dataset[name] = map_of(grid, value)
        if name == "dcor":
            dataset[name].attrs["dcor_form"] = dcor_form
    store.write_dataset(dataset, pathlib.Path(path), title)
