"""A twin on the demo: hidden parameters make maps of runoff depth and baseflow index, and calibration looks for them.

    python experiments/valley_twin.py [gauge=G2] [every=8] [noise=0.0] [methods=NAME] [key=value ...]

makes the catchment of a gauge of the demo and its maps in runs/twin_GAUGE, once, then calibrates one cell in `every`
with each method and prints how near each came and at what cost. Further keys are those of `chase calibrate`. A run that
was stopped goes on where it ended.
"""

from __future__ import annotations

import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from chase_jax import calibrate, config, demo
from chase_jax.calibration import free, trial
from chase_jax.io import domain_store, forcing_store, gauge_store, parameter_store, store
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state

START, END, INTERVAL, SPIN_UP = "2001-01-01", "2001-12-31", 5, 4
PARAMETERS = ("dcor", "baseflow_factor")
SIGNATURES = ("runoff_depth", "baseflow_index")
METHODS = {
    "standard": ["method=standard", "fit.corrections=0"],
    "standard_twice": ["method=standard", "fit.sweeps=2", "fit.corrections=0"],
    "gradient": ["method=gradient"],
    "gradient_always": ["method=gradient", "fit.derivatives=always"],
    "gradient_never": ["method=gradient", "fit.derivatives=never"],
}


def make_maps(folder: pathlib.Path, gauge: str) -> None:
    """Domain, weather, hidden parameters and the maps that the coupled model makes of them near its equilibrium."""
    paths = demo.write(folder / "demo")
    whole = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], whole.grid)
    cell = int(gauges.cell[gauges.gauge_id.index(gauge)])
    inside = whole.grid.unpack(np.asarray(whole.drainage.is_upstream(np.arange(whole.cells), cell)), fill=False)
    place = xr.load_dataset(paths["domain"])
    place["active"] = place["active"].where(inside, 0)
    place["flow_direction"][whole.grid.row[cell], whole.grid.column[cell]] = 0
    store.write_dataset(place, folder / "domain.nc", f"Catchment of {gauge} (generated)")
    domain = domain_store.open_domain(folder / "domain.nc")
    hidden = parameter_store.read_parameters(paths["parameters_true"], domain.grid, "D5")
    altitude = np.asarray(domain.surface_altitude)
    weather = forcing_store.open_forcing(paths["forcing"], domain.grid, altitude, START, END)
    span = trial.spans(lambda day, count: weather.read(day, count, padded=31), weather.dates.size)
    model, parameters = Chase.default(domain), (free.dcor("D5"), free.baseflow_factor())
    pairs = zip(parameters, PARAMETERS, strict=True)
    unknowns = jnp.stack([one.transform.encode(jnp.asarray(hidden[name])) for one, name in pairs])
    outcome, _ = trial.Simulator(model, parameters, span, span, INTERVAL, SPIN_UP).run(unknowns, initial_state(model))
    maps = domain_store.frame(domain.grid)
    for name in SIGNATURES:
        maps[name] = domain_store.map_of(domain.grid, getattr(outcome, name))
    maps["baseflow_index"].attrs["interval_days"] = INTERVAL
    store.write_dataset(maps, folder / "maps.nc", "Maps of a hidden truth (generated)")


def score(folder: pathlib.Path, base: pathlib.Path, sure: np.ndarray | None) -> dict[str, float]:
    """How near a calibration came to the maps and, in cells where they are identifiable, to the hidden parameters."""
    trials = pd.read_csv(folder / "trials.csv")
    report, found = (xr.load_dataset(folder / name) for name in ("calibration.nc", "parameters.nc"))
    hidden, maps = xr.load_dataset(base / "demo" / "parameters_true.nc"), xr.load_dataset(base / "maps.nc")
    tried = np.isin(report.calibration_status, (0, 3, 4, 5, 6))
    depth = np.abs(report.runoff_depth / maps.runoff_depth - 1.0).values[tried]
    index = np.abs(report.baseflow_index - maps.baseflow_index).values[tried]
    fast = np.abs(found.dcor / hidden.dcor - 1.0).values[tried]
    slow = np.abs(np.log10(found.baseflow_factor / hidden.baseflow_factor)).values[tried]
    sure = np.ones((2, fast.size), bool) if sure is None else sure[:, tried]
    cost = trials.groupby("kind").forward_run_equivalents.sum()
    return {
        "cells": tried.sum(),
        "runoff met": np.mean(depth <= 0.005),
        "index met": np.mean(index <= 0.01),
        "identifiable dcor": sure[0].mean(),
        "its median error": np.median(fast[sure[0]]),
        "identifiable C": sure[1].mean(),
        "median error of log10": np.median(slow[sure[1]]),
        "runs of columns": cost.get("columns", 0.0),
        "runs of the whole": cost.get("coupled", 0.0),
    }


def main(words: list[str]) -> pd.DataFrame:
    """Calibrate with every method and print the table."""
    keys = ("gauge", "every", "noise", "methods")
    own = dict(word.split("=", 1) for word in words if word.split("=")[0] in keys)
    rest = [word for word in words if word.split("=")[0] not in own]
    gauge, every, noise = own.get("gauge", "G2"), int(own.get("every", 8)), float(own.get("noise", 0.0))
    base = pathlib.Path(f"runs/twin_{gauge}")
    if not (base / "maps.nc").exists():
        make_maps(base, gauge)
    maps, draw = xr.load_dataset(base / "maps.nc"), np.random.default_rng(1)
    for name in SIGNATURES:
        values = maps[name].values
        kept = np.zeros(values.shape, bool)
        kept.flat[np.flatnonzero(np.isfinite(values))[::every]] = True
        values = np.where(kept, values * (1.0 + noise * draw.standard_normal(values.shape)), np.nan)
        maps[name] = maps[name].copy(data=np.clip(values, 0.0, 1.0 if name == "baseflow_index" else None))
    target = base / f"maps_{every}_{noise:g}.nc"
    store.write_dataset(maps, target, "Maps of a hidden truth with errors (generated)")
    paths = [f"domain.path={base}/domain.nc", f"forcing.path={base}/demo/forcing.nc", f"maps.path={target}"]
    common = [*paths, f"period.start={START}", f"period.end={END}", "resume=true"]
    folders = {name: base / f"{name}_{every}_{noise:g}" for name in METHODS if own.get("methods", name) == name}
    for name, folder in folders.items():
        settings = config.compose({}, "calibrate", [*common, *METHODS[name], f"output.directory={folder}", *rest])
        print(f"-- {name}\n{calibrate.run(config.check(settings))}", flush=True)
    kept = sorted(base.glob(f"gradient*_{every}_{noise:g}/calibration.nc"))
    sure = None
    if kept:
        report = xr.load_dataset(kept[0])
        sure = np.stack([report[f"{name}_identifiable"].values == 1.0 for name in SIGNATURES])
    return pd.DataFrame({name: score(folder, base, sure) for name, folder in folders.items()}).T


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(4).to_string())
