import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waters import chain, random_downstream

from chase_jax.checks import InputError
from chase_jax.model import surface_water
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.tree import Tree
from chase_jax.physics import channel, river


def test_flat_and_backed_up_reaches_need_more_sweeps():
    downstream = np.append(np.arange(1, 20), -1)
    fall = np.where(np.arange(20) < 12, 2.0, 0.02)  # a steep tributary that meets a flat, deep river
    root = downstream < 0
    network = river.network(downstream, fall, np.full(20, 1e3), np.full(20, 1e6), root, np.full(20, 2e-5))
    parameters = channel.Parameters.default(jnp.full(20, 100.0), jnp.where(jnp.arange(20) < 12, 1.0, 6.0))
    needed = river.required_sweeps(parameters, network, 900.0)
    assert needed[14] > 10 * needed[2]  # flat
    assert needed[11] > 5 * needed[2]  # steep, but under the level of the flat reach
    longer = river.required_sweeps(parameters, network, 1800.0)
    np.testing.assert_allclose(longer[8:], 2 * needed[8:], rtol=1e-10)
    # the centered part of a wave needs no sweeps: of Courant numbers C, C - 1 if C > 2
    np.testing.assert_allclose(longer[:8], 2 * (needed[:8] + 1.0) - 1.0, rtol=1e-10)


def test_steps_and_sweeps_come_from_the_network():
    def flat_and_steep(slope, depth, cells):
        geometry, parameters = chain(cells, slope, 100.0)
        return dataclasses.replace(parameters, bank_depth=jnp.full(cells, depth)), geometry

    flat = surface_water.choose_solver(*flat_and_steep(2e-5, 5.0, 30), "jacobi", 10800.0)
    steep = surface_water.choose_solver(*flat_and_steep(2e-3, 1.0, 30), "jacobi", 10800.0)
    assert flat[0].sweeps > steep[0].sweeps
    assert flat[0].stiff is None
    assert "0 of 30 cells would need more" in flat[1]
    geometry, parameters = chain(60, np.where(np.arange(60) == 20, 1e-6, 2e-3), 100.0)
    parameters = dataclasses.replace(parameters, bank_depth=jnp.full(60, 1.0))
    mixed, report = surface_water.choose_solver(parameters, geometry, "jacobi", 10800.0, 3600.0)
    assert 0 < int(mixed.stiff.member.sum()) <= surface_water.HANDED_OVER * 60
    assert f"{int(mixed.stiff.member.sum())} of 60 cells would need more" in report
    upstream = np.flatnonzero(np.asarray(mixed.stiff.member))
    assert {19, 20} <= set(upstream.tolist())  # the flat cell, and what flows into it
    short, long = (
        surface_water.choose_solver(*flat_and_steep(2e-4, 3.0, n), "tree", 10800.0)[0].time_step for n in (30, 900)
    )
    assert short == surface_water.LONGEST_STEP
    assert long < 0.5 * short
    assert (10800.0 / long) % 1.0 == 0.0
    given, _ = surface_water.choose_solver(*flat_and_steep(2e-4, 3.0, 30), "jacobi", 10800.0, 600.0, 3)
    assert (given.time_step, given.sweeps, int(given.stiff.member.sum())) == (600.0, 3, 30)


def test_a_flood_travels_as_a_kinematic_wave_and_spreads_as_hayami_says():
    cells, slope, depth = 40, 1e-3, 2.0
    geometry, parameters = chain(cells, slope, 100.0)
    parameters = dataclasses.replace(parameters, bank_depth=jnp.full(cells, depth / river.FLOOD_DEPTH))
    radius = 100.0 * depth / (100.0 + 2 * depth)
    velocity = radius ** (2 / 3) * np.sqrt(slope) / 0.03
    found = river.travel(parameters, geometry.network)
    way = 1000.0 * np.arange(cells - 1, -1, -1)
    np.testing.assert_allclose(found.time, way / (5 / 3 * velocity), rtol=1e-3)
    diffusivity = velocity * depth / (2 * slope)
    np.testing.assert_allclose(found.variance, 2 * diffusivity * way / (5 / 3 * velocity) ** 3, rtol=2e-3)


def test_steps_spread_a_wave_by_what_is_said_of_them():
    cells, slope, width, depth, interval = 100, 1e-3, 100.0, 2.0, 7200.0
    geometry, parameters = chain(cells, slope, width)
    carrying = channel.conveyance(jnp.array([depth, depth + 1e-4]), width, 0.03) * np.sqrt(slope)
    flow, celerity = float(carrying[0]), float(carrying[1] - carrying[0]) / 1e-4 / width
    inflow = flow * (1.0 + 1e-3 * (np.arange(40) == 3))
    middle = (np.arange(inflow.size) + 0.5) * interval

    def variance(dt):
        def pass_on(volume, top):
            source = jnp.zeros(cells).at[0].set(top)
            state = surface_water.State(volume)
            state, fluxes = surface_water.step(parameters, geometry, state, source, interval, Tree(dt))
            return state.volume, fluxes.discharge[-1]

        start = jnp.full(cells, depth * width * 1e3)
        wave = np.asarray(jax.jit(lambda v: jax.lax.scan(pass_on, v, jnp.asarray(inflow))[1])(start)) - flow
        mean = (wave * middle).sum() / wave.sum()
        return (wave * (middle - mean) ** 2).sum() / wave.sum()

    passage = np.full(cells, 1e3 / celerity)
    calm, short, long = 600.0, 1800.0, 3600.0
    assert calm < 2.0 * passage[0] < short
    np.testing.assert_array_equal(river.added_variance(geometry.network, passage, calm), 0.0)
    for dt in (short, long):
        expected = river.added_variance(geometry.network, passage, dt)[0]
        np.testing.assert_allclose(variance(dt) - variance(calm), expected, rtol=0.05)


def test_a_river_that_spreads_waves_itself_takes_longer_steps():
    def time_step(slope):
        geometry, parameters = chain(2000, slope, 100.0)
        parameters = dataclasses.replace(parameters, bank_depth=jnp.full(2000, 8.0))
        return surface_water.choose_solver(parameters, geometry, "tree", 10800.0)[0].time_step

    assert time_step(2e-5) > time_step(2e-4)  # though a wave takes longer


def flood(geometry, parameters, solver, volume, days, cells):
    """Mean discharge of every three hours after a storm on the second day."""
    weight = jnp.asarray(np.random.default_rng(1).exponential(1.0, cells))
    time = (jnp.arange(8 * days) + 0.5) / 8
    storm = jnp.exp(-(((time - 1.5) / 0.3) ** 2))

    def interval(volume, storm):
        rain = 0.05 + 1.5 * storm * weight
        state, fluxes = surface_water.step(parameters, geometry, surface_water.State(volume), rain, 10800.0, solver)
        return state.volume, fluxes.discharge

    return np.asarray(jax.jit(lambda start: jax.lax.scan(interval, start, storm)[1])(volume))


def test_both_solvers_agree_with_the_iterated_tree():
    cells, days = 300, 5
    downstream = random_downstream(cells, 7)
    size = np.ones(cells)
    for cell in range(cells - 1):
        size[downstream[cell]] += size[cell]
    slope = np.where(size > 60, 3e-5, np.maximum(8e-3 * size**-0.5, 5e-4))
    bankfull = 0.5 * size
    width = np.maximum(5.0, 7.2 * np.sqrt(bankfull))
    depth = np.maximum(0.5, (bankfull * 0.03 / (width * np.sqrt(slope))) ** 0.6)
    network = river.network(
        downstream, slope * 1e3, np.full(cells, 1e3), np.full(cells, 1e6), downstream < 0, np.full(cells, 1e-4)
    )
    geometry, parameters = surface_water.Geometry.join(network), channel.Parameters.default(width, depth, 0.03)
    volume = jnp.asarray(width * 1e3 * 0.3 * depth)
    reference = flood(geometry, parameters, Tree(300.0, iterations=5), volume, days, cells)
    checked = size > 20
    for reach in ("jacobi", "tree"):
        solver, _ = surface_water.choose_solver(parameters, geometry, reach, 10800.0)
        found = flood(geometry, parameters, solver, volume, days, cells)
        daily, expected = (a.reshape(days, 8, cells).mean(1) for a in (found, reference))
        skill = 1 - ((daily - expected) ** 2).sum(0) / ((expected - expected.mean(0)) ** 2).sum(0)
        peak = daily.max(0) / expected.max(0)
        assert skill[checked].min() >= 0.999
        assert peak[checked].min() >= 0.97
    plain = flood(geometry, parameters, Jacobi(tolerance=np.inf), volume, days, cells)
    assert not np.allclose(plain[:, -1], reference[:, -1], rtol=0.02)  # the check is what makes it good


def test_an_outlet_with_a_next_cell_is_refused():
    with pytest.raises(InputError, match="outlet"):
        river.network(np.array([1, -1]), np.ones(2), np.ones(2), np.ones(2), np.array([True, True]), np.ones(2))


def test_shapes_are_checked():
    with pytest.raises(InputError, match="length"):
        river.network(np.array([1, -1]), np.ones(2), np.ones(3), np.ones(2), np.array([False, True]), np.ones(2))
