"""The energy balance closes, whatever the number of iterations, and takes no water that is not there."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from land_column import STEP, absorbed_shortwave, advance, random_column

step = jax.jit(advance, static_argnums=1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("iterations", [1, 3])
def test_energy_balance_closes(seed, iterations):
    column = random_column(seed, n_cells=96)
    result = step(column, iterations)
    fluxes, ground, h_v = result.fluxes, column.ground, column.air.vapor_enthalpy
    transpiration = fluxes.transpiration.sum(axis=0)
    evaporation = (
        fluxes.canopy_evaporation.sum(axis=0) + transpiration + fluxes.soil_evaporation + fluxes.snow_sublimation
    )
    to_air = fluxes.sensible_heat + evaporation * h_v
    to_canopy = fluxes.canopy_heating.sum(axis=0) - transpiration * column.root_enthalpy
    to_soil = fluxes.ground_heat - fluxes.soil_evaporation * ground.soil_enthalpy
    to_snow = fluxes.snow_heat - fluxes.snow_sublimation * ground.snow_enthalpy
    gained = absorbed_shortwave(column.shortwave) + fluxes.net_longwave
    assert np.max(np.abs(gained - to_air - to_canopy - to_soil - to_snow)) < 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_canopy_state_takes_up_exactly_what_the_fluxes_say(seed):
    column = random_column(seed, n_cells=96)
    result = step(column, 3)
    lost = STEP * result.fluxes.canopy_evaporation
    np.testing.assert_allclose(result.dried.water, result.intercepted.water - lost, rtol=0, atol=1e-13)
    assert np.min(result.dried.water) >= 0.0
    gained = (result.dried.enthalpy - result.intercepted.enthalpy) / STEP
    np.testing.assert_allclose(gained, result.fluxes.canopy_heating, rtol=0, atol=1e-8)
