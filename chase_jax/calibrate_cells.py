"""The job of `chase calibrate` cell by cell: trials one after the other, by the paper's procedure or by derivatives.

Every trial is written before the next begins. A job that was stopped or killed goes through the same search again, with
the trials on the disk for answers until there are none left, so that it ends with the same numbers.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import build, workflows
from chase_jax.calibrate_case import Case, scores
from chase_jax.calibration import cellwise, columns
from chase_jax.calibration.cellwise import Fit
from chase_jax.calibration.partial import Partial
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.checks import require
from chase_jax.io import restart, run_folder
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state

ROUNDS, POLISHED = 6, 2  # rounds by derivatives, and how many of them, the last ones, begin no cell anew
CORRECTIONS = 3  # most trials of the coupled model between renewed stores


def run(
    settings: Any,
    folder: run_folder.RunFolder,
    given: build.Inputs,
    maps: dict[str, np.ndarray],
    interval: int,
    asked: list[str],
) -> str:
    """Find parameters of every cell and write them.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        folder: The open run folder, begun.
        given: The inputs.
        maps: (cell,) maps by name.
        interval: Interval of the separation of base flow, days.
        asked: Names of signals that came.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: If no cell has a target.
        Stopped: If the process is asked to stop; trials that are done are kept.
    """
    return _Job(Case(settings, folder, given, maps, interval), asked).run()


class _Job:
    """One calibration."""

    def __init__(self, case: Case, asked: list[str]) -> None:
        self.case, self.asked = case, asked
        self.settings, self.folder, self.goal = case.settings, case.folder, case.goal
        self.cells, self.model = case.cells, case.model
        self.number, self.spent = 0, 0.0
        self.base: Any = None  # stores with which the trials of a round begin
        self.partial: Partial | None = None
        self.kept: list[str] = []  # their restarts, the newest last

    def run(self) -> str:
        """Search, verify, write."""
        s = self.settings.fit
        small = columns.closed(self.model, self.cells)
        closed = self.case.simulator(small, self.case.free(None), self.cells)
        unknowns = np.stack([np.asarray(f.encode(small.parameters)) for f in closed.free])
        self.base = initial_state(small)
        self._renew("columns", closed, unknowns, s.spinup_cycles)
        standard = self.settings.method == "standard"
        rounds = s.rounds or (1 if standard else ROUNDS)
        fit = self._round("columns", closed, unknowns, None, s.trials, None)
        for number in range(1, rounds):
            self._renew("columns", closed, fit.unknowns, s.renewal_cycles)
            if standard:
                fit = self._round("columns", closed, fit.unknowns, None, s.trials, None)
                continue
            start, anew = fit.unknowns, None
            if number < rounds - POLISHED:
                start, anew = cellwise.restarted(fit, number)
            trials = max(s.trials // (2 if anew is not None else 4), 2)
            found = self._round("columns", closed, start, fit, trials, None, anew)
            fit = found if anew is None else cellwise.nearer(found, fit, anew)
        if s.model == "columns":
            self._renew("columns", closed, fit.unknowns, s.renewal_cycles)
            judged = [self._trial("columns", closed, fit.unknowns, False, None)]
            return self._finished(fit, fit, judged, self.spent)
        search, found = self.spent, fit
        whole = self.case.simulator(self.model, self.case.free(self.cells), None)
        self.base = None if self.base is None else self._in_place(self.base)
        self._renew("coupled", whole, fit.unknowns, s.renewal_cycles)
        judged = [self._trial("coupled", whole, fit.unknowns, False, self.cells)]
        left = 0 if standard else s.corrections
        while left > 0:
            found = self._round("coupled", whole, found.unknowns, found, min(left, CORRECTIONS) + 1, self.cells)
            left -= CORRECTIONS
            self._renew("coupled", whole, found.unknowns, s.renewal_cycles)
            judged.append(self._trial("coupled", whole, found.unknowns, False, self.cells))
        return self._finished(fit, found, judged, search)

    def _round(
        self,
        kind: str,
        simulator: Simulator,
        start: np.ndarray,
        before: Fit | None,
        trials: int,
        cells: np.ndarray | None,
        anew: np.ndarray | None = None,
    ) -> Fit:
        """Trials from the same stores; derivatives are asked for only before any are known."""

        def evaluate(unknowns: np.ndarray, slopes: bool) -> Outcome:
            return self._trial(kind, simulator, unknowns, slopes, cells)

        if self.settings.method == "standard":
            return cellwise.standard(evaluate, start, self.goal, trials)
        again = before is not None and (kind == "coupled" or self.settings.fit.derivatives != "always")
        asked = "never" if again else self.settings.fit.derivatives
        return cellwise.gauss_newton(
            evaluate, start, self.goal, asked, trials, before.jacobian if before is not None else None, anew
        )

    def _finished(self, fit: Fit, found: Fit, outcomes: list[Outcome], search: float) -> str:
        """Write what was found, with the residuals of the last trial."""
        residuals = self.goal.residuals(outcomes[-1])
        status = cellwise.status_of(self.goal, found.unknowns, residuals)
        closed = self.goal.values + fit.residuals * self.goal.tolerance
        told = []
        for row, name in enumerate(self.goal.names):
            gap = np.abs(getattr(outcomes[0], name) - closed[row])
            other = "coupled model" if self.settings.fit.model == "coupled" else "renewed stores"
            told.append(
                f"{name}: {other} and closed columns of the search differ by {np.median(gap):.3g} in the median and "
                f"{np.quantile(gap, 0.98):.3g} in 98 % of the cells"
            )
        told.append(
            f"{len(self.folder.chunks)} runs: {search:.1f} forward-run equivalents of closed columns, "
            f"{self.spent - search:.1f} of the coupled model"
        )
        return self.case.write(fit, Fit(found.unknowns, residuals, found.jacobian, status), outcomes, told)

    def _in_place(self, part: State) -> State:
        """The stores of the whole model with those of the closed columns in their cells."""
        return columns.with_columns(initial_state(self.model), part, self.cells)

    def _renew(self, kind: str, simulator: Simulator, unknowns: np.ndarray, cycles: int) -> None:
        """The stores of the next trials: those of the last ones after repetitions of the run-in."""
        name = {"trial": f"trials/{self.number:05d}.nc", "restart": f"restart/{self.number:05d}.nc"}
        nothing = np.zeros(self.cells.size)
        found = self._kept(name["trial"], f"spin-up of {kind}", unknowns, False)
        newest = not any(chunk["base"] for chunk in self.folder.chunks[self.number + 1 :])
        if found is not None and newest and not self.folder.holds(name["restart"]):
            self._go_back()
            found = None
        if found is None:
            begun = time.perf_counter()
            require(
                self.base is not None,
                f"{self.folder.path}: the stores before trial {self.number} are gone; run again with "
                "output.overwrite=true.",
            )
            self.base = simulator.equilibrium(jnp.asarray(unknowns), self.base, cycles)
            cost = np.array(cycles * simulator.run_in_days / simulator.days)
            found = Outcome(nothing, nothing, nothing, cost)
            restart.write_restart(self.folder.path / name["restart"], self.base, {"trial": self.number})
            self.folder.note(name["restart"])
            self._record(name, f"spin-up of {kind}", unknowns, found, time.perf_counter() - begun)
        elif newest:
            self.base = restart.read_restart(self.folder.path / name["restart"], initial_state(simulator.model))[0]
        else:
            self.base = None  # later ones are on the disk
        if self.partial is not None:
            self.partial.forget()
        self.kept.append(name["restart"])
        for old in self.kept[:-2]:
            self.folder.drop(old)
        self._count(found)

    def _trial(
        self, kind: str, simulator: Simulator, unknowns: np.ndarray, slopes: bool, cells: np.ndarray | None
    ) -> Outcome:
        """Run a trial, or read it if it was run before; outcomes at the calibrated cells."""
        name = {"trial": f"trials/{self.number:05d}.nc", "restart": ""}
        found = self._kept(name["trial"], kind, unknowns, slopes)
        if found is None:
            begun = time.perf_counter()
            require(
                self.base is not None,
                f"{self.folder.path}: trial {self.number} is damaged and the stores before it are gone; "
                "run again with output.overwrite=true.",
            )
            if slopes:
                found = simulator.run_with_slopes(jnp.asarray(unknowns), self.base)[0]
            elif cells is None:
                found = self._known(simulator).run(unknowns, self.base)
            else:
                found = simulator.run(jnp.asarray(unknowns), self.base)[0]
            found = found if cells is None else found.at(cells)
            self._record(name, kind, unknowns, found, time.perf_counter() - begun)
        if cells is None:
            self._known(simulator).know(unknowns, found)
        self._count(found)
        return found

    def _known(self, simulator: Simulator) -> Partial:
        """What is known of the closed columns."""
        if self.partial is None:
            self.partial = Partial(simulator)
        return self.partial

    def _count(self, outcome: Outcome) -> None:
        """Go on to the next entry of the folder, or stop if that is asked."""
        self.number += 1
        self.spent += float(outcome.cost)
        if self.number == len(self.folder.chunks):
            workflows.stop_if_asked(self.asked, self.folder, f"after trial {self.number}")

    def _kept(self, file: str, kind: str, unknowns: np.ndarray, slopes: bool) -> Outcome | None:
        """The outcome of an entry that was run before; None if there is none or anything about it is damaged."""
        folder = self.folder
        if self.number >= len(folder.chunks):
            return None
        shape = unknowns.shape
        signature: dict[str, Any] = {"unknowns": unknowns, "outcome": _outcome_like(shape[0], shape[1], slopes)}
        if folder.holds(file) and folder.chunks[self.number]["row"]["derivatives"] == int(slopes):
            kept, facts = restart.read_restart(folder.path / file, signature)
            if facts["kind"] == kind and np.array_equal(kept["unknowns"], unknowns):
                return jax.tree.map(np.asarray, kept["outcome"])
        self._go_back()
        return None

    def _go_back(self) -> None:
        """Forget this entry and all later ones."""
        self.folder.log(f"trial {self.number} is damaged or differs; going back to it")
        del self.folder.chunks[self.number :]

    def _record(self, name: dict[str, str], kind: str, unknowns: np.ndarray, outcome: Outcome, seconds: float) -> None:
        """Write an entry."""
        folder = self.folder
        restart.write_restart(folder.path / name["trial"], {"unknowns": unknowns, "outcome": outcome}, {"kind": kind})
        folder.note(name["trial"])
        row = {"trial": self.number, "kind": kind, "derivatives": int(outcome.slopes is not None)}
        row |= {"forward_run_equivalents": round(float(outcome.cost), 3), "seconds": round(seconds, 2)}
        if not kind.startswith("spin-up"):
            row |= scores(self.goal, self.goal.residuals(outcome), outcome)
        folder.add_chunk(
            {"number": self.number, "trial": name["trial"], "restart": "", "base": name["restart"], "row": row}
        )
        told = ", ".join(f"{key} {value}" for key, value in row.items())
        folder.log(told)


def _outcome_like(parameters: int, cells: int, slopes: bool) -> Outcome:
    """An outcome of the right shapes."""
    value = np.zeros(cells)
    return Outcome(value, value, value, np.zeros(()), np.zeros((parameters, 2, cells)) if slopes else None)
