"""What recipes share: where they begin, and masked maps in a checked domain file, reports and a figure at the end."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from chase_jax.checks import InputError, require
from chase_jax.io import domain_store, gauge_store, inputs, store
from data_prep import attributes, hydrography, maps

DOMAIN = "domain.nc"
CODES = ("active", "flow_direction", "vegetation_class", "lake_index", "lake_patch")  # 0 outside the domain


class Recipe(Protocol):
    """What `chase prepare` calls: the function `prepare` of a module of `data_prep`.

    One that upscales its network takes `method`, too, see :func:`data_prep.hydrography.upscale`.
    """

    def __call__(
        self,
        data_root: pathlib.Path,
        output_directory: pathlib.Path,
        progress: Callable[[str], None] = ...,
        mended: pathlib.Path | None = ...,
    ) -> dict[str, pathlib.Path]:
        """Write what the model reads.

        Args:
            data_root: Folder that holds the recipe's folder of raw data.
            output_directory: Folder to write to; it is made if need be.
            progress: Called with a line of text at every stage.
            mended: Table of directions mended by hand, see :func:`data_prep.by_hand.read`; none if None.

        Returns:
            Path of every file by its role.

        Raises:
            InputError: If raw data are missing or are not what the recipe knows.
        """
        ...


def quiet(line: str) -> None:
    """Tell nothing of the progress. Argument: line, what would be told."""


def raw_folder(data_root: pathlib.Path, name: str) -> pathlib.Path:
    """The folder of raw data of a recipe.

    Args:
        data_root: Folder that should hold it.
        name: Its name.

    Raises:
        InputError: If it is missing.
    """
    source = pathlib.Path(data_root) / name
    require(source.is_dir(), f"{source}: is missing; set `data.root` to the folder that holds `{name}`.")
    return source


def domain_dataset(fields: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray, crs: str) -> xr.Dataset:
    """Fields named as in the table of variables on a grid, with nothing outside the domain.

    Args:
        fields: Maps (y, x) or (month, y, x), `active` and `flow_direction` among them.
        x (x,): Easting of the cell centers, m.
        y (y,): Northing of the cell centers, m, falling.
        crs: The projection in any form that PROJ reads.
    """
    active = np.asarray(fields["active"], bool)
    masked = {
        name: np.where(active, values, 0 if name in CODES else np.nan)
        for name, values in fields.items()
        if values is not None
    }
    return inputs.raster(masked, x, y, crs)


@dataclass
class Account:
    """What is told of a domain, and where.

    Attributes:
        target: Folder to write to; gauges.csv and files of weather, forcing*.nc, may stand there.
        title: Title of the file and of the figures.
        corrections: What was changed in the drainage.
        report: Lines for preparation.txt.
        progress: Called with a line of text at every stage.
    """

    target: pathlib.Path
    title: str
    corrections: hydrography.Corrections
    report: str
    progress: Callable[[str], None]


def write_domain(domain: xr.Dataset, account: Account) -> dict[str, pathlib.Path]:
    """Write domain.nc, reports, figures, and attributes.csv of the gauges; read the domain as the model does.

    Args:
        domain: Result of :func:`domain_dataset`.
        account: What is told of it.

    Returns:
        Path of every file by its role.

    Raises:
        InputError: If the model would not accept the domain.
    """
    path = account.target / DOMAIN
    store.write_dataset(domain, path, account.title)
    try:
        return describe_domain(account)
    except InputError:
        path.unlink(missing_ok=True)  # what the model would not read is not left as if it were whole
        raise


def describe_domain(account: Account) -> dict[str, pathlib.Path]:
    """What :func:`write_domain` does once domain.nc is written, for recipes that can spare no memory for it any more.

    Args:
        account: What is told of the domain.
    """
    target, title = account.target, account.title
    names = {"domain": DOMAIN, "corrections": "corrections.csv", "report": "preparation.txt"}
    paths = {role: target / name for role, name in names.items()}
    built = domain_store.open_domain(paths["domain"])
    tree = built.drainage
    columns = ["kind", "grid", "row", "column", "before", "after", "upstream_area_km2", "reason"]
    table = pd.DataFrame(account.corrections.rows, columns=columns)
    store.write_text(table.to_csv(index=False), paths["corrections"])
    area = np.asarray(built.cell_area)
    text = (
        f"{title}\n{built.cells} cells, {area.sum() / 1e6:.6g} km2; {int(tree.outlet.sum())} outlets, "
        f"{int(tree.sink.sum())} inland sinks; lakes: {np.unique(built.lake_index[built.lake_index > 0]).size}, "
        f"{built.lakes.cell.size} cells of them in patches; glaciers: "
        f"{float((np.asarray(built.glacier_fraction) * area).sum()) / 1e6:.6g} km2\n"
        f"{account.corrections.text()}\n{account.report.strip()}\n"
    )
    store.write_text(text, paths["report"])
    account.progress(text.strip())
    if (target / "gauges.csv").is_file():
        gauges = gauge_store.read_gauges(target / "gauges.csv", built.grid)
        paths["attributes"] = target / "attributes.csv"
        with store.open_dataset(paths["domain"]) as domain:
            table = attributes.basin_means(domain, built, gauges)
        store.write_text(table.to_csv(index=False, float_format="%.6g"), paths["attributes"])
    upstream = built.grid.unpack(np.asarray(tree.upstream_area))
    del built, tree, area
    try:
        with store.open_dataset(paths["domain"]) as domain:
            paths["figure"] = maps.write(domain, upstream, target, title)
        weather = sorted(target.glob("forcing*.nc"))
        if weather:
            paths["weather_figure"] = maps.write_weather(weather, target, title)
    except InputError as error:
        account.progress(f"no figure: {error}")
    return paths
