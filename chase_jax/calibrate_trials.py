"""The trials of a calibration cell by cell, each run, or read if it was run before.

Every trial is written before the next begins. A job that was stopped or killed goes through the same search again, with
the trials on the disk for answers until there are none left, so that it ends with the same numbers.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import workflows
from chase_jax.calibrate_case import scores
from chase_jax.calibration import columns, partial
from chase_jax.calibration.cellwise import Goal
from chase_jax.calibration.trial import Outcome, Simulator, spinup_cost
from chase_jax.io import restart, run_folder
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state

COLUMNS, COARSE, COUPLED = "columns", "columns, first year", "coupled"  # what runs in a trial
PILOT = "pilot"


class WentBack(Exception):
    """What is needed is damaged, and so the search has to be gone through again with what is left."""


class Trials:
    """Entries of a run folder, one after the other: trials, spin-ups, a pilot.

    Attributes:
        base: Stores with which the next trials begin; None while what belongs to later ones is on the disk.
        settling: Repetitions of the run-in by which each trial finds its own equilibrium; None for none.
        spent: What all entries so far have cost, in forward runs.
    """

    def __init__(self, folder: run_folder.RunFolder, goal: Goal, asked: list[str], base: Any, days: int) -> None:
        """No entries yet.

        Args:
            folder: The open run folder.
            goal: The targets.
            asked: Names of signals that came.
            base: Stores to begin with.
            days: Days of one forward run.
        """
        self.folder, self.goal, self.asked = folder, goal, asked
        self.base, self.days = base, days
        self.settling: int | None = None
        self.number, self.spent = 0, 0.0
        self._partial: dict[str, partial.Partial] = {}
        self._restarts: list[str] = []  # of spin-ups, the newest last
        self._last: tuple[str, np.ndarray, Outcome] | None = None  # trial from the same stores

    def renew(self, kind: str, simulator: Simulator, unknowns: np.ndarray, cycles: int) -> None:
        """The stores of the next trials: those of the last ones after repetitions of the run-in.

        Args:
            kind: What runs: closed columns or the coupled model.
            simulator: It.
            unknowns (parameter, cell): Unknowns, 1.
            cycles: Most repetitions.
        """
        stores = f"restart/{self.number:05d}.nc"
        later = any(chunk["base"] for chunk in self.folder.chunks[self.number + 1 :])

        def run() -> tuple[np.ndarray, Outcome]:
            if kind == COLUMNS:
                self.base, found = self._known(kind, simulator).renewed(unknowns, self.base, cycles)
            else:
                self.base = simulator.equilibrium(jnp.asarray(unknowns), self.base, cycles)
                nothing = np.zeros(self.goal.values.shape[1])
                found = Outcome(nothing, nothing, nothing, np.array(spinup_cost(simulator, cycles)))
            restart.write_restart(self.folder.path / stores, self.base, {"trial": self.number})
            self.folder.note(stores)
            return unknowns, found

        _, found, read = self._entry(f"spin-up of {kind}", unknowns, False, run, stores, needed=not later)
        if read:
            like = initial_state(simulator.model)
            self.base = None if later else restart.read_restart(self.folder.path / stores, like)[0]
        if kind == COLUMNS:
            self._known(kind, simulator).begin(unknowns, found)
            self._partial.pop(COARSE, None)
        self._last = None
        self._restarts.append(stores)
        for old in self._restarts[1:-2]:
            self.folder.drop(old)
        self._count(found)

    def trial(
        self, kind: str, simulator: Simulator, unknowns: np.ndarray, slopes: bool, cells: np.ndarray | None
    ) -> Outcome:
        """Run a trial, or read it if it was run before; outcomes at the calibrated cells.

        The same again, as where a round begins with what was judged last, is not run.

        Args:
            kind: What runs: closed columns, the same over a first year, or the coupled model.
            simulator: It.
            unknowns (parameter, cell): Unknowns, 1.
            slopes: Whether derivatives are asked for.
            cells (calibrated,): The calibrated cells of the coupled model; None for closed columns.
        """
        if self._last is not None and not slopes and self._last[0] == kind and np.array_equal(self._last[1], unknowns):
            return self._last[2]

        def run() -> tuple[np.ndarray, Outcome]:
            if slopes:
                found = simulator.run_with_slopes(jnp.asarray(unknowns), self.base)[0]
            elif cells is None:
                found = self._known(kind, simulator).run(unknowns, self.base, self.settling)
            else:
                found = simulator.run(jnp.asarray(unknowns), self.base)[0]
            found = found if cells is None else found.at(cells)
            if kind == COARSE:
                found = dataclasses.replace(found, cost=found.cost * (simulator.days / self.days))
            return unknowns, found

        _, found, _ = self._entry(kind, unknowns, slopes, run)
        if cells is None:
            self._known(kind, simulator).know(unknowns, found)
        self._count(found)
        self._last = (kind, np.array(unknowns), found)
        return found

    def pilot(
        self, start: np.ndarray, run: Callable[[State], tuple[np.ndarray, Outcome, str]]
    ) -> tuple[np.ndarray, Outcome]:
        """The guess of a pilot, unknowns (parameter, cell), 1, with what is expected of it.

        Args:
            start (parameter, cell): Unknowns of the trial before it, 1.
            run: Runs it from the stores of that trial; tells besides how well it knows.
        """

        def guess() -> tuple[np.ndarray, Outcome]:
            unknowns, expected, told = run(self.base)
            self.folder.log(told)
            return unknowns, expected

        unknowns, expected, _ = self._entry(PILOT, start, True, guess, same=False)
        self._count(expected)
        return unknowns, expected

    def begin_anew(self, closed: Simulator, anew: np.ndarray) -> None:
        """Give cells back the stores of the first spin-up.

        An aquifer that other parameters have emptied takes decades to fill again.

        Args:
            closed: Trials of closed columns.
            anew (cell,): The cells.
        """
        if self.base is not None:
            first = restart.read_restart(self.folder.path / self._restarts[0], initial_state(closed.model))[0]
            cells = np.flatnonzero(anew)
            self.base = columns.placed(self.base, columns.taken(first, cells, anew.size), cells, anew.size)
        self._known(COLUMNS, closed).forget(anew)

    def _known(self, kind: str, simulator: Simulator) -> partial.Partial:
        """What is known of the closed columns."""
        return self._partial.setdefault(kind, partial.Partial(simulator))

    def _count(self, outcome: Outcome) -> None:
        """Go on to the next entry of the folder, or stop if that is asked."""
        self.number += 1
        self.spent += float(outcome.cost)
        if self.number == len(self.folder.chunks):
            workflows.stop_if_asked(self.asked, self.folder, f"after trial {self.number}")

    def _entry(
        self,
        kind: str,
        unknowns: np.ndarray,
        slopes: bool,
        run: Callable[[], tuple[np.ndarray, Outcome]],
        stores: str = "",
        needed: bool = False,
        same: bool = True,
    ) -> tuple[np.ndarray, Outcome, bool]:
        """Unknowns and outcome of the next entry, and whether it was read: run only if that was not done before.

        Args:
            kind: Its kind.
            unknowns (parameter, cell): Its unknowns, 1.
            slopes: Whether it has derivatives.
            run: Runs it, for its unknowns and outcome.
            stores: File of the stores that it writes; empty for none.
            needed: Whether that file must be there for the entry to be read.
            same: Whether the unknowns of what is read must be those; else they may be any.
        """
        file = f"trials/{self.number:05d}.nc"
        kept = self._kept(file, kind, unknowns, slopes, same)
        if kept is not None and needed and not self.folder.holds(stores):
            self._go_back()
            kept = None
        if kept is not None:
            return *kept, True
        if self.base is None:
            self._go_back_to_stores()
            raise WentBack
        begun = time.perf_counter()
        unknowns, found = run()
        self._record(file, stores, kind, unknowns, found, time.perf_counter() - begun)
        return unknowns, found, False

    def _kept(
        self, file: str, kind: str, unknowns: np.ndarray, slopes: bool, same: bool
    ) -> tuple[np.ndarray, Outcome] | None:
        """Unknowns and outcome of an entry that was run before; None if there is none or anything of it is damaged."""
        folder = self.folder
        if self.number >= len(folder.chunks):
            return None
        shape = unknowns.shape
        signature: dict[str, Any] = {"unknowns": unknowns, "outcome": _outcome_like(shape[0], shape[1], slopes)}
        if folder.holds(file) and folder.chunks[self.number]["row"]["derivatives"] == int(slopes):
            kept, facts = restart.read_restart(folder.path / file, signature)
            if facts["kind"] == kind and (not same or np.array_equal(kept["unknowns"], unknowns)):
                return np.asarray(kept["unknowns"]), jax.tree.map(np.asarray, kept["outcome"])
        self._go_back()
        return None

    def _go_back(self) -> None:
        """Forget this entry and all later ones."""
        self.folder.log(f"trial {self.number} is damaged or differs; going back to it")
        del self.folder.chunks[self.number :]

    def _go_back_to_stores(self) -> None:
        """Forget all entries from the newest stores on that are damaged or gone, so that those left are whole."""
        folder = self.folder
        with_stores = [number for number, chunk in enumerate(folder.chunks) if chunk["base"]]
        while with_stores and not folder.holds(folder.chunks[with_stores[-1]]["base"]):
            del folder.chunks[with_stores.pop() :]
        where = f"those of trial {with_stores[-1]}" if with_stores else "the beginning"
        folder.log(f"the stores before trial {self.number} are not at hand; going back to {where}")

    def _record(
        self, file: str, stores: str, kind: str, unknowns: np.ndarray, outcome: Outcome, seconds: float
    ) -> None:
        """Write an entry."""
        folder = self.folder
        restart.write_restart(folder.path / file, {"unknowns": unknowns, "outcome": outcome}, {"kind": kind})
        folder.note(file)
        row = {"trial": self.number, "kind": kind, "derivatives": int(outcome.slopes is not None)}
        row |= {"forward_run_equivalents": round(float(outcome.cost), 3), "seconds": round(seconds, 2)}
        if not kind.startswith("spin-up") and kind != PILOT:  # which met nothing, but expects to
            row |= scores(self.goal, self.goal.residuals(outcome), outcome)
        folder.add_chunk({"number": self.number, "trial": file, "restart": "", "base": stores, "row": row})
        folder.log(", ".join(f"{key} {value}" for key, value in row.items()))


def _outcome_like(parameters: int, cells: int, slopes: bool) -> Outcome:
    """An outcome of the right shapes."""
    value = np.zeros(cells)
    return Outcome(value, value, value, np.zeros(()), np.zeros((parameters, 2, cells)) if slopes else None)
