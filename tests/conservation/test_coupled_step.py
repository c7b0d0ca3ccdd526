"""The whole daily step closes water and energy, from any state, in any weather, with both solvers of the rivers."""

from __future__ import annotations

import coupled
import equinox as eqx
import jax
import numpy as np
import pytest

from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.tree import Tree

WATER, ENERGY = 1e-10, 1e-6  # 1 and W m-2, as the documentation promises


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory):
    return coupled.demo_model(tmp_path_factory.mktemp("demo"))


UNFINISHED = Jacobi(1800.0, 4, tolerance=np.inf)


@pytest.mark.parametrize("reach", [Tree(1800.0), Jacobi(1800.0, 4), pytest.param(UNFINISHED, marks=pytest.mark.slow)])
def test_water_and_energy_close_from_random_states(demo_model, reach):
    model, start, forcing = demo_model
    model = eqx.tree_at(lambda m: m.solvers.reach, model, reach, is_leaf=lambda x: x is model.solvers.reach)
    macropores = 0.3 * (np.arange(model.domain.cells) % 2)  # in every other cell
    model = eqx.tree_at(lambda m: m.parameters.land.exchange.bypass_fraction, model, macropores)
    step = eqx.filter_jit(lambda state, weather: model.step(state, weather))
    for seed in range(6):
        state = coupled.disturbed(start, seed)
        for k in range(2):
            state, fluxes = step(state, coupled.day(forcing, 5 * seed % 28 + k))
            found = fluxes.residuals
            for name in ("land", "glacier", "aquifer", "rivers", "total"):
                assert np.max(getattr(found, name)) < WATER, (name, seed, k)
            assert np.max(found.energy) < ENERGY, (seed, k)
            assert all(bool(np.all(np.isfinite(leaf))) for leaf in jax.tree.leaves(state))
            assert np.all(state.water.volume >= 0.0)
            assert np.all(state.land.soil.water >= 0.0)
