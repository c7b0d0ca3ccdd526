"""Derivatives of weather at another altitude."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax.test_util import check_grads

from chase_jax.physics import elevation, sky

HERE = elevation.Weather(jnp.full(3, 285.0), jnp.full(3, 7e-3), jnp.full(3, 9e4))


@pytest.mark.parametrize("clearness", [0.75, 0.3])
def test_derivatives_are_those_of_differences(clearness):
    longwave = 1.01 * sky.sky_longwave(*HERE[:3], jnp.full(3, clearness))
    rise = jnp.array([700.0, 0.0, -300.0])

    def of(values, rate):
        scale = jnp.array([285.0, 7e-3, 9e4, 300.0])[:, None]
        found = jnp.stack(elevation.moved(elevation.Weather(*(scale * values)), rise, rate * 1e-3))
        return found / scale

    values = jnp.stack([HERE.temperature / 285.0, HERE.humidity / 7e-3, HERE.pressure / 9e4, longwave / 300.0])
    check_grads(jax.jit(of), (values, 6.5), order=1, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)
