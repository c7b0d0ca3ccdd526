"""Which basins are used, and predictors that know nothing of discharge."""

from __future__ import annotations

import dataclasses

import basin_case
import numpy as np
import pandas as pd
import pytest
import valley

from chase_jax.checks import InputError
from chase_jax.signatures import attributes
from chase_jax.signatures.attributes import Limits
from chase_jax.variables import PREDICTORS
from data_prep import camels_us

FORBIDDEN = [
    "q_mean", "runoff_ratio", "slope_fdc", "baseflow_index", "stream_elas", "q5", "q95", "hfd_mean", "high_q_freq",
    "high_q_dur", "low_q_freq", "low_q_dur", "zero_q_freq",
]  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_predictors_from_discharge_are_refused(name):
    given = basin_case.basins()
    table = given.predictors.assign(**{name: 1.0})
    with pytest.raises(InputError, match=f"{name}: comes from discharge"):
        dataclasses.replace(given, predictors=table)


def test_the_recipe_reads_no_column_that_comes_from_discharge():
    read = {*camels_us.NEEDED, *camels_us.EXTENDED.values(), *camels_us.CLASSES.values()}
    assert not read & set(FORBIDDEN)


@pytest.mark.real_data
def test_predictors_of_the_recipe_do_not_change_with_discharge(real_data):
    given = camels_us.basins(real_data)
    attributes.require_independent(list(given.predictors.columns))
    assert list(given.predictors.columns[:9]) == list(PREDICTORS)
    table = camels_us.read_attributes(real_data / "camels_us" / "attributes.csv")
    spoiled = table.loc[list(given.gauge_id)].assign(**dict.fromkeys(FORBIDDEN, 99.0))
    again = camels_us.predictors(
        spoiled, given.precipitation, given.predictors["mean_air_temperature"].to_numpy()[:, None]
    )
    kept = [name for name in again if name != "mean_specific_humidity"]  # hangs on the days, not on the mean
    pd.testing.assert_frame_equal(again[kept], given.predictors[kept])
    table = attributes.signatures(given, Limits())
    assert table.kept.all()
    assert len(table) == 391
    assert 0.0 < table.baseflow_index.min() < table.baseflow_index.max() < 1.0
    assert table.runoff_depth.median() == pytest.approx(409, rel=0.03)


def spoiled(**how):
    """Basins of which the first is unfit."""
    given = basin_case.basins()
    flow, area, rain, table = given.flow.copy(), given.area.copy(), given.precipitation.copy(), given.predictors.copy()
    if "short" in how:
        flow[0, 700:] = np.nan
    if "large" in how:
        area[0] = 2e10
    if "negative" in how:
        flow[0, 5] = -1.0
    if "empty" in how:
        flow[0] = 0.0
    if "wetter" in how:
        flow[0, :300], rain[0, :365] = np.nan, 0.0
    if "missing" in how:
        table.loc["g00", "mean_slope"] = np.nan
    if "unit" in how:
        flow[0] *= 35.3  # cubic feet for cubic metres
    if "nowhere" in how:
        area[0] = np.nan
    return dataclasses.replace(given, flow=flow, area=area, precipitation=rain, predictors=table)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("short", "1.9 years of record, needed 5"),
        ("large", "area 20000 km2 exceeds 15000 km2"),
        ("negative", "flow is negative on 1 days"),
        ("empty", "no flow"),
        ("wetter", "precipitation of gauged years is 1.20 of that of all years"),
        ("missing", "no value of mean_slope"),
        ("unit", "unit of flow or drainage area is wrong"),
        ("nowhere", "no drainage area"),
    ],
)
def test_unfit_basins_are_left_out_with_a_reason(how, reason):
    table = attributes.signatures(spoiled(**{how: True}), Limits())
    assert reason in table.reason.iloc[0]
    assert not table.kept.iloc[0]
    assert table.kept.iloc[1:].all()


def test_constant_predictors_are_left_out_and_named():
    given = basin_case.basins()
    table = given.predictors.assign(mean_clay_fraction=0.2)
    given = dataclasses.replace(given, predictors=table)
    found, notes = attributes.predictor_table(given, np.ones(basin_case.COUNT, bool), "paper")
    assert "mean_clay_fraction" not in found
    assert notes == ["mean_clay_fraction: is the same in all basins, left out"]


def test_sets_of_predictors():
    given = basin_case.basins()
    table = given.predictors.assign(rock=np.arange(basin_case.COUNT, dtype=float))
    given = dataclasses.replace(given, predictors=table)
    kept = np.ones(basin_case.COUNT, bool)
    sets = {which: list(attributes.predictor_table(given, kept, which)[0]) for which in attributes.SETS}
    assert sets["paper"] == list(PREDICTORS)
    assert sets["without_humidity"] == [name for name in PREDICTORS if name != "mean_specific_humidity"]
    assert sets["extended"] == [*PREDICTORS, "rock"]


def test_impossible_values_and_too_few_gauges_are_refused():
    given = basin_case.basins()
    celsius = given.predictors.assign(mean_air_temperature=given.predictors["mean_air_temperature"] - 273.15)
    kept = np.ones(basin_case.COUNT, bool)
    with pytest.raises(InputError, match=r"mean_air_temperature: is .* at gauge g00; allowed is 220 to 320 K"):
        attributes.predictor_table(dataclasses.replace(given, predictors=celsius), kept, "paper")
    kept[10:] = False
    with pytest.raises(InputError, match="10 of 40 gauges are fit for use; at least 30"):
        attributes.predictor_table(given, kept, "paper")


def test_basin_means_weigh_cells_by_area_and_leave_out_the_unknown():
    domain = valley.valley()
    generator = np.random.default_rng(0)
    values, area = (
        generator.uniform(size=domain.cells),
        np.asarray(domain.cell_area) * generator.uniform(0.5, 2, domain.cells),
    )
    values[3] = np.nan
    first = np.asarray(domain.drainage.first)
    cells = np.array([domain.cells - 1, domain.cells // 2, 3])
    found = attributes.basin_means(values, area, domain.drainage, cells)
    for mean, cell in zip(found, cells, strict=True):
        inside = slice(first[cell], cell + 1)
        good = np.isfinite(values[inside])
        if not good.any():
            assert np.isnan(mean)
            continue
        assert mean == pytest.approx(np.average(values[inside][good], weights=area[inside][good]), rel=1e-12)


def test_land_predictors_of_a_tilted_plane():
    y, x = np.mgrid[0:5, 0:6] * 1000.0
    altitude = 100.0 + 0.03 * x + 0.04 * y
    altitude[0, 0] = np.nan
    leaves = np.stack([np.full(y.shape, float(month)) for month in range(12)])
    found = attributes.land_predictors(altitude, np.full(y.shape, 0.2), leaves, (1000.0, 1000.0))
    inside = np.isfinite(altitude)
    np.testing.assert_allclose(found["mean_slope"][inside], 0.05, rtol=1e-12)
    assert np.isnan(found["mean_slope"][0, 0])
    np.testing.assert_allclose(found["mean_leaf_area_index"], 5.5)


def test_correlations_cover_predictors_and_signatures():
    given = basin_case.basins()
    table = attributes.signatures(given, Limits())
    found = attributes.correlations(given.predictors, table[list(attributes.TARGETS)])
    assert found.shape == (11, 11)
    assert found.loc["aridity_index", "runoff_depth"] < -0.8
