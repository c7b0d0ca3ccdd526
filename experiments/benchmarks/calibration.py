"""Time and memory of trials of closed columns, with and without derivatives, by the number of columns.

    python experiments/benchmarks/calibration.py [days=93] [cells=500,1000,2000,4000] [derivatives=1]

each number in a process of its own, on columns of a generated land (recipe china_like). The line through the seconds
tells what 100,000 and 9.6 million columns cost; memory likewise.
"""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pandas as pd

from chase_jax import workflows
from chase_jax.calibration import columns, free, trial
from chase_jax.io import domain_store, forcing_store
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from data_prep import china_like

FOLDER, LARGEST, START = pathlib.Path("runs/benchmark_calibration"), 120_000, "2001-01-01"
WANTED = (100_000, 9_600_000)


def measure(count: int, days: int, derivatives: bool) -> dict[str, float]:
    """Seconds of the processor and memory of a run of `count` columns over `days` days."""
    domain = domain_store.open_domain(FOLDER / "domain.nc")
    cells = columns.calibrated_cells(domain)[:count]
    altitude, end = np.asarray(domain.surface_altitude), str(np.datetime64(START) + days - 1)
    reader = forcing_store.open_forcing(FOLDER / "forcing.nc", domain.grid, altitude, START, end)
    span = workflows.span(reader, cells)
    parameters = (free.dcor("D5"), free.baseflow_factor())
    model = columns.closed(Chase.default(domain), cells)
    simulator = trial.Simulator(model, parameters, span, span, 5, cycles=0)
    unknowns, state = jnp.stack([one.encode(model.parameters) for one in parameters]), initial_state(model)
    found: dict[str, float] = {"cells": cells.size}
    for name, run in (("run", simulator.run), ("derivatives", simulator.run_with_slopes)):
        if name == "run" or derivatives:
            begun = time.process_time()
            run(unknowns, state)
            first = time.process_time()
            run(unknowns, state)
            found[f"{name}, s"] = time.process_time() - first
            found[f"compilation of {name}, s"] = 2.0 * first - begun - time.process_time()
            found[f"memory of {name}, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return found


def main(words: list[str]) -> pd.DataFrame:
    """Measure all numbers of columns, each in its own process."""
    own = {"days": "93", "cells": "500,1000,2000,4000", "derivatives": "1"}
    own |= dict(word.split("=", 1) for word in words)
    if not (FOLDER / "domain.nc").exists():
        china_like.prepare(None, FOLDER, print, cells=LARGEST)
    rows = []
    for count in own["cells"].split(","):
        call = [sys.executable, __file__, "one", count, own["days"], own["derivatives"]]
        told = subprocess.run(call, check=True, capture_output=True, text=True)  # noqa: S603  this file itself
        rows.append(json.loads(told.stdout.splitlines()[-1]))
    table = pd.DataFrame(rows).set_index("cells")
    for wanted in WANTED:
        row = {}
        for name in table:
            slope, start = np.polyfit(table.index, table[name], 1)
            row[name] = table[name].mean() if name.startswith("compilation") else start + slope * wanted
        table.loc[wanted] = row
    if "derivatives, s" in table:
        table["derivatives over run"] = table["derivatives, s"] / table["run, s"]
    return table


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        print(json.dumps(measure(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1")))
    else:
        print(main(sys.argv[1:]).round(2).to_string())
