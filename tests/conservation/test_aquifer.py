"""Water of aquifer and seepage closes in every cell, and no store runs below zero, from any state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import relative_residual
from valley import valley, valley_fields

from chase_jax.domain.domain import build
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from chase_jax.physics import groundwater, seepage

DAY = 86400.0
DOMAIN = valley(16, seed=5)


def random_aquifer(seed):
    """Aquifers between clay and karst; storages from dry to above the surface."""
    rng = np.random.default_rng(seed)
    cells = DOMAIN.cells
    parameters = groundwater.Parameters(
        conductivity=jnp.asarray(10.0 ** rng.uniform(-9.0, -2.0, cells)),
        specific_yield=jnp.asarray(rng.uniform(0.01, 0.3, cells)),
        thickness=jnp.asarray(rng.uniform(1.0, 200.0, cells)),
    )
    share = np.clip(rng.uniform(-0.3, 1.2, cells), 0.0, None)
    return parameters, groundwater.State(groundwater.capacity(parameters) * share)


@pytest.mark.parametrize("sea", [None, 5.0])
@pytest.mark.parametrize("solver", [groundwater.Explicit(), groundwater.Explicit(3), groundwater.Implicit()])
def test_the_aquifer_closes(solver, sea):
    faces = DOMAIN.faces
    coast = None if sea is None else groundwater.Coast(jnp.arange(DOMAIN.cells) % 5 == 0, jnp.full(DOMAIN.cells, sea))

    @jax.jit
    def advance(parameters, state):
        return groundwater.step(
            parameters, state, faces.edges, faces.surface_fall, DOMAIN.cell_area, DAY, solver, coast
        )

    for seed in range(25):
        parameters, state = random_aquifer(seed)
        for _ in range(3):
            after, fluxes = advance(parameters, state)
            moved = faces.edges.divergence(fluxes.lateral) + fluxes.to_sea
            large = faces.edges.total(jnp.abs(fluxes.lateral)) + jnp.abs(fluxes.to_sea)
            out, size = (DAY * np.asarray(x / DOMAIN.cell_area + fluxes.exfiltration) for x in (moved, large))
            change = np.asarray(after.storage - state.storage)
            # A store of 60 m is itself known to 1e-14 m only.
            assert relative_residual(1000.0 * change, -1000.0 * out, 1000.0 * size) < 1e-11
            area = np.asarray(DOMAIN.cell_area)
            lost = np.sum(area * (change + DAY * np.asarray(fluxes.exfiltration)) + DAY * np.asarray(fluxes.to_sea))
            assert bool(jnp.any(fluxes.to_sea != 0.0)) == (sea is not None)
            assert abs(lost) < 1e-12 * np.sum(area * np.asarray(state.storage))
            assert float(after.storage.min()) >= 0.0
            assert bool(jnp.all(after.storage <= groundwater.capacity(parameters) * (1.0 + 1e-14)))
            state = after


def test_an_unfinished_solve_still_closes():
    """Fluxes move the water whatever head the solver proposes."""
    solver = groundwater.Implicit(linear=groundwater.ConjugateGradient(max_steps=1))
    parameters, state = random_aquifer(0)
    faces = DOMAIN.faces
    after, fluxes = groundwater.step(parameters, state, faces.edges, faces.surface_fall, DOMAIN.cell_area, DAY, solver)
    assert float(fluxes.report.residual) > 1e-6
    out = DAY * (faces.edges.divergence(fluxes.lateral) / DOMAIN.cell_area + fluxes.exfiltration)
    np.testing.assert_allclose(after.storage - state.storage, -out, atol=1e-12)
    assert float(after.storage.min()) >= 0.0


def test_waters_of_a_coast_close():
    """Aquifer, rivers and lake of a valley that ends at the sea, which stands above its water table in some cells."""
    fields, grid = valley_fields(14, seed=2)
    altitude = fields["surface_altitude"]
    fields["sea_level_altitude"] = np.where(np.indices((14, 14))[0] == 13, altitude[-1].mean() - 3.0, np.nan)
    domain = build(fields, grid)
    assert 10 < int(domain.coast.sum()) < 15
    model = Chase.default(domain)
    state = initial_state(model)
    aquifer, water = state.aquifer, state.water
    none, area = jnp.zeros(domain.cells), domain.cell_area
    runoff = 0.05 * jnp.ones((8, domain.cells))
    assert bool(model.geometry.network.tidal.any())
    advance = jax.jit(lambda model, *given: model.waters(*given))
    for _ in range(5):
        done = advance(model, aquifer, water, runoff, none, none)
        before, after = (
            float((a.storage * area).sum() + w.volume.sum()) for a, w in ((aquifer, water), (done.aquifer, done.water))
        )
        gained = DAY * float(runoff[0].sum() - done.outflow.sum() - done.ground.to_sea.sum())
        assert abs(after - before - gained) < 1e-12 * before
        assert float(done.ground.to_sea.min()) < 0.0 < float(done.ground.to_sea.max())
        aquifer, water = done.aquifer, done.water


def test_aquifer_and_river_together_keep_their_water():
    rng = np.random.default_rng(1)
    cells, area = 5000, 1e6
    storage = jnp.asarray(rng.exponential(2.0, cells) * (rng.random(cells) < 0.8))
    wet = jnp.asarray(10.0 ** rng.uniform(3.0, 6.0, cells))
    depth = jnp.asarray(rng.exponential(1.0, cells) * (rng.random(cells) < 0.8))
    flow = seepage.discharge(
        seepage.Parameters(
            jnp.asarray(10.0 ** rng.uniform(-9.0, -3.0, cells)),
            jnp.asarray(rng.choice([1e-4, 0.045, np.inf], cells)),
        ),
        storage,
        jnp.asarray(rng.choice([0.005, 0.1], cells)),
        jnp.asarray(rng.uniform(-1.0, 60.0, cells)),
        jnp.asarray(rng.uniform(0.0, 20.0, cells)),
        depth,
        depth * wet,
        wet,
        jnp.full(cells, area),
        DAY,
    )
    aquifer, river = storage - flow * DAY / area, depth * wet + flow * DAY
    assert float(flow.max()) > 0.0 > float(flow.min())
    tiny = 1e-15
    assert float(aquifer.min()) >= -tiny * float(storage.max())
    assert bool(jnp.all(river >= -tiny * depth * wet))
    np.testing.assert_allclose(aquifer * area + river, storage * area + depth * wet, rtol=1e-13, atol=1e-9)
