"""Daily weather of a region from CHM_PRE and ERA5-Land, completed and written year by year, so that memory stays flat.

Precipitation gives the grid; the reanalysis is brought there bilinearly. Without CHM_PRE the precipitation of the
reanalysis is taken. Days are those of the stamps: of the reanalysis from 00 UTC, of CHM_PRE as its provider has them.
Wind is the mean of hourly speeds, not the speed of the mean wind. Gaps at coasts are filled from the nearest point.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import require
from chase_jax.io import output, store
from chase_jax.io.calendar import DAY
from data_prep import completion, gridded, rasters, weather

GRAVITY = 9.80665  # m s-2, of the geopotential
PACKED = 1e-3  # 1, of the range of values, by which packed files may differ
REACH = 0.3  # degree, that is read beyond the region
ERA, RAIN = "era5_land", "chm_pre"
DIRECT = ("air_temperature", "air_pressure", "dew_point_temperature", "shortwave_down", "longwave_down")
WIND = ("eastward_wind", "northward_wind")
Region = tuple[float, float, float, float]


@dataclass
class Climate:
    """Means over all written days (lat, lon).

    Attributes:
        precipitation: kg m-2 per year.
        temperature: K.
        humidity: Specific humidity, 1.
        demand: Potential evapotranspiration of wet ground, kg m-2 per year.
    """

    precipitation: xr.DataArray
    temperature: xr.DataArray
    humidity: xr.DataArray
    demand: xr.DataArray


@dataclass
class Shelf:
    """Files of one source, and which of them hold what.

    Attributes:
        source: Name in the catalog.
        holding: Files with their first and last stamp by quantity.
        idle: Lines on files that hold nothing of the source.
    """

    source: str
    holding: dict[str, list[tuple[pathlib.Path, np.datetime64, np.datetime64]]]
    idle: list[str]

    @classmethod
    def of(cls, source: str, paths: list[pathlib.Path]) -> Shelf:
        """Look into files. Arguments: source, a name of the catalog; paths, netCDF files."""
        holding: dict[str, list[tuple[pathlib.Path, np.datetime64, np.datetime64]]] = {}
        idle = []
        for path in paths:
            with rasters.open_netcdf(path) as dataset:
                before = sum(map(len, holding.values()))
                axis = next((name for name in gridded.AXES["time"] if name in dataset.variables), None)
                for quantity, entry in gridded.catalog()[source]["quantities"].items():
                    if any(name in dataset for name in entry["variables"]):
                        still = entry["kind"] == "static"
                        require(still or axis is not None, f"{path}: holds no axis of time.")
                        stamps = np.array(["NaT"], "M8[ns]") if still else dataset[axis].values
                        require(stamps.size > 0, f"{path}: holds no time.")
                        holding.setdefault(quantity, []).append((path, stamps[0], stamps[-1]))
                if sum(map(len, holding.values())) == before:
                    held = ", ".join(map(str, dataset.data_vars)) or "no variable"
                    idle.append(f"{path}: holds nothing that is read ({held})")
        return cls(source, holding, idle)

    def days(self) -> pd.DatetimeIndex:
        """First to last day that any file has."""
        ends = [(low, high) for name, found in self.holding.items() if name != "geopotential" for _, low, high in found]
        low, high = min(e[0] for e in ends), max(e[1] for e in ends)
        return pd.date_range(pd.Timestamp(low).normalize(), pd.Timestamp(high).normalize())

    def read(self, quantity: str, first: pd.Timestamp, last: pd.Timestamp, region: Region) -> xr.DataArray | None:
        """Values (time, lat, lon) with stamps between two, each once; None if no file has any."""
        parts = [
            gridded.read(self.source, quantity, path, (first.isoformat(), last.isoformat()), region)
            for path, low, high in self.holding.get(quantity, [])
            if low <= last.to_datetime64() and high >= first.to_datetime64()
        ]
        if not parts:
            return None
        for part in parts[1:]:
            alike = np.array_equal(part.lat, parts[0].lat) and np.array_equal(part.lon, parts[0].lon)
            require(alike, f"{self.source}: files with {quantity} must lie on one grid, but do not.")
        units = parts[0].attrs
        joined = xr.concat(parts, "time").sortby("time")
        twice = np.flatnonzero(joined.get_index("time").duplicated())
        spread = PACKED * float(joined.max() - joined.min()) if twice.size else 0.0
        same = np.allclose(joined.values[twice], joined.values[twice - 1], rtol=0.0, atol=spread, equal_nan=True)
        day = str(joined.time.values[twice[0]])[:10] if twice.size else ""
        require(
            same, f"{self.source}: two files tell different {quantity} on {day}; leave one of them, such as the means."
        )
        return joined.drop_duplicates("time").assign_attrs(units)


def write(
    rain: list[pathlib.Path],
    era: list[pathlib.Path],
    region: Region,
    folder: pathlib.Path,
    altitude_at: Callable[[np.ndarray, np.ndarray], np.ndarray],
    progress: Callable[[str], None],
) -> tuple[Climate, str]:
    """Write `forcing_YEAR.nc` for every year that has days of both sources, and the means of all.

    Args:
        rain: Files of CHM_PRE; none for the precipitation of the reanalysis.
        era: Files of ERA5-Land, any quantities in any files; its geopotential may be among them.
        region: South, north, west and east edge, degree.
        folder: Folder to write to.
        altitude_at: Altitude, m, at points (lat, lon) in degrees, used where there is no geopotential.
        progress: Called with a line of text at every year.

    Returns:
        The means, and lines that tell where the weather is from.

    Raises:
        InputError: If no temperature or no precipitation is there, or the sources have no day in common.
    """
    wide = (region[0] - REACH, region[1] + REACH, region[2] - REACH, region[3] + REACH)
    air = Shelf.of(ERA, era)
    wet = Shelf.of(RAIN, rain) if rain else air
    for line in dict.fromkeys((*air.idle, *wet.idle)):
        progress(line)
    require("air_temperature" in air.holding, f"{ERA}: no file holds t2m; the temperature cannot be replaced.")
    require("precipitation" in wet.holding, f"{wet.source}: no file holds precipitation; it cannot be replaced.")
    days = air.days().intersection(wet.days())
    require(days.size > 0, "chm_pre and era5_land have no day in common; get files of the same years.")
    sums: dict[str, np.ndarray | float] = {}
    derived: dict[str, str] = {}
    grid: dict[str, np.ndarray] = {}
    count, lines = 0, []
    for year in sorted(set(days.year)):
        found = _year(wet, air, int(year), wide)
        if found is None:
            continue
        height = _altitude(air, found, wide, altitude_at)
        latitude = xr.DataArray(found.lat.values, dims="lat")
        full, told = completion.complete(found, height, latitude)
        derived |= told
        _write_year(full, height, folder / f"forcing_{year}.nc", int(year))
        progress(f"weather of {year}: {full.sizes['time']} days, {full.sizes['lat']} x {full.sizes['lon']} points")
        wet_ground = weather.equilibrium_evaporation(
            full.shortwave_down.values, full.air_temperature.values, full.air_pressure.values
        )
        of_year = {
            "rain": full.precipitation,
            "warmth": full.air_temperature,
            "humidity": full.specific_humidity,
            "demand": np.maximum(wet_ground, 0.0),
        }
        for name, values in of_year.items():
            sums[name] = sums.get(name, 0.0) + np.asarray(values, float).sum(axis=0)
        count += full.sizes["time"]
        grid = {"lat": full.lat.values, "lon": full.lon.values}
    require(count > 0, "chm_pre and era5_land have no whole day in common; get files of the same days.")
    lines.append(f"weather of {count} days; precipitation of {gridded.catalog()[wet.source]['title']}")
    lines += [f"{name}: not in the files, {how}" for name, how in derived.items()]
    per_year = weather.DAYS_PER_YEAR
    mean = {name: xr.DataArray(total / count, grid, ("lat", "lon")) for name, total in sums.items()}
    climate = Climate(
        mean["rain"] * weather.SECONDS_PER_DAY * per_year, mean["warmth"], mean["humidity"], mean["demand"] * per_year
    )
    return climate, "\n".join(lines)


def _year(wet: Shelf, air: Shelf, year: int, region: Region) -> xr.Dataset | None:
    """What is known of the days of a year, on the grid of the precipitation; None if they have no day in common."""
    first, last = pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31, 23, 59)
    midnight = pd.Timestamp(year + 1, 1, 1)
    after = first + pd.Timedelta(minutes=1)
    series: dict[str, xr.DataArray] = {}
    if wet.source == RAIN:
        fallen = wet.read("precipitation", first, last, region)
    else:
        hours = wet.read("precipitation", after, midnight, region)
        fallen = None if hours is None else gridded.daily(hours, "accumulated")
    if fallen is None:
        return None
    fallen = fallen.assign_coords(time=pd.DatetimeIndex(fallen.time.values).normalize())
    series["precipitation"] = fallen.clip(min=0.0)
    for name in DIRECT:
        accumulated = gridded.catalog()[ERA]["quantities"][name]["kind"] == "accumulated"
        span = (after, midnight) if accumulated else (first, last)
        array = air.read(name, *span, region)
        if array is None:
            continue
        series[name] = gridded.daily(array, "accumulated" if accumulated else "instant")
        if name == "air_temperature" and array.sizes["time"] > series[name].sizes["time"]:
            by_day = array.resample(time="1D")
            series["air_temperature_min"], series["air_temperature_max"] = by_day.min(), by_day.max()
    eastward, northward = (air.read(name, first, last, region) for name in WIND)
    if eastward is not None and northward is not None:
        speed: xr.DataArray = (eastward**2 + northward**2) ** 0.5
        series["wind_speed"] = gridded.daily(speed, "instant")
    if "air_temperature" not in series:
        return None
    common = series["precipitation"].time.values
    for array in series.values():
        common = np.intersect1d(common, array.time.values)
    if common.size == 0:
        return None
    target = series["precipitation"]
    data = {}
    for name, array in series.items():
        chosen = array.sel(time=common)
        filled = chosen.copy(data=np.stack([rasters.fill_nearest(day) for day in chosen.values]))
        placed = filled if name == "precipitation" else _at(filled, target)
        told = {"units": "K"} if name == completion.DEW_POINT else store.attributes(name)
        data[name] = (("time", "lat", "lon"), placed.values, told)
    return xr.Dataset(data, {"time": common, "lat": target.lat.values, "lon": target.lon.values})


def _at(array: xr.DataArray, target: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Values at the points of another grid, bilinear, as at the edge beyond it."""
    place = {
        axis: np.clip(target[axis].values, float(array[axis].min()), float(array[axis].max()))
        for axis in ("lat", "lon")
    }
    return array.interp(place)


def _altitude(
    air: Shelf, found: xr.Dataset, region: Region, altitude_at: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> xr.DataArray:
    """Altitude (lat, lon) that the weather belongs to, m: of the reanalysis, else of the terrain."""
    if "geopotential" in air.holding:
        surface = gridded.read(ERA, "geopotential", air.holding["geopotential"][0][0], None, region) / GRAVITY
        surface = surface.copy(data=rasters.fill_nearest(surface.values))
        placed = _at(surface, found).values
    else:
        placed = altitude_at(found.lat.values, found.lon.values)
    return xr.DataArray(placed, {"lat": found.lat.values, "lon": found.lon.values}, ("lat", "lon"))


def _write_year(full: xr.Dataset, altitude: xr.DataArray, path: pathlib.Path, year: int) -> None:
    """One file of daily weather in degrees, each day stamped at its start."""
    kept = full.drop_vars(completion.DEW_POINT, errors="ignore").astype("f4")
    for name in kept:
        kept[name].attrs |= full[name].attrs
    kept["surface_altitude"] = (("lat", "lon"), altitude.values.astype("f4"), store.attributes("surface_altitude"))
    kept = kept.assign_coords(
        lat=("lat", full.lat.values, {"standard_name": "latitude", "units": "degrees_north"}),
        lon=("lon", full.lon.values, {"standard_name": "longitude", "units": "degrees_east"}),
    )
    kept = output.with_time(kept, full.time.values, full.time.values + DAY)
    store.write_dataset(kept, path, f"Weather of {year}")
