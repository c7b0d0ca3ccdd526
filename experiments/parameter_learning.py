"""Parameters learned through the coupled model: a network trained on half of a twin's cells, judged on the other half.

    python experiments/parameter_learning.py [gauge=G6] [days=365] [key=value ...]

takes the catchment of a gauge of the demo, draws hidden parameters from the attributes of its cells by rules that no
method is told, and makes a map of runoff depth of them in the coupled model. In squares of a checkerboard the map is
kept, in the others it is taken away. `chase calibrate variant=network` sees the kept half alone; it is compared, in the
other half, with the maps drawn by interpolation from the kept half (linear, nearest beyond their hull) and with default
parameters. A cell whose neighbors give it more water than it yields has no runoff depth on any map and is left out of
both halves. Everything goes to runs/parameter_learning; a run that was stopped goes on. Further keys are those of
`chase calibrate`.
"""

from __future__ import annotations

import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.interpolate
import valley_twin
import xarray as xr

from chase_jax import calibrate, config, workflows
from chase_jax.calibration import columns, free, trial
from chase_jax.io import domain_store, forcing_store, parameter_store, store
from chase_jax.model import adjustable
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state

FOLDER, SQUARE = pathlib.Path("runs/parameter_learning"), 2  # cells, width of a square of the checkerboard
START, INTERVAL, SPIN_UP = "2001-01-01", 5, 6
NAMES = ("runoff_depth", "baseflow_index")


def hidden(attributes: np.ndarray) -> dict[str, np.ndarray]:
    """Hidden parameters (cell,) that follow attributes, and not along a line. Argument: (cell, attribute), scaled."""
    rain, warmth, _, height, slope, clay, leaves = attributes.T
    fast = -1.2 + 0.8 * np.tanh(clay) + 0.5 * np.sin(1.5 * height) + 0.3 * rain * leaves
    return {"dcor": 1.0 / (1.0 + np.exp(-fast)), "baseflow_factor": 10.0 ** (-1.5 + 0.6 * np.tanh(slope - warmth))}


class Twin:
    """The catchment under a span of weather, and the signatures that parameters make in it."""

    def __init__(self, gauge: str, days: int) -> None:
        if not (FOLDER / "data" / "forcing.nc").exists():
            valley_twin.prepare(FOLDER / "data", gauge)
        self.domain = domain_store.open_domain(FOLDER / "data" / "domain.nc")
        self.end = str(np.datetime64(START) + days - 1)
        altitude = np.asarray(self.domain.surface_altitude)
        weather = forcing_store.open_forcing(FOLDER / "data/forcing.nc", self.domain.grid, altitude, START, self.end)
        self.cells = columns.calibrated_cells(self.domain)
        self.attributes = workflows.attributes(self.domain, weather)
        self.span = workflows.span(weather)
        self.model = Chase.default(self.domain)

    def signatures(self, given: dict[str, np.ndarray]) -> trial.Outcome:
        """What the coupled model yields near its equilibrium under some parameters (cell,)."""
        model = Chase.default(self.domain, adjustable.adjusted(self.model.parameters, given))
        parameters = (free.dcor("D5"), free.baseflow_factor())
        simulator = trial.Simulator(model, parameters, self.span, self.span, INTERVAL)
        unknowns = jnp.stack([one.encode(model.parameters) for one in parameters])
        return simulator.run(unknowns, simulator.equilibrium(unknowns, initial_state(model), SPIN_UP))[0]


def interpolated(twin: Twin, values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A map (cell,) drawn from the cells (kept,) that know it."""
    grid = twin.domain.grid
    places = np.stack([grid.row, grid.column], axis=1).astype(float)
    linear = scipy.interpolate.LinearNDInterpolator(places[kept], values[kept])(places)
    nearest = scipy.interpolate.NearestNDInterpolator(places[kept], values[kept])(places)
    return np.where(np.isfinite(linear), linear, nearest)


def main(words: list[str]) -> pd.DataFrame:
    """Train, predict and compare."""
    own = {"gauge": "G6", "days": "365"}
    own |= {key: value for key, value in (word.split("=", 1) for word in words) if key in own}
    rest = [word for word in words if word.split("=")[0] not in own]
    twin = Twin(own["gauge"], int(own["days"]))
    deviation = twin.attributes.std(axis=0)
    scaled = (twin.attributes - twin.attributes.mean(axis=0)) / np.where(deviation > 0.0, deviation, 1.0)
    truth = twin.signatures(hidden(scaled))
    grid = twin.domain.grid
    odd = ((grid.row // SQUARE + grid.column // SQUARE) % 2).astype(bool)
    cells = twin.cells[truth.runoff_depth[twin.cells] >= 0.0]  # others live on their neighbors' ground water
    kept, other = cells[~odd[cells]], cells[odd[cells]]
    maps = domain_store.frame(grid)
    for name in NAMES:
        values = np.full(twin.domain.cells, np.nan)
        values[kept] = getattr(truth, name)[kept]
        maps[name] = domain_store.map_of(grid, values)
    maps["baseflow_index"].attrs["interval_days"] = INTERVAL
    store.write_dataset(maps, FOLDER / "maps.nc", "Half of the maps of hidden parameters (generated)")
    keys = ["method=gradient", "variant=network", f"domain.path={FOLDER}/data/domain.nc", f"maps.path={FOLDER}/maps.nc"]
    keys += [f"forcing.path={FOLDER}/data/forcing.nc", f"period.start={START}", f"period.end={twin.end}"]
    keys += [f"fit.spinup_cycles={SPIN_UP}", f"output.directory={FOLDER}/network", "resume=true", *rest]
    print(calibrate.run(config.check(config.compose({}, "calibrate", keys))), flush=True)
    learned = parameter_store.read_parameters(FOLDER / "network" / calibrate.PARAMETERS, grid, "D5")
    predicted = {
        "default parameters": twin.signatures({}).runoff_depth,
        "interpolated map": interpolated(twin, truth.runoff_depth, kept),
        "network through the model": twin.signatures(dict(learned)).runoff_depth,
    }
    rows = {}
    for name, values in predicted.items():
        error = values - truth.runoff_depth
        rows[name] = {
            f"{part}, {label}": score(error[half], truth.runoff_depth[half])
            for part, half in (("half learned from", kept), ("other half", other))
            for label, score in (
                ("median error, %", lambda e, t: 100.0 * np.median(np.abs(e) / np.maximum(t, 1.0))),
                ("R2", lambda e, t: 1.0 - (e**2).sum() / ((t - t.mean()) ** 2).sum()),
            )
        }
    table = pd.DataFrame(rows).T
    store.write_text(table.to_csv(float_format="%.5g"), FOLDER / "scores.csv")
    with xr.open_dataset(FOLDER / "maps.nc") as dataset:
        print(f"{kept.size} cells learned from, {other.size} others, of {dataset.sizes}")
    return table


if __name__ == "__main__":
    print(main(sys.argv[1:]).round(3).to_string())
