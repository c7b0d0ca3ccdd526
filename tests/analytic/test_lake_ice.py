r"""Stefan's law with a film of air: $h^2/(2k) + h/g = (T_m - T_a)\,t / (\rho_i L_f)$."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from weather import air_of

from chase_jax import constants as const
from chase_jax.physics import open_water, turbulence
from chase_jax.physics.thermodynamics import saturation_humidity


def test_ice_grows_by_stefans_law():
    cold, wind, days = 260.0, 20.0, 60
    # Sky and vapor in equilibrium with a skin at air temperature: only the film and the ice resist.
    sky = const.STEFAN_BOLTZMANN * cold**4
    air = air_of([cold], relative_humidity=1.0, wind_speed=wind, longwave_down=sky)
    parameters = open_water.Parameters(jnp.full(1, 20.0))
    state = open_water.State.at_temperature(parameters, jnp.full(1, const.MELTING_TEMPERATURE))

    def advance(state, _):
        state, fluxes = open_water.step(parameters, state, air, jnp.full(1, 1e6), 86400.0)
        return state, (open_water.diagnose(parameters, state).frozen[0], fluxes.surface_temperature[0])

    _, (ice, skin) = jax.lax.scan(advance, state, None, days)
    thickness = np.asarray(ice) / const.ICE_DENSITY
    # The film's conductance at the skin temperatures of the last half, all three of its paths.
    mean_skin = jnp.mean(skin[days // 2 :])[None]
    exchange = turbulence.bulk_conductance(jnp.full(1, wind), air.temperature, mean_skin, 10.0, 2e-4, 2e-4)
    radiative = open_water.EMISSIVITY * 4.0 * const.STEFAN_BOLTZMANN * cold**3
    vapor_slope = saturation_humidity(0.5 * (mean_skin + cold), air.pressure).slope
    latent = air.density * exchange * vapor_slope * air.vapor_enthalpy
    film = float((air.density * const.SPECIFIC_HEAT_AIR * exchange + latent + radiative)[0])
    k = open_water.ICE_CONDUCTIVITY
    drive = (const.MELTING_TEMPERATURE - cold) * 86400.0 / (const.ICE_DENSITY * const.LATENT_HEAT_FUSION)
    half = thickness[days // 2 - 1]
    start, end = (h * h / (2.0 * k) + h / film for h in (half, thickness[-1]))
    np.testing.assert_allclose(end - start, drive * (days - days // 2), rtol=0.03)
