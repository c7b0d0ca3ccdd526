r"""Shared formulas of soil: what texture implies for water and heat. No state, no step.

Retention and conductivity follow the power laws of Campbell (1974) and Clapp and Hornberger (1978), which LSX uses too:

$$ \psi(s) = \psi_e s^{-b}, \qquad K(s) = K_s s^{2b+3}, \qquad
   \Phi(s) = \int_0^s K \frac{d(-\psi)}{ds'} ds' = \frac{K_s \psi_e b}{b+3} s^{b+3}, $$

with suction $\psi$ > 0 and the saturation s of the pores that are free of ice. A column is of one texture, so every
parameter is (cell,) and one logarithm and one exponential per layer give K, $\Phi$ and both slopes. Where `retention`
is given, the curves are those of van Genuchten and Mualem instead (van_genuchten.py).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from chase_jax import constants as const
from chase_jax.checks import require, require_between, require_shape
from chase_jax.numerics import smooth
from chase_jax.physics import van_genuchten
from chase_jax.typing import PerCell, PerLayerCell

LAYER_THICKNESS = (0.05, 0.10, 0.20, 0.40, 0.75, 1.00)  # m, six layers down to 2.5 m
COLUMN_DEPTH = 2.5  # m, bottom of the soil column below the surface = top of the aquifer
MOST_SATURATED = 0.98  # 1, of soil above a water table
SATURATION_FLOOR = 0.01  # 1, drier than this the power laws are held constant
SOLID_DENSITY = 2636.5  # kg m-3, mineral soil with 1 % organic matter; LSX, foley1996
SOLID_SPECIFIC_HEAT = 880.5  # J kg-1 K-1; same source
DRY_CONDUCTIVITY = (0.300, 0.265, 0.250)  # W m-1 K-1, dry sand, silt and clay; same source
WATER_CONDUCTIVITY_RATIO = 56.0  # 1, conductivity gain by a unit volume fraction of liquid; same source
ICE_CONDUCTIVITY_RATIO = 224.0  # 1, the same of ice
FIELD_CAPACITY_CONDUCTIVITY = 0.1e-3 / const.SECONDS_PER_DAY  # m s-1, drainage of 0.1 mm per day
WILTING_SUCTION = 150.0  # m
FIELD_SUCTION = 3.4  # m, field capacity where curves are not power laws
LEAST_SUCTION = 0.02  # m, of the van Genuchten curves; vogel2000
SUCTION_FLOOR = 1e-10  # 1, of the power in the denominator of suction: beyond 1e5 m it no longer matters
CONFINED_STORAGE = 0.005  # 1, storage coefficient of an aquifer whose head stands in the soil column
SAME_LEVEL = 1e-6  # m, difference of two levels below which they count as one


class Parameters(eqx.Module):
    """Soil of a column, every leaf (cell,).

    Attributes:
        porosity: Pore volume fraction, 1.
        exponent: Exponent b of the retention curve, 1.
        air_entry_suction: Suction psi_e at which air enters, m.
        saturated_conductivity: K_s, m s-1.
        field_capacity: Saturation at which transpiration is no longer short of water, 1.
        wilting_point: Saturation at which transpiration ends, 1.
        solid_heat_capacity: Heat capacity of the solids per volume of soil, J m-3 K-1.
        dry_conductivity: Thermal conductivity of the dry soil, W m-1 K-1.
        sand: Mass fraction of sand, 1.
        clay: Mass fraction of clay, 1.
        retention: Curves of van Genuchten and Mualem in place of the power laws, or None. Exponent and air-entry
            suction are then those of equivalent power laws, which the exchange with the aquifer uses.
    """

    porosity: PerCell
    exponent: PerCell
    air_entry_suction: PerCell
    saturated_conductivity: PerCell
    field_capacity: PerCell
    wilting_point: PerCell
    solid_heat_capacity: PerCell
    dry_conductivity: PerCell
    sand: PerCell
    clay: PerCell
    retention: van_genuchten.Parameters | None = None


def from_texture(sand: PerCell, clay: PerCell) -> Parameters:
    r"""Soil parameters by the pedotransfer functions of Cosby et al. (1984) as CLM5 uses them for mineral soil.

    $$ p = 0.489 - 0.126 f_{sand}, \quad b = 2.91 + 15.9 f_{clay}, \quad
       \psi_e = 0.01 \cdot 10^{1.88 - 1.31 f_{sand}}, \quad
       K_s = 7.0556\cdot10^{-6} \cdot 10^{-0.884 + 1.53 f_{sand}} . $$

    Field capacity is where $K$ = 0.1 mm per day, the wilting point where $\psi$ = 150 m.

    Args:
        sand (cell,): Mass fraction of sand, 1.
        clay (cell,): Mass fraction of clay, 1; sand + clay <= 1.

    Returns:
        Parameters of every column.

    Source:
        cosby1984; lawrence2019, section 2.7.3; thermal constants foley1996.
    """
    sand_, clay_ = np.asarray(sand, dtype=float), np.asarray(clay, dtype=float)
    require_shape(clay_, "clay", sand_.shape)
    require_between(sand_, "sand", 0.0, 1.0)
    require_between(clay_, "clay", 0.0, 1.0)
    require(
        bool(np.all(sand_ + clay_ <= 1.0 + 1e-6)),
        f"Arguments `sand` and `clay` must add up to at most 1, but reach {np.max(sand_ + clay_, initial=0.0):g}.",
    )
    silt_ = np.maximum(1.0 - sand_ - clay_, 0.0)
    porosity = 0.489 - 0.126 * sand_
    exponent = 2.91 + 15.9 * clay_
    air_entry = 0.010 * 10.0 ** (1.88 - 1.31 * sand_)
    saturated = 7.0556e-6 * 10.0 ** (-0.884 + 1.53 * sand_)
    leaves = dict(
        porosity=porosity,
        exponent=exponent,
        air_entry_suction=air_entry,
        saturated_conductivity=saturated,
        field_capacity=(FIELD_CAPACITY_CONDUCTIVITY / saturated) ** (1.0 / (2.0 * exponent + 3.0)),
        wilting_point=(air_entry / WILTING_SUCTION) ** (1.0 / exponent),
        solid_heat_capacity=(1.0 - porosity) * SOLID_DENSITY * SOLID_SPECIFIC_HEAT,
        dry_conductivity=DRY_CONDUCTIVITY[0] * sand_ + DRY_CONDUCTIVITY[1] * silt_ + DRY_CONDUCTIVITY[2] * clay_,
        sand=sand_,
        clay=clay_,
    )
    arrays: dict[str, Any] = {name: jnp.asarray(values) for name, values in leaves.items()}
    return Parameters(**arrays)


def with_van_genuchten(
    parameters: Parameters,
    inverse_suction: PerCell,
    shape: PerCell,
    residual_fraction: PerCell,
    connectivity: PerCell | float = 0.5,
    least_suction: PerCell | float = LEAST_SUCTION,
) -> Parameters:
    r"""The same soil with the curves of van Genuchten and Mualem.

    Exponent and air-entry suction become those of the power laws with the same K at the dry end, but for a factor,
    and the same capillary drive, the integral of $K/K_s$ over all suctions:

    $$ b = \frac1m - 1, \qquad \psi_e \frac{2b + 3}{b + 3} = \frac{\Phi(1)}{K_s} + \psi_c . $$

    Field capacity is where $\psi$ = 3.4 m, the wilting point where $\psi$ = 150 m.

    Args:
        parameters: Soil whose porosity, saturated conductivity and thermal properties hold.
        inverse_suction (cell,): Scale alpha of suction, m-1.
        shape (cell,): Exponent n, 1.
        residual_fraction (cell,): Residual water, volume fraction of the soil, 1.
        connectivity (cell,): Exponent l of Mualem's model, 1.
        least_suction (cell,): Suction up to which the soil stays saturated, m.

    Returns:
        Parameters with `retention`.

    Source:
        vangenuchten1980; vogel2000; morelseytoux1996 (equivalent power laws).
    """
    dtype = parameters.porosity.dtype
    given = (inverse_suction, shape, residual_fraction, connectivity, least_suction)
    alpha, n, residual, tortuosity, least = (
        jnp.broadcast_to(jnp.asarray(g, dtype), parameters.porosity.shape) for g in given
    )
    require_between(np.asarray(alpha), "inverse_suction", 1e-3, 1e3)
    require_between(np.asarray(n), "shape", 1.01, 20.0)
    require_between(np.asarray(residual / parameters.porosity), "residual_fraction / porosity", 0.0, 0.95)
    require_between(np.asarray(tortuosity), "connectivity", -1.0, 10.0)
    require_between(np.asarray(least), "least_suction", 1e-6, 1.0)
    curves = van_genuchten.Parameters(alpha, n, residual / parameters.porosity, tortuosity, least)
    b = 1.0 / (n - 1.0)
    drive = van_genuchten.relative_potential(curves, jnp.ones_like(n))[0] + least
    changed: dict[str, Any] = dict(
        exponent=b,
        air_entry_suction=drive * (b + 3.0) / (2.0 * b + 3.0),
        field_capacity=van_genuchten.saturation_at(curves, jnp.full_like(n, FIELD_SUCTION)),
        wilting_point=van_genuchten.saturation_at(curves, jnp.full_like(n, WILTING_SUCTION)),
        retention=curves,
    )
    return dataclasses.replace(parameters, **changed)


def saturation_above(parameters: Parameters, water_table_depth: PerCell, least: PerCell) -> PerLayerCell:
    """Saturation of the layers (layer, cell), 1, in equilibrium with a water table, within `least` and 0.98.

    Args:
        parameters: Soil, leaves (cell,).
        water_table_depth (cell,): Depth of the water table, m.
        least (cell,): The least saturation, 1.
    """
    thickness = jnp.asarray(LAYER_THICKNESS)
    middle = jnp.cumsum(thickness) - 0.5 * thickness
    height = jnp.maximum(water_table_depth - middle[:, None], 0.0)
    return jnp.clip(saturation_at(parameters, height), least, MOST_SATURATED)


def pore_capacity(parameters: Parameters, thickness: tuple[float, ...] = LAYER_THICKNESS) -> PerLayerCell:
    """Water that fills the pores of each layer (layer, cell), kg m-2; ice counts with the density of water.

    Args:
        parameters: Soil, leaves (cell,).
        thickness (layer): Layer thickness, m.
    """
    return const.WATER_DENSITY * jnp.asarray(thickness, dtype=parameters.porosity.dtype)[:, None] * parameters.porosity


def dry_heat_capacity(parameters: Parameters, thickness: tuple[float, ...] = LAYER_THICKNESS) -> PerLayerCell:
    """Heat capacity of the solids of each layer (layer, cell), J m-2 K-1.

    Args:
        parameters: Soil, leaves (cell,).
        thickness (layer): Layer thickness, m.
    """
    return jnp.asarray(thickness, dtype=parameters.porosity.dtype)[:, None] * parameters.solid_heat_capacity


def suction(parameters: Parameters, saturation: jax.Array) -> jax.Array:
    r"""Suction $\psi_e s^{-b}$, m.

    Args:
        parameters: Soil, leaves (cell,).
        saturation (..., cell): Saturation s, 1; counted as at least 0.01.

    Source:
        campbell1974; clapp1978.
    """
    if parameters.retention is not None:
        return van_genuchten.suction(parameters.retention, saturation)
    s = jnp.maximum(saturation, SATURATION_FLOOR)
    return parameters.air_entry_suction * smooth.power(s, -parameters.exponent)


def saturation_at(parameters: Parameters, height: jax.Array) -> jax.Array:
    r"""Saturation in equilibrium with a water table, $(\psi_e / z)^{1/b}$, 1 in the capillary fringe.

    Args:
        parameters: Soil, leaves (cell,).
        height (..., cell): Height z above the water table, m.

    Source:
        campbell1974.
    """
    if parameters.retention is not None:
        return van_genuchten.saturation_at(parameters.retention, height)
    e = parameters.air_entry_suction
    return smooth.power(e / jnp.maximum(height, e), 1.0 / parameters.exponent)


def saturated_potential(parameters: Parameters) -> PerCell:
    r"""Matric flux potential at saturation $\Phi(1)$ (cell,), m2 s-1.

    Args:
        parameters: Soil, leaves (cell,).

    Source:
        campbell1974; clapp1978.
    """
    ks, b, psi = parameters.saturated_conductivity, parameters.exponent, parameters.air_entry_suction
    if parameters.retention is not None:
        return ks * van_genuchten.relative_potential(parameters.retention, jnp.ones_like(ks))[0]
    return ks * psi * b / (b + 3.0)


class FlowFunctions(eqx.Module):
    """Conductivity, matric flux potential and suction of a layer, with their slopes.

    Attributes:
        conductivity (..., cell): K, m s-1.
        conductivity_slope (..., cell): dK/ds, m s-1.
        potential (..., cell): Matric flux potential, m2 s-1.
        potential_slope (..., cell): Its derivative by s, m2 s-1.
        suction (..., cell): Suction, m.
        suction_slope (..., cell): Its derivative by s, m, < 0.
    """

    conductivity: jax.Array
    conductivity_slope: jax.Array
    potential: jax.Array
    potential_slope: jax.Array
    suction: jax.Array
    suction_slope: jax.Array


def flow_functions(parameters: Parameters, saturation: jax.Array) -> FlowFunctions:
    r"""$K$, $\Phi$, $\psi$ and their slopes from one power.

    $$ P = s^{b+2}, \qquad K = K_s P^2/s, \qquad \Phi' = K_s\psi_e b P, \qquad \psi = \psi_e s^2/P . $$

    Args:
        parameters: Soil, leaves (cell,).
        saturation (..., cell): Saturation s of the ice-free pores, 1; counted as within 0.01 and 1.

    Source:
        campbell1974; clapp1978.
    """
    b, ks, psi = parameters.exponent, parameters.saturated_conductivity, parameters.air_entry_suction
    if parameters.retention is not None:
        return _van_genuchten(parameters.retention, ks, saturation)
    s = jnp.clip(saturation, SATURATION_FLOOR, 1.0)
    p = jnp.exp((b + 2.0) * jnp.log(s))
    inverse = 1.0 / s
    conductivity = ks * p * p * inverse
    potential_slope = ks * psi * b * p
    suction_ = psi * s * s / jnp.maximum(p, SUCTION_FLOOR)
    return FlowFunctions(
        conductivity=conductivity,
        conductivity_slope=(2.0 * b + 3.0) * conductivity * inverse,
        potential=potential_slope * s / (b + 3.0),
        potential_slope=potential_slope,
        suction=suction_,
        suction_slope=-b * suction_ * inverse,
    )


def _van_genuchten(curves, ks, saturation):
    conductivity, conductivity_slope = van_genuchten.relative_conductivity(curves, saturation)
    potential, potential_slope = van_genuchten.relative_potential(curves, saturation)
    return FlowFunctions(
        conductivity=ks * conductivity,
        conductivity_slope=ks * conductivity_slope,
        potential=ks * potential,
        potential_slope=ks * potential_slope,
        suction=van_genuchten.suction(curves, saturation),
        suction_slope=-potential_slope / conductivity,
    )


def thermal_conductivity(parameters: Parameters, liquid_fraction: jax.Array, ice_fraction: jax.Array) -> jax.Array:
    r"""Thermal conductivity $k_{dry}\, 56^{\theta_l}\, 224^{\theta_i}$, W m-1 K-1.

    Args:
        parameters: Soil, leaves (cell,).
        liquid_fraction (..., cell): Volume fraction of liquid water, 1.
        ice_fraction (..., cell): Volume fraction of ice, 1.

    Source:
        foley1996.
    """
    gain = math.log(WATER_CONDUCTIVITY_RATIO) * liquid_fraction + math.log(ICE_CONDUCTIVITY_RATIO) * ice_fraction
    return parameters.dry_conductivity * jnp.exp(gain)


class WaterTable(eqx.Module):
    """Head of an aquifer that lies below the soil column.

    Attributes:
        depth (cell,): Depth of the head below the surface, m; negative if it stands above the surface.
        storage_coefficient (cell,): dS/dh, 1.
    """

    depth: PerCell
    storage_coefficient: PerCell


def water_table(storage: PerCell, aquifer_thickness: PerCell, specific_yield: PerCell) -> WaterTable:
    r"""Head implied by the storage of an aquifer, unconfined below the soil column and pressurised within it.

    $$ S = S_y (h - h_b) \;\text{for}\; h \le h_z, \qquad S = S_y D + S_c (h - h_z) \;\text{above}, $$

    with $h_z$ the bottom of the soil column, $h_b = h_z - D$ and $S_c$ = 0.005.

    Args:
        storage (cell,): Water of the aquifer S, m.
        aquifer_thickness (cell,): D, m.
        specific_yield (cell,): S_y, 1.

    Source:
        This project's; the pressurised branch gives a finite head while the soil column is waterlogged.
    """
    surplus = storage - specific_yield * aquifer_thickness
    coefficient = jnp.where(surplus > 0.0, CONFINED_STORAGE, specific_yield)
    return WaterTable(depth=COLUMN_DEPTH - surplus / coefficient, storage_coefficient=coefficient)


def mean_storage_coefficient(specific_yield: PerCell, depth: PerCell, other_depth: PerCell) -> PerCell:
    r"""Water that an aquifer stores between two levels per difference of head, (cell,), 1.

    $$ a = S_c\,w + S_y\,(1 - w), \qquad w = \frac{\max(r, 0) - \max(r', 0)}{r - r'} $$

    with r and r' the levels above the bottom of the soil column and w the share of what lies between them that lies in
    the column: the secant of :func:`water_table`, and its slope where both levels are one.

    Args:
        specific_yield (cell,): Specific yield S_y, 1.
        depth (cell,): Depth of one level below the surface, m.
        other_depth (cell,): Depth of the other, m.

    Source:
        This project's.
    """
    rise, other = COLUMN_DEPTH - depth, COLUMN_DEPTH - other_depth
    same = jnp.abs(rise - other) < SAME_LEVEL
    difference = jnp.where(same, 1.0, rise - other)
    within = (jnp.maximum(rise, 0.0) - jnp.maximum(other, 0.0)) / difference
    within = jnp.where(same, (rise > 0.0).astype(within.dtype), within)
    return CONFINED_STORAGE * within + specific_yield * (1.0 - within)
