"""The weather of the twin: a year again and again, with the bounds of its days."""

from __future__ import annotations

import helpers
import numpy as np
import xarray as xr

from chase_jax.io import domain_store, forcing_store


def test_a_year_comes_again_as_the_period_and_as_the_run_in(tmp_path):
    experiment = helpers.experiment("valley_twin")
    experiment.prepare(tmp_path, "demo")
    keys = dict(word.split("=", 1) for word in experiment.weather(tmp_path, 2))
    assert keys["period.warmup_start"] == experiment.FIRST
    with xr.open_dataset(keys["forcing.path"]) as file:
        assert file.sizes["time"] == 3 * experiment.YEAR
        rain = file.precipitation.values
    for year in (1, 2):
        np.testing.assert_array_equal(rain[year * experiment.YEAR :][: experiment.YEAR], rain[: experiment.YEAR])
    domain = domain_store.open_domain(tmp_path / "domain.nc")
    reader = forcing_store.open_forcing(
        keys["forcing.path"],
        domain.grid,
        np.asarray(domain.surface_altitude),
        keys["period.start"],
        keys["period.end"],
    )
    assert reader.dates.size == 2 * experiment.YEAR


def test_maps_hold_no_negative_runoff_and_no_index_above_one(tmp_path):
    experiment = helpers.experiment("valley_twin")
    depth, index = np.full((20, 30), 400.0), np.full((20, 30), 0.97)
    depth[0, :3] = [-31.6, 0.0, np.nan]
    both = {"runoff_depth": (("y", "x"), depth), "baseflow_index": (("y", "x"), index)}
    xr.Dataset(both | {"crs": 0}).to_netcdf(tmp_path / "truth.nc")
    with xr.open_dataset(experiment.with_errors(tmp_path, 0.1)) as maps:
        made = maps.runoff_depth.values
        np.testing.assert_array_equal(np.isnan(made), (depth < 0.0) | np.isnan(depth))
        np.testing.assert_allclose(np.nanstd(made[1:]) / 400.0, 0.1, rtol=0.1)
        assert maps.baseflow_index.values.max() == 1.0
    with xr.open_dataset(experiment.with_errors(tmp_path, 0.0)) as maps:
        np.testing.assert_array_equal(maps.runoff_depth.values, np.where(depth >= 0.0, depth, np.nan))
