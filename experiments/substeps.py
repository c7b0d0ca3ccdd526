"""How many sub-steps of a day the land surface needs: annual runoff and evapotranspiration with 24, 12, 8 and 4.

    python experiments/substeps.py

Columns of three soils under forest and grass in five climates, with generated daily weather of four years of which the
first is a run-in. The water table is held, so that what leaves to the aquifer is runoff. Writes table.csv, columns.csv
and substeps.png to runs/substeps.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import chase_jax  # noqa: F401  sets double precision
from chase_jax.io import store
from chase_jax.model import land
from chase_jax.physics import atmosphere, groundwater, soil_hydraulics, vegetation
from data_prep import completion, generator


class Climate(NamedTuple):
    """A climate: degrees Celsius, kg m-2 a year, share of the rain that comes with the warmth, K of a day's range."""

    latitude: float
    altitude: float
    mean: float
    swing: float
    precipitation: float
    seasonality: float
    diurnal_range: float


CLIMATES = {
    "cold": Climate(64.0, 150.0, -3.0, 20.0, 320.0, 0.6, 10.0),
    "humid temperate": Climate(48.0, 300.0, 10.0, 9.0, 850.0, 0.0, 9.0),
    "semi-arid": Climate(38.0, 1000.0, 12.0, 14.0, 350.0, 0.6, 14.0),
    "tropical": Climate(5.0, 100.0, 26.0, 1.0, 2000.0, 0.5, 9.0),
    "high mountain": Climate(46.0, 2600.0, -1.0, 8.0, 1200.0, 0.2, 7.0),
}
SOILS = {"sand": (0.85, 0.05), "loam": (0.40, 0.20), "clay": (0.20, 0.55)}  # sand and clay, 1
PLANTS = {"forest": 15, "grass": 7}  # mixed forest and grassland of the USGS legend
TABLE_DEPTH, THICKNESS, YIELD = 20.0, 50.0, 0.1  # m, m, 1
FIRST, YEARS = "2001-01", 4
SUBSTEPS = (24, 12, 8, 4)
LIMIT = 2.0  # %, change that may pass
FLUXES = ("runoff", "evaporation", "canopy evaporation")
YEAR = 86400.0 * 365.25  # s


def columns() -> list[tuple[str, str, str]]:
    """Climate, soil and plants of every column."""
    return [(climate, soil, plant) for climate in CLIMATES for soil in SOILS for plant in PLANTS]


def weather() -> atmosphere.Forcing:
    """Generated weather of all columns (time, cell)."""
    parts = []
    month = np.arange(12 * YEARS)
    for number, climate in enumerate(CLIMATES.values()):
        season = -np.cos(2.0 * np.pi * (month - 0.5) / 12.0)
        rain = climate.precipitation / 12.0 * (1.0 + climate.seasonality * season)
        days = generator.daily_from_monthly(rain, 273.15 + climate.mean + climate.swing * season, FIRST, number)
        half = 0.5 * climate.diurnal_range * np.where(days[1] > 0.0, 0.75, 1.2)  # cloud makes days even
        fields = {
            "precipitation": days[1],
            "air_temperature_min": days[2] - half,
            "air_temperature_max": days[2] + half,
        }
        data = {name: ("time", values, store.attributes(name)) for name, values in fields.items()}
        dataset = xr.Dataset(data, coords={"time": days[0].to_numpy()})
        parts.append(completion.complete(dataset, climate.altitude, climate.latitude)[0])
    together = xr.concat(parts, "climate").isel(climate=np.repeat(np.arange(len(parts)), len(SOILS) * len(PLANTS)))
    return completion.to_forcing(together.transpose("time", "climate"))


def build() -> tuple[land.Parameters, land.State, land.Setting]:
    """Parameters at their defaults, moist soil, and a steady water table."""
    places = columns()
    one = jnp.ones(len(places))
    sand, clay = (jnp.asarray([SOILS[soil][k] for _, soil, _ in places]) for k in (0, 1))
    latitude = jnp.asarray([CLIMATES[name].latitude for name, _, _ in places])
    warmth = jnp.asarray([CLIMATES[name].mean for name, _, _ in places]) + 273.15
    kind = np.array([PLANTS[plant] for _, _, plant in places])
    leaves = vegetation.leaf_area_climatology(kind, latitude)
    plants, soil = vegetation.from_class(kind, leaves), soil_hydraulics.from_texture(sand, clay)
    parameters = land.Parameters.default(plants, leaves, soil, land.Options().dcor_form)
    state = land.State.cold(parameters, warmth, 0.6)
    aquifer = groundwater.Parameters(conductivity=1e-5 * one, specific_yield=YIELD * one, thickness=THICKNESS * one)
    stored = groundwater.storage_at_depth(aquifer, TABLE_DEPTH * one)
    setting = land.Setting(latitude, one, THICKNESS * one, YIELD * one, stored, 0.0 * one)
    return parameters, state, setting


@eqx.filter_jit
def simulate(parameters, state, setting, forcing, substeps: int) -> tuple[jax.Array, ...]:
    """The three fluxes of every day (time, cell), kg m-2 s-1."""
    options = land.Options(land_substeps=substeps)

    def day(state: land.State, today: atmosphere.Forcing):
        result = land.day(parameters, state, today, setting, options)
        f = result.fluxes
        return result.state, (f.surface_runoff + f.recharge, f.evaporation, f.canopy_evaporation)

    return jax.lax.scan(day, state, forcing)[1]


def main(folder: pathlib.Path) -> pd.DataFrame:
    """Run all columns with all sub-steps and compare the years after the first with those of the most sub-steps.

    Args:
        folder: Where to write.

    Returns:
        Annual runoff and evapotranspiration of every climate, means over its columns, and the differences.
    """
    folder.mkdir(parents=True, exist_ok=True)
    forcing, parts = weather(), build()
    names = pd.MultiIndex.from_tuples(columns(), names=["climate", "soil", "plants"])
    table = pd.DataFrame({"precipitation": np.asarray(forcing.precipitation[365:].mean(0)) * YEAR}, index=names)
    for substeps in SUBSTEPS:
        for name, daily in zip(FLUXES, simulate(*parts, forcing, substeps), strict=True):
            table[f"{name} {substeps}"] = np.asarray(daily[365:].mean(0)) * YEAR
    table.to_csv(folder / "columns.csv")
    means = table.groupby("climate", sort=False).mean()
    for name in FLUXES[:2]:
        for substeps in SUBSTEPS[1:]:
            excess = means[f"{name} {substeps}"] - means[f"{name} {SUBSTEPS[0]}"]
            means[f"{name} {substeps}, change %"] = 100.0 * excess / means[f"{name} {SUBSTEPS[0]}"].abs()
            means[f"{name} {substeps}, change % of precipitation"] = 100.0 * excess / means.precipitation
    means.to_csv(folder / "table.csv")
    changes = means.filter(like="change % of")
    changes.plot.bar(ylabel=f"change against {SUBSTEPS[0]} sub-steps, % of precipitation", figsize=(9, 5), rot=20)
    for edge in (-LIMIT, LIMIT):
        plt.axhline(edge, color="k", linewidth=0.7)
    plt.tight_layout()
    plt.savefig(folder / "substeps.png", dpi=120)
    return means


if __name__ == "__main__":
    print(main(pathlib.Path("runs/substeps")).round(2).T.to_string())
