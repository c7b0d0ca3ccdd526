"""A finished run and what was observed in its place and time, side by side."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain.domain import Domain
from chase_jax.io import domain_store, gauge_store, output, run_folder, store
from chase_jax.io.gauge_store import Gauges

GAUGES, LAKES, BUDGET = "gauges.nc", "lakes.nc", "budget.csv"


@dataclasses.dataclass(frozen=True)
class Results:
    """What an evaluation compares.

    Attributes:
        simulated: Content of gauges.nc.
        observed: discharge (gauge, time), m3 s-1, of the same gauges and days, NaN where missing.
        domain: The domain.
        levels: `simulated` and `observed` level (gauge, time), m, of gauges that stand in a lake; None if none does.
        precipitation: (time,) mean of the domain in the month of every day, mm per day, NaN where unknown; None if the
            run has no budget of it.
    """

    simulated: xr.Dataset
    observed: xr.Dataset
    domain: Domain
    levels: xr.Dataset | None
    precipitation: np.ndarray | None


def read(
    folder: pathlib.Path,
    domain_path: str | None = None,
    observations_path: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Results:
    """Read a finished run and its observations.

    Args:
        folder: The folder of the run.
        domain_path: The domain file; empty: the one the run was made with.
        observations_path: The observations; empty: those the run was made with.
        start: First day to compare, ISO; empty, or before the run: that of the run.
        end: Last day to compare, ISO, inclusive; empty, or after the run: that of the run.

    Raises:
        InputError: If a file is missing or wrong.
    """
    simulated = _within(output.read_piece(folder / GAUGES), start, end)
    domain = domain_store.open_domain(_file(folder, "domain", domain_path))
    file = _file(folder, "observations", observations_path)
    x, y = simulated.x.values, simulated.y.values
    cell = np.array([domain.grid.cell_at(*place) for place in zip(x, y, strict=True)], dtype=np.int32)
    identifiers, names = (tuple(map(str, simulated[key].values)) for key in ("gauge_id", "gauge_name"))
    gauges = Gauges(identifiers, names, x, y, simulated.gauge_area.values, cell, np.ones(cell.size))
    first, last = (str(day) for day in simulated.time.values[[0, -1]].astype("datetime64[D]"))
    observed = gauge_store.read_observations(file, gauges, first, last).to_dataset(name="discharge")
    levels = None
    with store.open_dataset(file) as dataset:
        has_levels = "lake_level" in dataset
    if has_levels and (folder / LAKES).is_file():
        seen = gauge_store.read_observations(file, gauges, first, last, "lake_level")
        lakes = output.read_piece(folder / LAKES).sel(time=simulated.time)
        levels = lake_levels(lakes, seen, np.asarray(domain.lake_index)[cell])
    return Results(simulated, observed, domain, levels, monthly_precipitation(folder / BUDGET, simulated.time.values))


def _within(series: xr.Dataset, start: str | None, end: str | None) -> xr.Dataset:
    """The days of a series from `start` to `end`, both included."""
    days = series.time.values.astype("datetime64[D]")
    kept = (days >= np.datetime64(start or days[0])) & (days <= np.datetime64(end or days[-1]))
    require(
        bool(kept.any()),
        f"period.start {start} to period.end {end} lies outside the run, which covers {days[0]} to {days[-1]}; "
        "correct the period.",
    )
    return series.isel(time=np.flatnonzero(kept))


def monthly_precipitation(path: pathlib.Path, time: np.ndarray) -> np.ndarray | None:
    """Mean precipitation of the domain in the month of every day, mm per day, NaN where unknown.

    Args:
        path: The budget of the run; its terms are sums over the days of a month.
        time: (time,) days.

    Returns:
        (time,) means; None if there is no such file or column.
    """
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"month": str})
    if not {"month", "days", "precipitation"} <= set(table.columns):
        return None
    means = (table.precipitation / table.days).set_axis(table.month)
    return means.reindex(time.astype("datetime64[M]").astype(str)).to_numpy(float)


def lake_levels(lakes: xr.Dataset, observed: xr.DataArray, number: np.ndarray) -> xr.Dataset | None:
    """Simulated and observed levels at the gauges that stand in a lake and have any observation.

    Args:
        lakes: Content of lakes.nc.
        observed: Observed levels (gauge, time), m, NaN where missing; `gauge` holds the identifiers.
        number: (gauge,) number of the lake that every gauge stands in, 0 for none.

    Returns:
        `simulated` and `observed` (gauge, time) with `gauge_id`; None if there is no such gauge.
    """
    here = np.flatnonzero(np.isin(number, lakes.lake.values) & observed.notnull().any("time").values)
    if not here.size:
        return None
    pair = {"simulated": lakes.lake_level.sel(lake=number[here]).values, "observed": observed.values[here]}
    identifiers = ("gauge", observed.gauge.values.astype(object)[here])
    return xr.Dataset(
        {name: (("gauge", "time"), values) for name, values in pair.items()},
        coords={"time": observed.time.values, "gauge_id": identifiers},
    )


def _file(folder: pathlib.Path, role: str, given: str | None) -> pathlib.Path:
    """An input file: the one given, else the one the run was made with."""
    made_with = json.loads((folder / run_folder.MANIFEST).read_text())["configuration"].get(f"{role}.path")
    path = pathlib.Path(given or made_with or folder / "inputs" / f"{role}.nc").expanduser()
    require(path.exists(), f"{role}.path: {path}: is missing; give the file as {role}.path=...")
    return path
