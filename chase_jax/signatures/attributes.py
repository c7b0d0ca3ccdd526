"""What the regression learns from: gauged basins, their signatures, their predictors, and which basins are fit for use.

The nine predictors are those of the paper (`variables.PREDICTORS`); a table may hold more. None of them may come from
discharge: :func:`require_independent` refuses the names of flow signatures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from chase_jax.checks import InputError, after_number, require
from chase_jax.domain.drainage import Drainage
from chase_jax.signatures import baseflow
from chase_jax.variables import PREDICTORS, VARIABLES

Amount = TypeVar("Amount", np.ndarray, float)
TARGETS = ("runoff_depth", "baseflow_index")
FLOW_SIGNATURES = (
    "q_mean", "runoff_ratio", "slope_fdc", "baseflow_index", "stream_elas", "q5", "q95", "hfd_mean", "runoff_depth",
    "discharge",
)  # fmt: skip
FLOW_PREFIXES = ("high_q_", "low_q_", "zero_q_")
SETS = {"paper": "the nine of the paper", "without_humidity": "the nine without specific humidity",
        "extended": "all of the table"}  # fmt: skip
LEAST_GAUGES = 30  # 1, below which folds of folds say nothing
LEAST_SPREAD = 1e-9  # 1, of a predictor, relative to its size, below which it is constant
RUNOFF_RATIO = (5e-4, 2.5)  # 1, runoff over precipitation beyond which a unit or an area must be wrong
GAUGED_SHARE = 0.9  # 1, of the days of a year that make it a gauged year


@dataclasses.dataclass(frozen=True)
class Basins:
    """Gauged basins as they come.

    Attributes:
        gauge_id: (gauge,) identifiers.
        area: (gauge,) drainage area, m2.
        latitude: (gauge,) degrees north, NaN where unknown.
        longitude: (gauge,) degrees east, NaN where unknown.
        time: (time,) days.
        flow: (gauge, time) flow per area, mm per day, NaN where missing.
        precipitation: (gauge, time) mm per day, or None where not known by day.
        predictors: Table with a row per gauge, in the units of the table of variables; NaN where unknown.
        downstream: (gauge,) next gauge downstream, -1 where there is none or it is not known.
        notes: What should be known of a predictor, by name.
    """

    gauge_id: tuple[str, ...]
    area: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    time: np.ndarray
    flow: np.ndarray
    precipitation: np.ndarray | None
    predictors: pd.DataFrame
    downstream: np.ndarray
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        seen = pd.Series(self.gauge_id)
        twice = seen[seen.duplicated()]
        require(twice.empty, f"gauge_id {twice.iloc[0] if len(twice) else ''} is there twice; give each gauge its own.")
        require_independent(list(self.predictors.columns))


@dataclasses.dataclass(frozen=True)
class Limits:
    """What makes a basin fit for use.

    Attributes:
        least_years: Length of the record, years of 365.25 observed days.
        largest_area: Drainage area, m2.
        tolerance: Largest deviation of the mean precipitation of gauged years from that of all years, 1.
    """

    least_years: float = 5.0
    largest_area: float = 15_000e6
    tolerance: float = 0.1


def require_independent(columns: Sequence[str]) -> None:
    """Refuse predictors that come from discharge.

    Args:
        columns: Names of predictors.

    Raises:
        InputError: Names the predictor.
    """
    bad = [name for name in columns if name in FLOW_SIGNATURES or name.startswith(FLOW_PREFIXES)]
    require(
        not bad,
        f"predictor {', '.join(bad)}: comes from discharge, which no ungauged place has; take it out of the table.",
    )


def signatures(basins: Basins, limits: Limits) -> pd.DataFrame:
    """Signatures of every basin, and whether it is used.

    Args:
        basins: The basins.
        limits: What makes a basin fit for use.

    Returns:
        A table indexed by gauge_id: area_km2, latitude, longitude, years (of observed days), precipitation_ratio (of
        gauged years over all years), runoff_depth (mm per year), baseflow_index, interval_days, kept, and reason where
        it is not.
    """
    rows = []
    for number, identifier in enumerate(basins.gauge_id):
        flow, area = basins.flow[number], float(basins.area[number])
        row: dict[str, object] = {
            "gauge_id": identifier, "area_km2": area / 1e6, "latitude": basins.latitude[number],
            "longitude": basins.longitude[number], "years": float(np.isfinite(flow).sum()) / baseflow.YEAR,
            "precipitation_ratio": _representativeness(basins, number), "runoff_depth": np.nan,
            "baseflow_index": np.nan, "interval_days": 0,
        }  # fmt: skip
        if np.isfinite(flow).any() and np.isfinite(area) and area > 0:
            days = baseflow.interval(area)
            row["interval_days"] = days
            row["runoff_depth"] = baseflow.runoff_depth(flow)
            row["baseflow_index"] = baseflow.baseflow_index(flow, baseflow.sliding_interval(flow, days))
        row["reason"] = _reason(row, basins, number, limits)
        row["kept"] = row["reason"] == ""
        rows.append(row)
    return pd.DataFrame(rows).set_index("gauge_id")


def _representativeness(basins: Basins, number: int) -> float:
    """Mean precipitation of the gauged years over that of all years, 1; NaN where it is not known."""
    if basins.precipitation is None:
        return np.nan
    rain, there = basins.precipitation[number], np.isfinite(basins.flow[number])
    year = basins.time.astype("datetime64[Y]").astype(int)
    number_of_year = year - year.min()
    share = np.bincount(number_of_year, there) / np.bincount(number_of_year)
    gauged = share[number_of_year] >= GAUGED_SHARE
    known = np.isfinite(rain)
    if not (gauged & known).any():
        return np.nan
    return float(rain[gauged & known].mean() / max(rain[known].mean(), 1e-12))


def _reason(row: Mapping[str, object], basins: Basins, number: int, limits: Limits) -> str:
    """Why a basin is not used; empty if it is."""
    years, area, ratio = float(row["years"]), float(row["area_km2"]), float(row["precipitation_ratio"])  # type: ignore[arg-type]
    negative = int((basins.flow[number] < 0).sum())
    if not area > 0:
        return "no drainage area"
    if area * 1e6 > limits.largest_area:
        return f"area {area:.0f} km2 exceeds {limits.largest_area / 1e6:.0f} km2"
    if years < limits.least_years:
        return f"{years:.1f} years of record, needed {limits.least_years:g}"
    if negative:
        return f"flow is negative on {negative} days"
    if not np.isfinite(row["baseflow_index"]):  # type: ignore[call-overload]
        return "no flow, or no run of days without a gap"
    if abs(ratio - 1.0) > limits.tolerance:
        return f"precipitation of gauged years is {ratio:.2f} of that of all years"
    missing = [
        name for name in PREDICTORS if name in basins.predictors and pd.isna(basins.predictors[name].iloc[number])
    ]
    if missing:
        return f"no value of {', '.join(missing)}"
    low, high = RUNOFF_RATIO
    share = float(row["runoff_depth"]) / float(basins.predictors["mean_precipitation"].iloc[number])  # type: ignore[arg-type]
    if not low <= share <= high:
        return f"runoff is {share:.3g} of precipitation: unit of flow or drainage area is wrong"
    return ""


def predictor_table(basins: Basins, kept: np.ndarray, which: str) -> tuple[pd.DataFrame, list[str]]:
    """The predictors of the basins that are used, and notes on what was left out or should be known.

    Args:
        basins: The basins.
        kept (gauge,): Whether a basin is used.
        which: A name of `SETS`.

    Raises:
        InputError: If too few basins are left, a predictor of the paper is not there, or a value is impossible.
    """
    require(
        int(kept.sum()) >= LEAST_GAUGES,
        f"{int(kept.sum())} of {kept.size} gauges are fit for use; at least {LEAST_GAUGES} are needed; "
        "signatures.csv says why others are not.",
    )
    absent = [name for name in PREDICTORS if name not in basins.predictors]
    require(
        not absent, f"predictor {', '.join(absent)}: is missing; the table must have all of {', '.join(PREDICTORS)}."
    )
    names = list(PREDICTORS) if which != "extended" else list(basins.predictors.columns)
    names = [name for name in names if not (which == "without_humidity" and name == "mean_specific_humidity")]
    table = basins.predictors.loc[kept, names].astype(float)
    table.index = pd.Index([identifier for identifier, good in zip(basins.gauge_id, kept, strict=True) if good])
    for name in names:
        if name in VARIABLES:
            _require_possible(table[name], name)
    spread = table.std() / table.abs().max().replace(0.0, 1.0)
    constant = [str(name) for name in names if not spread[name] > LEAST_SPREAD]
    require(len(constant) < len(names), "predictors: all are constant; give a table whose basins differ.")
    notes = [f"{name}: is the same in all basins, left out" for name in constant]
    notes += [f"{name}: {note}" for name, note in basins.notes.items() if name in names]
    return table.drop(columns=constant), notes


def _require_possible(column: pd.Series, name: str) -> None:
    """Require values within the valid range of the table of variables, which catches wrong units."""
    variable = VARIABLES[name]
    bad = column[(column < variable.valid_min) | (column > variable.valid_max)]
    if len(bad):
        raise InputError(
            f"predictor {name}: is {bad.iloc[0]:g} at gauge {bad.index[0]}; allowed is {variable.valid_min:g} to "
            f"{variable.valid_max:g}{after_number(variable.units)}; correct the value or convert its unit."
        )


def correlations(predictors: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of all predictors and signatures with one another, 1.

    Args:
        predictors: A row per gauge.
        targets: The signatures, a row per gauge.
    """
    return pd.concat([predictors, targets], axis=1).corr(method="spearman")


def basin_means(values: np.ndarray, cell_area: np.ndarray, drainage: Drainage, cell: np.ndarray) -> np.ndarray:
    """Means over the catchments of gauges, weighted by area, of what is known there.

    Args:
        values (..., cell): A map, any unit, NaN where unknown.
        cell_area (cell,): Area, m2.
        drainage: The drainage tree.
        cell (gauge,): Cells of the gauges.

    Returns:
        (..., gauge) means in the unit of the map, NaN where nothing is known upstream.
    """
    known = np.isfinite(values)
    total = np.asarray(drainage.upstream_sum(np.where(known, values, 0.0) * cell_area))[..., cell]
    weight = np.asarray(drainage.upstream_sum(known * np.asarray(cell_area)))[..., cell]
    return np.where(weight > 0.0, total / np.where(weight > 0.0, weight, 1.0), np.nan)


def land_predictors(
    surface_altitude: np.ndarray, clay_fraction: np.ndarray, leaf_area_index: np.ndarray, spacing: tuple[float, float]
) -> dict[str, np.ndarray]:
    """The predictors of terrain, soil and plants from the maps of a domain.

    Args:
        surface_altitude (y, x): Altitude, m, NaN outside.
        clay_fraction (y, x): Clay, 1.
        leaf_area_index (month, y, x): Leaf area index of the months, 1.
        spacing: Distance of rows and of columns, m.

    Returns:
        Maps (y, x) by name. The slope is that of a plane through a cell's neighbours, so it falls with the cell's size.
    """
    falls = []
    for axis, size in enumerate(spacing):
        before = np.roll(surface_altitude, 1, axis)
        after = np.roll(surface_altitude, -1, axis)
        first, last = [slice(None)] * 2, [slice(None)] * 2
        first[axis], last[axis] = slice(0, 1), slice(-1, None)
        before[tuple(first)], after[tuple(last)] = np.nan, np.nan
        sides = np.isfinite(before).astype(float) + np.isfinite(after)
        before, after = (np.where(np.isfinite(side), side, surface_altitude) for side in (before, after))
        falls.append((after - before) / (np.maximum(sides, 1.0) * size))
    return {
        "mean_altitude": surface_altitude,
        "mean_slope": np.hypot(*falls),
        "mean_clay_fraction": clay_fraction,
        "mean_leaf_area_index": leaf_area_index.mean(0),
    }


def climate_predictors(
    precipitation: Amount, air_temperature: Amount, specific_humidity: Amount, potential_evapotranspiration: Amount
) -> dict[str, Amount]:
    """The predictors of climate from means over all years.

    Args:
        precipitation (...): mm per year.
        air_temperature (...): K.
        specific_humidity (...): 1.
        potential_evapotranspiration (...): mm per year.
    """
    return {
        "mean_precipitation": precipitation,
        "mean_air_temperature": air_temperature,
        "aridity_index": potential_evapotranspiration / precipitation,
        "mean_specific_humidity": specific_humidity,
        "mean_potential_evapotranspiration": potential_evapotranspiration,
    }
