"""Legends of land cover, translated into the one of the model: the 24 classes of the U.S. Geological Survey.

Maps of the Global Land Cover Characterization have that legend; others are translated class by class. Where a class is
wider than one of the model's, the most frequent part of it is taken:
trees of no kind are mixed forest, crops are rain-fed.
"""

from __future__ import annotations

import numpy as np

from chase_jax.checks import require, require_choice

CLASSES = 24
TABLES: dict[str, dict[int, int]] = {
    # Global Land Cover Characterization, loveland2000; 99 interrupted areas and 100 missing data of its projections
    "usgs": {code: code for code in range(1, CLASSES + 1)} | {0: 0, 99: 0, 100: 0},
    # International Geosphere-Biosphere Programme, as in GLCC and MODIS (where 0 is water, too); 255 is missing
    "igbp": {
        0: 16, 1: 14, 2: 13, 3: 12, 4: 11, 5: 15, 6: 8, 7: 8, 8: 10, 9: 10, 10: 7, 11: 17, 12: 2, 13: 1, 14: 6, 15: 24,
        16: 19, 17: 16, 254: 0, 255: 0,
    },
    # Climate Change Initiative of the European Space Agency (and Copernicus), 300 m
    "esa_cci": {
        0: 0, 10: 2, 11: 2, 12: 6, 20: 3, 30: 6, 40: 6, 50: 13, 60: 11, 61: 11, 62: 11, 70: 14, 71: 14, 72: 14, 80: 12,
        81: 12, 82: 12, 90: 15, 100: 10, 110: 9, 120: 8, 121: 8, 122: 8, 130: 7, 140: 20, 150: 19, 151: 19, 152: 19,
        153: 19, 160: 18, 170: 18, 180: 17, 190: 1, 200: 19, 201: 19, 202: 19, 210: 16, 220: 24,
    },
    # WorldCover of the European Space Agency, 10 m
    "esa_worldcover": {0: 0, 10: 15, 20: 8, 30: 7, 40: 2, 50: 1, 60: 19, 70: 24, 80: 16, 90: 17, 95: 18, 100: 20},
}  # fmt: skip


def to_usgs(classes: np.ndarray, legend: str) -> np.ndarray:
    """Class of the legend of the model (...), 0 where missing.

    Args:
        classes (...): Codes of a legend, NaN where missing.
        legend: A name of `TABLES`.

    Raises:
        InputError: If a code is none of the legend.
    """
    require_choice(legend, "legend", tuple(TABLES))
    known = np.isfinite(classes)
    codes = np.where(known, classes, 0.0)
    found, inverse = np.unique(codes, return_inverse=True)
    table = TABLES[legend]
    given = {float(code) for code in np.unique(codes[known])}
    unknown = sorted(given - set(map(float, table)))
    require(not unknown, f"Argument `classes` must hold codes of the legend {legend}, but holds {unknown[:5]}.")
    translated = np.array([table.get(int(code), 0) for code in found])[inverse].reshape(np.shape(classes))
    return np.where(known, translated, 0)
