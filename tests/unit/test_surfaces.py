"""What stores take of the heat that the last linear system offers them: never more than fits their temperature."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from land_column import STEP, advance, make_air, make_shortwave, random_column

from chase_jax import constants as const
from chase_jax.physics import canopy, surface_energy, surfaces, thermodynamics, turbulence, vegetation

DT = 3600.0


def leaves(water, temperature, ice, dry=2.0e4):
    """Leaves with `ice` of their `water` (kg m-2) frozen, at one temperature (K)."""
    arrays = [jnp.atleast_1d(jnp.asarray(x, float)) for x in (temperature, water - ice, ice, dry)]
    enthalpy = thermodynamics.enthalpy_of(*arrays)
    return SimpleNamespace(dry_heat_capacity=[arrays[3]], enthalpy=[enthalpy])


def enthalpy_after(start, temperature, water, offered):
    """Enthalpy of the leaves once they took their share, J m-2."""
    taken = surfaces.leaf_heat(start, 0, jnp.array([temperature]), jnp.array([water]), jnp.array([offered]), DT)
    return float(start.enthalpy[0][0] + DT * taken[0])


@pytest.mark.parametrize("offered", [-2.0e3, -100.0, 0.0, 100.0, 2.0e3])
@pytest.mark.parametrize("temperature", [250.0, 262.0, 290.0, 310.0])
def test_leaves_away_from_melting_take_what_their_temperature_says(temperature, offered):
    start = leaves(water=0.5, temperature=const.MELTING_TEMPERATURE, ice=0.25)
    ice = 0.5 if temperature < const.MELTING_TEMPERATURE else 0.0
    expected = thermodynamics.enthalpy_of(temperature, 0.5 - ice, ice, 2.0e4)
    assert enthalpy_after(start, temperature, 0.5, offered) == pytest.approx(expected, abs=0.01)


def test_leaves_at_melting_take_what_they_are_offered_and_no_more_than_melts_or_freezes_all():
    start = leaves(water=0.5, temperature=const.MELTING_TEMPERATURE, ice=0.25)
    offer = 0.1 * const.LATENT_HEAT_FUSION / DT  # melts 0.1 kg m-2
    whole = 0.5 * const.LATENT_HEAT_FUSION
    assert enthalpy_after(start, const.MELTING_TEMPERATURE, 0.5, offer) == pytest.approx(
        float(start.enthalpy[0][0]) + DT * offer, abs=3e-4 * whole
    )  # the ends are rounded, which reaches this far
    frozen, molten = (
        float(thermodynamics.enthalpy_of(const.MELTING_TEMPERATURE, 0.5 - ice, ice, 2.0e4)) for ice in (0.5, 0.0)
    )
    assert enthalpy_after(start, const.MELTING_TEMPERATURE, 0.5, 100.0 * offer) == pytest.approx(molten, abs=0.1)
    assert enthalpy_after(start, const.MELTING_TEMPERATURE, 0.5, -100.0 * offer) == pytest.approx(frozen, abs=0.1)


def snow(temperature, fraction=1.0, conductance=5.0, limit=50.0):
    """Ground with snow on `fraction` of it that 50 W m-2 would melt within the step."""
    fields = {"snow_fraction": fraction, "snow_conductance": conductance * fraction, "snow_temperature": temperature}
    fields["snow_melt_limit"] = limit
    return SimpleNamespace(**{name: jnp.array([value]) for name, value in fields.items()})


@pytest.mark.parametrize("skin", [240.0, 260.0, 273.0])
def test_dry_cold_snow_is_not_cooled_by_melt_of_the_guess(skin):
    taken = surfaces.snow_heat(snow(250.0), jnp.array([skin]), jnp.array([-800.0]))
    np.testing.assert_allclose(taken, 5.0 * (skin - 250.0), atol=surfaces.LEAST_MELT)


def test_snow_takes_no_more_than_melts_all_of_it():
    taken = surfaces.snow_heat(snow(273.16), jnp.array([273.16]), jnp.array([1.0e4]))
    assert 40.0 < float(taken[0]) <= 50.0
    little = surfaces.snow_heat(snow(273.16), jnp.array([273.16]), jnp.array([10.0]))
    assert 9.0 < float(little[0]) <= 10.0 + surfaces.LEAST_MELT


def test_both_depend_smoothly_on_the_offer():
    start = leaves(water=0.5, temperature=const.MELTING_TEMPERATURE, ice=0.25)
    here, water = jnp.array([const.MELTING_TEMPERATURE]), jnp.array([0.5])

    def leaf(offer):
        return surfaces.leaf_heat(start, 0, here, water, offer, DT)[0]

    def pack(offer):
        return surfaces.snow_heat(snow(272.0), jnp.array([272.5]), offer)[0]

    for function in (leaf, pack):
        for offer in (-90.0, -1.0, 0.0, 12.0, 200.0):
            x = jnp.array([offer])
            slope = float(jax.grad(lambda o, f=function: f(o))(x)[0])
            difference = float(function(x + 1e-4) - function(x - 1e-4)) / 2e-4
            assert slope == pytest.approx(difference, abs=1e-6)
            assert -1e-9 <= slope <= 1.0 + 1e-6


def thaw_below_trees(warmth):
    """Heat that ripe snow below leafless trees takes at night from air so many K above melting, W m-2."""
    one = jnp.ones(1)
    trees, start = vegetation.from_class(np.array([11])), random_column(0, 1)
    cover = vegetation.canopy(trees, 0.5 * one)
    parameters = canopy.Parameters.default(trees)
    air = make_air(*(value * one for value in (273.16 + warmth, 0.0038, 95000.0, 3.0, 300.0, 0.0, 0.0)))
    ground = dataclasses.replace(
        start.ground,
        snow_fraction=one,
        snow_temperature=273.16 * one,
        snow_conductance=surface_energy.implicit_conductance(5.0 * one, one, 1e5 * one, STEP),
        soil_conductance=0.0 * one,
        snow_melt_limit=1e3 * one,
    )
    column = dataclasses.replace(
        start,
        vegetation=trees,
        cover=cover,
        geometry=turbulence.geometry(trees, cover, one),
        parameters=parameters,
        state=canopy.State(jnp.zeros((3, 1)), parameters.dry_heat_capacity * warmth),
        air=air,
        shortwave=make_shortwave(jnp.zeros((5, 1))),
        ground=ground,
    )
    return float(advance(column).fluxes.snow_heat[0])


def test_a_thaw_reaches_the_snow_below_leafless_trees():
    """The warmer the air the more of it, and more than if the layers of air were as still as those over open snow."""
    heat = [thaw_below_trees(warmth) for warmth in (2.0, 4.0, 6.0, 8.0)]
    assert (np.diff(heat) > 8.0).all(), heat
