"""The glacier tile keeps its books of water and energy from one step to the next, whatever the weather."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_residual
from weather import random_air

from chase_jax.model import glacier_tile
from chase_jax.physics import glacier, snow
from chase_jax.physics.thermodynamics import enthalpy_of

N = 2000
step = jax.jit(glacier_tile.step, static_argnames="dt")


def random_tile(seed):
    draw = np.random.default_rng(seed)
    deep = draw.uniform(250.0, 276.0, N)
    parameters = glacier_tile.Parameters(snow.Parameters.default(N), glacier.Parameters.default(deep))
    thick = draw.random(N) < 0.8
    mass = jnp.asarray(np.where(thick, draw.uniform(2e3, 2e5, N), 10.0 ** draw.uniform(-6, 3.2, N)))
    ice = glacier.State.at_rest(parameters.ice, mass * (draw.random(N) > 0.05))
    water = jnp.asarray(10.0 ** draw.uniform(-6, 4, N) * (draw.random(N) < 0.7))
    enthalpy = enthalpy_of(jnp.asarray(draw.uniform(250.0, 273.16, N)), 0.0, water, sum(snow.DRY_HEAT_CAPACITY))
    pack = snow.State.uniform(parameters.snow, water, enthalpy, water / draw.uniform(80, 600, N))
    return parameters, glacier_tile.State(pack, ice)


@pytest.mark.parametrize("dt", [3600.0, 10800.0])
def test_water_and_energy_close_over_changing_weather(dt):
    parameters, state = random_tile(1)
    for day in range(12):
        air = random_air(100 + day, N)
        after, fluxes = step(parameters, state, air, dt=dt)
        water = after.snow.water + after.ice.ice - state.snow.water - state.ice.ice
        net = dt * (air.rain + air.snowfall - fluxes.evaporation - fluxes.runoff)
        gross = dt * (air.rain + air.snowfall + abs(fluxes.evaporation) + fluxes.runoff)
        # A store of 1e5 mm cannot change by less than its own last digit.
        digits = 1e-15 * (state.ice.ice + state.snow.water)
        assert relative_residual(water, net, np.maximum(gross, digits / 1e-12)) < 1e-12

        def energy(tile):
            return tile.snow.enthalpy + glacier.total_enthalpy(parameters.ice, tile.ice)

        power = (
            fluxes.net_shortwave
            + fluxes.net_longwave
            - fluxes.sensible_heat
            - fluxes.evaporation * air.vapor_enthalpy
            + fluxes.precipitation_heat
            - fluxes.runoff_heat
            + fluxes.base_heat
        )
        # Enthalpy of thick ice reaches 1e11 J m-2, whose last digit is 1e-5 J m-2.
        digits = 1e-15 * np.abs(energy(state)) / dt
        assert np.all(np.abs((energy(after) - energy(state)) / dt - power) < 1e-7 + 10.0 * digits)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after, fluxes)))
        assert np.all(after.ice.ice >= 0.0)
        assert np.all(after.snow.water >= 0.0)
        assert np.all(fluxes.runoff >= 0.0)
        state = after


def test_a_domain_without_glaciers_is_a_tile_of_size_zero():
    parameters = glacier_tile.Parameters(snow.Parameters.default(0), glacier.Parameters.default(jnp.zeros(0)))
    state = glacier_tile.State(snow.State.empty(parameters.snow), glacier.State.at_rest(parameters.ice, jnp.zeros(0)))
    after, fluxes = step(parameters, state, random_air(0, 0), dt=10800.0)
    assert after.ice.ice.shape == (0,)
    assert fluxes.runoff.shape == (0,)
