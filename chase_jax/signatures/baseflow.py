r"""Baseflow of a daily series, and the two signatures: mean runoff depth and baseflow index.

Five separations for observed records (NumPy; a gap ends a run of days, each run is separated by itself): the three of
HYSEP (sloto1996) and two recursive filters (lyne1979, eckhardt2005). For simulated series, which have no gaps, the
sliding interval again as differentiable functions of JAX: exact, and smoothed.

A minimum has a derivative of one with respect to the smallest flow of its window and of zero with respect to the
others; equal flows share it. The smoothed minimum spreads it over all flows of the window that lie within about
1/`sharpness` of the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

SQUARE_MILE = 2.589988110336e6  # m2
SHORTEST, LONGEST = 3, 11  # days, of the interval of HYSEP (sloto1996)
YEAR = 365.25  # days
FILTER_PARAMETER, FILTER_PASSES = 0.925, 3  # 1; nathan1990, ladson2013
REFLECTED = 30  # days that a record is continued by its mirror image at both ends, against warm-up; ladson2013
RECESSION, LARGEST_INDEX = 0.98, 0.8  # 1; perennial streams on porous aquifers, eckhardt2005
SHARPNESS = 200.0  # 1; the error of a soft minimum over 11 days stays below 0.6 %
FLOOR = 1e-6  # added to flows, in their unit, so that a day without flow has a logarithm


def interval(area: float) -> int:
    r"""Width of the interval of HYSEP: the odd number nearest to $2 N$ between 3 and 11, $N = A^{0.2}$.

    Args:
        area: Drainage area, m2; the formula takes it in square miles.

    Returns:
        Days.

    Source:
        sloto1996, after pettyjohn1979.
    """
    twice = 2.0 * (area / SQUARE_MILE) ** 0.2
    return int(min(max(2 * round((twice - 1.0) / 2.0) + 1, SHORTEST), LONGEST))


def runs(flow: np.ndarray) -> Iterator[slice]:
    """The stretches of a record without a gap.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
    """
    there = np.isfinite(flow).astype(np.int8)
    edges = np.flatnonzero(np.diff(there, prepend=0, append=0))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(first), int(end))


def by_runs(flow: np.ndarray, separate: Callable[[np.ndarray], np.ndarray], shortest: int) -> np.ndarray:
    """Baseflow of a record with gaps, run by run.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        separate: Baseflow of a series without gaps.
        shortest: Days a run must have; shorter ones have no baseflow.

    Returns:
        (time,) baseflow in the unit of the flow, NaN in gaps and short runs.
    """
    flow = np.asarray(flow, dtype=float)
    baseflow = np.full(flow.shape, np.nan)
    for run in runs(flow):
        if run.stop - run.start >= shortest:
            baseflow[run] = separate(flow[run])
    return baseflow


def fixed_interval(flow: np.ndarray, days: int) -> np.ndarray:
    """HYSEP, fixed interval: the lowest flow of each block of days; the last block may be shorter.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        days: Width of the interval, days.
    """

    def separate(series: np.ndarray) -> np.ndarray:
        starts = np.arange(0, series.size, days)
        return np.repeat(np.minimum.reduceat(series, starts), np.diff(starts, append=series.size))

    return by_runs(flow, separate, days)


def sliding_interval(flow: np.ndarray, days: int) -> np.ndarray:
    """HYSEP, sliding interval: the lowest flow within half the interval before and after a day.

    The first and the last days, whose window would leave the run, take the value of the nearest whole window.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        days: Width of the interval, odd, days.
    """
    return by_runs(flow, lambda series: np.pad(_lowest(series, days), days // 2, mode="edge"), days)


def local_minimum(flow: np.ndarray, days: int) -> np.ndarray:
    """HYSEP, local minima: days that are lowest in their interval, joined by straight lines of the logarithm.

    Baseflow never exceeds flow; beyond the outermost minima it keeps their value. A line to a day without flow is
    straight in flow itself.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        days: Width of the interval, odd, days.
    """

    def separate(series: np.ndarray) -> np.ndarray:
        half = days // 2
        low = np.flatnonzero(_lowest(series, days) == series[half : series.size - half]) + half
        if low.size == 0:
            return np.full(series.shape, series.min())
        day = np.arange(series.size)
        joined = np.interp(day, low, series[low])
        wet = series[low] > 0.0
        before = np.clip(np.searchsorted(low, day, side="right") - 1, 0, low.size - 1)
        after = np.clip(np.searchsorted(low, day), 0, low.size - 1)
        logarithm = np.log(np.where(wet, series[low], 1.0))
        geometric = np.exp(np.interp(day, low, logarithm))
        return np.minimum(np.where(wet[before] & wet[after], geometric, joined), series)

    return by_runs(flow, separate, days)


def _lowest(series: np.ndarray, days: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(series, days).min(axis=1)


def lyne_hollick(flow: np.ndarray, parameter: float = FILTER_PARAMETER, passes: int = FILTER_PASSES) -> np.ndarray:
    r"""Recursive filter of the quick flow, forth and back, $f_t = a f_{t-1} + \tfrac{1+a}{2} (q_t - q_{t-1})$.

    Baseflow is flow less quick flow where that is positive, else flow; each pass filters the baseflow of the last.
    A run is continued by its mirror image for 30 days at both ends.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        parameter: The filter parameter a, 1.
        passes: Number of passes, 1; every second one runs back in time.

    Source:
        lyne1979; nathan1990 for the parameter; ladson2013 for passes and ends.
    """

    def separate(series: np.ndarray) -> np.ndarray:
        more = min(REFLECTED, series.size - 1)
        values = np.pad(series, more, mode="reflect").tolist()  # plain numbers: a recursion is faster on them
        gain = 0.5 * (1.0 + parameter)
        for number in range(passes):
            values = values[::-1] if number else values
            quick, last, filtered = 0.0, values[0], []
            for value in values:
                quick = parameter * quick + gain * (value - last)
                last = value
                filtered.append(value - quick if quick > 0.0 else value)
            values = filtered
        values = values if passes % 2 else values[::-1]
        return np.asarray(values)[more : more + series.size]

    return by_runs(flow, separate, REFLECTED + 1)


def eckhardt(flow: np.ndarray, recession: float = RECESSION, largest_index: float = LARGEST_INDEX) -> np.ndarray:
    r"""Recursive filter with two parameters, $b_t = \frac{(1-B) a b_{t-1} + (1-a) B q_t}{1 - a B}$, at most $q_t$.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        recession: Recession constant a of a day, 1.
        largest_index: Largest baseflow index B the filter can yield, 1.

    Source:
        eckhardt2005, eq. 23; a run begins with B times its first flow.
    """

    def separate(series: np.ndarray) -> np.ndarray:
        bottom = 1.0 - recession * largest_index
        keep = (1.0 - largest_index) * recession / bottom
        gain = (1.0 - recession) * largest_index / bottom
        base, found = largest_index * float(series[0]), []
        for number, value in enumerate(series.tolist()):
            base = min(keep * base + gain * value, value) if number else base
            found.append(base)
        return np.asarray(found)

    return by_runs(flow, separate, 1)


def runoff_depth(flow: np.ndarray) -> float:
    """Mean runoff depth over the days of a record that are there, mm per year.

    Args:
        flow (time,): Flow per area of the basin, mm per day, NaN where missing.
    """
    return float(np.nanmean(flow)) * YEAR


def baseflow_index(flow: np.ndarray, baseflow: np.ndarray) -> float:
    """Total baseflow over total flow, 1, over the days that have both; NaN without flow.

    Args:
        flow (time,): Flow, any unit, NaN where missing.
        baseflow (time,): Baseflow in the same unit, NaN where there is none.
    """
    both = np.isfinite(flow) & np.isfinite(baseflow)
    total = float(np.sum(flow[both]))
    return float(np.sum(baseflow[both])) / total if total > 0.0 else math.nan


def sliding_minimum(flow: jax.Array, days: int) -> jax.Array:
    """The baseflow of :func:`sliding_interval`, differentiable; equal flows of a window share the derivative.

    Windows of 1, 2, 4, 8 days are joined, so that the cost grows with the logarithm of the interval.

    Args:
        flow (time, ...): Flow without gaps, any unit.
        days: Width of the interval, odd, days.

    Returns:
        (time, ...) baseflow in the unit of the flow.
    """
    lowest, width = jnp.asarray(flow), 1
    while width < days:
        shift = min(width, days - width)
        lowest = jnp.minimum(lowest[:-shift], lowest[shift:])
        width += shift
    return _edged(lowest, days)


def soft_sliding_minimum(flow: jax.Array, days: int, sharpness: float = SHARPNESS, floor: float = FLOOR) -> jax.Array:
    r"""A smooth stand-in for :func:`sliding_minimum`, $m = \sqrt[2p]{n} \left(\sum q^{-p}\right)^{-1/p}$.

    The sum of powers lies between the minimum and $n^{-1/p}$ times it; the factor puts the error in the middle: it is
    at most $\ln n / (2p)$ of the minimum either way, 0.6 % for n = 11 days and p = 200. It rises with every flow.

    Args:
        flow (time, ...): Flow without gaps, any unit, at least 0.
        days: Width of the interval n, odd, days.
        sharpness: The power p, 1.
        floor: Added to flows and taken off again, in their unit.

    Returns:
        (time, ...) baseflow in the unit of the flow.
    """
    flow = jnp.asarray(flow)
    logarithm = -sharpness * jnp.log(jnp.maximum(flow, 0.0) + floor)
    count = flow.shape[0] - days + 1
    windows = jnp.stack([logarithm[first : first + count] for first in range(days)])
    lowest = jnp.exp((0.5 * math.log(days) - logsumexp(windows, axis=0)) / sharpness) - floor
    return _edged(lowest, days)


def _edged(lowest: jax.Array, days: int) -> jax.Array:
    """Whole windows (window, ...), with the first and the last repeated for the days beyond."""
    half = ((days // 2, days // 2), *((0, 0),) * (lowest.ndim - 1))
    return jnp.pad(lowest, half, mode="edge")


def mean_runoff_depth(flow: jax.Array) -> jax.Array:
    """Mean runoff depth (...), mm per year, of simulated flow; differentiable.

    Args:
        flow (time, ...): Flow per area, mm per day, without gaps.
    """
    return jnp.mean(flow, axis=0) * YEAR


def sliding_baseflow_index(
    flow: jax.Array,
    days: int | np.ndarray,
    sharpness: float | None = None,
    known: np.ndarray | None = None,
    least: float = 0.0,
) -> jax.Array:
    """Baseflow index (...), 1, of simulated flow by the sliding interval; differentiable, 0 where nothing flows.

    Water that flows back counts as no flow. The lowest flow around a day is that of the days that count, so that a gap
    does not end the series.

    Args:
        flow (time, ...): Flow without gaps, any unit.
        days (...): Width of the interval, odd, days: one, or one for every series.
        sharpness: Power of the soft minimum, 1; None: the exact minimum.
        known (time, ...): Days that count; None for all.
        least: Mean flow below which the index fades to 0, in the unit of the flow.
    """
    flow = jnp.maximum(flow, 0.0)
    around = flow if known is None else jnp.where(known, flow, jnp.inf)
    base = jnp.zeros(flow.shape)
    for width in np.unique(days):
        one = (
            sliding_minimum(around, int(width))
            if sharpness is None
            else soft_sliding_minimum(around, int(width), sharpness)
        )
        base = jnp.where(days == width, one, base)
    if known is not None:
        flow, base = jnp.where(known, flow, 0.0), jnp.where(known, base, 0.0)
    total = jnp.maximum(jnp.mean(flow, axis=0), least)
    wet = total > 0.0
    return jnp.where(wet, jnp.mean(base, axis=0) / jnp.where(wet, total, 1.0), 0.0)
