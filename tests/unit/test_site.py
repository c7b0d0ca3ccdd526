"""The site mode: the same column as in the daily model, under weather measured through the day."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from site_case import columns, weather
from skies import random_forcing

from chase_jax.checks import InputError
from chase_jax.model import land, site
from chase_jax.physics import atmosphere, sky, soil_hydraulics, turbulence, vegetation

CELLS = 4


def test_hours_spread_from_a_day_give_the_day_of_the_daily_model():
    """The site run and the daily model are the same loop over the same sub-step."""
    column = eqx.tree_at(lambda s: s.drainage_time, columns(), jnp.full(CELLS, 1e30))  # nothing leaves the aquifer
    p, options = column.parameters, land.Options(land_substeps=24)
    state = site.initial_state(column, jnp.full(CELLS, 283.0), jnp.full(CELLS, 0.6))
    forcing = random_forcing(3, CELLS)
    setting = land.Setting(
        column.latitude,
        jnp.ones(CELLS),
        column.aquifer_thickness,
        column.specific_yield,
        state.aquifer_storage,
        jnp.zeros(CELLS),
    )
    day = jax.jit(land.day, static_argnums=4)(p, state.land, forcing, setting, options)
    spread = atmosphere.prepare_day(p.atmosphere, forcing, column.latitude, 24)
    leaf_area = land.leaf_area_today(p.leaf_area_index, forcing.day_of_year)
    air_of = jax.tree_util.Partial(atmosphere.air, spread.shared)
    hours = jax.jit(site.day, static_argnums=5)
    end, exchanged = hours(column, state, leaf_area, spread.intervals, air_of, 3600.0)
    expected = eqx.tree_at(lambda s: s.open_water, day.state, state.land.open_water)
    for got, wanted in zip(jax.tree.leaves(end.land), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-9 * np.max(np.abs(wanted)) + 1e-12)
    np.testing.assert_allclose(end.aquifer_storage, day.aquifer_storage, rtol=1e-14)
    for name in ("latent_heat", "sensible_heat", "net_longwave", "transpiration", "surface_runoff"):
        mean = np.mean(np.asarray(getattr(exchanged.land, name)), axis=0)
        wanted = np.asarray(getattr(day.fluxes, name))
        np.testing.assert_allclose(mean, wanted, rtol=1e-9, atol=1e-9 * np.max(np.abs(wanted)) + 1e-20)


@pytest.mark.parametrize("hours", [-8.0, -3.0, 5.0, 13.0])
def test_a_clock_that_differs_from_the_sun_shifts_its_course(hours):
    latitude = jnp.array([-70.0, 0.0, 47.0, 80.0])
    for day in (10.0, 172.0):
        plain = sky.sunlight(latitude, jnp.asarray(day), 24)
        ahead = sky.sunlight(latitude, jnp.asarray(day), 24, jnp.full(CELLS, hours))
        for before, after in zip(jax.tree.leaves(plain), jax.tree.leaves(ahead), strict=True):
            np.testing.assert_allclose(after, np.roll(before, -int(hours), axis=0), atol=1e-12)


def test_measured_weather_becomes_air_without_loss():
    today = jax.tree.map(lambda leaf: leaf[0], weather(1, seed=2))
    column, measured = columns(), today.measured
    p = column.parameters.atmosphere
    pair = atmosphere.prepare_measured(p, measured, column.latitude, today.day_of_year, column.solar_time_ahead)
    air = atmosphere.air(*pair)
    light = air.direct_visible + air.diffuse_visible + air.direct_infrared + air.diffuse_infrared
    np.testing.assert_allclose(light, measured.shortwave_down, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(air.rain, measured.rain, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(air.snowfall, measured.snowfall, rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(air.longwave_down, measured.longwave_down)
    np.testing.assert_array_equal(air.pressure, measured.pressure)
    night = np.asarray(air.cosine_zenith) == 0.0
    assert night.any()
    assert not night.all()
    assert np.all(np.asarray(air.direct_visible)[night] == 0.0)
    assert np.all(np.asarray(air.wind_speed) >= atmosphere.WIND_FLOOR)


def test_phase_and_longwave_are_derived_where_they_were_not_measured():
    today = jax.tree.map(lambda leaf: leaf[0], weather(1, longwave=False, phases=False))
    column = columns()
    p = column.parameters.atmosphere
    shared, interval = atmosphere.prepare_measured(
        p, today.measured, column.latitude, today.day_of_year, column.solar_time_ahead
    )
    assert np.all(np.asarray(shared.snow_share)[:, 1] < 1e-6)  # the hot site
    assert np.all(np.asarray(shared.snow_share)[:, 3] > 0.9)  # the cold site
    black = 5.67e-8 * np.asarray(today.measured.temperature) ** 4
    assert np.all((np.asarray(interval.longwave_down) > 0.5 * black) & (np.asarray(interval.longwave_down) < black))


def test_a_tower_measures_at_the_reference_height():
    """Sensors 2 m above the canopy are a screen: only the way of the wind to it differs from gridded weather."""
    plants = vegetation.from_class(np.array([7, 9, 11, 14]))
    cover = vegetation.canopy(plants, jnp.full(CELLS, 2.0))
    screen = turbulence.geometry(plants, cover, jnp.zeros(CELLS))
    top = screen.height_above  # 2 m
    np.testing.assert_allclose(top, 2.0, rtol=1e-12)
    high = turbulence.geometry(plants, cover, jnp.zeros(CELLS), jnp.full(CELLS, 30.0))
    np.testing.assert_array_equal(high.wind_ratio, 1.0)
    assert np.all(np.asarray(high.log_above) > np.asarray(screen.log_above))
    same = turbulence.geometry(plants, cover, jnp.zeros(CELLS), 30.0 - high.height_above + 2.0)
    for name in ("log_above", "louis_above", "wind_between", "diffusion_below"):
        np.testing.assert_allclose(getattr(same, name), getattr(screen, name), rtol=1e-12)
    low = turbulence.geometry(plants, cover, jnp.zeros(CELLS), jnp.full(CELLS, 0.1))
    np.testing.assert_allclose(low.height_above, turbulence.SENSOR_CLEARANCE, rtol=1e-12)


def test_a_field_may_have_another_height_every_day():
    """As high as the site says it is the same; cut on the second day it is another field on that day only."""
    column, now = columns(vegetation_height=np.full(CELLS, 0.6)), weather(2)
    start = site.initial_state(column, jnp.full(CELLS, 284.0), jnp.full(CELLS, 0.6))
    run = jax.jit(site.run)
    heat = run(column, start, now).record.land.sensible_heat
    cut = dataclasses.replace(now, vegetation_height=jnp.array([[0.6] * CELLS, [0.1] * CELLS]))
    other = run(column, start, cut).record.land.sensible_heat
    np.testing.assert_allclose(other[0], heat[0], rtol=1e-12)
    assert np.all(np.max(np.abs(other[1] - heat[1]), axis=0) > 0.1)


def test_a_held_water_table_stays_and_a_deep_one_takes_no_water_back():
    held = columns(water_table_depth=np.full(CELLS, 2.5), drainage_time=1.0)
    state = site.initial_state(held, jnp.full(CELLS, 285.0), jnp.full(CELLS, 0.3))
    run = jax.jit(site.run)
    result = run(held, state, weather(2))
    table = soil_hydraulics.water_table(result.state.aquifer_storage, held.aquifer_thickness, held.specific_yield)
    np.testing.assert_allclose(table.depth, 2.5, atol=1e-9)
    assert np.all(np.asarray(result.record.outflow[-1]) < 0.0)  # dry soil draws water in
    deep = columns(water_table_depth=np.full(CELLS, 50.0), drainage_time=1.0)
    wet = site.initial_state(deep, jnp.full(CELLS, 285.0), jnp.full(CELLS, 0.95))
    assert np.all(np.asarray(run(deep, wet, weather(2)).record.outflow[-1]) > 0.0)


def test_solar_time_follows_longitude_and_clock():
    ahead = columns(longitude=np.array([15.0, 0.0, -120.0, 350.0]), clock=1.0).solar_time_ahead
    np.testing.assert_allclose(ahead, [0.0, -1.0, -9.0, -1.0 - 10.0 / 15.0], atol=1e-12)


def test_wrong_sites_and_weather_are_refused():
    with pytest.raises(InputError, match="Argument `sand` must have shape"):
        columns(sand=np.array([0.4]))
    with pytest.raises(InputError, match=r"Argument `water_table_depth` must lie between 2\.5"):
        columns(water_table_depth=np.full(CELLS, 1.0))
    with pytest.raises(InputError, match="Argument `drainage_time` must be above 0"):
        columns(drainage_time=0.0)
    with pytest.raises(InputError, match="Argument `vegetation_height` must lie between"):
        columns(vegetation_height=np.full(CELLS, 30.0))
    series = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, CELLS), weather(2).measured)
    days = np.array([1.0, 2.0])
    with pytest.raises(InputError, match=r"measured.temperature` must have 24 intervals for each of 3 days, but has"):
        site.Weather.from_series(series, 24, np.arange(3.0))
    for name, value in (("rain", np.nan), ("shortwave_down", -3.0), ("temperature", 12.0)):
        bad = np.array(getattr(series, name))
        bad[5, 2] = value
        with pytest.raises(InputError, match=rf"measured\.{name}` must lie between .* index \(5, 2\)"):
            site.Weather.from_series(dataclasses.replace(series, **{name: bad}), 24, days)
