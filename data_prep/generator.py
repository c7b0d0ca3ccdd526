r"""Days that fit the months: a stochastic generator of daily precipitation and temperature.

Precipitation follows a Markov chain of wet and dry days with gamma distributed amounts, temperature an autoregressive
process about the course of the year (richardson1981). Both are fitted to the given months exactly: amounts are scaled
to the month's sum, temperatures shifted to its mean. One sequence of random numbers serves all points, so that
neighbours are wet on the same days; the same seed gives the same days.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.special

from chase_jax.checks import require, require_between, require_shape

# Wet days of a month grow with its precipitation to this power (new2000); the share at 100 kg m-2 is this project's.
WET_EXPONENT, WET_SHARE_REFERENCE, REFERENCE_MONTH = 0.45, 0.42, 100.0
LARGEST_WET_SHARE = 0.95  # 1
WET_AFTER_DRY = 0.75  # 1, chance of rain after a dry day over the share of wet days; geng1986
AMOUNT_SHAPE = 0.75  # 1, shape of the gamma distribution; between the 0.5 and 1 of richardson1981 and geng1986
TEMPERATURE_MEMORY = 0.7  # 1, correlation of the weather of two days; richardson1981 finds 0.6 to 0.75
TEMPERATURE_SPREAD = 3.5  # K, standard deviation about the course of the year


def wet_day_share(precipitation: np.ndarray, days: np.ndarray) -> np.ndarray:
    r"""Share of wet days of a month, $0.42\,(P/100)^{0.45}$ where P is for 30 days, at most 0.95, 1.

    Args:
        precipitation (month, ...): Precipitation of the month P, kg m-2.
        days (month, ...): Days of the month, broadcasts against `precipitation`.

    Source:
        new2000 for the exponent.
    """
    share = WET_SHARE_REFERENCE * (precipitation * 30.0 / days / REFERENCE_MONTH) ** WET_EXPONENT
    return np.minimum(share, LARGEST_WET_SHARE)


def daily_from_monthly(
    precipitation: np.ndarray,
    temperature: np.ndarray,
    start: str,
    seed: int,
    wet_share: np.ndarray | None = None,
    spread: float = TEMPERATURE_SPREAD,
) -> tuple[pd.DatetimeIndex, np.ndarray, np.ndarray]:
    """Daily precipitation and temperature whose monthly sums and means are the given ones.

    Args:
        precipitation (month, ...): Precipitation of each month, kg m-2.
        temperature (month, ...): Mean temperature of each month, K.
        start: The first month, such as "1952-10".
        seed: Seed of the random numbers, >= 0.
        wet_share (month, ...): Share of wet days, 1; that of :func:`wet_day_share` if None.
        spread: Standard deviation of temperature about the course of the year, K.

    Returns:
        The days (time,), precipitation (time, ...), kg m-2 s-1, and temperature (time, ...), K.

    Source:
        richardson1981; geng1986 for the Markov chain; taylor2000 for the course of the year.
    """
    rain, warmth = np.asarray(precipitation, float), np.asarray(temperature, float)
    require_shape(warmth, "temperature", rain.shape)
    require_between(rain, "precipitation", 0.0, 1e4, "kg m-2")
    require_between(warmth, "temperature", 150.0, 350.0, "K")
    require(len(rain) >= 2, f"Argument `precipitation` must hold two months or more, but holds {len(rain)}.")
    months = pd.period_range(start, periods=len(rain), freq="M")
    days = pd.date_range(months[0].start_time, months[-1].end_time.normalize())
    length = months.days_in_month.to_numpy()
    month = np.repeat(np.arange(len(months)), length)
    tail = [1] * (rain.ndim - 1)
    share = wet_day_share(rain, length.reshape(-1, *tail)) if wet_share is None else np.asarray(wet_share, float)
    require_shape(share, "wet_share", rain.shape)
    require_between(share, "wet_share", 0.0, 1.0)

    draw = np.random.default_rng(seed)
    chance, size, noise = draw.random(days.size), draw.random(days.size), draw.standard_normal(days.size)
    wet = _wet_days(share[month], chance)
    # a month with rain has a day for it: the one that came closest
    first = np.concatenate([[0], np.cumsum(length)[:-1]])
    best = first + np.array([np.argmin(chance[b : b + n]) for b, n in zip(first, length, strict=True)])
    wet[best] |= ~np.logical_or.reduceat(wet, first, axis=0)
    amount = np.where(wet, scipy.special.gammaincinv(AMOUNT_SHAPE, size).reshape(-1, *tail), 0.0)
    scale = rain / np.add.reduceat(amount, first, axis=0)
    fallen = amount * scale[month]

    wander = np.zeros(days.size)
    wander[0] = noise[0]
    fresh = np.sqrt(1.0 - TEMPERATURE_MEMORY**2)
    for number in range(1, days.size):
        wander[number] = TEMPERATURE_MEMORY * wander[number - 1] + fresh * noise[number]
    wander -= (np.add.reduceat(wander, first) / length)[month]
    course = course_of_the_year(warmth, length) + spread * wander.reshape(-1, *tail)
    # shift by what rounding and the removal of the mean have left
    course += (warmth - np.add.reduceat(course, first, axis=0) / length.reshape(-1, *tail))[month]
    return days, fallen / 86400.0, course


def course_of_the_year(means: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Daily values on straight lines between the middles of the months, whose monthly means are the given ones.

    Args:
        means (month, ...): Mean of each month, any unit.
        length (month,): Days of each month.

    Returns:
        (time, ...): Daily values, level before the first and after the last middle.

    Source:
        taylor2000: the values at the middles solve a tridiagonal system.
    """
    middle = np.cumsum(length) - 0.5 * length
    day = np.arange(length.sum()) + 0.5
    after = np.clip(np.searchsorted(middle, day), 1, len(length) - 1)
    share = np.clip((day - middle[after - 1]) / (middle[after] - middle[after - 1]), 0.0, 1.0)
    month = np.repeat(np.arange(len(length)), length)
    bands = np.zeros((3, len(length)))  # rows of scipy.linalg.solve_banded: above, on and below the diagonal
    for node, weight in ((after - 1, 1.0 - share), (after, share)):
        np.add.at(bands, (1 + month - node, node), weight / length[month])
    nodes = scipy.linalg.solve_banded((1, 1), bands, means.reshape(len(length), -1)).reshape(means.shape)
    share = share.reshape(-1, *[1] * (means.ndim - 1))
    return (1.0 - share) * nodes[after - 1] + share * nodes[after]


def _wet_days(share: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """A Markov chain of wet days (time, ...) with the given share (time, ...) of them, from chances (time,)."""
    wet = np.zeros(share.shape, bool)
    state = chance[0] < share[0]
    wet[0] = state
    for number in range(1, len(share)):
        after_dry = WET_AFTER_DRY * share[number]
        state = chance[number] < np.where(state, 1.0 - WET_AFTER_DRY + after_dry, after_dry)
        wet[number] = state
    return wet
