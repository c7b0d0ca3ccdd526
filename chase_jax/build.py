"""From a configuration to objects: inputs are read and checked here, the model is put together, the config ends.

The keys of the configuration stop here: what comes out has seen a file or a key, what uses it has not.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from chase_jax.checks import InputError, require
from chase_jax.config import Config, date
from chase_jax.io import domain_store, forcing_store, gauge_store, parameter_store, store
from chase_jax.physics import runoff
from chase_jax.variables import CALIBRATED

if TYPE_CHECKING:
    from chase_jax.domain.domain import Domain
    from chase_jax.physics.atmosphere import Forcing

LARGEST_HASHED = 500_000_000  # bytes; beyond it a file is known by its size, because hashing would take minutes


@dataclasses.dataclass(frozen=True)
class MapInputs:
    """What stands on the map, read and checked.

    Attributes:
        domain: The domain.
        parameters: (cell,) values of calibrated parameters by name, of those that are given.
        gauges: The gauges; the table may be empty.
        paths: The files by key; keys without a file are absent.
    """

    domain: Domain
    parameters: Mapping[str, np.ndarray]
    gauges: gauge_store.Gauges
    paths: Mapping[str, pathlib.Path]


@dataclasses.dataclass(frozen=True)
class Inputs(MapInputs):
    """All that a run reads, read and checked.

    Attributes:
        forcing: Weather of the period.
        warmup: Weather of the run-in, None without one.
    """

    forcing: forcing_store.Reader
    warmup: forcing_store.Reader | None


class Program(Protocol):
    """What a run needs of the model: a compiled step over a chunk of days, and what to make of its sums.

    `lakes` are the numbers of the lakes in the order of their series, `layer_thickness` that of the soil layers, m.
    """

    lakes: tuple[int, ...]
    layer_thickness: tuple[float, ...]

    def initial_state(self) -> Any:
        """The state of a cold start."""

    def totals(self) -> Any:
        """The sums of a month, zero; arrays only."""

    def history(self, state: Any) -> Any:
        """What the repetitions of a run-in leave behind, before the first.

        Arrays only, among them `repetitions`, `ends` since the last extrapolation, `drift` of the aquifer, mm per year.
        """

    def end_of_repetition(self, state: Any, history: Any, years: float, largest_drift: float) -> tuple[Any, Any]:
        """State and history after one more repetition, moved towards balance if the drift is larger than allowed."""

    def advance(self, state: Any, totals: Any, forcing: Forcing, count: int) -> tuple[Any, Any, dict[str, Any]]:
        """State and sums after `count` days, and series.

        `forcing` always has a leading axis of 31 days, of which the first `count` are real, so that one compiled
        program serves all chunks. Series are by name: discharge (31, gauge), lake_level, lake_area, lake_inflow,
        lake_outflow (31, lake), and `map_` with every name of the daily maps (31, cell) or (31, layer, cell).
        """

    def means(self, totals: Any) -> dict[str, np.ndarray]:
        """Monthly means (cell,) or (layer, cell) of the maps asked for."""

    def budget(self, totals: Any, first: np.datetime64) -> dict[str, Any]:
        """One line of the budget: water and energy terms, largest residual, its cell and date."""


def inputs(config: Config, demo_folder: pathlib.Path) -> Inputs:
    """Read and check all that a run needs.

    Args:
        config: A checked configuration.
        demo_folder: Where the demo's inputs are written if the configuration names no domain.

    Raises:
        InputError: Names file, variable, place or date, value, what is allowed and what to do.
    """
    config, paths = _paths(config, demo_folder)
    domain = domain_store.open_domain(paths["domain"])
    grid, altitude = domain.grid, np.asarray(domain.surface_altitude)
    period = config.period
    weather = paths["forcing"], grid, altitude
    forcing = forcing_store.open_forcing(*weather, period.start, period.end, config.forcing.lapse_rate)
    warmup = None
    if period.warmup_start:
        before = np.datetime64(date(period.start, "period.start")) - np.timedelta64(1, "D")
        warmup = forcing_store.open_forcing(
            *weather, period.warmup_start, str(before), config.forcing.lapse_rate, "period.warmup_start"
        )
    gauges = gauge_store.read_gauges(paths["gauges"], grid) if "gauges" in paths else gauge_store.no_gauges()
    if "observations" in paths and gauges.gauge_id:
        seen = paths["observations"], gauges, period.start, period.end
        if gauge_store.has_levels_alone(paths["observations"]):
            gauge_store.read_observations(*seen, gauge_store.LEVEL)  # where a lake lies is no matter of areas
        else:
            observed = gauge_store.read_observations(*seen)
            _check_places(paths["gauges"], gauges, observed.notnull().any("time").values, domain)
    parameters = _parameters(config, paths, domain)
    if "initial" in paths:
        store.local_path(paths["initial"], "initial.path")
    return Inputs(domain, parameters, gauges, paths, forcing, warmup)


def map_inputs(config: Config) -> MapInputs:
    """Read and check what stands on the map: domain, gauges and parameters, without weather.

    Args:
        config: A checked configuration that names a domain and no weather, observations or initial state.

    Raises:
        InputError: Names key or file, variable, place, value, what is allowed and what to do.
    """
    require(bool(config.domain.path), "domain.path is empty; scope=domain needs a domain, give it as domain.path=...")
    for name in ("forcing", "observations", "initial"):
        given = getattr(config, name).path
        require(not given, f"{name}.path is given but scope=domain does not read it; leave it out or set scope=all.")
    named = {name: getattr(config, name).path for name in ("domain", "parameters", "gauges")}
    paths = {name: store.local_path(path, f"{name}.path") for name, path in named.items() if path}
    domain = domain_store.open_domain(paths["domain"])
    gauges = gauge_store.read_gauges(paths["gauges"], domain.grid) if "gauges" in paths else gauge_store.no_gauges()
    return MapInputs(domain, _parameters(config, paths, domain), gauges, paths)


def _check_places(file: pathlib.Path, gauges: gauge_store.Gauges, seen: np.ndarray, domain: Domain) -> None:
    """Refuse discharge observed amid a lake patch: water leaves its cells on all sides, so they have no discharge.

    Args:
        file: The table of gauges.
        gauges: Gauges.
        seen (gauge,): Whether discharge was observed.
        domain: The domain.
    """
    member, following = np.asarray(domain.lakes.member), np.asarray(domain.drainage.downstream)
    amid = member & (following >= 0) & member[np.maximum(following, 0)]
    for k in np.flatnonzero(seen & amid[np.asarray(gauges.cell)]):
        number = int(np.asarray(domain.lake_index)[gauges.cell[k]])
        raise InputError(
            f"{file}: gauge {gauges.gauge_id[k]}: has observed discharge but lies within the patch of lake {number}, "
            "where water flows in all directions; move it to the outlet of the lake or the river below."
        )


def _paths(config: Config, demo_folder: pathlib.Path) -> tuple[Config, dict[str, pathlib.Path]]:
    """The files to read, those of the demo where the configuration names no domain."""
    named = {
        "domain": config.domain.path,
        "forcing": config.forcing.path,
        "parameters": config.parameters.path,
        "gauges": config.gauges.path,
        "observations": config.observations.path,
        "initial": config.initial.path,
    }
    for key, path in named.items():
        store.require_local(path or "", f"{key}.path")
    given = {key: pathlib.Path(path).expanduser() for key, path in named.items() if path}
    if "domain" in given:
        require("forcing" in given, "forcing.path is empty; give the weather of the domain as forcing.path=...")
        return config, given
    stray = [key for key in ("forcing", "gauges", "observations") if key in given]
    require(not stray, f"{stray[0] if stray else ''}.path is given but domain.path is empty; give domain.path=...")
    from chase_jax.demo import write as write_demo

    written = {key: pathlib.Path(path) for key, path in write_demo(demo_folder).items()}
    return config, {key: path for key, path in written.items() if key in named} | given


def _parameters(config: Config, paths: Mapping[str, pathlib.Path], domain: Domain) -> dict[str, np.ndarray]:
    """The calibrated parameters that a file or a key gives."""
    form = config.physics.dcor_form
    found = {}
    for name in CALIBRATED:
        value = getattr(config.parameters, name)
        if value is None:
            continue
        if name == "dcor":
            low, high = runoff.RANGE[form]
            require(low <= value <= high, f"parameters.dcor is {value}; allowed are {low:g} to {high:g} for {form}.")
        found[name] = np.full(domain.cells, float(value))
    if "parameters" in paths:
        found |= parameter_store.read_parameters(paths["parameters"], domain.grid, form)
    return found


def program(config: Config, given: Inputs) -> Program:
    """The model of a configuration, ready to advance."""
    from chase_jax.model import program as model_program

    return model_program.build(
        given.domain,
        dict(given.parameters),
        reach=config.solvers.reach,
        reach_substeps=config.solvers.substeps,
        reach_sweeps=config.solvers.sweeps,
        land_substeps=config.schedule.land_substeps,
        soil_substeps=config.schedule.soil_substeps,
        dcor_form=config.physics.dcor_form,
        storm=config.physics.storm,
        soil_flux=config.physics.soil_flux,
        precision=config.precision,
        gauge_cell=given.gauges.cell,
        grids=tuple(config.output.grids),
        daily_grids=tuple(config.output.daily_grids),
    )


def fingerprints(given: Inputs) -> dict[str, str]:
    """What identifies the content of the input files, by key."""
    found = {}
    for key, path in given.paths.items():
        if not path.exists():  # a pattern of weather files
            continue
        size = sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size
        found[f"input.{key}"] = store.sha256(path) if size <= LARGEST_HASHED else f"{size} bytes"
    return found
