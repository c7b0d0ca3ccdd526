"""Defaults of a domain, and a cold start."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.domain.domain import Domain
from chase_jax.model import glacier_tile, land, surface_water
from chase_jax.model.chase import Chase
from chase_jax.model.containers import Parameters, Solvers, State
from chase_jax.numerics.tree import Tree
from chase_jax.physics import (
    atmosphere,
    canopy,
    channel,
    exchange,
    glacier,
    groundwater,
    open_water,
    river,
    runoff,
    seepage,
    snow,
    soil_hydraulics,
    soil_water,
    thermodynamics,
    vegetation,
)
from chase_jax.physics.soil_hydraulics import LAYER_THICKNESS
from chase_jax.typing import PerCell

RIVER_FILLING = 0.2  # 1, of the depth of the banks
SINK_DEPTH = 1.0  # m, water in an inland sink
GLACIER_ICE = 5e4  # kg m-2, where nothing is known: about 55 m
LEAST_SATURATION = 0.5  # 1


def parameters(domain: Domain, dcor_form: str = "D5") -> Parameters:
    """Default parameters of a domain.

    Args:
        domain: The domain.
        dcor_form: Meaning of dcor.
    """
    cells = domain.cells
    plants = vegetation.from_class(domain.vegetation_class, domain.leaf_area_index)
    at = domain.glacier_cell
    return Parameters(
        land=land.Parameters(
            atmosphere=atmosphere.Parameters.default(cells),
            vegetation=plants,
            leaf_area_index=jnp.asarray(domain.leaf_area_index, dtype=float),
            canopy=canopy.Parameters.default(plants),
            snow=snow.Parameters.default(cells),
            soil=soil_hydraulics.from_texture(domain.sand_fraction, domain.clay_fraction),
            runoff=runoff.Parameters.default(cells, dcor_form),
            exchange=exchange.Parameters.default(cells),
            open_water=open_water.Parameters.default(cells),
        ),
        glacier=glacier_tile.Parameters(
            snow=snow.Parameters.default(at.shape[0]), ice=glacier.Parameters.default(mean_temperature(domain)[at])
        ),
        aquifer=groundwater.Parameters(
            conductivity=jnp.asarray(domain.aquifer_conductivity, dtype=float),
            specific_yield=jnp.asarray(domain.specific_yield, dtype=float),
            thickness=jnp.asarray(domain.aquifer_thickness, dtype=float),
        ),
        seepage=seepage.Parameters.default(cells),
        channel=channel.Parameters.default(domain.channel_width, domain.channel_depth),
    )


def model(
    domain: Domain,
    values: Parameters | None = None,
    solvers: Solvers | None = None,
    options: land.Options | None = None,
) -> Chase:
    """The model of a domain; what is not given is the default.

    Args:
        domain: The domain.
        values: Parameters.
        solvers: Solvers of rivers and aquifer.
        options: Steps and variants.
    """
    options = options or land.Options()
    values = parameters(domain, options.dcor_form) if values is None else values
    geometry = surface_water.Geometry.from_domain(domain)
    return Chase(domain, geometry, values, solvers or Solvers(Tree()), options)


def jacobi_model(chase: Chase, time_step: float = 900.0, sweeps: int = 8) -> tuple[Chase, str]:
    """The same model with sweeps that its network needs, and a sentence about them.

    Args:
        chase: A model.
        time_step: Longest routing step, s.
        sweeps: Sweeps a step outside stiff reaches.
    """
    solver, report = surface_water.choose_jacobi(chase.parameters.channel, chase.geometry, time_step, sweeps)
    return eqx.tree_at(lambda m: m.solvers, chase, Solvers(solver, chase.solvers.aquifer)), report


def mean_temperature(domain: Domain) -> PerCell:
    """A guess of the mean annual air temperature from latitude and altitude (cell,), K.

    Args:
        domain: The domain.
    """
    return 300.15 - 0.35 * jnp.abs(domain.latitude) - 0.006 * domain.surface_altitude


def initial_state(chase: Chase, temperature: PerCell | None = None) -> State:
    """A cold start: moist soil, the water table at river level, full lakes, no snow on land.

    Args:
        chase: The model.
        temperature (cell,): Mean annual air temperature, K; guessed if not given.
    """
    d, p = chase.domain, chase.parameters
    temperature = mean_temperature(d) if temperature is None else temperature
    table = d.bed_depth - RIVER_FILLING * d.channel_depth
    middle = jnp.cumsum(jnp.asarray(LAYER_THICKNESS)) - 0.5 * jnp.asarray(LAYER_THICKNESS)
    height = jnp.maximum(table - middle[:, None], 0.0)
    moist = jnp.maximum(p.land.soil.field_capacity, LEAST_SATURATION)
    saturation = jnp.clip(soil_hydraulics.saturation_at(p.land.soil, height), moist, 0.98)
    water = saturation * soil_hydraulics.pore_capacity(p.land.soil)
    frozen = jnp.where(temperature < const.MELTING_TEMPERATURE, 0.9, 0.0) * water
    dry = soil_hydraulics.dry_heat_capacity(p.land.soil)
    warmth = thermodynamics.enthalpy_of(temperature, water - frozen, frozen, dry)
    sides = river.section(p.channel, chase.geometry.network)
    depth = jnp.where(d.drainage.sink, SINK_DEPTH, RIVER_FILLING * p.channel.bank_depth)
    volume = channel.storage(depth, sides.area, sides.bank_depth, sides.floodplain_area)
    volume = volume.at[d.lakes.cell].set(d.lakes.area * d.lakes.full_depth)
    glaciers = p.glacier
    return State(
        land=land.State(
            canopy=canopy.State.default(p.land.canopy, temperature),
            snow=snow.State.empty(p.land.snow),
            soil=soil_water.State(water, warmth, jnp.zeros(d.cells)),
            open_water=open_water.State.at_temperature(p.land.open_water, temperature),
        ),
        glacier=glacier_tile.State(
            snow=snow.State.empty(glaciers.snow),
            ice=glacier.State.at_rest(glaciers.ice, jnp.full(d.glacier_cell.shape, GLACIER_ICE)),
        ),
        aquifer=groundwater.State(groundwater.storage_at_depth(p.aquifer, table)),
        water=surface_water.State(volume),
    )
