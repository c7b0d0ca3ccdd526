"""Completed weather: formulas by hand, what is kept, what is flagged, and the scores at stations that measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from chase_jax.checks import InputError
from chase_jax.io import store
from chase_jax.variables import FORCING_REQUIRED
from data_prep import appenzell, completion, sites, weather

EXTREMES = ("precipitation", "air_temperature_min", "air_temperature_max")


def days(count=400, shape=(2, 3)):
    """Weather of a moderate climate in the units of the table."""
    draw = np.random.default_rng(3)
    time = pd.date_range("2001-01-01", periods=count)
    season = -np.cos(2 * np.pi * (time.day_of_year.to_numpy() - 20) / 365.25)[:, None, None]
    mean = 283.0 + 9.0 * season + draw.normal(0, 2, (count, *shape))
    spread = draw.uniform(2.0, 16.0, (count, *shape))
    rain = draw.exponential(6.0, (count, *shape)) * (draw.random((count, *shape)) < 0.4) / 86400.0
    fields = {"precipitation": rain, "air_temperature": mean}
    fields |= {"air_temperature_min": mean - 0.5 * spread, "air_temperature_max": mean + 0.5 * spread}
    data = {name: (("time", "y", "x"), v, store.attributes(name)) for name, v in fields.items()}
    return xr.Dataset(data, coords={"time": time, "y": [1e3, 0.0][: shape[0]], "x": np.arange(shape[1]) * 1e3})


def test_formulas_by_hand():
    """Examples of allen1998: 2 (81.8 kPa at 1800 m), 3 (3.075 kPa at 24.5 C), 14 (3.2 at 10 m is 2.4 m/s at 2 m)."""
    np.testing.assert_allclose(weather.standard_pressure(np.array(1800.0)), 81.8e3, rtol=1e-3)
    np.testing.assert_allclose(weather.vapor_pressure(np.array([297.65, 288.15])), [3075.0, 1705.0], rtol=2e-3)
    np.testing.assert_allclose(weather.wind_at_ten_meters(np.array(2.4)), 3.2, rtol=5e-3)
    # e = 1.705 kPa at 100 kPa: .622 x 1.705 / (100 - .378 x 1.705) = 10.674 g/kg
    np.testing.assert_allclose(weather.specific_humidity(np.array(1705.0), np.array(1e5)), 0.010674, rtol=1e-4)
    pressure = np.array([4e4, 1e5])
    back = weather.vapor_pressure_of_humidity(weather.specific_humidity(np.array(900.0), pressure), pressure)
    np.testing.assert_allclose(back, 900.0, rtol=1e-12)


def test_equilibrium_evaporation_by_hand():
    """20 C, 100 kPa, 200 W m-2: slope .1447, gamma .0665 kPa/K: 1.26 x .685 x .765 x 7.053 mm = 4.66 mm a day."""
    found = weather.equilibrium_evaporation(np.array(200.0), np.array(293.15), np.array(1e5))
    np.testing.assert_allclose(found, 4.66, rtol=5e-3)


def test_dew_point_by_hand():
    """Humid: 280 K x (-.127 + 1.124363 + .006) = 280.94 K; 4 mm a day at 400 mm a year: x .988519 = 276.785 K."""
    found = weather.dew_point_from_minimum(
        np.array(280.0), np.array(10.0), np.array([0.0, 4.0, 4.0, 4.0]), np.array([400.0, 400.0, 80.0, 10.0])
    )
    np.testing.assert_allclose(found[:2], [280.942, 276.785], atol=2e-3)
    assert found[3] == found[2] < found[1]


def test_everything_missing_is_added_flagged_and_reported():
    dataset = days()[list(EXTREMES)]
    full, report = completion.complete(dataset, 300.0, 48.0)
    assert set(FORCING_REQUIRED) <= set(full.data_vars)
    assert "longwave_down" not in full
    assert set(report) == set(FORCING_REQUIRED) - {"precipitation"}
    for name in report:
        assert full[name].attrs["derivation"] == f"not observed: {report[name]}"
        assert full[name].attrs["units"] == store.attributes(name)["units"]
        assert full[name].dims == ("time", "y", "x")
        store.check_values(full[name].values, name, "completed", str)
    assert full.shortwave_down.attrs["references"] == "thornton1999"
    for name in EXTREMES:
        assert full[name].identical(dataset[name])
    assert "derivation" not in full.precipitation.attrs
    np.testing.assert_allclose(
        full.air_temperature, 0.5 * (dataset.air_temperature_min + dataset.air_temperature_max), rtol=1e-12
    )
    np.testing.assert_allclose(full.wind_speed, 2.0 * np.log(672.58) / 4.87, rtol=1e-12)


def test_what_is_given_is_kept_and_nothing_then_added():
    full, _ = completion.complete(days(), 300.0, 48.0)
    again, report = completion.complete(full, 300.0, 48.0)
    assert report == {}
    assert again.identical(full)


def test_humidity_and_light_agree_with_one_another():
    """The iteration ends where light from the humidity found is the light that the humidity was found with."""
    dataset = days()[list(EXTREMES)]
    full, _ = completion.complete(dataset, 300.0, 48.0)
    by_humidity, _ = completion.complete(full.drop_vars("shortwave_down"), 300.0, 48.0)
    by_light, _ = completion.complete(full.drop_vars("specific_humidity"), 300.0, 48.0)
    np.testing.assert_allclose(by_humidity.shortwave_down, full.shortwave_down, rtol=1e-12)
    np.testing.assert_allclose(by_light.specific_humidity, full.specific_humidity, rtol=1e-5)


def test_dry_climates_have_a_lower_dew_point():
    dataset = days()[list(EXTREMES)]
    arid = dataset.assign(precipitation=dataset.precipitation * 0.2)
    arid.precipitation.attrs = dataset.precipitation.attrs
    humid, dry = (completion.complete(d, 300.0, 48.0)[0].specific_humidity for d in (dataset, arid))
    assert float((dry / humid).mean()) < 0.9
    assert float((dry / humid).max()) < 1.0


def test_temperature_and_precipitation_suffice():
    full, report = completion.complete(days()[["precipitation", "air_temperature"]], 300.0, 48.0)
    assert "wet and dry days" in report["shortwave_down"]
    assert "daily range of 10 K" in report["specific_humidity"]
    wet = full.precipitation.values > 0
    assert full.shortwave_down.values[wet].mean() < 0.75 * full.shortwave_down.values[~wet].mean()
    saturated = weather.specific_humidity(weather.vapor_pressure(full.air_temperature), full.air_pressure)
    assert float((full.specific_humidity / saturated).max()) <= 1.0 + 1e-12


def test_dew_point_is_used_where_it_is_given():
    dataset = days()
    dataset["dew_point_temperature"] = dataset.air_temperature - 6.0
    dataset.dew_point_temperature.attrs["units"] = "K"
    full, report = completion.complete(dataset, 300.0, 48.0)
    assert report["specific_humidity"] == "dew point"
    expected = weather.specific_humidity(
        weather.vapor_pressure(dataset.dew_point_temperature.values), full.air_pressure.values
    )
    np.testing.assert_allclose(full.specific_humidity, expected, rtol=1e-12)
    dataset.dew_point_temperature.attrs["units"] = "degree_Celsius"
    with pytest.raises(InputError, match="in K"):
        completion.complete(dataset, 300.0, 48.0)


def test_units_axes_and_places():
    """Degrees Celsius and mm/day are converted; axes may come in any order; altitude and latitude may vary."""
    dataset = days()
    other = dataset.transpose("x", "y", "time").copy(deep=True)
    for name in other.data_vars:
        rain = name == "precipitation"
        other[name] = other[name] * 86400.0 if rain else other[name] - 273.15
        other[name].attrs = {"units": "mm/day" if rain else "degree_Celsius"}
    altitude = xr.DataArray([[0.0, 500.0, 1000.0], [1500.0, 2000.0, 2500.0]], dims=("y", "x"))
    latitude = xr.DataArray([40.0, 60.0], dims="y")
    here, _ = completion.complete(dataset, altitude, latitude)
    there, _ = completion.complete(other, altitude.T, latitude)
    for name in ("shortwave_down", "specific_humidity", "air_pressure"):
        np.testing.assert_allclose(there[name].transpose("time", "y", "x"), here[name], rtol=1e-9)
    np.testing.assert_allclose(here.air_pressure[0], weather.standard_pressure(altitude.values), rtol=1e-12)
    alone, _ = completion.complete(dataset.isel(y=1, x=0), 1500.0, 60.0)
    np.testing.assert_allclose(alone.shortwave_down, here.shortwave_down[:, 1, 0], rtol=1e-9)


def test_wind_climatology():
    dataset = days(shape=(1, 1))
    monthly = np.arange(1.0, 13.0)
    full, report = completion.complete(dataset, 0.0, 50.0, wind_speed=monthly)
    assert report["wind_speed"] == "monthly climatology"
    np.testing.assert_array_equal(full.wind_speed[:, 0, 0], dataset.time.dt.month)
    steady, report = completion.complete(dataset, 0.0, 50.0, wind_speed=4.5)
    assert "constant of 4.5" in report["wind_speed"]
    assert float(steady.wind_speed.min()) == float(steady.wind_speed.max()) == 4.5


def test_skyline_takes_light_away():
    dataset = days()
    for names in (EXTREMES, ("precipitation", "air_temperature")):
        flat, _ = completion.complete(dataset[list(names)], 300.0, 48.0)
        valley, report = completion.complete(dataset[list(names)], 300.0, 48.0, horizon=[20.0] * 36)
        assert "skyline" in report["shortwave_down"]
        share = (valley.shortwave_down / flat.shortwave_down).values
        assert share.max() < 0.95
        winter, summer = (share[dataset.time.dt.month.values == month].mean() for month in (12, 6))
        assert winter < 0.8 * summer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop_vars("precipitation"), "must hold precipitation"),
        (lambda d: d[["precipitation", "air_temperature_max"]], "must hold precipitation"),
        (lambda d: d.assign(air_temperature=d.air_temperature.where(d.x > 0).assign_attrs(units="K")), "gaps"),
        (lambda d: d.isel(time=[0, 1, 3]), "one day"),
        (lambda d: d.assign(air_temperature=d.air_temperature.assign_attrs(units="")), "unit"),
        (lambda d: d.assign(air_temperature_min=(d.air_temperature_max + 1).assign_attrs(units="K")), "below maxima"),
    ],
)
def test_wrong_input_is_named(change, message):
    with pytest.raises(InputError, match=message):
        completion.complete(change(days(count=10)), 300.0, 48.0)


@pytest.mark.parametrize("arguments", [(9500.0, 48.0), (300.0, 95.0)])
def test_impossible_places_are_refused(arguments):
    with pytest.raises(InputError, match="must lie between"):
        completion.complete(days(count=10), *arguments)
    with pytest.raises(InputError, match="wind_speed"):
        completion.complete(days(count=10), 300.0, 48.0, wind_speed=[1.0, 2.0])


@pytest.mark.real_data
@pytest.mark.parametrize("place", ["US-Bi1", "US-Hn1"])
@pytest.mark.parametrize("humidity", [True, False])
def test_light_at_the_flux_towers(real_data, place, humidity):
    """Bias below 10 % and daily correlation above 0.9, with measured humidity and without."""
    measured = sites.daily_weather(real_data, place)
    names = [*EXTREMES, *(["air_temperature", "specific_humidity"] if humidity else [])]
    latitude, altitude = sites.PLACES[place]
    derived = completion.complete(measured[names], altitude, latitude)[0].shortwave_down.values
    known = measured.shortwave_down.values
    assert known.size > 390
    assert abs(derived.mean() / known.mean() - 1) < 0.10
    assert np.corrcoef(derived, known)[0, 1] > 0.9


@pytest.mark.real_data
def test_light_from_rain_alone_where_it_rains_much(real_data):
    """Forty years of a wet mountain: within 3 % of the light from sunshine, in spring too, and heavy rain is dark."""
    latitude, altitude = 47.28, 1250.0
    known, _ = appenzell.read_station(real_data / "appenzell", latitude)
    given = known[["precipitation", "air_temperature"]].expand_dims(place=1, axis=1)
    derived = completion.complete(given, altitude, latitude)[0].shortwave_down.isel(place=0)
    light = known.shortwave_down
    assert abs(float(derived.mean() / light.mean()) - 1.0) < 0.03
    assert np.corrcoef(derived, light)[0, 1] > 0.85
    for season in ("DJF", "MAM", "JJA", "SON"):
        chosen = (known.time.dt.season == season).values
        assert abs(float(derived[chosen].mean() / light[chosen].mean()) - 1.0) < 0.12, season
    heavy = (known.precipitation * weather.SECONDS_PER_DAY > 10.0).values
    assert abs(float(derived[heavy].mean() / light[heavy].mean()) - 1.0) < 0.15


@pytest.mark.real_data
@pytest.mark.parametrize("place", ["US-Bi1", "US-Hn1"])
def test_light_from_rain_alone_at_the_flux_towers(real_data, place):
    measured = sites.daily_weather(real_data, place)
    latitude, altitude = sites.PLACES[place]
    derived = completion.complete(measured[["precipitation", "air_temperature"]], altitude, latitude)[0].shortwave_down
    assert abs(float(derived.mean() / measured.shortwave_down.mean()) - 1.0) < 0.06
    assert np.corrcoef(derived, measured.shortwave_down)[0, 1] > 0.9


@pytest.mark.real_data
def test_light_in_a_clearing(real_data):
    """Col de Porte: days are told apart, but the mean is a third too high; the terrain's skyline explains a part."""
    measured = sites.daily_weather(real_data, "Col de Porte")
    latitude, altitude = sites.PLACES["Col de Porte"]
    known, flat = measured.shortwave_down.values, completion.complete(measured[list(EXTREMES)], altitude, latitude)[0]
    under = completion.complete(measured[list(EXTREMES)], altitude, latitude, horizon=sites.SKYLINE)[0]
    assert np.corrcoef(flat.shortwave_down, known)[0, 1] > 0.9
    assert known.mean() < float(under.shortwave_down.mean()) < float(flat.shortwave_down.mean()) < 1.35 * known.mean()


@pytest.mark.real_data
@pytest.mark.parametrize("place", list(sites.PLACES))
@pytest.mark.parametrize("extremes", [True, False])
def test_humidity_of_wet_days_at_stations(real_data, place, extremes):
    """Without what rain adds it is lower by 0.05 to 0.12 and errs by 0.10 to 0.15."""
    latitude, altitude = sites.PLACES[place]
    measured = sites.daily_weather(real_data, place)
    names = [*(EXTREMES if extremes else EXTREMES[:1]), "air_temperature"]
    full, _ = completion.complete(measured[names], altitude, latitude)
    wet = (measured.precipitation * weather.SECONDS_PER_DAY >= completion.WET_DAY).values
    most = weather.vapor_pressure(measured.air_temperature)
    found, known = (
        (weather.vapor_pressure_of_humidity(d.specific_humidity, full.air_pressure) / most).values[wet]
        for d in (full, measured)
    )
    assert abs(found.mean() - known.mean()) < 0.03
    assert np.sqrt(np.mean((found - known) ** 2)) < 0.115


def test_rain_makes_up_for_a_part_of_what_is_missing_to_saturation():
    dataset = days()
    dataset["precipitation"][:] = 4.0 / weather.SECONDS_PER_DAY
    drizzle = dataset.copy(deep=True)
    drizzle["precipitation"][7] = 0.99 / weather.SECONDS_PER_DAY
    wet, dry = (
        weather.vapor_pressure_of_humidity(full.specific_humidity[7], full.air_pressure[7])
        for full, _ in (completion.complete(d, 300.0, 48.0) for d in (dataset, drizzle))
    )
    most = weather.vapor_pressure(dataset.air_temperature[7])
    np.testing.assert_allclose(wet, dry + completion.RAIN_MOISTENS * (most - dry), rtol=0.01)
