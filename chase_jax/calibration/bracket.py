"""Roots of many functions of one unknown each at once, sought from near: what is known already saves the bounds.

From a first guess each search goes on in the direction in which its function shrinks, by the secant but no more than a
few times as far as before, until the sign changes, or a bound is reached, then turns to the other side. Between two
signs it goes on by regula falsi in the form of Illinois, which halves the value at the end that stays.

Source:
    dowell1971 (Illinois).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

WIDENED = (0.5, 4.0)  # 1, of successive steps before the sign has changed
BEYOND = 1.1  # 1, of the secant, so that the sign changes
EDGE = 0.02  # 1, part of a bracket from its ends that no trial comes closer to, where rounding would stall it


def never() -> bool:
    """The answer of a search that may cost whatever it costs."""
    return False


def roots(
    function: Callable[[np.ndarray], np.ndarray],
    guess: np.ndarray,
    value: np.ndarray,
    seek: np.ndarray,
    step: np.ndarray,
    bounds: tuple[float, float],
    close: float,
    trials: int,
    enough: Callable[[], bool] = never,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The closest points to roots (cell,) that were tried, their values, and the slope of the last two points.

    Args:
        function: Values (cell,) at points (cell,), 1; all cells are asked, those that are done at their best points.
        guess (cell,): First points, within the bounds.
        value (cell,): Their values.
        seek (cell,): Cells to seek in; the others stay.
        step (cell,): First step, its sign the direction.
        bounds: Smallest and largest point.
        close: Absolute value at which a search ends.
        trials: Most trials.
        enough: Asked before every trial; where it says yes the search ends.
    """
    low, high = bounds
    best, least = guess.copy(), value.copy()
    a, fa = guess.copy(), value.copy()  # the end that stays, once there are two signs
    b, fb = guess.copy(), value.copy()  # the newest point
    between = np.zeros(guess.shape, bool)
    length, slope = np.array(step), np.full(guess.shape, np.nan)
    last = guess, value
    turned = np.zeros(guess.shape, bool)
    for _ in range(trials):
        active = seek & (np.abs(least) > close)
        if enough() or not active.any():
            break
        away = np.clip(b + length, low, high)
        with np.errstate(all="ignore"):
            share = np.clip(fa / (fa - fb), EDGE, 1.0 - EDGE)
        inside = a + np.where(np.isfinite(share), share, 0.5) * (b - a)
        tried = np.where(active, np.where(between, inside, away), best)
        found = function(tried)
        nearer = active & (np.abs(found) < np.abs(least))
        best, least = np.where(nearer, tried, best), np.where(nearer, found, least)
        crossed = active & (np.sign(found) != np.sign(fb))
        # two signs: the last point becomes the other end; else the end that stays counts half (Illinois)
        stays = active & between & ~crossed
        a, fa = np.where(crossed, b, a), np.where(crossed, fb, np.where(stays, 0.5 * fa, fa))
        worse = active & ~between & ~crossed & ((np.abs(found) > np.abs(fb)) | (tried == b))
        turn = worse & ~turned
        with np.errstate(all="ignore"):
            rise = (found - last[1]) / (tried - last[0])
            further = -BEYOND * found / rise / length
            further = np.where(further > 0.0, np.clip(further, *WIDENED), WIDENED[1])
        slope = np.where(active & np.isfinite(rise), rise, slope)
        last = np.where(active, tried, last[0]), np.where(active, found, last[1])
        b, fb = np.where(active & ~turn, tried, b), np.where(active & ~turn, found, fb)
        # the other side begins where the first one did
        b, fb = np.where(turn, guess, b), np.where(turn, value, fb)
        length = np.where(turn, -2.0 * np.asarray(step), length * further)
        turned |= turn
        between |= crossed
    return best, least, slope
