"""Trials of those closed columns alone whose parameters changed since the last trial from the same stores.

Searches leave cells alone that have met their maps, and columns do not see each other, so what such a cell yields is
known. The others run as a smaller model. It comes in a few sizes, each half of the one before, so that few programs are
compiled; cells that need not run fill it up.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.model.containers import State

SMALLEST = 512  # cells; fewer fill no block of the columns and cost nearly as much


class Partial:
    """Trials from the same stores, of all columns or of those that changed."""

    def __init__(self, simulator: Simulator, smallest: int = SMALLEST) -> None:
        """Trials of a model of closed columns.

        Args:
            simulator: The model under weather.
            smallest: Fewest cells that run by themselves.
        """
        self.simulator, self.smallest = simulator, smallest
        self.forget()

    def forget(self) -> None:
        """Forget what is known, because the stores are others now."""
        self.unknowns: np.ndarray | None = None
        self.outcome: Outcome | None = None

    def know(self, unknowns: np.ndarray, outcome: Outcome) -> None:
        """Take note of a trial. Arguments: its unknowns (parameter, cell), 1, and what it yielded."""
        self.unknowns, self.outcome = unknowns.copy(), outcome

    def run(self, unknowns: np.ndarray, state: State) -> Outcome:
        """Try parameters, as :meth:`Simulator.run`; the cost counts the cells that ran.

        Args:
            unknowns (parameter, cell): Unknowns of the free parameters, 1.
            state: Stores at the start.
        """
        total, changed = unknowns.shape[1], self._changed(unknowns)
        size = next((n for n in self._sizes(total) if n >= changed.sum()), total)
        if self.outcome is None or size == total:
            return self.simulator.run(jnp.asarray(unknowns), state)[0]
        cells = np.sort(np.argsort(~changed, kind="stable")[:size])
        part = jax.tree.map(lambda leaf: leaf[..., cells] if leaf.ndim and leaf.shape[-1] == total else leaf, state)
        found = self.simulator.of(cells).run(jnp.asarray(unknowns[:, cells]), part)[0]
        runoff, index, drift = (
            self._merged(cells, getattr(self.outcome, name), getattr(found, name))
            for name in ("runoff_depth", "baseflow_index", "drift")
        )
        return Outcome(runoff, index, drift, found.cost * (size / total))

    @staticmethod
    def _merged(cells: np.ndarray, known: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Values (cell,) that are known, with new ones at some cells."""
        merged = np.array(known)
        merged[cells] = new
        return merged

    def _changed(self, unknowns: np.ndarray) -> np.ndarray:
        """Cells (cell,) whose unknowns are others than in the last trial."""
        if self.unknowns is None:
            return np.ones(unknowns.shape[1], bool)
        return (unknowns != self.unknowns).any(axis=0)

    def _sizes(self, total: int) -> list[int]:
        """Sizes of smaller models, the smallest first."""
        sizes, size = [], total // 2
        while size >= self.smallest:
            sizes.append(size)
            size //= 2
        return sizes[::-1]
