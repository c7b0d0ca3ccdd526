"""The slab of open water changes by exactly what its fluxes carry."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weather import random_air

from chase_jax.physics import open_water

N, DAY = 2000, 86400.0


def test_energy_closes_over_changing_weather():
    draw = np.random.default_rng(5)
    parameters = open_water.Parameters(jnp.asarray(draw.uniform(1.0, 20.0, N)))
    state = open_water.State.at_temperature(parameters, jnp.asarray(draw.uniform(270.0, 300.0, N)))
    step = jax.jit(open_water.step, static_argnames="dt")
    for day in range(30):
        air = random_air(day, N)
        available = jnp.asarray(draw.uniform(0.0, 20.0, N) * (draw.random(N) < 0.7))
        after, fluxes = step(parameters, state, air, available, dt=DAY)
        power = (
            fluxes.net_shortwave
            + fluxes.net_longwave
            - fluxes.sensible_heat
            - fluxes.evaporation * air.vapor_enthalpy
            + fluxes.precipitation_heat
        )
        assert np.max(np.abs((after.enthalpy - state.enthalpy) / DAY - power)) < 1e-7
        assert np.all(fluxes.evaporation * DAY <= available * (1.0 + 1e-12))
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after, fluxes)))
        temperature = open_water.diagnose(parameters, after).temperature
        assert np.all((temperature > 200.0) & (temperature < 350.0))
        state = after
