"""A domain of four by four cells with weather, gauges and observations, written to files; and a stand-in model."""

from __future__ import annotations

import pathlib

import jax.numpy as jnp
import numpy as np
import pandas as pd

from chase_jax.io import inputs, store

CRS = "+proj=laea +lat_0=40 +lon_0=100 +datum=WGS84 +units=m"
SIZE, DAYS, FIRST = 4, 70, "1990-01-01"
WEATHER = {
    "precipitation": 2e-5,
    "air_temperature": 285.0,
    "shortwave_down": 200.0,
    "specific_humidity": 0.006,
    "air_pressure": 9e4,
    "wind_speed": 2.0,
}


def domain_fields() -> dict[str, np.ndarray]:
    """Maps (y, x): rows drain east, the last column south to the outlet in the corner."""
    direction = np.full((SIZE, SIZE), 1.0)
    direction[:, -1] = 4
    direction[-1, -1] = 0
    height = 100.0 + 10.0 * np.add.outer(np.arange(SIZE)[::-1], np.arange(SIZE)[::-1])
    return {
        "active": np.ones((SIZE, SIZE)),
        "surface_altitude": height,
        "flow_direction": direction,
        "cell_area": np.full((SIZE, SIZE), 1e6),
    }


def domain_dataset():
    """The domain as a dataset."""
    axis = np.arange(SIZE) * 1000.0 + 500.0
    return inputs.raster(domain_fields(), axis, axis[::-1], CRS)


def forcing_dataset(double=False):
    """Weather on a grid of 2 km that changes by a thousandth per day."""
    axis = np.arange(3) * 2000.0
    course = 1.0 + 1e-3 * np.arange(DAYS)[:, None, None] * np.ones((1, 3, 3))
    fields = {name: value * course for name, value in WEATHER.items()}
    data = inputs.forcing(fields, pd.date_range(FIRST, periods=DAYS), axis, axis[::-1], CRS)
    return data.assign({name: data[name].astype(float) for name in fields}) if double else data


def write(folder: pathlib.Path, domain=None, forcing=None) -> list[str]:
    """Write all files and return the overrides that name them."""
    store.write_dataset(domain_dataset() if domain is None else domain, folder / "domain.nc", "A test")
    store.write_dataset(forcing_dataset() if forcing is None else forcing, folder / "forcing.nc", "A test")
    gauge = {"gauge_id": "01", "x": 3500, "y": 500, "area_km2": 16, "name": "Corner"}
    inputs.write_gauges(folder / "gauges.csv", [gauge])
    time = pd.date_range(FIRST, periods=DAYS)
    store.write_dataset(inputs.observations(["01"], time, np.ones((1, DAYS))), folder / "observations.nc", "A test")
    return [
        f"domain.path={folder}/domain.nc",
        f"forcing.path={folder}/forcing.nc",
        f"gauges.path={folder}/gauges.csv",
        f"observations.path={folder}/observations.nc",
        "period.start=1990-01-05",
        "period.end=1990-03-10",
        f"output.directory={folder}/run",
    ]


class StandIn:
    """Adds up rain in one store per cell and lets a tenth of it out each day; enough to see a run's machinery."""

    lakes = (7,)
    layer_thickness = (0.1, 0.2)

    def __init__(self, config, given):
        self.cell, self.cells = given.gauges.cell, given.domain.cells
        self.grids, self.daily = config.output.grids, config.output.daily_grids

    def initial_state(self):
        return {"water": jnp.zeros(self.cells), "day": jnp.array(0)}

    def totals(self):
        return {"runoff": jnp.zeros(self.cells), "days": jnp.array(0.0)}

    def advance(self, state, totals, forcing, count):
        assert forcing.precipitation.shape == (31, self.cells)
        series = {"discharge": np.zeros((31, len(self.cell)))}
        series |= {name: np.ones((31, 1)) for name in ("lake_level", "lake_area", "lake_inflow", "lake_outflow")}
        series |= {f"map_{name}": np.ones((31, self.cells)) for name in self.daily}
        for day in range(count):
            water = state["water"] + forcing.precipitation[day] * 86400.0
            out = 0.1 * water
            state = {"water": water - out, "day": state["day"] + 1}
            totals = {"runoff": totals["runoff"] + out, "days": totals["days"] + 1.0}
            series["discharge"][day] = np.asarray(out)[self.cell]
        return state, totals, series

    def means(self, totals):
        return {name: np.asarray(totals["runoff"] / totals["days"]) for name in self.grids}

    def budget(self, totals, first):
        return {"month": str(first)[:7], "runoff": float(totals["runoff"].sum()), "days": float(totals["days"])}
