"""The upper Moselle by the paper's road: signature maps, `dcor` and `baseflow_factor` of every cell, roughness, a run.

    python experiments/moselle_maps.py [cells=1000] [sets=camels,gauge,halved] [methods=...] [key=value ...]

draws maps of runoff depth and baseflow index by regressors that know 391 basins of the United States alone (`camels`);
beside them stand the same maps scaled to what the gauge at Perl measured in 1990 and 1991 (`gauge`), and these with
half the index (`halved`), because rivers even out what cells shed. Each set is met in cells of 1 km or wider ones, by
the paper's procedure and by derivatives; roughness is fitted to the discharge of 1990 and 1991, and all are run from
1990 to 1993, 1989 as a run-in, and compared with the discharge. Data come from the folder that CHASE_DATA names;
everything goes to runs/moselle_maps, domains to runs/moselle_discharge; a run that was stopped goes on. Further keys
are those of `chase calibrate` with maps.
"""

from __future__ import annotations

import itertools
import pathlib
import sys

import moselle_discharge
import numpy as np
import pandas as pd
import signature_maps
import xarray as xr

from chase_jax import calibrate, config, signature_study
from chase_jax.constants import SECONDS_PER_DAY, WATER_DENSITY
from chase_jax.io import domain_store, store
from chase_jax.signatures import baseflow
from data_prep import moselle

FOLDER = pathlib.Path("runs/moselle_maps")
SIGNATURES = ("runoff_depth", "baseflow_index")
FITTED = {"period.start": "1990-01-01", "period.end": "1991-12-31", "period.warmup_start": "1989-01-01"}
WHOLE = moselle_discharge.PERIOD
PERIODS = {"camels": WHOLE, "gauge": FITTED, "halved": FITTED}  # a mean of decades, and that of two years


def learned() -> pathlib.Path:
    """Maps in cells of 1 km from basins of the United States, made if they are not there."""
    folder = FOLDER / "signatures"
    if not (folder / signature_study.SCORES).exists():
        place = moselle_discharge.inputs(moselle.RESOLUTION)["domain.path"]
        signature_maps.main([f"domain.path={place}", f"output.directory={folder}"])
    return folder / signature_study.MAPS


def maps_of(name: str, width: float) -> pathlib.Path:
    """A set of maps in cells of a width, made if they are not there: means over the cells of 1 km within them."""
    path = FOLDER / f"maps_{name}_{width:g}m.nc"
    if path.exists():
        return path
    given, times = moselle_discharge.inputs(width), round(width / moselle.RESOLUTION)
    domain = domain_store.open_domain(given["domain.path"])
    with xr.open_dataset(learned()) as fine:
        means = fine[list(SIGNATURES)].coarsen(y=times, x=times).mean()
        values = {signature: domain.grid.pack(means[signature].values) for signature in SIGNATURES}
        interval = fine.baseflow_index.attrs["interval_days"]
    if name != "camels":
        for signature, target in measured(given).items():
            there = np.isfinite(values[signature])
            mean = np.average(values[signature][there], weights=np.asarray(domain.cell_area)[there])
            print(f"{signature}: {mean:.4g} on the maps, {target:.4g} at the gauge")
            values[signature] = values[signature] * (target / mean)
        values["baseflow_index"] = values["baseflow_index"].clip(max=1.0) * (0.5 if name == "halved" else 1.0)
    maps = domain_store.frame(domain.grid)
    for signature in SIGNATURES:
        maps[signature] = domain_store.map_of(domain.grid, values[signature])
    maps["baseflow_index"].attrs["interval_days"] = interval
    store.write_dataset(maps, path, f"Signatures of the upper Moselle: {name}")
    return path


def measured(given: dict[str, str]) -> dict[str, float]:
    """Runoff depth, mm per year, and baseflow index of the years of the fit, at the gauge."""
    area = float(pd.read_csv(given["gauges.path"])["area_km2"].iloc[0]) * 1e6
    with xr.open_dataset(given["observations.path"]) as observed:
        days = slice(FITTED["period.start"], FITTED["period.end"])
        flow = observed.discharge.isel(gauge=0).sel(time=days).values * (SECONDS_PER_DAY * WATER_DENSITY / area)
    slow = baseflow.sliding_interval(flow, baseflow.interval(area))
    return {"runoff_depth": baseflow.runoff_depth(flow), "baseflow_index": baseflow.baseflow_index(flow, slow)}


def calibrated(folder: pathlib.Path, name: str, method: str, width: float, words: list[str]) -> pathlib.Path:
    """Parameters that meet a set of maps, and then roughness that follows the discharge of the years of the fit."""
    given = moselle_discharge.inputs(width)
    cells = {key: given[key] for key in ("domain.path", "forcing.path")}
    cells |= {**PERIODS[name], "maps.path": str(maps_of(name, width)), "output.directory": str(folder / "cells")}
    rivers = {**given, **WHOLE, "target": "hydrograph", "parameters.path": str(folder / "cells" / calibrate.PARAMETERS)}
    rivers |= {"output.directory": str(folder / "rivers")}
    for keys, more in ((cells, words), (rivers, [])):
        given_words = [f"{key}={value}" for key, value in keys.items()] + [f"method={method}", "resume=true"]
        settings = config.compose({}, "calibrate", [*given_words, "precision=mixed", *more])
        print(f"-- {keys['output.directory']}\n{calibrate.run(config.check(settings))}", flush=True)
    return folder / "rivers" / calibrate.PARAMETERS


def main(words: list[str]) -> pd.DataFrame:
    """Calibrate, run and compare.

    Args:
        words: Width of the cells, m, sets of maps and methods, and changes to conf/calibrate.yaml.

    Returns:
        Scores by parameters and part of the record.
    """
    own = {"cells": "1000", "sets": ",".join(PERIODS), "methods": "standard,gradient"}
    own |= {key: value for key, value in (word.split("=", 1) for word in words) if key in own}
    rest, width = [word for word in words if word.split("=")[0] not in own], float(own["cells"])
    rows = moselle_discharge.scores(FOLDER / f"default_{width:g}m", width, {}, {"parameters": "default"})
    for name, method in itertools.product(own["sets"].split(","), own["methods"].split(",")):
        folder = FOLDER / "_".join([name, method, f"{width:g}m", *rest]).replace("=", "_")
        found = calibrated(folder, name, method, width, rest)
        rows += moselle_discharge.scores(
            folder / "run", width, {"path": str(found)}, {"parameters": f"{name}, {method}"}
        )
    table = pd.DataFrame(rows)
    store.write_text(table.to_csv(index=False, float_format="%.5g"), FOLDER / f"scores_{width:g}m.csv")
    return table


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).to_string(index=False))
