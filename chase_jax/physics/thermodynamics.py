r"""Shared formulas of moist air and of water that freezes: no state, no step.

**Enthalpy convention.** Every store of water on and in the ground carries its mass (kg m-2) and its enthalpy (J m-2).
The zero of enthalpy is *liquid water at the melting temperature*; ice at that temperature has $-L_f$ per kilogram. A
store with dry heat capacity C_d, liquid mass M_l and ice mass M_i therefore holds

$$ H = (C_d + c_w M_l + c_i M_i)(T - T_m) - L_f M_i . $$

Mass and enthalpy are what is conserved; temperature and ice are diagnosed from them by :func:`phase_state`. Melt and
refreezing then need no bookkeeping: they happen when enthalpy crosses the plateau. Vapor leaves every store with the
same specific enthalpy, $h_v = L_v + c_v (T_a - T_m)$, whatever phase it came from, so the latent heat of sublimation is
that of vaporization plus what the ice was short of.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from chase_jax import constants as const
from chase_jax.numerics import smooth
from chase_jax.typing import PerCell

PHASE_WIDTH = 0.25  # K; over about twice this width water is neither all liquid nor all ice


class PhaseState(eqx.Module):
    """What mass and enthalpy of a store imply.

    Attributes:
        temperature (...): Temperature, K.
        frozen (...): Ice mass, kg m-2.
        liquid (...): Liquid mass, kg m-2.
        heat_capacity (...): Apparent heat capacity dH/dT at constant mass, latent heat included, J m-2 K-1.
        liquid_enthalpy (...): Specific enthalpy of the liquid, J kg-1.
        mean_enthalpy (...): Specific enthalpy of the store's water, ice and liquid in their proportion, J kg-1.
    """

    temperature: jax.Array
    frozen: jax.Array
    liquid: jax.Array
    heat_capacity: jax.Array
    liquid_enthalpy: jax.Array
    mean_enthalpy: jax.Array


def phase_state(
    water: jax.Array, enthalpy: jax.Array, dry_heat_capacity: jax.Array | float, width: float = PHASE_WIDTH
) -> PhaseState:
    r"""Temperature and ice of a store, diagnosed from mass and enthalpy.

    $$ M_i = \frac{k}{L_f}\Big[\ln\big(1+e^{-H/k}\big) - \ln\big(1+e^{-(H + L_f M)/k}\big)\Big], \qquad
       T = T_m + \frac{H + L_f M_i}{C_d + c_w (M - M_i) + c_i M_i}, $$

    with $k = w\,(C_d + c_w M)$. The bracket, $L_f M/k$ times the mean of a sigmoid, is a smooth clip, so 0 <= M_i <= M,
    T rises with H everywhere, and the definition of enthalpy holds exactly: no energy is lost in diagnosing.

    Args:
        water (...): Total water M, kg m-2, >= 0.
        enthalpy (...): Enthalpy H, J m-2.
        dry_heat_capacity (...): Heat capacity of what is not water C_d, J m-2 K-1, > 0.
        width: Temperature width w of the transition, K, > 0.

    Returns:
        The diagnosed :class:`PhaseState`.

    Source:
        Enthalpy method, voller1987; the smooth clip is this project's.
    """
    lf, cw, ci = const.LATENT_HEAT_FUSION, const.SPECIFIC_HEAT_WATER, const.SPECIFIC_HEAT_ICE
    inverse = 1.0 / (width * (dry_heat_capacity + cw * water))
    # the share of ice is that of a film in the limit of no water: nothing is divided by the water that is left
    ice_share, at_zero, at_plateau = smooth.mean_sigmoid(-enthalpy * inverse, lf * water * inverse)
    frozen = ice_share * water
    slope = (at_plateau - at_zero) / lf  # dM_i/dH, in [-1/L_f, 0]
    liquid = water - frozen
    capacity = dry_heat_capacity + cw * liquid + ci * frozen
    excess = (enthalpy + lf * frozen) / capacity
    dt_dh = (1.0 + lf * slope + excess * (cw - ci) * slope) / capacity
    liquid_enthalpy = cw * excess
    mean_enthalpy = (1.0 - ice_share) * liquid_enthalpy + ice_share * (ci * excess - lf)
    return PhaseState(
        temperature=const.MELTING_TEMPERATURE + excess,
        frozen=frozen,
        liquid=liquid,
        heat_capacity=1.0 / jnp.maximum(dt_dh, 1e-3 / capacity),
        liquid_enthalpy=liquid_enthalpy,
        mean_enthalpy=mean_enthalpy,
    )


def enthalpy_of(
    temperature: jax.Array, liquid: jax.Array, frozen: jax.Array, dry_heat_capacity: jax.Array | float
) -> jax.Array:
    """Enthalpy of a store of given temperature, liquid and ice: the definition in the module docstring, J m-2.

    Args:
        temperature (...): Temperature, K.
        liquid (...): Liquid mass, kg m-2.
        frozen (...): Ice mass, kg m-2.
        dry_heat_capacity (...): Heat capacity of what is not water, J m-2 K-1.
    """
    excess = temperature - const.MELTING_TEMPERATURE
    capacity = dry_heat_capacity + const.SPECIFIC_HEAT_WATER * liquid + const.SPECIFIC_HEAT_ICE * frozen
    return capacity * excess - const.LATENT_HEAT_FUSION * frozen


def liquid_enthalpy(temperature: jax.Array) -> jax.Array:
    """Specific enthalpy of liquid water, c_w (T - T_m), J kg-1. Argument: temperature (...), K."""
    return const.SPECIFIC_HEAT_WATER * (temperature - const.MELTING_TEMPERATURE)


def ice_enthalpy(temperature: jax.Array) -> jax.Array:
    """Specific enthalpy of ice, c_i (T - T_m) - L_f, J kg-1. Argument: temperature (...), K."""
    return const.SPECIFIC_HEAT_ICE * (temperature - const.MELTING_TEMPERATURE) - const.LATENT_HEAT_FUSION


def vapor_enthalpy(air_temperature: jax.Array) -> jax.Array:
    """Specific enthalpy of water vapor, L_v + c_v (T_a - T_m), J kg-1. Argument: air_temperature (...), K."""
    return const.LATENT_HEAT_VAPORIZATION + const.SPECIFIC_HEAT_VAPOR * (air_temperature - const.MELTING_TEMPERATURE)


class Saturation(eqx.Module):
    """Saturation specific humidity and its slope.

    Attributes:
        humidity (...): Saturation specific humidity q_s, 1.
        slope (...): dq_s/dT, K-1.
    """

    humidity: jax.Array
    slope: jax.Array


def saturation_humidity(temperature: jax.Array, pressure: PerCell) -> Saturation:
    r"""Saturation specific humidity over water above freezing and over ice below, blended within half a kelvin.

    $$ q_s = \frac{0.622\, e}{p - 0.378\, e}, \quad e_w = 611.2\, e^{17.67 T_c/(T_c + 243.5)}, \quad
       e_i = 611.2\, e^{22.46 T_c/(T_c + 272.6)} . $$

    The two exponents are blended (a weighted geometric mean of the two pressures), which costs one exponential.

    Args:
        temperature (...): Temperature, K; counted as within 180 and 360 K.
        pressure (cell,): Air pressure, Pa.

    Returns:
        Humidity and its exact slope.

    Source:
        bolton1980, eq. 10 (water); magnus form over ice, wmo2008.
    """
    celsius = jnp.clip(temperature - 273.15, -93.0, 87.0)
    water_inverse = 1.0 / (celsius + 243.5)
    ice_inverse = 1.0 / (celsius + 272.6)
    weight = jax.nn.sigmoid(celsius / 0.5)
    over_water, over_ice = 17.67 * celsius * water_inverse, 22.46 * celsius * ice_inverse
    exponent = weight * over_water + (1.0 - weight) * over_ice
    exponent_slope = (
        weight * 17.67 * 243.5 * water_inverse**2
        + (1.0 - weight) * 22.46 * 272.6 * ice_inverse**2
        + weight * (1.0 - weight) / 0.5 * (over_water - over_ice)
    )
    vapor_pressure = 611.2 * jnp.exp(exponent)
    vapor_pressure = jnp.minimum(vapor_pressure, 0.6 * pressure)
    ratio = const.MOLECULAR_WEIGHT_RATIO
    dry = 1.0 / (pressure - (1.0 - ratio) * vapor_pressure)
    humidity = ratio * vapor_pressure * dry
    return Saturation(humidity=humidity, slope=humidity * exponent_slope * pressure * dry)


def air_density(temperature: PerCell, pressure: PerCell, specific_humidity: PerCell) -> PerCell:
    """Density of moist air, p / (R_d T (1 + 0.608 q)), kg m-3.

    Args:
        temperature (cell,): Air temperature, K.
        pressure (cell,): Air pressure, Pa.
        specific_humidity (cell,): Specific humidity, 1.
    """
    return pressure / (const.GAS_CONSTANT_AIR * temperature * (1.0 + 0.608 * specific_humidity))
