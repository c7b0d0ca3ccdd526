"""The schema of the configuration: every key with its type, default, choices and meaning.

The files of `conf/` hold values for these keys and nothing else; a key that is not here is an error. Nothing in a
configuration names code to run.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import functools
import math
import pathlib
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chase_jax.checks import InputError, require
from chase_jax.variables import GRIDDED_OUTPUTS, VARIABLES

RUN_FOLDER = "runs/${run_name:${domain.path}}"


NAMED = {"run": "DOMAIN", "table": "TABLE"}  # what resolvers name a folder after, as help tells it
SEEDS = 2**32 - 1  # largest seed that all generators take
NUMBERS = {bool: "true or false", int: "a whole number", float: "a number"}


def key(
    default: Any,
    meaning: str,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    unit: str = "1",
) -> Any:
    """A key of the configuration: default, meaning, the words or the smallest and the largest number allowed."""
    metadata = {"meaning": meaning, "choices": choices, "low": low, "high": high, "unit": unit}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def value_of(name: str, effect: str = "") -> Any:
    """A key for one value of a variable in all cells, within the range that its maps must keep as well."""
    variable = VARIABLES[name]
    unit = f", {variable.units}" if variable.units != "1" else ""
    meaning = f"likewise, {effect}" if effect else f"one value for all cells{unit}, where the file has no map"
    return key(None, meaning, low=variable.valid_min, high=variable.valid_max, unit=variable.units)


@dataclasses.dataclass
class Domain:
    """Where."""

    path: str | None = key(None, "domain file (.nc or .zarr); empty: the generated demo, with all its inputs")


@dataclasses.dataclass
class Forcing:
    """Weather."""

    path: str | None = key(None, "weather file, or a pattern such as 'weather/*.nc'")
    lapse_rate: float = key(
        0.0065,
        "fall of temperature with altitude, K m-1; humidity follows; only if the file has surface_altitude",
        low=0,
        high=0.02,
        unit="K m-1",
    )
    scan: bool = key(True, "check every value of the period before the first step")


@dataclasses.dataclass
class Parameters:
    """Calibrated parameters."""

    path: str | None = key(
        None, "file of maps of parameters and factors (table of variables, Parameters); empty: defaults"
    )
    dcor: float | None = value_of("dcor")
    baseflow_factor: float | None = value_of("baseflow_factor")
    manning_roughness: float | None = value_of("manning_roughness")
    bypass_fraction: float | None = value_of("bypass_fraction")
    contributing_depth: float | None = value_of("contributing_depth")
    contributing_threshold: float | None = value_of("contributing_threshold")
    stomatal_resistance_factor: float | None = value_of("stomatal_resistance_factor")
    interception_capacity_factor: float | None = value_of(
        "interception_capacity_factor", "on the water that leaves hold"
    )
    soil_conductivity_factor: float | None = value_of("soil_conductivity_factor", "on the conductivity of the soil")
    bed_conductance_factor: float | None = value_of("bed_conductance_factor", "on the conductance of river beds")
    doubling_storage_factor: float | None = value_of(
        "doubling_storage_factor", "on the stored water with which seepage doubles its conductance"
    )
    leaf_area_factor: float | None = value_of("leaf_area_factor", "on the leaf area of every month")


@dataclasses.dataclass
class Gauges:
    """Places where discharge is written."""

    path: str | None = key(None, "table gauge_id,x,y,area_km2,name")


@dataclasses.dataclass
class Observations:
    """What was observed at the gauges."""

    path: str | None = key(None, "file of discharge (gauge, time)")


@dataclasses.dataclass
class Period:
    """When."""

    start: str = key("2001-01-01", "first day, ISO")
    end: str = key("2001-12-31", "last day, ISO, inclusive")
    warmup_start: str | None = key(None, "first day of a run-in that is not written, ISO; empty: none")
    warmup_cycles: int = key(1, "how often the run-in is repeated, or at most with warmup_drift", low=1)
    warmup_drift: float | None = key(
        None,
        "mm per year; the run-in ends once the aquifer changes by less over a repetition, and the water table is "
        "extrapolated to its balance after every second one; empty: neither",
        low=0.0,
    )


@dataclasses.dataclass
class Initial:
    """The state at the start."""

    path: str | None = key(None, "restart file of a run of the same domain; empty: a cold start")


@dataclasses.dataclass
class Solvers:
    """How rivers are solved."""

    reach: str = key(
        "tree",
        "solver of the rivers: exact elimination, or sweeps with elimination where they do not finish",
        ("jacobi", "tree"),
    )
    substeps: int | None = key(None, "routing steps a day; empty: chosen from the network", low=1)
    sweeps: int | None = key(None, "sweeps of jacobi; empty: chosen from the network", low=1)


@dataclasses.dataclass
class Schedule:
    """Steps of the land surface."""

    land_substeps: int = key(8, "land steps a day", low=1)
    soil_substeps: int = key(2, "soil-water steps per land step", low=1)


@dataclasses.dataclass
class Physics:
    """Variants of processes."""

    dcor_form: str = key("D5", "definition of dcor, see physics/runoff.py", ("D1", "D2", "D3", "D4", "D5"))
    storm: str = key("duration", "course of rain within a day", ("duration", "flat"))
    soil_flux: str = key(
        "matric_flux_potential", "flow between soil layers", ("matric_flux_potential", "interpolated_saturation")
    )


@dataclasses.dataclass
class Output:
    """What is written where."""

    directory: str = key(RUN_FOLDER, "the run folder")
    grids: list[str] = key(  # noqa: RUF009  a field, not a shared list
        ["runoff", "evaporation", "recharge", "water_table_depth", "snow_amount", "discharge"],
        "maps of monthly means, any of: " + ", ".join(GRIDDED_OUTPUTS),
    )
    daily_grids: list[str] = key([], "maps of daily means, the same names")  # noqa: RUF009
    restart_days: int | None = key(None, "days between restarts; empty: at the end of every month", low=1)
    overwrite: bool = key(False, "replace an earlier run in the folder")
    progress: bool = key(True, "show a bar on a terminal")


@dataclasses.dataclass
class Data:
    """Raw data."""

    root: str | None = key(None, "folder of raw data; empty: the environment variable CHASE_DATA")


@dataclasses.dataclass
class Config:
    """The keys that every verb has."""

    domain: Domain = dataclasses.field(default_factory=Domain)
    forcing: Forcing = dataclasses.field(default_factory=Forcing)
    parameters: Parameters = dataclasses.field(default_factory=Parameters)
    gauges: Gauges = dataclasses.field(default_factory=Gauges)
    observations: Observations = dataclasses.field(default_factory=Observations)
    period: Period = dataclasses.field(default_factory=Period)
    initial: Initial = dataclasses.field(default_factory=Initial)
    solvers: Solvers = dataclasses.field(default_factory=Solvers)
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    physics: Physics = dataclasses.field(default_factory=Physics)
    output: Output = dataclasses.field(default_factory=Output)
    data: Data = dataclasses.field(default_factory=Data)
    precision: str = key("float64", "arithmetic", ("float64", "mixed"))
    resume: bool = key(False, "continue the run in output.directory from its last restart")


@dataclasses.dataclass
class Check(Config):
    """The keys of `chase check`."""

    scope: str = key("all", "what is checked: all inputs of a run, or the domain without weather", ("all", "domain"))


@dataclasses.dataclass
class Moselle:
    """The recipe `moselle`."""

    resolution: float = key(1000.0, "width of a cell, m, a multiple of 500 that divides 24 km", low=500, high=24_000)


@dataclasses.dataclass
class ChinaLike:
    """The recipe `china_like`."""

    cells: int = key(100_000, "land cells of the generated domain, about", low=400, high=9_600_000)
    seed: int = key(1, "seed of the generated terrain and weather", low=0)
    resolution: float = key(1000.0, "width of a cell, m", low=100, high=20_000)


@dataclasses.dataclass
class CamelsCatchments:
    """The recipe `camels_catchments`."""

    basins: int = key(36, "how many basins are drawn over climates", low=9)
    seed: int = key(0, "seed of the draw", low=0)
    after: int = key(0, "how many of the draw are passed over, for basins that are none of these", low=0)


@dataclasses.dataclass
class China:
    """The recipe `china`."""

    folder: str | None = key(None, "folder of the sources (merit_hydro, era5_land, ...); empty: china in data.root")
    south: float | None = key(None, "southern edge of the region, degree; all four or none: those of the maps")
    north: float | None = key(None, "northern edge of the region, degree")
    west: float | None = key(None, "western edge of the region, degree")
    east: float | None = key(None, "eastern edge of the region, degree")
    resolution: float = key(1000.0, "width of a cell, m", low=100, high=20_000)
    legend: str = key("usgs", "legend of the land cover", ("usgs", "igbp", "esa_cci", "esa_worldcover"))
    patch_area: float = key(5.0, "area from which lakes are solved in two dimensions, km2", low=0)
    record_start: str | None = key(None, "first day of the records by which gauges are screened; empty: the file's")
    record_end: str | None = key(None, "last day of these records, ISO; empty: the file's")
    least_years: int = key(5, "complete years of record that a gauge needs", low=0)


@dataclasses.dataclass
class Region(China):
    """The recipe `region`: that of `china` with drainage and terrain of one's own."""

    folder: str | None = key(None, "folder of the other sources (era5_land, hydrolakes, ...); empty: none of them")
    elevation: str | None = key(None, "raster of altitudes, m (GeoTIFF or PCRaster map)")
    flow_direction: str | None = key(None, "raster of flow directions on the same grid")
    codes: str = key(
        "esri", "codes of the directions: 1 .. 128, keys of a number pad, MERIT Hydro", ("esri", "ldd", "merit")
    )
    river_width: str | None = key(None, "raster of river widths, m; empty: from mean flow")
    upstream_area: str | None = key(None, "raster of areas upstream, km2, to compare; empty: none")
    crs: str | None = key(None, "projection of rasters that tell none, such as EPSG:4326")


@dataclasses.dataclass
class Mended:
    """What a person mends in a drainage network."""

    path: str | None = key(None, "table x,y,direction,reason (lon,lat or row,column for x,y) of directions to change")


@dataclasses.dataclass
class Prepare(Config):
    """The keys of `chase prepare`; a group of the name of a recipe holds what that recipe alone takes."""

    recipe: str | None = key(None, "name of the recipe, a module of data_prep")
    hydrography: str = key(
        "largest",
        "exits of upscaled cells: at their largest accumulation, or found by iteration (IHU of pyflwdir)",
        ("largest", "iterative"),
    )
    corrections: Mended = dataclasses.field(default_factory=Mended)
    camels_catchments: CamelsCatchments = dataclasses.field(default_factory=CamelsCatchments)
    china_like: ChinaLike = dataclasses.field(default_factory=ChinaLike)
    moselle: Moselle = dataclasses.field(default_factory=Moselle)
    china: China = dataclasses.field(default_factory=China)
    region: Region = dataclasses.field(default_factory=Region)


@dataclasses.dataclass
class BasinTable:
    """Gauged basins to learn from."""

    path: str | None = key(None, "table of gauges with areas and predictors, with observations.path; empty: the recipe")
    least_years: float = key(5.0, "shortest record, years", low=0)
    largest_area: float = key(15_000.0, "largest drainage area, km2", low=1)
    tolerance: float = key(0.1, "largest deviation of precipitation of gauged years from that of all years", low=0)


@dataclasses.dataclass
class Search:
    """How hyper-parameters are searched."""

    draws: int = key(30, "random draws", low=1)
    folds: int = key(5, "folds of the inner cross-validation", low=2)
    groups: int = key(5, "groups of sites that share a search in the grouped design", low=2)
    seed: int = key(0, "where all chance comes from", low=0, high=SEEDS)
    smearing: bool = key(False, "correct the bias of squaring a learned root")


@dataclasses.dataclass
class Signatures(Config):
    """The keys of `chase signatures`."""

    recipe: str | None = key(None, "name of the recipe, a module of data_prep")
    design: str = key("grouped", "a search for each site, or for each group of sites", ("full", "grouped"))
    predictors: str = key("paper", "set of predictors", ("paper", "without_humidity", "extended"))
    regressors: list[str] = key(  # noqa: RUF009  a field, not a shared list
        ["rf", "gbdt", "svr", "knn"], "regressors to compare, any of: rf, gbdt, svr, knn"
    )
    sites: int | None = key(None, "sites to be scored, drawn by a seeded rule; empty: all", low=3)
    hold_out: str = key("upstream", "gauges held out with a site", ("upstream", "catchment"))
    part: str | None = key(None, "do only the i-th of n parts of the sites, as i/n; a last call without it joins them")
    workers: int = key(1, "processes", low=1)
    basins: BasinTable = dataclasses.field(default_factory=BasinTable)
    search: Search = dataclasses.field(default_factory=Search)


@dataclasses.dataclass
class Maps:
    """Maps to calibrate against."""

    path: str | None = key(None, "file of maps of runoff_depth and baseflow_index on the grid of the domain")
    folder: str | None = key(
        None, "instead of one file, a folder of them such as maps_without, each a calibration of its own"
    )
    interval_days: int | None = key(
        None,
        "interval of HYSEP for the simulated baseflow index, odd; empty: the attribute interval_days of the map",
        low=3,
        high=11,
    )


SUPPORTS = ("domain", "basin", "vegetation_class")  # of a parameter that is sought from discharge


@dataclasses.dataclass
class Fit:
    """How the search goes."""

    derivatives: str = key(
        "first",
        "of method=gradient variant=newton: from every run, from the first and kept up by differences, or by "
        "differences alone; after a pilot, which tells the first, only the first of these three asks for any",
        ("always", "first", "never"),
    )
    runoff_depth_by: str = key(
        "dcor",
        "parameter that is to meet the runoff depth; the paper's, or the one that decides on transpiration",
        ("dcor", "stomatal_resistance_factor"),
    )
    baseflow_index_by: str = key(
        "baseflow_factor",
        "parameter that is to meet the baseflow index; the paper's, or another that divides water by its way",
        ("baseflow_factor", "dcor", "bypass_fraction"),
    )
    trials: int = key(
        12,
        "most trials of the first round: of each parameter with method=standard, of all with method=gradient; later "
        "ones, and that of the first year, take half or a third of it; steps of a field or network",
        low=1,
    )
    rounds: int | None = key(
        None,
        "most rounds of trials, before each of which the stores are renewed; empty for as many as meet more than a "
        "few cells, up to 12 with method=standard, whose first is the paper's, and 8 with method=gradient; 1 of a "
        "field or network",
        low=1,
    )
    runs: float | None = key(
        None,
        "forward runs (the run-in once and the period) after which a search in closed columns, variant=newton, begins "
        "no trial more; what a round began with and the last spin-up come on top; empty for no "
        "limit",
        low=0,
    )
    pilot: int = key(
        512,
        "of method=gradient variant=newton: most cells whose trials teach where all others begin and how they answer; "
        "at most an eighth of them, and none where that would be fewer than 32; 0 for none",
        low=0,
    )
    prior_deviation: float | None = key(
        None,
        "of method=gradient variant=newton: standard deviation of the unknowns about the parameters that are given, as "
        "logits of their share of the range; maps are then weighed against it by their uncertainty; empty: they are to "
        "be met",
        low=1e-3,
    )
    spinup_cycles: int = key(12, "repetitions of the run-in before the first trial", low=1)
    renewal_cycles: int = key(
        3, "repetitions of the run-in between the first rounds, and before the coupled model judges", low=1
    )
    cycles: int = key(1, "repetitions of the run-in within a trial", low=1)
    cores: int | None = key(
        None, "cores on which trials of closed columns run at once; empty for all that the process may use", low=1
    )
    optimiser: str = key("lbfgs", "of variant=field and network", ("lbfgs", "adam"))
    rate: float = key(0.1, "learning rate of fit.optimiser=adam", low=0)
    smoothness: float = key(0.1, "of variant=field: weight of differences between neighbors", low=0)
    width: int = key(16, "of variant=network: neurons of a hidden layer", low=1)
    seed: int = key(0, "of the first weights of variant=network, and of the draws of a pilot", low=0, high=SEEDS)
    model: str = key("coupled", "which model judges the result", ("coupled", "columns"))
    parameters: list[str] = key(  # noqa: RUF009  a field, not a shared list
        ["dcor", "baseflow_factor", "manning_roughness", "bed_conductance_factor"],
        "of target=discharge: what is sought, any of the parameters and factors in the table of variables; "
        "NAME:SUPPORT for one with a support of its own",
    )
    losses: list[str] = key(  # noqa: RUF009  a field, not a shared list
        ["nse"],
        "of target=discharge: what is made small, at all gauges together: 1 - nse, (1 - kge)^2, 1 - pcc, squares of "
        "the relative bias (runoff_depth) and of the error of the baseflow_index, 1 - nse of lake_level",
    )
    weights: list[float] = key(  # noqa: RUF009  a field, not a shared list
        [], "of target=discharge: weight of each of fit.losses; empty: 1 each. Column weight of gauges.csv: of a gauge"
    )
    support: str = key(
        "domain",
        "of target=discharge: over what each parameter is uniform",
        SUPPORTS,
    )
    coarse: str | None = key(
        None,
        "of target=discharge: folder with domain.nc, forcing.nc and gauges.csv of the same place in wider cells, where "
        "derivatives are taken; empty: in the domain itself",
    )
    flow: str = key("flow", "of target=discharge: what is compared, day by day", ("flow", "root", "logarithm"))
    share: float = key(0.5, "of target=discharge: share of the days that is fitted; the rest judges", low=0.1, high=1)
    prior: float = key(1e-3, "of target=discharge: weight of staying near the parameters as they are", low=0)
    donors: int = key(3, "of target=hydrograph: basins from which an ungauged cell takes its roughness", low=1)
    corrections: int = key(3, "trials in the coupled model that correct what closed columns miss", low=0)


@dataclasses.dataclass
class Calibrate(Config):
    """The keys of `chase calibrate`."""

    target: str = key(
        "signatures",
        "what to meet: maps; hydrographs by the roughness of basins; discharge by any parameters (fit.parameters)",
        ("runoff_depth", "baseflow_index", "signatures", "hydrograph", "discharge"),
    )
    method: str = key("gradient", "the paper's procedure or by derivatives", ("standard", "gradient"))
    variant: str = key(
        "newton",
        "of method=gradient: every cell by itself; a field held together by its neighbors; a network from attributes",
        ("newton", "field", "network"),
    )
    part: str | None = key(None, "of maps.folder: do only the i-th of n parts of the files, as i/n")
    check: bool = key(False, "compare derivatives with differences in some cells, and calibrate nothing")
    maps: Maps = dataclasses.field(default_factory=Maps)
    fit: Fit = dataclasses.field(default_factory=Fit)


SCHEMAS: dict[str, type[Config]] = {
    "simulate": Config, "check": Check, "prepare": Prepare, "signatures": Signatures, "calibrate": Calibrate,
    "evaluate": Config,
}  # fmt: skip


def compose(values: dict[str, Any], verb: str = "simulate", words: Sequence[str] = ()) -> Config:
    """The configuration of a verb with other values.

    Args:
        values: Nested dictionaries by group and key.
        verb: The verb.
        words: What may follow the verb on the command line, such as "experiment=moselle"; `values` come on top.

    Raises:
        InputError: If a key does not exist or a value has the wrong type.
    """
    register()
    schema = SCHEMAS[verb]
    for name in _names(values):
        require_key(name, schema)
    try:
        with initialize_config_dir(str(folder()), version_base="1.3", job_name="chase"):
            return OmegaConf.to_object(OmegaConf.merge(hydra_compose(verb, list(words)), values))  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise InputError(" ".join(str(error).split())) from None


def _names(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The full names of the keys of nested dictionaries."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def folder() -> pathlib.Path:
    """The folder of configuration files: inside an installed package, beside it in a source tree."""
    package = pathlib.Path(__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def groups() -> dict[str, list[str]]:
    """The groups of configuration files and the names in each."""
    found = sorted(path for path in folder().iterdir() if path.is_dir())
    return {path.name: sorted(file.stem for file in path.glob("*.yaml")) for path in found}


@functools.cache
def register() -> None:
    """Make schemas and resolvers known to Hydra."""
    for verb, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{verb}_schema", node=schema)
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("table_name", _table_name, replace=True)


def _run_name(domain: str | None) -> str:
    """The name of the run folder: that of the folder of the domain file, or of the file if it has a name of its own."""
    if not domain:
        return "demo"
    path = pathlib.Path(domain).expanduser().resolve()
    return path.stem if path.stem != "domain" else path.parent.name or "domain"


def _table_name(recipe: str | None, path: str | None) -> str:
    """The name of a table of basins: that of its recipe, else of its file."""
    return recipe or (pathlib.Path(path).stem if path else "basins")


def keys(schema: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], type]]:
    """Every key of a schema with its full name, field and type."""
    types = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if dataclasses.is_dataclass(types[field.name]):
            yield from keys(types[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", field, types[field.name]


def instead(name: str, given: str, schema: type[Config]) -> str:
    """Words that say what to write for a value of the wrong type, empty where that is plain.

    Args:
        name: The key, or an element of it such as "fit.weights[0]".
        given: What was written.
        schema: The keys of the verb.
    """
    whole = name.partition("[")[0]
    field, kind = next(((field, kind) for found, field, kind in keys(schema) if found == whole), (None, None))
    if field is None:
        return ""
    kinds = typing.get_args(kind) or (kind,)
    if typing.get_origin(kind) is list and whole == name:
        return f"; write a list, {name}=[{given}]" if given not in ("", "null") else f"; write a list, or {name}=[]"
    what = next((text for known, text in NUMBERS.items() if known in kinds), "")
    example = f", such as {name}={field.default}" if what and whole == name and field.default is not None else ""
    return f"; write {what}{example}" if what else ""


def require_key(name: str, schema: type[Config]) -> None:
    """Require a key, or a group, of a configuration to exist.

    Raises:
        InputError: Suggests the nearest one.
    """
    known = [found for found, _, _ in keys(schema)] + list(groups())
    sections = {found.split(".")[0] for found in known}
    if name not in known and name not in sections:
        raise InputError(f"unknown key {name}{nearest(name, known)}; --help lists all keys.")


def nearest(name: str, known: list[str]) -> str:
    """Words that suggest the names most like a wrong one."""
    last = {found.rsplit(".", 1)[-1]: found for found in known}
    section, _, own = name.rpartition(".")
    siblings = [found for found in known if section and found.startswith(f"{section}.")]
    close = difflib.get_close_matches(name, siblings or known, n=1, cutoff=0.7)
    close = close or [last[n] for n in difflib.get_close_matches(own, list(last), n=1, cutoff=0.6)]
    if close:
        return f", did you mean {close[0]}?"
    return f"; {section} has {', '.join(siblings)}" if siblings else ""


def check(config: Config) -> Config:
    """The configuration, if its values make sense by themselves.

    Raises:
        InputError: Names key, value and what is allowed.
    """
    for name, field, _ in keys(type(config)):
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        numbers = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, float)]
        require(all(map(math.isfinite, numbers)), f"{name} is {value}; it must be finite.")
        choices, low, high = (field.metadata[limit] for limit in ("choices", "low", "high"))
        if choices and value not in choices:
            hint = nearest(str(value), list(choices))
            raise InputError(f"{name} is '{value}'{hint}; allowed are {', '.join(choices)}.")
        unit = f" {field.metadata['unit']}" if field.metadata["unit"] != "1" else ""
        if low is not None and value is not None and not value >= low:
            raise InputError(f"{name} is {value}; it must be at least {low:g}{unit}.")
        if high is not None and value is not None and not value <= high:
            raise InputError(f"{name} is {value}; allowed are {low:g} to {high:g}{unit}.")
    require(bool(config.output.directory.strip()), "output.directory is empty; name a folder, for example runs/first.")
    start, end = date(config.period.start, "period.start"), date(config.period.end, "period.end")
    require(start <= end, f"period.end is {end}, before period.start {start}; exchange them.")
    if config.period.warmup_start is not None:
        first = date(config.period.warmup_start, "period.warmup_start")
        require(first < start, f"period.warmup_start is {first}; it must lie before period.start {start}.")
    require(
        config.period.warmup_drift is None or config.period.warmup_start is not None,
        f"period.warmup_drift is {config.period.warmup_drift} but there is no run-in; give its first day as "
        "period.warmup_start=...",
    )
    for name in ("grids", "daily_grids"):
        for wanted in getattr(config.output, name):
            hint = nearest(wanted, list(GRIDDED_OUTPUTS))
            require(
                wanted in GRIDDED_OUTPUTS,
                f"output.{name}: unknown map '{wanted}'{hint}; allowed are {', '.join(GRIDDED_OUTPUTS)}.",
            )
    return config


def part_of(text: str | None) -> tuple[int, int] | None:
    """Number and count of a part of a job.

    Args:
        text: The key `part`, i/n; None for the whole.

    Raises:
        InputError: If it is neither.
    """
    if text is None:
        return None
    number, _, count = text.partition("/")
    good = number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)
    require(good, f"part is '{text}'; write it as i/n with i from 1 to n, for example 3/16.")
    return int(number), int(count)


def date(text: str, name: str) -> datetime.date:
    """A day from its ISO form.

    Raises:
        InputError: If it is not one.
    """
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError as error:
        raise InputError(f"{name} is '{text}' ({error}); give a day such as 1990-01-31.") from None


def flat(config: Config) -> dict[str, Any]:
    """The values by their full names."""
    result = {}
    for name, _, _ in keys(type(config)):
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        result[name] = value
    return result


def options(config: Config, group: str) -> dict[str, Any]:
    """The keys and values of a group; none if there is no such group."""
    found = getattr(config, group, None)
    return dataclasses.asdict(found) if dataclasses.is_dataclass(found) else {}  # type: ignore[arg-type]


def dump(config: Config) -> str:
    """The values as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def defaults(verb: str) -> dict[str, str]:
    """What every key of a verb is if it is not given, in words, by its full name.

    Args:
        verb: The verb.
    """
    register()
    with initialize_config_dir(str(folder()), version_base="1.3", job_name="chase"):
        composed = OmegaConf.to_container(hydra_compose(verb), resolve=False)
    found = {}
    for name, _, _ in keys(SCHEMAS[verb]):
        value: Any = composed
        for part in name.split("."):
            value = value[part]
        found[name] = _in_words(value)
    return found


def _in_words(value: Any) -> str:
    """A value for a reader; what stands for other keys in capitals."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "empty"
    text = re.sub(r"\$\{(run|table)_name:(?:[^{}]|\$\{[^{}]*\})*\}", lambda found: NAMED[found[1]], str(value))
    return re.sub(r"\$\{(\w+)\}", lambda found: found[1].upper(), text)
