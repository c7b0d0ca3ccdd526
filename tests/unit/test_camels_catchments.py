"""Catchments of CAMELS-US as one domain: the draw, the rows, the bands, the rain; and the whole recipe."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.io import domain_store, forcing_store, gauge_store
from data_prep import camels_catchments, camels_us


@pytest.fixture
def table():
    draw = np.random.default_rng(4)
    return pd.DataFrame({"aridity": draw.uniform(0.3, 4.0, 120), "frac_snow": draw.uniform(0.0, 0.8, 120)})


def test_the_draw_takes_as_many_from_every_climate(table):
    chosen = camels_catchments.draw(table, 27, 0)
    assert len(set(chosen)) == 27
    third = np.searchsorted(np.quantile(table["aridity"], [1 / 3, 2 / 3]), table["aridity"].to_numpy()[chosen])
    assert list(np.bincount(third)) == [9, 9, 9]
    snow = table["frac_snow"].to_numpy()
    for part in range(3):
        assert np.ptp(snow[chosen[third == part]]) > 0.4
    np.testing.assert_array_equal(chosen, camels_catchments.draw(table, 27, 0))
    assert set(chosen) != set(camels_catchments.draw(table, 27, 1))
    others = camels_catchments.draw(table, 27, 0, after=27)
    assert len(others) == 27
    assert not set(others) & set(chosen)
    assert set(camels_catchments.draw(table, 54, 0)) == set(others) | set(chosen)


@pytest.mark.parametrize("basins", [8, 121])
def test_a_draw_of_too_few_or_too_many_is_refused(table, basins):
    with pytest.raises(InputError, match=r"camels_catchments\.basins is \d+; allowed are 9 to 120"):
        camels_catchments.draw(table, basins, 0)


def test_a_draw_that_passes_over_too_many_is_refused(table):
    with pytest.raises(InputError, match=r"camels_catchments\.after is \d+; it must be at most 111 of 120"):
        camels_catchments.draw(table, 9, 0, after=112)


def test_rows_lie_at_their_latitude_and_never_touch():
    latitude = np.array([40.0, 40.01, 40.02, 30.0, 47.5])
    place = camels_catchments.rows_of(latitude)
    assert list(latitude[place.order]) == sorted(latitude, reverse=True)
    assert (np.diff(place.row) >= 2).all()
    np.testing.assert_allclose(np.diff(place.y), -camels_catchments.SIZE)
    degrees = 111e3
    np.testing.assert_allclose((place.y[place.row] / degrees) + 37.0, latitude[place.order], atol=0.4)


def test_bands_have_the_mean_and_the_spread_that_slope_and_size_let_expect():
    table = pd.DataFrame({"elev_mean": [900.0, 10.0], "slope_mean": [100.0, 200.0]})
    altitude = camels_catchments.band_altitudes(table, np.array([81e6, 81e6]))
    assert (np.diff(altitude, axis=1) < 0.0).all() or altitude[1].min() == 0.0
    np.testing.assert_allclose(altitude[0].mean(), 900.0, rtol=1e-12)
    np.testing.assert_allclose(altitude[0].std(), 0.198 * 0.1 * 9000.0, rtol=1e-12)
    assert altitude[1].min() == 0.0  # never below the sea


def test_precipitation_grows_with_altitude_more_in_winter_and_keeps_its_mean():
    altitude = np.array([[2000.0, 1500.0, 1000.0], [310.0, 300.0, 290.0]])
    shares = camels_catchments.shares_of_bands(altitude, np.array([1, 7]))
    np.testing.assert_allclose(shares.mean(axis=-1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(shares[0, 0, 0] / shares[0, 0, 1], (1 + 0.35 * 0.5) / (1 - 0.35 * 0.5), rtol=1e-12)
    np.testing.assert_allclose(shares[1, 0, 0] / shares[1, 0, 1], (1 + 0.20 * 0.5) / (1 - 0.20 * 0.5), rtol=1e-12)
    assert (np.abs(shares[:, 1] - 1.0) < 0.01).all()
    # two kilometres above and below the middle are beyond what the quotient is made for
    far = camels_catchments.shares_of_bands(np.array([[4000.0, 2000.0, 0.0]]), np.array([1]))[0, 0]
    np.testing.assert_allclose(far[[0, 2]] / far[1], [3.0, 1.0 / 3.0], rtol=1e-12)


def test_drizzle_is_taken_away_until_the_share_of_dry_days_is_right():
    rain = np.random.default_rng(2).gamma(0.4, 3.0, (2, 5000))
    dry = np.array([0.5, 0.8])
    left = camels_catchments.without_drizzle(rain, dry)
    np.testing.assert_allclose((left == 0.0).mean(axis=1), dry, atol=1e-3)
    np.testing.assert_array_equal(left[left > 0.0], rain[left > 0.0])
    assert all(rain[k][left[k] == 0.0].max() <= left[k][left[k] > 0.0].min() for k in range(2))


@pytest.mark.real_data
def test_the_recipe_makes_what_the_model_reads(real_data, tmp_path):
    paths = camels_catchments.prepare(real_data, tmp_path, basins=9, seed=3)
    domain = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], domain.grid)
    assert len(gauges.gauge_id) == 9
    assert domain.cells == 9 * camels_catchments.BANDS
    table = camels_us.read_attributes(real_data / "camels_us" / "attributes.csv").loc[list(gauges.gauge_id)]
    area = np.asarray(domain.drainage.upstream_area)[gauges.cell] / 1e6
    np.testing.assert_allclose(area, table["area_gages2"], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(domain.latitude)[gauges.cell], table["gauge_lat"], atol=0.5)
    with xr.open_dataset(paths["domain"]) as maps:
        deep = maps.surface_altitude - maps.channel_bed_altitude - maps.channel_depth  # of rivers below the land
        np.testing.assert_allclose(deep, 800.0 * maps.mean_slope, rtol=1e-6, atol=1e-6)
    assert not domain.faces.edges.tail.size or np.abs(np.diff(domain.grid.row)).max() > 1
    altitude = np.asarray(domain.surface_altitude)
    whole = forcing_store.open_forcing(paths["forcing"], domain.grid, altitude, *camels_catchments.RECORD)
    year = whole.read(0, 365)
    warmth = np.asarray(year.air_temperature).mean(0)
    first = np.asarray(domain.drainage.first)[gauges.cell]
    assert (warmth[first] < warmth[gauges.cell]).all()  # bands higher up are colder
    bands = (-1, camels_catchments.BANDS)
    weather = whole.read(0, 31)  # a January: precipitation over that of the basin is what altitude lets expect
    rain = np.asarray(weather.precipitation).mean(0).reshape(bands)
    shares = camels_catchments.shares_of_bands(altitude.reshape(bands), np.array(1))
    np.testing.assert_allclose(rain / rain.mean(1, keepdims=True), shares, rtol=1e-5)
    with xr.open_dataset(paths["domain"]) as maps:
        wet = domain.grid.pack(maps.mean_precipitation.values).reshape(bands)
    np.testing.assert_allclose(wet.mean(1), table["p_mean"].to_numpy() * 365.25, rtol=0.25)
    steep = shares[:, 0] > 1.01
    assert steep.any()
    assert (wet[steep, 0] > wet[steep, -1]).all()
    with xr.open_dataset(paths["observations"]) as observed:
        depth = observed.discharge.mean("time").values / (area * 1e6) * 1e3 * 86400.0
    attributes = pd.read_csv(real_data / "camels_us" / "attributes.csv", dtype={"gauge_id": str}).set_index("gauge_id")
    np.testing.assert_allclose(depth, attributes.loc[list(gauges.gauge_id), "q_mean"], rtol=0.3)
