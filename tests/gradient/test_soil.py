"""Derivatives of the soil column: against differences in an ordinary state, finite in every extreme one."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soil_columns
from helpers import directional_check

from chase_jax.physics import exchange, runoff, soil_hydraulics

CELLS = 5


def setting(seed=0):
    parameters = soil_columns.textures(CELLS, seed)
    aquifer = soil_columns.random_aquifer(CELLS, seed + 1)
    aquifer = eqx.tree_at(lambda a: a.storage, aquifer, 0.7 * aquifer.thickness * aquifer.specific_yield)
    return parameters, aquifer


def arguments_of(parameters, aquifer, state, storage, fluxes):
    factors = exchange.Parameters(jnp.ones(CELLS), jnp.full(CELLS, 0.2))
    shares = runoff.Parameters.default(parameters.wilting_point)
    return parameters, factors, shares, aquifer, state, storage, fluxes


def scalar_of(arguments):
    """A weighted sum of all outputs after three steps."""
    soil, factors, shares, aquifer, state, storage, fluxes = arguments

    def step(carry, _):
        *stores, out = soil_columns.land_step(soil, factors, shares, aquifer, *carry, fluxes)
        flows, heat = out["water"], out["heat"]
        return tuple(stores), jnp.sum(1e6 * flows.recharge + 1e4 * flows.puddle_runoff + 0.1 * heat.recharge_heat)

    (state, storage), sums = jax.lax.scan(step, (state, storage), length=3)
    kept = jnp.sum(state.water) + 1e-5 * jnp.sum(state.enthalpy) + jnp.sum(state.puddle) + jnp.sum(storage)
    return jnp.sum(sums) + kept


scalar = jax.jit(scalar_of)
value_and_gradient = jax.value_and_grad(scalar)  # compiled once for both tests


@pytest.mark.parametrize("curves", ["power laws", pytest.param("van Genuchten", marks=pytest.mark.slow)])
def test_derivative_agrees_with_differences(curves):
    parameters, aquifer = setting()
    if curves == "van Genuchten":
        shape = np.linspace(1.2, 2.5, CELLS)
        parameters = soil_hydraulics.with_van_genuchten(parameters, np.linspace(1.0, 10.0, CELLS), shape, 0.04)
    saturation = jnp.asarray(np.random.default_rng(5).uniform(0.4, 0.8, (6, CELLS)))
    temperature = jnp.asarray(np.random.default_rng(6).uniform(276.0, 295.0, (6, CELLS)))
    state = soil_columns.state_of(parameters, saturation, temperature, jnp.full(CELLS, 1.0, dtype=float))
    fluxes = soil_columns.random_fluxes(CELLS, 7, 0.5)
    fluxes["evaporation"] = jnp.full(CELLS, 3e-5)
    arguments = arguments_of(parameters, aquifer, state, aquifer.storage, fluxes)
    directional_check(scalar, arguments, steps=(1e-5, 1e-6, 1e-7), tolerance=1e-5)


EXTREMES = {
    "bone dry": (0.0, 300.0, 0.0),
    "saturated": (1.0, 290.0, 10.0),
    "frozen full": (1.0, 255.0, 5.0),
    "frozen dry": (0.02, 255.0, 0.0),
    "at the melting temperature": (0.6, 273.16, 0.0),
    "at the wilting point": (0.25, 285.0, 0.0),
}


@pytest.mark.parametrize("curves", ["power laws", pytest.param("van Genuchten", marks=pytest.mark.slow)])
@pytest.mark.parametrize("rain", [0.0, 5e-3])
@pytest.mark.parametrize("name", EXTREMES)
def test_derivatives_are_finite_in_extremes(name, rain, curves):
    saturation, temperature, puddle = EXTREMES[name]
    parameters, aquifer = soil_columns.loam(CELLS), setting()[1]
    if curves == "van Genuchten":
        parameters = soil_hydraulics.with_van_genuchten(parameters, 3.6, 1.56, 0.04)
    shape = (6, CELLS)
    full = aquifer.thickness * aquifer.specific_yield
    storage = full * jnp.array([0.0, 0.5, 1.0, 1.0, 1.0]) + jnp.array([0.0, 0.0, 0.0, 0.005, 0.0125])
    state = soil_columns.state_of(
        parameters, jnp.full(shape, saturation), jnp.full(shape, temperature), jnp.full(CELLS, puddle, dtype=float)
    )
    zero = jnp.zeros(CELLS)
    fluxes = {
        "water_input": zero + rain,
        "input_heat": zero,
        "evaporation": zero + (1e-4 if rain == 0.0 else 0.0),
        "transpiration": zero + (1e-4 if rain == 0.0 else 0.0),
        "ground_heat": zero,
    }
    value, slopes = value_and_gradient(arguments_of(parameters, aquifer, state, storage, fluxes))
    assert np.isfinite(value)
    for path, slope in jax.tree.leaves_with_path(slopes):
        assert np.all(np.isfinite(slope)), f"{name}: {jax.tree_util.keystr(path)}"


@pytest.mark.parametrize("form", runoff.FORMS)
def test_every_form_of_dcor_has_a_derivative(form):
    filling = jnp.array([0.0, 0.3, 0.7, 1.0, 0.999])
    water = filling * 160.0

    def direct(dcor, rain):
        share = runoff.Parameters(dcor, *(jnp.full(CELLS, value) for value in (10.0, 0.35, 0.2)))
        out = runoff.partition(
            share, form, rain, 0.0 * rain, water, jnp.full(CELLS, 160.0), 4.0 * filling, soil_columns.STEP
        )
        return jnp.sum(out.direct_runoff + out.puddle_capacity + out.capacity_factor)

    low, high = runoff.RANGE[form]
    for dcor in (low, 0.5 * (low + high), high):
        for rain in (0.0, 1e-3, 1e-1):
            slopes = jax.grad(direct, argnums=(0, 1))(jnp.full(CELLS, dcor), jnp.full(CELLS, rain))
            assert all(np.all(np.isfinite(s)) for s in slopes)
