r"""The procedure of the paper: runoff depth by the first parameter, then the baseflow index by the second.

Each cell's parameter is bracketed between its bounds and found by Chandrupatla's method, every trial one run of the
model with a value of its own in every cell.

The second parameter moves the first signature too, and often more than the first parameter does, so that one search
after the other, repeated, runs away. What follows therefore seeks the second parameter with the first one in its train:
every trial value of the second comes with a search of the first, so that what is judged is the index of a cell whose
runoff is met. Once a round meets hardly any more, cells still missed begin elsewhere (:func:`cellwise.restarted`): two
values of the second parameter may yield the same index, and the runoff be within reach with one of them only.

Source:
    dong2026, section 3.4 (which parameter meets which signature); chandrupatla1997.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize.elementwise
from scipy.special import expit, logit

from chase_jax.calibration import bracket
from chase_jax.calibration.bracket import never
from chase_jax.calibration.cellwise import CLOSE, Evaluate, Fit, Goal, status_of
from chase_jax.calibration.transforms import MARGIN

NEAR_SHARE = 0.02  # 1, of the range of a parameter, first step of a search from near what is known
FARTHEST_SHARE = 0.2  # 1, the same at most


def standard(
    evaluate: Evaluate, start: np.ndarray, goal: Goal, trials: int = 12, enough: Callable[[], bool] = never
) -> Fit:
    """One parameter after the other, each found between its bounds with the others as they are.

    Args:
        evaluate: Runs a trial of unknowns (parameter, cell); the second argument asks for derivatives.
        start: (parameter, cell) unknowns to begin with, 1.
        goal: One signature for every parameter, in the same order.
        trials: Most trials of one parameter after its bounds were tried.
        enough: Asked before a trial of a parameter whose bounds were tried, and before the next parameter; where it
            says yes the search ends with what it has.
    """
    unknowns = np.array(start)
    share = expit(unknowns)

    def stop(found: object) -> None:
        if enough():
            raise StopIteration

    for row in range(len(goal.names)):
        if row > 0 and enough():
            break
        before = share[row].copy()

        def miss(value: np.ndarray, cell: np.ndarray, row: int = row) -> np.ndarray:
            share[row, cell] = value
            return goal.residuals(evaluate(logit(share), False))[row, cell]

        cells = np.arange(unknowns.shape[1])
        low, high = np.full(cells.size, MARGIN), np.full(cells.size, 1.0 - MARGIN)
        found = scipy.optimize.elementwise.find_root(
            miss, (low, high), args=(cells,), tolerances={"fatol": CLOSE}, maxiter=trials, callback=stop
        )
        edge = np.where(np.abs(found.f_bracket[0]) <= np.abs(found.f_bracket[1]), low, high)
        bracketed = np.sign(found.f_bracket[0]) * np.sign(found.f_bracket[1]) <= 0
        between = bracketed & (found.x > low) & (found.x < high)  # stopped at once, only the bounds are known
        share[row] = np.where(between, found.x, np.where(bracketed, before, edge))
    unknowns = logit(share)
    outcome = evaluate(unknowns, False)
    residuals = goal.residuals(outcome)
    return Fit(unknowns, residuals, None, status_of(goal, unknowns, residuals))


def again(
    evaluate: Evaluate,
    start: np.ndarray,
    goal: Goal,
    trials: int = 6,
    slopes: np.ndarray | None = None,
    anew: np.ndarray | None = None,
    enough: Callable[[], bool] = never,
) -> Fit:
    """The second parameter by its signature, the first one following to keep its own met, from near what is known.

    Args:
        evaluate: As of :func:`standard`.
        start: (parameter, cell) unknowns to begin with, 1.
        goal: One signature for every parameter, in the same order.
        trials: Most trials of the second parameter; half as many of the first within each.
        slopes: (parameter, cell) of a fit before it, which tell the first steps; None if there are none.
        anew: (cell,) cells that begin elsewhere, where slopes are not known and first steps are long; None for none.
        enough: Asked before a trial; where it says yes the search ends with the best so far.
    """
    share = expit(start)
    residuals = goal.residuals(evaluate(start, False))
    seek = np.abs(residuals).max(axis=0) > CLOSE
    slopes = np.full(share.shape, np.nan) if slopes is None else slopes.copy()
    size = np.full(share.shape[1], NEAR_SHARE)
    if anew is not None:
        slopes[:, anew], size[anew] = np.nan, FARTHEST_SHARE
    best, least = share.copy(), residuals.copy()

    def search(row: int, value: np.ndarray, function: Callable[[np.ndarray], np.ndarray], most: int) -> np.ndarray:
        with np.errstate(all="ignore"):
            step = np.clip(-value / slopes[row], -FARTHEST_SHARE, FARTHEST_SHARE)
        usual = -size * np.sign(value)  # most signatures grow with their parameter
        step = np.where(np.isfinite(step) & (step != 0.0), step, usual)
        bounds = (MARGIN, 1.0 - MARGIN)
        found, _, slope = bracket.roots(function, share[row].copy(), value, seek, step, bounds, CLOSE, most, enough)
        slopes[row] = np.where(np.isfinite(slope) & (slope != 0.0), slope, slopes[row])
        return found

    def ask() -> np.ndarray:
        nonlocal best, least
        found = goal.residuals(evaluate(logit(share), False))
        nearer = np.abs(found).max(axis=0) < np.abs(least).max(axis=0)
        best, least = np.where(nearer, share, best), np.where(nearer, found, least)
        return found

    def first(value: np.ndarray) -> np.ndarray:
        share[0] = value
        return ask()[0]

    def last(value: np.ndarray) -> np.ndarray:
        share[1] = value
        share[0] = search(0, ask()[0], first, max(trials // 2, 2))
        return ask()[1]

    if seek.any():
        share[0] = search(0, residuals[0], first, trials)
        if len(share) > 1:
            share[1] = search(1, ask()[1], last, trials)
    unknowns = np.where(seek, logit(best), start)
    return Fit(unknowns, least, None, status_of(goal, unknowns, least), slopes)
