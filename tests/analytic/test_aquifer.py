"""The aquifer against exact solutions of the Boussinesq equation, and seepage against its exact relaxation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chase_jax.numerics.graph import EdgeList
from chase_jax.physics import groundwater, seepage

DAY, YEAR = 86400.0, 365 * 86400.0
LENGTH = 10_500.0  # m, from the divide at x = 0 to the center of the last cell, which holds its head


class Strip:
    """A row of 1-km cells on a level base under a level surface; the last one is so wide that its head stays."""

    def __init__(self, conductivity, specific_yield, thickness=300.0, cells=11):
        self.x = 500.0 + 1000.0 * np.arange(cells)
        self.parameters = groundwater.Parameters(
            *(jnp.full(cells, value) for value in (conductivity, specific_yield, thickness))
        )
        self.faces = EdgeList(jnp.arange(cells - 1), jnp.arange(1, cells), cells)
        self.area = jnp.full(cells, 1e6).at[-1].set(1e18)

    def run(self, head, recharge, dt, steps, solver=None):
        """Heads (cell,) after `steps` steps of `dt`, and the flow into the last cell in every step."""
        solver = groundwater.Implicit() if solver is None else solver
        supply = recharge * dt * (jnp.arange(self.x.size) < self.x.size - 1)

        def advance(state, _):
            state = groundwater.State(state.storage + supply)
            state, fluxes = groundwater.step(
                self.parameters, state, self.faces, jnp.zeros(self.faces.size), self.area, dt, solver
            )
            return state, fluxes.lateral[-1]

        start = groundwater.State(jnp.asarray(head) * self.parameters.specific_yield)
        state, flow = jax.jit(lambda s: jax.lax.scan(advance, s, None, length=steps))(start)
        return np.asarray(state.storage / self.parameters.specific_yield), np.asarray(flow)


def test_recharge_builds_the_dupuit_mound():
    conductivity, recharge, outer = 1e-4, 0.2 / YEAR, 10.0
    strip = Strip(conductivity, 0.15)
    start = np.where(np.arange(11) < 10, 20.0, outer)
    head, flow = strip.run(start, recharge, YEAR / 12, 4800)
    exact = np.sqrt(outer**2 + recharge / conductivity * (LENGTH**2 - strip.x**2))
    assert exact[0] == pytest.approx(84.12, abs=0.01)
    # What is left is the recharge of a month, which stands on the mound before it flows.
    assert np.abs(head - exact)[:-1].max() < 0.1
    np.testing.assert_allclose(flow[-1], recharge * 10e6, rtol=1e-5)


@pytest.mark.parametrize(("cells", "bound"), [(10, 0.4), (40, 0.1)])
def test_recharge_drains_into_the_sea(cells, bound):
    """The mound of Dupuit between a divide and the sea, which lies 10 km away and 10 m above the base."""
    conductivity, recharge, reach, level = 1e-4, 0.2 / YEAR, 10_000.0, 10.0
    size = reach / cells
    x = (np.arange(cells) + 0.5) * size
    parameters = groundwater.Parameters(*(jnp.full(cells, value) for value in (conductivity, 0.15, 300.0)))
    coast = groundwater.Coast(jnp.arange(cells) == cells - 1, jnp.full(cells, 302.5 - level))
    faces, area = EdgeList(jnp.arange(cells - 1), jnp.arange(1, cells), cells), jnp.full(cells, size**2)
    dt = YEAR / 12

    def advance(state, _):
        state = groundwater.State(state.storage + recharge * dt)
        return groundwater.step(parameters, state, faces, jnp.zeros(cells - 1), area, dt, groundwater.Implicit(), coast)

    state, fluxes = jax.jit(lambda s: jax.lax.scan(advance, s, None, length=6000))(
        groundwater.State(jnp.full(cells, 0.15 * 20.0))
    )
    exact = np.sqrt(level**2 + recharge / conductivity * (reach**2 - x**2))
    assert exact[0] > 80.0
    assert np.abs(state.storage / 0.15 - exact).max() < bound  # falls with the size of the cells
    assert float(fluxes.to_sea[-1, -1]) == pytest.approx(recharge * reach * size, rel=1e-4)


def boussinesq_shape(distance):
    """Similarity solution F of 1904 at `distance` (1) from the drain, and its constant B."""
    s = np.linspace(0.0, 1.0, 20001)  # u = 1 - s2 takes the singularity out of u / sqrt(1 - u3)
    u = 1.0 - s * s
    integrand = 2.0 * u / np.sqrt(1.0 + u + u * u)
    integral = np.concatenate([[0.0], np.cumsum(0.5 * (integrand[1:] + integrand[:-1]) * np.diff(s))])
    total = integral[-1]
    return np.interp(distance, (total - integral[::-1]) / total, u[::-1]), total


def test_an_aquifer_drains_as_boussinesq_found():
    conductivity, specific_yield, depth = 1e-4, 0.15, 20.0
    strip = Strip(conductivity, specific_yield)
    shape, constant = boussinesq_shape(1.0 - strip.x / LENGTH)
    assert constant == pytest.approx(0.86237, abs=1e-5)
    rate = 1.115 * conductivity * depth / (specific_yield * LENGTH**2)
    head, _ = strip.run(depth * shape, 0.0, 5.0 * DAY, 1460)
    exact = depth * shape / (1.0 + rate * 1460 * 5.0 * DAY)
    assert exact.sum() < 0.95 * depth * shape.sum()
    assert abs(head[:-1].sum() / exact[:-1].sum() - 1.0) < 3e-4
    assert abs(head[0] / exact[0] - 1.0) < 2e-3


@pytest.mark.parametrize("solver", [groundwater.Explicit(), groundwater.Implicit()])
def test_a_thick_aquifer_recedes_exponentially(solver):
    transmissivity, specific_yield, depth = 1e-2, 0.1, 100.0
    strip = Strip(transmissivity / depth, specific_yield)
    wave = 1e-2 * np.cos(0.5 * np.pi * strip.x / LENGTH)
    wave[-1] = 0.0
    dt, steps = 2.0 * DAY, 1000
    _, flow = strip.run(depth + wave, 0.0, dt, steps, solver)
    time = (np.arange(steps) + 0.5) * dt
    rate = np.pi**2 * transmissivity / (4.0 * specific_yield * LENGTH**2)
    exact = 0.5 * np.pi / LENGTH * 1e-2 * transmissivity * 1000.0 * np.exp(-rate * time)
    assert exact[-1] < 0.7 * exact[0]
    assert np.abs(flow / exact - 1.0)[50:].max() < 1e-2


def test_a_river_step_spreads_as_the_error_function():
    transmissivity, specific_yield, depth = 1e-1, 0.1, 100.0
    strip = Strip(transmissivity / depth, specific_yield, cells=60)
    head = np.full(60, depth)
    head[-1] += 1e-2
    dt, steps = 0.5 * DAY, 1200
    final, flow = strip.run(head, 0.0, dt, steps)
    time, distance = steps * dt, strip.x[-1] - strip.x
    scale = np.sqrt(transmissivity * time / specific_yield)
    exact = 1e-2 * np.asarray(jax.scipy.special.erfc(distance / (2.0 * scale)))
    assert scale > 5000.0
    assert np.abs(final - depth - exact).max() < 2e-2 * 1e-2
    entering = 1e-2 * np.sqrt(transmissivity * specific_yield / (np.pi * (time - 0.5 * dt))) * 1000.0
    assert -flow[-1] == pytest.approx(entering, rel=2e-2)


def test_river_and_aquifer_relax_exactly():
    """Head difference decays as exp(-k t), in one step as in a hundred, and no water is lost."""
    conductance, coefficient, area, wet = 3e-6, 0.1, 1e6, 2e4
    parameters = seepage.Parameters(*(jnp.array([value]) for value in (conductance, np.inf)))
    rate = conductance * wet * (1.0 / (coefficient * area) + 1.0 / wet)
    bed, table, depth = 20.0, 12.0, 2.0  # head of the aquifer 8 m above the bed, river 2 m
    for steps in (1, 100):
        dt = 3.0 / rate / steps
        storage, water, head = jnp.array([5.0]), jnp.array([depth]), jnp.array([bed - table])
        for _ in range(steps):
            flow = seepage.discharge(
                parameters, storage, coefficient, bed - head, bed, water, water * wet, wet, area, dt
            )
            storage, water = storage - flow * dt / area, water + flow * dt / wet
            head = head - flow * dt / (coefficient * area)
        assert float((head - water)[0]) == pytest.approx(6.0 * np.exp(-3.0), rel=1e-12)
        assert float((storage * area + water * wet)[0]) == pytest.approx(5.0 * area + depth * wet, rel=1e-14)


@pytest.mark.parametrize("doubling", [1e-2, 0.3, np.inf])
def test_a_recession_that_bends_is_met_exactly_by_any_step(doubling):
    """Drains of Hooghoudt: 1/d + a/S grows as exp(k t), in one step as in a hundred, and no water is lost."""
    conductance, coefficient, area, wet = 3e-6, 0.1, 1e6, 2e4
    parameters = seepage.Parameters(*(jnp.array([value]) for value in (conductance, doubling)))
    rate = conductance * wet * (1.0 / (coefficient * area) + 1.0 / wet)
    bed, start, bend = 20.0, 6.0, coefficient / doubling
    exact = 1.0 / ((1.0 / start + bend) * np.exp(3.0) - bend)
    for steps in (1, 7, 100):
        dt = 3.0 / rate / steps
        storage, water, head = jnp.array([5.0]), jnp.array([2.0]), jnp.array([2.0 + start])
        for _ in range(steps):
            flow = seepage.discharge(
                parameters, storage, coefficient, bed - head, bed, water, water * wet, wet, area, dt
            )
            storage, water = storage - flow * dt / area, water + flow * dt / wet
            head = head - flow * dt / (coefficient * area)
        assert float((head - water)[0]) == pytest.approx(exact, rel=1e-10)
        assert float((storage * area + water * wet)[0]) == pytest.approx(5.0 * area + 2.0 * wet, rel=1e-14)
