"""Soil texture of a column from a table of soil classes with horizons."""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd

from chase_jax.checks import require
from data_prep import rawfiles


def read_horizons(path: pathlib.Path) -> pd.DataFrame:
    """Table of soil classes: class, upper, lower (mm), clay, sand (%), one row per horizon.

    Raises:
        InputError: If the file is missing or the texture of a horizon does not add up.
    """
    columns = ["class", "horizon", "upper", "lower", "clay", "sand", "bulk_density"]
    table = rawfiles.read_table(path, sep=r"\s+", skiprows=2, names=columns, usecols=range(7))
    table = pd.DataFrame({name: rawfiles.column(path, table, name) for name in columns}).astype({"class": int})
    bad = table[(table.clay + table.sand > 100.5) | (table.clay < 0) | (table.sand < 0) | (table.lower <= table.upper)]
    place = "" if bad.empty else f"class {bad['class'].iloc[0]}"
    require(bad.empty, f"{path}: clay and sand must lie between 0 and 100 % together, but do not in {place}.")
    return table


def column_texture(table: pd.DataFrame) -> pd.DataFrame:
    """Sand and clay fraction (1) of every class, the mean over all its horizons weighted with their thickness."""
    weight = (table.lower - table.upper).to_numpy(float)
    weighted = table.assign(sand=table.sand * weight / 100, clay=table.clay * weight / 100, weight=weight)
    total = weighted.groupby("class")[["sand", "clay", "weight"]].sum()
    return total[["sand", "clay"]].div(total.weight, axis=0)


def map_texture(classes: np.ndarray, texture: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Sand and clay fraction of every cell, NaN where the class is missing.

    Args:
        classes (row, column): Soil class, NaN where missing.
        texture: Table of :func:`column_texture`.

    Raises:
        InputError: If a class is not in the table.
    """
    unknown = set(np.unique(classes[np.isfinite(classes)]).astype(int)) - set(texture.index)
    told = [int(number) for number in sorted(unknown)]
    require(not unknown, f"Argument `classes` must hold classes of the table of soils, but {told} are not in it.")
    rows = texture.reindex(np.nan_to_num(classes, nan=-1).astype(int).ravel())
    return rows.sand.to_numpy().reshape(classes.shape), rows.clay.to_numpy().reshape(classes.shape)
