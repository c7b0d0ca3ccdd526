"""How a day is spread: limits, signs, and what is refused."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skies import airs_of, prepare_day, random_forcing

from chase_jax.checks import InputError
from chase_jax.physics import atmosphere, disaggregation, sky
from chase_jax.physics.thermodynamics import saturation_humidity

N = 5


def prepared(forcing, substeps=8, latitude=47.0, storm="duration"):
    parameters = atmosphere.Parameters.default(N)
    return prepare_day(parameters, forcing, jnp.full(N, latitude), substeps, storm)


def storm_of(millimetres, day_of_year, substeps=24):
    """Share of a day's rain in each interval."""
    amount = jnp.asarray(millimetres) / 86400.0
    storm = disaggregation.place_storm(amount, substeps, jnp.asarray(day_of_year))
    return np.asarray(disaggregation.storm_shares(amount, storm, substeps)) / substeps


def test_storm_durations():
    amounts = jnp.array([0.0, 1.0, 10.0, 25.0, 2000.0]) / 86400.0
    hours = disaggregation.storm_hours(amounts)
    np.testing.assert_allclose(hours, [1.0, 2.3, 2.3 * 10.0**0.35, 2.3 * 25.0**0.35, 24.0], rtol=1e-12)
    shares = storm_of([0.0, 1.0, 10.0, 25.0, 2000.0], 0.0)
    np.testing.assert_allclose(shares.sum(0), 1.0, rtol=1e-14)
    assert list((shares > 1e-12).sum(0)) == [1, 3, 6, 8, 24]  # from midnight on the day 0
    np.testing.assert_allclose(shares[:, 4], 1.0 / 24.0)


def test_rain_dims_the_light_but_leaves_no_other_hour_brighter_than_clear_sky():
    sun = jnp.asarray(np.maximum(np.sin(np.linspace(-np.pi / 2, 1.5 * np.pi, 25)[:-1]), 0.0))[:, None]
    light = sun / sun.mean() * jnp.ones(3)
    damp = jnp.zeros((24, 3)).at[10:14].set(0.9)
    found = np.asarray(disaggregation.dim_light(light, damp, jnp.array([0.2, 0.6, 0.8])))
    np.testing.assert_allclose(found.mean(0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found[12, 0] / found[15, 0], (1 - 0.75 * 0.9) * light[12, 0] / light[15, 0], rtol=1e-9)
    np.testing.assert_allclose(found[15, 1] * 0.6, 0.75 * light[15, 1], rtol=1e-9)  # the clear sky
    np.testing.assert_allclose(found[:, 2], light[:, 2], rtol=1e-12)


def test_storms_come_at_any_hour_alike():
    year = np.stack([storm_of([8.0], float(day))[:, 0] for day in range(1, 366)])
    np.testing.assert_allclose(year.sum(1), 1.0, rtol=1e-12)
    hourly = year.mean(0)
    assert hourly[8:16].std() < 0.02 * hourly[8:16].mean()
    np.testing.assert_allclose(hourly, hourly[::-1], atol=2e-3)  # as likely early as late
    starts = np.sort((year > 1e-12).argmax(1))
    assert np.diff(starts).max() <= 1  # every hour that leaves room for the storm


def test_air_is_damp_in_rain_and_dry_days_keep_one_level():
    base = random_forcing(0, N)
    rain = jnp.array([0.0, 0.01, 3.0, 12.0, 40.0]) / 86400.0
    humidity = 0.7 * saturation_humidity(base.air_temperature, base.air_pressure).humidity
    mild = jnp.full(N, 3.0)  # K, so that no night is saturated
    forcing = dataclasses.replace(base, precipitation=rain, specific_humidity=humidity, diurnal_range=mild)
    intervals = prepared(forcing, 24).intervals
    limit = saturation_humidity(intervals.temperature, forcing.air_pressure).humidity
    relative = np.asarray(intervals.specific_humidity / limit)
    np.testing.assert_allclose(intervals.specific_humidity.mean(0), humidity, rtol=1e-12)
    wet = np.asarray(intervals.precipitation) > 0.0
    level = np.asarray(intervals.specific_humidity / humidity)
    assert np.ptp(level[:, 0]) < 1e-12
    assert np.ptp(level[:, 1]) < 0.01  # a trace of rain
    for cell in (2, 3):
        assert relative[wet[:, cell], cell].mean() > relative[~wet[:, cell], cell].mean() + 0.1
    assert (level > 0.8 - 1e-9).all()  # the rest of the day is not left bone dry
    flat = prepared(forcing, 24, storm="flat").intervals.specific_humidity / humidity
    assert np.ptp(np.asarray(flat)) < 1e-12


def test_warmest_in_the_early_afternoon_and_coldest_before_sunrise():
    day = prepared(random_forcing(0, N, 172.0), 24)
    temperature = np.asarray(day.intervals.temperature)
    swinging = np.ptp(temperature, axis=0) > 0.0
    assert set(temperature[:, swinging].argmax(0)) == {13}
    assert set(temperature[:, swinging].argmin(0)) == {4}


def test_light_follows_the_sun():
    forcing = random_forcing(0, N, 80.0)
    forcing = eqx.tree_at(lambda f: f.precipitation, forcing, jnp.zeros(N))
    intervals = prepared(forcing, 24).intervals
    light = np.asarray(intervals.shortwave_down)
    np.testing.assert_allclose(light, light[::-1], atol=1e-9)  # symmetric about noon
    assert np.all(light[[0, 3, 20, 23]] == 0.0)
    assert np.all((light == 0.0) | (np.asarray(intervals.cosine_zenith) > 0.0))


def test_polar_night_spreads_stray_light_as_diffuse():
    forcing = dataclasses.replace(random_forcing(0, N, 355.0), shortwave_down=jnp.full(N, 2.0))
    airs = airs_of(prepared(forcing, latitude=85.0))
    np.testing.assert_array_equal(airs.direct_visible, 0.0)
    np.testing.assert_allclose(airs.diffuse_visible + airs.diffuse_infrared, 2.0, rtol=1e-14)


def test_snow_falls_in_the_cold_and_rain_in_the_warm():
    base = random_forcing(0, N, 20.0)
    temperature = jnp.array([253.15, 271.15, 274.15, 277.15, 293.15])
    humidity = 0.999 * saturation_humidity(temperature, base.air_pressure).humidity  # wet bulb = air temperature
    forcing = dataclasses.replace(base, air_temperature=temperature, specific_humidity=humidity)
    share = np.asarray(prepared(forcing).shared.snow_share)
    assert np.all(np.diff(share) < 0.0)
    assert share[0] > 0.999999
    assert abs(share[2] - 0.5) < 0.01
    assert share[4] < 1e-10
    dry = dataclasses.replace(forcing, specific_humidity=0.2 * humidity)
    assert np.all(np.asarray(prepared(dry).shared.snow_share)[1:4] > share[1:4])


def test_precipitation_carries_the_heat_of_its_phase():
    forcing = dataclasses.replace(random_forcing(0, N), air_temperature=jnp.full(N, 268.0))
    shared = prepared(forcing).shared
    np.testing.assert_array_equal(shared.rain_enthalpy, 0.0)  # rain below melting arrives at melting
    assert np.all(np.asarray(shared.snow_enthalpy) < -0.3336e6)


def test_wet_bulb_temperature_solves_the_psychrometer_equation():
    draw = np.random.default_rng(0)
    temperature, pressure = jnp.asarray(draw.uniform(243.0, 313.0, 500)), jnp.asarray(draw.uniform(5e4, 1e5, 500))
    humidity = jnp.asarray(draw.uniform(0.03, 1.0, 500)) * saturation_humidity(temperature, pressure).humidity
    wet = disaggregation.wet_bulb_temperature(temperature, humidity, pressure)

    def excess(guess):
        return 1004.64 * (temperature - guess) - 2.5104e6 * (saturation_humidity(guess, pressure).humidity - humidity)

    low, high = jnp.full(500, 200.0), temperature
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = jnp.where(excess(middle) > 0, middle, low), jnp.where(excess(middle) > 0, high, middle)
    assert float(jnp.max(jnp.abs(wet - middle))) < 0.02
    assert np.all(np.asarray(wet) <= np.asarray(temperature))


def test_the_sky_is_warmer_when_it_is_cloudy_or_moist():
    temperature, pressure = jnp.full(3, 285.0), jnp.full(3, 1e5)
    clear = jnp.array([0.75, 0.5, 0.25])
    cloudier = np.asarray(sky.sky_longwave(temperature, jnp.full(3, 5e-3), pressure, clear))
    moister = np.asarray(sky.sky_longwave(temperature, jnp.array([2e-3, 5e-3, 8e-3]), pressure, jnp.full(3, 0.7)))
    assert np.all(np.diff(cloudier) > 0.0)
    assert np.all(np.diff(moister) > 0.0)
    black = 5.67e-8 * 285.0**4
    assert np.all((cloudier > 0.6 * black) & (cloudier < black))


def test_clear_days_have_less_diffuse_light():
    share = np.asarray(sky.diffuse_fraction(jnp.linspace(0.0, 1.0, 201)))
    assert np.all(np.diff(share) <= 0.0)
    assert abs(share[0] - 0.998) < 2e-3
    assert abs(share[-1] - 0.166) < 1e-3
    assert abs(float(sky.clearness(jnp.zeros(1), jnp.zeros(1), jnp.asarray(1.0))[0]) - 0.45) < 1e-15


def test_the_scan_and_single_precision_keep_their_types():
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), random_forcing(0, N))
    parameters = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), atmosphere.Parameters.default(N))
    day = prepare_day(parameters, single, jnp.full(N, 47.0, jnp.float32), 8)
    assert {leaf.dtype for leaf in jax.tree.leaves(airs_of(day))} == {jnp.dtype(jnp.float32)}


def test_no_cells_are_fine():
    empty = jax.tree.map(lambda leaf: leaf[:0] if leaf.ndim else leaf, random_forcing(0, N))
    day = atmosphere.prepare_day(atmosphere.Parameters.default(0), empty, jnp.zeros(0), 8)
    assert airs_of(day).rain.shape == (8, 0)


def test_wrong_choices_are_refused():
    with pytest.raises(InputError, match="Argument `storm` must be one of duration, flat"):
        prepared(random_forcing(0, N), storm="triangle")
    with pytest.raises(InputError, match="Argument `substeps` must be at least 1"):
        prepared(random_forcing(0, N), substeps=0)
