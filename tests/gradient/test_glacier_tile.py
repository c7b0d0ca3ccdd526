"""Derivatives through a melt season on ice: right, and finite with and without ice, snow and sun."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from helpers import directional_check
from weather import air_of

from chase_jax import constants as const
from chase_jax.model import glacier_tile
from chase_jax.physics import glacier, snow

STEPS = 8 * 20


def season(arguments):
    parameters, state, warming = arguments

    def advance(state, i):
        hour = 2.0 * jnp.pi * i / 8.0
        sun = jnp.maximum(jnp.sin(hour), 0.0) * 800.0
        air = air_of(270.0 + 12.0 * i / STEPS + warming, shortwave=sun, cosine_zenith=sun / 1000.0, rain=1e-5)
        state, fluxes = glacier_tile.step(parameters, state, air, 10800.0)
        return state, (fluxes.runoff, fluxes.evaporation)

    state, (runoff, evaporation) = jax.lax.scan(advance, state, jnp.arange(STEPS, dtype=float))
    return (
        jnp.sum(runoff * jnp.linspace(0, 1, STEPS)[:, None])
        + 10.0 * jnp.sum(evaporation)
        + 1e-6 * jnp.sum(state.ice.ice)
    )


total = jax.jit(season)


def arguments_for(snow_water, ice, mean_temperature):
    water, ice, mean = (jnp.asarray(v, dtype=float) for v in (snow_water, ice, mean_temperature))
    parameters = glacier_tile.Parameters(snow.Parameters.default(water.size), glacier.Parameters.default(mean))
    enthalpy = -const.LATENT_HEAT_FUSION * water - 3.0 * (2106.0 * water + sum(snow.DRY_HEAT_CAPACITY))
    pack = snow.State.uniform(parameters.snow, water, enthalpy, water / 300.0)
    return parameters, glacier_tile.State(pack, glacier.State.at_rest(parameters.ice, ice)), jnp.zeros_like(mean)


def test_derivatives_hold_while_the_snow_goes_and_the_ice_melts():
    arguments = arguments_for([30.0, 80.0, 5.0, 50.0], [2e4, 3e4, 1e4, 5e3], [268.0, 272.0, 265.0, 260.0])
    assert directional_check(total, arguments, steps=(1e-5, 1e-6, 1e-7), tolerance=1e-4) < 1e-4


def test_derivatives_are_finite_without_snow_or_ice():
    parameters, state, _ = arguments_for([0.0, 0.0, 1e-6, 5000.0], [0.0, 1e5, 1e-3, 0.0], [260.0, 273.16, 280.0, 250.0])
    found = jax.grad(total)((parameters, state, jnp.asarray([-20.0, 0.0, 15.0, -5.0])))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
