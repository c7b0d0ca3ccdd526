"""Water that freezes, and moist air."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax.physics.thermodynamics import enthalpy_of, phase_state, saturation_humidity


@pytest.mark.parametrize("water", [0.0, 1e-6, 0.3, 20.0, 400.0])
@pytest.mark.parametrize("dry_heat_capacity", [5e2, 1e5, 2e6])
def test_diagnosed_temperature_and_ice_reproduce_the_enthalpy(water, dry_heat_capacity):
    reach = 40.0 * (dry_heat_capacity + 4218.0 * water)
    enthalpy = jnp.linspace(-const.LATENT_HEAT_FUSION * water - reach, reach, 501)
    phase = phase_state(jnp.full_like(enthalpy, water), enthalpy, dry_heat_capacity)
    again = enthalpy_of(phase.temperature, phase.liquid, phase.frozen, dry_heat_capacity)
    np.testing.assert_allclose(again, enthalpy, atol=1e-11 * (reach + const.LATENT_HEAT_FUSION * water))
    assert np.all(phase.frozen >= 0.0)
    assert np.all(phase.liquid >= 0.0)
    assert np.all(np.diff(phase.temperature) > -1e-10)


def test_ice_melts_on_a_plateau_at_the_melting_temperature():
    half_melted = phase_state(jnp.asarray(100.0), jnp.asarray(-50.0 * const.LATENT_HEAT_FUSION), 1e4)
    assert abs(float(half_melted.temperature) - const.MELTING_TEMPERATURE) < 1e-6
    np.testing.assert_allclose(half_melted.frozen, 50.0, rtol=1e-6)


@pytest.mark.parametrize("water", [0.0, 1e-70, 1e-13, 1e-9])
def test_a_film_has_the_share_of_ice_that_its_temperature_implies(water):
    enthalpy = jnp.linspace(-2000.0, 2000.0, 41)
    found = phase_state(jnp.full_like(enthalpy, water), enthalpy, 1e3).mean_enthalpy
    warmth, ice = enthalpy / 1e3, jax.nn.sigmoid(-enthalpy / 250.0)
    sensible = (const.SPECIFIC_HEAT_WATER * (1.0 - ice) + const.SPECIFIC_HEAT_ICE * ice) * warmth
    np.testing.assert_allclose(found, sensible - const.LATENT_HEAT_FUSION * ice, atol=0.1)
    slope = jax.vmap(jax.grad(lambda w, h: phase_state(w, h, 1e3).mean_enthalpy), (None, 0))(water, enthalpy)
    assert float(jnp.abs(slope).max()) < 1e9  # J kg-1 per kg m-2; of a share over a floor of water it was 3e17


def test_apparent_heat_capacity_is_the_derivative_of_enthalpy():
    for enthalpy in (-9e6, -6.7e6, -1e5, 0.0, 2e5, 4e6):
        slope = jax.grad(lambda h: phase_state(jnp.asarray(20.0), h, 1e5).temperature)(enthalpy)
        capacity = phase_state(jnp.asarray(20.0), jnp.asarray(enthalpy), 1e5).heat_capacity
        np.testing.assert_allclose(slope * capacity, 1.0, rtol=1e-9)


def test_saturation_humidity_agrees_with_tables_and_its_slope_with_its_derivative():
    pressure = jnp.asarray(101325.0)
    # Saturation vapor pressure over water at 20 C: 2339 Pa; over ice at -20 C: 103.3 Pa (WMO tables).
    np.testing.assert_allclose(saturation_humidity(jnp.asarray(293.15), pressure).humidity, 0.014484, rtol=3e-3)
    np.testing.assert_allclose(saturation_humidity(jnp.asarray(253.15), pressure).humidity, 6.343e-4, rtol=3e-3)
    for temperature in (233.0, 272.0, 273.15, 274.0, 303.0):
        slope = jax.grad(lambda t: saturation_humidity(t, pressure).humidity)(temperature)
        np.testing.assert_allclose(saturation_humidity(jnp.asarray(temperature), pressure).slope, slope, rtol=1e-10)
