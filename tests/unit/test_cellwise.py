"""The searches of a cell, on functions whose solution is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.optimize

from chase_jax.calibration import alternating, cellwise, damped, free
from chase_jax.calibration.cellwise import Fit, Goal
from chase_jax.calibration.trial import Outcome

CELLS = 40
NAMES = ("runoff_depth", "baseflow_index")


def share(unknown):
    return 1.0 / (1.0 + np.exp(-unknown))


class Cell:
    """Runoff grows with the first parameter and a little with the second; the index falls and grows with them."""

    def __init__(self, coupling=0.1):
        self.base = np.linspace(50.0, 900.0, CELLS)
        self.coupling, self.trials = coupling, []

    def values(self, unknowns):
        fast, slow = share(unknowns)
        runoff = self.base * (1.0 + 1.5 * fast**1.5 + self.coupling * slow)
        return np.stack([runoff, 0.9 * slow * (1.0 - 0.8 * fast) + 0.05])

    def __call__(self, unknowns, slopes):
        self.trials.append(slopes)
        found, along = self.values(unknowns), None
        if slopes:
            step = 1e-6
            moved = [self.values(unknowns + step * np.eye(2)[k][:, None]) for k in range(2)]
            along = np.stack([(value - found) / step for value in moved])
        return Outcome(*found, np.zeros(CELLS), np.array(1.0), along)


@pytest.fixture
def hidden():
    draw = np.random.default_rng(5)
    return draw.uniform(-2.0, 2.0, (2, CELLS))


START = np.full((2, CELLS), -1.0)


@pytest.mark.parametrize("derivatives", cellwise.DERIVATIVES)
def test_gauss_newton_finds_both_parameters(hidden, derivatives):
    cell = Cell()
    goal = Goal(cell.values(hidden), NAMES)
    fit = cellwise.gauss_newton(cell, START, goal, derivatives)
    assert (np.abs(fit.residuals) <= 1.0).all()
    assert (fit.status == cellwise.MET).all()
    assert np.median(np.abs(share(fit.unknowns) - share(hidden))) < 0.01
    assert len(cell.trials) <= 11
    assert sum(cell.trials) == {"always": len(cell.trials), "first": 1, "never": 0}[derivatives]


@pytest.mark.parametrize("deviation", [0.05, 1.0, 20.0])
def test_maps_are_weighed_against_what_is_known_of_the_parameters(hidden, deviation):
    """The likeliest unknowns are those that a minimum of the same squares by another way has; both ends are plain."""
    cell = Cell()
    values = cell.values(hidden)
    spread = np.stack([0.1 * values[0], np.full(CELLS, 0.05)])
    goal = Goal(values, NAMES, cellwise.Prior(START, deviation, spread))
    np.testing.assert_array_equal(goal.tolerance, spread)
    fit = cellwise.gauss_newton(cell, START, goal, "always", 30)
    known, chosen = Goal(values, NAMES).tolerance, range(0, CELLS, 8)

    def squares(unknowns, k):
        whole = START.copy()
        whole[:, k] = unknowns
        return (((cell.values(whole) - values) / spread)[:, k] ** 2).sum() + ((unknowns - START[:, k]) ** 2).sum() / (
            deviation**2
        )

    for k in chosen:
        other = scipy.optimize.minimize(squares, START[:, k], (k,), "Nelder-Mead", options={"xatol": 1e-6})
        np.testing.assert_allclose(fit.unknowns[:, k], other.x, atol=0.03)
    moved = np.abs(fit.unknowns - START)
    missed = np.abs(cell.values(fit.unknowns) - values) / known
    assert (moved.max() < 0.1) == (deviation == 0.05)
    assert (np.median(missed) < 1.0) == (deviation == 20.0)


class Crawling(Cell):
    """The first cells seem to answer eight times as much as they do, so that a trial mends an eighth of a miss."""

    def __init__(self, crawling):
        super().__init__()
        self.pretended = np.where(np.arange(CELLS) < crawling, 8.0, 1.0)

    def __call__(self, unknowns, slopes):
        found = super().__call__(unknowns, slopes)
        return dataclasses.replace(found, slopes=found.slopes * self.pretended)


@pytest.mark.parametrize(("crawling", "few", "ended"), [(0, 0.005, True), (3, 0.005, False), (3, 0.1, True)])
def test_a_search_ends_when_few_cells_come_on(hidden, monkeypatch, crawling, few, ended):
    """Few is a share of all: three of forty are not, unless a tenth counts as few."""
    monkeypatch.setattr(cellwise, "FEW", few)
    cell = Crawling(crawling)
    goal = Goal(cell.values(hidden), NAMES)
    fit = cellwise.gauss_newton(cell, START, goal, "always", trials=30)
    assert (fit.status[3:] == cellwise.MET).all()
    assert (len(cell.trials) < 20) == ended


def test_a_search_that_may_cost_no_more_keeps_the_best_it_has(hidden):
    cell = Cell()
    goal = Goal(cell.values(hidden), NAMES)
    whole = cellwise.gauss_newton(cell, START, goal)
    spent, cell.trials = len(cell.trials), []
    part = cellwise.gauss_newton(cell, START, goal, enough=lambda: len(cell.trials) >= 4)
    assert len(cell.trials) == 4 < spent
    missed = [np.abs(residuals).sum() for residuals in (goal.residuals(cell(START, False)), part.residuals)]
    assert np.abs(whole.residuals).sum() < missed[1] < missed[0]
    np.testing.assert_array_equal(goal.residuals(cell(part.unknowns, False)), part.residuals)

    first = alternating.standard(cell, START, goal)
    cell.trials = []
    repeated = alternating.again(cell, first.unknowns, goal, slopes=first.slopes, enough=lambda: len(cell.trials) >= 5)
    assert 5 <= len(cell.trials) <= 7
    np.testing.assert_array_equal(goal.residuals(cell(repeated.unknowns, False)), repeated.residuals)


def test_standard_finds_one_parameter_after_the_other(hidden):
    cell = Cell(coupling=0.0)
    goal = Goal(cell.values(hidden), NAMES)
    fit = alternating.standard(cell, START, goal)
    assert (fit.status == cellwise.MET).all()
    assert not any(cell.trials)
    assert len(cell.trials) <= 2 * (12 + 2) + 1


@pytest.mark.parametrize(("most", "second"), [(4, False), (9, False), (10, True)])
def test_standard_stops_when_asked_with_what_it_has(hidden, most, second):
    cell = Cell(coupling=0.0)
    goal = Goal(cell.values(hidden), NAMES)
    fit = alternating.standard(cell, START, goal, enough=lambda: len(cell.trials) >= most)
    assert most <= len(cell.trials) <= most + 3  # the bounds of the next parameter, and what was found
    np.testing.assert_array_equal(goal.residuals(cell(fit.unknowns, False)), fit.residuals)
    assert np.allclose(fit.unknowns[1], START[1]) is not second  # whether it was sought
    assert (np.abs(fit.unknowns) < damped.LIMIT - 1.0).all()  # a bound is no answer before the search began
    begun = np.abs(goal.residuals(cell(START, False)))[0]
    assert np.median(np.abs(fit.residuals[0])) < 0.5 * np.median(begun)


def test_derivatives_that_runs_give_are_not_sought_by_differences(hidden):
    cell = Cell()
    goal = Goal(cell.values(hidden), NAMES)
    fit = cellwise.gauss_newton(cell, START, goal, "always", 6, anew=np.ones(CELLS, bool))
    assert all(cell.trials)
    assert (np.abs(fit.residuals) <= 1.0).mean() > 0.9


@pytest.mark.parametrize("coupling", [0.3, 1.5])
def test_standard_misses_runoff_where_the_second_parameter_moves_it_and_repeating_it_mends_that(hidden, coupling):
    cell = Cell(coupling)
    goal = Goal(cell.values(hidden), NAMES)
    first = alternating.standard(cell, START, goal)
    assert np.mean(np.abs(first.residuals[0]) <= 1.0) < 0.3
    fit, runs = first, len(cell.trials)
    for _ in range(2):
        fit = alternating.again(cell, fit.unknowns, goal, slopes=fit.slopes)
    assert (np.abs(fit.residuals) <= 1.0).all()
    assert (fit.status == cellwise.MET).all()
    assert not any(cell.trials)
    same = alternating.again(cell, fit.unknowns, goal, slopes=fit.slopes)
    np.testing.assert_array_equal(same.unknowns, fit.unknowns)
    assert len(cell.trials) - runs <= 1 + 2 * 60


def test_a_cell_whose_derivatives_are_no_number_stays_and_the_others_go_on(hidden):
    cell = Cell()
    goal = Goal(cell.values(hidden), NAMES)

    def broken(unknowns, slopes):
        found = cell(unknowns, slopes)
        if slopes:
            found.slopes[:, :, 3] = np.nan
        return found

    fit = cellwise.gauss_newton(broken, START, goal, "first")
    np.testing.assert_array_equal(fit.unknowns[:, 3], START[:, 3])
    assert fit.status[3] == cellwise.NOT_MET
    assert (np.delete(fit.status, 3) == cellwise.MET).all()


@pytest.mark.parametrize("method", ["standard", "gradient"])
def test_what_cannot_be_reached_is_told_apart_and_approached(hidden, method):
    cell = Cell()
    target = cell.values(hidden)
    target[0, 0], target[1, 1], target[:, 2] = 5.0, 0.99, (1e5, 0.99)
    goal = Goal(target, NAMES)
    find = alternating.standard if method == "standard" else cellwise.gauss_newton
    fit = find(cell, START, goal)
    assert fit.status[0] == cellwise.RUNOFF_OUT_OF_REACH
    assert fit.status[1] == cellwise.INDEX_OUT_OF_REACH
    assert fit.status[2] == cellwise.BOTH_OUT_OF_REACH
    assert np.isfinite(fit.unknowns).all()
    assert (np.abs(fit.unknowns) <= damped.LIMIT + 1e-9).all()
    assert fit.unknowns[0, 0] < -5.0
    assert fit.unknowns[1, 1] > 5.0
    if method == "gradient":
        assert (fit.status[3:] == cellwise.MET).all()


def test_one_signature_alone_moves_its_own_parameter(hidden):
    cell = Cell()
    goal = Goal(cell.values(np.stack([hidden[0], START[1]]))[:1], NAMES[:1])

    def alone(unknowns, slopes):
        found = cell(np.concatenate([unknowns, START[1:]]), slopes)
        slopes = None if found.slopes is None else found.slopes[:1]
        return Outcome(found.runoff_depth, found.baseflow_index, found.drift, found.cost, slopes)

    for fit in (cellwise.gauss_newton(alone, START[:1], goal), alternating.standard(alone, START[:1], goal)):
        assert fit.unknowns.shape == (1, CELLS)
        assert (fit.status == cellwise.MET).all()


def test_a_parameter_without_effect_stays_and_is_not_identifiable(hidden):
    def deaf(unknowns, slopes):
        found = Cell()(np.stack([unknowns[0], START[1]]), slopes)
        if slopes:
            found.slopes[1] = 0.0
        return found

    goal = Goal(Cell().values(np.stack([hidden[0], START[1]])), NAMES)
    goal = Goal(np.stack([goal.values[0], deaf(START, False).baseflow_index]), NAMES)
    fit = cellwise.gauss_newton(deaf, START, goal, "always")
    np.testing.assert_allclose(fit.unknowns[1], START[1], atol=1e-9)
    able = cellwise.identifiable([free.dcor("D5"), free.baseflow_factor()], fit, goal)
    assert able[0].mean() > 0.9
    assert not able[1].any()


class Plateau(Cell):
    """The index feels the second parameter only in the middle of its range."""

    def values(self, unknowns):
        fast, _ = share(unknowns)
        slow = share(6.0 * unknowns[1] + 3.0)
        return np.stack([self.base * (1.0 + 1.5 * fast), 0.8 * slow * (1.0 - 0.5 * fast) + 0.05])


def test_cells_stuck_where_no_derivative_leads_back_begin_anew():
    cell = Plateau()
    truth = np.stack([np.linspace(-1.5, 1.5, CELLS), np.linspace(-0.9, -0.2, CELLS)])
    goal, start = Goal(cell.values(truth), NAMES), np.stack([np.zeros(CELLS), np.full(CELLS, 3.0)])
    fit = cellwise.gauss_newton(cell, start, goal, "never")
    assert (fit.status != cellwise.MET).any()
    for number in (1, 2, 3):
        begin, anew = cellwise.restarted(fit, number)
        np.testing.assert_array_equal(begin[:, ~anew], fit.unknowns[:, ~anew])
        found = cellwise.gauss_newton(cell, begin, goal, "never", 8, fit.jacobian, anew)
        before, fit = fit, cellwise.nearer(found, fit, anew)
        assert (np.abs(fit.residuals).max(axis=0) <= np.abs(before.residuals).max(axis=0) + 1e-9).all()
    assert (fit.status == cellwise.MET).all()


class Twofold(Cell):
    """Two values of the second parameter yield the same index, and with the larger one there is too much runoff."""

    def values(self, unknowns):
        fast, slow = share(unknowns)
        return np.stack([self.base * (1.0 + 1.5 * fast) * (1.0 + 1.5 * slow), 0.1 + 2.8 * slow * (1.0 - slow)])


def test_standard_begins_anew_in_cells_that_it_misses_and_keeps_what_is_nearer():
    cell = Twofold()
    truth = np.stack([np.linspace(-2.0, -1.2, CELLS), np.linspace(-1.5, -0.8, CELLS)])
    stuck = np.arange(CELLS) % 2 == 0
    start = np.where(stuck, np.stack([np.full(CELLS, -damped.LIMIT), -truth[1]]), truth + 0.1)
    goal = Goal(cell.values(truth), NAMES)
    residuals = goal.residuals(cell(start, False))
    fit = Fit(start, residuals, None, cellwise.status_of(goal, start, residuals))
    for _ in range(2):
        fit = alternating.again(cell, fit.unknowns, goal, slopes=fit.slopes)
    np.testing.assert_array_equal(fit.status, np.where(stuck, cellwise.RUNOFF_OUT_OF_REACH, cellwise.MET))
    np.testing.assert_array_equal(cellwise.restarted(fit, 1)[1], stuck)
    for number in (1, 2, 3):
        begin, anew = cellwise.restarted(fit, number)
        assert (begin[0, anew] == 0.0).all()
        before, found = fit, alternating.again(cell, begin, goal, slopes=fit.slopes, anew=anew)
        fit = cellwise.nearer(found, fit, anew)
        assert (np.abs(fit.residuals).max(axis=0) <= np.abs(before.residuals).max(axis=0)).all()
    assert (fit.status == cellwise.MET).all()
    assert not any(cell.trials)


def test_the_goal_of_a_part_of_the_period_moves_with_how_that_differs():
    goal = Goal(np.array([[300.0, 200.0, 0.0], [0.5, 0.3, 0.2]]), NAMES)

    def outcome(runoff, index):
        return Outcome(np.array(runoff), np.array(index), np.zeros(3), np.array(1.0))

    moved = goal.of_part(outcome([100.0, 400.0, 0.0], [0.4, 0.4, 0.4]), outcome([200.0, 400.0, 0.0], [0.5, 0.4, 0.3]))
    np.testing.assert_allclose(moved.values, [[600.0, 200.0, 0.0], [0.6, 0.3, 0.1]])
    assert moved.names == NAMES
