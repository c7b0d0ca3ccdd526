"""The sub-steps of a day add up to the day."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skies import airs_of, prepare_day, random_forcing, random_latitude

from chase_jax.physics import atmosphere
from chase_jax.physics.disaggregation import RELATIVE_HUMIDITY_LIMIT
from chase_jax.physics.thermodynamics import saturation_humidity

N = 400


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("storm", ["duration", "flat"])
@pytest.mark.parametrize("substeps", [1, 8, 24])
def test_daily_means_are_kept(seed, storm, substeps):
    forcing = random_forcing(seed, N, longwave_given=True)
    parameters, latitude = atmosphere.Parameters.default(N), random_latitude(seed, N)
    day = prepare_day(parameters, forcing, latitude, substeps, storm)
    airs = airs_of(day)

    def mean(leaf):
        return np.asarray(leaf).mean(0)

    light = airs.direct_visible + airs.diffuse_visible + airs.direct_infrared + airs.diffuse_infrared
    np.testing.assert_allclose(mean(airs.rain + airs.snowfall), forcing.precipitation, rtol=1e-12, atol=0)
    np.testing.assert_allclose(mean(light), forcing.shortwave_down, rtol=1e-12, atol=0)
    np.testing.assert_allclose(mean(airs.temperature), forcing.air_temperature, rtol=1e-13)
    np.testing.assert_allclose(mean(airs.longwave_down), forcing.longwave_down, rtol=1e-12)
    for name in ("rain", "snowfall", "direct_visible", "diffuse_visible", "direct_infrared", "diffuse_infrared"):
        assert np.all(np.asarray(getattr(airs, name)) >= 0.0), name
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(airs))


@pytest.mark.parametrize("seed", range(6))
def test_humidity_is_kept_unless_the_air_is_full(seed):
    forcing = random_forcing(seed, N)
    day = prepare_day(atmosphere.Parameters.default(N), forcing, random_latitude(seed, N), 8)
    humidity = np.asarray(day.intervals.specific_humidity)
    capacity = saturation_humidity(day.intervals.temperature, forcing.air_pressure).humidity
    capacity = RELATIVE_HUMIDITY_LIMIT * np.asarray(capacity)
    assert np.all(humidity <= capacity * (1.0 + 1e-13))
    expected = np.minimum(forcing.specific_humidity, capacity.mean(0))
    np.testing.assert_allclose(humidity.mean(0), expected, rtol=1e-12)


def test_the_mean_of_a_day_is_its_forcing():
    forcing = random_forcing(3, N)
    day = prepare_day(atmosphere.Parameters.default(N), forcing, jnp.full(N, 47.0), 8)
    mean = day.mean()
    np.testing.assert_allclose(mean.temperature, forcing.air_temperature, rtol=1e-13)
    np.testing.assert_allclose(mean.precipitation, forcing.precipitation, rtol=1e-12, atol=0)
    assert np.all((np.asarray(mean.cosine_zenith) >= 0.0) & (np.asarray(mean.cosine_zenith) <= 1.0))
