"""The balance of one open skin: closed to rounding, and solved."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weather import air_of, random_air

from chase_jax import constants as const
from chase_jax.physics import bulk_surface, turbulence
from chase_jax.physics.thermodynamics import saturation_humidity

N = 2000


def random_skin(seed):
    draw = np.random.default_rng(seed)
    air = random_air(seed, N)
    store = np.clip(np.asarray(air.temperature) + draw.normal(0.0, 6.0, N), 240.0, const.MELTING_TEMPERATURE)
    arguments = (air, draw.uniform(0, 700, N), 0.98, 1e-3, 1e-4, draw.uniform(0.5, 20, N), store, -3.4e5, 1000.0)
    return air, arguments, jax.jit(bulk_surface.solve, static_argnums=(2, 3, 4))(*arguments)


def test_fluxes_close_to_rounding():
    for seed in range(5):
        air, arguments, fluxes = random_skin(seed)
        latent = air.vapor_enthalpy - arguments[7]
        out = fluxes.sensible_heat + fluxes.evaporation * latent + fluxes.conduction + fluxes.melt_heat
        assert np.max(np.abs(arguments[1] + fluxes.net_longwave - out)) < 1e-9


def test_the_iteration_satisfies_the_balance_itself():
    """Fluxes put anew at the skin temperature found, with no linearisation, balance within a few watts."""
    air, arguments, fluxes = random_skin(7)
    _, absorbed, emissivity, roughness, scalar_roughness, conductance, store, source, melt = arguments
    skin = fluxes.temperature
    exchange = turbulence.bulk_conductance(air.wind_speed, air.temperature, skin, 10.0, roughness, scalar_roughness)
    sensible = air.density * const.SPECIFIC_HEAT_AIR * exchange * (skin - air.temperature)
    humidity = saturation_humidity(skin, air.pressure).humidity
    latent = air.density * exchange * (humidity - air.specific_humidity) * (air.vapor_enthalpy - source)
    longwave = emissivity * (air.longwave_down - const.STEFAN_BOLTZMANN * skin**4)
    melting = melt * np.maximum(skin - const.MELTING_TEMPERATURE, 0.0)  # but for the bend
    left = absorbed + longwave - sensible - latent - conductance * (skin - store) - melting
    assert np.median(np.abs(left)) < 0.5
    assert np.quantile(np.abs(left), 0.99) < 40.0


def test_melting_skin_stays_near_melting():
    _, _, fluxes = random_skin(3)
    above = jnp.maximum(fluxes.melt_heat, 0.0) / bulk_surface.MELT_CONDUCTANCE
    assert np.all(fluxes.temperature < const.MELTING_TEMPERATURE + above + 0.2)
    melting = fluxes.melt_heat > 50.0
    assert melting.any()
    assert np.all(fluxes.temperature[melting] > const.MELTING_TEMPERATURE - 0.1)


def test_limit_turns_the_cut_into_sensible_heat():
    air = air_of([300.0, 300.0], relative_humidity=0.2)
    fluxes = bulk_surface.solve(air, jnp.full(2, 400.0), 0.97, 2e-4, 2e-4, jnp.full(2, 50.0), jnp.full(2, 298.0), 0.0)
    dry = bulk_surface.limit_evaporation(fluxes, jnp.asarray([0.0, 1.0]), air.vapor_enthalpy)
    assert float(dry.evaporation[0]) == 0.0
    np.testing.assert_allclose(dry.evaporation[1], fluxes.evaporation[1], rtol=1e-12)
    before = fluxes.sensible_heat + fluxes.evaporation * air.vapor_enthalpy
    np.testing.assert_allclose(dry.sensible_heat + dry.evaporation * air.vapor_enthalpy, before, rtol=1e-12)
