"""Interception conserves water and enthalpy."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from helpers import relative_residual
from land_column import STEP, random_column

from chase_jax.physics import canopy

intercept, shed = jax.jit(canopy.intercept, static_argnums=5), jax.jit(canopy.shed, static_argnums=6)


@pytest.mark.parametrize("seed", range(20))
def test_interception_conserves_water_and_enthalpy(seed):
    column = random_column(seed, n_cells=96)
    air = column.air
    snow = column.ground.snow_fraction
    state, below, wetting = intercept(column.parameters, column.state, column.cover, snow, air, STEP)
    left = np.random.default_rng(seed).random(state.water.shape)  # rain may end at any time in the step
    state, dripping = shed(column.parameters, state, column.cover, snow, wetting, left, STEP)
    below = canopy.together(below, dripping)
    fall = STEP * np.asarray(air.rain + air.snowfall)
    reached = STEP * np.asarray(below.liquid + below.solid)
    change = np.asarray((state.water - column.state.water).sum(axis=0))
    assert relative_residual(change, fall - reached, fall + reached) < 1e-12
    heat_in = np.asarray(air.rain * air.rain_enthalpy + air.snowfall * air.snow_enthalpy)
    heat_out = np.asarray(below.liquid_heat + below.solid_heat)
    heating = np.asarray((state.enthalpy - column.state.enthalpy).sum(axis=0)) / STEP
    assert np.max(np.abs(heating - heat_in + heat_out)) < 1e-8
    assert np.min(state.water) >= 0.0
    assert min(np.min(below.liquid), np.min(below.solid)) >= 0.0
