"""The job of `chase calibrate`: maps and weather in, trials one after the other, parameters out.

Every trial is written before the next begins. A job that was stopped or killed goes through the same search again, with
the trials on the disk for answers until there are none left, so that it ends with the same numbers.
"""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import build, calibrate_discharge, calibrate_rivers, config, workflows
from chase_jax.calibration import cellwise, columns, free, trial
from chase_jax.calibration.cellwise import Fit, Goal
from chase_jax.calibration.free import Free
from chase_jax.calibration.trial import Outcome, Simulator
from chase_jax.checks import require
from chase_jax.io import map_store, parameter_store, restart, run_folder, store, tables
from chase_jax.io.domain_store import frame, map_of
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.model.initial import initial_state

PARAMETERS, TRIALS, REPORT = "parameters.nc", "trials.csv", "calibration.nc"
NAMES = {
    "signatures": ("runoff_depth", "baseflow_index"),
    "runoff_depth": ("runoff_depth",),
    "baseflow_index": ("baseflow_index",),
}
CHECKED, STEPS = 16, (1e-4, 1e-5)  # cells of a check, and steps of an unknown, of which the better one counts
UNUSED_INTERVAL = 3  # days, where no baseflow index is sought


def run(settings: Any) -> str:
    """Calibrate under a checked configuration.

    Args:
        settings: A :class:`chase_jax.config.Calibrate`.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: Names file, variable, place, value and what is allowed.
        Stopped: If the process is asked to stop; all trials that are done are kept.
    """
    with (
        run_folder.opened(settings.output.directory, settings.resume, settings.output.overwrite) as folder,
        workflows.listening() as asked,
    ):
        if folder.finished:
            return f"{folder.path}: is finished"
        jobs = {"hydrograph": calibrate_rivers.run, "discharge": calibrate_discharge.run}
        job = jobs.get(settings.target)
        require(
            job is not None or bool(settings.maps.path),
            "maps.path is empty; give the maps of the target as maps.path=...",
        )
        given = workflows.inputs(settings, folder)
        facts = workflows.facts(settings, given)
        if job is not None:
            folder.begin(facts, config.dump(settings))
            return job(settings, folder, given, asked)
        names = NAMES[settings.target]
        maps, stated = map_store.read_maps(settings.maps.path, given.domain.grid, names)
        interval = settings.maps.interval_days or stated or 0
        if "baseflow_index" not in names:
            interval = UNUSED_INTERVAL
        require(
            interval > 0,
            f"{settings.maps.path}: variable baseflow_index: has no attribute interval_days; give the interval of the "
            "basins the map was made from as maps.interval_days=... (odd, 3 to 11).",
        )
        require(
            interval % 2 == 1 and 3 <= interval <= 11, f"maps.interval_days is {interval}; allowed are 3, 5, 7, 9, 11."
        )
        _parameters_of(settings)  # refused before anything is written
        facts |= {"input.maps": store.sha256(store.local_path(settings.maps.path, "maps.path"))}
        folder.begin(facts, config.dump(settings))
        return _Job(settings, folder, given, maps, interval, asked).run()


def check(settings: Any) -> str:
    """Compare the derivatives of the signatures of closed columns with differences, for every free parameter.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`; its maps are not read.

    Returns:
        A table: the typical derivative, and the largest disagreement over the largest derivative.
    """
    with tempfile.TemporaryDirectory() as scratch:
        given = build.inputs(settings, pathlib.Path(scratch))
        model: Chase = build.program(settings, given).model  # type: ignore[attr-defined]
        cells = columns.calibrated_cells(given.domain)
        cells = cells[np.linspace(0, cells.size - 1, min(cells.size, CHECKED)).astype(int)]
        small = columns.closed(model, cells)
        sought = _parameters_of(settings)
        parameters = [free.named(name, settings.physics.dcor_form) for name in sought.values()]
        period = workflows.span(given.forcing, cells)
        run_in = workflows.span(given.warmup, cells) if given.warmup else period
        interval = settings.maps.interval_days or UNUSED_INTERVAL
        simulator = Simulator(small, parameters, run_in, period, interval, 1)
        at = jnp.stack([one.encode(small.parameters) for one in parameters])
        state = initial_state(small)
        outcome = simulator.run_with_slopes(at, state)[0]
        assert outcome.slopes is not None  # noqa: S101  asked for
        lines = [f"{'parameter':<28} {'signature':<16} {'derivative':>12} {'disagreement':>13}"]
        for row, target in enumerate(sought.values()):
            pair: dict[str, list[Any]] = {}
            for step in STEPS:
                up, down = (simulator.run(at.at[row].add(s), state)[0] for s in (step, -step))
                for name in NAMES["signatures"]:
                    pair.setdefault(name, []).append((getattr(up, name) - getattr(down, name)) / (2.0 * step))
            for column, name in enumerate(NAMES["signatures"]):
                exact = outcome.slopes[row, column]
                size = max(float(np.abs(exact).max()), 1e-12)
                off = np.min(np.abs(np.stack(pair[name]) - exact), axis=0).max() / size
                lines.append(f"{target:<28} {name:<16} {np.median(np.abs(exact)):>12.4g} {off:>13.2g}")
        bad = ~np.isfinite(outcome.slopes).all(axis=(0, 1))
        told = f"{int(bad.sum())} of {cells.size} cells have a derivative that is no number"
        where = f", the first at {given.domain.grid.place(int(cells[np.argmax(bad)]))}" if bad.any() else ""
        return "\n".join([*lines, told + where])


def _parameters_of(settings: Any) -> dict[str, str]:
    """The parameter that is to meet each signature."""
    found = {"runoff_depth": settings.fit.runoff_depth_by, "baseflow_index": settings.fit.baseflow_index_by}
    require(
        found["runoff_depth"] != found["baseflow_index"],
        f"fit.runoff_depth_by and fit.baseflow_index_by are both {found['runoff_depth']}; name two parameters.",
    )
    return found


class _Job:
    """One calibration."""

    def __init__(
        self,
        settings: Any,
        folder: run_folder.RunFolder,
        given: build.Inputs,
        maps: dict[str, np.ndarray],
        interval: int,
        asked: list[str],
    ) -> None:
        self.settings, self.folder, self.given, self.interval, self.asked = settings, folder, given, interval, asked
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
        self.number, self.spent = 0, 0.0
        self.state: Any = None

    def run(self) -> str:
        """Search, verify, write."""
        s = self.settings.fit
        small = columns.closed(self.model, self.cells)
        closed = self._simulator(small, self._free(None), self.cells)
        start = np.stack([np.asarray(f.encode(small.parameters)) for f in closed.free])
        self._spin_up(closed, start, initial_state(small))

        def try_columns(unknowns: np.ndarray, slopes: bool) -> Outcome:
            return self._trial("columns", closed, unknowns, slopes, None)

        if self.settings.method == "standard":
            fit = cellwise.standard(try_columns, start, self.goal, s.sweeps, s.trials)
        else:
            fit = cellwise.gauss_newton(try_columns, start, self.goal, s.derivatives, s.trials)
        search = self.spent
        whole = self._simulator(self.model, self._free(self.cells), None)
        last: list[Outcome] = []

        def try_coupled(unknowns: np.ndarray, slopes: bool) -> Outcome:
            last.append(self._trial("coupled", whole, unknowns, slopes, self.cells))
            return last[-1]

        if self.settings.method == "standard" or s.corrections == 0:
            residuals = self.goal.residuals(try_coupled(fit.unknowns, False))
            status = cellwise.status_of(self.goal, fit.unknowns, residuals)
            verified = Fit(fit.unknowns, residuals, fit.jacobian, status)
        else:
            verified = cellwise.gauss_newton(
                try_coupled, fit.unknowns, self.goal, "never", s.corrections + 1, fit.jacobian
            )
        return self._write(fit, verified, last, search)

    def _free(self, cells: np.ndarray | None) -> list[Free]:
        """The free parameters; of closed columns in every cell, of the whole model in `cells`."""
        form, sought = self.settings.physics.dcor_form, _parameters_of(self.settings)
        if cells is None:
            return [free.named(sought[name], form) for name in self.names]
        group = np.full(self.model.domain.cells, -1, np.int32)
        group[cells] = np.arange(cells.size)
        return [free.named(sought[name], form, "class", jnp.asarray(group)) for name in self.names]

    def _simulator(self, model: Chase, parameters: list[Free], cells: np.ndarray | None) -> Simulator:
        """A model ready for trials under the weather of the period, after that of the run-in."""
        period = workflows.span(self.given.forcing, cells)
        run_in = workflows.span(self.given.warmup, cells) if self.given.warmup else period
        return Simulator(model, parameters, run_in, period, self.interval, self.settings.fit.cycles)

    def _spin_up(self, simulator: Simulator, unknowns: np.ndarray, cold: State) -> None:
        """The stores before the first trial."""
        cycles = self.settings.fit.spinup_cycles

        def spin() -> tuple[Outcome, State]:
            nothing = np.zeros(self.cells.size)
            cost = np.array(cycles * simulator.run_in_days / simulator.days)
            state = simulator.equilibrium(jnp.asarray(unknowns), cold, cycles)
            return Outcome(nothing, nothing, nothing, cost), state

        self._step("spin-up", unknowns, False, spin, cold)

    def _trial(
        self, kind: str, simulator: Simulator, unknowns: np.ndarray, slopes: bool, cells: np.ndarray | None
    ) -> Outcome:
        """Run a trial, or read it if it was run before; outcomes at the calibrated cells."""
        runner = simulator.run_with_slopes if slopes else simulator.run

        def go() -> tuple[Outcome, State]:
            state = self.state
            if cells is not None and state.aquifer.storage.shape[0] != simulator.model.domain.cells:
                state = columns.with_columns(initial_state(simulator.model), state, cells)
            outcome, after = runner(jnp.asarray(unknowns), state)
            return (outcome if cells is None else outcome.at(cells)), after

        like = initial_state(simulator.model)
        return self._step(kind, unknowns, slopes, go, like)

    def _step(
        self,
        kind: str,
        unknowns: np.ndarray,
        slopes: bool,
        go: Callable[[], tuple[Outcome, State]],
        like: State,
    ) -> Outcome:
        """One entry of the folder: read if it is there, else made and written."""
        names = {"trial": f"trials/{self.number:05d}.nc", "restart": f"restart/{self.number:05d}.nc"}
        found = self._kept(names, kind, unknowns, slopes, like)
        if found is None:
            begun = time.perf_counter()
            outcome, self.state = go()
            self._record(names, kind, unknowns, outcome, time.perf_counter() - begun)
        else:
            outcome = found
        self.number += 1
        self.spent += float(outcome.cost)
        if found is None:
            workflows.stop_if_asked(self.asked, self.folder, f"after trial {self.number}")
        return outcome

    def _kept(
        self, names: dict[str, str], kind: str, unknowns: np.ndarray, slopes: bool, like: State
    ) -> Outcome | None:
        """The outcome of a trial that was run before; None if there is none or anything about it is damaged."""
        folder = self.folder
        if self.number >= len(folder.chunks):
            return None
        newest = self.number == len(folder.chunks) - 1
        good = folder.holds(names["trial"]) and (not newest or folder.holds(names["restart"]))
        shape = unknowns.shape
        signature: dict[str, Any] = {"unknowns": unknowns, "outcome": _outcome_like(shape[0], shape[1], slopes)}
        if good:
            kept, facts = restart.read_restart(folder.path / names["trial"], signature)
            good = facts["kind"] == kind and np.array_equal(kept["unknowns"], unknowns)
        if not good:
            folder.log(f"trial {self.number} is damaged or differs; going back to it")
            del folder.chunks[self.number :]
            require(
                self.state is not None or self.number == 0,
                f"{folder.path}: trial {self.number} is damaged and the stores before it are gone; "
                "run again with output.overwrite=true.",
            )
            return None
        if newest or folder.holds(names["restart"]):
            self.state = restart.read_restart(folder.path / names["restart"], like)[0]
        else:
            self.state = None
        return jax.tree.map(np.asarray, kept["outcome"])

    def _record(self, names: dict[str, str], kind: str, unknowns: np.ndarray, outcome: Outcome, seconds: float) -> None:
        """Write a trial and the stores after it."""
        folder = self.folder
        content = {"unknowns": unknowns, "outcome": outcome}
        restart.write_restart(folder.path / names["trial"], content, {"kind": kind})
        restart.write_restart(folder.path / names["restart"], self.state, {"trial": self.number})
        folder.note(names["trial"], names["restart"])
        row = {"trial": self.number, "kind": kind, "derivatives": int(outcome.slopes is not None)}
        row |= {"forward_run_equivalents": round(float(outcome.cost), 3), "seconds": round(seconds, 2)}
        if kind != "spin-up":
            row |= _scores(self.goal, self.goal.residuals(outcome), outcome)
        folder.add_chunk({"number": self.number, **names, "row": row})
        told = ", ".join(f"{key} {value}" for key, value in row.items())
        folder.log(told)

    def _write(self, fit: Fit, verified: Fit, coupled: list[Outcome], search: float) -> str:
        """Write what was found and declare the job finished."""
        folder, domain = self.folder, self.given.domain
        values = {name: np.asarray(value) for name, value in self.given.parameters.items()}
        for row, (name, one) in enumerate(zip(self.names, self._free(None), strict=True)):
            label = _parameters_of(self.settings)[name]
            kept = np.ones(domain.cells) if one.relative else np.asarray(one.where(self.model.parameters))
            full = np.array(values.get(label, kept))
            found = np.asarray(one.transform.decode(jnp.asarray(verified.unknowns[row])))
            full[self.cells] = full[self.cells] * found if one.relative else found
            values[label] = full
        form = self.settings.physics.dcor_form
        parameter_store.write_parameters(folder.path / PARAMETERS, values, domain.grid, form, "Calibrated parameters")

        status = np.full(domain.cells, cellwise.EXCLUDED)
        status[self.open], status[self.cells] = cellwise.NO_TARGET, verified.status
        maps = {"calibration_status": status.astype(float), "storage_drift": self._on_cells(coupled[-1].drift)}
        met = self.goal.values + verified.residuals * self.goal.tolerance
        maps |= {name: self._on_cells(met[row]) for row, name in enumerate(self.names)}
        told = []
        if fit.jacobian is not None:
            able = cellwise.identifiable(self._free(None), fit, self.goal)
            for row, name in enumerate(self.names):
                maps[f"{name}_identifiable"] = self._on_cells(able[row].astype(float))
                label = _parameters_of(self.settings)[name]
                told.append(f"{label} identifiable in {100.0 * able[row].mean():.1f} % of the cells")
        dataset = frame(domain.grid)
        for name, value in maps.items():
            dataset[name] = map_of(domain.grid, value)
        store.write_dataset(dataset, folder.path / REPORT, "Outcome of a calibration")
        rows = [chunk["row"] for chunk in folder.chunks]
        store.write_text(tables.text(rows), folder.path / TRIALS)
        folder.note(PARAMETERS, REPORT, TRIALS)

        closed = self.goal.values + fit.residuals * self.goal.tolerance
        for row, name in enumerate(self.names):
            gap = np.abs(getattr(coupled[0], name) - closed[row])
            told.append(
                f"{name}: coupled model and closed columns differ by {np.median(gap):.3g} in the median and "
                f"{np.quantile(gap, 0.98):.3g} in 98 % of the cells"
            )
        counts = np.bincount(status, minlength=len(cellwise.STATUS))
        told += [f"{count} cells: {text}" for count, text in zip(counts, cellwise.STATUS, strict=True) if count]
        told.append(
            f"{len(rows)} runs: {search:.1f} forward-run equivalents of closed columns, "
            f"{self.spent - search:.1f} of the coupled model"
        )
        folder.finish(*told)
        return "\n".join([*told, f"parameters: {folder.path / PARAMETERS}"])

    def _on_cells(self, values: np.ndarray) -> np.ndarray:
        """Values of the calibrated cells on the axis of cells, NaN elsewhere."""
        full = np.full(self.given.domain.cells, np.nan)
        full[self.cells] = values
        return full


def _outcome_like(parameters: int, cells: int, slopes: bool) -> Outcome:
    """An outcome of the right shapes."""
    value = np.zeros(cells)
    return Outcome(value, value, value, np.zeros(()), np.zeros((parameters, 2, cells)) if slopes else None)


def _scores(goal: Goal, residuals: np.ndarray, outcome: Outcome) -> dict[str, float]:
    """How near a trial came, for the table of trials."""
    found = {}
    for row, name in enumerate(goal.names):
        missed = np.abs(residuals[row]) * goal.tolerance[row]
        found[f"{name}_error"] = float(f"{np.median(missed):.5g}")
        found[f"{name}_met"] = float(f"{np.mean(np.abs(residuals[row]) <= 1.0):.4f}")
    still = trial.in_equilibrium(outcome.drift, outcome.runoff_depth)
    return {**found, "in_equilibrium": float(f"{still.mean():.4f}")}
