"""How fast the coupled model is, where the time goes, and what gradients cost; on one core.

    python experiments/benchmarks/step.py                          the demo
    python experiments/benchmarks/step.py domain.nc forcing.nc     any domain
    python experiments/benchmarks/step.py mixed [...]              formulas in single precision

The process binds itself to one core, so that a rate is a rate per core. Days are real weather from the middle of the
first year of the forcing, after the model has run from its cold start for a month.
"""

from __future__ import annotations

import math
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before XLA counts the cores

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
from timing import lowered, report, seconds  # noqa: E402

import chase_jax as cj  # noqa: E402
from chase_jax import constants as const  # noqa: E402
from chase_jax import demo  # noqa: E402
from chase_jax.io import forcing_store  # noqa: E402
from chase_jax.model import chase, land, program, surface_water  # noqa: E402
from chase_jax.numerics.scan import to_blocks  # noqa: E402
from chase_jax.physics import atmosphere, groundwater  # noqa: E402

MONTHS = 3  # timed
GRADIENTS = ((30, None), (60, 8))  # days, and days between kept states


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], float]:
    """A compiled function and the seconds that took, tracing included."""
    begun = time.perf_counter()
    done = lowered(function, *arguments).compile()
    return done, time.perf_counter() - begun


def size(tree: Any) -> int:
    """Bytes of the arrays of a tree."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree) if hasattr(leaf, "nbytes"))


def run_months(model: cj.Chase, reader: forcing_store.Reader) -> tuple[Any, float]:
    """Rate of a run as `chase simulate` makes it; returns a state with a history and the seconds of a day."""
    cells = model.domain.cells
    ready = program.Program(model, np.array([cells - 1]), ("runoff", "evaporation"), (), "")
    state, totals = ready.initial_state(), ready.totals()
    day, spent = 0, []
    for month in range(MONTHS + 1):
        weather = reader.read(day, program.LONGEST, padded=program.LONGEST)
        begun = time.perf_counter()
        state, totals, _ = jax.block_until_ready(ready.advance(state, totals, weather, program.LONGEST))
        spent.append(time.perf_counter() - begun)
        day += program.LONGEST
        if month == 0:
            report("first month, compilation included", spent[0], "s")
    per_day = min(spent[1:]) / program.LONGEST
    report("compilation of a run", spent[0] - min(spent[1:]), "s")
    report("best of the months that follow", cells / per_day, "cell-days per second and core")
    report("mean of the months that follow", cells * program.LONGEST * MONTHS / sum(spent[1:]), "likewise")
    return state, per_day


def parts_of_a_day(model: cj.Chase, state: Any, weather: atmosphere.Forcing, per_day: float) -> None:
    """Time of the components of a day and of the processes of a column, each compiled alone."""
    substeps = model.options.land_substeps
    wet = model._wet_area(state.water)
    columns = model.columns()
    aquifer = groundwater.State(state.aquifer.storage)
    inflow = jnp.full(model.domain.cells, 0.01)
    interval = const.SECONDS_PER_DAY / substeps
    d, p = model.domain, model.parameters

    def route(solver: Any) -> Callable:
        return lambda w, q: surface_water.step(p.channel, model.geometry, w, q, interval, solver)

    components = {
        "columns": (lambda s, f: model._columns_day(s, f, wet, columns), (state, weather), 1),
        "glaciers": (lambda s, f: model._glacier_day(s.glacier, f), (state, weather), 1),
        "aquifer": (
            lambda s: groundwater.step(
                p.aquifer, s, d.faces.edges, d.faces.surface_fall, d.cell_area, 86400.0, model.solvers.aquifer
            ),
            (aquifer,),
            1,
        ),
        "rivers and lakes": (route(model.solvers.reach), (state.water, inflow), substeps),
        "rivers and lakes, were they swept": (
            route(model.with_solvers("jacobi")[0].solvers.reach),
            (state.water, inflow),
            substeps,
        ),
        "seepage": (lambda s, w: model._seepage(s, w, interval), (aquifer.storage, state.water), substeps),
    }
    print("share of a day")
    for name, (function, arguments, times) in components.items():
        done, _ = compiled(function, *arguments)
        spent = times * seconds(lambda done=done, arguments=arguments: done(*arguments))
        report(f"  {name}", 100.0 * spent / per_day, "%")
    print("share of a day, processes of a column")
    blocks = math.ceil(model.domain.cells / chase.BLOCK)
    for name, (function, arguments) in record_processes(model, state, weather).items():
        leaves, structure = jax.tree.flatten(arguments)
        varying = [isinstance(leaf, jax.Array) for leaf in leaves]

        def call(arrays, function=function, structure=structure, leaves=leaves, varying=varying):
            given = iter(arrays)
            args, kwargs = structure.unflatten([next(given) if v else x for x, v in zip(leaves, varying, strict=True)])
            return jax.tree.leaves(function(*args, **kwargs))

        arrays = [leaf for leaf, v in zip(leaves, varying, strict=True) if v]
        done, _ = compiled(call, arrays)
        spent = blocks * substeps * seconds(lambda done=done, arrays=arrays: done(arrays))
        report(f"  {name}", 100.0 * spent / per_day, "%")


def record_processes(model: cj.Chase, state: Any, weather: atmosphere.Forcing) -> dict[str, tuple[Callable, Any]]:
    """The processes of one sub-step of one block of columns, with the arguments that they get there."""
    watched = {
        "interception": (land.canopy, "intercept"),
        "radiation": (land.radiation, "absorb"),
        "energy balance, turbulence, stomata": (land.surface_energy, "solve"),
        "snow": (land.snow, "step"),
        "runoff": (land.runoff, "partition"),
        "soil water and exchange with the aquifer": (land.soil_water, "step"),
        "soil heat": (land.soil_heat, "step"),
    }
    found: dict[str, tuple[Callable, Any]] = {}
    kept = {name: getattr(module, attribute) for name, (module, attribute) in watched.items()}

    def watch(name: str) -> Callable:
        def call(*arguments: Any, **keywords: Any) -> Any:
            found.setdefault(name, (kept[name], (arguments, keywords)))
            return kept[name](*arguments, **keywords)

        return call

    first = lambda tree: jax.tree.map(lambda leaf: leaf[0], to_blocks(tree, chase.BLOCK))  # noqa: E731
    d, p = model.domain, model.parameters
    setting = first(
        land.Setting(
            d.latitude,
            d.land_fraction,
            p.aquifer.thickness,
            p.aquifer.specific_yield,
            state.aquifer.storage,
            jnp.zeros(d.cells),
        )
    )
    parameters, stores, today = first(p.land), first(state.land), first(weather)
    options = model.options
    setting, parameters, stores, today = options.rounded((setting, parameters, stores, today))
    air = atmosphere.prepare_day(parameters.atmosphere, today, setting.latitude, options.land_substeps, options.storm)
    noon = jax.tree.map(lambda leaf: leaf[options.land_substeps // 2], air.intervals)
    dt = const.SECONDS_PER_DAY / options.land_substeps
    leaf_area = land.leaf_area_today(parameters.leaf_area_index, today.day_of_year)
    shared = land._prepare(parameters, stores, setting, leaf_area)
    try:
        for name, (module, attribute) in watched.items():
            setattr(module, attribute, watch(name))
        air_now = atmosphere.air(air.shared, noon)
        land.substep(parameters, shared, setting, options, stores, setting.aquifer_storage, air_now, dt)
    finally:
        for name, (module, attribute) in watched.items():
            setattr(module, attribute, kept[name])
    return found


def gradients(model: cj.Chase, state: Any, reader: forcing_store.Reader) -> None:
    """Cost and memory of a gradient with respect to every parameter, against the run it differentiates."""
    took = 0.0
    for days, block in GRADIENTS:
        weather = reader.read(31, days)

        def mean_discharge(parameters: Any, state: Any, weather: Any, block: int | None = block) -> jax.Array:
            other = eqx.tree_at(lambda m: m.parameters, model, parameters)
            record = cj.at_gauges(np.array([model.domain.cells - 1]))
            return jnp.mean(cj.run(other, state, weather, record=record, block=block).record)

        kept = f"{days} days, {'every' if block is None else f'one in {block}'} kept"
        took = compare(kept, mean_discharge, (model.parameters, state, weather), model.domain.cells)
    report("compilation of a gradient", took, "s")
    runoff = jnp.full((GRADIENTS[0][0], model.options.land_substeps, model.domain.cells), 1e-8) * model.domain.cell_area

    def of_waters(parameters: Any, state: Any, runoff: jax.Array) -> jax.Array:
        other = eqx.tree_at(lambda m: m.parameters, model, parameters)
        none = jnp.zeros(model.domain.cells)

        def day(stores: Any, runoff: jax.Array) -> tuple[Any, jax.Array]:
            done = other.waters(*stores, runoff, none, none)
            return (done.aquifer, done.water), done.discharge[-1]

        return jnp.mean(jax.lax.scan(day, (state.aquifer, state.water), runoff)[1])

    given = (model.parameters, state, runoff)
    compare("rivers, lakes and aquifer alone", of_waters, given, model.domain.cells)


def compare(kept: str, function: Callable[..., Any], given: tuple[Any, ...], cells: int) -> float:
    """Report what value and gradient cost over the value; returns the seconds of compilation."""
    forward, _ = compiled(function, *given)
    backward, took = compiled(jax.value_and_grad(function), *given)
    plain, both = seconds(lambda: forward(*given), 1), seconds(lambda: backward(*given), 1)
    memory = backward.memory_analysis().temp_size_in_bytes / cells
    report(f"value and gradient over value, {kept}", both / plain, "times")
    report(f"memory of the gradient, {kept}", memory, "bytes per cell")
    return took


def main(words: list[str]) -> None:
    """Print the table for the demo, or for a domain and its weather."""
    arithmetic = "mixed" if words[:1] == ["mixed"] else "float64"
    words = words[1:] if arithmetic == "mixed" else words
    with tempfile.TemporaryDirectory() as scratch:
        if words:
            paths = dict(zip(("domain", "forcing"), map(pathlib.Path, words), strict=True))
        else:
            paths = demo.write(pathlib.Path(scratch))
        domain = cj.open_domain(paths["domain"])
        with xr.open_dataset(paths["forcing"]) as found:
            first, last = (str(found.time.values[i])[:10] for i in (120, -1))
        reader = forcing_store.open_forcing(
            paths["forcing"], domain.grid, np.asarray(domain.surface_altitude), first, last, 0.0065
        )
        model = cj.Chase.default(domain, options=land.Options(precision=arithmetic))
        print(
            f"{domain.cells} cells, {domain.glacier_cell.size} with glaciers, {domain.lakes.cell.size} in lake patches"
        )
        print(f"{model.solvers.reach}, {arithmetic}")
        state = cj.initial_state(model)
        report("state", size(state) / domain.cells, "bytes per cell")
        report("parameters", size(model.parameters) / domain.cells, "bytes per cell")
        state, per_day = run_months(model, reader)
        weather = jax.tree.map(lambda leaf: leaf[0], reader.read(90, 1))
        parts_of_a_day(model, state, weather, per_day)
        gradients(model, state, reader)


if __name__ == "__main__":
    main(sys.argv[1:])
