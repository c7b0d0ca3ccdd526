"""The job of `chase calibrate variant=field|network`: parameters of all cells at once, in the coupled model.

Every run forth and back is a step's price, so all that the optimiser carries is written after each step: a job that was
stopped or killed goes on with the step it was at and ends with the same numbers.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import build, config, workflows
from chase_jax.calibrate_case import Case, scores
from chase_jax.calibration import cellwise, learning
from chase_jax.calibration.adjoint import COST, Adjoint
from chase_jax.calibration.cellwise import Fit
from chase_jax.calibration.learning import Misfit, Optimiser, Progress
from chase_jax.calibration.trial import Simulator, spinup_cost
from chase_jax.io import restart, run_folder
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state


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
        Stopped: If the process is asked to stop; steps that are done are kept.
    """
    case = Case(settings, folder, given, maps, interval)
    s, model = settings.fit, case.model
    sought = case.open  # also where the maps have a hole: neighbors or attributes tell what is there
    parameters = case.free(sought)
    first = np.stack([np.asarray(one.encode(model.parameters)) for one in parameters])
    if settings.variant == "field":
        source: learning.Source = learning.Field(jnp.asarray(first), case.faces(sought), s.smoothness)
    else:
        attributes = workflows.attributes(model.domain, given.forcing)[sought]
        source = learning.Network.of(attributes, first.mean(axis=1), s.width, s.seed)
    goal = np.full((len(case.names), model.domain.cells), np.nan)
    goal[:, case.cells] = case.goal.values
    misfit = Misfit(jnp.asarray(goal), jnp.asarray(_spread(case)), case.names)
    folder.begin(facts, config.dump(settings))
    run_in, period = case.spans(None)
    adjoint = Adjoint(model, parameters, run_in, period, interval)
    simulator = Simulator(model, parameters, run_in, period, interval, s.cycles)
    optimiser = Optimiser(source, s.optimiser, s.rate)
    steps = _Steps(case, adjoint, simulator, misfit, optimiser, asked)
    progress = steps.go(s.rounds or 1, s.trials)

    unknowns = optimiser.source.unknowns(progress.best)
    state = simulator.equilibrium(unknowns, steps.base, s.renewal_cycles)
    outcome = simulator.run(unknowns, state)[0].at(case.cells)
    residuals = case.goal.residuals(outcome)
    place = np.searchsorted(sought, case.cells)
    found = np.asarray(unknowns)
    status = cellwise.status_of(case.goal, found[:, place], residuals)
    fit = Fit(found[:, place], residuals, None, status)
    judged = spinup_cost(simulator, s.renewal_cycles) + float(outcome.cost)
    told = [
        f"target {float(progress.least):.5g} after {len(folder.chunks)} steps, {steps.spent:.1f} forward-run "
        f"equivalents of the search, {judged:.1f} of the verdict"
    ]
    return case.write(fit, fit, [outcome], told, everywhere=(sought, found))


def _spread(case: Case) -> np.ndarray:
    """Uncertainty of the maps (signature, cell), that of runoff as a share of it, 1; ones where nothing is sought."""
    spread = np.ones((len(case.names), case.model.domain.cells))
    spread[:, case.cells] = case.uncertainty()
    for row, name in enumerate(case.names):
        if name == "runoff_depth":
            spread[row, case.cells] /= np.maximum(case.goal.values[row], learning.LEAST_RUNOFF)
    return spread


class _Steps:
    """Steps of an optimiser, or what is left of them."""

    def __init__(
        self,
        case: Case,
        adjoint: Adjoint,
        simulator: Simulator,
        misfit: Misfit,
        optimiser: Optimiser,
        asked: list[str],
    ) -> None:
        self.case, self.adjoint, self.simulator, self.misfit = case, adjoint, simulator, misfit
        self.optimiser, self.asked = optimiser, asked
        self.base: State = initial_state(case.model)
        self.runs, self.spent = 0, 0.0

    def go(self, rounds: int, steps: int) -> Progress:
        """Progress after all steps of all rounds, the stores renewed before each round."""
        folder, s = self.case.folder, self.case.settings.fit
        progress = self.optimiser.begin()
        done, carried = self._newest(progress)
        if carried is not None:
            progress, self.base, self.spent = carried["progress"], carried["base"], float(carried["spent"])
        for number in range(done, rounds * steps):
            begun, self.runs, cost = time.perf_counter(), 0, 0.0
            if number % steps == 0:
                cycles = s.spinup_cycles if number == 0 else s.renewal_cycles
                self.base = self.simulator.equilibrium(self.optimiser.source.unknowns(progress.best), self.base, cycles)
                cost = spinup_cost(self.simulator, cycles)
                # the stores are others now, so what was known of the target is not
                progress = self.optimiser.begin()._replace(trained=progress.best, best=progress.best)
            progress = self.optimiser.step(progress, self._run)
            cost += COST * self.runs
            self.spent += cost
            file = f"restart/{number:05d}.nc"
            content = {"progress": progress, "base": self.base, "spent": np.array(self.spent)}
            restart.write_restart(folder.path / file, content, {"step": number})
            folder.note(file)
            row = {"trial": number, "kind": "coupled", "derivatives": self.runs}
            row |= {"forward_run_equivalents": round(cost, 3)}
            row |= {"seconds": round(time.perf_counter() - begun, 2), "target": float(f"{float(progress.least):.6g}")}
            row |= self.told
            folder.add_chunk({"number": number, "restart": file, "row": row})
            folder.log(", ".join(f"{key} {value}" for key, value in row.items()))
            if number < rounds * steps - 1:
                workflows.stop_if_asked(self.asked, folder, f"after step {number + 1}")
        return progress

    def _newest(self, like: Progress) -> tuple[int, dict[str, Any] | None]:
        """How many steps are done, and what the last one carried on."""
        folder = self.case.folder
        last = folder.last_valid()
        if last is None:
            return 0, None
        content = {"progress": like, "base": self.base, "spent": np.zeros(())}
        return last["number"] + 1, restart.read_restart(folder.path / last["restart"], content)[0]

    def _run(self, unknowns: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The misfit of unknowns and its gradient."""
        found = self.adjoint.gradient(unknowns, self.base, self.misfit)
        self.runs += 1
        goal, cells = self.case.goal, self.case.cells
        at = {name: np.asarray(getattr(found.signatures, name))[cells] for name in goal.names}
        self.told = scores(goal, (np.stack([at[name] for name in goal.names]) - goal.values) / goal.tolerance)
        return found.value, found.by_unknown
