"""Light in one layer against the matrix exponential of its differential equations, and against limits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from chase_jax.physics import two_stream

UPPER = two_stream.Leaves((0.10, 0.40), (0.05, 0.20), 0.0)
LOWER = two_stream.Leaves((0.10, 0.60), (0.07, 0.25), 0.5)

# Beyond an optical depth of 30 the growing solution spoils the reference, not the formula.
CASES = [(area, mu) for area in (1e-6, 0.1, 1.0, 3.0, 6.0) for mu in (0.05, 0.3, 0.6, 1.0) if area / mu <= 30.0]


def through(leaves, area, mu, albedo_direct, albedo_diffuse, snow=0.0, band=1):
    """Reflectance of direct and diffuse light, what arrives below of each, and the unscattered beam."""
    one = lambda value: jnp.full(1, float(value))  # noqa: E731
    layer = two_stream.layer_optics(leaves, one(area), one(0.0), one(snow))
    beam = two_stream.beam_through(leaves, layer.area, layer.bands[band], one(mu))
    covered = two_stream.over(beam, layer.bands[band], one(albedo_direct), one(albedo_diffuse))
    keys = "reflected_direct", "reflected_diffuse", "below_direct", "below_diffuse", "beam"
    return np.array([float(getattr(covered, key)[0]) for key in keys])


def boundary_value_solution(leaves, area, mu, albedo_direct, albedo_diffuse, band=1):
    """The same from the transfer matrix of (down, up, beam) and a linear solve for the upward flux at the top."""
    rho, tau, vertical = leaves.reflectance[band], leaves.transmittance[band], leaves.vertical_share
    random = 1.0 - vertical
    omega = rho + tau
    back_beam = 0.5 * omega * vertical + ((0.5 + mu / 3.0) * rho + (0.5 - mu / 3.0) * tau) * random
    back = 0.5 * omega * vertical + (2.0 / 3.0 * rho + 1.0 / 3.0 * tau) * random
    k = (vertical * 2.0 / np.pi * np.sqrt(1.0 - mu * mu) + 0.5 * random) / mu
    b = 1.0 - omega + back
    rate = np.array([[-b, back, (omega - back_beam) * k], [-back, b, -back_beam * k], [0.0, 0.0, -k]])
    transfer = expm(rate * area)
    result = []
    for down, beam in ((0.0, 1.0), (1.0, 0.0)):
        known, unit = transfer @ [down, 0.0, beam], transfer @ [0.0, 1.0, 0.0]
        # up(L) = albedo_direct beam(L) + albedo_diffuse down(L), linear in up(0)
        up = (albedo_direct * known[2] + albedo_diffuse * known[0] - known[1]) / (unit[1] - albedo_diffuse * unit[0])
        result.append((up, (known + up * unit)[0], known[2]))
    (a, c, s), (d, e, _) = result
    return np.array([a, d, c, e, s])


@pytest.mark.parametrize("leaves", [UPPER, LOWER], ids=["random", "half vertical"])
@pytest.mark.parametrize(("area", "mu"), CASES)
@pytest.mark.parametrize("band", [0, 1])
def test_against_the_boundary_value_problem(leaves, area, mu, band):
    for albedos in ((0.0, 0.0), (0.2, 0.2), (0.95, 0.8)):
        expected = boundary_value_solution(leaves, area, mu, *albedos, band=band)
        np.testing.assert_allclose(through(leaves, area, mu, *albedos, band=band), expected, rtol=1e-9, atol=1e-10)


def test_the_published_example():
    leaves = two_stream.Leaves((0.4, 0.4), (0.2, 0.2), 0.0)
    found = through(leaves, 3.0, 0.6, 0.2, 0.2)
    np.testing.assert_allclose(found[[0, 2, 4]], [0.2248097, 0.0938509, 0.0820850], atol=5e-8)


@pytest.mark.parametrize("offset", [0.0, 1e-12, -1e-9, 1e-6, 3e-4, -3.4e-4, 1e-3])
def test_the_removable_singularity(offset):
    """Where K = q the particular solution is singular, the layer is not."""
    area = 3.0
    layer = two_stream.layer_optics(UPPER, jnp.full(1, area), jnp.zeros(1))
    mu = 0.5 / (float(layer.bands[0].decay[0]) + offset)
    expected = boundary_value_solution(UPPER, area, mu, 0.2, 0.2, band=0)
    np.testing.assert_allclose(through(UPPER, area, mu, 0.2, 0.2, band=0), expected, rtol=1e-10)


def test_white_leaves_over_white_ground_absorb_nothing():
    white = two_stream.Leaves((0.6999999, 0.6999999), (0.3, 0.3), 0.0)
    for mu in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(through(white, 2.0, mu, 1.0, 1.0)[:2], 1.0, atol=1e-5)


def test_no_leaves_leave_the_ground_as_it_is():
    np.testing.assert_allclose(through(LOWER, 0.0, 0.4, 0.3, 0.2), [0.3, 0.2, 0.0, 1.0, 1.0], atol=1e-15)


def test_thick_canopy_forgets_the_ground():
    dark, bright = through(UPPER, 60.0, 0.5, 0.0, 0.0), through(UPPER, 60.0, 0.5, 0.9, 0.9)
    np.testing.assert_allclose(dark, bright, atol=1e-9)
    assert np.all(dark[2:] < 1e-9)


def test_the_sun_at_the_horizon_is_finite():
    assert np.all(np.isfinite(through(UPPER, 5.0, 0.0, 0.2, 0.2)))
    assert np.all(np.isfinite(through(LOWER, 5.0, 1.0, 0.2, 0.2)))
