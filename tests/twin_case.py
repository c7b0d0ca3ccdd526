"""A small twin: a slope of a few cells under a year of generated storms, hidden parameters, and the maps they make."""

from __future__ import annotations

import pathlib

import jax.numpy as jnp
import numpy as np
import pandas as pd
import small_case

from chase_jax.calibration import columns, free, trial
from chase_jax.io import domain_store, forcing_store, inputs, store
from chase_jax.model.chase import Chase
from chase_jax.model.initial import initial_state

DAYS, FIRST, LAST = 365, "1990-01-01", "1990-12-31"
INTERVAL = 5
SPIN_UP = 12  # repetitions of the period until the hidden truth stands still


def weather():
    """Storms of one to three days in every ten, and a warm season."""
    generator = np.random.default_rng(3)
    day = np.arange(DAYS)
    storm = np.repeat(generator.random(DAYS // 2 + 1) < 0.3, 2)[:DAYS]
    rain = np.where(storm, generator.gamma(1.5, 8.0, DAYS), 0.0) / 86400.0
    warmth = 283.0 + 8.0 * np.sin(2.0 * np.pi * (day - 110) / 365.0)
    series = dict.fromkeys(small_case.WEATHER)
    for name, value in small_case.WEATHER.items():
        series[name] = np.full(DAYS, value)
    series |= {"precipitation": rain, "air_temperature": warmth}
    series["shortwave_down"] = np.where(storm, 110.0, 220.0)
    axis = np.arange(3) * 2000.0
    wider = 1.0 + 0.2 * np.linspace(0.0, 1.0, 3)
    fields = {n: v[:, None, None] * np.ones((1, 3, 3)) for n, v in series.items()}
    fields["precipitation"] = fields["precipitation"] * wider
    return inputs.forcing(fields, pd.date_range(FIRST, periods=DAYS), axis, axis[::-1], small_case.CRS)


def domain():
    """The slope with a range of soils and wells deep enough for a water table below the roots."""
    data = small_case.domain_dataset()
    clay = np.linspace(0.05, 0.2, small_case.SIZE**2).reshape(small_case.SIZE, small_case.SIZE)
    fields = {**small_case.domain_fields(), "clay_fraction": clay, "sand_fraction": 0.85 - clay}
    fields["aquifer_conductivity"] = np.full(clay.shape, 1e-6)
    fields["channel_bed_altitude"] = fields["surface_altitude"] - 2.0
    axis = data["x"].values
    return inputs.raster(fields, axis, axis[::-1], small_case.CRS)


def truth(cells):
    """Hidden parameters of `cells` cells."""
    wave = np.linspace(0.0, 2.0 * np.pi, cells)
    return {"dcor": 0.15 + 0.08 * np.sin(wave), "baseflow_factor": 10.0 ** (0.3 * np.cos(2.0 * wave) - 2.7)}


def write_inputs(folder: pathlib.Path) -> None:
    """Write domain and weather."""
    small_case.write(folder, domain(), weather())


def write(folder: pathlib.Path) -> list[str]:
    """Write domain, weather and the maps that the truth makes of the whole and of closed columns of it.

    Returns the overrides that name them, the maps of the whole among them.
    """
    write_inputs(folder)
    place = domain_store.open_domain(folder / "domain.nc")
    model = Chase.default(place)
    reader = forcing_store.open_forcing(
        folder / "forcing.nc", place.grid, np.asarray(place.surface_altitude), FIRST, LAST
    )
    span = trial.spans(lambda day, count: reader.read(day, count, padded=31), DAYS)
    parameters = (free.dcor("D5"), free.baseflow_factor())
    hidden = truth(place.cells)
    pairs = zip(parameters, hidden.values(), strict=True)
    unknowns = jnp.stack([one.transform.encode(jnp.asarray(value)) for one, value in pairs])
    every = columns.calibrated_cells(place)
    assert every.size == place.cells
    for file, made in (("maps.nc", model), ("maps_of_columns.nc", columns.closed(model, every))):
        simulator = trial.Simulator(made, parameters, span, span, INTERVAL)
        outcome, _ = simulator.run(unknowns, simulator.equilibrium(unknowns, initial_state(made), SPIN_UP))
        maps = domain_store.frame(place.grid)
        for name in ("runoff_depth", "baseflow_index"):
            maps[name] = domain_store.map_of(place.grid, getattr(outcome, name))
        maps["baseflow_index"].attrs["interval_days"] = INTERVAL
        store.write_dataset(maps, folder / file, "Maps of a hidden truth")
    return [
        f"domain.path={folder}/domain.nc",
        f"forcing.path={folder}/forcing.nc",
        f"maps.path={folder}/maps.nc",
        f"period.start={FIRST}",
        f"period.end={LAST}",
        f"output.directory={folder}/run",
    ]
