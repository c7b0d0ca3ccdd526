"""A finished run is read beside its observations, and a missing file is named."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax import demo
from chase_jax.checks import InputError
from chase_jax.demo import terrain
from chase_jax.evaluation import report
from chase_jax.io import domain_store, gauge_store, output, results, store

TIME = pd.date_range("2001-03-01", "2001-06-30")
DATES = TIME.values.astype("datetime64[D]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder of the demo with made-up series."""
    path = tmp_path_factory.mktemp("runs") / "demo"
    files = demo.write(path / "inputs")
    domain = domain_store.open_domain(files["domain"])
    gauges = gauge_store.read_gauges(files["gauges"], domain.grid)
    flow = np.random.default_rng(1).gamma(2.0, 5.0, (TIME.size, 6))
    area = np.asarray(domain.drainage.upstream_area)
    series = output.gauge_series(gauges, area, domain.grid, DATES, flow)
    store.write_dataset(series, path / "gauges.nc", "Discharge")
    level = {"lake_level": np.column_stack([700 + flow[:, 3] / 50, 1450 + 0 * flow[:, 3]])}
    store.write_dataset(output.lake_series([1, 2], DATES, level), path / "lakes.nc", "Lakes")
    seen = demo.observed(gauges.gauge_id, TIME, flow.T, level["lake_level"][:, 0])
    store.write_dataset(seen, path / "inputs" / "observations.nc", "Observations")
    (path / "budget.csv").write_text("month,days,precipitation\n2001-04,30,60\n2001-05,31,93\n")
    (path / "manifest.json").write_text(json.dumps({"configuration": {"domain.path": None}}))
    return path


def test_a_run_is_read_with_what_it_was_made_with(folder):
    given = results.read(folder)
    assert given.simulated.sizes == {"gauge": 6, "time": TIME.size, "bounds": 2}
    np.testing.assert_array_equal(given.observed.gauge, given.simulated.gauge_id)
    assert np.isfinite(given.observed.discharge.values).mean() > 0.8
    assert list(given.levels.gauge_id.values) == [demo.LAKE_GAUGE]
    np.testing.assert_allclose(given.levels.simulated, given.levels.observed, atol=0.1)
    assert abs(float(given.levels.observed.mean()) - terrain.LAKE_LEVEL) < 1


def test_the_report_of_a_run_shows_gauges_lake_and_map(folder):
    given = results.read(folder)
    page = report.evaluate(folder, given.simulated, given.observed, given.domain, given.levels, given.precipitation)
    text = page.read_text()
    assert text.count("<img") == 1 + 6 + 1
    assert all(name in text for name in demo.GAUGE_NAMES.values())


def test_only_the_days_of_the_period_are_compared(folder):
    whole, part = results.read(folder), results.read(folder, start="2001-04-01", end="2009-12-31")
    assert part.simulated.sizes["time"] == part.observed.sizes["time"] == part.levels.sizes["time"] == 91
    np.testing.assert_array_equal(part.simulated.discharge, whole.simulated.discharge[:, 31:])
    np.testing.assert_array_equal(part.observed.discharge, whole.observed.discharge[:, 31:])
    with pytest.raises(InputError, match=r"period\.start 2002-01-01 .* covers 2001-03-01 to 2001-06-30"):
        results.read(folder, start="2002-01-01", end="2002-12-31")


def test_precipitation_comes_from_the_budget(folder, tmp_path):
    np.testing.assert_array_equal(
        results.read(folder).precipitation, np.repeat([np.nan, 2.0, 3.0, np.nan], [31, 30, 31, 30])
    )
    assert results.monthly_precipitation(tmp_path / "budget.csv", DATES) is None
    (tmp_path / "budget.csv").write_text("month,days,runoff\n2001-04,30,60\n")
    assert results.monthly_precipitation(tmp_path / "budget.csv", DATES) is None


def test_missing_observations_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"observations\.path: nowhere\.nc: is missing"):
        results.read(folder, observations_path="nowhere.nc")


def test_a_lake_without_observed_level_is_left_out(folder):
    lakes = output.read_piece(folder / "lakes.nc")
    seen = xr.DataArray(
        np.full((2, TIME.size), np.nan), dims=("gauge", "time"), coords={"gauge": ["a", "b"], "time": TIME}
    )
    assert results.lake_levels(lakes, seen, np.array([1, 0])) is None
    assert isinstance(folder, pathlib.Path)
