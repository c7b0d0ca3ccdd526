"""The whole daily step closes water and energy, from any state, in any weather, with both solvers of the rivers."""

from __future__ import annotations

import dataclasses

import coupled
import equinox as eqx
import jax
import numpy as np
import pytest

from chase_jax import constants as const
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.tree import Tree

WATER, ENERGY = 1e-10, 1e-6  # 1 and W m-2, as the documentation promises
WATER_MIXED, ENERGY_MIXED = 1e-5, 0.1  # the same with formulas in single precision; the second is not promised


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory):
    return coupled.demo_model(tmp_path_factory.mktemp("demo"))


UNFINISHED = Jacobi(1800.0, 4, tolerance=np.inf)


def check(model, start, forcing, water, energy, seeds):
    """Steps from disturbed states."""
    step = eqx.filter_jit(lambda state, weather: model.step(state, weather))
    for seed in range(seeds):
        state = coupled.disturbed(start, seed)
        for k in range(2):
            state, fluxes = step(state, coupled.day(forcing, 5 * seed % 28 + k))
            found = fluxes.residuals
            for name in ("land", "glacier", "aquifer", "rivers", "total"):
                assert np.max(getattr(found, name)) < water, (name, seed, k)
            assert np.max(found.energy) < energy, (seed, k)
            given = np.asarray((fluxes.water_yield - fluxes.runoff) * model.domain.cell_area)  # to neighbors
            assert np.abs(given).max() > 0.0
            assert np.abs(given.sum()) <= 1e-10 * np.abs(given).sum(), (seed, k)
            assert all(bool(np.all(np.isfinite(leaf))) for leaf in jax.tree.leaves(state))
            assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves((state, fluxes)))
            for store in (state.water.volume, state.land.soil.water, state.land.soil.puddle, state.land.canopy.water):
                assert np.all(store >= 0.0)
            assert np.all(state.land.snow.layer_water >= 0.0)


def test_water_closes_with_formulas_in_single_precision(demo_model):
    model, start, forcing = demo_model
    options = dataclasses.replace(model.options, precision="mixed")
    model = eqx.tree_at(lambda m: m.options, model, options, is_leaf=lambda x: x is model.options)
    check(model, start, forcing, WATER_MIXED, ENERGY_MIXED, 6)


@pytest.mark.parametrize("reach", [Tree(1800.0), Jacobi(1800.0, 4), pytest.param(UNFINISHED, marks=pytest.mark.slow)])
def test_water_and_energy_close_from_random_states(demo_model, reach):
    model, start, forcing = demo_model
    model = eqx.tree_at(lambda m: m.solvers.reach, model, reach, is_leaf=lambda x: x is model.solvers.reach)
    macropores = 0.3 * (np.arange(model.domain.cells) % 2)  # in every other cell
    model = eqx.tree_at(lambda m: m.parameters.land.exchange.bypass_fraction, model, macropores)
    check(model, start, forcing, WATER, ENERGY, 6)


def test_heat_of_evaporation_that_finds_no_water_warms_the_air(demo_model):
    model, start, forcing = demo_model
    today = coupled.day(forcing, 3)
    parched = eqx.tree_at(
        lambda day: (day.precipitation, day.specific_humidity, day.wind_speed, day.air_temperature),
        today,
        (
            0.0 * today.precipitation,
            0.2 * today.specific_humidity,
            0.0 * today.wind_speed + 10.0,
            today.air_temperature + 10.0,
        ),
    )
    low = eqx.tree_at(
        lambda s: (s.water.volume, s.aquifer.storage), start, (0.1 * start.water.volume, 0.7 * start.aquifer.storage)
    )
    day = model._columns_day(low, parched, model._wet_area(low.water), model.columns()).open_water
    share = model._wet_area(low.water) / model.domain.cell_area
    fluxes = eqx.filter_jit(model.step)(low, parched)[1]
    withheld = np.asarray(day.evaporation * share - fluxes.open_water_evaporation)
    assert np.sum(withheld > 1e-8) > 100  # mm s-1 in cells whose rivers ran dry
    vapor = fluxes.glacier_evaporation + fluxes.open_water_evaporation
    given = fluxes.latent_heat - fluxes.land.latent_heat
    np.testing.assert_allclose(given, vapor * const.LATENT_HEAT_VAPORIZATION, rtol=1e-9, atol=1e-9)
    no_ice = np.asarray(fluxes.glacier_melt + np.abs(fluxes.glacier_evaporation)) == 0.0
    both = np.asarray(fluxes.sensible_heat + fluxes.latent_heat - fluxes.land.sensible_heat - fluxes.land.latent_heat)
    spent = np.asarray(share * (day.sensible_heat + day.evaporation * const.LATENT_HEAT_VAPORIZATION))
    np.testing.assert_allclose(both[no_ice], spent[no_ice], rtol=1e-6, atol=1e-6)
