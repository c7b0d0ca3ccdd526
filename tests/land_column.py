"""Random land columns of every vegetation class and weather, shared by the tests of canopy and surface energy."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from chase_jax.physics import atmosphere, canopy, disaggregation, radiation, surface_energy, surfaces, turbulence
from chase_jax.physics import thermodynamics as thermo
from chase_jax.physics import vegetation as plants

STEP = 10800.0  # s


class Column(eqx.Module):
    """Everything one sub-step of canopy and surface needs."""

    vegetation: plants.Parameters
    cover: plants.Canopy
    geometry: turbulence.Geometry
    parameters: canopy.Parameters
    state: canopy.State
    air: atmosphere.Air
    shortwave: radiation.Shortwave
    ground: surfaces.Ground
    root_stress: jnp.ndarray
    root_enthalpy: jnp.ndarray


class Step(NamedTuple):
    """What one sub-step gives."""

    intercepted: canopy.State
    throughfall: canopy.Throughfall
    leaves: surfaces.Leaves
    fluxes: surface_energy.Fluxes
    dried: canopy.State
    final: canopy.State


def make_air(temperature, humidity, pressure, wind, longwave, rain, snowfall) -> atmosphere.Air:
    """Air of given weather; its sunlight is left at zero, because the tests prescribe what is absorbed."""
    dark = jnp.zeros_like(temperature)
    return atmosphere.Air(
        temperature=temperature,
        specific_humidity=humidity,
        pressure=pressure,
        density=thermo.air_density(temperature, pressure, humidity),
        wind_speed=wind,
        longwave_down=longwave,
        direct_visible=dark,
        diffuse_visible=dark,
        direct_infrared=dark,
        diffuse_infrared=dark,
        cosine_zenith=dark,
        rain=rain,
        snowfall=snowfall,
        rain_enthalpy=thermo.liquid_enthalpy(jnp.maximum(temperature, 273.16)),
        snow_enthalpy=thermo.ice_enthalpy(jnp.minimum(temperature, 273.16)),
        vapor_enthalpy=thermo.vapor_enthalpy(temperature),
    )


def make_shortwave(absorbed) -> radiation.Shortwave:
    """Sunlight absorbed by upper leaf, upper stem, lower vegetation, soil and snow, (5, cell), W m-2."""
    upper, stem, lower, soil, snow = absorbed
    return radiation.Shortwave(
        upper_leaf=upper,
        upper_stem=stem,
        lower=lower,
        soil=soil,
        snow=snow,
        reflected=jnp.zeros_like(soil),
        upper_leaf_visible=0.7 * upper,
        lower_leaf_visible=0.7 * lower,
    )


def random_column(seed: int, n_cells: int = 24) -> Column:
    """All classes in turn, weather from deep frost to heat, calm to storm, dry to saturated, bare to buried."""
    draw = np.random.default_rng(seed)
    kind = np.arange(n_cells) % 24 + 1
    vegetation = plants.from_class(kind)
    months = plants.leaf_area_climatology(kind, np.full(n_cells, 45.0))
    cover = plants.canopy(vegetation, months[draw.integers(0, 12, n_cells), jnp.arange(n_cells)])
    snow = jnp.asarray(np.clip(draw.uniform(-0.5, 1.3, n_cells), 0.0, 1.0))
    temperature = jnp.asarray(draw.uniform(248.0, 308.0, n_cells))
    pressure = jnp.asarray(draw.uniform(6e4, 1.02e5, n_cells))
    humidity = thermo.saturation_humidity(temperature, pressure).humidity * draw.uniform(0.2, 1.0, n_cells)
    fall = draw.exponential(1e-3, n_cells) * (draw.random(n_cells) < 0.6)
    frozen = np.clip((274.0 - np.asarray(temperature)) / 2.0, 0.0, 1.0)
    longwave = jnp.asarray(draw.uniform(0.65, 1.0, n_cells)) * 5.67e-8 * temperature**4
    wind = jnp.asarray(draw.uniform(0.0, 12.0, n_cells))
    air = make_air(temperature, humidity, pressure, wind, longwave, fall * (1.0 - frozen), fall * frozen)
    areas = jnp.stack(cover.areas(snow))
    weights = jnp.stack([*(1.0 - jnp.exp(-0.3 * areas)), 0.5 * (1.0 - snow), 0.15 * snow])
    sun = draw.uniform(0.0, 900.0, n_cells) * (draw.random(n_cells) < 0.6)
    parameters = canopy.Parameters.default(vegetation)
    water = 0.2 * areas * np.maximum(draw.uniform(-0.5, 1.0, areas.shape), 0.0)
    leaf_temperature = temperature + draw.normal(0.0, 3.0, areas.shape)
    ice = jnp.where(leaf_temperature < 273.16, water, 0.0)
    enthalpy = thermo.enthalpy_of(leaf_temperature, water - ice, ice, parameters.dry_heat_capacity)
    soil_temperature = temperature + draw.normal(0.0, 5.0, n_cells)
    snow_temperature = jnp.minimum(soil_temperature, 273.0)
    one = jnp.ones(n_cells)
    wetness = jnp.asarray(draw.random(n_cells))
    during = jnp.asarray(0.1 + 0.8 * draw.random(n_cells))
    storm = disaggregation.Storm((1.0 - during) * draw.random(n_cells), during, 0.2 + 0.7 * jnp.asarray(wetness))
    air = dataclasses.replace(air, storm=storm)
    conductance = surface_energy.implicit_conductance
    ground = surfaces.Ground(
        snow_fraction=snow,
        soil_temperature=soil_temperature,
        soil_conductance=conductance(40.0 * one, 1.0 - snow, 1.5e5 * one, STEP),
        soil_wetness=wetness,
        soil_humidity=jnp.sqrt(wetness),
        soil_enthalpy=thermo.liquid_enthalpy(soil_temperature),
        snow_temperature=snow_temperature,
        snow_conductance=conductance(5.0 * one, snow, 1e5 * one, STEP),
        snow_enthalpy=thermo.ice_enthalpy(snow_temperature),
        snow_melt_limit=jnp.asarray(1e3 * draw.random(n_cells)),
    )
    return Column(
        vegetation=vegetation,
        cover=cover,
        geometry=turbulence.geometry(vegetation, cover, snow),
        parameters=parameters,
        state=canopy.State(water=water, enthalpy=enthalpy),
        air=air,
        shortwave=make_shortwave(weights / weights.sum(axis=0) * 0.85 * sun),
        ground=ground,
        root_stress=jnp.asarray(draw.random(n_cells)),
        root_enthalpy=thermo.liquid_enthalpy(jnp.maximum(soil_temperature, 273.16)),
    )


def make_leaves(column: Column, state: canopy.State, wetting: surfaces.evaporation.Wetting) -> surfaces.Leaves:
    """The canopy as the energy balance wants it."""
    phase = canopy.diagnose(column.parameters, state)
    return surfaces.Leaves(
        water=state.water,
        enthalpy=state.enthalpy,
        dry_heat_capacity=column.parameters.dry_heat_capacity,
        phase=phase,
        wetting=wetting,
        root_stress=column.root_stress,
        root_enthalpy=column.root_enthalpy,
    )


def advance(column: Column, iterations: int = surface_energy.ITERATIONS) -> Step:
    """One sub-step: interception, then the energy balance."""
    c = column
    snow = c.ground.snow_fraction
    intercepted, throughfall, wetting = canopy.intercept(c.parameters, c.state, c.cover, snow, c.air, STEP)
    leaves = make_leaves(c, intercepted, wetting)
    fluxes = surface_energy.solve(
        c.vegetation, c.cover, c.geometry, c.air, c.shortwave, leaves, c.ground, STEP, iterations
    )
    dried = canopy.exchange_with_air(intercepted, fluxes.canopy_evaporation, fluxes.canopy_heating, STEP)
    final, dripping = canopy.shed(c.parameters, dried, c.cover, snow, wetting, fluxes.canopy_left, STEP)
    return Step(intercepted, canopy.together(throughfall, dripping), leaves, fluxes, dried, final)


def absorbed_shortwave(shortwave: radiation.Shortwave):
    """Sum over the five surfaces, W m-2."""
    s = shortwave
    return s.upper_leaf + s.upper_stem + s.lower + s.soil + s.snow
