"""Derivatives of interception and energy balance: right where they exist, finite everywhere."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from land_column import advance, random_column

from chase_jax.physics import turbulence
from chase_jax.physics import vegetation as plants


def selected(c):
    """What a derivative is taken by."""
    weather = (c.air.temperature, c.air.specific_humidity, c.air.wind_speed, c.air.longwave_down, c.air.rain)
    state = (c.state.water, c.state.enthalpy, c.ground.soil_temperature, c.ground.snow_fraction)
    vegetation = (c.vegetation.minimum_stomatal_resistance, c.vegetation.upper_top, c.parameters)
    soil = (c.root_stress, c.ground.soil_wetness, c.ground.soil_humidity, c.ground.soil_conductance)
    return (*weather, *state, *vegetation, *soil)


def outcome(column):
    """Everything a sub-step gives, with the day's geometry made from the column's own vegetation."""
    geometry = turbulence.geometry(column.vegetation, column.cover, column.ground.snow_fraction)
    result = advance(eqx.tree_at(lambda c: c.geometry, column, geometry))
    return jax.tree.leaves((result.throughfall, result.fluxes, result.final))


def weighted(parts, scales):
    """One number that every element of every output moves, each with a weight of its own."""
    weights = (jnp.sin(jnp.arange(x.size) + 7.0 * i).reshape(x.shape) for i, x in enumerate(parts))
    return sum(jnp.sum(w * x) / s for w, x, s in zip(weights, parts, scales, strict=True))


def interior(seed):
    """A random column away from the bounds at which a derivative is one-sided."""
    column = random_column(seed)
    snow = jnp.clip(column.ground.snow_fraction, 0.1, 0.9)
    water = 0.05 + column.state.water
    wetness = jnp.clip(column.ground.soil_wetness, 0.1, 0.9)
    return eqx.tree_at(
        lambda c: (c.ground.snow_fraction, c.state.water, c.ground.soil_wetness), column, (snow, water, wetness)
    )


def test_derivatives_agree_with_differences():
    column = interior(3)
    scales = [float(jnp.mean(jnp.abs(x))) + 1e-30 for x in outcome(column)]

    @jax.jit
    def objective(chosen):
        return weighted(outcome(eqx.tree_at(selected, column, chosen)), scales)

    directional_check(objective, selected(column), steps=(1e-5, 1e-6, 1e-7))


def _bare(c):
    nothing = plants.canopy(c.vegetation, jnp.zeros_like(c.root_stress))
    return eqx.tree_at(lambda c: (c.cover, c.vegetation.upper_leaf_area_maximum), c, (nothing, 0.0 * c.root_stress))


def _filled(path, value):
    return lambda c: eqx.tree_at(path, c, jax.tree.map(lambda x: jnp.full_like(x, value), path(c)))


EXTREMES = {
    "no leaves": _bare,
    "no snow": _filled(lambda c: (c.ground.snow_fraction, c.ground.snow_conductance), 0.0),
    "all snow": _filled(lambda c: (c.ground.snow_fraction, c.ground.soil_humidity), 1.0),
    "dry canopy without rain": _filled(lambda c: (c.state.water, c.air.rain, c.air.snowfall), 0.0),
    "calm night": _filled(lambda c: (c.air.wind_speed, c.shortwave), 0.0),
    "dry soil": _filled(lambda c: (c.ground.soil_wetness, c.ground.soil_humidity, c.root_stress), 0.0),
    "wet soil": _filled(lambda c: (c.ground.soil_wetness, c.ground.soil_humidity), 1.0),
    "rain all the time": lambda c: eqx.tree_at(lambda c: c.air.storm, c, None),
    "no rain within the step": _filled(lambda c: (c.air.storm.during, c.air.rain), 0.0),
    "neutral": lambda c: eqx.tree_at(
        lambda c: (c.ground.soil_temperature, c.ground.snow_temperature), c, (c.air.temperature, c.air.temperature)
    ),
}


value_and_gradient = jax.jit(jax.value_and_grad(lambda column: weighted(outcome(column), [1.0] * 19)))


@pytest.mark.parametrize("name", EXTREMES)
def test_derivatives_are_finite_in_extreme_states(name):
    column = EXTREMES[name](random_column(5))
    value, gradient = value_and_gradient(column)
    assert np.isfinite(value)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
