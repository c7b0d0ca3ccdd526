"""A pack under constant heat: the melt rate is F / L_f, and cold content delays it by c_i M (T_m - T) / F."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax.physics import snow
from chase_jax.physics.thermodynamics import enthalpy_of

HEAT, STEP = 100.0, 3600.0


def outflow_under_constant_heat(temperature, water, steps):
    """Accumulated outflow at the end of each step, kg m-2, over ground that takes no heat."""
    parameters = snow.Parameters.default(1)
    ice = jnp.asarray([water])
    enthalpy = enthalpy_of(temperature, 0.0, ice, sum(snow.DRY_HEAT_CAPACITY))
    state = snow.State.uniform(parameters, ice, enthalpy, ice / 500.0)
    zero = jnp.zeros(1)
    skin = jnp.full(1, 273.16)
    given = snow.Supply(zero, zero, zero, zero, jnp.full(1, HEAT), zero, skin, skin, zero)
    insulated = snow.Ground(skin, jnp.full(1, 1e6), jnp.full(1, 1e-12))

    def advance(state, _):
        shown = snow.surface(state, zero, STEP)
        state, fluxes = snow.step(parameters, state, shown, given, insulated, STEP)
        return state, fluxes.outflow[0] * STEP

    _, outflow = jax.lax.scan(advance, state, None, steps)
    return np.cumsum(outflow)


def test_a_ripe_pack_melts_25_9_mm_a_day():
    total = outflow_under_constant_heat(const.MELTING_TEMPERATURE, 300.0, 24 * 6)
    rate = (total[-1] - total[24 * 3 - 1]) / 3.0
    # As the ice goes, its pores release what they held: 3 % of the pore volume that 25.9 mm of ice take along.
    released = 0.03 * 1000.0 * (1.0 / 500.0 - 1.0 / const.ICE_DENSITY)
    expected = HEAT * 86400.0 / const.LATENT_HEAT_FUSION * (1.0 + released)
    np.testing.assert_allclose(rate, expected, rtol=0.015)


@pytest.mark.parametrize("cold", [3.0, 10.0])
def test_cold_content_delays_the_outflow(cold):
    water = 300.0
    warm = outflow_under_constant_heat(const.MELTING_TEMPERATURE, water, 24 * 6)
    delayed = outflow_under_constant_heat(const.MELTING_TEMPERATURE - cold, water, 24 * 6)
    level = 40.0
    hours = np.arange(1, warm.size + 1)
    delay = np.interp(level, delayed, hours) - np.interp(level, warm, hours)
    content = (const.SPECIFIC_HEAT_ICE * water + sum(snow.DRY_HEAT_CAPACITY)) * cold
    # Water passes a layer that is still some tenths of a kelvin cold, because the phase change has a width.
    np.testing.assert_allclose(delay * 3600.0, content / HEAT, rtol=0.05)
