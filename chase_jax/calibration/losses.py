r"""What a calibration on series makes small: residuals whose squares add up to a loss, for each of several losses.

Of simulated and observed series s and o at one place, over the n days with an observation:

| loss | residuals | their squares add up to |
|---|---|---|
| `nse` | $(s_t - o_t) / (\sigma_o \sqrt{n})$ | $1 - \mathrm{NSE}$ |
| `kge` | $r - 1$, $\alpha - 1$, $\beta - 1$ | $(1 - \mathrm{KGE})^2$ |
| `pcc` | $(z_{s,t} - z_{o,t}) / \sqrt{2 n}$, z the series less its mean over its deviation | $1 - r$ |
| `runoff_depth` | $\bar s / \bar o - 1$ | square of the relative bias |
| `baseflow_index` | $I_s - I_o$, I the share of base flow | square of the error of the index |
| `lake_level` | those of `nse`, of levels | $1 - \mathrm{NSE}$ |

A loss may compare the flow itself, or the root or the logarithm of $Q + 0.01\,\bar Q^{obs}$ (pushpalatha2012), by which
`nse` becomes the skill of low flow; the index and the depth are those of flow itself. There is no `kge` of a logarithm,
whose mean has no zero to count a bias from (santos2018). A sum of losses with weights is again a sum of squares.

Source:
    nash1970; gupta2009; santos2018; sloto1996 (base flow).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.evaluation import metrics
from chase_jax.signatures import baseflow

FLOWS = ("flow", "root", "logarithm")
OFFSET = 0.01  # 1, of the mean observed flow, below which a logarithm feels nothing; pushpalatha2012
LEAST_FLOW = 1e-9  # 1, of the observed flow; a river with less has no index
LAKE_LEVEL = "lake_level"


def transformed(flow: metrics.Series, observed: np.ndarray, kind: str) -> metrics.Series:
    """Flow (day, gauge) as it is compared: itself, or root or logarithm of it and a little more.

    Args:
        flow (day, gauge): Flow, any unit.
        observed (day, gauge): Observed flow, whose mean is the scale below which a logarithm feels nothing.
        kind: One of `FLOWS`.
    """
    if kind == "flow":
        return flow
    of = jnp if isinstance(flow, jax.Array) else np
    least = OFFSET * np.nanmean(observed, axis=0)
    shifted: metrics.Series = of.maximum(flow, 0.0) + least  # a reversed river counts as a dry one
    return of.sqrt(shifted) if kind == "root" else of.log(shifted)


def nse(simulated: jax.Array, observed: np.ndarray) -> jax.Array:
    """Residuals (day, gauge), 1, zero where nothing was observed. Arguments: series (day, gauge) in one unit."""
    known = np.isfinite(observed)
    spread = np.sqrt(known.sum(axis=0)) * np.nanstd(observed, axis=0)
    return jnp.where(known, simulated - np.where(known, observed, 0.0), 0.0) / spread


def kge(simulated: jax.Array, observed: np.ndarray) -> jax.Array:
    """Residuals (3, gauge), 1. Arguments: series (day, gauge) in one unit."""
    part = metrics.kge_components(simulated, observed)
    return jnp.stack([part.correlation, part.variability, part.bias]) - 1.0


def pcc(simulated: jax.Array, observed: np.ndarray) -> jax.Array:
    """Residuals (day, gauge), 1, zero where nothing was observed. Arguments: series (day, gauge), any units."""
    known = np.isfinite(observed)
    m = metrics.moments(simulated, observed)
    seen = (np.where(known, observed, 0.0) - m.observed_mean) / jnp.sqrt(m.observed_variance)
    varies = m.simulated_variance > metrics.TINY  # elsewhere the derivative of a root must not be asked for
    deviation = jnp.sqrt(jnp.where(varies, m.simulated_variance, 1.0))
    # a series that does not vary correlates with nothing: the squares add up to 1
    difference = jnp.where(varies, (simulated - m.simulated_mean) / deviation - seen, np.sqrt(2.0) * seen)
    return jnp.where(known, difference, 0.0) / np.sqrt(2.0 * known.sum(axis=0))


def runoff_depth(simulated: jax.Array, observed: np.ndarray) -> jax.Array:
    """Residuals (1, gauge), 1. Arguments: series (day, gauge) in one unit."""
    m = metrics.moments(simulated, observed)
    return (m.simulated_mean / m.observed_mean - 1.0)[None]


def baseflow_index(simulated: jax.Array, observed: np.ndarray, interval_days: np.ndarray) -> jax.Array:
    """Residuals (1, gauge), 1; both indices of the days with an observation.

    Args:
        simulated (day, gauge): Simulated flow, any unit.
        observed (day, gauge): Observed flow in the same unit, NaN where missing.
        interval_days (gauge,): Interval of the separation of base flow, odd, days.
    """
    known = np.isfinite(observed)

    def index(flow: jax.Array | np.ndarray) -> jax.Array:
        total = jnp.sum(jnp.where(known, jnp.maximum(flow, 0.0), 0.0), axis=0)
        share = baseflow.sliding_baseflow_index(jnp.asarray(flow), interval_days, known=known)
        return jnp.where(total > LEAST_FLOW * np.nansum(observed, axis=0), share, 0.0)

    return (index(simulated) - index(np.where(known, observed, 0.0)))[None]


BY_DAY: dict[str, Callable[[jax.Array, np.ndarray], jax.Array]] = {"nse": nse, "pcc": pcc}
OF_DAYS = ({"nse", LAKE_LEVEL}, {"pcc", LAKE_LEVEL})  # sums of these count the error of every day once
OF_FLOW = (*BY_DAY, "kge", "runoff_depth", "baseflow_index")
LOSSES = (*OF_FLOW, LAKE_LEVEL)


def residuals(
    name: str, simulated: jax.Array, observed: np.ndarray, kind: str, interval_days: np.ndarray
) -> tuple[jax.Array, np.ndarray]:
    """Residuals (part, place) of a loss, 1, and which of them there are.

    Args:
        name: One of `LOSSES`.
        simulated (day, place): Discharge, m3 s-1, or level, m.
        observed (day, place): The same, NaN where missing.
        kind: How flow is compared, one of `FLOWS`.
        interval_days (place,): Interval of the separation of base flow, days.
    """
    if name == LAKE_LEVEL:
        return nse(simulated, observed), np.isfinite(observed)
    if name == "runoff_depth":
        found = runoff_depth(simulated, observed)
    elif name == "baseflow_index":
        found = baseflow_index(simulated, observed, interval_days)
    else:
        made = jnp.asarray(transformed(simulated, observed, kind))
        seen = np.asarray(transformed(observed, observed, kind))
        if name in BY_DAY:
            return BY_DAY[name](made, seen), np.isfinite(observed)
        found = kge(made, seen)
    return found, np.ones(found.shape, bool)
