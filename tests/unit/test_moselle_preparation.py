"""The recipe of the upper Moselle: what it writes is readable, balanced and physically plausible."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax import cli, config
from chase_jax.checks import InputError
from chase_jax.io import domain_store, forcing_store, gauge_store
from data_prep import hydrography, landcover, moselle, rasters, weather


@pytest.fixture(scope="module")
def paths(real_data, tmp_path_factory):
    return moselle.prepare(real_data, tmp_path_factory.mktemp("moselle"))


def test_the_experiment_reads_what_the_recipe_writes(paths):
    """`chase simulate experiment=moselle` finds the files, and its period has weather and observations."""
    settings = config.check(config.compose({}, words=["experiment=moselle"]))
    for role in ("domain", "forcing", "gauges", "observations"):
        assert getattr(settings, role).path == f"data/moselle/{paths[role].name}"
    assert (settings.period.warmup_start, settings.period.end) == moselle.PERIOD
    assert str(xr.open_dataset(paths["observations"]).time.values[0])[:10] == settings.period.start


def test_missing_raw_data_are_named(tmp_path):
    with pytest.raises(InputError, match=r"data\.root"):
        moselle.prepare(tmp_path, tmp_path / "out")


def test_a_width_that_does_not_fit_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "moselle").mkdir()
    words = ["recipe=moselle", "moselle.resolution=7000", f"data.root={tmp_path}", f"output.directory={tmp_path}/out"]
    assert cli.main(["prepare", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "moselle.resolution is 7000 m; allowed are 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000" in told
    assert not (tmp_path / "out").exists()


def test_domain_has_the_area_of_the_gauge_and_one_outlet(paths):
    domain = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], domain.grid)
    assert gauges.gauge_id == ("00398",)
    area = float(np.asarray(domain.cell_area).sum())
    np.testing.assert_allclose(area, 11636.25e6, rtol=0.01)
    assert int(domain.drainage.outlet.sum()) == 1
    assert int(domain.drainage.sink.sum()) == 0
    np.testing.assert_allclose(np.asarray(domain.drainage.upstream_area)[gauges.cell], area, rtol=1e-12)


def test_rivers_lie_below_the_land_by_the_height_of_its_hillsides(paths):
    given = xr.open_dataset(paths["domain"])
    domain = domain_store.open_domain(paths["domain"])
    bed = domain.grid.pack(given.channel_bed_altitude.values)
    dug = np.asarray(domain.surface_altitude - domain.bed_depth) - bed
    assert np.abs(dug).max() < 1e-6  # no bed had to be lowered to fall
    incision = np.asarray(domain.bed_depth - domain.channel_depth)
    assert incision.min() > -1e-9
    assert 5 < np.median(incision) < 25
    slope = domain.grid.pack(given.mean_slope.values)
    assert incision[slope > 0.1].mean() > 2 * incision[slope < 0.05].mean()


def test_upscaled_areas_agree_with_the_fine_ones(real_data):
    forcing = moselle.read_weather(real_data / "moselle")
    domain, corrections, _, _ = moselle.build_domain(real_data / "moselle", forcing)
    fine = rasters.read_ascii_grid(real_data / "moselle" / "morph" / "facc.asc").values
    largest = np.nanmax(rasters.blocks(np.where(np.isnan(fine), -1, fine), 2), axis=-1) * 0.25
    active = domain.active.values == 1
    receiver = hydrography.receivers(domain.flow_direction.values)
    coarse = hydrography.accumulate(receiver, active.ravel().astype(float)).reshape(active.shape)
    rivers = active & (largest > 500)
    assert np.abs(coarse / np.maximum(largest, 1) - 1)[rivers].max() < 0.06
    assert set(corrections.counts()) <= {"broken link", "crossing path", "flow to inactive cell"}


def test_rivers_fall_to_the_outlet(paths):
    domain = xr.open_dataset(paths["domain"])
    receiver = hydrography.receivers(domain.flow_direction.values)
    altitude = domain.channel_bed_altitude.values.ravel()
    cell = np.flatnonzero((receiver >= 0) & (domain.active.values.ravel() == 1))
    assert (altitude[cell] > altitude[receiver[cell]]).all()


def test_weather_is_complete_and_plausible_for_lorraine(paths):
    domain = domain_store.open_domain(paths["domain"])
    altitude = np.asarray(domain.surface_altitude)
    reader = forcing_store.open_forcing(paths["forcing"], domain.grid, altitude, *moselle.PERIOD)
    mean = {name: value[1] for name, value in reader.scan().items()}
    assert 850 < mean["precipitation"] * 86400 * 365.25 < 980
    assert 9.3 < mean["air_temperature"] - 273.15 < 10.3
    assert 120 < mean["shortwave_down"] < 132
    assert 0.0055 < mean["specific_humidity"] < 0.0070
    given = xr.open_dataset(paths["forcing"])
    for name in moselle.DERIVED:
        assert given[name].attrs["derivation"].startswith("not observed"), name
    assert "derivation" not in given.precipitation.attrs
    rain = given.precipitation.mean("time")
    assert float(rain[-1, -2]) > 1.5 * float(rain[3, 1])  # the Vosges in the southeast: the first row is the north
    saturated = weather.specific_humidity(weather.vapor_pressure(given.air_temperature), given.air_pressure)
    assert float((given.specific_humidity / saturated).max()) < 1.001


def test_recovered_range_is_that_of_the_day(real_data):
    """Smaller on wet days, equal in the mean to the range of the files whose days do not fit."""
    forcing = moselle.read_weather(real_data / "moselle")
    swing = (forcing.air_temperature_max - forcing.air_temperature_min).values
    wet = forcing.precipitation.values > 1 / 86400
    assert swing[wet].mean() < 0.8 * swing[~wet].mean()
    meteo = real_data / "moselle" / "meteo"
    other = xr.open_dataset(meteo / "tmax.nc").tmax.values - xr.open_dataset(meteo / "tmin.nc").tmin.values
    np.testing.assert_allclose(swing.mean(), np.nanmean(other), rtol=0.02)


def test_discharge_is_the_published_mean(paths):
    observed = xr.open_dataset(paths["observations"])
    assert str(observed.gauge_id.values[0]) == "00398"
    assert list(observed.time.values[[0, -1]].astype("datetime64[D]").astype(str)) == ["1990-01-01", "1993-12-31"]
    depth = float(observed.discharge.mean()) * 86400 * 365.25 / 11636.25e3
    np.testing.assert_allclose(depth, 330, atol=2)


def test_hargreaves_inversion_is_exact():
    radiation, temperature, swing = np.array([100.0, 400.0]), np.array([275.0, 295.0]), np.array([4.0, 12.0])
    demand = 0.0023 * radiation * (temperature - 273.15 + 17.8) * np.sqrt(swing) / weather.LATENT_HEAT
    found = weather.diurnal_range_from_evapotranspiration(demand, temperature, radiation)
    np.testing.assert_allclose(found, swing, rtol=1e-12)


def test_extraterrestrial_radiation_matches_the_handbook():
    """Example 8 of allen1998: 20 degrees south, 3 September: 32.2 MJ m-2 per day."""
    found = weather.extraterrestrial_radiation(np.array(-20.0), np.array(246))
    np.testing.assert_allclose(found * 86400 / 1e6, 32.2, atol=0.1)


def test_dew_point_inverts_vapor_pressure():
    points = np.linspace(250, 305, 12)
    np.testing.assert_allclose(weather.dew_point(weather.vapor_pressure(points)), points, rtol=1e-12)


def test_block_statistics_and_filling():
    values = np.array([[1.0, 2.0, np.nan, np.nan], [3.0, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(rasters.block_mean(values, 2), [[2.0, np.nan]])
    np.testing.assert_array_equal(rasters.block_majority(np.array([[2, 2, 0, 0], [5, 0, 0, 0]]), 2), [[2, 0]])
    filled = rasters.fill_nearest(np.stack([values, values]))
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[0], filled[1])
    assert filled[0, 0, 3] == 2.0


def test_ties_favour_no_class():
    tie = np.tile([[1, 2], [2, 1]], (40, 40))
    share = (rasters.block_majority(tie, 2) == 1).mean()
    assert 0.42 < share < 0.58


def test_ascii_grid_coordinates(tmp_path):
    file = tmp_path / "grid.asc"
    head = "ncols 3\nnrows 2\nxllcorner 100\nyllcorner 1000\ncellsize 10\nNODATA_value -9999\n"
    file.write_text(head + "1 2 3\n4 -9999 6\n")
    grid = rasters.read_ascii_grid(file)
    np.testing.assert_array_equal(grid.x, [105, 115, 125])
    np.testing.assert_array_equal(grid.y, [1015, 1005])
    assert np.isnan(grid.values[1, 1])
    file.write_text(head.replace("cellsize", "size") + "1 2 3\n4 5 6\n")
    with pytest.raises(InputError, match="header"):
        rasters.read_ascii_grid(file)


def test_forest_leaf_area_is_one_sided(real_data):
    table = landcover.read_leaf_area(real_data / "moselle" / "morph" / "LAI_classdefinition.txt")
    assert table.loc[[1, 2, 3]].to_numpy().max() == 6.0  # coniferous, deciduous and mixed forest
    assert table.loc[9].max() == 5.2  # fields are as given
    assert table.to_numpy().min() == landcover.LEAST_LEAF_AREA
    assert isinstance(table, pd.DataFrame)
