"""The generated national domain: valid, the same for the same seed, with rivers, lakes and rain where they belong."""

import numpy as np
import pytest
import xarray as xr

from chase_jax import cli
from chase_jax.checks import InputError
from chase_jax.io import domain_store
from data_prep import china_like, climatology, hydrography

pytest.importorskip("pyflwdir")
CELLS = 4900


def prepare(folder, *words):
    """Run the recipe without raw data."""
    return cli.main(["prepare", "recipe=china_like", f"output.directory={folder}", *words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A domain of cells of 20 km, so that plains, mountains and deserts are in it."""
    target = tmp_path_factory.mktemp("china_like")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CHASE_DATA", raising=False)
        size = (f"china_like.cells={CELLS}", "china_like.resolution=20000", "china_like.seed=3")
        assert prepare(target, *size) == 0
    return target


def test_all_inputs_pass_the_check(folder, capsys):
    capsys.readouterr()
    words = [f"{name}.path={folder}/{name}.{end}" for name, end in (("domain", "nc"), ("forcing", "nc"))]
    assert cli.main(["check", *words, f"gauges.path={folder}/gauges.csv", "period.end=2001-12-31"]) == 0
    assert "all inputs are valid" in capsys.readouterr().out
    assert (folder / "domain.png").exists()
    assert "smooth formulas" in (folder / "preparation.txt").read_text()


def test_it_has_the_cells_asked_for_and_all_that_a_nation_has(folder):
    domain = domain_store.open_domain(folder / "domain.nc")
    np.testing.assert_allclose(domain.cells, CELLS, rtol=0.05)
    assert domain.lakes.cell.size > 0
    assert 0.0 < (np.asarray(domain.lake_index) > 0).mean() <= china_like.LAKE_SHARE
    assert domain.glacier_cell.size > 0
    assert len(np.unique(np.asarray(domain.vegetation_class))) >= 6
    assert int(np.asarray(domain.drainage.strahler_order).max()) >= 5
    given = xr.open_dataset(folder / "domain.nc")
    for name in ("mean_precipitation", "mean_air_temperature", "aridity_index", "mean_specific_humidity",
                 "mean_potential_evapotranspiration", "mean_altitude", "mean_slope", "mean_clay_fraction",
                 "mean_leaf_area_index"):  # fmt: skip
        assert np.isfinite(given[name].values[given.active.values > 0]).all(), name


def test_deep_basins_of_deserts_stay_closed():
    altitude = np.full((7, 9), 100.0)
    altitude[2:5, 1:4], altitude[3, 2] = 40.0, 20.0
    altitude[2:5, 5:8], altitude[3, 6] = 90.0, 85.0
    filled, dry = np.full((7, 9), 100.0), np.full((7, 9), 4.0)
    assert np.argwhere(china_like.closed_basins(altitude, filled, dry)).tolist() == [[3, 2]]  # the other is shallow
    assert not china_like.closed_basins(altitude, filled, 0.5 * dry).any()
    assert not china_like.closed_basins(filled, filled, dry).any()


def test_lakes_take_their_share_of_the_land():
    depth = np.zeros((100, 100))
    depth[5:95:10, 5:95:10] = depth[6:95:10, 5:95:10] = 5.0  # 81 ponds of two cells
    depth[50:60, 50:90] = 50.0  # too large
    lake = china_like.choose_lakes(depth, np.ones((100, 100), bool), np.random.default_rng(0))
    assert (lake > 0).sum() == 100
    assert (np.bincount(lake.ravel())[1:] == 2).all()
    assert not china_like.choose_lakes(np.ones((9, 9)), np.ones((9, 9), bool), np.random.default_rng(0)).any()


def test_rivers_fall_to_their_ends_and_lakes_are_level(folder):
    given = xr.open_dataset(folder / "domain.nc")
    active, lake = given.active.values.ravel() > 0, given.lake_patch.values.ravel() > 0
    receiver = hydrography.receivers(given.flow_direction.values)
    river = (given.channel_bed_altitude + given.channel_depth).values.ravel()
    cell = np.flatnonzero(active & (receiver >= 0))
    cell = cell[~lake[cell] & ~lake[receiver[cell]]]
    assert (river[cell] > river[receiver[cell]]).all()
    level = given.lake_sill_altitude.where(given.lake_patch > 0).groupby(given.lake_index).std()
    assert float(level.max()) == 0.0
    assert (given.lake_bed_altitude < given.lake_sill_altitude).values[given.lake_patch.values > 0].all()


def test_rain_falls_in_the_south_and_frost_in_the_north(folder):
    weather = xr.open_dataset(folder / "forcing.nc")
    rain, warmth = weather.precipitation.mean("time"), weather.air_temperature[:31].mean("time")
    assert float(rain[-1].mean()) > 1.4 * float(rain[0].mean())
    assert float(warmth[0].mean()) < float(warmth[-1].mean()) - 5.0
    wet = weather.precipitation.sel(time=slice("2001-06-01", "2001-08-31")).mean()
    assert float(wet) > 3 * float(weather.precipitation.sel(time=slice("2001-12-01", None)).mean())


def test_the_seed_decides(folder, tmp_path):
    climate = climatology.built_in()
    place = china_like.locate(climate, 900, 2000.0)
    one, same, other = (china_like.make_land(climate, place, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.ground, same.ground)
    np.testing.assert_array_equal(one.direction, same.direction)
    assert (one.direction != other.direction).mean() > 0.3


def test_noise_has_the_spectrum_asked_for():
    """Twice the wave number, a quarter of the amplitude for a power of two."""
    surface = china_like.noise((512, 512), 500.0, 2.0, np.random.default_rng(0))
    np.testing.assert_allclose([surface.mean(), surface.std()], [0.0, 1.0], atol=1e-4)
    power = np.abs(np.fft.rfft2(surface * np.outer(np.hanning(512), np.hanning(512))))
    wave = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
    rings = [power[(wave > 0.9 * k) & (wave < 1.1 * k)].mean() for k in (0.04, 0.08, 0.16)]
    np.testing.assert_allclose(np.log2(rings[0] / rings[1]), 2.0, atol=0.25)
    np.testing.assert_allclose(np.log2(rings[1] / rings[2]), 2.0, atol=0.25)


def test_a_domain_larger_than_the_climate_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CHASE_DATA", raising=False)
    assert prepare(tmp_path, "china_like.cells=1000000", "china_like.resolution=20000") == 2
    assert "china_like.cells is 1000000; the climatology has" in capsys.readouterr().err


def test_climate_at_places():
    layer = climatology.Layer(np.arange(6.0).reshape(2, 3), np.array([10.0, 11.0]), np.array([100.0, 101.0, 102.0]))
    np.testing.assert_allclose(layer.at(np.array([10.5]), np.array([101.5])), [3.0])
    np.testing.assert_allclose(layer.at(np.array([9.0]), np.array([99.0])), [0.0])  # as at the edge
    np.testing.assert_allclose(layer.at(np.array([10.4]), np.array([101.6]), order=0), [2.0])
    climate = climatology.built_in()
    spot = np.array([30.0]), np.array([105.0])
    low, high = (climate.temperature_at(6, *spot, np.array([z])) for z in (0.0, 1000.0))
    np.testing.assert_allclose(low - high, 6.5, atol=1e-3)


@pytest.mark.real_data
def test_the_file_of_the_climate_has_the_rain_of_its_cities(real_data):
    """Wuhan and Guangzhou within a tenth of what the description of the file says."""
    climate = climatology.read(real_data / "china_box_climatology")
    lat, lon = np.array([30.6, 23.13]), np.array([114.3, 113.26])
    rain = sum(layer.at(lat, lon) for layer in climate.precipitation)
    np.testing.assert_allclose(rain, [1202, 1675], rtol=0.1)
    sea = climate.ocean.at(np.array([30.6, 25.0]), np.array([114.3, 125.0]), order=0)
    np.testing.assert_array_equal(sea, [0, 1])
    with pytest.raises(InputError, match="is missing"):
        climatology.read(real_data)
