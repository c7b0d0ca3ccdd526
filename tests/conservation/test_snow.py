"""Snow loses and gains exactly what its fluxes say, in any state."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_residual

from chase_jax import constants as const
from chase_jax.physics import snow
from chase_jax.physics.thermodynamics import ice_enthalpy, liquid_enthalpy

N = 4000


def random_case(seed):
    draw = np.random.default_rng(seed)
    parameters = snow.Parameters.default(N)
    water = 10.0 ** draw.uniform(-9, 3.3, N) * (draw.random(N) > 0.1)
    share = np.clip(draw.uniform(-0.5, 1.5, N), 0.0, 1.0)  # of liquid; the ends are frozen and molten packs
    warmth = np.where(share == 0.0, -draw.uniform(0, 40, N), np.where(share == 1.0, draw.uniform(0, 5, N), 0.0))
    capacity = snow.DRY_HEAT_CAPACITY + water * np.where(share > 0.5, 4218.0, 2106.0)
    enthalpy = capacity * warmth - const.LATENT_HEAT_FUSION * water * (1.0 - share)
    thickness = water / draw.uniform(60.0, 800.0, N)
    state = snow.State(*map(jnp.asarray, (water, enthalpy, thickness, draw.uniform(0.7, 0.95, N), np.full(N, 0.5))))
    air = draw.uniform(240.0, 300.0, N)
    rain = 2e-3 * draw.random(N) ** 3 * (draw.random(N) < 0.5)
    fall = 2e-3 * draw.random(N) ** 3 * (draw.random(N) < 0.5)
    supply = snow.Supply(
        liquid=jnp.asarray(rain),
        liquid_heat=rain * liquid_enthalpy(np.maximum(air, 273.16)),
        solid=jnp.asarray(fall),
        solid_heat=fall * ice_enthalpy(np.minimum(air, 273.16)),
        heat=jnp.asarray(draw.normal(0.0, 200.0, N) * np.minimum(water / 20.0, 1.0)),
        sublimation=jnp.asarray(draw.normal(0.0, 1e-4, N)),
        skin_temperature=jnp.asarray(np.minimum(air, 273.2)),
        air_temperature=jnp.asarray(air),
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
        - fluxes.sublimation * shown.phase.mean_enthalpy
        - fluxes.outflow_heat
        - fluxes.ground_heat
    )
    assert np.max(np.abs((after.enthalpy - state.enthalpy) / dt - power)) < 1e-6
    for leaf in jax.tree.leaves((after, fluxes)):
        assert np.all(np.isfinite(leaf))
    assert np.all(after.water >= 0.0)
    assert np.all(fluxes.outflow >= 0.0)
    assert np.all(after.thickness >= 0.0)
    assert np.all(after.thickness * 1000.0 >= after.water)
