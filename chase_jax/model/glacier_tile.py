r"""The glacier tile of a cell: snow on ice under one sky, no soil, no canopy.

Snow and bare ice have a skin each (`bulk_surface`). Snow conducts into the ice below it, what drains from it runs off
over the ice together with the rain on bare ice and the melt, and snow beyond a threshold turns into ice.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.physics import atmosphere, bulk_surface, glacier, radiation, snow, turbulence
from chase_jax.physics.atmosphere import Air
from chase_jax.typing import PerGlacier

SNOW_EMISSIVITY, ICE_EMISSIVITY = 0.98, 0.98  # 1, sauter2020
SNOW_ROUGHNESS, ICE_ROUGHNESS = 1.0e-3, 1.7e-3  # m, sauter2020 (snow: between fresh and firn)
SCALAR_ROUGHNESS_RATIO = 0.1  # 1, roughness of heat and vapor to that of momentum
FIRN_THRESHOLD = 3000.0  # kg m-2, snow beyond it is more than a year old where snow lasts
FIRN_TIME = 10.0 * 86400.0  # s, in which snow beyond the threshold turns into ice


class Parameters(eqx.Module):
    """Parameters of snow and ice on the packed axis of glaciers."""

    snow: snow.Parameters
    ice: glacier.Parameters


class State(eqx.Module):
    """Snow and ice on the packed axis of glaciers."""

    snow: snow.State
    ice: glacier.State


class Fluxes(eqx.Module):
    """Per unit area of the glacier tile.

    Attributes:
        runoff (glacier,): Rain, snow outflow and ice melt, kg m-2 s-1.
        runoff_heat (glacier,): Its enthalpy, W m-2.
        evaporation (glacier,): Sublimation of snow and ice, kg m-2 s-1.
        sensible_heat (glacier,): To the air, W m-2.
        net_shortwave (glacier,): Absorbed, W m-2.
        net_longwave (glacier,): Absorbed less emitted, W m-2.
        base_heat (glacier,): From the deep ice, W m-2.
        precipitation_heat (glacier,): Enthalpy of rain and snowfall, W m-2.
        ice_melt (glacier,): Melt of ice, kg m-2 s-1; part of the runoff.
        firn (glacier,): Snow turned into ice, kg m-2 s-1; a diagnostic.
    """

    runoff: PerGlacier
    runoff_heat: PerGlacier
    evaporation: PerGlacier
    sensible_heat: PerGlacier
    net_shortwave: PerGlacier
    net_longwave: PerGlacier
    base_heat: PerGlacier
    precipitation_heat: PerGlacier
    ice_melt: PerGlacier
    firn: PerGlacier


def step(parameters: Parameters, state: State, air: Air, dt: float) -> tuple[State, Fluxes]:
    """Advance snow and ice of the glacier tile.

    Water: d(snow.water + ice.ice) = dt (rain + snowfall - evaporation - runoff).
    Energy: d(snow.enthalpy + glacier.total_enthalpy) = dt (net_shortwave + net_longwave - sensible_heat
    - evaporation * vapor_enthalpy + precipitation_heat - runoff_heat + base_heat).

    Args:
        parameters: Parameters of snow and ice.
        state: Snow and ice at the start of the step.
        air: The air over the glaciers, (glacier,).
        dt: Step, s; some hours, because the nights' frost delays the melt of the days.

    Returns:
        Snow and ice at the end of the step, and the tile's fluxes.

    Source:
        dong2026 (one active layer under the snow); the skin balances of `bulk_surface`.
    """
    no_vegetation = jnp.zeros_like(state.ice.ice)
    pack = snow.surface(state.snow, no_vegetation, dt)
    ice = glacier.diagnose(state.ice)
    capacity = glacier.heat_capacity(state.ice)
    bare = 1.0 - pack.cover

    snow_light, ice_light = _absorbed_shortwave(parameters, state, air)
    over_snow = bulk_surface.solve(
        air,
        snow_light,
        SNOW_EMISSIVITY,
        SNOW_ROUGHNESS,
        SNOW_ROUGHNESS * SCALAR_ROUGHNESS_RATIO,
        pack.skin_conductance,
        pack.temperature,
        pack.mean_enthalpy,
        bulk_surface.MELT_CONDUCTANCE,
        turbulence.SNOW_STABLE_LIMIT,
    )
    there_is_ice = glacier.active_mass(state.ice.ice) / glacier.ACTIVE_MASS
    over_ice = bulk_surface.solve(
        air,
        ice_light,
        ICE_EMISSIVITY,
        ICE_ROUGHNESS,
        ICE_ROUGHNESS * SCALAR_ROUGHNESS_RATIO,
        1.0 / (glacier.SKIN_DEPTH / glacier.CONDUCTIVITY + dt * bare / capacity),
        ice.temperature,
        ice.mean_enthalpy,
        bulk_surface.MELT_CONDUCTANCE * there_is_ice,
    )

    rain_on_snow = pack.cover * air.rain
    supply = snow.Supply(
        liquid=rain_on_snow,
        liquid_heat=rain_on_snow * air.rain_enthalpy,
        solid=air.snowfall,
        solid_heat=air.snowfall * air.snow_enthalpy,
        heat=pack.cover * (over_snow.conduction + over_snow.melt_heat),
        sublimation=pack.cover * over_snow.evaporation,
        skin_temperature=over_snow.temperature,
        air_temperature=air.temperature,
        wind_speed=air.wind_speed,
    )
    to_ice = jnp.full_like(capacity, 2.0 * glacier.CONDUCTIVITY / glacier.ACTIVE_DEPTH)
    ground = snow.Ground(ice.temperature, capacity, to_ice)
    snow_state, snow_fluxes = snow.step(parameters.snow, state.snow, pack, supply, ground, dt)
    snow_state, firn, firn_heat = _firn(snow_state, dt)

    ice_state, ice_fluxes = glacier.step(
        parameters.ice,
        state.ice,
        ice,
        heat=bare * over_ice.conduction + snow_fluxes.ground_heat,
        melting_heat=bare * over_ice.melt_heat,
        sublimation=bare * over_ice.evaporation,
        firn=firn,
        firn_heat=firn_heat,
        dt=dt,
    )

    # What the skins wanted to sublimate and the stores did not have goes to the air as sensible heat.
    snow_cut = supply.sublimation - snow_fluxes.sublimation
    ice_cut = bare * over_ice.evaporation - ice_fluxes.sublimation
    cut_heat = snow_cut * (air.vapor_enthalpy - pack.mean_enthalpy) + ice_cut * (air.vapor_enthalpy - ice.mean_enthalpy)
    rain_on_ice = bare * air.rain

    def mixed(on_snow, on_ice):
        return pack.cover * on_snow + bare * on_ice

    fluxes = Fluxes(
        runoff=snow_fluxes.outflow + ice_fluxes.melt + rain_on_ice,
        runoff_heat=snow_fluxes.outflow_heat + ice_fluxes.melt_heat + rain_on_ice * air.rain_enthalpy,
        evaporation=snow_fluxes.sublimation + ice_fluxes.sublimation,
        sensible_heat=mixed(over_snow.sensible_heat, over_ice.sensible_heat) + cut_heat,
        net_shortwave=mixed(snow_light, ice_light),
        net_longwave=mixed(over_snow.net_longwave, over_ice.net_longwave),
        base_heat=ice_fluxes.base_heat,
        precipitation_heat=air.rain * air.rain_enthalpy + air.snowfall * air.snow_enthalpy,
        ice_melt=ice_fluxes.melt,
        firn=firn,
    )
    return State(snow_state, ice_state), fluxes


def day(
    parameters: Parameters,
    air_parameters: atmosphere.Parameters,
    state: State,
    forcing: atmosphere.Forcing,
    latitude: PerGlacier,
    substeps: int,
    storm: str = "duration",
) -> tuple[State, Fluxes, PerGlacier]:
    """Advance the glacier tile by one day.

    Args:
        parameters: Parameters of snow and ice.
        air_parameters: Parameters of the air over the glaciers, (glacier,).
        state: Snow and ice at the start of the day.
        forcing: Mean weather of the day, (glacier,).
        latitude (glacier,): Latitude, degree north.
        substeps: Number of sub-steps, 1.
        storm: How precipitation falls, "duration" or "flat".

    Returns:
        Snow and ice at the end of the day, daily mean fluxes, and the largest energy that a sub-step left unaccounted
        for (glacier,), W m-2.
    """
    weather = atmosphere.prepare_day(air_parameters, forcing, latitude, substeps, storm)
    dt = const.SECONDS_PER_DAY / substeps

    def advance(before: State, interval: atmosphere.Interval):
        air = atmosphere.air(weather.shared, interval)
        after, fluxes = step(parameters, before, air, dt)
        return after, (fluxes, _energy_residual(parameters.ice, before, after, fluxes, air, dt))

    advance = jax.checkpoint(advance, prevent_cse=False)
    state, (fluxes, residual) = jax.lax.scan(advance, state, weather.intervals)
    mean = jax.tree.map(lambda f: jnp.mean(f, axis=0), fluxes)
    return state, mean, jnp.max(jnp.abs(residual), axis=0)


def _energy_residual(
    parameters: glacier.Parameters, before: State, after: State, fluxes: Fluxes, air: Air, dt: float
) -> PerGlacier:
    """Energy of the tile that a step does not account for, W m-2."""

    def held(state: State) -> PerGlacier:
        return state.snow.enthalpy + glacier.total_enthalpy(parameters, state.ice)

    gained = fluxes.net_shortwave + fluxes.net_longwave - fluxes.sensible_heat + fluxes.precipitation_heat
    gained = gained - fluxes.evaporation * air.vapor_enthalpy - fluxes.runoff_heat + fluxes.base_heat
    return (held(after) - held(before)) / dt - gained


def _absorbed_shortwave(parameters: Parameters, state: State, air: Air) -> tuple[PerGlacier, PerGlacier]:
    """Shortwave absorbed per area of snow and of bare ice, W m-2."""
    pack, ice = state.snow, parameters.ice
    on_snow = (
        (1.0 - radiation.snow_direct_albedo(pack.albedo_visible, air.cosine_zenith)) * air.direct_visible
        + (1.0 - pack.albedo_visible) * air.diffuse_visible
        + (1.0 - radiation.snow_direct_albedo(pack.albedo_infrared, air.cosine_zenith)) * air.direct_infrared
        + (1.0 - pack.albedo_infrared) * air.diffuse_infrared
    )
    on_ice = (1.0 - ice.albedo_visible) * (air.direct_visible + air.diffuse_visible) + (1.0 - ice.albedo_infrared) * (
        air.direct_infrared + air.diffuse_infrared
    )
    return on_snow, on_ice


def _firn(pack: snow.State, dt: float) -> tuple[snow.State, PerGlacier, PerGlacier]:
    """Turn snow beyond the threshold into ice, from below: the rest, the mass and its enthalpy per second."""
    water = pack.layer_water[-1]
    excess = jnp.minimum(jnp.maximum(pack.water - FIRN_THRESHOLD, 0.0), water)
    share = excess / jnp.maximum(water, 1.0) * (dt / (FIRN_TIME + dt))
    mean_enthalpy = snow.diagnose(pack).mean_enthalpy[-1]
    moved = share * water
    rest = eqx.tree_at(
        lambda p: (p.layer_water, p.layer_enthalpy, p.layer_thickness),
        pack,
        (
            pack.layer_water.at[-1].add(-moved),
            pack.layer_enthalpy.at[-1].add(-moved * mean_enthalpy),
            pack.layer_thickness.at[-1].multiply(1.0 - share),
        ),
    )
    return rest, moved / dt, moved * mean_enthalpy / dt
