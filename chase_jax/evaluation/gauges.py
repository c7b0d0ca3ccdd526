"""Skill at gauges, day by day and month by month: arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from chase_jax.evaluation import metrics

LEAST_SHARE_OF_MONTH = 0.8  # 1, of the days of a month that must be observed for the month to count
LEAST_COUNT = 10  # 1, values that must be observed for a score to be given


def monthly_means(
    simulated: np.ndarray, observed: np.ndarray, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Monthly means of both series over the days that are observed.

    Args:
        simulated (time, gauge): Simulated daily series, any unit.
        observed (time, gauge): Observed daily series in the same unit, NaN where missing.
        time (time,): Days, datetime64.

    Returns:
        Simulated and observed means (month, gauge), NaN in months with too few observed days, and the months.
    """
    month = time.astype("datetime64[M]")
    months = np.unique(month)
    there = np.isfinite(observed)
    means = []
    for series in (simulated, observed):
        rows = []
        for this in months:
            days = month == this
            length = ((this + 1).astype("datetime64[D]") - this.astype("datetime64[D]")).astype(int)
            number = there[days].sum(0)
            total = np.where(there[days], series[days], 0.0).sum(0)
            enough = number >= LEAST_SHARE_OF_MONTH * length
            rows.append(np.where(enough, total / np.maximum(number, 1), np.nan))
        means.append(np.array(rows))
    return means[0], means[1], months


def skill(simulated: np.ndarray, observed: np.ndarray) -> dict[str, np.ndarray]:
    """All scores of all gauges.

    Args:
        simulated (time, gauge): Simulated series, any unit.
        observed (time, gauge): Observed series in the same unit, NaN where missing.

    Returns:
        Scores (gauge,) by name, NaN where too little is observed: count, observed_mean, simulated_mean (over the times
        with an observation), nse, kge, correlation, variability and bias (the terms of kge), pbias, r1, r10.
    """
    simulated, observed = np.asarray(simulated, float), np.asarray(observed, float)
    parts = metrics.kge_components(simulated, observed)
    moments = metrics.moments(simulated, observed)
    found = {
        "observed_mean": moments.observed_mean,
        "simulated_mean": moments.simulated_mean,
        "nse": metrics.nse(simulated, observed),
        "kge": parts.efficiency,
        "correlation": parts.correlation,
        "variability": parts.variability,
        "bias": parts.bias,
        "pbias": metrics.pbias(simulated, observed),
        "r1": metrics.r1(simulated, observed),
        "r10": metrics.r10(simulated, observed),
    }
    count = np.isfinite(observed).sum(0)
    scores = {name: np.where(count >= LEAST_COUNT, np.asarray(value), np.nan) for name, value in found.items()}
    varies = np.asarray(moments.observed_variance) > metrics.TINY
    for name in ("nse", "kge", "correlation", "variability"):
        scores[name] = np.where(varies, scores[name], np.nan)
    return {"count": count, **scores}


def flow_duration(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of time (1) and the flow that is reached or exceeded in it, falling.

    Args:
        series (time,): Flows, any unit, NaN where missing.
    """
    falling = np.sort(series[np.isfinite(series)])[::-1]
    return (np.arange(falling.size) + 0.5) / max(falling.size, 1), falling


def seasonal_cycle(series: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Mean of every calendar month (12,), NaN where nothing is there.

    Args:
        series (time,): Flows, any unit, NaN where missing.
        time (time,): Days, datetime64.
    """
    month = time.astype("datetime64[M]").astype(int) % 12
    there = np.isfinite(series)
    return np.array(
        [series[there & (month == k)].mean() if (there & (month == k)).any() else np.nan for k in range(12)]
    )
