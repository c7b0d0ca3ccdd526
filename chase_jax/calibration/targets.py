r"""Signatures of flow as the calibration sees them: mean runoff depth and baseflow index, exact and differentiable.

Both are taken from what each cell yields day by day, not from routed discharge: its runoff into its channel (surface
runoff, glacier runoff, seepage and exfiltration) and the ground water that it gives to its neighbors, less what it gets
from them. Basins, from which maps are learned, hardly exchange ground water; small cells do, and the runoff of one in a
valley is much of it the yield of those above it. In closed columns yield and runoff are the same.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.checks import require
from chase_jax.signatures import baseflow

LEAST_RUNOFF = 1e-3 / const.SECONDS_PER_DAY / const.DAYS_PER_YEAR  # kg m-2 s-1; with less there is no index


class Signatures(eqx.Module):
    """Signatures of cells.

    Attributes:
        runoff_depth (cell,): Mean runoff depth, kg m-2 year-1.
        baseflow_index (cell,): Base flow over total flow, 1.
    """

    runoff_depth: jax.Array
    baseflow_index: jax.Array


def signatures(runoff: jax.Array, interval_days: int) -> Signatures:
    """Signatures of a runoff series.

    Args:
        runoff (day, cell): Daily means of runoff, kg m-2 s-1.
        interval_days: Interval of the separation of base flow, days.
    """
    depth = jnp.mean(runoff, axis=0) * const.SECONDS_PER_DAY * const.DAYS_PER_YEAR
    return Signatures(depth, baseflow_index(runoff, interval_days))


def baseflow_index(runoff_series: jax.Array, interval_days: int) -> jax.Array:
    """Base flow over total flow (cell,), 1, by the sliding-interval method of HYSEP.

    Base flow of a day is the smallest flow within half an interval before and after it; at the ends of the series it
    is that of the first and the last whole interval. Water that runs back into the ground counts as no flow.

    Args:
        runoff_series (day, cell): Daily means of flow, any unit of which `LEAST_RUNOFF` is next to nothing.
        interval_days: Length of the interval, days; odd, 3 to 11.

    Source:
        sloto1996.
    """
    require(
        interval_days % 2 == 1 and 3 <= interval_days <= 11,
        f"Argument `interval_days` must be an odd number from 3 to 11, but is {interval_days}.",
    )
    count = runoff_series.shape[0]
    require(
        count >= interval_days, f"Argument `runoff_series` must have at least {interval_days} days, but has {count}."
    )
    return baseflow.sliding_baseflow_index(runoff_series, interval_days, least=LEAST_RUNOFF)
