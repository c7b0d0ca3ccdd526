"""A cold start."""

from __future__ import annotations

import jax.numpy as jnp

from chase_jax.model import glacier_tile, land, surface_water
from chase_jax.model.chase import Chase, drainage_depth
from chase_jax.model.containers import State
from chase_jax.model.defaults import mean_temperature
from chase_jax.physics import channel, glacier, groundwater, river, snow, soil_hydraulics
from chase_jax.typing import PerCell

RIVER_FILLING = 0.2  # 1, of the depth of the banks
SINK_DEPTH = 1.0  # m, water in an inland sink
GLACIER_ICE = 5e4  # kg m-2, where nothing is known: about 55 m
LEAST_SATURATION = 0.5  # 1


def initial_state(chase: Chase, temperature: PerCell | None = None) -> State:
    """A cold start: moist soil, the water table at river level, full lakes, no snow on land.

    Args:
        chase: The model.
        temperature (cell,): Mean annual air temperature, K; guessed if not given.
    """
    d, p = chase.domain, chase.parameters
    temperature = mean_temperature(d) if temperature is None else temperature
    table = drainage_depth(d.bed_depth, p.aquifer.thickness) - RIVER_FILLING * d.channel_depth
    moist = jnp.maximum(p.land.soil.field_capacity, LEAST_SATURATION)
    sides = river.section(p.channel, chase.geometry.network)
    depth = jnp.where(d.drainage.sink, SINK_DEPTH, RIVER_FILLING * p.channel.bank_depth)
    volume = channel.storage(depth, sides.area, sides.bank_depth, sides.floodplain_area)
    volume = volume.at[d.lakes.cell].set(d.lakes.area * d.lakes.full_depth)
    glaciers = p.glacier
    return State(
        land=land.State.cold(p.land, temperature, soil_hydraulics.saturation_above(p.land.soil, table, moist)),
        glacier=glacier_tile.State(
            snow=snow.State.empty(glaciers.snow),
            ice=glacier.State.at_rest(glaciers.ice, jnp.full(d.glacier_cell.shape, GLACIER_ICE, dtype=float)),
        ),
        aquifer=groundwater.State(groundwater.storage_at_depth(p.aquifer, table)),
        water=surface_water.State(volume),
    )
