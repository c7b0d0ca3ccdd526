import jax
import jax.numpy as jnp
import numpy as np
import pytest
from valley import valley

from chase_jax.numerics.graph import EdgeList
from chase_jax.physics import groundwater, soil_hydraulics

DAY = 86400.0
SOLVERS = [groundwater.Explicit(), groundwater.Implicit()]
step = jax.jit(groundwater.step)


def aquifer(cells, conductivity=1e-4, specific_yield=0.1, thickness=50.0):
    return groundwater.Parameters(*(jnp.full(cells, value) for value in (conductivity, specific_yield, thickness)))


def pair(fall, storage, solver, dt=DAY, **given):
    """Two cells; the surface of the first lies `fall` above that of the second."""
    edges = EdgeList(jnp.array([0]), jnp.array([1]), 2)
    state = groundwater.State(jnp.asarray(storage))
    area = jnp.full(2, 1e6)
    return step(aquifer(2, **given), state, edges, jnp.array([fall]), area, dt, solver)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_level_water_table_stays_under_any_terrain(solver):
    domain = valley()
    parameters = aquifer(domain.cells, thickness=500.0)
    lowest = float(domain.surface_altitude.min())
    depth = domain.surface_altitude - (lowest - 5.0)
    state = groundwater.State(groundwater.storage_at_depth(parameters, depth))
    after, fluxes = step(
        parameters, state, domain.faces.edges, domain.faces.surface_fall, domain.cell_area, DAY, solver
    )
    np.testing.assert_allclose(after.storage, state.storage, rtol=0, atol=1e-12)
    assert float(jnp.abs(fluxes.lateral).max()) < 1e-10


def test_storage_and_depth_are_inverse():
    parameters = aquifer(7)
    depth = jnp.array([-1.0, 0.0, 1.0, 2.5, 3.0, 20.0, 52.5])
    table = soil_hydraulics.water_table(
        groundwater.storage_at_depth(parameters, depth), parameters.thickness, parameters.specific_yield
    )
    np.testing.assert_allclose(table.depth, depth, atol=1e-12)
    assert float(groundwater.storage_at_depth(parameters, jnp.full(7, 99.0)).max()) == 0.0
    np.testing.assert_allclose(groundwater.capacity(parameters), groundwater.storage_at_depth(parameters, jnp.zeros(7)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_flow_is_darcy_across_the_face(solver):
    _, fluxes = pair(10.0, [2.0, 2.0], solver, dt=1.0)
    assert float(fluxes.lateral[0]) == pytest.approx(1e-4 * 20.0 * 10.0, rel=3e-3)
    _, back = pair(-10.0, [2.0, 2.0], solver, dt=1.0)
    assert float(back.lateral[0]) == pytest.approx(-float(fluxes.lateral[0]), rel=1e-12)


def test_a_dry_cell_on_a_steep_base_gives_nothing_and_can_be_filled_from_above():
    _, dry = pair(300.0, [0.0, 4.0], groundwater.Explicit())
    assert float(dry.lateral[0]) == 0.0
    after, wet = pair(300.0, [4.0, 0.0], groundwater.Explicit())
    assert float(wet.lateral[0]) == pytest.approx(1e-4 * 20.0 * 340.0, rel=1e-2)  # mean of 40 m and 0
    assert float(after.storage.min()) >= 0.0


def test_conductivity_of_a_face_is_the_harmonic_mean():
    edges = EdgeList(jnp.array([0, 1]), jnp.array([1, 2]), 3)
    parameters = groundwater.Parameters(jnp.array([1e-4, 1e-6, 0.0]), jnp.full(3, 0.1), jnp.full(3, 50.0))
    conductance = groundwater.face_conductance(parameters, jnp.full(3, 3.0), edges, jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(conductance, [2e-10 / 1.01e-4 * 30.0, 0.0], rtol=2e-3)


def test_what_stands_above_the_surface_overflows():
    full = float(groundwater.capacity(aquifer(1))[0])
    after, fluxes = pair(0.0, [full + 0.02, full + 0.02], groundwater.Implicit())
    np.testing.assert_allclose(after.storage, full)
    np.testing.assert_allclose(fluxes.exfiltration * DAY, 0.02, rtol=1e-9)


def test_both_solvers_agree_in_small_steps():
    domain = valley()
    rng = np.random.default_rng(0)
    parameters = aquifer(domain.cells, 1e-5)
    state = groundwater.State(jnp.asarray(rng.uniform(1.0, 4.0, domain.cells)))
    faces = domain.faces
    states = [
        step(parameters, state, faces.edges, faces.surface_fall, domain.cell_area, DAY, solver)[0].storage
        for solver in (groundwater.Explicit(64), groundwater.Implicit(64))
    ]
    moved = jnp.abs(states[0] - state.storage)
    assert float(jnp.abs(states[0] - states[1]).max()) < 1e-3 * float(moved.max())


@pytest.mark.parametrize(("conductivity", "expected"), [(1e-5, groundwater.Explicit), (1e-3, groundwater.Implicit)])
def test_the_solver_follows_from_the_transmissivity(conductivity, expected):
    """A cell with four neighbors exchanges 4 K b dt: a thousandth of the limit is 1e-8 m s-1 at 50 m and a day."""
    domain = valley()
    solver, report = groundwater.choose_solver(
        aquifer(domain.cells, conductivity), domain.faces.edges, domain.cell_area, 0.1 * DAY
    )
    assert isinstance(solver, expected)
    share = 4.0 * conductivity * 50.0 * 0.1 * DAY / (soil_hydraulics.CONFINED_STORAGE * 1e6)
    assert f"{share:.2g}" in report
    inland = aquifer(1, conductivity)
    alone = EdgeList(jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32), 1)
    coast = groundwater.Coast(jnp.array([True]), jnp.array([5.0]))
    still, shore = (
        groundwater.choose_solver(inland, alone, jnp.full(1, 1e6), DAY, where)[1] for where in (None, coast)
    )
    assert " 0 " in still
    assert f"{2.0 * conductivity * 50.0 * DAY / 5e3:.2g}" in shore


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_sea_enters_an_aquifer_below_its_level(solver):
    """Half a cell from the sea: Q = 2 K b (h - h_s), with the mean thickness unless that of the higher side is less."""
    alone = EdgeList(jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32), 1)
    coast = groundwater.Coast(jnp.array([True]), jnp.array([12.5]))  # the sea stands 40 m above the base
    for head, thickness in ((30.0, 35.0), (50.0, 45.0)):
        state = groundwater.State(jnp.array([0.1 * head]))
        none = jnp.zeros(0)
        after, fluxes = step(aquifer(1), state, alone, none, jnp.array([1e6]), 1.0, solver, coast)
        expected = 2e-4 * thickness * (head - 40.0)
        assert float(fluxes.to_sea[0]) == pytest.approx(expected, rel=3e-3)
        assert float((after.storage - state.storage)[0]) == pytest.approx(-float(fluxes.to_sea[0]) / 1e6, rel=1e-6)


def test_the_implicit_step_stays_calm_where_the_explicit_one_cannot():
    """A pressurised aquifer (storage coefficient 0.005) of 0.05 m2 s-1: the explicit limit is seven hours."""
    cells = 20
    edges = EdgeList(jnp.arange(cells - 1), jnp.arange(1, cells), cells)
    parameters = aquifer(cells, 1e-3)
    state = groundwater.State(groundwater.storage_at_depth(parameters, jnp.linspace(1.0, 2.0, cells)))
    for _ in range(30):
        state, fluxes = step(
            parameters, state, edges, jnp.zeros(cells - 1), jnp.full(cells, 1e6), DAY, groundwater.Implicit()
        )
        depth = soil_hydraulics.water_table(state.storage, parameters.thickness, parameters.specific_yield).depth
        assert bool(jnp.all(jnp.diff(depth) >= -1e-9))
    assert float(fluxes.exfiltration.max()) == 0.0
    assert int(fluxes.report.steps) > 0
