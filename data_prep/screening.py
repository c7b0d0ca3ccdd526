r"""Which gauges tell of natural flow: long records, hardly any reservoirs and withdrawals above them.

A gauge is kept if it has enough complete years within the period, if the reservoirs above it hold less than 5 % of its
mean annual flow (the *degree of regulation*, capacity / volume of flow), and if less than 10 % of its mean flow is
withdrawn above it. The limits are those of Dong et al. (2026).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require, require_shape
from chase_jax.domain.domain import Domain

LARGEST_REGULATION, LARGEST_WITHDRAWAL = 0.05, 0.10  # 1, Dong et al. (2026)
COMPLETE = 0.9  # 1, of the days of a year, from which it counts as complete; choice of this project
SECONDS_PER_YEAR = 365.25 * 86400.0


def complete_years(observed: xr.Dataset, start: str, end: str) -> np.ndarray:
    """Number of complete years (gauge,) of discharge within a period.

    Args:
        observed: Content of observations.nc: discharge (gauge, time), NaN where missing.
        start: First day, ISO.
        end: Last day, ISO.
    """
    require("discharge" in observed, "Argument `observed` must hold discharge, but does not.")
    series = observed["discharge"].transpose("gauge", "time").sel(time=slice(start, end))
    if series.sizes["time"] == 0:
        return np.zeros(series.sizes["gauge"], int)
    year = series.time.dt.year.values
    valid = np.isfinite(series.values)
    days = {y: 366 if pd.Timestamp(int(y), 1, 1).is_leap_year else 365 for y in np.unique(year)}
    return np.sum([valid[:, year == y].sum(1) >= COMPLETE * number for y, number in days.items()], axis=0)


def above(domain: Domain, gauge_cell: np.ndarray, cell: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Sum (gauge,) of what stands at or above every gauge, such as the capacity of reservoirs, in its own unit.

    Args:
        domain: The domain.
        gauge_cell (gauge,): Cells of the gauges.
        cell (place,): Cells of what is summed.
        amount (place,): Any unit, >= 0.
    """
    require_shape(np.asarray(amount), "amount", np.shape(cell))
    require(bool(np.all(np.asarray(amount) >= 0.0)), "Argument `amount` must be at least 0, but is not everywhere.")
    per_cell = np.bincount(np.asarray(cell, int), amount, domain.cells)
    total = np.concatenate([[0.0], np.cumsum(per_cell)])
    gauge = np.asarray(gauge_cell)
    return total[gauge + 1] - total[np.asarray(domain.drainage.first)[gauge]]


def screen(
    gauge_id: list[str],
    years: np.ndarray,
    mean_flow: np.ndarray,
    capacity: np.ndarray,
    withdrawal: np.ndarray,
    least_years: int,
) -> pd.DataFrame:
    """The table of kept and dropped gauges with all reasons.

    Args:
        gauge_id: Identifiers.
        years (gauge,): Complete years of record.
        mean_flow (gauge,): Mean observed discharge, m3 s-1, NaN where unknown.
        capacity (gauge,): Capacity of the reservoirs above, m3.
        withdrawal (gauge,): Water withdrawn above, m3 s-1.
        least_years: Complete years that a gauge needs.

    Returns:
        A row per gauge: gauge_id, years, degree_of_regulation, withdrawal_ratio, kept, reason (empty if kept).
    """
    for name, values in {
        "years": years,
        "mean_flow": mean_flow,
        "capacity": capacity,
        "withdrawal": withdrawal,
    }.items():
        require_shape(np.asarray(values), name, (len(gauge_id),))
    flow = np.asarray(mean_flow, float)
    known = np.isfinite(flow) & (flow > 0.0)
    safe = np.where(known, flow, 1.0)
    regulation = np.where(known, np.asarray(capacity, float) / (safe * SECONDS_PER_YEAR), np.nan)
    ratio = np.where(known, np.asarray(withdrawal, float) / safe, np.nan)
    rules = [
        (np.asarray(years) < least_years, f"fewer than {least_years} complete years"),
        (~known, "no flow observed"),
        (known & (regulation >= LARGEST_REGULATION), f"degree of regulation of {LARGEST_REGULATION:.0%} or more"),
        (known & (ratio >= LARGEST_WITHDRAWAL), f"withdrawal of {LARGEST_WITHDRAWAL:.0%} of the flow or more"),
    ]
    reason = ["; ".join(text for bad, text in rules if bad[k]) for k in range(len(gauge_id))]
    return pd.DataFrame(
        {
            "gauge_id": gauge_id,
            "years": np.asarray(years),
            "degree_of_regulation": regulation,
            "withdrawal_ratio": ratio,
            "kept": [not text for text in reason],
            "reason": reason,
        }
    )
