r"""The procedure of the paper: runoff depth by the first parameter, then the baseflow index by the second.

Each cell's parameter is bracketed between its bounds and found by Chandrupatla's method, every trial one run of the
model with a value of its own in every cell. The second parameter moves the first signature too, so the pair of searches
is repeated from what it found. What a pair finds depends on the second parameter alone, with which it begins, so two
pairs tell by a secant where pairs tend, however closely the signatures are coupled:

$$ u = g_2 - \gamma\,(g_2 - g_1), \qquad \gamma = \frac{f_2}{f_2 - f_1}, $$

with g what a pair found and f by how much it changed the second parameter. The point is taken where it is nearer.

Source:
    dong2026, section 3.4 (which parameter meets which signature); chandrupatla1997; anderson1965 (repeated steps
    mixed).
"""

from __future__ import annotations

import numpy as np
import scipy.optimize.elementwise

from chase_jax.calibration import bracket, damped
from chase_jax.calibration.cellwise import CLOSE, Evaluate, Fit, Goal, status_of
from chase_jax.calibration.transforms import MARGIN

NEAR_SHARE = 0.02  # 1, of the range of a parameter, first step of a search from near what is known
MIXED, MIXING = 2, (-9.0, 9.0)  # 1, pairs of searches that are mixed, and the weight of their difference
FARTHEST_SHARE = 0.2  # 1, the same at most


def standard(evaluate: Evaluate, start: np.ndarray, goal: Goal, trials: int = 12) -> Fit:
    """One parameter after the other, each found between its bounds with the others as they are.

    Args:
        evaluate: Runs a trial of unknowns (parameter, cell); the second argument asks for derivatives.
        start: (parameter, cell) unknowns to begin with, 1.
        goal: One signature for every parameter, in the same order.
        trials: Most trials of one parameter after its bounds were tried.
    """
    unknowns = np.array(start)
    share = 1.0 / (1.0 + np.exp(-unknowns))
    for row in range(len(goal.names)):

        def miss(value: np.ndarray, cell: np.ndarray, row: int = row) -> np.ndarray:
            share[row, cell] = value
            tried = np.log(share) - np.log1p(-share)
            return goal.residuals(evaluate(tried, False))[row, cell]

        cells = np.arange(unknowns.shape[1])
        low, high = np.full(cells.size, MARGIN), np.full(cells.size, 1.0 - MARGIN)
        found = scipy.optimize.elementwise.find_root(
            miss, (low, high), args=(cells,), tolerances={"fatol": CLOSE}, maxiter=trials
        )
        edge = np.where(np.abs(found.f_bracket[0]) <= np.abs(found.f_bracket[1]), low, high)
        bracketed = np.sign(found.f_bracket[0]) * np.sign(found.f_bracket[1]) <= 0
        share[row] = np.where(bracketed & np.isfinite(found.x), found.x, edge)
        unknowns = np.log(share) - np.log1p(-share)
    outcome = evaluate(unknowns, False)
    residuals = goal.residuals(outcome)
    return Fit(unknowns, residuals, None, status_of(goal, unknowns, residuals), None, ((start, unknowns),))


def again(evaluate: Evaluate, before: Fit, goal: Goal, trials: int = 6) -> Fit:
    """One parameter after the other once more, from near what is known, in cells that miss a signature.

    Args:
        evaluate: As of :func:`standard`.
        before: What was found.
        goal: One signature for every parameter, in the same order.
        trials: Most trials of one parameter.
    """
    start = before.unknowns
    slopes = np.full(start.shape, np.nan) if before.slopes is None else before.slopes.copy()
    residuals = goal.residuals(evaluate(start, False))
    seek = np.abs(residuals).max(axis=0) > CLOSE
    if len(before.pairs) == MIXED and seek.any():
        tried = np.where(seek, _mixed(before.pairs), start)
        found = goal.residuals(evaluate(tried, False))
        nearer = np.abs(found).max(axis=0) < np.abs(residuals).max(axis=0)
        start, residuals = np.where(nearer, tried, start), np.where(nearer, found, residuals)
        seek = np.abs(residuals).max(axis=0) > CLOSE
    share = 1.0 / (1.0 + np.exp(-start))
    for row in range(len(goal.names)):
        if not seek.any():
            break

        def miss(value: np.ndarray, row: int = row) -> np.ndarray:
            tried = share.copy()
            tried[row] = value
            return goal.residuals(evaluate(_unknown(tried), False))[row]

        with np.errstate(all="ignore"):
            step = np.clip(-residuals[row] / slopes[row], -FARTHEST_SHARE, FARTHEST_SHARE)
        usual = -NEAR_SHARE * np.sign(residuals[row])  # most signatures grow with their parameter
        step = np.where(np.isfinite(step) & (step != 0.0), step, usual)
        share[row], _, slope = bracket.roots(
            miss, share[row], residuals[row], seek, step, (MARGIN, 1.0 - MARGIN), CLOSE, trials
        )
        slopes[row] = np.where(np.isfinite(slope) & (slope != 0.0), slope, slopes[row])
        residuals = goal.residuals(evaluate(_unknown(share), False))
    unknowns = np.where(seek, _unknown(share), start)
    pairs = (*before.pairs, (start, unknowns))[-MIXED:]
    return Fit(unknowns, residuals, None, status_of(goal, unknowns, residuals), slopes, pairs)


def _mixed(pairs: tuple[tuple[np.ndarray, np.ndarray], ...]) -> np.ndarray:
    """Where repeated pairs of searches tend (parameter, cell), within the bounds, from what two of them did."""
    (start, end), (later_start, later_end) = pairs
    move = (later_end - later_start)[-1]
    change = move - (end - start)[-1]
    with np.errstate(all="ignore"):
        share = np.nan_to_num(np.clip(move / change, *MIXING))
    step = np.clip(share * (later_end - end), -damped.LONGEST_STEP, damped.LONGEST_STEP)
    return np.clip(later_end - step, -damped.LIMIT, damped.LIMIT)


def _unknown(share: np.ndarray) -> np.ndarray:
    """Unknowns, 1. Argument: parameters (parameter, cell) as shares of their range, 1."""
    return np.log(share) - np.log1p(-share)
