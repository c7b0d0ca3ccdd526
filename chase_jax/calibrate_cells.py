"""The job of `chase calibrate` cell by cell: rounds of trials, by the paper's procedure or by derivatives.

What a trial is, and how it is kept, is in `calibrate_trials.py`; what to try next in `calibration/cellwise.py`,
`alternating.py` and `pilot.py`.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from chase_jax import build, config, workflows
from chase_jax.calibrate_case import Case
from chase_jax.calibrate_trials import COARSE, COLUMNS, COUPLED, Trials, WentBack
from chase_jax.calibration import alternating, bracket, cellwise, columns, partial, pilot
from chase_jax.calibration.cellwise import Fit
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.io import run_folder
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state

ROUNDS, STANDARD_ROUNDS = 8, 12  # most rounds of method=gradient and method=standard; fewer if all cells are met
SHARED = 2  # rounds whose trials begin with the same stores; those of later ones find their own
PATIENCE = 2  # rounds that meet only few more cells before the search ends
COARSE_DAYS, LONG = 365, 3  # days of a first year, and how many times longer a period is long
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
    while True:  # each time with fewer entries, at last with none
        with contextlib.suppress(WentBack):
            return _Job(case, asked).run()


class _Job:
    """One calibration."""

    def __init__(self, case: Case, asked: list[str]) -> None:
        self.case, self.settings, self.folder, self.goal = case, case.settings, case.folder, case.goal
        self.cells, self.model = case.cells, case.model
        small = columns.closed(self.model, self.cells)
        self.closed = case.simulator(small, case.free(None), self.cells)
        self.trials = Trials(self.folder, self.goal, asked, initial_state(small), self.closed.days)

    def run(self) -> str:
        """Search, verify, write."""
        s, trials = self.settings.fit, self.trials
        fit = self._search(np.stack([np.asarray(f.encode(self.closed.model.parameters)) for f in self.closed.free]))
        if s.model == "columns":
            judged = [trials.trial(COLUMNS, self.closed, fit.unknowns, False, None)]
            return self._finished(fit, fit, judged, trials.spent)
        search, found = trials.spent, fit
        whole = self.case.simulator(self.model, self.case.free(self.cells), None)
        trials.base = None if trials.base is None else self._in_place(trials.base)
        trials.renew(COUPLED, whole, fit.unknowns, s.renewal_cycles)
        judged = [trials.trial(COUPLED, whole, fit.unknowns, False, self.cells)]
        left = 0 if self.settings.method == "standard" else s.corrections
        while left > 0:
            found = self._round(COUPLED, whole, found.unknowns, found, min(left, CORRECTIONS) + 1, self.cells)
            left -= CORRECTIONS
            trials.renew(COUPLED, whole, found.unknowns, s.renewal_cycles)
            judged.append(trials.trial(COUPLED, whole, found.unknowns, False, self.cells))
        return self._finished(fit, found, judged, search)

    def _search(self, unknowns: np.ndarray) -> Fit:
        """Rounds of trials of closed columns until cells are met or come no nearer; ends with renewed stores.

        Args:
            unknowns (parameter, cell): Unknowns to begin with, 1.
        """
        s, closed = self.settings.fit, self.closed
        self.trials.renew(COLUMNS, closed, unknowns, s.spinup_cycles)
        standard = self.settings.method == "standard"
        fit = None if standard else self._by_pilot(unknowns) or self._by_first_year(unknowns)
        fit = self._round(COLUMNS, closed, unknowns if fit is None else fit.unknowns, fit, s.trials, None)
        counts, begun = [0], 0  # cells met after each round; rounds in which cells begin anew
        few = cellwise.FEW * self.cells.size
        for number in range(1, s.rounds or (STANDARD_ROUNDS if standard else ROUNDS)):
            if self._enough():
                break
            # the paper's procedure is cheap near what it knows, so it goes on there as long as that meets more cells
            near = number <= SHARED or (standard and counts[-1] > counts[-2] + few)
            longest = partial.STAGE if near else s.spinup_cycles
            self.trials.settling = None if number < SHARED else longest
            self.trials.renew(COLUMNS, closed, fit.unknowns, s.renewal_cycles if number < SHARED else s.spinup_cycles)
            if self._enough():
                break
            start, anew = fit.unknowns, None
            if not near and self.goal.prior is None:
                begun += 1
                start, anew = cellwise.restarted(fit, begun)
                self.trials.begin_anew(closed, anew)
            most = s.trials if standard else max(s.trials // (3 if number < SHARED else 2), 2)
            found = self._round(COLUMNS, closed, start, fit, most, None, anew)
            same = np.array_equal(found.unknowns, fit.unknowns)
            if same and self.goal.prior is not None:
                break
            fit = found if anew is None else cellwise.nearer(found, fit, anew)
            met, missed = fit.status == cellwise.MET, fit.status == cellwise.NOT_MET
            counts.append(int(met.sum()))
            sure = begun > len(cellwise.RESTARTS)  # that what stands at a bound belongs there
            if ((same or self.trials.settling) and met.all()) or (same and sure and not missed.any()):
                break
            if number > SHARED + PATIENCE and counts[-1] <= max(counts[:-PATIENCE]) + few:
                self.folder.log(
                    f"{missed.sum()} cells are still missed, of which {PATIENCE} rounds met hardly any more"
                )
                break
        self.trials.settling = None
        if self._enough():
            self.folder.log(f"the search has cost {self.trials.spent:.1f} forward runs; fit.runs is {s.runs:g}")
        self.trials.renew(COLUMNS, closed, fit.unknowns, s.spinup_cycles)
        return fit

    def _enough(self) -> bool:
        """Whether the search in closed columns has cost as much as it may."""
        most = self.settings.fit.runs
        return most is not None and self.trials.spent >= most

    def _by_pilot(self, start: np.ndarray) -> Fit | None:
        """What trials of a few cells tell of all (:mod:`chase_jax.calibration.pilot`), and stores that belong to it.

        Args:
            start: (parameter, cell) unknowns of a first trial, 1.

        Returns:
            Where the search begins; None if the cells are too few.
        """
        s = self.settings.fit
        number = pilot.size(self.cells.size, s.pilot)
        if number == 0:
            return None
        whole = self.trials.trial(COLUMNS, self.closed, start, False, None)

        def run(stores: State) -> tuple[np.ndarray, Outcome, str]:
            attributes = workflows.attributes(self.model.domain, self.case.given.forcing)[self.cells]
            return pilot.taught(self.closed, stores, attributes, whole, self.goal, number, s.spinup_cycles, s.seed)

        unknowns, expected = self.trials.pilot(start, run)
        assert expected.slopes is not None  # noqa: S101  a pilot always tells them
        residuals, jacobian = self.goal.residuals(expected), self.goal.jacobian(expected.slopes)
        self.trials.renew(COLUMNS, self.closed, unknowns, s.spinup_cycles)
        return Fit(unknowns, residuals, jacobian, cellwise.status_of(self.goal, unknowns, residuals))

    def _by_first_year(self, start: np.ndarray) -> Fit | None:
        """What the first year of a long period tells already, and its stores; None if the period is short.

        A trial of the whole period tells by how much its signatures differ from those of its first year; the goal of
        the search is moved by that.

        Args:
            start: (parameter, cell) unknowns to begin with, 1.
        """
        s, closed = self.settings.fit, self.closed
        if closed.days - closed.run_in_days < LONG * COARSE_DAYS:
            return None
        year = closed.over(self.case.spans(self.cells, COARSE_DAYS)[1])
        whole = self.trials.trial(COLUMNS, closed, start, False, None)
        part = self.trials.trial(COARSE, year, start, False, None)
        goal = self.goal.of_part(whole, part)
        fit = cellwise.gauss_newton(
            lambda unknowns, slopes: self.trials.trial(COARSE, year, unknowns, slopes, None),
            start, goal, s.derivatives, max(s.trials // 2, 2),  # a part tells the whole only so well
            enough=self._enough,
        )  # fmt: skip
        self.trials.renew(COLUMNS, closed, fit.unknowns, s.renewal_cycles)
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
            return self.trials.trial(kind, simulator, unknowns, slopes, cells)

        enough = bracket.never if kind == COUPLED else self._enough
        if self.settings.method == "standard":
            if before is None:
                return alternating.standard(evaluate, start, self.goal, trials, enough)
            return alternating.again(evaluate, start, self.goal, max(trials // 2, 2), before.slopes, anew, enough)
        again = before is not None and (kind == COUPLED or self.settings.fit.derivatives != "always")
        asked = "never" if again else self.settings.fit.derivatives
        known = before.jacobian if before is not None else None
        fresh = np.ones(self.cells.size, bool) if self.trials.settling else anew
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
            f"{self.trials.spent - search:.1f} of the coupled model"
        )
        return self.case.write(fit, Fit(found.unknowns, residuals, found.jacobian, status), outcomes, told)

    def _in_place(self, part: State) -> State:
        """The stores of the whole model with those of the closed columns in their cells."""
        return columns.with_columns(initial_state(self.model), part, self.cells)
