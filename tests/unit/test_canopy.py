"""Interception: limits and monotony."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from land_column import STEP, make_air, random_column

from chase_jax.physics import canopy, evaporation
from chase_jax.physics import vegetation as plants
from chase_jax.physics.disaggregation import Storm

ALL_LEFT = np.ones((3, 1))  # no part of the step is left when rain ends


def rainy_forest(rate, temperature=285.0, leaf_area=5.0, dt=STEP, water=0.0):
    """A dry mixed forest in rain or snow and air that takes nothing; its state and the throughfall after one step."""
    vegetation = plants.from_class(np.array([15]))
    cover = plants.canopy(vegetation, jnp.array([leaf_area]))
    parameters = canopy.Parameters.default(vegetation)
    one = jnp.ones(1)
    state = canopy.State.default(parameters, temperature * one)
    state = eqx.tree_at(lambda s: s.water, state, jnp.full((3, 1), water))
    rain, snow = (rate, 0.0) if temperature > 273.16 else (0.0, rate)
    air = make_air(temperature * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, rain * one, snow * one)
    return through(parameters, state, cover, 0.0 * one, air, dt), (parameters, cover)


def through(parameters, state, cover, snow, air, dt):
    """Both halves of interception without an energy balance between them."""
    state, below, wetting = canopy.intercept(parameters, state, cover, snow, air, dt)
    state, dripping = canopy.shed(parameters, state, cover, snow, wetting, ALL_LEFT, dt)
    return state, canopy.together(below, dripping)


def test_no_leaves_and_stems_hold_nothing():
    column = random_column(0)
    nothing = jax.tree.map(jnp.zeros_like, column.cover)
    state, below = through(column.parameters, column.state, nothing, column.ground.snow_fraction, column.air, STEP)
    assert np.all(state.water == 0.0)
    shed = column.state.water.sum(axis=0) / STEP
    np.testing.assert_allclose(below.liquid + below.solid, column.air.rain + column.air.snowfall + shed, rtol=1e-12)


def test_light_rain_is_caught_by_leaves_and_what_they_miss():
    light = 1e-5
    (state, below), (_, cover) = rainy_forest(light)
    np.testing.assert_allclose(state.water[0], STEP * light * cover.upper_fraction * cover.upper_leaf_catch, rtol=1e-9)
    np.testing.assert_allclose(below.liquid[0] + state.water.sum() / STEP, light, rtol=1e-12)


def test_step_length_does_not_matter_in_steady_rain():
    (once, _), _ = rainy_forest(1e-4, dt=7200.0)
    (half, _), (parameters, cover) = rainy_forest(1e-4, dt=3600.0)
    one = jnp.ones(1)
    air = make_air(285.0 * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, 1e-4 * one, 0.0 * one)
    half, _ = through(parameters, half, cover, 0.0 * one, air, 3600.0)
    np.testing.assert_allclose(half.water[0], once.water[0], rtol=1e-9)


def test_full_leaves_keep_what_may_evaporate_until_it_has_not():
    """Rain goes on wetting leaves: what exceeds their capacity drips after the energy balance, not before it."""
    one, dt = jnp.ones(1), 3600.0
    (full, _), (parameters, cover) = rainy_forest(1e-2)
    air = make_air(285.0 * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, 1e-4 * one, 0.0 * one)
    state, below, wetting = canopy.intercept(parameters, full, cover, 0.0 * one, air, dt)
    np.testing.assert_allclose(wetting.before, 1.0, rtol=1e-6)
    np.testing.assert_allclose(state.water[0] - full.water[0], dt * 1e-4 * cover.upper_fraction, rtol=0.01)
    dried = eqx.tree_at(lambda s: s.water, state, state.water - 0.1)
    after, dripping = canopy.shed(parameters, dried, cover, 0.0 * one, wetting, ALL_LEFT, dt)
    np.testing.assert_allclose(after.water[0], full.water[0], rtol=1e-9)  # 0.29 came, 0.1 evaporated, the rest drips
    fell = dt * (below.liquid + dripping.liquid)
    np.testing.assert_allclose(after.water.sum(), full.water.sum() + 0.36 - 0.3 - fell, rtol=1e-9)


def dried_in_steps(rain, steps, parameters, cover, state, hourly):
    """Water on the leaves after three hours with rain in the first, and what evaporated, in that many equal steps."""
    one, dt, gone = jnp.ones(1), 10800.0 / steps, 0.0
    for k in range(steps):
        storm = Storm(0.0 * one, one * (1.0 / 3.0 if steps == 1 else float(k == 0)), one)
        rate = rain / 3.0 if steps == 1 else rain * (k == 0)
        air = make_air(285.0 * one, 0.005 * one, 1e5 * one, 3.0 * one, 300.0 * one, rate * one, 0.0 * one)
        state, _, wetting = canopy.intercept(parameters, state, cover, 0.0 * one, air, dt)
        demand = hourly * dt / 3600.0
        filled, left = evaporation.filling(wetting.before, wetting.gained, demand * jnp.ones((3, 1)), storm)
        loss = demand * filled * wetting.unit
        gone = gone + loss
        state = eqx.tree_at(lambda s: s.water, state, state.water - loss)
        state, _ = canopy.shed(parameters, state, cover, 0.0 * one, wetting, left, dt)
    return state.water, gone


@pytest.mark.parametrize("rain", [2e-5, 1e-3])  # kg m-2 s-1: leaves do not fill, or drip
@pytest.mark.parametrize("hourly", [0.1, 0.6])  # of what they can hold
def test_leaves_dry_after_rain_alike_in_one_step_and_in_three(rain, hourly):
    (state, _), (parameters, cover) = rainy_forest(0.0)
    once = dried_in_steps(rain, 1, parameters, cover, state, hourly)
    often = dried_in_steps(rain, 3, parameters, cover, state, hourly)
    for one_step, three_steps in zip(once, often, strict=True):
        np.testing.assert_allclose(one_step[0], three_steps[0], rtol=1e-6)  # leaves: others get drip, too
    full = canopy.LIQUID_CAPACITY[0] * cover.areas(jnp.zeros(1))[0]
    assert (often[0][0] > 0.99 * np.exp(-2.0 * hourly) * full) == (rain == 1e-3)


def test_no_more_drips_for_the_end_of_rain_than_was_caught():
    (full, _), (parameters, cover) = rainy_forest(1e-2)
    for caught in (0.0, 0.1):
        wetting = canopy.Wetting(jnp.ones((3, 1)), jnp.full((3, 1), caught), jnp.ones((3, 1)))
        later, below = canopy.shed(parameters, full, cover, jnp.zeros(1), wetting, 0.0 * ALL_LEFT, 3600.0)
        np.testing.assert_allclose(full.water[0] - later.water[0], caught, atol=1e-12)
        np.testing.assert_allclose((full.water - later.water).sum(), 3600.0 * below.liquid[0], atol=1e-12)


def test_heavy_rain_is_held_up_to_capacity():
    (state, _), (_, cover) = rainy_forest(1.0)
    capacity = np.array(canopy.LIQUID_CAPACITY)[:, None] * jnp.stack(cover.areas(jnp.zeros(1)))
    np.testing.assert_allclose(state.water, capacity, rtol=1e-9)


def test_more_snow_is_held_than_rain_and_it_slides_off():
    (wet, _), _ = rainy_forest(1e-3, temperature=280.0)
    (white, _), (parameters, cover) = rainy_forest(1e-3, temperature=263.0)
    assert np.sum(white.water) > 4.0 * np.sum(wet.water)
    dry = canopy.Wetting(*(jnp.zeros((3, 1)),) * 3)
    later, below = canopy.shed(parameters, white, cover, jnp.zeros(1), dry, ALL_LEFT, canopy.UNLOADING_TIME)
    np.testing.assert_allclose(later.water[0], np.exp(-1.0) * white.water[0], rtol=1e-9)
    np.testing.assert_allclose(below.liquid, 0.0, atol=1e-12)


def test_freezing_rain_warms_the_leaves():
    vegetation = plants.from_class(np.array([15]))
    cover = plants.canopy(vegetation, jnp.array([5.0]))
    parameters = canopy.Parameters.default(vegetation)
    one = jnp.ones(1)
    cold = canopy.State.default(parameters, 265.0 * one)
    air = make_air(272.0 * one, 0.003 * one, 1e5 * one, 3.0 * one, 250.0 * one, 2e-5 * one, 0.0 * one)
    state, _, _ = canopy.intercept(parameters, cold, cover, 0.0 * one, air, STEP)
    phase = canopy.diagnose(parameters, state)
    assert np.all(phase.temperature > 265.0)
    assert np.all(phase.frozen > 0.5 * state.water)


def test_snow_cover_of_leaves_is_zero_when_bare_and_one_when_full():
    _, (parameters, cover) = rainy_forest(0.0)
    full = np.array(canopy.SNOW_CAPACITY)[:, None] * jnp.stack(cover.areas(jnp.zeros(1)))
    shares = [canopy.snow_cover(parameters, cover, jnp.zeros(1), part * full) for part in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(shares[0], 0.0, atol=1e-15)
    np.testing.assert_allclose(shares[1], 0.5 ** (2.0 / 3.0), rtol=1e-12)
    np.testing.assert_allclose(shares[2], 1.0, rtol=1e-12)
