"""What the basins of gauges are like: means of the predictors of a domain over all that drains to a gauge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain.domain import Domain
from chase_jax.io.gauge_store import Gauges

PREDICTORS = (
    "mean_precipitation", "mean_air_temperature", "aridity_index", "mean_specific_humidity",
    "mean_potential_evapotranspiration", "mean_altitude", "mean_slope", "mean_clay_fraction", "mean_leaf_area_index",
)  # fmt: skip


def basin_means(maps: xr.Dataset, domain: Domain, gauges: Gauges) -> pd.DataFrame:
    """Means of the predictors over the basin of every gauge, weighted by area; aridity is that of the mean climate.

    Args:
        maps: A domain file's content; predictors that it lacks are left out.
        domain: The domain built from it.
        gauges: Gauges.

    Returns:
        A row per gauge: gauge_id, basin_area_km2, and the predictors in the units of the table of variables.

    Raises:
        InputError: If the maps are not those of the domain.
    """
    require(
        maps.sizes["y"] == domain.grid.shape[0] and maps.sizes["x"] == domain.grid.shape[1],
        "Argument `maps` must lie on the grid of the domain, but does not.",
    )
    cell, area = np.asarray(gauges.cell), np.asarray(domain.cell_area)
    first = np.asarray(domain.drainage.first)[cell]
    found = {}
    for name in PREDICTORS:
        if name in maps:
            values = domain.grid.pack(maps[name].values.astype(float))
            known = np.where(np.isfinite(values), area, 0.0)
            sums = _sums(np.nan_to_num(values) * known, first, cell), _sums(known, first, cell)
            found[name] = np.where(sums[1] > 0.0, sums[0] / np.maximum(sums[1], 1e-9), np.nan)
    if {"mean_precipitation", "mean_potential_evapotranspiration"} <= set(found):
        found["aridity_index"] = found["mean_potential_evapotranspiration"] / found["mean_precipitation"]
    basin = _sums(area, first, cell) / 1e6
    return pd.DataFrame({"gauge_id": list(gauges.gauge_id), "basin_area_km2": basin, **found})


def _sums(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Sums (gauge,) of values (cell,) from the first to the last cell of every basin."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total[last + 1] - total[first]
