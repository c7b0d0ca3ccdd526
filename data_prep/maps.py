"""Figures of a domain (altitude, river network, standing water and ice, soil) and of its weather."""

from __future__ import annotations

import pathlib
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax import plotting
from chase_jax.io import store

SHORT = 90  # days of weather up to which every day is drawn
LONGEST_SIDE = 1200  # points of a map; larger ones are thinned
NETWORK_SIDE = 450  # points of the map of rivers, whose lines must not be thinner than those of the figure
LONGEST = 4.0  # 1, length over width up to which maps are drawn in their true shape
OUT = "#f4f4f4"  # outside the domain


def write(domain: xr.Dataset, upstream_area: np.ndarray, folder: pathlib.Path, title: str) -> pathlib.Path:
    """Draw domain.png.

    Args:
        domain: A domain file's content.
        upstream_area (y, x): Area that drains through a cell, m2, NaN outside the domain.
        folder: Where the figure goes.
        title: Its title.

    Raises:
        InputError: If matplotlib is not installed.
    """
    plotting.require_matplotlib()
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    active = domain.active.values > 0
    step = -(-max(active.shape) // LONGEST_SIDE)
    x, y = domain.x.values / 1e3, domain.y.values / 1e3
    up = "upper" if y[0] > y[-1] else "lower"

    def field(name: str) -> np.ndarray:
        return np.where(active, domain[name].values, np.nan) if name in domain else np.full(active.shape, np.nan)

    shape = min(max(active.shape[0] / active.shape[1], 0.4), 1.6)
    figure = Figure(figsize=(11, 8.2 * shape + 1.8), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    ratio = _aspect(active.shape, 1.0)
    half = abs(x[1] - x[0]) / 2 if x.size > 1 else 0.5
    extent = (x.min() - half, x.max() + half, y.min() - half, y.max() + half)
    block = -(-max(active.shape) // NETWORK_SIDE)
    area = np.log10(_largest(np.nan_to_num(upstream_area / 1e6, nan=0.0), block).clip(1e-3))
    area[_largest(active.astype(float), block) == 0.0] = np.nan
    water = np.where(active, 0.0, np.nan)
    water[field("glacier_fraction") > 0.2] = 1.0
    water[field("lake_index") > 0] = 2.0
    water[field("lake_patch") > 0] = 3.0
    # the land half of the colours of terrain: low land is no water
    relief = ListedColormap(colormaps["terrain"](np.linspace(0.25, 1.0, 256)))
    drawn = [
        ("altitude", field("surface_altitude")[::step, ::step], relief, "m", (None, None)),
        ("rivers", area, "Blues", "upstream area, log10 of km2", (np.nanmedian(area), None)),
        ("standing water and ice", water[::step, ::step],
         ListedColormap(["#d9d4c5", "#b8e0ee", "#5b8fd6", "#123a8c"]), "", (-0.5, 3.5)),
        ("soil", field("clay_fraction")[::step, ::step], "YlOrBr", "part of clay", (None, None)),
    ]  # fmt: skip
    for panel, (name, values, colours, label, (low, high)) in zip(panels.flat, drawn, strict=True):
        panel.set_facecolor(OUT)
        panel.set_title(name)
        if not np.isfinite(values).any():
            panel.imshow(np.where(active, 1.0, np.nan)[::step, ::step], cmap=ListedColormap(["#d9d4c5"]),
                         extent=extent, origin=up, interpolation="nearest", aspect=ratio)  # fmt: skip
            note = dict(ha="center", va="center", transform=panel.transAxes)
            panel.text(0.5, 0.5, "not in the data:\nthe model's default", **note)
            continue
        image = panel.imshow(
            values, cmap=colours, extent=extent, origin=up, vmin=low, vmax=high, interpolation="nearest", aspect=ratio
        )
        bar = figure.colorbar(image, ax=panel, shrink=0.8, label=label)
        if not label:
            bar.set_ticks([0, 1, 2, 3], labels=["land", "glacier", "lake", "lake patch"])
    figure.supxlabel("easting, km")
    figure.supylabel("northing, km")
    figure.suptitle(title)
    path = folder / "domain.png"
    with store.committed(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    return path


def write_weather(files: list[pathlib.Path], folder: pathlib.Path, title: str) -> pathlib.Path:
    """Draw forcing.png: maps of mean precipitation and temperature on the grid of the weather, and monthly means.

    Args:
        files: Files of weather on one grid, in the order of time; they are read one by one.
        folder: Where the figure goes.
        title: Its title.

    Raises:
        InputError: If matplotlib is not installed.
    """
    plotting.require_matplotlib()
    from matplotlib.figure import Figure

    wanted = {
        "precipitation": (86400.0, 0.0, "mm per day"), "air_temperature": (1.0, -273.15, "degrees Celsius"),
        "shortwave_down": (1.0, 0.0, "W m-2"), "specific_humidity": (1e3, 0.0, "g kg-1"),
    }  # fmt: skip
    total: dict[str, np.ndarray | float] = dict.fromkeys(wanted, 0.0)
    series: dict[str, list[pd.Series]] = {name: [] for name in wanted}
    count = 0
    for file in files:
        with store.open_dataset(file) as dataset:
            axes = [axis for axis in dataset["precipitation"].dims if axis != "time"]
            down, across = (dataset[axis].values for axis in axes)
            time = pd.DatetimeIndex(dataset["time"].values)
            count += time.size
            for name, (factor, offset, _) in wanted.items():
                values = dataset[name].transpose("time", *axes).values * factor + offset
                total[name] = total[name] + values.sum(axis=0, dtype=float)
                series[name].append(pd.Series(values.mean(axis=(1, 2), dtype=float), time))
    figure = Figure(figsize=(11, 10), layout="constrained")
    panels = figure.subplots(3, 2, height_ratios=(2, 1, 1))
    scale = 1e3 if axes[0] == "y" else 1.0
    half = (
        abs(across[-1] - across[0]) / max(across.size - 1, 1) / 2,
        abs(down[-1] - down[0]) / max(down.size - 1, 1) / 2,
    )
    edges = (across.min() - half[0], across.max() + half[0], down.min() - half[1], down.max() + half[1])
    extent = tuple(edge / scale for edge in edges)
    true = 1.0 if axes[0] == "y" else 1.0 / max(np.cos(np.deg2rad(down.mean())), 0.1)
    ratio = _aspect((down.size, across.size), true)
    for panel, name, colours in zip(panels[0], wanted, ("YlGnBu", "RdYlBu_r"), strict=False):
        image = panel.imshow(
            np.asarray(total[name]) / count, cmap=colours, extent=extent, interpolation="nearest", aspect=ratio,
            origin="upper" if down[0] > down[-1] else "lower",
        )  # fmt: skip
        label = f"mean {name.replace('_', ' ')}, {wanted[name][2]}"
        figure.colorbar(image, ax=panel, shrink=0.8, label=label)
        panel.set_xlabel("easting, km" if axes[0] == "y" else "longitude, degree")
        panel.set_ylabel("northing, km" if axes[0] == "y" else "latitude, degree")
    for panel, (name, (_, _, unit)) in zip(panels[1:].flat, wanted.items(), strict=True):
        days = pd.concat(series[name])
        monthly = days.resample("MS").mean() if days.size > SHORT else days
        panel.plot(monthly.index, monthly.to_numpy(), color="#123a8c", linewidth=1.0)
        panel.set_ylabel(f"{name.replace('_', ' ')}, {unit}")
        panel.tick_params(axis="x", rotation=30)
    figure.suptitle(f"{title}: weather, {'monthly' if days.size > SHORT else 'daily'} means of all points")
    path = folder / "forcing.png"
    with store.committed(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    return path


def _aspect(shape: tuple[int, int], true: float) -> float | Literal["auto"]:
    """The aspect of a map, true but where that would leave nothing to be seen."""
    return true if 1.0 / LONGEST <= shape[0] / shape[1] <= LONGEST else "auto"


def _largest(values: np.ndarray, step: int) -> np.ndarray:
    """Largest value of every block of `step` by `step` cells, so that thinning keeps rivers."""
    rows, columns = (-(-size // step) * step for size in values.shape)
    padded = np.zeros((rows, columns))
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(rows // step, step, columns // step, step).max(axis=(1, 3))
