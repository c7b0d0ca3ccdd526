"""The upper Moselle fitted to its discharge in cells of 8 km, then of 1 km, and judged in years not seen.

    python experiments/moselle_discharge.py [coarse=8000] [key=value ...]

makes both domains from the folder that CHASE_DATA names and seeks ten parameters and factors, each uniform over the
catchment, on the daily discharge of 1990 and 1991 (`chase calibrate target=discharge`). Cells of 8 km need a fiftieth
of the time, but lose the valleys and the ground water that gathers there, so that what they find is not what cells of 1
km need. There the search goes on from it, with the derivatives of the cells of 8 km (`fit.coarse`). The first search
begins where the first metre of the soil decides on what runs off, from the filling on at which plants wilt, and without
macropores. Everything goes to runs/moselle_discharge; a run that was stopped goes on. Further keys are those of `chase
calibrate`.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax import calibrate, calibrate_discharge, config, workflows
from chase_jax.evaluation import metrics
from data_prep import moselle

FOLDER = pathlib.Path("runs/moselle_discharge")
SOUGHT = (
    "dcor", "baseflow_factor", "manning_roughness", "contributing_depth", "contributing_threshold",
    "stomatal_resistance_factor", "interception_capacity_factor", "soil_conductivity_factor", "bed_conductance_factor",
    "leaf_area_factor",
)  # fmt: skip
BEGIN = {
    "dcor": 0.5, "contributing_depth": 1.0, "contributing_threshold": 0.35, "baseflow_factor": 0.3,
    "manning_roughness": 0.1, "bypass_fraction": 0.0,
}  # fmt: skip
PERIOD = {"period.start": "1990-01-01", "period.end": "1993-12-31", "period.warmup_start": "1989-01-01"}
PARTS = {"1990-91": slice("1990", "1991"), "1992-93": slice("1992", "1993"), "1990-93": slice("1990", "1993")}
SCORES = {"NSE": metrics.nse, "KGE": metrics.kge, "correlation": metrics.pcc, "bias, %": metrics.pbias}


def inputs(resolution: float) -> dict[str, str]:
    """The files of a domain, made if they are not there, by their keys."""
    folder = FOLDER / f"{resolution:g}m"
    if not (folder / "domain.nc").exists():
        moselle.prepare(pathlib.Path(os.environ["CHASE_DATA"]), folder, print, resolution=resolution)
    names = ("domain.nc", "forcing.nc", "gauges.csv", "observations.nc")
    return {f"{name.split('.')[0]}.path": str(folder / name) for name in names}


def scores(
    folder: pathlib.Path, resolution: float, parameters: Mapping[str, float | str], labels: Mapping[str, float | str]
) -> list[dict[str, float | str]]:
    """Scores by part of the record of a run, made if it is not there.

    Args:
        folder: Folder of the run.
        resolution: Width of the cells, m.
        parameters: Parameters and factors by name, or their file as `path`.
        labels: What stands before the scores.
    """
    values = {**inputs(resolution), **PERIOD, "precision": "mixed", "output.directory": str(folder)}
    values |= {f"parameters.{key}": f"{value:.8g}" if key != "path" else value for key, value in parameters.items()}
    settings = config.compose({}, words=[f"{key}={value}" for key, value in values.items()])
    settings.resume = folder.exists()
    simulated = workflows.simulate(settings).discharge.isel(gauge=0).to_series()
    with xr.open_dataset(values["observations.path"]) as file:
        observed = file.discharge.isel(gauge=0).to_series().reindex(simulated.index)
    rows = []
    for part, days in PARTS.items():
        pair = simulated.loc[days].to_numpy(), observed.loc[days].to_numpy()
        rows.append({**labels, "part": part} | {name: float(np.asarray(one(*pair))) for name, one in SCORES.items()})
    return rows


def fit(name: str, resolution: float, begin: dict[str, float], words: list[str]) -> dict[str, float]:
    """Parameters and factors found in cells of a width, from others on; those not sought as they were.

    Args:
        name: Folder of the search.
        resolution: Width of the cells, m.
        begin: Parameters and factors by name.
        words: Changes to conf/calibrate.yaml.
    """
    values = {**inputs(resolution), **PERIOD, "target": "discharge", "output.directory": FOLDER / name}
    values |= {f"parameters.{key}": f"{value:.8g}" for key, value in begin.items()} | {"precision": "mixed"}
    given = [f"{key}={value}" for key, value in values.items()]
    given += [f"fit.parameters=[{','.join(SOUGHT)}]", "resume=true"]
    print(calibrate.run(config.check(config.compose({}, "calibrate", [*given, *words]))))
    found = pd.read_csv(FOLDER / name / calibrate_discharge.FITTED).set_index("parameter")["after"].to_dict()
    return begin | found


def main(words: list[str]) -> pd.DataFrame:
    """Fit, run and compare.

    Args:
        words: `coarse=` the width of the cells of the first fit, m, and changes to conf/calibrate.yaml.

    Returns:
        Scores by resolution, parameters and part of the record.
    """
    coarse = float(next((word[7:] for word in words if word.startswith("coarse=")), 8000))
    words, fine = [word for word in words if not word.startswith("coarse=")], moselle.RESOLUTION
    first = fit("fit", coarse, BEGIN, ["fit.trials=24", *words])
    folder = FOLDER / f"{coarse:g}m"
    keys = [f"fit.coarse={folder}", "fit.trials=11", "fit.spinup_cycles=3"]
    second = fit(f"fit_{fine:g}m", fine, first, [*keys, *words])
    runs = {
        coarse: {"default": {}, "fitted": first},
        fine: {"default": {}, f"fitted in {coarse:g} m": first, "fitted": second},
    }
    rows = []
    for resolution, sets in runs.items():
        for name, parameters in sets.items():
            folder = FOLDER / f"{name.replace(' ', '_')}_{resolution:g}m"
            rows += scores(folder, resolution, parameters, {"cells, m": resolution, "parameters": name})
    table = pd.DataFrame(rows)
    table.to_csv(FOLDER / "scores.csv", index=False, float_format="%.5g")
    return table


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).to_string(index=False))
