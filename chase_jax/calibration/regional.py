r"""Parameters of catchments as functions of their attributes, from the monthly flow of many catchments at once.

A law gives every catchment b its unknowns from its scaled attributes z, with $z_0 = 1$,

$$ u_{p,b} = u_{0,p,b} + \sum_k \theta_{p,k}\, z_{k,b}, $$

and what is made small is the lack of skill of all catchments together,

$$ \Phi = \sum_b \frac{x_b}{1 + x_b} + \lambda \sum_{p,k} c_k\, \theta_{p,k}^2 , \qquad
   x_b = \sum_m \left(\frac{\bar q_{m,b}(u_b) - \bar q^*_{m,b}}{s_b}\right)^2 , $$

with means $\bar q$ of whole months and $s_b^2$ the sum of squares of the measured ones about their mean, so that $x_b$
is one less the skill. What is added up is one less the normalised skill, $1/(2 - \mathrm{NSE})$: no catchment counts
for more than one, however wrong its rain may be. What attributes change is held by $\lambda$ ($c_k = 1$), what all
share hardly ($c_0 = 0.01$). Flow of a catchment depends on its own unknowns alone, so that one tangent for each
parameter tells the derivatives $J_b$ of all catchments, and those by $\theta$ follow from them. Steps are damped
Gauss-Newton steps with the weights $(1 + x_b)^{-2}$ of where they begin; $J_b$ is kept up by Broyden's update in every
catchment and computed again where that leads no further.

A law that was learned in some catchments tells the parameters of any other. What it says of these gets worse again when
it has learned too much by heart; so some catchments may judge instead of teaching, and the law best for them is taken.

Source:
    nossent2012 (normalised skill); samaniego2010 (parameters as functions of attributes); feng2022 (learned through a
    differentiable model); levenberg1944, marquardt1963, broyden1965.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from chase_jax.calibration import damped
from chase_jax.calibration.learning import Scale
from chase_jax.checks import require, require_shape

# Weight of the squares of what attributes change, 1. With a twentieth of it a law went on to please its teachers (189
# catchments, median skill 0.609 to 0.621) at the expense of 63 judges (0.628 to 0.571).
HELD = 2.0
SHARED = 0.01  # 1, of that weight, for what all catchments share
EXTREME = 2.5  # 1, deviations from the mean beyond which an attribute counts as that
LEAST_GAIN = 4e-3  # 1, of the target, below which derivatives are found anew, and a search with new ones ends
LONGEST_STEP = 1.0  # 1, mean over the catchments of the largest change of an unknown in a trial
LEAST_MONTHS = 12  # of a catchment that counts


@dataclasses.dataclass(frozen=True)
class Law:
    """How unknowns follow from attributes.

    Attributes:
        scale: Mean and deviation (attribute,) of the attributes.
        weights (parameter, 1 + attribute): What all catchments share, and what each deviation of an attribute adds, 1.
    """

    scale: Scale
    weights: np.ndarray

    @classmethod
    def flat(cls, attributes: np.ndarray, parameters: int) -> Law:
        """The law that changes nothing yet.

        Args:
            attributes (catchment, attribute): Attributes, in their units, of the catchments it will be learned in.
            parameters: Number of parameters.
        """
        return cls(Scale.of(attributes), np.zeros((parameters, attributes.shape[1] + 1)))

    def features(self, attributes: np.ndarray) -> np.ndarray:
        """Scaled attributes z (catchment, 1 + attribute), 1. Argument: attributes, in their units."""
        scaled = np.clip(self.scale(np.asarray(attributes)), -EXTREME, EXTREME)
        return np.concatenate([np.ones((len(scaled), 1)), scaled], axis=1)

    def unknowns(self, start: np.ndarray, attributes: np.ndarray) -> np.ndarray:
        """Unknowns (parameter, catchment), 1, within their bounds.

        Args:
            start (parameter, catchment): Unknowns of the parameters as they are, 1.
            attributes (catchment, attribute): Attributes, in their units.
        """
        return np.clip(start + self.weights @ self.features(attributes).T, -damped.LIMIT, damped.LIMIT)


class Months:
    """Monthly flow that was measured, and how what is simulated misses it.

    Attributes:
        observed (month, catchment): Means of whole months, m3 s-1; NaN where days are missing.
        counted (catchment,): Whether a catchment has months enough, and not always the same flow.
    """

    def __init__(self, observed: np.ndarray, month: np.ndarray) -> None:
        """Measured flow.

        Args:
            observed (day, catchment): Daily flow, m3 s-1, NaN where missing.
            month (day,): Number of the month of a day, from 0 on, increasing, 1.

        Raises:
            InputError: If no catchment has a year of whole months.
        """
        require_shape(month, "month", observed.shape[:1])
        self._first = np.flatnonzero(np.diff(month, prepend=-1))
        self._days = np.diff(np.append(self._first, month.size))
        self.observed = self.means(observed)
        there = np.isfinite(self.observed)
        mean = np.nansum(self.observed, axis=0) / np.maximum(there.sum(axis=0), 1)
        square = np.nansum((self.observed - mean) ** 2, axis=0)
        self.counted = (there.sum(axis=0) >= LEAST_MONTHS) & (square > 0.0)
        require(
            bool(self.counted.any()),
            f"Argument `observed` must have {LEAST_MONTHS} whole months that differ at a catchment, but has none.",
        )
        self._over = np.where(there & self.counted, 1.0 / np.sqrt(np.maximum(square, 1e-300)), 0.0)

    def means(self, series: np.ndarray) -> np.ndarray:
        """Means of the months (..., month, catchment). Argument: daily series (..., day, catchment)."""
        return np.add.reduceat(series, self._first, axis=-2) / self._days[:, None]

    def missed(self, series: np.ndarray) -> np.ndarray:
        """Residuals (month, catchment), 1, whose squares add up to one less the skill; 0 where nothing was measured.

        Args:
            series (day, catchment): Simulated flow, m3 s-1.
        """
        return np.where(self._over > 0.0, self.means(series) - np.nan_to_num(self.observed), 0.0) * self._over

    def slopes(self, series: np.ndarray) -> np.ndarray:
        """Derivatives (parameter, month, catchment) of the residuals. Argument: those of the daily flow."""
        return self.means(series) * self._over

    def skill(self, series: np.ndarray) -> np.ndarray:
        """Monthly skill (catchment,), 1; NaN where a catchment does not count. Argument: daily flow."""
        return np.where(self.counted, 1.0 - (self.missed(series) ** 2).sum(axis=0), np.nan)

    def lack(self, series: np.ndarray) -> np.ndarray:
        """One less the normalised skill (catchment,), x / (1 + x), 1; NaN likewise. Argument: daily flow."""
        missed = (self.missed(series) ** 2).sum(axis=0)
        return np.where(self.counted, missed / (1.0 + missed), np.nan)


Run = Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray | None]]


def fit(
    run: Run,
    months: Months,
    start: np.ndarray,
    attributes: np.ndarray,
    trials: int,
    judges: np.ndarray | None = None,
    held: float = HELD,
) -> tuple[Law, np.ndarray]:
    """Learn a law.

    Args:
        run: Runs all catchments with unknowns (parameter, catchment): daily flow (day, catchment), and if asked for its
            derivatives (parameter, day, catchment) by the unknowns of each catchment itself.
        months: What was measured.
        start (parameter, catchment): Unknowns of the parameters as they are, 1.
        attributes (catchment, attribute): Attributes, in their units.
        trials: Most runs, > 0.
        judges (catchment,): Whether a catchment judges and does not teach; None for none.
        held: Weight of the squares of what attributes change, 1, > 0; the fewer catchments, the more it counts.

    Returns:
        The law that is best for the judges, for the teachers if there are none, and the daily flow (day, catchment) it
        leads to, m3 s-1.

    Raises:
        InputError: If no catchment that was measured is left to teach.
    """
    judging = np.zeros(len(attributes), bool) if judges is None else np.asarray(judges, bool)
    require_shape(judging, "judges", (len(attributes),))
    teaching = months.counted & ~judging
    require(
        bool(teaching.any()), "Argument `judges` must leave a catchment that was measured to teach, but leaves none."
    )

    def with_slopes(unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        series, slopes = run(unknowns, True)
        assert slopes is not None  # noqa: S101  asked for
        return series, months.slopes(slopes)

    law = Law.flat(attributes, len(start))
    features = law.features(attributes)
    weight = np.full(law.weights.shape, held)
    weight[:, 0] *= SHARED
    best, (series, jacobian) = law.unknowns(start, attributes), with_slopes(law.unknowns(start, attributes))

    def target(series: np.ndarray, weights: np.ndarray) -> float:
        return float(months.lack(series)[teaching].sum() + (weight * weights**2).sum())

    def judged(series: np.ndarray, weights: np.ndarray) -> float:
        judge = judging & months.counted
        return float(months.lack(series)[judge].sum()) if judge.any() else target(series, weights)

    now, spent, exact, damping = target(series, law.weights), 1, True, damped.FIRST_DAMPING
    taken, taken_series, verdict = law, series, judged(series, law.weights)
    while spent < trials:
        root = np.where(teaching, 1.0 - months.lack(series), 0.0)
        step = _step(root * jacobian, root * months.missed(series), features, weight, law.weights, damping)
        largest = np.abs(step @ features.T).max(axis=0).mean()
        tried = Law(law.scale, law.weights + step * min(1.0, LONGEST_STEP / max(largest, 1e-12)))
        unknowns = tried.unknowns(start, attributes)
        found = run(unknowns, False)[0]
        spent += 1
        change = months.missed(found) - months.missed(series)
        moved = damped.updated(jacobian.transpose(2, 1, 0), unknowns - best, change).transpose(2, 1, 0)
        gain = 1.0 - target(found, tried.weights) / now
        if gain > 0.0:
            law, best, series, now = tried, unknowns, found, target(found, tried.weights)
            if judged(found, tried.weights) < verdict:
                taken, taken_series, verdict = tried, found, judged(found, tried.weights)
            damping = max(damped.LESS_DAMPING * damping, damped.LEAST_DAMPING)
        else:
            damping = damped.MORE_DAMPING * damping
        jacobian, slow = moved, gain < LEAST_GAIN
        if slow and exact:
            break
        exact = slow and spent + 1 < trials
        if exact:  # what Broyden's update knows is used up
            series, jacobian = with_slopes(best)
            spent, damping = spent + 1, damped.FIRST_DAMPING
    return taken, taken_series


def _step(
    jacobian: np.ndarray,
    residuals: np.ndarray,
    features: np.ndarray,
    held: np.ndarray,
    weights: np.ndarray,
    damping: float,
) -> np.ndarray:
    """Damped Gauss-Newton step (parameter, 1 + attribute) of the weights of a law.

    Args:
        jacobian (parameter, month, catchment): Derivatives by the unknowns of each catchment, 1.
        residuals (month, catchment): Residuals, 1.
        features (catchment, 1 + attribute): Scaled attributes, 1.
        held (parameter, 1 + attribute): Weights of the squares of the weights, 1.
        weights (parameter, 1 + attribute): The weights, 1.
        damping: Damping, 1.
    """
    own = np.einsum("pmb,qmb->pqb", jacobian, jacobian)
    normal = np.einsum("pqb,bk,bl->pkql", own, features, features, optimize=True).reshape(held.size, held.size)
    normal = normal + np.diag(held.ravel())
    downhill = np.einsum("pmb,mb,bk->pk", jacobian, residuals, features, optimize=True) + held * weights
    scaled = normal + damping * np.diag(np.diag(normal))
    return -np.linalg.solve(scaled, downhill.ravel()).reshape(held.shape)
