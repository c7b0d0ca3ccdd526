"""The land column against what was measured at sites: two eddy-covariance towers and a snow station.

    python experiments/land_sites.py [folder]

reads `flux_towers` and `snow_col_de_porte` in the folder that CHASE_DATA names, prints tables and writes them with
figures into the given folder (default runs/land_sites). All parameters are defaults; what is said here of a site is its
description.

- US-Hn1, shrub steppe by the Columbia River. The soil moisture runs free over a deep water table.
- US-Bi1, alfalfa on an island of the Sacramento-San Joaquin delta, watered from ditches: the water table is held at
  the bottom of the soil column, and the first layer, 5 cm, is set to the measured soil moisture. The field is cut
  several times a year; it is as high as wind and friction velocity tell, with the leaf area of alfalfa of that
  height. All about the tower is field, and a leaf has the resistance of the alfalfa of asce2005: 30 s m-1 by day over
  half of the leaf area of 0.5 m of it.
- Col de Porte, a meadow at 1325 m in the French Alps, winter 2005/06; beside it the output of FSM in the same data.

Towers start from the state that one run over their whole record leaves.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd

from chase_jax.evaluation.metrics import moments, pcc
from chase_jax.model import site
from data_prep import sites

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAT = ("latent_heat", "sensible_heat")
BARS = {"latent_heat": 0.80, "sensible_heat": 0.75, "net_radiation": 40.0}  # daily correlation, 1; half-hourly, W m-2
MELTED = 0.01  # m, thickness below which the snow is gone

# Place, clock, class and soil of each tower; heights of vegetation and sensors are those published with the data.
# The leaf area of US-Hn1 is in the integers of the satellite product, tenths, that of US-Bi1 is not.
TOWERS: dict[str, dict[str, Any]] = {
    "US-Hn1": {
        "latitude": 46.4089, "longitude": -119.2750, "clock": -8.0, "vegetation_class": 9, "sand": 0.65, "clay": 0.08,
        "vegetation_height": 1.5, "sensor_height": 5.0, "leaf_area_unit": 0.1, "prescribed_layers": 0, "cut": False,
    },
    "US-Bi1": {
        "latitude": 38.0992, "longitude": -121.4993, "clock": -8.0, "vegetation_class": 3, "sand": 0.35, "clay": 0.30,
        "vegetation_height": 0.8, "sensor_height": 5.0, "leaf_area_unit": 1.0, "prescribed_layers": 1, "cut": True,
        "water_table_depth": 2.5, "drainage_time": 1.0, "lower_fraction": 1.0, "minimum_stomatal_resistance": 67.0,
    },
}  # fmt: skip
COL_DE_PORTE = {"latitude": 45.30, "longitude": 5.77, "clock": 0.0, "vegetation_class": 7, "sand": 0.60, "clay": 0.30}
PLANTS = ("lower_fraction", "minimum_stomatal_resistance")  # of the class unless a site says otherwise
CELL_VALUES = (
    *("latitude", "longitude", "vegetation_class", "sand", "clay", "vegetation_height", "sensor_height"),
    "water_table_depth",
)

_run = jax.jit(site.run, static_argnames=("record",))


def _site(description: dict[str, Any], leaf_area_index: np.ndarray | None = None) -> site.Site:
    """A site of one cell from its description."""
    keywords = {
        name: np.array([value]) if name in CELL_VALUES else value
        for name, value in description.items()
        if name not in ("leaf_area_unit", "prescribed_layers", "cut", *PLANTS)
    }
    column = site.Site.default(leaf_area_index=leaf_area_index, **keywords)
    for name in set(PLANTS) & set(description):
        value = np.array([description[name]])
        column = eqx.tree_at(lambda s, n=name: getattr(s.parameters.vegetation, n), column, value)
    return column


def run_tower(name: str, data: pathlib.Path) -> tuple[sites.Measurements, pd.DataFrame]:
    """Measurements and the simulated fluxes of a tower, W m-2 and kg m-2 s-1, at the times of the measurements.

    Args:
        name: One of TOWERS.
        data: Folder of all data.
    """
    description = TOWERS[name]
    measurements = sites.read_tower(data / "flux_towers" / name, description["leaf_area_unit"])
    weather = measurements.weather
    if description["cut"]:
        height = sites.canopy_height(measurements, description["sensor_height"])
        leaves = sites.alfalfa_leaf_area(height).to_numpy()[:, None]
        heights = height.to_numpy()[:, None]
        weather = dataclasses.replace(weather, leaf_area_index=leaves, vegetation_height=heights)
    month = measurements.time[::48].month
    leaf_area = pd.Series(np.asarray(weather.leaf_area_index)[:, 0]).groupby(month.to_numpy()).mean()
    column = _site(description, leaf_area.to_numpy()[:, None])
    layers = description["prescribed_layers"]
    if layers:
        moisture = measurements.observed["soil_moisture"].resample("D").mean().to_numpy()
        moisture = np.repeat(moisture[:, None, None], layers, axis=1)
        weather = dataclasses.replace(weather, soil_moisture=moisture)
    cold = site.initial_state(column, np.asarray(weather.measured.temperature).mean(axis=(0, 1)))
    result = _run(column, _run(column, cold, weather).state, weather)
    exchanged = jax.tree.map(lambda leaf: np.asarray(leaf).ravel(), result.record)
    fluxes = {field.name: getattr(exchanged.land, field.name) for field in dataclasses.fields(exchanged.land)}
    simulated = pd.DataFrame(fluxes, index=measurements.time)
    simulated["net_radiation"] = simulated["net_shortwave"] + simulated["net_longwave"]
    simulated["outflow"], simulated["added"] = exchanged.outflow, exchanged.added
    return measurements, simulated


def tower_scores(observed: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Means (W m-2), daily correlation (1) and half-hourly error (W m-2) of latent, sensible heat and net radiation.

    Args:
        observed: Half-hourly, W m-2.
        simulated: At the same times.
    """
    rows = {}
    for name in BARS:
        there = observed[name].notna()
        pair = pd.DataFrame({"simulated": simulated[name][there], "observed": observed[name][there]})
        daily = pair.resample("D").mean().dropna()
        rows[name] = {
            "observed mean": pair["observed"].mean(),
            "simulated mean": pair["simulated"].mean(),
            "daily correlation": float(pcc(daily["simulated"].to_numpy(), daily["observed"].to_numpy())),
            "half-hourly error": _error(pair["simulated"], pair["observed"]),
        }
    return pd.DataFrame(rows).T


def closure(observed: pd.DataFrame) -> dict[str, float]:
    """How well a tower's own measurements agree, which bounds what a model that conserves energy can reach.

    Args:
        observed: Half-hourly, W m-2.

    Returns:
        The share of net radiation less ground heat that both turbulent fluxes make up, and the daily correlation of
        measured sensible heat with what the other three measurements leave for it.
    """
    names = [*HEAT, "net_radiation", "ground_heat"]
    daily = observed[names].dropna().resample("D").mean().dropna()
    available = daily["net_radiation"] - daily["ground_heat"]
    left = available - daily["latent_heat"]
    share = float((daily["latent_heat"] + daily["sensible_heat"]).sum() / available.sum())
    return {"share": share, "correlation": float(pcc(left.to_numpy(), daily["sensible_heat"].to_numpy()))}


def _error(simulated: pd.Series, observed: pd.Series) -> float:
    """Root mean square error over the times with an observation, in the unit of the series."""
    return float(np.sqrt(moments(simulated.to_numpy(), observed.to_numpy()).squared_error))


def _snow(state: site.State, exchanged: site.Exchanged) -> dict[str, jax.Array]:
    """What is compared at a snow station."""
    pack = state.land.snow
    return {"snow_amount": pack.water, "snow_thickness": pack.thickness, "absorbed": exchanged.land.net_shortwave}


def run_snow_station(data: pathlib.Path) -> dict[str, pd.DataFrame]:
    """Daily observations, simulation and the output of FSM at Col de Porte: albedo (1), thickness (m), amount (kg m-2).

    Args:
        data: Folder of all data.
    """
    folder = data / "snow_col_de_porte"
    measurements = sites.read_snow_station(folder / "met_CdP_0506.txt", folder / "obs_CdP_0506.txt")
    reference = sites.read_daily_snow(folder / "out_CdP_0506.txt").reindex(measurements.observed.index)
    column = _site(COL_DE_PORTE)
    start = site.initial_state(column, measurements.observed["soil_temperature"].to_numpy()[:1])
    record = _run(column, start, measurements.weather, record=_snow).record
    daily = {name: np.asarray(values).mean(axis=1)[:, 0] for name, values in record.items()}
    light = np.asarray(measurements.weather.measured.shortwave_down).mean(axis=1)[:, 0]
    daily["albedo"] = 1.0 - daily.pop("absorbed") / light
    simulated = pd.DataFrame(daily, index=measurements.observed.index)
    return {"observed": measurements.observed, "simulated": simulated, "FSM": reference}


def melt_out(thickness: pd.Series) -> pd.Timestamp:
    """The first day after the greatest thickness on which the snow is gone.

    Args:
        thickness: Daily thickness of the snow, m.
    """
    after = thickness[thickness.idxmax() :]
    return pd.Timestamp(after.index[np.argmax(after.to_numpy() < MELTED)])


def snow_scores(series: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Errors of amount (kg m-2), thickness (m) and albedo (1), and how much later the snow is gone (day).

    Args:
        series: What :func:`run_snow_station` returns.
    """
    observed, rows = series["observed"], {}
    covered = observed["snow_thickness"] > MELTED
    for name in ("simulated", "FSM"):
        table = series[name]
        rows[name] = {
            "amount": _error(table["snow_amount"], observed["snow_amount"]),
            "thickness": _error(table["snow_thickness"], observed["snow_thickness"]),
            "albedo": _error(table["albedo"][covered], observed["albedo"][covered]),
            "melt-out": (melt_out(table["snow_thickness"]) - melt_out(observed["snow_thickness"])).days,
        }
    return pd.DataFrame(rows).T


def draw_tower(name: str, observed: pd.DataFrame, simulated: pd.DataFrame) -> Figure:
    """Daily fluxes of a tower and their mean course through the day.

    Args:
        name: Of the tower.
        observed: Half-hourly, W m-2.
        simulated: At the same times.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.5), layout="constrained")
    axes = figure.subplots(3, 2, width_ratios=(3, 1), sharey=False)
    for (left, right), flux in zip(axes, BARS, strict=True):
        for table, label, colour in ((observed, "observed", "#222222"), (simulated, "simulated", "#0072B2")):
            daily = table[flux].resample("D").mean()
            left.plot(daily.index, daily, label=label, color=colour, linewidth=0.8)
            hour = table.index.hour + table.index.minute / 60.0 + 0.25
            course = table[flux].groupby(hour).mean()
            right.plot(course.index, course, color=colour, linewidth=0.8)
        left.set_ylabel(f"{flux.replace('_', ' ')}, W m$^{{-2}}$")
    axes[0, 0].legend(frameon=False)
    axes[0, 0].set_title(f"{name}, daily means")
    axes[0, 1].set_title("mean day")
    axes[2, 1].set_xlabel("hour")
    return figure


def draw_snow(series: dict[str, pd.DataFrame]) -> Figure:
    """Amount, thickness and albedo of the snow.

    Args:
        series: What :func:`run_snow_station` returns.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.5), layout="constrained")
    labels = {"snow_amount": "amount, kg m$^{-2}$", "snow_thickness": "thickness, m", "albedo": "albedo"}
    for axis, (name, label) in zip(figure.subplots(3, 1, sharex=True), labels.items(), strict=True):
        observed = series["observed"][name]
        axis.plot(observed.index, observed, ".", color="#222222", label="observed", markersize=3)
        axis.plot(series["simulated"].index, series["simulated"][name], color="#0072B2", label="simulated")
        axis.plot(series["FSM"].index, series["FSM"][name], color="#CC79A7", label="FSM")
        axis.set_ylabel(label)
        axis.legend(frameon=False)
    return figure


def main(folder: pathlib.Path) -> dict[str, pd.DataFrame]:
    """Run all sites, print their scores and write tables and figures.

    Args:
        folder: Where to write.

    Returns:
        The scores of each site.
    """
    data = pathlib.Path(os.environ["CHASE_DATA"])
    folder.mkdir(parents=True, exist_ok=True)
    scores = {}
    for name in TOWERS:
        measurements, simulated = run_tower(name, data)
        scores[name] = tower_scores(measurements.observed, simulated)
        agreement = closure(measurements.observed)
        print(f"\n{name}\n{scores[name].round(3).to_string()}")
        print(
            f"measured closure {agreement['share']:.2f}; measured sensible heat against what the other measurements "
            f"leave for it: daily correlation {agreement['correlation']:.2f}"
        )
        draw_tower(name, measurements.observed, simulated).savefig(folder / f"{name}.png", dpi=150)
    series = run_snow_station(data)
    scores["Col de Porte"] = snow_scores(series)
    print(f"\nCol de Porte\n{scores['Col de Porte'].round(3).to_string()}")
    draw_snow(series).savefig(folder / "col_de_porte.png", dpi=150)
    for name, table in scores.items():
        table.to_csv(folder / f"{name.lower().replace(' ', '_')}.csv")
    return scores


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/land_sites"))
