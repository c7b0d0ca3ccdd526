"""Raw files that recipes read whole: what is cut off, missing, of another unit or no table ends in one line."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax import cli
from chase_jax.checks import InputError
from data_prep import landcover, rasters, rawfiles, soil


def netcdf(path, units="mm d-1", name="pre", form="NETCDF4"):
    """Three days of a variable."""
    data = xr.Dataset({name: (("time", "x"), np.arange(12.0).reshape(3, 4), {"units": units} if units else {})})
    data.assign_coords(time=pd.date_range("2004-02-28", periods=3)).to_netcdf(path, format=form)
    return path


def told(error) -> str:
    """The one line of an error."""
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_variables_come_back_whole_or_not_at_all(tmp_path, form):
    wanted = {"pre": "mm d-1", "time": ""}
    found = rawfiles.read_variables(netcdf(tmp_path / "a.nc", form=form), wanted)
    np.testing.assert_array_equal(found["pre"], np.arange(12.0).reshape(3, 4))
    assert str(found.time.values[1])[:10] == "2004-02-29"
    rawfiles.read_variables(netcdf(tmp_path / "b.nc", "mm/day", form=form), wanted)  # another spelling
    for units, line in (
        ("kg", "must be in mm d-1, but is in kg"),
        ("m d-1", "must be in mm d-1, but is in m d-1"),
        ("", "has no `units` attribute; it must be mm d-1"),
    ):
        with pytest.raises(InputError, match=r"c\.nc: variable pre:") as error:
            rawfiles.read_variables(netcdf(tmp_path / "c.nc", units, form=form), wanted)
        assert line in told(error)
    with pytest.raises(InputError, match=r"d\.nc: variable pre: is missing; the file holds rain"):
        rawfiles.read_variables(netcdf(tmp_path / "d.nc", name="rain", form=form), wanted)
    whole = (tmp_path / "a.nc").read_bytes()
    for part in (0, 20, len(whole) // 2, len(whole) - 3):
        (tmp_path / "a.nc").write_bytes(whole[:part])
        with pytest.raises(InputError, match=r"a\.nc: (cannot be read|is cut off)") as error:
            rawfiles.read_variables(tmp_path / "a.nc", wanted)
        told(error)
    with pytest.raises(InputError, match=r"none\.nc: is missing"):
        rawfiles.read_variables(tmp_path / "none.nc", wanted)


GRID = "ncols 3\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 500\nNODATA_value -9999\n1 2 3\n4 -9999 6\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GRID[:20], "the header lacks xllcorner, yllcorner, cellsize, nodata_value"),
        (GRID[:-3], "cannot be read as numbers (the number of columns changed from 3 to 2"),
        (GRID[:-10], "holds (1, 3) values, but its header says (2, 3)"),
        (GRID[:-16], "holds no numbers"),
        (GRID.replace("-9999 6", "none 6"), "cannot be read as numbers (could not convert string 'none'"),
        (GRID.replace("500", "wide"), "the header lacks ncols"),
        ("\N{SNOWMAN}" * 9, "the header lacks ncols"),
        ("", "the header lacks ncols"),
    ],
)
def test_a_grid_of_text_that_is_cut_or_none(tmp_path, text, line):
    (tmp_path / "a.asc").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.asc") as error:
        rasters.read_ascii_grid(tmp_path / "a.asc")
    assert line in told(error)


@pytest.mark.real_data
def test_a_map_of_pcraster_that_is_cut_off(real_data, tmp_path):
    """GDAL reads zeros beyond its end, which are no directions of flow but might be altitudes."""
    pytest.importorskip("rasterio")
    whole = (real_data / "otta_1km" / "routing" / "ldd_add.map").read_bytes()
    (tmp_path / "a.map").write_bytes(whole)
    assert np.isfinite(rasters.read_geotiff(tmp_path / "a.map").values).any()
    (tmp_path / "a.map").write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"a\.map: is cut off, 1 bytes are missing"):
        rasters.read_geotiff(tmp_path / "a.map")


def test_tables_and_days(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("date,flow\n28/02/2004,1\n29/02/2004,\n01/03/2004,3\n")
    table, period = rawfiles.read_table(path), ("2004-02-28", "2004-03-01")
    assert len(rawfiles.days(path, table["date"], "%d/%m/%Y", period)) == 3
    np.testing.assert_array_equal(rawfiles.column(path, table, "flow", gaps=True), [1, np.nan, 3])
    for action, line in (
        (lambda: rawfiles.column(path, table, "flow"), "line 3: flow is 'nan'; it must be a number"),
        (lambda: rawfiles.column(path, table, "rain"), "line 1: the columns are date, flow; needed is rain"),
        (lambda: rawfiles.column(path, table, "date"), "line 2: date is '28/02/2004'; it must be a number"),
        (lambda: rawfiles.days(path, table["date"][:2], "%d/%m/%Y", period), "but holds 2004-02-28 to 2004-02-29"),
        (lambda: rawfiles.days(path, ["28/02/20"], "%d/%m/%Y", period), "holds a date that is none"),
        (lambda: rawfiles.days(path, ["30/02/2004"], "%d/%m/%Y", period), "holds a date that is none"),
        (lambda: rawfiles.read_table(tmp_path / "none.csv"), "none.csv: is missing"),
        (lambda: rawfiles.read_numbers(path, 0), "cannot be read as numbers"),
    ):
        with pytest.raises(InputError) as error:
            action()
        assert line in told(error)
    for content in (b"", b"a,b\n1,2\n1,2,3\n", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.csv: cannot be read as a table") as error:
            rawfiles.read_table(path)
        told(error)


def test_tables_of_classes(tmp_path):
    path = tmp_path / "classes.txt"
    months = " ".join(["1"] * 12)
    path.write_text("head\nhead\n" + "".join(f"{k} name {months}\n" for k in range(1, 10)))
    with pytest.raises(InputError, match=r"lacks the classes \[10\]"):
        landcover.read_leaf_area(path)
    path.write_text(
        "head\nhead\n" + "".join(f"{k} name {months}\n" for k in range(1, 11)).replace("10 name 1", "10 n x")
    )
    with pytest.raises(InputError, match="must hold a number for every month"):
        landcover.read_leaf_area(path)
    path.write_text("head\nhead\n1 1 0 300 20 40 1.4\n1 2 300\n")
    with pytest.raises(InputError, match="line 3: lower is 'nan'"):
        soil.read_horizons(path)
    with pytest.raises(InputError, match=r"classes of the table of soils, but \[7\] are not in it"):
        soil.map_texture(np.array([[7.0]]), soil.column_texture(pd.DataFrame(
            {"class": [1], "upper": [0], "lower": [3], "clay": [20], "sand": [40]})))  # fmt: skip


FILES = {
    "moselle": ("gauge/00398.txt", "latlon/latlon_1.nc", "meteo/pre/header.txt", "meteo/tavg/tavg.nc", "morph/dem.asc",
                "morph/LAI_classdefinition.txt", "morph/soil_classdefinition.txt", "morph/idgauges.asc"),
    "appenzell": ("dem.tif", "outline.shp", "outline.dbf", "meteo.csv", "discharge.csv"),
    "rhine_1990": ("wflow_rhine_sbm.nc",),
    "otta_1km": ("topo/dem_mean.tif", "topo/cellarea.nc", "routing/ldd_add.map", "routing/kinematic/chanbw2.nc",
                 "glaciers/otta_senorge_area_pf15_1km.nc"),
    "nam_co_terrain": ("DEM/n30_e090_3arc_v2.tif", "Shapefiles/Zhadang_RGI6.shp"),
    "camels_us": ("attributes.csv", "daily.nc"),
    "china_box_climatology": ("china_box_climatology.nc", "china_landmask_30s.nc"),
}  # fmt: skip
RECIPES = {"otta_1km": "otta", "nam_co_terrain": "nam_co", "camels_us": "camels_catchments",
           "china_box_climatology": "china_like"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("how", ["half of it", "another kind", "gone"])
@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, names in FILES.items() for name in names])
def test_a_recipe_with_a_faulty_file_ends_in_one_line(real_data, tmp_path, capsys, folder, name, how):
    """Nothing but whole files stands under their names then, and no domain."""
    recipe = RECIPES.get(folder, folder)
    if how == "another kind" and name == "outline.dbf":
        pytest.skip("the shapes need no attributes")
    if how == "gone" and name == "outline.dbf":
        pytest.skip("the recipe can do without")
    for path in (real_data / folder).rglob("*"):
        copy = tmp_path / "data" / folder / path.relative_to(real_data / folder)
        if path.is_dir():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path != real_data / folder / name:
            copy.symlink_to(path)
        elif how == "half of it":
            copy.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        elif how == "another kind":
            copy.write_text("this is no file of that kind\n" * 9)
    target = tmp_path / "out"
    words = [f"recipe={recipe}", f"data.root={tmp_path}/data", f"output.directory={target}"]
    assert cli.main(["prepare", *words, *(["china_like.cells=20000"] if recipe == "china_like" else [])]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert not [line for line in lines if "Traceback" in line]
    assert [line for line in lines if "error" in line] == lines[-1:]
    assert name.split("/")[-1].split(".")[0] in lines[-1] or name == "morph/soil_classdefinition.txt"
    assert not (target / "domain.nc").exists()
    left = [path.name for path in target.rglob("*")] if target.exists() else []
    assert set(left) <= {"forcing.nc", "gauges.csv", "observations.nc"}
