"""The lake that a river's flood flows back into, as the experiment prints it."""

from __future__ import annotations

import dataclasses

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.model import surface_water
from chase_jax.numerics.krylov import ConjugateGradient
from chase_jax.numerics.tree import Tree


@pytest.fixture(scope="module")
def experiment():
    return helpers.experiment("backwater")


@pytest.mark.slow
def test_the_flow_turns_back_and_drains_and_no_water_is_lost(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = experiment.main()
    back = np.flatnonzero(table.mouth_discharge < 0.0)
    assert 10 <= back[back > 5].size <= 40
    assert table.mouth_discharge.iloc[back[-1] + 1 :].min() > 0.0
    turned, drains = table.mouth_discharge.idxmin(), table.mouth_discharge.idxmax()
    assert turned < table.lake_level_north.idxmax() < drains
    assert table.river_level[turned] > table.lake_level_north[turned] > table.lake_level_south[turned]
    assert table.river_level[drains] < table.lake_level_north[drains] < table.lake_level_south[drains]
    closure = float(capsys.readouterr().out.split("in less out, ")[1].split(" of what moved")[0])
    assert closure < 1e-12
    assert (tmp_path / "runs" / "backwater" / "backwater.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_tolerance_of_lakes_keeps_gradients_to_1e_5(experiment):
    """Two days of the flood that fills the lake; a hundred times the tolerance would show."""
    case = experiment.build()
    day = np.arange(40) + 0.5
    inflow = np.stack([experiment.flood(day, *both) for both in (experiment.RIVER, experiment.INFLOW)], axis=1)
    volume = jnp.asarray(experiment.run(case, inflow)[0][-1])
    lateral = jnp.zeros(case.domain.cells).at[jnp.array([case.source, case.tributary])].set(inflow[-1])

    def gradient(solver):
        def mouth(roughness, volume):
            parameters = dataclasses.replace(case.parameters, manning_roughness=roughness)
            state = surface_water.State(volume)
            fluxes = surface_water.step(parameters, case.geometry, state, lateral, 2 * 86400.0, Tree(3600.0), solver)[1]
            return fluxes.discharge[case.mouth]

        return jax.jit(jax.grad(mouth, (0, 1)))(case.parameters.manning_roughness, volume)

    def error(found, expected):
        return max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in zip(found, expected, strict=True))

    exact = gradient(ConjugateGradient(tolerance=1e-14, max_steps=5000))
    assert error(gradient(surface_water.LAKE_SOLVER), exact) < 1e-8
    loose = error(gradient(ConjugateGradient(tolerance=1e-4)), exact)
    assert 1e-5 < loose < 1e-2
