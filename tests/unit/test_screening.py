"""Gauges of natural flow are kept, others dropped with every reason; basin means are weighted by area."""

import numpy as np
import pandas as pd
import pytest
import small_case
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.io import domain_store, gauge_store, inputs
from data_prep import attributes, screening


@pytest.fixture
def case(tmp_path):
    """The small domain: rows drain east, the last column south; gauges at its outlet and at the end of row 1."""
    small_case.write(tmp_path)
    row = {"gauge_id": "02", "x": 2500, "y": 2500, "area_km2": 3, "name": "Row"}
    corner = {"gauge_id": "01", "x": 3500, "y": 500, "area_km2": 16, "name": "Corner"}
    inputs.write_gauges(tmp_path / "gauges.csv", [corner, row])
    domain = domain_store.open_domain(tmp_path / "domain.nc")
    return tmp_path, domain, gauge_store.read_gauges(tmp_path / "gauges.csv", domain.grid)


def test_complete_years_count_nine_tenths_of_the_days():
    time = pd.date_range("1991-01-01", "1994-12-31")
    flow = np.ones((3, time.size))
    flow[1, time.year == 1992] = np.nan
    flow[2, :36] = np.nan  # 329 of 365 days of 1991 remain
    flow[2, (time.year == 1993) & (time.month == 5)] = np.nan
    flow[2, (time.year == 1993) & (time.month == 6)] = np.nan
    observed = inputs.observations(["a", "b", "c"], time, flow)
    np.testing.assert_array_equal(screening.complete_years(observed, "1991-01-01", "1994-12-31"), [4, 3, 3])
    np.testing.assert_array_equal(screening.complete_years(observed, "1992-01-01", "1993-12-31"), [2, 1, 1])
    np.testing.assert_array_equal(screening.complete_years(observed, "2001-01-01", "2001-12-31"), [0, 0, 0])
    with pytest.raises(InputError, match="discharge"):
        screening.complete_years(xr.Dataset(), "1991-01-01", "1991-12-31")


def test_reservoirs_count_for_the_gauges_below(case):
    _, domain, gauges = case
    near, far = (domain.grid.cell_at(x, y) for x, y in ((1500, 2500), (500, 500)))
    total = screening.above(domain, gauges.cell, np.array([near, far, far]), np.array([1e6, 2e6, 4e6]))
    np.testing.assert_array_equal(total, [7e6, 1e6])
    assert screening.above(domain, gauges.cell, np.array([gauges.cell[1]]), np.array([5.0]))[1] == 5.0  # at the gauge
    with pytest.raises(InputError, match="amount"):
        screening.above(domain, gauges.cell, np.array([near]), np.array([-1.0]))


def test_every_reason_is_told():
    flow = np.array([10.0, 10.0, 10.0, np.nan])
    year = flow[0] * screening.SECONDS_PER_YEAR
    table = screening.screen(
        ["a", "b", "c", "d"], np.array([20, 3, 20, 20]), flow, np.array([0.049, 0.3, 0.0, 0.0]) * year,
        np.array([0.9, 0.0, 1.0, 0.0]), 5,
    )  # fmt: skip
    assert table.kept.tolist() == [True, False, False, False]
    np.testing.assert_allclose(table.degree_of_regulation, [0.049, 0.3, 0.0, np.nan])
    np.testing.assert_allclose(table.withdrawal_ratio, [0.09, 0.0, 0.1, np.nan])
    assert table.reason[0] == ""
    assert table.reason[1] == "fewer than 5 complete years; degree of regulation of 5% or more"
    assert table.reason[2] == "withdrawal of 10% of the flow or more"
    assert table.reason[3] == "no flow observed"
    with pytest.raises(InputError, match="capacity"):
        screening.screen(["a"], np.array([1]), np.array([1.0]), np.zeros(2), np.zeros(1), 1)


def test_basin_means_are_weighted_by_area(case):
    folder, domain, gauges = case
    maps = xr.open_dataset(folder / "domain.nc").load()
    rain = np.arange(16.0).reshape(4, 4) + 400.0
    maps["mean_precipitation"] = (("y", "x"), rain)
    maps["mean_potential_evapotranspiration"] = (("y", "x"), 2.0 * rain + 100.0)
    maps["aridity_index"] = (("y", "x"), np.full((4, 4), 9.0))
    maps["mean_clay_fraction"] = (("y", "x"), np.where(rain < 408.0, 0.2, np.nan))
    table = attributes.basin_means(maps, domain, gauges).set_index("gauge_id")
    row = 1 if maps.y[0] > maps.y[-1] else 2
    np.testing.assert_allclose(table.basin_area_km2, [16.0, 3.0])
    np.testing.assert_allclose(table.mean_precipitation, [rain.mean(), rain[row, :3].mean()])
    np.testing.assert_allclose(table.aridity_index, (2.0 * table.mean_precipitation + 100.0) / table.mean_precipitation)
    np.testing.assert_allclose(table.mean_clay_fraction["01"], 0.2)  # of what is known
    assert "mean_slope" not in table
    with pytest.raises(InputError, match="grid"):
        attributes.basin_means(maps.isel(x=slice(3)), domain, gauges)
