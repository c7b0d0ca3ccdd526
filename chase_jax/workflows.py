"""The jobs behind the verbs: check the inputs, run the model, evaluate a run.

A run goes in chunks of at most a month. After each chunk its restart, its series and its maps are written, and the
manifest of the run folder takes them in; a run that stops anywhere continues from there and ends the same.
"""

from __future__ import annotations

import contextlib
import pathlib
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import tqdm
import xarray as xr

from chase_jax import build, config
from chase_jax import constants as const
from chase_jax.calibration import trial
from chase_jax.checks import require
from chase_jax.domain.domain import Domain
from chase_jax.io import output, restart, results, run_folder, store, tables
from chase_jax.io.calendar import DAY, LONGEST_CHUNK, Chunk, chunks
from chase_jax.io.forcing_store import Reader
from chase_jax.variables import VARIABLES

GAUGES, LAKES, BUDGET = "gauges.nc", "lakes.nc", "budget.csv"
LAKE_SERIES = ("lake_level", "lake_area", "lake_inflow", "lake_outflow")
KEPT_WEATHER = 2e9  # bytes of weather that are kept in memory; more is read again for every trial
NOT_RESULTS = (
    *("resume", "output.directory", "output.overwrite", "output.progress", "forcing.scan", "data.root"),
    "fit.cores",  # but for rounding
)


class Stopped(Exception):
    """The run was asked to stop; its restart is written."""


def simulate(settings: config.Config | dict[str, Any] | None = None, **groups: Any) -> xr.Dataset:
    """Run the model as `chase simulate` does, and return the series at the gauges.

    Args:
        settings: A configuration, or its values as nested dictionaries such as {"period": {"start": "1990-01-01"}}.
        **groups: The same, as keywords: `simulate(period={"start": "1990-01-01"})`.

    Returns:
        The content of gauges.nc; the attribute `directory` says where the run folder is.

    Raises:
        InputError: Names file, variable, place or date, value, what is allowed and what to do.
        Stopped: If the process is asked to stop; a restart is written.
    """
    if not isinstance(settings, config.Config):
        settings = config.compose({**(settings or {}), **groups})
    folder = run(config.check(settings))
    series = output.read_piece(folder / GAUGES) if (folder / GAUGES).exists() else xr.Dataset()
    return series.assign_attrs(directory=str(folder))


def run(settings: config.Config) -> pathlib.Path:
    """Run the model under a checked configuration; see :func:`simulate`.

    Returns:
        The run folder.
    """
    with (
        run_folder.opened(settings.output.directory, settings.resume, settings.output.overwrite) as folder,
        listening() as asked,
    ):
        if folder.finished:
            folder.require_same(decisive(settings))
            return folder.path
        given = inputs(settings, folder)
        if settings.forcing.scan and not folder.chunks:
            _scan(given)
        program = build.program(settings, given)
        state = initial_state(settings, program)
        folder.begin(facts(settings, given), config.dump(settings))
        if report := getattr(program, "report", ""):
            folder.log(report)
        carried, done = _start(settings, folder, program, state)
        plan = chunks(
            given.forcing.dates,
            given.warmup.dates if given.warmup else None,
            settings.period.warmup_cycles,
            settings.output.restart_days,
        )
        folder.log(f"{'continues at' if done else 'begins with'} chunk {done + 1} of {len(plan)}")
        days = sum(chunk.count for chunk in plan)
        before = sum(chunk.count for chunk in plan[:done])
        hidden = None if settings.output.progress else True  # None: hidden where there is no terminal
        with tqdm.tqdm(total=days, initial=before, unit="day", disable=hidden) as bar:
            for chunk in plan[done:]:
                if chunk.written or not _settled(settings, carried):
                    carried = _advance(folder, given, program, chunk, carried, settings)
                bar.update(chunk.count)
                if chunk is not plan[-1]:
                    stop_if_asked(asked, folder, f"after {chunk.end - DAY}")
        _finish(folder, given, program)
    return folder.path


def inputs(settings: config.Config, folder: run_folder.RunFolder) -> build.Inputs:
    """Read and check the inputs; those of the demo become files of the run folder."""
    given = build.inputs(settings, folder.path / "inputs")
    ours = [p for p in given.paths.values() if p.resolve().is_relative_to((folder.path / "inputs").resolve())]
    folder.note(*(str(p.relative_to(folder.path)) for p in ours if p.is_file()))
    return given


def facts(settings: config.Config, given: build.Inputs) -> dict[str, Any]:
    """What decides the results of a run: the keys that do, and the content of its inputs."""
    return decisive(settings) | build.fingerprints(given)


def decisive(settings: config.Config) -> dict[str, Any]:
    """The keys that decide the results of a run, flat."""
    return {key: value for key, value in config.flat(settings).items() if key not in NOT_RESULTS}


def stop_if_asked(asked: list[str], folder: run_folder.RunFolder, where: str) -> None:
    """Stop a job that was asked to.

    Args:
        asked: What :func:`listening` yields.
        folder: The folder of the job, which holds all that is done.
        where: How far it came, for log and message.

    Raises:
        Stopped: If it was asked to.
    """
    if asked:
        folder.log(f"stopped on {asked[0]} {where}")
        raise Stopped(f"stopped on {asked[0]} {where}; continue with resume=true output.directory={folder.path}")


def initial_state(settings: config.Config, program: build.Program) -> Any:
    """The stores at the start: those of `initial.path`, or of a cold start."""
    state = program.initial_state()
    if not settings.initial.path:
        return state
    return restart.read_initial(settings.initial.path, state)


def span(reader: Reader, cells: np.ndarray | None = None, days: int | None = None) -> trial.Span:
    """The weather of a reader for trials, kept in memory if it is not too much.

    Args:
        reader: The weather.
        cells (chosen,): Cells that are needed; None for all.
        days: How many days from the first on; None for all.
    """
    kept: dict[int, Any] = {}
    number = reader.rise.size if cells is None else cells.size
    days = reader.dates.size if days is None else days
    keep = 9.0 * 8.0 * number * days <= KEPT_WEATHER

    def read(day: int, count: int) -> Any:
        if day in kept:
            return kept[day]
        weather = reader.read(day, count, padded=LONGEST_CHUNK)
        if cells is not None:
            weather = jax.tree.map(lambda leaf: leaf[..., cells] if leaf.ndim > 1 else leaf, weather)
        if keep:
            kept[day] = weather
        return weather

    return trial.spans(read, days, LONGEST_CHUNK)


def attributes(domain: Domain, reader: Reader) -> np.ndarray:
    """What similarity is judged by (cell, attribute): climate, height, slope, soil, leaves; any units.

    Args:
        domain: The domain.
        reader: Its weather, of which every tenth day is read.
    """
    d = domain
    weather = [reader.read(day, 1) for day in range(0, reader.dates.size, 10)]
    climate = [
        np.mean([np.asarray(getattr(one, name))[0] for one in weather], axis=0)
        for name in ("precipitation", "air_temperature", "specific_humidity")
    ]
    slope = np.log10(np.maximum(np.asarray(d.bed_fall) / np.asarray(d.channel_length), 1e-5))
    rest = (d.surface_altitude, slope, d.clay_fraction, np.mean(np.asarray(d.leaf_area_index), axis=0))
    return np.stack([*climate, *map(np.asarray, rest)], axis=1)


def _scan(given: build.Inputs) -> dict[str, tuple[float, float, float]]:
    """Check every value of the weather; returns the ranges over the period."""
    if given.warmup:
        given.warmup.scan()
    return given.forcing.scan()


def _start(
    settings: config.Config, folder: run_folder.RunFolder, program: build.Program, state: Any
) -> tuple[dict[str, Any], int]:
    """What a run carries on, state, sums and the history of its run-in, to begin with; and how many chunks are done.

    Args:
        settings: The configuration.
        folder: The run folder.
        program: The model.
        state: The stores at the start.
    """
    carried = {"state": state, "totals": program.totals()}
    if settings.period.warmup_drift is not None:
        carried["history"] = program.history(state)
    last = folder.last_valid()
    if last is not None:
        kept, _ = restart.read_restart(folder.path / last["restart"], carried)
        return kept, last["number"] + 1
    return carried, 0


def _settled(settings: config.Config, carried: dict[str, Any]) -> bool:
    """Whether the run-in has found the balance that it looks for."""
    drift = settings.period.warmup_drift
    return drift is not None and float(carried["history"].drift) <= drift


def _advance(
    folder: run_folder.RunFolder,
    given: build.Inputs,
    program: build.Program,
    chunk: Chunk,
    carried: dict[str, Any],
    settings: config.Config,
) -> dict[str, Any]:
    """Run a chunk and write what it yields; the manifest takes it in last."""
    begun = time.perf_counter()
    source = given.forcing if chunk.written else given.warmup
    assert source is not None  # noqa: S101  chunks of a run-in exist only with its weather
    forcing = source.read(chunk.day, chunk.count, padded=LONGEST_CHUNK)
    totals = program.totals() if chunk.opens else carried["totals"]
    state, totals, found = program.advance(carried["state"], totals, forcing, chunk.count)
    series = {name: np.asarray(values)[: chunk.count] for name, values in found.items()}
    _require_finite(series, totals, chunk)
    carried = carried | {"state": state, "totals": totals}
    largest_drift = settings.period.warmup_drift
    if largest_drift is not None and chunk.ends_span and not chunk.written:
        years = source.dates.size / const.DAYS_PER_YEAR
        carried = _end_of_repetition(folder, program, carried, years, largest_drift, settings.period.warmup_cycles)
    folder.require_space(_expected_bytes(folder))
    entry: dict[str, Any] = {
        "number": chunk.number,
        "last": str(chunk.end - DAY),
        "restart": f"restart/{chunk.name}.nc",
    }
    restart.write_restart(folder.path / entry["restart"], carried, {"next_day": str(chunk.end)})
    names = [entry["restart"]]
    if chunk.written:
        names += _write_series(folder, given, program, chunk, series, settings.output.daily_grids)
        entry["series"] = [name for name in names if name.startswith("restart/") and name != entry["restart"]]
        if chunk.closes:
            names += _write_month(folder, given, program, chunk, totals)
            entry["budget"] = program.budget(totals, chunk.first.astype("datetime64[M]").astype("datetime64[D]"))
    folder.note(*names)
    folder.add_chunk(entry)
    folder.log(f"{chunk.first} to {chunk.end - DAY} done in {time.perf_counter() - begun:.2f} s")
    return carried


def _end_of_repetition(
    folder: run_folder.RunFolder,
    program: build.Program,
    carried: dict[str, Any],
    years: float,
    largest_drift: float,
    repetitions: int,
) -> dict[str, Any]:
    """Note the drift of the aquifer after a repetition of the run-in, and move it towards its balance."""
    state, history = program.end_of_repetition(carried["state"], carried["history"], years, largest_drift)
    done, drift = int(history.repetitions), float(history.drift)
    if drift <= largest_drift:
        outcome = "in balance"
    elif done == repetitions:
        outcome = f"not in balance, which is {largest_drift:g}; raise period.warmup_cycles"
        state = carried["state"]  # an extrapolation that nothing follows would start the period from a guess
    else:
        outcome = "extrapolated" if int(history.ends) == 1 else "goes on"
    folder.log(f"run-in {done}: the aquifer changes by {drift:.3g} mm per year ({outcome})")
    return carried | {"state": state, "history": history}


def _require_finite(series: dict[str, np.ndarray], totals: Any, chunk: Chunk) -> None:
    """Stop at once if the model has left the numbers; the last restart stays good."""
    for name, values in series.items():
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            date = chunk.first + int(np.argmax(bad)) * DAY
            raise FloatingPointError(f"{name} is not a finite number on {date}; the restart before it is kept.")
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(totals)):
        raise FloatingPointError(
            f"a flux is not a finite number between {chunk.first} and {chunk.end - DAY}; the restart before it is kept."
        )


def _expected_bytes(folder: run_folder.RunFolder) -> int:
    """Space the next chunk needs: twice that of the largest file so far, for the old and the new."""
    return 2 * max((entry["bytes"] for entry in folder.manifest["files"].values()), default=0)


def _write_series(
    folder: run_folder.RunFolder,
    given: build.Inputs,
    program: build.Program,
    chunk: Chunk,
    series: dict[str, np.ndarray],
    daily: list[str],
) -> list[str]:
    """Write the pieces of the series, and the daily maps, of a chunk."""
    dates = given.forcing.dates[chunk.day : chunk.day + chunk.count]
    pieces: dict[str, xr.Dataset] = {}
    grid = given.domain.grid
    if given.gauges.gauge_id:
        area = np.asarray(given.domain.drainage.upstream_area)
        pieces[GAUGES] = output.gauge_series(given.gauges, area, grid, dates, series["discharge"])
    if program.lakes:
        pieces[LAKES] = output.lake_series(program.lakes, dates, {name: series[name] for name in LAKE_SERIES})
    names = []
    for name, piece in pieces.items():
        names.append(f"restart/{chunk.name}_{name}")
        store.write_dataset(piece, folder.path / names[-1], f"Piece of {name}")
    if daily:
        names.append(f"grids/daily_{dates[0]}_{dates[-1]}.nc")
        maps = output.maps(grid, {n: series[f"map_{n}"] for n in daily}, dates, dates + DAY, program.layer_thickness)
        store.write_dataset(maps, folder.path / names[-1], "Daily means")
    return names


def _write_month(
    folder: run_folder.RunFolder, given: build.Inputs, program: build.Program, chunk: Chunk, totals: Any
) -> list[str]:
    """Write the monthly means of a month that ends with a chunk."""
    means = program.means(totals)
    if not means:
        return []
    month = chunk.first.astype("datetime64[M]")
    first = max(month.astype("datetime64[D]"), given.forcing.dates[0])
    values = {name: np.asarray(value)[None] for name, value in means.items()}
    dataset = output.maps(given.domain.grid, values, np.array([first]), np.array([chunk.end]), program.layer_thickness)
    name = f"grids/{month}.nc"
    store.write_dataset(dataset, folder.path / name, f"Monthly means of {month}")
    return [name]


def _finish(folder: run_folder.RunFolder, given: build.Inputs, program: build.Program) -> None:
    """Join the series, write the budget, and declare the run finished."""
    pieces = [name for chunk in folder.chunks for name in chunk.get("series", [])]
    titles = {GAUGES: "Discharge at gauges", LAKES: "Lakes"}
    for name, title in titles.items():
        parts = [piece for piece in pieces if piece.endswith(f"_{name}")]
        if parts:
            damaged = next((part for part in parts if not folder.holds(part)), None)
            require(damaged is None, f"{folder.path / str(damaged)}: is damaged; run again with output.overwrite=true.")
            joined = output.join([output.read_piece(folder.path / part) for part in parts])
            store.write_dataset(joined, folder.path / name, title)
            folder.note(name)
    rows = [chunk["budget"] for chunk in folder.chunks if "budget" in chunk]
    store.write_text(tables.text(rows, digits=9), folder.path / BUDGET)
    folder.note(BUDGET)
    for name in pieces:
        folder.manifest["files"].pop(name, None)
    for chunk in folder.chunks:
        chunk.pop("series", None)
    folder.finish("finished")
    for name in pieces:
        (folder.path / name).unlink(missing_ok=True)


def check(settings: config.Config) -> str:
    """Read and check all that a run would read, or with `scope=domain` only what stands on the map, and say what it is.

    Returns:
        A table.

    Raises:
        InputError: Names file, variable, place or date, value, what is allowed and what to do.
    """
    if getattr(settings, "scope", "all") == "domain":
        return _table(build.map_inputs(settings), {})
    with tempfile.TemporaryDirectory() as scratch:
        given = build.inputs(settings, pathlib.Path(scratch))
        ranges = _scan(given)
        if settings.initial.path:
            initial_state(settings, build.program(settings, given))
        return _table(given, ranges)


def _table(given: build.MapInputs, ranges: dict[str, tuple[float, float, float]]) -> str:
    """What the inputs hold, for the eye; without lines on the weather where none is given."""
    domain = given.domain
    tree = domain.drainage
    area = float(np.asarray(domain.cell_area).sum()) / 1e6
    lines = [f"{key:<13} {path}" for key, path in given.paths.items()]
    lines += [
        f"{'cells':<13} {domain.cells} ({area:.6g} km2), {int(np.asarray(tree.outlet).sum())} outlets, "
        f"{int(np.asarray(tree.sink).sum())} inland sinks, {domain.lakes.cell.size} lake cells, "
        f"{domain.glacier_cell.size} glacier cells",
    ]
    if isinstance(given, build.Inputs):
        dates = given.forcing.dates
        lines += [
            f"{'period':<13} {dates[0]} to {dates[-1]} ({dates.size} days)",
            "",
            f"{'weather':<20} {'smallest':>11} {'mean':>11} {'largest':>11}  unit",
        ]
    lines += [
        f"{name:<20} {low:>11.4g} {mean:>11.4g} {high:>11.4g}  {VARIABLES[name].units}"
        for name, (low, mean, high) in ranges.items()
    ]
    lines += ["", f"{'parameter':<20} {'smallest':>11} {'mean':>11} {'largest':>11}"]
    lines += [f"{n:<20} {v.min():>11.4g} {v.mean():>11.4g} {v.max():>11.4g}" for n, v in given.parameters.items()]
    lines += [] if given.parameters else ["defaults everywhere"]
    lines += ["", f"{'gauge':<20} {'area, km2':>11} {'on the map':>11}"]
    upstream = np.asarray(tree.upstream_area)[given.gauges.cell] / 1e6
    for name, published, found in zip(given.gauges.gauge_id, given.gauges.area / 1e6, upstream, strict=True):
        doubt = "  differs by more than a fifth: is it on the river?" if abs(found / published - 1.0) > 0.2 else ""
        lines.append(f"{name:<20} {published:>11.5g} {found:>11.5g}{doubt}")
    whole = isinstance(given, build.Inputs)
    verdict = "all inputs are valid" if whole else "the domain is valid; weather was not checked"
    return "\n".join([*lines, "", verdict])


def evaluate(settings: config.Config) -> str:
    """Compare a run folder with observations, over the days of the period that the run covers.

    Returns:
        Where the report is.

    Raises:
        InputError: If there is no finished run in `output.directory`, or none of its days lies in the period.
    """
    folder = pathlib.Path(settings.output.directory).expanduser()
    require(
        (folder / GAUGES).is_file(),
        f"output.directory: {folder}: holds no finished run ({GAUGES} is missing); run chase simulate first.",
    )
    from chase_jax.evaluation import report

    days = settings.period.start, settings.period.end
    given = results.read(folder, settings.domain.path, settings.observations.path, *days)
    require(
        bool(given.observed.discharge.notnull().any()) or given.levels is not None,
        f"observations.path: {settings.observations.path or 'the file of the run'}: holds no value at any gauge of the "
        f"run from {settings.period.start} to {settings.period.end}; give other observations or another period.",
    )
    pair = given.simulated, given.observed
    return str(report.evaluate(folder, *pair, given.domain, given.levels, given.precipitation))


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Note requests to stop instead of dying of them; a second Ctrl-C stops at once.

    Yields:
        The names of the signals that came, empty as long as none did.
    """
    asked: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(signal.Signals(number).name)

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)]
    before = {number: signal.signal(number, note) for number in wanted}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
