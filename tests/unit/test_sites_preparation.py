"""Readers of towers and snow stations: units, times, and errors that name what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from chase_jax.checks import InputError
from data_prep import sites

STEPS = 48


def tables(days=3):
    """Two tables of a tower, labelled by the ends of intervals from 00:00 on, as networks publish them."""
    time = pd.date_range("2019-03-01", periods=days * STEPS, freq="30min")
    number = np.arange(len(time), dtype=float)
    forcing = pd.DataFrame(
        {
            "TIMESTAMP_END": time,
            "TA_F": 10.0 + 0.01 * number,
            "SW_IN_F": np.where(number % STEPS < 24, -2.0, 300.0),
            "eair": 1.0,
            "WS_F": 2.0,
            "PA_F": 100.0,
            "LAI": 20.0,
            "SWC_F_MDS_1": 0.3,
            "TS_F_MDS_4": 12.0,
            "USTAR": 0.2,
        }
    )
    fluxes = pd.DataFrame(
        {
            "TIMESTAMP_END": time,
            "P_F": np.where(number == 30, 1.8, 0.0),
            "LE_F_MDS": 50.0,
            "H_F_MDS": np.where(number == 60, np.nan, 20.0),
            "NETRAD": 80.0,
            "G_F_MDS": 5.0,
        }
    )
    return forcing, fluxes


def write(folder, forcing, fluxes):
    forcing.to_csv(folder / "XX-forcings.csv", index=False)
    fluxes.to_csv(folder / "XX-fluxes.csv.gz", index=False)
    return folder


def test_a_tower_is_read_in_whole_days_of_interval_beginnings(tmp_path):
    read = sites.read_tower(write(tmp_path, *tables()), leaf_area_unit=0.1)
    measured = read.weather.measured
    # the first row ends at midnight, the last half-hour of the last day is not there
    assert str(read.time[0]) == "2019-03-01 00:00:00"
    assert len(read.time) == 2 * STEPS
    assert measured.temperature.shape == (2, STEPS, 1)
    np.testing.assert_allclose(measured.temperature[0, 0, 0], 283.15 + 0.01)  # of the row labelled 00:30
    np.testing.assert_allclose(measured.rain.sum() * 1800.0, 1.8)
    assert float(measured.rain[0, 29, 0]) > 0.0  # labelled 15:00 as row 30, begins 14:30
    np.testing.assert_allclose(measured.specific_humidity, 0.622 * 1000.0 / (1e5 - 378.0), rtol=1e-12)
    np.testing.assert_allclose(measured.pressure, 1e5)
    assert float(measured.shortwave_down.min()) == 0.0
    np.testing.assert_allclose(read.weather.leaf_area_index, 2.0)
    np.testing.assert_array_equal(read.weather.day_of_year, [60.0, 61.0])
    assert read.observed["sensible_heat"].isna().sum() == 1
    np.testing.assert_allclose(read.observed["soil_temperature"], 285.15)


def test_what_is_wrong_with_a_tower_is_named(tmp_path):
    forcing, fluxes = tables()
    with pytest.raises(InputError, match=r"one \*-forcings.csv, but .* has 0"):
        sites.read_tower(tmp_path)
    with pytest.raises(InputError, match="hold temperature as TA_F or Tair"):
        sites.read_tower(write(tmp_path, forcing.drop(columns="TA_F"), fluxes))
    with pytest.raises(InputError, match="both tables at one time"):
        sites.read_tower(write(tmp_path, forcing, fluxes.iloc[1:]))
    with pytest.raises(InputError, match=r"one row every 0 days 00:30:00, but .* after 2019-03-01 04:00:00"):
        sites.read_tower(write(tmp_path, forcing.drop(index=10), fluxes.drop(index=10)))
    gap = forcing.copy()
    gap.loc[70, "WS_F"] = np.nan
    with pytest.raises(InputError, match=r"hold wind at every time, but .* lacks 1 values, the first at 2019-03-02"):
        sites.read_tower(write(tmp_path, gap, fluxes))
    hot = forcing.copy()
    hot["TA_F"] += 273.15  # kelvin instead of degrees
    with pytest.raises(InputError, match=r"measured.temperature` must lie between 180 and 340 K"):
        sites.read_tower(write(tmp_path, hot, fluxes))


def station(folder, days=3, hours=24):
    rows = [f"2005 10 {1 + k // hours} {k % hours} 100. 300. 1e-4 2e-4 275. 90. 2. 87000." for k in range(days * hours)]
    (folder / "met.txt").write_text("\n".join(rows))
    (folder / "obs.txt").write_text("2005 10 1 0.8 1.2 0.5 120. -2.0 0.5\n2005 10 2 -99.00 1.2 0.5 -99. -2.0 0.5\n")
    return folder / "met.txt", folder / "obs.txt"


def test_a_snow_station_is_read_with_both_phases_and_gaps_of_observations(tmp_path):
    read = sites.read_snow_station(*station(tmp_path))
    measured = read.weather.measured
    assert measured.snowfall.shape == (2, 24, 1)
    np.testing.assert_allclose(measured.snowfall, 1e-4)
    np.testing.assert_allclose(measured.longwave_down, 300.0)
    saturated = sites.relative_to_specific_humidity(1.0, 275.0, 87000.0)
    np.testing.assert_allclose(saturated, 0.622 * 698.6 / (87000.0 - 0.378 * 698.6), rtol=2e-3)  # 698.6 Pa at 275 K
    assert float(measured.specific_humidity[0, 0, 0]) < saturated
    assert np.isnan(read.observed["snow_amount"].iloc[1])
    np.testing.assert_allclose(read.observed["surface_temperature"], 271.15)


def test_what_is_wrong_with_a_snow_station_is_named(tmp_path):
    _, observations = station(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        sites.read_snow_station(tmp_path / "none.txt", observations)
    with pytest.raises(InputError, match="must have the 12 columns year, month"):
        sites.read_snow_station(observations, observations)


@pytest.mark.real_data
def test_the_snow_station_has_noon_where_the_sun_has_it(real_data):
    """Its hours are ends of intervals in UTC: light is centred on 11.6 h, the noon of 5.8 degrees east."""
    folder = real_data / "snow_col_de_porte"
    read = sites.read_snow_station(folder / "met_CdP_0506.txt", folder / "obs_CdP_0506.txt")
    light = np.asarray(read.weather.measured.shortwave_down)[..., 0].mean(axis=0)
    assert abs(np.sum(light * (np.arange(24) + 0.5)) / light.sum() - 11.6) < 0.25


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "unit", "days"), [("US-Hn1", 0.1, 394), ("US-Bi1", 1.0, 730)])
def test_towers_have_noon_where_the_sun_has_it(real_data, name, unit, days):
    """The labels are ends of intervals by local standard time: light is centred on noon within half an hour."""
    read = sites.read_tower(real_data / "flux_towers" / name, unit)
    light = np.asarray(read.weather.measured.shortwave_down)[..., 0]
    assert light.shape[0] == days
    centre = np.sum(light.mean(axis=0) * (np.arange(48) + 0.5) / 2.0) / light.mean(axis=0).sum()
    assert abs(centre - 12.1) < 0.25
    leaf_area = np.asarray(read.weather.leaf_area_index)
    assert 0.1 <= leaf_area.min() < leaf_area.max() < 6.0


def test_stubble_of_alfalfa_has_no_leaves_and_a_full_crop_those_of_the_reference():
    """5.5 + 1.5 ln 0.8 = 5.165 at 0.8 m, half of it in the middle between that and stubble, 5.5 at 1 m."""
    leaves = sites.alfalfa_leaf_area(pd.Series([0.02, 0.08, 0.44, 0.8, 1.0]))
    np.testing.assert_allclose(leaves, [0.0, 0.0, 2.583, 5.165, 5.5], atol=5e-4)
