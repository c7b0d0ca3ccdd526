"""Soil water and soil heat close their budgets to rounding from any state, and no store leaves its bounds."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soil_columns
from helpers import relative_residual

from chase_jax.physics import exchange, runoff, soil_flow, soil_hydraulics

CELLS = 400


def trajectory(flux, form, strength, steps=12):
    """Steps from a random state; yields what is needed to close the budget of each."""
    parameters = soil_columns.textures(CELLS, 1)
    aquifer = soil_columns.random_aquifer(CELLS, 2)
    factors = exchange.Parameters(jnp.asarray(10.0 ** np.random.default_rng(3).uniform(-4, 2, CELLS)))
    step = jax.jit(
        functools.partial(
            soil_columns.land_step,
            parameters,
            factors,
            runoff.Parameters.default(CELLS, form),
            aquifer,
            form=form,
            flux=flux,
        )
    )
    state, storage = soil_columns.random_state(parameters, 4), aquifer.storage
    pores = soil_hydraulics.pore_capacity(parameters)
    for k in range(steps):
        fluxes = soil_columns.random_fluxes(CELLS, 10 + k, strength)
        after, storage_after, out = step(state, storage, fluxes)
        yield state, after, storage, storage_after, out, aquifer, pores, fluxes
        state, storage = after, storage_after


CASES = [
    ("matric_flux_potential", "D5", 1.0),
    ("matric_flux_potential", "D1", 30.0),
    ("interpolated_saturation", "D3", 1.0),
]


@pytest.mark.parametrize(("flux", "form", "strength"), CASES)
def test_budgets_close_and_stores_stay_within_bounds(flux, form, strength):
    assert flux in soil_flow.FLUXES
    dt = soil_columns.STEP
    for before, after, storage, storage_after, out, aquifer, pores, fluxes in trajectory(flux, form, strength):
        water, heat, divided = out["water"], out["heat"], out["divided"]
        change = jnp.sum(after.water - before.water, axis=0) + after.puddle - before.puddle
        taken = water.evaporation + jnp.sum(water.uptake, axis=0) + water.puddle_runoff
        size = dt * (divided.supply + jnp.abs(taken) + jnp.abs(water.recharge))
        assert relative_residual(change, dt * (divided.supply - taken - water.recharge), size) < 1e-12
        gain = 1000.0 * (storage_after - storage)
        assert relative_residual(gain, dt * aquifer.land_fraction * water.recharge, size) < 1e-11

        through = jnp.concatenate([water.interface_flow, water.recharge[None]])
        net = dt * (water.interface_flow - through[1:] - water.uptake[1:])  # of the layers that do not evaporate
        np.testing.assert_allclose((after.water - before.water)[1:], net, atol=1e-10)
        assert np.all(water.evaporation <= fluxes["evaporation"] + 1e-18)
        assert np.all(jnp.sum(water.uptake, axis=0) <= fluxes["transpiration"] + 1e-18)

        stored = jnp.sum(after.enthalpy - before.enthalpy, axis=0) / dt
        left = heat.recharge_heat + heat.runoff_heat + heat.uptake_heat
        np.testing.assert_allclose(stored, out["surface_heat"] - left, atol=1e-7)

        np.testing.assert_allclose(
            divided.supply + divided.direct_runoff, fluxes["water_input"], rtol=1e-14, atol=1e-20
        )
        assert float(jnp.min(after.water)) >= 0.0
        assert float(jnp.min(after.puddle)) >= 0.0
        assert float(jnp.min(storage_after)) >= 0.0
        assert float(jnp.max(after.water - pores)) < 1e-10
        assert float(jnp.max(after.puddle - divided.puddle_capacity)) < 13.0  # only an old ice puddle is larger
        assert np.all(np.isfinite(after.enthalpy))
