"""Polygons of shapefiles and GeoPackages, in the projection they are wanted in, and on a grid."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chase_jax.checks import InputError, require

Region = tuple[float, float, float, float]
STRIP = 256  # rows of cells that are covered at once


def read_polygons(
    path: pathlib.Path, crs: str | None = None, region: Region | None = None
) -> tuple[list[Any], pd.DataFrame]:
    """Polygons and their attributes from a file that GDAL knows.

    Args:
        path: A shapefile, GeoPackage or the like.
        crs: The projection that the polygons are wanted in, any form that PROJ reads; that of the file if None.
        region: South, north, west and east edge, degree; polygons beyond are not read. There may be none within.

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
        box = None
        if region is not None and (own := pyogrio.read_info(path)["crs"]):
            south, north, west, east = region
            box = pyproj.Transformer.from_crs(4326, own, always_xy=True).transform_bounds(west, south, east, north)
        meta, _, geometry, columns = pyogrio.raw.read(path, bbox=box)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
        raise InputError(f"{path}: cannot be read as polygons ({str(error).splitlines()[0]}).") from None
    shapes = shapely.from_wkb(geometry) if geometry is not None else np.array([])
    kinds = {shape.geom_type for shape in shapes if shape is not None}
    wanted = bool(kinds or box) and kinds <= {"Polygon", "MultiPolygon"}
    require(wanted, f"{path}: must hold polygons, but holds {', '.join(sorted(kinds)) or 'nothing'}.")
    shapes = shapely.force_2d(shapes)
    if crs is not None:
        require(bool(meta["crs"]), f"{path}: does not tell its projection; add the file that ends in .prj.")
        change = pyproj.Transformer.from_crs(meta["crs"], crs, always_xy=True)
        shapes = shapely.transform(shapes, lambda points: np.stack(change.transform(*points.T), axis=1))
    return list(shapes), pd.DataFrame(dict(zip(meta["fields"], columns, strict=True)))


@dataclass(frozen=True)
class Lakes:
    """Lakes of HydroLAKES.

    Attributes:
        polygons: One per lake, in the projection asked for.
        number (lake,): Identifier.
        area (lake,): Of the whole lake, m2.
        mean_depth (lake,): m.
        volume (lake,): m3.
        altitude (lake,): Of its surface, m.
        outlet_longitude, outlet_latitude (lake,): Pour point, degree.
    """

    polygons: list[Any]
    number: np.ndarray
    area: np.ndarray
    mean_depth: np.ndarray
    volume: np.ndarray
    altitude: np.ndarray
    outlet_longitude: np.ndarray
    outlet_latitude: np.ndarray


def read_lakes(path: pathlib.Path, crs: str, region: Region | None = None) -> Lakes:
    """Lakes of HydroLAKES; a part of its polygons in any format, with its fields.

    Areas are given in km2, volumes in millions of m3, depths and altitudes in m; such files do not tell units, so areas
    are compared with the polygons, and volumes with areas and depths.

    Args:
        path: A shapefile, GeoPackage or the like.
        crs: The projection that the polygons are wanted in, equal-area.
        region: South, north, west and east edge, degree; polygons beyond are not read.

    Raises:
        InputError: As :func:`read_polygons`; or if a field is missing or seems to be in another unit.

    Source:
        messager2016.
    """
    polygons, table = read_polygons(path, crs, region)
    names = ("Hylak_id", "Lake_area", "Depth_avg", "Vol_total", "Elevation", "Pour_long", "Pour_lat")
    values = {name: _field(path, table, (name,)) for name in names}
    _require_area(path, "Lake_area", polygons, values["Lake_area"])
    believed = (values["Depth_avg"] > 0) & (values["Vol_total"] > 0)
    if believed.any():
        ratio = np.median((values["Vol_total"] / values["Lake_area"] / values["Depth_avg"])[believed])
        told = f"{path}: field Vol_total: must be in millions of m3, but is {ratio:.3g} times Lake_area times Depth_avg"
        require(0.5 < ratio < 2.0, f"{told} (km2, m).")
    return Lakes(
        polygons, values["Hylak_id"].astype(int), values["Lake_area"] * 1e6, values["Depth_avg"],
        values["Vol_total"] * 1e6, values["Elevation"], values["Pour_long"], values["Pour_lat"],
    )  # fmt: skip


@dataclass(frozen=True)
class Glaciers:
    """Outlines of the Randolph Glacier Inventory.

    Attributes:
        polygons: One per glacier, in the projection asked for.
        identifier (glacier,): Such as RGI60-13.12345 or RGI2000-v7.0-G-13-12345.
        area (glacier,): m2.
        lowest, middle, highest (glacier,): Altitudes: lowest, median and highest, m, NaN where unknown.
    """

    polygons: list[Any]
    identifier: np.ndarray
    area: np.ndarray
    lowest: np.ndarray
    middle: np.ndarray
    highest: np.ndarray


def read_glaciers(path: pathlib.Path, crs: str, region: Region | None = None) -> Glaciers:
    """Outlines of the Randolph Glacier Inventory with the fields of version 6 or 7; areas are given in km2.

    Args:
        path: A shapefile, GeoPackage or the like.
        crs: The projection that the polygons are wanted in, equal-area.
        region: South, north, west and east edge, degree; polygons beyond are not read.

    Raises:
        InputError: As :func:`read_polygons`; or if a field is missing or areas seem to be in another unit.
    """
    polygons, table = read_polygons(path, crs, region)
    names = (("rgi_id", "RGIId"), ("area_km2", "Area"), ("zmin_m", "Zmin"), ("zmed_m", "Zmed"), ("zmax_m", "Zmax"))
    own = next((name for name in names[0] if name in table), None)
    held = ", ".join(map(str, table.columns)) or "nothing"
    require(own is not None, f"{path}: field {' or '.join(names[0])}: is missing; the file holds {held}.")
    area, *altitudes = (_field(path, table, choice) for choice in names[1:])
    _require_area(path, "area", polygons, area)
    known = [np.where(values > -500.0, values, np.nan) for values in altitudes]  # -999 stands for missing
    return Glaciers(polygons, table[own].to_numpy(str), area * 1e6, *known)


def _field(path: pathlib.Path, table: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """Numbers of the first field of these names that the table has."""
    name = next((name for name in names if name in table), None)
    held = ", ".join(map(str, table.columns)) or "nothing"
    require(name is not None, f"{path}: field {' or '.join(names)}: is missing; the file holds {held}.")
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
    require(bool(np.isfinite(numbers).all()), f"{path}: field {name}: must hold numbers, but does not everywhere.")
    return numbers


def _require_area(path: pathlib.Path, name: str, polygons: list[Any], area: np.ndarray) -> None:
    """Require areas told in km2 to be those of the polygons, in the middle."""
    if not polygons:
        return
    drawn = np.array([polygon.area for polygon in polygons]) / 1e6
    ratio = float(np.median(area / np.maximum(drawn, 1e-12)))
    told = f"{path}: field {name}: must be in km2, but is {ratio:.3g} times the area of the polygons in km2"
    require(0.5 < ratio < 2.0, f"{told}; convert it, or give an equal-area projection.")


def coverage(polygons: list[Any], x: np.ndarray, y: np.ndarray, parts: int = 10) -> np.ndarray:
    """Part of every cell that lies within polygons, 1, counted on a grid of finer cells.

    Args:
        polygons: Polygons of shapely in the projection of the grid.
        x (column,): Easting of the cell centers, m, rising.
        y (row,): Northing of the cell centers, m, falling.
        parts: Finer cells per cell in each direction.
    """
    size = float(x[1] - x[0])
    strips = [y[start : start + STRIP] for start in range(0, len(y), STRIP)]
    return np.concatenate([coverage_of_cells(polygons, x, strip, size, parts) for strip in strips])


def coverage_of_cells(polygons: list[Any], x: np.ndarray, y: np.ndarray, size: float, parts: int = 10) -> np.ndarray:
    """As :func:`coverage`, for square cells of a given width, m, of which there may be one row or column."""
    return _burnt(polygons, x, y, size, parts).reshape(len(y), parts, len(x), parts).mean(axis=(1, 3))


def _burnt(polygons: list[Any], x: np.ndarray, y: np.ndarray, size: float, parts: int) -> np.ndarray:
    """Whether the center of every finer cell lies within a polygon (finer row, finer column)."""
    import rasterio.features
    from affine import Affine

    if not polygons:
        return np.zeros((len(y) * parts, len(x) * parts), bool)
    transform = Affine(size / parts, 0.0, x[0] - size / 2, 0.0, -size / parts, y[0] + size / 2)
    shape = (len(y) * parts, len(x) * parts)
    return rasterio.features.geometry_mask(polygons, shape, transform, invert=True)
