"""Small files in the formats of their providers: round trip, wrong unit, missing name, cut file, and odd axes."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

from chase_jax.checks import InputError
from data_prep import gridded, hydrography, legends, merit, rasters, vectors

rasterio = pytest.importorskip("rasterio")
pyogrio = pytest.importorskip("pyogrio")
shapely = pytest.importorskip("shapely")

CRS = "+proj=laea +lat_0=30.5 +lon_0=100.5 +datum=WGS84 +units=m"
STEP = 0.1
LAT, LON = 30.95 - STEP * np.arange(10), 100.05 + STEP * np.arange(10)
PLANE = np.add.outer(0.02 * (LAT - 30.0), 0.03 * (LON - 100.0))  # linear, so that bilinear interpolation is exact


def netcdf(path, name, units, days=None, packed=False, lat=LAT, lon=LON, values=PLANE, axes=("lat", "lon")):
    """A variable as a provider writes it; with `days` along time."""
    field, dims = np.asarray(values, float), axes
    coordinates = {axes[0]: lat, axes[1]: lon}
    if days is not None:
        field, dims = field * np.ones((len(days), 1, 1)), ("time", *axes)
        coordinates["time"] = days
    dataset = xr.Dataset({name: (dims, field, {"units": units} if units else {})}, coordinates)
    packing = {"dtype": "i2", "scale_factor": 1e-5, "add_offset": 0.02, "_FillValue": -32768} if packed else {}
    dataset.to_netcdf(path, encoding={name: packing})
    return path


def geotiff(path, values, west=100.0, north=31.0, step=STEP, kind="float32", nodata=-9999, unit="", **tags):
    """A map in degrees."""
    layout = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": kind}
    place = rasterio.Affine(step, 0, west, 0, -step, north)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, nodata=nodata, **layout) as file:
        file.write(values.astype(kind), 1)
        file.update_tags(**tags)
        if unit:
            file.set_band_unit(1, unit)
    return path


def shapes(path, polygons, fields, crs="EPSG:4326"):
    """Polygons with their fields."""
    columns = [np.array(values) for values in fields.values()]
    told = {"geometry_type": "Polygon", "fields": list(fields), "crs": crs}
    pyogrio.raw.write(path, shapely.to_wkb(polygons), columns, **told)
    return path


DAYS = pd.date_range("2004-02-28", periods=3)  # over a leap day
MONTHS = pd.date_range("2003-01-15", periods=24, freq="30.44D")
# source, quantity, name and unit in files, factor to the unit after reading, axis of time
FILES = [
    ("hwsd", "sand_fraction", "T_SAND", "%wt", 0.01, None),
    ("hwsd", "clay_fraction", "T_CLAY", "% weight", 0.01, None),
    ("chm_pre", "precipitation", "prec", "mm/day", 1 / 86400, DAYS),
    ("chm_pre", "precipitation", "pre", "mm", 1 / 86400, DAYS),
    ("gleam", "potential_evaporation", "Ep", "mm/day", 1 / 86400, DAYS),
    ("gleam", "potential_evaporation", "Ep", "mm.day-1", 1 / 86400, DAYS),
    ("leaf_area", "leaf_area_index", "lai", "m^2/m^2", 1.0, MONTHS),
    ("leaf_area", "leaf_area_index", "LAI", "m2 m-2", 1.0, MONTHS),
    ("era5_land", "air_temperature", "t2m", "K", 1.0, DAYS),
    ("era5_land", "dew_point_temperature", "d2m", "K", 1.0, DAYS),
    ("era5_land", "air_pressure", "sp", "Pa", 1.0, DAYS),
    ("era5_land", "eastward_wind", "u10", "m s**-1", 1.0, DAYS),
    ("era5_land", "northward_wind", "v10", "m s**-1", 1.0, DAYS),
    ("era5_land", "precipitation", "tp", "m", 1e3, DAYS),
    ("era5_land", "shortwave_down", "ssrd", "J m**-2", 1.0, DAYS),
    ("era5_land", "longwave_down", "strd", "J m**-2", 1.0, DAYS),
    ("era5_land", "geopotential", "z", "m**2 s**-2", 1.0, None),
]
names = pytest.mark.parametrize(("source", "quantity", "name", "unit", "factor", "days"), FILES)


@names
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_a_provider_comes_back(tmp_path, source, quantity, name, unit, factor, days, packed):
    path = netcdf(tmp_path / "a.nc", name, unit, days, packed)
    found = gridded.read(source, quantity, path)
    wanted = PLANE if days is None else PLANE * np.ones((len(days), 1, 1))
    np.testing.assert_allclose(found, wanted * factor, atol=6e-6 * factor if packed else 1e-15)
    assert found.attrs["units"] == gridded.catalog()[source]["quantities"][quantity]["units"]
    if days is not None:
        assert (found.time.values == days.to_numpy()).all()


@names
def test_a_wrong_unit_a_missing_name_and_a_cut_file_are_told(tmp_path, source, quantity, name, unit, factor, days):
    wrong = netcdf(tmp_path / "unit.nc", name, "ppm3", days)
    with pytest.raises(InputError, match=rf"unit\.nc: variable {name}: the unit 'ppm3'"):
        gridded.read(source, quantity, wrong)
    other = "kg" if unit not in ("kg",) else "m"
    with pytest.raises(InputError, match="does not measure the same thing"):
        gridded.read(source, quantity, netcdf(tmp_path / "other.nc", name, other, days))
    with pytest.raises(InputError, match="is missing; the file holds nonsense"):
        gridded.read(source, quantity, netcdf(tmp_path / "name.nc", "nonsense", unit, days))
    path = netcdf(tmp_path / "cut.nc", name, unit, days)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.nc") as error:
        gridded.read(source, quantity, path)
    assert "\n" not in str(error.value)


@names
@pytest.mark.parametrize("turn", ["south first", "0 to 360"])
def test_turned_axes(tmp_path, source, quantity, name, unit, factor, days, turn):
    plain = gridded.read(source, quantity, netcdf(tmp_path / "a.nc", name, unit, days))
    if turn == "south first":
        path = netcdf(tmp_path / "b.nc", name, unit, days, lat=LAT[::-1], values=PLANE[::-1])
    else:
        path = netcdf(tmp_path / "b.nc", name, unit, days, lon=LON - 200.0 + 360.0)
        plain = plain.assign_coords(lon=LON - 200.0)
    xr.testing.assert_allclose(gridded.read(source, quantity, path), plain)


def test_only_what_is_wanted_is_read(tmp_path):
    path = netcdf(tmp_path / "a.nc", "prec", "mm/day", DAYS, lon=LON + 250.0)
    whole = gridded.read("chm_pre", "precipitation", path)
    part = gridded.read("chm_pre", "precipitation", path, ("2004-02-29", "2004-03-01"), (30.3, 30.6, -9.6, -9.5))
    assert part.sizes == {"time": 2, "lat": 5, "lon": 3}  # one more point on each side
    xr.testing.assert_allclose(part, whole.sel(time=part.time, lat=part.lat, lon=part.lon))
    with pytest.raises(InputError, match="does not reach into"):
        gridded.read("chm_pre", "precipitation", path, region=(40.0, 41.0, -9.6, -9.5))


def grid(size=2000.0, cells=20):
    """Centers of a grid about the middle of the projection and their degrees."""
    x = (np.arange(cells) - (cells - 1) / 2) * size
    lon, lat = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True).transform(*np.meshgrid(x, -x))
    return x, -x, lat, lon


def test_maps_shifted_by_half_a_cell_agree_on_the_grid(tmp_path):
    """A plane on points at 0.05 and at 0.00 of a degree, as of two providers, and as a map of areas or of points."""
    x, y, lat, lon = grid()
    wanted = 0.02 * (lat - 30.0) + 0.03 * (lon - 100.0)
    one = gridded.read("gleam", "potential_evaporation", netcdf(tmp_path / "a.nc", "Ep", "mm/day", DAYS)).isel(time=0)
    np.testing.assert_allclose(gridded.onto(one, x, y, CRS, tmp_path) * 86400, wanted, rtol=1e-9)
    moved = LAT - 0.05, LON + 0.05
    values = np.add.outer(0.02 * (moved[0] - 30.0), 0.03 * (moved[1] - 100.0))
    path = netcdf(tmp_path / "b.nc", "t2m", "K", DAYS, lat=moved[0], lon=moved[1], values=values)
    two = gridded.read("era5_land", "air_temperature", path).isel(time=0)
    np.testing.assert_allclose(gridded.onto(two, x, y, CRS, tmp_path), wanted, rtol=1e-9)
    for kind in ("Area", "Point"):
        path = geotiff(tmp_path / f"{kind}.tif", PLANE, kind="float64", AREA_OR_POINT=kind)
        map_ = gridded.read("aquifer", "thickness", path)
        np.testing.assert_allclose(map_.lat, LAT)
        np.testing.assert_allclose(gridded.onto(map_, x, y, CRS, path), wanted, rtol=1e-9)


def test_a_coast_takes_the_nearest_valid_value(tmp_path):
    x, y, _, lon = grid()
    sea = np.where(LON > 100.5, np.nan, LON - 100.0) * np.ones((10, 1))
    clay = gridded.read("hwsd", "clay_fraction", netcdf(tmp_path / "a.nc", "T_CLAY", "%wt", values=sea * 100))
    found = gridded.onto(clay, x, y, CRS, tmp_path)
    np.testing.assert_allclose(found[lon > 100.56], 0.45)  # of the last column on land
    np.testing.assert_allclose(found[lon < 100.45], (lon - 100.0)[lon < 100.45], rtol=1e-9)
    clay = clay.copy(data=np.full(clay.shape, np.nan))
    with pytest.raises(InputError, match="holds no value"):
        gridded.onto(clay, x, y, CRS, tmp_path)


def test_accumulations_of_files_that_meet_at_midnight(tmp_path):
    """A stamp of midnight belongs to the day before, also where it begins a file; leap days are days."""
    hours = pd.date_range("2004-02-28T01", "2004-03-01T00", freq="h")
    field = np.where(hours.hour == 0, 24, hours.hour)[:, None, None] * 1e-3 * np.ones((1, 10, 10))
    data = xr.Dataset({"tp": (("time", "latitude", "longitude"), field, {"units": "m"})})
    data = data.assign_coords(time=hours, latitude=LAT, longitude=LON)
    data.isel(time=slice(0, 47)).to_netcdf(tmp_path / "february.nc")
    data.isel(time=slice(47, None)).to_netcdf(tmp_path / "march.nc")
    days = [
        gridded.daily(gridded.read("era5_land", "precipitation", tmp_path / f"{name}.nc"), "accumulated")
        for name in ("february", "march")
    ]
    assert [str(d)[:10] for part in days for d in part.time.values] == ["2004-02-28", "2004-02-29"]
    np.testing.assert_allclose(np.concatenate(days), 1.0 / 3600.0)


def test_one_value_a_day_is_accepted(tmp_path):
    ends = pd.date_range("2004-02-29", periods=3)
    path = netcdf(tmp_path / "a.nc", "tp", "m", ends, values=np.full((10, 10), 8.64e-3))
    rain = gridded.daily(gridded.read("era5_land", "precipitation", path), "accumulated")
    assert [str(d)[:10] for d in rain.time.values] == ["2004-02-28", "2004-02-29", "2004-03-01"]
    np.testing.assert_allclose(rain, 1e-4)
    path = netcdf(tmp_path / "b.nc", "t2m", "K", ends + pd.Timedelta(hours=12))
    warmth = gridded.daily(gridded.read("era5_land", "air_temperature", path), "instant")
    assert [str(d)[:10] for d in warmth.time.values] == ["2004-02-29", "2004-03-01", "2004-03-02"]


def test_calendar_months(tmp_path):
    values = 0.5 * np.arange(24.0)[:, None, None] * np.ones((1, 10, 10))
    data = xr.Dataset({"lai": (("time", "lat", "lon"), values, {"units": "1"})})
    data = data.assign_coords(time=pd.date_range("2001-01-01", periods=24, freq="MS"), lat=LAT, lon=LON)
    data.to_netcdf(tmp_path / "a.nc")
    found = gridded.calendar_months(gridded.read("leaf_area", "leaf_area_index", tmp_path / "a.nc"), tmp_path)
    np.testing.assert_allclose(found[:, 0, 0], 0.5 * np.arange(12) + 3.0)
    numbered = (
        data.isel(time=slice(0, 12)).rename(time="month", lai="MONTHLY_LC_LAI").assign_coords(month=np.arange(1, 13))
    )
    numbered.to_netcdf(tmp_path / "b.nc")
    found = gridded.calendar_months(gridded.read("leaf_area", "leaf_area_index", tmp_path / "b.nc"), tmp_path)
    np.testing.assert_allclose(found[:, 0, 0], 0.5 * np.arange(12))
    data.isel(time=slice(0, 11)).to_netcdf(tmp_path / "c.nc")
    with pytest.raises(InputError, match=r"lacks \[12\]"):
        gridded.calendar_months(gridded.read("leaf_area", "leaf_area_index", tmp_path / "c.nc"), tmp_path / "c.nc")


def test_steps_of_eight_days_by_their_numbers(tmp_path):
    """Tenths as integers with a declared scale; without it the values cannot be leaf areas."""
    first = 1 + 8 * np.arange(46)
    month = pd.DatetimeIndex(np.datetime64("2001-01-01") + (first - 1).astype("m8[D]")).month.to_numpy()
    data = xr.Dataset({"lai": (("time", "lat", "lon"), 0.5 * month[:, None, None] * np.ones((1, 10, 10)))})
    data = data.assign_coords(time=first, lat=LAT, lon=LON)
    data["lai"].attrs["units"] = "m2/m2"
    path = tmp_path / "a.nc"
    data.to_netcdf(path, encoding={"lai": {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1}})
    found = gridded.calendar_months(gridded.read("leaf_area", "leaf_area_index", path), path)
    np.testing.assert_allclose(found[:, 0, 0], 0.5 * np.arange(1, 13))
    (10.0 * data).assign(lai=(10.0 * data.lai).assign_attrs(units="m2/m2")).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(InputError, match=r"variable lai: must be at most 15.0 \(1\), but reaches 60; state its unit"):
        gridded.read("leaf_area", "leaf_area_index", tmp_path / "b.nc")


def test_what_stands_for_missing_without_a_word_in_the_file(tmp_path):
    """-1 in the regridded HWSD, -99.9 in CHM_PRE, -999 in tiles of leaf area, anywhere the largest of netCDF."""
    for source, quantity, name, unit, days, number in (
        ("hwsd", "sand_fraction", "T_SAND", "%", None, -1.0),
        ("chm_pre", "precipitation", "pre", "mm/day", DAYS, -99.9),
        ("chm_pre", "precipitation", "prec", "mm", DAYS, 9.96921e36),
        ("leaf_area", "leaf_area_index", "MONTHLY_LC_LAI", "m^2/m^2", DAYS, -999.0),
        ("gleam", "potential_evaporation", "Ep", "mm/day", DAYS, -999.0),
    ):
        values = PLANE.copy()
        values[3, 4] = number
        found = gridded.read(source, quantity, netcdf(tmp_path / "a.nc", name, unit, days, values=values)).values
        assert np.isnan(found[..., 3, 4]).all(), source
        assert np.isfinite(found).sum() == found.size - found[..., 3, 4].size, source


def test_the_first_version_of_the_precipitation(tmp_path):
    """`pre` on latitude and longitude, south first, eastward before northward."""
    path = netcdf(tmp_path / "a.nc", "pre", "mm/day", DAYS, lat=LAT[::-1], values=PLANE[::-1])
    turned = xr.open_dataset(path).transpose("time", "lon", "lat").rename(lat="latitude", lon="longitude").load()
    turned.to_netcdf(tmp_path / "b.nc")
    found = gridded.read("chm_pre", "precipitation", tmp_path / "b.nc")
    np.testing.assert_allclose(found * 86400, PLANE * np.ones((3, 1, 1)), atol=1e-12)


@pytest.mark.parametrize(("quantity", "wrong"), [("thickness", "kg"), ("specific_yield", "m")])
def test_maps_of_the_aquifer(tmp_path, quantity, wrong):
    values = np.where(PLANE > 0.04, PLANE, -9999.0)
    unit = {"thickness": "m", "specific_yield": "%"}[quantity]
    factor = {"thickness": 1.0, "specific_yield": 0.01}[quantity]
    found = gridded.read("aquifer", quantity, geotiff(tmp_path / "a.tif", values, unit=unit))
    np.testing.assert_allclose(found, np.where(PLANE > 0.04, PLANE * factor, np.nan), rtol=1e-6)
    with pytest.raises(InputError, match="does not measure the same thing"):
        gridded.read("aquifer", quantity, geotiff(tmp_path / "b.tif", values, unit=wrong))
    with pytest.raises(InputError, match="is missing"):
        gridded.read("aquifer", quantity, tmp_path / "c.tif")
    cut = tmp_path / "a.tif"
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(InputError, match=r"a\.tif: cannot be read") as error:
        gridded.read("aquifer", quantity, cut)
    assert "\n" not in str(error.value)


SMALL = 1 / 1200  # degree, 3 seconds of arc
EDGE = 100.0 - SMALL / 2  # tiles begin half a pixel off whole degrees


def tiles(folder, **without):
    """Two tiles side by side, 8 by 8 pixels each: a river to the east, a sink, sea in the last columns."""
    folder.mkdir(exist_ok=True)
    codes = np.full((8, 16), 1)
    codes[0, 2], codes[:, 14:], codes[:, 13] = -1, -9, 0
    height = np.where(codes == -9, -9999.0, 100.0 - np.arange(16)) * np.ones((8, 1))
    area = np.where(codes == -9, -9999.0, 0.008 * np.arange(1, 17)) * np.ones((8, 1))
    width = np.where(codes == -9, -9999.0, np.where(np.arange(16) > 5, 35.0, 0.0)) * np.ones((8, 1))
    for number, name in enumerate(("n30e100", "n30e101")):
        part = slice(8 * number, 8 * number + 8)
        west = EDGE + 8 * SMALL * number
        for kind, values, form in (("dir", codes, "int16"), ("elv", height, "float32"), ("upa", area, "float32"),
                                   ("wth", width, "float32")):  # fmt: skip
            missing = -9 if kind == "dir" else -9999
            if without.get(kind) != name:
                geotiff(folder / f"{name}_{kind}.tif", values[:, part], west, 31.0 + SMALL / 2, SMALL, form, missing)
    return codes, height, area, width


def test_tiles_of_merit_hydro_are_put_together(tmp_path):
    codes, height, area, width = tiles(tmp_path / "tiles")
    found = merit.Mosaic.of(tmp_path / "tiles")
    whole = slice(0, 8), slice(0, 16)
    direction, dry = found.directions(*whole)
    land = codes != -9
    np.testing.assert_array_equal(dry, land)
    elevation = found.elevation(*whole, dry)
    np.testing.assert_allclose(elevation[land], height[land])
    assert np.isnan(elevation[~land]).all()
    np.testing.assert_allclose(found.values("upa", *whole)[land], area[land], rtol=1e-6)
    np.testing.assert_allclose(found.values("wth", *whole)[land], width[land])
    assert direction[0, 2] == hydrography.SINK
    assert (direction[:, 13] == hydrography.OUTLET).all()
    assert (direction[1:, :13] == 1).all()
    np.testing.assert_allclose(found.x, 100.0 + SMALL * np.arange(16), atol=1e-9)
    np.testing.assert_allclose(found.y, 31.0 - SMALL * np.arange(8), atol=1e-9)
    part = merit.Mosaic.of(tmp_path / "tiles", (30.9965, 31.0, 100.0021, 100.0079))
    assert part.shape == (4, 7)
    direction, dry = part.directions(slice(0, 4), slice(0, 7))
    assert (direction[:, -1] == hydrography.OUTLET).all()  # the region ends there
    np.testing.assert_allclose(part.elevation(slice(0, 4), slice(0, 7), dry), height[1:5, 3:10])
    pixel = rasters.pixel_area(found.y, found.x)
    np.testing.assert_allclose(pixel[0, 0], (6.371e6 * np.deg2rad(SMALL)) ** 2 * np.cos(np.deg2rad(31.0)), rtol=1e-6)


def heights(folder):
    """Altitudes of all pixels of a folder."""
    mosaic = merit.Mosaic.of(folder)
    every = slice(0, mosaic.shape[0]), slice(0, mosaic.shape[1])
    return mosaic.elevation(*every, mosaic.directions(*every)[1])


def test_a_tile_of_sea_may_lack_and_others_may_not(tmp_path):
    tiles(tmp_path / "a", elv="n30e101")
    with pytest.raises(InputError, match=r"n30e101_elv\.tif: is missing"):
        heights(tmp_path / "a")
    tiles(tmp_path / "b", wth="n30e100")
    assert np.isnan(merit.Mosaic.of(tmp_path / "b").values("wth", slice(0, 8), slice(0, 8))).all()
    with pytest.raises(InputError, match="holds no tile"):
        heights(tmp_path / "none")
    with pytest.raises(InputError, match="reaches into the region"):
        merit.Mosaic.of(tmp_path / "b", (10.0, 11.0, 100.0, 101.0))
    geotiff(tmp_path / "b" / "n30e102_dir.tif", np.full((8, 8), 1), EDGE + 16.4 * SMALL, 31.0, SMALL, "int16", -9)
    geotiff(tmp_path / "b" / "n30e102_elv.tif", np.full((8, 8), 5.0), EDGE + 16.4 * SMALL, 31.0, SMALL)
    with pytest.raises(InputError, match="does not lie on the grid of the other tiles"):
        heights(tmp_path / "b")


def test_wrong_and_cut_tiles_of_merit_hydro_are_told(tmp_path):
    tiles(tmp_path / "a")
    path = tmp_path / "a" / "n30e100_elv.tif"
    geotiff(path, np.full((8, 8), 5.0), EDGE, 31.0 + SMALL / 2, SMALL, unit="kg")
    with pytest.raises(InputError, match="does not measure the same thing as 'm'"):
        heights(tmp_path / "a")
    path.write_bytes(path.read_bytes()[:350])
    with pytest.raises(InputError, match=r"n30e100_elv\.tif: cannot be read"):
        heights(tmp_path / "a")
    tiles(tmp_path / "b")
    geotiff(tmp_path / "b" / "n30e100_elv.tif", np.full((8, 8), -9999.0), EDGE, 31.0 + SMALL / 2, SMALL)
    with pytest.raises(InputError, match="64 pixels of land have no elevation"):
        heights(tmp_path / "b")


SQUARES = [shapely.box(100.0, 30.0, 100.1, 30.1), shapely.box(100.4, 30.4, 100.42, 30.42)]
AREAS = [shapely.transform(s, lambda p: np.stack(pyproj.Transformer.from_crs(4326, CRS, always_xy=True).transform(
    *p.T), axis=1)).area / 1e6 for s in SQUARES]  # fmt: skip
LAKES = {
    "Hylak_id": [1234, 98765], "Lake_area": np.round(AREAS, 2),
    "Vol_total": np.round([10.0 * AREAS[0], 3.0 * AREAS[1]], 2),
    "Depth_avg": [10.0, 3.0], "Elevation": [4720, 31], "Pour_long": [100.05, 100.41], "Pour_lat": [30.0, 30.4],
}  # fmt: skip


@pytest.mark.parametrize("name", ["HydroLAKES_polys_v10.shp", "lakes.gpkg"])
def test_lakes_of_hydrolakes(tmp_path, name):
    found = vectors.read_lakes(shapes(tmp_path / name, SQUARES, LAKES), CRS)
    assert found.number.tolist() == [1234, 98765]
    np.testing.assert_allclose(found.area, np.array(AREAS) * 1e6, rtol=1e-2)
    np.testing.assert_allclose([p.area for p in found.polygons], found.area, rtol=1e-2)
    np.testing.assert_allclose(found.volume / found.area, found.mean_depth, rtol=1e-2)
    assert found.altitude.tolist() == [4720, 31]
    assert found.outlet_longitude.tolist() == [100.05, 100.41]
    assert found.outlet_latitude.tolist() == [30.0, 30.4]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Lake_area": np.array(AREAS) * 1e6}, "field Lake_area: must be in km2, but is 1e\\+06 times"),
        ({"Vol_total": LAKES["Vol_total"] / 1e3}, "field Vol_total: must be in millions of m3, but is 0.001 times"),
        ({"Depth_avg": None}, "field Depth_avg: is missing; the file holds Hylak_id, Lake_area"),
        ({"Elevation": ["high", "low"]}, "field Elevation: must hold numbers"),
    ],
)
def test_wrong_lakes_are_told(tmp_path, change, told):
    fields = {name: values for name, values in (LAKES | change).items() if values is not None}
    with pytest.raises(InputError, match=told):
        vectors.read_lakes(shapes(tmp_path / "lakes.gpkg", SQUARES, fields), CRS)


def test_cut_polygons_are_told(tmp_path):
    path = shapes(tmp_path / "lakes.gpkg", SQUARES, LAKES)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"lakes\.gpkg") as error:
        vectors.read_lakes(path, CRS)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="is missing"):
        vectors.read_glaciers(tmp_path / "none.shp", CRS)


RGI6 = {"RGIId": ["RGI60-13.00001", "RGI60-13.00002"], "Area": AREAS, "Zmin": [5000, -999], "Zmed": [5400, -999],
        "Zmax": [6000, -999]}  # fmt: skip
RGI7 = {"rgi_id": ["RGI2000-v7.0-G-13-00001", "RGI2000-v7.0-G-13-00002"], "area_km2": AREAS,
        "zmin_m": [5000.5, 5100.0], "zmed_m": [5400.0, 5300.0], "zmax_m": [6000.0, 5700.0]}  # fmt: skip


@pytest.mark.parametrize("fields", [RGI6, RGI7])
def test_outlines_of_both_versions(tmp_path, fields):
    found = vectors.read_glaciers(shapes(tmp_path / "rgi.shp", SQUARES, fields), CRS)
    key, area, lowest, *_ = fields
    assert found.identifier.tolist() == fields[key]
    np.testing.assert_allclose(found.area, np.array(AREAS) * 1e6)
    assert found.lowest[0] == fields[lowest][0]
    assert np.isnan(found.middle[1]) == (fields is RGI6)
    wrong = fields | {area: np.array(AREAS) * 100}  # in hectares
    with pytest.raises(InputError, match="field area: must be in km2, but is 100 times"):
        vectors.read_glaciers(shapes(tmp_path / "ha.shp", SQUARES, wrong), CRS)
    lacking = {name: values for name, values in fields.items() if name != key}
    with pytest.raises(InputError, match="field rgi_id or RGIId: is missing"):
        vectors.read_glaciers(shapes(tmp_path / "no.shp", SQUARES, lacking), CRS)


@pytest.mark.real_data
def test_an_outline_of_the_inventory_itself(real_data):
    found = vectors.read_glaciers(real_data / "nam_co_terrain" / "Shapefiles" / "Zhadang_RGI6.shp", CRS)
    assert len(found.polygons) == 1
    assert found.identifier[0].startswith("RGI60-13.")
    np.testing.assert_allclose(found.polygons[0].area, found.area[0], rtol=0.02)
    assert 5000 < found.lowest[0] < found.middle[0] < found.highest[0] < 7000


@pytest.mark.parametrize("legend", list(legends.TABLES))
def test_every_class_of_a_legend_has_one_of_the_model(legend):
    table = legends.TABLES[legend]
    codes = np.array([list(table)], float)
    found = legends.to_usgs(codes, legend)
    np.testing.assert_array_equal(found[0], list(table.values()))
    assert set(found.ravel()) <= set(range(25))
    assert legends.to_usgs(np.array([np.nan]), legend)[0] == 0
    with pytest.raises(InputError, match=rf"codes of the legend {legend}, but holds \[37"):
        legends.to_usgs(np.array([1.0 if legend in ("usgs", "igbp") else 10.0, 37.0, np.nan]), legend)


def test_legends_by_hand():
    assert legends.to_usgs(np.array([[1, 16, 24, 100]]), "usgs").tolist() == [[1, 16, 24, 0]]
    assert legends.to_usgs(np.array([1, 12, 13, 15, 17]), "igbp").tolist() == [14, 2, 1, 24, 16]
    assert legends.to_usgs(np.array([50, 190, 210, 220]), "esa_cci").tolist() == [13, 1, 16, 24]
    assert legends.to_usgs(np.array([10, 50, 80, 70]), "esa_worldcover").tolist() == [15, 1, 16, 24]
    with pytest.raises(InputError, match="must be one of usgs, igbp"):
        legends.to_usgs(np.array([1]), "corine")
