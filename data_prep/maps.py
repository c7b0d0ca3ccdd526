"""A figure of a domain: altitude, river network, standing water and ice, soil."""

from __future__ import annotations

import pathlib

import numpy as np
import xarray as xr

from chase_jax import plotting
from chase_jax.io import store

LONGEST_SIDE = 1200  # points of a map; larger ones are thinned
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
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    active = domain.active.values > 0
    step = -(-max(active.shape) // LONGEST_SIDE)
    x, y = domain.x.values / 1e3, domain.y.values / 1e3
    extent = (x.min(), x.max(), y.min(), y.max())
    up = "upper" if y[0] > y[-1] else "lower"

    def field(name: str) -> np.ndarray:
        return np.where(active, domain[name].values, np.nan) if name in domain else np.full(active.shape, np.nan)

    figure = Figure(figsize=(11, 11 * min(max(active.shape[0] / active.shape[1], 0.4), 1.6)), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    area = np.log10(_largest(np.nan_to_num(upstream_area / 1e6, nan=0.0), step).clip(1e-3))
    inside = _largest(active.astype(float), step) > 0
    water = np.where(active, 0.0, np.nan)
    water[field("glacier_fraction") > 0.2] = 1.0
    water[field("lake_index") > 0] = 2.0
    water[field("lake_patch") > 0] = 3.0
    drawn = [
        (field("surface_altitude")[::step, ::step], "terrain", "altitude, m", (None, None)),
        (np.where(inside, area, np.nan), "Blues", "upstream area, log10 of km2", (0.0, None)),
        (water[::step, ::step], ListedColormap(["#d9d4c5", "#b8e0ee", "#5b8fd6", "#123a8c"]), "", (-0.5, 3.5)),
        (field("clay_fraction")[::step, ::step], "YlOrBr", "clay in the soil, 1", (None, None)),
    ]
    for panel, (values, colours, label, (low, high)) in zip(panels.flat, drawn, strict=True):
        panel.set_facecolor(OUT)
        if not np.isfinite(values).any():
            panel.text(0.5, 0.5, f"no data: {label}", ha="center", transform=panel.transAxes)
            continue
        image = panel.imshow(
            values, cmap=colours, extent=extent, origin=up, vmin=low, vmax=high, interpolation="nearest"
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


def _largest(values: np.ndarray, step: int) -> np.ndarray:
    """Largest value of every block of `step` by `step` cells, so that thinning keeps rivers."""
    rows, columns = (-(-size // step) * step for size in values.shape)
    padded = np.zeros((rows, columns))
    padded[: values.shape[0], : values.shape[1]] = values
    return padded.reshape(rows // step, step, columns // step, step).max(axis=(1, 3))
