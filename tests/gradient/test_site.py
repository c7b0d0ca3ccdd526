"""Derivatives of a site run against differences, and finite in frost, night and drought."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from site_case import columns, weather

from chase_jax.model import site

COLUMN, WEATHER = columns(), weather(1)
CHANGED = lambda s: (s.parameters.vegetation.minimum_stomatal_resistance, s.parameters.exchange.baseflow_factor)  # noqa: E731


@jax.jit
def outcome(arguments):
    """Mean fluxes and stores after a day as a function of parameters, first state and weather."""
    resistance, factor, saturation, ground, temperature, shortwave = arguments
    column = eqx.tree_at(CHANGED, COLUMN, (resistance, factor))
    now = eqx.tree_at(lambda w: (w.measured.temperature, w.measured.shortwave_down), WEATHER, (temperature, shortwave))
    result = site.run(column, site.initial_state(column, ground, saturation), now)
    heat = jnp.mean(result.record.land.latent_heat) + jnp.mean(result.record.land.sensible_heat)
    return heat + 1e5 * jnp.mean(result.record.outflow) + 1e-2 * jnp.mean(result.state.land.soil.water)


def arguments(ground, saturation, warmer):
    measured = WEATHER.measured
    temperature = measured.temperature + jnp.asarray(warmer)
    return (*CHANGED(COLUMN), jnp.asarray(saturation), jnp.asarray(ground), temperature, measured.shortwave_down)


@pytest.mark.slow
def test_derivatives_of_a_run_agree_with_differences():
    values = arguments([284.0, 300.0, 281.0, 279.0], [0.5, 0.45, 0.7, 0.65], [0.0, 0.0, 9.0, 18.0])
    # temperatures move by a thousandth of their size, lest thaw and frost change places
    sizes = (*values[:3], 1e-3 * values[3], 1e-3 * values[4], 1e-1 * values[5])

    def moved(shift):
        return outcome(tuple(value + s * size for value, s, size in zip(values, shift, sizes, strict=True)))

    directional_check(moved, jax.tree.map(jnp.zeros_like, values), scale=1e-1)


@pytest.mark.slow
def test_derivatives_are_finite_in_frost_and_drought():
    values = arguments([255.0, 310.0, 245.0, 268.0], [0.02, 0.01, 0.98, 0.5], [-33.0, 10.0, -35.0, -4.0])
    assert all(np.all(np.isfinite(gradient)) for gradient in jax.grad(outcome)(values))
