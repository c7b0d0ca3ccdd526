"""The model as a run needs it: one compiled program for chunks of up to 31 days, with series, maps and budget.

The loop over the days has a count that is data, so the same program serves chunks of every length, and a run gives the
same bits however it is cut.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.domain.domain import Domain
from chase_jax.model import budget, defaults, equilibrium, initial, land, surface_water
from chase_jax.model.adjustable import adjusted
from chase_jax.model.chase import Chase
from chase_jax.model.containers import Fluxes, Solvers, State
from chase_jax.model.lake_record import LakeRecord
from chase_jax.numerics.compilation import compiled
from chase_jax.physics import atmosphere, soil_hydraulics, soil_water
from chase_jax.physics import snow as snow_process
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS
from chase_jax.variables import VARIABLES

LONGEST = 31  # days of a chunk
RESIDUALS = ("land", "glacier", "aquifer", "rivers", "total", "energy")


def maps(model: Chase, state: State, fluxes: Fluxes, names: tuple[str, ...]) -> dict[str, jax.Array]:
    """Maps by the names of the table of variables, (cell,) or (layer, cell), in its units.

    Args:
        model: The model.
        state: Stores at the end of the day.
        fluxes: Fluxes of the day.
        names: What is wanted.
    """
    d, p, column = model.domain, model.parameters, fluxes.land
    layers = soil_water.diagnose(p.land.soil, state.land.soil)
    liquid_share = layers.liquid[0] / jnp.maximum(layers.liquid[0] + layers.frozen[0], 1e-9)
    first = state.land.soil.water[0]  # without the puddle, which shares its phases
    liquid = layers.liquid.at[0].set(first * liquid_share)
    table = soil_hydraulics.water_table(state.aquifer.storage, p.aquifer.thickness, p.aquifer.specific_yield)
    vegetation = p.land.vegetation
    buried = vegetation.lower_fraction * vegetation.lower_top
    ice = state.glacier.ice.ice * d.glacier_fraction[d.glacier_cell]
    layered = jnp.ones((len(LAYER_THICKNESS), 1))
    known = {
        "precipitation": lambda: fluxes.precipitation,
        "rain": lambda: column.rain,
        "snowfall": lambda: column.snowfall,
        "evaporation": lambda: fluxes.evaporation,
        "transpiration": lambda: column.transpiration,
        "canopy_evaporation": lambda: column.canopy_evaporation,
        "soil_evaporation": lambda: column.soil_evaporation,
        "snow_sublimation": lambda: column.snow_sublimation,
        "open_water_evaporation": lambda: fluxes.open_water_evaporation,
        "glacier_evaporation": lambda: fluxes.glacier_evaporation,
        "snow_melt": lambda: column.snow_melt,
        "glacier_runoff": lambda: fluxes.glacier_runoff,
        "infiltration": lambda: column.infiltration,
        "surface_runoff": lambda: column.surface_runoff,
        "subsurface_runoff": lambda: fluxes.seepage + fluxes.exfiltration,
        "runoff": lambda: fluxes.runoff,
        "recharge": lambda: column.recharge,
        "seepage": lambda: fluxes.seepage,
        "exfiltration": lambda: fluxes.exfiltration,
        "submarine_groundwater_discharge": lambda: fluxes.submarine_groundwater_discharge,
        "sensible_heat": lambda: fluxes.sensible_heat,
        "latent_heat": lambda: fluxes.latent_heat,
        "net_radiation": lambda: fluxes.net_radiation,
        "canopy_water": lambda: jnp.sum(state.land.canopy.water, axis=0),
        "snow_amount": lambda: state.land.snow.water,
        "snow_liquid_water": lambda: jnp.sum(snow_process.diagnose(state.land.snow).liquid, axis=0),
        "snow_thickness": lambda: state.land.snow.thickness,
        "snow_cover_fraction": lambda: snow_process.cover(state.land.snow, buried),
        "glacier_ice": lambda: jnp.zeros(d.cells, ice.dtype).at[d.glacier_cell].set(ice),
        "puddle_water": lambda: state.land.soil.puddle,
        "soil_liquid_water": lambda: liquid,
        "soil_frozen_water": lambda: state.land.soil.water - liquid,
        "soil_water": lambda: state.land.soil.water,
        "soil_temperature": lambda: layers.temperature,
        "soil_porosity": lambda: layered * p.land.soil.porosity,
        "soil_saturated_conductivity": lambda: layered * p.land.soil.saturated_conductivity,
        "soil_suction_at_saturation": lambda: layered * p.land.soil.air_entry_suction,
        "surface_temperature": lambda: column.surface_temperature,
        "water_table_depth": lambda: table.depth,
        "aquifer_storage": lambda: const.WATER_DENSITY * state.aquifer.storage,
        "aquifer_head": lambda: d.surface_altitude - table.depth,
        "river_depth": lambda: surface_water.depth(p.channel, model.geometry, state.water),
        "river_storage": lambda: state.water.volume,
        "total_storage": lambda: budget.storage(d, state),
        "discharge": lambda: fluxes.discharge,
    }
    return {name: known[name]() for name in names}


class Program:
    """A model ready to advance chunks of days; see :func:`build`."""

    layer_thickness: tuple[float, ...] = LAYER_THICKNESS

    def __init__(
        self, model: Chase, gauge_cell: np.ndarray, grids: tuple[str, ...], daily: tuple[str, ...], report: str
    ):
        """A program that writes discharge at `gauge_cell`, monthly `grids` and `daily` maps."""
        self.model, self.report = model, report
        self._gauges = jnp.asarray(gauge_cell, dtype=jnp.int32)
        self._grids, self._daily = grids, daily
        self._lakes = LakeRecord(model.domain)
        self.lakes = self._lakes.numbers
        self._compiled = compiled(self._advance, donate="none")

    def initial_state(self) -> State:
        """The state of a cold start."""
        return initial.initial_state(self.model)

    def totals(self) -> dict[str, Any]:
        """The sums of a month, zero."""
        found, terms = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), self._summed)
        worst = {name: jnp.zeros(()) for name in RESIDUALS}
        places = {name: jnp.zeros(2) for name in RESIDUALS}
        return {"maps": found, "terms": terms, "worst": worst, "places": places, "days": jnp.zeros(())}

    def history(self, state: State) -> equilibrium.History:
        """The history of a run-in before its first repetition."""
        return equilibrium.History.start(state)

    def end_of_repetition(
        self, state: State, history: equilibrium.History, years: float, largest_drift: float
    ) -> tuple[State, equilibrium.History]:
        """State and history after one more repetition of the run-in, extrapolated if the aquifer still drifts."""
        history = history.with_end(self.model, state, years)
        if float(history.drift) <= largest_drift:
            return state, history
        return equilibrium.extrapolated(self.model, state, history)

    @functools.cached_property
    def _summed(self) -> Any:
        """Shapes of maps and budget terms; found by tracing the model, which takes seconds, so once."""

        def day(forcing: atmosphere.Forcing) -> Any:
            state = self.initial_state()
            new, fluxes = self.model.step(state, forcing)
            return maps(self.model, new, fluxes, self._grids), budget.terms(self.model.domain, state, new, fluxes)

        return jax.eval_shape(day, _no_weather(self.model.domain.cells))

    def advance(
        self, state: State, totals: Any, forcing: atmosphere.Forcing, count: int
    ) -> tuple[State, Any, dict[str, Any]]:
        """State, sums and series after `count` days of a forcing with a leading axis of 31 days."""
        return self._compiled(self.model, state, totals, forcing, jnp.asarray(count, jnp.int32))

    def _advance(self, model: Chase, state: State, totals: Any, forcing: atmosphere.Forcing, count: jax.Array):
        columns = model.columns()
        series = {
            name: jnp.zeros((LONGEST, *leaf.shape), leaf.dtype)
            for name, leaf in jax.eval_shape(
                lambda s, f: self._series(model, *model.step(s, f, columns)),
                state,
                jax.tree.map(lambda leaf: leaf[0], forcing),
            ).items()
        }

        def day(carry):
            k, state, totals, series = carry
            new, fluxes = model.step(state, jax.tree.map(lambda leaf: leaf[k], forcing), columns)
            now = self._series(model, new, fluxes)
            series = {name: series[name].at[k].set(now[name]) for name in series}
            return k + 1, new, self._sum(model, totals, state, new, fluxes), series

        start = (jnp.zeros((), jnp.int32), state, totals, series)
        _, state, totals, series = jax.lax.while_loop(lambda carry: carry[0] < count, day, start)
        return state, totals, series

    def _sum(self, model: Chase, totals: Any, before: State, after: State, fluxes: Fluxes) -> Any:
        """The sums with one more day."""
        terms = budget.terms(model.domain, before, after, fluxes)
        found = maps(model, after, fluxes, self._grids)
        worst, places = {}, {}
        for name in RESIDUALS:
            values = jnp.atleast_1d(getattr(fluxes.residuals, name))
            cell = jnp.argmax(values)
            more = values[cell] > totals["worst"][name]
            worst[name] = jnp.where(more, values[cell], totals["worst"][name])
            here = jnp.stack([cell.astype(values.dtype), totals["days"]])
            places[name] = jnp.where(more, here, totals["places"][name])
        return {
            "maps": jax.tree.map(jnp.add, totals["maps"], found),
            "terms": jax.tree.map(jnp.add, totals["terms"], terms),
            "worst": worst,
            "places": places,
            "days": totals["days"] + 1.0,
        }

    def _series(self, model: Chase, state: State, fluxes: Fluxes) -> dict[str, jax.Array]:
        """What is kept of every day."""
        series = {"discharge": fluxes.discharge[self._gauges]} | self._lakes.series(model, state, fluxes)
        return series | {f"map_{name}": v for name, v in maps(model, state, fluxes, self._daily).items()}

    def means(self, totals: Any) -> dict[str, np.ndarray]:
        """Means of the maps over the days summed."""
        return {name: np.asarray(values / totals["days"]) for name, values in totals["maps"].items()}

    def budget(self, totals: Any, first: np.datetime64) -> dict[str, Any]:
        """One line of the budget: water in mm of the month, energy in W m-2, the largest residuals and their places."""
        days = float(totals["days"])
        row: dict[str, Any] = {"month": str(first)[:7], "days": days}
        for name, total in totals["terms"].items():
            mean = (name in VARIABLES and VARIABLES[name].units == "W m-2") or name.endswith(("_of_land", "_heat"))
            row[name] = float(total) / days if mean else float(total)
        for name in RESIDUALS:
            cell, day = (int(value) for value in np.asarray(totals["places"][name]))
            row[f"{name}_residual"] = float(totals["worst"][name])
            row[f"{name}_residual_cell"] = "domain" if name in ("rivers", "total") else cell
            row[f"{name}_residual_date"] = str(first + np.timedelta64(day, "D"))
        return row


def _no_weather(cells: int) -> atmosphere.Forcing:
    value = jnp.zeros(cells)
    return atmosphere.Forcing(value, value, value, value, value, value, value, value, jnp.zeros(()))


def build(
    domain: Domain,
    parameters: dict[str, np.ndarray],
    *,
    reach: str,
    reach_substeps: int | None,
    reach_sweeps: int | None,
    land_substeps: int,
    soil_substeps: int,
    dcor_form: str,
    storm: str,
    soil_flux: str,
    precision: str,
    gauge_cell: np.ndarray,
    grids: tuple[str, ...],
    daily_grids: tuple[str, ...],
) -> Program:
    """The program of a domain.

    Args:
        domain: The domain.
        parameters: (cell,) values and factors by name, see :mod:`chase_jax.model.adjustable`.
        reach: "jacobi" or "tree".
        reach_substeps: Routing steps a day; None to choose them from the network.
        reach_sweeps: Sweeps of "jacobi"; None to choose them from the network.
        land_substeps: Sub-steps of the land surface a day.
        soil_substeps: Soil-water steps in each of them.
        dcor_form: Meaning of dcor.
        storm: Course of rain within the day.
        soil_flux: Form of the flow between soil layers.
        precision: "float64" or "mixed".
        gauge_cell (gauge,): Cells whose discharge is kept.
        grids: Maps of monthly means.
        daily_grids: Maps of daily means.
    """
    options = land.Options(land_substeps, soil_substeps, dcor_form, storm, soil_flux, precision)
    values = adjusted(defaults.parameters(domain, dcor_form), parameters)
    time_step = const.SECONDS_PER_DAY / reach_substeps if reach_substeps else None
    model, report = Chase(domain, values, Solvers(), options).with_solvers(reach, time_step, reach_sweeps)
    return Program(model, np.asarray(gauge_cell), grids, daily_grids, report)
