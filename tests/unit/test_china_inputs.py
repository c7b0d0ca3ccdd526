"""Every reader of the recipe `china` as a user meets it: faults end in one line, odd forms give the same."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_sources import FORM, LAT, LON, prepare, pyogrio, rasterio, write_rest, write_tiles, write_weather


def write(folder):
    """All sources."""
    write_tiles(folder / "merit_hydro")
    write_weather(folder)
    write_rest(folder)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A folder with every source."""
    return write(tmp_path_factory.mktemp("sources"))


@pytest.fixture
def part(sources, tmp_path):
    """Gives a copy of drainage and some other sources, to be spoilt."""

    def copy(*names):
        for name in ("merit_hydro", *names):
            for path in (sources / name).rglob("*"):
                target = tmp_path / "sources" / path.relative_to(sources)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        return tmp_path / "sources"

    return copy


def refused(capsys, folder, *words):
    """The one line with which a run is refused; it leaves no domain."""
    capsys.readouterr()
    target = folder.parent / "out"
    assert prepare(folder, target, "china.resolution=4000", *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if "Traceback" in line]
    assert [line for line in lines if "error" in line] == lines[-1:]
    assert not (target / "domain.nc").exists()
    assert not [path for path in target.rglob("*") if path.name.startswith(".")] if target.exists() else True
    return lines[-1]


def again(path, change, form="NETCDF4"):
    """Write a netCDF file again, changed."""
    with xr.open_dataset(path, decode_times=False) as dataset:
        changed = change(dataset.load())
    changed.to_netcdf(path, format=form)


WEATHER = ("t2m", "d2m", "sp", "u10", "v10", "ssrd", "strd", "tp")
# folder, file, variable
NETCDF = [
    ("hwsd", "T_CLAY.nc4", "T_CLAY"), ("hwsd", "T_SAND.nc4", "T_SAND"),
    ("lai", "RG_35_100_30_105.MOD2005.nc", "MONTHLY_LC_LAI"),
    ("chm_pre", "CHM_PRE_V2_daily_2004.nc", "prec"), ("gleam", "Ep_2004_GLEAM_v4.1a.nc", "Ep"),
    *[("era5_land", f"{name}.nc", name) for name in WEATHER],
]  # fmt: skip


def beside(folder):
    """What a source is of no use without."""
    return {"chm_pre": ("era5_land",), "gleam": ("era5_land",)}.get(folder, ())


@pytest.mark.parametrize(("folder", "file", "name"), NETCDF)
def test_a_wrong_unit(part, capsys, folder, file, name):
    unit = ("furlong", "kg", "")[len(name) % 3]
    where = part(folder, *beside(folder))
    again(where / folder / file, lambda d: d.assign({name: d[name].assign_attrs(units=unit)}))
    told = refused(capsys, where)
    assert f"{file}: variable {name}: " in told
    assert {"furlong": "is not understood", "kg": "does not measure the same thing", "": "no `units`"}[unit] in told


@pytest.mark.parametrize(("folder", "file", "name"), NETCDF)
def test_a_file_that_is_cut_off(part, capsys, folder, file, name):
    """Of the classic format, in which the library reads zeros beyond the end."""
    where = part(folder, *beside(folder))
    path = where / folder / file
    again(path, lambda d: d, "NETCDF3_64BIT")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert f"{file}: is cut off, " in refused(capsys, where)


@pytest.mark.parametrize(
    ("folder", "file", "name", "line"),
    [
        ("hwsd", "T_CLAY.nc4", "T_CLAY", "no file holds T_CLAY"),
        ("chm_pre", "CHM_PRE_V2_daily_2004.nc", "prec", "no file holds precipitation"),
        ("era5_land", "t2m.nc", "t2m", "no file holds t2m"),
        ("era5_land", "tp.nc", "tp", "no file holds precipitation"),
        ("gleam", "Ep_2004_GLEAM_v4.1a.nc", "Ep", "variable Ep: is missing; the file holds nonsense"),
    ],
)
def test_a_missing_variable(part, capsys, folder, file, name, line):
    where = part(folder, *beside(folder))
    again(where / folder / file, lambda d: d.rename({name: "nonsense"}))
    assert line in refused(capsys, where)


def test_no_tile_of_leaves_holds_leaves(part, capsys):
    where = part("lai")
    for path in (where / "lai").iterdir():
        again(path, lambda d: d.rename(MONTHLY_LC_LAI="nonsense"))
    assert "no file holds lai or LAI or MONTHLY_LC_LAI" in refused(capsys, where)


@pytest.mark.parametrize("name", ["d2m", "sp", "u10", "ssrd", "strd"])
def test_weather_that_can_be_replaced_is_told(part, capsys, name):
    """A file that holds nothing known is named; what it should hold is derived, which the report says."""
    where = part("era5_land")
    again(where / "era5_land" / f"{name}.nc", lambda d: d.rename({name: "nonsense"}))
    assert prepare(where, where.parent / "out", "china.resolution=4000") == 0
    told = capsys.readouterr().err
    assert f"{name}.nc: holds nothing that is read (nonsense)" in told
    derived = {"d2m": "specific_humidity", "sp": "air_pressure", "u10": "wind_speed", "ssrd": "shortwave_down"}
    if name in derived:
        assert f"{derived[name]}: not in the files, " in (where.parent / "out" / "preparation.txt").read_text()


@pytest.mark.parametrize(("name", "most"), [("thickness", None), ("specific_yield", "must be at most 1.0")])
def test_maps_of_the_aquifer(part, capsys, name, most):
    """In another unit, upside down, in percent without saying so, cut off."""
    where = part("aquifer")
    path = where / "aquifer" / f"{name}.tif"
    with rasterio.open(path, "r+") as file:
        file.set_band_unit(1, "kg")
    assert f"{name}.tif: variable band 1: " in refused(capsys, where)
    with rasterio.open(path, "r+") as file:
        file.set_band_unit(1, "")
        file.write(np.full((12, 14), 11.0, "float32"), 1)
    if most:
        assert most in refused(capsys, where)
    with rasterio.open(path, "r+") as file:
        place = file.transform
        file.transform = rasterio.Affine(place.a, 0, place.c, 0, -place.e, place.f + 12 * place.e)
    assert "rows must run from north to south" in refused(capsys, where)
    path.write_bytes(path.read_bytes()[:400])
    assert f"{name}.tif: cannot be read as a raster" in refused(capsys, where)


def rewrite(path, change):
    """Write a band of a GeoTIFF again."""
    with rasterio.open(path, "r+") as file:
        file.write(change(file.read(1)), 1)


def test_tiles_of_merit_hydro(part, capsys):
    """Directions in another code, altitudes in another unit or none, a tile gone, upside down, cut off."""
    where = part()
    path = where / "merit_hydro" / "n30e100_dir.tif"
    whole = path.read_bytes()
    rewrite(path, lambda codes: np.where(codes == 1, 6, codes))  # PCRaster has 6 for east
    told = refused(capsys, where)
    assert "must hold D8 codes, but holds [6]" in told
    assert "merit_hydro" in told
    path.write_bytes(whole)
    heights = where / "merit_hydro" / "n30e100_elv.tif"
    own = heights.read_bytes()
    rewrite(heights, lambda values: np.where(values > 0, values * 100, values))  # cm
    told = refused(capsys, where)
    assert "n30e100_elv.tif" in told
    assert "must be at most 9000" in told
    heights.write_bytes(own)
    with rasterio.open(heights, "r+") as file:
        file.set_band_unit(1, "s")
    assert "n30e100_elv.tif: variable band 1: the unit 's'" in refused(capsys, where)
    heights.write_bytes(own[: len(own) // 2])
    assert "n30e100_elv.tif: cannot be read as a raster" in refused(capsys, where)
    heights.unlink()
    assert "n30e100_elv.tif: is missing" in refused(capsys, where)
    heights.write_bytes(own)
    with rasterio.open(path, "r+") as file:
        place = file.transform
        file.transform = rasterio.Affine(place.a, 0, place.c, 0, -place.e, place.f)
    assert "n30e100_dir.tif: rows must run from north to south" in refused(capsys, where)


def test_land_cover_of_another_legend_or_none(part, capsys):
    where = part("land_cover")
    path = where / "land_cover" / "glcc.tif"
    rewrite(path, lambda codes: np.where(codes == 7, 210, codes))
    assert "glcc.tif: Argument `classes` must hold codes of the legend usgs, but holds [210.0]" in refused(
        capsys, where
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "glcc.tif: cannot be read as a raster" in refused(capsys, where)


@pytest.mark.parametrize(
    ("ending", "folder", "field", "factor", "line"),
    [
        ("shp", "hydrolakes", "Lake_area", 100.0, "field Lake_area: must be in km2, but is 100 times"),
        ("gpkg", "hydrolakes", "Vol_total", 1e-3, "field Vol_total: must be in millions of m3, but is 0.001 times"),
        ("shp", "hydrolakes", "Depth_avg", None, "field Depth_avg: is missing"),
        ("gpkg", "rgi", "area_km2", 1e6, "field area: must be in km2, but is 1e+06 times"),
        ("shp", "rgi", "rgi_id", None, "field rgi_id or RGIId: is missing"),
    ],
)
def test_polygons(part, capsys, ending, folder, field, factor, line):
    where = part(folder)
    path = where / folder / "polygons.shp"
    meta, _, shapes, columns = pyogrio.raw.read(path)
    fields = dict(zip(meta["fields"], columns, strict=True))
    if factor is None:
        del fields[field]
    else:
        fields[field] = fields[field] * factor
    for old in (where / folder).iterdir():
        old.unlink()
    told = {"geometry_type": "Polygon", "fields": list(fields), "crs": "EPSG:4326"}
    pyogrio.raw.write(path.with_suffix(f".{ending}"), shapes, list(fields.values()), **told)
    found = refused(capsys, where)
    assert f"polygons.{ending}: {line}" in found


@pytest.mark.parametrize("ending", ["shp", "dbf", "shx", "prj"])
def test_every_part_of_a_shapefile_is_needed(part, capsys, ending):
    where = part("hydrolakes")
    path = where / "hydrolakes" / f"polygons.{ending}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "polygons.shp: " in refused(capsys, where)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("gauges.csv", "gauge_id,lon,area_km2\nA,100.3,5\n", "line 1: the columns are gauge_id, lon, area_km2"),
        ("gauges.csv", "gauge_id,lon,lat,area_km2\nA,100.3,north,5\n", "line 2: lat is 'north'"),
        ("gauges.csv", "gauge_id,lon,lat,area_km2\nA,10.3,30.4,5\n", "lies outside the active cells"),
        ("gauges.csv", "gauge_id,lon,lat,area_km2\nA,100.3,30.4,-5\n", "area_km2 is -5; it must be above 0"),
        ("gauges.csv", "", "cannot be read as a table"),
        ("lakes.csv", "number\n7\n", "line 1: the columns are number; needed is lake"),
        ("lakes.csv", "lake,patch\n7,3\n", "line 2: patch is '3'"),
    ],
)
def test_tables(part, capsys, name, text, line):
    where = part("hydrolakes")
    (where / name).write_text(text)
    told = refused(capsys, where)
    assert name in told
    assert line in told


def test_sums_of_every_hour_are_no_accumulations(part, capsys):
    """Light that falls to nothing at night was not summed from midnight: the hourly sums of another product."""
    where = part("era5_land")
    hours = xr.open_dataset(where / "era5_land" / "ssrd.nc").valid_time.dt.hour
    sun = np.maximum(np.cos(2 * np.pi * (hours.values - 12) / 24), 0.0)[:, None, None] * 2e6
    again(where / "era5_land" / "ssrd.nc", lambda d: d.assign(ssrd=d.ssrd.copy(data=sun + 0.0 * d.ssrd.values)))
    told = refused(capsys, where)
    assert "shortwave_down: must be summed from 00 UTC, but falls within a day" in told


def test_two_files_that_contradict_one_another(part, capsys):
    """Daily means and maxima bear one name; the same hours in two files are no contradiction."""
    where = part("era5_land")
    path = where / "era5_land" / "t2m.nc"
    (where / "era5_land" / "t2m_again.nc").write_bytes(path.read_bytes())
    assert prepare(where, where.parent / "twice", "china.resolution=4000") == 0
    again(path, lambda d: d.assign(t2m=d.t2m + 2.0))
    assert "two files tell different air_temperature on 2004-02-27" in refused(capsys, where)


ODD = [
    {"south_first": True},
    {"packed": True, "format": "NETCDF3_64BIT"},
    {"east": -200.0},
    {"east": -200.0, "from_zero": True, "south_first": True, "packed": True},
]


@pytest.fixture(scope="module")
def plain(sources, tmp_path_factory):
    """What plain forms give."""
    target = tmp_path_factory.mktemp("plain")
    assert prepare(sources, target, "china.resolution=4000") == 0
    return target


@pytest.mark.parametrize("form", ODD)
def test_odd_forms_give_the_same(plain, tmp_path, monkeypatch, form):
    """Flipped latitudes, longitudes from 0 to 360, packed values, the classic format, axes as of the present store."""
    for name, value in form.items():
        monkeypatch.setitem(FORM, name, value)
    folder = write(tmp_path / "sources")
    monkeypatch.undo()
    assert prepare(folder, tmp_path / "odd", "china.resolution=4000") == 0
    for name in ("domain.nc", "forcing_2004.nc"):
        wanted, odd = (xr.open_dataset(where / name) for where in (plain, tmp_path / "odd"))
        if name.startswith("forcing"):
            np.testing.assert_allclose(odd.lon, wanted.lon + form.get("east", 0.0), atol=1e-9)
        assert set(odd.data_vars) == set(wanted.data_vars)
        for key, values in wanted.data_vars.items():
            if values.dtype.kind == "f" and key != "longitude":
                np.testing.assert_allclose(odd[key], values, rtol=1e-3, atol=1e-6, err_msg=f"{name} {key}")


def test_daily_files_of_the_reanalysis(sources, tmp_path):
    """Means of days stamped at their start, sums at the midnight that ends them, over a leap day."""
    folder = tmp_path / "sources"
    (folder / "era5_land").mkdir(parents=True)
    (folder / "merit_hydro").symlink_to(sources / "merit_hydro")
    for name in WEATHER:
        hourly = xr.open_dataset(sources / "era5_land" / f"{name}.nc")
        if name in ("tp", "ssrd", "strd"):
            day = hourly.isel(valid_time=hourly.valid_time.dt.hour == 0).isel(valid_time=slice(1, None))
        else:
            day = hourly.resample(valid_time="1D").mean().isel(valid_time=slice(0, 5))
            day[name].attrs = hourly[name].attrs
        day.to_netcdf(folder / "era5_land" / f"{name}.nc")
    assert prepare(folder, tmp_path / "daily", "china.resolution=4000") == 0
    made = xr.open_dataset(tmp_path / "daily" / "forcing_2004.nc")
    assert [str(t)[5:10] for t in made.time.values] == ["02-27", "02-28", "02-29", "03-01", "03-02"]
    np.testing.assert_allclose(made.precipitation * 86400, 2.4, rtol=1e-6)
    np.testing.assert_allclose(made.shortwave_down, 200.0, rtol=1e-6)
    np.testing.assert_allclose(made.longwave_down, 300.0, rtol=1e-6)
    np.testing.assert_allclose(made.air_temperature, 283.0, atol=1e-3)
    np.testing.assert_allclose(made.air_temperature_max - made.air_temperature_min, 10.0, rtol=0.5)  # a usual range


def test_weather_belongs_to_the_altitude_of_the_reanalysis(part, capsys):
    """Its geopotential, of one time and with longitudes from 0 as it is published, instead of the terrain."""
    where = part("era5_land")
    with xr.open_dataset(where / "era5_land" / "t2m.nc") as air:
        lat, lon = air.latitude.values, air.longitude.values
    height = 2000.0 + 100.0 * (lat[:, None] - 30.0) + 50.0 * (lon - 100.0)
    data = xr.Dataset({"z": (("time", "latitude", "longitude"), 9.80665 * height[None], {"units": "m**2 s**-2"})})
    axes = {"time": [np.datetime64("2000-01-01")], "latitude": lat, "longitude": lon % 360.0}
    data.assign_coords(axes).to_netcdf(where / "era5_land" / "geo.nc")
    assert prepare(where, where.parent / "out", "china.resolution=4000") == 0
    made = xr.open_dataset(where.parent / "out" / "forcing_2004.nc")
    wanted = 2000.0 + 100.0 * (made.lat - 30.0) + 50.0 * (made.lon - 100.0)
    np.testing.assert_allclose(made.surface_altitude, wanted, atol=0.01)


def test_gauges_are_screened(sources, tmp_path, capsys):
    """Records, reservoirs and withdrawals decide; every drop has its reasons; files hold the kept gauges alone."""
    folder, target = tmp_path / "sources", tmp_path / "made"
    folder.mkdir()
    (folder / "merit_hydro").symlink_to(sources / "merit_hydro")
    upstream = np.hstack([
        rasterio.open(sources / "merit_hydro" / f"{tile}_upa.tif").read(1) for tile in ("n30e100", "n30e101")
    ])  # fmt: skip
    mouth = np.unravel_index(int(np.argmax(upstream)), upstream.shape)
    head = (10, 12)
    (folder / "gauges.csv").write_text(
        "gauge_id,lon,lat,area_km2,name\n"
        f"A1,{LON[mouth[1]] - 0.01},{LAT[mouth[0]]},{upstream.max():.2f},Mouth\n"
        f"B2,{LON[head[1]]},{LAT[head[0]]},,Head\n"
        f"C3,{LON[40]},{LAT[50]},,Short\n"
    )
    time = pd.date_range("1962-01-01", "1969-12-31")
    flow = np.full((3, time.size), 4.0)
    flow[2, time.year > 1963] = np.nan
    data = xr.Dataset({"discharge": (("gauge", "time"), flow, {"units": "m3 s-1"})}, {"time": time})
    data.assign_coords(gauge_id=("gauge", ["A1", "B2", "C3"])).to_netcdf(folder / "observations.nc")
    near = f"{LON[mouth[1]] - 0.01},{LAT[mouth[0]]},{upstream.max():.2f}"
    year = 4.0 * 365.25 * 86400 / 1e6
    (folder / "reservoirs.csv").write_text(
        "lon,lat,area_km2,capacity_million_m3,year\n"
        f"{near},{0.02 * year},1960\n{near},{0.04 * year},\n{near},{9 * year},1985\n10.0,50.0,,999,1950\n"
    )
    (folder / "withdrawals.csv").write_text(f"lon,lat,area_km2,withdrawal_m3_s\n{near},0.3\n")
    words = ("china.record_start=1962-01-01", "china.record_end=1969-12-31")
    assert prepare(folder, target, *words) == 0
    table = pd.read_csv(target / "screening.csv").set_index("gauge_id")
    np.testing.assert_allclose(table.degree_of_regulation, [0.06, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(table.withdrawal_ratio, [0.075, 0.0, 0.0], atol=1e-6)
    assert table.years.tolist() == [8, 8, 2]
    assert table.kept.tolist() == [False, True, False]
    assert table.reason["A1"] == "degree of regulation of 5% or more"
    assert table.reason["C3"] == "fewer than 5 complete years"
    assert pd.read_csv(target / "gauges.csv").gauge_id.tolist() == ["B2"]
    assert pd.read_csv(target / "attributes.csv").gauge_id.tolist() == ["B2"]
    with xr.open_dataset(target / "observations.nc") as kept:
        assert kept.gauge_id.values.tolist() == ["B2"]
        np.testing.assert_array_equal(kept.discharge, 4.0)
    report = (target / "preparation.txt").read_text()
    assert "gauges screened over 1962-01-01 to 1969-12-31" in report
    assert "reservoirs.csv: 2 of 4 places count" in report
    assert "gauges kept: 1 of 3" in report
    assert prepare(folder, target, *words, "china.least_years=9") == 0
    assert not (target / "gauges.csv").exists()
    (folder / "withdrawals.csv").write_text("lon,lat,withdrawal_m3_s\n100.3,30.4,-1\n")
    assert "withdrawals.csv: line 2: withdrawal_m3_s is -1; it must be at least 0" in refused(capsys, folder)
    (folder / "withdrawals.csv").write_text("lon,lat\n100.3,30.4\n")
    assert "needed is withdrawal_m3_s" in refused(capsys, folder)
