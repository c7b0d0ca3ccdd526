"""The observations that come with the package are what this model gives under the true parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import chase_jax as cj
from chase_jax import demo
from chase_jax.demo import terrain, weather


@pytest.mark.slow
def test_the_record_is_what_the_model_gives(tmp_path):
    """After a change of the physics, renew the record with `demo.write_record` from these series."""
    paths = demo.write(tmp_path / "in")
    start, end = weather.PERIOD
    series = cj.simulate(
        domain={"path": str(paths["domain"])},
        forcing={"path": str(paths["forcing"])},
        gauges={"path": str(paths["gauges"])},
        parameters={"path": str(paths["parameters_true"])},
        period={"start": str(start)[:10], "end": str(end)[:10]},
        output={"directory": str(tmp_path / "run"), "progress": False},
    )
    lake = xr.open_dataset(tmp_path / "run" / "lakes.nc")
    level = lake.lake_level.sel(lake=terrain.LAKE).values
    gauges, time = [str(name) for name in series.gauge_id.values], pd.DatetimeIndex(series.time.values)
    demo.write_record(gauges, time, series.discharge.values, level, tmp_path / "record.csv")
    found, kept = (pd.read_csv(path, index_col="date") for path in (tmp_path / "record.csv", demo.RECORD))
    np.testing.assert_allclose(found, kept, rtol=1e-3, atol=2e-3)
