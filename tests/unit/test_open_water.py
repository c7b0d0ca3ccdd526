"""Open water: seasons, ice, and the limit of what can evaporate."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weather import air_of

from chase_jax import constants as const
from chase_jax.physics import open_water

DAY = 86400.0
PLENTY = 1e6
step = jax.jit(open_water.step, static_argnames="dt")


def slab(n=1, temperature=283.0, depth=3.0):
    parameters = open_water.Parameters(jnp.full(n, depth))
    return parameters, open_water.State.at_temperature(parameters, jnp.full(n, temperature))


def test_the_slab_approaches_the_equilibrium_of_its_weather():
    parameters, cold = slab(temperature=275.0)
    _, warm = slab(temperature=300.0)
    air = air_of([288.0], shortwave=180.0, longwave_down=320.0)
    for _ in range(120):
        cold, fluxes = step(parameters, cold, air, jnp.full(1, PLENTY), dt=DAY)
        warm, _ = step(parameters, warm, air, jnp.full(1, PLENTY), dt=DAY)
    temperatures = [float(open_water.diagnose(parameters, s).temperature[0]) for s in (cold, warm)]
    assert abs(temperatures[0] - temperatures[1]) < 0.05
    balance = fluxes.net_shortwave + fluxes.net_longwave - fluxes.sensible_heat
    assert abs(float((balance - fluxes.evaporation * air.vapor_enthalpy)[0])) < 0.5
    assert 1.0 < float(fluxes.evaporation[0]) * DAY < 8.0


def test_a_deeper_slab_is_slower():
    air = air_of([298.0, 298.0], shortwave=250.0, longwave_down=380.0)
    parameters = open_water.Parameters(jnp.asarray([1.0, 10.0]))
    state = open_water.State.at_temperature(parameters, jnp.full(2, 280.0))
    for _ in range(5):
        state, _ = step(parameters, state, air, jnp.full(2, PLENTY), dt=DAY)
    shallow, deep = open_water.diagnose(parameters, state).temperature
    assert shallow > deep + 3.0 > 283.0


def test_ice_makes_the_water_bright_and_melts_again():
    parameters, state = slab(temperature=274.0)
    for _ in range(40):
        state, fluxes = step(parameters, state, air_of([258.0], shortwave=40.0), jnp.full(1, PLENTY), dt=DAY)
    ice = float(open_water.diagnose(parameters, state).frozen[0])
    assert 300.0 < ice < 900.0
    np.testing.assert_allclose(fluxes.net_shortwave, 0.5 * 40.0, rtol=0.02)
    for _ in range(60):
        air = air_of([285.0], shortwave=250.0, longwave_down=320.0)
        state, fluxes = step(parameters, state, air, jnp.full(1, PLENTY), dt=DAY)
    assert float(fluxes.ice_cover[0]) < 1e-3
    np.testing.assert_allclose(fluxes.net_shortwave, 0.92 * 250.0, rtol=1e-3)


def test_snowfall_cools_the_water_by_its_latent_heat():
    parameters, state = slab(n=2, temperature=278.0)
    air = air_of([272.0, 272.0], snowfall=jnp.asarray([0.0, 10.0 / DAY]))
    after, _ = step(parameters, state, air, jnp.full(2, PLENTY), dt=DAY)
    lost = float(after.enthalpy[0] - after.enthalpy[1])
    assert 0.8 * 10.0 * const.LATENT_HEAT_FUSION < lost < 10.0 * (const.LATENT_HEAT_FUSION + 3e3)


def test_a_dry_channel_evaporates_nothing_and_heats_the_air():
    parameters, state = slab(n=2, temperature=295.0)
    air = air_of([295.0, 295.0], relative_humidity=0.3, shortwave=300.0)
    after, fluxes = step(parameters, state, air, jnp.asarray([0.0, PLENTY]), dt=DAY)
    assert float(fluxes.evaporation[0]) == 0.0
    assert float(fluxes.evaporation[1]) > 1e-5
    np.testing.assert_allclose(after.enthalpy[0], after.enthalpy[1])
    assert float(fluxes.sensible_heat[0]) > float(fluxes.sensible_heat[1])
