"""Closed columns: which cells they are, what they keep, and that none sees another."""

from __future__ import annotations

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import valley

from chase_jax.calibration import columns, cores, free, partial, trial
from chase_jax.checks import InputError
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from chase_jax.physics.atmosphere import Forcing


@pytest.fixture(scope="module")
def whole():
    return Chase.default(valley.valley())


def test_glaciers_lakes_and_sinks_are_left_out(whole):
    d, cells = whole.domain, columns.calibrated_cells(whole.domain)
    assert 0 < cells.size < d.cells
    assert not np.isin(np.asarray(d.glacier_cell), cells).any()
    assert not np.asarray(d.lakes.member)[cells].any()
    assert not np.asarray(d.drainage.sink)[cells].any()
    assert (np.asarray(d.land_fraction)[cells] > 0.0).all()


def test_a_column_keeps_its_cell_and_loses_its_neighbors(whole):
    cells = columns.calibrated_cells(whole.domain)[::7]
    small = columns.closed(whole, cells)
    assert small.domain.cells == cells.size
    assert small.domain.faces.edges.size == 0
    assert bool(small.domain.drainage.outlet.all())
    assert small.domain.glacier_cell.size == small.domain.lakes.cell.size == 0
    for one, other in (
        (small.domain.cell_area, whole.domain.cell_area),
        (small.domain.bed_depth, whole.domain.bed_depth),
        (small.parameters.land.soil.sand, whole.parameters.land.soil.sand),
        (small.parameters.channel.manning_roughness, whole.parameters.channel.manning_roughness),
    ):
        np.testing.assert_array_equal(one, other[..., cells])
    with pytest.raises(InputError, match="at least one cell"):
        columns.closed(whole, np.zeros(0, int))


def test_stores_of_columns_go_back_to_their_cells(whole):
    cells = columns.calibrated_cells(whole.domain)[::7]
    state = initial_state(whole)
    part = initial_state(columns.closed(whole, cells))
    part = jax.tree.map(lambda leaf: leaf + 1.0, part)
    joined = columns.with_columns(state, part, cells)
    np.testing.assert_array_equal(joined.aquifer.storage[cells], part.aquifer.storage)
    np.testing.assert_array_equal(joined.land.soil.water[:, cells], part.land.soil.water)
    others = np.setdiff1d(np.arange(whole.domain.cells), cells)
    np.testing.assert_array_equal(joined.aquifer.storage[others], state.aquifer.storage[others])
    np.testing.assert_array_equal(joined.water.volume, state.water.volume)


def weather(cells, days=31):
    """Rain every third day on mild days."""
    rain = np.where(np.arange(days) % 3 == 0, 2e-4, 0.0)[:, None] * np.ones(cells)
    full = {
        name: jnp.full((days, cells), value)
        for name, value in {
            "air_temperature": 285.0,
            "shortwave_down": 180.0,
            "longwave_down": 0.0,
            "specific_humidity": 0.006,
            "air_pressure": 9e4,
            "wind_speed": 2.0,
            "diurnal_range": 8.0,
        }.items()
    }
    return Forcing(precipitation=jnp.asarray(rain), day_of_year=jnp.arange(100.0, 100.0 + days), **full)


def test_no_column_sees_another_and_a_trial_tells_its_drift(whole):
    cells = columns.calibrated_cells(whole.domain)[::7]
    small = columns.closed(whole, cells)
    span = trial.spans(lambda day, count: weather(cells.size), 31)
    parameters = (free.dcor("D5"), free.baseflow_factor())
    simulator = trial.Simulator(small, parameters, span, span, 5, cycles=1)
    usual = jnp.stack([one.encode(small.parameters) for one in parameters])
    state = initial_state(small)
    one, after = simulator.run(usual, state)
    other, _ = simulator.run(usual.at[0, 2].add(1.0), state)
    apart = np.arange(cells.size) != 2
    np.testing.assert_array_equal(other.runoff_depth[apart], one.runoff_depth[apart])
    np.testing.assert_array_equal(other.baseflow_index[apart], one.baseflow_index[apart])
    assert other.runoff_depth[2] > one.runoff_depth[2]
    assert float(one.cost) == 1.0
    # water that came less water that went is the drift; what evaporates is the difference, and none condenses here
    rain = 2e-4 * 11 / 31 * 86400.0 * 365.2425
    assert (one.drift < rain - one.runoff_depth).all()
    assert np.isfinite(np.asarray(after.aquifer.storage)).all()


@pytest.fixture
def few(whole):
    """Every seventh column: nothing known of them yet, their trials, unknowns and stores."""
    cells = columns.calibrated_cells(whole.domain)[::7]
    small = columns.closed(whole, cells)
    span = trial.spans(lambda day, count: weather(cells.size), 31)
    parameters = (free.dcor("D5"), free.baseflow_factor())
    simulator = trial.Simulator(small, parameters, span, span, 5)
    usual = np.stack([np.asarray(one.encode(small.parameters)) for one in parameters])
    return partial.Partial(simulator, smallest=2), simulator, usual, initial_state(small)


@pytest.mark.parametrize("name", ["run", pytest.param("run_with_slopes", marks=pytest.mark.slow)])
def test_columns_yield_the_same_on_several_cores(few, monkeypatch, name):
    _, simulator, usual, state = few
    monkeypatch.setattr(cores, "LEAST_COLUMNS", 4)
    alone, shared = copy.copy(simulator), copy.copy(simulator)
    shared.at_once = 3
    numbers = cores.shares(usual.shape[1], 3)
    assert len(numbers) == 3
    assert sum(own.size for own in numbers) > usual.shape[1]  # the last two share some
    draw = np.random.default_rng(4)
    unknowns = jnp.asarray(usual + draw.normal(0.0, 0.5, usual.shape))
    (one, after), (other, too) = (getattr(who, name)(unknowns, state) for who in (alone, shared))
    assert (one.slopes is None) == (name == "run")
    for field in ("runoff_depth", "baseflow_index", "drift", "slopes"):
        if getattr(one, field) is not None:
            np.testing.assert_allclose(getattr(other, field), getattr(one, field), rtol=1e-11, atol=1e-11)
    for leaf, twin in zip(jax.tree.leaves(after), jax.tree.leaves(too), strict=True):
        np.testing.assert_allclose(twin, leaf, rtol=1e-9, atol=1e-9)
    one, other = (who.settled(unknowns, state, 4)[1] for who in (alone, shared))
    np.testing.assert_allclose(other.drift, one.drift, rtol=1e-8, atol=1e-8)
    assert float(other.cost) == float(one.cost)


def test_columns_that_changed_run_by_themselves_and_yield_the_same(few):
    known, simulator, usual, state = few
    first = known.run(usual, state)
    assert float(first.cost) == 1.0
    known.know(usual, first)
    moved = usual.copy()
    moved[0, [1, -1]] += 1.0
    found, asked = known.run(moved, state), simulator.run(jnp.asarray(moved), state)[0]
    assert float(found.cost) < 0.6
    for name in ("runoff_depth", "baseflow_index", "drift"):
        np.testing.assert_allclose(getattr(found, name), getattr(asked, name), rtol=1e-9, atol=1e-9)
    assert float(known.run(usual, state).cost) == 0.0


def test_stores_are_renewed_where_parameters_changed_or_something_still_moves(few):
    known, simulator, usual, start = few
    state, found = known.renewed(usual, start, 1)
    asked = simulator.settled(jnp.asarray(usual), start, 1)[1]
    np.testing.assert_array_equal(found.drift, asked.drift)
    moving = ~trial.stand_still(found.drift, found.runoff_depth)
    assert moving.any()  # a month is not enough
    still = dataclasses.replace(found, drift=np.zeros_like(found.drift))
    known.begin(usual, still)
    known.know(usual, found)
    same, nothing = known.renewed(usual, state, 1)
    assert same is state
    assert float(nothing.cost) == 0.0
    moved = usual.copy()
    moved[0, 1] += 1.0
    new, after = known.renewed(moved, state, 1)
    assert 0.0 < float(after.cost) < float(found.cost)
    changed = np.asarray(new.aquifer.storage != state.aquifer.storage)
    assert changed[1]
    assert not changed.all()
    known.begin(moved, still)
    assert 0.0 < float(known.run(usual, new).cost) < 1.0  # what was known of the cell was of other stores


def test_columns_that_only_fill_up_keep_what_their_own_stores_gave(few):
    known, _, usual, start = few
    state, balance = known.renewed(usual, start, 2)
    known.begin(usual, balance)
    moved = usual + 1.5
    first = known.run(moved, state, 8)  # each from stores of its own equilibrium
    known.know(moved, first)
    back = moved.copy()
    back[:, 0] = usual[:, 0]
    found = known.run(back, state, 8)
    assert 0.0 < float(found.cost) < float(first.cost)
    assert found.runoff_depth[0] != first.runoff_depth[0]
    for name in ("runoff_depth", "baseflow_index", "drift"):
        np.testing.assert_array_equal(getattr(found, name)[1:], getattr(first, name)[1:])


@pytest.mark.parametrize(("names", "cost"), [(["dcor"], 2.35), (["dcor", "baseflow_factor"], 3.7)])
def test_derivatives_cost_as_many_runs_as_there_are_parameters(whole, names, cost):
    cells, days = whole.domain.cells, 5
    span, state = trial.Span(lambda k: (None, days), 1, days), initial_state(whole)
    simulator = trial.Simulator(whole, [free.named(name) for name in names], span, span, days)
    found = (state, np.ones((days, cells))), (state, np.ones((len(names), days, cells)))
    simulator._tangents = lambda *given: found
    outcome, _ = simulator.run_with_slopes(jnp.zeros((len(names), cells)), state)
    np.testing.assert_allclose(outcome.cost, cost)
