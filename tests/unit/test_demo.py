"""The generated demo: readable by the model's own readers, and as interesting as it claims to be."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax import demo
from chase_jax.demo import terrain, weather
from chase_jax.io import domain_store, forcing_store, gauge_store, parameter_store


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return demo.write(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def domain(paths):
    return domain_store.open_domain(paths["domain"])


@pytest.fixture(scope="module")
def valley():
    return terrain.build()


def test_it_is_the_same_every_time_to_the_byte(paths, tmp_path):
    again = demo.write(tmp_path)
    assert set(again) == set(paths) >= {"domain", "forcing", "gauges", "parameters_true"}
    for role, path in paths.items():
        assert path.read_bytes() == again[role].read_bytes(), role


def test_the_ground_falls_along_the_rivers_and_the_lake_lies_in_its_bed(domain, valley):
    downstream, altitude = np.asarray(domain.drainage.downstream), np.asarray(domain.surface_altitude)
    flows = downstream >= 0
    assert (altitude[flows] >= altitude[downstream[flows]]).all()
    lake = valley.fields["lake_index"] == terrain.LAKE
    assert (valley.fields["lake_bed_altitude"][lake] < terrain.LAKE_LEVEL - 4).all()
    assert (valley.fields["lake_sill_altitude"][lake] == terrain.LAKE_LEVEL).all()
    ice = np.asarray(domain.glacier_fraction)
    assert altitude[ice > 0].min() > np.quantile(altitude, 0.95)
    assert ice.max() > 0.7


def test_the_place_has_what_the_documentation_says(domain):
    tree = domain.drainage
    assert domain.cells > 3000
    assert int(tree.outlet.sum()) == 1
    assert int(tree.sink.sum()) == 1
    basin = int(np.argmax(tree.sink)) - int(tree.first[int(np.argmax(tree.sink))]) + 1
    assert 200 < basin < 800
    assert 20 <= domain.glacier_cell.size <= 80
    main = np.asarray(domain.lakes.lake_index) == terrain.LAKE
    assert main.sum() >= 30
    assert int((~np.asarray(domain.lakes.inward)).sum()) == 1  # the lake has one way out, the salt lake none


def test_the_lake_backs_water_up_into_the_river(domain):
    lakes, tree = domain.lakes, domain.drainage
    area = np.asarray(tree.upstream_area)
    mouths = np.asarray(lakes.mouth_tail)[np.asarray(lakes.inward)]
    cell = mouths[np.argmax(area[mouths])]
    bed = np.asarray(domain.surface_altitude - domain.bed_depth)
    reach = [int(cell)]
    for _ in range(terrain.FLAT_CELLS - 1):
        donors = np.flatnonzero(np.asarray(tree.downstream) == reach[-1])
        reach.append(int(donors[np.argmin(bed[donors])]))
    assert (bed[reach] < terrain.LAKE_LEVEL).all()


def test_the_weather_reads_and_is_a_monsoon_climate(paths, domain):
    altitude = np.asarray(domain.surface_altitude)
    reader = forcing_store.open_forcing(paths["forcing"], domain.grid, altitude, *weather.PERIOD)
    reader.scan()
    given = reader.read(0, 731)
    time = pd.date_range(*weather.PERIOD)
    rain = np.asarray(given.precipitation).mean(1) * 86400
    low = np.asarray(given.air_temperature)[:, altitude < 800].mean(1) - 273.15
    summer, winter = np.isin(time.month, (6, 7, 8, 9)), np.isin(time.month, (12, 1, 2))
    assert 600 < rain.mean() * 365.25 < 1100
    assert rain[summer].sum() > 0.6 * rain.sum()
    total = np.asarray(given.precipitation).sum(0)
    assert total[altitude > 2500].mean() > 1.3 * total[altitude < 1000].mean()
    assert low[winter].mean() < -1
    assert low[summer].mean() > 18
    for begin, end in weather.DRY_SPELLS:
        assert rain[(time >= begin) & (time <= end)].max() < 0.5
    assert weather.FLOOD[0] <= str(time[rain.argmax()])[:10] <= weather.FLOOD[1]
    assert 150 < float(np.asarray(given.shortwave_down).mean()) < 200
    swing = np.asarray(given.diurnal_range)
    assert 2 < swing.min() <= swing.mean() < 15


def test_gauges_stand_where_their_areas_say(paths, domain):
    gauges = gauge_store.read_gauges(paths["gauges"], domain.grid)
    np.testing.assert_allclose(np.asarray(domain.drainage.upstream_area)[gauges.cell], gauges.area, rtol=1e-12)
    assert gauges.gauge_id == tuple(demo.GAUGE_NAMES)
    assert int(domain.lake_index[gauges.cell[gauges.gauge_id.index(demo.LAKE_GAUGE)]]) == terrain.LAKE


def test_the_truth_is_a_parameter_file(paths, domain):
    found = parameter_store.read_parameters(paths["parameters_true"], domain.grid, "D5")
    assert set(found) == {"dcor", "baseflow_factor", "manning_roughness"}
    assert found["dcor"].max() > 4 * found["dcor"].min()
    assert 1e-2 < found["baseflow_factor"].min() < 1 < found["baseflow_factor"].max() < 20
    assert 0.02 < found["manning_roughness"].min() < found["manning_roughness"].max() < 0.1


def test_the_package_holds_observations_of_every_gauge_and_day(paths):
    found = xr.open_dataset(paths["observations"])
    assert list(found.gauge_id.values) == list(demo.GAUGE_NAMES)
    np.testing.assert_array_equal(found.time, pd.date_range(*weather.PERIOD))
    assert (np.isfinite(found.discharge).mean("time") > 0.95).all()
    assert abs(float(found.lake_level.mean()) - terrain.LAKE_LEVEL) < 2


def test_observations_carry_errors_gaps_and_a_lake_level(tmp_path):
    time = pd.date_range("2001-01-01", periods=365)
    gauges = list(demo.GAUGE_NAMES)
    flow = np.linspace(1, 100, 365) * np.ones((6, 1))
    record = demo.observed(gauges, time, flow, np.full(365, 700.0))
    ratio = record.discharge.values / flow
    assert 0.02 < np.nanstd(ratio) < 0.1
    assert (np.isnan(ratio).sum(1) == 12).all()
    level = record.lake_level.sel(gauge=gauges.index(demo.LAKE_GAUGE)).values
    assert abs(level - 700).max() < 0.1
    assert int(np.isfinite(record.lake_level.values).any(1).sum()) == 1
    xr.testing.assert_equal(record, demo.observed(gauges, time, flow, np.full(365, 700.0)))


def test_the_record_comes_back_as_written(tmp_path):
    time = pd.date_range("2001-01-01", periods=60)
    flow = np.linspace(1, 100, 60) * np.ones((6, 1))
    demo.write_record(list(demo.GAUGE_NAMES), time, flow, np.full(60, 700.0), tmp_path / "record.csv")
    found = demo._read_record(tmp_path / "record.csv")
    wanted = demo.observed(list(demo.GAUGE_NAMES), time, flow, np.full(60, 700.0))
    np.testing.assert_array_equal(found.discharge, wanted.discharge)
    np.testing.assert_array_equal(found.lake_level, wanted.lake_level)
    assert list(found.gauge_id.values) == list(demo.GAUGE_NAMES)
