"""Files: what is written can be read, and appears under its name only when whole."""

from __future__ import annotations

import numpy as np
import pytest
import small_case
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.domain.grid import Grid
from chase_jax.io import domain_store, gauge_store, inputs, output, parameter_store, store


@pytest.fixture
def grid(tmp_path) -> Grid:
    small_case.write(tmp_path)
    return domain_store.open_domain(tmp_path / "domain.nc").grid


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    store.write_text("old", path)

    def fail():
        with store.committed(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_folder_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        store.write_text("x", tmp_path / "file" / "below")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_dataset_comes_back_with_cf_attributes(tmp_path, suffix):
    data = xr.Dataset({"recharge": ("cell", np.array([1.0, np.nan]))})
    store.write_dataset(data, tmp_path / f"a{suffix}", "A title")
    with store.open_dataset(tmp_path / f"a{suffix}") as back:
        np.testing.assert_array_equal(back["recharge"].values, [1.0, np.nan])
        assert back["recharge"].attrs["standard_name"] == "downward_liquid_water_mass_flux_into_groundwater"
        assert back["recharge"].attrs["units"] == "kg m-2 s-1"
        assert back.attrs["Conventions"] == "CF-1.11"


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("unlimited", [True, False])
@pytest.mark.parametrize("others", [0, 2])
def test_a_classic_file_that_is_cut_off_is_refused(tmp_path, form, unlimited, others):
    """The library reads zeros beyond its end; the length of a whole file is known to the byte."""
    netCDF4 = pytest.importorskip("netCDF4")
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.history = "x" * 80_000  # a header of more than one part
        file.createDimension("time", None if unlimited else 5)
        file.createDimension("place", 3)
        file.createVariable("still", "f4", ("place",))[:] = 1.0
        for number in range(others):
            file.createVariable(f"other{number}", "i1", ("time", "place"))[:] = np.ones((5, 3))
        file.createVariable("rain", "i2", ("time", "place"))[:] = np.ones((5, 3))
    with store.open_dataset(path) as back:
        assert (back["rain"].values == 1).all()
    whole = path.read_bytes()
    end = whole.rfind(b"\x00\x01") + 2  # past the last value, before what pads
    for lost in (1, 2, 9, 25):
        path.write_bytes(whole[: end - lost])
        with pytest.raises(
            InputError, match=r"a\.nc: is cut off, \d+ bytes are missing; get or write it again"
        ) as told:
            store.open_dataset(path)
        assert int(str(told.value).split("off, ")[1].split()[0]) == lost
    path.write_bytes(whole[:200])
    with pytest.raises(InputError, match=r"a\.nc: cannot be read as a netCDF file \(its header is cut off"):
        store.open_dataset(path)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("a.nc", "b.nc"):
        store.write_dataset(small_case.domain_dataset(), tmp_path / name, "A title")
    assert store.sha256(tmp_path / "a.nc") == store.sha256(tmp_path / "b.nc")


def test_variable_is_found_by_its_standard_name_and_converted(tmp_path):
    data = small_case.forcing_dataset().rename(precipitation="tp")
    data["tp"] = data["tp"] * 86400.0
    data["tp"].attrs = {"standard_name": "precipitation_flux", "units": "mm/day", "grid_mapping": "crs"}
    found = store.require_variable(data, "precipitation", tmp_path)
    assert store.canonical(found, "precipitation", tmp_path)[0, 0, 0] == pytest.approx(2e-5)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_codes_are_whole_numbers_with_flags_of_their_type(tmp_path, suffix):
    status = xr.DataArray([[0.0, 6.0], [3.0, np.nan]], dims=("y", "x"))
    data = xr.Dataset(
        {"calibration_status": status, "flow_direction": (("y", "x"), np.array([[1, 255], [0, 4]], "i2"))}
    )
    store.write_dataset(data, tmp_path / f"a{suffix}", "A test")
    options = {"engine": "zarr", "consolidated": False} if suffix == ".zarr" else {}
    with xr.open_dataset(tmp_path / f"a{suffix}", **options, mask_and_scale=False) as raw:
        for name, code, word, kind in (
            ("calibration_status", 5, "both_out_of_reach", "i1"),
            ("flow_direction", 128, "northeast", "i2"),
        ):
            attrs = raw[name].attrs
            assert raw[name].dtype == kind
            meanings = dict(zip(np.asarray(attrs["flag_values"]), attrs["flag_meanings"].split(), strict=True))
            assert meanings[code] == word
            if suffix == ".nc":
                assert attrs["flag_values"].dtype == kind
    with store.open_dataset(tmp_path / f"a{suffix}") as back:
        np.testing.assert_array_equal(back["calibration_status"], status)
        np.testing.assert_array_equal(back["flow_direction"], data["flow_direction"])


def test_what_is_no_code_is_written_as_it_is(tmp_path):
    data = xr.Dataset({"calibration_status": ("x", [0.5, np.nan])})
    store.write_dataset(data, tmp_path / "a.nc", "A test")
    with store.open_dataset(tmp_path / "a.nc") as back:
        np.testing.assert_array_equal(back["calibration_status"], [0.5, np.nan])


@pytest.mark.parametrize("name", ["runoff_depth", "depth"])
@pytest.mark.parametrize("standard", ["runoff_flux", "runoff_amount"])
def test_runoff_depth_is_read_by_its_older_standard_name_too(tmp_path, name, standard):
    data = xr.Dataset({name: ("x", [1.0], {"standard_name": standard, "units": "mm/day"})})
    found = store.require_variable(data, "runoff_depth", tmp_path)
    assert store.canonical(found, "runoff_depth", tmp_path) == pytest.approx(365.25)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_weather_tells_how_it_was_taken_and_no_time_is_missing(tmp_path, suffix):
    data = small_case.forcing_dataset()
    extremes = {f"air_temperature_{end}": data["air_temperature"].copy() for end in ("min", "max")}
    store.write_dataset(data.assign(extremes), tmp_path / f"f{suffix}", "A test")
    options = {"engine": "zarr", "consolidated": False} if suffix == ".zarr" else {}
    with xr.open_dataset(tmp_path / f"f{suffix}", **options, decode_cf=False) as raw:
        methods = {name: raw[name].attrs.get("cell_methods") for name in (*small_case.WEATHER, *extremes)}
        assert methods.pop("air_temperature_min") == "time: minimum"
        assert methods.pop("air_temperature_max") == "time: maximum"
        assert set(methods.values()) == {"time: mean"}
        assert all("_FillValue" not in raw[name].attrs for name in ("time", "time_bnds"))


def test_series_at_gauges_name_their_projection(tmp_path, grid):
    gauges = gauge_store.read_gauges(tmp_path / "gauges.csv", grid)
    days = np.arange("1990-01-01", "1990-01-04", dtype="M8[D]")
    pieces = [
        output.gauge_series(gauges, np.ones(16), grid, part, np.ones((part.size, 1))) for part in (days[:2], days[2:])
    ]
    for number, piece in enumerate(pieces):
        store.write_dataset(piece, tmp_path / f"{number}.nc", "Piece")
    joined = output.join([output.read_piece(tmp_path / f"{number}.nc") for number in range(2)])
    store.write_dataset(joined, tmp_path / "gauges.nc", "Discharge")
    with xr.open_dataset(tmp_path / "gauges.nc", decode_cf=False) as raw:
        assert raw.sizes["time"] == 3
        assert raw["discharge"].attrs["grid_mapping"] == "crs"
        assert raw["crs"].ndim == 0
        assert {"x", "y"} <= set(raw["discharge"].attrs["coordinates"].split())
        assert all("_FillValue" not in raw[name].attrs for name in ("time", "time_bnds", "x", "y"))
        assert domain_store.read_projection(raw, tmp_path)["grid_mapping_name"] == "lambert_azimuthal_equal_area"


def test_contradicting_standard_name_is_refused(tmp_path):
    data = xr.Dataset({"specific_humidity": ("x", [50.0], {"standard_name": "relative_humidity", "units": "%"})})
    with pytest.raises(InputError, match="standard_name is 'relative_humidity'"):
        store.find(data, "specific_humidity", tmp_path)


def test_parameters_come_back_and_their_form_is_checked(tmp_path, grid):
    values = {"dcor": np.linspace(0.1, 0.9, grid.cells), "manning_roughness": np.full(grid.cells, 0.05)}
    parameter_store.write_parameters(tmp_path / "p.nc", values, grid, "D5")
    back = parameter_store.read_parameters(tmp_path / "p.nc", grid, "D5")
    assert back.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(back[name], value)
    with pytest.raises(InputError, match="dcor_form is D5, but the configuration says D1"):
        parameter_store.read_parameters(tmp_path / "p.nc", grid, "D1")
    other = Grid(grid.x + 500.0, grid.y, grid.projection)
    with pytest.raises(InputError, match="is not that of the domain"):
        parameter_store.read_parameters(tmp_path / "p.nc", other, "D5")


def test_gauges_by_projected_and_by_geographic_coordinates_agree(tmp_path, grid):
    gauges = gauge_store.read_gauges(tmp_path / "gauges.csv", grid)
    longitude, latitude = grid.transformer(inverse=True).transform(gauges.x, gauges.y)
    (tmp_path / "g.csv").write_text(f"gauge_id,lon,lat\n01,{longitude[0]},{latitude[0]}\n")
    again = gauge_store.read_gauges(tmp_path / "g.csv", grid)
    assert again.cell == gauges.cell == grid.cell_at(3500.0, 500.0)
    assert np.isnan(again.area).all()


def test_observations_follow_the_order_of_the_gauges_and_the_days_asked_for(tmp_path, grid):
    import pandas as pd

    gauges = gauge_store.read_gauges(tmp_path / "gauges.csv", grid)
    time = pd.date_range("1990-01-03", periods=2)
    data = inputs.observations(["other", "01"], time, np.array([[1.0, 2.0], [3.0, 4.0]]))
    data["discharge"].attrs["units"] = "m3 day-1"
    store.write_dataset(data, tmp_path / "o.nc", "A test")
    found = gauge_store.read_observations(tmp_path / "o.nc", gauges, "1990-01-02", "1990-01-05")
    np.testing.assert_allclose(found.values[0] * 86400.0, [np.nan, 3.0, 4.0, np.nan])
    with xr.open_dataset(tmp_path / "o.nc") as back:
        assert back["discharge"].attrs["cell_methods"] == "time: mean"
        np.testing.assert_array_equal(np.diff(back["time_bnds"])[:, 0], np.timedelta64(1, "D"))


def test_maps_and_series_are_cf(tmp_path, grid):
    start, end = np.array(["1990-01-01"], dtype="M8[D]"), np.array(["1990-02-01"], dtype="M8[D]")
    values = {"recharge": np.arange(16.0)[None], "soil_temperature": np.ones((1, 2, 16))}
    store.write_dataset(output.maps(grid, values, start, end, (0.1, 0.2)), tmp_path / "m.nc", "Maps")
    with store.open_dataset(tmp_path / "m.nc") as back:
        assert back["recharge"].dims == ("time", "y", "x")
        assert grid.pack(back["recharge"].values[0]) == pytest.approx(np.arange(16.0))
        assert back["layer"].values == pytest.approx([0.05, 0.2])
        assert back["time_bnds"].values[0, 1] == np.datetime64("1990-02-01")
        assert domain_store.read_grid(back, tmp_path).shape == grid.shape


def test_domain_file_turned_upside_down_is_the_same_domain(tmp_path):
    data = small_case.domain_dataset()
    store.write_dataset(data.isel(y=slice(None, None, -1)), tmp_path / "turned.nc", "A test")
    store.write_dataset(data, tmp_path / "domain.nc", "A test")
    one, two = (domain_store.open_domain(tmp_path / name) for name in ("domain.nc", "turned.nc"))
    assert float(one.drainage.upstream_area.max()) == float(two.drainage.upstream_area.max()) == 16e6
    place = [d.grid.y[d.grid.row[-1]] for d in (one, two)]
    assert place[0] == place[1] == 500.0
