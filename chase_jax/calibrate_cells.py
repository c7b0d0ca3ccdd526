"""The job of `chase calibrate` cell by cell: trials one after the other, by the paper's procedure or by derivatives.

Every trial is written before the next begins. A job that was stopped or killed goes through the same search again, with
the trials on the disk for answers until there are none left, so that it ends with the same numbers.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import build, config, workflows
from chase_jax.calibrate_case import Case, scores
from chase_jax.calibration import alternating, bracket, cellwise, columns, partial
from chase_jax.calibration.cellwise import Fit
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.checks import require
from chase_jax.io import restart, run_folder
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state

ROUNDS, STANDARD_ROUNDS = 8, 12  # most rounds of method=gradient and method=standard; fewer if all cells are met
SHARED = 2  # rounds whose trials begin with the same stores; those of later ones find their own
PATIENCE = 2  # rounds that meet only few more cells before the search ends
COARSE, COARSE_DAYS, LONG = "columns, first year", 365, 3  # how many times longer a period is long
CORRECTIONS = 3  # most trials of the coupled model between renewed stores


def run(
    settings: Any,
    folder: run_folder.RunFolder,
    facts: dict[str, Any],
    given: build.Inputs,
    maps: dict[str, np.ndarray],
    interval: int,
    asked: list[str],
) -> str:
    """Find parameters of every cell and write them.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        folder: The open run folder; begun once nothing is left to refuse.
        facts: What decides the results, by :func:`chase_jax.workflows.facts` and more.
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
    case = Case(settings, folder, given, maps, interval)
    folder.begin(facts, config.dump(settings))
    return _Job(case, asked).run()


class _Job:
    """One calibration."""

    def __init__(self, case: Case, asked: list[str]) -> None:
        self.case, self.asked = case, asked
        self.settings, self.folder, self.goal = case.settings, case.folder, case.goal
        self.cells, self.model = case.cells, case.model
        self.number, self.spent = 0, 0.0
        self.days = 0  # of one forward run
        self.base: Any = None  # stores with which the trials of a round begin
        self.partial: dict[str, partial.Partial] = {}
        self.settling: int | None = None  # repetitions of the run-in by which each trial finds its own equilibrium
        self.kept: list[str] = []  # their restarts, the newest last
        self.last: tuple[str, np.ndarray, Outcome] | None = None  # trial from the same stores

    def run(self) -> str:
        """Search, verify, write."""
        s = self.settings.fit
        small = columns.closed(self.model, self.cells)
        closed = self.case.simulator(small, self.case.free(None), self.cells)
        unknowns = np.stack([np.asarray(f.encode(small.parameters)) for f in closed.free])
        self.base, self.days = initial_state(small), closed.days
        fit = self._search(closed, unknowns)
        if s.model == "columns":
            judged = [self._trial("columns", closed, fit.unknowns, False, None)]
            return self._finished(fit, fit, judged, self.spent)
        search, found = self.spent, fit
        whole = self.case.simulator(self.model, self.case.free(self.cells), None)
        self.base = None if self.base is None else self._in_place(self.base)
        self._renew("coupled", whole, fit.unknowns, s.renewal_cycles)
        judged = [self._trial("coupled", whole, fit.unknowns, False, self.cells)]
        left = 0 if self.settings.method == "standard" else s.corrections
        while left > 0:
            found = self._round("coupled", whole, found.unknowns, found, min(left, CORRECTIONS) + 1, self.cells)
            left -= CORRECTIONS
            self._renew("coupled", whole, found.unknowns, s.renewal_cycles)
            judged.append(self._trial("coupled", whole, found.unknowns, False, self.cells))
        return self._finished(fit, found, judged, search)

    def _search(self, closed: Simulator, unknowns: np.ndarray) -> Fit:
        """Rounds of trials of closed columns until cells are met or come no nearer; ends with renewed stores.

        Args:
            closed: Trials of closed columns.
            unknowns (parameter, cell): Unknowns to begin with, 1.
        """
        s = self.settings.fit
        self._renew("columns", closed, unknowns, s.spinup_cycles)
        standard = self.settings.method == "standard"
        fit = None if standard else self._by_first_year(closed, unknowns)
        fit = self._round("columns", closed, unknowns if fit is None else fit.unknowns, fit, s.trials, None)
        counts = [0]  # of cells met after each round
        for number in range(1, s.rounds or (STANDARD_ROUNDS if standard else ROUNDS)):
            if self._enough():
                break
            longest = partial.STAGE if standard or number == SHARED else s.spinup_cycles
            self.settling = None if number < SHARED else longest
            self._renew("columns", closed, fit.unknowns, s.renewal_cycles if number < SHARED else s.spinup_cycles)
            if self._enough():
                break
            start, anew = fit.unknowns, None
            if number > SHARED and not standard:
                start, anew = cellwise.restarted(fit, number - SHARED)
                self._begin_anew(closed, anew)
            trials = s.trials if standard else max(s.trials // (3 if number < SHARED else 2), 2)
            found = self._round("columns", closed, start, fit, trials, None, anew)
            same = np.array_equal(found.unknowns, fit.unknowns)
            fit = found if anew is None else cellwise.nearer(found, fit, anew)
            met, missed = fit.status == cellwise.MET, fit.status == cellwise.NOT_MET
            counts.append(int(met.sum()))
            sure = standard or number > SHARED + len(cellwise.RESTARTS)  # that what stands at a bound belongs there
            if ((same or self.settling) and met.all()) or (same and sure and not missed.any()):
                break
            if number > SHARED + PATIENCE and counts[-1] <= max(counts[:-PATIENCE]) + cellwise.FEW * self.cells.size:
                self.folder.log(
                    f"{missed.sum()} cells are still missed, of which {PATIENCE} rounds met hardly any more"
                )
                break
        self.settling = None
        if self._enough():
            self.folder.log(f"the search has cost {self.spent:.1f} forward runs; fit.runs is {s.runs:g}")
        self._renew("columns", closed, fit.unknowns, s.spinup_cycles)
        return fit

    def _enough(self) -> bool:
        """Whether the search in closed columns has cost as much as it may."""
        most = self.settings.fit.runs
        return most is not None and self.spent >= most

    def _begin_anew(self, closed: Simulator, anew: np.ndarray) -> None:
        """Give cells (cell,) back the stores of the first spin-up.

        An aquifer that other parameters have emptied takes decades to fill again.
        """
        if self.base is not None:
            first = restart.read_restart(self.folder.path / self.kept[0], initial_state(closed.model))[0]
            cells = np.flatnonzero(anew)
            self.base = columns.placed(self.base, columns.taken(first, cells, anew.size), cells, anew.size)
        self._known("columns", closed).forget(anew)

    def _by_first_year(self, closed: Simulator, start: np.ndarray) -> Fit | None:
        """What the first year of a long period tells already, and its stores; None if the period is short.

        A trial of the whole period tells by how much its signatures differ from those of its first year; the goal of
        the search is moved by that.

        Args:
            closed: Trials of closed columns.
            start: (parameter, cell) unknowns to begin with, 1.
        """
        s = self.settings.fit
        if closed.days - closed.run_in_days < LONG * COARSE_DAYS:
            return None
        year = closed.over(self.case.spans(self.cells, COARSE_DAYS)[1])
        whole = self._trial("columns", closed, start, False, None)
        part = self._trial(COARSE, year, start, False, None)
        goal = self.goal.of_part(whole, part)
        fit = cellwise.gauss_newton(
            lambda unknowns, slopes: self._trial(COARSE, year, unknowns, slopes, None),
            start, goal, s.derivatives, max(s.trials // 2, 2),  # a part tells the whole only so well
            enough=self._enough,
        )  # fmt: skip
        self._renew("columns", closed, fit.unknowns, s.renewal_cycles)
        return fit

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

        enough = bracket.never if kind == "coupled" else self._enough
        if self.settings.method == "standard":
            if before is None:
                return alternating.standard(evaluate, start, self.goal, trials)
            return alternating.again(evaluate, before, self.goal, max(trials // 2, 2), enough)
        again = before is not None and (kind == "coupled" or self.settings.fit.derivatives != "always")
        asked = "never" if again else self.settings.fit.derivatives
        known = before.jacobian if before is not None else None
        fresh = np.ones(self.cells.size, bool) if self.settling else anew
        return cellwise.gauss_newton(evaluate, start, self.goal, asked, trials, known, fresh, enough)

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
            if kind == "columns":
                self.base, found = self._known(kind, simulator).renewed(unknowns, self.base, cycles)
            else:
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
        if kind == "columns":
            self._known(kind, simulator).begin(unknowns, found)
            self.partial.pop(COARSE, None)
        self.last = None
        self.kept.append(name["restart"])
        for old in self.kept[1:-2]:
            self.folder.drop(old)
        self._count(found)

    def _trial(
        self, kind: str, simulator: Simulator, unknowns: np.ndarray, slopes: bool, cells: np.ndarray | None
    ) -> Outcome:
        """Run a trial, or read it if it was run before; outcomes at the calibrated cells.

        The same again, as where a round begins with what was judged last, is not run.
        """
        if self.last is not None and not slopes and self.last[0] == kind and np.array_equal(self.last[1], unknowns):
            return self.last[2]
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
                found = self._known(kind, simulator).run(unknowns, self.base, self.settling)
            else:
                found = simulator.run(jnp.asarray(unknowns), self.base)[0]
            found = found if cells is None else found.at(cells)
            if kind == COARSE:
                found = dataclasses.replace(found, cost=found.cost * (simulator.days / self.days))
            self._record(name, kind, unknowns, found, time.perf_counter() - begun)
        if cells is None:
            self._known(kind, simulator).know(unknowns, found)
        self._count(found)
        self.last = (kind, np.array(unknowns), found)
        return found

    def _known(self, kind: str, simulator: Simulator) -> partial.Partial:
        """What is known of the closed columns."""
        return self.partial.setdefault(kind, partial.Partial(simulator))

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
