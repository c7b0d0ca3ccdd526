import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from waters import chain, lone_lake, valley

from chase_jax.model import surface_water
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.tree import Tree
from chase_jax.physics import channel, lake


def conveyance(depth, width, roughness=0.03):
    return float(channel.conveyance(jnp.array(depth), jnp.array(width), jnp.array(roughness)))


def run(geometry, parameters, volume, inflows, duration, solver):
    """Final volume and the discharges of every interval."""

    def interval(volume, inflow):
        state = surface_water.State(volume)
        state, fluxes = surface_water.step(parameters, geometry, state, inflow, duration, solver)
        return state.volume, fluxes.discharge

    return jax.jit(lambda start, series: jax.lax.scan(interval, start, series))(jnp.asarray(volume), inflows)


def inflow_at_top(series, cells):
    return jnp.zeros((len(series), cells)).at[:, 0].set(jnp.asarray(series))


@pytest.mark.parametrize(
    ("solver", "least_skill", "least_peak"),
    [(Tree(600.0), 0.999, 0.97), (Jacobi(600.0, 30, tolerance=np.inf), 0.999, 0.97), (None, 0.99, 0.9)],
)
def test_small_wave_travels_and_spreads_as_hayami_says(solver, least_skill, least_peak):
    slope, width, flow, cells, fine, distance = 2e-4, 200.0, 1000.0, 150, 300.0, 100e3
    geometry, parameters = chain(cells, slope, width)
    depth = brentq(lambda h: conveyance(h, width) * np.sqrt(slope) - flow, 0.1, 50.0)
    if solver is None:  # as the network calls for
        banks = dataclasses.replace(parameters, bank_depth=jnp.full(cells, depth))
        solver, _ = surface_water.choose_solver(banks, geometry, "tree", 10800.0)
        assert solver.time_step > 1800.0
    rise = (conveyance(depth + 1e-5, width) - conveyance(depth - 1e-5, width)) / 2e-5
    celerity, diffusion = rise * np.sqrt(slope) / width, flow / (2 * width * slope)

    dt = solver.time_step
    time, moment = ((np.arange(round(4 * 86400 / step)) + 0.5) * step for step in (dt, fine))
    wave, exact = (np.exp(-(((t - 86400.0) / 21600.0) ** 2)) for t in (time, moment))
    _, discharge = run(
        geometry, parameters, jnp.full(cells, depth * width * 1e3), inflow_at_top(flow + wave, cells), dt, solver
    )
    found = np.asarray(discharge[:, 99]) - flow
    kernel = distance / (2 * np.sqrt(np.pi * diffusion) * moment**1.5)
    kernel *= np.exp(-((distance - celerity * moment) ** 2) / (4 * diffusion * moment))
    exact = (np.convolve(exact, kernel)[: moment.size] * fine).reshape(time.size, -1).mean(axis=1)
    skill = 1 - ((found - exact) ** 2).sum() / ((exact - exact.mean()) ** 2).sum()
    assert skill > least_skill
    assert least_peak < found.max() / exact.max() < 1.0  # the scheme spreads a little more
    assert abs(time[found.argmax()] - time[exact.argmax()]) < 3600.0


def test_uniform_inflow_keeps_the_depth_of_manning():
    geometry, parameters = chain(12, 2e-4, 500.0, roughness=0.3, length=500.0)
    flow = conveyance(1.0, 500.0, 0.3) * np.sqrt(2e-4)
    volume, discharge = run(
        geometry, parameters, jnp.full(12, 2e5), inflow_at_top(np.full(400, flow), 12), 3600.0, Tree(1200.0)
    )
    np.testing.assert_allclose(volume / (500.0 * 500.0), 1.0, atol=1e-5)  # the smoothed root is 6e-6 below the true one
    np.testing.assert_allclose(discharge[-1], flow, rtol=1e-6)


@pytest.mark.parametrize("sea", [False, True])
def test_backwater_curve_is_that_of_gradually_varied_flow(sea):
    slope, width, flow, cells = 1e-4, 300.0, 2000.0, 60
    normal = brentq(lambda h: conveyance(h, width) * np.sqrt(slope) - flow, 0.1, 50.0)
    level = normal + 5.0
    if sea:  # half a reach beyond the last cell, over a level bed
        geometry, parameters = chain(cells, slope, width, sea=level)
        start = np.full(cells, normal * width * 1e3)
    else:
        geometry, parameters = chain(cells + 1, slope, width, outlet=False, last=1e13)
        start = np.append(np.full(cells, normal * width * 1e3), level * 1e13)
    inflows = inflow_at_top(np.full(600, flow), start.size)
    volume, discharge = run(geometry, parameters, start, inflows, 3600.0, Tree(3600.0))
    curve = solve_ivp(
        lambda x, h: [(flow / conveyance(h[0], width)) ** 2 - slope * (x > 500.0 or not sea)],
        [0, cells * 1e3],
        [level],
        rtol=1e-8,
        max_step=250.0,
        dense_output=True,
    )
    upstream = (np.arange(cells)[::-1] + 0.5) * 1e3
    np.testing.assert_allclose(volume[:cells] / (width * 1e3), curve.sol(upstream)[0], atol=0.03)
    np.testing.assert_allclose(discharge[-1, :cells], flow, rtol=1e-4)


def test_the_sea_fills_a_river_to_its_level():
    """Low rivers without inflow: the sea runs in until the surface is level, and not beyond."""
    slope, width, cells, level = 1e-5, 100.0, 20, 3.0
    geometry, parameters = chain(cells, slope, width, sea=level)
    depth = level - 1e3 * slope * np.arange(cells)[::-1]
    start = np.full(cells, 0.2 * width * 1e3)
    volume, discharge = run(geometry, parameters, start, jnp.zeros((800, cells)), 10800.0, Tree(900.0))
    np.testing.assert_allclose(volume / (width * 1e3), depth, atol=1e-3)
    assert float(discharge[0, -1]) < 0.0
    entered = -10800.0 * float(discharge[:, -1].sum())
    np.testing.assert_allclose(entered, float(volume.sum()) - start.sum(), rtol=1e-10)


def test_lake_at_rest_with_an_island_stays_at_rest():
    bed = np.random.default_rng(0).uniform(0.0, 5.0, 30)
    bed[14] = 9.0  # an island
    geometry, parameters = lone_lake(5, 6, bed)
    volume = 1e6 * np.maximum(6.0 - bed, 0.0)
    after, _ = run(geometry, parameters, volume, jnp.zeros((8, 30)), 10800.0, Tree(900.0))
    np.testing.assert_allclose(after / 1e6, volume / 1e6, atol=1e-12)
    assert after[14] == 0.0


def test_lake_at_rest_reaching_into_its_river_stays_at_rest():
    geometry, parameters, bed, lake = valley(slope=1e-4)
    level = bed[-6] - 0.3  # below the way out, above some of the bed
    volume = np.where(lake, 1e6, 6e4) * np.maximum(level - bed, 0.0)
    volume[-6:] = 0.0  # the river below is dry
    after, discharge = run(geometry, parameters, volume, jnp.zeros((8, bed.size)), 10800.0, Tree(900.0))
    np.testing.assert_allclose(after, volume, rtol=1e-12)
    assert jnp.abs(discharge).max() == 0.0


def test_two_reservoirs_level_out_by_the_square_root_law():
    geometry, parameters = lone_lake(1, 2, np.zeros(2))
    deep, drop, duration, steps = 1000.0, 1.0, 100.0, 40
    parameters = channel.Parameters.default(jnp.full(2, 50.0), jnp.full(2, 1e4), 15000.0)
    volume = 1e6 * np.array([deep + drop / 2, deep - drop / 2])
    after, _ = run(geometry, parameters, volume, jnp.zeros((steps, 2)), duration, Tree(10.0))
    carries = conveyance(deep, 1e3, 15000.0)
    expected = (np.sqrt(drop) - carries * duration * steps / (1e6 * np.sqrt(1e3))) ** 2
    assert 0.1 < expected < 0.9
    np.testing.assert_allclose((after[0] - after[1]) / 1e6, expected, rtol=0.01)


def test_smooth_lake_is_a_level_pool():
    geometry, parameters = lone_lake(3, 4, np.zeros(12), outlet_slope=1e-4, roughness=0.03)
    inflow = np.zeros(12)
    inflow[0] = 300.0
    volume, discharge = run(
        geometry, parameters, np.full(12, 4e6), jnp.asarray(np.tile(inflow, (80, 1))), 10800.0, Tree(900.0)
    )
    pool = solve_ivp(lambda t, h: [(300.0 - conveyance(h[0], 50.0) * 1e-2) / 12e6], [0, 80 * 10800.0], [4.0], rtol=1e-8)
    np.testing.assert_allclose(volume / 1e6, pool.y[0, -1], rtol=0.01)
    np.testing.assert_allclose(discharge[-1, -1], conveyance(pool.y[0, -1], 50.0) * 1e-2, rtol=0.02)


def test_through_flow_of_a_lake_settles_at_the_inflow():
    geometry, parameters, bed, lake = valley(seed=4)
    volume = np.where(lake, 1e6, 6e4) * np.maximum(bed[-6] + 1.0 - bed, 0.5)
    _, discharge = run(
        geometry, parameters, volume, inflow_at_top(np.full(500, 100.0), bed.size), 10800.0, Tree(1800.0)
    )
    np.testing.assert_allclose(discharge[-1, [0, 7, 27, -1]], 100.0, rtol=1e-4)


@pytest.mark.parametrize("degrees", [0.0, 20.0, 45.0, 70.0, 160.0, 300.0])
def test_water_runs_down_a_tilted_lake_in_any_direction_as_manning_says(degrees):
    rows, columns, slope, depth = 6, 7, 1e-3, 4.0
    down = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    row, column = np.divmod(np.arange(rows * columns), columns)
    bed = -1e3 * slope * (down[0] * column + down[1] * row)  # uniform flow: the bed falls as the water does
    geometry, _ = lone_lake(rows, columns, bed)
    conducts, fall = lake.conductance(jnp.full(bed.size, 0.03), geometry.lake, jnp.full(bed.size, depth))
    discharge = np.asarray(conducts * fall)
    # the depth of the higher side above the higher bed is the depth: what is left is the direction
    expected = conveyance(depth, 1e3) * np.sqrt(slope) * (down @ np.asarray(geometry.lake.direction))
    tail, head = (np.asarray(end) for end in (geometry.lake.edges.tail, geometry.lake.edges.head))
    inner = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1)
    inner = inner[tail] & inner[head]
    assert inner.sum() > 20
    np.testing.assert_allclose(discharge[inner], expected[inner], rtol=1e-3, atol=1e-3 * abs(expected).max())


def test_pools_fill_and_spill_over_their_sills_to_both_sides():
    bed = np.array([0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0])
    cells, inflow, slope = bed.size, 100.0 / 86400.0, 0.01
    geometry, parameters = lone_lake(1, cells, bed, slope, 0.035, outlets=(0, -1), side=100.0, width=1.0)
    source = jnp.zeros((3000, cells)).at[:, 4].set(inflow)
    volume, _ = run(geometry, parameters, np.zeros(cells), source, 600.0, Tree(60.0))
    level = np.asarray(volume) / 100.0 + bed
    spill = brentq(lambda h: conveyance(h, 1.0, 0.035) * np.sqrt(slope) - inflow / 2.0, 1e-5, 1.0)
    np.testing.assert_allclose(level, level[::-1], atol=1e-9)
    np.testing.assert_allclose(level[0], spill, rtol=0.01)  # normal depth at the ends
    # the crest is a cell long: the pool stands above it by what drives the water over that length
    head = brentq(
        lambda h: conveyance(h, 1.0, 0.035) * np.sqrt((h - spill) / 100.0) - inflow / 2.0, spill * (1.0 + 1e-9), 1.0
    )
    np.testing.assert_allclose(level[2], 2.0 + spill, atol=1e-4)
    np.testing.assert_allclose(level[3:6], 2.0 + head, atol=1e-4)
    assert spill == pytest.approx(0.0061, rel=0.02)


@pytest.mark.parametrize("cells", [40, 80, 160])
def test_a_made_up_surface_is_steady_on_the_bed_that_belongs_to_it(cells):
    error = manufactured_error(cells)
    assert 0.4 / cells < error < 0.7 / cells  # m; first order in the length of the cells


def manufactured_error(cells):
    """Largest error of the depth where h = (4/g)^(1/3) (1 + exp(-16 (x/1000 - 1/2)^2) / 2) is the steady answer."""
    flow, roughness, width, reach = 2.0, 0.033, 1000.0, 1000.0
    size = reach / cells
    x = (np.arange(cells + 1) + 0.5) * size
    wanted = lambda x: (4.0 / 9.81) ** (1.0 / 3.0) * (1.0 + 0.5 * np.exp(-16.0 * (x / 1000.0 - 0.5) ** 2))  # noqa: E731

    def bed_slope(x):
        step = 1e-3
        friction = (flow * width / conveyance(wanted(x), width, roughness)) ** 2
        return friction + (wanted(x + step) - wanted(x - step)) / (2.0 * step)

    lengths = np.append(np.full(cells - 1, size), [size / 2.0, size])  # the last level stands half a cell further down
    slopes = np.array([quad(bed_slope, a, a + step)[0] / step for a, step in zip(x, lengths, strict=True)])
    geometry, parameters = chain(cells + 1, slopes, width, roughness, size, outlet=False, last=1e13)
    depth = wanted(x)
    start = depth * width * size
    start[-1] = 1e13 * wanted(x[-2] + size / 2.0)
    inflows = inflow_at_top(np.full(9, flow * width), cells + 1)
    volume, _ = run(geometry, parameters, start, inflows, 1200.0, Tree(1200.0 / cells))
    return np.abs(np.asarray(volume)[:-1] / (width * size) - depth[:-1]).max()


def test_a_pulse_against_a_fixed_level_agrees_with_a_run_ten_times_finer():
    width, slope, roughness, level = 20.0, 1e-4, 1.0 / 80.0, 4.0

    def outflow(size, dt):
        cells = round(21000.0 / size)
        geometry, parameters = chain(cells + 1, slope, width, roughness, size, outlet=False, last=1e13)
        time = (np.arange(int(86400.0 / dt)) + 0.5) * dt
        pulse = np.interp(time, [0.0, 3 * 3600.0, 6 * 3600.0], [20.0, 25.0, 20.0])
        steady = np.full(cells + 1, 4.0 * width * size)
        steady[-1] = level * 1e13
        before = inflow_at_top(np.full(96, 20.0), cells + 1)
        start, _ = run(geometry, parameters, steady, before, 3600.0, Tree(600.0))
        _, discharge = run(geometry, parameters, start, inflow_at_top(pulse, cells + 1), dt, Tree(dt))
        return np.asarray(discharge[:, cells - 1]).reshape(-1, round(600.0 / dt)).mean(axis=1)

    coarse, fine = outflow(1000.0, 600.0), outflow(100.0, 10.0)
    assert fine.max() > 21.0
    skill = 1.0 - ((coarse - fine) ** 2).sum() / ((fine - fine.mean()) ** 2).sum()
    assert skill > 0.99
    assert abs(coarse.max() / fine.max() - 1.0) < 0.02
