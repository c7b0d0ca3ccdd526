"""Land cover of the Moselle's leaf-area classes: USGS 24-class legend and one-sided leaf area.

The table of leaf areas that comes with the classes reaches 11 to 12 in forests. One-sided leaf area index, projected
leaf area over ground area, is about 5.1 in temperate deciduous and 5.5 in temperate evergreen needleleaf forest
(asner2003), and the table's forest values are close to twice that: they count both sides of a leaf, as canopy storage
schemes do. The values of woody classes are therefore halved. Those of herbaceous classes (fields at most 5.2, pasture
5.0, wetland 5.0) agree with one-sided leaf areas of tended crops and meadows and are kept. A floor of 0.05 leaves
stubble on bare winter fields.
"""

from __future__ import annotations

import pathlib

import numpy as np
import pandas as pd

from chase_jax.checks import require
from data_prep import rawfiles

LEAST_LEAF_AREA = 0.05  # 1
TWO_SIDED = (1, 2, 3, 4)  # classes whose leaf area the table counts on both sides
USGS_CLASS = {
    1: 14,  # coniferous forest: evergreen needleleaf
    2: 11,  # deciduous forest: deciduous broadleaf
    3: 15,  # mixed forest
    4: 6,  # sparsely populated forest: cropland and woodland mosaic
    5: 1,  # sealed areas, and water bodies, which the source does not tell apart: urban
    6: 2,  # vineyards: dryland cropland
    7: 6,  # orchards: cropland and woodland mosaic
    8: 7,  # pasture: grassland
    9: 2,  # fields: dryland cropland
    10: 17,  # wetlands: herbaceous wetland
}


def read_leaf_area(path: pathlib.Path) -> pd.DataFrame:
    """One-sided leaf area index, class by month (1 to 12), 1.

    Raises:
        InputError: If the file is missing, or lacks a class or a month.
    """
    table = rawfiles.read_table(path, sep=r"\s+", skiprows=2, header=None, index_col=0)
    require(table.shape[1] == 13, f"{path}: must have a name and twelve months per class, but has {table.shape[1]}.")
    lacking = sorted(set(USGS_CLASS) - set(table.index))
    require(not lacking, f"{path}: lacks the classes {lacking}; {rawfiles.ADVICE}.")
    numbers = table.iloc[:, 1:].apply(pd.to_numeric, errors="coerce")
    require(bool(numbers.notna().all(axis=None)), f"{path}: must hold a number for every month, but does not.")
    values = numbers.to_numpy(float)
    values = np.where(np.isin(table.index, TWO_SIDED)[:, None], 0.5 * values, values)
    return pd.DataFrame(np.maximum(values, LEAST_LEAF_AREA), index=table.index, columns=range(1, 13))


def map_leaf_area(classes: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Leaf area index (month, row, column), NaN where the class is missing.

    Args:
        classes (row, column): Leaf-area class, NaN where missing.
        table: Table of :func:`read_leaf_area`.
    """
    rows = table.reindex(np.nan_to_num(classes, nan=-1).astype(int).ravel()).to_numpy()
    return rows.T.reshape(12, *classes.shape)


def usgs_class(classes: np.ndarray) -> np.ndarray:
    """USGS class (row, column) of every leaf-area class, 0 where missing. Argument: classes (row, column)."""
    lookup = np.zeros(max(USGS_CLASS) + 1, int)
    for source, target in USGS_CLASS.items():
        lookup[source] = target
    return lookup[np.nan_to_num(classes, nan=0).astype(int)]
