r"""Roughness of each basin by the correlation of discharge at its gauge, from upstream to downstream.

The gauges of one level are searched together, because none of them feels another's basin: every trial is one run with a
value of its own in each basin. `standard` is a golden section in the logarithm of roughness; `gradient` brackets the
root of the derivative of the correlation, which comes through the routing by one tangent for all basins of a level.

Source:
    dong2026, section 3.4 (the target, halves of the record, order of basins); kiefer1953; chandrupatla1997.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.optimize.elementwise

from chase_jax.calibration.damped import LIMIT
from chase_jax.calibration.routing import Basins

GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
CLOSE = 0.05  # 1, of the unknown at which a search ends; half a percent of the range of the logarithm or less

Correlation = Callable[[np.ndarray], np.ndarray]
Slope = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass
class Count:
    """Runs spent.

    Attributes:
        plain: Runs without derivatives.
        with_slope: Runs with them.
    """

    plain: int = 0
    with_slope: int = 0


def standard(correlation: Correlation, start: np.ndarray, basins: Basins, count: Count) -> np.ndarray:
    """Unknowns (gauge,) of roughness by golden section, level after level.

    Args:
        correlation: Correlations (gauge,) of a trial of unknowns (gauge,).
        start: (gauge,) unknowns to begin with, 1.
        basins: The order of the gauges.
        count: Runs spent, added to.
    """
    unknowns = np.array(start)
    for level in basins.levels:

        def miss(tried: np.ndarray, level: np.ndarray = level) -> np.ndarray:
            unknowns[level] = tried
            count.plain += 1
            return -correlation(unknowns)[level]

        low, high = np.full(level.size, -LIMIT), np.full(level.size, LIMIT)
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        at_left, at_right = miss(left), miss(right)
        while (high - low).max() > CLOSE:
            lower = at_left < at_right  # the minimum lies to the left of `right`
            low, high = np.where(lower, low, left), np.where(lower, right, high)
            new_left, new_right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
            tried = np.where(lower, new_left, new_right)
            found = miss(tried)
            at_left, at_right = np.where(lower, found, at_right), np.where(lower, at_left, found)
            left, right = new_left, new_right
        unknowns[level] = np.where(at_left < at_right, left, right)
    return unknowns


def gradient(slope: Slope, start: np.ndarray, basins: Basins, count: Count, trials: int = 10) -> np.ndarray:
    """Unknowns (gauge,) of roughness by the root of the derivative of the correlation, level after level.

    Args:
        slope: Correlations (gauge,) of a trial of unknowns (gauge,) and their derivatives along a direction (gauge,).
        start: (gauge,) unknowns to begin with, 1.
        basins: The order of the gauges.
        count: Runs spent, added to.
        trials: Most runs of a level.
    """
    unknowns = np.array(start)
    for level in basins.levels:
        direction = np.zeros(unknowns.size)
        direction[level] = 1.0

        def falling(tried: np.ndarray, gauge: np.ndarray, direction: np.ndarray = direction) -> np.ndarray:
            unknowns[gauge] = tried
            count.with_slope += 1
            return -slope(unknowns, direction)[1][gauge]

        at_start = falling(unknowns[level].copy(), level)
        low = np.where(at_start > 0.0, -LIMIT, start[level])
        high = np.where(at_start > 0.0, start[level], LIMIT)
        found = scipy.optimize.elementwise.find_root(
            falling, (low, high), args=(level,), tolerances={"xatol": CLOSE}, maxiter=trials
        )
        bracketed = np.sign(found.f_bracket[0]) * np.sign(found.f_bracket[1]) <= 0
        unknowns[level] = np.where(bracketed, found.x, np.where(at_start > 0.0, low, high))
    return unknowns
