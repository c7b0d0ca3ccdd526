"""What the basins of gauges are like: means of the predictors of a domain over all that drains to a gauge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain.domain import Domain
from chase_jax.io.gauge_store import Gauges
from chase_jax.signatures import attributes as of_basins
from chase_jax.variables import PREDICTORS


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
    found, area = {}, np.asarray(domain.cell_area)
    for name in [name for name in PREDICTORS if name in maps]:
        values = domain.grid.pack(maps[name].values.astype(float))
        found[name] = of_basins.basin_means(values, area, domain.drainage, gauges.cell)
    if {"mean_precipitation", "mean_potential_evapotranspiration"} <= set(found):
        found["aridity_index"] = found["mean_potential_evapotranspiration"] / found["mean_precipitation"]
    basin = np.asarray(domain.drainage.upstream_area)[gauges.cell] / 1e6
    return pd.DataFrame({"gauge_id": list(gauges.gauge_id), "basin_area_km2": basin, **found})
