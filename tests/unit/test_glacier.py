"""Glacier ice: melt, cold ice, vanishing ice, firn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weather import air_of

from chase_jax import constants as const
from chase_jax.model import glacier_tile
from chase_jax.physics import atmosphere, glacier, snow

STEP = 10800.0
step = jax.jit(glacier_tile.step, static_argnames="dt")


def tile(n=1, snow_water=0.0, ice=1e5, mean_temperature=268.0):
    parameters = glacier_tile.Parameters(
        snow.Parameters.default(n), glacier.Parameters.default(jnp.full(n, mean_temperature))
    )
    water = jnp.full(n, snow_water)
    enthalpy = -const.LATENT_HEAT_FUSION * water - 10.0 * (2106.0 * water + sum(snow.DRY_HEAT_CAPACITY))
    pack = snow.State.uniform(parameters.snow, water, enthalpy, water / 350.0)
    return parameters, glacier_tile.State(pack, glacier.State.at_rest(parameters.ice, jnp.full(n, ice)))


def test_temperate_ice_turns_all_heat_into_melt():
    parameters, state = tile(mean_temperature=const.MELTING_TEMPERATURE)
    zero, melted = jnp.zeros(1), 0.0
    ice = state.ice
    for _ in range(8 * 4):
        heat = jnp.full(1, 100.0)
        ice, fluxes = glacier.step(
            parameters.ice, ice, glacier.diagnose(ice), heat, zero, zero, zero, zero, STEP
        )  # fmt: skip
        melted += float(fluxes.melt[0]) * STEP
    np.testing.assert_allclose(melted, 100.0 * 4 * 86400.0 / const.LATENT_HEAT_FUSION, rtol=2e-3)


def test_heat_that_melts_at_the_skin_runs_off_from_cold_ice():
    parameters, state = tile(mean_temperature=263.0)
    zero = jnp.zeros(1)
    phase = glacier.diagnose(state.ice)
    after, fluxes = glacier.step(
        parameters.ice, state.ice, phase, zero, jnp.full(1, 200.0), zero, zero, zero, STEP
    )  # fmt: skip
    per_mass = const.LATENT_HEAT_FUSION + const.SPECIFIC_HEAT_ICE * (const.MELTING_TEMPERATURE - 263.0)
    np.testing.assert_allclose(fluxes.melt[0], 200.0 / per_mass, rtol=1e-3)
    np.testing.assert_allclose(glacier.diagnose(after).temperature, phase.temperature, atol=1e-3)


def test_a_hot_day_melts_some_centimeters_of_bare_ice_and_less_under_snow():
    _, bare = tile()
    parameters, covered = tile(snow_water=400.0)
    melted = []
    for state in (bare, covered):
        total = 0.0
        for hour in range(8):
            sun = 900.0 * max(np.sin(np.pi * (hour - 1.5) / 5.0), 0.0)
            air = air_of([285.0], shortwave=sun, wind_speed=4.0, relative_humidity=0.6, longwave_down=310.0)
            state, fluxes = step(parameters, state, air, dt=STEP)
            total += float(fluxes.ice_melt[0]) * STEP
        melted.append(total)
    assert 35.0 < melted[0] < 110.0
    assert melted[1] < 1.0


def test_winter_ice_does_not_melt_and_cools():
    parameters, state = tile()
    before = float(glacier.diagnose(state.ice).temperature[0])
    for _ in range(80):
        state, fluxes = step(parameters, state, air_of([250.0]), dt=STEP)
    assert float(glacier.diagnose(state.ice).temperature[0]) < before - 3.0
    assert float(fluxes.ice_melt[0]) * 86400.0 < 0.01


def test_ice_that_has_gone_stays_gone_and_its_bed_near_the_air():
    parameters, state = tile(ice=300.0)
    for i in range(8 * 60):
        air = air_of([288.0], shortwave=600.0 * (i % 8 in (3, 4, 5)), wind_speed=4.0, longwave_down=330.0)
        state, fluxes = step(parameters, state, air, dt=STEP)
    assert 0.0 <= float(state.ice.ice[0]) < 1e-3
    assert abs(float(glacier.diagnose(state.ice).temperature[0]) - 288.0) < 25.0
    assert float(fluxes.runoff[0]) * 86400.0 < 0.5  # dew


def test_snow_beyond_the_threshold_becomes_ice():
    parameters, state = tile(n=2, snow_water=3500.0)
    start = state
    for _ in range(8 * 30):
        state, fluxes = step(parameters, state, air_of([250.0, 250.0]), dt=STEP)
    assert glacier_tile.FIRN_THRESHOLD < float(state.snow.water[0]) < 3100.0
    assert float(state.ice.ice[0] - start.ice.ice[0]) > 400.0
    assert float(fluxes.firn[0]) > 0.0


def test_a_day_is_the_sum_of_its_steps_and_closes():
    parameters, state = tile(n=3, snow_water=200.0)
    leaves = {
        "precipitation": [0.0, 2e-4, 4e-4],
        "air_temperature": [265.0, 273.5, 280.0],
        "shortwave_down": [250.0, 100.0, 300.0],
        "specific_humidity": [1.5e-3, 4e-3, 5e-3],
        "air_pressure": [7e4] * 3,
        "wind_speed": [3.0] * 3,
        "longwave_down": [0.0] * 3,
        "diurnal_range": [8.0] * 3,
    }
    forcing = atmosphere.Forcing(**{k: jnp.asarray(v) for k, v in leaves.items()}, day_of_year=jnp.asarray(160.0))
    air_parameters, latitude = atmosphere.Parameters.default(3), jnp.full(3, 46.8)
    after, mean, residual = glacier_tile.day(parameters, air_parameters, state, forcing, latitude, 8)
    weather = atmosphere.prepare_day(air_parameters, forcing, latitude, 8)
    stepped, runoff = state, 0.0
    for number in range(8):
        interval = jax.tree.map(lambda leaf, k=number: leaf[k], weather.intervals)
        stepped, fluxes = step(parameters, stepped, atmosphere.air(weather.shared, interval), dt=STEP)
        runoff = runoff + fluxes.runoff / 8
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(stepped), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mean.runoff, runoff, rtol=1e-9, atol=1e-15)
    assert float(residual.max()) < 1e-6
    held = after.snow.water + after.ice.ice - state.snow.water - state.ice.ice
    np.testing.assert_allclose(
        held, 86400.0 * (forcing.precipitation - mean.evaporation - mean.runoff), rtol=1e-9, atol=1e-7
    )
    assert float(mean.runoff[2]) * 86400.0 > 10.0
