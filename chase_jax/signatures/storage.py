"""Trained models in files that hold no code: skops with a fixed list of trusted types.

A file that names any other type is refused before anything of it is built.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
from typing import Any

from chase_jax.checks import InputError, require
from chase_jax.signatures.regressors import Fitted

TRUSTED = (
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._kd_tree.KDTree64",
    "sklearn.tree._tree.Tree",
)
PACKAGES = ("chase_jax", "scikit-learn", "numpy", "skops")


def available() -> bool:
    """Whether models can be stored; it needs the extra `ml`."""
    return importlib.util.find_spec("skops") is not None


def versions() -> dict[str, str]:
    """Versions of what decides a model."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def save(model: Fitted, path: pathlib.Path, trained_on: str) -> None:
    """Write a model.

    Args:
        model: The model.
        path: The file.
        trained_on: Hash of the training set.
    """
    import skops.io

    values = {
        name: getattr(model, name) for name in ("regressor", "target", "pipeline", "center", "scale", "root", "smear")
    }
    values |= {"columns": list(model.columns), "parameters": dict(model.parameters), "trained_on": trained_on,
               "versions": versions()}  # fmt: skip
    skops.io.dump(values, path)


def load(path: pathlib.Path) -> tuple[Fitted, dict[str, Any]]:
    """Read a model, and what is known of its training: `trained_on` and `versions`.

    Args:
        path: The file.

    Raises:
        InputError: If the file is no model, or names a type that is not trusted.
    """
    require(available(), f"{path}: reading a model needs an extra: pip install 'chase_jax[ml]'.")
    import skops.io

    try:
        foreign = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        require(not foreign, f"{path}: holds the type {', '.join(foreign[:3])}, which no model of ours has; not read.")
        values = skops.io.load(path, trusted=list(TRUSTED))
        columns = tuple(values.pop("columns"))
        facts = {"trained_on": values.pop("trained_on"), "versions": values.pop("versions")}
        return Fitted(columns=columns, **values), facts
    except InputError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as a model ({reason}); train it again.") from None
