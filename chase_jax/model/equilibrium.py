r"""A water table in balance with its climate, found by repeating a run-in and extrapolating between its repetitions.

An aquifer far from its balance approaches it over decades, nearly exponentially: what a cell gains in one repetition is
a fraction $\rho$ of what it gained in the one before. The sum of the series that follows is known, so

$$ S_\infty = S_2 + \frac{\rho}{1 - \rho} (S_2 - S_1), \qquad \rho = \frac{S_2 - S_1}{S_1 - S_0} . $$

The balance is that of the model, not of the formula: after each extrapolation the run-in is repeated, and its drift is
measured.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.physics import groundwater
from chase_jax.typing import PerCell, Scalar

KEPT = 3  # ends of repetitions that an extrapolation needs
LARGEST_RATIO = 0.9  # 1, of successive gains; beyond it the sum would multiply their noise


class History(eqx.Module):
    """What the repetitions of a run-in leave behind.

    Attributes:
        storage (end, cell): Water of the aquifer at the last three ends of repetitions since the last extrapolation,
            the newest last, m.
        ends (): How many of them there are.
        repetitions (): Repetitions so far.
        drift (): Change of the aquifer over the last repetition, mean of its size over the area, mm per year.
    """

    storage: jax.Array
    ends: Scalar
    repetitions: Scalar
    drift: Scalar

    @classmethod
    def start(cls, state: State) -> History:
        """The history before the first repetition. Argument: the state it starts from."""
        storage = jnp.broadcast_to(state.aquifer.storage, (KEPT, *state.aquifer.storage.shape))
        return cls(storage, jnp.ones((), jnp.int32), jnp.zeros((), jnp.int32), jnp.full((), jnp.inf))

    def with_end(self, model: Chase, state: State, years: float) -> History:
        """The history after one more repetition.

        Args:
            model: The model.
            state: Its state at the end of the repetition.
            years: Length of the repetition, years.
        """
        storage, area = state.aquifer.storage, model.domain.cell_area
        change = jnp.abs(storage - self.storage[-1])
        drift = const.WATER_DENSITY * jnp.sum(change * area) / jnp.sum(area) / years
        kept = jnp.concatenate([self.storage[1:], storage[None]])
        return History(kept, self.ends + 1, self.repetitions + 1, drift)


def limit(storage: jax.Array, capacity: PerCell) -> PerCell:
    """Where the storages at the ends of three repetitions tend to (cell,), m.

    Cells whose last gain is larger than nine tenths of the one before, or of the other sign, are taken to go on with
    that ratio, or to stand.

    Args:
        storage (end, cell): At three successive ends, m.
        capacity (cell,): Largest possible value, m.

    Source:
        aitken1926.
    """
    first, second = storage[-2] - storage[-3], storage[-1] - storage[-2]
    some = jnp.abs(first) > 0.0
    ratio = jnp.clip(jnp.where(some, second / jnp.where(some, first, 1.0), 0.0), 0.0, LARGEST_RATIO)
    return jnp.clip(storage[-1] + ratio / (1.0 - ratio) * second, 0.0, jnp.maximum(capacity, storage[-1]))


def extrapolated(model: Chase, state: State, history: History) -> tuple[State, History]:
    """State and history with the aquifer moved to its :func:`limit`, if three ends are known; else as they are.

    Args:
        model: The model.
        state: State at the end of a repetition.
        history: History that ends with it.
    """
    if int(history.ends) < KEPT:
        return state, history
    full = groundwater.storage_at_depth(model.parameters.aquifer, jnp.zeros(model.domain.cells))
    moved = eqx.tree_at(lambda s: s.aquifer.storage, state, limit(history.storage, full))
    begun = History.start(moved)
    return moved, History(begun.storage, begun.ends, history.repetitions, history.drift)
