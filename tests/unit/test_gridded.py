"""Files as their providers write them: names, packing, axes, accumulations; what is wrong with one is told."""

import pathlib

import numpy as np
import pandas as pd
import pyproj
import pytest
import scipy.ndimage
import scipy.spatial
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.domain.grid import Grid
from chase_jax.io import regrid
from data_prep import gridded, hydrography, rasters

LAT, LON = np.array([30.05, 30.15, 30.25]), np.array([100.05, 100.15, 100.25, 100.35])
CLAY = np.array([[10.0, 20.0, 30.0, 40.0], [11.0, 21.0, np.nan, 41.0], [12.0, 22.0, 32.0, 42.0]])  # south first


def soil_file(path, lat=LAT, lon=LON, units="%wt", **names):
    """Topsoil clay as the regridded soil database has it."""
    dataset = xr.Dataset({names.get("variable", "T_CLAY"): (("lat", "lon"), CLAY)}, {"lat": lat, "lon": lon})
    dataset[names.get("variable", "T_CLAY")].attrs |= {"units": units} if units else {}
    dataset.to_netcdf(path)
    return path


def test_every_source_of_the_catalog_is_described():
    for name, source in gridded.catalog().items():
        assert {"title", "reference", "licence", "where", "quantities"} == set(source), name
        for entry in source["quantities"].values():
            assert entry["kind"] in ("static", "daily", "monthly", "instant", "accumulated")
            assert entry["units"]


def test_soil_comes_back_north_up_as_fractions(tmp_path):
    found = gridded.read("hwsd", "clay_fraction", soil_file(tmp_path / "soil.nc"))
    np.testing.assert_array_equal(found.lat, LAT[::-1])
    np.testing.assert_allclose(found, CLAY[::-1] / 100.0)
    assert found.attrs["units"] == "1"
    flipped = soil_file(tmp_path / "flipped.nc", lat=LAT[::-1])
    np.testing.assert_allclose(gridded.read("hwsd", "clay_fraction", flipped), CLAY / 100.0)


def test_longitudes_beyond_180_are_turned(tmp_path):
    lon = np.array([179.75, 179.85, 179.95, 180.05])
    found = gridded.read("hwsd", "clay_fraction", soil_file(tmp_path / "a.nc", lon=lon - 180.0))
    np.testing.assert_allclose(found.lon, lon - 180.0)
    east = gridded.read("hwsd", "clay_fraction", soil_file(tmp_path / "b.nc", lon=lon + 100.0))
    np.testing.assert_allclose(east.lon, lon + 100.0 - 360.0)
    np.testing.assert_allclose(east, CLAY[::-1] / 100.0)
    with pytest.raises(InputError, match="axis lon"):  # half of it at 179, half at -180
        gridded.read("hwsd", "clay_fraction", soil_file(tmp_path / "c.nc", lon=lon))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"units": "kg m-2"}, "kg m-2"),
        ({"units": ""}, "has no `units` attribute"),
        ({"variable": "CLAY"}, "T_CLAY: is missing; the file holds CLAY"),
        ({"lat": np.array([30.0, 30.1, 30.4])}, "axis lat: must be even"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, change, told):
    with pytest.raises(InputError, match=r"soil\.nc") as error:
        gridded.read("hwsd", "clay_fraction", soil_file(tmp_path / "soil.nc", **change))
    assert told in str(error.value)


def test_a_missing_or_cut_file_is_told(tmp_path):
    with pytest.raises(InputError, match="is missing"):
        gridded.read("hwsd", "clay_fraction", tmp_path / "none.nc")
    path = soil_file(tmp_path / "cut.nc")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"cut\.nc: cannot be read"):
        gridded.read("hwsd", "clay_fraction", path)
    with pytest.raises(InputError, match="source"):
        gridded.read("nowhere", "clay_fraction", path)
    with pytest.raises(InputError, match="quantity"):
        gridded.read("hwsd", "silt", path)


@pytest.mark.parametrize("name", ["pre", "prec"])
def test_packed_daily_rain_with_undeclared_missing_values(tmp_path, name):
    time = pd.date_range("2000-02-28", periods=3)  # over a leap day
    rain = np.full((3, 3, 4), 8.64)
    rain[1, 0, 0], rain[2] = -99.9, 17.28
    dataset = xr.Dataset(
        {name: (("time", "lat", "lon"), rain, {"units": "mm/day"})}, {"time": time, "lat": LAT, "lon": LON}
    )
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 100.0, "_FillValue": -32768}
    dataset.to_netcdf(tmp_path / "rain.nc", encoding={name: packed})
    found = gridded.read("chm_pre", "precipitation", tmp_path / "rain.nc")
    np.testing.assert_allclose(found[0], 1e-4, rtol=1e-6)
    np.testing.assert_allclose(found[2], 2e-4, rtol=1e-6)
    assert int(np.isnan(found).sum()) == 1
    assert np.isnan(found[1, 2, 0])  # the south is the last row
    assert str(found.time.values[1])[:10] == "2000-02-29"


def hourly(tmp_path, name, values, units, first="2001-03-01T01", axis="valid_time"):
    """A file of hourly values at one latitude and two longitudes."""
    time = pd.date_range(first, periods=len(values), freq="h")
    field = values[:, None, None] * np.ones((1, 1, 2))
    data = xr.Dataset({name: ((axis, "latitude", "longitude"), field, {"units": units})})
    data.assign_coords({axis: time, "latitude": [30.0], "longitude": [100.0, 100.1]}).to_netcdf(tmp_path / "era.nc")
    return tmp_path / "era.nc"


def test_accumulated_fluxes_become_daily_means(tmp_path):
    """Rain of 1 mm an hour on the first day, of 2 mm on the second, accumulated in metres from midnight."""
    hour = np.tile(np.arange(1, 25), 2)
    path = hourly(tmp_path, "tp", hour * np.repeat([1e-3, 2e-3], 24), "m")
    rain = gridded.daily(gridded.read("era5_land", "precipitation", path), "accumulated")
    np.testing.assert_allclose(rain[:, 0, 0], np.array([1.0, 2.0]) / 3600.0)
    assert rain.attrs["units"] == "kg m-2 s-1"
    assert [str(day)[:10] for day in rain.time.values] == ["2001-03-01", "2001-03-02"]
    light = hourly(tmp_path, "ssrd", hour * 3.6e5, "J m**-2")
    found = gridded.daily(gridded.read("era5_land", "shortwave_down", light), "accumulated")
    np.testing.assert_allclose(found, 100.0)
    assert found.attrs["units"] == "W m-2"


def test_hours_become_means_of_whole_days(tmp_path):
    values = 280.0 + np.arange(60) % 24
    path = hourly(tmp_path, "t2m", values, "K", first="2001-03-01T00", axis="time")
    found = gridded.daily(gridded.read("era5_land", "air_temperature", path), "instant")
    np.testing.assert_allclose(found[:, 0, 0], [291.5, 291.5])  # the third day is not whole
    half = hourly(tmp_path, "t2m", values[:5], "K")
    with pytest.raises(InputError, match="whole day"):
        gridded.daily(gridded.read("era5_land", "air_temperature", half), "instant")
    array = gridded.read("era5_land", "air_temperature", half)
    with pytest.raises(InputError, match="every hour"):
        gridded.daily(array.isel(time=[0, 2, 3]), "instant")


@pytest.mark.parametrize(("ocean", "inland", "kind"), [(247, 255, "uint8"), (-9, -1, "int8")])
def test_directions_of_merit_hydro(tmp_path, ocean, inland, kind):
    rasterio = pytest.importorskip("rasterio")
    codes = np.array([[1, 4, ocean], [64, inland, 0]]).astype(kind)
    if kind == "int8":
        codes = codes.astype("int16")
    place = rasterio.Affine(1 / 1200, 0, 90.0, 0, -1 / 1200, 31.0)
    layout = {"driver": "GTiff", "width": 3, "height": 2, "count": 1, "dtype": codes.dtype, "crs": "EPSG:4326"}
    with rasterio.open(tmp_path / "n30e090_dir.tif", "w", transform=place, nodata=ocean, **layout) as file:
        file.write(codes, 1)
    read = gridded.read("merit_hydro", "flow_direction", tmp_path / "n30e090_dir.tif")
    direction, land = gridded.merit_directions(read.values)
    np.testing.assert_array_equal(direction, [[1, 4, 0], [64, hydrography.SINK, 0]])
    np.testing.assert_array_equal(land, [[True, True, False], [True, True, True]])
    with pytest.raises(InputError, match="D8 codes"):
        gridded.merit_directions(np.array([[3.0]]))


def test_bilinear_weights_are_those_of_gdal():
    """From degrees to an equal-area projection, to 1e-6 of the range of the values; strips of five cells are exact."""
    rasterio = pytest.importorskip("rasterio")
    crs = "+proj=laea +lat_0=30.5 +lon_0=100.5 +datum=WGS84 +units=m"
    lat, lon = 31.0 - 0.05 * (np.arange(20) + 0.5), 100.0 + 0.05 * (np.arange(20) + 0.5)
    values = np.random.default_rng(0).random((20, 20))
    source = rasters.Raster(values, lon, lat, rasterio.Affine(0.05, 0, 100.0, 0, -0.05, 31.0), "EPSG:4326")
    x = (np.arange(30) - 14.5) * 2000.0
    strips = [rasters.warp(values, source, x[k : k + 5], -x, crs, "bilinear") for k in range(0, 30, 5)]
    grid = Grid(x, -x, pyproj.CRS.from_user_input(crs).to_cf())
    degrees = {"lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"})}
    dataset = xr.Dataset({"field": (("lat", "lon"), values)}, degrees)
    every = np.ones((20, 20), bool)
    rows, columns, points, weights = regrid.bilinear(dataset, ("lat", "lon"), every, grid, pathlib.Path("field.nc"))
    own = grid.unpack(weights @ values[rows, columns].ravel()[points])
    np.testing.assert_allclose(own, np.concatenate(strips, axis=1), atol=1e-6)


def test_warping_keeps_a_plane_and_ends_with_its_source():
    """A plane in degrees on a finer grid in meters, to an eighth of a source cell; nothing beyond the source."""
    rasterio = pytest.importorskip("rasterio")
    crs = "+proj=laea +lat_0=30.5 +lon_0=100.5 +datum=WGS84 +units=m"
    lat, lon = 31.0 - 0.05 * (np.arange(20) + 0.5), 100.0 + 0.05 * (np.arange(20) + 0.5)
    plane = np.add.outer(2.0 * lat, 3.0 * lon)
    source = rasters.Raster(plane, lon, lat, rasterio.Affine(0.05, 0, 100.0, 0, -0.05, 31.0), "EPSG:4326")
    x = (np.arange(30) - 14.5) * 2000.0
    found = rasters.warp(plane, source, x, -x, crs, "bilinear")
    east, north = np.meshgrid(x, -x)
    longitude, latitude = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(east, north)
    np.testing.assert_allclose(found, 2.0 * latitude + 3.0 * longitude, atol=0.125 * 0.05 * 5.0)
    assert np.isnan(rasters.warp(plane, source, x + 2e5, -x, crs, "bilinear")).all()


CRS = "+proj=laea +lat_0=30.5 +lon_0=100.5 +datum=WGS84 +units=m"


def rough_map(seed=1, side=40):
    """A map of 0.05 degree around the middle of the projection, rough over three points, and its file of GDAL."""
    rasterio = pytest.importorskip("rasterio")
    lat, lon = 31.5 - 0.05 * (np.arange(side) + 0.5), 99.5 + 0.05 * (np.arange(side) + 0.5)
    noise = np.random.default_rng(seed).random((side // 4 + 1, side // 4 + 1))
    row, column = np.meshgrid(np.arange(side) / 4, np.arange(side) / 4, indexing="ij")
    smooth = scipy.ndimage.map_coordinates(noise, [row, column], order=1)
    values = 1.0 + 2.0 * smooth + 0.5 * np.random.default_rng(seed + 1).random((side, side))
    place = rasterio.Affine(0.05, 0, 99.5, 0, -0.05, 31.5)
    return xr.DataArray(values, {"lat": lat, "lon": lon}, ("lat", "lon")), rasters.Raster(
        values, lon, lat, place, "EPSG:4326"
    )


def test_areal_means_are_those_of_gdal_within_half_a_percent():
    """Bilinear on 1 km, averaged over squares of 40 km and over all, against the areas that GDAL weighs."""
    field, source = rough_map()
    x = (np.arange(120) - 59.5) * 1000.0
    own = gridded.onto(field, x, -x, CRS, pathlib.Path("map.nc"))
    coarse = (np.arange(3) - 1.0) * 40_000.0
    wanted = rasters.warp(field.values, source, coarse, -coarse, CRS, "average")
    squares = own.reshape(3, 40, 3, 40).mean(axis=(1, 3))
    assert np.abs(squares / wanted - 1.0).max() < 0.005
    whole = rasters.warp(field.values, source, np.zeros(1), np.zeros(1), CRS, "average", size=120_000.0)
    assert abs(own.mean() / whole[0, 0] - 1.0) < 0.005


def test_means_of_fine_cells_are_those_of_gdal_within_half_a_percent():
    """Pixels counted in the cells that their centers lie in, as altitudes are, against weights by area."""
    rasterio = pytest.importorskip("rasterio")
    side, step = 900, 1 / 1200
    lat, lon = 30.9 - step * (np.arange(side) + 0.5), 100.1 + step * (np.arange(side) + 0.5)
    ridges = np.add.outer(np.sin(np.arange(side) / 40), np.cos(np.arange(side) / 55))
    values = 3000.0 + 400.0 * ridges + 50.0 * np.random.default_rng(0).random((side, side))
    source = rasters.Raster(values, lon, lat, rasterio.Affine(step, 0, 100.1, 0, -step, 30.9), "EPSG:4326")
    x = (np.arange(50) - 24.5) * 1000.0
    wanted = rasters.warp(values, source, x, -x, CRS, "average")
    east, north = pyproj.Transformer.from_crs(4326, CRS, always_xy=True).transform(*np.meshgrid(lon, lat))
    row, column = np.floor((25_000.0 - north) / 1000.0).astype(int), np.floor((east + 25_000.0) / 1000.0).astype(int)
    inside = (row >= 0) & (row < 50) & (column >= 0) & (column < 50)
    block = np.where(inside, row * 50 + column, 2500).ravel()
    own = rasters.means_of(values, block, 2501)[:2500].reshape(50, 50)
    assert np.abs(own / wanted - 1.0).max() < 0.005
    np.testing.assert_allclose(own.mean(), wanted.mean(), rtol=1e-4)


def test_a_coast_is_filled_as_other_tools_fill_it():
    """Points of the sea take the nearest known value, as SciPy finds it, and are interpolated as GDAL does."""
    field, source = rough_map(side=24)
    field = field.copy(data=np.round(field.values, 2) + 0.001 * np.arange(24)[:, None] + 0.0001 * np.arange(24))
    row, column = np.indices((24, 24))
    sea = (column - 17 + 3 * np.sin(row / 3) > 0) | ((row - 9) ** 2 + (column - 15) ** 2 < 4)
    holed = field.copy(data=np.where(sea, np.nan, field.values))
    x = (np.arange(40) - 39.5) * 1000.0 - 8000.0
    y = 40_000.0 - np.arange(60) * 1000.0
    own = gridded.onto(holed, x, y, CRS, pathlib.Path("map.nc"))
    assert np.isfinite(own).all()
    filled, known = rasters.fill_nearest(holed.values), np.argwhere(~sea)
    tree = scipy.spatial.cKDTree(known)
    for place in np.argwhere(sea):
        distance, number = tree.query(place, k=6)
        equal = known[number[distance < distance[0] + 1e-9]]
        assert filled[tuple(place)] in field.values[tuple(equal.T)]
    strips = [rasters.warp(filled, source, x[k : k + 5], y, CRS, "bilinear") for k in range(0, 40, 5)]
    np.testing.assert_allclose(own, np.concatenate(strips, axis=1), atol=1e-6)
    whole = [rasters.warp(holed.values, source, x[k : k + 5], y, CRS, "bilinear") for k in range(0, 40, 5)]
    assert np.abs(own - np.concatenate(whole, axis=1))[10:50, 5:15].max() < 1e-6  # far from the sea all the same
