"""Polygons of shapefiles and GeoPackages, in the projection they are wanted in, and on a grid."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd

from chase_jax.checks import InputError, require


def read_polygons(path: pathlib.Path, crs: str | None = None) -> tuple[list[Any], pd.DataFrame]:
    """Polygons and their attributes from a file that GDAL knows.

    Args:
        path: A shapefile, GeoPackage or the like.
        crs: The projection that the polygons are wanted in, any form that PROJ reads; that of the file if None.

    Returns:
        Polygons of shapely, one per feature, and the table of their attributes.

    Raises:
        InputError: If the file is missing, cannot be read, holds no polygons, or does not tell the projection it is in
            where another is wanted.
    """
    import pyogrio
    import pyproj
    import shapely

    require(path.is_file(), f"{path}: is missing; check `data.root`.")
    try:
        meta, _, geometry, columns = pyogrio.raw.read(path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
        raise InputError(f"{path}: cannot be read as polygons ({str(error).splitlines()[0]}).") from None
    shapes = shapely.from_wkb(geometry) if geometry is not None else np.array([])
    kinds = {shape.geom_type for shape in shapes if shape is not None}
    wanted = bool(kinds) and kinds <= {"Polygon", "MultiPolygon"}
    require(wanted, f"{path}: must hold polygons, but holds {', '.join(sorted(kinds)) or 'nothing'}.")
    shapes = shapely.force_2d(shapes)
    if crs is not None:
        require(bool(meta["crs"]), f"{path}: does not tell its projection; add the file that ends in .prj.")
        change = pyproj.Transformer.from_crs(meta["crs"], crs, always_xy=True)
        shapes = shapely.transform(shapes, lambda points: np.stack(change.transform(*points.T), axis=1))
    return list(shapes), pd.DataFrame(dict(zip(meta["fields"], columns, strict=True)))


def coverage(polygons: list[Any], x: np.ndarray, y: np.ndarray, parts: int = 10) -> np.ndarray:
    """Part of every cell that lies within polygons, 1, counted on a grid of finer cells.

    Args:
        polygons: Polygons of shapely in the projection of the grid.
        x (column,): Easting of the cell centers, m, rising.
        y (row,): Northing of the cell centers, m, falling.
        parts: Finer cells per cell in each direction.
    """
    return _burnt(polygons, x, y, parts).reshape(len(y), parts, len(x), parts).mean(axis=(1, 3))


def _burnt(polygons: list[Any], x: np.ndarray, y: np.ndarray, parts: int) -> np.ndarray:
    """Whether the center of every finer cell lies within a polygon (finer row, finer column)."""
    import rasterio.features
    from affine import Affine

    wide, high = x[1] - x[0], y[0] - y[1]
    transform = Affine(wide / parts, 0.0, x[0] - wide / 2, 0.0, -high / parts, y[0] + high / 2)
    shape = (len(y) * parts, len(x) * parts)
    return rasterio.features.geometry_mask(polygons, shape, transform, invert=True)
