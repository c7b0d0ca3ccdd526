r"""A generated domain of the size and kind of China, for tests of scale: nothing in it is a real place.

The large features come from a coarse climatology and altitude (:mod:`data_prep.climatology`), the rest is generated:

* **Relief**: noise with a power-law spectrum at wavelengths below 40 km, as rough as the coarse altitude is there;
  sediment in depressions, ways over it to gorges through their sills, valleys; deep depressions in deserts stay
  inland sinks.
* **Lakes** fill some of the smaller depressions, up to one percent of the land; large ones are patches.
* **Glaciers** where summers stay cold, vegetation and leaf area from temperature, aridity and slope, soils from noise
  and humidity, aquifers thick in plains. Rules and numbers are choices of this project.
* **Weather** of 2001 on a coarse grid, from the monthly climate (:mod:`data_prep.generator`), completed.

The square lies in an equal-area projection about 33 N, 103 E and grows with the number of cells.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyproj
import scipy.fft
import scipy.ndimage
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import inputs, store
from chase_jax.signatures.attributes import climate_predictors
from data_prep import channels, climatology, completion, generator, hydrography, lakes, outputs, relief, weather

NEEDS_DATA = False  # without raw data the built-in climatology is taken
CRS = "+proj=laea +lat_0=33 +lon_0=103 +datum=WGS84 +units=m"
LONGEST_WAVE = 40e3  # m, of the generated relief
SPECTRUM = 1.9  # 1, amplitude falls with the wave number to this power; a surface of Hurst exponent 0.9
ROUGHNESS = 0.4  # 1, spread of the generated relief over that of the coarse altitude around it
LEAST_SPREAD, LARGEST_SPREAD = 6.0, 400.0  # m, of the generated relief
RESISTANCE, WAYS = 1.0, 0.5  # 1, of level ground: how unlike its parts are, and how their unlikeness falls with length
FALL = 1e-4  # m per cell, of level ground
SEDIMENT = 0.6  # 1, of the depth of depressions
SHALLOWEST_LAKE = 1.0  # m
VALLEY_DEPTH = 0.5  # 1, of the largest valleys over the spread of the relief
SINK_DEPTH, SINK_ARIDITY = 30.0, 3.0  # m and 1, from which a depression stays a sink
LAKE_DEPTH, LAKE_SHARE, LARGEST_LAKE = 3.0, 0.01, 0.2  # m; 1, of the land; 1, of all lakes
GLACIER_SUMMER, GLACIER_RANGE = 276.0, 6.0  # K: mean of June to August where ice begins, and over which it covers all
DIURNAL_RANGE = 10.0  # K
YEAR = weather.SECONDS_PER_DAY * weather.DAYS_PER_YEAR  # s
FORCING_SPACING, FORCING_POINTS = 25e3, 60  # m, at least; and points a side, at most
FIRST_MONTH = "2001-01"
MID_MONTH = np.array([15, 46, 74, 105, 135, 166, 196, 227, 258, 288, 319, 349])  # days of the year

# Leaf area index in the cold and in the warm season by class of the USGS legend, 1.
LEAF_AREA = {
    2: (0.3, 3.5), 3: (0.5, 4.5), 7: (0.3, 2.0), 9: (0.2, 0.8), 11: (0.5, 5.0), 13: (4.0, 5.5), 14: (3.5, 5.0),
    15: (2.0, 5.0), 16: (0.0, 0.0), 19: (0.05, 0.1), 22: (0.1, 1.0), 24: (0.0, 0.0),
}  # fmt: skip
GROWTH = (278.0, 293.0)  # K, leaves grow between these monthly temperatures


def prepare(
    data_root: pathlib.Path | None,
    output_directory: pathlib.Path,
    progress: Callable[[str], None] = outputs.quiet,
    cells: int = 100_000,
    seed: int = 1,
    resolution: float = 1000.0,
) -> dict[str, pathlib.Path]:
    """Write domain.nc, forcing.nc of 2001, gauges.csv, reports and a figure.

    Args:
        data_root: Folder that may hold the folder `china_box_climatology`; None for the built-in climatology.
        output_directory: Folder to write to; it is made if need be.
        progress: Called with a line of text at every stage.
        cells: Land cells, about.
        seed: Seed of relief, soils and weather.
        resolution: Width of a cell, m.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If the climatology does not reach as far as the domain.
    """
    target = pathlib.Path(output_directory)
    folder = None if data_root is None else pathlib.Path(data_root) / "china_box_climatology"
    climate = climatology.read(folder) if folder is not None and folder.is_dir() else climatology.built_in()
    paths = {"forcing": target / "forcing.nc", "gauges": target / "gauges.csv"}
    place = locate(climate, cells, resolution)
    progress(f"square of {place.x.size} x {place.y.size} cells of {resolution:g} m; weather")
    forcing = make_weather(climate, place, seed)
    store.write_dataset(forcing, paths["forcing"], "Generated weather of 2001")
    progress("relief and drainage")
    land = make_land(climate, place, seed)
    progress("rivers, lakes, ice, soils, plants")
    fields, corrections, report = make_fields(climate, place, land, forcing, seed)
    inputs.write_gauges(paths["gauges"], choose_gauges(fields, place))
    domain = outputs.domain_dataset(fields, place.x, place.y, CRS)
    del fields, land
    domain.attrs["comment"] = "Generated; no real place"
    title = f"Generated land like China, {resolution / 1e3:g} km, seed {seed}"
    report = f"climate and large relief: {climate.source}\n{report}"
    store.write_dataset(domain, target / outputs.DOMAIN, title)
    del domain, place, forcing  # reading it back takes as much memory again
    return paths | outputs.describe_domain(outputs.Account(target, title, corrections, report, progress))


@dataclass(frozen=True)
class Place:
    """Where the domain lies.

    Attributes:
        x (column,): Easting of the cell centers, m.
        y (row,): Northing of the cell centers, m, falling.
        latitude, longitude (row, column): Of the cells, degree.
        active (row, column): True on land.
        resolution: Width of a cell, m.
    """

    x: np.ndarray
    y: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    active: np.ndarray
    resolution: float


@dataclass(frozen=True)
class Land:
    """The generated land.

    Attributes:
        ground (row, column): Altitude of ground and lakes, without depressions but at sinks, m.
        lake (row, column): Number of the lake, 0 for none.
        bed (row, column): Altitude of the beds of lakes, m, NaN elsewhere.
        direction (row, column): D8 codes.
        rain (row, column): Precipitation of a year, kg m-2.
        demand (row, column): Potential evapotranspiration of a year, kg m-2.
    """

    ground: np.ndarray
    lake: np.ndarray
    bed: np.ndarray
    direction: np.ndarray
    rain: np.ndarray
    demand: np.ndarray


def locate(climate: climatology.Climatology, cells: int, resolution: float) -> Place:
    """A square about the center of the projection with the wanted number of land cells.

    Args:
        climate: The climatology, for its sea.
        cells: Land cells, about.
        resolution: Width of a cell, m.
    """
    side = round(np.sqrt(cells))
    for _ in range(12):
        axis = _axis(side, resolution)
        coarse = axis[:: max(side // 200, 1)]
        land = float(_on_land(climate, *_degrees(coarse, -coarse)).mean())
        require(
            land > 0.05, f"china_like.cells is {cells}; the climatology has too little land for it; take fewer cells."
        )
        side, before = round(np.sqrt(cells / land)), side
        if side == before:
            break
    axis = _axis(side, resolution)
    latitude, longitude = _degrees(axis, -axis)
    active = _on_land(climate, latitude, longitude)
    enough = abs(active.sum() / cells - 1.0) < 0.05
    require(
        enough,
        f"china_like.cells is {cells}; the climatology has about {active.sum()} at china_like.resolution of "
        f"{resolution:g} m; take fewer or smaller cells.",
    )
    return Place(axis, -axis, latitude.astype(np.float32), longitude.astype(np.float32), active, resolution)


def _axis(side: int, resolution: float) -> np.ndarray:
    """Centers of cells about zero, m."""
    return (np.arange(side) - (side - 1) / 2) * resolution


def _degrees(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude (row, column) of a grid."""
    east, north = np.meshgrid(x, y)
    longitude, latitude = pyproj.Transformer.from_crs(CRS, 4326, always_xy=True).transform(east, north)
    return latitude, longitude


def _on_land(climate: climatology.Climatology, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Where there is land of a known climate."""
    known = (latitude > climatology.SOUTH) & (latitude < climatology.NORTH)
    known &= (longitude > climatology.WEST) & (longitude < climatology.EAST)
    return known & (climate.ocean.at(latitude, longitude, order=0) < 0.5)


def noise(shape: tuple[int, int], longest: float, power: float, draw: np.random.Generator) -> np.ndarray:
    """A random surface of unit spread whose amplitude falls with the wave number to a power.

    Args:
        shape: Rows and columns.
        longest: Longest wave, cells; longer ones are damped.
        power: The power, 1.
        draw: Source of random numbers.
    """
    rows, columns = (scipy.fft.next_fast_len(size + round(longest)) for size in shape)  # so that edges do not meet
    wave = np.hypot(scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(columns)).astype(np.float32)
    amplitude = (wave**2 + (1.0 / longest) ** 2) ** (-0.5 * power)
    amplitude *= 1.0 - np.exp(-((wave * longest) ** 2))
    spectrum = scipy.fft.rfft2(draw.standard_normal((rows, columns), dtype=np.float32))
    surface = scipy.fft.irfft2(spectrum * amplitude, s=(rows, columns))[: shape[0], : shape[1]]
    return (surface - surface.mean()) / surface.std()


def make_land(climate: climatology.Climatology, place: Place, seed: int) -> Land:
    """Relief, drainage and the water balance of the climate.

    Args:
        climate: The climatology.
        place: Where.
        seed: Seed of the relief.
    """
    draw, shape = np.random.default_rng([seed, 0]), place.active.shape
    coarse = climate.altitude
    mean = scipy.ndimage.uniform_filter(coarse.values.astype(float), 5)
    square = scipy.ndimage.uniform_filter(coarse.values.astype(float) ** 2, 5)
    rough = climatology.Layer(np.sqrt(np.maximum(square - mean**2, 0.0)), coarse.lat, coarse.lon)
    spread = np.clip(ROUGHNESS * rough.at(place.latitude, place.longitude), LEAST_SPREAD, LARGEST_SPREAD)
    longest = max(LONGEST_WAVE / place.resolution, 4.0)
    altitude = coarse.at(place.latitude, place.longitude) + spread * noise(shape, longest, SPECTRUM, draw)
    altitude = np.maximum(altitude.astype(float), -160.0)

    rain, demand = water_balance(climate, place, altitude)
    edge = place.active & ~scipy.ndimage.binary_erosion(place.active, lakes.EIGHT)
    ends = edge | closed_basins(altitude, relief.drainage(altitude, place.active, edge)[1], demand / rain)

    # sediment in the depressions, a way out through their sills, valleys: then the land is drained once more
    _, filled = relief.drainage(altitude, place.active, ends)
    # a level plain drains in straight lines, one with easier and harder ways does not
    resistance = np.exp(RESISTANCE * noise(shape, 10.0, WAYS, draw))
    uneven = filled + FALL * relief.ramps(altitude, filled, place.active, resistance)
    direction, _ = relief.drainage(uneven, place.active, ends)
    receiver = hydrography.receivers(direction)
    lake = choose_lakes(filled - altitude, place.active, draw)
    bed = np.where(lake > 0, altitude, np.nan)
    ground = np.where(lake > 0, filled, altitude + SEDIMENT * (filled - altitude))
    size = hydrography.accumulate(receiver, place.active.ravel().astype(float)).reshape(shape)
    depth = spread * VALLEY_DEPTH * np.log1p(size) / np.log1p(size.max(initial=1.0))
    ground = np.where(lake > 0, ground, ground - scipy.ndimage.gaussian_filter(depth, 0.7))
    ground = hydrography.carve(receiver, np.where(place.active, ground, altitude).ravel()).reshape(shape)
    direction, ground = relief.drainage(ground, place.active, ends)
    return Land(ground, lake, bed, direction, rain, demand)


def closed_basins(altitude: np.ndarray, filled: np.ndarray, aridity: np.ndarray) -> np.ndarray:
    """Where deep depressions of deserts keep an inland sink (row, column).

    Args:
        altitude (row, column): Altitude, m.
        filled (row, column): Altitude with depressions filled, m.
        aridity (row, column): Potential evapotranspiration over precipitation, 1.
    """
    sinks = np.zeros(altitude.shape, bool)
    part, count = scipy.ndimage.label(filled - altitude > 1.0, lakes.EIGHT)
    if count:
        row, column = np.array(scipy.ndimage.maximum_position(filled - altitude, part, np.arange(1, count + 1))).T
        deep = filled[row, column] - altitude[row, column] > SINK_DEPTH
        kept = deep & (aridity[row, column] > SINK_ARIDITY)
        sinks[row[kept], column[kept]] = True
    return sinks


def water_balance(
    climate: climatology.Climatology, place: Place, altitude: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precipitation and potential evapotranspiration of a year (row, column), kg m-2.

    Args:
        climate: The climatology.
        place: Where.
        altitude (row, column): Altitude, m.

    Source:
        hargreaves1985, with the same daily range everywhere.
    """
    rain, demand = np.zeros(altitude.shape, np.float32), np.zeros(altitude.shape, np.float32)
    for month in range(12):
        rain += climate.precipitation[month].at(place.latitude, place.longitude)
        celsius = climate.temperature_at(month, place.latitude, place.longitude, altitude) - 273.15
        top = weather.extraterrestrial_radiation(place.latitude, MID_MONTH[month])
        daily = weather.HARGREAVES_FACTOR * top * np.maximum(celsius + weather.HARGREAVES_OFFSET, 0.0)
        demand += daily * np.sqrt(DIURNAL_RANGE) / weather.LATENT_HEAT * YEAR / 12
    return np.maximum(rain, 5.0), np.maximum(demand, 50.0)


def choose_lakes(depth: np.ndarray, active: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Number of the lake (row, column), 0 for none: depressions of a fit size, drawn up to a share of the land.

    Args:
        depth (row, column): Depth of the water that would fill the depressions, m.
        active (row, column): True on land.
        draw: Source of random numbers.
    """
    part, count = scipy.ndimage.label(np.where(active, depth, 0.0) > LAKE_DEPTH, lakes.EIGHT)
    size = np.bincount(part.ravel(), minlength=count + 1)
    room = LAKE_SHARE * active.sum()
    fit = (size >= 2) & (size <= LARGEST_LAKE * room)
    fit[0] = False
    order = draw.permutation(np.flatnonzero(fit))
    chosen = order[np.cumsum(size[order]) <= room]
    number = np.zeros(count + 1, int)
    number[chosen] = np.arange(1, chosen.size + 1)
    return number[part]


def make_fields(
    climate: climatology.Climatology, place: Place, land: Land, forcing: xr.Dataset, seed: int
) -> tuple[dict[str, np.ndarray], hydrography.Corrections, str]:
    """Maps of the domain, the corrections to its drainage, and a report.

    Args:
        climate: The climatology.
        place: Where.
        land: The land.
        forcing: The weather, for the mean humidity.
        seed: Seed of the soils.
    """
    active, area, size = place.active, place.resolution**2, place.resolution
    corrections = hydrography.Corrections()
    lake, _ = lakes.connected(land.lake, active)
    direction, exits = lakes.drain(land.direction, lake, corrections, area / 1e6)
    receiver = hydrography.receivers(direction)
    length = hydrography.straight_length(direction, size)
    runoff = np.where(active, land.rain - channels.pike_evaporation(land.rain, land.demand), 0.0)
    flow = hydrography.accumulate(receiver, runoff.ravel() / 1e3 * area).reshape(active.shape)
    width, depth = channels.width_and_depth(flow / YEAR)
    width = np.minimum(width, 0.4 * size)
    upstream = hydrography.accumulate(receiver, np.where(active, area, 0.0).ravel()).reshape(active.shape)
    river = hydrography.river_profile(receiver, land.ground.ravel(), upstream.ravel() / 1e6, length.ravel())
    river = river.reshape(active.shape)
    level = np.full(active.shape, np.nan)
    if exits:
        outlet_level = np.zeros(max(exits) + 1)
        outlet_level[list(exits)] = [river[cell] for cell in exits.values()]
        level = np.where(lake > 0, outlet_level[lake], np.nan)
    patch = lakes.patches(lake, np.full(active.shape, area))
    slope = relief.slope(land.ground, size)
    hillside = slope * area / (4.0 * length)  # mean height of the land above its river
    surface = np.where(patch, level, np.maximum(land.ground, river + hillside))
    bed = np.minimum(land.bed, level - SHALLOWEST_LAKE)

    annual, summer = np.zeros(active.shape, np.float32), np.zeros(active.shape, np.float32)
    for month in range(12):
        warmth = climate.temperature_at(month, place.latitude, place.longitude, surface)
        annual += warmth / 12
        summer += warmth / 3 if month in (5, 6, 7) else 0.0
    ice = np.clip((GLACIER_SUMMER - summer) / GLACIER_RANGE, 0.0, 1.0)
    ice = np.where(active & (lake == 0) & (ice > 0.05), ice, 0.0)
    aridity = land.demand / land.rain
    plants = vegetation(annual, aridity, slope, lake > 0, ice)
    leaves = leaf_area(climate, place, surface, plants)
    clay, sand = soils(active.shape, size, aridity, seed)
    plain = np.exp(-slope / 0.02)
    humidity = _on_grid(forcing.specific_humidity.values.mean(0), forcing, place)
    fields = {
        "active": active,
        "flow_direction": direction,
        "surface_altitude": surface,
        "cell_area": np.full(active.shape, area),
        "sand_fraction": sand,
        "clay_fraction": clay,
        "vegetation_class": plants,
        "leaf_area_index": leaves,
        "lake_index": lake,
        "lake_patch": patch,
        "lake_bed_altitude": np.where(patch, bed, np.nan),
        "lake_sill_altitude": np.where(patch, level, np.nan),
        "glacier_fraction": ice,
        "aquifer_thickness": 20.0 + 130.0 * plain,
        "specific_yield": 0.05 + 0.12 * plain,
        "aquifer_conductivity": 10.0 ** (plain - 5.0),
        "channel_width": width,
        "channel_depth": depth,
        "channel_length": length,
        "channel_bed_altitude": river - depth,
        **climate_predictors(land.rain, annual, humidity, land.demand),
        "mean_altitude": surface,
        "mean_slope": slope,
        "mean_clay_fraction": clay,
        "mean_leaf_area_index": leaves.mean(0),
    }
    share = {code: float((plants[active] == code).mean()) for code in LEAF_AREA}
    told = ", ".join(f"{code}: {part:.1%}" for code, part in share.items() if part > 0.0)
    report = (
        f"precipitation {land.rain[active].mean():.0f}, potential evapotranspiration {land.demand[active].mean():.0f} "
        f"mm per year; altitude {surface[active].min():.0f} to {surface[active].max():.0f} m\n"
        f"lakes {float((lake > 0)[active].mean()):.2%} of the land, largest "
        f"{np.bincount(lake.ravel())[1:].max(initial=0)} cells; "
        f"largest catchment {upstream.max() / 1e6:.0f} km2\nland cover by class: {told}"
    )
    return fields, corrections, report


def vegetation(
    temperature: np.ndarray, aridity: np.ndarray, slope: np.ndarray, water: np.ndarray, ice: np.ndarray
) -> np.ndarray:
    """Class of the USGS legend (row, column).

    Args:
        temperature (row, column): Mean of the year, K.
        aridity (row, column): Potential evapotranspiration over precipitation, 1.
        slope (row, column): Slope, 1.
        water (row, column): True in lakes.
        ice (row, column): Part under ice, 1.
    """
    celsius, flat = temperature - 273.15, slope < 0.03
    rules = [
        (water, 16), (ice > 0.5, 24), (aridity > 6.0, 19), (celsius < -3.0, 22), (aridity > 3.5, 9), (aridity > 1.8, 7),
        (flat & (celsius > 14.0), 3), (flat & (celsius > 4.0), 2), (celsius > 17.0, 13), (celsius > 12.0, 15),
        (celsius > 6.0, 11),
    ]  # fmt: skip
    return np.select([where for where, _ in rules], [code for _, code in rules], default=14)


def leaf_area(climate: climatology.Climatology, place: Place, altitude: np.ndarray, plants: np.ndarray) -> np.ndarray:
    """Leaf area index (month, row, column), 1, from the class and the temperature of the month.

    Args:
        climate: The climatology.
        place: Where.
        altitude (row, column): Altitude, m.
        plants (row, column): Class of the USGS legend.
    """
    low, high = (np.zeros(25, np.float32) for _ in range(2))
    for code, (cold, warm) in LEAF_AREA.items():
        low[code], high[code] = cold, warm
    leaves = np.empty((12, *plants.shape), np.float32)
    for month in range(12):
        warmth = climate.temperature_at(month, place.latitude, place.longitude, altitude)
        grown = np.clip((warmth - GROWTH[0]) / (GROWTH[1] - GROWTH[0]), 0.0, 1.0)
        leaves[month] = low[plants] + grown * (high[plants] - low[plants])
    return leaves


def soils(shape: tuple[int, int], size: float, aridity: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clay and sand in the soil (row, column), 1; more clay in humid climates.

    Args:
        shape: Rows and columns.
        size: Width of a cell, m.
        aridity (row, column): Potential evapotranspiration over precipitation, 1.
        seed: Seed.
    """
    draw = np.random.default_rng([seed, 1])
    one, other = (0.5 + 0.5 * np.tanh(noise(shape, max(100e3 / size, 4.0), 1.5, draw)) for _ in range(2))
    clay = 0.08 + (0.12 + 0.18 * np.exp(-aridity / 1.5)) * one
    return clay, (1.0 - clay) * (0.2 + 0.6 * other)


def make_weather(climate: climatology.Climatology, place: Place, seed: int) -> xr.Dataset:
    """Daily weather of 2001 on a coarse grid around the domain.

    Args:
        climate: The climatology.
        place: Where.
        seed: Seed of the days.
    """
    reach = place.x[-1] - place.x[0] + place.resolution
    spacing = max(FORCING_SPACING, reach / (FORCING_POINTS - 2))
    axis = (np.arange(int(np.ceil(reach / spacing)) + 2) - (np.ceil(reach / spacing) + 1) / 2) * spacing
    latitude, longitude = _degrees(axis, -axis)
    latitude = np.clip(latitude, climatology.SOUTH, climatology.NORTH)
    longitude = np.clip(longitude, climatology.WEST, climatology.EAST)
    altitude = climate.reference.at(latitude, longitude).astype(float)
    rain = np.stack([layer.at(latitude, longitude) for layer in climate.precipitation]).astype(float)
    warmth = np.stack([climate.temperature_at(m, latitude, longitude, altitude) for m in range(12)]).astype(float)
    time, fallen, daily = generator.daily_from_monthly(np.maximum(rain, 0.1), warmth, FIRST_MONTH, seed)
    given = completion.daily({"precipitation": fallen, "air_temperature": daily}, time, "y", "x")
    height, north = (xr.DataArray(values, dims=("y", "x")) for values in (altitude, latitude))
    full, _ = completion.complete(given, height, north)
    return completion.on_grid(full, axis, -axis, CRS, altitude)


def _on_grid(values: np.ndarray, forcing: xr.Dataset, place: Place) -> np.ndarray:
    """Values of the grid of the weather at the cells (row, column), bilinear."""
    layer = climatology.Layer(values, forcing.y.values, forcing.x.values)
    east, north = np.meshgrid(place.x, place.y)
    return layer.at(north, east)


def choose_gauges(fields: dict[str, np.ndarray], place: Place, number: int = 10) -> list[dict[str, object]]:
    """The largest rivers at the cell above their way out of the domain, where that is no lake.

    Args:
        fields: Maps of the domain.
        place: Where.
        number: How many.
    """
    direction, active = fields["flow_direction"], place.active
    receiver = hydrography.receivers(direction)
    upstream = hydrography.accumulate(receiver, np.where(active, place.resolution**2 / 1e6, 0.0).ravel())
    mouth = active.ravel() & (direction.ravel() == hydrography.OUTLET) & (fields["lake_index"].ravel() == 0)
    cells = np.flatnonzero(mouth)
    cells = cells[np.argsort(-upstream[cells], kind="stable")][:number]
    return [
        {"gauge_id": f"{k + 1:02d}", "x": place.x[cell % place.x.size], "y": place.y[cell // place.x.size],
         "area_km2": upstream[cell], "name": f"Mouth {k + 1}"}
        for k, cell in enumerate(cells)
    ]  # fmt: skip
