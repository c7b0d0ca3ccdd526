"""Figures of an evaluation; each function returns a matplotlib figure and touches no global state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chase_jax import plotting
from chase_jax.domain.domain import Domain
from chase_jax.evaluation.gauges import flow_duration, seasonal_cycle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBSERVED, SIMULATED, WATER, ICE = "#222222", "#0072B2", "#56B4E9", "#CC79A7"  # told apart in every colour vision
RAIN = "#7A9CC6"
UNKNOWN = "#DDDDDD"  # months without it
STYLE: dict[str, Any] = {
    "font.size": 8.0, "axes.titlesize": 9.0, "axes.labelsize": 8.0, "legend.fontsize": 8.0, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "lines.linewidth": 0.9,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6,
}  # fmt: skip
LONGEST_TITLE = 55  # characters
LEAST_FLOW_SHARE = 1e-4  # 1, of the largest flow, down to which a logarithmic axis reaches
HEADROOM = 1.2  # 1, of the axis of flow, so that the legend is clear of the curves
RAIN_HEADROOM = 1.7  # 1, of the axis of precipitation, likewise for its label
LEAST_RIVER_SHARE = 0.003  # 1, of the largest upstream area, from which a channel is drawn
SCORE_COLOURS, SCORE_RANGE = "viridis", (-0.41, 1.0)  # KGE; -0.41 is the skill of the observed mean (knoben2019)


@plotting.styled(STYLE)
def hydrograph(
    time: np.ndarray,
    simulated: np.ndarray,
    observed: np.ndarray,
    title: str,
    scores: Mapping[str, float],
    precipitation: np.ndarray | None = None,
) -> Figure:
    """Hydrograph under the precipitation, flow duration, seasonal cycle and daily scatter of a gauge.

    Flows too small for a logarithmic axis are drawn at its edge and marked as such.

    Args:
        time (time,): Days, datetime64.
        simulated (time,): Simulated discharge, m3 s-1.
        observed (time,): Observed discharge, m3 s-1, NaN where missing.
        title: Heading.
        scores: Numbers to print, by name.
        precipitation (time,): Mean precipitation of the domain in the month of every day, mm per day, NaN where
            unknown; None: not drawn.
    """
    rain = np.full(time.shape, np.nan) if precipitation is None else precipitation
    wet = bool(np.isfinite(rain).any())
    rows = [["rain"] * 3] * wet + [["flow"] * 3, ["duration", "season", "scatter"]]
    figure, axes = _figure((7.2, 4.8 + 0.8 * wet), rows, (0.3,) * wet + (1.25, 1.0))
    there = np.isfinite(observed)
    flow = axes["flow"]
    if there.any():
        flow.plot(time, observed, color=OBSERVED, label="observed")
    flow.plot(time, simulated, color=SIMULATED, label="simulated", alpha=0.85)
    lowest = min(0.0, float(simulated.min()), float(observed[there].min(initial=0.0)))
    flow.set(ylabel="discharge, m³ s⁻¹", ylim=(lowest, HEADROOM * flow.get_ylim()[1]))
    _dates(flow, time)
    top = axes["rain" if wet else "flow"]
    _title(top, title)
    top.set_title("   ".join(f"{name} {value:.2f}" for name, value in scores.items()), loc="right")
    if wet:
        axes["rain"].fill_between(time, np.nan_to_num(rain), step="post", color=RAIN, linewidth=0)
        across, blank = axes["rain"].get_xaxis_transform(), np.isnan(rain)
        axes["rain"].fill_between(time, 0, 1, where=blank, step="post", transform=across, color=UNKNOWN, linewidth=0)
        axes["rain"].set(ylabel="mm d⁻¹", ylim=(RAIN_HEADROOM * max(float(np.nanmax(rain)), 1e-3), 0))
        label = "monthly mean precipitation of the domain" + ", not known where grey" * bool(blank.any())
        axes["rain"].text(0.01, 0.03, label, verticalalignment="bottom", transform=axes["rain"].transAxes)
        axes["rain"].sharex(flow)
        axes["rain"].tick_params(labelbottom=False, bottom=False)
        axes["rain"].spines["bottom"].set_visible(False)
    flow.legend(loc="upper center", ncols=2)
    paired = np.where(there, simulated, np.nan)
    least = _least_positive(observed, paired if there.any() else simulated)
    if there.any():
        _duration(axes["duration"], observed, least, OBSERVED)
        axes["season"].plot(range(1, 13), seasonal_cycle(observed, time), "o-", color=OBSERVED, markersize=2.5)
        _scatter(axes["scatter"], observed[there], simulated[there], least)
        ends = [least, max(least, float(observed[there].max()), float(simulated[there].max()))]
        axes["scatter"].plot(ends, ends, color="0.5", linewidth=0.6)
    _duration(axes["duration"], paired if there.any() else simulated, least, SIMULATED)
    season = seasonal_cycle(paired if there.any() else simulated, time)
    axes["season"].plot(range(1, 13), season, "o-", color=SIMULATED, markersize=2.5)
    bottom = None if axes["season"].dataLim.y0 < 0.0 else 0.0
    axes["duration"].set(xlabel="time reached or exceeded, %", ylabel="discharge, m³ s⁻¹", xlim=(0, 100))
    axes["season"].set(xlabel="month", ylabel="mean, m³ s⁻¹", xticks=range(1, 13, 2), ylim=(bottom, None))
    axes["scatter"].set(xlabel="observed, m³ s⁻¹", ylabel="simulated, m³ s⁻¹")
    for panel, letter in (("duration", "y"), ("scatter", "x"), ("scatter", "y")):
        _logarithmic(axes[panel], letter)
    return figure


@plotting.styled(STYLE)
def lake_level(time: np.ndarray, simulated: np.ndarray, observed: np.ndarray, title: str) -> Figure:
    """Level of a lake.

    Args:
        time (time,): Days, datetime64.
        simulated (time,): Simulated level, m.
        observed (time,): Observed level, m, NaN where missing.
        title: Heading.
    """
    figure, axes = _figure((7.2, 2.4), [["level"]], (1.0,))
    axes["level"].plot(time, observed, color=OBSERVED, label="observed")
    axes["level"].plot(time, simulated, color=SIMULATED, label="simulated", alpha=0.85)
    axes["level"].set(ylabel="lake level, m")
    axes["level"].ticklabel_format(axis="y", useOffset=False)
    _dates(axes["level"], time)
    _title(axes["level"], title)
    axes["level"].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)  # off the curves
    return figure


@plotting.styled(STYLE)
def network_map(domain: Domain, x: np.ndarray, y: np.ndarray, labels: list[str], scores: np.ndarray) -> Figure:
    """Relief, rivers, lakes and glaciers of a domain, with its gauges coloured by their efficiency.

    Args:
        domain: The domain.
        x (gauge,): Eastings of the gauges, m.
        y (gauge,): Northings of the gauges, m.
        labels: Identifiers of the gauges.
        scores (gauge,): Kling-Gupta efficiency, 1, NaN where nothing is observed.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap, PowerNorm
    from matplotlib.patches import Patch

    grid = domain.grid
    width, height = np.ptp(grid.x) + grid.spacing[0], np.ptp(grid.y) + grid.spacing[1]
    scale = 6.0 / max(width, height)
    figure, axes = _figure((width * scale + 2.0, height * scale + 0.5), [["map"]], (1.0,))
    ax = axes["map"]
    east, north = np.sort(grid.x) / 1e3, np.sort(grid.y) / 1e3
    flip = (slice(None, None, int(np.sign(np.diff(grid.y[:2])[0])) if grid.y.size > 1 else 1),)
    mesh = (np.append(east - 0.5 * grid.spacing[0] / 1e3, east[-1] + 0.5 * grid.spacing[0] / 1e3),
            np.append(north - 0.5 * grid.spacing[1] / 1e3, north[-1] + 0.5 * grid.spacing[1] / 1e3))  # fmt: skip
    relief = ax.pcolormesh(*mesh, grid.unpack(np.asarray(domain.surface_altitude))[flip], cmap="Greys", alpha=0.55,
                           norm=PowerNorm(0.6))  # fmt: skip
    legend = []
    masks = {"lake": np.asarray(domain.lake_index) > 0, "glacier": np.asarray(domain.glacier_fraction) > 0.05}
    for (name, mask), colour in zip(masks.items(), (WATER, ICE), strict=True):
        if mask.any():
            here = grid.unpack(np.where(mask, 1.0, np.nan))[flip]
            ax.pcolormesh(*mesh, here, cmap=ListedColormap([colour]), zorder=3)
            legend.append(Patch(color=colour, label=name))
    downstream, area = np.asarray(domain.drainage.downstream), np.asarray(domain.drainage.upstream_area)
    river = np.flatnonzero((downstream >= 0) & (area > LEAST_RIVER_SHARE * area.max()))
    place = np.stack([grid.x[grid.column], grid.y[grid.row]], axis=1) / 1e3
    lines = np.stack([place[river], place[downstream[river]]], axis=1)
    thickness = 0.3 + 2.2 * np.sqrt(area[river] / area.max())
    ax.add_collection(LineCollection(list(lines), linewidths=thickness, colors="#1b5e8c", capstyle="round"))
    low, high = SCORE_RANGE
    known = np.isfinite(scores)
    ax.plot(x[~known] / 1e3, y[~known] / 1e3, "^", color="white", markeredgecolor="black", markersize=6)
    points = ax.scatter(x[known] / 1e3, y[known] / 1e3, c=scores[known], cmap=SCORE_COLOURS, vmin=low, vmax=high,
                        marker="^", s=45, edgecolors="black", linewidths=0.7, zorder=5)  # fmt: skip
    for label, px, py in zip(labels, x / 1e3, y / 1e3, strict=True):
        mark = ax.annotate(label, (px, py), xytext=(4, 3), textcoords="offset points", fontweight="bold", zorder=6)
        mark.set_parse_math(False)
    if legend:
        ax.legend(handles=legend, loc="lower right")
    ax.set(aspect="equal", xlabel="easting, km", ylabel="northing, km")
    figure.colorbar(relief, ax=ax, label="altitude, m", shrink=0.6, pad=0.02)
    if known.any():
        figure.colorbar(points, ax=ax, label="daily KGE", shrink=0.6, pad=0.02, extend="min")
    return figure


def _figure(
    size: tuple[float, float], layout: list[list[str]], heights: tuple[float, ...]
) -> tuple[Figure, dict[str, Axes]]:
    """A figure with named panels in the style of this package."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplot_mosaic(layout, height_ratios=heights)  # type: ignore[arg-type]


def _title(ax: Axes, text: str) -> None:
    """A heading of any text: no mathematics is read into it."""
    short = text if len(text) <= LONGEST_TITLE else text[: LONGEST_TITLE - 1] + "…"
    ax.set_title(short, loc="left", fontweight="bold").set_parse_math(False)


def _dates(ax: Axes, time: np.ndarray) -> None:
    """A time axis that says no more than it must."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlim(time[0], time[-1])


def _logarithmic(ax: Axes, letter: str) -> None:
    """A logarithmic x or y axis with plain numbers at powers of ten, and between them where it is short."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    getattr(ax, f"set_{letter}scale")("log")
    axis = getattr(ax, f"{letter}axis")
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=(1.0,) if high / max(low, 1e-30) > 100.0 else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _duration(ax: Axes, series: np.ndarray, least: float, colour: str) -> None:
    """Flow duration of a series; dotted along the edge where it is below the least flow drawn."""
    share, falling = flow_duration(series)
    below = falling < least
    ax.plot(100.0 * share, np.where(below, np.nan, falling), color=colour)
    if below.any():
        ax.plot(100.0 * share[below], np.full(below.sum(), least), ":", color=colour, linewidth=1.5)
        _note(ax, "lower left", f"dotted: below {least:.2g}")


def _scatter(ax: Axes, observed: np.ndarray, simulated: np.ndarray, least: float) -> None:
    """Simulated over observed flow; open at the edge where either is below the least flow drawn."""
    below = (observed < least) | (simulated < least)
    ax.plot(observed[~below], simulated[~below], ".", color=SIMULATED, markersize=2, alpha=0.5)
    if below.any():
        points = (np.maximum(series[below], least) for series in (observed, simulated))
        ax.plot(*points, "o", color=SIMULATED, markersize=3, markerfacecolor="none", markeredgewidth=0.5)
        _note(ax, "upper left", f"open: below {least:.2g}")


def _note(ax: Axes, corner: str, text: str) -> None:
    """A line in a corner of a panel, once."""
    from matplotlib.offsetbox import AnchoredText

    if not any(isinstance(artist, AnchoredText) for artist in ax.artists):
        ax.add_artist(AnchoredText(text, loc=corner, frameon=False, pad=0.0, borderpad=0.4))


def _least_positive(*several: np.ndarray) -> float:
    """Smallest flow drawn on a logarithmic axis, of all series on it."""
    flows = np.concatenate(several)
    positive = flows[np.isfinite(flows) & (flows > 0.0)]
    return float(max(positive.min(), LEAST_FLOW_SHARE * positive.max())) if positive.size else 1e-6
