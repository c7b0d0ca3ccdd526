r"""Small catchments of CAMELS-US as one domain: basins drawn over climates, each of a few bands of altitude.

Raw data: the folder of :mod:`data_prep.camels_us`. It has daily precipitation, mean temperature and discharge, and
attributes of basins, but no maps. So a basin is constructed:

* **Bands** of equal area run from the highest to the lowest, each one cell of the grid, each draining to the next; the
  gauge stands in the lowest. Their altitudes are those of a normal distribution about the mean altitude, with
  $\sigma = 0.198\, s\, L\, (L / 9\,\mathrm{km})^{-0.66}$ from mean slope s and size $L = \sqrt{A}$, as measured in
  1,200 catchments of 40 to 2500 km2 in cells of 1 km of the Moselle, Otta and Nam Co
  (`experiments/catchment_relief.py`; with the land of such cells as it is drawn now 0.203 and -0.68). The slopes of
  the attributes are as coarse: the steepest of all basins has 0.26, while the Sitter, less steep, has 0.46 in squares
  of 25 m and 0.14 in squares of 1 km.
* **Rows.** A basin stands in the row of the grid at its latitude, which decides on sunlight, with a free row between
  neighbors. Its longitude is not kept, and columns number the bands.
* **Rivers** lie as deep below the land as they do in cells of 1 km, s times 800 m (at the same places: 580, 900 and
  930 m). Width and depth come from the mean flow that precipitation and demand let expect.
* **Soil** has the basin's sand and clay, vegetation its dominant land cover (IGBP) and its leaf area between its
  least and greatest month, in the course of :func:`chase_jax.physics.vegetation.season`. Aquifers have the model's
  defaults.
* **Weather.** The reanalysis drizzles. So what falls on its driest days is taken away until as many days of a year have
  less than 1 mm as the stations' `low_prec_freq` tells, and the rest is scaled to the mean of both products (local
  intensity scaling, schmidli2006). What is missing is derived (:mod:`data_prep.completion`). All of it belongs to the
  mean altitude; the model moves temperature and what hangs on it from there to the bands. Precipitation grows with
  altitude (liston2006), and its mean over the bands is that of the basin.
* **Predictors** are those of the basin, with precipitation, temperature, humidity and demand moved to the altitude of
  the band (Hargreaves' dependence on temperature).

Which basins are taken is decided before anything is run: kept records are divided in three by aridity and each third
in three by the share of snow, and the same number is drawn from every part by a seed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyproj
import scipy.stats
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import inputs, store
from chase_jax.physics import vegetation
from chase_jax.physics.elevation import LAPSE_RATE
from chase_jax.signatures.attributes import Basins, climate_predictors
from data_prep import camels_us, channels, completion, hydrography, legends, outputs, rawfiles, weather

CRS = "+proj=laea +lat_0=37 +lon_0=-96 +datum=WGS84 +units=m"
SIZE = 8000.0  # m, width of a cell of the grid; areas of cells are those of the bands
BANDS = 5
PARTS = 3  # of aridity, and of the share of snow in each
SPREAD, SPREAD_SIZE, SPREAD_POWER = 0.198, 9000.0, -0.66  # see the module
# km-1, by which precipitation grows with altitude in the months of a year, liston2006, table 1
GROWTH = np.array([0.35, 0.35, 0.35, 0.30, 0.25, 0.20, 0.20, 0.20, 0.20, 0.25, 0.30, 0.35])
VALLEY = 800.0  # m, mean height of a cell of 1 km above its river for a slope of 1 between such cells; see the module
RECORD = ("1989-01-01", "2010-12-31")
CLIMATE = ("aridity", "frac_snow", "low_prec_freq")  # columns of the attributes that this recipe needs besides
IGBP = {
    "Evergreen Needleleaf Forest": 1, "Evergreen Broadleaf Forest": 2, "Deciduous Needleleaf Forest": 3,
    "Deciduous Broadleaf Forest": 4, "Mixed Forests": 5, "Closed Shrublands": 6, "Open Shrublands": 7,
    "Woody Savannas": 8, "Savannas": 9, "Grasslands": 10, "Permanent Wetlands": 11, "Croplands": 12,
    "Urban and Built-Up": 13, "Cropland/Natural Vegetation Mosaic": 14, "Snow and Ice": 15,
    "Barren or Sparsely Vegetated": 16,
}  # fmt: skip


def prepare(
    data_root: pathlib.Path,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    basins: int = 36,
    seed: int = 0,
    after: int = 0,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, forcing.nc, gauges.csv, observations.nc, reports and figures.

    Args:
        data_root: Folder that holds the folder `camels_us` of raw data.
        output_directory: Folder to write to; it is made if need be.
        progress: Called with a line of text at every stage.
        basins: How many basins are drawn.
        seed: Seed of the draw.
        after: How many of the draw are passed over: `after=36` gives basins of which none is among the first 36.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If raw data are missing or are not what this recipe knows.
    """
    source, target = outputs.raw_folder(data_root, "camels_us"), pathlib.Path(output_directory)
    names = {"forcing": "forcing.nc", "gauges": "gauges.csv", "observations": "observations.nc"}
    paths = {role: target / name for role, name in names.items()}
    every = camels_us.basins(data_root, progress)
    table = camels_us.read_attributes(source / "attributes.csv", CLIMATE).loc[list(every.gauge_id)]
    chosen = draw(table, basins, seed, after)
    given = pd.DatetimeIndex(every.time)
    first, last = (np.datetime64(day) for day in RECORD)
    days = np.flatnonzero((every.time >= first) & (every.time <= last))
    daily = rawfiles.read_variables(source / "daily.nc", {"gauge_id": "", "tmean": camels_us.DAILY["tmean"]})
    picked = daily["tmean"].sel(gauge_id=[every.gauge_id[k] for k in chosen]).values[:, days].astype(float)
    place = rows_of(every.latitude[chosen])
    chosen, picked, table = chosen[place.order], picked[place.order], table.iloc[chosen[place.order]]
    altitude = band_altitudes(table, every.area[chosen])
    progress(f"basins: {chosen.size} drawn; weather")
    forcing = make_weather(every, chosen, table, altitude, picked + 273.15, given[days], place)
    store.write_dataset(forcing, paths["forcing"], "Catchments of CAMELS-US: weather")
    yearly = forcing["precipitation"].mean("time").values[place.row]
    fields = make_fields(every, chosen, table, altitude, place, yearly / yearly.mean(axis=1, keepdims=True))
    gauges = [
        {"gauge_id": every.gauge_id[k], "x": place.x[-1], "y": place.y[row], "area_km2": every.area[k] / 1e6,
         "name": table.loc[every.gauge_id[k], "gauge_name"]}
        for k, row in zip(chosen, place.row, strict=True)
    ]  # fmt: skip
    inputs.write_gauges(paths["gauges"], gauges)
    discharge = every.flow[chosen][:, days] / 1e3 / weather.SECONDS_PER_DAY * every.area[chosen][:, None]
    observed = inputs.observations([every.gauge_id[k] for k in chosen], given[days], discharge)
    store.write_dataset(observed, paths["observations"], "Catchments of CAMELS-US: discharge")
    domain = outputs.domain_dataset(fields, place.x, place.y, CRS)
    domain.attrs["comment"] = "Catchments are constructed of bands of altitude, in the row of their latitude"
    drawn = ", ".join(every.gauge_id[k] for k in chosen)
    report = f"{chosen.size} catchments of {BANDS} bands, drawn with seed {seed} after {after}: {drawn}"
    title = f"{chosen.size} catchments of CAMELS-US"
    return paths | outputs.write_domain(
        domain, outputs.Account(target, title, hydrography.Corrections(), report, progress)
    )


def draw(table: pd.DataFrame, basins: int, seed: int, after: int = 0) -> np.ndarray:
    """Positions (basin,) of the basins drawn, by aridity and share of snow; see the module.

    Args:
        table: Attributes with a row for each basin.
        basins: How many.
        seed: Seed of the draw.
        after: How many of the draw are passed over.

    Raises:
        InputError: If there are not so many.
    """
    left, least = len(table) - after, PARTS**2
    require(
        after == 0 or left >= least,
        f"camels_catchments.after is {after}; it must be at most {len(table) - least} of {len(table)} with records.",
    )
    require(
        least <= basins <= left,
        f"camels_catchments.basins is {basins}; allowed are {least} to {left}, the number with records beyond "
        "camels_catchments.after.",
    )
    random = np.random.default_rng(seed)
    parts = [
        part
        for third in np.array_split(np.argsort(table["aridity"].to_numpy(), kind="stable"), PARTS)
        for part in np.array_split(third[np.argsort(table["frac_snow"].to_numpy()[third], kind="stable")], PARTS)
    ]
    shuffled = [random.permutation(part) for part in parts]
    ordered = [part[k] for k in range(max(map(len, shuffled))) for part in shuffled if k < len(part)]
    return np.sort(ordered[after : after + basins])


class Rows:
    """Where basins stand.

    Attributes:
        order: (basin,) positions of the given basins from north to south.
        row: (basin,) row of the grid of the basins in that order.
        x: (column,) easting of the cell centers, m.
        y: (row,) northing of the cell centers, m, falling.
    """

    def __init__(self, order: np.ndarray, row: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        self.order, self.row, self.x, self.y = order, row, x, y


def rows_of(latitude: np.ndarray) -> Rows:
    """Rows for basins, the nearest to their latitude that leave one free between any two.

    Args:
        latitude (basin,): degree north.
    """
    project = pyproj.Transformer.from_crs(4326, CRS, always_xy=True)
    north = project.transform(np.full(latitude.size, -96.0), latitude)[1]
    order = np.argsort(-north, kind="stable")
    wanted = -north[order] / SIZE
    row = np.empty(order.size, int)
    last = -np.inf
    for k, value in enumerate(wanted):
        last = row[k] = int(max(np.round(value), last + 2))
    first = row[0]
    y = -(first + np.arange(row[-1] - first + 1)) * SIZE
    x = (np.arange(BANDS) - (BANDS - 1) / 2) * SIZE
    return Rows(order, row - first, x, y)


def band_altitudes(table: pd.DataFrame, area: np.ndarray) -> np.ndarray:
    """Altitude (basin, band) of bands of equal area, the highest first, m.

    Args:
        table: Attributes of the basins.
        area (basin,): Area, m2.
    """
    size = np.sqrt(area)
    slope = table["slope_mean"].to_numpy() / 1e3
    spread = SPREAD * slope * size * (size / SPREAD_SIZE) ** SPREAD_POWER
    middle = scipy.stats.norm.ppf(1.0 - (np.arange(BANDS) + 0.5) / BANDS)
    shape = middle / middle.std()
    return np.maximum(table["elev_mean"].to_numpy()[:, None] + spread[:, None] * shape, 0.0)


def shares_of_bands(altitude: np.ndarray, month: np.ndarray) -> np.ndarray:
    r"""Precipitation of the bands over that of their basin (..., basin, band), 1; their mean is one.

    $$ \frac{1 + \chi\,(z - \bar z)}{1 - \chi\,(z - \bar z)} , $$

    over its mean, with $\chi$ of the month.

    Args:
        altitude (basin, band): Altitude z, m.
        month (...): Months, 1 to 12.

    Source:
        liston2006, eq. 33 and table 1.
    """
    rise = (altitude - altitude.mean(axis=1, keepdims=True)) / 1e3
    part = np.clip(GROWTH[month - 1][..., None, None] * rise, -0.5, 0.5)  # beyond, a quotient is no growth
    share = (1.0 + part) / (1.0 - part)
    return share / share.mean(axis=-1, keepdims=True)


def without_drizzle(rain: np.ndarray, dry_share: np.ndarray) -> np.ndarray:
    """Precipitation (basin, time) that is zero on the driest days of every basin, in the unit it came in.

    Args:
        rain (basin, time): Precipitation.
        dry_share (basin,): Share of the days that are dry, 1.

    Source:
        schmidli2006 (frequency of wet days by a threshold of each place).
    """
    least = np.stack([np.quantile(one, share) for one, share in zip(rain, dry_share, strict=True)])
    return np.where(rain > least[:, None], rain, 0.0)


def make_weather(
    every: Basins,
    chosen: np.ndarray,
    table: pd.DataFrame,
    altitude: np.ndarray,
    temperature: np.ndarray,
    time: pd.DatetimeIndex,
    place: Rows,
) -> xr.Dataset:
    """Completed weather of every row; rows without a basin have that of the next one.

    Args:
        every: All basins.
        chosen (basin,): Positions of those drawn, from north to south.
        table: Their attributes.
        altitude (basin, band): Altitude of their bands, m.
        temperature (basin, time): Mean air temperature, K.
        time (time,): Days, of those of `every`.
        place: Rows of the grid.
    """
    assert every.precipitation is not None  # noqa: S101  the reader of these data gives it
    days = np.searchsorted(pd.DatetimeIndex(every.time), time)
    means = every.predictors["mean_precipitation"].to_numpy()[chosen]
    daily = without_drizzle(every.precipitation[chosen], table["low_prec_freq"].to_numpy() / camels_us.YEAR)
    rain = daily[:, days] * (means / (daily.mean(axis=1) * camels_us.YEAR))[:, None] / weather.SECONDS_PER_DAY
    nearest = np.abs(np.arange(place.y.size)[:, None] - place.row[None, :]).argmin(axis=1)
    middle = xr.DataArray(every.latitude[chosen], dims="basin")
    height = xr.DataArray(table["elev_mean"].to_numpy(), dims="basin")
    given = completion.daily({"precipitation": rain.T, "air_temperature": temperature.T}, time, "basin")
    full, _ = completion.complete(given, height, middle)
    shares = shares_of_bands(altitude, time.month.to_numpy())
    full = full.isel(basin=nearest).rename(basin="y").expand_dims({"x": BANDS}, axis=2)
    full["precipitation"] = full["precipitation"] * shares[:, nearest]
    heights = np.repeat(height.values[nearest][:, None], BANDS, axis=1)
    return completion.on_grid(full, place.x, place.y, CRS, heights)


def make_fields(
    every: Basins, chosen: np.ndarray, table: pd.DataFrame, altitude: np.ndarray, place: Rows, shares: np.ndarray
) -> dict[str, np.ndarray]:
    """Maps of the domain and the predictors.

    Args:
        every: All basins.
        chosen (basin,): Positions of those drawn, from north to south.
        table: Their attributes.
        altitude (basin, band): Altitude of their bands, m.
        place: Rows of the grid.
        shares (basin, band): Annual precipitation of the bands over that of their basin, 1.
    """
    shape = place.y.size, place.x.size

    def spread(values: np.ndarray) -> np.ndarray:
        """Values (basin,) or (basin, band) on the grid."""
        full = np.full(shape, np.nan)
        full[place.row] = np.broadcast_to(values if np.ndim(values) == 2 else values[:, None], (chosen.size, BANDS))
        return full

    area = every.area[chosen] / BANDS
    slope = table["slope_mean"].to_numpy() / 1e3
    length = np.sqrt(area)
    known = every.predictors.iloc[chosen]
    rise = altitude - table["elev_mean"].to_numpy()[:, None]
    usual = known["mean_air_temperature"].to_numpy()[:, None]
    warmth = usual - LAPSE_RATE * rise
    rain = known["mean_precipitation"].to_numpy()[:, None] * shares
    offset = weather.HARGREAVES_OFFSET - 273.15
    growth = np.maximum(warmth + offset, 1.0) / np.maximum(usual + offset, 1.0)
    demand = np.maximum(known["mean_potential_evapotranspiration"].to_numpy()[:, None] * growth, 50.0)
    moist = weather.vapor_pressure(warmth) / weather.vapor_pressure(usual)
    humidity = known["mean_specific_humidity"].to_numpy()[:, None] * moist
    runoff = np.maximum(rain - channels.pike_evaporation(rain, demand), 0.0) / 1e3 * area[:, None]
    flow = np.cumsum(runoff, axis=1) / (weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR)
    width, depth = channels.width_and_depth(flow)
    names = table["dom_land_cover"].fillna("").str.strip()
    lower = {name.lower(): code for name, code in IGBP.items()}
    unknown = sorted(set(names[~names.str.lower().isin(lower)]))
    told = f"attributes.csv: dom_land_cover is '{unknown[0] if unknown else ''}'"
    require(not unknown, f"{told}; it must be one of the IGBP legend; {rawfiles.ADVICE} if it is cut off.")
    plants = legends.to_usgs(names.str.lower().map(lower).to_numpy(float), "igbp")
    largest, change = table["lai_max"].to_numpy(), table["lai_diff"].to_numpy()
    season = vegetation.season(plants, every.latitude[chosen])
    leaves = np.stack([spread(np.maximum(largest - change * (1.0 - part), 0.0)) for part in season])
    texture = table[["sand_frac", "silt_frac", "clay_frac"]].to_numpy()
    texture = texture / texture.sum(axis=1, keepdims=True)
    climate = climate_predictors(rain, warmth, humidity, demand)
    return {
        "active": np.isfinite(spread(area)),
        "flow_direction": np.where(np.arange(BANDS) == BANDS - 1, 0, 1) * np.ones(shape),
        "surface_altitude": spread(altitude),
        "cell_area": spread(area),
        "channel_length": spread(length),
        "channel_width": spread(width),
        "channel_depth": spread(depth),
        "channel_bed_altitude": spread(altitude - VALLEY * slope[:, None] - depth),
        "sand_fraction": spread(texture[:, 0]),
        "clay_fraction": spread(texture[:, 2]),
        "vegetation_class": spread(plants.astype(float)),
        "leaf_area_index": leaves,
        **{name: spread(values) for name, values in climate.items()},
        "mean_altitude": spread(altitude),
        "mean_slope": spread(slope),
        "mean_clay_fraction": spread(known["mean_clay_fraction"].to_numpy()),
        "mean_leaf_area_index": spread(known["mean_leaf_area_index"].to_numpy()),
    }
