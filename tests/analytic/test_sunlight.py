"""The sun against closed forms and against fine quadrature."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.physics import disaggregation, sky


def equinox():
    """Day of the year, as a real number, on which the series of the declination vanishes in spring."""
    low, high = 70.0, 90.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if sky.declination(jnp.asarray(middle)) < 0.0 else (low, middle)
    return jnp.asarray(middle)


def test_the_equator_at_equinox_receives_the_solar_constant_over_pi():
    sun = sky.sunlight(jnp.zeros(1), equinox(), 8)
    np.testing.assert_allclose(sun.insolation.mean(), 1.0 / np.pi, rtol=1e-12)


def test_declination_at_the_solstices_and_distance_of_the_sun():
    days = jnp.linspace(1.0, 366.0, 3651)
    tilt = np.rad2deg([sky.declination(d) for d in days[::10]])
    assert abs(tilt.max() - 23.44) < 0.1
    assert abs(tilt.min() + 23.44) < 0.1
    assert abs(float(sky.eccentricity_factor(jnp.asarray(3.0))) - 1.034) < 2e-3  # perihelion: 1 / 0.9833^2


@pytest.mark.parametrize("day", [1.0, 80.0, 172.0, 266.0, 355.0])
@pytest.mark.parametrize("substeps", [1, 8, 24])
def test_intervals_are_integrals_of_the_cosine(day, substeps):
    latitude = np.array([-90.0, -66.0, -30.0, 0.0, 12.0, 45.0, 66.6, 75.0, 90.0])
    fine = 24 * 400
    angle = (np.arange(fine) + 0.5) * 2.0 * np.pi / fine - np.pi
    phi, delta = np.deg2rad(latitude), float(sky.declination(jnp.asarray(day)))
    mu = np.sin(phi) * np.sin(delta) + np.cos(phi) * np.cos(delta) * np.cos(angle)[:, None]
    up = (mu > 0.0).reshape(substeps, -1, latitude.size)
    mu = np.maximum(mu, 0.0).reshape(substeps, -1, latitude.size)
    sun = sky.sunlight(jnp.asarray(latitude), jnp.asarray(day), substeps)
    np.testing.assert_allclose(sun.insolation, mu.mean(1), atol=1e-6)
    lit = up.sum(1)
    long_enough = lit > 40
    expected = mu.sum(1)[long_enough] / lit[long_enough]
    np.testing.assert_allclose(np.asarray(sun.cosine_zenith)[long_enough], expected, atol=5e-3)
    assert np.all(np.asarray(sun.cosine_zenith)[lit == 0] < 1e-3)


def test_the_wave_of_temperature_has_the_mean_of_its_formula():
    time = (np.arange(24 * 600) + 0.5) / 600.0
    gamma = 0.44 - 0.46 * np.sin(np.pi * time / 12.0 + 0.9) + 0.11 * np.sin(np.pi * time / 6.0 + 0.9)
    assert abs(gamma.mean() - 0.44) < 1e-12
    for substeps in (1, 4, 8, 24):
        wave = disaggregation.temperature_wave(substeps)
        np.testing.assert_allclose(wave, gamma.reshape(substeps, -1).mean(1) - 0.44, atol=1e-6)
        assert abs(wave.mean()) < 1e-16
