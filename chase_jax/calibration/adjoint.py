"""A target of the signatures of the coupled model and its gradient by the parameters of every cell, in reverse mode.

The run goes forward chunk by chunk and keeps the stores at the beginning of each. The target knows all days of the
period; its derivatives by the daily yield go back through the chunks, the last first, each run again by itself. So
memory holds one chunk of days and one set of stores for every chunk, however long the run is. Lateral ground water,
rivers and lakes are part of what is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration import free as free_parameters
from chase_jax.calibration import targets
from chase_jax.calibration.free import Free
from chase_jax.calibration.trial import Span
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.numerics.compilation import compiled
from chase_jax.numerics.scan import checkpointed_scan
from chase_jax.physics import atmosphere

COST = 10.0  # 1, of value and gradient over one forward run; 9 to 11 in the benchmark of a step
Target = Callable[[targets.Signatures], jax.Array]


class Gradient(eqx.Module):
    """What a run forth and back yields.

    Attributes:
        value (): The target, 1.
        by_unknown (parameter, cell): Its derivatives by the unknowns of the free parameters, 1.
        signatures: Signatures of the run.
    """

    value: jax.Array
    by_unknown: jax.Array
    signatures: targets.Signatures


class Adjoint:
    """A model ready for runs forth and back; compiles each way once."""

    def __init__(
        self, model: Chase, free: Sequence[Free], run_in: Span | None, period: Span, interval_days: int
    ) -> None:
        """A model under some weather.

        Args:
            model: The model; all but the free parameters stay as they are.
            free: Free parameters, whose support is the cell, or a class that holds one cell each.
            run_in: Weather before the period, under the parameters tried; None to begin with the period.
            period: Weather of the period that is judged.
            interval_days: Interval of the separation of base flow, days.
        """
        self.model, self.free, self._interval = model, tuple(free), interval_days
        self._spans = [span for span in (run_in, period) if span is not None]
        self._forth = compiled(self._advance)
        self._back = compiled(self._pull)

    def run(self, unknowns: jax.Array, state: State) -> targets.Signatures:
        """Signatures of a run. Arguments: unknowns (parameter, cell), 1, and the stores at the start."""
        return targets.signatures(self._forward(unknowns, state)[0], self._interval)

    def gradient(self, unknowns: jax.Array, state: State, target: Target) -> Gradient:
        """The target of a run and its gradient.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start, taken as independent of the parameters.
            target: A function of the signatures.
        """
        series, kept = self._forward(unknowns, state)
        found = targets.signatures(series, self._interval)
        value, pushed = jax.value_and_grad(lambda flow: target(targets.signatures(flow, self._interval)))(series)
        by_state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), kept[-1][2])
        by_unknown, day = jnp.zeros_like(unknowns), series.shape[0]
        for number, k, before in reversed(kept):
            weather, count = self._spans[number].read(k)
            length = weather.day_of_year.shape[0]
            part = jnp.zeros((length, self.model.domain.cells))
            if number == len(self._spans) - 1:  # the period, whose weather may be that of the run-in too
                part = part.at[:count].set(pushed[day - count : day])
                day -= count
            along, by_state = self._back(
                self.model, unknowns, before, weather, jnp.asarray(count, jnp.int32), by_state, part
            )
            by_unknown = by_unknown + along
        return Gradient(value, by_unknown, found)

    def _forward(self, unknowns: jax.Array, state: State) -> tuple[jax.Array, list[tuple[int, int, State]]]:
        """Daily runoff (day, cell) of the period, and the stores before each chunk of each span, by its number."""
        kept, series = [], list[jax.Array]()
        for number, span in enumerate(self._spans):
            series = []
            for k in range(span.chunks):
                weather, count = span.read(k)
                kept.append((number, k, jax.tree.map(np.asarray, state)))
                state, flow = self._forth(self.model, unknowns, state, weather, jnp.asarray(count, jnp.int32))
                series.append(flow[:count])
        return jnp.concatenate(series), kept

    def _advance(self, model: Chase, unknowns: jax.Array, state: State, weather: atmosphere.Forcing, count: jax.Array):
        """Stores after the first `count` days of a chunk, and the runoff of all its days."""
        parameters = free_parameters.decode(self.free, tuple(unknowns), model.parameters)
        tried = eqx.tree_at(lambda m: m.parameters, model, parameters)
        columns = tried.columns()

        def day(state: State, given: tuple[jax.Array, atmosphere.Forcing]):
            number, today = given
            new, fluxes = tried.step(state, today, columns)
            live = number < count
            return jax.tree.map(lambda a, b: jnp.where(live, a, b), new, state), jnp.where(
                live, fluxes.water_yield, 0.0
            )

        number = jnp.arange(weather.day_of_year.shape[0])
        return checkpointed_scan(day, state, (number, weather))

    def _pull(self, model, unknowns, state, weather, count, by_state, by_runoff):
        """Derivatives by unknowns and by the stores at the start of a chunk, given those by its end and its runoff."""
        _, back = jax.vjp(lambda u, s: self._advance(model, u, s, weather, count), unknowns, state)
        return back((by_state, by_runoff))
