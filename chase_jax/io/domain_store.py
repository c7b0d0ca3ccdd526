"""The domain file: maps on a projected grid, read, checked and turned into a domain.

The coordinates say which way a file is turned; flow directions are compass directions and hold either way.
"""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pyproj
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.domain.domain import Domain
from chase_jax.domain.grid import Grid
from chase_jax.io import store
from chase_jax.variables import DOMAIN_OPTIONAL, DOMAIN_REQUIRED, VARIABLES

GRID_MAPPING = "crs"
ALIGNED = 0.01  # 1, of the width of a cell by which coordinates of one grid may differ
METRES = ("m", "metre", "meter", "metres", "meters")


def open_domain(path: str | os.PathLike[str]) -> Domain:
    """Read a domain file, check it and build the domain.

    Args:
        path: A netCDF file or Zarr folder as the README describes.

    Raises:
        InputError: Names file, variable, cell, value and what is allowed.
    """
    file = store.local_path(path, "domain.path")
    fields, grid = read_fields(file)
    try:
        return Domain.build(fields, grid)
    except InputError as error:
        advice = "correct the data, its `units` or its _FillValue"
        raise InputError(f"{file}: {str(error).rstrip('.')}; {advice}.") from None


def read_grid(dataset: xr.Dataset, path: pathlib.Path) -> Grid:
    """The raster of a file with every cell packed, row by row.

    Raises:
        InputError: If axes or projection are missing, geographic or uneven.
    """
    for axis in ("x", "y"):
        require(
            axis in dataset.coords and dataset[axis].ndim == 1,
            f"{path}: coordinate {axis}: is missing; give the projected coordinates of the cell centres, in m.",
        )
        unit = str(dataset[axis].attrs.get("units", "")) or "missing"
        require(
            unit in METRES,
            f"{path}: coordinate {axis}: the unit is {unit}; allowed is m; project the grid (LAEA) first.",
        )
    projection = read_projection(dataset, path)
    try:
        grid = Grid(dataset.x.values, dataset.y.values, projection)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    wide, high = grid.spacing
    require(
        min(grid.shape) == 1 or abs(wide - high) < 1e-3 * wide,
        f"{path}: coordinates x, y: cells are {wide:g} m wide and {high:g} m high; "
        "they must be square; regrid the file.",
    )
    return grid


def require_same_grid(dataset: xr.Dataset, grid: Grid, path: pathlib.Path, what: str) -> None:
    """Require a file to be on the grid of the domain.

    Args:
        dataset: The open file.
        grid: The grid of the domain.
        path: The file, for the message.
        what: What it holds, for the message.

    Raises:
        InputError: If it is not.
    """
    there = read_grid(dataset, path)
    require(
        there.shape == grid.shape,
        f"{path}: coordinates x, y: the grid {there.shape} is not that of the domain {grid.shape}; "
        f"regrid the {what} onto the cells of the domain.",
    )
    for name, own, wanted, width in zip("xy", (there.x, there.y), (grid.x, grid.y), grid.spacing, strict=True):
        allowed = ALIGNED * width
        off = float(np.abs(own - wanted).max())
        require(
            off <= allowed or np.abs(own[::-1] - wanted).max() > allowed,
            f"{path}: coordinate {name}: runs the other way than that of the domain, from {own[0]:.10g} to "
            f"{own[-1]:.10g} m; reverse the axis with all {what}.",
        )
        require(
            off <= allowed,
            f"{path}: coordinate {name}: is not that of the domain but up to {off:.10g} m off, of cells {width:.10g} m "
            f"wide; regrid the {what} onto the cells of the domain.",
        )


def cells_of(array: xr.DataArray, name: str, grid: Grid, path: pathlib.Path, quantity: str | None = None) -> np.ndarray:
    """The values (cell,) of a map in the unit of the table, NaN where it has none.

    Args:
        array: The map, on the grid of the domain.
        name: The variable.
        grid: The grid of the domain.
        path: The file, for the message.
        quantity: The variable whose unit it has; None for that of its name.

    Raises:
        InputError: If its axes or its unit are others.
    """
    require(
        set(array.dims) == {"y", "x"},
        f"{path}: variable {name}: has the axes ({', '.join(map(str, array.dims))}); needed are (y, x).",
    )
    return grid.pack(store.canonical(array.transpose("y", "x"), name, path, quantity))


def read_projection(dataset: xr.Dataset, path: pathlib.Path) -> dict[str, object]:
    """The attributes of the grid mapping of a file.

    Raises:
        InputError: If there is none, it is unreadable, or it is not a projection in metres.
    """
    names = {
        str(a.attrs.get("grid_mapping") or a.encoding.get("grid_mapping") or "") for a in dataset.data_vars.values()
    }
    names = {name for name in names if name and name in dataset.variables}
    names = names or {
        str(k) for k, a in dataset.variables.items() if "grid_mapping_name" in a.attrs or "crs_wkt" in a.attrs
    }
    require(
        len(names) == 1,
        f"{path}: grid_mapping: {'several' if names else 'no'} projections are declared; "
        "name one variable with the CF attributes of the projection (or `crs_wkt`) in `grid_mapping`.",
    )
    attrs = dict(dataset.variables[names.pop()].attrs)
    try:
        crs = pyproj.CRS.from_cf(attrs)
    except (pyproj.exceptions.CRSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: grid_mapping: is not understood ({str(error).splitlines()[0]}); correct it."
        ) from None
    require(
        crs.is_projected,
        f"{path}: grid_mapping: the coordinate system is '{crs.name}', which is not a projection; "
        "allowed is an equal-area projection in metres; project the grid (LAEA) first.",
    )
    return attrs


def read_fields(path: pathlib.Path) -> tuple[dict[str, np.ndarray], Grid]:
    """Every map of a domain file that the model knows, as float64 in the units of the table.

    Raises:
        InputError: Names file, variable and what is allowed, where axes or units are wrong or a needed map is missing.
    """
    with store.open_dataset(path) as dataset:
        grid = read_grid(dataset, path)
        fields: dict[str, np.ndarray] = {}
        for name in (*DOMAIN_REQUIRED, *DOMAIN_OPTIONAL):
            array = store.find(dataset, name, path)
            if array is None:
                require(name not in DOMAIN_REQUIRED, _missing(dataset, name, path))
                continue
            axes = ("month", "y", "x") if VARIABLES[name].dims[0] == "month" else ("y", "x")
            require(
                set(array.dims) == set(axes) and (axes[0] != "month" or array.sizes["month"] == 12),
                f"{path}: variable {name}: has the axes {dict(array.sizes)}; "
                f"allowed are ({', '.join(axes)}){' with 12 months' if len(axes) == 3 else ''}; regrid it.",
            )
            fields[name] = store.canonical(array.transpose(*axes), name, path)
    for name in {"lake_index", "lake_patch"} & set(fields):  # outside lakes a file may have no value
        fields[name] = np.nan_to_num(fields[name], nan=0.0)
    return fields, grid


def _missing(dataset: xr.Dataset, name: str, path: pathlib.Path) -> str:
    held = ", ".join(map(str, dataset.data_vars)) or "nothing"
    return f"{path}: variable {name}: is missing; the file holds {held}; add {name} ({VARIABLES[name].long_name})."


def frame(grid: Grid) -> xr.Dataset:
    """An empty dataset with the coordinates and the grid mapping of a grid."""
    dataset = xr.Dataset(
        coords={
            "x": ("x", grid.x, {"standard_name": "projection_x_coordinate", "units": "m", "axis": "X"}),
            "y": ("y", grid.y, {"standard_name": "projection_y_coordinate", "units": "m", "axis": "Y"}),
        }
    )
    dataset[GRID_MAPPING] = xr.DataArray(np.int32(0), attrs=grid.projection)
    return dataset


def map_of(grid: Grid, values: np.ndarray) -> xr.DataArray:
    """A map (..., y, x) of packed values (..., cell), bound to the grid mapping; leading axes are the caller's."""
    raster = grid.unpack(np.asarray(values, dtype=float))
    axes = ("layer", "y", "x") if raster.ndim == 3 else ("y", "x")
    return xr.DataArray(raster, dims=axes, attrs={"grid_mapping": GRID_MAPPING})
