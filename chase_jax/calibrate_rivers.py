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


@dataclasses.dataclass(frozen=True)
class Record:
    """What was measured at the gauges that have enough of it.

    Attributes:
        names: (gauge,) their identifiers.
        left: Identifiers of the others.
        used: (gauge,) their numbers among all gauges.
        cells: (gauge,) their cells.
        observed: (day, gauge) discharge, m3 s-1, NaN where missing.
        half: Days of the first half, which is fitted.
    """

    names: tuple[str, ...]
    left: tuple[str, ...]
    used: np.ndarray
    cells: np.ndarray
    observed: np.ndarray
    half: int


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
    record = _record(settings, given)
    program = build.program(_with_daily(settings), given)
    first = workflows.initial_state(settings, program)
    folder.begin(facts, config.dump(settings))
    kept = _kept_inflow(folder, program, given, settings, first)
    workflows.stop_if_asked(asked, folder, "after the run of the whole model")

    model: Chase = program.model  # type: ignore[attr-defined]
    rivers = _Rivers(model, kept, record)
    count = roughness.Count()

    def listen() -> None:
        workflows.stop_if_asked(asked, folder, f"after replay {count.plain + count.with_slope}")

    found = rivers.search(settings, count, listen)
    spent = f"{count.plain} replays, {count.with_slope} replays with a derivative"
    folder.log(f"found with {spent}")

    values, attributes = rivers.values(found), workflows.attributes(model.domain, given.forcing)
    donors = np.stack([attributes[rivers.basins.group == number].mean(axis=0) for number in range(values.size)])
    kept_values = {name: np.asarray(value) for name, value in given.parameters.items()}
    kept_values["manning_roughness"] = rivers.everywhere(found, donors, attributes, settings.fit.donors)
    form = settings.physics.dcor_form
    parameter_store.write_parameters(folder.path / PARAMETERS, kept_values, model.domain.grid, form, "Roughness")

    again = dataclasses.replace(given, parameters=kept_values)
    checked = _reference(build.program(_with_daily(settings), again), given, settings, first)
    runs = {"before": kept["discharge"][:, record.used], "after": checked["discharge"][:, record.used]}
    replays = {"before": rivers.flow(rivers.start), "after": rivers.flow(found)}
    others, replays["transferred"] = np.full(values.size, np.nan), replays["before"]
    if values.size > 1:
        others = regionalize.leave_one_out(donors, values, settings.fit.donors)
        replays["transferred"] = rivers.flow(rivers.unknowns(others))
    rows = _scores(record, values, others, runs, replays)
    store.write_text(tables.text(rows, digits=6), folder.path / TABLE)
    folder.note(PARAMETERS, TABLE)
    told = [f"without a record that varies in both halves, left out: {', '.join(record.left)}"] if record.left else []
    told += [_line(row) for row in rows]
    told.append(f"{spent}, 2 runs of the whole model")
    folder.finish(*told)
    return "\n".join([*told, f"parameters: {folder.path / PARAMETERS}"])


def _record(settings: Any, given: build.Inputs) -> Record:
    """What was measured and is compared; refuses what leaves nothing to compare."""
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
    names = tuple(gauges.gauge_id[k] for k in used)
    left = tuple(gauges.gauge_id[k] for k in range(len(gauges.gauge_id)) if k not in used)
    return Record(names, left, used, cells, observed[:, used], half)


def _kept_inflow(
    folder: run_folder.RunFolder, program: build.Program, given: build.Inputs, settings: Any, first: State
) -> dict[str, np.ndarray]:
    """The run of the whole model that replays stand on (:func:`_reference`), read if it was made before."""
    cells, days, gauges = given.domain.cells, given.forcing.dates.size, len(given.gauges.gauge_id)
    like = {"volume": np.zeros(cells), "inflow": np.zeros((days, cells)), "discharge": np.zeros((days, gauges))}
    if folder.holds(INFLOW):
        return restart.read_restart(folder.path / INFLOW, like)[0]
    kept = _reference(program, given, settings, first)
    restart.write_restart(folder.path / INFLOW, kept, {})
    folder.note(INFLOW)
    folder.commit()
    folder.log("the inflow of the rivers is made")
    return kept


class _Rivers:
    """Discharge at the gauges under a roughness of each basin, from the inflow of one run of the whole model.

    Attributes:
        basins: The basins of the gauges.
        start: (gauge,) unknowns of the roughness as it is, 1.
    """

    def __init__(self, model: Chase, kept: dict[str, np.ndarray], record: Record) -> None:
        self._parameters = model.parameters
        self.basins = routing.basins(model.domain, record.cells)
        self._free = free.manning_roughness(jnp.asarray(self.basins.group))
        self.start = np.asarray(self._free.encode(model.parameters))
        self._inflow, self._half = jnp.asarray(kept["inflow"]), record.half
        water, cells = Water(jnp.asarray(kept["volume"])), jnp.asarray(record.cells)
        seen = jnp.asarray(record.observed[: record.half])

        def replayed(unknowns: jax.Array, inflow: jax.Array) -> jax.Array:
            channels = self._free.decode(unknowns, model.parameters).channel
            return routing.replay(model, channels, water, inflow, cells)

        def correlation(unknowns: jax.Array, inflow: jax.Array) -> jax.Array:
            return metrics.pcc(replayed(unknowns, inflow), seen)

        def slope(unknowns: jax.Array, direction: jax.Array, inflow: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.jvp(lambda u: correlation(u, inflow), (unknowns,), (direction,))

        # the inflow is an argument: as a constant of three programs it would be there three times
        self._flow, self._correlation, self._slope = jax.jit(replayed), jax.jit(correlation), jax.jit(slope)

    def flow(self, unknowns: np.ndarray) -> np.ndarray:
        """Discharge (day, gauge) of a replay, m3 s-1. Argument: unknowns (gauge,), 1."""
        return np.asarray(self._flow(jnp.asarray(unknowns), self._inflow))

    def search(self, settings: Any, count: roughness.Count, listen: Callable[[], None]) -> np.ndarray:
        """The unknowns (gauge,) with the highest correlations in the first half; `listen` is called after replays."""
        inflow = self._inflow[: self._half]  # the first half needs no more than the first half

        def without_slope(unknowns: np.ndarray) -> np.ndarray:
            value = np.asarray(self._correlation(jnp.asarray(unknowns), inflow))
            listen()
            return value

        def with_slope(unknowns: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, along = self._slope(jnp.asarray(unknowns), jnp.asarray(direction), inflow)
            listen()
            return np.asarray(value), np.asarray(along)

        if settings.method == "standard":
            return roughness.standard(without_slope, self.start, self.basins, count)
        return roughness.gradient(with_slope, self.start, self.basins, count, settings.fit.trials)

    def values(self, unknowns: np.ndarray) -> np.ndarray:
        """Roughness (gauge,) of unknowns (gauge,), s m-1/3."""
        return np.asarray(self._free.transform.decode(jnp.asarray(unknowns)))

    def unknowns(self, values: np.ndarray) -> np.ndarray:
        """Unknowns (gauge,) of roughness (gauge,), 1."""
        return np.asarray(self._free.transform.encode(jnp.asarray(values)))

    def everywhere(self, unknowns: np.ndarray, donors: np.ndarray, attributes: np.ndarray, number: int) -> np.ndarray:
        """Roughness (cell,), s m-1/3; where no gauge lies downstream, that of the basins most alike.

        Args:
            unknowns (gauge,): Unknowns, 1.
            donors (gauge, attribute): Attributes of the basins.
            attributes (cell, attribute): Attributes of the cells.
            number: How many basins are taken.
        """
        decoded = self._free.decode(jnp.asarray(unknowns), self._parameters)
        full, ungauged = np.array(decoded.channel.manning_roughness), self.basins.group < 0
        full[ungauged] = regionalize.transfer(donors, self.values(unknowns), attributes[ungauged], number)
        return full


def _scores(
    record: Record, values: np.ndarray, others: np.ndarray, runs: dict[str, np.ndarray], replays: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Roughness and correlations of every gauge.

    Args:
        record: What was measured.
        values (gauge,): Roughness found, s m-1/3.
        others (gauge,): What the transfer gives from other basins, s m-1/3.
        runs: (day, gauge) discharge of the whole model, before and after, m3 s-1.
        replays: (day, gauge) discharge of replays, m3 s-1.
    """
    columns = {"manning_roughness": values, "from_other_basins": others}
    first, second = slice(0, record.half), slice(record.half, None)

    def score(flows: np.ndarray, part: slice) -> np.ndarray:
        return np.asarray(metrics.pcc(flows[part], record.observed[part]))

    for when, flows in runs.items():
        columns[f"pcc_{when}_first_half"] = score(flows, first)
        columns[f"pcc_{when}_second_half"] = score(flows, second)
    for when, flows in replays.items():
        columns[f"replayed_pcc_{when}_second_half"] = score(flows, second)
    names = enumerate(record.names)
    return [{"gauge_id": name} | {key: float(column[k]) for key, column in columns.items()} for k, name in names]


def _line(row: dict[str, Any]) -> str:
    """What was found at a gauge in words. Argument: its row."""
    return (
        f"{row['gauge_id']}: roughness {row['manning_roughness']:.4f}, correlation in the first half "
        f"{row['pcc_before_first_half']:.4f} -> {row['pcc_after_first_half']:.4f}, in the second "
        f"{row['pcc_before_second_half']:.4f} -> {row['pcc_after_second_half']:.4f}"
    )


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
