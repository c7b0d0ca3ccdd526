"""Derivatives of open water through freezing and thaw."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from helpers import directional_check
from weather import air_of

from chase_jax.physics import open_water

DAYS = 120


@jax.jit
def winter(arguments):
    parameters, state, warming, available = arguments

    def advance(state, day):
        air = air_of(276.0 - 18.0 * jnp.sin(2.0 * jnp.pi * day / DAYS) + warming, shortwave=100.0, snowfall=1e-6)
        state, fluxes = open_water.step(parameters, state, air, available, 86400.0)
        return state, fluxes.evaporation * 86400.0 + 1e-3 * fluxes.net_longwave

    state, recorded = jax.lax.scan(advance, state, jnp.arange(DAYS, dtype=float))
    return jnp.sum(recorded) + 1e-7 * jnp.sum(state.enthalpy)


def arguments_for(depth, temperature, available):
    parameters = open_water.Parameters(jnp.asarray(depth))
    state = open_water.State.at_temperature(parameters, jnp.asarray(temperature))
    return parameters, state, jnp.zeros_like(parameters.mixed_layer_depth), jnp.asarray(available)


def test_derivatives_hold_through_freezing_and_thaw():
    arguments = arguments_for([2.0, 5.0, 1.0], [280.0, 278.0, 275.0], [100.0, 3.0, 0.5])
    assert directional_check(winter, arguments, steps=(1e-5, 1e-6, 1e-7), tolerance=1e-4) < 1e-4


def test_derivatives_are_finite_at_freezing_and_where_the_bed_is_dry():
    found = jax.grad(winter)(arguments_for([0.5, 3.0, 3.0], [273.16, 273.16, 300.0], [0.0, 0.0, 1e-12]))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
