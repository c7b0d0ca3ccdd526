"""Signatures for every cell of a map, how far to trust them, and what the regressors look at.

Cells are worked through in tiles of rows, so that memory does not grow with the map beyond the maps themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.neighbors import NearestNeighbors

from chase_jax.signatures.regressors import Fitted, transformed
from chase_jax.signatures.validation import Learning, held_out

TILE = 20_000  # cells at a time
REPEATS = 10  # shuffles of the permutation importance


@dataclasses.dataclass(frozen=True)
class Applicability:
    """How unlike the training basins a place is, in predictors weighted by their importance (meyer2021).

    Attributes:
        center: (predictor,) means of the training basins.
        scale: (predictor,) standard deviations over weights.
        nearest: Finds the nearest training basin.
        mean_distance: Mean distance between two training basins, 1.
        threshold: Largest dissimilarity of a training basin from the others that is no outlier, 1.
    """

    center: np.ndarray
    scale: np.ndarray
    nearest: NearestNeighbors
    mean_distance: float
    threshold: float

    def dissimilarity(self, rows: np.ndarray) -> np.ndarray:
        """Distance (row,) to the nearest training basin over the mean distance between them, 1.

        Args:
            rows (row, predictor): Predictors.
        """
        distance, _ = self.nearest.kneighbors((rows - self.center) / self.scale, n_neighbors=1)
        return distance[:, 0] / self.mean_distance


def applicability(data: Learning, weights: np.ndarray) -> Applicability:
    """The area of applicability of what was learned.

    Args:
        data: The training basins; gaps of predictors count as their mean.
        weights (predictor,): Importance of the predictors, at least 0.

    Source:
        meyer2021; the distance of a basin to the others leaves out those that share its water.
    """
    rows = data.rows
    center = np.nanmean(rows, axis=0)
    rows = np.where(np.isnan(rows), center, rows)
    spread = rows.std(axis=0)
    share = np.maximum(weights, 1e-6 * max(float(weights.max()), 1e-12))
    scale = np.where(spread > 0, spread, 1.0) / (share / share.max())
    scaled = (rows - center) / scale
    distance = np.sqrt(np.maximum(((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(-1), 0.0))
    mean = float(distance[np.triu_indices(len(rows), 1)].mean())
    own = np.empty(len(rows))
    for site in range(len(rows)):
        own[site] = distance[site, ~held_out(site, data.downstream, data.whole_catchment)].min() / mean
    quarter, three = np.quantile(own, (0.25, 0.75))
    threshold = float(own[own <= three + 1.5 * (three - quarter)].max())
    return Applicability(center, scale, NearestNeighbors(n_neighbors=1).fit(scaled), mean, threshold)


def predict_grid(
    models: Mapping[str, Fitted],
    forests: Mapping[str, Fitted],
    areas: Mapping[str, Applicability],
    read: Callable[[slice], np.ndarray],
    shape: tuple[int, int],
    tile: int = TILE,
) -> dict[str, np.ndarray]:
    """Maps of the signatures with their spread and the area of applicability.

    Args:
        models: The model of each target.
        forests: A random forest of each target; the quantiles of its trees give the spread.
        areas: The area of applicability of each target.
        read: Predictors (row, x, predictor) of a slice of rows, in the order of the models' columns, NaN outside.
        shape: Number of rows and columns.
        tile: Cells at a time.

    Returns:
        Maps (y, x) in single precision by name: the targets, `<target>_low` and `<target>_high`,
        `<target>_dissimilarity` (1), and `<target>_applicable` (1 inside the area of applicability, 0 outside); NaN
        where a predictor is.
    """
    parts = ("", "_low", "_high", "_dissimilarity", "_applicable")
    found = {f"{target}{part}": np.full(shape, np.nan, np.float32) for target in models for part in parts}
    step = max(1, tile // shape[1])
    for first in range(0, shape[0], step):
        here = slice(first, min(first + step, shape[0]))
        block = read(here)
        inside = np.isfinite(block).all(-1)
        if not inside.any():
            continue
        rows = block[inside]
        for target, model in models.items():
            low, high = forests[target].spread(rows)
            unlike = areas[target].dissimilarity(rows)
            applicable = unlike <= areas[target].threshold
            for part, values in zip(parts, (model.predict(rows), low, high, unlike, applicable), strict=True):
                found[f"{target}{part}"][here][inside] = values
    return found


def importance(model: Fitted, data: Learning, seed: int) -> pd.DataFrame:
    """What a model looks at.

    Args:
        model: The model.
        data: The basins it was trained on.
        seed: Where the chance of shuffling comes from.

    Returns:
        Columns target, regressor, predictor, impurity (1, sums to 1; NaN where the regressor has none) and permutation
        (fall of R2 of the learned quantity when a predictor is shuffled among the training basins, 1).
    """
    learned, *_ = transformed(data.targets[model.target].to_numpy(), model.target)
    shuffled = permutation_importance(
        model.pipeline, data.rows, learned, n_repeats=REPEATS, random_state=seed, scoring="r2", n_jobs=1
    )
    impurity = getattr(model.pipeline[-1], "feature_importances_", np.full(len(model.columns), np.nan))
    return pd.DataFrame({
        "target": model.target, "regressor": model.regressor, "predictor": list(model.columns),
        "impurity": impurity, "permutation": shuffled["importances_mean"],
    })  # fmt: skip


def running_median(area: np.ndarray, bias: np.ndarray, width: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """Median of a bias over the nearest basins in size.

    Args:
        area (gauge,): Drainage area, any unit.
        bias (gauge,): Bias, percent.
        width: Basins in a window, odd; at the ends the window shrinks.

    Returns:
        Areas (gauge,) in rising order and the running median (gauge,) there, percent.
    """
    order = np.argsort(area, kind="stable")
    half = min(width, order.size) // 2
    medians = [np.median(bias[order[max(0, i - half) : i + half + 1]]) for i in range(order.size)]
    return area[order], np.array(medians)
