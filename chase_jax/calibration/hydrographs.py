r"""A few parameters of the whole model against discharge at gauges, by least squares with exact derivatives.

Errors of transformed flow are divided by the spread of what was observed, so that their squares add up to the sum of
$1 - \mathrm{NSE}$ over the gauges g. Each unknown u is held near where it began, $u_0$, by a prior of width s:

$$ \Phi = \sum_g \frac{1}{n_g \sigma_g^2} \sum_t \left[f(Q_{g,t}) - f(Q^{obs}_{g,t})\right]^2 +
          w \sum_k \left(\frac{u_k - u_{0,k}}{s}\right)^2 , $$

f the identity, the square root or the logarithm of $Q + 0.01\,\bar Q^{obs}_g$ (pushpalatha2012). Derivatives of every
day of discharge by every unknown go along with a run in forward mode. Steps are those of
:mod:`chase_jax.calibration.damped`, the whole domain being one cell with many residuals; derivatives are kept up by
Broyden's update and computed again where that leads no further.

Source:
    levenberg1944, marquardt1963, broyden1965; nash1970 (the skill).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration import damped
from chase_jax.calibration import free as free_parameters
from chase_jax.calibration.free import Free
from chase_jax.calibration.trial import Span
from chase_jax.checks import require, require_choice
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.numerics.compilation import compiled
from chase_jax.physics import atmosphere

FLOWS = ("flow", "root", "logarithm")
OFFSET = 0.01  # 1, of the mean observed flow, below which a logarithm feels nothing; pushpalatha2012
PRIOR_WIDTH = 2.0  # 1, of an unknown: a parameter may well take any value within its bounds
LEAST_GAIN = 1e-4  # 1, of the target, below which a search ends
LEAST_STEP = 1e-2  # 1, of an unknown, below which a step that gains nothing ends it


class Simulator:
    """Discharge at gauges under some parameters; compiles once without and once with derivatives."""

    def __init__(
        self,
        model: Chase,
        free: Mapping[str, Free],
        gauges: np.ndarray,
        start: State,
        run_in: Span | None,
        period: Span,
    ) -> None:
        """A simulator.

        Args:
            model: The model; all but the free parameters stay as they are.
            free: Free parameters by name.
            gauges (gauge,): Cells of the gauges.
            start: Stores with which every run begins.
            run_in: Weather before the period, gone through under the parameters tried; None to begin at once.
            period: Weather of the period.
        """
        self.model, self.names, self.free, self._gauges = model, tuple(free), tuple(free.values()), jnp.asarray(gauges)
        self.start, self._spans = start, [span for span in (run_in, period) if span is not None]
        self.sizes = [one.groups(model.parameters) for one in self.free]
        self._plain = compiled(self._advance)
        self._tangents = compiled(self._advance_with_tangents)

    def over(self, start: State, run_in: Span | None, period: Span) -> Simulator:
        """The same over other spans from other stores, without compiling again; arguments as of a new one."""
        other = copy.copy(self)
        other.start, other._spans = start, [span for span in (run_in, period) if span is not None]
        return other

    def encode(self) -> np.ndarray:
        """Unknowns (unknown,) of the parameters as they are, those of one free parameter after the other, 1."""
        return np.concatenate([np.asarray(one.encode(self.model.parameters)) for one in self.free])

    def split(self, unknowns: jax.Array) -> list[jax.Array]:
        """Unknowns (group,) of each free parameter. Argument: unknowns (unknown,), 1."""
        return [part for part in jnp.split(unknowns, np.cumsum(self.sizes)[:-1])]

    def run(self, unknowns: np.ndarray) -> np.ndarray:
        """Daily discharge (day, gauge), m3 s-1. Argument: unknowns (unknown,), 1."""
        return self._through(unknowns, self.start)[0]

    def repeated(self, cycles: int) -> State:
        """The stores after as many repetitions under the parameters as they are. Argument: cycles, 1."""
        state = self.start
        for _ in range(cycles):
            state = self._through(self.encode(), state)[1]
        return state

    def _through(self, unknowns: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Discharge of the last span, and the stores at its end."""
        series: list[np.ndarray] = []
        for span in self._spans:
            series = []
            for k in range(span.chunks):
                weather, count = span.read(k)
                days = jnp.asarray(count, jnp.int32)
                state, flow = self._plain(self.model, jnp.asarray(unknowns), state, weather, days)
                series.append(np.asarray(flow)[:count])
        return np.concatenate(series), state

    def run_with_slopes(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Daily discharge (day, gauge), m3 s-1, and its derivatives (unknown, day, gauge) by the unknowns.

        Args:
            unknowns (unknown,): Unknowns, 1.
        """
        number = sum(self.sizes)
        state, series, slopes = self.start, list[np.ndarray](), list[np.ndarray]()
        moving = jax.tree.map(lambda leaf: jnp.zeros((number, *leaf.shape), leaf.dtype), state)
        for span in self._spans:
            series, slopes = [], []
            for k in range(span.chunks):
                weather, count = span.read(k)
                days = jnp.asarray(count, jnp.int32)
                (state, flow), (moving, slope) = self._tangents(
                    self.model, jnp.asarray(unknowns), state, moving, weather, days
                )
                series.append(np.asarray(flow)[:count])
                slopes.append(np.asarray(slope)[:, :count])
        return np.concatenate(series), np.concatenate(slopes, axis=1)

    def _advance(self, model: Chase, unknowns: jax.Array, state: State, weather: atmosphere.Forcing, count: jax.Array):
        """Stores after the first `count` days of a chunk, and the discharge (day, gauge) of the chunk."""
        parameters = free_parameters.decode(self.free, self.split(unknowns), model.parameters)
        tried = eqx.tree_at(lambda m: m.parameters, model, parameters)
        columns = tried.columns()
        length = weather.day_of_year.shape[0]

        def day(carry):
            k, state, series = carry
            state, fluxes = tried.step(state, jax.tree.map(lambda leaf: leaf[k], weather), columns)
            return k + 1, state, series.at[k].set(fluxes.discharge[self._gauges])

        start = (jnp.zeros((), jnp.int32), state, jnp.zeros((length, self._gauges.shape[0])))
        _, state, series = jax.lax.while_loop(lambda carry: carry[0] < count, day, start)
        return state, series

    def _advance_with_tangents(self, model, unknowns, state, moving, weather, count):
        """The same with one tangent for each unknown."""

        def along(direction: jax.Array, moving: State):
            return jax.jvp(
                lambda u, s: self._advance(model, u, s, weather, count), (unknowns, state), (direction, moving)
            )

        return jax.vmap(along, out_axes=(None, 0))(jnp.eye(unknowns.shape[0]), moving)


class TwoWidths:
    """Discharge in narrow cells with derivatives in wide ones, which cost a small part of a run in narrow ones.

    What both yield may differ by far; only the directions in which their discharge moves must be alike. Broyden's
    update corrects them by what steps do in narrow cells.

    Source:
        bandler2004 (space mapping).
    """

    def __init__(self, narrow: Simulator, wide: Simulator) -> None:
        """Both simulators; their free parameters must be the same, with as many unknowns each.

        Args:
            narrow: Simulator of the discharge.
            wide: Simulator of the derivatives.

        Raises:
            InputError: If the unknowns are not the same.
        """
        require(
            (narrow.names, narrow.sizes) == (wide.names, wide.sizes),
            f"Argument `wide` must have the unknowns {narrow.names} of sizes {narrow.sizes}, but has {wide.names} of "
            f"sizes {wide.sizes}; with fit.support=domain each has one in both.",
        )
        self._narrow, self._wide = narrow, wide
        self._known: dict[bytes, np.ndarray] = {}  # discharge by unknowns; derivatives are asked for where it is known
        self.model, self.names, self.free, self.sizes = narrow.model, narrow.names, narrow.free, narrow.sizes
        self.encode, self.split = narrow.encode, narrow.split

    def run(self, unknowns: np.ndarray) -> np.ndarray:
        """Daily discharge (day, gauge) in narrow cells, m3 s-1. Argument: unknowns (unknown,), 1."""
        key = np.asarray(unknowns).tobytes()
        if key not in self._known:
            self._known[key] = self._narrow.run(unknowns)
        return self._known[key]

    def run_with_slopes(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, and derivatives (unknown, day, gauge) of the discharge in wide cells by the unknowns.

        Args:
            unknowns (unknown,): Unknowns, 1.
        """
        return self.run(unknowns), self._wide.run_with_slopes(unknowns)[1]


@dataclasses.dataclass(frozen=True)
class Goal:
    """Observed discharge and how it is compared.

    Attributes:
        observed: (day, gauge) discharge, m3 s-1, NaN where missing or not to be used.
        kind: What is compared, one of `FLOWS`.
        start: (unknown,) unknowns around which the prior lies, 1.
        prior: Weight of the prior, 1.
    """

    observed: np.ndarray
    kind: str
    start: np.ndarray
    prior: float

    def __post_init__(self) -> None:
        require_choice(self.kind, "kind", FLOWS)
        there = np.isfinite(self.observed).sum(axis=0)
        require(bool((there > 1).all()), "Argument `observed` must have values at every gauge, but has not.")

    def residuals(self, discharge: np.ndarray, unknowns: np.ndarray) -> np.ndarray:
        """Residuals (residual,), 1, whose squares add up to the target.

        Args:
            discharge (day, gauge): Simulated discharge, m3 s-1.
            unknowns (unknown,): Unknowns that made it, 1.
        """
        known = np.isfinite(self.observed)
        error = self._transformed(discharge) - self._transformed(self.observed)
        weight = 1.0 / (np.sqrt(known.sum(axis=0)) * np.nanstd(self._transformed(self.observed), axis=0))
        flow = (error * weight)[known]
        return np.concatenate([flow, np.sqrt(self.prior) * (unknowns - self.start) / PRIOR_WIDTH])

    def jacobian(self, discharge: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Derivatives (residual, unknown) of the residuals.

        Args:
            discharge (day, gauge): Simulated discharge, m3 s-1.
            slopes (unknown, day, gauge): Its derivatives.
        """
        known = np.isfinite(self.observed)
        weight = 1.0 / (np.sqrt(known.sum(axis=0)) * np.nanstd(self._transformed(self.observed), axis=0))
        flow = (slopes * self._slope(discharge) * weight)[:, known].T
        count = slopes.shape[0]
        return np.concatenate([flow, np.sqrt(self.prior) / PRIOR_WIDTH * np.eye(count)])

    def _shift(self) -> np.ndarray:
        return OFFSET * np.nanmean(self.observed, axis=0)

    def _transformed(self, flow: np.ndarray) -> np.ndarray:
        if self.kind == "flow":
            return flow
        shifted = np.maximum(flow, 0.0) + self._shift()  # a reversed river counts as a dry one
        return np.sqrt(shifted) if self.kind == "root" else np.log(shifted)

    def _slope(self, flow: np.ndarray) -> np.ndarray:
        if self.kind == "flow":
            return np.ones_like(flow)
        shifted = np.maximum(flow, 0.0) + self._shift()
        rising = flow > 0.0
        return rising * (0.5 / np.sqrt(shifted) if self.kind == "root" else 1.0 / shifted)


Run = Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray | None]]


def fit(run: Run, goal: Goal, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Seek the unknowns with the smallest target.

    Args:
        run: Runs the model with unknowns (unknown,): discharge (day, gauge), and its derivatives if they are asked for.
        goal: The target.
        trials: Most runs.

    Returns:
        The best unknowns (unknown,), 1, and their covariance (unknown, unknown) if the errors of all days were
        independent, which those of flow are not: it tells parameters apart, but is too small.
    """

    def with_slopes(unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        discharge, slopes = run(unknowns, True)
        assert slopes is not None  # noqa: S101  asked for
        return goal.residuals(discharge, unknowns), goal.jacobian(discharge, slopes)

    best = np.clip(goal.start, -damped.LIMIT, damped.LIMIT)
    residuals, jacobian = with_slopes(best)
    spent, exact, damping = 1, True, np.array([damped.FIRST_DAMPING])
    while spent < trials:
        step = damped.step(jacobian[None], residuals[:, None], damping, best[:, None])[:, 0]
        tried = best + step
        found = goal.residuals(run(tried, False)[0], tried)
        spent += 1
        target = (residuals**2).sum()
        gained = target - (found**2).sum()
        slow = gained < LEAST_GAIN * target
        if gained > 0.0:
            jacobian = damped.updated(jacobian[None], step[:, None], (found - residuals)[:, None])[0]
            best, residuals = tried, found
            damping = np.maximum(damped.LESS_DAMPING * damping, damped.LEAST_DAMPING)
        else:
            damping = damped.MORE_DAMPING * damping
        if slow and exact and (gained > 0.0 or np.abs(step).max() < LEAST_STEP):
            break
        if slow and not exact and spent < trials:  # what Broyden's update knows is used up
            residuals, jacobian = with_slopes(best)
            spent, exact, damping = spent + 1, True, np.array([damped.FIRST_DAMPING])
        elif gained > 0.0:
            exact = False
    variance = (residuals**2).sum() / max(residuals.size - 2 * best.size, 1)  # the prior's residuals are no data
    return best, variance * np.linalg.pinv(jacobian.T @ jacobian)
