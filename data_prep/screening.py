r"""Which gauges tell of natural flow: long records, hardly any reservoirs and withdrawals above them.

A gauge is kept if it has enough complete years within the period, if the reservoirs above it hold less than 5 % of its
mean annual flow (the *degree of regulation*, capacity / volume of flow), and if less than 10 % of its mean flow is
withdrawn above it. The limits are those of Dong et al. (2026).
"""

from __future__ import annotations

import dataclasses
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require, require_shape
from chase_jax.domain.domain import Domain
from chase_jax.domain.grid import Grid
from chase_jax.io import gauge_store, inputs, store, tables
from data_prep import hydrography, rawfiles

LARGEST_REGULATION, LARGEST_WITHDRAWAL = 0.05, 0.10  # 1, Dong et al. (2026)
COMPLETE = 0.9  # 1, of the days of a year, from which it counts as complete; choice of this project
SECONDS_PER_YEAR = 365.25 * 86400.0
OBSERVED, RESERVOIRS, WITHDRAWALS = "observations.nc", "reservoirs.csv", "withdrawals.csv"
TABLE = "screening.csv"
FARTHEST_SNAP = 2  # cells, that a reservoir is moved at most


@dataclass(frozen=True)
class Network:
    """The drainage of a grid.

    Attributes:
        grid: The whole grid, all cells of it.
        active (row, column): Cells of the domain.
        receiver (cell,): Flat index of the receiving cell, -1 for none.
        upstream (row, column): Area that drains through a cell, m2.
    """

    grid: Grid
    active: np.ndarray
    receiver: np.ndarray
    upstream: np.ndarray


def complete_years(observed: xr.Dataset, start: str, end: str) -> np.ndarray:
    """Number of complete years (gauge,) of discharge within a period.

    Args:
        observed: Content of observations.nc: discharge (gauge, time), NaN where missing.
        start: First day, ISO.
        end: Last day, ISO.
    """
    require("discharge" in observed, "Argument `observed` must hold discharge, but does not.")
    series = observed["discharge"].transpose("gauge", "time").sel(time=slice(start, end))
    if series.sizes["time"] == 0:
        return np.zeros(series.sizes["gauge"], int)
    year = series.time.dt.year.values
    valid = np.isfinite(series.values)
    days = {y: 366 if pd.Timestamp(int(y), 1, 1).is_leap_year else 365 for y in np.unique(year)}
    return np.sum([valid[:, year == y].sum(1) >= COMPLETE * number for y, number in days.items()], axis=0)


def above(domain: Domain, gauge_cell: np.ndarray, cell: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Sum (gauge,) of what stands at or above every gauge, such as the capacity of reservoirs, in its own unit.

    Args:
        domain: The domain.
        gauge_cell (gauge,): Cells of the gauges.
        cell (place,): Cells of what is summed.
        amount (place,): Any unit, >= 0.
    """
    require_shape(np.asarray(amount), "amount", np.shape(cell))
    require(bool(np.all(np.asarray(amount) >= 0.0)), "Argument `amount` must be at least 0, but is not everywhere.")
    per_cell = np.bincount(np.asarray(cell, int), amount, domain.cells)
    total = np.concatenate([[0.0], np.cumsum(per_cell)])
    gauge = np.asarray(gauge_cell)
    return total[gauge + 1] - total[np.asarray(domain.drainage.first)[gauge]]


def screen(
    gauge_id: list[str],
    years: np.ndarray,
    mean_flow: np.ndarray,
    capacity: np.ndarray,
    withdrawal: np.ndarray,
    least_years: int,
) -> pd.DataFrame:
    """The table of kept and dropped gauges with all reasons.

    Args:
        gauge_id: Identifiers.
        years (gauge,): Complete years of record.
        mean_flow (gauge,): Mean observed discharge, m3 s-1, NaN where unknown.
        capacity (gauge,): Capacity of the reservoirs above, m3.
        withdrawal (gauge,): Water withdrawn above, m3 s-1.
        least_years: Complete years that a gauge needs.

    Returns:
        A row per gauge: gauge_id, years, degree_of_regulation, withdrawal_ratio, kept, reason (empty if kept).
    """
    for name, values in {
        "years": years,
        "mean_flow": mean_flow,
        "capacity": capacity,
        "withdrawal": withdrawal,
    }.items():
        require_shape(np.asarray(values), name, (len(gauge_id),))
    flow = np.asarray(mean_flow, float)
    known = np.isfinite(flow) & (flow > 0.0)
    safe = np.where(known, flow, 1.0)
    regulation = np.where(known, np.asarray(capacity, float) / (safe * SECONDS_PER_YEAR), np.nan)
    ratio = np.where(known, np.asarray(withdrawal, float) / safe, np.nan)
    rules = [
        (np.asarray(years) < least_years, f"fewer than {least_years} complete years"),
        (~known, "no flow observed"),
        (known & (regulation >= LARGEST_REGULATION), f"degree of regulation of {LARGEST_REGULATION:.0%} or more"),
        (known & (ratio >= LARGEST_WITHDRAWAL), f"withdrawal of {LARGEST_WITHDRAWAL:.0%} of the flow or more"),
    ]
    reason = ["; ".join(text for bad, text in rules if bad[k]) for k in range(len(gauge_id))]
    return pd.DataFrame(
        {
            "gauge_id": gauge_id,
            "years": np.asarray(years),
            "degree_of_regulation": regulation,
            "withdrawal_ratio": ratio,
            "kept": [not text for text in reason],
            "reason": reason,
        }
    )


@dataclass(frozen=True)
class Screened:
    """Gauges judged by the tables of a folder.

    Attributes:
        table: Result of :func:`screen`.
        observed: The records of the kept gauges as observations.nc holds them; None if no gauge is kept.
        told: Lines of report.
    """

    table: pd.DataFrame
    observed: xr.Dataset | None
    told: list[str]


def of_folder(
    folder: pathlib.Path,
    gauges: Sequence[Mapping[str, object]],
    network: Network,
    period: tuple[str | None, str | None],
    least_years: int,
) -> Screened:
    """Judge gauges by observations.nc, reservoirs.csv and withdrawals.csv of a folder, of which the last two may lack.

    The tables have lon,lat (degree) or x,y (m) and capacity_million_m3, with year (of completion) where it is known, or
    withdrawal_m3_s. A place counts for every gauge below the cell that it lies in; with a column area_km2, its drainage
    area, it is moved as gauges are. A reservoir counts if it was there before the end of the period.

    Args:
        folder: Where the tables are.
        gauges: Rows with gauge_id, and x and y of the cell they stand in, m.
        network: The drainage of the grid.
        period: First and last day, ISO; that of the records where None.
        least_years: Complete years that a gauge needs.

    Raises:
        InputError: Names file, line, column, value and what is allowed.
    """
    path = folder / OBSERVED
    with store.open_dataset(path) as dataset:
        require("time" in dataset.variables and dataset.time.size > 0, f"{path}: holds no axis of time.")
        ends = [str(dataset.time.values[k])[:10] for k in (0, -1)]
    start, end = period[0] or ends[0], period[1] or ends[1]
    names = tuple(str(row["gauge_id"]) for row in gauges)
    series = gauge_store.read_observations(
        path, dataclasses.replace(gauge_store.no_gauges(), gauge_id=names), start, end
    )
    observed = inputs.observations(names, pd.DatetimeIndex(series.time.values), series.values)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        flow = np.nanmean(series.values, axis=1)
    cells = _cells(network, *(np.array([float(str(row[axis])) for row in gauges]) for axis in ("x", "y")))
    told = [f"gauges screened over {start} to {end}"]
    sums = {}
    for file, column in ((RESERVOIRS, "capacity_million_m3"), (WITHDRAWALS, "withdrawal_m3_s")):
        amount, line = _amounts(folder / file, column, network, end)
        sums[file] = hydrography.accumulate(network.receiver, amount)[cells]
        told.append(line)
    table = screen(
        list(names), complete_years(observed, start, end), flow, sums[RESERVOIRS] * 1e6, sums[WITHDRAWALS], least_years
    )
    kept = np.flatnonzero(table.kept)
    told.append(f"gauges kept: {kept.size} of {len(names)}, see {TABLE}")
    return Screened(table, observed.isel(gauge=kept) if kept.size else None, told)


def _amounts(path: pathlib.Path, column: str, network: Network, end: str) -> tuple[np.ndarray, str]:
    """What the places of a table amount to in every cell (cell,), and a line that tells of them."""
    total = np.zeros(network.receiver.size)
    if not path.is_file():
        return total, f"missing: table {path}; taken instead: nothing above any gauge"
    table = tables.read(path, f"write a text file with lon,lat,{column}")
    projected = {"x", "y"} <= set(table.columns)
    table = table.replace("", np.nan)
    first, second, amount = (
        rawfiles.column(path, table, name) for name in (*(("x", "y") if projected else ("lon", "lat")), column)
    )
    for line in np.flatnonzero(amount < 0.0):
        raise InputError(f"{path}: line {line + 2}: {column} is {amount[line]:g}; it must be at least 0.")
    year = rawfiles.column(path, table, "year", gaps=True) if "year" in table else np.full(len(table), np.nan)
    area = rawfiles.column(path, table, "area_km2", gaps=True) if "area_km2" in table else np.full(len(table), np.nan)
    x, y = (first, second) if projected else network.grid.transformer().transform(first, second)
    counted, cells = 0, _cells(network, x, y)
    for place in np.flatnonzero(~(year > int(end[:4])) & (cells >= 0)):
        cell = int(cells[place])
        if not network.active.flat[cell]:
            continue
        if np.isfinite(area[place]):
            row, right = divmod(cell, network.active.shape[1])
            row, right = hydrography.snap(network.upstream, row, right, area[place] * 1e6, FARTHEST_SNAP)
            cell = row * network.active.shape[1] + right
        total[cell] += amount[place]
        counted += 1
    return total, f"{path.name}: {counted} of {len(table)} places count, the others lie elsewhere or came later"


def _cells(network: Network, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Flat index (place,) of the cells that places (m) lie in, -1 where they lie on none."""
    rows, columns = network.active.shape
    step = network.grid.x[1] - network.grid.x[0]
    column, row = (np.floor(k + 0.5) for k in ((x - network.grid.x[0]) / step, (network.grid.y[0] - y) / step))
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)  # of a place that cannot be projected: no
    return np.where(inside, np.where(inside, row, 0) * columns + np.where(inside, column, 0), -1).astype(int)
