"""Weather: read from files on any regular grid, checked, brought to the cells, one chunk of days at a time.

The grid of the weather may be that of the domain or a coarser one in any projection or in degrees. Values at the cells
are bilinear; where some of the four corners never hold a value (beyond a coast), the others take their weight, and
where none does, the nearest point that does is taken. Indices and weights are computed once. Steps of less than a day
are averaged to days. A stamp stands for the interval that begins at it (`time_bnds` wins where it is given).
If the file holds its own `surface_altitude`, what depends on altitude is moved to that of the cells
(:mod:`chase_jax.physics.elevation`).
"""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.domain.grid import Grid
from chase_jax.io import regrid, store
from chase_jax.physics import elevation
from chase_jax.physics.atmosphere import Forcing
from chase_jax.physics.elevation import LAPSE_RATE
from chase_jax.variables import FORCING_REQUIRED

DEFAULT_DIURNAL_RANGE = 10.0  # K, where the file tells neither extremes nor the course of the day
MOVED = "air_temperature", "specific_humidity", "air_pressure", "longwave_down"  # as `elevation.Weather` has them
STEPS_TO_SEE_THE_DAY = 4  # steps per day from which the diurnal range is taken from the steps themselves
DAY = np.timedelta64(1, "D")


@dataclasses.dataclass(frozen=True)
class Reader:
    """Weather at the cells of a domain for a span of days.

    Attributes:
        path: What the user gave, for messages.
        datasets: The open files in the order of time.
        starts: (file + 1,) number of the first time step of every file, and of the end.
        first_step: The step at which the span begins.
        steps_per_day: Time steps in a day.
        dates: (day,) the days of the span.
        rows: The rows of the weather grid that are read.
        columns: The columns of the weather grid that are read.
        axes: Names of the vertical and horizontal axis.
        points: (point,) positions used within the window of rows and columns.
        weights: (cell, point) sparse interpolation weights, each row sums to 1.
        rise: (cell,) altitude of the cells above the weather's own surface, m, 0 if the file does not tell it.
        lapse_rate: Fall of temperature with altitude, K m-1.
        names: The variables that are read.
    """

    path: pathlib.Path
    datasets: tuple[xr.Dataset, ...]
    starts: np.ndarray
    first_step: int
    steps_per_day: int
    dates: np.ndarray
    rows: slice
    columns: slice
    axes: tuple[str, str]
    points: np.ndarray
    weights: scipy.sparse.csr_matrix
    rise: np.ndarray
    lapse_rate: float
    names: tuple[str, ...]

    def read(self, day: int, count: int, padded: int | None = None) -> Forcing:
        """The weather of `count` days from number `day` of the span on.

        Args:
            day: Number of the first day, from 0.
            count: How many days.
            padded: Length of the leading axis; further days repeat the last one.

        Returns:
            Forcing with leading axis `time`.

        Raises:
            InputError: Names file, variable, date, grid point, value and what is allowed.
        """
        found = {name: self._steps(name, day, count) for name in self.names}
        daily = {name: steps.mean(axis=1) for name, steps in found.items()}
        spread = self._diurnal_range(found)
        cells = {name: (self.weights @ values.T).T for name, values in daily.items()}
        if self.rise.any():
            cells |= _moved(cells, self.rise, self.lapse_rate)
        dates = self.dates[day : day + count]
        fields = {name: cells[name] for name in FORCING_REQUIRED} | {
            "longwave_down": cells.get("longwave_down", np.zeros_like(cells["air_temperature"])),
            "diurnal_range": (self.weights @ spread.T).T,
            "day_of_year": ((dates - dates.astype("datetime64[Y]")) / DAY + 1.0).astype(float),
        }
        extra = max((padded or count) - count, 0)
        padding = {
            name: jnp.asarray(np.concatenate([v, np.repeat(v[-1:], extra, axis=0)])) for name, v in fields.items()
        }
        return Forcing(**padding, longwave_given="longwave_down" in self.names)

    def scan(self, days: int = 31) -> dict[str, tuple[float, float, float]]:
        """Read the whole span once and check every value.

        Returns:
            Smallest, mean and largest value of every variable over the domain, in the unit of the table.
        """
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in self.names}
        for day in range(0, self.dates.size, days):
            count = min(days, self.dates.size - day)
            steps = {name: self._steps(name, day, count) for name in self.names}
            self._diurnal_range(steps)
            for name, values in steps.items():
                found[name].append((float(values.min()), float(values.mean()) * count, float(values.max())))
        return {
            name: (min(p[0] for p in parts), sum(p[1] for p in parts) / self.dates.size, max(p[2] for p in parts))
            for name, parts in found.items()
        }

    def _steps(self, name: str, day: int, count: int) -> np.ndarray:
        """Checked values (day, step, point) of a variable in the unit of the table."""
        begin = self.first_step + day * self.steps_per_day
        end = begin + count * self.steps_per_day
        parts = []
        for number, dataset in enumerate(self.datasets):
            low, high = max(begin, self.starts[number]), min(end, self.starts[number + 1])
            if low >= high:
                continue
            array = store.require_variable(dataset, name, self.path).transpose("time", *self.axes)
            here = slice(int(low - self.starts[number]), int(high - self.starts[number]))
            window = {"time": here, self.axes[0]: self.rows, self.axes[1]: self.columns}
            values = store.canonical(array.isel(window), name, self.path)
            parts.append(values.reshape(len(values), -1)[:, self.points])
        values = np.concatenate(parts)

        def place(index: tuple[int, ...]) -> str:
            date = self.dates[day + index[0] // self.steps_per_day]
            width = self.columns.stop - self.columns.start
            row, column = divmod(int(self.points[index[1]]), width)
            y = float(self.datasets[0][self.axes[0]][self.rows.start + row])
            x = float(self.datasets[0][self.axes[1]][self.columns.start + column])
            return f"{date} at {self.axes[0]} {y:g}, {self.axes[1]} {x:g}"

        store.check_values(values, name, self.path, place)
        return values.reshape(count, self.steps_per_day, -1)

    def _diurnal_range(self, steps: dict[str, np.ndarray]) -> np.ndarray:
        """Highest less lowest temperature of every day (day, point), K."""
        temperature = steps["air_temperature"]
        if "air_temperature_min" in steps and "air_temperature_max" in steps:
            spread = steps["air_temperature_max"].max(axis=1) - steps["air_temperature_min"].min(axis=1)
            require(
                bool(spread.min() >= 0.0),
                f"{self.path}: variable air_temperature_min: exceeds air_temperature_max by up to {-spread.min():g} K; "
                "it must not; exchange the two or correct them.",
            )
            return spread
        if self.steps_per_day >= STEPS_TO_SEE_THE_DAY:
            return temperature.max(axis=1) - temperature.min(axis=1)
        return np.full(temperature.shape[::2], DEFAULT_DIURNAL_RANGE)


def _moved(cells: dict[str, np.ndarray], rise: np.ndarray, lapse_rate: float) -> dict[str, np.ndarray]:
    """What changes of the weather (day, cell) of cells that lie (cell,) m above the surface it belongs to."""
    names = [name for name in MOVED if name in cells]
    days = zip(*(cells[name] for name in names), strict=True)  # one by one, which bounds the memory
    there = [_moved_day(elevation.Weather(*day), rise, lapse_rate) for day in days]
    return {name: np.stack([np.asarray(day[k]) for day in there]) for k, name in enumerate(names)}


_moved_day = jax.jit(elevation.moved)


def open_forcing(
    path: str | os.PathLike[str], grid: Grid, surface_altitude: np.ndarray, start: str, end: str,
    lapse_rate: float = LAPSE_RATE, start_key: str = "period.start",
) -> Reader:  # fmt: skip
    """Open the weather of a span of days for the cells of a grid; all but the values is checked here.

    Args:
        path: A netCDF file, a Zarr folder, or a pattern such as "weather/*.nc" of files that follow each other in time.
        grid: The grid of the domain.
        surface_altitude: (cell,) altitude of the cells, m.
        start: First day, ISO.
        end: Last day, ISO.
        lapse_rate: Fall of temperature with altitude, K m-1; acts only if the file holds `surface_altitude`.
        start_key: The configuration key of the first day, for messages.

    Raises:
        InputError: Names file, variable, date or place, and what is allowed.
    """
    files = _files(path)
    name = pathlib.Path(path)
    datasets = tuple(sorted((store.open_dataset(file) for file in files), key=lambda d: _first(d, name)))
    times = [_stamps(dataset, name) for dataset in datasets]
    starts = np.concatenate([[0], np.cumsum([len(t) for t in times])])
    first_step, steps_per_day, dates = _span(np.concatenate(times), start, end, name, start_key)
    sample = {key: store.require_variable(datasets[0], key, name) for key in FORCING_REQUIRED}
    optional = [
        key
        for key in ("longwave_down", "air_temperature_min", "air_temperature_max")
        if all(store.find(dataset, key, name) is not None for dataset in datasets)
    ]
    axes = _axes(sample, name)
    number = int(np.searchsorted(starts, first_step, side="right")) - 1
    at, step = datasets[number], first_step - int(starts[number])
    held = [store.require_variable(at, key, name).isel(time=step).transpose(*axes).values for key in FORCING_REQUIRED]
    valid = ~np.all([np.isnan(np.asarray(v, dtype=float)) for v in held], axis=0)
    rows, columns, points, weights = regrid.bilinear(datasets[0], axes, valid, grid, name)
    altitude = store.find(datasets[0], "surface_altitude", name)
    rise = np.zeros(grid.cells)
    if altitude is not None:
        window = altitude.isel({axes[0]: rows, axes[1]: columns}).transpose(*axes)
        rise = (
            np.asarray(surface_altitude) - weights @ store.canonical(window, "surface_altitude", name).ravel()[points]
        )
        require(
            bool(np.isfinite(rise).all()), f"{name}: variable surface_altitude: is missing (NaN) where it is needed."
        )
    return Reader(
        name, datasets, starts, first_step, steps_per_day, dates, rows, columns, axes, points, weights, rise,
        lapse_rate, (*FORCING_REQUIRED, *optional),
    )  # fmt: skip


def _files(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The files a path or a pattern stands for."""
    text = os.fspath(path)
    if not any(mark in text for mark in "*?["):
        return [store.local_path(text, "forcing.path")]
    found = sorted(glob.glob(text))
    require(
        bool(found), f"forcing.path: {text}: no file matches (looked in {pathlib.Path.cwd()}); correct the pattern."
    )
    return [pathlib.Path(name) for name in found]


def _first(dataset: xr.Dataset, path: pathlib.Path) -> np.datetime64:
    return _stamps(dataset, path)[0]


def _stamps(dataset: xr.Dataset, path: pathlib.Path) -> np.ndarray:
    """The start of every time step of a file."""
    require("time" in dataset.coords, f"{path}: coordinate time: is missing; add a CF time axis.")
    time = dataset["time"]
    require(time.ndim == 1 and time.size > 0, f"{path}: coordinate time: is empty; the file holds no day.")
    bounds = dataset.get(str(time.attrs.get("bounds") or time.encoding.get("bounds") or "time_bnds"))
    stamps = bounds.values[:, 0] if bounds is not None and bounds.dtype.kind == "M" else time.values
    if stamps.dtype.kind == "O":
        calendar = getattr(stamps[0], "calendar", "unknown")
        raise InputError(
            f"{path}: coordinate time: the calendar is '{calendar}'; allowed is the standard calendar; "
            "convert the file, so that every real day is there once."
        )
    require(
        stamps.dtype.kind == "M",
        f"{path}: coordinate time: has no CF `units` such as 'days since 1990-01-01'; add them.",
    )
    return stamps.astype("datetime64[s]")


def _span(stamps: np.ndarray, start: str, end: str, path: pathlib.Path, start_key: str) -> tuple[int, int, np.ndarray]:
    """First step, steps per day and dates of a span; every step must be there once."""
    first, last = np.datetime64(start, "D"), np.datetime64(end, "D")
    gaps = np.diff(stamps).astype(int)
    step = int(np.median(gaps)) if gaps.size else 86400
    whole = step >= 86400
    require(step >= 0, f"{path}: coordinate time: runs backwards, by {-step} s a step; sort the file by time.")
    require(
        0 < step <= 86400 and 86400 % step == 0,
        f"{path}: coordinate time: the step is {step} s; allowed are a day or an even part of it; "
        "average or refine the file.",
    )
    stamps = stamps.astype("datetime64[D]").astype("datetime64[s]") if whole else stamps
    have = f"{stamps[0].astype('datetime64[D]')} to {stamps[-1].astype('datetime64[D]')}"
    for key, day in ((start_key, first), ("period.end", last)):
        require(
            stamps[0].astype("datetime64[D]") <= day <= stamps[-1].astype("datetime64[D]"),
            f"{path}: coordinate time: {key} {day} lies outside the file, which covers {have}; choose a day within it.",
        )
    wanted = np.arange(first.astype("datetime64[s]"), (last + DAY).astype("datetime64[s]"), np.timedelta64(step, "s"))
    inside = np.flatnonzero((stamps >= wanted[0]) & (stamps < (last + DAY).astype("datetime64[s]")))
    found = stamps[inside]
    backward = np.flatnonzero(np.diff(found).astype(int) <= 0)
    require(
        backward.size == 0,
        f"{path}: coordinate time: {found[backward[0] + 1] if backward.size else ''} comes after "
        f"{found[backward[0]] if backward.size else ''}; every step must be there once and in order; "
        "remove the duplicate or sort the file.",
    )
    missing = np.setdiff1d(wanted, found)
    require(
        missing.size == 0,
        f"{path}: coordinate time: {missing[0] if missing.size else ''} is missing (and {max(missing.size - 1, 0)} "
        f"more steps); every step of {step} s from {first} to {last} must be there; "
        "fill the gap or shorten the period.",
    )
    require(found.size == wanted.size, f"{path}: coordinate time: steps are not even; every step must last {step} s.")
    return int(inside[0]), 86400 // step, np.arange(first, last + DAY)


def _axes(arrays: dict[str, xr.DataArray], path: pathlib.Path) -> tuple[str, str]:
    """Names of the vertical and the horizontal axis, the same for all variables."""
    for axes in (("y", "x"), ("lat", "lon"), ("latitude", "longitude")):
        if all(set(array.dims) == {"time", *axes} for array in arrays.values()):
            return axes
    name, array = next((n, a) for n, a in arrays.items() if set(a.dims) != {"time", "y", "x"})
    raise InputError(
        f"{path}: variable {name}: has the axes ({', '.join(map(str, array.dims))}); "
        "allowed are (time, y, x) or (time, lat, lon), the same for all variables; transpose or regrid the file."
    )
