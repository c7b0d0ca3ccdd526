"""Figures of a study of signatures, in the form of figures 3 to 5 of the paper; each returns a matplotlib figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from chase_jax import plotting
from chase_jax.signatures.maps import running_median
from chase_jax.signatures.regressors import REGRESSORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {"runoff_depth": "runoff depth, mm a⁻¹", "baseflow_index": "baseflow index"}
COLOURS = {"runoff_depth": "YlGnBu", "baseflow_index": "viridis"}
POINT, LINE = "#0072B2", "#222222"
SATISFACTORY = 25.0  # %, of bias, shaded
WIDEST_BIAS = 100.0  # %, the end of axes and colours of bias
MOST_BARS = 15  # predictors of an extended set that are drawn
STYLE: dict[str, Any] = {
    "font.size": 8.0, "axes.titlesize": 9.0, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "legend.frameon": False,
    "hatch.linewidth": 0.3,
}  # fmt: skip


def _panels(count: int, rows: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * count, size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, count, squeeze=False)


@plotting.styled(STYLE)
def predictions(table: pd.DataFrame, scores: pd.DataFrame, importance: pd.DataFrame, regressor: str) -> Figure:
    """Predicted against observed signatures of sites left out, with the importance of predictors (figure 3).

    Args:
        table: Content of signatures.csv.
        scores: Content of scores.csv.
        importance: Content of importance.csv.
        regressor: The regressor drawn; its impurity, or where it has none its permutation importance, is shown.
    """
    targets = list(dict.fromkeys(scores["target"]))
    figure, axes = _panels(len(targets), 2, (3.6, 2.9))
    for letter, target, column in zip("abc", targets, axes.T, strict=False):
        score = scores[(scores.target == target) & (scores.regressor == regressor)].iloc[0]
        scored = table.dropna(subset=[f"{target}_{regressor}"])
        interval = f"R² = {score.r2:.2f} ({score.r2_low:.2f} to {score.r2_high:.2f})\n{len(scored)} basins"
        _scatter(column[0], scored[target], scored[f"{target}_{regressor}"], LABELS[target], "predicted")
        column[0].set_title(f"({letter}) {REGRESSORS[regressor]}")
        column[0].text(0.03, 0.97, interval, transform=column[0].transAxes, va="top")
        part = importance[(importance.target == target) & (importance.regressor == regressor)]
        if part.empty:
            column[1].set_axis_off()
            continue
        kind = "impurity" if part["impurity"].notna().all() else "permutation"
        part = part.sort_values(kind).tail(MOST_BARS)
        column[1].barh([_short(name) for name in part["predictor"]], part[kind], color=POINT)
        column[1].set(xlabel=f"importance ({kind})")
    return figure


@plotting.styled(STYLE)
def aggregation(table: pd.DataFrame) -> Figure:
    """Means over basins against observation, and their bias against the size of the basin (figure 4).

    Args:
        table: Columns target, observed, aggregated (both in the unit of the target) and area_km2.
    """
    targets = list(dict.fromkeys(table["target"]))
    figure, axes = _panels(2, len(targets), (3.6, 2.9))
    for number, (target, (left, right)) in enumerate(zip(targets, axes, strict=True)):
        part = table[table.target == target]
        observed, found = part["observed"].to_numpy(), part["aggregated"].to_numpy()
        _scatter(left, part["observed"], part["aggregated"], LABELS[target], "mean over the basin")
        spread = ((observed - observed.mean()) ** 2).sum()
        if spread > 0:
            r2 = 1.0 - ((found - observed) ** 2).sum() / spread
            left.text(0.03, 0.97, f"R² = {r2:.2f}", transform=left.transAxes, va="top")
        bias = 100.0 * (found / np.where(observed > 0, observed, np.nan) - 1.0)
        known = np.isfinite(bias)
        right.axhspan(-SATISFACTORY, SATISFACTORY, color="0.93")
        right.axhline(0.0, color="0.5", linewidth=0.6)
        right.scatter(part["area_km2"], np.clip(bias, -WIDEST_BIAS, WIDEST_BIAS), s=6, color=POINT, alpha=0.5)
        area, median = running_median(part["area_km2"].to_numpy()[known], bias[known])
        right.plot(area, median, color=LINE, label="running median")
        right.set(xscale="log", xlabel="area, km²", ylabel="PBIAS, %", ylim=(-WIDEST_BIAS, WIDEST_BIAS))
        inside = float((np.abs(bias[known]) < SATISFACTORY).mean()) if known.any() else np.nan
        right.text(0.03, 0.97, f"{inside:.0%} within ±{SATISFACTORY:.0f} %", transform=right.transAxes, va="top")
        right.legend(loc="lower right")
        for letter, ax in zip("abcd"[2 * number :], (left, right), strict=False):
            ax.set_title(f"({letter})")
    return figure


@plotting.styled(STYLE)
def signature_maps(
    x: np.ndarray, y: np.ndarray, found: Mapping[str, np.ndarray], applicable: Mapping[str, np.ndarray] | None = None
) -> Figure:
    """Maps of the signatures (figure 5); what lies outside the area of applicability is hatched.

    Args:
        x (x,): Eastings, m.
        y (y,): Northings, m.
        found: Maps (y, x) by target, in the unit of the target.
        applicable: Maps (y, x) by target, 1 inside the area of applicability and 0 outside.
    """
    ratio = abs(np.ptp(y) / max(np.ptp(x), 1.0))
    figure, axes = _panels(len(found), 1, (3.9, float(np.clip(3.0 * ratio, 2.0, 6.0))))
    for letter, (target, values), ax in zip("abc", found.items(), axes[0], strict=False):
        mesh = ax.pcolormesh(x / 1e3, y / 1e3, values, cmap=COLOURS[target], shading="nearest", rasterized=True)
        if applicable is not None and (applicable[target] == 0).any():
            outside = np.where(applicable[target] == 0, 1.0, 0.0)
            ax.contourf(x / 1e3, y / 1e3, outside, levels=[0.5, 1.5], colors="none", hatches=["////"])
        ax.set(aspect="equal", xlabel="easting, km", ylabel="northing, km", title=f"({letter})")
        figure.colorbar(mesh, ax=ax, label=LABELS[target], shrink=0.7)
    return figure


@plotting.styled(STYLE)
def biases(table: pd.DataFrame, best: Mapping[str, str]) -> Figure:
    """Where the predictions of sites left out are too high or too low.

    Args:
        table: Content of signatures.csv with latitude and longitude, degrees.
        best: Regressor by target.
    """
    figure, axes = _panels(len(best), 1, (4.6, 2.4))
    for letter, (target, regressor), ax in zip("abc", best.items(), axes[0], strict=False):
        part = table.dropna(subset=[f"{target}_{regressor}", "latitude", "longitude"])
        bias = 100.0 * (part[f"{target}_{regressor}"] / part[target] - 1.0)
        points = ax.scatter(
            part["longitude"], part["latitude"], c=bias, cmap="RdBu", vmin=-WIDEST_BIAS / 2, vmax=WIDEST_BIAS / 2, s=14,
            edgecolors="0.3", linewidths=0.2,
        )  # fmt: skip
        ax.set(xlabel="longitude", ylabel="latitude", title=f"({letter}) {LABELS[target].split(',')[0]}")
        ax.set_aspect(1.0 / np.cos(np.deg2rad(float(part["latitude"].mean()))) if len(part) else 1.0)
        figure.colorbar(points, ax=ax, label="PBIAS, %", shrink=0.7, extend="both")
    return figure


def _scatter(ax: Axes, observed: pd.Series, found: pd.Series, label: str, how: str) -> None:
    """Points with the line of equality, the same range on both axes."""
    high = 1.05 * float(max(observed.max(), found.max()))
    ax.plot([0.0, high], [0.0, high], color="0.5", linewidth=0.6)
    ax.scatter(observed, found, s=6, color=POINT, alpha=0.5)
    ax.set(xlabel=f"observed {label}", ylabel=f"{how} {label}", xlim=(0.0, high), ylim=(0.0, high), aspect="equal")


def _short(name: str) -> str:
    """The name of a predictor in plain words."""
    return name.removeprefix("mean_").replace("_", " ")
