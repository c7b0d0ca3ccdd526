"""Derivatives of absorbed light: against differences, and finite at night, without leaves and under snow."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from skies import airs_of, prepare_day, random_cover, random_forcing, random_latitude

from chase_jax.physics import atmosphere, radiation, two_stream

N = 60


def air_of(seed, step):
    day = prepare_day(atmosphere.Parameters.default(N), random_forcing(seed, N), random_latitude(seed, N), 8)
    return jax.tree.map(lambda leaf: leaf[step], airs_of(day))


@jax.jit
def outcome(arguments, air):
    canopy, rest, (direct, diffuse, cosine) = arguments
    air = dataclasses.replace(air, direct_visible=direct, diffuse_infrared=diffuse, cosine_zenith=cosine)
    found = radiation.absorb(radiation.canopy_optics(*canopy), air, *rest)
    weights = np.random.default_rng(0)
    return sum(jnp.sum(jnp.asarray(weights.standard_normal(leaf.shape)) * leaf) for leaf in jax.tree.leaves(found))


derivative = jax.grad(outcome)


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_match_differences(seed):
    draw = np.random.default_rng(seed)
    unit = lambda low, high: jnp.asarray(draw.uniform(low, high, N))  # noqa: E731
    canopy = (unit(1, 5), unit(0.2, 1), unit(0.5, 4), unit(0.1, 0.3), unit(0.1, 0.8), unit(0.1, 0.8))
    canopy += (273.16 - unit(0.2, 0.8), 273.16 - unit(0.2, 0.8))
    soil, snow = (radiation.Albedo(unit(0.1, 0.2), unit(0.2, 0.4)) for _ in range(2))
    rest = unit(0.2, 0.7), unit(0.1, 0.4), unit(0.1, 0.4), soil, snow
    arguments = canopy, rest, (unit(50, 200), unit(50, 200), unit(0.2, 0.9))
    air = air_of(seed, 4)
    # leaves at 273 K vary by their own size across a range of 1 K: small steps
    directional_check(lambda a: outcome(a, air), arguments, seed, steps=(1e-7, 1e-8), tolerance=1e-5)


@pytest.mark.parametrize("step", [0, 2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_derivatives_are_finite_everywhere(step, seed):
    """`random_cover` holds leafless, treeless and buried ground; step 0 is night except near one pole."""
    air = air_of(seed, step)
    cosine = air.cosine_zenith.at[:3].set(jnp.array([0.0, 1e-9, 1.0]))
    arguments = *random_cover(seed, N), (air.direct_visible + 1.0, air.diffuse_infrared, cosine)
    gradient = derivative(arguments, air)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_the_removable_singularity_has_a_derivative():
    """K = q, where a quotient of two differences takes its limit."""

    leaves, snow = radiation.UPPER_LEAVES, jnp.linspace(0.0, 1.0, N)
    layer = two_stream.layer_optics(leaves, jnp.full(N, 3.0), jnp.zeros(N), snow)
    cosine = 0.5 / layer.bands[0].decay
    assert np.any(0.5 / cosine == layer.bands[0].decay)  # to the last bit

    def below(area):
        layer = two_stream.layer_optics(leaves, area, jnp.zeros(N), snow)
        return two_stream.beam_through(leaves, area, layer.bands[0], cosine).scattered

    area = jnp.full(N, 3.0)
    difference = (below(area + 1e-5) - below(area - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(lambda a: below(a).sum())(area), difference, atol=1e-9)


def test_night_has_light_nowhere_and_finite_derivatives():
    air = air_of(0, 0)
    dark = jnp.zeros(N)
    air = dataclasses.replace(air, diffuse_visible=dark, direct_infrared=dark)
    arguments = *random_cover(0, N), (dark, dark, dark)
    assert outcome(arguments, air) == 0.0
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(derivative(arguments, air)))
