"""Elevation bands, outlines, climate and mass balance of glaciers."""

from __future__ import annotations

import helpers
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax.checks import InputError
from data_prep import completion, glaciers

SQUARE = [(10.0, 46.0), (10.0, 46.1), (10.1, 46.1), (10.1, 46.0), (10.0, 46.0)]
HOLE = [(10.04, 46.04), (10.06, 46.04), (10.06, 46.06), (10.04, 46.06), (10.04, 46.04)]


def test_bands_by_hand():
    altitude = np.array([[2450.0, 2510.0, 2590.0], [2610.0, 2999.0, 9999.0]])
    inside = altitude < 9000.0
    middle, area = glaciers.elevation_bands(altitude, np.array([[1.0], [2.0]]), inside)
    np.testing.assert_allclose(middle, [2450.0, 2550.0, 2610.0, 2999.0])
    np.testing.assert_allclose(area, [1.0, 2.0, 2.0, 2.0])
    one, total = glaciers.elevation_bands(altitude, np.array(1.0), inside, width=1e4)
    np.testing.assert_allclose([one[0], total[0]], [altitude[inside].mean(), 5.0])
    with pytest.raises(InputError, match="inside"):
        glaciers.elevation_bands(altitude, np.array(1.0), altitude < 0.0)
    with pytest.raises(InputError, match="width"):
        glaciers.elevation_bands(altitude, np.array(1.0), inside, width=0.0)


def test_area_of_an_outline(tmp_path):
    """A square of 0.1 degrees at 46.05 north with a hole of 0.02 degrees: 85.77 km2 less a twenty-fifth."""
    rasterio, shapely = pytest.importorskip("rasterio"), pytest.importorskip("shapely")
    pyogrio = pytest.importorskip("pyogrio")
    terrain, outline = tmp_path / "terrain.tif", tmp_path / "outline.shp"
    shape = shapely.to_wkb([shapely.Polygon(SQUARE, [HOLE])])
    pyogrio.raw.write(outline, shape, [np.array([1])], geometry_type="Polygon", fields=["number"], crs="EPSG:4326")
    values = np.broadcast_to(2000.0 + np.arange(400.0), (400, 400)).astype("f4")
    transform = rasterio.transform.from_origin(9.95, 46.15, 5e-4, 5e-4)
    layout = {"driver": "GTiff", "width": 400, "height": 400, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(terrain, "w", transform=transform, **layout) as dataset:
        dataset.write(values, 1)
    altitude, area, latitude = glaciers.bands_of_outline(terrain, outline, width=50.0)
    degree = np.deg2rad(1.0) * 6371.0
    expected = (0.1 * degree) ** 2 * np.cos(np.deg2rad(46.05)) * (1 - 0.04)
    np.testing.assert_allclose(area.sum() / 1e6, expected, rtol=1e-3)
    np.testing.assert_allclose(latitude, 46.05, atol=1e-3)
    np.testing.assert_allclose(altitude, [2124.5, 2173.196, 2225.804, 2274.5], atol=0.6)


@pytest.fixture
def climate(tmp_path):
    """Two points of monthly climate over two years."""
    time = pd.date_range("1990-10-01", periods=24, freq="MS")
    wave = 8.0 * np.sin(np.arange(24) * np.pi / 6)
    temperature = np.stack([wave, wave + 5.0], axis=-1)[:, None, :]
    rain = np.stack([np.full(24, 80.0), np.full(24, 160.0)], axis=-1)[:, None, :]
    axes = ("time", "lat", "lon")
    dataset = xr.Dataset(
        {"temp": (axes, temperature), "prcp": (axes, rain), "hgt": (("lat", "lon"), [[3000.0, 2000.0]])},
        coords={"time": time, "lat": [46.8], "lon": [10.7, 10.9]},
    )
    dataset.to_netcdf(tmp_path / "climate.nc")
    return tmp_path / "climate.nc", temperature[:, 0, 1] + 273.15


def test_climate_of_bands(climate):
    """The nearest point, months kept, 6.5 K colder a kilometer higher, the same rain everywhere."""
    path, warmth = climate
    found = glaciers.daily_climate(path, 46.7, 10.88, np.array([2000.0, 3000.0]), "1990-10", "1992-09", 3)
    monthly = found.resample(time="MS").mean()
    np.testing.assert_allclose(monthly.air_temperature[:, 0], warmth, rtol=1e-12)
    np.testing.assert_allclose(found.air_temperature[:, 0] - found.air_temperature[:, 1], 6.5, rtol=1e-10)
    sums = (found.precipitation * 86400.0).resample(time="MS").sum()
    np.testing.assert_allclose(sums, 160.0, rtol=1e-12)
    full, _ = completion.complete(found, xr.DataArray([2000.0, 3000.0], dims="band"), 46.7)
    forcing = completion.to_forcing(full)
    assert forcing.precipitation.shape == (731, 2)
    assert not forcing.longwave_given
    spread = np.asarray(forcing.diurnal_range)  # 10 K in the mean, less on wet days
    np.testing.assert_allclose(spread.mean(axis=0), 10.0, rtol=1e-12)
    np.testing.assert_allclose(spread.min() / spread.max(), completion.WET_RANGE, rtol=1e-12)
    np.testing.assert_array_equal(forcing.day_of_year[:92], np.arange(274, 366))
    np.testing.assert_allclose(forcing.shortwave_down, full.shortwave_down)
    with pytest.raises(InputError, match="lacks"):
        completion.to_forcing(found)


def test_tables_of_mass_balance(tmp_path):
    annual, profile = tmp_path / "annual.csv", tmp_path / "profile.csv"
    annual.write_text("YEAR,AREA,ANNUAL_BALANCE\n1990,8,-540\n1991,8,\n1992,8,76\n")
    profile.write_text(",2500,2700,2600,3000\n1990,-400,0,-200,\n1991,-600,0,-300,\n1992,0,0,0,1\n")
    found = glaciers.read_mass_balance(annual)
    assert found.to_dict() == {1990: -540.0, 1992: 76.0}
    years = np.array([1990, 1991])
    at = glaciers.read_profile(profile, years, np.array([2500.0, 2550.0, 2700.0, 2800.0]))
    np.testing.assert_allclose(at, [-500.0, -375.0, 0.0, np.nan])


@pytest.mark.real_data
def test_hintereisferner_has_its_area(real_data):
    folder = real_data / "glaciers"
    altitude, area, latitude = glaciers.bands_of_outline(folder / "hef_srtm.tif", folder / "Hintereisferner_RGI6.shp")
    np.testing.assert_allclose(area.sum() / 1e6, 8.036, rtol=0.01)  # as the inventory has it
    assert 2430 < altitude[0] < 2500
    assert 3600 < altitude[-1] < 3750
    np.testing.assert_allclose(latitude, 46.80, atol=0.01)


@pytest.mark.slow
@pytest.mark.real_data
def test_mass_balance_of_hintereisferner(real_data, tmp_path):
    """Correlation with the measured years of at least 0.6, the mean within 500 kg m-2."""
    experiment = helpers.experiment("hintereisferner")
    scores = experiment.main(real_data, tmp_path).value
    assert scores["correlation"] >= 0.6
    assert abs(scores["mean simulated, mm"] - scores["mean observed, mm"]) < 500.0
    assert 0.5 < scores["factor on precipitation"] < 2.5
    assert scores["largest energy residual, W m-2"] < 1e-6
    assert (tmp_path / "balance.png").exists()
