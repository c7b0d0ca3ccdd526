"""Rivers alone beside smash (hydro-smash of PyPI): the same runoff routed by both, on the Cance and the Lez in France.

    python experiments/against_smash.py python=/path/to/an/environment/with/hydro-smash/bin/python [basin=cance,lez]

smash runs in its own environment (experiments/benchmarks/smash_side.py): its production and its routing by linear
reservoirs are fitted to the outlet. Its runoff is what the rivers here receive, whose one roughness is fitted to the
same outlet; the gauges upstream are seen by neither. Comparable are the times of a run and of a gradient by a value in
every cell relative to a run, and discharge at the gauges. Not comparable are the runoff, which is smash's in both and
was fitted together with its own routing, and what the routing knows: there is no terrain model, so the fall of a river
is the slope of its cell (in percent, as it seems), which roughness makes up for.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pyproj
import scipy.optimize

from chase_jax.calibration import free
from chase_jax.domain import domain as domains
from chase_jax.domain.grid import Grid
from chase_jax.evaluation import metrics
from chase_jax.io import store
from chase_jax.model import surface_water
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state
from data_prep import hydrography

FOLDER, SIDE = pathlib.Path("runs/against_smash"), pathlib.Path(__file__).parent / "benchmarks" / "smash_side.py"
ESRI = np.array([0, 64, 128, 1, 2, 4, 8, 16, 32])  # of the directions 1 (north) to 8 (northwest), clockwise
PLACE = "+proj=laea +lat_0=45 +lon_0=2 +datum=WGS84 +units=m"  # where it lies does not matter to rivers
SIZE, LEAST_SLOPE, WARM = 1000.0, 2e-3, 0.1  # m; 1, of a river; 1, of the record that is not compared


def network(kept: dict[str, np.ndarray]) -> tuple[Chase, np.ndarray]:
    """The rivers of a basin, and the cells (gauge,) of its gauges."""
    direction = ESRI[np.where(kept["active"] == 1, kept["direction"], 0).astype(int)]
    outlet = tuple(kept["gauges"][np.argmax(kept["area"])])
    direction[outlet] = hydrography.OUTLET
    receiver = hydrography.receivers(direction)
    inside = hydrography.catchment(receiver, int(np.ravel_multi_index(outlet, direction.shape)))
    slope = np.maximum(np.nan_to_num(kept["slope"]) / 100.0, LEAST_SLOPE)
    fall = (slope * hydrography.straight_length(direction, SIZE)).ravel()
    height = np.zeros(direction.size)
    for front in reversed(hydrography.drainage_fronts(receiver)[0]):  # upstream from the outlet
        giving = front[receiver[front] >= 0]
        height[giving] = height[receiver[giving]] + fall[giving]
    active = inside.reshape(direction.shape)
    axis_x, axis_y = (np.arange(n) * SIZE for n in direction.shape[::-1])
    fields = {
        "active": active.astype(float),
        "surface_altitude": np.where(active, 100.0 + height.reshape(direction.shape), 0.0),
        "flow_direction": np.where(active, direction, 0).astype(float),
        "cell_area": np.full(direction.shape, SIZE**2),
    }
    domain = domains.build(fields, Grid(axis_x, axis_y[::-1], dict(pyproj.CRS(PLACE).to_cf())))
    model = Chase.default(domain).with_solvers("tree", float(kept["step"]) if kept["step"] < 1e4 else None)[0]
    number = np.full(direction.shape, -1)
    number[domain.grid.row, domain.grid.column] = np.arange(domain.cells)
    return model, number[kept["gauges"][:, 0], kept["gauges"][:, 1]]


def compare(name: str, python: str) -> list[dict[str, object]]:
    """Both on one basin; a row for each."""
    file = FOLDER / f"{name}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, str(SIDE), name, str(file)], check=True)  # noqa: S603  the Python that was named
    with np.load(file) as stored:
        kept = {key: stored[key] for key in stored}
    model, gauges = network(kept)
    grid, step, outlet = model.domain.grid, float(kept["step"]), int(np.argmax(kept["area"]))
    inflow = jnp.asarray(np.nan_to_num(kept["runoff"][grid.row, grid.column].T))
    observed = np.where(kept["observed"] < 0.0, np.nan, kept["observed"])[:, : inflow.shape[0]]
    first = int(WARM * inflow.shape[0])
    one = free.named("manning_roughness")
    water = initial_state(model).water

    def route(unknowns: jax.Array) -> jax.Array:
        channels = one.decode(unknowns, model.parameters).channel

        def interval(water: surface_water.State, lateral: jax.Array):
            water, flow = surface_water.step(
                channels, model.geometry, water, lateral, step, model.solvers.reach, model.solvers.lake
            )
            return water, flow.discharge[jnp.asarray(gauges)]

        return jax.lax.scan(jax.checkpoint(interval, prevent_cse=False), water, inflow)[1]

    seen = jnp.asarray(observed[outlet, first:])
    run = eqx.filter_jit(route)
    both = eqx.filter_jit(jax.value_and_grad(lambda u: metrics.nse(route(u)[first:, outlet], seen)))

    def miss(unknown: float) -> float:
        return -float(metrics.nse(run(jnp.full(model.domain.cells, unknown))[first:, outlet], seen))

    found = scipy.optimize.minimize_scalar(miss, bounds=(-4.0, 4.0), method="bounded", options={"maxiter": 15})
    unknowns = jnp.full(model.domain.cells, float(found.x))
    times = []
    for job in (run, both):
        jax.block_until_ready(job(unknowns))
        begun = time.process_time()
        for _ in range(3):
            jax.block_until_ready(job(unknowns))
        times.append((time.process_time() - begun) / 3)
    ours = np.asarray(run(unknowns)).T
    values = ours.size / len(ours) * model.domain.cells
    rows = []
    for label, flow, forward, gradient in (
        ("smash", kept["discharge"], float(kept["forward"]), float(kept["gradient"])),
        ("chase_jax", ours, *times),
    ):
        row: dict[str, object] = {"basin": name, "model": label, "cells": model.domain.cells, "steps": inflow.shape[0]}
        row |= {"run, us per cell and step": 1e6 * forward / values, "gradient over run": gradient / forward}
        for number, code in enumerate(kept["codes"]):
            score = metrics.nse(flow[number, first : inflow.shape[0]], observed[number, first:])
            row[f"NSE {'outlet' if number == outlet else code}"] = float(score)
        rows.append(row)
    rows[1]["roughness, s m-1/3"] = float(one.transform.decode(unknowns)[0])
    return rows


def main(words: list[str]) -> pd.DataFrame:
    """Compare on all basins."""
    own = dict(word.split("=", 1) for word in words)
    rows = [row for name in own.get("basin", "cance,lez").split(",") for row in compare(name, own.get("python", ""))]
    table = pd.DataFrame(rows)
    store.write_text(table.to_csv(index=False, float_format="%.5g"), FOLDER / "scores.csv")
    return table


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).T.to_string())
