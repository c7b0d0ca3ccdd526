"""The recipe `region` through the command line: altitudes and directions of one's own, well formed and faulty."""

import functools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_sources import LAT, LON, NORTH, SIDE, STEP, WEST, rasterio, terrain, write_rest, write_tiles, write_weather

from chase_jax import cli
from chase_jax.io import domain_store
from data_prep import hydrography, rasters, relief

shutil = pytest.importorskip("rasterio.shutil")
DEGREES = rasterio.Affine(STEP, 0, WEST, 0, -STEP, NORTH)
METRES = rasterio.Affine(500.0, 0, 615_100.0, 0, -500.0, 3_385_300.0)  # of UTM
UTM = "EPSG:32647"
KEYS = {8: 64, 6: 1, 2: 4, 4: 16, 7: 32, 9: 128, 1: 8, 3: 2}  # of a number pad, to codes of ESRI


@functools.cache
def drained():
    """Directions with an inland pit on the largest river, altitudes, land."""
    height, land = terrain()
    direction, filled = relief.drainage(height, land)
    upstream = hydrography.accumulate(hydrography.receivers(direction), land.ravel().astype(float)).reshape(land.shape)
    inland = slice(40, 50)
    direction[:, inland][upstream[:, inland] == upstream[:, inland].max()] = hydrography.SINK
    return direction, filled, land


def as_ldd(direction, land):
    """Keys of a number pad, 0 where there is no land."""
    keys = np.full(direction.shape, 5)
    for key, code in KEYS.items():
        keys[direction == code] = key
    return np.where(land, keys, 0)


def write(path, values, kind="float32", missing=-9999, crs="EPSG:4326", transform=DEGREES):
    """A GeoTIFF; by its ending a map of PCRaster, which knows no projection."""
    layout = {"width": values.shape[1], "height": values.shape[0], "count": 1, "dtype": kind, "nodata": missing}
    tiff = path.with_suffix(".tiff") if path.suffix == ".map" else path
    with rasterio.open(tiff, "w", driver="GTiff", crs=crs, transform=transform, **layout) as file:
        file.write(values.astype(kind), 1)
    if tiff != path:
        with rasterio.open(tiff, "r+") as file:  # else the driver takes whole numbers for truth values
            file.update_tags(PCRASTER_VALUESCALE="VS_LDD" if kind == "uint8" else "VS_SCALAR")
        shutil.copy(tiff, path, driver="PCRaster")
        path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    return path


def write_pair(folder, **where):
    """dem.tif and d8.tif in codes of ESRI; the sea is missing in both."""
    direction, filled, land = drained()
    write(folder / "dem.tif", np.where(land, filled, -9999), **where)
    write(folder / "d8.tif", np.where(land, direction, 247), "uint8", 247, **where)
    return folder


def prepare(folder, target, *words, elevation="dem.tif", directions="d8.tif"):
    files = [f"region.elevation={folder}/{elevation}", f"region.flow_direction={folder}/{directions}"]
    given = ["prepare", "recipe=region", *files, f"output.directory={target}", "region.resolution=2000"]
    return cli.main([*given, "output.overwrite=true", *words])


def same(first, second, file="domain.nc", rtol=0.0):
    """Require all maps of two files to be the same, and whole numbers among them exactly so."""
    with xr.open_dataset(first / file) as one, xr.open_dataset(second / file) as other:
        assert set(one.variables) == set(other.variables)
        assert file != "domain.nc" or one.crs.attrs == other.crs.attrs
        for name, values in one.variables.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(values, other[name], rtol=rtol, err_msg=name)
            else:
                np.testing.assert_array_equal(values, other[name], err_msg=name)
        return one.load()


@pytest.fixture(scope="module")
def esri(tmp_path_factory):
    """Files in degrees, and what is made of them."""
    folder, target = write_pair(tmp_path_factory.mktemp("own")), tmp_path_factory.mktemp("made")
    assert prepare(folder, target) == 0
    return folder, target


@pytest.fixture(scope="module")
def utm(tmp_path_factory):
    """Files in metres, cells as wide as pixels, and what is made of them."""
    folder, target = write_pair(tmp_path_factory.mktemp("own"), crs=UTM, transform=METRES), tmp_path_factory.mktemp("m")
    assert prepare(folder, target, "region.resolution=500") == 0
    return folder, target


def test_own_files_give_what_tiles_of_the_same_pixels_give(tmp_path):
    """The whole road: rivers, weather, lakes and all else from the folder, as `china` has it."""
    sources = tmp_path / "sources"
    upstream = write_tiles(sources / "merit_hydro")
    write_weather(sources)
    write_rest(sources)
    row, column = np.argwhere(upstream == upstream.max())[0]
    table = f"gauge_id,lon,lat,area_km2,name\nA1,{LON[column] - 0.01},{LAT[row]},{upstream.max():.2f},Mouth\n"
    (sources / "gauges.csv").write_text(table)
    files = []
    for part, key in (
        ("elv", "elevation"),
        ("dir", "flow_direction"),
        ("upa", "upstream_area"),
        ("wth", "river_width"),
    ):
        tiles = []
        for name in ("n30e100", "n30e101"):
            with rasterio.open(sources / "merit_hydro" / f"{name}_{part}.tif") as file:
                tiles.append(file.read(1))
                missing = file.nodata
        write(tmp_path / f"{part}.tif", np.concatenate(tiles, axis=1), str(tiles[0].dtype), missing)
        files.append(f"region.{key}={tmp_path}/{part}.tif")
    own, tiled = tmp_path / "own", tmp_path / "tiled"
    for words in (
        ["recipe=china", f"china.folder={sources}", "china.resolution=2000", f"output.directory={tiled}"],
        ["recipe=region", f"region.folder={sources}", "region.resolution=2000", f"output.directory={own}", *files,
         "region.codes=merit"],
    ):  # fmt: skip
        assert cli.main(["prepare", *words]) == 0
    for file in ("domain.nc", "forcing_2004.nc"):
        made = same(own, tiled, file, 1e-9)
    for file in ("corrections.csv", "gauges.csv", "attributes.csv"):
        assert (own / file).read_bytes() == (tiled / file).read_bytes()
    assert made.time.size == 5
    told = (own / "preparation.txt").read_text()
    assert f"map of areas {upstream.max():.0f} km2" in told


def test_keys_of_a_number_pad_give_what_codes_of_esri_give(esri, tmp_path):
    """As GeoTIFF and as a map of PCRaster, which takes its projection from the altitudes."""
    direction, _, land = drained()
    (tmp_path / "dem.tif").symlink_to(esri[0] / "dem.tif")
    for name in ("ldd.tif", "ldd.map"):
        missing = 0 if name.endswith("tif") else 255
        write(tmp_path / name, np.where(land, as_ldd(direction, land), missing), "uint8", missing)
        assert prepare(tmp_path, tmp_path / "out", "region.codes=ldd", directions=name) == 0
        made = same(tmp_path / "out", esri[1])
    domain = domain_store.open_domain(tmp_path / "out" / "domain.nc")
    assert int(domain.drainage.sink.sum()) == 1
    assert made.crs.attrs["grid_mapping_name"] == "lambert_azimuthal_equal_area"
    report = (tmp_path / "out" / "preparation.txt").read_text()
    assert "region.river_width is empty; taken instead: river widths from mean flow" in report
    assert "region.folder is empty" in report
    assert cli.main(["check", f"domain.path={tmp_path}/out/domain.nc", "scope=domain"]) == 0


def test_pixels_of_a_projection_stay_as_they_are(utm):
    """Cells as wide as pixels are the pixels: their place, direction, altitude and way."""
    direction, filled, land = drained()
    made = xr.open_dataset(utm[1] / "domain.nc")
    np.testing.assert_array_equal(made.active.values > 0, land)
    np.testing.assert_array_equal(made.flow_direction.values[land], direction[land])
    np.testing.assert_allclose(made.mean_altitude.values[land], filled[land], rtol=1e-6)
    np.testing.assert_allclose(made.x, 615_350.0 + 500.0 * np.arange(SIDE))
    np.testing.assert_allclose(made.y, 3_385_050.0 - 500.0 * np.arange(SIDE))
    flows = land & np.isin(direction, list(hydrography.STEPS))
    straight = hydrography.straight_length(direction, 500.0)
    np.testing.assert_allclose(made.channel_length.values[flows], straight[flows])
    down, right = np.gradient(np.where(land, filled, np.nan).astype("float32").astype(float), 500.0)
    inner = np.isfinite(down) & np.isfinite(right)
    np.testing.assert_allclose(made.mean_slope.values[inner], np.hypot(down, right)[inner], rtol=1e-6, atol=1e-12)
    domain = domain_store.open_domain(utm[1] / "domain.nc")
    upstream = hydrography.accumulate(hydrography.receivers(direction), np.where(land, 0.25, 0.0).ravel())
    np.testing.assert_allclose(
        np.asarray(domain.drainage.upstream_area) / 1e6, domain.grid.pack(upstream.reshape(land.shape))
    )
    assert not pd.read_csv(utm[1] / "corrections.csv").size


def test_wider_cells_of_a_projection_hold_its_pixels(utm, tmp_path):
    """3 x 3 pixels a cell; without a projection in the files it is told; a part is cut out by degrees."""
    direction, filled, land = drained()
    assert prepare(utm[0], tmp_path / "whole", "region.resolution=1500") == 0
    made = xr.open_dataset(tmp_path / "whole" / "domain.nc")
    on = made.active.values > 0
    mean = rasters.block_mean(np.where(land, filled, np.nan), 3)
    np.testing.assert_allclose(made.mean_altitude.values[on], mean[on], rtol=1e-6)
    assert on.sum() * 9 == land.sum()
    write(tmp_path / "dem.map", np.where(land, filled, -9999), crs=None, transform=METRES)
    write(tmp_path / "ldd.map", np.where(land, as_ldd(direction, land), 255), "uint8", 255, None, METRES)
    words = ("region.codes=ldd", f"region.crs={UTM}", "region.resolution=1500")
    assert prepare(tmp_path, tmp_path / "maps", *words, elevation="dem.map", directions="ldd.map") == 0
    same(tmp_path / "maps", tmp_path / "whole")
    west, east = 100.25, 100.4
    edges = ("region.south=30.4", "region.north=30.5", f"region.west={west}", f"region.east={east}")
    assert prepare(utm[0], tmp_path / "cut", *edges, "region.resolution=1500") == 0
    cut = xr.open_dataset(tmp_path / "cut" / "domain.nc")
    wide = (east - west) * 111.2 * np.cos(np.deg2rad(30.45)) * 0.1 * 111.2
    np.testing.assert_allclose(float(cut.cell_area.sum()) / 1e6, wide, rtol=0.2)


def test_weather_and_maps_reach_a_projected_region(utm, tmp_path):
    write_weather(tmp_path / "sources")
    write_rest(tmp_path / "sources")
    assert prepare(utm[0], tmp_path / "out", f"region.folder={tmp_path}/sources") == 0
    made = xr.open_dataset(tmp_path / "out" / "domain.nc")
    on = made.active.values > 0
    np.testing.assert_allclose(made.mean_precipitation.values[on], 7.0 * 365.25, rtol=1e-6)
    np.testing.assert_allclose(made.clay_fraction.values[on], 0.31)
    weather = xr.open_dataset(tmp_path / "out" / "forcing_2004.nc")
    height = drained()[1][drained()[2]]
    assert (
        height.min() - 50 < float(weather.surface_altitude.min()) < float(weather.surface_altitude.max()) < height.max()
    )
    words = [f"domain.path={tmp_path}/out/domain.nc", f"forcing.path={tmp_path}/out/forcing_*.nc"]
    assert cli.main(["check", *words, "period.start=2004-02-27", "period.end=2004-03-02"]) == 0


def test_longitudes_counted_from_greenwich_eastward(tmp_path):
    """260 degrees are 100 west."""
    made = []
    for name, west in (("west", -100.0), ("east", 260.0)):
        (tmp_path / name).mkdir()
        write_pair(tmp_path / name, transform=rasterio.Affine(STEP, 0, west, 0, -STEP, NORTH))
        made.append(tmp_path / f"{name}_out")
        assert prepare(tmp_path / name, made[-1]) == 0
    with xr.open_dataset(made[0] / "domain.nc") as one, xr.open_dataset(made[1] / "domain.nc") as other:
        np.testing.assert_array_equal(one.flow_direction, other.flow_direction)
        np.testing.assert_array_equal(one.active, other.active)
        assert one.crs.attrs["crs_wkt"] == other.crs.attrs["crs_wkt"]


def spoil_codes(folder):
    direction, _, land = drained()
    write(folder / "d8.tif", as_ldd(direction, land), "uint8", 0)


def spoil_place(folder):
    moved = rasterio.Affine(STEP, 0, WEST + STEP / 2, 0, -STEP, NORTH)
    write(folder / "dem.tif", drained()[1], transform=moved)


def spoil_height(folder):
    _, filled, land = drained()
    filled = np.where(land, filled, -9999)
    filled[30, 20:23] = -9999
    write(folder / "dem.tif", filled)


def cut_off(folder):
    whole = (folder / "d8.tif").read_bytes()
    (folder / "d8.tif").write_bytes(whole[: len(whole) // 2])


def both(**where):
    return lambda folder: write_pair(folder, **where)


BAD = {
    "keys as esri": (spoil_codes, (), "d8.tif: directions: must hold codes of esri (0, 1, 2, 4, 8, 16, 32, 64, 128, "
                     "255), but holds 3, 5, 6, 7, 9; set region.codes to the set of the file (esri, ldd, merit)"),
    "esri as keys": (lambda f: None, ("region.codes=ldd",), "must hold codes of ldd (1, 2, 3, 4, 5, 6, 7, 8, 9), but"),
    "another set": (lambda f: None, ("region.codes=d8",), "region.codes is 'd8'; allowed are esri, ldd, merit"),
    "moved": (spoil_place, (), "dem.tif: has 60 x 60 pixels from (100.205, 30.5975) on, but"),
    "smaller": (lambda f: write(f / "dem.tif", drained()[1][:-1]), (), "both must lie on one grid"),
    "no file": (lambda f: (f / "dem.tif").unlink(), (), "region.elevation: "),
    "no key": (lambda f: None, ("region.flow_direction=null",), "region.flow_direction is empty; give a raster"),
    "no folder": (lambda f: None, ("region.folder=/nowhere",), "region.folder: /nowhere: no such file or folder"),
    "no projection": (both(crs=None), (), "d8.tif: does not tell its projection; label it, or set region.crs"),
    "other projection": (lambda f: write(f / "dem.tif", drained()[1], crs=UTM), (), "dem.tif: is in WGS 84 / UTM"),
    "contradiction": (lambda f: None, (f"region.crs={UTM}",), "region.crs: is in WGS 84 / UTM zone 47N, but"),
    "no such projection": (both(crs=None), ("region.crs=EPSG:1",), "region.crs: projection 'EPSG:1' is not known"),
    "feet": (both(crs="EPSG:2263", transform=METRES), (), "only degrees and metres are read"),
    "false areas": (both(crs="EPSG:3857", transform=METRES), (), "its projection changes areas by"),
    "no altitude": (spoil_height, (), "3 pixels of land have no elevation"),
    "cut off": (cut_off, (), "d8.tif: cannot be read as a raster"),
    "upside down": (both(transform=rasterio.Affine(STEP, 0, WEST, 0, STEP, 30.0)), (), "must run from north to south"),
    "elsewhere": (lambda f: None, ("region.south=10", "region.north=11", "region.west=10", "region.east=11"),
                  "d8.tif: does not reach into (10.0, 11.0, 10.0, 11.0)"),
    "too fine": (lambda f: None, ("region.resolution=300",), "region.resolution is 300 m; pixels of 5"),
    "three edges": (lambda f: None, ("region.south=30",), "region.west and region.east: give all four or none"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_told_in_one_line_and_leaves_nothing(esri, tmp_path, capsys, case):
    spoil, words, told = BAD[case]
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("dem.tif", "d8.tif"):
        (folder / name).write_bytes((esri[0] / name).read_bytes())
    spoil(folder)
    capsys.readouterr()
    assert prepare(folder, tmp_path / "out", *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if "Traceback" in line]
    assert [line for line in lines if "error" in line] == lines[-1:]
    assert told in lines[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.real_data
def test_a_map_of_pcraster_as_it_comes(real_data, tmp_path):
    """Otta in Norway: altitudes as GeoTIFF, directions as a map without projection; all of them are kept."""
    source = real_data / "otta_1km"
    words = ("region.codes=ldd", "region.crs=EPSG:25833", "region.resolution=1000")
    files = {"elevation": "topo/dem_mean.tif", "directions": "routing/ldd_add.map"}
    assert prepare(source, tmp_path, *words, **files) == 0
    with rasterio.open(source / "routing" / "ldd_add.map") as file:
        keys = file.read(1)
    made = xr.open_dataset(tmp_path / "domain.nc")
    assert made.sizes["x"] == made.sizes["y"] == 200
    for key, code in KEYS.items():
        assert (made.flow_direction.values[keys == key] == code).all()
    assert np.isin(made.flow_direction.values[keys == 5], (hydrography.OUTLET, hydrography.SINK)).all()
