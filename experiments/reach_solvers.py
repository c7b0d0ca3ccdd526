"""Both solvers of the rivers against short, iterated steps: error and time over routing steps, on two networks.

    python experiments/reach_solvers.py [otta] [stem] [--rows 500] [--days 8] [--defaults]

* otta: Otta and its neighbours with their lakes (the development data, from CHASE_DATA).
* stem: a generated network, a main river of 2,000 cells and 2,000 km that falls by 2 cm a kilometre; tributaries that
  wander and join (scheidegger1967) come down from the side, as many rows of cells as asked for: 500 make a million.

Storms move over the networks; runoff is given, so that only rivers and lakes are computed. The reference takes steps of
300 s with two iterations. Writes runs/reach_solvers/<network>.{csv,png}.
"""

from __future__ import annotations

import argparse
import math
import os
import pathlib
import tempfile
import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from chase_jax.domain import channels
from chase_jax.io import domain_store
from chase_jax.model import chase, initial, surface_water
from chase_jax.numerics.jacobi import Jacobi
from chase_jax.numerics.tree import Forest, Tree
from chase_jax.physics import channel, river
from data_prep import hydrography
from data_prep import otta as recipe

REFERENCE = Tree(300.0, iterations=2)  # a third changes the discharge by 1e-10
INTERVAL, INTERVALS = 10800.0, 8  # s and 1: rivers meet the land eight times a day
FILLING = 2  # d, left out
STEPS = (600.0, 900.0, 1800.0, 3600.0)  # s
SWEPT = ((300.0, 8), (900.0, 16), (1800.0, 16))  # s and sweeps
BASE, STORM = 4e-9, 3e-7  # m s-1, runoff between storms and at their heart
DURATION, BREADTH, SPEED = 1.0, 0.08, 0.03  # d, share of the width, share of the width a day
COLUMNS, STEM_SLOPE = 2000, 2e-5


class Case(NamedTuple):
    """A network with its weather."""

    parameters: channel.Parameters
    geometry: surface_water.Geometry
    start: surface_water.State
    area: jax.Array  # that gives runoff (cell,), m2
    band: jax.Array  # where the cell lies between west and east, as an index (cell,)
    runoff: jax.Array  # (day, interval, band), m s-1
    gauges: jax.Array


def storms(days: int, bands: int, seed: int = 1) -> jax.Array:
    """Runoff (day, interval, band) of storms of about a day that drift eastwards, m s-1."""
    random = np.random.default_rng(seed)
    day = (np.arange(days * INTERVALS)[:, None] + 0.5) / INTERVALS
    place = (np.arange(bands) / bands)[None]
    runoff = np.full((days * INTERVALS, bands), BASE)
    for _ in range(max(4, days // 3)):
        when, where = random.uniform(0.0, days), random.uniform()
        drift = place - where - SPEED * (day - when)
        runoff = runoff + STORM * np.exp(-(((day - when) / DURATION) ** 2) - (drift / BREADTH) ** 2)
    return jnp.asarray(runoff.reshape(days, INTERVALS, bands))


def otta(days: int, bands: int = 200) -> Case:
    """The network of Otta, its lakes full; gauges from the largest rivers to small ones."""
    with tempfile.TemporaryDirectory() as folder:
        written = recipe.prepare(pathlib.Path(os.environ["CHASE_DATA"]), pathlib.Path(folder))
        domain = domain_store.open_domain(written["domain"])
    model = chase.Chase.default(domain)
    area = np.asarray(domain.cell_area)
    upstream = np.asarray(domain.drainage.upstream_area)
    east = np.asarray(domain.grid.x)[np.asarray(domain.grid.column)]
    band = np.minimum((east - east.min()) / (np.ptp(east) + 1.0) * bands, bands - 1).astype(int)
    inside = np.flatnonzero(~np.asarray(domain.lakes.member))
    largest = inside[np.argsort(upstream[inside])[::-1]]
    gauges = largest[np.unique(np.geomspace(1, largest.size // 10, 9).astype(int))]
    start = initial.initial_state(model).water
    return Case(
        model.parameters.channel,
        model.geometry,
        start,
        jnp.asarray(area),
        jnp.asarray(band),
        storms(days, bands),
        jnp.asarray(gauges),
    )


def stem(rows: int, days: int, columns: int = COLUMNS, seed: int = 1) -> Case:
    """The generated network; gauges along the stem and on three tributaries."""
    random = np.random.default_rng(seed)
    number = rows * columns
    row, column = np.divmod(np.arange(number), columns)
    side = np.clip(column + random.integers(-1, 2, number), 0, columns - 1)
    downstream = np.where(row > 0, (row - 1) * columns + side, np.where(column < columns - 1, column + 1, -1))
    area = np.full(number, 1e6)
    upstream = hydrography.accumulate(downstream, area)
    length = np.where(row > 0, 1200.0, 1000.0)
    slope = np.where(row == 0, STEM_SLOPE, np.maximum(0.02 * (upstream / 1e6) ** -0.5, 2e-4))
    unknown = np.full(number, np.nan)
    given = {"channel_length": unknown, "channel_width": unknown, "channel_depth": unknown}
    shape = channels.geometry(area, upstream, length, np.zeros(number, bool), given)
    outlet = downstream < 0
    network = river.network(downstream, slope * length, length, area, outlet, np.where(outlet, slope, 0.0))
    parameters = channel.Parameters.default(jnp.asarray(shape.width), jnp.asarray(shape.depth))
    roughness = np.asarray(parameters.manning_roughness)
    depth = (BASE * upstream * roughness / (shape.width * np.sqrt(slope))) ** 0.6  # of uniform flow
    gauges = [columns // 4, columns // 2, 3 * columns // 4, columns - 1]
    gauges += [k * columns + columns // (k + 1) for k in (1, 2, 4) if k < rows]
    return Case(
        parameters,
        surface_water.Geometry.join(network),
        surface_water.State(jnp.asarray(shape.width * length * depth)),
        jnp.asarray(area),
        jnp.asarray(column),
        storms(days, columns),
        jnp.asarray(gauges),
    )


@eqx.filter_jit
def route(case: Case, solver: Tree | Jacobi) -> jax.Array:
    """Daily discharge at the gauges (day, gauge), m3 s-1."""

    def day(state: surface_water.State, runoff: jax.Array):
        def interval(state: surface_water.State, runoff: jax.Array):
            inflow = runoff[case.band] * case.area
            state, fluxes = surface_water.step(case.parameters, case.geometry, state, inflow, INTERVAL, solver)
            return state, fluxes.discharge[case.gauges]

        state, discharge = jax.lax.scan(interval, state, runoff)
        return state, discharge.mean(0)

    return jax.lax.scan(day, case.start, case.runoff)[1]


def timed(case: Case, solver: Tree | Jacobi) -> tuple[np.ndarray, float]:
    """Discharge after the first days, which fill the rivers, and the processor time of a compiled run, s."""
    compiled = route.lower(case, solver).compile()
    start = time.process_time()
    discharge = np.asarray(jax.block_until_ready(compiled(case, solver)))
    return discharge[FILLING:], time.process_time() - start


class Watch(NamedTuple):
    """A solver that keeps the systems it is asked to solve and answers zero."""

    systems: list

    def solve(self, forest: Forest, *system: jax.Array) -> jax.Array:
        """Keep the diagonal, both weights and the right side."""
        self.systems.append(system)
        return jnp.zeros_like(system[-1])


@eqx.filter_jit
def unfinished(case: Case, solver: Jacobi) -> tuple[jax.Array, jax.Array]:
    """Shares of cells whose sweeps are not enough and of steps with such cells, in the first steps of the intervals."""
    network, dt = case.geometry.network, INTERVAL / math.ceil(INTERVAL / solver.time_step - 1e-9)

    def interval(state: surface_water.State, runoff: jax.Array):
        inflow, watch = runoff[case.band] * case.area, Watch([])
        river.propose(case.parameters, network, watch, state.volume, inflow, dt)
        forest, system = network.forest, watch.systems[0]
        left = solver.unfinished(forest, *system, solver.sweep(forest, *system))
        state, _ = surface_water.step(case.parameters, case.geometry, state, inflow, INTERVAL, solver)
        return state, (left.mean(), ~solver.finished(left))

    shares = jax.lax.scan(interval, case.start, case.runoff.reshape(-1, case.runoff.shape[-1]))[1]
    return tuple(share[FILLING * INTERVALS :].mean() for share in shares)


def defaults(case: Case) -> list[Tree | Jacobi]:
    """Both solvers as the network calls for them."""
    chosen = [
        surface_water.choose_solver(case.parameters, case.geometry, name, INTERVAL) for name in ("tree", "jacobi")
    ]
    for _, report in chosen:
        print(report)
    return [solver for solver, _ in chosen]


def compare(case: Case, solvers: list[Tree | Jacobi]) -> pd.DataFrame:
    """Error and time of every solver: a row each, after that of the reference."""
    expected, seconds = timed(case, REFERENCE)
    cell_days = case.area.size * case.runoff.shape[0]
    spread = ((expected - expected.mean(0)) ** 2).sum(0)
    rows = [("tree, 300 s, 2 iterations", 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, cell_days / seconds)]
    for solver in solvers:
        discharge, seconds = timed(case, solver)
        error = ((discharge - expected) ** 2).sum(0) / spread
        peaks = discharge.max(0) / expected.max(0)
        name, shares = f"tree, {solver.time_step:g} s", (0.0, 0.0)
        if isinstance(solver, Jacobi):
            name = f"jacobi, {solver.time_step:g} s, {solver.sweeps} sweeps"
            shares = tuple(100.0 * float(share) for share in unfinished(case, solver))
        rows.append((name, error.max(), np.median(error), peaks.min(), peaks.max(), *shares, cell_days / seconds))
        print(f"{name}: worst error {error.max():.1e}, peaks {peaks.min():.4f} to {peaks.max():.4f}, {seconds:.1f} s")
    columns = ["solver", "largest 1 - skill", "median 1 - skill", "lowest peak", "highest peak"]
    columns += ["cells that need more sweeps, %", "steps handed over, %", "cell-days per second"]
    return pd.DataFrame(rows, columns=columns)


def draw(table: pd.DataFrame, path: pathlib.Path) -> None:
    """Time against error."""
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    for kind, marker in (("tree", "o"), ("jacobi", "s")):
        rows = table.iloc[1:]
        rows = rows[rows.solver.str.startswith(kind)]
        axes.loglog(1e6 / rows["cell-days per second"], rows["largest 1 - skill"], marker, label=kind)
        for _, row in rows.iterrows():
            at = (1e6 / row["cell-days per second"], row["largest 1 - skill"])
            axes.annotate(row.solver.split(", ", 1)[1], at, fontsize=7, xytext=(4, 3), textcoords="offset points")
    axes.axhline(1e-3, color="k", linewidth=0.7)
    axes.set_xlabel("seconds for a million cell-days")
    axes.set_ylabel("largest 1 - skill of daily discharge")
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", choices=["otta", "stem", []], default=["otta", "stem"])
    parser.add_argument("--rows", type=int, default=500, help="rows of 2,000 cells beside the stem")
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--defaults", action="store_true", help="only the solvers as the network calls for them")
    chosen = parser.parse_args()
    folder = pathlib.Path("runs/reach_solvers")
    folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.networks:
        case = otta(chosen.days) if name == "otta" else stem(chosen.rows, chosen.days)
        others = [] if chosen.defaults else [*(Tree(step) for step in STEPS), *(Jacobi(*both) for both in SWEPT)]
        table = compare(case, defaults(case) + others)
        table.to_csv(folder / f"{name}.csv", index=False)
        draw(table, folder / f"{name}.png")
        print(table.to_string(index=False))


if __name__ == "__main__":
    main()
