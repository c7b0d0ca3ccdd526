"""A twin: hidden parameters make maps of runoff depth and baseflow index, and calibration looks for them.

    python experiments/valley_twin.py [land=demo] [model=columns] [every=1] [years=1] [noise=0] [methods=NAME,...]

`land` is the embedded demo, the catchment of one of its gauges (land=G2), or a generated land of 100 x 100 cells
(land=china_like). The maps are made by the model that is calibrated: closed columns, or the coupled model with
lateral ground water (model=coupled), in one cell of `every`, near the equilibrium of the hidden parameters. Which cells
know a parameter is fixed then, from the hidden parameters: a tenth more of it moves its map by over 0.5 %. Every
method is then run, and a table tells how near it came and at what cost. With years=5 the weather of the year is
repeated, once as the run-in and five times as the period; with years=1 both are the same. Further words are keys of
`chase calibrate`. Everything goes to runs/twin_LAND_MODEL_EVERY_YEARS; what is there is kept; a run that was stopped
goes on.
"""

from __future__ import annotations

import os
import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from chase_jax import calibrate, config, demo, workflows
from chase_jax.calibration import columns, free, partial, trial
from chase_jax.io import domain_store, forcing_store, gauge_store, store
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from data_prep import china_like

FIRST, YEAR, INTERVAL = "2001-01-01", 365, 5
SPIN_UP, LONGEST = 30, 180  # repetitions of the run-in; of closed columns at most, each until it stands still
PARAMETERS = {"dcor": "runoff_depth", "baseflow_factor": "baseflow_index"}
CHANGE, EFFECT = 0.1, 0.005  # 1, of a parameter and of its map, from which a cell knows the parameter
METHODS = {
    "standard_once": ["method=standard", "fit.rounds=1"],
    "standard": ["method=standard"],
    "gradient": ["method=gradient"],
    "gradient_never": ["method=gradient", "fit.derivatives=never", "fit.pilot=0"],
}


def prepare(folder: pathlib.Path, land: str) -> None:
    """Domain and weather, made if they are not there."""
    if land == "china_like":
        data = os.environ.get("CHASE_DATA")
        china_like.prepare(pathlib.Path(data) if data else None, folder, print, cells=10_000)
        return
    paths = demo.write(folder)
    if land == "demo":
        return
    whole = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], whole.grid)
    cell = int(gauges.cell[gauges.gauge_id.index(land)])
    inside = whole.grid.unpack(np.asarray(whole.drainage.is_upstream(np.arange(whole.cells), cell)), fill=False)
    place = xr.load_dataset(paths["domain"])
    place["active"] = place["active"].where(inside, 0)
    place["flow_direction"][whole.grid.row[cell], whole.grid.column[cell]] = 0
    store.write_dataset(place, paths["domain"], f"Catchment of {land} (generated)")


def hidden(row: np.ndarray, column: np.ndarray) -> dict[str, np.ndarray]:
    """Hidden parameters (cell,): waves over the map, of which no attribute of a cell knows. Arguments: (cell,), 1."""
    one, other = np.sin(row / 5.0) * np.cos(column / 7.0), np.cos(row / 6.0 + 1.0) * np.sin(column / 4.0)
    return {"dcor": 0.25 + 0.18 * one, "baseflow_factor": 10.0 ** (-1.5 + 1.2 * other)}


def weather(data: pathlib.Path, years: int) -> list[str]:
    """The keys of the weather: of a year, or of that year several times after itself."""
    first = np.datetime64(FIRST)
    if years == 1:
        return [f"forcing.path={data}/forcing.nc", f"period.start={first}", f"period.end={first + YEAR - 1}"]
    path = data / f"forcing_{years}.nc"
    if not path.exists():
        year = xr.load_dataset(data / "forcing.nc").sel(time=slice(FIRST, str(first + YEAR - 1)))
        shifted = [_later(year, k * YEAR) for k in range(years + 1)]
        fixed = [name for name in year.data_vars if "time" not in year[name].dims]
        moving = xr.concat([one.drop_vars(fixed) for one in shifted], "time")
        store.write_dataset(moving.merge(year[fixed]), path, "Weather of a year, repeated (generated)")
    begin, end = first + YEAR, first + (years + 1) * YEAR - 1
    words = [f"forcing.path={path}", f"period.start={begin}", f"period.end={end}"]
    return [*words, f"period.warmup_start={first}", f"period.warmup_end={begin - 1}"]


def _later(weather: xr.Dataset, days: int) -> xr.Dataset:
    """Weather that begins and ends so many days later."""
    step = np.timedelta64(days, "D")
    moved = weather.assign(time_bnds=(weather.time_bnds.dims, weather.time_bnds.values + step))
    return moved.assign_coords(time=weather.time.values + step)


def make_maps(folder: pathlib.Path, data: pathlib.Path, kind: str, every: int, keys: dict[str, str]) -> None:
    """The maps of the hidden parameters, these themselves, and where the maps know them."""
    domain = domain_store.open_domain(data / "domain.nc")

    def weather_of(start: str, end: str) -> forcing_store.Reader:
        return forcing_store.open_forcing(keys["forcing.path"], domain.grid, altitude, start, end)

    altitude = np.asarray(domain.surface_altitude)
    model, cells = Chase.default(domain), columns.calibrated_cells(domain)[::every]
    place = None if kind == "coupled" else cells
    period = workflows.span(weather_of(keys["period.start"], keys["period.end"]), place)
    run_in = period
    if "period.warmup_start" in keys:
        run_in = workflows.span(weather_of(keys["period.warmup_start"], keys["period.warmup_end"]), place)
    model = model if place is None else columns.closed(model, cells)
    truth = hidden(domain.grid.row, domain.grid.column)
    truth = truth if place is None else {name: value[cells] for name, value in truth.items()}
    parameters = (free.dcor("D5"), free.baseflow_factor())
    simulator = trial.Simulator(model, parameters, run_in, period, INTERVAL)

    def unknowns(**changed: float) -> jnp.ndarray:
        pairs = zip(parameters, truth, strict=True)
        return jnp.stack([one.transform.encode(jnp.asarray(truth[n] * changed.get(n, 1.0))) for one, n in pairs])

    state = initial_state(model)
    if place is None:
        state = simulator.equilibrium(unknowns(), state, SPIN_UP)
    else:
        state, _ = partial.Partial(simulator).renewed(np.asarray(unknowns()), state, LONGEST)
    known = simulator.run(unknowns(), state)[0]
    fields = {name: getattr(known, name) for name in PARAMETERS.values()} | truth | {"storage_drift": known.drift}
    for name, target in PARAMETERS.items():
        moved = getattr(simulator.run(unknowns(**{name: 1.0 + CHANGE}), state)[0], target)
        fields[f"{target}_identifiable"] = np.abs(moved / np.maximum(getattr(known, target), 1e-9) - 1.0) > EFFECT
    maps = domain_store.frame(domain.grid)
    for name, value in fields.items():
        full = np.full(domain.cells, np.nan)
        full[cells] = value if place is not None else value[cells]
        maps[name] = domain_store.map_of(domain.grid, full)
    maps["baseflow_index"].attrs["interval_days"] = INTERVAL
    store.write_dataset(maps, folder / "truth.nc", "Hidden parameters and their maps (generated)")


def with_errors(folder: pathlib.Path, noise: float) -> pathlib.Path:
    """The maps with relative errors, normally distributed; an index of at most 1, and no negative runoff depth.

    A cell of the coupled model has that if its neighbors give it more water than it yields.
    """
    maps, draw = xr.load_dataset(folder / "truth.nc"), np.random.default_rng(1)
    for name in PARAMETERS.values():
        values = maps[name].values * (1.0 + noise * draw.standard_normal(maps[name].shape))
        highest = 1.0 if name == "baseflow_index" else np.inf
        maps[name] = maps[name].copy(data=np.where(values >= 0.0, np.minimum(values, highest), np.nan))
    path = folder / f"maps_{noise:g}.nc"
    others = [name for name in maps.data_vars if name not in (*PARAMETERS.values(), "crs")]
    store.write_dataset(maps.drop_vars(others), path, "Maps of hidden parameters (generated)")
    return path


def score(
    result: pathlib.Path, truth: xr.Dataset, maps: xr.Dataset, first: dict[str, float] | None
) -> dict[str, float]:
    """How near a calibration came to the maps and to the hidden parameters, and what it cost.

    Args:
        result: Folder of the calibration.
        truth: Hidden parameters.
        maps: What was to be met.
        first: Scores of the first method; what it cost to meet as much as it is told.
    """
    trials = pd.read_csv(result / "trials.csv")
    report, found = (xr.load_dataset(result / name) for name in ("calibration.nc", "parameters.nc"))
    tried = np.isin(report.calibration_status, (0, 3, 4, 5, 6))
    depth = np.abs(report.runoff_depth / np.maximum(maps.runoff_depth, 1e-9) - 1.0).values[tried] <= 0.005
    index = np.abs(report.baseflow_index - maps.baseflow_index).values[tried] <= 0.01
    fast = np.abs(found.dcor / truth.dcor - 1.0).values[tried]
    slow = np.abs(np.log10(found.baseflow_factor / truth.baseflow_factor)).values[tried]
    sure = [truth[f"{name}_identifiable"].values[tried] == 1.0 for name in PARAMETERS.values()]
    still = trial.in_equilibrium(report.storage_drift.values[tried], report.runoff_depth.values[tried])
    found_at = {"cells": tried.sum(), "runoff met": depth.mean(), "index met": index.mean()}
    found_at |= {"both met": (depth & index).mean(), "in equilibrium": still.mean()}
    found_at |= {"identifiable dcor": sure[0].mean(), "its median error": np.median(fast[sure[0]])}
    found_at |= {"identifiable C": sure[1].mean(), "median error of log10": np.median(slow[sure[1]])}
    cost = trials.forward_run_equivalents.cumsum()
    found_at["forward runs"] = cost.iloc[-1]
    goal = first or found_at
    reached = (trials.runoff_depth_met >= goal["runoff met"]) & (trials.baseflow_index_met >= goal["index met"])
    found_at["to be as near as the first"] = cost[reached].min()
    return found_at


def main(words: list[str]) -> pd.DataFrame:
    """Calibrate with every method and print the table."""
    own = {"land": "demo", "model": "columns", "every": "1", "years": "1", "noise": "0", "methods": ",".join(METHODS)}
    own |= {key: value for key, value in (word.split("=", 1) for word in words) if key in own}
    rest = [word for word in words if word.split("=")[0] not in own]
    land, kind, every, noise = own["land"], own["model"], int(own["every"]), float(own["noise"])
    years = int(own["years"])
    data, folder = pathlib.Path(f"runs/twin_{land}"), pathlib.Path(f"runs/twin_{land}_{kind}_{every}_{years}")
    if not (data / "forcing.nc").exists():
        prepare(data, land)
    given = weather(data, years)
    if not (folder / "truth.nc").exists():
        make_maps(folder, data, kind, every, dict(word.split("=", 1) for word in given))
    target = with_errors(folder, noise)
    truth, maps = xr.load_dataset(folder / "truth.nc"), xr.load_dataset(target)
    common = [f"domain.path={data}/domain.nc", *(word for word in given if "warmup_end" not in word)]
    common += [f"maps.path={target}", f"fit.model={kind}", "resume=true"]
    rows: dict[str, dict[str, float]] = {}
    for name in own["methods"].split(","):
        result = folder / f"{name}_{noise:g}"
        settings = config.compose({}, "calibrate", [*common, *METHODS[name], f"output.directory={result}", *rest])
        print(f"-- {name}\n{calibrate.run(config.check(settings))}", flush=True)
        rows[name] = score(result, truth, maps, next(iter(rows.values()), None))
    table = pd.DataFrame(rows).T
    store.write_text(table.to_csv(float_format="%.5g"), folder / f"scores_{noise:g}.csv")
    return table


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(4).to_string())
