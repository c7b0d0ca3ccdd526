"""Derivatives of snow: right through a winter and its melt-out, finite where there is none."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from weather import air_of

from chase_jax import constants as const
from chase_jax.numerics import precision
from chase_jax.physics import bulk_surface, snow
from chase_jax.physics.thermodynamics import enthalpy_of

STEP, PER_DAY = 10800.0, 8


DAYS = 40


def season(arguments):
    """Water of the pack and its outflow, (step, cell): 16 days of winter with snowfall, then spring until it is gone.

    Arguments: parameters, state, warming K, snowfall kg m-2 s-1.
    """
    parameters, state, warming, snowfall = arguments

    def advance(state, step):
        day, hour = step / PER_DAY, 2.0 * jnp.pi * step / PER_DAY
        temperature = 268.0 + 14.0 * day / DAYS + 3.0 * jnp.sin(hour) + warming
        sun = jnp.maximum(jnp.sin(hour), 0.0) * 500.0
        air = air_of(temperature, shortwave=sun, snowfall=snowfall * (day < 0.4 * DAYS))
        air = jax.tree.map(lambda leaf: leaf.astype(warming.dtype), air)
        shown = snow.surface(state, jnp.zeros_like(temperature), STEP)
        skin = bulk_surface.solve(
            air,
            (1.0 - 0.46 * state.albedo_visible - 0.54 * state.albedo_infrared) * sun,
            0.98,
            1e-3,
            1e-4,
            shown.skin_conductance,
            shown.temperature,
            shown.mean_enthalpy,
            bulk_surface.MELT_CONDUCTANCE,
        )
        supply = snow.Supply(
            liquid=jnp.zeros_like(warming),
            liquid_heat=jnp.zeros_like(warming),
            solid=air.snowfall,
            solid_heat=air.snowfall * air.snow_enthalpy,
            heat=shown.cover * (skin.conduction + skin.melt_heat),
            sublimation=shown.cover * skin.evaporation,
            skin_temperature=skin.temperature,
            air_temperature=air.temperature,
            wind_speed=air.wind_speed,
        )
        ground = snow.Ground(*(jnp.full_like(temperature, v) for v in (274.0, 2e5, 40.0)))
        state, fluxes = snow.step(parameters, state, shown, supply, ground, STEP)
        return state, (state.water, fluxes.outflow)

    return jax.lax.scan(advance, state, jnp.arange(DAYS * PER_DAY, dtype=warming.dtype))[1]


def arguments_for(ice, temperature):
    """A pack of ice (cell,) at a temperature (cell,), and the weather."""
    ice = jnp.asarray(ice)
    parameters = snow.Parameters.default(ice.size)
    enthalpy = enthalpy_of(jnp.asarray(temperature), 0.0, ice, sum(snow.DRY_HEAT_CAPACITY))
    state = snow.State.uniform(parameters, ice, enthalpy, ice / 200.0)
    return parameters, state, jnp.zeros_like(ice), jnp.full_like(ice, 5e-5)


@jax.jit
def timing(arguments):
    """When the water leaves and how much is left half-way through the melt: smooth through the pack's end."""
    water, outflow = season(arguments)
    hours = jnp.linspace(0.0, 1.0, DAYS * PER_DAY)[:, None]
    return jnp.sum(hours * outflow) * STEP - jnp.sum(water[25 * PER_DAY])


gradient = jax.grad(timing)
SEASON = arguments_for([20.0, 60.0, 40.0, 30.0], [270.0, 265.0, 255.0, 272.0])


def test_the_season_ends_without_snow():
    water, _ = jax.jit(season)(SEASON)
    assert water.max() > 60.0
    assert np.all(water[-1] < 0.02 * water.max())


def test_derivatives_hold_through_the_season():
    assert directional_check(timing, SEASON, steps=(1e-5, 1e-6, 1e-7), tolerance=1e-4) < 1e-4


def test_less_snowfall_and_more_warmth_leave_less_snow():
    _, _, warming, snowfall = gradient(SEASON)
    assert np.all(warming > 0.0)
    assert np.all(snowfall != 0.0)


@pytest.mark.parametrize("temperature", [230.0, const.MELTING_TEMPERATURE, 300.0])
def test_derivatives_are_finite_with_little_or_no_snow(temperature):
    full = jnp.full(4, temperature)
    parameters, state, _, _ = arguments_for([0.0, 1e-12, 1e-4, 1.0], jnp.minimum(full, const.MELTING_TEMPERATURE))
    found = gradient((parameters, state, full - 275.0, jnp.zeros(4)))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))


@pytest.mark.parametrize("ice", [0.0, 1e-24, 1e-20, 1e-17, 1e-12, 1e-4])
def test_derivatives_are_finite_in_single_precision(ice):
    """A pack that fades out leaves amounts whose squares are zero in single precision."""
    arguments = precision.single(arguments_for([ice, 1.0], [268.0, 270.0]))
    along = jax.tree.map(jnp.ones_like, arguments)
    changes = jax.jit(lambda given, moved: jax.jvp(season, (given,), (moved,))[1])(arguments, along)
    for leaf in (*changes, *jax.tree.leaves(gradient(arguments))):
        assert leaf.dtype == jnp.float32
        assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("wind_heat", [-300.0, 0.0, 300.0])
def test_a_pack_without_snow_does_not_amplify(wind_heat):
    """What a change of its stores does fades from step to step, however strongly dry air draws on it."""
    parameters, state, _, _ = arguments_for([0.0], [280.0])
    ground = snow.Ground(*(jnp.full(1, v) for v in (300.0, 2e5, 40.0)))
    names = ("layer_water", "layer_thickness")

    def after(stores):
        pack = dataclasses.replace(state, **dict(zip(names, jnp.split(stores, len(names)), strict=True)))
        shown = snow.surface(pack, jnp.zeros(1), STEP)
        none = jnp.zeros(1)
        heat, vapor = shown.cover * wind_heat, shown.cover * 3e-3
        weather = (heat, vapor, none + 300.0, none + 320.0, none + 10.0)
        new, _ = snow.step(parameters, pack, shown, snow.Supply(none, none, none, none, *weather), ground, STEP)
        return jnp.concatenate([getattr(new, name) for name in names])

    stores = jnp.zeros((len(names) * snow.LAYERS, 1))
    for jacobian in (jax.jacfwd, jax.jacrev):
        matrix = np.asarray(jacobian(after)(stores))[:, 0, :, 0]
        assert np.abs(np.linalg.eigvals(matrix)).max() <= 1.0
