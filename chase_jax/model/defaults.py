"""Default parameters of a domain."""

from __future__ import annotations

import jax.numpy as jnp

from chase_jax.domain.domain import Domain
from chase_jax.model import glacier_tile, land
from chase_jax.model.containers import Parameters
from chase_jax.physics import (
    channel,
    glacier,
    groundwater,
    seepage,
    snow,
    soil_hydraulics,
    vegetation,
)
from chase_jax.typing import PerCell


def parameters(domain: Domain, dcor_form: str = "D5") -> Parameters:
    """Default parameters of a domain.

    Args:
        domain: The domain.
        dcor_form: Meaning of dcor.
    """
    plants = vegetation.from_class(domain.vegetation_class, domain.leaf_area_index)
    soil = soil_hydraulics.from_texture(domain.sand_fraction, domain.clay_fraction)
    at = domain.glacier_cell
    water_area = domain.channel_width * domain.channel_length
    specific_yield = jnp.asarray(domain.specific_yield, dtype=float)
    return Parameters(
        land=land.Parameters.default(plants, domain.leaf_area_index, soil, dcor_form),
        glacier=glacier_tile.Parameters(
            snow=snow.Parameters.default(at.shape[0]), ice=glacier.Parameters.default(mean_temperature(domain)[at])
        ),
        aquifer=groundwater.Parameters(
            conductivity=jnp.asarray(domain.aquifer_conductivity, dtype=float),
            specific_yield=specific_yield,
            thickness=jnp.asarray(domain.aquifer_thickness, dtype=float),
        ),
        seepage=seepage.Parameters.default(specific_yield, domain.cell_area, water_area),
        channel=channel.Parameters.default(domain.channel_width, domain.channel_depth),
    )


def mean_temperature(domain: Domain) -> PerCell:
    """A guess of the mean annual air temperature from latitude and altitude (cell,), K.

    Args:
        domain: The domain.
    """
    return 300.15 - 0.35 * jnp.abs(domain.latitude) - 0.006 * domain.surface_altitude
