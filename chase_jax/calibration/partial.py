"""Trials of those closed columns alone whose parameters changed since the last trial from the same stores.

Searches leave cells alone that have met their maps, and columns do not see each other, so what such a cell yields is
known. The others run as a smaller model. It comes in a few sizes, each half of the one before, so that few programs are
compiled; cells that need not run fill it up. The stores of the next round are renewed likewise, in those cells alone
whose parameters are others than when theirs were last renewed.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from chase_jax.calibration import trial
from chase_jax.calibration.columns import placed, taken
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.model.containers import State

SMALLEST = 16  # cells; fewer cost nearly as much
STAGE = 4  # repetitions of the run-in, the water table extrapolated before the last, between looks at what stands still


class Partial:
    """Trials from the same stores, of all columns or of those that changed."""

    def __init__(self, simulator: Simulator, smallest: int = SMALLEST) -> None:
        """Trials of a model of closed columns.

        Args:
            simulator: The model under weather.
            smallest: Fewest cells that run by themselves.
        """
        self.simulator, self.smallest = simulator, smallest
        self.unknowns: np.ndarray | None = None
        self.outcome: Outcome | None = None
        self.stores_of: np.ndarray | None = None
        self.balance: Outcome | None = None

    def know(self, unknowns: np.ndarray, outcome: Outcome) -> None:
        """Take note of a trial. Arguments: its unknowns (parameter, cell), 1, and what it yielded."""
        self.unknowns, self.outcome = unknowns.copy(), outcome

    def renewed(self, unknowns: np.ndarray, state: State, cycles: int) -> tuple[State, Outcome]:
        """Stores renewed where those at hand belong to other parameters, or did not stand still.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            cycles: Most repetitions of the run-in.

        Returns:
            The stores and, as of :meth:`Simulator.settled`, what they yield.
        """
        return self._settled(unknowns, state, self._unbalanced(unknowns), cycles)

    def begin(self, unknowns: np.ndarray, balance: Outcome) -> None:
        """Go on from renewed stores: forget trials in cells whose stores are others now.

        Args:
            unknowns (parameter, cell): Unknowns of the stores, 1.
            balance: What they yield.
        """
        if self.unknowns is not None:
            self.unknowns[:, self._unbalanced(unknowns)] = np.nan
        self.stores_of, self.balance = unknowns.copy(), balance

    def forget(self, cells: np.ndarray) -> None:
        """Forget what is known of some cells (cell,), because their stores are others now."""
        for known in (self.unknowns, self.stores_of):
            if known is not None:
                known[:, cells] = np.nan

    def run(self, unknowns: np.ndarray, state: State, cycles: int | None = None) -> Outcome:
        """Try parameters, as :meth:`Simulator.run`; the cost counts the cells that ran.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            cycles: Most repetitions of the run-in that lead to each trial's own equilibrium; None for a trial from the
                stores as they are.
        """
        changed = _differs(unknowns, self.unknowns)
        cells = self._chosen(changed)
        if self.outcome is not None and cells.size == 0:
            return dataclasses.replace(self.outcome, cost=np.array(0.0), slopes=None)
        spent, before = 0.0, None
        if cycles is not None and (changed & _differs(unknowns, self.stores_of)).any():
            state, balance = self._settled(unknowns, state, changed, cycles)
            spent, before = float(balance.cost), 0
        simulator, part = self._part(state, cells)
        found = simulator.run(jnp.asarray(unknowns[:, cells]), part, before)[0]
        found = self._merged(cells, changed, self.outcome, found)
        return dataclasses.replace(found, cost=found.cost + spent)

    def _settled(self, unknowns: np.ndarray, state: State, moving: np.ndarray, cycles: int) -> tuple[State, Outcome]:
        """Stores after some cells went through the run-in until they stand still, each left alone once it does.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
            moving (cell,): The cells.
            cycles: Most repetitions of the run-in.
        """
        moving, balance, spent = moving.copy(), self.balance, 0.0
        while cycles > 0 and moving.any():
            cells = self._chosen(moving)
            simulator, part = self._part(state, cells)
            part, found = simulator.settled(jnp.asarray(unknowns[:, cells]), part, min(cycles, STAGE))
            balance, state = self._merged(cells, moving, balance, found), placed(state, part, cells, moving.size)
            moving[cells] &= ~trial.stand_still(found.drift, found.runoff_depth)
            cycles -= STAGE
            spent += float(balance.cost)
        if balance is None:
            raise ValueError("Argument `moving` must hold all cells the first time, but holds none.")
        return state, dataclasses.replace(balance, cost=np.array(spent))

    def _unbalanced(self, unknowns: np.ndarray) -> np.ndarray:
        """Cells (cell,) whose stores are not those of the unknowns (parameter, cell)."""
        if self.balance is None:
            return np.ones(unknowns.shape[1], bool)
        still = trial.stand_still(self.balance.drift, self.balance.runoff_depth)
        return ~still | _differs(unknowns, self.stores_of)

    def _chosen(self, changed: np.ndarray) -> np.ndarray:
        """Cells to run (chosen,): those that changed (cell,), filled up to one of the sizes."""
        total, count = changed.size, int(changed.sum())
        if count == 0:
            return np.zeros(0, int)
        size = next((n for n in self._sizes(total) if n >= count), total)
        return np.sort(np.argsort(~changed, kind="stable")[:size])

    def _part(self, state: State, cells: np.ndarray) -> tuple[Simulator, State]:
        """The model and the stores of some cells."""
        total = self.simulator.model.domain.cells
        if cells.size == total:
            return self.simulator, state
        return self.simulator.of(cells), taken(state, cells, total)

    @staticmethod
    def _merged(cells: np.ndarray, asked: np.ndarray, known: Outcome | None, new: Outcome) -> Outcome:
        """What is known, with what is new of the cells asked for; all is new if nothing is known.

        Args:
            cells (chosen,): Cells that ran; those not asked for only filled up, maybe from stores that are not theirs.
            asked (cell,): Whether a cell was asked for.
            known: What is known of all cells.
            new: What the chosen ones gave; its cost counts by their share.
        """
        if known is None:
            return new
        mine = asked[cells]

        def placed(old: np.ndarray, part: np.ndarray) -> np.ndarray:
            merged = np.array(old)
            merged[cells[mine]] = np.asarray(part)[mine]
            return merged

        return Outcome(
            placed(known.runoff_depth, new.runoff_depth),
            placed(known.baseflow_index, new.baseflow_index),
            placed(known.drift, new.drift),
            new.cost * (cells.size / known.drift.size),
        )

    def _sizes(self, total: int) -> list[int]:
        """Sizes of smaller models, the smallest first."""
        sizes, size = [], total // 2
        while size >= self.smallest:
            sizes.append(size)
            size //= 2
        return sizes[::-1]


def _differs(unknowns: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Cells (cell,) whose unknowns (parameter, cell) are others than those known."""
    if known is None:
        return np.ones(unknowns.shape[1], bool)
    return (unknowns != known).any(axis=0)
