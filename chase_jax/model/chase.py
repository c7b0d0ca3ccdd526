"""The coupled model: one day, and the run over many.

Read :meth:`Chase.step` as: columns (canopy, snow, soil, open water, glacier; no cell sees another), then
:meth:`Chase.waters`: the aquifer (neighbors), then rivers and lakes in the intervals of the land's sub-steps,
exchanging water with the aquifer. A flux between two stores is computed once and given to both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.domain.domain import Domain
from chase_jax.model import budget, defaults, glacier_tile, land, surface_water
from chase_jax.model.containers import Fluxes, Parameters, Solvers, State
from chase_jax.numerics import precision, smooth
from chase_jax.numerics.scan import checkpointed_scan, from_blocks, to_blocks
from chase_jax.physics import atmosphere, groundwater, river, seepage, soil_hydraulics
from chase_jax.typing import PerCell

BLOCK = 2048  # cells; fewer, and starting the pieces of the program takes longer than they do; more leave the cache
SHALLOW = 0.05  # m, depth at which half of a bed counts as wet


class Waters(eqx.Module):
    """Aquifer, rivers and lakes after a day, and what moved.

    Attributes:
        aquifer: Aquifer at the end.
        water: Rivers and lakes at the end.
        ground: Means of the aquifer's fluxes.
        seepage (cell,): From aquifer to river or lake, m3 s-1.
        withheld (cell,): Evaporation that found no water, m3 s-1, >= 0.
        discharge (cell,): See :class:`surface_water.Fluxes`, m3 s-1.
        outflow (cell,): Likewise, m3 s-1.
    """

    aquifer: groundwater.State
    water: surface_water.State
    ground: groundwater.Fluxes
    seepage: PerCell
    withheld: PerCell
    discharge: PerCell
    outflow: PerCell


class Chase(eqx.Module):
    """The model of a domain: a frozen, differentiable value.

    Attributes:
        domain: Static geometry.
        geometry: Channels and lakes as the router sees them.
        parameters: What may be calibrated.
        solvers: How rivers and aquifer are solved.
        options: Steps of the land surface and variants of processes.
    """

    domain: Domain
    geometry: surface_water.Geometry
    parameters: Parameters
    solvers: Solvers
    options: land.Options

    def __init__(self, domain: Domain, parameters: Parameters, solvers: Solvers, options: land.Options) -> None:
        """A model of given parts; the geometry follows from the domain."""
        self.domain, self.parameters, self.solvers, self.options = domain, parameters, solvers, options
        self.geometry = surface_water.Geometry.from_domain(domain)

    @classmethod
    def default(
        cls,
        domain: Domain,
        parameters: Parameters | None = None,
        solvers: Solvers | None = None,
        options: land.Options | None = None,
    ) -> Chase:
        """The model of a domain; what is not given is the default.

        Args:
            domain: The domain.
            parameters: Parameters.
            solvers: Solvers of rivers, lakes and aquifer; chosen as :meth:`with_solvers` does if not given.
            options: Steps of the land surface and variants of processes.
        """
        options = options or land.Options()
        parameters = defaults.parameters(domain, options.dcor_form) if parameters is None else parameters
        model = cls(domain, parameters, solvers or Solvers(), options)
        return model.with_solvers("tree")[0] if solvers is None else model

    def with_solvers(self, reach: str, time_step: float | None = None, sweeps: int | None = None) -> tuple[Chase, str]:
        """The model with the solvers that its rivers and its aquifer call for, and sentences that say why.

        Args:
            reach: "tree" or "jacobi".
            time_step: Routing step if it is not to be chosen, s.
            sweeps: Sweeps a step if they are not to be chosen.
        """
        interval = const.SECONDS_PER_DAY / self.options.land_substeps
        solver, report = surface_water.choose_solver(
            self.parameters.channel, self.geometry, reach, interval, time_step, sweeps
        )
        d = self.domain
        aquifer, reason = groundwater.choose_solver(
            self.parameters.aquifer, d.faces.edges, d.cell_area, const.SECONDS_PER_DAY, self.coast
        )
        solvers = Solvers(solver, aquifer, self.solvers.lake)
        changed = eqx.tree_at(lambda m: m.solvers, self, solvers, is_leaf=lambda x: x is self.solvers)
        return changed, f"{report} {reason}"

    def step(self, state: State, forcing: atmosphere.Forcing, columns: Any = None) -> tuple[State, Fluxes]:
        """Advance every store of water and heat by one day.

        Args:
            state: Stores at the start.
            forcing: Mean weather of the day, (cell,) leaves.
            columns: What :meth:`columns` returned, if many days share it.
        """
        d = self.domain
        to_flow = d.cell_area / const.WATER_DENSITY  # kg m-2 s-1 -> m3 s-1, here and only here
        wet = self._wet_area(state.water)

        # columns
        today = self._columns_day(state, forcing, wet, self.columns() if columns is None else columns)
        glacier, ice, ice_residual = self._glacier_day(state.glacier, forcing)
        ice = jax.tree.map(lambda f: self._on_cells(f * d.glacier_fraction[d.glacier_cell]), ice)
        on_water = forcing.precipitation * d.water_fraction
        evaporation = today.open_water.evaporation * wet / const.WATER_DENSITY  # m3 s-1

        # neighbors
        waters = self.waters(
            groundwater.State(today.aquifer_storage),
            state.water,
            today.runoff * d.land_fraction * to_flow,
            (ice.runoff + on_water) * to_flow,
            evaporation,
        )
        ground, seeping = waters.ground, waters.seepage

        new = State(today.state, glacier, waters.aquifer, waters.water)
        land_fluxes = jax.tree.map(lambda f: f * d.land_fraction, today.fluxes)
        land_fluxes = eqx.tree_at(
            lambda f: (f.surface_temperature, f.energy_residual),
            land_fluxes,
            (today.fluxes.surface_temperature, today.fluxes.energy_residual),
        )
        lake, share = today.open_water, wet / d.cell_area
        withheld = waters.withheld / to_flow
        from_water = evaporation / to_flow - withheld
        fluxes = Fluxes(
            land=land_fluxes,
            precipitation=forcing.precipitation,
            glacier_runoff=ice.runoff,
            glacier_evaporation=ice.evaporation,
            glacier_melt=ice.ice_melt,
            open_water_evaporation=from_water,
            water_precipitation=on_water,
            seepage=seeping / to_flow,
            exfiltration=ground.exfiltration * const.WATER_DENSITY,
            lateral=-d.faces.edges.divergence(ground.lateral) / to_flow,
            submarine_groundwater_discharge=ground.to_sea / to_flow,
            # heat for which no water was left to evaporate warms the air
            sensible_heat=land_fluxes.sensible_heat
            + ice.sensible_heat
            + share * lake.sensible_heat
            + withheld * const.LATENT_HEAT_VAPORIZATION,
            latent_heat=land_fluxes.latent_heat + (ice.evaporation + from_water) * const.LATENT_HEAT_VAPORIZATION,
            net_radiation=land_fluxes.net_shortwave
            + land_fluxes.net_longwave
            + ice.net_shortwave
            + ice.net_longwave
            + share * (lake.net_shortwave + lake.net_longwave),
            discharge=waters.discharge,
            outflow=waters.outflow,
            residuals=budget.no_residuals(d.cells),
        )
        energy = jnp.maximum(jnp.abs(today.open_water_residual), today.fluxes.energy_residual)
        energy = jnp.maximum(energy, self._on_cells(ice_residual))
        residuals = budget.residuals(d, state, new, today.fluxes, fluxes, energy)
        return new, eqx.tree_at(lambda f: f.residuals, fluxes, residuals)

    def waters(
        self,
        aquifer: groundwater.State,
        water: surface_water.State,
        runoff: jax.Array,
        gain: PerCell,
        evaporation: PerCell,
    ) -> Waters:
        """One day of aquifer, rivers and lakes: what cells exchange with their neighbors and with each other.

        Args:
            aquifer: Its storage after what the columns gave and took.
            water: Rivers and lakes at the start.
            runoff (interval, cell): From the land in each sub-step, m3 s-1.
            gain (cell,): From glaciers and rain, all day, m3 s-1.
            evaporation (cell,): From open water, m3 s-1.
        """
        d, p, dt = self.domain, self.parameters, const.SECONDS_PER_DAY
        aquifer, ground = groundwater.step(
            p.aquifer, aquifer, d.faces.edges, d.faces.surface_fall, d.cell_area, dt, self.solvers.aquifer, self.coast
        )
        steady = gain + ground.exfiltration * d.cell_area - evaporation
        length = dt / runoff.shape[0]

        def interval(carry: tuple[PerCell, surface_water.State], runoff: PerCell):
            storage, water = carry
            seeping = self._seepage(storage, water, length)
            water, flow = surface_water.step(
                p.channel,
                self.geometry,
                water,
                runoff + steady + seeping,
                length,
                self.solvers.reach,
                self.solvers.lake,
            )
            # losses that found no water: evaporation goes without, seepage stays in the aquifer
            dry = jnp.minimum(flow.unmet_loss, jnp.maximum(evaporation, 0.0))
            seeping = seeping + flow.unmet_loss - dry
            storage = storage - seeping * length / d.cell_area
            return (storage, water), (seeping, dry, flow.discharge, flow.outflow)

        (storage, water), daily = jax.lax.scan(interval, (aquifer.storage, water), runoff)
        return Waters(groundwater.State(storage), water, ground, *(jnp.mean(x, axis=0) for x in daily))

    @property
    def coast(self) -> groundwater.Coast:
        """Where the aquifer ends at the sea."""
        return groundwater.Coast(self.domain.coast, self.domain.sea_depth)

    def columns(self) -> Any:
        """Parameters of the columns in blocks of cells and in the precision of their formulas."""
        return to_blocks(self.options.rounded(self.parameters.land), BLOCK)

    def _columns_day(self, state: State, forcing: atmosphere.Forcing, wet: PerCell, columns: Any) -> land.Day:
        """All columns, block by block."""
        d, p = self.domain, self.parameters
        available = const.WATER_DENSITY * smooth.safe_divide(state.water.volume, wet)
        setting = land.Setting(
            d.latitude,
            d.land_fraction,
            p.aquifer.thickness,
            p.aquifer.specific_yield,
            state.aquifer.storage,
            available,
        )

        forcing, rounded = self.options.rounded((forcing, setting))
        setting = eqx.tree_at(lambda s: s.aquifer_storage, rounded, setting.aquifer_storage)  # a store, kept exact

        def block(part: Any) -> land.Day:
            parameters, stores, weather, world = part
            return land.day(parameters, stores, weather, world, self.options)

        blocks = (columns, to_blocks(state.land, BLOCK), to_blocks(forcing, BLOCK), to_blocks(setting, BLOCK))
        return precision.double(from_blocks(jax.lax.map(block, blocks), d.cells))

    def _glacier_day(self, state: glacier_tile.State, forcing: atmosphere.Forcing):
        """The glaciers, on their own axis; daily means and the largest energy residual of the sub-steps."""
        cell = self.domain.glacier_cell
        local = jax.tree.map(lambda leaf: leaf[cell] if jnp.ndim(leaf) else leaf, forcing)
        local_air = jax.tree.map(lambda leaf: leaf[cell], self.parameters.land.atmosphere)
        latitude, options = self.domain.latitude[cell], self.options
        parameters = self.parameters.glacier
        return glacier_tile.day(parameters, local_air, state, local, latitude, options.land_substeps, options.storm)

    def _on_cells(self, values: jax.Array) -> PerCell:
        """Values of the glaciers on the axis of cells, zero elsewhere."""
        return jnp.zeros(self.domain.cells, values.dtype).at[self.domain.glacier_cell].set(values)

    def _wet_area(self, water: surface_water.State) -> PerCell:
        """Area of open water that evaporates and seeps (cell,), m2; none where the bed is dry."""
        area = river.section(self.parameters.channel, self.geometry.network).area
        depth = surface_water.depth(self.parameters.channel, self.geometry, water)
        return area * depth / (depth + SHALLOW)

    def _seepage(self, storage: PerCell, water: surface_water.State, length: float) -> PerCell:
        """Flow from the aquifer into river or lake during one interval (cell,), m3 s-1."""
        d, p = self.domain, self.parameters
        table = soil_hydraulics.water_table(storage, p.aquifer.thickness, p.aquifer.specific_yield)
        bed = drainage_depth(d.bed_depth, p.aquifer.thickness)
        depth = surface_water.depth(p.channel, self.geometry, water)
        return seepage.discharge(
            p.seepage,
            storage,
            soil_hydraulics.mean_storage_coefficient(p.aquifer.specific_yield, table.depth, bed - depth),
            table.depth,
            bed,
            depth,
            water.volume,
            river.section(p.channel, self.geometry.network).area,
            d.cell_area,
            length,
        )


def drainage_depth(bed_depth: PerCell, aquifer_thickness: PerCell) -> PerCell:
    """Depth to which open water drains the aquifer, m: that of its bed, or of the aquifer if the bed lies below it.

    Args:
        bed_depth (cell,): Depth of the bed below the land surface, m.
        aquifer_thickness (cell,): Thickness of the aquifer below the soil column, m.
    """
    return jnp.minimum(bed_depth, soil_hydraulics.COLUMN_DEPTH + aquifer_thickness)


class Result(eqx.Module):
    """What a run returns.

    Attributes:
        state: Stores at the end.
        record: What `record` chose, stacked over time.
        mean: Mean over time of what `mean` chose.
    """

    state: State
    record: Any
    mean: Any


def _nothing(state: State, fluxes: Fluxes) -> tuple:
    return ()


Chooser = Callable[[State, Fluxes], Any]


def run(
    model: Chase,
    state: State,
    forcing: atmosphere.Forcing,
    record: Chooser = _nothing,
    mean: Chooser = _nothing,
    block: int | None = None,
) -> Result:
    """Run the model over the days of a forcing; pure, so that jit, grad, jvp and vmap go through it.

    Args:
        model: The model.
        state: Stores at the start.
        forcing: Weather with a leading time axis on every leaf.
        record: What to stack of every day, a function of the new state and the day's fluxes.
        mean: What to average over the days, likewise.
        block: Days between kept states in reverse mode; None keeps every day's.
    """
    columns = model.columns()

    def day(carry: tuple[State, Any], today: atmosphere.Forcing):
        new, fluxes = model.step(carry[0], today, columns)
        total = jax.tree.map(jnp.add, carry[1], mean(new, fluxes))
        return (new, total), record(new, fluxes)

    first = jax.tree.map(lambda leaf: leaf[0], forcing)
    shapes = jax.eval_shape(lambda s, f: mean(*model.step(s, f, columns)), state, first)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (state, total), series = checkpointed_scan(day, (state, zero), forcing, block)
    days = forcing.day_of_year.shape[0]
    return Result(state, series, jax.tree.map(lambda leaf: leaf / days, total))


def at_gauges(cell: jax.Array) -> Chooser:
    """A `record` of discharge at gauges (gauge,), m3 s-1. Argument: cell (gauge,), the index of each gauge's cell."""
    index = jnp.asarray(cell)
    return lambda state, fluxes: fluxes.discharge[index]


def runoff_depth(state: State, fluxes: Fluxes) -> PerCell:
    """A `mean`: runoff (cell,), kg m-2 s-1. Arguments: state and fluxes of a day."""
    return fluxes.runoff
