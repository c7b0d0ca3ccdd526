"""Weather: interpolation, days, gaps, several files."""

from __future__ import annotations

import numpy as np
import pytest
import small_case
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.io import domain_store, forcing_store, store
from chase_jax.physics import thermodynamics


@pytest.fixture
def domain(tmp_path):
    small_case.write(tmp_path)
    return domain_store.open_domain(tmp_path / "domain.nc")


def read(tmp_path, domain, data, start="1990-01-01", end="1990-01-04", name="f.nc"):
    store.write_dataset(data, tmp_path / name, "A test")
    return forcing_store.open_forcing(tmp_path / name, domain.grid, domain.surface_altitude, start, end)


def test_plane_is_interpolated_exactly(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    data["air_temperature"] = (280.0 + 1e-3 * data.x + 2e-3 * data.y + 0.0 * data.wind_speed).transpose(
        "time", "y", "x"
    )
    data["air_temperature"].attrs = {"grid_mapping": "crs"}
    found = read(tmp_path, domain, data).read(0, 4)
    grid = domain.grid
    expected = 280.0 + 1e-3 * grid.x[grid.column] + 2e-3 * grid.y[grid.row]
    np.testing.assert_allclose(found.air_temperature, np.tile(expected, (4, 1)), rtol=1e-12)
    np.testing.assert_array_equal(found.day_of_year, [1.0, 2.0, 3.0, 4.0])


def test_missing_corner_gives_its_weight_to_the_others_and_the_nearest_fills_the_rest(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    sea = (data.x > 3000.0) & (data.y < 1000.0)
    gone = data.where(~sea)
    gone["crs"], gone["time_bnds"] = data["crs"], data["time_bnds"]
    found = read(tmp_path, domain, gone).read(0, 1)
    np.testing.assert_allclose(found.precipitation, small_case.WEATHER["precipitation"], rtol=1e-6)


def test_steps_of_six_hours_become_days_and_tell_the_range(tmp_path, domain):
    data = small_case.forcing_dataset(double=True).isel(time=slice(0, 16)).drop_vars("time_bnds")
    start = np.datetime64("1990-01-01T00", "ns")
    time = start + np.arange(16) * np.timedelta64(6, "h")
    data = data.assign_coords(time=("time", time))
    data["air_temperature"][:] = 280.0 + np.tile([0.0, 4.0, 8.0, 4.0], 4)[:, None, None]
    found = read(tmp_path, domain, data).read(0, 4)
    np.testing.assert_allclose(found.air_temperature, 284.0)
    np.testing.assert_allclose(found.diurnal_range, 8.0)


def test_extremes_of_the_file_tell_the_diurnal_range_and_longwave_is_taken(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    for name, shift in (("air_temperature_min", -3.0), ("air_temperature_max", 4.0)):
        data[name] = data["air_temperature"] + shift
        data[name].attrs = {"grid_mapping": "crs"}
    data["longwave_down"] = 0.0 * data["air_temperature"] + 300.0
    data["longwave_down"].attrs = {"grid_mapping": "crs"}
    found = read(tmp_path, domain, data).read(0, 2, padded=31)
    np.testing.assert_allclose(found.diurnal_range[:2], 7.0)
    assert found.longwave_given
    assert found.longwave_down.shape == (31, 16)
    np.testing.assert_array_equal(found.air_temperature[2:], np.tile(found.air_temperature[1], (29, 1)))


def test_altitude_of_the_weather_moves_what_depends_on_it(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    data["longwave_down"] = 0.0 * data["air_temperature"] + 300.0
    data["longwave_down"].attrs = {"grid_mapping": "crs"}
    level = read(tmp_path, domain, data).read(0, 1)
    height = np.asarray(domain.surface_altitude)
    data["surface_altitude"] = (("y", "x"), np.full((3, 3), 1100.0), {"grid_mapping": "crs"})
    found = read(tmp_path, domain, data).read(0, 1)
    np.testing.assert_allclose(found.air_temperature[0], 285.0 + 0.0065 * (1100.0 - height), rtol=1e-6)
    assert (found.air_pressure > 9e4).all()

    def relative(weather):
        most = thermodynamics.saturation_humidity(weather.air_temperature, weather.air_pressure).humidity
        return np.asarray(weather.specific_humidity / most)

    np.testing.assert_allclose(relative(found), relative(level), rtol=1e-12)
    warmer = np.asarray(found.air_temperature > level.air_temperature)
    assert warmer.any()
    assert ((np.asarray(found.longwave_down) > 300.0) == warmer).all()
    assert ((np.asarray(found.specific_humidity) > np.asarray(level.specific_humidity)) == warmer).all()


def test_where_the_weather_belongs_to_the_cells_nothing_moves(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    data["longwave_down"] = 0.0 * data["air_temperature"] + 300.0
    data["longwave_down"].attrs = {"grid_mapping": "crs"}
    data["surface_altitude"] = (("y", "x"), np.full((3, 3), float(domain.surface_altitude[0])), {"grid_mapping": "crs"})
    lone = np.full(domain.grid.cells, float(domain.surface_altitude[0]))
    store.write_dataset(data, tmp_path / "f.nc", "A test")
    found = forcing_store.open_forcing(tmp_path / "f.nc", domain.grid, lone, "1990-01-01", "1990-01-04").read(0, 1)
    for name in ("air_temperature", "air_pressure", "specific_humidity", "longwave_down"):
        given = float(data[name].values.ravel()[0])
        np.testing.assert_allclose(getattr(found, name), given, rtol=1e-14)


def test_files_that_follow_each_other_are_one(tmp_path, domain):
    data = small_case.forcing_dataset()
    whole = read(tmp_path, domain, data, end="1990-02-10").read(0, 31)
    for part, span in enumerate((slice(40, None), slice(0, 20), slice(20, 40))):
        store.write_dataset(data.isel(time=span), tmp_path / f"part{part}.nc", "A test")
    pattern = str(tmp_path / "part*.nc")
    reader = forcing_store.open_forcing(pattern, domain.grid, domain.surface_altitude, "1990-01-01", "1990-02-10")
    np.testing.assert_array_equal(reader.read(0, 31).precipitation, whole.precipitation)
    (tmp_path / "part2.nc").unlink()
    with pytest.raises(InputError, match="1990-01-21T00:00:00 is missing"):
        forcing_store.open_forcing(pattern, domain.grid, domain.surface_altitude, "1990-01-01", "1990-02-10")


def test_degrees_serve_as_well(tmp_path, domain):
    data = small_case.forcing_dataset(double=True)
    lon, lat = np.linspace(99.9, 100.2, 3), np.linspace(39.9, 40.2, 3)
    plain = xr.Dataset({name: (("time", "lat", "lon"), data[name].values) for name in small_case.WEATHER})
    for name in small_case.WEATHER:
        plain[name].attrs["units"] = store.VARIABLES[name].units
    plain = plain.assign_coords(time=data.time, lat=lat, lon=lon)
    plain["air_temperature"] = (280.0 + plain.lat + 0.0 * plain.wind_speed).transpose("time", "lat", "lon")
    plain["air_temperature"].attrs["units"] = "K"
    found = read(tmp_path, domain, plain).read(0, 1)
    np.testing.assert_allclose(found.air_temperature[0], 280.0 + np.asarray(domain.latitude), rtol=1e-9)


def test_scan_finds_what_reading_would(tmp_path, domain):
    data = small_case.forcing_dataset()
    ranges = read(tmp_path, domain, data, end="1990-03-01").scan()
    assert ranges["air_temperature"][0] == pytest.approx(285.0)
    data["wind_speed"][40, 1, 1] = np.nan
    with pytest.raises(InputError, match=r"wind_speed: is missing \(NaN\) at 1990-02-10 at y 2000, x 2000"):
        read(tmp_path, domain, data, end="1990-03-01").scan()
