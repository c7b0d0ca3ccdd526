"""The job of `chase calibrate target=discharge`: any parameters of the whole model from what was measured at gauges.

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
from chase_jax.calibration import free, hydrographs, losses, routing
from chase_jax.calibration.free import Free
from chase_jax.calibration.transforms import Positive
from chase_jax.checks import require
from chase_jax.evaluation import metrics
from chase_jax.io import gauge_store, parameter_store, restart, run_folder, store, tables
from chase_jax.model import adjustable
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.model.lake_record import LakeRecord
from chase_jax.signatures import baseflow

PARAMETERS, FITTED, TABLE, TRIALS = "parameters.nc", "parameters.csv", "discharge.csv", "trials.csv"
START, WIDE_START = "restart/start.nc", "restart/start_coarse.nc"
COARSE = {"domain": "domain.nc", "forcing": "forcing.nc", "gauges": "gauges.csv"}  # files of fit.coarse
Search = hydrographs.Simulator | hydrographs.TwoWidths
SCORES = {"nse": metrics.nse, "kge": metrics.kge, "pcc": metrics.pcc, "pbias": metrics.pbias}
SHOWN, OF_LEVELS = ("nse", "kge"), ("nse", "pcc")  # of a level the others ask where it counts from


@dataclasses.dataclass(frozen=True)
class Record:
    """What was measured, at the places that have enough of it.

    Attributes:
        names: (place,) identifiers of the gauges with discharge, then of those in a lake with levels.
        cells: (gauge,) cells of the former.
        lakes: (lake,) numbers of the lakes.
        basins: Cells, each once, above which and between which a basin may have parameters of its own.
        series: (day, place) discharge, m3 s-1, then levels, m, NaN where missing.
        of_place: (place,) weights, 1.
        area: (gauge,) drainage areas, m2.
    """

    names: tuple[str, ...]
    cells: np.ndarray
    lakes: tuple[int, ...]
    basins: np.ndarray
    series: np.ndarray
    of_place: np.ndarray
    area: np.ndarray

    @property
    def levels_from(self) -> int:
        """Place of the first level."""
        return self.cells.size


@dataclasses.dataclass(frozen=True)
class Land:
    """Cells of one width, ready to be simulated.

    Attributes:
        settings: Checked settings that name its files.
        given: Its inputs.
        model: Its model with the parameters as they are.
        cold: Its stores before any repetition of the run-in.
        cells: (gauge,) cells of the gauges with discharge.
        lakes: (lake,) numbers of the lakes with levels.
        basins: Cells, each once, above which and between which a basin may have parameters of its own.
    """

    settings: Any
    given: build.Inputs
    model: Chase
    cold: State
    cells: np.ndarray
    lakes: tuple[int, ...]
    basins: np.ndarray

    @classmethod
    def ready(
        cls, settings: Any, given: build.Inputs, cells: np.ndarray, lakes: tuple[int, ...], basins: np.ndarray
    ) -> Land:
        """Build the model and read its first stores; see the attributes for the arguments."""
        program = build.program(settings, given)
        cold = workflows.initial_state(settings, program)
        return cls(settings, given, program.model, cold, cells, lakes, basins)  # type: ignore[attr-defined]


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
    supports, weights = _supports(settings), _weights(settings)
    fitted = round(settings.fit.share * _days(settings))
    record = _record(settings, given, weights, fitted)
    land = Land.ready(settings, given, record.cells, record.lakes, record.basins)
    wide = _wide(settings, folder, supports, record) if settings.fit.coarse else None
    if wide is not None:
        facts = facts | {f"coarse.{name}": content for name, content in build.fingerprints(wide.given).items()}
    folder.begin(facts, config.dump(settings))
    narrow, judge = _simulators(land, folder, supports, fitted, START)
    search: Search = narrow
    if wide is not None:
        search = hydrographs.TwoWidths(narrow, _simulators(wide, folder, supports, fitted, WIDE_START)[0])
    seen = record.series[:fitted]
    goal = hydrographs.Goal(
        seen[:, : record.levels_from], settings.fit.flow, search.encode(), settings.fit.prior, weights,
        seen[:, record.levels_from :], record.of_place, np.array([baseflow.interval(area) for area in record.area]),
    )  # fmt: skip
    scales = [
        _given_factor(one, given.parameters.get(name)) for name, one in zip(search.names, search.free, strict=True)
    ]
    log = _Trials(folder, search, goal, scales, asked)
    found, covariance = hydrographs.fit(log.run, goal, settings.fit.trials)

    values, moved = _values(settings, given, search, found)
    form, grid = settings.physics.dcor_form, given.domain.grid
    parameter_store.write_parameters(folder.path / PARAMETERS, values, grid, form, "Calibrated parameters")
    store.write_text(tables.text(_told(search, form, scales, found, covariance), digits=6), folder.path / FITTED)
    after = _as_written(judge, settings, given, values) if moved else judge.run(found)
    rows = _scores(record, {"before": judge.run_as_given(), "after": after}, fitted)
    store.write_text(tables.text(rows, digits=6), folder.path / TABLE)
    store.write_text(tables.text([chunk["row"] for chunk in folder.chunks]), folder.path / TRIALS)
    folder.note(PARAMETERS, FITTED, TABLE, TRIALS)
    told = [*moved, *(_line(row) for row in rows)]
    told.append(f"{len(folder.chunks)} runs, {sum(c['row']['derivatives'] for c in folder.chunks)} with derivatives")
    folder.finish(*told)
    return "\n".join([*told, f"parameters: {folder.path / PARAMETERS}"])


def _weights(settings: Any) -> dict[str, float]:
    """The weight of every loss by its name."""
    names, weights = settings.fit.losses, settings.fit.weights or [1.0] * len(settings.fit.losses)
    wrong = ", ".join(name for name in names if name not in losses.LOSSES)
    require(
        bool(names) and not wrong and len(set(names)) == len(names),
        f"fit.losses: {wrong or ', '.join(names) or 'none'}; allowed are {', '.join(losses.LOSSES)}, each once.",
    )
    require(
        len(weights) == len(names) and all(weight > 0.0 for weight in weights),
        f"fit.weights: {', '.join(f'{w:g}' for w in weights)}; give one number above 0 for each of the {len(names)} "
        "fit.losses, or none.",
    )
    require(
        not ("kge" in names and settings.fit.flow == "logarithm"),
        "fit.losses holds kge and fit.flow is logarithm, whose mean has no zero to count a bias from; "
        "take fit.flow=root.",
    )
    return dict(zip(names, weights, strict=True))


def _days(settings: Any) -> int:
    """Days of the period."""
    first, last = (config.date(settings.period.start, "period.start"), config.date(settings.period.end, "period.end"))
    return (last - first).days + 1


def _record(settings: Any, given: build.Inputs, weights: dict[str, float], fitted: int) -> Record:
    """What was measured and is compared; refuses what leaves nothing to compare."""
    gauges, period = given.gauges, (settings.period.start, settings.period.end)
    require(bool(gauges.gauge_id), "gauges.path is empty; target=discharge needs gauges.")
    require("observations" in given.paths, "observations.path is empty; target=discharge needs what was observed.")
    path = given.paths["observations"]

    def enough(variable: str, where: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        series = gauge_store.read_observations(path, gauges, *period, variable).values.T
        used = np.flatnonzero(where & gauge_store.telling(series[:fitted]))
        require(
            used.size > 0,
            f"{path}: no gauge{what} has {gauge_store.LEAST_RECORD} days of {variable}, and not always the same, in "
            f"the first {fitted} days of {period[0]} to {period[1]}; choose another period or fit.share.",
        )
        return used, series[:, used]

    used, flow = np.zeros(0, int), np.zeros((_days(settings), 0))
    lakes, levels = used, flow
    if set(weights) - {losses.LAKE_LEVEL}:
        used, flow = enough(gauge_store.DISCHARGE, gauges.weight > 0.0, "")
    number = np.asarray(given.domain.lake_index)[gauges.cell]
    if losses.LAKE_LEVEL in weights:
        patches = LakeRecord(given.domain).numbers
        there = np.isin(number, patches) & (gauges.weight > 0.0)
        lakes, levels = enough(gauge_store.LEVEL, there, " in a lake that is solved as a patch")
    area = np.where(np.isfinite(gauges.area), gauges.area, np.asarray(given.domain.drainage.upstream_area)[gauges.cell])
    both = np.concatenate([used, lakes])
    return Record(
        names=tuple(gauges.gauge_id[k] for k in both),
        cells=gauges.cell[used],
        lakes=tuple(int(n) for n in number[lakes]),
        basins=_each_once(gauges.cell[both]),
        series=np.concatenate([flow, levels], axis=1),
        of_place=gauges.weight[both],
        area=area[used],
    )


def _each_once(cells: np.ndarray) -> np.ndarray:
    """Cells in their order without those that came before."""
    return cells[np.sort(np.unique(cells, return_index=True)[1])]


def _scores(record: Record, made: dict[str, np.ndarray], fitted: int) -> list[dict[str, Any]]:
    """Scores of every place, before and after, in the days that were fitted and later.

    Args:
        record: What was measured.
        made: (day, place) simulated series before and after.
        fitted: Days that were fitted.
    """
    rows = []
    for place, name in enumerate(record.names):
        level = place >= record.levels_from
        row: dict[str, Any] = {"gauge_id": name, "variable": gauge_store.LEVEL if level else gauge_store.DISCHARGE}
        for label, part_of in (("fitted", slice(0, fitted)), ("later", slice(fitted, None))):
            seen = record.series[part_of, place]
            enough = np.isfinite(seen).sum() >= gauge_store.LEAST_RECORD
            for when, series in made.items():
                for kind, score in SCORES.items():
                    told = enough and (kind in OF_LEVELS or not level)
                    row[f"{kind}_{when}_{label}"] = float(score(series[part_of, place], seen)) if told else np.nan
        rows.append(row)
    return rows


def _line(row: dict[str, Any]) -> str:
    """The main scores of a place in words; of later days only if enough of them have a record. Argument: its row."""
    level = row["variable"] == gauge_store.LEVEL
    told = []
    for label, when in (("fitted", " in the days fitted"), ("later", " later")):
        pairs = [(n, row[f"{n}_before_{label}"], row[f"{n}_after_{label}"]) for n in (OF_LEVELS if level else SHOWN)]
        if label == "fitted" or np.isfinite([value for _, *both in pairs for value in both]).any():
            told.append(", ".join(f"{n.upper()} {one:.3f} -> {other:.3f}" for n, one, other in pairs) + when)
    return f"{row['gauge_id']}{', lake level' if level else ''}: {'; '.join(told)}"


def _supports(settings: Any) -> dict[str, str]:
    """Over what each of fit.parameters, NAME or NAME:SUPPORT, is uniform, by its name."""
    allowed, names, supports = (*adjustable.VALUES, *adjustable.FACTORS), list[str](), dict[str, str]()
    for given in settings.fit.parameters:
        name, _, support = given.partition(":")
        names.append(name)
        supports[name] = support or settings.fit.support
        right = supports[name] in config.SUPPORTS
        require(right, f"fit.parameters: {given}; a support is one of {', '.join(config.SUPPORTS)}.")
    unknown = ", ".join(name for name in names if name not in allowed) or "none"
    known = bool(names) and unknown == "none"
    require(known, f"fit.parameters: {unknown}; allowed are {', '.join(allowed)}.")
    twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
    require(not twice, f"fit.parameters: {twice} is there more than once; name each with one support.")
    return supports


def _sought(settings: Any, model: Chase, cells: np.ndarray, supports: dict[str, str]) -> dict[str, Free]:
    """The free parameters with their support, by name."""
    form, sought = settings.physics.dcor_form, {}
    for name, support in supports.items():
        group = None
        if support == "basin":
            group = routing.basins(model.domain, cells).group
        elif support == "vegetation_class":
            group = np.unique(np.asarray(model.domain.vegetation_class), return_inverse=True)[1].astype(np.int32)
        kind = "class" if support == "vegetation_class" else support
        sought[name] = free.named(name, form, kind, None if group is None else jnp.asarray(group))
    return sought


def _simulators(
    land: Land, folder: run_folder.RunFolder, supports: dict[str, str], days: int, start: str
) -> tuple[hydrographs.Simulator, hydrographs.Simulator]:
    """Simulators of the first days of the period and of all of it, both from the stores kept under the name `start`."""
    given = land.given
    whole, part = workflows.span(given.forcing), workflows.span(given.forcing, days=days)
    run_in = workflows.span(given.warmup) if given.warmup else None
    sought = _sought(land.settings, land.model, land.basins, supports)
    spin_up = hydrographs.Simulator(land.model, sought, land.cells, land.cold, None, run_in or whole, land.lakes)
    state = _start(folder, start, spin_up, land.settings.fit.spinup_cycles)
    return spin_up.over(state, run_in, part), spin_up.over(state, run_in, whole)


def _wide(settings: Any, folder: run_folder.RunFolder, supports: dict[str, str], record: Record) -> Land:
    """The wider cells of `fit.coarse`."""
    classes = ", ".join(name for name, support in supports.items() if support == "vegetation_class")
    require(
        not classes,
        f"fit.parameters: {classes} by vegetation_class, but wider cells need not have the same classes; leave out "
        "fit.coarse, or give these the support domain or basin.",
    )
    place = store.local_path(settings.fit.coarse, "fit.coarse")
    files = {name: str(store.local_path(str(place / file), "fit.coarse")) for name, file in COARSE.items()}
    changed = {name: dataclasses.replace(getattr(settings, name), path=file) for name, file in files.items()}
    changed |= {name: dataclasses.replace(getattr(settings, name), path=None) for name in ("parameters", "initial")}
    settings = dataclasses.replace(settings, **changed)
    given = build.inputs(settings, folder.path)
    there = given.gauges.gauge_id
    missing = ", ".join(name for name in record.names if name not in there)
    require(not missing, f"{files['gauges']}: has no gauge {missing}; fit.coarse needs every gauge that is fitted.")
    cells = given.gauges.cell[[there.index(name) for name in record.names]]
    lakes = tuple(int(n) for n in np.asarray(given.domain.lake_index)[cells[record.levels_from :]])
    dry = set(lakes) - set(LakeRecord(given.domain).numbers)
    require(
        not dry,
        f"{files['domain']}: a gauge with levels stands in no lake that is solved as a patch there; leave out "
        "fit.coarse, or mark the lake in lake_patch.",
    )
    basins = _each_once(cells)
    require(
        "basin" not in supports.values() or basins.size == record.basins.size,
        f"{files['gauges']}: {record.basins.size} gauges with cells of their own share {basins.size} there, so that "
        "basins cannot be told apart; leave out fit.coarse, or take the support domain.",
    )
    return Land.ready(settings, given, cells[: record.levels_from], lakes, basins)


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


def _given_factor(one: Free, given: np.ndarray | None) -> np.ndarray | float:
    """What tables multiply a found factor by (group,), 1, so that they tell what is written: the one that was given.

    Args:
        one: The free parameter.
        given (cell,): The factor given, of which the geometric mean counts; None without one.
    """
    if given is None or not one.relative:
        return 1.0
    itself = dataclasses.replace(one, where=lambda values: values, transform=Positive(), relative=False)
    return np.exp(np.asarray(itself.encode(jnp.asarray(given))))


class _Trials:
    """Runs trials, or reads those that were run before."""

    def __init__(
        self,
        folder: run_folder.RunFolder,
        search: Search,
        goal: hydrographs.Goal,
        scales: list[np.ndarray | float],
        asked: list[str],
    ) -> None:
        self.folder, self.search, self.goal, self.scales, self.asked = folder, search, goal, scales, asked
        self.number, self.shape = 0, goal.shape

    def run(self, unknowns: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Series (day, place) of a trial, and their derivatives if they are asked for."""
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
        """End the search where derivatives (unknown, day, place) are no numbers: no step leads on from there."""
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
        like = {"unknowns": unknowns, "series": np.zeros(self.shape)}
        return like | ({"slopes": np.zeros((unknowns.size, *self.shape))} if slopes else {})

    def _kept(self, name: str, unknowns: np.ndarray, slopes: bool) -> tuple[np.ndarray, np.ndarray | None] | None:
        """A trial that was run before; None if there is none, and later ones are dropped if it is another."""
        folder = self.folder
        if self.number >= len(folder.chunks):
            return None
        if folder.holds(name) and bool(folder.chunks[self.number]["row"]["derivatives"]) == slopes:
            kept = restart.read_restart(folder.path / name, self._like(unknowns, slopes))[0]
            if np.array_equal(kept["unknowns"], unknowns):
                return np.asarray(kept["series"]), np.asarray(kept["slopes"]) if slopes else None
        folder.log(f"trial {self.number} is damaged or differs; going back to it")
        del folder.chunks[self.number :]
        return None

    def _record(
        self, name: str, unknowns: np.ndarray, series: np.ndarray, slopes: np.ndarray | None, seconds: float
    ) -> None:
        """Write a trial."""
        content = self._like(unknowns, slopes is not None) | {"series": series}
        restart.write_restart(self.folder.path / name, content if slopes is None else content | {"slopes": slopes}, {})
        self.folder.note(name)
        row: dict[str, Any] = {
            "trial": self.number,
            "derivatives": int(slopes is not None),
            "seconds": round(seconds, 2),
        }
        row["target"] = float(f"{(self.goal.residuals(series, unknowns) ** 2).sum():.6g}")
        parts = self.search.split(jnp.asarray(unknowns))
        for label, one, part, scale in zip(self.search.names, self.search.free, parts, self.scales, strict=True):
            for group, value in enumerate(scale * np.asarray(one.transform.decode(part))):
                row[label if part.size == 1 else f"{label}_{group}"] = float(f"{value:.5g}")
        self.folder.add_chunk({"number": self.number, "restart": "", "row": row})
        self.folder.log(", ".join(f"{key} {value}" for key, value in row.items()))


def _values(
    settings: Any, given: build.Inputs, search: Search, found: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The parameters (cell,) to write by name, those given and those found, and lines on what their range moved."""
    values = {name: np.asarray(value) for name, value in given.parameters.items()}
    for name, one, part in zip(search.names, search.free, search.split(jnp.asarray(found)), strict=True):
        full = np.asarray(one.values(part, search.model.parameters))
        values[name] = full * values.get(name, 1.0) if one.relative else full
    return parameter_store.within_range(values, settings.physics.dcor_form)


def _as_written(
    judge: hydrographs.Simulator, settings: Any, given: build.Inputs, values: dict[str, np.ndarray]
) -> np.ndarray:
    """Series (day, place) under parameters (cell,) that no unknowns stand for, because their range moved them."""
    program = build.program(settings, dataclasses.replace(given, parameters=values))
    return judge.under(program.model).run_as_given()  # type: ignore[attr-defined]


def _told(
    search: Search, form: str, scales: list[np.ndarray | float], found: np.ndarray, covariance: np.ndarray
) -> list[dict[str, Any]]:
    """Rows of the table of parameters: what is written of each group, and how surely the record tells it."""
    spread = np.sqrt(np.diag(covariance))
    columns = {"before": search.encode(), "after": found, "low": found - spread, "high": found + spread}
    parts = {column: search.split(jnp.asarray(unknowns)) for column, unknowns in columns.items()}
    rows = []
    for number, (name, one, scale) in enumerate(zip(search.names, search.free, scales, strict=True)):
        told = {name: np.stack([scale * np.asarray(one.transform.decode(part[number])) for part in parts.values()])}
        value = parameter_store.within_range(told, form)[0][name]
        for group in range(search.sizes[number]):
            row = dict(zip(columns, value[:, group].tolist(), strict=True))
            rows.append({"parameter": name, "group": group} | row)
    return rows
