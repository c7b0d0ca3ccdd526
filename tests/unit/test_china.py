"""The recipe `china` on a made-up land in the formats of the providers: whole, in part, and with faulty files."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from made_sources import (
    DAYS,
    LAT,
    LON,
    prepare,
    pyogrio,
    rasterio,
    shapely,
    terrain,
    write_rest,
    write_tiles,
    write_weather,
)

from chase_jax import cli
from chase_jax.checks import InputError
from chase_jax.io import domain_store
from data_prep import china, gridded, rasters, relief


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with every source, and what is made of it."""
    folder = tmp_path_factory.mktemp("sources")
    upstream = write_tiles(folder / "merit_hydro")
    write_weather(folder)
    write_rest(folder)
    river = np.argwhere(upstream == upstream.max())[0]
    row, column = river
    (folder / "gauges.csv").write_text(
        "gauge_id,lon,lat,area_km2,name\n"
        f"A1,{LON[column] - 0.01},{LAT[row]},{upstream.max():.2f},Mouth\n"
        f"B2,{LON[30]},{LAT[10]},,Unknown area\n"
    )
    target = tmp_path_factory.mktemp("made")
    assert prepare(folder, target) == 0
    return folder, target, upstream


def test_the_domain_and_the_weather_pass_the_check(whole, capsys):
    _, target, _ = whole
    capsys.readouterr()
    assert cli.main(["check", f"domain.path={target}/domain.nc", "scope=domain"]) == 0
    assert "the domain is valid" in capsys.readouterr().out
    words = [
        f"domain.path={target}/domain.nc",
        f"forcing.path={target}/forcing_*.nc",
        f"gauges.path={target}/gauges.csv",
    ]
    assert cli.main(["check", *words, "period.start=2004-02-27", "period.end=2004-03-02"]) == 0
    assert "all inputs are valid" in capsys.readouterr().out
    for name in ("domain.png", "forcing.png"):
        assert (target / name).read_bytes()[1:4] == b"PNG"


def test_nothing_is_missing_when_all_is_there(whole):
    report = (whole[1] / "preparation.txt").read_text()
    assert report.count("missing") == 1
    assert "missing: Polygons of floodplains" in report
    assert "weather of 5 days; precipitation of CHM_PRE" in report
    assert "lakes of HydroLAKES: 2 on the grid, 1 of them of less than half a cell" in report
    assert "beyond the region pass 0 of" in report


def test_areas_are_those_of_the_tiles(whole):
    _, target, upstream = whole
    domain = domain_store.open_domain(target / "domain.nc")
    land = rasters.pixel_area(LAT, LON)[terrain()[1]].sum()
    np.testing.assert_allclose(np.asarray(domain.cell_area).sum(), land, rtol=0.05)
    gauges = pd.read_csv(target / "gauges.csv").set_index("gauge_id")
    np.testing.assert_allclose(gauges.loc["A1", "area_km2"], upstream.max(), rtol=1e-3)
    told = next(line for line in (target / "preparation.txt").read_text().splitlines() if line.startswith("gauge A1"))
    assert f"MERIT Hydro {upstream.max():.0f} km2" in told
    found = np.asarray(domain.drainage.upstream_area)
    assert abs(found.max() / 1e6 / upstream.max() - 1) < 0.15  # squares of 4 km2 on a river of some 100


def test_maps_are_those_of_the_sources(whole):
    maps = xr.open_dataset(whole[1] / "domain.nc")
    on = maps.active.values > 0

    def values(name):
        return maps[name].values[..., on]

    np.testing.assert_allclose(values("clay_fraction"), 0.31)
    np.testing.assert_allclose(values("sand_fraction"), 0.44)  # filled where the map ends
    np.testing.assert_allclose(values("aquifer_thickness"), 40.0)
    np.testing.assert_allclose(values("specific_yield"), 0.11, rtol=1e-6)
    np.testing.assert_allclose(values("leaf_area_index").mean(axis=1), 1.0 + np.arange(12) / 11)
    np.testing.assert_allclose(values("mean_precipitation"), 7.0 * 365.25, rtol=1e-6)
    np.testing.assert_allclose(values("mean_potential_evapotranspiration"), 3.0 * 365.25, rtol=1e-6)
    np.testing.assert_allclose(values("mean_air_temperature"), 283.0, atol=1e-3)
    transform = pyproj.Transformer.from_crs(maps.crs.attrs["crs_wkt"], 4326, always_xy=True)
    lon, lat = transform.transform(*np.meshgrid(maps.x.values, maps.y.values))
    edge = 99.9 + 90 * 0.005
    clear = np.abs(lon - edge) > 0.005
    np.testing.assert_array_equal(maps.vegetation_class.values[on & clear], np.where(lon < edge, 7, 2)[on & clear])
    assert 33.0 in values("channel_width")
    height, land = terrain()
    filled = relief.drainage(height, land)[1].astype("float32")
    back = pyproj.Transformer.from_crs(4326, maps.crs.attrs["crs_wkt"], always_xy=True)
    east, north = back.transform(*np.meshgrid(LON, LAT))
    for row, column in np.argwhere(on)[::17]:
        near = np.maximum(np.abs(east - maps.x.values[column]), np.abs(north - maps.y.values[row])) < 1000.0
        np.testing.assert_allclose(maps.mean_altitude.values[row, column], filled[near & land].mean(), rtol=1e-6)
    inside = (lon > 100.31) & (lon < 100.37) & (lat > 30.43) & (lat < 30.49)
    assert (maps.lake_index.values[inside] == 7).all()
    assert (maps.lake_patch.values[inside] == 1).all()
    assert (maps.lake_index.values == 9).sum() == 1
    deep = (maps.lake_sill_altitude - maps.lake_bed_altitude).values[maps.lake_patch.values == 1]
    np.testing.assert_allclose(deep.mean(), 12.0)
    icy = (lon < 100.24) & (lat > 30.57) & on
    assert maps.glacier_fraction.values[icy].min() > 0.9
    assert maps.glacier_fraction.values[on & (lat < 30.5)].max() == 0.0


def test_lakes_as_a_person_wants_them(whole, tmp_path):
    """The pond stays one cell, the lake is lowered by an offset, a floodplain beside it joins; ice by land cover."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("merit_hydro", "hydrolakes"):
        (folder / name).symlink_to(whole[0] / name)
    (folder / "lakes.csv").write_text("lake,patch,offset\n7,,4.0\n9,1,\n")
    (folder / "floodplains").mkdir()
    flood = [shapely.box(100.38, 30.42, 100.44, 30.5)]
    told = {"geometry_type": "Polygon", "fields": ["name"], "crs": "EPSG:4326"}
    pyogrio.raw.write(folder / "floodplains" / "a.gpkg", shapely.to_wkb(flood), [np.array(["x"])], **told)
    (folder / "land_cover").mkdir()
    layout = {"driver": "GTiff", "width": 200, "height": 200, "count": 1, "dtype": "uint8", "nodata": 100}
    classes = np.where((np.arange(200) < 70)[None, :] & (np.arange(200) % 2 == 0)[:, None], 24, 7).astype("uint8")
    with rasterio.open(
        folder / "land_cover" / "glcc.tif", "w", crs="EPSG:4326", **layout,
        transform=rasterio.Affine(0.005, 0, 99.9, 0, -0.005, 31.0),
    ) as file:  # fmt: skip
        file.write(classes, 1)
    assert prepare(folder, tmp_path / "out") == 0
    made, before = xr.open_dataset(tmp_path / "out" / "domain.nc"), xr.open_dataset(whole[1] / "domain.nc")
    grown, lake = made.lake_index.values == 7, before.lake_index.values == 7
    added = grown & ~lake
    assert 3 <= added.sum() <= 20
    assert (made.lake_patch.values[grown] == 1).all()
    assert (made.lake_patch.values[made.lake_index.values == 9] == 0).all()  # of one cell
    level, bed = float(made.lake_sill_altitude.values[grown][0]), made.lake_bed_altitude.values
    assert (made.lake_sill_altitude.values[grown] == level).all()
    altitude = made.mean_altitude.values
    np.testing.assert_allclose(bed[lake], np.minimum(altitude[lake], level) - 4.0)
    np.testing.assert_allclose(bed[added], altitude[added])
    assert f"floodplains: {int(added.sum())} cells" in (tmp_path / "out" / "preparation.txt").read_text()
    on = made.active.values > 0
    transform = pyproj.Transformer.from_crs(made.crs.attrs["crs_wkt"], 4326, always_xy=True)
    lon = transform.transform(*np.meshgrid(made.x.values, made.y.values))[0]
    ice, edge = made.glacier_fraction.values, 99.9 + 70 * 0.005
    dry = on & (made.lake_index.values == 0)
    np.testing.assert_allclose(ice[dry & (lon < edge - 0.012)], 0.5, atol=0.15)
    assert (ice[dry & (lon > edge + 0.012)] == 0.0).all()
    assert cli.main(["check", f"domain.path={tmp_path}/out/domain.nc", "scope=domain"]) == 0
    assert prepare(folder, tmp_path / "out", "china.patch_area=1000") == 0
    assert not (xr.open_dataset(tmp_path / "out" / "domain.nc").lake_patch.values > 0).any()


def test_weather_is_daily_and_complete(whole):
    made = xr.open_dataset(whole[1] / "forcing_2004.nc")
    assert [str(t)[:10] for t in made.time.values] == [str(t)[:10] for t in DAYS]
    np.testing.assert_allclose(made.precipitation[:, 3, 3] * 86400, 5.0 + np.arange(5), rtol=1e-6)
    np.testing.assert_allclose(made.air_temperature, 283.0, atol=1e-3)
    np.testing.assert_allclose(made.air_temperature_max - made.air_temperature_min, 8.0, atol=1e-3)
    np.testing.assert_allclose(made.shortwave_down, 200.0, rtol=1e-6)
    np.testing.assert_allclose(made.longwave_down, 300.0, rtol=1e-6)
    np.testing.assert_allclose(made.wind_speed, 5.0, rtol=1e-6)  # of every hour, not of the mean wind
    np.testing.assert_allclose(made.specific_humidity, 0.0058, rtol=0.05)
    height, land = terrain()
    assert height[land].min() - 50 < float(made.surface_altitude.min()) < height[land].max() + 50


def test_what_is_missing_is_told_line_by_line(whole, tmp_path, capsys):
    """With drainage and terrain alone a domain is made; every other source is named, with where it is from."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "merit_hydro").mkdir()
    for path in (whole[0] / "merit_hydro").iterdir():
        if path.stem.endswith(("dir", "elv")):
            (folder / "merit_hydro" / path.name).write_bytes(path.read_bytes())
    assert prepare(folder, tmp_path / "out") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("missing: ")]
    lines = sorted(set(told))
    assert len(lines) == len(china.SOURCES)  # all but the drainage, and the gauges
    for source in ("hwsd", "glcc", "hydrolakes", "rgi", "chm_pre", "era5_land", "gleam", "leaf_area", "aquifer"):
        entry = gridded.catalog()[source]
        assert any(entry["title"] in line and entry["where"] in line for line in lines), source
    assert any("no weather is written" in line for line in lines)
    report = (tmp_path / "out" / "preparation.txt").read_text()
    assert all(line in report for line in lines)
    assert not list((tmp_path / "out").glob("forcing*"))
    assert cli.main(["check", f"domain.path={tmp_path}/out/domain.nc", "scope=domain"]) == 0


def test_rain_of_the_reanalysis_stands_in(whole, tmp_path, capsys):
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("merit_hydro", "era5_land"):
        (folder / name).symlink_to(whole[0] / name)
    assert prepare(folder, tmp_path / "out") == 0
    assert "precipitation of ERA5-Land" in capsys.readouterr().err
    made = xr.open_dataset(tmp_path / "out" / "forcing_2004.nc")
    np.testing.assert_allclose(made.precipitation * 86400, 2.4, rtol=1e-6)


def refused(capsys, folder, target, *words):
    """The one line with which a run is refused."""
    capsys.readouterr()
    assert prepare(folder, target, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1
    return lines[0]


def test_without_drainage_nothing_is_made(whole, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    told = refused(capsys, tmp_path / "empty", tmp_path / "out")
    assert "MERIT Hydro" in told
    assert "hydro.iis.u-tokyo.ac.jp" in told
    assert "it cannot be replaced" in told
    assert "no such folder" in refused(capsys, tmp_path / "nowhere", tmp_path / "out")
    assert "give all four or none" in refused(capsys, whole[0], tmp_path / "out", "china.south=30.4")
    edges = ("china.south=30.5", "china.north=30.4", "china.west=100.2", "china.east=100.4")
    assert "must lie below" in refused(capsys, whole[0], tmp_path / "out", *edges)
    assert "china.resolution is 300" in refused(capsys, whole[0], tmp_path / "out", "china.resolution=300")
    assert not (tmp_path / "out" / "domain.nc").exists()


@pytest.mark.parametrize(
    "name",
    ["hwsd/T_CLAY.nc4", "era5_land/t2m.nc", "chm_pre/CHM_PRE_V2_daily_2004.nc", "land_cover/glcc.tif",
     "hydrolakes/polygons.shp", "merit_hydro/n30e100_elv.tif", "gleam/Ep_2004_GLEAM_v4.1a.nc",
     "lai/RG_35_100_30_105.MOD2005.nc", "aquifer/thickness.tif", "rgi/polygons.shp"],
)  # fmt: skip
def test_a_cut_file_ends_in_one_line(whole, tmp_path, capsys, name):
    folder = tmp_path / "sources"
    for path in whole[0].rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(whole[0])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    cut = folder / name
    cut.write_bytes(cut.read_bytes()[: 120 if name.endswith("shp") else cut.stat().st_size // 2])
    told = refused(capsys, folder, tmp_path / "out")
    assert cut.name in told


def test_a_region_is_cut_out(whole, tmp_path):
    edges = ("china.south=30.35", "china.north=30.5", "china.west=100.25", "china.east=100.45")
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "merit_hydro").symlink_to(whole[0] / "merit_hydro")
    assert prepare(folder, tmp_path / "out", *edges) == 0
    maps = xr.open_dataset(tmp_path / "out" / "domain.nc")
    km2 = 0.15 * 111.2 * 0.2 * 111.2 * np.cos(np.deg2rad(30.4))
    np.testing.assert_allclose(float(maps.cell_area.sum()) / 1e6, km2, rtol=0.2)
    report = (tmp_path / "out" / "preparation.txt").read_text()
    assert "beyond the region pass" in report
    assert "region pass 0 of" not in report


def test_the_legend_of_a_map_is_asked_for(whole, tmp_path, capsys):
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in ("merit_hydro", "land_cover"):
        (folder / name).symlink_to(whole[0] / name)
    told = refused(capsys, folder, tmp_path / "out", "china.legend=esa_cci")
    assert "legend esa_cci, but holds [2.0, 7.0]" in told
    with pytest.raises(InputError, match="folder: is empty"):
        china.prepare(None, tmp_path)
