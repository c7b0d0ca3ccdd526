"""The embedded demo: a generated valley with two years of generated weather, and a truth to calibrate against.

All of it is made up; nothing is measured. :func:`write` makes the input files. The observations are what the model
itself gives under :func:`true_parameters`, with errors of measurement added by :func:`observed`; they come with the
package as a table, which :func:`write_record` renews after the physics has changed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.demo import terrain, weather
from chase_jax.io import inputs, store

GAUGE_NAMES = {
    "G1": "Glacier stream",
    "G2": "Upper river",
    "G3": "Northern tributary",
    "G4": "Lake outlet",
    "G5": "Valley outlet",
    "G6": "Salt basin",
}
LAKE_GAUGE = "G4"  # stands in the last cell of the lake, so that it has a level too
RECORD = pathlib.Path(__file__).with_name("observations.csv")
DISCHARGE_ERROR, ERROR_MEMORY = 0.05, 0.9  # 1, relative error of a rating curve and its correlation from day to day
LEVEL_ERROR = 0.01  # m
SEED = 1962


def write(directory: pathlib.Path) -> dict[str, pathlib.Path]:
    """Write the inputs of the demo.

    Args:
        directory: Folder to write to; it is made if need be.

    Returns:
        Path by role: domain, forcing, gauges, observations (if the package holds a record), and parameters_true, the
        hidden truth that no run reads by itself.
    """
    folder = pathlib.Path(directory)
    names = {"domain": "domain.nc", "forcing": "forcing.nc", "gauges": "gauges.csv"}
    paths = {role: folder / name for role, name in names.items()}
    paths["parameters_true"] = folder / "parameters_true.nc"
    valley = terrain.build()
    x, y = terrain.COORDINATE, terrain.COORDINATE[::-1]
    domain = inputs.raster(valley.fields, x, y, terrain.CRS)
    store.write_dataset(domain, paths["domain"], "Demo valley (generated)")
    fields, time = weather.generate(valley)
    here = weather.COORDINATE
    forcing = inputs.forcing(fields, time, here, here[::-1], terrain.CRS)
    store.write_dataset(forcing, paths["forcing"], "Demo weather (generated)")
    inputs.write_gauges(paths["gauges"], gauges(valley))
    truth = inputs.raster(true_parameters(valley.fields), x, y, terrain.CRS)
    truth["dcor"].attrs["dcor_form"] = "D5"
    store.write_dataset(truth, paths["parameters_true"], "Demo parameters behind the observations (generated)")
    if RECORD.is_file():
        paths["observations"] = folder / "observations.nc"
        store.write_dataset(_read_record(), paths["observations"], "Demo observations (generated)")
    return paths


def gauges(valley: terrain.Valley) -> list[dict[str, object]]:
    """Lines of gauges.csv. Argument: valley, result of :func:`chase_jax.demo.terrain.build`."""
    lines: list[dict[str, object]] = []
    for identifier, cell in valley.gauges.items():
        row, column = divmod(cell, terrain.CELLS)
        place = {"x": terrain.COORDINATE[column], "y": terrain.COORDINATE[::-1][row]}
        area = valley.upstream_area.flat[cell] / 1e6
        lines.append({"gauge_id": identifier, **place, "area_km2": area, "name": GAUGE_NAMES[identifier]})
    return lines


def true_parameters(fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parameters behind the observations, (y, x), NaN outside the domain.

    Fast runoff grows with clay, wave-like detail is added that no predictor explains; the baseflow factor falls with
    clay and altitude; rivers are rougher in the mountains.

    Args:
        fields: Domain fields (y, x): active, surface_altitude, clay_fraction.
    """
    active = fields["active"].astype(bool)
    height = np.where(active, (fields["surface_altitude"] - 700) / 1000, 0)
    clay = np.where(active, fields["clay_fraction"], 0.2)
    row, column = np.indices(active.shape)
    ripple = np.sin(column / 7.0) * np.cos(row / 9.0)
    values = {
        "dcor": 1 / (1 + np.exp(-(-1.5 + 5.0 * (clay - 0.2) + 0.35 * height + 0.5 * ripple))),
        "baseflow_factor": 10 ** (-2.5 * (clay - 0.2) - 0.2 * height + 0.25 * ripple),
        "manning_roughness": np.clip(0.032 + 0.014 * height, 0.03, 0.07),
    }
    return {name: np.where(active, value, np.nan) for name, value in values.items()}


def observed(
    gauge_id: Sequence[str],
    time: pd.DatetimeIndex,
    discharge: np.ndarray,
    lake_level: np.ndarray | None = None,
    seed: int = SEED,
) -> xr.Dataset:
    """Observations from a run: rating-curve errors that persist for days, small reading errors, some gaps.

    Args:
        gauge_id (gauge,): Identifiers.
        time (time,): Days.
        discharge (gauge, time): Simulated daily mean discharge, m3 s-1.
        lake_level (time,): Simulated level of the main lake, m; observed at the lake gauge.
        seed: Seed of the errors.
    """
    draw = np.random.default_rng(seed)
    noise = draw.standard_normal((len(gauge_id), len(time)))
    for step in range(1, len(time)):
        noise[:, step] = ERROR_MEMORY * noise[:, step - 1] + np.sqrt(1 - ERROR_MEMORY**2) * noise[:, step]
    flow = np.maximum(discharge, 0) * np.exp(DISCHARGE_ERROR * noise - 0.5 * DISCHARGE_ERROR**2)
    flow = np.round(flow, 4)
    for number in range(len(gauge_id)):
        start = int(draw.random() * max(len(time) - 12, 1))
        flow[number, start : start + 12] = np.nan
    level = None
    if lake_level is not None:
        level = np.full(flow.shape, np.nan)
        reading = np.asarray(lake_level) + LEVEL_ERROR * draw.standard_normal(len(time))
        level[list(gauge_id).index(LAKE_GAUGE)] = np.round(reading, 3)
    return inputs.observations(gauge_id, time, flow, level)


def write_record(
    gauge_id: Sequence[str],
    time: pd.DatetimeIndex,
    discharge: np.ndarray,
    lake_level: np.ndarray | None = None,
    path: pathlib.Path = RECORD,
) -> None:
    """Renew the table of observations that comes with the package from a run under the true parameters.

    Args:
        gauge_id (gauge,): Identifiers.
        time (time,): Days.
        discharge (gauge, time): Simulated daily mean discharge, m3 s-1.
        lake_level (time,): Simulated level of the main lake, m.
        path: The table.
    """
    record = observed(gauge_id, time, discharge, lake_level)
    table = pd.DataFrame(record.discharge.values.T, index=time.strftime("%Y-%m-%d"), columns=list(gauge_id))
    if lake_level is not None:
        table["lake_level"] = record.lake_level.values[list(gauge_id).index(LAKE_GAUGE)]
    store.write_text(table.to_csv(index_label="date"), path)


def _read_record(path: pathlib.Path = RECORD) -> xr.Dataset:
    """The table of observations as a dataset."""
    table = pd.read_csv(path, index_col="date", parse_dates=True)
    reading = table.pop("lake_level").to_numpy() if "lake_level" in table else None
    values, level = table.to_numpy(float).T, None
    if reading is not None:
        level = np.full(values.shape, np.nan)
        level[list(table.columns).index(LAKE_GAUGE)] = reading
    return inputs.observations(list(table.columns), pd.DatetimeIndex(table.index), values, level)
