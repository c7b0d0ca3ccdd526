"""Annual mass balance of Hintereisferner (Oetztal Alps) 1953 to 2003 against the World Glacier Monitoring Service.

    python experiments/hintereisferner.py [folder of raw data]

Monthly temperature and precipitation (HISTALP) become daily weather, completed for the elevation bands of the glacier;
the glacier tile of the model, every parameter at its default, turns it into mass. One factor on precipitation closes
the mean balance; nothing else is fitted. Writes table.csv, bands.csv and balance.png to runs/hintereisferner.
"""

from __future__ import annotations

import os
import pathlib
import sys

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
from chase_jax.model import glacier_tile
from chase_jax.physics import atmosphere, glacier, snow
from data_prep import completion, glaciers

LONGITUDE = 10.758  # degree east
RUN_IN, END = "1942-10", "2003-09"  # ten years for snow and ice to settle
YEARS = np.arange(1953, 2004)  # hydrological, from October
SEED = 1953
FACTORS = np.arange(0.6, 2.61, 0.25)  # on precipitation, between which the one that closes the mean is looked for
SUBSTEPS = 8
ICE = 1e6  # kg m-2, more than can melt within the years of the run


@eqx.filter_jit
def mass_by_day(forcing: atmosphere.Forcing, latitude: float, factor: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mass of snow and ice at the end of every day (time, band), kg m-2, and the largest energy residual, W m-2."""
    bands = forcing.precipitation.shape[1]
    air = atmosphere.Parameters.default(bands)
    ice = glacier.Parameters.default(jnp.mean(forcing.air_temperature, axis=0))
    parameters = glacier_tile.Parameters(snow.Parameters.default(bands), ice)
    start = glacier_tile.State(snow.State.empty(parameters.snow), glacier.State.at_rest(ice, jnp.full(bands, ICE)))

    def day(state: glacier_tile.State, today: atmosphere.Forcing):
        today = eqx.tree_at(lambda f: f.precipitation, today, factor * today.precipitation)
        after, _, residual = glacier_tile.day(parameters, air, state, today, jnp.full(bands, latitude), SUBSTEPS)
        return after, (after.snow.water + after.ice.ice, jnp.max(residual))

    _, (mass, residual) = jax.lax.scan(day, start, forcing)
    return mass, jnp.max(residual)


def annual(mass: np.ndarray, time: pd.DatetimeIndex) -> np.ndarray:
    """Balance of every hydrological year (year, band), kg m-2, from the mass at the end of every day (time, band)."""
    ends = mass[np.flatnonzero((time.month == 9) & (time.day == 30))]
    return np.diff(ends, axis=0)[-YEARS.size :]


def main(root: pathlib.Path, folder: pathlib.Path, seed: int = SEED) -> pd.DataFrame:
    """Prepare, run, compare, write.

    Args:
        root: Folder of raw data.
        folder: Where to write.
        seed: Seed of the daily weather.

    Returns:
        The scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = root / "glaciers"
    altitude, area, latitude = glaciers.bands_of_outline(source / "hef_srtm.tif", source / "Hintereisferner_RGI6.shp")
    path = source / "histalp_merged_hef.nc"
    climate = glaciers.daily_climate(path, latitude, LONGITUDE, altitude, RUN_IN, END, seed)
    weather, report = completion.complete(climate, xr.DataArray(altitude, dims="band"), latitude)
    print(*(f"{name}: {how}" for name, how in report.items()), sep="\n")
    forcing, time = completion.to_forcing(weather), pd.DatetimeIndex(climate.time.values)
    observed = glaciers.read_mass_balance(source / "wgms" / "mbdata" / "mbdata_WGMS-00491.csv")[YEARS]

    tried = jax.lax.map(lambda factor: mass_by_day(forcing, latitude, factor)[0], jnp.asarray(FACTORS), batch_size=9)
    share = area / area.sum()
    means = [float((annual(mass, time) @ share).mean()) for mass in np.asarray(tried)]
    factor = float(np.interp(observed.mean(), means, FACTORS))
    mass, residual = mass_by_day(forcing, latitude, jnp.asarray(factor))
    bands = annual(np.asarray(mass), time)
    found = pd.Series(bands @ share, index=YEARS)
    scores = {
        "area, km2": area.sum() / 1e6,
        "factor on precipitation": factor,
        "mean observed, mm": observed.mean(),
        "mean simulated, mm": found.mean(),
        "mean without the factor, mm": float(np.interp(1.0, FACTORS, means)),
        "correlation": np.corrcoef(found, observed)[0, 1],
        "root mean square error, mm": float(np.sqrt(((found - observed) ** 2).mean())),
        "deviation observed, mm": observed.std(),
        "deviation simulated, mm": found.std(),
        "largest energy residual, W m-2": float(residual),
    }
    table = pd.DataFrame({"observed": observed, "simulated": found})
    table.to_csv(folder / "table.csv")
    measured = source / "wgms" / "mb_profiles" / "profile_WGMS-00491.csv"  # from 1964 on
    profile = pd.DataFrame({"altitude": altitude, "area": area, "simulated": bands[YEARS >= 1964].mean(0)})
    profile["observed"] = glaciers.read_profile(measured, YEARS, altitude)
    profile.to_csv(folder / "bands.csv", index=False)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(2, 1))
    table.plot(ax=left, ylabel="mass balance, kg m-2 a year", title=f"correlation {scores['correlation']:.2f}")
    for name in table:
        right.plot(profile[name], altitude, "o-", label=name)
    right.set(xlabel="mean balance 1964 to 2003, kg m-2 a year", ylabel="altitude, m")
    figure.tight_layout()
    figure.savefig(folder / "balance.png", dpi=120)
    return pd.DataFrame({"value": scores})


if __name__ == "__main__":
    raw = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["CHASE_DATA"])
    print(main(raw, pathlib.Path("runs/hintereisferner")).round(3).to_string())
