"""Wrong inputs: exit code 2, one line that says file, variable, place, value and what to do, and no file left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import small_case
import xarray as xr

from chase_jax import build, cli, config, workflows
from chase_jax.checks import InputError
from chase_jax.io import inputs, map_store, parameter_store, restart, store


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(build, "program", small_case.StandIn)


def settings(words) -> config.Config:
    """The configuration of some words without the command line."""
    result = config.Config()
    for word in words:
        key, _, value = word.partition("=")
        section, own = key.split(".")
        setattr(getattr(result, section), own, float(value) if own == "dcor" else value)
    return result


def refused(capsys, tmp_path, words) -> str:
    """The line of a refusal, the same from both verbs; it leaves nothing behind."""
    before = set(tmp_path.rglob("*"))
    assert cli.main(["simulate", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1, told.err
    assert "Traceback" not in told.err
    line = told.err.removeprefix("chase simulate: error: ")
    with pytest.raises(InputError) as error:
        workflows.check(settings(words))
    assert " ".join(str(error.value).split()) == line.strip()
    assert set(tmp_path.rglob("*")) == before
    return line


def change(data, name, index=None, value=None, **attrs):
    """A dataset with one value or attribute changed; an attribute of None is removed."""
    data = data.copy(deep=True)
    if index is not None:
        values = data[name].values.astype(float)
        values[index] = value
        data[name] = (data[name].dims, values, data[name].attrs)
    for key, text in attrs.items():
        data[name].attrs[key] = text
    return data


def raw(path, data, drop=(), **attrs):
    """Write a dataset with exactly the units given, whatever the table says."""
    store.write_dataset(data, path, "A test")
    with xr.open_dataset(path, decode_cf=False) as stored:
        plain = stored.load()
    for name, units in attrs.items():
        plain[name].attrs["units"] = units
    for name in drop:
        del plain[name].attrs["units"]
    plain.to_netcdf(path)


DOMAIN_CASES = {
    "missing value": (("surface_altitude", (1, 2), np.nan), ["surface_altitude", "nan", "row 1, column 2", "x 2500"]),
    "outside the range": (("surface_altitude", (0, 0), 9.9e36), ["surface_altitude", "9.9e+36", "-500 and 9000 m"]),
    "undeclared fill value": (("surface_altitude", (0, 0), -9999), ["surface_altitude", "-9999", "row 0, column 0"]),
    "no direction": (("flow_direction", (1, 1), 3), ["flow_direction", "3", "row 1, column 1", "128"]),
    "loop": (("flow_direction", (1, 1), 16), ["row 1, column"]),
    "flow out of the domain": (("flow_direction", (0, 0), 64), ["row 0, column 0"]),
    "area of nothing": (("cell_area", (2, 2), 0.0), ["cell_area", "row 2, column 2"]),
    "no active cell": (("active", (slice(None), slice(None)), 0), ["active"]),
}


@pytest.mark.parametrize("case", DOMAIN_CASES)
def test_domain(case, tmp_path, capsys):
    (name, index, value), told = DOMAIN_CASES[case]
    words = small_case.write(tmp_path, domain=change(small_case.domain_dataset(), name, index, value))
    line = refused(capsys, tmp_path, words)
    for text in ("domain.nc", *told):
        assert text in line, line


def test_domain_flow_into_an_inactive_cell(tmp_path, capsys):
    words = small_case.write(tmp_path, domain=change(small_case.domain_dataset(), "active", (2, 3), 0))
    line = refused(capsys, tmp_path, words)
    assert "domain.nc" in line
    assert "row" in line


def test_domain_without_a_needed_variable(tmp_path, capsys):
    words = small_case.write(tmp_path, domain=small_case.domain_dataset().drop_vars("flow_direction"))
    assert "variable flow_direction: is missing" in refused(capsys, tmp_path, words)


def test_domain_without_a_projection(tmp_path, capsys):
    words = small_case.write(tmp_path, domain=small_case.domain_dataset().drop_vars("crs"))
    assert "grid_mapping: no projections are declared" in refused(capsys, tmp_path, words)


def test_domain_in_degrees(tmp_path, capsys):
    axis = np.arange(4.0)
    data = inputs.raster(small_case.domain_fields(), axis, axis[::-1], "EPSG:4326")
    assert "not a projection" in refused(capsys, tmp_path, small_case.write(tmp_path, domain=data))


def test_domain_with_uneven_axes(tmp_path, capsys):
    data = small_case.domain_dataset()
    data = data.assign_coords(x=("x", [500.0, 1500.0, 2600.0, 3500.0], data.x.attrs))
    assert "evenly spaced" in refused(capsys, tmp_path, small_case.write(tmp_path, domain=data))


def test_domain_with_soil_of_more_than_all(tmp_path, capsys):
    data = small_case.domain_dataset()
    for name in ("sand_fraction", "clay_fraction"):
        data[name] = (("y", "x"), np.full((4, 4), 0.7), {"grid_mapping": "crs"})
    assert "sand_fraction + clay_fraction" in refused(capsys, tmp_path, small_case.write(tmp_path, domain=data))


@pytest.mark.parametrize("slip", [1e-6, 1e4])
def test_domain_with_areas_in_another_unit(slip, tmp_path, capsys):
    data = small_case.domain_dataset()
    data["cell_area"] = data["cell_area"] * slip
    line = refused(capsys, tmp_path, small_case.write(tmp_path, domain=data))
    assert (
        f"`cell_area` must be about 1e+06 m2, the square of the spacing of x and y in m, but is {1e6 * slip:g}" in line
    )
    data["cell_area"][0, 0] = 1e6  # constructed, if not all are off
    workflows.check(settings(small_case.write(tmp_path, domain=data)))


def test_domain_with_most_beds_above_the_land(tmp_path, capsys):
    data = small_case.domain_dataset()
    bed = data["surface_altitude"].values - 2.0
    bed.flat[:8] += 50.0
    data["channel_bed_altitude"] = (("y", "x"), bed, {"grid_mapping": "crs"})
    workflows.check(settings(small_case.write(tmp_path, domain=data)))
    bed.flat[8] += 50.0
    line = refused(capsys, tmp_path, small_case.write(tmp_path, domain=data))
    assert "`channel_bed_altitude` must be below surface_altitude, in m above the same datum, but is" in line
    assert "9 value(s) in all" in line


@pytest.mark.parametrize("text", [b"", b"not a netCDF file", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_file_that_is_no_netcdf(text, tmp_path, capsys):
    words = small_case.write(tmp_path)
    (tmp_path / "domain.nc").write_bytes(text)
    assert "domain.nc: cannot be read as a netCDF file" in refused(capsys, tmp_path, words)


@pytest.mark.parametrize("key", ["domain", "forcing", "gauges", "observations", "parameters", "initial"])
def test_file_that_is_not_there(key, tmp_path, capsys):
    words = [*small_case.write(tmp_path), f"{key}.path={tmp_path}/nowhere.nc"]
    line = refused(capsys, tmp_path, words)
    assert f"{key}.path: {tmp_path}/nowhere.nc: no such file" in line


@pytest.mark.parametrize(
    ("name", "units", "told"),
    [
        ("precipitation", "mm", "the unit 'mm' does not measure the same thing"),
        ("precipitation", "furlong", "the unit 'furlong' is not understood"),
        ("air_pressure", "K", "allowed are Pa, hPa, mb, kPa"),
        ("shortwave_down", "J m-2", "allowed are W m-2, J m-2 day-1"),
        ("air_temperature", "degree_Celsius", "air_temperature: is 559.29 K"),
        ("precipitation", "m s-1", None),
        ("precipitation", "mm/month", "not understood at 'month'"),
        ("air_pressure", "hPa", "air_pressure: is 9.0"),
        ("specific_humidity", "%", None),
    ],
)
def test_forcing_in_other_units(name, units, told, tmp_path, capsys):
    words = small_case.write(tmp_path)
    raw(tmp_path / "forcing.nc", small_case.forcing_dataset(), **{name: units})
    if told is None:  # a possible value in that unit: not an error
        assert cli.main(["check", *words]) == 0
        return
    line = refused(capsys, tmp_path, words)
    assert "forcing.nc" in line
    assert told in line


@pytest.mark.parametrize("name", ["precipitation", "air_temperature"])
def test_forcing_without_units(name, tmp_path, capsys):
    words = small_case.write(tmp_path)
    raw(tmp_path / "forcing.nc", small_case.forcing_dataset(), drop=[name])
    line = refused(capsys, tmp_path, words)
    assert f"forcing.nc: variable {name}: has no `units` attribute; add one, allowed are" in line


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("air_temperature", np.nan, "is missing (NaN)"),
        ("air_temperature", -9999.0, "is -9999 K"),
        ("precipitation", -1e-4, "is -0.0001 kg m-2 s-1"),
        ("wind_speed", np.inf, "is inf m s-1"),
    ],
)
def test_forcing_with_an_impossible_value(name, value, told, tmp_path, capsys):
    data = change(small_case.forcing_dataset(), name, (50, 1, 1), value)
    line = refused(capsys, tmp_path, small_case.write(tmp_path, forcing=data))
    for text in ("forcing.nc", f"variable {name}", told, "1990-02-20 at y 2000, x 2000", "allowed is"):
        assert text in line, line


def test_forcing_value_outside_the_domain_or_the_period_does_not_matter(tmp_path):
    data = change(small_case.forcing_dataset(), "wind_speed", (0, 1, 1), np.nan)
    assert cli.main(["check", *small_case.write(tmp_path, forcing=data)]) == 0


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([*range(20), *range(21, 70)], "1990-01-21T00:00:00 is missing"),
        ([*range(20), 19, *range(20, 70)], "1990-01-20T00:00:00 comes after 1990-01-20T00:00:00"),
        ([*range(20), 21, 20, *range(22, 70)], "1990-01-21T00:00:00 comes after 1990-01-22T00:00:00"),
        ([*range(10, 70)], "period.start 1990-01-05 lies outside the file, which covers 1990-01-11 to 1990-03-11"),
        ([*range(70)][::-1], "runs backwards, by 86400 s a step; sort the file by time"),
        ([*range(60)], "period.end 1990-03-10 lies outside the file, which covers 1990-01-01 to 1990-03-01"),
    ],
)
def test_forcing_with_days_amiss(days, told, tmp_path, capsys):
    data = small_case.forcing_dataset().isel(time=days)
    line = refused(capsys, tmp_path, small_case.write(tmp_path, forcing=data))
    assert "forcing.nc: coordinate time" in line
    assert told in line


def test_a_run_in_before_the_forcing(tmp_path, capsys):
    words = [*small_case.write(tmp_path), "period.warmup_start=1985-01-01"]
    told = "period.warmup_start 1985-01-01 lies outside the file, which covers 1990-01-01 to 1990-03-11"
    assert told in refused(capsys, tmp_path, words)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_forcing_in_a_calendar_without_real_days(calendar, tmp_path, capsys):
    words = small_case.write(tmp_path)
    with xr.open_dataset(tmp_path / "forcing.nc", decode_cf=False) as stored:
        plain = stored.load()
    plain["time"].attrs["calendar"] = plain["time_bnds"].attrs["calendar"] = calendar
    plain.to_netcdf(tmp_path / "forcing.nc")
    assert f"the calendar is '{calendar}'" in refused(capsys, tmp_path, words)


def test_forcing_without_units_of_time(tmp_path, capsys):
    words = small_case.write(tmp_path)
    raw(tmp_path / "forcing.nc", small_case.forcing_dataset(), drop=["time"])
    with xr.open_dataset(tmp_path / "forcing.nc", decode_cf=False) as stored:
        plain = stored.load().drop_vars("time_bnds")
    plain["time"].attrs.clear()
    plain.to_netcdf(tmp_path / "forcing.nc")
    assert "coordinate time: has no CF `units`" in refused(capsys, tmp_path, words)


def test_forcing_elsewhere(tmp_path, capsys):
    data = small_case.forcing_dataset()
    data = data.assign_coords(x=("x", data.x.values + 2e5, data.x.attrs))
    line = refused(capsys, tmp_path, small_case.write(tmp_path, forcing=data))
    assert "forcing.nc: coordinate x: covers 200000 to 204000, but the domain reaches from 500 to 3500" in line


def test_forcing_without_a_variable(tmp_path, capsys):
    data = small_case.forcing_dataset().drop_vars("wind_speed")
    line = refused(capsys, tmp_path, small_case.write(tmp_path, forcing=data))
    assert "forcing.nc: variable wind_speed: is missing" in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gauge_id,x,y,area_km2,name\na,99500,500,1,far\n", "line 2: gauge a at x 99500 m, y 500 m lies outside"),
        ("gauge_id,x,y,area_km2,name\na,500,500,1,\na,1500,500,1,\n", "line 3: gauge_id 'a' is empty or used twice"),
        ("gauge_id,x,y,area_km2,name\na,here,500,1,\n", "line 2: x is 'here'; it must be a number"),
        ("gauge_id,x,y,area_km2,name\na,500,500,big,\n", "line 2: area_km2 is 'big'"),
        ("name,area\nx,1\n", "line 1: the columns are name, area; needed are gauge_id,x,y"),
        ("gauge_id,x,y,area_km2,name\n", "holds no gauge"),
        ("", "cannot be read as a table"),
        ("gauge_id,x,y,area_km2,name\na,500,500,1,Moselle, Perl\n", "line 2 has 6 fields, the header 5; put quotes"),
        ("gauge_id,x,y,area_km2,name\na,500,500,1,A\nb,500,500,1,B, C\n", "line 3 has 6 fields, the header 5"),
        ("gauge_id;x;y;area_km2;name\na;500;500;1;A\n", "line 1: the columns are separated by semicolons"),
        ("gauge_id,x,y,area_km2,name\na,500,500,0,A\n", "line 2: area_km2 is 0; it must be above 0"),
    ],
)
def test_gauges(text, told, tmp_path, capsys):
    words = small_case.write(tmp_path)
    (tmp_path / "gauges.csv").write_text(text)
    line = refused(capsys, tmp_path, words)
    assert "gauges.csv" in line
    assert told in line


def test_a_comma_in_quotes_and_a_short_line_are_read(tmp_path):
    words = small_case.write(tmp_path)
    (tmp_path / "gauges.csv").write_text(
        '\ufeffgauge_id,x,y,area_km2,name\n01,3500,500,16,"Moselle, Perl"\n02,500,500\n'
    )
    given = build.inputs(settings(words), tmp_path)
    assert given.gauges.name == ("Moselle, Perl", "")
    assert np.isnan(given.gauges.area[1])


def observed(folder, values):
    """Write daily discharge of the gauge of the small case."""
    time = pd.date_range(small_case.FIRST, periods=len(values))
    data = inputs.observations(["01"], time, np.asarray(values, float)[None])
    store.write_dataset(data, folder / "observations.nc", "A test")


@pytest.mark.parametrize("code", [-9999.0, -999.0, -99.99, np.float32(-99.99), -99.0, -999999.0, -32768.0])
def test_observations_with_a_code_for_missing(code, tmp_path, capsys):
    words = small_case.write(tmp_path)
    observed(tmp_path, [1.0] * 9 + [code] * 2 + [1.0] * 59)
    line = refused(capsys, tmp_path, words)
    assert f"variable discharge: is {code:g} at gauge 01, 1990-01-10 (and at 1 more)" in line
    assert "mark missing values as NaN or by _FillValue" in line


def test_observations_that_flow_back_are_accepted(tmp_path, capsys):
    words = small_case.write(tmp_path)
    observed(tmp_path, [-120.5, -99.0, 130.0] + [-998.0] * 67)
    workflows.check(settings(words))
    observed(tmp_path, [-120.5, -9999.0, 130.0] + [-998.0] * 67)
    assert "is -9999 at gauge 01, 1990-01-02" in refused(capsys, tmp_path, words)


def test_nothing_observed_in_the_period_of_an_evaluation(tmp_path, capsys):
    words = small_case.write(tmp_path)
    assert cli.main(["simulate", *words]) == 0
    observed(tmp_path, [np.nan] * small_case.DAYS)
    before = set(tmp_path.rglob("*"))
    capsys.readouterr()
    assert cli.main(["evaluate", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "observations.nc: holds no value at any gauge of the run from 1990-01-05 to 1990-03-10" in told
    assert set(tmp_path.rglob("*")) == before


def test_observations_of_every_hour(tmp_path, capsys):
    words = small_case.write(tmp_path)
    data = inputs.observations(["01"], pd.date_range(small_case.FIRST, periods=96, freq="h"), np.ones((1, 96)))
    data["time"].encoding["units"] = "hours since 1990-01-01"
    store.write_dataset(data, tmp_path / "observations.nc", "A test")
    assert "holds 96 values in 4 days; needed are daily means" in refused(capsys, tmp_path, words)


def test_observations_of_other_gauges(tmp_path, capsys):
    words = small_case.write(tmp_path)
    with xr.open_dataset(tmp_path / "observations.nc") as stored:
        other = stored.load().assign_coords(gauge_id=("gauge", np.array(["99"], dtype=object)))
    store.write_dataset(other, tmp_path / "observations.nc", "A test")
    assert "none of 99 is a gauge of the table (01)" in refused(capsys, tmp_path, words)


def test_discharge_observed_amid_a_lake(tmp_path, capsys):
    data = small_case.domain_dataset()
    inside = np.zeros((4, 4))
    inside[:2, 1:] = 1.0  # rows drain east, the last column south
    data["lake_index"], data["lake_patch"] = (
        (("y", "x"), 5.0 * inside, {"units": "1"}),
        (("y", "x"), inside, {"units": "1"}),
    )
    words = small_case.write(tmp_path, domain=data)
    table = "gauge_id,x,y,area_km2,name\n01,{x},{y},16,\n"
    (tmp_path / "gauges.csv").write_text(table.format(x=2500, y=3500))
    line = refused(capsys, tmp_path, words)
    assert "gauge 01: has observed discharge but lies within the patch of lake 5" in line
    (tmp_path / "gauges.csv").write_text(table.format(x=3500, y=2500))  # its outlet
    workflows.check(settings(words))


def test_observations_that_cannot_be(tmp_path, capsys):
    words = small_case.write(tmp_path)
    with xr.open_dataset(tmp_path / "observations.nc") as stored:
        other = change(stored.load(), "discharge", (0, 9), 9.96e36)
    store.write_dataset(other, tmp_path / "observations.nc", "A test")
    line = refused(capsys, tmp_path, words)
    assert "variable discharge: is 9.96e+36 m3 s-1 at gauge 01, 1990-01-10" in line


def test_parameters_out_of_range(tmp_path, capsys):
    words = small_case.write(tmp_path)
    grid = build.domain_store.open_domain(tmp_path / "domain.nc").grid
    parameter_store.write_parameters(tmp_path / "p.nc", {"dcor": np.linspace(0.0, 1.5, 16)}, grid, "D5")
    line = refused(capsys, tmp_path, [*words, f"parameters.path={tmp_path}/p.nc"])
    assert "p.nc: variable dcor: is 1.1 at row" in line
    assert "allowed is 0 to 1" in line
    assert "parameters.dcor is 1.5; allowed are 0 to 1 for D5" in refused(
        capsys, tmp_path, [*words, "parameters.dcor=1.5"]
    )


@pytest.mark.parametrize(
    ("turn", "told"),
    [
        (lambda data: data.assign_coords(x=("x", data.x.values + 400.0, data.x.attrs)), "is not that of the domain but "
         "up to 400 m off, of cells 1000 m wide; regrid the parameters"),
        (lambda data: data.isel(y=slice(None, None, -1)), "coordinate y: runs the other way than that of the domain, "
         "from 500 to 3500 m; reverse the axis with all parameters"),
    ],
)  # fmt: skip
def test_parameters_on_another_grid_of_the_same_shape(turn, told, tmp_path, capsys):
    words = small_case.write(tmp_path)
    grid = build.domain_store.open_domain(tmp_path / "domain.nc").grid
    parameter_store.write_parameters(tmp_path / "p.nc", {"dcor": np.zeros(16)}, grid, "D5")
    with xr.open_dataset(tmp_path / "p.nc") as stored:
        data = turn(stored.load())
    data.to_netcdf(tmp_path / "p.nc")
    assert told in refused(capsys, tmp_path, [*words, f"parameters.path={tmp_path}/p.nc"])


@pytest.mark.parametrize("interval", ["eleven", 4.5])
def test_maps_with_an_interval_that_is_no_number_of_days(interval, tmp_path):
    small_case.write(tmp_path)
    grid = build.domain_store.open_domain(tmp_path / "domain.nc").grid
    data = build.domain_store.frame(grid)
    data["baseflow_index"] = build.domain_store.map_of(grid, np.full(16, 0.5)).assign_attrs(interval_days=interval)
    store.write_dataset(data, tmp_path / "maps.nc", "A test")
    with pytest.raises(InputError, match=f"maps.nc: variable baseflow_index: .* interval_days is '{interval}'"):
        map_store.read_maps(tmp_path / "maps.nc", grid, ("baseflow_index",))


def test_initial_state_that_is_none_of_this_domain(tmp_path, capsys):
    words = small_case.write(tmp_path)
    file = tmp_path / "start.nc"
    words.append(f"initial.path={file}")
    state = {"water": np.zeros(16), "day": np.array(0)}
    restart.write_restart(file, {"state": state}, {})
    workflows.check(settings(words))
    restart.write_restart(file, {"state": state | {"water": np.zeros(9)}}, {})
    line = refused(capsys, tmp_path, words)
    assert f"initial.path: {file}: variable state.water: has the shape (9,), but this domain needs (16,)" in line
    file.write_bytes((tmp_path / "domain.nc").read_bytes())
    line = refused(capsys, tmp_path, words)
    assert f"initial.path: {file}: is not a restart file of this version; give a file of the folder restart" in line
    file.write_text("no file of numbers")
    assert f"initial.path: {file}: the restart cannot be read" in refused(capsys, tmp_path, words)


def test_output_that_cannot_be_written(tmp_path, capsys):
    words = small_case.write(tmp_path)
    (tmp_path / "file").write_text("")
    assert cli.main(["simulate", *words, f"output.directory={tmp_path}/file/run"]) == 2
    assert "output.directory" in capsys.readouterr().err
