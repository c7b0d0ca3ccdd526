"""Snow loses and gains exactly what its fluxes say, in any state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_residual

from chase_jax import constants as const
from chase_jax.physics import snow, snow_layers
from chase_jax.physics.thermodynamics import ice_enthalpy, liquid_enthalpy

N = 4000


def random_case(seed):
    draw = np.random.default_rng(seed)
    parameters = snow.Parameters.default(N)
    shape = (snow.LAYERS, N)
    water = 10.0 ** draw.uniform(-9, 3.0, N) * draw.dirichlet(np.ones(snow.LAYERS), N).T * (draw.random(N) > 0.1)
    share = np.clip(draw.uniform(-0.5, 1.5, shape), 0.0, 1.0)  # of liquid; the ends are frozen and molten layers
    warmth = np.where(share == 0.0, -draw.uniform(0, 40, shape), np.where(share == 1.0, draw.uniform(0, 5, shape), 0.0))
    capacity = np.asarray(snow.DRY_HEAT_CAPACITY)[:, None] + water * np.where(share > 0.5, 4218.0, 2106.0)
    enthalpy = capacity * warmth - const.LATENT_HEAT_FUSION * water * (1.0 - share)
    thickness = water / draw.uniform(60.0, 800.0, shape)
    state = snow.State(*map(jnp.asarray, (water, enthalpy, thickness, draw.uniform(0.7, 0.95, N), np.full(N, 0.5))))
    mass = water.sum(axis=0)
    air = draw.uniform(240.0, 300.0, N)
    rain = 2e-3 * draw.random(N) ** 3 * (draw.random(N) < 0.5)
    fall = 2e-3 * draw.random(N) ** 3 * (draw.random(N) < 0.5)
    supply = snow.Supply(
        liquid=jnp.asarray(rain),
        liquid_heat=rain * liquid_enthalpy(np.maximum(air, 273.16)),
        solid=jnp.asarray(fall),
        solid_heat=fall * ice_enthalpy(np.minimum(air, 273.16)),
        heat=jnp.asarray(draw.normal(0.0, 200.0, N) * np.minimum(mass / 20.0, 1.0)),
        sublimation=jnp.asarray(draw.normal(0.0, 1e-4, N)),
        skin_temperature=jnp.asarray(np.minimum(air, 273.2)),
        air_temperature=jnp.asarray(air),
        wind_speed=jnp.asarray(draw.uniform(0.0, 20.0, N)),
    )
    # Frost on nothing is no case: the cover of an empty pack is zero.
    supply = jax.tree.map(jnp.asarray, supply)
    ground = snow.Ground(
        *map(jnp.asarray, (draw.uniform(250, 310, N), 10.0 ** draw.uniform(4.5, 7, N), np.full(N, 40.0)))
    )
    return parameters, state, supply, ground


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dt", [3600.0, 10800.0, 86400.0])
def test_water_and_energy_close(seed, dt):
    parameters, state, supply, ground = random_case(seed)
    shown = snow.surface(state, jnp.full(N, 0.1), dt)
    after, fluxes = jax.jit(snow.step)(parameters, state, shown, supply, ground, dt)
    inflow = dt * (supply.liquid + supply.solid)
    outflow = dt * (fluxes.sublimation + fluxes.outflow)
    gross = dt * (supply.liquid + supply.solid + abs(fluxes.sublimation) + fluxes.outflow)
    assert relative_residual(after.water - state.water, inflow - outflow, np.maximum(gross, state.water)) < 1e-12
    power = (
        supply.liquid_heat
        + supply.solid_heat
        + supply.heat
        - fluxes.sublimation * shown.mean_enthalpy
        - fluxes.outflow_heat
        - fluxes.ground_heat
    )
    assert np.max(np.abs((after.enthalpy - state.enthalpy) / dt - power)) < 1e-6
    for leaf in jax.tree.leaves((after, fluxes)):
        assert np.all(np.isfinite(leaf))
    assert np.all(after.layer_water >= 0.0)
    assert np.all(fluxes.outflow >= 0.0)
    assert np.all(after.layer_thickness >= 0.0)
    assert np.all(after.layer_thickness * 1000.0 >= after.layer_water)


@pytest.mark.parametrize("seed", range(4))
def test_dealing_out_keeps_totals_and_does_not_mix_more_than_it_must(seed):
    _, state, _, _ = random_case(seed)
    temperature = snow.diagnose(state).temperature
    layers = (tuple(leaf) for leaf in (state.layer_water, state.layer_enthalpy, state.layer_thickness))
    dealt = [jnp.stack(leaf) for leaf in snow_layers.dealt_out(*layers, tuple(temperature))]
    for before, after in zip((state.layer_water, state.layer_enthalpy, state.layer_thickness), dealt, strict=True):
        scale = np.abs(before).sum(axis=0) + 1e-300
        np.testing.assert_allclose((after.sum(axis=0) - before.sum(axis=0)) / scale, 0.0, atol=1e-13)
    water, _, thickness = dealt
    share = thickness / np.maximum(thickness.sum(axis=0), 1e-30)
    thick = thickness.sum(axis=0) > 1e-5
    np.testing.assert_allclose(
        share[:, thick], jnp.stack(snow_layers.target_shares(thickness.sum(axis=0)))[:, thick], atol=1e-3
    )
    again = snow_layers.dealt_out(tuple(water), tuple(dealt[1]), tuple(thickness), tuple(temperature))
    np.testing.assert_allclose(jnp.stack(again[0])[:, thick], water[:, thick], rtol=1e-2, atol=1e-12)


@pytest.mark.parametrize("dt", [3600.0, 10800.0])
def test_a_season_closes_from_the_first_flake_to_the_last_drop(dt):
    days, per_day = 60, round(86400.0 / dt)
    parameters = snow.Parameters.default(3)
    steps = jnp.arange(days * per_day) / per_day
    ground = snow.Ground(*(jnp.full(3, value) for value in (273.5, 2e5, 40.0)))

    def advance(state, day):
        winter = day < 20.0
        fall = jnp.asarray([1e-4, 4e-4, 1e-5]) * winter
        rain = jnp.asarray([1e-4, 0.0, 2e-4]) * (jnp.abs(day - 10.0) < 0.5)
        shown = snow.surface(state, jnp.full(3, 0.1), dt)
        supply = snow.Supply(
            liquid=rain * shown.cover,
            liquid_heat=jnp.zeros(3),
            solid=fall,
            solid_heat=fall * ice_enthalpy(265.0),
            heat=shown.cover * jnp.where(winter, -30.0, 250.0),
            sublimation=shown.cover * 1e-5,
            skin_temperature=jnp.where(winter, 260.0, 273.16) * jnp.ones(3),
            air_temperature=jnp.full(3, 268.0),
            wind_speed=jnp.full(3, 2.0),
        )
        after, fluxes = snow.step(parameters, state, shown, supply, ground, dt)
        water = supply.liquid + supply.solid - fluxes.sublimation - fluxes.outflow
        heat = supply.solid_heat + supply.heat - fluxes.sublimation * shown.mean_enthalpy
        heat = heat - fluxes.outflow_heat - fluxes.ground_heat
        residual = after.enthalpy - state.enthalpy - dt * heat
        return after, (after.water - state.water - dt * water, residual / dt, after.water)

    start = snow.State.empty(parameters)
    _, (lost, residual, water) = jax.jit(lambda s: jax.lax.scan(advance, s, steps))(start)
    assert np.all(water.max(axis=0) > 10.0)
    assert np.all(water[-1] < 1e-6)
    assert np.max(np.abs(lost)) < 1e-10
    assert np.max(np.abs(residual)) < 1e-6
