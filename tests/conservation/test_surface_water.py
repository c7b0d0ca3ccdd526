import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waters import random_river, valley

from chase_jax.model import surface_water
from chase_jax.numerics.jacobi import Jacobi, Stiff
from chase_jax.numerics.tree import Tree

STEP = 900.0


def check(geometry, parameters, areas, solver, seeds=25):
    """Mass to rounding and no negative volume from random volumes, a third of them zero, and random sources."""
    route = jax.jit(
        lambda volume, source: surface_water.step(
            parameters, geometry, surface_water.State(volume), source, solver.time_step, solver
        )
    )
    cells = len(areas)
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        volume = areas * generator.exponential(2.0, cells) * (generator.random(cells) > 0.35)
        source = generator.normal(0.0, 50.0, cells)
        state, fluxes = route(jnp.asarray(volume), jnp.asarray(source))
        gained = solver.time_step * (source.sum() + fluxes.unmet_loss.sum() - fluxes.outflow.sum())
        scale = max(volume.sum(), solver.time_step * np.abs(source).sum())
        assert abs(state.volume.sum() - volume.sum() - gained) < 1e-12 * scale
        assert state.volume.min() >= 0.0
        assert (fluxes.outflow >= 0.0).all() or geometry.network.tidal.any()
        assert (fluxes.unmet_loss >= 0.0).all()
        links = geometry.network.links
        if geometry.lake is None:  # cell by cell
            inflow = links.sum_children(jnp.where(links.linked, fluxes.discharge, 0.0))
            change = solver.time_step * (source + fluxes.unmet_loss + inflow - fluxes.discharge)
            np.testing.assert_allclose(state.volume - volume, change, atol=1e-12 * scale)


@pytest.mark.parametrize("sweeps", [1, 2, 7])
def test_sweeps_conserve_water_however_few(sweeps):
    geometry, parameters = random_river()
    check(geometry, parameters, np.full(60, 1e5), Jacobi(STEP, sweeps, tolerance=np.inf))


def test_stiff_reaches_among_sweeps_conserve_water():
    geometry, parameters = random_river(seed=6)
    stiff = Stiff.of(geometry.network.links, np.arange(60) % 7 < 3)
    assert int(stiff.within.sum()) > 5
    check(geometry, parameters, np.full(60, 1e5), Jacobi(STEP, 2, tolerance=np.inf, stiff=stiff))


@pytest.mark.parametrize("length", [STEP, 86400.0])
def test_tree_conserves_water(length):
    geometry, parameters = random_river(seed=2, steep=3.0)
    check(geometry, parameters, np.full(60, 1e5), Tree(length))


def test_iterated_tree_conserves_water():
    geometry, parameters = random_river(seed=3)
    check(geometry, parameters, np.full(60, 1e5), Tree(STEP, 4))


@pytest.mark.parametrize("solver", [Tree(STEP), Jacobi(STEP, 4), Jacobi(STEP, 4, tolerance=np.inf), Tree(86400.0)])
def test_lake_and_river_conserve_water(solver):
    geometry, parameters, _, lake = valley(seed=1, roughness_of_bed=4.0)
    check(geometry, parameters, np.where(lake, 1e6, 6e4), solver)


@pytest.mark.parametrize("solver", [Tree(STEP), Jacobi(STEP, 3, tolerance=np.inf), Tree(86400.0)])
@pytest.mark.parametrize("sea", [-1.0, 0.0, 3.0])
def test_rivers_and_the_sea_exchange_water(solver, sea):
    geometry, parameters = random_river(seed=4, sea=sea)
    assert geometry.network.tidal.sum() > 1
    check(geometry, parameters, np.full(60, 1e5), solver)


def test_a_loss_is_met_only_as_far_as_there_is_water():
    geometry, parameters = random_river()
    volume, loss = jnp.full(60, 9e3), jnp.full(60, -20.0)
    state, fluxes = surface_water.step(parameters, geometry, surface_water.State(volume), loss, STEP, Tree(STEP))
    np.testing.assert_allclose(fluxes.unmet_loss, 10.0, rtol=1e-10)
    assert state.volume.max() < 1e-8
