"""The job of `chase calibrate target=hydrograph`: roughness of each basin from the discharge at its gauge.

The whole model runs once to make the inflow of the rivers, the search replays it, and the whole model runs once more
with what was found. Where no gauge lies downstream, roughness is transferred from the basins most alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import build, config, workflows
from chase_jax.calibration import free, regionalize, roughness, routing
from chase_jax.checks import require
from chase_jax.evaluation import metrics
from chase_jax.io import gauge_store, parameter_store, restart, run_folder, store, tables
from chase_jax.io.calendar import LONGEST_CHUNK
from chase_jax.io.forcing_store import Reader
from chase_jax.model.chase import Chase
from chase_jax.model.containers import State
from chase_jax.model.surface_water import State as Water

PARAMETERS, TABLE, INFLOW = "parameters.nc", "roughness.csv", "trials/inflow.nc"
FLUXES = ["runoff", "precipitation", "open_water_evaporation"]


def run(
    settings: Any, folder: run_folder.RunFolder, facts: dict[str, Any], given: build.Inputs, asked: list[str]
) -> str:
    """Find roughness and write it.

    Args:
        settings: A checked :class:`chase_jax.config.Calibrate`.
        folder: The open run folder; begun once nothing is left to refuse.
        facts: What decides the results, by :func:`chase_jax.workflows.facts` and more.
        given: The inputs.
        asked: Names of signals that came.

    Returns:
        What was found, in a few lines.

    Raises:
        InputError: If no gauge has a record in both halves of the period.
        Stopped: If the process is asked to stop; the run of the whole model is kept, and the search begins anew.
    """
    gauges = given.gauges
    require(bool(gauges.gauge_id), "gauges.path is empty; target=hydrograph needs gauges.")
    require("observations" in given.paths, "observations.path is empty; target=hydrograph needs observed discharge.")
    days = settings.period.start, settings.period.end
    observed = gauge_store.read_observations(given.paths["observations"], gauges, *days).values.T
    half = len(observed) // 2
    used = np.flatnonzero(gauge_store.telling(observed[:half]) & gauge_store.telling(observed[half:]))
    require(
        used.size > 0,
        f"{given.paths['observations']}: no gauge has {gauge_store.LEAST_RECORD} days of discharge in each half of "
        f"{days[0]} to {days[1]}, and not always the same; choose another period.",
    )
    cells = gauges.cell[used]
    twice = next((gauges.gauge_id[g] for g in used if (cells == gauges.cell[g]).sum() > 1), None)
    require(twice is None, f"{given.paths['gauges']}: gauge {twice} shares its cell with another; remove one of them.")

    program = build.program(_with_daily(settings), given)
    model: Chase = program.model  # type: ignore[attr-defined]
    first = workflows.initial_state(settings, program)
    folder.begin(facts, config.dump(settings))
    like = {
        "volume": np.zeros(model.domain.cells),
        "inflow": np.zeros((given.forcing.dates.size, model.domain.cells)),
        "discharge": np.zeros((given.forcing.dates.size, len(gauges.gauge_id))),
    }
    if folder.holds(INFLOW):
        kept = restart.read_restart(folder.path / INFLOW, like)[0]
    else:
        kept = _reference(program, given, settings, first)
        restart.write_restart(folder.path / INFLOW, kept, {})
        folder.note(INFLOW)
        folder.commit()
        folder.log("the inflow of the rivers is made")
    workflows.stop_if_asked(asked, folder, "after the run of the whole model")

    parts = routing.basins(model.domain, cells)
    one = free.manning_roughness(jnp.asarray(parts.group))
    start, count = np.asarray(one.encode(model.parameters)), roughness.Count()
    water, inflow, index = Water(jnp.asarray(kept["volume"])), jnp.asarray(kept["inflow"]), jnp.asarray(cells)
    seen = jnp.asarray(observed[:, used])

    @jax.jit
    def flow(unknowns: jax.Array) -> jax.Array:
        return routing.replay(model, one.decode(unknowns, model.parameters).channel, water, inflow, index)

    @jax.jit
    def correlation(unknowns: jax.Array) -> jax.Array:
        # the first half needs no more than the first half
        channels = one.decode(unknowns, model.parameters).channel
        return metrics.pcc(routing.replay(model, channels, water, inflow[:half], index), seen[:half])

    @jax.jit
    def slope(unknowns: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(correlation, (unknowns,), (direction,))

    def listen() -> None:
        workflows.stop_if_asked(asked, folder, f"after replay {count.plain + count.with_slope}")

    if settings.method == "standard":

        def without_slope(u: np.ndarray) -> np.ndarray:
            value = np.asarray(correlation(jnp.asarray(u)))
            listen()
            return value

        found = roughness.standard(without_slope, start, parts, count)
    else:

        def with_slope(u: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, along = slope(jnp.asarray(u), jnp.asarray(direction))
            listen()
            return np.asarray(value), np.asarray(along)

        found = roughness.gradient(with_slope, start, parts, count, settings.fit.trials)
    folder.log(f"found with {count.plain} replays and {count.with_slope} replays with a derivative")

    values = np.asarray(one.transform.decode(jnp.asarray(found)))
    parameters = np.array(one.decode(jnp.asarray(found), model.parameters).channel.manning_roughness)
    attributes = workflows.attributes(model.domain, given.forcing)
    donors = np.stack([attributes[parts.group == number].mean(axis=0) for number in range(used.size)])
    ungauged = parts.group < 0
    parameters[ungauged] = regionalize.transfer(donors, values, attributes[ungauged], settings.fit.donors)
    kept_values = {name: np.asarray(value) for name, value in given.parameters.items()}
    kept_values["manning_roughness"] = parameters
    form = settings.physics.dcor_form
    parameter_store.write_parameters(folder.path / PARAMETERS, kept_values, model.domain.grid, form, "Roughness")

    again = dataclasses.replace(given, parameters=kept_values)
    checked = _reference(build.program(_with_daily(settings), again), given, settings, first)["discharge"][:, used]
    replayed = {"before": np.asarray(flow(jnp.asarray(start))), "after": np.asarray(flow(jnp.asarray(found)))}
    series = {"before": kept["discharge"][:, used], "after": checked}
    others = regionalize.leave_one_out(donors, values, settings.fit.donors) if used.size > 1 else np.full(1, np.nan)
    moved = {"transferred": _transferred(one, others, flow) if used.size > 1 else replayed["before"]}
    rows = []
    for number, gauge in enumerate(used):
        row = {"gauge_id": gauges.gauge_id[gauge], "manning_roughness": values[number]}
        row["from_other_basins"] = others[number]
        for name, flows in series.items():
            for label, part in (("first", slice(0, half)), ("second", slice(half, None))):
                row[f"pcc_{name}_{label}_half"] = float(metrics.pcc(flows[part, number], observed[part, gauge]))
        for name, flows in {**replayed, **moved}.items():
            row[f"replayed_pcc_{name}_second_half"] = float(metrics.pcc(flows[half:, number], observed[half:, gauge]))
        rows.append(row)
    store.write_text(tables.text(rows, digits=6), folder.path / TABLE)
    folder.note(PARAMETERS, TABLE)
    left = [gauges.gauge_id[k] for k in range(len(gauges.gauge_id)) if k not in used]
    told = [f"without a record that varies in both halves, left out: {', '.join(left)}"] if left else []
    for row in rows:
        told.append(
            f"{row['gauge_id']}: roughness {row['manning_roughness']:.4f}, correlation in the first half "
            f"{row['pcc_before_first_half']:.4f} -> {row['pcc_after_first_half']:.4f}, in the second "
            f"{row['pcc_before_second_half']:.4f} -> {row['pcc_after_second_half']:.4f}"
        )
    told.append(f"{count.plain} replays, {count.with_slope} replays with a derivative, 2 runs of the whole model")
    folder.finish(*told)
    return "\n".join([*told, f"parameters: {folder.path / PARAMETERS}"])


def _with_daily(settings: Any) -> Any:
    """The settings of a run that keeps the fluxes into the rivers."""
    return dataclasses.replace(settings, output=dataclasses.replace(settings.output, grids=[], daily_grids=FLUXES))


def _reference(program: build.Program, given: build.Inputs, settings: Any, state: State) -> dict[str, np.ndarray]:
    """A run of the whole model: water at its start, inflow of the rivers (day, cell), discharge (day, gauge)."""
    totals = program.totals()
    if given.warmup:
        for _ in range(settings.period.warmup_cycles):
            state = _through(program, given.warmup, state, totals)[0]
    volume = np.asarray(state.water.volume)
    _, series = _through(program, given.forcing, state, totals)
    inflow = routing.channel_inflow(given.domain, *(series[f"map_{name}"] for name in FLUXES))
    return {"volume": volume, "inflow": inflow, "discharge": series["discharge"]}


def _through(program: build.Program, reader: Reader, state: Any, totals: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The stores after a span and its daily series."""
    pieces: dict[str, list[np.ndarray]] = {}
    for day in range(0, reader.dates.size, LONGEST_CHUNK):
        count = min(LONGEST_CHUNK, reader.dates.size - day)
        state, _, series = program.advance(state, totals, reader.read(day, count, padded=LONGEST_CHUNK), count)
        for name, values in series.items():
            pieces.setdefault(name, []).append(np.asarray(values)[:count])
    return state, {name: np.concatenate(values) for name, values in pieces.items()}


def _transferred(one: free.Free, values: np.ndarray, flow: Callable[[jax.Array], jax.Array]) -> np.ndarray:
    """Discharge (day, gauge) of a replay with the roughness of every basin taken from the others."""
    return np.asarray(flow(one.transform.encode(jnp.asarray(values))))
