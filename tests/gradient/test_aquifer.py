"""Derivatives of aquifer and seepage, over several steps, and finite where stores are dry, full, level or still."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import directional_check
from valley import valley

from chase_jax.physics import groundwater, seepage, soil_hydraulics

DAY = 86400.0
DOMAIN = valley()
SOLVERS = [groundwater.Explicit(), groundwater.Implicit()]


def after_steps(parameters, storage, solver, steps=4):
    """A scalar of the stores and fluxes of several steps; every fifth cell lies on a coast."""
    faces = DOMAIN.faces
    coast = groundwater.Coast(jnp.arange(DOMAIN.cells) % 5 == 0, jnp.linspace(1.0, 20.0, DOMAIN.cells))

    def advance(state, _):
        state, fluxes = groundwater.step(
            parameters, state, faces.edges, faces.surface_fall, DOMAIN.cell_area, 30.0 * DAY, solver, coast
        )
        return state, jnp.sum(fluxes.lateral**2 + fluxes.to_sea.sum() ** 2) + 1e8 * jnp.sum(fluxes.exfiltration)

    state, sums = jax.lax.scan(advance, groundwater.State(storage), None, length=steps)
    return jnp.sum(sums) + jnp.sum(jnp.sin(jnp.arange(storage.size)) * state.storage)


slopes = jax.jit(jax.grad(after_steps, (0, 1)))


def aquifer(seed=0):
    rng = np.random.default_rng(seed)
    return groundwater.Parameters(
        jnp.asarray(10.0 ** rng.uniform(-6.0, -5.0, DOMAIN.cells)),
        jnp.asarray(rng.uniform(0.05, 0.2, DOMAIN.cells)),
        jnp.asarray(rng.uniform(30.0, 60.0, DOMAIN.cells)),
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_lateral_flow(solver):
    parameters = aquifer()
    storage = parameters.specific_yield * parameters.thickness * jnp.linspace(0.2, 0.8, DOMAIN.cells)
    error = directional_check(jax.jit(lambda given: after_steps(*given, solver)), (parameters, storage))
    assert error < 1e-5


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("share", [0.0, 1e-12, 1.0, 1.5])
def test_dry_and_overflowing_aquifers_have_finite_derivatives(solver, share):
    parameters = aquifer()
    gradient = slopes(parameters, share * groundwater.capacity(parameters), solver)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("solver", SOLVERS)
def test_level_tables_and_impervious_rock_have_finite_derivatives(solver):
    parameters = groundwater.Parameters(*(jnp.full(DOMAIN.cells, value) for value in (0.0, 0.1, 500.0)))
    depth = DOMAIN.surface_altitude - DOMAIN.surface_altitude.min() + 5.0
    gradient = slopes(parameters, groundwater.storage_at_depth(parameters, depth), solver)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(gradient))
    assert float(jnp.abs(gradient[1]).max()) > 0.0


def seep(conductance, doubling, storage, volume):
    """Sum over three steps with cells that gain, lose, are dry, full or cut off."""
    wet, area = 2e4, 1e6
    bed = jnp.array([10.0, 10.0, 1.0, 3.0, 10.0, 2.0])
    total = 0.0
    for _ in range(3):
        table = soil_hydraulics.water_table(storage, jnp.full(6, 50.0), jnp.full(6, 0.1))
        flow = seepage.discharge(
            seepage.Parameters(conductance, doubling),
            storage,
            soil_hydraulics.mean_storage_coefficient(jnp.full(6, 0.1), table.depth, bed - volume / wet),
            table.depth,
            bed,
            volume / wet,
            volume,
            jnp.full(6, wet),
            jnp.full(6, area),
            DAY,
        )
        storage, volume = storage - flow * DAY / area, volume + flow * DAY
        total = total + jnp.sum(flow * jnp.arange(1.0, 7.0))
    return total + jnp.sum(storage) + 1e-6 * jnp.sum(volume**2) / wet


seep_slopes = jax.jit(jax.grad(seep, (0, 1, 2, 3)))
STORAGE = jnp.array([4.8, 4.0, 5.005, 4.9, 0.5, 5.012])
VOLUME = jnp.array([1e4, 3e4, 5e3, 4e4, 2e4, 1e3])


def test_seepage():
    given = jnp.full(6, 1e-6), jnp.full(6, 0.05), STORAGE, VOLUME
    error = directional_check(jax.jit(lambda given: seep(*given)), given)
    assert error < 1e-5


@pytest.mark.parametrize("conductance", [0.0, 1e-6, 1e-2])
@pytest.mark.parametrize("doubling", [1e-3, 0.045, 1e30])
@pytest.mark.parametrize(("wet", "full"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_seepage_between_empty_stores_has_finite_derivatives(conductance, doubling, wet, full):
    gradient = seep_slopes(jnp.full(6, conductance), jnp.full(6, doubling), full * STORAGE, wet * VOLUME)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in gradient)
