"""The land column: one day of canopy, snow and soil, with open water beside it; no cell sees another.

The order of a sub-step is that of :func:`substep`: air, snow cover, interception, sunlight, the energy balance of all
surfaces, snow, runoff, soil water with its exchange with the aquifer, soil heat. All fluxes are per unit area of the
land tile unless they say otherwise.

Water, per day: d(canopy + snow + soil + puddle) = rain + snowfall - evaporation - surface_runoff - recharge.
Energy, per sub-step: d(enthalpy) = net_shortwave + net_longwave - sensible_heat - latent_heat + heat that water brings
less heat that it takes away; what is left over is `energy_residual`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import precision
from chase_jax.physics import (
    atmosphere,
    canopy,
    exchange,
    open_water,
    radiation,
    runoff,
    snow,
    soil_heat,
    soil_hydraulics,
    soil_water,
    surface_energy,
    surfaces,
    thermodynamics,
    turbulence,
    vegetation,
)
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS
from chase_jax.typing import PerCell, PerMonthCell


class Parameters(eqx.Module):
    """Parameters of a column.

    Attributes:
        atmosphere: Air.
        vegetation: Vegetation.
        leaf_area_index (month, cell): Leaf area of each calendar month, 1.
        canopy: Interception.
        snow: Snow.
        soil: Soil.
        runoff: Surface runoff, with dcor.
        exchange: Exchange with the aquifer, with the baseflow factor.
        open_water: Open water.
    """

    atmosphere: atmosphere.Parameters
    vegetation: vegetation.Parameters
    leaf_area_index: PerMonthCell
    canopy: canopy.Parameters
    snow: snow.Parameters
    soil: soil_hydraulics.Parameters
    runoff: runoff.Parameters
    exchange: exchange.Parameters
    open_water: open_water.Parameters

    @classmethod
    def default(
        cls,
        plants: vegetation.Parameters,
        leaf_area_index: PerMonthCell,
        soil: soil_hydraulics.Parameters,
        dcor_form: str = "D5",
    ) -> Parameters:
        """Default parameters of columns with given plants and soil.

        Args:
            plants: Vegetation.
            leaf_area_index (month, cell): Leaf area of each calendar month, 1.
            soil: Soil.
            dcor_form: Meaning of dcor.
        """
        cells = soil.porosity.shape[0]
        return cls(
            atmosphere=atmosphere.Parameters.default(cells),
            vegetation=plants,
            leaf_area_index=jnp.asarray(leaf_area_index, dtype=float),
            canopy=canopy.Parameters.default(plants),
            snow=snow.Parameters.default(cells),
            soil=soil,
            runoff=runoff.Parameters.default(soil.wilting_point, dcor_form),
            exchange=exchange.Parameters.default(cells),
            open_water=open_water.Parameters.default(cells),
        )


class State(eqx.Module):
    """Stores of a column."""

    canopy: canopy.State
    snow: snow.State
    soil: soil_water.State
    open_water: open_water.State

    @classmethod
    def cold(cls, parameters: Parameters, temperature: PerCell, saturation: jax.Array | float) -> State:
        """A cold start: dry leaves, no snow, soil of one temperature, nine tenths of its water frozen below melting.

        Args:
            parameters: Parameters of the columns.
            temperature (cell,): Temperature of all stores, K.
            saturation (layer, cell): Saturation of the soil, 1.
        """
        p = parameters
        water = saturation * soil_hydraulics.pore_capacity(p.soil)
        frozen = jnp.where(temperature < const.MELTING_TEMPERATURE, 0.9, 0.0) * water
        dry = soil_hydraulics.dry_heat_capacity(p.soil)
        warmth = thermodynamics.enthalpy_of(temperature, water - frozen, frozen, dry)
        return cls(
            canopy=canopy.State.default(p.canopy, temperature),
            snow=snow.State.empty(p.snow),
            soil=soil_water.State(water, warmth, jnp.zeros_like(p.soil.porosity)),
            open_water=open_water.State.at_temperature(p.open_water, temperature),
        )


class Setting(eqx.Module):
    """What a column must know of the world around it, (cell,).

    Attributes:
        latitude: degree north.
        land_fraction: Part of the cell that is land, 1.
        aquifer_thickness: m.
        specific_yield: 1.
        aquifer_storage: Water of the aquifer at the start of the day, m per cell area.
        open_water_available: Water that evaporation may take from river or lake, kg m-2 of open water.
        sensor_height: Height at which a tower measured wind and air, m; None for gridded weather.
    """

    latitude: PerCell
    land_fraction: PerCell
    aquifer_thickness: PerCell
    specific_yield: PerCell
    aquifer_storage: PerCell
    open_water_available: PerCell
    sensor_height: PerCell | None = None


class Options(eqx.Module):
    """Static choices: steps, variants and arithmetic.

    In `precision` "mixed" the formulas are computed in single precision; stores, and the water that moves between
    column and aquifer, stay in double precision.
    """

    land_substeps: int = eqx.field(static=True, default=8)
    soil_substeps: int = eqx.field(static=True, default=2)
    dcor_form: str = eqx.field(static=True, default="D5")
    storm: str = eqx.field(static=True, default="duration")
    soil_flux: str = eqx.field(static=True, default="matric_flux_potential")
    precision: str = eqx.field(static=True, default="float64")

    @property
    def mixed(self) -> bool:
        """True where formulas are in single precision."""
        return self.precision == "mixed"

    def rounded(self, tree: Any) -> Any:
        """A tree in the precision of the formulas. Argument: tree of arrays."""
        return precision.single(tree) if self.mixed else tree


class Fluxes(eqx.Module):
    """Means over a sub-step or a day, kg m-2 s-1 or W m-2 of the land tile; vapor and heat positive to the air."""

    rain: PerCell
    snowfall: PerCell
    canopy_evaporation: PerCell
    transpiration: PerCell
    soil_evaporation: PerCell
    snow_sublimation: PerCell
    throughfall: PerCell
    snow_melt: PerCell
    snow_outflow: PerCell
    infiltration: PerCell
    direct_runoff: PerCell
    puddle_runoff: PerCell
    recharge: PerCell
    sensible_heat: PerCell
    latent_heat: PerCell
    net_shortwave: PerCell
    net_longwave: PerCell
    ground_heat: PerCell
    soil_freezing: PerCell
    surface_temperature: PerCell
    energy_residual: PerCell

    @property
    def evaporation(self) -> PerCell:
        """All vapor, kg m-2 s-1."""
        return self.canopy_evaporation + self.transpiration + self.soil_evaporation + self.snow_sublimation

    @property
    def surface_runoff(self) -> PerCell:
        """Direct runoff and overflow of puddles, kg m-2 s-1."""
        return self.direct_runoff + self.puddle_runoff


class Day(eqx.Module):
    """What a day yields.

    Attributes:
        state: Stores at the end.
        aquifer_storage (cell,): After recharge, m per cell area.
        fluxes: Daily means; the residual is the largest of the sub-steps.
        runoff (substep, cell): Surface runoff of each sub-step, kg m-2 s-1.
        open_water: Daily means per unit area of open water.
        open_water_residual (cell,): Energy of the slab that is not accounted for, W m-2.
    """

    state: State
    aquifer_storage: PerCell
    fluxes: Fluxes
    runoff: jax.Array
    open_water: open_water.Fluxes
    open_water_residual: PerCell


class _Today(eqx.Module):
    """What the sub-steps of a day share."""

    canopy: vegetation.Canopy
    geometry: turbulence.Geometry
    optics: radiation.CanopyOptics
    root_fraction: jax.Array
    upper_share: jax.Array
    upper_capacity: PerCell


def water(state: State) -> PerCell:
    """Water in all stores of the land tile (cell,), kg m-2. Argument: the stores."""
    soil = jnp.sum(state.soil.water, axis=0) + state.soil.puddle
    return jnp.sum(state.canopy.water, axis=0) + state.snow.water + soil


def enthalpy(state: State) -> PerCell:
    """Enthalpy of all stores of the land tile (cell,), J m-2. Argument: the stores."""
    return (
        jnp.sum(state.canopy.enthalpy, axis=0) + state.snow.enthalpy + jnp.sum(state.soil.enthalpy, axis=0)
    )  # that of the puddle is part of the soil's


def leaf_area_today(leaf_area_index: PerMonthCell, day_of_year: jax.Array) -> PerCell:
    """Leaf area index of a day, between those of the middles of two months (cell,), 1.

    Args:
        leaf_area_index (month, cell): Leaf area index of each month, 1.
        day_of_year (): Day of the year, 1 on 1 January.
    """
    position = (day_of_year - 0.5) * (12.0 / const.DAYS_PER_YEAR) - 0.5
    before = jnp.floor(position)
    share = position - before
    month = before.astype(jnp.int32) % 12
    return (1.0 - share) * leaf_area_index[month] + share * leaf_area_index[(month + 1) % 12]


def day(parameters: Parameters, state: State, forcing: atmosphere.Forcing, setting: Setting, options: Options) -> Day:
    """Advance the columns by one day.

    Args:
        parameters: Parameters of the columns.
        state: Stores at the start.
        forcing: Weather of the day.
        setting: The world around.
        options: Steps and variants.
    """
    p = parameters
    weather = atmosphere.prepare_day(p.atmosphere, forcing, setting.latitude, options.land_substeps, options.storm)
    dt = const.SECONDS_PER_DAY / options.land_substeps
    leaf_area = leaf_area_today(p.leaf_area_index, forcing.day_of_year)
    air_of = jax.tree_util.Partial(atmosphere.air, weather.shared)
    new, storage, fluxes = through(p, state, setting, options, leaf_area, weather.intervals, air_of, dt)
    mean = jax.tree.map(lambda f: jnp.mean(f, axis=0), fluxes)
    mean = eqx.tree_at(lambda f: f.energy_residual, mean, jnp.max(jnp.abs(fluxes.energy_residual), axis=0))

    air = atmosphere.air(weather.shared, weather.mean())
    before = options.rounded(state.open_water)
    slab, lake = open_water.step(p.open_water, before, air, setting.open_water_available, const.SECONDS_PER_DAY)
    gained = lake.net_shortwave + lake.net_longwave - lake.sensible_heat + lake.precipitation_heat
    gained = gained - lake.evaporation * air.vapor_enthalpy
    left = (slab.enthalpy - before.enthalpy) / const.SECONDS_PER_DAY - gained
    if options.mixed:
        slab = precision.changed(state.open_water, before, slab)
    new = eqx.tree_at(lambda s: s.open_water, new, slab)
    return Day(new, storage, mean, fluxes.surface_runoff, lake, left)


def _fluxes_only(state: State, aquifer_storage: PerCell, fluxes: Fluxes) -> tuple[State, PerCell, Fluxes]:
    """The default of :func:`through`: nothing but the column touches its stores, and the fluxes are kept."""
    return state, aquifer_storage, fluxes


def through(
    p: Parameters,
    state: State,
    setting: Setting,
    options: Options,
    leaf_area: PerCell,
    intervals: Any,
    air_of: Callable[[Any], atmosphere.Air],
    dt: float,
    after: Callable[[State, PerCell, Fluxes], tuple[State, PerCell, Any]] = _fluxes_only,
) -> tuple[State, PerCell, Any]:
    """Advance the columns through the sub-steps of one day, whether their weather was spread or measured.

    Args:
        p: Parameters of the columns.
        state: Stores at the start.
        setting: The world around.
        options: Variants.
        leaf_area (cell,): Leaf area index of the day, 1.
        intervals: Weather with a leading sub-step axis on every leaf.
        air_of: Makes the air of a sub-step from its weather.
        dt: Length of a sub-step, s.
        after: Called with stores, aquifer storage and fluxes of each sub-step; returns stores and storage with which
            the next one begins, and what to keep.

    Returns:
        Stores and aquifer storage at the end, and what `after` kept, stacked over the sub-steps.
    """
    today = _prepare(p, options.rounded(state), setting, leaf_area)

    def advance(carry: tuple[State, PerCell], interval: Any):
        stores, held = options.rounded(carry)
        new, storage, fluxes = substep(p, today, setting, options, stores, held, air_of(interval), dt)
        if options.mixed:
            new, storage = _settled(*carry, stores, new, fluxes, setting.land_fraction, dt)
        new, storage, kept = after(new, storage, fluxes)
        return (new, storage), kept

    advance = jax.checkpoint(advance, prevent_cse=False)
    (new, storage), kept = jax.lax.scan(advance, (state, setting.aquifer_storage), intervals)
    return new, storage, kept


def _settled(
    exact: State,
    aquifer_storage: PerCell,
    before: State,
    after: State,
    fluxes: Fluxes,
    land_fraction: PerCell,
    dt: float,
) -> tuple[State, PerCell]:
    """Stores in double precision after a sub-step in single precision, such that the fluxes account for their water.

    What rounding made of the water of the column, about 1e-5 kg m-2, is given to its soil, to all layers in proportion.
    """
    new = precision.changed(exact, before, after)
    f = precision.double(fluxes)
    gained = dt * (f.rain + f.snowfall - f.evaporation - f.surface_runoff - f.recharge)
    lacking = water(exact) + gained - water(new)
    soil = new.soil.water
    soil = soil * (1.0 + lacking / jnp.maximum(jnp.sum(soil, axis=0), 1.0))
    storage = aquifer_storage + dt * precision.double(land_fraction) * f.recharge / const.WATER_DENSITY
    return eqx.tree_at(lambda s: s.soil.water, new, soil), storage


def _prepare(p: Parameters, state: State, setting: Setting, leaf_area: PerCell) -> _Today:
    """What depends on the season and on the state at the start of the day only."""
    v = p.vegetation
    cover = vegetation.canopy(v, leaf_area)
    snowy = snow.cover(state.snow, v.lower_fraction * v.lower_top)
    leaves = canopy.diagnose(p.canopy, state.canopy)
    frosted = canopy.snow_cover(p.canopy, cover, snowy, leaves.frozen)
    optics = radiation.canopy_optics(
        cover.upper_leaf,
        cover.upper_stem,
        cover.lower_leaf,
        cover.lower_stem,
        frosted[0],
        frosted[2],
        leaves.temperature[0],
        leaves.temperature[2],
    )
    roots = vegetation.root_fraction(v, LAYER_THICKNESS)
    upper = runoff.upper_share(p.runoff.contributing_depth, LAYER_THICKNESS)
    return _Today(
        canopy=cover,
        geometry=turbulence.geometry(v, cover, snowy, setting.sensor_height),
        optics=optics,
        root_fraction=roots,
        upper_share=upper,
        upper_capacity=jnp.sum(upper * soil_hydraulics.pore_capacity(p.soil), axis=0),
    )


def substep(
    p: Parameters,
    today: _Today,
    setting: Setting,
    options: Options,
    state: State,
    aquifer_storage: PerCell,
    air: atmosphere.Air,
    dt: float,
) -> tuple[State, PerCell, Fluxes]:
    """Advance canopy, snow and soil by one sub-step; the order of calls is the model.

    Args:
        p: Parameters.
        today: What the sub-steps of the day share.
        setting: The world around.
        options: Variants.
        state: Stores at the start.
        aquifer_storage (cell,): m per cell area.
        air: Air of the sub-step.
        dt: Length, s.
    """
    v, soil = p.vegetation, state.soil

    # what lies on the ground, and what it offers to heat, vapor and roots
    pack = snow.surface(state.snow, v.lower_fraction * v.lower_top, dt)
    bare = 1.0 - pack.cover
    layers = soil_water.diagnose(p.soil, soil)
    coupling = soil_heat.conduction(p.soil, layers, dt)
    stress = soil_water.root_stress(p.soil, layers, today.root_fraction)
    wetness = soil_water.surface_wetness(p.soil, soil, layers.temperature[0], p.runoff.puddle_capacity)

    # rain and snow on leaves
    leaves, below, wetting = canopy.intercept(p.canopy, state.canopy, today.canopy, pack.cover, air, dt)
    held = canopy.diagnose(p.canopy, leaves)

    # light and heat
    shortwave = radiation.absorb(
        today.optics,
        air,
        v.upper_fraction,
        v.lower_fraction * bare,
        pack.cover,
        radiation.soil_albedo(p.soil.sand, p.soil.clay, layers.liquid[0] / (const.WATER_DENSITY * LAYER_THICKNESS[0])),
        radiation.Albedo(state.snow.albedo_visible, state.snow.albedo_infrared),
    )
    energy = surface_energy.solve(
        v,
        today.canopy,
        today.geometry,
        air,
        shortwave,
        surfaces.Leaves(
            leaves.water, leaves.enthalpy, p.canopy.dry_heat_capacity, held, wetting, stress.factor, stress.enthalpy
        ),
        surfaces.Ground(
            snow_fraction=pack.cover,
            soil_temperature=coupling.temperature,
            soil_conductance=surface_energy.implicit_conductance(coupling.skin, bare, coupling.heat_capacity, dt),
            soil_wetness=wetness.availability,
            soil_humidity=wetness.pore_humidity,
            soil_enthalpy=layers.mean_enthalpy[0],
            snow_temperature=pack.temperature,
            snow_conductance=pack.cover * pack.skin_conductance,
            snow_enthalpy=pack.mean_enthalpy,
            snow_melt_limit=jnp.maximum(-state.snow.enthalpy, 0.0) / dt,
        ),
        dt,
    )
    leaves = canopy.exchange_with_air(leaves, energy.canopy_evaporation, energy.canopy_heating, dt)
    leaves, dripping = canopy.shed(p.canopy, leaves, today.canopy, pack.cover, wetting, energy.canopy_left, dt)
    below = canopy.together(below, dripping)

    # snow
    on_snow = pack.cover * below.liquid
    supply = snow.Supply(
        liquid=on_snow,
        liquid_heat=pack.cover * below.liquid_heat,
        solid=below.solid,
        solid_heat=below.solid_heat,
        heat=energy.snow_heat,
        sublimation=energy.snow_sublimation,
        skin_temperature=energy.snow_skin_temperature,
        air_temperature=air.temperature,
        wind_speed=air.wind_speed,
    )
    ground = snow.Ground(coupling.temperature, coupling.heat_capacity, coupling.skin)
    pack_after, melted = snow.step(p.snow, state.snow, pack, supply, ground, dt)

    # what reaches the soil: runoff first, the rest to the puddle and down
    upper_water = jnp.sum(today.upper_share * soil.water, axis=0)
    parted = runoff.partition(
        p.runoff,
        options.dcor_form,
        bare * below.liquid + melted.outflow,
        bare * below.liquid_heat + melted.outflow_heat,
        upper_water,
        today.upper_capacity,
        soil.puddle,
        dt,
    )
    asked = jnp.sum(energy.transpiration, axis=0) * stress.share

    bottom = jax.tree_util.Partial(
        exchange.soil_aquifer, p.exchange, p.soil, setting.aquifer_thickness, setting.specific_yield
    )
    share = exchange.bypass_share(
        p.exchange, p.soil, setting.aquifer_thickness, setting.specific_yield, upper_water / today.upper_capacity,
        aquifer_storage,
    )  # fmt: skip
    moved, aquifer_storage, flows = soil_water.step(
        p.soil,
        soil,
        layers,
        parted.supply,
        energy.soil_evaporation,
        asked,
        aquifer_storage,
        bottom,
        parted.puddle_capacity,
        parted.capacity_factor,
        setting.land_fraction,
        dt,
        options.soil_substeps,
        options.soil_flux,
        bypass_share=share,
    )
    surface_heat = energy.ground_heat + melted.ground_heat + parted.supply_heat
    surface_heat = surface_heat - flows.evaporation * layers.mean_enthalpy[0]
    after = jnp.concatenate([moved.water[:1] + moved.puddle, moved.water[1:]])
    warmth, carried = soil_heat.step(
        p.soil,
        soil.enthalpy,
        after,
        layers,
        coupling,
        surface_heat,
        flows.interface_flow,
        flows.recharge,
        flows.uptake,
        flows.puddle_runoff,
        dt,
        bypass=flows.bypass,
    )
    new = State(
        canopy=leaves,
        snow=pack_after,
        soil=soil_water.State(moved.water, warmth, moved.puddle),
        open_water=state.open_water,
    )

    # vapor that the stores could not give leaves as sensible heat instead
    unmet = (energy.snow_sublimation - melted.sublimation) * (air.vapor_enthalpy - pack.mean_enthalpy)
    unmet += (energy.soil_evaporation - flows.evaporation) * (air.vapor_enthalpy - layers.mean_enthalpy[0])
    unmet += jnp.sum((asked - flows.uptake) * (air.vapor_enthalpy - layers.liquid_enthalpy), axis=0)
    sensible = energy.sensible_heat + unmet
    intercepted = jnp.sum(energy.canopy_evaporation, axis=0)
    transpired = jnp.sum(flows.uptake, axis=0)
    vapor = intercepted + transpired + flows.evaporation + melted.sublimation
    absorbed = shortwave.upper_leaf + shortwave.upper_stem + shortwave.lower + shortwave.soil + shortwave.snow
    by_water = air.rain * air.rain_enthalpy + air.snowfall * air.snow_enthalpy
    by_water = by_water - parted.direct_runoff_heat - carried.runoff_heat - carried.recharge_heat
    gained = absorbed + energy.net_longwave - sensible - vapor * air.vapor_enthalpy + by_water
    frozen_after = soil_water.diagnose(p.soil, new.soil).frozen
    fluxes = Fluxes(
        rain=air.rain,
        snowfall=air.snowfall,
        canopy_evaporation=intercepted,
        transpiration=transpired,
        soil_evaporation=flows.evaporation,
        snow_sublimation=melted.sublimation,
        throughfall=below.liquid + below.solid,
        snow_melt=melted.melt,
        snow_outflow=melted.outflow,
        infiltration=flows.infiltration + flows.bypass,
        direct_runoff=parted.direct_runoff,
        puddle_runoff=flows.puddle_runoff,
        recharge=flows.recharge + flows.bypass,
        sensible_heat=sensible,
        latent_heat=vapor * air.vapor_enthalpy,
        net_shortwave=absorbed,
        net_longwave=energy.net_longwave,
        ground_heat=energy.ground_heat + melted.ground_heat,
        soil_freezing=jnp.sum(frozen_after - layers.frozen, axis=0) / dt,
        surface_temperature=bare * energy.soil_skin_temperature + pack.cover * energy.snow_skin_temperature,
        energy_residual=(enthalpy(new) - enthalpy(state)) / dt - gained,
    )
    return new, aquifer_storage, fluxes
