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
