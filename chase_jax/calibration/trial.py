"""A trial: the model with some parameters, run from near its own equilibrium, and the signatures that come out.

A trial runs the run-in, so that the upper stores take on what the new parameters make of them, and then the period
whose runoff is judged. All trials of a round start from the same stores, so that what they yield depends on their
parameters alone and differences between them mean something; between rounds :meth:`Simulator.equilibrium` renews these
stores under the best parameters so far. What the stores still gain or lose over the period is reported, because a mean
from an aquifer that drains is no runoff depth.

Derivatives go along in forward mode: one tangent for every free parameter, each changing all cells at once. Of closed
columns, in which no cell sees another, that yields every cell's own derivatives; of the coupled model it yields what a
common change of all cells does to each.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.calibration import columns, cores, targets
from chase_jax.calibration import free as free_parameters
from chase_jax.calibration.free import Free
from chase_jax.model import budget, equilibrium
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.numerics.compilation import compiled
from chase_jax.physics import atmosphere

COST_OF_SLOPES = 1.35  # 1, of the derivatives by a parameter over a run without; those by two were measured at 2.7
LARGEST_DRIFT = 0.01  # 1, of the runoff, above which a cell is not in equilibrium
EXTRAPOLATED = 3  # repetitions of a run-in after which the water table is moved to where its changes tend
STILL = 0.001  # 1, change of all stores over the runoff of a repetition below which a cell stands still
LEAST_STILL = 0.01  # kg m-2 year-1, the same where runoff is small
Weather = Callable[[int], tuple[atmosphere.Forcing, int]]


class Span:
    """A span of days in chunks of one length, of which the last days of a chunk may not count.

    Attributes:
        chunks: Number of chunks.
        days: Number of days.
    """

    def __init__(self, read: Weather, chunks: int, days: int) -> None:
        """A span whose chunk k is `read(k)`: weather with a leading time axis and how many of its days count."""
        self.read, self.chunks, self.days = read, chunks, days


class Outcome(eqx.Module):
    """What a trial yields.

    Attributes:
        runoff_depth (cell,): Mean runoff depth, kg m-2 year-1.
        baseflow_index (cell,): Base flow over total flow of the cell's runoff, 1.
        drift (cell,): Change of all water in the cell over the period, kg m-2 year-1.
        cost (): Forward-run equivalents: days run over those of one run-in and the period, times the measured cost of
            derivatives where they were asked for, 1.
        slopes (parameter, signature, cell): Derivatives of runoff depth and baseflow index by the unknown of every
            free parameter; None if they were not asked for.
    """

    runoff_depth: np.ndarray
    baseflow_index: np.ndarray
    drift: np.ndarray
    cost: np.ndarray
    slopes: np.ndarray | None = None

    def at(self, cells: np.ndarray) -> Outcome:
        """The outcome at some cells. Argument: cells (chosen,), 1."""
        slopes = None if self.slopes is None else self.slopes[..., cells]
        return Outcome(self.runoff_depth[cells], self.baseflow_index[cells], self.drift[cells], self.cost, slopes)


def spinup_cost(simulator: Simulator, cycles: int) -> float:
    """Repetitions of the run-in in forward runs, 1. Arguments: the simulator, and how many repetitions, 1."""
    return cycles * simulator.run_in_days / simulator.days


class Simulator:
    """A model whose parameters can be tried; compiles once without and once with derivatives."""

    def __init__(
        self,
        model: Chase,
        free: Sequence[Free],
        run_in: Span,
        period: Span,
        interval_days: int,
        cycles: int = 1,
        at_once: int = 1,
    ) -> None:
        """A simulator.

        Args:
            model: The model; all but the free parameters stay as they are.
            free: Free parameters, whose support is the cell.
            run_in: Weather before the period, or that of the period itself.
            period: Weather of the period that is judged.
            interval_days: Interval of the separation of base flow, days.
            cycles: How often a trial goes through the run-in.
            at_once: Most cores that run at once; more than one only if the model is of closed columns.
        """
        self.model, self.free, self.cycles, self.at_once = model, tuple(free), cycles, at_once
        self._run_in, self._period, self._interval = run_in, period, interval_days
        self._shared: list[Chase] = []  # models of the shares, once they are needed
        self._plain = cores.alone_at_first(compiled(self._advance))
        self._tangents = cores.alone_at_first(compiled(self._advance_with_tangents))
        self._signatures = jax.jit(lambda series: targets.signatures(series, interval_days))

    @property
    def run_in_days(self) -> int:
        """Days of one run-in."""
        return self._run_in.days

    @property
    def days(self) -> int:
        """Days of one forward run: the run-in once and the period."""
        return self._run_in.days + self._period.days

    @property
    def spans(self) -> tuple[tuple[str, Span], ...]:
        """Run-in and period with their names."""
        return (("run-in", self._run_in), ("period", self._period))

    def over(self, period: Span) -> Simulator:
        """The same model judged by another period. Argument: its weather."""
        other = copy.copy(self)
        other._period = period
        return other

    def of(self, cells: np.ndarray) -> Simulator:
        """Some columns of a model of closed columns; as many of them, whichever, share a compiled program.

        Args:
            cells (chosen,): Numbers of the columns, increasing.
        """
        other = copy.copy(self)
        other.model, other._shared = self._columns(cells), []
        other._run_in, other._period = _at(self._run_in, cells), _at(self._period, cells)
        return other

    def _columns(self, cells: np.ndarray) -> Chase:
        """Some columns of the model as a model. Argument: their numbers (chosen,), increasing."""
        model = columns.closed(self.model, cells)
        # where a column lies does not matter to it, but another grid would be another program
        grid = self.model.domain.grid.select(np.arange(cells.size))
        domain = dataclasses.replace(model.domain, grid=grid)
        return Chase(domain, model.parameters, self.model.solvers, self.model.options)

    def day_with_tangents(
        self, unknowns: jax.Array, state: State, moving: State, weather: atmosphere.Forcing
    ) -> tuple[State, State]:
        """The stores after a day and their derivatives along the unknowns of every free parameter.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            moving: Their derivatives, (parameter, ...) leaves.
            weather: Weather of the day, with a time axis of one day.
        """
        (state, _), (moving, _) = self._tangents(
            self.model, unknowns, state, moving, weather, jnp.asarray(1, jnp.int32)
        )
        return state, moving

    def equilibrium(self, unknowns: jax.Array, state: State, cycles: int) -> State:
        """Stores after the run-in was repeated, the aquifer extrapolated after every third repetition.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            cycles: How often.
        """
        return self._repeated(unknowns, state, cycles, until_still=False)[0]

    def settled(self, unknowns: jax.Array, state: State, cycles: int) -> tuple[State, Outcome]:
        """Stores after the run-in was repeated until those of every cell stand still, extrapolated as above.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            cycles: How often at most, > 0.

        Returns:
            The stores, with runoff and drift of the last repetition and the cost of all; there is no baseflow index.
        """
        return self._repeated(unknowns, state, cycles, until_still=True)

    def _repeated(self, unknowns: jax.Array, state: State, cycles: int, until_still: bool) -> tuple[State, Outcome]:
        """What :meth:`equilibrium` and :meth:`settled` share."""
        years = self._run_in.days / const.DAYS_PER_YEAR
        history, depth, drift, k = equilibrium.History.start(state), np.zeros(0), np.zeros(0), 0
        for k in range(cycles):
            before = state
            state, series = self._pass(self._run_in, unknowns, state)
            depth = np.mean(series, axis=0) * (const.SECONDS_PER_DAY * const.DAYS_PER_YEAR)
            drift = self._change(before, state) / years
            if until_still and stand_still(drift, depth).all():
                break
            history = history.with_end(self.model, state, years)
            if k % EXTRAPOLATED == EXTRAPOLATED - 1:
                state, history = equilibrium.extrapolated(self.model, state, history)
        cost = np.array(spinup_cost(self, k + 1))
        return state, Outcome(depth, np.full(depth.shape, np.nan), drift, cost)

    def run(self, unknowns: jax.Array, state: State, cycles: int | None = None) -> tuple[Outcome, State]:
        """Try parameters.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            cycles: Repetitions of the run-in before the period; None for those of every trial.

        Returns:
            The outcome and the stores at the end.
        """
        cycles = self.cycles if cycles is None else cycles
        for _ in range(cycles):
            state = self._pass(self._run_in, unknowns, state)[0]
        after, series = self._pass(self._period, unknowns, state)
        return self._outcome(state, after, self._signatures(jnp.asarray(series)), cycles), after

    def run_with_slopes(self, unknowns: jax.Array, state: State) -> tuple[Outcome, State]:
        """Try parameters and find the derivatives of what comes out by their unknowns; otherwise as :meth:`run`.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start, taken as independent of the parameters.
        """
        count = len(self.free)
        moving = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), state)
        for _ in range(self.cycles):
            state, moving, _, _ = self._pass_with_tangents(self._run_in, unknowns, state, moving)
        after, _, series, slopes = self._pass_with_tangents(self._period, unknowns, state, moving)
        rows = []
        for slope in slopes:
            found, along = jax.jvp(self._signatures, (jnp.asarray(series),), (jnp.asarray(slope),))
            rows.append(np.stack([along.runoff_depth, along.baseflow_index]))
        return self._outcome(state, after, found, self.cycles, np.stack(rows)), after

    def _change(self, before: State, after: State) -> np.ndarray:
        """Change of all water in a cell (cell,), kg m-2."""
        domain = self.model.domain
        return np.asarray(budget.storage(domain, after) - budget.storage(domain, before))

    def _outcome(
        self,
        before: State,
        after: State,
        found: targets.Signatures,
        cycles: int,
        slopes: np.ndarray | None = None,
    ) -> Outcome:
        """Signatures with the drift of the stores and the cost."""
        drift = self._change(before, after) * (const.DAYS_PER_YEAR / self._period.days)
        days = cycles * self._run_in.days + self._period.days
        cost = days / self.days * (1.0 if slopes is None else 1.0 + COST_OF_SLOPES * len(self.free))
        return Outcome(np.asarray(found.runoff_depth), np.asarray(found.baseflow_index), drift, np.array(cost), slopes)

    def _pass(self, span: Span, unknowns: jax.Array, state: State) -> tuple[State, np.ndarray]:
        """The stores after a span and its daily yield (day, cell)."""

        def advance(model: Chase, given: jax.Array, stores: State, weather: atmosphere.Forcing, count: jax.Array):
            stores, series = self._plain(model, given, stores, weather, count)
            return stores, np.asarray(series)

        return self._through(span, advance, unknowns, state)

    def _pass_with_tangents(self, span: Span, unknowns: jax.Array, state: State, moving: State):
        """The same with tangents (parameter, ...) of the stores and of the yield."""

        def advance(model: Chase, given: jax.Array, both: Any, weather: atmosphere.Forcing, count: jax.Array):
            (stores, series), (moving, slope) = self._tangents(model, given, *both, weather, count)
            return (stores, moving), np.concatenate([np.asarray(series)[None], np.asarray(slope)])

        (state, moving), found = self._through(span, advance, unknowns, (state, moving))
        return state, moving, found[0], found[1:]

    def _through(
        self, span: Span, advance: Callable[..., tuple[Any, np.ndarray]], unknowns: jax.Array, state: Any
    ) -> tuple[Any, np.ndarray]:
        """What is carried through a span, and the series (..., day, cell) that come out, on as many cores as may be.

        Args:
            span: The span.
            advance: Carries a share of the columns through a chunk: model, unknowns, what is carried, weather, days.
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: What is carried.
        """
        total = self.model.domain.cells
        numbers = cores.shares(total, self.at_once)
        if len(numbers) == 1:
            models, given, parts = [self.model], [unknowns], [state]
        else:
            self._shared = models = self._shared or [self._columns(cells) for cells in numbers]
            given = [unknowns[..., cells] for cells in numbers]
            parts = [columns.taken(state, cells, total) for cells in numbers]
        kept = []
        for k in range(span.chunks):
            weather, count = span.read(k)
            days = [weather] if len(numbers) == 1 else [_weather_at(weather, cells) for cells in numbers]
            asked = [jnp.asarray(count, jnp.int32)] * len(numbers)
            done = cores.at_once(advance, models, given, parts, days, asked)
            parts = [part for part, _ in done]
            kept.append(cores.joined([series for _, series in done], numbers)[..., :count, :])
        return cores.joined(parts, numbers), np.concatenate(kept, axis=-2)

    def _advance(self, model: Chase, unknowns: jax.Array, state: State, weather: atmosphere.Forcing, count: jax.Array):
        """Stores after the first `count` days of a chunk, and the daily yield (:mod:`targets`) of the chunk."""
        parameters = free_parameters.decode(self.free, tuple(unknowns), model.parameters)
        tried = eqx.tree_at(lambda m: m.parameters, model, parameters)
        columns = tried.columns()
        length = weather.day_of_year.shape[0]

        def day(carry):
            k, state, series = carry
            state, fluxes = tried.step(state, jax.tree.map(lambda leaf: leaf[k], weather), columns)
            return k + 1, state, series.at[k].set(fluxes.water_yield)

        start = (jnp.zeros((), jnp.int32), state, jnp.zeros((length, model.domain.cells)))
        _, state, series = jax.lax.while_loop(lambda carry: carry[0] < count, day, start)
        return state, series

    def _advance_with_tangents(self, model, unknowns, state, moving, weather, count):
        """The same with one tangent for each free parameter, which changes it in all cells at once."""

        def along(direction: jax.Array, moving: State):
            return jax.jvp(
                lambda u, s: self._advance(model, u, s, weather, count), (unknowns, state), (direction, moving)
            )

        number = len(self.free)
        directions = jnp.eye(number)[:, :, None] * jnp.ones((number, number, unknowns.shape[-1]))
        return jax.vmap(along, out_axes=(None, 0))(directions, moving)


def spans(read: Callable[[int, int], atmosphere.Forcing], days: int, longest: int = 31) -> Span:
    """A span in chunks.

    Args:
        read: Weather of `count` days from number `day` on, padded to `longest`; a function of day and count.
        days: Number of days.
        longest: Days of a chunk.
    """
    chunks = -(-days // longest)

    def chunk(k: int) -> tuple[atmosphere.Forcing, int]:
        count = min(longest, days - k * longest)
        return read(k * longest, count), count

    return Span(chunk, chunks, days)


def _at(span: Span, cells: np.ndarray) -> Span:
    """A span at some cells."""

    def chunk(k: int) -> tuple[atmosphere.Forcing, int]:
        weather, count = span.read(k)
        return _weather_at(weather, cells), count

    return Span(chunk, span.chunks, span.days)


def _weather_at(weather: atmosphere.Forcing, cells: np.ndarray) -> atmosphere.Forcing:
    """Weather (time, cell) at some cells."""
    return jax.tree.map(lambda leaf: leaf[..., cells] if leaf.ndim > 1 else leaf, weather)


def in_equilibrium(drift: np.ndarray, runoff: np.ndarray, least: float = 1.0) -> np.ndarray:
    """Whether stores (cell,) change by less than a hundredth of the runoff, or by less than a small amount.

    Args:
        drift (cell,): Change of storage, kg m-2 per time.
        runoff (cell,): Runoff, in the same unit.
        least: The small amount, in the same unit; 1 mm a year by default.
    """
    return np.abs(drift) <= np.maximum(LARGEST_DRIFT * np.abs(runoff), least)


def stand_still(change: np.ndarray, runoff: np.ndarray) -> np.ndarray:
    """Whether stores (cell,) change so little that nothing is left to wait for.

    Args:
        change (cell,): Change of storage, kg m-2 year-1.
        runoff (cell,): Runoff, kg m-2 year-1.
    """
    return np.abs(change) <= np.maximum(STILL * np.abs(runoff), LEAST_STILL)
