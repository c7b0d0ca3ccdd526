"""Rasters: ASCII grids, GeoTIFF and netCDF maps, other projections, coarser cells, gaps filled from the nearest."""

from __future__ import annotations

import pathlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import scipy.ndimage
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.io import store
from data_prep import rawfiles

ASCII_HEADER = ("ncols", "nrows", "xllcorner", "yllcorner", "cellsize", "nodata_value")
PCRASTER_HEADER = 256  # bytes
EARTH_RADIUS = 6.371e6  # m, of the sphere with the Earth's area


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
    header = ascii_header(path)
    rows, columns, size = int(header["nrows"]), int(header["ncols"]), header["cellsize"]
    west, south, missing = header["xllcorner"], header["yllcorner"], header["nodata_value"]
    values = rawfiles.read_numbers(path, len(ASCII_HEADER))
    require(
        values.shape == (rows, columns), f"{path}: holds {values.shape} values, but its header says {rows, columns}."
    )
    x = west + (np.arange(columns) + 0.5) * size
    y = south + (rows - np.arange(rows) - 0.5) * size
    return AsciiGrid(np.where(values == missing, np.nan, values), x, y, size)


def ascii_header(path: pathlib.Path) -> dict[str, float]:
    """The header of an ESRI ASCII grid, its keys in small letters.

    Raises:
        InputError: If the file is missing or its header is not complete.
    """
    rawfiles.require_file(path)
    try:
        with path.open(encoding="ascii") as stream:
            lines = [stream.readline().split() for _ in ASCII_HEADER]
        header = {line[0].lower(): float(line[1]) for line in lines if len(line) == 2}
    except (OSError, ValueError):
        header = {}
    lacking = [key for key in ASCII_HEADER if key not in header]
    require(not lacking, f"{path}: the header lacks {', '.join(lacking)}; an ESRI ASCII grid has six header lines.")
    return header


def blocks(values: np.ndarray, factor: int) -> np.ndarray:
    """The fine cells of every coarse cell, (row, column, fine cell). Argument: values (fine row, fine column)."""
    rows, columns = values.shape[0] // factor, values.shape[1] // factor
    parts = values[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return parts.transpose(0, 2, 1, 3).reshape(rows, columns, factor * factor)


def padded(values: np.ndarray, factor: int, fill: float) -> np.ndarray:
    """Values (row, column) with rows and columns of `fill` added at the end, to multiples of `factor`."""
    rows, columns = (-size % factor for size in values.shape)
    return np.pad(values, ((0, rows), (0, columns)), constant_values=fill)


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


def means_of(values: np.ndarray, block: np.ndarray, cells: int) -> np.ndarray:
    """Mean (..., cell) of the known source cells in every cell of a coarser grid, NaN where there is none.

    Args:
        values (..., row, column): Values of the source, NaN where missing.
        block (source cell,): Flat index of the coarser cell of every source cell.
        cells: Number of coarser cells.
    """
    flat = values.reshape(-1, block.size)
    result = np.full((len(flat), cells), np.nan)
    for number, layer in enumerate(flat):
        known = np.isfinite(layer)
        count = np.bincount(block[known], minlength=cells)
        total = np.bincount(block[known], layer[known], cells)
        result[number] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result.reshape(*values.shape[:-2], cells)


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
    """Missing values of the last two axes taken from the nearest cell, in rows and columns, that has all.

    Args:
        values (..., row, column): Values; a cell counts as missing if it is NaN at any place of the other axes.

    Raises:
        InputError: If no cell is valid.
    """
    missing = ~np.isfinite(values).all(axis=tuple(range(values.ndim - 2)))
    require(not missing.all(), "Argument `values` must have a valid cell, but all are NaN.")
    if not missing.any():
        return values
    nearest = scipy.ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    return values[(..., *nearest)]


@dataclass(frozen=True)
class Raster:
    """One band of a raster file.

    Attributes:
        values (row, column): Values, NaN where missing; the first row is the northernmost.
        x (column,): Easting or longitude of the cell centers, m or degree.
        y (row,): Northing or latitude of the cell centers, m or degree, falling.
        transform: Affine transform from columns and rows to x and y.
        crs: The projection as the file tells it, empty if it does not.
        units: The unit as the file tells it, empty if it does not.
    """

    values: np.ndarray
    x: np.ndarray
    y: np.ndarray
    transform: Any
    crs: str
    units: str = ""


def read_geotiff(path: pathlib.Path, band: int = 1, part: tuple[slice, slice] | None = None) -> Raster:
    """Read a band of a raster that GDAL knows (GeoTIFF, PCRaster map), with scale and offset applied.

    Args:
        path: The file.
        band: Number of the band, from 1.
        part: Rows and columns that are read, with a start and a stop each; all if None.

    Raises:
        InputError: If the file is missing, cannot be read, or its rows do not run from north to south.
    """
    import rasterio
    import rasterio.windows
    from affine import Affine

    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    try:
        with warnings.catch_warnings(), rasterio.open(path) as file:
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            window = None if part is None else rasterio.windows.Window.from_slices(*part)
            if file.driver == "PCRaster":  # GDAL reads zeros beyond the end of such a file
                whole = PCRASTER_HEADER + file.width * file.height * np.dtype(file.dtypes[band - 1]).itemsize
                size = path.stat().st_size
                require(size >= whole, f"{path}: is cut off, {whole - size} bytes are missing; get the file again.")
            stored = file.read(band, masked=True, window=window)
            scale, offset = file.scales[band - 1], file.offsets[band - 1]
            down, right = (0, 0) if part is None else (part[0].start, part[1].start)
            a, b, c, d, e, f = file.transform[:6]
            transform = Affine(a, b, c + a * right, d, e, f + e * down)
            crs = file.crs.to_string() if file.crs else ""
            told = file.units[band - 1] or ""
    except (rasterio.errors.RasterioError, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a raster ({str(error).splitlines()[0]}).") from None
    values = np.ma.filled(stored.astype(float), np.nan) * scale + offset
    y, x = _axes(path, transform, values.shape)
    return Raster(values, x, y, transform, crs, told)


def geotiff_axes(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Northing or latitude (row,), falling, and easting or longitude (column,) of the centers of a raster's cells.

    Args:
        path: The file.

    Raises:
        InputError: If the file is missing, cannot be read, or its rows do not run from north to south.
    """
    transform, shape, _ = _header(path)
    return _axes(path, transform, shape)


def geotiff_projection(path: pathlib.Path) -> str:
    """The projection that a raster tells, empty if it does not. Argument: path, the file."""
    return _header(path)[2]


def _header(path):
    """Transform, shape and projection of a raster."""
    import rasterio

    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    try:
        with warnings.catch_warnings(), rasterio.open(path) as file:
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            return file.transform, file.shape, file.crs.to_string() if file.crs else ""
    except rasterio.errors.RasterioError as error:
        raise InputError(f"{path}: cannot be read as a raster ({str(error).splitlines()[0]}).") from None


def _axes(path, transform, shape):
    """Centers of rows and columns."""
    require(
        transform.e < 0 < transform.a and transform.b == transform.d == 0,
        f"{path}: rows must run from north to south and columns from west to east; warp the raster first.",
    )
    return (
        transform.f + (np.arange(shape[0]) + 0.5) * transform.e, transform.c + (np.arange(shape[1]) + 0.5) * transform.a
    )  # fmt: skip


def open_netcdf(path: pathlib.Path) -> xr.Dataset:
    """A netCDF file of raw data.

    Raises:
        InputError: If it is missing or cannot be read.
    """
    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    return store.open_dataset(path)


def read_netcdf(path: pathlib.Path, variable: str, shape: tuple[int, int], unit: str = "") -> np.ndarray:
    """A map (row, column) of a netCDF file, NaN where missing, the first row northernmost.

    Args:
        path: The file.
        variable: Name of the variable.
        shape: Rows and columns it must have.
        unit: Unit that the file must tell; none if empty.

    Raises:
        InputError: If file or variable is missing or cannot be read, or the shape or the unit is another.
    """
    array = rawfiles.read_variables(path, {variable: unit})[variable]
    require(array.shape == shape, f"{path}: variable {variable}: must have {shape} cells, but has {array.shape}.")
    rising = bool(array[array.dims[0]][0] < array[array.dims[0]][-1]) if array.dims[0] in array.coords else False
    values = array.values.astype(float)
    return values[::-1] if rising else values


def read_around(path: pathlib.Path, x: np.ndarray, y: np.ndarray, size: float, crs: str) -> Raster | None:
    """The part of a raster that lies about a grid in another projection, with a cell more on each side; None if none.

    Args:
        path: The file.
        x (column,): Easting of the cell centers, m, rising.
        y (row,): Northing of the cell centers, m, falling.
        size: Width of a cell, m.
        crs: The projection in any form that PROJ reads.

    Raises:
        InputError: If the file is missing, cannot be read or does not tell its projection.
    """
    own, (down, right) = geotiff_projection(path), geotiff_axes(path)
    require(bool(own), f"{path}: does not tell its projection; warp or label it first.")
    change = pyproj.Transformer.from_crs(crs, own, always_xy=True)
    west, south, east, north = change.transform_bounds(
        x[0] - size, y[-1] - size, x[-1] + size, y[0] + size, densify_pts=101
    )
    if west > east:  # over the line of dates
        west, east = float(right[0]), float(right[-1])
    rows, columns = _around(down, south, north), _around(right, west, east)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    return read_geotiff(path, part=(rows, columns))


def _around(axis: np.ndarray, low: float, high: float) -> slice:
    """The part of an axis between two places, with a point more on each side."""
    inside = np.flatnonzero((axis >= low - abs(axis[1] - axis[0])) & (axis <= high + abs(axis[1] - axis[0])))
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


def warp(
    values: np.ndarray, source: Raster, x: np.ndarray, y: np.ndarray, crs: str, method: str, size: float | None = None
) -> np.ndarray:
    """Values (row, column) on a grid in another projection, NaN where the source does not reach.

    GDAL interpolates the places of the cells between some of them, to an eighth of a source cell.

    Args:
        values (source row, source column): What is brought there, NaN where missing.
        source: The raster that tells where the values are.
        x (column,): Easting of the cell centers, m, rising.
        y (row,): Northing of the cell centers, m, falling.
        crs: The projection in any form that PROJ reads.
        method: A way of resampling of GDAL, such as "bilinear", "nearest" or "average".
        size: Width of a cell, m; the distance of the first two centers on each axis if None.
    """
    import rasterio.warp
    from affine import Affine

    wide, high = (x[1] - x[0], y[0] - y[1]) if size is None else (size, size)
    target = Affine(wide, 0.0, x[0] - wide / 2, 0.0, -high, y[0] + high / 2)
    result = np.full((len(y), len(x)), np.nan)
    rasterio.warp.reproject(
        np.asarray(values, float), result, src_transform=source.transform, src_crs=source.crs, src_nodata=np.nan,
        dst_transform=target, dst_crs=crs, dst_nodata=np.nan, resampling=rasterio.warp.Resampling[method],
    )  # fmt: skip
    return result


def pixel_area(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Area (row, column) of the pixels of a map in degrees on the sphere, m2. Arguments: its axes, degree."""
    step = np.deg2rad([abs(latitude[0] - latitude[1]), longitude[1] - longitude[0]])
    return EARTH_RADIUS**2 * step[0] * step[1] * np.cos(np.deg2rad(latitude))[:, None] * np.ones(longitude.size)
