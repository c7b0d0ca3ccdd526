"""How readily surfaces give off vapor: limits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from chase_jax.physics import evaporation, vegetation


def test_dark_leaves_nearly_close_and_bright_leaves_open():
    p = vegetation.from_class(np.array([11]))
    one = jnp.ones(1)
    night = evaporation.light_conductance(0.0 * one, 4.0 * one, p, one)
    day = evaporation.light_conductance(1e5 * one, 4.0 * one, p, one)
    np.testing.assert_allclose(night, 1.0 / 5000.0, rtol=1e-12)
    np.testing.assert_allclose(day, 1.0 / p.minimum_stomatal_resistance, rtol=1e-2)
    assert evaporation.light_conductance(1e3 * one, 0.0 * one, p, one) == night  # no leaves: regular, not bright
    assert evaporation.light_conductance(1e3 * one, 4.0 * one, p, 0.0 * one) == 0.0


def test_stomata_like_it_warm_and_humid():
    response = evaporation.climate_response
    assert response(298.0, 0.0, 50.0) == 1.0
    assert response(298.0, -0.01, 50.0) == 1.0
    np.testing.assert_allclose(response(298.0, 0.02, 50.0), 0.5)
    np.testing.assert_allclose(response(200.0, 0.0, 50.0), 0.01)
    assert response(288.0, 0.0, 50.0) < response(293.0, 0.0, 50.0) < 1.0


def test_soil_share_spans_zero_to_one_and_lies_below_the_wetness():
    wetness = jnp.linspace(0.0, 1.0, 11)
    share = evaporation.soil_share(wetness, 0.7e-3, 290.0, 0.01)
    assert share[0] == 0.0
    assert share[-1] == 1.0
    assert np.all(np.diff(share) > 0.0)
    assert np.all(share <= wetness)


def test_wet_leaves_cannot_lose_more_than_they_hold():
    demand = jnp.array([0.0, 1e-3, 1.0, 1e3])
    share = evaporation.drying_share(0.5, demand, 0.1)
    lost = demand * share / 0.5
    assert np.all(lost < 0.1 * (1.0 + 1e-6))
    assert share[0] == 0.5


def test_limit_to_store_turns_the_cut_into_sensible_heat():
    realised, heat = evaporation.limit_to_store(jnp.array([1e-4, 1e-5, -1e-5]), jnp.full(3, 0.1), 2.5e6, 1e5, 1e4)
    np.testing.assert_allclose(realised, [1e-5, 1e-5, -1e-5])
    np.testing.assert_allclose(heat, [9e-5 * 2.4e6, 0.0, 0.0])


def test_dew_switch():
    np.testing.assert_allclose(evaporation.dew_share(jnp.array([-1e-2, 0.0, 1e-2])), [1.0, 0.5, 0.0], atol=1e-5)
