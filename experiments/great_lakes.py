"""Lakes Michigan-Huron, St. Clair and Erie as two-dimensional patches joined by their rivers, 1950 to 1979.

    python experiments/great_lakes.py [folder of the raw data] [--rivers ROUGHNESS BED ROUGHNESS BED ROUGHNESS BED]

Driven by Lake Superior's observed outflow and by precipitation, evaporation and runoff over each lake. Roughness and
height of the beds of the three rivers (St. Clair, Detroit, Niagara) are fitted on 1950 to 1964 with lakes of a few
cells, by least squares with exact derivatives; the fitted rivers then run with the lakes in two dimensions. The years
1965 to 1979 are compared: monthly levels and flows. With `--rivers` the rivers are given, in this order, and nothing is
fitted. Writes runs/great_lakes/{scores.csv,great_lakes.png}.

Lakes are rectangles of 10-km cells with the true area and a bowl of the true mean depth; the rivers have their true
length and mean width. Water leaves by the Chicago and Welland canals as constants. The supplies of 1950 to 1964 do not
add up to the observed outflows and levels of these years; what is missing is a constant of each lake, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyproj
from scipy.optimize import least_squares

from chase_jax.domain.domain import Domain
from chase_jax.domain.grid import Grid
from chase_jax.evaluation import metrics
from chase_jax.model import surface_water
from chase_jax.numerics.tree import Tree
from chase_jax.physics import channel

FIRST, SPLIT, LAST = "1950-01-01", "1965-01-01", "1979-12-31"
STEP = 86400.0  # s
SPACING = 1e4  # m
NIAGARA_FALL = 3.0  # m, from Lake Erie to above the falls


@dataclasses.dataclass(frozen=True)
class Lake:
    """A lake and the river it empties into."""

    name: str
    area: float  # m2
    shape: tuple[int, int]  # rows and columns of cells
    coarse: tuple[int, int]  # the same where it is only to be a store
    mean_depth: float  # m
    datum: float  # m, level from which the depth counts (IGLD85)
    river: str
    length: float  # m, of the river
    width: float  # m
    depth: float  # m, of its bed below the datum
    diversion: float  # m3 s-1 out of the lake


LAKES = (
    Lake("michigan_huron", 1.174e11, (30, 39), (3, 4), 70.0, 176.0, "St. Clair", 6.4e4, 800.0, 10.0, 90.0),
    Lake("st_clair", 1.11e9, (3, 4), (3, 4), 3.5, 174.4, "Detroit", 5.1e4, 900.0, 9.0, 0.0),
    Lake("erie", 2.57e10, (10, 26), (1, 3), 19.0, 173.5, "Niagara", 3.5e4, 800.0, 5.0, 200.0),
)


def build(two_dimensional: bool) -> tuple[Domain, list[np.ndarray], list[np.ndarray]]:
    """The system as a domain, with the cells of each lake and of each river.

    Args:
        two_dimensional: Lakes of many cells, or of few.
    """
    blocks, column = [], 0
    for lake in LAKES:
        shape = lake.shape if two_dimensional else lake.coarse
        reaches = max(round(lake.length / SPACING), 1)
        blocks.append((column, shape, reaches))
        column += shape[1] + reaches
    rows = max(shape[0] for _, shape, _ in blocks)
    middle = rows // 2
    fields = {name: np.full((rows, column), np.nan) for name in ("active", "flow_direction", "cell_area")}
    names = ("surface_altitude", "channel_bed_altitude", "lake_bed_altitude", "lake_sill_altitude")
    fields |= {name: np.full((rows, column), np.nan) for name in names}
    fields |= {name: np.full((rows, column), np.nan) for name in ("channel_width", "channel_depth", "channel_length")}
    fields |= {name: np.zeros((rows, column)) for name in ("lake_index", "lake_patch")}
    for number, (lake, (start, shape, reaches)) in enumerate(zip(LAKES, blocks, strict=True), 1):
        top = middle - shape[0] // 2
        part = np.s_[top : top + shape[0], start : start + shape[1]]
        row, place = np.indices(shape)
        bowl = np.sin(np.pi * (row + 0.5) / shape[0]) * np.sin(np.pi * (place + 0.5) / shape[1])
        depth = lake.mean_depth * (0.3 + 0.7 * bowl / bowl.mean())
        ends = (row + top == middle) & ((place == 0) | (place == shape[1] - 1))
        depth[ends] = np.maximum(depth[ends], lake.depth)  # dredged where the rivers come in and go out
        north = np.where(row + top < middle, 4, 64)  # rows run to the south: to the middle, then to the east
        fields["flow_direction"][part] = np.where((place == shape[1] - 1) & (row + top != middle), north, 1)
        fields["cell_area"][part] = lake.area / (shape[0] * shape[1])
        fields["surface_altitude"][part] = lake.datum + 5.0
        fields["lake_bed_altitude"][part] = lake.datum - depth
        fields["lake_sill_altitude"][part] = lake.datum - lake.depth
        fields["lake_index"][part], fields["lake_patch"][part], fields["active"][part] = number, 1, 1
        river = np.s_[middle, start + shape[1] : start + shape[1] + reaches]
        below = LAKES[number].datum if number < len(LAKES) else lake.datum - NIAGARA_FALL
        fall = (lake.datum - below) * (np.arange(reaches) + 1.0) / (reaches + 1)
        fields["flow_direction"][river] = 1
        fields["cell_area"][river] = SPACING**2
        fields["surface_altitude"][river] = lake.datum + 5.0 - fall
        fields["channel_bed_altitude"][river] = lake.datum - lake.depth - fall
        fields["channel_width"][river], fields["channel_depth"][river] = lake.width, lake.depth + 5.0
        # every edge of a river is as long, that from the lake included
        fields["channel_length"][river] = lake.length / (reaches + 1)
        fields["channel_length"][middle, start + shape[1] - 1] = lake.length / (reaches + 1)
        fields["active"][river] = 1
    fields["flow_direction"][middle, -1] = 0
    fields["active"] = np.nan_to_num(fields["active"])
    center = pyproj.CRS.from_dict({"proj": "laea", "lat_0": 44.0, "lon_0": -84.0}).to_cf()
    grid = Grid(np.arange(column) * SPACING, -np.arange(rows) * SPACING, center)
    domain = Domain.build(fields, grid)
    lakes = [np.flatnonzero(np.asarray(domain.lake_index) == number) for number in range(1, len(LAKES) + 1)]
    rivers = [
        np.flatnonzero((domain.grid.column >= start + shape[1]) & (domain.grid.column < start + shape[1] + reaches))
        for start, shape, reaches in blocks
    ]
    return domain, lakes, rivers


class System:
    """The lakes and rivers as a function of what is fitted."""

    def __init__(self, two_dimensional: bool, forcing: pd.DataFrame, surplus: dict[str, float]) -> None:
        """Prepare geometry, inflow of every day and starting volumes."""
        self.domain, self.lakes, self.rivers = build(two_dimensional)
        self.geometry = surface_water.Geometry.from_domain(self.domain)
        self.months = forcing.index
        self.days = np.asarray(self.months.days_in_month)
        bed = np.asarray(self.domain.surface_altitude - self.domain.bed_depth)
        self.bed = jnp.asarray(bed)
        area = np.asarray(self.domain.cell_area)
        inflow = np.zeros((len(forcing), self.domain.cells))
        for lake, cells in zip(LAKES, self.lakes, strict=True):
            net = supply(forcing, lake)
            inflow[:, cells] = net[:, None] * area[cells] - (lake.diversion + surplus[lake.name]) / cells.size
        inflow[:, self.lakes[0]] += forcing.outflow_superior.to_numpy()[:, None] / self.lakes[0].size
        self.inflow = jnp.asarray(np.repeat(inflow, self.days, axis=0))
        start = np.zeros(self.domain.cells)
        levels = [float(forcing[f"level_{lake.name}"].iloc[0]) for lake in LAKES]
        section = surface_water.river.section(self.parameters(jnp.zeros(6)), self.geometry.network)
        for level, cells in zip(levels, self.lakes, strict=True):
            start[cells] = np.maximum(level - bed[cells], 0.0) * area[cells]
        for number, cells in enumerate(self.rivers):
            below = levels[number + 1] if number + 1 < len(levels) else levels[number] - NIAGARA_FALL
            level = np.linspace(levels[number], below, cells.size + 2)[1:-1]
            start[cells] = (level - bed[cells]) * np.asarray(section.area)[cells]
        self.start, self.first = jnp.asarray(start), jnp.asarray([levels])

    def parameters(self, fitted: jax.Array) -> channel.Parameters:
        """Channels with the fitted roughness: its logarithm over 0.03, of the three rivers."""
        d = self.domain
        roughness = jnp.full(d.cells, 0.03)
        for factor, cells in zip(fitted[:3], self.rivers, strict=True):
            roughness = roughness.at[cells].set(0.03 * jnp.exp(factor))
        default = channel.Parameters.default(d.channel_width, d.channel_depth)
        return eqx.tree_at(lambda p: p.manning_roughness, default, roughness)

    def network(self, fitted: jax.Array) -> surface_water.Geometry:
        """Geometry with the fitted beds: their rise, of the three rivers, m."""
        network = self.geometry.network
        rise = jnp.zeros(self.domain.cells)
        for height, cells in zip(fitted[3:], self.rivers, strict=True):
            rise = rise.at[cells].set(height)
        fall = network.fall + jnp.where(network.links.linked, rise - network.links.at_parent(rise), 0.0)
        crest = jnp.maximum(-fall, 0.0)  # sills are the beds of the rivers
        return eqx.tree_at(lambda g: (g.network.fall, g.network.crest), self.geometry, (fall, crest))

    def run(self, fitted: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Levels of the lakes (day, lake), m, and flows out of them (day, lake), m3 s-1."""
        parameters, geometry = self.parameters(fitted), self.network(fitted)
        area = self.domain.cell_area

        def day(volume: jax.Array, inflow: jax.Array):
            state, fluxes = surface_water.step(
                parameters, geometry, surface_water.State(volume), inflow, STEP, Tree(STEP)
            )
            depth = state.volume / area
            level = jnp.stack([jnp.mean(self.bed[cells] + depth[cells]) for cells in self.lakes])
            flow = jnp.stack([fluxes.discharge[cells[0]] for cells in self.rivers])
            return state.volume, (level, flow)

        return jax.lax.scan(day, self.start, self.inflow)[1]

    def monthly(self, fitted: jax.Array, months: int) -> tuple[jax.Array, jax.Array]:
        """Level at the beginning and mean flow of the first months, (month, lake)."""
        levels, flows = self.run(fitted)
        ends = np.cumsum(self.days)[:months]
        total = jnp.cumsum(flows, axis=0)[ends - 1]
        means = jnp.diff(total, axis=0, prepend=0.0) / self.days[:months, None]
        return jnp.concatenate([self.first, levels[ends[:-1] - 1]]), means


def read(folder: pathlib.Path) -> pd.DataFrame:
    """The monthly table, 1950 to 1979."""
    table = pd.read_csv(folder / "great_lakes" / "monthly.csv", comment="#", parse_dates=["month"], index_col="month")
    return table.loc[FIRST:LAST]


def supply(table: pd.DataFrame, lake: Lake) -> np.ndarray:
    """Precipitation and runoff less evaporation of every month over the lake, m s-1."""
    depth = table[f"precipitation_{lake.name}"] + table[f"runoff_{lake.name}"] - table[f"evap_{lake.name}"]
    return 1e-3 * depth.to_numpy() / (86400.0 * np.asarray(table.index.days_in_month))


def unaccounted(table: pd.DataFrame) -> dict[str, float]:
    """What observed inflow and supply bring more than observed outflow and storage take, mean of each lake, m3 s-1."""
    surplus, above = {}, table.outflow_superior
    seconds = 86400.0 * np.asarray(table.index.days_in_month)[:-1]
    for lake in LAKES:
        out, level = table[f"outflow_{lake.name}"], table[f"level_{lake.name}"].to_numpy()
        gain = (above - out).to_numpy() + lake.area * supply(table, lake) - lake.diversion
        stored = lake.area * (level[-1] - level[0])
        surplus[lake.name] = float((np.sum(gain[:-1] * seconds) - stored) / np.sum(seconds))
        above = out
    return surplus


def fit(table: pd.DataFrame) -> jax.Array:
    """Roughness and bed of the rivers that bring levels and flows of 1950 to 1964 closest, with lakes of few cells."""
    early = table.loc[: pd.Timestamp(SPLIT) - pd.Timedelta("1D")]
    system = System(False, early, unaccounted(early))
    levels = jnp.asarray(early[[f"level_{lake.name}" for lake in LAKES]].to_numpy())
    flows = jnp.asarray(early[[f"outflow_{lake.name}" for lake in LAKES]].to_numpy())
    scale = jnp.std(levels, axis=0), jnp.std(flows, axis=0)

    def misfit(fitted: jax.Array) -> jax.Array:
        level, flow = system.monthly(fitted, len(early))
        return jnp.concatenate([((level - levels) / scale[0]).ravel(), ((flow - flows) / scale[1]).ravel()])

    misfit_, slopes = jax.jit(misfit), jax.jit(jax.jacfwd(misfit))
    found = least_squares(
        lambda x: np.asarray(misfit_(x)),
        np.zeros(6),
        jac=lambda x: np.asarray(slopes(x)),
        bounds=(np.repeat([-2.0, -6.0], 3), np.repeat([2.0, 6.0], 3)),
        x_scale=np.repeat([0.3, 1.0], 3),
        ftol=1e-5,
    )
    print(f"fitted in {found.nfev} runs: {found.message}")
    for k, lake in enumerate(LAKES):
        print(f"  {lake.river}: roughness {0.03 * np.exp(found.x[k]):.6f} s m-1/3, bed {found.x[3 + k]:+.4f} m")
    return jnp.asarray(found.x)


def scores(table: pd.DataFrame, levels: np.ndarray, flows: np.ndarray) -> pd.DataFrame:
    """Correlation and skill of the levels and error of the flows in the years that were not fitted."""
    late = np.asarray(table.index >= pd.Timestamp(SPLIT))
    rows = []
    for k, lake in enumerate(LAKES):
        level, flow = table[f"level_{lake.name}"].to_numpy()[late], table[f"outflow_{lake.name}"].to_numpy()[late]
        found, out = levels[late, k], flows[late, k]
        rows.append(
            {
                "lake": lake.name,
                "level_correlation": float(metrics.pcc(found, level)),
                "level_skill": float(metrics.nse(found, level)),
                "level_bias": float(np.mean(found - level)),
                "level_skill_without_bias": float(metrics.nse(found - np.mean(found - level), level)),
                "river": lake.river,
                "flow_error": float(np.sqrt(np.mean((out - flow) ** 2)) / flow.mean()),
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, levels: np.ndarray, flows: np.ndarray, path: pathlib.Path) -> None:
    """Observed and simulated levels and flows."""
    figure, axes = plt.subplots(3, 2, figsize=(11, 8), sharex=True, constrained_layout=True)
    for k, lake in enumerate(LAKES):
        for axis, name, found, label in (
            (axes[k, 0], f"level_{lake.name}", levels[:, k], f"level of {lake.name.replace('_', '-').title()} (m)"),
            (axes[k, 1], f"outflow_{lake.name}", flows[:, k], f"flow of the {lake.river} River (m$^3$ s$^{{-1}}$)"),
        ):
            axis.plot(table.index, table[name], color="black", linewidth=1.0, label="observed")
            axis.plot(table.index, found, color="tab:red", linewidth=1.0, label="simulated")
            axis.axvline(pd.Timestamp(SPLIT), color="grey", linestyle=":")
            axis.set_ylabel(label)
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(words: list[str]) -> pd.DataFrame:
    """Fit, run in two dimensions, score and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=os.environ.get("CHASE_DATA"))
    parser.add_argument("--rivers", nargs=6, type=float, help="roughness, s m-1/3, and bed, m, of each river")
    chosen = parser.parse_args(words)
    table = read(pathlib.Path(chosen.folder))
    given = chosen.rivers
    fitted = jnp.asarray([*np.log(np.divide(given[::2], 0.03)), *given[1::2]]) if given else fit(table)
    surplus = unaccounted(table.loc[: pd.Timestamp(SPLIT) - pd.Timedelta("1D")])
    print("supply not accounted for, m3 s-1:", {name: round(value) for name, value in surplus.items()})
    system = System(True, table, surplus)
    levels, flows = (np.asarray(x) for x in jax.jit(lambda x: system.monthly(x, len(table)))(fitted))
    folder = pathlib.Path("runs/great_lakes")
    folder.mkdir(parents=True, exist_ok=True)
    result = scores(table, levels, flows)
    result.to_csv(folder / "scores.csv", index=False)
    draw(table, levels, flows, folder / "great_lakes.png")
    return result


if __name__ == "__main__":
    print(main(sys.argv[1:]).to_string(index=False))
