"""Gauges of a region: moved to the cells of their rivers, screened by their records, written."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import pyproj

from chase_jax.checks import InputError
from chase_jax.domain.grid import Grid
from chase_jax.io import gauge_store, inputs, store
from data_prep import hydrography, screening
from data_prep.place import Place, Wishes

GAUGES = "gauges.csv"
FARTHEST_SNAP = 2  # cells, that a gauge is moved at most


def write(
    source: pathlib.Path,
    target: pathlib.Path,
    place: Place,
    coarse: hydrography.Upscaled,
    fields: Mapping[str, np.ndarray],
    wishes: Wishes,
) -> tuple[dict[str, pathlib.Path], list[str]]:
    """Write the gauges of a folder that stand the screening, and what they measured; a line on each.

    Args:
        source: The folder of the sources, with gauges.csv.
        target: Folder to write to; it is made if need be.
        place: The grid.
        coarse: The drainage.
        fields: Maps of the domain.
        wishes: What is asked for.

    Returns:
        Path of every file by its role, and the lines.
    """
    grid, active, paths = place.grid, fields["active"], {}
    receiver = hydrography.receivers(fields["flow_direction"])
    upstream = hydrography.accumulate(receiver, np.where(active, grid.size**2, 0.0).ravel()).reshape(grid.shape)
    rows, lines = snap_gauges(source / GAUGES, place, coarse, upstream)
    target.mkdir(parents=True, exist_ok=True)
    if (source / screening.OBSERVED).is_file():
        whole = Grid(grid.x, grid.y, pyproj.CRS.from_user_input(grid.crs).to_cf())
        network = screening.Network(whole, active, receiver, upstream * active)
        period = wishes.record_start, wishes.record_end
        found = screening.of_folder(source, rows, network, period, wishes.least_years)
        lines += found.told
        store.write_text(found.table.to_csv(index=False, float_format="%.6g"), target / screening.TABLE)
        rows = [row for row, kept in zip(rows, found.table.kept, strict=True) if kept]
        if found.observed is not None:
            paths["observations"] = target / screening.OBSERVED
            store.write_dataset(found.observed, paths["observations"], "Gauges of natural flow")
    if rows:
        paths["gauges"] = target / GAUGES
        inputs.write_gauges(paths["gauges"], rows)
    else:
        (target / GAUGES).unlink(missing_ok=True)  # of an earlier time
    return paths, lines


def snap_gauges(
    path: pathlib.Path, place: Place, coarse: hydrography.Upscaled, upstream: np.ndarray
) -> tuple[list[dict[str, object]], list[str]]:
    """Gauges moved to the cell near them whose area is nearest to theirs, and a line on each.

    Args:
        path: A table gauge_id, x, y (or lon, lat), area_km2, name.
        place: The grid.
        coarse: The drainage.
        upstream (row, column): Area that drains through a cell, m2.
    """
    rows, columns = np.nonzero(coarse.active)
    x, y = place.grid.x, place.grid.y
    packed = Grid(x, y, pyproj.CRS.from_user_input(place.grid.crs).to_cf(), rows, columns)
    gauges = gauge_store.read_gauges(path, packed)
    found, lines = [], []
    for own, name, cell, area in zip(gauges.gauge_id, gauges.name, gauges.cell, gauges.area, strict=True):
        row, column = int(rows[cell]), int(columns[cell])
        if np.isfinite(area):
            try:
                row, column = hydrography.snap(upstream * coarse.active, row, column, float(area), FARTHEST_SNAP)
            except InputError as error:
                raise InputError(f"{path}: gauge {own}: {error}") from None
        told = upstream[row, column] / 1e6
        against = f", stated {area / 1e6:.0f} km2 ({told * 1e6 / area - 1.0:+.1%})" if np.isfinite(area) else ""
        fine = place.land.exit_upstream
        pixel = f", {place.grid.fine.provider} {fine[row, column]:.0f} km2" if fine is not None else ""
        lines.append(f"gauge {own}: {told:.0f} km2{against}{pixel}")
        stated = area / 1e6 if np.isfinite(area) else told
        found.append({"gauge_id": own, "x": x[column], "y": y[row], "area_km2": stated, "name": name})
    return found, lines
