"""Interception: limits and monotony."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from land_column import STEP, make_air, random_column

from chase_jax.physics import canopy
from chase_jax.physics import vegetation as plants


def rainy_forest(rate, temperature=285.0, leaf_area=5.0, dt=STEP, water=0.0):
    """A dry mixed forest in rain or snow; returns its state and the throughfall after one step."""
    vegetation = plants.from_class(np.array([15]))
    cover = plants.canopy(vegetation, jnp.array([leaf_area]))
    parameters = canopy.Parameters.default(vegetation)
    one = jnp.ones(1)
    state = canopy.State.default(parameters, temperature * one)
    state = eqx.tree_at(lambda s: s.water, state, jnp.full((3, 1), water))
    rain, snow = (rate, 0.0) if temperature > 273.16 else (0.0, rate)
    air = make_air(temperature * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, rain * one, snow * one)
    return canopy.intercept(parameters, state, cover, 0.0 * one, air, dt), (parameters, cover)


def test_no_leaves_and_stems_hold_nothing():
    column = random_column(0)
    nothing = jax.tree.map(jnp.zeros_like, column.cover)
    state, below = canopy.intercept(
        column.parameters, column.state, nothing, column.ground.snow_fraction, column.air, STEP
    )
    assert np.all(state.water == 0.0)
    shed = column.state.water.sum(axis=0) / STEP
    np.testing.assert_allclose(below.liquid + below.solid, column.air.rain + column.air.snowfall + shed, rtol=1e-12)


def test_long_rain_fills_a_store_to_interception_times_drip_time():
    light = 1e-5
    (state, below), (_, cover) = rainy_forest(light, dt=1e6)
    expected = canopy.DRIP_TIME * light * cover.upper_fraction * cover.upper_leaf_catch
    np.testing.assert_allclose(state.water[0], expected, rtol=1e-9)
    held = state.water.sum() / 1e6
    np.testing.assert_allclose(below.liquid[0] + held, light, rtol=1e-12)


def test_step_length_does_not_matter_in_steady_rain():
    (once, _), _ = rainy_forest(1e-5, dt=7200.0)
    (half, _), (parameters, cover) = rainy_forest(1e-5, dt=3600.0)
    one = jnp.ones(1)
    air = make_air(285.0 * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, 1e-5 * one, 0.0 * one)
    half, _ = canopy.intercept(parameters, half, cover, 0.0 * one, air, 3600.0)
    np.testing.assert_allclose(half.water[0], once.water[0], rtol=1e-9)


def test_heavy_rain_is_held_up_to_capacity():
    (state, _), (_, cover) = rainy_forest(1.0)
    capacity = np.array(canopy.LIQUID_CAPACITY)[:, None] * jnp.stack(cover.areas(jnp.zeros(1)))
    np.testing.assert_allclose(state.water, capacity, rtol=1e-9)


def test_snow_is_held_longer_than_rain():
    (wet, _), _ = rainy_forest(1e-4, temperature=280.0)
    (white, _), _ = rainy_forest(1e-4, temperature=263.0)
    assert np.sum(white.water) > 1.2 * np.sum(wet.water)


def test_freezing_rain_warms_the_leaves():
    vegetation = plants.from_class(np.array([15]))
    cover = plants.canopy(vegetation, jnp.array([5.0]))
    parameters = canopy.Parameters.default(vegetation)
    one = jnp.ones(1)
    cold = canopy.State.default(parameters, 265.0 * one)
    air = make_air(272.0 * one, 0.003 * one, 1e5 * one, 3.0 * one, 250.0 * one, 2e-5 * one, 0.0 * one)
    state, _ = canopy.intercept(parameters, cold, cover, 0.0 * one, air, STEP)
    phase = canopy.diagnose(parameters, state)
    assert np.all(phase.temperature > 265.0)
    assert np.all(phase.frozen > 0.5 * state.water)


def test_wet_fraction_is_zero_when_dry_and_one_when_full():
    _, (parameters, cover) = rainy_forest(0.0)
    full = np.array(canopy.LIQUID_CAPACITY)[:, None] * jnp.stack(cover.areas(jnp.zeros(1)))
    nothing = jnp.zeros((3, 1))
    dry = canopy.wet_fraction(parameters, cover, jnp.zeros(1), nothing, nothing)
    half = canopy.wet_fraction(parameters, cover, jnp.zeros(1), 0.5 * full, nothing)
    wet = canopy.wet_fraction(parameters, cover, jnp.zeros(1), full, nothing)
    np.testing.assert_allclose(dry, 0.0, atol=1e-15)
    np.testing.assert_allclose(half, 0.5 ** (2.0 / 3.0), rtol=1e-12)
    np.testing.assert_allclose(wet, 1.0, rtol=1e-12)
