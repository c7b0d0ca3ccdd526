r"""Measures of agreement between simulated and observed flow, differentiable, so that they serve as losses too.

Every function takes `(time,)` or `(time, gauge)` arrays with time first and returns one number per gauge. An
observation that is NaN takes no part: it gets the weight zero and a harmless value, so that no NaN reaches a
derivative. Denominators of zero are guarded, so a score of a gauge without observations is finite but means nothing:
:func:`count` says whether there was anything to compare.
"""

from __future__ import annotations

from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

Series: TypeAlias = jax.Array | np.ndarray

TINY = 1e-30  # m6 s-2; keeps a variance of zero out of a denominator


class Moments(eqx.Module):
    """First and second moments of a pair of series over the times with an observation.

    Attributes:
        count (gauge,): Number of times with an observation, 1.
        simulated_mean (gauge,): Mean of the simulated series there, in the unit of the series.
        observed_mean (gauge,): Mean of the observed series, in the unit of the series.
        simulated_variance (gauge,): Variance of the simulated series there, unit squared.
        observed_variance (gauge,): Variance of the observed series, unit squared.
        covariance (gauge,): Covariance of the two, unit squared.
        squared_error (gauge,): Mean squared difference, unit squared.
    """

    count: jax.Array
    simulated_mean: jax.Array
    observed_mean: jax.Array
    simulated_variance: jax.Array
    observed_variance: jax.Array
    covariance: jax.Array
    squared_error: jax.Array


class KlingGupta(eqx.Module):
    """Kling-Gupta efficiency and what it is made of.

    Attributes:
        efficiency (gauge,): KGE, 1.
        correlation (gauge,): Linear correlation r, 1.
        variability (gauge,): Ratio of standard deviations alpha, simulated over observed, 1.
        bias (gauge,): Ratio of means beta, simulated over observed, 1.
    """

    efficiency: jax.Array
    correlation: jax.Array
    variability: jax.Array
    bias: jax.Array


def masked(simulated: Series, observed: Series) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Both series with zeros where there is no observation, and the weight (1 or 0) of every time.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    there = jnp.isfinite(observed)
    weight = there.astype(jnp.result_type(simulated, 1.0))
    return jnp.where(there, simulated, 0.0), jnp.where(there, observed, 0.0), weight


def moments(simulated: Series, observed: Series) -> Moments:
    """Means, variances and covariance over the times with an observation.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    s, o, weight = masked(simulated, observed)
    number = jnp.sum(weight, axis=0)
    share = weight / jnp.maximum(number, 1.0)
    s_mean, o_mean = jnp.sum(share * s, axis=0), jnp.sum(share * o, axis=0)
    ds, do = s - s_mean, o - o_mean
    return Moments(
        count=number,
        simulated_mean=s_mean,
        observed_mean=o_mean,
        simulated_variance=jnp.sum(share * ds * ds, axis=0),
        observed_variance=jnp.sum(share * do * do, axis=0),
        covariance=jnp.sum(share * ds * do, axis=0),
        squared_error=jnp.sum(share * (s - o) * (s - o), axis=0),
    )


def count(observed: Series) -> jax.Array:
    """Number of observations per gauge, 1. Argument: observed (time, ...), any unit, NaN where missing."""
    return jnp.sum(jnp.isfinite(observed), axis=0)


def nse(simulated: Series, observed: Series) -> jax.Array:
    r"""Nash-Sutcliffe efficiency, 1 - mean squared error over the observed variance.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.

    Returns:
        (...): Efficiency, 1; best 1, at most 0 when the observed mean is the better predictor.

    Source:
        nash1970, eq. 3.
    """
    m = moments(simulated, observed)
    return 1.0 - m.squared_error / jnp.maximum(m.observed_variance, TINY)


def pcc(simulated: Series, observed: Series) -> jax.Array:
    """Pearson's linear correlation coefficient, 1; zero where a series does not vary.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    return _correlation(moments(simulated, observed))


def kge_components(simulated: Series, observed: Series) -> KlingGupta:
    r"""Kling-Gupta efficiency of 2009 with its correlation, variability and bias terms.

    $$ KGE = 1 - \sqrt{(r-1)^2 + (\alpha-1)^2 + (\beta-1)^2}, \quad
       \alpha = \sigma_s/\sigma_o, \quad \beta = \mu_s/\mu_o . $$

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.

    Returns:
        The efficiency and its terms.

    Source:
        gupta2009, eqs. 9 and 10.
    """
    m = moments(simulated, observed)
    r = _correlation(m)
    alpha = _root(m.simulated_variance) / jnp.maximum(_root(m.observed_variance), TINY)
    beta = m.simulated_mean / _away_from_zero(m.observed_mean)
    distance = _root((r - 1.0) * (r - 1.0) + (alpha - 1.0) * (alpha - 1.0) + (beta - 1.0) * (beta - 1.0))
    return KlingGupta(efficiency=1.0 - distance, correlation=r, variability=alpha, bias=beta)


def kge(simulated: Series, observed: Series) -> jax.Array:
    """Kling-Gupta efficiency of 2009, 1; see :func:`kge_components`.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    return kge_components(simulated, observed).efficiency


def pbias(simulated: Series, observed: Series) -> jax.Array:
    r"""Bias of the total in percent of the observed total, $100\,\sum(s - o)/\sum o$; positive is overestimation.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.

    Source:
        dong2026, section 3.5.
    """
    m = moments(simulated, observed)
    return 100.0 * (m.simulated_mean - m.observed_mean) / _away_from_zero(m.observed_mean)


def high_flow_error(simulated: Series, observed: Series, share: float) -> jax.Array:
    r"""Relative error of the mean of the highest flows, each series ranked by itself.

    $$ R_p = 100\,(\bar s_{top\,p} - \bar o_{top\,p})/\bar o_{top\,p}, $$

    over the ceil(p n) highest of n values; positive is overestimation. Times without an observation are left out of
    both series.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
        share: Share p of the times that count as high flow, 1.

    Returns:
        (...): Error, %.

    Source:
        dong2026, section 3.5.
    """
    there = jnp.isfinite(observed)
    wanted = jnp.ceil(share * jnp.sum(there, axis=0) - 1e-9)
    rank = jnp.arange(observed.shape[0]).reshape((-1,) + (1,) * (observed.ndim - 1))
    keep = rank < wanted

    def mean_of_highest(series: Series) -> jax.Array:
        falling = -jnp.sort(jnp.where(there, -series, jnp.inf), axis=0)
        return jnp.sum(jnp.where(keep, falling, 0.0), axis=0) / jnp.maximum(wanted, 1.0)

    high_observed = mean_of_highest(observed)
    return 100.0 * (mean_of_highest(simulated) - high_observed) / _away_from_zero(high_observed)


def r1(simulated: Series, observed: Series) -> jax.Array:
    """Relative error of the mean of the highest 1 % of flows, %; see :func:`high_flow_error`.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    return high_flow_error(simulated, observed, 0.01)


def r10(simulated: Series, observed: Series) -> jax.Array:
    """Relative error of the mean of the highest 10 % of flows, %; see :func:`high_flow_error`.

    Args:
        simulated (time, ...): Simulated series, any unit.
        observed (time, ...): Observed series in the same unit, NaN where missing.
    """
    return high_flow_error(simulated, observed, 0.10)


def annual_maximum_error(simulated: Series, observed: Series, year: np.ndarray, days: int = 3) -> jax.Array:
    """Median over the years of the relative error of the highest mean flow of `days` days on end, %.

    Only windows without a gap count, and only years in which at least 300 windows count.

    Args:
        simulated (time, ...): Simulated daily series, any unit.
        observed (time, ...): Observed daily series in the same unit, NaN where missing.
        year (time,): Calendar year of every day (NumPy, static), 1.
        days: Length of the window, d.

    Source:
        dong2026, section 3.5.
    """
    length = observed.shape[0] - days + 1

    def moving_mean(series: Series) -> jax.Array:
        return jnp.mean(jnp.stack([series[k : k + length] for k in range(days)]), axis=0)

    there = jnp.isfinite(moving_mean(observed))
    s, o = moving_mean(simulated), moving_mean(jnp.where(jnp.isfinite(observed), observed, 0.0))
    errors = []
    for this_year in np.unique(year):
        inside = np.asarray(year[:length] == this_year) & np.asarray(year[days - 1 :] == this_year)
        use = there & jnp.asarray(inside).reshape((-1,) + (1,) * (observed.ndim - 1))
        peak_s = jnp.max(jnp.where(use, s, -jnp.inf), axis=0)
        peak_o = jnp.max(jnp.where(use, o, -jnp.inf), axis=0)
        enough = jnp.sum(use, axis=0) >= 300
        safe_s, safe_o = jnp.where(enough, peak_s, 0.0), _away_from_zero(jnp.where(enough, peak_o, 1.0))
        errors.append(jnp.where(enough, 100.0 * (safe_s - safe_o) / safe_o, jnp.nan))
    return jnp.nanmedian(jnp.stack(errors), axis=0)


def _correlation(m: Moments) -> jax.Array:
    product = m.simulated_variance * m.observed_variance
    varies = product > TINY
    return jnp.where(varies, m.covariance / jnp.sqrt(jnp.where(varies, product, 1.0)), 0.0)


def _root(value: jax.Array) -> jax.Array:
    """Square root whose derivative at zero is zero instead of infinite."""
    positive = value > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, value, 1.0)), 0.0)


def _away_from_zero(value: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(value) > TINY, value, TINY)


METRICS = {"nse": nse, "kge": kge, "pcc": pcc, "pbias": pbias, "r1": r1, "r10": r10}
