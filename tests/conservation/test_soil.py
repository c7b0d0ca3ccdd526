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


def trajectory(flux, form, strength, bypass, parameters, steps=12):
    """Steps from a random state; yields what is needed to close the budget of each."""
    aquifer = soil_columns.random_aquifer(CELLS, 2)
    factor = jnp.asarray(10.0 ** np.random.default_rng(3).uniform(-4, 2, CELLS))
    factors = exchange.Parameters(factor, jnp.full(CELLS, bypass))
    step = jax.jit(
        functools.partial(
            soil_columns.land_step,
            parameters,
            factors,
            runoff.Parameters.default(parameters.wilting_point, form),
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


def curves_of_van_genuchten(parameters, seed):
    generator = np.random.default_rng(seed)
    alpha, shape = 10.0 ** generator.uniform(-0.5, 1.2, CELLS), generator.uniform(1.05, 3.0, CELLS)
    residual = generator.uniform(0.0, 0.1, CELLS)
    return soil_hydraulics.with_van_genuchten(parameters, alpha, shape, residual)


CASES = [
    ("matric_flux_potential", "D5", 1.0, 0.0),
    ("matric_flux_potential", "D1", 30.0, 0.0),
    ("interpolated_saturation", "D3", 1.0, 0.0),
    ("matric_flux_potential", "D5", 30.0, 0.4),
]


@pytest.mark.parametrize("curves", ["power laws", "van Genuchten"])
@pytest.mark.parametrize(("flux", "form", "strength", "bypass"), CASES)
def test_budgets_close_and_stores_stay_within_bounds(flux, form, strength, bypass, curves):
    assert flux in soil_flow.FLUXES
    dt = soil_columns.STEP
    soil, bypassed, exfiltrated = soil_columns.textures(CELLS, 1), 0.0, 0.0
    soil = curves_of_van_genuchten(soil, 5) if curves == "van Genuchten" else soil
    for before, after, storage, storage_after, out, aquifer, pores, fluxes in trajectory(
        flux, form, strength, bypass, soil
    ):
        water, heat, divided = out["water"], out["heat"], out["divided"]
        change = jnp.sum(after.water - before.water, axis=0) + after.puddle - before.puddle
        taken = water.evaporation + jnp.sum(water.uptake, axis=0) + water.puddle_runoff
        down = water.recharge + water.bypass
        size = dt * (divided.supply + jnp.abs(taken) + jnp.abs(water.recharge) + water.bypass)
        assert relative_residual(change, dt * (divided.supply - taken - down), size) < 1e-12
        gain = 1000.0 * (storage_after - storage)
        assert relative_residual(gain, dt * aquifer.land_fraction * down, size) < 1e-11
        into_matrix = water.infiltration + water.exfiltration  # what was pushed out may enter again
        assert np.all((1.0 - bypass) * water.bypass <= bypass * into_matrix + 1e-12)
        bypassed, exfiltrated = bypassed + jnp.sum(water.bypass), exfiltrated + jnp.sum(water.exfiltration)

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
    assert bool(bypassed > 0.0) == (bypass > 0.0)
    assert exfiltrated > 0.0


def test_an_overfull_aquifer_pushes_water_through_the_column_to_the_surface():
    """Head a metre above the ground: what leaves the aquifer fills the soil, then the puddle, then runs off."""
    cells, dt = 3, soil_columns.STEP
    soil, thickness, specific_yield = soil_columns.loam(cells), jnp.full(cells, 20.0), jnp.full(cells, 0.1)
    land = jnp.array([1.0, 0.5, 0.1])
    overfull = 2.0 + 3.5 * soil_hydraulics.CONFINED_STORAGE
    aquifer = soil_columns.Aquifer(thickness, specific_yield, land, jnp.full(cells, overfull))
    # the storage above the ground is 17.5 mm per cell area, so less than 2 mm of pores are left empty
    state = soil_columns.state_of(soil, jnp.full((6, cells), 0.999), jnp.full((6, cells), 285.0), jnp.zeros(cells))
    fluxes = dict.fromkeys(
        ("water_input", "input_heat", "evaporation", "transpiration", "ground_heat"), jnp.zeros(cells)
    )
    arguments = soil, exchange.Parameters.default(cells), runoff.Parameters.default(soil.wilting_point, "D5"), aquifer
    pores, storage = soil_hydraulics.pore_capacity(soil), aquifer.storage
    after, left, out = jax.jit(soil_columns.land_step)(*arguments, state, storage, fluxes)
    water = out["water"]
    assert np.all(water.recharge < 0.0)
    assert np.all(water.exfiltration > 0.0)
    np.testing.assert_allclose(1000.0 * (left - storage), dt * land * water.recharge, rtol=1e-10)
    np.testing.assert_allclose(after.puddle, -dt * (water.infiltration + water.puddle_runoff), rtol=1e-10)
    gained = jnp.sum(after.water - state.water, axis=0) + after.puddle + dt * water.puddle_runoff
    np.testing.assert_allclose(gained, -dt * water.recharge, rtol=1e-10)
    assert np.all(after.water <= pores * (1.0 + 1e-12))
