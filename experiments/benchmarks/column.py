"""How fast the land column alone is, and what its derivatives cost; on one core.

    python experiments/benchmarks/column.py                              both precisions, 8 and 24 sub-steps
    python experiments/benchmarks/column.py mixed 8 [cells] [days]       one of them

20,000 columns of random soil, plants of every class and random climates, block by block as in the coupled model. The
process binds itself to one core and counts its own processor time, so that other jobs disturb a rate little.
Derivatives are those of the mean runoff of the days: by dcor and the baseflow factor of every cell in forward mode (two
tangents), and by every parameter in reverse mode.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before XLA counts the cores

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from timing import lowered, report, seconds  # noqa: E402

import chase_jax  # noqa: E402, F401  sets double precision before any array exists
from chase_jax.model import chase, land  # noqa: E402
from chase_jax.numerics.scan import checkpointed_scan, to_blocks  # noqa: E402
from chase_jax.physics import atmosphere, soil_hydraulics, vegetation  # noqa: E402
from chase_jax.physics.thermodynamics import saturation_humidity  # noqa: E402

CELLS, DAYS = 20_000, 4
RUN_IN = 6  # days before those that are timed
WATER_CLASSES = (16, 24)  # of the legend: no columns of land


def columns(cells: int) -> tuple[land.Parameters, land.Setting, jax.Array]:
    """Parameters, settings and mean temperatures (cell,), K, of random columns."""
    draw = np.random.default_rng(1)
    classes = draw.choice([k for k in range(1, 25) if k not in WATER_CLASSES], cells)
    latitude = draw.uniform(-60.0, 65.0, cells)
    leaf_area = vegetation.leaf_area_climatology(classes, latitude)
    sand = draw.uniform(0.05, 0.9, cells)
    soil = soil_hydraulics.from_texture(sand, (1.0 - sand) * draw.uniform(0.05, 0.9, cells))
    parameters = land.Parameters.default(vegetation.from_class(classes, leaf_area), leaf_area, soil)
    thickness, yields = 10.0 ** draw.uniform(0.5, 2.3, cells), draw.uniform(0.02, 0.3, cells)
    setting = land.Setting(
        *(jnp.asarray(x) for x in (latitude, np.ones(cells), thickness, yields)),
        aquifer_storage=jnp.asarray(thickness * yields * draw.uniform(0.5, 1.0, cells)),
        open_water_available=jnp.zeros(cells),
    )
    return parameters, setting, jnp.asarray(290.0 - 0.6 * np.abs(latitude) + draw.normal(0.0, 8.0, cells))


def weather(mean: jax.Array, days: int) -> atmosphere.Forcing:
    """Weather (day, cell) around mean temperatures, K: rain on some days, snow where it is cold."""
    draw = np.random.default_rng(2)
    shape = (days, mean.size)
    temperature = jnp.asarray(np.asarray(mean) + draw.normal(0.0, 3.0, shape))
    pressure = jnp.asarray(np.broadcast_to(draw.uniform(6e4, 1.02e5, mean.size), shape))
    rain = np.where(draw.random(shape) < 0.4, draw.exponential(8.0 / 86400.0, shape), 0.0)
    saturated = saturation_humidity(temperature, pressure).humidity
    return atmosphere.Forcing(
        precipitation=jnp.asarray(rain),
        air_temperature=temperature,
        shortwave_down=jnp.asarray(draw.uniform(20.0, 300.0, shape)),
        specific_humidity=jnp.asarray(draw.uniform(0.3, 0.95, shape)) * saturated,
        air_pressure=pressure,
        wind_speed=jnp.asarray(draw.weibull(2.0, shape) * 4.0),
        longwave_down=jnp.zeros(shape),
        diurnal_range=jnp.asarray(draw.uniform(3.0, 16.0, shape)),
        day_of_year=jnp.arange(100.0, 100.0 + days),
    )


def run(
    parameters: land.Parameters, state: land.State, setting: land.Setting, days: Any, options: land.Options, block: int
) -> tuple[land.State, jax.Array, jax.Array]:
    """Stores, aquifer storage, m, and runoff of the days (day, cell), kg m-2 s-1; leaves of the arguments in blocks.

    Args:
        parameters: Parameters in blocks.
        state: Stores in blocks.
        setting: The world around, in blocks.
        days: Weather in blocks, with a leading axis of days.
        options: Steps and arithmetic.
        block: Days between kept states in reverse mode.
    """
    parameters = options.rounded(parameters)

    def day(carry: tuple[land.State, jax.Array], today: Any):
        def one(part: Any):
            p, stores, forcing, world, storage = part
            rounded = eqx.tree_at(lambda s: s.aquifer_storage, options.rounded(world), storage)
            done = land.day(p, stores, options.rounded(forcing), rounded, options)
            return done.state, done.aquifer_storage, done.fluxes.surface_runoff + done.fluxes.recharge

        stores, storage, runoff = jax.lax.map(one, (parameters, carry[0], today, setting, carry[1]))
        return (stores, storage), runoff

    (state, storage), runoff = checkpointed_scan(day, (state, setting.aquifer_storage), days, block)
    return state, storage, runoff


def flops(compiled: Any, traced: Any, substeps: float) -> str:
    """Operations per cell and sub-step as written and as compiled; of a loop XLA counts the body once."""
    written, done = traced.cost_analysis(), compiled.cost_analysis()
    done = done[0] if isinstance(done, list) else done
    return f"{written['flops'] / substeps:,.0f} as written, {done['flops'] / substeps:,.0f} as compiled"


def measure(precision: str, substeps: int, cells: int, count: int, derivatives: bool = True) -> None:
    """Print the rates of one precision and number of sub-steps."""
    options = land.Options(land_substeps=substeps, precision=precision)
    parameters, setting, mean = columns(cells)
    state = land.State.cold(parameters, mean, 0.6)
    forcing = weather(mean, RUN_IN + count)
    size = min(chase.BLOCK, cells)
    cut = lambda tree: to_blocks(tree, size)  # noqa: E731
    days = [cut(jax.tree.map(lambda leaf, d=d: leaf[d], forcing)) for d in range(RUN_IN + count)]
    days = jax.tree.map(lambda *leaves: jnp.stack(leaves), *days)
    parameters, state, setting = cut(parameters), cut(state), cut(setting)
    first, rest = (jax.tree.map(lambda leaf, s=s: leaf[s], days) for s in (slice(0, RUN_IN), slice(RUN_IN, None)))

    forward = lambda p, s, w, d: run(p, s, w, d, options, count)  # noqa: E731
    before = parameters, state, setting, first
    state, storage, _ = lowered(forward, *before).compile()(*before)
    setting = eqx.tree_at(lambda s: s.aquifer_storage, setting, storage)
    given = (parameters, state, setting, rest)

    print(f"{precision}, {substeps} sub-steps, {cells} cells, {count} days, blocks of {size}")
    begun = time.process_time()
    traced = lowered(forward, *given)
    ready = traced.compile()
    report("compilation", time.process_time() - begun, "s")
    print("operations per cell:", flops(ready, traced, size))
    plain = seconds(lambda: ready(*given), time.process_time)
    report("rate", cells * count / plain, "cell-days per second and core")
    if not derivatives:
        return

    def runoff(dcor: jax.Array, factor: jax.Array, p: Any, s: Any, w: Any, d: Any) -> jax.Array:
        changed = eqx.tree_at(lambda p: (p.runoff.dcor, p.exchange.baseflow_factor), p, (dcor, factor))
        return jnp.mean(run(changed, s, w, d, options, count)[2], axis=0)

    def tangents(p: Any, s: Any, w: Any, d: Any):
        at = p.runoff.dcor, p.exchange.baseflow_factor
        one, none = jnp.ones_like(at[0]), jnp.zeros_like(at[0])
        along = jnp.stack([one, none]), jnp.stack([none, one])
        push = lambda *a: jax.jvp(lambda *at: runoff(*at, p, s, w, d), at, a)  # noqa: E731
        return jax.vmap(push, out_axes=(None, 0))(*along)

    def loss(p: Any, s: Any, w: Any, d: Any) -> jax.Array:
        return jnp.mean(run(p, s, w, d, options, count)[2])

    for name, function in (("two tangents", tangents), ("value and gradient", jax.value_and_grad(loss))):
        traced = lowered(function, *given)
        done = traced.compile()
        print("operations per cell:", flops(done, traced, size))
        spent = seconds(lambda done=done: done(*given), time.process_time)
        report(f"{name} over value", spent / seconds(lambda: ready(*given), time.process_time), "times")


def main(words: list[str]) -> None:
    """Print the table."""
    if words:
        cells, days = (int(words[k]) if len(words) > k else default for k, default in ((2, CELLS), (3, DAYS)))
        measure(words[0], int(words[1]), cells, days)
        return
    for precision in ("float64", "mixed"):
        for substeps in (8, 24):
            measure(precision, substeps, CELLS, DAYS, derivatives=substeps == 8)


if __name__ == "__main__":
    main(sys.argv[1:])
