"""The four regressors of the paper with what a random search may choose, and a fitted model as a value.

Trees see predictors as they are; support vectors and neighbours see them scaled. Missing values of the extended set are
filled by the median of the training basins, inside the pipeline, so that no fold knows another. Runoff depth is learned
as its square root, the baseflow index as it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import loguniform
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GroupKFold, RandomizedSearchCV, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from chase_jax.checks import require_choice

REGRESSORS = {"rf": "Random Forest", "gbdt": "Gradient Boosted Trees", "svr": "Support Vectors", "knn": "Neighbours"}
ROOT_TARGETS = ("runoff_depth",)  # learned as square roots, against skewness
SPREAD = (0.1, 0.9)  # 1, quantiles of the trees of a forest
BOUNDS = {"runoff_depth": (0.0, np.inf), "baseflow_index": (0.0, 1.0)}

SPACES: dict[str, dict[str, Any]] = {
    "rf": {
        "model__n_estimators": [50, 80, 120],
        "model__max_depth": [8, 12, 20, None],
        "model__min_samples_split": [2, 4, 8],
        "model__min_samples_leaf": [1, 2, 4],
        "model__max_features": [0.3, 0.5, 0.7, 1.0],
    },
    "gbdt": {
        "model__n_estimators": [80, 150, 250],
        "model__learning_rate": loguniform(0.03, 0.15),
        "model__max_depth": [3, 4, 5, 6],
        "model__min_samples_leaf": [2, 5, 10],
        "model__subsample": [0.5, 0.65, 0.8],
        "model__max_features": [0.2, 0.4, 0.7],
    },
    "svr": {
        "model__C": loguniform(0.5, 100.0),
        "model__gamma": loguniform(0.005, 0.3),
        "model__epsilon": loguniform(0.03, 0.3),
    },
    "knn": {
        "model__n_neighbors": list(range(2, 21)),
        "model__weights": ["uniform", "distance"],
        "model__p": [1, 2],
    },
}


@dataclasses.dataclass(frozen=True)
class Design:
    """How hyper-parameters are searched.

    Attributes:
        draws: Random draws, 1.
        folds: Folds of the inner cross-validation, 1.
        seed: Where all chance comes from.
        smearing: Whether to add the mean square of out-of-fold errors to the square of a learned root.
    """

    draws: int = 30
    folds: int = 5
    seed: int = 0
    smearing: bool = False


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained model of one signature.

    Attributes:
        regressor: Name of the regressor.
        target: Name of the signature.
        columns: Names of the predictors, in order.
        pipeline: The trained pipeline; it yields the target, as a root if `root`, centred and scaled.
        center: Subtracted from the (root of the) target in training.
        scale: Divided by in training.
        root: Whether the square root was learned.
        smear: Mean square of the errors of the root, out of fold (duan1983); 0 without smearing.
        parameters: The hyper-parameters.
    """

    regressor: str
    target: str
    columns: tuple[str, ...]
    pipeline: Pipeline
    center: float
    scale: float
    root: bool
    smear: float
    parameters: Mapping[str, Any]

    def predict(self, predictors: pd.DataFrame | np.ndarray) -> np.ndarray:
        """The signature (row,) of rows of predictors, within its bounds, in its unit.

        Args:
            predictors (row, predictor): A table with the columns of the model, or numbers in their order.
        """
        return self._physical(self.pipeline.predict(self._rows(predictors)))

    def members(self, predictors: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Predictions (tree, row) of the trees of a random forest, in the unit of the signature.

        Args:
            predictors (row, predictor): A table with the columns of the model, or numbers in their order.
        """
        require_choice(self.regressor, "regressor", ("rf",))
        rows = np.asarray(self.pipeline[:-1].transform(self._rows(predictors)), dtype=np.float32)
        return self._physical(np.stack([tree.predict(rows) for tree in self.pipeline[-1].estimators_]))

    def spread(self, predictors: pd.DataFrame | np.ndarray) -> np.ndarray:
        """The quantiles of 10 and 90 % of what the trees of a random forest say (2, row), in the unit of the signature.

        Args:
            predictors (row, predictor): A table with the columns of the model, or numbers in their order.
        """
        return np.quantile(self.members(predictors), SPREAD, axis=0)

    def _rows(self, predictors: pd.DataFrame | np.ndarray) -> np.ndarray:
        if isinstance(predictors, pd.DataFrame):
            return predictors[list(self.columns)].to_numpy(dtype=float)
        return np.asarray(predictors, dtype=float)

    def _physical(self, learned: np.ndarray) -> np.ndarray:
        value = learned * self.scale + self.center
        if self.root:
            value = np.maximum(value, 0.0) ** 2 + self.smear
        return np.clip(value, *BOUNDS[self.target])


def seed_of(*words: object) -> int:
    """A seed that depends on words alone, so not on the order of work.

    Args:
        words: What the chance is for.
    """
    return int.from_bytes(hashlib.sha256("/".join(map(str, words)).encode()).digest()[:4], "big")


def pipeline(regressor: str, seed: int) -> Pipeline:
    """An untrained pipeline: fill gaps, scale where distances count, learn.

    Args:
        regressor: Name of the regressor.
        seed: Where chance comes from.
    """
    require_choice(regressor, "regressor", tuple(REGRESSORS))
    models = {
        "rf": RandomForestRegressor(random_state=seed, n_jobs=1),
        "gbdt": GradientBoostingRegressor(random_state=seed),
        "svr": SVR(),
        "knn": KNeighborsRegressor(),
    }
    steps: list[tuple[str, Any]] = [("fill", SimpleImputer(strategy="median", keep_empty_features=True))]
    if regressor in ("svr", "knn"):
        steps.append(("scale", StandardScaler()))
    return Pipeline([*steps, ("model", models[regressor])])


def transformed(values: np.ndarray, target: str) -> tuple[np.ndarray, float, float, bool]:
    """What is learned (row,), with its center, its scale, and whether it is a root.

    Args:
        values (row,): The signature, in its unit.
        target: Name of the signature.
    """
    root = target in ROOT_TARGETS
    learned = np.sqrt(np.maximum(values, 0.0)) if root else np.asarray(values, dtype=float)
    center, scale = float(learned.mean()), float(learned.std()) or 1.0
    return (learned - center) / scale, center, scale, root


def search(
    regressor: str, target: str, rows: np.ndarray, values: np.ndarray, catchment: np.ndarray, design: Design, seed: int
) -> dict[str, Any]:
    """The hyper-parameters of least mean squared error in a random search with cross-validation.

    Args:
        regressor: Name of the regressor.
        target: Name of the signature.
        rows (row, predictor): Predictors of the training basins.
        values (row,): The signature.
        catchment (row,): A number shared by basins of one catchment, which never part between folds.
        design: How to search.
        seed: Where chance comes from.
    """
    learned, *_ = transformed(values, target)
    folds = list(_folds(catchment, design, seed))
    space = dict(SPACES[regressor])
    if regressor == "knn":
        smallest = min(train.size for train, _ in folds)
        space["model__n_neighbors"] = [count for count in space["model__n_neighbors"] if count <= smallest]
    finite = all(isinstance(choices, list) for choices in space.values())
    most = int(np.prod([len(choices) for choices in space.values()])) if finite else design.draws
    chosen = RandomizedSearchCV(
        pipeline(regressor, seed), space, n_iter=min(design.draws, most), cv=folds,
        scoring="neg_mean_squared_error", refit=False, n_jobs=1, random_state=seed,
    )  # fmt: skip
    chosen.fit(rows, learned)
    return {name: _plain(value) for name, value in chosen.best_params_.items()}


def fit(
    regressor: str,
    target: str,
    rows: np.ndarray,
    values: np.ndarray,
    catchment: np.ndarray,
    parameters: Mapping[str, Any],
    columns: tuple[str, ...],
    design: Design,
    seed: int,
) -> Fitted:
    """Train a regressor.

    Args:
        regressor: Name of the regressor.
        target: Name of the signature.
        rows (row, predictor): Predictors of the training basins.
        values (row,): The signature, in its unit.
        catchment (row,): A number shared by basins of one catchment.
        parameters: The hyper-parameters.
        columns: Names of the predictors.
        design: Folds and switch of the smearing correction.
        seed: Where chance comes from.
    """
    learned, center, scale, root = transformed(values, target)
    model = pipeline(regressor, seed).set_params(**parameters)
    smear = 0.0
    if root and design.smearing:
        outside = cross_val_predict(model, rows, learned, cv=list(_folds(catchment, design, seed)))
        smear = float(np.mean(((outside - learned) * scale) ** 2))
    model.fit(rows, learned)
    return Fitted(regressor, target, columns, model, center, scale, root, smear, dict(parameters))


def _folds(catchment: np.ndarray, design: Design, seed: int):
    """Folds that keep basins of one catchment together, if there are catchments enough."""
    if np.unique(catchment).size < design.folds:
        catchment = np.arange(catchment.size)
    splitter = GroupKFold(n_splits=design.folds, shuffle=True, random_state=seed)
    return splitter.split(np.zeros((catchment.size, 1)), groups=catchment)


def _plain(value: Any) -> Any:
    """A number of Python, so that JSON can hold it."""
    return value.item() if isinstance(value, np.generic) else value
