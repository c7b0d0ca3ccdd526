"""How readily surfaces give off vapor: limits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.physics import evaporation, vegetation
from chase_jax.physics.disaggregation import Storm


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


def test_litter_holds_vapor_back_under_plants_only():
    """Half a square metre of it in air of 0.4 m s-1: (1 - e^-0.5) / 0.0016 = 245.9 s m-1."""
    np.testing.assert_allclose(evaporation.litter_resistance(1.0, 0.4), 245.9, atol=0.1)
    assert evaporation.litter_resistance(0.0, 0.4) == 0.0
    assert evaporation.litter_resistance(0.5, 0.4) < evaporation.litter_resistance(1.0, 0.3)
    share = evaporation.through_litter(jnp.array([0.0, 0.5, 1.0]), 200.0, 0.01)
    np.testing.assert_allclose(share, [0.0, 0.25, 1.0 / 3.0])  # 1/0.5 + 2 and 1 + 2 times the resistance of the air


def integrated(before, gained, demand, storm, steps):
    """Mean share filled, weighted with demand, and the share at the end, by many explicit steps of the equation."""
    first, during, less = (0.0, 1.0, 1.0) if storm is None else storm
    filled, carried = before, 0.0
    for k in range(steps):
        rains = first <= (k + 0.5) / steps < first + during
        rate = demand * (less if rains else 1.0) / (1.0 - during * (1.0 - less))
        gain = gained / during if rains else 0.0
        middle = min(filled + 0.5 / steps * (gain - rate * filled), 1.0)
        carried += rate * middle / steps
        filled = min(filled + (gain - rate * middle) / steps, 1.0)
    return carried / demand, filled


@pytest.mark.parametrize(
    ("before", "gained", "demand"),
    [(0.0, 0.5, 0.3), (0.0, 3.0, 0.5), (1.0, 0.0, 4.0), (0.4, 0.0, 0.05), (0.7, 2.0, 1.9), (0.2, 5.0, 30.0)],
)
@pytest.mark.parametrize("storm", [None, (0.3, 0.5, 0.3), (0.0, 0.4, 0.5)])
def test_filling_is_the_solution_of_its_equation(before, gained, demand, storm):
    given = None if storm is None else Storm(*(jnp.asarray(value) for value in storm))
    found, _ = evaporation.filling(*(jnp.asarray(value) for value in (before, gained, demand)), given)
    np.testing.assert_allclose(found, integrated(before, gained, demand, storm, 20_000)[0], rtol=5e-4)


@pytest.mark.parametrize("demand", [0.05, 1.9, 30.0])
@pytest.mark.parametrize("storm", [None, (0.3, 0.5, 0.3), (0.0, 0.4, 0.5), (0.4, 0.6, 0.3)])
def test_leaves_full_at_the_end_of_rain_dry_until_the_end_of_the_step(demand, storm):
    given = None if storm is None else Storm(*(jnp.asarray(value) for value in storm))
    _, left = evaporation.filling(jnp.asarray(0.7), jnp.asarray(100.0), jnp.asarray(demand), given)
    np.testing.assert_allclose(left, integrated(0.7, 100.0, demand, storm, 20_000)[1], rtol=5e-3)


def test_no_more_evaporates_than_leaves_hold_and_catch():
    before, gained, demand = jnp.meshgrid(
        jnp.linspace(0.0, 1.0, 5), jnp.array([0.0, 0.1, 1.0, 10.0]), 10.0 ** jnp.linspace(-9.0, 4.0, 27)
    )
    filled, left = evaporation.filling(before, gained, demand)
    assert np.all(demand * filled <= (before + gained) * (1.0 + 1e-9))
    assert np.all((filled >= 0.0) & (filled <= 1.0))
    assert np.all(left == 1.0)  # it rains to the end
    np.testing.assert_allclose(evaporation.filling(jnp.ones(1), jnp.ones(1), jnp.zeros(1))[0], 1.0)


def test_limit_to_store_turns_the_cut_into_sensible_heat():
    realised, heat = evaporation.limit_to_store(jnp.array([1e-4, 1e-5, -1e-5]), jnp.full(3, 0.1), 2.5e6, 1e5, 1e4)
    np.testing.assert_allclose(realised, [1e-5, 1e-5, -1e-5])
    np.testing.assert_allclose(heat, [9e-5 * 2.4e6, 0.0, 0.0])


def test_dew_switch():
    np.testing.assert_allclose(evaporation.dew_share(jnp.array([-1e-2, 0.0, 1e-2])), [1.0, 0.5, 0.0], atol=1e-5)
