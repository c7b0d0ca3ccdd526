"""A river that rises above the lake beside it: the flow at the mouth turns back for some weeks and drains again.

    python experiments/backwater.py

Made up after Poyang Lake and the Yangtze: a river of 200 km and 2 km width that falls by 2 cm a kilometre, a lake of
700 cells of 4 km2 in two dimensions, a channel of 10 km between them and a tributary of 30 km from the other side.
After thirty days the river's flood comes, thirty days after the tributary's. Writes runs/backwater/{backwater.csv,
backwater.png} and prints how far the budget of water closes.
"""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyproj

from chase_jax.domain.domain import Domain
from chase_jax.domain.grid import Grid
from chase_jax.model import surface_water
from chase_jax.numerics.tree import Tree
from chase_jax.physics import channel, lake, river

DAYS, DAY, STEP = 120, 86400.0, 3600.0  # d, s, s
SPACING = 2e3  # m
COLUMNS, MOUTH = 100, 60  # cells of the river; where the lake's channel meets it
TOP, ROWS, WEST, EAST = 6, 35, 50, 70  # the lake: its first row, rows, and columns
TRIBUTARY = 15  # cells
WIDTHS = {"river": 2000.0, "channel": 1500.0, "tributary": 500.0}  # m
SLOPES = {"river": 2e-5, "channel": 2e-5, "tributary": 1e-4}  # 1
ROUGHNESS, LAKE_ROUGHNESS = 0.025, 0.03  # s m-1/3
LOW, HIGH = 7.0, 13.0  # m above the river's bed at the mouth: bed of the lake at the channel and at its far shore
RIVER = (2e4, 3.5e4, 45.0, 12.0)  # m3 s-1 always and more in the flood, day of its peak and its length
INFLOW = (1e3, 5e3, 15.0, 8.0)  # the same of the tributary


class Case(NamedTuple):
    """The system: domain, geometry, channels, and cells of note."""

    domain: Domain
    geometry: surface_water.Geometry
    parameters: channel.Parameters
    bed: np.ndarray
    source: int  # where the river begins
    tributary: int  # where the tributary begins
    mouth: int  # last cell of the lake's channel


def build() -> Case:
    """The domain from maps of its fields."""
    shape = (TOP + ROWS + TRIBUTARY, COLUMNS)
    names = ("flow_direction", "surface_altitude", "channel_bed_altitude", "lake_bed_altitude", "lake_sill_altitude")
    fields = {name: np.full(shape, np.nan) for name in (*names, "channel_width", "channel_depth", "channel_length")}
    fields |= {name: np.zeros(shape) for name in ("active", "lake_index", "lake_patch")}
    fields["cell_area"] = np.full(shape, SPACING**2)
    fields["channel_length"][:] = SPACING

    def reach(place, kind: str, direction: int, bed: np.ndarray) -> None:
        fields["active"][place] = 1
        fields["flow_direction"][place] = direction
        fields["channel_bed_altitude"][place] = bed
        fields["surface_altitude"][place] = bed + 40.0
        fields["channel_width"][place], fields["channel_depth"][place] = WIDTHS[kind], 40.0

    along = SPACING * np.arange(COLUMNS)
    reach(np.s_[0, :], "river", 1, SLOPES["river"] * (along[MOUTH] - along))
    fields["flow_direction"][0, -1] = 0
    up = SPACING * np.arange(TOP - 1, 0, -1)  # rows run to the south: the first is next to the river
    reach(np.s_[1:TOP, MOUTH], "channel", 64, LOW - SLOPES["channel"] * up)
    row, column = np.indices((ROWS, EAST - WEST))
    inside = np.s_[TOP : TOP + ROWS, WEST:EAST]
    aside = np.abs(column + WEST - MOUTH) / (EAST - MOUTH)
    bed = LOW + (HIGH - LOW) * np.minimum(0.8 * row / (ROWS - 1) + 0.2 * aside**2, 1.0)
    fields["active"][inside], fields["lake_index"][inside], fields["lake_patch"][inside] = 1, 1, 1
    fields["lake_bed_altitude"][inside], fields["surface_altitude"][inside] = bed, 40.0
    fields["lake_sill_altitude"][inside] = LOW
    towards = np.where(column + WEST < MOUTH, 1, np.where(column + WEST > MOUTH, 16, 64))
    fields["flow_direction"][inside] = towards
    above = HIGH - 1.0 + SLOPES["tributary"] * SPACING * (np.arange(TRIBUTARY) + 1)
    reach(np.s_[TOP + ROWS :, MOUTH], "tributary", 64, above)
    center = pyproj.CRS.from_dict({"proj": "laea", "lat_0": 29.0, "lon_0": 116.0}).to_cf()
    grid = Grid(np.arange(COLUMNS) * SPACING, -np.arange(shape[0]) * SPACING, center)
    domain = Domain.build(fields, grid)
    member = np.asarray(domain.lakes.member)
    parameters = channel.Parameters.default(
        domain.channel_width, domain.channel_depth, jnp.where(member, LAKE_ROUGHNESS, ROUGHNESS)
    )
    return Case(
        domain,
        surface_water.Geometry.from_domain(domain),
        parameters,
        np.asarray(domain.surface_altitude - domain.bed_depth),
        cell_at(domain, 0, 0),
        cell_at(domain, shape[0] - 1, MOUTH),
        cell_at(domain, 1, MOUTH),
    )


def cell_at(domain: Domain, row: int, column: int) -> int:
    """Number of the cell in a row and column of the map."""
    return domain.grid.cell_at(domain.grid.x[column], domain.grid.y[row])


def flood(day: np.ndarray, always: float, more: float, peak: float, length: float) -> np.ndarray:
    """Discharge of every day, m3 s-1."""
    return always + more * np.exp(-(((day - peak) / length) ** 2))


def start(case: Case) -> surface_water.State:
    """Uniform flow in the river, and everything that lies lower at the level of the mouth."""
    sides = river.section(case.parameters, case.geometry.network)
    depth = (RIVER[0] * ROUGHNESS / (WIDTHS["river"] * SLOPES["river"] ** 0.5)) ** 0.6
    level = np.where(case.domain.grid.row == 0, case.bed + depth, depth)
    return surface_water.State(jnp.asarray(np.maximum(level - case.bed, 0.1) * np.asarray(sides.area)))


def run(case: Case, inflow: np.ndarray) -> tuple[np.ndarray, ...]:
    """Volume (day, cell) at the beginning of each day and after the last, discharge and outflow (day, cell)."""

    @jax.jit
    def days(state: surface_water.State, inflow: jax.Array):
        def day(state: surface_water.State, both: jax.Array):
            lateral = jnp.zeros(case.domain.cells).at[jnp.array([case.source, case.tributary])].set(both)
            after, fluxes = surface_water.step(
                case.parameters, case.geometry, state, lateral, DAY, Tree(STEP), surface_water.LAKE_SOLVER
            )
            return after, (state.volume, fluxes.discharge, fluxes.outflow)

        return jax.lax.scan(day, state, inflow)

    last, (volume, discharge, outflow) = days(start(case), jnp.asarray(inflow))
    return np.concatenate([volume, last.volume[None]]), np.asarray(discharge), np.asarray(outflow)


def velocities(case: Case, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flow through the lake's cells per width to the east and north, m2 s-1, and depth, m, (lake_cell,)."""
    patch = case.geometry.lake
    cells = np.asarray(case.geometry.lake_cell)
    depth = volume[cells] / np.asarray(patch.area)
    conducts, fall = lake.conductance(case.parameters.manning_roughness[cells], patch, jnp.asarray(depth))
    flux = np.asarray(conducts * fall / patch.width)
    tail, head = np.asarray(patch.edges.tail), np.asarray(patch.edges.head)
    mean = []
    for part in np.asarray(patch.direction):
        weight, count = np.zeros(cells.size), np.full(cells.size, 1e-12)
        for end in (tail, head):
            np.add.at(weight, end, part * flux)
            np.add.at(count, end, np.abs(part))
        mean.append(weight / count)
    return mean[0], -mean[1], depth


def draw(case: Case, table: pd.DataFrame, volume: np.ndarray, path: pathlib.Path) -> None:
    """Discharges and levels over time, and the flow in the lake when it turns back and when it drains."""
    figure = plt.figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplot_mosaic([["flow", "back", "out"], ["level", "back", "out"]], width_ratios=(1.6, 1, 1))
    table.river_inflow.plot(ax=axes["flow"], label="river, from above", color="tab:blue")
    table.mouth_discharge.plot(ax=axes["flow"], label="lake to river", color="tab:red")
    table.tributary_inflow.plot(ax=axes["flow"], label="tributary to lake", color="tab:green")
    axes["flow"].axhline(0.0, color="k", linewidth=0.7)
    axes["flow"].set_ylabel("discharge, m$^3$ s$^{-1}$")
    for name, label in (("river_level", "river at the mouth"), ("lake_level_north", "lake, at its channel")):
        table[name].plot(ax=axes["level"], label=label)
    table.lake_level_south.plot(ax=axes["level"], label="lake, far shore")
    axes["level"].set_ylabel("level, m")
    for name in ("flow", "level"):
        axes[name].legend(frameon=False, fontsize=8)
        axes[name].set_xlabel("day")
    turned = int(table.mouth_discharge.idxmin())
    drains = turned + int(np.argmax(table.mouth_discharge.to_numpy()[turned:]))
    cells = np.asarray(case.geometry.lake_cell)
    x, y = case.domain.grid.column[cells], case.domain.grid.row[cells]
    km = SPACING / 1000.0
    for name, day in (("back", turned), ("out", drains)):
        east, north, depth = velocities(case, volume[day + 1])
        shade = np.full((ROWS, EAST - WEST), np.nan)
        shade[y - TOP, x - WEST] = np.where(depth > 0.05, depth, np.nan)
        extent = np.array([WEST - 0.5, EAST - 0.5, TOP + ROWS - 0.5, TOP - 0.5]) * km
        image = axes[name].imshow(shade, extent=extent, cmap="Blues", vmin=0.0, vmax=14.0)
        some = (x % 2 == 0) & (y % 2 == 0) & (depth > 0.3)
        axes[name].quiver(x[some] * km, y[some] * km, east[some], north[some], width=0.004)
        towards = "into the lake" if name == "back" else "to the river"
        axes[name].set_title(f"day {day}: {abs(table.mouth_discharge.iloc[day]):,.0f} m$^3$ s$^{{-1}}$\n{towards}")
        axes[name].set_xlabel("km")
    figure.colorbar(image, ax=[axes["back"], axes["out"]], label="depth, m", shrink=0.6)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> pd.DataFrame:
    """Run, check the budget, and write table and figure."""
    folder = pathlib.Path("runs/backwater")
    folder.mkdir(parents=True, exist_ok=True)
    case, day = build(), np.arange(DAYS) + 0.5
    inflow = np.stack([flood(day, *RIVER), flood(day, *INFLOW)], axis=1)
    volume, discharge, outflow = run(case, inflow)
    gained = volume[-1].sum() - volume[0].sum()
    given = DAY * (inflow.sum() - outflow.sum())
    moved = DAY * (inflow.sum() + outflow.sum())
    print(f"water: {gained:.6e} m3 stored, {given:.6e} m3 in less out, {abs(gained - given) / moved:.1e} of what moved")
    sides = np.asarray(river.section(case.parameters, case.geometry.network).area)
    level = case.bed + volume[1:] / sides
    places = {"river_level": 0, "lake_level_north": TOP, "lake_level_south": TOP + ROWS - 1}
    table = pd.DataFrame(
        {
            "river_inflow": inflow[:, 0],
            "tributary_inflow": inflow[:, 1],
            "mouth_discharge": discharge[:, case.mouth],
            **{name: level[:, cell_at(case.domain, row, MOUTH)] for name, row in places.items()},
        },
        index=pd.Index(np.arange(DAYS), name="day"),
    )
    back = table.mouth_discharge < 0.0
    print(f"the lake's channel runs back on {int(back.sum())} days, up to {-table.mouth_discharge.min():,.0f} m3 s-1,")
    print(f"and brings {-DAY * table.mouth_discharge[back].sum() / 1e9:.1f} km3 into the lake")
    table.to_csv(folder / "backwater.csv")
    draw(case, table, volume, folder / "backwater.png")
    return table


if __name__ == "__main__":
    print(main().iloc[::10].round(2).to_string())
