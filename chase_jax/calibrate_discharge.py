"""The job of `chase calibrate target=discharge`: any parameters of the whole model from discharge at gauges.

Every trial is a run of the whole model from the same stores, through the run-in and the part of the period that is
fitted. It is written before the next begins, so that a job that was stopped or killed ends with the same numbers.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax.numpy as jnp
import numpy as np

from chase_jax import build, config, workflows
from chase_jax.calibration import free, hydrographs, routing
from chase_jax.calibration.free import Free
from chase_jax.checks import require
from chase_jax.evaluation import metrics
from chase_jax.io import gauge_store, parameter_store, restart, run_folder, store, tables
from chase_jax.model import adjustable
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State

PARAMETERS, FITTED, TABLE, TRIALS = "parameters.nc", "parameters.csv", "discharge.csv", "trials.csv"
START, WIDE_START = "restart/start.nc", "restart/start_coarse.nc"
COARSE = {"domain": "domain.nc", "forcing": "forcing.nc", "gauges": "gauges.csv"}  # files of fit.coarse
LEAST_RECORD = 30  # days with an observation that each part of the record must have
Search = hydrographs.Simulator | hydrographs.TwoWidths
SCORES = {"nse": metrics.nse, "kge": metrics.kge, "pcc": metrics.pcc, "pbias": metrics.pbias}


def run(
    settings: Any, folder: run_folder.RunFolder, facts: dict[str, Any], given: build.Inputs, asked: list[str]
) -> str:
    """Find parameters and write them.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        folder: The open run folder; begun once nothing is left to refuse.
        facts: What decides the results, by :func:`chase_jax.workflows.facts` and more.
        given: The inputs.
        asked: Names of signals that came.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: If no gauge has a record, or a parameter is not known.
        Stopped: If the process is asked to stop; trials that are done are kept.
    """
    gauges, names = given.gauges, settings.fit.parameters
    allowed = (*adjustable.VALUES, *adjustable.FACTORS)
    unknown = ", ".join(name for name in names if name not in allowed) or "none"
    known = bool(names) and unknown == "none"
    require(known, f"fit.parameters: {unknown}; allowed are {', '.join(allowed)}.")
    require(bool(gauges.gauge_id), "gauges.path is empty; target=discharge needs gauges.")
    require("observations" in given.paths, "observations.path is empty; target=discharge needs observed discharge.")
    days = settings.period.start, settings.period.end
    observed = gauge_store.read_observations(given.paths["observations"], gauges, *days).values.T
    fitted = round(settings.fit.share * len(observed))
    used = np.flatnonzero(np.isfinite(observed[:fitted]).sum(axis=0) >= LEAST_RECORD)
    require(
        used.size > 0,
        f"{given.paths['observations']}: no gauge has {LEAST_RECORD} days of discharge in the first {fitted} days of "
        f"{days[0]} to {days[1]}; choose another period or fit.share.",
    )
    wide = _wide_inputs(settings, folder, [gauges.gauge_id[k] for k in used]) if settings.fit.coarse else None
    if wide is not None:
        facts = facts | {f"coarse.{name}": content for name, content in build.fingerprints(wide[2]).items()}
    folder.begin(facts, config.dump(settings))
    narrow, judge = _simulators(settings, folder, given, gauges.cell[used], fitted, START)
    search: Search = narrow
    if wide is not None:
        search = hydrographs.TwoWidths(narrow, _simulators(*wide, fitted, WIDE_START)[0])
    goal = hydrographs.Goal(observed[:fitted, used], settings.fit.flow, search.encode(), settings.fit.prior)
    log = _Trials(folder, search, goal, asked)
    found, covariance = hydrographs.fit(log.run, goal, settings.fit.trials)

    flows = {"before": judge.run(search.encode()), "after": judge.run(found)}
    rows = []
    for column, number in enumerate(used):
        row: dict[str, Any] = {"gauge_id": gauges.gauge_id[number]}
        for label, part_of in (("fitted", slice(0, fitted)), ("later", slice(fitted, None))):
            seen = observed[part_of, number]
            enough = np.isfinite(seen).sum() >= LEAST_RECORD
            for when, flow in flows.items():
                for name, score in SCORES.items():
                    row[f"{name}_{when}_{label}"] = float(score(flow[part_of, column], seen)) if enough else np.nan
        rows.append(row)
    store.write_text(tables.text(rows, digits=6), folder.path / TABLE)
    _write(folder, settings, given, search, found, covariance)
    store.write_text(tables.text([chunk["row"] for chunk in folder.chunks]), folder.path / TRIALS)
    folder.note(PARAMETERS, FITTED, TABLE, TRIALS)
    told = [
        f"{row['gauge_id']}: NSE {row['nse_before_fitted']:.3f} -> {row['nse_after_fitted']:.3f}, KGE "
        f"{row['kge_before_fitted']:.3f} -> {row['kge_after_fitted']:.3f} in the days fitted; NSE "
        f"{row['nse_before_later']:.3f} -> {row['nse_after_later']:.3f}, KGE {row['kge_before_later']:.3f} -> "
        f"{row['kge_after_later']:.3f} later"
        for row in rows
    ]
    told.append(f"{len(folder.chunks)} runs, {sum(c['row']['derivatives'] for c in folder.chunks)} with derivatives")
    folder.finish(*told)
    return "\n".join([*told, f"parameters: {folder.path / PARAMETERS}"])


def _sought(settings: Any, model: Chase, cells: np.ndarray) -> dict[str, Free]:
    """The free parameters with their support, by name."""
    form, support = settings.physics.dcor_form, settings.fit.support
    group = None
    if support == "basin":
        group = routing.basins(model.domain, cells).group
    elif support == "vegetation_class":
        group = np.unique(np.asarray(model.domain.vegetation_class), return_inverse=True)[1].astype(np.int32)
    kind = "class" if support == "vegetation_class" else support
    at = None if group is None else jnp.asarray(group)
    return {name: free.named(name, form, kind, at) for name in settings.fit.parameters}


def _simulators(
    settings: Any, folder: run_folder.RunFolder, given: build.Inputs, cells: np.ndarray, days: int, start: str
) -> tuple[hydrographs.Simulator, hydrographs.Simulator]:
    """Simulators of the first days of the period and of all of it, both from the stores kept under the name `start`."""
    program = build.program(settings, given)
    model: Chase = program.model  # type: ignore[attr-defined]
    whole, part = workflows.span(given.forcing), workflows.span(given.forcing, days=days)
    run_in = workflows.span(given.warmup) if given.warmup else None
    cold, sought = workflows.initial_state(settings, program), _sought(settings, model, cells)
    spin_up = hydrographs.Simulator(model, sought, cells, cold, None, run_in or whole)
    state = _start(folder, start, spin_up, settings.fit.spinup_cycles)
    return spin_up.over(state, run_in, part), spin_up.over(state, run_in, whole)


def _wide_inputs(
    settings: Any, folder: run_folder.RunFolder, gauges: list[str]
) -> tuple[Any, run_folder.RunFolder, build.Inputs, np.ndarray]:
    """What :func:`_simulators` needs of the wider cells: settings, folder, inputs, and the cells of named gauges."""
    require(
        settings.fit.support != "vegetation_class",
        "fit.support is vegetation_class, but wider cells need not have the same classes; leave out fit.coarse, or set "
        "fit.support=domain or basin.",
    )
    place = store.local_path(settings.fit.coarse, "fit.coarse")
    files = {name: str(store.local_path(str(place / file), "fit.coarse")) for name, file in COARSE.items()}
    changed = {name: dataclasses.replace(getattr(settings, name), path=file) for name, file in files.items()}
    changed |= {name: dataclasses.replace(getattr(settings, name), path=None) for name in ("parameters", "initial")}
    settings = dataclasses.replace(settings, **changed)
    given = build.inputs(settings, folder.path)
    there = given.gauges.gauge_id
    missing = ", ".join(name for name in gauges if name not in there)
    require(not missing, f"{files['gauges']}: has no gauge {missing}; fit.coarse needs every gauge that is fitted.")
    return settings, folder, given, given.gauges.cell[[there.index(name) for name in gauges]]


def _start(folder: run_folder.RunFolder, name: str, spin_up: hydrographs.Simulator, cycles: int) -> State:
    """The stores with which every trial begins, after repetitions of the run-in under the parameters as they are."""
    if folder.holds(name):
        return restart.read_restart(folder.path / name, spin_up.start)[0]
    state = spin_up.repeated(cycles)
    restart.write_restart(folder.path / name, state, {"repetitions": cycles})
    folder.note(name)
    folder.commit()
    folder.log(f"{name}: the stores to begin with are made, {cycles} repetitions of the run-in")
    return state


class _Trials:
    """Runs trials, or reads those that were run before."""

    def __init__(self, folder: run_folder.RunFolder, search: Search, goal: hydrographs.Goal, asked: list[str]) -> None:
        self.folder, self.search, self.goal, self.asked, self.number = folder, search, goal, asked, 0

    def run(self, unknowns: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Discharge of a trial, and its derivatives if they are asked for."""
        name = f"trials/{self.number:05d}.nc"
        found = self._kept(name, unknowns, slopes)
        if found is None:
            begun = time.perf_counter()
            made = self.search.run_with_slopes(unknowns) if slopes else (self.search.run(unknowns), None)
            self._record(name, unknowns, made[0], made[1], time.perf_counter() - begun)
            workflows.stop_if_asked(self.asked, self.folder, f"after trial {self.number + 1}")
            found = made
        self._require_numbers(found[1])
        self.number += 1
        return found

    def _require_numbers(self, slopes: np.ndarray | None) -> None:
        """End the search where derivatives (unknown, day, gauge) are no numbers: no step leads on from there."""
        if slopes is None:
            return
        parts = np.split(slopes, np.cumsum(self.search.sizes)[:-1])
        pairs = zip(self.search.names, parts, strict=True)
        lost = ", ".join(name for name, part in pairs if not np.isfinite(part).all())
        require(
            not lost,
            f"{self.folder.path}: derivatives by {lost} are no finite numbers in trial {self.number}; try "
            "precision=float64, or leave these out of fit.parameters.",
        )

    def _like(self, unknowns: np.ndarray, slopes: bool) -> dict[str, np.ndarray]:
        """The content of a trial's file."""
        shape = self.goal.observed.shape
        like = {"unknowns": unknowns, "discharge": np.zeros(shape)}
        return like | ({"slopes": np.zeros((unknowns.size, *shape))} if slopes else {})

    def _kept(self, name: str, unknowns: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None] | None:
        """A trial that was run before; None if there is none, and later ones are dropped if it is another."""
        folder = self.folder
        if self.number >= len(folder.chunks):
            return None
        if folder.holds(name) and bool(folder.chunks[self.number]["row"]["derivatives"]) == slopes:
            kept = restart.read_restart(folder.path / name, self._like(unknowns, slopes))[0]
            if np.array_equal(kept["unknowns"], unknowns):
                return np.asarray(kept["discharge"]), np.asarray(kept["slopes"]) if slopes else None
        folder.log(f"trial {self.number} is damaged or differs; going back to it")
        del folder.chunks[self.number :]
        return None

    def _record(
        self, name: str, unknowns: np.ndarray, discharge: np.ndarray, slopes: np.ndarray | None, seconds: float
    ) -> None:
        """Write a trial."""
        content = self._like(unknowns, slopes is not None) | {"discharge": discharge}
        restart.write_restart(self.folder.path / name, content if slopes is None else content | {"slopes": slopes}, {})
        self.folder.note(name)
        row: dict[str, Any] = {
            "trial": self.number,
            "derivatives": int(slopes is not None),
            "seconds": round(seconds, 2),
        }
        row["target"] = float(f"{(self.goal.residuals(discharge, unknowns) ** 2).sum():.6g}")
        parts = self.search.split(jnp.asarray(unknowns))
        for label, one, part in zip(self.search.names, self.search.free, parts, strict=True):
            for group, value in enumerate(np.asarray(one.transform.decode(part))):
                row[label if part.size == 1 else f"{label}_{group}"] = float(f"{value:.5g}")
        self.folder.add_chunk({"number": self.number, "restart": "", "row": row})
        self.folder.log(", ".join(f"{key} {value}" for key, value in row.items()))


def _write(
    folder: run_folder.RunFolder,
    settings: Any,
    given: build.Inputs,
    search: Search,
    found: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """Write the parameters as maps, and as a table with how surely the record tells them."""
    values = {name: np.asarray(value) for name, value in given.parameters.items()}
    rows, place = [], 0
    for name, one, part, first in zip(
        search.names,
        search.free,
        search.split(jnp.asarray(found)),
        search.split(jnp.asarray(search.encode())),
        strict=True,
    ):
        full = np.asarray(one.values(part, search.model.parameters))
        values[name] = full * values.get(name, 1.0) if one.relative else full
        for group in range(part.size):
            spread = float(np.sqrt(covariance[place, place]))
            low, high = (float(one.transform.decode(part[group] + sign * spread)) for sign in (-1.0, 1.0))
            before, after = (float(one.transform.decode(at[group])) for at in (first, part))
            rows.append({"parameter": name, "group": group, "before": before, "after": after, "low": low, "high": high})
            place += 1
    form = settings.physics.dcor_form
    parameter_store.write_parameters(folder.path / PARAMETERS, values, given.domain.grid, form, "Calibrated parameters")
    store.write_text(tables.text(rows, digits=6), folder.path / FITTED)
