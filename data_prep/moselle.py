r"""The upper Moselle at Perl, 11,636 km2: 1-km domain, daily weather on its own 24-km grid, one gauge.

Raw data: the test basin of the mHM model (500-m terrain, soils, land cover in EPSG:3035; E-OBS weather 1989 to 1993).

What is odd in these data, and what is done about it:

* **Two groups of weather files do not belong to the same days.** Precipitation, mean temperature and potential
  evapotranspiration move together and with the observed discharge. Minimum and maximum temperature, vapor pressure, net
  radiation and wind move with one another, but from day to day they are uncorrelated with the first group (0.03 between
  the mean temperature and the middle of minimum and maximum), at any lag. Only the first group is used day by day; of
  the second, long-term properties are used: how far the dew point lies above the lowest temperature in each month, and
  the mean net radiation as a check. Wind is taken as it is: right in its distribution, independent of the weather.
* **The diurnal range is recovered from potential evapotranspiration**, which was computed with the formula of
  Hargreaves and Samani from the range of the same day: solving for the range gives a mean of 8.7 K, the mean of the
  minimum and maximum files, never an impossible value, and smaller ranges on wet days than on dry ones.
* **Shortwave radiation** is k sqrt(range) R_a (hargreaves1985) with k = 0.145: it gives 127 W m-2 over the years, as
  expected for Lorraine (about 125), and a net radiation after allen1998 (albedo 0.20 to 0.23) of 68 to 72 W m-2 beside
  69 in the file. The usual inland k = 0.16 would give 140. The files `ssrd` and `strd` are scaled noise and not read.
* **Humidity**: dew point = lowest temperature + the monthly offset named above (-1.0 to +1.1 K), at most saturation at
  the mean temperature (kimball1997).
* **Coordinates** `xc`, `yc` are the upper left corners of the cells and the latitudes run backwards; the header of the
  grid is used instead, the first row being the northernmost. Values outside the catchment are missing in the second
  group and are filled from the nearest cell.
* **The terrain** has filled depressions (90 km of the Moselle at 186 m), so that river altitudes are rebuilt
  (:func:`data_prep.hydrography.river_profile`).
* **Land surface and river bed** are two altitudes: the bed lies below the terrain at the fine cell of largest
  accumulation. Terrain of 500 m hardly shows the valleys within a kilometre, so the land stands above the river at
  least by the mean height of hillsides: local slope times mean distance to the channel, area / (4 length).
* Gauge 00333 is a flow of the Rhine and is left out; geology has no description, so that the aquifer is uniform.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import inputs, store
from chase_jax.signatures.attributes import climate_predictors
from data_prep import (
    by_hand,
    channels,
    completion,
    hydrography,
    landcover,
    outputs,
    rasters,
    rawfiles,
    relief,
    soil,
    weather,
)

CRS = "EPSG:3035"
RESOLUTION = 1000.0  # m
PIXEL, WEATHER_PIXEL = 500.0, 24e3  # m, of the terrain and of the weather
PERIOD = ("1989-01-01", "1993-12-31")
RECORD = ("1990-01-01", "1993-12-31")  # of the gauge
GAUGE, GAUGE_NAME = "00398", "Moselle at Perl"
SHORTWAVE_FACTOR = 0.145  # K-1/2, see above
YEAR = weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR  # s

# Variables of the forcing that were not observed: how, from what, after whom; see above.
DERIVED = {
    "air_temperature_min": ("mean less half the range", "potential_evapotranspiration", "hargreaves1985"),
    "air_temperature_max": ("mean plus half the range", "potential_evapotranspiration", "hargreaves1985"),
    "shortwave_down": ("range of temperature, k = 0.145", "air_temperature_min air_temperature_max", "hargreaves1985"),
    "specific_humidity": ("lowest temperature with monthly offsets", "air_temperature_min", "kimball1997 bolton1980"),
    "air_pressure": ("standard atmosphere", "surface_altitude", "allen1998"),
}

AQUIFER_THICKNESS = 50.0  # m, weathered and fissured part of consolidated sediments; choice of this project
SPECIFIC_YIELD = 0.05  # 1, consolidated sediments; choice of this project
AQUIFER_CONDUCTIVITY = 1e-5  # m s-1, upper range of fissured limestone and sandstone, gleeson2014


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    mended: pathlib.Path | None = None,
    method: str = "largest",
    resolution: float = RESOLUTION,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, forcing.nc, gauges.csv, observations.nc and the reports corrections.csv and preparation.txt.

    See :class:`data_prep.outputs.Recipe`; `resolution` is the width of a cell, m, see :func:`build_domain`.
    """
    source, target = outputs.raw_folder(data_root, "moselle"), pathlib.Path(output_directory)
    names = {"forcing": "forcing.nc", "gauges": "gauges.csv", "observations": "observations.nc"}
    paths = {role: target / name for role, name in names.items()}

    require_resolution(resolution)

    progress("weather: reading and completing")
    forcing = read_weather(source)
    progress("domain: drainage, soils, land cover")
    domain, corrections, gauge, report = build_domain(source, forcing, mended, method, resolution)
    progress("gauge")
    store.write_dataset(forcing.drop_vars("potential_evapotranspiration"), paths["forcing"], "Upper Moselle: weather")
    inputs.write_gauges(paths["gauges"], [gauge])
    time, discharge = read_discharge(source / "gauge" / f"{GAUGE}.txt")
    observed = inputs.observations([GAUGE], time, discharge[None])
    store.write_dataset(observed, paths["observations"], "Upper Moselle: observed discharge")
    means = "\n".join(f"mean {name}: {value}" for name, value in _means(forcing, domain).items())
    depth = np.nanmean(discharge) * YEAR / (float(str(gauge["area_km2"])) * 1e3)
    report += f"\n{means}\nobserved runoff depth {time[0]:%Y} to {time[-1]:%Y}: {depth:.0f} mm per year\n"
    title = f"Upper Moselle at Perl, {resolution / 1e3:g} km"
    return paths | outputs.write_domain(domain, outputs.Account(target, title, corrections, report, progress))


def require_resolution(resolution: float) -> None:
    """Require cells to be whole pixels of the terrain, and the pixels of the weather whole cells.

    Args:
        resolution: Width of a cell, m.

    Raises:
        InputError: Names the widths that are allowed.
    """
    allowed = [f"{width:g}" for width in np.arange(PIXEL, WEATHER_PIXEL + PIXEL, PIXEL) if WEATHER_PIXEL % width == 0.0]
    require(
        resolution % PIXEL == 0.0 and WEATHER_PIXEL % resolution == 0.0,
        f"moselle.resolution is {resolution:g} m; allowed are {', '.join(allowed)} m.",
    )


def read_weather(source: pathlib.Path) -> xr.Dataset:
    """Daily weather on the 24-km grid in SI units, complete in space and time, with its potential evapotranspiration.

    Args:
        source: The folder `moselle`.
    """
    meteo, time = source / "meteo", pd.date_range(*PERIOD)
    header = rasters.ascii_header(meteo / "pre" / "header.txt")
    size, west, south = (header[key] for key in ("cellsize", "xllcorner", "yllcorner"))
    x = west + (np.arange(int(header["ncols"])) + 0.5) * size
    y = south + (int(header["nrows"]) - np.arange(int(header["nrows"])) - 0.5) * size

    def read(file: str, variable: str, unit: str) -> np.ndarray:
        dataset = rawfiles.read_variables(meteo / file, {variable: unit, "time": ""})
        days = dataset.time.values.astype("datetime64[D]")
        require(np.array_equal(days, time.values.astype("datetime64[D]")), f"{meteo / file}: not {PERIOD}.")
        values = dataset[variable].values.astype(float)
        require(values.shape[1:] == (y.size, x.size), f"{meteo / file}: the grid is not that of header.txt.")
        return rasters.fill_nearest(values)

    day = time.day_of_year.to_numpy()[:, None, None]
    geography = rawfiles.read_variables(source / "latlon" / "latlon_1.nc", {"lat": "degrees_north"})
    top = weather.extraterrestrial_radiation(geography["lat"].values, day)
    temperature = read("tavg/tavg.nc", "tavg", "degC") + 273.15
    demand = read("pet/pet.nc", "pet", "mm d-1") / weather.SECONDS_PER_DAY
    spread = weather.diurnal_range_from_evapotranspiration(demand, temperature, top)
    lowest = temperature - 0.5 * spread

    other_excess = weather.dew_point(read("eabs.nc", "eabs", "Pa")) - (read("tmin.nc", "tmin", "degC") + 273.15)
    month = time.month.to_numpy()
    offset = np.array([other_excess[month == number].mean() for number in range(1, 13)])[month - 1][:, None, None]
    vapor = weather.vapor_pressure(np.minimum(lowest + offset, temperature))
    terrain = rasters.read_ascii_grid(source / "morph" / "dem.asc")
    altitude = rasters.fill_nearest(rasters.block_mean(terrain.values, round(size / terrain.cell_size)))
    pressure = np.broadcast_to(weather.standard_pressure(altitude), temperature.shape)
    fields = {
        "precipitation": read("pre/pre.nc", "pre", "mm d-1") / weather.SECONDS_PER_DAY,
        "air_temperature": temperature,
        "air_temperature_min": lowest,
        "air_temperature_max": temperature + 0.5 * spread,
        "shortwave_down": weather.shortwave_from_diurnal_range(spread, top, SHORTWAVE_FACTOR),
        "specific_humidity": weather.specific_humidity(vapor, pressure),
        "air_pressure": pressure,
        "wind_speed": read("windspeed.nc", "windspeed", "m s-1"),
        "potential_evapotranspiration": demand,
        "surface_altitude": altitude,
    }
    forcing = inputs.forcing(fields, time, x, y, CRS)
    for name, (how, origin, references) in DERIVED.items():
        forcing[name].attrs |= completion.flags(name, how, origin, references)
    return forcing


@dataclass
class Network:
    """The drainage of the source.

    Attributes:
        direction (row, column): D8 codes, repaired.
        inside (row, column): True for cells that drain to the gauge.
        outlet: Flat index of the cell of the gauge.
        terrain: Altitude and axes.
        fine_area: Area of a cell, km2.
        corrections: What was repaired.
    """

    direction: np.ndarray
    inside: np.ndarray
    outlet: int
    terrain: rasters.AsciiGrid
    fine_area: float
    corrections: hydrography.Corrections


def read_network(source: pathlib.Path) -> Network:
    """The drainage of the source within the catchment of the gauge. Argument: source, the folder `moselle`."""
    terrain, codes, gauges = (
        rasters.read_ascii_grid(source / "morph" / f"{name}.asc") for name in ("dem", "fdir", "idgauges")
    )
    area, corrections = (terrain.cell_size / 1e3) ** 2, hydrography.Corrections(grid=hydrography.SOURCE)
    inside = np.isfinite(codes.values)
    direction = hydrography.repair(np.nan_to_num(codes.values), inside, terrain.values, corrections, area)
    same = terrain.values.shape == codes.values.shape == gauges.values.shape
    require(same, f"{source / 'morph'}: dem.asc, fdir.asc and idgauges.asc must lie on one grid, but do not.")
    at_gauge = np.flatnonzero(gauges.values == int(GAUGE))
    require(at_gauge.size > 0, f"{source / 'morph' / 'idgauges.asc'}: does not hold the gauge {int(GAUGE)}.")
    outlet = int(at_gauge[0])
    inside &= hydrography.catchment(hydrography.receivers(direction), outlet).reshape(inside.shape)
    return Network(direction, inside, outlet, terrain, area, hydrography.Corrections(corrections.rows))


def build_domain(
    source: pathlib.Path,
    forcing: xr.Dataset,
    mended: pathlib.Path | None = None,
    method: str = "largest",
    resolution: float = RESOLUTION,
) -> tuple[xr.Dataset, hydrography.Corrections, dict[str, object], str]:
    """The domain, the corrections to its drainage, its gauge, and a report.

    Args:
        source: The folder `moselle`.
        forcing: Result of :func:`read_weather`, for the means of the climate.
        mended: Table of directions mended by hand.
        method: How the drainage is upscaled, see :func:`data_prep.hydrography.upscale`.
        resolution: Width of a cell, m; a multiple of 500 that divides the 24 km of the weather.
    """
    grids = {name: rasters.read_ascii_grid(source / "morph" / f"{name}.asc") for name in
             ("slope", "soil_class", "LAI_class")}  # fmt: skip
    network = read_network(source)
    terrain, inside, corrections, fine_area = network.terrain, network.inside, network.corrections, network.fine_area
    factor = round(resolution / terrain.cell_size)
    size = terrain.cell_size * factor
    coarse = hydrography.upscale(network.direction, inside, factor, corrections, fine_area, method)
    x, y = terrain.x.reshape(-1, factor).mean(1), terrain.y.reshape(-1, factor).mean(1)
    coarse = by_hand.apply_to(mended, coarse, x, y, CRS, corrections, (size / 1e3) ** 2)
    active, flat = coarse.active, coarse.active.ravel()

    receiver = hydrography.receivers(coarse.direction)
    outlet = int(np.flatnonzero(coarse.exit.ravel() == network.outlet)[0])
    connected = hydrography.catchment(receiver, outlet)
    require(bool((connected | ~flat).all()), "Argument `fdir` must connect all cells to the gauge, but does not.")
    slope = rasters.block_mean(np.tan(np.deg2rad(grids["slope"].values)), factor)
    land = relief.from_fine(coarse, inside, terrain.values, slope, factor, terrain.cell_size)
    climate = _climate(forcing, x, y)
    rain, demand = climate["mean_precipitation"], climate["mean_potential_evapotranspiration"]
    runoff = rain - channels.pike_evaporation(rain, demand)  # only channel sizes hang on it
    mean_flow = hydrography.accumulate(receiver, np.where(flat, runoff.ravel(), 0) / 1e3 * size * size)
    width, depth = channels.width_and_depth(mean_flow.reshape(active.shape) / YEAR)
    texture = soil.column_texture(soil.read_horizons(source / "morph" / "soil_classdefinition.txt"))
    sand, clay = (rasters.block_mean(part, factor) for part in soil.map_texture(grids["soil_class"].values, texture))
    leaf_table = landcover.read_leaf_area(source / "morph" / "LAI_classdefinition.txt")
    leaf_area = np.stack(
        [rasters.block_mean(part, factor) for part in landcover.map_leaf_area(grids["LAI_class"].values, leaf_table)]
    )
    ones = np.ones(active.shape)
    fields = {
        "surface_altitude": land.surface,
        "channel_bed_altitude": land.river - depth,
        "cell_area": size * size * ones,
        "sand_fraction": sand,
        "clay_fraction": clay,
        "leaf_area_index": leaf_area,
        "aquifer_thickness": AQUIFER_THICKNESS * ones,
        "specific_yield": SPECIFIC_YIELD * ones,
        "aquifer_conductivity": AQUIFER_CONDUCTIVITY * ones,
        "channel_width": width,
        "channel_depth": depth,
        "channel_length": land.length,
        **climate,
        "mean_altitude": rasters.block_mean(terrain.values, factor),
        "mean_slope": slope,
        "mean_clay_fraction": clay,
        "mean_leaf_area_index": leaf_area.mean(0),
    }
    codes = {"active": active, "flow_direction": coarse.direction}
    codes["vegetation_class"] = rasters.block_majority(landcover.usgs_class(grids["LAI_class"].values), factor)
    domain = outputs.domain_dataset(fields | codes, x, y, CRS)
    domain["leaf_area_index"].attrs["comment"] = "One-sided; woody classes of the source table halved"
    domain["surface_altitude"].attrs["comment"] = "Mean of the cell, at least that of hillsides above the channel"
    domain["channel_bed_altitude"].attrs["comment"] = (
        "Below the terrain at the fine cell of largest accumulation, falling downstream"
    )

    area = inside.sum() * fine_area
    error = active.sum() * size * size / 1e6 / area - 1
    report = f"catchment {area:.2f} km2; active cells {active.sum()} of {size / 1e3:g} km ({error:+.2%})\n{land.report}"
    row, column = divmod(outlet, active.shape[1])
    gauge = {"gauge_id": GAUGE, "x": x[column], "y": y[row], "area_km2": area, "name": GAUGE_NAME}
    return domain, corrections, gauge, report


def read_discharge(path: pathlib.Path) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Days and daily mean discharge (m3 s-1, NaN where missing) of a gauge file of mHM."""
    table = rawfiles.read_numbers(path, 5)
    require(table.shape[1] == 6, f"{path}: must have six columns, but has {table.shape[1]}.")
    told = [f"{a:.0f}-{b:.0f}-{c:.0f}" for a, b, c in table[:, :3]]
    time = rawfiles.days(path, told, "%Y-%m-%d", RECORD)
    return time, np.where(table[:, 5] < 0, np.nan, table[:, 5])


def _mean_weather(forcing: xr.Dataset, x: np.ndarray, y: np.ndarray) -> xr.Dataset:
    """Long-term means of the weather on the domain grid, bilinear, beyond the outermost points as at them."""
    place = {
        name: np.clip(v, float(forcing[name].min()), float(forcing[name].max())) for name, v in (("x", x), ("y", y))
    }
    return forcing.drop_vars(["time_bnds", "crs"]).astype(float).mean("time").interp(place)


def _climate(forcing: xr.Dataset, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The climatic predictors on the domain grid."""
    mean = _mean_weather(forcing, x, y)
    rain, demand = mean.precipitation.values * YEAR, mean.potential_evapotranspiration.values * YEAR
    return climate_predictors(rain, mean.air_temperature.values, mean.specific_humidity.values, demand)


def _means(forcing: xr.Dataset, domain: xr.Dataset) -> dict[str, str]:
    """Means over the catchment and all years, for the report."""
    mean = _mean_weather(forcing, domain.x.values, domain.y.values)
    inside = domain.active.values == 1
    value = {str(name): float(array.values[inside].mean()) for name, array in mean.data_vars.items()}
    return {
        "precipitation": f"{value['precipitation'] * YEAR:.0f} mm per year",
        "air temperature": f"{value['air_temperature'] - 273.15:.2f} degrees Celsius",
        "shortwave down": f"{value['shortwave_down']:.1f} W m-2",
        "specific humidity": f"{1e3 * value['specific_humidity']:.2f} g kg-1",
        "air pressure": f"{value['air_pressure'] / 100:.1f} hPa",
        "wind speed": f"{value['wind_speed']:.2f} m s-1",
    }
