"""Derivatives of the air: against differences, and finite at night, in dry air and at the poles."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from skies import airs_of, random_forcing

from chase_jax.physics import atmosphere

N = 60
FIELDS = ("precipitation", "air_temperature", "shortwave_down", "specific_humidity", "air_pressure", "diurnal_range")
TYPICAL_SIZE = (10.0, 5e-3, 1e4, 1.0, 5.0, 300.0, 90.0, 90.0, 100.0, 100.0, 0.5, 1e-4, 1e-4, 1e5, 1e5, 1e5)


@jax.jit
def outcome(arguments, forcing, latitude):
    """A number in which every leaf of every sub-step's air has a weight of its own."""
    parameters, values = arguments
    day = atmosphere.prepare_day(parameters, dataclasses.replace(forcing, **values), latitude, 8)
    airs, weights = airs_of(day), np.random.default_rng(0)
    sizes = (*TYPICAL_SIZE, 1.0, 1.0, 1.0)  # the last three of the storm
    return sum(
        jnp.sum(jnp.asarray(weights.standard_normal(leaf.shape)) * leaf / size)
        for leaf, size in zip(jax.tree.leaves(airs), sizes, strict=True)
    )


def smooth_forcing(seed):
    """Days away from the kinks of the scheme: no saturation, sun up, an event shorter than the day."""
    draw = np.random.default_rng(seed)
    columns = (
        draw.uniform(2e-5, 2e-4, N),
        draw.uniform(277.0, 295.0, N),
        draw.uniform(120.0, 200.0, N),
        draw.uniform(2e-3, 3e-3, N),
        draw.uniform(8e4, 1e5, N),
        draw.uniform(1.0, 8.0, N),
        np.full(N, np.nan),
        draw.uniform(4.0, 9.0, N),
    )
    return atmosphere.Forcing(*map(jnp.asarray, columns), jnp.asarray(110.0))


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_match_differences(seed):
    forcing = smooth_forcing(seed)
    arguments = atmosphere.Parameters.default(N), {name: getattr(forcing, name) for name in FIELDS}
    latitude = jnp.linspace(-40.0, 55.0, N)
    # one temperature of 280 K varies by its own size: small steps
    directional_check(lambda a: outcome(a, forcing, latitude), arguments, seed, steps=(1e-6, 1e-7), tolerance=1e-6)


def test_humidity_differentiates_through_saturation():
    forcing = dataclasses.replace(smooth_forcing(0), specific_humidity=jnp.asarray(np.full(N, 7e-3)))
    arguments = atmosphere.Parameters.default(N), {name: getattr(forcing, name) for name in FIELDS}
    latitude = jnp.linspace(-40.0, 55.0, N)
    directional_check(lambda a: outcome(a, forcing, latitude), arguments, 1, steps=(1e-6, 1e-7), tolerance=1e-6)


@pytest.mark.parametrize("day", [1.0, 172.0])
def test_derivatives_are_finite_everywhere(day):
    forcing = random_forcing(5, N, day_of_year=day)
    forcing = dataclasses.replace(forcing, specific_humidity=forcing.specific_humidity.at[:6].set(0.0))
    latitude = jnp.asarray(np.linspace(-90.0, 90.0, N))
    arguments = atmosphere.Parameters.default(N), {name: getattr(forcing, name) for name in FIELDS}
    gradient = jax.grad(outcome)(arguments, forcing, latitude)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(eqx.filter(gradient, eqx.is_array)))
