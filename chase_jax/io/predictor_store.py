"""Predictors on a grid, read in blocks of rows, and the maps of signatures made from them.

Any file on (y, x) with the predictors will do, a domain file or not. Those of terrain, soil and plants are worked out
from the maps of the domain where they are not there; those of climate must be there.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain.grid import Grid
from chase_jax.io import domain_store, store
from chase_jax.signatures.attributes import land_predictors
from chase_jax.variables import NO_YES, VARIABLES

LAND = ("mean_altitude", "mean_slope", "mean_clay_fraction", "mean_leaf_area_index")
LAND_SOURCES = ("surface_altitude", "clay_fraction", "leaf_area_index")
MEANINGS = {
    "low": ("10 % quantile of the trees of a forest", None),
    "high": ("90 % quantile of the trees of a forest", None),
    "dissimilarity": ("distance to the nearest training basin over the mean distance between them", "1"),
    "applicable": ("whether the dissimilarity is that of a training basin", "1"),
}


class PredictorGrid:
    """An open file of predictors.

    Attributes:
        path: The file.
        columns: Names of the predictors, in the order in which they are read.
        shape: Number of rows and columns.
        grid: The raster with the cells that are active, or all where the file has no `active`.
    """

    def __init__(self, dataset: xr.Dataset, path: pathlib.Path, columns: Sequence[str]):
        self.path = path
        self.columns = tuple(columns)
        self.grid = domain_store.read_grid(dataset, path)
        self.shape = self.grid.shape
        self._dataset = dataset
        self._made = self._land() if any(name not in dataset for name in LAND if name in columns) else {}
        for name in columns:
            known = name in self._made or name in dataset
            require(known, f"{path}: variable {name}: is missing; a map of signatures needs {', '.join(columns)}.")
            require(
                name in self._made or set(dataset[name].dims) == {"y", "x"},
                f"{path}: variable {name}: must have the axes (y, x); regrid it.",
            )

    def read(self, rows: slice) -> np.ndarray:
        """Predictors (row, x, predictor) of a slice of rows in the units of the table; NaN outside the active cells.

        Raises:
            InputError: If a value is impossible.
        """
        block = np.stack([self._column(name, rows) for name in self.columns], axis=-1)
        if "active" in self._dataset:
            active = self._dataset["active"].transpose("y", "x")[rows].values == 1
            block[~active] = np.nan
        return block

    def _column(self, name: str, rows: slice) -> np.ndarray:
        if name in self._made:
            return self._made[name][rows]
        array = self._dataset[name].transpose("y", "x")[rows]
        if name not in VARIABLES:
            return np.asarray(array.values, dtype=float)
        values = store.canonical(array, name, self.path)
        low = VARIABLES[name].valid_min
        store.check_values(
            np.where(np.isfinite(values), values, low), name, self.path,
            lambda index: self.grid.raster_place(rows.start + index[0], index[1]),
        )  # fmt: skip
        return values

    def _land(self) -> dict[str, np.ndarray]:
        """Predictors of terrain, soil and plants from the maps of the domain, where those are there."""
        fields = {}
        for name in LAND_SOURCES:
            array = store.find(self._dataset, name, self.path)
            if array is None:
                return {}
            axes = ("month", "y", "x") if "month" in array.dims else ("y", "x")
            fields[name] = store.canonical(array.transpose(*axes), name, self.path)
        altitude, clay, leaves = (fields[name] for name in LAND_SOURCES)
        made = land_predictors(altitude, clay, leaves, self.grid.spacing[::-1])
        return {name: values for name, values in made.items() if name not in self._dataset}


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator[PredictorGrid]:
    """Open a file of predictors.

    Args:
        path: A netCDF file or Zarr folder on (y, x).
        columns: Names of the predictors.

    Raises:
        InputError: Names file, variable and what is allowed.
    """
    file = store.local_path(path, "domain.path")
    with store.open_dataset(file) as dataset:
        yield PredictorGrid(dataset, file, columns)


def signature_maps(grid: Grid, found: Mapping[str, np.ndarray], facts: Mapping[str, str]) -> xr.Dataset:
    """A dataset of maps.

    Args:
        grid: The raster.
        found: Maps (y, x) by name, as of :func:`chase_jax.signatures.maps.predict_grid`.
        facts: What should be known of each signature, by name: how it was made.
    """
    dataset = domain_store.frame(grid)
    for name, values in found.items():
        target = next(target for target in facts if name.startswith(target))
        part = name.removeprefix(target).removeprefix("_")
        attrs: dict[str, object] = {**store.attributes(target), "comment": facts[target]}
        if part:
            meaning, units = MEANINGS[part]
            attrs = {"long_name": f"{VARIABLES[target].long_name}: {meaning}", "units": units or attrs["units"]}
        if part == "applicable":
            attrs |= {
                "flag_values": np.array([code for code, _ in NO_YES], values.dtype),
                "flag_meanings": " ".join(word for _, word in NO_YES),
            }
        dataset[name] = (("y", "x"), values, attrs | {"grid_mapping": domain_store.GRID_MAPPING})
    return dataset
