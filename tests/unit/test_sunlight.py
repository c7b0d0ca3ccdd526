"""Derived light: hand-computed values, limits, energy."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep import sunlight, weather

NO_AIR = 293.0 / 0.0065  # m, where the standard atmosphere ends


def test_sun_positions_give_the_light_above_the_air():
    """The mean cosine over daylight is that of the closed form, from 80 degrees south to 80 north."""
    latitude, day = np.linspace(-80.0, 80.0, 9), np.arange(1, 366, 7)[:, None]
    total = sum(cosine for cosine, _ in sunlight.sun_positions(latitude, day)) / sunlight.INTERVALS
    declination = 0.409 * np.sin(2 * np.pi * day / 365 - 1.39)
    sunset = np.arccos(np.clip(-np.tan(np.deg2rad(latitude)) * np.tan(declination), -1, 1))
    found = weather.SOLAR_CONSTANT * (1 + 0.033 * np.cos(2 * np.pi * day / 365)) * total * sunset / np.pi
    np.testing.assert_allclose(found, weather.extraterrestrial_radiation(latitude, day), rtol=2e-3, atol=1e-3)


def test_the_sun_rises_in_the_east_and_stands_in_the_south_at_noon():
    azimuth = np.array([float(a) for _, a in sunlight.sun_positions(np.array(45.0), np.array(80))])
    assert 85 < azimuth[0] < 100
    assert 260 < azimuth[-1] < 275
    np.testing.assert_allclose(azimuth[:24] + azimuth[:23:-1], 360.0)
    assert 170 < azimuth[23] < 180
    southern = [float(a) for _, a in sunlight.sun_positions(np.array(-45.0), np.array(80))]
    assert southern[23] < 10


def test_air_mass_is_that_of_the_tables():
    """Kasten and Young: 1.994 at 60 degrees, 10.31 at 85 degrees, 38 at the horizon."""
    zenith = np.deg2rad([0.0, 60.0, 85.0])
    np.testing.assert_allclose(sunlight.air_mass(np.cos(zenith)), [1.0, 1.994, 10.31], rtol=1e-3)
    np.testing.assert_allclose(sunlight.air_mass(np.array(1e-9)), 37.9, rtol=0.01)


def test_clear_sky_transmittance_against_a_fine_quadrature():
    day, phi = 172, np.deg2rad(45.0)
    declination = 0.409 * np.sin(2 * np.pi * day / 365 - 1.39)
    angle = np.linspace(0, np.arccos(-np.tan(phi) * np.tan(declination)), 20001)
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    zenith = np.rad2deg(np.arccos(np.clip(cosine, 0, 1)))
    mass = 1 / (np.maximum(cosine, 0) + 0.50572 * (96.07995 - zenith) ** -1.6364)
    pressure = ((293 - 0.0065 * 1800) / 293) ** 5.26  # 81.8 kPa, example 2 of allen1998
    np.testing.assert_allclose(101.3 * pressure, 81.8, atol=0.05)
    expected = np.trapezoid(cosine * 0.87 ** (pressure * mass), angle) / np.trapezoid(cosine, angle)
    dry, moist = (
        sunlight.clear_sky_transmittance(np.array(45.0), np.array(day), np.array(1800.0), np.array(vapor))
        for vapor in (0.0, 1000.0)
    )
    np.testing.assert_allclose(dry, expected, rtol=1e-3)
    np.testing.assert_allclose(dry - moist, 0.061, rtol=1e-12)


def test_cloud_transmittance_by_hand():
    """A steady range of 10 K: B = .031 + .201 e^-1.85 = .06261, 1 - .9 e^(-.06261 x 31.62) = .8757; wet 3/4 of it."""
    spread = np.full(60, 10.0)
    found = sunlight.cloud_transmittance(spread, np.arange(60) % 2 == 0)
    np.testing.assert_allclose(found[1::2], 0.8757, atol=1e-4)
    np.testing.assert_allclose(found[::2], 0.6568, atol=1e-4)
    np.testing.assert_allclose(sunlight.cloud_transmittance(np.zeros(3), np.zeros(3, bool)), 0.1, rtol=1e-12)


def test_clouds_of_rain_by_hand():
    """Dry between dry days .946; e - 1 mm between them .946 e^-.407 = .6297; dry beside one wet day .946 e^-.097."""
    rain = np.array([0.0, 0.0, np.e - 1.0, 0.0, 0.0, 0.0]) / weather.SECONDS_PER_DAY
    found = sunlight.cloud_transmittance_of_rain(rain)
    np.testing.assert_allclose(found, [0.946, 0.8586, 0.6297, 0.8586, 0.946, 0.946], atol=1e-4)
    more = sunlight.cloud_transmittance_of_rain(10.0 * rain)
    assert more[2] < found[2]
    np.testing.assert_array_equal(more[[0, 1, 3, 4, 5]], found[[0, 1, 3, 4, 5]])


def test_without_air_and_cloud_all_light_arrives():
    day = np.arange(1, 366, 10)
    top = weather.extraterrestrial_radiation(np.array(50.0), day)
    nothing = np.zeros(day.size)
    clouds = sunlight.cloud_transmittance(np.full(day.size, 80.0), nothing > 0.0)
    by_range = sunlight.shortwave(clouds, nothing, np.array(50.0), np.array(NO_AIR), day)
    np.testing.assert_allclose(by_range, top, rtol=1e-6)


def test_light_stays_below_that_above_the_air_and_ends_in_the_polar_night():
    latitude, day = np.linspace(-89.0, 89.0, 30), np.arange(1, 367)[:, None]
    draw = np.random.default_rng(0)
    shape = (366, 30)
    spread, rain = draw.uniform(0.0, 35.0, shape), draw.exponential(1e-5, shape) * (draw.random(shape) < 0.4)
    top = weather.extraterrestrial_radiation(latitude, day)
    altitude = draw.uniform(-400.0, 8000.0, 30)
    vapor = draw.uniform(0, 4000, shape)
    for clouds in (sunlight.cloud_transmittance(spread, rain > 0.0), sunlight.cloud_transmittance_of_rain(rain)):
        found = sunlight.shortwave(clouds, vapor, latitude, altitude, day)
        assert np.isfinite(found).all()
        assert (found >= 0.0).all()
        assert (found <= 0.98 * top + 1e-12).all()
        assert (found[top == 0.0] == 0.0).all()


def test_skyline():
    place, day, through = np.array(45.0), np.array([80, 172]), np.array([0.6, 0.6])

    def share(horizon):
        return sunlight.unshaded_share(through, place, np.array(0.0), day, np.asarray(horizon, float))

    np.testing.assert_allclose(share(np.zeros(36)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(share(np.full(36, 90.0)), 0.0, atol=1e-12)
    # A wall in the east takes half of the beam, which is half of the light, and half of the sky.
    wall = np.where(np.arange(360) < 180, 90.0, 0.0)
    np.testing.assert_allclose(share(wall), 0.5, atol=0.01)
    # Behind 30 degrees to the north nothing but sky is lost.
    north = np.where(np.cos(np.deg2rad(np.arange(0, 360, 10))) > 0.8, 30.0, 0.0)
    np.testing.assert_allclose(share(north)[0], 0.5 + 0.5 * np.mean(np.cos(np.deg2rad(north)) ** 2), rtol=1e-12)


def test_running_mean():
    np.testing.assert_allclose(sunlight.running_mean(np.array([1.0, 2.0, 3.0, 7.0]), 3), [1.5, 2.0, 4.0, 5.0])
    series = np.random.default_rng(0).random((50, 2))
    np.testing.assert_allclose(sunlight.running_mean(series, 31)[20], series[5:36].mean(0), rtol=1e-12)


@pytest.mark.parametrize("days", [1, 5])
def test_short_series(days):
    dry = np.zeros(days)
    for clouds in (sunlight.cloud_transmittance(dry + 9.0, dry > 0.0), sunlight.cloud_transmittance_of_rain(dry)):
        found = sunlight.shortwave(clouds, dry + 900.0, np.array(40.0), np.array(300.0), np.arange(days) + 1)
        assert found.shape == (days,)
        assert (found > 50).all()
