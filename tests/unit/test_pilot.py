"""What a few cells teach about all, with simple functions for the model's runs."""

from __future__ import annotations

import types

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit

from chase_jax.calibration import pilot
from chase_jax.calibration.cellwise import Goal
from chase_jax.calibration.trial import Outcome

CELLS, NUMBER, CYCLES = 2048, 128, 3
NAMES = ("runoff_depth", "baseflow_index")


class Columns:
    """Closed columns that differ in rain, which is an attribute, and in two things that no attribute tells."""

    free = (None, None)

    def __init__(self, rain, speed, leak):
        self.rain, self.speed, self.leak = rain, speed, leak
        self.model = types.SimpleNamespace(domain=types.SimpleNamespace(cells=rain.size))

    @classmethod
    def drawn(cls):
        draw = np.random.default_rng(2)
        return cls(draw.uniform(500.0, 1500.0, CELLS), *draw.uniform(0.3, 1.0, (2, CELLS)))

    def of(self, cells):
        return Columns(self.rain[cells], self.speed[cells], self.leak[cells])

    def settled(self, unknowns, stores, cycles):
        assert stores["water"].shape == self.rain.shape
        return stores, Outcome(self.rain, self.rain, 0.0 * self.rain, np.array(0.75))

    def run(self, unknowns, stores, cycles):
        assert cycles == 0
        share, other = expit(np.asarray(unknowns))
        depth = self.rain * (0.1 + 0.6 * self.leak * share**1.5)
        index = 0.9 * (1.0 - 0.6 * share) / (1.0 + self.speed * np.exp(-6.0 * (other - 0.4)))
        return Outcome(depth, index, 0.0 * depth, np.array(0.5)), stores


def first_trial(model):
    return model.run(np.zeros((2, CELLS)), None, 0)[0]


@pytest.fixture(scope="module")
def taught():
    model = Columns.drawn()
    hidden = logit(np.random.default_rng(3).uniform(0.1, 0.9, (2, CELLS)))
    found = model.run(hidden, None, 0)[0]
    goal = Goal(np.stack([found.runoff_depth, found.baseflow_index]), NAMES)
    stores = {"water": jnp.zeros(CELLS), "day": jnp.zeros(())}
    given = (model, stores, model.rain[:, None], first_trial(model), goal, NUMBER, CYCLES, 0)
    return model, hidden, goal, pilot.taught(*given)


@pytest.mark.parametrize(
    ("cells", "most", "number"),
    [(11_735, 512, 366), (754, 512, 94), (9_600_000, 512, 292), (512, 512, 64), (200, 512, 0), (11_735, 0, 0)],
)
def test_a_pilot_is_small_and_shares_a_program_with_other_trials(cells, most, number):
    assert pilot.size(cells, most) == number


def test_every_cell_tries_every_part_of_the_range_of_each_parameter_once():
    unknowns = pilot.design(50, 2, 1)
    assert unknowns.shape == (pilot.TRIALS, 2, 50)
    part = np.floor((expit(unknowns) - pilot.EDGE) / (1.0 - 2.0 * pilot.EDGE) * pilot.TRIALS)
    np.testing.assert_array_equal(np.sort(part, axis=0), np.arange(pilot.TRIALS)[:, None, None] * np.ones((2, 50)))
    assert np.unique(unknowns).size == unknowns.size


def test_cells_that_were_not_in_the_pilot_come_near_their_targets(taught):
    model, hidden, goal, (unknowns, _, _) = taught
    found = model.run(unknowns, None, 0)[0]
    error = (
        np.median(np.abs(found.runoff_depth / goal.values[0] - 1.0)),
        np.median(np.abs(found.baseflow_index - goal.values[1])),
    )
    assert error[0] < 0.01
    assert error[1] < 0.005
    assert np.median(np.abs(expit(unknowns) - expit(hidden))) < 0.01


def test_it_tells_its_error_in_cells_that_it_has_not_seen(taught):
    model, _, _, (unknowns, expected, told) = taught
    found = model.run(unknowns, None, 0)[0]
    missed = np.median(np.abs(np.log(found.runoff_depth / expected.runoff_depth)))
    said = float(told.split("not seen by ")[1].split(" %")[0]) / 100.0
    assert f"pilot of {NUMBER} cells" in told
    assert "they expect that 100 % of runoff_depth and 100 % of baseflow_index can be met" in told
    assert 0.3 * missed < said < 3.0 * missed


def test_its_derivatives_are_near_those_of_the_model(taught):
    model, _, _, (unknowns, expected, _) = taught
    step = 1e-4
    inside = (np.abs(unknowns) < 2.0).all(axis=0)
    for k in range(2):
        moved = unknowns.copy()
        moved[k] += step
        before, after = (model.run(u, None, 0)[0] for u in (unknowns, moved))
        for row, name in enumerate(NAMES):
            true = (getattr(after, name) - getattr(before, name)) / step
            size = np.quantile(np.abs(true[inside]), 0.9) + 0.02 * goal_size(expected, name)
            assert np.median(np.abs(expected.slopes[k, row] - true)[inside]) < 0.05 * size, (k, name)


def goal_size(outcome, name):
    return np.median(getattr(outcome, name))


def test_it_costs_what_its_cells_ran(taught):
    expected = taught[3][1]
    assert float(expected.cost) == pytest.approx(pilot.TRIALS * (0.75 + 0.5) * NUMBER / CELLS)


def test_the_same_seed_gives_the_same_guess(taught):
    model, _, goal, (unknowns, _, _) = taught
    stores = {"water": jnp.zeros(CELLS), "day": jnp.zeros(())}
    given = (model, stores, model.rain[:, None], first_trial(model), goal, NUMBER, CYCLES)
    np.testing.assert_array_equal(pilot.taught(*given, 0)[0], unknowns)
    assert not np.array_equal(pilot.taught(*given, 1)[0], unknowns)
