r"""A few parameters of the whole model against discharge and lake levels, by least squares with exact derivatives.

What is made small is a sum of losses k over gauges and lakes g, each a sum of squares of residuals
(:mod:`chase_jax.calibration.losses`); each unknown u is held near where it began, $u_0$, by a prior of width s:

$$ \Phi = \sum_k w_k \sum_g w_g \sum_i r_{k,g,i}^2 + w \sum_j \left(\frac{u_j - u_{0,j}}{s}\right)^2 . $$

Derivatives of every day of discharge by every unknown go along with a run in forward mode, those of catchments apart in
the same tangent (:mod:`chase_jax.calibration.coloring`), and those of the residuals follow from them. Steps are those
of :mod:`chase_jax.calibration.damped`, the whole domain being one cell with many residuals; derivatives are kept up by
Broyden's update and computed again where that leads no further.

Source:
    levenberg1944, marquardt1963, broyden1965.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration import damped, losses
from chase_jax.calibration import free as free_parameters
from chase_jax.calibration.coloring import Coloring, parts
from chase_jax.calibration.free import Free
from chase_jax.calibration.trial import Span
from chase_jax.checks import require, require_choice
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.model.lake_record import LakeRecord
from chase_jax.numerics.compilation import compiled
from chase_jax.physics import atmosphere
from chase_jax.signatures import baseflow

PRIOR_WIDTH = 2.0  # 1, of an unknown: a parameter may well take any value within its bounds
LEAST_GAIN = 1e-4  # 1, of the target, below which a search ends
LEAST_STEP = 1e-2  # 1, of an unknown, below which a step that gains nothing ends it


class Simulator:
    """Discharge at gauges and levels of lakes under some parameters; compiles once without and once with derivatives.

    What it yields is (day, place): m3 s-1 at every gauge, then m in every lake.
    """

    def __init__(
        self,
        model: Chase,
        free: Mapping[str, Free],
        gauges: np.ndarray,
        start: State,
        run_in: Span | None,
        period: Span,
        lakes: tuple[int, ...] = (),
    ) -> None:
        """A simulator.

        Args:
            model: The model; all but the free parameters stay as they are.
            free: Free parameters by name.
            gauges (gauge,): Cells of the gauges.
            start: Stores with which every run begins.
            run_in: Weather before the period, gone through under the parameters tried; None to begin at once.
            period: Weather of the period.
            lakes: Numbers of the lakes whose level is wanted, solved as patches; a lake may come twice.
        """
        self._lakes = LakeRecord(model.domain)
        self._places = np.array([self._lakes.numbers.index(number) for number in lakes], dtype=int)
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

    def under(self, model: Chase) -> Simulator:
        """The same with other parameters to begin with. Argument: the model, equal but for its parameters."""
        other = copy.copy(self)
        other.model = model
        return other

    @property
    def tangents(self) -> int:
        """Number of tangents that go along with a run with derivatives, 1."""
        return len(self._coloring.directions)

    def encode(self) -> np.ndarray:
        """Unknowns (unknown,) of the parameters as they are, those of one free parameter after the other, 1."""
        return np.concatenate([np.asarray(one.encode(self.model.parameters)) for one in self.free])

    def split(self, unknowns: jax.Array) -> list[jax.Array]:
        """Unknowns (group,) of each free parameter. Argument: unknowns (unknown,), 1."""
        return [part for part in jnp.split(unknowns, np.cumsum(self.sizes)[:-1])]

    def run(self, unknowns: np.ndarray) -> np.ndarray:
        """Daily series (day, place). Argument: unknowns (unknown,), 1."""
        return self._through(self._tried(self.model, jnp.asarray(unknowns)), self.start)[0]

    def run_as_given(self) -> np.ndarray:
        """Daily series (day, place) under the parameters as they are, which unknowns of groups of cells cannot tell."""
        return self._through(self.model, self.start)[0]

    def repeated(self, cycles: int) -> State:
        """The stores after as many repetitions under the parameters as they are. Argument: cycles, 1."""
        state = self.start
        for _ in range(cycles):
            state = self._through(self.model, state)[1]
        return state

    def _tried(self, model: Chase, unknowns: jax.Array) -> Chase:
        """The model with the parameters that the unknowns (unknown,) stand for."""
        parameters = free_parameters.decode(self.free, self.split(unknowns), model.parameters)
        return eqx.tree_at(lambda m: m.parameters, model, parameters)

    def _through(self, model: Chase, state: State) -> tuple[np.ndarray, State]:
        """Series of the last span, and the stores at its end."""
        series: list[np.ndarray] = []
        for span in self._spans:
            series = []
            for k in range(span.chunks):
                weather, count = span.read(k)
                days = jnp.asarray(count, jnp.int32)
                state, flow = self._plain(model, state, weather, days)
                series.append(np.asarray(flow)[:count])
        return np.concatenate(series), state

    def run_with_slopes(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Daily series (day, place) and their derivatives (unknown, day, place) by the unknowns.

        Args:
            unknowns (unknown,): Unknowns, 1.
        """
        series, slopes = self._along_tangents(unknowns)
        return series, self._coloring.spread(slopes)

    def run_with_own_slopes(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Daily series (day, place) and their derivatives (parameter, day, place) by the unknowns of a place's basin.

        Args:
            unknowns (unknown,): Unknowns, 1, one of each parameter for every place, in the order of the places.

        Raises:
            InputError: If a place feels the unknowns of another one.
        """
        places = self._coloring.felt.shape[1]
        own = np.arange(len(self.names))[:, None] * places + np.arange(places)
        require(
            set(self.sizes) == {places} and np.array_equal(self._coloring.felt, own),
            f"Derivatives by the unknowns of its own basin need {places} places in basins apart, each with an unknown "
            f"of every parameter, but there are {self.sizes} unknowns in {self.tangents} tangents; use "
            "run_with_slopes.",
        )
        return self._along_tangents(unknowns)

    def _along_tangents(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Daily series (day, place) and their derivatives (tangent, day, place)."""
        directions = jnp.asarray(self._coloring.directions)
        state, series, slopes = self.start, list[np.ndarray](), list[np.ndarray]()
        moving = jax.tree.map(lambda leaf: jnp.zeros((len(directions), *leaf.shape), leaf.dtype), state)
        for span in self._spans:
            series, slopes = [], []
            for k in range(span.chunks):
                weather, count = span.read(k)
                days = jnp.asarray(count, jnp.int32)
                (state, flow), (moving, slope) = self._tangents(
                    self.model, jnp.asarray(unknowns), directions, state, moving, weather, days
                )
                series.append(np.asarray(flow)[:count])
                slopes.append(np.asarray(slope)[:, :count])
        return np.concatenate(series), np.concatenate(slopes, axis=1)

    @functools.cached_property
    def _coloring(self) -> Coloring:
        """Which unknowns share a tangent."""
        part = parts(self.model.domain)
        lake = np.asarray(self.model.domain.lake_index)
        shores = [np.flatnonzero(lake == self._lakes.numbers[k])[0] for k in self._places]
        rows = []
        for one, size in zip(self.free, self.sizes, strict=True):
            alike = np.arange(part.size) if one.support == "cell" else np.zeros(part.size, int)
            group = alike if one.group is None else np.asarray(one.group)
            touched = np.zeros((size, part.max() + 1), bool)
            touched[group[group >= 0], part[group >= 0]] = True
            rows.append(touched)
        return Coloring.of(np.concatenate(rows), part[np.concatenate([np.asarray(self._gauges), shores]).astype(int)])

    def _advance(self, model: Chase, state: State, weather: atmosphere.Forcing, count: jax.Array):
        """Stores after the first `count` days of a chunk, and the series (day, place) of the chunk."""
        columns = model.columns()
        length = weather.day_of_year.shape[0]

        def day(carry):
            k, state, series = carry
            state, fluxes = model.step(state, jax.tree.map(lambda leaf: leaf[k], weather), columns)
            levels = self._lakes.levels(model, state)[self._places]
            return k + 1, state, series.at[k].set(jnp.concatenate([fluxes.discharge[self._gauges], levels]))

        places = self._gauges.shape[0] + self._places.size
        start = (jnp.zeros((), jnp.int32), state, jnp.zeros((length, places)))
        _, state, series = jax.lax.while_loop(lambda carry: carry[0] < count, day, start)
        return state, series

    def _advance_with_tangents(self, model, unknowns, directions, state, moving, weather, count):
        """The same along some directions (tangent, unknown)."""

        def along(direction: jax.Array, moving: State):
            return jax.jvp(
                lambda u, s: self._advance(self._tried(model, u), s, weather, count),
                (unknowns, state),
                (direction, moving),
            )

        return jax.vmap(along, out_axes=(None, 0))(directions, moving)


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
            f"sizes {wide.sizes}; those of support domain have one in both.",
        )
        self._narrow, self._wide = narrow, wide
        self._known: dict[bytes, np.ndarray] = {}  # discharge by unknowns; derivatives are asked for where it is known
        self.model, self.names, self.free, self.sizes = narrow.model, narrow.names, narrow.free, narrow.sizes
        self.encode, self.split = narrow.encode, narrow.split

    def run(self, unknowns: np.ndarray) -> np.ndarray:
        """Daily series (day, place) in narrow cells. Argument: unknowns (unknown,), 1."""
        key = np.asarray(unknowns).tobytes()
        if key not in self._known:
            self._known[key] = self._narrow.run(unknowns)
        return self._known[key]

    def run_with_slopes(self, unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, and derivatives (unknown, day, place) of the series in wide cells by the unknowns.

        Args:
            unknowns (unknown,): Unknowns, 1.
        """
        return self.run(unknowns), self._wide.run_with_slopes(unknowns)[1]


@dataclasses.dataclass(frozen=True)
class Goal:
    """Observed series and how they are compared.

    Attributes:
        observed: (day, gauge) discharge, m3 s-1, NaN where missing or not to be used.
        kind: How flow is compared, one of `losses.FLOWS`.
        start: (unknown,) unknowns around which the prior lies, 1.
        prior: Weight of the prior, 1.
        weights: Weight of each loss by its name, one of `losses.LOSSES`, 1.
        levels: (day, lake) observed levels, m, NaN where missing; None without lakes.
        of_place: (place,) weight of every gauge, then of every lake, 1; None for equal weights.
        interval_days: (gauge,) intervals of the separation of base flow, days; None where no index is compared.
    """

    observed: np.ndarray
    kind: str
    start: np.ndarray
    prior: float
    weights: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"nse": 1.0})
    levels: np.ndarray | None = None
    of_place: np.ndarray | None = None
    interval_days: np.ndarray | None = None

    def __post_init__(self) -> None:
        require_choice(self.kind, "kind", losses.FLOWS)
        for name in self.weights:
            require_choice(name, "weights", losses.LOSSES)
        require(
            not (self.kind == "logarithm" and "kge" in self.weights),
            "Argument `weights` must not hold kge where `kind` is logarithm, but does; take the root.",
        )
        for label, series in (("observed", self.observed), ("levels", self.levels)):
            if series is not None and series.size:
                there = np.isfinite(series).sum(axis=0)
                require(bool((there > 1).all()), f"Argument `{label}` must have values at every place, but has not.")
                flat = np.flatnonzero(np.nanmin(series, axis=0) == np.nanmax(series, axis=0))
                require(
                    not flat.size,
                    f"Argument `{label}` must vary, but is the same on every day at place {flat[:1]}; nothing can be "
                    "learned from it.",
                )

    @property
    def of_days(self) -> bool:
        """Whether residuals are errors of days, each counted once, by which alone a spread can be told."""
        return any(set(self.weights) <= names for names in losses.OF_DAYS)

    @property
    def shape(self) -> tuple[int, int]:
        """Days and places."""
        days, gauges = self.observed.shape
        return days, gauges + (0 if self.levels is None else self.levels.shape[1])

    def residuals(self, series: np.ndarray, unknowns: np.ndarray) -> np.ndarray:
        """Residuals (residual,), 1, whose squares add up to the target.

        Args:
            series (day, place): Simulated discharge, m3 s-1, and levels, m.
            unknowns (unknown,): Unknowns that made it, 1.
        """
        held = np.sqrt(self.prior) * (unknowns - self.start) / PRIOR_WIDTH
        return np.concatenate([np.asarray(self._compared(jnp.asarray(series))), held])

    def jacobian(self, series: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Derivatives (residual, unknown) of the residuals.

        Args:
            series (day, place): Simulated series.
            slopes (unknown, day, place): Their derivatives.
        """
        by_unknown = self._slopes(jnp.asarray(series), jnp.asarray(slopes))
        held = np.sqrt(self.prior) / PRIOR_WIDTH * np.eye(slopes.shape[0])
        return np.concatenate([np.asarray(by_unknown).T, held])

    @functools.cached_property
    def _compared(self) -> Callable[[jax.Array], jax.Array]:
        return jax.jit(self._residuals)

    @functools.cached_property
    def _slopes(self) -> Callable[[jax.Array, jax.Array], jax.Array]:
        def along(series: jax.Array, slope: jax.Array) -> jax.Array:
            return jax.jvp(self._residuals, (series,), (slope,))[1]

        return jax.jit(jax.vmap(along, in_axes=(None, 0)))

    def _residuals(self, series: jax.Array) -> jax.Array:
        """Those of all losses (residual,), 1, but of the prior."""
        gauges = self.observed.shape[1]
        of_place = np.ones(series.shape[1]) if self.of_place is None else self.of_place
        days = np.full(gauges, baseflow.SHORTEST) if self.interval_days is None else self.interval_days
        parts = []
        for name, weight in self.weights.items():
            if name == losses.LAKE_LEVEL:
                assert self.levels is not None  # noqa: S101  whoever asks for levels gives them
                here, observed = slice(gauges, None), self.levels
            else:
                here, observed = slice(0, gauges), self.observed
            found, there = losses.residuals(name, series[:, here], observed, self.kind, days)
            parts.append((found * np.sqrt(weight * of_place[here]))[there])
        return jnp.concatenate(parts)


Run = Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray | None]]


def fit(run: Run, goal: Goal, trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Seek the unknowns with the smallest target.

    Args:
        run: Runs the model with unknowns (unknown,): series (day, place), and their derivatives if they are asked for.
        goal: The target.
        trials: Most runs.

    Returns:
        The best unknowns (unknown,), 1, and their covariance (unknown, unknown) if the errors of all days were
        independent, which those of flow are not: it tells parameters apart, but is too small. NaN where the losses
        are not of days, or leave fewer residuals than unknowns.
    """

    def with_slopes(unknowns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        series, slopes = run(unknowns, True)
        assert slopes is not None  # noqa: S101  asked for
        return goal.residuals(series, unknowns), goal.jacobian(series, slopes)

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
    left = residuals.size - 2 * best.size  # the prior's residuals are no data
    variance = (residuals**2).sum() / left if goal.of_days and left > 0 else np.nan
    return best, variance * np.linalg.pinv(jacobian.T @ jacobian)
