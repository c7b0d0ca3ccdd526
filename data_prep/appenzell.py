"""The Sitter at Appenzell, 74 km2 in the Alps: 500-m cells from a terrain of 25 m, daily weather 1981 to 2020, a gauge.

Raw data: CAMELS-CH (weather and discharge) and swisstopo (terrain), EPSG:2056. What is done with them:

* **Weather is that of the whole catchment.** It stands at the mean altitude of the cells; the model moves temperature,
  pressure and humidity from there to each of them. Precipitation is the same everywhere.
* **Sunshine** is called hours, but is a share of the possible in percent (0 to 100). Shortwave radiation is
  (0.25 + 0.50 n/N) of that above the air (allen1998). Humidity follows from temperature (kimball1997), wind is the
  usual 2 m s-1 at 2 m; see :mod:`data_prep.completion`.
* **The catchment** is the published outline, and its way out the lowest point in it. By its filled terrain alone 13 km2
  more would drain there, which the outline leaves out. Cells of 500 m show what the altitude does to the snow; there
  would be 74 of 1 km.
* Soils and vegetation are not among the data: the model's defaults stand.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyproj
import xarray as xr

from chase_jax.checks import require
from chase_jax.domain import channels
from chase_jax.io import inputs, store
from chase_jax.signatures.attributes import climate_predictors
from data_prep import by_hand, completion, hydrography, outputs, rasters, rawfiles, relief, vectors, weather

CRS = "EPSG:2056"
PERIOD = ("1981-01-01", "2020-12-31")
FACTOR = 20  # fine cells of 25 m per cell of the domain
GAUGE, GAUGE_NAME, GAUGE_AREA = "2112", "Sitter at Appenzell", 74.4  # km2


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    method: str = "largest",
) -> dict[str, pathlib.Path]:
    """Write domain.nc, forcing.nc, gauges.csv, observations.nc, reports and a figure.

    See :class:`data_prep.outputs.Recipe`.
    """
    source, target = outputs.raw_folder(data_root, "appenzell"), pathlib.Path(output_directory)
    names = {"forcing": "forcing.nc", "gauges": "gauges.csv", "observations": "observations.nc"}
    paths = {role: target / name for role, name in names.items()}
    progress("domain: drainage of the terrain")
    fields, x, y, corrections, gauge, report = build_fields(source, mended, method)
    progress("weather: reading and completing")
    altitude = float(fields["surface_altitude"][fields["active"]].mean())
    forcing, means = read_weather(source, x, y, altitude)
    store.write_dataset(forcing, paths["forcing"], "Sitter at Appenzell: weather")
    shape = fields["active"].shape
    domain = outputs.domain_dataset(fields | {k: np.full(shape, v) for k, v in means.items()}, x, y, CRS)
    inputs.write_gauges(paths["gauges"], [gauge])
    time, discharge = read_discharge(source / "discharge.csv")
    store.write_dataset(inputs.observations([GAUGE], time, discharge[None]), paths["observations"], "Sitter: discharge")
    depth = np.nanmean(discharge) * weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR / (GAUGE_AREA * 1e3)
    rain, light = means["mean_precipitation"], float(forcing.shortwave_down.mean())
    report += (
        f"\nprecipitation {rain:.0f}, potential evapotranspiration "
        f"{means['mean_potential_evapotranspiration']:.0f}, observed runoff {depth:.0f} mm per year; "
        f"shortwave down {light:.0f} W m-2\nsoil and vegetation: the model's defaults"
    )
    title = "Sitter at Appenzell, 500 m"
    return paths | outputs.write_domain(domain, outputs.Account(target, title, corrections, report, progress))


def build_fields(source: pathlib.Path, mended: pathlib.Path | None = None, method: str = "largest"):
    """Maps of the domain, its axes, the corrections to its drainage, its gauge and a report.

    Args:
        source: The folder `appenzell`.
        mended: Table of directions mended by hand.
        method: How the drainage is upscaled, see :func:`data_prep.hydrography.upscale`.
    """
    terrain = rasters.read_geotiff(source / "dem.tif")
    outline, _ = vectors.read_polygons(source / "outline.shp", CRS)
    fine_size = float(terrain.x[1] - terrain.x[0])
    inside = vectors.coverage(outline, terrain.x, terrain.y, 1) > 0.5
    require(bool(np.isfinite(terrain.values[inside]).all()), f"{source}: the terrain does not cover the outline.")
    outlet = int(np.argmin(np.where(inside, terrain.values, np.inf)))
    ends = np.arange(inside.size).reshape(inside.shape) == outlet
    direction, filled = relief.drainage(terrain.values, inside, ends)
    deepened = (filled - terrain.values)[inside]

    padded = {
        name: rasters.padded(values, FACTOR, fill)
        for name, values, fill in (
            ("direction", direction, 0), ("inside", inside, False), ("altitude", terrain.values, np.nan),
            ("slope", relief.slope(terrain.values, fine_size), np.nan),
        )
    }  # fmt: skip
    columns = padded["inside"].shape[1]
    exit_cell = outlet // inside.shape[1] * columns + outlet % inside.shape[1]
    padded["direction"].flat[exit_cell] = hydrography.OUTLET
    corrections = hydrography.Corrections()
    fine_area = (fine_size / 1e3) ** 2
    coarse = hydrography.upscale(padded["direction"], padded["inside"], FACTOR, corrections, fine_area, method)
    receiver = np.where(padded["inside"].ravel(), hydrography.receivers(padded["direction"]), -1)
    coarse = hydrography.reconnect(coarse, receiver, corrections, fine_area)
    size = fine_size * FACTOR
    x = terrain.x[0] - fine_size / 2 + (np.arange(coarse.active.shape[1]) + 0.5) * size
    y = terrain.y[0] + fine_size / 2 - (np.arange(coarse.active.shape[0]) + 0.5) * size
    coarse = by_hand.apply_to(mended, coarse, x, y, CRS, corrections, (size / 1e3) ** 2)
    slope = rasters.block_mean(padded["slope"], FACTOR)
    land = relief.from_fine(coarse, padded["inside"], padded["altitude"], slope, FACTOR, fine_size)
    fields = {
        "active": coarse.active,
        "flow_direction": coarse.direction,
        "surface_altitude": land.surface,
        "cell_area": np.full(coarse.active.shape, size * size),
        "channel_length": land.length,
        "channel_bed_altitude": land.river - channels.SMALLEST_DEPTH,
        "mean_altitude": rasters.block_mean(padded["altitude"], FACTOR),
        "mean_slope": slope,
    }
    row, column = divmod(int(np.flatnonzero(coarse.exit.ravel() == exit_cell)[0]), coarse.active.shape[1])
    gauge = {"gauge_id": GAUGE, "x": x[column], "y": y[row], "area_km2": GAUGE_AREA, "name": GAUGE_NAME}
    report = (
        f"outline {inside.sum() * fine_area:.2f} km2, published {GAUGE_AREA} km2; active cells "
        f"{coarse.active.sum() * size * size / 1e6:.2f} km2; depressions filled by more than 5 m in "
        f"{(deepened > 5.0).mean():.1%} of the terrain\n"
        f"{land.report}"
    )
    return fields, x, y, corrections, gauge, report


def read_weather(
    source: pathlib.Path, x: np.ndarray, y: np.ndarray, altitude: float
) -> tuple[xr.Dataset, dict[str, float]]:
    """Daily weather at four points around the domain, all alike, and the predictors of its climate.

    Args:
        source: The folder `appenzell`.
        x (column,): Easting of the cell centers, m.
        y (row,): Northing of the cell centers, m.
        altitude: Mean altitude of the cells, which the weather belongs to, m.
    """
    middle = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True).transform(x.mean(), y.mean())
    given, demand = read_station(source, middle[1])
    full, _ = completion.complete(given.expand_dims({"y": 1, "x": 1}, axis=(1, 2)), altitude, middle[1])
    edge = abs(x[1] - x[0])
    outer = np.array([x.min() - edge, x.max() + edge]), np.array([y.max() + edge, y.min() - edge])
    rain = float(given.precipitation.mean()) * weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR
    humidity = float(full.specific_humidity.mean())
    return completion.on_grid(full, *outer, CRS, altitude), climate_predictors(
        rain, float(given.air_temperature.mean()), humidity, demand.mean() * weather.DAYS_PER_YEAR
    )


def read_station(source: pathlib.Path, latitude: float) -> tuple[xr.Dataset, np.ndarray]:
    """Measured daily weather (time,) of the basin, its light from sunshine; potential evapotranspiration, mm per day.

    Args:
        source: The folder `appenzell`.
        latitude: Latitude, degree north.
    """
    path = source / "meteo.csv"
    table = rawfiles.read_table(path)
    wanted = ["date", "precip(mm/day)", "temp(C)", "sunshine_dur(h)", "pet_sim(mm/day)"]
    require(list(table.columns) == wanted, f"{path}: must have the columns {', '.join(wanted)}.")
    time = rawfiles.days(path, table["date"], "%d/%m/%Y", PERIOD)
    rain, celsius, sunshine, demand = (rawfiles.column(path, table, name) for name in wanted[1:])
    share = sunshine / 100.0
    require(share.min() >= 0.0 and share.max() <= 1.0, f"{path}: sunshine must be 0 to 100 %, but is not.")
    top = weather.extraterrestrial_radiation(np.array(latitude), time.day_of_year.to_numpy())
    series = {
        "precipitation": rain / weather.SECONDS_PER_DAY,
        "air_temperature": celsius + 273.15,
        "shortwave_down": weather.shortwave_from_sunshine(share, top),
    }
    given = completion.daily(series, time)
    given["shortwave_down"].attrs |= completion.flags("shortwave_down", "sunshine", "sunshine latitude", "allen1998")
    return given, demand


def read_discharge(path: pathlib.Path) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Days and daily mean discharge, m3 s-1, of the table of the gauge."""
    table = rawfiles.read_table(path)
    require("Date" in table, f"{path}: line 1: the columns are {', '.join(map(str, table.columns))}; needed is Date.")
    time = rawfiles.days(path, table["Date"], "%d/%m/%Y", PERIOD)
    return time, rawfiles.column(path, table, "Discharge (m3/s)", gaps=True)
