r"""Two unknowns a cell against two signatures a cell: the choice of the next trial, for all cells at once.

The procedure of the paper, parameter after parameter, is in `alternating.py`.

`gauss_newton` moves both together. With r the residuals in units of their tolerances and J their derivatives,

$$ (J^T J + \lambda\,\mathrm{diag}\,J^T J)\,\Delta u = -J^T r $$

in every cell, with a damping of its own that falls where a trial is better than the best so far and grows where it is
not. J comes with every run in forward mode; or it comes with the first run alone, or from one more run per parameter,
and is then kept up by Broyden's rank-one update.

What a cell cannot reach it approaches, up to the bounds, and is told apart by its status.

Where a `Prior` tells what is known of the parameters besides, a map is not met but weighed against it: what is small in
the end is

$$ \sum_s \left(\frac{y_s(u) - y^*_s}{\sigma_s}\right)^2 + \sum_p \left(\frac{u_p - u_{0,p}}{\sigma_u}\right)^2 $$

with the uncertainty of the map for a tolerance, which is the likeliest u if both err as normal variables do.

Source:
    broyden1965; marquardt1963; tarantola2005 (maps against what is known).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from chase_jax.calibration import damped
from chase_jax.calibration.bracket import never
from chase_jax.calibration.free import Free
from chase_jax.calibration.trial import Outcome
from chase_jax.checks import require_choice

RUNOFF_TOLERANCE = 0.005  # 1, of the mapped runoff depth
LEAST_RUNOFF_TOLERANCE = 0.05  # kg m-2 year-1, where half a percent of the map is less
LEAST_RUNOFF = 0.5  # kg m-2 year-1, of two periods whose ratio is taken
INDEX_TOLERANCE = 0.01  # 1
CLOSE = 0.5  # 1, share of the tolerance at which a search ends
SETTLED = 0.02  # 1, step of an unknown below which a search ends that weighs maps against a prior
DERIVATIVES = ("always", "first", "never")
FEW = 0.005  # 1, share of all cells that is not worth another run
PATIENCE = 3  # runs in which only few cells come on before a search ends
NEARER, FAR = 0.1, 0.5  # 1, a cell comes on whose squares fall by so much, or that takes so long a step and is better
RESTARTS = (-1.0, -2.0, 0.0)  # 1, unknowns of the last parameter from which stuck cells begin anew, one after the other
DIFFERENCE = 2.0  # 1, step of an unknown for the first differences; wide, because far off the index feels no factor
NEAR_DIFFERENCE = 0.2  # 1, the same where a cell begins anew
MET, EXCLUDED, NO_TARGET, RUNOFF_OUT_OF_REACH, INDEX_OUT_OF_REACH, BOTH_OUT_OF_REACH, NOT_MET = range(7)
STATUS = (
    "target met",
    "excluded (glacier, lake or water), parameters as they were",
    "no target on the map",
    "runoff depth out of reach, nearest value taken",
    "baseflow index out of reach, nearest value taken",
    "runoff depth and baseflow index out of reach, nearest values taken",
    "target not met",
)

Evaluate = Callable[[np.ndarray, bool], Outcome]


@dataclasses.dataclass(frozen=True)
class Prior:
    r"""What is known of the parameters before a map is read.

    Attributes:
        unknowns: (parameter, cell) likeliest unknowns $u_0$, 1.
        deviation: Standard deviation $\sigma_u$ about them, 1.
        spread: (signature, cell) standard deviation of the maps, in the unit of the signature.
    """

    unknowns: np.ndarray
    deviation: float
    spread: np.ndarray


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is to be met, and by how much it may be missed.

    Attributes:
        values: (signature, cell) runoff depth, kg m-2 year-1, and baseflow index, 1; one of them where one is sought.
        names: Which of the two they are, `runoff_depth` or `baseflow_index`.
        prior: What maps are weighed against; None if they are to be met.
    """

    values: np.ndarray
    names: tuple[str, ...]
    prior: Prior | None = None

    @property
    def tolerance(self) -> np.ndarray:
        """Tolerances (signature, cell), in the unit of the signature: the uncertainty of maps that are weighed."""
        if self.prior is not None:
            return self.prior.spread
        runoff = np.maximum(RUNOFF_TOLERANCE * np.abs(self.values), LEAST_RUNOFF_TOLERANCE)
        is_runoff = np.array([name == "runoff_depth" for name in self.names])[:, None]
        return np.where(is_runoff, runoff, INDEX_TOLERANCE)

    def residuals(self, outcome: Outcome) -> np.ndarray:
        """Residuals (signature, cell) in tolerances, 1. Argument: outcome of a trial."""
        found = np.stack([getattr(outcome, name) for name in self.names])
        return (found - self.values) / self.tolerance

    def of_part(self, whole: Outcome, part: Outcome) -> Goal:
        """The goal for a part of the period, moved by how that differs from the whole in one trial.

        Args:
            whole: The trial judged by the whole period.
            part: The same trial judged by the part.
        """
        values = []
        for name, value in zip(self.names, self.values, strict=True):
            one, other = getattr(part, name), getattr(whole, name)
            if name == "runoff_depth":
                values.append(value * np.maximum(one, LEAST_RUNOFF) / np.maximum(other, LEAST_RUNOFF))
            else:
                values.append(value + one - other)
        return dataclasses.replace(self, values=np.stack(values))

    def departures(self, unknowns: np.ndarray) -> np.ndarray:
        """Unknowns less those of the prior, in deviations (parameter, cell), 1; no rows without one.

        Args:
            unknowns (parameter, cell): Unknowns, 1.
        """
        if self.prior is None:
            return unknowns[:0]
        return (unknowns - self.prior.unknowns) / self.prior.deviation

    def jacobian(self, slopes: np.ndarray) -> np.ndarray:
        """Derivatives (cell, signature, parameter) of the residuals. Argument: slopes of a trial's outcome."""
        rows = [("runoff_depth", "baseflow_index").index(name) for name in self.names]
        return np.moveaxis(slopes[:, rows] / self.tolerance, (0, 1, 2), (2, 1, 0))


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a search found.

    Attributes:
        unknowns: (parameter, cell) best unknowns, 1.
        residuals: (signature, cell) their residuals in tolerances, 1.
        jacobian: (cell, signature, parameter) derivatives of the residuals there, exact or by differences; None if
            the method has none.
        status: (cell,) one of the codes of `STATUS`.
        slopes: (parameter, cell) of the standard procedure, each parameter's residual by its share of the range.
    """

    unknowns: np.ndarray
    residuals: np.ndarray
    jacobian: np.ndarray | None
    status: np.ndarray
    slopes: np.ndarray | None = None


def status_of(goal: Goal, unknowns: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Status (cell,) of every cell: met, out of reach where its own parameter stands at a bound, else not met.

    Args:
        goal: What is to be met.
        unknowns: (parameter, cell) unknowns, 1.
        residuals: (signature, cell) residuals in tolerances, 1.
    """
    missed = ~(np.abs(residuals) <= 1.0)
    beyond = missed & (np.abs(unknowns) >= damped.LIMIT - 0.1)
    code = {"runoff_depth": RUNOFF_OUT_OF_REACH, "baseflow_index": INDEX_OUT_OF_REACH}
    status = np.where(missed.any(axis=0), NOT_MET, MET)
    for name, out in zip(goal.names, beyond, strict=True):
        status = np.where(out, code[name], status)
    return np.where(beyond.sum(axis=0) == 2, BOTH_OUT_OF_REACH, status)


def gauss_newton(
    evaluate: Evaluate,
    start: np.ndarray,
    goal: Goal,
    derivatives: str = "first",
    trials: int = 12,
    jacobian: np.ndarray | None = None,
    anew: np.ndarray | None = None,
    enough: Callable[[], bool] = never,
) -> Fit:
    """All parameters of a cell together; see the module.

    Args:
        evaluate: Runs a trial of unknowns (parameter, cell); the second argument asks for derivatives.
        start: (parameter, cell) unknowns to begin with, 1.
        goal: The signatures.
        derivatives: "always" from every run, "first" from the first run and kept up by Broyden's update from then on,
            or "never", by differences at the beginning.
        trials: Most runs, those for the first differences not counted; fewer if hardly any cell comes on.
        jacobian: (cell, signature, parameter) derivatives to begin with, if they are known and not asked of runs.
        anew: (cell,) cells where they are not known after all, and found by differences if the cell is open.
        enough: Asked before every trial but the first and those for differences; where it says yes the search ends with
            the best so far.
    """
    require_choice(derivatives, "derivatives", DERIVATIVES)
    best = np.clip(start, -damped.LIMIT, damped.LIMIT)
    outcome = evaluate(best, derivatives != "never")
    residuals = goal.residuals(outcome)
    if outcome.slopes is not None:
        jacobian = goal.jacobian(outcome.slopes)
    elif jacobian is None:
        jacobian = _differences(evaluate, best, goal, residuals)
    anew = None if anew is None else anew & (np.abs(residuals).max(axis=0) > CLOSE)
    if anew is not None and anew.any() and outcome.slopes is None:
        near = _differences(evaluate, best, goal, residuals, NEAR_DIFFERENCE * anew)
        jacobian = np.where(anew[:, None, None], near, jacobian)
    damping, idle = np.full(best.shape[1], damped.FIRST_DAMPING), 0
    pulls = _pulls(goal, best)
    for _ in range(trials - 1):
        open_rows = ~_pressed(jacobian, residuals, best)
        rows = np.concatenate([residuals * open_rows, goal.departures(best)])
        step = damped.step(np.concatenate([jacobian, pulls], axis=1), rows, damping, best)
        # where maps are weighed none is met, but the step to the likeliest unknowns becomes short
        near, enough_near = (rows, CLOSE) if goal.prior is None else (step, SETTLED)
        seeking = np.abs(near).max(axis=0) > enough_near
        step = step * seeking
        if enough() or not (np.abs(step) > 1e-6).any():
            break
        tried = best + step
        outcome = evaluate(tried, derivatives == "always")
        found = goal.residuals(outcome)
        before = (open_rows * residuals**2).sum(axis=0) + (goal.departures(best) ** 2).sum(axis=0)
        after = (open_rows * found**2).sum(axis=0) + (goal.departures(tried) ** 2).sum(axis=0)
        better = seeking & (after < before)
        coming_on = better & ((after < (1.0 - NEARER) * before) | (np.abs(step).max(axis=0) > FAR))
        idle = idle + 1 if coming_on.sum() <= FEW * better.size else 0
        if outcome.slopes is not None:
            jacobian = np.where(better[:, None, None], goal.jacobian(outcome.slopes), jacobian)
        else:
            jacobian = damped.updated(jacobian, step, found - residuals)
        best = np.where(better, tried, best)
        residuals = np.where(better, found, residuals)
        fallen, grown = np.maximum(damped.LESS_DAMPING * damping, damped.LEAST_DAMPING), damped.MORE_DAMPING * damping
        damping = np.where(better, fallen, np.where(seeking, grown, damping))
        if idle == PATIENCE:
            break
    return Fit(best, residuals, jacobian, status_of(goal, best, residuals))


def _pulls(goal: Goal, unknowns: np.ndarray) -> np.ndarray:
    """Derivatives (cell, departure, parameter) of the departures from a prior, 1; no rows without one."""
    parameters, cells = unknowns.shape
    if goal.prior is None:
        return np.zeros((cells, 0, parameters))
    return np.broadcast_to(np.eye(parameters) / goal.prior.deviation, (cells, parameters, parameters))


def restarted(fit: Fit, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the next round begins: where this one ended, or elsewhere in cells that are stuck.

    Where the last parameter is so large or so small that its signature feels it no more, no derivative leads back, and
    where the signature has an extremum on the way, none leads on. A cell that misses either one begins anew with one of
    a few values of the parameter; without derivatives, which tell where to go from there, with the others in the middle
    of their ranges.

    Args:
        fit: What this round found.
        number: How many rounds began so, this one included.

    Returns:
        (parameter, cell) unknowns to begin with, and (cell,) which cells are begun anew.
    """
    if len(fit.unknowns) == 1:
        return fit.unknowns, np.zeros(fit.status.shape, bool)
    stuck = np.abs(fit.residuals).max(axis=0) > 1.0
    unknowns = fit.unknowns.copy()
    if fit.jacobian is None:
        unknowns[:-1, stuck] = 0.0
    unknowns[-1] = np.where(stuck, RESTARTS[(number - 1) % len(RESTARTS)], unknowns[-1])
    return unknowns, stuck


def nearer(fit: Fit, before: Fit, anew: np.ndarray) -> Fit:
    """A fit with what was found before it in cells that were begun anew and came no nearer.

    Args:
        fit: What a round found.
        before: What the one before it found.
        anew (cell,): Cells that were begun anew.
    """
    back = anew & (np.abs(fit.residuals).max(axis=0) >= np.abs(before.residuals).max(axis=0))
    jacobian, slopes = fit.jacobian, fit.slopes
    if jacobian is not None and before.jacobian is not None:
        jacobian = np.where(back[:, None, None], before.jacobian, jacobian)
    if slopes is not None and before.slopes is not None:
        slopes = np.where(back, before.slopes, slopes)
    return Fit(
        np.where(back, before.unknowns, fit.unknowns),
        np.where(back, before.residuals, fit.residuals),
        jacobian,
        np.where(back, before.status, fit.status),
        slopes,
    )


def _differences(
    evaluate: Evaluate, at: np.ndarray, goal: Goal, residuals: np.ndarray, size: np.ndarray | float = DIFFERENCE
) -> np.ndarray:
    """Derivatives (cell, signature, parameter) by one run for every parameter, each step away from the nearer bound."""
    columns = []
    for row in range(at.shape[0]):
        step = np.where(at[row] > 0.0, -1.0, 1.0) * size
        moved = at.copy()
        moved[row] += step
        columns.append((goal.residuals(evaluate(moved, False)) - residuals) / np.where(step == 0.0, 1.0, step))
    return np.moveaxis(np.stack(columns), (0, 1, 2), (2, 1, 0))


def _pressed(jacobian: np.ndarray, residuals: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Signatures (signature, cell) whose own parameter stands at a bound and would have to go beyond it.

    They count no more: what cannot be reached must not be traded for what can.
    """
    own = np.einsum("css->sc", jacobian)
    return (np.abs(at) >= damped.LIMIT - 1e-6) & (own * residuals * at < 0.0)


def identifiable(free: Sequence[Free], fit: Fit, goal: Goal, change: float = 0.1, effect: float = 0.005) -> np.ndarray:
    """Whether (parameter, cell) a relative change of a parameter moves its own target by more than a share of it.

    Args:
        free: The free parameters, in the order of the signatures.
        fit: A fit with derivatives.
        goal: The signatures.
        change: Relative change of the parameter, 1.
        effect: Least relative change of the target, 1.
    """
    if fit.jacobian is None:
        raise ValueError("Argument `fit` must hold derivatives, but holds none.")
    rows = []
    for row, one in enumerate(free):
        unknown = fit.unknowns[row]
        more = one.transform.decode(unknown) * (1.0 + change)
        moved = np.asarray(one.transform.encode(more)) - unknown
        effects = np.abs(fit.jacobian[:, row, row] * moved) * goal.tolerance[row]
        rows.append(effects > effect * np.abs(goal.values[row]))
    return np.stack(rows)
