"""What the searches on maps of signatures share: cells, goal, model and weather to begin with, files in the end."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from chase_jax import build, workflows
from chase_jax.calibration import cellwise, columns, cores, free, trial
from chase_jax.calibration.cellwise import Fit, Goal, Prior
from chase_jax.calibration.free import Free
from chase_jax.calibration.learning import LEAST_RUNOFF
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.checks import require
from chase_jax.io import map_store, parameter_store, run_folder, store, tables
from chase_jax.io.domain_store import frame, map_of
from chase_jax.model.chase import Chase
from chase_jax.numerics.graph import EdgeList

PARAMETERS, TRIALS, REPORT = "parameters.nc", "trials.csv", "calibration.nc"
NAMES = {
    "signatures": ("runoff_depth", "baseflow_index"),
    "runoff_depth": ("runoff_depth",),
    "baseflow_index": ("baseflow_index",),
}
RUNOFF_SPREAD, INDEX_SPREAD = 0.1, 0.05  # 1, of the runoff depth, and of the index, where maps do not tell it
TEN_TO_NINETY = 2.5631  # 1, standard deviations between the quantiles of 10 and 90 % of a normal distribution


def decisive(settings: Any) -> dict[str, Any]:
    """What decides the results besides the model's inputs, flat: keys, and what is in the maps.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.

    Raises:
        InputError: If there is no such file of maps.
    """
    maps = settings.maps.path
    content = {"input.maps": store.sha256(store.local_path(maps, "maps.path"))} if maps else {}
    return workflows.decisive(settings) | content


def parameters_of(settings: Any) -> dict[str, str]:
    """The parameter that is to meet each signature. Argument: settings, a :class:`chase_jax.config.Calibrate`."""
    found = {"runoff_depth": settings.fit.runoff_depth_by, "baseflow_index": settings.fit.baseflow_index_by}
    alone = len(NAMES.get(settings.target, found)) == 1
    require(
        alone or found["runoff_depth"] != found["baseflow_index"],
        f"fit.runoff_depth_by and fit.baseflow_index_by are both {found['runoff_depth']}; name two parameters.",
    )
    return found


class Case:
    """One calibration on maps.

    Attributes:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        folder: The open run folder.
        given: The inputs.
        maps: (cell,) maps by name, NaN where they have no value.
        interval: Interval of the separation of base flow, days.
        names: Signatures that are sought.
        model: The model under the parameters given.
        open: (open,) cells whose parameters may be sought.
        cells: (calibrated,) those of them with a target.
        goal: The targets there.
    """

    def __init__(
        self,
        settings: Any,
        folder: run_folder.RunFolder,
        given: build.Inputs,
        maps: dict[str, np.ndarray],
        interval: int,
    ) -> None:
        self.settings, self.folder, self.given, self.interval = settings, folder, given, interval
        self.names = NAMES[settings.target]
        self.model: Chase = build.program(settings, given).model  # type: ignore[attr-defined]
        self.maps = maps
        self.open = columns.calibrated_cells(given.domain)
        self.cells = self.open[np.all([np.isfinite(maps[name][self.open]) for name in self.names], axis=0)]
        require(
            self.cells.size > 0,
            f"{settings.maps.path}: holds no target in any of the {self.open.size} cells that may be calibrated; "
            "give a map that covers the domain.",
        )
        self.goal = Goal(np.stack([maps[name][self.cells] for name in self.names]), self.names)
        if settings.fit.prior_deviation is not None:
            known = np.stack([np.asarray(one.encode(self.model.parameters)) for one in self.free(self.cells)])
            prior = Prior(known, settings.fit.prior_deviation, self.uncertainty())
            self.goal = dataclasses.replace(self.goal, prior=prior)

    def uncertainty(self) -> np.ndarray:
        """Standard deviation of the maps (signature, calibrated): what they tell of it, at least the usual one.

        In the unit of the signature. Maps tell it as quantiles of 10 and 90 % (`_low`, `_high`).
        """
        told = map_store.read_quantiles(self.settings.maps.path, self.given.domain.grid, self.names)
        rows = []
        for row, name in enumerate(self.names):
            value = self.goal.values[row]
            is_runoff = name == "runoff_depth"
            usual = RUNOFF_SPREAD * np.maximum(value, LEAST_RUNOFF) if is_runoff else np.full(value.shape, INDEX_SPREAD)
            if name in told:
                low, high = (quantile[self.cells] for quantile in told[name])
                usual = np.fmax(usual, (high - low) / TEN_TO_NINETY)  # where the map tells nothing, the usual one
            rows.append(usual)
        return np.stack(rows)

    def free(self, cells: np.ndarray | None) -> list[Free]:
        """The free parameters. Argument: cells (calibrated,) of the whole model, None for closed columns of them."""
        form, sought = self.settings.physics.dcor_form, parameters_of(self.settings)
        if cells is None:
            return [free.named(sought[name], form) for name in self.names]
        group = np.full(self.model.domain.cells, -1, np.int32)
        group[cells] = np.arange(cells.size)
        return [free.named(sought[name], form, "class", jnp.asarray(group)) for name in self.names]

    def simulator(self, model: Chase, parameters: list[Free], cells: np.ndarray | None) -> Simulator:
        """A model ready for trials.

        Args:
            model: The model, or closed columns of it.
            parameters: Free parameters.
            cells (calibrated,): Cells of the columns; None for the whole model.
        """
        run_in, period = self.spans(cells)
        s = self.settings.fit
        at_once = 1 if cells is None else s.cores or cores.usable()
        return Simulator(model, parameters, run_in, period, self.interval, s.cycles, at_once)

    def spans(self, cells: np.ndarray | None, days: int | None = None) -> tuple[trial.Span, trial.Span]:
        """Weather of the run-in and of the period.

        Args:
            cells (calibrated,): Cells that are needed; None for all.
            days: Days of the period from its first one on; None for all.
        """
        period = workflows.span(self.given.forcing, cells, days)
        return workflows.span(self.given.warmup, cells) if self.given.warmup else period, period

    def faces(self, cells: np.ndarray) -> EdgeList:
        """Faces between some cells, renumbered. Argument: cells (chosen,), increasing."""
        edges = self.model.domain.faces.edges
        place = np.full(self.model.domain.cells, -1)
        place[cells] = np.arange(cells.size)
        tail, head = place[np.asarray(edges.tail)], place[np.asarray(edges.head)]
        both = (tail >= 0) & (head >= 0)
        return EdgeList(jnp.asarray(tail[both]), jnp.asarray(head[both]), cells.size)

    def write(
        self,
        fit: Fit,
        judged: Fit,
        outcomes: list[Outcome],
        told: list[str],
        everywhere: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> str:
        """Write what was found and declare the job finished.

        Args:
            fit: What the search found, with derivatives if it has any.
            judged: What is written.
            outcomes: Trials that judged it, the last one of what is written.
            told: Last lines of the report.
            everywhere: Cells (chosen,) and their unknowns (parameter, chosen), if more cells than those with a target
                were given parameters.

        Returns:
            The report.
        """
        folder, domain = self.folder, self.given.domain
        values = {name: np.asarray(value) for name, value in self.given.parameters.items()}
        for row, (name, one) in enumerate(zip(self.names, self.free(None), strict=True)):
            label = parameters_of(self.settings)[name]
            kept = np.ones(domain.cells) if one.relative else np.asarray(one.where(self.model.parameters))
            full = np.array(values.get(label, kept))
            cells, unknowns = (self.cells, judged.unknowns) if everywhere is None else everywhere
            found = np.asarray(one.transform.decode(jnp.asarray(unknowns[row])))
            full[cells] = full[cells] * found if one.relative else found
            values[label] = full
        form = self.settings.physics.dcor_form
        values, moved = parameter_store.within_range(values, form)
        parameter_store.write_parameters(folder.path / PARAMETERS, values, domain.grid, form, "Calibrated parameters")

        status = np.full(domain.cells, cellwise.EXCLUDED)
        status[self.open], status[self.cells] = cellwise.NO_TARGET, judged.status
        maps = {"calibration_status": status.astype(float), "storage_drift": self.on_cells(outcomes[-1].drift)}
        met = self.goal.values + judged.residuals * self.goal.tolerance
        maps |= {name: self.on_cells(met[row]) for row, name in enumerate(self.names)}
        report = []
        if fit.jacobian is not None:
            able = cellwise.identifiable(self.free(None), fit, self.goal)
            for row, name in enumerate(self.names):
                maps[f"{name}_identifiable"] = self.on_cells(able[row].astype(float))
                label = parameters_of(self.settings)[name]
                report.append(f"{label} identifiable in {100.0 * able[row].mean():.1f} % of the cells")
        dataset = frame(domain.grid)
        for name, value in maps.items():
            dataset[name] = map_of(domain.grid, value)
        store.write_dataset(dataset, folder.path / REPORT, "Outcome of a calibration")
        rows = [chunk["row"] for chunk in folder.chunks]
        store.write_text(tables.text(rows), folder.path / TRIALS)
        folder.note(PARAMETERS, REPORT, TRIALS)

        counts = np.bincount(status, minlength=len(cellwise.STATUS))
        texts = list(cellwise.STATUS)
        texts[cellwise.NO_TARGET] += f", parameters {'as they were' if everywhere is None else 'from the other cells'}"
        report += [f"{count} cells: {text}" for count, text in zip(counts, texts, strict=True) if count]
        report += [*told, *moved]
        folder.finish(*report)
        return "\n".join([*report, f"parameters: {pathlib.Path(folder.path) / PARAMETERS}"])

    def on_cells(self, values: np.ndarray) -> np.ndarray:
        """Values on the axis of cells, NaN elsewhere. Argument: values (calibrated,), any unit."""
        full = np.full(self.given.domain.cells, np.nan)
        full[self.cells] = values
        return full


def scores(goal: Goal, residuals: np.ndarray, outcome: Outcome | None = None) -> dict[str, float]:
    """How near a trial came, for the table of trials.

    Args:
        goal: The targets.
        residuals (signature, cell): Residuals in tolerances, 1.
        outcome: The trial, if its drift is to be told.
    """
    found = {}
    for row, name in enumerate(goal.names):
        missed = np.abs(residuals[row]) * goal.tolerance[row]
        found[f"{name}_error"] = float(f"{np.median(missed):.5g}")
        found[f"{name}_met"] = float(f"{np.mean(np.abs(residuals[row]) <= 1.0):.4f}")
    if outcome is None:
        return found
    still = trial.in_equilibrium(outcome.drift, outcome.runoff_depth)
    return {**found, "in_equilibrium": float(f"{still.mean():.4f}")}
