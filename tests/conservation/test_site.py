"""Water and energy of a site over every sub-step of a run, prescribed soil moisture included."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from site_case import HOURS, columns, weather

from chase_jax.model import land, site
from chase_jax.physics import soil_water

DAYS, CELLS = 5, 4


def stores(state, exchanged):
    """Water and heat of the column and the aquifer, with what was exchanged."""
    return land.water(state.land), land.enthalpy(state.land), state.aquifer_storage, exchanged


def test_water_and_energy_close_in_every_sub_step():
    column, now = columns(), weather(DAYS)
    moisture = np.random.default_rng(1).uniform(0.1, 0.5, (DAYS, 2, CELLS))
    heights = np.random.default_rng(2).uniform(0.05, 1.0, (DAYS, CELLS))  # fields are cut and grow
    now = dataclasses.replace(now, soil_moisture=jnp.asarray(moisture), vegetation_height=jnp.asarray(heights))
    start = site.initial_state(column, jnp.array([284.0, 300.0, 275.0, 268.0]), jnp.full(CELLS, 0.6))
    record = jax.jit(site.run, static_argnames=("record",))(column, start, now, record=stores).record
    water, heat, aquifer, exchanged = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, CELLS), record)
    fluxes, dt = exchanged.land, 86400.0 / HOURS

    before = np.concatenate([np.asarray(land.water(start.land))[None], water[:-1]])
    gains = (fluxes.rain, fluxes.snowfall, exchanged.added)
    losses = (fluxes.evaporation, fluxes.surface_runoff, fluxes.recharge)
    net = dt * (sum(gains) - sum(losses))
    scale = dt * sum(np.abs(flux) for flux in (*gains, *losses))
    assert np.max(np.abs(water - before - net) / np.maximum(scale, 1.0)) < 1e-10
    assert np.all(np.max(np.abs(exchanged.added), axis=0) > 0.0)

    before = np.concatenate([np.asarray(start.aquifer_storage)[None], aquifer[:-1]])
    change = 1000.0 * (aquifer - before) - dt * (fluxes.recharge - exchanged.outflow)
    scale = dt * (np.abs(fluxes.recharge) + np.abs(exchanged.outflow))
    assert np.max(np.abs(change) / np.maximum(scale, 1.0)) < 1e-10
    assert np.max(np.abs(fluxes.energy_residual)) < 1e-6
    assert np.all(np.isfinite(heat))


def test_prescribed_water_brings_its_heat_and_leaves_the_temperature():
    column, dt = columns(), 3600.0
    soil = site.initial_state(column, jnp.array([284.0, 300.0, 290.0, 285.0]), jnp.full(CELLS, 0.6)).land.soil
    moisture = jnp.array([[0.1, 0.3, 0.9, 0.2], [0.4, 0.05, 0.3, 0.2]])
    new, added, heat = site.prescribe_moisture(column, soil, moisture, dt)
    wanted = np.minimum(moisture, column.parameters.soil.porosity) * np.array([[50.0], [100.0]])
    np.testing.assert_allclose(new.water[:2], wanted, rtol=1e-12)
    np.testing.assert_array_equal(new.water[2:], soil.water[2:])
    np.testing.assert_allclose(jnp.sum(new.water - soil.water, axis=0), dt * added, rtol=1e-10)
    np.testing.assert_allclose(jnp.sum(new.enthalpy - soil.enthalpy, axis=0), dt * heat, rtol=1e-8)
    before, after = (soil_water.diagnose(column.parameters.soil, part).temperature for part in (soil, new))
    np.testing.assert_allclose(after, before, atol=1e-9)
